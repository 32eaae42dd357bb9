/* internal.h: the engine's state, shared by its files.
 *
 *   setup.c       what a run needs, before anything is timed
 *   runner.c      one strategy: its predictor, planner, split and weights
 *   iteration.c   what one iteration of one strategy did
 *   stamp.c       measured time of phases (stamp.h)
 *   load_batch.c  the tokens of an iteration
 *   engine.c      iterations
 *   coordinate.c  predict, collect, plan, broadcast, migrate: when
 *   coordination.c  and what each of them does
 *   layer.c       attention's end, route, dispatch, ffn, combine
 *   part.c        of the batch, or of halves that take turns (part.h)
 *   pricing.c     the gpu clock
 *   record.c      into the ledger
 *   levels.c      which stage of a strategy loses balance
 *   check.c       correctness
 *   choose.c      a strategy that chooses among others while it runs
 *   chooser.c     by which rule
 *   paced.c        phases that take a GPU's time (paced.h)
 *   beside.c       coordination beside layers (beside.h)
 *   restore.c     going on where an earlier run stopped
 *   describe.c    what runs, and the memory that it needs
 *   run.c         all iterations of a run (run.h)
 */
#ifndef MOEGPS_ENGINE_INTERNAL_H
#define MOEGPS_ENGINE_INTERNAL_H

#include "beside.h"
#include "chooser.h"
#include "dispatch.h"
#include "moegps/cost.h"
#include "moegps/engine.h"
#include "moegps/iteration_price.h"
#include "moegps/mem.h"
#include "moegps/planner_team.h"
#include "moegps/regret.h"
#include "moegps/shared_file.h"
#include "paced.h"
#include "part.h"
#include "stamp.h"
#include "weights.h"

typedef struct moe_choice moe_choice;

/* One strategy as it runs on this rank: itself, or as a candidate of one that
 * chooses. That one has no more than its `choice`. */
struct moe_runner {
    const moe_strategy *spec;
    int index; /* in the experiment: of whom it runs for */
    int slots; /* per GPU and layer */
    moe_forecast forecast;
    moe_shared_bytes file;     /* that the predictor learns from, until
                                         it has */
    bool direct;               /* rows go ahead to predicted experts */
    void *predictor, *split;   /* states */
    moe_planner_team *planner; /* owned; NULL where this rank does not
                                          plan */
    moe_plan plan;             /* in force, equal on all ranks */
    moe_plan next;         /* being made; equal to plan between rounds unless
                               planning ahead */
    double *planned_share; /* [layers][experts] that the last plan was made for;
                               NULL: forecasts of tokens change with each
                               batch */
    moe_replicas *replicas; /* [layers] of plan */
    moe_slots *weights;     /* owned; NULL: no GPU here, or not in use */
    bool arrives;           /* weights have to come to `next` first */
    moe_choice *choice;     /* owned; NULL: it does not choose */

    /* Rank 0, to be asked about the true load; NULL, empty: not asked. */
    void *oracle_planner; /* the planner, with a state of its own */
    moe_plan plan_before; /* in force when the iteration began */
};

/* Who is chosen among, and how far that is. */
struct moe_choice {
    moe_runner *candidate; /* [n] borrowed from the engine */
    int n;
    int in_use, chosen; /* the second from the next iteration on */
    moe_chooser rule;
    /* Of the iteration in progress: */
    int16_t tried[MOE_MAX_STRATEGIES]; /* as in the ledger */
    int64_t steps[MOE_MAX_STRATEGIES], bytes[MOE_MAX_STRATEGIES]; /* likewise */
    double estimate_s[MOE_MAX_STRATEGIES]; /* NaN: not priced */
};

/* What is best with so many slots: what strategies' regrets refer to. */
typedef struct moe_regret_reference {
    int slots;          /* per GPU and layer */
    uint64_t iteration; /* that best and bound are of; UINT64_MAX: none */
    int32_t *best;      /* [layers] pairs of the busiest GPU under the best
                            plan known */
    int32_t *bound;     /* [layers] and under any */
    moe_regret *regret;
    moe_plan plan; /* one layer: scratch */
} moe_regret_reference;

