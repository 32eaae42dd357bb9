# What the tests of reports share; source it.
# shellcheck source=tests/tap.bash
. "$(dirname "${BASH_SOURCE[0]}")/tap.bash"

report() { ./moegps report "$@"; }

# page FILE ASSERTIONS: on what page.py read
page() {
    PYTHONPATH=tests "$PYTHON" -B -c "from page import page
$2" "$1"
}

have_gnuplot() { command -v gnuplot > /dev/null; }

# drawn FOLDER NAME...: these figures, no others, each with all its files.
drawn() {
    local folder=$1/figures f
    shift
    for f in "$@"; do
        [ -s "$folder/$f.csv" ] && [ -s "$folder/$f.gp" ] ||
            { echo "$f: no data or script"; return 1; }
        have_gnuplot || continue
        grep -q '</svg>' "$folder/$f.svg" &&
            head -c 5 "$folder/$f.pdf" | finds '^%PDF-' ||
            { echo "$f: not drawn"; return 1; }
    done
    [ "$(find "$folder" -name '*.csv' | wc -l)" -eq $# ]
}
