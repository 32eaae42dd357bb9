/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/hash.h"
#include "moegps/engine.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine_bench.h"
#include "harness.h"
#include "moegps/h5.h"

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
    "slots: 9, split: local}\n"
    "  - {name: late, predictor: oracle, planner: duplicate, slots: 9, "
    "routing: dispatch}\n"
    "  - {name: wrong, predictor: oracle, accuracy: 0, planner: duplicate, "
    "slots: 9}\n"
    "  - {name: home, predictor: oracle, accuracy: 0.3}\n"
    "  - {name: near, predictor: oracle, accuracy: 0.3, planner: duplicate, "
    "slots: 9, split: local}\n";

enum { ORACLE = 2, DIM, L1, LATE, WRONG, HOME, NEAR, STRATEGIES };

static bool is_direct(int s)
{
    return s != 0 && s != 1 && s != L1 && s != LATE;
}

static const engine_case cases[] = {
    {"token trace, central", false, {NULL}, 0},
    {"load trace, central", true, {NULL}, 0},
    {"whole steps", true, {"workload.seq=0"}, 1},
    {"replicated", false, {"emulation.coordination=replicated"}, 1},
    {"f32", false, {"emulation.dtype=f32"}, 1},
    {"exact", false, {"emulation.ffn=exact"}, 1},
    {"none", false, {"emulation.ffn=none"}, 1},
    {"no barriers", false, {"emulation.sync=none"}, 1},
    {"paced",
     false,
     {"emulation.ffn=paced", "emulation.attention=paced",
      "emulation.dilation=100"},
     3},
    {"experts paced, replicated, thread",
     true,
     {"emulation.ffn=paced", "emulation.coordination=replicated",
      "emulation.progress=thread", "strategies.oracle.planner=balance",
      "emulation.dilation=100"},
     5},
    {"rebalance every 3", true, {"emulation.rebalance_every=3"}, 1},
    {"some layers", false, {"workload.layers=0,2"}, 1},
    {"two tokens", false, {"workload.batch=1", "workload.seq=2"}, 2},
    {"home experts move",
     false,
     {"strategies.oracle.planner=balance", "strategies.oracle.split=minmax",
      "strategies.dim.planner=eplb", "strategies.l1.planner=eplb",
      "strategies.l1.split=minmax", "emulation.ffn=exact"},
     6},
    {"each rank deals its own",
     false,
     {"strategies.oracle.planner=eplb", "strategies.oracle.split=deal",
      "strategies.distribution.split=deal", "strategies.l1.planner=balance",
      "strategies.l1.split=deal", "emulation.ffn=exact"},
     6},
    {"home experts move, replicated",
     true,
     {"strategies.oracle.planner=balance", "strategies.dim.planner=eplb",
      "strategies.l1.planner=timed", "strategies.distribution.planner=timed",
      "emulation.coordination=replicated"},
     5},
};

static moe_status bench_init_with(bench *b, const engine_case *c,
                                  const moe_predictor *predictor)
{
    return bench_init_on(&test_ctx, b, c, experiment_text, predictor);
}

static moe_status bench_init(bench *b, const engine_case *c)
{
    return bench_init_with(b, c, NULL);
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

START_TEST(every_strategy_routes_exactly)
{
    bench b;
    moe_status s = bench_init(&b, &cases[_i]);
    s = s == MOE_OK ? bench_run(&b) : s;
    const bool floats = strcmp(b.x.emulation.ffn, "dnnl") == 0;
    const moe_validation v =
        s == MOE_OK ? *moe_engine_validation(b.engine) : (moe_validation){0};
    bench_fini(&b);
    ck_assert_msg(s == MOE_OK, "%s: %s", cases[_i].name, test_ctx.err.text);
    ck_assert(v.passed);
    ck_assert_int_eq(isnan(v.max_output_error), !floats);
}
END_TEST

/* To compare what runs at different rank counts recorded. */
static uint64_t digest(uint64_t h, const void *data, size_t bytes)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < bytes; i++)
        h = moe_hash_add(h, p[i]);
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
    uint64_t h = MOE_HASH_START;
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

/* An experiment with one strategy per predictor that token traces allow;
 * `file` gets predictions of its own. */
