#!/usr/bin/env bash
# Fuzz each parser, or those of FUZZ="NAME ...", for SECONDS_EACH: from the seeds
# of tests/fuzz/NAME, and what earlier runs found worth keeping in build/. What
# crashes, hangs or takes too much memory stays as build/fuzz/found-NAME-*.
# The last line is "N parsers, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1
program=$1 seconds=${SECONDS_EACH:-60} failed=0 n=0
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
work=$(dirname "$program")
for name in ${FUZZ:-$(env -u FUZZ "$program")}; do
    mkdir -p "$work/corpus-$name"
    FUZZ=$name "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
        -malloc_limit_mb=1024 -max_len=8192 -artifact_prefix="$work/found-$name-" \
        -print_final_stats=1 -verbosity=0 "$work/corpus-$name" "tests/fuzz/$name" \
        > "$work/$name.log" 2>&1
    rc=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$name.log")
    printf '%-12s %9s runs  %s\n' "$name" "${runs:-?}" "$([ $rc -eq 0 ] && echo ok || echo "FAILED: $work/$name.log")"
    n=$((n + 1)) failed=$((failed + (rc != 0)))
done
echo "$n parsers, $failed failed"
[ "$failed" -eq 0 ]
