/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <omp.h>

#include "moegps/topo.h"
#include "moegps/trace_visits.h"

static moe_status check_inputs(const moe_engine *e, moe_error *err)
{
    const moe_engine_params *p = &e->p;
    const moe_model *m = p->model;
    const moe_trace_model of = {m->profile, m->layers, moe_model_last_layer(m),
                                m->experts, m->top_k};
    if (moe_trace_fits(p->trace, &of, err) != MOE_OK)
        return err->status;
    const int need = moe_layout_home_slots(&e->layout, m->experts);
    for (int i = 0; i < p->experiment->n_strategies; i++) {
        const moe_strategy *s = &p->experiment->strategy[i];
        if (s->slots != 0 && s->slots < need && e->layout.gpus > 1)
            return moe_fail(err, MOE_USAGE,
                            "strategy %s: slots: %d is too few for the home "
                            "placement: %d experts on %d GPUs need %d",
                            s->name, s->slots, m->experts, e->layout.gpus,
                            need);
    }
    return MOE_OK;
}

static moe_status check_phase(const moe_engine *e, moe_error *err)
{
    const moe_workload *w = &e->p.experiment->workload;
    const moe_serving *s = &e->p.experiment->serving;
    return s->phase == MOE_SERVE_DECODE
               ? moe_batch_check_decode(e->p.trace, w->batch, w->seq, s->kv_len,
                                        err)
               : MOE_OK;
}

/* Layers are numbered as in the model; the trace may hold some of them. */
static moe_status find_layers(moe_engine *e, moe_error *err)
{
    const moe_trace *t = e->p.trace;
    e->trace_layer =
        moe_array_new((size_t)e->p.n_layers, sizeof *e->trace_layer, err);
    for (int l = 0; e->trace_layer != NULL && l < e->p.n_layers; l++) {
        e->trace_layer[l] = moe_trace_find_layer(t, e->p.layers[l]);
        if (e->trace_layer[l] < 0)
            return moe_fail(err, MOE_MISMATCH,
                            "workload.layers: the trace has no layer %d, only "
                            "%d of the model's %d, from %d to %d",
                            e->p.layers[l], t->layers, e->p.model->layers,
                            moe_trace_layer_number(t, 0),
                            moe_trace_layer_number(t, t->layers - 1));
    }
    return err->status;
}

static void find_place(moe_engine *e)
{
    const bool dedicated =
        e->p.experiment->emulation.coordinator == MOE_COORDINATOR_DEDICATED;
    e->layout = (moe_layout){e->p.ranks - (dedicated ? 1 : 0),
                             e->p.cluster->gpus_per_node};
    e->coordinator = dedicated ? e->p.ranks - 1 : 0;
    e->gpu = e->ctx->rank < e->layout.gpus ? e->ctx->rank : -1;
    MOE_MPI(MPI_Comm_split(e->ctx->comm, e->gpu >= 0 ? 0 : MPI_UNDEFINED,
                           e->ctx->rank, &e->gpu_comm));
}

static moe_status make_batcher(moe_engine *e, moe_error *err)
{
    const moe_workload *w = &e->p.experiment->workload;
    const moe_serving *s = &e->p.experiment->serving;
    const moe_batcher_params params = {.trace = e->p.trace,
                                       .seed = w->seed,
                                       .batch = w->batch,
                                       .seq = w->seq,
                                       .layers = e->trace_layer,
                                       .n_layers = e->p.n_layers,
                                       .iterations = w->warmup + w->iterations,
                                       .gpu = e->gpu,
                                       .gpus = e->layout.gpus,
                                       .order = w->order,
                                       .repeat = w->repeat,
                                       .decode = s->phase == MOE_SERVE_DECODE,
                                       .whole = s->attention == MOE_SERVE_DATA,
                                       .mixed = s->exchange != MOE_SERVE_PAIRS};
    return moe_batcher_new(&params, &e->batcher, err);
}

/* The executed sizes: rounded up to whole vectors of the CPU. */
static int scaled(int size, int scale)
{
    const int part = (size + scale - 1) / scale;
    return (part + 7) / 8 * 8;
}

