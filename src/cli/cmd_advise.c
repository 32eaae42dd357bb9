/* SPDX-License-Identifier: Apache-2.0 */
#include "advise.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args_old.h"
#include "commands.h"
#include "moegps/ctx.h"
#include "moegps/mem.h"
#include "trace.h"

/* What is typed, by moe_opt rows; rows without a default are "not given"
 * when they are still below their least value. */
typedef struct {
    char model[256], cluster[256], trace[1024], planner[32], overhead[32];
    char json[1024];
    int gpus, batch, seq, slots, rebalance_every, samples, warmup;
    double skew, error, accuracy, token_error, moving, planner_s;
    bool bottleneck, as_paper, overhead_hidden, no_direct, no_limits, force;
    uint64_t seed;
} settings;

#define AT(member) MOE_OPT_AT(settings, member)

/* The error's default is the paper's of Mixtral on MMLU (MoE-GPS, arXiv
 * 2506.07366); accuracy and overhead are assumptions, to be replaced by what
 * `moegps evaluate` measures. */
static const moe_opt rows[] = {
    MOE_ARGS_TEXT("model", model, "", "profile in jobs/models, or a path"),
    MOE_ARGS_TEXT("cluster", cluster, "",
                  "profile in jobs/clusters, or a path"),
    MOE_ARGS_INT("gpus", gpus, NULL, 1, 65536, "that hold the experts"),
    MOE_ARGS_TEXT("trace", trace, "",
                  "sample batches of this trace; else --skew"),
    MOE_ARGS_REAL("skew", skew, NULL, 0, 4096,
                  "busiest expert over the mean: loads follow a power law"),
    MOE_ARGS_FLAG("bottleneck", bottleneck,
                  "skew is of the busiest GPU, the paper's reading"),
    MOE_ARGS_REAL("error", error, "0.018", 0, 2,
                  "of the predicted distribution, sum |p^ - p|; default 0.018"),
    MOE_ARGS_INT("batch", batch, "1", 1, 16777216, "sequences; default 1"),
    MOE_ARGS_INT("seq", seq, NULL, 0, 16777216,
                 "tokens of each; default 512, or with a trace 0: as they are"),
    MOE_ARGS_INT(
        "slots", slots, "0", 0, 4096,
        "per GPU and layer; default: homes and two more, or an eighth"),
    MOE_ARGS_INT("rebalance-every", rebalance_every, "1", 1, 1000000000,
                 "iterations per plan; default 1"),
    MOE_ARGS_REAL(
        "moving", moving, "1", 0, 1,
        "share of token-to-expert's copies that travel at each plan; default "
        "1"),
    MOE_ARGS_REAL("accuracy", accuracy, "0.9", 0, 1,
                  "of token-to-expert, share of pairs; default 0.9"),
    MOE_ARGS_FLAG(
        "as-paper", as_paper,
        "copies neither travel nor cost the reading of their weights, and "
        "distribution-only exchanges rows as without them"),
    MOE_ARGS_TEXT(
        "overhead", overhead, "10%",
        "of its predictor, s per layer, or % of the baseline layer; default "
        "10%"),
    MOE_ARGS_FLAG(
        "overhead-hidden", overhead_hidden,
        "the predictor runs on a device of its own, beside attention"),
    MOE_ARGS_REAL("token-error", token_error, NULL, 0, 2,
                  "of its load; default 1 - accuracy"),
    MOE_ARGS_FLAG("no-direct-routing", no_direct,
                  "pairs predicted right are dispatched like the others"),
    MOE_ARGS_FLAG("no-limits", no_limits,
                  "leave out the break-even numbers, most of the work"),
    MOE_ARGS_TEXT("planner", planner, "duplicate", "see moegps list planners"),
    MOE_ARGS_REAL("planner-time", planner_s, NULL, 0, 1e6,
                  "s of the host per plan; default: measured here"),
    MOE_ARGS_INT("samples", samples, "0", 0, 4096,
                 "batches of the trace, or ways to place the experts"),
    MOE_ARGS_INT("warmup", warmup, "1", 0, 1000,
                 "batches of the trace that go before"),
    {.key = "seed",
     .type = MOE_OPT_U64,
     .initial = "1",
     .max = 1.8e19,
     AT(seed),
     .help = "of batches or placements; default 1"},
    MOE_ARGS_TEXT("json", json, "",
                  "write JSON; - is stdout, and then only JSON"),
    MOE_ARGS_FLAG("force", force, "replace an existing JSON file"),
    {.key = NULL}};

