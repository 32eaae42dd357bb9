#!/usr/bin/env bash
# The threaded parts under the thread sanitizer: tests/tsan.sh PROGRAM...
# clang's libomp tells the sanitizer of its locks and barriers, through the tool
# libarcher that comes with it; GNU's does not. Libraries that were not built for
# it, as MPI, are left out.
set -euo pipefail
# shellcheck source=tests/env.bash
. "$(dirname "$0")/env.bash"
export OMP_NUM_THREADS=4 CK_FORK=no
export TSAN_OPTIONS=ignore_noninstrumented_modules=1:exitcode=66
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed=0
for program in "$@"; do
    if "$program" > "$log" 2>&1 && ! grep -q 'WARNING: ThreadSanitizer' "$log"; then
        echo "ok - ${program##*/}"
    else
        echo "not ok - ${program##*/}" && sed 's/^/# /' "$log" | tail -n 60
        failed=$((failed + 1))
    fi
done
echo "1..$#"
echo "$(($# - failed)) passed, $failed failed"
[ "$failed" -eq 0 ]
