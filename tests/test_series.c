/* SPDX-License-Identifier: Apache-2.0 */
/* What plans are worth on the next step of a series, beside those of peers. */
#include "series.h"

#include <stdlib.h>

#include "harness.h"
#include "moegps/mem.h"

enum { LAYERS = 4 };

typedef struct {
    double next, moved; /* mean / max on the next step; share of the slots */
} outcome;

static outcome plan_by(const moe_planner *p, const series *s,
                       moe_division division, const double *load)
{
    moe_study study;
    moe_error err = {0};
    series_study(s, p, division, load, &study, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    const outcome o = {series_next(s, &study, (int)division),
                       series_moved(s, &study)};
    moe_study_fini(&study);
    return o;
}

enum { NOISE_64, NOISE_72, NOISE_88, DRIFT };

static const series all[] = {
    [NOISE_64] = {"noise, 64 slots", 40, LAYERS, 60, 8, 8, 98304, 0, 20},
    [NOISE_72] = {"noise, 72 slots", 40, LAYERS, 60, 8, 9, 98304, 0, 20},
    [NOISE_88] = {"noise, 88 slots", 40, LAYERS, 60, 8, 11, 98304, 0, 20},
    [DRIFT] = {"drift", 30, LAYERS, 256, 32, 9, 1048576, 0.97, 0}};

static const struct {
    int series;
    moe_division division;
    double behind; /* the best peer, at most */
    double moves;  /* over those of the peer that moves least, at most */
} cases[] = {{NOISE_64, MOE_DIVISION_EQUAL, 0.002, 0.2},
             {NOISE_72, MOE_DIVISION_EQUAL, 0.002, 0.2},
             {NOISE_88, MOE_DIVISION_EQUAL, 0.002, 0.2},
             {NOISE_64, MOE_DIVISION_QUOTA, 0.002, 0.2},
             {NOISE_72, MOE_DIVISION_QUOTA, 0.002, 0.2},
             {NOISE_88, MOE_DIVISION_QUOTA, 0.002, 0.2},
             {DRIFT, MOE_DIVISION_EQUAL, 0.002, 1},
             /* a ninth of the moves for .016 */
             {DRIFT, MOE_DIVISION_QUOTA, 0.02, 0.12}};

START_TEST(balance_is_worth_as_much_as_its_best_peer_and_moves_less)
{
    const series *s = &all[cases[_i].series];
    const moe_division division = cases[_i].division;
    const moe_planner *peers[] = {moe_planner_find("eplb"), &series_flashlb};
    double best = 0, least = INFINITY;
    double *load = moe_array_new((size_t)(s->steps * s->layers * s->experts),
                                 sizeof *load, NULL);
    for (int l = 0; l < s->layers; l++)
        series_draw(s, l, load);
    for (size_t i = 0; i < MOE_ARRAY_LEN(peers); i++) {
        const outcome o = plan_by(peers[i], s, division, load);
        best = fmax(best, o.next);
        least = fmin(least, o.moved);
    }
    const outcome o = plan_by(moe_planner_find("balance"), s, division, load);
    ck_assert_double_ge(o.next, best - cases[_i].behind);
    ck_assert_double_le(o.moved, cases[_i].moves * least);
    free(load);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *s = suite_create("series");
    MOE_TEST_LOOP(s, balance_is_worth_as_much_as_its_best_peer_and_moves_less,
                  MOE_ARRAY_LEN(cases));
    return s;
}
