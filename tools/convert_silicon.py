#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Make jobs/silicon/tables.h5 from measured kernel times in CSV files.

usage: convert_silicon.py INPUT_DIR OUTPUT.h5 [LEFT_OUT.txt]

INPUT_DIR holds moe_ffn.csv, collectives.csv, prefill_attention.csv, gemm.csv,
ep_exchange.csv, decode_attention.csv, mla.csv and wide_ep_moe.csv. Rows that
contradict their neighbours are reported and left out, or, where a library took
a slow kernel, kept as that; LEFT_OUT.txt gets a line per table with such rows.
Then a small physical model is fitted to every kernel. Needs numpy and h5py, no
build of this project. jobs/README.md describes the file;
src/cluster/silicon_*.c compute the same models.
"""
import collections
import csv
import hashlib
import math
import os
import re
import sys

import h5py
import numpy as np

SOURCE = "AIConfigurator, commit 095f58a5, github.com/ai-dynamo/aiconfigurator"
LICENCE = "Apache-2.0"

# file, group, columns of a table (text ones first), axis of its rows. A column
# with '?' may be 0, which stands for none. "direction" is no column of the
# file: a table has DIRECTION_us of it, where others have latency_us.
OPS = [
    ("moe_ffn.csv", "moe", ["gpu", "stack", "kernel", "dtype", "distribution"],
     ["hidden", "inter", "top_k", "experts", "ep"], "tokens"),
    ("collectives.csv", "collectives", ["gpu", "nccl", "op"], ["gpus"],
     "buffer_bytes"),
    ("prefill_attention.csv", "attention", ["gpu", "stack"],
     ["heads", "kv_heads", "head_dim", "batch"], "seq"),
    ("gemm.csv", "gemm", ["gpu", "stack"], ["n", "k"], "m"),
    ("ep_exchange.csv", "exchange", ["gpu", "stack", "direction"],
     ["nodes", "gpus", "hidden", "top_k", "experts", "sms?"],
     "tokens_per_gpu"),
    ("decode_attention.csv", "decode", ["gpu", "stack", "kv_dtype"],
     ["heads", "kv_heads", "head_dim", "batch", "window?"], "kv_len"),
    ("mla.csv", "mla", ["gpu", "stack", "phase"], ["batch", "heads"],
     "kv_len"),
    ("wide_ep_moe.csv", "wide", ["gpu", "stack", "dtype", "distribution"],
     ["hidden", "inter", "top_k", "experts", "slots", "ep", "eplb?"],
     "tokens"),
]
DIRECTIONS = ["dispatch", "combine"]

Table = collections.namedtuple("Table", "key x y")


class BadRow(Exception):
    pass


# ---- reading ----

def number(text, name, where, whole, least=None):
    try:
        value = float(text)
    except ValueError:
        raise BadRow(f"{where}: {name}: '{text}' is not a number") from None
    if not np.isfinite(value) or value < 0 or (value == 0 and least is None):
        raise BadRow(f"{where}: {name}: {text} is not above zero")
    if whole and value != int(value):
        raise BadRow(f"{where}: {name}: {text} is not a whole number")
    return int(value) if whole else value


def read_table(path, texts, numbers, axis, time):
    """{key: {x: [latency, ...]}}; a key is the table's columns in order."""
    tables = collections.OrderedDict()
    names = [c.rstrip("?") for c in numbers]
    with open(path, newline="") as file:
        reader = csv.DictReader(file)
        missing = [c for c in texts + names + [axis, time]
                   if c not in (reader.fieldnames or [])]
        if missing:
            raise BadRow(f"{path}:1: no column '{missing[0]}'")
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if None in row.values() or None in row:
                raise BadRow(f"{where}: not as many fields as the header has")
            key = tuple(row[c] for c in texts)
            key += tuple(number(row[n], n, where, True, 0 if n != c else None)
                         for n, c in zip(names, numbers))
            x = number(row[axis], axis, where, True)
            y = number(row[time], time, where, False)
            if not 0.5 <= y <= 1e8:
                raise BadRow(f"{where}: {time}: {y:g} cannot be in "
                             "microseconds (0.5..1e8)")
            tables.setdefault(key, {}).setdefault(x, []).append(y)
    return tables


