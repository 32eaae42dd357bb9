/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <math.h>

#include "contents.h"
#include "moegps/json.h"
#include "moegps/mem.h"

static json_t *phases_json(const double *x, moe_error *err)
{
    json_t *o = json_object();
    for (int p = 0; p < MOE_N_PHASES; p++)
        moe_json_put_number(o, moe_phase_name((moe_phase)p), x[p], err);
    return o;
}

#define AT(key, member) MOE_JSON_MEMBER(key, moe_advise_time, member)
static json_t *time_json(const moe_advise_time *t, moe_error *err)
{
    static const moe_json_member members[] = {
        AT("layer_s", layer_s),     AT("fastest_s", least_s),
        AT("slowest_s", most_s),    AT("ci_low_s", ci_low),
        AT("ci_high_s", ci_high),   AT("error_s", error_s),
        AT("imbalance", imbalance),
    };
    json_t *o = moe_json_members(members, MOE_ARRAY_LEN(members), t, err);
    moe_json_put_text(o, "source", moe_price_source_name(t->source), err);
    moe_json_put(o, "gpu_s", phases_json(t->gpu_s, err), err);
    moe_json_put(o, "exposed_s", phases_json(t->exposed_s, err), err);
    return o;
}
#undef AT

#define AT(key, member) MOE_JSON_MEMBER(key, moe_advise_limits, member)
static json_t *limits_json(const moe_advise_limits *l, moe_error *err)
{
    static const moe_json_member before[] = {AT("accuracy", accuracy),
                                             AT("overhead_s", overhead_s)};
    static const moe_json_member links[][2] = {
        {AT("link_bandwidth_low", bandwidth_low),
         AT("link_bandwidth_high", bandwidth_high)},
        {AT("network_bandwidth_low", bandwidth_low),
         AT("network_bandwidth_high", bandwidth_high)}};
    static const moe_json_member after[] = {
        AT("skew_low", skew_low), AT("skew_high", skew_high),
        AT("rebalance_every", rebalance), AT("tokens", tokens)};
    json_t *o = moe_json_members(before, MOE_ARRAY_LEN(before), l, err);
    moe_json_put_members(o, links[l->network], 2, l, err);
    moe_json_put_members(o, after, MOE_ARRAY_LEN(after), l, err);
    return o;
}
#undef AT

#define AT(key, member) MOE_JSON_MEMBER(key, moe_advice, member)
static json_t *verdict_json(const moe_advice *v, moe_error *err)
{
    static const moe_json_member members[] = {
        AT("margin", margin),
        AT("ratio_ci_low", ci_low),
        AT("ratio_ci_high", ci_high),
        AT("model_error", error),
        AT("model_lead_low_s", lead.low_s),
        AT("model_lead_high_s", lead.high_s),
        AT("tolerance", lead.turns_at),
        AT("survives_cases", survives_cases),
    };
    json_t *o = json_object(), *winner = json_object();
    for (int c = 0; c < MOE_ADVISE_CASES; c++)
        moe_json_put_text(winner, moe_advise_case_name((moe_advise_case)c),
                          moe_advise_strategy_name(v->winner[c]), err);
    moe_json_put(o, "winner", winner, err);
    moe_json_put_text(o, "second",
                      moe_advise_strategy_name(v->second[MOE_ADVISE_TYPICAL]),
                      err);
    moe_json_put_members(o, members, MOE_ARRAY_LEN(members), v, err);
    moe_json_put(o, "survives_ci",
                 isnan(v->ci_low) ? json_null() : json_boolean(v->survives_ci),
                 err);
    moe_json_put(
        o, "survives_model_error",
        isnan(v->error) ? json_null() : json_boolean(v->survives_error), err);
    return o;
}
#undef AT

