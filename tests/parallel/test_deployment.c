/* SPDX-License-Identifier: Apache-2.0 */
/* The serving block, executed: ways to exchange rows, and who attends. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/engine/internal.h"
#include "engine_bench.h"
#include "harness.h"

static const char *const experiment_text =
    "model: tiny\n"
    "cluster: tiny\n"
    "trace: tiny\n"
    "workload: {batch: 2, seq: 30, iterations: 2, warmup: 1, seed: 3}\n"
    "emulation: {scale: 1}\n"
    "strategies:\n"
    "  - {name: baseline}\n"
    "  - {name: distribution, predictor: distribution, planner: duplicate, "
    "slots: 9}\n"
    "  - {name: dim, predictor: oracle, accuracy: 0.5, planner: duplicate, "
    "slots: 9}\n";

static const char *const exchanges[] = {
    "serving.exchange=pairs", "serving.exchange=tokens",
    "serving.exchange=nodes", "serving.exchange=allgather"};

static moe_status run_all(bench *b, const engine_case *c)
{
    moe_status s = bench_init_on(&test_ctx, b, c, experiment_text, NULL);
    for (int w = 0; s == MOE_OK && w < b->x.workload.warmup; w++)
        s = moe_engine_warm_up(b->engine, w, &b->ledger);
    for (int i = 0; s == MOE_OK && i < b->x.workload.iterations; i++)
        s = moe_engine_measure(b->engine, i, &b->ledger);
    return s;
}

/* What all runs have left: outputs of the last strategy of the last iteration
 * in its last layer. */
static char *take_out(const bench *b, size_t *bytes)
{
    const moe_engine *e = b->engine;
    *bytes = e->it.batch->own * moe_ffn_out_bytes(&e->shape);
    char *copy = malloc(*bytes + 1);
    memcpy(copy, e->out, *bytes);
    return copy;
}

/* @return whether outputs agree: exactly, or within the rounding of partial
 * sums to bf16 (check.c) in units of a token's largest output. */
static bool agree(const bench *b, const char *a, const char *other)
{
    const moe_engine *e = b->engine;
    const size_t stride = moe_ffn_out_bytes(&e->shape);
    for (uint32_t t = 0; t < e->it.batch->own; t++) {
        const char *at = a + t * stride, *of = other + t * stride;
        double most = 0, differs = 0;
        if (!e->ffn->comparable) {
            if (memcmp(at, of, sizeof(uint64_t)) != 0)
                return false;
            continue;
        }
        for (int j = 0; j < e->shape.hidden; j++) {
            float x, y;
            memcpy(&x, at + (size_t)j * sizeof x, sizeof x);
            memcpy(&y, of + (size_t)j * sizeof y, sizeof y);
            most = fmax(most, fabs((double)x));
            differs = fmax(differs, fabs((double)x - (double)y));
        }
        if (!(differs <= most * 0x1p-6))
            return false;
    }
    return true;
}

START_TEST(every_exchange_has_the_outputs_of_pairs)
{
    static const char *const ffns[] = {"emulation.ffn=exact",
                                       "emulation.ffn=dnnl"};
    char *first = NULL, *wrong = NULL;
    moe_status s = MOE_OK;
    for (size_t x = 0; x < MOE_ARRAY_LEN(exchanges) && s == MOE_OK; x++) {
        const engine_case c = {"", false, {exchanges[x], ffns[_i]}, 2};
        bench b;
        size_t bytes = 0;
        s = run_all(&b, &c);
        char *out =
            s == MOE_OK && b.engine->gpu >= 0 ? take_out(&b, &bytes) : NULL;
        if (out != NULL && first != NULL && !agree(&b, first, out))
            wrong = (char *)(uintptr_t)exchanges[x];
        if (x == 0)
            first = out;
        else
            free(out);
        bench_fini(&b);
    }
    free(first);
    ck_assert_msg(s == MOE_OK, "%s", test_ctx.err.text);
    ck_assert_msg(wrong == NULL, "%s", wrong);
}
END_TEST

/* Rows between nodes, in dispatch and combine, of all ranks: fewer the more
 * pairs share one. */
START_TEST(sharing_moves_no_more_between_nodes)
{
    int64_t far[2][3] = {{0}};
    moe_status s = MOE_OK;
    for (size_t x = 0; x < 3 && s == MOE_OK; x++) {
        const engine_case c = {
            "", _i == 1, {exchanges[x], "workload.seq=0"}, 2};
        bench b;
        s = run_all(&b, &c);
        const moe_ledger_dims *d = &b.ledger.dims;
        const int cells = d->strategies * d->iterations * d->layers;
        for (int k = 0; k < cells && s == MOE_OK; k++) {
            far[0][x] += moe_ledger_exchange(&b.ledger,
                                             MOE_EXCHANGE_DISPATCH)[2 * k + 1];
            far[1][x] +=
                moe_ledger_exchange(&b.ledger, MOE_EXCHANGE_COMBINE)[2 * k + 1];
        }
        bench_fini(&b);
    }
    MPI_Allreduce(MPI_IN_PLACE, far, 6, MPI_INT64_T, MPI_SUM, test_ctx.comm);
    ck_assert_msg(s == MOE_OK, "%s", test_ctx.err.text);
    for (int way = 0; way < 2 && _i == 0; way++) {
        ck_assert_int_le(far[way][1], far[way][0]);
        ck_assert_int_le(far[way][2], far[way][1]);
        if (test_ctx.size > 2) /* another node, top 2 of 8 */
            ck_assert_int_lt(far[way][1], far[way][0]);
    }
}
END_TEST

