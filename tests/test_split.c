/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/split.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/share.h"
#include "random_plan.h"

/* All ranks of one layer at dispatch time, played by one process. */
typedef struct {
    moe_layout layout;
    moe_plan plan;
    moe_replicas replicas;
    uint64_t *total, *first; /* [experts], [gpus][experts] */
    uint32_t *own, *pairs;   /* [gpus][experts], [gpus][replicas] */
} stage;

static void stage_init(stage *t, const moe_layout *layout, int experts,
                       int slots)
{
    const size_t g = (size_t)layout->gpus, e = (size_t)experts;
    *t = (stage){.layout = *layout};
    moe_plan_init(&t->plan, 1, experts, layout->gpus, slots, NULL);
    moe_replicas_init(&t->replicas, experts, layout->gpus, slots, NULL);
    t->total = moe_array_new(e, sizeof *t->total, NULL);
    t->first = moe_array_new(g * e, sizeof *t->first, NULL);
    t->own = moe_array_new(g * e, sizeof *t->own, NULL);
    t->pairs = moe_array_new(g * g * (size_t)slots, sizeof *t->pairs, NULL);
}

static void stage_fini(stage *t)
{
    moe_plan_fini(&t->plan);
    moe_replicas_fini(&t->replicas);
    free(t->total);
    free(t->first);
    free(t->own);
    free(t->pairs);
}

/* What moe_dispatch_number() learns from the own counts. */
static void stage_number(stage *t)
{
    const size_t n = (size_t)t->plan.experts;
    memset(t->total, 0, n * sizeof *t->total);
    for (size_t g = 0; g < (size_t)t->layout.gpus; g++)
        for (size_t e = 0; e < n; e++) {
            t->first[g * n + e] = t->total[e];
            t->total[e] += t->own[g * n + e];
        }
}

static void stage_divide(stage *t, const moe_split *split)
{
    const size_t n = (size_t)t->plan.experts;
    moe_plan_layer layer = moe_plan_at(&t->plan, 0);
    moe_replicas_index(&t->replicas, &layer);
    stage_number(t);
    const moe_split_env env = {t->layout, (int)n, t->plan.slots};
    void *state = moe_split_new(split, &env, NULL, NULL);
    ck_assert_ptr_nonnull(state);
    const size_t replicas = t->replicas.first[n];
    memset(t->pairs, 0xee,
           (size_t)t->layout.gpus * replicas * sizeof(uint32_t));
    for (int g = 0; g < t->layout.gpus; g++) {
        const size_t at = (size_t)g * n;
        const moe_split_input in = {&t->replicas, &t->layout,    g,
                                    t->total,     t->first + at, t->own + at};
        split->divide(state, &in, t->pairs + (size_t)g * replicas);
    }
    moe_split_free(split, state);
}

/* Pairs of all ranks that replica r gets. */
static uint64_t sum_of(const stage *t, uint32_t r)
{
    uint64_t sum = 0;
    const size_t n = t->replicas.first[t->plan.experts];
    for (size_t g = 0; g < (size_t)t->layout.gpus; g++)
        sum += t->pairs[g * n + r];
    return sum;
}

/* Every rank gives away just what it has. */
static bool conserves(const stage *t)
{
    const size_t n = t->replicas.first[t->plan.experts];
    for (int g = 0; g < t->layout.gpus; g++)
        for (int e = 0; e < t->plan.experts; e++) {
            uint64_t sum = 0;
            for (uint32_t r = t->replicas.first[e];
                 r < t->replicas.first[e + 1]; r++)
                sum += t->pairs[(size_t)g * n + r];
            if (sum != t->own[g * t->plan.experts + e])
                return false;
        }
    return true;
}

