/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/profile.h"
#include "moegps/text.h"
#include "silicon_internal.h"

enum { MAX_ROWS = 1 << 24, MAX_PATH = 4096 };

/* Measured kernels do get faster with more work, by up to half, where a
 * library changes to a better kernel; more than this is a mistake. */
static const double MAX_FALL = 4;
/* Anything outside is in another unit than microseconds. */
static const double MIN_US = 0.5, MAX_US = 1e8;
/* The least work of every kind takes a few launches: 3 to 15 us in all that
 * was measured. More than this is nanoseconds. */
static const double MAX_LEAST_US = 1000;

const moe_silicon_layout moe_silicon_layouts[MOE_SILICON_OPS] = {
    [MOE_SILICON_FFN] = {.group = "moe",
                         .texts = 5,
                         .columns = {"gpu", "stack", "kernel", "dtype",
                                     "distribution", "hidden", "inter", "top_k",
                                     "experts", "ep"},
                         .axis = "tokens",
                         .fit_texts = 4,
                         .parameters = MOE_FFN_PARAMETERS},
    [MOE_SILICON_SLOW] = {.group = "moe_slow",
                          .texts = 5,
                          .columns = {"gpu", "stack", "kernel", "dtype",
                                      "distribution", "hidden", "inter",
                                      "top_k", "experts", "ep"},
                          .axis = "tokens",
                          .optional = true},
    [MOE_SILICON_LINK] = {.group = "collectives",
                          .texts = 3,
                          .columns = {"gpu", "nccl", "op", "gpus"},
                          .axis = "buffer_bytes"},
    [MOE_SILICON_ATTENTION] = {.group = "attention",
                               .texts = 2,
                               .columns = {"gpu", "stack", "heads", "kv_heads",
                                           "head_dim", "batch"},
                               .axis = "seq",
                               .fit_texts = 2,
                               .parameters = 3},
    [MOE_SILICON_GEMM] = {.group = "gemm",
                          .texts = 2,
                          .columns = {"gpu", "stack", "n", "k"},
                          .axis = "m",
                          .fit_texts = 2,
                          .parameters = 3},
    [MOE_SILICON_EXCHANGE] = {.group = "exchange",
                              .texts = 3,
                              .columns = {"gpu", "stack", "direction", "nodes",
                                          "gpus", "hidden", "top_k", "experts",
                                          "sms"},
                              .may_be_zero = "sms",
                              .axis = "tokens_per_gpu",
                              .fit_texts = 3,
                              .parameters = 6,
                              .optional = true},
    [MOE_SILICON_DECODE] = {.group = "decode",
                            .texts = 3,
                            .columns = {"gpu", "stack", "kv_dtype", "heads",
                                        "kv_heads", "head_dim", "batch",
                                        "window"},
                            .may_be_zero = "window",
                            .axis = "kv_len",
                            .fit_texts = 3,
                            .parameters = 6,
                            .optional = true},
    [MOE_SILICON_MLA] = {.group = "mla",
                         .texts = 3,
                         .columns = {"gpu", "stack", "phase", "batch", "heads"},
                         .axis = "kv_len",
                         .fit_texts = 3,
                         .parameters = 6,
                         .optional = true},
    [MOE_SILICON_WIDE] = {.group = "wide",
                          .texts = 4,
                          .columns = {"gpu", "stack", "dtype", "distribution",
                                      "hidden", "inter", "top_k", "experts",
                                      "slots", "ep", "eplb"},
                          .may_be_zero = "eplb",
                          .axis = "tokens",
                          .fit_texts = 4,
                          .parameters = 6,
                          .optional = true},
};

static int32_t *read_ints(hid_t group, const char *name, size_t n,
                          moe_error *err)
{
    return moe_h5_read(group, name, H5T_NATIVE_INT32, sizeof(int32_t), n, err);
}

static size_t length_of(hid_t group, const char *name, moe_error *err)
{
    hsize_t n = 0;
    moe_h5_dims(group, name, 1, &n, err);
    if (err->status == MOE_OK && (n < 1 || n > MAX_ROWS))
        moe_fail(err, MOE_FORMAT, "%s: %llu entries", name,
                 (unsigned long long)n);
    return err->status == MOE_OK ? (size_t)n : 0;
}

