/** trace.h: what the parts of `moegps trace` share, and who reads traces. */
#ifndef MOEGPS_CLI_TRACE_H
#define MOEGPS_CLI_TRACE_H

#include <stdbool.h>

#include "moegps/trace.h"

/* One function per `moegps trace WORD`; each returns the exit code. */
int moe_cmd_trace_info(int argc, char **argv);
int moe_cmd_trace_synth(int argc, char **argv);
int moe_cmd_trace_slice(int argc, char **argv);
int moe_cmd_trace_import(int argc, char **argv);
int moe_cmd_trace_check(int argc, char **argv);
int moe_cmd_trace_export(int argc, char **argv);

/** Write a trace beside `path`, then rename it.
 *  @return as moe_trace_write(), moe_replace_begin() and _commit(). */
moe_status moe_trace_save(const char *path, bool force, moe_trace *trace,
                          moe_error *err);

/** Find its file. @return as moe_profile_find(). */
moe_status moe_trace_path(const char *name, char *path, size_t size,
                          moe_error *err);

/** Read a trace by path, or by name from jobs/traces; or a recording that says
 *  all about itself, as one. */
moe_status moe_trace_by_name(const char *name, moe_trace *out, moe_error *err);

#endif
