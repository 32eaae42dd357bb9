/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/results.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness.h"
#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/view.h"
#include "moegps/work.h"
#include "synthetic.h"
#include "../../src/results/internal.h"

/* A run of the synthetic ledger: what a test does to it is in between. */
typedef struct {
    moe_ledger ledger;
    moe_results *results;
    moe_topo topo;
    moe_results_meta meta;
    moe_status status; /* of the last call, equal on all ranks */
    char path[512], partial[528];
} run;

static const moe_validation passed = {true, true,
                                      "pairs conserved, outputs agree", 0.0};

static void begin_ledger(run *r, const char *name, bool dedicated)
{
    moe_ledger_dims dims = syn_dims(test_ctx.size, dedicated);
    *r = (run){.topo = syn_topo(test_ctx.rank, test_ctx.size > 1)};
    bool idle = test_ctx.rank >= dims.gpus;
    r->meta = syn_meta(&r->topo, idle ? -1 : test_ctx.rank);
    snprintf(r->path, sizeof r->path, "%s/%s", test_dir, name);
    snprintf(r->partial, sizeof r->partial, "%s.partial", r->path);
    moe_ledger_init(&r->ledger, &dims, test_ctx.rank, &test_ctx.err);
    if (moe_agree(&test_ctx) == MOE_OK)
        syn_fill(&r->ledger, test_ctx.rank);
}

static void create(run *r)
{
    r->status = moe_results_create(&test_ctx, r->path, &r->meta, &r->ledger,
                                   &r->results);
}

static void put(run *r, int first, int end)
{
    r->status =
        moe_results_write(&test_ctx, r->results, &r->ledger, first, end);
}

static void finish(run *r, moe_run_state state)
{
    r->status =
        moe_results_close(&test_ctx, r->results, &r->ledger, state, &passed);
    r->results = NULL;
}

/* Create the file, fill it and close it. */
static void write_whole(run *r)
{
    create(r);
    put(r, 0, SYN_I);
    finish(r, MOE_RUN_COMPLETE);
}

/* Forget the error, so that the next test starts well. */
static void end(run *r)
{
    moe_ledger_fini(&r->ledger);
    test_ctx.err = (moe_error){0};
    test_ctx.injection.armed = false;
    MPI_Barrier(test_ctx.comm);
}

