#!/usr/bin/env bash
# Make the page of a run, and try it in a browser.
set -euo pipefail
# shellcheck source=tests/env.bash
. "$(dirname "$0")/env.bash"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$MPIRUN" -n 4 ./moegps run jobs/demo.yaml -q --set workload.iterations=12 --set workload.layers=0-7 -o "$dir/run.h5" > "$dir/log" 2>&1 ||
    { cat "$dir/log"; exit 1; }
./moegps report "$dir/run.h5" -o "$dir/page" > /dev/null
"$PYTHON" tests/check_page.py "$dir/page/report.html"
