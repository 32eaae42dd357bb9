/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

moe_status moe_engine_record_init(moe_engine *e, moe_error *err)
{
    const size_t l = (size_t)e->p.n_layers, x = (size_t)e->p.model->experts;
    e->recording.load = moe_array_new(l * x, sizeof *e->recording.load, err);
    e->recording.hits = moe_array_new(3 * l, sizeof *e->recording.hits, err);
    return err->status;
}

void moe_engine_record_fini(moe_engine *e)
{
    free(e->recording.hits);
    free(e->recording.load);
}

static size_t n_loads(const moe_engine *e)
{
    return (size_t)e->p.n_layers * (size_t)e->it.batch->experts;
}

static void record_times(const moe_engine *e, const moe_runner *r, int i,
                         moe_ledger *ledger)
{
    for (int l = 0; l < e->p.n_layers; l++) {
        const size_t cell = moe_ledger_at(ledger, r->index, i, l);
        const size_t at = cell * MOE_N_PHASES;
        const moe_layer_times *t = &e->it.times[l];
        for (int p = 0; p < MOE_N_PHASES; p++) {
            ledger->wall[at + (size_t)p] = moe_pacing_undilated(e, t->wall[p]);
            ledger->wait[at + (size_t)p] = moe_pacing_undilated(e, t->wait[p]);
        }
        memcpy(ledger->cpu + at, t->cpu, sizeof t->cpu);
        ledger->rank_pairs[cell] =
            e->gpu >= 0 ? (int32_t)e->it.facts[l].rows : 0;
    }
}

static void record_attention(const moe_engine *e, const moe_runner *r, int i,
                             moe_ledger *ledger)
{
    moe_layer_work w = {.numbers = 0};
    moe_engine_attend(e, &w);
    for (int l = 0; l < e->p.n_layers; l++) {
        const size_t at = moe_ledger_at(ledger, r->index, i, l);
        ledger->own_sequences[at] = (int32_t)w.own_sequences;
        ledger->own_tokens[at] = e->gpu >= 0 ? (int32_t)e->it.batch->own : 0;
        ledger->cached[at] = w.cached;
    }
}

/* What the gpu clock prices, so that a file can be priced anew. */
static void record_work(const moe_engine *e, const moe_runner *r, int i,
                        moe_ledger *ledger)
{
    for (int l = 0; l < e->p.n_layers && e->gpu >= 0; l++) {
        const size_t cell = moe_ledger_at(ledger, r->index, i, l);
        const moe_layer_facts *f = &e->it.facts[l];
        const uint32_t *rows =
            e->it.slot_rows + (size_t)l * (size_t)e->max_slots;
        int32_t *pairs = ledger->slot_pairs + cell * (size_t)ledger->dims.slots;
        for (int s = 0; s < r->slots; s++)
            pairs[s] = (int32_t)rows[s];
        for (size_t far = 0; far < MOE_N_LINKS; far++) {
            const size_t at = cell * MOE_N_LINKS + far;
            moe_ledger_exchange(ledger, MOE_EXCHANGE_DISPATCH)[at] =
                (int64_t)f->dispatch_bytes[far];
            moe_ledger_exchange(ledger, MOE_EXCHANGE_COMBINE)[at] =
                (int64_t)f->combine_bytes[far];
            moe_ledger_exchange(ledger, MOE_EXCHANGE_MIGRATE)[at] =
                (int64_t)fmax(f->move_sent[far], f->move_received[far]);
        }
    }
}

/* Distribution error of the prediction: mean_e |p^(e) - p(e)| / (1/E), which
 * is sum_e |p^ - p| (MoE-GPS, section 4). */
static void record_error(const moe_engine *e, const moe_runner *r, int i,
                         const uint64_t *predicted, moe_ledger *ledger)
{
    const int n_e = e->it.batch->experts;
    for (int l = 0; l < e->p.n_layers; l++) {
        const size_t cell = moe_ledger_at(ledger, r->index, i, l);
        double *pairs = ledger->predicted_pairs + cell * (size_t)n_e;
        double sum = 0.0, truth = 0.0, error = 0.0;
        for (int x = 0; x < n_e; x++) {
            pairs[x] = (double)predicted[l * n_e + x] / MOE_LOAD_ONE;
            sum += pairs[x];
            truth += (double)e->it.batch->true_pairs[l * n_e + x];
        }
        for (int x = 0; x < n_e; x++)
            error += fabs(pairs[x] / sum -
                          (double)e->it.batch->true_pairs[l * n_e + x] / truth);
        ledger->error[cell] = error;
    }
}

/* Hits of a token forecast: first experts right, pairs right. What the GPUs
 * had in place is counted by those that received it. */
