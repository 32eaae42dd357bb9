/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/sensitivity.h"

#include <string.h>

#include "harness.h"
#include "made_work.h"
#include "moegps/mem.h"

/* The baseline's busiest GPU has half of the pairs; the other strategy has
 * even loads, for copies that travel: faster on fast links. */
enum { EVEN = 3000 }; /* pairs of a slot */
static const double MOVED_BYTES = 3e6;

static world w;
static double time_s[S][K * J];

static void make_race(void)
{
    lookahead = 0;
    make_world(&w, 1);
    for (int c = 0; c < S * K * J * L; c++)
        for (int g = 0; g < G; g++) {
            moe_work_gpu *x = &w.cell[c].gpu[g];
            const bool even = c >= K * J * L;
            uint32_t *pairs = (uint32_t *)x->pairs;
            x->total = 0;
            for (int k = 0; k < SLOTS; k++) {
                pairs[k] = even ? EVEN : g == 0 ? 2 * EVEN : EVEN / 3 * 2;
                x->total += pairs[k];
            }
            for (int k = 0; k < MOE_N_LINKS; k++)
                x->exchange_bytes[MOE_EXCHANGE_MIGRATE][k] =
                    even ? MOVED_BYTES * (k + 1) : 0;
        }
    for (int c = 0; c < S * K * J * L; c++)
        for (int level = 0; level < MOE_N_LEVELS; level++)
            w.cell[c].busiest[level] = w.cell[c].gpu[0].total - 100 * level;
    settle(&w);
    w.view.tokens = 4096;
    w.view.passes = 1;
    w.view.period = 1;
    for (int s = 0; s < S; s++) {
        moe_strategy_view *y = &w.strategy[s];
        for (int i = 0; i < K * J; i++)
            time_s[s][i] = direct_s(&w, s) * (1 + 1e-3 * i);
        y->layer_time[MOE_CLOCK_GPU] = time_s[s];
        y->summary[MOE_CLOCK_GPU].median = direct_s(&w, s);
        for (int p = 0; p < MOE_N_PHASES; p++)
            y->phase[MOE_CLOCK_GPU][p] = NAN;
        y->phase[MOE_CLOCK_GPU][MOE_PHASE_FFN] = direct_s(&w, s);
        y->bound.n = s == 1 ? K : 0;
    }
}

static moe_sensitivity ask(void)
{
    moe_sensitivity o;
    moe_error err = {0};
    ck_assert_int_eq(moe_sensitivity_init(&o, &w.view, &w.work, &err), MOE_OK);
    ck_assert(o.analysed);
    return o;
}

/* By how much the baseline is ahead where links between nodes are so fast. */
static double baseline_ahead(moe_replay *r, double network)
{
    moe_what_if what = moe_what_if_init();
    what.network = network;
    return moe_replay_layer_s(r, 1, &what) / moe_replay_layer_s(r, 0, &what) -
           1;
}

START_TEST(race_of_the_run_is_told)
{
    make_race();
    moe_sensitivity o = ask();
    const double lead_s = time_s[0][0] - time_s[1][0];
    ck_assert_msg(o.known, "%s", o.why_not);
    ck_assert_int_eq(o.winner, 1);
    ck_assert_int_eq(o.second, 0);
    ck_assert_double_gt(lead_s, 0);
    ck_assert_double_eq_tol(o.lead_s / lead_s, 1.0025, 1e-9);
    ck_assert_double_gt(o.error, 0.05);
    ck_assert_double_lt(o.error, 0.11);
    ck_assert_double_lt(o.lead.low_s, o.lead_s);
    ck_assert_double_gt(o.lead.high_s, o.lead_s);
    ck_assert_double_le(o.sample_error, 1e-12);
    ck_assert(!o.undecided);
    ck_assert(o.network);
    ck_assert_double_eq(o.bandwidth, NETWORK);
    ck_assert_double_eq(o.link_bandwidth, LINK);
    moe_sensitivity_fini(&o);
}
END_TEST

/* Looked for in small steps, one after the other. */
START_TEST(turn_is_where_small_steps_find_it)
{
    enum { STEPS = 600 };
    make_race();
    moe_sensitivity o = ask();
    moe_replay *r = replay_of(&w);
    double safe = 1, at = NAN;
    for (int i = 1; i <= STEPS && isnan(at); i++) {
        const double x = pow(64, -(double)i / STEPS);
        const double ahead = baseline_ahead(r, x);
        safe = ahead < o.clear ? x : safe;
        at = ahead >= o.clear ? x : at;
    }
    ck_assert_double_lt(at, 1);
    ck_assert_int_eq(o.slower.winner, 0);
    ck_assert_double_eq_tol(o.slower.at / NETWORK / at, 1, 0.02);
    ck_assert_double_eq_tol(o.slower.safe / NETWORK / safe, 1, 0.02);
    ck_assert_double_ge(baseline_ahead(r, o.slower.at / NETWORK), o.clear);
    ck_assert_double_lt(baseline_ahead(r, o.slower.safe / NETWORK), o.clear);
    ck_assert_double_eq(o.slower.until, o.slower.end);
    ck_assert_double_eq_tol(o.slower.end, NETWORK / 64, 1);
    ck_assert_double_nan(o.faster.at);
    ck_assert_double_eq_tol(o.faster.safe, NETWORK * 64, 1);
    moe_replay_free(r);
    moe_sensitivity_fini(&o);
}
END_TEST

