#!/usr/bin/env bash
# moegps evaluate: what users type, and figures recomputed with numpy from the
# bundled traces. Speaks TAP.
. "$(dirname "$0")/tap.bash"

evaluate() { ./moegps evaluate "$@"; }
./moegps trace synth --model tiny --layers 3 --experts 16 --top-k 2 --seqs 45 \
    --tokens 100 --seed 2 --kind token -o "$dir/tiny.h5"
./moegps trace synth --model tiny --layers 3 --experts 16 --top-k 2 --seqs 30 \
    --tokens 100 --seed 2 --kind load -o "$dir/loads.h5"
cp "$dir/tiny.h5" "$dir/untrained.h5"
./moegps trace slice "$dir/tiny.h5" --split train=0,seed=1 -o "$dir/untrained.h5" --force
./moegps trace slice "$dir/tiny.h5" --split train=1,seed=1 -o "$dir/untested.h5"
tiny=(--trace "$dir/tiny.h5" --seq 50)

# tables
check "a table with every predictor" says "token" evaluate "${tiny[@]}" \
    --predictors distribution,window,ema,frequency,token,oracle
check "options in the label" says "ema:half_life=2" evaluate "${tiny[@]}" --predictors ema:half_life=2
check "a line per layer" says "token, layer by layer" evaluate "${tiny[@]}" --predictors token --layers
check "whole sequences" says "batches:" evaluate --trace "$dir/loads.h5" --seq 0 --predictors distribution
check "prices on a cluster" says "modelled, analytic" evaluate --trace gpt-oss-20b-mmlu \
    --predictors token --cluster a100-paper
check "--help prints usage" says "Usage: moegps evaluate" evaluate --help

# refusals
check "nothing given" refused 2 "--predictors is needed" evaluate
check "no predictors" refused 2 "names none" evaluate "${tiny[@]}" --predictors ,
check "an unknown predictor" refused 2 "no predictor 'tokn' (allowed: none, oracle" evaluate \
    "${tiny[@]}" --predictors tokn
check "an unknown option" refused 2 "token has no option 'alpha'" evaluate \
    "${tiny[@]}" --predictors token:alpha=1
check "no value" refused 2 "'alpha' is not OPTION=VALUE" evaluate "${tiny[@]}" --predictors ema:alpha
check "an option out of range" refused 2 "alpha: '2' is not a number in 0..1" evaluate \
    "${tiny[@]}" --predictors ema:alpha=2
check "no forecast" refused 2 "foretells nothing" evaluate "${tiny[@]}" --predictors none
check "no such trace" refused 2 "nothere" evaluate --trace nothere --predictors token
check "loads for a token predictor" refused 2 "needs a token trace" evaluate \
    --trace "$dir/loads.h5" --seq 50 --predictors distribution,token
check "no training part" refused 2 "training part is empty" evaluate --trace "$dir/untrained.h5" --seq 50 \
    --predictors token
check "no test part" refused 2 "test part is empty" evaluate --trace "$dir/untested.h5" --seq 50 \
    --predictors token
check "too large a batch" refused 2 "is more than the test part's" evaluate "${tiny[@]}" \
    --predictors token --batch 1000
check "positions that are not there" refused 2 "has no positions" evaluate \
    --trace mixtral-8x7b-tokens --predictors position
check "a model without a cluster" refused 2 "--model goes with --cluster" evaluate "${tiny[@]}" \
    --predictors token --model mixtral-8x7b
check "two outputs on stdout" refused 2 "both write standard output" evaluate "${tiny[@]}" \
    --predictors token --json - --csv -
check "file without a path" refused 2 "no path is given" evaluate "${tiny[@]}" --predictors file
check "file that is not there" refused 2 "nothere.h5: cannot open" evaluate "${tiny[@]}" \
    --predictors "file:path=$dir/nothere.h5"
check "file that is no HDF5" refused 2 "is not an HDF5 file" evaluate "${tiny[@]}" \
    --predictors "file:path=$PWD/README.md"
