/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/study.h"

#include <math.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

/* Two steps of two layers of four experts on two GPUs. */
enum { STEPS = 2, LAYERS = 2, EXPERTS = 4, GPUS = 2, SLOTS = 3, REPEATS = 3 };

/* On the home placement, experts 0 and 1 on GPU 0, the GPUs have 8 and 4, 2
 * and 2; then 4 and 4, 5 and 1. */
static const double load[STEPS * LAYERS * EXPERTS] = {
    6, 2, 1, 3, /**/ 1, 1, 1, 1, /**/ 2, 2, 3, 1, /**/ 5, 0, 1, 0};

/* A planner that gives expert 0 a second replica on GPU 1 and, in layer 0 of
 * step 1, expert 3 one on GPU 0; what its source has puts expert 1 twice on
 * GPU 0. */
typedef struct {
    int *calls;
    int fails_at; /* call that fails; 0: none */
} copier_params;

static moe_status copier_init(void *state, const moe_planner_env *env,
                              const void *params, moe_error *err)
{
    (void)env;
    (void)err;
    *(copier_params *)state = *(const copier_params *)params;
    return MOE_OK;
}

static moe_status copier_plan(void *state, const moe_planner_task *task,
                              moe_plan_layer *next, moe_error *err)
{
    static const int16_t expert[] = {0, 1, -1, 2, 3, 0};
    const copier_params *p = state;
    const double *x = task->load;
    if (++*p->calls == p->fails_at)
        return moe_fail(err, MOE_INVALID, "no plan");
    memcpy(next->expert, expert, sizeof expert);
    for (int k = 0; k < GPUS * SLOTS; k++)
        next->quota[k] = expert[k] < 0    ? 0
                         : expert[k] == 0 ? MOE_QUOTA_ONE / 2
                                          : MOE_QUOTA_ONE;
    if (x[3] == 1 && x[2] == 3) { /* step 1, layer 0 */
        next->expert[2] = 3;
        next->quota[2] = next->quota[4] = MOE_QUOTA_ONE / 2;
    }
    return MOE_OK;
}

static const int16_t *copier_raw(const void *state)
{
    static const int16_t raw[] = {0, 1, 1, 2, 3, 0};
    (void)state;
    return raw;
}

static const moe_planner copier = {.name = "copier",
                                   .help = "for tests",
                                   .params_size = sizeof(copier_params),
                                   .state_size = sizeof(copier_params),
                                   .plans = true,
                                   .init = copier_init,
                                   .plan = copier_plan,
                                   .raw = copier_raw};

static moe_status run_use(const moe_planner *planner, const void *params,
                          size_t steps, moe_study_use use, moe_study *study,
                          moe_error *err)
{
    const moe_planner_env env = {
        .layout = {GPUS, GPUS}, .experts = EXPERTS, .slots = SLOTS};
    moe_plan home;
    ck_assert_int_eq(moe_plan_init(&home, LAYERS, EXPERTS, GPUS, SLOTS, err),
                     MOE_OK);
    moe_plan_set_home(&home, &env.layout);
    const moe_study_params p = {.planner = planner,
                                .params = params,
                                .env = &env,
                                .previous = &home,
                                .load = load,
                                .steps = steps,
                                .layers = LAYERS,
                                .repeats = REPEATS,
                                .use = use};
    const moe_status status = moe_study_run(study, &p, err);
    moe_plan_fini(&home);
    return status;
}

static moe_status run(const moe_planner *planner, const void *params,
                      size_t steps, moe_study *study, moe_error *err)
{
    return run_use(planner, params, steps, MOE_STUDY_EACH, study, err);
}

static void check_tally(const moe_tally *t, size_t n, const double *mean,
                        const double *most)
{
    moe_tally want = {0};
    for (size_t i = 0; i < n; i++)
        moe_tally_add(&want, mean[i], most[i]);
    ck_assert_uint_eq(t->n, n);
    ck_assert_double_eq_tol(t->mean, want.mean, 1e-9);
    ck_assert_double_eq_tol(t->most, want.most, 1e-7);
    ck_assert_double_eq_tol(t->ratio, want.ratio, 1e-7);
    ck_assert_double_eq_tol(t->inverse, want.inverse, 1e-7);
}

