/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/planner/share_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "random_plan.h"

#if __has_include(<coin/Clp_C_Interface.h>)
#include <coin/Clp_C_Interface.h>
#define HAVE_CLP 1
#else
#define HAVE_CLP 0
#endif

/* Shapes that random tests walk through; few experts where all subsets are
 * looked at. */
static const struct {
    int experts, gpus, slots;
} shapes[] = {{1, 1, 1},  {4, 4, 2},    {8, 4, 4},   {8, 8, 2},
              {10, 3, 5}, {12, 6, 3},   {3, 8, 1},   {6, 16, 2},
              {64, 8, 9}, {256, 32, 9}, {60, 12, 6}, {128, 144, 3}};
enum { SUBSETS = 8 }; /* of the shapes */

typedef struct {
    moe_layout layout;
    moe_plan plan;
    moe_share *share;
    int64_t *load;
} stage;

/* Loads of very unequal size; some none. */
static int64_t random_load(moe_rng *rng)
{
    switch (random_below(rng, 4)) {
    case 0:
        return 0;
    case 1:
        return random_below(rng, 10);
    case 2:
        return (int64_t)floor(100 * exp(2 * moe_rng_normal(rng)));
    default:
        return random_below(rng, 20000);
    }
}

static void stage_init(stage *t, int shape, int round)
{
    const int e = shapes[shape].experts;
    moe_rng rng =
        moe_rng_at(6, MOE_RNG_TEST, (uint64_t)shape, 0, (uint64_t)round);
    *t = (stage){.layout = {shapes[shape].gpus, 4}};
    moe_plan_init(&t->plan, 1, e, t->layout.gpus, shapes[shape].slots, NULL);
    t->share = moe_share_new(e, t->layout.gpus, shapes[shape].slots, NULL);
    ck_assert_ptr_nonnull(t->share);
    t->load = moe_array_new((size_t)e, sizeof *t->load, NULL);
    moe_plan_layer layer = moe_plan_at(&t->plan, 0);
    random_layer(&rng, &t->layout, round % 2 == 0, &layer);
    for (int i = 0; i < e; i++)
        t->load[i] = random_load(&rng);
}

static void stage_fini(stage *t)
{
    moe_plan_fini(&t->plan);
    moe_share_free(t->share);
    free(t->load);
}

/* Parts sum to loads, and the sums that are kept are right. */
static bool conserves(const stage *t)
{
    const moe_share *s = t->share;
    bool right = true;
    for (int e = 0; e < s->experts; e++) {
        int64_t sum = 0;
        int copies = 0;
        for (int k = 0; k < s->gpus * s->slots; k++)
            if (s->expert[k] == e) {
                right = right && s->part[k] >= 0;
                sum += s->part[k];
                copies++;
            }
        right = right && sum == t->load[e] && copies == s->copies[e];
    }
    for (int g = 0; g < s->gpus; g++) {
        int64_t sum = 0;
        for (int k = g * s->slots; k < (g + 1) * s->slots; k++)
            sum += s->part[k];
        right = right && sum == s->load[g];
    }
    return right;
}

static int64_t busiest(const moe_share *s)
{
    int64_t most = 0;
    for (int g = 0; g < s->gpus; g++)
        most = s->load[g] > most ? s->load[g] : most;
    return most;
}

/* The bound of one set of experts. */
static int64_t bound_of(const stage *t, unsigned set)
{
    int64_t load = 0, gpus = 0;
    for (int e = 0; e < t->plan.experts; e++)
        load += (set >> e) % 2 ? t->load[e] : 0;
    for (int g = 0; g < t->plan.gpus; g++) {
        bool holds = false;
        for (int k = 0; k < t->plan.slots; k++) {
            int e = t->plan.expert[g * t->plan.slots + k];
            holds = holds || (e >= 0 && (set >> e) % 2);
        }
        gpus += holds;
    }
    return gpus > 0 ? (load + gpus - 1) / gpus : 0;
}

START_TEST(minmax_is_the_largest_bound_of_any_set_of_experts)
{
    for (int round = 0; round < 40; round++) {
        stage t;
        stage_init(&t, _i, round);
        moe_share_begin(t.share, t.plan.expert, t.load);
        const int64_t most = moe_share_minmax(t.share);
        int64_t bound = 0;
        for (unsigned set = 1; set < 1u << t.plan.experts; set++) {
            int64_t b = bound_of(&t, set);
            bound = b > bound ? b : bound;
        }
        ck_assert(conserves(&t));
        ck_assert_int_eq(busiest(t.share), most);
        ck_assert_int_eq(most, bound);
        stage_fini(&t);
    }
}
END_TEST

