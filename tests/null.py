"""How often `moegps compare` calls equal runs different: null.py FOLDER RUNS SEED.
Runs of one configuration, whose batches are drawn by other seeds, are compared:
on the gpu clock one run a side, on measured clocks three a side. No run is in
two comparisons of a clock. Prints a table; exits with 1 if a number of
comparisons differs that is as good as impossible (1 in 10,000) where one in
twenty does, as intervals of 95 % have it."""
import itertools
import json
import math
import os
import subprocess
import sys

SIDE = {"gpu": 1, "wall": 3, "cpu": 3}
MPIRUN = os.environ.get("MPIRUN", "mpirun")
RANKS, FALSE, IMPOSSIBLE = 2, 0.05, 1e-4

JOB = """model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 4, seq: 128, layers: "0,15", iterations: 24, warmup: 1}
emulation: {ffn: none, scale: 128, regret: false}
strategies:
  - {name: baseline}
  - {name: distribution, predictor: distribution, planner: balance, slots: 5}
  - {name: window, predictor: window, planner: balance, slots: 5}
"""


def call(*words):
    p = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if p.returncode != 0:
        raise RuntimeError(" ".join(map(str, words)) + ": " + p.stderr)
    return p.stdout


def side(folder, runs):
    """A result file, or a sweep of several."""
    if len(runs) == 1:
        return runs[0]
    path = f"{folder}/side-{abs(hash(tuple(runs)))}.h5"
    call("./moegps", "merge", *runs, "-o", path, "--force")
    return path


def compare(a, b, clock):
    """@return of each strategy, whether it is called different; None: no
    interval, as of the reference."""
    rows = json.loads(call("./moegps", "compare", a, b, "--clock", clock, "--json", "-"))["strategies"]
    return [None if r["ci_low"] is None or r["ratio"] == r["ci_low"] == r["ci_high"] == 1
            else r["ci_low"] > 1 or r["ci_high"] < 1 for r in rows]


def at_least(k, n):
    """Probability of k and more of n where each has FALSE."""
    return sum(math.comb(n, i) * FALSE ** i * (1 - FALSE) ** (n - i) for i in range(k, n + 1))


def main(folder, n, first):
    with open(f"{folder}/null.yaml", "w") as f:
        f.write(JOB)
    runs = []
    for seed in range(first, first + n):
        runs.append(f"{folder}/run-{seed}.h5")
        call(MPIRUN, "-n", RANKS, "./moegps", "run", f"{folder}/null.yaml", "-q", "--force",
             "--set", f"workload.seed={seed}", "-o", runs[-1])
    wrong = False
    print("| clock | runs a side | comparisons | of them different in some strategy | rows | different |")
    print("|---|---|---|---|---|---|")
    for clock, each in SIDE.items():
        sides = [side(folder, runs[i:i + each]) for i in range(0, n - each + 1, each)]
        if len(sides) < 2:
            continue
        all_rows = [compare(sides[i], sides[i + 1], clock) for i in range(0, len(sides) - 1, 2)]
        rows = [r for r in itertools.chain(*all_rows) if r is not None]
        some = sum(any(r is True for r in row) for row in all_rows)
        # rows of a comparison are of the same runs: the most of any one strategy
        most = max(sum(row[s] is True for row in all_rows) for s in range(len(all_rows[0])))
        wrong |= at_least(most, len(all_rows)) < IMPOSSIBLE
        share = f" ({100 * sum(rows) / len(rows):.1f} %)" if rows else ""
        print(f"| {clock} | {each} | {len(all_rows)} | {some} | {len(rows)} | {sum(rows)}{share} |")
    sys.exit(wrong)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
