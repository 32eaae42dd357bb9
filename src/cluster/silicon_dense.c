/* SPDX-License-Identifier: Apache-2.0 */

/* GEMM and prefill attention: a launch plus the larger of traffic and tensor
 * work, times the ratio of measurement to that, interpolated on logarithms
 * between the measured sizes and held beyond them. */

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "silicon_internal.h"

enum {
    MAX_LEVELS = 16, /* of one size, n or heads for example */
    MAX_AXES = 3     /* sizes besides the one along a table's rows */
};

enum { LAUNCH, BANDWIDTH, RATE, PARAMETERS };

/* Guesses of errors, as for the FFN: see silicon_curve.c. */
static const double REPEAT_ERROR = 0.02;
static const double GAP_FACTOR = 0.5;

/* One table: log size along its rows, log us of the model, and log ratio of
 * measurement to model. */
typedef struct {
    size_t n; /* 0: no such table */
    double log_x[MOE_SILICON_ROWS], log_fit[MOE_SILICON_ROWS];
    double residual[MOE_SILICON_ROWS];
} line;

struct moe_silicon_dense {
    bool gemm;
    int axes;
    int axis_column[MAX_AXES];
    size_t n_levels[MAX_AXES];
    double log_level[MAX_AXES][MAX_LEVELS];
    size_t n_lines;
    line *lines; /* [n_levels[0]][n_levels[1]][n_levels[2]] */
    double dim;  /* head dimension that was measured */
    double parameters[PARAMETERS];
    double fit_error;   /* of the model alone, median */
    double inner_error; /* of points left out, mean */
};

static const moe_dense_change AS_MEASURED = {1, 1, 0, 1};

/* What a kernel does. */
typedef struct {
    double bytes; /* at two per element */
    double flop;
} work;

static work gemm_work(const moe_gemm *s)
{
    const double elements = s->m * s->n + s->m * s->k + s->n * s->k;
    return (work){2 * elements, 2 * s->m * s->n * s->k};
}

static work attention_work(const moe_prefill *s, double dim)
{
    const double elements =
        2 * s->batch * s->seq * dim * (s->heads + s->kv_heads);
    return (work){2 * elements,
                  2 * s->batch * s->heads * s->seq * s->seq * dim};
}

/* us of the measured GPU, whose tensor cores are `rate` times as fast */
static double model_us(const moe_silicon_dense *d, work w, double rate)
{
    const double *p = d->parameters;
    return p[LAUNCH] + moe_silicon_smooth_max(w.bytes / p[BANDWIDTH],
                                              w.flop / (p[RATE] * rate));
}

static bool changed(const moe_dense_change *c)
{
    return fabs(c->bytes - 1) + fabs(c->rate - 1) + fabs(c->bandwidth - 1) >
           1e-9;
}

/* us of the target. @param residual  log of measured over modelled time */
static double target_us(const moe_silicon_dense *d, work w, double residual,
                        const moe_dense_change *c)
{
    const double us = model_us(d, w, c->rate) * exp(residual);
    if (!changed(c))
        return us;
    return us *
           moe_silicon_traffic(us, w.bytes, c->bytes, c->sheet, c->bandwidth);
}

/* Model of a table's row; sizes in the order of the axes. */
static double row_us(const moe_silicon_dense *d, const double *size, double x)
{
    if (d->gemm)
        return model_us(d, gemm_work(&(moe_gemm){x, size[0], size[1], true}),
                        1);
    const moe_prefill shape = {size[2], x, size[0], size[1], d->dim};
    return model_us(d, attention_work(&shape, d->dim), 1);
}

static bool insert_level(moe_silicon_dense *d, int axis, double value)
{
    double *level = d->log_level[axis], x = log(value);
    size_t n = d->n_levels[axis], at = 0;
    while (at < n && level[at] < x)
        at++;
    if (at < n && !(level[at] > x))
        return true;
    if (n == MAX_LEVELS)
        return false;
    memmove(level + at + 1, level + at, (n - at) * sizeof *level);
    level[at] = x;
    d->n_levels[axis]++;
    return true;
}

static line *line_at(const moe_silicon_dense *d, const size_t *at)
{
    size_t i = 0;
    for (int a = 0; a < d->axes; a++)
        i = i * d->n_levels[a] + at[a];
    return d->lines + i;
}

/* @return whether it is the first table of these sizes. */
static bool load_line(const moe_silicon_dense *d, const moe_silicon_op *t,
                      size_t table)
{
    size_t at[MAX_AXES] = {0};
    double size[MAX_AXES] = {0};
    for (int a = 0; a < d->axes; a++) {
        size[a] = t->column[d->axis_column[a]][table];
        while (d->log_level[a][at[a]] < log(size[a]))
            at[a]++;
    }
    line *l = line_at(d, at);
    if (l->n > 0)
        return false;
    for (int32_t r = t->first[table]; r < t->first[table + 1]; r++) {
        l->log_x[l->n] = log(t->x[r]);
        l->log_fit[l->n] = log(row_us(d, size, t->x[r]));
        l->residual[l->n] = log((double)t->time_us[r]) - l->log_fit[l->n];
        l->n++;
    }
    return true;
}

