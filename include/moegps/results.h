/** results.h: the result file of one run: created, filled, finished.
 *
 *  PATH.partial is created before anything is measured: rank 0 writes the
 *  whole skeleton (groups, strings, scales, datasets, provenance) serially
 *  and takes all space. Numeric blocks follow as iterations finish: rank 0
 *  gathers and writes them, or, in large runs, all ranks reopen the file with
 *  MPI-IO and write their own. At the end rank 0 writes the summary and the
 *  status, and renames the file to PATH. A killed run leaves PATH.partial,
 *  readable, with every flushed iteration. Schema: results/README.md.
 */
#ifndef MOEGPS_RESULTS_H
#define MOEGPS_RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "moegps/ctx.h"
#include "moegps/facts.h"
#include "moegps/ledger.h"
#include "moegps/status.h"
#include "moegps/strategy_facts.h"
#include "moegps/topo.h"
#include "moegps/validation.h"

/* MAJOR breaks readers, MINOR adds; readers ignore what they do not
 * know. */
#define MOE_RESULTS_SCHEMA "moe-gps"
#define MOE_RESULTS_SCHEMA_VERSION "1.8.0"

/** How the ranks' columns reach the file. */
typedef enum moe_results_writer {
    MOE_WRITER_AUTO,   /* by size, and by what the nodes can see */
    MOE_WRITER_SERIAL, /* rank 0 gathers and writes alone */
    MOE_WRITER_MPIO    /* every rank writes, through MPI-IO */
} moe_results_writer;

/** What a file says about its run besides numbers. All borrowed. */
typedef struct moe_results_meta {
    const char *title;
    const char *config_input;    /* experiment file, verbatim */
    const char *config_resolved; /* YAML with every option's value */
    const char *model_profile;   /* YAML as read, which the numbers rest on */
    const char *cluster_profile; /* YAML as read, which prices rest on */
    const char *command_line;
    const moe_facts *facts;        /* scalar options and facts for /config */
    const char *const *strategies; /* [dims.strategies] names */
    const moe_strategy_facts *strategy_facts; /* [dims.strategies] */
    const char *reference; /* strategy that ratios refer to */
    const int32_t *layers; /* [dims.layers] numbers in the model */
    const moe_topo *topo;  /* this rank's */
    int gpu;               /* this rank's GPU; -1: coordinator */
    int history;           /* iterations whose predictions resuming
                                      needs; 0: none */
    bool force;            /* replace an existing file */
    moe_results_writer writer;
} moe_results_meta;

typedef struct moe_results moe_results;

/** Create PATH.partial with its skeleton. Collective over ctx. Ignores
 *  SIGXFSZ from then on, so that a size limit is an error and not a death.
 *  @param path     of the finished file; its folder must exist.
 *  @param results_out  end with moe_results_close().
 *  @return merged status: MOE_EXISTS, MOE_IO (disk full: early, as all space
 *  is taken here), MOE_NOMEM, MOE_INJECTED. Nothing is left behind then. */
moe_status moe_results_create(moe_ctx *ctx, const char *path,
                              const moe_results_meta *meta,
                              const moe_ledger *ledger,
                              moe_results **results_out);

/** Go on with the file of a run that did not end: PATH.partial, or PATH whose
 *  status is not complete. It must be of the same experiment, trace and number
 *  of ranks. Collective over ctx.
 *  @param ledger       gets what goes on: rank 0 the true loads so far and the
 *                      plans of the last iteration, every rank its traffic.
 *  @param results_out  as above; NULL if there is no such file, or if PATH is
 *                      complete.
 *  @param done_out     iterations in the file; all of them if complete, else 0
 *                      without a file.
 *  @return merged status: MOE_MISMATCH (says what differs), MOE_FORMAT,
 *  MOE_EXISTS (both files are there), MOE_IO. The file is as it was then. */
moe_status moe_results_resume(moe_ctx *ctx, const char *path,
                              const moe_results_meta *meta, moe_ledger *ledger,
                              moe_results **results_out, int *done_out);

/** Write iterations [first, end) of the ledger and flush. Collective.
 *  @return merged status. After an error other than MOE_INJECTED the file is
 *  written no further; what was flushed before stays readable. */
moe_status moe_results_write(moe_ctx *ctx, moe_results *results,
                             const moe_ledger *ledger, int first, int end);

/** Write traffic, warnings, summary and status, close, and rename to PATH
 *  (state complete or interrupted; failed keeps PATH.partial, as does an
 *  error here). Collective; `results` is released in any case; NULL is fine.
 *  An error that ctx holds already is kept and returned: it explains.
 *  @return merged status. */
moe_status moe_results_close(moe_ctx *ctx, moe_results *results,
                             const moe_ledger *ledger, moe_run_state state,
                             const moe_validation *validation);

#endif
