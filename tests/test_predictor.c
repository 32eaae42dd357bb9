/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/predictor.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "harness.h"
#include "moegps/mem.h"

static const int layers[] = {2, 0};
enum { N_LAYERS = 2, MAX_OWN = 400, MAX_E = 64, SEQS = 4, LEN = 25 };

/* A predictor set up on a trace. */
typedef struct {
    const moe_predictor *predictor;
    moe_predictor_env env;
    void *params, *state;
    char *bytes; /* of its file */
    moe_forecast forecast;
    moe_status status; /* of init */
    moe_error err;
} seer;

/* The bytes of the file that the predictor asks for. */
static void seer_read(seer *s)
{
    const moe_predictor *p = s->predictor;
    const char *path = p->file != NULL ? p->file(s->params) : NULL;
    size_t bytes = 0;
    if (path == NULL || *path == '\0')
        return;
    ck_assert_int_eq(moe_read_bytes(path, &s->bytes, &bytes, NULL), MOE_OK);
    s->env.file = (moe_h5_image){path, s->bytes, bytes};
}

/* @param set  "key=value", or NULL. */
static void seer_init(seer *s, const char *name, const moe_trace *trace,
                      const char *set)
{
    const moe_predictor *p = moe_predictor_find(name);
    *s = (seer){.predictor = p, .env = {trace, layers, N_LAYERS, 7, MAX_OWN}};
    s->params = moe_array_new(1, p->params_size, NULL);
    s->state = moe_array_new(1, p->state_size, NULL);
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
    seer_read(s);
    s->status = p->init(s->state, &s->env, s->params, &s->err);
}

static void seer_fini(seer *s)
{
    s->predictor->fini(s->state);
    free(s->params);
    free(s->state);
    free(s->bytes);
}

/* One rank's part of iteration 1, true pairs summed over ranks as the engine
 * does it. */
typedef struct {
    moe_batcher *batcher;
    moe_batch *batch;
} hand;

static void hand_init(hand *h, const moe_trace *trace, int gpu, int gpus)
{
    const moe_batcher_params params = {.trace = trace,
                                       .seed = 7,
                                       .batch = SEQS,
                                       .seq = LEN,
                                       .layers = layers,
                                       .n_layers = N_LAYERS,
                                       .iterations = 3,
                                       .gpu = gpu,
                                       .gpus = gpus};
    ck_assert_int_eq(moe_batcher_new(&params, &h->batcher, NULL), MOE_OK);
    h->batch = moe_batcher_load(h->batcher, 1);
    if (gpus == 1)
        return;
    hand whole;
    hand_init(&whole, trace, 0, 1);
    memcpy(h->batch->true_pairs, whole.batch->true_pairs,
           (size_t)(N_LAYERS * trace->experts) * sizeof(int64_t));
    moe_batcher_free(whole.batcher);
}

static moe_trace make_trace(bool loads)
{
    const moe_model model = fixture_model();
    return loads ? fixture_loads(&model) : fixture_tokens(&model);
}

static bool is_distribution(const double *share, int n)
{
    double sum = 0;
    bool positive = true;
    for (int e = 0; e < n; e++) {
        positive = positive && share[e] >= 0;
        sum += share[e];
    }
    return positive && fabs(sum - 1) < 1e-12;
}

static bool are_tokens(const uint16_t *experts, const moe_batch *batch)
{
    for (uint32_t t = 0; t < batch->own; t++, experts += batch->top_k)
        for (int j = 0; j < batch->top_k; j++)
            for (int i = 0; i <= j; i++)
                if (experts[j] >= batch->experts ||
                    (i < j && experts[i] == experts[j]))
                    return false;
    return true;
}

/* What members are asked with; every member also with its defaults. */
static const struct {
    const char *name, *set;
} askings[] = {
    {"oracle", "accuracy=0.5"},
    {"oracle", "accuracy=0"},
    {"oracle", "l1=0"},
    {"oracle", "l1=0.7"},
    {"oracle", "l1=1.99"},
    {"distribution", "smoothing=1"},
    {"distribution", "smoothing=1e9"},
    {"window", "iterations=1"},
    {"ema", "alpha=1"},
    {"ema", "half_life=3"},
    {"frequency", "collects=probabilities"},
    {"token", "collects=probabilities"},
    {"token", "collects=probabilities,prior=0"},
    {"token", "prior=1e9"},
    {"position", "collects=probabilities"},
    {"position", "prior=0"},
};

/* What a file of predictions holds: the true experts, all one further. */
typedef struct {
    int64_t *experts; /* [layers][n_tokens][top_k] */
    double *scores;   /* the same, or NULL: none are written */
    hsize_t dims[3];
    char model[64], sha256[65]; /* "": not written */
} prophecy;

