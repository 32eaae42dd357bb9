/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include "moegps/hash.h"

/* What coordination does with the loads, plans and moves of layers [first, end),
 * whether coordinate.c waits for each step or beside.c lets them run beside the
 * layers. */

/* What a strategy plans for. */
typedef struct {
    moe_engine *e;
    const moe_runner *r;
} question;

static void ask(void *arg, int l, int thread, moe_planner_task *task_out)
{
    const question *q = arg;
    moe_coordination_scratch *c = &q->e->coordination;
    const size_t n_e = (size_t)q->e->it.batch->experts;
    const size_t one = MOE_PLANNER_PAST + 1;
    const uint64_t *sum = c->load_sum + (size_t)l * n_e;
    double *load = c->load + (size_t)thread * one * n_e;
    const double **past = c->past + (size_t)thread * MOE_PLANNER_PAST;
    for (size_t x = 0; x < n_e; x++)
        load[x] = (double)sum[x] / MOE_LOAD_ONE;
    const moe_past_room room = {(int)n_e, MOE_PLANNER_PAST, load + n_e, past};
    *task_out = (moe_planner_task){
        .load = load,
        .past = past,
        .n_past = moe_predictor_past(q->r->spec->predictor, q->r->predictor, l,
                                     &room)};
}

uint64_t moe_coordination_plan(moe_engine *e, moe_runner *r, int first, int end)
{
    uint64_t bytes = 0;
    if (r->planner == NULL)
        return 0;
    question q = {e, r};
    const moe_planner_round round = {.ask = ask,
                                     .arg = &q,
                                     .plan = &r->plan,
                                     .next = &r->next,
                                     .steps = e->it.planner_steps,
                                     .cpu_s = e->it.planner_cpu};
    moe_planner_team_plan(r->planner, &round, first, end, &e->ctx->err);
    /* A failed plan is not sent: the old one stays in force everywhere, and
     * the error surfaces at the end of the iteration. */
    if (moe_inject(e->ctx, MOE_SITE_PLAN) || e->ctx->err.status != MOE_OK)
        moe_plan_copy_layers(&r->next, &r->plan, first, end);
    if (!moe_engine_replicated(e))
        bytes = moe_plan_encode(&r->plan, &r->next, first, end,
                                e->coordination.wire);
    return bytes;
}

static uint64_t plan_hash(const moe_plan *p, int first, int end)
{
    const size_t layer = (size_t)p->gpus * (size_t)p->slots;
    uint64_t h = MOE_HASH_START;
    for (size_t s = (size_t)first * layer; s < (size_t)end * layer; s++) {
        h = moe_hash_add(h, (uint16_t)p->expert[s]);
        h = moe_hash_add(h, p->quota[s]);
    }
    return h;
}

void moe_coordination_hash(moe_engine *e, moe_runner *r, int first, int end,
                           uint64_t *most_out)
{
    if (moe_inject_here(e->ctx, MOE_SITE_DIFFER))
        moe_plan_at(&r->next, first).quota[0]++;
    const uint64_t hash = plan_hash(&r->next, first, end);
    most_out[0] = hash;
    most_out[1] = ~hash;
    most_out[2] = (uint64_t)e->ctx->err.status;
}

void moe_coordination_confirm(moe_engine *e, moe_runner *r, int first, int end,
                              const uint64_t *most)
{
    if (most[0] == ~most[1] && most[2] == MOE_OK)
        return;
    moe_plan_copy_layers(&r->next, &r->plan, first, end);
    if (most[2] == MOE_OK)
        moe_fail(&e->ctx->err, MOE_INVALID,
                 "strategy %s: ranks made different plans of equal loads",
                 r->spec->name);
}

/* Full-size bytes of the moves, per layer: this GPU's and all GPUs'. */
void moe_coordination_note(moe_engine *e, size_t n_moves)
{
    const double bytes = moe_model_expert_bytes(e->p.model);
    for (size_t m = 0; m < n_moves; m++) {
        const moe_move *v = &e->coordination.moves[m];
        moe_layer_facts *f = &e->it.facts[v->layer];
        int far = moe_layout_node(&e->layout, v->from_gpu) !=
                  moe_layout_node(&e->layout, v->to_gpu);
        f->moved += (int64_t)bytes;
        if (v->from_gpu == e->gpu)
            f->move_sent[far] += bytes;
        if (v->to_gpu == e->gpu)
            f->move_received[far] += bytes;
    }
}

size_t moe_coordination_moves(moe_engine *e, const moe_runner *r, int first,
                              int end)
{
    return moe_plan_moves(&r->plan, &r->next, first, end, &e->layout,
                          e->coordination.moves);
}

void moe_coordination_apply(moe_engine *e, moe_runner *r, int first, int end,
                            size_t n_moves)
{
    for (int l = first; l < end; l++) {
        moe_plan_layer next = moe_plan_at(&r->next, l);
        moe_replicas_index(&r->replicas[l], &next);
    }
    moe_plan_copy_layers(&r->plan, &r->next, first, end);
    moe_coordination_note(e, n_moves);
}
