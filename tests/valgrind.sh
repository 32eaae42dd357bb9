#!/usr/bin/env bash
# A run on two ranks, and a report of it, under valgrind: any error fails.
# What our own code or HDF5, oneDNN and hwloc do for us is not suppressed.
set -euo pipefail
# shellcheck source=tests/env.bash
. "$(dirname "$0")/env.bash"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export ONEDNN_MAX_CPU_ISA=AVX2 # valgrind knows no AVX-512
supplied=$(ls /usr/share/openmpi/openmpi-valgrind.supp 2> /dev/null || true)
checked=(valgrind --quiet --error-exitcode=9 --num-callers=30
    --suppressions=tests/valgrind.supp ${supplied:+"--suppressions=$supplied"})

# try NAME COMMAND...: its errors, if there are any
try() {
    if "${@:2}" > "$dir/out" 2> "$dir/err"; then
        echo "ok - $1"
    else
        echo "not ok - $1" && sed -n 's/^==[0-9]*==/#&/p' "$dir/err" | head -n 100
        failed=$((failed + 1))
    fi
}

failed=0
try "a run on two ranks" "$MPIRUN" -n 2 "${checked[@]}" "$BUILD/moegps" run jobs/demo.yaml -q \
    --set workload.layers=0-1 --set workload.iterations=3 --set workload.seq=64 \
    --set emulation.scale=64 -o "$dir/run.h5"
try "its report" "${checked[@]}" "$BUILD/moegps" report "$dir/run.h5" --json "$dir/run.json"
try "advice" "${checked[@]}" "$BUILD/moegps" advise --model mixtral-8x7b --cluster a100-nvlink \
    --gpus 4 --skew 2 --samples 1
echo "1..3"
echo "$((3 - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
