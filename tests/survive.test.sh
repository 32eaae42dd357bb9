#!/usr/bin/env bash
# Runs that are stopped, killed, hang or find the disk full, and what goes on
# from what they leave. Prints TAP.
. "$(dirname "$0")/tap.bash"
trap 'pkill -9 -f "$dir" 2> /dev/null; rm -rf "$dir"' EXIT

# Long enough to be stopped in the middle, small enough to be quick.
ITERATIONS=1500
LONG="--set workload.layers=7 --set workload.iterations=20000"
cat > "$dir/x.yaml" <<'EOF'
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 1, seq: 128, layers: "0,7,31", iterations: 1500, warmup: 1, seed: 3}
emulation: {ffn: dnnl, scale: 128, rebalance_every: 3}
strategies:
  - {name: baseline, predictor: none, planner: static}
  - {name: oracle, predictor: oracle, planner: duplicate, slots: 4}
  - {name: dim, predictor: oracle, planner: duplicate, slots: 4, l1: 0.3, split: local}
  - {name: ahead, predictor: window, slots: 4, split: minmax, plan_ahead: true}
  - {name: memory, predictor: ema, slots: 4, planner: timed}
EOF

# Sequences of unequal length; what was planned ahead in warm-up comes into
# force near the end.
cat > "$dir/uneven.yaml" <<'EOF'
model: gpt-oss-20b
cluster: a100-nvlink
trace: gpt-oss-20b-mmlu
workload: {batch: 1, seq: 0, layers: "0,7", iterations: 3000, warmup: 1, seed: 3}
emulation: {ffn: none, scale: 64, rebalance_every: 2900, coordinator: dedicated}
strategies:
  - {name: memory, predictor: ema, half_life: 3000, slots: 12}
  - {name: ahead, predictor: window, slots: 12, planner: eplb, plan_ahead: true}
EOF

# run RANKS FILE ARGUMENTS...: of the experiment in $yaml
yaml=x.yaml
run() {
    local ranks=$1 file=$2
    shift 2
    timeout -k 5 120 "$MPIRUN" -n "$ranks" ./moegps run "$dir/$yaml" -o "$dir/$file" "$@" \
        > "$dir/out" 2> "$dir/err"
}

exits() {
    local code=$1 rc=0
    shift
    "$@" || rc=$?
    [ "$rc" -eq "$code" ] || { echo "exit $rc, not $code"; return 1; }
}

says() {
    grep -qF -- "$1" "$dir/err" || { echo "does not say: $1"; return 1; }
}

# attribute FILE NAME
attribute() {
    "$PYTHON" -c 'import h5py, sys; print(h5py.File(sys.argv[1]).attrs[sys.argv[2]])' "$dir/$1" "$2"
}

# done_in FILE: iterations that the journal vouches for; also of a file that is
# being written, which HDF5 would lock
done_in() {
    HDF5_USE_FILE_LOCKING=FALSE "$PYTHON" -c 'import h5py, sys; print(h5py.File(sys.argv[1])["resume/progress"][0])' "$dir/$1"
}

is() {
    [ "$1" = "$2" ] || { echo "is '$1', not '$2'"; return 1; }
}

between() {
    [ "$1" -gt "$2" ] && [ "$1" -lt "$3" ] || { echo "$1 is not between $2 and $3"; return 1; }
}

# same A B: all that does not depend on a clock of this machine. The planner's
# time is measured, so phase plan is left out of the gpu clock's parts.
same() {
    "$PYTHON" - "$dir/$1" "$dir/$2" <<'PY'
import sys
import h5py
import numpy as np

a, b = (h5py.File(p) for p in sys.argv[1:])
measured = {"wall", "cpu", "wait", "layer_time_wall", "layer_time_cpu", "layer_time_gpu",
            "iteration_time_wall", "iteration_time_cpu", "iteration_time_gpu",
            "warmup_time", "planner_time"}
compared = 0
for group in ("timing", "load", "prediction", "plan", "regret", "traffic"):
    for name, x in a[group].items():
        y = b[group][name]
        if x.dtype.kind not in "if" or name in measured:
            continue
        x, y = x[()], y[()]
        if (group, name) == ("timing", "gpu"):  # phase plan is what the planner took here
            x, y = (np.delete(v, 2, axis=3) for v in (x, y))
        if name == "exposed":  # and what attention hides of the next, depends on it
            x, y = (v[:, :, :, 5:] for v in (x, y))
        assert np.array_equal(x, y, equal_nan=x.dtype.kind == "f"), f"{group}/{name} differs"
        assert x.dtype.kind != "i" or (x != -1).any() or "slot" in name, f"{name} was never written"
        compared += x.size
assert compared > 10000, compared
for f in (a, b):
    assert f.attrs["status"] == "complete" and f.attrs["validation"] == "pass"
    assert not np.isnan(f["timing/layer_time_wall"][()]).any()
PY
}

