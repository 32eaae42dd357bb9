#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Make results/deployments.md: what published systems reached (results/published.csv)
beside what this program prices, and where copies win in the deployments that people
run. Every number of ours is computed anew.

    tools/deployments.py [OUTPUT.md]

Needs a built program; PROGRAM names another one.
"""
import csv
import json
import math
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PROGRAM = os.environ.get("PROGRAM", os.path.join(ROOT, "moegps"))
SKEWS = [1.5, 2, 3, 4, 6, 8, 12]
NEAR = 0.25
COUNTED = ("lmsys-", "deepseek-", "profile-", "deepep-")
H100, H800, GB200 = "h100-nvlink", "h800-nvlink", "gb200-nvl72"
MIGRATION_RATE = 14e9  # B/s of a GPU: assumption, near what deployments say


def published():
    """{source: [number, ...]} of results/published.csv"""
    with open(os.path.join(ROOT, "results/published.csv"), newline="") as file:
        rows = csv.DictReader(line for line in file if not line.startswith("#"))
        return {r["id"]: [float(x) for x in re.findall(r"\d+(?:\.\d+)?|\.\d+",
                                                       r["value"].replace("..", " "))]
                for r in rows}


PUBLISHED = published()


def run(*words):
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"deployments.py: moegps {' '.join(words)}: {done.stderr}")
    return done.stdout


def options(**values):
    return [f"--{k.replace('_', '-')}={v}" for k, v in values.items()]


class Advice:
    """One call of advise, typical case, no drift of the load."""

    def __init__(self, model="deepseek-v3", planner="eplb", **values):
        words = ["advise", "--no-limits", "--json", "-"]
        self.d = json.loads(run(*words, *options(
            model=model, planner=planner, error=0, accuracy=0.5, **values)))

    def layer_us(self, strategy="baseline"):
        return 1e6 * self.of(strategy)["layer_s"]

    def of(self, strategy):
        return self.d["strategies"][strategy]["typical"]

    def phase_us(self, phase):
        return 1e6 * self.of("baseline")["gpu_s"][phase]

    def node_rate(self, strategy="baseline"):
        """tokens/s of eight GPUs"""
        return 8 * self.d["model"]["strategies"][strategy]["tokens_per_s"]

    def gain(self):
        return (self.node_rate("distribution-only") / self.node_rate())

    def balanced(self):
        return self.of("distribution-only")["imbalance"]


def prefill(skew, overlap="two-batch", cluster=H100):
    return Advice(cluster=cluster, stack="sglang-0.5.10-deepep-normal", gpus=32,
                  batch=128, seq=4096, slots=9, skew=skew, attention="data",
                  exchange="nodes", kernel="deepep-normal", overlap=overlap)


def decode(skew, overlap="two-batch"):
    return Advice(cluster=H100, stack="sglang-0.5.10-deepep-ll", gpus=72,
                  batch=72 * 256, phase="decode", kv_len=2000, slots=4, skew=skew,
                  attention="data", kernel="deepep-ll", overlap=overlap)


def deepseek_decode():
    return Advice(cluster=H800, stack="sglang-0.5.10-deepep-ll", gpus=128,
                  batch=128 * 128, phase="decode", kv_len=4096, slots=3, skew=1,
                  attention="data", kernel="deepep-ll", overlap="two-batch")


def profile(folder):
    """The shared expert is no part of what was published as grouped GEMMs."""
    path = os.path.join(folder, "without-shared.yaml")
    with open(os.path.join(ROOT, "jobs/models/deepseek-v3.yaml")) as file:
        text = re.sub(r"shared_experts: *1", "shared_experts: 0", file.read())
    with open(path, "w") as file:
        file.write(text)
    return Advice(model=path, cluster=H800, stack="sglang-0.5.10-deepep-normal",
                  gpus=64, batch=64, seq=4096, slots=4, skew=1, attention="data",
                  exchange="nodes", kernel="deepep-normal")


# ---- exchange kernels ----

def choose(n, k):
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def visited(places, experts=256, top_k=8):
    """Places that a token's experts are in, drawn at random."""
    return places * -math.expm1(choose(experts - experts // places, top_k)
                                - choose(experts, top_k))


def exchanges(folder, rows):
    """{(kernel, gpus): (dispatch us, combine us, source)} of H100 tables"""
    path = os.path.join(folder, "rows.csv")
    with open(path, "w") as file:
        file.write("gpu,stack,nodes,gpus,hidden,top_k,experts,tokens_per_gpu,sms\n")
        for kernel, gpus, tokens in rows:
            nodes = max(1, gpus // 8)
            file.write(f"h100_sxm,{kernel}-sglang-0.5.6.post2,{nodes},{gpus},7168,8,"
                       f"256,{tokens},{20 if 'normal' in kernel else 0}\n")
    run("cost", "--op", "ep_exchange", "--csv", path, "-o", path + ".out")
    with open(path + ".out", newline="") as file:
        return {(k, g): (float(r["dispatch_us"]), float(r["combine_us"]), r["source"])
                for (k, g, _), r in zip(rows, csv.DictReader(file))}


def of_rate(gpus, rates):
    """us of dispatch and combine, of published GB/s: bytes of 4096 tokens to GPUs
    of a node, or to nodes, four at most."""
    places = visited(8) if gpus == 8 else visited(min(4, gpus // 8))
    widths = [7168 * (1 + 4 / 128), 7168 * 2]
    return [4096 * places * w / (1e3 * r) for w, r in zip(widths, rates)]


# ---- comparison ----

class Row:
    """A published figure and ours; either may be a range."""

    def __init__(self, key, what, unit, published, ours, why):
        self.key, self.what, self.unit, self.why = key, what, unit, why
        self.published, self.ours = published, ours

    @staticmethod
    def middle(x):
        return math.sqrt(min(x) * max(x)) if isinstance(x, (list, tuple)) else x

    def ratio(self):
        return self.middle(self.ours) / self.middle(self.published)

    def near(self):
        return abs(self.ratio() - 1) <= NEAR

    @staticmethod
    def text(x):
        if isinstance(x, (list, tuple)):
            return f"{Row.text(min(x))} .. {Row.text(max(x))}"
        return f"{x:.0f}" if x >= 100 else f"{x:.3g}"

    def line(self):
        return (f"| {self.key} | {self.what}, {self.unit} | {self.text(self.published)} | "
                f"{self.text(self.ours)} | {self.ratio():.2f} | {self.why} |")


SPAN = f"skewness is not said: {SKEWS[0]:g} to {SKEWS[-1]:g}"


def systems(folder):
    pre = {s: prefill(s) for s in SKEWS}
    dec = {s: decode(s) for s in SKEWS}
    even, plain = prefill(1), prefill(1, "none")
    h800, part = prefill(1, cluster=H800), profile(folder)
    rates = [a.node_rate("distribution-only") for a in pre.values()]
    decoded = [a.node_rate("distribution-only") for a in
               [*dec.values(), *(decode(s, "none") for s in SKEWS)]]
    rows = [
        Row("lmsys-prefill", "throughput", "tokens/s/node", *PUBLISHED["lmsys-prefill"], rates,
            f"{SPAN}; plans know the distribution, theirs are of other traffic"),
        Row("lmsys-prefill-balanced", "throughput", "tokens/s/node",
            *PUBLISHED["lmsys-prefill-balanced"],
            even.node_rate(), "even loads"),
        Row("deepseek-prefill", "throughput", "tokens/s/node",
            *PUBLISHED["deepseek-prefill"], h800.node_rate(),
            "even loads; kernels of an H100 on an H800"),
        Row("lmsys-decode", "throughput", "tokens/s/node", *PUBLISHED["lmsys-decode"], decoded,
            f"neither overlap nor skewness is said: one batch and two, {SKEWS[0]:g} to "
            f"{SKEWS[-1]:g}; 2000 cached tokens assumed; the host is not priced"),
        Row("deepseek-decode", "throughput", "tokens/s/node", *PUBLISHED["deepseek-decode"],
            deepseek_decode().node_rate(), "even loads, two batches"),
        Row("lmsys-tbo", "gain of two batches", "1", PUBLISHED["lmsys-tbo"],
            even.node_rate() / plain.node_rate(),
            "compute is slowed down by the SMs of the exchange alone"),
        Row("profile-dispatch", "dispatch", "us", PUBLISHED["profile-dispatch"],
            part.phase_us("dispatch"), "tables of 8 nodes of another system"),
        Row("profile-combine", "combine", "us", PUBLISHED["profile-combine"],
            part.phase_us("combine"), "likewise; they reach 17 GB/s a GPU"),
        Row("profile-gemm", "grouped GEMMs", "us", sum(PUBLISHED["profile-gemm"]), part.phase_us("ffn"),
            "ours permute rows, too"),
        Row("profile-attention", "attention", "us", *PUBLISHED["profile-attention"], part.phase_us("attention"),
            "products of bf16, scaled to fp8; SGLang's MLA kernel"),
    ]
    gains = [("lmsys-prefill-eplb", *PUBLISHED["lmsys-prefill-eplb"], [a.gain() for a in pre.values()]),
             ("lmsys-decode-eplb", *PUBLISHED["lmsys-decode-eplb"], [a.gain() for a in dec.values()])]
    return rows, gains


def kernels(folder):
    inside = Advice(cluster=H800, gpus=8, batch=8, seq=4096, slots=32, skew=1,
                    attention="data", exchange="tokens", kernel="deepep-normal")
    normal = {g: PUBLISHED[f"deepep-ep{g}"] for g in (16, 32, 64)}
    low = {g: PUBLISHED[f"deepep-ll-{g}"] for g in (8, 16, 32, 64, 128, 256)}
    ours = exchanges(folder, [("deepep-normal", g, 4096) for g in normal]
                     + [("deepep-ll", g, 128) for g in low])
    rows = [Row("deepep-ep8", phase, "us", us, inside.phase_us(phase),
                "published as GB/s; kernels of an H100, scaled to NVLink of an H800")
            for phase, us in zip(("dispatch", "combine"), of_rate(8, PUBLISHED["deepep-ep8"]))]
    for gpus, rates in normal.items():
        why = ("the tables of 8 nodes are of another system, and slow" if gpus == 64
               else "published as GB/s; kernels of an H100 with its NVLink")
        for i, us in enumerate(of_rate(gpus, rates)):
            rows.append(Row(f"deepep-ep{gpus}", ("dispatch", "combine")[i], "us", us,
                            ours["deepep-normal", gpus][i], why))
    for gpus, times in low.items():
        source = ours["deepep-ll", gpus][2]
        for i, us in enumerate(times):
            rows.append(Row(f"deepep-ll-{gpus}", ("dispatch", "combine")[i], "us", us,
                            ours["deepep-ll", gpus][i],
                            "over NVLink; theirs over RDMA" if gpus == 8 else
                            "extrapolated beyond 8 nodes" if source == "extrapolated"
                            else "other nodes"))
    return rows


def prefill_loss():
    """What the published prefill figures say of the loss that EPLB leaves and takes away"""
    (balanced,), (eplb,), (gain,) = (PUBLISHED["lmsys-prefill" + s] for s in ("-balanced", "", "-eplb"))
    return (f"\nThe published prefill figures, taken together: balanced routing is {balanced / eplb:.2f} "
            "times as fast as EPLB,\nand, if the gain is of the same runs, "
            f"{gain * balanced / eplb:.2f} times as fast as home placement. Our plans know "
            "the\ndistribution and leave nearly nothing. A gain over our range therefore needs a home "
            "placement that costs more than\nours does at the highest skewness: loads of another shape, "
            "or costs that are not priced. Which of the two, loads of\nlayers would tell; they are not "
            "published, so this stays open.")


def others():
    gb200 = Advice(cluster=GB200, gpus=32, batch=32 * 128, phase="decode", kv_len=2000,
                   slots=9, skew=11.95, attention="data", exchange="tokens",
                   kernel="trtllm-twosided")
    home, even = PUBLISHED["trtllm-imbalance"]
    r1 = 58 * 9 * 3 * 7168 * 2048 * 0.5625 / MIGRATION_RATE
    v2 = 26 * 8 * 3 * 2048 * 1408 * 2 / MIGRATION_RATE
    return [
        Row("trtllm-imbalance", "max/mean of ranks, home", "1", home,
            gb200.of("baseline")["imbalance"], "a power law of the same busiest expert"),
        Row("trtllm-imbalance", "max/mean of ranks, EPLB with 288 slots", "1", even,
            gb200.of("distribution-only")["imbalance"], "likewise; 4096 tokens a step"),
        Row("vllm-rearrange-r1", "rearrangement", "ms", PUBLISHED["vllm-rearrange-r1"][:2], 1e3 * r1,
            f"all slots at {MIGRATION_RATE / 1e9:g} GB/s a GPU"),
        Row("vllm-rearrange-v2lite", "rearrangement", "ms", PUBLISHED["vllm-rearrange-v2lite"], 1e3 * v2,
            "likewise")]


def by_default():
    """What the default deployment says of the same models and GPUs."""
    cases = [("lmsys-prefill-balanced", dict(gpus=32, batch=128, seq=4096, slots=9)),
             ("lmsys-decode", dict(gpus=72, batch=72 * 256, seq=1, slots=4))]
    return [Row(key, "throughput", "tokens/s/node", *PUBLISHED[key],
                Advice(cluster=H100, skew=1, **values).node_rate(), "")
            for key, values in cases]


UNCOMPARED = [
    ("dwdp-overlap", "is what `overlap_slowdown` is from: 104 us per 429 us"),
    ("harmoeny-layer, -ffn, -schedule", "V100: no tables of its kernels"),
    ("metro", "balances active experts; no planner here does"),
    ("sglang-rearrange, vllm-hurts", "do not say on what system"),
    ("ascend-advice", "another accelerator")]


# ---- where copies win ----

MAPS = [("DeepSeek-V3, prefill, 4096 tokens a GPU", "deepseek-v3", 32,
         dict(batches=32, seq=4096, attention="data", exchange="nodes",
              stack="sglang-0.5.10-deepep-normal")),
        ("DeepSeek-V3, prefill, 4096 tokens a GPU", "deepseek-v3", 72, None),
        ("DeepSeek-V3, prefill, 4096 tokens a GPU", "deepseek-v3", 144, None),
        ("DeepSeek-V3, decode, 128 sequences a GPU", "deepseek-v3", 32,
         dict(batches=32, phase="decode", kv_len=4096, attention="data",
              exchange="nodes", stack="sglang-0.5.10-deepep-ll")),
        ("DeepSeek-V3, decode, 128 sequences a GPU", "deepseek-v3", 72, None),
        ("DeepSeek-V3, decode, 128 sequences a GPU", "deepseek-v3", 144, None),
        ("gpt-oss-120b, prefill, 8192 tokens a GPU", "gpt-oss-120b", 8,
         dict(batches=8, seq=4096, attention="data", exchange="tokens")),
        ("gpt-oss-120b, decode, 128 sequences a GPU", "gpt-oss-120b", 8,
         dict(batches=8, phase="decode", kv_len=4096, attention="data",
              exchange="tokens"))]
MAP_SKEWS = "1.5,3,6,12"
FACTORS = [0.25, 0.5, 1, 2]


def with_links(folder, key, base=H100):
    """Profiles whose links are so many times as fast."""
    with open(os.path.join(ROOT, "jobs/clusters", base + ".yaml")) as file:
        text = file.read()
    own = float(re.search(rf"^{key}: *(\S+)", text, re.M).group(1))
    tables = f"tables_link_bandwidth: {own:g}\n" if key == "link_bandwidth" else ""
    paths = []
    for factor in FACTORS:
        path = os.path.join(folder, f"{own * factor / 1e9:g}GBps.yaml")
        with open(path, "w") as file:
            file.write(tables + re.sub(rf"^{key}: *\S+", f"{key}: {own * factor:g}",
                                       text, flags=re.M))
        paths.append(path)
    return paths


def map_rows(folder, model, gpus, values, overlap):
    values = dict(values)
    decodes = values.get("phase") == "decode"
    each = 128 if decodes else 2  # two batches need two sequences of a GPU
    if not decodes:
        values["seq"] = 2048 if model == "deepseek-v3" else 4096
    values["batches"] = gpus * each
    key = "link_bandwidth" if gpus <= 8 else "network_bandwidth"
    out = run("map", *options(
        model=model, clusters=",".join(with_links(folder, key)), gpus=gpus,
        skews=MAP_SKEWS, error=0, accuracies=0.5, overlap=overlap, **values))
    return [line.split() for line in out.splitlines()
            if re.match(r"^ *\S*GBps +[BDT] ", line)]


def maps(folder, out):
    values = None
    for title, model, gpus, new in MAPS:
        values = new or values
        for overlap in ("none", "two-batch"):
            rows = map_rows(folder, model, gpus, values, overlap)
            if not rows:
                sys.exit("deployments.py: no rows in what map printed")
            heads = MAP_SKEWS.split(",")
            out.append(f"\n{title}, {gpus} GPUs, "
                       + ("two batches" if overlap == "two-batch" else "no overlap"))
            out.append("\n| " + " | ".join(["GB/s"] + [f"skew {s}" for s in heads])
                       + " |\n|---:|" + "---:|" * len(heads))
            for row in rows:
                cells = [f"{a} {b}" for a, b in zip(row[1::2], row[2::2])]
                out.append("| " + " | ".join([row[0].replace("GBps", "")] + cells)
                           + " |")


# ---- the page ----

HEAD = """# Deployments that people run

Made by `tools/deployments.py`. Published figures are in [published.csv](published.csv); ours are
modelled, from kernels that others measured on single GPUs and nodes: nothing was run, and nothing is
fitted to the figures that are compared. Loads of experts are a power law, plans are `eplb` by the
expected distribution, batches are drawn from it. A range goes over skewness (busiest expert over the
mean) {span}; its ratio is of the geometric middle.
"""


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "results/deployments.md")
    with tempfile.TemporaryDirectory() as folder:
        rows, gains = systems(folder)
        rows += kernels(folder)
        counted = [r for r in rows if r.key.startswith(COUNTED)]
        near = sum(r.near() for r in counted)
        out = [HEAD.format(span=f"{SKEWS[0]:g} to {SKEWS[-1]:g}")]
        out.append("## Published and modelled\n")
        out.append(f"{near} of {len(counted)} figures of whole systems, of a profile and "
                   f"of exchange kernels are within {100 * NEAR:.0f} %.\n")
        out.append("| source | figure | published | ours | ratio | why it differs |\n"
                   "|---|---|---:|---:|---:|---|")
        out += [r.line() for r in rows]
        out.append("\n## Gain of EPLB\n\nA gain at some skewness is consistency, no proof: "
                   "the recorded loads were not published.\n\n| source | published | ours, over "
                   "skewness | |\n|---|---:|---:|---|")
        for key, value, ours in gains:
            inside = min(ours) <= value <= max(ours)
            out.append(f"| {key} | {value} | {min(ours):.2f} .. {max(ours):.2f} | "
                       f"{'inside' if inside else 'outside'} |")
        out.append(prefill_loss())
        out.append("\n## Imbalance and rearrangement\n\n| source | figure | published | ours | "
                   "ratio | how |\n|---|---|---:|---:|---:|---|")
        out += [r.line() for r in others()]
        out.append("\n## With the default deployment\n\nPrefill, tensor-parallel attention, a "
                   "row per token and expert by NCCL, nothing overlapped, vLLM's kernels:\n"
                   "what prices were before deployments could be told. Even loads; decode as "
                   "sequences of one token.\n\n"
                   "| source | figure | published | ours | ratio |\n|---|---|---:|---:|---:|")
        out += [r.line()[:-3] for r in by_default()]
        out.append("\n## Not compared\n\n| source | |\n|---|---|")
        out += [f"| {key} | {why} |" for key, why in UNCOMPARED]
        out.append("\n## Where copies win\n\nWinner and its margin in % by skewness and "
                   "bandwidth (between nodes; gpt-oss-120b: inside the node): B nothing is\n"
                   "planned, D redundant experts by the expected distribution (planner "
                   "`duplicate`, two slots or an eighth more than homes; its copies do\n"
                   "not travel). Exchanges by NCCL, whose prices can be scaled; H100.")
        maps(folder, out)
    with open(path, "w") as file:
        file.write("\n".join(out) + "\n")
    print(f"{path}: {near} of {len(counted)} within {100 * NEAR:.0f} %")


if __name__ == "__main__":
    main()
