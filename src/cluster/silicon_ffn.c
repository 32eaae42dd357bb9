/* SPDX-License-Identifier: Apache-2.0 */

/* Which tables a curve is made of: those of the shape itself, or those of the
 * nearest shapes of the same kernel. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "silicon_internal.h"

/* A new shape takes ratios from measured ones with weight exp(-d2 / (2 s2));
 * d2 is a squared distance in octaves. s = 0.5 gave the smallest errors of
 * shapes left out among 0.5, 1 and 2, on all stacks. */
static const double NEARNESS = 0.5;
static const double SHAPE_WEIGHT[4] = {1, 1, 0.25, 0.5}; /* hidden, inter,
                                                            top_k, experts */
static const double LOCAL_WEIGHT = 0.5;                  /* experts per GPU */

/* In balanced loads as they were measured, an expert's rows are tokens that lie
 * experts / top_k apart; in skewed ones tokens side by side (AIConfigurator,
 * collector/helper.py). Where hidden vectors no longer fit the cache, the former
 * is slower: on an A100 by up to 1.54, although a skewed call of as many rows has
 * more tiles that are not full. Engines and this program group rows by expert,
 * so a balanced call of grouped rows takes no longer than the least skewed one
 * that was measured. */
static const char *const LEAST_SKEWED = "power_law_1.01";
static const double MIN_GROUPED_ROWS = 64; /* of an expert; with fewer, a skewed
                                              call leaves experts out */

/* A key in codes; -1: any. */
typedef struct {
    int code[MOE_FFN_COLUMNS];
    bool grouped;
} coded_key;

static bool same(const moe_silicon_op *t, size_t table, const coded_key *key,
                 int from, int to)
{
    for (int c = from; c < to; c++)
        if (key->code[c] >= 0 && t->column[c][table] != key->code[c])
            return false;
    return true;
}

static double octaves(double a, double b)
{
    return log2(a / b);
}

static double distance2(const moe_silicon_op *t, size_t table,
                        const coded_key *key)
{
    int32_t *const *c = t->column;
    double d2 = 0;
    for (int i = 0; i < 4; i++) {
        double d = octaves(c[MOE_FFN_HIDDEN + i][table],
                           key->code[MOE_FFN_HIDDEN + i]);
        d2 += SHAPE_WEIGHT[i] * d * d;
    }
    double local =
        octaves((double)c[MOE_FFN_EXPERTS][table] / c[MOE_FFN_EP][table],
                (double)key->code[MOE_FFN_EXPERTS] / key->code[MOE_FFN_EP]);
    return d2 + LOCAL_WEIGHT * local * local;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n >= m && strcmp(text + n - m, suffix) == 0;
}

/* Experts of two matrices. */
static bool nongated(const moe_silicon *s, int kernel)
{
    return ends_with(s->names[kernel], "nongated");
}

/* Tables whose kernel suits: the asked one, or one with the right number of
 * matrices where the caller says how many. */
static bool kernel_suits(const moe_silicon *s, int kernel, const coded_key *key,
                         const moe_ffn_change *change)
{
    if (key->code[MOE_FFN_KERNEL] >= 0)
        return kernel == key->code[MOE_FFN_KERNEL];
    return change == NULL || change->matrices != 3 || !nongated(s, kernel);
}

/* The kernel that a stack takes: that of the same shape, else of the nearest
 * one; stacks choose by whether experts are split as well. @return -1: none */
static int choose_kernel(const moe_silicon *s, const coded_key *key,
                         const moe_ffn_change *change, bool unseen)
{
    const moe_silicon_op *tables[] = {&s->op[MOE_SILICON_FFN],
                                      &s->op[MOE_SILICON_SLOW]};
    double least = INFINITY;
    int kernel = -1;
    for (size_t i = 0; i < tables[0]->n + tables[1]->n; i++) {
        const bool slow = i >= tables[0]->n;
        const moe_silicon_op *t = tables[slow];
        const size_t at = slow ? i - tables[0]->n : i;
        if (!same(t, at, key, MOE_FFN_GPU, MOE_FFN_KERNEL) ||
            !same(t, at, key, MOE_FFN_DTYPE, MOE_FFN_DISTRIBUTION) ||
            !kernel_suits(s, t->column[MOE_FFN_KERNEL][at], key, change))
            continue;
        if (unseen && same(t, at, key, MOE_FFN_HIDDEN, MOE_FFN_EP))
            continue;
        double d2 = distance2(t, at, key);
        if ((t->column[MOE_FFN_EP][at] == 1) != (key->code[MOE_FFN_EP] == 1))
            d2 += 100;
        if (d2 < least) {
            least = d2;
            kernel = t->column[MOE_FFN_KERNEL][at];
        }
    }
    return kernel;
}

