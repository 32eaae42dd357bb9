/* SPDX-License-Identifier: Apache-2.0 */
/* Predictors that count, online or in tables, and those that read a file. */
#include "moegps/predictor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "prediction.h"

/* The shares of the last `n` of `seen` iterations, added up one by one. */
static void look_back(moe_batcher *batcher, int seen, int n, int l,
                      double *share)
{
    double total = 0;
    memset(share, 0, MAX_E * sizeof *share);
    for (int i = seen > n ? seen - n : 0; i < seen; i++) {
        const moe_batch *b = moe_batcher_load(batcher, (uint64_t)i);
        for (int e = 0; e < b->experts; e++) {
            share[e] += (double)b->true_pairs[l * b->experts + e];
            total += (double)b->true_pairs[l * b->experts + e];
        }
    }
    for (int e = 0; e < MAX_E; e++)
        share[e] /= total;
}

/* Shares of one layer in the last batches of the training part, the newest
 * last. @return how many. */
static int recall_past(const moe_trace *trace, int batch, int seq, int most,
                       int l, double (*share_out)[MAX_E])
{
    const moe_batcher_params params = {.trace = trace,
                                       .seed = 7,
                                       .batch = batch,
                                       .seq = seq,
                                       .layers = layers,
                                       .n_layers = N_LAYERS,
                                       .iterations = 1,
                                       .gpus = 1,
                                       .training = true};
    moe_batcher *b = NULL;
    ck_assert_int_eq(moe_batcher_new(&params, &b, NULL), MOE_OK);
    const int whole = (int)moe_batcher_whole(b);
    const int n = whole < most ? whole : most;
    for (int i = 0; i < n; i++) {
        const moe_batch *x = moe_batcher_load(b, (uint64_t)(whole - n + i));
        for (int e = 0; e < trace->experts; e++)
            share_out[i][e] = (double)x->true_pairs[l * trace->experts + e] /
                              (double)x->tokens / trace->top_k;
    }
    moe_batcher_free(b);
    return n;
}

/* A window of 3 and what it starts with: batches of the training part, of
 * the iterations' size; all of it where it is too small for one; nothing. */
static const struct {
    bool loads;
    int batch, seq; /* that the predictor is told of */
    int as, as_seq; /* batches that it remembers */
    const char *set;
    bool cold;
} pasts[] = {{false, SEQS, LEN, SEQS, LEN, "iterations=3", false},
             {true, SEQS, LEN, SEQS, LEN, "iterations=3", false},
             {true, 1, 0, 1, 0, "iterations=3", false},
             {false, 0, 0, 6, 0, "iterations=3", false},
             {false, 9, 300, 6, 0, "iterations=3", false},
             {false, SEQS, LEN, 0, 0, "iterations=3,history=none", true}};

START_TEST(window_sums_the_last_iterations)
{
    moe_trace trace = make_trace(pasts[_i].loads);
    double share[MAX_E], expected[MAX_E], past[3][MAX_E] = {{0}};
    prediction window;
    rank_batch h;
    rank_batch_init(&h, &trace, 0, 1);
    prediction_shape =
        (moe_batcher_params){.batch = pasts[_i].batch, .seq = pasts[_i].seq};
    prediction_init(&window, "window", &trace, pasts[_i].set);
    for (int i = 0; i < 8; i++) {
        for (int l = 0; l < N_LAYERS; l++) {
            window.predictor->load(window.state, h.batch, l, share);
            if (i > 0 && i < 3 && !pasts[_i].cold)
                continue; /* past and present mixed */
            memset(expected, 0, sizeof expected);
            const int n = i > 0 || pasts[_i].cold
                              ? 0
                              : recall_past(&trace, pasts[_i].as,
                                            pasts[_i].as_seq, 3, l, past);
            if (i > 0)
                look_back(h.batcher, i, 3, l, expected);
            for (int e = 0; e < trace.experts; e++) {
                for (int j = 0; j < n; j++)
                    expected[e] += past[j][e] / n;
                if (i == 0 && n == 0)
                    expected[e] = 1.0 / trace.experts;
                ck_assert_double_eq_tol(share[e], expected[e], 1e-12);
            }
        }
        h.batch = moe_batcher_load(h.batcher, (uint64_t)i);
        window.predictor->observe(window.state, h.batch);
    }
    prediction_fini(&window);
    moe_batcher_free(h.batcher);
    moe_trace_free(&trace);
}
END_TEST

static const struct {
    const char *set;
    double alpha;
} averages[] = {{NULL, 0.1}, {"alpha=0.4", 0.4}, {"half_life=1", 0.5}};

