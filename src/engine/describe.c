/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "moegps/text.h"

/* How each strategy routes, in their order. */
static void add_routing(const moe_experiment *x, moe_facts *facts)
{
    char text[MOE_FACT_LEN] = "";
    for (int i = 0; i < x->n_strategies; i++)
        moe_text_add(text, sizeof text, ", ", "%s",
                     x->strategy[i].n_candidates > 0 ? "chosen"
                     : x->strategy[i].direct         ? "direct"
                                                     : "dispatch");
    moe_facts_set(facts, MOE_FACT_ROUTING, "%s", text);
}

static void add_inputs(const moe_engine *e, moe_facts *facts)
{
    const moe_workload *w = &e->p.experiment->workload;
    moe_facts_set(facts, MOE_FACT_MODEL, "%s", e->p.model->name);
    moe_facts_set(facts, MOE_FACT_CLUSTER, "%s", e->p.cluster->name);
    moe_facts_set(facts, MOE_FACT_COST_MODEL, "%s", e->p.cluster->cost);
    moe_facts_set(facts, MOE_FACT_TRACE, "%s", e->p.experiment->trace_name);
    moe_facts_set(facts, MOE_FACT_TRACE_SHA256, "%s", e->p.trace->sha256);
    moe_facts_set(facts, MOE_FACT_EXPERTS, "%d", e->p.model->experts);
    moe_facts_set(facts, MOE_FACT_TOP_K, "%d", e->p.model->top_k);
    moe_facts_set(facts, MOE_FACT_BATCH, "%d", w->batch);
    moe_facts_set(facts, MOE_FACT_SEQ, "%d", w->seq);
    moe_facts_set(facts, MOE_FACT_MAX_TOKENS, "%" PRIu64,
                  moe_engine_max_tokens(e));
    moe_facts_set(facts, MOE_FACT_SEED, "%" PRIu64, w->seed);
    moe_facts_set(facts, MOE_FACT_ORDER, "%s",
                  moe_batcher_is_recorded(e->batcher) ? "recorded"
                                                      : "shuffled");
    moe_facts_set(facts, MOE_FACT_PASSES, "%.6g",
                  moe_batcher_passes(e->batcher));
    moe_facts_set(facts, MOE_FACT_ALIKE, "%.6g", moe_batcher_alike(e->batcher));
}

static void add_executed(const moe_engine *e, moe_facts *facts)
{
    const moe_emulation *em = &e->p.experiment->emulation;
    const moe_model *m = e->p.model;
    moe_facts_set(facts, MOE_FACT_FFN, "%s", em->ffn);
    moe_facts_set(facts, MOE_FACT_SCALE, "%d", em->scale);
    moe_facts_set(facts, MOE_FACT_EXECUTED_DTYPE, "%s",
                  e->shape.dtype == MOE_DTYPE_BF16 ? "bf16" : "f32");
    moe_facts_set(facts, MOE_FACT_EXECUTED_HIDDEN, "%d", e->shape.hidden);
    moe_facts_set(facts, MOE_FACT_EXECUTED_INTERMEDIATE, "%d", e->shape.inter);
    moe_facts_set(facts, MOE_FACT_FULL_HIDDEN, "%d", m->hidden);
    moe_facts_set(facts, MOE_FACT_FULL_INTERMEDIATE, "%d", m->intermediate);
    moe_facts_set(facts, MOE_FACT_EXECUTED_ROW_BYTES, "%zu",
                  moe_ffn_row_bytes(&e->shape));
    moe_facts_set(facts, MOE_FACT_FULL_ROW_BYTES, "%d",
                  m->hidden * moe_dtype_size(m->dtype));
    moe_facts_set(facts, MOE_FACT_THREADS, "%d", e->p.threads);
}

void moe_engine_describe(const moe_engine *e, moe_facts *facts)
{
    const moe_emulation *em = &e->p.experiment->emulation;
    add_inputs(e, facts);
    add_executed(e, facts);
    moe_facts_set(facts, MOE_FACT_COORDINATION, "%s",
                  em->coordination == MOE_COORDINATION_CENTRAL ? "central"
                                                               : "replicated");
    add_routing(e->p.experiment, facts);
    moe_facts_set(facts, MOE_FACT_REBALANCE_EVERY, "%d", em->rebalance_every);
    moe_pacing_describe(e, facts);
    moe_facts_set(facts, MOE_FACT_GPUS_PER_NODE, "%d",
                  e->p.cluster->gpus_per_node);
    moe_serving_text(moe_serving_of(e->serving), facts->text[MOE_FACT_SERVING],
                     MOE_FACT_LEN);
}

int moe_engine_history(const moe_engine *e)
{
    for (int i = 0; i < e->n_runners; i++)
        if (e->runner[i].spec->plan_ahead)
            return e->p.experiment->emulation.rebalance_every;
    return 0;
}

uint64_t moe_engine_max_tokens(const moe_engine *e)
{
    return moe_batcher_max_tokens(e->batcher);
}

double moe_engine_mean_pairs(const moe_engine *e)
{
    return (double)moe_engine_max_tokens(e) * e->p.model->top_k /
           e->layout.gpus;
}
