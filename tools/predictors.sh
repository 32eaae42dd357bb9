#!/usr/bin/env bash
# Write results/predictors.md: what predictors of each horizon find on the
# bundled gpt-oss trace, within it and on a data set that they never saw, and
# what they cost and win in a run. DIR, if set, keeps what is made on the way,
# and what is there is not made again.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${OUT:=results/predictors.md}" "${RANKS:=4}" "${PYTHON:=python3}"
if [ -z "${DIR:-}" ]; then
    DIR=$(mktemp -d)
    trap 'rm -rf "$DIR"' EXIT
fi
trace=gpt-oss-20b-mmlu
loads=distribution,window,shrink,changepoint
tokens=token,ngram,linear,ensemble,recent,cross

# made FILE COMMAND...: unless it is there.
made() { [ -e "$DIR/$1" ] || "${@:2}"; }
ask() { made "$1" ./moegps evaluate --repeats 1 --json "$DIR/$1" "${@:2}"; }

# The trace is sorted by data set: MMLU's are the first 443 sequences.
made mmlu.h5 ./moegps trace slice "$trace" --seqs 0:443 --split train=1 -o "$DIR/mmlu.h5"
made pro.h5 ./moegps trace slice "$trace" --seqs 443:524 --split train=0 -o "$DIR/pro.h5"
made trained.h5 ./moegps train -q --trace "$DIR/mmlu.h5" --lookahead 1 \
    --predictors ensemble,cross,recent -o "$DIR/trained.h5"
ask loads.json --trace "$trace" --predictors "$loads"
ask raw.json --trace "$trace" --load "$trace" --predictors "$(
    printf '%s:probabilities=raw,' ngram linear ensemble recent cross ffn lstm | sed 's/,$//')"
ask within.json --trace "$trace" --load "$trace" --predictors "$tokens,ffn,lstm"
ask ahead.json --trace "$trace" --load "$trace" --lookahead 2 --predictors cross
ask across.json --train "$DIR/mmlu.h5" --test "$DIR/pro.h5" \
    --load "$DIR/trained.h5" --predictors "$loads,$tokens"
made said mpirun -n "$RANKS" --oversubscribe --bind-to none ./moegps run \
    jobs/predictors.yaml -q --force -o "$DIR/run.h5" > "$DIR/said.new"
[ -e "$DIR/said" ] || mv "$DIR/said.new" "$DIR/said"

# table FILE...: a row per predictor of evaluations.
table() {
    printf '| predictor | looks at | layers ahead | recall@4, %% | top-1, %% | of load, %% | per batch, %% | calibration, %% |\n|---|---|---|---|---|---|---|---|\n'
    "$PYTHON" - "${@/#/$DIR/}" << 'END'
import json, sys
def cell(x):
    if x["value"] is None: return "n/a"
    if x["ci_low"] is None: return f"{100 * x['value']:.1f}"
    return f"{100 * x['value']:.1f} ({100 * x['ci_low']:.1f}..{100 * x['ci_high']:.1f})"
for path in sys.argv[1:]:
    for p in json.load(open(path))["predictors"]:
        m = p["mean"]
        cells = [cell(m[k]) for k in ("recall", "top1", "error", "batch_error", "calibration")]
        print(f"| `{p['predictor']}` | {p['looks_at']} | {p.get('lookahead', 'all')} | {' | '.join(cells)} |")
END
}

# fitted: what the maps from scores to probabilities change.
fitted() {
    printf '| predictor | calibration, raw, %% | fitted | of load, raw, %% | fitted | per batch, raw, %% | fitted | recall@4, raw, %% | fitted |\n|---|---|---|---|---|---|---|---|---|\n'
    "$PYTHON" - "$DIR/raw.json" "$DIR/within.json" << 'END'
import json, sys
raw, fit = [{p["predictor"].split(":")[0]: p["mean"] for p in json.load(open(f))["predictors"]}
            for f in sys.argv[1:]]
for name in raw:
    cells = ["%.1f" % (100 * m[name][k]["value"])
             for k in ("calibration", "error", "batch_error", "recall") for m in (raw, fit)]
    print(f"| `{name}` | {' | '.join(cells)} |")
END
}

