/** engine_bench.h: a small run for tests of the engine: traces made by hand,
 *  an experiment as text, a ledger.
 */
#ifndef MOEGPS_TESTS_ENGINE_BENCH_H
#define MOEGPS_TESTS_ENGINE_BENCH_H

#include <string.h>

#include "fixture.h"
#include "moegps/engine.h"

typedef struct {
    const char *name;
    bool loads; /* a load trace */
    const char *sets[6];
    int n_sets;
} engine_case;

typedef struct {
    moe_experiment x;
    moe_model model;
    moe_cluster cluster;
    moe_trace trace;
    int layers[8], n_layers;
    moe_engine *engine;
    moe_ledger ledger;
} bench;

/* On a model and a trace that b has. @param predictor  of the last strategy
 * instead of its own; NULL: its own. */
static inline moe_status bench_init_for(moe_ctx *ctx, bench *b,
                                        const engine_case *c, const char *text,
                                        const moe_predictor *predictor)
{
    moe_error *err = &ctx->err;
    *err = (moe_error){0};
    b->cluster = fixture_cluster();
    if (moe_experiment_parse(text, "test", c->sets, c->n_sets, &b->x, err) !=
        MOE_OK)
        return err->status;
    if (predictor != NULL)
        b->x.strategy[b->x.n_strategies - 1].predictor = predictor;
    moe_experiment_layers(b->x.workload.layers, b->model.layers, b->layers,
                          &b->n_layers, err);
    const moe_engine_params params = {.experiment = &b->x,
                                      .model = &b->model,
                                      .cluster = &b->cluster,
                                      .trace = &b->trace,
                                      .layers = b->layers,
                                      .n_layers = b->n_layers,
                                      .threads = 1};
    if (moe_engine_new(ctx, &params, &b->engine) != MOE_OK)
        return err->status;
    moe_ledger_dims dims = moe_engine_dims(b->engine);
    moe_ledger_init(&b->ledger, &dims, ctx->rank, err);
    return moe_agree(ctx);
}

static inline moe_status bench_init_on(moe_ctx *ctx, bench *b,
                                       const engine_case *c, const char *text,
                                       const moe_predictor *predictor)
{
    memset(b, 0, sizeof *b);
    b->model = fixture_model();
    b->trace = c->loads ? fixture_loads(&b->model) : fixture_tokens(&b->model);
    return bench_init_for(ctx, b, c, text, predictor);
}
static inline void bench_fini(bench *b)
{
    moe_engine_free(b->engine);
    moe_ledger_fini(&b->ledger);
    moe_trace_free(&b->trace);
    moe_experiment_fini(&b->x);
}

#endif
