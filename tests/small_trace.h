/** small_trace.h: a token trace of a few sequences, to be given experts.
 */
#ifndef MOEGPS_TESTS_SMALL_TRACE_H
#define MOEGPS_TESTS_SMALL_TRACE_H

#include "moegps/mem.h"
#include "moegps/rng.h"
#include "moegps/trace.h"

typedef struct {
    int layers, experts, top_k;
    unsigned seqs, first, step; /* sequence s has first + step s tokens */
    uint32_t vocab, met;        /* ids are drawn below met */
} small_trace_sizes;

/* Every fourth sequence is of the test part. @param rng  goes on where ids were
 * drawn. */
static inline moe_trace small_trace(const small_trace_sizes *z, moe_rng *rng)
{
    moe_trace t = {.kind = MOE_TRACE_TOKENS,
                   .model = "tiny",
                   .sha256 = "a",
                   .layers = z->layers,
                   .experts = z->experts,
                   .top_k = z->top_k,
                   .ordered = true,
                   .n_seqs = z->seqs,
                   .vocab_size = z->vocab,
                   .shared = MPI_WIN_NULL};
    t.seq_offset = moe_array_new(z->seqs + 1, sizeof *t.seq_offset, NULL);
    t.seq_part = moe_array_new(z->seqs, sizeof *t.seq_part, NULL);
    for (unsigned s = 0; s < z->seqs; s++) {
        t.seq_offset[s + 1] = t.seq_offset[s] + z->first + z->step * s;
        t.seq_part[s] = s % 4 == 3 ? MOE_PART_TEST : MOE_PART_TRAIN;
    }
    t.n_tokens = t.seq_offset[z->seqs];
    t.token_id = moe_array_new(t.n_tokens, sizeof *t.token_id, NULL);
    t.experts_of = moe_array_new((size_t)(z->layers * z->top_k) * t.n_tokens,
                                 sizeof *t.experts_of, NULL);
    *rng = moe_rng_at(3, MOE_RNG_TEST, 0, 0, 0);
    for (uint64_t i = 0; i < t.n_tokens; i++)
        t.token_id[i] = (uint32_t)moe_rng_below(rng, z->met);
    return t;
}

#endif
