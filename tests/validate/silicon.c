/* SPDX-License-Identifier: Apache-2.0 */

/* The silicon model against measurements it was not given. */

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "validate.h"

static void name_of(const moe_ffn_key *key, char *name, size_t size)
{
    snprintf(name, size, "%s %s %s", key->gpu, key->stack, key->dtype);
}

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
        moe_silicon_ffn_key(s, k, &key);
        name_of(&key, name, sizeof name);
        const moe_curve c = curve_of(s, &key);
        for (size_t i = 1; i + 1 < c.n; i++) {
            const moe_curve rest = moe_curve_without(&c, i);
            double price = 1e6 * moe_curve_price(&rest, c.tokens[i]).time_s;
            double e[] = {fabs(plain_us(&c, i) / truth_us(&c, i) - 1),
                          fabs(price / truth_us(&c, i) - 1)};
            table_add(&t, name, e);
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
        moe_silicon_ffn_key(s, k, &key);
        name_of(&key, name, sizeof name);
        const moe_curve c = curve_of(s, &key);
        moe_curve rest = c;
        while (rest.n > 2 && rest.tokens[rest.n - 1] > c.tokens[c.n - 1] / 4)
            rest = moe_curve_without(&rest, rest.n - 1);
        for (size_t i = rest.n; i < c.n; i++) {
            moe_price p = moe_curve_price(&rest, c.tokens[i]);
            double e[] = {fabs(1e6 * p.time_s / truth_us(&c, i) - 1),
                          p.relative_error};
            table_add(&t, name, e);
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
        moe_silicon_ffn_key(s, k, &key);
        name_of(&key, name, sizeof name);
        const moe_curve c = curve_of(s, &key);
        if (moe_silicon_ffn_unseen(s, &key, &unseen, NULL) != MOE_OK)
            continue;
        for (size_t i = 0; i < c.n; i++) {
            moe_price p = moe_curve_price(&unseen, c.tokens[i]);
            double e[] = {fabs(1e6 * p.time_s / truth_us(&c, i) - 1),
                          p.relative_error};
            table_add(&t, name, e);
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
        moe_silicon_ffn_key(s, k, &key);
        if (key.ep == 1 || strcmp(key.distribution, "balanced") != 0)
            continue;
        whole = key;
        whole.ep = 1;
        if (moe_silicon_ffn(s, &whole, NULL, &all, NULL) != MOE_OK ||
            !all.measured)
            continue;
        name_of(&key, name, sizeof name);
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

void validate_ffn(const moe_silicon *s)
{
    tokens_left_out(s);
    tokens_beyond(s);
    shapes_left_out(s);
    shares(s);
}

/* ---- collectives, attention, GEMM ---- */

static const char *const gpus[] = {"a100_sxm", "h100_sxm", "b200_sxm", "gb200",
                                   "l40s"};
static const char *const ops[] = {"all_reduce", "alltoall", "all_gather",
                                  "reduce_scatter"};

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
            for (size_t c = 0; c < link.n_counts; c++)
                for (size_t i = 1; i + 1 < link.count[c].n; i++) {
                    const double *x = link.count[c].bytes;
                    const double *y = link.count[c].time_us;
                    double w = log(x[i] / x[i - 1]) / log(x[i + 1] / x[i - 1]);
                    double us = y[i - 1] * pow(y[i + 1] / y[i - 1], w);
                    double e[] = {fabs(us / y[i] - 1), link.count[c].error[i]};
                    table_add(&t, gpus[g], e);
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
    const char *line;
} target;

static void add_dense(void *arg, const double *e)
{
    const target *to = arg;
    table_add(to->table, to->line, e);
}

static void dense(const moe_silicon *s, const char *op, const char *title)
{
    error_table t = {.methods = 2};
    for (int g = 0; g < 5; g++) {
        moe_silicon_dense *d =
            moe_silicon_dense_new(s, op, gpus[g], NULL, NULL);
        if (d != NULL)
            moe_silicon_dense_leave_out(d, add_dense, &(target){&t, gpus[g]});
        moe_silicon_dense_free(d);
    }
    table_print(&t, title,
                "Each inner row of each table is priced from the rest of its "
                "table. `plain` is a line on logarithms.",
                (const char *[]){"plain", "ours"});
}

void validate_rest(const moe_silicon *s)
{
    links(s);
    dense(s, "attention", "Attention: one sequence length left out");
    dense(s, "gemm", "GEMM: one number of rows left out");
}
