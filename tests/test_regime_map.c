/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/regime_map.h"

#include <string.h>

#include "harness.h"
#include "made_view.h"
#include "made_work.h"

enum { SKEWS = 13, BANDWIDTHS = 9 };

/* What a run left: its profiles, and facts of its batches. */
typedef struct {
    moe_view view;
    moe_detail detail;
    moe_fact_text fact[2];
    char cluster[1024];
    moe_break_even even;
} left_by_run;

static void leave(left_by_run *r, double skew, const char *batch)
{
    static world w;
    make_world(&w, 1);
    *r = (left_by_run){.view = made_view(2, 9, (const double[]){2, 1}),
                       .detail = {.model_profile = (char *)model_text,
                                  .cluster_profile = r->cluster,
                                  .fact = r->fact,
                                  .n_facts = 2},
                       .even = {.strategy = -1}};
    strcpy(r->cluster, w.cluster);
    strcpy(r->fact[0].name, moe_fact_name(MOE_FACT_BATCH));
    strcpy(r->fact[0].text, batch);
    strcpy(r->fact[1].name, moe_fact_name(MOE_FACT_GPUS_PER_NODE));
    strcpy(r->fact[1].text, "4");
    r->view.dims.experts = E;
    r->view.tokens = 4096;
    for (int s = 0; s < 2; s++) {
        r->view.strategy[s].skewness.median = skew;
        r->view.strategy[s].error.median = s == 0 ? NAN : 0.1;
    }
}

/* Three times as far as the run, but at least to 2, and at most to what a model
 * of 8 experts, of which 2 are taken, can have. */
static const struct {
    double skew, end;
} reaches[] = {{1, 2}, {1.2, 2}, {1.5, 2.5}, {3, 4 / 1.001}};

START_TEST(map_reaches_around_the_run)
{
    left_by_run r;
    moe_regime_map map;
    moe_error err = {0};
    leave(&r, reaches[_i].skew, "2");
    ck_assert_msg(
        moe_regime_map_init(&map, &r.view, &r.detail, &r.even, &err) == MOE_OK,
        "%s", err.text);
    ck_assert(map.known);
    ck_assert_int_eq(map.map.n_skew, SKEWS);
    ck_assert_int_eq(map.map.n_bandwidth, BANDWIDTHS);
    ck_assert_double_eq(map.map.skew[0], 1);
    ck_assert_double_eq_tol(map.map.skew[SKEWS - 1], reaches[_i].end, 1e-12);
    ck_assert_double_eq_tol(map.map.bandwidth[0], LINK / 16, 1);
    ck_assert_double_eq_tol(map.map.bandwidth[BANDWIDTHS - 1], LINK * 16, 1);
    ck_assert_int_eq(map.map.seq, 2048);
    moe_regime_map_fini(&map);
    ck_assert(!map.known);
    moe_view_free(&r.view);
}
END_TEST

/* The winner beside the run is that of the nearest skewness on its own links. */
START_TEST(winner_here_is_that_of_the_nearest_cell)
{
    static const double skews[] = {1, 1.04, 1.05, 1.49, 3.9};
    left_by_run r;
    moe_regime_map map;
    leave(&r, skews[_i], "2");
    ck_assert_int_eq(
        moe_regime_map_init(&map, &r.view, &r.detail, &r.even, NULL), MOE_OK);
    moe_map_cell x = {.error = MOE_ADVISE_TYPICAL, .bandwidth = BANDWIDTHS / 2};
    for (int k = 0; k < SKEWS; k++)
        if (fabs(map.map.skew[k] - skews[_i]) <
            fabs(map.map.skew[x.skew] - skews[_i]))
            x.skew = k;
    ck_assert_double_eq_tol(map.map.bandwidth[x.bandwidth], LINK, 1);
    ck_assert_int_eq(map.here, map.map.winner[moe_map_at(&map.map, &x)]);
    ck_assert_int_eq(map.here == MOE_ADVISE_BASELINE, skews[_i] < 2);
    moe_regime_map_fini(&map);
    moe_view_free(&r.view);
}
END_TEST

/* Of whom the map is told what. */
static const struct {
    int strategy; /* that foretells tokens; -1: none */
    double error, overhead_s, overhead_share, accuracy, moving;
} assumed[] = {
    {-1, 0.1, 0, 0.1, 0.9, 1}, /* as advice assumes */
    {1, 0, 30e-6, 0, 0.7, 0.5},
};

