#!/usr/bin/env bash
# `moegps report -o`: the folder, its page as browsers parse it, hostile texts.
# Prints TAP.
. "$(dirname "$0")/report.bash"

cat > "$dir/x.yaml" <<'EOF2'
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 2, seq: 128, layers: "0,7", iterations: 24, warmup: 1, seed: 3}
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
    ranks "$1" ./moegps run "$dir/x.yaml" -o "$dir/$2"
}

checks() { "$PYTHON" tests/report_checks.py "$@"; }

folder_is_made() {
    (umask 027 && kept report "$dir/a.h5" -o "$dir/new") &&
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
assert "oversubscribed: rank" in items and "were not bound" in items, items
assert any("predictor: distribution" in t for t in page.text["pre"])
assert any(t.startswith("mpirun -n 4 ") for t in page.text["pre"])
assert "prefers-color-scheme:dark" in page.raw
assert "default-src &" in page.raw or "default-src " in page.raw'
}

full_folder_is_refused() {
    mkdir "$dir/full" && echo precious > "$dir/full/report.html" || return 1
    echo mine > "$dir/full/note"
    refused 2 "full: is not empty (--force" report "$dir/a.h5" -o "$dir/full" &&
        grep -qx precious "$dir/full/report.html" &&
        kept report --force "$dir/a.h5" -o "$dir/full/" &&
        grep -q ' is .*/full/report.html$' "$dir/err" &&
        grep -q '<main>' "$dir/full/report.html" &&
        grep -qx mine "$dir/full/note" && [ "$(echo "$dir"/full?*)" = "$dir/full?*" ]
}

empty_folder_is_filled() {
    mkdir "$dir/empty" && kept report "$dir/a.h5" -o "$dir/empty" &&
        [ -s "$dir/empty/report.html" ]
}

# Figures of a single run of x.yaml.
figures="speedup phases ecdf accuracy experts regret stages layers gpus stragglers traffic guide"

