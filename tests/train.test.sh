#!/usr/bin/env bash
# moegps train, and what it made in a run. Speaks TAP.
. "$(dirname "$0")/tap.bash"

train() { ./moegps train -q "$@"; }


# A model of two layers, and a token trace of it.
cat > "$dir/tiny.yaml" << 'END'
layers: 2
experts: 8
top_k: 2
hidden: 64
intermediate: 64
heads: 4
kv_heads: 4
head_dim: 16
END
./moegps trace synth --kind token --model tiny --layers 2 --experts 8 \
    --top-k 2 --seqs 12 --tokens 90 --seed 3 -o "$dir/t.h5" ||
    { echo "Bail out! no trace"; exit 1; }
./moegps trace synth --kind load --model tiny --layers 2 --experts 8 \
    --top-k 2 --seqs 12 --tokens 90 --seed 3 -o "$dir/load.h5"

# files
file_equal() {
    "$PYTHON" - "$1" "$2" << 'END'
import h5py, numpy as np, sys
a, b = (h5py.File(f) for f in sys.argv[1:])
names = [f"{p}/{x}" for p in a.attrs["predictors"].split()
         for x in a[p].attrs["arrays"].split()]
assert len(names) > 8
for x in names:
    assert np.array_equal(a[x][:], b[x][:], equal_nan=True), x
END
}
check "trains two predictors into one file" \
    train --trace "$dir/t.h5" --predictors ffn,lstm --epochs 4 -o "$dir/p.h5"
check "leaves no partial file" not test -e "$dir/p.h5.partial"
./moegps train --trace "$dir/t.h5" --predictors ffn --epochs 1 -o "$dir/said.h5" 2> "$dir/words"
check "says what it made" grep -q "ffn: .*recall@2" "$dir/words"
reads() {
    "$PYTHON" - "$dir/p.h5" << 'END'
import sys, numpy as np, xarray
root = xarray.open_dataset(sys.argv[1])
assert root.attrs["schema"] == "moe-gps-predictor" and root.sizes["sequence"] > 0
assert root.attrs["predictors"] == "ngram ffn lstm"
for name in "ffn", "lstm":
    g = xarray.open_dataset(sys.argv[1], group=name)
    assert g["head"].dims == ("layer", "expert", "width"), g["head"].dims
    assert np.isfinite(g["head"]).all() and g["valid_loss"].sizes["epoch"] == 4
END
}
check "xarray reads it" reads
train --trace "$dir/t.h5" --predictors ffn,lstm --epochs 4 -o "$dir/again.h5"
check "the same options make the same numbers" file_equal "$dir/p.h5" "$dir/again.h5"
# Networks depend on the number of threads, which the file names; what is solved
# in closed form does not.
threads_named() {
    "$PYTHON" - "$dir/t1.h5" "$dir/t3.h5" << 'END'
import h5py, sys
for path, n in zip(sys.argv[1:], "13"):
    said = h5py.File(path).attrs["command"]
    assert said.startswith(f"OMP_NUM_THREADS={n} moegps train -q --trace"), said
END
}
for n in 1 3; do
    OMP_NUM_THREADS=$n train --trace "$dir/t.h5" --predictors cross,recent -o "$dir/t$n.h5"
done
check "1 and 3 threads solve for the same numbers" file_equal "$dir/t1.h5" "$dir/t3.h5"
check "a file names its threads" threads_named

# Stopped by a signal after some epoch, then resumed.
stopped() {
    local rc=0 pid
    ./moegps train -q --trace "$dir/t.h5" --predictors ffn,lstm --epochs 60 \
        -o "$dir/stop.h5" 2> "$dir/err" &
    pid=$!
    await 30 test -e "$dir/stop.h5.partial"
    kill -INT "$pid"
    wait "$pid" || rc=$?
    [ "$rc" -eq 75 ] && grep -q "stopped after epoch" "$dir/err" &&
        [ ! -e "$dir/stop.h5" ] || { echo "exit $rc"; return 1; }
}
check "a signal ends it after an epoch, with 75" stopped
check "an unfinished training is not started over" \
    refused 2 "an interrupted training" \
    train --trace "$dir/t.h5" --predictors ffn,lstm --epochs 60 -o "$dir/stop.h5"
check "other options do not resume it" refused 2 "60 epochs" \
    train --trace "$dir/t.h5" --predictors ffn,lstm --epochs 61 -o "$dir/stop.h5" --resume
check "other predictors do not resume it" refused 2 "is of another trace or other options" \
    train --trace "$dir/t.h5" --predictors lstm --epochs 60 -o "$dir/stop.h5" --resume
check "--resume finishes it" \
    train --trace "$dir/t.h5" --predictors ffn,lstm --epochs 60 -o "$dir/stop.h5" --resume
