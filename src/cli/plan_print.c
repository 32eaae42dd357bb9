/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <math.h>
#include <string.h>

#include "moegps/json.h"
#include "moegps/plan_file.h"

/* Of plans of each step, and of one plan. */
static const char *const score_names[2][MOE_STUDY_SCORES] = {
    {"planned", "next step, quota", "next step, equal", "next step, minmax"},
    {"planned", "every step, quota", "every step, equal",
     "every step, minmax"}};
static const char *const titles[2][MOE_STUDY_SCORES] = {
    {"planned", "next: quota", "next: equal", "next: minmax"},
    {"planned", "steps: quota", "steps: equal", "steps: minmax"}};

/* The last step has no next one. */
static int n_scores_of(const moe_plan_offline *w)
{
    return w->loads.steps > 1 ? MOE_STUDY_SCORES : MOE_STUDY_NEXT;
}

static double balancedness(const moe_tally *tally)
{
    return moe_tally_balance(tally, MOE_BALANCE_MEAN);
}

/* Of the slots that changed; NaN: unknown. */
static double bytes_of(const moe_plan_offline *w, const moe_plan_settings *s)
{
    return s->model != NULL
               ? (double)w->worth.n_moves * moe_model_expert_bytes(&w->model)
               : NAN;
}

static int doubles_of(const moe_plan_offline *w)
{
    int n = 0;
    for (int l = 0; l < w->loads.layers; l++)
        n += w->study.doubles[l];
    return n;
}

static int used_slots(const moe_plan_layer *layer)
{
    int n = 0;
    for (int k = 0; k < layer->gpus * layer->slots; k++)
        n += layer->quota[k] > 0;
    return n;
}

/* One plan of several steps. */
static bool is_one_plan(const moe_plan_offline *w, const moe_plan_settings *s)
{
    return w->loads.steps > 1 && s->steps != MOE_STUDY_EACH;
}

static void say_layers(moe_document *doc, const moe_plan_offline *w,
                       int n_scores, bool one)
{
    const moe_column columns[] = {
        {"layer", NULL, MOE_RIGHT},        {"slots used", NULL, MOE_RIGHT},
        {"same GPU", NULL, MOE_RIGHT},     {"bound", NULL, MOE_RIGHT},
        {titles[one][0], NULL, MOE_RIGHT}, {titles[one][1], NULL, MOE_RIGHT},
        {titles[one][2], NULL, MOE_RIGHT}, {titles[one][3], NULL, MOE_RIGHT}};
    moe_table *t = moe_doc_table(doc, NULL, columns, 4 + (size_t)n_scores);
    for (int l = 0; l < w->loads.layers; l++) {
        const moe_plan_layer layer = moe_plan_at(&w->study.plan, l);
        moe_table_cell(t, "%d", w->loads.layer_number[l]);
        moe_table_cell(t, "%d", used_slots(&layer));
        moe_table_cell(t, "%d", w->study.doubles[l]);
        moe_table_put(t, moe_fixed_cell(balancedness(&w->study.bound[l])));
        for (int i = 0; i < n_scores; i++)
            moe_table_put(t,
                          moe_fixed_cell(balancedness(&w->study.score[i][l])));
    }
}

static void say_conventions(moe_document *doc, const moe_plan_offline *w,
                            int n_scores, bool one)
{
    const moe_column columns[] = {
        {"all layers", NULL, MOE_LEFT},    {"bound", NULL, MOE_RIGHT},
        {titles[one][0], NULL, MOE_RIGHT}, {titles[one][1], NULL, MOE_RIGHT},
        {titles[one][2], NULL, MOE_RIGHT}, {titles[one][3], NULL, MOE_RIGHT}};
    moe_table *t = moe_doc_table(doc, NULL, columns, 2 + (size_t)n_scores);
    const moe_tally bound = moe_tally_sum(w->study.bound, w->loads.layers);
    for (int c = 0; c < MOE_N_BALANCES; c++) {
        const moe_balance by = (moe_balance)c;
        moe_table_cell(t, "%s", moe_plan_conventions[c]);
        moe_table_put(t, moe_fixed_cell(moe_tally_balance(&bound, by)));
        for (int i = 0; i < n_scores; i++) {
            const moe_tally all =
                moe_tally_sum(w->study.score[i], w->loads.layers);
            moe_table_put(t, moe_fixed_cell(moe_tally_balance(&all, by)));
        }
    }
}

