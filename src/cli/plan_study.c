/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

#include "emit.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"

moe_status moe_plan_check_slots(const moe_plan_offline *w,
                                const moe_plan_settings *s, int slots,
                                moe_error *err)
{
    const int all = slots * (int)w->active.n;
    if (slots == 0 || all >= w->loads.experts)
        return MOE_OK;
    return moe_fail(err, MOE_USAGE, "%s: %d slots are too few for %d experts",
                    s->slots > 0 ? "--slots" : "--replicas", all,
                    w->loads.experts);
}

moe_study_params moe_plan_study_params(const moe_plan_offline *w,
                                       const moe_plan_settings *s)
{
    return (moe_study_params){
        .planner = s->planner,
        .params = w->params,
        .env = &w->env,
        .previous = &w->previous,
        .load = w->loads.load,
        .steps = w->loads.steps,
        .layers = w->loads.layers,
        .repeats = s->repeats,
        .use = w->loads.steps > 1 ? (moe_study_use)s->steps : MOE_STUDY_EACH};
}

moe_status moe_plan_study(moe_plan_offline *w, const moe_plan_settings *s,
                          moe_error *err)
{
    moe_progress progress;
    moe_study_params params = moe_plan_study_params(w, s);
    params.progress = &progress;
    moe_progress_begin(&progress, "steps", (int)params.steps, true);
    moe_study_run(&w->study, &params, err);
    moe_progress_end(&progress);
    return err->status;
}

/* ---- for engines ---- */

/* @return [layers][experts] of what is planned: the sum of all steps, or the
 * last one; to be freed. */
static double *planned_load(const moe_plan_offline *w,
                            const moe_plan_settings *s, moe_error *err)
{
    const size_t n = (size_t)w->loads.layers * (size_t)w->loads.experts;
    const size_t first = s->steps == MOE_STUDY_SUM ? 0 : w->loads.steps - 1;
    double *load = moe_array_new(n, sizeof *load, err);
    for (size_t i = first * n; load != NULL && i < w->loads.steps * n; i++) {
        if (i % n == 0)
            moe_bulk_passed(w->loads.load + i, n * sizeof *load);
        load[i % n] += w->loads.load[i];
    }
    return load;
}

moe_status moe_plan_fill(moe_plan_offline *w, const moe_plan_settings *s,
                         moe_error *err)
{
    double *load = s->emit.n > 0 ? planned_load(w, s, err) : NULL;
    const moe_emission e = {.layers = w->loads.layers,
                            .experts = w->loads.experts,
                            .gpus = w->env.layout.gpus,
                            .slots = w->env.slots,
                            .layer_number = w->loads.layer_number,
                            .model = s->model != NULL ? &w->model : NULL,
                            .expert = w->study.raw,
                            .load = load};
    if (load != NULL && moe_emit_fill(&e, &w->emitted, err) == MOE_OK &&
        moe_plan_init(&w->filled, e.layers, e.experts, e.gpus, e.slots, err) ==
            MOE_OK)
        memcpy(w->filled.expert, w->emitted.expert,
               (size_t)e.layers * (size_t)w->emitted.slots *
                   sizeof *w->filled.expert);
    free(load);
    return err->status;
}
