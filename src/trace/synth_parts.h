/** synth_parts.h: what the files of the synthesizer share. */
#ifndef MOEGPS_TRACE_SYNTH_PARTS_H
#define MOEGPS_TRACE_SYNTH_PARTS_H

#include "moegps/synth.h"

/* What a random number is for; the upper byte of its address. */
typedef enum moe_synth_stream {
    MOE_DRAW_SPLIT = 0, /* drawn by moe_trace_divide() */
    MOE_DRAW_POPULARITY,
    MOE_DRAW_DRIFT,
    MOE_DRAW_TOKEN_ID,
    MOE_DRAW_PREFERENCE,
    MOE_DRAW_ORDER,
    MOE_DRAW_CHOICE,
    MOE_DRAW_STEP
} moe_synth_stream;

/** @return a generator at the address of one use. seq < 2^56. */
moe_rng moe_synth_rng(const moe_synth_params *p, moe_synth_stream what,
                      uint64_t seq, int layer, uint64_t token);

/** Popularity of the experts of one layer, walking from sequence to
 *  sequence. All arrays are [experts]. */
typedef struct moe_synth_walk {
    double *shares;    /* as given, for MOE_SYNTH_SHARES */
    double *level;     /* logarithm of the weight */
    double *weight;    /* largest is 1 */
    double *inclusion; /* see moe_synth_inclusion() */
} moe_synth_walk;

/** @return MOE_OK, MOE_USAGE (shares that cannot be), MOE_NOMEM. Release with
 *  moe_synth_walk_fini(), on failure too. */
moe_status moe_synth_walk_init(moe_synth_walk *walk, const moe_synth_params *p,
                               moe_error *err);
void moe_synth_walk_fini(moe_synth_walk *walk);

/** Go to a sequence: 0, or the one after the last call's. */
void moe_synth_walk_to(moe_synth_walk *walk, const moe_synth_params *p,
                       int layer, uint64_t seq);

/** Fill experts_of, token_id and position of an allocated token trace.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_synth_tokens(const moe_synth_params *p, moe_synth_walk *walk,
                            moe_trace *trace, moe_error *err);

#endif
