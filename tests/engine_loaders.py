"""Check a placement as the engine that loads it does.

engine_loaders.py ENGINE FILE LAYERS MOE EXPERTS GPUS SLOTS

LAYERS of the model, MOE the numbers of its MoE layers as in 2,3,5, SLOTS of all
GPUs in a layer. Exits 1 with what the engine would not load.
"""
import json
import sys


def row(placed, experts, gpus, slots, where):
    """Every slot has an expert, every expert a slot, GPUs as many slots."""
    assert isinstance(placed, list) and all(type(e) is int for e in placed), f"{where}: is no list of integers"
    assert len(placed) == slots, f"{where}: {len(placed)} slots, not {slots}"
    assert len(placed) % gpus == 0, f"{where}: {len(placed)} slots do not divide among {gpus} GPUs"
    assert all(0 <= e < experts for e in placed), f"{where}: an expert that is none of 0..{experts - 1}"
    assert set(placed) == set(range(experts)), f"{where}: lacks {sorted(set(range(experts)) - set(placed))}"


def sglang(text, layers, moe, *sizes):
    """--init-expert-location: a row for every layer of the model, dense ones included."""
    data = json.loads(text)
    assert set(data) == {"physical_to_logical_map"}, f"keys {sorted(data)}"
    rows = data["physical_to_logical_map"]
    assert len(rows) == layers, f"{len(rows)} rows, the model has {layers} layers"
    for l, placed in enumerate(rows):
        row(placed, *sizes, f"layer {l}")
    return [rows[l] for l in moe]


def vllm(text, layers, moe, *sizes):
    """Offline EPLB, version 2: a row for every MoE layer."""
    data = json.loads(text)
    assert type(data["version"]) is int and data["version"] == 2, "version"
    assert data["format"] == "vllm_offline_eplb_physical_to_logical_by_model", "format"
    (name, of_model), = data["model_maps"].items()
    assert name, "a model without name"
    rows = of_model["physical_to_logical_map"]
    assert len(rows) == len(moe), f"{len(rows)} rows, the model has {len(moe)} MoE layers"
    for l, placed in enumerate(rows):
        row(placed, *sizes, f"MoE layer {l}")
    return rows


def trtllm(text, layers, moe, *sizes):
    """moe_load_balancer: rows by the layers' numbers in the model."""
    import yaml
    data = yaml.safe_load(text)
    assert set(data) <= {"num_slots", "initial_global_assignments", "layer_updates_per_iter"}, f"keys {sorted(data)}"
    assert type(data["num_slots"]) is int and data["num_slots"] == sizes[2], f"num_slots {data['num_slots']}"
    assert type(data["layer_updates_per_iter"]) is int, "layer_updates_per_iter"
    rows = data["initial_global_assignments"]
    assert sorted(rows) == list(moe), f"layers {sorted(rows)}, MoE layers are {list(moe)}"
    for l, placed in rows.items():
        row(placed, *sizes, f"layer {l}")
    return [rows[l] for l in moe]


def ascend(text, layers, moe, experts, gpus, slots):
    """Expert map: MoE layers in order, devices in order, as many experts on each."""
    data = json.loads(text)
    rows = data["layer_list"]
    assert data["moe_layer_count"] == len(rows) == len(moe), f"{len(rows)} layers, not {len(moe)}"
    for i, layer in enumerate(rows):
        devices = layer["device_list"]
        assert layer["layer_id"] == i, f"layer_id {layer['layer_id']} at {i}"
        assert layer["device_count"] == len(devices) == gpus, f"layer {i}: {len(devices)} devices"
        assert [d["device_id"] for d in devices] == list(range(gpus)), f"layer {i}: device_id"
        assert len({len(d["device_expert"]) for d in devices}) == 1, f"layer {i}: devices of different numbers of experts"
        row(sum((d["device_expert"] for d in devices), []), experts, gpus, slots, f"layer {i}")
    return [sum((d["device_expert"] for d in layer["device_list"]), []) for layer in rows]


LOADERS = {f.__name__: f for f in (sglang, vllm, trtllm, ascend)}


def load(engine, path, layers, moe, experts, gpus, slots):
    """@return rows of the MoE layers, as the engine would have them."""
    with open(path) as file:
        return LOADERS[engine](file.read(), layers, moe, experts, gpus, slots)


if __name__ == "__main__":
    try:
        load(*sys.argv[1:3], int(sys.argv[3]), [int(x) for x in sys.argv[4].split(",")], *map(int, sys.argv[5:]))
    except (AssertionError, KeyError, ValueError) as error:
        sys.exit(f"{sys.argv[1]} would not load {sys.argv[2]}: {error}")
