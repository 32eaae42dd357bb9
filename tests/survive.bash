# shellcheck shell=bash
# What survive.test.sh and soak.sh share: runs that are stopped, and what must
# come out of them all the same. Source it behind tap.bash.
trap 'pkill -9 -f "$dir" 2> /dev/null; rm -rf "$dir"' EXIT

# Long enough to be stopped in the middle, small enough to be quick: where ranks
# share cores they wait in each of an iteration's collectives.
: "${ITERATIONS:=200}"
cat > "$dir/x.yaml" <<EOF
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 1, seq: 128, layers: "0,31", iterations: $ITERATIONS, warmup: 1, seed: 3}
emulation: {ffn: dnnl, scale: 128, rebalance_every: 3}
strategies:
  - {name: baseline, predictor: none, planner: static}
  - {name: oracle, predictor: oracle, planner: duplicate, slots: 4}
  - {name: dim, predictor: oracle, planner: duplicate, slots: 4, l1: 0.3, split: local}
  - {name: ahead, predictor: window, slots: 4, split: minmax, plan_ahead: true}
  - {name: memory, predictor: ema, slots: 4, planner: timed}
EOF

# run RANKS FILE ARGUMENTS...: of the experiment in $yaml
yaml=x.yaml
run() {
    ranks "$1" ./moegps run "$dir/$yaml" -o "$dir/$2" "${@:3}"
}

# The processes of the run that writes FILE: pkill ARGUMENTS... for its ranks
ranks_of() { pkill "${@:2}" -f "^\./moegps run .*$dir/$1"; }
# same A B: all that no clock of this machine measured
same() {
    "$PYTHON" - "$dir/$1" "$dir/$2" <<'PY'
import sys
import h5py
import numpy as np

a, b = (h5py.File(p) for p in sys.argv[1:])
measured = {"wall", "cpu", "wait", "layer_time_wall", "layer_time_cpu",
            "iteration_time_wall", "iteration_time_cpu", "warmup_time", "planner_time"}
compared = 0
for group in ("timing", "load", "prediction", "plan", "regret", "traffic"):
    for name, x in a[group].items():
        y = b[group][name]
        if x.dtype.kind not in "if" or name in measured:
            continue
        x, y = x[()], y[()]
        assert np.array_equal(x, y, equal_nan=x.dtype.kind == "f"), f"{group}/{name} differs"
        assert x.dtype.kind != "i" or (x != -1).any() or "slot" in name, f"{name} was never written"
        compared += x.size
assert compared > 10000, compared
for f in (a, b):
    assert f.attrs["status"] == "complete" and f.attrs["validation"] == "pass"
    assert not np.isnan(f["timing/layer_time_wall"][()]).any()
PY
}
