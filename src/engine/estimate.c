/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <omp.h>

#include "moegps/clock.h"
#include "transport.h"

enum { CALLS = 5 }; /* of the experts that are timed */

moe_ledger_dims moe_engine_dims(const moe_engine *e)
{
    const moe_workload *w = &e->p.experiment->workload;
    const int strategies = e->p.experiment->n_strategies;
    return (moe_ledger_dims){
        .strategies = strategies,
        .candidates = e->n_runners > strategies ? strategies : 0,
        .iterations = w->iterations,
        .warmup = w->warmup,
        .layers = e->p.n_layers,
        .experts = e->p.model->experts,
        .gpus = e->layout.gpus,
        .ranks = e->p.ranks,
        .slots = e->max_slots,
        .paced = moe_emulation_is_paced(&e->p.experiment->emulation)};
}

static double held_rows(const moe_engine *e)
{
    const moe_transport *by = moe_transport_find(
        moe_serve_exchanges[e->p.experiment->serving.exchange]);
    const double pairs = moe_engine_mean_pairs(e);
    return by->held_rows != NULL
               ? by->held_rows((double)moe_engine_max_tokens(e), pairs)
               : 3 * pairs;
}

moe_engine_bytes moe_engine_memory(const moe_engine *e)
{
    const moe_ledger_dims d = moe_engine_dims(e);
    const double expert = (double)moe_engine_held_bytes(e);
    const double row = (double)moe_ffn_row_bytes(&e->shape);
    double slots = 0;
    for (int i = 0; i < d.strategies; i++)
        slots += e->runner[i].spec->slots;
    return (moe_engine_bytes){
        .weights = expert * d.layers * (d.experts + slots * d.gpus),
        .rows = row * held_rows(e) +
                (e->ffn->paced ? (double)moe_flow_memory() : 0),
        .measurements = moe_ledger_bytes(&d, 1),
        .root_measurements = moe_ledger_bytes(&d, 0)};
}

/* Run the experts at home on this GPU, in one layer, on as many rows each.
 * @return s of CPU time of the least call, on one thread: a busy machine
 * disturbs that less than the time that passes. */
static double time_layer(moe_engine *e, moe_error *err)
{
    const int slots = e->home.count;
    const uint32_t each = (uint32_t)ceil(moe_engine_mean_pairs(e) / slots);
    void **weights = moe_array_new((size_t)slots, sizeof *weights, err);
    uint32_t *rows = moe_array_new((size_t)slots, sizeof *rows, err);
    void *data =
        moe_array_new((size_t)slots * each, moe_ffn_row_bytes(&e->shape), err);
    double least_s = INFINITY;
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    for (int s = 0; s < slots && data != NULL; s++) {
        weights[s] = e->home.data + (size_t)s * e->home.bytes;
        rows[s] = each;
    }
    for (int call = 0; call < CALLS && err->status == MOE_OK; call++) {
        const moe_ffn_input input = {slots, weights, rows, data};
        const double start_s = moe_clock_cpu();
        e->ffn->run(e->ffn_state, &input, err);
        least_s = fmin(least_s, moe_clock_cpu() - start_s);
    }
    omp_set_num_threads(threads);
    free(weights);
    free(rows);
    free(data);
    return least_s / threads;
}

moe_status moe_engine_expert_time(moe_engine *e, double *s_out, moe_error *err)
{
    const moe_workload *w = &e->p.experiment->workload;
    if (e->pacing != NULL && e->pacing->computes) {
        *s_out = moe_pacing_expected_s(e, err);
        return err->status;
    }
    if (e->home.count == 0) {
        *s_out = NAN;
        return MOE_OK;
    }
    const double layer_s = time_layer(e, err);
    if (err->status == MOE_OK)
        *s_out = layer_s * e->p.n_layers * e->p.experiment->n_strategies *
                 (w->warmup + w->iterations);
    return err->status;
}
