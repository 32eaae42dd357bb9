#!/usr/bin/env bash
# Run the benchmark programs given as arguments. Each prints medians and ratios
# beside targets; none fails for being slow. A program with a line
# "/* ranks: 2 4 ..." runs on those numbers of ranks, others on one. Then time
# reports.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
: "${BUILD:=build}" "${MPIRUN:=mpirun}"
export BUILD MPIRUN
export OMP_NUM_THREADS=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
cores=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc) # it heeds them
failed=0

# One core per rank where there are enough; else ranks share, and yield.
launch() {
    local n=$1
    shift
    if [ "$n" -le "$cores" ]; then
        "$MPIRUN" -n "$n" --bind-to core "$@"
    else
        "$MPIRUN" -n "$n" --oversubscribe --bind-to none \
            --mca mpi_yield_when_idle 1 "$@"
    fi
}

for b in "$@"; do
    source=tests/bench/${b##*/}.c
    ranks=$(sed -n 's|^/\* ranks: \([0-9 ]*\).*|\1|p' "$source")
    for n in ${ranks:-1}; do
        launch "$n" "$b" || { echo "${b##*/} on $n ranks failed"; failed=1; }
    done
done
tests/bench/report.sh || { echo "report.sh failed"; failed=1; }
exit $failed
