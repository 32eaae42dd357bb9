/** fixture.h: small traces, models and clusters that tests make by hand. */
#ifndef MOEGPS_TESTS_FIXTURE_H
#define MOEGPS_TESTS_FIXTURE_H

#include "moegps/cluster.h"
#include "moegps/mem.h"
#include "moegps/model.h"
#include "moegps/rng.h"
#include "moegps/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** A small model: 3 layers, 8 experts, top 2. */
static inline moe_model fixture_model(void)
{
    return (moe_model){.name = "tiny",
                       .profile = "tiny",
                       .layers = 3,
                       .layer_step = 1,
                       .experts = 8,
                       .top_k = 2,
                       .hidden = 64,
                       .intermediate = 128,
                       .heads = 8,
                       .kv_heads = 4,
                       .head_dim = 8,
                       .dtype = MOE_DTYPE_BF16,
                       .form = MOE_FFN_SWIGLU,
                       .origin = "made for tests"};
}

static inline moe_cluster fixture_cluster(void)
{
    static const char *const text = "name: tiny\n"
                                    "gpu: a100_sxm\n"
                                    "cost: analytic\n"
                                    "gpus_per_node: 2\n"
                                    "memory_bytes: 80e9\n"
                                    "memory_bandwidth: 2e12\n"
                                    "peak_flops: 312e12\n"
                                    "vector_flops: 78e12\n"
                                    "compute_efficiency: 0.9\n"
                                    "memory_efficiency: 0.9\n"
                                    "sms: 108\n"
                                    "tile_m: 128\n"
                                    "tile_n: 128\n"
                                    "launch_s: 5e-6\n"
                                    "link_bandwidth: 300e9\n"
                                    "link_latency_s: 2e-6\n"
                                    "network_bandwidth: 25e9\n"
                                    "network_latency_s: 5e-6\n"
                                    "origin: made for tests\n";
    moe_cluster cluster = {.name = ""};
    moe_error err = {0};
    if (moe_cluster_parse(text, "fixture", &cluster, &err) != MOE_OK) {
        fprintf(stderr, "# fixture: %s\n", err.text);
        abort();
    }
    return cluster;
}

/** A token trace of 12 sequences of 50 tokens, skewed to expert 0, with
 *  gate weights; the last half is the test part. */
static inline moe_trace fixture_tokens(const moe_model *model)
{
    enum { SEQS = 12, LEN = 50 };
    moe_trace t = {.kind = MOE_TRACE_TOKENS,
                   .layers = model->layers,
                   .experts = model->experts,
                   .top_k = model->top_k,
                   .ordered = true,
                   .has_position = true,
                   .has_gate = true,
                   .n_tokens = SEQS * LEN,
                   .n_seqs = SEQS,
                   .vocab_size = 100,
                   .shared = MPI_WIN_NULL};
    const size_t k = (size_t)t.top_k, n = (size_t)t.n_tokens;
    const size_t pairs = (size_t)t.layers * n * k;
    memcpy(t.model, model->name, sizeof t.model);
    t.seq_offset = moe_array_new(SEQS + 1, sizeof *t.seq_offset, NULL);
    t.seq_part = moe_array_new(SEQS, sizeof *t.seq_part, NULL);
    t.experts_of = moe_array_new(pairs, sizeof *t.experts_of, NULL);
    t.gate = moe_array_new(pairs, sizeof *t.gate, NULL);
    t.token_id = moe_array_new(n, sizeof *t.token_id, NULL);
    t.position = moe_array_new(n, sizeof *t.position, NULL);
    for (uint64_t s = 0; s <= SEQS; s++)
        t.seq_offset[s] = s * LEN;
    for (int s = 0; s < SEQS; s++)
        t.seq_part[s] = s < SEQS / 2 ? MOE_PART_TRAIN : MOE_PART_TEST;
    for (size_t i = 0; i < (size_t)t.layers * n; i++) {
        moe_rng rng = moe_rng_at(9, MOE_RNG_TEST, 0, 0, i);
        uint16_t *e = t.experts_of + i * k;
        for (size_t j = 0; j < k;) {
            double u = moe_rng_unit(&rng); /* squared: low experts popular */
            uint16_t x = (uint16_t)(u * u * t.experts);
            bool taken = false;
            for (size_t m = 0; m < j; m++)
                taken = taken || e[m] == x;
            if (!taken)
                e[j++] = x;
        }
        for (size_t j = 0; j < k; j++)
            t.gate[i * k + j] = (float)(k - j) / (float)(k * (k + 1) / 2);
    }
    for (size_t i = 0; i < n; i++) {
        t.token_id[i] = (uint32_t)(i * 7 % 100);
        t.position[i] = (int32_t)(i % LEN);
    }
    return t;
}

/** A load trace of 9 steps of 40 tokens with the same skew. */
static inline moe_trace fixture_loads(const moe_model *model)
{
    enum { STEPS = 9, LEN = 40 };
    moe_trace t = {.kind = MOE_TRACE_LOADS,
                   .layers = model->layers,
                   .experts = model->experts,
                   .top_k = model->top_k,
                   .n_tokens = STEPS * LEN,
                   .n_seqs = STEPS,
                   .shared = MPI_WIN_NULL};
    const size_t x = (size_t)t.experts;
    memcpy(t.model, model->name, sizeof t.model);
    t.seq_offset = moe_array_new(STEPS + 1, sizeof *t.seq_offset, NULL);
    t.seq_part = moe_array_new(STEPS, sizeof *t.seq_part, NULL);
    t.counts = moe_array_new((size_t)STEPS * (size_t)t.layers * x,
                             sizeof *t.counts, NULL);
    for (uint64_t s = 0; s <= STEPS; s++)
        t.seq_offset[s] = s * LEN;
    for (int s = 0; s < STEPS; s++)
        t.seq_part[s] = s % 3 == 0 ? MOE_PART_TEST : MOE_PART_TRAIN;
    for (int i = 0; i < STEPS * t.layers; i++) {
        uint32_t *c = t.counts + (size_t)i * x;
        moe_rng rng = moe_rng_at(10, MOE_RNG_TEST, 0, 0, (uint64_t)i);
        for (int p = 0; p < LEN * t.top_k;) {
            double u = moe_rng_unit(&rng);
            uint16_t e = (uint16_t)(u * u * t.experts);
            if (c[e] < LEN) {
                c[e]++;
                p++;
            }
        }
    }
    return t;
}

#endif
