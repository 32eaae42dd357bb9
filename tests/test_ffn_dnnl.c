/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ffn.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/rng.h"

/* The expert FFN against sums in double precision over the numbers that its
 * weights and rows are documented to have. */

enum { TOKENS = 300 };

static const int LAYERS[] = {5};

static const struct {
    int hidden, inter;
    moe_dtype dtype;
    moe_ffn_form form;
} shapes[] = {
    {64, 128, MOE_DTYPE_F32, MOE_FFN_SWIGLU},
    {40, 72, MOE_DTYPE_F32, MOE_FFN_SWIGLU},
    {8, 16, MOE_DTYPE_F32, MOE_FFN_SWIGLU},
    {96, 48, MOE_DTYPE_F32, MOE_FFN_LINEAR},
    {64, 128, MOE_DTYPE_BF16, MOE_FFN_SWIGLU},
    {40, 72, MOE_DTYPE_BF16, MOE_FFN_SWIGLU},
    {360, 200, MOE_DTYPE_BF16, MOE_FFN_SWIGLU},
    {96, 48, MOE_DTYPE_BF16, MOE_FFN_LINEAR},
};

enum { F32_SHAPES = 4 }; /* come first */

typedef struct {
    moe_ffn_shape shape;
    const moe_ffn *ffn;
    void *state, *weights;
    size_t row_bytes;
    char *rows; /* [TOKENS] inputs */
} fixture;

static fixture make(int i)
{
    fixture f = {.shape = {.hidden = shapes[i].hidden,
                           .inter = shapes[i].inter,
                           .top_k = 1,
                           .dtype = shapes[i].dtype,
                           .form = shapes[i].form,
                           .seed = 7,
                           .layers = LAYERS},
                 .ffn = moe_ffn_find("dnnl")};
    static uint64_t id[TOKENS];
    moe_error err = {0};
    for (uint64_t t = 0; t < TOKENS; t++)
        id[t] = t * t;
    const moe_batch batch = {.own = TOKENS, .id = id};
    f.row_bytes = moe_ffn_row_bytes(&f.shape);
    f.state = moe_array_new(1, f.ffn->state_size, NULL);
    f.weights = moe_array_new(1, moe_ffn_weight_bytes(&f.shape), NULL);
    f.rows = moe_array_new(TOKENS, f.row_bytes, NULL);
    ck_assert_int_eq(f.ffn->init(f.state, &f.shape, &err), MOE_OK);
    moe_ffn_tag(f.weights, 0, 3);
    f.ffn->fill_weights(f.state, 0, 3, f.weights);
    f.ffn->fill_rows(f.state, &batch, f.rows);
    return f;
}

static void end(fixture *f)
{
    moe_ffn_free(f->ffn, f->state);
    free(f->weights);
    free(f->rows);
}