static bool there(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Count elements of a dataset that are not what a formula says. */
static int wrong_columns(const char *path, const run *r)
{
    const moe_ledger_dims *d = &r->ledger.dims;
    moe_error err = {0};
    hid_t file = moe_h5_open(path, false, &err);
    size_t n = (size_t)(SYN_S * SYN_I * SYN_L * MOE_N_PHASES * d->ranks);
    double *x[5];
    static const char *const names[5] = {"timing/wall", "timing/cpu",
                                         "timing/gpu", "timing/exposed",
                                         "timing/wait"};
    for (int f = 0; f < 5; f++)
        x[f] = moe_h5_read(file, names[f], H5T_NATIVE_DOUBLE, 8, n, &err);
    int wrong = err.status != MOE_OK;
    size_t j = 0;
    for (int s = 0; s < SYN_S && !wrong; s++)
        for (int i = 0; i < SYN_I; i++)
            for (int l = 0; l < SYN_L; l++)
                for (int p = 0; p < MOE_N_PHASES; p++)
                    for (int k = 0; k < d->ranks; k++, j++) {
                        const double expected[5] = {
                            syn_wall(s, i, l, p, k),
                            syn_cpu(s, i, l, p, k, d->ranks),
                            syn_gpu(s, i, l, p, k, d->gpus),
                            syn_exposed(s, i, l, p, k, d->gpus),
                            syn_wait(p, k, d->ranks)};
                        for (int f = 0; f < 5; f++)
                            wrong += isnan(expected[f])
                                         ? !isnan(x[f][j])
                                         : x[f][j] != expected[f];
                    }
    for (int f = 0; f < 5; f++)
        free(x[f]);
    H5Fclose(file);
    return wrong;
}

/* Count bytes that differ between a dataset and rank 0's ledger. */
static int wrong_whole(const char *path, const char *name, hid_t type,
                       size_t size, const void *expected, size_t n)
{
    moe_error err = {0};
    hid_t file = moe_h5_open(path, false, &err);
    void *x = moe_h5_read(file, name, type, size, n, &err);
    int wrong = x == NULL || memcmp(x, expected, n * size) != 0;
    free(x);
    H5Fclose(file);
    if (wrong)
        fprintf(stderr, "# %s differs: %s\n", name, err.text);
    return wrong;
}

static int wrong_root(const char *path, const run *r)
{
    const moe_ledger *g = &r->ledger;
    size_t si = SYN_S * SYN_I, sil = si * SYN_L;
    size_t gk = (size_t)g->dims.gpus * SYN_K;
    const struct {
        const char *name;
        hid_t type;
        size_t size;
        const void *data;
        size_t n;
    } all[] = {
        {"timing/order", H5T_NATIVE_INT32, 4, g->order, si},
        {"timing/warmup_time", H5T_NATIVE_DOUBLE, 8, g->warmup_time,
         SYN_S * SYN_W},
        {"load/true_pairs", H5T_NATIVE_INT32, 4, g->true_pairs,
         SYN_I * SYN_L * SYN_E},
        {"load/predicted_pairs", H5T_NATIVE_DOUBLE, 8, g->predicted_pairs,
         sil * SYN_E},
        {"prediction/error", H5T_NATIVE_DOUBLE, 8, g->error, sil},
        {"prediction/top1", H5T_NATIVE_DOUBLE, 8, g->top1, sil},
        {"prediction/recall", H5T_NATIVE_DOUBLE, 8, g->recall, sil},
        {"prediction/in_place", H5T_NATIVE_DOUBLE, 8, g->in_place, sil},
        {"plan/slot_expert", H5T_NATIVE_INT16, 2, g->slot_expert, sil * gk},
        {"plan/slot_quota", H5T_NATIVE_DOUBLE, 8, g->slot_quota, sil * gk},
        {"plan/moved_bytes", H5T_NATIVE_INT64, 8, g->moved_bytes, sil},
        {"plan/wire_bytes", H5T_NATIVE_INT64, 8, g->wire_bytes, si},
        {"plan/planner_time", H5T_NATIVE_DOUBLE, 8, g->planner_time, sil},
        {"regret/actual", H5T_NATIVE_INT32, 4, g->busiest_actual, sil},
        {"regret/minmax", H5T_NATIVE_INT32, 4, g->busiest_minmax, sil},
        {"regret/oracle_plan", H5T_NATIVE_INT32, 4, g->busiest_oracle_plan,
         sil},
        {"regret/best", H5T_NATIVE_INT32, 4, g->busiest_best, sil},
        {"regret/bound", H5T_NATIVE_INT32, 4, g->busiest_bound, sil},
    };
    int wrong = 0;
    for (size_t i = 0; i < MOE_ARRAY_LEN(all); i++)
        wrong += wrong_whole(path, all[i].name, all[i].type, all[i].size,
                             all[i].data, all[i].n);
    return wrong;
}

static int wrong_pairs_and_traffic(const char *path, const run *r)
{
    const moe_ledger_dims *d = &r->ledger.dims;
    int32_t pairs[SYN_S * SYN_I * SYN_L * 8];
    int64_t bytes[SYN_S * 8 * 8];
    size_t n = 0, m = 0;
    for (int j = 0; j < SYN_S * SYN_I * SYN_L; j++)
        for (int k = 0; k < d->ranks; k++)
            pairs[n++] = syn_rank_pairs(j / (SYN_I * SYN_L), k, d->gpus);
    for (int s = 0; s < SYN_S; s++)
        for (int j = 0; j < d->gpus * d->gpus; j++)
            bytes[m++] = syn_traffic(s, j / d->gpus, j % d->gpus);
    return wrong_whole(path, "load/rank_pairs", H5T_NATIVE_INT32, 4, pairs, n) +
           wrong_whole(path, "traffic/dispatch_bytes", H5T_NATIVE_INT64, 8,
                       bytes, m);
}

/* What the gpu clock priced, and from where. */
static int wrong_work(const char *path, const run *r)
{
    static const char *const names[MOE_N_EXCHANGES] = {
        "work/dispatch", "work/combine", "work/migrate"};
    enum { SIL = SYN_S * SYN_I * SYN_L, MOST = 8 };
    const moe_ledger_dims *d = &r->ledger.dims;
    static int16_t source[SIL * MOE_N_PHASES * MOST];
    static int32_t pairs[SIL * SYN_K * MOST];
    static int64_t bytes[SIL * MOE_N_LINKS * MOST];
    size_t n = 0, m = 0;
    for (int j = 0; j < SIL * MOE_N_PHASES; j++)
        for (int k = 0; k < d->ranks; k++)
            source[n++] = syn_source(j % MOE_N_PHASES, k);
    for (int j = 0; j < SIL * SYN_K; j++)
        for (int k = 0; k < d->ranks; k++)
            pairs[m++] = syn_slot_pairs(j / (SYN_I * SYN_L * SYN_K), j % SYN_K,
                                        k, d->gpus);
    int wrong =
        wrong_whole(path, "timing/price_source", H5T_NATIVE_INT16, 2, source,
                    n) +
        wrong_whole(path, "work/slot_pairs", H5T_NATIVE_INT32, 4, pairs, m);
    for (int h = 0; h < MOE_N_EXCHANGES; h++) {
        size_t q = 0;
        for (int j = 0; j < SIL * MOE_N_LINKS; j++)
            for (int k = 0; k < d->ranks; k++)
                bytes[q++] = syn_exchange(j / (SYN_I * SYN_L * MOE_N_LINKS), h,
                                          j % MOE_N_LINKS, k, d->gpus);
        wrong += wrong_whole(path, names[h], H5T_NATIVE_INT64, 8, bytes, q);
    }
    return wrong;
}

/* Every writer, with and without a rank for the coordinator. */
static const struct {
    moe_results_writer writer;
    bool dedicated;
} variants[] = {
    {MOE_WRITER_SERIAL, false},
    {MOE_WRITER_SERIAL, true},
    {MOE_WRITER_MPIO, false},
    {MOE_WRITER_MPIO, true},
};

START_TEST(blocks_read_back_exactly)
{
    run r;
    bool dedicated = variants[_i].dedicated && test_ctx.size > 1;
    begin_ledger(&r, "exact.h5", dedicated);
    r.meta.writer = variants[_i].writer;
    r.meta.force = true; /* of the previous variant */
    create(&r);
    ck_assert_int_eq(r.status, MOE_OK);
    put(&r, 0, 1);
    put(&r, 1, 4);
    put(&r, 4, 4);
    put(&r, 4, SYN_I);
    ck_assert_int_eq(r.status, MOE_OK);
    ck_assert(!there(r.path) || _i > 0);
    finish(&r, MOE_RUN_COMPLETE);
    int wrong = 0;
    if (test_ctx.rank == 0)
        wrong = wrong_columns(r.path, &r) + wrong_root(r.path, &r) +
                wrong_pairs_and_traffic(r.path, &r) + wrong_work(r.path, &r);
    ck_assert_str_eq(test_ctx.err.text, "");
    ck_assert_int_eq(r.status, MOE_OK);
    ck_assert_int_eq(wrong, 0);
    ck_assert(!there(r.partial));
    end(&r);
}
END_TEST

/* Layer times of the formulas, mean over layers (1.5 is the mean of l). */
static double expected_time(int c, int s, int i, const moe_ledger_dims *d)
{
    double phases = MOE_N_PHASES, p_sum = 45;
    double no_attention = p_sum - MOE_PHASE_ATTENTION;
    double wall =
        (phases - 1) * (1 + s + 2 * i + 1.5 + d->ranks - 1) + no_attention;
    switch (c) {
    case MOE_CLOCK_WALL:
        return wall;
    case MOE_CLOCK_CPU:
        return wall / 2;
    default:
        return phases * (4 + s + i + 1.5 + 2) + p_sum - MOE_PHASE_ATTENTION;
    }
}

/* A level of the busiest GPU beyond the next, over the mean load. */
static double expected_regret(int s, int level, int gpus)
{
    double sum = 0;
    const int beyond = level + 1 < MOE_N_LEVELS ? syn_busiest(s, level + 1) : 0;
    for (int j = 0; j < SYN_I * SYN_L; j++) {
        double pairs = 0;
        for (int e = 0; e < SYN_E; e++)
            pairs += syn_true_pairs(j / SYN_L, j % SYN_L, e);
        sum += (syn_busiest(s, level) - beyond) * gpus / pairs;
    }
    return sum / (SYN_I * SYN_L);
}

static void check_strategy(const moe_view *v, int s)
{
    const moe_strategy_view *y = &v->strategy[s];
    int gpus = v->dims.gpus, ranks = v->dims.ranks;
    ck_assert_str_eq(y->name, syn_strategies[s]);
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        for (int i = 0; i < SYN_I; i++)
            ck_assert_double_eq(y->layer_time[c][i],
                                expected_time(c, s, i, &v->dims));
        ck_assert_uint_eq(y->summary[c].n, SYN_I);
        ck_assert_double_eq(y->summary[c].min,
                            expected_time(c, s, 0, &v->dims));
        ck_assert_uint_eq(y->speedup[c].n, SYN_I);
        ck_assert_double_eq(v->strategy[0].speedup[c].ratio, 1);
    }
    /* median over i of 2 i is 7, of i 3.5; mean over l of l is 1.5 */
    ck_assert_double_eq(y->phase[MOE_CLOCK_WALL][MOE_PHASE_FFN],
                        1 + s + 7 + 1.5 + MOE_PHASE_FFN + ranks - 1);
    ck_assert_double_nan(y->phase[MOE_CLOCK_WALL][MOE_PHASE_ATTENTION]);
    ck_assert_double_eq(y->phase[MOE_CLOCK_CPU][MOE_PHASE_FFN],
                        (1 + s + 7 + 1.5 + MOE_PHASE_FFN + ranks - 1) / 2);
    ck_assert_double_eq(y->phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT],
                        4 + s + 3.5 + 1.5 + 2 - 1);
    ck_assert_double_eq(y->hidden, MOE_PHASE_ATTENTION);
    ck_assert_double_eq_tol(y->wait, (ranks - 1) / 4.0, 1e-12);
    double mean = 4 + 2.0 * s / gpus;
    ck_assert_double_eq_tol(y->imbalance.median, (4 + 2 * s) / mean, 1e-12);
    ck_assert_double_eq_tol(y->skewness.min, y->skewness.max,
                            1.0); /* both parities of e */
    if (s == 0) {
        ck_assert_uint_eq(y->error.n, 0);
        ck_assert_double_nan(y->error.median);
    } else {
        ck_assert_double_eq(y->error.median, 0.25 * s);
    }
    if (s == 2) {
        ck_assert_double_eq(y->top1.median, 0.5);
        ck_assert_double_eq(y->recall.median, 0.75);
        ck_assert_double_eq(y->in_place.median, 0.625);
    }
    ck_assert_double_eq(y->moved_bytes, (double)((int64_t)s << 33));
    ck_assert_double_eq(y->wire_bytes, 64 * s);
    double own = 300.0 * gpus, rest = (100.0 + s) * gpus * (gpus - 1);
    ck_assert_double_eq(y->dispatch_bytes, own + rest);
    ck_assert_double_eq(y->ahead_bytes, s * (own + rest));
    ck_assert_double_eq_tol(y->remote_share, rest / (own + rest), 1e-12);
    ck_assert_double_eq(y->planner_cpu.median, 0.125 * (s + 1) * SYN_L);
    const moe_summary *stage[MOE_N_LEVELS] = {
        &y->regret_split, &y->regret_prediction, &y->regret_planner,
        &y->regret_room, &y->bound};
    for (int level = 0; level < MOE_N_LEVELS; level++) {
        ck_assert_uint_eq(stage[level]->n, SYN_I);
        ck_assert_double_eq_tol(stage[level]->mean,
                                expected_regret(s, level, gpus), 1e-12);
    }
}

