/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "keep.h"
#include "moegps/mem.h"
#include "moegps/value.h"
#include "peak.h"
#include "repair.h"
#include "repair.h"
#include "share_internal.h"
#include "steps.h"

/* Plans by the cost model's time of the slowest GPU: experts at their rows,
 * so that every replica with rows pays for reading its weights, and the
 * exchange of rows in and out.
 *
 * From the placement in force, steps that relieve the slowest GPU: move load
 * to a replica that is there; move an expert; swap two; make a replica. A
 * weight that has to travel counts with the part of its time that attention
 * does not hide, spread over the interval that the plan will be in force. The
 * result is taken if it saves more than `gate` of the time with the placement
 * in force; so noise moves nothing, and where weights are cheap to compute
 * and dear to read nothing is duplicated.
 *
 * Planning takes time itself, by the steps that are counted. No plan can be
 * expected to save more than the slowest GPU takes above the mean; of that, over
 * the interval, a search may cost WORTH at most. Where that is too little for
 * any, the plan in force stays as it is, for the price of looking. */

/* A step has to save this share of the slowest GPU's time. */
static const double STEP = 1e-4;
/* A replica less may cost this share of it. */
static const double LEAN = 1e-3;
/* Share of what a plan may save that the search for it may cost. */
static const double WORTH = 0.5;
enum {
    PARTNERS = 4,    /* fastest GPUs that a step considers */
    RANKED = 6,      /* steps that are priced, of those */
    ALL_RANKED = 24, /* and of all steps, when those did not help */
    MANY = 1024,     /* slots: with more, steps begin where pairs are even, */
    WORK = 1000 * 1000, /* and end after so many steps of planning */
    HEIRS = 8, /* replicas that may take the part of another one over */
    RANK = 4,  /* steps of planning that it takes to rank one */
    PRICE = 8  /* steps of pricing a slot, and an eighth of a GPU */
};

typedef struct {
    double gate;
} timed_params;

static const moe_opt options[] = {
    {.key = "gate",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "0.03",
     .min = 0,
     .max = 1,
     MOE_OPT_AT(timed_params, gate),
     .help = "share of the time of experts and exchange that moves must save"},
    {.key = NULL}};

/* Load of slot `from` goes to GPU `to`, or changes places with slot `with`. */
typedef struct {
    int from, to, with;
    int64_t amount;
    int64_t busier; /* pairs of the busier of both */
    double time_s;  /* of the slower of both GPUs, and of what travels */
} step;

typedef struct {
    moe_pricer pricer; /* what it points to is borrowed */
    double gate, sequences, interval, step_s;
    bool beside;
    double attention_s; /* of this load, hides what travels */
    double budget;      /* steps at which the search ends */
    moe_share *share;
    moe_repair repair;
    int64_t *load;           /* [experts] pairs */
    double *time_s;          /* [gpus] */
    moe_peak slow, fast;     /* [gpus] by time */
    double *sent, *received; /* [gpus][2] bytes of weights: node, network */
    step ranked[ALL_RANKED];
    int n_ranked, most_ranked;
    uint32_t *rows;  /* [slots + 1] of one GPU */
    bool *had;       /* [gpus][experts] in the placement in force */
    bool *near;      /* [nodes][experts] likewise */
    int *coming;     /* [gpus][2] weights to arrive: from the node, others */
    int16_t *expert; /* [gpus][slots] kept placement */
    int64_t *part;   /* [gpus][slots] of it */
    double *quota;   /* [gpus][slots] */
    moe_move *moves; /* [gpus * slots] */
    moe_replicas replicas;
} timed_state;

static size_t n_slots(const timed_state *s)
{
    return (size_t)s->share->gpus * (size_t)s->share->slots;
}

