/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "advise.h"
#include "args.h"
#include "emit.h"
#include "moegps/mem.h"
#include "moegps/replace.h"
#include "moegps/report.h"
#include "trace.h"

typedef moe_advise_settings settings;

/* Of pairs among copies, by name as in a run; or of a recording into a past and
 * a part to walk through, which has a '='. */
static moe_status parse_split(const char *text, void *at, moe_error *err)
{
    settings *s = at;
    return strchr(text, '=') != NULL
               ? moe_parse_split(text, &s->divided, err)
               : moe_parse_split_name(text, &s->p.split, err);
}

#define AT(member) MOE_OPT_AT(settings, p.serving.member)
static const moe_opt serving_rows[] = {MOE_SERVING_ROWS, {.key = NULL}};
#undef AT
#define AT(member) MOE_OPT_AT(settings, member)
static const moe_opt rows[] = {
    MOE_ARGS_STRING("model", model, NULL, "FILE|NAME",
                    "profile in jobs/models, or a path"),
    MOE_ARGS_STRING("cluster", cluster, NULL, "FILE|NAME",
                    "profile in jobs/clusters, or a path"),
    MOE_ARGS_PROFILE_SET,
    MOE_ARGS_STACK(stack),
    MOE_ARGS_INT("gpus", p.gpus, NULL, 1, 65536, "that hold the experts"),
    {.key = "loads",
     .form = "FILE...",
     .type = MOE_OPT_STRINGS,
     .initial = "",
     AT(recorded.files),
     .help = "a recording, in any form that `trace import` knows, or"},
    MOE_ARGS_TRACE("", "a trace: its test part is walked; or"),
    MOE_ARGS_REAL(
        "skew", p.skew, "", 0, 4096,
        "a load by hand: busiest expert over the mean, of a power law "
        "from which batches are drawn"),
    MOE_ARGS_FLAG("bottleneck", p.bottleneck,
                  "skew is of the busiest GPU, the paper's reading"),
    MOE_ARGS_REAL("error", p.error, "", 0, 2,
                  "with --skew: drift of the predicted distribution, sum |p^ - "
                  "p|, beside what drawing a batch makes; default: as measured "
                  "of the model, with --as-paper 0.018"),
    MOE_ARGS_INT("batch", p.batch, "1", 1, 16777216, "sequences"),
    MOE_ARGS_INT("seq", p.seq, "", 0, 16777216,
                 "tokens of each; of loads whose steps are batches for the "
                 "time of attention alone; default: 512, or with a trace 0, "
                 "as they are"),
    MOE_ARGS_INT("tokens", tokens, "", 1, 1 << 24,
                 "of one forward pass, where a step of --loads is many of "
                 "them, or a share: so many are drawn"),
    {.key = "split",
     .type = MOE_OPT_CALL,
     .initial = "",
     .form = "NAME|tail=SHARE|train=SHARE[,seed=N]",
     .parse = parse_split,
     .offset = 0,
     .size = sizeof(settings),
     .help = "NAME, with --skew, --accuracy or --predictor: of pairs among "
             "copies, see moegps list splits; default quota. Else of --loads: "
             "test on the last SHARE of steps, or train on SHARE of them, "
             "drawn; default: as in the file, else tail=0.7"},
    MOE_ARGS_RECORDED(recorded),
    MOE_ARGS_SLOTS("default: homes and two more, or an eighth"),
    MOE_ARGS_REPLICAS,
    {.key = "interval",
     .alias = "rebalance-every",
     .type = MOE_OPT_REALS,
     .initial = "",
     .min = 1,
     .max = 1e6,
     AT(intervals),
     .help = "batches that a plan serves; several, of a trace: each is walked "
             "through; default: 1, 2, 5, 10, ... of which five fit in, or 1"},
    MOE_ARGS_CALL("predictor", predictor, "", moe_parse_predictor,
                  "NAME[:OPTION=VALUE]",
                  "of a trace: compare distribution-only by this one, instead "
                  "of searching"),
    MOE_ARGS_STRING("load", trained, "", "FILE|NAME",
                    "predictors of tokens to try: a file of moegps train"),
    MOE_ARGS_LOOKAHEAD(p.dials.lookahead),
    MOE_ARGS_REAL("moving", p.dials.moving, "1", 0, 1,
                  "share of token-to-expert's copies that travel at each plan"),
    MOE_ARGS_REAL("accuracy", p.dials.accuracy, "", 0, 1,
                  "if a predictor were right for this share of tokens' "
                  "experts; default: as measured of the model; of a trace: "
                  "compare with it, instead of searching"),
    MOE_ARGS_FLAG(
        "as-paper", p.dials.paper,
        "copies neither travel nor cost the reading of their weights, "
        "distribution-only exchanges rows as without them, and batches by "
        "hand have exactly the load told"),
    MOE_ARGS_CALL("overhead", p.dials, "10%", moe_parse_overhead, "X|X%",
                  "of its predictor, s per layer, or % of the baseline layer"),
    MOE_ARGS_FLAG(
        "overhead-hidden", p.dials.overhead_hidden,
        "the predictor runs on a device of its own, beside attention"),
    MOE_ARGS_REAL("token-error", p.dials.token_error, "", 0, 2,
                  "of its load; default: 1 - accuracy"),
    MOE_ARGS_FLAG("no-direct-routing", no_direct,
                  "pairs predicted right are dispatched like the others"),
    MOE_ARGS_FLAG("no-limits", p.no_limits,
                  "leave out the break-even numbers, most of the work"),
    MOE_ARGS_CALL(
        "planner", p.planner, "", moe_parse_planner, "NAME",
        "see moegps list planners; default: all that are worth it, or "
        "duplicate"),
    MOE_ARGS_REAL("planner-time", p.planner_s, "", 0, 1e6,
                  "s of the host per plan; default: by the planner's steps"),
    MOE_ARGS_INT("samples", p.samples, "", 0, 4096,
                 "batches of the trace, or batches drawn and ways to place the "
                 "experts"),
    MOE_ARGS_INT("warmup", p.warmup, "1", 0, 1000,
                 "batches of the trace that go before"),
    MOE_ARGS_ORDER(order),
    MOE_ARGS_SEED(p.seed, "of batches or placements"),
    MOE_ARGS_EMIT(emit),
    MOE_ARGS_QUIET,
    MOE_ARGS_JSON,
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_args args = {
    .name = "moegps advise",
    .example = "moegps advise --model mixtral-8x7b --cluster a100-nvlink "
               "--gpus 4 --skew 1.4 --error 0.02",
    .help = "Say which strategy a layer would be fastest with, by how much, "
            "why, how sure that is and where it turns. Of recorded loads or a "
            "trace: which predictor, how many redundant experts, planned anew "
            "how often. All of it is modelled: real planners and splits on "
            "recorded or described loads, priced as a run's gpu clock.",
    .rows = rows,
    .more = serving_rows};

/* What is asked of a described predictor has no place in a search. */
static const char *const of_comparison[] = {
    "token-error",  "overhead", "overhead-hidden",
    "moving",       "error",    "no-limits",
    "planner-time", "samples",  "no-direct-routing"};

static moe_status check_search(const settings *s, const bool *given,
                               moe_error *err)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(of_comparison); i++)
        for (size_t r = 0; rows[r].key != NULL; r++)
            if (given[r] && strcmp(rows[r].key, of_comparison[i]) == 0)
                return moe_fail(err, MOE_USAGE,
                                "--%s goes with --accuracy, --predictor, "
                                "--as-paper or --skew",
                                rows[r].key);
    if (s->p.split != NULL)
        return moe_fail(err, MOE_USAGE,
                        "--split %s goes with --accuracy, --predictor, "
                        "--as-paper or --skew: a search tries splits itself",
                        s->p.split->name);
    return MOE_OK;
}

