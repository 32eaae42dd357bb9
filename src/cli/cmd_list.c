/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "moegps/cluster.h"
#include "moegps/cost.h"
#include "moegps/ctx.h"
#include "moegps/experiment.h"
#include "moegps/ffn.h"
#include "moegps/h5.h"
#include "moegps/learned.h"
#include "moegps/inject.h"
#include "moegps/mem.h"
#include "moegps/model.h"
#include "moegps/phase.h"
#include "moegps/planner.h"
#include "moegps/predictor.h"
#include "moegps/profile.h"
#include "moegps/serving.h"
#include "moegps/split.h"
#include "moegps/text.h"

static void print_row(const char *name, const char *text)
{
    printf("%-20s %s\n", name, text);
}

/* ---- options ---- */

/* `path` comes before each key, as --set wants it. */
static void print_options(const char *heading, const char *path,
                          const moe_opt *rows)
{
    if (rows == NULL || rows->key == NULL)
        return;
    printf("# %s\n", heading);
    for (const moe_opt *r = rows; r->key != NULL; r++) {
        char name[128], allowed[256];
        snprintf(name, sizeof name, "%s%s", path, r->key);
        moe_opt_allowed(r, allowed, sizeof allowed);
        printf("%-32s %s\n%-32s   %s; %s%s\n", name, r->help, "", allowed,
               r->initial == NULL ? "required" : "default ",
               r->initial == NULL    ? ""
               : *r->initial == '\0' ? "empty"
                                     : r->initial);
    }
}

/* A member's own options, indented below it. */
static void print_own_options(const moe_opt *rows)
{
    for (const moe_opt *r = rows; r != NULL && r->key != NULL; r++) {
        char allowed[256];
        moe_opt_allowed(r, allowed, sizeof allowed);
        printf("  %-18s %s (%s; default %s)\n", r->key, r->help, allowed,
               r->initial != NULL ? r->initial : "none");
    }
}

/* Options of the members of families are keys of a strategy, too. */
static void print_member(const char *family, const char *name,
                         const moe_opt *rows)
{
    char heading[128];
    snprintf(heading, sizeof heading, "strategies with %s: %s", family, name);
    print_options(heading, "strategies.NAME.", rows);
}

static int list_options(void)
{
    const moe_predictor *predictor;
    const moe_planner *planner;
    const moe_split *split;
    print_options("experiment", "", moe_experiment_options);
    print_options("workload of an experiment", "workload.",
                  moe_workload_options);
    print_options("emulation of an experiment", "emulation.",
                  moe_emulation_options);
    print_options("deployment of an experiment", "serving.",
                  moe_serving_options);
    print_options("each strategy of an experiment", "strategies.NAME.",
                  moe_strategy_options);
    print_options("strategies that choose among others", "strategies.NAME.",
                  moe_choice_options);
    for (size_t i = 0; (predictor = moe_predictor_at(i)) != NULL; i++)
        print_member("predictor", predictor->name, predictor->opts);
    for (size_t i = 0; (planner = moe_planner_at(i)) != NULL; i++)
        print_member("planner", planner->name, planner->opts);
    for (size_t i = 0; (split = moe_split_at(i)) != NULL; i++)
        print_member("split", split->name, split->opts);
    print_options("model profile", "", moe_model_options);
    print_options("cluster profile", "", moe_cluster_options);
    return 0;
}

/* ---- families ---- */

static int list_predictors(void)
{
    const moe_predictor *p;
    for (size_t i = 0; (p = moe_predictor_at(i)) != NULL; i++) {
        char sees[256];
        print_row(p->name, p->help);
        printf("  looks at %s%s\n",
               p->knows_future ? "the truth"
                               : moe_horizon_text(p->sees, sees, sizeof sees),
               moe_horizon_layers(p->sees) ? ": needs `lookahead: d`" : "");
        print_own_options(p->opts);
    }
    return 0;
}

static int list_planners(void)
{
    const moe_planner *p;
    for (size_t i = 0; (p = moe_planner_at(i)) != NULL; i++) {
        print_row(p->name, p->help);
        print_own_options(p->opts);
    }
    return 0;
}

static int list_splits(void)
{
    const moe_split *s;
    for (size_t i = 0; (s = moe_split_at(i)) != NULL; i++) {
        print_row(s->name, s->help);
        print_own_options(s->opts);
    }
    return 0;
}

