#!/usr/bin/env bash
# Submit, survive, merge and report on a real Slurm cluster of four hosts, made
# of namespaces on this machine (tests/cluster/cluster.sh). Prints TAP.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
: "${BUILD:=build}" "${PYTHON:=/usr/bin/python3}"
cluster=tests/cluster/cluster.sh
n=0

if ! why=$($cluster possible); then
    echo "ok - Slurm on virtual hosts # SKIP $why"
    echo "1..1"
    exit 0
fi

mkdir -p "$BUILD"
dir=$(mktemp -d "$(cd "$BUILD" && pwd)/cluster-XXXXXX") # the hosts' /tmp is their own
trap '$cluster stop "$dir" > /dev/null 2>&1; rm -rf "$dir"' EXIT

check() {
    n=$((n + 1))
    local name=$1
    shift
    if "$@" > "$dir/said" 2>&1; then
        echo "ok - $name"
    else
        echo "not ok - $name"
        tail -n 30 "$dir/said" | sed 's/^/# /' >&2
    fi
}

is() {
    [ "$1" = "$2" ] || { echo "is '$1', not '$2'"; return 1; }
}

# until_ended SECONDS: no job is left
until_ended() {
    local i
    for ((i = 0; i < $1 * 2; i++)); do
        [ -z "$(squeue -h 2>&1)" ] && return 0
        sleep 0.5
    done
    squeue
    return 1
}

# until_iterated SECONDS FILE: some iterations are flushed
until_iterated() {
    local i
    for ((i = 0; i < $1 * 2; i++)); do
        [ "$(iterations_in "$2.partial")" -gt 0 ] 2> /dev/null && return 0
        sleep 0.5
    done
    return 1
}

iterations_in() {
    HDF5_USE_FILE_LOCKING=FALSE "$PYTHON" -c \
        'import h5py, sys; print(h5py.File(sys.argv[1])["resume/progress"][0])' "$1" 2> /dev/null
}

attribute() {
    "$PYTHON" -c 'import h5py, sys; print(h5py.File(sys.argv[1]).attrs[sys.argv[2]])' "$1" "$2"
}

check "a cluster of four hosts comes up" $cluster start "$dir" 4
# shellcheck source=/dev/null
. "$dir/env"
check "ranks find each other across hosts" sh -c \
    "[ \$(srun -N4 -n4 --ntasks-per-node=1 hostname | sort | tr '\n' ' ' | tr -d ' ') = n1n2n3n4 ]"

# ---- submit to report ----
submit() {
    jobs/slurm/submit.sh tests/cluster/demo.yaml "$dir/out" MOEGPS=./moegps MOEGPS_BIND= \
        TIME=5 RANKS_PER_NODE=2 "$@"
}
out=$dir/out
dry_run() {
    submit --dry-run 2>&1 | tee "$dir/dry" && [ -z "$(squeue -h)" ]
}
check "--dry-run submits nothing" dry_run
check "... but shows every job" is "$(grep -c '^sbatch ' "$dir/dry")" 4
check "... and makes nothing" test ! -e "$out"
check "bad variables are refused" sh -c "! jobs/slurm/submit.sh tests/cluster/demo.yaml '$out' \
    MOEGPS=./moegps NODES=none 2>&1 | grep -qv \"NODES 'none': a whole number\""
check "a missing program is refused" sh -c "! jobs/slurm/submit.sh tests/cluster/demo.yaml '$out' \
    MOEGPS=./nothing 2>&1 | grep -qv \"no program './nothing'\""
check "1, 2 and 4 nodes are submitted" submit NODES="1 2 4"
check "all jobs end" until_ended 120
check "each node count has its result" is "$(cd "$out" && echo n*.h5)" "n0001-r1.h5 n0002-r1.h5 n0004-r1.h5"
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
check "... its job ends at once" until_ended 60
check "... having said so" grep -q "is complete already" "$out/n1-1.out"

