"""Hand out what an engine saved with torch.save, as NumPy arrays, without torch.

torch.py FILE: lines NAME, each with a .npy behind it; or a line `refuse WHY`.
NAME is `loads` of all layers of the model, `steps` the numbers of their steps,
`tokens`, what is beside tokens, or `array`, of which the file says nothing. Only
tensors and containers are built of a pickle; all else is refused. Storages are
read piece by piece, when they are handed out.
"""
import array
import itertools
import pickle
import resource
import struct
import sys
import zipfile

TYPES = {"Int": "i4", "Long": "i8", "Short": "i2", "Char": "i1", "Byte": "u1",
         "Half": "f2", "Float": "f4", "Double": "f8"}
CODES = {"i1": "b", "u1": "B", "i2": "h", "i4": "i", "i8": "q", "f2": "H", "f4": "f", "f8": "d"}
PIECE = 1 << 20
STRIDED = 64 << 20  # bytes of a storage whose numbers lie in another order
MEMORY = 4 << 30  # for lists of numbers in a pickle


class Tensor:
    """A part of a storage, and its shape."""

    def __init__(self, storage, offset, shape, stride):
        self.archive, self.member, self.type = storage
        self.size = int(self.type[1])
        self.shape, self.stride, self.n = tuple(shape), tuple(stride), 1
        self.contiguous = True
        for d in reversed(range(len(shape))):
            self.contiguous &= shape[d] <= 1 or stride[d] == self.n
            self.n *= shape[d]
        self.offset = offset
        self.stored = self.archive.getinfo(self.member).file_size // self.size
        last = offset + sum((d - 1) * s for d, s in zip(shape, stride)) + 1 if self.n > 0 else offset
        if min((*shape, *stride, offset), default=0) < 0 or max(last, self.n) > self.stored:
            raise ValueError("a tensor outside its storage")

    def pieces(self):
        """Its bytes."""
        return self.run(self.offset, self.n) if self.contiguous else self.gathered()

    def run(self, first, n):
        """The bytes of n numbers of the storage."""
        left = n * self.size
        with self.archive.open(self.member) as data:
            data.seek(first * self.size)
            while left > 0:
                piece = data.read(min(left, PIECE))
                if not piece:
                    raise ValueError("a tensor that is cut")
                left -= len(piece)
                yield piece

    def gathered(self):
        """Rows of a view: transposed, or a part of another tensor."""
        if self.stored * self.size > STRIDED:
            raise ValueError("a large tensor that is not contiguous: .contiguous() before torch.save()")
        all_of_it = array.array(CODES[self.type])
        for piece in self.run(0, self.stored):
            all_of_it.frombytes(piece)
        for index in itertools.product(*map(range, self.shape[:-1])):
            first = self.offset + sum(i * s for i, s in zip(index, self.stride))
            step = max(self.stride[-1], 1)
            yield all_of_it[first:first + (self.shape[-1] - 1) * step + 1:step].tobytes()

    def numbers(self):
        out = array.array(CODES[self.type])
        for piece in self.pieces():
            out.frombytes(piece)
        return struct.unpack(f"{len(out)}e", out) if self.type == "f2" else out


def tensor(storage, offset, shape, stride, *_):
    return Tensor(storage, offset, shape, stride)


class Unpickler(pickle.Unpickler):
    def __init__(self, archive, root):
        super().__init__(archive.open(root + "data.pkl"))
        self.archive, self.root = archive, root

    def find_class(self, module, name):
        kind = name.removesuffix("Storage")
        if module == "torch" and kind in TYPES:
            return kind
        if module == "torch" and kind != name:
            raise ValueError(f"has numbers of kind {kind}; wanted are {', '.join(TYPES)}")
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return tensor
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        raise ValueError(f"{module}.{name} is no tensor and no container")

    def persistent_load(self, key):
        return self.archive, f"{self.root}data/{key[2]}", TYPES[key[1]]


def put(name, shape, code, pieces):
    head = f"{{'descr': '<{code}', 'fortran_order': False, 'shape': {shape}, }}\n"
    out = sys.stdout.buffer
    out.write(name.encode() + b"\n\x93NUMPY\x01\x00")
    out.write(struct.pack("<H", len(head)) + head.encode())
    for piece in pieces:
        out.write(piece)


def put_list(name, values):
    put(name, (len(values),), "i8", [array.array("q", values).tobytes()])


def numbers(x):
    return x.numbers() if isinstance(x, Tensor) else x


def alike(records, key):
    """Shapes of a tensor in all records: they differ at most where tokens are."""
    first = records[0][key].shape
    if any(len(r[key].shape) != len(first) or r[key].shape[0] != first[0] for r in records):
        raise ValueError(f"{key} of different layers")
    return first


