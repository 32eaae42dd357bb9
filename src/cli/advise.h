/** advise.h: what the parts of `moegps advise` share. */
#ifndef MOEGPS_CLI_ADVISE_H
#define MOEGPS_CLI_ADVISE_H

#include "moegps/advise.h"
#include "parse.h"
#include "recorded.h"

/** What the user asks for. */
typedef struct moe_advise_settings {
    const char *model, *cluster, *stack, *trace, *trained, *json;
    moe_recorded recorded;
    moe_parsed_split divided; /* of --loads */
    moe_advise_params p;      /* -1 where nothing is given and that matters */
    moe_parsed_predictor predictor;
    moe_reals intervals;
    moe_strings emit; /* ENGINE=FILE */
    moe_strings set;  /* KEY=VALUE of a profile */
    int slots, replicas;
    int tokens;      /* of a forward pass; 0: as recorded */
    int step_passes; /* forward passes of a recorded step; 0: one */
    int order;       /* moe_batch_order */
    bool no_direct, quiet, force;
} moe_advise_settings;

/** Make a trace of --loads: of all that is not told, its first part is the past;
 *  and find how many forward passes a step of them has.
 *  @param out  release with moe_trace_free(). */
moe_status moe_advise_read_loads(moe_advise_settings *s, const moe_model *model,
                                 moe_trace *out, moe_error *err);

/** Search all combinations and say which to take. */
moe_status moe_advise_search(const moe_advise_settings *s, moe_error *err);

#endif