def read_rows(path, texts, numbers, axis):
    if texts[-1] != "direction":
        return read_table(path, texts, numbers, axis, "latency_us")
    tables, n = collections.OrderedDict(), len(texts) - 1
    for d in DIRECTIONS:
        for key, points in read_table(path, texts[:-1], numbers, axis,
                                      d + "_us").items():
            tables[key[:n] + (d,) + key[n:]] = points
    return tables


class LeftOut:
    """What was left out and why; rows of slow kernels are kept apart."""

    def __init__(self):
        self.counts = collections.Counter()
        self.lines = []
        self.slow = collections.OrderedDict()  # {key: {x: latency}}
        self.shares = []  # of the data sheet, that slow rows reach

    def add(self, op, key, xs, reason):
        self.counts[op, key[0], key[1], reason] += len(xs)
        self.lines.append(f"{op}: {' '.join(map(str, key))}: "
                          f"{','.join(map(str, xs))}: {reason}")


# SGLang's kernels of one rank of a wide EP group, by layout.
RANK_KERNELS = {"deepep-normal": "contiguous", "deepep-ll": "masked"}


def of_one_rank(wide):
    """Rows of a rank with even loads are those of a fused kernel, too."""
    tables = collections.OrderedDict()
    for key, points in wide.items():
        gpu, stack, dtype, distribution = key[:4]
        kernel = [k for end, k in RANK_KERNELS.items() if stack.endswith(end)]
        hidden, inter, top_k, experts, slots, ep, eplb = key[4:]
        if distribution == "uniform" and kernel and slots == experts:
            tables[(gpu, stack, kernel[0], dtype, "balanced", hidden, inter,
                    top_k, experts, ep)] = points
    return tables


def merge_repeats(op, tables, out):
    """One value per point: repeats within 5 % are averaged, others dropped."""
    result = []
    for key, points in tables.items():
        bad = [x for x, ys in points.items() if max(ys) > 1.05 * min(ys)]
        if bad:
            out.add(op, key, bad, "repeats disagree by more than 5 %")
        xs = sorted(x for x in points if x not in bad)
        if xs:
            result.append(Table(key, np.array(xs, float), np.array(
                [np.mean(points[x]) for x in xs])))
    return result


# ---- contradictions ----

def without(table, drop):
    keep = ~np.isin(table.x, list(drop))
    return Table(table.key, table.x[keep], table.y[keep])


def data_sheets():
    """{gpu: (B/us, bf16 FLOP/us, fp8 FLOP/us)} of the cluster profiles."""
    sheets = {}
    folder = os.path.join(os.path.dirname(__file__), "..", "jobs", "clusters")
    for name in sorted(os.listdir(folder)):
        with open(os.path.join(folder, name)) as file:
            profile = dict(re.findall(r"^(\w+): *(\S+)", file.read(), re.M))
        bf16 = float(profile["peak_flops"])
        sheets[profile["gpu"]] = (
            float(profile["memory_bandwidth"]) / 1e6, bf16 / 1e6,
            float(profile.get("fp8_flops", bf16)) / 1e6)
    return sheets


def reached(t, sheets):
    """[n] of what the data sheet allows, in bytes or in FLOP: the larger."""
    bandwidth, bf16, fp8 = sheets[t.key[0]]
    active, rows, size, flop, elements = moe_features(t.key, t.x)
    bytes_ = active * size + 2 * elements / t.key[9]
    rate = bf16 if t.key[3] == "bfloat16" else fp8
    return np.maximum(bytes_ / bandwidth, active * rows * flop / rate) / t.y


