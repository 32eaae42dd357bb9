/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/timeline.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

typedef enum { WAITING, BEGUN, ENDED } progress;

/* How far a task is. */
typedef struct {
    progress progress;
    double left_s; /* of its time alone */
    int next;      /* of its queue; MOE_NO_TASK: the last */
} state;

/* Tasks that begin in the order in which they were added. */
typedef struct {
    int first, last; /* MOE_NO_TASK: empty */
} queue;

struct moe_timeline {
    size_t capacity, n;
    moe_task *task;        /* [capacity] */
    moe_task_times *times; /* [capacity] */
    state *state;          /* [capacity] */
    queue chain[MOE_CHAINS];
    queue background[MOE_RESOURCE_SETS]; /* by what they use */
    unsigned sets;                       /* bit k: background[k] has tasks */
    /* While a schedule is made: */
    double now_s;
    int running[MOE_CHAINS];        /* MOE_NO_TASK: the chain waits */
    int filling[MOE_RESOURCE_SETS]; /* background tasks that run now */
    int n_filling;
};

moe_task moe_task_make(moe_phase phase, int layer, unsigned uses, double time_s,
                       int chain)
{
    return (moe_task){.phase = phase,
                      .layer = layer,
                      .time_s = time_s,
                      .uses = uses,
                      .chain = chain,
                      .after = {MOE_NO_TASK, MOE_NO_TASK},
                      .since = MOE_NO_TASK};
}

moe_status moe_timeline_new(size_t capacity, moe_timeline **out, moe_error *err)
{
    moe_error local = {0};
    moe_timeline *t = moe_array_new(1, sizeof *t, &local);
    if (t == NULL)
        return moe_pass(err, &local);
    t->capacity = capacity;
    t->task = moe_array_new(capacity, sizeof *t->task, &local);
    t->times = moe_array_new(capacity, sizeof *t->times, &local);
    t->state = moe_array_new(capacity, sizeof *t->state, &local);
    if (local.status != MOE_OK) {
        moe_timeline_free(t);
        return moe_pass(err, &local);
    }
    moe_timeline_clear(t);
    *out = t;
    return MOE_OK;
}

void moe_timeline_free(moe_timeline *t)
{
    if (t == NULL)
        return;
    free(t->state);
    free(t->times);
    free(t->task);
    free(t);
}

void moe_timeline_clear(moe_timeline *t)
{
    t->n = 0;
    for (int c = 0; c < MOE_CHAINS; c++)
        t->chain[c] = (queue){MOE_NO_TASK, MOE_NO_TASK};
    for (int b = 0; b < MOE_RESOURCE_SETS; b++)
        t->background[b] = (queue){MOE_NO_TASK, MOE_NO_TASK};
    t->sets = 0;
}

int moe_timeline_add(moe_timeline *t, const moe_task *task)
{
    const int i = (int)t->n;
    assert(t->n < t->capacity && task->time_s >= 0);
    assert(task->takes >= 0 && task->takes < 1);
    assert(task->uses < MOE_RESOURCE_SETS && task->chain < MOE_CHAINS);
    assert(task->after[0] < i && task->after[1] < i && task->since < i);
    queue *q = task->chain == MOE_BACKGROUND ? &t->background[task->uses]
                                             : &t->chain[task->chain];
    t->task[i] = *task;
    t->state[i] = (state){WAITING, task->time_s, MOE_NO_TASK};
    if (q->first == MOE_NO_TASK)
        q->first = i;
    else
        t->state[q->last].next = i;
    q->last = i;
    if (task->chain == MOE_BACKGROUND)
        t->sets |= 1u << task->uses;
    t->n++;
    return i;
}

static bool ended(const moe_timeline *t, int task)
{
    return task == MOE_NO_TASK || t->state[task].progress == ENDED;
}

/* Whether all that a task depends on allows it to begin. */
static bool ready(const moe_timeline *t, int i)
{
    const moe_task *task = &t->task[i];
    return ended(t, task->after[0]) && ended(t, task->after[1]) &&
           (task->since == MOE_NO_TASK ||
            t->state[task->since].progress != WAITING);
}

static void begin(moe_timeline *t, int i)
{
    if (t->state[i].progress == WAITING)
        t->times[i].start_s = t->now_s;
    t->state[i].progress = BEGUN;
}

static void end(moe_timeline *t, queue *q, int i)
{
    t->state[i].progress = ENDED;
    t->times[i].end_s = t->now_s;
    q->first = t->state[i].next;
}

