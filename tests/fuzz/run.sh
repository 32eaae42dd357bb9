#!/usr/bin/env bash
# run.sh FUZZER MOEGPS: fuzz each parser, or those of FUZZ="NAME ...", for
# SECONDS_EACH: from the seeds of tests/fuzz/NAME, small recordings, and what
# earlier runs found worth keeping in build/. What crashes, hangs or takes too
# much memory stays as build/fuzz/found-NAME-*. Says how many inputs ran, what
# they covered (edges), and when the last of it was reached.
# The last line is "N parsers, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
program=$1 moegps=$2 seconds=${SECONDS_EACH:-60} failed=0 n=0
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
work=$(dirname "$program")

# One file of each kind that this program writes, for the target h5.
make_files() {
    rm -rf "$1" && mkdir -p "$1"
    "$moegps" trace synth --kind token --model mixtral-8x7b --seqs 30 --tokens 8 \
        --vocab 9 -o "$1/token.h5" &&
        "$moegps" trace synth --kind load --seqs 4 --tokens 16 --layers 2 --experts 4 \
            -o "$1/load.h5" &&
        "$moegps" train -t "$1/token.h5" -p ffn --epochs 1 -o "$1/predictors.h5" &&
        "$moegps" map --model mixtral-8x7b --clusters a100-nvlink --skews 1,2 -o "$1/map.h5" &&
        "${MPIRUN:-mpirun}" --oversubscribe -n 2 "$moegps" run tests/fuzz/run.yaml \
            --set "trace=$1/token.h5" -o "$1/run.h5" &&
        "$moegps" merge -o "$1/sweep.h5" "$1/run.h5"
}

export FUZZ_H5=$work/h5
ASAN_OPTIONS=detect_leaks=0 make_files "$FUZZ_H5" > "$work/files.log" 2>&1 ||
    { echo "cannot make the files of h5: $work/files.log"; exit 1; }
# Each line of a log begins with the seconds since its start.
stamp() {
    local line begin=$SECONDS
    while IFS= read -r line; do echo "$((SECONDS - begin)) $line"; done
}

for name in ${FUZZ:-$(env -u FUZZ "$program")}; do
    mkdir -p "$work/corpus-$name"
    # of h5: MPI, which HDF5 needs, leaks by itself
    ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=$([ "$name" = h5 ]; echo $?)
    FUZZ=$name "$program" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
        -malloc_limit_mb=1024 -max_len=8192 -artifact_prefix="$work/found-$name-" \
        -print_final_stats=1 "$work/corpus-$name" "tests/fuzz/$name" tests/data/recordings \
        2>&1 | stamp > "$work/$name.log"
    rc=${PIPESTATUS[0]}
    runs=$(sed -n 's/.*stat::number_of_executed_units: *//p' "$work/$name.log" | tail -1)
    covered=$(grep -ao 'cov: [0-9]*' "$work/$name.log" | tail -1)
    last=$(awk '/ cov: / { split($0, part, " cov: "); cov = part[2] + 0 }
        /NEW  / && cov > most { last = $1 } cov > most { most = cov } END { print last + 0 }' \
        "$work/$name.log")
    printf '%-14s %9s runs  %-10s last new after %4s s  %s\n' "$name" "${runs:-?}" "$covered" \
        "$last" "$([ "$rc" -eq 0 ] && echo ok || echo "FAILED: $work/$name.log")"
    n=$((n + 1)) failed=$((failed + (rc != 0)))
done
echo "$n parsers, $failed failed"
[ "$failed" -eq 0 ]
