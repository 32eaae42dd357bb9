#!/usr/bin/env bash
# moegps map: its file, its presets, wrong use. Speaks TAP.
. "$(dirname "$0")/tap.bash"

map() { ./moegps map "$@"; }
small() { map --model mixtral-8x7b --clusters a100-paper --skews 1,2 "$@"; }

for p in mixtral llama-moe switch; do
    check "preset paper-$p" says "GB/s " map --preset "paper-$p"
done
# The paper's verdicts: tokens on slow links with much skew, else distribution.
figure7() {
    map --preset paper-mixtral > "$dir/out" &&
        grep -q '^ *300  *B.* D [ 0-9.]*$' "$dir/out" && ! grep -q '^ *300 .*T' "$dir/out" &&
        grep -q '^ *16 .* T *[0-9.]*$' "$dir/out"
}
check "Figure 7 under the paper's assumptions" figure7
check "without them copies cost what they cost" says "a100-paper  B" map --model mixtral-8x7b \
    --cluster a100-paper --skews 2,3
check "--help prints usage" says "Usage: moegps map" map --help
check "another case" says "pessimistic case" small --case pessimistic
check "a map is written" says "B baseline" map --preset paper-mixtral \
    --accuracies 0.8,1 --batches 1,16 -o "$dir/m.h5"
file() {
    "$PYTHON" -c '
import sys, h5py, numpy
f = h5py.File(sys.argv[1])
assert f.attrs["schema"] in ("moe-gps-map", b"moe-gps-map")
assert f.attrs["clock"] in ("modelled", b"modelled")
g = f["map"]
t, w, m = g["layer_time"][:], g["winner"][:], g["margin"][:]
assert t.shape == (1, 3, 2, 2, 7, 4, 4) and w.shape == t.shape[:-1]
assert (numpy.argmin(t[..., :3], axis=-1) == w).all() and (m >= 0).all()
s = numpy.sort(t[..., :3], axis=-1)
assert numpy.allclose(s[..., 1] / s[..., 0] - 1, m)
assert (numpy.diff(t, axis=5)[..., 0] >= 0).all()  # baseline, slower links
assert g["bandwidth_value"].attrs["units"] in ("B/s", b"B/s")' "$dir/m.h5"
}
check_if h5py "its cells are consistent" file
same() {
    small -o "$dir/a.h5" > "$dir/1" && small -o "$dir/a.h5" --force > "$dir/2" &&
        cmp -s "$dir/1" "$dir/2"
}
check "the same map twice" same
clean() { ! compgen -G "$dir/*.new" > /dev/null; }
check "no partial file is left" clean
# A cell of the map is the advice for it.
agrees() {
    small --skews 2 --samples 9 -o "$dir/c.h5" > /dev/null &&
        ./moegps advise --model mixtral-8x7b --cluster a100-paper --gpus 4 \
            --skew 2 --samples 9 --json "$dir/c.json" > /dev/null &&
        "$PYTHON" -c '
import json, sys, h5py
cell = h5py.File(sys.argv[1])["map/layer_time"][0, 1, 0, 0, 0, 0]
said = json.load(open(sys.argv[2]))["strategies"]
for s, name in enumerate(("baseline", "distribution-only", "token-to-expert", "oracle")):
    assert abs(cell[s] / said[name]["typical"]["layer_s"] - 1) < 1e-9, name' \
            "$dir/c.h5" "$dir/c.json"
}
check "a cell is the advice for it" agrees
# Of a trace: the same batches, in the same order, as advice and a run have them.
trace_agrees() { # ORDER
    ./moegps trace synth --kind load --model mixtral-8x7b --layers 32 --experts 8 --top-k 2 --seqs 40 \
        --tokens 4096 --drift 0.2 --sigma 0.6 --seed 3 --split tail=0.6 -o "$dir/drift.h5" --force > /dev/null &&
        set -- --gpus 4 --model mixtral-8x7b --trace "$dir/drift.h5" --seq 512 --samples 12 --order "$1" &&
        map --clusters a100-nvlink "$@" --accuracies 0.9 -o "$dir/t.h5" --force > "$dir/out" &&
        ./moegps advise --cluster a100-nvlink "$@" --accuracy 0.9 --no-limits --json "$dir/t.json" --force > /dev/null &&
        "$PYTHON" - "$dir" "${*: -1}" <<'EOF'
import json, sys
import h5py
f = h5py.File(sys.argv[1] + "/t.h5")
assert f.attrs["order"] == sys.argv[2] and f.attrs["load"] == "trace" and f.attrs["seq"] == 0
said = json.load(open(sys.argv[1] + "/t.json"))
assert abs(f["map/skew_value"][0] / said["skew"] - 1) < 1e-9
for c, case in enumerate(("optimistic", "typical", "pessimistic")):
    for s, name in enumerate(("baseline", "distribution-only", "token-to-expert", "oracle")):
        at = f["map/layer_time"][0, c, 0, 0, 0, 0, s]
        assert abs(at / said["strategies"][name][case]["layer_s"] - 1) < 1e-9, (case, name)
print(f["map/layer_time"][0, 1, 0, 0, 0, 0, 0])
EOF
}
in_order() {
    trace_agrees recorded > "$dir/recorded" && out_has "in recorded order" &&
        trace_agrees shuffled > "$dir/shuffled" && out_has "drawn in any order" &&
        not cmp -s "$dir/recorded" "$dir/shuffled"
}
check_if h5py "a map of a trace is the advice for it, in either order" in_order
reads_back() { exits 0 ./moegps report "$dir/t.h5" && out_reads "12 batches of trace $dir/drift.h5, drawn in any order"; }
check "... and reads back" reads_back
no_cases() {
    exits 0 ./moegps report "$dir/t.h5" && out_has "no error cases" &&
        not finds "optimistic|pessimistic" -E < "$dir/out" && is "$(grep -c '^a100-nvlink  as they came ' "$dir/out")" 1
}
check "... without error cases, which are of what is described" no_cases
check "... whose load is its own" refused 2 "a trace has its own" map --model mixtral-8x7b --clusters a100-nvlink \
    --trace mixtral-8x7b-mmlu --skews 2
