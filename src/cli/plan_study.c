/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include <stdlib.h>

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

moe_status moe_plan_study(moe_plan_offline *w, const moe_plan_settings *s,
                          moe_error *err)
{
    const moe_study_params params = {
        .planner = s->planner,
        .params = w->params,
        .env = &w->env,
        .previous = &w->previous,
        .load = w->loads.load,
        .steps = w->loads.steps,
        .layers = w->loads.layers,
        .repeats = s->repeats,
        .use = w->loads.steps > 1 ? (moe_study_use)s->steps : MOE_STUDY_EACH};
    return moe_study_run(&w->study, &params, err);
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

/* @return balancedness of what is emitted, averaged. */
static double score_emitted(const moe_plan_offline *w,
                            const moe_plan_settings *s, moe_error *err)
{
    const size_t n_l = (size_t)w->loads.layers, n_e = (size_t)w->loads.experts;
    const size_t first = moe_plan_first_step(w, s) * n_l;
    const size_t n = w->loads.steps * n_l;
    moe_value *v = moe_value_new(&w->env, err);
    double sum = 0;
    for (size_t i = first; v != NULL && i < n; i++) {
        const moe_plan_layer layer = {
            w->loads.experts, w->env.layout.gpus, w->env.slots,
            w->emitted.expert + i % n_l * (size_t)w->emitted.slots, NULL};
        const double *load = w->loads.load + i * n_e;
        moe_bulk_passed(load, n_e * sizeof *load);
        sum += 1 / moe_value_imbalance(v, &layer, load, MOE_DIVISION_EQUAL);
    }
    moe_value_free(v);
    return sum / (double)(n - first);
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
                            .expert = w->study.raw,
                            .load = load};
    if (load != NULL && moe_emit_fill(&e, &w->emitted, err) == MOE_OK)
        w->emitted_balance = score_emitted(w, s, err);
    free(load);
    return err->status;
}
