#!/usr/bin/env bash
# Two runs and one result file: the second is refused, whatever the file system
# locks; who has ended does not count. Interrupted launchers. Prints TAP.
. "$(dirname "$0")/tap.bash"
cat > "$dir/x.yaml" <<'EOF2'
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 2, seq: 512, layers: "0", iterations: 4, warmup: 1, seed: 3}
emulation: {ffn: loops, scale: 64}
strategies:
  - {name: baseline, predictor: none, planner: static}
EOF2
file=$dir/a.h5 lock=$dir/a.h5.partial.lock
run() { ranks 2 ./moegps run "$dir/x.yaml" -q -o "$file" "$@"; }

# held LINE OPTION...: a run finds a lock that says LINE
held() {
    rm -f "$file" && echo "$1" > "$lock" && kept run "${@:2}"
}
# gone ...: and takes it over; nothing of it is left
gone() { held "$@" && [ -s "$file" ] && [ ! -e "$lock" ]; }
# taken TEXT ...: and is refused
taken() {
    ! held "${@:2}" && err_has "$1" && [ -e "$lock" ] && [ ! -e "$file" ]
}

host=$(uname -n) start=$(sed 's/.*) //' /proc/$$/stat | cut -d ' ' -f 20)
check "a lock of a process that lives is kept" taken \
    "a.h5.partial: is being written by process $$ on $host" "$host $$ $start -" --force
check "also by --resume" taken "is being written by process" "$host $$ $start -" --resume
check "one of an earlier process of that number is not" gone "$host $$ 1 -"
check "nor one of no process" gone "$host 999999999 1 -" --force
check "another host's is kept, its job named" taken \
    "by process 5 on elsewhere, Slurm job 7" "elsewhere 5 1 7" --force
gone_in_job() { SLURM_JOB_ID=7 gone "elsewhere 5 1 7"; }
check "but not if that was this job" gone_in_job
check "an empty one is of nobody" gone ""

# begin: a run of 3 s in the background, once it has a file
begin() {
    rm -f "$file" "$file.partial" "$lock"
    run --set workload.iterations=20000 --max-time 3 "$@" > "$dir/first" 2>&1 &
    first=$!
    await 20 test -s "$file.partial" && sleep 1
}
# ended CODE: so does that run
ended() {
    local rc=0
    wait "$first" || rc=$?
    is "$rc" "$1"
}
second_is_refused() {
    begin && exits 2 env HDF5_USE_FILE_LOCKING=FALSE "$MPIRUN" -n 1 ./moegps run \
        "$dir/x.yaml" -q -o "$file" --force && err_has "is being written by process" &&
        ended 75 && [ -s "$file" ] && [ ! -e "$lock" ]
}
being_written_is_said() {
    begin && kept ./moegps report "$file.partial"
    err_has "a.h5.partial: is being written by another run" && ended 75
}
replaced_is_noticed() {
    begin && cp "$file.partial" "$dir/other" && mv "$dir/other" "$file.partial" &&
        ended 1 && grep -q "was removed or replaced while" "$dir/first" && [ ! -e "$file" ]
}
check "a second run with --force is refused, the first goes on" second_is_refused
check "a file that is being written is not called damaged" being_written_is_said
check "a file that was replaced is not published" replaced_is_noticed

# interrupted SIGNAL: the launcher gets it, as from Ctrl-C or a batch system
interrupted() {
    begin --max-time 60 && kill "-$1" "$(pgrep -P "$first" -f "$MPIRUN" || echo "$first")" &&
        { wait "$first" || true; } &&
        grep -q "moegps: stopped by SIGTERM after .* iterations; --resume goes on with" "$dir/first" &&
        kept run --set workload.iterations=20000 --max-time 1 --resume
    err_has "stopped by --max-time"
}
check "an interrupted mpirun leaves a file that goes on" interrupted INT
check "... and so does one that is told to end" interrupted TERM
finish