/* What one layer of one iteration did here; the gpu clock prices it. */
typedef struct moe_layer_facts {
    double dispatch_bytes[2]; /* full-size rows of the exchange of dispatch,
                                 max(sent, received); 0: within the node, 1:
                                 across nodes */
    double combine_bytes[2];  /* the same of the exchange of combine */
    double move_sent[2], move_received[2]; /* full-size weights */
    int64_t moved;                         /* full-size weights of all GPUs */
    uint64_t ahead_tokens; /* (own token, other GPU) that direct routing sent
                              rows ahead for */
    int numbers;           /* times that pairs were numbered over all GPUs */
    uint64_t rows;         /* that this GPU's replicas computed */
    uint64_t placed;       /* of them, those that direct routing had brought */
} moe_layer_facts;

/* Seconds of one layer. */
typedef struct moe_layer_times {
    double wall[MOE_N_PHASES], cpu[MOE_N_PHASES], wait[MOE_N_PHASES];
} moe_layer_times;

/* What one iteration of one strategy did on this rank. The pipeline writes it;
 * pricing, recording, checks and regrets only read it. */
typedef struct moe_iteration {
    moe_batch *batch;            /* borrowed from the batcher */
    bool due;                    /* a plan is */
    int coordinated;             /* layers that are predicted and planned for */
    bool beside;                 /* what coordination does runs beside its
                                    layers (beside.h) */
    bool predicts;               /* the strategy predicted */
    bool collects;               /* ... and told the planner */
    bool plans;                  /* ... which made a plan */
    uint64_t *predicted_load;    /* [layers][experts] by this rank's tokens, in
                                    1/MOE_LOAD_ONE pair */
    uint16_t *predicted_experts; /* [layers][max_own][top_k] */
    double *planner_steps; /* [layers] that it counted, where it planned */
    double *planner_cpu;   /* [layers] s there; behind planner_steps, so
                                    that both travel together */
    uint64_t wire_bytes;   /* of the plan as encoded */
    int tried;             /* candidates that told the planner, too */
    double tried_s;        /* s: their prediction of a layer here, on the
                                    gpu clock */
    int64_t tried_steps, tried_bytes; /* of their planners; of their plans as
                                         encoded */
    moe_layer_times *times;           /* [layers] */
    moe_layer_facts *facts;           /* [layers] */
    uint32_t *slot_rows;              /* [layers][max_slots] */
    int64_t *sent_bytes;              /* [gpus] full-size rows of dispatch, over
                                    layers */
    int64_t *ahead_bytes;             /* [gpus] of direct routing, before it */
    moe_layer_pace *paces;            /* [layers] of a paced run */
    moe_sender *senders;              /* [layers][gpus] of a paced run */
} moe_iteration;

/* Scratch of coordinate.c. */
typedef struct moe_coordination_scratch {
    uint64_t *load_sum;  /* [layers][experts] predicted by all ranks, in
                           1/MOE_LOAD_ONE pair */
    double *load;        /* [threads][1 + MOE_PLANNER_PAST][experts] pairs, and
                           those of past loads */
    const double **past; /* [threads][MOE_PLANNER_PAST] of `load` */
    double *share;       /* [layers][experts] that were predicted: of a forecast
                           of the load */
    moe_move *moves;     /* [layers][gpus][max_slots] */
    uint8_t *wire;       /* encoded plan */
} moe_coordination_scratch;

/* Counts to be added up over ranks while an iteration is recorded. */
typedef struct moe_record_scratch {
    uint64_t *load; /* [layers][experts] predicted, in 1/MOE_LOAD_ONE pair */
    uint64_t *hits; /* [layers][3] first experts right, pairs right, in place */
} moe_record_scratch;

/* Scratch of pricing.c: the slowest GPUs of every layer. */
typedef struct moe_pricing_scratch {
    moe_iteration_pricer *pricer;
    moe_layer_cost *own, *worst;       /* [layers] */
    double (*exposed_s)[MOE_N_PHASES]; /* [layers] */
    uint64_t *ahead;                   /* [layers] (token, GPU) of all ranks */
    double *plan_s;                    /* [layers] of the planner */
    MPI_Datatype cost_type;            /* a moe_layer_cost */
    MPI_Op slowest;                    /* moe_layer_cost_merge() */
} moe_pricing_scratch;

