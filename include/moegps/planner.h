/** planner.h: the family that turns predicted load into placement.
 *
 *  A planner works on one layer at a time, is local, deterministic and
 *  allocates only in init; the coordinator calls it inside the timed plan
 *  phase (with replicated coordination every rank does).
 */
#ifndef MOEGPS_PLANNER_H
#define MOEGPS_PLANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/layer_price.h"
#include "moegps/layout.h"
#include "moegps/options.h"
#include "moegps/plan.h"
#include "moegps/status.h"

enum { MOE_PLANNER_PAST = 32 }; /* most past loads that planners look at */

/** What a planner is told once. */
typedef struct moe_planner_env {
    moe_layout layout;
    int experts, slots;
    const moe_pricer *pricer; /* for planners that weigh time, which copy it;
                                 or NULL. What it points to outlives them */
    double sequences;         /* of a batch, for attention's time; 0: one */
    int interval;  /* iterations that a plan will be in force; 0: one */
    double step_s; /* host time of a step that a planner counts, for planners
                      that weigh time; 0: planning is free */
    bool beside;   /* planning runs beside layers; else they wait for it */
    moe_division division; /* how the split in use divides */
    bool constant; /* the prediction never changes: what travels, travels once,
                      and the best placement is worth it */
} moe_planner_env;

/** One layer to plan. All borrowed during the call. */
typedef struct moe_planner_task {
    const double *load; /* [experts] predicted pairs, >= 0, finite */
    const double *last; /* [experts] that `current` was planned for, or NULL */
    /* [n_past] -> [experts] loads of past steps, newest first, where the
     * prediction is made of them: planners may weigh them anew instead of
     * taking `load`. NULL: the prediction is of something else. */
    const double *const *past;
    int n_past;
    const moe_plan_layer *current; /* the placement in force */
} moe_planner_task;

typedef struct moe_planner {
    const char *name, *help; /* spelling; one line for `moegps list` */
    const moe_opt *opts;     /* own options, or NULL */
    size_t params_size;      /* of the struct that opts fill */
    size_t state_size;       /* moe_planner_new() allocates and zeroes it */
    bool plans;      /* false: keeps the home placement, needs no load */
    bool copies;     /* may place an expert more than once; without copies
                        a split has nothing to divide and needs no counts */
    bool keeps_home; /* never empties or changes a home slot, so that
                                strategies can share the home weights */
    /** Once per run; NULL: nothing to set up. @param params  borrowed while the state lives.
     *  @return MOE_OK, MOE_USAGE, MOE_NOMEM. */
    moe_status (*init)(void *state, const moe_planner_env *env,
                       const void *params, moe_error *err);
    /** Plan one layer. A load proportional to the last one, whole numbers
     *  rounded, keeps the plan as it is.
     *  @param next     filled completely; slots in any order (the caller
     *                  settles them); every expert at least once.
     *  @return MOE_OK, MOE_INVALID. */
    moe_status (*plan)(void *state, const moe_planner_task *task,
                       moe_plan_layer *next, moe_error *err);
    /** @return [gpus][slots] the last placement as the planner's source has it,
     *  where that may put an expert several times on a GPU; `next` then has
     *  one slot for them, with their shares together, and the others empty.
     *  Borrowed until the next call. The hook is NULL where it never does. */
    const int16_t *(*raw)(const void *state);
    /** @return the work of the last plan: the slots, experts, replicas and
     *  GPUs that its loops looked at. It depends on what was planned alone, not
     *  on the machine, the rank or threads. NULL: nothing is worked out. */
    uint64_t (*steps)(const void *state);
    double step_weight; /* time of such a step over that of `timed`'s, which a
                           cluster's planner_step_s is of; fitted, and checked
                           by setup, in tests/bench/bench_planner.c */
    void (*fini)(void *state); /* NULL: nothing to release; accepts a partly
                                  initialised state */
} moe_planner;

/** @return the member of this name, or NULL. */
const moe_planner *moe_planner_find(const char *name);

/** @return member i, or NULL past the last. */
const moe_planner *moe_planner_at(size_t i);

/** All names, "A, B, C", cut where the text ends. */
void moe_planner_names(char *text, size_t size);

/** @return a state, set up; release it with moe_planner_free(). NULL, with the
 *  init hook's error, when it cannot. */
void *moe_planner_new(const moe_planner *planner, const moe_planner_env *env,
                      const void *params, moe_error *err);
void moe_planner_free(const moe_planner *planner, void *state);

/** @return whether two predictions say the same: proportional, but for what
 *  rounding to whole numbers makes.
 *  @param a, b  [n] >= 0, finite. */
bool moe_planner_same_load(const double *a, const double *b, int n);

/** @return steps of the last plan, weighted so that one takes as long in every
 *  planner; 0 without one, and of a planner that works nothing out. */
uint64_t moe_planner_steps(const moe_planner *planner, const void *state);

#endif