# every_figure FOLDER: files, and on the page with words for every reader.
every_figure() {
    # shellcheck disable=SC2086 # words
    drawn "$1" $figures &&
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

# The example draws the same from the file alone.
analysis_agrees() {
    "$PYTHON" results/analyse.py "$dir/a.h5" "$dir/a.pdf" > "$dir/table" &&
        head -c 5 "$dir/a.pdf" | finds '^%PDF-' &&
        checks analysis_agrees "$dir/table" "$dir/new/figures/phases.csv"
}

# A machine without gnuplot: all else is there, and a note.
without_gnuplot() {
    mkdir "$dir/bin"
    PATH=$dir/bin ./moegps report "$dir/a.h5" -o "$dir/plain" &&
        ! ls "$dir"/plain/figures/*.svg 2> /dev/null &&
        page "$dir/plain/report.html" '
assert page.count("svg") == 0 and page.count("figure") == 12
assert any("gnuplot was not found. Install it" in t for t in page.text["p"])' &&
        (have_gnuplot || return 0; cd "$dir/plain/figures" &&
            gnuplot phases.gp && cmp phases.svg "$dir/new/figures/phases.svg")
}

# A limit of file sizes is an error like a full disk.
limited_page() {
    (ulimit -f 1; refused 1 "report.csv: File too large" report "$dir/a.h5" -o "$dir/limited")
    [ $? -eq 0 ] && not compgen -G "$dir/limited*"
}

# A gnuplot that fails: a warning per figure says why, the page how many.
failing_gnuplot() {
    printf '#!/bin/sh\ncase $2 in --version) exit ;; esac\n%s\n' \
        "printf 'plot\n     ^\n\"%s\" line 1: nothing to draw\n\n' \$2 >&2; exit 1" \
        > "$dir/bin/gnuplot"
    chmod +x "$dir/bin/gnuplot"
    kept env PATH="$dir/bin:$PATH" ./moegps report "$dir/a.h5" -o "$dir/failed" &&
        [ "$(grep -c '^moegps: warning: figure ' "$dir/err")" -eq 12 ] &&
        grep -qxF 'moegps: warning: figure ecdf is not drawn whole: "ecdf.gp" line 1: nothing to draw' \
            "$dir/err" &&
        page "$dir/failed/report.html" '
assert any("could not draw 12 of 12 figures" in t for t in page.text["p"])'
}

# Names that are syntax elsewhere stand in every figure as they are.
names_are_shown_as_they_are() {
    checks make_named "$dir/a.h5" "$dir/named.h5" &&
        kept report "$dir/named.h5" -o "$dir/named" && not err_has warning &&
        checks names_are_in_figures "$dir/named/figures" "$(have_gnuplot && echo drawn)"
}

hostile_texts_are_shown() {
    checks make_hostile "$dir/a.h5" "$dir/hostile.h5" &&
        kept report "$dir/hostile.h5" -o "$dir/hostile" &&
        [ ! -e "$dir/hostile/figures/owned" ] && every_figure "$dir/hostile" &&
        page "$dir/hostile/report.html" '
evil = "<script>alert(\"1\")</script>"
for tag in ("title", "h1", "th", "td", "li", "pre"):
    assert any(evil in t for t in page.text[tag]), tag'
}

drill_down_has_the_numbers() {
    kept report --layers --ranks "$dir/a.h5" && cp "$dir/out" "$dir/drill" &&
        [ "$(tail -n 1 "$dir/drill")" = "RESULT: VALID" ] &&
        checks drill_down_has_the_numbers "$dir/a.h5" "$dir/drill"
}

interrupted_is_said() {
    checks make_short "$dir/a.h5" "$dir/short.h5" && kept report "$dir/short.h5" -o "$dir/short" &&
        page "$dir/short/report.html" '
items = " ".join(page.text["li"])
assert "3 of 24 iterations, status interrupted" in items, items
assert "Few samples: 3" in items, items
assert page.text["span"][0] == "INCOMPLETE"
assert any("too few independent batches for an interval" in t for t in page.text["p"])
assert "nan" not in " ".join(page.text["td"])'
}

runs_are_side_by_side() {
    kept report "$dir/a.h5" "$dir/b.h5" -o "$dir/two" &&
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
    kept report "$dir"/nine/*.h5 -o "$dir/nine/page" &&
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
        kept report "$dir/sweep.h5" -o "$dir/sweep" &&
        page "$dir/sweep/report.html" '
assert page.count("section") == 2
assert any("No such file" in t for t in page.text["li"]), page.text["li"]'
}

piped_text_has_no_escapes() {
    kept report "$dir/a.h5" && ! grep -q $'\033' "$dir/out" &&
        [ "$(tail -n 1 "$dir/out")" = "RESULT: VALID" ] &&
        grep -Eqx 'FOM layer_time_gpu baseline = [0-9.e-]+ s' "$dir/out" &&
        ! ranks 1 env TERM=xterm ./moegps report \
            "$dir/a.h5" | grep -q $'\033'
}

# outlook CHECK FILE [ARGUMENT]: of the outlook in what is reported of a file
outlook() {
    ./moegps report --json - "$2" > "$dir/json" && checks "$1" "$dir/json" "$2" "${@:3}"
}

# Links beyond which another strategy is said to win: runs on such links agree.
cat > "$dir/z.yaml" <<EOF2
model: gpt-oss-20b
cluster: $dir/links.yaml
trace: gpt-oss-20b-mmlu
workload: {batch: 8, seq: 256, layers: "0,12", iterations: 16, warmup: 1, seed: 3}
emulation: {ffn: none, scale: 64, rebalance_every: 2}
strategies:
  - {name: distribution, predictor: distribution, planner: duplicate, slots: 10}
  - {name: token, predictor: token, planner: duplicate, slots: 10}
EOF2

# Slow links are for whoever exchanges less, quick ones for whoever reads fewer
# weights.
sed -e 's/batch: 8/batch: 4/' -e '/distribution,/q' "$dir/z.yaml" > "$dir/turn.yaml"
echo '  - {name: baseline}' >> "$dir/turn.yaml"

# on_links BYTES_PER_S YAML FILE: run with links of that bandwidth
on_links() {
    sed "s/^link_bandwidth: .*/link_bandwidth: $1/" \
        jobs/clusters/a100-paper.yaml > "$dir/links.yaml" &&
        ranks 4 ./moegps run "$dir/$2" --force -o "$dir/$3"
}

turn_is_where_runs_turn() {
    local at other
    on_links 300e9 turn.yaml turn.h5 &&
        outlook turn_of "$dir/turn.h5" > "$dir/turn" || { cat "$dir/turn"; return 1; }
    read -r at other < "$dir/turn"
    on_links "$at" turn.yaml there.h5 && outlook behind_as_told "$dir/there.h5" "$other"
}

# Two nodes, all kinds of strategies: the work that was recorded, by numpy.
cat > "$dir/n.yaml" <<EOF2
model: gpt-oss-20b
cluster: $dir/two.yaml
trace: gpt-oss-20b-mmlu
workload: {batch: 8, seq: 256, layers: "0,12", iterations: 16, warmup: 1, seed: 3}
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
    ranks 4 ./moegps run "$dir/n.yaml" -o "$dir/n.h5" &&
        checks work_is_what_was_done "$dir/n.h5" "$dir/a.h5"
}

