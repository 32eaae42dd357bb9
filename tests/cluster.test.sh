#!/usr/bin/env bash
# Submit, survive, merge and report on a real Slurm cluster of four hosts, made
# of namespaces on this machine (tests/cluster/cluster.sh). Prints TAP.
mkdir -p "${BUILD:-build}"
SCRATCH=$(cd "${BUILD:-build}" && pwd) # the hosts' /tmp and /dev/shm are their own
unset TMPDIR
# shellcheck source=tests/tap.bash
. "$(dirname "$0")/tap.bash"
cluster=tests/cluster/cluster.sh
trap '$cluster stop "$dir" > /dev/null 2>&1; rm -rf "$dir"' EXIT

# On a busy machine Open MPI 4.1.4 now and then crashes as ranks of several hosts
# start: a message comes in before its handler is registered, and what is not
# there is called. No function of anybody is on the stack then, and nothing was
# said yet; such a start is no failure of a test.
crashed_at_start() {
    local f
    for f in "$@"; do
        grep -qF 'Failing at address: (nil)' "$f" && ! grep -qE '\[ 1\]|^moegps: ' "$f" && return
    done
    return 1
}

# tried COMMAND...: again where it crashed like that
tried() {
    local i rc said
    said=$(mktemp "$dir/said-XXXXXX")
    for ((i = 0; i < 9; i++)); do
        rc=0
        "$@" > "$said" 2>&1 || rc=$?
        [ "$rc" -ne 0 ] && crashed_at_start "$said" || break
    done
    cat "$said"
    return $rc
}

all_ended() { [ -z "$(squeue -h 2>&1)" ] || { squeue; return 1; }; }

why_not=$($cluster possible) && why_not=
check "a cluster of four hosts comes up" $cluster start "$dir" 4
[ -n "$why_not" ] || [ -e "$dir/env" ] || why_not="the cluster did not come up"
# shellcheck source=/dev/null
[ -n "$why_not" ] || . "$dir/env"
check "ranks find each other across hosts" sh -c \
    "[ \$(srun -N4 -n4 --ntasks-per-node=1 hostname | sort | tr '\n' ' ' | tr -d ' ') = n1n2n3n4 ]"

# ---- other checkouts that test at the same time ----
# Bridge, network and port of a cluster have its number in their names.
others() {
    mkdir "$dir/killed" "$dir/other" && $cluster claim "$dir/killed" && $cluster claim "$dir/other" &&
        is "$(sort -u "$dir/number" "$dir/killed/number" "$dir/other/number" | wc -l)" 3
}
check "clusters of other checkouts have other numbers" others
given_back() {
    local bridge
    bridge=moe$(cat "$dir/other/number")br
    ip link show "$bridge" && $cluster stop "$dir/other" && not ip link show "$bridge" &&
        ip link show "moe$(cat "$dir/number")br"
}
check "... which they give back, and no others" given_back
# The first free number is taken; so no higher one.
taken_over() {
    local number
    number=$(cat "$dir/killed/number") && rm -r "$dir/killed" && mkdir "$dir/next" &&
        $cluster claim "$dir/next" && [ "$(cat "$dir/next/number")" -le "$number" ] &&
        $cluster stop "$dir/next"
}
check "... and what a killed one left is taken over" taken_over
check "this cluster goes on" sh -c "[ \"\$(sinfo -h -N -o %T | sort -u)\" = idle ]"

# ---- submit to report ----
submit() {
    jobs/slurm/submit.sh tests/cluster/demo.yaml "$dir/jobs" MOEGPS=./moegps MOEGPS_BIND= \
        TIME=5 RANKS_PER_NODE=2 "$@"
}
out=$dir/jobs
dry_run() {
    submit --dry-run 2>&1 | tee "$dir/dry" && [ -z "$(squeue -h)" ]
}
check "--dry-run submits nothing" dry_run
check "... but shows every job" sh -c "[ \$(grep -c '^[a-z0-9]*=.* sbatch ' '$dir/dry') -eq 4 ]"
check "... and makes nothing" test ! -e "$out"
check "bad variables are refused" sh -c "! jobs/slurm/submit.sh tests/cluster/demo.yaml '$out' \
    MOEGPS=./moegps NODES=none 2>&1 | grep -qv \"NODES 'none': a whole number\""