static void check_facts(const moe_strategy_facts *is,
                        const moe_strategy_facts *written)
{
    ck_assert_str_eq(is->predictor, written->predictor);
    ck_assert_str_eq(is->planner, written->planner);
    ck_assert_str_eq(is->split, written->split);
    ck_assert_str_eq(is->planning, written->planning);
    ck_assert_int_eq(is->slots, written->slots);
    ck_assert_int_eq(is->lookahead, written->lookahead);
    ck_assert_int_eq(is->sees_layers, written->sees_layers);
    ck_assert_int_eq(is->plan_ahead, written->plan_ahead);
    ck_assert_int_eq(is->direct, written->direct);
    ck_assert_int_eq(is->foretells_tokens, written->foretells_tokens);
    ck_assert_int_eq(is->knows_future, written->knows_future);
}

START_TEST(view_finds_what_the_formulas_say)
{
    run r;
    moe_view v = {0};
    bool dedicated = variants[_i].dedicated && test_ctx.size > 1;
    begin_ledger(&r, "view.h5", dedicated);
    r.meta.writer = variants[_i].writer;
    r.meta.force = true;
    create(&r);
    put(&r, 0, SYN_I);
    moe_warn(&test_ctx, "ranks share cores (a test says so)");
    finish(&r, MOE_RUN_COMPLETE);
    moe_status status = moe_view_read(r.path, &v, NULL);
    end(&r);
    ck_assert_int_eq(r.status, MOE_OK);
    ck_assert_int_eq(status, MOE_OK);
    ck_assert_str_eq(v.status, "complete");
    ck_assert_str_eq(v.validation, "pass");
    ck_assert_str_eq(v.validation_text, passed.text);
    ck_assert(v.valid);
    ck_assert_str_eq(v.model, "mixtral-8x7b");
    ck_assert_str_eq(v.title, r.meta.title);
    ck_assert_uint_eq(strlen(v.run_id), 36);
    ck_assert_int_eq(v.measured, SYN_I);
    ck_assert_int_eq(v.dims.gpus, r.ledger.dims.gpus == 0
                                      ? test_ctx.size - dedicated
                                      : r.ledger.dims.gpus);
    ck_assert_int_eq(v.oversubscribed, test_ctx.size > 1);
    ck_assert_uint_eq(v.n_warnings, 1);
    for (int s = 0; s < SYN_S; s++) {
        check_strategy(&v, s);
        check_facts(&v.strategy[s].facts, &syn_strategy_facts[s]);
    }
    moe_view_free(&v);
}
END_TEST