/* "gpu stack kernel ..." of a table, for messages. */
static void describe(const moe_silicon *s, int op, size_t i, char *text,
                     size_t size)
{
    text[0] = '\0';
    for (int c = 0; moe_silicon_layouts[op].columns[c] != NULL; c++) {
        int32_t v = s->op[op].column[c][i];
        if (c < moe_silicon_layouts[op].texts)
            moe_text_add(text, size, " ", "%s", s->names[v]);
        else
            moe_text_add(text, size, " ", "%s=%d",
                         moe_silicon_layouts[op].columns[c], v);
    }
}

int moe_silicon_least(const moe_silicon_layout *layout, int column)
{
    const char *name = layout->columns[column], *zero = layout->may_be_zero;
    return name != NULL && zero != NULL && strcmp(zero, name) == 0 ? 0 : 1;
}

static moe_status check_key(const moe_silicon *s, int op, size_t i,
                            moe_error *err)
{
    for (int c = 0; moe_silicon_layouts[op].columns[c] != NULL; c++) {
        int32_t v = s->op[op].column[c][i];
        const char *column = moe_silicon_layouts[op].columns[c];
        const int least = moe_silicon_least(&moe_silicon_layouts[op], c);
        bool text = c < moe_silicon_layouts[op].texts;
        if (text ? v < 0 || (size_t)v >= s->n_names : v < least)
            return moe_fail(err, MOE_FORMAT, "%s: table %zu: %s is %d",
                            moe_silicon_layouts[op].group, i, column, v);
    }
    return MOE_OK;
}

/* @return MOE_FORMAT with the operation, the table's key and this. */
__attribute__((format(printf, 5, 6))) static moe_status
bad_row(const moe_silicon *s, int op, size_t i, moe_error *err,
        const char *format, ...)
{
    char table[256], what[256];
    va_list args;
    describe(s, op, i, table, sizeof table);
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return moe_fail(err, MOE_FORMAT, "%s: %s: %s",
                    moe_silicon_layouts[op].group, table, what);
}

static moe_status check_rows(const moe_silicon *s, int op, size_t i,
                             moe_error *err)
{
    const moe_silicon_op *t = &s->op[op];
    double highest = 0;
    for (int32_t r = t->first[i]; r < t->first[i + 1]; r++) {
        const double us = t->time_us[r];
        if (t->x[r] < 1 || (r > t->first[i] && t->x[r] <= t->x[r - 1]))
            return bad_row(s, op, i, err, "row %d: %d does not rise", r,
                           t->x[r]);
        if (!(us > 0))
            return bad_row(s, op, i, err,
                           "at %d: latency of %g us is not above zero", t->x[r],
                           us);
        if (us < MIN_US || us > MAX_US)
            return bad_row(s, op, i, err,
                           "at %d: %g cannot be microseconds (allowed: "
                           "%g..%g)",
                           t->x[r], us, MIN_US, MAX_US);
        highest = fmax(highest, us);
        if (op != MOE_SILICON_SLOW && us * MAX_FALL < highest)
            return bad_row(s, op, i, err,
                           "at %d: %g us, but less work took %g us", t->x[r],
                           us, highest);
    }
    return MOE_OK;
}

static moe_status check_unit(const moe_silicon *s, int op, moe_error *err)
{
    const moe_silicon_op *t = &s->op[op];
    double least = INFINITY;
    for (size_t r = 0; r < t->rows; r++)
        least = fmin(least, t->time_us[r]);
    if (least > MAX_LEAST_US)
        return moe_fail(err, MOE_FORMAT,
                        "%s: the fastest row takes %g, which cannot be "
                        "microseconds (at most %g)",
                        moe_silicon_layouts[op].group, least, MAX_LEAST_US);
    return MOE_OK;
}