/* What the checks of a run compare and have found. */
typedef struct moe_checks {
    moe_validation validation;
    float *reference; /* [layers][MOE_CHECK_TOKENS][hidden] outputs */
    uint64_t *pairs;  /* [layers] computed, of all ranks */
    bool corrupt;     /* --inject check: spoil one row */
} moe_checks;

/* Who asks which stage of a strategy loses balance; rank 0 but for busiest. */
typedef struct moe_regrets {
    moe_regret_reference *reference; /* [n_references] of different slots */
    int n_references;
    double *load;      /* [experts] true pairs of a layer */
    uint64_t *busiest; /* [layers] pairs of the busiest GPU */
} moe_regrets;

struct moe_engine {
    moe_ctx *ctx;
    moe_engine_params p;
    moe_layout layout;
    int gpu;           /* -1: dedicated coordinator */
    int coordinator;   /* rank that plans, with central coordination */
    MPI_Comm gpu_comm; /* the GPUs; MPI_COMM_NULL on a dedicated rank */

    int *trace_layer; /* [n_layers] numbers in the trace */
    moe_batcher *batcher;

    moe_ffn_shape shape;
    const moe_ffn *ffn, *exact;
    void *ffn_state, *exact_state;
    moe_home_weights home;
    moe_part part[MOE_MOST_PARTS]; /* [n_parts] of each batch */
    int n_parts;
    char *rows;       /* [max_own][row bytes] hidden vectors, real */
    char *exact_rows; /* the same for the exact back end */
    char *out;        /* [max_own][out bytes] */

    const moe_cost *cost;
    void *cost_state;
    moe_pacing *pacing;        /* NULL: ranks keep no GPU's pace */
    moe_serving_cost *serving; /* NULL: the default deployment */

    moe_runner *runner; /* [n_runners] strategies in order, then candidates */
    int n_runners;
    int max_slots;

    moe_iteration it;    /* in progress */
    moe_iteration trial; /* that of a candidate beside it */
    moe_coordination_scratch coordination;
    moe_record_scratch recording;
    moe_pricing_scratch pricing;
    moe_checks checks;
    moe_regrets regrets;
};

/* What prices the GPUs of this run; borrows from the engine. */
static inline moe_pricer moe_engine_pricer(const moe_engine *e)
{
    return (moe_pricer){.cost = e->cost,
                        .state = e->cost_state,
                        .model = e->p.model,
                        .layout = e->layout,
                        .serving = e->serving,
                        .migration_rate = e->p.cluster->migration_rate,
                        .migration = e->p.cluster->migration};
}

/* engine.c: load a batch, with its true load. Collective. @return merged
 * status. */
moe_status moe_engine_load_batch(moe_engine *e, uint64_t iteration);

/* engine.c: the predictors of strategy s learn the batch's true load. */
void moe_engine_observe(moe_engine *e, int s);

/* runner.c: what one strategy needs, but its weights. Local. spec, index, slots
 * and file are set before; fini accepts a partly initialised runner.
 * @return MOE_OK, MOE_USAGE, MOE_NOMEM. */
moe_status moe_runner_init(moe_engine *e, moe_runner *r, moe_error *err);
void moe_runner_fini(const moe_engine *e, moe_runner *r);

/* Make e->runner, and read the files that their predictors ask for; and forget
 * these, once predictors have taken what they need. Collective; errors go to
 * ctx->err. @return the merged status. */
moe_status moe_runners_share_files(moe_engine *e);
void moe_runners_drop_files(moe_engine *e);

/* Weights at home. @param share_home  no planner that gets them moves these.
 * @return MOE_OK, MOE_NOMEM. */
moe_status moe_runner_hold_weights(const moe_engine *e, moe_runner *r,
                                   bool share_home, moe_error *err);

/* One more planner of a strategy. @param state_out  heap. */
moe_status moe_runner_new_planner(const moe_engine *e, const moe_runner *r,
                                  void **state_out, moe_error *err);

/* iteration.c: memory of an iteration. Local; fini accepts a partly
 * initialised one. @return MOE_OK, MOE_NOMEM. */
