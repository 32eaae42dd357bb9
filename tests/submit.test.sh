#!/usr/bin/env bash
# What jobs/slurm/submit.sh would submit, where there is no Slurm. Prints TAP.
. "$(dirname "$0")/tap.bash"

mkdir "$dir/two words"
x="$dir/two words/x.yaml"
cat > "$x" <<'YAML'
model: mixtral-8x7b
workload:
  # a batch: 7 was too much
  batch: 3
YAML

# dry CODE ARGUMENTS...
dry() {
    exits "$1" jobs/slurm/submit.sh "$x" "$dir/two words/out" --dry-run MOEGPS=./moegps "${@:2}"
}

check "a dry run submits" dry 0 NODES="1 2 4" REPETITIONS=3
check "... a job per number of nodes" sh -c "[ \$(grep -c '^sbatch .*--array=1-3 ' '$dir/err') -eq 3 ]"
check "... and a report after all" err_has "--dependency=afterany:"
check "... with paths in one piece" err_has "/two\\ words/out/n4-%a.out"
check "... and makes no folder" [ ! -e "$dir/two words/out" ]
check "weak scaling multiplies the batch" dry 0 SCALING=weak NODES=2
check "... of the experiment, not of a comment" err_has "2 nodes, 8 GPUs, workload.batch=6"
check "... or that of SET" dry 0 SCALING=weak NODES="1 2" SET="workload.batch=5 emulation.scale=32"
check "... which then does not win" err_has "8 GPUs, workload.batch=5 emulation.scale=32 workload.batch=10"
check "variables of the job are known, too" dry 0 MOEGPS_WATCHDOG=60
check "mpirun is told by the batch shell" dry 0 MOEGPS_LAUNCHER=mpirun
check "... before the end" err_has "--signal=B:USR1@120"
check "unknown variables are refused" dry 2 PARTITON=batch
check "... naming them" err_has "'PARTITON=batch' sets no variable"
check "one number of nodes twice is refused" dry 2 NODES="1 2 1"
check "zero nodes are refused" dry 2 NODES="0"
check "a scaling that is none is refused" dry 2 SCALING=up
check "an unknown option is refused" dry 2 --now

finish
