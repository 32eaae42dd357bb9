/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/advise.h"
#include "moegps/mem.h"
#include "moegps/synth.h"

enum { MOST = 8 };

/* A model and a trace, and what is tried on it. */
typedef struct {
    moe_model model;
    moe_cluster cluster;
    moe_trace trace;
    moe_search_predictor predictor[MOST];
    void *owned[MOST];
    const moe_planner *planner[MOST];
    int spare[MOST], interval[MOST];
    moe_search_params p;
} setting;

static void add_predictor(setting *s, const char *name, int window)
{
    char text[16];
    moe_error err = {0};
    const moe_predictor *p = moe_predictor_find(name);
    void *params = moe_array_new(1, p->params_size, &err);
    if (p->opts != NULL)
        moe_opt_defaults(p->opts, params);
    snprintf(text, sizeof text, "%d", window);
    if (window > 0)
        moe_opt_parse(moe_opt_find(p->opts, "iterations"), text, params, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    const int i = s->p.n_predictors++;
    s->owned[i] = params;
    s->predictor[i] = (moe_search_predictor){
        .predictor = p, .params = params, .window = window};
    snprintf(s->predictor[i].label, sizeof s->predictor[i].label, "%s%d", name,
             window);
}

/* Loads that wander. @param drift  sd of a step */
static setting make_long(int steps, int layers, int experts, double sigma,
                         double drift, const char *cluster)
{
    static const char *const planners[] = {"eplb", "balance", "relocate"};
    static const int spares[] = {0, 1, 2}, intervals[] = {1, 2, 5};
    setting s = {.trace.shared = MPI_WIN_NULL};
    moe_error err = {0};
    moe_synth_params how;
    moe_opt_defaults(moe_synth_options, &how);
    how.kind = MOE_TRACE_LOADS;
    snprintf(how.model, sizeof how.model, "%s", "mixtral-8x7b");
    how.layers = layers;
    how.experts = experts;
    how.top_k = 2;
    how.seqs = steps;
    how.tokens = 4096;
    how.sigma = sigma;
    how.drift = drift;
    how.noise = sigma > 0;
    snprintf(how.split, sizeof how.split, "tail=0.7");
    moe_model_read("mixtral-8x7b", &s.model, &err);
    moe_cluster_read(cluster, &s.cluster, &err);
    moe_synth(&how, &s.trace, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    s.model.layers = layers;
    s.model.experts = experts;
    s.p.n_planners = MOE_ARRAY_LEN(planners);
    for (size_t i = 0; i < MOE_ARRAY_LEN(planners); i++)
        s.planner[i] = moe_planner_find(planners[i]);
    s.p.n_spares = MOE_ARRAY_LEN(spares);
    memcpy(s.spare, spares, sizeof spares);
    s.p.n_intervals = MOE_ARRAY_LEN(intervals);
    memcpy(s.interval, intervals, sizeof intervals);
    add_predictor(&s, "distribution", 0);
    add_predictor(&s, "window", 8);
    add_predictor(&s, "window", 1);
    return s;
}

static setting make(int layers, int experts, double sigma, double drift,
                    const char *cluster)
{
    return make_long(50, layers, experts, sigma, drift, cluster);
}

/* Point the params at the setting's own arrays, which may have moved. */
static moe_search_params params_of(setting *s)
{
    moe_search_params p = s->p;
    p.model = &s->model;
    p.cluster = &s->cluster;
    p.trace = &s->trace;
    p.gpus = 4;
    p.batch = 1;
    p.seq_tokens = 512;
    p.warmup = 1;
    p.seed = 1;
    p.quiet = true;
    p.predictor = s->predictor;
    p.planner = s->planner;
    p.spare = s->spare;
    p.interval = s->interval;
    return p;
}

static moe_search search(const moe_search_params *p)
{
    moe_error err = {0};
    moe_search found;
    moe_search_run(p, &found, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    return found;
}

static void release(setting *s)
{
    for (int i = 0; i < s->p.n_predictors; i++)
        free(s->owned[i]);
    moe_trace_free(&s->trace);
}

/* Every combination alone, with all layers. The interval that is longest
 * decides how many batches walk: the same for all.
 * @param out  [..] @return how many. */
static int search_one_by_one(setting *s, moe_search_point *out)
{
    const moe_search_params all = params_of(s);
    int n = 0;
    for (int a = 0; a < all.n_predictors; a++)
        for (int b = 0; b < all.n_planners; b++)
            for (int c = 0; c < all.n_spares; c++)
                for (int d = 0; d < all.n_intervals; d++) {
                    const int every[] = {all.interval[d],
                                         all.interval[all.n_intervals - 1]};
                    const bool once = all.predictor[a].predictor->constant;
                    if ((all.spare[c] > 0 && !all.planner[b]->copies) ||
                        (once && d > 0))
                        continue;
                    moe_search_params p = all;
                    p.predictor += a;
                    p.planner += b;
                    p.spare += c;
                    p.interval = every;
                    p.n_predictors = p.n_planners = p.n_spares = 1;
                    p.n_intervals = every[0] < every[1] ? 2 : 1;
                    p.layers = s->trace.layers;
                    moe_search found = search(&p);
                    for (int i = 0; i < found.n_points; i++) {
                        moe_search_point x = found.point[i];
                        if (!once && x.every != every[0])
                            continue;
                        x.predictor = a;
                        x.planner = b;
                        x.spare = c;
                        out[n++] = x;
                    }
                    moe_search_fini(&found);
                }
    return n;
}

static const moe_search_point *fastest_of(const moe_search_point *x, int n)
{
    const moe_search_point *best = x;
    for (int i = 1; i < n; i++)
        if (x[i].layer_s < best->layer_s)
            best = &x[i];
    return best;
}

static const struct {
    double sigma, drift;
    const char *cluster;
} grids[] = {{0.8, 0.15, "a100-nvlink"},
             {0.8, 0.05, "a100-nvlink"},
             {1.2, 0.15, "l40s-pcie"},
             {0.6, 0, "h100-nvlink"},
             {0.8, 0.4, "b200-nvlink"}};

/* All layers are looked at: what it finds is the best of the whole grid. */
START_TEST(finds_the_best_of_the_whole_grid)
{
    moe_search_point one[256];
    setting s =
        make(2, 16, grids[_i].sigma, grids[_i].drift, grids[_i].cluster);
    moe_search_params p = params_of(&s);
    p.layers = 2;
    moe_search found = search(&p);
    const int n = search_one_by_one(&s, one);
    const moe_search_point *best = fastest_of(one, n);
    ck_assert_int_eq(n, found.n_points);
    ck_assert_double_eq_tol(found.point[found.best].layer_s, best->layer_s,
                            1e-12);
    const moe_search_point *simplest = NULL;
    for (int i = 0; i < n; i++)
        if (one[i].layer_s <= 1.01 * best->layer_s &&
            (simplest == NULL || moe_search_compare(&one[i], simplest) < 0))
            simplest = &one[i];
    if (best->layer_s * 1.01 < best->base_s) {
        ck_assert_int_ge(found.simplest, 0);
        ck_assert_int_eq(
            moe_search_compare(&found.point[found.simplest], simplest), 0);
    } else {
        ck_assert_int_eq(found.simplest, -1);
    }
    ck_assert_int_eq(found.point[found.placement].spare, 0);
    for (int i = 0; i < n; i++)
        if (one[i].spare == 0)
            ck_assert_double_ge(one[i].layer_s,
                                found.point[found.placement].layer_s - 1e-12);
    moe_search_fini(&found);
    release(&s);
}
END_TEST

/* Of many layers few are looked at first: what is recommended is as good. */
START_TEST(few_layers_first_find_as_good_a_one)
{
    moe_search_point one[256];
    setting s =
        make(10, 16, grids[_i].sigma, grids[_i].drift, grids[_i].cluster);
    moe_search_params p = params_of(&s);
    moe_search found = search(&p);
    const moe_search_point *best = fastest_of(one, search_one_by_one(&s, one));
    ck_assert_int_eq(found.point[found.best].layers, 10);
    for (int i = 0; i < p.n_spares; i++) /* a table has one kind of gains */
        ck_assert_int_eq(found.point[moe_search_fastest(&found, i, -1)].layers,
                         10);
    for (int i = 0; i < p.n_intervals; i++)
        ck_assert_int_eq(
            found.point[moe_search_fastest(&found, -1, p.interval[i])].layers,
            10);
    ck_assert_double_le(found.point[found.best].layer_s, best->layer_s * 1.01);
    if (found.simplest >= 0)
        ck_assert_double_le(found.point[found.simplest].layer_s,
                            found.point[found.best].layer_s * 1.01);
    moe_search_fini(&found);
    release(&s);
}
END_TEST

/* Without copies and under the same plans, the walk of `advise --predictor`
 * prices the same; it has the tokens of every GPU where this one has equal
 * mixes. */
START_TEST(agrees_with_the_walk_that_a_run_agrees_with)
{
    setting s = make(6, 16, 0.8, 0.15, "a100-nvlink");
    s.cluster.planner_step_s *= 3000; /* so that it shows when plans are made */
    moe_search_params p = params_of(&s);
    p.n_spares = 1;
    p.n_planners = 1;
    p.phases = 1;
    p.layers = 6;
    p.lookahead = _i;
    moe_search found = search(&p);
    moe_advise_params a;
    moe_advise_params_init(&a);
    a.model = p.model;
    a.cluster = p.cluster;
    a.trace = p.trace;
    a.planner = s.planner[0];
    a.predictor = s.predictor[1].predictor;
    a.predictor_params = s.predictor[1].params;
    a.gpus = p.gpus;
    a.batch = 1;
    a.seq = 0;
    a.seq_tokens = p.seq_tokens;
    a.slots = 4;
    a.samples = found.batches;
    a.dials.lookahead = p.lookahead;
    moe_advise_interval walked[3];
    moe_error err = {0};
    moe_advise_intervals(&a, s.interval, 3, walked, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    int seen = 0;
    for (int i = 0; i < found.n_points; i++)
        for (int w = 0; w < 3; w++) {
            const moe_search_point *x = &found.point[i];
            if (x->predictor != 1 || x->every != walked[w].every)
                continue;
            seen++;
            ck_assert_double_eq_tol(x->base_s / walked[w].layer_s[0], 1, 2e-3);
            ck_assert_double_eq_tol(
                x->layer_s / walked[w].layer_s[MOE_ADVISE_DISTRIBUTION], 1,
                3e-3);
            ck_assert_double_eq_tol(x->moved_bytes, walked[w].moved_bytes, 1);
            ck_assert_double_eq_tol(x->first_bytes, walked[w].first_bytes, 1);
        }
    ck_assert_int_eq(seen, 3);
    moe_search_fini(&found);
    release(&s);
}
END_TEST

/* What advice says of the same batches, which agrees with a run. */
static double advised_base_s(const moe_search_params *p, int batches)
{
    const int every = 1;
    moe_advise_params a;
    moe_advise_interval walked;
    moe_error err = {0};
    moe_advise_params_init(&a);
    a.model = p->model;
    a.cluster = p->cluster;
    a.trace = p->trace;
    a.serving = p->serving;
    a.gpus = p->gpus;
    a.batch = p->batch;
    a.seq = p->seq;
    a.samples = batches;
    moe_advise_intervals(&a, &every, 1, &walked, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    return walked.layer_s[MOE_ADVISE_BASELINE];
}

/* An iteration that decodes has the next token of each running sequence, over
 * what came before it: positions, or as many tokens as are told. */
START_TEST(a_token_trace_decodes_as_in_a_run)
{
    enum { RUNNING = 64 };
    const int kv_len[] = {0, 4000};
    double base_s[2];
    setting s = make(2, 16, 0.8, 0, "a100-nvlink");
    moe_synth_params how;
    moe_error err = {0};
    moe_opt_defaults(moe_synth_options, &how);
    how.kind = MOE_TRACE_TOKENS;
    snprintf(how.model, sizeof how.model, "%s", "mixtral-8x7b");
    how.layers = 2;
    how.experts = 16;
    how.top_k = 2;
    how.seqs = 400;
    how.tokens = 30;
    moe_trace_free(&s.trace);
    moe_synth(&how, &s.trace, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    moe_search_params p = params_of(&s);
    p.n_predictors = p.n_planners = p.n_spares = p.n_intervals = 1;
    p.seq_tokens = 0;
    p.batch = RUNNING;
    p.seq = 1;
    p.serving.phase = MOE_SERVE_DECODE;
    for (int i = 0; i < 2; i++) {
        int whole = 0;
        p.serving.kv_len = kv_len[i];
        moe_search found = search(&p);
        moe_search_count(&p, MOE_SEARCH_BATCHES, &whole, &err);
        ck_assert_int_eq(found.batches, whole - p.warmup);
        ck_assert_double_eq(found.tokens, RUNNING);
        ck_assert_double_eq(found.sequences, RUNNING);
        base_s[i] = found.point[0].base_s;
        ck_assert_double_eq_tol(base_s[i] / advised_base_s(&p, found.batches),
                                1, 5e-3);
        moe_search_fini(&found);
    }
    ck_assert_double_gt(base_s[1], 1.05 * base_s[0]);
    release(&s);
}
END_TEST

/* Copies take the memory of cached sequences: each slot of a GPU that much, until
 * weights do not fit, and of sequences that decode longer fewer fit. The rate is
 * of the largest batch, within what the exchange's kernel takes. */
START_TEST(copies_take_the_cache_of_sequences)
{
    const int kv_len[] = {500, 4000};
    setting s = make(2, 16, 0.8, 0.15, "a100-nvlink");
    moe_search_params p = params_of(&s);
    p.n_predictors = p.n_planners = p.n_intervals = 1;
    p.seq_tokens = 1;
    p.serving.phase = MOE_SERVE_DECODE;
    s.model.layers = 2;
    s.cluster.memory_bytes = 8e9;
    moe_search found[2];
    for (int i = 0; i < 2; i++) {
        p.serving.kv_len = kv_len[i];
        found[i] = search(&p);
        const moe_search_room *x = found[i].room;
        ck_assert_double_eq(found[i].cached, kv_len[i]);
        ck_assert_double_eq(found[i].own_batch, ceil(found[i].sequences));
        for (int r = 0; r < p.n_spares; r++) {
            ck_assert_double_eq_tol(x[0].room_bytes - x[r].room_bytes,
                                    p.spare[r] * found[i].slot_bytes,
                                    1e-6 * found[i].slot_bytes);
            ck_assert_double_eq(x[r].batch, x[r].sequences);
            ck_assert_double_gt(x[r].full_rate, 0);
            ck_assert_double_gt(x[r].rate, 0);
        }
        ck_assert_double_lt(x[2].sequences, x[0].sequences);
    }
    ck_assert_double_eq_tol(found[0].room[0].sequences,
                            8 * found[1].room[0].sequences, 8);
    /* few sequences leave experts' weights to be read for few tokens */
    ck_assert_double_lt(found[1].room[0].full_rate, found[0].room[0].full_rate);
    s.cluster.memory_bytes =
        found[0].home_slots * found[0].slot_bytes; /* no room */
    moe_search none = search(&p);
    ck_assert_double_lt(none.room[0].room_bytes, 0);
    ck_assert(isnan(none.room[0].full_rate));
    moe_search_fini(&none);
    p.serving = (moe_serving){.phase = MOE_SERVE_PREFILL};
    none = search(&p);
    ck_assert(isnan(none.room[0].full_rate));
    moe_search_fini(&none);
    moe_search_fini(&found[0]);
    moe_search_fini(&found[1]);
    release(&s);
}
END_TEST

/* Other deployments walk with their own prices, and the model's time is that of
 * its layers and the head. */
START_TEST(deployments_are_searched_with_their_own_prices)
{
    static const moe_serving of[] = {
        {.kv_len = 0},
        {.attention = MOE_SERVE_DATA, .exchange = MOE_SERVE_TOKENS},
        {.attention = MOE_SERVE_DATA, .exchange = MOE_SERVE_ALLGATHER}};
    double base_s[3];
    setting s = make(2, 16, 0.8, 0.15, "a100-nvlink");
    moe_search_params p = params_of(&s);
    p.n_predictors = p.n_planners = p.n_spares = p.n_intervals = 1;
    for (int i = 0; i < 3; i++) {
        p.serving = of[i];
        moe_search found = search(&p);
        base_s[i] = found.point[0].base_s;
        const moe_model_time *m = &found.base_model;
        ck_assert_double_eq_tol(m->time_s * m->share,
                                base_s[i] * p.model->layers, 1e-9);
        ck_assert_double_eq_tol(m->rate * m->time_s * p.gpus, found.tokens,
                                1e-6 * found.tokens);
        moe_search_fini(&found);
    }
    ck_assert_double_ne(base_s[0], base_s[1]);
    ck_assert_double_gt(base_s[2], base_s[1]);
    p.serving = (moe_serving){.overlap = MOE_SERVE_TWO_BATCH,
                              .attention = MOE_SERVE_DATA};
    p.gpus = 4096; /* no GPU has two sequences */
    moe_search none;
    moe_error err = {0};
    ck_assert_int_eq(moe_search_run(&p, &none, &err), MOE_USAGE);
    release(&s);
}
END_TEST

/* Of the passes of a step one pays for a plan; the others are served by it. */
START_TEST(a_plan_is_paid_in_one_pass_of_a_step)
{
    static const int passes[] = {1, 4, 1 << 20};
    double layer_s[3], moved[3];
    setting s = make(2, 16, 0.8, 0.15, "a100-nvlink");
    moe_search_params p = params_of(&s);
    p.predictor += 2; /* the last batch */
    p.interval += 2;  /* every 5 batches */
    p.planner += 1;   /* balance, which moves little */
    p.n_predictors = p.n_planners = p.n_spares = p.n_intervals = 1;
    for (int i = 0; i < 3; i++) {
        p.step_passes = passes[i];
        moe_search found = search(&p);
        ck_assert_int_eq(found.n_points, 1);
        ck_assert_int_eq(found.point[0].batches, found.batches);
        layer_s[i] = found.point[0].layer_s;
        moved[i] = found.point[0].moved_bytes;
        moe_search_fini(&found);
    }
    ck_assert(layer_s[0] > 1.01 * layer_s[2]);
    ck_assert_double_eq_tol(layer_s[1] / ((layer_s[0] + 3 * layer_s[2]) / 4), 1,
                            1e-5);
    ck_assert_double_eq_tol(moved[0] / (4 * moved[1]), 1, 1e-12);
    release(&s);
}
END_TEST

/* Planned more often, loads that wander are served better, until plans cost
 * more than they win. A few plans would hide that: which batches they are made
 * at tells as much. */
START_TEST(more_plans_win_until_they_cost_more)
{
    static const double NOISE = 0.005;
    static const int every[] = {1, 2, 5, 10, 20, 30};
    double gain[MOE_ARRAY_LEN(every)];
    const int n = MOE_ARRAY_LEN(every);
    setting s = make_long(216, 2, 8, 0.6, 0.15, "h100-nvlink");
    moe_search_params p = params_of(&s);
    p.interval = every;
    p.n_intervals = n;
    p.planner += 1; /* balance */
    p.n_planners = 1;
    p.predictor += 1; /* a window of 8 */
    p.n_predictors = 1;
    p.spare += _i;
    p.n_spares = 1;
    moe_search found = search(&p);
    int best = 0;
    ck_assert_int_eq(found.n_points, n);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            if (found.point[j].every == every[i])
                gain[i] = moe_search_gain(&found.point[j]);
    for (int i = 1; i < n; i++)
        best = gain[i] > gain[best] ? i : best;
    for (int i = 1; i < n; i++)
        ck_assert_msg(i <= best ? gain[i] > gain[i - 1] - NOISE
                                : gain[i] < gain[i - 1] + NOISE,
                      "%g %g %g %g %g %g", gain[0], gain[1], gain[2], gain[3],
                      gain[4], gain[5]);
    ck_assert_int_eq(found.point[0].every, every[best]);
    moe_search_fini(&found);
    release(&s);
}
END_TEST

static const moe_search_point *same_point(const moe_search *s,
                                          const moe_search_point *x)
{
    for (int i = 0; i < s->n_points; i++)
        if (moe_search_compare(&s->point[i], x) == 0)
            return &s->point[i];
    ck_abort_msg("no such combination");
}

/* Weights of the first plan are named and not charged: where they travel at a
 * snail's pace, plans that are made once take as long, and others longer. */
START_TEST(the_first_plan_is_charged_apart)
{
    setting s = make(2, 8, 0.6, 0.15, "a100-nvlink");
    moe_search_params p = params_of(&s);
    p.warmup = _i;
    p.layers = 2;
    moe_search quick = search(&p);
    s.cluster.migration_rate = 1e6;
    moe_search slow = search(&p);
    int once = 0, moved = 0;
    for (int i = 0; i < quick.n_points; i++) {
        const moe_search_point *a = &quick.point[i];
        const moe_search_point *b = same_point(&slow, a);
        ck_assert_double_eq(a->first_bytes, b->first_bytes);
        if (a->every == MOE_SEARCH_ONCE) {
            once += a->first_bytes > 0;
            ck_assert_double_eq(a->layer_s, b->layer_s);
            ck_assert_double_eq(a->moved_bytes, 0);
        } else if (b->moved_bytes > 0) {
            moved++;
            ck_assert_double_gt(b->layer_s, 1.1 * a->layer_s);
        }
    }
    ck_assert_int_gt(once, 0);
    ck_assert_int_gt(moved, 0);
    moe_search_fini(&quick);
    moe_search_fini(&slow);
    release(&s);
}
END_TEST

/* Even loads: nothing is to be won, and that is said. */
START_TEST(even_loads_are_left_alone)
{
    setting s = make(2, 16, 0, 0, "h100-nvlink");
    const moe_search_params p = params_of(&s);
    moe_search found = search(&p);
    ck_assert_int_eq(found.simplest, -1);
    moe_search_fini(&found);
    release(&s);
}
END_TEST

/* Loads that never change: one plan is as good as many. */
START_TEST(steady_loads_are_planned_once)
{
    setting s = make(2, 16, 0.8, 0, "a100-nvlink");
    moe_search_params p = params_of(&s);
    p.assumed = 0.9;
    moe_search found = search(&p);
    ck_assert_int_ge(found.simplest, 0);
    ck_assert_int_eq(found.point[found.simplest].every, MOE_SEARCH_ONCE);
    ck_assert_double_eq(found.point[found.simplest].moved_bytes, 0);
    ck_assert(found.point[found.simplest].first_bytes > 0);
    ck_assert(!isnan(found.assumed_gain));
    ck_assert(found.by_minmax >= 0 || found.point[found.simplest].spare == 0);
    for (int i = 0; i < found.n_points; i++)
        ck_assert_int_lt(found.point[i].predictor, p.n_predictors);
    moe_search_fini(&found);
    release(&s);
}
END_TEST

START_TEST(too_few_batches_are_refused)
{
    setting s = make(2, 16, 0.8, 0, "a100-nvlink");
    moe_search_params p = params_of(&s);
    moe_search found;
    moe_error err = {0};
    s.interval[2] = 8;
    ck_assert_int_eq(moe_search_run(&p, &found, &err), MOE_USAGE);
    ck_assert_msg(strstr(err.text, "need 41 batches, warm-up included; the "
                                   "trace's test part has 35") != NULL,
                  "%s", err.text);
    release(&s);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("search");
    MOE_TEST_LOOP(suite, finds_the_best_of_the_whole_grid,
                  MOE_ARRAY_LEN(grids));
    MOE_TEST_LOOP(suite, few_layers_first_find_as_good_a_one,
                  MOE_ARRAY_LEN(grids));
    MOE_TEST_LOOP(suite, agrees_with_the_walk_that_a_run_agrees_with, 2);
    MOE_TEST(suite, a_token_trace_decodes_as_in_a_run);
    MOE_TEST(suite, copies_take_the_cache_of_sequences);
    MOE_TEST(suite, deployments_are_searched_with_their_own_prices);
    MOE_TEST(suite, a_plan_is_paid_in_one_pass_of_a_step);
    MOE_TEST_LOOP(suite, more_plans_win_until_they_cost_more, 3);
    MOE_TEST_LOOP(suite, the_first_plan_is_charged_apart, 2);
    MOE_TEST(suite, even_loads_are_left_alone);
    MOE_TEST(suite, steady_loads_are_planned_once);
    MOE_TEST(suite, too_few_batches_are_refused);
    return suite;
}
