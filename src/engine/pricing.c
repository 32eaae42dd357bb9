/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <string.h>

#include "moegps/layer_price.h"

/* The gpu clock: what this rank's GPU would have taken for what this
 * iteration actually did, at the model's full size.
 *
 * Direct routing is credited as in MoE-GPS: what attention's last reduce-
 * scatter brings to the right GPU needs no dispatch. That this scatter then
 * sends k copies of a row, to where they are wanted, and not one to its home,
 * is not charged; the result file has those bytes (/traffic/ahead_bytes). */

/* Products by which this GPU predicts its own tokens of one layer. */
static int predictor_work(const moe_engine *e, const moe_runner *r,
                          moe_gemm_run *runs)
{
    const moe_predictor *p = r->spec->predictor;
    const double tokens = (double)e->it.batch->own;
    const double share = tokens / (double)e->it.batch->tokens;
    if (!e->it.predicts || p->work == NULL || e->it.batch->own == 0)
        return 0;
    return p->work(r->predictor, tokens,
                   e->p.experiment->workload.batch * share, runs);
}

static moe_layer_work work_of(const moe_engine *e, const moe_runner *r, int l)
{
    const moe_experiment *x = e->p.experiment;
    const moe_layer_facts *f = &e->it.facts[l];
    return (moe_layer_work){
        .tokens = (double)e->it.batch->tokens,
        .sequences = x->workload.batch,
        .collects = e->it.collects,
        .plans = e->it.plans,
        .central = x->emulation.coordination == MOE_COORDINATION_CENTRAL,
        .layers = e->p.n_layers,
        .ahead = r->spec->plan_ahead,
        .planner_s = e->it.planner_cpu[l],
        .plan_bytes = (double)e->it.wire_bytes,
        .move_bytes = {fmax(f->move_sent[0], f->move_received[0]),
                       fmax(f->move_sent[1], f->move_received[1])},
        .dispatch_bytes = {f->dispatch_bytes[0], f->dispatch_bytes[1]},
        .combine_bytes = {f->combine_bytes[0], f->combine_bytes[1]},
        .direct = r->direct,
        .rows = e->it.slot_rows + (size_t)l * (size_t)e->max_slots,
        .slots = (size_t)r->slots};
}

void moe_engine_price(const moe_engine *e, const moe_runner *r, int i,
                      moe_ledger *ledger)
{
    const moe_pricer pricer = {.cost = e->cost,
                               .state = e->cost_state,
                               .model = e->p.model,
                               .layout = e->layout};
    moe_gemm_run runs[MOE_PREDICT_GEMMS];
    const int n_runs = predictor_work(e, r, runs);
    for (int l = 0; l < e->p.n_layers; l++) {
        const size_t at = moe_ledger_at(ledger, r->index, i, l) * MOE_N_PHASES;
        moe_layer_price price = {.source = MOE_PRICE_TABULATED};
        if (e->gpu >= 0) {
            moe_layer_work work = work_of(e, r, l);
            work.predict = runs;
            work.n_predict = n_runs;
            moe_layer_price_of(&pricer, &work, &price);
        }
        memcpy(ledger->gpu + at, price.gpu_s, sizeof price.gpu_s);
        memcpy(ledger->exposed + at, price.exposed_s, sizeof price.exposed_s);
        for (int p = 0; p < MOE_N_PHASES; p++)
            ledger->price_source[at + (size_t)p] =
                price.gpu_s[p] > 0 && p != MOE_PHASE_PLAN
                    ? (int16_t)price.source_of[p]
                    : -1;
    }
}
