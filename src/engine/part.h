/* part.h: what goes through a layer together: the batch, or one of two halves.
 *
 * With `overlap: two-batch` ranks that keep a GPU's pace take two halves of a
 * batch through their layers in turn, as engines do: while one is computed the
 * rows of the other travel. Each part has a dispatch of its own.
 *
 *      attention 0, attention 1, ffn 0, ffn 1, attention 0 of the next layer ...
 *             rows of 0 go,  of 1 go,  0 come home,  1 come home
 */
#ifndef MOEGPS_ENGINE_PART_H
#define MOEGPS_ENGINE_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatch.h"
#include "moegps/batch.h"
#include "moegps/ffn.h"
#include "moegps/phase.h"

typedef struct moe_engine moe_engine;

enum { MOE_MOST_PARTS = 2 };

typedef struct moe_part {
    moe_dispatch *dispatch; /* NULL on a dedicated rank */
    moe_watch *watch;       /* NULL: exchanges are made at once */

    moe_batch batch; /* of one layer; arrays are borrowed from the whole one */
    uint32_t first;  /* of its tokens among the rank's own */

    /* The exchange that was sent last. */
    int layer;
    moe_phase phase;  /* that it belongs to */
    bool due;         /* nobody waited for it yet */
    bool travels;     /* it is under way */
    double posted_s;  /* moe_clock_wall() */
    double arrived_s; /* likewise */

    /* By whom rows that go home are summed there; NULL: none do. */
    const moe_ffn *ffn;
    void *ffn_state;
} moe_part;

/* Make the parts of all batches, with their dispatches; then, on all ranks that
 * have a GPU, connect them. The first is local, errors go to ctx->err; the
 * others are collective over the GPUs; free accepts what was made in part. */
void moe_parts_init(moe_engine *e);
void moe_parts_connect(moe_engine *e);
void moe_parts_fini(moe_engine *e);

/* Let part i of n have its tokens of a layer of the batch in progress. */
void moe_part_load(moe_engine *e, int i, int n, int layer);

/* Send rows that were addressed and told: at once, or in a paced run posted and
 * brought on while the rank waits, until somebody awaits them. Collective over
 * the GPUs. */
void moe_part_send(moe_engine *e, moe_part *p, int layer, moe_phase phase,
                   moe_way way);

/* Bring on what is under way; does not wait. @return whether anything is. */
bool moe_parts_advance(moe_engine *e);

#endif
