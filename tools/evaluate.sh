#!/usr/bin/env bash
# Write results/evaluate.md: how good the predictors are on the bundled traces,
# and what they cost. CPU times are of the machine that this runs on.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${OUT:=results/evaluate.md}"

# section TITLE ARGUMENTS...: a command and what it prints.
section() {
    local title=$1
    shift
    printf '\n## %s\n\n```\n$ moegps evaluate %s\n\n' "$title" "$*"
    ./moegps evaluate "$@"
    printf '```\n'
}

# loads NAME TOKENS DRIFT SEED: steps of a synthetic model.
loads() {
    ./moegps trace synth --layers 4 --experts 32 --top-k 4 --seqs 120 --tokens "$2" \
        --sigma 0.5 --drift "$3" --seed "$4" -o "$dir/$1.h5" -f
}

# row TOKENS TRAFFIC TRACE: of the table of forecasts of the load.
row() {
    ./moegps evaluate --trace "$dir/$3.h5" --seq 0 --repeats 1 --predictors "$online" \
        --json "$dir/row.json" --force > /dev/null
    /usr/bin/python3 - "$1" "$2" "$dir/row.json" << 'PY'
import json
import sys

means = [p["mean"] for p in json.load(open(sys.argv[3]))["predictors"]]
errors = [100 * m["batch_error"]["value"] for m in means]
cells = ["**%.1f**" % e if e == min(errors) else "%.1f" % e for e in errors]
print("| %s | %s | %s | %.1f |" % (sys.argv[2], sys.argv[1], " | ".join(cells),
                                  100 * means[0]["batch_error_floor"]))
PY
}

# Which forecast of the load is best at which batch size and drift.
drift() {
    local tokens
    online=distribution,shrink,window,ema,changepoint
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    printf '\n## Forecasts of the load, by batch size and drift\n\n'
    cat << EOF
With moe-gps $(./moegps --version | cut -d' ' -f2). Synthetic loads of 32 experts, top 4, lognormal popularity
(sigma 0.5), 84 steps of training and 36 of the test. Drift is the standard deviation of the change
of log-popularity a step; "other data set": after half of the test the popularity is another one,
drawn anew. Error of a batch: sum over experts of |foretold - true share| in %, median over batches,
mean over layers; least in bold. By chance: what the very distribution that \`distribution\` foretells
would have.

| traffic | tokens of a batch | ${online//,/ | } | by chance |
|---|---|---|---|---|---|---|---|
EOF
    for tokens in 512 4096 32768; do
        for d in 0 0.02 0.1 0.3; do
            loads drift "$tokens" "$d" 1
            row "$tokens" "drift $d" drift
        done
        loads one "$tokens" 0 1
        loads two "$tokens" 0 2
        ./moegps trace slice "$dir/one.h5" --seqs 0:102 -o "$dir/a.h5" -f > /dev/null
        ./moegps trace slice "$dir/two.h5" --seqs 0:18 -o "$dir/b.h5" -f > /dev/null
        ./moegps trace import --model synthetic --experts 32 --top-k 4 --concat steps --order time \
            --split tail=0.3 "$dir/a.h5" "$dir/b.h5" -o "$dir/jump.h5" -f > /dev/null
        row "$tokens" "other data set" jump
    done
}

{
    cat <<EOF
# Predictors on the bundled traces

Made by \`make evaluate\` with moe-gps $(./moegps --version | cut -d' ' -f2). Every predictor learned from the
training part and is asked about the test part. What the columns are:
[docs/strategies.md](../docs/strategies.md#how-good-a-predictor-is).
EOF
    section "gpt-oss-20b on MMLU" --trace gpt-oss-20b-mmlu --cluster h100-nvlink --layers \
        --load gpt-oss-20b-mmlu \
        --predictors distribution,shrink,window,ema,changepoint,frequency,token,position,ngram,linear,ffn,lstm,ensemble,token:collects=probabilities
    section "Mixtral 8x7B on MMLU, loads of other subjects than those learned from" \
        --trace mixtral-8x7b-mmlu --cluster h100-nvlink --predictors distribution,window,ema
    section "Mixtral 8x7B, tokens drawn from recorded counts" \
        --trace mixtral-8x7b-tokens --cluster h100-nvlink --layers \
        --predictors distribution,window,ema,frequency,token,token:collects=probabilities
    drift
} > "$OUT.new"
mv "$OUT.new" "$OUT"
echo "$OUT"
