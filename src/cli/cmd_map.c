/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "advise.h"
#include "args_old.h"
#include "commands.h"
#include "moegps/mem.h"
#include "trace.h"

enum { MAX_VALUES = 256, MAX_CLUSTERS = 16 };

enum {
    KEY_OUT = 'o',
    KEY_PRESET = 256,
    KEY_MODEL,
    KEY_CLUSTERS,
    KEY_GPUS,
    KEY_SKEWS,
    KEY_BANDWIDTHS,
    KEY_ACCURACIES,
    KEY_BATCHES,
    KEY_SEQ,
    KEY_SLOTS,
    KEY_ERROR,
    KEY_OVERHEAD,
    KEY_MOVING,
    KEY_REBALANCE,
    KEY_SAMPLES,
    KEY_SEED,
    KEY_BOTTLENECK,
    KEY_AS_PAPER,
    KEY_CASE,
    KEY_FORCE
};

typedef struct {
    double x[MAX_VALUES];
    int n;
} values;

typedef struct {
    const char *model, *clusters, *out;
    values skew, bandwidth, accuracy, batch;
    moe_advise_params p;
    char *command_line; /* owned */
    int shown;          /* moe_advise_case */
    bool force;
} settings;

/* The paper's four A100 with one batch of 512 tokens; its links of 600, 200,
 * 64 and 32 GB/s count both directions. Its skewness is that of the busiest
 * GPU, and copies are as moe_advise_dials.paper has it (MoE-GPS, arXiv
 * 2506.07366, figure 7 and appendix). */
static const struct {
    const char *name, *model;
} presets[] = {{"paper-mixtral", "mixtral-8x7b"},
               {"paper-llama-moe", "llama-moe-3.5b"},
               {"paper-switch", "switch-base-128"}};

static const struct argp_option options[] = {
    {"preset", KEY_PRESET, "NAME", 0,
     "paper-mixtral, paper-llama-moe or paper-switch: the paper's Figure 7; "
     "options after it change it",
     0},
    {"model", KEY_MODEL, "NAME", 0, "profile in jobs/models, or a path", 0},
    {"clusters", KEY_CLUSTERS, "C1,C2", 0,
     "profiles in jobs/clusters, or paths; a map of each", 0},
    {"cluster", 0, NULL, OPTION_ALIAS, NULL, 0},
    {"gpus", KEY_GPUS, "N", 0, "that hold the experts; default 4", 0},
    {"skews", KEY_SKEWS, "LIST", 0, "x,y,... or from:to:step; default 1:4:0.5",
     0},
    {"bandwidths", KEY_BANDWIDTHS, "LIST", 0,
     "of a GPU's link per direction, B/s; default each cluster's own", 0},
    {"accuracies", KEY_ACCURACIES, "LIST", 0, "of token-to-expert; default 0.9",
     0},
    {"batches", KEY_BATCHES, "LIST", 0, "sequences; default 1", 0},
    {"seq", KEY_SEQ, "N", 0, "tokens of each; default 512", 0},
    {"slots", KEY_SLOTS, "N", 0, "per GPU and layer; default as advise", 0},
    {"error", KEY_ERROR, "X", 0, "of the distribution; default 0.018", 0},
    {"overhead", KEY_OVERHEAD, "X", 0,
     "of token-to-expert, s per layer or % of the baseline layer; default 10%",
     0},
    {"moving", KEY_MOVING, "X", 0,
     "share of token-to-expert's copies that travel at each plan; default 1",
     0},
    {"rebalance-every", KEY_REBALANCE, "N", 0, "iterations per plan; default 1",
     0},
    {"samples", KEY_SAMPLES, "N", 0, "ways to place the experts; default 3", 0},
    {"seed", KEY_SEED, "N", 0, "of the placements; default 1", 0},
    {"bottleneck", KEY_BOTTLENECK, NULL, 0, "skew is of the busiest GPU", 0},
    {"as-paper", KEY_AS_PAPER, NULL, 0,
     "copies neither travel nor cost the reading of their weights, and "
     "distribution-only exchanges rows as without them",
     0},
    {"case", KEY_CASE, "NAME", 0,
     "to show: optimistic, typical or pessimistic; the file has all", 0},
    {"out", KEY_OUT, "FILE", 0, "HDF5 file to write", 0},
    {"force", KEY_FORCE, NULL, 0, "replace an existing file", 0},
    MOE_ARGS_HELP,
    {0}};