/* ---- balance ---- */

static const struct {
    moe_balance by;
    const char *name;
    double value;
} balances[] = {
    {MOE_BALANCE_MEAN, "balancedness_mean", (6.0 / 8 + 1) / 2},
    {MOE_BALANCE_OF_SUMS, "balancedness_of_sums", 10.0 / 12},
    {MOE_BALANCE_IMBALANCE, "imbalance", (8.0 / 6 + 1) / 2},
    {MOE_BALANCE_EXCESS, "excess", (8.0 / 6 + 1) / 2 - 1},
};

START_TEST(every_convention_is_as_worked_out_by_hand)
{
    moe_tally t[2], none = {0};
    memset(t, 0, sizeof t);
    moe_tally_add(&t[0], 6, 8);
    moe_tally_add(&t[1], 4, 4);
    const moe_tally sum = moe_tally_sum(t, 2);
    ck_assert_double_eq_tol(moe_tally_balance(&sum, balances[_i].by),
                            balances[_i].value, 1e-12);
    ck_assert(isnan(moe_tally_balance(&none, balances[_i].by)));
    ck_assert_str_eq(moe_balance_name(balances[_i].by), balances[_i].name);
}
END_TEST

/* ---- plans ---- */

/* Sums of the steps on the home placement: 12 and 8, 7 and 3. */
START_TEST(one_plan_is_scored_on_every_step)
{
    static const double sum[LAYERS][2] = {{10, 12}, {5, 7}};
    static const double last[LAYERS][2] = {{4, 4}, {3, 5}};
    const double(*own)[2] = _i == 0 ? sum : last;
    moe_study s;
    moe_error err = {0};
    ck_assert_msg(run_use(moe_planner_find("static"), NULL, STEPS,
                          _i == 0 ? MOE_STUDY_SUM : MOE_STUDY_LAST, &s,
                          &err) == MOE_OK,
                  "%s", err.text);
    for (int l = 0; l < LAYERS; l++)
        check_tally(&s.score[MOE_STUDY_PLANNED][l], 1, &own[l][0], &own[l][1]);
    for (int by = 0; by < MOE_N_DIVISIONS; by++) {
        const moe_tally *on = s.score[MOE_STUDY_NEXT + by];
        check_tally(&on[0], 2, (double[]){6, 4}, (double[]){8, 4});
        check_tally(&on[1], 2, (double[]){2, 3}, (double[]){2, 5});
    }
    ck_assert_uint_eq(s.time.n, REPEATS);
    ck_assert_uint_eq(s.travelled, 0);
    moe_study_fini(&s);
}
END_TEST

START_TEST(home_placement_is_scored_on_its_own_and_the_next_load)
{
    moe_study s;
    moe_error err = {0};
    ck_assert_msg(run(moe_planner_find("static"), NULL, STEPS, &s, &err) ==
                      MOE_OK,
                  "%s", err.text);
    const moe_tally *planned = s.score[MOE_STUDY_PLANNED];
    check_tally(&planned[0], 2, (double[]){6, 4}, (double[]){8, 4});
    check_tally(&planned[1], 2, (double[]){2, 3}, (double[]){2, 5});
    for (int by = 0; by < MOE_N_DIVISIONS; by++) { /* nothing to divide */
        const moe_tally *next = s.score[MOE_STUDY_NEXT + by];
        check_tally(&next[0], 1, (double[]){4}, (double[]){4});
        check_tally(&next[1], 1, (double[]){3}, (double[]){5});
    }
    /* two spare slots: the largest expert can go on two GPUs */
    check_tally(&s.bound[0], 2, (double[]){6, 4}, (double[]){6, 4});
    check_tally(&s.bound[1], 2, (double[]){2, 3}, (double[]){2, 3});
    ck_assert_uint_eq(s.changed, 0);
    ck_assert_uint_eq(s.travelled, 0);
    ck_assert_int_eq(s.doubles[0] + s.doubles[1], 0);
    ck_assert_mem_eq(s.raw, s.plan.expert,
                     LAYERS * GPUS * SLOTS * sizeof *s.raw);
    moe_study_fini(&s);
}
END_TEST

