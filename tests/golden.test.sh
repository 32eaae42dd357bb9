#!/usr/bin/env bash
# The CSV files of a report, byte for byte: what tests/data/report/ holds. The
# reported files are made from tests/synthetic.h, where every number is a
# formula, on 4 ranks that share cores (gpu clock) and on one that does not
# (wall clock), and on both together; and with a recall for every strategy.
#   GOLDEN=write bash tests/golden.test.sh
# writes tests/data/report/ anew, after a change that is meant: look at the
# difference, and at the numbers.
#
# They were checked once against the formulas alone, with a program that knows
# neither the file nor the report. i is an iteration (0 .. 7), s a strategy, l a
# layer (0 .. 3, mean 1.5), p a phase, and there are G = 4 GPUs:
# - samples: a phase takes its slowest GPU 6 + s + i + l + p s, less 1 of the 5
#   before attention: a layer 115 + 10 (s + i) s, 115 .. 185 for baseline.
# - layers: the same of one layer, median over i: 135 + 10 (s + l).
# - phases: medians over i: 10 + s + p before attention, 11 + s + p from there.
# - speedup: median over i of (115 + 10 i) / (115 + 10 (s + i)); the interval
#   of 8 pairs is from the least to the largest.
# - experts: expert 0 has 8 of 14 pairs, or of 16, in turns: (8/14 + 8/16) / 2 =
#   0.5357; predicted is (e + s) / sum.
# - gpus: baseline has 4 pairs on each GPU, duplicate 6, 4, 4, 4: 6 / 4.5; at
#   home the first has experts 0 and 1: (8 / 3.5 + 10 / 4) / 2 = 2.393.
# - regret: the busiest GPU has 100 + s + 10 (5 - level)^2 pairs, the mean is
#   14/4 or 16/4: (1 / 3.5 + 1 / 4) / 2 * 110 = 29.46 is baseline's bound.
# - stragglers: the first two GPUs are slowest in 3 phases of 10, the others in
#   2, each time by 2 s: 101 + 10 i or 99 + 10 i, over 100 + 10 i.
# - traffic: 300 B stay, 100 B go to each other GPU, per layer and iteration.
# - efficiency: the same time with 4 times the GPUs is 0.25.
. "$(dirname "$0")/tap.bash"
golden=tests/data/report

# make_file RANKS NAME
make_file() {
    MOEGPS_TEST_RESULT=$dir/$2.h5 ranks "$1" "$BUILD/tests/parallel/test_results"
}

# edit FROM TO PYTHON: a copy of a file with other numbers.
edit() {
    cp "$dir/$1.h5" "$dir/$2.h5" && "$PYTHON" -c "
import h5py
with h5py.File('$dir/$2.h5', 'r+') as f:
    $3"
}

# report FOLDER PATTERN NAMES...: CSV files, without what differs between runs.
report() {
    local folder=$dir/$1 pattern=$2 x files=()
    shift 2
    for x in "$@"; do files+=("$dir/$x.h5"); done
    rm -rf "$dir/page" "$folder"
    ./moegps report "${files[@]}" -o "$dir/page" > "$dir/out" ||
        return 1
    mkdir "$folder" && cut -d , -f 2- "$dir/page/report.csv" \
        > "$dir/page/figures/report.csv" &&
        find "$dir/page/figures" -name '*.csv' |
        grep -E "/($pattern)\.csv$" | xargs cp -t "$folder"
}

# same NAME PATTERN NAMES...: a report has these files, as they were.
same() {
    local name=$1
    report "$@" || return 1
    if [ "${GOLDEN:-}" = write ]; then
        mkdir -p "$golden" && rm -rf "${golden:?}/$name" &&
            cp -r "$dir/$name" "$golden/$name"
    fi
    diff -r "$golden/$name" "$dir/$name"
}

# One number is another: its figure, and no other of loads, differs.
change_is_seen() {
    edit four changed 'f["load/predicted_pairs"][1, 2, 0, 4] += 1' &&
        report changed '.*' changed || return 1
    diff -rq "$golden/gpu" "$dir/changed" > "$dir/differs"
    grep -q '/experts.csv' "$dir/differs" &&
        [ "$(wc -l < "$dir/differs")" -eq 1 ]
}

recalls='f["prediction/recall"][:] = 0.75
    f["prediction/recall"][0] = 0.25
    f["prediction/recall"][1] = 0.5
    f["strategies/foretells_tokens"][:] = 1
    f["strategies/knows_future"][:] = 0'
top_k='f["config"].attrs["top_k"] = 2'

check "4 ranks make a file" make_file 4 four
check "1 rank makes a file" make_file 1 one
check "numbers of the gpu clock are as they were" same gpu '.*' four
check "numbers of the wall clock are as they were" same wall '.*' one
edit one from "$top_k" && edit four to "$top_k" &&
    check "numbers of scaling are as they were" \
        same scaling 'scaling|efficiency' from to
edit four recall "$recalls" &&
    check "numbers of accuracy are as they were" \
        same accuracy 'accuracy|overhead' recall
check "a changed number is seen" change_is_seen
finish