static moe_status parse_real(const char *text, const char *what, double *out,
                             char end_at, const char **rest, moe_error *err)
{
    char *end = NULL;
    const double x = strtod(text, &end);
    if (end == text || !isfinite(x) || (*end != '\0' && *end != end_at))
        return moe_fail(err, MOE_USAGE,
                        "%s: '%s' is not a number, a list x,y,... or "
                        "from:to:step",
                        what, text);
    *out = x;
    *rest = *end == '\0' ? end : end + 1;
    return MOE_OK;
}

static moe_status parse_range(const char *text, const char *what, values *out,
                              moe_error *err)
{
    double r[3] = {0};
    const char *at = text;
    for (int i = 0; i < 3; i++)
        if (parse_real(at, what, &r[i], i < 2 ? ':' : '\0', &at, err) != MOE_OK)
            return err->status;
    const double n = floor((r[1] - r[0]) / r[2] + 1e-9) + 1;
    if (!(r[2] > 0 && n >= 1 && n <= MAX_VALUES))
        return moe_fail(err, MOE_USAGE,
                        "%s: '%s' has not 1 to %d values by a step above 0",
                        what, text, MAX_VALUES);
    for (out->n = 0; out->n < (int)n; out->n++)
        out->x[out->n] = r[0] + out->n * r[2];
    return MOE_OK;
}

static moe_status parse_values(const char *text, const char *what, double low,
                               double high, values *out, moe_error *err)
{
    const char *at = text;
    if (strchr(text, ':') != NULL)
        parse_range(text, what, out, err);
    else
        for (out->n = 0; err->status == MOE_OK && (*at != '\0' || !out->n);) {
            if (out->n == MAX_VALUES)
                return moe_fail(err, MOE_USAGE, "%s: more than %d values", what,
                                MAX_VALUES);
            if (parse_real(at, what, &out->x[out->n], ',', &at, err) == MOE_OK)
                out->n++;
        }
    for (int i = 0; i < out->n && err->status == MOE_OK; i++)
        if (!(out->x[i] >= low && out->x[i] <= high))
            moe_fail(err, MOE_USAGE, "%s: %g is not in %g..%g", what, out->x[i],
                     low, high);
    return err->status;
}

static moe_status take_one(const char *text, const char *what, double low,
                           double high, double *out, moe_error *err)
{
    values v = {.n = 0};
    if (parse_values(text, what, low, high, &v, err) == MOE_OK && v.n != 1)
        moe_fail(err, MOE_USAGE, "%s: '%s': one value only", what, text);
    *out = v.x[0];
    return err->status;
}

static moe_status take_int(const char *text, const char *what, double high,
                           int *out, moe_error *err)
{
    uint64_t n = 0;
    if (moe_trace_parse_u64(text, what, 0, (uint64_t)high, &n, err) == MOE_OK)
        *out = (int)n;
    return err->status;
}

static moe_status take_preset(settings *s, const char *name, moe_error *err)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(presets); i++) {
        if (strcmp(presets[i].name, name) != 0)
            continue;
        s->model = presets[i].model;
        s->clusters = "a100-paper";
        s->p.gpus = 4;
        s->p.bottleneck = true;
        s->p.dials.paper = true;
        s->bandwidth = (values){.x = {300e9, 100e9, 32e9, 16e9}, .n = 4};
        return parse_values("1:4:0.5", "skews", 1, 4, &s->skew, err);
    }
    return moe_fail(err, MOE_USAGE,
                    "preset: '%s' is not one of paper-mixtral, "
                    "paper-llama-moe, paper-switch",
                    name);
}

