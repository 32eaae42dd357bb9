#!/usr/bin/env bash
# moegps plan: loads in every form, its figures and its file, wrong use. TAP.
. "$(dirname "$0")/tap.bash"

plan() { ./moegps plan "$@"; }

cat > "$dir/wide.csv" <<'END'
e0,e1,e2,e3
40,10,10,20
10,10,10,10
END
cat > "$dir/long.csv" <<'END'
step,layer,expert,count
0,0,0,40
0,0,1,10
0,0,2,10
0,0,3,20
0,1,0,10
0,1,1,10
0,1,2,10
0,1,3,10
END
sed 's/^experts:.*/experts: 4/' jobs/models/mixtral-8x7b.yaml > "$dir/four.yaml"
echo '[[40,10,10,20],[10,10,10,10]]' > "$dir/list.json"
echo '{"loads": [[[40,10,10,20],[10,10,10,10]],[[10,50,10,10],[10,10,10,10]]]}' \
    > "$dir/steps.json"

for f in wide.csv long.csv list.json; do
    check "$f is read" says "balance: 1 step, 2 layers, 4 experts, 6 slots on 2 GPUs" \
        plan --loads "$dir/$f" --gpus 2
done
check "--help prints usage" says "Usage: moegps plan" plan --help
# by hand: static has 50 and 30 pairs on its GPUs
check "static is scored" says "mean/max, then averaged    1.0000   0.9000" \
    plan --loads "$dir/wide.csv" --gpus 2 --planner static
check "sums are scored" says "sum of means / sum of max  1.0000   0.8571" \
    plan --loads "$dir/wide.csv" --gpus 2 --planner static
check "max / mean is scored" says "max/mean, averaged         1.0000   1.1250" \
    plan --loads "$dir/wide.csv" --gpus 2 --planner static
check "a step is scored on the next" says "next: minmax" \
    plan --loads "$dir/steps.json" --gpus 2 --steps each
check "a planner's option may name its family" says "balance: 1 step" plan --loads "$dir/wide.csv" --gpus 2 \
    --set planner.tolerance=0.1
check "bytes of a model" says " GiB" plan --loads jobs/traces/mixtral-8x7b-mmlu.h5 \
    --gpus 4 --model mixtral-8x7b --repeats 1 --planner eplb --set policy=global
# four tokens on two nodes of a GPU, experts 0, 1 | 2, 3 at home: of node 0's four pairs two stay,
# of node 1's three
printf 'layer,token,expert0,expert1\n0,0,0,1\n0,1,2,3\n0,2,2,3\n0,3,1,3\n' > "$dir/tokens.csv"
check "pairs that cross nodes are counted" says "pairs that cross nodes: in force 37.5 %, planned 37.5 %; 37.5 % where" \
    plan --loads "$dir/tokens.csv" --gpus 2 --nodes 2 --slots 2 --planner static
echo '{"physical_to_logical": [[0,1,2,3,0,1,2,3]]}' > "$dir/all.json"
check "... half of them where both nodes have all experts" says "in force 50.0 %, planned 37.5 %; 37.5 % where" \
    plan --loads "$dir/tokens.csv" --gpus 2 --nodes 2 --slots 4 --planner static --previous "$dir/all.json"
echo '{"gpus": 2, "physical_to_logical": [[0,1,2,3,0,1,2,3]], "quotas": [[1,1,0,0,0,0,1,1]]}' > "$dir/near.json"
check "... and as its quotas have it" says "in force 37.5 %, planned 37.5 %" plan \
    --loads "$dir/tokens.csv" --gpus 2 --nodes 2 --slots 4 --planner static --previous "$dir/near.json"
echo '{"gpus": 2, "physical_to_logical": [[0,1,2,0,3,-1],[0,1,-1,2,3,-1]]}' > "$dir/equal.json"
sed 's/^gpus_per_node:.*/gpus_per_node: 1/' jobs/clusters/a100-nvlink.yaml > "$dir/single.yaml"
# A GPU that has 3/4 of expert 0 holds 50 of 80 pairs; with half of it 40.
echo '{"gpus": 2, "physical_to_logical": [[0,1,2,0,3,-1],[0,1,-1,2,3,-1]],
 "quotas": [[0.75,1,1,0.25,1,0],[1,1,0,1,1,0]]}' > "$dir/quotas.json"