def keep_slow(t, xs, sheets, out):
    """Rows that reach less than a third of the data sheet ran a slow kernel;
    what else contradicts its neighbours is not explained."""
    if t.key[0] not in sheets:
        return
    for x, y, share in zip(t.x, t.y, reached(t, sheets)):
        if x in xs and share < 1 / 3:
            out.slow.setdefault(t.key, {})[x] = y
            out.shares.append(share)


def drop_rows(op, tables, drops, reason, out, sheets=None):
    """drops: {key: set of x}; a table that loses half goes as a whole"""
    result = []
    for t in tables:
        xs = drops.get(t.key, ())
        if 2 * len(xs) > len(t.x):
            xs = set(t.x)
        if xs:
            out.add(op, t.key, sorted(int(x) for x in xs), reason)
        if xs and sheets:
            keep_slow(t, xs, sheets, out)
        t = without(t, xs)
        if len(t.x) > 0:
            result.append(t)
    return result


def by_shape(tables):
    """Balanced MoE tables that differ in ep only: {rest: {ep: table}}."""
    groups = collections.OrderedDict()
    for t in tables:
        if t.key[4] == "balanced":
            groups.setdefault(t.key[:9], {})[t.key[9]] = t
    return groups


def like_unsplit(tables):
    """Tables whose GPU did more than its part. Where all experts of a token
    were put on one GPU, the one that was measured had min(1, top_k / ep) of
    the pairs, not 1 / ep. Such a shape is known by its beginning: where
    compute dominates, it takes as long as ep = 1 while higher ep falls, as
    splitting in two must save more than any later splitting saves; one that
    takes longer than ep = 1 is another matter, see impossible_ep. Then its
    tables with as much more time go, too."""
    drops = {}
    for eps in by_shape(tables).values():
        if 1 not in eps or len(eps) < 3:
            continue
        order = sorted(eps)
        top_k = eps[1].key[7]
        common = set.intersection(*(set(t.x) for t in eps.values()))
        x = max(common, default=0)
        if x == 0:
            continue
        r = [eps[e].y[eps[e].x == x][0] for e in order]
        r = [v / r[0] for v in r]
        saves = [r[i] - r[i + 1] for i in range(len(r) - 1)]
        slower = np.median([eps[order[1]].y[eps[order[1]].x == x]
                            / eps[1].y[eps[1].x == x] for x in common]) > 1.4
        if slower or r[1] <= 0.85 or saves[0] >= 0.5 * max(saves[1:]):
            continue
        flat = True
        for e, ratio in zip(order[1:], r[1:]):
            flat = flat and ratio > 0.85
            part = min(1, top_k / e)
            if flat or (ratio > 1.3 / e and part / 1.8 < ratio < 1.4 * part):
                drops[eps[e].key] = set(eps[e].x)
    return drops


def impossible_ep(tables):
    """Rows that take 1.4 times as long as a GPU with more experts and pairs
    took, or 6 times as long as one with half of both (a cache that holds the
    half explains up to 5). The row with most such contradictions goes first;
    between two, the slower one: libraries pick slow kernels by mistake, never
    fast ones."""
    drops = collections.defaultdict(set)
    for eps in by_shape(tables).values():
        for x in sorted(set().union(*(t.x for t in eps.values()))):
            y = {e: t.y[t.x == x][0] for e, t in eps.items() if x in t.x}
            while True:
                pairs = [(a, b) for a in y for b in y if a < b
                         and (y[b] > 1.4 * y[a]
                              or (b == 2 * a and y[a] > 6 * y[b]))]
                if not pairs:
                    break
                count = collections.Counter(e for p in pairs for e in p)
                worst = max(count, key=lambda e: (count[e], y[e]))
                drops[eps[worst].key].add(x)
                del y[worst]
    return drops


