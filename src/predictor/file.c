/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/h5.h"
#include "moegps/mem.h"

/* Predictions that were computed elsewhere: experts of every token of the
 * trace, in an HDF5 file (jobs/README.md). What they cost is not known here;
 * `flops` lets the gpu clock charge it. */

typedef struct {
    char path[1024];
    double flops;
} file_params;

static const moe_opt options[] = {
    {.key = "path",
     .type = MOE_OPT_TEXT,
     .initial = "",
     MOE_OPT_AT(file_params, path),
     .help = "HDF5 file with `experts` (layer, token, k) for the trace"},
    {.key = "flops",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 1e15,
     MOE_OPT_AT(file_params, flops),
     .help = "floating-point operations of a prediction, per token and layer, "
             "charged on the gpu clock as one product; 0: free"},
    {.key = NULL}};

typedef struct {
    int n_layers, top_k;
    uint64_t n_tokens;
    double flops;
    uint16_t *choice; /* [n_layers][n_tokens][top_k] likeliest first */
} file_state;

static const char *file(const void *params)
{
    return ((const file_params *)params)->path;
}

/* What the file says of itself must be this trace. */
static void check_labels(hid_t h5, const moe_trace *t, moe_error *err)
{
    char text[128] = "";
    if (moe_h5_has(h5, "model")) {
        moe_h5_get_text(h5, "model", text, sizeof text, err);
        if (err->status == MOE_OK && strcmp(text, t->model) != 0)
            moe_fail(err, MOE_MISMATCH, "is of model '%s', the trace of '%s'",
                     text, t->model);
    }
    if (moe_h5_has(h5, "trace_sha256")) {
        moe_h5_get_text(h5, "trace_sha256", text, sizeof text, err);
        if (err->status == MOE_OK && strcmp(text, t->sha256) != 0)
            moe_fail(err, MOE_MISMATCH,
                     "is of a trace with sha256 %.12s..., this one has "
                     "%.12s...",
                     text, t->sha256);
    }
}

static void check_shape(hid_t h5, const char *name, const moe_trace *t,
                        H5T_class_t class, moe_error *err)
{
    hsize_t dims[3] = {0};
    moe_h5_dims(h5, name, 3, dims, err);
    if (err->status == MOE_OK &&
        (dims[0] != (hsize_t)t->layers || dims[1] != t->n_tokens ||
         dims[2] != (hsize_t)t->top_k))
        moe_fail(err, MOE_MISMATCH,
                 "dataset '%s': %" PRIuHSIZE " x %" PRIuHSIZE " x %" PRIuHSIZE
                 ", the trace has %d layers, %" PRIu64 " tokens, top %d",
                 name, dims[0], dims[1], dims[2], t->layers, t->n_tokens,
                 t->top_k);
    hid_t dataset = moe_h5_open_dataset(h5, name, err);
    if (dataset < 0)
        return;
    hid_t type = H5Dget_type(dataset);
    if (H5Tget_class(type) != class || H5Tget_size(type) > 8)
        moe_fail(err, MOE_FORMAT, "dataset '%s' does not hold %s", name,
                 class == H5T_INTEGER ? "integers" : "floats");
    moe_h5_close(type);
    moe_h5_close(dataset);
}

static void read_layer(hid_t h5, const char *name, const moe_h5_block *layer,
                       hid_t type, void *data, moe_error *err)
{
    hid_t dataset = moe_h5_open_dataset(h5, name, err);
    if (dataset >= 0)
        moe_h5_read_block(dataset, layer, type, data, err);
    moe_h5_close(dataset);
}

static void check_token(const moe_trace *t, int layer, uint64_t token,
                        const int32_t *expert, const float *score,
                        moe_error *err)
{
    for (int j = 0; j < t->top_k && err->status == MOE_OK; j++) {
        if (expert[j] < 0 || expert[j] >= t->experts)
            moe_fail(err, MOE_FORMAT,
                     "dataset 'experts': layer %d, token %" PRIu64
                     ": expert %d is not in 0..%d",
                     layer, token, (int)expert[j], t->experts - 1);
        for (int i = 0; i < j; i++)
            if (expert[i] == expert[j])
                moe_fail(err, MOE_FORMAT,
                         "dataset 'experts': layer %d, token %" PRIu64
                         ": expert %d is there twice",
                         layer, token, (int)expert[j]);
        if (score != NULL && !isfinite(score[j]))
            moe_fail(err, MOE_FORMAT,
                     "dataset 'scores': layer %d, token %" PRIu64
                     ": %g is no score",
                     layer, token, (double)score[j]);
    }
}

