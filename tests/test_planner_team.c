/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner_team.h"

#include <math.h>
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/rng.h"
#include "pricing.h"

enum { LAYERS = 9, EXPERTS = 8, PAST = 8, GPUS = 4, SLOTS = 4 };

/* Loads of all layers over some steps, and what is made of them. */
typedef struct {
    double load[LAYERS][PAST][EXPERTS];
    const double *past[LAYERS][PAST];
    moe_plan plan, next;
    double steps[LAYERS], cpu_s[LAYERS];
    moe_planner_round round;
} model;

static void ask(void *arg, int layer, int thread, moe_planner_task *task_out)
{
    model *m = arg;
    (void)thread;
    *task_out = (moe_planner_task){
        .load = m->load[layer][0], .past = m->past[layer], .n_past = PAST};
}

static void model_init(model *m)
{
    *m = (model){.round = {.ask = ask}};
    m->round.arg = m;
    m->round.plan = &m->plan;
    m->round.next = &m->next;
    m->round.steps = m->steps;
    m->round.cpu_s = m->cpu_s;
    for (int l = 0; l < LAYERS; l++)
        for (int t = 0; t < PAST; t++) {
            moe_rng mean = moe_rng_at(7, MOE_RNG_TEST, (uint64_t)l, 0, 0);
            moe_rng noise =
                moe_rng_at(7, MOE_RNG_TEST, (uint64_t)l, 1 + (uint64_t)t, 0);
            m->past[l][t] = m->load[l][t];
            for (int e = 0; e < EXPERTS; e++)
                m->load[l][t][e] =
                    floor(1e4 * exp(moe_rng_normal(&mean) +
                                    0.2 * moe_rng_normal(&noise)));
        }
    const moe_layout layout = {GPUS, GPUS};
    moe_plan_init(&m->plan, LAYERS, EXPERTS, GPUS, SLOTS, NULL);
    moe_plan_init(&m->next, LAYERS, EXPERTS, GPUS, SLOTS, NULL);
    moe_plan_set_home(&m->plan, &layout);
    moe_plan_set_home(&m->next, &layout);
}

static void model_fini(model *m)
{
    moe_plan_fini(&m->plan);
    moe_plan_fini(&m->next);
}

static moe_planner_env env_of(const moe_pricer *pricer)
{
    return (moe_planner_env){.layout = {GPUS, GPUS},
                             .experts = EXPERTS,
                             .slots = SLOTS,
                             .pricer = pricer,
                             .interval = 1000,
                             .step_s = 1e-9};
}

