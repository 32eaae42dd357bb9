/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/experiment.h"

#include <stddef.h>

static const char *const dtypes[] = {"auto", "bf16", "f32", NULL};
static const char *const attentions[] = {"model", "paced", NULL};
static const char *const syncs[] = {"auto", "phase", "none", NULL};
static const char *const progressions[] = {"poll", "thread", NULL};
static const char *const coordinations[] = {"central", "replicated", NULL};
static const char *const routings[] = {"auto", "dispatch", "direct", NULL};
static const char *const coordinators[] = {"shared", "dedicated", NULL};

#define AT(member) MOE_OPT_AT(moe_experiment, member)
const moe_opt moe_experiment_options[] = {
    {.key = "model",
     .type = MOE_OPT_TEXT,
     AT(model_name),
     .help = "profile in jobs/models, or a path"},
    {.key = "cluster",
     .type = MOE_OPT_TEXT,
     AT(cluster_name),
     .help = "profile in jobs/clusters, or a path"},
    {.key = "trace",
     .type = MOE_OPT_TEXT,
     AT(trace_name),
     .help = "trace in jobs/traces, or a path"},
    {.key = "output",
     .type = MOE_OPT_TEXT,
     .initial = "results/%m-%c-%n.h5",
     AT(output),
     .help = "result file: %m model, %c cluster, %t trace, %n GPUs, %% a %"},
    {.key = "reference",
     .type = MOE_OPT_TEXT,
     .initial = "",
     AT(reference),
     .help = "strategy that ratios refer to; empty: the first"},
    {.key = NULL}};
#undef AT

#define AT(member) MOE_OPT_AT(moe_workload, member)
const moe_opt moe_workload_options[] = {
    {.key = "batch",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "1",
     .min = 1,
     .max = 1 << 20,
     AT(batch),
     .help = "sequences per iteration, over all GPUs"},
    {.key = "seq",
     .type = MOE_OPT_INT,
     .unit = "tokens",
     .initial = "512",
     .min = 0,
     .max = 1 << 20,
     AT(seq),
     .help = "tokens per sequence; 0: sequences or steps of the trace whole"},
    {.key = "layers",
     .type = MOE_OPT_TEXT,
     .initial = "all",
     AT(layers),
     .help = "MoE layers to run: all, or numbers and ranges, 0,4,8-11"},
    {.key = "iterations",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "20",
     .min = 1,
     .max = 1000000,
     AT(iterations),
     .help = "measured iterations, every strategy on the same batches"},
    {.key = "warmup",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "2",
     .min = 1,
     .max = 1000,
     AT(warmup),
     .help = "iterations before, which also carry the correctness checks"},
    {.key = "seed",
     .type = MOE_OPT_U64,
     .unit = "1",
     .initial = "1",
     .min = 0,
     .max = 9007199254740992.0,
     AT(seed),
     .help = "of batches, weights, hidden vectors and the order of strategies"},
    {.key = "order",
     .type = MOE_OPT_ENUM,
     .initial = "auto",
     .choices = moe_batch_orders,
     AT(order),
     .help = "of batches: recorded, as in the trace's test part, one after the "
             "other, or shuffled by the seed; auto: recorded where the trace's "
             "order is time"},
    {.key = "repeat",
     .type = MOE_OPT_BOOL,
     .initial = "false",
     AT(repeat),
     .help = "recorded order may start over at the end of the test part"},
    {.key = NULL}};
#undef AT

