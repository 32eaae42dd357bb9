/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>

/* The gpu clock: what this rank's GPU would have taken for what this
 * iteration actually did, at the model's full size. */

/* The phases that run beside attention and are hidden by it (DESIGN 2). */
static bool hidden_by_attention(int phase)
{
    return phase < MOE_PHASE_ATTENTION;
}

static moe_exchange everyone(const moe_engine *e)
{
    return (moe_exchange){.gpus = e->layout.gpus,
                          .nodes = moe_layout_nodes(&e->layout)};
}

/* GPUs that share one attention by tensor parallelism: those of a node, as
 * far as they divide the heads; further GPUs work on other tokens. */
static int attention_gpus(const moe_engine *e)
{
    int tp = e->layout.gpus < e->layout.gpus_per_node ? e->layout.gpus
                                                      : e->layout.gpus_per_node;
    while (tp > 1 && (e->p.model->heads % tp != 0 || e->layout.gpus % tp != 0))
        tp--;
    return tp;
}

static double attention(const moe_engine *e)
{
    const int tp = attention_gpus(e);
    const double groups = (double)e->layout.gpus / tp;
    const moe_workload *w = &e->p.experiment->workload;
    const double batch = w->batch / groups;
    const double seq = (double)e->batch->tokens / w->batch;
    const double bytes = batch * seq * e->p.model->hidden *
                         moe_dtype_size((moe_dtype)e->p.model->dtype);
    const moe_exchange x = {.gpus = tp, .nodes = 1};
    return e->cost->attention(e->cost_state, batch, seq, tp).time_s +
           (tp > 1 ? e->cost->allreduce(e->cost_state, &x, bytes).time_s : 0.0);
}

/* One layer's part of a collective that serves all layers at once. */
static double part_of(const moe_engine *e, bool to_one, double bytes)
{
    const moe_exchange all = everyone(e);
    moe_price whole = to_one ? e->cost->tree(e->cost_state, &all, bytes)
                             : e->cost->allreduce(e->cost_state, &all, bytes);
    return whole.time_s / e->p.n_layers;
}

static bool central(const moe_engine *e)
{
    return e->p.experiment->emulation.coordination == MOE_CENTRAL;
}

static double collect(const moe_engine *e)
{
    return part_of(e, central(e),
                   (double)e->p.n_layers * e->batch->experts *
                       sizeof(uint64_t));
}

/* The plan with its length; or the hash by which ranks confirm theirs. */
static double broadcast(const moe_engine *e)
{
    const double plan = (double)e->wire_bytes + sizeof(uint64_t);
    return part_of(e, central(e), central(e) ? plan : 3 * sizeof(uint64_t));
}

static double migrate(const moe_engine *e, const moe_layer_facts *f)
{
    moe_exchange x = everyone(e);
    x.node_bytes = fmax(f->move_sent[0], f->move_received[0]);
    x.network_bytes = fmax(f->move_sent[1], f->move_received[1]);
    return x.node_bytes + x.network_bytes > 0
               ? e->cost->transfer(e->cost_state, &x).time_s
               : 0.0;
}

static double exchange(const moe_engine *e, const moe_layer_facts *f)
{
    moe_exchange x = everyone(e);
    x.node_bytes = f->node_bytes;
    x.network_bytes = f->network_bytes;
    return x.gpus > 1 ? e->cost->alltoall(e->cost_state, &x).time_s : 0.0;
}

static double router(const moe_engine *e)
{
    const moe_gemm shape = {ceil((double)e->batch->tokens / e->layout.gpus),
                            e->p.model->experts, e->p.model->hidden};
    return e->cost->gemm(e->cost_state, &shape).time_s;
}

/* Routed experts at their actual rows, and the shared ones, which every GPU
 * runs on its part of the tokens. */
static double experts(const moe_engine *e, const moe_runner *r, int layer)
{
    const uint32_t *rows = e->slot_rows + (size_t)layer * (size_t)e->max_slots;
    double s = e->cost->ffn(e->cost_state, rows, (size_t)r->slots).time_s;
    uint32_t own = moe_batch_share_max(e->batch->tokens, e->layout.gpus);
    for (int j = 0; j < e->p.model->shared_experts; j++)
        s += e->cost->ffn(e->cost_state, &own, 1).time_s;
    return s;
}

void moe_engine_price(moe_engine *e, const moe_runner *r, int i,
                      moe_ledger *ledger)
{
    for (int l = 0; l < e->p.n_layers; l++) {
        const size_t at = moe_ledger_at(ledger, r->index, i, l) * MOE_N_PHASES;
        double *gpu = ledger->gpu + at, *exposed = ledger->exposed + at;
        for (int p = 0; p < MOE_N_PHASES; p++)
            gpu[p] = exposed[p] = 0.0;
        if (e->gpu < 0)
            continue;
        const moe_layer_facts *f = &e->facts[l];
        if (e->predicted_any)
            gpu[MOE_PHASE_COLLECT] = collect(e);
        if (e->planned) {
            /* Planning is the host's work: its CPU time here is its price. */
            gpu[MOE_PHASE_PLAN] = e->planner_cpu[l];
            gpu[MOE_PHASE_BROADCAST] = broadcast(e);
            gpu[MOE_PHASE_MIGRATE] = migrate(e, f);
        }
        gpu[MOE_PHASE_ATTENTION] = attention(e);
        gpu[MOE_PHASE_ROUTE] = router(e);
        gpu[MOE_PHASE_DISPATCH] = gpu[MOE_PHASE_COMBINE] = exchange(e, f);
        gpu[MOE_PHASE_FFN] = experts(e, r, l);
        double cover = gpu[MOE_PHASE_ATTENTION];
        for (int p = 0; p < MOE_N_PHASES; p++) {
            double hidden = 0.0;
            if (hidden_by_attention(p))
                hidden = gpu[p] < cover ? gpu[p] : cover;
            cover -= hidden;
            exposed[p] = gpu[p] - hidden;
        }
    }
}
