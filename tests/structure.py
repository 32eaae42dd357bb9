"""How the library's files hang together, by the symbols of the archive.

  structure.py ARCHIVE names     members of one name, which `ar r` would lose
  structure.py ARCHIVE prefixes  exported symbols that may clash with others'
  structure.py ARCHIVE circles   files that call each other

Prints what is wrong and exits with 1 where anything is. A family's registry
points at its members, which may ask it for others by name: that is no circle.
"""
import collections
import re
import subprocess
import sys

REGISTRIES = {"planners.o", "predictors.o", "splits.o", "ffns.o"}


def symbols(archive):
    """(object, defined symbols, used symbols) for every member."""
    said = subprocess.run(["nm", archive], capture_output=True, text=True, check=True).stdout
    for part in said.split("\n\n"):
        lines = part.strip().splitlines()
        if not lines or not lines[0].endswith(":"):
            continue
        defined, used = set(), set()
        for kind, name in re.findall(r"^[0-9a-f ]* (\w) (\S+)$", "\n".join(lines[1:]), re.M):
            if kind in "TDBRC":
                defined.add(name)
            elif kind == "U":
                used.add(name)
        yield lines[0][:-1], defined, used


def circles(parts):
    """Strongly connected components of more than one file (Tarjan)."""
    home = {name: o for o, defined, _ in parts for name in defined}
    calls = {o: {home[u] for u in used if u in home} - {o} - REGISTRIES
             for o, _, used in parts if o not in REGISTRIES}
    index, low, stack, found = {}, {}, [], []

    def visit(o):
        index[o] = low[o] = len(index)
        stack.append(o)
        for to in calls[o]:
            if to not in index:
                visit(to)
            if to in stack:
                low[o] = min(low[o], low[to])
        if low[o] == index[o]:
            circle = stack[stack.index(o):]
            del stack[stack.index(o):]
            if len(circle) > 1:
                found.append(" ".join(sorted(circle)))

    for o in sorted(calls):
        if o not in index:
            visit(o)
    return found


def main(archive, question):
    parts = list(symbols(archive))
    if question == "names":
        count = collections.Counter(o for o, _, _ in parts)
        wrong = [o for o, n in count.items() if n > 1]
    elif question == "prefixes":
        wrong = [name for _, defined, _ in parts for name in defined
                 if not re.match("moe_|MOE_", name)]
    else:
        wrong = circles(parts)
    assert parts, "no members"
    print("\n".join(sorted(wrong)), end="\n" if wrong else "")
    return 1 if wrong else 0


sys.setrecursionlimit(10000)
sys.exit(main(sys.argv[1], sys.argv[2]))
