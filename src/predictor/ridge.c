/* SPDX-License-Identifier: Apache-2.0 */
#include "ridge.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <dnnl.h>

#include "moegps/mem.h"

enum { MOST_TRIES = 8 }; /* of a larger penalty */

/* Rows of a product. */
enum { PART = 2048, MOST_PARTS = MOE_RIDGE_BLOCK / PART };

moe_status moe_ridge_init(moe_ridge *r, size_t n_x, size_t n_y, moe_error *err)
{
    *r = (moe_ridge){.n_x = n_x, .n_y = n_y};
    r->gram = moe_array_new(n_x * n_x, sizeof *r->gram, err);
    r->own = moe_array_new(n_x, sizeof *r->own, err);
    r->cross = moe_array_new(n_x * n_y, sizeof *r->cross, err);
    r->product = moe_array_new(MOST_PARTS * n_x * (n_x > n_y ? n_x : n_y),
                               sizeof *r->product, err);
    return err->status;
}

void moe_ridge_fini(moe_ridge *r)
{
    free(r->gram);
    free(r->own);
    free(r->cross);
    free(r->product);
}

void moe_ridge_clear(moe_ridge *r)
{
    r->n = 0;
    memset(r->gram, 0, r->n_x * r->n_x * sizeof *r->gram);
    memset(r->cross, 0, r->n_x * r->n_y * sizeof *r->cross);
}

/* sum += x^T y, a product for each part of the rows. Parts are the same, and
 * are added up in the same order, whatever the number of threads: each is one
 * thread's, as oneDNN starts none inside a parallel region. */
static dnnl_status_t add_product(const moe_ridge *r, const float *x,
                                 const float *y, size_t n_y, size_t n,
                                 double *sum)
{
    const size_t size = r->n_x * n_y;
    const int parts = (int)((n + PART - 1) / PART);
    dnnl_status_t worst = dnnl_success;
#pragma omp parallel for schedule(static) reduction(max : worst)
    for (int p = 0; p < parts; p++) {
        const size_t at = (size_t)p * PART;
        const size_t rows = n - at < PART ? n - at : PART;
        const dnnl_status_t rc = dnnl_sgemm(
            'T', 'N', (dnnl_dim_t)r->n_x, (dnnl_dim_t)n_y, (dnnl_dim_t)rows, 1,
            x + at * r->n_x, (dnnl_dim_t)r->n_x, y + at * n_y, (dnnl_dim_t)n_y,
            0, r->product + (size_t)p * size, (dnnl_dim_t)n_y);
        worst = rc > worst ? rc : worst;
    }
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < size; i++)
        for (int p = 0; p < parts; p++)
            sum[i] += (double)r->product[(size_t)p * size + i];
    return worst;
}

moe_status moe_ridge_add(moe_ridge *r, const float *x, const float *y, size_t n,
                         moe_error *err)
{
    assert(n <= MOE_RIDGE_BLOCK);
    if (n == 0)
        return MOE_OK;
    dnnl_status_t rc = add_product(r, x, x, r->n_x, n, r->gram);
    rc = rc ? rc : add_product(r, x, y, r->n_y, n, r->cross);
    r->n += (double)n;
    return rc == dnnl_success ? MOE_OK
                              : moe_fail(err, MOE_LIBRARY,
                                         "oneDNN: product: status %d", (int)rc);
}

/* Features that never vary get a penalty, too: their weight is then 0. */
static void penalise(moe_ridge *r, double ridge)
{
    const size_t n_x = r->n_x, one = n_x - 1;
    double most = 0;
    for (int pass = 0; pass < 2; pass++)
        for (size_t j = 0; j < one; j++) {
            double *at = &r->gram[j * n_x + j];
            const double mean = r->gram[j * n_x + one] / r->n;
            const double var = *at / r->n - mean * mean;
            if (pass == 0)
                most = fmax(most, var);
            else
                *at += r->n * ridge * fmax(var, fmax(1e-6 * most, 1e-12));
        }
}

/* gram = L L^T, L in the lower half. @return whether it is positive. */
static bool factorise(double *a, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) {
            double sum = a[i * n + j];
            for (size_t k = 0; k < j; k++)
                sum -= a[i * n + k] * a[j * n + k];
            if (i == j && !(sum > 0))
                return false;
            a[i * n + j] = i == j ? sqrt(sum) : sum / a[j * n + j];
        }
    return true;
}

/* Row i of all right-hand sides less `by` times row j. */
static void subtract_row(const moe_ridge *r, size_t i, size_t j, double by)
{
    const double *from = r->cross + j * r->n_y;
    double *to = r->cross + i * r->n_y;
    for (size_t c = 0; c < r->n_y; c++)
        to[c] -= by * from[c];
}

static void divide_row(const moe_ridge *r, size_t i)
{
    const double by = r->gram[i * r->n_x + i];
    for (size_t c = 0; c < r->n_y; c++)
        r->cross[i * r->n_y + c] /= by;
}

/* The upper half has what a try has overwritten in the lower one. */
static void restore(moe_ridge *r)
{
    for (size_t i = 0; i < r->n_x; i++) {
        for (size_t j = 0; j < i; j++)
            r->gram[i * r->n_x + j] = r->gram[j * r->n_x + i];
        r->gram[i * r->n_x + i] = r->own[i];
    }
}

static bool penalise_and_factorise(moe_ridge *r, double ridge)
{
    for (size_t i = 0; i < r->n_x; i++)
        r->own[i] = r->gram[i * r->n_x + i];
    for (int tries = 0; tries < MOST_TRIES; tries++, ridge *= 10) {
        if (tries > 0)
            restore(r);
        penalise(r, ridge);
        if (factorise(r->gram, r->n_x))
            return true;
    }
    return false;
}

moe_status moe_ridge_solve(moe_ridge *r, double ridge, float *weight_out,
                           moe_error *err)
{
    const size_t n = r->n_x;
    if (!penalise_and_factorise(r, ridge))
        return moe_fail(err, MOE_INVALID,
                        "least squares: the sums are not those of numbers");
    for (size_t i = 0; i < n; i++) {
        for (size_t j = 0; j < i; j++)
            subtract_row(r, i, j, r->gram[i * n + j]);
        divide_row(r, i);
    }
    for (size_t i = n; i-- > 0;) {
        for (size_t j = i + 1; j < n; j++)
            subtract_row(r, i, j, r->gram[j * n + i]);
        divide_row(r, i);
    }
    for (size_t i = 0; i < n * r->n_y; i++)
        weight_out[i] = (float)r->cross[i];
    return MOE_OK;
}
