#!/usr/bin/env bash
# Files from elsewhere that are not what they claim: sizes and numbers that no
# run has. Each ends with one message, or is read right. Prints TAP.
. "$(dirname "$0")/tap.bash"
export HDF5_USE_FILE_LOCKING=FALSE # h5py's library is another

# edit FROM TO PYTHON: a copy of a file in which f was changed.
edit() {
    cp "$dir/$1.h5" "$dir/$2.h5" && "$PYTHON" -c "
import h5py
import numpy as np
with h5py.File('$dir/$2.h5', 'r+') as f:
    $3"
}

# each FROM NAME: rows of "TEXT | PYTHON", one test each, on standard input: a
# report of the file so edited says TEXT, no more. One Python makes all files.
each() {
    local text code i=0
    rm -f "$dir"/edited-*.h5
    cat > "$dir/rows"
    "$PYTHON" - "$dir/$1.h5" "$dir/edited-" "$dir/rows" <<'PY'
import shutil
import sys
import h5py
import numpy as np

for i, row in enumerate(open(sys.argv[3])):
    path = f"{sys.argv[2]}{i}.h5"
    shutil.copy(sys.argv[1], path)
    with h5py.File(path, "r+") as f:
        exec(row.split("|", 1)[1].strip())
PY
    while IFS='|' read -r text code; do
        check "$2: ${code# }" refused 2 "${text% }" ./moegps report "$dir/edited-$((i++)).h5"
    done < "$dir/rows"
}

check "a run is made" kept ranks 4 env MOEGPS_TEST_RESULT="$dir/run.h5" \
    "$BUILD/tests/parallel/test_results"
check "and a sweep of it" kept ./moegps merge "$dir/run.h5" -o "$dir/sweep.h5"

each sweep "a sweep is refused" <<'EOF2'
run 0: has impossible sizes: 0 GPUs | f['runs/gpus'][:] = 0
run 0: has impossible sizes: -3 GPUs | f['runs/gpus'][:] = -3
run 0: has impossible sizes: 4 GPUs on 9 ranks | f['runs/ranks'][:] = 9
run 0: has impossible sizes: 2147483647 ranks | f['runs/ranks'][:] = 2**31 - 1
run 0: has impossible sizes: 0 layers | f['runs/layers'][:] = 0
run 0: has impossible sizes: -1 experts | f['runs/experts'][:] = -1
run 0: has impossible sizes: 2147483647 slots | f['runs/slots'][:] = 2**31 - 1
run 0: has impossible sizes: 8 measured iterations and samples of 9 | f['runs/period'][:] = 9
run 0: says 7 iterations and has times of 8 | f['runs/measured'][:] = 7
'n': -5 | f['runs/n'][:] = -5
statistics of 1e+09 samples | f['runs/n'][:] = 1000000000
'layer_time': -1 | f['runs/layer_time'][:] = -1
a layer that took no time | f['runs/layer_time'][:] = 0
'layer_time': inf | f['runs/layer_time'][0, 1, 1, 3] = np.inf
'layer_time': 1e+308 | f['runs/layer_time'][:] = 1e308
says 8 iterations and has times of 0 | f['runs/layer_time'][:] = np.nan
'median': inf | f['runs/median'][:] = np.inf
'phase_time': -1 | f['runs/phase_time'][:] = -1
dataset 'run_id' does not fit | t = f['runs/run_id'].dtype; del f['runs/run_id']; f['runs'].create_dataset('run_id', (900000,), t, chunks=(1000,))
dimension 'run_id' has 300000000 values | t = f['runs/run_id'].dtype; del f['runs/run_id']; f['runs'].create_dataset('run_id', (300000000,), t, chunks=(1000,))
damaged HDF5 file | t = f['runs/run_id'].dtype; del f['runs/run_id']; f['runs'].create_dataset('run_id', (300000000,), t, chunks=(1000,))[7] = 'x'
has 65 strategies, at most 64 | t = f['runs/strategy'].dtype; del f['runs/strategy']; f['runs'].create_dataset('strategy', (65,), t)
EOF2
each run "a run is refused" <<'EOF2'
'layer_time_gpu': -1 | f['timing/layer_time_gpu'][0, 0, 0] = -1
a layer that took no time | f['timing/layer_time_wall'][1, 2] = 0
'wall': inf | f['timing/wall'][0, 0, 0, 0, 0] = np.inf
'exposed': 1e+308 | f['timing/exposed'][2] = 1e308
has impossible sizes: -1 experts of a token | f['config'].attrs['top_k'] = -2**60
has impossible sizes: 0 nodes | f['provenance'].attrs['nodes'] = 0
EOF2

