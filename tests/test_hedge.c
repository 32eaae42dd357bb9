/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/planner/hedge.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "random_plan.h"

enum { STEPS = 8, MAX_E = 64 };

/* A layer, its loads over some steps, and what is made of them. */
typedef struct {
    moe_layout layout;
    int experts, slots;
    double load[STEPS][MAX_E];
    const double *past[STEPS];
    moe_samples samples;
    moe_plan home, next;
    double *share;
} scene;

static const struct {
    moe_layout layout;
    int experts, slots;
} shapes[] = {{{1, 1}, 5, 6},   {{4, 4}, 8, 4},  {{8, 8}, 60, 9},
              {{7, 4}, 12, 3},  {{16, 8}, 3, 1}, {{16, 8}, 64, 5},
              {{32, 8}, 32, 2}, {{4, 4}, 64, 16}};

static void scene_init(scene *c, int shape, uint64_t seed)
{
    moe_rng rng = moe_rng_at(22, MOE_RNG_TEST, (uint64_t)shape, 0, seed);
    *c = (scene){.layout = shapes[shape].layout,
                 .experts = shapes[shape].experts,
                 .slots = shapes[shape].slots};
    double mean[MAX_E];
    for (int e = 0; e < c->experts; e++)
        mean[e] = moe_rng_normal(&rng);
    for (int t = 0; t < STEPS; t++) {
        c->past[t] = c->load[t];
        for (int e = 0; e < c->experts; e++)
            c->load[t][e] =
                floor(1e4 * exp(mean[e] + 0.2 * moe_rng_normal(&rng)));
    }
    const int g = c->layout.gpus;
    moe_samples_init(&c->samples, c->experts, g, NULL);
    const moe_planner_task task = {
        .load = c->load[0], .past = c->past, .n_past = STEPS};
    ck_assert(moe_samples_choose(&c->samples, &task));
    moe_plan_init(&c->home, 1, c->experts, g, c->slots, NULL);
    moe_plan_init(&c->next, 1, c->experts, g, c->slots, NULL);
    moe_plan_set_home(&c->home, &c->layout);
    c->share = moe_array_new((size_t)(g * c->slots), sizeof *c->share, NULL);
}

static void scene_fini(scene *c)
{
    moe_samples_fini(&c->samples);
    moe_plan_fini(&c->home);
    moe_plan_fini(&c->next);
    free(c->share);
}

static void scene_search(scene *c, double price, bool fit, bool thorough)
{
    const moe_hedge_params params = {.experts = c->experts,
                                     .gpus = c->layout.gpus,
                                     .slots = c->slots,
                                     .price = price,
                                     .thorough = thorough,
                                     .fit = fit};
    moe_hedge *h = moe_hedge_new(&params, NULL);
    ck_assert_ptr_nonnull(h);
    const moe_plan_layer home = moe_plan_at(&c->home, 0);
    ck_assert_uint_gt(
        moe_hedge_plan(h, &c->samples, &home, c->next.expert, c->share), 0);
    moe_hedge_free(h);
}

static void scene_plan(scene *c, double price, bool fit)
{
    scene_search(c, price, fit, false);
}

/* By its definition: the mean over samples of max / mean. */
static double score(const scene *c, const moe_plan *plan, const double *share)
{
    double sum = 0;
    for (int i = 0; i < c->samples.n; i++) {
        double most = 0;
        for (int g = 0; g < c->layout.gpus; g++) {
            double load = 0;
            for (int t = g * c->slots; t < (g + 1) * c->slots; t++)
                if (plan->expert[t] >= 0)
                    load += share[t] *
                            (double)c->samples
                                .load[plan->expert[t] * c->samples.stride + i];
            most = fmax(most, load);
        }
        sum += (double)c->samples.weight[i] * most;
    }
    return sum;
}

/* Equal parts of every expert's replicas. */
static void share_equally(const scene *c, const moe_plan *plan, double *share)
{
    const int n = c->layout.gpus * c->slots;
    for (int t = 0; t < n; t++) {
        int copies = 0;
        for (int u = 0; u < n; u++)
            copies += plan->expert[u] == plan->expert[t];
        share[t] = plan->expert[t] >= 0 ? 1.0 / copies : 0;
    }
}

static int moved(const scene *c)
{
    int n = 0;
    const moe_plan_layer home = moe_plan_at(&c->home, 0);
    for (int t = 0; t < c->layout.gpus * c->slots; t++)
        n += c->next.expert[t] >= 0 &&
             !random_gpu_holds(&home, t / c->slots, c->next.expert[t]);
    return n;
}

START_TEST(plans_are_sound_and_score_after_price_no_worse_than_what_is_there)
{
    static const double prices[] = {0, 0.004, 0.4};
    for (uint64_t seed = 0; seed < 6; seed++)
        for (size_t k = 0; k < 2 * MOE_ARRAY_LEN(prices); k++) {
            scene c;
            const bool fit = k % 2 == 1;
            scene_init(&c, _i, seed);
            scene_plan(&c, prices[k / 2], fit);
            double *home = moe_array_new((size_t)(c.layout.gpus * c.slots),
                                         sizeof *home, NULL);
            moe_plan_layer next = moe_plan_at(&c.next, 0);
            moe_replicas scratch;
            moe_replicas_init(&scratch, c.experts, c.layout.gpus, c.slots,
                              NULL);
            moe_plan_layer_set_quota(&next, c.share, &scratch);
            ck_assert_int_eq(moe_plan_layer_check(&next, NULL), MOE_OK);
            share_equally(&c, &c.home, home);
            const double before = score(&c, &c.home, home);
            if (!fit)
                share_equally(&c, &c.next, c.share);
            const double after = score(&c, &c.next, c.share);
            ck_assert_double_le(after +
                                    prices[k / 2] / c.layout.gpus * moved(&c),
                                before + 1e-4);
            moe_replicas_fini(&scratch);
            free(home);
            scene_fini(&c);
        }
}
END_TEST

