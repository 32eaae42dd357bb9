/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/planner/eplb.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/planner.h"

enum { MAX_EXPERTS = 256, MAX_SLOTS = 512, N_CASES = 12 };

typedef struct {
    int layers, experts, replicas, groups, nodes, gpus;
} sizes;

typedef struct {
    double weight[MAX_EXPERTS], balancedness;
    int placed[MAX_SLOTS], count[MAX_EXPERTS];
} golden;

/* tests/data/eplb/golden.txt: what the original makes of a load. */
static bool read_case(FILE *f, sizes *s)
{
    return fscanf(f, " case %d %d %d %d %d %d", &s->layers, &s->experts,
                  &s->replicas, &s->groups, &s->nodes, &s->gpus) == 6;
}

static void read_layer(FILE *f, const sizes *s, golden *g)
{
    int n = 0;
    for (int e = 0; e < s->experts; e++)
        n += fscanf(f, "%lf", &g->weight[e]);
    for (int r = 0; r < s->replicas; r++)
        n += fscanf(f, "%d", &g->placed[r]);
    for (int e = 0; e < s->experts; e++)
        n += fscanf(f, "%d", &g->count[e]);
    n += fscanf(f, "%lf", &g->balancedness);
    ck_assert_int_eq(n, 2 * s->experts + s->replicas + 1);
}

static double balancedness(const sizes *s, const golden *g,
                           const int16_t *placed, const int *count)
{
    double most = 0, sum = 0;
    for (int gpu = 0; gpu < s->gpus; gpu++) {
        double load = 0;
        for (int r = 0; r < s->replicas / s->gpus; r++) {
            const int e = placed[gpu * (s->replicas / s->gpus) + r];
            load += g->weight[e] / count[e];
        }
        most = fmax(most, load);
        sum += load;
    }
    return sum / s->gpus / most;
}

/* The reference counts nodes and groups as its caller says; it goes global
 * where nodes do not divide groups. */
static moe_eplb_shape shape_of(const sizes *s)
{
    const bool levels = s->groups % s->nodes == 0;
    return (moe_eplb_shape){.experts = s->experts,
                            .groups = levels ? s->groups : 1,
                            .nodes = levels ? s->nodes : 1,
                            .gpus = s->gpus,
                            .slots = s->replicas / s->gpus};
}

static void compare(const sizes *s, const golden *g, moe_eplb *e)
{
    int16_t placed[MAX_SLOTS];
    moe_eplb_place(e, g->weight, placed);
    for (int x = 0; x < s->experts; x++)
        ck_assert_int_eq(e->count[x], g->count[x]);
    ck_assert_double_eq_tol(balancedness(s, g, placed, e->count),
                            g->balancedness, 1e-9);
    for (int r = 0; r < s->replicas; r++)
        ck_assert_msg(placed[r] == g->placed[r], "replica %d: %d, not %d", r,
                      placed[r], g->placed[r]);
}

START_TEST(placements_are_those_of_the_reference)
{
    FILE *f = fopen("tests/data/eplb/golden.txt", "r");
    ck_assert_ptr_nonnull(f);
    sizes s;
    int n = 0;
    for (; read_case(f, &s); n++) {
        moe_eplb e;
        const moe_eplb_shape shape = shape_of(&s);
        ck_assert_int_eq(moe_eplb_init(&e, &shape, NULL), MOE_OK);
        for (int l = 0; l < s.layers; l++) {
            golden g;
            read_layer(f, &s, &g);
            compare(&s, &g, &e);
        }
        moe_eplb_fini(&e);
    }
    ck_assert_int_eq(n, N_CASES);
    fclose(f);
}
END_TEST

static const struct {
    moe_eplb_shape shape;
    const char *says;
} bad[] = {
    {{12, 5, 1, 4, 4}, "5 groups do not divide 12 experts"},
    {{12, 4, 3, 4, 4}, "3 nodes do not divide 4 GPUs"},
    {{12, 3, 2, 4, 4}, "2 nodes do not divide 3 groups"},
    {{12, 1, 1, 4, 2}, "8 slots are too few for 12 experts"},
};

START_TEST(sizes_that_do_not_divide_are_refused)
{
    moe_eplb e;
    moe_error err = {0};
    ck_assert_int_eq(moe_eplb_init(&e, &bad[_i].shape, &err), MOE_USAGE);
    ck_assert_str_eq(err.text, bad[_i].says);
    moe_eplb_fini(&e);
}
END_TEST

/* 8 experts, one hot: eplb gives it replicas that share a GPU. */
START_TEST(the_plan_has_the_shares_of_the_raw_placement)
{
    const moe_planner *p = moe_planner_find("eplb");
    const moe_planner_env env = {.layout = {4, 4}, .experts = 8, .slots = 4};
    const double load[8] = {1000, 1, 1, 1, 1, 1, 1, 1};
    void *params = moe_array_new(1, p->params_size, NULL);
    moe_opt_defaults(p->opts, params);
    void *state = moe_planner_new(p, &env, params, NULL);
    ck_assert_ptr_nonnull(state);
    moe_plan plan;
    moe_plan_init(&plan, 1, 8, 4, 4, NULL);
    moe_plan_layer layer = moe_plan_at(&plan, 0);
    const moe_planner_task task = {.load = load, .current = &layer};
    ck_assert_int_eq(p->plan(state, &task, &layer, NULL), MOE_OK);
    ck_assert_int_eq(moe_plan_layer_check(&layer, NULL), MOE_OK);
    const int16_t *raw = p->raw(state);
    int twice = 0, count = 0;
    for (int k = 0; k < 16; k++)
        count += raw[k] == 0;
    ck_assert_int_eq(count, 9); /* all that is left over */
    for (int g = 0; g < 4; g++) {
        int here = 0;
        for (int k = 4 * g; k < 4 * g + 4; k++) {
            here += raw[k] == 0;
            twice += layer.expert[k] < 0;
        }
        for (int k = 4 * g; k < 4 * g + 4; k++)
            if (layer.expert[k] == 0)
                ck_assert_double_eq_tol((double)layer.quota[k] / MOE_QUOTA_ONE,
                                        here / 9., 1e-8);
    }
    ck_assert_int_eq(twice, 9 - 4);
    moe_plan_fini(&plan);
    moe_planner_free(p, state);
    free(params);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("eplb");
    MOE_TEST(suite, placements_are_those_of_the_reference);
    MOE_TEST_LOOP(suite, sizes_that_do_not_divide_are_refused,
                  MOE_ARRAY_LEN(bad));
    MOE_TEST(suite, the_plan_has_the_shares_of_the_raw_placement);
    return suite;
}
