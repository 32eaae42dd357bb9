/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ffn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/rng.h"

static const int layers[] = {5, 2};

/* A back end and one GPU's experts on it. */
typedef struct {
    const moe_ffn *ffn;
    moe_ffn_shape shape;
    void *state;
    moe_status status; /* of init */
    moe_error err;
} bench;

static void bench_init(bench *b, const char *name, const moe_ffn_shape *shape)
{
    *b = (bench){.ffn = moe_ffn_find(name), .shape = *shape};
    b->state = moe_array_new(1, b->ffn->state_size, NULL);
    b->status = b->ffn->init(b->state, &b->shape, &b->err);
}

static void bench_fini(bench *b)
{
    moe_ffn_free(b->ffn, b->state);
}

static void *new_weights(const bench *b, int layer, int expert)
{
    void *w = moe_array_new(1, moe_ffn_weight_bytes(&b->shape), NULL);
    moe_ffn_tag(w, layer, expert);
    b->ffn->fill_weights(b->state, layer, expert, w);
    return w;
}

/* Element i of an array in the shape's data type. */
static double at(const bench *b, const void *p, size_t i)
{
    float f;
    if (b->shape.dtype == MOE_DTYPE_F32) {
        memcpy(&f, (const float *)p + i, sizeof f);
        return f;
    }
    uint16_t half;
    memcpy(&half, (const uint16_t *)p + i, sizeof half);
    uint32_t bits = (uint32_t)half << 16;
    memcpy(&f, &bits, sizeof f);
    return f;
}

/* Round to bf16, nearest even. */
static double rounded(const bench *b, float x)
{
    if (b->shape.dtype == MOE_DTYPE_F32)
        return x;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits + 0x7fff + ((bits >> 16) & 1)) & 0xffff0000u;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The matrices of an expert, as they are specified: one of 256 levels for
 * each byte of the expert's random numbers, gate and up [hidden][inter], then
 * down [inter][hidden]; no gate in a linear FFN. How they are stored is the
 * back end's affair. */
static double *plain_weights(const bench *b, const void *weights)
{
    moe_expert_tag tag;
    memcpy(&tag, weights, sizeof tag);
    const size_t n = (size_t)b->shape.hidden * (size_t)b->shape.inter;
    const size_t mats = b->shape.form == MOE_FFN_SWIGLU ? 3 : 2;
    const double scale =
        sqrt(3.0 / sqrt((double)b->shape.hidden * (double)b->shape.inter));
    double *w = moe_array_new(mats * n, sizeof *w, NULL);
    moe_rng rng =
        moe_rng_at(b->shape.seed, MOE_RNG_WEIGHT, 0,
                   (uint64_t)b->shape.layers[tag.layer], (uint64_t)tag.expert);
    for (size_t m = 0; m < mats; m++)
        for (size_t i = 0; i < n; i += 8) {
            uint64_t bits = moe_rng_u64(&rng);
            for (size_t j = i; j < i + 8 && j < n; j++, bits >>= 8) {
                double level = ((double)(bits & 0xff) - 127.5) / 127.5;
                w[m * n + j] = rounded(b, (float)(level * scale));
            }
        }
    return w;
}

/* One row through one expert, in double; a linear FFN's activation is ReLU. */
static void reference(const bench *b, const double *w, const void *row,
                      double *out)
{
    const size_t h = (size_t)b->shape.hidden, n = (size_t)b->shape.inter;
    const bool swiglu = b->shape.form == MOE_FFN_SWIGLU;
    double *inner = moe_array_new(n, sizeof *inner, NULL);
    for (size_t j = 0; j < n; j++) {
        double a = 0, up = 0;
        for (size_t i = 0; i < h; i++) {
            a += at(b, row, i) * w[i * n + j];
            if (swiglu)
                up += at(b, row, i) * w[h * n + i * n + j];
        }
        inner[j] = swiglu ? a / (1 + exp(-a)) * up : fmax(a, 0);
    }
    for (size_t i = 0; i < h; i++) {
        out[i] = 0;
        for (size_t j = 0; j < n; j++)
            out[i] += inner[j] * w[(swiglu ? 2 : 1) * h * n + j * h + i];
    }
    free(inner);
}