static moe_status take_case(settings *s, const char *name, moe_error *err)
{
    for (int c = 0; c < MOE_ADVISE_CASES; c++)
        if (strcmp(moe_advise_case_name((moe_advise_case)c), name) == 0) {
            s->shown = c;
            return MOE_OK;
        }
    return moe_fail(err, MOE_USAGE,
                    "case: '%s' is not one of optimistic, typical, pessimistic",
                    name);
}

static moe_status take_list(int key, const char *arg, settings *s,
                            moe_error *err)
{
    switch (key) {
    case KEY_SKEWS:
        return parse_values(arg, "skews", 1, MOE_MAX_EXPERTS, &s->skew, err);
    case KEY_BANDWIDTHS:
        return parse_values(arg, "bandwidths", 1e6, 1e15, &s->bandwidth, err);
    case KEY_ACCURACIES:
        return parse_values(arg, "accuracies", 0, 1, &s->accuracy, err);
    default:
        return parse_values(arg, "batches", 1, 1 << 20, &s->batch, err);
    }
}

static moe_status take(int key, char *arg, void *input, moe_error *err)
{
    settings *s = input;
    switch (key) {
    case KEY_PRESET:
        return take_preset(s, arg, err);
    case KEY_MODEL:
        s->model = arg;
        return MOE_OK;
    case KEY_CLUSTERS:
        s->clusters = arg;
        return MOE_OK;
    case KEY_GPUS:
        return take_int(arg, "gpus", 65536, &s->p.gpus, err);
    case KEY_SEQ:
        return take_int(arg, "seq", 1 << 24, &s->p.seq, err);
    case KEY_SLOTS:
        return take_int(arg, "slots", 4096, &s->p.slots, err);
    case KEY_SAMPLES:
        return take_int(arg, "samples", 4096, &s->p.samples, err);
    case KEY_REBALANCE:
        return take_int(arg, "rebalance-every", 1e9,
                        &s->p.dials.rebalance_every, err);
    case KEY_SEED:
        return moe_trace_parse_u64(arg, "seed", 0, UINT64_MAX, &s->p.seed, err);
    case KEY_ERROR:
        return take_one(arg, "error", 0, 2, &s->p.error, err);
    case KEY_MOVING:
        return take_one(arg, "moving", 0, 1, &s->p.dials.moving, err);
    case KEY_OVERHEAD:
        return moe_advise_parse_overhead(arg, &s->p.dials, err);
    case KEY_BOTTLENECK:
        s->p.bottleneck = true;
        return MOE_OK;
    case KEY_AS_PAPER:
        s->p.dials.paper = true;
        return MOE_OK;
    case KEY_CASE:
        return take_case(s, arg, err);
    case KEY_OUT:
        s->out = arg;
        return MOE_OK;
    case KEY_FORCE:
        s->force = true;
        return MOE_OK;
    case ARGP_KEY_ARG:
        return moe_fail(err, MOE_USAGE, "'%s': no argument is wanted", arg);
    default:
        return take_list(key, arg, s, err);
    }
}

static const moe_args_old args = {
    .name = "moegps map",
    .help = "Say which strategy wins at which skewness and link bandwidth, "
            "like the paper's Figure 7. All of it is modelled, as by moegps "
            "advise; planning itself is taken to cost nothing.",
    .options = options,
    .take = take};

/* Write beside the output, then move it there. */
static moe_status write_map(const settings *s, const moe_map *map,
                            moe_error *err)
{
    char partial[1024];
    const int n = snprintf(partial, sizeof partial, "%s.partial", s->out);
    if (n < 0 || (size_t)n >= sizeof partial)
        return moe_fail(err, MOE_USAGE, "%s: path is too long", s->out);
    if (s->force)
        unlink(partial);
    if (moe_map_write(map, partial, err) == MOE_OK &&
        rename(partial, s->out) != 0) {
        moe_fail(err, MOE_IO, "%s: cannot rename", partial);
        unlink(partial);
    }
    return err->status;
}

