/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/predictor/neural_recur.h"

#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "moegps/mem.h"
#include "small_trace.h"

enum { L = 3, E = 8, K = 2, VOCAB = 20, SEQS = 12, MAX_OWN = 4096, SEED = 1 };
static const int layers[] = {2, 0};

static const moe_neural_kind *const kinds[] = {&moe_neural_ffn,
                                               &moe_neural_lstm};
enum { FFN, LSTM, N_KINDS };
static const moe_scorer_params choices = {0};

/* Sequences of 30 to 360 tokens, drawn at random. The experts of a token are
 * those of the token `back` before it, a function of layer and id. */
static moe_trace make_trace(int back)
{
    moe_rng rng; /* the last id is never met */
    moe_trace t = small_trace(
        &(small_trace_sizes){L, E, K, SEQS, 30, 30, VOCAB, VOCAB - 1}, &rng);
    for (uint64_t l = 0; l < L; l++)
        for (uint64_t i = 0; i < t.n_tokens; i++) {
            const uint64_t id =
                t.token_id[i >= (unsigned)back ? i - (unsigned)back : i];
            uint16_t *e = t.experts_of + (l * t.n_tokens + i) * K;
            e[0] = (uint16_t)((id * 3 + l) % E);
            e[1] = (uint16_t)((e[0] + 1 + id % (E - 1)) % E);
        }
    return t;
}

/* The part of the network is the last; first the tables that it rests on. */
static moe_learned learn_new(const moe_trace *trace, const char *name,
                             uint64_t seed)
{
    moe_learned l;
    moe_error err = {0};
    ck_assert_int_eq(moe_learned_new(trace, &l, NULL), MOE_OK);
    const moe_train_env env = {.trace = trace, .seed = seed, .kept_bits = 23};
    moe_learned_part *tables = moe_learned_add(&l, "ngram", NULL);
    if (moe_predictor_find("ngram")->train(&env, tables, &err) != MOE_OK)
        ck_abort_msg("%s", err.text);
    ck_assert_ptr_nonnull(moe_learned_add(&l, name, NULL));
    return l;
}

static moe_learned_part *net_of(const moe_learned *l)
{
    return &l->part[l->n_parts - 1];
}

/* @param stop  epochs until training is interrupted; 0: never */
static moe_status stop_after(void *arg, const moe_learned_part *part,
                             moe_error *err)
{
    const int *stop = arg;
    return part->epochs == *stop ? moe_fail(err, MOE_INTERRUPTED, "stop")
                                 : MOE_OK;
}

static moe_status go_on(moe_learned *l, const moe_trace *trace, int epochs,
                        uint64_t seed, int stop)
{
    moe_error err = {0};
    const moe_train_env env = {.trace = trace,
                               .seed = seed,
                               .epochs = epochs,
                               .learned = l,
                               .kept_bits = 23,
                               .epoch = stop_after,
                               .arg = &stop};
    const moe_status s =
        moe_predictor_find(net_of(l)->predictor)->train(&env, net_of(l), &err);
    if (s != MOE_OK && s != MOE_INTERRUPTED)
        ck_abort_msg("%s", err.text);
    return s;
}

static moe_learned learn(const moe_trace *trace, const char *name, int epochs,
                         uint64_t seed)
{
    moe_learned l = learn_new(trace, name, seed);
    ck_assert_int_eq(go_on(&l, trace, epochs, seed, 0), MOE_OK);
    return l;
}

/* ---- gradients ---- */

typedef struct {
    const moe_neural_kind *kind;
    moe_neural_task task;
    moe_neural_row row[MOE_NEURAL_ARRAYS];
    moe_neural_array array[MOE_NEURAL_ARRAYS];
    int n_arrays;
    moe_learned learned; /* the tables */
    moe_neural_logs logs;
    uint64_t *samples;
    int n_samples;
    void *state;
} bench;

