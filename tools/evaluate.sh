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

{
    cat <<EOF
# Predictors on the bundled traces

Made by \`make evaluate\` with moe-gps $(./moegps --version | cut -d' ' -f2). Every predictor learned from the
training part and is asked about the test part. What the columns are:
[docs/strategies.md](../docs/strategies.md#how-good-a-predictor-is).
EOF
    section "gpt-oss-20b on MMLU" --trace gpt-oss-20b-mmlu --cluster h100-nvlink --layers \
        --load gpt-oss-20b-mmlu \
        --predictors distribution,window,ema,frequency,token,position,ffn,lstm,token:collects=probabilities
    section "Mixtral 8x7B on MMLU, loads of other subjects than those learned from" \
        --trace mixtral-8x7b-mmlu --cluster h100-nvlink --predictors distribution,window,ema
    section "Mixtral 8x7B, tokens drawn from recorded counts" \
        --trace mixtral-8x7b-tokens --cluster h100-nvlink --layers \
        --predictors distribution,window,ema,frequency,token,token:collects=probabilities
} > "$OUT.new"
mv "$OUT.new" "$OUT"
echo "$OUT"