START_TEST(replicas_and_tables_give_the_same)
{
    for (int round = 0; round < 20; round++) {
        stage t;
        moe_replicas replicas;
        stage_init(&t, _i, round);
        const moe_plan_layer layer = moe_plan_at(&t.plan, 0);
        const size_t n = (size_t)layer.gpus * (size_t)layer.slots;
        moe_replicas_init(&replicas, layer.experts, layer.gpus, layer.slots,
                          NULL);
        moe_replicas_index(&replicas, &layer);
        int64_t *part = moe_array_new(n, sizeof *part, NULL);
        moe_share_begin(t.share, layer.expert, t.load);
        const int64_t most = moe_share_minmax(t.share);
        memcpy(part, t.share->part, n * sizeof *part);
        moe_share_begin_replicas(t.share, &replicas, t.load);
        ck_assert_int_eq(moe_share_minmax(t.share), most);
        ck_assert_mem_eq(part, t.share->part, n * sizeof *part);
        ck_assert(conserves(&t));
        free(part);
        moe_replicas_fini(&replicas);
        stage_fini(&t);
    }
}
END_TEST

START_TEST(limits_may_differ_and_what_is_stuck_is_named)
{
    /* Expert 0 on GPUs 0 and 1, expert 1 on GPU 2. */
    const int16_t expert[3] = {0, 0, 1};
    const int64_t load[2] = {30, 50};
    moe_share *s = moe_share_new(2, 3, 1, NULL);
    moe_share_begin(s, expert, load);
    s->limit[0] = 5;
    s->limit[1] = 20;
    s->limit[2] = 60;
    ck_assert_int_eq(moe_share_push(s), 5);
    ck_assert_int_eq(s->load[0], 10);
    ck_assert_int_eq(s->load[1], 20);
    ck_assert(s->stuck[0] && s->stuck[1] && !s->stuck[2]);
    moe_share_free(s);
}
END_TEST

START_TEST(what_has_no_outlet_stays_marked_until_it_gets_one)
{
    /* Expert 0 on GPUs 0 and 1, expert 1 on GPUs 1 and 2, expert 2 on 3. */
    const int16_t expert[8] = {0, -1, 0, 1, 1, -1, 2, -1};
    const int64_t load[3] = {40, 40, 10};
    moe_share *s = moe_share_new(3, 4, 2, NULL);
    moe_share_begin(s, expert, load);
    for (int g = 0; g < 4; g++)
        s->limit[g] = 20;
    s->limit[0] = 15;
    moe_share_unmark(s);
    ck_assert_int_eq(moe_share_outlet(s, 0), -1); /* 2 is full, too */
    ck_assert(s->reached[0] && s->reached[1] && s->reached[2]);
    ck_assert(!s->reached[3]);
    moe_share_put(s, 7, 1, 0);
    moe_share_unmark(s);
    ck_assert_int_eq(moe_share_relieve(s, 0), 3);
    ck_assert_int_eq(s->load[0], 15);
    ck_assert_int_eq(s->load[1], 40);
    ck_assert_int_eq(s->load[3], 15);
    moe_share_free(s);
}
END_TEST

/* @return load above limits; each expert's parts must still be all of it. */
static int64_t load_above(const stage *t)
{
    const moe_share *s = t->share;
    int64_t above = 0;
    for (int e = 0; e < s->experts; e++) {
        int64_t sum = 0;
        for (int k = s->head[e]; k >= 0; k = s->next[k]) {
            ck_assert_int_ge(s->part[k], 0);
            sum += s->part[k];
        }
        ck_assert_int_eq(sum, t->load[e]);
    }
    for (int g = 0; g < s->gpus; g++)
        above += s->load[g] > s->limit[g] ? s->load[g] - s->limit[g] : 0;
    return above;
}

/* At the optimum nothing is left, below it as much as one search for each
 * chain leaves. */
START_TEST(flows_move_as_much_as_searches)
{
    for (int round = 0; round < 20; round++) {
        stage t;
        stage_init(&t, _i, round);
        moe_share *s = t.share;
        const moe_plan_layer layer = moe_plan_at(&t.plan, 0);
        moe_share_begin(s, layer.expert, t.load);
        const int64_t best = moe_share_minmax(s);
        for (int64_t limit = best; limit >= 0; limit = limit * 3 / 4 - 1) {
            int64_t left[2];
            for (int way = 0; way < 2; way++) {
                moe_share_begin(s, layer.expert, t.load);
                for (int g = 0; g < s->gpus; g++)
                    s->limit[g] = limit;
                if (way == 0)
                    moe_share_push(s);
                else
                    moe_share_flow(s);
                left[way] = load_above(&t);
            }
            ck_assert_int_eq(left[0], left[1]);
            ck_assert(limit < best || left[1] == 0);
        }
        stage_fini(&t);
    }
}
END_TEST

