/* SPDX-License-Identifier: Apache-2.0 */
#include "emit.h"

#include <stdio.h>
#include <string.h>

#include "moegps/fill.h"
#include "moegps/mem.h"
#include "moegps/replace.h"

/* Layers that are as many as the model's are those, however they are numbered. */
static bool is_layer(const moe_model *m, int layers, int number, int l)
{
    return layers == m->layers || number == moe_model_layer(m, l);
}

/* Rows of all MoE layers of the model.
 * @return a placement, or MOE_MISMATCH: it has one of another layer. */
static moe_status complete(const moe_placement *p, const moe_model *m,
                           moe_placement *out, moe_error *err)
{
    const size_t n = (size_t)p->slots;
    int next = 0;
    if (moe_placement_init(out, m->layers, p->slots, err) != MOE_OK)
        return err->status;
    out->gpus = p->gpus;
    out->experts = p->experts;
    out->numbered = true;
    for (int l = 0; l < m->layers; l++) {
        int16_t *row = out->expert + (size_t)l * n;
        out->layer_number[l] = moe_model_layer(m, l);
        for (size_t k = 0; k < n; k++)
            row[k] = (int16_t)((int)k % p->experts);
        if (next < p->layers &&
            is_layer(m, p->layers, p->layer_number[next], l))
            memcpy(row, p->expert + (size_t)next++ * n, n * sizeof *row);
    }
    return next == p->layers
               ? MOE_OK
               : moe_fail(err, MOE_MISMATCH,
                          "--emit: layer %d is no MoE layer of %s (%d..%d); "
                          "--layers says which were recorded",
                          p->layer_number[next], m->name, m->first_layer,
                          moe_model_last_layer(m));
}

static void check_layers(const moe_placement *p, const moe_model *m,
                         moe_error *err)
{
    moe_placement all = {0};
    if (m != NULL && err->status == MOE_OK)
        complete(p, m, &all, err);
    moe_placement_fini(&all);
}

moe_status moe_emit_fill(const moe_emission *e, moe_placement *out,
                         moe_error *err)
{
    moe_error local = {0};
    moe_placement p = {0};
    const size_t slots = (size_t)e->gpus * (size_t)e->slots;
    if (moe_placement_init(&p, e->layers, (int)slots, &local) != MOE_OK)
        return moe_pass(err, &local);
    p.gpus = e->gpus;
    p.experts = e->experts;
    p.numbered = true;
    memcpy(p.layer_number, e->layer_number,
           (size_t)p.layers * sizeof *p.layer_number);
    memcpy(p.expert, e->expert, (size_t)p.layers * slots * sizeof *p.expert);
    for (int l = 0; l < p.layers && local.status == MOE_OK; l++)
        moe_fill(e->load + (size_t)l * (size_t)e->experts, p.experts, p.gpus,
                 e->slots, p.expert + (size_t)l * slots, &local);
    check_layers(&p, e->model, &local);
    if (local.status == MOE_OK) {
        *out = p;
        return MOE_OK;
    }
    moe_placement_fini(&p);
    return moe_pass(err, &local);
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

moe_status moe_emit_check(const moe_strings *emit, bool force, moe_error *err)
{
    const char *path = NULL;
    for (int i = 0; i < emit->n && err->status == MOE_OK; i++)
        if (form_of(emit->text[i], &path) == MOE_N_FORMS || *path == '\0')
            moe_fail(err, MOE_USAGE,
                     "--emit: '%s' is not ENGINE=FILE with one of sglang, "
                     "vllm, trtllm, ascend",
                     emit->text[i]);
        else
            moe_replace_check(path, force, err);
    return err->status;
}

static moe_status write_all(const moe_strings *emit, const moe_placement *p,
                            const moe_model *model, bool force, moe_error *err)
{
    for (int i = 0; i < emit->n && err->status == MOE_OK; i++) {
        const char *path = NULL;
        moe_replace to;
        const moe_engine_form form = form_of(emit->text[i], &path);
        FILE *out = moe_replace_open(&to, path, force, err);
        if (out == NULL)
            break;
        moe_placement_write(p, form, model != NULL ? model->name : "model",
                            model != NULL ? moe_model_last_layer(model) + 1 : 0,
                            out, err);
        moe_replace_close(&to, out, err);
    }
    return err->status;
}

moe_status moe_emit_write(const moe_strings *emit, const moe_placement *p,
                          const moe_model *model, bool force, moe_error *err)
{
    moe_placement all = {0};
    if (emit->n == 0 || model == NULL)
        return write_all(emit, p, model, force, err);
    if (complete(p, model, &all, err) == MOE_OK &&
        write_all(emit, &all, model, force, err) == MOE_OK &&
        p->layers < model->layers)
        fprintf(stderr,
                "moegps: %d of %d MoE layers of %s were not recorded: their "
                "experts are in order\n",
                model->layers - p->layers, model->layers, model->name);
    moe_placement_fini(&all);
    return err->status;
}