static const struct {
    moe_layout layout;
    int experts, slots;
    uint64_t most; /* pairs of one expert on one rank */
} stages[] = {
    {{1, 1}, 1, 1, 10},       {{1, 8}, 8, 8, 1000},
    {{4, 2}, 8, 3, 50},       {{4, 2}, 8, 8, 3},
    {{8, 4}, 3, 2, 100},      {{16, 4}, 16, 4, 1},
    {{7, 3}, 12, 5, 7},       {{2, 2}, 6, 4, 5},
    {{3, 1}, 4, 4, 1u << 30}, {{2, 2}, 2, 2, UINT32_C(1) << 30},
};

static void stage_random(stage *t, int kind, int round)
{
    moe_rng rng =
        moe_rng_at(4, MOE_RNG_TEST, (uint64_t)kind, 0, (uint64_t)round);
    stage_init(t, &stages[kind].layout, stages[kind].experts,
               stages[kind].slots);
    moe_plan_layer layer = moe_plan_at(&t->plan, 0);
    random_layer(&rng, &t->layout, round % 2 == 0, &layer);
    for (int i = 0; i < t->layout.gpus * t->plan.experts; i++)
        t->own[i] = random_below(&rng, 3) == 0
                        ? 0
                        : (uint32_t)moe_rng_below(&rng, stages[kind].most + 1);
}

START_TEST(every_split_gives_away_what_a_rank_has)
{
    for (size_t i = 0; moe_split_at(i) != NULL; i++)
        for (int round = 0; round < 50; round++) {
            stage t;
            stage_random(&t, _i, round);
            stage_divide(&t, moe_split_at(i));
            ck_assert_msg(conserves(&t), "%s, round %d", moe_split_at(i)->name,
                          round);
            stage_fini(&t);
        }
}
END_TEST

START_TEST(every_split_divides_the_same_again)
{
    for (size_t i = 0; moe_split_at(i) != NULL; i++) {
        stage a, b;
        stage_random(&a, _i, 0);
        stage_random(&b, _i, 0);
        stage_divide(&a, moe_split_at(i));
        stage_divide(&b, moe_split_at(i));
        ck_assert_mem_eq(a.pairs, b.pairs,
                         (size_t)a.layout.gpus *
                             a.replicas.first[a.plan.experts] *
                             sizeof *a.pairs);
        stage_fini(&a);
        stage_fini(&b);
    }
}
END_TEST

/* Without the counts of other ranks the division must be the same. */
START_TEST(splits_say_whether_they_need_counts)
{
    static const struct {
        const char *name;
        bool needs;
    } known[] = {{"quota", true},
                 {"equal", true},
                 {"minmax", true},
                 {"local", false},
                 {"deal", false}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(known); i++)
        ck_assert_msg(moe_split_find(known[i].name)->needs_counts ==
                          known[i].needs,
                      "%s", known[i].name);
    for (size_t i = 0; moe_split_at(i) != NULL; i++) {
        const moe_split *split = moe_split_at(i);
        stage t;
        if (split->needs_counts)
            continue;
        stage_random(&t, 6, 0);
        stage_divide(&t, split);
        const moe_split_env env = {t.layout, t.plan.experts, t.plan.slots};
        const size_t n = t.replicas.first[t.plan.experts];
        uint32_t *pairs = moe_array_new(n, sizeof *pairs, NULL);
        void *state = moe_split_new(split, &env, NULL, NULL);
        for (int g = 0; g < t.layout.gpus; g++) {
            const moe_split_input in = {
                .replicas = &t.replicas,
                .layout = &t.layout,
                .gpu = g,
                .own = t.own + (size_t)g * (size_t)t.plan.experts};
            split->divide(state, &in, pairs);
            ck_assert_mem_eq(pairs, t.pairs + (size_t)g * n, n * sizeof *pairs);
        }
        moe_split_free(split, state);
        free(pairs);
        stage_fini(&t);
    }
}
END_TEST

/* One expert in three places; by hand. */
static const struct {
    int ranks, gpu;
    uint32_t own, pairs[3];
} deals[] = {
    {1, 0, 10, {4, 3, 3}}, {2, 0, 2, {1, 1, 0}}, {2, 1, 2, {0, 1, 1}},
    {4, 2, 4, {1, 1, 2}},  {4, 3, 1, {1, 0, 0}}, {7, 5, 0, {0, 0, 0}},
    {7, 4, 8, {2, 3, 3}},  {7, 6, 9, {3, 3, 3}},
};