def off_curve(t):
    """[n] log of a row over the line between its neighbours; 0 at ends."""
    d = np.zeros(len(t.x))
    if len(t.x) > 2:
        lx, ly = np.log(t.x), np.log(t.y)
        w = (lx[1:-1] - lx[:-2]) / (lx[2:] - lx[:-2])
        d[1:-1] = ly[1:-1] - ly[:-2] * (1 - w) - ly[2:] * w
    return d


def spikes(tables, same_kernel):
    """Rows 1.6 times above or below both neighbours, unless at least a third
    of the tables of the same kernel that have this point do likewise."""
    found, seen = {}, collections.Counter()
    hits = collections.Counter()
    for t in tables:
        y = t.y
        for i in range(1, len(y) - 1):
            group = same_kernel(t.key) + (t.x[i],)
            seen[group] += 1
            lo, hi = min(y[i - 1], y[i + 1]), max(y[i - 1], y[i + 1])
            if y[i] > 1.6 * hi or y[i] < lo / 1.6:
                found.setdefault(t.key, set()).add(t.x[i])
                hits[group] += 1
    return {key: {x for x in xs
                  if 3 * hits[same_kernel(key) + (x,)]
                  < max(3, seen[same_kernel(key) + (x,)])
                  or hits[same_kernel(key) + (x,)] == 1}
            for key, xs in found.items()}


def plateaus(tables):
    """Rows at least twice as slow as some row with more of the same work,
    and 1.5 times as slow as the last sound row with less. Where it happens
    to a twelfth of a kernel's tables it is the kernel's nature."""
    drops = collections.defaultdict(set)
    kernels = collections.Counter(t.key[:4] for t in tables)
    for t in tables:
        later = np.minimum.accumulate(t.y[::-1])[::-1]
        sound = t.y[0]
        for i in range(1, len(t.y)):
            if t.y[i] > 2 * later[i] and t.y[i] > 1.5 * sound * min(
                    1, t.x[i] / t.x[i - 1] / 2):
                drops[t.key].add(t.x[i])
            else:
                sound = t.y[i]
    hit = collections.Counter(key[:4] for key, xs in drops.items() if xs)
    return {key: xs for key, xs in drops.items()
            if 12 * hit[key[:4]] <= kernels[key[:4]]}


def cold_starts(tables):
    """First rows 1.6 times above both rows that follow."""
    return {t.key: {t.x[0]} for t in tables
            if len(t.x) > 2 and t.y[0] > 1.6 * max(t.y[1], t.y[2])}


def clean(op, tables, out):
    if op == "wide":  # each row has its own draw of loads
        return tables
    kernel = {"moe": lambda k: k[:4], "attention": lambda k: k[:2],
              "gemm": lambda k: k[:2]}.get(op, lambda k: k[:3])
    if op == "exchange":
        tables = drop_rows(op, tables, cold_starts(tables),
                           "1.6 times above both rows that follow", out)
    if op == "moe":
        sheets = data_sheets()
        tables = drop_rows(op, tables, like_unsplit(tables),
                           "its GPU did the work of several", out)
        tables = drop_rows(op, tables, impossible_ep(tables),
                           "contradicts other ep of the same shape", out,
                           sheets)
        tables = drop_rows(op, tables, plateaus(tables),
                           "slower than twice the time of more tokens", out,
                           sheets)
    return drop_rows(op, tables, spikes(tables, kernel),
                     "1.6 times off both neighbours", out)


# ---- physical models; keep in step with src/cluster/silicon_*.c ----

WEIGHT_BYTES = {"bfloat16": 2, "fp8": 1, "fp8_block": 1}
MOE_PARAMS = 6
LAUNCH, BANDWIDTH, RATE, ROW, EXPERT, PAD = range(MOE_PARAMS)


