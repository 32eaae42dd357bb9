"""Write recordings as engines write them, for tests: golden_recordings.py FOLDER.

What torch.save makes is made here without torch: a zip archive with a pickle
that names torch's classes, and the storages as they are in memory.
"""
import array
import io
import json
import pickle
import struct
import sys
import types
import zipfile


class LongStorage:
    pass


class IntStorage:
    pass


class HalfStorage:
    pass


class BFloat16Storage:
    pass


KINDS = {"q": LongStorage, "i": IntStorage, "e": HalfStorage, "H": BFloat16Storage}


def _rebuild_tensor_v2(*_):
    pass


for module, members in {"torch": tuple(KINDS.values()), "torch._utils": (_rebuild_tensor_v2,)}.items():
    sys.modules[module] = types.ModuleType(module)
    for member in members:
        member.__module__ = module
        setattr(sys.modules[module], member.__name__, member)


class Storage:
    def __init__(self, code, values):
        self.kind = KINDS[code]
        self.data = (array.array("H", struct.pack(f"{len(values)}e", *values)) if code == "e"
                     else array.array(code, values))


class Tensor:
    def __init__(self, shape, values, code="i", first=0, stride=None):
        self.shape, self.storage = tuple(shape), Storage(code, values)
        self.first, self.stride = first, stride

    def __reduce__(self):
        stride, n = [], 1
        for d in reversed(self.shape):
            stride.insert(0, n)
            n *= d
        return _rebuild_tensor_v2, (self.storage, self.first, self.shape, self.stride or tuple(stride), False, {})


def save(path, what):
    """torch.save of a version from 1.6 on."""
    storages, out = [], io.BytesIO()

    class Pickler(pickle.Pickler):
        def persistent_id(self, x):
            if not isinstance(x, Storage):
                return None
            storages.append(x)
            return ("storage", x.kind, str(len(storages) - 1), "cpu", len(x.data))

    Pickler(out, 2).dump(what)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", out.getvalue())
        for i, x in enumerate(storages):
            archive.writestr(f"archive/data/{i}", x.data.tobytes())
        archive.writestr("archive/version", "3\n")


def sglang(folder):
    """Three layers, the first dense; four experts in six slots on two GPUs."""
    mapping = [0, 1, 2, 3, 0, 1, 0, 1, 2, 3, 0, 1, 3, 2, 1, 0, 3, 2]
    counts = [0] * 12 + [0] * 4 + [40, 10, 10, 20] + [10, 10, 10, 10]
    save(folder + "/stat.pt", {"rank": 0, "logical_count": Tensor((2, 3, 4), counts),
                               "average_utilization_rate_over_window": None})
    def passes(path, rank, numbers, place=mapping):
        """A record of every pass, and of every part of one (gatherer)."""
        save(folder + path, {
            "records": [{"forward_pass_id": number, "rank": rank, "gatherer_key": f"child_{i}",
                         "global_physical_count": Tensor(
                             (3, 6), [0] * 6 + [9, 2, 3, 4, 1, 2] + [6, 1, 1, 1, 5, 2], "q")}
                        for i, number in enumerate(numbers)],
            "last_physical_to_logical_map": Tensor((3, 6), place, "q")})

    passes("/per_pass.pt", 0, (500, 501))
    passes("/per_pass1.pt", 1, (501, 502))
    passes("/parts.pt", 0, (501, 501, 500))
    passes("/unplaced.pt", 0, (500, 501), mapping[:-1] + [-1])
    ids = [[-1] * 6] + [[4, 1, 2, 3, -1, -1], [4, 1, 2, 3, -1, -1]]
    record = {"forward_pass_id": 1, "rank": 0, "input_ids": [11, 12, 0], "positions": [0, 0, 0],
              "extend_seq_lens": [1, 2], "topk_ids_of_layer": Tensor((3, 3, 2), sum(ids, []))}
    save(folder + "/per_token.pt", {"records": [record],
                                    "last_physical_to_logical_map": Tensor((3, 6), mapping, "q")})


def tensors(folder):
    """The loads [2][4] of two layers, as tensors of every kind."""
    loads = [40, 10, 10, 20, 10, 30, 20, 20]
    save(folder + "/bare.pt", Tensor((2, 4), loads))
    save(folder + "/half.pt", {"logical_count": Tensor((2, 4), loads, "e")})
    save(folder + "/brain.pt", {"logical_count": Tensor((2, 4), loads, "H")})
    turned = [99, 40, 10, 10, 30, 10, 20, 20, 20]  # [4][2] behind a number of another tensor
    save(folder + "/turned.pt", {"logical_count": Tensor((2, 4), turned, "q", 1, (1, 2))})
    save(folder + "/spread.pt", {"logical_count": Tensor((1 << 20, 1 << 20), loads, "q", 0, (0, 0))})
    save(folder + "/beyond.pt", {"logical_count": Tensor((2, 4), turned, "q", 3, (1, 2))})


