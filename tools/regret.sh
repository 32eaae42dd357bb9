#!/usr/bin/env bash
# Write results/regret.md: which stage loses balance, on the bundled traces.
# Nothing in it is a time, so that every machine gets the same numbers.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${OUT:=results/regret.md}" "${MPIRUN:=mpirun}"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# section TITLE ARGUMENTS...: a run, its table of regrets, and their spread.
section() {
    local title=$1
    shift
    printf '\n## %s\n\n```\n$ mpirun -n 4 moegps run jobs/regret.yaml%s\n\n' "$title" "${*:+ $*}"
    "$MPIRUN" -n 4 --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 \
        ./moegps run jobs/regret.yaml "$@" --force -q -o "$dir/run.h5" > "$dir/out" 2> "$dir/err" ||
        { cat "$dir/err" >&2; return 1; }
    sed -n '/^Load and prediction/,/^What balancing costs/p' "$dir/out" | sed '$d'
    printf '```\n\n'
    ./moegps report "$dir/run.h5" --force --csv "$dir/run.csv" > "$dir/out"
    spread "$dir/run.csv"
    cp "$dir/run.csv" "$dir/${title%% on *}.csv"
}

# spread FILE: mean and standard deviation of every stage over iterations.
spread() {
    /usr/bin/python3 - "$1" <<'PY'
import csv
import sys

rows = list(csv.DictReader(open(sys.argv[1])))
metrics = ["regret_split", "regret_prediction", "regret_planner", "regret_room"]
print("Mean and standard deviation over iterations, in mean loads of a GPU:\n")
print("| strategy | n |", " | ".join(m[7:] for m in metrics), "|")
print("|---" * (2 + len(metrics)) + "|")
for name in dict.fromkeys(r["strategy"] for r in rows):
    own = {r["metric"]: r for r in rows if r["strategy"] == name}
    cells = ["%.4f, sd %.4f" % (float(own[m]["mean"]) + 0.0, float(own[m]["sd"])) for m in metrics]
    print("|", name, "|", own[metrics[0]]["n"], "|", " | ".join(cells), "|")
PY
}

# gains FILES: what the planner, quotas and the split minmax are worth, with the
# same forecast.
gains() {
    /usr/bin/python3 - "$@" <<'PY'
import csv
import os
import sys

steps = [("eplb", "EPLB, replicas alike", None),
         ("window-equal", "`balance`, replicas alike", "planner"),
         ("window-quota", "`balance`, quotas fitted to past loads", "quotas"),
         ("window-minmax", "`balance`, each batch divided by minmax", "minmax")]
print("| load | placement and division | busiest GPU over mean | gain | moved a layer and batch |")
print("|---|---|---|---|---|")
largest = {}
for path in sys.argv[1:]:
    load = os.path.basename(path)[:-4]
    value = {(r["strategy"], r["metric"]): r["mean"] for r in csv.DictReader(open(path))}
    before, gain = None, {}
    for name, text, what in steps:
        now = float(value[name, "imbalance"])
        if what:
            gain[what] = before - now
        print("| %s | %s | %.4f | %s | %.0f MB |" % (
            load, text, now, "%.4f" % gain[what] if what else "",
            float(value[name, "moved_bytes"]) / 1e6))
        before = now
    largest[load] = max(gain, key=gain.get), gain
print()
for load, (what, gain) in largest.items():
    print("- %s: the largest gain is that of %s, %.4f of %.4f." % (
        load, what, gain[what], sum(gain.values())))
PY
}

{
    cat <<TEXT
# Where balance is lost, on the bundled traces

Made by \`tools/regret.sh\` with moe-gps $(./moegps --version | cut -d' ' -f2): four GPUs, 20 batches of 2048 tokens
after one to warm up. Counted, not timed: the numbers do not depend on the machine. What the
columns are: [README.md](README.md#regret).
TEXT
    section "Mixtral 8x7B on MMLU: 8 experts, 4 slots on each GPU, 2 at home"
    section "gpt-oss-20b on MMLU: 32 experts, 10 slots on each GPU, 8 at home" \
        --set model=gpt-oss-20b --set trace=gpt-oss-20b-mmlu \
        --set strategies.distribution.slots=10 --set strategies.distribution-minmax.slots=10 \
        --set strategies.window-minmax.slots=10 --set strategies.window-quota.slots=10 \
        --set strategies.window-equal.slots=10 --set strategies.oracle.slots=10 \
        --set strategies.eplb.slots=10
    cat <<TEXT

## What the planner, quotas and the split are worth

The forecast is the same in all rows, a window of past batches; only minmax knows the batch that it
divides, and it costs counts of all GPUs and its solver in every layer (see \`list splits\`). Means over
20 batches, in mean loads of a GPU.

TEXT
    gains "$dir/Mixtral 8x7B.csv" "$dir/gpt-oss-20b.csv"
} > "$OUT.new"
mv "$OUT.new" "$OUT"
echo "$OUT"
