#!/usr/bin/env bash
# Result files in the hands of other readers: xarray with both engines, h5py,
# ncdump, h5dump; files of killed runs; full disks; moegps report.
. "$(dirname "$0")/tap.bash"
maker=$BUILD/tests/parallel/test_results

# make RANKS FILE [VARIABLE=VALUE...]
make_file() {
    local ranks=$1 file=$2
    shift 2
    ranks "$ranks" env "$@" MOEGPS_TEST_RESULT="$file" "$maker"
}

# reads FILE ENGINE: every group opens, coordinates and units are right.
reads_with_xarray() {
    "$PYTHON" - "$1" "$2" <<'PY'
import sys
import numpy as np
import xarray as xr

path, engine = sys.argv[1:]
groups = "config provenance timing load prediction plan regret traffic resume summary".split()
data = {g: xr.open_dataset(path, group=g, engine=engine) for g in groups}
root = xr.open_dataset(path, engine=engine)
assert root.attrs["schema"] == "moe-gps", root.attrs
assert root.attrs["status"] == "complete", root.attrs
assert root.attrs["validation"] == "pass", root.attrs
assert root.attrs["title"] == "synthetic \u00e9\u20ac run", root.attrs
timing = data["timing"]
assert timing.wall.dims == ("strategy", "iteration", "layer", "phase", "rank")
assert timing.wall.dtype == np.float64, timing.wall.dtype
assert timing.wall.attrs["units"] == "s"
assert list(timing.strategy.values) == ["baseline", "duplicate", "oracle"]
assert list(timing.layer.values) == [0, 5, 6, 31]
for name, variable in timing.data_vars.items():
    assert np.issubdtype(variable.dtype, np.floating), (name, variable.dtype)
cell = timing.wall.sel(strategy="oracle", iteration=7, layer=5, phase="ffn")
assert float(cell.isel(rank=0)) == 1 + 2 + 2 * 7 + 1 + 8, cell
assert np.isnan(timing.wall.sel(phase="attention")).all()
per_rank = (timing.wall + timing.wait.fillna(0)).sum("phase")
assert np.allclose(per_rank.max("rank"), timing.layer_time_wall)
assert np.allclose(timing.exposed.max("rank").sum("phase"),
                   timing.layer_time_gpu)
assert np.allclose(timing.layer_time_cpu.sum("layer"),
                   timing.iteration_time_cpu)
median = timing.layer_time_gpu.mean("layer").median("iteration")
summary = data["summary"]
assert np.array_equal(median, summary["median"].sel(metric="layer_time_gpu"))
assert int(summary["n"].sel(metric="imbalance")[0]) == 8
units = dict(zip(summary.metric.values, summary.unit.values))
assert units["imbalance"] == "1" and units["moved_bytes"] == "B", units
plan = data["plan"]
assert np.isnan(plan.slot_expert.isel(slot=2)).all()
assert float(plan.moved_bytes.max()) == 2 * 2**33
rank = data["provenance"]
assert list(rank.threads.values) == [2] * rank.sizes["rank"]
assert rank.oversubscribed.attrs["flag_meanings"] == "no yes"
source = timing.price_source
assert list(source.attrs["flag_values"]) == [0, 1, 2, 3, 4, 5]
assert source.attrs["flag_meanings"] == (
    "tabulated interpolated extrapolated analytic scaled slow-kernel")
assert "OMPI_" in str(rank.env.values)
assert data["config"].attrs["seed"] == 1
assert data["config"].attrs["scale"] == 0.125
frame = timing.layer_time_wall.to_dataframe()
assert len(frame) == 3 * 8 * 4
PY
}

reads_with_h5py() {
    "$PYTHON" - "$1" <<'PY'
import sys
import h5py

with h5py.File(sys.argv[1]) as f:
    assert f.attrs["schema_version"] == "1.8.0"
    assert set(f) == {"config", "strategies", "provenance", "timing", "load",
                      "prediction", "plan", "regret", "traffic", "work",
                      "resume", "summary"}, list(f)
    assert list(f["strategies/predictor"].asstr()) == ["none", "ema", "oracle"]
    assert list(f["strategies/knows_future"]) == [0, 0, 1]
    assert f["timing/wall"].dims[3].keys() == ["phase"]
    assert list(f["timing/phase"].asstr()[:2]) == ["predict", "collect"]
    assert f["timing"].attrs["signal"] == "layer_time_wall"
    assert list(f["timing"].attrs["axes"]) == [".", "iteration", "layer"]
    assert f[f.attrs["default"]].attrs["NX_class"] == "NXdata"
    for group in f.values():
        for name, item in group.items():
            assert item.dtype.kind in "ifO", (group.name, name, item.dtype)
            scales = [list(d.keys()) for d in item.dims]
            scale = h5py.h5ds.is_scale(item.id)
            assert scale or all(scales), (item.name, scales)
    assert f["summary/median"].fillvalue != f["summary/median"].fillvalue
PY
}