check "what is in force divides by its quotas" says "largest            1.2500   1.0000" \
    plan --loads "$dir/wide.csv" --gpus 2 --slots 3 --previous "$dir/quotas.json"
check "... a file without them equally" says "largest            1.0000   1.0000" \
    plan --loads "$dir/wide.csv" --gpus 2 --slots 3 --previous "$dir/equal.json"
check "the cluster says how many nodes there are" says "6 slots on 2 GPUs of 2 nodes" \
    plan --loads "$dir/wide.csv" --gpus 2 --model "$dir/four.yaml" --cluster "$dir/single.yaml"
check "... and --nodes overrules it" says "6 slots on 2 GPUs of 1 node" plan --nodes 1 \
    --loads "$dir/wide.csv" --gpus 2 --model "$dir/four.yaml" --cluster "$dir/single.yaml"
# by hand: home has 50 and 30, 20 and 20 pairs: 1.25 and 1; the plan evens both
check "what is in force stands beside the plan, by every convention" says "sum of means / sum of max    0.8571   1.0000" \
    plan --loads "$dir/wide.csv" --gpus 2
check "... with percentiles" out_has "max/mean, largest            1.2500   1.0000"
check "... and the gain" out_has "in force: the home placement, 0.9000; planned: 1.0000; the busiest GPU has 11.1 % less load"
check "... or that there is none" says "planned: 0.9000; the busiest GPU has as much load" \
    plan --loads "$dir/wide.csv" --gpus 2 --planner static
check "a plan is scored on its own load as it is divided" says "max/mean, averaged         1.0000   1.1250" \
    plan --loads "$dir/wide.csv" --gpus 2 --slots 3 --split equal --planner duplicate
# 50 and 30 pairs at home, 20 and 20; six slots even both
check "what further replicas are worth is a table" says "       6         3      1.0000            n/a  31.5 GiB       n/a" \
    plan --loads "$dir/wide.csv" --gpus 2 --replicas 4,6 --model "$dir/four.yaml"
sizes() { plan --loads "$dir/steps.json" --gpus 2 --replicas 4,6 --json - | tr -d ' \n'; }
check "... with scores on further steps" eval 'sizes | finds "\"replicas\":6,\"slots_per_gpu\":3,\"planned\":1.0,\"next\":0\.9"'
# [20000, 10000, 10000, 20000] on two GPUs: copies cost reading, and save rows
printf 'e0,e1,e2,e3\n40000,10000,10000,20000\n' > "$dir/pairs.csv"
payback() { # N such that what N steps save is no less than the move, and N - 1 steps save less
    plan --loads "$dir/pairs.csv" --gpus 2 --model "$dir/four.yaml" --cluster a100-nvlink --json - \
        > "$dir/worth.json" && plan --loads "$dir/pairs.csv" --gpus 2 --model "$dir/four.yaml" \
        --cluster a100-nvlink > "$dir/out" && "$PYTHON" - "$dir" <<'END'
import json, math, re, sys
w = json.load(open(sys.argv[1] + "/worth.json"))
n = math.ceil(w["move_s"] / (w["step_s_in_force"] - w["step_s_planned"]))
said = re.search(r"keeping the old plan for (\d+) step", open(sys.argv[1] + "/out").read())
assert n >= 1 and int(said[1]) == n, (n, said)
END
}
check "a move is weighed against the steps that it saves" payback
check "... where prices are known" eval "! plan --loads '$dir/pairs.csv' --gpus 2 | finds 'moving costs'"
# pages: by hand, shares of layer 0 in the two steps differ by 40/80 in two experts, those of layer 1
# not at all
page() { plan --loads "$dir/steps.json" --gpus 2 --repeats 1 -o "$dir/page" > /dev/null 2> "$dir/err"; }
check "a page is written" page
check "... which says where it is" err_has "the page is $dir/page/plan.html"
check "... with how loads drift" is "$(cut -d, -f1,2 "$dir/page/figures/drift.csv" | tail -n +2 | head -1)" 1,0.25
check "... how uneven GPUs are, a row per step and layer" is "$(grep -c '^[0-9]' "$dir/page/figures/uneven.csv")" 4
check "... and the tables" grep -q "sum of means / sum of max" "$dir/page/plan.html"
check "a page is not overwritten" refused 2 "exists (--force replaces it)" eval "plan --loads '$dir/steps.json' \
    --gpus 2 --repeats 1 -o '$dir/page' > /dev/null"