def moe_features(key, tokens):
    """Active experts on the GPU, pairs of each, bytes and FLOP of an expert,
    elements of the rows that the kernel passes on."""
    hidden, inter, top_k, experts, ep = key[5:]
    local = experts / ep
    pairs = tokens * top_k / ep
    if key[4] == "balanced":
        active = np.maximum(np.minimum(local, pairs), min(1, local))
    else:
        active = np.maximum(local * -np.expm1(-pairs / local),
                            min(top_k, local))
    matrices = 2 if key[2].endswith("nongated") else 3
    weights = matrices * hidden * inter
    return (active, pairs / active, weights * WEIGHT_BYTES[key[3]],
            2 * weights, tokens * top_k * (2 * hidden + 3 * inter))


def smooth_max(a, b):
    return (a ** 4 + b ** 4) ** 0.25


def moe_model(theta, key, tokens):
    p = np.exp(theta)
    active, rows, size, flop, elements = moe_features(key, tokens)
    return (p[LAUNCH] + p[EXPERT] * active + p[ROW] * elements + active *
            smooth_max(size / p[BANDWIDTH], flop * (rows + p[PAD]) / p[RATE]))


def attention_model(theta, key, seq):
    p = np.exp(theta)
    heads, kv_heads, dim, batch = key[2:]
    flop = 2 * batch * heads * seq * seq * dim
    size = 4 * batch * seq * dim * (heads + kv_heads)
    return p[0] + smooth_max(size / p[1], flop / p[2])


def gemm_model(theta, key, m):
    p = np.exp(theta)
    n, k = key[2:]
    return p[0] + smooth_max(2 * (m * n + m * k + n * k) / p[1],
                             2 * m * n * k / p[2])


def attention_work(key, kv_len):
    """Bytes of keys and values, FLOP, and heads of all sequences."""
    if len(key) == 5:  # MLA: 192 + 128 per head in prefill, a latent after
        phase, batch, heads = key[2:]
        if phase == "prefill":
            return (2 * batch * kv_len * heads * 640,
                    batch * heads * kv_len * kv_len * 320, batch * heads)
        return (2 * batch * kv_len * 576, 2 * batch * heads * kv_len * 1088,
                batch * heads)
    heads, kv_heads, dim, batch, window = key[3:]
    n = np.minimum(kv_len, window + 128) if window else kv_len
    return (4 * batch * kv_heads * dim * n, 4 * batch * heads * dim * n,
            batch * heads)


CACHED_PARAMS = 6
HEAD, CACHE, CACHE_BANDWIDTH = range(3, 6)  # after launch, bandwidth, rate


def cached_model(theta, key, kv_len):
    """What fits the cache is read from there, as kernels are timed again and
    again on the same data."""
    p = np.exp(theta)
    size, flop, heads = attention_work(key, kv_len)
    far = 1 / (1 + (p[CACHE] / size) ** 6)
    read = size * (far / p[BANDWIDTH] + (1 - far) / p[CACHE_BANDWIDTH])
    return p[LAUNCH] + p[HEAD] * heads + smooth_max(read, flop / p[RATE])


def log_choose(n, k):
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def destinations(gpus, experts, top_k):
    """GPUs that a token's experts are on, drawn at random."""
    others = experts - experts / gpus
    if others < top_k:
        return gpus
    return gpus * (1 - math.exp(log_choose(others, top_k)
                                - log_choose(experts, top_k)))


ROW_BYTES = {"nvfp4": 0.5625, "fp8": 1, "bfloat16": 2}


def exchange_work(key, tokens):
    """Bytes of a GPU to others of its node, and to other nodes. Low latency
    sends a row per expert, others one per GPU and one per node, 4 at most."""
    stack, direction = key[1:3]
    nodes, gpus, hidden, top_k, experts, _ = key[3:]
    width = 2 if direction == "combine" else ROW_BYTES.get(
        stack.split("-")[-1], 1 + 4 / 128)
    if "deepep-ll" in stack:
        near, far = top_k / nodes, top_k * (nodes - 1) / nodes
    else:
        near = destinations(gpus, experts, top_k) * (1 - 1 / gpus)
        far = min(nodes, 4) * (nodes - 1) / nodes
    return tokens * hidden * width * near, tokens * hidden * width * far