def large(folder):
    """[steps 2000, layers 64, experts 256] of eights, packed."""
    class Eights(Storage):
        def __init__(self, n):
            self.kind, self.data = IntStorage, range(n)

    t = Tensor((2000, 64, 256), [])
    t.storage = Eights(2000 * 64 * 256)
    out = io.BytesIO()

    class Pickler(pickle.Pickler):
        def persistent_id(self, x):
            return ("storage", x.kind, "0", "cpu", len(x.data)) if isinstance(x, Eights) else None

    Pickler(out, 2).dump({"logical_count": t})
    with zipfile.ZipFile(folder + "/large.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("archive/data.pkl", out.getvalue())
        with archive.open("archive/data/0", "w") as data:
            for _ in range(2000):
                data.write(array.array("i", [8]) * (64 * 256))


class Command:
    def __reduce__(self):
        import os
        return os.system, ("touch " + sys.argv[1] + "/was-here",)


def tensorrt(folder):
    """meta_info.json, and rank{r}.safetensors: a tensor of loads per iteration and layer."""
    with open(folder + "/meta_info.json", "w") as out:
        json.dump({"num_experts": 4, "num_experts_per_token": 2}, out)
    for rank in range(2):
        header, data = {}, b""
        for key in ("0_3", "0_4", "1_3", "1_4"):
            values = struct.pack("<4i", 40, 10, 10, 20)
            header[key] = {"dtype": "I32", "shape": [4], "data_offsets": [len(data), len(data) + 16]}
            data += values
        text = json.dumps(header).encode()
        with open(f"{folder}/rank{rank}.safetensors", "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text + data)


def vllm(folder):
    """EPLB load statistics, a line per step."""
    with open(folder + "/eplb.jsonl", "w") as out:
        for step in (100, 101):
            print(json.dumps({"record_type": "eplb_load_stats", "version": 1, "step": step,
                              "num_ranks": 2, "num_layers": 2,
                              "expert_load": [[40, 10, 10, 20], [10, 10, 10, 10]],
                              "p2l_map": [[0, 1, 2, 3, 0, 1]] * 2}), file=out)


def npy(shape, code, values):
    """A file as numpy.save writes it."""
    kind = {"h": "<i2", "B": "|u1", "f": "<f4", "i": "<i4"}[code]
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return (b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head
            + array.array(code, values).tobytes())


def numpy(folder):
    """numpy.savez and savez_compressed: [tokens 4, layers 2, k 2], what is beside it."""
    members = {"routed": npy((4, 2, 2), "h", [0, 1, 3, 2, 1, 2, 0, 1, 2, 3, 1, 0, 3, 0, 2, 3]),
               "gates": npy((4, 2, 2), "f", [.75, .25] * 8), "splits": npy((4,), "B", [0, 0, 1, 1]),
               "sequences": npy((4,), "i", [0, 0, 1, 2]), "token_ids": npy((4,), "i", [5, 6, 7, 5])}
    header, data = {}, b""
    for member, raw in members.items():
        shape = (4, 2, 2) if member in ("routed", "gates") else (4,)
        raw = raw[10 + struct.unpack("<H", raw[8:10])[0]:]
        kind = {"routed": "I16", "gates": "F32", "splits": "U8"}.get(member, "I32")
        header[member] = {"dtype": kind, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(folder + "/beside.safetensors", "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text + data)
    for name, how in (("stored", zipfile.ZIP_STORED), ("packed", zipfile.ZIP_DEFLATED)):
        with zipfile.ZipFile(f"{folder}/{name}.npz", "w", how) as archive:
            for member, data in members.items():
                with archive.open(member + ".npy", "w", force_zip64=True) as out:
                    out.write(data)
    with zipfile.ZipFile(folder + "/two.npz", "w") as archive:
        for member in ("routed", "again"):
            archive.writestr(member + ".npy", members["routed"])
    for member, data in members.items():
        with open(f"{folder}/{member}.npy", "wb") as out:
            out.write(data)
    with open(folder + "/whole-gates.npy", "wb") as out:
        out.write(npy((2, 4, 2), "f", [.5] * 16))
    with open(folder + "/mixed-splits.npy", "wb") as out:
        out.write(npy((4,), "B", [0, 1, 1, 1]))


numpy(sys.argv[1])
sglang(sys.argv[1])
tensors(sys.argv[1])
large(sys.argv[1])
tensorrt(sys.argv[1])
vllm(sys.argv[1])
save(sys.argv[1] + "/hostile.pt", {"logical_count": Command()})
