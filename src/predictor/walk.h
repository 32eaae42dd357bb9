/** walk.h: where the sequences of a batch's tokens begin. */
#ifndef MOEGPS_PREDICTOR_WALK_H
#define MOEGPS_PREDICTOR_WALK_H

#include <stdbool.h>

#include "moegps/batch.h"

typedef struct moe_walk {
    const moe_trace *trace;
    const moe_batch *batch;
    uint64_t seq; /* of the token that was asked for last */
} moe_walk;

static inline moe_walk moe_walk_of(const moe_trace *trace,
                                   const moe_batch *batch)
{
    return (moe_walk){trace, batch, 0};
}

/** The batch that something was worked out of, for all its layers. */
typedef struct moe_mark {
    uint64_t iteration, first;
    uint32_t own;
    int next; /* least layer that may be asked for; 0: nothing was */
} moe_mark;

/** Mark what is asked for. @return whether what was worked out is of this
 *  batch. A layer that is asked for again means a new one. */
static inline bool moe_mark_holds(moe_mark *m, const moe_batch *batch,
                                  int layer)
{
    const bool holds = m->next > 0 && layer >= m->next &&
                       m->iteration == batch->iteration &&
                       m->first == batch->first && m->own == batch->own;
    *m = (moe_mark){batch->iteration, batch->first, batch->own, layer + 1};
    return holds;
}

/** @return the sequence of a token of the trace. */
static inline uint64_t moe_sequence_of(const moe_trace *t, uint64_t token)
{
    uint64_t low = 0, high = t->n_seqs;
    while (high - low > 1) {
        const uint64_t mid = low + (high - low) / 2;
        if (t->seq_offset[mid] <= token)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/** @return the token of the trace with which the sequence of the batch's token
 *  t begins. */
static inline uint64_t moe_walk_first(moe_walk *w, uint32_t t)
{
    const uint64_t id = w->batch->id[t], *at = w->trace->seq_offset + w->seq;
    if (id < at[0] || id >= at[1])
        w->seq = moe_sequence_of(w->trace, id);
    return w->trace->seq_offset[w->seq];
}

#endif