NEAR, PER_SM, FAR, SPREAD, TOKEN = range(1, 6)  # after launch


def exchange_model(theta, key, tokens):
    p = np.exp(theta)
    near, far = exchange_work(key, tokens)
    nodes, gpus, sms = key[3], key[4], key[8]
    rate = p[NEAR] if sms == 0 else 1 / smooth_max(
        1 / p[NEAR], 1 / (p[PER_SM] * sms))
    launch = p[LAUNCH] * nodes ** p[SPREAD] * (gpus / nodes / 8) ** 0.2
    return launch + p[TOKEN] * tokens + smooth_max(near / rate, far / p[FAR])


WIDE_SKEW = 3  # instead of ROW


def wide_model(theta, key, tokens):
    """The slowest rank. Without replicas it has ep ** skew times the mean."""
    p = np.exp(theta)
    hidden, inter, top_k, _, slots, ep, eplb = key[4:]
    local = slots / ep
    pairs = tokens * top_k / ep * (1 if eplb else ep ** p[WIDE_SKEW])
    pairs = np.minimum(pairs, tokens * np.minimum(top_k, local))
    active = np.maximum(local * -np.expm1(-pairs / local), min(1, local))
    weights = 3 * hidden * inter
    size = weights * WEIGHT_BYTES.get(key[2], 0.5625)
    return p[LAUNCH] + active * (p[EXPERT] + smooth_max(
        size / p[BANDWIDTH], 2 * weights * (pairs / active + p[PAD]) / p[RATE]))


# first guess and limits: us, B/us, FLOP/us, us per element, us, rows
MOE_START = np.log([20, 1e6, 3e8, 1e-6, 1e-1, 8])
MOE_LIMITS = np.log([[1, 1e5, 1e7, 1e-9, 1e-3, .5],
                     [300, 1e7, 3e9, 1e-2, 50, 256]])
DENSE_START = np.log([5, 1e6, 2e8])
DENSE_LIMITS = np.log([[.5, 1e4, 1e6], [100, 3e7, 5e9]])


CACHED_START = np.log([12, 1e6, 2e8, 1e-3, 6e7, 5e6])
CACHED_LIMITS = np.log([[1, 1e5, 1e7, 1e-7, 1e6, 1e6],
                        [100, 3e7, 5e9, 1, 4e8, 3e7]])
EXCHANGE_START = np.log([30, 2e5, 1e4, 5e4, .5, 1e-3])
EXCHANGE_LIMITS = np.log([[3, 1e4, 1e3, 5e3, .01, 1e-6],
                          [200, 3e6, 3e5, 1e6, 2, 1]])
WIDE_START = np.log([20, 2e6, 5e8, .2, 1, 8])
WIDE_LIMITS = np.log([[1, 1e5, 1e7, 1e-3, 1e-3, .5],
                      [300, 1e7, 8e9, 1, 50, 256]])


def fit(model, tables, start, limits, steps):
    """Least sum of |log error|: Levenberg-Marquardt on reweighted squares."""
    def residuals(theta):
        return np.concatenate([np.log(model(theta, t.key, t.x)) - np.log(t.y)
                               for t in tables])
    theta, damp = np.clip(start, *limits), 1e-2
    r = residuals(theta)
    step = np.eye(len(theta)) * 1e-3
    for _ in range(steps):
        jac = np.stack([(residuals(theta + s) - r) / 1e-3 for s in step], 1)
        w = 1 / np.maximum(np.abs(r), .03)
        h, g = jac.T @ (jac * w[:, None]), jac.T @ (w * r)
        while damp < 1e6:
            move = np.linalg.solve(h + damp * np.diag(np.diag(h) + 1e-6), -g)
            trial = np.clip(theta + move, *limits)
            r_trial = residuals(trial)
            if np.abs(r_trial).sum() < np.abs(r).sum():
                theta, r, damp = trial, r_trial, damp * .4
                break
            damp *= 4
        else:
            break
    return theta, float(np.median(np.abs(np.expm1(r))))