/* The GPUs of a cell, and all that formulas say of it. */
static int wrong_cell(const moe_work *w, int s, int i, int l, int gpus)
{
    const moe_work_cell *c = moe_work_at(w, s, i, 0, l);
    double pairs = 0;
    int wrong = c->n != gpus || c->wire_bytes != 64 * s;
    for (int e = 0; e < SYN_E; e++)
        pairs += syn_true_pairs(i, l, e);
    wrong += c->tokens != pairs / 2;
    for (int b = 0; b < MOE_N_LEVELS; b++)
        wrong += c->busiest[b] != syn_busiest(s, b);
    for (int g = 0; g < c->n; g++) {
        const moe_work_gpu *x = &c->gpu[g];
        wrong += x->total != syn_rank_pairs(s, g, gpus);
        for (int k = 0; k < SYN_K; k++)
            wrong +=
                x->pairs[k] != (uint32_t)fmax(0, syn_slot_pairs(s, k, g, gpus));
        for (int h = 0; h < MOE_N_EXCHANGES; h++)
            for (int k = 0; k < MOE_N_LINKS; k++)
                wrong += x->exchange_bytes[h][k] !=
                         (double)syn_exchange(s, h, k, g, gpus);
        for (int p = 0; p < MOE_N_PHASES; p++)
            wrong += x->gpu_s[p] != syn_gpu(s, i, l, p, g, gpus);
    }
    return wrong;
}

START_TEST(work_is_read_back)
{
    run r;
    moe_view v = {0};
    moe_work w = {0};
    int wrong = 0;
    begin_ledger(&r, "work.h5", test_ctx.size > 1);
    write_whole(&r);
    moe_status status = moe_view_read(r.path, &v, NULL);
    moe_error err = {0};
    if (status == MOE_OK)
        status = moe_work_read(&v, &w, &err);
    end(&r);
    ck_assert_msg(status == MOE_OK, "%s", err.text);
    ck_assert_int_eq(w.samples, SYN_I);
    ck_assert_int_eq(w.entries, 1);
    ck_assert_int_eq(w.layers, SYN_L);
    ck_assert_int_eq(w.gpus_per_node, 2);
    ck_assert_double_eq(w.sequences, 16);
    ck_assert(w.central);
    ck_assert_str_eq(w.model_profile, "name: mixtral-8x7b\n");
    for (int s = 0; s < SYN_S; s++)
        for (int i = 0; i < SYN_I; i++) {
            ck_assert_double_eq(w.weight[i], 1);
            for (int l = 0; l < SYN_L; l++)
                wrong += wrong_cell(&w, s, i, l, v.dims.gpus);
        }
    ck_assert_int_eq(wrong, 0);
    for (int p = 0; p < MOE_N_PHASES; p++) {
        double all = 0;
        for (int k = 0; k < MOE_N_PRICE_SOURCES; k++)
            all += v.strategy[1].source[p][k];
        if (p == MOE_PHASE_PLAN)
            ck_assert_double_nan(all);
        else
            ck_assert_double_eq_tol(all, 1, 1e-12);
    }
    ck_assert_double_ge(
        v.strategy[1].source[MOE_PHASE_BROADCAST][MOE_PHASE_BROADCAST],
        1.0 / v.dims.gpus);
    moe_work_fini(&w);
    moe_view_free(&v);
}
END_TEST

/* Of a long period the iteration that plans is there, and others stand for
 * those that are not. */
START_TEST(work_of_long_periods_has_their_plans)
{
    enum { PLANS = 2 };
    run r;
    moe_view v = {0};
    moe_work w = {0};
    begin_ledger(&r, "long.h5", false);
    for (int j = 0; j < SYN_S * SYN_I * SYN_L && test_ctx.rank == 0; j++)
        r.ledger.planner_time[j] = j / SYN_L % SYN_I == PLANS ? 1 : 0;
    write_whole(&r);
    moe_status status = moe_view_read(r.path, &v, NULL);
    end(&r);
    ck_assert_int_eq(status, MOE_OK);
    for (int period = PLANS + 1; period <= SYN_I; period++) {
        v.period = period;
        ck_assert_int_eq(moe_work_read(&v, &w, NULL), MOE_OK);
        ck_assert_int_eq(w.samples, SYN_I / period);
        ck_assert_int_eq(w.entries, period < 4 ? period : 4);
        double sum = 0, planned = 0;
        for (int j = 0; j < w.entries; j++) {
            const moe_work_gpu *x = &moe_work_at(&w, 1, 0, j, 0)->gpu[0];
            sum += w.weight[j];
            if (x->gpu_s[0] == syn_gpu(1, PLANS, 0, 0, 0, v.dims.gpus))
                planned += w.weight[j];
        }
        ck_assert_double_eq_tol(sum, 1, 1e-12);
        ck_assert_double_eq_tol(planned, 1.0 / period, 1e-12);
        moe_work_fini(&w);
    }
    moe_view_free(&v);
}
END_TEST

/* A plan is paid for in one iteration and serves three: the median of single
 * iterations would not see its price. Samples 0..2 and 3..5; 6 and 7 are no
 * whole period. */
START_TEST(sample_is_all_iterations_of_a_plan)
{
    run r;
    moe_view v = {0};
    static const moe_facts every = {.text = {[MOE_FACT_REBALANCE_EVERY] = "3"}};
    begin_ledger(&r, "period.h5", false);
    r.meta.facts = &every;
    if (test_ctx.rank == 0)
        for (int s = 0; s < SYN_S; s++)
            for (int i = 0; i < SYN_I; i++)
                for (int l = 0; l < SYN_L; l++)
                    r.ledger.planner_time[moe_ledger_at(&r.ledger, s, i, l)] =
                        i % 3 == 1 ? 6 : 0;
    write_whole(&r);
    moe_status status = moe_view_read(r.path, &v, NULL);
    end(&r);
    ck_assert_int_eq(status, MOE_OK);
    ck_assert_int_eq(v.period, 3);
    ck_assert_int_eq(v.measured, SYN_I);
    const moe_summary *gpu = &v.strategy[1].summary[MOE_CLOCK_GPU];
    ck_assert_uint_eq(gpu->n, 2);
    ck_assert_double_eq_tol(gpu->min,
                            expected_time(MOE_CLOCK_GPU, 1, 1, &v.dims), 1e-12);
    ck_assert_double_eq_tol(gpu->max,
                            expected_time(MOE_CLOCK_GPU, 1, 4, &v.dims), 1e-12);
    ck_assert_uint_eq(v.strategy[1].speedup[MOE_CLOCK_GPU].n, 2);
    ck_assert_uint_eq(v.strategy[1].skewness.n, 2);
    ck_assert_double_eq_tol(
        v.strategy[1].phase[MOE_CLOCK_GPU][MOE_PHASE_PREDICT],
        4 + 1 + 2.5 + 1.5 + 2 - 1, 1e-12);
    ck_assert_double_eq_tol(v.strategy[1].planner_cpu.median, 2.0 * SYN_L,
                            1e-12);
    moe_view_free(&v);
}
END_TEST

