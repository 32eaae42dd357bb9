/* SPDX-License-Identifier: Apache-2.0 */

/* The silicon model against measurements it was not given. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "validate.h"

/* The key of table k and what its line is called. @return false: none */
static bool key_of(const moe_silicon *s, size_t k, moe_ffn_key *key,
                   char name[128])
{
    if (!moe_silicon_ffn_key(s, k, key))
        return false;
    snprintf(name, 128, "%s %s %s", key->gpu, key->stack, key->dtype);
    return true;
}

/* Shapes are folds, of all stacks together. */
static int shape_fold(const moe_ffn_key *key)
{
    return (key->hidden / 64 * 7 + key->inter / 64 * 3 + key->experts * 5 +
            key->top_k * 11) %
           31;
}

/* Count a price that is a multiple of a guess. */
static void cover_op(int op, const char *kernel, moe_price price, double error,
                     int fold)
{
    static const char *const names[] = {[MOE_SILICON_FFN] = "FFN",
                                        [MOE_SILICON_LINK] = "collectives",
                                        [MOE_SILICON_ATTENTION] = "attention",
                                        [MOE_SILICON_GEMM] = "GEMM"};
    const double factor = moe_silicon_factor(op, price.source, 0);
    cover(names[op], kernel, price, price.relative_error / factor, error, fold);
}

/* Rows that lie so close bound how well a measurement repeats. GEMMs of an odd
 * number of rows are slower than the next even one, but for a few rows, which
 * take as long as the weights. */
static const double NEAR_OCTAVES = 0.6, FEW_ROWS = 16;

static double truth_us(const moe_curve *c, size_t i)
{
    return exp(c->log_fit[i] + c->residual[i]);
}

static moe_curve curve_of(const moe_silicon *s, const moe_ffn_key *key)
{
    moe_error err = {0};
    moe_curve c;
    if (moe_silicon_ffn(s, key, NULL, &c, &err) != MOE_OK)
        give_up(err.text);
    return c;
}

/* A line on logarithms between the neighbours. */
static double plain_us(const moe_curve *c, size_t i)
{
    const double *x = c->log_x;
    double w = (x[i] - x[i - 1]) / (x[i + 1] - x[i - 1]);
    return exp(log(truth_us(c, i - 1)) * (1 - w) + log(truth_us(c, i + 1)) * w);
}

static void tokens_left_out(const moe_silicon *s)
{
    error_table t = {.methods = 2};
    for (size_t k = 0; k < moe_silicon_n_ffn(s); k++) {
        moe_ffn_key key;
        char name[128];
        if (!key_of(s, k, &key, name))
            continue;
        const moe_curve c = curve_of(s, &key);
        for (size_t i = 1; i + 1 < c.n; i++) {
            moe_curve rest = moe_curve_without(&c, i);
            moe_curve_leave_out(&rest);
            const moe_price price = moe_curve_price(&rest, c.tokens[i]);
            double e[] = {fabs(plain_us(&c, i) / truth_us(&c, i) - 1),
                          fabs(1e6 * price.time_s / truth_us(&c, i) - 1)};
            table_add(&t, name, e);
            cover_op(MOE_SILICON_FFN, name, price, e[1], shape_fold(&key));
            const moe_price itself = moe_curve_price(&c, c.tokens[i]);
            if (log2(c.tokens[i + 1] / c.tokens[i - 1]) < NEAR_OCTAVES &&
                itself.source == MOE_PRICE_TABULATED)
                cover_op(MOE_SILICON_FFN, NULL, itself, e[1], shape_fold(&key));
        }
    }
    for (size_t i = 0; i < t.n_lines; i++) {
        char what[160];
        snprintf(what, sizeof what, "%s: token count left out, median",
                 t.line[i].name);
        require(what, table_quantile(&t, (int)i, 1, 0.5),
                table_quantile(&t, (int)i, 0, 0.5));
        snprintf(what, sizeof what, "%s: token count left out, p90",
                 t.line[i].name);
        require(what, table_quantile(&t, (int)i, 1, 0.9),
                table_quantile(&t, (int)i, 0, 0.9));
    }
    table_print(&t, "FFN: one token count left out",
                "Each inner row of each table is priced from the rest of its "
                "table. `plain` is a line on logarithms between the two "
                "neighbours.",
                (const char *[]){"plain", "ours"});
}