check "... as order is" refused 2 "order goes with --trace" small --order recorded

# Several clusters: each is as if it were alone, and its links are its own.
clusters() {
    map --model mixtral-8x7b --clusters l40s-pcie,a100-paper --skews 1,2 -o "$dir/two.h5" \
        > "$dir/out" && small -o "$dir/one.h5" > /dev/null &&
        grep -q "^l40s-pcie  *[BDT]" "$dir/out" && "$PYTHON" -c '
import sys, h5py, numpy
two, one = (h5py.File(f)["map"] for f in sys.argv[1:])
assert [c.decode() for c in two["cluster"][:]] == ["l40s-pcie", "a100-paper"]
assert [c.decode() for c in two["cost"][:]] == ["silicon", "analytic"]
assert (two["bandwidth_value"][:, 0] == [32e9, 300e9]).all()
assert numpy.allclose(two["layer_time"][1], one["layer_time"][0], rtol=1e-12)
assert not numpy.allclose(two["layer_time"][0], one["layer_time"][0])' \
        "$dir/two.h5" "$dir/one.h5"
}
check "clusters side by side are as each alone" clusters
# Measured links: the cluster own bandwidth changes nothing, others do.
links() {
    map --model mixtral-8x7b --clusters a100-nvlink --skews 1,2 --bandwidths 30e9,300e9 \
        -o "$dir/links.h5" > /dev/null &&
        map --model mixtral-8x7b --clusters a100-nvlink --skews 1,2 -o "$dir/own.h5" \
            > /dev/null && "$PYTHON" -c '
import sys, h5py, numpy
links, own = (h5py.File(f)["map/layer_time"][:] for f in sys.argv[1:])
assert numpy.allclose(links[..., 1, :], own[..., 0, :], rtol=1e-12)
assert (links[..., 0, :] > 1.01 * own[..., 0, :]).all()' "$dir/links.h5" "$dir/own.h5"
}
check "measured links scale" links
check "a map of each cluster" says "by skewness, on l40s-pcie" map --model mixtral-8x7b \
    --clusters a100-paper,l40s-pcie --skews 1,2 --bandwidths 1e10,1e11

check "an existing file is not overwritten" refused 2 "exists (--force" \
    small -o "$dir/m.h5"
check "an unknown preset is refused" refused 2 "preset: 'figure-7' is not one of" \
    map --preset figure-7
check "no model is refused" refused 2 "are needed" map --cluster a100-paper
check "an unknown model is refused" refused 2 "no 'mixtrol'" \
    map --model mixtrol --cluster a100-paper
check "an unknown cluster is refused" refused 2 "no 'z100'" \
    map --model mixtral-8x7b --clusters a100-paper,z100
check "an empty cluster is refused" refused 2 "clusters: 'a100-paper,' is not" \
    map --model mixtral-8x7b --clusters a100-paper,
check "a cluster twice is refused" refused 2 "'a100-paper' is there twice" \
    map --model mixtral-8x7b --clusters a100-paper,l40s-pcie,a100-paper
sed 's/^stack:.*/stack: none-1/' jobs/clusters/l40s-pcie.yaml > "$dir/stackless.yaml"
check "which cluster has no prices is said" refused 2 "stackless" \
    map --model mixtral-8x7b --clusters "a100-paper,$dir/stackless.yaml"
check "skew below 1 is refused" refused 2 "skews: '0.5,1' is not a list" small --skews 0.5,1
check "skew above what experts allow is refused" refused 2 "skew: 5 is not in 1..4" \
    small --skews 1:5:1
check "a range without a step is refused" refused 2 "skews: '" small --skews 1:2
check "a range that goes nowhere is refused" refused 2 "' is not a list" \
    small --skews 1:2:0
check "text in a list is refused" refused 2 "fast' is not a list" \
    small --bandwidths 1e9,fast
check "a negative error is refused" refused 2 "error: '-1' is not a number in 0..2" small --error=-1
check "--as-paper takes no value" refused 2 "as-paper" small --as-paper=1
check "too many clusters are refused" refused 2 "clusters: more than 16" map \
    --model mixtral-8x7b --clusters "$(for i in $(seq 17); do
        sed '/^name:/d' jobs/clusters/l40s-pcie.yaml > "$dir/c$i.yaml"; printf '%s,' "$dir/c$i.yaml"
    done | sed 's/,$//')"
check "a misspelt number of links is refused" refused 2 "bandwidths: '1' is not a list" \
    small --bandwidths 1
check "no GPUs are refused" refused 2 "gpus: '0' is not an integer" small --gpus 0
check "an unknown case is refused" refused 2 "case: 'usual'" small --case usual
check "a map of a deployment" says "phase decode, kv_len 2000, attention data, kernel deepep-ll" ./moegps map --model deepseek-v3 \
    --clusters h100-nvlink --gpus 16 --skews 1,4 --batches 512 --phase decode --kv-len 2000 \
    --attention data --kernel deepep-ll --samples 1 --error 0.018 --accuracies 0.9
check "measured exchanges have their own links" refused 2 \
    "--bandwidths: kernel deepep-ll was measured on its own links" ./moegps map --model deepseek-v3 \
    --clusters h100-nvlink --gpus 16 --bandwidths 1e11 --kernel deepep-ll --error 0.018 --accuracies 0.9
finish
