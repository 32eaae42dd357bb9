"""Write measurements as benchmarks print them, for tests: golden_measured.py FOLDER.

Times are exact laws, so that what is priced from them is known.
"""
import json
import sys

folder = sys.argv[1]


def put(name, text):
    with open(f"{folder}/{name}", "w") as out:
        out.write(text)


def nccl(name, op, gpus, law, rows, spoil=None, wrong="0"):
    """nccl-tests: `#` lines, a row per size, out of place and in place."""
    text = f"# Collective test starting: {op}_perf\n# nThread 1 nGpus {gpus} minBytes 1024\n#\n# Using devices\n"
    for rank in range(gpus):
        text += f"#  Rank {rank:2} Group  0 Pid 17 on host device {rank:2} [0x03] NVIDIA H100\n"
    text += ("#\n#                        out-of-place                       in-place\n"
             "#       size         count      type   redop    root     time   algbw   busbw  #wrong"
             "     time   algbw   busbw  #wrong\n"
             "#        (B)    (elements)                               (us)  (GB/s)  (GB/s)"
             "            (us)  (GB/s)  (GB/s)\n")
    for size in rows:
        us = law(size) * (3 if size == spoil else 1)
        text += (f"{size:12} {size // 32:12}     float    none      -1  {us:.2f}  {size / us / 1e3:.2f}  1.00 {wrong:>6}"
                 f"  {us * 2:.2f}  1.00  1.00    N/A\n")
    put(name, text + "# Out of bounds values : 0 OK\n# Avg bus bandwidth    : 15.0\n")


sizes = [1 << k for k in range(10, 28)]
nccl("a2a.txt", "alltoall", 8, lambda s: 10 + s / 200e3, sizes)
nccl("spike.txt", "alltoall", 8, lambda s: 10 + s / 200e3, sizes, spoil=1 << 18)
nccl("wrong.txt", "alltoall", 8, lambda s: 10 + s / 200e3, sizes, wrong="5")
put("tagged.txt", "".join("[1,0]<stdout>:" + l + "\n" for l in open(folder + "/a2a.txt").read().splitlines()))
put("unnamed.txt", "".join(l + "\n" for l in open(folder + "/a2a.txt").read().splitlines()
                          if "Collective" not in l and "Rank" not in l))
results = [{"size": s, "count": 1, "type": "float", "redop": "sum", "root": -1,
            "out_of_place": {"time": 8 + s / 150e3, "alg_bw": 1, "bus_bw": 1, "nwrong": 0},
            "in_place": {"time": 1, "alg_bw": 1, "bus_bw": 1, "nwrong": 0}} for s in sizes]
put("all_reduce.json", json.dumps({"config": {"ngpus": 1, "devices": [{"rank": r} for r in range(4)]},
                                   "results": results}))
put("osu.txt", "# OSU MPI All-to-All Personalized Exchange Latency Test v7.2\n# Datatype: MPI_CHAR.\n"
    "# Size       Avg Latency(us)\n" + "".join(f"{1 << k:<10} {5 + (1 << k) / 2500:.2f}\n" for k in range(20)))
osu = open(folder + "/osu.txt").read()
put("osu-latency.txt", osu.replace("All-to-All Personalized Exchange Latency", "Latency"))
put("osu-bw.txt", osu.replace("All-to-All Personalized Exchange Latency", "Bandwidth"))
put("osu-bcast.txt", osu.replace("All-to-All Personalized Exchange", "Broadcast"))
put("osu-ialltoall.txt", osu.replace("All-to-All Personalized Exchange", "Non-blocking All-to-All"))
put("ngpus.json", json.dumps({"config": {"ngpus": 8, "devices": [{"rank": 0}]}, "results": results}))
put("ngpus-half.json", json.dumps({"config": {"ngpus": 1.5}, "results": results}))
put("op.csv", "gpus,op,buffer_bytes,latency_us\n8,alltoal,1024,10\n")
put("op-spelled.csv", "gpus,op,buffer_bytes,latency_us\n" + "".join(
    f"8,all-to-all,{s},{10 + s / 200e3}\n" for s in sizes))
put("moe.txt", "".join(f"Batch size: {b}, config: {{'BLOCK_SIZE_M': 16, 'num_warps': 4}}\n"
                       f"Kernel time: {40 + 120 * min(8, 2 * b) + .9 * b:.2f} us\n"
                       for b in (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)))
put("moe.json", json.dumps({str(b): {"kernel_time_ms": .04 + .12 * min(8, 2 * b)} for b in (1, 2, 4, 8, 16)}))
put("moe.csv", "batch_size,latency_us\n1,280\n2,520\n4,1000\n8,1010\n")
put("tuned.json", json.dumps({"1": {"BLOCK_SIZE_M": 16}, "2": {"BLOCK_SIZE_M": 16}}))
put("deepep.txt", "".join(f"[rank {r}] Dispatch bandwidth: 10.00 GB/s, avg_t={70 + r}.00 us | "
                          f"Combine bandwidth: 14.00 GB/s, avg_t={100 - r}.00 us\n" for r in range(8)) +
    "[tuning] Best dispatch (FP8): SMs 24, NVL chunk 20, RDMA chunk 32, transmit: 500.00 us, notify: 60.00 us, "
    "BW: 43.00 GB/s (RDMA), 140.00 GB/s (NVL)\n")
put("old-deepep.txt", "[tuning] Best dispatch (FP8): SMs 24, NVL chunk 20, RDMA chunk 32: 4.47 GB/s (RDMA), "
    "9.00 GB/s (NVL)\n")
put("gemm.csv", "stack,m,n,k,latency_us\nvllm-0.24.0,128,512,512,7.5\nvllm-0.24.0,256,512,512,8.5\n")
put("foreign.csv", "stack,m,n,k,latency_us\nmine,128,512,512,7.5\n")
put("else.txt", "nothing that was measured\n")
put("fall.csv", "gpus,buffer_bytes,latency_us\n8,1024,90\n8,2048,11\n8,4096,12\n")
put("repeats.csv", "gpus,buffer_bytes,latency_us\n8,1024,10\n8,2048,11\n8,2048,13\n8,4096,12\n8,8192,14\n")
