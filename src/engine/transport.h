/** transport.h: the family of ways in which rows travel between GPUs.
 *
 *  Dispatch has given every pair its replica (dispatch.h). A transport says
 *  what is sent for it, and by which way. What it sends goes in stages: one
 *  exchange each, which is made at once or posted and completed later
 *  (moe_dispatch_post()). A stage begins with what has come with the one
 *  before.
 */
#ifndef MOEGPS_ENGINE_TRANSPORT_H
#define MOEGPS_ENGINE_TRANSPORT_H

#include <stddef.h>

#include "dispatch.h"

struct moe_transport {
    const char *name;       /* value of `serving.exchange` */
    bool shares;            /* pairs of a token share rows, and their results
                               come home as sums; the hooks below are set */
    int stages[MOE_N_WAYS]; /* at least 1 each */
    /** @return most rows that `send` holds; NULL: one for every own pair. */
    size_t (*send_rows)(const moe_dispatch_params *p);
    /** @return about as many rows as a GPU holds at a time: sent, received,
     *  and grouped by slot; NULL: each own pair thrice.
     *  @param tokens  of a batch.  @param pairs  of a GPU */
    double (*held_rows)(double tokens, double pairs);
    /** Allocate what else is needed, by moe_dispatch_array() and _reserve().
     *  Local; NULL: nothing. @return err's status. */
    moe_status (*init)(moe_dispatch *d, moe_error *err);
    /** After init on all ranks; NULL: nothing. Collective. */
    void (*connect)(moe_dispatch *d);
    /** Undo both, where init came to set transport_state. */
    void (*fini)(moe_dispatch *d);
    /** Number rows and sums of own pairs, whose GPUs are known. Local. */
    void (*number)(moe_dispatch *d, const moe_batch *batch);
    /** Copy the rows of own tokens to where they are sent from; after place.
     *  Local. */
    void (*pack)(moe_dispatch *d, const moe_batch *batch, const char *rows);
    /** Find places for what comes, whose items are known. Collective. */
    void (*place)(moe_dispatch *d);
    /** Begin a stage: local work, then one call of moe_dispatch_exchange(), on
     *  all ranks alike. Inside timed phases; allocates nothing. */
    void (*stage)(moe_dispatch *d, moe_way way, int stage);
};

/** @return the member of this name, or NULL. */
const moe_transport *moe_transport_find(const char *name);

/** @return member i, or NULL past the last. */
const moe_transport *moe_transport_at(size_t i);

#endif
