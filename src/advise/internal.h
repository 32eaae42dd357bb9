/** internal.h: what the files of this folder share.
 *
 *  load.c       pairs per expert: by hand, or of a trace's batch
 *  placement.c  a placement, how it is planned and what moves
 *  count.c      what every GPU does under a placement
 *  sample.c     all samples: loads, plans, placements
 *  price.c      placements to seconds, price_layer.c of one layer
 *  advise.c     the samples of one condition
 *  intervals.c  one walk for each interval between plans
 *  limits.c     where verdicts turn
 *  advise_model.c  from a layer to the model; how many copies pay
 *  recommend.c  the recommendation
 */
#ifndef MOEGPS_ADVISE_INTERNAL_H
#define MOEGPS_ADVISE_INTERNAL_H

#include "moegps/advise.h"
#include "moegps/iteration_price.h"
#include "moegps/layer_price.h"
#include "moegps/layout.h"
#include "moegps/plan.h"
#include "moegps/split.h"

/** The true pairs of one layer of one batch. */
typedef struct moe_advise_load {
    int experts, gpus;
    uint64_t *total;  /* [experts]; owned */
    uint32_t *before; /* [gpus + 1][experts] pairs of lower GPUs; NULL: the
                         tokens are alike, GPU g has its g-th part; owned */
    uint64_t *own;    /* [gpus] pairs that GPU g has itself; owned */
    double tokens, sequences;
    const uint16_t *experts_of; /* [tokens][top_k]; NULL: not known; borrowed */
    int top_k;
    uint64_t *first; /* [gpus + 1] of them that GPUs below have; owned */
} moe_advise_load;

/** @return pairs of an expert on GPUs below `gpu`. */
uint64_t moe_advise_load_before(const moe_advise_load *load, int gpu,
                                int expert);

/** The same of one GPU after the other, without a division for each. */
typedef struct moe_advise_bound {
    uint64_t at;                     /* moe_advise_load_before() of the GPU */
    const uint32_t *before;          /* of this GPU; NULL: alike */
    uint64_t each, rest, left, gpus; /* alike: total / gpus, what it leaves,
                                        and what `at` leaves */
    size_t experts;
} moe_advise_bound;

moe_advise_bound moe_advise_bound_of(const moe_advise_load *load, int gpu,
                                     int expert);

/** Go to the next GPU. @return `at`. */
static inline uint64_t moe_advise_bound_next(moe_advise_bound *b)
{
    if (b->before != NULL)
        return b->at = *(b->before += b->experts);
    b->left += b->rest;
    const bool whole = b->left >= b->gpus;
    b->left -= whole ? b->gpus : 0;
    return b->at += b->each + whole;
}

moe_status moe_advise_load_init(moe_advise_load *load, int experts, int gpus,
                                bool alike, moe_error *err);
void moe_advise_load_fini(moe_advise_load *load);

/** Shares of the described load, the busiest first.
 *  @param share_out  [experts] */
void moe_advise_shares_by_hand(const moe_advise_params *p, double *share_out);

/** Draw a batch whose tokens choose experts by these shares; the paper's has
 *  the expected pairs, rounded. Experts find their homes, and tokens their
 *  experts, by (seed, sample).
 *  @param expected_out  [experts] pairs that were to be expected */
moe_status moe_advise_load_by_hand(moe_advise_load *load,
                                   const moe_advise_params *p,
                                   const double *shares, int sample,
                                   double *expected_out, moe_error *err);

/** Fill from a layer of a whole batch, divided as load->first says.
 *  @param experts_of  [first[gpus]][top_k], borrowed while it is counted */
void moe_advise_load_of_tokens(moe_advise_load *load,
                               const uint16_t *experts_of, int top_k);

/** Fill with pairs of tokens that are alike on all GPUs.
 *  @param pairs  [experts] whole numbers */
void moe_advise_load_alike(moe_advise_load *load, const double *pairs);

/** Solve a power law over ranks, p(r) ~ r^-s, for max / mean = skew.
 *  @param share_out  [n], falling, summing to 1. */
void moe_advise_power_law(double skew, int n, double *share_out);

enum { ADVISE_STANDOUTS = 10 };

enum { PLACEMENT_HOME, PLACEMENT_TRUTH, PLACEMENT_PREDICTED, N_PLACEMENTS };

