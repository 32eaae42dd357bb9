/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <math.h>

#include "cells.h"
#include "moegps/json.h"
#include "moegps/mem.h"
#include "moegps/table.h"

enum { NAME_LEN = 24 }; /* characters of a strategy in a row */

/* A difference that nobody would act on, however sure it is. */
static const double NEGLIGIBLE = 1e-3;

/* What an interval allows to say. */
static const char *verdict(const moe_ratio *r)
{
    if (isnan(r->ci_low))
        return r->n < MOE_STATS_MIN_CI ? "too few samples" : "unknown";
    if (r->ci_low > 1 - NEGLIGIBLE && r->ci_high < 1 + NEGLIGIBLE)
        return "equal to 0.1 %";
    if (r->ci_low > 1)
        return "B is slower";
    return r->ci_high < 1 ? "B is faster" : "within noise";
}

static moe_cell time_or_share(const moe_comparison *c, double x)
{
    return c->reference[0] == '\0' ? moe_time_cell(x) : moe_number_cell(x);
}

static void print_table(const moe_comparison *c, FILE *out)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {"A", NULL, MOE_RIGHT},
        {"B", NULL, MOE_RIGHT},
        {"B / A", NULL, MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT},
        {"n", NULL, MOE_RIGHT},
        {"verdict", NULL, MOE_LEFT},
    };
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int i = 0; i < c->n_rows; i++) {
        const moe_comparison_row *r = &c->row[i];
        const char *name = c->a->strategy[r->a].name;
        moe_table_cell(table, "%s", moe_name_cell(name, NAME_LEN).text);
        moe_table_cell(table, "%s", time_or_share(c, r->time_a_s).text);
        moe_table_cell(table, "%s", time_or_share(c, r->time_b_s).text);
        moe_table_cell(table, "%s", moe_number_cell(r->ratio.ratio).text);
        moe_table_cell(table, "%s",
                       moe_interval_cell(moe_number_cell(r->ratio.ci_low),
                                         moe_number_cell(r->ratio.ci_high))
                           .text);
        moe_table_cell(table, "%zu", r->ratio.n);
        moe_table_cell(table, "%s", verdict(&r->ratio));
    }
    moe_table_print(table, out);
    moe_table_free(table);
}

void moe_report_comparison(const moe_comparison *c, FILE *out)
{
    if (c->trivial_clock)
        fputs("WARNING: wall clock is not a result here: ranks share cores; "
              "read the gpu clock\n\n",
              out);
    fprintf(out, "A  %s\nB  %s\n", c->a->path, c->b->path);
    if (c->differs[0] != '\0')
        fprintf(out, "differ in %s\n", c->differs);
    fprintf(out, "\nTime of a layer, %s clock (%s)", moe_clock_name(c->clock),
            c->clock == MOE_CLOCK_GPU ? "modelled, not measured" : "measured");
    if (c->reference[0] != '\0')
        fprintf(out, ", relative to %s on the same batch", c->reference);
    if (c->paired)
        fprintf(out,
                "\nratios are medians of pairs: %zu batches are the same "
                "in both\n\n",
                c->n_pairs);
    else
        fputs("\nratios are of medians, with bootstrap intervals: the batches "
              "are not the same\n\n",
              out);
    print_table(c, out);
    fputc('\n', out);
    for (int i = 0; i < c->n_rows; i++)
        if (isfinite(c->row[i].ratio.ratio))
            fprintf(out, "FOM ratio_%s %s = %.9g 1\n", moe_clock_name(c->clock),
                    c->a->strategy[c->row[i].a].name, c->row[i].ratio.ratio);
}

static json_t *row_json(const moe_comparison *c, const moe_comparison_row *r,
                        moe_error *err)
{
    json_t *row = json_object();
    moe_json_put(row, "strategy", moe_json_text(c->a->strategy[r->a].name),
                 err);
    moe_json_put(row, "a", moe_json_number(r->time_a_s), err);
    moe_json_put(row, "b", moe_json_number(r->time_b_s), err);
    moe_json_put(row, "ratio", moe_json_number(r->ratio.ratio), err);
    moe_json_put(row, "ci_low", moe_json_number(r->ratio.ci_low), err);
    moe_json_put(row, "ci_high", moe_json_number(r->ratio.ci_high), err);
    moe_json_put(row, "n", json_integer((json_int_t)r->ratio.n), err);
    moe_json_put(row, "verdict", json_string(verdict(&r->ratio)), err);
    return row;
}

moe_status moe_report_comparison_json(const moe_comparison *c, FILE *out,
                                      moe_error *err)
{
    json_t *root = json_object(), *rows = json_array();
    for (int i = 0; i < c->n_rows; i++)
        moe_json_add(rows, row_json(c, &c->row[i], err), err);
    moe_json_put(root, "schema", json_string("moe-gps-comparison"), err);
    moe_json_put(root, "schema_version", json_string("1.0.0"), err);
    moe_json_put(root, "a", moe_json_text(c->a->path), err);
    moe_json_put(root, "b", moe_json_text(c->b->path), err);
    moe_json_put(root, "clock", json_string(moe_clock_name(c->clock)), err);
    moe_json_put(root, "unit", json_string(c->reference[0] == '\0' ? "s" : "1"),
                 err);
    moe_json_put(root, "reference", moe_json_text(c->reference), err);
    moe_json_put(root, "paired", json_boolean(c->paired), err);
    moe_json_put(root, "pairs", json_integer((json_int_t)c->n_pairs), err);
    moe_json_put(root, "differs", moe_json_text(c->differs), err);
    moe_json_put(root, "strategies", rows, err);
    moe_json_print(root, JSON_INDENT(2), out, err);
    return err->status;
}
