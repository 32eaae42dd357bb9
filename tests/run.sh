#!/usr/bin/env bash
# Run the test programs and scripts given as arguments; all speak TAP. Programs
# under a folder parallel/ run on each number of RANKS; on all but the first they
# leave out what does not depend on it. JOBS run side by side.
# The last line is "N passed, N failed[, N skipped]"; exit 1 if any failed.
set -uo pipefail
# shellcheck source=tests/env.bash
. "$(dirname "$0")/env.bash"
: "${RANKS:=1 2 4}" "${JOBS:=$(nproc)}"
logs=$BUILD/check log=$BUILD/check.log
rm -rf "$logs" && mkdir -p "$logs" && : > "$log"
passed=0 failed=0 skipped=0
declare -A name_of=() started=()
trap 'kill "${!name_of[@]}"; exit 130' INT TERM
# Results are flushed to what they lie on. A disk would be waited for; memory,
# where there is room, is not.
if [ -z "${TMPDIR:-}" ] && [ "$(($(stat -f -c '%a * %S' /dev/shm 2> /dev/null || echo 0)))" -gt $((4 << 30)) ]; then
    TMPDIR=$(mktemp -d /dev/shm/moegps-check-XXXXXX) && export TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT
fi
slow=$(patience 1) # the limits are for what hangs
export CK_TIMEOUT_MULTIPLIER=$slow

# start NAME LIMIT_S COMMAND...: beside the others
start() {
    while [ "${#name_of[@]}" -ge "$JOBS" ]; do finish_one; done
    timeout -k 5 $(($2 * slow)) "${@:3}" > "$logs/$1.out" 2> "$logs/$1.err" &
    name_of[$!]=$1 started[$!]=$SECONDS
}

# Count the TAP lines of one that has ended; no plan, or a bad exit status
# without a failed test, is a failure of its own.
finish_one() {
    local pid rc=0 name out p f s
    wait -n -p pid || rc=$?
    name=${name_of[$pid]} out=$logs/$name.out
    { echo "== $name (exit $rc)" && cat "$logs/$name.err" "$out"; } >> "$log"
    if ! grep -q '^1\.\.' "$out" || { [ "$rc" -ne 0 ] && ! grep -q '^not ok ' "$out"; }; then
        echo "not ok - ended with status $rc before its last test" >> "$out"
    fi
    s=$(grep -c '^ok .*# SKIP' "$out")
    p=$(($(grep -c '^ok ' "$out") - s))
    f=$(grep -c '^not ok ' "$out")
    sed -n "/^not ok \|^ok .*# SKIP/s|^|$name: |p" "$out"
    printf '%-40s %4d passed %3d failed %4d s\n' "$name" "$p" "$f" \
        $((SECONDS - started[$pid]))
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    unset "name_of[$pid]"
}

for t in "$@"; do
    case $t in
    */parallel/*)
        for n in $RANKS; do
            start "${t##*/} on $n" 300 "$MPIRUN" -n "$n" "$t"
            export TESTS_AGAIN=1 # what does not depend on n was tested
        done
        unset TESTS_AGAIN ;;
    *.sh) start "${t##*/}" 1800 bash "$t" ;;
    *) start "${t##*/}" 300 "$t" ;;
    esac
done
while [ "${#name_of[@]}" -gt 0 ]; do finish_one; done
[ "$failed" -eq 0 ] || { echo; echo "failures are explained in $log"; grep -h '^# ' "$log" | head -n 40; }
line="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
