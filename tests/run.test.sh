#!/usr/bin/env bash
# `moegps run` as a user meets it: bad input, failing ranks, any number of
# ranks, ways to coordinate. Prints TAP.
. "$(dirname "$0")/tap.bash"

# moegps RANKS ARGUMENTS...
moegps() {
    ranks "$1" ./moegps "${@:2}"
}

# refused_on RANKS CODE TEXT ARGUMENTS...: TEXT is all that is said by us, but
# for warnings
refused_on() {
    exits "$2" moegps "$1" "${@:4}" || return 1
    grep '^moegps: ' "$dir/err" | grep -v '^moegps: \(warning\|one rank\)' > "$dir/ours"
    mv "$dir/ours" "$dir/err"
    refusal "$3"
}

# A model small enough to run in a moment, and traces for it.
cat > "$dir/tiny.yaml" <<EOF
name: tiny
layers: 3
experts: 16
top_k: 2
hidden: 64
intermediate: 128
heads: 8
kv_heads: 8
head_dim: 8
dtype: bf16
origin: made for tests
EOF
sed 's/top_k: 2/top_k: 17/' "$dir/tiny.yaml" > "$dir/manyk.yaml"
synth() {
    ./moegps trace synth --model tiny --layers 3 --experts 16 --top-k 2 --seqs 12 \
        --tokens 100 --seed 2 "$@"
}
synth --kind token -o "$dir/tiny.h5"
synth --kind load -o "$dir/loads.h5"
synth --kind load --model other -o "$dir/other.h5"
head -c 5000 "$dir/tiny.h5" > "$dir/short.h5"
echo "no trace" > "$dir/text.h5"
: > "$dir/empty.h5"
cp "$dir/tiny.h5" "$dir/range.h5"
"$PYTHON" - "$dir/range.h5" <<'EOF'
import h5py, sys
with h5py.File(sys.argv[1], "r+") as f:
    f["experts"][1, 7, 0] = 200
EOF
cat > "$dir/x.yaml" <<EOF
model: $dir/tiny.yaml
cluster: a100-nvlink
trace: $dir/tiny.h5
workload: {batch: 2, seq: 60, iterations: 6, warmup: 1, seed: 4, order: shuffled}
emulation: {ffn: none, scale: 1}
strategies:
  - {name: baseline}
  - {name: distribution, predictor: distribution, planner: duplicate, slots: 17}
  - {name: oracle, predictor: oracle, planner: duplicate, slots: 17, split: equal}
  - {name: dimmed, predictor: oracle, accuracy: 0.6, planner: duplicate, slots: 17, split: local}
output: $dir/%m-%n.h5
EOF
x=$dir/x.yaml

# --- bad input: one line, exit 2, nothing made ---
echo "modle: x" | cat - "$x" > "$dir/key.yaml"
check "an unknown key is named with its line" \
    refused_on 2 2 "key.yaml:1: experiment: unknown key 'modle'; did you mean model? (allowed: " run "$dir/key.yaml"
check "a wrong type is named" refused_on 2 2 "workload.batch: 'many' is not an integer" run "$x" --set workload.batch=many
set_profile() {
    moegps 2 run "$x" -q --force -o "$dir/profile.h5" --set cluster.link_bandwidth=30GB/s > "$dir/out" &&
        out_reads "(link_bandwidth=30GB/s)" && ./moegps report "$dir/profile.h5" > "$dir/out" &&
        out_reads "(link_bandwidth=30GB/s)" &&
        h5dump -d /config/cluster_profile "$dir/profile.h5" > "$dir/out" &&
        out_has "tables_link_bandwidth: '300000000000'"
}
check "a key of a profile is set for the run, and kept" set_profile
set_model() {
    kept moegps 1 run "$x" -q -o "$dir/model.h5" --set model.heads=16 --set model.layers=3 &&
        out_has "tiny (heads=16, layers=3)" && out_has "RESULT: VALID"
}
check "... of the model, too, whose traces stay its own" set_model
check "a value out of range is named" refused_on 2 2 "is not an integer in 1.." run "$x" --set workload.iterations=0
check "a list where a value belongs" refused_on 2 2 "workload.seed: a list where" run "$x" --set workload.seed=[1]
check "k above E is refused" refused_on 2 2 "top_k" run "$x" --set model="$dir/manyk.yaml"
old_cpu() { ONEDNN_MAX_CPU_ISA=AVX2 refused_on "$@"; }
check "bf16 on a CPU without it" old_cpu 2 2 "emulation.dtype: 'bf16' needs a CPU with AVX-512" run "$x" \
    --set emulation.ffn=dnnl --set emulation.dtype=bf16