START_TEST(ema_weighs_iterations_by_age)
{
    moe_trace trace = make_trace(false);
    double share[MAX_E], expected[MAX_E], now[MAX_E], past[10][MAX_E];
    prediction s;
    rank_batch h;
    rank_batch_init(&h, &trace, 0, 1);
    prediction_shape = (moe_batcher_params){.batch = 1, .seq = 45};
    prediction_init(&s, "ema", &trace, averages[_i].set);
    const int n = recall_past(&trace, 1, 45, 10, 1, past);
    ck_assert_int_eq(n, 6);
    memcpy(expected, past[0], sizeof expected);
    for (int i = 1; i < n; i++)
        for (int e = 0; e < trace.experts; e++)
            expected[e] += averages[_i].alpha * (past[i][e] - expected[e]);
    for (int i = 0; i < 6; i++) {
        s.predictor->load(s.state, h.batch, 1, share);
        for (int e = 0; e < trace.experts; e++)
            ck_assert_double_eq_tol(share[e], expected[e], 1e-12);
        look_back(h.batcher, i + 1, 1, 1, now);
        for (int e = 0; e < trace.experts; e++)
            expected[e] += averages[_i].alpha * (now[e] - expected[e]);
        h.batch = moe_batcher_load(h.batcher, (uint64_t)i);
        s.predictor->observe(s.state, h.batch);
    }
    prediction_fini(&s);
    moe_batcher_free(h.batcher);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(online_predictors_need_no_training_part)
{
    moe_trace trace = make_trace(true);
    double share[MAX_E], now[MAX_E];
    prediction s;
    rank_batch h;
    memset(trace.seq_part, MOE_PART_TEST, trace.n_seqs);
    rank_batch_init(&h, &trace, 0, 1);
    prediction_init(&s, _i == 0 ? "window" : "ema", &trace, NULL);
    ck_assert_int_eq(s.status, MOE_OK);
    s.predictor->load(s.state, h.batch, 0, share);
    for (int e = 0; e < trace.experts; e++)
        ck_assert_double_eq(share[e], 1.0 / trace.experts);
    s.predictor->observe(s.state, moe_batcher_load(h.batcher, 0));
    s.predictor->load(s.state, h.batch, 0, share);
    look_back(h.batcher, 1, 1, 0, now);
    for (int e = 0; e < trace.experts; e++)
        ck_assert_double_eq_tol(share[e], now[e], 1e-12);
    prediction_fini(&s);
    moe_batcher_free(h.batcher);
    moe_trace_free(&trace);
}
END_TEST

/* What distinguishes tokens, and its value for a token of the trace. */
static const struct {
    const char *name, *set;
    double prior;
} conditions[] = {{"frequency", NULL, 0},
                  {"token", "prior=0", 0},
                  {"token", "prior=2.5", 2.5},
                  {"position", "prior=0", 0},
                  {"position", "prior=3", 3}};

static int64_t condition(const moe_trace *t, uint64_t i, const char *name)
{
    if (strcmp(name, "token") == 0)
        return t->token_id[i];
    if (strcmp(name, "position") != 0)
        return 0;
    const int32_t p = t->position[i]; /* below 64: the octaves in full */
    return p < 16 ? p : p < 32 ? 100 + (p - 16) / 4 : 200 + (p - 32) / 8;
}

/* Scores by looking at every training token, once for all, once for those
 * that are like token i. */
static void count_alike(const moe_trace *t, int layer, uint64_t i, int which,
                        bool first_only, double *score)
{
    const char *name = conditions[which].name;
    const double prior = conditions[which].prior;
    double all[MAX_E] = {0}, alike[MAX_E] = {0}, n_all = 0, n_alike = 0;
    const size_t k = (size_t)t->top_k;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (uint64_t j = t->seq_offset[s];
             t->seq_part[s] == MOE_PART_TRAIN && j < t->seq_offset[s + 1];
             j++) {
            const uint16_t *e =
                t->experts_of + ((uint64_t)layer * t->n_tokens + j) * k;
            const bool like = condition(t, i, name) == condition(t, j, name);
            for (size_t m = 0; m < (first_only ? 1 : k); m++) {
                all[e[m]]++;
                alike[e[m]] += like;
            }
            n_all++;
            n_alike += like;
        }
    for (int e = 0; e < t->experts; e++)
        score[e] = n_alike > 0
                       ? (alike[e] + prior * all[e] / n_all) / (n_alike + prior)
                       : all[e] / n_all;
}

/* The k experts hold the highest scores, and the first of them the highest
 * of first choices. */
static bool agree_with_scores(const uint16_t *experts, int k, int n,
                              const double *score, const double *first)
{
    double least_in = 2, most_out = -1;
    for (int e = 0; e < n; e++) {
        bool in = false;
        for (int j = 0; j < k; j++)
            in = in || experts[j] == e;
        if (in)
            least_in = fmin(least_in, score[e]);
        else
            most_out = fmax(most_out, score[e]);
    }
    for (int j = 1; j < k; j++)
        if (first[experts[j]] > first[experts[0]] + 1e-12)
            return false;
    return least_in >= most_out - 1e-12;
}

START_TEST(tables_hold_what_direct_counting_finds)
{
    moe_trace trace = make_trace(false);
    const char *name = conditions[_i].name;
    for (uint64_t i = 0; i < trace.n_tokens; i++) /* some are never trained */
        if (trace.token_id[i] < 9)
            trace.token_id[i] = i < 300 ? 20 : trace.token_id[i];
    uint16_t experts[MAX_OWN * 2];
    double score[MAX_E], first[MAX_E];
    prediction s;
    rank_batch h;
    prediction_init(&s, name, &trace, conditions[_i].set);
    rank_batch_init(&h, &trace, 0, 1);
    for (int l = 0; l < N_LAYERS; l++) {
        s.predictor->tokens(s.state, h.batch, l, experts);
        for (uint32_t t = 0; t < h.batch->own; t++) {
            count_alike(&trace, layers[l], h.batch->id[t], _i, false, score);
            count_alike(&trace, layers[l], h.batch->id[t], _i, true, first);
            ck_assert_msg(agree_with_scores(experts + t * 2, 2, trace.experts,
                                            score, first),
                          "layer %d, token %u", l, t);
        }
    }
    prediction_fini(&s);
    moe_batcher_free(h.batcher);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(probabilities_add_up_to_the_training_part)
{
    /* Over the tokens that it was counted on, the frequency table expects
     * what the training part has. */
    moe_trace trace = make_trace(false);
    uint64_t load[MAX_E];
    double share[MAX_E];
    uint16_t experts[MAX_OWN * 2];
    prediction s, distribution;
    rank_batch h;
    rank_batch_init(&h, &trace, 0, 1);
    prediction_init(&s, "frequency", &trace, "collects=probabilities");
    prediction_init(&distribution, "distribution", &trace, NULL);
    moe_predictor_load(s.predictor, s.forecast, s.state, h.batch, 0,
                       &(moe_predicted){.tokens = experts, .load = load});
    distribution.predictor->load(distribution.state, h.batch, 0, share);
    for (int e = 0; e < trace.experts; e++)
        ck_assert_double_eq_tol((double)load[e] / MOE_LOAD_ONE,
                                share[e] * 2 * h.batch->own, 1e-4);
    prediction_fini(&s);
    prediction_fini(&distribution);
    moe_batcher_free(h.batcher);
    moe_trace_free(&trace);
}
END_TEST

/* Turn the scores of a file around: its last choice becomes the first. */
START_TEST(a_file_is_taken_as_it_is_but_for_its_scores)
{
    moe_trace trace = make_trace(false);
    foreign_file p = foreign_of(&trace);
    const size_t n = (size_t)(p.dims[0] * p.dims[1] * p.dims[2]);
    uint16_t experts[MAX_OWN * 2];
    char set[600];
    if (_i == 1)
        p.scores = moe_array_new(n, sizeof *p.scores, NULL);
    for (size_t i = 0; i < n && _i == 1; i++)
        p.scores[i] = i % 2 == 1 ? -1.0 : -2.0;
    memcpy(p.model, trace.model, sizeof p.model);
    snprintf(trace.sha256, sizeof trace.sha256, "%064d", 7);
    memcpy(p.sha256, trace.sha256, sizeof p.sha256);
    snprintf(set, sizeof set, "path=%s", write_foreign(&p));
    prediction s;
    rank_batch h;
    prediction_init(&s, "file", &trace, set);
    ck_assert_msg(s.status == MOE_OK, "%s", s.err.text);
    rank_batch_init(&h, &trace, 0, 1);
    for (int l = 0; l < N_LAYERS; l++) {
        s.predictor->tokens(s.state, h.batch, l, experts);
        for (size_t i = 0; i < h.batch->own * 2; i++) {
            const size_t j = _i == 1 ? i ^ 1 : i;
            const uint16_t truth =
                h.batch->experts_of[(size_t)l * h.batch->own * 2 + j];
            ck_assert_int_eq(experts[i], (truth + 1) % trace.experts);
        }
    }
    prediction_fini(&s);
    moe_batcher_free(h.batcher);
    free(p.experts);
    free(p.scores);
    moe_trace_free(&trace);
}
END_TEST

static void spoil_range(foreign_file *p)
{
    p->experts[700] = 8;
}
static void spoil_sign(foreign_file *p)
{
    p->experts[701] = -1;
}
static void spoil_far(foreign_file *p)
{
    p->experts[1300] = INT64_C(1) << 40;
}
static void spoil_twice(foreign_file *p)
{
    p->experts[703] = p->experts[702];
}
static void spoil_score(foreign_file *p)
{
    p->scores[9] = NAN;
}
static void spoil_tokens(foreign_file *p)
{
    p->dims[1]--;
}
static void spoil_layers(foreign_file *p)
{
    p->dims[0]--;
}
static void spoil_model(foreign_file *p)
{
    memcpy(p->model, "other", 6);
}
static void spoil_sha256(foreign_file *p)
{
    memcpy(p->sha256, "0123456789abcdef", 17);
}

static const struct {
    void (*spoil)(foreign_file *p);
    moe_status status;
    const char *says;
} lies[] = {
    {spoil_range, MOE_FORMAT, "layer 0, token 350: expert 8 is not in 0..7"},
    {spoil_sign, MOE_FORMAT, "layer 0, token 350: expert -1 is not in 0..7"},
    {spoil_far, MOE_FORMAT, "is not in 0..7"},
    {spoil_twice, MOE_FORMAT, "is there twice"},
    {spoil_score, MOE_FORMAT, "layer 0, token 4: nan is no score"},
    {spoil_tokens, MOE_MISMATCH, "the trace has 3 layers, 600 tokens, top 2"},
    {spoil_layers, MOE_MISMATCH, "the trace has 3 layers, 600 tokens, top 2"},
    {spoil_model, MOE_MISMATCH, "is of model 'other', the trace of 'tiny'"},
    {spoil_sha256, MOE_MISMATCH, "is of a trace with sha256 0123456789ab"},
};

START_TEST(files_that_lie_are_refused)
{
    static const int all[] = {0, 1, 2};
    moe_trace trace = make_trace(false);
    foreign_file p = foreign_of(&trace);
    const size_t n = (size_t)(p.dims[0] * p.dims[1] * p.dims[2]);
    char set[600];
    p.scores = moe_array_new(n, sizeof *p.scores, NULL);
    lies[_i].spoil(&p);
    snprintf(set, sizeof set, "path=%s", write_foreign(&p));
    prediction s;
    prediction_init(&s, "file", &trace, set);
    s.env.layers = all; /* in order, so that the first lie is found */
    s.env.n_layers = 3;
    moe_predictor_free(s.predictor, s.state);
    s.err = (moe_error){0};
    s.state = moe_predictor_new(s.predictor, &s.env, s.params, &s.err);
    s.status = s.err.status;
    ck_assert_int_eq(s.status, lies[_i].status);
    ck_assert_msg(strstr(s.err.text, lies[_i].says) != NULL, "%s", s.err.text);
    ck_assert_msg(strstr(s.err.text, "foreign.h5: ") != NULL, "%s", s.err.text);
    prediction_fini(&s);
    free(p.experts);
    free(p.scores);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    moe_trace trace = make_trace(false);
    char path[300], set[512];
    snprintf(path, sizeof path, "%s/text.h5", test_dir);
    FILE *f = fopen(path, "w");
    fputs(_i == 0 ? "no HDF5 in here\n" : "", f);
    fclose(f);
    snprintf(set, sizeof set, "path=%s", path);
    prediction s;
    prediction_init(&s, "file", &trace, set);
    ck_assert_int_eq(s.status, _i == 0 ? MOE_FORMAT : MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(s.err.text, "text.h5: "));
    prediction_fini(&s);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(traces_without_what_is_needed_are_refused)
{
    moe_trace trace = make_trace(false);
    prediction s;
    trace.vocab_size = 0;
    trace.has_position = false;
    prediction_init(&s, _i == 0 ? "token" : "position", &trace, NULL);
    ck_assert_int_eq(s.status, MOE_USAGE);
    ck_assert_msg(strstr(s.err.text, _i == 0 ? "has no token ids"
                                             : "has no positions") != NULL,
                  "%s", s.err.text);
    prediction_fini(&s);
    moe_trace_free(&trace);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("predictor_counts");
    MOE_TEST_LOOP(suite, window_sums_the_last_iterations, MOE_ARRAY_LEN(pasts));
    MOE_TEST_LOOP(suite, ema_weighs_iterations_by_age, MOE_ARRAY_LEN(averages));
    MOE_TEST_LOOP(suite, online_predictors_need_no_training_part, 2);
    MOE_TEST_LOOP(suite, tables_hold_what_direct_counting_finds,
                  MOE_ARRAY_LEN(conditions));
    MOE_TEST(suite, probabilities_add_up_to_the_training_part);
    MOE_TEST_LOOP(suite, a_file_is_taken_as_it_is_but_for_its_scores, 2);
    MOE_TEST_LOOP(suite, files_that_lie_are_refused, MOE_ARRAY_LEN(lies));
    MOE_TEST_LOOP(suite, what_is_no_file_is_refused, 2);
    MOE_TEST_LOOP(suite, traces_without_what_is_needed_are_refused, 2);
    return suite;
}
