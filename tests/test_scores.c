/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/predictor/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../src/predictor/calibration.h"
#include "../src/predictor/neural.h"
#include "trained.h"

/* Rows that fill blocks of lanes and such that do not; experts of a vector and
 * such that are not. */
static const struct {
    int rows, experts, k;
} sizes[] = {{1, 8, 2}, {15, 32, 4}, {16, 32, 4}, {40, 33, 1}, {17, 256, 8}};

static float *draw(int n, bool ties)
{
    float *x = moe_array_new((size_t)n, sizeof *x, NULL);
    moe_rng rng = moe_rng_at(11, MOE_RNG_TEST, 4, 0, ties);
    for (int i = 0; i < n; i++)
        x[i] = ties ? (float)moe_rng_below(&rng, 4) / 8
                    : (float)moe_rng_normal(&rng);
    return x;
}

/* Whether a comes before b among the chosen. */
static bool precedes(const float *score, int a, int b)
{
    return score[a] > score[b] || (!(score[a] < score[b]) && a < b);
}

START_TEST(choices_are_those_of_sorting)
{
    const int rows = sizes[_i].rows, n = sizes[_i].experts, k = sizes[_i].k;
    for (int ties = 0; ties < 2; ties++) {
        float *score = draw(rows * n, ties), *kept = draw(rows * n, ties);
        float *scratch =
            moe_array_new((size_t)n * MOE_LANES, sizeof *scratch, NULL);
        uint16_t *said = moe_array_new((size_t)(rows * k), sizeof *said, NULL);
        const moe_score_job job = {
            .experts = n, .top_k = k, .scratch = scratch};
        moe_score_settle(&job, score, (size_t)rows, said);
        for (int r = 0; r < rows; r++)
            for (int e = 0; e < n; e++) {
                int ahead = 0;
                for (int o = 0; o < n; o++)
                    ahead += precedes(kept + r * n, o, e);
                if (ahead < k)
                    ck_assert_int_eq(said[r * k + ahead], e);
            }
        free(score);
        free(kept);
        free(scratch);
        free(said);
    }
}
END_TEST

/* Scores of a token and its probabilities, top 2. */
static const struct {
    float score[4], p[4];
} tokens[] = {{{0.5F, 0.5F, 0.5F, 0.5F}, {0.5F, 0.5F, 0.5F, 0.5F}},
              {{0.4F, 0.2F, 0.2F, 0}, {1, 0.5F, 0.5F, 0}},
              {{0.9F, 0.1F, 0.1F, 0.1F}, {1, 1 / 3.0F, 1 / 3.0F, 1 / 3.0F}},
              {{0.8F, 0.16F, 0.02F, 0.02F}, {1, 0.8F, 0.1F, 0.1F}},
              {{7, 5, -1, 0.5F}, {0.8F, 0.8F, 0, 0.4F}},
              {{0.3F, 0, 0, 0}, {1, 1 / 3.0F, 1 / 3.0F, 1 / 3.0F}},
              {{0, 0, -2, 0}, {0.5F, 0.5F, 0.5F, 0.5F}}};

START_TEST(probabilities_are_in_proportion_and_none_is_above_1)
{
    float scratch[4 * MOE_LANES], score[4];
    const moe_score_job job = {.experts = 4, .top_k = 2, .scratch = scratch};
    memcpy(score, tokens[_i].score, sizeof score);
    moe_score_settle(&job, score, 1, NULL);
    for (int e = 0; e < 4; e++)
        ck_assert_float_eq_tol(score[e], tokens[_i].p[e], 1e-5F);
}
END_TEST

START_TEST(a_map_is_straight_between_its_knots)
{
    float knot[MOE_SCORE_KNOTS], scratch[2 * MOE_LANES];
    const float times[2] = {1, 0.5F};
    for (int j = 0; j < MOE_SCORE_KNOTS; j++)
        knot[j] = 0.01F * (float)j; /* = 0.16 sqrt(score) */
    const moe_score_job job = {
        .experts = 2, .top_k = 1, .map = {knot, times}, .scratch = scratch};
    ck_assert_float_eq_tol(moe_score_place(0), 0, 1e-9F);
    ck_assert_float_eq_tol(moe_score_place(0.25F), 8, 1e-5F);
    ck_assert_float_eq_tol(moe_score_place(9), MOE_SCORE_KNOTS - 1, 1e-5F);
    float score[2] = {0.3F, 0.7F};
    const float a = sqrtf(0.3F), b = 0.5F * sqrtf(0.7F);
    moe_score_settle(&job, score, 1, NULL);
    ck_assert_float_eq_tol(score[0], a / (a + b), 1e-5F);
    ck_assert_float_eq_tol(score[1], b / (a + b), 1e-5F);
}
END_TEST

