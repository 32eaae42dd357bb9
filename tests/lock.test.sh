#!/usr/bin/env bash
# Two runs and one result file: the second is refused, whatever the file system
# locks; who has ended does not count. Prints TAP.
. "$(dirname "$0")/tap.bash"
cat > "$dir/x.yaml" <<'EOF2'
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 2, seq: 16, layers: "0", iterations: 4, warmup: 1, seed: 3}
emulation: {ffn: none, scale: 128}
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
# What has ended and is not waited for has a number and a start yet. It ends once
# its parent is no shell any more: that would wait for it.
zombie() {
    bash -c 'while grep -q bash /proc/$$/comm; do sleep 0.01; done & echo $! > "$0"
        exec sleep 600' "$dir/zombie" &
    local parent=$! rc=0 pid
    await 10 test -s "$dir/zombie"
    pid=$(cat "$dir/zombie")
    await 10 grep -q ') Z ' "/proc/$pid/stat" &&
        gone "$host $pid $(sed 's/.*) //' "/proc/$pid/stat" | cut -d ' ' -f 20) -" || rc=1
    kill "$parent"
    return $rc
}
check "nor one of a process that has ended and is not waited for" zombie
check "another host's is kept, its job named" taken \
    "by process 5 on elsewhere, Slurm job 7" "elsewhere 5 1 7" --force
gone_in_job() { SLURM_JOB_ID=7 gone "elsewhere 5 1 7"; }
check "but not if that was this job" gone_in_job
check "an empty one is of nobody" gone ""

finish
