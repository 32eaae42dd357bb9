/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "harness.h"

static const char *const experiment_text =
    "model: tiny\n"
    "cluster: tiny\n"
    "trace: tiny\n"
    "workload: {batch: 2, seq: 30, iterations: 4, warmup: 1, seed: 3}\n"
    "emulation: {scale: 1}\n"
    "strategies:\n"
    "  - {name: baseline}\n"
    "  - {name: distribution, predictor: distribution, planner: duplicate, "
    "slots: 9, split: quota}\n"
    "  - {name: oracle, predictor: oracle, planner: duplicate, slots: 9}\n"
    "  - {name: dim, predictor: oracle, accuracy: 0.5, planner: duplicate, "
    "slots: 9, split: equal}\n"
    "  - {name: l1, predictor: oracle, l1: 0.4, planner: duplicate, "
    "slots: 9, split: local}\n";

typedef struct {
    const char *name;
    bool loads; /* a load trace */
    const char *sets[6];
    int n_sets;
} engine_case;

static const engine_case cases[] = {
    {"token trace, central", false, {NULL}, 0},
    {"load trace, central", true, {NULL}, 0},
    {"whole steps", true, {"workload.seq=0"}, 1},
    {"replicated", false, {"emulation.coordination=replicated"}, 1},
    {"f32", false, {"emulation.dtype=f32"}, 1},
    {"exact", false, {"emulation.ffn=exact"}, 1},
    {"none", false, {"emulation.ffn=none"}, 1},
    {"no barriers", false, {"emulation.sync=none"}, 1},
    {"rebalance every 3", true, {"emulation.rebalance_every=3"}, 1},
    {"some layers", false, {"workload.layers=0,2"}, 1},
    {"two tokens", false, {"workload.batch=1", "workload.seq=2"}, 2},
    {"home experts move",
     false,
     {"strategies.oracle.planner=balance", "strategies.oracle.split=minmax",
      "strategies.dim.planner=eplb", "strategies.l1.planner=eplb",
      "strategies.l1.split=minmax", "emulation.ffn=exact"},
     6},
    {"home experts move, replicated",
     true,
     {"strategies.oracle.planner=balance", "strategies.dim.planner=eplb",
      "strategies.l1.planner=timed", "strategies.distribution.planner=timed",
      "emulation.coordination=replicated"},
     5},
};

typedef struct {
    moe_experiment x;
    moe_model model;
    moe_cluster cluster;
    moe_trace trace;
    int layers[8], n_layers;
    moe_engine *engine;
    moe_ledger ledger;
} bench;

static moe_status bench_init(bench *b, const engine_case *c)
{
    memset(b, 0, sizeof *b);
    moe_error *err = &test_ctx.err;
    *err = (moe_error){0};
    b->model = fixture_model();
    b->cluster = fixture_cluster();
    b->trace = c->loads ? fixture_loads(&b->model) : fixture_tokens(&b->model);
    if (moe_experiment_parse(experiment_text, "test", c->sets, c->n_sets, &b->x,
                             err) != MOE_OK)
        return err->status;
    moe_experiment_layers(b->x.workload.layers, b->model.layers, b->layers,
                          &b->n_layers, err);
    const moe_engine_params params = {.experiment = &b->x,
                                      .model = &b->model,
                                      .cluster = &b->cluster,
                                      .trace = &b->trace,
                                      .layers = b->layers,
                                      .n_layers = b->n_layers,
                                      .threads = 1};
    if (moe_engine_new(&test_ctx, &params, &b->engine) != MOE_OK)
        return err->status;
    moe_ledger_dims dims = moe_engine_dims(b->engine);
    moe_ledger_init(&b->ledger, &dims, test_ctx.rank, err);
    return moe_agree(&test_ctx);
}

static moe_status bench_run(bench *b)
{
    moe_status s = MOE_OK;
    for (int w = 0; w < b->x.workload.warmup && s == MOE_OK; w++)
        s = moe_engine_warm_up(b->engine, w, &b->ledger);
    for (int i = 0; i < b->x.workload.iterations && s == MOE_OK; i++)
        s = moe_engine_measure(b->engine, i, &b->ledger);
    return s;
}