static void say_facts(moe_document *doc, const moe_plan_offline *w,
                      const moe_plan_settings *s)
{
    const moe_study *study = &w->study;
    const double slots =
        (double)w->loads.layers * study->plan.gpus * study->plan.slots;
    const double bytes = bytes_of(w, s);
    moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                "replicas that share a GPU with another of their expert: %d",
                doubles_of(w));
    moe_doc_say(
        doc, MOE_DOC_UNDER,
        "slots changed against %s: %zu of %.0f (%.1f %%), %s",
        s->previous != NULL ? s->previous : "the home placement",
        w->worth.n_moves, slots, 100.0 * (double)w->worth.n_moves / slots,
        isnan(bytes) ? "bytes need --model" : moe_bytes_cell(bytes).text);
    if (w->loads.steps > 1 && !is_one_plan(w, s))
        moe_doc_say(
            doc, MOE_DOC_UNDER,
            "slots changed from plan to plan: %zu by %zu plans, %.1f %% a "
            "step",
            study->travelled, study->plans,
            100.0 * (double)study->travelled / slots / (double)w->loads.steps);
    moe_doc_say(doc, MOE_DOC_UNDER,
                "planner time, all layers, CPU of one core: median %s "
                "(%s to %s, n %zu)",
                moe_time_cell(study->time.median).text,
                moe_time_cell(study->time.min).text,
                moe_time_cell(study->time.max).text, study->time.n);
}

static const double SAME = 5e-5; /* what four decimals show as equal */

/* What is won. A plan of its own step says nothing of the next. */
static void say_gain(moe_document *doc, const moe_plan_offline *w,
                     const moe_plan_settings *s)
{
    double most[MOE_N_PLACED];
    for (int i = 0; i < MOE_N_PLACED; i++)
        most[i] = moe_plan_balance(w, i, MOE_BALANCE_IMBALANCE);
    const double gain = 1 - most[MOE_PLANNED] / most[MOE_IN_FORCE];
    moe_doc_say(doc, MOE_DOC_UNDER, "in force: %s, %.4f; %s: %.4f",
                s->previous != NULL ? s->previous : "the home placement",
                moe_plan_balance(w, MOE_IN_FORCE, MOE_BALANCE_MEAN),
                s->emit.n > 0 ? "emitted, every slot filled" : "planned",
                moe_plan_balance(w, MOE_PLANNED, MOE_BALANCE_MEAN));
    if (s->steps == MOE_STUDY_EACH && w->loads.steps > 1)
        fprintf(moe_doc_words(doc),
                " on the last step, of which the last plan is made");
    else if (fabs(gain) < SAME)
        fprintf(moe_doc_words(doc), "; the busiest GPU has as much load");
    else
        fprintf(moe_doc_words(doc), "; the busiest GPU has %s %s load",
                moe_percent_cell(fabs(gain)).text, gain < 0 ? "more" : "less");
}

/* What the columns are scores of. */
static const char *scores_of(const moe_plan_offline *w,
                             const moe_plan_settings *s)
{
    if (is_one_plan(w, s))
        return s->steps == MOE_STUDY_SUM
                   ? "; planned: of the sum of all steps; steps: mean of this "
                     "plan over every step"
                   : "; planned: of the last step; steps: mean of this plan "
                     "over every step";
    return n_scores_of(w) > 1
               ? s->interval == 1
                     ? ", mean over steps; next: the plan of a step on the "
                       "load of the next; slots of the last plan"
                     : ", mean over steps; next: a plan on the loads of the "
                       "steps that it serves; slots of the last plan"
               : "; slots of the last plan";
}

