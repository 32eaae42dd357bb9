#!/usr/bin/env bash
# `moegps report` on maps: the terminal, the page, its figures, maps among runs,
# hostile and damaged files. Speaks TAP.
. "$(dirname "$0")/report.bash"
map() { ./moegps map "$@"; }

make_maps() {
    map --preset paper-mixtral -o "$dir/m.h5" > "$dir/m.txt" &&
        map --preset paper-mixtral --clusters a100-paper,l40s-pcie \
            --batches 1,4 --accuracies 0.7,0.95 -o "$dir/grid.h5" \
            > "$dir/grid.txt" &&
        map --model mixtral-8x7b --clusters a100-paper,l40s-pcie --as-paper \
            --skews 1:4:0.25 -o "$dir/own.h5" > "$dir/own.txt" &&
        map --preset paper-mixtral --skews 2 -o "$dir/lone.h5" \
            > "$dir/lone.txt"
}

# A map is printed alike by who makes it and who reads it, but for its file.
terminal() {
    local f
    for f in m grid own lone; do
        kept report "$dir/$f.h5" &&
            diff <(sed '/^file /d' "$dir/$f.txt") <(sed '/^file /d' "$dir/out") &&
            grep -q "^clock       modelled: nothing of it was measured$" "$dir/out" &&
            [ "$(tail -n 1 "$dir/out")" = "RESULT: VALID" ] || return 1
    done
    ! grep -v "^[-a-zGB0-9 ]*  [BDT0-9]\|^---" "$dir/out" | finds '.\{101\}'
}

shares() {
    kept report "$dir/grid.h5" && "$PYTHON" - "$dir/grid.h5" "$dir/out" <<'PY'
import sys
import h5py
f = h5py.File(sys.argv[1])["map"]
said = dict(l[4:].rsplit(" = ", 1) for l in open(sys.argv[2]) if l.startswith("FOM "))
assert len(said) == 6, said
for c, cluster in enumerate(f["cluster"][:]):
    for s, name in enumerate(("baseline", "distribution-only", "token-to-expert")):
        share = (f["winner"][c, 1] == s).mean()
        value, unit = said[f"map_share_{name} {cluster.decode()}"].split()
        assert abs(float(value) - share) < 1e-8 and unit == "1", (name, value)
PY
}

# Flips against numpy: times go straight with the reciprocal of bandwidth.
flips() {
    kept report "$dir/m.h5" && "$PYTHON" - "$dir/m.h5" "$dir/out" <<'PY'
import re
import sys
import h5py
import numpy as np
f = h5py.File(sys.argv[1])["map"]
t = f["layer_time"][0, 1, 0, 0, :, :, :3]
bandwidth = f["bandwidth_value"][0] / 1e9
order = np.argsort(bandwidth)
text = " ".join(open(sys.argv[2]).read().split())
text = text[text.index("Where the verdict flips"):]
found = re.findall(r"at skewness ([0-9.]+) token-to-expert below ([0-9.]+) GB/s,"
                   r" distribution-only above", text)
assert len(found) >= 2, text
fine = np.geomspace(16, 300, 100001)
for skew, at in found:
    k = list(f["skew_value"][:]).index(float(skew))
    d, e = (np.interp(-1 / fine, -1 / bandwidth[order], t[k, order, s]) for s in (1, 2))
    true = fine[np.argmax(d < e)]
    assert abs(float(at) / true - 1) < 6e-3, (skew, at, true)
PY
}