check "too few slots, and how many are needed" refused_on 2 2 "16 experts on 2 GPUs need 8" run "$x" --set strategies.oracle.slots=7
check "a trace of another model" refused_on 2 2 "trace is of model 'other'" run "$x" --set trace="$dir/other.h5"
check "a truncated trace" refused_on 2 2 "truncated" run "$x" --set trace="$dir/short.h5"
check "a trace that is no HDF5 file" refused_on 2 2 "is not an HDF5 file" run "$x" --set trace="$dir/text.h5"
check "an empty trace file" refused_on 2 2 "empty.h5" run "$x" --set trace="$dir/empty.h5"
check "expert ids out of range in a trace" refused_on 2 2 "range.h5" run "$x" --set trace="$dir/range.h5"
check "a trace that is not there" refused_on 2 2 "nowhere" run "$x" --set trace=nowhere
check "a model that is not there" refused_on 2 2 "mixtral-8x7b" run "$x" --set model=nothing
check "an experiment that is not there" refused_on 2 2 "cannot open" run "$dir/none.yaml"
check "no experiment" refused_on 2 2 "EXPERIMENT.yaml is needed" run
check "an unknown option" refused_on 2 2 "--frobnicate" run "$x" --frobnicate
check "a planner without a prediction" refused_on 2 2 "needs a prediction" run "$x" --set strategies.0.planner=duplicate
check "direct routing without a forecast of tokens" \
    refused_on 2 2 "strategy distribution: routing 'direct' needs a prediction of every token's experts, predictor 'distribution' gives a distribution" \
    run "$x" --set strategies.distribution.routing=direct
check "direct routing without any forecast" refused_on 2 2 "predictor 'none' gives none" run "$x" --set strategies.0.routing=direct
check "a routing that is none" refused_on 2 2 "'fast' is not one of auto, dispatch, direct" run "$x" --set strategies.oracle.routing=fast
check "an option of another predictor" refused_on 2 2 "unknown key 'accuracy'" run "$x" --set strategies.distribution.accuracy=1
check "an unknown injection site" refused_on 2 2 "no such site (sites: config, " run "$x" --inject nowhere:0
check "an injection on a rank that is not there" refused_on 2 2 "there are 2 ranks" run "$x" --inject plan:2
check "layers that are not there" refused_on 2 2 "workload.layers" run "$x" --set workload.layers=0-3
check "a dedicated coordinator needs a rank" refused_on 1 2 "at least 2 ranks" run "$x" --set emulation.coordinator=dedicated
check "an output that cannot be written" refused_on 2 1 "cannot create" run "$x" -o "/proc/no/such/folder/x.h5"
check "an empty path" refused_on 2 2 "--output: path of 0 characters" run "$x" -o ""
check "a path that is too long" refused_on 2 2 "--output: path of 1100 characters" run "$x" -o "$(printf '%01100d' 1)"
check "a folder that cannot be made" refused_on 2 1 "/proc/x: cannot create this folder" run "$x" -o /proc/x/y.h5
unsaid() {
    local rc=0
    ./moegps list options > /dev/full 2> "$dir/err" || rc=$?
    [ "$rc" -eq 1 ] && grep -q "standard output: No space left on device" "$dir/err"
}
check "output that nobody can read is a failure" unsaid
untouched() { [ "$(find "$dir" -name 'tiny-*' | wc -l)" -eq 0 ]; }
check "refused runs leave nothing behind" untouched

