"""Run small experiments, read what reports say would change their verdicts, and
run that: verdicts.py FOLDER N SEED. Every experiment is drawn by a seed. A
batch is of like sequences, whose number scales its tokens exactly; links are
those of a profile that is priced from data sheets. Prints the claims that do not hold
(VERBOSE=1: all), and exits with 1 if there are some."""
import os
import re
import subprocess
import sys
import time

import h5py
import numpy as np

SEQUENCES, ITERATIONS, WARMUP = 32, 13, 1
MOST_SEQUENCES = 2048  # of a batch that is run
ASIDE = 0.02           # on either side of a turn
# Of times: a run of another batch plans anew, from pairs that are rounded
# elsewhere, and may copy another expert. What differs less is no claim.
TIE = 1e-3
# What a batch that is planned anew may add to a lead; links leave plans as they are.
PLANNED_ANEW = 1e-2
MPIRUN = os.environ.get("MPIRUN", "mpirun")

CLUSTERS = ("a100-nvlink", "h100-nvlink", "l40s-pcie", "b200-nvlink")
PLANNED = "balance eplb duplicate relocate".split()
NUMBER = r"([0-9.e+]+)"


class Experiment:
    def __init__(self, folder, seed):
        self.rng = rng = np.random.default_rng(seed)
        self.seed, self.at = seed, f"{folder}/{seed}"
        self.runs = 0
        self.gpus = int(rng.choice([2, 4]))
        self.experts, self.top_k = int(rng.choice([8, 16])), int(rng.choice([1, 2]))
        self.hidden, self.inter = int(rng.choice([1024, 4096])), int(rng.choice([768, 2048, 14336]))
        self.tokens = int(rng.choice([16, 64, 256]))  # of a sequence
        self.counts = self.draw_counts(rng.uniform(0.1, 0.9), rng.uniform(0, 0.3))
        self.cluster = str(rng.choice(CLUSTERS))
        self.every = int(rng.choice([1, 1, 3]))
        self.strategies = self.draw_strategies()
        with open(self.at + ".model.yaml", "w") as f:
            f.write(f"name: drawn\nlayers: 2\nexperts: {self.experts}\ntop_k: {self.top_k}\n"
                    f"hidden: {self.hidden}\nintermediate: {self.inter}\nheads: {self.hidden // 128}\nhead_dim: 128\nvocab: 32000\n"
                    f"kv_heads: {self.hidden // 128}\ndtype: bf16\nform: swiglu\norigin: drawn\n")

    def draw_counts(self, sigma, drift):
        """Of a sequence of every iteration, the training part's first: whole
        numbers that are the same for all of a batch."""
        steps, rng = ITERATIONS + WARMUP + 8, self.rng
        logs = rng.normal(0, sigma, (2, self.experts))
        counts = np.zeros((steps, 2, self.experts), np.uint32)
        for s in range(steps):
            logs = logs + rng.normal(0, drift, logs.shape)
            for l in range(2):
                counts[s, l] = self.apportion(np.exp(logs[l]) / np.exp(logs[l]).sum())
        return counts

    def apportion(self, share):
        pairs = self.tokens * self.top_k
        for _ in range(50):  # no expert has more pairs than there are tokens
            share = np.minimum(share, 0.95 / self.top_k)
            share = share / share.sum()
        n = np.floor(share * pairs).astype(int)
        order = np.argsort(-(share * pairs - n))
        n[order[:pairs - n.sum()]] += 1
        return n

    def draw_strategies(self):
        rng, home = self.rng, self.experts // self.gpus
        slots = home + int(rng.integers(0, 3))
        how = f"planner: {rng.choice(PLANNED)}, slots: {slots}, split: {rng.choice(['quota', 'deal', 'equal', 'local'])}"
        if "relocate" in how:
            how = how.replace(f"slots: {slots}", f"slots: {home}")
        self.how = how
        some = [f"{{name: dist, predictor: distribution, {how}}}",
                f"{{name: last, predictor: window, iterations: {rng.choice([1, 4])}, {how}}}",
                f"{{name: mean, predictor: ema, alpha: {rng.choice([0.1, 0.5])}, {how}}}",
                f"{{name: still, predictor: distribution, planner: balance, slots: {slots}}}"]
        picked = [some[i] for i in sorted(rng.choice(4, int(rng.integers(1, 4)), replace=False))]
        oracles = [f"{{name: right{a}, predictor: oracle, accuracy: {a / 100}, {how}}}" for a in (50, 75, 100)]
        return ["{name: baseline}"] + picked + (oracles if rng.random() < 0.7 else [])

    def run(self, sequences=SEQUENCES, bandwidth=None, more=()):
        """@return the path of a result file."""
        self.runs += 1
        at = f"{self.at}.{self.runs}"
        steps = np.repeat(self.counts, sequences, axis=0)
        np.save(at + ".npy", steps)
        test = (ITERATIONS + WARMUP) * sequences
        call("./moegps", "trace", "import", at + ".npy", "--kind", "load", "--model", "drawn", "--layers", "0-1", "--top-k",
             self.top_k, "--split", f"tail={test / len(steps):.12g}", "-o", at + ".trace.h5")
        with open(f"jobs/clusters/{self.cluster}.yaml") as f:
            profile = re.sub(r"(?m)^cost:.*", "cost: analytic", f.read())
        if bandwidth is not None:
            profile = re.sub(r"(?m)^link_bandwidth:.*", f"link_bandwidth: {bandwidth!r}", profile)
        with open(at + ".cluster.yaml", "w") as f:
            f.write(re.sub(r"(?m)^stack:.*\n", "", profile))
        with open(at + ".yaml", "w") as f:
            f.write(f"model: {self.at}.model.yaml\ncluster: {at}.cluster.yaml\ntrace: {at}.trace.h5\n"
                    f"workload: {{batch: {sequences}, seq: 0, iterations: {ITERATIONS - ITERATIONS % self.every}, "
                    f"warmup: {WARMUP}, seed: {self.seed}}}\n"
                    f"emulation: {{ffn: none, scale: 256, rebalance_every: {self.every}}}\nstrategies:\n"
                    + "".join(f"  - {s}\n" for s in [*self.strategies, *more]))
        call(MPIRUN, "-n", self.gpus, "./moegps", "run", at + ".yaml", "-q", "-o", at + ".h5")
        return at + ".h5"