START_TEST(deal_goes_round_from_another_replica_on_every_rank)
{
    const moe_layout layout = {deals[_i].ranks, 8};
    moe_replicas replicas = {.experts = 1};
    uint32_t first[2] = {0, 3}, pairs[3] = {7, 7, 7};
    moe_replica replica[3] = {{0}};
    replicas.first = first;
    replicas.replica = replica;
    const moe_split_input in = {.replicas = &replicas,
                                .layout = &layout,
                                .gpu = deals[_i].gpu,
                                .own = &deals[_i].own};
    moe_split_find("deal")->divide(NULL, &in, pairs);
    for (int j = 0; j < 3; j++)
        ck_assert_uint_eq(pairs[j], deals[_i].pairs[j]);
}
END_TEST

START_TEST(deal_is_even_on_every_rank)
{
    for (int round = 0; round < 100; round++) {
        stage t;
        stage_random(&t, _i, round);
        stage_divide(&t, moe_split_find("deal"));
        const size_t n = t.replicas.first[t.plan.experts];
        bool even = true;
        for (int g = 0; g < t.layout.gpus; g++)
            for (int e = 0; e < t.plan.experts; e++)
                for (uint32_t r = t.replicas.first[e];
                     r < t.replicas.first[e + 1]; r++) {
                    const uint32_t own = t.own[g * t.plan.experts + e];
                    const uint32_t c =
                        t.replicas.first[e + 1] - t.replicas.first[e];
                    const uint32_t got = t.pairs[(size_t)g * n + r];
                    even = even && got >= own / c && got <= (own + c - 1) / c;
                }
        ck_assert(even);
        stage_fini(&t);
    }
}
END_TEST

START_TEST(splits_are_found_by_name)
{
    for (size_t i = 0; moe_split_at(i) != NULL; i++) {
        const moe_split *split = moe_split_at(i);
        ck_assert_ptr_eq(moe_split_find(split->name), split);
        ck_assert_ptr_nonnull(split->help);
        void *state = moe_array_new(1, split->state_size, NULL);
        moe_split_free(split, state); /* zeroed, never set up */
    }
    ck_assert_ptr_null(moe_split_find(""));
}
END_TEST

START_TEST(quota_gives_each_replica_its_share_to_the_pair)
{
    for (int round = 0; round < 100; round++) {
        stage t;
        stage_random(&t, _i, round);
        stage_divide(&t, moe_split_find("quota"));
        bool right = true;
        for (int e = 0; e < t.plan.experts; e++)
            for (uint32_t r = t.replicas.first[e]; r < t.replicas.first[e + 1];
                 r++) {
                long double share = (long double)t.total[e] *
                                    t.replicas.replica[r].quota / MOE_QUOTA_ONE;
                right = right && fabsl((long double)sum_of(&t, r) - share) < 1;
            }
        ck_assert(right);
        stage_fini(&t);
    }
}
END_TEST

START_TEST(equal_gives_totals_that_differ_by_one_at_most)
{
    for (int round = 0; round < 100; round++) {
        stage t;
        stage_random(&t, _i, round);
        stage_divide(&t, moe_split_find("equal"));
        bool right = true;
        for (int e = 0; e < t.plan.experts; e++) {
            uint64_t low = UINT64_MAX, high = 0;
            for (uint32_t r = t.replicas.first[e]; r < t.replicas.first[e + 1];
                 r++) {
                uint64_t sum = sum_of(&t, r);
                low = sum < low ? sum : low;
                high = sum > high ? sum : high;
            }
            right = right && high - low <= 1;
        }
        ck_assert(right);
        stage_fini(&t);
    }
}
END_TEST

/* The ranks' answers together are one division, and the best there is:
 * test_share.c compares that with the linear program. */
