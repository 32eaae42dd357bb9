/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "harness.h"
#include "pricing.h"

/* Evaluate a predictor with `set` as "key=value", or its defaults. */
static moe_status evaluate(const moe_trace *trace, const char *name,
                           const char *set, moe_evaluate_params *p,
                           moe_evaluation *out, moe_error *err)
{
    const moe_predictor *predictor = moe_predictor_find(name);
    void *params = moe_array_new(1, predictor->params_size, NULL);
    char key[32] = "", value[32] = "";
    if (predictor->opts != NULL)
        moe_opt_defaults(predictor->opts, params);
    if (set != NULL) {
        ck_assert_int_eq(sscanf(set, "%31[^=]=%31s", key, value), 2);
        ck_assert_int_eq(moe_opt_parse(moe_opt_find(predictor->opts, key),
                                       value, params, NULL),
                         MOE_OK);
    }
    p->trace = trace;
    p->predictor = predictor;
    p->params = params;
    const moe_status s = moe_evaluate(p, out, err);
    free(params);
    return s;
}

static moe_evaluate_params defaults(void)
{
    return (moe_evaluate_params){
        .batch = 1, .seq = 30, .seed = 5, .repeats = 3};
}

/* Pairs of one part, one by one. */
static void count_part(const moe_trace *t, int part, int layer, double *count)
{
    memset(count, 0, 8 * sizeof *count);
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (uint64_t i = t->seq_offset[s];
             t->seq_part[s] == part && i < t->seq_offset[s + 1]; i++)
            for (uint64_t j = 0; j < 2; j++)
                count[t->experts_of[((uint64_t)layer * t->n_tokens + i) * 2 +
                                    j]]++;
}

static double distance(const double *a, const double *b)
{
    double sum_a = 0, sum_b = 0, error = 0;
    for (int e = 0; e < 8; e++) {
        sum_a += a[e];
        sum_b += b[e];
    }
    for (int e = 0; e < 8; e++)
        error += fabs(a[e] / sum_a - b[e] / sum_b);
    return error;
}

START_TEST(errors_and_skewness_are_those_of_direct_counting)
{
    const moe_model model = fixture_model();
    moe_trace t = fixture_tokens(&model);
    moe_evaluate_params p = defaults();
    moe_evaluation v;
    double mean = 0;
    ck_assert_int_eq(evaluate(&t, "distribution", NULL, &p, &v, NULL), MOE_OK);
    ck_assert_int_eq(v.n_layers, 3);
    ck_assert_uint_eq(v.tokens, 300);
    ck_assert_uint_eq(v.sequences, 6);
    ck_assert_uint_eq(v.batches, 10);
    for (int l = 0; l < 3; l++) {
        double train[8], test[8], most = 0;
        count_part(&t, MOE_PART_TRAIN, l, train);
        count_part(&t, MOE_PART_TEST, l, test);
        for (int e = 0; e < 8; e++)
            most = fmax(most, test[e]);
        const double error = distance(train, test);
        mean += error / 3;
        ck_assert_double_eq_tol(v.layer[l].error.value, error, 1e-9);
        ck_assert_double_eq_tol(v.layer[l].skewness, most / (600.0 / 8), 1e-12);
        ck_assert_double_nan(v.layer[l].error.ci_low); /* of 6 sequences */
        ck_assert(isnan(v.layer[l].top1.value));
        ck_assert(isnan(v.layer[l].recall.value));
    }
    ck_assert_double_eq_tol(v.mean.error.value, mean, 1e-9);
    moe_evaluation_fini(&v);
    moe_trace_free(&t);
}
END_TEST

