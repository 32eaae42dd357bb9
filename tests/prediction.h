/** prediction.h: predictors set up on small traces, and batches to ask them about.
 */
#ifndef MOEGPS_TESTS_PREDICTION_H
#define MOEGPS_TESTS_PREDICTION_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "harness.h"
#include "moegps/predictor.h"

static const int layers[] = {2, 0};
enum {
    N_LAYERS = 2,
    MAX_OWN = 400,
    MAX_E = 64,
    SEQS = 4,
    LEN = 25,
    ITERATIONS = 3
};

/* Iterations as predictors are told of them: batch 0 says nothing. Tests run
 * in processes of their own. */
static moe_batcher_params prediction_shape;

/* A predictor set up on a trace. */
typedef struct {
    const moe_predictor *predictor;
    const char *set; /* "key=value", or NULL */
    moe_predictor_env env;
    void *params, *state;
    char *bytes;         /* of its file */
    moe_learned learned; /* what it was trained to be, if it is trained */
    moe_forecast forecast;
    moe_status status; /* of init */
    moe_error err;
} prediction;

/* The bytes of the file that the predictor asks for. */
static inline void prediction_read(prediction *s)
{
    const moe_predictor *p = s->predictor;
    const char *path = p->file != NULL ? p->file(s->params) : NULL;
    size_t bytes = 0;
    if (path == NULL || *path == '\0')
        return;
    ck_assert_int_eq(moe_read_bytes(path, &s->bytes, &bytes, NULL), MOE_OK);
    s->env.file = (moe_h5_image){path, s->bytes, bytes};
}

static inline moe_status train_on(void *arg, const moe_learned_part *part,
                                  moe_error *err)
{
    (void)arg, (void)part, (void)err;
    return MOE_OK;
}

/* Train a member after what it rests on. */
static inline void train_member(prediction *s, const moe_train_env *env,
                                const char *name)
{
    const moe_predictor *p = moe_predictor_find(name);
    if (p->rests_on != NULL)
        train_member(s, env, p->rests_on);
    moe_learned_part *part = moe_learned_add(&s->learned, name, &s->err);
    if (part != NULL)
        p->train(env, part, &s->err);
}

/* Train for an epoch, if there is something to train. */
static inline void prediction_train(prediction *s, const moe_trace *trace)
{
    const moe_train_env env = {.trace = trace,
                               .seed = 7,
                               .epochs = 1,
                               .lookahead = {1},
                               .n_lookaheads = 1,
                               .hidden = s->env.file,
                               .learned = &s->learned,
                               .kept_bits = 23,
                               .epoch = train_on};
    if (s->predictor->train == NULL || trace->kind != MOE_TRACE_TOKENS)
        return;
    moe_learned_new(trace, &s->learned, &s->err);
    train_member(s, &env, s->predictor->name);
    s->env.learned = &s->learned;
}

/* @param set  "key=value", or NULL. */
static inline void prediction_init(prediction *s, const char *name,
                                   const moe_trace *trace, const char *set)
{
    const moe_predictor *p = moe_predictor_find(name);
    *s = (prediction){.predictor = p,
                      .set = set,
                      .learned = {.shared = MPI_WIN_NULL},
                      .env = {.trace = trace,
                              .layers = layers,
                              .n_layers = N_LAYERS,
                              .seed = 7,
                              .batch = prediction_shape.batch,
                              .seq = prediction_shape.seq,
                              .lookahead = moe_horizon_layers(p->sees),
                              .max_own = MAX_OWN}};
    s->params = moe_array_new(1, p->params_size, NULL);
    if (p->opts != NULL)
        moe_opt_defaults(p->opts, s->params);
    while (set != NULL) {
        char key[32] = "", value[512] = "";
        ck_assert_int_eq(sscanf(set, "%31[^=]=%511[^,]", key, value), 2);
        ck_assert_int_eq(
            moe_opt_parse(moe_opt_find(p->opts, key), value, s->params, NULL),
            MOE_OK);
        set = strchr(set, ',') != NULL ? strchr(set, ',') + 1 : NULL;
    }
    s->forecast = p->forecast(s->params);
    prediction_read(s);
    prediction_train(s, trace);
    s->state = moe_predictor_new(p, &s->env, s->params, &s->err);
    s->status = s->err.status;
}

static inline void prediction_fini(prediction *s)
{
    moe_predictor_free(s->predictor, s->state);
    free(s->params);
    free(s->bytes);
    moe_learned_free(&s->learned);
}

