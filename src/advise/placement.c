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
        .serving = moe_serving_of(pricer->serving),
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
