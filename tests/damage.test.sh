#!/usr/bin/env bash
# Damaged HDF5 files of every kind: each ends with one message, or reads. The
# library itself crashes on some of them and spins for ever on others. Prints TAP.
# DAMAGE=SEEDS tries more of each kind than the few that run each time, from
# DAMAGE_FIRST on.
. "$(dirname "$0")/tap.bash"
export HDF5_USE_FILE_LOCKING=FALSE
seeds=${DAMAGE:-4} first=${DAMAGE_FIRST:-0}

# reads FILE KIND COMMAND...
reads() { "$PYTHON" tests/damage.py "$dir/$1" "$2" "$seeds" "$first" "${@:3}"; }

# load FILE: a predictor file is used
cat > "$dir/load" <<EOF2
exec ./moegps evaluate -t "$dir/trace.h5" -p ffn --seq 0 --repeats 2 --load "\$1"
EOF2

MOEGPS_TEST_RESULT=$dir/run.h5 ranks 4 "$BUILD/tests/parallel/test_results" > /dev/null
./moegps merge -o "$dir/sweep.h5" "$dir/run.h5" 2> /dev/null
./moegps map --model mixtral-8x7b --clusters a100-nvlink --skews 1,2 \
    -o "$dir/map.h5" > /dev/null
./moegps trace synth --kind token --seqs 8 --tokens 16 --layers 1 --vocab 20 \
    -o "$dir/trace.h5" > /dev/null
./moegps train -t "$dir/trace.h5" -p ffn --epochs 1 -o "$dir/predictor.h5" > /dev/null

for kind in flip zero cut; do
    check_if h5py "a result with damage: $kind" reads run.h5 $kind ./moegps report
    check_if h5py "a sweep with damage: $kind" reads sweep.h5 $kind ./moegps report
    check_if h5py "a map with damage: $kind" reads map.h5 $kind ./moegps report
    check_if h5py "a trace with damage: $kind" reads trace.h5 $kind ./moegps trace info
    check_if h5py "a predictor with damage: $kind" reads predictor.h5 $kind sh "$dir/load"
done
finish
