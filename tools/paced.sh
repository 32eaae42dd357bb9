#!/usr/bin/env bash
# Write results/paced.md: the demo and tokens jobs with ranks that keep a GPU's
# pace, the gpu clock beside the paced wall clock; how many ranks a core can have;
# who makes progress; what the harness takes. On a machine with nothing else to do.
set -euo pipefail
cd "$(dirname "$0")/.."
: "${OUT:=results/paced.md}" "${MPIRUN:=mpirun}" "${PYTHON:=/usr/bin/python3}" "${ITERATIONS:=24}"
# Quicker: ITERATIONS=12 LAYERS=0-3 tools/paced.sh
: "${RANKS:=2 4 8 16}" "${LAYERS:=0-7}"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
load=$(cut -d' ' -f1 /proc/loadavg)

run() { # FILE RANKS JOB SETTING...
    local file=$1 ranks=$2 job=$3 set=()
    shift 3
    for s in "$@"; do set+=(--set "$s"); done
    "$MPIRUN" -n "$ranks" ./moegps run "$job" "${set[@]}" -q -o "$dir/$file.h5" \
        > "$dir/$file.txt" 2> "$dir/$file.err" || { cat "$dir/$file.err" >&2; return 1; }
}
paced=(emulation.ffn=paced emulation.attention=paced emulation.scale=1)

for cluster in a100-nvlink h100-nvlink; do
    "$MPIRUN" -n 4 ./moegps calibrate --mpi --profile $cluster -o "$dir/$cluster.h5" \
        > /dev/null 2> "$dir/err" || { cat "$dir/err" >&2; exit 1; }
done
run demo 4 jobs/paced.yaml workload.iterations="$ITERATIONS" workload.layers="$LAYERS" \
    emulation.dilation=auto emulation.links="$dir/a100-nvlink.h5"
run tokens 4 jobs/tokens.yaml "${paced[@]}" workload.iterations="$ITERATIONS" \
    emulation.dilation=auto emulation.links="$dir/h100-nvlink.h5"
cat > "$dir/ranks.yaml" << END
model: mixtral-8x7b
cluster: a100-nvlink
trace: mixtral-8x7b-mmlu
workload: {batch: 1, seq: 512, layers: "$LAYERS", iterations: 12, warmup: 1, seed: 1}
emulation: {ffn: paced, attention: paced, dilation: 20}
strategies:
  - {name: baseline}
END
for ranks in $RANKS; do # the same batch on more GPUs: shorter phases
    run "ranks-$ranks" "$ranks" "$dir/ranks.yaml"
done
for overlap in none two-batch; do # four sequences, so that there are halves
    run "overlap-$overlap" 4 "$dir/ranks.yaml" workload.batch=4 serving.overlap="$overlap"
done
for by in poll thread; do
    run "$by" 4 jobs/paced.yaml workload.iterations=12 workload.layers="$LAYERS" \
        emulation.dilation=20 emulation.progress="$by"
done
./moegps trace synth --model deepseek-v3 --sigma 1 --drift 0.1 --seqs 16 --tokens 4096 \
    -o "$dir/deepseek-trace.h5" > /dev/null
run many 64 jobs/deepseek.yaml "${paced[@]}" trace="$dir/deepseek-trace.h5" emulation.scale=8 \
    emulation.dilation=300 workload.seq=1024

"$PYTHON" - "$dir" "$load" "$(nproc)" "$RANKS" > "$dir/paced.md" << 'PY'
import glob, os, sys
import h5py, numpy as np

folder, load, cores, ranks = sys.argv[1:]
us = lambda s: "%.4g" % (1e6 * s)

class Run:
    def __init__(self, name):
        self.f = h5py.File(os.path.join(folder, name + ".h5"))
        self.fact = self.f["config"].attrs
        self.phases = list(self.f["timing/phase"].asstr())
        self.names = list(self.f["timing/strategy"].asstr())
    def phase(self, field, s, *names): # per layer, slowest rank, median over iterations
        i = [self.phases.index(n) for n in names]
        x = self.f["timing/" + field][s][:, :, i, :].sum(axis=2).max(axis=2)
        return np.median(x.mean(axis=1))
    def layer(self, clock, s):
        return np.median(self.f["timing/layer_time_" + clock][s].mean(axis=1))
    def late(self, s): # share of the layer, slowest rank
        late = self.f["paced/late"][s].sum(axis=2).max(axis=2).sum(axis=1)
        return np.median(late / self.f["timing/layer_time_wall"][s].sum(axis=1))
    def lateness(self): # by this machine's clock, as its timer's
        x = self.f["paced/late"][...].ravel() * float(self.fact["dilation"])
        return np.median(x), np.percentile(x, 99)
    def identity(self, s): # paced layer / (modelled compute + measured exchange), every rank
        t, w = self.f["timing/wall"][s].sum(axis=2), self.f["timing/wait"][s].sum(axis=2)
        i = [self.phases.index(n) for n in ("attention", "ffn")]
        rest = t - self.f["timing/wall"][s][:, :, i, :].sum(axis=2) + w
        return np.median((t + w) / (self.f["paced/asked"][s].sum(axis=2) + rest))
    def hidden(self, s): # of what ran beside: seconds, exposed
        beside = self.f["paced/beside_time"][s]
        migrate = self.phases.index("migrate")
        exposed = self.f["timing/wall"][s][:, :, migrate, :]
        return beside[:, :, 3, :].sum(), exposed.sum()

def shortest(r): # phase that takes any time
    asked = r.f["paced/asked"][...]
    return asked[asked > 0].min()