/* The two last octaves of tokens, priced from below. */
static void tokens_beyond(const moe_silicon *s)
{
    error_table t = {.methods = 2};
    for (size_t k = 0; k < moe_silicon_n_ffn(s); k++) {
        moe_ffn_key key;
        char name[128];
        if (!key_of(s, k, &key, name))
            continue;
        const moe_curve c = curve_of(s, &key);
        moe_curve rest = c;
        while (rest.n > 2 && rest.tokens[rest.n - 1] > c.tokens[c.n - 1] / 4)
            rest = moe_curve_without(&rest, rest.n - 1);
        moe_curve_leave_out(&rest);
        for (size_t i = rest.n; i < c.n; i++) {
            moe_price p = moe_curve_price(&rest, c.tokens[i]);
            double e[] = {fabs(1e6 * p.time_s / truth_us(&c, i) - 1),
                          p.relative_error};
            table_add(&t, name, e);
            cover_op(MOE_SILICON_FFN, name, p, e[0], shape_fold(&key));
        }
    }
    table_print(&t, "FFN: beyond the last token count",
                "The last two octaves of each table, priced from what is "
                "below; and the error stated with these prices.",
                (const char *[]){"ours", "stated"});
}

static void shapes_left_out(const moe_silicon *s)
{
    error_table t = {.methods = 2};
    for (size_t k = 0; k < moe_silicon_n_ffn(s); k++) {
        moe_ffn_key key;
        moe_curve unseen;
        char name[128];
        if (!key_of(s, k, &key, name) ||
            moe_silicon_ffn_unseen(s, &key, &unseen, NULL) != MOE_OK)
            continue;
        const moe_curve c = curve_of(s, &key);
        for (size_t i = 0; i < c.n; i++) {
            moe_price p = moe_curve_price(&unseen, c.tokens[i]);
            double e[] = {fabs(1e6 * p.time_s / truth_us(&c, i) - 1),
                          p.relative_error};
            table_add(&t, name, e);
            cover_op(MOE_SILICON_FFN, name, p, e[0], shape_fold(&key));
        }
    }
    for (size_t i = 0; i < t.n_lines; i++) {
        char what[160];
        if (strstr(t.line[i].name, "sglang") != NULL)
            continue;
        snprintf(what, sizeof what, "%s: shape left out, median",
                 t.line[i].name);
        require(what, table_quantile(&t, (int)i, 0, 0.5), 0.25);
    }
    table_print(&t, "FFN: one shape left out",
                "All tables of a shape (hidden, inner, top-k, experts) are "
                "priced from other shapes of the same kernel, with the model "
                "fitted without it; and the error stated with these prices.",
                (const char *[]){"ours", "stated"});
}

/* The rule for unequal experts, where it can be tested: a GPU's part of the
 * experts as shares of the layer with all experts. */
static void shares(const moe_silicon *s)
{
    error_table t = {.methods = 1};
    for (size_t k = 0; k < moe_silicon_n_ffn(s); k++) {
        moe_ffn_key key, whole;
        moe_curve all;
        char name[128];
        if (!key_of(s, k, &key, name) || key.ep == 1 ||
            strcmp(key.distribution, "balanced") != 0)
            continue;
        whole = key;
        whole.ep = 1;
        if (moe_silicon_ffn(s, &whole, NULL, &all, NULL) != MOE_OK ||
            !all.measured)
            continue;
        const moe_curve c = curve_of(s, &key);
        const double launch_s = moe_curve_launch(&all);
        for (size_t i = 0; i < c.n; i++) {
            if (c.tokens[i] * key.top_k < key.experts)
                continue;
            double rest_s =
                moe_curve_price(&all, c.tokens[i]).time_s - launch_s;
            double us = 1e6 * (launch_s + rest_s / key.ep);
            double e = fabs(us / truth_us(&c, i) - 1);
            table_add(&t, name, &e);
        }
    }
    table_print(&t, "FFN: a GPU's experts as shares of all",
                "Tables of ep > 1 priced as launch + 1/ep of the rest of the "
                "ep = 1 table, at one row per expert or more. Only "
                "TensorRT-LLM tests the rule: in vLLM and SGLang high ep "
                "approaches a floor that grows with the tokens of the whole "
                "group, as if the kernel walked over rows of other GPUs, "
                "which an exchange does not send.",
                (const char *[]){"shares"});
}

