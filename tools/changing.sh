#!/usr/bin/env bash
# Make a trace whose traffic changes: tools/changing.sh FILE.h5 [--force]. The
# experts of its tokens follow from their ids in one way, and after 160 of 280
# sequences in another; the first 39 are of training.
set -euo pipefail
moegps=${MOEGPS:-$(dirname "$0")/../moegps}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
for part in "1 160" "2 120"; do
    "$moegps" trace synth --kind token --model mixtral-8x7b --layers 2 --seqs "${part#* }" --tokens 1024 \
        --sigma 0.5 --strength 0.9 --seed "${part% *}" -o "$dir/${part% *}.h5"
done
"$moegps" trace import --model mixtral-8x7b --concat tokens --order time --split tail=0.86 --layers 0-1 \
    "$dir/1.h5" "$dir/2.h5" -o "$@"