static bool searches(const settings *s)
{
    return !(s->p.skew >= 0 || s->p.dials.accuracy >= 0 || s->p.dials.paper ||
             s->predictor.predictor != NULL);
}

/* How to read a recording. */
static moe_status check_recorded(const bool *given, moe_error *err)
{
    const size_t first = offsetof(settings, recorded);
    char typed[40];
    for (size_t r = 0; rows[r].key != NULL; r++) {
        if (!given[r] || rows[r].offset < first ||
            rows[r].offset >= first + sizeof(moe_recorded))
            continue;
        snprintf(typed, sizeof typed, "%s", rows[r].key);
        for (char *c = typed; *c != '\0'; c++)
            *c = *c == '_' ? '-' : *c;
        return moe_fail(err, MOE_USAGE, "--%s goes with --loads", typed);
    }
    return MOE_OK;
}

static moe_status check_load(const settings *s, const bool *given,
                             moe_error *err)
{
    const bool loads = s->recorded.files.n > 0;
    if (loads + (s->trace != NULL) + (s->p.skew >= 0) != 1)
        return moe_fail(err, MOE_USAGE,
                        "one of --loads, --trace and --skew says what the "
                        "load is");
    if (!loads && check_recorded(given, err) != MOE_OK)
        return err->status;
    if (s->p.skew < 0 && s->p.bottleneck)
        return moe_fail(err, MOE_USAGE, "--bottleneck goes with --skew");
    if (s->tokens > 0 && s->p.batch > 1)
        return moe_fail(err, MOE_USAGE,
                        "--batch: %d steps of --tokens are no forward pass "
                        "(allowed: 1)",
                        s->p.batch);
    if (!loads && (s->tokens > 0 || s->divided.text != NULL))
        return moe_fail(err, MOE_USAGE, "--%s goes with --loads",
                        s->tokens > 0 ? "tokens" : "split tail or train");
    for (int i = 0; i < s->intervals.n; i++)
        if (s->intervals.x[i] != floor(s->intervals.x[i]))
            return moe_fail(err, MOE_USAGE, "--interval: %g is not whole",
                            s->intervals.x[i]);
    if (s->p.skew >= 0 && (s->intervals.n > 1 || s->predictor.predictor))
        return moe_fail(
            err, MOE_USAGE, "%s: a load by hand has no time to go through",
            s->predictor.predictor ? "--predictor" : "several --interval");
    return MOE_OK;
}