# --- an ordinary run ---
valid() {
    exits 0 moegps "$@" || return 1
    [ "$(tail -n 1 "$dir/out")" = "RESULT: VALID" ] || { echo "not valid"; return 1; }
}
check "a run is valid" valid 2 run "$x"
far() { # 150 characters
    local folder
    folder=$dir/$(printf 'f%.0s' {1..150})
    mkdir "$folder" && cp "$dir/tiny.h5" "$folder/t.h5" &&
        valid 1 run "$x" --set trace="$folder/t.h5" -o "$dir/far.h5" &&
        h5dump -a /config/trace "$dir/far.h5" | tr -d '\n ' | finds -F "$folder/t.h5"
}
check "a long path of a trace is recorded whole" far
warned() {
    valid 2 run "$x" --set workload.iterations="$1" --set workload.layers=0 -q \
        -o "$dir/warned$1.h5" && grep -q "is used $2 times over" "$dir/err" &&
        h5dump -d /log/warning "$dir/warned$1.h5" | finds "is used $2 times"
}
unwarned() { ! warned 1 ".*"; }
check "tokens that come again are warned about, and quiet runs record it" warned 12 ".*"
check "tokens that come once are not" unwarned
once() {
    "$PYTHON" - "$dir/tiny-2.h5" "$dir/warned12.h5" <<'EOF'
import sys, h5py
three, one = (h5py.File(f)["timing/gpu"][2, 0, :, :, 0] for f in sys.argv[1:])
for phase in 1, 3: # collect, broadcast
    # one layer stands for three, and has its part
    assert three[:, phase].sum() > 0, phase
    assert abs(three[:, phase].sum() / (3 * one[:, phase].sum()) - 1) < 0.5, phase
EOF
}
check "the gpu clock pays a collective for all layers once" once
existing() {
    local before
    before=$(sha256sum "$dir/tiny-2.h5")
    refused_on 2 2 "exists" run "$x" || return 1
    [ "$before" = "$(sha256sum "$dir/tiny-2.h5")" ]
}
check "an existing output is neither lost nor changed" existing
check "--force replaces it" valid 2 run "$x" --force
alone() {
    exits 0 ./moegps run "$x" && err_has "one rank, so one GPU" && out_has "RESULT: VALID"
}
check "without mpirun it is one GPU, and says so" alone
check "slots that mean nothing on one GPU do not stop it" \
    valid 1 run "$x" --set strategies.oracle.slots=3 -o "$dir/slots.h5"
json() { kept moegps 2 run "$x" -o "$dir/j.h5" --json - && "$PYTHON" -m json.tool "$dir/out" > /dev/null; }
check "--json - prints JSON and nothing else" json
dry() { kept moegps 2 run "$x" -o "$dir/dry.h5" --dry-run && grep -q "^# 2 GPUs" "$dir/out" && [ ! -e "$dir/dry.h5" ]; }
check "--dry-run runs nothing" dry
as_if() { exits 0 ./moegps run "$x" -q --dry-run --ranks 8 && grep -q "^# as if started on 8 ranks: 8 GPUs" "$dir/out" && grep -q "^# time: experts take about [0-9.e-]* s" "$dir/out"; }
check "... nor as if on other ranks" as_if
check "... which are the launcher's in a run" refused 2 "--ranks: only with --dry-run" ./moegps run "$x" --ranks 8
# The address sanitizer reserves more than any limit.
(ulimit -v $((2 << 20)); ./moegps --version > /dev/null 2>&1) || why_not="its address space cannot be limited"
# 0.8 GiB of weights a layer, three layers, and slots of every strategy.
bounded() (
    ulimit -v $((2 << 20))
    exits "$1" ./moegps run "$x" -q --set emulation.ffn=dnnl --set emulation.scale=1 --set model.hidden=2048 \
        --set model.intermediate=2048 -o "$dir/bounded.h5" "${@:2}"
)
check "a dry run takes the memory of one layer's experts" bounded 0 --dry-run
starved() { bounded 1 && is "$(grep -c '^moegps: .*memory' "$dir/err")" 1; }
check "... where a run has not enough, and says so" starved
# 1 TiB of weights: more than machines have. Even one layer's exceed the limit.
unfit() (
    ulimit -v $((8 << 20))
    exits 1 moegps 2 run "$x" --set emulation.ffn=dnnl --set model.hidden=16384 --set model.intermediate=16384 \
        -o "$dir/unfit.h5" "$@" && err_has "warning: memory: the ranks of $(uname -n) need about" &&
        is "$(grep -c '^moegps: warning: memory: ' "$dir/err")" 1 && err_has "moegps: out of memory: needed "
)
check "a dry run warns of ranks that will not fit" unfit --dry-run
check "... as does a run, before it takes the memory" unfit
why_not=
help() { kept moegps 2 run --help && [ "$(grep -c "Usage:" "$dir/out")" -eq 1 ]; }
check "--help is printed once" help

