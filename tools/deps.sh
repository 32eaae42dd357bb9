#!/usr/bin/env bash
# Make sure that what a make target needs is there: tools/deps.sh LEVEL
#   build   compile and run
#   test    also `make check`
#   page    also `make check-page`
#   valgrind  also `make valgrind`
#   report  also figures (gnuplot, which the program can do without)
#   ci      also .ci/run, but for MPICH: MPI=mpich tools/deps.sh build
#   flags   install nothing; print the compiler's and linker's flags for make
# Says and does nothing when all is there. Otherwise, on Debian or Ubuntu and as
# root or with sudo, installs what is missing; elsewhere it names the packages,
# a line each, and exits 1. CC, MPI and HDF5 are obeyed as make obeys them.
set -euo pipefail
# shellcheck source=tools/libraries.sh
. "$(dirname "$0")/libraries.sh"

PATH=$PATH:/usr/sbin:/sbin # daemons of the tests: users need not have it
level=${1:-build}
case $level in
build | test | page | valgrind | report | ci | flags) ;;
*)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0" >&2
    exit 2
    ;;
esac

# LEVEL|PROBE|Debian|Fedora|Spack. Debian's are tried in CI; Fedora's and Spack's
# are untried.
requirements() {
    local m=$mpi_family runtime=openmpi-bin c=gcc
    [ "$m" = openmpi ] || runtime=$m
    [ "$CC" != clang ] || c=clang
    cat << TABLE
build|have ${CC%% *}|$c|$c|$c
build|have make|make|make|gmake
build|have pkg-config|pkg-config|pkgconf-pkg-config|pkgconf
build|header stdio.h|libc6-dev|glibc-devel|-
build|library mpi|lib$m-dev|$m-devel|$m
build|have $(mpirun)|$runtime|$m|$m
build|library hdf5|libhdf5-$m-dev|hdf5-$m-devel|hdf5+mpi+hl
build|library hwloc|libhwloc-dev|hwloc-devel|hwloc
build|library dnnl|libdnnl-dev|onednn-devel|onednn
build|library yaml|libyaml-dev|libyaml-devel|libyaml
build|library jansson|libjansson-dev|jansson-devel|jansson
build|library random123|librandom123-dev|Random123-devel|random123
build|library crypto|libssl-dev|openssl-devel|openssl
build|library zlib|zlib1g-dev|zlib-devel|zlib-api
test|library check|check|check-devel|check
test|library clp|coinor-libclp-dev|coin-or-Clp-devel|clp
test|python numpy|python3-numpy|python3-numpy|py-numpy
test|python xarray|python3-xarray|python3-xarray|py-xarray
test|python h5netcdf|python3-h5netcdf|python3-h5netcdf|py-h5netcdf
test|python netCDF4|python3-netcdf4|python3-netcdf4|py-netcdf4
test|python h5py|python3-h5py|python3-h5py|py-h5py
test|python matplotlib|python3-matplotlib|python3-matplotlib|py-matplotlib
test|have gnuplot|gnuplot-nox|gnuplot-minimal|gnuplot
test|have ncdump|netcdf-bin|netcdf|netcdf-c
test|have h5dump|hdf5-tools|hdf5|hdf5
test|have slurmctld|slurm-wlm|slurm-slurmctld|slurm
test|have munged|munge|munge|munge
test|module pmix|libpmix-dev|pmix-devel|pmix
test|have ip|iproute2|iproute|iproute2
ci|have clang|clang|clang|llvm
ci|openmp clang|libomp-dev|libomp-devel|llvm
ci|have cppcheck|cppcheck|cppcheck|cppcheck
ci|have clang-format-14|clang-format-14|clang-tools-extra|llvm
valgrind|have valgrind|valgrind|valgrind|valgrind
page|have chromium|chromium|chromium|-
page|have gnuplot|gnuplot-nox|gnuplot-minimal|gnuplot
report|have gnuplot|gnuplot-nox|gnuplot-minimal|gnuplot
TABLE
}

# Tests use the system's Python, whose packages come from the system too.
python() {
    /usr/bin/python3 -c "import importlib.util as u, sys
sys.exit(u.find_spec('$1') is None)" 2> /dev/null
}

header() { compiles "#include <$1>"; }
openmp() { CC=$1 compiles '#include <omp.h>' -fopenmp; }

wanted() {
    case $level in
    flags) [ "$1" = build ] ;;
    ci) [ "$1" != report ] ;;
    *) [ "$1" = build ] || [ "$1" = "$level" ] ;;
    esac
}

# The rows of the table that are not satisfied.
missing() {
    local l probe rest
    requirements | while IFS='|' read -r l probe rest; do
        # shellcheck disable=SC2086 # words
        ! wanted "$l" || $probe > /dev/null || echo "$probe|$rest"
    done
}

# told ROWS: a line for each
told() {
    while IFS='|' read -r probe debian fedora spack; do
        echo "missing: ${probe##* } (Debian $debian, Fedora $fedora, Spack $spack)"
    done <<< "$1" >&2
}

# Run as root; fails where that is not possible.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif have sudo && { sudo -n true 2> /dev/null || [ -t 0 ]; }; then
        sudo "$@"
    else
        return 1
    fi
}

install_debian() {
    local log rc=0
    have apt-get || return 1
    log=$(mktemp)
    echo "installing $*" >&2
    {
        as_root env DEBIAN_FRONTEND=noninteractive apt-get -q update &&
            as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
                -o DPkg::Lock::Timeout=120 --no-install-recommends install "$@"
    } > "$log" 2>&1 || rc=1
    [ "$rc" -eq 0 ] || tail -n 5 "$log" >&2
    rm -f "$log"
    return "$rc"
}

# Folders of headers are given as the system's, so that only our own code is
# warned about. Tests alone need check; Clp they can do without.
flags() {
    local l all='' check compiler='^-(isystem|D|Wno)'
    for l in mpi hdf5 hwloc dnnl yaml jansson random123 crypto zlib; do
        all+=" $(library $l)"
    done
    all=$(tr -s ' \n' '\n' <<< "$all" | sed 's/^-I/-isystem /')
    check=$(library check) ||
        check="\$(error missing: check, which tools/deps.sh test installs)"
    cat << MAKE
LIB_CPPFLAGS := $(grep -E "$compiler" <<< "$all" | awk '!seen[$0]++' | tr '\n' ' ')
LIBS := $(grep -vE "$compiler" <<< "$all" | tr '\n' ' ') -lm
CHECK_LIBS = $check
CLP_LIBS := $(library clp)
MPIRUN ?= $(mpirun)
MAKE
}

lacking=$(missing)
# Twice: what one library needs of another is seen once that is there.
for _ in 1 2; do
    [ -n "$lacking" ] && [ "$level" != flags ] || break
    mapfile -t packages <<< "$(cut -d'|' -f2 <<< "$lacking" | sort -u)"
    install_debian "${packages[@]}" || break
    lacking=$(missing)
done
if [ -n "$lacking" ]; then
    told "$lacking"
    # Figures are a bonus: without gnuplot reports have none.
    [ "$level" = report ] && [[ $lacking == "have gnuplot|"* ]] || exit 1
elif [ "$level" = flags ]; then
    flags
fi
