#!/usr/bin/env bash
# What reports and comparisons say, run: N drawn experiments, whose reports say
# what would change the verdict (N=50 SEED=100 for more); and RUNS equal runs,
# of which `compare` calls few different. VERBOSE=1 shows every claim. TAP.
. "$(dirname "$0")/tap.bash"
: "${N:=3}" "${SEED:=112}" "${RUNS:=12}"

turns() { "$PYTHON" tests/verdicts.py "$dir" "$N" "$SEED"; }
equal() { "$PYTHON" tests/null.py "$dir" "$RUNS" "$SEED"; }

check_if "h5py numpy" "where $N reports say that verdicts turn, runs turn" turns
check "of $RUNS equal runs few are called different" equal
[ -z "${VERBOSE:-}" ] || cat "$dir/said"
finish
