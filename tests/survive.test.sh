#!/usr/bin/env bash
# Runs that are stopped, killed, hang or find the disk full, and what goes on
# from what they leave. Prints TAP.
# shellcheck source=tests/tap.bash
. "$(dirname "$0")/tap.bash"
# shellcheck source=tests/survive.bash
. "$(dirname "$0")/survive.bash"

LONG=(--set workload.layers=7 --set workload.iterations=20000)

# Sequences of unequal length; what was planned ahead in warm-up comes into
# force near the end.
cat > "$dir/uneven.yaml" <<'EOF'
model: gpt-oss-20b
cluster: a100-nvlink
trace: gpt-oss-20b-mmlu
workload: {batch: 1, seq: 0, layers: "0,7", iterations: 400, warmup: 1, seed: 3}
emulation: {ffn: none, scale: 64, rebalance_every: 380, coordinator: dedicated}
strategies:
  - {name: memory, predictor: ema, half_life: 400, slots: 12}
  - {name: ahead, predictor: window, slots: 12, planner: eplb, plan_ahead: true}
EOF

begun() { await 60 test -e "$dir/$1.partial"; }

# done_between FILE A B: iterations, neither A nor B
done_between() {
    local at
    at=$(done_in "$1")
    [ "$at" -gt "$2" ] && [ "$at" -lt "$3" ] || { echo "$at is not between $2 and $3"; return 1; }
}

# foreign: a trace where the result should be
foreign() {
    cp jobs/traces/mixtral-8x7b-tokens.h5 "$dir/foreign.h5"
    run 2 foreign.h5 --resume
}

check "a run to compare with" exits 0 run 4 whole.h5

# Longer on slow machines, until an iteration fits: twice as long as too short a
# time is before the end.
stop_in_the_middle() {
    local limit rc
    for limit in 0.5 1 2 4 8 16 32 64; do
        rc=0
        run 4 limit.h5 --resume --max-time "$limit" || rc=$?
        [ "$rc" -eq 75 ] || break
        [ "$(done_in limit.h5)" -eq 0 ] || break
    done
    return "$rc"
}
check "--max-time ends with 75" exits 75 stop_in_the_middle
check "... and says how to go on" err_has "--resume goes on"
check "... leaving a file that says interrupted" attribute_is limit.h5 status interrupted
check "... in the middle" done_between limit.h5 0 "$ITERATIONS"
check "... which report calls incomplete" sh -c "./moegps report '$dir/limit.h5' | tail -n 1 | grep -q INCOMPLETE"
check "without --resume it is not overwritten" exits 2 run 4 limit.h5
check "another seed is refused" exits 2 run 4 limit.h5 --resume --set workload.seed=4
check "... naming what differs" err_has "'  seed: 3', this one '  seed: 4'"
mkdir -p "$dir/jobs/clusters" && cp -r jobs/models jobs/traces jobs/silicon "$dir/jobs/"
sed 's/^link_bandwidth: 300e9/link_bandwidth: 900e9/' jobs/clusters/a100-nvlink.yaml \
    > "$dir/jobs/clusters/a100-nvlink.yaml"
other_profile() {
    MOEGPS_JOBS=$dir/jobs run 4 limit.h5 --resume
}
check "another profile of the same name is refused" exits 2 other_profile
check "... naming what differs" err_has "link_bandwidth: 900e9"
check "another number of ranks is refused" exits 2 run 2 limit.h5 --resume
check "... naming it" err_has "is of a run with 4 ranks, this one has 2"
check "refusals leave the file as it was" attribute_is limit.h5 status interrupted
# full: go on with limit.h5 on a disk without room, then with some. The disk goes
# with the name space of mounts.
full() (
    disk=$dir/disk
    mkdir -p "$disk" && mount -t tmpfs -o size=1g tmpfs "$disk" &&
        cp "$dir/limit.h5" "$disk/limit.h5" || exit 1
    used=$(du -k "$disk/limit.h5" | cut -f1)
    mount -o "remount,size=$((used + 64))k" "$disk" || exit 1
    dd if=/dev/zero of="$disk/ballast" bs=1k 2> /dev/null
    exits 1 run 4 disk/limit.h5 --resume &&
        err_has "limit.h5: cannot write: No space left" || exit 1
    rm "$disk/ballast"
    mount -o remount,size=1g "$disk" || exit 1
    exits 0 run 4 disk/limit.h5 --resume && cp "$disk/limit.h5" "$dir/room.h5"
)
export -f full ranks kept exits err_has run
export dir yaml
unshare -m mount -t tmpfs tmpfs /mnt 2> /dev/null || why_not="mounting is not permitted"
check "a full disk costs a resumed run nothing" unshare -m bash -c full
check "... once there is room" same whole.h5 room.h5
why_not=