for p in $(./moegps list planners | awk '/^[a-z]/ { print $1 }'); do
    check "planner $p" says "$p: 1 step" plan --loads "$dir/wide.csv" --gpus 2 \
        --planner "$p" --model "$dir/four.yaml" --cluster a100-nvlink
done

loads() {
    "$PYTHON" - "$dir" <<'END'
import sys, h5py, numpy as np
d = sys.argv[1]
x = np.array([[40, 10, 10, 20], [10, 10, 10, 10]])
np.save(d + "/i.npy", x)
np.save(d + "/f.npy", np.stack([x, 2 * x]).astype(np.float32))
np.save(d + "/one.npy", x[0])
np.save(d + "/negative.npy", -x)
np.save(d + "/nan.npy", x * np.array([np.nan, 1, 1, 1]))
np.save(d + "/zero.npy", x * np.array([[1], [0]]))
np.save(d + "/none.npy", np.zeros((0, 4)))
np.save(d + "/huge.npy", np.full((2, 4), 2**63, np.uint64))
with h5py.File(d + "/a.h5", "w") as f:
    f["counts"] = x
    f["other"] = np.stack([x, x, x])
    f["flat"] = x[0]
rng = np.random.default_rng(1)
np.save(d + "/big.npy", np.exp(rng.standard_normal((2, 64))))
END
}
if loads 2> /dev/null; then
    check "integers in .npy" says "balance: 1 step, 2 layers" plan --loads "$dir/i.npy" --gpus 2
    check "reals in .npy" says "balance: 2 steps, 2 layers" plan --loads "$dir/f.npy" --gpus 2
    check "HDF5" says "balance: 1 step, 2 layers" plan --loads "$dir/a.h5" --gpus 2
    check "a named dataset" says "3 steps" plan --loads "$dir/a.h5" --dataset other --gpus 2
    while IFS='|' read -r file text; do
        check "refuses $file" refused 2 "$text" plan --loads "$dir/$file" --gpus 2
    done <<- END
	one.npy|is neither [layers, experts] nor [steps, layers, experts]
	negative.npy|step 0, layer 0, expert 0: -40 is not a finite load >= 0
	nan.npy|is not a finite load >= 0
	none.npy|has no step, layer or expert
	huge.npy|loads sum to 3.68935e+19, above 2^53
	END
    check "a layer without load is left out and named" says \
        "left out: layer 1 has no load: a dense layer" plan --loads "$dir/zero.npy" --gpus 2
    check "a flat dataset is refused" refused 2 "is neither" plan --loads "$dir/a.h5" --dataset flat --gpus 2
    check "no such dataset" refused 2 "nowhere" plan --loads "$dir/a.h5" --dataset nowhere --gpus 2

    # the file: every expert, counts and quotas that fit, and no slot twice
    file() {
        plan --loads "$dir/big.npy" --gpus 8 --replicas 96 --nodes 2 --groups 4 \
            --planner "$1" --json - > "$dir/$1.json" && "$PYTHON" - "$dir/$1.json" <<'END'
import collections, json, sys
p = json.load(open(sys.argv[1]))
assert p["schema"] == "moe-gps-plan" and p["planner"] in ("balance", "eplb")
doubles = 0
for placed, counts, quotas in zip(p["physical_to_logical"], p["replica_counts"], p["quotas"]):
    assert len(placed) == 96 and len(quotas) == 96
    c = collections.Counter(e for e in placed if e >= 0)
    assert [c[e] for e in range(64)] == counts and min(counts) >= 1
    for e in range(64):
        assert abs(sum(q for x, q in zip(placed, quotas) if x == e) - 1) < 1e-6
    for g in range(8):
        here = [e for e in placed[12 * g:12 * g + 12] if e >= 0]
        doubles += len(here) - len(set(here))
assert doubles == p["same_gpu_duplicates"]
assert p["planner"] == "eplb" or doubles == 0
assert len(p["scores"]["planned"]["balancedness"]) == 2
END
    }
    check "its file, balance" file balance
    check "its file, eplb" file eplb
    check "its plan again changes nothing" says "slots changed against $dir/balance.json: 0 of 192" \
        plan --loads "$dir/big.npy" --gpus 8 --replicas 96 --nodes 2 --groups 4 \
        --previous "$dir/balance.json"
    check "a plan with doubles can be the previous one" says "against $dir/eplb.json" \
        plan --loads "$dir/big.npy" --gpus 8 --replicas 96 --previous "$dir/eplb.json"
    check "a previous plan of more slots" refused 2 "has 12 slots a GPU, not 11 (--slots 12)" plan \
        --loads "$dir/big.npy" --gpus 8 --replicas 88 --previous "$dir/balance.json"
    check "one of fewer slots leaves the others empty" says "against $dir/balance.json: " plan \
        --loads "$dir/big.npy" --gpus 8 --replicas 104 --previous "$dir/balance.json"
    # of 8 GPUs, 6 died and 8 and 9 joined: what each must load, and from where
    active() {
        plan --loads "$dir/big.npy" --gpus 10 --active 0-5,7-9 --slots 12 --previous "$dir/balance.json" \
            --repeats 1 --json - > "$dir/active.json" && "$PYTHON" - "$dir" <<'END'
import json, sys
old, new = (json.load(open(sys.argv[1] + f"/{f}.json")) for f in ("balance", "active"))
numbers = [0, 1, 2, 3, 4, 5, 7, 8, 9]
held = lambda p, l, g: {e for e in p["physical_to_logical"][l][12 * g:12 * g + 12] if e >= 0}
expected, lost = set(), 0
for l in range(2):
    for i, number in enumerate(numbers):
        had = held(old, l, number) if number < 8 else set()
        expected |= {(l, e, number) for e in held(new, l, i) - had}
got = {(a["layer"], a["expert"], a["gpu"]) for a in new["arrivals"]}
assert got == expected and len(new["arrivals"]) == len(got), (len(got), len(expected))
for a in new["arrivals"]:
    owners = [n for n in numbers if n < 8 and a["expert"] in held(old, a["layer"], n)]
    assert (a["from"] in owners) if owners else a["from"] is None
    lost += a["from"] is None
assert lost > 0
assert {a["gpu"] for a in new["arrivals"]} >= {8, 9}
END
    }
    check "GPUs die and join: what must be loaded where" active
    check "... in a table" says "what must be loaded where (--json lists each)" plan --loads "$dir/big.npy" \
        --gpus 10 --active 0-5,7-9 --slots 12 --previous "$dir/balance.json"
    check "a previous plan of other experts" refused 2 "has 64 experts, not 4" plan \
        --loads "$dir/a.h5" --dataset other --gpus 2 --previous "$dir/balance.json"
