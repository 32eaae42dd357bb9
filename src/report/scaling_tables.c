/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include "moegps/mem.h"

enum { NAME_LEN = 24 }; /* characters of a strategy in a row */

static void add_curve(moe_table *t, const char *name,
                      const moe_scaling_curve *curve)
{
    for (size_t i = 0; i < curve->n_points; i++) {
        const moe_scaling_point *p = &curve->point[i];
        const moe_ratio *e = &p->efficiency;
        moe_table_name(t, i == 0 ? name : "", NAME_LEN);
        moe_table_cell(t, "%d", p->gpus);
        moe_table_cell(t, "%d", p->nodes);
        moe_table_put(t, moe_number_cell(p->tokens));
        moe_table_put(t, moe_time_cell(p->time.median));
        moe_table_interval(t, moe_time_cell, p->time.ci_low, p->time.ci_high);
        moe_table_put(t, moe_number_cell(p->rate));
        moe_table_put(t, moe_percent_cell(e->ratio));
        moe_table_interval(t, moe_percent_cell, e->ci_low, e->ci_high);
        moe_table_cell(t, "%zu", p->time.n);
    }
}

static void say_clock(moe_document *doc, const moe_analysis *a, moe_clock clock)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},       {"GPUs", NULL, MOE_RIGHT},
        {"nodes", NULL, MOE_RIGHT},         {"tokens", NULL, MOE_RIGHT},
        {"layer", NULL, MOE_RIGHT},         {"95 % interval", NULL, MOE_RIGHT},
        {"tokens/s/GPU", NULL, MOE_RIGHT},  {"efficiency", NULL, MOE_RIGHT},
        {"95 % interval", NULL, MOE_RIGHT}, {"n", NULL, MOE_RIGHT},
    };
    bool moot = false;
    for (size_t i = 0; i < a->n; i++)
        moot = moot || (clock == MOE_CLOCK_WALL &&
                        !moe_verdict_wall_counts(a->run[i].view));
    moe_doc_say(doc, MOE_DOC_CAPTION, "Scaling, %s clock (%s)%s",
                moe_clock_name(clock),
                clock == MOE_CLOCK_GPU ? "modelled, not measured" : "measured",
                moot ? ": not a result, ranks share cores" : "");
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < a->scaling.strategies; s++)
        add_curve(t, a->run[0].view->strategy[s].name,
                  &a->scaling.curve[clock][s]);
}

void moe_report_scaling(moe_document *doc, const moe_analysis *a)
{
    if (a->scaling.strategies == 0)
        return;
    moe_doc_say(doc, MOE_DOC_HEADING, "Scaling");
    moe_doc_say(doc, MOE_DOC_UNDER,
                "%zu runs of %s. Efficiency: tokens per second and GPU, "
                "over that of the fewest GPUs.",
                a->n, a->run[0].view->model);
    say_clock(doc, a, MOE_CLOCK_WALL);
    say_clock(doc, a, MOE_CLOCK_GPU);
}