groups = (("predict", ("predict",)), ("collect, plan, broadcast", ("collect", "plan", "broadcast")),
          ("migrate", ("migrate",)), ("attention, router", ("attention", "route")),
          ("dispatch", ("dispatch",)), ("ffn", ("ffn",)), ("combine", ("combine",)))

def both_clocks(title, name):
    r = Run(name)
    print("## %s\n\n%s." % (title, r.fact["links"].replace(folder + "/", "")))
    print("%s." % r.fact["timer"])
    print("All times but lateness are divided by the dilation, %.3g.\n" % float(r.fact["dilation"]))
    print("Microseconds per layer, slowest rank of each phase, medians of %d batches; of the gpu clock what is exposed.\n"
          % r.f["timing/wall"].shape[1])
    print("| strategy | phase | gpu (modelled) | wall (paced) | ratio |\n|---|---|---|---|---|")
    for s, strategy in enumerate(r.names):
        for label, names in groups:
            gpu, wall = r.phase("exposed", s, *names), r.phase("wall", s, *names)
            if gpu + wall > 0:
                print("| %s | %s | %s | %s | %s |" % (strategy, label, us(gpu), us(wall),
                                                     "%.2f" % (wall / gpu) if gpu > 0 else "-"))
        gpu, wall = r.layer("gpu", s), r.layer("wall", s)
        print("| **%s** | **layer**, with waiting | %s | %s | %.2f |" % (strategy, us(gpu), us(wall), wall / gpu))
    print("\n| strategy | late, share of a layer | layer / (modelled compute + measured exchange) | migration, s of all ranks | of it exposed |"
          "\n|---|---|---|---|---|")
    for s, strategy in enumerate(r.names):
        beside, exposed = r.hidden(s)
        print("| %s | %.2f %% | %.4f | %.3g | %s |" % (strategy, 100 * r.late(s), r.identity(s), beside,
              "%.1f %%" % (100 * exposed / beside) if beside > 0 else "-"))
    m, p = r.lateness()
    print("\nPaced phases ended %s us late in the median and %s us in the 99th percentile, over all strategies, layers and ranks, by this machine's clock.\n"
          % (us(m), us(p)))

print("# Ranks that keep a GPU's pace\n")
print("Written by `tools/paced.sh` on %s cores; the load of the machine was %s as it began%s.\n"
      % (cores, load, "" if float(load) < 1 else ", so that lateness and exchange are worse than on a quiet one"))
both_clocks("The demo job's strategies", "demo")
both_clocks("The tokens job", "tokens")
print("## Ranks that share cores\n\nMixtral, 512 tokens, dilation 20, nothing migrates; times as read by this machine's clock.\n")
print("| ranks | ranks a core | shortest phase, us | late: median, us | 99th percentile, us | share of a layer | result |\n|---|---|---|---|---|---|---|")
held = 0
for n in ranks.split():
    r = Run("ranks-" + n)
    x = float(r.fact["dilation"])
    m, p = r.lateness()
    late = max(r.late(s) for s in range(len(r.names)))
    print("| %s | %g | %s | %s | %s | %.2f %% | %s |" % (n, int(n) / int(cores), us(x * shortest(r)),
          us(m), us(p), 100 * late, "yes" if late <= 0.02 else "no"))
    if late <= 0.02:
        held = int(n) / int(cores)
print("\nDeadlines were kept, so that the wall clock is a result, with up to %g ranks a core, of those tried." % held)
print("\n## Two halves in turn\n\nMixtral, 4 sequences of 512 tokens, 4 ranks, dilation 20; microseconds per layer, divided by it; the halves each "
      "read all weights.\n")
print("| overlap | layer, gpu (modelled) | layer, wall (paced) | modelled compute | rows travelled | of that exposed |\n|---|---|---|---|---|---|")
for overlap in ("none", "two-batch"):
    r = Run("overlap-" + overlap)
    x = [np.median(r.f["paced/" + n][0].sum(axis=2).max(axis=2).mean(axis=1)) for n in ("asked", "travel_time", "travel_exposed")]
    print("| %s | %s | %s | %s | %s | %s |" % (overlap, us(r.layer("gpu", 0)), us(r.layer("wall", 0)), *map(us, x)))
print("\n## Who makes progress\n\nThe demo job's strategies, dilation 20; times but lateness divided by it.\n")
print("| progress | late: median, us | 99th percentile, us | layer of oracle, us | CPU time of a rank per layer, us |\n|---|---|---|---|---|")
for by in ("poll", "thread"):
    r = Run(by)
    m, p = r.lateness()
    s = r.names.index("oracle")
    print("| %s, every 100 us | %s | %s | %s | %s |" % (by, us(m), us(p), us(r.layer("wall", s)),
          us(np.median(r.f["timing/cpu"][s].sum(axis=2)))))
if os.path.exists(os.path.join(folder, "many.h5")):
    r = Run("many")
    late = max(r.late(s) for s in range(len(r.names)))
    print("\n## 64 ranks\n\nDeepSeek-V3's layers on 64 ranks, rows at 1/%s of their width, dilation %s: %d batches ran, phases ended %s us "
          "late in the median by this machine's clock, %.1f %% of a layer in the strategy with most."
          % (r.fact["scale"], r.fact["dilation"], r.f["timing/wall"].shape[1], us(r.lateness()[0]), 100 * late))
    if late > 0.02:
        print("Beyond 2 % its wall clock is no result, as the run says.")
PY
mv "$dir/paced.md" "$OUT"
