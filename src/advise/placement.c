/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/iteration_price.h"
#include "moegps/mem.h"

moe_status moe_advise_placement_init(moe_advise_placement *s, int gpus,
                                     int slots, moe_error *err)
{
    const size_t g = (size_t)gpus;
    moe_error local = {0};
    s->rows = moe_array_new(g * (size_t)slots, sizeof *s->rows, &local);
    s->pairs = moe_array_new(g, sizeof *s->pairs, &local);
    s->sent = moe_array_new(g, sizeof *s->sent, &local);
    s->received = moe_array_new(g, sizeof *s->received, &local);
    s->move_sent = moe_array_new(g, sizeof *s->move_sent, &local);
    s->move_received = moe_array_new(g, sizeof *s->move_received, &local);
    return moe_pass(err, &local);
}

void moe_advise_placement_fini(moe_advise_placement *s)
{
    free(s->rows);
    free(s->pairs);
    free(s->sent);
    free(s->received);
    free(s->move_sent);
    free(s->move_received);
    *s = (moe_advise_placement){0};
}

/* Whether what a plan is made of never changes. */
static bool is_constant(const moe_advise_params *p, int placement)
{
    return placement == PLACEMENT_PREDICTED &&
           (p->predictor == NULL || p->predictor->constant);
}

static void *new_planner(const moe_advise_planning *w,
                         const moe_advise_params *p, const moe_pricer *pricer,
                         bool constant, moe_error *err)
{
    const moe_planner_env env = {
        .layout = w->layout,
        .experts = w->experts,
        .slots = w->slots,
        .pricer = pricer,
        .sequences = p->batch,
        .interval = p->dials.rebalance_every,
        .step_s = isnan(w->fixed_planner_s) ? w->step_s : 0,
        .beside = p->dials.lookahead != MOE_LOOKAHEAD_ALL,
        .division = w->split->division,
        .constant = constant};
    return moe_planner_new(w->planner, &env, w->planner_params, err);
}

static moe_status start_families(moe_advise_planning *w,
                                 const moe_advise_params *p,
                                 const moe_pricer *pricer, moe_error *err)
{
    const moe_split_env split_env = {w->layout, w->experts, w->slots};
    w->planner_params = moe_array_new(1, w->planner->params_size, err);
    if (err->status != MOE_OK)
        return err->status;
    if (w->planner->opts != NULL)
        moe_opt_defaults(w->planner->opts, w->planner_params);
    for (int s = PLACEMENT_TRUTH; s < N_PLACEMENTS; s++)
        w->planner_state[s] = new_planner(w, p, pricer, is_constant(p, s), err);
    w->split_state = moe_split_new(w->split, &split_env, NULL, err);
    return err->status;
}

double moe_advise_fixed_planner_s(const moe_advise_params *p)
{
    if (p->planner_s >= 0)
        return p->planner_s;
    return p->dials.paper ? 0 : NAN;
}

moe_status moe_advise_planning_init(moe_advise_planning *w,
                                    const moe_advise_params *p, int slots,
                                    const moe_split *split,
                                    const moe_pricer *pricer, moe_error *err)
{
    *w = (moe_advise_planning){
        .planner =
            p->planner != NULL ? p->planner : moe_planner_find("duplicate"),
        .split = split,
        .layout = {p->gpus, p->cluster->gpus_per_node},
        .experts = p->model->experts,
        .slots = slots,
        .expert_bytes = moe_model_expert_bytes(p->model),
        .from_home = p->trace == NULL,
        .step_s = p->cluster->planner_step_s,
        .fixed_planner_s = moe_advise_fixed_planner_s(p)};
    const size_t n = (size_t)p->gpus * (size_t)slots;
    const size_t e = (size_t)w->experts;
    moe_error local = {0};
    moe_plan_init(&w->next, 1, w->experts, p->gpus, slots, &local);
    moe_replicas_init(&w->replicas, w->experts, p->gpus, slots, &local);
    w->pairs = moe_array_new(n, sizeof *w->pairs, &local);
    w->first = moe_array_new(e, sizeof *w->first, &local);
    w->own = moe_array_new(e, sizeof *w->own, &local);
    w->copies = moe_array_new(e, sizeof *w->copies, &local);
    w->moves = moe_array_new(n, sizeof *w->moves, &local);
    w->wire = moe_array_new(n * 10 + 6, 1, &local);
    start_families(w, p, pricer, &local);
    return moe_pass(err, &local);
}

