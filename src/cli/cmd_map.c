/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/map_sweep.h"

#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "commands.h"
#include "moegps/mem.h"
#include "moegps/replace.h"
#include "moegps/report.h"
#include "parse.h"
#include "trace.h"

enum { MAX_CLUSTERS = 16 };

typedef struct {
    const char *model, *clusters, *stack, *trace, *output;
    moe_strings set; /* KEY=VALUE of a profile */
    int order;       /* moe_batch_order */
    moe_reals skews, bandwidths, accuracies, batches;
    moe_advise_params p;
    int slots, replicas, shown; /* shown: moe_advise_case */
    bool fom, force;
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

static moe_status parse_preset(const char *name, void *at, moe_error *err)
{
    settings *s = at;
    for (size_t i = 0; i < MOE_ARRAY_LEN(presets); i++) {
        if (strcmp(presets[i].name, name) != 0)
            continue;
        s->model = presets[i].model;
        s->clusters = "a100-paper";
        s->p.gpus = 4;
        s->p.bottleneck = true;
        s->p.dials.paper = true;
        s->bandwidths = (moe_reals){.x = {300e9, 100e9, 32e9, 16e9}, .n = 4};
        s->skews = (moe_reals){.x = {1, 1.5, 2, 2.5, 3, 3.5, 4}, .n = 7};
        s->accuracies = (moe_reals){.x = {0.9}, .n = 1};
        return MOE_OK;
    }
    return moe_fail(err, MOE_USAGE,
                    "'%s' is not one of paper-mixtral, paper-llama-moe, "
                    "paper-switch",
                    name);
}

static const char *const cases[] = {[MOE_ADVISE_OPTIMISTIC] = "optimistic",
                                    [MOE_ADVISE_TYPICAL] = "typical",
                                    [MOE_ADVISE_PESSIMISTIC] = "pessimistic",
                                    [MOE_ADVISE_CASES] = NULL};

#define LIST(name, singular, member, value, low, high, text)                \
    {                                                                       \
        .key = name, .alias = singular, .type = MOE_OPT_REALS,              \
        .initial = value, .min = low, .max = high, AT(member), .help = text \
    }
#define AT(member) MOE_OPT_AT(settings, p.serving.member)
static const moe_opt serving_rows[] = {MOE_SERVING_ROWS, {.key = NULL}};
#undef AT
#define AT(member) MOE_OPT_AT(settings, member)
static const moe_opt rows[] = {
    {.key = "preset",
     .type = MOE_OPT_CALL,
     .initial = "",
     .form = "NAME",
     .parse = parse_preset,
     .offset = 0,
     .size = sizeof(settings),
     .help = "paper-mixtral, paper-llama-moe or paper-switch: the paper's "
             "Figure 7; options after it change it"},
    MOE_ARGS_STRING("model", model, "", "FILE|NAME",
                    "profile in jobs/models, or a path"),
    {.key = "clusters",
     .alias = "cluster",
     .type = MOE_OPT_STRING,
     .initial = "",
     .form = "C1,C2",
     AT(clusters),
     .help = "profiles in jobs/clusters, or paths; a map of each"},
    MOE_ARGS_PROFILE_SET,
    MOE_ARGS_STACK(stack),
    MOE_ARGS_INT("gpus", p.gpus, "4", 1, 65536, "that hold the experts"),
    MOE_ARGS_TRACE("", "whose batches are priced, as they follow one another, "
                       "instead of loads by hand"),
    LIST("skews", "skew", skews, "1:4:0.5", 1, MOE_MAX_EXPERTS,
         "x,y,... or from:to:step"),
    LIST("bandwidths", "bandwidth", bandwidths, "", 1e6, 1e15,
         "of a GPU's link per direction, B/s; default: each cluster's own"),
    LIST("accuracies", "accuracy", accuracies, "", 0, 1,
         "of token-to-expert, if a predictor were so right; default: as "
         "measured of the model"),
    LIST("batches", "batch", batches, "1", 1, 1 << 20, "sequences"),
    MOE_ARGS_INT("seq", p.seq, "", 0, 1 << 24,
                 "tokens of each; default: 512, in decode 1, of a trace 0, as "
                 "they are"),
    MOE_ARGS_SLOTS("default: as moegps advise"),
    MOE_ARGS_REPLICAS,
    MOE_ARGS_REAL("error", p.error, "", 0, 2,
                  "drift of the distribution, beside what drawing a batch "
                  "makes; default: as measured of the model, of the paper's "
                  "presets 0.018"),
    MOE_ARGS_CALL("overhead", p.dials, "10%", moe_parse_overhead, "X|X%",
                  "of token-to-expert, s per layer or % of the baseline layer"),
    MOE_ARGS_REAL("moving", p.dials.moving, "1", 0, 1,
                  "share of token-to-expert's copies that travel at each plan"),
    MOE_ARGS_CALL("split", p.split, "", moe_parse_split_name, "NAME",
                  "of pairs among copies; see moegps list splits; default: "
                  "quota"),
    MOE_ARGS_LOOKAHEAD(p.dials.lookahead),
    MOE_ARGS_INTERVAL(p.dials.rebalance_every, 1000000000,
                      "iterations that a plan serves"),
    MOE_ARGS_INT("samples", p.samples, "", 0, 4096,
                 "batches drawn and ways to place the experts, or batches of "
                 "the trace; default: 3, of a trace 12 or five plans"),
    MOE_ARGS_INT("warmup", p.warmup, "1", 0, 1000,
                 "batches of the trace that go before"),
    MOE_ARGS_ORDER(order),
    MOE_ARGS_SEED(p.seed, "of batches and placements"),
    MOE_ARGS_FLAG("bottleneck", p.bottleneck, "skew is of the busiest GPU"),
    MOE_ARGS_FLAG(
        "as-paper", p.dials.paper,
        "copies neither travel nor cost the reading of their weights, "
        "distribution-only exchanges rows as without them, batches have "
        "exactly the load told, and planning is free"),
    MOE_ARGS_WORD("case", shown, "typical", cases,
                  "to show; the file has all of them"),
    MOE_ARGS_OUTPUT("", "FILE", "HDF5 file to write"),
    MOE_ARGS_FOM,
    MOE_ARGS_FORCE,
    {.key = NULL}};
#undef LIST

static const moe_args args = {
    .name = "moegps map",
    .example = "moegps map --model mixtral-8x7b --clusters "
               "a100-nvlink,a100-pcie -o map.h5",
    .help = "Say which strategy wins at which skewness and link bandwidth, "
            "like the paper's Figure 7. All of it is modelled, as by moegps "
            "advise.",
    .rows = rows,
    .more = serving_rows};

static void write_map(const settings *s, const moe_map *map, moe_error *err)
{
    moe_replace to;
    if (moe_replace_begin(&to, s->output, s->force, err) != MOE_OK)
        return;
    moe_map_write(map, to.beside, err);
    moe_replace_commit(&to, err);
}

/* Clusters by name, separated by commas. */
static moe_status read_clusters(const settings *s, moe_cluster *out, int *n_out,
                                moe_error *err)
{
    char name[1024];
    *n_out = 0;
    for (const char *at = s->clusters; at != NULL;) {
        const char *end = strchrnul(at, ',');
        if (end == at || (size_t)(end - at) >= sizeof name)
            return moe_fail(err, MOE_USAGE, "clusters: '%s' is not C1,C2,...",
                            s->clusters);
        if (*n_out == MAX_CLUSTERS)
            return moe_fail(err, MOE_USAGE, "clusters: more than %d",
                            MAX_CLUSTERS);
        snprintf(name, sizeof name, "%.*s", (int)(end - at), at);
        if (moe_cluster_read_set(name, &s->set, &out[*n_out], err) != MOE_OK ||
            moe_cluster_set_stack(&out[*n_out], s->stack, err) != MOE_OK)
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

static moe_status check_given(settings *s, moe_error *err)
{
    if (s->model == NULL || s->clusters == NULL)
        return moe_fail(err, MOE_USAGE,
                        "--model and --clusters, or a --preset, are needed "
                        "(see moegps map --help)");
    s->p.order = (moe_batch_order)s->order;
    s->p.dials.direct = moe_serving_rides(&s->p.serving);
    if (s->p.serving.kernel != MOE_SERVE_NCCL && s->bandwidths.n > 0)
        return moe_fail(err, MOE_USAGE,
                        "--bandwidths: kernel %s was measured on its own links "
                        "(--kernel nccl is priced at others)",
                        moe_serve_kernels[s->p.serving.kernel]);
    if (moe_parsed_slots(s->slots, s->replicas, s->p.gpus, &s->p.slots, err) !=
        MOE_OK)
        return err->status;
    return moe_replace_check(s->output, s->force, err);
}

static void sweep_clusters(settings *s, const char *line, moe_error *err)
{
    moe_cluster cluster[MAX_CLUSTERS];
    moe_map map;
    char measured[128];
    int batch[MOE_OPT_MAX_REALS], n_cluster;
    if (moe_parsed_sequences(&s->p, err) != MOE_OK ||
        read_clusters(s, cluster, &n_cluster, err) != MOE_OK)
        return;
    s->p.dials.accuracy = s->accuracies.n > 0 ? s->accuracies.x[0] : -1;
    if (moe_parsed_measured(&s->p, measured, sizeof measured, err) != MOE_OK)
        return;
    if (s->accuracies.n == 0)
        s->accuracies = (moe_reals){.x = {s->p.dials.accuracy}, .n = 1};
    for (int b = 0; b < s->batches.n; b++)
        batch[b] = (int)s->batches.x[b];
    const moe_map_params p = {.advise = s->p,
                              .cluster = cluster,
                              .skew = s->skews.x,
                              .trace = s->trace,
                              .bandwidth = s->bandwidths.x,
                              .accuracy = s->accuracies.x,
                              .batch = batch,
                              .n_cluster = n_cluster,
                              .n_skew = s->skews.n,
                              .n_bandwidth = s->bandwidths.n,
                              .n_accuracy = s->accuracies.n,
                              .n_batch = s->batches.n,
                              .command_line = line};
    if (moe_map_sweep(&map, &p, err) != MOE_OK)
        return;
    if (s->output != NULL)
        write_map(s, &map, err);
    moe_document *doc = err->status == MOE_OK ? moe_document_new(err) : NULL;
    moe_doc_show_foms(doc, s->fom);
    if (doc != NULL)
        moe_report_map(doc, &map, (moe_advise_case)s->shown, err);
    moe_document_say(doc, stdout, err);
    moe_map_fini(&map);
}

/* A load by hand is drawn from what a trace has itself. */
static moe_status check_trace(const settings *s, const bool *given,
                              moe_error *err)
{
    static const char *const by_hand[] = {"skews", "error", "as-paper",
                                          "bottleneck", "preset"};
    static const char *const of_trace[] = {"order", "warmup"};
    const bool has = s->trace != NULL;
    const char *const *wrong = has ? by_hand : of_trace;
    const size_t n = has ? MOE_ARRAY_LEN(by_hand) : MOE_ARRAY_LEN(of_trace);
    for (size_t i = 0; i < n; i++)
        for (size_t r = 0; rows[r].key != NULL; r++)
            if (given[r] && strcmp(rows[r].key, wrong[i]) == 0)
                return moe_fail(err, MOE_USAGE,
                                has ? "--%s is of loads by hand: a trace has "
                                      "its own"
                                    : "--%s goes with --trace",
                                wrong[i]);
    return MOE_OK;
}

static void sweep(settings *s, const bool *given, const char *line,
                  moe_error *err)
{
    moe_model model;
    moe_trace trace = {.shared = MPI_WIN_NULL};
    if (check_given(s, err) != MOE_OK || check_trace(s, given, err) != MOE_OK ||
        moe_parsed_profile_sets(&s->set, err) != MOE_OK ||
        moe_model_read_set(s->model, &s->set, &model, err) != MOE_OK)
        return;
    s->p.model = &model;
    if (s->trace != NULL && moe_trace_by_name(s->trace, &trace, err) == MOE_OK)
        s->p.trace = &trace;
    if (s->p.trace == NULL && s->p.samples == 0)
        s->p.samples = 3;
    if (err->status == MOE_OK)
        sweep_clusters(s, line, err);
    moe_trace_free(&trace);
}
int moe_cmd_map(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {.slots = 0};
    char *line = moe_args_line(&args, argc, argv);
    bool given[MOE_ARGS_MAX_ROWS] = {false};
    moe_args asked = args;
    asked.given = given;
    moe_advise_params_init(&s.p);
    s.p.error = -1;
    s.p.seq = -1;
    if (moe_args_parse(&asked, argc, argv, &s, &err))
        sweep(&s, given, line, &err);
    free(line);
    return moe_args_end(&asked, &s, &err);
}
