#!/usr/bin/env bash
# Write results/auto.md: a strategy that chooses among those of every bundled
# job, and of one whose traffic changes. Everything in it is counted or
# modelled, so that every machine gets the same numbers.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${OUT:=results/auto.md}" "${MPIRUN:=mpirun}"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# run NAME RANKS FILE ARGUMENTS...: a job with a strategy that chooses among
# its others, of which nothing is multiplied. Adds to the table. CHANGE, if set:
# the iteration in which traffic changes.
run() {
    local name=$1 ranks=$2 file=$3
    shift 3
    sed '/name: auto/d; s/^output:/  - {name: auto, candidates: all}\n&/' "$file" > "$dir/job.yaml"
    "$MPIRUN" -n "$ranks" --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 \
        ./moegps run "$dir/job.yaml" --set emulation.ffn=none --set emulation.scale=64 \
        --set emulation.sync=none --set emulation.regret=false "$@" \
        --force -q -o "$dir/run.h5" --json "$dir/run.json" > /dev/null 2> "$dir/err" ||
        { cat "$dir/err" >&2; return 1; }
    CHANGE="${CHANGE:-}" /usr/bin/python3 - "$name" "$dir/run.json" "$dir/run.h5" << 'PY'
import json
import os
import sys

run = json.load(open(sys.argv[2]))["runs"][0]
c = run["choices"][0]
most = max(c["candidates"], key=lambda x: x["used"])
worst = max(c["candidates"], key=lambda x: x["layer_time_gpu_s"])
best = min(x["layer_time_gpu_s"] for x in c["candidates"])
halves = ""
if os.environ["CHANGE"]:
    import h5py
    change = int(os.environ["CHANGE"])
    times = h5py.File(sys.argv[3])["timing/iteration_time_gpu"]
    halves = " | " + ", then ".join(
        min(zip(part.mean(axis=1), (x["name"] for x in c["candidates"])))[1]
        for part in (times[: len(c["candidates"]), :change], times[: len(c["candidates"]), change:]))
print("| %s | %s | %d | %d | %s, %.0f %% | %s | %+.2f %% | %+.0f %% | %.2f %% | %s |" % (
    sys.argv[1], run["cluster"], run["iterations"], len(c["candidates"]), most["name"],
    100 * most["used"], c["best_fixed"] + halves, 100 * c["regret"],
    100 * (worst["layer_time_gpu_s"] / best - 1), 100 * c["tries_s"] / c["layer_time_gpu_s"],
    ", ".join("%s at %d" % (s["to"], s["iteration"]) for s in c["switches"]) or "none"))
PY
}

table() {
    printf '\n## %s\n\n' "$1"
    printf '| job | cluster | iterations | candidates | used most | best fixed |%s regret | worst fixed | tries | switches |\n' "${2:+ $2 |}"
    printf '|---|---|---|---|---|---|---|---|---|---|%s\n' "${2:+---|}"
}

{
    cat << TEXT
# A strategy that chooses, beside those that it chooses among

Made by \`tools/auto.sh\` with moe-gps $(./moegps --version | cut -d' ' -f2): bundled jobs with the row
\`{name: auto, candidates: all}\`, on four GPUs (deepseek: 16 with 18 slots, 12 iterations), gpu clock (modelled), nothing multiplied. Regret is
the mean time of an iteration over that of the best candidate in hindsight, worst fixed that of the
worst; tries: their part of the time of auto. How it chooses: [jobs/README.md](../jobs/README.md).
TEXT
    table "Bundled jobs"
    for job in accuracy demo paper predictors regret strong tokens weak; do
        run "$job" 4 "jobs/$job.yaml"
    done
    ./moegps trace synth --model deepseek-v3 --sigma 1 --drift 0.1 --seqs 64 --tokens 4096 \
        -o "$dir/deepseek.h5"
    sed 's/slots: 6/slots: 18/' jobs/deepseek.yaml > "$dir/deepseek.yaml" # 16 are home
    run deepseek 16 "$dir/deepseek.yaml" --set trace="$dir/deepseek.h5" --set workload.iterations=12
    run paper 4 jobs/paper.yaml --set cluster=a100-pcie
    run paper 4 jobs/paper.yaml --set cluster=l40s-pcie
    table "Traffic that changes half way" "before and after the change"
    tools/changing.sh "$dir/changing.h5" > /dev/null
    for cluster in h100-nvlink l40s-pcie a100-nvlink b200-nvlink a100-pcie h200-nvlink; do
        CHANGE=58 run changing 4 jobs/changing.yaml --set trace="$dir/changing.h5" \
            --set cluster=$cluster
    done
    cat << TEXT

*before and after the change*: the candidate that is best fixed in either part. Where that is one and
the same, nobody who chooses among these can beat it; what auto takes more are its tries, and what
two rounds of a try do not show: window moves weights at some of its plans, so that on h200-nvlink its
tries took 5 % less than distribution-only and its iterations, in the mean, 3 % more. The job is
\`jobs/changing.yaml\`, its trace by \`tools/changing.sh\`.
TEXT
} > "$OUT.new"
mv "$OUT.new" "$OUT"
echo "$OUT"