void moe_advise_planning_fini(moe_advise_planning *w)
{
    for (int s = 0; s < N_PLACEMENTS; s++)
        moe_planner_free(w->planner, w->planner_state[s]);
    moe_split_free(w->split, w->split_state);
    free(w->planner_params);
    moe_plan_fini(&w->next);
    moe_replicas_fini(&w->replicas);
    free(w->pairs);
    free(w->first);
    free(w->own);
    free(w->copies);
    free(w->moves);
    free(w->wire);
    *w = (moe_advise_planning){0};
}

static void note_move(const moe_advise_planning *w, int from, int to,
                      moe_advise_placement *placement)
{
    const int far =
        moe_layout_node(&w->layout, from) != moe_layout_node(&w->layout, to);
    placement->move_sent[from][far] += w->expert_bytes;
    placement->move_received[to][far] += w->expert_bytes;
}

/* From the home placement every expert has one holder, so nothing is to be
 * chosen and thousands of GPUs are quickly done. */
static void list_home_moves(const moe_advise_planning *w, const moe_plan *home,
                            const moe_plan *next,
                            moe_advise_placement *placement)
{
    int *holder = (int *)w->own; /* borrowed */
    const int n = home->gpus * home->slots;
    for (int s = 0; s < n; s++)
        if (home->expert[s] >= 0)
            holder[home->expert[s]] = s / home->slots;
    for (int s = 0; s < n; s++)
        if (next->expert[s] >= 0 && next->expert[s] != home->expert[s])
            note_move(w, holder[next->expert[s]], s / next->slots, placement);
}

static void list_moves(moe_advise_planning *w, const moe_plan *current,
                       const moe_plan *next, moe_advise_placement *placement)
{
    const size_t bytes = (size_t)w->layout.gpus * sizeof *placement->move_sent;
    memset(placement->move_sent, 0, bytes);
    memset(placement->move_received, 0, bytes);
    if (w->from_home) {
        list_home_moves(w, current, next, placement);
        return;
    }
    const size_t n = moe_plan_moves(current, next, 0, 1, &w->layout, w->moves);
    for (size_t m = 0; m < n; m++)
        note_move(w, w->moves[m].from_gpu, w->moves[m].to_gpu, placement);
}

moe_status moe_advise_replan(moe_advise_planning *w, int which,
                             const moe_planner_task *task, moe_plan *current,
                             moe_advise_placement *placement, moe_error *err)
{
    void *state = w->planner_state[which];
    moe_plan *next = &w->next;
    const moe_plan_layer was = moe_plan_at(current, 0);
    moe_plan_layer now = moe_plan_at(next, 0);
    moe_planner_task known = *task;
    known.current = &was;
    moe_status s = w->planner->plan(state, &known, &now, err);
    if (s != MOE_OK)
        return s;
    moe_plan_layer_settle(&was, &now);
    placement->planner_s =
        isnan(w->fixed_planner_s)
            ? (double)moe_planner_steps(w->planner, state) * w->step_s
            : w->fixed_planner_s;
    placement->plan_bytes =
        (double)moe_plan_encode(current, next, 0, 1, w->wire);
    list_moves(w, current, next, placement);
    moe_plan_copy(current, next);
    return MOE_OK;
}

/* Pairs [from, to) of an expert. */
typedef struct {
    uint64_t from, to;
} interval;

static double overlap(interval a, interval b)
{
    const uint64_t from = a.from > b.from ? a.from : b.from;
    const uint64_t to = a.to < b.to ? a.to : b.to;
    return to > from ? (double)(to - from) : 0.0;
}

/* Who of the replica's node sends it which of its own pairs? The rest
 * comes from other nodes. What a GPU keeps costs nothing. */
static void count_replica(const moe_advise_planning *w,
                          const moe_advise_load *load, int e, int gpu,
                          interval own, moe_advise_placement *placement)
{
    const int node = moe_layout_node(&w->layout, gpu);
    const int first = node * w->layout.gpus_per_node;
    int end = first + w->layout.gpus_per_node;
    end = end < w->layout.gpus ? end : w->layout.gpus;
    double near = 0.0, kept = 0.0;
    moe_advise_bound bound = moe_advise_bound_of(load, first, e);
    for (int g = first; g < end && own.to > bound.at; g++) {
        const uint64_t at = bound.at, stop = moe_advise_bound_next(&bound);
        const double n = overlap(own, (interval){at, stop});
        if (g == gpu)
            kept = n;
        else
            placement->sent[g][0] += n;
        /* Far pairs of g: all of them, less those that stay on the node. */
        placement->sent[g][1] -= n;
        near += n;
    }
    placement->received[gpu][0] += near - kept;
    placement->received[gpu][1] += (double)(own.to - own.from) - near;
}