static void bench_init(bench *b, const moe_neural_kind *kind,
                       const moe_trace *trace)
{
    const moe_learned_shape heads = moe_neural_heads_shape(L, E);
    *b = (bench){.kind = kind, .learned = learn_new(trace, kind->name, SEED)};
    ck_assert_int_eq(
        moe_neural_task_init(&b->task, trace, SEED, 0, &(moe_error){0}),
        MOE_OK);
    ck_assert_int_eq(
        moe_neural_logs_init(&b->logs, &b->task, &b->learned, &(moe_error){0}),
        MOE_OK);
    b->n_arrays = kind->declare(&heads, VOCAB, b->row);
    for (int a = 0; a < b->n_arrays; a++) {
        moe_neural_array *x = &b->array[a];
        moe_rng rng = moe_rng_at(6, MOE_RNG_TEST, 1, 0, (uint64_t)a);
        x->n = 1;
        for (int d = 0; d < b->row[a].shape.rank; d++)
            x->n *= b->row[a].shape.dim[d];
        x->value = moe_array_new(x->n, sizeof(float), NULL);
        x->grad = moe_array_new(x->n, sizeof(float), NULL);
        for (size_t i = 0; i < x->n; i++) /* larger than at a start */
            x->value[i] = (float)(0.2 * moe_rng_normal(&rng));
    }
    b->samples = moe_array_new(trace->n_tokens, sizeof *b->samples, NULL);
    b->n_samples = (int)kind->list(&b->task, NEURAL_FIT, b->samples);
    b->n_samples = b->n_samples < kind->batch ? b->n_samples : kind->batch;
    b->state = moe_neural_net_new(kind, &b->task, &b->logs, b->array,
                                  b->n_arrays, NULL);
    ck_assert_ptr_nonnull(b->state);
}

static void bench_fini(bench *b)
{
    moe_neural_net_free(b->state);
    free(b->samples);
    for (int a = 0; a < b->n_arrays; a++) {
        free(b->array[a].value);
        free(b->array[a].grad);
    }
    moe_neural_logs_fini(&b->logs);
    moe_learned_free(&b->learned);
    moe_neural_task_fini(&b->task);
}

/* Step 1 draws the same masks every time, so the loss is a function. */
static double loss_of(bench *b)
{
    moe_neural_score score = {0};
    ck_assert_int_eq(moe_neural_net_run(b->state, b->samples, b->n_samples, 1,
                                        &score, &(moe_error){0}),
                     MOE_OK);
    return score.loss / score.tokens;
}

/* Slope of the loss along a direction, by central difference. */
static double slope(bench *b, int a, const float *direction, double h)
{
    moe_neural_array *x = &b->array[a];
    float *kept = moe_array_new(x->n, sizeof *kept, NULL);
    double loss[2];
    memcpy(kept, x->value, x->n * sizeof *kept);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < x->n; i++)
            x->value[i] =
                kept[i] + (float)((side == 0 ? -h : h) * (double)direction[i]);
        loss[side] = loss_of(b);
    }
    memcpy(x->value, kept, x->n * sizeof *kept);
    free(kept);
    return (loss[1] - loss[0]) / (2 * h);
}

/* The loss is a mean of some hundred tokens' losses in f32, each right to
 * about 1e-6, so to about 1e-7; over a step of 2e-3 that is a slope right to
 * 5e-5 at worst. Curvature and rectifiers that flip within the step add less
 * than 1e-3 of the slope. */
static const double STEP = 2e-3, ABSOLUTE = 5e-5, RELATIVE = 1e-3;

static void compare_slope(bench *b, int a, const float *grad,
                          const float *direction, const char *what)
{
    double said = 0, found = slope(b, a, direction, STEP);
    for (size_t i = 0; i < b->array[a].n; i++)
        said += (double)grad[i] * (double)direction[i];
    if (getenv("SHOW_SLOPES") != NULL)
        fprintf(stderr, "# %s %s %s: %.6f %.6f\n", b->kind->name,
                b->row[a].shape.name, what, said, found);
    ck_assert_msg(fabs(said - found) <= ABSOLUTE + RELATIVE * fabs(found),
                  "%s: %s, %s: gradient says %g, differences %g", b->kind->name,
                  b->row[a].shape.name, what, said, found);
}

