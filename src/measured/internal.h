/* internal.h: what the formats share. */
#ifndef MOEGPS_MEASURED_INTERNAL_H
#define MOEGPS_MEASURED_INTERNAL_H

#include "moegps/jtree.h"
#include "moegps/measured.h"

/* A row of a collective of these ranks.
 * @return MOE_OK, MOE_USAGE (neither file nor option says ranks, or which
 * collective), MOE_FORMAT, MOE_NOMEM. */
moe_status moe_measured_add_link(moe_measurements *out, const char *path,
                                 uint64_t line, const char *op, int ranks,
                                 double bytes, double time_us,
                                 const moe_measured_options *options,
                                 moe_error *err);

/* A row of the experts of options->model at so many tokens.
 * @return MOE_OK, MOE_USAGE (no model), MOE_FORMAT, MOE_NOMEM. */
moe_status moe_measured_add_ffn(moe_measurements *out, const char *path,
                                uint64_t line, double tokens, double time_us,
                                const moe_measured_options *options,
                                moe_error *err);

/* @return the collective whose name is in a text, as the tables spell it;
 * NULL: none. */
const char *moe_measured_collective(const char *text);

/* The first JSON value of a file. @param out  release in any case.
 * @return MOE_OK, MOE_USAGE, MOE_FORMAT, MOE_NOMEM. */
moe_status moe_measured_json(const char *path, moe_jtree *out, moe_error *err);

/* Lines of a text, one after the other, ended in place.
 * @return NULL: there is none left. */
typedef struct moe_measured_lines {
    char *rest;
    uint64_t number; /* of the line that was taken, from 1 */
} moe_measured_lines;
char *moe_measured_line(moe_measured_lines *lines);

#endif
