/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/run.h"

#include <math.h>
#include <signal.h>
#include <string.h>

#include "engine_bench.h"
#include "harness.h"
#include "moegps/h5.h"
#include "moegps/stop.h"

static const char *const experiment_text =
    "model: tiny\n"
    "cluster: tiny\n"
    "trace: tiny\n"
    "workload: {batch: 2, seq: 30, iterations: 6, warmup: 1, seed: 3}\n"
    "emulation: {scale: 1, rebalance_every: 3}\n"
    "strategies:\n"
    "  - {name: baseline}\n"
    "  - {name: late, predictor: distribution, planner: duplicate, slots: 9, "
    "plan_ahead: true}\n"
    "  - {name: oracle, predictor: oracle, planner: duplicate, slots: 9}\n";

enum { ITERATIONS = 6 };

/* A sink that notes what it is given, fails and signals when it is told to. */
typedef struct {
    int first[ITERATIONS + 1], end[ITERATIONS + 1], writes, closes;
    moe_run_state state;
    moe_validation validation;
    int fail_at;   /* write that fails; 0: none, counted from 1 */
    int signal_at; /* write in which rank 0 gets SIGUSR1 */
} notes;

static moe_status take(void *to, moe_ctx *ctx, const moe_ledger *ledger,
                       int first, int end)
{
    notes *n = to;
    (void)ledger;
    n->first[n->writes] = first;
    n->end[n->writes++] = end;
    if (n->writes == n->signal_at && ctx->rank == 0)
        raise(SIGUSR1);
    if (n->writes == n->fail_at && ctx->rank == ctx->size - 1)
        moe_fail(&ctx->err, MOE_IO, "no space left");
    return moe_agree(ctx);
}

static moe_status end(void *to, moe_ctx *ctx, const moe_ledger *ledger,
                      moe_run_state state, const moe_validation *validation)
{
    notes *n = to;
    (void)ledger;
    n->closes++;
    n->state = state;
    n->validation = *validation;
    return moe_agree(ctx);
}

static moe_status run_with(bench *b, notes *n, double flush_every_s, int done)
{
    const moe_run_sink sink = {n, take, end};
    const moe_run_params params = {.engine = b->engine,
                                   .ledger = &b->ledger,
                                   .sink = &sink,
                                   .done = done,
                                   .flush_every_s = flush_every_s,
                                   .resume_hint = "go on with it"};
    return moe_run(&test_ctx, &params);
}

/* A signal that was blocked stays pending until somebody takes it. */
static void take_pending(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    while (sigtimedwait(&set, NULL, &(struct timespec){0}) > 0)
        ;
}

static moe_status start(bench *b)
{
    static const engine_case none = {.name = "a run"};
    moe_stop_arm(0);
    take_pending();
    test_ctx.quiet = true;
    return bench_init_on(&test_ctx, b, &none, experiment_text, NULL);
}

/* Without time between flushes every iteration is written; else the first at
 * once, and all others at the end. */
START_TEST(sink_gets_every_iteration_once)
{
    bench b;
    notes n = {0};
    moe_status s = start(&b);
    s = s == MOE_OK ? run_with(&b, &n, _i == 0 ? 0 : 1e9, 0) : s;
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_OK);
    ck_assert_int_eq(n.writes, _i == 0 ? ITERATIONS : 2);
    for (int w = 0, at = 0; w < n.writes; at = n.end[w++])
        ck_assert_int_eq(n.first[w], at);
    ck_assert_int_eq(n.end[n.writes - 1], ITERATIONS);
    ck_assert_int_eq(n.closes, 1);
    ck_assert_int_eq(n.state, MOE_RUN_COMPLETE);
    ck_assert(n.validation.run && n.validation.passed);
}
END_TEST

/* One rank's signal stops all after the iteration in progress, which is in
 * the file. */
START_TEST(signal_stops_all_ranks_in_order)
{
    bench b;
    notes n = {.signal_at = 2};
    moe_status s = start(&b);
    s = s == MOE_OK ? run_with(&b, &n, 0, 0) : s;
    const moe_error err = test_ctx.err;
    test_ctx.err = (moe_error){0};
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_INTERRUPTED);
    ck_assert_str_eq(err.text, "stopped by SIGUSR1 after 3 of 6 iterations; "
                               "go on with it");
    ck_assert_int_eq(n.writes, 3);
    ck_assert_int_eq(n.end[2], 3);
    ck_assert_int_eq(n.closes, 1);
    ck_assert_int_eq(n.state, MOE_RUN_INTERRUPTED);
}
END_TEST

START_TEST(failed_write_ends_the_run)
{
    bench b;
    notes n = {.fail_at = 2};
    moe_status s = start(&b);
    s = s == MOE_OK ? run_with(&b, &n, 0, 0) : s;
    const moe_error err = test_ctx.err;
    test_ctx.err = (moe_error){0};
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_IO);
    ck_assert_ptr_nonnull(strstr(err.text, "no space left"));
    ck_assert_int_eq(n.writes, 2);
    ck_assert_int_eq(n.closes, 1);
    ck_assert_int_eq(n.state, MOE_RUN_FAILED);
}
END_TEST

