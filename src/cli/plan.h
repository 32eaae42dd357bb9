/** plan.h: what the parts of `moegps plan` share. */
#ifndef MOEGPS_CLI_PLAN_H
#define MOEGPS_CLI_PLAN_H

#include "moegps/cluster.h"
#include "moegps/cost.h"
#include "moegps/document.h"
#include "moegps/options.h"
#include "moegps/split.h"
#include "moegps/study.h"
#include "recorded.h"

/** What the user asks for. */
typedef struct moe_plan_settings {
    moe_recorded recorded;
    const char *previous, *model, *cluster, *json;
    const moe_planner *planner;
    const moe_split *split;
    moe_strings set; /* key=value of the planner */
    int gpus, nodes, groups, slots, replicas, interval, batch, repeats;
    int steps;        /* moe_study_use */
    moe_strings emit; /* ENGINE=FILE */
    bool force;
} moe_plan_settings;

/** What was read, and what the planner made of it. */
typedef struct moe_plan_offline {
    moe_recording loads;
    moe_planner_env env;
    void *params;      /* of the planner; owned */
    moe_model model;   /* with settings.model */
    moe_pricer pricer; /* with settings.cluster, as are the next two */
    moe_cluster cluster;
    void *cost_state;  /* owned */
    moe_plan previous; /* in force before the first step */
    moe_study study;
} moe_plan_offline;

/** Say it as tables for people, or write the plan's JSON with the scores. */
void moe_plan_say(moe_document *doc, const moe_plan_offline *w,
                  const moe_plan_settings *s);

/** Write engines' files: --emit. */
moe_status moe_plan_emit(const moe_plan_offline *w, const moe_plan_settings *s,
                         moe_error *err);

moe_status moe_plan_write_json(const moe_plan_offline *w,
                               const moe_plan_settings *s, moe_error *err);

#endif
