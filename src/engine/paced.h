/* paced.h: ranks that keep a GPU's pace.
 *
 * What a GPU computes in attention and FFN a rank waits for, by the cost model
 * and an absolute deadline; all else - rows, weights, counts, plans - is really
 * sent, at full size. What may run beside the layers does (beside.c), and makes
 * progress while the rank waits.
 */
#ifndef MOEGPS_ENGINE_PACED_H
#define MOEGPS_ENGINE_PACED_H

#include "beside.h"
#include "dispatch.h"
#include "flow.h"
#include "moegps/engine.h"
#include "moegps/layer_price.h"
#include "moegps/ledger.h"
#include "moegps/pacer.h"
#include "part.h"
#include "stamp.h"

/* What a layer of a paced run did on this rank, s of the wall clock as read. */
typedef struct moe_layer_pace {
    double asked_s[MOE_N_PACES]; /* modelled: not dilated */
    double late_s[MOE_N_PACES];
    double beside_s[MOE_N_BESIDES];
    double travel_s[MOE_N_TRAVELS];  /* from sent to arrived */
    double exposed_s[MOE_N_TRAVELS]; /* of that, waited for */
} moe_layer_pace;

typedef struct moe_pacing {
    double dilation;
    bool attends, computes;       /* those phases are paced */
    double attention_s, shared_s; /* modelled, of each layer of the batch:
                                     attention to router; shared experts */
    char links[512];  /* how links here compare with the cluster's; "" */
    MPI_Comm meeting; /* of the GPUs */
    moe_pacer *pacer;
    moe_pacer_error error; /* of deadlines here, on the worst rank */
    double shortest_s;     /* that a phase can take here, likewise */
    moe_beside *beside;
    moe_flow *flow; /* NULL: experts are not paced */
} moe_pacing;

/* Set up what a paced run needs, before its dispatch; nothing in others. Local;
 * errors go to ctx->err. */
void moe_pacing_init(moe_engine *e);
void moe_pacing_connect(moe_engine *e); /* once all ranks are that far */
void moe_pacing_fini(moe_engine *e);

/* @return bytes of an expert's weights that a slot holds, and that travel
 * beside those. */
size_t moe_engine_held_bytes(const moe_engine *e);
size_t moe_engine_flow_bytes(const moe_engine *e);

/* Refuse what cannot be paced here. Collective, after all else is set up;
 * errors go to ctx->err. */
void moe_pacing_check(moe_engine *e);

/* @return s that all paced phases of the run take, where loads are even. */
double moe_pacing_expected_s(const moe_engine *e, moe_error *err);

/* @return s of what is waited for in attention. */
double moe_pacing_attention_s(const moe_layer_cost *cost);

/* An iteration that is measured begins: all ranks together, and what
 * coordination does runs beside its layers. Collective. */
void moe_pacing_begin(moe_engine *e);

/* The batch is loaded: price what all its layers have alike. */
void moe_pacing_load(moe_engine *e);

/* Let weights flow beside the tags that migrate, and wait for them. */
void moe_pacing_migrate(moe_engine *e, const moe_move *moves, size_t n);

/* Wait for as long as attention of a layer takes, of one part of the batch.
 * @return when it ended. */
moe_stamp moe_pacing_attend(moe_engine *e, int layer, moe_stamp start);

/* Wait for as long as shared experts take with a part's tokens, which need no
 * rows of others; and as the others take with the rows that came. */
moe_stamp moe_pacing_share(moe_engine *e, int layer, moe_stamp start);
moe_stamp moe_pacing_compute(moe_engine *e, const moe_runner *r,
                             const moe_part *p, int layer, moe_stamp start);

/* Wait for all GPUs before they exchange counts, which none of them can do
 * without the others: recorded as waiting. A rank that sat in a collective
 * would keep the others from the weights that it sends. Collective over the
 * GPUs. */
void moe_pacing_meet(moe_engine *e, int layer, moe_phase phase);

/* Wait for what a part sent; nothing where it was made at once. What that takes is exposed, and is for the caller to
 * charge to the phase; until the last sender has come it is waiting. */
void moe_pacing_await(moe_engine *e, moe_part *p);

/* What was paced in one (strategy, iteration), into the ledger. */
void moe_pacing_record(const moe_engine *e, const moe_runner *r, int i,
                       moe_ledger *ledger);

/* Facts of a paced run. */
void moe_pacing_describe(const moe_engine *e, moe_facts *facts);

/* @return s that were measured, as the cluster's GPUs would have them. */
double moe_pacing_undilated(const moe_engine *e, double s);

#endif
