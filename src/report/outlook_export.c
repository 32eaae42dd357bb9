/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "moegps/break_even.h"
#include "json.h"

static json_t *name_of(const moe_view *v, int s)
{
    return s >= 0 ? moe_json_text(v->strategy[s].name) : json_null();
}

static json_t *turn(const moe_turn *t, const moe_view *v, bool *ok)
{
    json_t *object = json_object();
    moe_json_put(object, "at", moe_json_number(t->at), ok);
    moe_json_put(object, "winner",
                 isnan(t->at) ? json_null() : name_of(v, t->winner), ok);
    moe_json_put(object, "looked_to", moe_json_number(t->end), ok);
    return object;
}

static json_t *stages(const moe_outlook *o, const moe_view *v, bool *ok)
{
    static const char *const keys[MOE_N_PERFECTS] = {
        "actual_s", "minmax_s", "oracle_plan_s",
        "best_s",   "bound_s",  "placed_s"};
    json_t *all = json_array();
    for (int s = 0; s < v->dims.strategies; s++) {
        json_t *object = json_object();
        moe_json_put(object, "strategy", name_of(v, s), ok);
        for (int k = 0; k < MOE_N_PERFECTS; k++)
            moe_json_put(object, keys[k],
                         moe_json_number(o->stage_s[s * MOE_N_PERFECTS + k]),
                         ok);
        moe_json_put(object, "n", json_integer((json_int_t)o->together[s].n),
                     ok);
        moe_json_put(object, "together", moe_json_number(o->together[s].median),
                     ok);
        moe_json_put(object, "together_ci_low",
                     moe_json_number(o->together[s].ci_low), ok);
        moe_json_put(object, "together_ci_high",
                     moe_json_number(o->together[s].ci_high), ok);
        moe_json_add(all, object, ok);
    }
    return all;
}

static json_t *break_even(const moe_view *v, bool *ok)
{
    const moe_break_even b = moe_break_even_of(v);
    json_t *object = json_object();
    moe_json_put(object, "strategy", name_of(v, b.strategy), ok);
    moe_json_put(object, "rival", name_of(v, b.rival), ok);
    moe_json_put(object, "predict_s", moe_json_number(b.predict_s), ok);
    moe_json_put(object, "limit_s", moe_json_number(b.limit_s), ok);
    moe_json_put(object, "recall", moe_json_number(b.recall), ok);
    moe_json_put(object, "without", name_of(v, b.without), ok);
    moe_json_put(object, "recall_needed", moe_json_number(b.recall_needed), ok);
    return object;
}

static json_t *bandwidth(const moe_outlook *o, const moe_view *v, bool *ok)
{
    json_t *object = json_object();
    moe_json_put(object, "link", json_string(moe_link_name(o->network)), ok);
    moe_json_put(object, "here", moe_json_number(o->bandwidth), ok);
    moe_json_put(object, "below", turn(&o->slower, v, ok), ok);
    moe_json_put(object, "above", turn(&o->faster, v, ok), ok);
    return object;
}

static json_t *tokens(const moe_outlook *o, const moe_view *v, bool *ok)
{
    json_t *object = json_object();
    moe_json_put(object, "here", moe_json_number(o->tokens), ok);
    moe_json_put(object, "below", turn(&o->fewer, v, ok), ok);
    moe_json_put(object, "above", turn(&o->more, v, ok), ok);
    return object;
}

json_t *moe_outlook_json(const moe_outlook *o, const moe_view *v, bool *ok)
{
    json_t *object = json_object();
    moe_json_put(object, "clock", json_string("modelled"), ok);
    moe_json_put(object, "break_even", break_even(v, ok), ok);
    moe_json_put(object, "why_not",
                 o->known ? json_null() : moe_json_text(o->why), ok);
    if (!o->known)
        return object;
    moe_json_put(object, "fit", moe_json_number(o->fit), ok);
    moe_json_put(object, "winner", name_of(v, o->winner), ok);
    moe_json_put(object, "second", name_of(v, o->second), ok);
    moe_json_put(object, "lead_s", moe_json_number(o->lead_s), ok);
    moe_json_put(object, "cost_model_error_s", moe_json_number(o->error_s), ok);
    moe_json_put(object, "close", json_boolean(o->close), ok);
    moe_json_put(object, "tokens", tokens(o, v, ok), ok);
    moe_json_put(object, "bandwidth", bandwidth(o, v, ok), ok);
    moe_json_put(object, "stages", stages(o, v, ok), ok);
    return object;
}
