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

/* What is compared with what. */
static void say_pairs(moe_document *doc, const moe_comparison *c)
{
    if (c->side[0].n > 1 || c->side[1].n > 1)
        moe_doc_say(doc, MOE_DOC_UNDER,
                    "ratios are of the medians of %zu runs and %zu: "
                    "intervals hold what differs between runs",
                    c->side[1].n, c->side[0].n);
    else if (c->paired)
        moe_doc_say(doc, MOE_DOC_UNDER,
                    "ratios are medians of pairs: %zu batches are the "
                    "same in both",
                    c->n_pairs);
    else
        moe_doc_say(doc, MOE_DOC_UNDER,
                    "ratios are of medians: the batches are not the "
                    "same");
    if (!c->sure)
        moe_doc_say(doc, MOE_DOC_UNDER,
                    "how these measured times vary between runs is not "
                    "known: that takes %d repetitions a side (moegps "
                    "merge)",
                    MOE_STATS_MIN_RUNS);
}

void moe_report_comparison(moe_document *doc, const moe_comparison *c)
{
    moe_doc_begin(doc, MOE_DOC_WARNINGS);
    if (c->trivial_clock)
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "wall clock is not a result here: ranks share cores; "
                    "read the gpu clock");
    moe_doc_begin(doc, MOE_DOC_FACTS);
    moe_doc_fact(doc, "A", "%s", c->a->path);
    moe_doc_fact(doc, "B", "%s", c->b->path);
    if (c->differs[0] != '\0')
        moe_doc_fact(doc, "differ in", "%s", c->differs);
    moe_doc_say(doc, MOE_DOC_CAPTION, "Time of a layer, %s clock (%s)%s%s%s",
                moe_clock_name(c->clock),
                c->clock == MOE_CLOCK_GPU ? "modelled, not measured"
                                          : "measured",
                c->reference[0] != '\0' ? ", relative to " : "", c->reference,
                c->reference[0] != '\0' ? " on the same batch" : "");
    say_pairs(doc, c);
    say_rows(doc, c);
    char metric[32];
    snprintf(metric, sizeof metric, "ratio_%s", moe_clock_name(c->clock));
    for (int i = 0; i < c->n_rows; i++)
        moe_doc_fom(doc, metric, c->a->strategy[c->row[i].a].name,
                    c->row[i].ratio.ratio, "1");
}

#define ROW(key, member) MOE_JSON_MEMBER(key, moe_comparison_row, member)
static const moe_json_member row_members[] = {ROW("a", time_a_s),
                                              ROW("b", time_b_s),
                                              ROW("ratio", ratio.ratio),
                                              ROW("ci_low", ratio.ci_low),
                                              ROW("ci_high", ratio.ci_high),
                                              ROW("n", ratio.n),
                                              ROW("verdict", verdict)};

#define WHOLE(key, member) MOE_JSON_MEMBER(key, moe_comparison, member)
static const moe_json_member members[] = {
    WHOLE("reference", reference), WHOLE("paired", paired),
    WHOLE("pairs", n_pairs), WHOLE("differs", differs)};

moe_status moe_report_comparison_json(const moe_comparison *c, FILE *out,
                                      moe_error *err)
{
    json_t *root = json_object(), *rows = json_array();
    moe_json_put_text(root, "schema", "moe-gps-comparison", err);
    moe_json_put_text(root, "schema_version", "1.0.0", err);
    moe_json_put_text(root, "a", c->a->path, err);
    moe_json_put_text(root, "b", c->b->path, err);
    moe_json_put_text(root, "clock", moe_clock_name(c->clock), err);
    moe_json_put_text(root, "unit", c->reference[0] == '\0' ? "s" : "1", err);
    moe_json_put_integer(root, "runs_a", (int64_t)c->side[0].n, err);
    moe_json_put_integer(root, "runs_b", (int64_t)c->side[1].n, err);
    moe_json_put(root, "between_runs", json_boolean(c->sure), err);
    moe_json_put_members(root, members, MOE_ARRAY_LEN(members), c, err);
    for (int i = 0; i < c->n_rows; i++) {
        json_t *row = json_object();
        moe_json_put_text(row, "strategy", c->a->strategy[c->row[i].a].name,
                          err);
        moe_json_put_members(row, row_members, MOE_ARRAY_LEN(row_members),
                             &c->row[i], err);
        moe_json_add(rows, row, err);
    }
    moe_json_put(root, "strategies", rows, err);
    moe_json_print(root, JSON_INDENT(2), out, err);
    return err->status;
}