START_TEST(replicas_are_scored_by_quota_and_by_the_best_division)
{
    moe_study s;
    moe_error err = {0};
    int calls = 0;
    const copier_params params = {&calls, 0};
    ck_assert_int_eq(run(&copier, &params, STEPS, &s, &err), MOE_OK);
    /* step 0: 3 + 2 and 1 + 3 + 3, 0.5 + 1 and 1 + 1 + 0.5; step 1: 1 + 2 +
     * 0.5 and 3 + 0.5 + 1, 2.5 and 1 + 0 + 2.5 */
    const moe_tally *planned = s.score[MOE_STUDY_PLANNED];
    check_tally(&planned[0], 2, (double[]){6, 4}, (double[]){7, 4.5});
    check_tally(&planned[1], 2, (double[]){2, 3}, (double[]){2.5, 3.5});
    /* The plans of step 0 on the loads of step 1: 1 + 2 and 3 + 1 + 1, where
     * all of expert 0 on GPU 0 is best; 2.5 and 1 + 2.5, 3 and 1 + 2. */
    check_tally(&s.score[MOE_STUDY_NEXT + MOE_DIVISION_QUOTA][0], 1,
                (double[]){4}, (double[]){5});
    check_tally(&s.score[MOE_STUDY_NEXT + MOE_DIVISION_EQUAL][0], 1,
                (double[]){4}, (double[]){5});
    check_tally(&s.score[MOE_STUDY_NEXT + MOE_DIVISION_MINMAX][0], 1,
                (double[]){4}, (double[]){4});
    check_tally(&s.score[MOE_STUDY_NEXT + MOE_DIVISION_QUOTA][1], 1,
                (double[]){3}, (double[]){3.5});
    check_tally(&s.score[MOE_STUDY_NEXT + MOE_DIVISION_MINMAX][1], 1,
                (double[]){3}, (double[]){3});
    moe_study_fini(&s);
}
END_TEST

START_TEST(changes_are_counted_against_the_first_and_from_step_to_step)
{
    moe_study s;
    moe_error err = {0};
    int calls = 0;
    const copier_params params = {&calls, 0};
    ck_assert_int_eq(run(&copier, &params, STEPS, &s, &err), MOE_OK);
    /* expert 0 in both layers at once, expert 3 in layer 0 in step 1 */
    ck_assert_uint_eq(s.travelled, 3);
    ck_assert_uint_eq(s.changed, 3);
    ck_assert_int_eq(s.plan.expert[2], 3);
    ck_assert_int_eq(s.plan.expert[GPUS * SLOTS + 2], -1);
    moe_study_fini(&s);
    ck_assert_int_eq(run(&copier, &params, 1, &s, &err), MOE_OK);
    ck_assert_uint_eq(s.changed, 2);
    ck_assert_uint_eq(s.score[MOE_STUDY_NEXT][0].n, 0); /* no next step */
    moe_study_fini(&s);
}
END_TEST

