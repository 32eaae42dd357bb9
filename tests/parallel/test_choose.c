/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine_bench.h"
#include "harness.h"

/* Traffic that changes once. Until iteration CHANGE, tokens go to the experts
 * that the training part has them go to, but in every third step, which
 * misleads who forecasts from the last step; later they go to others. Planner
 * duplicate makes what is trained no more robust than it has to be: with room
 * for all, balance divides all experts evenly, whatever comes. */
enum { TRAIN = 21, RUN = 60, STEPS = TRAIN + RUN + 1, TOKENS = 4096 };
enum { CHANGE = 35 };

static const char *const experiment_text =
    "model: tiny\ncluster: tiny\ntrace: tiny\n"
    "workload: {batch: 1, seq: 0, iterations: 60, warmup: 1, seed: 3, "
    "order: recorded}\n"
    "emulation: {ffn: none, scale: 64, sync: none, regret: false}\n"
    "strategies:\n"
    "  - {name: baseline}\n"
    "  - {name: trained, predictor: distribution, planner: duplicate, slots: "
    "9}\n"
    "  - {name: last, predictor: window, iterations: 1, slots: 9}\n"
    "  - {name: auto, candidates: \"trained, last\", "
    "try_every: 5, hysteresis: 0.05}\n";

enum { BASELINE, TRAINED, LAST, AUTO, STRATEGIES };

/* Pairs of an expert in a step: two are popular. */
static uint32_t pairs_of(int step, int e)
{
    const uint32_t eighth = TOKENS * 2 / 8;
    const int popular = step > TRAIN + CHANGE ? 6 : step % 3 == 2 ? 3 : 0;
    return e == popular       ? 3 * eighth
           : e == popular + 1 ? 2 * eighth
                              : eighth / 2;
}

static moe_trace make_trace(moe_model *model)
{
    model->hidden = 2048;
    model->intermediate = 8192;
    moe_trace t = {.kind = MOE_TRACE_LOADS,
                   .layers = model->layers,
                   .experts = model->experts,
                   .top_k = model->top_k,
                   .n_tokens = (uint64_t)STEPS * TOKENS,
                   .n_seqs = STEPS,
                   .shared = MPI_WIN_NULL};
    memcpy(t.model, model->name, sizeof t.model);
    t.seq_offset = moe_array_new(STEPS + 1, sizeof *t.seq_offset, NULL);
    t.seq_part = moe_array_new(STEPS, sizeof *t.seq_part, NULL);
    t.counts = moe_array_new((size_t)STEPS * (size_t)(t.layers * t.experts),
                             sizeof *t.counts, NULL);
    for (uint64_t s = 0; s <= STEPS; s++)
        t.seq_offset[s] = s * TOKENS;
    for (int s = 0; s < STEPS; s++) {
        t.seq_part[s] = s < TRAIN ? MOE_PART_TRAIN : MOE_PART_TEST;
        for (int l = 0; l < t.layers; l++) {
            uint32_t *c = t.counts + (s * t.layers + l) * t.experts;
            for (int e = 0; e < t.experts; e++)
                c[e] = pairs_of(s, e);
        }
    }
    return t;
}

/* The same, and tokens of which some predictors know the experts. */
static const char *const tokens_text =
    "model: tiny\ncluster: tiny\ntrace: tiny\n"
    "workload: {batch: 1, seq: 30, iterations: 14, warmup: 2, seed: 3}\n"
    "emulation: {scale: 1, sync: none, regret: false}\n"
    "strategies:\n"
    "  - {name: baseline}\n"
    "  - {name: token, predictor: token, slots: 9}\n"
    "  - {name: ema, predictor: ema, planner: eplb, slots: 9, split: minmax}\n"
    "  - {name: home, predictor: frequency, planner: static}\n"
    "  - {name: auto, candidates: all, try_every: 3, hysteresis: 0}\n";

static const engine_case cases[] = {
    {"traffic that changes", true, {NULL}, 0},
    {"a plan serves several iterations",
     true,
     {"emulation.rebalance_every=3", "strategies.auto.try_every=3"},
     2},
    {"tokens", false, {NULL}, 0},
    {"tokens, a plan serves several iterations",
     false,
     {"emulation.rebalance_every=2"},
     1},
    {"replicated", true, {"emulation.coordination=replicated"}, 1},
    {"tokens, exact", false, {"emulation.ffn=exact"}, 1},
};
enum { RESUMED = 4 }; /* the first cases */