/* Chains take what no other chain uses; a chain that runs is not interrupted.
 * @return resources in use. */
static unsigned start_chains(moe_timeline *t)
{
    unsigned busy = 0;
    for (int c = 0; c < MOE_CHAINS; c++)
        if (t->running[c] != MOE_NO_TASK)
            busy |= t->task[t->running[c]].uses;
    for (int c = 0; c < MOE_CHAINS; c++) {
        const int i = t->chain[c].first;
        if (t->running[c] != MOE_NO_TASK || i == MOE_NO_TASK ||
            (t->task[i].uses & busy) != 0 || !ready(t, i))
            continue;
        begin(t, i);
        t->running[c] = i;
        busy |= t->task[i].uses;
    }
    return busy;
}

/* @return of the background tasks that could begin or go on the one that was
 * added first, or MOE_NO_TASK. */
static int first_background(const moe_timeline *t, unsigned busy)
{
    int first = MOE_NO_TASK;
    for (unsigned left = t->sets; left != 0; left &= left - 1) {
        const unsigned uses = (unsigned)__builtin_ctz(left);
        const int i = t->background[uses].first;
        if ((uses & busy) == 0 && (first == MOE_NO_TASK || i < first) &&
            ready(t, i))
            first = i;
    }
    return first;
}

static void start_background(moe_timeline *t, unsigned busy)
{
    t->n_filling = 0;
    for (int i = first_background(t, busy); i != MOE_NO_TASK;
         i = first_background(t, busy)) {
        begin(t, i);
        t->filling[t->n_filling++] = i;
        busy |= t->task[i].uses;
    }
}

/* @return a background task that transfers now, or MOE_NO_TASK. */
static int transfer(const moe_timeline *t)
{
    for (int k = 0; k < t->n_filling; k++)
        if ((t->task[t->filling[k]].uses & MOE_RESOURCE_LINKS) != 0)
            return t->filling[k];
    return MOE_NO_TASK;
}

/* @return the chain's task that time belongs to: compute before transfer. */
static int owner(const moe_timeline *t)
{
    int any = MOE_NO_TASK;
    for (int c = MOE_CHAINS - 1; c >= 0; c--)
        if (t->running[c] != MOE_NO_TASK &&
            (any == MOE_NO_TASK ||
             (t->task[t->running[c]].uses & MOE_RESOURCE_SM) != 0 ||
             (t->task[any].uses & MOE_RESOURCE_SM) == 0))
            any = t->running[c];
    return any;
}

/* @return what keeps task i from beginning, to the root of it. */
static int root(const moe_timeline *t, int i)
{
    for (int k = 0; k < 2; k++)
        if (!ended(t, t->task[i].after[k]))
            return root(t, t->task[i].after[k]);
    return i;
}

/* @return the background task that is waited for while no chain runs: by the
 * first chain that has tasks left, else by the end of the schedule; if another
 * has its links, that one. */
static int awaited(const moe_timeline *t)
{
    for (int c = 0; c < MOE_CHAINS; c++) {
        const int i = t->chain[c].first;
        const int cause = i != MOE_NO_TASK ? root(t, i) : MOE_NO_TASK;
        for (int k = 0; k < t->n_filling && i != MOE_NO_TASK; k++)
            if (t->filling[k] == cause)
                return cause;
        if (i != MOE_NO_TASK)
            break;
    }
    return t->filling[0];
}

/* @return a chain's task that takes SMs from compute now, or MOE_NO_TASK. */
static int taker(const moe_timeline *t)
{
    for (int c = 0; c < MOE_CHAINS; c++)
        if (t->running[c] != MOE_NO_TASK && t->task[t->running[c]].takes > 0)
            return t->running[c];
    return MOE_NO_TASK;
}

/* @return share of the SMs that is left to compute. */
static double left(const moe_timeline *t)
{
    const int i = taker(t);
    return i != MOE_NO_TASK ? 1.0 - t->task[i].takes : 1.0;
}

static double rate(const moe_timeline *t, int i, double slowdown)
{
    if ((t->task[i].uses & MOE_RESOURCE_SM) == 0)
        return 1.0;
    return left(t) * (transfer(t) >= 0 ? 1.0 - slowdown : 1.0);
}