# foreign: a trace where the result should be
foreign() {
    cp jobs/traces/mixtral-8x7b-tokens.h5 "$dir/foreign.h5"
    run 2 foreign.h5 --resume
}

run 4 whole.h5
check "a run to compare with is complete" is "$(attribute whole.h5 status)" complete

# Longer on slow machines, until an iteration fits.
stop_in_the_middle() {
    local limit rc
    for limit in 1.5 5 15 45; do
        rc=0
        run 4 limit.h5 --resume --max-time "$limit" || rc=$?
        [ "$rc" -eq 75 ] || break
        [ "$(done_in limit.h5)" -eq 0 ] || break
    done
    return "$rc"
}
check "--max-time ends with 75" exits 75 stop_in_the_middle
check "... and says how to go on" says "--resume goes on"
check "... leaving a file that says interrupted" is "$(attribute limit.h5 status)" interrupted
check "... in the middle" between "$(done_in limit.h5)" 0 $ITERATIONS
check "... which report calls incomplete" sh -c "./moegps report '$dir/limit.h5' | tail -n 1 | grep -q INCOMPLETE"
check "without --resume it is not overwritten" exits 2 run 4 limit.h5
check "another seed is refused" exits 2 run 4 limit.h5 --resume --set workload.seed=4
check "... naming what differs" says "'  seed: 3', this one '  seed: 4'"
mkdir -p "$dir/jobs/clusters" && cp -r jobs/models jobs/traces jobs/silicon "$dir/jobs/"
sed 's/^link_bandwidth: 300e9/link_bandwidth: 900e9/' jobs/clusters/a100-nvlink.yaml \
    > "$dir/jobs/clusters/a100-nvlink.yaml"
other_profile() {
    MOEGPS_JOBS=$dir/jobs run 4 limit.h5 --resume
}
check "another profile of the same name is refused" exits 2 other_profile
check "... naming what differs" says "link_bandwidth: 900e9"
check "another number of ranks is refused" exits 2 run 2 limit.h5 --resume
check "... naming it" says "is of a run with 4 ranks, this one has 2"
check "refusals leave the file as it was" is "$(attribute limit.h5 status)" interrupted
# full: go on with limit.h5 on a disk without room, then with some
full() (
    disk=$dir/disk
    mkdir -p "$disk" && mount -t tmpfs -o size=1g tmpfs "$disk" &&
        cp "$dir/limit.h5" "$disk/limit.h5" || exit 1
    used=$(du -k "$disk/limit.h5" | cut -f1)
    mount -o "remount,size=$((used + 64))k" "$disk" || exit 1
    dd if=/dev/zero of="$disk/ballast" bs=1k 2> /dev/null
    exits 1 run 4 disk/limit.h5 --resume || exit 1
    says "limit.h5: cannot write: No space left" || exit 1
    rm "$disk/ballast"
    mount -o remount,size=1g "$disk" || exit 1
    exits 0 run 4 disk/limit.h5 --resume && cp "$disk/limit.h5" "$dir/room.h5"
)
export -f full exits run says
export dir yaml MPIRUN LONG
if unshare -m mount -t tmpfs tmpfs /mnt 2> /dev/null; then
    check "a full disk costs a resumed run nothing" unshare -m bash -c full
    check "... once there is room" same whole.h5 room.h5
else
    echo "ok $((n + 1)) - a full disk costs a resumed run nothing # SKIP needs mounts"
    n=$((n + 1))
fi
check "a file that is no result is refused" exits 2 foreign
check "... by name" says "foreign.h5: attribute 'status' is missing"
check "--resume finishes it" exits 0 run 4 limit.h5 --resume
check "... equal to the uninterrupted run" same whole.h5 limit.h5
check "--resume of a complete file does nothing" exits 0 run 4 limit.h5 --resume
check "... and says so" says "is complete already"
check "--resume without a file starts anew" exits 75 run 2 fresh.h5 --resume --max-time 1.5 $LONG
check "--resume and --force exclude each other" exits 2 run 2 fresh.h5 --resume --force
check "a time that is none is refused" exits 2 run 2 no.h5 --max-time soon
check "... saying what is" says "as in 90, 1:30 or"

