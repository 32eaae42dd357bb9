/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/batch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "harness.h"
#include "moegps/mem.h"

static const int layers[] = {2, 0};
enum { N_LAYERS = 2, TEST_TOKENS = 300, TEST_SEQS = 6 };

/* The fixture's token trace has 6 test sequences of 50 tokens, its load trace
 * 3 test steps of 40. */
static moe_trace make_trace(bool loads)
{
    const moe_model model = fixture_model();
    return loads ? fixture_loads(&model) : fixture_tokens(&model);
}

static moe_batcher *make(const moe_trace *trace, int batch, int seq, int gpu,
                         int gpus)
{
    const moe_batcher_params params = {.trace = trace,
                                       .seed = 11,
                                       .batch = batch,
                                       .seq = seq,
                                       .layers = layers,
                                       .n_layers = N_LAYERS,
                                       .iterations = 12,
                                       .gpu = gpu,
                                       .gpus = gpus};
    moe_batcher *b = NULL;
    moe_error err = {0};
    if (moe_batcher_new(&params, &b, &err) != MOE_OK)
        ck_abort_msg("%s", err.text);
    return b;
}

static uint64_t sequence_of(const moe_trace *t, uint64_t token)
{
    uint64_t s = 0;
    while (t->seq_offset[s + 1] <= token)
        s++;
    return s;
}

/* Shapes of a batch: sequences, tokens of each (0: as they are). */
static const struct {
    bool loads;
    int batch, seq;
    uint64_t tokens, stream; /* of a batch; of one pass */
} shapes[] = {
    {false, 1, 25, 25, 300}, {false, 2, 30, 60, 300}, {false, 1, 300, 300, 300},
    {false, 1, 1, 1, 300},   {false, 7, 1, 7, 300},   {false, 3, 250, 750, 300},
    {false, 1, 0, 50, 300},  {false, 4, 0, 200, 300}, {false, 13, 0, 650, 300},
    {true, 1, 0, 40, 120},   {true, 2, 0, 80, 120},   {true, 1, 17, 17, 120},
    {true, 5, 30, 150, 120},
};

static bool rows_equal(const moe_batch *whole, const moe_batch *part)
{
    const size_t k = (size_t)whole->top_k;
    for (uint32_t t = 0; t < part->own; t++) {
        const size_t w = part->first + t;
        bool same = part->id[t] == whole->id[w] &&
                    (whole->token_id == NULL ||
                     part->token_id[t] == whole->token_id[w]) &&
                    (whole->position == NULL ||
                     part->position[t] == whole->position[w]);
        for (size_t l = 0; l < N_LAYERS; l++) {
            const size_t a = (l * part->own + t) * k,
                         b = (l * whole->own + w) * k;
            same = same && memcmp(part->experts_of + a, whole->experts_of + b,
                                  k * sizeof *whole->experts_of) == 0;
            same = same && (whole->gate == NULL ||
                            memcmp(part->gate + a, whole->gate + b,
                                   k * sizeof *whole->gate) == 0);
        }
        if (!same)
            return false;
    }
    return true;
}

START_TEST(ranks_hold_contiguous_parts_of_the_same_batch)
{
    static const int counts[] = {2, 3, 4, 7, 64};
    moe_trace trace = make_trace(shapes[_i].loads);
    moe_batcher *one = make(&trace, shapes[_i].batch, shapes[_i].seq, 0, 1);
    ck_assert_uint_eq(moe_batcher_max_tokens(one), shapes[_i].tokens);
    for (size_t c = 0; c < MOE_ARRAY_LEN(counts); c++)
        for (uint64_t i = 0; i < 5; i++) {
            const moe_batch *whole = moe_batcher_load(one, i);
            const uint64_t tokens = whole->tokens;
            uint64_t next = 0;
            int64_t pairs[N_LAYERS * 8] = {0};
            bool right = whole->own == tokens && whole->first == 0;
            for (int g = 0; g < counts[c]; g++) {
                moe_batcher *b = make(&trace, shapes[_i].batch, shapes[_i].seq,
                                      g, counts[c]);
                const moe_batch *part = moe_batcher_load(b, i);
                right =
                    right && part->tokens == tokens && part->iteration == i &&
                    part->first == next &&
                    part->first == tokens * (uint64_t)g / (uint64_t)counts[c] &&
                    part->own <= moe_batch_share_max(tokens, counts[c]) &&
                    rows_equal(whole, part);
                next += part->own;
                for (size_t x = 0; x < MOE_ARRAY_LEN(pairs); x++)
                    pairs[x] += part->true_pairs[x];
                moe_batcher_free(b);
            }
            ck_assert(right);
            ck_assert_uint_eq(next, tokens);
            ck_assert_mem_eq(pairs, whole->true_pairs, sizeof pairs);
        }
    moe_batcher_free(one);
    moe_trace_free(&trace);
}
END_TEST