static moe_status check_op(const moe_silicon *s, int op, moe_error *err)
{
    const moe_silicon_op *t = &s->op[op];
    const bool curves = op != MOE_SILICON_ATTENTION && op != MOE_SILICON_GEMM;
    const int most = curves ? MOE_TABLE_POINTS : MOE_SILICON_ROWS;
    if (t->first[0] != 0 || (size_t)t->first[t->n] != t->rows)
        return moe_fail(err, MOE_FORMAT, "%s: first does not span the rows",
                        moe_silicon_layouts[op].group);
    for (size_t i = 0; i < t->n; i++) {
        if (t->first[i + 1] <= t->first[i] ||
            t->first[i + 1] - t->first[i] > most)
            return moe_fail(err, MOE_FORMAT, "%s: table %zu has %d rows",
                            moe_silicon_layouts[op].group, i,
                            t->first[i + 1] - t->first[i]);
        if (check_key(s, op, i, err) != MOE_OK ||
            check_rows(s, op, i, err) != MOE_OK)
            return err->status;
    }
    return check_unit(s, op, err);
}

static void read_op(hid_t file, moe_silicon *s, int op, moe_error *err)
{
    moe_silicon_op *t = &s->op[op];
    hid_t group = moe_h5_open_group(file, moe_silicon_layouts[op].group, err);
    t->n = length_of(group, moe_silicon_layouts[op].columns[0], err);
    t->rows = length_of(group, "x", err);
    for (int c = 0; moe_silicon_layouts[op].columns[c] != NULL; c++)
        t->column[c] =
            read_ints(group, moe_silicon_layouts[op].columns[c], t->n, err);
    t->first = read_ints(group, "first", t->n + 1, err);
    t->x = read_ints(group, "x", t->rows, err);
    t->time_us = moe_h5_read(group, "latency_us", H5T_NATIVE_FLOAT,
                             sizeof *t->time_us, t->rows, err);
    moe_h5_close(group);
    if (err->status == MOE_OK)
        check_op(s, op, err);
}

static moe_status check_fit(const moe_silicon_fit *fit, const char *name,
                            moe_error *err)
{
    for (size_t i = 0; i < fit->n * fit->width; i++)
        if (!(fit->parameters[i] > 0 && isfinite(fit->parameters[i])))
            return moe_fail(err, MOE_FORMAT, "%s: parameter %zu of fit %zu",
                            name, i % fit->width, i / fit->width);
    for (size_t i = 0; i < fit->n; i++)
        if (!(fit->error[i] >= 0 && isfinite(fit->error[i])))
            return moe_fail(err, MOE_FORMAT, "%s: error of fit %zu", name, i);
    return MOE_OK;
}

static void read_fit(hid_t file, int op, moe_silicon_fit *fit, moe_error *err)
{
    static const char *const without[] = {"without_hidden", "without_inter",
                                          "without_top_k", "without_experts"};
    const moe_silicon_layout *layout = &moe_silicon_layouts[op];
    const size_t width = layout->parameters;
    char name[64];
    hsize_t dims[2] = {0, 0};
    snprintf(name, sizeof name, "%s_fit", layout->group);
    hid_t group = moe_h5_open_group(file, name, err);
    fit->n = length_of(group, "gpu", err);
    fit->width = width;
    for (int c = 0; c < layout->fit_texts; c++)
        fit->column[c] = read_ints(group, layout->columns[c], fit->n, err);
    for (size_t c = 0; op == MOE_SILICON_FFN && c < 4; c++)
        fit->without[c] = read_ints(group, without[c], fit->n, err);
    moe_h5_dims(group, "parameters", 2, dims, err);
    if (err->status == MOE_OK && dims[1] != width)
        moe_fail(err, MOE_FORMAT, "%s: %llu parameters instead of %zu", name,
                 (unsigned long long)dims[1], width);
    fit->parameters = moe_h5_read(group, "parameters", H5T_NATIVE_DOUBLE,
                                  sizeof(double), fit->n * width, err);
    fit->error = moe_h5_read(group, "median_error", H5T_NATIVE_DOUBLE,
                             sizeof(double), fit->n, err);
    moe_h5_close(group);
    if (err->status == MOE_OK)
        check_fit(fit, name, err);
}