page_of_a_map() {
    kept report "$dir/m.h5" -o "$dir/m" && drawn "$dir/m" map &&
        cmp "$dir/m/maps.csv" <(./moegps report --csv - "$dir/m.h5") &&
        cmp "$dir/m/report.json" <(./moegps report --json - "$dir/m.h5") &&
        [ ! -e "$dir/m/report.csv" ] && page "$dir/m/report.html" '
assert page.text["h1"] == ["Map of mixtral-8x7b on 4 GPUs"], page.text["h1"]
assert page.text["title"][0] == "moe-gps: Map of mixtral-8x7b on 4 GPUs"
assert page.text["span"][0] == "VALID"
assert any("token-to-expert below" in t for t in page.text["p"])
assert any("Everything here is modelled" in t for t in page.text["li"])
assert any(t.startswith("moegps map --preset paper-mixtral") for t in page.text["pre"])
assert [a["id"] for t, a in page.tags if t == "figure"] == ["map"]
words = " ".join(page.text["figcaption"] + page.text["details"])
assert "modelled" in words and "interpolated" in words and "below" in words
cells = [t for t in page.text["td"] if t.split()[0] in "BDT" and len(t.split()) == 2]
assert len(cells) == 28, cells
assert "measured;" not in " ".join(page.text["p"])
for tag, attrs in page.tags:
    if tag == "svg":
        assert attrs["role"] == "img"
        assert "map-title" in page.ids and "map-desc" in page.ids
        assert "currentColor" in page.raw and "var(--page)" in page.raw'
}