/* /summary holds what the reader computes, and NaN below enough samples. */
START_TEST(summary_equals_view)
{
    run r;
    moe_view v = {0};
    moe_error err = {0};
    begin_ledger(&r, "summary.h5", false);
    write_whole(&r);
    moe_view_read(r.path, &v, &err);
    hid_t file = moe_h5_open(r.path, false, &err);
    size_t n = 0;
    char **names = moe_h5_read_strings(file, "summary/metric", &n, &err);
    double *median = moe_h5_read(file, "summary/median", H5T_NATIVE_DOUBLE, 8,
                                 SYN_S * n, &err);
    double *ratio = moe_h5_read(file, "summary/ratio_ci_high",
                                H5T_NATIVE_DOUBLE, 8, SYN_S * n, &err);
    double *p99 =
        moe_h5_read(file, "summary/p99", H5T_NATIVE_DOUBLE, 8, SYN_S * n, &err);
    H5Fclose(file);
    end(&r);
    ck_assert_str_eq(err.text, "");
    for (size_t m = 0; m < n; m++)
        for (int s = 0; s < SYN_S; s++) {
            const moe_metric *metric = moe_metric_at(m);
            ck_assert_str_eq(names[m], metric->name);
            size_t j = (size_t)s * n + m;
            double x = moe_metric_summary(metric, &v.strategy[s]).median;
            double y = moe_metric_ratio(metric, &v.strategy[s]).ci_high;
            ck_assert(median[j] == x || (isnan(median[j]) && isnan(x)));
            ck_assert(ratio[j] == y || (isnan(ratio[j]) && isnan(y)));
            ck_assert_double_nan(p99[j]);
        }
    ck_assert_ptr_null(moe_metric_at(n));
    moe_h5_free_strings(names, n);
    free(p99);
    free(ratio);
    free(median);
    moe_view_free(&v);
}
END_TEST

/* Clear a phase of one layer, or all of them, in this rank's column. */
static void forget(run *r, int strategy, int i, int layer, int phase)
{
    moe_ledger *g = &r->ledger;
    const size_t at =
        moe_ledger_at(g, strategy, i, layer) * MOE_N_PHASES + (size_t)phase;
    g->wall[at] = g->cpu[at] = g->gpu[at] = g->exposed[at] = g->wait[at] = NAN;
}

/* A layer that has no time leaves its iteration without one: the sum of the
 * others is no time of an iteration. */
START_TEST(iteration_with_an_unmeasured_layer_has_no_time)
{
    static const char *const names[MOE_N_CLOCKS] = {
        "timing/iteration_time_wall", "timing/iteration_time_cpu",
        "timing/iteration_time_gpu"};
    run r;
    begin_ledger(&r, "gap.h5", false);
    for (int p = 0; p < MOE_N_PHASES; p++)
        forget(&r, 1, 2, 3, p);
    write_whole(&r);
    end(&r);
    moe_error err = {0};
    hid_t file = moe_h5_open(r.path, false, &err);
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        double *x = moe_h5_read(file, names[c], H5T_NATIVE_DOUBLE, 8,
                                SYN_S * SYN_I, &err);
        ck_assert_ptr_nonnull(x);
        for (int j = 0; j < SYN_S * SYN_I; j++)
            ck_assert(isnan(x[j]) == (j == SYN_I + 2));
        free(x);
    }
    moe_h5_close_file(file, &err);
}
END_TEST

/* A measured iteration spent 0 s in a phase that it lacks; a phase that no
 * iteration has was not measured. */
START_TEST(phase_that_most_iterations_lack_takes_no_time)
{
    run r;
    moe_view v = {0};
    begin_ledger(&r, "rare.h5", false);
    for (int l = 0; l < SYN_L; l++)
        for (int i = 0; i < SYN_I; i++) {
            if (i > 2)
                forget(&r, 1, i, l, MOE_PHASE_MIGRATE);
            forget(&r, 1, i, l, MOE_PHASE_PLAN);
        }
    write_whole(&r);
    moe_status status = moe_view_read(r.path, &v, NULL);
    end(&r);
    ck_assert_int_eq(status, MOE_OK);
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        ck_assert_double_eq(v.strategy[1].phase[c][MOE_PHASE_MIGRATE], 0);
        ck_assert_double_nan(v.strategy[1].phase[c][MOE_PHASE_PLAN]);
        ck_assert_double_gt(v.strategy[1].phase[c][MOE_PHASE_FFN], 0);
    }
    moe_view_free(&v);
}
END_TEST

