/* array.h: a dense array as a recording. */
#ifndef MOEGPS_RECORDING_ARRAY_H
#define MOEGPS_RECORDING_ARRAY_H

#include "moegps/numbers.h"
#include "moegps/recording.h"

/* What is beside an array of tokens. */
typedef struct moe_companions {
    int64_t *value[MOE_N_COMPANIONS]; /* [n]; NULL: not there; owned */
    size_t n[MOE_N_COMPANIONS];
    double *gate;      /* in the order of the file; NULL: not there; owned */
    moe_numbers gates; /* their dimensions */
} moe_companions;

/* @return whether an array of this name is one: "sequences", "token_ids",
 * "positions", "layers", "gates", "splits". */
bool moe_companion_named(const char *name);

/* Read one, of this name. @return MOE_OK, MOE_FORMAT, MOE_NOMEM. */
moe_status moe_companions_take(moe_companions *c, const char *name,
                               moe_numbers *a, moe_error *err);

/* Read those of the options. @return as moe_companions_take(), MOE_USAGE. */
moe_status moe_companions_open(moe_companions *c,
                               const moe_recording_options *options,
                               moe_error *err);

/* Make the lists part of a recording of tokens.
 * @return MOE_OK, MOE_MISMATCH (another number of tokens), MOE_FORMAT,
 * MOE_NOMEM. */
moe_status moe_companions_attach(const moe_companions *c, moe_recording *r,
                                 moe_error *err);
void moe_companions_fini(moe_companions *c);

/* Take an array of loads, [layers][experts] or [steps][layers][experts], or of
 * experts of tokens, [layers][tokens][k] or as options->axes say; k = 1 may be
 * left out. Which of both, options->kind or the numbers say.
 * @param a    header read, elements not.
 * @param beside  what is beside tokens, besides what the options name; NULL:
 * nothing.
 * @param out  zero-initialised.
 * @return MOE_OK, MOE_FORMAT (sizes or elements that do not fit), MOE_NOMEM. */
moe_status moe_recording_take_array(moe_numbers *a,
                                    const moe_recording_options *options,
                                    moe_companions *beside, moe_recording *out,
                                    moe_error *err);

/* Arrays of a file, each with a name (arrays.c). */
typedef struct moe_members {
    const char *path;
    size_t n;
    void *from; /* of the two below */
    /* Write the name of member i. @return name */
    const char *(*name)(const void *from, size_t i, char *name, size_t size);
    /* Read its header, so that its elements are next. */
    moe_status (*open)(void *from, size_t i, moe_numbers *out, moe_error *err);
} moe_members;

/* Take the array that options->dataset names, or the only one that is not
 * beside it by its name, and what is.
 * @return as moe_recording_take_array(), MOE_FORMAT (which array it is). */
moe_status moe_recording_take_members(const moe_members *members,
                                      const moe_recording_options *options,
                                      moe_recording *out, moe_error *err);

#endif