static moe_status init(void *state, const moe_planner_env *env,
                       const void *params, moe_error *err)
{
    timed_state *s = state;
    if (env->pricer == NULL)
        return moe_fail(err, MOE_USAGE,
                        "planner timed needs prices of a model on a cluster, "
                        "which are not given here");
    const size_t g = (size_t)env->layout.gpus, e = (size_t)env->experts;
    const size_t n = g * (size_t)env->slots;
    const size_t nodes = (size_t)moe_layout_nodes(&env->layout);
    s->pricer = *env->pricer;
    s->pricer.layout = env->layout;
    s->gate = ((const timed_params *)params)->gate;
    s->sequences = env->sequences > 0 ? env->sequences : 1;
    s->interval = env->interval > 0 ? env->interval : 1;
    s->step_s = env->constant ? 0 : env->step_s; /* one plan serves for ever */
    s->beside = env->beside;
    moe_error local = {0};
    s->share =
        moe_share_new(env->experts, env->layout.gpus, env->slots, &local);
    if (s->share != NULL)
        moe_repair_init(&s->repair, s->share, 1, &local);
    s->load = moe_array_new(e, sizeof *s->load, &local);
    s->time_s = moe_array_new(g, sizeof *s->time_s, &local);
    moe_peak_init(&s->slow, 1, env->layout.gpus, &local);
    moe_peak_init(&s->fast, 1, env->layout.gpus, &local);
    s->sent = moe_array_new(2 * g, sizeof *s->sent, &local);
    s->received = moe_array_new(2 * g, sizeof *s->received, &local);
    s->rows = moe_array_new((size_t)env->slots + 1, sizeof *s->rows, &local);
    s->had = moe_array_new(g * e, sizeof *s->had, &local);
    s->near = moe_array_new(nodes * e, sizeof *s->near, &local);
    s->coming = moe_array_new(2 * g, sizeof *s->coming, &local);
    s->expert = moe_array_new(n, sizeof *s->expert, &local);
    s->part = moe_array_new(n, sizeof *s->part, &local);
    s->quota = moe_array_new(n, sizeof *s->quota, &local);
    s->moves = moe_array_new(n, sizeof *s->moves, &local);
    moe_replicas_init(&s->replicas, env->experts, env->layout.gpus, env->slots,
                      &local);
    return moe_pass(err, &local);
}

static void fini(void *state)
{
    timed_state *s = state;
    moe_repair_fini(&s->repair);
    moe_share_free(s->share);
    free(s->load);
    free(s->time_s);
    moe_peak_fini(&s->slow);
    moe_peak_fini(&s->fast);
    free(s->sent);
    free(s->received);
    free(s->rows);
    free(s->had);
    free(s->near);
    free(s->coming);
    free(s->expert);
    free(s->part);
    free(s->quota);
    free(s->moves);
    moe_replicas_fini(&s->replicas);
}

/* ---- time ---- */

static uint32_t rows_of(int64_t part)
{
    return part < UINT32_MAX ? (uint32_t)part : UINT32_MAX;
}

/* A GPU's time if `slot` had another part and one more slot had `extra`.
 * @param slot  -1: none. */
static double time_with(timed_state *s, int gpu, int slot, int64_t part,
                        int64_t extra)
{
    moe_share *x = s->share;
    int64_t load = extra;
    x->steps += PRICE * (8 + (uint64_t)x->slots);
    for (int k = 0; k < x->slots; k++) {
        const int t = gpu * x->slots + k;
        const int64_t p = t == slot ? part : x->part[t];
        s->rows[k] = rows_of(p);
        load += p;
    }
    s->rows[x->slots] = rows_of(extra);
    return s->pricer.cost->ffn(s->pricer.state, s->rows, (size_t)x->slots + 1)
               .time_s +
           moe_value_exchange_s(&s->pricer, (double)load);
}

/* @return steps of pricing every GPU once. */
static double pricing_steps(const timed_state *s)
{
    return PRICE * (8.0 + s->share->slots) * s->share->gpus;
}

static double time_of(timed_state *s, int gpu)
{
    return time_with(s, gpu, -1, 0, 0);
}

/* Times as numbers with the same order. */
static int64_t order_of(double time_s)
{
    int64_t bits;
    memcpy(&bits, &time_s, sizeof bits);
    return bits;
}

static double slowest_time(timed_state *s)
{
    for (int g = 0; g < s->share->gpus; g++) {
        s->time_s[g] = time_of(s, g);
        s->slow.key[g] = order_of(s->time_s[g]);
        s->fast.key[g] = -s->slow.key[g];
    }
    moe_peak_begin(&s->slow);
    moe_peak_begin(&s->fast);
    return s->time_s[moe_peak_first(&s->slow, 0)];
}

