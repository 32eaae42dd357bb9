/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "moegps/json.h"
#include "moegps/table.h"

static const char *const score_names[PLAN_N_SCORES] = {
    "planned", "next step, quota", "next step, equal", "next step, minmax"};

static moe_plan_tally sum_of(const moe_plan_tally *of_layer, int layers)
{
    moe_plan_tally t = {0};
    for (int l = 0; l < layers; l++) {
        t.ratio += of_layer[l].ratio;
        t.inverse += of_layer[l].inverse;
        t.mean += of_layer[l].mean;
        t.most += of_layer[l].most;
        t.n += of_layer[l].n;
    }
    return t;
}

/* The conventions in use for how even a plan is; papers and programs mean
 * different ones by the same words. */
enum { N_CONVENTIONS = 4 };
static const char *const conventions[N_CONVENTIONS][2] = {
    {"mean/max, then averaged", "balancedness_mean"},
    {"sum of means / sum of max", "balancedness_of_sums"},
    {"max/mean, averaged", "imbalance"},
    {"max/mean - 1, averaged", "excess"}};

static double by_convention(const moe_plan_tally *t, int which)
{
    const double n = (double)t->n;
    switch (which) {
    case 0:
        return t->n > 0 ? t->ratio / n : NAN;
    case 1:
        return t->n > 0 ? t->mean / t->most : NAN;
    case 2:
        return t->n > 0 ? t->inverse / n : NAN;
    default:
        return t->n > 0 ? t->inverse / n - 1 : NAN;
    }
}

static int used_slots(const moe_plan_layer *layer)
{
    int n = 0;
    for (int k = 0; k < layer->gpus * layer->slots; k++)
        n += layer->quota[k] > 0;
    return n;
}

static void print_layers(const moe_plan_work *w, int n_scores)
{
    static const moe_column columns[] = {
        {"layer", NULL, MOE_RIGHT},       {"slots used", NULL, MOE_RIGHT},
        {"same GPU", NULL, MOE_RIGHT},    {"bound", NULL, MOE_RIGHT},
        {"planned", NULL, MOE_RIGHT},     {"next: quota", NULL, MOE_RIGHT},
        {"next: equal", NULL, MOE_RIGHT}, {"next: minmax", NULL, MOE_RIGHT}};
    moe_table *table = moe_table_new(columns, 4 + (size_t)n_scores);
    for (int l = 0; l < w->loads.layers; l++) {
        const moe_plan_layer layer = moe_plan_at(&w->plan, l);
        moe_table_cell(table, "%d", l);
        moe_table_cell(table, "%d", used_slots(&layer));
        moe_table_cell(table, "%d", w->doubles[l]);
        moe_table_cell(table, "%.4f", by_convention(&w->bound[l], 0));
        for (int i = 0; i < n_scores; i++)
            moe_table_cell(table, "%.4f", by_convention(&w->score[i][l], 0));
    }
    moe_table_print(table, stdout);
    moe_table_free(table);
}

static void print_conventions(const moe_plan_work *w, int n_scores)
{
    static const moe_column columns[] = {
        {"all layers", NULL, MOE_LEFT},   {"bound", NULL, MOE_RIGHT},
        {"planned", NULL, MOE_RIGHT},     {"next: quota", NULL, MOE_RIGHT},
        {"next: equal", NULL, MOE_RIGHT}, {"next: minmax", NULL, MOE_RIGHT}};
    moe_table *table = moe_table_new(columns, 2 + (size_t)n_scores);
    const moe_plan_tally bound = sum_of(w->bound, w->loads.layers);
    for (int c = 0; c < N_CONVENTIONS; c++) {
        moe_table_cell(table, "%s", conventions[c][0]);
        moe_table_cell(table, "%.4f", by_convention(&bound, c));
        for (int i = 0; i < n_scores; i++) {
            const moe_plan_tally t = sum_of(w->score[i], w->loads.layers);
            moe_table_cell(table, "%.4f", by_convention(&t, c));
        }
    }
    moe_table_print(table, stdout);
    moe_table_free(table);
}

moe_status moe_plan_collect(moe_plan_work *w, const moe_plan_settings *s,
                            moe_plan_facts *f, moe_error *err)
{
    f->changed = moe_plan_moves(&w->previous, &w->plan, 0, w->loads.layers,
                                &w->env.layout, w->moves);
    f->bytes = s->model != NULL
                   ? (double)f->changed * moe_model_expert_bytes(&w->model)
                   : NAN;
    f->doubles = 0;
    for (int l = 0; l < w->loads.layers; l++)
        f->doubles += w->doubles[l];
    return moe_summarise(w->time_s, w->loads.steps * (size_t)s->repeats,
                         &f->time, err);
}

