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

# refuses FROM TEXT PYTHON: a report of the edited file says TEXT, no more.
refuses() {
    edit "$1" edited "$3" && refused 2 "$2" ./moegps report "$dir/edited.h5"
}

# each FROM NAME: rows of "TEXT | PYTHON", one test each, on standard input
each() {
    local text code
    while IFS='|' read -r text code; do
        check "$2: ${code# }" refuses "$1" "${text% }" "${code# }"
    done
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
finish
