/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/clock.h"
#include "moegps/ctx.h"
#include "moegps/mem.h"

/* A fast GPU may begin the next exchange while others are in this one: their
 * messages are told apart by tags, which come again long after. */
enum { TAGS = 1024 };

struct moe_watch {
    moe_watch_exchange x;
    int self, size, most;
    int sequence;
    int unannounced, open; /* messages due, and not yet announced or complete */
    double began_s;
    double wanted_s;      /* since when the rank waits; INFINITY: it does not */
    double late_s;        /* of exchanges that are complete */
    moe_watched *of;      /* [most] */
    moe_sender *senders;  /* [most] */
    MPI_Request *request; /* [2 * most]: receives, then sends */
    int *which;           /* [most] scratch */
};

moe_status moe_watch_new(int most, moe_watch **out, moe_error *err)
{
    moe_error local = {0};
    moe_watch *w = moe_array_new(1, sizeof *w, &local);
    const size_t n = (size_t)most;
    if (w == NULL)
        return moe_pass(err, &local);
    w->most = most;
    w->of = moe_array_new(n, sizeof *w->of, &local);
    w->senders = moe_array_new(n, sizeof *w->senders, &local);
    w->request = moe_array_new(2 * n, sizeof *w->request, &local);
    w->which = moe_array_new(2 * n, sizeof *w->which, &local);
    if (local.status != MOE_OK) {
        moe_watch_free(w);
        return moe_pass(err, &local);
    }
    for (size_t i = 0; i < 2 * n; i++)
        w->request[i] = MPI_REQUEST_NULL;
    *out = w;
    return MOE_OK;
}

void moe_watch_free(moe_watch *w)
{
    if (w == NULL)
        return;
    free(w->of);
    free(w->senders);
    free(w->request);
    free(w->which);
    free(w);
}

static void send_to(moe_watch *w, int g)
{
    const moe_watch_exchange *x = &w->x;
    const char *rows = x->from + (size_t)x->send_at[g] * x->row_bytes;
    if (g == w->self) {
        memcpy(x->to + (size_t)x->recv_at[g] * x->row_bytes, rows,
               (size_t)x->send[g] * x->row_bytes);
        return;
    }
    MOE_MPI(MPI_Isend(rows, x->send[g], x->row, g, w->sequence, x->comm,
                      &w->request[w->most + g]));
    w->open++;
}

void moe_watch_begin(moe_watch *w)
{
    memset(w->senders, 0, (size_t)w->most * sizeof *w->senders);
    w->late_s = 0;
    w->wanted_s = INFINITY;
}

void moe_watch_want(moe_watch *w, double since_s)
{
    w->wanted_s = since_s;
}

void moe_watch_post(moe_watch *w, const moe_watch_exchange *x)
{
    w->x = *x;
    w->sequence = (w->sequence + 1) % TAGS;
    MOE_MPI(MPI_Comm_rank(x->comm, &w->self));
    MOE_MPI(MPI_Comm_size(x->comm, &w->size));
    memset(w->of, 0, (size_t)w->most * sizeof *w->of);
    w->unannounced = w->open = 0;
    w->began_s = moe_clock_wall();
    for (int i = 0; i < w->size; i++) { /* not all to GPU 0 at once */
        const int g = (w->self + i) % w->size;
        w->unannounced += g != w->self && x->recv[g] > 0;
        if (x->send[g] > 0)
            send_to(w, g);
    }
    w->open += w->unannounced;
}

/* Messages whose envelopes have come. */
static void match(moe_watch *w)
{
    const moe_watch_exchange *x = &w->x;
    while (w->unannounced > 0) {
        int found = 0;
        MPI_Message message;
        MPI_Status status;
        MOE_MPI(MPI_Improbe(MPI_ANY_SOURCE, w->sequence, x->comm, &found,
                            &message, &status));
        if (!found)
            return;
        const int g = status.MPI_SOURCE;
        w->of[g].announced_s = moe_clock_wall();
        MOE_MPI(MPI_Get_count(&status, MPI_BYTE, &w->of[g].bytes));
        w->unannounced--;
        MOE_MPI(MPI_Imrecv(x->to + (size_t)x->recv_at[g] * x->row_bytes,
                           x->recv[g], x->row, &message, &w->request[g]));
    }
}

static void add_up(moe_watch *w)
{
    double late_s = 0;
    for (int g = 0; g < w->size; g++) {
        const moe_watched *of = &w->of[g];
        moe_sender *s = &w->senders[w->x.first + g];
        if (!(of->arrived_s > 0))
            continue;
        const double own_s =
            fmax(of->announced_s - fmax(w->began_s, w->wanted_s), 0);
        late_s = fmax(late_s, own_s);
        s->bytes += of->bytes;
        s->late_s += own_s;
        s->transfer_s += of->arrived_s - fmax(of->announced_s, w->began_s);
    }
    w->late_s += late_s;
}

bool moe_watch_test(moe_watch *w)
{
    int n = 0;
    if (w->open == 0)
        return true;
    match(w);
    MOE_MPI(MPI_Testsome(2 * w->most, w->request, &n, w->which,
                         MPI_STATUSES_IGNORE));
    if (n == MPI_UNDEFINED || n == 0)
        return false;
    const double now_s = moe_clock_wall();
    for (int i = 0; i < n; i++)
        if (w->which[i] < w->most)
            w->of[w->which[i]].arrived_s = now_s;
    w->open -= n;
    if (w->open == 0)
        add_up(w);
    return w->open == 0;
}

const moe_watched *moe_watch_of(const moe_watch *w)
{
    return w->of;
}

const moe_sender *moe_watch_senders(const moe_watch *w)
{
    return w->senders;
}

double moe_watch_late_s(const moe_watch *w)
{
    return w->late_s;
}
