/** sensitivity.h: what would change a run's verdict, and what perfecting a
 *  stage would still win.
 *
 *  Answers come from the run's own work, priced anew (replay.h), so all of
 *  them are of the gpu clock: modelled.
 */
#ifndef MOEGPS_SENSITIVITY_H
#define MOEGPS_SENSITIVITY_H

#include <stdbool.h>

#include "moegps/cost.h"
#include "moegps/status.h"
#include "moegps/view.h"
#include "moegps/work.h"

/** What is known going one way, in steps by two that are narrowed where they
 *  tell: how far nobody is clearly ahead of the run's winner, and from where on
 *  another is. Links leave plans as they are, and medians tell. A batch of
 *  another size is planned anew: there pairs of batches have to agree, 95 %, and
 *  what lies between both places is open. */
typedef struct moe_turn {
    double safe;  /* how far nobody is; NaN: not even here, for sure */
    double at;    /* from where on another is; NaN: nowhere up to `end` */
    double until; /* how far that one stays ahead at all; `end`: to it */
    double end;   /* the last place that was tried */
    int winner;   /* who is ahead from `at` on */
} moe_turn;

/** Stages made perfect, each together with those before it. */
typedef enum moe_perfect {
    MOE_PERFECT_NONE,       /* the run */
    MOE_PERFECT_SPLIT,      /* its placements, divided best */
    MOE_PERFECT_PREDICTION, /* its planner, told the truth */
    MOE_PERFECT_PLANNER,    /* the best plan known of these slots */
    MOE_PERFECT_ROOM,       /* all that any slots could win */
    MOE_PERFECT_EXCHANGE,   /* nothing left to dispatch */
    MOE_N_PERFECTS
} moe_perfect;

/** @return "split", "prediction", "planner", "room", "exchange". */
const char *moe_perfect_name(moe_perfect stage);

typedef struct moe_sensitivity {
    bool analysed; /* else nothing below was asked for */
    bool known;    /* else `why_not` says what is missing */
    char why_not[MOE_ERROR_LEN];
    int winner, second; /* the fastest of the run on the gpu clock that can be
                           built; -1: none */
    double lead_s;      /* second less winner */
    double error; /* of the cost model, two prices in three; NaN: unknown */
    moe_price_lead lead; /* what it leaves of that, by the mean phases */
    double sample_error; /* of the part that was priced, against the whole run:
                            moe_replay_sample_error() */
    bool undecided;   /* the part's lead differs from the run's by half of it or
                       more, so that turns are not known */
    double clear;     /* by how much others have to be ahead, of their time */
    double tokens;    /* of a batch */
    double bandwidth; /* B/s, of the links that were varied */
    bool network;     /* those between nodes, not those within */
    double link_bandwidth;   /* B/s, within a node, of the cluster */
    moe_turn fewer, more;    /* tokens of a batch */
    moe_turn slower, faster; /* B/s */
    double *stage_s;         /* [strategies][MOE_N_PERFECTS] s of a layer, means
                              over samples, which add up; NaN: no regrets; owned */
    moe_summary *joint_share; /* [strategies] share of a layer that all stages
                              together would win, per sample; owned */
} moe_sensitivity;

/** Analyse. What cannot be known (no /work, or a damaged one, tables that are
 *  not here, nothing measured) is no error. Not collective. Release with
 *  moe_sensitivity_fini().
 *  @param work  of the view; NULL: that of its file.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_sensitivity_init(moe_sensitivity *out, const moe_view *view,
                                const moe_work *work, moe_error *err);
void moe_sensitivity_fini(moe_sensitivity *sensitivity);

#endif