static const double *parameters_of(const moe_silicon *s, const coded_key *key,
                                   bool unseen, double *error_out)
{
    const moe_silicon_fit *fit = &s->fit[MOE_SILICON_FFN];
    const double *whole = NULL;
    for (size_t i = 0; i < fit->n; i++) {
        bool kernel = true, shape = true;
        for (int c = 0; c < 4; c++) {
            kernel = kernel && fit->column[c][i] == key->code[MOE_FFN_GPU + c];
            shape =
                shape && fit->without[c][i] == key->code[MOE_FFN_HIDDEN + c];
        }
        if (kernel && fit->without[0][i] == 0) {
            whole = fit->parameters + i * fit->width;
            *error_out = fit->error[i];
        }
        if (kernel && unseen && shape)
            return fit->parameters + i * fit->width;
    }
    return whole;
}

static void set_shape(const moe_silicon *s, moe_curve *c, const coded_key *key)
{
    c->hidden = key->code[MOE_FFN_HIDDEN];
    c->inter = key->code[MOE_FFN_INTER];
    c->top_k = key->code[MOE_FFN_TOP_K];
    c->experts = key->code[MOE_FFN_EXPERTS];
    c->ep = key->code[MOE_FFN_EP];
    c->balanced =
        strcmp(s->names[key->code[MOE_FFN_DISTRIBUTION]], "balanced") == 0;
    c->n = 0;
}

static void add_row(const moe_silicon *s, int op, int32_t row, moe_curve *c)
{
    const moe_silicon_op *t = &s->op[op];
    const double us = moe_curve_model(c, t->x[row], false);
    moe_curve_add(c, t->x[row], log((double)t->time_us[row] / us),
                  op == MOE_SILICON_SLOW);
}

/* Take the times of a skewed table for those of balanced, grouped rows where
 * they are shorter. */
static void group_rows(const moe_silicon *s, const coded_key *key, moe_curve *c)
{
    const moe_silicon_op *t = &s->op[MOE_SILICON_FFN];
    coded_key skewed = *key;
    skewed.code[MOE_FFN_DISTRIBUTION] = moe_silicon_code(s, LEAST_SKEWED);
    size_t table = 0;
    while (table < t->n && !same(t, table, &skewed, 0, MOE_FFN_COLUMNS))
        table++;
    if (!key->grouped || !c->balanced || table == t->n)
        return;
    const double least = MIN_GROUPED_ROWS * c->experts / c->top_k;
    int32_t r = t->first[table];
    for (size_t i = 0; i < c->n; i++) {
        while (r < t->first[table + 1] && t->x[r] < c->tokens[i])
            r++;
        if (r < t->first[table + 1] && !(t->x[r] > c->tokens[i]) &&
            t->x[r] >= least)
            c->residual[i] =
                fmin(c->residual[i], log(t->time_us[r]) - c->log_fit[i]);
    }
}

static void load_table(const moe_silicon *s, size_t table, bool grouped,
                       moe_curve *c)
{
    const moe_silicon_op *t = &s->op[MOE_SILICON_FFN];
    coded_key key = {.grouped = grouped};
    for (int i = 0; i < MOE_FFN_COLUMNS; i++)
        key.code[i] = t->column[i][table];
    set_shape(s, c, &key);
    for (int32_t r = t->first[table]; r < t->first[table + 1]; r++)
        add_row(s, MOE_SILICON_FFN, r, c);
    group_rows(s, &key, c);
}

/* All that was measured of this very key, also what is slow.
 * @return whether there is anything. */
static bool load_measured(const moe_silicon *s, const coded_key *key,
                          moe_curve *c)
{
    static const int ops[] = {MOE_SILICON_FFN, MOE_SILICON_SLOW};
    int32_t at[2] = {0, 0}, end[2] = {0, 0};
    for (int k = 0; k < 2; k++) {
        const moe_silicon_op *t = &s->op[ops[k]];
        for (size_t i = 0; i < t->n; i++)
            if (same(t, i, key, MOE_FFN_GPU, MOE_FFN_COLUMNS)) {
                at[k] = t->first[i];
                end[k] = t->first[i + 1];
            }
    }
    while (at[0] < end[0] || at[1] < end[1]) {
        const int k =
            at[0] == end[0] ||
            (at[1] < end[1] && s->op[ops[1]].x[at[1]] < s->op[ops[0]].x[at[0]]);
        add_row(s, ops[k], at[k]++, c);
    }
    group_rows(s, key, c);
    return c->n > 0;
}

/* One table per shape, that with most nearly as many experts per GPU, of the
 * same kernel. @param out  [all tables] @return how many. */
