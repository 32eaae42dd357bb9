/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/fill.h"
#include "moegps/mem.h"
#include "moegps/placement.h"
#include "moegps/replace.h"
#include "plan.h"

/* @return what is planned, one layer of it: the sum of all steps, or the last
 * one. @param load  [experts] overwritten */
static void planned_load(const moe_plan_offline *w, const moe_plan_settings *s,
                         int layer, double *load)
{
    const size_t n_e = (size_t)w->loads.experts, n_l = (size_t)w->loads.layers;
    const size_t first = s->steps == MOE_STUDY_SUM ? 0 : w->loads.steps - 1;
    memset(load, 0, n_e * sizeof *load);
    for (size_t t = first; t < w->loads.steps; t++)
        for (size_t e = 0; e < n_e; e++)
            load[e] += w->loads.load[(t * n_l + (size_t)layer) * n_e + e];
}

static void make(const moe_plan_offline *w, const moe_plan_settings *s,
                 moe_placement *p, moe_error *err)
{
    const int slots = s->gpus * w->env.slots;
    double *load = moe_array_new((size_t)w->loads.experts, sizeof *load, err);
    if (load == NULL ||
        moe_placement_init(p, w->loads.layers, slots, err) != MOE_OK) {
        free(load);
        return;
    }
    p->gpus = s->gpus;
    p->experts = w->loads.experts;
    p->numbered = true;
    memcpy(p->layer_number, w->loads.layer_number,
           (size_t)p->layers * sizeof *p->layer_number);
    memcpy(p->expert, w->study.raw,
           (size_t)p->layers * (size_t)slots * sizeof *p->expert);
    for (int l = 0; l < p->layers && err->status == MOE_OK; l++) {
        planned_load(w, s, l, load);
        moe_fill(load, p->experts, s->gpus, w->env.slots,
                 p->expert + (size_t)l * (size_t)slots, err);
    }
    free(load);
}

/* @return the engine of ENGINE=FILE; MOE_N_FORMS: there is none of this name. */
static moe_engine_form form_of(const char *text, const char **path)
{
    const char *equals = strchr(text, '=');
    const size_t n = equals != NULL ? (size_t)(equals - text) : 0;
    int form = 0;
    for (; form < MOE_N_FORMS; form++) {
        const char *name = moe_engine_form_name((moe_engine_form)form);
        if (n == strlen(name) && strncmp(text, name, n) == 0)
            break;
    }
    *path = equals != NULL ? equals + 1 : "";
    return (moe_engine_form)form;
}

static void write(const moe_plan_offline *w, const moe_plan_settings *s,
                  const moe_placement *p, const char *text, moe_error *err)
{
    const char *path = NULL;
    moe_replace to;
    const moe_engine_form form = form_of(text, &path);
    const bool model = s->model != NULL;
    if (form == MOE_N_FORMS || *path == '\0') {
        moe_fail(err, MOE_USAGE,
                 "--emit: '%s' is not ENGINE=FILE with one of sglang, vllm, "
                 "trtllm, ascend",
                 text);
        return;
    }
    FILE *out = moe_replace_open(&to, path, s->force, err);
    if (out == NULL)
        return;
    moe_placement_write(p, form, model ? w->model.name : "model",
                        model ? moe_model_last_layer(&w->model) + 1 : 0, out,
                        err);
    moe_replace_close(&to, out, err);
}

moe_status moe_plan_emit(const moe_plan_offline *w, const moe_plan_settings *s,
                         moe_error *err)
{
    moe_error local = {0};
    moe_placement p = {0};
    if (s->emit.n > 0)
        make(w, s, &p, &local);
    for (int i = 0; i < s->emit.n && local.status == MOE_OK; i++)
        write(w, s, &p, s->emit.text[i], &local);
    moe_placement_fini(&p);
    return moe_pass(err, &local);
}
