# shellcheck shell=bash
# Where the libraries are; source it. `library NAME` prints what compiler and
# linker need for one, and fails where it is not there. It asks, in this order:
# - for MPI and HDF5, what MPI= and HDF5= name: a pkg-config module, a folder in
#   which it is installed, or a compiler wrapper;
# - pkg-config, then the compiler itself (with CPPFLAGS and LDFLAGS).
: "${CC:=gcc}" "${CPPFLAGS:=}" "${MPI:=}" "${HDF5:=}"

# The family, after which distributions name packages.
case $MPI in
*mpich*) mpi_family=mpich ;;
*) mpi_family=openmpi ;;
esac

have() { type -P "$1" > /dev/null; }

# compiles TEXT FLAGS...: does the preprocessor take it?
compiles() {
    # shellcheck disable=SC2086 # words
    printf '%b\n' "$1" | $CC $CPPFLAGS "${@:2}" -E -x c - > /dev/null 2>&1
}

module() { pkg-config --exists "$1" 2> /dev/null && pkg-config --cflags --libs "$1"; }

# The flags in what a compiler wrapper says that it calls.
wrapper() {
    "$1" -show 2> /dev/null | tr -s ' ' '\n' |
        grep -E '^(-[IDLl]|-isystem|-Wl,|-pthread$)|\.(a|so)$' | tr '\n' ' '
}

# installed_in FOLDER WRAPPER LINK
installed_in() {
    if [ -x "$1/bin/$2" ]; then
        wrapper "$1/bin/$2"
    elif [ -d "$1/include" ]; then
        echo "-I$1/include -L$1/lib -Wl,-rpath,$1/lib $3"
    else
        return 1
    fi
}

# at PLACE WRAPPER LINK: PLACE is a folder, a module, a wrapper, or "none" where
# the compiler needs to be told nothing, as it is a wrapper itself.
at() {
    if [ "$1" = none ]; then
        echo
    elif [ -d "$1" ]; then
        installed_in "$@"
    else
        module "$1" || { have "$1" && wrapper "$1"; }
    fi
}

# first_at TEXT WRAPPER LINK PLACE...: the first place whose flags take TEXT.
first_at() {
    local flags place
    for place in "${@:4}"; do
        # shellcheck disable=SC2086 # words
        flags=$(at "$place" "$2" "$3") && compiles "$1" $flags && {
            echo "$flags"
            return
        }
    done
    return 1
}

# gcc takes MPICH's MPI_STATUSES_IGNORE, address 1, for an array that is too short.
mpi() {
    local flags
    # shellcheck disable=SC2086 # words
    flags=$(first_at '#include <mpi.h>' mpicc -lmpi ${MPI:-none ompi-c mpich mpicc}) || return 1
    case $flags in
    *mpich*) echo "$flags -Wno-stringop-overflow" ;;
    *) echo "$flags" ;;
    esac
}

# The high-level library is beside the other.
hdf5() {
    local mpi flags
    mpi=$(mpi) || mpi=
    # shellcheck disable=SC2086 # words
    flags=$(CPPFLAGS="$CPPFLAGS $mpi" first_at \
        '#include <hdf5_hl.h>\n#ifndef H5_HAVE_PARALLEL\n#error\n#endif' \
        h5pcc -lhdf5 ${HDF5:-"hdf5-$mpi_family" hdf5 h5pcc none}) || return 1
    case $flags in
    *hdf5_hl*) echo "$flags" ;;
    *) echo "$flags -lhdf5_hl -lhdf5" ;;
    esac
}

# other MODULE HEADER LINK
other() {
    module "$1" || { compiles "#include <$2>" && echo "$3"; }
}

library() {
    case $1 in
    mpi | hdf5) "$1" ;;
    hwloc) other hwloc hwloc.h -lhwloc ;;
    dnnl) other dnnl dnnl.h -ldnnl ;;
    yaml) other yaml-0.1 yaml.h -lyaml ;;
    jansson) other jansson jansson.h -ljansson ;;
    random123) other random123 Random123/philox.h "" ;;
    crypto) other libcrypto openssl/evp.h -lcrypto ;;
    zlib) other zlib zlib.h -lz ;;
    check) other check check.h -lcheck ;;
    clp) other clp coin/Clp_C_Interface.h -lClp ;;
    *) return 1 ;;
    esac
}

# The command that starts ranks of that MPI.
mpirun() {
    local m
    for m in "${MPI:-none}/bin/mpirun" "mpirun.${MPI:-none}"; do
        have "$m" && { echo "$m"; return; }
    done
    echo mpirun
}