static const char *every_predictor(void)
{
    static char text[4096], path[512];
    int at = snprintf(text, sizeof text,
                      "model: tiny\ncluster: tiny\ntrace: tiny\n"
                      "workload: {batch: 2, seq: 30, iterations: 4, warmup: "
                      "2, seed: 3}\n"
                      "emulation: {scale: 1}\nstrategies:\n"
                      "  - {name: baseline}\n");
    snprintf(path, sizeof path, "%s/experts.h5", test_dir);
    for (size_t i = 0; moe_predictor_at(i) != NULL; i++) {
        const moe_predictor *p = moe_predictor_at(i);
        if (strcmp(p->name, "none") == 0 || p->train != NULL)
            continue;
        at += snprintf(text + at, sizeof text - (size_t)at,
                       "  - {name: %s, predictor: %s, planner: duplicate, "
                       "slots: 9%s%s}\n",
                       p->name, p->name, p->file != NULL ? ", path: " : "",
                       p->file != NULL ? path : "");
    }
    at += snprintf(text + at, sizeof text - (size_t)at,
                   "  - {name: soft, predictor: token, collects: "
                   "probabilities, planner: duplicate, slots: 9}\n");
    if (test_ctx.rank == 0) {
        const moe_model model = fixture_model();
        moe_trace t = fixture_tokens(&model);
        const hsize_t dims[3] = {(hsize_t)t.layers, t.n_tokens, 2};
        hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
        hid_t space = H5Screate_simple(3, dims, NULL);
        hid_t set = H5Dcreate2(file, "experts", H5T_STD_U16LE, space,
                               H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        H5Dwrite(set, H5T_NATIVE_UINT16, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                 t.experts_of);
        H5Dclose(set);
        H5Sclose(space);
        H5Fclose(file);
        moe_trace_free(&t);
    }
    moe_agree(&test_ctx);
    return text;
}

START_TEST(every_predictor_says_the_same_on_any_ranks)
{
    const engine_case c = {"", false, {NULL}, 0};
    const char *text = every_predictor();
    moe_ctx alone;
    bench all, one;
    moe_ctx_init(&alone, MPI_COMM_SELF);
    moe_status s = bench_init_on(&test_ctx, &all, &c, text, NULL);
    s = s == MOE_OK ? bench_run(&all) : s;
    moe_status t = bench_init_on(&alone, &one, &c, text, NULL);
    t = t == MOE_OK ? bench_run(&one) : t;
    const moe_ledger_dims d = all.ledger.dims;
    int differs = -1;
    for (int i = 0;
         test_ctx.rank == 0 && s == MOE_OK && t == MOE_OK && i < d.strategies;
         i++) {
        const size_t n = (size_t)(d.iterations * d.layers * d.experts);
        const size_t at = moe_ledger_at(&all.ledger, i, 0, 0);
        if (i > 0 && memcmp(all.ledger.predicted_pairs + (size_t)i * n,
                            one.ledger.predicted_pairs + (size_t)i * n,
                            n * sizeof(double)) != 0)
            differs = i;
        for (int j = 0; j < d.iterations * d.layers; j++)
            if (!(isnan(all.ledger.recall[at + (size_t)j]) &&
                  isnan(one.ledger.recall[at + (size_t)j])) &&
                all.ledger.recall[at + (size_t)j] !=
                    one.ledger.recall[at + (size_t)j])
                differs = i;
    }
    const char *name = differs >= 0 ? all.x.strategy[differs].name : "";
    char said[64];
    snprintf(said, sizeof said, "%s", name);
    bench_fini(&all);
    bench_fini(&one);
    moe_ctx_fini(&alone);
    ck_assert_msg(s == MOE_OK, "%s", test_ctx.err.text);
    ck_assert_int_eq(t, MOE_OK);
    ck_assert_msg(differs < 0, "%s", said);
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
        h = digest(h, b.ledger.slot_quota, n * sizeof(double));
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

/* Plans of one layer at a time are those of all at once. */
static const struct {
    engine_case all, ahead;
    int least_ranks;
} lookaheads[] = {
    {{"central", false, {NULL}, 0},
     {"central",
      false,
      {"strategies.distribution.lookahead=1", "strategies.oracle.lookahead=2",
       "strategies.dim.lookahead=1", "strategies.l1.lookahead=1",
       "strategies.late.lookahead=3", "strategies.near.lookahead=1"},
      6},
     1},
    {{"replicated",
      false,
      {"emulation.coordination=replicated",
       "strategies.oracle.planner=balance"},
      2},
     {"replicated",
      false,
      {"emulation.coordination=replicated", "strategies.oracle.planner=balance",
       "strategies.oracle.lookahead=1", "strategies.l1.lookahead=2"},
      4},
     1},
    {{"rank of its own, rarely",
      true,
      {"emulation.coordinator=dedicated", "emulation.rebalance_every=3"},
      2},
     {"rank of its own, rarely",
      true,
      {"emulation.coordinator=dedicated", "emulation.rebalance_every=3",
       "strategies.distribution.lookahead=1", "strategies.oracle.lookahead=1",
       "strategies.wrong.lookahead=2"},
      5},
     2},
    {{"some layers", false, {"workload.layers=0,2"}, 1},
     {"some layers",
      false,
      {"workload.layers=0,2", "strategies.oracle.lookahead=1",
       "strategies.dim.lookahead=2"},
      3},
     1},
    {{"a round later", false, {"strategies.l1.plan_ahead=true"}, 1},
     {"a round later",
      false,
      {"strategies.l1.plan_ahead=true", "strategies.l1.lookahead=1"},
      2},
     1},
};

START_TEST(plans_do_not_depend_on_the_lookahead)
{
    moe_status s[2] = {MOE_OK, MOE_OK};
    uint64_t all = 0, ahead = 0;
    if (test_ctx.size >= lookaheads[_i].least_ranks) {
        all = plan_digest(&lookaheads[_i].all, &s[0]);
        ahead = plan_digest(&lookaheads[_i].ahead, &s[1]);
    }
    ck_assert_msg(s[0] + s[1] == MOE_OK, "%s: %s", lookaheads[_i].all.name,
                  test_ctx.err.text);
    ck_assert_uint_eq(all, ahead);
}
END_TEST

/* What happens in an iteration, in order: a digit for each layer that is
 * foretold, '/' where rows are addressed. */
static char happened[64];

static void note_foretold(void *state, const moe_batch *batch, int layer,
                          uint16_t *experts_out)
{
    const size_t n = strlen(happened);
    snprintf(happened + n, sizeof happened - n, "%d", layer);
    moe_predictor_find("oracle")->tokens(state, batch, layer, experts_out);
}

static void note_divided(void *state, const moe_split_input *in,
                         uint32_t *pairs_out)
{
    const size_t n = strlen(happened);
    snprintf(happened + n, sizeof happened - n, "/");
    moe_split_find("quota")->divide(state, in, pairs_out);
}

/* With direct routing rows are addressed as attention ends and again once the
 * layer is routed. */
static const struct {
    const char *lookahead;
    unsigned sees;
    const char *happens;
} orders[] = {
    {"strategies.near.lookahead=all", 0, "012//////"},
    {"strategies.near.lookahead=1", 0, "01//2////"},
    {"strategies.near.lookahead=2", 0, "012//////"},
    {"strategies.near.lookahead=1", MOE_SEES_LAYERS, "0/1//2///"},
    {"strategies.near.lookahead=2", MOE_SEES_LAYERS, "01/2/////"},
};

START_TEST(a_layer_is_foretold_beside_an_earlier_one)
{
    const engine_case c = {
        "", false, {orders[_i].lookahead, "strategies.near.split=quota"}, 2};
    moe_predictor oracle = *moe_predictor_find("oracle");
    moe_split quota = *moe_split_find("quota");
    bench b;
    oracle.tokens = note_foretold;
    oracle.sees |= orders[_i].sees;
    moe_status s = bench_init_with(&b, &c, &oracle);
    b.x.n_strategies = s == MOE_OK ? NEAR + 1 : 0;
    s = s == MOE_OK ? moe_engine_warm_up(b.engine, 0, &b.ledger) : s;
    quota.divide = note_divided;
    happened[0] = '\0';
    if (s == MOE_OK) {
        b.x.strategy[NEAR].split = &quota;
        s = moe_engine_measure(b.engine, 0, &b.ledger);
    }
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_OK);
    ck_assert_str_eq(happened, orders[_i].happens);
}
END_TEST

/* All layers at once, or each with the latency of its own collectives. */
START_TEST(a_lookahead_pays_for_the_collectives_of_every_layer)
{
    const engine_case c = {
        "", false, {"strategies.late.lookahead=1", "emulation.ffn=none"}, 2};
    bench b;
    moe_status s = bench_init(&b, &c);
    s = s == MOE_OK ? bench_run(&b) : s;
    const moe_ledger *m = &b.ledger;
    const moe_cost *cost = moe_cost_find("analytic");
    void *state = moe_cost_new(cost, &b.model, &b.cluster, NULL);
    const int gpus = m->dims.gpus, per_node = b.cluster.gpus_per_node;
    const moe_exchange everyone = {.gpus = gpus,
                                   .nodes = (gpus + per_node - 1) / per_node};
    const double layer_bytes = 8.0 * m->dims.experts;
    bool right = s == MOE_OK;
    for (int i = 0; right && gpus > 1 && i < m->dims.iterations; i++)
        for (int l = 0; l < m->dims.layers; l++) {
            const size_t x = moe_ledger_at(m, ORACLE, i, l) * MOE_N_PHASES;
            const size_t y = moe_ledger_at(m, LATE, i, l) * MOE_N_PHASES;
            const double all_s =
                l > 0
                    ? 0
                    : cost->tree(state, &everyone, m->dims.layers * layer_bytes)
                          .time_s;
            const double each_s =
                cost->tree(state, &everyone, layer_bytes).time_s;
            right = right &&
                    fabs(m->gpu[x + MOE_PHASE_COLLECT] - all_s) <= 1e-12 &&
                    fabs(m->gpu[y + MOE_PHASE_COLLECT] - each_s) <= 1e-12 &&
                    m->gpu[y + MOE_PHASE_PLAN] > 0 &&
                    m->gpu[y + MOE_PHASE_BROADCAST] > 0 &&
                    m->wall[y + MOE_PHASE_COLLECT] > 0;
        }
    moe_cost_free(cost, state);
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_OK);
    ck_assert(right);
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
        hidden_right = hidden_right &&
                       b.ledger.exposed[x] <= b.ledger.gpu[x] * (1 + 1e-12);
    }
    double hits = 0;
    for (int i = 0; s == MOE_OK && test_ctx.rank == 0 && i < d.iterations; i++)
        for (int l = 0; l < d.layers; l++) {
            size_t oracle = moe_ledger_at(&b.ledger, ORACLE, i, l);
            size_t dim = moe_ledger_at(&b.ledger, DIM, i, l);
            size_t l1 = moe_ledger_at(&b.ledger, L1, i, l);
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

static const engine_case regret_cases[] = {
    {"central", false, {NULL}, 0},
    {"load trace, rarely", true, {"emulation.rebalance_every=3"}, 1},
    {"minmax",
     false,
     {"strategies.distribution.split=minmax", "strategies.oracle.split=minmax",
      "strategies.dim.split=minmax", "strategies.l1.planner=balance",
      "strategies.l1.split=minmax"},
     5},
    {"replicated",
     false,
     {"strategies.dim.planner=timed", "strategies.l1.planner=relocate",
      "strategies.late.planner=eplb", "emulation.coordination=replicated"},
     4},
};

/* Pairs of a layer's busiest GPU, of this rank's own counts. Collective. */
static int32_t busiest_rank(const moe_ledger *m, size_t at)
{
    int32_t most = 0;
    MPI_Allreduce(&m->rank_pairs[at], &most, 1, MPI_INT32_T, MPI_MAX,
                  test_ctx.comm);
    return most;
}

/* Rank 0's levels of a layer, against what must hold for them. */
static bool levels_are_right(const bench *b, int s, int i, int l, int32_t most)
{
    const moe_ledger *m = &b->ledger;
    const moe_strategy *spec = &b->x.strategy[s];
    const size_t at = moe_ledger_at(m, s, i, l);
    int32_t x[MOE_N_LEVELS], pairs = 0;
    for (int v = 0; v < MOE_N_LEVELS; v++)
        x[v] = moe_ledger_busiest(m, (moe_level)v)[at];
    for (int e = 0; e < m->dims.experts; e++)
        pairs += m->true_pairs[(i * m->dims.layers + l) * m->dims.experts + e];
    const bool knew = strcmp(spec->predictor_name, "oracle") == 0 &&
                      (s == ORACLE || s == LATE) &&
                      b->x.emulation.rebalance_every == 1;
    bool right = x[MOE_LEVEL_ACTUAL] == most &&
                 x[MOE_LEVEL_ACTUAL] >= x[MOE_LEVEL_MINMAX] &&
                 x[MOE_LEVEL_MINMAX] >= x[MOE_LEVEL_BEST] &&
                 x[MOE_LEVEL_ORACLE_PLAN] >= x[MOE_LEVEL_BEST] &&
                 x[MOE_LEVEL_BEST] >= x[MOE_LEVEL_BOUND] &&
                 x[MOE_LEVEL_BOUND] * m->dims.gpus >= pairs;
    if (knew || strcmp(spec->planner_name, "static") == 0)
        right = right && x[MOE_LEVEL_MINMAX] == x[MOE_LEVEL_ORACLE_PLAN];
    /* Rows that went ahead stay where the prediction sent them. */
    if (strcmp(spec->split_name, "minmax") == 0 && !spec->direct)
        right = right && x[MOE_LEVEL_ACTUAL] == x[MOE_LEVEL_MINMAX];
    if (m->dims.gpus == 1)
        right = right && x[MOE_LEVEL_BOUND] == most;
    return right;
}

START_TEST(regrets_are_what_they_must_be)
{
    bench b;
    moe_status s = bench_init(&b, &regret_cases[_i]);
    s = s == MOE_OK ? bench_run(&b) : s;
    int wrong = 0, split = 0, foretold = 0, planner = 0;
    const moe_ledger *m = &b.ledger;
    for (int j = 0; s == MOE_OK && j < STRATEGIES; j++)
        for (int il = 0; il < m->dims.iterations * m->dims.layers; il++) {
            const size_t at = moe_ledger_at(m, j, 0, 0) + (size_t)il;
            const int32_t most = busiest_rank(m, at);
            if (test_ctx.rank != 0)
                continue;
            wrong += !levels_are_right(&b, j, il / m->dims.layers,
                                       il % m->dims.layers, most);
            split += moe_ledger_busiest(m, MOE_LEVEL_ACTUAL)[at] >
                     moe_ledger_busiest(m, MOE_LEVEL_MINMAX)[at];
            foretold += moe_ledger_busiest(m, MOE_LEVEL_MINMAX)[at] >
                        moe_ledger_busiest(m, MOE_LEVEL_ORACLE_PLAN)[at];
            planner += moe_ledger_busiest(m, MOE_LEVEL_ORACLE_PLAN)[at] >
                       moe_ledger_busiest(m, MOE_LEVEL_BEST)[at];
        }
    bench_fini(&b);
    ck_assert_msg(s == MOE_OK, "%s", test_ctx.err.text);
    ck_assert_int_eq(wrong, 0);
    if (test_ctx.rank == 0 && test_ctx.size > 1 && test_ctx.size < 8) {
        ck_assert_int_gt(split, 0); /* every stage loses something somewhere */
        ck_assert_int_gt(foretold, 0);
        ck_assert_int_gt(planner, 0);
    }
}
END_TEST

/* The planners that are asked about the truth are not those that plan. */
START_TEST(regrets_change_no_plan_and_can_be_left_out)
{
    const engine_case without = {"",
                                 false,
                                 {"emulation.regret=false",
                                  "strategies.dim.planner=timed",
                                  "strategies.l1.planner=balance"},
                                 3};
    engine_case with = without;
    with.sets[0] = "emulation.regret=true";
    moe_status s[3];
    const uint64_t a = plan_digest(&with, &s[0]);
    const uint64_t c = plan_digest(&without, &s[1]);
    bench b;
    s[2] = bench_init(&b, &without);
    s[2] = s[2] == MOE_OK ? bench_run(&b) : s[2];
    const moe_ledger_dims *d = &b.ledger.dims;
    bool empty = true;
    for (int j = 0; s[2] == MOE_OK && test_ctx.rank == 0 &&
                    j < d->strategies * d->iterations * d->layers;
         j++)
        for (int v = 0; v < MOE_N_LEVELS; v++)
            empty =
                empty && moe_ledger_busiest(&b.ledger, (moe_level)v)[j] == -1;
    bench_fini(&b);
    ck_assert_int_eq(s[0] + s[1] + s[2], MOE_OK);
    ck_assert_uint_eq(a, c);
    ck_assert(empty);
}
END_TEST

/* Bytes of one strategy that all GPUs sent. */
static int64_t sum_bytes(const moe_ledger *ledger, const int64_t *bytes, int s)
{
    int64_t sum = 0;
    for (int g = 0; g < ledger->dims.gpus; g++)
        sum += bytes[s * ledger->dims.gpus + g];
    MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_INT64_T, MPI_SUM, test_ctx.comm);
    return sum;
}

