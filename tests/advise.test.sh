#!/usr/bin/env bash
# moegps advise: what users type, and that it agrees with a run. Speaks TAP.
. "$(dirname "$0")/tap.bash"

advise() { ./moegps advise --model mixtral-8x7b --cluster a100-paper "$@"; }

# by hand
check "a recommendation with its margin" says "% faster than" advise --gpus 4 --skew 2
check "all of it is said to be modelled" says "modelled: mixtral-8x7b on 4 GPUs" \
    advise --gpus 4 --skew 2
check "break-even numbers" says "another winner at link bandwidth" \
    advise --gpus 4 --skew 2 --error 0.16 --overhead 50e-6
check "the paper's reading of skewness" says "skewness 2.00 of the busiest GPU, expected" \
    advise --gpus 4 --skew 2 --bottleneck
check "--help prints usage" says "Usage: moegps advise" ./moegps advise --help
without() { kept advise --gpus 4 --skew 2 --no-limits && not out_has break-even; }
check "--no-limits leaves them out" without
for g in 5 64 1024; do
    check "$g GPUs" says "use       " advise --gpus "$g" --skew 2
done
warns() {
    kept ./moegps advise --model deepseek-v3 --cluster l40s-pcie --gpus 4 --skew 2 --error 0.05 --accuracy 0.9 &&
        err_has "warning: experts and copies"
}
check "too little memory is warned of" warns
check "a key of a profile is set" says "4 GPUs of a100-nvlink (link_bandwidth=64GB/s)" ./moegps advise \
    --model mixtral-8x7b --cluster a100-nvlink --gpus 4 --skew 2 --no-limits --set cluster.link_bandwidth=64GB/s
# What is measured is scaled from the profile's own bandwidths.
sed 's/^link_bandwidth:.*/link_bandwidth: 64e9/; s/^memory_bandwidth:.*/memory_bandwidth: 1e12/' \
    jobs/clusters/a100-nvlink.yaml > "$dir/scaled.yaml"
printf '%s\n' 'tables_gpu: a100_sxm' 'tables_bandwidth: 2.039e12' 'tables_link_bandwidth: 300e9' >> "$dir/scaled.yaml"
by_hand() { # ARGUMENTS
    ./moegps advise --model mixtral-8x7b --gpus 4 --skew 2 --error 0.05 --accuracy 0.9 --no-limits --json - "$@"
}
strategies() { by_hand "$@" | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["strategies"])'; }
scaled() {
    local told
    told=$(strategies --cluster a100-nvlink --set cluster.link_bandwidth=64GB/s --set cluster.memory_bandwidth=1TB/s)
    is "$told" "$(strategies --cluster "$dir/scaled.yaml")" && not is "$told" "$(strategies --cluster a100-nvlink)"
}
check "... and measured prices with it" scaled
check "... one of the analytic model alone" refused 2 "cluster.launch_s is of the analytic model" \
    by_hand --cluster a100-nvlink --set cluster.launch_s=1ms
check "... one that it has not" refused 2 "a cluster has no 'speed'" advise --gpus 4 --skew 2 --set cluster.speed=1
check "... or of nothing" refused 2 "is not cluster.KEY=VALUE or model.KEY=VALUE" advise --gpus 4 --skew 2 --set speed=1
# deployments
deploy() { ./moegps advise --model deepseek-v3 --cluster h100-nvlink --gpus 32 --skew 4 --error 0.018 --accuracy 0.9 --no-limits "$@"; }
same_as_default() {
    deploy --batch 4 > "$dir/default" && deploy --batch 4 --phase prefill \
        --attention tensor --exchange pairs --kernel nccl --overlap none \
        --dispatch-dtype auto --combine-dtype auto > "$dir/said" &&
        cmp "$dir/default" "$dir/said"
}
check "the default deployment, said, changes nothing" same_as_default
check "another deployment is told" says \
    "deployment  phase decode, kv_len 2000, attention data, kernel deepep-ll" \
    deploy --batch 4096 --phase decode --kv-len 2000 --attention data --kernel deepep-ll
check "rows once per node are priced" says "use       " \
    deploy --batch 128 --seq 4096 --attention data --exchange nodes --kernel deepep-normal
check "more tokens than a kernel takes are refused" refused 2 \
    "tokens_per_gpu: 512, but low-latency kernels take at most 256 across nodes" \
    deploy --batch 16384 --phase decode --kv-len 2000 --attention data --kernel deepep-ll
served=(--batch 4096 --phase decode --kv-len 2000 --attention data --kernel deepep-ll)
check "two batches of one sequence are refused" refused 2 \
    "overlap: two-batch splits the sequences of a GPU, or of GPUs that share attention, here 1" \
    deploy --batch 32 --seq 4096 --attention data --overlap two-batch
check "a stack that was not measured is refused" refused 2 "no measured 'sglang-9'" \
    deploy --batch 4 --stack sglang-9