/* Likeliest first; equal scores stay in their order. */
static void order_token(int k, const int32_t *expert, const float *score,
                        uint16_t *choice)
{
    float ordered[MOE_MAX_TOP_K];
    for (int j = 0; j < k; j++) {
        const float mine = score != NULL ? score[j] : 0;
        int at = j;
        for (; at > 0 && ordered[at - 1] < mine; at--) {
            ordered[at] = ordered[at - 1];
            choice[at] = choice[at - 1];
        }
        ordered[at] = mine;
        choice[at] = (uint16_t)expert[j];
    }
}

static void take_layers(hid_t h5, const moe_predictor_env *env, file_state *s,
                        moe_error *err)
{
    const moe_trace *t = env->trace;
    const size_t k = (size_t)s->top_k, n = s->n_tokens * k;
    const bool scored = moe_h5_exists(h5, "scores");
    int32_t *expert = moe_array_new(n, sizeof *expert, err);
    float *score = scored ? moe_array_new(n, sizeof *score, err) : NULL;
    s->choice = moe_array_new((size_t)s->n_layers * n, sizeof *s->choice, err);
    for (int l = 0; l < s->n_layers && err->status == MOE_OK; l++) {
        const int layer = env->layers[l];
        const moe_h5_block one = {.start = {(hsize_t)layer},
                                  .count = {1, t->n_tokens, k}};
        /* As signed numbers, which keep what is out of range. */
        read_layer(h5, "experts", &one, H5T_NATIVE_INT32, expert, err);
        if (scored)
            read_layer(h5, "scores", &one, H5T_NATIVE_FLOAT, score, err);
        for (uint64_t i = 0; i < t->n_tokens && err->status == MOE_OK; i++) {
            const float *row = scored ? score + i * k : NULL;
            check_token(t, layer, i, expert + i * k, row, err);
            if (err->status == MOE_OK)
                order_token(s->top_k, expert + i * k, row,
                            s->choice + (size_t)l * n + i * k);
        }
    }
    free(expert);
    free(score);
}

static moe_status init(void *state, const moe_predictor_env *env,
                       const void *params, moe_error *err)
{
    file_state *s = state;
    const file_params *p = params;
    const moe_trace *t = env->trace;
    if (p->path[0] == '\0')
        return moe_fail(err, MOE_USAGE, "predictor file: no path is given");
    if (t->kind != MOE_TRACE_TOKENS)
        return moe_fail(err, MOE_USAGE,
                        "predictor file: needs a token trace; tokens made "
                        "from loads are not those of the file");
    moe_error local = {0};
    s->n_layers = env->n_layers;
    s->top_k = t->top_k;
    s->n_tokens = t->n_tokens;
    s->flops = p->flops;
    hid_t h5 = moe_h5_open_image(&env->file, &local);
    if (h5 >= 0) {
        check_labels(h5, t, &local);
        check_shape(h5, "experts", t, H5T_INTEGER, &local);
        if (local.status == MOE_OK && moe_h5_exists(h5, "scores"))
            check_shape(h5, "scores", t, H5T_FLOAT, &local);
        if (local.status == MOE_OK)
            take_layers(h5, env, s, &local);
        moe_h5_close_file(h5, &local);
    }
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_error_prefix(&local, "%s", p->path);
    return moe_pass(err, &local);
}

static void tokens(void *state, const moe_batch *batch, int layer,
                   uint16_t *experts_out)
{
    const file_state *s = state;
    const size_t k = (size_t)s->top_k;
    const uint16_t *choice = s->choice + (size_t)layer * s->n_tokens * k;
    for (uint32_t i = 0; i < batch->own; i++)
        memcpy(experts_out + i * k, choice + batch->id[i] * k,
               k * sizeof *experts_out);
}

static int work(const void *state, double n_tokens, double sequences,
                moe_gemm_run *runs_out)
{
    (void)sequences;
    const double side = sqrt(((const file_state *)state)->flops / 2);
    if (!(side > 0))
        return 0;
    runs_out[0] = (moe_gemm_run){{.m = n_tokens, .n = side, .k = side}, 1};
    return 1;
}

static size_t parameters(const void *state)
{
    const file_state *s = state;
    return (size_t)s->n_layers * s->n_tokens * (size_t)s->top_k;
}

static void fini(void *state)
{
    free(((file_state *)state)->choice);
}

const moe_predictor moe_predictor_file = {
    .name = "file",
    .help = "your own predictions, computed elsewhere and read from HDF5",
    .opts = options,
    .params_size = sizeof(file_params),
    .state_size = sizeof(file_state),
    .forecast = moe_forecast_of_tokens,
    .file = file,
    .init = init,
    .tokens = tokens,
    .work = work,
    .parameters = parameters,
    .fini = fini,
};
