/* SPDX-License-Identifier: Apache-2.0 */

/* Kernels measured along one size (tokens, cached tokens) at some values of
 * others: a line each. Between two rows of a line the time follows the
 * physical model, stretched to meet both; other lines with rows at all three
 * sizes say how far that is off. A line that was not measured takes the ratio
 * of measured to modelled time from all lines, the nearer the more.
 * Source: inverse distance weighting, Shepard 1968. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/stats.h"
#include "silicon_lines.h"

enum { NONE = -1 };

/* |price / truth - 1| that two of three rows, and nine of ten, do not exceed. */
typedef struct {
    double most, p90;
} errors;

/* Of a measured row: neighbours in flat parts of the tables scatter by 1 to
 * 3 %. */
static const errors REPEAT = {0.02, 0.05};
/* Lines that are left out for the stated error: enough for a median. */
static const size_t SAMPLED_LINES = 40;

typedef struct {
    double size[MOE_LINE_SIZES];  /* besides the axis */
    double place[MOE_LINE_SIZES]; /* log2 of the size; 0 is at -1 */
    size_t first, n;              /* rows */
} line;

struct moe_lines {
    const moe_line_kind *kind;
    int sizes; /* besides the axis */
    double facts[MOE_LINE_FACTS], parameters[MOE_LINE_PARAMETERS];
    size_t n, rows;
    line *lines;               /* [n] */
    double *x, *us, *model_us; /* [rows], line by line; x rises */
    double low[MOE_LINE_SIZES], high[MOE_LINE_SIZES]; /* places of lines */
    double low_x, high_x;
    errors row, end, whole; /* of a row, the first or last row, a line that is
                               left out */
};

static const moe_line_kind *const kinds[] = {
    &moe_line_exchange, &moe_line_decode, &moe_line_mla, &moe_line_wide};

static const moe_line_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(kinds); i++)
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    return NULL;
}

bool moe_line_names_of(const char *kind, moe_line_names *out)
{
    const moe_line_kind *k = find_kind(kind);
    int n = 0;
    if (k == NULL)
        return false;
    const moe_silicon_layout *layout = &moe_silicon_layouts[k->op];
    for (; layout->columns[n] != NULL; n++)
        out->name[n] = layout->columns[n];
    out->name[n] = layout->axis;
    out->texts = layout->texts;
    out->sizes = n + 1 - layout->texts;
    for (int i = 0; i < out->sizes; i++)
        out->least[i] = moe_silicon_least(layout, layout->texts + i);
    return true;
}

bool moe_silicon_measures(const moe_silicon *s, const char *op, const char *gpu)
{
    const moe_line_kind *k = find_kind(op);
    const int which = k != NULL                      ? k->op
                      : strcmp(op, "moe_ffn") == 0   ? MOE_SILICON_FFN
                      : strcmp(op, "attention") == 0 ? MOE_SILICON_ATTENTION
                      : strcmp(op, "gemm") == 0      ? MOE_SILICON_GEMM
                                                     : MOE_SILICON_LINK;
    int code;
    return moe_silicon_find(s, which, &gpu, 1, &code, NULL) == MOE_OK;
}

/* ---- rows of a line ---- */

static double place_of(double size)
{
    return size > 0 ? log2(size) : -1;
}

static bool same(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fabs(b);
}

static ptrdiff_t row_at(const moe_lines *l, const line *k, double x)
{
    for (size_t r = k->first; r < k->first + k->n; r++)
        if (same(l->x[r], x))
            return (ptrdiff_t)r;
    return NONE;
}

/* us at x between rows a and b, where the model says fit_us; from one row, if
 * they are one. */
static double between(const moe_lines *l, size_t a, size_t b, double fit_us,
                      double x)
{
    const double rise = l->model_us[b] - l->model_us[a];
    if (a == b)
        return l->us[a] * fit_us / l->model_us[a];
    double w = log(x / l->x[a]) / log(l->x[b] / l->x[a]);
    if (fabs(rise) > 1e-3 * l->model_us[a])
        w = fmin(1, fmax(0, (fit_us - l->model_us[a]) / rise));
    return l->us[a] * (1 - w) + l->us[b] * w;
}