train --trace "$dir/t.h5" --predictors ffn,lstm --epochs 60 -o "$dir/whole.h5"
check "resumed equals uninterrupted" file_equal "$dir/stop.h5" "$dir/whole.h5"

# closed forms
closed() {
    train --trace "$dir/t.h5" --predictors ensemble,recent,cross --lookahead 1 \
        -o "$dir/closed.h5" && "$PYTHON" - "$dir/closed.h5" << 'END'
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    assert f.attrs["predictors"] == "ngram linear cross recent ensemble", f.attrs["predictors"]
    assert f["cross/weight_1"].shape[2] == 8
    assert f["linear/valid_recall"].shape == (1,)
END
}
check "linear members bring the tables that they rest on" closed
foretold() {
    ./moegps evaluate --trace "$dir/t.h5" --seq 40 --load "$dir/closed.h5" \
        --predictors ngram,linear,cross,recent,ensemble > "$dir/out" &&
        out_has "  1  token ids, experts of earlier layers"
}
check "... and foretell" foretold
served() { # what looks at earlier layers is known too late for a plan of all
    ./moegps advise --model "$dir/tiny.yaml" --cluster a100-nvlink --gpus 2 --trace "$dir/t.h5" \
        --load "$dir/closed.h5" --seq 40 -q --json "$dir/advice.json" > "$dir/out" && "$PYTHON" - "$dir" << 'END'
import json, sys
tried = {c["predictor"] for c in json.load(open(sys.argv[1] + "/advice.json"))["combinations"]}
assert {"ngram", "linear", "ensemble"} <= tried and not {"cross", "recent"} & tried, tried
END
}
check "... and advice tries those that a plan of all layers can have" served
check "a lookahead that was not trained is refused" \
    refused 2 "was not trained for lookahead 2, only for 1" \
    ./moegps evaluate --trace "$dir/t.h5" --seq 40 --load "$dir/closed.h5" \
    --predictors cross --lookahead 2
check "hidden states that are missing are refused" refused 2 'train: `--hidden FILE`' \
    train --trace "$dir/t.h5" --predictors hidden -o "$dir/x.h5"

# Sequences of one token have nothing before it.
lone() {
    ./moegps trace synth --kind token --model tiny --layers 2 --experts 8 \
        --top-k 2 --seqs 12 --tokens 1 --seed 3 -o "$dir/lone.h5" &&
        train --trace "$dir/lone.h5" --predictors ffn,lstm,cross,recent,ensemble \
            --lookahead 1 --epochs 1 -o "$dir/lone-p.h5" &&
        ./moegps evaluate --trace "$dir/lone.h5" --seq 0 --load "$dir/lone-p.h5" \
            --predictors ngram,ffn,lstm,linear,cross,recent,ensemble --lookahead 1 > "$dir/out" &&
        out_has "ensemble "
}
check "sequences of one token are learned and foretold" lone

# wrong use
check "no trace is refused" refused 2 "--trace is needed" train --predictors ffn
check "no predictor is refused" refused 2 "--predictors is needed" train --trace "$dir/t.h5"
check "an unknown predictor is refused" refused 2 "'gru' is no predictor (allowed: ngram, ffn, lstm, linear, cross, recent, hidden, ensemble)" \
    train --trace "$dir/t.h5" --predictors gru
check "one that is not trained is refused" refused 2 "'distribution' learns from the trace" \
    train --trace "$dir/t.h5" --predictors distribution
check "one named twice is refused" refused 2 "there twice" \
    train --trace "$dir/t.h5" --predictors ffn,ffn
check "a load trace is refused" refused 2 "a token trace is needed" \
    train --trace "$dir/load.h5" --predictors ffn -o "$dir/x.h5"
check "a file is not overwritten" refused 2 "exists (--force replaces it)" \
    train --trace "$dir/t.h5" --predictors ffn -o "$dir/p.h5"
check "zero epochs are refused" refused 2 "--epochs" \
    train --trace "$dir/t.h5" --predictors ffn --epochs 0