# --- any number of ranks, any way to coordinate ---
for ranks in 1 2 4 7 8; do
    check "token trace on $ranks ranks" valid $ranks run "$x" -o "$dir/t$ranks.h5"
    check "load trace on $ranks ranks" valid $ranks run "$x" --set trace="$dir/loads.h5" -o "$dir/l$ranks.h5"
done
check "real experts" valid 4 run "$x" --set emulation.ffn=dnnl -o "$dir/dnnl.h5"
check "real experts in f32" valid 2 run "$x" --set emulation.ffn=dnnl --set emulation.dtype=f32 -o "$dir/f32.h5"
check "the exact back end throughout" valid 4 run "$x" --set emulation.ffn=exact -o "$dir/exact.h5"
check "replicated" valid 4 run "$x" --set emulation.coordination=replicated -o "$dir/replicated.h5"
check "again" valid 4 run "$x" -o "$dir/again.h5"
check "a dedicated coordinator" valid 5 run "$x" --set emulation.coordinator=dedicated -o "$dir/dedicated.h5"
check "planning every third iteration" valid 4 run "$x" --set emulation.rebalance_every=3 -o "$dir/every3.h5"
outlived() {
    valid 2 run "$x" --set emulation.rebalance_every=7 -o "$dir/every7.h5" &&
        grep -q "WARNING: emulation.rebalance_every: 7 is more than the 6" "$dir/out"
}
check "a plan that outlives the run is warned about" outlived
# --- recorded order: steps follow one another, and the end is the end ---
recorded() {
    local ranks
    for ranks in 1 2 4 7; do
        valid $ranks run "$x" --set trace="$dir/loads.h5" --set workload.order=auto --set workload.batch=1 \
            --set workload.seq=0 --set workload.iterations=3 --set strategies.distribution.predictor=window \
            -o "$dir/time$ranks.h5" || return 1
    done
    "$PYTHON" - "$dir/loads.h5" "$dir"/time[1247].h5 <<'EOF'
import sys, h5py, numpy as np
trace = h5py.File(sys.argv[1])
steps = trace["counts"][-3:]
for name in sys.argv[2:]:
    run = h5py.File(name)
    assert run["config"].attrs["order"] in (b"recorded", "recorded") and float(run["config"].attrs["passes"]) == 1
    assert np.array_equal(run["load/true_pairs"][...], steps), name
    for i in range(3): # of a window of 8: the steps before, test part or not
        before = trace["counts"][9 + i - 8:9 + i].sum(axis=0)
        share = before / before.sum(axis=1, keepdims=True)
        said = run["load/predicted_pairs"][1, i]
        assert abs(said / said.sum(axis=1, keepdims=True) - share).max() < 1e-6, (name, i)
EOF
}
check "recorded steps follow one another on 1, 2, 4 and 7 ranks, online predictors behind them" recorded
check "more iterations than were recorded are refused" refused_on 2 2 \
    "recorded order has 4 batches of this size in the test part, 5 are asked for, warm-up included" run "$x" \
    --set workload.order=recorded --set workload.batch=1 --set workload.seq=100 --set workload.iterations=4