/* Log of measured over modelled time at x; held beyond the ends. */
static double ratio_at(const moe_lines *l, const line *k, double x)
{
    size_t i = k->first;
    const size_t last = k->first + k->n - 1;
    while (i < last && l->x[i + 1] <= x)
        i++;
    const double here = log(l->us[i] / l->model_us[i]);
    if (i == last || x <= l->x[i])
        return here;
    const double w = log(x / l->x[i]) / log(l->x[i + 1] / l->x[i]);
    return here * (1 - w) + log(l->us[i + 1] / l->model_us[i + 1]) * w;
}

/* ---- among lines ---- */

static double weight_of(const moe_lines *l, const line *k, const double *place)
{
    double d2 = 0;
    for (int i = 0; i < l->sizes; i++) {
        const double d = k->place[i] - place[i];
        d2 += l->kind->nearness[i] * d * d;
    }
    return 1 / (d2 * d2 * d2 + 1e-4);
}

/* us at x between rows a and b of line k. */
static double inner_us(const moe_lines *l, const line *k, size_t a, size_t b,
                       double fit_us, double x)
{
    double sum = 0, total = 0;
    for (const line *o = l->lines; o < l->lines + l->n; o++) {
        const ptrdiff_t at = o == k ? NONE : row_at(l, o, x);
        const ptrdiff_t p = at == NONE ? NONE : row_at(l, o, l->x[a]);
        const ptrdiff_t q = p == NONE ? NONE : row_at(l, o, l->x[b]);
        if (q == NONE)
            continue;
        const double plain_us =
            between(l, (size_t)p, (size_t)q, l->model_us[at], x);
        const double w = weight_of(l, o, k->place);
        sum += w * log(l->us[at] / plain_us);
        total += w;
    }
    return between(l, a, b, fit_us, x) * (total > 0 ? exp(sum / total) : 1);
}

/* Whether a line is the one that is left out (level MOE_LEFT_LINE), or has its
 * value of a size. */
static bool left(const line *k, const line *out, int level)
{
    if (out == NULL || level == MOE_LEFT_LINE)
        return k == out;
    return same(k->size[level], out->size[level]);
}

/* Log of measured over modelled time at x where no line was measured; NaN
 * without any line. */
static double outer_ratio(const moe_lines *l, const double *place, double x,
                          const line *out, int level)
{
    double sum = 0, total = 0;
    for (const line *k = l->lines; k < l->lines + l->n; k++) {
        if (left(k, out, level))
            continue;
        const double w = weight_of(l, k, place);
        sum += w * ratio_at(l, k, x);
        total += w;
    }
    return total > 0 ? sum / total : NAN;
}

/* ---- prices ---- */

/* Octaves by which sizes lie beyond all lines. */
static double octaves_beyond(const moe_lines *l, const double *place, double x)
{
    double sum = 0;
    for (int i = 0; i < l->sizes; i++)
        sum += fmax(0, fmax(l->low[i] - place[i], place[i] - l->high[i]));
    return sum + fmax(0, fmax(log2(l->low_x / x), log2(x / l->high_x)));
}

/* @param more  relative error beside `e`. */
static moe_price priced(double us, moe_price_source source, errors e,
                        double more)
{
    return (moe_price){1e-6 * us, source, REPEAT.most + e.most + more,
                       REPEAT.p90 + e.p90 + 2 * more};
}

static moe_price on_line(const moe_lines *l, const line *k, const double *size)
{
    const double x = size[l->sizes];
    const size_t last = k->first + k->n - 1;
    const ptrdiff_t at = row_at(l, k, x);
    const double fit_us = l->kind->model_us(l->parameters, l->facts, size);
    if (at != NONE)
        return priced(l->us[at], MOE_PRICE_TABULATED, (errors){0, 0}, 0);
    if (x > l->x[k->first] && x < l->x[last]) {
        size_t a = k->first;
        while (l->x[a + 1] < x)
            a++;
        return priced(inner_us(l, k, a, a + 1, fit_us, x),
                      MOE_PRICE_INTERPOLATED, l->row, 0);
    }
    const size_t end = x > l->x[last] ? last : k->first;
    const double octaves = fabs(log2(x / l->x[end]));
    return priced(inner_us(l, k, end, end, fit_us, x), MOE_PRICE_EXTRAPOLATED,
                  l->end, l->end.most * fmax(0, octaves - 1));
}

