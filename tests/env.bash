# How tests run, programs and scripts alike; source it. It goes to the project's
# folder and sets what lets Open MPI run as root and with more ranks than cores,
# and what the sanitizers of `make asan` want.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
PATH=$PATH:/usr/sbin:/sbin # where slurmctld is, which users need not have there
: "${BUILD:=build}" "${MPIRUN:=mpirun}" "${PYTHON:=/usr/bin/python3}"
export BUILD MPIRUN PYTHON
export OMP_NUM_THREADS=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none
# What is left of ranks when one has failed ends at once, not after a second.
export OMPI_MCA_odls_base_sigkill_timeout=0
# Whole stacks, for lsan.supp; and let malloc fail, as it does without.
export ASAN_OPTIONS=fast_unwind_on_malloc=0:allocator_may_return_null=1
export LSAN_OPTIONS=suppressions=$PWD/tests/lsan.supp:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1

# patience SECONDS: as many, or more in proportion where the machine is slow or
# busy at this moment: a loop is timed that takes a tenth of a second elsewhere.
patience() {
    local start=${EPOCHREALTIME//[!0-9]/} i tenths
    for ((i = 0; i < 50000; i++)); do :; done
    tenths=$(((${EPOCHREALTIME//[!0-9]/} - start) / 100000))
    echo $(($1 * (tenths > 1 ? tenths : 1)))
}

# await SECONDS COMMAND...: until it succeeds; fails after that much patience.
await() {
    local until
    until=$((SECONDS + $(patience "$1")))
    until "${@:2}"; do
        [ "$SECONDS" -lt "$until" ] || { echo "not within $1 s and more: ${*:2}"; return 1; }
        sleep 0.05
    done
}