/* After a GPU's parts have changed. */
static void time_anew(timed_state *s, int gpu)
{
    s->time_s[gpu] = time_of(s, gpu);
    moe_peak_set(&s->slow, gpu, order_of(s->time_s[gpu]));
    moe_peak_set(&s->fast, gpu, -order_of(s->time_s[gpu]));
}

/* What attention does not hide of weights that arrive at one GPU, per
 * iteration of the interval. */
static double exposed_time(const timed_state *s, double near_bytes,
                           double far_bytes)
{
    moe_exchange x = moe_pricer_everyone(&s->pricer);
    x.node_bytes = near_bytes;
    x.network_bytes = far_bytes;
    if (near_bytes + far_bytes <= 0)
        return 0;
    const double time_s = s->pricer.cost->transfer(s->pricer.state, &x).time_s;
    return fmax(0, time_s - s->attention_s) / s->interval;
}

static double arrival_time(const timed_state *s, int gpu, int more_near,
                           int more_far)
{
    const double bytes = moe_model_expert_bytes(s->pricer.model);
    return exposed_time(s, bytes * (s->coming[2 * gpu] + more_near),
                        bytes * (s->coming[2 * gpu + 1] + more_far));
}

/* Attention of a batch of this many pairs, as a run is charged; the reduction
 * that ends it needs the links. */
static double attention_time(const timed_state *s, double pairs)
{
    const moe_layer_work work = {.tokens = pairs / s->pricer.model->top_k,
                                 .sequences = s->sequences};
    moe_layer_cost cost;
    moe_layer_cost_common(&s->pricer, &work, &cost);
    return cost.step_s[MOE_STEP_ATTENTION];
}

/* ---- steps ---- */

/* @return extra exposed time of an expert that comes to a GPU. */
static double travel(const timed_state *s, int expert, int gpu)
{
    const size_t e = (size_t)expert, n = (size_t)s->share->experts;
    if (s->had[(size_t)gpu * n + e])
        return 0;
    const int node = moe_layout_node(&s->pricer.layout, gpu);
    const int near = s->near[(size_t)node * n + e];
    return arrival_time(s, gpu, near, !near) - arrival_time(s, gpu, 0, 0);
}

/* Steps are first ranked by the pairs of the busier of both GPUs, which takes no
 * price; the best of them are priced. */
static void rank(timed_state *s, step w, int64_t busier)
{
    int at = s->n_ranked;
    s->share->steps += RANK;
    if (at == s->most_ranked && busier >= s->ranked[at - 1].busier)
        return;
    at -= at == s->most_ranked;
    for (; at > 0 && s->ranked[at - 1].busier > busier; at--)
        s->ranked[at] = s->ranked[at - 1];
    w.busier = busier;
    s->ranked[at] = w;
    s->n_ranked += s->n_ranked < s->most_ranked;
}

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static void try_give(timed_state *s, int from, int to, int64_t amount,
                     bool moves)
{
    const moe_share *x = s->share;
    const int e = x->expert[from], a = from / x->slots;
    if (amount <= 0 ||
        (moe_share_find(x, to, e) < 0 && (!moves || moe_share_room(x, to) < 0)))
        return;
    rank(s, (step){.from = from, .to = to, .with = -1, .amount = amount},
         larger(x->load[a] - amount, x->load[to] + amount));
}

static void try_swap(timed_state *s, int from, int with)
{
    const moe_share *x = s->share;
    const int e = x->expert[from], f = x->expert[with];
    const int a = from / x->slots, b = with / x->slots;
    if (f < 0 || moe_share_find(x, b, e) >= 0 || moe_share_find(x, a, f) >= 0)
        return;
    const int64_t d = x->part[from] - x->part[with];
    rank(s, (step){.from = from, .to = b, .with = with},
         larger(x->load[a] - d, x->load[b] + d));
}

static double time_of_give(timed_state *s, const step *w, double least)
{
    const moe_share *x = s->share;
    const int e = x->expert[w->from];
    const int there = moe_share_find(x, w->to, e);
    double time_s =
        there < 0 ? time_with(s, w->to, -1, 0, w->amount)
                  : time_with(s, w->to, there, x->part[there] + w->amount, 0);
    if (time_s >= least)
        return time_s;
    time_s = fmax(time_s, time_with(s, w->from / x->slots, w->from,
                                    x->part[w->from] - w->amount, 0));
    return there < 0 ? time_s + travel(s, e, w->to) : time_s;
}

