/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "advise.h"
#include "moegps/json.h"
#include "moegps/mem.h"
#include "moegps/table.h"

enum { TYPICAL = MOE_ADVISE_TYPICAL };

static const char *name_of(moe_advise_strategy s)
{
    return moe_advise_strategy_name(s);
}

static void print_inputs(const moe_advise_params *p, const moe_advice *v,
                         FILE *out)
{
    const moe_advise_facts *f = &v->facts;
    fprintf(out,
            "modelled: %s on %d GPUs of %s (%s prices), a layer of %.0f "
            "tokens\n",
            p->model->name, p->gpus, p->cluster->name, p->cluster->cost,
            f->tokens);
    fprintf(out,
            "load      %s, skewness %.2f, distribution error %.3f; %d "
            "sample%s\n",
            p->trace != NULL ? "of the trace"
            : p->bottleneck  ? "by hand, busiest GPU as told"
                             : "by hand, a power law, homes at random",
            f->skew, f->error, f->samples, f->samples == 1 ? "" : "s");
    fprintf(out,
            "slots     %d per GPU and layer, %d for homes; %.0f copies; a plan "
            "every %d iteration%s\n",
            f->slots, f->home_slots, f->copies, p->dials.rebalance_every,
            p->dials.rebalance_every == 1 ? "" : "s");
    fprintf(out,
            "tokens    predicted right %.1f %%, overhead %.4g us + %.3g %% of "
            "the baseline, %s\n%s\n",
            100 * p->dials.accuracy, 1e6 * p->dials.overhead_s,
            100 * p->dials.overhead_share,
            p->dials.overhead_hidden ? "hidden by attention" : "exposed",
            p->dials.paper ? "copies    as the paper has them: they neither "
                             "travel nor cost the reading of weights\n"
                           : "");
}

static void print_cases(const moe_advice *v, FILE *out)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},        {"optimistic", "us", MOE_RIGHT},
        {"typical", "us", MOE_RIGHT},        {"95 % CI", "us", MOE_RIGHT},
        {"pessimistic", "us", MOE_RIGHT},    {"vs baseline", "1", MOE_RIGHT},
        {"imbalance", "max/mean", MOE_RIGHT}};
    moe_table *t = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (moe_advise_strategy s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
        const moe_advise_time *m = v->time[s];
        moe_table_cell(t, "%s", name_of(s));
        moe_table_number(t, 1e6 * m[MOE_ADVISE_OPTIMISTIC].layer_s, 4);
        moe_table_number(t, 1e6 * m[TYPICAL].layer_s, 4);
        if (isnan(m[TYPICAL].ci_low))
            moe_table_cell(t, "n/a");
        else
            moe_table_cell(t, "%.4g..%.4g", 1e6 * m[TYPICAL].ci_low,
                           1e6 * m[TYPICAL].ci_high);
        moe_table_number(t, 1e6 * m[MOE_ADVISE_PESSIMISTIC].layer_s, 4);
        moe_table_number(t, v->time[0][TYPICAL].layer_s / m[TYPICAL].layer_s,
                         4);
        moe_table_number(t, m[TYPICAL].imbalance, 3);
    }
    moe_table_print(t, out);
    moe_table_free(t);
}

static void print_phases(const moe_advice *v, FILE *out)
{
    static const moe_column columns[] = {
        {"phase", NULL, MOE_LEFT},
        {"baseline", "us (hidden)", MOE_RIGHT},
        {"distribution-only", "us (hidden)", MOE_RIGHT},
        {"token-to-expert", "us (hidden)", MOE_RIGHT},
        {"oracle", "us (hidden)", MOE_RIGHT}};
    fprintf(out, "\nphases, typical case: exposed, and what attention hides\n");
    moe_table *t = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int p = 0; p < MOE_N_PHASES; p++) {
        moe_table_cell(t, "%s", moe_phase_name((moe_phase)p));
        for (moe_advise_strategy s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
            const moe_advise_time *m = &v->time[s][TYPICAL];
            const double hidden = m->gpu_s[p] - m->exposed_s[p];
            if (hidden > 1e-12)
                moe_table_cell(t, "%.4g (%.4g)", 1e6 * m->exposed_s[p],
                               1e6 * hidden);
            else
                moe_table_cell(t, "%.4g", 1e6 * m->exposed_s[p]);
        }
    }
    moe_table_print(t, out);
    moe_table_free(t);
}

/* The two phases in which winner and second differ most. */
static void print_why(const moe_advice *v, FILE *out)
{
    const moe_advise_time *a = &v->time[v->winner[TYPICAL]][TYPICAL];
    const moe_advise_time *b = &v->time[v->second[TYPICAL]][TYPICAL];
    bool said[MOE_N_PHASES] = {false};
    fprintf(out, "why       ");
    for (int n = 0; n < 3; n++) {
        int most = -1;
        double gain = 0.0;
        for (int p = 0; p < MOE_N_PHASES; p++) {
            const double d = b->exposed_s[p] - a->exposed_s[p];
            if (!said[p] && fabs(d) > fabs(gain)) {
                gain = d;
                most = p;
            }
        }
        if (most < 0 || fabs(gain) < 1e-9)
            break;
        said[most] = true;
        fprintf(out, "%s%s %.4g us in %s", n > 0 ? ", " : "",
                gain > 0 ? "saves" : "loses", 1e6 * fabs(gain),
                moe_phase_name((moe_phase)most));
    }
    fprintf(out, "\n");
}

