/** synth_parts.h: what the files of the synthesizer share. */
#ifndef MOEGPS_TRACE_SYNTH_PARTS_H
#define MOEGPS_TRACE_SYNTH_PARTS_H

#include "moegps/synth.h"

/* What a random number is for; the upper byte of its address. */
typedef enum synth_draw {
    DRAW_SPLIT = 0, /* drawn by moe_trace_split() */
    DRAW_POPULARITY,
    DRAW_DRIFT,
    DRAW_TOKEN_ID,
    DRAW_PREFERENCE,
    DRAW_ORDER,
    DRAW_CHOICE,
    DRAW_STEP
} synth_draw;

/** @return a generator at the address of one use. seq < 2^56. */
moe_rng synth_rng(const moe_synth_params *p, synth_draw what, uint64_t seq,
                  int layer, uint64_t token);

/** Popularity of the experts of one layer, walking from sequence to
 *  sequence. All arrays are [experts]. */
typedef struct synth_walk {
    double *shares;    /* as given, for MOE_SYNTH_SHARES */
    double *level;     /* logarithm of the weight */
    double *weight;    /* largest is 1 */
    double *inclusion; /* see moe_synth_inclusion() */
} synth_walk;

/** @return MOE_OK, MOE_USAGE (shares that cannot be), MOE_NOMEM. Release with
 *  synth_walk_fini(), on failure too. */
moe_status synth_walk_init(synth_walk *walk, const moe_synth_params *p,
                           moe_error *err);
void synth_walk_fini(synth_walk *walk);

/** Go to a sequence: 0, or the one after the last call's. */
void synth_walk_to(synth_walk *walk, const moe_synth_params *p, int layer,
                   uint64_t seq);

/** Fill experts_of, token_id and position of an allocated token trace.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status synth_tokens(const moe_synth_params *p, synth_walk *walk,
                        moe_trace *trace, moe_error *err);

#endif