def call(*words):
    p = subprocess.run([str(w) for w in words], capture_output=True, text=True)
    if p.returncode != 0:
        raise RuntimeError(" ".join(map(str, words)) + ": " + p.stderr + p.stdout[-500:])
    return p.stdout


def times_of(path):
    """Median time of a layer on the gpu clock, of each strategy."""
    with h5py.File(path) as f:
        names = [n.decode() for n in f["summary/strategy"]]
        gpu = [m.decode() for m in f["summary/metric"]].index("layer_time_gpu")
        return dict(zip(names, f["summary/median"][:, gpu]))


def fastest(times):
    built = {n: t for n, t in times.items() if not n.startswith("right")}
    return min(built, key=built.get)


def said(path):
    text = " ".join(call("./moegps", "report", path).split())
    return text[text.index("What would change it"):text.index("FOM ")] if "What would change it" in text else text


class Claims:
    def __init__(self):
        self.n = self.wrong = self.ties = self.turns = self.unreachable = 0

    def hold(self, x, words, is_so, detail, tie=False):
        self.n += 1
        tie = tie and not is_so
        self.ties += tie
        self.wrong += not is_so and not tie
        if "VERBOSE" in os.environ or not (is_so or tie):
            print(f"{'tie' if tie else 'holds' if is_so else 'WRONG'}: {x.seed}: {words} [{detail}]", flush=True)


