# SPDX-License-Identifier: Apache-2.0
"""Runs, advice and maps that tools/paper.py writes about, and their tables."""
import csv
import json
import os
import subprocess
import sys
import tempfile

import h5py
import numpy as np

PROGRAM = os.environ.get("PROGRAM", "./moegps")
MPIRUN = os.environ.get("MPIRUN", "mpirun")
HIDDEN, INTER = 4096, 14336  # of an expert of Mixtral 8x7B
A100_FLOPS = 312e12          # NVIDIA A100 data sheet, dense bf16
MODEL, TRACE, GPUS, SEQ = "mixtral-8x7b", "mixtral-8x7b-mmlu", 4, 512
# The paper's own figures for Mixtral on MMLU, and its headline.
PAPER_SKEW, PAPER_ERROR, PAPER_WIN = 1.39, 0.018, 1.23
CLUSTERS = {
    "a100-paper": "A100 as simulated",
    "a100-nvlink": "A100 NVLink",
    "h100-nvlink": "H100 NVLink",
    "l40s-pcie": "L40S PCIe",
}
SAMPLES = 15
# Root in a container is common; Open MPI wants to be told twice.
os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT", "1")
os.environ.setdefault("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
LETTERS = "BDTO"


def call(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"paper.py: {' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout


def advise(cluster, *options):
    return json.loads(call(PROGRAM, "advise", "--model", MODEL, "--cluster", cluster,
                           "--gpus", GPUS, *options, "--json", "-"))


def traced(cluster, batch, *options):
    """Advice for real batches; token-to-expert is made to lose, so that the
    interval of the verdict is that of distribution-only against baseline."""
    return advise(cluster, "--trace", TRACE, "--batch", batch, "--seq", SEQ,
                  "--samples", SAMPLES, "--planner-time", 0, "--no-limits",
                  "--accuracy", 1, "--overhead", "900%", *options)


def layer_s(advice, strategy, case="typical"):
    return advice["strategies"][strategy][case]["layer_s"]


def sweep(folder, *options):
    path = os.path.join(folder, "map.h5")
    # What options do not say: the paper's error of Mixtral on MMLU, and its accuracy.
    call(PROGRAM, "map", "--error", 0.018, "--accuracies", 0.9, *options, "-o", path, "--force")
    with h5py.File(path) as f:
        g = f["map"]
        return {k: g[k][:] for k in ("layer_time", "winner", "margin", "skew_value",
                                     "bandwidth_value", "accuracy_value", "batch")}


def table(head, rows):
    right = [":---"] + ["---:"] * (len(head) - 1)
    lines = [head, right] + rows
    return "\n".join("| " + " | ".join(str(c) for c in r) + " |" for r in lines) + "\n"


def cell(m, at):
    return f"{LETTERS[m['winner'][at]]} {100 * m['margin'][at]:.0f}"


def percent(ratio, digits=1):
    return f"{100 * (ratio - 1):+.{digits}f} %"


# ---- real runs ----

def run(folder, cluster, batch, seq=SEQ):
    path = os.path.join(folder, f"{cluster}-{batch}.h5")
    call(MPIRUN, "-n", GPUS, "--oversubscribe", "--bind-to", "none", "--mca",
         "mpi_yield_when_idle", 1, PROGRAM, "run", "jobs/paper.yaml", "-q", "--force",
         "--set", f"cluster={cluster}", "--set", f"workload.batch={batch}", "--set", f"workload.seq={seq}", "-o", path)
    report = json.loads(call(PROGRAM, "report", path, "--json", "-"))["runs"][0]
    if report["result"] != "VALID":
        sys.exit(f"paper.py: run on {cluster} is {report['result']}")
    with h5py.File(path) as f:
        exposed = np.nan_to_num(f["timing/exposed"][:]).max(axis=-1).mean(axis=2)
        gpu = np.nan_to_num(f["timing/gpu"][:]).max(axis=-1).mean(axis=2)
        phases = [p.decode() for p in f["timing/phase"][:]]
        pairs = f["load/rank_pairs"][:].astype(float)
        true = f["load/true_pairs"][:].astype(float)
        moved = f["plan/moved_bytes"][:].astype(float).mean(axis=2)
    return {"report": report, "phases": phases,
            "exposed": np.median(exposed, axis=1), "gpu": np.median(gpu, axis=1),
            "imbalance": np.median((pairs.max(-1) / pairs.mean(-1)).mean(-1), axis=1),
            "skew": np.median((true.max(-1) / true.mean(-1)).mean(-1)),
            "moved": np.median(moved, axis=1), "n": report["measured"]}


def metric(run_, strategy, name="layer_time_gpu"):
    for s in run_["report"]["strategies"]:
        if s["name"] == strategy:
            return s["metrics"][name]
    return None


def phase(run_, strategy, name, what="exposed"):
    names = [s["name"] for s in run_["report"]["strategies"]]
    return run_[what][names.index(strategy)][run_["phases"].index(name)]


def moved(run_, strategy):
    """B of weights per layer and batch."""
    names = [s["name"] for s in run_["report"]["strategies"]]
    return run_["moved"][names.index(strategy)]


def run_table(runs):
    rows = []
    for (cluster, batch), r in runs.items():
        for i, s in enumerate(r["report"]["strategies"]):
            t = s["metrics"]["layer_time_gpu"]
            rows.append([f"{CLUSTERS[cluster]}, {batch * SEQ} tokens" if i == 0 else "",
                         s["name"], f"{1e6 * t['median']:.0f}",
                         f"{1e6 * t['ci_low']:.0f} .. {1e6 * t['ci_high']:.0f}",
                         f"{t['ratio']:.3f}",
                         f"{t['ratio_ci_low']:.3f} .. {t['ratio_ci_high']:.3f}",
                         f"{r['imbalance'][i]:.3f}",
                         f"{1e6 * phase(r, s['name'], 'migrate'):.0f}"])
    return table(["run", "strategy", "layer, us", "95 % interval",
                  "speed-up", "95 % interval", "GPU max/mean", "migrate exposed, us"],
                 rows)


# ---- Figure 7 ----

def figure7(folder):
    return {"paper": sweep(folder, "--preset", "paper-mixtral"),
            "real": sweep(folder, "--model", MODEL, "--clusters", "a100-paper",
                          "--bottleneck", "--moving", 0, "--bandwidths",
                          "300e9,100e9,32e9,16e9")}


def figure7_table(m):
    skews = m["skew_value"]
    rows = []
    for w, b in enumerate(m["bandwidth_value"][0]):
        rows.append([f"{2e-9 * b:.0f}"] +
                    [cell(m, (0, 1, 0, 0, k, w)) for k in range(len(skews))])
    return table(["GB/s, both directions"] + [f"{s:g}" for s in skews], rows)


def silicon_maps(folder):
    names = [c for c in CLUSTERS if c != "a100-paper"]
    m = sweep(folder, "--model", MODEL, "--clusters", ",".join(names), "--gpus", GPUS,
              "--batches", "1,4,16,64", "--skews", "1,1.4,2,3,4", "--samples", 9)
    rows = []
    for c, name in enumerate(names):
        for b, batch in enumerate(m["batch"]):
            rows.append([f"{CLUSTERS[name]}, {batch * SEQ} tokens"] +
                        [cell(m, (c, 1, b, 0, k, 0)) for k in range(5)])
    return table(["skewness of experts"] + [f"{s:g}" for s in m["skew_value"]], rows)


def scale_maps(folder):
    rows = []
    for model, gpus, batches in (("deepseek-v3", 32, "8,64,512"), ("deepseek-v3", 256, "64,512"),
                                 ("gpt-oss-120b", 8, "1,16,128")):
        m = sweep(folder, "--model", model, "--clusters", "h100-nvlink", "--gpus", gpus,
                  "--batches", batches, "--skews", "1,2,4,8,16")
        for b, batch in enumerate(m["batch"]):
            rows.append([f"{model}, {gpus} H100, {batch * SEQ} tokens"] +
                        [cell(m, (0, 1, b, 0, k, 0)) for k in range(5)])
    return table(["skewness of experts", "1", "2", "4", "8", "16"], rows)


# ---- which overhead makes 23 % ----

ACCURACIES = [1.0, 0.95, 0.9, 0.8, 0.7, 0.5]


def needed(token_s, rival_s, base_s):
    """Overhead, exposed, that makes token-to-expert 1.23 times as slow."""
    overhead = PAPER_WIN * rival_s - token_s
    return overhead, overhead / base_s


def overhead_by_hand(folder, bandwidth):
    options = ["--preset", "paper-mixtral", "--skews", PAPER_SKEW, "--bandwidths",
               bandwidth, "--error", PAPER_ERROR, "--accuracies",
               ",".join(map(str, ACCURACIES))]
    t = sweep(folder, *options, "--overhead", 0)["layer_time"][0, 1, 0, :, 0, 0, :]
    curve = [needed(row[2], row[1], row[0]) for row in t]
    # The solution put back in.
    again = sweep(folder, *options, "--overhead", curve[0][0])["layer_time"][0, 1, 0, 0, 0, 0]
    assert abs(again[2] / again[1] / PAPER_WIN - 1) < 1e-6, again
    return curve


def overhead_on_trace(cluster, batch, moving):
    curve = []
    for accuracy in ACCURACIES:
        a = advise(cluster, "--trace", TRACE, "--batch", batch, "--seq", SEQ, "--samples",
                   SAMPLES, "--planner-time", 0, "--no-limits", "--overhead", 0,
                   "--accuracy", accuracy, "--moving", moving)
        curve.append(needed(layer_s(a, "token-to-expert"), layer_s(a, "distribution-only"),
                            layer_s(a, "baseline")))
    return curve


def accuracy_of_win(folder, bandwidth, overhead_s):
    """By hand: the accuracy, in steps of 1 %, up to which a predictor with this
    overhead is 1.23 times as slow as distribution-only, or slower."""
    grid = [i / 100 for i in range(101)]
    t = sweep(folder, "--preset", "paper-mixtral", "--skews", PAPER_SKEW, "--bandwidths",
              bandwidth, "--error", PAPER_ERROR, "--accuracies", ",".join(map(str, grid)),
              "--overhead", overhead_s)["layer_time"][0, 1, 0, :, 0, 0, :]
    slow = [a for a, row in zip(grid, t) if row[2] >= PAPER_WIN * row[1]]
    return max(slow) if slow else 0.0


def overhead_table(curves):
    rows = []
    for i, accuracy in enumerate(ACCURACIES):
        row = [f"{100 * accuracy:.0f} %"]
        for curve in curves.values():
            s, share = curve[i]
            row.append(f"{1e6 * s:.0f} us, {100 * share:.0f} %" if s > 0
                       else "0: slower by more")
        rows.append(row)
    return table(["accuracy"] + list(curves), rows)


def cost(folder, op, head, rows):
    """Seconds of operations, by `moegps cost`."""
    path, out = os.path.join(folder, "in.csv"), os.path.join(folder, "out.csv")
    with open(path, "w") as f:
        f.write("\n".join(",".join(map(str, r)) for r in [head] + rows) + "\n")
    call(PROGRAM, "cost", "--op", op, "--csv", path, "-o", out, "--force")
    with open(out) as f:
        return [1e-6 * float(r["latency_us"]) for r in csv.DictReader(f)]


def predictor_s(folder):
    """A dense predictor 4096 -> 128 -> 64 -> 8 on a layer's 512 tokens, each GPU
    its quarter, from measured GEMMs of an A100."""
    return sum(cost(folder, "gemm", ["gpu", "stack", "m", "n", "k"],
                    [["a100_sxm", "sglang-0.5.10", SEQ // GPUS, n, k]
                     for n, k in ((128, 4096), (64, 128), (8, 64))]))


def share_of_peak(folder):
    """What Mixtral's measured FFN kernel reaches on an A100, by tokens."""
    tokens = [1024, 2048, 4096, 8192, 16384]
    head = ["gpu", "stack", "dtype", "hidden", "inter", "top_k", "experts", "ep",
            "distribution", "tokens"]
    times = cost(folder, "moe_ffn", head,
                 [["a100_sxm", "sglang-0.5.10", "bfloat16", HIDDEN, INTER, 2, 8, 1,
                   "balanced", t] for t in tokens])
    return [t * 2 * 6 * HIDDEN * INTER / s / A100_FLOPS for t, s in zip(tokens, times)]


# ---- from how many tokens ----

def gain(cluster, batch, *options):
    """Speed-up of distribution-only over the baseline, and its interval."""
    a = traced(cluster, batch, *options)
    ratio = layer_s(a, "baseline") / layer_s(a, "distribution-only")
    v = a["verdict"]
    low, high = v["ratio_ci_low"], v["ratio_ci_high"]
    if low is not None and v["winner"]["typical"] == "baseline":
        low, high = 1 / high, 1 / low
    return ratio, low, high, a


def mark(low, high, advice):
    """? where samples leave the sign open, or too few of them are independent, ~
    where the model's own error does."""
    return (("" if low is not None and (low > 1 or high < 1) else " ?") +
            ("" if advice["verdict"]["survives_model_error"] else " ~"))


def pays_from(cluster):
    """Smallest batch, in sequences, from which distribution-only wins at that
    and the next doubling; and the largest below that loses."""
    batch = 1
    while gain(cluster, batch)[0] <= 1 or gain(cluster, 2 * batch)[0] <= 1:
        batch *= 2
        if batch > 256:
            return None
    low, high = batch // 2, batch
    while high - low > 1:
        middle = (low + high) // 2
        if gain(cluster, middle)[0] > 1:
            high = middle
        else:
            low = middle
    return high


BATCHES = [1, 2, 4, 8, 16, 32, 64]


def tokens_table(from_batch):
    rows = []
    for cluster, name in CLUSTERS.items():
        row = [name]
        for batch in BATCHES:
            ratio, low, high, advice = gain(cluster, batch)
            row.append(percent(ratio) + mark(low, high, advice))
        first = from_batch[cluster]
        row.append("not up to 131072" if first is None else f"{first * SEQ}")
        rows.append(row)
    return table(["speed-up at tokens"] + [b * SEQ for b in BATCHES] + ["wins from"], rows)


# ---- relocation ----

def relocation(cluster, batch):
    """Placement alone: rows that an oracle sends ahead would be counted, too."""
    plain = ("--moving", 0, "--no-direct-routing")
    copies = traced(cluster, batch, *plain)
    moved = traced(cluster, batch, *plain, "--planner", "relocate", "--slots", 2)
    base = layer_s(copies, "baseline")
    free = traced(cluster, batch, "--moving", 1, "--no-direct-routing")
    return {"trained relocation": base / layer_s(moved, "distribution-only"),
            "best relocation": base / layer_s(moved, "oracle"),
            "trained copies": base / layer_s(copies, "distribution-only"),
            "best copies": base / layer_s(copies, "oracle"),
            "best copies, moved": base / layer_s(free, "oracle"),
            "imbalance": [copies["strategies"]["baseline"]["typical"]["imbalance"],
                          moved["strategies"]["distribution-only"]["typical"]["imbalance"],
                          moved["strategies"]["oracle"]["typical"]["imbalance"]]}


def relocation_table(found):
    keys = ["trained relocation", "best relocation", "trained copies", "best copies",
            "best copies, moved"]
    rows = [[f"{CLUSTERS[c]}, {b * SEQ} tokens"] + [percent(r[k]) for k in keys]
            for (c, b), r in found.items()]
    return table(["speed-up over baseline", "relocation, fixed", "relocation, best of every batch",
                  "copies, fixed", "copies, best of every batch",
                  "the same, weights travel"], rows)


def pairings(items):
    if not items:
        yield []
        return
    first = items[0]
    for i in range(1, len(items)):
        rest = items[1:i] + items[i + 1:]
        for others in pairings(rest):
            yield [(first, items[i])] + others


def exhaustive():
    """Imbalance of all test questions together, layer by layer: homes, and the
    best of all 105 ways to pair 8 experts on 4 GPUs."""
    with h5py.File(f"jobs/traces/{TRACE}.h5") as f:
        counts = f["counts"][:][f["split"][:] == 1].astype(float)
        n = counts.shape[0]
    load = counts.sum(axis=0)
    mean = load.sum(axis=1) / GPUS
    home = load.reshape(load.shape[0], GPUS, -1).sum(-1).max(-1) / mean
    ways = np.array(list(pairings(list(range(load.shape[1])))))
    best = load[:, ways].sum(-1).max(-1).min(-1) / mean
    skew = load.max(-1) / load.mean(-1)
    return {"n": n, "home": home, "best": best, "skew": skew, "ways": len(ways)}