#define ASKED(key, member) MOE_JSON_MEMBER(key, moe_advise_params, member)
#define FOUND(key, member) MOE_JSON_MEMBER(key, moe_advise_facts, member)
static json_t *inputs_json(const moe_advise_params *p,
                           const moe_advise_facts *f, moe_error *err)
{
    static const moe_json_member asked[] = {
        ASKED("gpus", gpus),
        ASKED("rebalance_every", dials.rebalance_every),
        ASKED("lookahead", dials.lookahead),
        ASKED("accuracy", dials.accuracy),
        ASKED("overhead_s", dials.overhead_s),
        ASKED("overhead_share", dials.overhead_share),
        ASKED("as_paper", dials.paper),
        ASKED("moving", dials.moving)};
    static const moe_json_member found[] = {
        FOUND("slots", slots),
        FOUND("home_slots", home_slots),
        FOUND("samples", samples),
        FOUND("tokens", tokens),
        FOUND("skew", skew),
        FOUND("distribution_error", error),
        FOUND("sampling_error", sampling),
        FOUND("planner_s", planner_s),
        FOUND("first_bytes", first_bytes),
        FOUND("moved_bytes", moved_bytes),
        FOUND("copies", copies),
        FOUND("copy_bytes", copy_bytes),
        FOUND("expert_bytes", expert_bytes)};
    json_t *o = json_object();
    moe_json_put(o, "modelled", json_true(), err);
    moe_json_put_text(o, "model", p->model->name, err);
    moe_json_put_text(o, "cluster", p->cluster->name, err);
    moe_json_put_text(o, "cost", p->cluster->cost, err);
    if (!moe_serving_is_default(&p->serving)) {
        char deployment[256];
        moe_serving_text(&p->serving, deployment, sizeof deployment);
        moe_json_put_text(o, "deployment", deployment, err);
    }
    moe_json_put_text(o, "split", moe_advice_split(p), err);
    moe_json_put_members(o, asked, MOE_ARRAY_LEN(asked), p, err);
    moe_json_put(o, "expected_skew",
                 p->trace != NULL ? json_null() : json_real(p->skew), err);
    moe_json_put_members(o, found, MOE_ARRAY_LEN(found), f, err);
    moe_json_put_number(o, "memory_bytes", p->cluster->memory_bytes, err);
    return o;
}

static json_t *intervals_json(const moe_advice *v, moe_error *err)
{
    json_t *all = json_array();
    for (int i = 0; i < v->n_intervals; i++) {
        const moe_advise_interval *w = &v->interval[i];
        json_t *o = json_object();
        moe_json_put_integer(o, "interval", w->every, err);
        moe_json_put_integer(o, "plans", w->plans, err);
        moe_json_put_number(o, "first_bytes", w->first_bytes, err);
        moe_json_put_number(o, "moved_bytes", w->moved_bytes, err);
        for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
            moe_json_put_number(
                o, moe_advise_strategy_name((moe_advise_strategy)s),
                w->layer_s[s], err);
        moe_json_add(all, o, err);
    }
    return all;
}

moe_status moe_report_advice_json(const moe_advise_params *p,
                                  const moe_advice *v, const char *path,
                                  bool force, moe_error *err)
{
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(15);
    json_t *root = inputs_json(p, &v->facts, err), *all = json_object();
    for (moe_advise_strategy s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
        json_t *cases = json_object();
        for (int c = 0; c < MOE_ADVISE_CASES; c++)
            moe_json_put(cases, moe_advise_case_name((moe_advise_case)c),
                         time_json(&v->time[s][c], err), err);
        moe_json_put(all, moe_advise_strategy_name(s), cases, err);
    }
    moe_json_put(root, "strategies", all, err);
    moe_json_put(root, "intervals", intervals_json(v, err), err);
    moe_json_put(root, "model", moe_model_json(&v->model, err), err);
    moe_json_put(root, "verdict", verdict_json(v, err), err);
    moe_json_put(root, "break_even",
                 p->no_limits ? json_null() : limits_json(&v->limits, err),
                 err);
    return moe_json_write(root, flags, path, force, err);
}