START_TEST(strategies_are_those_of_the_run)
{
    left_by_run r;
    moe_regime_map map;
    leave(&r, 1.5, "2");
    const bool tokens = assumed[_i].strategy >= 0;
    r.view.dims.slots = 3;
    r.view.strategy[1].facts.foretells_tokens = tokens;
    r.view.period = 2;
    /* 4 copies of 3 x 1024 x 2048 numbers, half of which travel at each plan */
    r.view.strategy[1].moved_bytes = 3.0 * 1024 * 2048 * 2;
    r.even = (moe_break_even){
        .strategy = assumed[_i].strategy, .predict_s = 30e-6, .recall = 0.7};
    ck_assert_int_eq(
        moe_regime_map_init(&map, &r.view, &r.detail, &r.even, NULL), MOE_OK);
    ck_assert_int_eq(map.map.slots, 3);
    ck_assert_int_eq(map.map.rebalance_every, 2);
    ck_assert_double_eq(map.map.error, assumed[_i].error);
    ck_assert_double_eq(map.map.overhead_s, assumed[_i].overhead_s);
    ck_assert_double_eq(map.map.overhead_share, assumed[_i].overhead_share);
    ck_assert_double_eq(map.map.accuracy[0], assumed[_i].accuracy);
    ck_assert_double_eq_tol(map.map.moving, assumed[_i].moving, 1e-12);
    moe_regime_map_fini(&map);
    moe_view_free(&r.view);
}
END_TEST

/* The profile says 2 to a node; what the run had counts, where it is known. */
START_TEST(nodes_are_those_of_the_run)
{
    static const char *const per_node[] = {"4", "2", ""};
    double baseline_s[3];
    for (int i = 0; i < 3; i++) {
        left_by_run r;
        moe_regime_map map;
        leave(&r, 1.5, "2");
        strcpy(r.fact[1].text, per_node[i]);
        ck_assert_int_eq(
            moe_regime_map_init(&map, &r.view, &r.detail, &r.even, NULL),
            MOE_OK);
        baseline_s[i] = map.map.layer_s[BANDWIDTHS / 2 * MOE_ADVISE_STRATEGIES];
        moe_regime_map_fini(&map);
        moe_view_free(&r.view);
    }
    ck_assert_double_lt(baseline_s[0], baseline_s[1]);
    ck_assert_double_eq(baseline_s[2], baseline_s[1]);
}
END_TEST

static void no_model(left_by_run *r)
{
    r->detail.model_profile = NULL;
}
static void no_cluster(left_by_run *r)
{
    r->detail.cluster_profile = NULL;
}
static void no_batch(left_by_run *r)
{
    strcpy(r->fact[0].text, "");
}
static void no_tokens(left_by_run *r)
{
    r->view.tokens = NAN;
}
static void other_cost(left_by_run *r)
{
    strcpy(r->cluster, "cost: nonsense\n");
}

static const struct {
    void (*spoil)(left_by_run *r);
    const char *says;
} unknowns[] = {
    {no_model, "the file has no profiles"},
    {no_cluster, "the file has no profiles"},
    {no_batch, "the file has no profiles"},
    {no_tokens, "the file has no profiles"},
    {other_cost, "tiny:1: "},
};

START_TEST(run_without_profiles_has_no_map)
{
    left_by_run r;
    moe_regime_map map;
    moe_error err = {0};
    leave(&r, 1.5, "2");
    strcpy(r.view.cluster, "tiny");
    unknowns[_i].spoil(&r);
    ck_assert_int_eq(
        moe_regime_map_init(&map, &r.view, &r.detail, &r.even, &err),
        MOE_USAGE);
    ck_assert_msg(strstr(err.text, unknowns[_i].says) != NULL, "%s", err.text);
    ck_assert(!map.known);
    moe_regime_map_fini(&map);
    moe_view_free(&r.view);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("regime_map");
    MOE_TEST_LOOP(suite, map_reaches_around_the_run, MOE_ARRAY_LEN(reaches));
    MOE_TEST_LOOP(suite, winner_here_is_that_of_the_nearest_cell, 5);
    MOE_TEST_LOOP(suite, strategies_are_those_of_the_run,
                  MOE_ARRAY_LEN(assumed));
    MOE_TEST(suite, nodes_are_those_of_the_run);
    MOE_TEST_LOOP(suite, run_without_profiles_has_no_map,
                  MOE_ARRAY_LEN(unknowns));
    return suite;
}