/* A table of what tokens of each id did, counted without our code's help. */
static void direct_accuracy(const moe_trace *t, int l, double *top1,
                            double *recall)
{
    const uint64_t n = t->n_tokens;
    const uint16_t *all = t->experts_of + (uint64_t)l * n * 2;
    uint64_t first = 0, hits = 0, tokens = 0;
    for (uint64_t i = n / 2; i < n; i++, tokens++) { /* the test part */
        double like[8] = {0}, lead[8] = {0}, every[8] = {0}, front[8] = {0};
        for (uint64_t j = 0; j < n / 2; j++) {
            const double same = t->token_id[j] == t->token_id[i];
            for (int m = 0; m < 2; m++) {
                like[all[2 * j + (uint64_t)m]] += same;
                every[all[2 * j + (uint64_t)m]]++;
            }
            lead[all[2 * j]] += same;
            front[all[2 * j]]++;
        }
        int best[2] = {-1, -1};
        for (int b = 0; b < 2; b++)
            for (int e = 0; e < 8; e++) {
                like[e] += b == 0 ? 0.5 * every[e] / ((double)n / 2) : 0;
                lead[e] += b == 0 ? 0.5 * front[e] / ((double)n / 2) : 0;
            }
        for (int b = 0; b < 2; b++)
            for (int e = 0; e < 8; e++)
                if (e != best[0] && (best[b] < 0 || like[e] > like[best[b]]))
                    best[b] = e;
        const int said = lead[best[1]] > lead[best[0]] ? best[1] : best[0];
        first += said == all[2 * i];
        for (int b = 0; b < 2; b++)
            hits += best[b] == all[2 * i] || best[b] == all[2 * i + 1];
    }
    *top1 = (double)first / (double)tokens;
    *recall = (double)hits / (2.0 * (double)tokens);
}

START_TEST(accuracy_of_tokens_is_that_of_direct_counting)
{
    const moe_model model = fixture_model();
    moe_trace t = fixture_tokens(&model);
    moe_evaluate_params p = defaults();
    moe_evaluation v;
    const int layers[] = {2, 0};
    p.layers = layers;
    p.n_layers = 2;
    t.ordered = _i == 0;
    ck_assert_int_eq(evaluate(&t, "token", NULL, &p, &v, NULL), MOE_OK);
    for (int l = 0; l < 2; l++) {
        double top1 = 0, recall = 0;
        direct_accuracy(&t, layers[l], &top1, &recall);
        ck_assert_double_eq_tol(v.layer[l].recall.value, recall, 1e-12);
        if (_i == 0)
            ck_assert_double_eq_tol(v.layer[l].top1.value, top1, 1e-12);
        else
            ck_assert(isnan(v.layer[l].top1.value)); /* not asked there */
    }
    ck_assert_uint_gt(v.parameters, 0);
    ck_assert_double_eq(v.flops, 4); /* a look-up of 2 experts */
    moe_evaluation_fini(&v);
    moe_trace_free(&t);
}
END_TEST

START_TEST(the_oracle_is_right)
{
    const moe_model model = fixture_model();
    moe_trace t = _i == 0 ? fixture_tokens(&model) : fixture_loads(&model);
    moe_evaluate_params p = defaults();
    moe_evaluation v;
    ck_assert_int_eq(evaluate(&t, "oracle", NULL, &p, &v, NULL), MOE_OK);
    ck_assert_double_le(v.mean.error.value, 1e-12);
    ck_assert_double_le(v.mean.batch_error.value, 1e-12);
    ck_assert_double_eq(v.mean.recall.value, 1);
    if (_i == 0)
        ck_assert_double_eq(v.mean.top1.value, 1);
    moe_evaluation_fini(&v);
    moe_trace_free(&t);
}
END_TEST

/* Each iteration of a window of one foretells the next by itself. */
START_TEST(online_predictors_see_iterations_in_order)
{
    const moe_model model = fixture_model();
    moe_trace t = fixture_tokens(&model);
    moe_evaluate_params p = defaults();
    moe_evaluation v;
    const int layer = 1;
    double error[10], before[8] = {0}, now[8];
    p.layers = &layer;
    p.n_layers = 1;
    ck_assert_int_eq(evaluate(&t, "window", "iterations=1", &p, &v, NULL),
                     MOE_OK);
    const moe_batcher_params bp = {.trace = &t,
                                   .seed = p.seed,
                                   .batch = 1,
                                   .seq = 30,
                                   .layers = &layer,
                                   .n_layers = 1,
                                   .iterations = 10,
                                   .gpus = 1};
    moe_batcher *batcher = NULL;
    ck_assert_int_eq(moe_batcher_new(&bp, &batcher, NULL), MOE_OK);
    /* The training part's last batch came before. */
    moe_batcher_params past = bp;
    moe_batcher *training = NULL;
    past.training = true;
    ck_assert_int_eq(moe_batcher_new(&past, &training, NULL), MOE_OK);
    const moe_batch *last = moe_batcher_load(training, 9);
    for (int e = 0; e < 8; e++)
        before[e] = (double)last->true_pairs[e];
    moe_batcher_free(training);
    for (int i = 0; i < 10; i++) {
        const moe_batch *b = moe_batcher_load(batcher, (uint64_t)i);
        for (int e = 0; e < 8; e++)
            now[e] = (double)b->true_pairs[e];
        error[i] = distance(before, now);
        memcpy(before, now, sizeof now);
    }
    moe_summary m;
    moe_summarise(error, 10, 1, &m, NULL);
    ck_assert_double_eq_tol(v.layer[0].batch_error.value, m.median, 1e-9);
    ck_assert_double_nan(v.layer[0].error.value);
    moe_batcher_free(batcher);
    moe_evaluation_fini(&v);
    moe_trace_free(&t);
}
END_TEST

