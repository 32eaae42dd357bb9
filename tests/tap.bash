# What the scripts of tests share; source it. Goes to the project's folder and
# sets: dir, a scratch folder that goes with the shell; n, tests so far; and
# what lets Open MPI run as root, with more ranks than cores.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
: "${BUILD:=build}" "${MPIRUN:=mpirun}" "${PYTHON:=/usr/bin/python3}"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_hwloc_base_binding_policy=none
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0

# check NAME COMMAND...: a line of TAP; if it fails, all that was said: by the
# command, and in $dir/out and $dir/err.
check() {
    n=$((n + 1))
    local name=$1
    shift
    if "$@" > "$dir/said" 2>&1; then
        echo "ok - $name"
    else
        echo "not ok - $name"
        cat "$dir/said" "$dir/out" "$dir/err" 2> /dev/null |
            sed 's/^/# /' | head -n 30 >&2
    fi
}
