#!/usr/bin/env bash
# Run the main experiment on emulated GPUs, one MPI rank each, and show what it
# found. GPUS=8 EXPERIMENT=mine.yaml OUT=mine.h5 tools/demo.sh runs another.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${GPUS:=4}" "${MPIRUN:=mpirun}" "${EXPERIMENT:=jobs/demo.yaml}" "${OUT:=results/demo.h5}"

# Root in a container is common; Open MPI wants to be told twice.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
options=(-n "$GPUS")
cores=$(lscpu -p=CORE,SOCKET 2> /dev/null | grep -v '^#' | sort -u | wc -l)
if [ "$cores" -lt "$GPUS" ]; then
    # Ranks that wait must let others run.
    options+=(--oversubscribe --bind-to none)
    export OMPI_MCA_mpi_yield_when_idle=1
fi

# show EXPERIMENT FILE: run it, print its report, and make its page.
show() {
    mkdir -p "$(dirname "$2")"
    echo "\$ $MPIRUN ${options[*]} ./moegps run $1 --force -o $2"
    "$MPIRUN" "${options[@]}" ./moegps run "$1" --force -o "$2"
    ./moegps report "$2" --force -o "${2%.h5}-report" > /dev/null
    echo
}

# The second job, unless another one was asked for, has real predictors of
# tokens, which need a trace of tokens.
show "$EXPERIMENT" "$OUT"
[ "$EXPERIMENT" != jobs/demo.yaml ] || show jobs/tokens.yaml results/tokens.h5
cat <<EOF
The numbers are in $OUT (results/README.md says which):
  ./moegps report $OUT
  ./moegps report $OUT -o FOLDER       # a page to mail: ${OUT%.h5}-report/report.html
  python3 -c 'import xarray; print(xarray.open_dataset("$OUT", group="summary"))'
EOF