# Every cell in the file is in the figure, and is covered by its colour alone.
figure_has_the_numbers() {
    "$PYTHON" - "$dir/m.h5" "$dir/m" <<'PY'
import csv
import json
import re
import sys
import h5py
import numpy as np
f = h5py.File(sys.argv[1])["map"]
names = [s.decode() for s in f["strategy"][:]]
rows = list(csv.DictReader(open(sys.argv[2] + "/figures/map.csv")))
skews, links = f["skew_value"][:], f["bandwidth_value"][0]
assert len(rows) == skews.size * links.size
text = open(sys.argv[2] + "/figures/map.gp").read()
boxes = [list(map(float, line.split(",")))
         for line in text.split("$boxes << EOD\n")[1].split("EOD\n")[0].split()]
for r in rows:
    k, b = list(skews).index(float(r["skew"])), list(links).index(float(r["bandwidth"]))
    at = (0, 1, 0, 0, k, b)
    assert r["winner"] == names[f["winner"][at]], r
    assert np.isclose(float(r["margin"]), f["margin"][at], rtol=1e-8), r
    for s, name in enumerate(names):
        assert np.isclose(float(r[name + "_s"]), f["layer_time"][at][s], rtol=1e-8)
    over = [x for x in boxes if x[1] < float(r["skew"]) < x[2] and
            x[3] < float(r["bandwidth"]) < x[4]]
    assert len(over) == 1, over
    shade = np.searchsorted([0.01, 0.05, 0.2], f["margin"][at], side="right")
    assert over[0][0] == f["winner"][at] * 4 + shade, (r, over)
if True:  # the line keeps winners apart: no straight way crosses none of it
    text = text[text.index("$flips << EOD\n"):].split("EOD\n")[1]
    pieces = [[tuple(map(float, p.split(","))) for p in x.split("\n")]
              for x in text.strip().split("\n\n")]
    assert len(pieces) > 10
    order = np.argsort(links)
    for k, skew in enumerate(skews):
        for a, b in zip(order, order[1:]):
            if f["winner"][0, 1, 0, 0, k, a] == f["winner"][0, 1, 0, 0, k, b]:
                continue
            # Colours turn there, too, by a fifth of a cell at most.
            column = sorted(b[3:] + [b[0] // 4] for b in boxes if b[1] < skew < b[2])
            turns = [y[0] for x, y in zip(column, column[1:]) if x[2] != y[2]]
            cell = np.log(links[b] / links[a]) / 5
            assert any(abs(np.log(t / y)) <= cell for t in turns for p, q in pieces
                       for (x, y) in (p, q) if abs(x - skew) < 1e-6), (skew, turns)
            assert any(min(p[0], q[0]) - 1e-6 <= skew <= max(p[0], q[0]) + 1e-6
                       and links[a] <= p[1] <= links[b] for p, q in pieces), skew
rows = list(csv.DictReader(open(sys.argv[2] + "/maps.csv")))
assert len(rows) == f["winner"].size
assert [names.index(r["winner"]) for r in rows] == list(f["winner"][:].ravel())
got = json.load(open(sys.argv[2] + "/report.json"))
assert got["schema_version"] == "1.2.0" and got["runs"] == [] and len(got["maps"]) == 1
m = got["maps"][0]
assert m["clock"] == "modelled" and m["result"] == "VALID" and m["as_paper"] is True
assert m["winner"] == list(f["winner"][:].ravel())
assert np.allclose(m["layer_time_s"], f["layer_time"][:].ravel(), rtol=1e-11)
PY
}

# Six figures and eight tables of eight slices; what is left out is said.
many_slices() {
    kept report "$dir/grid.h5" -o "$dir/grid" &&
        drawn "$dir/grid" map_{1,2,3,4}_a100_paper map_{5,6}_l40s_pcie &&
        page "$dir/grid/report.html" '
assert sum(t == "figure" for t, a in page.tags) == 6
assert sum(t.startswith("Winner, and its margin") for t in page.text["h3"]) == 8
assert any("Figures: 6 of 8." in t for t in page.text["p"]), page.text["p"]
assert any("on l40s-pcie, batch 1, accuracy 0.95" in t for t in page.text["h3"])'
}

own_links() {
    kept report "$dir/own.h5" -o "$dir/own" && drawn "$dir/own" map &&
        page "$dir/own/report.html" '
assert any("On a100-paper baseline below" in t for t in page.text["p"])
assert any("own" in t for t in page.text["td"])'
}

one_skew() {
    kept report "$dir/lone.h5" -o "$dir/lone" && drawn "$dir/lone" map
}

make_run() {
    cat > "$dir/x.yaml" <<'EOF2'
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 1, seq: 64, layers: "0", iterations: 6, warmup: 1, seed: 3}
emulation: {ffn: none, scale: 128}
strategies:
  - {name: baseline, predictor: none, planner: static}
  - {name: distribution, predictor: distribution, planner: duplicate, slots: 6}
EOF2
    ranks 2 ./moegps run "$dir/x.yaml" -o "$dir/a.h5"
}

# Maps lie among runs: runs first, each with its own section.
maps_among_runs() {
    kept report "$dir/m.h5" "$dir/a.h5" "$dir/own.h5" -o "$dir/all" &&
        [ "$(grep -c '^RESULT: VALID$' "$dir/out")" -eq 3 ] &&
        [ -s "$dir/all/report.csv" ] && [ -s "$dir/all/maps.csv" ] &&
        cmp "$dir/all/report.csv" <(./moegps report --csv - "$dir/a.h5") &&
        page "$dir/all/report.html" '
assert page.text["h1"] == ["1 run of mixtral-8x7b and 2 maps"], page.text["h1"]
assert page.count("section") == 3
names = [a["id"] for t, a in page.tags if t == "figure"]
assert names[-2:] == ["map1", "map2"] and "speedup" in names, names' &&
        ./moegps report --json - "$dir/m.h5" "$dir/a.h5" "$dir/own.h5" |
        "$PYTHON" -c '
import json, sys
x = json.load(sys.stdin)
assert len(x["runs"]) == 1 and len(x["maps"]) == 2
assert x["maps"][1]["own_links"] is True'
}

runs_alone_are_as_before() {
    kept report --json - "$dir/a.h5" && ! grep -q '"maps"' "$dir/out" &&
        kept report "$dir/a.h5" -o "$dir/run" && [ ! -e "$dir/run/maps.csv" ]
}

without_gnuplot() {
    mkdir "$dir/bin" &&
        PATH=$dir/bin ./moegps report "$dir/m.h5" -o "$dir/plain" &&
        page "$dir/plain/report.html" '
assert page.count("svg") == 0 and page.count("figure") == 1
assert any("gnuplot was not found. Install it" in t for t in page.text["p"])
assert any("token-to-expert below" in t for t in page.text["figcaption"])' &&
        (have_gnuplot || return 0; cd "$dir/plain/figures" &&
            gnuplot map.gp && cmp map.svg "$dir/m/figures/map.svg")
}

hostile_texts() {
    "$PYTHON" - "$dir/grid.h5" "$dir/own.h5" "$dir" <<'PY'
import shutil
import sys
import h5py
evil = "<script>alert(\"1\")</script>' x=\"`touch owned`"
for source, name in zip(sys.argv[1:3], ("hostile", "hostile2")):
    path = f"{sys.argv[3]}/{name}.h5"
    shutil.copy(source, path)
    with h5py.File(path, "r+") as f:
        for key in ("model", "version", "command_line"):
            f.attrs[key] = evil
        f["map/cluster"][0] = "../../'; system('touch owned'); \xe9\u20ac \n RESULT: X"
        f["map/cluster"][1] = evil
        f["map/cost"][0] = evil
PY
    kept report "$dir/hostile.h5" -o "$dir/hostile" &&
        [ "$(grep -c '^RESULT' "$dir/out")" -eq 1 ] &&
        drawn "$dir/hostile" map_{1,2,3,4}__________system__touch_o \
            map_{5,6}__script_alert__1____scri &&
        page "$dir/hostile/report.html" '
evil = "<script>alert(\"1\")</script>"
for tag in ("title", "h1", "h3", "th", "td", "pre"):
    assert any(evil in t for t in page.text[tag]), tag' &&
        kept report "$dir/hostile2.h5" -o "$dir/hostile2" && drawn "$dir/hostile2" map &&
        page "$dir/hostile2/report.html" '' &&
        [ -z "$(find "$dir" -name owned)" ] && [ ! -e owned ]
}

# damaged WORDS PYTHON: a changed map is refused.
damaged() {
    cp "$dir/m.h5" "$dir/d.h5" && "$PYTHON" -c "import sys, h5py
with h5py.File(sys.argv[1], 'r+') as f:
    $2" "$dir/d.h5" && refused 2 "$1" report "$dir/d.h5" && refused 2 "$1" report "$dir/d.h5" \
        -o "$dir/never" && [ ! -e "$dir/never" ]
}

cut() {
    head -c 5000 "$dir/m.h5" > "$dir/cut.h5" && refused 2 "cut.h5" report "$dir/cut.h5"
}

check "maps are made" make_maps
check "a map is printed alike by map and report" terminal
check "shares are those of the file" shares
check "flips are where layer times meet" flips
check "the page of a map is whole" page_of_a_map
check "the figure has the numbers of the file" figure_has_the_numbers
check "figures of many slices are limited" many_slices
check "clusters at their own links are rows" own_links
check "a single skewness is a map, too" one_skew
check "a run is made" make_run
check "maps lie among runs" maps_among_runs
check "runs alone are as before" runs_alone_are_as_before
check "without gnuplot all else is there" without_gnuplot
check "texts from files are shown, not run" hostile_texts
check "--layers is of runs" refused 2 "is a map; --layers" report "$dir/m.h5" --layers
check "--ranks is of runs" refused 2 "is a map; --layers" report "$dir/a.h5" "$dir/m.h5" --ranks
check "one CSV is not of both" refused 2 "other columns" report "$dir/a.h5" "$dir/m.h5" \
    --csv "$dir/both.csv"
check "... and none is left" test ! -e "$dir/both.csv"
check "a newer map is refused" damaged "has schema 3.1.0" \
    'f.attrs["schema_version"] = "3.1.0"'
check "a winner out of range is refused" damaged "winner 7" \
    'f["map/winner"][0, 0, 0, 0, 0, 0] = 7'
check "a time that is no number is refused" damaged "is nan" \
    'f["map/layer_time"][0, 0, 0, 0, 0, 0, 0] = float("nan")'
check "a map without margins is refused" damaged "'margin'" 'del f["map/margin"]'
check "a map that was cut is refused" cut
check "compare refuses a map" refused 2 "moe-gps-map" ./moegps compare "$dir/a.h5" "$dir/m.h5"
check "merge refuses a map" refused 2 "moe-gps-map" ./moegps merge "$dir/a.h5" "$dir/m.h5" \
    -o "$dir/s.h5"
finish
