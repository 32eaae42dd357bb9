/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/predictor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "prediction.h"

static bool is_distribution(const double *share, int n)
{
    double sum = 0;
    bool positive = true;
    for (int e = 0; e < n; e++) {
        positive = positive && share[e] >= 0;
        sum += share[e];
    }
    return positive && fabs(sum - 1) < 1e-12;
}

static bool are_tokens(const uint16_t *experts, const moe_batch *batch)
{
    for (uint32_t t = 0; t < batch->own; t++, experts += batch->top_k)
        for (int j = 0; j < batch->top_k; j++)
            for (int i = 0; i <= j; i++)
                if (experts[j] >= batch->experts ||
                    (i < j && experts[i] == experts[j]))
                    return false;
    return true;
}

/* What members are asked with; every member also with its defaults. */
static const struct {
    const char *name, *set;
} askings[] = {
    {"oracle", "accuracy=0.5"},
    {"oracle", "accuracy=0"},
    {"oracle", "l1=0"},
    {"oracle", "l1=0.7"},
    {"oracle", "l1=1.99"},
    {"distribution", "smoothing=1"},
    {"distribution", "smoothing=1e9"},
    {"window", "iterations=1"},
    {"ema", "alpha=1"},
    {"ema", "half_life=3"},
    {"frequency", "collects=probabilities"},
    {"token", "collects=probabilities"},
    {"token", "collects=probabilities,prior=0"},
    {"token", "prior=1e9"},
    {"position", "collects=probabilities"},
    {"position", "prior=0"},
};

/* What a member needs to be set up at all. */
static const char *least(const char *name, const moe_trace *trace, char *set,
                         size_t size)
{
    if (moe_predictor_find(name)->file == NULL)
        return NULL;
    foreign_file p = foreign_of(trace);
    snprintf(set, size, "path=%s", write_foreign(&p));
    free(p.experts);
    return set;
}