static size_t neighbours(const moe_silicon *s, const coded_key *key,
                         int distribution, bool unseen, size_t *out)
{
    const moe_silicon_op *t = &s->op[MOE_SILICON_FFN];
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (!same(t, i, key, MOE_FFN_GPU, MOE_FFN_DISTRIBUTION) ||
            t->column[MOE_FFN_DISTRIBUTION][i] != distribution ||
            (unseen && same(t, i, key, MOE_FFN_HIDDEN, MOE_FFN_EP)))
            continue;
        coded_key shape = {0};
        for (int c = 0; c < MOE_FFN_COLUMNS; c++)
            shape.code[c] = t->column[c][i];
        size_t at = 0;
        while (at < n && !same(t, out[at], &shape, MOE_FFN_HIDDEN, MOE_FFN_EP))
            at++;
        if (at == n || distance2(t, i, key) < distance2(t, out[at], key))
            out[at] = i;
        n += at == n;
    }
    return n;
}

/* Points of a shape that was not measured: at every half octave of tokens the
 * ratio of measured to modelled time of other shapes, taken at as many pairs
 * per expert. */
static void borrow_points(const moe_silicon *s, const coded_key *key,
                          const size_t *tables, size_t n, moe_curve *c)
{
    double sum[MOE_CURVE_POINTS] = {0}, weights[MOE_CURVE_POINTS] = {0};
    const double octave = log(2);
    enum { STEPS = 35 }; /* 1 to 2^17 tokens */
    for (size_t k = 0; k < n; k++) {
        moe_curve other = *c;
        load_table(s, tables[k], key->grouped, &other);
        double d2 = distance2(&s->op[MOE_SILICON_FFN], tables[k], key);
        double weight = exp(-d2 / (2 * NEARNESS * NEARNESS)) + 1e-9;
        double shift =
            log(c->top_k / c->experts) - log(other.top_k / other.experts);
        for (size_t i = 0; i < STEPS; i++) {
            double x = 0.5 * octave * (double)i + shift, w;
            size_t at;
            moe_silicon_bracket(other.log_x, other.n, x, &at, &w);
            size_t next = other.n > 1 ? at + 1 : at;
            sum[i] += weight *
                      (other.residual[at] * (1 - w) + other.residual[next] * w);
            weights[i] += weight;
        }
    }
    for (size_t i = 0; i < STEPS; i++)
        moe_curve_add(c, exp(0.5 * octave * (double)i), sum[i] / weights[i],
                      false);
}

static moe_status unknown(const moe_silicon *s, const coded_key *key, int what,
                          const char *name, const char *value, moe_error *err)
{
    char known[320];
    coded_key any = *key;
    any.code[MOE_FFN_KERNEL] = -1;
    moe_silicon_known(s, MOE_SILICON_FFN, any.code, what, known, sizeof known);
    return moe_fail(err, MOE_USAGE, "%s: no measured '%.60s' (there are: %s)",
                    name, value, known);
}

static moe_status encode(const moe_silicon *s, const moe_ffn_key *key,
                         coded_key *out, moe_error *err)
{
    const char *dtype =
        strcmp(key->dtype, "bf16") == 0 ? "bfloat16" : key->dtype;
    const char *names[] = {"gpu", "stack", "kernel", "dtype", "distribution"};
    const char *values[] = {key->gpu, key->stack, key->kernel, dtype,
                            key->distribution != NULL ? key->distribution
                                                      : "balanced"};
    const moe_silicon_op *t = &s->op[MOE_SILICON_FFN];
    *out = (coded_key){.grouped = key->grouped};
    for (int c = MOE_FFN_GPU; c <= MOE_FFN_DISTRIBUTION; c++)
        out->code[c] = -1;
    for (int c = MOE_FFN_GPU; c <= MOE_FFN_DISTRIBUTION; c++) {
        if (values[c] == NULL)
            continue;
        out->code[c] = moe_silicon_code(s, values[c]);
        bool there = false;
        for (size_t i = 0; i < t->n && !there; i++)
            there = out->code[c] >= 0 && same(t, i, out, MOE_FFN_GPU, c + 1);
        if (!there)
            return unknown(s, out, c, names[c], values[c], err);
    }
    out->code[MOE_FFN_HIDDEN] = key->hidden;
    out->code[MOE_FFN_INTER] = key->inter;
    out->code[MOE_FFN_TOP_K] = key->top_k;
    out->code[MOE_FFN_EXPERTS] = key->experts;
    out->code[MOE_FFN_EP] = key->ep;
    if (key->hidden < 1 || key->inter < 1 || key->top_k < 1 ||
        key->experts < key->top_k || key->ep < 1 || key->ep > key->experts)
        return moe_fail(err, MOE_USAGE,
                        "no kernel has hidden %d, inter %d, top_k %d of %d "
                        "experts, ep %d",
                        key->hidden, key->inter, key->top_k, key->experts,
                        key->ep);
    return MOE_OK;
}