check "a stack of what is priced from data sheets is refused" refused 2 "is priced by analytic" \
    ./moegps advise --model mixtral-8x7b --cluster a100-paper --gpus 4 --skew 2 --stack sglang-0.5.10
check "more nodes than were measured are said" says \
    "beyond what was measured, by fitted models: route, dispatch, combine" \
    ./moegps advise --model deepseek-v3 --cluster h100-nvlink --gpus 128 --skew 4 --error 0.018 \
    --accuracy 0.9 --no-limits "${served[@]}"
whole_model() { deploy "${served[@]}" --stack sglang-0.5.10-deepep-ll --json - > "$dir/m.json" && "$PYTHON" -c '
import json, sys
m = json.load(open(sys.argv[1]))["model"]
assert m["slots"] == [] and m["slots_that_pay"] is None, m
for s in m["strategies"].values():
    assert 0 < s["moe_share"] < 1, s
    assert abs(s["tokens_per_s"] * s["time_s"] * 32 / 4096 - 1) < 1e-9, s
' "$dir/m.json"; }
check "the whole model is in the JSON" whole_model
check "recorded loads are searched in any deployment" says \
    "Deployment: attention data, exchange tokens; a token's experts as if chosen independently of each" \
    ./moegps advise --trace gpt-oss-20b-mmlu --model gpt-oss-20b --cluster h100-nvlink --gpus 4 \
    --batch 16 --seq 512 --attention data --exchange tokens --quiet
check "layers are kept of recordings alone" refused 2 "--layers goes with --loads" \
    ./moegps advise --trace gpt-oss-20b-mmlu --model gpt-oss-20b --cluster h100-nvlink --gpus 4 \
    --accuracy 0.9 --layers 0-3
gathered() { # OPTION...: the typical layer of a predictor of tokens
    ./moegps advise --trace gpt-oss-20b-mmlu --model gpt-oss-20b --cluster h100-nvlink --gpus 4 --samples 1 \
        --accuracy 0.9 --no-limits --exchange allgather --quiet --json - "$@" |
        "$PYTHON" -c 'import json, sys
print(json.load(sys.stdin)["strategies"]["token-to-expert"]["typical"]["layer_s"])'
}
no_row_rides() { local s; s=$(gathered) && [ -n "$s" ] && [ "$s" = "$(gathered --no-direct-routing)" ]; }
check "no row rides ahead of an all-gather" no_row_rides
check "decode without a cache is refused" refused 2 \
    "kv_len: decode needs the cached tokens of a sequence (1..)" deploy --phase decode
check "a kernel with another exchange is refused" refused 2 \
    "kernel: deepep-normal on 4 nodes exchanges nodes, not pairs" deploy --kernel deepep-normal
check "a kernel that is not measured on a GPU is refused" refused 2 \
    "no measured 'l40s' (there are: h100_sxm, b200_sxm, gb200)" \
    ./moegps advise --model mixtral-8x7b --cluster l40s-pcie --gpus 4 --skew 2 --error 0.018 --accuracy 0.9 --kernel deepep-ll
check "the paper has one deployment" refused 2 "as-paper: the paper's deployment is prefill" \
    deploy --as-paper --attention data
new_tokens() { # ARGUMENTS
    ./moegps advise --model gpt-oss-20b --cluster h100-nvlink --gpus 8 --trace gpt-oss-20b-mmlu --phase decode \
        --accuracy 0.9 --no-limits "$@"
}
check "a sequence that decodes has one new token" refused 2 \
    "seq: 2, but in decode a sequence has one new token (allowed: 1)" new_tokens --seq 2
check "... and runs once at a time" refused 2 "batch: 202 sequences, the trace's test part has 201" \
    new_tokens --batch 202
check "... over what came before it" says "phase decode, over as many tokens as positions say" new_tokens --batch 64
json() {
    advise --gpus 4 --skew 2 --error 0.16 --json - > "$dir/a.json" && "$PYTHON" -c '
import json, sys
a = json.load(open(sys.argv[1]))
assert a["modelled"] and a["slots"] == 4, a
for s in "baseline", "distribution-only", "token-to-expert", "oracle":
    for c in "optimistic", "typical", "pessimistic":
        t = a["strategies"][s][c]
        assert all(t["exposed_s"][p] <= t["gpu_s"][p] + 1e-12 for p in t["gpu_s"])
w = a["verdict"]["winner"]["typical"]
assert all(a["strategies"][w]["typical"]["layer_s"] <=
           a["strategies"][s]["typical"]["layer_s"]
           for s in ("baseline", "distribution-only"))
assert a["verdict"]["margin"] >= 0' "$dir/a.json"
}
check "--json - prints only JSON" json
same() {
    for i in 1 2; do
        advise --gpus 4 --skew 2 --json - > "$dir/same$i"
    done
    cmp -s "$dir/same1" "$dir/same2"
}
check "the same question has the same answer" same

# agreement with a run, on the same batches
cat > "$dir/run.yaml" <<EOF
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 2, seq: 300, layers: all, iterations: 6, warmup: 2, seed: 3}
emulation: {ffn: none, scale: 64}
strategies:
  - {name: baseline,          predictor: none,         planner: static}
  - {name: distribution-only, predictor: distribution, planner: duplicate, slots: 4}
  - {name: oracle,            predictor: oracle,       planner: duplicate, slots: 4}
  - {name: tokens,            predictor: oracle,       planner: duplicate, slots: 4}
  - {name: four of five,      predictor: oracle,       planner: duplicate, slots: 4, accuracy: 0.8}