/* @return until the first running task ends. */
static double step_s(const moe_timeline *t, double slowdown)
{
    double least_s = -1.0;
    for (int c = 0; c < MOE_CHAINS; c++) {
        const int i = t->running[c];
        if (i == MOE_NO_TASK)
            continue;
        const double s = t->state[i].left_s / rate(t, i, slowdown);
        least_s = least_s < 0 || s < least_s ? s : least_s;
    }
    for (int k = 0; k < t->n_filling; k++) {
        const int i = t->filling[k];
        const double s = t->state[i].left_s / rate(t, i, slowdown);
        least_s = least_s < 0 || s < least_s ? s : least_s;
    }
    assert(least_s >= 0); /* else tasks wait for each other */
    return least_s;
}

/* Give a span of time to whom it belongs. */
static void account(moe_timeline *t, double span_s, double slowdown)
{
    const int i = owner(t);
    if (i == MOE_NO_TASK) {
        t->times[awaited(t)].exposed_s += span_s;
        return;
    }
    const double own = rate(t, i, slowdown);
    const double taken = own < 1.0 ? 1.0 - left(t) : 0.0;
    t->times[i].exposed_s += span_s * own;
    if (taken > 0)
        t->times[taker(t)].exposed_s += span_s * taken;
    if (own < 1.0 && transfer(t) >= 0)
        t->times[transfer(t)].exposed_s += span_s * (1.0 - taken - own);
}

static void work(moe_timeline *t, int i, double done_s, double span_s)
{
    double *left_s = &t->state[i].left_s;
    /* What ends in this step ends exactly. */
    *left_s = *left_s - done_s > 1e-12 * span_s ? *left_s - done_s : 0.0;
}

/* Let all that runs go on until one of them ends. */
static void advance(moe_timeline *t, double slowdown)
{
    const double span_s = step_s(t, slowdown);
    account(t, span_s, slowdown);
    t->now_s += span_s;
    for (int c = 0; c < MOE_CHAINS; c++)
        if (t->running[c] != MOE_NO_TASK)
            work(t, t->running[c], span_s * rate(t, t->running[c], slowdown),
                 span_s);
    for (int k = 0; k < t->n_filling; k++)
        work(t, t->filling[k], span_s * rate(t, t->filling[k], slowdown),
             span_s);
    for (int c = 0; c < MOE_CHAINS; c++) {
        const int i = t->running[c];
        if (i == MOE_NO_TASK || t->state[i].left_s > 0)
            continue;
        end(t, &t->chain[c], i);
        t->running[c] = MOE_NO_TASK;
    }
    for (int k = 0; k < t->n_filling; k++) {
        const int i = t->filling[k];
        const unsigned uses = t->task[i].uses;
        if (t->state[i].left_s > 0)
            continue;
        end(t, &t->background[uses], i);
        if (t->background[uses].first == MOE_NO_TASK)
            t->sets &= ~(1u << uses);
    }
}

static bool done(const moe_timeline *t)
{
    for (int c = 0; c < MOE_CHAINS; c++)
        if (t->chain[c].first != MOE_NO_TASK)
            return false;
    return t->sets == 0;
}

/* Whether a single chain is all that is left, so that its tasks follow each
 * other. */
static bool alone(const moe_timeline *t)
{
    for (int c = 1; c < MOE_CHAINS; c++)
        if (t->chain[c].first != MOE_NO_TASK)
            return false;
    return t->sets == 0 && t->running[0] == MOE_NO_TASK;
}

static void follow(moe_timeline *t)
{
    for (int i = t->chain[0].first; i != MOE_NO_TASK; i = t->chain[0].first) {
        begin(t, i);
        t->times[i].exposed_s = t->task[i].time_s;
        t->now_s += t->task[i].time_s;
        end(t, &t->chain[0], i);
    }
}

double moe_timeline_run(moe_timeline *t, double slowdown)
{
    assert(slowdown >= 0 && slowdown < 1);
    t->now_s = 0;
    memset(t->times, 0, t->n * sizeof *t->times);
    for (int c = 0; c < MOE_CHAINS; c++)
        t->running[c] = MOE_NO_TASK;
    while (!done(t) && !alone(t)) {
        start_background(t, start_chains(t));
        advance(t, slowdown);
    }
    follow(t);
    return t->now_s;
}

size_t moe_timeline_length(const moe_timeline *t)
{
    return t->n;
}

const moe_task *moe_timeline_task(const moe_timeline *t, size_t i)
{
    return &t->task[i];
}

const moe_task_times *moe_timeline_times(const moe_timeline *t, size_t i)
{
    return &t->times[i];
}