static moe_dtype executed_dtype(moe_run_dtype asked)
{
    switch (asked) {
    case MOE_RUN_DTYPE_BF16:
        return MOE_DTYPE_BF16;
    case MOE_RUN_DTYPE_F32:
        return MOE_DTYPE_F32;
    default:
        return moe_ffn_native_dtype();
    }
}

static moe_status make_ffn(moe_engine *e, moe_error *err)
{
    const moe_emulation *em = &e->p.experiment->emulation;
    const moe_model *m = e->p.model;
    e->ffn = moe_ffn_find(em->ffn);
    e->exact = moe_ffn_find("exact");
    e->shape = (moe_ffn_shape){
        .hidden = scaled(m->hidden, em->scale),
        .inter = scaled(m->intermediate, em->scale),
        .top_k = m->top_k,
        .dtype = e->ffn->paced ? MOE_DTYPE_BF16 : executed_dtype(em->dtype),
        .form = m->form,
        .seed = e->p.experiment->workload.seed,
        .layers = e->p.layers};
    omp_set_num_threads(e->p.threads > 0 ? e->p.threads : 1);
    e->ffn_state = moe_array_new(1, e->ffn->state_size, err);
    e->exact_state = moe_array_new(1, e->exact->state_size, err);
    if (err->status != MOE_OK || e->gpu < 0)
        return err->status;
    if (e->ffn->init(e->ffn_state, &e->shape, err) == MOE_OK)
        e->exact->init(e->exact_state, &e->shape, err);
    return err->status;
}

static moe_status make_home(moe_engine *e, moe_error *err)
{
    const moe_home_weights_params home = {.layout = &e->layout,
                                          .gpu = e->gpu,
                                          .layers =
                                              e->p.dry ? 1 : e->p.n_layers,
                                          .experts = e->p.model->experts,
                                          .bytes = moe_engine_held_bytes(e),
                                          .ffn = e->ffn,
                                          .ffn_state = e->ffn_state};
    return e->gpu < 0 ? MOE_OK : moe_home_weights_init(&e->home, &home, err);
}

static moe_status make_rows(moe_engine *e, moe_error *err)
{
    const size_t own = moe_batcher_max_own(e->batcher);
    e->rows = moe_array_new(own, moe_ffn_row_bytes(&e->shape), err);
    e->exact_rows = moe_array_new(own, moe_ffn_row_bytes(&e->shape), err);
    e->out = moe_array_new(own, moe_ffn_out_bytes(&e->shape), err);
    return err->status;
}

/* Memory of an iteration, and what its stages need to do their work. */
static moe_status make_scratch(moe_engine *e, moe_error *err)
{
    const bool tries = e->n_runners > e->p.experiment->n_strategies;
    if (make_rows(e, err) != MOE_OK ||
        moe_iteration_init(&e->it, e, err) != MOE_OK ||
        (tries && moe_iteration_init(&e->trial, e, err) != MOE_OK) ||
        moe_engine_coordination_init(e, err) != MOE_OK ||
        moe_engine_record_init(e, err) != MOE_OK ||
        moe_engine_pricing_init(e, err) != MOE_OK)
        return err->status;
    return moe_engine_check_init(e, err);
}

/* Slots per GPU and layer. A single GPU holds every expert at home, so there
 * the number that was asked for means nothing. */
static int slots_of(const moe_engine *e, const moe_strategy *s)
{
    const int need = moe_layout_home_slots(&e->layout, e->p.model->experts);
    return s->slots > 0 && e->layout.gpus > 1 ? s->slots : need;
}

static void make_runners(moe_engine *e, moe_error *err)
{
    for (int i = 0; i < e->n_runners && err->status == MOE_OK; i++) {
        moe_runner *r = &e->runner[i];
        const moe_strategy *strategy = &e->p.experiment->strategy[r->index];
        r->slots = slots_of(e, strategy);
        if (r->spec->n_candidates > 0)
            continue; /* its candidates follow */
        moe_runner_init(e, r, err);
        if (strategy->n_candidates == 0 && err->status == MOE_OK)
            moe_runner_hold_weights(e, r, r->spec->planner->keeps_home, err);
        moe_error_prefix(err, "strategy %s", r->spec->name);
    }
    for (int i = 0; i < e->p.experiment->n_strategies; i++)
        if (e->runner[i].spec->n_candidates > 0 && err->status == MOE_OK)
            moe_engine_choice_init(e, &e->runner[i], err);
}

