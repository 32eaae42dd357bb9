#!/usr/bin/env bash
# What jobs/slurm/submit.sh would submit, where there is no Slurm. Prints TAP.
. "$(dirname "$0")/tap.bash"

mkdir "$dir/two words"
x="$dir/two words/x.yaml"
cat > "$x" <<'YAML'
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload:
  # a batch: 7 was too much
  batch: 3
  layers: "0"
emulation: {scale: 64}
strategies:
  - {name: baseline, predictor: none, planner: static}
  - {name: oracle, predictor: oracle, planner: duplicate, slots: 4}
YAML

# dry CODE ARGUMENTS...
dry() {
    exits "$1" jobs/slurm/submit.sh "$x" "$dir/two words/out" --dry-run MOEGPS=./moegps "${@:2}"
}

check "a dry run submits" dry 0 NODES="1 2 4" REPETITIONS=3
check "... a job per number of nodes" sh -c "[ \$(grep -c '^job[124]=.* sbatch .*--array=1-3 ' '$dir/err') -eq 3 ]"
check "... and a report after all" err_has '--dependency=afterany:$job1:$job2:$job4 '
check "... said of each" err_has "submit.sh: 1 node, 4 GPUs"
check "... with what each needs" sh -c "[ \$(grep -cE '  (memory|time): ' '$dir/err') -eq 6 ]"
# What a dry run printed works in a shell, here with commands of our own.
pasted() {
    { echo 'sbatch() { echo "$MOEGPS_OUT: $*" >> "$LOG"; echo 7; }
env() { while [[ $1 == *=* ]]; do export "$1"; shift; done; "$@"; }
mkdir() { folder=$2; [ $# -eq 2 ] || folder=; }'
    sed -n '/^mkdir /p; /^[a-z0-9]*=\$(/p' "$dir/err"
    echo '[ "$folder" = "$1" ]'; } > "$dir/pasted"
    LOG=$dir/log bash "$dir/pasted" "$dir/two words/out" && [ "$(wc -l < "$dir/log")" -eq 4 ] &&
        grep -q "^$dir/two words/out/n0004-r%a.h5: .*/job.sbatch" "$dir/log" &&
        tail -n 1 "$dir/log" | finds -- "--dependency=afterany:7:7:7 .*/report.sbatch $dir/two words/out"
}
check "... in commands that can be pasted" pasted
check "... with paths in one piece" err_has "/two\\ words/out/n4-%a.out"
check "... and makes no folder" [ ! -e "$dir/two words/out" ]
check "weak scaling multiplies the batch" dry 0 SCALING=weak NODES=2
check "... of the experiment, not of a comment" err_has "2 nodes, 8 GPUs, workload.batch=6"
check "... or that of SET" dry 0 SCALING=weak NODES="1 2" SET="workload.batch=5 emulation.scale=32"
check "... which then does not win" err_has "8 GPUs, workload.batch=5 emulation.scale=32 workload.batch=10"
check "variables of the job are known, too" dry 0 MOEGPS_WATCHDOG=60
sed -i 's/batch: 3/batch: 08/' "$x"
check "a number may begin with 0" dry 0 SCALING=weak NODES=2
check "... and is decimal" err_has "workload.batch=16"
sed -i 's/batch: 08/batch: 9999999999999999999999/' "$x"
check "a batch that is too large is refused" dry 2 SCALING=weak NODES=2
check "... naming it" err_has "workload.batch '9999999999999999999999'"
sed -i 's/batch: 9*/batch: 3/' "$x"
check "an experiment that cannot run is refused" dry 2 NODES="1 4" SET=strategies.oracle.slots=1
check "... for each number of GPUs" err_has "too few for the home placement: 8 experts on 4 GPUs"
for t in 30 30:00 0:30:00 1-0 1-0:30 1-0:30:00; do check "TIME=$t is a time" dry 0 NODES=1 "TIME=$t"; done
for t in 1:2:3:4 half 1- :30; do check "TIME=$t is none" dry 2 NODES=1 "TIME=$t"; done
check "mpirun is told by the batch shell" dry 0 MOEGPS_LAUNCHER=mpirun
check "... before the end" err_has "--signal=B:USR1@120"
check "unknown variables are refused" dry 2 PARTITON=batch
check "... naming them" err_has "'PARTITON=batch' sets no variable"
check "one number of nodes twice is refused" dry 2 NODES="1 2 1"
check "zero nodes are refused" dry 2 NODES="0"
check "a scaling that is none is refused" dry 2 SCALING=up
check "an unknown option is refused" dry 2 --now

finish