static double time_of_swap(timed_state *s, const step *w, double least)
{
    const moe_share *x = s->share;
    const int a = w->from / x->slots;
    const double time_s =
        fmax(time_with(s, a, w->from, x->part[w->with], 0),
             time_with(s, w->to, w->with, x->part[w->from], 0));
    if (time_s >= least)
        return time_s;
    return time_s + travel(s, x->expert[w->from], w->to) +
           travel(s, x->expert[w->with], a);
}

/* Begin a list of so many steps. */
static void rank_anew(timed_state *s, int most)
{
    s->n_ranked = 0;
    s->most_ranked = most;
}

static void price_ranked(timed_state *s, step *best)
{
    for (int i = 0; i < s->n_ranked; i++) {
        step *w = &s->ranked[i];
        w->time_s = w->with >= 0 ? time_of_swap(s, w, best->time_s)
                                 : time_of_give(s, w, best->time_s);
        if (w->time_s < best->time_s)
            *best = *w;
    }
}

/* The slot of b whose swap with `from` would halve the difference best. */
static int partner_slot(const moe_share *x, int from, int b)
{
    const int64_t half = (x->load[from / x->slots] - x->load[b]) / 2;
    const int64_t want = x->part[from] - half;
    int best = b * x->slots;
    for (int u = best + 1; u < (b + 1) * x->slots; u++)
        if (llabs(x->part[u] - want) < llabs(x->part[best] - want))
            best = u;
    return best;
}

static void try_partner(timed_state *s, int a, int b, bool moves)
{
    const moe_share *x = s->share;
    const int64_t half = (x->load[a] - x->load[b]) / 2;
    for (int t = a * x->slots; t < (a + 1) * x->slots; t++) {
        if (x->part[t] == 0)
            continue;
        try_give(s, t, b, x->part[t], moves);
        if (half < x->part[t])
            try_give(s, t, b, half, moves);
        if (moves)
            try_swap(s, t, partner_slot(x, t, b));
    }
}

/* GPUs that share an expert with a; load goes there for nothing. */
static void try_holders(timed_state *s, int a)
{
    const moe_share *x = s->share;
    for (int t = a * x->slots; t < (a + 1) * x->slots; t++) {
        const int e = x->expert[t];
        if (e < 0 || x->part[t] == 0 || x->copies[e] < 2)
            continue;
        for (int v = x->head[e]; v >= 0; v = x->next[v]) {
            const int b = v / x->slots;
            const int64_t half = (x->load[a] - x->load[b]) / 2;
            if (b == a)
                continue;
            try_give(s, t, b, x->part[t], false);
            if (half < x->part[t])
                try_give(s, t, b, half, false);
        }
    }
}

static void note_arrival(timed_state *s, int expert, int gpu)
{
    const size_t e = (size_t)expert, n = (size_t)s->share->experts;
    const int node = moe_layout_node(&s->pricer.layout, gpu);
    if (!s->had[(size_t)gpu * n + e])
        s->coming[2 * gpu + !s->near[(size_t)node * n + e]]++;
}

static void carry_out(timed_state *s, const step *w)
{
    moe_share *x = s->share;
    const int e = x->expert[w->from], a = w->from / x->slots;
    if (w->with >= 0) {
        const int f = x->expert[w->with];
        const int64_t of_e = moe_share_take(x, w->from);
        const int64_t of_f = moe_share_take(x, w->with);
        moe_share_put(x, w->from, f, of_f);
        moe_share_put(x, w->with, e, of_e);
        note_arrival(s, f, a);
        note_arrival(s, e, w->to);
    } else {
        int to = moe_share_find(x, w->to, e);
        if (to < 0) {
            to = moe_share_room(x, w->to);
            if (x->expert[to] >= 0)
                moe_share_take(x, to);
            moe_share_put(x, to, e, 0);
            note_arrival(s, e, w->to);
        }
        moe_share_give(x, w->from, to, w->amount);
    }
    time_anew(s, a);
    time_anew(s, w->to);
}