START_TEST(a_token_makes_k_pairs_exactly)
{
    const int rows = sizes[_i].rows, n = sizes[_i].experts, k = sizes[_i].k;
    float *score = draw(rows * n, false);
    float *scratch =
        moe_array_new((size_t)n * MOE_LANES, sizeof *scratch, NULL);
    uint64_t *load = moe_array_new((size_t)n, sizeof *load, NULL), sum = 0;
    double *expected = moe_array_new((size_t)n, sizeof *expected, NULL);
    const moe_score_job job = {.experts = n, .top_k = k, .scratch = scratch};
    moe_score_settle(&job, score, (size_t)rows, NULL);
    moe_score_load(score, (size_t)rows, n, k, load);
    for (int i = 0; i < rows * n; i++)
        expected[i % n] += (double)score[i];
    for (int e = 0; e < n; e++) {
        sum += load[e];
        ck_assert_double_eq_tol((double)load[e] / MOE_LOAD_ONE, expected[e],
                                1e-4);
    }
    ck_assert_uint_eq(sum, (uint64_t)(rows * k) * (uint64_t)MOE_LOAD_ONE);
    free(score);
    free(scratch);
    free(load);
    free(expected);
}
END_TEST

/* ---- what training adds ---- */

/* Visits of an id to an expert in the fitted sequences, and first ones. */
static void count_visits(const stage *s, const uint8_t *part, int layer,
                         int64_t id, int expert, double *visits, double *firsts)
{
    const moe_trace *t = &s->trace;
    *visits = *firsts = 0;
    for (uint64_t q = 0; q < SEQS; q++)
        for (uint64_t i = t->seq_offset[q];
             part[q] == NEURAL_FIT && i < t->seq_offset[q + 1]; i++) {
            const uint16_t *e =
                t->experts_of + ((size_t)layer * t->n_tokens + i) * K;
            if (id >= 0 && t->token_id[i] != (uint32_t)id)
                continue;
            *visits += (e[0] == expert) + (e[1] == expert);
            *firsts += e[0] == expert;
        }
}

static double lead_of(const stage *s, const uint8_t *part, int layer,
                      uint32_t id, int expert)
{
    double n, f, all, first;
    count_visits(s, part, layer, -1, expert, &all, &first);
    count_visits(s, part, layer, id, expert, &n, &f);
    return (f + (all > 0 ? first / all : 0)) / (n + 1);
}

/* By direct counting; where two are closer than 1 of 255 either may lead. */
START_TEST(the_likeliest_first_choice_comes_first)
{
    stage s;
    moe_neural_task task;
    float p[MAX_OWN * E];
    int turned = 0;
    begin(&s, "linear");
    ck_assert_int_eq(
        moe_neural_task_init(&task, &s.trace, 7, 0, &(moe_error){0}), MOE_OK);
    for (int l = 0; l < L; l++) {
        ask(&s, l, p);
        for (uint32_t i = 0; i < s.batch->own; i++) {
            const uint16_t *said = s.experts + i * K;
            const uint32_t id = s.batch->token_id[i];
            const double a = (double)p[i * E + said[0]] *
                             lead_of(&s, task.part, l, id, said[0]);
            const double b = (double)p[i * E + said[1]] *
                             lead_of(&s, task.part, l, id, said[1]);
            ck_assert_msg(a >= b - 0.005, "%g, but %g comes first", b, a);
            turned += p[i * E + said[0]] < p[i * E + said[1]];
        }
    }
    ck_assert_int_gt(turned, 0);
    moe_neural_task_fini(&task);
    end(&s);
}
END_TEST

/* Experts drawn with known probabilities q, which sum to k: each token takes
 * those in which the cumulated sum of q passes u and u + 1, so that e is taken
 * with probability q(e). */
typedef struct {
    moe_trace trace;
    moe_batch batch;
    float *q, *score;
} lottery;

enum { DRAWS = 6000 };

static float chance_of(const float *x, int e)
{
    float sum = 0;
    for (int i = 0; i < E; i++)
        sum += x[i];
    return K * x[e] / sum;
}

static void draw_token(lottery *d, size_t i, moe_rng *rng)
{
    float x[E], *q = d->q + i * E;
    const double u = moe_rng_unit(rng);
    double sum = 0;
    int taken = 0;
    for (int e = 0; e < E; e++)
        x[e] = 0.1F + 0.4F * (float)moe_rng_unit(rng);
    for (int e = 0; e < E; e++) {
        q[e] = chance_of(x, e);
        ck_assert_float_le(q[e], 1);
        sum += (double)q[e];
        if (taken < K && sum > u + taken)
            d->trace.experts_of[i * K + (size_t)taken++] = (uint16_t)e;
        /* Overconfident, and of one expert too low. */
        d->score[i * E + (size_t)e] = q[e] * q[e] * (e == 3 ? 0.5F : 1.0F);
    }
    if (taken < K) /* rounding */
        d->trace.experts_of[i * K + K - 1] = E - 1;
}