def fit_moe(tables):
    """[(key of kernel, shape left out or None, parameters, error)]"""
    groups, fits = collections.OrderedDict(), []
    for t in tables:
        groups.setdefault(t.key[:4], []).append(t)
    for kernel, members in groups.items():
        theta, error = fit(moe_model, members, MOE_START, MOE_LIMITS, 40)
        fits.append((kernel, None, theta, error))
        print(f"  {' '.join(kernel)}: {len(members)} tables, median "
              f"{100 * error:.1f} %")
        shapes = list(dict.fromkeys(t.key[5:9] for t in members))
        for shape in shapes if len(shapes) > 1 else []:
            rest = [t for t in members if t.key[5:9] != shape]
            part, error = fit(moe_model, rest[::2], theta, MOE_LIMITS, 8)
            fits.append((kernel, shape, part, error))
    return fits


DENSE = {
    "attention": (attention_model, DENSE_START, DENSE_LIMITS),
    "gemm": (gemm_model, DENSE_START, DENSE_LIMITS),
    "exchange": (exchange_model, EXCHANGE_START, EXCHANGE_LIMITS),
    "decode": (cached_model, CACHED_START, CACHED_LIMITS),
    "mla": (cached_model, CACHED_START, CACHED_LIMITS),
    "wide": (wide_model, WIDE_START, WIDE_LIMITS),
}


def fit_dense(tables, width, model, start, limits):
    groups = collections.OrderedDict()
    for t in tables:
        groups.setdefault(t.key[:width], []).append(t)
    return [(key, None) + fit(model, members, start, limits, 40)
            for key, members in groups.items()]


# ---- writing ----

def untimed(kind):
    """Creation properties: in order, without times, so that each run makes
    the same file."""
    properties = h5py.h5p.create(kind)
    properties.set_link_creation_order(h5py.h5p.CRT_ORDER_TRACKED
                                       | h5py.h5p.CRT_ORDER_INDEXED)
    properties.set_obj_track_times(False)
    return properties


def create_file(path):
    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_libver_bounds(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_V18)
    return h5py.File(h5py.h5f.create(path.encode(), h5py.h5f.ACC_TRUNC,
                                     untimed(h5py.h5p.FILE_CREATE), access))


def create_group(file, name):
    return h5py.Group(h5py.h5g.create(file.id, name.encode(), gcpl=untimed(
        h5py.h5p.GROUP_CREATE)))


class Names(dict):
    """Text to code: one dictionary for the whole file."""

    def code(self, text):
        return self.setdefault(text, len(self))


def put(group, name, values, dtype, units=None):
    data = np.asarray(values, dtype)
    packed = {"compression": "gzip", "shuffle": True} if data.size > 64 else {}
    dataset = group.create_dataset(name, data=data, track_times=False,
                                   **packed)
    if units:
        dataset.attrs["units"] = units
    return data


def put_tables(file, op, texts, numbers, axis, tables, names, digest):
    group = create_group(file, op)
    first = np.cumsum([0] + [len(t.x) for t in tables])
    for i, column in enumerate(texts):
        put(group, column, [names.code(t.key[i]) for t in tables], "u1")
    for i, column in enumerate(numbers):
        put(group, column.rstrip("?"), [t.key[len(texts) + i] for t in tables],
            "<i4")
    put(group, "first", first, "<i4")
    unit = {"buffer_bytes": "B"}.get(axis, "1")
    x = np.concatenate([t.x for t in tables])
    put(group, "x", x, "<i4", unit)
    group["x"].attrs["long_name"] = axis
    y = put(group, "latency_us", np.concatenate([t.y for t in tables]), "<f4",
            "us")
    digest.update(x.astype("<i4").tobytes() + y.tobytes())


def slow_tables(out):
    return [Table(key, *(np.array(v) for v in zip(*sorted(rows.items()))))
            for key, rows in out.slow.items()]


