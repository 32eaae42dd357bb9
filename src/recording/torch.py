"""Hand out what an engine saved with torch.save, as NumPy arrays, without torch.

torch.py FILE: lines NAME, each with a .npy behind it; or a line `refuse WHY`.
Only tensors and containers are built of a pickle; all else is refused.
"""
import array
import pickle
import struct
import sys
import zipfile

TYPES = {"Int": "i4", "Long": "i8", "Short": "i2", "Char": "i1", "Byte": "u1",
         "Float": "f4", "Double": "f8"}


class Tensor(list):
    """A flat list of numbers, and its shape."""


def tensor(storage, offset, shape, stride, *_):
    t = Tensor()
    t.shape = tuple(shape)
    n = 1
    for d in reversed(range(len(shape))):
        if shape[d] > 1 and stride[d] != n:
            raise ValueError("a tensor that is not contiguous")
        n *= shape[d]
    if min((*shape, offset), default=0) < 0 or offset + n > len(storage):
        raise ValueError("a tensor outside its storage")
    t.extend(storage[offset:offset + n])
    return t


class Unpickler(pickle.Unpickler):
    def __init__(self, archive, root):
        super().__init__(archive.open(root + "data.pkl"))
        self.archive, self.root = archive, root

    def find_class(self, module, name):
        kind = name.removesuffix("Storage")
        if module == "torch" and kind in TYPES:
            return kind
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return tensor
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        raise ValueError(f"{module}.{name} is no tensor and no container")

    def persistent_load(self, key):
        code = TYPES[key[1]]
        data = self.archive.read(f"{self.root}data/{key[2]}")
        out = array.array({"i1": "b", "u1": "B", "i2": "h", "i4": "i",
                           "i8": "q", "f4": "f", "f8": "d"}[code])
        out.frombytes(data[:len(data) // out.itemsize * out.itemsize])
        return out


def put(name, shape, values, code="i8"):
    head = f"{{'descr': '<{code}', 'fortran_order': False, 'shape': {shape}, }}\n"
    out = sys.stdout.buffer
    out.write(name.encode() + b"\n\x93NUMPY\x01\x00")
    out.write(struct.pack("<H", len(head)) + head.encode())
    out.write(array.array("d" if code == "f8" else "q", values).tobytes())


def logical(record, mapping):
    """Loads of experts of the loads of slots, row by row."""
    counts, experts = record["global_physical_count"], max(mapping) + 1
    layers, slots = counts.shape
    load = [0] * (layers * experts)
    for i, x in enumerate(counts):
        load[i // slots * experts + mapping[i]] += x
    return layers, experts, load


def tokens(records, mapping):
    ids = [r["topk_ids_of_layer"] for r in records]
    layers, _, k = ids[0].shape
    slots = mapping.shape[1]
    used = [l for l in range(layers) if any(
        e >= 0 for a in ids for e in a[l * a.shape[1] * k:(l + 1) * a.shape[1] * k])]
    rows, seq, ids_of, places, n = {l: [] for l in used}, [], [], [], 0
    for r, a in zip(records, ids):
        lengths = r.get("extend_seq_lens") or [1] * len(r["input_ids"])
        owner = [n + s for s, m in enumerate(lengths) for _ in range(int(m))]
        n += len(lengths)
        for t in range(len(r["input_ids"])):
            if all(a[(l * a.shape[1] + t) * k] < 0 for l in used):
                continue
            for l in used:
                at = (l * a.shape[1] + t) * k
                rows[l] += [e if e < 0 else mapping[l * slots + e]
                            for e in a[at:at + k]]
            seq.append(owner[t])
            ids_of.append(r["input_ids"][t])
            places.append(r["positions"][t])
    put("sequences", (len(seq),), seq)
    put("token_ids", (len(seq),), ids_of)
    put("positions", (len(seq),), places)
    put("layers", (len(used),), used)
    put("tokens", (len(used), len(seq), k), [e for l in used for e in rows[l]])


def main(path):
    with zipfile.ZipFile(path) as archive:
        root = [n for n in archive.namelist() if n.endswith("data.pkl")][0]
        data = Unpickler(archive, root[:-len("data.pkl")]).load()
    if isinstance(data, Tensor):
        data = {"logical_count": data}
    records, mapping = data.get("records"), data.get("last_physical_to_logical_map")
    if "logical_count" in data:
        put("loads", data["logical_count"].shape, data["logical_count"], "f8")
    elif records and "topk_ids_of_layer" in records[0]:
        tokens(records, mapping)
    elif records:
        steps = [logical(r, mapping) for r in records]
        put("loads", (len(steps), *steps[0][:2]), [x for s in steps for x in s[2]],
            "f8")
    else:
        raise ValueError(f"keys {', '.join(map(str, data))}; wanted are "
                         "logical_count, or records")


try:
    main(sys.argv[1])
except Exception as error:
    print(f"refuse {error or type(error).__name__}".replace("\n", " "))