check "a missing program is refused" sh -c "! jobs/slurm/submit.sh tests/cluster/demo.yaml '$out' \
    MOEGPS=./nothing 2>&1 | grep -qv \"no program './nothing'\""
check "1, 2 and 4 nodes are submitted" submit NODES="1 2 4"
ended() {
    local i
    for ((i = 0; i < 9; i++)); do
        await 120 all_ended || return 1
        set -- "$out"/n*-r1.h5
        [ $# -lt 3 ] && crashed_at_start "$out"/n*.out || return 0
        rm -f "$out"/n*.out
        submit NODES="1 2 4" # what is complete is not run again
    done
}
check "all jobs end" ended
check "each node count has its result" sh -c \
    "cd '$out' && [ \"\$(echo n*.h5)\" = 'n0001-r1.h5 n0002-r1.h5 n0004-r1.h5' ]"
check "the sweep has all three" "$PYTHON" - "$out/sweep.h5" <<'PY'
import sys
import xarray as xr
d = xr.open_dataset(sys.argv[1], group="runs")
assert list(d.nodes.values) == [1, 2, 4], d.nodes.values
assert list(d.gpus.values) == [2, 4, 8], d.gpus.values
assert set(d.status.values) == {"complete"} and set(d.validation.values) == {"pass"}
PY
check "the report shows scaling" grep -q "Scaling, gpu clock" "$out/report.txt"
check "provenance has hosts and Slurm's ids" "$PYTHON" - "$out/n0004-r1.h5" <<'PY'
import sys
import h5py
p = h5py.File(sys.argv[1])["provenance"]
assert list(p["host"].asstr()) == ["n1", "n1", "n2", "n2", "n3", "n3", "n4", "n4"], list(p["host"])
assert list(p["node"]) == [0, 0, 1, 1, 2, 2, 3, 3]
assert p.attrs["nodes"] == 4 and p.attrs["slurm_nodelist"] == "n[1-4]"
assert p.attrs["slurm_cluster"] == "virtual" and int(p.attrs["slurm_array_task_id"]) == 1
assert int(p.attrs["slurm_job_id"]) > 0
PY
check "what is complete is not run again" submit NODES=1
check "... its job ends at once" await 60 all_ended
check "... having said so" grep -q "is complete already" "$out/n1-1.out"

# ---- links ----
# run_on HOSTS RANKS FILE ARGUMENTS...: with two ranks per host
run_on() {
    local hosts=$1 ranks=$2 file=$3
    shift 3
    tried timeout 600 srun -N"$hosts" -n"$ranks" --ntasks-per-node=$((ranks / hosts)) --kill-on-bad-exit=1 \
        ./moegps run tests/cluster/demo.yaml -o "$dir/$file" "$@"
}
# At 16 Mbit/s the 128 KiB that cross the link in a dispatch take 65 ms.
slow=(--set workload.iterations=4 --set workload.seq=512 --set emulation.scale=16)
shaped() {
    exits 0 run_on 2 2 slow.h5 "${slow[@]}"
    local rc=$?
    $cluster unshape "$dir" n2
    return $rc
}
if [ -z "$why_not" ] && ! why=$($cluster shape "$dir" n2 16mbit 2ms 2>&1); then
    why_not=$why
fi
check "a run on a slow link" shaped
check "... and on a fast one" exits 0 run_on 2 2 fast.h5 "${slow[@]}"
check "a slow link shows in the wall clock of dispatch" "$PYTHON" - "$dir/fast.h5" "$dir/slow.h5" <<'PY'
import sys
import xarray as xr
fast, slow = (xr.open_dataset(f, group="timing") for f in sys.argv[1:])
# Least of baseline, as a busy machine makes others long; an oracle may send nothing.
# A slow link is never faster. A fast one is as slow only if all iterations are kept.
wall = [float(d.wall.isel(strategy=0).sel(phase="dispatch").max("rank").min()) for d in (fast, slow)]
print(f"dispatch {wall[0] * 1e3:.2f} ms fast, {wall[1] * 1e3:.2f} ms slow")
assert wall[1] > max(wall[0], 0.04)
gpu = [float(d.gpu.sel(phase="dispatch").max("rank").median()) for d in (fast, slow)]
assert gpu[0] == gpu[1], gpu  # modelled: knows nothing of this machine's links
PY
# A paced run, one GPU a host: all that moves crosses the link, at 1/256 of its
# size. Weights cannot come faster than the link: of each 256 KiB a sender passes
# on 64 before the receiver asks, and no more, however long that one is kept from
# its core. What of their way attention of the first layer and its coordination do
# not hide is exposed.
paced=(--set emulation.ffn=paced --set emulation.attention=paced --set emulation.scale=16
    --set emulation.dilation=20 --set workload.iterations=4 --set workload.seq=256
    --set strategies.oracle.slots=5 --set strategies.distribution-only.slots=5)
# over_80mbit FILE ARGUMENTS...: a run whose two hosts both have a slow link
over_80mbit() {
    local rc=0
    $cluster shape "$dir" n1 80mbit 1ms && $cluster shape "$dir" n2 80mbit 1ms &&
        exits 0 run_on 2 2 "$@" || rc=$?
    $cluster unshape "$dir" n1
    $cluster unshape "$dir" n2
    return $rc
}
check "a paced run over a slow link" over_80mbit paced.h5 "${paced[@]}"
check "its report has the rows between nodes" sh -c \
    "./moegps report '$dir/paced.h5' | grep -A10 'Rows between nodes' | grep -Eq '^ +0 +1 '"
check "weights keep to the link, and exposure is what attention does not hide" "$PYTHON" - "$dir/paced.h5" <<'PY'
import sys
import h5py
import numpy as np
f = h5py.File(sys.argv[1])
rate, dilation = 80e6 / 8, float(f["config"].attrs["dilation"])
phases = list(f["timing/phase"].asstr())
s = 2  # oracle: plans for each batch
busier = f["work/migrate"][s].sum(axis=2).max(axis=2) / 256.0  # direction, of each layer
beside = f["paced/beside_time"][s, :, :, 3, :] * dilation
some = busier > 1e6
assert some.any() and (f["plan/moved_bytes"][s] / 256.0 >= busier - 1).all(), busier
least = 0.9 * (busier - 64 * 1024 * np.ceil(busier / (256 * 1024))) / rate
assert (beside.max(axis=2)[some] > least[some]).all(), (beside, least)
wall = {p: f["timing/wall"][s, :, 0, i, :] * dilation for i, p in enumerate(phases)}
hides = wall["attention"] + wall["collect"] + wall["plan"] + wall["broadcast"]
due = beside[:, 0, :] - hides
print("# first layer: migration", beside[:, 0, :].max(), "s, exposed", wall["migrate"].max(), "s")
assert (wall["migrate"] >= due - 5e-3 - 0.05 * beside[:, 0, :]).all(), (wall["migrate"], due)
PY
# Two halves in turn, one GPU a host. In slow motion a launch takes 10 ms: each
# half attends for 50 ms and is computed for 30 ms. Rows of one leave, or come
# home, beside one of these of the other: so much is hidden, or all of it. Only
# the last layer's second half comes home beside nothing.
sed 's/^gpus_per_node:.*/gpus_per_node: 1/; s/^launch_s:.*/launch_s: 1e-3/' \
    tests/cluster/round.yaml > "$dir/round.yaml"
halves=(--set cluster="$dir/round.yaml" --set emulation.ffn=paced --set emulation.attention=paced
    --set emulation.scale=16 --set emulation.dilation=10 --set workload.iterations=3
    --set workload.batch=4 --set workload.seq=1024 --set serving.overlap=two-batch)
check "two halves in turn over a slow link" over_80mbit halves.h5 "${halves[@]}"
check "rows of one keep to the link, and hide behind as much compute of the other" \
    "$PYTHON" - "$dir/halves.h5" <<'PY'
import sys
import h5py
import numpy as np
f = h5py.File(sys.argv[1])
rate = 80e6 / 8
travel, exposed = f["paced/travel_time"][...] * 10, f["paced/travel_exposed"][...] * 10
asked = f["paced/asked"][...]
assert np.allclose(asked[..., 0, :], 10e-3, rtol=1e-2) and np.allclose(asked[..., 1, :], 6e-3, rtol=1e-2)
s = 0  # baseline: nothing else crosses the link
got = f["paced/received"][s].sum(axis=2)  # iteration, layer, rank: dispatch and combine
assert (got > 500e3).all(), got
both = travel[s].sum(axis=2)
assert (both > (got - 4 * 100e3) / rate).all(), (both, got / rate)  # less what bursts pass
hidden = travel[s] - exposed[s]
# of each layer's two halves the sum: first and second
beside = {0: (50e-3, 30e-3), 1: (30e-3, 50e-3)}
for x, (a, b) in beside.items():
    layers = slice(None) if x == 0 else slice(0, -1)
    least = np.minimum(travel[s, :, layers, x, :], min(a, b))
    assert (hidden[:, layers, x, :] > least - 1e-6).all(), (x, hidden, travel)
link = got / rate
print("# rows of a layer need %.0f ms of the link beside 160 of compute; travelled %.0f, exposed %.0f ms (first layer, least)"
      % (1e3 * link[:, 0].max(), 1e3 * both[:, 0].min(), 1e3 * exposed[s, :, 0].sum(axis=1).min()))
PY
grep '^# rows of a layer' "$dir/said" || :
[ ! -e "$dir/env" ] || why_not=

# ---- survive ----
long=(--set workload.iterations=3000)
export MOEGPS_EXPERIMENT=$PWD/tests/cluster/demo.yaml MOEGPS=$PWD/moegps MOEGPS_BIND=
warn() {
    job=$(MOEGPS_OUT=$dir/usr1.h5 MOEGPS_SET="workload.iterations=60" sbatch --parsable -N2 \
        --ntasks-per-node=1 --time=20 --output="$dir/usr1.out" jobs/slurm/job.sbatch) &&
        await 60 begun_or_crashed && flushed usr1.h5.partial && scancel --signal=USR1 "$job" &&
        await 30 grep -q 'queued again' "$dir/usr1.out" || { cat "$dir/usr1.out"; return 1; }
}
begun_or_crashed() { [ -e "$dir/usr1.h5.partial" ] || crashed_at_start "$dir/usr1.out"; }
warned() {
    local i
    for ((i = 0; i < 9; i++)); do
        warn && return
        crashed_at_start "$dir/usr1.out" || return 1
        scancel "$job"
        await 60 all_ended
        rm -f "$dir"/usr1.*
    done
    return 1
}
job=
check "a warned job stops in order and queues itself again" warned
check "... to be finished" await 200 all_ended
check "... and is" attribute_is usr1.h5 status complete
check "... in two parts, both noted" "$PYTHON" -c \
    "import h5py; p = h5py.File('$dir/usr1.h5')['provenance'].attrs; assert p['resumes'] == 1 and 'Slurm job $job' in p['resume_1'], dict(p)"

none_left() { ! pgrep -af "$1"; }
# Who ends it, Slurm or the watchdog, depends on how busy the machine is; Slurm
# says so and then may well exit with 0.
dead_node() {
    run_on 4 4 node.h5 "${long[@]}" --watchdog "$(patience 4)" > "$dir/node.out" 2>&1 &
    local pid=$!
    flushed node.h5.partial && $cluster kill "$dir" n3 || return 1
    await 120 not kill -0 "$pid" && { not wait "$pid" || grep 'Node failure on n3' "$dir/node.out"; }
}
check "a dead node ends the job, with an error" dead_node
check "... leaving no rank behind" await 5 none_left "moegps run .*$dir/node.h5"
check "... and a readable file" attribute_is node.h5.partial status running
check "... with iterations" flushed node.h5.partial
check "the node comes back" $cluster revive "$dir" n3
# Without --kill-on-bad-exit, as all ranks exit with 75.
go_on() {
    tried timeout 600 srun -N4 -n4 --ntasks-per-node=1 ./moegps run tests/cluster/demo.yaml \
        -o "$dir/node.h5" "${long[@]}" --resume --max-time 3
}
check "... and the run goes on" exits 75 go_on
check "... further than it was" sh -c "./moegps report '$dir/node.h5' | grep -q 'status *interrupted'"

check "nothing is left running" await 30 all_ended
[ -n "$why_not" ] || $cluster stop "$dir"
check "the cluster stops" none_left "slurm(ctl)?d .*$dir"
finish
