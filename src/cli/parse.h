/** parse.h: how values of options are read that several commands have.
 *
 *  Each is a moe_opt_parser: `at` is the member named here.
 */
#ifndef MOEGPS_CLI_PARSE_H
#define MOEGPS_CLI_PARSE_H

#include <stdbool.h>
#include <stdint.h>

#include "moegps/advise.h"
#include "moegps/options.h"
#include "moegps/predictor.h"
#include "moegps/trace.h"

/** tail=SHARE or train=SHARE[,seed=N]: how a trace is divided again. */
typedef struct moe_parsed_split {
    const char *text; /* as typed; NULL: not asked for */
    moe_trace_split how;
} moe_parsed_split;
moe_opt_parser moe_parse_split;

/** A predictor and its options: NAME[:OPTION=VALUE]... */
typedef struct moe_parsed_predictor {
    const moe_predictor *predictor; /* NULL: not asked for */
    void *params;                   /* owned */
} moe_parsed_predictor;
moe_opt_parser moe_parse_predictor;

/** A planner by name: const moe_planner *. */
moe_opt_parser moe_parse_planner;

/** A split of pairs among replicas by name: const moe_split *. */
moe_opt_parser moe_parse_split_name;

/** `all` or layers, into an int. */
moe_opt_parser moe_parse_lookahead;

/** Seconds per layer, or a share of the baseline layer like 10 %: what
 *  moe_advise_dials has for the time of a predictor. */
moe_opt_parser moe_parse_overhead;

/** Slots per GPU of what was asked for: --slots per GPU, or --replicas of all
 *  GPUs; 0: not given. @param slots_out  0: neither was given.
 *  @return MOE_OK, MOE_USAGE. */
moe_status moe_parsed_slots(int slots, int replicas, int gpus, int *slots_out,
                            moe_error *err);

/** Fill what was not said of predictors, and is below 0, by what was measured
 *  of the model: the accuracy and its load's error, and by hand the error of
 *  the distribution, which with dials.paper is the paper's.
 *  @param text  where the accuracy is from; p->measured points to it
 *  @return MOE_OK, MOE_USAGE (nothing was measured). */
moe_status moe_parsed_measured(moe_advise_params *p, char *text, size_t size,
                               moe_error *err);

/** Say how long sequences are. Steps of a load trace in the order of time are
 *  batches of a server, of as many sequences as somebody has to say, into
 *  seq_tokens; in decode those of any load trace, of as many as tokens. Of
 *  another, and of tokens, they are sequences. seq below 0: not
 *  said.
 *  @return MOE_OK, MOE_USAGE (it must be said; decode has one new token). */
moe_status moe_parsed_sequences(moe_advise_params *p, moe_error *err);

/** Check that --set names keys of profiles. @return MOE_OK, MOE_USAGE. */
moe_status moe_parsed_profile_sets(const moe_strings *set, moe_error *err);

/** Read a run of digits and move on behind it. @return false: there is none,
 *  or it overflows. */
bool moe_parse_digits(const char **at, uint64_t *out);

#endif
