/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/profile.h"

/* Read a profile on rank 0, parse it everywhere. */
static moe_status read_profile(moe_ctx *ctx, const char *kind, const char *name,
                               char *path, char **text_out)
{
    if (ctx->rank == 0)
        moe_profile_find(kind, name, ".yaml", path, 1024, &ctx->err);
    if (moe_agree(ctx) != MOE_OK)
        return ctx->err.status;
    MOE_MPI(MPI_Bcast(path, 1024, MPI_CHAR, 0, ctx->comm));
    return moe_ctx_read_text(ctx, path, text_out);
}

static void put_back(char **profile, char *text)
{
    if (text == NULL)
        return;
    free(*profile);
    *profile = text;
}

static moe_status read_profiles(moe_run_job *r)
{
    char path[1024] = "", *text = NULL;
    moe_ctx *ctx = &r->ctx;
    if (read_profile(ctx, "models", r->experiment.model_name, path,
                     &r->model_profile) == MOE_OK)
        moe_model_parse_set(r->model_profile, path, &r->o.set, &r->model, &text,
                            &ctx->err);
    put_back(&r->model_profile, text);
    text = NULL;
    if (moe_agree(ctx) == MOE_OK &&
        read_profile(ctx, "clusters", r->experiment.cluster_name, path,
                     &r->cluster_profile) == MOE_OK)
        moe_cluster_parse_set(r->cluster_profile, path, &r->o.set, &r->cluster,
                              &text, &ctx->err);
    put_back(&r->cluster_profile, text);
    if (moe_agree(ctx) != MOE_OK)
        return ctx->err.status;
    put_back(&r->cluster_profile,
             moe_cluster_text(r->cluster_profile, &r->cluster, &ctx->err));
    return moe_agree(ctx);
}

static moe_status read_trace(moe_run_job *r)
{
    char path[1024] = "";
    moe_ctx *ctx = &r->ctx;
    if (ctx->rank == 0)
        moe_profile_find("traces", r->experiment.trace_name, ".h5", path,
                         sizeof path, &ctx->err);
    if (moe_agree(ctx) != MOE_OK)
        return ctx->err.status;
    return moe_trace_load(ctx, path, &r->trace);
}

/* All layers are those that the trace has. */
static void choose_layers(moe_run_job *r)
{
    const moe_trace *t = &r->trace;
    const char *list = r->experiment.workload.layers;
    const int last = moe_model_last_layer(&r->model);
    const int end = t->has_layer_number ? last + 1 : r->model.layers;
    const int most = end > t->layers ? end : t->layers;
    r->layers = moe_array_new((size_t)most, sizeof *r->layers, &r->ctx.err);
    if (r->layers == NULL)
        return;
    if (t->has_layer_number && strcmp(list, "all") == 0) {
        r->n_layers = t->layers;
        memcpy(r->layers, t->layer_number,
               (size_t)t->layers * sizeof *r->layers);
    } else {
        moe_experiment_layers(list, end, r->layers, &r->n_layers, &r->ctx.err);
    }
}

/* The predictor files that strategies ask for, each once. */
static moe_status read_learned(moe_run_job *r)
{
    moe_ctx *ctx = &r->ctx;
    const moe_experiment *x = &r->experiment;
    for (int i = 0; i < x->n_strategies; i++) {
        const char *name = x->strategy[i].load;
        char path[1024] = "";
        for (int j = 0; j < i && r->learned[i] == NULL; j++)
            if (strcmp(name, x->strategy[j].load) == 0)
                r->learned[i] = r->learned[j];
        if (name[0] == '\0' || r->learned[i] != NULL)
            continue;
        if (ctx->rank == 0)
            moe_profile_find("predictors", name, ".h5", path, sizeof path,
                             &ctx->err);
        if (moe_agree(ctx) != MOE_OK ||
            moe_learned_load(ctx, path, &r->file[r->n_files]) != MOE_OK)
            return ctx->err.status;
        r->learned[i] = &r->file[r->n_files++];
    }
    return MOE_OK;
}

moe_status moe_run_read_inputs(moe_run_job *r)
{
    moe_ctx *ctx = &r->ctx;
    if (moe_ctx_read_text(ctx, r->o.experiment, &r->input) != MOE_OK)
        return ctx->err.status;
    moe_experiment_parse(r->input, r->o.experiment, r->o.set.text, r->o.set.n,
                         &r->experiment, &ctx->err);
    moe_inject(ctx, MOE_SITE_CONFIG);
    if (moe_agree(ctx) != MOE_OK || read_profiles(r) != MOE_OK)
        return ctx->err.status;
    r->resolved = moe_experiment_resolved(&r->experiment);
    if (moe_agree(ctx) != MOE_OK || read_trace(r) != MOE_OK)
        return ctx->err.status;
    choose_layers(r);
    return moe_agree(ctx) == MOE_OK ? read_learned(r) : ctx->err.status;
}
