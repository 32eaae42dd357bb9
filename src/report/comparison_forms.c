/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include "moegps/json.h"
#include "moegps/mem.h"

enum { NAME_LEN = 24 }; /* characters of a strategy in a row */

static moe_cell time_or_share(const moe_comparison *c, double x)
{
    return c->reference[0] == '\0' ? moe_time_cell(x) : moe_number_cell(x);
}

static void say_rows(moe_document *doc, const moe_comparison *c)
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
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (int i = 0; i < c->n_rows; i++) {
        const moe_comparison_row *r = &c->row[i];
        moe_table_name(t, c->a->strategy[r->a].name, NAME_LEN);
        moe_table_put(t, time_or_share(c, r->time_a_s));
        moe_table_put(t, time_or_share(c, r->time_b_s));
        moe_table_put(t, moe_number_cell(r->ratio.ratio));
        moe_table_interval(t, moe_number_cell, r->ratio.ci_low,
                           r->ratio.ci_high);
        moe_table_cell(t, "%zu", r->ratio.n);
        moe_table_cell(t, "%s", r->verdict);
    }
}

void moe_report_comparison(moe_document *doc, const moe_comparison *c)
{
    moe_doc_warnings(doc);
    if (c->trivial_clock)
        moe_doc_item(doc, "wall clock is not a result here: ranks share cores; "
                          "read the gpu clock");
    moe_doc_facts(doc);
    moe_doc_fact(doc, "A", "%s", c->a->path);
    moe_doc_fact(doc, "B", "%s", c->b->path);
    if (c->differs[0] != '\0')
        moe_doc_fact(doc, "differ in", "%s", c->differs);
    moe_doc_caption(
        doc, "Time of a layer, %s clock (%s)%s%s%s", moe_clock_name(c->clock),
        c->clock == MOE_CLOCK_GPU ? "modelled, not measured" : "measured",
        c->reference[0] != '\0' ? ", relative to " : "", c->reference,
        c->reference[0] != '\0' ? " on the same batch" : "");
    if (c->paired)
        moe_doc_paragraph(doc, MOE_SAY_UNDER,
                          "ratios are medians of pairs: %zu batches are the "
                          "same in both",
                          c->n_pairs);
    else
        moe_doc_paragraph(doc, MOE_SAY_UNDER,
                          "ratios are of medians, with bootstrap intervals: "
                          "the batches are not the same");
    say_rows(doc, c);
    char metric[32];
    snprintf(metric, sizeof metric, "ratio_%s", moe_clock_name(c->clock));
    for (int i = 0; i < c->n_rows; i++)
        moe_doc_fom(doc, metric, c->a->strategy[c->row[i].a].name,
                    c->row[i].ratio.ratio, "1");
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
    moe_json_put(row, "verdict", json_string(r->verdict), err);
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