/* One rank's part of iteration 1, true pairs summed over ranks as the engine
 * does it. */
typedef struct {
    moe_batcher *batcher;
    moe_batch *batch;
} rank_batch;

static inline void rank_batch_init(rank_batch *h, const moe_trace *trace,
                                   int gpu, int gpus)
{
    const moe_batcher_params params = {.trace = trace,
                                       .seed = 7,
                                       .batch = SEQS,
                                       .seq = LEN,
                                       .layers = layers,
                                       .n_layers = N_LAYERS,
                                       .iterations = ITERATIONS,
                                       .gpu = gpu,
                                       .gpus = gpus};
    ck_assert_int_eq(moe_batcher_new(&params, &h->batcher, NULL), MOE_OK);
    h->batch = moe_batcher_load(h->batcher, 1);
    if (gpus == 1)
        return;
    rank_batch whole;
    rank_batch_init(&whole, trace, 0, 1);
    memcpy(h->batch->true_pairs, whole.batch->true_pairs,
           (size_t)(N_LAYERS * trace->experts) * sizeof(int64_t));
    moe_batcher_free(whole.batcher);
}

static inline moe_trace make_trace(bool loads)
{
    const moe_model model = fixture_model();
    return loads ? fixture_loads(&model) : fixture_tokens(&model);
}

/* Sum of the loads that `gpus` ranks foretell, in fixed point. */
static inline void predict_load(prediction *s, const moe_trace *trace, int gpus,
                                int layer, uint64_t *sum)
{
    uint16_t experts[MAX_OWN * 2];
    double share[MAX_E];
    uint64_t load[MAX_E];
    memset(sum, 0, MAX_E * sizeof *sum);
    for (int g = 0; g < gpus; g++) {
        rank_batch h;
        rank_batch_init(&h, trace, g, gpus);
        const moe_predicted out = {
            s->forecast == MOE_FORECAST_TOKENS ? experts : NULL, share, load};
        moe_predictor_load(s->predictor, s->forecast, s->state, h.batch, layer,
                           &out);
        for (int e = 0; e < trace->experts; e++)
            sum[e] += load[e];
        moe_batcher_free(h.batcher);
    }
}

/* What a file of predictions holds: the true experts, all one further. */
typedef struct {
    int64_t *experts; /* [layers][n_tokens][top_k] */
    double *scores;   /* the same, or NULL: none are written */
    hsize_t dims[3];
    char model[64], sha256[65]; /* "": not written */
} foreign_file;

static inline foreign_file foreign_of(const moe_trace *t)
{
    foreign_file p = {
        .dims = {(hsize_t)t->layers, t->n_tokens, (hsize_t)t->top_k}};
    const size_t n = (size_t)(p.dims[0] * p.dims[1] * p.dims[2]);
    p.experts = moe_array_new(n, sizeof *p.experts, NULL);
    for (size_t i = 0; i < n && t->kind == MOE_TRACE_TOKENS; i++)
        p.experts[i] = (t->experts_of[i] + 1) % t->experts;
    return p;
}

/* As a user would write it, with HDF5 alone. @return the path. */
static const char *write_foreign(const foreign_file *p)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/foreign.h5", test_dir);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(3, p->dims, NULL);
    hid_t set = H5Dcreate2(file, "experts", H5T_STD_I64LE, space, H5P_DEFAULT,
                           H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL,
                              H5P_DEFAULT, p->experts),
                     0);
    H5Dclose(set);
    set = H5Dcreate2(file, "hidden", H5T_IEEE_F32LE, space, H5P_DEFAULT,
                     H5P_DEFAULT, H5P_DEFAULT);
    ck_assert_int_ge(H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL,
                              H5P_DEFAULT, p->experts),
                     0);
    H5Dclose(set);
    if (p->scores != NULL) {
        set = H5Dcreate2(file, "scores", H5T_IEEE_F32LE, space, H5P_DEFAULT,
                         H5P_DEFAULT, H5P_DEFAULT);
        ck_assert_int_ge(H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL,
                                  H5P_DEFAULT, p->scores),
                         0);
        H5Dclose(set);
    }
    if (p->model[0] != '\0')
        moe_h5_put_text(file, "model", p->model, &(moe_error){0});
    if (p->sha256[0] != '\0')
        moe_h5_put_text(file, "trace_sha256", p->sha256, &(moe_error){0});
    H5Sclose(space);
    H5Fclose(file);
    return path;
}

#endif