# What a merge is handed: more strategies than there may be, or not those of the others.
merged() { # FROM TEXT PYTHON
    edit "$1" edited "f.attrs['run_id'] = 'another'; $3" && rm -f "$dir/merged.h5" &&
        refused 2 "$2" ./moegps merge "$dir/run.h5" "$dir/edited.h5" -o "$dir/merged.h5" && [ ! -e "$dir/merged.h5" ]
}
check "a merge refuses 65 strategies of a sweep" merged sweep "has 65 strategies, at most 64" \
    "t = f['runs/strategy'].dtype; del f['runs/strategy']; f['runs'].create_dataset('strategy', (65,), t)"
check "... and of a run" merged run "has 65 strategies, at most 64" \
    "t = f['timing/strategy'].dtype; del f['timing/strategy']; f['timing'].create_dataset('strategy', (65,), t)"
check "... and other strategies than the first run has" merged run "its strategy 1 is" \
    "f['timing/strategy'][1] = 'other'"

# Texts that would be lines of their own, or orders to a terminal.
forges_nothing() {
    edit run forged "f.attrs['title'] = 't\n\x1b]0;x\x07RESULT: VALID'
    f.attrs['validation'] = 'fail'
    f.attrs['validation_text'] = 'ok\nRESULT: VALID\nFOM speedup_gpu x = 99 1'
    f['config'].attrs['model'] = 'm\nRESULT: VALID\n'
    f['timing/strategy'][1] = '=cmd()\u009b31m'" || return 1
    kept ./moegps report "$dir/forged.h5"
    [ "$(grep -c '^RESULT' "$dir/out")" -eq 1 ] && out_has "RESULT: INVALID" &&
        ! grep -q '^FOM speedup_gpu x' "$dir/out" &&
        ! grep -qP '[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]' "$dir/out" &&
        exits 3 ./moegps report --csv - "$dir/forged.h5" &&
        out_has "'=cmd()" && not grep -q '^=\|,=' "$dir/out"
}
check "texts of files forge no lines" forges_nothing

# Every text of every kind of file, so spoilt.
kept ./moegps map --model mixtral-8x7b --clusters a100-nvlink --skews 1,2 -o "$dir/map.h5"
cp jobs/traces/mixtral-8x7b-mmlu.h5 "$dir/trace.h5"
for f in run sweep map; do
    check "texts of a $f reach no terminal raw" "$PYTHON" tests/poison.py "$dir/$f.h5" ./moegps report @
done
for what in info check; do
    check "texts of a trace do not, by trace $what" "$PYTHON" tests/poison.py "$dir/trace.h5" ./moegps trace $what @
done
check "texts of recordings, placements and profiles do not" "$PYTHON" tests/poison.py "$dir"

# A predictor file, and files whose names are texts, too.
check "a predictor is trained" kept ./moegps train -t mixtral-8x7b-tokens -p ngram -o "$dir/predictor.h5" -q
check "texts of a predictor do not" "$PYTHON" tests/poison.py "$dir/predictor.h5" \
    ./moegps evaluate -t mixtral-8x7b-tokens -p ngram --seq 0 --repeats 1 --load @
names_are_plain() {
    local odd=$'odd\e]0;x\a\xe2\x80\xae' kind
    mkdir -p "$dir/odd/jobs"/{models,clusters,traces,predictors}
    cp jobs/models/mixtral-8x7b.yaml "$dir/odd/jobs/models/$odd.yaml"
    cp jobs/clusters/a100-paper.yaml "$dir/odd/jobs/clusters/$odd.yaml"
    cp "$dir/trace.h5" "$dir/odd/jobs/traces/$odd.h5"
    cp "$dir/predictor.h5" "$dir/odd/jobs/predictors/$odd.h5"
    for kind in models clusters traces trained; do
        exits 0 env MOEGPS_JOBS="$dir/odd/jobs" ./moegps list $kind && out_has "odd?]0;x??" || return 1
        ! grep -P '[\x00-\x08\x0b-\x1f\x7f]|\xe2\x80[\xaa-\xae]' "$dir/out" || return 1
    done
    exits 0 ./moegps plan --loads "$dir/odd/jobs/traces/$odd.h5" --gpus 4 && out_has "odd?]0;x??" &&
        ! grep -P '[\x00-\x08\x0b-\x1f\x7f]|\xe2\x80[\xaa-\xae]' "$dir/out"
}
check "names of files are shown as plain text" names_are_plain

