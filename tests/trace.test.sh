#!/usr/bin/env bash
# moegps trace: what users type and what they get back. Speaks TAP.
. "$(dirname "$0")/tap.bash"

trace() { ./moegps trace "$@"; }

sha() { trace info "$1" | sed -n 's/^sha256 *//p'; }
same() { [ -n "$(sha "$1")" ] && [ "$(sha "$1")" = "$(sha "$2")" ]; }
clean() { [ ! -e "$dir/x.h5" ] && ! compgen -G "$dir/*.new" > /dev/null; }

# info
check "info finds a bundled trace by name" says "mixtral-8x7b" trace info mixtral-8x7b-mmlu
check "info takes a path" says "152445 (91425 train, 61020 test)" trace \
    info jobs/traces/gpt-oss-20b-mmlu.h5
check "info gives the skewness of single steps" \
    says "1.424 (1.439 train, 1.394 test), mean over steps, layers" trace info mixtral-8x7b-mmlu
layers() { [ "$(trace info --layers gpt-oss-20b-mmlu | grep -cE '^ +[0-9]+ ')" -eq 24 ]; }
check "info --layers has a line per layer" layers
json() {
    trace info --json - mixtral-8x7b-mmlu | "$PYTHON" -c '
import json, sys
t = json.load(sys.stdin)
assert t["kind"] == "load" and t["steps"]["test"] == 3823, t
assert len(t["per_layer"]) == 32
assert abs(t["step_skewness"]["whole"] - 1.424) < 1e-3'
}
check "info --json - prints only JSON" json
check "info --json FILE writes it and prints the text too" \
    says "sha256" trace info mixtral-8x7b-mmlu --json "$dir/info.json"
check "info does not overwrite" \
    refused 2 "exists (--force replaces it)" trace info mixtral-8x7b-mmlu --json "$dir/info.json"
check "info --force does" says "sha256" trace info mixtral-8x7b-mmlu --force --json "$dir/info.json"
check "--help prints usage" says "Usage: moegps trace info" trace info --help
for word in synth slice import export; do
    check "$word --help prints usage" says "Usage: moegps trace $word" trace $word --help
done

# wrong use
check "no word is refused" refused 2 "expected one of info, synth" trace
check "an unknown word is refused" refused 2 "'inof' is not one of info" trace inof
check "info without a trace is refused" refused 2 "FILE|NAME is needed" trace info
check "info of two traces is refused" refused 2 "only FILE|NAME is wanted" trace info a.h5 b.h5
check "an unknown option is refused" refused 2 "'--layer-list'" trace info a.h5 --layer-list
check "an option without its value is refused" refused 2 "'--json'" trace info a.h5 --json
check "a missing file is refused" refused 2 "$dir/none.h5" trace info "$dir/none.h5"
printf "layer,token\n" > "$dir/text.h5"
check "a table that is none is refused, whatever its name" refused 2 "a table of tokens has layer, token, expert0" trace info "$dir/text.h5"

# synth
make() { trace synth --seed 5 "${@:2}" -o "$dir/$1"; }
check "synth makes a load trace" make load.h5 --shape zipf --layers 2 --seqs 20
check "synth makes a token trace" make token.h5 --kind token --layers 3 --seqs 20 \
    --tokens 50 --vocab 30
make again.h5 --kind token --layers 3 --seqs 20 --tokens 50 --vocab 30
check "equal options make equal traces" same "$dir/token.h5" "$dir/again.h5"
make other.h5 --kind token --layers 3 --seqs 20 --tokens 50 --vocab 30 --seed 6
check "another seed makes another trace" not same "$dir/token.h5" "$dir/other.h5"
check "synth reports its dials" says "shape=zipf" trace info "$dir/load.h5"
check "synth takes sizes from a model's profile" make profile.h5 --model gpt-oss-20b --seqs 2 --tokens 8 --top-k 3
check "... unless they are given" says "32, 3 per token" trace info "$dir/profile.h5"
check "synth does not overwrite" refused 2 "exists" trace synth -o "$dir/load.h5"
check "synth --force does" make load.h5 --force --shape zipf --layers 2 --seqs 20
check "synth without -o is refused" refused 2 "--output is needed" trace synth
check "synth names a bad value" refused 2 "--top-k: 'x' is not an integer in 1..64" trace \
    synth --top-k x -o "$dir/x.h5"