/* GPUs that share an attention: those that rows can ride to. */
static int group_of(const bench *b)
{
    const moe_pricer pricer = {
        .model = &b->model,
        .layout = {b->ledger.dims.gpus, b->cluster.gpus_per_node}};
    return moe_layer_attention_gpus(&pricer);
}

/* Bytes of this rank to GPUs within its group, or to the others. */
static int64_t bytes_to(const bench *b, const int64_t *bytes, int s, bool own)
{
    const int group = group_of(b), gpus = b->ledger.dims.gpus;
    int64_t sum = 0;
    for (int g = 0; g < gpus; g++)
        if ((g / group == test_ctx.rank / group) == own)
            sum += bytes[s * gpus + g];
    return sum;
}

/* What was foretold right is in place where rows can ride to, and the rest alone
 * is dispatched. */
START_TEST(direct_routing_dispatches_what_was_foretold_wrong)
{
    bench b;
    moe_status status = bench_init(&b, &cases[_i]);
    status = status == MOE_OK ? bench_run(&b) : status;
    const moe_ledger_dims d = b.ledger.dims;
    const double row = b.model.hidden * 2.0;
    double sent[STRATEGIES] = {0}, ahead[STRATEGIES] = {0};
    double pairs = 0, wrong[STRATEGIES] = {0};
    double away[STRATEGIES], charged[STRATEGIES] = {0};
    bool same = true, near = true;
    const bool all_ride = group_of(&b) == d.gpus;
    for (int s = 0; status == MOE_OK && s < STRATEGIES; s++) {
        near = near && bytes_to(&b, b.ledger.ahead_bytes, s, false) == 0 &&
               (s != ORACLE ||
                bytes_to(&b, b.ledger.dispatch_bytes, s, true) == 0);
        sent[s] = (double)sum_bytes(&b.ledger, b.ledger.dispatch_bytes, s);
        ahead[s] = (double)sum_bytes(&b.ledger, b.ledger.ahead_bytes, s);
        b.ledger.ahead_bytes[s * d.gpus + test_ctx.rank] = 0;
        away[s] = (double)sum_bytes(&b.ledger, b.ledger.ahead_bytes, s);
        for (int i = 0; test_ctx.rank == 0 && i < d.iterations; i++)
            for (int l = 0; l < d.layers; l++) {
                const size_t at = moe_ledger_at(&b.ledger, s, i, l);
                const double placed = b.ledger.in_place[at];
                double all = 0;
                for (int e = 0; e < d.experts; e++)
                    all +=
                        b.ledger.true_pairs[(i * d.layers + l) * d.experts + e];
                const double recall = b.ledger.recall[at];
                same = same && (!is_direct(s) ? isnan(placed)
                                : all_ride    ? placed == recall
                                              : placed <= recall &&
                                                 (placed > 0 || recall == 0));
                charged[s] += b.ledger.ahead_rows[at] * all / b.model.top_k;
                wrong[s] += all * (is_direct(s) ? 1 - placed : 1);
                pairs += s == 0 ? all : 0;
            }
    }
    bench_fini(&b);
    ck_assert_int_eq(status, MOE_OK);
    ck_assert(same);
    ck_assert(near);
    for (int s = 0; test_ctx.rank == 0 && s < STRATEGIES; s++) {
        ck_assert_double_eq_tol(sent[s], wrong[s] * row, 0.5 * row);
        /* A row for a token and GPU: experts of a token share it. */
        ck_assert(is_direct(s) ? ahead[s] > 0 && ahead[s] < pairs * row
                               : !(ahead[s] > 0));
        ck_assert_double_eq_tol(away[s], charged[s] * row, 0.5 * row);
        if (d.gpus == 1 && is_direct(s)) /* one row for each token */
            ck_assert_double_eq(ahead[s], pairs / b.model.top_k * row);
    }
    if (all_ride)
        ck_assert_double_eq(sent[ORACLE], 0);
    if (test_ctx.rank == 0)
        ck_assert_double_eq(sent[WRONG], pairs * row);
}
END_TEST