moe_status moe_lines_price(const moe_lines *l, const double *size,
                           moe_price *out, moe_error *err)
{
    double place[MOE_LINE_SIZES];
    const double x = size[l->sizes];
    if (l->kind->check(l->facts, size, err) != MOE_OK)
        return MOE_USAGE;
    for (const line *k = l->lines; k < l->lines + l->n; k++) {
        bool here = true;
        for (int i = 0; i < l->sizes && here; i++)
            here = same(k->size[i], size[i]);
        if (here) {
            *out = on_line(l, k, size);
            return MOE_OK;
        }
    }
    for (int i = 0; i < l->sizes; i++)
        place[i] = place_of(size[i]);
    const double us = l->kind->model_us(l->parameters, l->facts, size) *
                      exp(outer_ratio(l, place, x, NULL, MOE_LEFT_LINE));
    const double beyond = octaves_beyond(l, place, x);
    *out = priced(
        us, beyond > 1e-9 ? MOE_PRICE_EXTRAPOLATED : MOE_PRICE_INTERPOLATED,
        l->whole, l->kind->octave_error * beyond);
    return MOE_OK;
}

/* ---- what is left out ---- */

/* NaN: not a row of that kind. */
static double error_of(const moe_lines *l, const line *k, size_t r, int level)
{
    const bool first = r == k->first, last = r == k->first + k->n - 1;
    if (level != MOE_LEFT_ROW && level != MOE_LEFT_END)
        return fabs(l->model_us[r] / l->us[r] *
                        exp(outer_ratio(l, k->place, l->x[r], k, level)) -
                    1);
    if (k->n < 3 || (level == MOE_LEFT_END) != (first || last))
        return NAN;
    const size_t a = first ? r + 1 : r - 1, b = last ? r - 1 : r + 1;
    return fabs(inner_us(l, k, a, b, l->model_us[r], l->x[r]) / l->us[r] - 1);
}

size_t moe_lines_leave_out(const moe_lines *l, int level, size_t most_lines,
                           double *error_out)
{
    size_t n = 0;
    const size_t step =
        most_lines > 0 ? (l->n + most_lines - 1) / most_lines : 1;
    for (size_t i = 0; i < l->n; i += step) {
        const line *k = l->lines + i;
        for (size_t r = k->first; r < k->first + k->n; r++) {
            const double e = error_of(l, k, r, level);
            if (!isnan(e))
                error_out[n++] = e;
        }
    }
    return n;
}

size_t moe_lines_rows(const moe_lines *l)
{
    return l->rows;
}

bool moe_lines_key(const moe_silicon *s, const char *kind, size_t i,
                   const char **texts_out)
{
    const int op = find_kind(kind)->op, n = moe_silicon_layouts[op].texts;
    const moe_silicon_op *t = &s->op[op];
    for (size_t a = 0; a < t->n; a++) {
        bool seen = false;
        for (size_t b = 0; b < a && !seen; b++) {
            seen = true;
            for (int c = 0; c < n && seen; c++)
                seen = t->column[c][a] == t->column[c][b];
        }
        if (seen || i-- > 0)
            continue;
        for (int c = 0; c < n; c++)
            texts_out[c] = s->names[t->column[c][a]];
        return true;
    }
    return false;
}

static moe_status state_errors(moe_lines *l, moe_error *err)
{
    double *e = moe_array_new(l->rows, sizeof *e, err);
    if (e == NULL)
        return MOE_NOMEM;
    const struct {
        int level;
        errors *out;
    } left_out[] = {{MOE_LEFT_ROW, &l->row},
                    {MOE_LEFT_END, &l->end},
                    {MOE_LEFT_LINE, &l->whole}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(left_out); i++) {
        const size_t n =
            moe_lines_leave_out(l, left_out[i].level, SAMPLED_LINES, e);
        if (n == 0)
            continue;
        moe_median_sorting(e, n);
        *left_out[i].out = (errors){moe_quantile_sorted(e, n, 2.0 / 3),
                                    moe_quantile_sorted(e, n, 0.9)};
    }
    free(e);
    return MOE_OK;
}

/* ---- reading ---- */

static bool chosen(const moe_silicon_op *t, size_t table, const int *codes,
                   int texts)
{
    for (int c = 0; c < texts; c++)
        if (t->column[c][table] != codes[c])
            return false;
    return true;
}

