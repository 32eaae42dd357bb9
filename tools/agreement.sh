#!/usr/bin/env bash
# Write results/agreement.md: runs and advice on the same batches, where loads
# are known. All times are modelled, so that every machine gets the same numbers.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${OUT:=results/agreement.md}" "${MPIRUN:=mpirun}" "${GPUS:=4 8 16 32}" "${PYTHON:=/usr/bin/python3}"
: "${PLANNERS:=duplicate balance eplb timed relocate}" "${CLUSTER:=h100-nvlink}"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
readonly WARMUP=1 BATCH=4 SEQ=512
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# slots EXPERTS GPUS: of a GPU, as advice has them where none are asked for.
slots() {
    local home=$((($1 + $2 - 1) / $2)) extra
    extra=$(((home + 7) / 8 > 2 ? (home + 7) / 8 : 2))
    echo $((home + extra < $1 ? home + extra : $1))
}

# samples GPUS: batches; fewer where a core has many ranks.
samples() { echo $(($1 > 8 ? 2 : 6)); }

# experiment MODEL TRACE SLOTS GPUS: baseline, and two strategies of every planner.
experiment() {
    cat <<YAML
model: $1
cluster: $CLUSTER
trace: $2
workload: {batch: $BATCH, seq: $SEQ, iterations: $(samples "$4"), warmup: $WARMUP, seed: 1}
emulation: {ffn: none, scale: 64, sync: none}
strategies:
  - {name: baseline}
YAML
    for p in $PLANNERS; do
        echo "  - {name: distribution-$p, predictor: distribution, planner: $p, slots: $3}"
        echo "  - {name: oracle-$p, predictor: oracle, planner: $p, slots: $3}"
    done
    echo "output: $dir/run.h5"
}

# compare MODEL TRACE EXPERTS GPUS: rows of the table.
compare() {
    local slots
    slots=$(slots "$3" "$4")
    experiment "$1" "$2" "$slots" "$4" > "$dir/run.yaml"
    "$MPIRUN" -n "$4" --oversubscribe --bind-to none --mca mpi_yield_when_idle 1 \
        ./moegps run "$dir/run.yaml" --force -q > "$dir/out" 2> "$dir/err" ||
        { cat "$dir/err" >&2; return 1; }
    for p in $PLANNERS; do
        ./moegps advise --model "$1" --cluster "$CLUSTER" --gpus "$4" --trace "$2" \
            --batch $BATCH --seq $SEQ --slots "$slots" --samples "$(samples "$4")" --warmup $WARMUP \
            --seed 1 --accuracy 1 --token-error 0 --overhead 0 --planner "$p" --no-limits \
            --force --json "$dir/$p.json" > "$dir/out"
    done
    "$PYTHON" - "$2" "$4" "$dir" $PLANNERS <<'PY' || return 1
import json, sys
import h5py, numpy

trace, gpus, folder, *planners = sys.argv[1:]
run = h5py.File(f"{folder}/run.h5")
names = [n.decode() for n in run["timing/strategy"][...]]
# as advice has it: a median over batches of the mean over layers
us = dict(zip(names, 1e6 * numpy.median(run["timing/layer_time_gpu"][...].mean(axis=2), axis=1)))
KIND = {"baseline": "baseline", "distribution-only": "distribution", "token-to-expert": "oracle"}


def best(t):
    first, second = sorted(t, key=t.get)[:2]
    return first, t[second] / t[first] - 1


for p in planners:
    said = json.load(open(f"{folder}/{p}.json"))
    ran = {k: us[k if k == "baseline" else f"{v}-{p}"] for k, v in KIND.items()}
    told = {k: 1e6 * said["strategies"][k]["typical"]["layer_s"] for k in KIND}
    (a, lead), (b, margin) = best(ran), best(told)
    # what errors of prices take off the lead, over the winner's time
    error = margin - 1e6 * said["verdict"]["model_lead_low_s"] / told[b]
    differ = max(abs(told[k] / ran[k] - 1) for k in KIND)
    verdict = "same" if a == b else "within error" if min(lead, margin) <= error else "DIFFERS"
    cells = [trace, gpus, p]
    for k in KIND:
        cells += ["%.1f" % ran[k], "%+.2f %%" % (100 * (told[k] / ran[k] - 1))]
    cells += [a, b, "%.1f %%" % (100 * lead), "%.1f %%" % (100 * error), verdict]
    print("|", " | ".join(cells), "|")
    print("%.6g %s" % (differ, verdict), file=sys.stderr)
PY
}

for g in $GPUS; do
    compare mixtral-8x7b mixtral-8x7b-mmlu 8 "$g" &&
        compare gpt-oss-20b gpt-oss-20b-mmlu 32 "$g" || { failed=1; break; }
done > "$dir/rows" 2> "$dir/verdicts"
[ -z "${failed:-}" ] || { cat "$dir/verdicts" >&2; exit 1; }
read -r n most differing <<< "$(awk '{ n++; if ($1 > m) m = $1; d += $2 == "DIFFERS" }
    END { printf "%d %.2f %d", n, 100 * m, d }' "$dir/verdicts")"
{
    cat <<TEXT
# Runs and advice on the same batches

Made by \`tools/agreement.sh\` with moe-gps $(./moegps --version | cut -d' ' -f2): $(samples 8) batches of $((BATCH * SEQ)) tokens, on more than
8 GPUs $(samples 16), after $WARMUP to warm up, on $CLUSTER; all layers of the model, a plan for every batch, as many slots as advice takes by
default. Every layer time is modelled: no machine's speed is in it. Loads are known: token-to-expert is told an accuracy
of 1, no error and no overhead, which is the run's oracle. A run executes every layer; advice counts and prices the same.

Of $n configurations the largest difference of a layer time is $most %, and $differing recommend another strategy by more
than the lead's stated error.

| trace | GPUs | planner | baseline, us | advice | distribution-only, us | advice | oracle, us | advice | fastest in the run | advised | lead | stated error | |
|---|---:|---|---:|---:|---:|---:|---:|---:|---|---|---:|---:|---|
TEXT
    cat "$dir/rows"
} > "$OUT.new"
mv "$OUT.new" "$OUT"
awk -v most="$most" -v differing="$differing" 'BEGIN { exit !(most <= 3 && differing == 0) }' ||
    { echo "agreement.sh: $most % apart, $differing recommendations differ: see $OUT" >&2; exit 1; }
echo "$OUT"