static int list_costs(void)
{
    const moe_cost *c;
    for (size_t i = 0; (c = moe_cost_at(i)) != NULL; i++)
        print_row(c->name, c->help);
    return 0;
}

/* Each option, and what its values assume. */
static int list_serving(void)
{
    for (const moe_opt *r = moe_serving_options; r->key != NULL; r++) {
        print_row(r->key, r->help);
        for (const moe_serving_value *v = moe_serving_values; v->key != NULL;
             v++)
            if (strcmp(v->key, r->key) == 0)
                printf("  %-18s %s\n", v->value, v->help);
    }
    return 0;
}

static int list_backends(void)
{
    const moe_ffn *f;
    for (size_t i = 0; (f = moe_ffn_at(i)) != NULL; i++)
        print_row(f->name, f->help);
    return 0;
}

/* ---- names in the code ---- */

static int list_phases(void)
{
    for (int p = 0; p < MOE_N_PHASES; p++)
        print_row(moe_phase_name((moe_phase)p), moe_phase_help((moe_phase)p));
    return 0;
}

static int list_sites(void)
{
    for (int s = 0; s < MOE_N_SITES; s++)
        print_row(moe_site_name((moe_site)s), moe_site_help((moe_site)s));
    return 0;
}

/* ---- files ---- */

/* A visitor's memory: was every file readable? */
typedef struct {
    int n, bad;
} visit;

/* Complain about a file where its row would be, and go on. */
static void report_bad(visit *v, const char *name, const moe_error *err)
{
    print_row(name, "cannot be used:");
    fprintf(stderr, "moegps: %s\n", err->text);
    v->bad++;
}

static void print_model(const char *name, const char *path, void *arg)
{
    visit *v = arg;
    char *text = NULL;
    moe_model m;
    moe_error err = {0};
    v->n++;
    if (moe_read_text(path, &text, &err) == MOE_OK)
        moe_model_parse(text, path, &m, &err);
    free(text);
    if (err.status != MOE_OK) {
        report_bad(v, name, &err);
        return;
    }
    printf("%-20s %3d layers, %3d experts, top-%d, %d x %d, %.1f MB an "
           "expert\n",
           name, m.layers, m.experts, m.top_k, m.hidden, m.intermediate,
           moe_model_expert_bytes(&m) / 1e6);
}

static void print_cluster(const char *name, const char *path, void *arg)
{
    visit *v = arg;
    char *text = NULL;
    moe_cluster c;
    moe_error err = {0};
    v->n++;
    if (moe_read_text(path, &text, &err) == MOE_OK)
        moe_cluster_parse(text, path, &c, &err);
    free(text);
    if (err.status != MOE_OK) {
        report_bad(v, name, &err);
        return;
    }
    printf("%-20s %d x %s a node, %.0f GB/s link, %.1f GB/s network, priced "
           "by %s\n",
           name, c.gpus_per_node, c.gpu, c.link_bandwidth / 1e9,
           c.network_bandwidth / 1e9, c.cost);
}

static void print_trace(const char *name, const char *path, void *arg)
{
    visit *v = arg;
    char kind[32] = "", model[64] = "";
    moe_error err = {0};
    v->n++;
    hid_t file = moe_h5_open(path, false, &err);
    moe_h5_get_text(file, "kind", kind, sizeof kind, &err);
    moe_h5_get_text(file, "model", model, sizeof model, &err);
    int layers = (int)moe_h5_get_int(file, "layers", &err);
    int experts = (int)moe_h5_get_int(file, "experts", &err);
    int top_k = (int)moe_h5_get_int(file, "top_k", &err);
    moe_h5_close_file(file, &err);
    if (err.status != MOE_OK)
        report_bad(v, name, &err);
    else
        printf("%-28s %s of %s: %d layers, %d experts, top-%d\n", name, kind,
               model, layers, experts, top_k);
}

static void print_trained(const char *name, const char *path, void *arg)
{
    visit *v = arg;
    moe_error err = {0};
    moe_learned l = {.shared = MPI_WIN_NULL};
    v->n++;
    if (moe_learned_read(path, &l, &err) != MOE_OK) {
        report_bad(v, name, &err);
        return;
    }
    printf("%-28s for %s: %d layers, %d experts, top-%d:", name, l.model,
           l.layers, l.experts, l.top_k);
    for (int p = 0; p < l.n_parts; p++)
        printf(" %s", l.part[p].predictor);
    puts("");
    moe_learned_free(&l);
}