static const moe_h5_schema schema = {.name = "moe-gps-silicon",
                                     .version = "1",
                                     .noun = "a file of measured tables"};

static void read_ops(const char *path, unsigned ops, moe_silicon *s,
                     moe_error *err)
{
    hid_t file = moe_h5_open(path, false, err);
    if (err->status != MOE_OK)
        return;
    moe_h5_check_schema(file, &schema, err);
    s->names = moe_h5_read_strings(file, "names", &s->n_names, err);
    for (int op = 0; op < MOE_SILICON_OPS; op++) {
        const moe_silicon_layout *layout = &moe_silicon_layouts[op];
        if ((ops >> op & 1) == 0 ||
            (layout->optional && !moe_h5_exists(file, layout->group)))
            continue;
        read_op(file, s, op, err);
        if (layout->parameters > 0)
            read_fit(file, op, &s->fit[op], err);
    }
    moe_h5_close_file(file, err);
    moe_error_prefix(err, "%s", path);
}

moe_silicon *moe_silicon_open(const char *path, moe_error *err)
{
    return moe_silicon_open_ops(path, UINT_MAX, err);
}

moe_silicon *moe_silicon_open_ops(const char *path, unsigned ops,
                                  moe_error *err)
{
    moe_error own = {0};
    char found[MAX_PATH];
    if (path == NULL)
        moe_profile_find("silicon", "tables", ".h5", found, sizeof found, &own);
    moe_silicon *s = moe_array_new(1, sizeof *s, &own);
    if (own.status == MOE_OK)
        read_ops(path != NULL ? path : found, ops, s, &own);
    if (own.status == MOE_OK)
        return s;
    moe_silicon_close(s);
    moe_pass(err, &own);
    return NULL;
}

static void free_fit(moe_silicon_fit *fit)
{
    for (size_t c = 0; c < 4; c++) {
        free(fit->column[c]);
        free(fit->without[c]);
    }
    free(fit->parameters);
    free(fit->error);
}

void moe_silicon_close(moe_silicon *s)
{
    if (s == NULL)
        return;
    for (int op = 0; op < MOE_SILICON_OPS; op++) {
        for (int c = 0; c < SILICON_COLUMNS; c++)
            free(s->op[op].column[c]);
        free(s->op[op].first);
        free(s->op[op].x);
        free(s->op[op].time_us);
        free_fit(&s->fit[op]);
    }
    moe_h5_free_strings(s->names, s->n_names);
    free(s);
}

int moe_silicon_code(const moe_silicon *s, const char *text)
{
    for (size_t i = 0; i < s->n_names; i++)
        if (strcmp(s->names[i], text) == 0)
            return (int)i;
    return -1;
}

/* Whether a table agrees with `codes` in its first n columns; -1: any. */
static bool agrees(const moe_silicon_op *t, size_t table, const int *codes,
                   int n)
{
    for (int c = 0; c < n; c++)
        if (codes[c] >= 0 && t->column[c][table] != codes[c])
            return false;
    return true;
}

void moe_silicon_known(const moe_silicon *s, int op, const int *codes, int want,
                       char *text, size_t size)
{
    const moe_silicon_op *t = &s->op[op];
    text[0] = '\0';
    for (size_t name = 0; name < s->n_names; name++) {
        bool there = false;
        for (size_t i = 0; i < t->n && !there; i++)
            there = t->column[want][i] == (int32_t)name &&
                    agrees(t, i, codes, want);
        if (there)
            moe_text_add(text, size, ", ", "%s", s->names[name]);
    }
}

/* The first row that has all texts that are given: whatever comes first where
 * one is not given may lack what is. @return whether there is one. */
static bool find_whole(const moe_silicon *s, int op, const char *const *texts,
                       int n, int *codes_out)
{
    const moe_silicon_op *t = &s->op[op];
    int code[SILICON_COLUMNS];
    for (int c = 0; c < n; c++)
        code[c] = texts[c] != NULL ? moe_silicon_code(s, texts[c]) : -1;
    for (size_t i = 0; i < t->n; i++) {
        int c = 0;
        while (c < n && (texts[c] == NULL || t->column[c][i] == code[c]))
            c++;
        if (c < n)
            continue;
        for (c = 0; c < n; c++)
            codes_out[c] = t->column[c][i];
        return true;
    }
    return false;
}