static double element(const fixture *f, const void *row, int j)
{
    if (f->shape.dtype == MOE_DTYPE_F32)
        return (double)((const float *)row)[j];
    uint32_t bits = (uint32_t)((const uint16_t *)row)[j] << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

/* Weights as they are defined: one of 256 levels per random byte. */
static double *plain_weights(const fixture *f)
{
    const size_t n = (size_t)f->shape.hidden * (size_t)f->shape.inter *
                     (f->shape.form == MOE_FFN_SWIGLU ? 3 : 2);
    const double scale =
        sqrt(3.0 / sqrt((double)f->shape.hidden * f->shape.inter));
    double *w = moe_array_new(n, sizeof *w, NULL);
    moe_rng rng = moe_rng_at(7, MOE_RNG_WEIGHT, 0, (uint64_t)LAYERS[0], 3);
    for (size_t at = 0; at < n; at += 8) {
        uint64_t bits = moe_rng_u64(&rng);
        for (size_t j = 0; j < 8 && at + j < n; j++, bits >>= 8)
            w[at + j] = ((double)(bits & 0xff) - 127.5) / 127.5 * scale;
    }
    return w;
}

static double dot(const double *a, const double *column, int n, int stride)
{
    double sum = 0.0;
    for (int j = 0; j < n; j++)
        sum += a[j] * column[j * stride];
    return sum;
}

static void reference(const fixture *f, const double *w, const void *row,
                      double *out)
{
    const int h = f->shape.hidden, n = f->shape.inter;
    double in[1024], inner[1024];
    for (int j = 0; j < h; j++)
        in[j] = element(f, row, j);
    for (int j = 0; j < n; j++) {
        double x = dot(in, w + j, h, n);
        if (f->shape.form == MOE_FFN_SWIGLU)
            inner[j] = x / (1.0 + exp(-x)) * dot(in, w + h * n + j, h, n);
        else
            inner[j] = x > 0 ? x : 0;
    }
    const double *down = w + (f->shape.form == MOE_FFN_SWIGLU ? 2 : 1) * h * n;
    for (int j = 0; j < h; j++)
        out[j] = dot(inner, down + j, n, h);
}

/* @return the largest |a - b| in units of the largest |a|. */
static double difference(const fixture *f, const double *a, const void *row)
{
    double worst = 0.0, size = 0.0;
    for (int j = 0; j < f->shape.hidden; j++) {
        worst = fmax(worst, fabs(a[j] - element(f, row, j)));
        size = fmax(size, fabs(a[j]));
    }
    return worst / size;
}

static void run(fixture *f, const uint32_t *rows, int slots, char *data)
{
    void *weights[TOKENS];
    moe_error err = {0};
    for (int k = 0; k < slots; k++)
        weights[k] = f->weights;
    const moe_ffn_input input = {
        .slots = slots, .weights = weights, .rows = rows, .data = data};
    memcpy(data, f->rows, TOKENS * f->row_bytes);
    ck_assert_int_eq(f->ffn->run(f->state, &input, &err), MOE_OK);
}

START_TEST(results_are_those_of_the_formula)
{
    fixture f = make(_i);
    /* Two roundings of intermediates to bf16; sums of floats. */
    const double limit = f.shape.dtype == MOE_DTYPE_BF16 ? 0x1p-6 : 1e-5;
    const uint32_t rows = TOKENS;
    char *data = moe_array_new(TOKENS, f.row_bytes, NULL);
    double *w = plain_weights(&f), out[1024], worst = 0.0;
    run(&f, &rows, 1, data);
    for (size_t t = 0; t < TOKENS; t += 7) {
        reference(&f, w, f.rows + t * f.row_bytes, out);
        worst = fmax(worst, difference(&f, out, data + t * f.row_bytes));
    }
    free(data);
    free(w);
    end(&f);
    ck_assert_double_le(worst, limit);
}
END_TEST

/* Rows per slot; every number up to 64 is one block, larger ones several. */
static const uint32_t groups[][9] = {
    {1, 2, 3, 4, 5, 6, 7, 8, 264},
    {63, 64, 65, 108, 0},
    {0, 127, 0, 129, 0, 44, 0},
    {256, 1, 43, 0},
    {255, 45, 0},
};

START_TEST(a_row_does_not_depend_on_its_company)
{
    fixture f = make(_i);
    const double limit = f.shape.dtype == MOE_DTYPE_BF16 ? 0x1p-6 : 1e-5;
    uint32_t ones[TOKENS];
    char *alone = moe_array_new(TOKENS, f.row_bytes, NULL);
    char *data = moe_array_new(TOKENS, f.row_bytes, NULL);
    double worst = 0.0, out[1024];
    for (int t = 0; t < TOKENS; t++)
        ones[t] = 1;
    run(&f, ones, TOKENS, alone);
    for (size_t g = 0; g < MOE_ARRAY_LEN(groups); g++) {
        run(&f, groups[g], MOE_ARRAY_LEN(groups[g]), data);
        for (size_t t = 0; t < TOKENS; t++) {
            for (int j = 0; j < f.shape.hidden; j++)
                out[j] = element(&f, alone + t * f.row_bytes, j);
            worst = fmax(worst, difference(&f, out, data + t * f.row_bytes));
        }
    }
    free(alone);
    free(data);
    end(&f);
    ck_assert_double_le(worst, limit);
}
END_TEST

START_TEST(weights_can_travel_as_bytes)
{
    fixture f = make(_i), other = make(_i);
    const uint32_t rows = TOKENS;
    char *here = moe_array_new(TOKENS, f.row_bytes, NULL);
    char *there = moe_array_new(TOKENS, f.row_bytes, NULL);
    run(&f, &rows, 1, here);
    memcpy(other.weights, f.weights, moe_ffn_weight_bytes(&f.shape));
    run(&other, &rows, 1, there);
    int differ = memcmp(here, there, TOKENS * f.row_bytes);
    free(here);
    free(there);
    end(&f);
    end(&other);
    ck_assert_int_eq(differ, 0);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("ffn_dnnl");
    const bool bf16 = moe_ffn_runs(MOE_DTYPE_BF16);
    const size_t n = bf16 ? MOE_ARRAY_LEN(shapes) : F32_SHAPES;
    MOE_TEST_LOOP(suite, results_are_those_of_the_formula, n);
    MOE_TEST_LOOP(suite, a_row_does_not_depend_on_its_company, n);
    MOE_TEST_LOOP(suite, weights_can_travel_as_bytes, n);
    if (!bf16)
        test_skip("ffn dnnl in bf16", "this CPU has no AVX-512");
    return suite;
}
