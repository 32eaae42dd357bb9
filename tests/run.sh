#!/usr/bin/env bash
# Run the test programs and scripts given as arguments; all speak TAP. Programs
# under a folder parallel/ run on each number of RANKS; on all but the first they
# leave out what does not depend on it. JOBS run side by side, and beside them
# those named in WAITING, which need a core for a part of their time only.
# Each has its line: tests, and seconds by the wall and of CPU, the latter without
# what daemons took. At the end every failed test is listed with what it said; the
# last line is "N passed, N failed[, N skipped]"; exit 1 if any failed.
set -uo pipefail
# shellcheck source=tests/env.bash
. "$(dirname "$0")/env.bash"
: "${RANKS:=1 2 4}" "${JOBS:=$(nproc)}" "${WAITING:=}"
logs=$BUILD/check log=$BUILD/check.log failures=$BUILD/check/failures
rm -rf "$logs" && mkdir -p "$logs" && : > "$log" && : > "$failures"
passed=0 failed=0 skipped=0 waiting=0 # the last: of those that run
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

waits() { [[ " $WAITING " = *" $1 "* ]]; }

# start NAME LIMIT_S COMMAND...: beside the others
start() {
    if waits "$1"; then
        waiting=$((waiting + 1))
    else
        while [ $((${#name_of[@]} - waiting)) -ge "$JOBS" ]; do finish_one; done
    fi
    # shellcheck disable=SC2016 # for the shell that keeps the time
    timeout -k 5 $(($2 * slow)) bash -c \
        'TIMEFORMAT="%U %S"; { time "$@" 2>&3; } 3>&2 2> "$0"' \
        "$logs/$1.cpu" "${@:3}" > "$logs/$1.out" 2> "$logs/$1.err" &
    name_of[$!]=$1 started[$!]=$SECONDS
}

# explain NAME: its failed tests, each with what it said: in lines "# ..." that
# follow it, or as "# rank R: TEST: ..." of a program.
explain() {
    awk -v name="$1" '
        FILENAME == ARGV[1] { said[n++] = $0; next }
        /^not ok / {
            print name ": " $0
            left = 15
            for (i = 0; i < n && left > 0; i++)
                if (index(said[i], ": " substr($0, 10) ": ")) { print said[i]; left-- }
            next
        }
        !/^#/ { left = 0 }
        left-- > 0' "$logs/$1.err" "$logs/$1.out"
}

# Count the TAP lines of one that has ended; no plan, or a bad exit status
# without a failed test, is a failure of its own.
finish_one() {
    local pid rc=0 name out p f s
    wait -n -p pid || rc=$?
    name=${name_of[$pid]} out=$logs/$name.out
    { echo "== $name (exit $rc)" && cat "$logs/$name.err" "$out"; } >> "$log"
    if ! grep -q '^1\.\.' "$out" || { [ "$rc" -ne 0 ] && ! grep -q '^not ok ' "$out"; }; then
        { echo "not ok - ended with status $rc before its last test" &&
            tail -n 15 "$logs/$name.err" | sed 's/^/# /'; } >> "$out"
    fi
    s=$(grep -c '^ok .*# SKIP' "$out")
    p=$(($(grep -c '^ok ' "$out") - s))
    f=$(grep -c '^not ok ' "$out")
    sed -n "/^not ok \|^ok .*# SKIP/s|^|$name: |p" "$out"
    explain "$name" >> "$failures"
    printf '%-40s %4d passed %3d failed %4d s %6.1f s CPU\n' "$name" "$p" "$f" \
        $((SECONDS - started[$pid])) \
        "$(awk '{ s = $1 + $2 } END { print s + 0 }' "$logs/$name.cpu" 2> /dev/null)"
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    ! waits "$name" || waiting=$((waiting - 1))
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
[ "$failed" -eq 0 ] || { echo && echo "failed; all that was said is in $log" && cat "$failures"; }
line="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || line="$line, $skipped skipped"
echo "$line"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