static void print_facts(const moe_plan_work *w, const moe_plan_settings *s,
                        const moe_plan_facts *f)
{
    const size_t slots =
        (size_t)w->loads.layers * (size_t)w->plan.gpus * (size_t)w->plan.slots;
    char bytes[32] = "bytes need --model", text[3][32];
    if (!isnan(f->bytes))
        moe_format_bytes(f->bytes, bytes, sizeof bytes);
    printf("replicas that share a GPU with another of their expert: %d\n",
           f->doubles);
    printf("slots changed against %s: %zu of %zu (%.1f %%), %s\n",
           s->previous != NULL ? s->previous : "the home placement", f->changed,
           slots, 100.0 * (double)f->changed / (double)slots, bytes);
    if (w->loads.steps > 1)
        printf("slots changed from step to step: %zu, %.1f %% a step\n",
               w->changed,
               100.0 * (double)w->changed / (double)slots /
                   (double)w->loads.steps);
    moe_format_time(f->time.median, text[0], sizeof text[0]);
    moe_format_time(f->time.min, text[1], sizeof text[1]);
    moe_format_time(f->time.max, text[2], sizeof text[2]);
    printf("planner time, all layers, CPU of one core: median %s (%s to %s, "
           "n %zu)\n",
           text[0], text[1], text[2], f->time.n);
}

void moe_plan_print(const moe_plan_work *w, const moe_plan_settings *s,
                    const moe_plan_facts *f)
{
    const int n_scores = w->loads.steps > 1 ? PLAN_N_SCORES : PLAN_NEXT;
    printf("%s: %zu step%s, %d layers, %d experts, %d slots on %d GPUs of %d "
           "node%s\n",
           w->planner->name, w->loads.steps, w->loads.steps == 1 ? "" : "s",
           w->loads.layers, w->loads.experts, w->plan.gpus * w->plan.slots,
           w->plan.gpus, s->nodes, s->nodes == 1 ? "" : "s");
    printf("balancedness: mean / max load of a GPU%s; slots of the last "
           "plan\n\n",
           n_scores > 1 ? ", mean over steps; next: the plan of a step on the "
                          "load of the next"
                        : "");
    print_layers(w, n_scores);
    putchar('\n');
    print_conventions(w, n_scores);
    putchar('\n');
    print_facts(w, s, f);
}

static json_t *scores_json(const moe_plan_tally *of_layer, int layers,
                           moe_error *err)
{
    json_t *o = json_object(), *rows = json_array();
    const moe_plan_tally all = sum_of(of_layer, layers);
    for (int c = 0; c < N_CONVENTIONS; c++)
        moe_json_put_number(o, conventions[c][1], by_convention(&all, c), err);
    for (int l = 0; l < layers; l++)
        moe_json_add(rows, moe_json_number(by_convention(&of_layer[l], 0)),
                     err);
    moe_json_put(o, "balancedness", rows, err);
    return o;
}

moe_status moe_plan_write_json(const moe_plan_work *w,
                               const moe_plan_settings *s,
                               const moe_plan_facts *f, moe_error *err)
{
    const size_t flags = JSON_COMPACT | JSON_REAL_PRECISION(12);
    json_t *root = moe_plan_file_json(&w->plan, w->raw, err),
           *scores = json_object();
    moe_json_put_text(root, "planner", w->planner->name, err);
    moe_json_put_integer(root, "nodes", s->nodes, err);
    moe_json_put_integer(root, "groups", s->groups, err);
    moe_json_put(scores, "bound", scores_json(w->bound, w->loads.layers, err),
                 err);
    for (int i = 0; i < (w->loads.steps > 1 ? PLAN_N_SCORES : PLAN_NEXT); i++)
        moe_json_put(scores, score_names[i],
                     scores_json(w->score[i], w->loads.layers, err), err);
    moe_json_put(root, "scores", scores, err);
    moe_json_put_integer(root, "same_gpu_duplicates", f->doubles, err);
    moe_json_put_integer(root, "changed_slots", (json_int_t)f->changed, err);
    moe_json_put_number(root, "changed_bytes", f->bytes, err);
    moe_json_put_number(root, "planner_cpu_s", f->time.median, err);
    moe_json_put_integer(root, "planner_samples", (json_int_t)f->time.n, err);
    return moe_json_write(root, flags, s->json, s->force, err);
}
