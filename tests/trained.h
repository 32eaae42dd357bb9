/** trained.h: members of a predictor file, trained on a small trace and set up.
 */
#ifndef MOEGPS_TESTS_TRAINED_H
#define MOEGPS_TESTS_TRAINED_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/predictor.h"
#include "moegps/profile.h"
#include "moegps/rng.h"
#include "small_trace.h"

enum { L = 4, E = 8, K = 2, VOCAB = 6, SEQS = 10, MAX_OWN = 600, WIDTH = 5 };
static const int all_layers[] = {0, 1, 2, 3};

/* Sequences of 1 to 91 tokens, drawn at random; experts follow the last ids,
 * the layer before and chance. */
static inline moe_trace make_trace(void)
{
    moe_rng rng;
    moe_trace t = small_trace(
        &(small_trace_sizes){L, E, K, SEQS, 1, 10, VOCAB, VOCAB}, &rng);
    for (uint64_t l = 0; l < L; l++)
        for (uint64_t i = 0; i < t.n_tokens; i++) {
            uint16_t *e = t.experts_of + (l * t.n_tokens + i) * K;
            const uint64_t back = i > 0 ? t.token_id[i - 1] : 0;
            const uint64_t below = l > 0 ? e[-(int64_t)(t.n_tokens * K)] : 0;
            e[0] = (uint16_t)((t.token_id[i] + back + 3 * below +
                               moe_rng_below(&rng, 2)) %
                              E);
            e[1] = (uint16_t)((e[0] + 1 + moe_rng_below(&rng, E - 1)) % E);
        }
    return t;
}

typedef struct {
    moe_trace trace;
    moe_learned learned;
    moe_batcher *batcher;
    moe_batch *batch;
    float *hidden;
    moe_h5_image image;
    const moe_predictor *predictor;
    void *params, *state;
    int lookahead;
    uint16_t experts[MAX_OWN * K]; /* that were asked for last */
} stage;

/* A file of hidden states: the choices of the same layer, and noise. */
static inline void write_states(stage *s, int width)
{
    static char path[512];
    const hsize_t dims[3] = {L, s->trace.n_tokens, (hsize_t)width};
    const size_t n = (size_t)(dims[0] * dims[1] * dims[2]);
    float *state = moe_array_new(n, sizeof *state, NULL);
    moe_rng rng = moe_rng_at(5, MOE_RNG_TEST, 2, 0, 0);
    for (size_t i = 0; i < n; i++)
        state[i] = (float)moe_rng_normal(&rng) +
                   s->trace.experts_of[i / (size_t)width * K];
    snprintf(path, sizeof path, "%s/hidden.h5", test_dir);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(3, dims, NULL);
    hid_t set = H5Dcreate2(file, "hidden", H5T_IEEE_F32LE, space, H5P_DEFAULT,
                           H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, state);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
    free(state);
    char *data = NULL;
    free((void *)(uintptr_t)s->image.data);
    ck_assert_int_eq(moe_read_bytes(path, &data, &s->image.bytes, NULL),
                     MOE_OK);
    s->image.path = path;
    s->image.data = data;
}

/* A member, after what it rests on. */
static inline void learn(stage *s, const char *name)
{
    moe_error err = {0};
    const moe_predictor *p = moe_predictor_find(name);
    if (p->rests_on != NULL)
        learn(s, p->rests_on);
    const moe_train_env env = {.trace = &s->trace,
                               .seed = 7,
                               .lookahead = {1, 2},
                               .n_lookaheads = 2,
                               .epochs = 2, /* of networks */
                               .hidden = s->image,
                               .learned = &s->learned,
                               .kept_bits = 23};
    moe_learned_part *part = moe_learned_add(&s->learned, name, NULL);
    if (moe_predictor_train(p, &env, part, &err) != MOE_OK)
        ck_abort_msg("%s", err.text);
    ck_assert(part->complete);
    ck_assert(isfinite(part->final_loss));
}

static inline moe_status set_up(stage *s, int lookahead, moe_error *err)
{
    const moe_predictor_env env = {.trace = &s->trace,
                                   .layers = all_layers,
                                   .n_layers = L,
                                   .seed = 1,
                                   .lookahead = lookahead,
                                   .max_own = MAX_OWN,
                                   .file = s->image,
                                   .learned = &s->learned};
    moe_predictor_free(s->predictor, s->state);
    s->state = moe_predictor_new(s->predictor, &env, s->params, err);
    return s->state != NULL ? MOE_OK : err->status;
}

static inline void open_batch(stage *s, int gpu, int gpus)
{
    const moe_batcher_params p = {.trace = &s->trace,
                                  .seed = 1,
                                  .batch = 2,
                                  .layers = all_layers,
                                  .n_layers = L,
                                  .iterations = 1,
                                  .gpu = gpu,
                                  .gpus = gpus};
    moe_batcher_free(s->batcher);
    ck_assert_int_eq(moe_batcher_new(&p, &s->batcher, NULL), MOE_OK);
    s->batch = moe_batcher_load(s->batcher, 0);
}

static inline void begin(stage *s, const char *name)
{
    moe_error err = {0};
    *s = (stage){.trace = make_trace(), .predictor = moe_predictor_find(name)};
    ck_assert_int_eq(moe_learned_new(&s->trace, &s->learned, NULL), MOE_OK);
    write_states(s, WIDTH);
    learn(s, name);
    s->params = moe_array_new(1, s->predictor->params_size, NULL);
    moe_opt_defaults(s->predictor->opts, s->params);
    s->lookahead = moe_horizon_layers(s->predictor->sees) ? 1 : 0;
    if (set_up(s, s->lookahead, &err) != MOE_OK)
        ck_abort_msg("%s", err.text);
    open_batch(s, 0, 1);
}

static inline void end(stage *s)
{
    moe_predictor_free(s->predictor, s->state);
    moe_batcher_free(s->batcher);
    moe_learned_free(&s->learned);
    moe_trace_free(&s->trace);
    free((void *)(uintptr_t)s->image.data);
    free(s->params);
}

static inline void ask(stage *s, int layer, float *scores)
{
    s->predictor->tokens(s->state, s->batch, layer, s->experts);
    memcpy(scores, s->predictor->scores(s->state),
           (size_t)s->batch->own * E * sizeof *scores);
    for (uint32_t i = 0; i < s->batch->own; i++) {
        const uint16_t *e = s->experts + i * K;
        float sum = 0;
        ck_assert(e[0] < E && e[1] < E && e[0] != e[1]);
        for (int x = 0; x < E; x++) {
            const float p = scores[i * E + (uint32_t)x];
            ck_assert(p >= 0 && p <= 1);
            sum += p;
        }
        ck_assert_float_eq_tol(sum, K, 1e-4F);
    }
}

#endif