static const struct {
    int hidden, inter;
    uint32_t rows[4]; /* of four slots */
} jobs[] = {
    {4, 1, {1, 2, 0, 3}},        {5, 5, {2, 0, 17, 1}},
    {4, 9, {5, 5, 5, 5}},        {33, 17, {0, 17, 1, 40}},
    {64, 128, {1, 0, 0, 17}},    {7, 129, {513, 0, 1, 0}},
    {16, 24, {0, 1100, 3, 512}}, {40, 8, {0, 0, 0, 0}},
};

static const struct {
    moe_dtype dtype;
    moe_ffn_form form;
    double tolerance; /* of a row's norm */
} kinds[] = {
    {MOE_DTYPE_F32, MOE_FFN_SWIGLU, 1e-5},
    {MOE_DTYPE_F32, MOE_FFN_LINEAR, 1e-5},
    /* two or three roundings to 8 bits on the way */
    {MOE_DTYPE_BF16, MOE_FFN_SWIGLU, 2e-2},
    {MOE_DTYPE_BF16, MOE_FFN_LINEAR, 2e-2},
};

enum { F32_KINDS = 2 }; /* come first */

/* Error of all rows, relative to the norm of all. */
static double miss(const bench *b, const moe_ffn_input *input, const void *in)
{
    const size_t h = (size_t)b->shape.hidden,
                 bytes = moe_ffn_row_bytes(&b->shape);
    double *right = moe_array_new(h, sizeof *right, NULL);
    double wrong = 0, norm = 0;
    size_t r = 0;
    for (int k = 0; k < input->slots; k++) {
        double *w = plain_weights(b, input->weights[k]);
        for (uint32_t j = 0; j < input->rows[k]; j++, r++) {
            reference(b, w, (const char *)in + r * bytes, right);
            for (size_t i = 0; i < h; i++) {
                double x = at(b, (const char *)input->data + r * bytes, i);
                wrong += (x - right[i]) * (x - right[i]);
                norm += right[i] * right[i];
            }
        }
        free(w);
    }
    free(right);
    return norm > 0 ? sqrt(wrong / norm) : sqrt(wrong);
}

START_TEST(dnnl_equals_a_plain_computation)
{
    const size_t kind = (size_t)_i / MOE_ARRAY_LEN(jobs);
    const size_t job = (size_t)_i % MOE_ARRAY_LEN(jobs);
    const moe_ffn_shape shape = {.hidden = jobs[job].hidden,
                                 .inter = jobs[job].inter,
                                 .top_k = 1,
                                 .dtype = kinds[kind].dtype,
                                 .form = kinds[kind].form,
                                 .seed = 3,
                                 .layers = layers};
    bench b;
    bench_init(&b, "dnnl", &shape);
    ck_assert_msg(b.status == MOE_OK, "%s", b.err.text);
    void *weights[4];
    uint64_t id[2000];
    moe_batch batch = {.id = id, .top_k = 1};
    for (int k = 0; k < 4; k++) {
        weights[k] = new_weights(&b, k % 2, k);
        batch.own += jobs[job].rows[k];
    }
    for (uint64_t t = 0; t < batch.own; t++)
        id[t] = 1000 + t;
    const size_t bytes = (batch.own + 1) * moe_ffn_row_bytes(&shape);
    void *in = moe_array_new(bytes, 1, NULL),
         *out = moe_array_new(bytes, 1, NULL);
    b.ffn->fill_rows(b.state, &batch, in);
    const moe_ffn_input input = {4, weights, jobs[job].rows, out};
    for (int round = 0; round < 2; round++) { /* memory objects are kept */
        memcpy(out, in, bytes);
        ck_assert_int_eq(b.ffn->run(b.state, &input, NULL), MOE_OK);
        double wrong = miss(&b, &input, in);
        ck_assert_msg(wrong <= kinds[kind].tolerance, "misses by %g", wrong);
    }
    for (int k = 0; k < 4; k++)
        free(weights[k]);
    free(in);
    free(out);
    bench_fini(&b);
}
END_TEST

