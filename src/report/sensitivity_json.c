/* SPDX-License-Identifier: Apache-2.0 */
#include "forms.h"

#include <math.h>

#include "moegps/mem.h"

#define SENSITIVITY(key, member) MOE_JSON_MEMBER(key, moe_sensitivity, member)
#define BREAK_EVEN(key, member) MOE_JSON_MEMBER(key, moe_break_even, member)
#define SUMMARY(key, member) MOE_JSON_MEMBER(key, moe_summary, member)

static void put_strategy(json_t *object, const char *key, const moe_view *v,
                         int s, moe_error *err)
{
    moe_json_put(object, key,
                 s >= 0 ? moe_json_text(v->strategy[s].name) : json_null(),
                 err);
}

static void put_turn(json_t *object, const char *key, const moe_turn *t,
                     const moe_view *v, moe_error *err)
{
    json_t *turn = json_object();
    moe_json_put_number(turn, "safe", t->safe, err);
    moe_json_put_number(turn, "at", t->at, err);
    moe_json_put_number(turn, "until", t->until, err);
    put_strategy(turn, "winner", v, isnan(t->at) ? -1 : t->winner, err);
    moe_json_put_number(turn, "looked_to", t->end, err);
    moe_json_put(object, key, turn, err);
}

static json_t *stages(const moe_sensitivity *o, const moe_view *v,
                      moe_error *err)
{
    static const char *const keys[MOE_N_PERFECTS] = {
        "actual_s", "minmax_s", "oracle_plan_s",
        "best_s",   "bound_s",  "placed_s"};
    static const moe_json_member together[] = {
        SUMMARY("n", n), SUMMARY("together", median),
        SUMMARY("together_ci_low", ci_low),
        SUMMARY("together_ci_high", ci_high)};
    json_t *all = json_array();
    for (int s = 0; s < v->dims.strategies; s++) {
        json_t *object = json_object();
        put_strategy(object, "strategy", v, s, err);
        for (int k = 0; k < MOE_N_PERFECTS; k++)
            moe_json_put_number(object, keys[k],
                                o->stage_s[s * MOE_N_PERFECTS + k], err);
        moe_json_put_members(object, together, MOE_ARRAY_LEN(together),
                             &o->joint_share[s], err);
        moe_json_add(all, object, err);
    }
    return all;
}

static json_t *break_even(const moe_break_even *b, const moe_view *v,
                          moe_error *err)
{
    static const moe_json_member costs[] = {BREAK_EVEN("predict_s", predict_s),
                                            BREAK_EVEN("limit_s", limit_s),
                                            BREAK_EVEN("recall", recall)};
    json_t *object = json_object();
    put_strategy(object, "strategy", v, b->strategy, err);
    put_strategy(object, "rival", v, b->rival, err);
    moe_json_put_members(object, costs, MOE_ARRAY_LEN(costs), b, err);
    put_strategy(object, "without", v, b->without, err);
    moe_json_put_number(object, "recall_needed", b->recall_needed, err);
    return object;
}

/* Where a verdict turns, to both sides of what the run had. */
static void put_turns(json_t *object, double here, const moe_turn *below,
                      const moe_turn *above, const moe_view *v, moe_error *err)
{
    moe_json_put_number(object, "here", here, err);
    put_turn(object, "below", below, v, err);
    put_turn(object, "above", above, v, err);
}

json_t *moe_sensitivity_json(const moe_run_analysis *run, moe_error *err)
{
    static const moe_json_member lead[] = {
        SENSITIVITY("lead_s", lead_s),
        SENSITIVITY("cost_model_error", error),
        SENSITIVITY("lead_low_s", lead.low_s),
        SENSITIVITY("lead_high_s", lead.high_s),
        SENSITIVITY("clear", clear),
        SENSITIVITY("close", undecided)};
    const moe_sensitivity *o = &run->sensitivity;
    const moe_view *v = run->view;
    json_t *object = json_object();
    moe_json_put_text(object, "clock", "modelled", err);
    moe_json_put(object, "break_even", break_even(&run->break_even, v, err),
                 err);
    moe_json_put(object, "why_not",
                 o->known ? json_null() : moe_json_text(o->why_not), err);
    if (!o->known)
        return object;
    json_t *tokens = json_object(), *links = json_object();
    moe_json_put_number(object, "fit", o->sample_error, err);
    put_strategy(object, "winner", v, o->winner, err);
    put_strategy(object, "second", v, o->second, err);
    moe_json_put_members(object, lead, MOE_ARRAY_LEN(lead), o, err);
    put_turns(tokens, o->tokens, &o->fewer, &o->more, v, err);
    moe_json_put(object, "tokens", tokens, err);
    moe_json_put_text(links, "link", moe_link_name(o->network), err);
    put_turns(links, o->bandwidth, &o->slower, &o->faster, v, err);
    moe_json_put(object, "bandwidth", links, err);
    moe_json_put(object, "stages", stages(o, v, err), err);
    return object;
}
