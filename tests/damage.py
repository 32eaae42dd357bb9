"""damage.py FILE KIND SEEDS FIRST COMMAND...: run COMMAND on copies of an HDF5
file with damaged bytes, and see that each ends with one message, or reads.
KIND is flip (1 to 4 bits), zero (a piece of up to 2000 bytes) or cut.

Bytes of contiguous datasets are numbers, which other tests damage; here it is
what the library interprets: the rest of the file.
"""
import os
import random
import subprocess
import sys

import h5py

LIMIT_S = 120  # far beyond what a busy machine needs


def data_ranges(path):
    ranges = []

    def add(_, item):
        if isinstance(item, h5py.Dataset) and item.id.get_offset() is not None:
            begin = item.id.get_offset()
            ranges.append((begin, begin + item.id.get_storage_size()))

    with h5py.File(path) as f:
        f.visititems(add)
    return sorted(ranges)


def interpreted(path):
    """Places of the file that are no contiguous data."""
    at, places = 0, []
    for begin, end in data_ranges(path):
        places += range(at, begin)
        at = max(at, end)
    return places + list(range(at, os.path.getsize(path)))


def damage(data, places, kind, rng):
    data = bytearray(data)
    if kind == "cut":
        return data[:rng.choice(places)]
    if kind == "zero":
        at = rng.choice(places)
        data[at:at + 2000] = bytes(len(data[at:at + 2000]))
        return data
    for _ in range(rng.randint(1, 4)):
        data[rng.choice(places)] ^= 1 << rng.randrange(8)
    return data


def fault(command, path):
    """What is wrong with how the command ends; "" if nothing."""
    try:
        done = subprocess.run(command + [path], capture_output=True,
                              timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        return "hangs"
    said = done.stderr.decode(errors="replace").splitlines()
    errors = [l for l in said if l.startswith("moegps: ")
              and not l.startswith("moegps: warning")]
    if done.returncode not in (0, 1, 2, 3): # 3: its checks failed
        return "exit %d: %s" % (done.returncode, said[-1:])
    if done.returncode in (1, 2) and (len(errors) != 1 or len(said) > len(errors)):
        return "%d messages: %s" % (len(errors), said[:3])
    return ""


def main(path, kind, seeds, first, *command):
    places = interpreted(path)
    with open(path, "rb") as f:
        whole = f.read()
    copy, bad = path + ".damaged", 0
    for seed in range(int(first), int(first) + int(seeds)):
        with open(copy, "wb") as f:
            f.write(damage(whole, places, kind, random.Random(seed)))
        why = fault(list(command), copy)
        if why:
            print("%s %s seed %d: %s" % (os.path.basename(path), kind, seed,
                                         why))
            bad += 1
    return bad > 0


sys.exit(main(*sys.argv[1:]))
