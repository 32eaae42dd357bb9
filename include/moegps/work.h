/** work.h: what the GPUs of a run did in some of its layers, read back from
 *  /work and /timing, to be priced anew (replay.h).
 *
 *  A part of a file stands for all of it: some samples, evenly spread, of
 *  each the iterations that differ in what they do, some layers, and of every
 *  layer the GPUs that may be its slowest. So memory does not grow with the
 *  file.
 */
#ifndef MOEGPS_WORK_H
#define MOEGPS_WORK_H

#include <stdint.h>

#include "moegps/serving.h"
#include "moegps/status.h"
#include "moegps/view.h"

enum { MOE_WORK_GPUS = 16 }; /* of a layer that are kept, at most */

/** One GPU's part of a layer. */
typedef struct moe_work_gpu {
    const uint32_t *pairs; /* [slots] of each replica; borrowed */
    double total;          /* their sum */
    double exchange_bytes[MOE_N_EXCHANGES]
                         [MOE_N_LINKS]; /* B, larger of sent and received */
    double gpu_s[MOE_N_PHASES];         /* as recorded, 0 where nothing was */
    double own_sequences, own_tokens, cached; /* moe_layer_work's */
} moe_work_gpu;

/** One layer of one iteration under one strategy. */
typedef struct moe_work_cell {
    moe_work_gpu gpu[MOE_WORK_GPUS]; /* [n] */
    int n;
    bool own;          /* own_sequences and own_tokens of GPUs are known */
    double tokens;     /* of the iteration's batch */
    double wire_bytes; /* its plan, of all layers */
    double ahead_rows; /* GPUs per token that rows went ahead to */
    double numbered;   /* times that pairs were numbered over all GPUs */
    int used;          /* strategy that ran: of one that chooses a candidate */
    bool told;         /* it may have told the planner what it foretells */
    int tried;         /* candidates that told the planner beside it */
    double try_steps, try_bytes;  /* of their planners; of their plans */
    double busiest[MOE_N_LEVELS]; /* pairs; NaN: not recorded */
} moe_work_cell;

typedef struct moe_work {
    int strategies, samples, entries, layers, slots;
    double *weight;      /* [samples][entries] of an iteration in its sample;
                            they sum to 1, and spare entries have 0 */
    moe_work_cell *cell; /* [strategies][samples][entries][layers] */
    uint32_t *pairs;     /* that cells point into */
    char *model_profile,
        *cluster_profile; /* YAML that it was priced by; owned */
    int gpus_per_node;
    double sequences; /* of a batch */
    bool central;     /* one rank planned */
    moe_serving serving;
} moe_work;

/** Read what belongs to a view from its file. Not collective. Release with
 *  moe_work_fini().
 *  @return MOE_OK, MOE_USAGE (the file is gone, or was priced by other rules:
 *  it is of schema 1.3 or older; or nothing was measured), MOE_MISMATCH (it is of
 *  another run), MOE_FORMAT, MOE_NOMEM. */
moe_status moe_work_read(const moe_view *view, moe_work *out, moe_error *err);
void moe_work_fini(moe_work *work);

/** @return a cell. */
static inline const moe_work_cell *moe_work_at(const moe_work *w, int s,
                                               int sample, int entry, int layer)
{
    return &w->cell[((s * w->samples + sample) * w->entries + entry) *
                        w->layers +
                    layer];
}

#endif
