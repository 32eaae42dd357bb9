/** trace.h: what the parts of `moegps trace` share. */
#ifndef MOEGPS_CLI_TRACE_H
#define MOEGPS_CLI_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include "moegps/trace.h"

/* One function per `moegps trace WORD`; each returns the exit code. */
int moe_cmd_trace_info(int argc, char **argv);
int moe_cmd_trace_synth(int argc, char **argv);
int moe_cmd_trace_slice(int argc, char **argv);
int moe_cmd_trace_import(int argc, char **argv);
int moe_cmd_trace_export(int argc, char **argv);

/** Where a command writes to. */
typedef struct moe_trace_output {
    const char *path; /* NULL: not given; "-": stdout, where allowed */
    bool force;       /* replace an existing file */
} moe_trace_output;

/** @return MOE_OK; MOE_USAGE without a path, MOE_EXISTS when the file is
 *  there and force is not given. Looks before work begins. */
moe_status moe_trace_output_check(const moe_trace_output *out, moe_error *err);

/** Write a trace to a file beside the output, then move it there: what was
 *  there before stays until the new one is whole. */
moe_status moe_trace_output_write(const moe_trace_output *out, moe_trace *trace,
                                  moe_error *err);

/** Read a trace by path, or by name from jobs/traces. */
moe_status moe_trace_by_name(const char *name, moe_trace *out, moe_error *err);

/** Parse `train=SHARE[,seed=N]`. @return MOE_OK, MOE_USAGE. */
moe_status moe_trace_parse_split(const char *text, double *test_share,
                                 uint64_t *seed, moe_error *err);

/** Parse a whole number. @return MOE_OK, MOE_USAGE naming `what`. */
moe_status moe_trace_parse_u64(const char *text, const char *what, uint64_t low,
                               uint64_t high, uint64_t *out, moe_error *err);

#endif
