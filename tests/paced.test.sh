#!/usr/bin/env bash
# Runs whose ranks keep a GPU's pace. Speaks TAP.
. "$(dirname "$0")/tap.bash"

cp tests/cluster/round.yaml "$dir/round.yaml"
cat > "$dir/x.yaml" << END
model: mixtral-8x7b
cluster: $dir/round.yaml
trace: mixtral-8x7b-tokens
workload: {batch: 1, seq: 128, layers: "0,7,15", iterations: 3, warmup: 1, seed: 1}
emulation: {ffn: paced, attention: paced}
strategies:
  - {name: baseline}
  - {name: online, predictor: ema, slots: 3}
  - {name: tokens, predictor: token, slots: 3}
END

N=4 # ranks
run() { # FILE SETTING...
    local file=$1 sets=()
    shift
    for s in "$@"; do sets+=(--set "$s"); done
    kept ranks $N ./moegps run "$dir/x.yaml" "${sets[@]}" -o "$dir/$file"
}

look() { # PYTHON, with f: the file, and what is of interest in it
    "$PYTHON" - "$dir/$1" << END
import sys, h5py, numpy as np
f = h5py.File(sys.argv[1])
phases = list(f["timing/phase"].asstr())
wall = {p: f["timing/wall"][..., i, :] for i, p in enumerate(phases)}
wait, gpu = f["timing/wait"][...], f["timing/gpu"][...]
asked, late = f["paced/asked"][...], f["paced/late"][...]
beside = f["paced/beside_time"][...]
travel, exposed = f["paced/travel_time"][...], f["paced/travel_exposed"][...]
def of(name, field): return h5py.File("$dir/" + name + ".h5")[field][...]
fact = f["config"].attrs
$2
END
}

check "a paced run is valid" run paced.h5
check "it says first what was paced, and on which links" \
    grep -q '^Paced: attention and FFN took the time that the cost model gives round' "$dir/out"
check "it says how late its phases ended" grep -q 'Paced phases ended late' "$dir/out"
check "it has both clocks beside each other" grep -q 'online on both clocks, per layer' "$dir/out"
check_if "h5py numpy" "a phase is asked for what the cost model gives" look paced.h5 '
a = gpu[..., phases.index("attention"), :] + gpu[..., phases.index("route"), :]
base = asked[0, :, :, 0, :]
assert np.allclose(base, a[0], rtol=1e-9), (base, a[0])
assert np.allclose(asked[:, :, :, 1, :], gpu[..., phases.index("ffn"), :], rtol=1e-9)
layer = asked[0].sum(axis=2)
assert np.allclose(layer, 10e-3, rtol=1e-3), layer
'
# No test says that a phase may not take longer: the machine may be busy.
check_if "h5py numpy" "no phase ends before its deadline, and lateness is the rest" look paced.h5 '
for k, p in enumerate(("attention", "ffn")):
    own = wall[p][0]
    assert (own >= asked[0, :, :, k, :] * (1 - 1e-9)).all(), p
    assert (late[..., k, :] >= 0).all()
both = (wall["attention"] + wall["ffn"])[0] * 1e3
print("# a layer of 10 ms took %.2f to %.2f ms, %.2f in the median"
      % (both.min(), both.max(), np.median(both)))
'
grep '^# a layer' "$dir/said"
# Routing direct, rows that go ahead are part of attention, too.
adds_up='
for k, p in enumerate(("attention", "ffn")):
    rest = wall[p] - asked[..., k, :] - late[..., k, :]
    assert (rest > -1e-9).all(), (p, rest.min())
    alone = rest[f["strategies/direct"][...] == 0] if p == "attention" else rest
    assert len(alone) >= 2 and (np.abs(alone) < 1e-9).all(), (p, np.abs(alone).max())