/* Sums by hand over rows in odd places. */
START_TEST(combine_sums_by_gate_weight)
{
    enum { OWN = 5, K = 3, H = 11 };
    const bool gates = _i % 2 == 1;
    const moe_ffn_shape shape = {.hidden = H,
                                 .inter = 4,
                                 .top_k = K,
                                 .dtype =
                                     _i / 2 ? MOE_DTYPE_BF16 : MOE_DTYPE_F32,
                                 .layers = layers};
    bench b;
    bench_init(&b, "dnnl", &shape);
    uint64_t id[OWN * K];
    float gate[OWN * K];
    uint32_t where[OWN * K];
    for (uint32_t p = 0; p < OWN * K; p++) {
        id[p] = p;
        where[p] = (p * 7 + 2) % (OWN * K);
        gate[p] = 1.0f / (float)(p + 1);
    }
    moe_batch batch = {.own = OWN * K, .top_k = K, .id = id};
    const size_t bytes = moe_ffn_row_bytes(&shape);
    char *rows = moe_array_new(OWN * K, bytes, NULL);
    b.ffn->fill_rows(b.state, &batch, rows);
    const moe_ffn_sums sums = {.n = OWN,
                               .each = K,
                               .row = where,
                               .weight = gates ? gate : NULL,
                               .even = 1.0f / K};
    char *out = moe_array_new(OWN, moe_ffn_out_bytes(&shape), NULL);
    memset(out, 0x7f, OWN * moe_ffn_out_bytes(&shape));
    b.ffn->combine(b.state, &sums, rows, out);
    for (size_t t = 0; t < OWN; t++)
        for (size_t i = 0; i < H; i++) {
            double sum = 0;
            float got = 0;
            for (size_t j = 0; j < K; j++)
                sum += (gates ? (double)gate[t * K + j] : 1.0 / K) *
                       at(&b, rows + where[t * K + j] * bytes, i);
            memcpy(&got, out + t * moe_ffn_out_bytes(&shape) + i * sizeof got,
                   sizeof got);
            ck_assert_double_eq_tol(got, sum, 1e-6);
        }
    free(rows);
    free(out);
    bench_fini(&b);
}
END_TEST

/* In two steps, of as many entries as it happens to be; a row in between is
 * rounded to its type. */
START_TEST(sums_of_sums_are_the_sum)
{
    enum { ROWS = 12, PARTS = 5, H = 11 };
    static const uint32_t row[ROWS] = {5, 1, 0, 7, 11, 2, 3, 9, 4, 6, 8, 10};
    static const uint32_t part[PARTS] = {4, 0, 2, 1, 3};
    static const uint32_t first[PARTS + 1] = {0, 1, 1, 5, 10, ROWS};
    static const uint32_t whole[] = {0, 2, 2, PARTS};
    static const uint32_t rows_of[] = {0, 3, 3, ROWS}; /* the same, of rows */
    static const uint32_t direct[ROWS] = {8, 10, 5, 1, 0, 7, 11, 2, 3, 9, 4, 6};
    const bool exact = _i % 2, bf16 = _i / 2;
    const moe_ffn_shape shape = {.hidden = H,
                                 .inter = 4,
                                 .top_k = 1,
                                 .dtype = bf16 ? MOE_DTYPE_BF16 : MOE_DTYPE_F32,
                                 .layers = layers};
    bench b;
    bench_init(&b, exact ? "exact" : "dnnl", &shape);
    uint64_t id[ROWS];
    for (uint64_t r = 0; r < ROWS; r++)
        id[r] = r * r + 3;
    const moe_batch batch = {.own = ROWS, .top_k = 1, .id = id};
    const size_t out_bytes = moe_ffn_out_bytes(&shape);
    char *rows = moe_array_new(ROWS, moe_ffn_row_bytes(&shape), NULL);
    char *parts = moe_array_new(PARTS, moe_ffn_row_bytes(&shape), NULL);
    char *out = moe_array_new(3, out_bytes, NULL);
    char *once = moe_array_new(3, out_bytes, NULL);
    memset(parts, 0x7f, PARTS * moe_ffn_row_bytes(&shape));
    b.ffn->fill_rows(b.state, &batch, rows);
    const moe_ffn_sums some = {PARTS, first, 0, row, NULL, 0.5f};
    const moe_ffn_sums of_some = {3, whole, 0, part, NULL, 1};
    const moe_ffn_sums all = {3, rows_of, 0, direct, NULL, 0.5f};
    b.ffn->reduce(b.state, &some, rows, parts);
    b.ffn->combine(b.state, &of_some, parts, out);
    b.ffn->combine(b.state, &all, rows, once);
    for (size_t t = 0; t < 3; t++) {
        float x[H], y[H];
        if (exact)
            ck_assert_mem_eq(out + t * out_bytes, once + t * out_bytes,
                             sizeof(uint64_t));
        memcpy(x, out + t * out_bytes, sizeof x);
        memcpy(y, once + t * out_bytes, sizeof y);
        for (size_t i = 0; i < H && !exact; i++) /* 3 parts of up to 2.5 */
            ck_assert_double_eq_tol(x[i], y[i], bf16 ? 3 * 0x1p-7 : 1e-6);
    }
    free(rows);
    free(parts);
    free(out);
    free(once);
    bench_fini(&b);
}
END_TEST