/* Clusters by name, separated by commas. */
static moe_status read_clusters(const char *names, moe_cluster *out, int *n_out,
                                moe_error *err)
{
    char name[1024];
    *n_out = 0;
    for (const char *at = names; at != NULL;) {
        const char *end = strchrnul(at, ',');
        if (end == at || (size_t)(end - at) >= sizeof name)
            return moe_fail(err, MOE_USAGE, "clusters: '%s' is not C1,C2,...",
                            names);
        if (*n_out == MAX_CLUSTERS)
            return moe_fail(err, MOE_USAGE, "clusters: more than %d",
                            MAX_CLUSTERS);
        snprintf(name, sizeof name, "%.*s", (int)(end - at), at);
        if (moe_cluster_read(name, &out[*n_out], err) != MOE_OK)
            return err->status;
        for (int i = 0; i < *n_out; i++)
            if (strcmp(out[i].name, out[*n_out].name) == 0)
                return moe_fail(err, MOE_USAGE, "clusters: '%s' is there twice",
                                out[i].name);
        ++*n_out;
        at = *end == ',' ? end + 1 : NULL;
    }
    return MOE_OK;
}

static moe_status sweep(settings *s, moe_error *err)
{
    moe_model model;
    moe_cluster cluster[MAX_CLUSTERS];
    moe_map map;
    int batch[MAX_VALUES], n_cluster;
    if (s->model == NULL || s->clusters == NULL)
        return moe_fail(err, MOE_USAGE,
                        "--model and --clusters, or a --preset, are needed "
                        "(see moegps map --help)");
    if (s->out != NULL &&
        moe_trace_output_check(&(moe_trace_output){s->out, s->force}, err) !=
            MOE_OK)
        return err->status;
    if (moe_model_read(s->model, &model, err) != MOE_OK ||
        read_clusters(s->clusters, cluster, &n_cluster, err) != MOE_OK)
        return err->status;
    s->p.model = &model;
    for (int b = 0; b < s->batch.n; b++)
        batch[b] = (int)s->batch.x[b];
    const moe_map_params p = {.advise = s->p,
                              .cluster = cluster,
                              .skew = s->skew.x,
                              .bandwidth = s->bandwidth.x,
                              .accuracy = s->accuracy.x,
                              .batch = batch,
                              .n_cluster = n_cluster,
                              .n_skew = s->skew.n,
                              .n_bandwidth = s->bandwidth.n,
                              .n_accuracy = s->accuracy.n,
                              .n_batch = s->batch.n,
                              .command_line = s->command_line};
    if (moe_map_init(&map, &p, err) != MOE_OK)
        return err->status;
    if (s->out != NULL)
        write_map(s, &map, err);
    if (err->status == MOE_OK)
        moe_map_print(&map, (moe_advise_case)s->shown, stdout);
    moe_map_fini(&map);
    return err->status;
}

static void join_command_line(settings *s, int argc, char **argv)
{
    size_t size = 0;
    FILE *out = open_memstream(&s->command_line, &size);
    if (out == NULL)
        return;
    fputs("moegps map", out);
    for (int i = 1; i < argc; i++)
        fprintf(out, " %s", argv[i]);
    fclose(out);
}

int moe_cmd_map(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {.shown = MOE_ADVISE_TYPICAL,
                  .accuracy = {.x = {0.9}, .n = 1},
                  .batch = {.x = {1}, .n = 1}};
    bool help = false;
    moe_advise_params_init(&s.p);
    s.p.gpus = 4;
    s.p.samples = 3;
    s.p.planner_s = 0.0;
    s.p.error = 0.018; /* the paper's of Mixtral on MMLU */
    s.p.dials.overhead_share = 0.1;
    parse_values("1:4:0.5", "skews", 1, 4, &s.skew, &err);
    moe_args_old_parse(&args, argc, argv, &s, &help, &err);
    if (help)
        return 0;
    join_command_line(&s, argc, argv);
    if (err.status == MOE_OK)
        sweep(&s, &err);
    free(s.command_line);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