def put_fits(file, op, texts, fits, shape_columns, names):
    group = create_group(file, op + "_fit")
    for i, column in enumerate(texts):
        put(group, column, [names.code(f[0][i]) for f in fits], "u1")
    for i, column in enumerate(shape_columns):  # 0: no shape left out
        put(group, "without_" + column,
            [f[1][i] if f[1] else 0 for f in fits], "<i4")
    put(group, "parameters", [np.exp(f[2]) for f in fits], "<f8")
    put(group, "median_error", [f[3] for f in fits], "<f8", "1")


def put_left_out(file, out):
    group = create_group(file, "left_out")
    rows = sorted(out.counts.items())
    text = h5py.string_dtype()
    for i, column in enumerate(("op", "gpu", "stack", "reason")):
        group.create_dataset(column, data=[k[i] for k, _ in rows], dtype=text,
                             track_times=False)
    put(group, "rows", [n for _, n in rows], "<i4")


def write(path, converted, fits, out):
    names, digest = Names(), hashlib.sha256()
    partial = path + ".partial"
    with create_file(partial) as file:
        for (_, op, texts, numbers, axis), tables in zip(OPS, converted):
            put_tables(file, op, texts, numbers, axis, tables, names, digest)
        slow = slow_tables(out)
        if slow:
            put_tables(file, "moe_slow", *OPS[0][2:], slow, names, digest)
        put_fits(file, "moe", ["gpu", "stack", "kernel", "dtype"], fits["moe"],
                 ["hidden", "inter", "top_k", "experts"], names)
        for _, op, texts, _, _ in OPS[2:]:
            put_fits(file, op, texts, fits[op], [], names)
        file.create_dataset("names", data=list(names),
                            dtype=h5py.string_dtype(), track_times=False)
        put_left_out(file, out)
        file.attrs["schema"] = "moe-gps-silicon"
        file.attrs["schema_version"] = "1.1.0"
        file.attrs["source"] = SOURCE
        file.attrs["licence"] = LICENCE
        file.attrs["sha256"] = digest.hexdigest()
    os.replace(partial, path)


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__.split("\n\n")[1])
    folder, path = sys.argv[1:3]
    out, converted = LeftOut(), []
    for name, op, texts, numbers, axis in OPS:
        raw = read_rows(os.path.join(folder, name), texts, numbers, axis)
        if op == "moe":
            raw.update(of_one_rank(read_rows(
                os.path.join(folder, OPS[-1][0]), *OPS[-1][2:])))
        tables = merge_repeats(op, raw, out)
        before = sum(len(t.x) for t in tables)
        tables = clean(op, tables, out)
        after = sum(len(t.x) for t in tables)
        kept = sum(len(rows) for rows in out.slow.values())
        kept = kept if op == "moe" else 0
        print(f"{op}: {after} rows in {len(tables)} tables, {kept} of slow "
              f"kernels, {before - after - kept} left out")
        converted.append(tables)
    for (op, gpu, stack, reason), n in sorted(out.counts.items()):
        print(f"  set apart: {n:5d}  {op} {gpu} {stack}: {reason}")
    if out.shares:
        print("  slow kernels reach %.0f %% (10th percentile), %.0f %% "
              "(median), %.0f %% (90th) of the data sheet" % tuple(
                  100 * np.quantile(out.shares, [.1, .5, .9])))
    if len(sys.argv) == 4:
        with open(sys.argv[3], "w") as file:
            file.write("".join(line + "\n" for line in out.lines))
    print("fits:")
    fits = {"moe": fit_moe(converted[0])}
    for (_, op, texts, _, _), tables in zip(OPS[2:], converted[2:]):
        fits[op] = fit_dense(tables, len(texts), *DENSE[op])
    write(path, converted, fits, out)
    print(f"{path}: {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    try:
        main()
    except (BadRow, OSError) as e:
        print(f"convert_silicon.py: {e}", file=sys.stderr)
        sys.exit(2)