reads_with() {
    "$@" > "$dir/text" 2>&1 && [ "$(wc -l < "$dir/text")" -gt 100 ]
}

# Each dataset of a file is explained in results/README.md.
is_documented() {
    local name missing=0
    for name in $(h5ls -r "$1" | awk '$2 == "Dataset" {print $1}'); do
        grep -q "\`${name##*/}\`" results/README.md ||
            { echo "# $name is not in results/README.md"; missing=1; }
    done
    return $missing
}

# The examples of results/README.md, run as they are printed.
examples_work() {
    # shellcheck disable=SC2016
    sed -n '/^```python/,/^```/p' results/README.md | grep -v '^```' \
        > "$dir/example.py"
    cp "$1" "$dir/run.h5"
    rm -f "$dir/sweep.h5"
    ./moegps merge "$dir/run.h5" -o "$dir/sweep.h5" || return 1
    (cd "$dir" && MPLBACKEND=Agg "$PYTHON" example.py > example.out) &&
        [ -s "$dir/example.out" ]
}

holds_flushed_iterations() {
    "$PYTHON" - "$1" <<'PY'
import sys
import numpy as np
import xarray as xr

root = xr.open_dataset(sys.argv[1])
timing = xr.open_dataset(sys.argv[1], group="timing")
summary = xr.open_dataset(sys.argv[1], group="summary")
assert root.attrs["status"] == "running", root.attrs
assert root.attrs["validation"] == "not_run", root.attrs
done = timing.layer_time_gpu.notnull().all(["strategy", "layer"])
assert list(done.values) == [True] * 3 + [False] * 5, done
assert timing.cpu.sel(phase="ffn", iteration=slice(0, 2)).notnull().all()
assert timing.cpu.isel(iteration=slice(3, None)).isnull().all()
assert summary["median"].isnull().all()
PY
}

is_killed() {
    make_file 2 "$dir/killed.h5" MOEGPS_TEST_KILL=1 "$@"
    [ ! -e "$dir/killed.h5" ] && [ -e "$dir/killed.h5.partial" ]
}

# on_tmpfs SIZE VARIABLE=VALUE...: a run on a disk of that size; mount's name
# space ends with the shell, so look at what is left before.
on_tmpfs() {
    local size=$1
    shift
    # shellcheck disable=SC2016
    unshare -m bash -c '
        mount -t tmpfs -o "size=$1" tmpfs "$2/disk" || exit 77
        env "${@:4}" MOEGPS_TEST_RESULT="$2/disk/x.h5" \
            "$3" -n 2 "$BUILD/tests/parallel/test_results" > "$2/out" 2>&1
        echo "exit $?" >> "$2/out"
        ls "$2/disk" > "$2/left"
        cp "$2/disk/x.h5.partial" "$2/partial" 2> /dev/null
        true' bash "$size" "$dir" "$MPIRUN" "$@"
}

full_disk_leaves_nothing() {
    mkdir -p "$dir/disk"
    on_tmpfs "$1" X=1
    cat "$dir/out"
    [ ! -s "$dir/left" ] && grep -q 'disk full: needs' "$dir/out" &&
        ! grep -qi 'signal' "$dir/out"
}

filled_disk_costs_nothing_measured() {
    mkdir -p "$dir/disk"
    on_tmpfs 6m MOEGPS_TEST_FILL="$dir/disk/ballast"
    cat "$dir/out"
    grep -q 'cannot be finished: No space left' "$dir/out" &&
        ! grep -qi 'signal' "$dir/out" &&
        ! grep -qx 'x.h5' "$dir/left" &&
        "$PYTHON" - "$dir/partial" <<'PY'
import sys
import xarray as xr

timing = xr.open_dataset(sys.argv[1], group="timing")
assert timing.layer_time_gpu.notnull().all()
PY
}