static void clear_counts(const moe_advise_planning *w,
                         const moe_advise_load *load,
                         moe_advise_placement *placement)
{
    const size_t g_n = (size_t)w->layout.gpus;
    memset(placement->rows, 0,
           g_n * (size_t)w->slots * sizeof *placement->rows);
    memset(placement->pairs, 0, g_n * sizeof *placement->pairs);
    memset(placement->received, 0, g_n * sizeof *placement->received);
    for (int g = 0; g < w->layout.gpus; g++) {
        placement->sent[g][0] = 0.0;
        placement->sent[g][1] = (double)load->own[g];
    }
}

static void stand_out(moe_advise_placement *placement, int gpu)
{
    for (int i = 0; i < placement->n_standouts; i++)
        if (placement->standout[i] == gpu)
            return;
    placement->standout[placement->n_standouts++] = gpu;
}

static int replicas_of(const moe_advise_placement *placement, int gpu,
                       int slots)
{
    int n = 0;
    for (int s = 0; s < slots; s++)
        n += placement->rows[gpu * slots + s] > 0;
    return n;
}

/* Which GPUs compute, read, send, receive or give most? */
static void find_standouts(const moe_advise_planning *w,
                           moe_advise_placement *s)
{
    int most[ADVISE_STANDOUTS] = {0}, replicas = 0;
    for (int g = 0; g < w->layout.gpus; g++) {
        const int n = replicas_of(s, g, w->slots);
        most[0] = s->pairs[g] > s->pairs[most[0]] ? g : most[0];
        most[1] = n > replicas ? g : most[1];
        replicas = n > replicas ? n : replicas;
        for (int far = 0; far < 2; far++) {
            int *at = most + 2 + 4 * far;
            at[0] = s->sent[g][far] > s->sent[at[0]][far] ? g : at[0];
            at[1] = s->received[g][far] > s->received[at[1]][far] ? g : at[1];
            at[2] = s->move_sent[g][far] > s->move_sent[at[2]][far] ? g : at[2];
            at[3] = s->move_received[g][far] > s->move_received[at[3]][far]
                        ? g
                        : at[3];
        }
    }
    s->busiest = most[0];
    s->n_standouts = 0;
    for (int i = 0; i < ADVISE_STANDOUTS; i++)
        stand_out(s, most[i]);
}

/* Splits that look at no other rank's pairs divide those of each. */
static void count_each(moe_advise_planning *w, const moe_advise_load *load,
                       moe_advise_placement *placement)
{
    const moe_replicas *r = &w->replicas;
    memset(placement->sent, 0,
           (size_t)w->layout.gpus * sizeof *placement->sent);
    for (int g = 0; g < w->layout.gpus; g++) {
        const moe_split_input in = {
            .replicas = r, .layout = &w->layout, .gpu = g, .own = w->own};
        for (int e = 0; e < w->experts; e++)
            w->own[e] = (uint32_t)(moe_advise_load_before(load, g + 1, e) -
                                   moe_advise_load_before(load, g, e));
        w->split->divide(w->split_state, &in, w->pairs);
        for (uint32_t j = 0; j < r->first[w->experts]; j++) {
            const moe_replica *to = &r->replica[j];
            const int far = moe_layout_node(&w->layout, g) !=
                            moe_layout_node(&w->layout, to->gpu);
            placement->rows[to->gpu * w->slots + to->slot] += w->pairs[j];
            placement->pairs[to->gpu] += w->pairs[j];
            if (to->gpu == g)
                continue;
            placement->sent[g][far] += w->pairs[j];
            placement->received[to->gpu][far] += w->pairs[j];
        }
    }
}

/* One call of the split as if a single rank held all pairs gives the interval
 * of every replica; splits by share number pairs over all ranks, so a rank's
 * part of it is where its own interval meets that one. */
static void count_numbered(moe_advise_planning *w, const moe_advise_load *load,
                           moe_advise_placement *placement)
{
    memset(w->first, 0, (size_t)w->experts * sizeof *w->first);
    for (int e = 0; e < w->experts; e++)
        w->own[e] = (uint32_t)load->total[e];
    const moe_split_input in = {.replicas = &w->replicas,
                                .layout = &w->layout,
                                .gpu = 0,
                                .total = load->total,
                                .first = w->first,
                                .own = w->own};
    w->split->divide(w->split_state, &in, w->pairs);
    const moe_replicas *r = &w->replicas;
    for (int e = 0; e < w->experts; e++) {
        uint64_t at = 0;
        for (uint32_t j = r->first[e]; j < r->first[e + 1]; j++) {
            const int gpu = r->replica[j].gpu;
            placement->rows[gpu * w->slots + r->replica[j].slot] = w->pairs[j];
            placement->pairs[gpu] += w->pairs[j];
            const interval own = {at, at + w->pairs[j]};
            count_replica(w, load, e, gpu, own, placement);
            at += w->pairs[j];
        }
    }
}

