#!/usr/bin/env bash
# What README and docs/ say: every command that they show works as it stands, and
# every link leads somewhere. Prints TAP.
# shellcheck source=tests/tap.bash
. "$(dirname "$0")/tap.bash"

# A folder in which the commands find what their readers have.
top=$PWD work=$dir/work
mkdir -p "$work/results/strong"
ln -s "$top/jobs" "$top/moegps" "$work/"
"$PYTHON" tests/golden_measured.py "$work"
"$PYTHON" - "$work" << 'PY'
import sys
import numpy as np
rng = np.random.default_rng(1)
shares = rng.gamma(1.0, size=(58, 256))
loads = rng.multinomial(4096 * 8, shares / shares.sum(axis=1, keepdims=True), size=(9, 58))
np.save(sys.argv[1] + "/loads.npy", loads)
np.save(sys.argv[1] + "/later.npy", loads[:, :, ::-1])
with open(sys.argv[1] + "/loads.csv", "w") as f:
    f.write("layer,expert,count\n")
    f.writelines("%d,%d,%d\n" % (l, e, loads[0, l, e]) for l in range(58) for e in range(256))
PY

# commands FILE: one a line, as they are typed; output that is shown is not one
commands() {
    sed -n '/^```$/,/^```$/{/^```$/d;p}' "$1" | sed -e ':a' -e '/\\$/{N;s/ *\\\n */ /;ba' -e '}' |
        sed -nE 's/^(\$ )?((\.\/)?moegps |mpirun |jobs\/|python3 )/\2/p' | sed 's/  *# .*//'
}

# step COMMAND: in the folder. The predictors' job takes long: checked, not run.
# Links are calibrated by two of eight ranks; calibrate.test.sh reads what comes out.
step() {
    local line=$1
    case $line in
    *" -n 8 moegps calibrate "*) line=${line/ -n 8 / -n 2 } ;;
    *"run jobs/tokens.yaml"*)
        line="moegps run jobs/tokens.yaml -o mine.h5 --dry-run --ranks 4 && cp run.h5 mine.h5" ;;
    *"run jobs/paced.yaml"*) line="$line --dry-run" ;; # paced.test.sh runs such
    *tests/cluster*) return 0 ;; # cluster.test.sh runs it
    esac
    (cd "$work" && PATH=$top:$PATH && eval "${line//python3/$PYTHON}")
}

for f in docs/recordings.md README.md docs/advice.md docs/clusters.md; do
    n_commands=0
    [ "$f" != README.md ] || rm -f "$work/recorded.h5" "$work/placement.json" # makes them, too
    while read -r line; do
        n_commands=$((n_commands + 1))
        check "$line" step "${line//mpirun/$MPIRUN}" < /dev/null
        [ -e "$work/results/strong/sweep.h5" ] || [ ! -e "$work/run.h5" ] ||
            (cd "$work" && ./moegps merge run.h5 -o results/strong/sweep.h5 2> /dev/null)
    done < <(commands "$f" | awk '!seen[$0]++')
    check "$f shows commands" [ "$n_commands" -gt 2 ]
done
loads() { # every layer of the model has a row of 12 slots
    "$PYTHON" -c "
import json
rows = json.load(open('$work/placement.json'))['physical_to_logical_map']
assert len(rows) == 32 and all(len(r) == 12 and set(r) == set(range(8)) for r in rows)"
}
check "the placement is one that SGLang takes" loads

# Headings become anchors: lower case, without marks, dashes for blanks.
anchors() { sed -n 's/^#\{1,6\} //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^a-z0-9 _-]//g; s/ /-/g'; }
links() { # FILE
    local target file anchor rc=0
    while read -r target; do
        file=${target%%#*} anchor=${target#"$file"}
        [ -n "$file" ] && file=$(dirname "$1")/$file || file=$1
        [ -e "$file" ] || { echo "$1: no $target"; rc=1; }
        [ -z "$anchor" ] || anchors "$file" | grep -x -- "${anchor#\#}" > /dev/null || { echo "$1: no $target"; rc=1; }
    done < <(grep -oE '\]\([^)]+\)' "$1" | sed 's/^](//; s/)$//' | grep -v '^https\?:')
    return $rc
}
for f in README.md docs/*.md jobs/README.md results/*.md; do
    check "links of $f lead somewhere" links "$f"
done
finish