static void bench_fini(bench *b)
{
    moe_engine_free(b->engine);
    moe_ledger_fini(&b->ledger);
    moe_trace_free(&b->trace);
    moe_experiment_fini(&b->x);
}

START_TEST(every_strategy_routes_exactly)
{
    bench b;
    moe_status s = bench_init(&b, &cases[_i]);
    s = s == MOE_OK ? bench_run(&b) : s;
    bool passed = s == MOE_OK && moe_engine_validation(b.engine)->passed;
    bench_fini(&b);
    ck_assert_msg(s == MOE_OK, "%s: %s", cases[_i].name, test_ctx.err.text);
    ck_assert(passed);
}
END_TEST

/* FNV-1a, to compare what runs at different rank counts recorded. */
static uint64_t digest(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        h = (h ^ p[i]) * UINT64_C(1099511628211);
    return h;
}

START_TEST(loads_and_predictions_do_not_depend_on_ranks)
{
    /* Recorded with one rank; every other number must reproduce them. */
    static const uint64_t expected[2] = {UINT64_C(0x8aa8db45594a81e9),
                                         UINT64_C(0x158a8f0119b5810a)};
    bench b;
    moe_status s = bench_init(&b, &cases[_i]);
    s = s == MOE_OK ? bench_run(&b) : s;
    uint64_t h = UINT64_C(14695981039346656037);
    if (s == MOE_OK && test_ctx.rank == 0) {
        const moe_ledger_dims *d = &b.ledger.dims;
        size_t ile = (size_t)(d->iterations * d->layers * d->experts);
        h = digest(h, b.ledger.true_pairs, ile * sizeof(int32_t));
        h = digest(h, b.ledger.predicted_pairs + ile, /* not the baseline */
                   ile * 4 * sizeof(double));
    }
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_OK);
    if (test_ctx.rank == 0)
        ck_assert_msg(h == expected[_i], "%#llx", (unsigned long long)h);
}
END_TEST

/* The plan of every iteration of every strategy. */
static uint64_t plan_digest(const engine_case *c, moe_status *status)
{
    bench b;
    *status = bench_init(&b, c);
    *status = *status == MOE_OK ? bench_run(&b) : *status;
    uint64_t h = 0;
    if (*status == MOE_OK && test_ctx.rank == 0) {
        const moe_ledger_dims *d = &b.ledger.dims;
        size_t n = (size_t)(d->strategies * d->iterations * d->layers) *
                   (size_t)(d->gpus * d->slots);
        h = digest(1, b.ledger.slot_expert, n * sizeof(int16_t));
        h = digest(h, b.ledger.slot_quota, n * sizeof(float));
    }
    bench_fini(&b);
    return h;
}

START_TEST(plans_are_the_same_again_and_replicated)
{
    const engine_case replicated = {
        "", false, {"emulation.coordination=replicated"}, 1};
    moe_status s[3];
    uint64_t a = plan_digest(&cases[0], &s[0]);
    uint64_t again = plan_digest(&cases[0], &s[1]);
    uint64_t everywhere = plan_digest(&replicated, &s[2]);
    ck_assert_int_eq(s[0] + s[1] + s[2], MOE_OK);
    ck_assert_uint_eq(a, again);
    ck_assert_uint_eq(a, everywhere);
}
END_TEST