/* No close: what a killed run leaves. */
START_TEST(unfinished_file_shows_flushed_iterations)
{
    run r;
    moe_view v = {0};
    char copy[540], command[1200];
    begin_ledger(&r, "open.h5", false);
    r.meta.writer = variants[_i].writer;
    create(&r);
    put(&r, 0, 3);
    snprintf(copy, sizeof copy, "%s.copy", r.partial);
    snprintf(command, sizeof command, "cp '%s' '%s'", r.partial, copy);
    if (test_ctx.rank == 0 && system(command) != 0)
        fprintf(stderr, "# cannot copy\n");
    MPI_Barrier(test_ctx.comm);
    moe_status status = moe_view_read(copy, &v, &test_ctx.err);
    finish(&r, MOE_RUN_FAILED);
    bool partial = there(r.partial), whole = there(r.path);
    moe_view after = {0};
    moe_status later = moe_view_read(r.partial, &after, NULL);
    MPI_Barrier(test_ctx.comm);
    if (test_ctx.rank == 0)
        unlink(r.partial);
    end(&r);
    ck_assert_int_eq(status, MOE_OK);
    ck_assert_str_eq(v.status, "running");
    ck_assert_str_eq(v.validation, "not_run");
    ck_assert(!v.valid);
    ck_assert_int_eq(v.measured, 3);
    for (int i = 0; i < SYN_I; i++) {
        double x = v.strategy[1].layer_time[MOE_CLOCK_GPU][i];
        ck_assert(i < 3 ? x == expected_time(MOE_CLOCK_GPU, 1, i, &v.dims)
                        : isnan(x));
    }
    ck_assert_uint_eq(v.strategy[1].imbalance.n, 3);
    ck_assert_double_nan(v.strategy[1].dispatch_bytes);
    ck_assert(partial && !whole);
    ck_assert_int_eq(later, MOE_OK);
    ck_assert_str_eq(after.status, "failed");
    moe_view_free(&after);
    moe_view_free(&v);
}
END_TEST

START_TEST(interrupted_run_gets_its_name)
{
    run r;
    moe_view v = {0};
    begin_ledger(&r, "interrupted.h5", false);
    create(&r);
    put(&r, 0, 5);
    finish(&r, MOE_RUN_INTERRUPTED);
    moe_status status = moe_view_read(r.path, &v, NULL);
    end(&r);
    ck_assert_int_eq(r.status, MOE_OK);
    ck_assert_int_eq(status, MOE_OK);
    ck_assert_str_eq(v.status, "interrupted");
    ck_assert_int_eq(v.measured, 5);
    ck_assert_uint_eq(v.strategy[2].summary[MOE_CLOCK_WALL].n, 5);
    moe_view_free(&v);
}
END_TEST

START_TEST(nothing_is_overwritten)
{
    run r;
    begin_ledger(&r, "kept.h5", false);
    if (test_ctx.rank == 0) {
        FILE *f = fopen(r.path, "w");
        fputs("precious", f);
        fclose(f);
    }
    MPI_Barrier(test_ctx.comm);
    create(&r);
    char *text = NULL;
    moe_read_text(r.path, &text, NULL);
    bool partial = there(r.partial);
    char message[MOE_ERROR_LEN];
    snprintf(message, sizeof message, "%s", test_ctx.err.text);
    end(&r);
    ck_assert_int_eq(r.status, MOE_EXISTS);
    ck_assert_ptr_nonnull(strstr(message, "--force"));
    ck_assert_str_eq(text, "precious");
    ck_assert(!partial);
    ck_assert_ptr_null(r.results);
    free(text);
}
END_TEST

START_TEST(partial_of_another_run_is_kept_without_force)
{
    run r;
    begin_ledger(&r, "other.h5", false);
    if (test_ctx.rank == 0)
        fclose(fopen(r.partial, "w"));
    MPI_Barrier(test_ctx.comm);
    create(&r);
    char message[MOE_ERROR_LEN];
    snprintf(message, sizeof message, "%s", test_ctx.err.text);
    bool kept = there(r.partial);
    test_ctx.err = (moe_error){0};
    MPI_Barrier(test_ctx.comm);
    moe_status refused = r.status;
    r.meta.force = true;
    create(&r);
    finish(&r, MOE_RUN_COMPLETE);
    end(&r);
    ck_assert_int_eq(refused, MOE_EXISTS);
    ck_assert_ptr_nonnull(strstr(message, "--force"));
    ck_assert(kept);
    ck_assert_int_eq(r.status, MOE_OK);
}
END_TEST

/* A file that appears while the run is under way is not replaced either. */
START_TEST(late_rival_is_kept)
{
    run r;
    begin_ledger(&r, "rival.h5", false);
    create(&r);
    put(&r, 0, SYN_I);
    if (test_ctx.rank == 0)
        fclose(fopen(r.path, "w"));
    finish(&r, MOE_RUN_COMPLETE);
    moe_view v = {0};
    moe_status readable = moe_view_read(r.partial, &v, NULL);
    end(&r);
    ck_assert_int_eq(r.status, MOE_EXISTS);
    ck_assert_int_eq(readable, MOE_OK);
    ck_assert_str_eq(v.status, "complete");
    moe_view_free(&v);
}
END_TEST

static const char *const impossible[] = {"no/such/folder/x.h5", "kept.h5/x.h5",
                                         ""};

START_TEST(unusable_path_is_one_clear_error)
{
    run r;
    begin_ledger(&r, impossible[_i], false);
    create(&r);
    char message[MOE_ERROR_LEN];
    snprintf(message, sizeof message, "%s", test_ctx.err.text);
    end(&r);
    ck_assert(r.status == MOE_IO || r.status == MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(message, test_dir));
}
END_TEST

/* Sites x ranks x writers. */
static const moe_site sites[] = {MOE_SITE_CREATE, MOE_SITE_WRITE,
                                 MOE_SITE_FINISH};
enum { N_FAULTS = 3 * 4 * 2 };

START_TEST(injected_fault_is_everybodys)
{
    run r;
    moe_site site = sites[_i % 3];
    int rank = _i / 3 % 4;
    if (rank >= test_ctx.size)
        return;
    begin_ledger(&r, "fault.h5", false);
    r.meta.writer = _i / 12 ? MOE_WRITER_MPIO : MOE_WRITER_SERIAL;
    test_ctx.injection = (moe_injection){true, site, rank};
    create(&r);
    if (r.status == MOE_OK)
        put(&r, 0, 4);
    if (r.status == MOE_OK)
        finish(&r, MOE_RUN_COMPLETE);
    else
        moe_results_close(&test_ctx, r.results, &r.ledger, MOE_RUN_FAILED,
                          &passed);
    moe_status status = test_ctx.err.status;
    ssize_t open_ids = H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL);
    bool partial = there(r.partial), whole = there(r.path);
    moe_view v = {0};
    moe_status readable = moe_view_read(r.partial, &v, NULL);
    MPI_Barrier(test_ctx.comm);
    if (test_ctx.rank == 0)
        unlink(r.partial);
    end(&r);
    ck_assert_int_eq(status, MOE_INJECTED);
    ck_assert_int_eq(open_ids, 0);
    ck_assert(!whole);
    ck_assert_int_eq(partial, site != MOE_SITE_CREATE);
    if (partial) {
        ck_assert_int_eq(readable, MOE_OK);
        ck_assert_int_eq(v.measured, site == MOE_SITE_FINISH ? 4 : 0);
    }
    moe_view_free(&v);
}
END_TEST

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes < limit.rlim_max ? bytes : limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
}

