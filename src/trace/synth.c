/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/synth.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "moegps/text.h"
#include "synth_parts.h"

static const char *const kinds[] = {"token", "load", NULL};
static const char *const shapes[] = {"lognormal", "zipf", "shares", NULL};

#define AT(member) MOE_OPT_AT(moe_synth_params, member)
const moe_opt moe_synth_options[] = {
    {"kind", MOE_OPT_ENUM, NULL, "load", 0, 0, kinds, AT(kind),
     "experts of every token, or pairs per expert of every step"},
    {"model", MOE_OPT_TEXT, NULL, "synthetic", 0, 0, NULL, AT(model),
     "model that the trace is for; a profile gives layers, experts and top_k"},
    {"layers", MOE_OPT_INT, "1", "4", 1, 4096, NULL, AT(layers), "MoE layers"},
    {"experts", MOE_OPT_INT, "1", "8", 1, MOE_MAX_EXPERTS, NULL, AT(experts),
     "experts per layer"},
    {"top_k", MOE_OPT_INT, "1", "2", 1, MOE_MAX_TOP_K, NULL, AT(top_k),
     "experts per token"},
    {"seqs", MOE_OPT_INT, "1", "64", 1, INT_MAX, NULL, AT(seqs),
     "sequences, or steps of a load trace"},
    {"tokens", MOE_OPT_INT, "1", "512", 1, INT_MAX, NULL, AT(tokens),
     "tokens in each of them"},
    {"shape", MOE_OPT_ENUM, NULL, "lognormal", 0, 0, shapes, AT(shape),
     "how unequal the experts are"},
    {"sigma", MOE_OPT_REAL, "1", "0.3", 0, 10, NULL, AT(sigma),
     "lognormal: sd of the logarithm of popularity"},
    {"exponent", MOE_OPT_REAL, "1", "1", 0, 10, NULL, AT(exponent),
     "zipf: popularity = rank^-exponent"},
    {"shares", MOE_OPT_TEXT, NULL, "", 0, 0, NULL, AT(shares),
     "shares: popularity of each expert, comma-separated"},
    {"drift", MOE_OPT_REAL, "1", "0", 0, 10, NULL, AT(drift),
     "sd of the change of log-popularity per sequence or step"},
    {"vocab", MOE_OPT_INT, "1", "1000", 1, INT_MAX, NULL, AT(vocab),
     "token: number of token ids"},
    {"vocab_exponent", MOE_OPT_REAL, "1", "1", 0, 10, NULL, AT(vocab_exponent),
     "token: frequency of ids = rank^-exponent"},
    {"strength", MOE_OPT_REAL, "1", "0.5", 0, 1, NULL, AT(strength),
     "token: share of tokens whose experts follow from their id"},
    {"test_share", MOE_OPT_REAL, "1", "0.3", 0, 1, NULL, AT(test_share),
     "share of sequences or steps for testing"},
    {"split", MOE_OPT_TEXT, NULL, "tail", 0, 0, NULL, AT(split),
     "tail: test on the last sequences, random: on drawn ones; or tail=SHARE "
     "of testing, train=SHARE[,seed=N]"},
    {"noise", MOE_OPT_BOOL, NULL, "true", 0, 0, NULL, AT(noise),
     "load: draw every token's experts, not just their expected counts"},
    {"seed", MOE_OPT_U64, NULL, "1", 0, (double)UINT64_MAX, NULL, AT(seed),
     "of all random numbers"},
    {0}};
#undef AT

static void make_loads(const moe_synth_params *p, moe_synth_walk *walk,
                       moe_trace *t)
{
    const size_t n = (size_t)p->experts;
    for (int l = 0; l < p->layers; l++)
        for (uint64_t s = 0; s < t->n_seqs; s++) {
            uint32_t *counts =
                t->counts + (s * (size_t)p->layers + (size_t)l) * n;
            moe_rng rng = moe_synth_rng(p, MOE_DRAW_STEP, s, l, 0);
            moe_synth_walk_to(walk, p, l, s);
            if (p->noise)
                moe_synth_draw_counts(walk->inclusion, p->experts, p->top_k,
                                      (uint32_t)p->tokens, &rng, counts);
            else
                moe_synth_apportion(walk->inclusion, p->experts, p->top_k,
                                    (uint32_t)p->tokens, counts);
        }
}

static moe_status check(const moe_synth_params *p, moe_error *err)
{
    if (p->top_k > p->experts)
        return moe_fail(err, MOE_USAGE, "top_k: %d distinct experts of only %d",
                        p->top_k, p->experts);
    if (p->kind == MOE_TRACE_TOKENS && p->seqs > INT_MAX / p->tokens)
        return moe_fail(err, MOE_USAGE,
                        "seqs x tokens: %d x %d is more than %d tokens",
                        p->seqs, p->tokens, INT_MAX);
    return MOE_OK;
}

/* All that is said about the dials goes into the note. */
static void describe(const moe_synth_params *p, moe_trace *t)
{
    for (const moe_opt *row = moe_synth_options; row->key != NULL; row++) {
        char value[64];
        moe_opt_format(row, p, value, sizeof value);
        moe_text_add(t->note, sizeof t->note, " ", "%s=%s", row->key, value);
    }
    snprintf(t->source, sizeof t->source, "moegps trace synth");
    snprintf(t->licence, sizeof t->licence, "CC0-1.0");
    snprintf(t->model, sizeof t->model, "%s", p->model);
}

static moe_status divide(const moe_synth_params *p, moe_trace *t,
                         moe_error *err)
{
    moe_trace_split split = {.test_share = p->test_share, .seed = p->seed};
    if (strcmp(p->split, "random") != 0 &&
        moe_trace_split_parse(p->split, &split, err) != MOE_OK) {
        moe_error_prefix(err, "split");
        return err->status;
    }
    moe_trace_divide(t, &split);
    return MOE_OK;
}

moe_status moe_synth(const moe_synth_params *params, moe_trace *out,
                     moe_error *err)
{
    const moe_synth_params *p = params;
    const bool tokens = p->kind == MOE_TRACE_TOKENS;
    moe_error local = {0};
    moe_synth_walk walk = {0};
    moe_trace t = {.kind = tokens ? MOE_TRACE_TOKENS : MOE_TRACE_LOADS,
                   .layers = p->layers,
                   .experts = p->experts,
                   .top_k = p->top_k,
                   .order = MOE_ORDER_TIME,
                   .ordered = tokens,
                   .has_position = tokens,
                   .n_seqs = (uint64_t)p->seqs,
                   .n_tokens = (uint64_t)p->seqs * (uint64_t)p->tokens,
                   .vocab_size = tokens ? (uint32_t)p->vocab : 0,
                   .shared = MPI_WIN_NULL};
    if (check(p, &local) != MOE_OK ||
        moe_synth_walk_init(&walk, p, &local) != MOE_OK ||
        moe_trace_allocate(&t, &local) != MOE_OK)
        goto out;
    describe(p, &t);
    for (uint64_t s = 0; s <= t.n_seqs; s++)
        t.seq_offset[s] = s * (uint64_t)p->tokens;
    if (divide(p, &t, &local) != MOE_OK)
        goto out;
    if (tokens)
        moe_synth_tokens(p, &walk, &t, &local);
    else
        make_loads(p, &walk, &t);
    if (local.status == MOE_OK) {
        *out = t;
        t = (moe_trace){.shared = MPI_WIN_NULL};
    }
out:
    moe_synth_walk_fini(&walk);
    moe_trace_free(&t);
    return moe_pass(err, &local);
}