START_TEST(minmax_divides_all_ranks_pairs_as_one)
{
    for (int round = 0; round < 50; round++) {
        stage t;
        stage_random(&t, _i, round);
        stage_divide(&t, moe_split_find("minmax"));
        moe_share *share =
            moe_share_new(t.plan.experts, t.plan.gpus, t.plan.slots, NULL);
        int64_t *load = moe_array_new((size_t)t.plan.experts + 1, 8, NULL);
        for (int e = 0; e < t.plan.experts; e++)
            load[e] = (int64_t)t.total[e];
        moe_share_begin_replicas(share, &t.replicas, load);
        const int64_t most = moe_share_minmax(share);
        int64_t *sum = moe_array_new((size_t)t.plan.gpus, sizeof *sum, NULL);
        for (uint32_t r = 0; r < t.replicas.first[t.plan.experts]; r++)
            sum[t.replicas.replica[r].gpu] += (int64_t)sum_of(&t, r);
        int64_t busiest = 0;
        for (int g = 0; g < t.plan.gpus; g++)
            busiest = sum[g] > busiest ? sum[g] : busiest;
        ck_assert_int_eq(busiest, most);
        free(sum);
        free(load);
        moe_share_free(share);
        stage_fini(&t);
    }
}
END_TEST

/* One expert whose pairs lie on 1, 2, 5 or 16 ranks. */
START_TEST(totals_do_not_depend_on_the_number_of_ranks)
{
    static const int ranks[] = {1, 2, 5, 16};
    const uint32_t weight[3] = {700000001, 1, 373741822}; /* sum 2^30 */
    uint64_t expected[3] = {0};
    for (size_t i = 0; i < MOE_ARRAY_LEN(ranks); i++) {
        const uint64_t n = 1000003, k = (uint64_t)ranks[i];
        uint64_t sum[3] = {0};
        for (uint64_t g = 0; g < k; g++) {
            uint32_t pairs[3];
            uint64_t first = n * g / k, end = n * (g + 1) / k;
            moe_split_by_weight(weight, 3, n, first, (uint32_t)(end - first),
                                pairs);
            for (int r = 0; r < 3; r++)
                sum[r] += pairs[r];
        }
        if (i == 0)
            memcpy(expected, sum, sizeof sum);
        ck_assert_mem_eq(sum, expected, sizeof sum);
    }
}
END_TEST

/* Intervals worked out by hand. */
static const struct {
    uint32_t weight[3];
    uint64_t n, first;
    uint32_t own, pairs[3];
} intervals[] = {
    {{1, 1, 1}, 10, 0, 10, {3, 3, 4}}, /* ends at 3, 6, 10 */
    {{1, 1, 1}, 10, 2, 5, {1, 3, 1}},
    {{1, 1, 1}, 10, 6, 4, {0, 0, 4}},
    {{0, 5, 0}, 9, 3, 3, {0, 3, 0}},
    {{1, 2, 1}, 1, 0, 1, {0, 0, 1}}, /* ends at 0, 0, 1 */
    {{1, 1, 1}, 0, 0, 0, {0, 0, 0}},
    {{1, 1, 1}, 100, 50, 0, {0, 0, 0}},
    {{1, 0, 1}, UINT64_C(1) << 31, 0, UINT32_C(1) << 31, {1 << 30, 0, 1 << 30}},
    {{(1 << 30) - 1, 1, 0},
     UINT64_C(1) << 31,
     (UINT64_C(1) << 31) - 3,
     3,
     {1, 2, 0}},
    {{UINT32_C(0x7ffffffd), 1, 1},
     UINT32_C(0xffffffff),
     0,
     UINT32_C(0xffffffff),
     {UINT32_C(0xfffffffa), 2, 3}},
};

START_TEST(intervals_are_exact)
{
    uint32_t pairs[3] = {7, 7, 7};
    moe_split_by_weight(intervals[_i].weight, 3, intervals[_i].n,
                        intervals[_i].first, intervals[_i].own, pairs);
    for (int r = 0; r < 3; r++)
        ck_assert_uint_eq(pairs[r], intervals[_i].pairs[r]);
}
END_TEST