/** What every GPU does in a layer under one placement. */
typedef struct moe_advise_placement {
    uint32_t *rows;         /* [gpus][slots]; owned, as all here */
    uint64_t *pairs;        /* [gpus] sum of rows */
    double (*sent)[2];      /* [gpus] rows, 0: in the node, 1: beyond */
    double (*received)[2];  /* [gpus] rows, 0: from the node, 1: from beyond */
    double (*move_sent)[2]; /* [gpus] bytes of weights */
    double (*move_received)[2];
    double plan_bytes, planner_s;
    double copies;  /* replicas beside one per expert */
    int busiest;    /* GPU with most pairs */
    bool of_tokens; /* sent and received are rows of known tokens as the
                       exchange has them, not pairs */
    int standout[ADVISE_STANDOUTS]; /* GPUs that are first in something */
    int n_standouts;
} moe_advise_placement;

moe_status moe_advise_placement_init(moe_advise_placement *placement, int gpus,
                                     int slots, moe_error *err);
void moe_advise_placement_fini(moe_advise_placement *placement);

/** A planner at work on one layer after another; reused. */
typedef struct moe_advise_planning {
    const moe_planner *planner;
    const moe_split *split;            /* of the advice */
    void *planner_state[N_PLACEMENTS]; /* of plans for each; NULL: home's */
    void *planner_params, *split_state;
    bool from_home; /* every plan changes the home placement */
    moe_layout layout;
    int experts, slots;
    const moe_serving *serving; /* borrowed */
    double expert_bytes;
    double step_s;          /* host time of a step of the planner */
    double fixed_planner_s; /* as moe_advise_fixed_planner_s() */
    moe_plan next;          /* scratch of one layer, as all below */
    moe_replicas replicas;
    uint32_t *pairs;        /* [gpus * slots] of each replica */
    uint64_t *first;        /* [experts] */
    uint32_t *own, *copies; /* [experts] */
    moe_move *moves;        /* [gpus * slots] */
    uint8_t *wire;
} moe_advise_planning;

/** @return host time of a plan, s, whatever it takes the planner; NaN: that of
 *  the steps which the planner counts. */
double moe_advise_fixed_planner_s(const moe_advise_params *p);

/** @param pricer  for planners that weigh time, at the cluster that the
 *  advice began with. */
moe_status moe_advise_planning_init(moe_advise_planning *w,
                                    const moe_advise_params *p, int slots,
                                    const moe_split *split,
                                    const moe_pricer *pricer, moe_error *err);
void moe_advise_planning_fini(moe_advise_planning *w);

/** Plan a layer, list what travels, make it current.
 *  @param which    PLACEMENT_: what the plan is made of
 *  @param task     all but `current`, which is the next:
 *  @param current  one layer; becomes the new plan. */
moe_status moe_advise_replan(moe_advise_planning *w, int which,
                             const moe_planner_task *task, moe_plan *current,
                             moe_advise_placement *placement, moe_error *err);

/** Divide the true pairs among the replicas of a plan and count what every
 *  GPU computes, sends and receives. */
void moe_advise_count(moe_advise_planning *w, const moe_advise_load *load,
                      const moe_plan *plan, moe_advise_placement *placement);

/** Count the rows that known tokens of GPUs [first, end) send, one for each GPU
 *  (`nodes`: node) that a token visits.
 *  @param w  w->pairs  [replicas] of these tokens' pairs each gets, in order;
 *  used up, as is w->own. */
void moe_advise_count_tokens(moe_advise_planning *w,
                             const moe_advise_load *load, int first, int end,
                             moe_advise_placement *placement);

/** The same where every GPU has the same mix of tokens and each deals its own
 *  pairs over the copies in turn, but for what does not divide.
 *  @param pairs  [experts] of the whole batch */
void moe_advise_deal(moe_advise_planning *w, const double *pairs,
                     const moe_plan *plan, moe_advise_placement *placement);

/** @return share of a node's rows that go to the GPUs of the own attention, to
 *  which direct routing brings them. */
double moe_advise_group_share(const moe_pricer *pricer);

/** @return GPUs that a token's experts are on, if they lie independently of
 *  each other. @param all  pairs of all GPUs */
double moe_advise_visited(const moe_model *model,
                          const moe_advise_placement *placement, int gpus,
                          double all);

/** @return GPUs per token that rows ride to beside its home, rightly predicted
 *  or not. @param visited  moe_advise_visited() */
double moe_advise_ahead_rows(const moe_pricer *pricer, double visited);

/** @return part of the tokens none of whose experts, which are distinct, is on
 *  a GPU that gets this share of all pairs: exact where all experts get alike.*/
double moe_advise_missing(const moe_model *model, double share);

/** Part of the tokens that visit each GPU, if a token's experts are distinct
 *  and chosen without regard to each other.
 *  @param all        pairs of all GPUs
 *  @param visit_out  [gpus]; untouched where a row is a pair's, whoever else
 *  the token visits */