START_TEST(weights_depend_on_seed_layer_and_expert_only)
{
    static const int other[] = {2}, swapped[] = {2, 5};
    moe_ffn_shape shape = {.hidden = 9,
                           .inter = 5,
                           .top_k = 2,
                           .dtype = _i ? MOE_DTYPE_BF16 : MOE_DTYPE_F32,
                           .seed = 8,
                           .layers = layers};
    bench b, same, seeded;
    bench_init(&b, "dnnl", &shape);
    shape.layers = _i ? other : swapped;
    shape.top_k = 1;
    bench_init(&same, "dnnl", &shape);
    shape.seed = 9;
    bench_init(&seeded, "dnnl", &shape);
    char *w[] = {new_weights(&b, 1, 3), new_weights(&same, 0, 3),
                 new_weights(&b, 1, 2), new_weights(&b, 0, 3),
                 new_weights(&seeded, 0, 3)};
    const size_t tag = sizeof(moe_expert_tag),
                 n = moe_ffn_weight_bytes(&shape) - tag;
    ck_assert_mem_eq(w[0] + tag, w[1] + tag, n);
    for (size_t i = 2; i < MOE_ARRAY_LEN(w); i++)
        ck_assert_mem_ne(w[0] + tag, w[i] + tag, n);
    for (size_t i = 0; i < MOE_ARRAY_LEN(w); i++)
        free(w[i]);
    bench_fini(&b);
    bench_fini(&same);
    bench_fini(&seeded);
}
END_TEST

START_TEST(rows_depend_on_seed_and_token_only)
{
    const moe_ffn_shape shape = {.hidden = 13,
                                 .inter = 5,
                                 .top_k = 2,
                                 .dtype = MOE_DTYPE_F32,
                                 .seed = 8,
                                 .layers = layers};
    bench b;
    bench_init(&b, _i ? "dnnl" : "exact", &shape);
    uint64_t id[4] = {7, 7, 123456789, 8};
    const size_t bytes = moe_ffn_row_bytes(&shape);
    char *rows = moe_array_new(4, bytes, NULL);
    char *alone = moe_array_new(1, bytes, NULL);
    moe_batch batch = {.own = 4, .id = id, .top_k = 2};
    b.ffn->fill_rows(b.state, &batch, rows);
    const moe_batch one = {
        .own = 1, .first = 99, .iteration = 5, .id = id + 2, .top_k = 2};
    b.ffn->fill_rows(b.state, &one, alone);
    ck_assert_mem_eq(rows, rows + bytes, bytes);
    ck_assert_mem_eq(alone, rows + 2 * bytes, bytes);
    ck_assert_mem_ne(rows, rows + 3 * bytes, bytes);
    free(rows);
    free(alone);
    bench_fini(&b);
}
END_TEST

/* A tiny run of the exact back end that may be sabotaged. */
enum { TOKENS = 6, TOP_K = 2, EXPERTS = 4, PAIRS = TOKENS * TOP_K };

typedef enum {
    NOTHING,
    WRONG_EXPERT,
    WRONG_LAYER,
    SWAPPED_EXPERTS,
    SWAPPED_TOKENS,
    LOST_PAIR,
    DOUBLED_PAIR,
    STALE_ROW,
    EMPTY_SLOT
} sabotage;