layer = (f["timing/wall"][...] + wait).sum(axis=3).max(axis=-1)
assert np.allclose(f["timing/layer_time_wall"][...], layer, rtol=1e-9)
'
check_if "h5py numpy" "what paced phases took is what was asked for, and late" look paced.h5 "$adds_up"
check_if "h5py numpy" "coordination and weights run beside the layers, and take time" look paced.h5 '
assert (beside[0] == 0).all()
assert beside[1].sum() > 0 and beside[2, :, :, 0, :].sum() > 0
moved = f["plan/moved_bytes"][2]
assert moved.sum() > 0
assert (beside[2, :, :, 3, :].sum(axis=(1, 2)) > 0)[moved.sum(axis=1) > 0].all()
'
check_if "h5py numpy" "rows are of full width" look paced.h5 '
sent = f["traffic/dispatch_bytes"][0]
got = f["paced/received"][0].sum(axis=(0, 1)) # sender, rank
off = ~np.eye(4, dtype=bool)
assert int(fact["executed_row_bytes"]) == int(fact["full_row_bytes"]) == 8192
assert got[off].sum() == 2 * sent[off].sum(), (got, sent)
assert (got[off] == (sent + sent.T).T[off]).all()
'

# Exchanges of several stages, and one that is a collective elsewhere.
sed 's/gpus_per_node: 4/gpus_per_node: 2/' "$dir/round.yaml" > "$dir/pairs.yaml"
for exchange in tokens nodes allgather; do
    check "exchange $exchange in a paced run is valid" run "$exchange.h5" \
        cluster="$dir/pairs.yaml" serving.attention=data serving.exchange="$exchange" \
        workload.batch=4 workload.seq=32
    check_if "h5py numpy" "all that it sends is seen to arrive" look "$exchange.h5" '
sent = f["traffic/dispatch_bytes"][0]
got = f["paced/received"][0].sum(axis=(0, 1)) # sender, rank
off = ~np.eye(4, dtype=bool)
assert sent[off].sum() > 0 and (got[off] == (sent + sent.T).T[off]).all(), (got, sent)
assert (wait >= 0).all() and min(w.min() for w in wall.values()) >= 0
'
done

# ---- two halves in turn ----

# Half a batch has as many launches as a whole one: attention and router of a
# layer take twice 6.67 ms, the FFN twice 3.33 ms. Rows of the first half go
# while the second attends, those of the second while the first is computed, and
# so they come home: what is exposed is what takes longer than that.
hidden='
N = asked.shape[-1] # alone, attention needs no reduction: a launch less
least = min(asked[..., 0, :].min(), asked[..., 1, :].min()) / 2
due = np.maximum(travel - least, 0)
assert (travel >= exposed).all() and (exposed >= 0).all()
assert (exposed[:, :, :-1] <= due[:, :, :-1] + 1e-9).all(), (exposed, due)
assert (exposed[:, :, -1, 0] <= due[:, :, -1, 0] + 1e-9).all(), (exposed, due)
assert least > 3.3e-3 and np.allclose(asked[0].sum(axis=2), 20e-3 if N > 1 else 17.78e-3, rtol=1e-3)
print("# two halves: rows travelled %.2f ms a layer, of that %.2f exposed"
      % (1e3 * np.median(travel.sum(axis=3)), 1e3 * np.median(exposed.sum(axis=3))))
'
for N in 1 2 4; do
    some=(workload.batch=4 workload.seq=32 strategies.online.slots=8 strategies.tokens.slots=8)
    check "$N ranks run a batch as a whole" run "whole$N.h5" "${some[@]}"
    check "$N ranks run it in two halves" \
        run "two$N.h5" "${some[@]}" serving.overlap=two-batch
    check_if "h5py numpy" "$N ranks compute the rows of one beside the other" look "two$N.h5" "$hidden"
    grep '^# two' "$dir/said"
    check_if "h5py numpy" "$N ranks take what was asked for, and are late" look "two$N.h5" "$adds_up"
    check "the report of $N ranks says what of that was hidden" \
        sh -c "./moegps report '$dir/two$N.h5' --all | grep -q 'computed the other half of the'"
    check_if "h5py numpy" "$N ranks compute and send as much as without halves" look "two$N.h5" "