/* Whose tokens: 3 sequences of 20 on any number of GPUs, and of 3 running
 * sequences one token each. */
static const struct {
    const char *sets[5];
    int n, tokens;
} shared[] = {
    {{"serving.attention=data", "workload.batch=3", "workload.seq=20"}, 3, 20},
    {{"serving.attention=data", "serving.phase=decode", "workload.batch=3",
      "workload.seq=1", "serving.exchange=tokens"},
     5,
     1},
};

START_TEST(a_sequence_is_attended_to_by_one_gpu)
{
    engine_case c = {.loads = false, .n_sets = shared[_i].n};
    memcpy(c.sets, shared[_i].sets, sizeof shared[_i].sets);
    bench b;
    moe_status s = run_all(&b, &c);
    bool own = true, cached = true;
    int sum[2] = {0, 0};
    if (s == MOE_OK) {
        const int sequences = b.ledger.own_sequences[0];
        const int end = 3 * (test_ctx.rank + 1) / test_ctx.size;
        own = sequences == end - 3 * test_ctx.rank / test_ctx.size;
        own = own && b.ledger.own_tokens[0] == sequences * shared[_i].tokens;
        cached = (b.ledger.cached[0] > 0) == (_i == 1 && sequences > 0);
        sum[0] = sequences;
        sum[1] = b.ledger.own_tokens[0];
    }
    MPI_Allreduce(MPI_IN_PLACE, sum, 2, MPI_INT, MPI_SUM, test_ctx.comm);
    bench_fini(&b);
    ck_assert_msg(s == MOE_OK, "%s", test_ctx.err.text);
    ck_assert(own);
    ck_assert(cached);
    ck_assert_int_eq(sum[0], 3);
    ck_assert_int_eq(sum[1], 3 * shared[_i].tokens);
}
END_TEST

/* Sequences of a batch of 7 tokens, for attention and planners. */
static const struct {
    bool loads;
    const char *sets[4];
    int n, sequences;
} batches[] = {
    {true, {"workload.seq=0", "workload.batch=2"}, 2, 2},
    {true,
     {"serving.phase=decode", "serving.kv_len=9", "workload.seq=0",
      "workload.batch=1"},
     4,
     7},
    {false,
     {"serving.phase=decode", "workload.batch=3", "workload.seq=1"},
     3,
     3},
};

START_TEST(a_token_of_a_step_that_decodes_is_a_sequence)
{
    engine_case c = {.loads = batches[_i].loads, .n_sets = batches[_i].n};
    memcpy(c.sets, batches[_i].sets, sizeof batches[_i].sets);
    bench b;
    const moe_status s =
        bench_init_on(&test_ctx, &b, &c, experiment_text, NULL);
    const double n = s == MOE_OK ? moe_engine_sequences(b.engine, 7) : 0;
    bench_fini(&b);
    ck_assert_msg(s == MOE_OK, "%s", test_ctx.err.text);
    ck_assert_int_eq((int)n, batches[_i].sequences);
}
END_TEST

static const struct {
    bool loads;
    const char *sets[4];
    int n;
    const char *says;
} refused[] = {
    {false,
     {"serving.phase=decode"},
     1,
     "seq: 30, but in decode a sequence has one new token (allowed: "
     "1)"},
    {true,
     {"serving.phase=decode", "workload.seq=0"},
     2,
     "batch: 2, seq: 0, but in decode a step of a load trace is one "
     "iteration, whatever its tokens (allowed: batch 1, seq 0)"},
    {true,
     {"serving.phase=decode", "workload.seq=0", "workload.batch=1"},
     3,
     "kv_len: 0, but a load trace that decodes has no positions"},
    {false,
     {"serving.kernel=deepep-ll", "serving.exchange=tokens"},
     2,
     "serving: kernel: deepep-ll"},
};

START_TEST(what_cannot_be_served_is_refused)
{
    engine_case c = {.loads = refused[_i].loads, .n_sets = refused[_i].n};
    memcpy(c.sets, refused[_i].sets, sizeof refused[_i].sets);
    bench b;
    moe_status s = bench_init_on(&test_ctx, &b, &c, experiment_text, NULL);
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_USAGE);
    ck_assert_msg(strstr(test_ctx.err.text, refused[_i].says) != NULL, "%s",
                  test_ctx.err.text);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("deployment");
    MOE_TEST_LOOP(suite, every_exchange_has_the_outputs_of_pairs, 2);
    MOE_TEST_LOOP(suite, sharing_moves_no_more_between_nodes, 2);
    MOE_TEST_LOOP(suite, a_sequence_is_attended_to_by_one_gpu,
                  MOE_ARRAY_LEN(shared));
    MOE_TEST_LOOP(suite, a_token_of_a_step_that_decodes_is_a_sequence,
                  MOE_ARRAY_LEN(batches));
    MOE_TEST_LOOP(suite, what_cannot_be_served_is_refused,
                  MOE_ARRAY_LEN(refused));
    return suite;
}
