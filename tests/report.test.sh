#!/usr/bin/env bash
# `moegps report -o`: the folder, its page as browsers parse it, hostile texts.
# Prints TAP.
. "$(dirname "$0")/tap.bash"

cat > "$dir/x.yaml" <<'EOF2'
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 2, seq: 128, layers: "0,7", iterations: 8, warmup: 1, seed: 3}
emulation: {ffn: none, scale: 128}
strategies:
  - {name: baseline, predictor: none, planner: static}
  - {name: distribution, predictor: distribution, planner: duplicate, slots: 6}
  - {name: half, predictor: oracle, accuracy: 0.5, planner: duplicate, slots: 6}
  - {name: most, predictor: oracle, accuracy: 0.8, planner: duplicate, slots: 6}
  - {name: oracle, predictor: oracle, planner: duplicate, slots: 6}
EOF2

# run RANKS FILE
run() {
    timeout 60 "$MPIRUN" -n "$1" ./moegps run "$dir/x.yaml" -o "$dir/$2"
}

# report ARGUMENTS...: exit code kept
report() {
    timeout 60 ./moegps report "$@" > "$dir/out" 2> "$dir/err"
}

# page FILE ASSERTIONS: on what page.py read
page() {
    { cat tests/page.py && echo "$2"; } > "$dir/this.py"
    "$PYTHON" "$dir/this.py" "$1"
}

folder_is_made() {
    (umask 027 && report "$dir/a.h5" -o "$dir/new") &&
        [ "$(stat -c %a "$dir/new")" = 750 ] &&
        [ -s "$dir/new/report.html" ] &&
        cmp "$dir/new/report.json" <(./moegps report --json - "$dir/a.h5") &&
        cmp "$dir/new/report.csv" <(./moegps report --csv - "$dir/a.h5") &&
        [ "$(tail -n 1 "$dir/out")" = "RESULT: VALID" ]
}

page_is_whole() {
    page "$dir/new/report.html" '
text = " ".join(page.text["p"] + page.text["span"])
assert " times as fast as " in text and "95 % interval" in text, text
assert page.text["span"][0] == "VALID"
items = " ".join(page.text["li"])
assert "ranks shared cores" in items and "were not bound" in items, items
assert any("predictor: distribution" in t for t in page.text["pre"])
assert any(t.startswith("mpirun -n 4 ") for t in page.text["pre"])
assert "prefers-color-scheme:dark" in page.raw
assert "default-src &" in page.raw or "default-src " in page.raw'
}

full_folder_is_refused() {
    mkdir "$dir/full" && echo precious > "$dir/full/report.html" || return 1
    echo mine > "$dir/full/note"
    report "$dir/a.h5" -o "$dir/full"
    [ $? -eq 2 ] && [ "$(wc -l < "$dir/err")" -eq 1 ] &&
        grep -q 'full: is not empty (--force' "$dir/err" &&
        grep -qx precious "$dir/full/report.html" && [ ! -s "$dir/out" ] &&
        report --force "$dir/a.h5" -o "$dir/full/" &&
        grep -q ' is .*/full/report.html$' "$dir/err" &&
        grep -q '<main>' "$dir/full/report.html" &&
        grep -qx mine "$dir/full/note" && [ "$(echo "$dir"/full?*)" = "$dir/full?*" ]
}

empty_folder_is_filled() {
    mkdir "$dir/empty" && report "$dir/a.h5" -o "$dir/empty" &&
        [ -s "$dir/empty/report.html" ]
}

# refused CODE WORDS ARGUMENTS...
refused() {
    local code=$1 words=$2 rc=0
    shift 2
    report "$@" || rc=$?
    [ "$rc" -eq "$code" ] && [ "$(wc -l < "$dir/err")" -eq 1 ] &&
        grep -q "$words" "$dir/err"
}

# Figures of a single run of x.yaml.
figures="speedup phases ecdf accuracy experts regret stages gpus stragglers traffic guide"

have_gnuplot() { command -v gnuplot > /dev/null; }

# every_figure FOLDER: files, and on the page with words for every reader.
every_figure() {
    local f
    for f in $figures; do
        [ -s "$1/figures/$f.csv" ] && [ -s "$1/figures/$f.gp" ] ||
            { echo "$f: no data or script"; return 1; }
        have_gnuplot || continue
        grep -q '</svg>' "$1/figures/$f.svg" &&
            head -c 5 "$1/figures/$f.pdf" | grep -q '^%PDF-' ||
            { echo "$f: not drawn"; return 1; }
    done
    [ "$(find "$1/figures" -name '*.csv' | wc -l)" -eq "$(wc -w <<< "$figures")" ] &&
        page "$1/report.html" "
names = '$figures'.split()
assert [a['id'] for t, a in page.tags if t == 'figure'] == names
assert page.count('figcaption') == len(names)
drawn = [a for t, a in page.tags if t == 'svg']
if $(have_gnuplot && echo 1 || echo 0):
    assert len(drawn) == len(names), len(drawn)
    assert not any('gnuplot' in t for t in page.text['p'])
for a, name in zip(drawn, names):
    assert a['role'] == 'img', a
    assert a['aria-labelledby'] == name + '-title ' + name + '-desc', a
    assert name + '-title' in page.ids and name + '-desc' in page.ids
told = [t for t in page.text['figcaption'] if t.strip()]
told += page.text.get('desc', [])
assert len(told) >= len(names), told
for words in told: # those of many words are folded
    assert 'nan' not in words, words
    assert words.rstrip().endswith(('.', '..')), words
if drawn:
    assert all(len(t) > 40 for t in page.text['desc']), page.text['desc']"
}

