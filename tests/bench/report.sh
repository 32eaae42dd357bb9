#!/usr/bin/env bash
# Time reports of a result file of 1 GiB, made of a run of DeepSeek-V3 on 16
# emulated GPUs whose iterations are repeated: tables, and the folder with its
# page. Beside it: reading the same bytes with cat, the raw alternative. Targets
# (not asserted): 10 s, 1 GiB of memory, a page of 2 MiB.
set -euo pipefail
cd "$(dirname "$0")/../.."
: "${MPIRUN:=mpirun}" "${PYTHON:=/usr/bin/python3}" "${GIB:=1}"
"$PYTHON" -c 'import h5py' 2> /dev/null ||
    { echo "report: skipped, needs python3-h5py"; exit 0; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export OMPI_MCA_mpi_yield_when_idle=1

./moegps trace synth --model deepseek-v3 --sigma 1 --drift 0.1 --seqs 16 \
    --tokens 512 -o "$dir/trace.h5" > /dev/null
sed 's/slots: 6/slots: 18/' jobs/deepseek.yaml > "$dir/x.yaml"
"$MPIRUN" -n 16 --oversubscribe --bind-to none ./moegps run "$dir/x.yaml" \
    --set trace="$dir/trace.h5" --set workload.seq=512 \
    --set workload.layers=all --set workload.iterations=2 \
    -o "$dir/small.h5" > /dev/null 2> "$dir/err" ||
    { grep moegps: "$dir/err"; exit 1; }

"$PYTHON" - "$dir/small.h5" "$dir/large.h5" "$GIB" <<'EOF'
import sys
import h5py
import numpy as np

gib = float(sys.argv[3])
with h5py.File(sys.argv[1]) as f, h5py.File(sys.argv[2], "w", libver="v108") as to:
    size = sum(d.size * d.dtype.itemsize for g in f.values() for d in g.values()
               if "iteration" in [x[0].name.rsplit("/")[-1] if len(x) else ""
                                  for x in d.dims])
    times = int(gib * 2**30 / size + 0.5)
    for key, value in f.attrs.items():
        to.attrs[key] = value
    for name, group in f.items():
        out = to.create_group(name)
        for key, value in group.attrs.items():
            out.attrs[key] = value
        for key, data in group.items():
            names = [x[0].name.rsplit("/")[-1] if len(x) else "" for x in data.dims]
            x = data[()]
            if key == "iteration":
                x = np.arange(len(x) * times, dtype=x.dtype)
            elif "iteration" in names:
                x = np.concatenate([x] * times, axis=names.index("iteration"))
            out.create_dataset(key, data=x, dtype=data.dtype)
            for a, value in data.attrs.items():
                if a not in ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME",
                             "_Netcdf4Dimid", "_FillValue"):
                    out[key].attrs[a] = value
EOF

bytes=$(stat -c %s "$dir/large.h5")
# timed NAME COMMAND...: least of three wall times, and the largest memory.
timed() {
    local name=$1 best="" most=0 t m
    shift
    for _ in 1 2 3; do
        rm -rf "$dir/out"
        read -r t m < <("$PYTHON" - "$@" <<'EOF'
import resource, subprocess, sys, time
start = time.monotonic()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL,
               stderr=subprocess.DEVNULL, check=True)
print(time.monotonic() - start,
      resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
EOF
        )
        best=$("$PYTHON" -c "print(min($t, ${best:-1e9}))")
        [ "$m" -le "$most" ] || most=$m
    done
    printf '%-22s %8.2f s %8.0f MiB  %6.2f GB/s\n' "$name" "$best" \
        "$((most / 1024))" "$("$PYTHON" -c "print($bytes / $best / 1e9)")"
}
printf 'a result file of %d MiB: wall (least of 3), peak memory, rate\n' \
    "$((bytes >> 20))"
timed "cat" cat "$dir/large.h5"
timed "report" ./moegps report "$dir/large.h5"
timed "report -o" ./moegps report "$dir/large.h5" -o "$dir/out"
printf 'page %d KiB\n' "$(($(stat -c %s "$dir/out/report.html") / 1024))"