/* Consider the fastest GPUs, least time first. */
static void try_fastest(timed_state *s, int a)
{
    int tried[PARTNERS + 1], n = 1;
    tried[0] = a;
    moe_peak_set(&s->fast, a, INT64_MIN);
    for (; n <= PARTNERS && n < s->share->gpus; n++) {
        tried[n] = moe_peak_first(&s->fast, 0);
        moe_peak_set(&s->fast, tried[n], INT64_MIN);
        try_partner(s, a, tried[n], true);
    }
    while (n-- > 0)
        moe_peak_set(&s->fast, tried[n], -order_of(s->time_s[tried[n]]));
}

/* Consider all GPUs and all swaps that bring both nearer to each other. */
static void try_all(timed_state *s, int a, double most)
{
    const moe_share *x = s->share;
    for (int b = 0; b < x->gpus; b++) {
        if (s->time_s[b] >= most)
            continue;
        try_partner(s, a, b, true);
        for (int t = a * x->slots; t < (a + 1) * x->slots; t++)
            for (int u = b * x->slots; u < (b + 1) * x->slots; u++)
                if (x->part[t] > x->part[u] &&
                    x->part[t] - x->part[u] < x->load[a] - x->load[b])
                    try_swap(s, t, u);
    }
}

/* Step while the slowest GPU gets faster. @return its time. */
static double descend(timed_state *s, bool moves)
{
    double most = slowest_time(s);
    for (size_t i = 0;
         i < 4 * n_slots(s) && (double)s->share->steps < s->budget; i++) {
        const int a = moe_peak_first(&s->slow, 0);
        most = s->time_s[a];
        step best = {.from = -1, .time_s = most * (1 - STEP)};
        rank_anew(s, RANKED);
        try_holders(s, a);
        if (moves)
            try_fastest(s, a);
        price_ranked(s, &best);
        if (moves && best.from < 0) {
            rank_anew(s, ALL_RANKED);
            try_all(s, a, best.time_s);
            price_ranked(s, &best);
        }
        if (best.from < 0)
            break;
        carry_out(s, &best);
    }
    return most;
}

/* ---- the planner ---- */

static void keep(timed_state *s)
{
    memcpy(s->expert, s->share->expert, n_slots(s) * sizeof *s->expert);
    memcpy(s->part, s->share->part, n_slots(s) * sizeof *s->part);
}

static void restore(timed_state *s)
{
    moe_share *x = s->share;
    moe_share_begin(x, s->expert, s->load);
    memset(x->load, 0, (size_t)x->gpus * sizeof *x->load);
    for (size_t t = 0; t < n_slots(s); t++) {
        x->part[t] = s->part[t];
        x->load[t / (size_t)x->slots] += s->part[t];
    }
}

/* All load of an expert on one of its replicas, where least is so far. */
static void gather(timed_state *s)
{
    moe_share *x = s->share;
    for (int e = 0; e < x->experts; e++) {
        int to = x->head[e];
        for (int t = x->head[e]; t >= 0; t = x->next[t])
            if (x->load[t / x->slots] - x->part[t] <
                x->load[to / x->slots] - x->part[to])
                to = t;
        for (int t = x->head[e]; t >= 0; t = x->next[t])
            if (t != to)
                moe_share_give(x, t, to, x->part[t]);
    }
}

/* The best that the placement in force can do: replicas used evenly, or as
 * few as possible. */
static double divide_current(timed_state *s, const moe_plan_layer *current)
{
    moe_share_begin(s->share, current->expert, s->load);
    moe_share_minmax(s->share);
    const double even_s = descend(s, false);
    keep(s);
    moe_share_begin(s->share, current->expert, s->load);
    gather(s);
    const double gathered_s = descend(s, false);
    if (gathered_s < even_s)
        keep(s);
    restore(s);
    return fmin(even_s, gathered_s);
}

/* Reads that save no time to speak of are saved: parts go to another replica
 * in use where that makes its GPU hardly slower than `most`. */
