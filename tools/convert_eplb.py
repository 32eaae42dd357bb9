#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Turn reference cases of EPLB into tests/data/eplb/golden.txt.

usage: tools/convert_eplb.py eplb_golden.json tests/data/eplb/golden.txt

The input is a list of cases, made with github deepseek-ai/EPLB at d52c72d (MIT):
layers, experts, replicas, groups, nodes, gpus, and per layer weight in and
phy2log, logcnt, balancedness out. The output is a line of sizes per case, then
four lines per layer in that order.
"""
import json
import sys


def main():
    with open(sys.argv[1], encoding="utf-8") as f:
        cases = json.load(f)
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        for c in cases:
            sizes = ("layers", "experts", "replicas", "groups", "nodes", "gpus")
            print("case", *(c[s] for s in sizes), file=out)
            for layer in range(c["layers"]):
                for key in ("weight", "phy2log", "logcnt"):
                    print(*c[key][layer], file=out)
                print(c["balancedness"][layer], file=out)


if __name__ == "__main__":
    main()