static double line_value(const line *l, double x, bool *exact_out)
{
    size_t i;
    double w;
    moe_silicon_bracket(l->log_x, l->n, x, &i, &w);
    size_t j = l->n > 1 ? i + 1 : i;
    *exact_out = fabs(x - l->log_x[w > 0.5 ? j : i]) < 1e-9;
    return l->residual[i] + w * (l->residual[j] - l->residual[i]);
}

/* Interpolate between the tables around a point, in all axes; where one is
 * missing the others share its weight. */
static double residual_at(const moe_silicon_dense *d, const double *size,
                          double x, moe_price_source *source_out)
{
    size_t left[MAX_AXES];
    double weight[MAX_AXES], sum = 0, total = 0;
    bool exact = true, inside = true;
    for (int a = 0; a < d->axes; a++) {
        const double v = log(size[a]);
        const size_t n = d->n_levels[a];
        moe_silicon_bracket(d->log_level[a], n, v, &left[a], &weight[a]);
        exact = exact && (weight[a] < 1e-9 || weight[a] > 1 - 1e-9);
        inside = inside && v > d->log_level[a][0] - 1e-9 &&
                 v < d->log_level[a][n - 1] + 1e-9;
    }
    for (int corner = 0; corner < 1 << d->axes; corner++) {
        size_t at[MAX_AXES];
        double w = 1;
        for (int a = 0; a < d->axes; a++) {
            int right = corner >> a & 1;
            at[a] = left[a] + (size_t)right;
            w *= right ? weight[a] : 1 - weight[a];
        }
        if (w < 1e-9)
            continue;
        const line *l = line_at(d, at);
        if (l->n == 0)
            continue;
        bool at_point;
        sum += w * line_value(l, x, &at_point);
        total += w;
        exact = exact && at_point;
        inside =
            inside && x > l->log_x[0] - 1e-9 && x < l->log_x[l->n - 1] + 1e-9;
    }
    *source_out = !inside || total < 1 - 1e-6 ? MOE_PRICE_EXTRAPOLATED
                  : exact                     ? MOE_PRICE_TABULATED
                                              : MOE_PRICE_INTERPOLATED;
    return total > 0 ? sum / total : 0;
}

static moe_price finish(const moe_silicon_dense *d, double us,
                        moe_price_source source, const moe_dense_change *c)
{
    double guess = REPEAT_ERROR;
    if (source == MOE_PRICE_INTERPOLATED)
        guess += GAP_FACTOR * d->inner_error;
    if (source == MOE_PRICE_EXTRAPOLATED || fabs(c->rate - 1) > 1e-9)
        guess += d->inner_error + d->fit_error;
    if (changed(c)) {
        source = MOE_PRICE_SCALED;
        guess += moe_silicon_scaled_guess(c->bytes, c->bandwidth);
    }
    return moe_silicon_price(d->gemm ? MOE_SILICON_GEMM : MOE_SILICON_ATTENTION,
                             us * 1e-6, source, guess);
}

moe_price moe_silicon_gemm(const moe_silicon_dense *d, const moe_gemm *shape,
                           const moe_dense_change *change)
{
    const moe_dense_change *c = change != NULL ? change : &AS_MEASURED;
    const double size[MAX_AXES] = {shape->n, shape->k};
    moe_price_source source;
    if (!(shape->m > 0 && shape->n > 0 && shape->k > 0))
        return (moe_price){.source = MOE_PRICE_TABULATED};
    double r = residual_at(d, size, log(shape->m), &source);
    return finish(d, target_us(d, gemm_work(shape), r, c), source, c);
}

moe_price moe_silicon_attention(const moe_silicon_dense *d,
                                const moe_prefill *shape,
                                const moe_dense_change *change)
{
    const moe_dense_change *c = change != NULL ? change : &AS_MEASURED;
    const double size[] = {shape->heads, shape->kv_heads, shape->batch};
    moe_price_source source;
    if (!(shape->batch > 0 && shape->seq > 0 && shape->heads > 0))
        return (moe_price){.source = MOE_PRICE_TABULATED};
    double r = residual_at(d, size, log(shape->seq), &source);
    if (fabs(shape->head_dim - d->dim) > 0.5)
        source = MOE_PRICE_EXTRAPOLATED;
    return finish(d, target_us(d, attention_work(shape, shape->head_dim), r, c),
                  source, c);
}

double moe_silicon_dense_launch(const moe_silicon_dense *d)
{
    return d->parameters[LAUNCH] * 1e-6;
}

void moe_silicon_dense_smooth(moe_silicon_dense *d)
{
    for (size_t i = 0; i < d->n_lines; i++) {
        line *l = d->lines + i;
        for (size_t p = 0; p < l->n; p++)
            l->residual[p] += l->log_fit[p];
        moe_silicon_rise(l->residual, l->n);
        for (size_t p = 0; p < l->n; p++)
            l->residual[p] -= l->log_fit[p];
    }
}