static void count_hits(const moe_engine *e, int layer, uint64_t *hits)
{
    const size_t k = (size_t)e->it.batch->top_k;
    const size_t at = (size_t)layer * e->it.batch->own * k;
    for (uint32_t t = 0; t < e->it.batch->own; t++) {
        const uint16_t *truth = e->it.batch->experts_of + at + t * k;
        const uint16_t *said = e->it.predicted_experts + at + t * k;
        hits[0] += truth[0] == said[0];
        for (size_t j = 0; j < k; j++)
            for (size_t m = 0; m < k; m++)
                hits[1] += said[j] == truth[m];
    }
}

static void record_hits(const moe_engine *e, const moe_runner *r, int i,
                        moe_ledger *ledger)
{
    if (r->forecast != MOE_FORECAST_TOKENS)
        return;
    const int n = 3 * e->p.n_layers;
    memset(e->recording.hits, 0, (size_t)n * sizeof *e->recording.hits);
    for (int l = 0; l < e->p.n_layers; l++) {
        count_hits(e, l, e->recording.hits + 3 * l);
        e->recording.hits[3 * l + 2] = e->gpu >= 0 ? e->it.facts[l].placed : 0;
    }
    const bool root = e->ctx->rank == 0;
    MOE_MPI(MPI_Reduce(root ? MPI_IN_PLACE : e->recording.hits,
                       e->recording.hits, n, MPI_UINT64_T, MPI_SUM, 0,
                       e->ctx->comm));
    const double tokens = (double)e->it.batch->tokens;
    for (int l = 0; l < e->p.n_layers && root; l++) {
        const size_t cell = moe_ledger_at(ledger, r->index, i, l);
        const uint64_t *t = e->recording.hits + 3 * l;
        ledger->recall[cell] = (double)t[1] / (tokens * e->it.batch->top_k);
        if (e->p.trace->ordered)
            ledger->top1[cell] = (double)t[0] / tokens;
        if (r->direct)
            ledger->in_place[cell] =
                (double)t[2] / (tokens * e->it.batch->top_k);
    }
}

static void record_plan(const moe_engine *e, const moe_runner *r, int i,
                        moe_ledger *ledger)
{
    const int slots = ledger->dims.slots;
    for (int l = 0; l < e->p.n_layers; l++) {
        const size_t cell = moe_ledger_at(ledger, r->index, i, l);
        const moe_plan_layer p = moe_plan_at(&r->plan, l);
        ledger->moved_bytes[cell] = e->it.facts[l].moved;
        ledger->planner_time[cell] = e->it.planner_cpu[l];
        ledger->planner_steps[cell] = (int64_t)e->it.planner_steps[l];
        for (int g = 0; g < p.gpus; g++)
            for (int s = 0; s < p.slots; s++) {
                size_t to =
                    (cell * (size_t)p.gpus + (size_t)g) * (size_t)slots +
                    (size_t)s;
                int from = g * p.slots + s;
                ledger->slot_expert[to] = p.expert[from];
                ledger->slot_quota[to] = (double)p.quota[from] / MOE_QUOTA_ONE;
            }
    }
    ledger->wire_bytes[r->index * ledger->dims.iterations + i] =
        (int64_t)e->it.wire_bytes;
}

static void record_global(const moe_engine *e, const moe_runner *r, int i,
                          moe_ledger *ledger)
{
    for (int g = 0; g < e->layout.gpus; g++) {
        const int to = r->index * e->layout.gpus + g;
        ledger->dispatch_bytes[to] += e->it.sent_bytes[g];
        ledger->ahead_bytes[to] += e->it.ahead_bytes[g];
    }
    if (e->ctx->rank == 0) {
        int32_t *truth = ledger->true_pairs + (size_t)i * n_loads(e);
        for (size_t x = 0; x < n_loads(e); x++)
            truth[x] = (int32_t)e->it.batch->true_pairs[x];
        record_plan(e, r, i, ledger);
    }
    if (!e->it.predicts)
        return;
    MOE_MPI(MPI_Reduce(e->it.predicted_load, e->recording.load, (int)n_loads(e),
                       MPI_UINT64_T, MPI_SUM, 0, e->ctx->comm));
    if (e->ctx->rank == 0)
        record_error(e, r, i, e->recording.load, ledger);
    record_hits(e, r, i, ledger);
}

void moe_engine_record(const moe_engine *e, const moe_runner *r, int i,
                       moe_ledger *ledger)
{
    record_times(e, r, i, ledger);
    record_work(e, r, i, ledger);
    record_attention(e, r, i, ledger);
    moe_pacing_record(e, r, i, ledger);
    moe_engine_price(e, r, i, ledger);
    record_global(e, r, i, ledger);
    moe_engine_choice_record(e, r->index, i, ledger);
    moe_engine_regret_record(e, r, i, ledger);
}