/* Calls of an H100 whose time is traffic, priced for an L40S, whose memory is a
 * quarter as fast, and measured there. Data sheets: 3.35 and 0.864 TB/s. */
static void scaled(const moe_silicon *s)
{
    static const double sheet = 3.35e12, here = 0.864e12, traffic = 0.8;
    error_table t = {.methods = 3};
    for (size_t k = 0; k < moe_silicon_n_ffn(s); k++) {
        const moe_ffn_change change = {.sheet = sheet,
                                       .bandwidth = here / sheet};
        moe_ffn_key key;
        moe_curve was, is;
        char name[128];
        if (!key_of(s, k, &key, name) || strcmp(key.gpu, "l40s") != 0 ||
            strcmp(key.distribution, "balanced") != 0 ||
            strcmp(key.dtype, "fp8") == 0)
            continue;
        const moe_curve c = curve_of(s, &key);
        key.gpu = "h100_sxm";
        key.kernel = NULL;
        if (moe_silicon_ffn(s, &key, NULL, &was, NULL) != MOE_OK ||
            moe_silicon_ffn(s, &key, &change, &is, NULL) != MOE_OK ||
            !is.measured)
            continue;
        for (size_t i = 0; i < c.n; i++) {
            const double truth_s = 1e-6 * truth_us(&c, i);
            const double was_s = moe_curve_price(&was, c.tokens[i]).time_s;
            const moe_price p = moe_curve_price(&is, c.tokens[i]);
            /* What would be left of the time with endless bandwidth. */
            const double f = (p.time_s / was_s - 1) / (sheet / here - 1);
            if (f > traffic)
                table_add(&t, name,
                          (double[]){fabs(was_s / truth_s - 1),
                                     fabs(p.time_s / truth_s - 1),
                                     p.relative_error});
        }
    }
    table_print(&t, "FFN: scaled to another GPU",
                "Balanced calls of vLLM on an H100 of whose time more than 0.8 "
                "is traffic, as it is and scaled to the memory of an L40S, 3.9 "
                "times slower, and another generation; and the error stated "
                "with these prices. An H200, 1.4 times faster than an H100, "
                "was checked with rows that are not part of this: 3.4 % "
                "(median), 17.1 % (p90).",
                (const char *[]){"as it is", "ours", "stated"});
}

void validate_ffn(const moe_silicon *s)
{
    tokens_left_out(s);
    tokens_beyond(s);
    shapes_left_out(s);
    shares(s);
    scaled(s);
}

/* ---- collectives, attention, GEMM ---- */

static const char *const gpus[] = {"a100_sxm", "h100_sxm", "b200_sxm", "gb200",
                                   "l40s"};
static const char *const ops[] = {"all_reduce", "alltoall", "all_gather",
                                  "reduce_scatter"};

/* The link without size i of one GPU count. */
static moe_link without_size(const moe_link *link, size_t count, size_t i)
{
    moe_link rest = *link;
    const size_t more = rest.count[count].n-- - i - 1;
    double *of[] = {rest.count[count].bytes, rest.count[count].time_us,
                    rest.count[count].error};
    for (size_t k = 0; k < MOE_ARRAY_LEN(of); k++)
        memmove(of[k] + i, of[k] + i + 1, more * sizeof **of);
    return rest;
}

