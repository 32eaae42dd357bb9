/** timeline.h: what hides behind what: tasks on the resources of one GPU.
 *
 *  The gpu clock is the length of a schedule. A task takes some seconds of
 *  some resources and may depend on others. Tasks of a chain run one after
 *  the other, as a stream does; several chains are streams that share the GPU.
 *  Background tasks fill what chains leave free: they pause while a chain uses
 *  one of their resources, and slow down the compute that they run beside, as
 *  do transfers of a chain whose kernels take SMs.
 *
 *      SM       [predict][ attention  ]            [   ffn    ]
 *      node     [collect]             [all-reduce ][dispatch ]
 *      network           [ migrate ...                  ... ]
 *
 *  Every instant of the schedule belongs to one task, so that the exposed
 *  times of all tasks add up to its length: compute of a chain, else transfer
 *  of a chain, else the background task that a chain waits for.
 */
#ifndef MOEGPS_TIMELINE_H
#define MOEGPS_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/phase.h"
#include "moegps/status.h"

/** Bits of what a task keeps busy. */
enum {
    MOE_RESOURCE_SM = 1,      /* the GPU's compute */
    MOE_RESOURCE_NODE = 2,    /* its links within the node */
    MOE_RESOURCE_NETWORK = 4, /* its links to other nodes */
    MOE_RESOURCE_HOST = 8,    /* the CPU that plans */
    MOE_RESOURCE_OTHER = 16,  /* a device beside the GPU */
    MOE_RESOURCE_LINKS = MOE_RESOURCE_NODE | MOE_RESOURCE_NETWORK,
    MOE_RESOURCE_SETS = 32 /* different sets of resources */
};

enum {
    MOE_CHAINS = 2,      /* that may run side by side */
    MOE_BACKGROUND = -1, /* the chain of a background task */
    MOE_NO_TASK = -1     /* of a dependency: none */
};

typedef struct moe_task {
    moe_phase phase; /* for whoever adds up; not looked at here */
    int layer;       /* likewise */
    double time_s;   /* alone on its resources, >= 0, finite */
    double takes;    /* of a chain's transfer: share of the SMs that it keeps
                        from compute of the other chain, 0 <= takes < 1 */
    unsigned uses;   /* MOE_RESOURCE_ bits */
    int chain;       /* 0 .. MOE_CHAINS - 1, or MOE_BACKGROUND */
    int after[2];    /* earlier tasks that must have ended; MOE_NO_TASK */
    int since;       /* earlier task that must have begun; MOE_NO_TASK */
} moe_task;

/** @return a task of these, without dependencies. */
moe_task moe_task_make(moe_phase phase, int layer, unsigned uses, double time_s,
                       int chain);

/** When a task ran. */
typedef struct moe_task_times {
    double start_s, end_s;
    double exposed_s; /* of the schedule's length that is this task's */
} moe_task_times;

typedef struct moe_timeline moe_timeline;

/** Allocate for up to `capacity` tasks. Not collective. Release with
 *  moe_timeline_free(). @return MOE_OK, MOE_NOMEM. */
moe_status moe_timeline_new(size_t capacity, moe_timeline **out,
                            moe_error *err);
void moe_timeline_free(moe_timeline *t);

/** Forget all tasks. */
void moe_timeline_clear(moe_timeline *t);

/** Add a task; those of a chain in the order in which they run, background
 *  tasks of equal resources likewise. Dependencies name tasks added before.
 *  @return its number, from 0. */
int moe_timeline_add(moe_timeline *t, const moe_task *task);

/** Schedule all tasks; once between two calls of moe_timeline_clear().
 *  Deterministic; allocates nothing.
 *  @param slowdown  seconds by which a second of background transfer lengthens
 *                   the compute that it runs beside, 0 <= slowdown < 1.
 *  @return the length of the schedule, s. */
double moe_timeline_run(moe_timeline *t, double slowdown);

/** @return how many tasks there are. */
size_t moe_timeline_length(const moe_timeline *t);

/** @return task i, and, after moe_timeline_run(), its times; borrowed until
 *  the next call that changes the timeline. */
const moe_task *moe_timeline_task(const moe_timeline *t, size_t i);
const moe_task_times *moe_timeline_times(const moe_timeline *t, size_t i);

#endif