/* Along the gradient, along random signs, and along single elements. */
static void check_array(bench *b, int a)
{
    const size_t n = b->array[a].n;
    float *grad = moe_array_new(n, sizeof *grad, NULL);
    float *direction = moe_array_new(n, sizeof *direction, NULL);
    double norm = 0;
    size_t largest = 0;
    loss_of(b);
    memcpy(grad, b->array[a].grad, n * sizeof *grad);
    for (size_t i = 0; i < n; i++) {
        norm += (double)grad[i] * (double)grad[i];
        largest = fabsf(grad[i]) > fabsf(grad[largest]) ? i : largest;
    }
    ck_assert_msg(norm > 0, "%s: no gradient", b->row[a].shape.name);
    for (size_t i = 0; i < n; i++)
        direction[i] = (float)((double)grad[i] / sqrt(norm));
    compare_slope(b, a, grad, direction, "along it");
    moe_rng rng = moe_rng_at(7, MOE_RNG_TEST, 2, 0, (uint64_t)a);
    for (size_t i = 0; i < n; i++)
        direction[i] =
            (moe_rng_below(&rng, 2) == 0 ? -1.0F : 1.0F) / sqrtf((float)n);
    compare_slope(b, a, grad, direction, "random");
    memset(direction, 0, n * sizeof *direction);
    direction[largest] = 1;
    compare_slope(b, a, grad, direction, "largest element");
    free(grad);
    free(direction);
}

START_TEST(gradients_equal_finite_differences)
{
    moe_trace trace = make_trace(1);
    bench b;
    bench_init(&b, kinds[_i], &trace);
    for (int a = 0; a < b.n_arrays; a++)
        check_array(&b, a);
    bench_fini(&b);
    moe_trace_free(&trace);
}
END_TEST

/* ---- training ---- */

static double last_recall(const moe_learned *l)
{
    const moe_learned_part *p = net_of(l);
    const moe_learned_shape s = {
        "valid_recall", 1, {MOE_LEARNED_EPOCH}, {(uint64_t)p->epochs_limit}};
    return (double)moe_learned_get(p, &s, NULL)[p->best_epoch];
}

/* Who learns what: by token both, by the token before only the LSTM. */
static const struct {
    int kind, back, epochs;
    double low, high; /* validation recall; guessing gives K / E = 0.25 */
} lessons[] = {
    {FFN, 0, 150, 0.95, 1}, {FFN, 1, 60, 0.15, 0.5}, {LSTM, 1, 80, 0.9, 1}};

START_TEST(networks_learn_what_they_can_see)
{
    moe_trace trace = make_trace(lessons[_i].back);
    moe_learned l =
        learn(&trace, kinds[lessons[_i].kind]->name, lessons[_i].epochs, 1);
    const double recall = last_recall(&l);
    ck_assert_msg(recall >= lessons[_i].low && recall <= lessons[_i].high,
                  "recall %g, not in %g..%g", recall, lessons[_i].low,
                  lessons[_i].high);
    moe_learned_free(&l);
    moe_trace_free(&trace);
}
END_TEST

static bool same_arrays(const moe_learned *a, const moe_learned *b)
{
    const moe_learned_part *p = net_of(a), *q = net_of(b);
    bool same = p->n_arrays == q->n_arrays && p->epochs == q->epochs &&
                p->best_epoch == q->best_epoch;
    for (int i = 0; i < p->n_arrays && same; i++)
        same = memcmp(p->array[i].data, q->array[i].data,
                      moe_learned_elements(&p->array[i]) * sizeof(float)) == 0;
    return same;
}