static double dtype_bytes(const char *dtype)
{
    return strcmp(dtype, "bfloat16") == 0 ? 2 : 1;
}

static void apply_change(moe_curve *c, const moe_ffn_change *change)
{
    c->target_bytes = c->weight_bytes;
    c->target_matrices = c->matrices;
    c->sheet = change != NULL ? change->sheet : 0;
    c->bandwidth = 1;
    c->changed = false;
    if (change == NULL)
        return;
    if (change->weight_bytes > 0)
        c->target_bytes = change->weight_bytes;
    if (change->matrices > 0)
        c->target_matrices = change->matrices;
    if (change->bandwidth > 0)
        c->bandwidth = change->bandwidth;
    c->changed = c->target_bytes < c->weight_bytes ||
                 c->target_bytes > c->weight_bytes ||
                 c->target_matrices < c->matrices ||
                 c->target_matrices > c->matrices || c->bandwidth < 1 ||
                 c->bandwidth > 1;
}

/* Distribution of the tables to borrow from: the asked one, else balanced,
 * else whatever the kernel has. */
static size_t find_neighbours(const moe_silicon *s, const coded_key *key,
                              bool unseen, size_t *out)
{
    const moe_silicon_op *t = &s->op[MOE_SILICON_FFN];
    size_t n = neighbours(s, key, key->code[MOE_FFN_DISTRIBUTION], unseen, out);
    if (n == 0)
        n = neighbours(s, key, moe_silicon_code(s, "balanced"), unseen, out);
    for (size_t i = 0; i < t->n && n == 0; i++)
        if (same(t, i, key, MOE_FFN_GPU, MOE_FFN_DISTRIBUTION))
            n = neighbours(s, key, t->column[MOE_FFN_DISTRIBUTION][i], unseen,
                           out);
    return n;
}

/* Draw a shape that was not measured from those that were. */
static moe_status borrow(const moe_silicon *s, const moe_ffn_key *asked,
                         const coded_key *key, bool unseen, moe_curve *c,
                         moe_error *err)
{
    size_t *tables =
        moe_array_new(s->op[MOE_SILICON_FFN].n, sizeof *tables, err);
    if (tables == NULL)
        return MOE_NOMEM;
    const size_t n = find_neighbours(s, key, unseen, tables);
    set_shape(s, c, key);
    if (n > 0)
        borrow_points(s, key, tables, n, c);
    free(tables);
    return n > 0 ? MOE_OK
                 : moe_fail(err, MOE_USAGE, "no other shape of %s on %s",
                            asked->stack, asked->gpu);
}

static moe_status make_curve(const moe_silicon *s, const moe_ffn_key *asked,
                             const moe_ffn_change *change, bool unseen,
                             moe_curve *out, moe_error *err)
{
    moe_curve c = {0};
    coded_key key;
    if (encode(s, asked, &key, err) != MOE_OK)
        return MOE_USAGE;
    if (key.code[MOE_FFN_KERNEL] < 0)
        key.code[MOE_FFN_KERNEL] = choose_kernel(s, &key, change, unseen);
    const double *parameters = parameters_of(s, &key, unseen, &c.spread);
    if (key.code[MOE_FFN_KERNEL] < 0 || parameters == NULL)
        return moe_fail(err, MOE_USAGE, "no kernel of %s on %s suits %s",
                        asked->stack, asked->gpu, asked->dtype);
    memcpy(c.parameters, parameters, sizeof c.parameters);
    c.weight_bytes = dtype_bytes(s->names[key.code[MOE_FFN_DTYPE]]);
    c.matrices = nongated(s, key.code[MOE_FFN_KERNEL]) ? 2 : 3;
    apply_change(&c, change);
    set_shape(s, &c, &key);
    c.measured = !unseen && load_measured(s, &key, &c);
    if (c.measured) {
        moe_curve_leave_out(&c);
        c.spread = 0;
    } else {
        const moe_status status = borrow(s, asked, &key, unseen, &c, err);
        if (status != MOE_OK)
            return status;
    }
    *out = c;
    return MOE_OK;
}

moe_status moe_silicon_ffn(const moe_silicon *s, const moe_ffn_key *key,
                           const moe_ffn_change *change, moe_curve *out,
                           moe_error *err)
{
    return make_curve(s, key, change, false, out, err);
}

moe_status moe_silicon_ffn_unseen(const moe_silicon *s, const moe_ffn_key *key,
                                  moe_curve *out, moe_error *err)
{
    return make_curve(s, key, NULL, true, out, err);
}