moe_status moe_iteration_init(moe_iteration *it, const moe_engine *e,
                              moe_error *err);
void moe_iteration_fini(moe_iteration *it);

/* Forget what the iteration before did; the batch stays. */
void moe_iteration_clear(const moe_engine *e, moe_iteration *it);

/* coordinate.c: its scratch. Local; fini accepts partly initialised ones. */
moe_status moe_engine_coordination_init(moe_engine *e, moe_error *err);
void moe_engine_coordination_fini(moe_engine *e);

/* What a strategy does before layer 0: predict for all layers, or with a
 * lookahead for the first; where a plan is due, collect, plan, broadcast,
 * migrate. Collective over ctx. Errors go to ctx->err; the caller agrees
 * later. */
void moe_engine_coordinate(moe_engine *e, moe_runner *r);

/* The same for layers whose turn comes in `layer`: as it begins, or once it is
 * routed for predictors that look at that. Nothing where all were done before
 * layer 0, or in an iteration that was not begun with
 * moe_engine_coordinate(). */
void moe_engine_coordinate_beside(moe_engine *e, moe_runner *r, int layer,
                                  bool routed);

/* The same at once for all that are left: where layers are only counted. */
void moe_engine_coordinate_rest(moe_engine *e, moe_runner *r);

/* @return threads that plan: no more than there are layers. */
static inline int moe_engine_planner_threads(const moe_engine *e)
{
    const int threads = e->p.threads > 0 ? e->p.threads : 1;
    return threads < e->p.n_layers ? threads : e->p.n_layers;
}

/* Whether all ranks plan, of equal loads. */
static inline bool moe_engine_replicated(const moe_engine *e)
{
    return e->p.experiment->emulation.coordination ==
           MOE_COORDINATION_REPLICATED;
}

/* Parts of that, which are brought on beside layers in a paced run: make a plan
 * of layers [first, end) where this rank plans, @return its bytes as encoded;
 * what ranks that plan alike compare, [3], and what comes of it: they must have
 * planned alike, or rows and weights would go where nobody waits for them, so
 * on any difference or failure all keep the old plan; the moves to r->next in
 * e->coordination.moves, @return how many; their bytes, noted; and r->next comes
 * into force. */
uint64_t moe_coordination_plan(moe_engine *e, moe_runner *r, int first,
                               int end);
void moe_coordination_hash(moe_engine *e, moe_runner *r, int first, int end,
                           uint64_t *most_out);
void moe_coordination_confirm(moe_engine *e, moe_runner *r, int first, int end,
                              const uint64_t *most);
size_t moe_coordination_moves(moe_engine *e, const moe_runner *r, int first,
                              int end);
void moe_coordination_note(moe_engine *e, size_t n_moves);
void moe_coordination_apply(moe_engine *e, moe_runner *r, int first, int end,
                            size_t n_moves);

/* What planning took where it ran, on all ranks: their gpu clocks wait for it.
 * Collective. */
void moe_engine_share_planner_work(moe_engine *e);

/* Nothing is planned for yet. */
void moe_engine_forget_planned(const moe_engine *e, moe_runner *r);

/* Remember what the predictor says now as what was planned for. */
void moe_engine_note_planned(moe_engine *e, moe_runner *r);

/* From e->coordination.load_sum to r->next on all ranks, layers [first, end). */
void moe_engine_plan(moe_engine *e, moe_runner *r, int first, int end);

/* Weights of all layers travel to their slots in r->next, which then is in
 * force. */
void moe_engine_migrate(moe_engine *e, moe_runner *r);

/* Let the iteration in progress move what leads from one plan to another,
 * instead of what it does move. */
void moe_engine_note_way(moe_engine *e, const moe_plan *from,
                         const moe_plan *to);

/* layer.c: attention's end, route, dispatch, ffn, combine of one layer with the
 * given back end, and the plans of layers that are made beside it. Direct
 * routing goes by what was predicted last. Without rows nothing is sent or
 * computed: what would be is counted. Halves of a batch are left on their way
 * home beside the next layer; at the end of the last one they come home. Then
 * the sums are in e->out. Collective over ctx. */