# What gnuplot, a shell or a browser would run or mark up.
runs_nothing() {
    edit run evil "evil = '\\\\x\`touch $dir/ran\`\"\$(touch $dir/ran)\\'; system(\"touch $dir/ran\") #</script><b>& %s'
    s = f['timing/strategy']
    s[...] = [str(x) + evil for x in s.asstr()[...]]
    f.attrs['title'] = f['config'].attrs['model'] = evil" || return 1
    kept ./moegps report "$dir/evil.h5" -o "$dir/evil" && [ ! -e "$dir/ran" ] &&
        ! grep -F '#</script>' "$dir/evil/report.html" && "$PYTHON" - "$dir/evil" <<- 'PY'
		import glob, sys, xml.dom.minidom
		drawn = glob.glob(sys.argv[1] + "/figures/*.svg")
		texts = "".join(xml.dom.minidom.parse(f).toxml() for f in drawn)
		assert not drawn or "touch" in texts, "no name is shown"
		PY
}
check "texts of files run nothing, and mark nothing up" runs_nothing

# ---- files that a run goes on with, and other inputs of runs ----

cat > "$dir/x.yaml" <<'EOF2'
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 2, seq: 16, layers: "0", iterations: 8, warmup: 1, seed: 3}
emulation: {ffn: none, scale: 128}
strategies:
  - {name: baseline, predictor: none, planner: static}
  - {name: balanced, predictor: distribution, planner: duplicate, slots: 6}
EOF2
half="f.attrs['status'] = 'interrupted'; f['resume/progress'][0] = 4"
run() { ranks 2 ./moegps run "$dir/x.yaml" -q "$@"; }

# goes_on PYTHON: with a file that ended half-way, once that is done to it
goes_on() {
    rm -f "$dir/part.h5.partial" && edit whole part "$half; $1" &&
        kept run -o "$dir/part.h5" --resume
}

# damaged TEXT PYTHON: it does not, and says TEXT of the file, once
damaged() {
    ! goes_on "$2" && err_has "$1" && [ ! -e "$dir/part.h5" ] &&
        [ "$(grep -c "^moegps: .*part.h5\|^moegps: .*result file" "$dir/err")" -eq 1 ]
}

check "a whole run" kept run -o "$dir/whole.h5"
check "a status that h5py wrote can be changed" goes_on pass
while IFS='|' read -r text code; do
    check "a run does not go on with: ${code# }" damaged "${text% }" "${code# }"
done <<'EOF2'
is damaged: it has -9 in 'true_pairs' | f['load/true_pairs'][0, 0, 0] = -9
is damaged: it has -9223372036854775808 in 'dispatch_bytes' | f['resume/dispatch_bytes'][:] = -2**63
there is no expert 77 | f['plan/slot_expert'][:] = 77
a slot's quota is -1 | f['plan/slot_quota'][:] = -1
dataset 'resume/progress' has another type | del f['resume/progress']; f['resume/progress'] = [1.5, 0.]
its progress is 9 of 8 | f['resume/progress'][0] = 9
EOF2

# ran EXIT TEXT ARGUMENT...: a run ends so, saying TEXT
ran() { exits "$1" ./moegps run "$dir/x.yaml" -q -o "$dir/no.h5" "${@:3}"; err_has "$2"; }
{ cat "$dir/x.yaml" && for ((i = 0; i < 60000; i++)); do echo "key$i: 1"; done; } > "$dir/keys.yaml"
check "60000 unknown keys are refused at the first too many" refused 2 \
    "keys.yaml:1003: more than 1000 keys" ./moegps run -q "$dir/keys.yaml"
check "a fault that no call meets is an error" ran 2 \
    "--inject differ:0: rank 0 never came there" --inject differ:0

printf 'step,layer,expert,count\n0,0,0,1\n0,0,1,2\0garbage\n' > "$dir/zero.csv"
check "a zero byte in a trace's table is refused" refused 2 "zero.csv: is of no known format" \
    ./moegps trace import "$dir/zero.csv" --experts 2 --top-k 1 --model m --source s -o "$dir/zero.h5"
finish