/* A failed check is told to the sink, and stays the error. */
START_TEST(failed_check_is_closed_as_one)
{
    bench b;
    notes n = {0};
    moe_status s = start(&b);
    test_ctx.injection = (moe_injection){true, MOE_SITE_CHECK, 0};
    s = s == MOE_OK ? run_with(&b, &n, 0, 0) : s;
    test_ctx.injection.armed = false;
    const moe_error err = test_ctx.err;
    test_ctx.err = (moe_error){0};
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_INVALID);
    ck_assert_int_eq(n.writes, 0);
    ck_assert_int_eq(n.state, MOE_RUN_COMPLETE);
    ck_assert(n.validation.run && !n.validation.passed);
    ck_assert_ptr_nonnull(strstr(err.text, n.validation.text));
}
END_TEST

/* A second engine goes on with the ledger of the first. */
START_TEST(run_goes_on_where_another_stopped)
{
    bench b, c;
    notes n = {.signal_at = 2}, m = {0};
    moe_status s = start(&b);
    s = s == MOE_OK ? run_with(&b, &n, 0, 0) : s;
    test_ctx.err = (moe_error){0};
    const bool stopped = s == MOE_INTERRUPTED;
    s = start(&c);
    const moe_ledger empty = c.ledger;
    c.ledger = b.ledger;
    s = s == MOE_OK ? run_with(&c, &m, 1e9, 3) : s;
    b.ledger = empty;
    bench_fini(&b);
    bench_fini(&c);
    ck_assert(stopped);
    ck_assert_int_eq(s, MOE_OK);
    ck_assert_int_eq(m.writes, 2);
    ck_assert_int_eq(m.first[0], 3);
    ck_assert_int_eq(m.end[1], ITERATIONS);
}
END_TEST

START_TEST(facts_are_those_of_the_run)
{
    static const struct {
        moe_fact fact;
        const char *text;
    } expected[] = {
        {MOE_FACT_MODEL, "tiny"},
        {MOE_FACT_CLUSTER, "tiny"},
        {MOE_FACT_COST_MODEL, "analytic"},
        {MOE_FACT_EXPERTS, "8"},
        {MOE_FACT_TOP_K, "2"},
        {MOE_FACT_BATCH, "2"},
        {MOE_FACT_SEQ, "30"},
        {MOE_FACT_MAX_TOKENS, "60"},
        {MOE_FACT_SEED, "3"},
        {MOE_FACT_SCALE, "1"},
        {MOE_FACT_EXECUTED_HIDDEN, "64"},
        {MOE_FACT_FULL_INTERMEDIATE, "128"},
        {MOE_FACT_FULL_ROW_BYTES, "128"},
        {MOE_FACT_THREADS, "1"},
        {MOE_FACT_COORDINATION, "central"},
        {MOE_FACT_ROUTING, "dispatch, dispatch, direct"},
        {MOE_FACT_REBALANCE_EVERY, "3"},
        {MOE_FACT_GPUS_PER_NODE, "2"},
    };
    bench b;
    moe_facts facts = {0};
    int history = -1;
    moe_status s = start(&b);
    if (s == MOE_OK) {
        moe_engine_describe(b.engine, &facts);
        history = moe_engine_history(b.engine);
    }
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_OK);
    for (size_t i = 0; i < MOE_ARRAY_LEN(expected); i++)
        ck_assert_str_eq(facts.text[expected[i].fact], expected[i].text);
    ck_assert_int_eq(history, 3); /* one strategy plans ahead */
}
END_TEST

/* Rows that a GPU holds of each token, and of each own pair. */
static const struct {
    int exchange;
    double tokens, pairs;
} rows_held[] = {{MOE_SERVE_PAIRS, 0, 3},
                 {MOE_SERVE_TOKENS, 0, 3},
                 {MOE_SERVE_NODES, 0, 5},
                 {MOE_SERVE_ALLGATHER, 2, 1}};

/* 3 layers of 8 experts of 3 x 64 x 128 weights; 60 tokens of 2 pairs. */
START_TEST(memory_is_what_the_sizes_say)
{
    bench b;
    moe_engine_bytes m = {0};
    moe_ledger_dims d = {0};
    double expert = 0, row = 0;
    moe_status s = start(&b);
    if (s == MOE_OK) {
        b.x.serving.exchange = rows_held[_i].exchange;
        m = moe_engine_memory(b.engine);
        d = moe_engine_dims(b.engine);
        expert = (double)moe_ffn_weight_bytes(moe_engine_shape(b.engine));
        row = (double)moe_ffn_row_bytes(moe_engine_shape(b.engine));
    }
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_OK);
    ck_assert_double_eq(m.weights, expert * 3 * (8 + (0 + 9 + 9) * d.gpus));
    ck_assert_double_eq_tol(m.rows,
                            row * rows_held[_i].tokens * 60 +
                                row * rows_held[_i].pairs * 120 / d.gpus,
                            1e-6);
    ck_assert_double_eq(m.measurements, moe_ledger_bytes(&d, 1));
    ck_assert_double_eq(m.root_measurements, moe_ledger_bytes(&d, 0));
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("run");
    MOE_TEST_LOOP(suite, sink_gets_every_iteration_once, 2);
    MOE_TEST(suite, signal_stops_all_ranks_in_order);
    MOE_TEST(suite, failed_write_ends_the_run);
    MOE_TEST(suite, failed_check_is_closed_as_one);
    MOE_TEST(suite, run_goes_on_where_another_stopped);
    MOE_TEST(suite, facts_are_those_of_the_run);
    MOE_TEST_LOOP(suite, memory_is_what_the_sizes_say,
                  MOE_ARRAY_LEN(rows_held));
    return suite;
}