void moe_engine_layer(moe_engine *e, moe_runner *r, int layer,
                      const moe_ffn *ffn, void *ffn_state, const char *rows);
void moe_engine_end_layers(moe_engine *e);

/* pricing.c: its scratch, after the runners; fill gpu, exposed and what else
 * the gpu clock says of one (strategy, iteration). init and fini are local;
 * fini accepts a partly initialised scratch. Pricing is collective. */
moe_status moe_engine_pricing_init(moe_engine *e, moe_error *err);
void moe_engine_pricing_fini(moe_engine *e);
void moe_engine_price(const moe_engine *e, const moe_runner *r, int i,
                      moe_ledger *ledger);

/* @return what the iteration in progress takes on the gpu clock, s, as
 * iteration_time_gpu. @param moves  with its migration. Collective. */
double moe_engine_price_s(const moe_engine *e, const moe_runner *r, bool moves);

/* @return sequences of a batch of that many tokens, over all GPUs: in decode a
 * token of a load trace's step is a sequence; else as the workload says. */
double moe_engine_sequences(const moe_engine *e, double tokens);

/* Whose attention the batch in progress is: fills tokens, sequences, own and
 * cached of `work`. */
void moe_engine_attend(const moe_engine *e, moe_layer_work *work);

/* @return this GPU's prediction of one layer, s. */
double moe_engine_predict_s(const moe_engine *e, const moe_runner *r);

/* choose.c: find the candidates' runners and give the first the weights; after
 * all runners. Local. @return MOE_OK, MOE_NOMEM. */
moe_status moe_engine_choice_init(moe_engine *e, moe_runner *r, moe_error *err);

/* estimate.c: @return pairs of a GPU when all have as many, in the largest
 * batch. */
double moe_engine_mean_pairs(const moe_engine *e);

/* @return who runs for strategy s. */
moe_runner *moe_engine_runner(const moe_engine *e, int s);

/* An iteration begins: if another candidate was chosen, it is in use from here.
 * @return who runs for strategy s. */
moe_runner *moe_engine_turn(moe_engine *e, int s);

/* After the layers of an iteration and before anybody observes it: price
 * candidates and choose, where that is due. What tries took is added to the
 * iteration in progress. Collective. */
void moe_engine_choose(moe_engine *e, int s);
void moe_engine_choice_record(const moe_engine *e, int s, int i,
                              moe_ledger *ledger);

/* Make state again of iteration i of an earlier run, before it is observed:
 * who was in use, what the rule knows and what candidates planned in tries. Of
 * e->it.batch only its number is looked at. Weights stay where they are.
 * Collective; errors go to ctx->err. */
void moe_engine_choice_restore(moe_engine *e, int s, int i,
                               const moe_ledger *ledger);

/* record.c: its scratch; everything else of one (strategy, iteration).
 * Collective. */
moe_status moe_engine_record_init(moe_engine *e, moe_error *err);
void moe_engine_record_fini(moe_engine *e);
void moe_engine_record(const moe_engine *e, const moe_runner *r, int i,
                       moe_ledger *ledger);

/* levels.c: levels of the busiest GPU of one (strategy, iteration). begin:
 * before anything is planned; record: when all is done, collective, errors go
 * to ctx->err. Outside of timed phases. */
moe_status moe_engine_regret_init(moe_engine *e, moe_error *err);
void moe_engine_regret_begin(moe_runner *r);
void moe_engine_regret_record(const moe_engine *e, const moe_runner *r, int i,
                              moe_ledger *ledger);
void moe_engine_regret_fini(moe_engine *e);

/* check.c. init and fini are local; the others are collective over ctx, and
 * their errors go to ctx->err. */
moe_status moe_engine_check_init(moe_engine *e, moe_error *err);
void moe_engine_check_fini(moe_engine *e);
void moe_engine_check_layer(moe_engine *e, moe_runner *r, int layer);
void moe_engine_check_output(moe_engine *e, const moe_runner *r, int layer);
void moe_engine_check_pairs(moe_engine *e, const moe_runner *r);
moe_status moe_engine_check_done(moe_engine *e);

enum { MOE_CHECK_TOKENS = 64 }; /* per rank and layer, compared in outputs */

#endif