static void print_verdict(const moe_advice *v, FILE *out)
{
    fprintf(out, "\nuse       %s: %.1f %% faster than %s (typical case)\n",
            name_of(v->winner[TYPICAL]), 100 * v->margin,
            name_of(v->second[TYPICAL]));
    print_why(v, out);
    fprintf(out, "how sure  error cases: %s",
            v->survives_cases ? "the same winner in all three" : "");
    for (int c = 0; c < MOE_ADVISE_CASES && !v->survives_cases; c++)
        fprintf(out, "%s%s %s", c > 0 ? ", " : "",
                moe_advise_case_name((moe_advise_case)c),
                name_of(v->winner[c]));
    fprintf(out, "\n          samples: ");
    if (isnan(v->ci_low))
        fprintf(out, "too few for an interval (%d)\n", v->facts.samples);
    else
        fprintf(out, "second / winner %.3f..%.3f (95 %%), %s\n", v->ci_low,
                v->ci_high, v->survives_ci ? "survives" : "does not survive");
    fprintf(out, "          cost model: prices %s; ",
            moe_price_source_name(v->time[v->winner[TYPICAL]][TYPICAL].source));
    if (isnan(v->error_s))
        fprintf(out, "its error is not known; ");
    else
        fprintf(out, "error %.4g us of what differs, %s; ", 1e6 * v->error_s,
                v->survives_error ? "survives" : "does not survive");
    fprintf(out, "turns at %.0f %% of what differs\n", 100 * v->tolerance);
}

static void print_limit(FILE *out, const char *label, double value,
                        double scale, const char *unit, const char *none)
{
    if (isnan(value))
        fprintf(out, "  %-42s %s\n", label, none);
    else
        fprintf(out, "  %-42s %.4g %s\n", label, value * scale, unit);
}

static void print_limits(const moe_advise_params *p, const moe_advice *v,
                         FILE *out)
{
    const moe_advise_limits *l = &v->limits;
    char label[80];
    fprintf(out, "\nbreak-even, typical case, all else equal\n");
    print_limit(out, "tokens beat distribution from accuracy", l->accuracy, 100,
                "%", "never");
    print_limit(out, "... and up to an overhead of", l->overhead_s, 1e6,
                "us a layer", "none");
    const char *link = l->network ? "network" : "link";
    snprintf(label, sizeof label, "another winner at %s bandwidth", link);
    print_limit(out, label, l->bandwidth_low, 1e-9, "GB/s and below",
                "none down to 1/256");
    print_limit(out, label, l->bandwidth_high, 1e-9, "GB/s and above",
                "none up to 256 times");
    if (p->trace == NULL) {
        print_limit(out, "another winner at skewness", l->skew_low, 1,
                    "and below", "none below");
        print_limit(out, "another winner at skewness", l->skew_high, 1,
                    "and above", "none above");
        print_limit(out, "distribution beats baseline from a batch of",
                    l->tokens, 1, "tokens", "never up to 1048576 tokens");
    }
    print_limit(out, "tokens beat baseline from a plan every", l->rebalance, 1,
                "iterations", "never");
}

static void print_memory(const moe_advise_params *p, const moe_advice *v,
                         FILE *out)
{
    char copies[32], all[32], room[32];
    moe_format_bytes(v->facts.copy_bytes, copies, sizeof copies);
    moe_format_bytes(v->facts.expert_bytes, all, sizeof all);
    moe_format_bytes(p->cluster->memory_bytes, room, sizeof room);
    fprintf(out,
            "memory    room for copies %s per GPU, experts in all %s of "
            "%s\n",
            copies, all, room);
    if (v->facts.expert_bytes > p->cluster->memory_bytes)
        fprintf(stderr,
                "moegps: warning: experts and copies of all layers take %s, a "
                "GPU has %s\n",
                all, room);
}

void moe_advise_print(const moe_advise_params *p, const moe_advice *v,
                      FILE *out)
{
    print_inputs(p, v, out);
    print_cases(v, out);
    print_phases(v, out);
    print_verdict(v, out);
    if (!p->no_limits)
        print_limits(p, v, out);
    print_memory(p, v, out);
}

/* ---- JSON ---- */