static int widest_slots(const moe_engine *e)
{
    int most = 0;
    for (int i = 0; i < e->p.experiment->n_strategies; i++) {
        int slots = slots_of(e, &e->p.experiment->strategy[i]);
        most = slots > most ? slots : most;
    }
    return most;
}

static moe_status make_cost(moe_engine *e, moe_error *err)
{
    e->cost = moe_cost_find(e->p.cluster->cost);
    if (e->cost == NULL)
        return moe_fail(err, MOE_USAGE, "cluster %s: no cost model '%s'",
                        e->p.cluster->name, e->p.cluster->cost);
    e->cost_state = moe_cost_new(e->cost, e->p.model, e->p.cluster, err);
    if (err->status != MOE_OK)
        return err->status;
    moe_serving serving = e->p.experiment->serving;
    serving.kv_len = moe_batcher_kv_len(e->batcher, serving.kv_len);
    if (moe_serving_cost_new(&serving, e->p.model, e->p.cluster, &e->layout,
                             &e->serving, err) != MOE_OK)
        moe_error_prefix(err, "serving");
    return err->status;
}

/* Kernels have room for so many tokens of a GPU; halves have whole sequences. */
static moe_status check_tokens(const moe_engine *e, moe_error *err)
{
    const moe_pricer pricer = moe_engine_pricer(e);
    const double groups =
        (double)e->layout.gpus / moe_layer_attention_gpus(&pricer);
    const double each =
        (double)moe_batcher_max_tokens(e->batcher) / e->layout.gpus;
    const double batch =
        moe_engine_sequences(e, (double)moe_batcher_max_tokens(e->batcher));
    const double sequences = ceil(batch / groups);
    if (moe_serving_cost_fits(e->serving, each, sequences, err) != MOE_OK)
        moe_error_prefix(err, "serving");
    return err->status;
}

/* Local set-up, in order of need; the first failure ends it. Small things come
 * first: */
static void set_up(moe_engine *e, moe_error *err)
{
    moe_inject(e->ctx, MOE_SITE_SETUP);
    if (err->status == MOE_OK && check_inputs(e, err) == MOE_OK &&
        check_phase(e, err) == MOE_OK && find_layers(e, err) == MOE_OK &&
        make_batcher(e, err) == MOE_OK && make_cost(e, err) == MOE_OK &&
        check_tokens(e, err) == MOE_OK)
        make_ffn(e, err);
}

/* Collective, before memory is taken. */
static void warn_of_memory(const moe_engine *e)
{
    const moe_engine_bytes b = moe_engine_memory(e);
    moe_topo_warn_memory(e->ctx,
                         b.weights / e->p.ranks + b.rows + b.measurements +
                             (e->ctx->rank == 0 ? b.root_measurements : 0));
}

/* ... then what takes memory. */
static void set_up_buffers(moe_engine *e, moe_error *err)
{
    if (make_home(e, err) != MOE_OK || make_scratch(e, err) != MOE_OK)
        return;
    if (!moe_inject(e->ctx, MOE_SITE_PREDICTOR))
        make_runners(e, err);
    if (err->status == MOE_OK)
        moe_engine_regret_init(e, err);
}

/* Batches with the same tokens are no independent samples. */
static void warn_of_repeats(const moe_engine *e)
{
    const double passes = moe_batcher_passes(e->batcher);
    if (passes > 1)
        moe_warn(e->ctx,
                 "the test part of the trace is used %.1f times over: "
                 "iterations repeat tokens, so intervals are too narrow",
                 passes);
}