/* All sizes of a GPU count, priced from the other counts. */
static void cover_count(const moe_link *link, size_t count, int fold)
{
    moe_link rest = *link;
    rest.n_counts--;
    for (size_t c = count; c < rest.n_counts; c++)
        rest.count[c] = rest.count[c + 1];
    for (size_t i = 0; i < link->count[count].n && rest.n_counts > 1; i++) {
        const double bytes = link->count[count].bytes[i];
        const moe_price p =
            moe_link_price(&rest, link->count[count].gpus, bytes);
        cover_op(MOE_SILICON_LINK, NULL, p,
                 fabs(1e6 * p.time_s / link->count[count].time_us[i] - 1),
                 fold);
    }
}

/* Each size but the first, priced from the other sizes. */
static void cover_sizes(const moe_link *link, size_t c, const char *gpu,
                        int fold, error_table *t)
{
    const double *x = link->count[c].bytes, *y = link->count[c].time_us;
    const double count = link->count[c].gpus;
    for (size_t i = 1; i < link->count[c].n; i++) {
        const moe_link rest = without_size(link, c, i);
        const moe_price p = moe_link_price(&rest, count, x[i]);
        const double ours = fabs(1e6 * p.time_s / y[i] - 1);
        cover_op(MOE_SILICON_LINK, gpu, p, ours, fold);
        if (i + 1 == link->count[c].n)
            continue;
        const double w = log(x[i] / x[i - 1]) / log(x[i + 1] / x[i - 1]);
        const double us = y[i - 1] * pow(y[i + 1] / y[i - 1], w);
        table_add(t, gpu, (double[]){fabs(us / y[i] - 1), ours});
        /* Where only the latency counts, sizes are alike. */
        if (x[i + 1] < 16384)
            cover_op(MOE_SILICON_LINK, NULL, moe_link_price(link, count, x[i]),
                     ours, fold);
    }
}

static void links(const moe_silicon *s)
{
    error_table t = {.methods = 2};
    for (int g = 0; g < 5; g++)
        for (int op = 0; op < 4; op++) {
            moe_link link;
            moe_error err = {0};
            if (moe_silicon_link(s, ops[op], gpus[g], NULL, &link, &err) !=
                MOE_OK)
                give_up(err.text);
            for (size_t c = 0; c < link.n_counts; c++) {
                cover_sizes(&link, c, gpus[g], 4 * g + op, &t);
                cover_count(&link, c, 4 * g + op);
            }
        }
    require("collectives: size left out, median",
            table_quantile(&t, -1, 1, 0.5), 0.04);
    table_print(&t, "Collectives: one size left out",
                "Four collectives on 2, 4 and 8 GPUs. `plain` is a line on "
                "logarithms.",
                (const char *[]){"plain", "ours"});
}

typedef struct {
    error_table *table;
    int gpu, op;
} target;

static void add_dense(void *arg, const moe_left_out *row)
{
    const target *to = arg;
    const char *gpu = gpus[to->gpu];
    char name[64];
    snprintf(name, sizeof name, "%s %s", gpu,
             to->op == MOE_SILICON_GEMM ? "GEMM" : "attention");
    cover_op(to->op, name, row->stated, row->error[1], to->gpu);
    if (row->stated.source != MOE_PRICE_INTERPOLATED)
        return;
    table_add(to->table, gpu, row->error);
    if (to->op == MOE_SILICON_GEMM ? row->size < FEW_ROWS
                                   : row->octaves < NEAR_OCTAVES)
        cover_op(to->op, NULL, row->itself, row->error[1], to->gpu);
}

static void dense(const moe_silicon *s, const char *op, const char *title)
{
    error_table t = {.methods = 2};
    for (int g = 0; g < 5; g++) {
        moe_silicon_dense *d =
            moe_silicon_dense_new(s, op, gpus[g], NULL, NULL);
        if (d != NULL)
            moe_silicon_dense_leave_out(d, add_dense,
                                        &(target){&t, g,
                                                  strcmp(op, "gemm") == 0
                                                      ? MOE_SILICON_GEMM
                                                      : MOE_SILICON_ATTENTION});
        moe_silicon_dense_free(d);
    }
    table_print(&t, title,
                "Each inner row of each table is priced from the rest of its "
                "table. `plain` is a line on logarithms.",
                (const char *[]){"plain", "ours"});
}