# The numbers of figures are those of the file.
figures_have_the_numbers() {
    "$PYTHON" - "$dir/a.h5" "$dir/new/figures" <<'PY'
import csv
import sys
import h5py
import numpy as np


def rows(name):
    return list(csv.DictReader(open(f"{sys.argv[2]}/{name}.csv")))


def close(a, b, rtol=1e-8):
    assert np.allclose(a, b, rtol=rtol, atol=0, equal_nan=True), (a, b)


with h5py.File(sys.argv[1]) as f:
    summary = f["summary"]
    gpu = [m.decode() for m in summary["metric"]].index("layer_time_gpu")
    names = [s.decode() for s in summary["strategy"]]
    close([float(r["speedup"]) for r in rows("speedup")],
          summary["ratio"][:, gpu])
    close([float(r["ci_low"]) for r in rows("speedup")],
          summary["ratio_ci_low"][:, gpu])

    exposed = f["timing/exposed"][:]
    phase = np.nan_to_num(np.median(exposed.max(4).mean(2), axis=1))
    for r in rows("phases"):
        if r["phase"] != "hidden":
            close(float(r["to_s"]) - float(r["from_s"]),
                  phase[int(r["row"]), int(r["phase_number"])], rtol=1e-5)
    shown = {(r["row"], r["phase_number"]) for r in rows("phases")}
    assert len([s for s in shown if s[1] != "10"]) == (phase > 0).sum()

    layer = f["timing/layer_time_gpu"][:].mean(2)
    for s, name in enumerate(names):
        got = [r for r in rows("ecdf") if r["strategy"] == name]
        close([float(r["time_s"]) for r in got], np.sort(layer[s]))
        assert float(got[-1]["share"]) == 1

    true = f["load/true_pairs"][:].astype(float)
    at = (true.max(2) / true.sum(2)).mean(0).argmax()
    share = (true / true.sum(2, keepdims=True)).mean(0)[at]
    got = rows("experts")
    close([float(r["true"]) for r in got], -np.sort(-share))
    order = [int(r["expert"]) for r in got]
    close(share[order], -np.sort(-share))
    guess = f["load/predicted_pairs"][names.index("half")]
    guess = (guess / guess.sum(2, keepdims=True)).mean(0)[at]
    close([float(r["half"]) for r in got], guess[order])
    assert all(r["baseline"] == "" for r in got)

    pairs = f["load/rank_pairs"][:].astype(float)
    pairs /= pairs.mean(3, keepdims=True)
    load = -np.sort(-pairs, axis=3).mean((1, 2))
    for s, name in enumerate(names):
        close([float(r[name]) for r in rows("gpus")],
              -np.sort(-pairs[s], axis=2).mean((0, 1)))
    home = true.reshape(*true.shape[:2], 4, -1).sum(3)
    home = -np.sort(-home / home.mean(2, keepdims=True), axis=2).mean((0, 1))
    close([float(r["home"]) for r in rows("gpus")], home)
    close([float(r["baseline"]) for r in rows("gpus")], home)

    metrics = [m.decode() for m in summary["metric"]]
    for s, name in enumerate(names):
        got = [r for r in rows("regret") if int(r["row"]) == s]
        total = sum(float(r["to"]) - float(r["from"]) for r in got)
        close(1 + total, summary["mean"][s, metrics.index("imbalance")], 1e-6)
        for r in got:
            column = "bound" if r["stage"] == "bound" else "regret_" + r["stage"]
            close(float(r["to"]) - float(r["from"]) + (r["stage"] == "bound"),
                  summary["mean"][s, metrics.index(column)], 1e-4)
    assert len(rows("regret")) > len(names)

    times = summary["median"][:, gpu]
    built = [s for s, n in enumerate(names) if n in ("baseline", "distribution")]
    best = min(built, key=lambda s: times[s])
    busy = np.nansum(exposed[best], axis=2).mean(1)
    busy /= busy.mean(1, keepdims=True)
    for r in rows("stragglers"):
        close(float(r["time_over_mean"]),
              busy[int(r["iteration"]), int(r["rank"])])
    assert len(rows("stragglers")) == busy.size

    sent = f["traffic/dispatch_bytes"][best] / layer.shape[1] / true.shape[1]
    for r in rows("traffic"):
        close(float(r["bytes_per_layer"]),
              sent[int(r["source"]), int(r["destination"])])

    recall = summary["median"][:, [m.decode() for m in
                                   summary["metric"]].index("recall")]
    got = rows("accuracy")
    assert [r["strategy"] for r in got] == ["half", "most", "oracle"], got
    close([float(r["recall"]) for r in got], recall[2:])
    close([float(r["time_s"]) for r in got], times[2:])
PY
}