def beaten(claims, x, words, who, now, path):
    """In a run one is ahead of another, as at a turn and beyond it."""
    times = times_of(path)
    claims.hold(x, words, times[who] < times[now], "ran: " + said_times(times), times[who] / times[now] - 1 < TIE)


def unbeaten(claims, x, words, now, most, path):
    """In a run none is ahead of one by more."""
    times = times_of(path)
    behind = times[now] / times[fastest(times)] - 1
    claims.hold(x, words, behind <= most, f"ran: {behind:.2%} behind, " + said_times(times), behind <= most + TIE)


def said_times(times):
    return ", ".join(f"{n} {t * 1e6:.2f} us" for n, t in times.items())


def whole(x, sequences, up):
    """As many on every GPU, as in the run that is asked: with one more on some,
    their own copies compute more than others."""
    return (np.ceil if up else np.floor)(sequences / x.gpus) * x.gpus


def near(sequences, at):
    """Few sequences do not divide near a turn, and another may lie beyond."""
    return abs(sequences / at - 1) < 4 * ASIDE


class Side:
    """What is said of one side of a run, of tokens or of GB/s: up to `safe` none
    is ahead, from `at` on `who` is, as far as `until`; `now` is the run's."""

    def __init__(self, words):
        self.words = words
        number = NUMBER + "(?: GB/s)?"
        m = re.fullmatch(
            rf"(?:(?P<safe_way>down|up) to {named('safe')} none beats (?P<now>\w+) by (?P<clear>[0-9]+) %(?:, |$))?"
            rf"(?:(?P<way>below|above) {named('at')} |from {named('from')} (?P<part_way>down|up) to {named('until')} )?"
            r"(?:(?P<who>\w+) beats (?P<then>\w+))?"
            rf"(?:beyond it is open|(?P<open_way>down|up) to {number} it is open)?", words)
        assert m is not None, words
        said = m.groupdict()
        self.who, self.now = said["who"], said["now"] or said["then"]
        ways = {said[k] for k in said if k.endswith("way")} - {None}
        self.up = bool(ways & {"up", "above"})
        assert len({w in ("up", "above") for w in ways}) == 1, words
        self.safe, self.at, self.until = (float(x) if x else None for x in
                                          (said["safe"], said["at"] or said["from"], said["until"]))

    def aside(self, beyond):
        """A place beside the turn, beyond it or before."""
        return self.at * (1 + ASIDE if self.up == beyond else 1 - ASIDE)

    def inside(self):
        """The last place where none is ahead, as far as is said; None: nothing is."""
        return self.safe if self.safe or not self.at else self.aside(False)

    def passed(self, at):
        return self.until is not None and (at > self.until) == self.up


def named(name):
    return f"(?P<{name}>[0-9.e+]+)(?: GB/s)?"


def clear_of(text):
    """From how much on others count as ahead, as the report has it."""
    return float(re.search(r"does so by ([0-9]+) % or more where that begins", text).group(1)) / 100


