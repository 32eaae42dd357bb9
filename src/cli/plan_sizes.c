/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/json.h"
#include "parse.h"
#include "plan.h"

/* What further replicas are worth: a plan for each of several numbers. */

/* One of them. */
typedef struct {
    int replicas, slots;
    double planned, next; /* mean / max, averaged; next NaN: there is none */
    double bytes;         /* of a GPU's experts, all layers; NaN: no model */
    double layer_s;       /* of the slowest GPU; NaN: no prices */
} size_row;

static double balance_of(const moe_plan_offline *w, int score)
{
    const moe_tally all = moe_tally_sum(w->study.score[score], w->loads.layers);
    return moe_tally_balance(&all, MOE_BALANCE_MEAN);
}

/* Plan from the home placement, whatever is in force: that has another number
 * of slots. */
static moe_status measure(moe_plan_offline *w, const moe_plan_settings *s,
                          size_row *row, moe_error *err)
{
    moe_plan_fini(&w->previous);
    w->env.slots = row->slots;
    if (moe_plan_init(&w->previous, w->loads.layers, w->loads.experts,
                      w->env.layout.gpus, row->slots, err) != MOE_OK)
        return err->status;
    moe_plan_set_home(&w->previous, &w->env.layout);
    if (moe_plan_study(w, s, err) == MOE_OK &&
        moe_plan_judge(w, s, MOE_PLANNED, err) == MOE_OK) {
        const int next = MOE_STUDY_NEXT + (int)w->env.division;
        row->planned = balance_of(w, MOE_STUDY_PLANNED);
        row->next = w->loads.steps > 1 ? balance_of(w, next) : NAN;
        row->bytes = s->model == NULL ? NAN
                                      : moe_model_expert_bytes(&w->model) *
                                            row->slots * w->model.layers;
        row->layer_s = w->worth.step_s[MOE_PLANNED] / w->loads.layers;
    }
    moe_plan_worth_fini(&w->worth);
    moe_study_fini(&w->study);
    return err->status;
}

static void say_sizes(const moe_plan_offline *w, const moe_plan_settings *s,
                      const size_row *row, int n, moe_error *err)
{
    const char *next =
        s->steps == MOE_STUDY_EACH ? "on the next step" : "on every step";
    const moe_column columns[] = {{"replicas", NULL, MOE_RIGHT},
                                  {"slots", "of a GPU", MOE_RIGHT},
                                  {"mean / max", "as planned", MOE_RIGHT},
                                  {"mean / max", next, MOE_RIGHT},
                                  {"experts", "of a GPU", MOE_RIGHT},
                                  {"layer", "modelled", MOE_RIGHT}};
    const int nodes = moe_layout_nodes(&w->env.layout);
    moe_document *doc = moe_document_new(err);
    if (doc == NULL)
        return;
    moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                "%s, split %s: %zu step%s, %d layer%s, %d experts on %d "
                "GPUs of %d node%s",
                s->planner->name, s->split->name, w->loads.steps,
                w->loads.steps == 1 ? "" : "s", w->loads.layers,
                w->loads.layers == 1 ? "" : "s", w->loads.experts,
                w->env.layout.gpus, nodes, nodes == 1 ? "" : "s");
    moe_table *t =
        moe_doc_table(doc, NULL, columns, sizeof columns / sizeof *columns);
    for (int i = 0; i < n; i++) {
        moe_table_cell(t, "%d", row[i].replicas);
        moe_table_cell(t, "%d", row[i].slots);
        moe_table_put(t, moe_fixed_cell(row[i].planned));
        moe_table_put(t, moe_fixed_cell(row[i].next));
        moe_table_put(t, moe_bytes_cell(row[i].bytes));
        moe_table_put(t, moe_time_cell(row[i].layer_s));
    }
    moe_doc_say(doc, MOE_DOC_UNDER,
                "experts: all layers of the model, with --model; layer: "
                "experts and exchange of the slowest GPU, with --cluster");
    moe_document_say(doc, stdout, err);
}

static void write_sizes(const moe_plan_settings *s, const size_row *row, int n,
                        moe_error *err)
{
    json_t *root = json_object(), *list = json_array();
    for (int i = 0; i < n; i++) {
        json_t *o = json_object();
        moe_json_put_integer(o, "replicas", row[i].replicas, err);
        moe_json_put_integer(o, "slots_per_gpu", row[i].slots, err);
        moe_json_put_number(o, "planned", row[i].planned, err);
        moe_json_put_number(o, "next", row[i].next, err);
        moe_json_put_number(o, "bytes_per_gpu", row[i].bytes, err);
        moe_json_put_number(o, "layer_s", row[i].layer_s, err);
        moe_json_add(list, o, err);
    }
    moe_json_put(root, "sizes", list, err);
    moe_json_write(root, JSON_INDENT(2) | JSON_REAL_PRECISION(12), s->json,
                   s->force, err);
}

moe_status moe_plan_compare_sizes(moe_plan_offline *w,
                                  const moe_plan_settings *s, moe_error *err)
{
    size_row row[MOE_OPT_MAX_REALS];
    const int n = s->replicas.n;
    if (s->emit.n > 0 || s->previous != NULL || s->output != NULL)
        return moe_fail(err, MOE_USAGE,
                        "%s: one number of --replicas is needed",
                        s->emit.n > 0         ? "--emit"
                        : s->previous != NULL ? "--previous"
                                              : "--output");
    for (int i = 0; i < n; i++) {
        row[i] = (size_row){.replicas = (int)s->replicas.x[i]};
        if (moe_parsed_slots(0, row[i].replicas, w->env.layout.gpus,
                             &row[i].slots, err) != MOE_OK ||
            moe_plan_check_slots(w, s, row[i].slots, err) != MOE_OK)
            return err->status;
    }
    for (int i = 0; i < n && err->status == MOE_OK; i++)
        measure(w, s, &row[i], err);
    if (err->status == MOE_OK &&
        (s->json == NULL || strcmp(s->json, "-") != 0)) {
        moe_recorded_print(moe_recorded_name(&s->recorded), &w->loads, NULL);
        say_sizes(w, s, row, n, err);
    }
    if (err->status == MOE_OK && s->json != NULL)
        write_sizes(s, row, n, err);
    return err->status;
}