# The example draws the same from the file alone.
analysis_agrees() {
    "$PYTHON" results/analyse.py "$dir/a.h5" "$dir/a.pdf" > "$dir/table" &&
        head -c 5 "$dir/a.pdf" | grep -q '^%PDF-' &&
        "$PYTHON" - "$dir/table" "$dir/new/figures/phases.csv" <<'PY'
import csv
import sys

head, _, *lines = open(sys.argv[1]).read().splitlines()
names = head.split()[1:]
shown = 0
for row in csv.DictReader(open(sys.argv[2])):
    if row["phase"] == "hidden":
        continue
    cells = dict(zip(names, lines[int(row["row"])].split()[1:]))
    time_ms = 1e3 * (float(row["to_s"]) - float(row["from_s"]))
    assert abs(float(cells[row["phase"]]) - time_ms) < 1e-4, row
    shown += 1
assert shown > 10, shown
PY
}

figures_are_there() {
    every_figure "$dir/new"
}

# A machine without gnuplot: all else is there, and a note.
without_gnuplot() {
    mkdir "$dir/bin"
    PATH=$dir/bin "$(command -v timeout)" 60 ./moegps report "$dir/a.h5" \
        -o "$dir/plain" > "$dir/out" 2> "$dir/err" &&
        ! ls "$dir"/plain/figures/*.svg 2> /dev/null &&
        page "$dir/plain/report.html" '
assert page.count("svg") == 0 and page.count("figure") == 11
assert any("gnuplot was not found. Install it" in t for t in page.text["p"])' &&
        (have_gnuplot || return 0; cd "$dir/plain/figures" &&
            gnuplot phases.gp && cmp phases.svg "$dir/new/figures/phases.svg")
}

# A gnuplot that fails: a warning per figure says why, the page how many.
failing_gnuplot() {
    printf '#!/bin/sh\ncase $2 in --version) exit ;; esac\n%s\n' \
        "printf 'plot\n     ^\n\"%s\" line 1: nothing to draw\n\n' \$2 >&2; exit 1" \
        > "$dir/bin/gnuplot"
    chmod +x "$dir/bin/gnuplot"
    PATH=$dir/bin:$PATH report "$dir/a.h5" -o "$dir/failed" &&
        [ "$(grep -c '^moegps: warning: figure ' "$dir/err")" -eq 11 ] &&
        grep -qxF 'moegps: warning: figure ecdf is not drawn whole: "ecdf.gp" line 1: nothing to draw' \
            "$dir/err" &&
        page "$dir/failed/report.html" '
assert any("could not draw 11 of 11 figures" in t for t in page.text["p"])'
}

# Names that are syntax elsewhere stand in every figure as they are.
names_are_shown_as_they_are() {
    "$PYTHON" - "$dir/a.h5" "$dir/named.h5" <<'PY' &&
import shutil
import sys
import h5py

shutil.copy(sys.argv[1], sys.argv[2])
names = ["acc 90%", "a_b^c {x}", "'@m' `x` \\n", "%s <&> größe", "\"x\", =1"]
with h5py.File(sys.argv[2], "r+") as f:
    for group in ("timing", "load", "prediction", "plan", "traffic"):
        for s, name in enumerate(names):
            f[group]["strategy"][s] = name
PY
        report "$dir/named.h5" -o "$dir/named" &&
        ! grep -q warning "$dir/err" &&
        "$PYTHON" - "$dir/named/figures" "$(have_gnuplot && echo drawn)" <<'PY'
import csv
import sys
from xml.etree import ElementTree

names = ["acc 90%", "a_b^c {x}", "'@m' `x` \\n", "%s <&> größe", "\"x\", =1"]
for figure in ("speedup", "phases", "ecdf", "regret", "gpus"):
    rows = list(csv.reader(open(f"{sys.argv[1]}/{figure}.csv")))
    assert len({len(r) for r in rows}) == 1, figure
    found = {x.replace("'", '"') for r in rows for x in r}
    assert all(n.replace("'", '"') in found for n in names), found
    if not sys.argv[2]:
        continue
    svg = ElementTree.parse(f"{sys.argv[1]}/{figure}.svg")
    shown = {t.text for t in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert all(n in shown for n in names), (figure, shown)
PY
}

# A copy whose texts would take over a page that believes them.
make_hostile() {
    "$PYTHON" - "$dir/a.h5" "$dir/hostile.h5" <<'PY'
import shutil
import sys
import h5py

shutil.copy(sys.argv[1], sys.argv[2])
evil = "<script>alert(\"1\")</script>' x=\"`touch owned`"
with h5py.File(sys.argv[2], "r+") as f:
    for key in ("title", "source", "validation_text"):
        f.attrs[key] = evil
    for key in ("model", "cluster", "trace"):
        f["config"].attrs[key] = evil
    for key in ("input", "resolved", "command_line"):
        f["config"][key][()] = evil
    f["provenance"].attrs["compiler"] = evil
    if "log" in f:
        f["log/warning"][0] = evil
    for group in ("timing", "load", "prediction", "plan", "traffic"):
        f[group]["strategy"][1] = evil
        f[group]["strategy"][2] = "'; system('touch owned'); '"
PY
}

hostile_texts_are_shown() {
    make_hostile && report "$dir/hostile.h5" -o "$dir/hostile" &&
        [ ! -e "$dir/hostile/figures/owned" ] && every_figure "$dir/hostile" &&
        page "$dir/hostile/report.html" '
evil = "<script>alert(\"1\")</script>"
for tag in ("title", "h1", "th", "td", "li", "pre"):
    assert any(evil in t for t in page.text[tag]), tag'
}

drill_down_has_the_numbers() {
    report --layers --ranks "$dir/a.h5" && cp "$dir/out" "$dir/drill" &&
        [ "$(tail -n 1 "$dir/drill")" = "RESULT: VALID" ] &&
        "$PYTHON" - "$dir/a.h5" "$dir/drill" <<'PY'
import re
import sys
import h5py
import numpy as np

units = {"us": 1e-6, "ms": 1e-3, "s": 1}
text = open(sys.argv[2]).read()
layers, ranks = text.split("Ranks of ")


def times(line):
    return [float(x) * units[u]
            for x, u in re.findall(r"([0-9.]+) (us|ms|s)\b", line)]


with h5py.File(sys.argv[1]) as f:
    layer = f["timing/layer_time_gpu"][:].mean(1)
    true = f["load/true_pairs"][:]
    skew = (true.max(2) / true.mean(2)).mean(0)
    for l, number in enumerate(f["timing/layer"][:]):
        lines = [x for x in layers.splitlines()
                 if re.match(rf" +{number} +[0-9]\.", x)]
        assert len(lines) == 2, lines  # four strategies beside each other
        got = times(lines[0]) + times(lines[1])
        assert np.allclose(got, layer[:, l], rtol=6e-3), (got, layer[:, l])
        assert abs(float(lines[0].split()[1]) - skew[l]) < 6e-3
    names = [s.decode() for s in f["timing/strategy"]]
    best = names.index(ranks.split(",")[0])
    busy = np.nansum(f["timing/exposed"][best], axis=2).mean((0, 1))
    got = [times(x)[0] for x in ranks.splitlines() if re.match(r" +\d+ ", x)]
    assert np.allclose(got, busy, rtol=6e-3), (got, busy)
PY
}

# A run that was stopped: iterations from 3 on were never measured.
make_short() {
    "$PYTHON" - "$dir/a.h5" "$dir/short.h5" <<'PY'
import shutil
import sys
import h5py

shutil.copy(sys.argv[1], sys.argv[2])
with h5py.File(sys.argv[2], "r+") as f:
    f.attrs["status"] = "interrupted"
    for name, group in f.items():
        for data in group.values():
            dims = [d[0].name if len(d) else "" for d in data.dims]
            at = [i for i, d in enumerate(dims) if d.endswith("/iteration")]
            if at:
                index = tuple(slice(3, None) if i == at[0] else slice(None)
                              for i in range(data.ndim))
                data[index] = data.fillvalue
PY
}

interrupted_is_said() {
    make_short && report "$dir/short.h5" -o "$dir/short" &&
        page "$dir/short/report.html" '
items = " ".join(page.text["li"])
assert "3 of 8 iterations, status interrupted" in items, items
assert "Few samples: 3" in items, items
assert page.text["span"][0] == "INCOMPLETE"
assert any("too few for an interval" in t for t in page.text["p"])
assert "nan" not in " ".join(page.text["td"])'
}

runs_are_side_by_side() {
    report "$dir/a.h5" "$dir/b.h5" -o "$dir/two" &&
        page "$dir/two/report.html" '
assert page.count("section") == 2
names = [a["id"] for t, a in page.tags if t == "figure"]
assert names == ["scaling", "efficiency"] + [
    f"run{r}_{f}" for r in (1, 2)
    for f in ("speedup", "phases", "ecdf", "accuracy", "regret", "stages")], names
assert page.count("svg") in (0, len(names)), page.count("svg")
assert any("Scaling, gpu clock" in t for t in page.text["h3"])'
}

# Of many runs nothing is looked for, and nothing said about it.
many_runs_have_no_outlook() {
    local i
    mkdir "$dir/nine" && for i in 1 2 3 4 5 6 7 8 9; do
        cp "$dir/a.h5" "$dir/nine/$i.h5"
    done
    report "$dir"/nine/*.h5 -o "$dir/nine/page" &&
        ! grep -q "cannot be priced\|would change" "$dir/out" &&
        page "$dir/nine/page/report.html" '
assert page.count("section") == 9
assert "cannot be priced" not in page.raw and "would change" not in page.raw
assert page.text["h2"].count("Why") == 9' &&
        ! grep -q outlook "$dir/nine/page/report.json"
}

# The runs of a sweep are looked for where they were; one is gone.
sweep_is_shown() {
    ./moegps merge "$dir/a.h5" "$dir/b.h5" -o "$dir/sweep.h5" &&
        mv "$dir/b.h5" "$dir/moved.h5" &&
        report "$dir/sweep.h5" -o "$dir/sweep" &&
        page "$dir/sweep/report.html" '
assert page.count("section") == 2
assert any("No such file" in t for t in page.text["li"]), page.text["li"]'
}

# On a terminal of its own, as in one's hands: what is coloured, and when.
terminal_has_colour() {
    "$PYTHON" - "$dir/a.h5" <<'PY'
import os
import pty
import re
import sys


def shown(**settings):
    """What a terminal of these settings gets to see."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.pop("NO_COLOR", None)
        os.environ.update(TERM="xterm", LC_ALL="C.UTF-8")
        os.environ.update(settings)
        os.execv("./moegps", ["moegps", "report", sys.argv[1]])
    text = b""
    try:
        while part := os.read(terminal, 4096):
            text += part
    except OSError:  # its other end is closed
        pass
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return text.decode().replace("\r\n", "\n")


painted = shown()
plain = shown(NO_COLOR="1")
assert "\033" not in plain and "\033" not in shown(TERM="dumb")
assert shown(NO_COLOR="") == painted
assert re.sub("\033\\[[0-9]*m", "", painted) == plain
assert max(map(len, plain.splitlines())) <= 100
assert "\nRESULT: \033[32mVALID\033[0m\n" in painted
assert "\033[33mWARNING: " in painted
assert re.search("\033\\[1m\\w+ (is|looks|leads) ", painted), painted
assert re.search("distribution .*\033\\[3[12]m[0-9.]+\033\\[0m ", painted)
assert "\u2588" in plain and "\u2588" not in shown(LC_ALL="C")
PY
}

piped_text_has_no_escapes() {
    report "$dir/a.h5" && ! grep -q $'\033' "$dir/out" &&
        [ "$(tail -n 1 "$dir/out")" = "RESULT: VALID" ] &&
        grep -Eqx 'FOM layer_time_gpu baseline = [0-9.e-]+ s' "$dir/out" &&
        ! timeout 60 "$MPIRUN" -n 1 env TERM=xterm ./moegps report \
            "$dir/a.h5" | grep -q $'\033'
}

# outlook FILE ASSERTIONS: on the outlook of a file's report, o, and its run, r
outlook() {
    ./moegps report --json - "$1" > "$dir/json" || return 1
    "$PYTHON" - "$dir/json" "$1" "$dir/new/figures/stages.csv" <<PY
import csv
import json
import sys
import h5py
import numpy as np

r = json.load(open(sys.argv[1]))["runs"][0]
o = r["outlook"]
f = h5py.File(sys.argv[2])
time = {s["name"]: s["metrics"]["layer_time_gpu"]["median"]
        for s in r["strategies"]}
mean = {s["name"]: s["metrics"]["layer_time_gpu"]["mean"] for s in r["strategies"]}
$2
PY
}

outlook_agrees() {
    outlook "$dir/a.h5" '
assert o["why_not"] is None and o["clock"] == "modelled"
assert o["fit"] < 1e-12, o["fit"]  # all of the file was priced
built = ("baseline", "distribution")
assert o["winner"] == min(built, key=time.get)
assert abs(o["lead_s"] - (time[o["second"]] - time[o["winner"]])) < 1e-12
assert o["cost_model_error_s"] > 0
for s in o["stages"]:
    t = [s[k] for k in ("actual_s", "minmax_s", "oracle_plan_s", "best_s", "bound_s")]
    assert abs(t[0] / mean[s["strategy"]] - 1) < 1e-12
    assert s["n"] == 8 and s["together_ci_low"] <= s["together"] <= s["together_ci_high"]
    # Less of the busiest GPU is never slower.
    busiest = [f["regret/" + k][...].mean() for k in
               ("actual", "minmax", "oracle_plan", "best", "bound")]
    assert t[1] <= t[0] * (1 + 1e-12) and t[4] <= t[3] * (1 + 1e-12), t
    assert s["placed_s"] <= t[4], s
    # The figure has what each stage adds.
    at = [n for n in time].index(s["strategy"])
    keys = ["actual_s", "minmax_s", "oracle_plan_s", "best_s", "bound_s", "placed_s"]
    won = {n: s[a] - s[b] for n, a, b in zip(
        ("split", "prediction", "planner", "room", "exchange"), keys, keys[1:])}
    for row in csv.DictReader(open(sys.argv[3])):
        if int(row["row"]) == at:
            add = float(row["to_s"]) - float(row["from_s"])
            assert abs(add - won.pop(row["stage"])) < 1e-10, row
    assert all(x == 0 for x in won.values()), won
b = o["break_even"]
assert b["strategy"] is None and b["without"] == o["winner"]
assert (b["recall_needed"] is None) == (
    time["oracle"] >= time[o["winner"]]), (b, time)'
}

# Links beyond which another strategy is said to win: runs on such links agree.
cat > "$dir/z.yaml" <<EOF2
model: gpt-oss-20b
cluster: $dir/links.yaml
trace: gpt-oss-20b-mmlu
workload: {batch: 8, seq: 256, layers: "0,12", iterations: 6, warmup: 1, seed: 3}
emulation: {ffn: none, scale: 64, rebalance_every: 2}
strategies:
  - {name: distribution, predictor: distribution, planner: duplicate, slots: 10}
  - {name: token, predictor: token, planner: duplicate, slots: 10}
EOF2

# on_links BYTES_PER_S FILE: run z.yaml with links of that bandwidth
on_links() {
    sed "s/^link_bandwidth: .*/link_bandwidth: $1/" \
        jobs/clusters/a100-paper.yaml > "$dir/links.yaml" &&
        timeout 60 "$MPIRUN" -n 4 ./moegps run "$dir/z.yaml" --force -o "$dir/$2"
}