__extension__ typedef unsigned __int128 wide;

START_TEST(intervals_equal_128_bit_arithmetic)
{
    for (uint64_t round = 0; round < 20000; round++) {
        moe_rng rng = moe_rng_at(5, MOE_RNG_TEST, 0, 0, round);
        uint32_t weight[6], pairs[6], k = 1 + (uint32_t)random_below(&rng, 6);
        const uint64_t n = moe_rng_below(&rng, (UINT64_C(1) << 31) + 1);
        const uint64_t first = moe_rng_below(&rng, n + 1);
        const uint32_t own = (uint32_t)moe_rng_below(&rng, n - first + 1);
        uint64_t sum = 0, before = 0;
        for (uint32_t r = 0; r < k; r++)
            sum += weight[r] = (uint32_t)moe_rng_below(&rng, 357913941) + !r;
        moe_split_by_weight(weight, k, n, first, own, pairs);
        bool right = true;
        for (uint32_t r = 0; r < k; r++) {
            uint64_t low = (uint64_t)((wide)n * before / sum);
            before += weight[r];
            uint64_t high = (uint64_t)((wide)n * before / sum);
            low = low > first ? low : first;
            high = high < first + own ? high : first + own;
            right = right && pairs[r] == (high > low ? high - low : 0);
        }
        if (!right)
            ck_abort_msg("round %u", (unsigned)round);
    }
}
END_TEST

/* @return 0 own GPU, 1 own node, 2 elsewhere. */
static int distance(const stage *t, int from, int to)
{
    return from == to ? 0
           : moe_layout_node(&t->layout, from) ==
                   moe_layout_node(&t->layout, to)
               ? 1
               : 2;
}

START_TEST(local_sends_to_the_nearest_replicas_only)
{
    for (int round = 0; round < 100; round++) {
        stage t;
        stage_random(&t, _i, round);
        stage_divide(&t, moe_split_find("local"));
        const size_t n = t.replicas.first[t.plan.experts];
        bool right = true;
        for (int g = 0; g < t.layout.gpus; g++)
            for (int e = 0; e < t.plan.experts; e++) {
                const uint32_t *at = t.replicas.first + e;
                int nearest = 2;
                for (uint32_t r = at[0]; r < at[1]; r++) {
                    int d = distance(&t, g, t.replicas.replica[r].gpu);
                    nearest = d < nearest ? d : nearest;
                }
                for (uint32_t r = at[0]; r < at[1]; r++)
                    right =
                        right &&
                        (t.pairs[(size_t)g * n + r] == 0 ||
                         distance(&t, g, t.replicas.replica[r].gpu) == nearest);
            }
        ck_assert(right);
        stage_fini(&t);
    }
}
END_TEST

/* One expert on a few GPUs; the ranks of a node without replica of their own
 * (or, in the second half, of nodes without any) share them by quota. */
static const struct {
    const char *name;
    moe_layout layout;
    int holder[3];
    double share[3];
    int first, end;     /* ranks that have pairs */
    uint32_t own;       /* pairs of each */
    double expected[3]; /* shares of all pairs */
} crowds[] = {
    {"a node's replicas, equal quotas",
     {64, 64},
     {0, 1, 2},
     {1, 1, 1},
     3,
     64,
     100,
     {1. / 3, 1. / 3, 1. / 3}},
    {"a node's replicas, single pairs",
     {64, 64},
     {0, 1, 2},
     {1, 2, 1},
     3,
     64,
     1,
     {.25, .5, .25}},
    {"a node's replicas, odd quotas",
     {64, 64},
     {5, 17, 40},
     {.7, .1, .2},
     0,
     64,
     3,
     {.7, .1, .2}},
    {"far replicas are not near",
     {64, 32},
     {0, 1, 40},
     {1, 3, 4},
     2,
     32,
     10,
     {.25, .75, 0}},
    {"foreign nodes, equal quotas",
     {64, 8},
     {0, 8, 16},
     {1, 1, 1},
     24,
     64,
     10,
     {1. / 3, 1. / 3, 1. / 3}},
    {"foreign nodes, odd quotas",
     {64, 8},
     {0, 8, 16},
     {5, 2, 1},
     24,
     64,
     7,
     {.625, .25, .125}},
    /* Node 0: 14 ranks, halves; node 1: 15; nodes 2 and 3: 32 by quota. */
    {"foreign nodes while near ranks have pairs too",
     {64, 16},
     {0, 1, 16},
     {1, 1, 2},
     0,
     64,
     100,
     {15. / 61, 15. / 61, 31. / 61}},
};