START_TEST(replicas_come_and_go)
{
    const int16_t expert[4] = {0, 1, 1, -1};
    const int64_t load[2] = {30, 50};
    moe_share *s = moe_share_new(2, 2, 2, NULL);
    moe_share_begin(s, expert, load);
    ck_assert_int_eq(s->load[0], 55);
    ck_assert_int_eq(moe_share_minmax(s), 40);
    ck_assert_int_eq(moe_share_free_slot(s, 0), -1);
    ck_assert_int_eq(moe_share_free_slot(s, 1), 3);
    moe_share_put(s, 3, 0, 0);
    ck_assert_int_eq(moe_share_find(s, 1, 0), 3);
    moe_share_give(s, 0, 3, 30);
    ck_assert_int_eq(moe_share_take(s, 0), 0);
    ck_assert_int_eq(moe_share_find(s, 0, 0), -1);
    ck_assert_int_eq(s->copies[0], 1);
    ck_assert_int_eq(moe_share_minmax(s), 40);
    ck_assert_int_eq(s->part[1], 40);
    moe_share_free(s);
}
END_TEST

#if HAVE_CLP
enum { FRACTION_BITS = 32 }; /* optima are found to 2^-32 of a unit */

/* The linear program, columns: a part per replica, then M. */
static double solve_lp(const stage *t)
{
    const int n_slots = t->plan.gpus * t->plan.slots;
    const int rows = t->plan.experts + t->plan.gpus;
    int n = 0, at = 0;
    CoinBigIndex *start =
        moe_array_new((size_t)n_slots + 2, sizeof *start, NULL);
    int *row =
        moe_array_new((size_t)(2 * n_slots + t->plan.gpus), sizeof *row, NULL);
    double *value = moe_array_new((size_t)(2 * n_slots + t->plan.gpus),
                                  sizeof *value, NULL);
    double *cost = moe_array_new((size_t)n_slots + 1, sizeof *cost, NULL);
    double *low = moe_array_new((size_t)rows, sizeof *low, NULL);
    double *high = moe_array_new((size_t)rows, sizeof *high, NULL);
    for (int s = 0; s < n_slots; s++) {
        if (t->plan.expert[s] < 0)
            continue;
        start[n++] = at;
        row[at] = t->plan.expert[s];
        value[at++] = 1;
        row[at] = t->plan.experts + s / t->plan.slots;
        value[at++] = 1;
    }
    start[n] = at;
    cost[n++] = 1;
    for (int g = 0; g < t->plan.gpus; g++) {
        row[at] = t->plan.experts + g;
        value[at++] = -1;
    }
    start[n] = at;
    for (int r = 0; r < rows; r++) {
        const bool expert = r < t->plan.experts;
        low[r] = expert ? (double)t->load[r] : -HUGE_VAL;
        high[r] = expert ? (double)t->load[r] : 0;
    }
    Clp_Simplex *lp = Clp_newModel();
    Clp_setLogLevel(lp, 0);
    Clp_loadProblem(lp, n, rows, start, row, value, NULL, NULL, cost, low,
                    high);
    ck_assert_int_eq(Clp_initialSolve(lp), 0);
    const double most = Clp_getObjValue(lp);
    Clp_deleteModel(lp);
    free(start);
    free(row);
    free(value);
    free(cost);
    free(low);
    free(high);
    return most;
}

START_TEST(minmax_equals_the_linear_program)
{
    for (int round = 0; round < 12; round++) {
        stage t;
        stage_init(&t, _i, round);
        const double lp = solve_lp(&t);
        moe_share_begin(t.share, t.plan.expert, t.load);
        ck_assert_int_eq(moe_share_minmax(t.share),
                         (int64_t)ceil(lp * (1 - 1e-12)));
        for (int e = 0; e < t.plan.experts; e++)
            t.load[e] <<= FRACTION_BITS;
        moe_share_begin(t.share, t.plan.expert, t.load);
        const double fine =
            ldexp((double)moe_share_minmax(t.share), -FRACTION_BITS);
        ck_assert_msg(fabs(fine - lp) <= 1e-9 * lp, "%.12g, LP %.12g", fine,
                      lp);
        stage_fini(&t);
    }
}
END_TEST
#define LP_TEST "minmax_equals_the_linear_program"
#else
START_TEST(minmax_equals_the_linear_program)
{
}
END_TEST
#define LP_TEST "minmax_equals_the_linear_program # SKIP no Clp header"
#endif

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("share");
    const size_t n = MOE_ARRAY_LEN(shapes);
    MOE_TEST_LOOP(suite, minmax_is_the_largest_bound_of_any_set_of_experts,
                  SUBSETS);
    MOE_TEST_LOOP(suite, replicas_and_tables_give_the_same, n);
    MOE_TEST(suite, limits_may_differ_and_what_is_stuck_is_named);
    MOE_TEST(suite, what_has_no_outlet_stays_marked_until_it_gets_one);
    MOE_TEST_LOOP(suite, flows_move_as_much_as_searches, MOE_ARRAY_LEN(shapes));
    MOE_TEST(suite, replicas_come_and_go);
    TCase *lp = tcase_create(LP_TEST);
    tcase_set_timeout(lp, 120);
    tcase_add_loop_test(lp, minmax_equals_the_linear_program, 0,
                        HAVE_CLP ? (int)n : 1);
    suite_add_tcase(suite, lp);
    return suite;
}
