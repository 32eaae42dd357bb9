/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "contents.h"
#include "forms.h"
#include "moegps/mem.h"

enum { NAME_LEN = 22 };

static const char *name_of(const moe_run_analysis *run, int strategy)
{
    return run->view->strategy[strategy].name;
}

static void say_regret(moe_document *doc, const moe_run_analysis *run,
                       const moe_choices *c)
{
    moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                "%s, gpu clock (modelled): %s %s than %s, the best of its "
                "candidates in hindsight; tries on %s of the iterations took "
                "%s of its time; %d %s.",
                name_of(run, c->strategy),
                moe_percent_cell(fabs(c->regret)).text,
                c->regret < 0 ? "shorter" : "longer",
                name_of(run, c->candidate[c->best].strategy),
                moe_percent_cell(c->tried).text,
                moe_percent_cell(c->tries_s / c->layer_s).text, c->n_switches,
                c->n_switches == 1 ? "switch" : "switches");
}

static void say_candidates(moe_document *doc, const moe_run_analysis *run,
                           const moe_choices *c)
{
    static const moe_column columns[] = {
        {"candidate", NULL, MOE_LEFT},
        {"used", "of iterations", MOE_RIGHT},
        {"layer", "if fixed", MOE_RIGHT},
    };
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (int k = 0; k < c->n; k++) {
        moe_table_name(t, name_of(run, c->candidate[k].strategy), NAME_LEN);
        moe_table_put(t, moe_percent_cell(c->candidate[k].used));
        moe_table_put(t, moe_time_cell(c->candidate[k].layer_s));
    }
}

static void say_switches(moe_document *doc, const moe_run_analysis *run,
                         const moe_choices *c)
{
    static const moe_column columns[] = {
        {"switch", "iteration", MOE_RIGHT},
        {"from", NULL, MOE_LEFT},
        {"to", NULL, MOE_LEFT},
        {"from", "layer, tried", MOE_RIGHT},
        {"to", "layer, tried", MOE_RIGHT},
    };
    if (c->n_switches == 0)
        return;
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (int k = 0; k < c->n_switches; k++) {
        const moe_switch *at = &c->at[k];
        moe_table_cell(t, "%d", at->iteration);
        moe_table_name(t, name_of(run, at->from), NAME_LEN);
        moe_table_name(t, name_of(run, at->to), NAME_LEN);
        moe_table_put(t, moe_time_cell(at->from_s));
        moe_table_put(t, moe_time_cell(at->to_s));
    }
}

void moe_say_choices(moe_document *doc, const moe_run_analysis *run)
{
    for (int k = 0; k < run->n_choices; k++) {
        const moe_choices *c = &run->choices[k];
        if (c->best < 0)
            continue;
        say_regret(doc, run, c);
        say_candidates(doc, run, c);
        say_switches(doc, run, c);
    }
}

static json_t *json_candidates(const moe_run_analysis *run,
                               const moe_choices *c, moe_error *err)
{
    json_t *list = json_array();
    for (int k = 0; k < c->n; k++) {
        json_t *o = json_object();
        moe_json_put_text(o, "name", name_of(run, c->candidate[k].strategy),
                          err);
        moe_json_put_number(o, "used", c->candidate[k].used, err);
        moe_json_put_number(o, "layer_time_gpu_s", c->candidate[k].layer_s,
                            err);
        moe_json_add(list, o, err);
    }
    return list;
}

static json_t *json_switches(const moe_run_analysis *run, const moe_choices *c,
                             moe_error *err)
{
    json_t *list = json_array();
    for (int k = 0; k < c->n_switches; k++) {
        json_t *o = json_object();
        moe_json_put_integer(o, "iteration", c->at[k].iteration, err);
        moe_json_put_text(o, "from", name_of(run, c->at[k].from), err);
        moe_json_put_text(o, "to", name_of(run, c->at[k].to), err);
        moe_json_put_number(o, "from_s", c->at[k].from_s, err);
        moe_json_put_number(o, "to_s", c->at[k].to_s, err);
        moe_json_add(list, o, err);
    }
    return list;
}

json_t *moe_choices_json(const moe_run_analysis *run, moe_error *err)
{
    json_t *list = json_array();
    for (int k = 0; k < run->n_choices; k++) {
        const moe_choices *c = &run->choices[k];
        json_t *o = json_object();
        moe_json_put_text(o, "strategy", name_of(run, c->strategy), err);
        if (c->best >= 0)
            moe_json_put_text(o, "best_fixed",
                              name_of(run, c->candidate[c->best].strategy),
                              err);
        moe_json_put_number(o, "regret", c->regret, err);
        moe_json_put_number(o, "tried", c->tried, err);
        moe_json_put_number(o, "tries_s", c->tries_s, err);
        moe_json_put_number(o, "layer_time_gpu_s", c->layer_s, err);
        moe_json_put(o, "candidates", json_candidates(run, c, err), err);
        moe_json_put(o, "switches", json_switches(run, c, err), err);
        moe_json_add(list, o, err);
    }
    return list;
}
