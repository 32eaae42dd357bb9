#!/usr/bin/env bash
# Submit an experiment for several numbers of nodes, and a job that merges the
# results and reports when all have ended.
#
#   jobs/slurm/submit.sh EXPERIMENT.yaml OUTPUT-FOLDER [--dry-run] [NAME=VALUE]...
#
# --dry-run submits nothing. It checks the experiment on each number of GPUs,
# says what memory and time each needs, and prints the commands, to be pasted
# into a shell.
#
# Variables, from the environment or as NAME=VALUE:
#   NODES="1 2 4"        numbers of nodes, a job each
#   REPETITIONS=1        runs of each, with seeds 1, 2, ...: an array
#   RANKS_PER_NODE=4     emulated GPUs of a node
#   CPUS_PER_RANK=1      cores of a rank
#   SCALING=strong       strong: the same batch for all; weak: the experiment's
#                        batch is that of one node
#   TIME=00:30:00        limit of a job; a run that needs more queues itself again
#   SIGNAL_S=120         s before the limit at which a run stops in order
#   PARTITION= ACCOUNT= QOS= CONSTRAINT=   as sbatch knows them
#   SBATCH_OPTIONS=      anything else, as in "--mail-type=END"
#   SET=                 settings for all, as in "emulation.scale=8"
#   MOEGPS= MOEGPS_MODULE= MOEGPS_LAUNCHER= MOEGPS_MPI= MOEGPS_BIND=
#                        see job.sbatch
# All strategies of the experiment run in every job, interleaved. To submit
# again goes on with what is missing and leaves what is complete.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

usage() {
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
}

fail() {
    echo "submit.sh: $*" >&2
    exit 2
}

# known NAME: a variable of this script or of job.sbatch
known() {
    [[ $1 =~ ^[A-Z_]+$ ]] && { usage | grep -qE "(^| )$1=" || grep -q "^: .*\${$1:=" "$here/job.sbatch"; }
}

dry=false
files=()
for a in "$@"; do
    case $a in
    --dry-run) dry=true ;;
    -h | --help)
        usage
        exit 0
        ;;
    -*) fail "unknown option '$a' (--dry-run, --help)" ;;
    *=*)
        known "${a%%=*}" ||
            fail "'$a' sets no variable of this script; --help lists them"
        export "${a?}"
        ;;
    *) files+=("$a") ;;
    esac