static prophecy prophesy(const moe_trace *t)
{
    prophecy p = {.dims = {(hsize_t)t->layers, t->n_tokens, (hsize_t)t->top_k}};
    const size_t n = (size_t)(p.dims[0] * p.dims[1] * p.dims[2]);
    p.experts = moe_array_new(n, sizeof *p.experts, NULL);
    for (size_t i = 0; i < n && t->kind == MOE_TRACE_TOKENS; i++)
        p.experts[i] = (t->experts_of[i] + 1) % t->experts;
    return p;
}

/* As a user would write it, with HDF5 alone. @return the path. */
static const char *write_prophecy(const prophecy *p)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/prophecy.h5", test_dir);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(3, p->dims, NULL);
    hid_t set = H5Dcreate2(file, "experts", H5T_STD_I64LE, space, H5P_DEFAULT,
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

/* What a member needs to be set up at all. */
static const char *least(const char *name, const moe_trace *trace, char *set,
                         size_t size)
{
    if (strcmp(name, "file") != 0)
        return NULL;
    prophecy p = prophesy(trace);
    snprintf(set, size, "path=%s", write_prophecy(&p));
    free(p.experts);
    return set;
}

/* Loads do not say what token chose what. */
static bool wants_tokens(const char *name)
{
    static const char *const names[] = {"frequency", "token", "position",
                                        "file"};
    for (size_t i = 0; i < MOE_ARRAY_LEN(names); i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

/* Call `ask` for every member with its defaults, then for all askings. */
static void for_all(const moe_trace *trace,
                    void (*ask)(seer *s, const moe_trace *trace))
{
    size_t members = 0;
    while (moe_predictor_at(members) != NULL)
        members++;
    for (size_t i = 0; i < members + MOE_ARRAY_LEN(askings); i++) {
        seer s;
        bool plain = i < members;
        const char *name =
            plain ? moe_predictor_at(i)->name : askings[i - members].name;
        char set[512];
        seer_init(&s, name, trace,
                  plain ? least(name, trace, set, sizeof set)
                        : askings[i - members].set);
        if (trace->kind == MOE_TRACE_LOADS && wants_tokens(name)) {
            ck_assert_int_eq(s.status, MOE_USAGE);
            ck_assert_msg(strstr(s.err.text, "token trace") != NULL, "%s",
                          s.err.text);
            seer_fini(&s);
            continue;
        }
        if (s.status != MOE_OK)
            ck_abort_msg("%s: %s", s.predictor->name, s.err.text);
        ask(&s, trace);
        seer_fini(&s);
    }
}

static void ask_soundly(seer *s, const moe_trace *trace)
{
    uint16_t experts[MAX_OWN * 2];
    double share[MAX_E];
    hand h;
    hand_init(&h, trace, 0, 1);
    for (int l = 0; l < N_LAYERS; l++) {
        if (s->forecast == MOE_FORECAST_LOAD) {
            ck_assert(s->predictor->load != NULL);
            s->predictor->load(s->state, h.batch, l, share);
            ck_assert_msg(is_distribution(share, trace->experts), "%s",
                          s->predictor->name);
        } else if (s->forecast == MOE_FORECAST_TOKENS) {
            ck_assert(s->predictor->tokens != NULL);
            s->predictor->tokens(s->state, h.batch, l, experts);
            ck_assert_msg(are_tokens(experts, h.batch), "%s",
                          s->predictor->name);
        }
    }
    moe_batcher_free(h.batcher);
}

START_TEST(every_forecast_is_what_it_says_it_is)
{
    moe_trace trace = make_trace(_i == 1);
    for_all(&trace, ask_soundly);
    moe_trace_free(&trace);
}
END_TEST

/* Sum of the loads that `gpus` ranks foretell, in fixed point. */
static void foretell(seer *s, const moe_trace *trace, int gpus, int layer,
                     uint64_t *sum)
{
    uint16_t experts[MAX_OWN * 2];
    double share[MAX_E];
    uint64_t load[MAX_E];
    memset(sum, 0, MAX_E * sizeof *sum);
    for (int g = 0; g < gpus; g++) {
        hand h;
        hand_init(&h, trace, g, gpus);
        moe_predictor_load(s->predictor, s->forecast, s->state, h.batch, layer,
                           s->forecast == MOE_FORECAST_TOKENS ? experts : NULL,
                           share, load);
        for (int e = 0; e < trace->experts; e++)
            sum[e] += load[e];
        moe_batcher_free(h.batcher);
    }
}

static void ask_in_parts(seer *s, const moe_trace *trace)
{
    static const int parts[] = {1, 2, 4, 7, 113};
    uint64_t whole[MAX_E], sum[MAX_E];
    if (s->forecast == MOE_FORECAST_NONE)
        return;
    for (int l = 0; l < N_LAYERS; l++) {
        double total = 0;
        foretell(s, trace, 1, l, whole);
        for (int e = 0; e < trace->experts; e++)
            total += (double)whole[e] / MOE_LOAD_ONE;
        ck_assert_double_eq_tol(total, SEQS * LEN * trace->top_k, 1e-6);
        for (size_t i = 0; i < MOE_ARRAY_LEN(parts); i++) {
            foretell(s, trace, parts[i], l, sum);
            ck_assert_msg(memcmp(sum, whole, sizeof sum) == 0,
                          "%s: %d ranks foretell another load",
                          s->predictor->name, parts[i]);
        }
    }
}

START_TEST(loads_do_not_depend_on_the_number_of_ranks)
{
    moe_trace trace = make_trace(_i == 1);
    for_all(&trace, ask_in_parts);
    moe_trace_free(&trace);
}
END_TEST

static void ask_twice(seer *s, const moe_trace *trace)
{
    uint64_t a[MAX_E], b[MAX_E];
    if (s->forecast == MOE_FORECAST_NONE)
        return;
    foretell(s, trace, 2, 0, a);
    foretell(s, trace, 2, 1, b); /* another layer in between */
    foretell(s, trace, 2, 0, b);
    ck_assert_mem_eq(a, b, sizeof a);
    seer again = *s; /* another instance, same parameters */
    again.state = moe_array_new(1, s->predictor->state_size, NULL);
    ck_assert_int_eq(s->predictor->init(again.state, &s->env, s->params, NULL),
                     MOE_OK);
    foretell(&again, trace, 2, 0, b);
    ck_assert_mem_eq(a, b, sizeof a);
    s->predictor->fini(again.state);
    free(again.state);
}

START_TEST(predictors_foretell_the_same_again)
{
    moe_trace trace = make_trace(_i == 1);
    for_all(&trace, ask_twice);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(predictors_are_found_by_name)
{
    for (size_t i = 0; moe_predictor_at(i) != NULL; i++) {
        const moe_predictor *p = moe_predictor_at(i);
        ck_assert_ptr_eq(moe_predictor_find(p->name), p);
        ck_assert_ptr_nonnull(p->help);
        void *state = moe_array_new(1, p->state_size, NULL);
        p->fini(state); /* zeroed, never set up */
        free(state);
    }
    ck_assert_ptr_null(moe_predictor_find("oracl"));
}
END_TEST

/* Pairs per expert of the training part, counted token by token. */
static void count_train(const moe_trace *t, int layer, double *count)
{
    memset(count, 0, MAX_E * sizeof *count);
    const size_t k = (size_t)t->top_k;
    for (uint64_t s = 0; s < t->n_seqs; s++) {
        if (t->seq_part[s] != MOE_PART_TRAIN)
            continue;
        if (t->kind == MOE_TRACE_LOADS)
            for (int e = 0; e < t->experts; e++)
                count[e] +=
                    t->counts[(s * (uint64_t)t->layers + (uint64_t)layer) *
                                  (uint64_t)t->experts +
                              (uint64_t)e];
        for (uint64_t i = t->seq_offset[s];
             t->kind == MOE_TRACE_TOKENS && i < t->seq_offset[s + 1]; i++)
            for (size_t j = 0; j < k; j++)
                count[t->experts_of[((uint64_t)layer * t->n_tokens + i) * k +
                                    j]]++;
    }
}

START_TEST(distribution_counts_the_training_part)
{
    static const double smoothings[] = {0, 0.5, 1000};
    moe_trace trace = make_trace(_i % 2 == 1);
    char set[32];
    const double smoothing = smoothings[_i / 2];
    snprintf(set, sizeof set, "smoothing=%g", smoothing);
    seer s;
    seer_init(&s, "distribution", &trace, set);
    for (int l = 0; l < N_LAYERS; l++) {
        double count[MAX_E], share[MAX_E], total = 0;
        count_train(&trace, layers[l], count);
        for (int e = 0; e < trace.experts; e++)
            total += count[e] + smoothing;
        s.predictor->load(s.state, NULL, l, share);
        for (int e = 0; e < trace.experts; e++)
            ck_assert_double_eq_tol(share[e], (count[e] + smoothing) / total,
                                    1e-15);
    }
    seer_fini(&s);
    moe_trace_free(&trace);
}
END_TEST

/* Turn every expert of the test part into another. */
static void spoil_test_part(moe_trace *t)
{
    const size_t k = (size_t)t->top_k;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (uint64_t i = t->seq_offset[s];
             t->seq_part[s] == MOE_PART_TEST && i < t->seq_offset[s + 1]; i++)
            for (uint64_t l = 0; l < (uint64_t)t->layers; l++)
                for (size_t j = 0; j < k; j++)
                    t->experts_of[(l * t->n_tokens + i) * k + j] = (uint16_t)j;
}

static const char *const learners[] = {"distribution", "window", "ema",
                                       "frequency",    "token",  "position"};

START_TEST(training_never_looks_at_the_test_part)
{
    moe_trace trace = make_trace(false);
    uint64_t before[MAX_E], after[MAX_E];
    seer s;
    seer_init(&s, learners[_i], &trace, NULL);
    foretell(&s, &trace, 1, 0, before);
    seer_fini(&s);
    spoil_test_part(&trace);
    seer_init(&s, learners[_i], &trace, NULL);
    foretell(&s, &trace, 1, 0, after);
    ck_assert_mem_eq(before, after, sizeof after);
    seer_fini(&s);
    moe_trace_free(&trace);
}
END_TEST

/* The shares of the last `n` of `seen` iterations, added up one by one. */
static void look_back(moe_batcher *batcher, int seen, int n, int l,
                      double *share)
{
    double total = 0;
    memset(share, 0, MAX_E * sizeof *share);
    for (int i = seen > n ? seen - n : 0; i < seen; i++) {
        const moe_batch *b = moe_batcher_load(batcher, (uint64_t)i);
        for (int e = 0; e < b->experts; e++) {
            share[e] += (double)b->true_pairs[l * b->experts + e];
            total += (double)b->true_pairs[l * b->experts + e];
        }
    }
    for (int e = 0; e < MAX_E; e++)
        share[e] /= total;
}

START_TEST(window_sums_the_last_iterations)
{
    moe_trace trace = make_trace(_i == 1);
    double share[MAX_E], expected[MAX_E];
    seer window, distribution;
    hand h;
    hand_init(&h, &trace, 0, 1);
    seer_init(&window, "window", &trace, "iterations=3");
    seer_init(&distribution, "distribution", &trace, NULL);
    for (int i = 0; i < 8; i++) {
        for (int l = 0; l < N_LAYERS; l++) {
            window.predictor->load(window.state, h.batch, l, share);
            if (i == 0)
                distribution.predictor->load(distribution.state, h.batch, l,
                                             expected);
            else
                look_back(h.batcher, i, 3, l, expected);
            for (int e = 0; e < trace.experts; e++)
                ck_assert_double_eq_tol(share[e], expected[e], 1e-12);
        }
        h.batch = moe_batcher_load(h.batcher, (uint64_t)i);
        window.predictor->observe(window.state, h.batch);
    }
    seer_fini(&window);
    seer_fini(&distribution);
    moe_batcher_free(h.batcher);
    moe_trace_free(&trace);
}
END_TEST

static const struct {
    const char *set;
    double alpha;
} averages[] = {{NULL, 0.1}, {"alpha=0.4", 0.4}, {"half_life=1", 0.5}};

START_TEST(ema_weighs_iterations_by_age)
{
    moe_trace trace = make_trace(false);
    double share[MAX_E], expected[MAX_E], now[MAX_E];
    seer s, distribution;
    hand h;
    hand_init(&h, &trace, 0, 1);
    seer_init(&s, "ema", &trace, averages[_i].set);
    seer_init(&distribution, "distribution", &trace, NULL);
    distribution.predictor->load(distribution.state, h.batch, 1, expected);
    for (int i = 0; i < 6; i++) {
        s.predictor->load(s.state, h.batch, 1, share);
        for (int e = 0; e < trace.experts; e++)
            ck_assert_double_eq_tol(share[e], expected[e], 1e-12);
        look_back(h.batcher, i + 1, 1, 1, now);
        for (int e = 0; e < trace.experts; e++)
            expected[e] += averages[_i].alpha * (now[e] - expected[e]);
        h.batch = moe_batcher_load(h.batcher, (uint64_t)i);
        s.predictor->observe(s.state, h.batch);
    }
    seer_fini(&s);
    seer_fini(&distribution);
    moe_batcher_free(h.batcher);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(online_predictors_need_no_training_part)
{
    moe_trace trace = make_trace(true);
    double share[MAX_E], now[MAX_E];
    seer s;
    hand h;
    memset(trace.seq_part, MOE_PART_TEST, trace.n_seqs);
    hand_init(&h, &trace, 0, 1);
    seer_init(&s, _i == 0 ? "window" : "ema", &trace, NULL);
    ck_assert_int_eq(s.status, MOE_OK);
    s.predictor->load(s.state, h.batch, 0, share);
    for (int e = 0; e < trace.experts; e++)
        ck_assert_double_eq(share[e], 1.0 / trace.experts);
    s.predictor->observe(s.state, moe_batcher_load(h.batcher, 0));
    s.predictor->load(s.state, h.batch, 0, share);
    look_back(h.batcher, 1, 1, 0, now);
    for (int e = 0; e < trace.experts; e++)
        ck_assert_double_eq_tol(share[e], now[e], 1e-12);
    seer_fini(&s);
    moe_batcher_free(h.batcher);
    moe_trace_free(&trace);
}
END_TEST

/* What distinguishes tokens, and its value for a token of the trace. */
static const struct {
    const char *name, *set;
    double prior;
} conditions[] = {{"frequency", NULL, 0},
                  {"token", "prior=0", 0},
                  {"token", "prior=2.5", 2.5},
                  {"position", "prior=0", 0},
                  {"position", "prior=3", 3}};

static int64_t condition(const moe_trace *t, uint64_t i, const char *name)
{
    if (strcmp(name, "token") == 0)
        return t->token_id[i];
    if (strcmp(name, "position") != 0)
        return 0;
    const int32_t p = t->position[i]; /* below 64: the octaves in full */
    return p < 16 ? p : p < 32 ? 100 + (p - 16) / 4 : 200 + (p - 32) / 8;
}

/* Scores by looking at every training token, once for all, once for those
 * that are like token i. */
static void count_alike(const moe_trace *t, int layer, uint64_t i,
                        const char *name, double prior, bool first_only,
                        double *score)
{
    double all[MAX_E] = {0}, alike[MAX_E] = {0}, n_all = 0, n_alike = 0;
    const size_t k = (size_t)t->top_k;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (uint64_t j = t->seq_offset[s];
             t->seq_part[s] == MOE_PART_TRAIN && j < t->seq_offset[s + 1];
             j++) {
            const uint16_t *e =
                t->experts_of + ((uint64_t)layer * t->n_tokens + j) * k;
            const bool like = condition(t, i, name) == condition(t, j, name);
            for (size_t m = 0; m < (first_only ? 1 : k); m++) {
                all[e[m]]++;
                alike[e[m]] += like;
            }
            n_all++;
            n_alike += like;
        }
    for (int e = 0; e < t->experts; e++)
        score[e] = n_alike > 0
                       ? (alike[e] + prior * all[e] / n_all) / (n_alike + prior)
                       : all[e] / n_all;
}

/* The k experts hold the highest scores, and the first of them the highest
 * of first choices. */
static bool agree_with_scores(const uint16_t *experts, int k, int n,
                              const double *score, const double *first)
{
    double least_in = 2, most_out = -1;
    for (int e = 0; e < n; e++) {
        bool in = false;
        for (int j = 0; j < k; j++)
            in = in || experts[j] == e;
        if (in)
            least_in = fmin(least_in, score[e]);
        else
            most_out = fmax(most_out, score[e]);
    }
    for (int j = 1; j < k; j++)
        if (first[experts[j]] > first[experts[0]] + 1e-12)
            return false;
    return least_in >= most_out - 1e-12;
}

START_TEST(tables_hold_what_direct_counting_finds)
{
    moe_trace trace = make_trace(false);
    const char *name = conditions[_i].name;
    for (uint64_t i = 0; i < trace.n_tokens; i++) /* some are never trained */
        if (trace.token_id[i] < 9)
            trace.token_id[i] = i < 300 ? 20 : trace.token_id[i];
    uint16_t experts[MAX_OWN * 2];
    double score[MAX_E], first[MAX_E];
    seer s;
    hand h;
    seer_init(&s, name, &trace, conditions[_i].set);
    hand_init(&h, &trace, 0, 1);
    for (int l = 0; l < N_LAYERS; l++) {
        s.predictor->tokens(s.state, h.batch, l, experts);
        for (uint32_t t = 0; t < h.batch->own; t++) {
            count_alike(&trace, layers[l], h.batch->id[t], name,
                        conditions[_i].prior, false, score);
            count_alike(&trace, layers[l], h.batch->id[t], name,
                        conditions[_i].prior, true, first);
            ck_assert_msg(agree_with_scores(experts + t * 2, 2, trace.experts,
                                            score, first),
                          "layer %d, token %u", l, t);
        }
    }
    seer_fini(&s);
    moe_batcher_free(h.batcher);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(probabilities_add_up_to_the_training_part)
{
    /* Over the tokens that it was counted on, the frequency table expects
     * what the training part has. */
    moe_trace trace = make_trace(false);
    uint64_t load[MAX_E];
    double share[MAX_E];
    uint16_t experts[MAX_OWN * 2];
    seer s, distribution;
    hand h;
    hand_init(&h, &trace, 0, 1);
    seer_init(&s, "frequency", &trace, "collects=probabilities");
    seer_init(&distribution, "distribution", &trace, NULL);
    moe_predictor_load(s.predictor, s.forecast, s.state, h.batch, 0, experts,
                       NULL, load);
    distribution.predictor->load(distribution.state, h.batch, 0, share);
    for (int e = 0; e < trace.experts; e++)
        ck_assert_double_eq_tol((double)load[e] / MOE_LOAD_ONE,
                                share[e] * 2 * h.batch->own, 1e-4);
    seer_fini(&s);
    seer_fini(&distribution);
    moe_batcher_free(h.batcher);
    moe_trace_free(&trace);
}
END_TEST

/* Turn the scores of a file around: its last choice becomes the first. */
START_TEST(a_file_is_taken_as_it_is_but_for_its_scores)
{
    moe_trace trace = make_trace(false);
    prophecy p = prophesy(&trace);
    const size_t n = (size_t)(p.dims[0] * p.dims[1] * p.dims[2]);
    uint16_t experts[MAX_OWN * 2];
    char set[512];
    if (_i == 1)
        p.scores = moe_array_new(n, sizeof *p.scores, NULL);
    for (size_t i = 0; i < n && _i == 1; i++)
        p.scores[i] = i % 2 == 1 ? -1.0 : -2.0;
    memcpy(p.model, trace.model, sizeof p.model);
    snprintf(trace.sha256, sizeof trace.sha256, "%064d", 7);
    memcpy(p.sha256, trace.sha256, sizeof p.sha256);
    snprintf(set, sizeof set, "path=%s", write_prophecy(&p));
    seer s;
    hand h;
    seer_init(&s, "file", &trace, set);
    ck_assert_msg(s.status == MOE_OK, "%s", s.err.text);
    hand_init(&h, &trace, 0, 1);
    for (int l = 0; l < N_LAYERS; l++) {
        s.predictor->tokens(s.state, h.batch, l, experts);
        for (size_t i = 0; i < h.batch->own * 2; i++) {
            const size_t j = _i == 1 ? i ^ 1 : i;
            const uint16_t truth =
                h.batch->experts_of[(size_t)l * h.batch->own * 2 + j];
            ck_assert_int_eq(experts[i], (truth + 1) % trace.experts);
        }
    }
    seer_fini(&s);
    moe_batcher_free(h.batcher);
    free(p.experts);
    free(p.scores);
    moe_trace_free(&trace);
}
END_TEST

static void spoil_range(prophecy *p)
{
    p->experts[700] = 8;
}
static void spoil_sign(prophecy *p)
{
    p->experts[701] = -1;
}
static void spoil_far(prophecy *p)
{
    p->experts[1300] = INT64_C(1) << 40;
}
static void spoil_twice(prophecy *p)
{
    p->experts[703] = p->experts[702];
}
static void spoil_score(prophecy *p)
{
    p->scores[9] = NAN;
}
static void spoil_tokens(prophecy *p)
{
    p->dims[1]--;
}
static void spoil_layers(prophecy *p)
{
    p->dims[0]--;
}
static void spoil_model(prophecy *p)
{
    memcpy(p->model, "other", 6);
}
static void spoil_sha256(prophecy *p)
{
    memcpy(p->sha256, "0123456789abcdef", 17);
}

static const struct {
    void (*spoil)(prophecy *p);
    moe_status status;
    const char *says;
} lies[] = {
    {spoil_range, MOE_FORMAT, "layer 0, token 350: expert 8 is not in 0..7"},
    {spoil_sign, MOE_FORMAT, "layer 0, token 350: expert -1 is not in 0..7"},
    {spoil_far, MOE_FORMAT, "is not in 0..7"},
    {spoil_twice, MOE_FORMAT, "is there twice"},
    {spoil_score, MOE_FORMAT, "layer 0, token 4: nan is no score"},
    {spoil_tokens, MOE_MISMATCH, "the trace has 3 layers, 600 tokens, top 2"},
    {spoil_layers, MOE_MISMATCH, "the trace has 3 layers, 600 tokens, top 2"},
    {spoil_model, MOE_MISMATCH, "is of model 'other', the trace of 'tiny'"},
    {spoil_sha256, MOE_MISMATCH, "is of a trace with sha256 0123456789ab"},
};

START_TEST(files_that_lie_are_refused)
{
    static const int all[] = {0, 1, 2};
    moe_trace trace = make_trace(false);
    prophecy p = prophesy(&trace);
    const size_t n = (size_t)(p.dims[0] * p.dims[1] * p.dims[2]);
    char set[512];
    p.scores = moe_array_new(n, sizeof *p.scores, NULL);
    lies[_i].spoil(&p);
    snprintf(set, sizeof set, "path=%s", write_prophecy(&p));
    seer s;
    seer_init(&s, "file", &trace, set);
    s.env.layers = all; /* in order, so that the first lie is found */
    s.env.n_layers = 3;
    s.predictor->fini(s.state);
    memset(s.state, 0, s.predictor->state_size);
    s.err = (moe_error){0};
    s.status = s.predictor->init(s.state, &s.env, s.params, &s.err);
    ck_assert_int_eq(s.status, lies[_i].status);
    ck_assert_msg(strstr(s.err.text, lies[_i].says) != NULL, "%s", s.err.text);
    ck_assert_msg(strstr(s.err.text, "prophecy.h5: ") != NULL, "%s",
                  s.err.text);
    seer_fini(&s);
    free(p.experts);
    free(p.scores);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(what_is_no_file_is_refused)
{
    moe_trace trace = make_trace(false);
    char path[300], set[512];
    snprintf(path, sizeof path, "%s/text.h5", test_dir);
    FILE *f = fopen(path, "w");
    fputs(_i == 0 ? "no HDF5 in here\n" : "", f);
    fclose(f);
    snprintf(set, sizeof set, "path=%s", path);
    seer s;
    seer_init(&s, "file", &trace, set);
    ck_assert_int_eq(s.status, _i == 0 ? MOE_FORMAT : MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(s.err.text, "text.h5: "));
    seer_fini(&s);
    moe_trace_free(&trace);
}
END_TEST

static const struct {
    const char *name, *set, *says;
    int experts;    /* that the trace claims to have */
    bool untrained; /* all of it is the test part */
} refusals[] = {
    {"frequency", NULL, "frequency: the trace's training part is empty", 8,
     true},
    {"token", NULL, "token: the trace's training part is empty", 8, true},
    {"position", NULL, "position: the trace's training part is empty", 8, true},
    {"ema", "alpha=0.5,half_life=2", "alpha or half_life, not both", 8, false},
    {"file", NULL, "no path is given", 8, false},
    {"distribution", NULL, "training part is empty", 8, true},
    {"oracle", "accuracy=0.5,l1=0.5", "not both", 8, false},
    {"oracle", "accuracy=0.9", "the model has 1", 3, false},
    {"oracle", "accuracy=0", "the model has 0", 2, false},
    {"oracle", "accuracy=1", NULL, 3, false},
    {"oracle", "l1=0.5", NULL, 3, false},
    {"distribution", "smoothing=1", NULL, 8, true},
};

START_TEST(what_cannot_be_foretold_is_refused)
{
    moe_trace trace = make_trace(false);
    trace.experts = refusals[_i].experts;
    for (size_t i = 0; trace.experts < 8 && i < 600 * 3 * 2; i++)
        trace.experts_of[i] = (uint16_t)(i % 2);
    if (refusals[_i].untrained)
        memset(trace.seq_part, MOE_PART_TEST, trace.n_seqs);
    seer s;
    seer_init(&s, refusals[_i].name, &trace, refusals[_i].set);
    ck_assert_int_eq(s.status, refusals[_i].says != NULL ? MOE_USAGE : MOE_OK);
    if (refusals[_i].says != NULL)
        ck_assert_msg(strstr(s.err.text, refusals[_i].says) != NULL, "%s",
                      s.err.text);
    seer_fini(&s); /* partly initialised */
    moe_trace_free(&trace);
}
END_TEST

START_TEST(traces_without_what_is_needed_are_refused)
{
    moe_trace trace = make_trace(false);
    seer s;
    trace.vocab_size = 0;
    trace.has_position = false;
    seer_init(&s, _i == 0 ? "token" : "position", &trace, NULL);
    ck_assert_int_eq(s.status, MOE_USAGE);
    ck_assert_msg(strstr(s.err.text, _i == 0 ? "has no token ids"
                                             : "has no positions") != NULL,
                  "%s", s.err.text);
    seer_fini(&s);
    moe_trace_free(&trace);
}
END_TEST

/* Tokens of a batch: pairs foretold that are true, and tokens all right. */
static void score(const moe_batch *batch, int layer, const uint16_t *experts,
                  int *pairs_right, int *tokens_right)
{
    const size_t k = (size_t)batch->top_k;
    const uint16_t *truth = batch->experts_of + (size_t)layer * batch->own * k;
    for (uint32_t t = 0; t < batch->own; t++) {
        int right = 0;
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < k; j++)
                right += experts[t * k + i] == truth[t * k + j];
        *pairs_right += right;
        *tokens_right +=
            memcmp(experts + t * k, truth + t * k, k * sizeof *truth) == 0;
    }
}

static const struct {
    const char *set;
    double accuracy;
} dials[] = {
    {NULL, 1},
    {"accuracy=1", 1},
    {"accuracy=0", 0},
    {"accuracy=0.3", .3},
    {"accuracy=0.97", .97},
};

START_TEST(oracle_is_right_as_often_as_it_should)
{
    moe_trace trace = make_trace(false);
    seer s;
    seer_init(&s, "oracle", &trace, dials[_i].set);
    ck_assert_int_eq(s.forecast, MOE_FORECAST_TOKENS);
    hand h;
    hand_init(&h, &trace, 0, 1);
    int pairs = 0, tokens = 0, n = 0;
    uint16_t experts[MAX_OWN * 2];
    for (uint64_t i = 0; i < 200; i++) { /* the dial sees the number only */
        h.batch->iteration = i;
        for (int l = 0; l < N_LAYERS; l++, n += SEQS * LEN) {
            s.predictor->tokens(s.state, h.batch, l, experts);
            score(h.batch, l, experts, &pairs, &tokens);
        }
    }
    /* All k or none; five standard deviations. */
    ck_assert_int_eq(pairs, 2 * tokens);
    double sd = sqrt(dials[_i].accuracy * (1 - dials[_i].accuracy) / n);
    ck_assert_double_le(fabs((double)tokens / n - dials[_i].accuracy), 5 * sd);
    moe_batcher_free(h.batcher);
    seer_fini(&s);
    moe_trace_free(&trace);
}
END_TEST

/* True distributions to move away from. */
static const struct {
    const char *name;
    int experts;
    int64_t pairs[16];
} truths[] = {
    {"even", 8, {25, 25, 25, 25, 25, 25, 25, 25}},
    {"skewed", 8, {90, 50, 30, 15, 10, 4, 1, 0}},
    {"one hot", 8, {200}},
    {"one hot, last", 8, {0, 0, 0, 0, 0, 0, 0, 200}},
    {"two hot", 16, {100, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100}},
    {"a pair of experts", 2, {150, 50}},
    {"two even", 2, {100, 100}},
    {"three", 3, {199, 1, 0}},
    {"one", 1, {200}},
    {"many", 16, {20, 3, 17, 9, 11, 15, 5, 8, 12, 25, 25, 5, 10, 15, 10, 10}},
};

START_TEST(oracle_misses_by_l1_exactly)
{
    static const double errors[] = {0,  1e-6, .01, .1,  .25, .4,  .5,
                                    .7, .9,   1,   1.2, 1.5, 1.8, 1.99};
    const int n_e = truths[_i].experts;
    moe_trace trace = make_trace(false);
    trace.experts = n_e; /* the oracle reads the batch alone */
    moe_batch batch = {.tokens = 100,
                       .own = 100,
                       .layers = N_LAYERS,
                       .experts = n_e,
                       .top_k = 2};
    batch.true_pairs = moe_array_new(2 * MAX_E, sizeof(int64_t), NULL);
    memcpy(batch.true_pairs, truths[_i].pairs, 16 * sizeof(int64_t));
    double least = 1;
    for (int e = 0; e < n_e; e++)
        least = fmin(least, (double)truths[_i].pairs[e] / 200);
    for (size_t x = 0; x < MOE_ARRAY_LEN(errors); x++) {
        const double expected = fmin(errors[x], 2 * (1 - least));
        char set[32];
        snprintf(set, sizeof set, "l1=%g", errors[x]);
        seer s;
        seer_init(&s, "oracle", &trace, set);
        ck_assert_int_eq(s.forecast, MOE_FORECAST_LOAD);
        for (batch.iteration = 0; batch.iteration < 30; batch.iteration++) {
            double share[16], l1 = 0;
            s.predictor->load(s.state, &batch, 0, share);
            for (int e = 0; e < n_e; e++)
                l1 += fabs(share[e] - (double)truths[_i].pairs[e] / 200);
            ck_assert_msg(is_distribution(share, n_e), "%s, l1 %g",
                          truths[_i].name, errors[x]);
            ck_assert_msg(fabs(l1 - expected) < 1e-12, "%s, l1 %g: is %.15g",
                          truths[_i].name, errors[x], l1);
        }
        seer_fini(&s);
    }
    free(batch.true_pairs);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(oracle_misses_differently_every_time)
{
    moe_trace trace = make_trace(false);
    hand h;
    hand_init(&h, &trace, 0, 1);
    seer s;
    seer_init(&s, "oracle", &trace, "l1=0.5");
    double a[MAX_E], b[MAX_E];
    s.predictor->load(s.state, h.batch, 0, a);
    h.batch->iteration++;
    s.predictor->load(s.state, h.batch, 0, b);
    ck_assert_mem_ne(a, b, (size_t)trace.experts * sizeof *a);
    moe_batcher_free(h.batcher);
    seer_fini(&s);
    moe_trace_free(&trace);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("predictor");
    MOE_TEST_LOOP(suite, every_forecast_is_what_it_says_it_is, 2);
    MOE_TEST_LOOP(suite, loads_do_not_depend_on_the_number_of_ranks, 2);
    MOE_TEST_LOOP(suite, predictors_foretell_the_same_again, 2);
    MOE_TEST(suite, predictors_are_found_by_name);
    MOE_TEST_LOOP(suite, distribution_counts_the_training_part, 6);
    MOE_TEST_LOOP(suite, training_never_looks_at_the_test_part,
                  MOE_ARRAY_LEN(learners));
    MOE_TEST_LOOP(suite, window_sums_the_last_iterations, 2);
    MOE_TEST_LOOP(suite, ema_weighs_iterations_by_age, MOE_ARRAY_LEN(averages));
    MOE_TEST_LOOP(suite, online_predictors_need_no_training_part, 2);
    MOE_TEST_LOOP(suite, tables_hold_what_direct_counting_finds,
                  MOE_ARRAY_LEN(conditions));
    MOE_TEST(suite, probabilities_add_up_to_the_training_part);
    MOE_TEST_LOOP(suite, a_file_is_taken_as_it_is_but_for_its_scores, 2);
    MOE_TEST_LOOP(suite, files_that_lie_are_refused, MOE_ARRAY_LEN(lies));
    MOE_TEST_LOOP(suite, what_is_no_file_is_refused, 2);
    MOE_TEST_LOOP(suite, traces_without_what_is_needed_are_refused, 2);
    MOE_TEST_LOOP(suite, what_cannot_be_foretold_is_refused,
                  MOE_ARRAY_LEN(refusals));
    MOE_TEST_LOOP(suite, oracle_is_right_as_often_as_it_should,
                  MOE_ARRAY_LEN(dials));
    MOE_TEST_LOOP(suite, oracle_misses_by_l1_exactly, MOE_ARRAY_LEN(truths));
    MOE_TEST(suite, oracle_misses_differently_every_time);
    return suite;
}
