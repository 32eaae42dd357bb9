/** sweep.h: one file of many runs: node counts, seeds, clusters.
 *
 *  Keeps what analysis across runs needs - every figure, every sample of the
 *  layer time, the phases - along a `run` dimension, and leaves the rest in
 *  the runs' own files. Schema: results/README.md.
 */
#ifndef MOEGPS_SWEEP_H
#define MOEGPS_SWEEP_H

#include "moegps/view.h"

/* MAJOR breaks readers, MINOR adds. */
#define MOE_SWEEP_SCHEMA "moe-gps-sweep"
#define MOE_SWEEP_SCHEMA_VERSION "1.3.0"

/** Check that runs belong into one sweep: complete and valid, the same model,
 *  trace, strategies and settings except the cluster, the number of GPUs, the
 *  workload's size and the seed, and none twice. Not collective.
 *  @return MOE_OK, MOE_MISMATCH naming the file and what differs, MOE_INVALID
 *  (of a run that failed its checks). */
moe_status moe_sweep_check(const moe_view *views, size_t n, moe_error *err);

/** Write checked runs to a new file. Not collective; what was written of a
 *  file that cannot be finished is removed.
 *  @param path  must not exist.
 *  @return MOE_OK, MOE_EXISTS, MOE_IO, MOE_NOMEM. */
moe_status moe_sweep_write(const char *path, const moe_view *views, size_t n,
                           moe_error *err);

/** Read back. @param views_out  release with moe_views_free().
 *  @return MOE_OK, MOE_USAGE (no such file), MOE_FORMAT, MOE_NOMEM. */
moe_status moe_sweep_read(const char *path, moe_view **views_out, size_t *n_out,
                          moe_error *err);

#endif
