#!/usr/bin/env bash
# Run test programs given as arguments, then the scripts tests/*.test.sh; all
# speak TAP. Programs under tests/parallel run on 1, 2 and 4 ranks.
# The last line is "N passed, N failed[, N skipped]"; exit 1 if any failed.
set -uo pipefail
cd "$(dirname "$0")/.."
: "${BUILD:=build}" "${MPIRUN:=mpirun}" "${RANKS:=1 2 4}"
export BUILD MPIRUN
export OMP_NUM_THREADS=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Whole stacks, for lsan.supp; and let malloc fail, as it does without.
export ASAN_OPTIONS=fast_unwind_on_malloc=0:allocator_may_return_null=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1
log=$BUILD/check.log
: > "$log"
passed=0 failed=0 skipped=0

# run NAME LIMIT_S COMMAND...: count its TAP lines; no plan, or a bad exit
# status without a failed test, is a failure of its own.
run() {
    local name=$1 limit=$2 out rc=0 p f s
    shift 2
    out=$(timeout -k 5 "$limit" "$@" 2>>"$log") || rc=$?
    printf '== %s (exit %d)\n%s\n' "$name" "$rc" "$out" >> "$log"
    s=$(grep -c '^ok .*# SKIP' <<< "$out")
    p=$(( $(grep -c '^ok ' <<< "$out") - s ))
    f=$(grep -c '^not ok ' <<< "$out")
    if { [ "$rc" -ne 0 ] && [ "$f" -eq 0 ]; } || ! grep -q '^1\.\.' <<< "$out"; then
        f=$((f + 1))
        echo "not ok - $name ended with status $rc before its last test"
    fi
    grep '^not ok ' <<< "$out" | sed "s|^|$name: |"
    grep '^ok .*# SKIP' <<< "$out" | sed "s|^|$name: |"
    printf '%-44s %4d passed %3d failed\n' "$name" "$p" "$f"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

for t in "$@"; do
    case $t in
    */parallel/*)
        for n in $RANKS; do
            run "${t##*/} on $n" 300 "$MPIRUN" -n "$n" "$t"
        done ;;
    *) run "${t##*/}" 300 "$t" ;;
    esac
done
for t in tests/*.test.sh; do
    [ -e "$t" ] && run "${t##*/}" 900 bash "$t"
done
[ "$failed" -eq 0 ] || { echo; echo "failures are explained in $log"; grep -h '^# ' "$log" | head -n 40; }
line="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ]