turn_is_where_runs_turn() {
    local at
    on_links 300e9 here.h5 && cp "$dir/links.yaml" "$dir/here.yaml" && outlook "$dir/here.h5" '
t = o["bandwidth"]["above" if o["winner"] == "token" else "below"]
assert o["bandwidth"]["here"] == 300e9 and t["at"] is not None, o
assert t["winner"] != o["winner"]
print("at", t["at"])' > "$dir/turn" || { cat "$dir/turn"; return 1; }
    at=$(sed -n 's/^at //p' "$dir/turn")
    on_links "$("$PYTHON" -c "print($at * 0.97)")" low.h5 &&
        on_links "$("$PYTHON" -c "print($at * 1.03)")" high.h5 &&
        outlook "$dir/low.h5" 'assert time["token"] < time["distribution"], time' &&
        outlook "$dir/high.h5" 'assert time["token"] > time["distribution"], time'
}

# Two nodes, all kinds of strategies: the work that was recorded, by numpy.
cat > "$dir/n.yaml" <<EOF2
model: gpt-oss-20b
cluster: $dir/two.yaml
trace: gpt-oss-20b-mmlu
workload: {batch: 8, seq: 256, layers: "0,12", iterations: 6, warmup: 1, seed: 3}
emulation: {ffn: none, scale: 64, rebalance_every: 2, coordination: replicated}
strategies:
  - {name: baseline}
  - {name: distribution, predictor: distribution, planner: duplicate, slots: 10}
  - {name: ahead, predictor: ema, planner: balance, slots: 10, plan_ahead: true}
  - {name: token, predictor: token, planner: duplicate, slots: 10}
  - {name: oracle, predictor: oracle, planner: duplicate, slots: 10}