START_TEST(equal_seeds_make_equal_weights)
{
    moe_trace trace = make_trace(1);
    const char *name = kinds[_i]->name;
    moe_learned a = learn(&trace, name, 2, 1), b = learn(&trace, name, 2, 1);
    moe_learned c = learn(&trace, name, 2, 2);
    ck_assert(same_arrays(&a, &b));
    ck_assert(!same_arrays(&a, &c));
    moe_learned_free(&a);
    moe_learned_free(&b);
    moe_learned_free(&c);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(an_interrupted_training_ends_as_if_it_was_not)
{
    char path[300];
    moe_trace trace = make_trace(1);
    const char *name = kinds[_i]->name;
    moe_learned whole = learn(&trace, name, 4, 1);
    moe_learned part = learn_new(&trace, name, 1), again;
    ck_assert_int_eq(go_on(&part, &trace, 4, 1, 2), MOE_INTERRUPTED);
    snprintf(path, sizeof path, "%s/%s.partial", test_dir, name);
    ck_assert_int_eq(moe_learned_write(path, &part, NULL), MOE_OK);
    ck_assert_int_eq(moe_learned_read(path, &again, NULL), MOE_OK);
    ck_assert(!net_of(&again)->complete);
    ck_assert_int_eq(go_on(&again, &trace, 4, 1, 0), MOE_OK);
    ck_assert(same_arrays(&whole, &again));
    moe_learned_free(&whole);
    moe_learned_free(&part);
    moe_learned_free(&again);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(a_checkpoint_of_other_options_is_refused)
{
    moe_error err = {0};
    moe_trace trace = make_trace(0);
    moe_learned l = learn_new(&trace, "ffn", 1);
    ck_assert_int_eq(go_on(&l, &trace, 6, 1, 2), MOE_INTERRUPTED);
    const moe_train_env env = {
        .trace = &trace, .seed = 1, .epochs = 7, .kept_bits = 23};
    ck_assert_int_eq(moe_predictor_find("ffn")->train(&env, net_of(&l), &err),
                     MOE_MISMATCH);
    ck_assert_str_eq(err.text, "predictor ffn: the checkpoint is of seed 1 and "
                               "6 epochs");
    moe_learned_free(&l);
    moe_trace_free(&trace);
}
END_TEST

/* ---- prediction ---- */

typedef struct {
    const moe_predictor *predictor;
    void *state;
} trained;

static trained trained_new(const char *name, const moe_trace *trace,
                           const moe_learned *l)
{
    trained s = {.predictor = moe_predictor_find(name)};
    moe_error err = {0};
    const moe_predictor_env env = {.trace = trace,
                                   .layers = layers,
                                   .n_layers = 2,
                                   .seed = 7,
                                   .max_own = MAX_OWN,
                                   .learned = l};
    s.state = moe_predictor_new(s.predictor, &env, &choices, &err);
    if (s.state == NULL)
        ck_abort_msg("%s", err.text);
    return s;
}

static void trained_free(trained *s)
{
    moe_predictor_free(s->predictor, s->state);
}

/* Predictions of an iteration by one of `gpus` GPUs. @return its tokens. */
static uint64_t predict_load(const trained *s, const moe_trace *trace, int gpu,
                             int gpus, int layer, uint16_t *out)
{
    moe_batcher *batcher = NULL;
    const moe_batcher_params params = {.trace = trace,
                                       .seed = 7,
                                       .batch = 3,
                                       .seq = 220,
                                       .layers = layers,
                                       .n_layers = 2,
                                       .iterations = 3,
                                       .gpu = gpu,
                                       .gpus = gpus};
    ck_assert_int_eq(moe_batcher_new(&params, &batcher, NULL), MOE_OK);
    const moe_batch *b = moe_batcher_load(batcher, 1);
    const uint64_t n = b->own;
    for (int l = 0; l <= layer; l++)
        s->predictor->tokens(s->state, b, l, out);
    moe_batcher_free(batcher);
    return n;
}

/* The same by all, one after the other. */
static uint64_t predict_all(const trained *s, const moe_trace *trace, int gpus,
                            int layer, uint16_t *out)
{
    uint64_t n = 0;
    for (int g = 0; g < gpus; g++)
        n += predict_load(s, trace, g, gpus, layer, out + n * K);
    return n;
}

START_TEST(predictions_do_not_depend_on_ranks_or_threads)
{
    static const int parts[] = {2, 4, 7, 16, 31};
    static uint16_t whole[MAX_OWN * K], cut[MAX_OWN * K];
    moe_trace trace = make_trace(1);
    moe_learned l = learn(&trace, kinds[_i]->name, 3, 1);
    const int before = omp_get_max_threads();
    trained s = trained_new(kinds[_i]->name, &trace, &l);
    for (int layer = 0; layer < 2; layer++) {
        omp_set_num_threads(1);
        const uint64_t n = predict_all(&s, &trace, 1, layer, whole);
        for (size_t p = 0; p < MOE_ARRAY_LEN(parts); p++) {
            omp_set_num_threads(p == 1 ? 2 : 1);
            ck_assert_uint_eq(predict_all(&s, &trace, parts[p], layer, cut), n);
            ck_assert_mem_eq(whole, cut, n * K * sizeof *cut);
        }
    }
    omp_set_num_threads(before);
    trained_free(&s);
    moe_learned_free(&l);
    moe_trace_free(&trace);
}
END_TEST

/* What heads read of a batch's tokens, to the bit: the sums of a product may
 * depend neither on how many threads there are nor on what stands beside a
 * token. */
START_TEST(what_heads_read_is_a_tokens_own)
{
    static const struct {
        int threads, gpus;
    } cases[] = {{2, 1}, {3, 1}, {4, 1}, {5, 1},
                 {8, 1}, {1, 2}, {1, 7}, {2, 4}};
    static uint16_t out[MAX_OWN * K];
    static float whole[MAX_OWN * MOE_NEURAL_WIDTH];
    const size_t row = MOE_NEURAL_WIDTH;
    moe_trace trace = make_trace(1);
    moe_learned l = learn(&trace, kinds[_i]->name, 3, 1);
    const int before = omp_get_max_threads();
    trained s = trained_new(kinds[_i]->name, &trace, &l);
    const moe_neural_predictor *net = s.state;
    int others = 0;
    omp_set_num_threads(1);
    uint64_t n = predict_load(&s, &trace, 0, 1, 0, out);
    memcpy(whole, net->x, n * row * sizeof *whole);
    for (size_t i = 0; i < MOE_ARRAY_LEN(cases); i++) {
        omp_set_num_threads(cases[i].threads);
        uint64_t at = 0;
        for (int g = 0; g < cases[i].gpus; g++, at += n) {
            n = predict_load(&s, &trace, g, cases[i].gpus, 0, out);
            others +=
                memcmp(whole + at * row, net->x, n * row * sizeof *whole) != 0;
        }
    }
    omp_set_num_threads(before);
    trained_free(&s);
    moe_learned_free(&l);
    moe_trace_free(&trace);
    ck_assert_int_eq(others, 0);
}
END_TEST

/* Recall of all layers on the whole test part, as a run would see it. */
static double recall_of(const moe_trace *trace, const moe_learned *l)
{
    static const int all[] = {0, 1, 2};
    static uint16_t out[MAX_OWN * K];
    moe_batcher *batcher = NULL;
    const moe_batcher_params params = {.trace = trace,
                                       .batch = SEQS / 4,
                                       .layers = all,
                                       .n_layers = L,
                                       .iterations = 1,
                                       .gpus = 1};
    const moe_predictor_env env = {.trace = trace,
                                   .layers = all,
                                   .n_layers = L,
                                   .max_own = MAX_OWN,
                                   .learned = l};
    const moe_predictor *p = moe_predictor_find(net_of(l)->predictor);
    void *state = moe_predictor_new(p, &env, &choices, NULL);
    ck_assert_ptr_nonnull(state);
    ck_assert_int_eq(moe_batcher_new(&params, &batcher, NULL), MOE_OK);
    const moe_batch *b = moe_batcher_load(batcher, 0);
    uint64_t hits = 0;
    for (int layer = 0; layer < L; layer++) {
        p->tokens(state, b, layer, out);
        for (uint32_t i = 0; i < b->own * K; i++) {
            const uint16_t *truth =
                b->experts_of + ((size_t)layer * b->own + i / K) * K;
            hits += out[i] == truth[0] || out[i] == truth[1];
        }
    }
    const double recall = (double)hits / ((double)b->own * K * L);
    moe_batcher_free(batcher);
    moe_predictor_free(p, state);
    return recall;
}

/* Whether the experts that prediction says are those that training scores:
 * its two forward passes have little in common but the weights. */
START_TEST(predictions_are_those_of_training)
{
    moe_trace trace = make_trace(1);
    const moe_neural_kind *kind = kinds[_i];
    moe_learned l = learn(&trace, kind->name, 12, 1);
    bench b;
    bench_init(&b, kind, &trace);
    for (int a = 0; a < b.n_arrays; a++)
        memcpy(b.array[a].value,
               moe_learned_get(net_of(&l), &b.row[a].shape, NULL),
               b.array[a].n * sizeof(float));
    moe_neural_score score = {0};
    const int n = (int)kind->list(&b.task, NEURAL_TEST, b.samples);
    for (int at = 0; at < n; at += kind->batch)
        moe_neural_net_run(b.state, b.samples + at,
                           n - at < kind->batch ? n - at : kind->batch, 0,
                           &score, &(moe_error){0});
    ck_assert_double_eq_tol(score.hits / score.tokens, recall_of(&trace, &l),
                            1e-3);
    bench_fini(&b);
    moe_learned_free(&l);
    moe_trace_free(&trace);
}
END_TEST

/* The products of one layer, by hand: a part of the trunk for each layer that
 * was trained, though two of them are run. */
START_TEST(work_says_what_a_layer_costs)
{
    moe_trace trace = make_trace(0);
    const double trunk[] = {64.0 + 64 * 128 + 128 * 64,
                            64.0 + 2 * (64 * 256 + 64 * 256) + 64 * 192 +
                                2 * 32 * 64};
    moe_learned l = learn(&trace, kinds[_i]->name, 1, 1);
    trained s = trained_new(kinds[_i]->name, &trace, &l);
    moe_gemm_run runs[MOE_PREDICT_GEMMS];
    const int n = s.predictor->work(s.state, 512, 4, runs);
    double products = 0;
    for (int i = 0; i < n; i++) {
        const moe_gemm *g = &runs[i].shape;
        ck_assert(!g->quantised);
        products += g->m * g->n * g->k * runs[i].times;
    }
    ck_assert_double_eq_tol(products, 512 * (trunk[_i] / L + 64 * E + E), 1e-6);
    const size_t heads = (64 + 1) * L * E + L + 2 * VOCAB * E,
                 table = (VOCAB + 1) * 64;
    ck_assert_uint_eq(
        s.predictor->parameters(s.state),
        heads + table +
            (_i == FFN ? 65 * 128 + 129 * 64 : 2 * 129 * 256 + 65 * 192));
    if (_i == LSTM) { /* a product per step and layer, of all chunks */
        ck_assert_double_eq_tol(runs[2].times, 128 * 2 / (double)L, 1e-12);
        ck_assert_double_eq_tol(runs[2].shape.m, 4, 1e-12);
        s.predictor->work(s.state, 4 * 250, 4, runs);
        ck_assert_double_eq_tol(runs[2].shape.m, 4 * 3, 1e-12);
        s.predictor->work(s.state, 60, 0.25, runs);
        ck_assert_double_eq_tol(runs[2].shape.m, 1, 1e-12);
    }
    trained_free(&s);
    moe_learned_free(&l);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(a_network_without_weights_says_how_to_train)
{
    moe_error err = {0};
    moe_trace trace = make_trace(0);
    const moe_predictor *p = moe_predictor_find(kinds[_i]->name);
    const moe_predictor_env env = {
        .trace = &trace, .layers = layers, .n_layers = 2, .max_own = 8};
    ck_assert_ptr_null(moe_predictor_new(p, &env, &choices, &err));
    ck_assert_int_eq(err.status, MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "moegps train --trace TRACE "
                                           "--predictors"));
    moe_trace_free(&trace);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("neural");
    MOE_TEST_LOOP(suite, gradients_equal_finite_differences, N_KINDS);
    MOE_TEST_LOOP(suite, networks_learn_what_they_can_see,
                  MOE_ARRAY_LEN(lessons));
    MOE_TEST_LOOP(suite, equal_seeds_make_equal_weights, N_KINDS);
    MOE_TEST_LOOP(suite, an_interrupted_training_ends_as_if_it_was_not,
                  N_KINDS);
    MOE_TEST(suite, a_checkpoint_of_other_options_is_refused);
    MOE_TEST_LOOP(suite, predictions_do_not_depend_on_ranks_or_threads,
                  N_KINDS);
    MOE_TEST_LOOP(suite, what_heads_read_is_a_tokens_own, N_KINDS);
    MOE_TEST_LOOP(suite, predictions_are_those_of_training, N_KINDS);
    MOE_TEST_LOOP(suite, work_says_what_a_layer_costs, N_KINDS);
    MOE_TEST_LOOP(suite, a_network_without_weights_says_how_to_train, N_KINDS);
    return suite;
}
