#!/usr/bin/env bash
# What tests/run.sh says of tests that fail. Speaks TAP.
# shellcheck source=tests/tap.bash
. "$(dirname "$0")/tap.bash"

cat > "$dir/fails.test.sh" << END
. tests/tap.bash
check "is well" true
check "is not" sh -c 'seq 20; exit 1'
check "... and neither is this" sh -c 'echo "of the second"; exit 1'
finish
END
cat > "$dir/breaks.test.sh" << END
echo "ok - begins"
echo "came to nothing" >&2
exit 3
END
cat > "$dir/program" << END
#!/bin/sh
echo "ok - first"
echo "not ok - second"
echo "# rank 1: second: x.c:7: 1 is not 2" >&2
echo "# rank 0: other: x.c:8: 2 is not 3" >&2
echo "1..2"
exit 1
END
chmod +x "$dir/program"

# ran STATUS TEST...: by a runner of its own
ran() { WAITING=${waiting:-} BUILD=$dir/build JOBS=1 exits "$1" tests/run.sh "${@:2}"; }

# said_last LINES: at the end, behind that of where all is
said_last() { is "$(sed '1,/^failed; /d' "$dir/out")" "$1"; }

check "failed tests fail a run" ran 1 "$dir/fails.test.sh" "$dir/program" "$dir/breaks.test.sh"
check "each is listed at the end with 15 lines of what it said" said_last \
    "fails.test.sh: not ok - is not
$(seq 15 | sed 's/^/# /')
fails.test.sh: not ok - ... and neither is this
# of the second
program: not ok - second
# rank 1: second: x.c:7: 1 is not 2
breaks.test.sh: not ok - ended with status 3 before its last test
# came to nothing
3 passed, 4 failed"
check "a test has its time by the wall and of CPU" \
    grep -Eq '^program +1 passed   1 failed +[0-9]+ s +[0-9.]+ s CPU$' "$dir/out"
cat > "$dir/well.test.sh" << END
. tests/tap.bash
check "is well" true
skip "is left out" "nothing is there"
finish
END
check "what passes or is skipped fails no run" ran 0 "$dir/well.test.sh"
check "... and lists nothing" not grep -q '^failed' "$dir/out"
check "... but counts both" is "$(tail -n 1 "$dir/out")" "1 passed, 0 failed, 1 skipped"

# One ends only once the other has begun, and there is one job at a time.
cat > "$dir/waits.test.sh" << END
. tests/tap.bash
check "another runs meanwhile" await 60 test -e "$dir/begun"
finish
END
cat > "$dir/begins.test.sh" << END
. tests/tap.bash
check "begins" touch "$dir/begun"
finish
END
waiting=waits.test.sh
check "who waits takes no job's place" ran 0 "$dir/waits.test.sh" "$dir/begins.test.sh" "$dir/well.test.sh"
check "... and what follows runs, too" is "$(tail -n 1 "$dir/out")" "3 passed, 0 failed, 1 skipped"
finish