static moe_status start(bench *b, const engine_case *c)
{
    memset(b, 0, sizeof *b);
    b->model = fixture_model();
    b->trace = c->loads ? make_trace(&b->model) : fixture_tokens(&b->model);
    moe_status s = bench_init_for(
        &test_ctx, b, c, c->loads ? experiment_text : tokens_text, NULL);
    for (int w = 0; w < b->x.workload.warmup && s == MOE_OK; w++)
        s = moe_engine_warm_up(b->engine, w, &b->ledger);
    return s;
}

static moe_status run_from(bench *b, int first)
{
    moe_status s = MOE_OK;
    for (int i = first; i < b->x.workload.iterations && s == MOE_OK; i++)
        s = moe_engine_measure(b->engine, i, &b->ledger);
    return s;
}

/* Index of candidate c in the fields of the last strategy, which chooses. */
static size_t choice_at(const bench *b, int i, int c)
{
    const moe_ledger_dims *d = &b->ledger.dims;
    return (size_t)(((d->strategies - 1) * d->iterations + i) * d->candidates +
                    c);
}

/* @return who is marked in iteration i; -1: nobody, or several. Rank 0. */
static int marked(const bench *b, const int16_t *field, int i)
{
    int who = -1, n = 0;
    for (int c = 0; c < b->ledger.dims.candidates; c++)
        if (field[choice_at(b, i, c)] > 0) {
            who = c;
            n++;
        }
    return n == 1 ? who : -1;
}

/* Modelled time of all layers of an iteration, s, as iteration_time_gpu.
 * Collective. */
static double iteration_s(const bench *b, int s, int i)
{
    double sum = 0;
    for (int l = 0; l < b->ledger.dims.layers; l++) {
        double most[MOE_N_PHASES];
        memcpy(most,
               b->ledger.exposed +
                   moe_ledger_at(&b->ledger, s, i, l) * MOE_N_PHASES,
               sizeof most);
        MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, most, MOE_N_PHASES, MPI_DOUBLE,
                              MPI_MAX, test_ctx.comm));
        for (int p = 0; p < MOE_N_PHASES; p++)
            sum += most[p];
    }
    return sum;
}

static double run_s(const bench *b, int s)
{
    double sum = 0;
    for (int i = 0; i < b->ledger.dims.iterations; i++)
        sum += iteration_s(b, s, i);
    return sum;
}

START_TEST(traffic_that_changes_once_is_followed_once)
{
    bench b;
    moe_status s = start(&b, &cases[0]);
    s = s == MOE_OK ? run_from(&b, 0) : s;
    double run[STRATEGIES] = {0};
    int switches = 0, first = -1, last = -1, at = -1;
    for (int k = 0; k < STRATEGIES && s == MOE_OK; k++)
        run[k] = run_s(&b, k);
    for (int i = 0; i < RUN && s == MOE_OK && test_ctx.rank == 0; i++) {
        const int is = marked(&b, b.ledger.used, i);
        first = i == 0 ? is : first;
        if (i > 0 && is != last) {
            switches++;
            at = i;
        }
        last = is;
    }
    bench_fini(&b);
    ck_assert_msg(s == MOE_OK, "%s", test_ctx.err.text);
    if (test_ctx.rank != 0)
        return;
    if (test_ctx.size == 1) { /* nothing to balance */
        ck_assert_int_eq(switches, 0);
        return;
    }
    ck_assert_int_eq(first, TRAINED);
    ck_assert_int_eq(last, LAST);
    ck_assert_int_eq(switches, 1);
    ck_assert_int_gt(at, CHANGE);
    ck_assert_int_le(at, CHANGE + 2 * 5 + 1); /* after two tries */
    for (int k = 0; k < AUTO; k++)
        ck_assert_msg(run[AUTO] < run[k], "%g s, strategy %d %g s", run[AUTO],
                      k, run[k]);
}
END_TEST

/* @return what is wrong; NULL: nothing. */
static const char *check_iteration(const bench *b, int i, double auto_s)
{
    const int used = marked(b, b->ledger.used, i);
    const int chosen = marked(b, b->ledger.chosen, i);
    if (used < 0 || chosen < 0)
        return "one is in use, one is chosen";
    if (i > 0 && used != marked(b, b->ledger.chosen, i - 1))
        return "the one in use was chosen before";
    const double own_s = b->ledger.estimate[choice_at(b, i, used)];
    int tried = 0, priced = 0;
    for (int c = 0; c < b->ledger.dims.candidates; c++) {
        const bool is_tried = b->ledger.tried[choice_at(b, i, c)] > 0;
        const bool is_priced = !isnan(b->ledger.estimate[choice_at(b, i, c)]);
        if (is_tried && !is_priced)
            return "who is tried is priced";
        tried += is_tried;
        priced += is_priced;
    }
    /* Who lost in earlier tries may sit this one out. */
    if (priced > 0 && isnan(own_s))
        return "the one in use is priced with the others";
    if (priced > 0 && isnan(b->ledger.estimate[choice_at(b, i, chosen)]))
        return "who is chosen is priced";
    if (b->ledger.tried[choice_at(b, i, used)] != 0)
        return "the one in use needs no try";
    if (priced == 0)
        return tried == 0 && chosen == used ? NULL : "no try, no choice";
    if (tried == 0 ? fabs(auto_s - own_s) > 1e-12 * own_s
                   : auto_s < own_s * (1 - 1e-12))
        return "an iteration takes what was estimated, and what tries took";
    return NULL;
}