/* Equal plans and right predictions: rows end up in the same places. The scatter
 * that ends attention takes longer by the rows that ride with it; of dispatch
 * the numbering of pairs is left, and where all rows ride nothing else. */
START_TEST(a_right_prediction_saves_dispatch_and_lengthens_the_scatter)
{
    bench b;
    moe_status s = bench_init(&b, &cases[0]);
    s = s == MOE_OK ? bench_run(&b) : s;
    const moe_ledger *m = &b.ledger;
    const int tp = group_of(&b), gpus = m->dims.gpus;
    const moe_cost *cost = moe_cost_find("analytic");
    void *state = moe_cost_new(cost, &b.model, &b.cluster, NULL);
    const moe_exchange group = {.gpus = tp, .nodes = 1};
    const int groups = gpus / tp; /* that share 2 sequences of 30 tokens */
    const double reduce_s =
        tp < 2 ? 0
               : cost->allreduce(state, &group,
                                 (groups < 2 ? 60.0 : 30.0) *
                                     moe_model_row_bytes(&b.model))
                     .time_s;
    bool alike = s == MOE_OK, saved = alike, rides = alike;
    for (int i = 0; s == MOE_OK && i < m->dims.iterations; i++)
        for (int l = 0; l < m->dims.layers; l++) {
            const size_t x = moe_ledger_at(m, ORACLE, i, l);
            const size_t y = moe_ledger_at(m, LATE, i, l);
            const double *direct = m->gpu + x * MOE_N_PHASES;
            const double *late = m->gpu + y * MOE_N_PHASES;
            alike = alike && m->rank_pairs[x] == m->rank_pairs[y];
            for (int p = 0; p < MOE_N_PHASES; p++)
                if (p != MOE_PHASE_DISPATCH && p != MOE_PHASE_ATTENTION &&
                    p != MOE_PHASE_PLAN)
                    alike = alike && direct[p] == late[p];
            if (test_ctx.rank != 0)
                continue;
            const double longer_s =
                direct[MOE_PHASE_ATTENTION] - late[MOE_PHASE_ATTENTION];
            rides = rides && m->ahead_rows[y] == 0 &&
                    (m->ahead_rows[x] > 0) == (tp > 1) &&
                    fabs(longer_s - m->ahead_rows[x] / 2 * reduce_s) <
                        1e-9 * late[MOE_PHASE_ATTENTION];
            const moe_exchange all = {.gpus = gpus,
                                      .nodes =
                                          (gpus + b.cluster.gpus_per_node - 1) /
                                          b.cluster.gpus_per_node};
            const double number_s =
                gpus < 2 ? 0
                         : cost->allreduce(state, &all, 8.0 * m->dims.experts)
                               .time_s;
            saved = saved && m->numbered[x] == 2 * m->numbered[y] &&
                    (tp < gpus ||
                     fabs(direct[MOE_PHASE_DISPATCH] -
                          m->numbered[x] * number_s) < 1e-9 * number_s + 1e-30);
        }
    moe_cost_free(cost, state);
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_OK);
    ck_assert(alike);
    ck_assert(rides);
    ck_assert(saved);
}
END_TEST