static json_t *time_json(const moe_advise_time *t, moe_error *err)
{
    json_t *o = json_object(), *gpu = json_object(), *exposed = json_object();
    moe_json_put_number(o, "layer_s", t->layer_s, err);
    moe_json_put_number(o, "ci_low_s", t->ci_low, err);
    moe_json_put_number(o, "ci_high_s", t->ci_high, err);
    moe_json_put_number(o, "error_s", t->error_s, err);
    moe_json_put_number(o, "imbalance", t->imbalance, err);
    moe_json_put_text(o, "source", moe_price_source_name(t->source), err);
    for (int p = 0; p < MOE_N_PHASES; p++) {
        moe_json_put_number(gpu, moe_phase_name((moe_phase)p), t->gpu_s[p],
                            err);
        moe_json_put_number(exposed, moe_phase_name((moe_phase)p),
                            t->exposed_s[p], err);
    }
    moe_json_put(o, "gpu_s", gpu, err);
    moe_json_put(o, "exposed_s", exposed, err);
    return o;
}

static json_t *limits_json(const moe_advise_limits *l, moe_error *err)
{
    json_t *o = json_object();
    moe_json_put_number(o, "accuracy", l->accuracy, err);
    moe_json_put_number(o, "overhead_s", l->overhead_s, err);
    moe_json_put_number(
        o, l->network ? "network_bandwidth_low" : "link_bandwidth_low",
        l->bandwidth_low, err);
    moe_json_put_number(
        o, l->network ? "network_bandwidth_high" : "link_bandwidth_high",
        l->bandwidth_high, err);
    moe_json_put_number(o, "skew_low", l->skew_low, err);
    moe_json_put_number(o, "skew_high", l->skew_high, err);
    moe_json_put_number(o, "rebalance_every", l->rebalance, err);
    moe_json_put_number(o, "tokens", l->tokens, err);
    return o;
}

static json_t *verdict_json(const moe_advice *v, moe_error *err)
{
    json_t *o = json_object(), *winner = json_object();
    for (int c = 0; c < MOE_ADVISE_CASES; c++)
        moe_json_put_text(winner, moe_advise_case_name((moe_advise_case)c),
                          name_of(v->winner[c]), err);
    moe_json_put(o, "winner", winner, err);
    moe_json_put_text(o, "second", name_of(v->second[TYPICAL]), err);
    moe_json_put_number(o, "margin", v->margin, err);
    moe_json_put_number(o, "ratio_ci_low", v->ci_low, err);
    moe_json_put_number(o, "ratio_ci_high", v->ci_high, err);
    moe_json_put_number(o, "model_error_s", v->error_s, err);
    moe_json_put_number(o, "tolerance", v->tolerance, err);
    moe_json_put(o, "survives_cases", json_boolean(v->survives_cases), err);
    moe_json_put(o, "survives_ci",
                 isnan(v->ci_low) ? json_null() : json_boolean(v->survives_ci),
                 err);
    moe_json_put(
        o, "survives_model_error",
        isnan(v->error_s) ? json_null() : json_boolean(v->survives_error), err);
    return o;
}

static json_t *inputs_json(const moe_advise_params *p, const moe_advice *v,
                           moe_error *err)
{
    const moe_advise_facts *f = &v->facts;
    json_t *o = json_pack(
        "{s:b, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "modelled", 1, "model",
        p->model->name, "cluster", p->cluster->name, "cost", p->cluster->cost,
        "gpus", p->gpus, "slots", f->slots, "home_slots", f->home_slots,
        "samples", f->samples, "rebalance_every", p->dials.rebalance_every);
    moe_json_put_number(o, "tokens", f->tokens, err);
    moe_json_put_number(o, "skew", f->skew, err);
    moe_json_put_number(o, "distribution_error", f->error, err);
    moe_json_put_number(o, "accuracy", p->dials.accuracy, err);
    moe_json_put_number(o, "overhead_s", p->dials.overhead_s, err);
    moe_json_put_number(o, "overhead_share", p->dials.overhead_share, err);
    moe_json_put(o, "as_paper", json_boolean(p->dials.paper), err);
    moe_json_put_number(o, "moving", p->dials.moving, err);
    moe_json_put_number(o, "planner_s", f->planner_s, err);
    moe_json_put_number(o, "copies", f->copies, err);
    moe_json_put_number(o, "copy_bytes", f->copy_bytes, err);
    moe_json_put_number(o, "expert_bytes", f->expert_bytes, err);
    moe_json_put_number(o, "memory_bytes", p->cluster->memory_bytes, err);
    return o;
}

moe_status moe_advise_write_json(const moe_advise_params *p,
                                 const moe_advice *v, const char *path,
                                 bool force, moe_error *err)
{
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(15);
    json_t *root = inputs_json(p, v, err), *all = json_object();
    for (moe_advise_strategy s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
        json_t *cases = json_object();
        for (int c = 0; c < MOE_ADVISE_CASES; c++)
            moe_json_put(cases, moe_advise_case_name((moe_advise_case)c),
                         time_json(&v->time[s][c], err), err);
        moe_json_put(all, name_of(s), cases, err);
    }
    moe_json_put(root, "strategies", all, err);
    moe_json_put(root, "verdict", verdict_json(v, err), err);
    moe_json_put(root, "break_even",
                 p->no_limits ? json_null() : limits_json(&v->limits, err),
                 err);
    return moe_json_write(root, flags, path, force, err);
}