START_TEST(what_is_recorded_is_consistent)
{
    bench b;
    moe_status s = start(&b, &cases[_i]);
    s = s == MOE_OK ? run_from(&b, 0) : s;
    const char *wrong = NULL;
    for (int i = 0; i < b.x.workload.iterations && s == MOE_OK; i++) {
        const double auto_s = iteration_s(&b, b.x.n_strategies - 1, i);
        if (test_ctx.rank == 0 && wrong == NULL)
            wrong = check_iteration(&b, i, auto_s);
    }
    const bool passed = s == MOE_OK && moe_engine_validation(b.engine)->passed;
    bench_fini(&b);
    ck_assert_msg(s == MOE_OK, "%s: %s", cases[_i].name, test_ctx.err.text);
    ck_assert(passed);
    ck_assert_msg(wrong == NULL, "%s: %s", cases[_i].name, wrong);
}
END_TEST

/* Whether two runs did the same in iteration i. */
static bool same(const bench *a, const bench *b, int i)
{
    const moe_ledger_dims *d = &a->ledger.dims;
    const size_t n = (size_t)d->candidates, at = choice_at(a, i, 0);
    const size_t slots = (size_t)(d->layers * d->gpus * d->slots);
    const size_t cell = moe_ledger_at(&a->ledger, d->strategies - 1, i, 0);
    const size_t plan = cell * (size_t)(d->gpus * d->slots);
    return memcmp(a->ledger.used + at, b->ledger.used + at,
                  n * sizeof(int16_t)) == 0 &&
           memcmp(a->ledger.tried + at, b->ledger.tried + at,
                  n * sizeof(int16_t)) == 0 &&
           memcmp(a->ledger.chosen + at, b->ledger.chosen + at,
                  n * sizeof(int16_t)) == 0 &&
           memcmp(a->ledger.estimate + at, b->ledger.estimate + at,
                  n * sizeof(double)) == 0 &&
           memcmp(a->ledger.slot_expert + plan, b->ledger.slot_expert + plan,
                  slots * sizeof(int16_t)) == 0 &&
           memcmp(a->ledger.slot_quota + plan, b->ledger.slot_quota + plan,
                  slots * sizeof(double)) == 0;
}

START_TEST(a_run_that_goes_on_chooses_as_if_it_had_not_stopped)
{
    bench all, rest;
    int differs = -1, of = -1;
    moe_status s = start(&all, &cases[_i]);
    s = s == MOE_OK ? run_from(&all, 0) : s;
    const int n = all.x.workload.iterations;
    /* Of 7, to come to every place between two tries or plans. */
    const int step = n > 20 ? 7 : 1;
    for (int done = 1; done < n && s == MOE_OK && differs < 0; done += step) {
        s = start(&rest, &cases[_i]);
        s = s == MOE_OK ? moe_engine_resume(rest.engine, done, &all.ledger) : s;
        s = s == MOE_OK ? run_from(&rest, done) : s;
        for (int i = done; i < n && s == MOE_OK && test_ctx.rank == 0; i++)
            if (differs < 0 && !same(&all, &rest, i)) {
                differs = i;
                of = done;
            }
        MOE_MPI(MPI_Bcast(&differs, 1, MPI_INT, 0, test_ctx.comm));
        bench_fini(&rest);
    }
    bench_fini(&all);
    ck_assert_msg(s == MOE_OK, "%s: %s", cases[_i].name, test_ctx.err.text);
    ck_assert_msg(differs < 0, "%s: iteration %d, resumed at %d",
                  cases[_i].name, differs, of);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("choose");
    MOE_TEST(suite, traffic_that_changes_once_is_followed_once);
    MOE_TEST_LOOP(suite, what_is_recorded_is_consistent, MOE_ARRAY_LEN(cases));
    MOE_TEST_LOOP(suite, a_run_that_goes_on_chooses_as_if_it_had_not_stopped,
                  RESUMED);
    return suite;
}