# cannot RC TEXT FILE ARGUMENT...: a run in a folder where nothing can be made. Root
# is held to that, too, once it has no right to pass over modes.
mkdir "$dir/fixed"
cp "$dir/limit.h5" "$dir/fixed/"
cannot() {
    local held=() before after rc=0
    [ "$(id -u)" -ne 0 ] || held=(setpriv --bounding-set=-dac_override,-dac_read_search)
    before=$(sha256sum "$dir"/fixed/*)
    chmod 0555 "$dir/fixed"
    exits 1 ranks 4 "${held[@]}" ./moegps run "$dir/x.yaml" -q -o "$dir/fixed/$2" "${@:3}" && err_has "$1" || rc=1
    chmod 0755 "$dir/fixed"
    after=$(sha256sum "$dir"/fixed/*)
    is "$after" "$before" && return $rc
}
[ "$(id -u)" -ne 0 ] || command -v setpriv > /dev/null || why_not="needs setpriv (util-linux)"
check "a folder that cannot be written is found out at once" cannot "new.h5.partial: cannot create: Permission denied" new.h5
check "... by a resumed run, which leaves its file as it was" cannot \
    "fixed/limit.h5: cannot be renamed to $dir/fixed/limit.h5.partial: Permission denied" limit.h5 --resume
why_not=

check "a file that is no result is refused" exits 2 foreign
check "... by name" err_has "foreign.h5: attribute 'status' is missing"
check "--resume finishes it" exits 0 run 4 limit.h5 --resume
check "... equal to the uninterrupted run" same whole.h5 limit.h5
check "--resume of a complete file does nothing" exits 0 run 4 limit.h5 --resume
check "... and says so" err_has "is complete already"
check "--resume without a file starts anew" exits 75 run 2 fresh.h5 --resume --max-time 1.5 "${LONG[@]}"
check "--resume and --force exclude each other" exits 2 run 2 fresh.h5 --resume --force
check "a time that is none is refused" exits 2 run 2 no.h5 --max-time soon
check "... saying what is" err_has "as in 90, 1:30 or"

yaml=uneven.yaml
check "a run of uneven batches to compare with" exits 0 run 5 uneven.h5
check "a run of uneven batches stops" exits 75 run 5 resumed.h5 --max-time 0.5
check "... before the first plan since warm-up" done_between resumed.h5 -1 379
check "... and resumes" exits 0 run 5 resumed.h5 --resume
check "... to the same predictions and plans" same uneven.h5 resumed.h5
yaml=x.yaml

# signal NAME FILE: to one rank alone, once iterations are written
signal() {
    run 4 "$2" &
    local pid=$!
    flushed "$2.partial"
    ranks_of "$2" "-$1" -o
    wait "$pid"
}
check "SIGUSR1 to one rank ends all with 75" exits 75 signal USR1 usr1.h5
check "... and says why" err_has "stopped by SIGUSR1"
check "... in the middle" done_between usr1.h5 0 "$ITERATIONS"
check "SIGTERM does, too" exits 75 signal TERM term.h5
check "a signalled run resumes" exits 0 run 4 usr1.h5 --resume
check "... to the same numbers" same whole.h5 usr1.h5

# launcher: SIGTERM to mpirun, which gives its ranks a second: what they make of it
# depends on how long an iteration takes. The file goes on in any case.
launcher() {
    run 4 launcher.h5 "${LONG[@]}" &
    local pid=$!
    flushed launcher.h5.partial
    pkill -TERM -P "$(pgrep -P "$pid" timeout)" -x "$(basename "$MPIRUN")"
    not wait "$pid" && exits 75 run 4 launcher.h5 --resume "${LONG[@]}" --max-time 2 &&
        is "$(from launcher.h5 "f['provenance'].attrs['resumes']")" 1
}
check "SIGTERM to mpirun leaves what a run goes on with" launcher

# A rank that is killed after the first flush takes the others with it.
killed() {
    run 4 killed.h5 "${LONG[@]}" &
    local pid=$!
    flushed killed.h5.partial
    ranks_of killed.h5 -9 -n
    gone "$pid"
}
# gone PID: ended with an error, and soon: no rank waits for the one that went.
gone() {
    await 15 not kill -0 "$1"
    ! kill -9 "$1" 2> /dev/null && not wait "$1"
}
check "kill -9 of a rank ends the run" killed
check "... leaving no rank behind" await 5 not ranks_of killed.h5 -0
check "... and a file that says running" attribute_is killed.h5.partial status running
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
check "a killed run resumes" exits 75 run 4 killed.h5 --resume "${LONG[@]}" --max-time 2

# resume within a file that was killed in every possible place is what the two
# copies are for: damage the one that is not in force.
cp "$dir/killed.h5" "$dir/copy.h5"
"$PYTHON" - "$dir/copy.h5" <<'PY'
import sys
import h5py
with h5py.File(sys.argv[1], "r+") as f:
    f["resume/dispatch_bytes"][1 - f["resume/progress"][1]] = -7
PY
check "a half-written journal does no harm" exits 75 run 4 copy.h5 --resume "${LONG[@]}" --max-time 1.5
check "... and its traffic is sound" "$PYTHON" - "$dir/copy.h5" <<'PY'
import sys
import h5py
import numpy
f = h5py.File(sys.argv[1])
done = int(f["resume/progress"][0])
rows = 128 * 2 * done  # pairs of the one layer
row = f["config"].attrs["full_row_bytes"]
# the oracle's rows all go ahead, one for a token and GPU; the others' are all
# dispatched
sent, ahead = (f["traffic/" + n][()].sum(axis=(1, 2)) for n in ("dispatch_bytes", "ahead_bytes"))
direct = ahead > 0
assert (sent == numpy.where(direct, 0, rows * row)).all()
assert direct.tolist() == [s == 1 for s in range(len(direct))]
assert 2 * ahead[1] >= rows * row >= ahead[1]
PY

# hang: one rank is stopped, not killed.
hang() {
    run 4 hang.h5 --watchdog "$(patience 3)" "${LONG[@]}" &
    local pid=$!
    begun hang.h5
    ranks_of hang.h5 -STOP -n
    wait "$pid"
}
check "--watchdog ends a run that hangs" exits 1 hang
check "... naming the rank" err_has "is stopped or gone"
check "... once" sh -c "[ \$(grep -c watchdog '$dir/err') -eq 1 ]"

# A rank that is stopped before MPI has begun: no rank can know of it.
hang_early() {
    local limit
    limit=$(patience 3)
    timeout -k 5 600 "$MPIRUN" -n 1 ./moegps run "$dir/x.yaml" -o "$dir/early.h5" --watchdog "$limit" : \
        -n 1 sh -c "kill -STOP \$\$; exec ./moegps run '$dir/x.yaml' -o '$dir/early.h5' --watchdog $limit" \
        > "$dir/out" 2> "$dir/err"
}
check "--watchdog ends a run whose rank hangs before MPI_Init" exits 1 hang_early
check "... once" sh -c "[ \$(grep -c 'MPI_Init does not come to an end' '$dir/err') -eq 1 ]"

finish
