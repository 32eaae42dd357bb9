#!/usr/bin/env python3
"""Make a model whose hidden states decide its routing, and record both.

    hidden_states.py FOLDER

A token's state begins as its embedding and moves a little in every layer,
partly by what no id tells; a layer's experts are the two largest products of
the state with its router. Written are FOLDER/tokens.csv, for

    moegps trace import tokens.csv --model tiny --experts 8 --top-k 2 --ordered -o trace.h5

and FOLDER/hidden.h5, for `moegps train --predictors hidden --hidden`. The
state that is recorded of a layer is its router's input.
"""
import sys
import h5py
import numpy as np

LAYERS, EXPERTS, TOP_K, WIDTH, VOCAB, SEQS, LENGTH = 3, 8, 2, 12, 40, 30, 60

rng = np.random.default_rng(1)
tokens = SEQS * LENGTH
ids = rng.integers(0, VOCAB, tokens)
state = rng.normal(size=(VOCAB, WIDTH))[ids]
hidden = np.empty((LAYERS, tokens, WIDTH), np.float32)
experts = np.empty((LAYERS, tokens, TOP_K), int)
for layer in range(LAYERS):
    state = state + 0.7 * rng.normal(size=state.shape)
    hidden[layer] = state
    score = state @ rng.normal(size=(WIDTH, EXPERTS))
    experts[layer] = np.argsort(-score, axis=1)[:, :TOP_K]

with open(f"{sys.argv[1]}/tokens.csv", "w") as out:
    out.write("layer,token,sequence,token_id,position,expert0,expert1\n")
    for layer in range(LAYERS):
        for i in range(tokens):
            out.write(f"{layer},{i},{i // LENGTH},{ids[i]},{i % LENGTH},"
                      f"{experts[layer, i, 0]},{experts[layer, i, 1]}\n")
with h5py.File(f"{sys.argv[1]}/hidden.h5", "w") as out:
    out["hidden"] = hidden