# A copy of FILE whose validation failed.
make_invalid() {
    cp "$1" "$2"
    "$PYTHON" -c 'import h5py, sys
with h5py.File(sys.argv[1], "r+") as f:
    f.attrs["validation"] = "fail"' "$2"
}

report_ends_with_result() {
    ./moegps report "$1" > "$dir/text" &&
        grep -q '^FOM layer_time_gpu oracle = 170 s$' "$dir/text" &&
        [ "$(tail -n 1 "$dir/text")" = "RESULT: VALID" ]
}

json_is_all_there_is() {
    ./moegps report --json - "$1" "$1" > "$dir/json" &&
        "$PYTHON" - "$dir/json" <<'PY'
import json
import sys

def refuse(constant):
    raise ValueError(constant)

report = json.load(open(sys.argv[1]), parse_constant=refuse)
assert report["schema_version"] == "1.2.0" and len(report["runs"]) == 2
run = report["runs"][1]
assert run["result"] == "VALID" and run["oversubscribed"] is True
oracle = run["strategies"][2]
assert oracle["metrics"]["layer_time_gpu"]["median"] == 170
assert oracle["metrics"]["layer_time_gpu"]["p99"] is None
assert oracle["phases_s"]["wall"]["attention"] is None
PY
}

csv_replaces_nothing() {
    echo precious > "$dir/kept.csv"
    ./moegps report --csv "$dir/kept.csv" "$1"
    [ $? -eq 2 ] && grep -qx precious "$dir/kept.csv" &&
        ./moegps report --force --csv "$dir/kept.csv" "$1" > /dev/null &&
        grep -q ',oracle,layer_time_gpu,s,8,170,' "$dir/kept.csv"
}

invalid_is_said() {
    make_invalid "$1" "$dir/invalid.h5" && exits 3 ./moegps report "$dir/invalid.h5" &&
        [ "$(tail -n 1 "$dir/out")" = "RESULT: INVALID" ]
}

killed_is_incomplete() {
    is_killed X=1 && exits 0 ./moegps report "$dir/killed.h5.partial" &&
        grep -q '^iterations  n = 3 of 8 measured' "$dir/out" &&
        grep -q '^intervals   none' "$dir/out" &&
        [ "$(tail -n 1 "$dir/out")" = "RESULT: INCOMPLETE" ]
}

for writer in serial mpio; do
    file=$dir/$writer.h5
    set -- MOEGPS_TEST_X=
    [ "$writer" = mpio ] && set -- MOEGPS_TEST_WRITER=mpio
    check "a file is made ($writer)" make_file 2 "$file" "$@"
    for engine in netcdf4:netCDF4 h5netcdf:h5netcdf; do
        check_if "xarray ${engine#*:}" "xarray reads every group with ${engine%:*} ($writer)" \
            reads_with_xarray "$file" "${engine%:*}"
    done
    check "h5py finds scales, types and fill values ($writer)" \
        reads_with_h5py "$file"
    check "ncdump -h reads it ($writer)" reads_with ncdump -h "$file"
    check "h5dump -H reads it ($writer)" reads_with h5dump -H "$file"
    check "a killed run leaves a partial file ($writer)" is_killed "$@"
    check "it holds the flushed iterations and NaN ($writer)" \
        holds_flushed_iterations "$dir/killed.h5.partial"
    rm -f "$dir/killed.h5.partial"
done
check "every dataset is documented" is_documented "$dir/serial.h5"
check "the examples of results/README.md work" examples_work "$dir/serial.h5"
check "report ends with its result" report_ends_with_result "$dir/serial.h5"
check "report --json - prints JSON alone" json_is_all_there_is "$dir/serial.h5"
check "report --csv replaces nothing unasked" csv_replaces_nothing "$dir/serial.h5"
check "report of a failed validation exits with 3" invalid_is_said "$dir/serial.h5"
check "report of a killed run is incomplete" killed_is_incomplete
check "report of no file exits with 2" exits 2 ./moegps report "$dir/nothing.h5"
unshare -m mount -t tmpfs tmpfs /mnt 2> /dev/null || why_not="mounting is not permitted"
check "a full disk leaves nothing (64k)" full_disk_leaves_nothing 64k
check "a full disk leaves nothing (1m)" full_disk_leaves_nothing 1m
check "a disk that fills costs nothing measured" filled_disk_costs_nothing_measured
finish