static const struct {
    int n, k;
    double share[8], tokens;
} floors[] = {
    {2, 1, {0.5, 0.5}, 1},
    {2, 1, {0.5, 0.5}, 100},
    {4, 1, {0.7, 0.2, 0.1, 0}, 37},
    {8, 2, {.3, .2, .2, .1, .1, .05, .05, 0}, 512},
    {8, 2, {.5, .5, 0, 0, 0, 0, 0, 0}, 64}, /* all visit both */
};

/* The definition, summed over every outcome of the binomial. */
START_TEST(chance_is_the_mean_deviation_of_a_binomial)
{
    const double n = floors[_i].tokens, k = floors[_i].k;
    double expected = 0;
    for (int e = 0; e < floors[_i].n; e++) {
        const double q = k * floors[_i].share[e];
        for (double x = 0; x <= n && q > 0 && q < 1; x++)
            expected += fabs(x - n * q) *
                        exp(lgamma(n + 1) - lgamma(x + 1) - lgamma(n - x + 1) +
                            x * log(q) + (n - x) * log1p(-q));
    }
    ck_assert_double_eq_tol(
        moe_noise_floor(floors[_i].share, floors[_i].n, floors[_i].k, n),
        expected / (n * k), 1e-9);
}
END_TEST

/* With loads drawn from one distribution the measured error is that of
 * chance, and the intervals hold what a longer look finds. */
START_TEST(a_stationary_trace_is_foretold_up_to_chance)
{
    const moe_model model = fixture_model();
    moe_trace t = fixture_tokens(&model);
    moe_evaluate_params p = defaults();
    moe_evaluation v;
    p.seq = 50;
    ck_assert_int_eq(evaluate(&t, "distribution", NULL, &p, &v, NULL), MOE_OK);
    /* 300 tokens to learn from, 50 to foretell: chance of both. */
    const double expected = v.mean.batch_floor * sqrt(1.0 + 50.0 / 300.0);
    ck_assert_double_gt(v.mean.batch_error.value, 0.75 * expected);
    ck_assert_double_lt(v.mean.batch_error.value, 1.25 * expected);
    ck_assert_double_lt(v.mean.error_floor, v.mean.batch_floor);
    moe_evaluation_fini(&v);
    moe_trace_free(&t);
}
END_TEST

START_TEST(the_price_is_that_of_the_cost_model)
{
    pricing a100 = {.model = fixture_model(), .cluster = fixture_cluster()};
    moe_trace t = fixture_tokens(&a100.model);
    moe_evaluate_params p = defaults();
    moe_evaluation v;
    ck_assert_int_eq(pricing_open(&a100, "analytic", NULL), MOE_OK);
    const moe_pricer pricer = pricing_on(&a100, 4, 2);
    p.pricer = &pricer;
    ck_assert_int_eq(evaluate(&t, "token", NULL, &p, &v, NULL), MOE_OK);
    const moe_gemm look_up = {30.0 / 4, 2, 1, false};
    ck_assert_double_eq(v.price_s,
                        a100.cost->gemm(a100.state, &look_up).time_s);
    ck_assert_double_gt(v.price_s, 0);
    moe_evaluation_fini(&v);
    ck_assert_int_eq(evaluate(&t, "frequency", NULL, &p, &v, NULL), MOE_OK);
    ck_assert_double_eq(v.price_s, 0); /* nothing depends on the token */
    moe_evaluation_fini(&v);
    pricing_close(&a100);
    moe_trace_free(&t);
}
END_TEST

