"""Put what no line should have into every text of a file, and see what is said of it.

poison.py FILE.h5 COMMAND...   into the texts of each object in turn; `@` is the file
poison.py FOLDER               into texts that recordings, placements and profiles have
Prints what got through, and exits 1 if anything did.
"""
import json
import os
import re
import struct
import subprocess
import sys
import zipfile

ONE_LINE = "\x1b]0;x\x07\x7f\u009b31m\u202e"
POISON = "\nRESULT: FORGED\nFOM forged x = 1 s" + ONE_LINE
RAW = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xaa-\xae]|^(RESULT: FORGED|FOM forged)", re.M)


def raw_of(command):
    """What a command says that it should not."""
    done = subprocess.run(command, capture_output=True)
    found = [m for m in map(RAW.search, (done.stdout, done.stderr)) if m]
    if not found and done.returncode >= 0:
        return 0
    print(*command, "exit", done.returncode, [m.string[max(0, m.start() - 40):m.end() + 20] for m in found])
    return 1


# ---- HDF5 ----

TOLD_BY = {"schema", "schema_version", "status", "run_id"}  # alone, so that the others are shown


def poison(item, of):
    """The texts of an object: `of` its attributes, and its content if it has any."""
    for name in of:
        if name is None:
            old = item.asstr()[()]
            item[...] = old + POISON if isinstance(old, str) else [str(x) + POISON for x in old]
        else:
            old = item.attrs[name]
            item.attrs[name] = old + POISON if isinstance(old, str) else [str(x) + POISON for x in old]


def texts(path):
    """(object, names of attributes, or None for its content), a list of names each."""
    import h5py
    found = []

    def is_text(dtype):
        return h5py.check_string_dtype(dtype) is not None

    def visit(name, item):
        names = [a for a in item.attrs if is_text(item.attrs.get_id(a).dtype)
                 and not a.startswith(("DIMENSION", "REFERENCE", "CLASS"))]
        if isinstance(item, h5py.Dataset) and is_text(item.dtype):
            names.append(None)
        found.extend((name, [a]) for a in names if a in TOLD_BY)
        found.append((name, [a for a in names if a not in TOLD_BY]))

    with h5py.File(path) as f:
        visit("/", f)
        f.visititems(visit)
    return [x for x in found if x[1]]


def of_h5(source, command):
    import h5py
    copy, bad, fields = source + ".poisoned", 0, texts(source)
    with open(source, "rb") as of:
        whole = of.read()
    for name, of in fields:
        with open(copy, "wb") as out:
            out.write(whole)
        with h5py.File(copy, "r+") as f:
            poison(f[name], of)
        bad += raw_of([copy if x == "@" else x for x in command])
    os.remove(copy)
    return bad or len(fields) < 5


# ---- texts ----

def spoilt_json(whole):
    """A placement of ours: each of its keys with another value, and under another name."""
    for key, value in whole.items():
        other = [POISON] if isinstance(value, list) else str(value) + POISON
        yield {**whole, key: other}
        yield {key + POISON: value, **{k: v for k, v in whole.items() if k != key}}


def spoilt_yaml(keys):
    """A profile: each of its keys with another value, and one that it has not."""
    for poison in POISON, "\u202e":  # the first is refused whole
        for spoilt in list(keys) + ["name", "none" + poison]:
            yield "".join(f"{json.dumps(k)}: {v}\n" for k, v in keys.items() if k != spoilt) + (
                f"{json.dumps(spoilt)}: {json.dumps(keys.get(spoilt, '') + poison)}\n")


