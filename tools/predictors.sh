#!/usr/bin/env bash
# Write results/predictors.md: what predictors of each horizon find on the
# bundled gpt-oss trace, within it and on data sets that they never saw, what
# they cost, and what they win in a run. TMPDIR holds what is made on the way.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${OUT:=results/predictors.md}" "${RANKS:=4}"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trace=gpt-oss-20b-mmlu
members=distribution,window,shrink,changepoint,token,ngram,linear,recent,cross

# train TRACE NAME
train() {
    ./moegps train -q --trace "$1" --predictors linear,cross,recent \
        --lookahead 1,2,4 -o "$dir/$2.h5"
}

# code TITLE COMMAND...: a command and what it prints.
code() {
    printf '\n## %s\n\n```\n$ %s\n\n' "$1" "$(sed "s|$dir/||g" <<< "${*:2}")"
    "${@:2}" | sed "s|$dir/||g"
    printf '```\n'
}

# The trace is sorted by data set: MMLU's are the first 443 sequences.
train "$trace" within
./moegps trace slice "$trace" --seqs 0:443 --split train=1 -o "$dir/mmlu.h5"
./moegps trace slice "$trace" --seqs 443:524 --split train=0 -o "$dir/pro.h5"
train "$dir/mmlu.h5" mmlu-trained
sed "s|load: $trace|load: $dir/within.h5|" jobs/predictors.yaml > "$dir/job.yaml"
{
    cat <<EOF
# Predictors by horizon

Made by \`tools/predictors.sh\` with moe-gps $(./moegps --version | cut -d' ' -f2). Predictors learned from the
training part. \`cross\` looks at layers up to l - d, d the lookahead; \`recent\`
at the tokens before, which decoding alone has. On \`mixtral-8x7b-tokens\`, which
was drawn per layer and without order, \`ngram\`, \`linear\`, \`cross\` and \`recent\`
have nothing to learn from.
EOF
    code "MMLU test, learned from the other data sets" ./moegps evaluate \
        --trace "$trace" --load "$dir/within.h5" --cluster h100-nvlink --predictors "$members"
    for d in 2 4; do
        code "The same, $d layers ahead" ./moegps evaluate \
            --trace "$trace" --load "$dir/within.h5" --lookahead $d --predictors cross
    done
    code "MMLU-Pro, learned from MMLU" ./moegps evaluate \
        --train "$dir/mmlu.h5" --test "$dir/pro.h5" --load "$dir/mmlu-trained.h5" \
        --predictors "$members"
    code "Layer by layer" ./moegps evaluate --trace "$trace" --load "$dir/within.h5" \
        --layers --predictors token,linear,cross
    code "In a run" mpirun -n "$RANKS" --oversubscribe --bind-to none ./moegps run \
        "$dir/job.yaml" -q --force -o "$dir/run.h5"
} > "$OUT.new"
mv "$OUT.new" "$OUT"
echo "$OUT"