static const struct {
    const char *name;
    sabotage what;
    moe_status status;
    const char *says;
} sabotages[] = {
    {"none", NOTHING, MOE_OK, ""},
    {"wrong expert in a slot", WRONG_EXPERT, MOE_INVALID, "did not meet"},
    {"expert of another layer", WRONG_LAYER, MOE_INVALID, "in layer 1"},
    {"two slots exchanged", SWAPPED_EXPERTS, MOE_INVALID, "did not meet"},
    {"results at the wrong token", SWAPPED_TOKENS, MOE_INVALID, "token 40 of"},
    {"a pair that met nobody", LOST_PAIR, MOE_INVALID, "token 43 of"},
    {"a result summed twice", DOUBLED_PAIR, MOE_INVALID, "token 42 of"},
    {"a row of another token", STALE_ROW, MOE_INVALID, "did not meet"},
    {"a slot that holds no expert", EMPTY_SLOT, MOE_INVALID, "no expert"},
};

static void damage_weights(void *const *weights, sabotage what)
{
    if (what == WRONG_EXPERT)
        moe_ffn_tag(weights[2], 1, 3);
    if (what == WRONG_LAYER)
        moe_ffn_tag(weights[2], 0, 2);
    if (what == EMPTY_SLOT)
        memset(weights[2], 0, sizeof(moe_expert_tag));
    if (what == SWAPPED_EXPERTS) {
        moe_ffn_tag(weights[2], 1, 1);
        moe_ffn_tag(weights[1], 1, 2);
    }
}

static void damage_places(uint32_t *where, sabotage what)
{
    uint32_t was = where[0];
    if (what == SWAPPED_TOKENS) { /* tokens 0 and 1, first pair of each */
        where[0] = where[TOP_K];
        where[TOP_K] = was;
    }
    if (what == DOUBLED_PAIR)
        where[2 * TOP_K] = where[2 * TOP_K + 1];
}

typedef struct {
    bench b;
    size_t bytes; /* of a row */
    uint64_t id[TOKENS];
    uint16_t experts[2 * PAIRS]; /* of layers 0 and 1 */
    uint32_t count[EXPERTS], where[PAIRS];
    void *weights[EXPERTS];
    char *rows, *data, *out;
    moe_batch batch;
} exact_run;

/* Layer 1: each token's two experts, its rows grouped by expert. */
static void exact_init(exact_run *x)
{
    const moe_ffn_shape shape = {
        .hidden = 5, .inter = 3, .top_k = TOP_K, .layers = layers};
    *x = (exact_run){.bytes = moe_ffn_row_bytes(&shape)};
    bench_init(&x->b, "exact", &shape);
    x->batch = (moe_batch){.own = TOKENS,
                           .first = 40,
                           .id = x->id,
                           .top_k = TOP_K,
                           .experts = EXPERTS,
                           .layers = 2,
                           .experts_of = x->experts};
    for (size_t p = 0; p < PAIRS; p++) {
        x->id[p / TOP_K] = 1000 + p / TOP_K;
        x->experts[PAIRS + p] = (uint16_t)((p / TOP_K + p % TOP_K) % EXPERTS);
    }
    x->rows = moe_array_new(TOKENS, x->bytes, NULL);
    x->data = moe_array_new(PAIRS, x->bytes, NULL);
    x->out = moe_array_new(TOKENS, moe_ffn_out_bytes(&shape), NULL);
    x->b.ffn->fill_rows(x->b.state, &x->batch, x->rows);
    uint32_t n = 0;
    for (int e = 0; e < EXPERTS; e++) {
        x->weights[e] = new_weights(&x->b, 1, e);
        for (size_t p = 0; p < PAIRS; p++)
            if (x->experts[PAIRS + p] == e) {
                memcpy(x->data + n * x->bytes, x->rows + p / TOP_K * x->bytes,
                       x->bytes);
                x->where[p] = n++;
                x->count[e]++;
            }
    }
}

static void exact_fini(exact_run *x)
{
    for (int e = 0; e < EXPERTS; e++)
        free(x->weights[e]);
    free(x->rows);
    free(x->data);
    free(x->out);
    bench_fini(&x->b);
}