/* As if the oracle were to be computed. */
static int some_work(const void *state, double tokens, double sequences,
                     moe_gemm_run *runs_out)
{
    (void)state;
    runs_out[0] = (moe_gemm_run){{tokens, 64, 128, false}, 1};
    runs_out[1] = (moe_gemm_run){{sequences, 32, 64, false}, 20};
    return 2;
}

/* Of the products for the GPU's own tokens, none of which attention hides. */
START_TEST(the_gpu_clock_pays_for_the_predictor)
{
    moe_predictor worker = *moe_predictor_find("oracle");
    worker.work = some_work;
    bench b;
    moe_status s = bench_init_with(&b, &cases[0], &worker);
    s = s == MOE_OK ? bench_run(&b) : s;
    const moe_cost *cost = moe_cost_find("analytic");
    void *state = moe_cost_new(cost, &b.model, &b.cluster, NULL);
    const int tokens = 60, sequences = 2, n = test_ctx.size; /* of a batch */
    const double own =
        (tokens * (test_ctx.rank + 1)) / n - (tokens * test_ctx.rank) / n;
    moe_gemm_run runs[2];
    some_work(NULL, own, sequences * own / tokens, runs);
    const double expected = cost->gemm(state, &runs[0].shape).time_s +
                            20 * cost->gemm(state, &runs[1].shape).time_s;
    double took = NAN, exposed = NAN, free_s = NAN;
    if (s == MOE_OK) {
        const size_t at = moe_ledger_at(&b.ledger, NEAR, 1, 1) * MOE_N_PHASES;
        const size_t other = moe_ledger_at(&b.ledger, HOME, 1, 1);
        took = b.ledger.gpu[at + MOE_PHASE_PREDICT];
        exposed = b.ledger.exposed[at + MOE_PHASE_PREDICT];
        free_s = b.ledger.gpu[other * MOE_N_PHASES + MOE_PHASE_PREDICT];
    }
    moe_cost_free(cost, state);
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_OK);
    ck_assert_double_gt(expected, 0);
    ck_assert_double_eq_tol(took, expected, 1e-9 * expected);
    ck_assert_double_eq_tol(exposed, took, 1e-12 * took);
    ck_assert_double_eq(free_s, 0);
}
END_TEST

