#!/usr/bin/env bash
# Make sure that what a make target needs is there: tools/deps.sh build|test|report
#   build   compile and run        test    also `make check`
#   report  also figures (gnuplot, which the program can do without)
# Says and does nothing when all is there. Otherwise, on Debian or Ubuntu and as
# root or with sudo, installs what is missing; elsewhere it names the packages
# and exits 1.
set -euo pipefail
: "${CC:=gcc}"

level=${1:-build}
case $level in
build | test | report) ;;
*)
    echo "usage: tools/deps.sh build|test|report" >&2
    exit 2
    ;;
esac

# LEVEL | PROBE | Debian | Fedora | Spack
requirements() {
    cat <<'TABLE'
build|header stdio.h|libc6-dev|glibc-devel|-
build|have make|make|make|gmake
build|module ompi-c|libopenmpi-dev|openmpi-devel|openmpi
build|have ${MPIRUN:-mpirun}|openmpi-bin|openmpi|openmpi
build|module hwloc|libhwloc-dev|hwloc-devel|hwloc
build|module hdf5-openmpi|libhdf5-openmpi-dev|hdf5-openmpi-devel|hdf5+mpi+hl
build|header dnnl.h|libdnnl-dev|onednn-devel|onednn
build|module yaml-0.1|libyaml-dev|libyaml-devel|libyaml
build|module jansson|libjansson-dev|jansson-devel|jansson
build|header Random123/philox.h|librandom123-dev|Random123-devel|random123
build|module libcrypto|libssl-dev|openssl-devel|openssl
test|module check|check|check-devel|check
test|header coin/Clp_C_Interface.h|coinor-libclp-dev|coin-or-Clp-devel|clp
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
report|have gnuplot|gnuplot-nox|gnuplot-minimal|gnuplot
TABLE
}

have() { command -v "$1" > /dev/null 2>&1; }

# Headers and modules are asked for in one call each, as every call costs.
headers() { printf '#include <%s>\n' "$@" | $CC -E -x c - > /dev/null 2>&1; }
modules() { pkg-config --exists "$@" 2> /dev/null; }

# Tests use the system's Python, whose packages come from the system too.
pythons() {
    /usr/bin/python3 -c 'import sys
from importlib.util import find_spec
sys.exit(any(find_spec(m) is None for m in sys.argv[1:]))' "$@" 2> /dev/null
}

# Words of all needed probes of a kind, so that one call can ask for all.
words() {
    local l p rest
    while IFS='|' read -r l p rest; do
        [ "${p%% *}" = "$1" ] && wanted "$l" && eval "echo ${p#* }"
    done <<< "$(requirements)"
    return 0
}

wanted() {
    [ "$1" = build ] || [ "$1" = "$level" ]
}

# Print the rows of the table that are not satisfied.
missing() {
    local l p debian rest good=" "
    have "${CC%% *}" || echo "gcc|gcc|gcc"
    have pkg-config || echo "pkg-config|pkgconf-pkg-config|pkgconf"
    # all of a kind at once; one by one only where that fails
    # shellcheck disable=SC2046 # lists of words
    { headers $(words header) && good+="header "; } || true
    # shellcheck disable=SC2046
    { modules $(words module) && good+="module "; } || true
    # shellcheck disable=SC2046
    { pythons $(words python) && good+="python "; } || true
    while IFS='|' read -r l p debian rest; do
        wanted "$l" || continue
        [[ $good == *" ${p%% *} "* ]] && continue
        case $p in
        header*) headers "${p#* }" ;;
        module*) modules "${p#* }" ;;
        python*) pythons "${p#* }" ;;
        have*) have "$(eval "echo ${p#* }")" ;;
        esac || echo "$debian|$rest"
    done <<< "$(requirements)"
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

lacking=$(missing)
[ -n "$lacking" ] || exit 0

mapfile -t packages <<< "$(cut -d"|" -f1 <<< "$lacking" | sort -u)"
if install_debian "${packages[@]}"; then
    lacking=$(missing)
    [ -n "$lacking" ] || exit 0
fi

{
    echo "missing, and not installed (needs Debian or Ubuntu, and root or sudo):"
    { echo "DEBIAN|FEDORA|SPACK" && sort -u <<< "$lacking"; } |
        while IFS='|' read -r debian fedora spack; do
            printf '  %-22s %-22s %s\n' "$debian" "$fedora" "$spack"
        done
} >&2
# Figures are a bonus: without gnuplot reports have none.
[ "$level" = report ] && [ "$lacking" = "gnuplot-nox|gnuplot-minimal|gnuplot" ]