/* Five steps whose GPU loads at home are (step + 2) and 2. */
START_TEST(a_plan_serves_an_interval)
{
    enum { N = 5, EVERY = 2 };
    double x[N * EXPERTS];
    for (int i = 0; i < N * EXPERTS; i++)
        x[i] = i % EXPERTS == 0 ? i / EXPERTS + 1 : 1;
    const moe_planner_env env = {.layout = {GPUS, GPUS},
                                 .experts = EXPERTS,
                                 .slots = SLOTS,
                                 .interval = EVERY};
    moe_plan home;
    moe_study s;
    int calls = 0;
    const copier_params params = {&calls, 0};
    ck_assert_int_eq(moe_plan_init(&home, 1, EXPERTS, GPUS, SLOTS, NULL),
                     MOE_OK);
    moe_plan_set_home(&home, &env.layout);
    for (int copies = 0; copies < 2; copies++) {
        const moe_study_params p = {
            .planner = copies ? &copier : moe_planner_find("static"),
            .params = &params,
            .env = &env,
            .previous = &home,
            .load = x,
            .steps = N,
            .layers = 1,
            .repeats = REPEATS};
        ck_assert_int_eq(moe_study_run(&s, &p, NULL), MOE_OK);
        ck_assert_uint_eq(s.plans, 3); /* of steps 0, 2 and 4 */
        ck_assert_uint_eq(s.time.n, 3 * REPEATS);
        ck_assert_uint_eq(s.score[MOE_STUDY_PLANNED][0].n, 3);
        /* steps 1, 2 and 3, 4: half of expert 0 moves */
        const double mean[] = {2.5, 3, 3.5, 4}, at_home[] = {3, 4, 5, 6},
                     copied[] = {3, 3.5, 4, 4.5};
        check_tally(&s.score[MOE_STUDY_NEXT][0], 4, mean,
                    copies ? copied : at_home);
        ck_assert_uint_eq(s.travelled, copies ? 1 : 0);
        moe_study_fini(&s);
    }
    ck_assert_int_eq(calls, 3 * REPEATS);
    moe_plan_fini(&home);
}
END_TEST

START_TEST(placement_of_the_planners_source_is_kept_and_its_doubles_counted)
{
    static const int16_t raw[] = {0, 1, 1, 2, 3, 0};
    moe_study s;
    moe_error err = {0};
    int calls = 0;
    const copier_params params = {&calls, 0};
    ck_assert_int_eq(run(&copier, &params, STEPS, &s, &err), MOE_OK);
    for (int l = 0; l < LAYERS; l++) {
        ck_assert_mem_eq(s.raw + l * GPUS * SLOTS, raw, sizeof raw);
        ck_assert_int_eq(s.doubles[l], 1); /* 0 is on two GPUs, 1 on one */
    }
    moe_study_fini(&s);
}
END_TEST

START_TEST(every_step_is_planned_and_timed_as_often_as_asked)
{
    moe_study s;
    moe_error err = {0};
    int calls = 0;
    const copier_params params = {&calls, 0};
    ck_assert_int_eq(run(&copier, &params, STEPS, &s, &err), MOE_OK);
    ck_assert_int_eq(calls, STEPS * LAYERS * REPEATS);
    ck_assert_uint_eq(s.time.n, STEPS * REPEATS);
    ck_assert(s.time.min >= 0 && s.time.max < 10);
    moe_study_fini(&s);
}
END_TEST

START_TEST(planner_that_fails_ends_the_study)
{
    moe_study s;
    moe_error err = {0};
    int calls = 0;
    const copier_params params = {&calls, LAYERS * REPEATS + 1};
    ck_assert_int_eq(run(&copier, &params, STEPS, &s, &err), MOE_INVALID);
    ck_assert_str_eq(err.text, "no plan");
    moe_study_fini(&s);
    moe_study_fini(&s);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("study");
    MOE_TEST_LOOP(suite, one_plan_is_scored_on_every_step, 2);
    MOE_TEST_LOOP(suite, every_convention_is_as_worked_out_by_hand,
                  MOE_ARRAY_LEN(balances));
    MOE_TEST(suite, home_placement_is_scored_on_its_own_and_the_next_load);
    MOE_TEST(suite, replicas_are_scored_by_quota_and_by_the_best_division);
    MOE_TEST(suite,
             changes_are_counted_against_the_first_and_from_step_to_step);
    MOE_TEST(suite, a_plan_serves_an_interval);
    MOE_TEST(suite,
             placement_of_the_planners_source_is_kept_and_its_doubles_counted);
    MOE_TEST(suite, every_step_is_planned_and_timed_as_often_as_asked);
    MOE_TEST(suite, planner_that_fails_ends_the_study);
    return suite;
}