check "synth refuses contradictions" refused 2 "9 distinct experts of only 8" trace \
    synth --top-k 9 -o "$dir/x.h5"
check "synth into no folder fails" refused 1 "cannot create" trace synth -o /proc/none/x.h5
check "failed commands leave nothing" clean

order() { trace info "$1" | sed -n 's/^order *//p'; }
has_order() { [ "$(order "$1")" = "$2" ] || { order "$1"; return 1; }; }
parts() { says "$2" trace info "$1"; }
check "a synthetic trace is a series" has_order "$dir/load.h5" time
check "... that ends with the test part" parts "$dir/load.h5" "(14 train, 6 test)"
check "a bundled trace has no order" has_order mixtral-8x7b-mmlu none
info_order() { trace info --json - "$dir/load.h5" | finds '"order": "time"'; }
check "JSON says the order, too" info_order
check "synth takes tail=SHARE" make tail.h5 --seqs 20 --split tail=0.25
check "... of testing" parts "$dir/tail.h5" "(15 train, 5 test)"
check "synth refuses another split" refused 2 "split: 'head' is neither tail=SHARE nor" trace \
    synth --split head -o "$dir/x.h5"

# slice
check "slice keeps a range" trace slice "$dir/token.h5" --seqs 5:15 --layers 0,2 \
    --split train=0.5,seed=3 -o "$dir/slice.h5"
check "slice has what was asked for" says "sequences    10 (5 train, 5 test)" trace \
    info "$dir/slice.h5"
check "slice keeps the order" has_order "$dir/slice.h5" time
check "slice of a series has a future of its own" trace slice "$dir/load.h5" --seqs 0:10 -o "$dir/head.h5"
check "... unless asked otherwise" parts "$dir/head.h5" "(7 train, 3 test)"
check "slice takes tail=SHARE" trace slice "$dir/load.h5" --split tail=0.1 -o "$dir/late.h5"
check "... of testing" parts "$dir/late.h5" "(18 train, 2 test)"
trace slice mixtral-8x7b-mmlu --seqs 130:140 --layers 0 -o "$dir/kept.h5"
check "slice without order keeps the split" parts "$dir/kept.h5" "(5 train, 5 test)"
check "slice of all is the same trace" trace slice "$dir/token.h5" -o "$dir/all.h5"
check "slice of all has the same hash" same "$dir/all.h5" "$dir/token.h5"
check "slice does not write over its input" refused 2 "all.h5 is what FILE|NAME reads" \
    ./moegps trace slice "$dir/all.h5" --layers 0-1 --force -o "$dir/all.h5"
check "slice cuts tokens" trace slice "$dir/token.h5" --tokens 30:70 -o "$dir/cut.h5"
check "... within sequences" says "sequences    2 " trace info "$dir/cut.h5"
check "... of all that it has" eval 'trace info "$dir/cut.h5" | finds "^tokens *40 "'
check "slice refuses far tokens" refused 2 "tokens 5:1001 are not a range within 0:1000" trace \
    slice "$dir/token.h5" --tokens 5:1001 -o "$dir/x.h5"
check "slice refuses tokens of loads" refused 2 "has no tokens to cut" trace \
    slice "$dir/load.h5" --tokens 0:5 -o "$dir/x.h5"
trace slice "$dir/token.h5" --layers 1-2 -o "$dir/later.h5"
check "slice finds layers by number" trace slice "$dir/later.h5" --layers 2 -o "$dir/last.h5"
check "... which they keep" eval 'trace info "$dir/last.h5" | finds "^layers *1: 2"'
check "slice refuses a layer that is not there" refused 2 "the trace has no layer 0" trace \
    slice "$dir/later.h5" --layers 0 -o "$dir/x.h5"