START_TEST(exact_finds_every_kind_of_misrouting)
{
    const sabotage what = sabotages[_i].what;
    exact_run x;
    exact_init(&x);
    const moe_ffn *ffn = x.b.ffn;
    damage_weights(x.weights, what);
    if (what == STALE_ROW)
        memcpy(x.data, x.data + x.bytes, x.bytes);
    moe_error err = {0};
    const moe_ffn_input input = {EXPERTS, x.weights, x.count, x.data};
    moe_status s = ffn->run(x.b.state, &input, &err);
    if (what == LOST_PAIR) /* comes home as it left */
        memcpy(x.data + x.where[3 * TOP_K] * x.bytes, x.rows + 3 * x.bytes,
               x.bytes);
    damage_places(x.where, what);
    const moe_ffn_sums sums = {.n = TOKENS, .each = TOP_K, .row = x.where};
    ffn->combine(x.b.state, &sums, x.data, x.out);
    if (s == MOE_OK)
        s = ffn->check(x.b.state, &x.batch, 1, x.out, &err);
    ck_assert_msg(s == sabotages[_i].status, "%s", sabotages[_i].name);
    ck_assert_msg(strstr(err.text, sabotages[_i].says) != NULL, "%s: %s",
                  sabotages[_i].name, err.text);
    exact_fini(&x);
}
END_TEST

START_TEST(back_ends_are_found_by_name)
{
    for (size_t i = 0; moe_ffn_at(i) != NULL; i++) {
        const moe_ffn *ffn = moe_ffn_at(i);
        ck_assert_ptr_eq(moe_ffn_find(ffn->name), ffn);
        void *state = moe_array_new(1, ffn->state_size, NULL);
        moe_ffn_free(ffn, state); /* zeroed, never set up */
    }
    ck_assert_ptr_null(moe_ffn_find("cuda"));
}
END_TEST

static const struct {
    int hidden, inter;
    moe_dtype dtype;
    moe_ffn_form form;
    size_t row, weight, out;
} sizes[] = {
    {64, 128, MOE_DTYPE_BF16, MOE_FFN_SWIGLU, 128, 64 + 3 * 64 * 128 * 2, 256},
    {64, 128, MOE_DTYPE_F32, MOE_FFN_LINEAR, 256, 64 + 2 * 64 * 128 * 4, 256},
    /* matrices take whole blocks of the layout they are stored in */
    {1, 1, MOE_DTYPE_BF16, MOE_FFN_SWIGLU, 8, 64 + 3 * 8192, 8},
    {3, 5, MOE_DTYPE_BF16, MOE_FFN_LINEAR, 8, 64 + 2 * 8192, 12},
};

START_TEST(sizes_hold_a_number_and_keep_alignment)
{
    const moe_ffn_shape shape = {.hidden = sizes[_i].hidden,
                                 .inter = sizes[_i].inter,
                                 .top_k = 1,
                                 .dtype = sizes[_i].dtype,
                                 .form = sizes[_i].form};
    ck_assert_uint_eq(sizeof(moe_expert_tag), 64);
    ck_assert_uint_eq(moe_ffn_row_bytes(&shape), sizes[_i].row);
    ck_assert_uint_eq(moe_ffn_weight_bytes(&shape), sizes[_i].weight);
    ck_assert_uint_eq(moe_ffn_out_bytes(&shape), sizes[_i].out);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("ffn");
    const bool bf16 = moe_ffn_runs(MOE_DTYPE_BF16);
    MOE_TEST_LOOP(suite, dnnl_equals_a_plain_computation,
                  MOE_ARRAY_LEN(jobs) *
                      (bf16 ? MOE_ARRAY_LEN(kinds) : F32_KINDS));
    MOE_TEST_LOOP(suite, combine_sums_by_gate_weight, 4);
    MOE_TEST_LOOP(suite, sums_of_sums_are_the_sum, bf16 ? 4 : 2);
    MOE_TEST_LOOP(suite, weights_depend_on_seed_layer_and_expert_only,
                  bf16 ? 2 : 1);
    if (!bf16)
        test_skip("ffn dnnl in bf16", "this CPU has no AVX-512");
    MOE_TEST_LOOP(suite, rows_depend_on_seed_and_token_only, 2);
    MOE_TEST_LOOP(suite, exact_finds_every_kind_of_misrouting,
                  MOE_ARRAY_LEN(sabotages));
    MOE_TEST(suite, back_ends_are_found_by_name);
    MOE_TEST_LOOP(suite, sizes_hold_a_number_and_keep_alignment,
                  MOE_ARRAY_LEN(sizes));
    return suite;
}