again_and_again() {
    valid 2 run "$x" --set workload.order=recorded --set workload.repeat=yes -o "$dir/repeat.h5" &&
        grep -q "is used 2.1 times over" "$dir/err"
}
check "unless they are to repeat" again_and_again
same() {
    "$PYTHON" - "$@" <<'EOF'
import sys, h5py, numpy as np
names, files = sys.argv[1].split(","), [h5py.File(f) for f in sys.argv[2:]]
for name in names:
    a = files[0][name][...]
    for f in files[1:]:
        assert np.array_equal(a, f[name][...], equal_nan=a.dtype.kind == "f"), (name, f.filename)
    assert np.nanmax(a) > 0, name + " is empty"
EOF
}
loads=load/true_pairs,load/predicted_pairs,prediction/error,prediction/recall
check "true loads and predictions are the same on 1, 2, 4, 7 and 8 ranks" \
    same $loads "$dir"/t[12478].h5
check "a load trace gives the same on any number of ranks" same load/true_pairs,load/predicted_pairs,prediction/error "$dir"/l[12478].h5
plans=plan/slot_expert,plan/slot_quota
check "plans are the same again, replicated and with a dedicated coordinator" \
    same $plans "$dir/t4.h5" "$dir/again.h5" "$dir/replicated.h5" "$dir/dedicated.h5"
check "regrets are the same again, replicated and with a dedicated coordinator" \
    same regret/actual,regret/minmax,regret/oracle_plan,regret/best,regret/bound \
    "$dir/t4.h5" "$dir/again.h5" "$dir/replicated.h5" "$dir/dedicated.h5"
regrets() {
    valid 4 run "$x" --set emulation.regret=false -o "$dir/noregret.h5" || return 1
    ! grep -q "^Regret" "$dir/out" || { echo "a table of nothing"; return 1; }
    ./moegps report "$dir/t4.h5" > "$dir/out" && grep -q "^Regret" "$dir/out" || return 1
    "$PYTHON" - "$dir/t4.h5" "$dir/noregret.h5" <<'EOF'
import sys, h5py, numpy as np, xarray as xr
stages = "split", "prediction", "planner", "room"
levels = "actual", "minmax", "oracle_plan", "best", "bound"
f = h5py.File(sys.argv[1])
x = [f["regret/" + n][...] for n in levels]
pairs = f["load/rank_pairs"][...]
assert np.array_equal(x[0], pairs.max(axis=3))
# 240 pairs; with slots for every expert on every GPU balance is perfect.
assert (x[4] >= 60).all() and (x[3][1:] == 60).all()
s = xr.open_dataset(sys.argv[1], group="summary")["mean"]
for i, stage in enumerate(stages):
    assert np.allclose(s.sel(metric="regret_" + stage), (x[i] - x[i + 1]).mean(axis=(1, 2)) / 60, atol=1e-12)
left = s.sel(metric="bound") + sum(s.sel(metric="regret_" + n) for n in stages)
assert np.allclose(left, s.sel(metric="imbalance"), atol=1e-12)
none = xr.open_dataset(sys.argv[2], group="regret")
assert all(np.isnan(none[n]).all() for n in levels)
assert none.actual.dims == ("strategy", "iteration", "layer")
EOF
}
check "regrets are recorded, add up to the imbalance, and can be left out" regrets
direct() {
    "$PYTHON" - "$dir" <<'EOF'
import sys, h5py, numpy as np
d = sys.argv[1]
with h5py.File(d + "/t4.h5") as f, h5py.File(d + "/tiny.h5") as t:
    true = f["load/true_pairs"][...].astype(float)
    p = true / true.sum(axis=2, keepdims=True)
    said = f["load/predicted_pairs"][1]
    q = said / said.sum(axis=2, keepdims=True)
    assert np.allclose(np.abs(p - q).sum(axis=2), f["prediction/error"][1], atol=1e-9)
    # the distribution predictor, counted directly from the training part
    start, split = t["seq_offset"][...].astype(int), t["split"][...]
    ends = np.append(start[1:], t["experts"].shape[1])
    keep = np.concatenate([np.arange(a, b) for a, b, s in zip(start, ends, split) if s == 0])
    e = t["experts"][:, keep, :]
    share = np.stack([np.bincount(l.ravel(), minlength=16) for l in e]) / (e.shape[1] * 2)
    assert np.allclose(q[0], share, atol=1e-6)
    assert true.sum(axis=2).min() == true.sum(axis=2).max() == 240
    pairs = f["load/rank_pairs"][...]
    assert (pairs.sum(axis=3) == 240).all()
EOF
}
check "errors and predictions equal a direct computation" direct