echo kept > "$dir/kept.json"
check "an existing file is kept" refused 2 "exists" evaluate "${tiny[@]}" --predictors token \
    --json "$dir/kept.json"
check "it was not touched" grep -qx kept "$dir/kept.json"
check "--force replaces it" says "token" evaluate "${tiny[@]}" --predictors token \
    --json "$dir/kept.json" --force
check "the replacement is JSON" "$PYTHON" -m json.tool "$dir/kept.json" "$dir/pretty.json"

# figures
figures() {
    ./moegps evaluate --trace gpt-oss-20b-mmlu --predictors distribution,frequency,token \
        --repeats 3 --cluster a100-nvlink --json - > "$dir/a.json" && "$PYTHON" - "$dir/a.json" <<'EOF'
import json, sys
import h5py, numpy as np
a = json.load(open(sys.argv[1]))
by = {p["predictor"]: p for p in a["predictors"]}
with h5py.File("jobs/traces/gpt-oss-20b-mmlu.h5") as f:
    experts, part, token = f["experts"][:], f["split"][:], f["token_id"][:]
    start = [int(x) for x in f["seq_offset"][:]] + [experts.shape[1]]
test = np.repeat(part == 1, np.diff(start))
assert a["tokens"] == test.sum() and a["layers"] == 24, a["tokens"]
error = 0
for l, e in enumerate(experts):
    p = np.bincount(e[~test].ravel(), minlength=32) / e[~test].size
    q = np.bincount(e[test].ravel(), minlength=32) / e[test].size
    row = by["distribution"]["per_layer"][l]
    assert abs(row["error"]["value"] - abs(p - q).sum()) < 1e-8, l
    assert abs(row["skewness"] - q.max() * 32) < 1e-9, l
    assert row["recall"]["value"] is None and row["top1"]["value"] is None
    top = np.argsort(-p, kind="stable")[:4]
    recall = np.isin(e[test], top).mean()
    assert abs(by["frequency"]["per_layer"][l]["recall"]["value"] - recall) < 1e-9, l
    error += abs(p - q).sum() / 24
assert abs(by["distribution"]["mean"]["error"]["value"] - error) < 1e-8
# a plain conditional count reaches these; 0.01 is left for ties
wanted = {0: (.77, .77), 6: (.47, .58), 12: (.37, .50), 18: (.47, .67), 23: (.44, .58)}
for l, (top1, recall) in wanted.items():
    row = by["token"]["per_layer"][l]
    assert row["top1"]["value"] > top1 - .01, (l, row)
    assert row["recall"]["value"] > recall - .01, (l, row)
    assert row["recall"]["ci_low"] < row["recall"]["value"] < row["recall"]["ci_high"]
assert by["token"]["gpu_clock_per_layer_s"] > 0 and by["token"]["numbers"] > 0
assert by["token"]["cpu_per_token_layer_s"]["n"] == 3
EOF
}
check "figures of gpt-oss are those of numpy, token as accurate as it should" figures
csv() {
    ./moegps evaluate "${tiny[@]}" --predictors distribution,token --csv - > "$dir/a.csv" &&
        "$PYTHON" - "$dir/a.csv" <<'EOF'
import csv, sys
rows = list(csv.DictReader(open(sys.argv[1])))
assert len(rows) == 2 * 4 and rows[0]["layer"] == "" and rows[3]["layer"] == "2", rows
assert rows[0]["recall"] == "" and 0 < float(rows[4]["recall"]) < 1, rows[4]
assert float(rows[4]["recall_ci_low"]) <= float(rows[4]["recall"])
EOF
}
check "CSV has a row per predictor and layer, and means" csv

# a user's own predictions, as jobs/README.md shows: here the truth
own() {
    "$PYTHON" - "$dir/tiny.h5" "$dir/own.h5" <<'EOF'
import sys, h5py
with h5py.File(sys.argv[1]) as trace, h5py.File(sys.argv[2], "w") as f:
    f["experts"] = trace["experts"][:]
    f.attrs["trace_sha256"] = trace.attrs["sha256"]
    f.attrs["model"] = "tiny"
EOF
    says " 100.00 " evaluate "${tiny[@]}" --predictors "file:path=$dir/own.h5"
}
check "predictions computed elsewhere" own
check "predictions for another trace" refused 2 "is of a trace with sha256" evaluate \
    --trace "$dir/untrained.h5" --seq 50 --predictors "file:path=$dir/own.h5"