check "slice refuses a far range" refused 2 "not a range within 0:20" trace \
    slice "$dir/token.h5" --seqs 5:21 -o "$dir/x.h5"
check "slice refuses a bad range" refused 2 "is not FIRST:END" trace \
    slice "$dir/token.h5" --seqs 5-8 -o "$dir/x.h5"
check "slice refuses a far layer" refused 2 "not all are in 0..2" trace \
    slice "$dir/token.h5" --layers 1-3 -o "$dir/x.h5"
check "slice refuses a layer twice" refused 2 "1 twice" trace \
    slice "$dir/token.h5" --layers 1,1 -o "$dir/x.h5"
check "slice refuses a bad split" refused 2 "neither tail=SHARE nor train=SHARE" trace \
    slice "$dir/token.h5" --split test=0.3 -o "$dir/x.h5"

# export and import
for kind in load token; do
    flags=(--model synthetic --experts 8 --top-k 2)
    [ $kind = token ] && flags+=(--ordered)
    check "export writes a $kind trace as CSV" \
        trace export "$dir/$kind.h5" --csv -o "$dir/$kind.csv"
    check "import reads it" trace import "$dir/$kind.csv" "${flags[@]}" -o "$dir/$kind.in.h5"
    # ids above the largest that occurs are unknown to a CSV file
    [ $kind = token ] || check "$kind trace survives CSV" same "$dir/$kind.h5" "$dir/$kind.in.h5"
    trace export "$dir/$kind.in.h5" --csv -o "$dir/$kind.again.csv"
    check "$kind trace is the same CSV again" cmp "$dir/$kind.csv" "$dir/$kind.again.csv"
    check "export writes a $kind trace as .npy" \
        trace export "$dir/$kind.h5" --npy -o "$dir/$kind.npy"
    [ $kind = token ] && flags+=(--axes "layers,tokens,k")
    trace import "$dir/$kind.npy" --kind $kind "${flags[@]}" -o "$dir/$kind.npy.h5"
    trace export "$dir/$kind.npy.h5" --npy -o "$dir/$kind.again.npy"
    check "$kind trace survives .npy" cmp "$dir/$kind.npy" "$dir/$kind.again.npy"
done
check "steps of .npy are a series" has_order "$dir/load.npy.h5" time
check "... that ends with the test part" parts "$dir/load.npy.h5" "(14 train, 6 test)"
check "tokens of .npy have no order" has_order "$dir/token.npy.h5" none
check "... and all train" parts "$dir/token.npy.h5" "(1 train, 0 test)"
check "import takes --order" trace import "$dir/load.npy" --model m --experts 8 --top-k 2 \
    --order none -o "$dir/none.h5"
check "... that the trace has then" has_order "$dir/none.h5" none
check "... and that all trains" parts "$dir/none.h5" "(20 train, 0 test)"
check "import takes tail=SHARE" trace import "$dir/load.npy" --model m --experts 8 --top-k 2 \
    --split tail=0.5 -o "$dir/half.h5"
check "... of testing" parts "$dir/half.h5" "(10 train, 10 test)"
trace export "$dir/none.h5" --csv -o "$dir/none.csv"
trace import "$dir/none.csv" --model m --experts 8 --top-k 2 -o "$dir/none.in.h5"
check "no order survives CSV" has_order "$dir/none.in.h5" none
check "export writes to stdout" says "step,layer,expert,count,split" trace \
    export "$dir/load.h5" --csv -o -