/* Every sequence in two, which are of different clusters: those of sequence s
 * are s % clusters and (s + 1) % clusters. */
static void cut_sequences(moe_trace *t, uint32_t clusters)
{
    const uint64_t n = 2 * t->n_seqs;
    uint64_t *offset = moe_array_new(n + 1, sizeof *offset, NULL);
    uint8_t *part = moe_array_new(n, sizeof *part, NULL);
    t->has_cluster = true;
    t->cluster = moe_array_new(n, sizeof *t->cluster, NULL);
    for (uint64_t s = 0; s < n; s++) {
        const uint64_t first = t->seq_offset[s / 2];
        const uint64_t end = t->seq_offset[s / 2 + 1];
        offset[s] = s % 2 == 0 ? first : first + (end - first) / 3;
        part[s] = t->seq_part[s / 2];
        t->cluster[s] = 100 + (uint32_t)(s / 2 + s % 2) % clusters;
    }
    offset[n] = t->n_tokens;
    free(t->seq_offset);
    free(t->seq_part);
    t->seq_offset = offset;
    t->seq_part = part;
    t->n_seqs = n;
}

/* Test pairs of a layer, without those of a cluster. */
static void count_without(const moe_trace *t, int layer, uint32_t cluster,
                          double *count)
{
    memset(count, 0, 8 * sizeof *count);
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (uint64_t i = t->seq_offset[s];
             t->seq_part[s] == MOE_PART_TEST && t->cluster[s] != cluster &&
             i < t->seq_offset[s + 1];
             i++)
            for (uint64_t j = 0; j < 2; j++)
                count[t->experts_of[((uint64_t)layer * t->n_tokens + i) * 2 +
                                    j]]++;
}

START_TEST(intervals_leave_out_a_cluster_at_a_time)
{
    enum { CLUSTERS = 6 };
    const moe_model model = fixture_model();
    moe_trace t = fixture_tokens(&model);
    moe_evaluate_params p = defaults();
    moe_evaluation v;
    cut_sequences(&t, CLUSTERS);
    ck_assert_int_eq(evaluate(&t, "distribution", NULL, &p, &v, NULL), MOE_OK);
    ck_assert_int_eq(v.clusters, CLUSTERS);
    for (int l = 0; l < 3; l++) {
        double train[8], test[8], without[CLUSTERS], mean = 0, square = 0;
        count_part(&t, MOE_PART_TRAIN, l, train);
        for (uint32_t g = 0; g < CLUSTERS; g++) {
            count_without(&t, l, 100 + g, test);
            without[g] = distance(train, test);
            mean += without[g] / CLUSTERS;
        }
        for (int g = 0; g < CLUSTERS; g++)
            square += (without[g] - mean) * (without[g] - mean);
        const moe_estimate *e = &v.layer[l].error;
        const double bias = (CLUSTERS - 1) * (mean - e->value);
        const double half = 2.570582 * sqrt(square * (CLUSTERS - 1) / CLUSTERS +
                                            bias * bias); /* t, 5 degrees */
        const double tol = 0.002 * half;                  /* of moe_t975() */
        ck_assert_double_eq_tol(e->ci_low, fmax(e->value - half, 0), tol);
        ck_assert_double_eq_tol(e->ci_high, e->value + half, tol);
    }
    moe_evaluation_fini(&v);
    moe_trace_free(&t);
    t = fixture_tokens(&model);
    cut_sequences(&t, CLUSTERS - 1); /* too few: groups of 12 sequences */
    ck_assert_int_eq(evaluate(&t, "distribution", NULL, &p, &v, NULL), MOE_OK);
    ck_assert_int_eq(v.clusters, 0);
    ck_assert(!isnan(v.mean.error.ci_low));
    moe_evaluation_fini(&v);
    moe_trace_free(&t);
}
END_TEST

typedef struct {
    double last;
    int steps, falls;
} heard;