/* Loads do not say what token chose what. */
static bool wants_tokens(const char *name)
{
    static const char *const names[] = {"frequency", "token", "position",
                                        "file"};
    if (moe_predictor_find(name)->train != NULL)
        return true;
    for (size_t i = 0; i < MOE_ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Call `ask` for every member with its defaults, then for all askings. */
static void for_all(const moe_trace *trace,
                    void (*ask)(prediction *s, const moe_trace *trace))
{
    size_t members = 0;
    while (moe_predictor_at(members) != NULL)
        members++;
    for (size_t i = 0; i < members + MOE_ARRAY_LEN(askings); i++) {
        prediction s;
        bool plain = i < members;
        const char *name =
            plain ? moe_predictor_at(i)->name : askings[i - members].name;
        char set[600];
        prediction_init(&s, name, trace,
                        plain ? least(name, trace, set, sizeof set)
                              : askings[i - members].set);
        if (trace->kind == MOE_TRACE_LOADS && wants_tokens(name)) {
            ck_assert_int_eq(s.status, MOE_USAGE);
            ck_assert_msg(strstr(s.err.text, "token trace") != NULL ||
                              s.predictor->train != NULL,
                          "%s: %s", name, s.err.text);
            prediction_fini(&s);
            continue;
        }
        if (s.status != MOE_OK)
            ck_abort_msg("%s: %s", s.predictor->name, s.err.text);
        ask(&s, trace);
        prediction_fini(&s);
    }
}

static void observe(prediction *s, const moe_batch *batch)
{
    if (s->predictor->observe != NULL)
        s->predictor->observe(s->state, batch);
}

static void check_forecast(prediction *s, const moe_batch *batch, int layer)
{
    uint16_t experts[MAX_OWN * 2];
    double share[MAX_E];
    const char *name = s->predictor->name;
    if (s->forecast == MOE_FORECAST_LOAD) {
        ck_assert_msg(s->predictor->load != NULL, "%s", name);
        s->predictor->load(s->state, batch, layer, share);
        ck_assert_msg(is_distribution(share, batch->experts), "%s", name);
    } else if (s->forecast == MOE_FORECAST_TOKENS) {
        ck_assert_msg(s->predictor->tokens != NULL, "%s", name);
        s->predictor->tokens(s->state, batch, layer, experts);
        ck_assert_msg(are_tokens(experts, batch), "%s", name);
    }
}

/* As a run asks: the layers of an iteration, and what they were at its end. */
static void ask_soundly(prediction *s, const moe_trace *trace)
{
    rank_batch h;
    rank_batch_init(&h, trace, 0, 1);
    for (uint64_t i = 0; i < ITERATIONS; i++) {
        const moe_batch *batch = moe_batcher_load(h.batcher, i);
        for (int l = 0; l < N_LAYERS; l++)
            check_forecast(s, batch, l);
        observe(s, batch);
    }
    moe_batcher_free(h.batcher);
}

START_TEST(every_forecast_is_what_it_says_it_is)
{
    moe_trace trace = make_trace(_i == 1);
    for_all(&trace, ask_soundly);
    moe_trace_free(&trace);
}
END_TEST

/* None runs in fp8, whatever the model does. */
static void ask_work(prediction *s, const moe_trace *trace)
{
    moe_gemm_run run[MOE_PREDICT_GEMMS];
    (void)trace;
    const int n = s->predictor->work != NULL
                      ? s->predictor->work(s->state, 64, 2, run)
                      : 0;
    for (int i = 0; i < n; i++)
        ck_assert_msg(!run[i].shape.quantised, "%s: product %d",
                      s->predictor->name, i);
}

START_TEST(products_of_predictors_are_not_quantised)
{
    moe_trace trace = make_trace(0);
    for_all(&trace, ask_work);
    moe_trace_free(&trace);
}
END_TEST

static void ask_in_parts(prediction *s, const moe_trace *trace)
{
    static const int parts[] = {1, 2, 4, 7, 113};
    uint64_t whole[MAX_E], sum[MAX_E];
    if (s->forecast == MOE_FORECAST_NONE)
        return;
    for (int l = 0; l < N_LAYERS; l++) {
        double total = 0;
        predict_load(s, trace, 1, l, whole);
        for (int e = 0; e < trace->experts; e++)
            total += (double)whole[e] / MOE_LOAD_ONE;
        ck_assert_msg(fabs(total - SEQS * LEN * trace->top_k) < 1e-6,
                      "%s: %.9g pairs", s->predictor->name, total);
        for (size_t i = 0; i < MOE_ARRAY_LEN(parts); i++) {
            predict_load(s, trace, parts[i], l, sum);
            ck_assert_msg(memcmp(sum, whole, sizeof sum) == 0,
                          "%s: %d ranks foretell another load",
                          s->predictor->name, parts[i]);
        }
    }
}

START_TEST(loads_do_not_depend_on_the_number_of_ranks)
{
    moe_trace trace = make_trace(_i == 1);
    for_all(&trace, ask_in_parts);
    moe_trace_free(&trace);
}
END_TEST

/* Let a predictor see the first iteration of a trace. */
static void see_first(prediction *s, const moe_trace *trace)
{
    rank_batch h;
    rank_batch_init(&h, trace, 0, 1);
    observe(s, moe_batcher_load(h.batcher, 0));
    moe_batcher_free(h.batcher);
}

static void ask_twice(prediction *s, const moe_trace *trace)
{
    uint64_t a[MAX_E], b[MAX_E];
    const char *name = s->predictor->name;
    if (s->forecast == MOE_FORECAST_NONE)
        return;
    prediction again = *s; /* another instance, same parameters */
    again.state = moe_predictor_new(s->predictor, &s->env, s->params, NULL);
    ck_assert_msg(again.state != NULL, "%s", name);
    for (int seen = 0; seen < 2; seen++) {
        predict_load(s, trace, 2, 0, a);
        predict_load(s, trace, 2, 1, b); /* another layer in between */
        predict_load(s, trace, 2, 0, b);
        ck_assert_msg(memcmp(a, b, sizeof a) == 0, "%s: asked twice", name);
        predict_load(&again, trace, 2, 0, b);
        ck_assert_msg(memcmp(a, b, sizeof a) == 0, "%s: another one", name);
        see_first(s, trace);
        see_first(&again, trace);
    }
    moe_predictor_free(s->predictor, again.state);
}

START_TEST(predictors_foretell_the_same_again)
{
    moe_trace trace = make_trace(_i == 1);
    for_all(&trace, ask_twice);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(predictors_are_found_by_name)
{
    for (size_t i = 0; moe_predictor_at(i) != NULL; i++) {
        const moe_predictor *p = moe_predictor_at(i);
        ck_assert_ptr_eq(moe_predictor_find(p->name), p);
        ck_assert_ptr_nonnull(p->help);
        void *state = moe_array_new(1, p->state_size, NULL);
        moe_predictor_free(p, state); /* zeroed, never set up */
    }
    ck_assert_ptr_null(moe_predictor_find("oracl"));
}
END_TEST

/* Pairs per expert of the training part, counted token by token. */
static void count_train(const moe_trace *t, int layer, double *count)
{
    memset(count, 0, MAX_E * sizeof *count);
    const size_t k = (size_t)t->top_k;
    for (uint64_t s = 0; s < t->n_seqs; s++) {
        if (t->seq_part[s] != MOE_PART_TRAIN)
            continue;
        if (t->kind == MOE_TRACE_LOADS)
            for (int e = 0; e < t->experts; e++)
                count[e] +=
                    t->counts[(s * (uint64_t)t->layers + (uint64_t)layer) *
                                  (uint64_t)t->experts +
                              (uint64_t)e];
        for (uint64_t i = t->seq_offset[s];
             t->kind == MOE_TRACE_TOKENS && i < t->seq_offset[s + 1]; i++)
            for (size_t j = 0; j < k; j++)
                count[t->experts_of[((uint64_t)layer * t->n_tokens + i) * k +
                                    j]]++;
    }
}

START_TEST(distribution_counts_the_training_part)
{
    static const double smoothings[] = {0, 0.5, 1000};
    moe_trace trace = make_trace(_i % 2 == 1);
    char set[32];
    const double smoothing = smoothings[_i / 2];
    snprintf(set, sizeof set, "smoothing=%g", smoothing);
    prediction s;
    prediction_init(&s, "distribution", &trace, set);
    for (int l = 0; l < N_LAYERS; l++) {
        double count[MAX_E], share[MAX_E], total = 0;
        count_train(&trace, layers[l], count);
        for (int e = 0; e < trace.experts; e++)
            total += count[e] + smoothing;
        s.predictor->load(s.state, NULL, l, share);
        for (int e = 0; e < trace.experts; e++)
            ck_assert_double_eq_tol(share[e], (count[e] + smoothing) / total,
                                    1e-15);
    }
    prediction_fini(&s);
    moe_trace_free(&trace);
}
END_TEST

/* Turn the truth of the test part around: expert e is E - 1 - e. */
static void turn_future(moe_trace *t)
{
    const size_t k = (size_t)t->top_k, n_e = (size_t)t->experts;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (uint64_t l = 0;
             l < (uint64_t)t->layers && t->seq_part[s] == MOE_PART_TEST; l++) {
            for (uint64_t i = t->seq_offset[s];
                 t->counts == NULL && i < t->seq_offset[s + 1]; i++)
                for (size_t j = 0; j < k; j++) {
                    uint16_t *e = &t->experts_of[(l * t->n_tokens + i) * k + j];
                    *e = (uint16_t)(t->experts - 1 - *e);
                }
            uint32_t *count =
                t->counts == NULL
                    ? NULL
                    : t->counts + (s * (uint64_t)t->layers + l) * n_e;
            for (size_t e = 0; count != NULL && e < n_e / 2; e++) {
                const uint32_t swap = count[e];
                count[e] = count[n_e - 1 - e];
                count[n_e - 1 - e] = swap;
            }
        }
}

/* Set up and asked where the future is another than in `trace`, but having
 * seen the same first iteration. */
static void ask_of_another_future(prediction *s, const moe_trace *trace)
{
    if ((s->predictor->sees & (MOE_SEES_LAYERS | MOE_SEES_TOKENS)) != 0)
        return; /* part of it is no future to them: test_linear.c */
    moe_trace other = make_trace(trace->kind == MOE_TRACE_LOADS);
    turn_future(&other);
    uint64_t here[MAX_E], there[MAX_E];
    char set[600];
    const char *name = s->predictor->name;
    prediction t;
    prediction_init(&t, name, &other,
                    least(name, trace, set, sizeof set) != NULL ? set : s->set);
    ck_assert_msg(t.status == MOE_OK, "%s: %s", name, t.err.text);
    for (int seen = 0; seen < 2 && s->forecast != MOE_FORECAST_NONE; seen++) {
        for (int l = 0; l < N_LAYERS; l++) {
            predict_load(s, trace, 1, l, here);
            predict_load(&t, &other, 1, l, there);
            ck_assert_msg((memcmp(here, there, sizeof here) == 0) !=
                              s->predictor->knows_future,
                          "%s %s: the future is %s", name,
                          s->set != NULL ? s->set : "",
                          s->predictor->knows_future ? "not used" : "known");
        }
        see_first(s, trace);
        see_first(&t, trace);
    }
    prediction_fini(&t);
    moe_trace_free(&other);
}

START_TEST(only_those_who_say_so_know_the_future)
{
    moe_trace trace = make_trace(_i == 1);
    for_all(&trace, ask_of_another_future);
    moe_trace_free(&trace);
}
END_TEST

static const struct {
    const char *name, *set, *says;
    int experts;    /* that the trace claims to have */
    bool untrained; /* all of it is the test part */
} refusals[] = {
    {"frequency", NULL, "frequency: the trace's training part is empty", 8,
     true},
    {"token", NULL, "token: the trace's training part is empty", 8, true},
    {"position", NULL, "position: the trace's training part is empty", 8, true},
    {"ema", "alpha=0.5,half_life=2", "alpha or half_life, not both", 8, false},
    {"file", NULL, "no path is given", 8, false},
    {"distribution", NULL, "training part is empty", 8, true},
    {"oracle", "accuracy=0.5,l1=0.5", "not both", 8, false},
    {"oracle", "accuracy=0.9", "the model has 1", 3, false},
    {"oracle", "accuracy=0", "the model has 0", 2, false},
    {"oracle", "accuracy=1", NULL, 3, false},
    {"oracle", "l1=0.5", NULL, 3, false},
    {"distribution", "smoothing=1", NULL, 8, true},
};

START_TEST(what_cannot_be_foretold_is_refused)
{
    moe_trace trace = make_trace(false);
    trace.experts = refusals[_i].experts;
    for (size_t i = 0; trace.experts < 8 && i < 600 * 3 * 2; i++)
        trace.experts_of[i] = (uint16_t)(i % 2);
    if (refusals[_i].untrained)
        memset(trace.seq_part, MOE_PART_TEST, trace.n_seqs);
    prediction s;
    prediction_init(&s, refusals[_i].name, &trace, refusals[_i].set);
    ck_assert_int_eq(s.status, refusals[_i].says != NULL ? MOE_USAGE : MOE_OK);
    if (refusals[_i].says != NULL)
        ck_assert_msg(strstr(s.err.text, refusals[_i].says) != NULL, "%s",
                      s.err.text);
    prediction_fini(&s); /* partly initialised */
    moe_trace_free(&trace);
}
END_TEST

/* Tokens of a batch: pairs foretold that are true, and tokens all right. */
static void score(const moe_batch *batch, int layer, const uint16_t *experts,
                  int *pairs_right, int *tokens_right)
{
    const size_t k = (size_t)batch->top_k;
    const uint16_t *truth = batch->experts_of + (size_t)layer * batch->own * k;
    for (uint32_t t = 0; t < batch->own; t++) {
        int right = 0;
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < k; j++)
                right += experts[t * k + i] == truth[t * k + j];
        *pairs_right += right;
        *tokens_right +=
            memcmp(experts + t * k, truth + t * k, k * sizeof *truth) == 0;
    }
}

static const struct {
    const char *set;
    double accuracy;
} dials[] = {
    {NULL, 1},
    {"accuracy=1", 1},
    {"accuracy=0", 0},
    {"accuracy=0.3", .3},
    {"accuracy=0.97", .97},
};

START_TEST(oracle_is_right_as_often_as_it_should)
{
    moe_trace trace = make_trace(false);
    prediction s;
    prediction_init(&s, "oracle", &trace, dials[_i].set);
    ck_assert_int_eq(s.forecast, MOE_FORECAST_TOKENS);
    rank_batch h;
    rank_batch_init(&h, &trace, 0, 1);
    int pairs = 0, tokens = 0, n = 0;
    uint16_t experts[MAX_OWN * 2];
    for (uint64_t i = 0; i < 200; i++) { /* the dial sees the number only */
        h.batch->iteration = i;
        for (int l = 0; l < N_LAYERS; l++, n += SEQS * LEN) {
            s.predictor->tokens(s.state, h.batch, l, experts);
            score(h.batch, l, experts, &pairs, &tokens);
        }
    }
    /* All k or none; five standard deviations. */
    ck_assert_int_eq(pairs, 2 * tokens);
    double sd = sqrt(dials[_i].accuracy * (1 - dials[_i].accuracy) / n);
    ck_assert_double_le(fabs((double)tokens / n - dials[_i].accuracy), 5 * sd);
    moe_batcher_free(h.batcher);
    prediction_fini(&s);
    moe_trace_free(&trace);
}
END_TEST

/* True distributions to move away from. */
static const struct {
    const char *name;
    int experts;
    int64_t pairs[16];
} truths[] = {
    {"even", 8, {25, 25, 25, 25, 25, 25, 25, 25}},
    {"skewed", 8, {90, 50, 30, 15, 10, 4, 1, 0}},
    {"one hot", 8, {200}},
    {"one hot, last", 8, {0, 0, 0, 0, 0, 0, 0, 200}},
    {"two hot", 16, {100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100}},
    {"a pair of experts", 2, {150, 50}},
    {"two even", 2, {100, 100}},
    {"three", 3, {199, 1, 0}},
    {"one", 1, {200}},
    {"many", 16, {20, 3, 17, 9, 11, 15, 5, 8, 12, 25, 25, 5, 10, 15, 10, 10}},
};

START_TEST(oracle_misses_by_l1_exactly)
{
    static const double errors[] = {0,  1e-6, .01, .1,  .25, .4,  .5,
                                    .7, .9,   1,   1.2, 1.5, 1.8, 1.99};
    const int n_e = truths[_i].experts;
    moe_trace trace = make_trace(false);
    trace.experts = n_e; /* the oracle reads the batch alone */
    moe_batch batch = {.tokens = 100,
                       .own = 100,
                       .layers = N_LAYERS,
                       .experts = n_e,
                       .top_k = 2};
    batch.true_pairs = moe_array_new(2 * MAX_E, sizeof(int64_t), NULL);
    memcpy(batch.true_pairs, truths[_i].pairs, 16 * sizeof(int64_t));
    double least = 1;
    for (int e = 0; e < n_e; e++)
        least = fmin(least, (double)truths[_i].pairs[e] / 200);
    for (size_t x = 0; x < MOE_ARRAY_LEN(errors); x++) {
        const double expected = fmin(errors[x], 2 * (1 - least));
        char set[32];
        snprintf(set, sizeof set, "l1=%g", errors[x]);
        prediction s;
        prediction_init(&s, "oracle", &trace, set);
        ck_assert_int_eq(s.forecast, MOE_FORECAST_LOAD);
        for (batch.iteration = 0; batch.iteration < 30; batch.iteration++) {
            double share[16], l1 = 0;
            s.predictor->load(s.state, &batch, 0, share);
            for (int e = 0; e < n_e; e++)
                l1 += fabs(share[e] - (double)truths[_i].pairs[e] / 200);
            ck_assert_msg(is_distribution(share, n_e), "%s, l1 %g",
                          truths[_i].name, errors[x]);
            ck_assert_msg(fabs(l1 - expected) < 1e-12, "%s, l1 %g: is %.15g",
                          truths[_i].name, errors[x], l1);
        }
        prediction_fini(&s);
    }
    free(batch.true_pairs);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(oracle_misses_differently_every_time)
{
    moe_trace trace = make_trace(false);
    rank_batch h;
    rank_batch_init(&h, &trace, 0, 1);
    prediction s;
    prediction_init(&s, "oracle", &trace, "l1=0.5");
    double a[MAX_E], b[MAX_E];
    s.predictor->load(s.state, h.batch, 0, a);
    h.batch->iteration++;
    s.predictor->load(s.state, h.batch, 0, b);
    ck_assert_mem_ne(a, b, (size_t)trace.experts * sizeof *a);
    moe_batcher_free(h.batcher);
    prediction_fini(&s);
    moe_trace_free(&trace);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("predictor");
    MOE_TEST_LOOP(suite, every_forecast_is_what_it_says_it_is, 2);
    MOE_TEST(suite, products_of_predictors_are_not_quantised);
    MOE_TEST_LOOP(suite, loads_do_not_depend_on_the_number_of_ranks, 2);
    MOE_TEST_LOOP(suite, predictors_foretell_the_same_again, 2);
    MOE_TEST(suite, predictors_are_found_by_name);
    MOE_TEST_LOOP(suite, distribution_counts_the_training_part, 6);
    MOE_TEST_LOOP(suite, only_those_who_say_so_know_the_future, 2);
    MOE_TEST_LOOP(suite, what_cannot_be_foretold_is_refused,
                  MOE_ARRAY_LEN(refusals));
    MOE_TEST_LOOP(suite, oracle_is_right_as_often_as_it_should,
                  MOE_ARRAY_LEN(dials));
    MOE_TEST_LOOP(suite, oracle_misses_by_l1_exactly, MOE_ARRAY_LEN(truths));
    MOE_TEST(suite, oracle_misses_differently_every_time);
    return suite;
}
