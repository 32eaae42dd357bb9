#!/usr/bin/env bash
# `moegps compare`, `moegps merge` and scaling in `moegps report`, on real runs.
# Prints TAP.
. "$(dirname "$0")/tap.bash"

cat > "$dir/x.yaml" <<'EOF'
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 2, seq: 128, layers: "0,7", iterations: 24, warmup: 1, seed: 3}
emulation: {ffn: none, scale: 128}
strategies:
  - {name: baseline, predictor: none, planner: static}
  - {name: oracle, predictor: oracle, planner: duplicate, slots: 8}
EOF

# run RANKS FILE ARGUMENTS...
run() {
    kept ranks "$1" ./moegps run "$dir/x.yaml" -o "$dir/$2" "${@:3}"
}

# program ARGUMENTS...: in the scratch folder
program() {
    (cd "$dir" && "$OLDPWD/moegps" "$@")
}

matches() {
    grep -qE -- "$1" "$dir/out" || { echo "does not say: $1"; return 1; }
}

python() {
    (cd "$dir" && "$PYTHON" -)
}

run 4 a.h5
run 4 b.h5
run 4 slow.h5 --set cluster=l40s-pcie
run 4 seed.h5 --set workload.seed=4
run 4 half.h5 --set emulation.scale=64
run 2 two.h5
run 1 one.h5
run 4 long.h5 --set workload.iterations=40000 --max-time 1
sed 's/baseline/base/g' "$dir/x.yaml" > "$dir/y.yaml"
kept ranks 2 ./moegps run "$dir/y.yaml" -o "$dir/other.h5"

# ---- compare ----
check "the same run twice is equal" exits 0 program compare a.h5 b.h5
check "... on pairs of the same batches" matches "24 batches are the same in both"
check "... on the gpu clock, as ranks share cores" matches "gpu clock \(modelled, not measured\)"
check "... in so many words" matches "baseline .*equal to 0.1 %"
check "another cluster is slower" exits 0 program compare a.h5 slow.h5
check "... beyond doubt" matches "baseline .*B is slower"
check "... and named" matches "differ in +cluster \(a100-nvlink, l40s-pcie\)"
check "ratios are those of the medians of pairs" python <<'PY'
import h5py
import numpy as np
a, b = (h5py.File(f)["timing/iteration_time_gpu"][()] for f in ("a.h5", "slow.h5"))
said = dict(line.split()[2:5:2] for line in open("out") if line.startswith("FOM ratio_gpu"))
for s, name in enumerate(("baseline", "oracle")):
    assert abs(float(said[name]) / np.median(b[s] / a[s]) - 1) < 1e-8, (name, said)
PY
check "other batches are no pairs" exits 0 program compare a.h5 seed.h5
check "... and are compared by medians" matches "ratios are of medians: the batches are not the same"
check "what only one of them has is named" exits 0 program compare a.h5 other.h5
check "... for both" matches "strategy baseline \(only in A\), strategy base \(only in B\)"
check "--fail-if lets noise pass" exits 0 program compare a.h5 b.h5 --fail-if 5%
check "--fail-if fails with 4 beyond doubt" exits 4 program compare a.h5 slow.h5 --fail-if 5
check "... saying what is slower" err_has "is slower in B by"
check "--fail-if looks one way" exits 0 program compare slow.h5 a.h5 --fail-if 5
check "--reference takes the reference's time out" exits 0 program compare a.h5 slow.h5 --reference baseline
check "... so that its ratio is 1" matches "FOM ratio_gpu baseline = 1 1"
check "--json prints JSON alone" exits 0 program compare a.h5 slow.h5 --json -
check "... that says what was compared" python <<'PY'
import json
j = json.load(open("out"))
assert j["paired"] and j["pairs"] == 24 and j["clock"] == "gpu" and j["unit"] == "s"
assert [s["strategy"] for s in j["strategies"]] == ["baseline", "oracle"]
for s in j["strategies"]:
    assert s["ci_low"] <= s["ratio"] <= s["ci_high"] and s["n"] == 24
PY
check "measured times are relative to A's reference" exits 0 program compare a.h5 b.h5 --clock wall
check "... in so many words" matches "relative to baseline on the same batch"
check "... and of one run a side are no verdict" matches "is not known: that takes 3 repetitions a side"
check "... which --fail-if says, too" exits 0 program compare a.h5 slow.h5 --clock cpu --fail-if 0
check "... rather than fail" err_has "1 and 1 runs show nothing beyond doubt"
for seed in 11 12 13; do
    run 4 a$seed.h5 --set workload.seed=$seed
    run 4 b$seed.h5 --set workload.seed=$seed
done
check "repetitions are merged" exits 0 program merge a11.h5 a12.h5 a13.h5 -o as.h5
check "... on either side" exits 0 program merge b11.h5 b12.h5 b13.h5 -o bs.h5
check "repetitions are compared run by run" exits 0 program compare as.h5 bs.h5 --clock wall --fail-if 300
check "... which is said" matches "ratios are of the medians of 3 runs and 3"
check "too few of them give no interval" exits 0 program compare as.h5 b.h5 --clock wall
check "... nor a verdict" matches "oracle .*too few runs"
check "runs of other numbers of GPUs are no repetitions" exits 0 program merge a.h5 two.h5 -o odd.h5
check "... and refused" refused 2 "are no repetitions of each other" program compare odd.h5 a.h5
check "one file is not enough" refused 2 "B.h5 is needed" program compare a.h5
check "three are too many" refused 2 "only A.h5 and B.h5 are wanted" program compare a.h5 b.h5 one.h5
check "an unknown reference is refused" refused 2 "has no strategy 'nobody'" program compare a.h5 b.h5 --reference nobody
check "an unknown clock is refused" refused 2 "wall, cpu, gpu" program compare a.h5 b.h5 --clock sun
check "a threshold that is none is refused" refused 2 "percent" program compare a.h5 b.h5 --fail-if fast
check "an existing JSON file is kept" exits 2 program compare a.h5 b.h5 --json a.h5
check "... saying so" err_has "a.h5 is what A.h5 reads"
check "a file that is no result is refused" refused 2 "x.yaml" program compare a.h5 x.yaml