void moe_plan_say(moe_document *doc, const moe_plan_offline *w,
                  const moe_plan_settings *s)
{
    const int n_scores = n_scores_of(w);
    const bool one = is_one_plan(w, s);
    const int nodes = moe_layout_nodes(&w->env.layout);
    moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                "%s: %zu step%s, %d layer%s, %d experts, %d slots on %d "
                "GPUs of %d node%s",
                s->planner->name, w->loads.steps,
                w->loads.steps == 1 ? "" : "s", w->loads.layers,
                w->loads.layers == 1 ? "" : "s", w->loads.experts,
                w->env.layout.gpus * w->env.slots, w->env.layout.gpus, nodes,
                nodes == 1 ? "" : "s");
    moe_doc_say(doc, MOE_DOC_UNDER, "balancedness: mean / max load of a GPU%s",
                scores_of(w, s));
    say_gain(doc, w, s);
    say_layers(doc, w, n_scores, one);
    say_conventions(doc, w, n_scores, one);
    moe_plan_say_worth(doc, w, s);
    say_facts(doc, w, s);
    if (s->previous != NULL && w->worth.n_moves > 0)
        moe_plan_say_arrivals(doc, w, s);
}

static json_t *scores_json(const moe_tally *of_layer, int layers,
                           moe_error *err)
{
    json_t *o = json_object(), *rows = json_array();
    const moe_tally all = moe_tally_sum(of_layer, layers);
    for (int c = 0; c < MOE_N_BALANCES; c++)
        moe_json_put_number(o, moe_balance_name((moe_balance)c),
                            moe_tally_balance(&all, (moe_balance)c), err);
    for (int l = 0; l < layers; l++)
        moe_json_add(rows, moe_json_number(balancedness(&of_layer[l])), err);
    moe_json_put(o, "balancedness", rows, err);
    return o;
}

moe_status moe_plan_write_json(const moe_plan_offline *w,
                               const moe_plan_settings *s, moe_error *err)
{
    const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(12);
    const moe_study *study = &w->study;
    json_t *root = moe_plan_file_json(&study->plan, study->raw,
                                      w->loads.layer_number, err);
    json_t *scores = json_object();
    moe_json_put_text(root, "planner", s->planner->name, err);
    moe_json_put_integer(root, "nodes", moe_layout_nodes(&w->env.layout), err);
    moe_json_put_integer(root, "groups", s->groups, err);
    for (int i = 0; i < MOE_N_PLACED; i++)
        if (i == MOE_IN_FORCE || s->emit.n > 0)
            moe_json_put(scores, i == MOE_IN_FORCE ? "in force" : "emitted",
                         scores_json(w->worth.tally[i], w->loads.layers, err),
                         err);
    moe_json_put(scores, "bound",
                 scores_json(study->bound, w->loads.layers, err), err);
    for (int i = 0; i < n_scores_of(w); i++)
        moe_json_put(scores, score_names[is_one_plan(w, s)][i],
                     scores_json(study->score[i], w->loads.layers, err), err);
    moe_json_put(root, "scores", scores, err);
    if (w->tokens.n > 0) {
        moe_json_put_number(root, "cross_in_force",
                            w->worth.cross[MOE_IN_FORCE], err);
        moe_json_put_number(root, "cross_planned", w->worth.cross[MOE_PLANNED],
                            err);
        moe_json_put_number(root, "cross_near", w->worth.cross_near, err);
    }
    moe_json_put_number(root, "step_s_in_force", w->worth.step_s[MOE_IN_FORCE],
                        err);
    moe_json_put_number(root, "step_s_planned", w->worth.step_s[MOE_PLANNED],
                        err);
    moe_json_put_number(root, "move_s",
                        w->env.pricer != NULL ? w->worth.move.time_s : NAN,
                        err);
    moe_json_put_integer(root, "same_gpu_duplicates", doubles_of(w), err);
    moe_json_put_integer(root, "changed_slots", (int64_t)w->worth.n_moves, err);
    moe_json_put(root, "arrivals", moe_plan_arrivals_json(w, err), err);
    moe_json_put_number(root, "changed_bytes", bytes_of(w, s), err);
    moe_json_put_number(root, "planner_cpu_s", study->time.median, err);
    moe_json_put_integer(root, "planner_samples", (int64_t)study->time.n, err);
    return moe_json_write(root, flags, s->json, s->force, err);
}
