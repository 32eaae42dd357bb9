/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "map_export.h"
#include "moegps/mem.h"
#include "outlook.h"

/* A member that cannot be made makes its object NULL in the end: jansson
 * takes NULL for an error wherever it is put. */
static void put(json_t **object, const char *key, json_t *value)
{
    if (*object == NULL) {
        json_decref(value);
    } else if (json_object_set_new(*object, key, value) != 0) {
        json_decref(*object);
        *object = NULL;
    }
}

/* JSON has no NaN. */
static json_t *number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *name_of(const moe_view *v, int s)
{
    return s >= 0 ? moe_json_text(v->strategy[s].name) : json_null();
}

static json_t *turn(const moe_turn *t, const moe_view *v)
{
    json_t *object = json_object();
    put(&object, "at", number(t->at));
    put(&object, "winner", isnan(t->at) ? json_null() : name_of(v, t->winner));
    put(&object, "looked_to", number(t->end));
    return object;
}

static json_t *stages(const moe_outlook *o, const moe_view *v)
{
    static const char *const keys[MOE_N_PERFECTS] = {
        "actual_s", "minmax_s", "oracle_plan_s",
        "best_s",   "bound_s",  "placed_s"};
    json_t *all = json_array();
    for (int s = 0; s < v->dims.strategies; s++) {
        json_t *object = json_object();
        put(&object, "strategy", name_of(v, s));
        for (int k = 0; k < MOE_N_PERFECTS; k++)
            put(&object, keys[k], number(o->stage_s[s * MOE_N_PERFECTS + k]));
        put(&object, "n", json_integer((json_int_t)o->together[s].n));
        put(&object, "together", number(o->together[s].median));
        put(&object, "together_ci_low", number(o->together[s].ci_low));
        put(&object, "together_ci_high", number(o->together[s].ci_high));
        if (json_array_append_new(all, object) != 0) {
            json_decref(all);
            return NULL;
        }
    }
    return all;
}

static json_t *break_even(const moe_view *v)
{
    const moe_break_even b = moe_break_even_of(v);
    json_t *object = json_object();
    put(&object, "strategy", name_of(v, b.strategy));
    put(&object, "rival", name_of(v, b.rival));
    put(&object, "predict_s", number(b.predict_s));
    put(&object, "limit_s", number(b.limit_s));
    put(&object, "recall", number(b.recall));
    put(&object, "without", name_of(v, b.without));
    put(&object, "recall_needed", number(b.recall_needed));
    return object;
}

static json_t *bandwidth(const moe_outlook *o, const moe_view *v)
{
    json_t *object = json_object();
    put(&object, "link", json_string(moe_link_name(o->network)));
    put(&object, "here", number(o->bandwidth));
    put(&object, "below", turn(&o->slower, v));
    put(&object, "above", turn(&o->faster, v));
    return object;
}

static json_t *tokens(const moe_outlook *o, const moe_view *v)
{
    json_t *object = json_object();
    put(&object, "here", number(o->tokens));
    put(&object, "below", turn(&o->fewer, v));
    put(&object, "above", turn(&o->more, v));
    return object;
}

json_t *moe_outlook_json(const moe_outlook *o, const moe_view *v)
{
    json_t *object = json_object();
    put(&object, "clock", json_string("modelled"));
    put(&object, "break_even", break_even(v));
    put(&object, "why_not", o->known ? json_null() : moe_json_text(o->why));
    if (!o->known)
        return object;
    put(&object, "fit", number(o->fit));
    put(&object, "winner", name_of(v, o->winner));
    put(&object, "second", name_of(v, o->second));
    put(&object, "lead_s", number(o->lead_s));
    put(&object, "cost_model_error_s", number(o->error_s));
    put(&object, "close", json_boolean(o->close));
    put(&object, "tokens", tokens(o, v));
    put(&object, "bandwidth", bandwidth(o, v));
    put(&object, "stages", stages(o, v));
    return object;
}