void moe_silicon_dense_leave_out(const moe_silicon_dense *d,
                                 void (*visit)(void *arg,
                                               const moe_left_out *row),
                                 void *arg)
{
    for (size_t i = 0; i < d->n_lines; i++) {
        const line *l = d->lines + i;
        for (size_t p = 1; p < l->n; p++) {
            const bool last = p + 1 == l->n;
            const double *x = l->log_x + p, *f = l->log_fit + p;
            const double *r = l->residual + p;
            const double w = last ? 0 : (x[0] - x[-1]) / (x[1] - x[-1]);
            const double on = last ? 0 : w * (r[1] - r[-1]);
            const double ours = r[-1] + on - r[0];
            const double plain =
                last ? NAN : ours + f[-1] * (1 - w) + f[1] * w - f[0];
            visit(arg,
                  &(moe_left_out){{fabs(expm1(plain)), fabs(expm1(ours))},
                                  last ? NAN : (x[1] - x[-1]) / log(2),
                                  exp(x[0]),
                                  i,
                                  finish(d, exp(f[0] + r[0] + ours),
                                         last ? MOE_PRICE_EXTRAPOLATED
                                              : MOE_PRICE_INTERPOLATED,
                                         &AS_MEASURED),
                                  finish(d, exp(f[0] + r[0]),
                                         MOE_PRICE_TABULATED, &AS_MEASURED)});
        }
    }
}

/* Running sum over inner rows. */
typedef struct {
    double sum;
    size_t n;
} mean;

static void add_error(void *arg, const moe_left_out *row)
{
    mean *m = arg;
    if (row->stated.source != MOE_PRICE_INTERPOLATED)
        return;
    m->sum += row->error[1];
    m->n++;
}

static double left_out_error(const moe_silicon_dense *d)
{
    mean m = {0, 0};
    moe_silicon_dense_leave_out(d, add_error, &m);
    return m.n > 0 ? m.sum / (double)m.n : 0;
}

static bool load_parameters(const moe_silicon_fit *fit, const int *codes,
                            moe_silicon_dense *d)
{
    for (size_t i = 0; i < fit->n; i++)
        if (fit->column[0][i] == codes[0] && fit->column[1][i] == codes[1]) {
            memcpy(d->parameters, fit->parameters + i * fit->width,
                   sizeof d->parameters);
            d->fit_error = fit->error[i];
            return true;
        }
    return false;
}

static bool chosen(const moe_silicon_op *t, size_t table, const int *codes)
{
    return t->column[0][table] == codes[0] && t->column[1][table] == codes[1];
}

static moe_status load(const moe_silicon *s, int op, const int *codes,
                       moe_silicon_dense *d, moe_error *err)
{
    const moe_silicon_op *t = &s->op[op];
    for (size_t i = 0; i < t->n; i++)
        for (int a = 0; a < d->axes && chosen(t, i, codes); a++)
            if (!insert_level(d, a, t->column[d->axis_column[a]][i]))
                return moe_fail(err, MOE_FORMAT, "more than %d sizes",
                                MAX_LEVELS);
    d->n_lines = 1;
    for (int a = 0; a < d->axes; a++)
        d->n_lines *= d->n_levels[a];
    d->lines = moe_array_new(d->n_lines, sizeof *d->lines, err);
    if (d->lines == NULL)
        return MOE_NOMEM;
    for (size_t i = 0; i < t->n; i++) {
        if (!chosen(t, i, codes))
            continue;
        if (!d->gemm)
            d->dim = t->column[MOE_ATTENTION_DIM][i];
        if (!load_line(d, t, i))
            return moe_fail(err, MOE_FORMAT,
                            "table %zu has the sizes of another", i);
    }
    d->inner_error = left_out_error(d);
    return MOE_OK;
}

moe_silicon_dense *moe_silicon_dense_new(const moe_silicon *s, const char *op,
                                         const char *gpu, const char *stack,
                                         moe_error *err)
{
    const bool gemm = strcmp(op, "gemm") == 0;
    const int which = gemm ? MOE_SILICON_GEMM : MOE_SILICON_ATTENTION;
    int codes[2];
    assert(gemm || strcmp(op, "attention") == 0);
    if (moe_silicon_find(s, which, (const char *[]){gpu, stack}, 2, codes,
                         err) != MOE_OK)
        return NULL;
    moe_silicon_dense *d = moe_array_new(1, sizeof *d, err);
    if (d == NULL)
        return NULL;
    d->gemm = gemm;
    d->axes = gemm ? 2 : 3;
    memcpy(d->axis_column,
           gemm ? (const int[MAX_AXES]){GEMM_N, GEMM_K, 0}
                : (const int[MAX_AXES]){MOE_ATTENTION_HEADS,
                                        MOE_ATTENTION_KV_HEADS,
                                        MOE_ATTENTION_BATCH},
           sizeof d->axis_column);
    moe_status status =
        load_parameters(&s->fit[which], codes, d)
            ? load(s, which, codes, d, err)
            : moe_fail(err, MOE_FORMAT, "%s of %s: no fit", op, gpu);
    if (status == MOE_OK)
        return d;
    moe_silicon_dense_free(d);
    return NULL;
}

void moe_silicon_dense_free(moe_silicon_dense *d)
{
    if (d != NULL)
        free(d->lines);
    free(d);
}