# With every price wrong by 10 %, so is what differs.
error_is_of_what_differs() {
    sed 's/^error_\([a-z]*\): .*/error_\1: 0.1/' "$dir/links.yaml" > "$dir/ten.yaml" &&
        ranks 4 ./moegps run "$dir/z.yaml" \
            --set cluster="$dir/ten.yaml" --set strategies.token.predictor=window \
            -o "$dir/ten.h5" && outlook error_is_of_what_differs "$dir/ten.h5"
}

# Files of versions without /work, and tables that are not there.
unknown_outlook_is_said() {
    cp "$dir/a.h5" "$dir/old.h5" && checks make_old "$dir/old.h5" &&
        kept report "$dir/old.h5" -o "$dir/old" && [ "$(wc -l < "$dir/err")" -eq 1 ] &&
        tr -s '\n ' ' ' < "$dir/out" | finds 'cannot be priced: .*was priced by other rules' &&
        page "$dir/old/report.html" '
items = " ".join(page.text["li"])
assert "was priced by other rules" in items, items
assert "does not say where prices are from" in items, items
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
    on_links 300e9 z.yaml here.h5 && cp "$dir/links.yaml" "$dir/here.yaml" &&
        kept report "$dir/here.h5" -o "$dir/here" &&
        checks ask_for_the_guide "$dir/here.h5" "$dir/here/figures/guide.csv" > "$dir/ask" &&
        ./moegps map --model gpt-oss-20b --clusters "$dir/here.yaml" --gpus 4 \
            --slots 10 --batches 8 --seq 256 --interval 2 --samples 15 \
            $(cat "$dir/ask") -o "$dir/guide.h5" > /dev/null &&
        checks guide_is_a_map "$dir/guide.h5" "$dir/here/figures/guide.csv"
}

check "4 ranks make a result file" run 4 a.h5
check "2 ranks make a result file" run 2 b.h5
check "a folder is made, with the same numbers" folder_is_made
check "the page is whole" page_is_whole
check "every figure is there, in words too" \
    every_figure "$dir/new"
check "figures have the numbers of the file" \
    checks figures_have_the_numbers "$dir/a.h5" "$dir/new/figures"
check_if "matplotlib xarray" "results/analyse.py draws the same from the file" analysis_agrees
check "without gnuplot all else is there" without_gnuplot
check "a gnuplot that fails is told of" failing_gnuplot
check "names are shown as they are" names_are_shown_as_they_are
check "a folder with files in it is left alone" full_folder_is_refused
check "an empty folder is filled" empty_folder_is_filled
check "a file is no folder" refused 2 "is a file, not a folder" report \
    "$dir/a.h5" -o "$dir/x.yaml"
ln -s nowhere "$dir/dangling"
check "a link to nothing is no folder" refused 2 "dangling: is a link to nothing" report \
    "$dir/a.h5" -o "$dir/dangling"
check "a folder has a name" refused 2 "'' is no folder" report "$dir/a.h5" -o ""
check "a page that may not grow is one line, and nothing is left" limited_page
check "folders above it are made" report "$dir/a.h5" -o "$dir/not/yet/report"
check "texts from files are shown, not run" hostile_texts_are_shown
check "layers and ranks have the numbers of the file" \
    drill_down_has_the_numbers
check "a terminal has colours, unless it should not" \
    checks terminal_has_colour "$dir/a.h5"
check "what is piped has no escapes" piped_text_has_no_escapes
check "an interrupted run says so" interrupted_is_said
check "the outlook agrees with the file" \
    outlook outlook_agrees "$dir/a.h5" "$dir/new/figures/stages.csv"
headroom() {
    ./moegps report "$dir/a.h5" > "$dir/a.txt" &&
        outlook headroom_is_of_the_stages "$dir/a.h5" "$dir/a.txt"
}
check "headroom is one line, of the numbers beside it" headroom
explained() {
    tr '\n' ' ' < "$dir/a.txt" | tr -s ' ' |
        grep 'oracle: [0-9.]* times as slow: migrate [^;]*; it copies anew for every plan' > /dev/null
}
check "an oracle that loses is explained" explained
check "the verdict turns where runs do" turn_is_where_runs_turn
check "the work of two nodes is what was done" work_is_what_was_done
check "runs of several nodes have an outlook" \
    outlook nodes_have_an_outlook "$dir/n.h5"
check "the cost model's error is of what differs" error_is_of_what_differs
check "what cannot be priced is said" unknown_outlook_is_said
check "the guide is a map around the run" guide_is_a_map
check "runs are side by side" runs_are_side_by_side
check "nine runs have no outlook" many_runs_have_no_outlook
check "a sweep without its files is shown" sweep_is_shown
check "no drilling down without the run's own file" \
    exits 2 report --layers "$dir/sweep.h5"
check "... saying so" err_has "No such file"
finish
