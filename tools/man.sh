#!/usr/bin/env bash
# Write man pages: tools/man.sh PROGRAM FOLDER
# One of the program and one a command, made of what --help prints, which is made
# of the tables that the program parses with.
set -euo pipefail
program=$1 folder=$2
version=$("$program" --version | cut -d' ' -f2)

# subcommands WORD...: names that the help lists
subcommands() { "$program" "$@" --help | sed -n 's/^  \([a-z]*\) .*/\1/p'; }

# page NAME WORD...: what `PROGRAM WORD... --help` says, as a man page
page() {
    "$program" "${@:2}" --help | awk -v name="$1" -v version="$version" '
        function shown(s) {
            gsub(/\\/, "\\e", s)
            gsub(/-/, "\\-", s)
            return s ~ /^[.\047]/ ? "\\&" s : s
        }
        function section(title) {
            if (title != now)
                print ".SH " title
            now = title
        }
        { sub(/[ \t]+$/, "") }
        NR == 1 {
            sub(/^Usage: */, "")
            usage = $0
            next
        }
        usage != "" && /^ {6,}/ { # goes on
            sub(/^ */, "")
            usage = usage " " $0
            next
        }
        usage != "" {
            about = $0
            sub(/\.( .*)?$|:.*$/, "", about)
            print ".TH " toupper(name) " 1 \"\" \"moe-gps " version "\" \"moe-gps\""
            section("NAME")
            print shown(name) " \\- " shown(tolower(substr(about, 1, 1)) substr(about, 2))
            section("SYNOPSIS")
            print shown(usage)
            section("DESCRIPTION")
            usage = ""
        }
        /^ +-/ { # an option, and maybe the begin of what it means
            section("OPTIONS")
            sub(/^ */, "")
            split_at = match($0, /  +/)
            print ".TP\n.B " shown(split_at ? substr($0, 1, split_at - 1) : $0)
            if (split_at)
                print shown(substr($0, split_at + RLENGTH))
            next
        }
        now != "OPTIONS" && /^  [^ ]/ { # a name and what it is
            sub(/^ */, "")
            split_at = match($0, /  *[^ ]/)
            print ".TP\n.B " shown(substr($0, 1, split_at - 1))
            print shown(substr($0, split_at + RLENGTH - 1))
            next
        }
        sub(/^Example: /, "") {
            section("EXAMPLE")
            print ".nf\n" shown($0) "\n.fi"
            next
        }
        $0 == "" { print ".PP"; next }
        { sub(/^ */, ""); print shown($0) }
        END {
            if (name == "moegps") {
                section("EXIT STATUS")
                print "0 done, 1 failed, 2 usage or configuration, 3 a run failed its checks,"
                print "4 a \\-\\-fail\\-if threshold was missed, 75 stopped early: resume it."
            } else {
                section("SEE ALSO")
                print ".BR moegps (1)"
            }
        }' > "$folder/$1.1"
}

mkdir -p "$folder"
page moegps
for c in $(subcommands); do
    page "moegps-$c" "$c"
    [ "$c" != trace ] || for t in $(subcommands trace); do page "moegps-trace-$t" trace "$t"; done
done
