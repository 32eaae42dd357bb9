#!/usr/bin/env bash
# How make finds libraries and what it says where one is missing; the release in
# an archive; how the library's files hang together. Compiles nothing. Prints TAP.
# shellcheck source=tests/tap.bash
. "$(dirname "$0")/tap.bash"

# A compiler that knows no header named in $HIDDEN, and pkg-config's modules
# without any that is named there.
cat > "$dir/cc" << 'SH'
#!/bin/sh
text=$(cat)
for h in $HIDDEN; do case $text in *"<$h"*) exit 1 ;; esac; done
printf '%s\n' "$text" | exec gcc "$@"
SH
chmod +x "$dir/cc"

# without HEADER MODULE COMMAND...: both are not to be found
without() (
    mkdir -p "$dir/pc" && rm -f "$dir/pc"/*
    IFS=: read -ra folders <<< "$(pkg-config --variable pc_path pkg-config)"
    find -L "${folders[@]}" -name '*.pc' ! -name "$2.pc" -exec ln -sf -t "$dir/pc" {} + 2> /dev/null
    export HIDDEN=$1 PKG_CONFIG_LIBDIR=$dir/pc
    "${@:3}"
)

# MAKEFLAGS is of the make that runs the tests.
plain() { env -u MAKEFLAGS -u MPI -u HDF5 make CC="$dir/cc" BUILD="$dir/build" "$@"; }
flags() { env -u MPI -u HDF5 CC="$dir/cc" "$@" tools/deps.sh flags; }

# missing HEADER MODULE NAME PACKAGE COMMAND...
missing() {
    not kept without "$1" "$2" "${@:5}" &&
        err_has "missing: $3 (Debian $4, Fedora " && is "$(grep -c '^missing' "$dir/err")" 1
}

check "make names a library that is missing, and its packages" \
    missing yaml.h yaml-0.1 yaml libyaml-dev plain -n all
check "... oneDNN" missing dnnl.h dnnl dnnl libdnnl-dev flags
check "... HDF5" missing hdf5_hl.h 'hdf5*' hdf5 libhdf5-openmpi-dev flags

# found SETTING...: HDF5 and MPI are there, and what is found compiles
found() {
    exits 0 flags "$@" &&
        grep -q 'LIB_CPPFLAGS := .*isystem' "$dir/out" && grep -q 'LIBS := .*hdf5' "$dir/out"
}
mkdir -p "$dir/mpi/bin" "$dir/hdf5/bin"
ln -s "$(command -v mpicc)" "$dir/mpi/bin/"
ln -s "$(command -v h5pcc)" "$dir/hdf5/bin/"
check "HDF5 is found without modules" without none.h '*hdf5*' found
for place in h5pcc "$dir/hdf5"; do
    check "HDF5 is found as ${place##*/}" found HDF5="$place"
done
for place in mpicc "$dir/mpi"; do
    check "MPI is found as ${place##*/}" found MPI="$place"
done
check "a place that is none is refused" exits 1 flags HDF5=/nothing
check "... by name" err_has "missing: hdf5 ("
check "... so is one of MPI" exits 1 flags MPI=/nothing
check "... also by name" err_has "missing: mpi ("

# An archive knows its release and commit without git.
archive() {
    exits 0 plain --no-print-directory dist || return 1
    mkdir "$dir/unpacked" && tar -xzf "$(cat "$dir/out")" -C "$dir/unpacked" --strip-components=1 &&
        is "$("$dir/unpacked/tools/version.sh")" "$(tools/version.sh | sed 's/\.dirty$//')"
}
[ -e .git ] || why_not="not a clone"
check "an archive knows its version" archive

structure() { "$PYTHON" tests/structure.py "$BUILD/libmoegps.a" "$1"; }
check "no two files of the library have one name" structure names
check "what it exports begins with moe_" structure prefixes
check "no two files of it call each other, but through a family" structure circles

finish
