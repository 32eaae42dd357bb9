/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/synth.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static moe_synth_params defaults(void)
{
    moe_synth_params p;
    memset(&p, 0, sizeof p);
    moe_opt_defaults(moe_synth_options, &p);
    return p;
}

static moe_trace make(const moe_synth_params *p)
{
    moe_error err = {0};
    moe_trace t = {0};
    ck_assert_msg(moe_synth(p, &t, &err) == MOE_OK, "%s", err.text);
    ck_assert_msg(moe_trace_validate(&t, &err) == MOE_OK, "%s", err.text);
    return t;
}

/* Pairs of each expert in both parts. */
static void count_all(const moe_trace *t, int layer, uint64_t *n)
{
    uint64_t test[MOE_MAX_EXPERTS];
    moe_trace_counts(t, MOE_PART_TRAIN, layer, n);
    moe_trace_counts(t, MOE_PART_TEST, layer, test);
    for (int e = 0; e < t->experts; e++)
        n[e] += test[e];
}

static double skewness(const moe_trace *t, int layer)
{
    uint64_t n[MOE_MAX_EXPERTS], most = 0, sum = 0;
    count_all(t, layer, n);
    for (int e = 0; e < t->experts; e++) {
        most = n[e] > most ? n[e] : most;
        sum += n[e];
    }
    return (double)most * t->experts / (double)sum;
}

static const struct {
    int k;
    double weight[4], expected[4];
} inclusions[] = {
    {1, {1, 1, 1, 1}, {.25, .25, .25, .25}},
    {2, {4, 2, 1, 1}, {1, .5, .25, .25}},
    {2, {9, 1, 1, 1}, {1, 1. / 3, 1. / 3, 1. / 3}},
    {3, {100, 10, 1, 1}, {1, 1, .5, .5}},
    {4, {5, 1, 2, 9}, {1, 1, 1, 1}},
    {2, {1, 0, 0, 0}, {1, 1. / 3, 1. / 3, 1. / 3}},
    {1, {0, 0, 3, 1}, {0, 0, .75, .25}},
};

START_TEST(inclusion_is_proportional_up_to_one)
{
    double out[4];
    moe_synth_inclusion(inclusions[_i].weight, 4, inclusions[_i].k, out);
    for (int e = 0; e < 4; e++)
        ck_assert_double_eq_tol(out[e], inclusions[_i].expected[e], 1e-12);
}
END_TEST

static const struct {
    int k;
    uint32_t tokens;
    double inclusion[3];
    uint32_t expected[3];
} roundings[] = {
    {1, 10, {.25, .25, .5}, {3, 2, 5}},
    {2, 10, {1, .5, .5}, {10, 5, 5}},
    {2, 1, {.66, .67, .67}, {0, 1, 1}},
    {1, 0, {.2, .3, .5}, {0, 0, 0}},
    {1, 1, {1. / 3, 1. / 3, 1. / 3}, {1, 0, 0}},
    {3, 5, {1, 1, 1}, {5, 5, 5}},
    {2, 7, {1.0000001, .9999999, 0}, {7, 7, 0}},
    {2, 10, {1, .3, .3}, {10, 5, 5}},
};

START_TEST(apportionment_is_by_largest_remainder)
{
    uint32_t out[3];
    moe_synth_apportion(roundings[_i].inclusion, 3, roundings[_i].k,
                        roundings[_i].tokens, out);
    ck_assert_mem_eq(out, roundings[_i].expected, sizeof out);
}
END_TEST

START_TEST(sums_hold_for_random_weights)
{
    for (uint64_t c = 0; c < 2000; c++) {
        moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, c, 0, 0);
        double w[64], inc[64];
        uint32_t n[64];
        int experts = 1 + (int)moe_rng_below(&rng, 64);
        int k = 1 + (int)moe_rng_below(&rng, (uint64_t)experts);
        uint32_t tokens = (uint32_t)moe_rng_below(&rng, 100000);
        for (int e = 0; e < experts; e++)
            w[e] = exp(5 * moe_rng_normal(&rng));
        moe_synth_inclusion(w, experts, k, inc);
        moe_synth_apportion(inc, experts, k, tokens, n);
        uint64_t sum = 0;
        for (int e = 0; e < experts; e++) {
            ck_assert_uint_le(n[e], tokens);
            sum += n[e];
        }
        ck_assert_uint_eq(sum, (uint64_t)tokens * (uint64_t)k);
    }
}
END_TEST