moe_status moe_advise_parse_overhead(const char *text, moe_advise_dials *dials,
                                     moe_error *err)
{
    char *end = NULL;
    const double value = strtod(text, &end);
    const bool share = strcmp(end, "%") == 0;
    if (end == text || (*end != '\0' && !share) || !(value >= 0 && value < 1e6))
        return moe_fail(err, MOE_USAGE,
                        "overhead: '%s' is neither seconds per layer (20e-6) "
                        "nor a share of the baseline layer (10%%)",
                        text);
    dials->overhead_s = share ? 0.0 : value;
    dials->overhead_share = share ? value / 100 : 0.0;
    return MOE_OK;
}

static moe_status check_given(const settings *s, moe_error *err)
{
    if (*s->model == '\0' || *s->cluster == '\0' || s->gpus == 0)
        return moe_fail(err, MOE_USAGE,
                        "--model, --cluster and --gpus are needed (see moegps "
                        "advise --help)");
    if ((*s->trace != '\0') == (s->skew >= 0))
        return moe_fail(err, MOE_USAGE,
                        "either --trace or --skew says what the load is");
    if (*s->trace != '\0' && s->bottleneck)
        return moe_fail(err, MOE_USAGE, "--bottleneck goes with --skew");
    if (*s->json != '\0' && strcmp(s->json, "-") != 0)
        return moe_trace_output_check(&(moe_trace_output){s->json, s->force},
                                      err);
    return MOE_OK;
}

static moe_status fill_params(const settings *s, moe_advise_params *p,
                              moe_error *err)
{
    moe_advise_params_init(p);
    p->gpus = s->gpus;
    p->batch = s->batch;
    p->seq = s->seq >= 0 ? s->seq : *s->trace != '\0' ? 0 : 512;
    p->slots = s->slots;
    p->skew = s->skew;
    p->bottleneck = s->bottleneck;
    p->error = s->error;
    p->planner_s = s->planner_s;
    p->samples = s->samples;
    p->warmup = s->warmup;
    p->seed = s->seed;
    p->no_limits = s->no_limits;
    p->dials.accuracy = s->accuracy;
    p->dials.token_error = s->token_error;
    p->dials.overhead_hidden = s->overhead_hidden;
    p->dials.direct = !s->no_direct;
    p->dials.rebalance_every = s->rebalance_every;
    p->dials.moving = s->moving;
    p->dials.paper = s->as_paper;
    p->planner = moe_planner_find(s->planner);
    if (p->planner == NULL)
        return moe_fail(err, MOE_USAGE,
                        "no planner '%s' (see moegps list planners)",
                        s->planner);
    return moe_advise_parse_overhead(s->overhead, &p->dials, err);
}

static moe_status advise(const settings *s, moe_error *err)
{
    moe_model model;
    moe_cluster cluster;
    moe_trace trace = {.shared = MPI_WIN_NULL};
    moe_advise_params p;
    moe_advice v;
    if (check_given(s, err) != MOE_OK || fill_params(s, &p, err) != MOE_OK ||
        moe_model_read(s->model, &model, err) != MOE_OK ||
        moe_cluster_read(s->cluster, &cluster, err) != MOE_OK)
        return err->status;
    p.model = &model;
    p.cluster = &cluster;
    if (*s->trace != '\0' && moe_trace_by_name(s->trace, &trace, err) == MOE_OK)
        p.trace = &trace;
    if (err->status == MOE_OK && moe_advise_run(&p, &v, err) == MOE_OK) {
        if (strcmp(s->json, "-") != 0)
            moe_advise_print(&p, &v, stdout);
        if (*s->json != '\0')
            moe_advise_write_json(&p, &v, s->json, s->force, err);
        if (fflush(stdout) != 0)
            moe_fail(err, MOE_IO, "standard output: cannot write");
    }
    moe_trace_free(&trace);
    return err->status;
}

int moe_cmd_advise(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {.skew = -1, .seq = -1, .token_error = -1, .planner_s = -1};
    bool help = false;
    static const moe_args_rows args = {
        .name = "moegps advise",
        .help = "Say which strategy a layer would be fastest with, by how "
                "much, why, how sure that is and where it turns. All of it is "
                "modelled: real planners and splits on sampled or described "
                "loads, priced as a run's gpu clock.",
        .rows = rows};
    moe_args_rows_parse(&args, argc, argv, &s, &help, &err);
    if (help)
        return 0;
    if (err.status == MOE_OK)
        advise(&s, &err);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