routed() {
    valid 4 run "$x" --set strategies.oracle.routing=dispatch -o "$dir/routed.h5" || return 1
    "$PYTHON" - "$dir/t4.h5" "$dir/routed.h5" <<'EOF'
import sys, h5py, numpy as np
ahead, late = map(h5py.File, sys.argv[1:])
assert ahead["config"].attrs["routing"] == "dispatch, dispatch, direct, direct"
assert late["config"].attrs["routing"] == "dispatch, dispatch, dispatch, direct"
pairs = ahead["load/true_pairs"][...].sum()
row = ahead["config"].attrs["full_row_bytes"]
for f, direct in (ahead, (False, False, True, True)), (late, (False, False, False, True)):
    sent, early = (f["traffic/" + n][...].sum(axis=(1, 2)) for n in ("dispatch_bytes", "ahead_bytes"))
    home = np.trace(f["traffic/ahead_bytes"][...], axis1=1, axis2=2)
    tokens = f["load/true_pairs"][...].sum(axis=-1) / f["config"].attrs["top_k"]
    place, recall = f["prediction/in_place"][...], f["prediction/recall"][...]
    for s in range(4):
        if direct[s]:
            assert np.array_equal(place[s], recall[s]) and 0 < early[s] < pairs * row
            assert abs(early[s] - home[s] - (f["work/ahead_rows"][s] * tokens).sum() * row) < 1
        else:
            assert np.isnan(place[s]).all() and early[s] == 0
        left = 1 - place[s].mean() if direct[s] else 1
        assert abs(sent[s] - left * pairs * row) < 1, (s, sent[s], left)
assert 0.4 < ahead["prediction/in_place"][3].mean() < 0.8
assert np.array_equal(ahead["load/rank_pairs"][2], late["load/rank_pairs"][2])
EOF
}
check "direct routing sends ahead what is predicted, and then what was wrong" routed
check "direct routing without copies" valid 4 run "$x" --set strategies.dimmed.planner=static --set strategies.dimmed.slots=0 -o "$dir/nocopies.h5"
for accuracy in 0 1; do
    check "direct routing at accuracy $accuracy" valid 7 run "$x" --set strategies.dimmed.accuracy=$accuracy -o "$dir/a$accuracy.h5"
done

# What is wrong is said once; Open MPI's own lines, which come below, can be left out.
check "an error of four ranks is one line under mpirun -q" refused 2 "no.yaml: cannot open" \
    ranks 4 -q ./moegps run "$dir/no.yaml"
said_once() {
    exits 2 ranks 4 ./moegps run "$dir/no.yaml"
    is "$(grep -n '^moegps: ' "$dir/err" | cut -d: -f1)" 1
}
check "... and the first line without" said_once

# --- faults: every site on every rank ends all ranks, once ---
for site in config trace setup predictor batch predict plan ffn create write finish; do
    for rank in 0 1; do
        [ $site$rank = plan1 ] && continue # only rank 0 plans
        [ $site$rank = trace1 ] && continue # only rank 0 reads the trace
        check "a fault at $site on rank $rank ends all ranks" \
            refused_on 2 1 "injected" run "$x" -o "$dir/fault.h5" --inject $site:$rank
        rm -f "$dir"/fault.h5*
    done
done
invalid() {
    exits 3 moegps 2 run "$x" --force -o "$dir/invalid.h5" --inject check:1 || return 1
    [ "$(grep -o 'strategy ' "$dir/err" | wc -l)" -eq 1 ] || { echo "blames several"; return 1; }
    [ "$(tail -n 1 "$dir/out")" = "RESULT: INVALID" ] && err_has "did not meet"
}
check "a corrupted row makes the run invalid" invalid
# Of a strategy whose rows went ahead.
sed -i '/name: \(baseline\|distribution\)/d' "$x"
check "a corrupted row that went ahead makes the run invalid" invalid
finish