EOF2
sed '1i name: two
s/^gpus_per_node:.*/gpus_per_node: 2/' jobs/clusters/h100-nvlink.yaml > "$dir/two.yaml"

work_is_what_was_done() {
    timeout 60 "$MPIRUN" -n 4 ./moegps run "$dir/n.yaml" -o "$dir/n.h5" &&
        "$PYTHON" - "$dir/n.h5" "$dir/a.h5" <<'PY'
import sys
import h5py
import numpy as np

with h5py.File(sys.argv[1]) as f:
    names = [s.decode() for s in f["work/strategy"]]
    phase = [s.decode() for s in f["timing/phase"]].index
    pairs = f["work/slot_pairs"][:]  # strategy, iteration, layer, slot, rank
    assert (np.maximum(pairs, 0).sum(3) == f["load/rank_pairs"][:]).all()
    expert = f["plan/slot_expert"][:].swapaxes(3, 4)
    true = f["load/true_pairs"][:]
    for e in range(true.shape[2]):
        got = np.where(expert == e, np.maximum(pairs, 0), 0).sum((3, 4))
        assert (got == true[None, :, :, e]).all(), e

    dispatch, combine, migrate = (f["work/" + n][:] for n in
                                  ("dispatch", "combine", "migrate"))
    direct = np.array([n in ("token", "oracle") for n in names])
    assert (dispatch[~direct] == combine[~direct]).all()
    assert (dispatch[direct] < combine[direct]).all()
    assert (dispatch[names.index("oracle")] == 0).all()
    # The larger of what is sent and received: no less than either in sum, nor
    # more than both.
    sent = f["traffic/dispatch_bytes"][:]
    node = np.arange(4) // 2
    for link, there in ((0, node[:, None] == node), (1, node[:, None] != node)):
        moved = np.where(there & ~np.eye(4, dtype=bool), sent, 0)
        out, into = moved.sum(2), moved.sum(1)
        all_ = dispatch[:, :, :, link].sum((1, 2))
        assert (all_ >= np.maximum(out, into)).all()
        assert (all_ <= out + into).all()
    moved = f["plan/moved_bytes"][:]
    total = migrate.sum((3, 4))
    assert (total >= moved / 4).all() and (total <= 2 * moved).all()
    assert ((total > 0) == (moved > 0)).all() and (moved > 0).any()

    source, gpu = f["timing/price_source"][:], f["timing/gpu"][:]
    priced = np.nan_to_num(gpu) > 0
    priced[:, :, :, phase("plan")] = False
    assert ((source >= 0) == priced).all()
with h5py.File(sys.argv[2]) as f:  # Mixtral's experts are in the tables
    source = f["timing/price_source"][:]
    assert (source[:, :, :, phase("attention")] == 2).all()
    assert (source[:, :, :, phase("route")] == 2).all()
    assert (source[:, :, :, phase("ffn")] <= 1).all()
    assert (source[:, :, :, phase("combine")] <= 1).all()
PY
}

