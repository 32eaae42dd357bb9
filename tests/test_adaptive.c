/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "fixture.h"
#include "harness.h"
#include "moegps/predictor.h"

/* Online distributions on loads whose shares are known: 3 layers, 8 experts. */
enum { L = 3, E = 8, ITERATIONS = 60 };
static const int layers[L] = {0, 1, 2};

static const double kinds[2][E] = {{.3, .2, .1, .1, .1, .1, .05, .05},
                                   {.05, .05, .1, .1, .1, .1, .2, .3}};

/* 1000 pairs a layer, near the shares of a kind. */
static void draw(int kind, uint64_t iteration, int64_t *pairs)
{
    for (int l = 0; l < L; l++) {
        moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, iteration, (uint64_t)l, 0);
        memset(pairs + l * E, 0, E * sizeof *pairs);
        for (int i = 0; i < 1000; i++) {
            double u = moe_rng_unit(&rng);
            int e = 0;
            while (e < E - 1 && u >= kinds[kind][e])
                u -= kinds[kind][e++];
            pairs[l * E + e]++;
        }
    }
}

/* Mean error of the second half of the iterations before and behind a change
 * of traffic; `after` counts from a fourth behind the change. */
static void follow(const char *name, double *before, double *after)
{
    const moe_model model = fixture_model();
    const moe_predictor *p = moe_predictor_find(name);
    moe_trace t = fixture_loads(&model);
    for (uint64_t i = 0; i < t.n_seqs * L * E; i++) /* trained on kind 0 */
        t.counts[i] = (uint32_t)lround(kinds[0][i % E] * 1000);
    int64_t pairs[L * E];
    moe_batch batch = {.tokens = 500,
                       .layers = L,
                       .experts = E,
                       .top_k = 2,
                       .true_pairs = pairs};
    const moe_predictor_env env = {
        .trace = &t, .layers = layers, .n_layers = L, .max_own = 1};
    char params[64] = {0};
    ck_assert_uint_le(p->params_size, sizeof params);
    if (p->opts != NULL)
        moe_opt_defaults(p->opts, params);
    void *state = moe_predictor_new(p, &env, params, NULL);
    ck_assert_ptr_nonnull(state);
    *before = *after = 0;
    for (uint64_t i = 0; i < ITERATIONS; i++) {
        const int kind = i >= ITERATIONS / 2;
        double error = 0, share[E];
        draw(kind, i, pairs);
        for (int l = 0; l < L; l++) {
            double sum = 0;
            p->load(state, &batch, l, share);
            for (int e = 0; e < E; e++) {
                error += fabs(share[e] - kinds[kind][e]) / L;
                sum += share[e];
            }
            ck_assert_double_eq_tol(sum, 1, 1e-12);
        }
        if (i >= ITERATIONS / 4 && kind == 0)
            *before += error / (ITERATIONS / 4.0);
        if (i >= 3 * ITERATIONS / 4)
            *after += error / (ITERATIONS / 4.0);
        if (p->observe != NULL)
            p->observe(state, &batch);
    }
    moe_predictor_free(p, state);
    moe_trace_free(&t);
}

static const char *const members[] = {"shrink", "changepoint"};

START_TEST(traffic_that_changes_is_followed)
{
    double still, before, after, ignored;
    follow(members[_i], &before, &after);
    follow("distribution", &ignored, &still);
    ck_assert_double_lt(before, 0.1);
    ck_assert_double_lt(after, 0.1);
    ck_assert_double_gt(still, 0.5); /* which learned from the first kind */
}
END_TEST

/* ---- changepoint, from a record of all iterations ---- */

typedef struct {
    int64_t pairs[ITERATIONS][L * E];
    int from; /* iteration with which traffic last changed */
    double usual;
    int changes;
} record;

/* The share of all since then; of training on kind 0 where nothing was. */
static double share_since(const record *r, int now, int i)
{
    double own = 0, all = 0;
    for (int t = r->from; t < now; t++)
        for (int e = 0; e < E; e++) {
            const double n = (double)r->pairs[t][i / E * E + e];
            all += n;
            own += e == i % E ? n : 0;
        }
    return now > r->from ? own / all : kinds[0][i % E];
}

/* What iteration `now` was, judged by those before it. */
static void judge(record *r, int now, double threshold)
{
    double apart = 0;
    for (int i = 0; i < L * E; i++)
        apart +=
            fabs(share_since(r, now, i) - (double)r->pairs[now][i] / 1000) / L;
    if (now == 0)
        return;
    if (r->usual > 0 && apart > threshold * r->usual) {
        r->from = now;
        r->changes++;
    } else
        r->usual = r->usual > 0 ? 0.8 * r->usual + 0.2 * apart : apart;
}

static const double thresholds[] = {1, 1.2, 1.5, 100};
static const int changes[][2] = {{3, 58}, {1, 30}, {1, 3}, {0, 0}};

START_TEST(changepoint_forgets_what_was_before_a_change)
{
    const moe_model model = fixture_model();
    const moe_predictor *p = moe_predictor_find("changepoint");
    moe_trace t = fixture_loads(&model);
    for (uint64_t i = 0; i < t.n_seqs * L * E; i++)
        t.counts[i] = (uint32_t)lround(kinds[0][i % E] * 1000);
    static record r;
    r = (record){.changes = 0};
    moe_batch batch = {.tokens = 500, .layers = L, .experts = E, .top_k = 2};
    const moe_predictor_env env = {
        .trace = &t, .layers = layers, .n_layers = L, .max_own = 1};
    void *state = moe_predictor_new(p, &env, &thresholds[_i], NULL);
    ck_assert_ptr_nonnull(state);
    for (int now = 0; now < ITERATIONS; now++) {
        double share[E];
        draw(now >= ITERATIONS / 2, (uint64_t)now, r.pairs[now]);
        for (int i = 0; i < L * E; i++) {
            if (i % E == 0)
                p->load(state, &batch, i / E, share);
            ck_assert_double_eq_tol(share[i % E], share_since(&r, now, i),
                                    1e-12);
        }
        judge(&r, now, thresholds[_i]);
        batch.true_pairs = r.pairs[now];
        p->observe(state, &batch);
    }
    ck_assert_int_ge(r.changes, changes[_i][0]);
    ck_assert_int_le(r.changes, changes[_i][1]);
    moe_predictor_free(p, state);
    moe_trace_free(&t);
}
END_TEST

START_TEST(training_that_holds_is_kept)
{
    double shrink, window, after;
    follow("shrink", &shrink, &after);
    follow("window", &window, &after);
    ck_assert_double_lt(shrink, window);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("adaptive");
    MOE_TEST_LOOP(suite, traffic_that_changes_is_followed, 2);
    MOE_TEST_LOOP(suite, changepoint_forgets_what_was_before_a_change,
                  MOE_ARRAY_LEN(thresholds));
    MOE_TEST(suite, training_that_holds_is_kept);
    return suite;
}