/* The limit of a process on the size of a file stands for a full disk. */
START_TEST(full_disk_at_creation_leaves_nothing)
{
    run r;
    begin_ledger(&r, "full.h5", false);
    create(&r);
    finish(&r, MOE_RUN_COMPLETE);
    off_t size = 0;
    FILE *f = fopen(r.path, "rb");
    if (f != NULL && fseeko(f, 0, SEEK_END) == 0)
        size = ftello(f);
    if (f != NULL)
        fclose(f);
    MPI_Barrier(test_ctx.comm);
    int wrong = r.status != MOE_OK || size == 0;
    r.meta.force = true;
    for (int eighths = 0; eighths < 8; eighths++) {
        limit_file_size((rlim_t)(size * eighths / 8));
        create(&r);
        limit_file_size(RLIM_INFINITY);
        wrong += r.status != MOE_IO || there(r.partial) || !there(r.path);
        wrong += H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL) != 0;
        test_ctx.err = (moe_error){0};
        MPI_Barrier(test_ctx.comm);
    }
    create(&r);
    finish(&r, MOE_RUN_COMPLETE);
    end(&r);
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_eq(r.status, MOE_OK);
}
END_TEST

/* A disk that fills while HDF5 writes the skeleton, past the check before it:
 * nothing stays open that the exit handler of HDF5 would fall over. */
START_TEST(full_disk_within_hdf5_leaves_nothing_open)
{
    run r;
    moe_rank_facts facts[8] = {0};
    begin_ledger(&r, "within.h5", false);
    snprintf(r.path, sizeof r.path, "%s/within-%d.h5", test_dir, test_ctx.rank);
    const moe_skeleton skeleton = {
        .meta = &r.meta, .dims = &r.ledger.dims, .facts = facts};
    int failures = 0, wrong = 0;
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t kib = 0; kib < 400; kib += 4) {
        moe_error err = {0};
        hid_t file = moe_h5_create(r.path, &err);
        limit_file_size(kib << 10);
        moe_skeleton_write(file, &test_ctx, &skeleton, &err);
        moe_target_flush(file, r.path, &err);
        failures += err.status != MOE_OK;
        moe_target_abandon(file);
        limit_file_size(RLIM_INFINITY);
        wrong += H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL) != 0;
        unlink(r.path);
    }
    end(&r);
    ck_assert_int_ge(failures, 5);
    ck_assert_int_eq(wrong, 0);
}
END_TEST

/* Space is taken early, so the size limit of a file strikes when a block is
 * written or at the end, and never costs what was flushed before. */
START_TEST(full_disk_later_keeps_what_was_flushed)
{
    run r;
    moe_view v = {0};
    begin_ledger(&r, "later.h5", false);
    create(&r);
    put(&r, 0, 4);
    limit_file_size(4096);
    put(&r, 4, SYN_I);
    moe_status at_write = r.status;
    moe_results_close(&test_ctx, r.results, &r.ledger, MOE_RUN_FAILED, &passed);
    limit_file_size(RLIM_INFINITY);
    ssize_t open_ids = H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL);
    moe_status readable = moe_view_read(r.partial, &v, NULL);
    end(&r);
    ck_assert_int_eq(at_write, MOE_IO);
    ck_assert_int_eq(open_ids, 0);
    ck_assert_int_eq(readable, MOE_OK);
    ck_assert_int_eq(v.measured, 4);
    moe_view_free(&v);
}
END_TEST

START_TEST(full_disk_at_the_end_keeps_the_partial_file)
{
    run r;
    moe_view v = {0};
    begin_ledger(&r, "end.h5", false);
    create(&r);
    put(&r, 0, SYN_I);
    FILE *f = fopen(r.partial, "rb");
    off_t size = f != NULL && fseeko(f, 0, SEEK_END) == 0 ? ftello(f) : 0;
    if (f != NULL)
        fclose(f);
    MPI_Barrier(test_ctx.comm);
    limit_file_size((rlim_t)size + 1000);
    finish(&r, MOE_RUN_COMPLETE);
    limit_file_size(RLIM_INFINITY);
    bool whole = there(r.path);
    moe_status readable = moe_view_read(r.partial, &v, NULL);
    end(&r);
    ck_assert_int_eq(r.status, MOE_IO);
    ck_assert(!whole);
    ck_assert_int_eq(readable, MOE_OK);
    ck_assert_int_eq(v.measured, SYN_I);
    ck_assert_str_eq(v.status, "running");
    moe_view_free(&v);
}
END_TEST

/* Not files of ours: each is refused in one sentence. */
START_TEST(view_refuses_other_files)
{
    char path[512];
    moe_view v = {0};
    moe_error err[5] = {0};
    snprintf(path, sizeof path, "%s/other-%d.h5", test_dir, test_ctx.rank);
    moe_view_read(path, &v, &err[0]);
    FILE *f = fopen(path, "w");
    fputs("not HDF5", f);
    fclose(f);
    moe_view_read(path, &v, &err[1]);
    unlink(path);
    moe_error none = {0};
    hid_t file = moe_h5_create(path, &none);
    H5Fflush(file, H5F_SCOPE_GLOBAL);
    moe_h5_close_file(file, &none);
    moe_view_read(path, &v, &err[2]);
    file = moe_h5_open(path, true, &none);
    moe_h5_put_text(file, "schema", MOE_RESULTS_SCHEMA, &none);
    moe_h5_put_text(file, "schema_version", "2.0.0", &none);
    moe_h5_close_file(file, &none);
    moe_view_read(path, &v, &err[3]);
    file = moe_h5_open(path, true, &none);
    moe_h5_put_text(file, "schema_version", "1.9.0", &none);
    moe_h5_close_file(file, &none);
    moe_view_read(path, &v, &err[4]);
    ck_assert_str_eq(none.text, "");
    ck_assert_int_eq(err[0].status, MOE_USAGE);
    for (int j = 1; j < 5; j++)
        ck_assert_int_eq(err[j].status, MOE_FORMAT);
    ck_assert_ptr_nonnull(strstr(err[2].text, "is not a result file"));
    ck_assert_ptr_nonnull(strstr(err[3].text, "schema 2.0.0"));
}
END_TEST