START_TEST(the_ledger_is_complete_and_consistent)
{
    bench b;
    moe_status s = bench_init(&b, &cases[0]);
    s = s == MOE_OK ? bench_run(&b) : s;
    const moe_ledger_dims d = b.ledger.dims;
    bool finite = s == MOE_OK, oracle_right = true, dim_right = true,
         l1_right = true, hidden_right = true;
    size_t silp =
        (size_t)(d.strategies * d.iterations * d.layers) * MOE_N_PHASES;
    for (size_t x = 0; finite && x < silp; x++) {
        finite = b.ledger.wall[x] >= 0 && b.ledger.cpu[x] >= 0 &&
                 b.ledger.gpu[x] >= 0 && b.ledger.exposed[x] >= 0 &&
                 b.ledger.wait[x] >= 0;
        hidden_right = hidden_right && b.ledger.exposed[x] <= b.ledger.gpu[x];
    }
    double hits = 0;
    for (int i = 0; s == MOE_OK && test_ctx.rank == 0 && i < d.iterations; i++)
        for (int l = 0; l < d.layers; l++) {
            size_t oracle = moe_ledger_at(&b.ledger, 2, i, l);
            size_t dim = moe_ledger_at(&b.ledger, 3, i, l);
            size_t l1 = moe_ledger_at(&b.ledger, 4, i, l);
            oracle_right = oracle_right && b.ledger.error[oracle] < 1e-12 &&
                           b.ledger.recall[oracle] == 1 &&
                           b.ledger.top1[oracle] == 1;
            hits += b.ledger.recall[dim] / (d.iterations * d.layers);
            dim_right = dim_right && b.ledger.recall[dim] < 1;
            l1_right = l1_right && fabs(b.ledger.error[l1] - 0.4) < 1e-6 &&
                       isnan(b.ledger.recall[l1]);
        }
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_OK);
    ck_assert(finite);
    ck_assert(hidden_right);
    ck_assert(oracle_right);
    ck_assert(dim_right);
    if (test_ctx.rank == 0) /* 720 tokens: sd 0.019 */
        ck_assert_double_lt(fabs(hits - 0.5), 0.1);
    ck_assert(l1_right);
}
END_TEST

START_TEST(a_corrupted_row_is_found)
{
    bench b;
    moe_status s = bench_init(&b, &cases[0]);
    test_ctx.injection =
        (moe_injection){true, MOE_SITE_CHECK, test_ctx.size - 1};
    s = s == MOE_OK ? bench_run(&b) : s;
    bool passed = moe_engine_validation(b.engine)->passed;
    test_ctx.injection.armed = false;
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_INVALID);
    ck_assert(!passed);
    ck_assert_ptr_nonnull(strstr(test_ctx.err.text, "did not meet"));
}
END_TEST

/* Every site that the engine passes, on every rank, fails all ranks alike. */
static const moe_site sites[] = {MOE_SITE_SETUP, MOE_SITE_PREDICTOR,
                                 MOE_SITE_BATCH, MOE_SITE_PREDICT,
                                 MOE_SITE_PLAN,  MOE_SITE_FFN};

START_TEST(an_injected_fault_ends_all_ranks)
{
    for (int rank = 0; rank < test_ctx.size; rank++) {
        bench b;
        /* Every rank plans when coordination is replicated. */
        const engine_case c = {
            "", false, {"emulation.coordination=replicated"}, 1};
        test_ctx.injection = (moe_injection){true, sites[_i], rank};
        moe_status s = bench_init(&b, &c);
        s = s == MOE_OK ? bench_run(&b) : s;
        test_ctx.injection.armed = false;
        bench_fini(&b);
        ck_assert_int_eq(s, MOE_INJECTED);
    }
}
END_TEST

static const struct {
    const char *set, *says;
} refused[] = {
    {"strategies.oracle.slots=1", "too few for the home placement"},
};

START_TEST(bad_combinations_are_refused)
{
    bench b;
    const engine_case c = {"", false, {refused[_i].set}, 1};
    moe_status s = bench_init(&b, &c);
    bench_fini(&b);
    if (test_ctx.size == 1 || test_ctx.size >= 8) { /* there 1 slot will do */
        ck_assert_int_eq(s, MOE_OK);
        return;
    }
    ck_assert_int_eq(s, MOE_USAGE);
    ck_assert_msg(strstr(test_ctx.err.text, refused[_i].says) != NULL, "%s",
                  test_ctx.err.text);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("engine");
    MOE_TEST_LOOP(suite, every_strategy_routes_exactly, MOE_ARRAY_LEN(cases));
    MOE_TEST_LOOP(suite, loads_and_predictions_do_not_depend_on_ranks, 2);
    MOE_TEST(suite, plans_are_the_same_again_and_replicated);
    MOE_TEST(suite, the_ledger_is_complete_and_consistent);
    MOE_TEST(suite, a_corrupted_row_is_found);
    MOE_TEST_LOOP(suite, an_injected_fault_ends_all_ranks,
                  MOE_ARRAY_LEN(sites));
    MOE_TEST_LOOP(suite, bad_combinations_are_refused, MOE_ARRAY_LEN(refused));
    return suite;
}