#define AT(member) MOE_OPT_AT(moe_emulation, member)
const moe_opt moe_emulation_options[] = {
    {.key = "ffn",
     .type = MOE_OPT_TEXT,
     .initial = "dnnl",
     AT(ffn),
     .help = "expert FFN: dnnl (real), exact (proves routing), none, paced "
             "(takes the time that the cost model gives the GPU)"},
    {.key = "scale",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 4096,
     AT(scale),
     .help = "divides hidden and intermediate size of what is executed; the "
             "gpu clock always prices the full size; 0: 1 if ffn is paced, "
             "else 8"},
    {.key = "dtype",
     .type = MOE_OPT_ENUM,
     .initial = "auto",
     .choices = dtypes,
     AT(dtype),
     .help = "of executed rows and weights; auto: bf16 if the CPU has it"},
    {.key = "attention",
     .type = MOE_OPT_ENUM,
     .initial = "model",
     .choices = attentions,
     AT(attention),
     .help = "model: charged on the gpu clock, not executed; paced: takes its "
             "time on the wall clock, too, with the router"},
    {.key = "sync",
     .type = MOE_OPT_ENUM,
     .initial = "auto",
     .choices = syncs,
     AT(sync),
     .help = "phase: a barrier before every collective, recorded as wait; "
             "auto: none where a phase is paced, else phase"},
    {.key = "dilation",
     .type = MOE_OPT_TEXT,
     .initial = "1",
     AT(dilation_text),
     .help = "of paced phases: their times are multiplied by it, and all that "
             "is measured is divided by it; auto: by how much the links here "
             "are slower than the cluster's, by the tables in links"},
    {.key = "links",
     .type = MOE_OPT_TEXT,
     .initial = "",
     AT(links),
     .help =
         "of paced runs: tables of `moegps calibrate --mpi` on this machine"},
    {.key = "progress",
     .type = MOE_OPT_ENUM,
     .initial = "poll",
     .choices = progressions,
     AT(progress),
     .help = "of messages in paced phases: by the rank between sleeps, or by a "
             "thread of its own"},
    {.key = "poll_interval",
     .type = MOE_OPT_REAL,
     .unit = "us",
     .initial = "100",
     .min = 0,
     .max = 1e6,
     AT(poll_interval_us),
     .help = "sleep between two looks at messages in paced phases; 0: none, "
             "a rank then takes a whole core"},
    {.key = "coordination",
     .type = MOE_OPT_ENUM,
     .initial = "central",
     .choices = coordinations,
     AT(coordination),
     .help = "central: one rank plans and broadcasts; replicated: all reduce "
             "and plan alike"},
    {.key = "coordinator",
     .type = MOE_OPT_ENUM,
     .initial = "shared",
     .choices = coordinators,
     AT(coordinator),
     .help = "shared: rank 0 is also GPU 0; dedicated: the last rank has no "
             "GPU and only coordinates"},
    {.key = "rebalance_every",
     .type = MOE_OPT_INT,
     .unit = "iterations",
     .initial = "1",
     .min = 1,
     .max = 1000000,
     AT(rebalance_every),
     .help = "iterations between plans"},
    {.key = "threads",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 1024,
     AT(threads),
     .help = "OpenMP threads per rank; 0: the cores it is bound to"},
    {.key = "regret",
     .type = MOE_OPT_BOOL,
     .initial = "true",
     AT(regret),
     .help = "record which stage loses balance, by plans of the true load made "
             "between iterations; rank 0 pays, no clock sees it"},
    {.key = NULL}};
#undef AT

#define AT(member) MOE_OPT_AT(moe_strategy, member)
const moe_opt moe_strategy_options[] = {
    {.key = "name",
     .type = MOE_OPT_TEXT,
     AT(name),
     .help = "how tables and files call it"},
    {.key = "predictor",
     .type = MOE_OPT_TEXT,
     .initial = "none",
     AT(predictor_name),
     .help = "see `moegps list predictors`"},
    {.key = "load",
     .type = MOE_OPT_TEXT,
     .initial = "",
     AT(load),
     .help = "predictor file of `moegps train`: a path, or a name in "
             "jobs/predictors"},
    {.key = "planner",
     .type = MOE_OPT_TEXT,
     .initial = "auto",
     AT(planner_name),
     .help = "see `moegps list planners`; auto: static for predictor none, "
             "balance for all others"},
    {.key = "split",
     .type = MOE_OPT_TEXT,
     .initial = "quota",
     AT(split_name),
     .help = "see `moegps list splits`"},
    {.key = "slots",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 4096,
     AT(slots),
     .help = "expert slots per GPU and layer; 0: what the home placement "
             "needs"},
    {.key = "lookahead",
     .type = MOE_OPT_TEXT,
     .initial = "all",
     AT(lookahead_text),
     .help = "all: one plan of all layers before the first; d, 1 or more: "
             "layer l is planned beside layer l - d"},
    {.key = "plan_ahead",
     .type = MOE_OPT_BOOL,
     .initial = "false",
     AT(plan_ahead),
     .help = "plan beside the iteration, for the next round: the whole layer "
             "hides it, but the plan is one round old"},
    {.key = "routing",
     .type = MOE_OPT_ENUM,
     .initial = "auto",
     .choices = routings,
     AT(routing),
     .help = "direct: rows go ahead to their predicted experts, dispatch "
             "brings the rest; dispatch: all rows then; auto: direct if the "
             "predictor foretells tokens"},
    {.key = NULL}};
#undef AT

#define AT(member) MOE_OPT_AT(moe_strategy, member)
const moe_opt moe_choice_options[] = {
    {.key = "candidates",
     .type = MOE_OPT_TEXT,
     AT(candidates),
     .help = "strategies that this one chooses among while it runs: names, "
             "\"a, b\", or all, those that do not know the future"},
    {.key = "try_every",
     .type = MOE_OPT_INT,
     .unit = "rounds",
     .initial = "10",
     .min = 3,
     .max = 1000000,
     AT(try_every),
     .help = "of planning, in two of which candidates not in use predict and "
             "plan, too, and are priced"},
    {.key = "hysteresis",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "0.01",
     .min = 0,
     .max = 1,
     AT(hysteresis),
     .help = "share of the time of an iteration that a candidate has to save "
             "before it counts"},
    {.key = NULL}};
#undef AT
