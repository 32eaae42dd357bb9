/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "moegps/ctx.h"
#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/stats.h"
#include "silicon_group.h"
#include "silicon_internal.h"

/* Models of fused MoE kernels that the tables do not have. */

enum { FIT_TEXTS = 4, FIT_SHAPE = 4 };

static const char *const without[FIT_SHAPE] = {
    "without_hidden", "without_inter", "without_top_k", "without_experts"};

/* Of the file. */
typedef struct {
    size_t n;
    int32_t *column[FIT_TEXTS + FIT_SHAPE]; /* [n] */
    double *parameters;                     /* [n][MOE_FFN_PARAMETERS] */
    double *error;                          /* [n] */
} fits;

static const char *fit_column(int c)
{
    return c < FIT_TEXTS ? moe_measured_moe.text[c] : without[c - FIT_TEXTS];
}

static void read_fits(moe_silicon_change *u, fits *f)
{
    hsize_t n = 0;
    hid_t group = moe_h5_open_group(u->file, "moe_fit", u->err);
    moe_h5_dims(group, "gpu", 1, &n, u->err);
    f->n = n;
    for (int c = 0; c < FIT_TEXTS + FIT_SHAPE && u->err->status == MOE_OK; c++)
        f->column[c] = moe_silicon_read_ints(group, fit_column(c), n, u->err);
    if (u->err->status == MOE_OK) {
        f->parameters =
            moe_h5_read(group, "parameters", H5T_NATIVE_DOUBLE, sizeof(double),
                        n * MOE_FFN_PARAMETERS, u->err);
        f->error = moe_h5_read(group, "median_error", H5T_NATIVE_DOUBLE,
                               sizeof(double), n, u->err);
    }
    moe_h5_close(group);
}

static bool has_fit(const fits *f, const int32_t *kernel)
{
    for (size_t i = 0; i < f->n; i++) {
        bool same = true;
        for (int c = 0; c < FIT_TEXTS; c++)
            same = same && f->column[c][i] == kernel[c];
        if (same)
            return true;
    }
    return false;
}

static bool same_kernel(const moe_measurement *a, const moe_measurement *b)
{
    for (int c = 0; c < FIT_TEXTS; c++)
        if (strcmp(a->text[c], b->text[c]) != 0)
            return false;
    return true;
}

/* Fit to all rows [begin, end) of the kernel of row `of`. */
static void add_fit(moe_silicon_change *u, fits *f, const int32_t *kernel,
                    size_t of, size_t begin, size_t end)
{
    const size_t more = f->n + 1;
    moe_ffn_point *point = moe_array_new(end - begin, sizeof *point, u->err);
    double *error = moe_array_new(end - begin, sizeof *error, u->err);
    size_t n = 0;
    for (size_t i = begin; point != NULL && i < end; i++) {
        const moe_measurement *r = &u->m->row[i];
        if (!same_kernel(r, &u->m->row[of]))
            continue;
        point[n++] = (moe_ffn_point){
            .key = {.distribution = r->text[4],
                    .hidden = r->number[0],
                    .inter = r->number[1],
                    .top_k = r->number[2],
                    .experts = r->number[3],
                    .ep = r->number[4]},
            .weight_bytes = strcmp(r->text[3], "bfloat16") == 0 ? 2 : 1,
            .tokens = r->x,
            .time_us = r->time_us};
    }
    for (int c = 0; c < FIT_TEXTS + FIT_SHAPE && error != NULL; c++) {
        int32_t *column = realloc(f->column[c], more * sizeof *column);
        if (column == NULL) {
            moe_fail(u->err, MOE_NOMEM, "out of memory");
            break;
        }
        f->column[c] = column;
        column[f->n] = c < FIT_TEXTS ? kernel[c] : 0;
    }
    double *parameters =
        realloc(f->parameters, more * MOE_FFN_PARAMETERS * sizeof *parameters);
    f->parameters = parameters != NULL ? parameters : f->parameters;
    double *errors = realloc(f->error, more * sizeof *errors);
    f->error = errors != NULL ? errors : f->error;
    if (u->err->status == MOE_OK && parameters != NULL && errors != NULL) {
        moe_silicon_fit_ffn(point, n, parameters + f->n * MOE_FFN_PARAMETERS,
                            error);
        errors[f->n] = moe_median_sorting(error, n);
        moe_remark(u->said,
                   "%s %s %s %s: a model is fitted to %zu rows: median "
                   "difference %.1f %%",
                   u->m->row[of].text[0], u->m->row[of].text[1],
                   u->m->row[of].text[2], u->m->row[of].text[3], n,
                   100 * errors[f->n]);
        f->n = more;
    }
    free(error);
    free(point);
}

static void write_fits(moe_silicon_change *u, const fits *f)
{
    hid_t group = moe_h5_open_group(u->file, "moe_fit", u->err);
    const moe_silicon_data set[] = {
        {"parameters",
         H5T_IEEE_F64LE,
         H5T_NATIVE_DOUBLE,
         f->parameters,
         {f->n, MOE_FFN_PARAMETERS}},
        {"median_error", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, f->error, {f->n}}};
    for (int c = 0; c < FIT_TEXTS + FIT_SHAPE; c++)
        moe_silicon_put_ints(u, group, fit_column(c), f->column[c], f->n);
    for (size_t i = 0; i < MOE_ARRAY_LEN(set); i++)
        moe_silicon_put(u, group, &set[i]);
    moe_h5_close(group);
}

void moe_silicon_fit_kernels(moe_silicon_change *u, size_t begin, size_t end)
{
    fits f = {.n = 0};
    read_fits(u, &f);
    const size_t before = f.n;
    for (size_t i = begin; i < end && u->err->status == MOE_OK;
         i = moe_silicon_key_end(u->m, i)) {
        int32_t kernel[FIT_TEXTS];
        for (int c = 0; c < FIT_TEXTS; c++)
            kernel[c] = moe_silicon_code_of(u, u->m->row[i].text[c]);
        if (!has_fit(&f, kernel))
            add_fit(u, &f, kernel, i, begin, end);
    }
    if (u->err->status == MOE_OK && f.n > before)
        write_fits(u, &f);
    for (int c = 0; c < FIT_TEXTS + FIT_SHAPE; c++)
        free(f.column[c]);
    free(f.parameters);
    free(f.error);
}
