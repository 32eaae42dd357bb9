/* watch.h: an exchange of rows that is watched, message by message.
 *
 * A collective hides who was late and which link is slow. Here every GPU sends
 * to every other by itself, and the receiver notes when a message was announced
 * - when its sender had come, for it is then that MPI sends the envelope - and
 * when all of it was there. Nothing waits; who posts goes on testing.
 */
#ifndef MOEGPS_ENGINE_WATCH_H
#define MOEGPS_ENGINE_WATCH_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/status.h"

typedef struct moe_watch moe_watch;

/* What is exchanged; as moe_parcels (dispatch_internal.h). Borrowed until it is
 * complete. */
typedef struct moe_watch_exchange {
    MPI_Comm comm;
    int first;        /* GPU that is its rank 0; the others follow */
    MPI_Datatype row; /* of any size, row_bytes apart */
    size_t row_bytes;
    const char *from;
    const int *send, *send_at; /* [GPUs of comm] rows, and where they begin */
    char *to;
    const int *recv, *recv_at;
} moe_watch_exchange;

/* What a message from one GPU did, s of moe_clock_wall(). */
typedef struct moe_watched {
    int bytes;
    double announced_s, arrived_s; /* 0: none was due */
} moe_watched;

/* What came from one GPU in the exchanges since moe_watch_begin(). */
typedef struct moe_sender {
    int64_t bytes;
    double transfer_s, late_s;
} moe_sender;

/* @param most  GPUs, of any communicator together. @return MOE_OK, MOE_NOMEM. */
moe_status moe_watch_new(int most, moe_watch **out, moe_error *err);
void moe_watch_free(moe_watch *w);

/* Forget the exchanges before; nobody waits for those that follow yet. */
void moe_watch_begin(moe_watch *w);

/* Post an exchange, after the one before is complete. Collective over x->comm,
 * and in the same order over all ranks that have a watch. */
void moe_watch_post(moe_watch *w, const moe_watch_exchange *x);

/* Bring it on. @return whether it is complete; true where none was posted. */
bool moe_watch_test(moe_watch *w);

/* @return who sent what in the last exchange, [GPUs of its comm]. */
const moe_watched *moe_watch_of(const moe_watch *w);

/* @return [most] who sent what since moe_watch_begin(), in exchanges that are
 * complete. */
const moe_sender *moe_watch_senders(const moe_watch *w);

/* From this moment on the rank waits for what was begun, and no sooner: who is
 * late then keeps it. */
void moe_watch_want(moe_watch *w, double since_s);

/* @return s that this rank waited before the last sender of each of these had
 * come, their sum. */
double moe_watch_late_s(const moe_watch *w);

#endif