nodes_have_an_outlook() {
    outlook "$dir/n.h5" '
assert o["why_not"] is None and o["fit"] < 1e-12, o
assert o["bandwidth"]["link"] == "network" and o["bandwidth"]["here"] == 50e9
assert o["break_even"]["strategy"] == "token"'
}

# With every price wrong by 10 %, so is what differs.
error_is_of_what_differs() {
    sed 's/^error_\([a-z]*\): .*/error_\1: 0.1/' "$dir/links.yaml" > "$dir/ten.yaml" &&
        timeout 60 "$MPIRUN" -n 4 ./moegps run "$dir/z.yaml" \
            --set cluster="$dir/ten.yaml" --set strategies.token.predictor=window \
            -o "$dir/ten.h5" && outlook "$dir/ten.h5" '
phase = {s["name"]: s["phases_s"]["gpu"] for s in r["strategies"]}
a, b = phase[o["winner"]], phase[o["second"]]
differs = sum(abs(a[p] - b[p]) for p in a if a[p] is not None and p != "plan")
assert abs(o["cost_model_error_s"] / (0.1 * differs) - 1) < 0.05, (o, differs)'
}

# Files of versions without /work, and tables that are not there.
unknown_outlook_is_said() {
    cp "$dir/a.h5" "$dir/old.h5" && "$PYTHON" - "$dir/old.h5" <<'PY' &&
import sys
import h5py

with h5py.File(sys.argv[1], "r+") as f:
    del f["work"], f["timing/price_source"]
    f.attrs["schema_version"] = "1.1.0"
PY
        report "$dir/old.h5" -o "$dir/old" && [ "$(wc -l < "$dir/err")" -eq 1 ] &&
        grep -q 'cannot be priced: .*has no /work' "$dir/out" &&
        page "$dir/old/report.html" '
items = " ".join(page.text["li"])
assert "has no /work" in items, items
assert "does not say which prices were extrapolated" in items, items
assert "guide" not in page.ids' &&
        mkdir -p "$dir/nojobs" && cp -r jobs/models jobs/clusters "$dir/nojobs" &&
        cp -L ./moegps "$dir/nojobs/moegps" &&
        (cd "$dir/nojobs" && MOEGPS_JOBS=$dir/nojobs ./moegps report "$dir/a.h5") \
            > "$dir/out" 2> "$dir/err" &&
        { grep -q 'cannot be priced' "$dir/out" || { grep -A3 'would change' "$dir/out"; return 1; }; }
}