START_TEST(shares_give_exactly_these_loads)
{
    moe_synth_params p = defaults();
    p.shape = MOE_SYNTH_SHARES;
    p.experts = 4;
    p.tokens = 1000;
    p.noise = false;
    strcpy(p.shares, "0.4,0.3,0.2,0.1");
    moe_trace t = make(&p);
    const uint32_t expected[] = {800, 600, 400, 200};
    for (uint64_t s = 0; s < t.n_seqs * (uint64_t)t.layers; s++)
        ck_assert_mem_eq(t.counts + 4 * s, expected, sizeof expected);
    moe_trace_free(&t);
}
END_TEST

START_TEST(drawn_loads_scatter_about_the_expected_ones)
{
    const double inclusion[] = {0.8, 0.6, 0.4, 0.2, 0.0};
    enum { N = 5, K = 2, TOKENS = 500, STEPS = 400 };
    uint64_t sum[N] = {0};
    double square = 0;
    for (uint64_t s = 0; s < STEPS; s++) {
        moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, s, 0, 0);
        uint32_t n[N], all = 0;
        moe_synth_draw_counts(inclusion, N, K, TOKENS, &rng, n);
        for (int e = 0; e < N; e++) {
            ck_assert_uint_le(n[e], TOKENS);
            all += n[e];
            sum[e] += n[e];
        }
        ck_assert_uint_eq(all, TOKENS * K);
        square += (n[1] - 300.0) * (n[1] - 300.0);
    }
    ck_assert_uint_eq(sum[4], 0);
    for (int e = 0; e < N; e++) { /* binomial: five sd of the mean */
        double p = inclusion[e], sd = sqrt(p * (1 - p) / (TOKENS * STEPS));
        ck_assert_double_le(fabs((double)sum[e] / (TOKENS * STEPS) - p),
                            5 * sd);
    }
    /* variance n p (1 - p) = 120, known to about 7 % */
    ck_assert_double_eq_tol(square / STEPS, 120, 36);
}
END_TEST

/* Two experts of four on each GPU: the pairs of a GPU vary as those of tokens
 * with distinct experts do, of binomial, normal and rare counts alike. */
START_TEST(drawn_loads_of_gpus_vary_as_those_of_tokens)
{
    static const uint32_t tokens[] = {4, 500, 100000};
    static const double level[] = {0.5, 0.5, 0.5, 0.5};
    enum { STEPS = 4000 };
    double single = 0, both = 0;
    for (uint64_t s = 0; s < STEPS; s++) {
        moe_rng rng = moe_rng_at(2, MOE_RNG_TEST, s, 0, 0);
        uint32_t n[4];
        moe_synth_draw_counts(level, 4, 2, tokens[_i], &rng, n);
        single += pow(n[0] - 0.5 * tokens[_i], 2);
        both += pow((double)n[0] + n[1] - tokens[_i], 2);
    }
    /* 1/4 a token, and 1/3 as two of four without replacement; both known to
     * 2.2 % */
    ck_assert_double_eq_tol(single / STEPS / tokens[_i], 0.25, 0.025);
    ck_assert_double_eq_tol(both / STEPS / tokens[_i], 1.0 / 3, 0.033);
}
END_TEST

/* Even shares: the first half of the experts has half of the pairs only on
 * average, as four of eight experts are drawn without replacement. */
START_TEST(made_loads_of_gpus_vary_as_those_of_tokens)
{
    moe_synth_params p = defaults();
    p.shape = MOE_SYNTH_SHARES;
    p.experts = 8;
    p.top_k = 4;
    p.tokens = 1000;
    p.seqs = 200;
    strcpy(p.shares, "1,1,1,1,1,1,1,1");
    moe_trace t = make(&p);
    double square = 0;
    for (uint64_t s = 0; s < t.n_seqs; s++) {
        const uint32_t *n = t.counts + s * (uint64_t)t.layers * 8;
        square += pow((double)n[0] + n[1] + n[2] + n[3] - 2000, 2);
    }
    /* hypergeometric: 4 * 1/2 * 1/2 * 4/7 a token; known to 10 % */
    ck_assert_double_eq_tol(square / (double)t.n_seqs / 1000, 4.0 / 7, 0.2);
    moe_trace_free(&t);
}
END_TEST

