/** plan.h: what the parts of `moegps plan` share. */
#ifndef MOEGPS_CLI_PLAN_H
#define MOEGPS_CLI_PLAN_H

#include "moegps/cluster.h"
#include "moegps/cost.h"
#include "moegps/document.h"
#include "moegps/json.h"
#include "moegps/options.h"
#include "moegps/placement.h"
#include "moegps/split.h"
#include "moegps/study.h"
#include "moegps/value.h"
#include "recorded.h"

/** What the user asks for. */
typedef struct moe_plan_settings {
    moe_recorded recorded;
    const char *previous, *active, *model, *cluster, *json, *output;
    const moe_planner *planner;
    const moe_split *split;
    moe_strings set;    /* key=value of the planner */
    moe_reals replicas; /* a plan, or several to compare */
    int gpus;           /* that are numbered, in use or not */
    int nodes, groups, slots, interval, batch, repeats;
    int steps;        /* moe_study_use */
    moe_strings emit; /* ENGINE=FILE */
    bool force;
} moe_plan_settings;

/** Placements that are compared. */
enum { MOE_IN_FORCE, MOE_PLANNED, MOE_N_PLACED };

/** What the plan is worth beside the placement in force. */
typedef struct moe_plan_worth {
    size_t n; /* of the next: steps that are compared, times layers */
    double *imbalance[MOE_N_PLACED]; /* [steps][layers] max / mean; owned */
    moe_tally *tally[MOE_N_PLACED];  /* [layers] over the steps; owned */
    double step_s[MOE_N_PLACED]; /* of the slowest GPUs, mean over steps; NaN:
                                    no prices */
    moe_arrival *moves;          /* [n_moves] owned */
    size_t n_moves, lost;        /* lost: of these what no GPU has */
    moe_price move;              /* of all moves; with settings.cluster */
    double cross[MOE_N_PLACED];  /* share of pairs that cross nodes, with tokens
                                    and several nodes; else 0 */
    double cross_near; /* of the plan, where a copy on the own node is taken */
} moe_plan_worth;

/** Tokens of a recording, where it has any and there are several nodes. */
typedef struct moe_plan_tokens {
    uint16_t *experts_of; /* [layers][n][top_k] owned */
    uint64_t n;
    int top_k;
} moe_plan_tokens;

/** What was read, and what the planner made of it. */
typedef struct moe_plan_offline {
    moe_recording loads;
    moe_plan_tokens tokens;
    moe_planner_env env;
    void *params;      /* of the planner; owned */
    moe_model model;   /* with settings.model */
    moe_pricer pricer; /* with settings.cluster, as are the next two */
    moe_cluster cluster;
    void *cost_state;  /* owned */
    moe_ranges active; /* numbers of the GPUs that are planned, rising */
    moe_plan previous; /* in force before the first step */
    bool of_engine;    /* previous has no quotas: copies share equally */
    moe_plan present;  /* what of it is there: without GPUs that are gone */
    moe_study study;
    moe_plan_worth worth;
    moe_placement emitted; /* with settings.emit: every slot filled */
    moe_plan filled;       /* the same as a plan; copies share equally */
} moe_plan_offline;

/** Say it as tables for people, or write the plan's JSON with the scores. */
void moe_plan_say(moe_document *doc, const moe_plan_offline *w,
                  const moe_plan_settings *s);

/** Which of the numbered GPUs are planned. @return MOE_OK, MOE_USAGE, MOE_NOMEM. */
moe_status moe_plan_read_active(moe_plan_offline *w, const moe_plan_settings *s,
                                moe_error *err);

/** Say what must be loaded where; all of it as JSON. */
void moe_plan_say_arrivals(moe_document *doc, const moe_plan_offline *w,
                           const moe_plan_settings *s);
json_t *moe_plan_arrivals_json(const moe_plan_offline *w, moe_error *err);

/** Plan for each of several numbers of slots, and say what each is worth.
 *  @return MOE_OK, MOE_USAGE (a number that does not divide, or too few), and
 *  what moe_study_run() returns. */
moe_status moe_plan_compare_sizes(moe_plan_offline *w,
                                  const moe_plan_settings *s, moe_error *err);

/** @return what is studied, borrowed from both. */
moe_study_params moe_plan_study_params(const moe_plan_offline *w,
                                       const moe_plan_settings *s);

/** Run a study of the loads with w->env, from w->previous.
 *  @return as moe_study_run(). */
moe_status moe_plan_study(moe_plan_offline *w, const moe_plan_settings *s,
                          moe_error *err);

/** Give every slot a replica, as engines do, where --emit asks.
 *  @return as moe_emit_fill(). */
moe_status moe_plan_fill(moe_plan_offline *w, const moe_plan_settings *s,
                         moe_error *err);

/** Check what asks for slots. @param slots  per GPU; 0: not given. */
moe_status moe_plan_check_slots(const moe_plan_offline *w,
                                const moe_plan_settings *s, int slots,
                                moe_error *err);

/** Weigh the plan against the placement in force.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_plan_weigh(moe_plan_offline *w, const moe_plan_settings *s,
                          moe_error *err);
void moe_plan_worth_fini(moe_plan_worth *worth);

/** Score one of the placements on the steps that they are compared on. */
moe_status moe_plan_judge(moe_plan_offline *w, const moe_plan_settings *s,
                          int which, moe_error *err);

/** @return the placement that is scored; with --emit that is what is emitted. */
const moe_plan *moe_plan_placed(const moe_plan_offline *w, int which);

/** @return how its copies share: engines have no quotas. */
moe_division moe_plan_division(const moe_plan_offline *w, int which);

/** @return what it is called: "planned", or "emitted" where that is it. */
const char *moe_plan_noun(const moe_plan_settings *s);

extern const char *const moe_plan_conventions[MOE_N_BALANCES];

/** @return its balance over layers and steps. */
double moe_plan_balance(const moe_plan_offline *w, int which, moe_balance by);

/** Keep the tokens of w->loads before they are counted. */
void moe_plan_keep_tokens(moe_plan_offline *w, moe_error *err);

/** Find the share of pairs that cross nodes. @return MOE_OK, MOE_NOMEM. */
moe_status moe_plan_cross(moe_plan_offline *w, moe_error *err);

/** @return the first of the steps that the plan is weighed on. */
size_t moe_plan_first_step(const moe_plan_offline *w,
                           const moe_plan_settings *s);

/** Say what came of that. */
void moe_plan_say_worth(moe_document *doc, const moe_plan_offline *w,
                        const moe_plan_settings *s);

moe_status moe_plan_write_json(const moe_plan_offline *w,
                               const moe_plan_settings *s, moe_error *err);

#endif