# The guide's cells are those of a map swept with the same settings.
# shellcheck disable=SC2046 # a list of words
guide_is_a_map() {
    report "$dir/here.h5" -o "$dir/here" &&
        "$PYTHON" - "$dir/here.h5" "$dir/here/figures/guide.csv" > "$dir/ask" <<'PY' &&
import csv
import sys
import h5py
import numpy as np

rows = list(csv.DictReader(open(sys.argv[2])))
with h5py.File(sys.argv[1]) as f:
    true = f["load/true_pairs"][:].astype(float)
    medians = f["summary/median"][:]
    metrics = [m.decode() for m in f["summary/metric"]]
    moved = f["summary/mean"][1, metrics.index("moved_bytes")]
    predict = f["timing/gpu"][1, :, :, 0].max(2).mean(1).reshape(3, 2).mean(1)
skew = np.median((true.max(2) / true.mean(2)).mean(1).reshape(3, 2).mean(1))
script = open(sys.argv[2].replace(".csv", ".gp")).read()
assert f"{skew:.6g}"[:6] in script and "this run" in script
copies = 4 * 10 - 32
expert = 3 * 2880 * 2880 * 2  # bytes of one, bf16
print("--skews", ",".join(sorted({r["skew"] for r in rows}, key=float)))
print("--bandwidths", ",".join(sorted({r["bandwidth"] for r in rows}, key=float)))
print("--accuracies", medians[1, metrics.index("recall")])
print("--error", medians[0, metrics.index("error")])
print("--overhead", np.median(predict), "--moving", moved * 2 / expert / copies)
PY
        ./moegps map --model gpt-oss-20b --clusters "$dir/here.yaml" --gpus 4 \
            --slots 10 --batches 8 --seq 256 --interval 2 --samples 15 \
            $(cat "$dir/ask") -o "$dir/guide.h5" > /dev/null &&
        "$PYTHON" - "$dir/guide.h5" "$dir/here/figures/guide.csv" <<'PY'
import csv
import sys
import h5py
import numpy as np

rows = list(csv.DictReader(open(sys.argv[2])))
names = ["baseline", "distribution-only", "token-to-expert", "oracle"]
with h5py.File(sys.argv[1]) as f:
    time = f["map/layer_time"][0, 1, 0, 0]  # skew, bandwidth, strategy
    skew = list(f["map/skew_value"])
    rate = list(f["map/bandwidth_value"][0])
for r in rows:
    t = [float(r[n + "_s"]) for n in names]
    at = (np.abs(np.array(skew) - float(r["skew"])).argmin(),
          np.abs(np.array(rate) - float(r["bandwidth"])).argmin())
    assert np.allclose(t, time[at], rtol=1e-5), (t, time[at])
    assert r["winner"] == names[int(np.argmin(t[:3]))]
    first, second = sorted(t[:3])[:2]
    assert abs(float(r["margin"]) - (second / first - 1)) < 1e-6
assert len(rows) == time.shape[0] * time.shape[1]
PY
}