static void hear(void *arg, double done)
{
    heard *h = arg;
    h->falls += done <= h->last;
    h->last = done;
    h->steps++;
}

START_TEST(it_says_how_far_it_is)
{
    const moe_model model = fixture_model();
    moe_trace t = fixture_tokens(&model);
    moe_evaluate_params p = defaults();
    moe_evaluation v;
    heard h = {0, 0, 0};
    p.step = hear;
    p.arg = &h;
    ck_assert_int_eq(evaluate(&t, "window", NULL, &p, &v, NULL), MOE_OK);
    ck_assert_int_eq(h.falls, 0);
    ck_assert_int_ge(h.steps, 4);
    ck_assert_double_eq_tol(h.last, 1, 1e-12);
    moe_evaluation_fini(&v);
    moe_trace_free(&t);
}
END_TEST

START_TEST(figures_are_the_same_again)
{
    const moe_model model = fixture_model();
    moe_trace t = fixture_tokens(&model);
    moe_evaluate_params p = defaults();
    moe_evaluation a, b;
    ck_assert_int_eq(evaluate(&t, "position", NULL, &p, &a, NULL), MOE_OK);
    ck_assert_int_eq(evaluate(&t, "position", NULL, &p, &b, NULL), MOE_OK);
    ck_assert_mem_eq(&a.mean, &b.mean, sizeof a.mean);
    ck_assert_mem_eq(a.layer, b.layer, 3 * sizeof *a.layer);
    moe_evaluation_fini(&a);
    moe_evaluation_fini(&b);
    moe_trace_free(&t);
}
END_TEST

static const struct {
    const char *name, *says;
    int batch, seq;
    bool loads, untested, untrained;
} refusals[] = {
    {"none", "foretells nothing", 1, 30, false, false, false},
    {"token", "needs a token trace", 1, 30, true, false, false},
    {"token", "training part is empty", 1, 30, false, false, true},
    {"distribution", "test part is empty", 1, 30, false, true, false},
    {"distribution", "a batch of 11 x 30 tokens is more", 11, 30, false, false,
     false},
    {"distribution", "a batch of 7 sequences is more", 7, 0, false, false,
     false},
};

START_TEST(what_cannot_be_evaluated_is_refused)
{
    const moe_model model = fixture_model();
    moe_trace t =
        refusals[_i].loads ? fixture_loads(&model) : fixture_tokens(&model);
    moe_evaluate_params p = defaults();
    moe_evaluation v = {.n_layers = 77};
    moe_error err = {0};
    p.batch = refusals[_i].batch;
    p.seq = refusals[_i].seq;
    if (refusals[_i].untested)
        memset(t.seq_part, MOE_PART_TRAIN, t.n_seqs);
    if (refusals[_i].untrained)
        memset(t.seq_part, MOE_PART_TEST, t.n_seqs);
    ck_assert_int_eq(evaluate(&t, refusals[_i].name, NULL, &p, &v, &err),
                     MOE_USAGE);
    ck_assert_msg(strstr(err.text, refusals[_i].says) != NULL, "%s", err.text);
    ck_assert_int_eq(v.n_layers, 77);
    moe_trace_free(&t);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("evaluate");
    MOE_TEST(suite, errors_and_skewness_are_those_of_direct_counting);
    MOE_TEST_LOOP(suite, accuracy_of_tokens_is_that_of_direct_counting, 2);
    MOE_TEST_LOOP(suite, the_oracle_is_right, 2);
    MOE_TEST(suite, online_predictors_see_iterations_in_order);
    MOE_TEST_LOOP(suite, chance_is_the_mean_deviation_of_a_binomial,
                  MOE_ARRAY_LEN(floors));
    MOE_TEST(suite, a_stationary_trace_is_foretold_up_to_chance);
    MOE_TEST(suite, the_price_is_that_of_the_cost_model);
    MOE_TEST(suite, intervals_leave_out_a_cluster_at_a_time);
    MOE_TEST(suite, it_says_how_far_it_is);
    MOE_TEST(suite, figures_are_the_same_again);
    MOE_TEST_LOOP(suite, what_cannot_be_evaluated_is_refused,
                  MOE_ARRAY_LEN(refusals));
    return suite;
}
