# What the scripts of tests share; source it first, and end with `finish`. A
# script speaks TAP. It has a scratch folder, $dir, that goes with the shell.
set -uo pipefail
# shellcheck source=tests/env.bash
. "$(dirname "${BASH_SOURCE[0]}")/env.bash"
dir=$(mktemp -d "${SCRATCH:-${TMPDIR:-/tmp}}/moegps-test-XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
why_not= # set: why all that follows is skipped

# check NAME COMMAND...: a test that passes when the command succeeds; if not,
# all that was said: by the command, and in $dir/out and $dir/err.
check() {
    [ -z "$why_not" ] || { skip "$1" "$why_not"; return; }
    n=$((n + 1))
    if "${@:2}" > "$dir/said" 2>&1; then
        echo "ok - $1"
    else
        echo "not ok - $1"
        cat "$dir/said" "$dir/out" "$dir/err" 2> /dev/null |
            sed 's/^/# /' | ends
    fi
}

# Of much, how it begins and how it ends: why something failed stands at either.
ends() {
    awk '{ line[NR] = $0 }
         END { for (i = 1; i <= NR; i++)
                   if (i <= 10 || i > NR - 30) print line[i]
                   else if (i == 11) print "# ..." }'
}

# skip NAME WHY
skip() {
    n=$((n + 1))
    echo "ok - $1 # SKIP $2"
}

# check_if PYTHON-MODULES NAME COMMAND...: skipped where one of them is missing
check_if() {
    if "$PYTHON" -c "import ${1// /, }" 2> /dev/null; then
        check "${@:2}"
    else
        skip "$2" "needs Python's $1"
    fi
}

finish() { echo "1..$n"; }

# ---- what commands do ----

# ranks N COMMAND...: on so many. The limit is for those that hang.
ranks() {
    timeout -k 5 "${limit_s:-600}" "$MPIRUN" -n "$@"
}

# kept COMMAND...: output in $dir/out, errors in $dir/err
kept() {
    "$@" > "$dir/out" 2> "$dir/err"
}

# exits CODE COMMAND...: kept
exits() {
    local rc=0
    kept "${@:2}" || rc=$?
    [ "$rc" -eq "$1" ] || { echo "exit $rc, not $1"; return 1; }
}

# says TEXT COMMAND...: succeeds, with TEXT on stdout and nothing on stderr
says() {
    exits 0 "${@:2}" && out_has "$1" && [ ! -s "$dir/err" ]
}

# refused CODE TEXT COMMAND...: that exit code, and TEXT is all that is said
refused() {
    exits "$1" "${@:3}" && refusal "$2"
}

# refusal TEXT: nothing on stdout, and one line of ours on stderr, with TEXT
refusal() {
    [ ! -s "$dir/out" ] || { echo "something on stdout"; return 1; }
    [ "$(wc -l < "$dir/err")" -eq 1 ] || { echo "not one line"; return 1; }
    grep -q '^moegps: ' "$dir/err" && err_has "$1"
}

# What the last of these commands said, on stdout or on stderr.
out_has() { grep -qF -- "$1" "$dir/out" || { echo "does not say: $1"; return 1; }; }
# out_reads TEXT: out_has, wherever lines break: names of folders are long or short.
out_reads() { [[ $(tr -s ' \n' ' ' < "$dir/out") = *"$1"* ]] || { echo "does not read: $1"; return 1; }; }
err_has() { grep -qF -- "$1" "$dir/err" || { echo "does not say: $1"; return 1; }; }

# finds ARGUMENTS OF GREP: behind a pipe, without a word. All of it is read: grep -q
# ends at once, and what writes into the pipe may fail for that.
finds() { grep "$@" > /dev/null; }

is() { [ "$1" = "$2" ] || { echo "is '$1', not '$2'"; return 1; }; }
not() { ! "$@"; }

# ---- what a result file says, also one that is being written, which HDF5 locks ----

# from FILE EXPRESSION: of the h5py file f; FILE in $dir unless its path is whole
from() {
    HDF5_USE_FILE_LOCKING=FALSE "$PYTHON" -c "import h5py, os, sys
f = h5py.File(os.path.join(*sys.argv[1:]))
print($2)" "$dir" "$1"
}

# attribute_is FILE NAME VALUE
attribute_is() { is "$(from "$1" "f.attrs['$2']")" "$3"; }

# done_in FILE: iterations that the journal vouches for
done_in() { from "$1" 'f["resume/progress"][0]'; }

# flushed FILE: waits until some are, in one process: to start Python for each try
# takes half a second of CPU. A file that is being written may be unreadable.
flushed() {
    HDF5_USE_FILE_LOCKING=FALSE "$PYTHON" - "$dir/$1" "$(patience 60)" <<'PY'
import sys
import time
import h5py

until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    try:
        with h5py.File(sys.argv[1]) as f:
            if f["resume/progress"][0] > 0:
                sys.exit(0)
    except (OSError, KeyError):
        pass
    time.sleep(0.02)
sys.exit("no iteration was flushed")
PY
}