cat > "$dir/tiny.yaml" <<EOF
{name: tiny, layers: 3, experts: 16, top_k: 2, hidden: 64, intermediate: 128, heads: 8, kv_heads: 8, head_dim: 8}
EOF
cat > "$dir/job.yaml" <<EOF
model: $dir/tiny.yaml
cluster: a100-nvlink
trace: $dir/tiny.h5
workload: {batch: 1, seq: 64, iterations: 3, warmup: 1}
emulation: {scale: 1}
strategies:
  - {name: base}
  - {name: own, predictor: file, path: $dir/own.h5, planner: duplicate, slots: 9}
EOF
runs() {
    kept ranks 4 ./moegps run "$dir/job.yaml" -q -o "$dir/own-run.h5" &&
        out_has "RESULT: VALID" && "$PYTHON" - "$dir/own-run.h5" <<'EOF'
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    assert (f["prediction/recall"][1] == 1).all(), f["prediction/recall"][:]
EOF
}
check "... run as a strategy" runs
missing() {
    exits 2 ranks 4 ./moegps run "$dir/job.yaml" -q \
        --set strategies.own.path="$dir/nothere.h5" -o "$dir/x.h5" &&
        [ "$(grep '^moegps: ' "$dir/err" | grep -cv '^moegps: warning')" -eq 1 ] &&
        grep -q "strategy own: .*nothere.h5: cannot open" "$dir/err"
}
check "... whose file is missing ends all ranks with one line" missing
some_layers() {
    ./moegps trace slice "$dir/tiny.h5" --layers 0,2 -o "$dir/two.h5" --force || return 1
    sed -i 's/, predictor: file, path: [^,]*/, predictor: token/' "$dir/job.yaml"
    ranks 2 ./moegps run "$dir/job.yaml" -q --set trace="$dir/two.h5" \
        -o "$dir/two-run.h5" && "$PYTHON" - "$dir/two-run.h5" <<'EOF'
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    assert list(f["load/layer"][:]) == [0, 2], f["load/layer"][:]
EOF
}
check "a trace of some layers runs with the whole model" some_layers
absent() {
    exits 2 ranks 2 ./moegps run "$dir/job.yaml" -q --set trace="$dir/two.h5" \
        --set workload.layers=1,2 -o "$dir/x.h5" &&
        err_has "the trace has no layer 1, only 2 of the model's 3"
}
check "a layer that it has not is refused" absent

# recorded order: loads that drift, and what numpy says of those that look back
./moegps trace synth --kind load --model tiny --layers 3 --experts 16 --top-k 2 \
    --seqs 120 --tokens 500 --drift 0.15 --seed 5 -o "$dir/drift.h5"