/* ---- kernels measured along lines ---- */

/* What is left out: a row, or all rows with its value of a size. */
static void leave_out(const moe_lines *l, const char *name, int level,
                      error_table *t)
{
    double *e = malloc(moe_lines_rows(l) * sizeof *e);
    if (e == NULL)
        give_up("out of memory");
    const size_t n = moe_lines_leave_out(l, level, 0, e);
    for (size_t i = 0; i < n; i++)
        table_add(t, name, e + i);
    free(e);
}

/* For each different key of the kind's tables. */
static void each_kernel(const moe_silicon *s, const char *kind, int level,
                        error_table *t)
{
    char name[128];
    const char *texts[MOE_LINE_SIZES];
    for (size_t i = 0; moe_lines_key(s, kind, i, texts); i++) {
        moe_error err = {0};
        moe_lines *l = moe_lines_new(s, kind, texts, &err);
        if (l == NULL)
            give_up(err.text);
        snprintf(name, sizeof name, "%s %s %s", texts[0], texts[1], texts[2]);
        leave_out(l, name, level, t);
        moe_lines_free(l);
    }
}

enum { NODES = 0, HIDDEN = 2, SMS = 5 };

static const struct {
    const char *kind, *title, *text;
    int level;
    double median, p90; /* limits over all; 0: none */
} lines[] = {
    {"ep_exchange", "Exchange kernels: one row left out",
     "Each inner row of each table is priced from the rest.", MOE_LEFT_ROW,
     0.05, 0.15},
    {"ep_exchange", "Exchange kernels: one number of nodes left out",
     "All rows on as many nodes are priced from the others, with the model "
     "fitted to all. Kernels that were measured on one number of nodes are not "
     "here.",
     NODES, 0.25, 0},
    {"ep_exchange", "Exchange kernels: one hidden size left out",
     "All rows of a hidden size are priced from the others.", HIDDEN, 0.25, 0},
    {"ep_exchange", "Exchange kernels: one number of SMs left out",
     "All rows on as many SMs are priced from the others.", SMS, 0, 0},
    {"decode_attention", "Decode attention: one row left out",
     "Each inner row of each table is priced from the rest.", MOE_LEFT_ROW,
     0.03, 0.12},
    {"decode_attention", "Decode attention: the first or last row left out",
     "Each first or last row of a table is priced from the rest.", MOE_LEFT_END,
     0, 0},
    {"decode_attention", "Decode attention: one table left out",
     "Each table (heads, batch, ...) is priced from the others.", MOE_LEFT_LINE,
     0, 0},
    {"mla", "MLA: one row left out",
     "Each inner row of each table is priced from the rest.", MOE_LEFT_ROW,
     0.03, 0.12},
    {"mla", "MLA: one table left out",
     "Each table (batch, heads) is priced from the others.", MOE_LEFT_LINE, 0,
     0},
    {"wide_ep_moe", "Wide EP: one row left out",
     "Each inner row of each table is priced from the rest. Every row has a "
     "draw of loads of its own.",
     MOE_LEFT_ROW, 0, 0},
};

static void kernels(const moe_silicon *s)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(lines); i++) {
        error_table t = {.methods = 1};
        char what[160];
        each_kernel(s, lines[i].kind, lines[i].level, &t);
        snprintf(what, sizeof what, "%s, median", lines[i].title);
        if (lines[i].median > 0)
            require(what, table_quantile(&t, -1, 0, 0.5), lines[i].median);
        snprintf(what, sizeof what, "%s, p90", lines[i].title);
        if (lines[i].p90 > 0)
            require(what, table_quantile(&t, -1, 0, 0.9), lines[i].p90);
        table_print(&t, lines[i].title, lines[i].text,
                    (const char *[]){"ours"});
    }
}

void validate_rest(const moe_silicon *s)
{
    kernels(s);
    links(s);
    dense(s, "attention", "Attention: one sequence length left out");
    dense(s, "gemm", "GEMM: one number of rows left out");
}