static void condense(timed_state *s, double most)
{
    moe_share *x = s->share;
    for (int t = 0; t < (int)n_slots(s); t++) {
        if (x->part[t] == 0 || x->copies[x->expert[t]] < 2)
            continue;
        int tried = 0;
        for (int v = x->head[x->expert[t]]; v >= 0 && tried < HEIRS;
             v = x->next[v]) {
            if (v == t || x->part[v] == 0)
                continue;
            tried++;
            if (time_with(s, v / x->slots, v, x->part[v] + x->part[t], 0) <=
                most * (1 + LEAN)) {
                moe_share_give(x, t, v, x->part[t]);
                break;
            }
        }
    }
}

static void note_current(timed_state *s, const moe_plan_layer *current)
{
    const size_t n = (size_t)s->share->experts, gpus = (size_t)s->share->gpus;
    const moe_layout *y = &s->pricer.layout;
    memset(s->had, 0, gpus * n * sizeof *s->had);
    memset(s->near, 0, (size_t)moe_layout_nodes(y) * n * sizeof *s->near);
    memset(s->coming, 0, 2 * gpus * sizeof *s->coming);
    for (size_t t = 0; t < n_slots(s); t++) {
        if (current->expert[t] < 0)
            continue;
        const size_t e = (size_t)current->expert[t];
        const size_t g = t / (size_t)s->share->slots;
        s->had[g * n + e] = true;
        s->near[(size_t)moe_layout_node(y, (int)g) * n + e] = true;
    }
}

/* What was not predicted comes to one replica, too. */
static void write_plan(timed_state *s, moe_plan_layer *next)
{
    bool *seen = s->share->follow; /* free between pushes */
    memset(seen, 0, (size_t)s->share->experts * sizeof *seen);
    for (size_t t = 0; t < n_slots(s); t++) {
        const int e = next->expert[t] = s->expert[t];
        next->quota[t] = 0;
        s->quota[t] = (double)s->part[t];
        if (e >= 0 && s->load[e] == 0 && !seen[e]) {
            s->quota[t] = 1;
            seen[e] = true;
        }
    }
    moe_plan_layer_set_quota(next, s->quota, &s->replicas);
}

/* Exposed time of the GPU that sends or receives most weights. */
static double migration_time(timed_state *s, const moe_plan_layer *current,
                             moe_plan_layer *next)
{
    const moe_layout *y = &s->pricer.layout;
    const moe_plan was = {1,
                          current->experts,
                          current->gpus,
                          current->slots,
                          current->expert,
                          current->quota};
    const moe_plan now = {1,           next->experts, next->gpus,
                          next->slots, next->expert,  next->quota};
    const double bytes = moe_model_expert_bytes(s->pricer.model);
    double most = 0;
    moe_plan_layer_settle(current, next);
    const size_t n = moe_plan_moves(&was, &now, 0, 1, y, s->moves);
    s->share->steps += n * n_slots(s) / 64; /* every move looks at all slots */
    memset(s->sent, 0, 2 * (size_t)y->gpus * sizeof *s->sent);
    memset(s->received, 0, 2 * (size_t)y->gpus * sizeof *s->received);
    for (size_t i = 0; i < n; i++) {
        const moe_move *m = &s->moves[i];
        const int far =
            moe_layout_node(y, m->from_gpu) != moe_layout_node(y, m->to_gpu);
        s->sent[2 * m->from_gpu + far] += bytes;
        s->received[2 * m->to_gpu + far] += bytes;
    }
    for (int g = 0; g < 2 * y->gpus; g += 2)
        most =
            fmax(most, exposed_time(s, fmax(s->sent[g], s->received[g]),
                                    fmax(s->sent[g + 1], s->received[g + 1])));
    return most;
}

/* A replica without rows stays where it is already; a new one is not made. */
static void drop_idle(timed_state *s)
{
    moe_share *x = s->share;
    for (int t = 0; t < (int)n_slots(s); t++) {
        const int e = x->expert[t];
        if (e >= 0 && x->part[t] == 0 && x->copies[e] > 1 &&
            !s->had[(size_t)(t / x->slots) * (size_t)x->experts + (size_t)e])
            moe_share_take(x, t);
    }
}

/* ---- what planning is worth ---- */

/* Parts as the plan in force divides this load. */
static void take_current(timed_state *s, const moe_plan_layer *current)
{
    moe_share *x = s->share;
    moe_share_begin(x, current->expert, s->load);
    memset(x->load, 0, (size_t)x->gpus * sizeof *x->load);
    for (size_t t = 0; t < n_slots(s); t++) {
        const int e = current->expert[t];
        x->part[t] = e < 0 ? 0
                           : llround((double)s->load[e] * current->quota[t] /
                                     MOE_QUOTA_ONE);
        x->load[t / (size_t)x->slots] += x->part[t];
    }
}