START_TEST(zipf_has_its_skewness)
{
    moe_synth_params p = defaults();
    p.kind = (moe_trace_kind)_i;
    p.shape = MOE_SYNTH_ZIPF;
    p.experts = 16;
    p.strength = 0.5;
    double harmonic = 0;
    for (int e = 1; e <= 16; e++)
        harmonic += 1. / e;
    double expected = fmin(16 / harmonic, 8);
    moe_trace t = make(&p);
    for (int l = 0; l < t.layers; l++)
        ck_assert_double_eq_tol(skewness(&t, l), expected, 0.1 * expected);
    moe_trace_free(&t);
}
END_TEST

START_TEST(sigma_0_is_level)
{
    moe_synth_params p = defaults();
    p.sigma = 0;
    p.noise = false;
    moe_trace t = make(&p);
    for (int l = 0; l < t.layers; l++)
        ck_assert_double_eq_tol(skewness(&t, l), 1, 1e-12);
    moe_trace_free(&t);
}
END_TEST

/* Distance of the first from the last step: sum of |difference|, layer 0. */
static uint64_t walked(double drift)
{
    moe_synth_params p = defaults();
    p.drift = drift;
    p.noise = false;
    moe_trace t = make(&p);
    const size_t stride = (size_t)t.layers * (size_t)t.experts;
    const uint32_t *last = t.counts + (t.n_seqs - 1) * stride;
    uint64_t sum = 0;
    for (int e = 0; e < t.experts; e++)
        sum += (uint64_t)labs((long)t.counts[e] - (long)last[e]);
    moe_trace_free(&t);
    return sum;
}

START_TEST(drift_moves_the_load)
{
    ck_assert_uint_eq(walked(0), 0);
    ck_assert_uint_gt(walked(0.02), 10);
    ck_assert_uint_gt(walked(0.2), walked(0.02));
}
END_TEST

/* Share of test tokens whose first expert is the one that their id met most
 * often in training; ids never met count as missed. */
static double accuracy_by_id(const moe_trace *t)
{
    const size_t e = (size_t)t->experts, k = (size_t)t->top_k;
    uint32_t *n = moe_array_new(t->vocab_size * e, sizeof *n, NULL);
    uint64_t hits = 0, all = 0;
    for (int pass = MOE_PART_TRAIN; pass <= MOE_PART_TEST; pass++)
        for (uint64_t s = 0; s < t->n_seqs; s++)
            for (uint64_t i = t->seq_offset[s];
                 t->seq_part[s] == pass && i < t->seq_offset[s + 1]; i++) {
                uint32_t *row = n + t->token_id[i] * e;
                size_t best = 0, truth = t->experts_of[i * k];
                for (size_t j = 1; j < e; j++)
                    best = row[j] > row[best] ? j : best;
                if (pass == MOE_PART_TRAIN)
                    row[truth]++;
                hits += pass == MOE_PART_TEST && best == truth;
                all += pass == MOE_PART_TEST;
            }
    free(n);
    return (double)hits / (double)all;
}

START_TEST(strength_is_what_ids_give_away)
{
    moe_synth_params p = defaults();
    p.kind = MOE_TRACE_TOKENS;
    p.layers = 1;
    p.experts = 32;
    p.vocab = 200;
    p.sigma = 0;
    for (int j = 0; j <= 4; j++) {
        p.strength = j / 4.0;
        moe_trace t = make(&p);
        double chance = (1 - p.strength) / 32;
        ck_assert_double_eq_tol(accuracy_by_id(&t), p.strength + chance, 0.03);
        moe_trace_free(&t);
    }
}
END_TEST