# ---- links ----
# run_on HOSTS RANKS FILE ARGUMENTS...: with two ranks per host
run_on() {
    local hosts=$1 ranks=$2 file=$3
    shift 3
    timeout 120 srun -N"$hosts" -n"$ranks" --ntasks-per-node=$((ranks / hosts)) --kill-on-bad-exit=1 \
        ./moegps run tests/cluster/demo.yaml -o "$dir/$file" "$@" > "$dir/srun.out" 2> "$dir/srun.err"
}
# At 16 Mbit/s the 128 KiB that cross the link in a dispatch take 65 ms.
slow="--set workload.iterations=4 --set workload.seq=512 --set emulation.scale=16"
if why=$($cluster shape n2 16mbit 2ms 2>&1); then
    # shellcheck disable=SC2086
    run_on 2 2 slow.h5 $slow
    $cluster unshape n2
    # shellcheck disable=SC2086
    run_on 2 2 fast.h5 $slow
    check "a slow link shows in the wall clock of dispatch" "$PYTHON" - "$dir/fast.h5" "$dir/slow.h5" <<'PY'
import sys
import xarray as xr
fast, slow = (xr.open_dataset(f, group="timing") for f in sys.argv[1:])
wall = [float(d.wall.sel(phase="dispatch").max("rank").median()) for d in (fast, slow)]
print(f"dispatch {wall[0] * 1e3:.2f} ms fast, {wall[1] * 1e3:.2f} ms slow")
assert wall[1] > 2 * wall[0] and wall[1] > 0.04
gpu = [float(d.gpu.sel(phase="dispatch").max("rank").median()) for d in (fast, slow)]
assert gpu[0] == gpu[1], gpu  # modelled: knows nothing of this machine's links
PY
else
    n=$((n + 1))
    echo "ok - a slow link shows in the wall clock of dispatch # SKIP $why"
fi

# ---- survive ----
long="--set workload.iterations=3000"
export MOEGPS_EXPERIMENT=$PWD/tests/cluster/demo.yaml MOEGPS=$PWD/moegps MOEGPS_BIND=
sbatch_long() {
    MOEGPS_OUT=$dir/$1 MOEGPS_SET="workload.iterations=$2" sbatch --parsable -N2 --ntasks-per-node=1 \
        --time=10 --output="$dir/$1.out" jobs/slurm/job.sbatch
}
job=$(sbatch_long usr1.h5 60)
until_iterated 60 "$dir/usr1.h5"
scancel --signal=USR1 "$job"
check "a warned job stops in order and queues itself again" sh -c \
    "for i in \$(seq 60); do grep -q 'queued again' '$dir/usr1.h5.out' && exit 0; sleep 0.5; done; cat '$dir/usr1.h5.out'; exit 1"
check "... to be finished" until_ended 200
check "... and is" is "$(attribute "$dir/usr1.h5" status)" complete
check "... in two parts, both noted" "$PYTHON" -c \
    "import h5py; p = h5py.File('$dir/usr1.h5')['provenance'].attrs; assert p['resumes'] == 1 and 'Slurm job $job' in p['resume_1'], dict(p)"

# shellcheck disable=SC2086
run_on 4 4 node.h5 $long --watchdog 4 &
pid=$!
until_iterated 90 "$dir/node.h5"
$cluster kill "$dir" n3
killed=$SECONDS
rc=0
wait "$pid" || rc=$?
check "a dead node ends the job within 15 s" test $((SECONDS - killed)) -le 15
check "... with an error" test "$rc" -ne 0
none_left() {
    ! pgrep -af "$1"
}
check "... leaving no rank behind" none_left "moegps run .*node.h5"
check "... and a readable file" is "$(attribute "$dir/node.h5.partial" status)" running
check "... with iterations" test "$(iterations_in "$dir/node.h5.partial")" -gt 0
check "the node comes back" $cluster revive "$dir" n3
# shellcheck disable=SC2086
check "... and the run goes on" sh -c "timeout 100 srun -N4 -n4 --ntasks-per-node=1 ./moegps run tests/cluster/demo.yaml \
    -o '$dir/node.h5' $long --resume --max-time 3 2>&1; [ \$? -eq 75 ]"
check "... further than it was" sh -c "./moegps report '$dir/node.h5' | grep -q 'status *interrupted'"

check "nothing is left running" until_ended 30
$cluster stop "$dir"
check "the cluster stops" none_left "slurm(ctl)?d .*$dir"
echo "1..$n"
