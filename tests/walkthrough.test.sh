#!/usr/bin/env bash
# The walk-through of README, "From a recording to an engine", as it stands. TAP.
. "$(dirname "$0")/tap.bash"

top=$PWD
sed -n '/^## From a recording/,/^## Planning/p' README.md | sed -n '/^```$/,/^```$/{/^```$/d;p}' \
    > "$dir/commands"
cp jobs/demo.yaml "$dir"
step() {
    cd "$dir" || return 1
    eval "$(printf '%s' "$1" | sed "s|mpirun|$MPIRUN|; s|moegps |$top/moegps |")"
    local rc=$?
    cd "$top" && return $rc
}
while read -r line; do
    check "$line" step "$line" < /dev/null
done < "$dir/commands"
check "these were eight commands" is "$(wc -l < "$dir/commands")" 8
loads() { # every layer of the model has a row of 12 slots
    "$PYTHON" -c "
import json
rows = json.load(open('$dir/placement.json'))['physical_to_logical_map']
assert len(rows) == 32 and all(len(r) == 12 and set(r) == set(range(8)) for r in rows)"
}
check "the placement is one that SGLang takes" loads
finish