for x in 'load/rank_pairs', 'work/dispatch', 'work/combine', 'work/slot_pairs':
    assert (of('two$N', x)[0] == of('whole$N', x)[0]).all(), x
sent = f['traffic/dispatch_bytes'][0]
assert (sent == of('whole$N', 'traffic/dispatch_bytes')[0]).all() and ($N == 1 or sent.sum() > 0)
got = f['paced/received'][0].sum(axis=(0, 1)) # sender, rank
assert (got == (sent + sent.T).T)[~np.eye($N, dtype=bool)].all()
assert (f['load/rank_pairs'][1:].sum(axis=3) == f['load/rank_pairs'][0].sum(axis=2)).all()
"
done
check "rows of a whole batch hide behind nothing" \
    sh -c "! ./moegps report '$dir/whole4.h5' --all | grep -q 'computed the other half of the'"
older() {
    cp "$dir/two4.h5" "$dir/old.h5" && "$PYTHON" -c "
import h5py
f = h5py.File('$dir/old.h5', 'r+')
del f['paced/travel_time'], f['paced/travel_exposed'], f['paced/travel']" &&
        kept ./moegps report "$dir/old.h5" --all && grep -q 'on both clocks' "$dir/out"
}
check_if h5py "a file without these times is read" older
for exchange in tokens nodes allgather; do
    check "exchange $exchange of two halves is valid" run "two-$exchange.h5" \
        cluster="$dir/pairs.yaml" serving.attention=data serving.exchange="$exchange" \
        workload.batch=6 workload.seq=32 serving.overlap=two-batch emulation.progress=thread
    check_if "h5py numpy" "all that they send is seen to arrive" look "two-$exchange.h5" '
sent = f["traffic/dispatch_bytes"][0]
got = f["paced/received"][0].sum(axis=(0, 1)) # sender, rank
off = ~np.eye(4, dtype=bool)
assert sent[off].sum() > 0 and (got[off] == (sent + sent.T).T[off]).all(), (got, sent)
assert (wait >= 0).all() and (exposed <= travel).all()
'
done
spoilt() {
    exits 3 ranks 4 ./moegps run "$dir/x.yaml" --set serving.overlap=two-batch \
        --set workload.batch=4 --set workload.seq=32 -o "$dir/spoilt.h5" --inject check:2 &&
        grep -q 'strategy baseline' "$dir/err"
}
check "a row that is spoilt in a half is found" spoilt

# ---- slow motion, links ----

check "slow motion is valid" run slow.h5 emulation.dilation=3 emulation.progress=thread
check "it says its factor" grep -q 'took 3.00 times as long' "$dir/out"
check "lateness and the timer are of one clock" \
    sh -c "tr -s '\n ' ' ' < '$dir/out' | grep -q 'layers and ranks, by the clock of this machine; '"
check_if "h5py numpy" "what phases took adds up in slow motion, too" look slow.h5 "$adds_up"
check_if "h5py numpy" "lateness is not divided by the factor" look slow.h5 '
said = " ".join(open(sys.argv[1].replace("slow.h5", "out")).read().split())
at = said.index("Paced phases ended late, in ") + 28
strategy = said[at:said.index(" by most", at)]
s = list(f["timing/strategy"].asstr()).index(strategy)
number, unit = said[said.index("attention by ", at) + 13:].split()[:2]
own = np.median([np.median(x) for x in late[s, :, :, 0, :]]) * 3
assert abs(float(number) * {"ns": 1e-9, "us": 1e-6, "ms": 1e-3}[unit] / own - 1) < 0.02, (number, unit, own)
'
check_if "h5py numpy" "what is asked for stays, what is measured is divided" look slow.h5 '
one = h5py.File(sys.argv[1].replace("slow", "paced"))["paced/asked"][...]
assert np.allclose(asked[0], one[0])
for k, p in enumerate(("attention", "ffn")):
    assert (wall[p][0] >= asked[0, :, :, k, :] * (1 - 1e-9)).all(), p