/* A limit shapes what is described; a trace's tokens go where they went. */
static void warn_of_limit(const moe_engine *e)
{
    const int limit = e->p.experiment->serving.group_limit;
    if (limit == 0 || e->ctx->rank != 0)
        return;
    const double beyond = moe_trace_over_limit(e->p.trace, &e->layout, limit);
    if (beyond > 0)
        moe_warn(
            e->ctx,
            "serving.group_limit: the experts of %.1f %% of the trace's "
            "tokens are at home on more than %d node%s; their rows go there "
            "all the same",
            100 * beyond, limit, limit == 1 ? "" : "s");
}

moe_status moe_engine_new(moe_ctx *ctx, const moe_engine_params *params,
                          moe_engine **engine_out)
{
    moe_engine *e = moe_array_new(1, sizeof *e, &ctx->err);
    if (moe_agree(ctx) != MOE_OK) {
        free(e);
        return ctx->err.status;
    }
    e->ctx = ctx;
    e->p = *params;
    if (e->p.ranks == 0)
        e->p.ranks = ctx->size;
    e->checks.validation.max_output_error = NAN;
    e->gpu_comm = MPI_COMM_NULL;
    if (params->experiment->emulation.coordinator ==
            MOE_COORDINATOR_DEDICATED &&
        e->p.ranks < 2)
        moe_fail(&ctx->err, MOE_USAGE,
                 "emulation.coordinator: dedicated needs at least 2 ranks");
    if (moe_agree(ctx) == MOE_OK) {
        if (moe_ffn_level_cpus(ctx->comm))
            moe_warn(ctx, "the ranks' CPUs differ: experts use only the "
                          "instructions that all of them have");
        find_place(e);
        e->max_slots = widest_slots(e);
        if (moe_runners_share_files(e) == MOE_OK)
            set_up(e, &ctx->err);
        if (moe_agree(ctx) == MOE_OK) {
            warn_of_memory(e);
            set_up_buffers(e, &ctx->err);
        }
        moe_agree(ctx);
        moe_runners_drop_files(e);
        if (ctx->err.status == MOE_OK) {
            warn_of_repeats(e);
            warn_of_limit(e);
            moe_pacing_init(e);
            moe_agree(ctx);
        }
        if (ctx->err.status == MOE_OK) {
            moe_parts_init(e);
            moe_agree(ctx);
        }
        if (ctx->err.status == MOE_OK) {
            moe_parts_connect(e);
            moe_pacing_connect(e);
            moe_pacing_check(e);
            moe_agree(ctx);
        }
    }
    if (ctx->err.status != MOE_OK) {
        moe_engine_free(e);
        return ctx->err.status;
    }
    *engine_out = e;
    return MOE_OK;
}

void moe_engine_free(moe_engine *e)
{
    if (e == NULL)
        return;
    for (int i = 0; i < e->n_runners; i++)
        moe_runner_fini(e, &e->runner[i]);
    moe_engine_regret_fini(e);
    moe_parts_fini(e);
    moe_pacing_fini(e);
    moe_home_weights_fini(&e->home);
    moe_ffn_free(e->ffn, e->ffn_state);
    moe_ffn_free(e->exact, e->exact_state);
    moe_serving_cost_free(e->serving);
    moe_cost_free(e->cost, e->cost_state);
    moe_batcher_free(e->batcher);
    moe_engine_check_fini(e);
    moe_engine_record_fini(e);
    moe_engine_pricing_fini(e);
    moe_engine_coordination_fini(e);
    moe_iteration_fini(&e->trial);
    moe_iteration_fini(&e->it);
    void *arrays[] = {e->runner, e->rows, e->exact_rows, e->out,
                      e->trace_layer};
    for (size_t i = 0; i < MOE_ARRAY_LEN(arrays); i++)
        free(arrays[i]);
    if (e->gpu_comm != MPI_COMM_NULL)
        MOE_MPI(MPI_Comm_free(&e->gpu_comm));
    free(e);
}

int moe_engine_gpu(const moe_engine *e)
{
    return e->gpu;
}

const moe_ffn_shape *moe_engine_shape(const moe_engine *e)
{
    return &e->shape;
}

const moe_validation *moe_engine_validation(const moe_engine *e)
{
    return &e->checks.validation;
}
