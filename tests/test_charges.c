/* SPDX-License-Identifier: Apache-2.0 */
/* Conditions in which a charge that is not what happens once decided who wins,
 * each as it was found. */
#include "moegps/advise.h"

#include <math.h>

#include "harness.h"
#include "moegps/mem.h"

typedef struct {
    moe_model model;
    moe_cluster cluster;
    moe_advise_params p;
} question;

/* A load by hand of 512 tokens a sequence, without drift; what knows tokens is
 * right for 90 %, in no time, and its errors leave the load as it is. */
static void ask(question *q, const char *model, const char *cluster, int gpus,
                int batch, double skew)
{
    moe_error err = {0};
    moe_model_read(model, &q->model, &err);
    moe_cluster_read(cluster, &q->cluster, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    moe_advise_params_init(&q->p);
    q->p.model = &q->model;
    q->p.cluster = &q->cluster;
    q->p.gpus = gpus;
    q->p.batch = batch;
    q->p.skew = skew;
    q->p.no_limits = true;
    q->p.dials.token_error = 0;
}

static moe_advice answer(const question *q)
{
    moe_advice v;
    moe_error err = {0};
    moe_advise_run(&q->p, &v, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    return v;
}

static double typical(const moe_advice *v, moe_advise_strategy s)
{
    return v->time[s][MOE_ADVISE_TYPICAL].layer_s;
}

/* Rows can ride to GPUs of the own attention alone, and are as wide there:
 * without skew nothing is won where there is nothing to cure. */
START_TEST(rows_do_not_ride_across_nodes)
{
    static const struct {
        int gpus, batch;
    } of[] = {{32, 512}, {32, 64}, {64, 512}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(of); i++) {
        question q;
        ask(&q, "deepseek-v3", "h100-nvlink", of[i].gpus, of[i].batch, 1);
        q.p.dials.moving = 0;
        const moe_advice direct = answer(&q);
        q.p.dials.direct = false;
        const moe_advice behind = answer(&q);
        const double base_s = typical(&direct, MOE_ADVISE_BASELINE);
        ck_assert_double_ge(typical(&direct, MOE_ADVISE_TOKEN), base_s);
        ck_assert_double_ge(typical(&direct, MOE_ADVISE_TOKEN),
                            0.99 * typical(&behind, MOE_ADVISE_TOKEN));
    }
}
END_TEST

/* Planning costs counted work, and a distribution by hand is planned once. */
START_TEST(a_plan_that_never_changes_is_not_paid_for)
{
    static const moe_phase free[] = {MOE_PHASE_COLLECT, MOE_PHASE_PLAN,
                                     MOE_PHASE_BROADCAST, MOE_PHASE_MIGRATE};
    question q;
    ask(&q, "deepseek-v3", "h100-nvlink", 256, 32, 2);
    q.p.planner = moe_planner_find("balance");
    const moe_advice v = answer(&q), again = answer(&q);
    const moe_advise_time *next = v.time[MOE_ADVISE_DISTRIBUTION];
    const moe_advise_time *now = v.time[MOE_ADVISE_ORACLE];
    ck_assert_int_eq(v.winner[MOE_ADVISE_TYPICAL], MOE_ADVISE_DISTRIBUTION);
    ck_assert_double_gt(v.margin, 0.25);
    for (size_t i = 0; i < MOE_ARRAY_LEN(free); i++) {
        ck_assert(!(next[MOE_ADVISE_TYPICAL].gpu_s[free[i]] > 0));
        ck_assert_double_gt(now[MOE_ADVISE_TYPICAL].gpu_s[free[i]], 0);
    }
    for (int k = 0; k < MOE_ADVISE_STRATEGIES; k++)
        ck_assert_double_eq(typical(&v, (moe_advise_strategy)k),
                            typical(&again, (moe_advise_strategy)k));
}
END_TEST

/* One kind of link: what the all-reduce of attention and rows leave free is all
 * that weights can hide in. */
START_TEST(weights_do_not_hide_behind_their_own_links)
{
    const int batch = 1 << _i;
    question q;
    ask(&q, "mixtral-8x7b", "l40s-pcie", 4, batch, 2);
    const moe_advice v = answer(&q);
    const moe_advise_time *t = &v.time[MOE_ADVISE_ORACLE][MOE_ADVISE_TYPICAL];
    moe_error err = {0};
    const moe_cost *cost = moe_cost_find(q.cluster.cost);
    void *state = moe_cost_new(cost, &q.model, &q.cluster, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    const moe_exchange all = {.gpus = 4, .nodes = 1};
    const double reduce_s =
        cost->allreduce(state, &all,
                        512.0 * batch * moe_model_row_bytes(&q.model))
            .time_s;
    moe_cost_free(cost, state);
    const double waited_s = t->exposed_s[MOE_PHASE_MIGRATE];
    const double hidden_s = t->gpu_s[MOE_PHASE_MIGRATE] - waited_s;
    ck_assert_double_gt(reduce_s, 0.4 * t->gpu_s[MOE_PHASE_ATTENTION]);
    ck_assert_double_gt(hidden_s, 0);
    ck_assert_double_le(hidden_s, t->layer_s - waited_s - reduce_s -
                                      t->gpu_s[MOE_PHASE_DISPATCH] -
                                      t->gpu_s[MOE_PHASE_COMBINE]);
}
END_TEST

static const char *const clusters[] = {"a100-nvlink", "b200-nvlink",
                                       "h100-nvlink", "l40s-pcie"};

START_TEST(copies_win_nothing_where_loads_are_even)
{
    for (int batch = 1; batch <= 256; batch *= 4) {
        question q;
        ask(&q, "mixtral-8x7b", clusters[_i], 4, batch, 1);
        q.p.slots = 4;
        q.p.dials.moving = 0;
        const moe_advice v = answer(&q);
        const double base_s = typical(&v, MOE_ADVISE_BASELINE);
        ck_assert_double_ge(typical(&v, MOE_ADVISE_DISTRIBUTION), base_s);
        ck_assert_double_ge(typical(&v, MOE_ADVISE_ORACLE), base_s);
    }
}
END_TEST

/* What is sure names one winner, in whatever case. */
START_TEST(nothing_survives_that_has_two_winners)
{
    int survived = 0, fell = 0;
    for (double error = 0; error < 0.5; error += 0.04) {
        question q;
        ask(&q, "deepseek-v3", "h100-nvlink", 32, 16, 2);
        q.p.error = error;
        const moe_advice v = answer(&q);
        bool same = true;
        for (int c = 0; c < MOE_ADVISE_CASES; c++)
            same = same && v.winner[c] == v.winner[MOE_ADVISE_TYPICAL];
        ck_assert_int_eq(v.survives_cases, same);
        survived += same;
        fell += !same;
    }
    ck_assert_int_gt(survived, 0);
    ck_assert_int_gt(fell, 0);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *s = suite_create("charges");
    MOE_TEST(s, rows_do_not_ride_across_nodes);
    MOE_TEST(s, a_plan_that_never_changes_is_not_paid_for);
    MOE_TEST_LOOP(s, weights_do_not_hide_behind_their_own_links, 7);
    MOE_TEST_LOOP(s, copies_win_nothing_where_loads_are_even,
                  MOE_ARRAY_LEN(clusters));
    MOE_TEST(s, nothing_survives_that_has_two_winners);
    return s;
}