assert float(fact["dilation"]) == 3
'
check "a dry run says the memory and the time" \
    kept ./moegps run "$dir/x.yaml" --dry-run --ranks 4
check "weights need none" grep -q 'expert weights at most 0.00 GiB' "$dir/out"
check "the time is that of the paced phases" \
    grep -Eq 'paced phases take about 0?\.?[0-9]+' "$dir/out"

# Links by calibrate --mpi.
check "this machine's links are measured" \
    ranks 4 ./moegps calibrate --mpi --profile "$dir/round.yaml" -o "$dir/here.h5"
check "auto takes the ratio of the links" \
    run auto.h5 emulation.dilation=auto emulation.links="$dir/here.h5" \
    workload.layers=0 workload.iterations=1 workload.seq=4
check "and says so" grep -q 'measured by calibrate --mpi' "$dir/out"

refused() { # WORDS SETTING...
    local words=$1
    shift
    rm -f "$dir/no.h5"
    ! run no.h5 "$@" && grep -q "$words" "$dir/err" && [ ! -e "$dir/no.h5" ]
}
# Attention of a token takes 58 ns there, less than clocks take to be read.
sed 's/^launch_s:.*/launch_s: 0/' "$dir/round.yaml" > "$dir/fast.yaml"
stopped() {
    exits 75 ranks 4 ./moegps run "$dir/x.yaml" --set workload.iterations=40 \
        -o "$dir/stop.h5" --max-time 2 &&
        kept ranks 4 ./moegps run "$dir/x.yaml" --set workload.iterations=40 \
            -o "$dir/stop.h5" --resume &&
        look stop.h5 'assert np.isfinite(asked).all() and np.isfinite(late).all()'
}
# Four ranks of one node for two nodes of two GPUs each.
check "nodes that are not the cluster's are no ground to refuse a run" \
    run other-nodes.h5 cluster="$dir/pairs.yaml" workload.layers=0 workload.iterations=1
others="ranks do not share nodes as the cluster's GPUs do, 2 a node"
check "... but it says that its network is not the cluster's" eval \
    'err_has "$others" && out_reads "$others: the network of this run is not the cluster'"'"'s"'
kept ranks 4 ./moegps run "$dir/x.yaml" --force --set workload.layers=0 --set workload.iterations=1 \
    -o "$dir/other-nodes.h5"
check "... which nodes that are the cluster's do not say" eval \
    '[ -s "$dir/out" ] && not finds "do not share nodes" < <(cat "$dir/out" "$dir/err")'
# A cost model that has no such GPU.
sed 's/^cost:.*/cost: silicon/; s/^gpu:.*/gpu: nowhere/' "$dir/round.yaml" > "$dir/nowhere.yaml"
check "a GPU that the cost model does not have is refused" eval \
    'refused "no measured .nowhere." cluster="$dir/nowhere.yaml" && is "$(grep "^moegps: " "$dir/err" | grep -vc warning)" 1'
check "deadlines below the timer's error are refused" \
    refused 'to which this machine keeps deadlines' "cluster=$dir/fast.yaml" workload.seq=1
check "one sequence has no halves" \
    refused 'two-batch splits the sequences' serving.overlap=two-batch
check "shared experts beside the exchange alone are refused" \
    refused 'allowed with emulation.ffn or attention: paced: none, two-batch' serving.overlap=shared
check "tables of other links are refused" \
    refused "no measured 'mpi'" emulation.dilation=auto \
    emulation.links=jobs/silicon/tables.h5

check "a paced run that was stopped goes on" stopped
finish
