#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Make jobs/traces/*.h5 from the arrays they were recorded as.

usage: convert_traces.py INPUT_DIR OUTPUT_DIR

Needs numpy and h5py only, no build of this project: it is also the reference
for writing trace files from other programs. jobs/README.md has the format,
include/moegps/trace.h the hash. Files are the same byte for byte on every
run with the same versions of h5py and zlib.
"""
import hashlib
import os
import sys

import h5py
import numpy as np

KIND_TOKENS, KIND_LOADS = 0, 1
TRAIN, TEST = 0, 1
LIMIT = {"source": 511, "licence": 63, "note": 1023, "model": 63}  # bytes


def content_hash(meta, seq_offset, split, arrays):
    """SHA-256 as moe_trace_hash() computes it.

    meta:       kind, layers, experts, top_k, ordered, vocab_size,
                has_position, has_gate
    seq_offset: [n_seqs + 1], first token of each sequence, and the end
    arrays:     (dtype, array) in the order of the header's list
    """
    head = [1, meta["kind"], meta["layers"], meta["experts"], meta["top_k"],
            meta["ordered"], int(seq_offset[-1]), len(split),
            meta["vocab_size"], meta["has_position"], meta["has_gate"]]
    h = hashlib.sha256(np.array(head, "<u8").tobytes())
    h.update(np.asarray(seq_offset).astype("<u8").tobytes())
    h.update(np.asarray(split).astype("u1").tobytes())
    for dtype, array in arrays:
        h.update(np.ascontiguousarray(array).astype(dtype).tobytes())
    return h.hexdigest()


class TraceFile:
    """A trace file under construction: scales first, then datasets."""

    def __init__(self, path):
        create = h5py.h5p.create(h5py.h5p.FILE_CREATE)
        access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
        order = h5py.h5p.CRT_ORDER_TRACKED | h5py.h5p.CRT_ORDER_INDEXED
        create.set_link_creation_order(order)
        create.set_attr_creation_order(order)
        create.set_obj_track_times(False)  # or each run makes another file
        access.set_libver_bounds(h5py.h5f.LIBVER_V18, h5py.h5f.LIBVER_V18)
        try:
            self.h5 = h5py.File(h5py.h5f.create(
                path.encode(), h5py.h5f.ACC_EXCL, create, access))
        except OSError as error:
            sys.exit(f"{path}: cannot create: {error}")

    def attributes(self, **values):
        for name, value in values.items():
            if isinstance(value, str):
                if len(value.encode()) > LIMIT.get(name, 64):
                    sys.exit(f"attribute '{name}' is too long")
                self.h5.attrs[name] = value
            else:
                self.h5.attrs[name] = np.int64(value)

    def scale(self, name, n, long_name):
        d = self.h5.create_dataset(name, data=np.arange(n, dtype="<i4"),
                                   shuffle=True, compression=9,
                                   track_order=True, chunks=(n,))
        d.make_scale(name)
        d.attrs["long_name"] = long_name

    def dataset(self, name, data, dims, long_name, units=None, chunks=None):
        d = self.h5.create_dataset(name, data=data, shuffle=True,
                                   compression=9, track_order=True,
                                   chunks=chunks or data.shape,
                                   fillvalue=-1 if data.dtype.kind == "i"
                                   else None)
        if units:
            d.attrs["units"] = units
        d.attrs["long_name"] = long_name
        if data.dtype.kind == "i":
            d.attrs["_FillValue"] = np.array([-1], data.dtype)
        for i, dim in enumerate(dims):
            d.dims[i].attach_scale(self.h5[dim])
        return d

    def flags(self, name, data, dim, long_name, meanings):
        d = self.dataset(name, data, (dim,), long_name)
        d.attrs["flag_values"] = np.arange(len(meanings), dtype=data.dtype)
        d.attrs["flag_meanings"] = " ".join(m.replace(" ", "_")
                                            for m in meanings)


def convert_gpt_oss(z, path):
    experts, start = z["experts"], z["seq_offsets"]
    dataset, names = z["seq_dataset"], [str(n) for n in z["dataset_names"]]
    layers, _, top_k = experts.shape
    n_experts, vocab = 32, z["vocab"].tobytes()
    vocab_size = vocab.count(0) + 1
    split = np.where(dataset == names.index("mmlu_test"), TEST, TRAIN)
    meta = dict(kind=KIND_TOKENS, layers=layers, experts=n_experts,
                top_k=top_k, ordered=1, vocab_size=vocab_size,
                has_position=1, has_gate=0)
    sha256 = content_hash(meta, start, split,
                          [("<u2", experts), ("<u4", z["token_id"]),
                           ("<i4", z["position"])])
    f = TraceFile(path)
    f.attributes(
        schema="moe-gps-trace", schema_version="1.0.0", kind="token",
        model="gpt-oss-20b", experts=n_experts, top_k=top_k, layers=layers,
        ordered=1, vocab_size=vocab_size,
        source="https://github.com/AmanPriyanshu/GPT-OSS-MoE-ExpertFingerprint"
               "ing, commit 72b368f6, re-encoded",
        licence="Apache-2.0",
        note="openai/gpt-oss-20b, decode: generated tokens of answers to MMLU "
             "and MMLU-Pro questions. One example per category x finished x "
             "repetition cell, cut at 511 tokens, so truncated and repetitive "
             "answers are over-represented. Token ids index the vocabulary "
             "here, not the model's own. Split: sequences of mmlu_test are "
             "test, all others train.",
        sha256=sha256)
    f.scale("layer", layers, "MoE layer")
    f.scale("token", experts.shape[1], "token")
    f.scale("k", top_k, "choice")
    f.scale("sequence", len(split), "sequence")
    f.dataset("experts", experts, ("layer", "token", "k"),
              "experts chosen by a token", "1",
              chunks=(1, experts.shape[1], top_k))
    f.dataset("token_id", z["token_id"].astype("<u4"), ("token",),
              "index into the vocabulary", "1")
    f.dataset("position", z["position"].astype("<u4"), ("token",),
              "place of the token in its text", "1")
    f.dataset("seq_offset", start[:-1].astype("<u8"), ("sequence",),
              "first token of a sequence", "1")
    f.flags("split", split.astype("i1"), "sequence",
            "part that a sequence belongs to", ("train", "test"))
    f.scale("vocabulary_byte", len(vocab), "byte")
    f.dataset("vocabulary", np.frombuffer(vocab, "u1"), ("vocabulary_byte",),
              "token pieces, UTF-8, joined by NUL")
    f.flags("dataset", dataset, "sequence", "where a question is from", names)
    f.flags("category", z["seq_category"], "sequence", "subject of a question",
            [str(n) for n in z["category_names"]])
    f.h5.close()


def convert_mixtral(z, path):
    counts, tokens, subject = z["counts"], z["tokens"], z["subject"]
    names = [str(n) for n in z["subject_names"]]
    if names != sorted(names):
        sys.exit("subjects are not in alphabetical order")
    steps, layers, n_experts = counts.shape
    top_k = 2
    split = np.where(subject % 3 == 0, TEST, TRAIN)
    meta = dict(kind=KIND_LOADS, layers=layers, experts=n_experts,
                top_k=top_k, ordered=0, vocab_size=0, has_position=0,
                has_gate=0)
    start = np.concatenate(([0], np.cumsum(tokens, dtype="u8")))
    f = TraceFile(path)
    f.attributes(
        schema="moe-gps-trace", schema_version="1.0.0", kind="load",
        model="mixtral-8x7b", experts=n_experts, top_k=top_k, layers=layers,
        ordered=0,
        source="https://github.com/ajtejankar/mixtral-vis-moe, commit "
               "5c2f185d; counts recovered exactly from its load fractions",
        licence="Apache-2.0",
        note="Mixtral-8x7B on MMLU test questions; a step is one question "
             "with its prompt. Prompts look like 5-shot ones, so questions of "
             "a subject share a prefix and a random split would leak. Split: "
             "by subject; of the 49 subjects in alphabetical order every "
             "third, beginning with the first, is test (17 subjects, 33.8 % "
             "of the questions), the others train.",
        sha256=content_hash(meta, start, split, [("<u4", counts)]))
    f.scale("step", steps, "step")
    f.scale("layer", layers, "MoE layer")
    f.scale("expert", n_experts, "expert")
    f.dataset("counts", counts, ("step", "layer", "expert"),
              "pairs of a token and an expert it chose", "count",
              chunks=(1024, layers, n_experts))
    f.dataset("tokens", tokens.astype("<u4"), ("step",), "tokens of a step",
              "count")
    f.flags("split", split.astype("i1"), "step",
            "part that a sequence belongs to", ("train", "test"))
    f.flags("subject", subject, "step", "subject of a question", names)
    f.h5.close()


def pairs_of_domain(z, domain, layers, rng):
    """Token ids and experts of every occurrence of every token of a domain.

    The counts say how often a token id chose each expert. Its occurrences are
    filled so that the counts come out exactly and no occurrence has an expert
    twice: the pairs, by expert in random order, fill the occurrences column
    by column. Which occurrence got which pair is random in every layer.
    """
    ids = z[f"{domain}_layer{layers[0]}_token_id"]
    chosen = []
    for layer in layers:
        counts = z[f"{domain}_layer{layer}_counts"].astype(np.int64)
        n = counts.sum(1) // 2
        if (not np.array_equal(ids, z[f"{domain}_layer{layer}_token_id"])
                or (counts.sum(1) != 2 * n).any()
                or (counts > n[:, None]).any()
                or (chosen and len(chosen[0]) != n.sum())):
            sys.exit(f"{domain}, layer {layer}: counts are not of two "
                     "distinct experts per token")
        order = rng.rand(*counts.shape).argsort(1)
        flat = np.repeat(order.ravel(),
                         np.take_along_axis(counts, order, 1).ravel())
        owner = np.repeat(np.arange(len(n)), n)
        first = np.arange(n.sum()) + (np.cumsum(n) - n)[owner]
        pairs = np.stack([flat[first], flat[first + n[owner]]], 1)
        shuffled = np.lexsort((rng.rand(len(owner)), owner))
        chosen.append(np.sort(pairs[shuffled], 1))
    return ids[owner], np.stack(chosen)


def convert_mixtral_tokens(z, path):
    domains, layers = ("arxiv", "book", "c4", "github"), (0, 7, 15)
    seqs, length, vocab_size, n_experts, top_k = 64, 512, 32000, 8, 2
    rng = np.random.RandomState(1)  # its stream is frozen
    token_id, experts = [], []
    for domain in domains:
        ids, chosen = pairs_of_domain(z, domain, layers, rng)
        kept = rng.permutation(len(ids))[:seqs * length]
        token_id.append(ids[kept])
        experts.append(chosen[:, kept])
    token_id = np.concatenate(token_id)
    experts = np.concatenate(experts, 1).astype("u1")
    n_seqs = seqs * len(domains)
    start = np.arange(n_seqs + 1) * length
    split = np.where(np.arange(n_seqs) % 3 == 2, TEST, TRAIN)
    meta = dict(kind=KIND_TOKENS, layers=len(layers), experts=n_experts,
                top_k=top_k, ordered=0, vocab_size=vocab_size,
                has_position=0, has_gate=0)
    f = TraceFile(path)
    f.attributes(
        schema="moe-gps-trace", schema_version="1.1.0", kind="token",
        model="mixtral-8x7b", experts=n_experts, top_k=top_k,
        layers=len(layers), ordered=0, vocab_size=vocab_size,
        source="https://github.com/allenai/OLMoE, commit 357454f4: how often "
               "each token id chose each expert of Mixtral-8x7B-v0.1",
        licence="Apache-2.0",
        note="Drawn, not recorded: order and position of the tokens are lost "
             "in the source. Layers 0, 7, 15; arxiv, book, c4, github, each "
             "64 sequences of 512 of its 208,896 tokens, drawn without "
             "replacement, so a sequence is no text and sequences of a domain "
             "differ by chance alone. Every occurrence of a token id has two "
             "distinct experts, so that the counts of all occurrences are the "
             "recorded ones; which occurrence has which is random in every "
             "layer. Experts are in rising order. Split: every third sequence "
             "is test; no occurrence is in both parts.",
        sha256=content_hash(meta, start, split,
                            [("<u2", experts), ("<u4", token_id)]))
    f.scale("layer", len(layers), "MoE layer")
    f.scale("token", experts.shape[1], "token")
    f.scale("k", top_k, "choice")
    f.scale("sequence", n_seqs, "sequence")
    f.dataset("experts", experts, ("layer", "token", "k"),
              "experts chosen by a token", "1",
              chunks=(1, experts.shape[1], top_k))
    f.dataset("layer_number", np.array(layers, "<u4"), ("layer",),
              "MoE layer of the model", "1")
    f.dataset("token_id", token_id.astype("<u4"), ("token",),
              "the model's token id", "1")
    f.dataset("seq_offset", start[:-1].astype("<u8"), ("sequence",),
              "first token of a sequence", "1")
    f.flags("split", split.astype("i1"), "sequence",
            "part that a sequence belongs to", ("train", "test"))
    f.flags("domain", np.repeat(np.arange(len(domains)), seqs).astype("i1"),
            "sequence", "where a token is from", domains)
    f.h5.close()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1])
    source, target = sys.argv[1:]
    os.makedirs(target, exist_ok=True)
    for convert, npz, name in (
            (convert_gpt_oss, "gptoss20b_mmlu_tokens", "gpt-oss-20b-mmlu"),
            (convert_mixtral, "mixtral8x7b_mmlu_loads", "mixtral-8x7b-mmlu"),
            (convert_mixtral_tokens, "mixtral8x7b_token_conditionals",
             "mixtral-8x7b-tokens")):
        path = os.path.join(target, name + ".h5")
        with np.load(os.path.join(source, npz + ".npz")) as z:
            convert(z, path)
        print(f"{path}: {os.path.getsize(path) / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