moe_status moe_silicon_find(const moe_silicon *s, int op,
                            const char *const *texts, int n, int *codes_out,
                            moe_error *err)
{
    const moe_silicon_op *t = &s->op[op];
    for (int c = 0; c < n; c++) {
        const int code = texts[c] != NULL ? moe_silicon_code(s, texts[c]) : -1;
        codes_out[c] = -2;
        for (size_t i = 0; i < t->n && codes_out[c] == -2; i++)
            if ((texts[c] == NULL || t->column[c][i] == code) &&
                agrees(t, i, codes_out, c))
                codes_out[c] = t->column[c][i];
        if (codes_out[c] >= 0)
            continue;
        if (find_whole(s, op, texts, n, codes_out))
            return MOE_OK;
        char known[320];
        moe_silicon_known(s, op, codes_out, c, known, sizeof known);
        return moe_fail(err, MOE_USAGE,
                        "%s: no measured '%.60s' (there are: %s)",
                        moe_silicon_layouts[op].columns[c],
                        texts[c] != NULL ? texts[c] : "",
                        known[0] != '\0' ? known : "none");
    }
    return MOE_OK;
}

void moe_silicon_bracket(const double *sorted, size_t n, double x,
                         size_t *left_out, double *weight_out)
{
    *left_out = 0;
    *weight_out = 0;
    if (n < 2 || !(x > sorted[0]))
        return;
    size_t low = 0, high = n - 1;
    if (x >= sorted[high]) {
        *left_out = high - 1;
        *weight_out = 1;
        return;
    }
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (sorted[middle] <= x)
            low = middle;
        else
            high = middle;
    }
    *left_out = low;
    *weight_out = (x - sorted[low]) / (sorted[high] - sorted[low]);
}

/* A block of equal values ends at i; blocks before it are merged in while
 * they are higher. */
void moe_silicon_rise(double *y, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        double sum = y[i];
        size_t from = i;
        while (from > 0 && y[from - 1] > sum / (double)(i - from + 1))
            sum += y[--from];
        for (size_t k = from; k <= i; k++)
            y[k] = sum / (double)(i - from + 1);
    }
}

size_t moe_silicon_n_ffn(const moe_silicon *s)
{
    return s->op[MOE_SILICON_FFN].n + s->op[MOE_SILICON_SLOW].n;
}

bool moe_silicon_ffn_key(const moe_silicon *s, size_t i, moe_ffn_key *out)
{
    const moe_silicon_op *t = &s->op[MOE_SILICON_FFN];
    const bool slow = i >= t->n;
    size_t sound = slow ? 0 : t->n;
    const size_t at = slow ? i - t->n : i;
    int32_t *const *c = s->op[slow ? MOE_SILICON_SLOW : MOE_SILICON_FFN].column;
    for (; sound < t->n; sound++) {
        int k = 0;
        while (k < MOE_FFN_COLUMNS && t->column[k][sound] == c[k][at])
            k++;
        if (k == MOE_FFN_COLUMNS)
            return false;
    }
    *out = (moe_ffn_key){
        .gpu = s->names[c[MOE_FFN_GPU][at]],
        .stack = s->names[c[MOE_FFN_STACK][at]],
        .kernel = s->names[c[MOE_FFN_KERNEL][at]],
        .dtype = s->names[c[MOE_FFN_DTYPE][at]],
        .distribution = s->names[c[MOE_FFN_DISTRIBUTION][at]],
        .hidden = c[MOE_FFN_HIDDEN][at],
        .inter = c[MOE_FFN_INTER][at],
        .top_k = c[MOE_FFN_TOP_K][at],
        .experts = c[MOE_FFN_EXPERTS][at],
        .ep = c[MOE_FFN_EP][at],
    };
    return true;
}
