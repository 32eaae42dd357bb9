/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>

#include "plan.h"

/* Which GPUs are planned, and what they must load: a rank died, or joined. */

/* ---- which GPUs ---- */

moe_status moe_plan_read_active(moe_plan_offline *w, const moe_plan_settings *s,
                                moe_error *err)
{
    char all[32];
    moe_error local = {0};
    snprintf(all, sizeof all, "0-%d", s->gpus - 1);
    if (moe_ranges_parse(s->active != NULL ? s->active : all, s->gpus - 1,
                         &w->active, &local) != MOE_OK)
        moe_error_prefix(&local, "--active");
    else if (s->active != NULL && s->nodes > 1 &&
             w->active.n != (size_t)s->gpus)
        moe_fail(&local, MOE_USAGE,
                 "--active: nodes of unequal GPUs are not planned: leave "
                 "--nodes out");
    for (size_t i = 1; local.status == MOE_OK && i < w->active.n; i++)
        if (w->active.number[i] < w->active.number[i - 1])
            moe_fail(&local, MOE_USAGE, "--active: '%s' does not rise",
                     s->active);
    return moe_pass(err, &local);
}

/* ---- what must be loaded where ---- */

static size_t arrivals(const moe_plan_worth *worth, int gpu, bool lost)
{
    size_t n = 0;
    for (size_t i = 0; i < worth->n_moves; i++)
        n += worth->moves[i].gpu == gpu && (!lost || worth->moves[i].from < 0);
    return n;
}

void moe_plan_say_arrivals(moe_document *doc, const moe_plan_offline *w,
                           const moe_plan_settings *s)
{
    const moe_column columns[] = {{"GPU", NULL, MOE_RIGHT},
                                  {"loads", "experts", MOE_RIGHT},
                                  {"of these", "from storage", MOE_RIGHT},
                                  {"bytes", NULL, MOE_RIGHT}};
    moe_table *t = moe_doc_table(
        doc, "what must be loaded where (--json lists each)", columns, 4);
    for (int g = 0; g < w->env.layout.gpus; g++) {
        const size_t n = arrivals(&w->worth, g, false);
        moe_table_cell(t, "%d", w->active.number[g]);
        moe_table_cell(t, "%zu", n);
        moe_table_cell(t, "%zu", arrivals(&w->worth, g, true));
        moe_table_put(t, moe_bytes_cell(
                             s->model != NULL
                                 ? (double)n * moe_model_expert_bytes(&w->model)
                                 : NAN));
    }
}

json_t *moe_plan_arrivals_json(const moe_plan_offline *w, moe_error *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < w->worth.n_moves; i++) {
        const moe_arrival *a = &w->worth.moves[i];
        json_t *o = json_object();
        moe_json_put_integer(o, "layer", w->loads.layer_number[a->layer], err);
        moe_json_put_integer(o, "expert", a->expert, err);
        moe_json_put_integer(o, "gpu", w->active.number[a->gpu], err);
        moe_json_put(o, "from",
                     a->from >= 0 ? json_integer(w->active.number[a->from])
                                  : json_null(),
                     err);
        moe_json_add(list, o, err);
    }
    return list;
}