/* A plan may serve several iterations, but which rows go ahead is foretold
 * anew in each. */
START_TEST(tokens_are_foretold_between_plans_too)
{
    const engine_case rare = {"", false, {"emulation.rebalance_every=3"}, 1};
    bench b;
    moe_status s = bench_init(&b, &rare);
    s = s == MOE_OK ? bench_run(&b) : s;
    const moe_ledger *m = &b.ledger;
    bool right = true;
    /* Iterations 1..4 are measured; 3 is the one with a plan. */
    for (int i = 0; s == MOE_OK && i < m->dims.iterations; i++) {
        const size_t x = moe_ledger_at(m, ORACLE, i, 0);
        const size_t y = moe_ledger_at(m, LATE, i, 0);
        right = right && (m->gpu[x * MOE_N_PHASES + MOE_PHASE_COLLECT] > 0) ==
                             (i == 2 && m->dims.gpus > 1);
        if (test_ctx.rank == 0)
            right = right && m->in_place[x] > 0 &&
                    (m->in_place[x] == 1 || group_of(&b) < m->dims.gpus) &&
                    isnan(m->recall[y]) == (i != 2);
    }
    bench_fini(&b);
    ck_assert_int_eq(s, MOE_OK);
    ck_assert(right);
}
END_TEST

