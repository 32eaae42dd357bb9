/* internal.h: what the formats share. */
#ifndef MOEGPS_MEASURED_INTERNAL_H
#define MOEGPS_MEASURED_INTERNAL_H

#include "moegps/jtree.h"
#include "moegps/measured.h"

/* A row of a collective. What the file does not say, options say. */
typedef struct moe_measured_link {
    uint64_t line;
    const char *op; /* NULL: not said */
    int ranks;      /* 0: not said */
    double bytes, time_us;
} moe_measured_link;

/* @return MOE_OK, MOE_USAGE (neither file nor option says ranks, or which
 * collective), MOE_FORMAT, MOE_NOMEM. */
moe_status moe_measured_add_link(const moe_measured_file *file,
                                 const moe_measured_link *link, moe_error *err);

/* A row of the experts of options->model at so many tokens.
 * @return MOE_OK, MOE_USAGE (no model), MOE_FORMAT, MOE_NOMEM. */
moe_status moe_measured_add_ffn(const moe_measured_file *file, uint64_t line,
                                double tokens, double time_us, moe_error *err);

/* @return the collective whose name is in a text, as the tables spell it;
 * NULL: none. */
const char *moe_measured_collective(const char *text);

/* Take the rows of the first JSON value of a file.
 * @return MOE_OK, MOE_USAGE, MOE_FORMAT, MOE_NOMEM. */
moe_status moe_measured_json(const moe_measured_file *file,
                             void (*take)(const moe_measured_file *file,
                                          const moe_jtree *root,
                                          moe_error *err),
                             moe_error *err);

/* Lines of a text, one after the other, ended in place.
 * @return NULL: there is none left. */
typedef struct moe_measured_lines {
    char *rest;
    uint64_t number; /* of the line that was taken, from 1 */
} moe_measured_lines;
char *moe_measured_line(moe_measured_lines *lines);

#endif