void moe_advise_count(moe_advise_planning *w, const moe_advise_load *load,
                      const moe_plan *plan, moe_advise_placement *placement)
{
    const moe_plan_layer layer = moe_plan_at(plan, 0);
    moe_replicas_index(&w->replicas, &layer);
    clear_counts(w, load, placement);
    if (w->split->needs_counts)
        count_numbered(w, load, placement);
    else
        count_each(w, load, placement);
    placement->copies = (double)w->replicas.first[w->experts] - w->experts;
    find_standouts(w, placement);
}

/* Rows of GPU g's pairs come from all GPUs alike. */
static void exchange_alike(const moe_advise_planning *w,
                           moe_advise_placement *placement)
{
    const moe_layout *y = &w->layout;
    double all = 0;
    for (int g = 0; g < y->gpus; g++)
        all += (double)placement->pairs[g];
    for (int first = 0; first < y->gpus; first += y->gpus_per_node) {
        const int more = first + y->gpus_per_node;
        const int end = more < y->gpus ? more : y->gpus;
        double node = 0;
        for (int g = first; g < end; g++)
            node += (double)placement->pairs[g];
        for (int g = first; g < end; g++) {
            const double own = (double)placement->pairs[g];
            placement->sent[g][0] = (node - own) / y->gpus;
            placement->sent[g][1] = (all - node) / y->gpus;
            placement->received[g][0] = own * (end - first - 1) / y->gpus;
            placement->received[g][1] =
                own * (y->gpus - (end - first)) / y->gpus;
        }
    }
}

void moe_advise_deal(moe_advise_planning *w, const double *pairs,
                     const moe_plan *plan, moe_advise_placement *placement)
{
    const size_t n = (size_t)w->layout.gpus * (size_t)w->slots;
    uint32_t *copies = w->copies, *dealt = w->own;
    memset(copies, 0, (size_t)w->experts * sizeof *copies);
    memset(dealt, 0, (size_t)w->experts * sizeof *dealt);
    memset(placement->pairs, 0,
           (size_t)w->layout.gpus * sizeof *placement->pairs);
    for (size_t s = 0; s < n; s++)
        if (plan->expert[s] >= 0)
            copies[plan->expert[s]]++;
    placement->copies = -w->experts;
    for (size_t s = 0; s < n; s++) {
        const int e = plan->expert[s];
        placement->rows[s] = 0;
        if (e < 0)
            continue;
        const uint32_t all = (uint32_t)pairs[e];
        placement->rows[s] = all / copies[e] + (dealt[e]++ < all % copies[e]);
        placement->pairs[s / (size_t)w->slots] += placement->rows[s];
        placement->copies++;
    }
    exchange_alike(w, placement);
    find_standouts(w, placement);
}

/* ---- rows of deployments ---- */

double moe_advise_missing(const moe_model *model, double share)
{
    double missing = 1;
    for (int i = 0; i < model->top_k; i++)
        missing *=
            fmax(1 - share * model->experts / (double)(model->experts - i), 0);
    return missing;
}

double moe_advise_visited(const moe_model *model,
                          const moe_advise_placement *placement, int gpus,
                          double all)
{
    double sum = 0;
    for (int g = 0; g < gpus; g++)
        sum += 1 - moe_advise_missing(model, (double)placement->pairs[g] / all);
    return sum;
}

static bool rows_are_of_visits(const moe_pricer *pricer)
{
    const int exchange = moe_serving_of(pricer->serving)->exchange;
    return exchange == MOE_SERVE_TOKENS || exchange == MOE_SERVE_NODES;
}

void moe_advise_visits(const moe_pricer *pricer,
                       const moe_advise_placement *placement, double all,
                       double *visit_out)
{
    if (!rows_are_of_visits(pricer))
        return;
    for (int g = 0; g < pricer->layout.gpus; g++)
        visit_out[g] =
            1 - moe_advise_missing(pricer->model,
                                   (double)placement->pairs[g] / all);
}

moe_advise_traffic moe_advise_rows(const moe_pricer *pricer,
                                   const moe_advise_placement *placement,
                                   const double *visit, double tokens, int gpu)
{
    moe_advise_traffic rows;
    if (rows_are_of_visits(pricer)) {
        moe_serving_rows(pricer->serving, visit, tokens, gpu, rows.sent,
                         rows.received);
        return rows;
    }
    memcpy(rows.sent, placement->sent[gpu], sizeof rows.sent);
    memcpy(rows.received, placement->received[gpu], sizeof rows.received);
    return rows;
}