/* Rows come from the trace as it stands there. */
static bool is_of_trace(const moe_trace *t, const moe_batch *b)
{
    const size_t k = (size_t)t->top_k;
    for (uint32_t i = 0; i < b->own; i++) {
        const uint64_t id = b->id[i];
        if (id >= t->n_tokens ||
            t->seq_part[sequence_of(t, id)] != MOE_PART_TEST ||
            b->token_id[i] != t->token_id[id] ||
            b->position[i] != t->position[id])
            return false;
        for (size_t l = 0; l < N_LAYERS; l++) {
            const size_t row = ((size_t)layers[l] * t->n_tokens + id) * k,
                         at = (l * b->own + i) * k;
            if (memcmp(b->experts_of + at, t->experts_of + row,
                       k * sizeof *t->experts_of) != 0 ||
                memcmp(b->gate + at, t->gate + row, k * sizeof *t->gate) != 0)
                return false;
        }
    }
    return true;
}

START_TEST(tokens_carry_all_that_the_test_part_knows_of_them)
{
    moe_trace trace = make_trace(false);
    moe_batcher *b = make(&trace, shapes[_i].batch, shapes[_i].seq, 0, 1);
    for (uint64_t i = 0; i < 12; i++)
        ck_assert(is_of_trace(&trace, moe_batcher_load(b, i)));
    moe_batcher_free(b);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(the_stream_is_used_up_before_it_repeats)
{
    moe_trace trace = make_trace(shapes[_i].loads);
    moe_batcher *b = make(&trace, shapes[_i].batch, shapes[_i].seq, 0, 1);
    const uint64_t stream = shapes[_i].stream;
    uint64_t place = 0;
    uint64_t *order = moe_array_new(stream, sizeof *order, NULL);
    int *seen = moe_array_new(trace.n_tokens, sizeof *seen, NULL);
    bool right = true;
    for (uint64_t i = 0; i < 12; i++) {
        const moe_batch *x = moe_batcher_load(b, i);
        for (uint32_t t = 0; t < x->own; t++, place++) {
            if (place < stream) {
                order[place] = x->id[t];
                right = right && seen[x->id[t]]++ == 0;
            }
            right =
                right && x->id[t] == order[place % stream] &&
                trace.seq_part[sequence_of(&trace, x->id[t])] == MOE_PART_TEST;
        }
    }
    ck_assert(right);
    ck_assert_double_eq_tol(moe_batcher_passes(b),
                            (double)place / (double)stream, 1e-12);
    free(order);
    free(seen);
    moe_batcher_free(b);
    moe_trace_free(&trace);
}
END_TEST

/* Twelve test sequences of ten tokens; batches of so many sequences or tokens,
 * so many of them; whose cluster a sequence is: its number over `each`, 0: the
 * trace names none. Recorded order. */
static const struct {
    int batch, seq, n, each;
    double alike;
} alikes[] = {
    {1, 0, 12, 0, 1},        /* a sequence each */
    {1, 0, 12, 4, 4},        /* four of each of three clusters */
    {1, 0, 8, 4, 4},         /* of two */
    {1, 0, 10, 4, 36. / 10}, /* 4, 4 and 2 */
    {2, 0, 6, 4, 2},         /* both of a batch are of one */
    {2, 0, 6, 1, 1},         /* mixed */
    {3, 0, 4, 4, 1},         /* mixed but for the first */
    {1, 5, 24, 0, 2},        /* halves of a sequence */
    {1, 5, 24, 12, 24},      /* all are of one */
};

START_TEST(batches_of_one_cluster_share_it)
{
    enum { SEQS = 12, TOKENS = 10 };
    static const int layer = 0;
    uint64_t offset[SEQS + 1];
    uint32_t cluster[SEQS];
    uint8_t part[SEQS];
    uint16_t experts[SEQS * TOKENS] = {0};
    for (uint32_t s = 0; s <= SEQS; s++) {
        offset[s] = s * TOKENS;
        if (s < SEQS) {
            part[s] = MOE_PART_TEST;
            cluster[s] =
                alikes[_i].each > 0 ? s / (uint32_t)alikes[_i].each : 0;
        }
    }
    const moe_trace t = {.kind = MOE_TRACE_TOKENS,
                         .has_cluster = alikes[_i].each > 0,
                         .layers = 1,
                         .experts = 4,
                         .top_k = 1,
                         .n_tokens = SEQS * TOKENS,
                         .n_seqs = SEQS,
                         .seq_offset = offset,
                         .seq_part = part,
                         .experts_of = experts,
                         .cluster = cluster};
    const moe_batcher_params params = {.trace = &t,
                                       .batch = alikes[_i].batch,
                                       .seq = alikes[_i].seq,
                                       .layers = &layer,
                                       .n_layers = 1,
                                       .iterations = alikes[_i].n,
                                       .gpu = -1,
                                       .gpus = 1,
                                       .order = MOE_BATCH_RECORDED};
    moe_batcher *b = NULL;
    ck_assert_int_eq(moe_batcher_new(&params, &b, NULL), MOE_OK);
    ck_assert_double_eq_tol(moe_batcher_alike(b), alikes[_i].alike, 1e-12);
    moe_batcher_free(b);
}
END_TEST

START_TEST(seq_0_takes_sequences_as_they_are)
{
    moe_trace trace = make_trace(false);
    /* Of different lengths, one of them empty. */
    static const uint64_t cuts[] = {300, 310, 310, 400, 401, 500, 600};
    memcpy(trace.seq_offset + 6, cuts, sizeof cuts);
    moe_batcher *b = make(&trace, 2, 0, 0, 1);
    uint64_t longest = 0;
    bool right = true;
    for (uint64_t i = 0; i < 10; i++) {
        const moe_batch *x = moe_batcher_load(b, i);
        uint64_t at = 0;
        for (int j = 0; j < 2; j++) {
            uint64_t s = sequence_of(&trace, x->id[at]);
            right = right && x->id[at] == trace.seq_offset[s];
            for (uint64_t t = trace.seq_offset[s]; t < trace.seq_offset[s + 1];)
                right = right && at < x->own && x->id[at++] == t++;
        }
        right = right && at == x->own && x->own == x->tokens;
        longest = x->tokens > longest ? x->tokens : longest;
    }
    ck_assert(right);
    ck_assert_uint_le(longest, moe_batcher_max_tokens(b));
    moe_batcher_free(b);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(whole_steps_have_exactly_the_recorded_loads)
{
    moe_trace trace = make_trace(true);
    moe_batcher *b = make(&trace, 1, 0, 0, 1);
    for (uint64_t i = 0; i < 6; i++) {
        const moe_batch *x = moe_batcher_load(b, i);
        const uint64_t s = sequence_of(&trace, x->id[0]);
        ck_assert_ptr_null(x->gate);
        ck_assert_ptr_null(x->token_id);
        ck_assert_ptr_null(x->position);
        for (size_t l = 0; l < N_LAYERS; l++)
            for (size_t e = 0; e < 8; e++)
                ck_assert_int_eq(
                    x->true_pairs[l * 8 + e],
                    trace.counts[(s * 3 + (size_t)layers[l]) * 8 + e]);
        for (size_t p = 0; p < (size_t)N_LAYERS * x->own; p++)
            ck_assert_uint_ne(x->experts_of[2 * p], x->experts_of[2 * p + 1]);
    }
    moe_batcher_free(b);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(more_gpus_than_tokens_leave_some_without)
{
    moe_trace trace = make_trace(false);
    uint64_t tokens = 0;
    for (int g = 0; g < 10; g++) {
        moe_batcher *b = make(&trace, 1, 3, g, 10);
        const moe_batch *x = moe_batcher_load(b, 0);
        ck_assert_uint_le(x->own, 1);
        tokens += x->own;
        moe_batcher_free(b);
    }
    ck_assert_uint_eq(tokens, 3);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(a_rank_without_a_gpu_holds_no_tokens)
{
    moe_trace trace = make_trace(_i == 1);
    moe_batcher *b = make(&trace, 1, 30, -1, 2);
    const moe_batch *x = moe_batcher_load(b, 3);
    ck_assert_uint_eq(x->own, 0);
    ck_assert_uint_eq(x->tokens, 30);
    for (int e = 0; e < N_LAYERS * 8; e++)
        ck_assert_int_eq(x->true_pairs[e], 0);
    moe_batcher_free(b);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(the_seed_orders_sequences)
{
    moe_trace trace = make_trace(false);
    moe_batcher_params params = {.trace = &trace,
                                 .batch = TEST_SEQS,
                                 .layers = layers,
                                 .n_layers = N_LAYERS,
                                 .iterations = 1,
                                 .gpus = 1};
    uint64_t id[2][TEST_TOKENS];
    for (int s = 0; s < 2; s++) {
        moe_batcher *b = NULL;
        params.seed = (uint64_t)s;
        ck_assert_int_eq(moe_batcher_new(&params, &b, NULL), MOE_OK);
        memcpy(id[s], moe_batcher_load(b, 0)->id, sizeof id[s]);
        moe_batcher_free(b);
    }
    ck_assert_mem_ne(id[0], id[1], sizeof id[0]);
    moe_trace_free(&trace);
}
END_TEST

/* Whether batches follow one another as recorded, by choice and trace. */
static const struct {
    moe_batch_order order;
    moe_trace_order trace;
    bool recorded;
} choices[] = {{MOE_BATCH_AUTO, MOE_ORDER_TIME, true},
               {MOE_BATCH_AUTO, MOE_ORDER_NONE, false},
               {MOE_BATCH_RECORDED, MOE_ORDER_NONE, true},
               {MOE_BATCH_SHUFFLED, MOE_ORDER_TIME, false}};

START_TEST(recorded_batches_follow_one_another)
{
    moe_trace trace = make_trace(false);
    trace.order = choices[_i].trace;
    const moe_batcher_params params = {.trace = &trace,
                                       .seed = 11,
                                       .batch = 2,
                                       .seq = 30,
                                       .layers = layers,
                                       .n_layers = N_LAYERS,
                                       .iterations = 5,
                                       .gpus = 1,
                                       .order = choices[_i].order};
    moe_batcher *b = NULL;
    ck_assert_int_eq(moe_batcher_new(&params, &b, NULL), MOE_OK);
    ck_assert_int_eq(moe_batcher_is_recorded(b), choices[_i].recorded);
    ck_assert_uint_eq(moe_batcher_whole(b), 5);
    uint64_t next = 300; /* the test part is the second half */
    bool rising = true;
    for (uint64_t i = 0; i < 5; i++) {
        const moe_batch *x = moe_batcher_load(b, i);
        for (uint32_t t = 0; t < x->own; t++)
            rising = rising && x->id[t] == next++;
    }
    ck_assert_int_eq(rising, choices[_i].recorded);
    moe_batcher_free(b);
    moe_trace_free(&trace);
}
END_TEST

/* 5 batches of 60 tokens are all of the test part. */
static const struct {
    int iterations;
    bool shuffled, repeat;
    const char *says; /* NULL: well */
} lengths[] = {{5, false, false, NULL},
               {6, false, false, "recorded order has 5 batches of this size"},
               {6, false, true, NULL},
               {6, true, false, NULL}};

START_TEST(recorded_order_ends_with_the_test_part)
{
    moe_trace trace = make_trace(false);
    const moe_batcher_params params = {
        .trace = &trace,
        .batch = 2,
        .seq = 30,
        .layers = layers,
        .n_layers = N_LAYERS,
        .iterations = lengths[_i].iterations,
        .gpus = 1,
        .order = lengths[_i].shuffled ? MOE_BATCH_SHUFFLED : MOE_BATCH_RECORDED,
        .repeat = lengths[_i].repeat};
    moe_batcher *b = NULL;
    moe_error err = {0};
    const moe_status s = moe_batcher_new(&params, &b, &err);
    if (lengths[_i].says != NULL) {
        ck_assert_int_eq(s, MOE_USAGE);
        ck_assert_ptr_nonnull(strstr(err.text, lengths[_i].says));
    } else {
        ck_assert_int_eq(s, MOE_OK);
    }
    moe_batcher_free(b);
    moe_trace_free(&trace);
}
END_TEST

/* Counted without their tokens, batches are those that ranks load; those of
 * the training part end where it does. */
START_TEST(counts_are_those_of_the_tokens)
{
    moe_trace trace = make_trace(shapes[_i].loads);
    moe_batcher *whole = make(&trace, shapes[_i].batch, shapes[_i].seq, 0, 1),
                *none = make(&trace, shapes[_i].batch, shapes[_i].seq, -1, 4);
    for (uint64_t i = 0; i < 5; i++) {
        const moe_batch *a = moe_batcher_load(whole, i),
                        *b = moe_batcher_count(none, i);
        ck_assert_uint_eq(a->tokens, b->tokens);
        ck_assert_mem_eq(a->true_pairs, b->true_pairs,
                         N_LAYERS * 8 * sizeof *a->true_pairs);
    }
    moe_batcher_free(whole);
    moe_batcher_free(none);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(the_training_part_ends_with_its_last_batch)
{
    moe_trace trace = make_trace(false);
    moe_batcher_params params = {.trace = &trace,
                                 .batch = _i == 0 ? 2 : 4,
                                 .seq = _i == 0 ? 35 : 0,
                                 .layers = layers,
                                 .n_layers = N_LAYERS,
                                 .iterations = 1,
                                 .gpus = 1,
                                 .order = MOE_BATCH_RECORDED,
                                 .training = true};
    moe_batcher *b = NULL;
    ck_assert_int_eq(moe_batcher_new(&params, &b, NULL), MOE_OK);
    const uint64_t n = moe_batcher_whole(b);
    ck_assert_uint_eq(n, _i == 0 ? 4 : 1);
    const moe_batch *x = moe_batcher_load(b, n - 1);
    ck_assert_uint_eq(x->id[x->own - 1], 299);
    ck_assert_uint_eq(moe_batcher_load(b, 0)->id[0], _i == 0 ? 20 : 100);
    moe_batcher_free(b);
    moe_trace_free(&trace);
}
END_TEST

/* Three of six sequences of 50 run from the start, in 0, 16 and 33 tokens. */
START_TEST(decode_takes_the_next_token_of_each_running_sequence)
{
    static const int start[] = {0, 16, 33};
    enum { RUNNING = 3, LONG = 50, MANY = 60 };
    moe_trace t = make_trace(false);
    const moe_batcher_params params = {.trace = &t,
                                       .batch = RUNNING,
                                       .seq = 1,
                                       .layers = layers,
                                       .n_layers = N_LAYERS,
                                       .iterations = MANY,
                                       .gpus = 1,
                                       .order = MOE_BATCH_RECORDED,
                                       .decode = true};
    moe_batcher *b = NULL;
    ck_assert_int_eq(moe_batcher_new(&params, &b, NULL), MOE_OK);
    uint64_t seq[RUNNING], first = 0;
    int at[RUNNING], next = RUNNING;
    double all = 0;
    while (t.seq_part[first] != MOE_PART_TEST)
        first++;
    for (int s = 0; s < RUNNING; s++) {
        seq[s] = first + (uint64_t)s;
        at[s] = start[s];
    }
    for (uint64_t i = 0; i < MANY; i++) {
        const moe_batch *x = moe_batcher_load(b, i);
        double cached = 0;
        ck_assert_uint_eq(x->tokens, RUNNING);
        for (int s = 0; s < RUNNING; s++) {
            if (at[s] == LONG) {
                seq[s] = first + (uint64_t)next++;
                at[s] = 0;
            }
            ck_assert_uint_eq(x->id[s], t.seq_offset[seq[s]] + (uint64_t)at[s]);
            cached += at[s]++;
        }
        ck_assert_double_eq(x->all.cached, cached);
        for (int g = 0; g < 2; g++) { /* one, and the two others */
            const moe_batch_share of = moe_batcher_share(b, i, g, 2);
            ck_assert_uint_eq(of.sequences, (uint32_t)g + 1);
            ck_assert_uint_eq(of.tokens, (uint64_t)g + 1);
            ck_assert_double_eq(of.cached,
                                g == 0 ? at[0] - 1 : at[1] + at[2] - 2);
        }
        all += cached;
        ck_assert_uint_eq(x->mine.sequences, RUNNING);
    }
    ck_assert_int_eq(next, 2 * RUNNING);
    ck_assert_double_eq(moe_batcher_passes(b), 1);
    ck_assert_int_eq(moe_batcher_kv_len(b, 7), 7);
    ck_assert_int_eq(moe_batcher_kv_len(b, 0), (int)rint(all / MANY / RUNNING));
    moe_batcher_free(b);
    moe_trace_free(&t);
}
END_TEST

/* Any rank's part of the batches that all see. */
START_TEST(sequences_are_not_cut_between_gpus)
{
    enum { BATCH = 4, GPUS = 3 };
    const int seq = _i == 0 ? 20 : 0, each = _i == 0 ? 20 : 50;
    moe_trace t = make_trace(false);
    for (int g = 0; g < GPUS; g++) {
        const moe_batcher_params params = {.trace = &t,
                                           .seed = 11,
                                           .batch = BATCH,
                                           .seq = seq,
                                           .layers = layers,
                                           .n_layers = N_LAYERS,
                                           .iterations = 3,
                                           .gpu = g,
                                           .gpus = GPUS,
                                           .whole = true};
        moe_batcher *b = NULL;
        ck_assert_int_eq(moe_batcher_new(&params, &b, NULL), MOE_OK);
        moe_batcher *all = make(&t, BATCH, seq, 0, 1);
        ck_assert_uint_eq(moe_batcher_max_own(b), (uint32_t)(2 * each));
        for (uint64_t i = 0; i < 3; i++) {
            const moe_batch *x = moe_batcher_load(b, i);
            const moe_batch *y = moe_batcher_load(all, i);
            const int first = BATCH * g / GPUS, end = BATCH * (g + 1) / GPUS;
            ck_assert_uint_eq(x->first, (uint64_t)(first * each));
            ck_assert_uint_eq(x->own, (uint32_t)((end - first) * each));
            ck_assert_uint_eq(x->mine.sequences, (uint32_t)(end - first));
            ck_assert_uint_eq(x->half,
                              (uint32_t)((end - first + 1) / 2 * each));
            ck_assert_uint_eq(y->half, (y->own + 1) / 2);
            ck_assert_mem_eq(x->id, y->id + x->first, x->own * sizeof *x->id);
        }
        moe_batcher_free(all);
        moe_batcher_free(b);
    }
    moe_trace_free(&t);
}
END_TEST

/* Counts stay, tokens' experts stay distinct, neighbours meet. */
START_TEST(a_mixed_step_has_the_recorded_loads)
{
    moe_trace t = make_trace(true);
    const size_t k = (size_t)t.top_k;
    bool changed = false;
    for (uint64_t seq = 0; seq < t.n_seqs; seq++) {
        const size_t n = (size_t)(t.seq_offset[seq + 1] - t.seq_offset[seq]);
        uint16_t *plain = moe_array_new(n * k, sizeof *plain, NULL);
        uint16_t *mixed = moe_array_new(n * k, sizeof *mixed, NULL);
        int64_t *more = moe_array_new((size_t)t.experts, sizeof *more, NULL);
        moe_trace_expand(&t, 5, seq, 1, plain);
        moe_trace_expand(&t, 5, seq, 1, mixed);
        moe_trace_mix(&t, 5, &(moe_stretch){seq, 0, n}, 1, mixed);
        changed = changed || memcmp(plain, mixed, n * k * sizeof *plain) != 0;
        for (size_t p = 0; p < n * k; p++) {
            more[plain[p]]++;
            more[mixed[p]]--;
            for (size_t j = p / k * k; j < p; j++)
                ck_assert_uint_ne(mixed[j], mixed[p]);
        }
        for (int e = 0; e < t.experts; e++)
            ck_assert_int_eq(more[e], 0);
        free(plain);
        free(mixed);
        free(more);
    }
    ck_assert(changed);
    moe_trace_free(&t);
}
END_TEST

static moe_batcher *make_mixed(const moe_trace *t, int shape, int gpu, int gpus,
                               bool mixed)
{
    const moe_batcher_params params = {.trace = t,
                                       .seed = 11,
                                       .batch = shapes[shape].batch,
                                       .seq = shapes[shape].seq,
                                       .layers = layers,
                                       .n_layers = N_LAYERS,
                                       .iterations = 8,
                                       .gpu = gpu,
                                       .gpus = gpus,
                                       .mixed = mixed};
    moe_batcher *b = NULL;
    ck_assert_int_eq(moe_batcher_new(&params, &b, NULL), MOE_OK);
    return b;
}

/* Whoever shares rows draws the loads of who does not, also of a part of a step;
 * and on any number of GPUs the same tokens. */
START_TEST(a_mixed_batch_has_the_loads_of_one_that_is_not)
{
    enum { GPUS = 3 };
    moe_trace t = make_trace(shapes[_i].loads);
    const size_t n = N_LAYERS * (size_t)t.experts;
    moe_batcher *plain = make_mixed(&t, _i, 0, 1, false);
    moe_batcher *counts = make_mixed(&t, _i, 0, 1, true);
    moe_batcher *all = make_mixed(&t, _i, 0, 1, true);
    for (uint64_t i = 0; i < 8; i++) {
        const moe_batch *x = moe_batcher_load(plain, i);
        const moe_batch *y = moe_batcher_load(all, i);
        const moe_batch *z = moe_batcher_count(counts, i);
        ck_assert_mem_eq(x->true_pairs, y->true_pairs, n * sizeof(int64_t));
        ck_assert_mem_eq(x->true_pairs, z->true_pairs, n * sizeof(int64_t));
        for (int g = 0; g < GPUS; g++) {
            moe_batcher *own = make_mixed(&t, _i, g, GPUS, true);
            ck_assert(rows_equal(y, moe_batcher_load(own, i)));
            moe_batcher_free(own);
        }
    }
    moe_batcher_free(all);
    moe_batcher_free(counts);
    moe_batcher_free(plain);
    moe_trace_free(&t);
}
END_TEST

START_TEST(a_trace_without_test_tokens_is_refused)
{
    moe_trace trace = make_trace(false);
    memset(trace.seq_part, MOE_PART_TRAIN, trace.n_seqs);
    if (_i == 1) { /* a test sequence without tokens is no help */
        trace.seq_part[11] = MOE_PART_TEST;
        trace.seq_offset[11] = trace.seq_offset[12];
    }
    const moe_batcher_params params = {.trace = &trace,
                                       .batch = 1,
                                       .seq = 1,
                                       .layers = layers,
                                       .n_layers = N_LAYERS,
                                       .iterations = 1,
                                       .gpus = 1};
    moe_batcher *b = NULL;
    moe_error err = {0};
    ck_assert_int_eq(moe_batcher_new(&params, &b, &err), MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "test part is empty"));
    ck_assert_ptr_null(b);
    moe_trace_free(&trace);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("batch");
    const size_t n = MOE_ARRAY_LEN(shapes);
    MOE_TEST_LOOP(suite, ranks_hold_contiguous_parts_of_the_same_batch, n);
    MOE_TEST_LOOP(suite, tokens_carry_all_that_the_test_part_knows_of_them, 9);
    MOE_TEST_LOOP(suite, the_stream_is_used_up_before_it_repeats, n);
    MOE_TEST_LOOP(suite, batches_of_one_cluster_share_it,
                  MOE_ARRAY_LEN(alikes));
    MOE_TEST(suite, seq_0_takes_sequences_as_they_are);
    MOE_TEST(suite, whole_steps_have_exactly_the_recorded_loads);
    MOE_TEST(suite, more_gpus_than_tokens_leave_some_without);
    MOE_TEST_LOOP(suite, a_rank_without_a_gpu_holds_no_tokens, 2);
    MOE_TEST(suite, the_seed_orders_sequences);
    MOE_TEST_LOOP(suite, recorded_batches_follow_one_another,
                  MOE_ARRAY_LEN(choices));
    MOE_TEST_LOOP(suite, recorded_order_ends_with_the_test_part,
                  MOE_ARRAY_LEN(lengths));
    MOE_TEST_LOOP(suite, counts_are_those_of_the_tokens, n);
    MOE_TEST_LOOP(suite, the_training_part_ends_with_its_last_batch, 2);
    MOE_TEST(suite, decode_takes_the_next_token_of_each_running_sequence);
    MOE_TEST_LOOP(suite, sequences_are_not_cut_between_gpus, 2);
    MOE_TEST(suite, a_mixed_step_has_the_recorded_loads);
    MOE_TEST_LOOP(suite, a_mixed_batch_has_the_loads_of_one_that_is_not, n);
    MOE_TEST_LOOP(suite, a_trace_without_test_tokens_is_refused, 2);
    return suite;
}