START_TEST(local_shares_what_is_equally_near_by_quota)
{
    stage t;
    stage_init(&t, &crowds[_i].layout, 1, 1);
    double sum = 0, n = 0;
    for (int r = 0; r < 3; r++)
        sum += crowds[_i].share[r];
    for (int r = 0; r < 3; r++) {
        t.plan.expert[crowds[_i].holder[r]] = 0;
        t.plan.quota[crowds[_i].holder[r]] =
            (uint32_t)(crowds[_i].share[r] / sum * MOE_QUOTA_ONE);
    }
    for (int g = crowds[_i].first; g < crowds[_i].end; g++) {
        bool holds = t.plan.expert[g] == 0;
        t.own[g] = holds ? 0 : crowds[_i].own;
        n += t.own[g];
    }
    stage_divide(&t, moe_split_find("local"));
    ck_assert(conserves(&t));
    for (uint32_t r = 0; r < 3; r++)
        ck_assert_msg(fabs((double)sum_of(&t, r) / n - crowds[_i].expected[r]) <
                          .03,
                      "%s: replica %u gets %.3f", crowds[_i].name, r,
                      (double)sum_of(&t, r) / n);
    stage_fini(&t);
}
END_TEST

START_TEST(local_uses_a_near_replica_that_the_plan_gave_nothing)
{
    const moe_layout layout = {4, 2};
    stage t;
    stage_init(&t, &layout, 1, 1);
    t.plan.expert[0] = t.plan.expert[2] = 0;
    t.plan.quota[0] = MOE_QUOTA_ONE;
    for (int g = 0; g < 4; g++)
        t.own[g] = 10;
    stage_divide(&t, moe_split_find("local"));
    ck_assert_uint_eq(sum_of(&t, 0), 20);
    ck_assert_uint_eq(sum_of(&t, 1), 20);
    stage_fini(&t);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("split");
    const size_t n = MOE_ARRAY_LEN(stages);
    MOE_TEST_LOOP(suite, every_split_gives_away_what_a_rank_has, n);
    MOE_TEST_LOOP(suite, every_split_divides_the_same_again, n);
    MOE_TEST(suite, splits_are_found_by_name);
    MOE_TEST(suite, splits_say_whether_they_need_counts);
    MOE_TEST_LOOP(suite, deal_goes_round_from_another_replica_on_every_rank,
                  MOE_ARRAY_LEN(deals));
    MOE_TEST_LOOP(suite, deal_is_even_on_every_rank, n);
    MOE_TEST_LOOP(suite, quota_gives_each_replica_its_share_to_the_pair, n);
    MOE_TEST_LOOP(suite, equal_gives_totals_that_differ_by_one_at_most, n);
    MOE_TEST_LOOP(suite, minmax_divides_all_ranks_pairs_as_one, n);
    MOE_TEST(suite, totals_do_not_depend_on_the_number_of_ranks);
    MOE_TEST_LOOP(suite, intervals_are_exact, MOE_ARRAY_LEN(intervals));
    MOE_TEST(suite, intervals_equal_128_bit_arithmetic);
    MOE_TEST_LOOP(suite, local_sends_to_the_nearest_replicas_only, n);
    MOE_TEST_LOOP(suite, local_shares_what_is_equally_near_by_quota,
                  MOE_ARRAY_LEN(crowds));
    MOE_TEST(suite, local_uses_a_near_replica_that_the_plan_gave_nothing);
    return suite;
}