# against: members against the token table, layer by layer. The check: a member
# is below it if even the upper end of its interval is.
against() {
    printf '| predictor | recall@4, least of all layers | layers below | top-1, least of all layers | layers below |\n|---|---|---|---|---|\n'
    "$PYTHON" - "$DIR/within.json" << 'END'
import json, sys
members = {p["predictor"]: p["per_layer"] for p in json.load(open(sys.argv[1]))["predictors"]}
table = members.pop("token")
for name, layers in members.items():
    cells = []
    for key in ("recall", "top1"):
        more = [l[key]["value"] - t[key]["value"] for l, t in zip(layers, table)]
        at = min(range(len(more)), key=more.__getitem__)
        below = [str(l["layer"]) for l, t in zip(layers, table)
                 if l[key]["ci_high"] < t[key]["value"]]
        half = layers[at][key]["ci_high"] - layers[at][key]["value"]
        cells += [f"{100 * more[at]:+.1f}, ± {100 * half:.1f} (layer {layers[at]['layer']})",
                  ", ".join(below) or "none"]
    print(f"| `{name}` | {' | '.join(cells)} |")
END
}

# later: cross where there are layers to look at.
later() {
    "$PYTHON" - "$DIR/within.json" << 'END'
import json, sys
r = json.load(open(sys.argv[1]))
cross = next(p for p in r["predictors"] if p["predictor"] == "cross")
layers = [l for l in cross["per_layer"] if l["layer"] > 0]
each = [l["recall"] for l in layers]
least = min(layers, key=lambda l: l["recall"]["value"])
x = least["recall"]
print(f"Above layer 0 `cross`, one layer ahead, finds {100 * sum(c['value'] for c in each) / len(each):.1f} % of the experts (mean of "
      f"{len(each)} layers, {r['tokens']} tokens),\nand {100 * x['value']:.1f} % ({100 * x['ci_low']:.1f}..{100 * x['ci_high']:.1f}) in layer {least['layer']}, "
      "where it finds least.")
END
}

# said FROM TO: what a run said between two lines, the second one left out.
said() { sed -n "/^$1/,/^$2/p" "$DIR/said" | sed '$d'; }

{
    cat <<EOF
# Predictors by horizon

Made by \`tools/predictors.sh\` with moe-gps $(./moegps --version | cut -d' ' -f2): gpt-oss-20b, answers to MMLU and
MMLU-Pro. *of load*: error of the distribution over the whole test part, sum over
experts of |foretold - true share|; *per batch*: the same per batch of 512 tokens,
median; *calibration*: sum over ten bins of probability of |foretold - true pairs|.
In brackets: 95 %, over the clusters that the trace names. \`cross\` looks at
layers up to l - d, d the layers ahead; \`recent\` at the tokens before, which decoding
alone has. On \`mixtral-8x7b-tokens\`, which was drawn per layer and without order,
\`ngram\`, \`linear\`, \`lstm\`, \`cross\` and \`recent\` have nothing to learn from: n/a.
MMLU to GPQA is not here: no recorded routing of GPQA is bundled. MMLU to
MMLU-Pro is the pair of data sets that the bundled trace has.

## MMLU's test set, learned from the other data sets

EOF
    table loads.json within.json ahead.json
    printf '\n'
    later
    printf '\n## MMLU-Pro, learned from MMLU\n\n'
    table across.json
    cat <<EOF

## From scores to probabilities

What the maps change that training fits on sequences it keeps back: MMLU's test
set, as above. Experts are chosen by scores, so recall stays. Plans are made of
probabilities, a batch at a time.

EOF
    fitted
    cat <<EOF

## No worse than the token table, in any layer

Difference to \`token\` in percentage points, with half the width of the member's 95 % interval,
in the layer where it is least; and layers in which the upper end of the member's interval is
below what \`token\` finds.

EOF
    against
    cat <<EOF

## In a run

\`moegps run jobs/predictors.yaml\` on $RANKS ranks: 4 H100, 8192 tokens a batch, a plan
for every batch. The gpu clock is modelled. *May take to win* is the overhead per
layer below which a predictor beats the best that does not look at tokens.

\`\`\`
EOF
    said "Layer time against" "Regret"
    said "What would change it" "FOM"
    cat <<EOF
\`\`\`

\`hidden-93\` is no predictor of this project: it is the oracle, wrong for 7 % of a
token's experts, at no cost, as arXiv 2511.10676 reports of pre-attention hidden
states on DeepSeek-V2-Lite (93 %). It bounds what such a predictor would win here.
EOF
} > "$OUT.new"
mv "$OUT.new" "$OUT"
echo "$OUT"