numpy() {
    "$PYTHON" - "$dir" <<'PY'
import sys
import numpy as np
d = sys.argv[1]
counts = np.load(d + "/load.npy")
assert counts.shape == (20, 2, 8) and counts.dtype == np.uint32
assert (counts.sum(2) == 2 * 512).all()
assert np.load(d + "/token.npy").shape == (3, 1000, 2)
np.save(d + "/i8.npy", counts.astype(np.int64))
np.save(d + "/f8.npy", counts.astype(">f8"))
np.save(d + "/fortran.npy", np.asfortranarray(counts))
half = counts.astype(float)
half[0, 0, 0] = 0.5
np.save(d + "/half.npy", half)
np.save(d + "/flat.npy", counts.ravel())
counts[3, 1, 2] += 1
np.save(d + "/sum.npy", counts)
np.save(d + "/negative.npy", -counts.astype(np.int16))
PY
}
if "$PYTHON" -c 'import numpy' 2> /dev/null; then
    check "numpy reads what export wrote" numpy
    for type in i8 f8 fortran; do
        check "import takes $type" trace import "$dir/$type.npy" --model m --experts 8 --top-k 2 \
            -o "$dir/$type.h5"
        check "$type is the same trace" same "$dir/load.npy.h5" "$dir/$type.h5"
    done
    # file, and what is wrong with it
    while IFS='|' read -r file text; do
        check "import refuses $file.npy" refused 2 "$text" trace import "$dir/$file.npy" --model m \
            --experts 8 --top-k 2 -o "$dir/x.h5"
    done <<- END
	flat|fits neither loads (experts last) nor experts of tokens
	sum|step 3, layer 1: 1025 pairs are no multiple of 2
	half|step 0, layer 0, expert 0: 0.5 is no number of pairs
	negative|is not a finite load >= 0
	END
else
    skip "numpy reads what export wrote" "python3-numpy is missing"
fi

# csv NAME TEXT LINES: a CSV file with these lines is refused, saying TEXT.
csv() {
    printf "$3" > "$dir/bad.csv"
    check "import refuses $1" refused 2 "$2" trace import "$dir/bad.csv" --model m --experts 4 \
        --top-k 2 -o "$dir/x.h5"
}
csv "an empty file" "is empty" ""
csv "a heading alone" "has no rows" "layer,token,expert0,expert1\n"
csv "foreign columns" "columns 'a', 'b': wanted are layer, expert and count" "a,b\n1,2\n"
csv "too few experts" "its tokens choose 1 expert each, not 2" "layer,token,expert0\n0,0,1\n"
csv "too many experts" "its tokens choose 3 experts each, not 2" \
    "layer,token,expert0,expert1,expert2\n0,0,1,2,3\n"
csv "a text for a number" "bad.csv:3: expert0: 'x' is not an integer in 0..4095" \
    "layer,token,expert0,expert1\n0,0,1,2\n0,1,x,2\n"
csv "an expert out of range" "expert 4 was chosen, but there are 4" \
    "layer,token,expert0,expert1\n0,0,1,4\n"
csv "an expert twice" "layer 0, token 0: expert 1 is there twice" \
    "layer,token,expert0,expert1\n0,0,1,1\n"
csv "a token twice" "bad.csv:4: layer 0, token 0 was there before" \
    "layer,token,expert0,expert1\n0,0,1,2\n0,1,1,2\n0,0,1,2\n0,3,1,2\n"
csv "a hole" "3 rows are not 1 layers x 4 tokens" \
    "layer,token,expert0,expert1\n0,0,1,2\n0,1,1,2\n0,3,1,2\n"
csv "a short row" "bad.csv:2: 3 fields where the first row has 4" \
    "layer,token,expert0,expert1\n0,0,1\n"
csv "a sequence in two parts" "bad.csv:3: split: 'test' is not what earlier rows of this sequence" \
    "layer,token,split,expert0,expert1\n0,0,train,1,2\n0,1,test,1,2\n"
csv "sequences out of order" "neither 1 nor the next one" \
    "layer,token,sequence,expert0,expert1\n0,0,0,1,2\n0,1,1,1,2\n0,2,0,1,2\n"
csv "an order that is none" "bad.csv:2: order: 'noon' is not time or none" \
    "step,layer,expert,count,order\n0,0,1,2,noon\n"
csv "two orders" "bad.csv:3: order: 'none' is not what earlier rows say" \
    "step,layer,expert,count,order\n0,0,1,2,time\n0,0,2,2,none\n"
csv "pairs that are no tokens" "step 0, layer 0: 3 pairs are no multiple" \
    "step,layer,expert,count\n0,0,1,2\n0,0,2,1\n"