drifts() {
    local order
    for order in auto shuffled; do
        ./moegps evaluate --trace "$dir/drift.h5" --seq 0 --order $order --json - --predictors \
            distribution,window,window:iterations=1,window:history=none,ema,ema:history=none \
            > "$dir/$order.json" || return 1
    done
    ./moegps advise --model "$dir/tiny.yaml" --cluster a100-nvlink --gpus 4 --no-limits \
        --trace "$dir/drift.h5" --seq 500 --accuracy 0.9 --samples 12 --warmup 3 --json - > "$dir/advice.json" || return 1
    "$PYTHON" - "$dir" <<'EOF'
import json, sys
import h5py, numpy as np
where = sys.argv[1]
auto, shuffled, advice = (json.load(open(f"{where}/{f}.json")) for f in ("auto", "shuffled", "advice"))
with h5py.File(where + "/drift.h5") as f:
    counts, part = f["counts"][:].astype(float), f["split"][:]
assert auto["order"] == "recorded" and shuffled["order"] == "shuffled"
assert part[:84].sum() == 0 and part[84:].all() and auto["batches"] == 36
share = counts / counts.sum(axis=2, keepdims=True)
def window(n, first=0):
    def p(t):
        past = counts[max(t - n, first):t].sum(axis=0)
        return past / past.sum(axis=1, keepdims=True) if t > first else np.full((3, 16), 1 / 16)
    return p
def ema(first, alpha=.1):
    def p(t):
        x = share[first] if t > first else np.full((3, 16), 1 / 16)
        for s in range(first + 1, t):
            x = x + alpha * (share[s] - x)
        return x
    return p
static = counts[:84].sum(axis=0) / counts[:84].sum(axis=(0, 2))[:, None]
expected = [lambda t: static, window(8), window(1), window(8, 84), ema(0), ema(84)]
error, of = {}, {}
for p, foretold in zip(auto["predictors"], expected):
    each = [abs(foretold(t) - share[t]).sum(axis=1) for t in range(84, 120)]
    error[p["predictor"]] = np.median([e.mean() for e in each])
    assert abs(p["mean"]["batch_error"]["value"] - error[p["predictor"]]) < 1e-8, p
    of[p["predictor"]] = np.mean(each[3:15])
assert error["window"] < error["distribution"] / 2 and error["window:iterations=1"] < error["distribution"]
# the order decides who wins: the last step alone knows most of the next one
by = {p["predictor"]: p["mean"]["batch_error"]["value"] for p in shuffled["predictors"]}
assert error["window:iterations=1"] < error["window"] < by["window"] < by["window:iterations=1"], (by, error)
assert abs(advice["distribution_error"] - of["distribution"]) < 1e-9, (advice["distribution_error"], of)
EOF
}
check "in recorded order static shares fall behind as numpy says, in advice too" drifts
check "more batches than were recorded are refused" refused 2 "recorded order has 36 batches of this size" \
    ./moegps advise --model "$dir/tiny.yaml" --cluster a100-nvlink --gpus 4 --trace "$dir/drift.h5" --seq 500 --accuracy 0.9 --samples 40

# learned here, asked there
pair() {
    ./moegps trace slice "$dir/tiny.h5" --seqs 0:4 --split train=1 -o "$dir/here.h5" &&
        ./moegps trace slice "$dir/tiny.h5" --seqs 4:8 --split train=0 -o "$dir/there.h5" &&
        ./moegps evaluate --train "$dir/here.h5" --test "$dir/there.h5" --seq 20 \
            --predictors distribution,token --json - > "$dir/out" &&
        out_has 'there.h5, trained on ' 
}
check "a predictor is asked about another trace" pair
./moegps trace synth --kind token --model other --layers 2 --experts 4 --top-k 1 --seqs 4 \
    --tokens 20 --seed 1 -o "$dir/other.h5" > "$dir/said"
check "... of the same model" refused 2 "and must be of one model" ./moegps evaluate \
    --train "$dir/tiny.h5" --test "$dir/other.h5" --predictors token
check "... and not about both" refused 2 "either --trace" ./moegps evaluate \
    --trace "$dir/tiny.h5" --test "$dir/tiny.h5" --predictors token


# a recording that says all about itself needs no import
printf 'layer;token;seq;token_id;expert0;expert1\n' > "$dir/tokens.csv"
printf '0;%d;%d;%d;%d;%d\n' 0 0 5 0 1  1 0 6 1 2  2 1 5 0 1  3 2 5 0 1 >> "$dir/tokens.csv"
check "a table of tokens is evaluated" says "test part: 1 tokens of 1 sequences" ./moegps evaluate \
    --trace "$dir/tokens.csv" --predictors token --seq 0
check "... as its trace is" eval "grep -qE '^token +0.00 ' '$dir/out'"
check "a table of loads lacks the choices of a token" refused 2 "does not say how many experts a token chooses" \
    ./moegps evaluate --trace tests/data/recordings/caps.csv --predictors none
finish