else
    skip "arrays and files" "python3-numpy or python3-h5py is missing"
fi

echo '[[1,2],[3]]' > "$dir/ragged.json"
echo '[[1,"x"]]' > "$dir/text.json"
echo '[[1,99999999999999999999999999]]' > "$dir/long.json"
echo '{' > "$dir/broken.json"
printf 'e0,e1,e2,e3\n.1,.2,.3,.4\n' > "$dir/shares.csv"
printf 'e0,e1\n1,-2\n' > "$dir/minus.csv"
printf 'e0,e1\n1,nan\n' > "$dir/nan.csv"
printf 'e0,e1\n1,99999999999999999999\n' > "$dir/much.csv"
printf 'step,a\n0,1\n' > "$dir/half.csv"
echo '{"physical_to_logical": [[0,1,2,2,2,2]]}' > "$dir/short.json"
echo '{"physical_to_logical": [[0,1,2,2,2,2],[0,1,2,3,0,1]]}' > "$dir/lacks.json"
echo '{}' > "$dir/empty.json"
while IFS='|' read -r text arguments; do
    # shellcheck disable=SC2086 # words
    check "refuses $arguments" refused 2 "$text" plan ${arguments//@/$dir/}
done <<- 'END'
	--loads is needed|--gpus 2
	--gpus is needed|--loads @wide.csv
	--gpus: '0'|--loads @wide.csv --gpus 0
	cannot open|--loads @nothing.npy --gpus 2
	is no list of rows as long as each other|--loads @ragged.json --gpus 2
	is no list of rows as long as each other|--loads @text.json --gpus 2
	loads sum to 1e+26, above 2^53|--loads @long.json --gpus 2
	broken.json|--loads @broken.json --gpus 2
	minus.csv:2: e1: '-2'|--loads @minus.csv --gpus 2
	nan.csv:2: e1: 'nan'|--loads @nan.csv --gpus 2
	much.csv:2: e1: '99999999999999999999'|--loads @much.csv --gpus 2
	columns 'step', 'a': wanted are layer, expert and count|--loads @half.csv --gpus 2
	2 slots are too few for 4 experts|--loads @wide.csv --gpus 2 --replicas 2
	5 slots do not divide among 2 GPUs (4 and 6 do)|--loads @wide.csv --gpus 2 --replicas 5
	7 slots do not divide among 2 GPUs (6 and 8 do)|--loads @wide.csv --gpus 2 --replicas 4,6,7
	--replicas: 4.5 is not whole|--loads @wide.csv --gpus 2 --replicas 4.5
	2 slots are too few for 4 experts|--loads @wide.csv --gpus 2 --replicas 4,2
	--emit: one number of --replicas is needed|--loads @wide.csv --gpus 2 --replicas 4,6 --emit vllm=@none.json
	--output: one number of --replicas is needed|--loads @wide.csv --gpus 2 --replicas 4,6 -o @none
	--active: '0-9': not all are in 0..7|--loads @wide.csv --gpus 8 --active 0-9
	nodes of unequal GPUs are not planned|--loads @wide.csv --gpus 4 --nodes 2 --active 0-2
	3 groups do not divide 4 experts|--loads @wide.csv --gpus 2 --groups 3
	3 nodes do not divide 4 GPUs|--loads @wide.csv --gpus 4 --nodes 3
	2 nodes do not divide 1 groups|--loads @wide.csv --gpus 2 --nodes 2 --planner eplb --set policy=hierarchical
	planner duplicate has no option 'groups'|--loads @wide.csv --gpus 2 --groups 2 --planner duplicate
	planner balance has no option 'x'|--loads @wide.csv --gpus 2 --set x=1
	planner balance has no option 'x'|--loads @wide.csv --gpus 2 --set planner.x=1
	'tolerance' is not key=value|--loads @wide.csv --gpus 2 --set tolerance
	planner timed needs prices|--loads @wide.csv --gpus 2 --planner timed
	--cluster wants pairs, not shares|--loads @shares.csv --gpus 2 --model @four.yaml --cluster a100-nvlink
	--cluster goes with --model|--loads @wide.csv --gpus 2 --cluster a100-nvlink
	no planner 'best'|--loads @wide.csv --gpus 2 --planner best
	is no placement: it has none of|--loads @wide.csv --gpus 2 --previous @empty.json
	has 3 experts, not 4|--loads @wide.csv --gpus 2 --previous @short.json
	layer 0 has only 3 of 4 experts|--loads @wide.csv --gpus 2 --previous @lacks.json
	has 4 experts, not 8|--loads @wide.csv --gpus 2 --model mixtral-8x7b
	exists (--force replaces it)|--loads @wide.csv --gpus 2 --json @list.json
END
finish