START_TEST(trace_is_a_function_of_its_parameters)
{
    moe_error err = {0};
    char hash[3][65];
    for (int j = 0; j < 3; j++) {
        moe_synth_params p = defaults();
        p.kind = (moe_trace_kind)_i;
        p.drift = 0.1;
        p.seed = j < 2 ? 1 : 2;
        moe_trace t = make(&p);
        moe_trace_hash(&t, hash[j], &err);
        moe_trace_free(&t);
    }
    ck_assert_str_eq(hash[0], hash[1]);
    ck_assert_str_ne(hash[0], hash[2]);
}
END_TEST

static const struct {
    const char *split;
    int last;  /* sequences that are for testing, at the end */
    int drawn; /* or anywhere */
} splits[] = {{"tail", 3, 3},
              {"tail=0.5", 5, 5},
              {"random", -1, 3},
              {"train=0.4,seed=2", -1, 6}};

START_TEST(a_series_is_divided_as_asked)
{
    moe_synth_params p = defaults();
    snprintf(p.split, sizeof p.split, "%s", splits[_i].split);
    p.seqs = 10;
    moe_trace t = make(&p);
    int n = 0;
    ck_assert_int_eq(t.order, MOE_ORDER_TIME);
    for (int s = 0; s < 10; s++) {
        n += t.seq_part[s];
        if (splits[_i].last >= 0)
            ck_assert_int_eq(t.seq_part[s], s >= 10 - splits[_i].last);
    }
    ck_assert_int_eq(n, splits[_i].drawn);
    moe_trace_free(&t);
}
END_TEST

static const struct {
    int experts, top_k, seqs, tokens;
    const char *shares, *says;
} refused[] = {
    {4, 5, 1, 1, NULL, "5 distinct experts of only 4"},
    {3, 1, 1, 1, "1,2", "expected 3 comma-separated numbers"},
    {3, 1, 1, 1, "1,2,3,4", "wrong at number 3"},
    {3, 1, 1, 1, "1,x,3", "wrong at number 2"},
    {3, 1, 1, 1, "1,-2,3", "wrong at number 2"},
    {3, 2, 1, 1, "1,0,0", "1 experts have a share, but a token needs 2"},
    {8, 2, 70000, 70000, NULL, "more than"},
};

START_TEST(contradictions_are_refused)
{
    moe_error err = {0};
    moe_synth_params p = defaults();
    moe_trace t = {.layers = 77};
    p.kind = MOE_TRACE_TOKENS;
    p.experts = refused[_i].experts;
    p.top_k = refused[_i].top_k;
    p.seqs = refused[_i].seqs;
    p.tokens = refused[_i].tokens;
    if (refused[_i].shares != NULL) {
        p.shape = MOE_SYNTH_SHARES;
        strcpy(p.shares, refused[_i].shares);
    }
    ck_assert_int_eq(moe_synth(&p, &t, &err), MOE_USAGE);
    ck_assert_msg(strstr(err.text, refused[_i].says) != NULL, "%s", err.text);
    ck_assert_int_eq(t.layers, 77);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("synth");
    MOE_TEST_LOOP(suite, inclusion_is_proportional_up_to_one,
                  MOE_ARRAY_LEN(inclusions));
    MOE_TEST_LOOP(suite, apportionment_is_by_largest_remainder,
                  MOE_ARRAY_LEN(roundings));
    MOE_TEST(suite, sums_hold_for_random_weights);
    MOE_TEST(suite, shares_give_exactly_these_loads);
    MOE_TEST(suite, drawn_loads_scatter_about_the_expected_ones);
    MOE_TEST_LOOP(suite, drawn_loads_of_gpus_vary_as_those_of_tokens, 3);
    MOE_TEST(suite, made_loads_of_gpus_vary_as_those_of_tokens);
    MOE_TEST_LOOP(suite, zipf_has_its_skewness, 2);
    MOE_TEST(suite, sigma_0_is_level);
    MOE_TEST(suite, drift_moves_the_load);
    MOE_TEST(suite, strength_is_what_ids_give_away);
    MOE_TEST_LOOP(suite, trace_is_a_function_of_its_parameters, 2);
    MOE_TEST_LOOP(suite, a_series_is_divided_as_asked, MOE_ARRAY_LEN(splits));
    MOE_TEST_LOOP(suite, contradictions_are_refused, MOE_ARRAY_LEN(refused));
    return suite;
}