# ---- merge ----
check "runs of 1, 2 and 4 GPUs merge" exits 0 program merge two.h5 a.h5 one.h5 seed.h5 -o sweep.h5
check "... by number of GPUs, with every figure" python <<'PY'
import numpy as np
import xarray as xr
for engine in ("netcdf4", "h5netcdf"):
    d = xr.open_dataset("sweep.h5", group="runs", engine=engine)
    assert list(d.gpus.values) == [1, 2, 4, 4], d.gpus.values
    assert list(d.path.values) == ["one.h5", "two.h5", "a.h5", "seed.h5"], d.path.values
    for r, path in enumerate(d.path.values):
        one = xr.open_dataset(str(path), group="summary", engine=engine)
        for name in ("median", "ci_low", "mean", "ratio", "n"):
            np.testing.assert_array_equal(d[name][r].values, one[name].values)
        time = xr.open_dataset(str(path), group="timing", engine=engine)
        np.testing.assert_allclose(d.layer_time.sel(clock="gpu")[r].values,
                                   time.layer_time_gpu.mean("layer").values, rtol=1e-12)
    np.testing.assert_allclose(d.tokens.values, 256)
PY
check "a sweep merges again" exits 0 program merge sweep.h5 b.h5 -o more.h5
check "the same run twice is refused" refused 2 "is the same run as" program merge a.h5 one.h5 a.h5 -o no.h5
check "another setting is refused" refused 2 "'  scale: 64' here" program merge a.h5 half.h5 -o no.h5
check "other strategies are refused" refused 2 "cannot be merged with" program merge a.h5 other.h5 -o no.h5
check "an incomplete run is refused" refused 2 "is not complete (interrupted" program merge a.h5 long.h5 -o no.h5
check "... and left out on demand" exits 0 program merge a.h5 two.h5 long.h5 --skip-incomplete -o skip.h5
check "refusals leave no file" not compgen -G "$dir/no.h5*"
check "an existing file is kept" refused 2 "exists" program merge a.h5 two.h5 -o sweep.h5
check "... and replaced on demand" exits 0 program merge a.h5 two.h5 -o sweep.h5 --force
check "merge needs runs" refused 2 "RUNS.h5 is needed" program merge -o no.h5
check "merge needs an output" refused 2 "--output is needed" program merge a.h5

# ---- scaling ----
check "report shows a sweep" exits 0 program report more.h5
check "... with scaling" matches "Scaling, gpu clock"
check "... of as many GPUs as there are" matches "^ +4 +1 +256 "
check "efficiency is tokens per second and GPU" python <<'PY'
import h5py
import numpy as np
import re
def time(*files):
    return np.median(np.concatenate([h5py.File(f)["timing/layer_time_gpu"][0].mean(axis=1) for f in files]))
expected = time("one.h5") / time("a.h5", "b.h5", "seed.h5") / 4
text = open("out").read().split("Scaling, gpu")[1]
row = next(l for l in text.splitlines() if re.match(r" +4 ", l))
said = float(re.search(r"([\d.]+) % +(?:[\d.]+ % \.\.|n/a)", row).group(1))
assert abs(said / 100 / expected - 1) < 6e-3, (said, expected)
PY
check "a sweep has a verdict" matches "^(Use .* on .* GPUs?, by the gpu clock|No verdict on 1 to 4 GPUs: )"
check "several files do, too" exits 0 program report --all one.h5 two.h5
check "... in the same way" matches "Scaling, wall clock"
check "runs alike have no scaling" exits 0 program report a.h5 b.h5
check "... as there is none" not out_has Scaling

python <<'PY'
import h5py, shutil
shutil.copy("two.h5", "foreign.h5")
with h5py.File("foreign.h5", "r+") as f:
    f["config"].attrs["model"] = "another"
PY
check "runs of two models have none" exits 0 program report a.h5 foreign.h5
check "... whatever their GPUs" not out_has Scaling

# A hundred runs.
for i in $(seq 100); do cp "$dir/a.h5" "$dir/copy$i.h5"; done
python <<'PY'
import h5py
for i in range(1, 101):
    with h5py.File(f"copy{i}.h5", "r+") as f:
        f.attrs["run_id"] = f"copy {i}"
PY
check "a hundred runs merge" exits 0 program merge "$dir"/copy*.h5 -o hundred.h5
head -c 20000 "$dir/hundred.h5" > "$dir/cut.h5"
check "truncated sweeps are refused" refused 2 "cut.h5" program report cut.h5

# More strategies than a file may have.
python <<'PY'
import h5py, numpy, shutil
for name, scale in (("a.h5", "timing/strategy"), ("hundred.h5", "runs/strategy")):
    shutil.copy(name, "wide_" + name)
    with h5py.File("wide_" + name, "r+") as f:
        del f[scale]
        f[scale] = [f"s{i}" for i in range(84)]
PY
for form in a hundred; do
    check "84 strategies are refused ($form.h5)" exits 2 program report "$dir/wide_$form.h5"
    check "... by number" err_has "wide_$form.h5: has 84 strategies, at most 64 are read"
    check "... and not merged" exits 2 program merge "$dir/wide_$form.h5" "$dir/a.h5" -o wide.h5
done

finish