# in a run
run() {
    ./moegps run -q "$dir/x.yaml" --force -o "$dir/run.h5" > "$dir/out" "$@"
}
experiment() { # LOAD
    cat > "$dir/x.yaml" << END
model: $dir/tiny.yaml
cluster: a100-nvlink
trace: ${2:-$dir/t.h5}
workload: {batch: 4, seq: 40, iterations: 2, warmup: 1, order: shuffled}
emulation: {scale: 1}
strategies:
  - {name: base}
  - {name: net, predictor: ffn, planner: duplicate, slots: 9$1}
  - {name: seq, predictor: lstm, planner: duplicate, slots: 9$1}
END
}
experiment ", load: $dir/p.h5"
check "a run uses the file" run
valid() { grep -q "RESULT: VALID" "$dir/out"; }
check "and is valid" valid
recall() {
    "$PYTHON" - "$1" << 'END'
import h5py, sys
r = h5py.File(sys.argv[1])["prediction/recall"][1:]
assert (r > 0.2).all() and (r <= 1).all(), r
END
}
check "its predictions are scored" recall "$dir/run.h5"
# Predictions of an iteration are summed over ranks: equal sums.
same_anywhere() {
    local ranks out=()
    for ranks in 1 2 4 7; do
        ranks "$ranks" ./moegps run -q "$dir/x.yaml" --force \
            --set emulation.ffn=none -o "$dir/r$ranks.h5" > "$dir/out" || return 1
        out+=("$dir/r$ranks.h5")
    done
    "$PYTHON" - "${out[@]}" << 'END'
import h5py, numpy as np, sys
all = [h5py.File(f)["load/predicted_pairs"][:] for f in sys.argv[1:]]
assert np.isfinite(all[0][1:]).all()
for x in all[1:]:
    assert np.array_equal(all[0], x, equal_nan=True)
END
}
check "1, 2, 4 and 7 ranks predict the same" same_anywhere
experiment ""
check "a run without the file says how to train" refused 2 "moegps train --trace TRACE" run
experiment ", load: $dir/none.h5"
check "a missing file is refused" refused 2 "none.h5" run
experiment ", load: $dir/t.h5"
check "a trace is no predictor file" refused 2 "is a 'moe-gps-trace' file" run
experiment ", load: $dir/said.h5"
check "a file without this predictor is refused" refused 2 "has none of this name" run
./moegps trace slice "$dir/t.h5" --split train=0.5,seed=9 -o "$dir/other.h5"
experiment ", load: $dir/p.h5" "$dir/other.h5"
check "test tokens seen in training are refused" refused 2 "training saw sequence" run

# hidden states, of a model that they decide
states() {
    "$PYTHON" tools/hidden_states.py "$dir" && sed 's/layers: 2/layers: 3/' \
        "$dir/tiny.yaml" > "$dir/three.yaml" && ./moegps trace import \
        "$dir/tokens.csv" --model three --experts 8 --top-k 2 --ordered \
        -o "$dir/three.h5" && train --trace "$dir/three.h5" --lookahead 1 \
        --predictors linear,hidden --hidden "$dir/hidden.h5" -o "$dir/states.h5"
}
check "hidden states are learned from" states
states_tell() {
    ./moegps evaluate --trace "$dir/three.h5" --seq 60 --load "$dir/states.h5" \
        --predictors "linear,hidden:path=$dir/hidden.h5" --json - > "$dir/out" &&
        "$PYTHON" - "$dir/out" << 'END'
import json, sys
linear, hidden = (p["mean"]["recall"]["value"]
                  for p in json.load(open(sys.argv[1]))["predictors"])
assert hidden > linear + 0.05, (linear, hidden)
END
}
check "... and tell more than ids" states_tell

# lookahead
ahead() { # PREDICTOR LOOKAHEAD
    cat > "$dir/x.yaml" << END
model: $dir/tiny.yaml
cluster: a100-nvlink
trace: $dir/t.h5
workload: {batch: 4, seq: 40, iterations: 2, warmup: 1, order: shuffled}
emulation: {scale: 1}
strategies:
  - {name: base}
  - {name: ahead, predictor: $1, planner: duplicate, slots: 9, load: $dir/closed.h5$2}
END
}
ahead cross ", lookahead: 1"
check "cross runs with a lookahead" run
check "... on any number of ranks alike" same_anywhere
ahead cross ""
check "... without one it is refused" refused 2 "lookahead: 1" run
ahead recent ""
check "recent is refused where sequences are whole" refused 2 "for decoding" run

# the bundled file
listed() { ./moegps list trained | grep "^gpt-oss-20b-mmlu .* ngram ffn lstm linear cross recent ensemble$" > /dev/null; }
check "list names it" listed
cat > "$dir/x.yaml" << 'END'
model: gpt-oss-20b
cluster: a100-nvlink
trace: gpt-oss-20b-mmlu
workload: {batch: 2, seq: 512, iterations: 1, warmup: 1}
emulation: {ffn: none, scale: 64}
strategies:
  - {name: base}
  - {name: net, predictor: ffn, load: gpt-oss-20b-mmlu}
  - {name: seq, predictor: lstm, load: gpt-oss-20b-mmlu}
END
bundled() {
    run && "$PYTHON" - "$dir/run.h5" << 'END'
import h5py, sys
base, net, seq = h5py.File(sys.argv[1])["prediction/recall"][:].mean(axis=(1, 2))
assert 0.5 < net < seq < 0.8, (net, seq)
END
}
check "the bundled predictors are as good as they say" bundled

finish