done
[ ${#files[@]} -eq 2 ] || fail "an experiment file and an output folder are needed (--help)"
experiment=${files[0]} out=${files[1]}
: "${NODES:=1 2 4}" "${REPETITIONS:=1}" "${RANKS_PER_NODE:=4}" "${CPUS_PER_RANK:=1}"
: "${SCALING:=strong}" "${TIME:=00:30:00}" "${SIGNAL_S:=120}" "${SET:=}"
: "${PARTITION:=}" "${ACCOUNT:=}" "${QOS:=}" "${CONSTRAINT:=}" "${SBATCH_OPTIONS:=}"
: "${MOEGPS:=moegps}" "${MOEGPS_LAUNCHER:=srun}"

number() {
    [[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || fail "$1 '$2': a whole number above 0"
}
[ -r "$experiment" ] || fail "$experiment: cannot be read"
for n in $NODES; do number NODES "$n"; done
[ -z "$(tr -s ' ' '\n' <<< "$NODES" | sort | uniq -d)" ] ||
    fail "NODES '$NODES': a number twice, for one and the same file"
number REPETITIONS "$REPETITIONS"
number RANKS_PER_NODE "$RANKS_PER_NODE"
number CPUS_PER_RANK "$CPUS_PER_RANK"
number SIGNAL_S "$SIGNAL_S"
[[ $TIME =~ ^[0-9]+(:[0-9]{1,2}){0,2}$|^[0-9]+-[0-9]{1,2}(:[0-9]{1,2}){0,2}$ ]] ||
    fail "TIME '$TIME': minutes, M:S, H:M:S, or D-H, D-H:M, D-H:M:S"
[[ $SCALING =~ ^(weak|strong)$ ]] || fail "SCALING '$SCALING': weak or strong"
$dry || command -v sbatch > /dev/null || fail "no sbatch here; --dry-run shows what would be submitted"
command -v "$MOEGPS" > /dev/null || [ -n "${MOEGPS_MODULE:-}" ] ||
    fail "no program '$MOEGPS'; set MOEGPS to its path, or MOEGPS_MODULE"

# The batch of one node, which weak scaling multiplies: of SET, or else of the
# experiment.
batch() {
    local b
    b=$(sed -n 's/.*workload\.batch=\([0-9]\{1,\}\).*/\1/p' <<< "$SET")
    [ -n "$b" ] || b=$(sed -n 's/#.*//; s/.*[{, ]batch: *\([0-9]\{1,\}\).*/\1/p' "$experiment" | head -n 1)
    b=$(sed 's/^0*//' <<< "${b:-1}")
    number workload.batch "$b"
    echo "$b"
}

options=(--parsable --time="$TIME" --ntasks-per-node="$RANKS_PER_NODE"
    --cpus-per-task="$CPUS_PER_RANK")
for o in PARTITION ACCOUNT QOS CONSTRAINT; do
    [ -z "${!o}" ] || options+=("--${o,,}=${!o}")
done
prefix=
[ "$MOEGPS_LAUNCHER" = mpirun ] && prefix=B:
# shellcheck disable=SC2206 # words
options+=($SBATCH_OPTIONS)

# quoted WORD...: as a shell reads them; $NAME of other commands stays.
quoted() { printf '%q ' "$@" | sed 's/\\\$\(job[0-9]*\)/$\1/g; s/ $//'; }

# submit VARIABLE COMMAND...: the job's number, or what stands for it in the
# commands that a dry run prints.
submit() {
    local name set=()
    if $dry; then
        for name in ${!MOEGPS*}; do set+=("$name=${!name}"); done
        echo "$1=\$($(quoted env "${set[@]}" "${@:2}"))" >&2
        echo "\$$1"
    else
        "${@:2}" | cut -d';' -f1
    fi
}

# tried RANKS SETTING...: what a run would be; fails where it would be refused.
tried() {
    local set=() s
    for s in "${@:2}"; do set+=(--set "$s"); done
    OMP_NUM_THREADS=$CPUS_PER_RANK "$MOEGPS" run "$MOEGPS_EXPERIMENT" --dry-run --ranks "$1" -q "${set[@]}" |
        sed -nE 's/^# (memory|time): /submit.sh:   \1: /p' >&2
}

full=$(realpath -m "$out")
if $dry; then printf "%s\n" "$(quoted mkdir -p "$full")" >&2; else mkdir -p "$full"; fi
MOEGPS_EXPERIMENT=$(realpath "$experiment")
[ -z "$(command -v "$MOEGPS")" ] || MOEGPS=$(realpath "$(command -v "$MOEGPS")")
export MOEGPS_EXPERIMENT MOEGPS MOEGPS_LAUNCHER
jobs=()
[ "$SCALING" = strong ] || node_batch=$(batch)
for n in $NODES; do
    export MOEGPS_SET=$SET MOEGPS_OUT
    [ "$SCALING" = strong ] || MOEGPS_SET="${SET:+$SET }workload.batch=$((n * node_batch))"
    MOEGPS_OUT=$full/$(printf 'n%04d' "$n")-r%a.h5
    echo "submit.sh: $n node$([ "$n" -eq 1 ] || echo s), $((n * RANKS_PER_NODE)) GPUs${MOEGPS_SET:+, $MOEGPS_SET}" >&2
    # shellcheck disable=SC2086 # words
    ! $dry || [ -n "${MOEGPS_MODULE:-}" ] || tried $((n * RANKS_PER_NODE)) $MOEGPS_SET ||
        fail "$experiment cannot run on $((n * RANKS_PER_NODE)) GPUs"
    job=$(submit "job$n" sbatch "${options[@]}" --nodes="$n" --array="1-$REPETITIONS" \
        --job-name="moegps-n$n" --signal="${prefix}USR1@$SIGNAL_S" \
        --output="$full/n$n-%a.out" --export=ALL "$here/job.sbatch")
    jobs+=("$job")
done

# After any end, so that one failed point does not cost the others' report.
dependency=afterany:$(IFS=:; echo "${jobs[*]}")
last=$(submit report sbatch "${options[@]}" --nodes=1 --ntasks-per-node=1 \
    --job-name=moegps-report --dependency="$dependency" --kill-on-invalid-dep=yes \
    --output="$full/report.out" --export=ALL "$here/report.sbatch" "$full")
$dry || echo "submit.sh: jobs ${jobs[*]}, then $last: $full/sweep.h5, report.txt, report/" >&2