def check_tokens(claims, x, text, now):
    here, *sides = re.search(r"Tokens of a batch \(here (\d+)\): (.*?); (.*?)\. Batches", text).groups()
    assert int(here) == SEQUENCES * x.tokens, here
    for s in map(Side, sides):
        assert s.now in (now, None), (s.now, now)
        if s.who:
            beyond = whole(x, s.aside(True) / x.tokens, s.up)
            if 1 <= beyond <= MOST_SEQUENCES and near(beyond, s.at / x.tokens) and not s.passed(beyond * x.tokens):
                claims.turns += 1
                beaten(claims, x, s.words, s.who, now, x.run(int(beyond)))
            else:
                claims.unreachable += 1
        if s.safe:
            before = whole(x, s.safe / x.tokens, not s.up)
            before = min(before, MOST_SEQUENCES // 4) if s.up else max(before, x.gpus)
            if before != SEQUENCES and (before > SEQUENCES) == s.up:
                unbeaten(claims, x, f"before: {s.words}", now, clear_of(text) + PLANNED_ANEW, x.run(int(before)))


def check_links(claims, x, text, now):
    sides = re.search(rf"Bandwidth of links, per GPU and direction \(here {NUMBER} GB/s\): (.*?); (.*?)\. ", text).groups()[1:]
    for s in map(Side, sides):
        assert s.now == now, (s.now, now)
        if s.inside():
            unbeaten(claims, x, f"before: {s.words}", now, clear_of(text), x.run(bandwidth=s.inside() * 1e9))
        if s.who is None:
            continue
        claims.turns += 1
        if s.passed(s.aside(True)):
            claims.unreachable += 1
        else:
            beaten(claims, x, s.words, s.who, now, x.run(bandwidth=s.aside(True) * 1e9))
        if s.until is not None:
            beaten(claims, x, f"until: {s.words}", s.who, now, x.run(bandwidth=s.until * 1e9))


def check_accuracy(claims, x, text, times):
    needed = re.search(rf"At (no cost|the cost of (\w+)), a predictor of tokens with planner (\w+) and split (\w+) "
                       rf"loses to (\w+) if it is right for {NUMBER} % of a token's experts, and beats it if it is right "
                       rf"for {NUMBER} %; by a line between these, from {NUMBER} % on", text)
    beaten = re.search(rf"(?:Even right for|Right for) {NUMBER} % of a token's experts, at (no cost|the cost of (\w+)), "
                       r"a predictor of tokens with planner (\w+) and split (\w+) (would not beat|beats) (\w+)", text)
    if needed is not None:
        claims.turns += 1
        rival = needed.group(5)
        low, high, line = (float(needed.group(i)) / 100 for i in (6, 7, 8))
        claims.hold(x, needed.group(0), low <= line <= high, "in order")
        assert f"planner: {needed.group(3)}" in x.how and f"split: {needed.group(4)}" in x.how, x.how
        for a, wins in (low, False), (high, True):
            ran = times_of(x.run(more=[f"{{name: rightnow, predictor: oracle, accuracy: {a:.6f}, {x.how}}}"]))
            claims.hold(x, needed.group(0) + (", wins" if wins else ", loses"), (ran["rightnow"] < ran[rival]) == wins,
                        f"at {a:.3f}: " + said_times(ran), abs(ran["rightnow"] / ran[rival] - 1) < TIE)
    elif beaten is not None:
        a, rival = float(beaten.group(1)) / 100, beaten.group(7)
        ran = times_of(x.run(more=[f"{{name: rightnow, predictor: oracle, accuracy: {a:.6f}, {x.how}}}"]))
        claims.hold(x, beaten.group(0), (ran["rightnow"] < ran[rival]) == (beaten.group(6) == "beats"),
                    said_times(ran), abs(ran["rightnow"] / ran[rival] - 1) < TIE)


def check(claims, folder, seed):
    x = Experiment(folder, seed)
    first = x.run()
    text, times = said(first), times_of(first)
    now = fastest(times)
    lead = re.search(r"(\w+) is [0-9.]+ [munp]?s a layer ahead of (\w+) on the gpu clock", text)
    if lead is not None:
        claims.hold(x, lead.group(0), lead.group(1) == now and times[lead.group(2)] >= times[now], now)
    if "Tokens of a batch" in text:
        check_tokens(claims, x, text, now)
        check_links(claims, x, text, now)
    check_accuracy(claims, x, text, times)
    return x.runs


def main(folder, n, seed):
    claims, runs, start = Claims(), 0, os.times()
    for i in range(n):
        runs += check(claims, folder, seed + i)
    end = os.times()
    cpu = sum(end[:4]) - sum(start[:4])
    print(f"{n} experiments, {runs} runs; {claims.n} claims: {claims.wrong} wrong, {claims.ties} within {TIE:.1%}; "
          f"{claims.turns} turns, {claims.unreachable} more beyond what is run; {cpu:.0f} s of CPU")
    sys.exit(claims.wrong > 0 or claims.n - claims.ties < 3 * n or claims.turns < n // 2)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