output: $dir/run.h5
EOF
# Token-to-expert twice, as accurate as the oracle of the run. Advice assumes
# that a share 1 - accuracy of every GPU's exchange is left, and is told what
# the errors do to the load: the oracle spreads them over all experts.
agrees() {
    kept ranks 4 ./moegps run "$dir/run.yaml" || return 1
    local accuracy error
    error=$("$PYTHON" -c '
import sys, h5py, numpy
print(numpy.median(h5py.File(sys.argv[1])["prediction/error"][4]))' "$dir/run.h5")
    for accuracy in 1 0.8; do
        [ $accuracy = 1 ] && set -- 0 || set -- "$error"
        ./moegps advise --model mixtral-8x7b --cluster a100-nvlink --gpus 4 \
            --trace mixtral-8x7b-mmlu --batch 2 --seq 300 --slots 4 --samples 6 \
            --warmup 2 --seed 3 --accuracy $accuracy --overhead 0 \
            --token-error "$1" --json - > "$dir/a$accuracy.json" || return 1
    done
    "$PYTHON" -c '
import json, sys, h5py, numpy
run, exact, dim = h5py.File(sys.argv[1]), *map(json.load, map(open, sys.argv[2:]))
phases = [p.decode() for p in run["timing/phase"][...]]
for s, (name, advice) in enumerate((
        ("baseline", exact), ("distribution-only", exact), ("oracle", exact),
        ("token-to-expert", exact), ("token-to-expert", dim))):
    ran = numpy.median(run["timing/layer_time_gpu"][s].mean(axis=1))
    said = advice["strategies"][name]["typical"]
    print("#", name, ran, said["layer_s"])
    assert abs(said["layer_s"] / ran - 1) < 0.03, name
    exchange = run["timing/exposed"][s, :, :, phases.index("dispatch")]
    ran = numpy.median(exchange.max(axis=2).mean(axis=1))
    assert abs(said["exposed_s"]["dispatch"] - ran) <= 0.1 * ran, (name, ran)
assert ran > 0
' "$dir/run.h5" "$dir/a1.json" "$dir/a0.8.json"
}
check_if h5py "a run's gpu clock agrees within 3 %" agrees
# With known tokens advice counts rows as the exchange has them: on GPUs that have
# unlike many sequences, and on nodes that are not full.
sed 's/^gpus_per_node:.*/gpus_per_node: 2/' jobs/clusters/h100-nvlink.yaml > "$dir/pairs.yaml"
deployed() { # PHASE KV_LEN BATCH SEQ ATTENTION EXCHANGE SPLIT
    cat > "$dir/deployed.yaml" <<EOF
model: gpt-oss-20b
cluster: $dir/pairs.yaml
trace: gpt-oss-20b-mmlu
workload: {batch: $3, seq: $4, iterations: 3, warmup: 1, seed: 3}
serving: {phase: $1, kv_len: $2, attention: $5, exchange: $6}
emulation: {ffn: none, scale: 64}
strategies:
  - {name: baseline}
  - {name: distribution-only, predictor: distribution, planner: balance, slots: 13, split: $7}
  - {name: oracle, predictor: oracle, planner: balance, slots: 13, split: $7}
EOF
    kept ranks 3 ./moegps run "$dir/deployed.yaml" --force -o "$dir/deployed.h5" || return 1
    ./moegps advise --model gpt-oss-20b --cluster "$dir/pairs.yaml" --gpus 3 --trace gpt-oss-20b-mmlu \
        --batch "$3" --seq "$4" --slots 13 --samples 3 --warmup 1 --seed 3 --accuracy 1 --token-error 0 \
        --overhead 0 --planner balance --split "$7" --no-limits --phase "$1" --kv-len "$2" --attention "$5" \
        --exchange "$6" --json - > "$dir/deployed.json" && "$PYTHON" -c '
import json, sys, h5py, numpy
times = h5py.File(sys.argv[1])["timing/layer_time_gpu"][...].mean(axis=2)
said = json.load(open(sys.argv[2]))["strategies"]
for s, name in enumerate(("baseline", "distribution-only", "token-to-expert")):
    ran, told = numpy.median(times[s]), said[name]["typical"]["layer_s"]
    print("#", name, ran, told)
    # but for rows that ride ahead to GPUs of tensor-parallel attention
    most = 0.03 if name == "token-to-expert" and sys.argv[3] == "tensor" else 1e-6
    assert abs(told / ran - 1) < most, name
' "$dir/deployed.h5" "$dir/deployed.json" "$5"
}
while read -r phase kv batch seq attention exchange split; do
    check_if h5py "advice is what a run charges: $phase $kv, $attention, $exchange, $split" \
        deployed "$phase" "$kv" "$batch" "$seq" "$attention" "$exchange" "$split" < /dev/null
done <<'EOF'
prefill 0 4 64 tensor pairs quota
prefill 0 4 64 data pairs quota
prefill 0 4 64 data tokens quota
prefill 0 4 64 data tokens deal
prefill 0 4 64 data nodes quota
prefill 0 4 64 data allgather quota
prefill 0 5 0 data tokens quota
decode 0 41 1 tensor pairs quota
decode 0 41 1 data nodes quota
EOF
check "steps are synthesised" ./moegps trace synth --kind load --seqs 40 --tokens 512 --layers 24 --experts 32 \
    --top-k 4 -o "$dir/steps.h5"
one_step() { # FORM...: refused in one line; loads are told of first
    exits 2 ./moegps advise "$@" --model gpt-oss-20b --cluster h100-nvlink --gpus 4 --phase decode \
        --kv-len 500 --batch 843 && is "$(wc -l < "$dir/err")" 1 &&
        err_has "batch: 843, seq: 0, but in decode a step of a load trace is one iteration"
}
check "a step that decodes is no batch of several" one_step --trace "$dir/steps.h5" --accuracy 0.9
check "... nor where loads are searched" one_step --loads "$dir/steps.h5"

# A token of a load trace's step is a sequence that decodes. Rows per token are
# expected of loads, those of a run drawn.
decoded() { # ATTENTION EXCHANGE
    cat > "$dir/decoded.yaml" <<EOF
model: mixtral-8x7b
cluster: $dir/pairs.yaml
trace: mixtral-8x7b-mmlu
workload: {batch: 1, seq: 0, iterations: 3, warmup: 1, seed: 3}
serving: {phase: decode, kv_len: 500, attention: $1, exchange: $2}
emulation: {ffn: none, scale: 64}
strategies:
  - {name: baseline}
  - {name: distribution-only, predictor: distribution, planner: balance, slots: 4, split: quota}
EOF
    kept ranks 4 ./moegps run "$dir/decoded.yaml" --force -o "$dir/decoded.h5" || return 1
    ./moegps advise --model mixtral-8x7b --cluster "$dir/pairs.yaml" --gpus 4 --trace mixtral-8x7b-mmlu \
        --batch 1 --slots 4 --samples 3 --warmup 1 --seed 3 --accuracy 1 --token-error 0 --overhead 0 \
        --planner balance --split quota --no-limits --phase decode --kv-len 500 --attention "$1" \
        --exchange "$2" --json - > "$dir/decoded.json" && "$PYTHON" -c '
import json, sys, h5py, numpy
times = h5py.File(sys.argv[1])["timing/layer_time_gpu"][...].mean(axis=2)
said = json.load(open(sys.argv[2]))["strategies"]
for s, name in enumerate(("baseline", "distribution-only")):
    ran, told = numpy.median(times[s]), said[name]["typical"]["layer_s"]
    print("#", name, ran, told)
    assert abs(told / ran - 1) < (0.03 if sys.argv[3] in ("tokens", "nodes") else 1e-6), name
' "$dir/decoded.h5" "$dir/decoded.json" "$2"
}
while read -r attention exchange; do
    check_if h5py "advice is what a run charges in decode: $attention, $exchange" \
        decoded "$attention" "$exchange" < /dev/null
done <<'EOF'
tensor pairs
tensor tokens
data pairs
data nodes
data allgather
EOF
limited() {
    kept ./moegps run "$dir/deployed.yaml" --dry-run --ranks 3 --set serving.exchange=nodes \
        --set serving.group_limit=1 && err_has "are at home on more than 1 node; their rows go there"
}
check "a limit of nodes is checked where a trace is run" limited
check "a trace's batches" says "of the trace" advise --gpus 4 --trace mixtral-8x7b-mmlu --accuracy 0.9

# what it says travels
phase() { ./moegps advise --model mixtral-8x7b --cluster a100-paper --gpus 4 --skew 2 --no-limits "$@"; }
still() { phase | finds "^migrate  *0  *0  *[1-9]"; }
check "copies of distribution-only stay, those of tokens travel" still
none() { phase --moving 0 | finds "^migrate  *0  *0  *0  *0"; }
check "--moving 0: nothing travels" none
check "--as-paper is said" says "as the paper has them" advise --gpus 4 --skew 2 --as-paper
traced() {
    for m in 0 0.5 1; do
        ./moegps advise --model mixtral-8x7b --cluster a100-paper --gpus 4 --trace \
            mixtral-8x7b-mmlu --seq 512 --accuracy 0.9 --no-limits --moving $m \
            --json "$dir/m$m.json" > /dev/null || return 1
    done
    "$PYTHON" -c '
import json, sys
t = [json.load(open(f))["strategies"] for f in sys.argv[1:]]
o = [x["oracle"]["typical"]["layer_s"] for x in t]
assert o[0] < o[1] < o[2], o
assert len({x["distribution-only"]["typical"]["layer_s"] for x in t}) == 1' \
        "$dir/m0.json" "$dir/m0.5.json" "$dir/m1.json"
}
check "with a trace the dial is of what changes" traced
check "relocation is priced" says "use       " advise --gpus 4 --skew 2 --planner relocate --slots 2
check "the experiment behind results/paper.md is sound" \
    ranks 4 ./moegps run jobs/paper.yaml --dry-run

check "an assumed accuracy is a row and no recommendation" says "if right for 90 %" advise --gpus 4 \
    --skew 2 --accuracy 0.9
check "... said to be assumed" says "is assumed: no recommendation" advise --gpus 4 --skew 2 --accuracy 0.9
check "without one it is what was measured of the model" says "results/evaluate.md), on other traffic" \
    advise --gpus 4 --skew 2
check "... which is asked for where nothing was" refused 2 "accuracy is needed: nothing was measured" \
    ./moegps advise --model olmoe-1b-7b --cluster a100-nvlink --gpus 4 --skew 2 --error 0.1
check "... as is the error" refused 2 "error is needed: nothing was measured" \
    ./moegps advise --model olmoe-1b-7b --cluster a100-nvlink --gpus 4 --skew 2 --accuracy 0.9
check "an oracle that loses is explained" says "slower than doing nothing: it copies anew" \
    advise --gpus 4 --skew 2
spread() { # the table's fastest and slowest batch are those of the JSON file
    kept advise --gpus 4 --trace mixtral-8x7b-mmlu --accuracy 0.9 --no-limits --json "$dir/spread.json" &&
        "$PYTHON" - "$dir/spread.json" "$dir/out" << 'PY'
import json, sys
t = json.load(open(sys.argv[1]))["strategies"]["baseline"]["typical"]
said = [l.split() for l in open(sys.argv[2]) if l.startswith("baseline ")][0]
assert t["fastest_s"] < t["layer_s"] < t["slowest_s"], t
for word, number in (said[1], t["fastest_s"]), (said[2], t["layer_s"]):
    assert abs(float(word) * 1e-6 / number - 1) < 1e-3, (word, number)
assert any(abs(float(w) * 1e-6 / t["slowest_s"] - 1) < 1e-3 for w in said[4:6]), said
PY
}
check "a trace shows its spread" spread

# wrong use
check "a share that travels above 1 is refused" refused 2 "moving: '1.5' is not" advise --gpus 4 \
    --skew 2 --moving 1.5
check "--as-paper takes no value" refused 2 "as-paper" advise --gpus 4 --skew 2 --as-paper=yes
check "no load is refused" refused 2 "one of --loads, --trace and --skew" advise --gpus 4
check "two loads are refused" refused 2 "one of --loads, --trace and --skew" advise --gpus 4 \
    --skew 2 --trace mixtral-8x7b-mmlu
check "no GPUs are refused" refused 2 "gpus: '0' is not" advise --gpus 0 --skew 2
check "missing GPUs are refused" refused 2 "--gpus is needed" advise --skew 2
check "skew below 1 is refused" refused 2 "skew: 0.5 is not in 1..4" advise --gpus 4 --skew 0.5
check "skew above what experts allow is refused" refused 2 "skew: 9 is not in 1..4" advise \
    --gpus 4 --skew 9
check "a negative error is refused" refused 2 "error: '-0.1' is not" advise --gpus 4 \
    --skew 2 --error=-0.1
check "an unknown model is refused" refused 2 "no 'mixtrol'" advise --gpus 4 --skew 2 \
    --model mixtrol
check "an unknown cluster is refused" refused 2 "no 'z100'" advise --gpus 4 --skew 2 \
    --cluster z100
check "an unknown trace is refused" refused 2 "no 'nothing'" advise --gpus 4 --trace nothing
check "an unknown planner is refused" refused 2 "no planner 'best'" advise --gpus 4 --skew 2 \
    --planner best
check "a trace of another model is refused" refused 2 "trace is of model 'gpt-oss-20b'" advise \
    --gpus 4 --trace gpt-oss-20b-mmlu
check "too few slots are refused" refused 2 "slots: 1 is not in 2..8" advise --gpus 4 \
    --skew 2 --slots 1
check "a batch larger than the trace's test part is refused" refused 2 \
    "the trace's test part has" advise --gpus 4 --trace mixtral-8x7b-mmlu --batch 100000
check "an overhead that is none is refused" refused 2 "overhead: 'fast' is neither" advise \
    --gpus 4 --skew 2 --overhead fast
check "an unknown option is refused" refused 2 "'--gpu-count'" advise --gpu-count 4
check "an argument is refused" refused 2 "no argument is wanted" advise mixtral
sed 's/^top_k:.*/top_k: 17/; s/^experts:.*/experts: 16/' jobs/models/mixtral-8x7b.yaml \
    > "$dir/manyk.yaml"
check "more experts per token than there are is refused" refused 2 "top_k" advise --gpus 4 \
    --skew 2 --model "$dir/manyk.yaml"
echo "{}" > "$dir/there.json"
check "an existing file is not overwritten" refused 2 "exists (--force" advise --gpus 4 \
    --skew 2 --json "$dir/there.json"

# rebalancing: what advice walks through, a run does, interval by interval
sed 's/^layers:.*/layers: 2/' jobs/models/mixtral-8x7b.yaml > "$dir/two.yaml"
drift() { # TAIL FILE
    ./moegps trace synth --kind load --model two --layers 2 --experts 8 --top-k 2 --seqs 100 \
        --tokens 2000 --drift 0.15 --sigma 0.6 --seed 5 --split "tail=$1" -o "$2"
}
drift 0.62 "$dir/drift.h5"
cat > "$dir/drift.yaml" <<EOF
model: $dir/two.yaml
cluster: a100-nvlink
trace: $dir/drift.h5
workload: {batch: 1, seq: 0, iterations: 50, warmup: 10}
emulation: {ffn: none, scale: 512, regret: false}
strategies:
  - {name: baseline}
  - {name: window, predictor: window, iterations: 2, planner: balance, slots: 3}
EOF
walk() {
    ./moegps advise --model "$dir/two.yaml" --gpus 4 --trace "$dir/drift.h5" --seq 2000 \
        --predictor window:iterations=2 --accuracy 0.9 --planner balance --slots 3 --no-limits \
        --cluster a100-nvlink "$@"
}
optimum() { # CLUSTER BEST: of the intervals
    local every
    walk --cluster "$1" --interval 1,2,5,10 --warmup 10 --samples 50 --json - > "$dir/walks.json" || return 1
    for every in 1 2 5 10; do
        kept ranks 4 ./moegps run "$dir/drift.yaml" -q --set cluster="$1" \
            --set emulation.rebalance_every=$every -o "$dir/every$every.h5" --force || return 1
    done
    "$PYTHON" - "$dir" "$2" <<'EOF'
import json, sys
import h5py
where, best = sys.argv[1], int(sys.argv[2])
walks = json.load(open(where + "/walks.json"))["intervals"]
ran = {}
for w in walks:
    with h5py.File(f"{where}/every{w['interval']}.h5") as f:
        time = f["timing/layer_time_gpu"][...].mean(axis=(1, 2))
        moved = f["plan/moved_bytes"][1].mean()
    assert w["plans"] == 50 // w["interval"], w
    print("#", w["interval"], time, w["baseline"], w["distribution-only"], moved, w["moved_bytes"])
    assert abs(w["moved_bytes"] - moved) < 1, (w, moved)
    assert abs(w["baseline"] / time[0] - 1) < 1e-3, (w, time)
    assert abs(w["distribution-only"] / time[1] - 1) < 1e-3, (w, time)
    assert w["first_bytes"] > 0
    ran[w["interval"]] = time[1]
said = {w["interval"]: w["distribution-only"] for w in walks}
assert min(said, key=said.get) == min(ran, key=ran.get) == best, (said, ran)
moved = [w["moved_bytes"] for w in walks]
assert moved == sorted(moved, reverse=True) and moved[0] > moved[-1] > 0, moved
EOF
}
# more rebalancing helps until its price exceeds it
check_if h5py "the best interval is that of runs with each, and so is its time" optimum a100-nvlink 2
# With a trace there are no error cases: what is said of the spread is that of a run.
ran_spread() { # INTERVAL UNIT: of every5.h5 or every1.h5, which optimum() left
    walk --interval "$1" --warmup 10 --samples 50 --json "$dir/spread.json" --force > "$dir/out" &&
        not finds "optimistic|pessimistic|error cases" -E < "$dir/out" && out_has "$2, us" &&
        "$PYTHON" - "$dir" "$1" <<'EOF'
import json, re, sys
import h5py
import numpy as np
where, every = sys.argv[1], int(sys.argv[2])
with h5py.File(f"{where}/every{every}.h5") as f:
    batch = f["timing/layer_time_gpu"][...].mean(axis=2)
time = batch.reshape(2, -1, every).mean(axis=2)
said = json.load(open(where + "/spread.json"))["strategies"]
shown = {r[0]: [float(x) for x in r[1:]] for r in re.findall(
    r"^(baseline|distribution-only) +([\d.]+) +([\d.]+) +(?:n/a|.* \.\. [\d.]+) +([\d.]+) +", open(where + "/out").read(), re.M)}
for s, name in enumerate(("baseline", "distribution-only")):
    ran = np.array([time[s].min(), np.median(time[s]), time[s].max()])
    json_s = [said[name]["typical"][k] for k in ("fastest_s", "layer_s", "slowest_s")]
    print("#", every, name, ran, json_s, shown[name])
    assert ran[2] > 1.01 * ran[0]
    assert np.abs(json_s / ran - 1).max() < 1e-3, (name, ran, json_s)
    assert np.abs(np.array(shown[name]) / (1e6 * np.array(json_s)) - 1).max() < 6e-4, shown
EOF
}
check_if "h5py numpy" "a trace shows the fastest and the slowest batch, which are those of a run" ran_spread 1 batch
check_if "h5py numpy" "... or interval, where a plan serves several batches" ran_spread 5 interval
check_if h5py "... on slow links, where plans are dear, a longer one" optimum l40s-pcie 10
check "... which is said" says "distribution-only is fastest with" walk --interval 1,5 --warmup 10

# the search: what it says of a combination, a run of it takes
search() {
    ./moegps advise --model "$dir/two.yaml" --cluster a100-nvlink --gpus 4 --seq 2000 "$@"
}
walked() { # PREDICTOR PLANNER SLOTS INTERVAL LATER: that the test part begins
    drift "0.$((62 - $5))" "$dir/later$2-$5.h5" && kept ranks 4 ./moegps run "$dir/drift.yaml" -q \
        --set trace="$dir/later$2-$5.h5" --set workload.warmup=$((10 - $5)) --set emulation.rebalance_every="$4" \
        --set strategies.window.predictor="${1%%:*}" --set strategies.window.iterations="${1##*:}" \
        --set strategies.window.planner="$2" --set strategies.window.slots="$3" \
        --set strategies.window.split=deal -o "$dir/walked-$2-$5.h5"
}
# Plans that serve 5 batches are made at two sets of batches. Those of EPLB
# are the same whatever was before.
combinations() {
    search --trace "$dir/drift.h5" --warmup 10 --interval 1,2,5,10 -q --json "$dir/search.json" > /dev/null &&
        walked window:8 balance 3 1 0 && walked window:1 relocate 2 1 0 &&
        walked window:8 eplb 4 5 0 && walked window:8 eplb 4 5 3 || return 1
    "$PYTHON" - "$dir" <<'EOF'
import json, sys
import h5py
import numpy as np
where = sys.argv[1]
said = json.load(open(where + "/search.json"))
assert said["batches"] == 50, said["batches"]
label = {8: "a window of 8", 1: "the last batch"}
for window, planner, slots, every, later in ((8, "balance", 3, 1, (0,)), (1, "relocate", 2, 1, (0,)),
                                             (8, "eplb", 4, 5, (0, 3))):
    (c,) = [c for c in said["combinations"] if c["predictor"] == label[window] and
            (c["planner"], c["slots"], c["interval"]) == (planner, slots, every)]
    time, moved = [], []
    for n in later:
        with h5py.File(f"{where}/walked-{planner}-{n}.h5") as f:
            time.append(f["timing/layer_time_gpu"][...].mean(axis=(1, 2)))
            moved.append(f["plan/moved_bytes"][1].mean())
    print("#", planner, slots, every, time, c["baseline_s"], c["layer_s"], moved, c["moved_bytes"])
    assert np.ptp(time, axis=0)[1] > 0.002 * c["layer_s"] or len(later) == 1
    time, moved = np.mean(time, axis=0), np.mean(moved)
    assert abs(c["baseline_s"] / time[0] - 1) < 0.001
    assert abs(c["layer_s"] / time[1] - 1) < 0.005
    assert abs(c["moved_bytes"] / moved - 1) < 1e-6
EOF
}
check_if "h5py numpy" "combinations of the search take what runs of them take" combinations
check "the answer is a sentence" says "Keep 4 redundant experts (3 slots a GPU), plan every 10 batches with balance" search --trace "$dir/drift.h5" -q
check "a search plans layers beside earlier ones" says "during the one 2 before it" search --trace "$dir/drift.h5" --lookahead 2 -q
check "... with what splits would add, and engines' words" says "SGLang" search --trace "$dir/drift.h5" -q
check "what is recommended is written for engines" says \
    "written: 3 slots on each of 4 GPUs, by planner balance" search --trace "$dir/drift.h5" -q --emit trtllm="$dir/adv.yaml"
placed() { # every slot of every layer in use, every expert somewhere
    "$PYTHON" - "$dir/adv.yaml" <<'EOF'
import re, sys
rows = re.findall(r"^  \d+: \[(.*)\]", open(sys.argv[1]).read(), re.M)
assert len(rows) == 2 and all(sorted(set(map(int, r.split(",")))) == list(range(8)) for r in rows), rows
assert all(len(r.split(",")) == 12 for r in rows)
EOF
}
check "... every slot filled" placed
check "... and is a placement in force" says "in force: $dir/adv.yaml" ./moegps plan --loads "$dir/drift.h5" \
    --gpus 4 --slots 3 --previous "$dir/adv.yaml" --repeats 1
check "... for what is described there is none" refused 2 "emit goes with --loads or --trace" ./moegps advise \
    --model mixtral-8x7b --cluster a100-nvlink --gpus 4 --skew 2 --emit vllm="$dir/none.json"
"$PYTHON" - "$dir" <<'EOF'
import random, sys
random.seed(1)
with open(sys.argv[1] + "/shares.csv", "w") as f:
    f.write("step,layer," + ",".join(f"e{e}" for e in range(8)) + "\n")
    for s in range(60):
        for l in range(2):
            w = [(1 + e) * random.uniform(.9, 1.1) for e in range(8)]
            f.write(f"{s},{l}," + ",".join(f"{x / sum(w):.6f}" for x in w) + "\n")
EOF
check "shares need a number of tokens" refused 2 "tokens says how many" search --loads "$dir/shares.csv"
check "... with which they are searched" says "batches of 4000 tokens" \
    search --loads "$dir/shares.csv" --tokens 4000 -q
steps() { # a step of 16000 tokens: eight passes of 2000
    "$PYTHON" - "$dir" <<'EOF' &&
import sys
import numpy as np
rng = np.random.default_rng(1)
share = np.cumsum(rng.normal(0, .1, (60, 2, 8)), 0)
share = np.exp(share) / np.exp(share).sum(-1, keepdims=True)
np.save(sys.argv[1] + "/steps.npy", [[rng.multinomial(32000, q) for q in s] for s in np.minimum(share, .3)])
EOF
        search --loads "$dir/steps.npy" --tokens 2000 -q --json "$dir/steps.json" > "$dir/out" &&
        out_has "which has the tokens of 8, and stands for" && "$PYTHON" - "$dir" <<'EOF'
import json, sys
said = json.load(open(sys.argv[1] + "/steps.json"))
assert said["step_batches"] == 8 and said["tokens"] == 2000
every = sorted({c["interval"] for c in said["combinations"] if c["interval"]})
assert every[:3] == [8, 16, 40], every
EOF
}
check_if h5py "a step of many passes counts as all of them" steps
check "... of which --batch joins none" refused 2 "are no forward pass" search --loads "$dir/steps.npy" \
    --tokens 2000 --batch 2
rows() { # what is recommended is a row of both tables, and the fastest, too
    kept search --trace "$dir/drift.h5" -q "$@" || return 1
    is "$(grep -c 'recommended$' "$dir/out") $(grep -c '\(fastest\|recommended\)$' "$dir/out")" "$rows"
}
rows="2 2" check "what is recommended is in its tables" rows
unordered() {
    kept ./moegps advise --model mixtral-8x7b --cluster a100-nvlink --gpus 4 --trace mixtral-8x7b-mmlu \
        --batch 16 -q "$@"
}
of_no_time() {
    unordered && out_has "The order of these batches is not time" && not grep -q "window\|moving\|last batch" "$dir/out"
}
check "without order nothing is forecast from the last batches" of_no_time
check "... and no interval can be asked for" refused 2 "the order of these batches is not time" unordered --interval 2
check "... but for the order that somebody says" says "a window of" unordered --interval 1 --order recorded
check "--tokens goes with --loads" refused 2 "tokens goes with --loads" search --trace "$dir/drift.h5" --tokens 9
check "loads of batches need the length of a sequence" refused 2 "seq is needed" ./moegps advise \
    --model "$dir/two.yaml" --cluster a100-nvlink --gpus 4 --trace "$dir/drift.h5"
check "what is assumed has no place in a search" refused 2 "overhead goes with --accuracy" search \
    --trace "$dir/drift.h5" --overhead 0
check "five plans of the longest interval are needed" refused 2 "recorded order has 62 batches of this size" \
    walk --interval 5,13
check "... of what is asked for" refused 2 "40 batches are fewer than 5 plans that serve 10 each: 50" \
    walk --interval 10 --samples 40
check "a load by hand has no time" refused 2 "has no time to go through" advise --gpus 4 --skew 2 --interval 1,2
check "an oracle is no predictor of distribution-only" refused 2 "needs one that foretells loads" \
    walk --predictor oracle
check "an interval that is not whole" refused 2 "1.5 is not whole" advise --gpus 4 --skew 2 --interval 1.5
finish
