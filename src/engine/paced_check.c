/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdlib.h>

#include "moegps/measured.h"
#include "moegps/silicon.h"
#include "moegps/stats.h"

/* What a paced run has to know of the machine before it begins: how exactly it
 * keeps deadlines, how its links compare with the cluster's, and whether its
 * nodes are the emulated ones. */

/* Of waits by which the timer is measured: about the shortest of phases. */
static const double TRY_S = 200e-6;

/* ---- the timer ---- */

/* @return s that a phase of no length takes, median. */
static double shortest(const moe_pacing *p)
{
    double took_s[MOE_PACER_TRIES];
    for (int i = 0; i < MOE_PACER_TRIES; i++) {
        const moe_stamp start = moe_stamp_now();
        moe_pacer_wait(p->pacer, start.wall);
        took_s[i] = moe_stamp_now().wall - start.wall;
    }
    return moe_median_sorting(took_s, MOE_PACER_TRIES);
}

static void measure_timer(moe_engine *e)
{
    moe_pacing *p = e->pacing;
    p->error = moe_pacer_measure(p->pacer, TRY_S);
    double most[] = {p->error.median_s, p->error.p99_s, p->error.worst_s,
                     shortest(p)};
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, most, MOE_ARRAY_LEN(most), MPI_DOUBLE,
                          MPI_MAX, e->ctx->comm));
    p->error.median_s = most[0];
    p->error.p99_s = most[1];
    p->error.worst_s = most[2];
    p->shortest_s = fmax(most[0], most[3]);
}

/* ---- prices of the largest batch, spread evenly ---- */

static double attention_s(const moe_engine *e)
{
    const moe_pricer pricer = moe_engine_pricer(e);
    const double tokens = (double)moe_engine_max_tokens(e);
    const moe_layer_work work = {.tokens = tokens,
                                 .sequences = moe_engine_sequences(e, tokens)};
    moe_layer_cost cost;
    moe_layer_cost_common(&pricer, &work, &cost);
    return moe_pacing_attention_s(&cost);
}

static double ffn_s(const moe_engine *e, moe_error *err)
{
    const int slots = moe_layout_home_slots(&e->layout, e->p.model->experts);
    uint32_t *rows = moe_array_new((size_t)slots, sizeof *rows, err);
    double time_s = NAN;
    for (int s = 0; rows != NULL && s < slots; s++)
        rows[s] = (uint32_t)ceil(moe_engine_mean_pairs(e) / slots / e->n_parts);
    if (rows != NULL)
        time_s = e->cost->ffn(e->cost_state, rows, (size_t)slots).time_s *
                 e->n_parts;
    free(rows);
    return time_s;
}

double moe_pacing_expected_s(const moe_engine *e, moe_error *err)
{
    const moe_pacing *p = e->pacing;
    const moe_workload *w = &e->p.experiment->workload;
    const double layer_s =
        (p->attends ? attention_s(e) : 0) + (p->computes ? ffn_s(e, err) : 0);
    return layer_s * p->dilation * e->p.n_layers *
           e->p.experiment->n_strategies * (w->warmup + w->iterations);
}

static void refuse_short(const moe_engine *e, const char *key, double time_s,
                         moe_error *err)
{
    const moe_pacing *p = e->pacing;
    const double each_s = time_s * p->dilation / e->n_parts;
    if (!(time_s > 0) || !isfinite(time_s))
        moe_fail(err, MOE_USAGE,
                 "emulation.%s: paced: cost model %s of cluster %s has no time "
                 "for model %s in this shape",
                 key, e->p.cluster->cost, e->p.cluster->name, e->p.model->name);
    else if (each_s < p->shortest_s)
        moe_fail(err, MOE_USAGE,
                 "emulation.%s: paced: the phase takes %.3g us, less than the "
                 "%.3g us to which this machine keeps deadlines in the median "
                 "of %d waits: raise emulation.dilation, or share cores among "
                 "fewer ranks",
                 key, 1e6 * each_s, 1e6 * p->shortest_s, p->error.n);
}

/* ---- links ---- */

/* An all-to-all of the largest batch, on the cluster. */
static double there_s(const moe_engine *e)
{
    const moe_pricer pricer = moe_engine_pricer(e);
    const double each = moe_engine_mean_pairs(e) / e->layout.gpus *
                        moe_model_row_bytes(e->p.model);
    moe_exchange x = moe_pricer_everyone(&pricer);
    const int local = e->layout.gpus < e->layout.gpus_per_node
                          ? e->layout.gpus
                          : e->layout.gpus_per_node;
    x.node_bytes = each * (local - 1);
    x.network_bytes = each * (e->layout.gpus - local);
    return e->cost->alltoall(e->cost_state, &x).time_s;
}

