/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/watchdog.h"

#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "moegps/launched.h"
#include "moegps/mem.h"

/* What the ranks of a node know of each other, in shared memory: a rank that
 * was stopped cannot tell so itself. */
typedef struct {
    atomic_int step;
    atomic_llong alive_ns; /* when its watchdog's thread last ran */
} sign;

struct moe_watchdog {
    const moe_ctx *ctx;
    double limit_s;
    MPI_Win window;
    sign *signs; /* [node_size] of the node */
    int *ranks;  /* [node_size] their ranks */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool ended;
};

/* Looks per limit: how finely time without progress is measured. */
enum { LOOKS = 8 };

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* The rank whose process does not run; else the one that is least far. -1:
 * all are equally far, so the one that hangs is on another node. */
static int find_culprit(const moe_watchdog *w, const char **why_out)
{
    const int n = w->ctx->node_size;
    const int64_t late = now_ns() - (int64_t)(0.5e9 * w->limit_s);
    int least = 0, most = 0;
    for (int r = 0; r < n; r++) {
        *why_out = "is stopped or gone";
        if (atomic_load(&w->signs[r].alive_ns) < late)
            return r;
        if (atomic_load(&w->signs[r].step) < atomic_load(&w->signs[least].step))
            least = r;
        if (atomic_load(&w->signs[r].step) > atomic_load(&w->signs[most].step))
            most = r;
    }
    *why_out = "hangs, the others wait";
    return least != most ? least : -1;
}

/* One rank of the culprit's node speaks; the others give it, and nodes that
 * know less, the time to end the job before they end themselves. */
static void bark(const moe_watchdog *w, int step)
{
    const char *why;
    char where[32] = "set-up";
    const int r = find_culprit(w, &why);
    if (step >= 0)
        snprintf(where, sizeof where, "iteration %d", step);
    const int speaker = r == 0 && w->ctx->node_size > 1 ? 1 : 0;
    if (r < 0 || w->ctx->node_rank != speaker)
        sleep(r < 0 ? 2 : 1);
    if (r < 0 && w->ctx->node_rank != speaker)
        sleep(1);
    else if (r < 0)
        fprintf(
            stderr,
            "moegps: rank %d (%s): no progress in %s for %g s, a rank hangs "
            "(--watchdog)\n",
            w->ctx->rank, w->ctx->host, where, w->limit_s);
    else if (w->ctx->node_rank == speaker)
        fprintf(stderr,
                "moegps: rank %d (%s): %s: no progress in %s for %g s "
                "(--watchdog)\n",
                w->ranks[r], w->ctx->host, why, where, w->limit_s);
    fflush(stderr);
    _exit(1);
}

static void sleep_until(moe_watchdog *w, int64_t when_ns)
{
    const struct timespec until = {when_ns / 1000000000, when_ns % 1000000000};
    int rc = 0;
    while (!w->ended && rc == 0)
        rc = pthread_cond_timedwait(&w->end, &w->lock, &until);
}

static void *watch(void *arg)
{
    moe_watchdog *w = arg;
    sign *mine = &w->signs[w->ctx->node_rank];
    const int64_t pause = (int64_t)(1e9 * w->limit_s / LOOKS);
    int seen = INT_MIN, looks = 0;
    pthread_mutex_lock(&w->lock);
    while (!w->ended) {
        atomic_store(&mine->alive_ns, now_ns());
        const int step = atomic_load(&mine->step);
        looks = step == seen ? looks + 1 : 0;
        seen = step;
        if (looks > LOOKS)
            bark(w, step);
        sleep_until(w, now_ns() + pause);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

static moe_status share_steps(moe_ctx *ctx, moe_watchdog *w)
{
    const MPI_Aint size =
        ctx->node_rank == 0 ? ctx->node_size * (MPI_Aint)sizeof *w->signs : 0;
    MPI_Aint bytes;
    int unit;
    void *base;
    MOE_MPI(MPI_Win_allocate_shared(size, sizeof *w->signs, MPI_INFO_NULL,
                                    ctx->node_comm, &base, &w->window));
    MOE_MPI(MPI_Win_shared_query(w->window, 0, &bytes, &unit, &w->signs));
    atomic_store(&w->signs[ctx->node_rank].step, -1);
    atomic_store(&w->signs[ctx->node_rank].alive_ns, now_ns());
    w->ranks =
        moe_array_new((size_t)ctx->node_size, sizeof *w->ranks, &ctx->err);
    if (moe_agree(ctx) == MOE_OK)
        MOE_MPI(MPI_Allgather(&ctx->rank, 1, MPI_INT, w->ranks, 1, MPI_INT,
                              ctx->node_comm));
    return ctx->err.status;
}

static void start_thread(moe_ctx *ctx, moe_watchdog *w)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->end, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&w->lock, NULL);
    if (pthread_create(&w->thread, NULL, watch, w) != 0) {
        w->ended = true;
        moe_fail(&ctx->err, MOE_LIBRARY, "watchdog: cannot start a thread");
    }
}

moe_status moe_watchdog_new(moe_ctx *ctx, double limit_s, moe_watchdog **out)
{
    *out = NULL;
    if (!(limit_s > 0))
        return MOE_OK;
    moe_watchdog *w = moe_array_new(1, sizeof *w, &ctx->err);
    if (moe_agree(ctx) != MOE_OK) {
        free(w);
        return ctx->err.status;
    }
    w->ctx = ctx;
    w->limit_s = limit_s;
    if (share_steps(ctx, w) == MOE_OK)
        start_thread(ctx, w);
    else
        w->ended = true;
    if (moe_agree(ctx) == MOE_OK)
        *out = w;
    else
        moe_watchdog_free(w);
    return ctx->err.status;
}

void moe_watchdog_feed(moe_watchdog *w, int step)
{
    if (w != NULL)
        atomic_store(&w->signs[w->ctx->node_rank].step, step);
}

void moe_watchdog_free(moe_watchdog *w)
{
    if (w == NULL)
        return;
    if (!w->ended) {
        pthread_mutex_lock(&w->lock);
        w->ended = true;
        pthread_cond_signal(&w->end);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    MOE_MPI(MPI_Win_free(&w->window));
    free(w->ranks);
    free(w);
}

/* ---- before MPI has begun, and while it ends ---- */

/* A handler has no argument; it may write and exit, no more. */
static char alarm_text[160];

static void on_alarm(int number)
{
    (void)number;
    const ssize_t written =
        write(STDERR_FILENO, alarm_text, strlen(alarm_text));
    _exit(written < 0 ? 2 : 1);
}

static void set_alarm(double s)
{
    const struct itimerval t = {
        .it_value = {(time_t)s, (suseconds_t)(1e6 * (s - floor(s)))}};
    setitimer(ITIMER_REAL, &t, NULL);
}

void moe_watchdog_cover(double limit_s, const char *where)
{
    /* Between ranks, so that the first who speaks is the only one. */
    static const double APART_S = 0.5;
    enum { MOST_APART = 20 };
    struct sigaction action = {.sa_handler = on_alarm};
    if (!(limit_s > 0))
        return;
    const int rank = moe_launched_rank();
    sigemptyset(&action.sa_mask);
    snprintf(alarm_text, sizeof alarm_text,
             "moegps: rank %d: %s does not come to an end in %g s, a rank "
             "hangs (--watchdog)\n",
             rank, where, limit_s);
    sigaction(SIGALRM, &action, NULL);
    set_alarm(limit_s + APART_S * (rank < MOST_APART ? rank : MOST_APART));
}

void moe_watchdog_uncover(void)
{
    set_alarm(0);
}