/* Schema 1.0.0 had no direct routing, no regrets, and strategies in the
 * settings only. */
START_TEST(a_file_of_an_earlier_schema_is_read)
{
    run r;
    moe_view v = {0};
    begin_ledger(&r, "old.h5", false);
    r.meta.config_resolved =
        "strategies:\n  - {name: baseline, predictor: none, slots: 0, }\n"
        "  - {name: duplicate, predictor: ema, slots: 3, plan_ahead: true, }\n"
        "  - {name: oracle, predictor: oracle, slots: 2, accuracy: 1, }\n";
    write_whole(&r);
    moe_error none = {0};
    moe_status status = MOE_OK;
    if (test_ctx.rank == 0) {
        hid_t file = moe_h5_open(r.path, true, &none);
        H5Ldelete(file, "prediction/in_place", H5P_DEFAULT);
        H5Ldelete(file, "traffic/ahead_bytes", H5P_DEFAULT);
        H5Ldelete(file, "regret", H5P_DEFAULT);
        H5Ldelete(file, "strategies", H5P_DEFAULT);
        moe_h5_put_text(file, "schema_version", "1.0.0", &none);
        moe_h5_close_file(file, &none);
        status = moe_view_read(r.path, &v, &none);
    }
    end(&r);
    ck_assert_int_eq(r.status, MOE_OK);
    ck_assert_msg(status == MOE_OK, "%s", none.text);
    if (test_ctx.rank == 0) {
        ck_assert_double_eq(v.strategy[2].recall.median, 0.75);
        ck_assert_uint_eq(v.strategy[2].in_place.n, 0);
        ck_assert_double_nan(v.strategy[2].in_place.median);
        ck_assert_double_nan(v.strategy[2].ahead_bytes);
        ck_assert_uint_eq(v.strategy[2].regret_split.n, 0);
        ck_assert_double_nan(v.strategy[2].bound.mean);
        ck_assert(v.strategy[2].dispatch_bytes > 0);
        ck_assert_str_eq(v.strategy[1].facts.predictor, "ema");
        ck_assert_int_eq(v.strategy[1].facts.slots, 3);
        ck_assert(v.strategy[1].facts.plan_ahead);
        ck_assert(v.strategy[2].facts.knows_future);
        ck_assert(v.strategy[2].facts.foretells_tokens);
    }
    moe_view_free(&v);
}
END_TEST

/* Write until the disk is full. */
static void fill_disk(const char *path)
{
    static const char zeros[4096];
    FILE *f = fopen(path, "w");
    while (f != NULL && fwrite(zeros, sizeof zeros, 1, f) == 1 &&
           fflush(f) == 0)
        continue;
    if (f != NULL)
        fclose(f);
}

/* Not a test: make a file for tests/results.test.sh, or die making it. */
START_TEST(file_for_other_readers)
{
    run r;
    begin_ledger(&r, "", false);
    snprintf(r.path, sizeof r.path, "%s", getenv("MOEGPS_TEST_RESULT"));
    if (getenv("MOEGPS_TEST_WRITER") != NULL)
        r.meta.writer = MOE_WRITER_MPIO;
    create(&r);
    if (r.status == MOE_OK)
        put(&r, 0, 3);
    MPI_Barrier(test_ctx.comm);
    if (getenv("MOEGPS_TEST_KILL") != NULL)
        raise(SIGKILL);
    if (getenv("MOEGPS_TEST_FILL") != NULL && test_ctx.rank == 0)
        fill_disk(getenv("MOEGPS_TEST_FILL"));
    if (r.status == MOE_OK)
        put(&r, 3, SYN_I);
    if (r.status == MOE_OK)
        finish(&r, MOE_RUN_COMPLETE);
    if (test_ctx.rank == 0)
        fprintf(stderr, "# %s\n", test_ctx.err.text);
    end(&r);
    ck_assert_int_eq(r.status, MOE_OK);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("results");
    if (getenv("MOEGPS_TEST_RESULT") != NULL) {
        MOE_TEST(suite, file_for_other_readers);
        return suite;
    }
    MOE_TEST_LOOP(suite, blocks_read_back_exactly, MOE_ARRAY_LEN(variants));
    MOE_TEST_LOOP(suite, view_finds_what_the_formulas_say,
                  MOE_ARRAY_LEN(variants));
    MOE_TEST(suite, work_is_read_back);
    MOE_TEST_ONCE(suite, work_of_long_periods_has_their_plans);
    MOE_TEST_ONCE(suite, sample_is_all_iterations_of_a_plan);
    MOE_TEST(suite, summary_equals_view);
    MOE_TEST_ONCE(suite, iteration_with_an_unmeasured_layer_has_no_time);
    MOE_TEST_ONCE(suite, phase_that_most_iterations_lack_takes_no_time);
    MOE_TEST_LOOP(suite, unfinished_file_shows_flushed_iterations,
                  MOE_ARRAY_LEN(variants));
    MOE_TEST(suite, interrupted_run_gets_its_name);
    MOE_TEST(suite, nothing_is_overwritten);
    MOE_TEST(suite, partial_of_another_run_is_kept_without_force);
    MOE_TEST(suite, late_rival_is_kept);
    MOE_TEST_LOOP(suite, unusable_path_is_one_clear_error,
                  MOE_ARRAY_LEN(impossible));
    MOE_TEST_LOOP(suite, injected_fault_is_everybodys, N_FAULTS);
    MOE_TEST(suite, full_disk_at_creation_leaves_nothing);
    MOE_TEST(suite, full_disk_within_hdf5_leaves_nothing_open);
    MOE_TEST(suite, full_disk_later_keeps_what_was_flushed);
    MOE_TEST(suite, full_disk_at_the_end_keeps_the_partial_file);
    MOE_TEST_ONCE(suite, view_refuses_other_files);
    MOE_TEST_ONCE(suite, a_file_of_an_earlier_schema_is_read);
    return suite;
}