static int list_files(const char *kind, const char *suffix,
                      void (*print)(const char *name, const char *path,
                                    void *arg))
{
    visit v = {0, 0};
    moe_profile_each(kind, suffix, print, &v);
    if (v.n == 0)
        fprintf(stderr,
                "moegps: no %s found in $MOEGPS_JOBS, ./jobs or the "
                "installation\n",
                kind);
    return v.bad > 0 ? 2 : 0;
}

static int list_models(void)
{
    return list_files("models", ".yaml", print_model);
}

/* Where each key of a model was read from: a profile's comments say it, and the
 * lines that a Hugging Face config becomes. */
static moe_status show_model(const char *name, moe_error *err)
{
    char path[1024];
    moe_model m;
    char *text = moe_profile_read("models", name, path, sizeof path, err);
    char *keys = text != NULL ? moe_model_keys(text, path, err) : NULL;
    if (keys != NULL && moe_model_parse(text, path, &m, err) == MOE_OK)
        printf("%s: %s\n%s", m.name, path, keys);
    free(keys);
    free(text);
    return err->status;
}

static int list_clusters(void)
{
    return list_files("clusters", ".yaml", print_cluster);
}

static int list_traces(void)
{
    moe_h5_quiet();
    return list_files("traces", ".h5", print_trace);
}

static int list_trained(void)
{
    moe_h5_quiet();
    return list_files("predictors", ".h5", print_trained);
}

static const struct {
    const char *name;
    int (*list)(void);
    const char *help;
} kinds[] = {
    {"predictors", list_predictors, "who predicts the load of experts"},
    {"planners", list_planners, "who decides on placement"},
    {"splits", list_splits, "how replicas share the pairs of an expert"},
    {"models", list_models, "model profiles"},
    {"clusters", list_clusters, "cluster profiles"},
    {"traces", list_traces, "routing traces"},
    {"trained", list_trained, "predictor files that a strategy can load"},
    {"phases", list_phases, "what is timed, in order"},
    {"options", list_options, "every key of an experiment and of profiles"},
    {"costs", list_costs, "cost models of the gpu clock"},
    {"serving", list_serving, "deployments that are priced"},
    {"backends", list_backends, "who runs the experts"},
    {"sites", list_sites, "where a fault can be injected"},
};

typedef struct {
    int (*list)(void);
    moe_strings of; /* models */
} settings;

static moe_status parse_kind(const char *name, void *at, moe_error *err)
{
    char known[256] = "";
    for (size_t i = 0; i < MOE_ARRAY_LEN(kinds); i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *(int (**)(void))at = kinds[i].list;
            return MOE_OK;
        }
        moe_text_add(known, sizeof known, ", ", "%s", kinds[i].name);
    }
    return moe_fail(err, MOE_USAGE, "'%s' is not one of %s", name, known);
}

static const moe_opt arguments[] = {{.key = "KIND",
                                     .type = MOE_OPT_CALL,
                                     .parse = parse_kind,
                                     MOE_OPT_AT(settings, list)},
                                    {.key = "MODEL",
                                     .type = MOE_OPT_STRINGS,
                                     .initial = "",
                                     MOE_OPT_AT(settings, of)},
                                    {.key = NULL}};

int moe_cmd_list(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {0};
    char help[1024] =
        "Name what there is to choose from; of a MODEL, a profile or a Hugging "
        "Face config.json, show its keys and what each was read from. KIND is "
        "one of\n";
    for (size_t i = 0; i < MOE_ARRAY_LEN(kinds); i++)
        moe_text_add(help, sizeof help, "", "  %-12s %s\n", kinds[i].name,
                     kinds[i].help);
    const moe_args args = {.name = "moegps list",
                           .example = "moegps list models mixtral-8x7b",
                           .help = help,
                           .arguments = arguments};
    bool go_on = moe_args_parse(&args, argc, argv, &s, &err);
    if (go_on && s.of.n > 0 && s.list != list_models)
        moe_fail(&err, MOE_USAGE, "only models are shown one by one");
    for (int i = 0; i < s.of.n && err.status == MOE_OK; i++, go_on = false)
        show_model(s.of.text[i], &err);
    go_on = go_on && err.status == MOE_OK;
    int (*const list)(void) = s.list;
    const int rc = moe_args_end(&args, &s, &err);
    return go_on ? list() : rc;
}
