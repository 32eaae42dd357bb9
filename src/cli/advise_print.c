/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "advise.h"
#include "moegps/mem.h"
#include "moegps/table.h"

enum { TYPICAL = MOE_ADVISE_TYPICAL };

static const char *name_of(int s)
{
    return moe_advise_strategy_name((moe_advise_strategy)s);
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
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
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
        for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
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

static void put(json_t *object, const char *key, double value)
{
    json_object_set_new(object, key,
                        isfinite(value) ? json_real(value) : json_null());
}

static json_t *time_json(const moe_advise_time *t)
{
    json_t *o = json_object(), *gpu = json_object(), *exposed = json_object();
    put(o, "layer_s", t->layer_s);
    put(o, "ci_low_s", t->ci_low);
    put(o, "ci_high_s", t->ci_high);
    put(o, "error_s", t->error_s);
    put(o, "imbalance", t->imbalance);
    json_object_set_new(o, "source",
                        json_string(moe_price_source_name(t->source)));
    for (int p = 0; p < MOE_N_PHASES; p++) {
        put(gpu, moe_phase_name((moe_phase)p), t->gpu_s[p]);
        put(exposed, moe_phase_name((moe_phase)p), t->exposed_s[p]);
    }
    json_object_set_new(o, "gpu_s", gpu);
    json_object_set_new(o, "exposed_s", exposed);
    return o;
}

static json_t *limits_json(const moe_advise_limits *l)
{
    json_t *o = json_object();
    put(o, "accuracy", l->accuracy);
    put(o, "overhead_s", l->overhead_s);
    put(o, l->network ? "network_bandwidth_low" : "link_bandwidth_low",
        l->bandwidth_low);
    put(o, l->network ? "network_bandwidth_high" : "link_bandwidth_high",
        l->bandwidth_high);
    put(o, "skew_low", l->skew_low);
    put(o, "skew_high", l->skew_high);
    put(o, "rebalance_every", l->rebalance);
    put(o, "tokens", l->tokens);
    return o;
}

static json_t *verdict_json(const moe_advice *v)
{
    json_t *o = json_object(), *winner = json_object();
    for (int c = 0; c < MOE_ADVISE_CASES; c++)
        json_object_set_new(winner, moe_advise_case_name((moe_advise_case)c),
                            json_string(name_of(v->winner[c])));
    json_object_set_new(o, "winner", winner);
    json_object_set_new(o, "second", json_string(name_of(v->second[TYPICAL])));
    put(o, "margin", v->margin);
    put(o, "ratio_ci_low", v->ci_low);
    put(o, "ratio_ci_high", v->ci_high);
    put(o, "model_error_s", v->error_s);
    put(o, "tolerance", v->tolerance);
    json_object_set_new(o, "survives_cases", json_boolean(v->survives_cases));
    json_object_set_new(o, "survives_ci",
                        isnan(v->ci_low) ? json_null()
                                         : json_boolean(v->survives_ci));
    json_object_set_new(o, "survives_model_error",
                        isnan(v->error_s) ? json_null()
                                          : json_boolean(v->survives_error));
    return o;
}

static json_t *inputs_json(const moe_advise_params *p, const moe_advice *v)
{
    const moe_advise_facts *f = &v->facts;
    json_t *o = json_pack(
        "{s:b, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "modelled", 1, "model",
        p->model->name, "cluster", p->cluster->name, "cost", p->cluster->cost,
        "gpus", p->gpus, "slots", f->slots, "home_slots", f->home_slots,
        "samples", f->samples, "rebalance_every", p->dials.rebalance_every);
    put(o, "tokens", f->tokens);
    put(o, "skew", f->skew);
    put(o, "distribution_error", f->error);
    put(o, "accuracy", p->dials.accuracy);
    put(o, "overhead_s", p->dials.overhead_s);
    put(o, "overhead_share", p->dials.overhead_share);
    json_object_set_new(o, "as_paper", json_boolean(p->dials.paper));
    put(o, "moving", p->dials.moving);
    put(o, "planner_s", f->planner_s);
    put(o, "copies", f->copies);
    put(o, "copy_bytes", f->copy_bytes);
    put(o, "expert_bytes", f->expert_bytes);
    put(o, "memory_bytes", p->cluster->memory_bytes);
    return o;
}

moe_status moe_advise_write_json(const moe_advise_params *p,
                                 const moe_advice *v, const char *path,
                                 moe_error *err)
{
    const size_t flags = JSON_INDENT(2) | JSON_REAL_PRECISION(15);
    json_t *root = inputs_json(p, v), *all = json_object();
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
        json_t *cases = json_object();
        for (int c = 0; c < MOE_ADVISE_CASES; c++)
            json_object_set_new(cases, moe_advise_case_name((moe_advise_case)c),
                                time_json(&v->time[s][c]));
        json_object_set_new(all, name_of(s), cases);
    }
    json_object_set_new(root, "strategies", all);
    json_object_set_new(root, "verdict", verdict_json(v));
    json_object_set_new(root, "break_even",
                        p->no_limits ? json_null() : limits_json(&v->limits));
    const bool to_stdout = strcmp(path, "-") == 0;
    const int rc = to_stdout ? json_dumpf(root, stdout, flags)
                             : json_dump_file(root, path, flags);
    json_decref(root);
    if (rc != 0)
        return moe_fail(err, MOE_IO, "%s: cannot write JSON", path);
    if (to_stdout)
        putchar('\n');
    return MOE_OK;
}