def of_texts(folder):
    n = [0]

    def file(ending, data):
        n[0] += 1
        path = f"{folder}/poison{n[0]}.{ending}"
        with open(path, "wb") as out:
            out.write(data if isinstance(data, bytes) else (data if isinstance(data, str) else json.dumps(data)).encode())
        return path

    def tensors(name, dtype):
        head = json.dumps({name: {"dtype": dtype, "shape": [1, 2], "data_offsets": [0, 8]},
                           "__metadata__": {POISON: POISON}}).encode()
        return struct.pack("<Q", len(head)) + head + struct.pack("<2i", 1, 2)

    def npy(descr):
        head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': (1, 2), }}\n".encode()
        return b"\x93NUMPY\x01\0" + struct.pack("<H", len(head)) + head + struct.pack("<2i", 1, 2)

    def archive(*names):
        path = file("npz", b"")
        with zipfile.ZipFile(path, "w") as z:
            for name in names:
                z.writestr(name + ".npy", npy("<i4"))
        return path

    plan = ["./moegps", "plan", "--gpus", "2", "--slots", "2", "--repeats", "1", "--loads"]
    loads = file("csv", "e0,e1,e2,e3\n40,10,10,20\n")
    commands = [plan + [file(*x)] for x in (
        ("csv", f'"e0{ONE_LINE}",e1\n40,10\n'), ("csv", f'layer,expert,count,"{ONE_LINE}"\n0,0,1,5\n0,1,1,5\n'),
        ("csv", f'"layer","{ONE_LINE}",count\n0,0,1\n'), ("csv", f'e0,e1\n1,"2{ONE_LINE}"\n'),
        ("csv", f'"e0{POISON}",e1\n40,10\n'), ("json", {POISON: 1}), ("json", {"loads": [[1, POISON]]}),
        ("json", {"record_type": POISON, "step": POISON, "expert_load": [[1, 2]]}),
        ("safetensors", tensors("loads" + POISON, "I32")), ("safetensors", tensors("loads", POISON)),
        ("npy", npy(ONE_LINE)))]
    commands += [plan + [archive("a" + POISON, "b" + POISON)], plan + [archive("a" + POISON)]]
    commands += [plan + [loads, "--previous", file(*x)] for x in (
        ("json", {POISON: POISON}), ("json", {"model_maps": {POISON: 1, "b" + POISON: 2}}),
        ("json", {"physical_to_logical": [[0, 1, 2, POISON]]}),
        ("yaml", 'num_slots: 4\ninitial_global_assignments: {"x\\e[31m": [0, 1, 2, 3]}\n'))]
    commands += [["./moegps", "list", "models", file("json", {
        "model_type": POISON, "num_hidden_layers": 1, "num_local_experts": 4, "num_experts_per_tok": 2,
        "hidden_size": 64, "intermediate_size": 64, "torch_dtype": POISON, POISON: POISON})]]
    commands += [["./moegps", "calibrate", "-o", folder + "/none.h5", "--profile", "jobs/clusters/a100-nvlink.yaml",
                  file(*x)] for x in (("json", {POISON: POISON, "results": [{POISON: POISON}]}), ("txt", "# " + POISON))]
    commands += [["./moegps", "trace", "import", "--model", "m", "-f", "-o", folder + "/none.h5", file("csv", x)]
                 for x in (f'layer,token,expert0,"{ONE_LINE}"\n0,0,1,1\n', f'layer,token,split,expert0\n0,0,"{ONE_LINE}",1\n')]
    placement = subprocess.run(plan + [loads, "--json", "-"], capture_output=True, check=True).stdout
    commands += [plan + [loads, "--previous", file("json", x)] for x in spoilt_json(json.loads(placement))]
    for kind, profile in ("models", "mixtral-8x7b"), ("clusters", "a100-nvlink"), ("clusters", "h100-nvlink"):
        with open(f"jobs/{kind}/{profile}.yaml") as f:
            keys = dict(re.findall(r"^(\w+): *([^#>\n]*[^#>\s])", f.read(), re.M))
        for x in spoilt_yaml(keys):
            path = file("yaml", x)
            names = {"models": "mixtral-8x7b", "clusters": "a100-nvlink", kind: path}
            of = ["--model", names["models"], "--cluster", names["clusters"]]
            commands += [["./moegps", "advise", "--gpus", "4", "--skew", "2", "--samples", "1", "--accuracy", "0.8",
                          "--error", "0.05"] + of, plan + [loads] + of]
            if kind == "models":
                commands += [["./moegps", "list", "models", path]]
    experiment = ("model: mixtral-8x7b\ncluster: a100-nvlink\ntrace: mixtral-8x7b-mmlu\n"
                  'strategies:\n  - {name: "a%s", predictor: none, planner: static}\n')
    commands += [["./moegps", "run", "--dry-run", file("yaml", experiment % x)] for x in ("\\nRESULT: FORGED", "\\e]0;x")]
    return sum(map(raw_of, commands))


sys.exit(bool(of_h5(sys.argv[1], sys.argv[2:]) if len(sys.argv) > 2 else of_texts(sys.argv[1])))