START_TEST(shares_fitted_to_the_samples_score_no_worse_than_equal_ones)
{
    double equal = 0, fitted = 0;
    for (uint64_t seed = 0; seed < 10; seed++) {
        scene c;
        scene_init(&c, 2, seed);
        scene_plan(&c, 0.004, true);
        fitted += score(&c, &c.next, c.share);
        share_equally(&c, &c.next, c.share);
        equal += score(&c, &c.next, c.share);
        scene_fini(&c);
    }
    ck_assert_double_le(fitted, equal);
}
END_TEST

START_TEST(a_price_above_any_gain_moves_nothing)
{
    scene c;
    scene_init(&c, _i, 1);
    scene_plan(&c, 1000, false);
    ck_assert_int_eq(moved(&c), 0);
    scene_fini(&c);
}
END_TEST

/* ---- where a search ends ---- */

enum { MAX_G = 32 };

/* @return load of a GPU in a sample, replicas being alike. */
static double load_at(const scene *c, const int16_t *expert, int gpu, int i)
{
    double load = 0;
    for (int t = gpu * c->slots; t < (gpu + 1) * c->slots; t++) {
        int copies = 0;
        for (int u = 0; u < c->layout.gpus * c->slots; u++)
            copies += expert[u] == expert[t];
        if (expert[t] >= 0)
            load += (double)c->samples.load[expert[t] * c->samples.stride + i] /
                    copies;
    }
    return load;
}

/* The score where GPUs other than `a` count with what they had at least. */
static double promised(const scene *c, const int16_t *after, int a)
{
    double sum = 0;
    for (int i = 0; i < c->samples.n; i++) {
        double most = 0;
        for (int g = 0; g < c->layout.gpus; g++) {
            most = fmax(most, load_at(c, after, g, i));
            if (g != a)
                most = fmax(most, load_at(c, c->next.expert, g, i));
        }
        sum += (double)c->samples.weight[i] * most;
    }
    return sum;
}

/* @return the GPU that is the busiest in samples of most weight. */
static int critical_gpu(const scene *c)
{
    double weight[MAX_G] = {0};
    int a = 0;
    for (int i = 0; i < c->samples.n; i++) {
        int most = 0;
        for (int g = 1; g < c->layout.gpus; g++)
            if (load_at(c, c->next.expert, g, i) >
                load_at(c, c->next.expert, most, i))
                most = g;
        weight[most] += (double)c->samples.weight[i];
    }
    for (int g = 1; g < c->layout.gpus; g++)
        a = weight[g] > weight[a] + 1e-6 ? g : a;
    return a;
}

static bool is_sound(const scene *c, const int16_t *expert)
{
    for (int e = 0; e < c->experts; e++) {
        bool there = false;
        for (int t = 0; t < c->layout.gpus * c->slots; t++)
            there = there || expert[t] == e;
        if (!there)
            return false;
    }
    return true;
}

/* No swap, move or replica from there promises more than is worth a step. */
START_TEST(a_search_without_price_ends_where_no_step_helps)
{
    static const int small[] = {1, 3, 4};
    for (uint64_t seed = 0; seed < 10; seed++) {
        scene c;
        int16_t after[MAX_G * 16];
        scene_init(&c, small[_i], seed);
        scene_search(&c, 0, false, true);
        const int16_t *now = c.next.expert;
        const int n = c.layout.gpus * c.slots, a = critical_gpu(&c);
        const moe_plan_layer layer = moe_plan_at(&c.next, 0);
        const double before = promised(&c, now, -1);
        for (int t = a * c.slots; t < (a + 1) * c.slots; t++)
            for (int k = 0; k < 2 * n; k++) {
                const int u = k / 2, b = u / c.slots;
                if (now[t] < 0 || b == a || random_gpu_holds(&layer, b, now[t]))
                    continue;
                memcpy(after, now, (size_t)n * sizeof *after);
                after[u] = now[t];
                if (k % 2 == 0 && now[u] >= 0 &&
                    random_gpu_holds(&layer, a, now[u]))
                    continue;
                if (k % 2 == 0)
                    after[t] = now[u];
                if (is_sound(&c, after))
                    ck_assert_double_ge(promised(&c, after, a), before - 2e-4);
            }
        scene_fini(&c);
    }
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("hedge");
    const size_t n = MOE_ARRAY_LEN(shapes);
    MOE_TEST_LOOP(
        suite,
        plans_are_sound_and_score_after_price_no_worse_than_what_is_there, n);
    MOE_TEST(suite,
             shares_fitted_to_the_samples_score_no_worse_than_equal_ones);
    MOE_TEST_LOOP(suite, a_price_above_any_gain_moves_nothing, n);
    MOE_TEST_LOOP(suite, a_search_without_price_ends_where_no_step_helps, 3);
    return suite;
}