void moe_advise_visits(const moe_pricer *pricer,
                       const moe_advise_placement *placement, double all,
                       double *visit_out);

/** Rows of a GPU, 0: within the node, 1: beyond. */
typedef struct moe_advise_traffic {
    double sent[2], received[2];
} moe_advise_traffic;

/** @return what a GPU sends and receives: a row a pair, or as the deployment
 *  has it.
 *  @param visit   of moe_advise_visits()
 *  @param tokens  of the batch */
moe_advise_traffic moe_advise_rows(const moe_pricer *pricer,
                                   const moe_advise_placement *placement,
                                   const double *visit, double tokens, int gpu);

/** One layer of one batch, or one way to place the experts. */
typedef struct moe_advise_layer {
    moe_advise_placement
        placement[N_PLACEMENTS]; /* PLACEMENT_PREDICTED not of exact loads */
    double tokens, sequences;
    moe_batch_share all, own; /* of a trace, who attends: own is of the GPU that
                                 takes longest, where each has its own */
    double visited;           /* GPUs by a token, of PLACEMENT_TRUTH */
    double skew, error;
    double sampling; /* by hand: sum |p^ - p| of the drawn batch */
    bool due;        /* a plan was made for this batch; by hand always */
} moe_advise_layer;

struct moe_advise {
    moe_advise_params p;
    moe_layout layout;
    int slots;
    int samples, layers;     /* layers per sample: of a trace, else 1 */
    moe_advise_layer *layer; /* [samples][layers] */
    const moe_split *split;
    double passes;      /* over the trace's test part */
    double alike;       /* batches that share what is independent; by hand 0 */
    double first_bytes; /* of the first plan of a walk, a layer */
    const moe_cost *cost;
    void *cost_state;
    moe_serving_cost *serving; /* NULL: the default deployment */
    moe_iteration_pricer *iterations;
    double *shares; /* [experts] by hand, the busiest first; owned */
    bool borrows;   /* cost_state, serving and iterations are another's */
    bool forecasts; /* has no PLACEMENT_TRUTH: just what is foretold */
    bool quick;     /* price the GPUs that stand out, not all */
};

/** As moe_advise_new_like(), for prices of the baseline and distribution-only:
 *  what knows its batch is not planned, unless distribution-only does. */
moe_status moe_advise_new_forecast(const moe_advise *like,
                                   const moe_advise_params *params,
                                   moe_advise **out, moe_error *err);

/** @return whether every batch has just the load that was told: the paper's
 *  reading, by hand. */
static inline bool moe_advise_is_exact(const moe_advise *a)
{
    return a->p.trace == NULL && a->p.dials.paper;
}

/** @return what prices this advice; borrows from it. */
static inline moe_pricer moe_advise_pricer(const moe_advise *a)
{
    return (moe_pricer){.cost = a->cost,
                        .state = a->cost_state,
                        .model = a->p.model,
                        .layout = a->layout,
                        .serving = a->serving,
                        .migration_rate = a->p.cluster->migration_rate,
                        .migration = a->p.cluster->migration};
}

/** @return batches of a trace that make a sample: those between two plans. */
static inline int moe_advise_period(const moe_advise *a)
{
    return a->p.trace != NULL ? a->p.dials.rebalance_every : 1;
}

moe_status moe_advise_build_by_hand(moe_advise *a, moe_error *err);
moe_status moe_advise_build_from_trace(moe_advise *a, moe_error *err);

/** @return the batches of a trace that are walked through. */
moe_batcher_params moe_advise_batches(const moe_advise *a, const int *layers,
                                      int n_layers);

/** Fill in what serving says of cached tokens where the positions of a token
 *  trace say it: of what is not priced batch by batch.
 *  @param batches  that are walked through
 *  @param kv_len   left as it is if it is not 0, or nothing decodes */
moe_status moe_advise_find_cache(const moe_batcher_params *batches, int *kv_len,
                                 moe_error *err);

/** Times of the model, and what its memory holds; no rooms.
 *  @param layer_s  [MOE_ADVISE_STRATEGIES] typical */
void moe_advise_model_of(const moe_advise *a, const double *layer_s,
                         moe_advise_model *out);

/** Try numbers of copies. */
moe_status moe_advise_find_rooms(const moe_advise *a, moe_advise_model *out,
                                 moe_error *err);

/** Changes links while it looks, and puts them back. */
void moe_advise_find_limits(moe_advise *a, const moe_advice *advice,
                            moe_advise_limits *out);

#endif
