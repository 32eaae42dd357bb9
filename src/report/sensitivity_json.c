/* SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <math.h>

static json_t *name_of(const moe_view *v, int s)
{
    return s >= 0 ? moe_json_text(v->strategy[s].name) : json_null();
}

static json_t *turn(const moe_turn *t, const moe_view *v, moe_error *err)
{
    json_t *object = json_object();
    moe_json_put(object, "at", moe_json_number(t->at), err);
    moe_json_put(object, "winner",
                 isnan(t->at) ? json_null() : name_of(v, t->winner), err);
    moe_json_put(object, "looked_to", moe_json_number(t->end), err);
    return object;
}

static json_t *stages(const moe_sensitivity *o, const moe_view *v,
                      moe_error *err)
{
    static const char *const keys[MOE_N_PERFECTS] = {
        "actual_s", "minmax_s", "oracle_plan_s",
        "best_s",   "bound_s",  "placed_s"};
    json_t *all = json_array();
    for (int s = 0; s < v->dims.strategies; s++) {
        json_t *object = json_object();
        moe_json_put(object, "strategy", name_of(v, s), err);
        for (int k = 0; k < MOE_N_PERFECTS; k++)
            moe_json_put(object, keys[k],
                         moe_json_number(o->stage_s[s * MOE_N_PERFECTS + k]),
                         err);
        moe_json_put(object, "n", json_integer((json_int_t)o->joint_share[s].n),
                     err);
        moe_json_put(object, "together",
                     moe_json_number(o->joint_share[s].median), err);
        moe_json_put(object, "together_ci_low",
                     moe_json_number(o->joint_share[s].ci_low), err);
        moe_json_put(object, "together_ci_high",
                     moe_json_number(o->joint_share[s].ci_high), err);
        moe_json_add(all, object, err);
    }
    return all;
}

static json_t *break_even(const moe_break_even *b, const moe_view *v,
                          moe_error *err)
{
    json_t *object = json_object();
    moe_json_put(object, "strategy", name_of(v, b->strategy), err);
    moe_json_put(object, "rival", name_of(v, b->rival), err);
    moe_json_put(object, "predict_s", moe_json_number(b->predict_s), err);
    moe_json_put(object, "limit_s", moe_json_number(b->limit_s), err);
    moe_json_put(object, "recall", moe_json_number(b->recall), err);
    moe_json_put(object, "without", name_of(v, b->without), err);
    moe_json_put(object, "recall_needed", moe_json_number(b->recall_needed),
                 err);
    return object;
}

static json_t *bandwidth(const moe_sensitivity *o, const moe_view *v,
                         moe_error *err)
{
    json_t *object = json_object();
    moe_json_put(object, "link", json_string(moe_link_name(o->network)), err);
    moe_json_put(object, "here", moe_json_number(o->bandwidth), err);
    moe_json_put(object, "below", turn(&o->slower, v, err), err);
    moe_json_put(object, "above", turn(&o->faster, v, err), err);
    return object;
}

static json_t *tokens(const moe_sensitivity *o, const moe_view *v,
                      moe_error *err)
{
    json_t *object = json_object();
    moe_json_put(object, "here", moe_json_number(o->tokens), err);
    moe_json_put(object, "below", turn(&o->fewer, v, err), err);
    moe_json_put(object, "above", turn(&o->more, v, err), err);
    return object;
}

json_t *moe_sensitivity_json(const moe_run_analysis *run, moe_error *err)
{
    const moe_sensitivity *o = &run->sensitivity;
    const moe_view *v = run->view;
    json_t *object = json_object();
    moe_json_put(object, "clock", json_string("modelled"), err);
    moe_json_put(object, "break_even", break_even(&run->break_even, v, err),
                 err);
    moe_json_put(object, "why_not",
                 o->known ? json_null() : moe_json_text(o->why_not), err);
    if (!o->known)
        return object;
    moe_json_put(object, "fit", moe_json_number(o->sample_error), err);
    moe_json_put(object, "winner", name_of(v, o->winner), err);
    moe_json_put(object, "second", name_of(v, o->second), err);
    moe_json_put(object, "lead_s", moe_json_number(o->lead_s), err);
    moe_json_put(object, "cost_model_error_s", moe_json_number(o->error_s),
                 err);
    moe_json_put(object, "close", json_boolean(o->undecided), err);
    moe_json_put(object, "tokens", tokens(o, v, err), err);
    moe_json_put(object, "bandwidth", bandwidth(o, v, err), err);
    moe_json_put(object, "stages", stages(o, v, err), err);
    return object;
}