/* Set how far the search may go. @return whether it may begin. */
static bool may_search(timed_state *s, const moe_plan_layer *current)
{
    s->budget = INFINITY;
    if (!(s->step_s > 0))
        return true;
    take_current(s, current);
    const double most_s = slowest_time(s);
    double mean_s = 0;
    for (int g = 0; g < s->share->gpus; g++)
        mean_s += s->time_s[g] / s->share->gpus;
    const double hidden_s = s->beside ? s->attention_s + most_s : 0;
    const double worth_s = hidden_s + WORTH * s->interval * (most_s - mean_s);
    s->budget = (double)s->share->steps + worth_s / s->step_s;
    const double least =
        (double)moe_steps_to_write(s->share->gpus, s->share->slots) +
        3 * pricing_steps(s); /* both divisions, and one step */
    return worth_s >= least * s->step_s;
}

static void keep_plan(const timed_state *s, const moe_plan_layer *current,
                      moe_plan_layer *next)
{
    memcpy(next->expert, current->expert, n_slots(s) * sizeof *next->expert);
    memcpy(next->quota, current->quota, n_slots(s) * sizeof *next->quota);
}

/* Plan without moving weights. @return time of the slowest GPU. */
static double stay(timed_state *s, const moe_plan_layer *current,
                   moe_plan_layer *next)
{
    const double time_s = divide_current(s, current);
    condense(s, time_s);
    keep(s);
    write_plan(s, next);
    return time_s;
}

/* Thousands of GPUs are far from the end of such steps: give replicas by pairs
 * first, which takes little. */
static void spread_pairs(timed_state *s)
{
    moe_share *x = s->share;
    int64_t mean = 0;
    for (int g = 0; g < x->gpus; g++)
        mean += x->load[g];
    mean = (mean + x->gpus - 1) / x->gpus;
    for (int g = 0; g < x->gpus; g++)
        x->limit[g] = mean;
    moe_repair_run(&s->repair, 0);
    for (size_t t = 0; t < n_slots(s); t++)
        if (x->part[t] > 0)
            note_arrival(s, x->expert[t], (int)t / x->slots);
}

static moe_status plan(void *state, const moe_planner_task *task,
                       moe_plan_layer *next, moe_error *err)
{
    (void)err;
    timed_state *s = state;
    const double *load = task->load;
    const moe_plan_layer *current = task->current;
    double pairs = 0;
    s->share->steps = (uint64_t)next->experts;
    if (moe_planner_keeps(task, next))
        return MOE_OK;
    for (int e = 0; e < s->share->experts; e++)
        pairs += (double)(s->load[e] = llround(load[e]));
    s->attention_s = pairs > 0 ? attention_time(s, pairs) : 0;
    if (!may_search(s, current)) {
        keep_plan(s, current, next);
        return MOE_OK;
    }
    s->share->steps += moe_steps_to_write(next->gpus, next->slots);
    note_current(s, current);
    const double stay_s = stay(s, current, next);
    if (n_slots(s) > MANY) {
        spread_pairs(s);
        s->budget = fmin(s->budget, (double)s->share->steps + WORK);
    }
    const double go_s = descend(s, true);
    if (go_s >= stay_s * (1 - s->gate))
        return MOE_OK;
    condense(s, go_s);
    drop_idle(s);
    keep(s);
    write_plan(s, next);
    if (go_s + migration_time(s, current, next) >= stay_s * (1 - s->gate))
        stay(s, current, next);
    return MOE_OK;
}

static uint64_t steps(const void *state)
{
    return ((const timed_state *)state)->share->steps;
}

const moe_planner moe_planner_timed = {
    .name = "timed",
    .help = "by the cost model's time: moves, swaps and replicas that pay",
    .opts = options,
    .params_size = sizeof(timed_params),
    .state_size = sizeof(timed_state),
    .plans = true,
    .copies = true,
    .init = init,
    .plan = plan,
    .steps = steps,
    .step_weight = 1,
    .fini = fini,
};