static void load_line(moe_lines *l, const moe_silicon_op *t, size_t table,
                      int texts)
{
    line *k = &l->lines[l->n++];
    double size[MOE_LINE_SIZES + 1];
    k->first = l->rows;
    k->n = (size_t)(t->first[table + 1] - t->first[table]);
    for (int i = 0; i < l->sizes; i++) {
        size[i] = k->size[i] = t->column[texts + i][table];
        k->place[i] = place_of(size[i]);
    }
    for (int32_t r = t->first[table]; r < t->first[table + 1]; r++) {
        size[l->sizes] = l->x[l->rows] = t->x[r];
        l->us[l->rows] = t->time_us[r];
        l->model_us[l->rows] = l->kind->model_us(l->parameters, l->facts, size);
        l->rows++;
    }
}

static bool load_parameters(const moe_silicon_fit *fit, int texts,
                            const int *codes, moe_lines *l)
{
    for (size_t i = 0; i < fit->n; i++) {
        bool here = true;
        for (int c = 0; c < texts && here; c++)
            here = fit->column[c][i] == codes[c];
        if (here) {
            memcpy(l->parameters, fit->parameters + i * fit->width,
                   sizeof l->parameters);
            return true;
        }
    }
    return false;
}

static void find_range(moe_lines *l)
{
    for (int i = 0; i < l->sizes; i++) {
        l->low[i] = INFINITY;
        l->high[i] = -INFINITY;
        for (size_t k = 0; k < l->n; k++) {
            l->low[i] = fmin(l->low[i], l->lines[k].place[i]);
            l->high[i] = fmax(l->high[i], l->lines[k].place[i]);
        }
    }
    l->low_x = INFINITY;
    for (size_t r = 0; r < l->rows; r++) {
        l->low_x = fmin(l->low_x, l->x[r]);
        l->high_x = fmax(l->high_x, l->x[r]);
    }
}

static moe_status load(moe_lines *l, const moe_silicon *s, const int *codes,
                       moe_error *err)
{
    const int op = l->kind->op, texts = moe_silicon_layouts[op].texts;
    const moe_silicon_op *t = &s->op[op];
    size_t n = 0, rows = 0;
    if (!load_parameters(&s->fit[op], moe_silicon_layouts[op].fit_texts, codes,
                         l))
        return moe_fail(err, MOE_FORMAT, "%s: no fit", l->kind->name);
    for (size_t i = 0; i < t->n; i++)
        if (chosen(t, i, codes, texts)) {
            n++;
            rows += (size_t)(t->first[i + 1] - t->first[i]);
        }
    l->lines = moe_array_new(n, sizeof *l->lines, err);
    l->x = moe_array_new(rows, sizeof *l->x, err);
    l->us = moe_array_new(rows, sizeof *l->us, err);
    l->model_us = moe_array_new(rows, sizeof *l->model_us, err);
    if (l->lines == NULL || l->x == NULL || l->us == NULL ||
        l->model_us == NULL)
        return MOE_NOMEM;
    for (size_t i = 0; i < t->n; i++)
        if (chosen(t, i, codes, texts))
            load_line(l, t, i, texts);
    find_range(l);
    return state_errors(l, err);
}

moe_lines *moe_lines_new(const moe_silicon *s, const char *kind,
                         const char *const *texts, moe_error *err)
{
    const moe_line_kind *k = find_kind(kind);
    const int n = moe_silicon_layouts[k->op].texts;
    const char *found[SILICON_COLUMNS];
    int codes[SILICON_COLUMNS];
    if (moe_silicon_find(s, k->op, texts, n, codes, err) != MOE_OK)
        return NULL;
    moe_lines *l = moe_array_new(1, sizeof *l, err);
    if (l == NULL)
        return NULL;
    l->kind = k;
    while (moe_silicon_layouts[k->op].columns[n + l->sizes] != NULL)
        l->sizes++;
    for (int c = 0; c < n; c++)
        found[c] = s->names[codes[c]];
    if (k->read != NULL)
        k->read(found, l->facts);
    if (load(l, s, codes, err) == MOE_OK)
        return l;
    moe_lines_free(l);
    return NULL;
}

void moe_lines_free(moe_lines *l)
{
    if (l == NULL)
        return;
    free(l->lines);
    free(l->x);
    free(l->us);
    free(l->model_us);
    free(l);
}