def experts_of(mapping, layers):
    """The expert of every slot, layer after layer."""
    to = mapping.numbers()
    if len(mapping.shape) != 2 or mapping.shape[0] != layers or min(to, default=-1) < 0:
        raise ValueError("last_physical_to_logical_map is not [layers][slots] of experts")
    return to


def loads(records, mapping):
    """Loads of experts of the loads of slots, a step each forward pass: a pass in
    parts (gatherers) has a record of each."""
    key = "global_physical_count"
    layers, slots = alike(records, key)
    to = experts_of(mapping, layers)
    if any(r[key].shape[1] != slots for r in records) or mapping.shape[1] != slots:
        raise ValueError(f"{key} of different slots")
    experts = max(to) + 1
    passes = {}
    for i, r in enumerate(records):
        passes.setdefault(int(r.get("forward_pass_id", i)), []).append(r)

    def steps():
        for number in sorted(passes):
            load = array.array("d", bytes(8 * layers * experts))
            for r in passes[number]:
                for i, x in enumerate(r[key].numbers()):
                    load[i // slots * experts + to[i]] += x
            yield load.tobytes()

    put_list("steps", sorted(passes))
    put("loads", (len(passes), layers, experts), "f8", steps())


def tokens(records, mapping):
    key = "topk_ids_of_layer"
    layers, _, k = alike(records, key)
    to = experts_of(mapping, layers)
    slots = mapping.shape[1]
    rows = [to[l * slots:(l + 1) * slots].tolist() + [-1] for l in range(layers)]
    row = [len(numbers(r["input_ids"])) for r in records]  # without padding behind
    if any(len(numbers(r["positions"])) != n or r[key].shape[1] < n or r[key].shape[2] != k
           for r, n in zip(records, row)):
        raise ValueError(f"{key} and positions of different tokens")
    used = set()
    for r, n in zip(records, row):
        a, all_n = r[key].numbers(), r[key].shape[1]
        if len(a) > 0 and (min(a) < -1 or max(a) >= slots):
            raise ValueError(f"{key} has {min(a)} to {max(a)}, the map {slots} slots")
        used |= {l for l in range(layers) if l not in used and
                 max(a[l * all_n * k:(l + 1) * all_n * k], default=-1) >= 0}
    used = sorted(used)

    def kept(r, a, n):
        """Tokens that chose in some layer."""
        all_n = r[key].shape[1]
        return [t for t in range(n) if any(a[(l * all_n + t) * k] >= 0 for l in used)]

    seq, ids, places, n_seq, n_kept = array.array("q"), array.array("q"), array.array("q"), 0, 0
    for r, n in zip(records, row):
        lengths = numbers(r.get("extend_seq_lens")) or [1] * n
        owner = [n_seq + s for s, m in enumerate(lengths) for _ in range(int(m))]
        n_seq += len(lengths)
        keep = kept(r, r[key].numbers(), n)
        n_kept += len(keep)
        for to_list, of in ((seq, owner), (ids, numbers(r["input_ids"])), (places, numbers(r["positions"]))):
            to_list.extend([of[t] for t in keep])
    put_list("sequences", seq)
    put_list("token_ids", ids)
    put_list("positions", places)
    put_list("layers", used)

    def choices():
        for r, n in zip(records, row):
            a, all_n, width = r[key].numbers(), r[key].shape[1], len(used) * k
            keep = kept(r, a, n)
            out = array.array("h", bytes(2 * len(keep) * width))
            for u, l in enumerate(used):
                first, to_expert = l * all_n * k, rows[l]
                for j in range(k):
                    column = a[first + j:first + n * k:k]
                    out[u * k + j::width] = array.array("h", [to_expert[column[t]] for t in keep])
            yield out.tobytes()

    put("tokens", (n_kept, len(used), k), "i2", choices())


def main(path):
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with zipfile.ZipFile(path) as archive:
        root = [n for n in archive.namelist() if n.endswith("data.pkl")][0]
        data = Unpickler(archive, root[:-len("data.pkl")]).load()
        if isinstance(data, Tensor):
            put("array", data.shape, data.type, data.pieces())
            return
        records, mapping = data.get("records"), data.get("last_physical_to_logical_map")
        if "logical_count" in data:
            count = data["logical_count"]
            put("loads", count.shape, count.type, count.pieces())
        elif records and not isinstance(mapping, Tensor):
            raise ValueError("records without last_physical_to_logical_map")
        elif records and "topk_ids_of_layer" in records[0]:
            tokens(records, mapping)
        elif records:
            loads(records, mapping)
        else:
            raise ValueError(f"keys {', '.join(map(str, data))}; wanted are "
                             "logical_count, or records")


try:
    main(sys.argv[1])
except Exception as error:
    print(f"refuse {error or type(error).__name__}".replace("\n", " "))