static moe_status check_given(settings *s, const bool *given, moe_error *err)
{
    if (check_load(s, given, err) != MOE_OK ||
        (searches(s) && check_search(s, given, err) != MOE_OK))
        return err->status;
    s->p.dials.rebalance_every =
        s->intervals.n > 0 ? (int)s->intervals.x[0] : 1;
    s->p.predictor = s->predictor.predictor;
    s->p.predictor_params = s->predictor.params;
    s->p.dials.direct = !s->no_direct && moe_serving_rides(&s->p.serving);
    s->p.order = (moe_batch_order)s->order;
    if (moe_parsed_slots(s->slots, s->replicas, s->p.gpus, &s->p.slots, err) !=
        MOE_OK)
        return err->status;
    if (s->emit.n > 0 && !searches(s))
        return moe_fail(err, MOE_USAGE,
                        "--emit goes with --loads or --trace, and none of "
                        "--accuracy, --predictor and --as-paper");
    if (moe_emit_check(&s->emit, s->force, err) != MOE_OK)
        return err->status;
    return moe_replace_check(s->json, s->force, err);
}

/* Walk through the trace with each interval and go on with the best.
 * @return how many there are; 0: one was asked for. */
static int find_interval(settings *s, moe_advise_interval *out, moe_error *err)
{
    int every[MOE_OPT_MAX_REALS];
    const int n = s->intervals.n > 1 ? s->intervals.n : 0;
    for (int i = 0; i < n; i++)
        every[i] = (int)s->intervals.x[i];
    if (n == 0 || moe_advise_intervals(&s->p, every, n, out, err) != MOE_OK)
        return 0;
    const int best = moe_advise_best_interval(out, n, MOE_ADVISE_DISTRIBUTION);
    s->p.dials.rebalance_every = every[best];
    if (s->p.samples > 0)
        s->p.samples -= s->p.samples % every[best];
    return n;
}

static void warn_of_memory(const settings *s, const moe_advice *v)
{
    if (v->facts.expert_bytes > s->p.cluster->memory_bytes)
        fprintf(stderr,
                "moegps: warning: experts and copies of all layers take %s, a "
                "GPU has %s\n",
                moe_bytes_cell(v->facts.expert_bytes).text,
                moe_bytes_cell(s->p.cluster->memory_bytes).text);
}

static void tell(const settings *s, const moe_advice *v, moe_error *err)
{
    if (s->json == NULL || strcmp(s->json, "-") != 0) {
        moe_document *doc = moe_document_new(err);
        if (doc != NULL)
            moe_report_advice(doc, &s->p, v);
        moe_document_say(doc, stdout, err);
        warn_of_memory(s, v);
    }
    if (s->json != NULL)
        moe_report_advice_json(&s->p, v, s->json, s->force, err);
}

static void compare(settings *s, moe_error *err)
{
    char measured[128];
    if (moe_parsed_measured(&s->p, measured, sizeof measured, err) != MOE_OK)
        return;
    moe_advise_interval walks[MOE_OPT_MAX_REALS];
    moe_advice v;
    const int n = find_interval(s, walks, err);
    if (err->status == MOE_OK && moe_advise_run(&s->p, &v, err) == MOE_OK) {
        v.interval = walks;
        v.n_intervals = n;
        tell(s, &v, err);
    }
}

static void advise(settings *s, const bool *given, moe_error *err)
{
    moe_model model;
    moe_cluster cluster;
    moe_trace trace = {.shared = MPI_WIN_NULL};
    if (check_given(s, given, err) != MOE_OK ||
        moe_parsed_profile_sets(&s->set, err) != MOE_OK ||
        moe_model_read_set(s->model, &s->set, &model, err) != MOE_OK ||
        moe_cluster_read_set(s->cluster, &s->set, &cluster, err) != MOE_OK ||
        moe_cluster_set_stack(&cluster, s->stack, err) != MOE_OK)
        return;
    s->p.model = &model;
    s->p.cluster = &cluster;
    if (s->trace != NULL)
        moe_trace_by_name(s->trace, &trace, err);
    else if (s->recorded.files.n > 0)
        moe_advise_read_loads(s, &model, &trace, err);
    if (s->p.skew < 0)
        s->p.trace = &trace;
    if (err->status == MOE_OK && moe_parsed_sequences(&s->p, err) == MOE_OK) {
        if (searches(s))
            moe_advise_search(s, err);
        else
            compare(s, err);
    }
    moe_trace_free(&trace);
}

int moe_cmd_advise(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {0};
    bool given[MOE_ARGS_MAX_ROWS] = {false};
    moe_args asked = args;
    asked.given = given;
    moe_advise_params_init(&s.p);
    s.p.skew = s.p.seq = -1;
    s.p.dials.accuracy = s.p.error = -1;
    if (moe_args_parse(&asked, argc, argv, &s, &err))
        advise(&s, given, &err);
    free(s.predictor.params);
    return moe_args_end(&asked, &s, &err);
}