yaml=uneven.yaml
run 5 uneven.h5
check "a run of uneven batches stops" exits 75 run 5 resumed.h5 --max-time 1
check "... before the first plan since warm-up" between "$(done_in resumed.h5)" -1 2899
check "... and resumes" exits 0 run 5 resumed.h5 --resume
check "... to the same predictions and plans" same uneven.h5 resumed.h5
yaml=x.yaml

# signal NAME FILE: to one rank alone
signal() {
    run 4 "$2" &
    local pid=$! rc=0 i
    for ((i = 0; i < 100; i++)); do
        [ -e "$dir/$2.partial" ] && break
        sleep 0.1
    done
    sleep 1
    pkill "-$1" -o -f "^\./moegps run.*$2"
    wait "$pid" || rc=$?
    return "$rc"
}
check "SIGUSR1 to one rank ends all with 75" exits 75 signal USR1 usr1.h5
check "... and says why" says "stopped by SIGUSR1"
check "SIGTERM does, too" exits 75 signal TERM term.h5
check "a signalled run resumes" exits 0 run 4 usr1.h5 --resume
check "... to the same numbers" same whole.h5 usr1.h5

# A rank that is killed after the first flush takes the others with it.
run 4 killed.h5 $LONG &
pid=$!
for ((i = 0; i < 200; i++)); do
    [ -e "$dir/killed.h5.partial" ] && [ "$(done_in killed.h5.partial 2> /dev/null || echo 0)" -gt 0 ] && break
    sleep 0.2
done
killed_at=$SECONDS
pkill -9 -n -f "^\./moegps run.*killed.h5"
wait "$pid"
check "kill -9 of a rank ends the run within 15 s" between $((SECONDS - killed_at)) -1 15
check "... leaving no rank behind" sh -c "! pgrep -f '^\./moegps run.*killed.h5'"
check "... and a file that says running" is "$(attribute killed.h5.partial status)" running
check "... with every flushed iteration" "$PYTHON" - "$dir/killed.h5.partial" <<'PY'
import sys
import h5py
import numpy as np
f = h5py.File(sys.argv[1])
done = f["resume/progress"][0]
assert done > 0
assert not np.isnan(f["timing/iteration_time_gpu"][:, :done]).any()
assert (f["load/true_pairs"][:done] >= 0).all()
PY
check "a killed run resumes" exits 75 run 4 killed.h5 --resume $LONG --max-time 2

# resume within a file that was killed in every possible place is what the two
# copies are for: damage the one that is not in force.
cp "$dir/killed.h5" "$dir/copy.h5"
"$PYTHON" - "$dir/copy.h5" <<'PY'
import sys
import h5py
with h5py.File(sys.argv[1], "r+") as f:
    f["resume/dispatch_bytes"][1 - f["resume/progress"][1]] = -7
PY
check "a half-written journal does no harm" exits 75 run 4 copy.h5 --resume $LONG --max-time 1.5
check "... and its traffic is sound" "$PYTHON" - "$dir/copy.h5" <<'PY'
import sys
import h5py
f = h5py.File(sys.argv[1])
done = int(f["resume/progress"][0])
rows = 128 * 2 * done  # pairs of the one layer
row = f["config"].attrs["full_row_bytes"]
# the oracle's rows all go ahead, the others' are all dispatched
traffic = f["traffic/dispatch_bytes"][()] + f["traffic/ahead_bytes"][()]
assert (traffic.sum(axis=(1, 2)) == rows * row).all()
assert f["traffic/dispatch_bytes"][1].sum() == 0
PY

# hang: one rank is stopped, not killed.
hang() {
    run 4 hang.h5 --watchdog 3 $LONG &
    local pid=$! rc=0 i
    for ((i = 0; i < 100; i++)); do
        [ -e "$dir/hang.h5.partial" ] && break
        sleep 0.1
    done
    sleep 1
    pkill -STOP -n -f "^\./moegps run.*hang.h5"
    wait "$pid" || rc=$?
    return "$rc"
}
start=$SECONDS
check "--watchdog ends a run that hangs" exits 1 hang
check "... soon" between $((SECONDS - start)) 0 20
check "... naming the rank" says "is stopped or gone"
check "... once" sh -c "[ \$(grep -c watchdog '$dir/err') -eq 1 ]"

echo "1..$n"