static void plan_all(model *m, const moe_planner *planner,
                     const moe_planner_env *env, int threads)
{
    moe_error err = {0};
    moe_planner_team team;
    void *params = moe_array_new(1, planner->params_size, NULL);
    if (planner->opts != NULL)
        moe_opt_defaults(planner->opts, params);
    moe_planner_team_init(&team, planner, env, params, threads, &err);
    moe_planner_team_plan(&team, &m->round, 0, LAYERS, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    moe_planner_team_fini(&team);
    free(params);
}

/* Plans and counted steps, of every planner; of which the price is made. */
START_TEST(threads_plan_as_one_does)
{
    static const int threads[] = {2, 3, LAYERS, LAYERS + 4};
    enum { N = LAYERS * GPUS * SLOTS };
    static pricing gpu;
    pricing_read(&gpu, "mixtral-8x7b", "h100-nvlink");
    pricing_open(&gpu, NULL, NULL);
    const moe_pricer pricer = pricing_on(&gpu, GPUS, GPUS);
    const moe_planner_env env = env_of(&pricer);
    const moe_planner *p;
    int moved = 0;
    for (size_t i = 0; (p = moe_planner_at(i)) != NULL; i++) {
        static model one, many;
        model_init(&one);
        plan_all(&one, p, &env, 1);
        for (size_t k = 0; k < MOE_ARRAY_LEN(threads); k++) {
            model_init(&many);
            plan_all(&many, p, &env, threads[k]);
            ck_assert_msg(
                memcmp(many.next.expert, one.next.expert,
                       N * sizeof *one.next.expert) == 0 &&
                    memcmp(many.next.quota, one.next.quota,
                           N * sizeof *one.next.quota) == 0 &&
                    memcmp(many.steps, one.steps, sizeof one.steps) == 0,
                "%s: %d threads plan differently", p->name, threads[k]);
            model_fini(&many);
        }
        moved += memcmp(one.next.expert, one.plan.expert,
                        N * sizeof *one.next.expert) != 0 &&
                 one.steps[0] > 0;
        model_fini(&one);
    }
    ck_assert_int_ge(moved, 4);
    pricing_close(&gpu);
}
END_TEST

/* ---- planners that say what becomes of them ---- */

typedef struct {
    int planned; /* layers */
} counting;

static void keep(const moe_planner_task *task, moe_plan_layer *next)
{
    const size_t n = (size_t)next->gpus * (size_t)next->slots;
    memcpy(next->expert, task->current->expert, n * sizeof *next->expert);
    memcpy(next->quota, task->current->quota, n * sizeof *next->quota);
}

/* Layers 3 and 6 cannot be planned: their load says so. */
static moe_status plan_some(void *state, const moe_planner_task *task,
                            moe_plan_layer *next, moe_error *err)
{
    ((counting *)state)->planned++;
    if (task->load[0] < 0)
        return moe_fail(err, MOE_INVALID, "layer %g", -task->load[0]);
    keep(task, next);
    return MOE_OK;
}

START_TEST(the_lowest_layer_that_fails_is_named)
{
    static model m;
    const moe_planner planner = {.name = "some",
                                 .state_size = sizeof(counting),
                                 .params_size = 1,
                                 .plan = plan_some};
    const moe_planner_env env = env_of(NULL);
    for (int threads = 1; threads <= 4; threads++) {
        moe_error err = {0};
        moe_planner_team team;
        int planned = 0;
        model_init(&m);
        m.load[3][0][0] = -3;
        m.load[6][0][0] = -6;
        moe_planner_team_init(&team, &planner, &env, NULL, threads, &err);
        ck_assert_int_eq(
            moe_planner_team_plan(&team, &m.round, 1, LAYERS, &err),
            MOE_INVALID);
        ck_assert_str_eq(err.text, "layer 3");
        for (int i = 0; i < threads; i++)
            planned += ((counting *)team.state[i])->planned;
        ck_assert_int_eq(planned, LAYERS - 1);
        moe_planner_team_fini(&team);
        model_fini(&m);
    }
}
END_TEST

static pthread_barrier_t both;

/* Ends when another one plans, too. */
static moe_status plan_together(void *state, const moe_planner_task *task,
                                moe_plan_layer *next, moe_error *err)
{
    (void)state, (void)err;
    keep(task, next);
    pthread_barrier_wait(&both);
    return MOE_OK;
}

START_TEST(layers_are_planned_side_by_side)
{
    static model m;
    const moe_planner planner = {.name = "together",
                                 .state_size = 1,
                                 .params_size = 1,
                                 .plan = plan_together};
    const moe_planner_env env = env_of(NULL);
    moe_error err = {0};
    moe_planner_team team;
    if (omp_get_thread_limit() < 2)
        return;
    omp_set_dynamic(0);
    pthread_barrier_init(&both, NULL, 2);
    model_init(&m);
    moe_planner_team_init(&team, &planner, &env, NULL, 2, &err);
    ck_assert_int_eq(moe_planner_team_plan(&team, &m.round, 0, 2, &err),
                     MOE_OK);
    moe_planner_team_fini(&team);
    model_fini(&m);
    pthread_barrier_destroy(&both);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("planner_team");
    MOE_TEST(suite, threads_plan_as_one_does);
    MOE_TEST(suite, the_lowest_layer_that_fails_is_named);
    MOE_TEST(suite, layers_are_planned_side_by_side);
    return suite;
}
