/** plan.h: what the parts of `moegps plan` share. */
#ifndef MOEGPS_CLI_PLAN_H
#define MOEGPS_CLI_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/cluster.h"
#include "moegps/loads.h"
#include "moegps/plan_file.h"
#include "moegps/regret.h"
#include "moegps/stats.h"
#include "moegps/status.h"

/** What the user asks for. */
typedef struct moe_plan_settings {
    const char *loads, *dataset, *previous, *model, *cluster, *json;
    const moe_planner *planner;
    moe_strings set; /* key=value of the planner */
    int gpus, nodes, groups, slots, replicas, interval, batch, repeats;
    bool force;
} moe_plan_settings;

/** Sums that every convention of balance is made from. */
typedef struct moe_plan_tally {
    double ratio, inverse, mean, most; /* of mean / max; max / mean; loads */
    size_t n;
} moe_plan_tally;

/* A plan on its own load; the same on the next step's, by each division. */
enum { PLAN_NOW, PLAN_NEXT, PLAN_N_SCORES = PLAN_NEXT + MOE_N_DIVISIONS };

/** What is at work. */
typedef struct moe_plan_work {
    moe_loads loads;
    moe_planner_env env;
    const moe_planner *planner;
    void *params, *state;
    moe_model model;
    moe_cluster cluster;
    const moe_cost *cost;
    void *cost_state;
    moe_pricer pricer;
    moe_plan previous, plan, next; /* before all, in force, being made */
    int16_t *raw;                  /* [layers][gpus][slots] of next */
    moe_regret *regret;
    moe_plan_tally *score[PLAN_N_SCORES]; /* [layers] */
    moe_plan_tally *bound;                /* [layers] */
    int *doubles;   /* [layers] on the same GPU, of the last step */
    size_t changed; /* slots of all steps */
    moe_move *moves;
    double *time_s; /* [steps * repeats] CPU */
} moe_plan_work;

/** What is said about the last plan. */
typedef struct moe_plan_facts {
    size_t changed;   /* slots against the placement before all */
    double bytes;     /* of them; NaN: unknown */
    int doubles;      /* replicas on a GPU that has another of their expert */
    moe_summary time; /* s, CPU, of planning all layers once */
} moe_plan_facts;

/** Collect and show. @return MOE_OK, MOE_NOMEM, MOE_IO. */
moe_status moe_plan_collect(moe_plan_work *w, const moe_plan_settings *s,
                            moe_plan_facts *f, moe_error *err);
void moe_plan_print(const moe_plan_work *w, const moe_plan_settings *s,
                    const moe_plan_facts *f);
moe_status moe_plan_write_json(const moe_plan_work *w,
                               const moe_plan_settings *s,
                               const moe_plan_facts *f, moe_error *err);

#endif