check "4 ranks make a result file" run 4 a.h5
check "2 ranks make a result file" run 2 b.h5
check "a folder is made, with the same numbers" folder_is_made
check "the page is whole" page_is_whole
check "every figure is there, in words too" figures_are_there
check "figures have the numbers of the file" figures_have_the_numbers
if "$PYTHON" -c 'import matplotlib, xarray' 2> /dev/null; then
    check "results/analyse.py draws the same from the file" analysis_agrees
else
    n=$((n + 1))
    echo "ok - results/analyse.py draws the same # SKIP matplotlib is missing"
fi
check "without gnuplot all else is there" without_gnuplot
check "a gnuplot that fails is told of" failing_gnuplot
check "names are shown as they are" names_are_shown_as_they_are
check "a folder with files in it is left alone" full_folder_is_refused
check "an empty folder is filled" empty_folder_is_filled
check "a file is no folder" refused 2 'is a file, not a folder' \
    "$dir/a.h5" -o "$dir/x.yaml"
ln -s nowhere "$dir/dangling"
check "a link to nothing is no folder" refused 2 'dangling: is a link to nothing' \
    "$dir/a.h5" -o "$dir/dangling"
check "a folder has a name" refused 2 "'' is no folder" "$dir/a.h5" -o ""
check "a folder is not made below nothing" refused 1 'No such file' \
    "$dir/a.h5" -o "$dir/nowhere/report"
check "texts from files are shown, not run" hostile_texts_are_shown
check "layers and ranks have the numbers of the file" \
    drill_down_has_the_numbers
check "a terminal has colours, unless it should not" terminal_has_colour
check "what is piped has no escapes" piped_text_has_no_escapes
check "an interrupted run says so" interrupted_is_said
check "the outlook agrees with the file" outlook_agrees
check "the verdict turns where runs do" turn_is_where_runs_turn
check "the work of two nodes is what was done" work_is_what_was_done
check "runs of several nodes have an outlook" nodes_have_an_outlook
check "the cost model's error is of what differs" error_is_of_what_differs
check "what cannot be priced is said" unknown_outlook_is_said
check "the guide is a map around the run" guide_is_a_map
check "runs are side by side" runs_are_side_by_side
check "nine runs have no outlook" many_runs_have_no_outlook
check "a sweep without its files is shown" sweep_is_shown
check "no drilling down without the run's own file" \
    refused 2 'No such file' --layers "$dir/sweep.h5"
echo "1..$n"
