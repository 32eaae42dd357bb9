/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <string.h>

#include "moegps/layer_price.h"

/* The gpu clock: what this rank's GPU would have taken for what this
 * iteration actually did, at the model's full size. */

static moe_layer_work work_of(const moe_engine *e, const moe_runner *r, int l)
{
    const moe_experiment *x = e->p.experiment;
    const moe_layer_facts *f = &e->facts[l];
    return (moe_layer_work){
        .tokens = (double)e->batch->tokens,
        .sequences = x->workload.batch,
        .collects = e->predicted_any,
        .plans = e->planned,
        .central = x->emulation.coordination == MOE_CENTRAL,
        .layers = e->p.n_layers,
        .planner_s = e->planner_cpu[l],
        .plan_bytes = (double)e->wire_bytes,
        .move_bytes = {fmax(f->move_sent[0], f->move_received[0]),
                       fmax(f->move_sent[1], f->move_received[1])},
        .dispatch_bytes = {f->node_bytes, f->network_bytes},
        .combine_bytes = {f->node_bytes, f->network_bytes},
        .rows = e->slot_rows + (size_t)l * (size_t)e->max_slots,
        .slots = (size_t)r->slots};
}

void moe_engine_price(moe_engine *e, const moe_runner *r, int i,
                      moe_ledger *ledger)
{
    const moe_pricer pricer = {.cost = e->cost,
                               .state = e->cost_state,
                               .model = e->p.model,
                               .layout = e->layout};
    for (int l = 0; l < e->p.n_layers; l++) {
        const size_t at = moe_ledger_at(ledger, r->index, i, l) * MOE_N_PHASES;
        moe_layer_price price = {.source = MOE_PRICE_TABULATED};
        if (e->gpu >= 0) {
            const moe_layer_work work = work_of(e, r, l);
            moe_layer_price_of(&pricer, &work, &price);
        }
        memcpy(ledger->gpu + at, price.gpu_s, sizeof price.gpu_s);
        memcpy(ledger->exposed + at, price.exposed_s, sizeof price.exposed_s);
    }
}