static double distance(const lottery *d, const float *p)
{
    double sum = 0;
    for (size_t i = 0; i < (size_t)DRAWS * E; i++)
        sum += fabs((double)p[i] - (double)d->q[i]);
    return sum / (DRAWS * K);
}

START_TEST(probabilities_are_those_that_outcomes_were_drawn_with)
{
    lottery d = {
        .trace = {.layers = 1, .experts = E, .top_k = K, .n_tokens = DRAWS},
        .batch = {.own = DRAWS, .experts = E, .top_k = K}};
    float knot[MOE_SCORE_KNOTS], times[E], scratch[E * MOE_LANES];
    moe_calibration map = {knot, times, E};
    moe_score_job job = {.experts = E, .top_k = K, .scratch = scratch};
    const size_t n = (size_t)DRAWS * E;
    float *p = moe_array_new(n, sizeof *p, NULL);
    d.q = moe_array_new(n, sizeof *d.q, NULL);
    d.score = moe_array_new(n, sizeof *d.score, NULL);
    d.trace.experts_of = moe_array_new(DRAWS * K, sizeof(uint16_t), NULL);
    d.batch.id = moe_array_new(DRAWS, sizeof *d.batch.id, NULL);
    moe_rng rng = moe_rng_at(12, MOE_RNG_TEST, 5, 0, 0);
    for (size_t i = 0; i < DRAWS; i++) {
        d.batch.id[i] = i;
        draw_token(&d, i, &rng);
    }
    memcpy(p, d.score, n * sizeof *p);
    moe_score_settle(&job, p, DRAWS, NULL);
    const double before = distance(&d, p);
    const moe_calibration_data data = {&d.trace, &d.batch, d.score, p};
    moe_calibration_fit(&data, 0, &job, &map);
    for (int j = 1; j < MOE_SCORE_KNOTS; j++)
        ck_assert_float_ge(knot[j], knot[j - 1]);
    job.map = moe_calibration_of(&map, 0);
    memcpy(p, d.score, n * sizeof *p);
    moe_score_settle(&job, p, DRAWS, NULL);
    ck_assert_double_gt(before, 0.25);
    ck_assert_double_lt(distance(&d, p), 0.06);
    free(p);
    free(d.q);
    free(d.score);
    free(d.trace.experts_of);
    free(d.batch.id);
}
END_TEST

static const char *const members[] = {"ngram",  "linear", "cross",
                                      "recent", "hidden", "ensemble"};

/* Without the maps the same experts are chosen, as sets. */
START_TEST(maps_do_not_change_who_is_chosen)
{
    stage s;
    float p[MAX_OWN * E];
    uint16_t with[L][MAX_OWN * K];
    moe_error err = {0};
    begin(&s, members[_i]);
    moe_learned_part *part = moe_learned_find(&s.learned, members[_i]);
    for (int l = 0; l < L; l++) {
        ask(&s, l, p);
        memcpy(with[l], s.experts, sizeof with[l]);
    }
    moe_learned_drop(part, "calibration_");
    if (set_up(&s, s.lookahead, &err) != MOE_OK)
        ck_abort_msg("%s", err.text);
    for (int l = 0; l < L; l++) {
        ask(&s, l, p);
        for (uint32_t i = 0; i < s.batch->own * K; i += K) {
            const uint16_t *a = with[l] + i, *b = s.experts + i;
            ck_assert((a[0] == b[0] && a[1] == b[1]) ||
                      (a[0] == b[1] && a[1] == b[0]));
        }
    }
    end(&s);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("scores");
    const int n = (int)MOE_ARRAY_LEN(sizes), m = (int)MOE_ARRAY_LEN(members);
    MOE_TEST_LOOP(suite, choices_are_those_of_sorting, n);
    MOE_TEST_LOOP(suite, probabilities_are_in_proportion_and_none_is_above_1,
                  (int)MOE_ARRAY_LEN(tokens));
    MOE_TEST(suite, a_map_is_straight_between_its_knots);
    MOE_TEST_LOOP(suite, a_token_makes_k_pairs_exactly, n);
    MOE_TEST(suite, the_likeliest_first_choice_comes_first);
    MOE_TEST(suite, probabilities_are_those_that_outcomes_were_drawn_with);
    MOE_TEST_LOOP(suite, maps_do_not_change_who_is_chosen, m);
    return suite;
}