static const char *const spoiled[] = {
    "strategies=[{name: a}]",
    "strategies=[{name: a, predictor: oracle}]",              /* kept rows */
    "strategies=[{name: a, predictor: oracle, accuracy: 0}]", /* new ones */
};

START_TEST(a_corrupted_row_is_found)
{
    const engine_case c = {"", false, {spoiled[_i]}, 1};
    bench b;
    moe_status s = bench_init(&b, &c);
    const int last =
        test_ctx.size < b.model.experts ? test_ctx.size : b.model.experts;
    test_ctx.injection = (moe_injection){true, MOE_SITE_CHECK, last - 1};
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

/* Ranks that plan for themselves must agree, or rows would go where nobody
 * waits for them. */
START_TEST(plans_that_differ_end_the_run)
{
    bench b;
    const engine_case c = {"", false, {"emulation.coordination=replicated"}, 1};
    test_ctx.injection =
        (moe_injection){true, MOE_SITE_DIFFER, test_ctx.size - 1};
    moe_status s = bench_init(&b, &c);
    s = s == MOE_OK ? bench_run(&b) : s;
    test_ctx.injection.armed = false;
    bench_fini(&b);
    ck_assert_int_eq(s, test_ctx.size > 1 ? MOE_INVALID : MOE_OK);
    if (test_ctx.size > 1)
        ck_assert_ptr_nonnull(
            strstr(test_ctx.err.text, "different plans of equal loads"));
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
    MOE_TEST(suite, every_predictor_says_the_same_on_any_ranks);
    MOE_TEST(suite, plans_are_the_same_again_and_replicated);
    MOE_TEST_LOOP(suite, plans_do_not_depend_on_the_lookahead,
                  MOE_ARRAY_LEN(lookaheads));
    MOE_TEST_LOOP(suite, a_layer_is_foretold_beside_an_earlier_one,
                  MOE_ARRAY_LEN(orders));
    MOE_TEST(suite, a_lookahead_pays_for_the_collectives_of_every_layer);
    MOE_TEST(suite, the_ledger_is_complete_and_consistent);
    MOE_TEST_LOOP(suite, regrets_are_what_they_must_be,
                  MOE_ARRAY_LEN(regret_cases));
    MOE_TEST(suite, regrets_change_no_plan_and_can_be_left_out);
    MOE_TEST_LOOP(suite, direct_routing_dispatches_what_was_foretold_wrong, 2);
    MOE_TEST(suite,
             a_right_prediction_saves_dispatch_and_lengthens_the_scatter);
    MOE_TEST(suite, the_gpu_clock_pays_for_the_predictor);
    MOE_TEST(suite, tokens_are_foretold_between_plans_too);
    MOE_TEST_LOOP(suite, a_corrupted_row_is_found, MOE_ARRAY_LEN(spoiled));
    MOE_TEST_LOOP(suite, an_injected_fault_ends_all_ranks,
                  MOE_ARRAY_LEN(sites));
    MOE_TEST(suite, plans_that_differ_end_the_run);
    MOE_TEST_LOOP(suite, bad_combinations_are_refused, MOE_ARRAY_LEN(refused));
    return suite;
}
