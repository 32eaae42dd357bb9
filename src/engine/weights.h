/* weights.h: the expert weights that a rank holds, and how they travel.
 *
 * Home experts are stored once and shared by all strategies whose planner
 * keeps the home placement; every strategy has memory of its own for its
 * other slots. All of a rank's weights are one reservation, backed as far as
 * it is used.
 */
#ifndef MOEGPS_ENGINE_WEIGHTS_H
#define MOEGPS_ENGINE_WEIGHTS_H

#include <mpi.h>
#include <stdbool.h>
#include <stddef.h>

#include "moegps/ffn.h"
#include "moegps/plan.h"

typedef struct moe_home_weights {
    int layers, count; /* experts per layer at home on this GPU */
    int gpu, gpus;     /* gpu -1: none here, and no weights */
    size_t bytes;      /* of one expert */
    char *data;        /* [layers][count][bytes] */
} moe_home_weights;

/* What home weights are made from; all borrowed during init. */
typedef struct moe_home_weights_params {
    const moe_layout *layout;
    int gpu; /* -1: none */
    int layers, experts;
    size_t bytes;       /* of one expert */
    const moe_ffn *ffn; /* back end that generates them */
    void *ffn_state;
} moe_home_weights_params;

/* Allocate and generate. Not collective. @return MOE_OK, MOE_NOMEM. */
moe_status moe_home_weights_init(moe_home_weights *home,
                                 const moe_home_weights_params *p,
                                 moe_error *err);
void moe_home_weights_fini(moe_home_weights *home);

/* One strategy's slots on this GPU. */
typedef struct moe_slots {
    int layers, slots, gpu;
    size_t bytes;   /* of one expert */
    void **weights; /* [layers][slots] */
    char *data;     /* slots that are not shared home slots */
    char *rest;     /* as many bytes again; NULL when home slots are shared */
    void **spare;   /* [layers][slots] memory in `rest` or `data` that holds no
                       slot's weights */
    bool *serves;   /* [layers][slots] scratch: sends in this migration */
    MPI_Request *request; /* [max_requests] */
    size_t max_requests;
    size_t received, posted; /* requests under way: receives, and all */
} moe_slots;

/* Allocate; the home placement is in force. `share_home`: home slots point
 * into `home`, which must outlive this; else they are copies.
 * @return MOE_OK, MOE_NOMEM, MOE_USAGE (an expert is too large for MPI). */
moe_status moe_slots_init(moe_slots *s, const moe_home_weights *home, int slots,
                          bool share_home, moe_error *err);
void moe_slots_fini(moe_slots *s);

/* Begin what moe_slots_migrate() does, without waiting. */
void moe_slots_begin(moe_slots *s, const moe_move *moves, size_t n_moves,
                     MPI_Comm comm);

/* Bring it on, with the same moves. @return whether it is complete. */
bool moe_slots_test(moe_slots *s, const moe_move *moves, size_t n_moves);

/* Carry out moves of moe_plan_moves(): all receives and sends of this GPU
 * posted together, then waited for. Collective over the GPUs of comm in the
 * sense that senders and receivers must both call. A slot may send its old
 * expert while its new one arrives, unless home slots are shared: then it must
 * not be asked to. Pointers in `weights` may change. @return bytes this GPU
 * received. */
size_t moe_slots_migrate(moe_slots *s, const moe_move *moves, size_t n_moves,
                         MPI_Comm comm);

#endif
