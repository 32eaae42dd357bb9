/** planner_team.h: the layers of a model, planned by threads side by side.
 *
 *  Layers are planned apart from each other: every thread has a state of the
 *  planner and takes the next layer. Plans, counted steps and errors are those
 *  of one thread, for any number of threads; CPU time is not.
 */
#ifndef MOEGPS_PLANNER_TEAM_H
#define MOEGPS_PLANNER_TEAM_H

#include "moegps/planner.h"

typedef struct moe_planner_team {
    const moe_planner *planner;
    int threads;
    void **state; /* [threads] of the planner; owned */
} moe_planner_team;

/** Make a team; moe_planner_team_fini() releases it in any case. Not
 *  collective. @param threads  OpenMP threads, at least 1.
 *  @param params  of the planner; borrowed while the team lives.
 *  @return MOE_OK, MOE_NOMEM, or what the planner's init returns. */
moe_status moe_planner_team_init(moe_planner_team *team,
                                 const moe_planner *planner,
                                 const moe_planner_env *env, const void *params,
                                 int threads, moe_error *err);
void moe_planner_team_fini(moe_planner_team *team);

/** A round of planning. All borrowed during the call. */
typedef struct moe_planner_round {
    /** Say what a layer is planned for: all of *task_out but `current`.
     *  Threads call it at the same time, each with its number, of which what
     *  it fills may be: it is used until that thread's next call. */
    void (*ask)(void *arg, int layer, int thread, moe_planner_task *task_out);
    void *arg;
    const moe_plan *plan; /* in force */
    moe_plan *next;       /* the layers that are planned; settled */
    double *steps;        /* [layers] moe_planner_steps() of each */
    double *cpu_s;        /* [layers] s of CPU time of its thread */
} moe_planner_round;

/** Plan layers [first, end). Not collective.
 *  @return MOE_OK, or what the planner says of the lowest layer that it cannot
 *  plan; all layers are tried. */
moe_status moe_planner_team_plan(const moe_planner_team *team,
                                 const moe_planner_round *round, int first,
                                 int end, moe_error *err);

#endif