/* The same here, by the tables. @return s; NaN with an error. */
static double here_s(const moe_engine *e, moe_error *err)
{
    const moe_cluster *c = e->p.cluster;
    const char *path = e->p.experiment->emulation.links;
    const char *gpu = c->tables_gpu[0] != '\0' ? c->tables_gpu : c->gpu;
    const double bytes =
        moe_engine_mean_pairs(e) * (double)moe_ffn_row_bytes(&e->shape);
    double time_s = NAN;
    moe_silicon *tables = moe_silicon_open(path, err);
    moe_link *link = moe_array_new(1, sizeof *link, err);
    if (tables != NULL && link != NULL &&
        moe_silicon_link(tables, "alltoall", gpu, MOE_MEASURED_BY_MPI, link,
                         err) == MOE_OK) {
        moe_link_smooth(link);
        for (size_t i = 0; i < link->n_counts; i++)
            if (link->count[i].gpus == e->layout.gpus)
                time_s = moe_link_price(link, e->layout.gpus, bytes).time_s;
        if (isnan(time_s))
            moe_fail(err, MOE_USAGE,
                     "no all-to-all of %d ranks in it: run `moegps calibrate "
                     "--mpi` with as many",
                     e->layout.gpus);
    }
    free(link);
    moe_silicon_close(tables);
    if (err->status != MOE_OK)
        err->status = MOE_USAGE;
    moe_error_prefix(err, "emulation.links: %s", path);
    return time_s;
}

/* Rank 0 reads the tables, all are told. */
static void compare_links(moe_engine *e)
{
    moe_pacing *p = e->pacing;
    moe_ctx *ctx = e->ctx;
    double time_s[2] = {NAN, NAN};
    if (e->p.experiment->emulation.links[0] == '\0' || e->layout.gpus < 2) {
        p->dilation = p->dilation > 0 ? p->dilation : 1;
        return;
    }
    if (ctx->rank == 0) {
        time_s[0] = here_s(e, &ctx->err);
        time_s[1] = there_s(e);
    }
    if (moe_agree(ctx) != MOE_OK)
        return;
    MOE_MPI(MPI_Bcast(time_s, 2, MPI_DOUBLE, 0, ctx->comm));
    const double ratio = time_s[0] / time_s[1];
    if (!(p->dilation > 0))
        p->dilation = fmax(ratio, 1);
    snprintf(
        p->links, sizeof p->links,
        "An all-to-all of %.3g MB per GPU among %d GPUs takes %.3g us on "
        "the cluster's links (modelled) and %.4g us on these (measured by "
        "calibrate --mpi, %.100s): these take %.3g times as long%s",
        1e-6 * moe_engine_mean_pairs(e) * moe_model_row_bytes(e->p.model),
        e->layout.gpus, 1e6 * time_s[1], 1e6 * time_s[0],
        e->p.experiment->emulation.links, ratio,
        fabs(p->dilation / ratio - 1) < 0.01
            ? ", and so do the paced phases: compute and links are in the "
              "cluster's proportion"
            : ", and the paced phases do not: compute and links are not in "
              "the cluster's proportion");
}

/* ---- nodes ---- */

/* Whether GPUs share a node here where they do on the cluster. Collective. */
static bool same_nodes(const moe_engine *e, moe_error *err)
{
    moe_ctx *ctx = e->ctx;
    int first = ctx->rank; /* lowest rank of the node */
    bool same = true;
    int *of = moe_array_new((size_t)ctx->size, sizeof *of, err);
    if (moe_agree(ctx) != MOE_OK) {
        free(of);
        return true;
    }
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, &first, 1, MPI_INT, MPI_MIN,
                          ctx->node_comm));
    MOE_MPI(MPI_Allgather(&first, 1, MPI_INT, of, 1, MPI_INT, ctx->comm));
    for (int g = 0; g < e->layout.gpus && g < ctx->size; g++)
        for (int h = 0; h < g; h++)
            same =
                same && (of[g] == of[h]) == (moe_layout_node(&e->layout, g) ==
                                             moe_layout_node(&e->layout, h));
    free(of);
    return same;
}

void moe_pacing_check(moe_engine *e)
{
    moe_pacing *p = e->pacing;
    if (p == NULL)
        return;
    measure_timer(e);
    compare_links(e);
    if (e->ctx->err.status != MOE_OK)
        return;
    if (p->attends)
        refuse_short(e, "attention", attention_s(e), &e->ctx->err);
    if (p->computes)
        refuse_short(e, "ffn", ffn_s(e, &e->ctx->err), &e->ctx->err);
    if (e->p.ranks == e->ctx->size && moe_agree(e->ctx) == MOE_OK &&
        !same_nodes(e, &e->ctx->err))
        moe_warn(e->ctx,
                 "ranks do not share nodes as the cluster's GPUs do, %d a "
                 "node: the network of this run is not the cluster's",
                 e->layout.gpus_per_node);
}