csv "layers that disagree" "step 0, layer 1: 2 pairs, not 4" \
    "step,layer,expert,count\n0,0,1,2\n0,0,2,2\n0,1,1,1\n0,1,2,1\n"
csv "more pairs than tokens" "4 pairs of only 2 tokens" \
    "step,layer,expert,count\n0,0,1,4\n"
check "import wants a model" refused 2 "--model is needed" trace import "$dir/load.csv" --experts 8 \
    --top-k 2 -o "$dir/x.h5"
check "refused imports leave nothing" clean

# other programs
if command -v ncdump > /dev/null; then
    check "ncdump reads what is written" \
        eval 'ncdump "$dir/token.h5" > /dev/null && ncdump "$dir/load.h5" > /dev/null'
else
    skip "ncdump reads what is written" "netcdf-bin is missing"
fi
xarray() {
    "$PYTHON" - "$dir" <<'PY'
import sys
import xarray
for engine in "netcdf4", "h5netcdf":
    t = xarray.open_dataset(sys.argv[1] + "/token.h5", engine=engine).load()
    assert t.experts.dims == ("layer", "token", "k"), t
    assert t.experts.dtype == "uint8" and t.seq_offset.dtype == "uint64", t
    t = xarray.open_dataset(sys.argv[1] + "/load.h5", engine=engine).load()
    assert (t.counts.sum("expert") == 2 * t.tokens).all()
PY
}
check_if "xarray netCDF4 h5netcdf" "xarray reads what is written" xarray
hash() {
    "$PYTHON" -B - "$dir" <<'PY'
import sys
sys.path.insert(0, "tools")
import h5py
import numpy as np
from convert_traces import content_hash
for name in "token", "load":
    f = h5py.File(f"{sys.argv[1]}/{name}.h5", "r")
    a = f.attrs
    tokens = name == "token"
    meta = dict(kind=0 if tokens else 1, layers=a["layers"],
                experts=a["experts"], top_k=a["top_k"], ordered=a["ordered"],
                vocab_size=a.get("vocab_size", 0), has_position=tokens,
                has_gate=0)
    if tokens:
        start = np.append(f["seq_offset"][:], f["token"].size)
        arrays = [("<u2", f["experts"][:]), ("<u4", f["token_id"][:]),
                  ("<i4", f["position"][:])]
    else:
        start = np.append(0, np.cumsum(f["tokens"][:]))
        arrays = [("<u4", f["counts"][:])]
    assert content_hash(meta, start, f["split"][:], arrays) == a["sha256"]
PY
}
check_if h5py "the converter computes the same hash" hash
# A limit of file sizes is an error like a full disk: HDF5 must not crash over it.
limited() {
    (ulimit -f 1; kept ./moegps trace synth -o "$dir/limit.h5" --layers 4 --experts 8 --top-k 2 --tokens 100000)
    [ $? -eq 1 ] && refusal "limit.h5.new: cannot write 'file': file write failed: File too large" &&
        [ ! -e "$dir/limit.h5" ] && [ ! -e "$dir/limit.h5.new" ]
}
check "a file that may not grow is one line, and nothing is left" limited


# a page of loads
loads_page() {
    printf 'step,layer,expert,count\n0,0,0,6\n0,0,1,2\n1,0,0,2\n1,0,1,6\n' > "$dir/p.csv"
    trace import "$dir/p.csv" --model m --top-k 1 -o "$dir/p.h5" > /dev/null &&
        trace info "$dir/p.h5" -o "$dir/page" > /dev/null 2> "$dir/err"
}
check "info writes a page of loads" loads_page
check "... how uneven experts are" is "$(tail -n +2 "$dir/page/figures/uneven.csv" | head -2 | tr '\n' ' ')" \
    "0,0,1.5 1,0,1.5 "
check "... and how they drift" is "$(sed -n 2p "$dir/page/figures/drift.csv")" 1,0.5,
check "... not of tokens" refused 2 "a page is of loads; this trace has tokens" trace info \
    mixtral-8x7b-tokens -o "$dir/none"
finish