/* A batch of another size is planned anew, which so few samples cannot tell. */
START_TEST(few_samples_claim_nothing_of_other_batches)
{
    make_race();
    moe_sensitivity o = ask();
    const moe_turn *turn = _i == 0 ? &o.fewer : &o.more;
    ck_assert_double_nan(turn->safe);
    ck_assert_double_nan(turn->at);
    ck_assert_double_eq_tol(turn->end, _i == 0 ? 8.0 * E / TOP_K : 4e6, 1e-6);
    moe_sensitivity_fini(&o);
}
END_TEST

/* What the part that is priced shows has to be what the run showed. */
static const struct {
    double second; /* of the run's times over the part's */
    bool undecided;
} parts[] = {{1, false}, {1.02, false}, {1.5, true}};

START_TEST(part_that_differs_from_the_run_decides_nothing)
{
    make_race();
    w.strategy[0].summary[MOE_CLOCK_GPU].median *= parts[_i].second;
    moe_sensitivity o = ask();
    ck_assert(o.known);
    ck_assert_int_eq(o.undecided, parts[_i].undecided);
    ck_assert_int_eq(isnan(o.slower.at), parts[_i].undecided);
    moe_sensitivity_fini(&o);
}
END_TEST

/* Each stage is priced with those before it; where no regret is known, none. */
START_TEST(stages_are_replays_at_their_levels)
{
    make_race();
    moe_sensitivity o = ask();
    moe_replay *r = replay_of(&w);
    for (int k = 0; k < MOE_N_PERFECTS; k++) {
        double x[K], mean_s = 0;
        moe_what_if what = moe_what_if_init();
        what.placed = k == MOE_PERFECT_EXCHANGE;
        what.level = (moe_level)(what.placed ? k - 1 : k);
        moe_replay_samples_s(r, 1, &what, x);
        for (int i = 0; i < K; i++)
            mean_s += x[i] / K;
        ck_assert_double_nan(o.stage_s[k]);
        ck_assert_double_eq_tol(o.stage_s[MOE_N_PERFECTS + k] / mean_s, 1,
                                1e-12);
        ck_assert(k == 0 || o.stage_s[MOE_N_PERFECTS + k] <
                                o.stage_s[MOE_N_PERFECTS + k - 1]);
    }
    const double *all_s = o.stage_s + MOE_N_PERFECTS;
    ck_assert_uint_eq(o.joint_share[1].n, K);
    ck_assert_double_eq_tol(o.joint_share[1].median,
                            1 - all_s[MOE_PERFECT_EXCHANGE] / all_s[0], 1e-3);
    moe_replay_free(r);
    moe_sensitivity_fini(&o);
}
END_TEST

static void no_file(void)
{
    strcpy(w.view.path, "nothing.h5");
}
static void other_price(void)
{
    w.cell[0].gpu[0].gpu_s[MOE_PHASE_FFN] *= 1 + 1e-6;
}
static void no_cost(void)
{
    w.work.cluster_profile = (char *)"cost: nonsense\n";
}

static const struct {
    void (*spoil)(void);
    bool read; /* the work, from the view's file */
    const char *why;
} unknowns[] = {
    {no_file, true, "nothing.h5"},
    {other_price, false, "do not come out again"},
    {no_cost, false, "cluster profile:1: "},
};

START_TEST(what_cannot_be_known_is_no_error)
{
    moe_sensitivity o;
    make_race();
    unknowns[_i].spoil();
    ck_assert_int_eq(moe_sensitivity_init(
                         &o, &w.view, unknowns[_i].read ? NULL : &w.work, NULL),
                     MOE_OK);
    ck_assert(o.analysed && !o.known);
    ck_assert_msg(strstr(o.why_not, unknowns[_i].why) != NULL, "%s", o.why_not);
    ck_assert_double_nan(o.slower.at);
    moe_sensitivity_fini(&o);
}
END_TEST

/* One that knows the future is no rival: nothing can turn. */
START_TEST(winner_without_a_rival_leads_nobody)
{
    make_race();
    w.strategy[1].facts.knows_future = true;
    moe_sensitivity o = ask();
    ck_assert(o.known);
    ck_assert_int_eq(o.winner, 0);
    ck_assert_int_eq(o.second, -1);
    ck_assert_double_nan(o.lead_s);
    ck_assert_double_nan(o.slower.safe);
    moe_sensitivity_fini(&o);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("sensitivity");
    MOE_TEST(suite, race_of_the_run_is_told);
    MOE_TEST(suite, turn_is_where_small_steps_find_it);
    MOE_TEST_LOOP(suite, few_samples_claim_nothing_of_other_batches, 2);
    MOE_TEST_LOOP(suite, part_that_differs_from_the_run_decides_nothing,
                  MOE_ARRAY_LEN(parts));
    MOE_TEST(suite, stages_are_replays_at_their_levels);
    MOE_TEST_LOOP(suite, what_cannot_be_known_is_no_error,
                  MOE_ARRAY_LEN(unknowns));
    MOE_TEST(suite, winner_without_a_rival_leads_nobody);
    return suite;
}
