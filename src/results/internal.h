/** internal.h: what the files of src/results share: the steps of writing a
 *  result file.
 *
 *  blocks.c: iterations; journal.c: sums, and what goes on; skeleton.c,
 *  provenance.c: what is written first; summary.c: last; target.c: the file;
 *  resume.c: the file of an earlier run; lock.c: whose file it is.
 *
 *  A field (ledger.h) is one dataset. The table of fields drives the skeleton,
 *  the writing of blocks and the closing; results/README.md documents each row.
 */
#ifndef MOEGPS_RESULTS_INTERNAL_H
#define MOEGPS_RESULTS_INTERNAL_H

#include <hdf5.h>
#include <mpi.h>

#include "moegps/cost.h"
#include "moegps/h5.h"
#include "moegps/results.h"
#include "moegps/view.h"

/* Bytes between GPUs, [strategy][source][destination], summed up over a run. */
enum { MOE_N_TRAFFIC = 2 };

/** @return traffic field t, 0..MOE_N_TRAFFIC-1. */
moe_field_id moe_traffic_field(int t);

hid_t moe_element_file_type(moe_element element);
hid_t moe_element_mem_type(moe_element element);
MPI_Datatype moe_element_mpi_type(moe_element element);

/** Words for the values 0, 1, ... of a field that stands for names.
 *  @param words  [size], separated by blanks; "": they are numbers.
 *  @param n_out  how many. */
void moe_field_flags(moe_field_id id, char *words, size_t size, int *n_out);

/** What every rank contributes to /provenance. Plain bytes, gathered. */
typedef struct moe_rank_facts {
    char host[64], cpuset[256], cpu_model[128];
    int32_t node, gpu, numa_node, cores, threads;
    int8_t bound, oversubscribed;
} moe_rank_facts;

void moe_rank_facts_fill(moe_rank_facts *facts, const moe_ctx *ctx,
                         const moe_results_meta *meta);

/** What a new file is made from. All borrowed. */
typedef struct moe_skeleton {
    const moe_results_meta *meta;
    const moe_ledger_dims *dims;
    const moe_rank_facts *facts; /* [ctx->size], by rank */
    bool mpio;                   /* all ranks will write */
} moe_skeleton;

/** Write /config and /provenance. Rank 0 only. */
void moe_provenance_write(hid_t file, const moe_ctx *ctx,
                          const moe_skeleton *skeleton, moe_error *err);

/** Write the whole skeleton of a file: root attributes, groups, scales and
 *  filled datasets. Rank 0 only. */
void moe_skeleton_write(hid_t file, const moe_ctx *ctx,
                        const moe_skeleton *skeleton, moe_error *err);

/** Write the scale of metrics, and their units beside it. Rank 0 only. */
void moe_metrics_write_scale(hid_t group, moe_error *err);

/** Create the empty /summary; fill it from a view. Rank 0 only. */
void moe_summary_create(hid_t file, const char *const *strategies,
                        size_t n_strategies, moe_error *err);
void moe_summary_write(hid_t file, const moe_view *view, moe_error *err);

/** Write the warnings said so far to /log, replacing it; none: no /log. */
void moe_log_write(hid_t file, const moe_ctx *ctx, moe_error *err);

/** Say in PATH.partial.lock that this process writes PATH.partial: not all file
 *  systems have locks of their own. A lock whose process or job is gone is
 *  replaced. Rank 0 only.
 *  @return whether it is ours, to be dropped at the end; false too where nothing
 *  can be written. MOE_EXISTS: another run has it. */
bool moe_lock_take(const char *partial, moe_error *err);
void moe_lock_drop(const char *partial);

/** Check that PATH and PATH.partial can be created; with `force`, remove an
 *  earlier PATH.partial. Rank 0 only.
 *  @param bytes  the file will need. */
void moe_target_check(const char *path, const char *partial, uint64_t bytes,
                      bool force, moe_error *err);

/** What there is of an earlier run. */
typedef enum moe_resume_kind {
    MOE_RESUME_NOTHING,
    MOE_RESUME_PARTIAL,     /* PATH.partial: the run was killed */
    MOE_RESUME_INTERRUPTED, /* PATH, but not complete */
    MOE_RESUME_COMPLETE     /* PATH: nothing is left to do */
} moe_resume_kind;

/** The run that goes on, and where its file may be. All borrowed. */
typedef struct moe_resume {
    const char *path, *partial, *beside;
    const moe_results_meta *meta;
    const moe_ledger_dims *dims;
} moe_resume;

/** Look for a file to go on with. Rank 0 only. MOE_EXISTS: both are there. */
moe_resume_kind moe_resume_find(const moe_resume *resume, moe_error *err);

/** Check that a file is of this run. One to go on with is marked as running,
 *  named PATH.partial and left open. Rank 0 only.
 *  @return its id; invalid if complete, and with MOE_MISMATCH (saying what
 *  differs), MOE_FORMAT, MOE_IO; then the file is as it was. */
hid_t moe_resume_open(const moe_resume *resume, moe_resume_kind kind,
                      const moe_ctx *ctx, moe_error *err);

/** Flush a file that was opened serially; MOE_IO when the disk is full. Then
 *  only moe_target_abandon() may follow. */
void moe_target_flush(hid_t file, const char *partial, moe_error *err);

/** Close a file that was opened serially and cannot be written any more,
 *  leaving the disk as it is and nothing open. */
void moe_target_abandon(hid_t file);

/** Begin to change the structure of PATH.partial, which HDF5 does in several
 *  writes: a process that is killed between them would leave a file that nobody
 *  can read. So the change is made in a copy. Whichever file is changed, it may
 *  grow by 1 MiB. Rank 0 only.
 *  @param beside  PATH.partial.new, which this run alone may use.
 *  @return the file to change, in closed state: `beside`; or `partial` itself,
 *  where there is no room for two, and after an error (MOE_IO: no room to grow
 *  either). */
const char *moe_target_change(const char *partial, const char *beside,
                              moe_error *err);

/** Put the change in force, durably; or take it back after an error. The file
 *  may be open.
 *  @param where  what moe_target_change() returned, or a new file. */
void moe_target_changed(const char *where, const char *partial, moe_error *err);

/** Rename PATH.partial to PATH, durably. MOE_EXISTS if there is a PATH by now
 *  and no `force`. */
void moe_target_publish(const char *path, const char *partial, bool force,
                        moe_error *err);

/** Datasets of a file that is being written. */
typedef struct moe_blocks {
    bool mpio; /* all ranks write; else rank 0 writes what it gathers */
    hid_t dataset[MOE_N_FIELDS]; /* open where written, else invalid */
    hid_t progress;              /* of /resume, open where written */
    hid_t journal[MOE_N_TRAFFIC];
    int copy;   /* of the journal, that is valid */
    hid_t xfer; /* of the ranks' columns: collective with mpio */
} moe_blocks;

/** Write iterations [first, end) of the fields that ranks hold, that rank 0
 *  holds and that are reduced. Collective; errors go to ctx->err, to be
 *  agreed on by the caller. */
void moe_blocks_write(moe_ctx *ctx, const moe_blocks *blocks,
                      const moe_ledger *ledger, int first, int end);

/** Write a part of a field; collective where ranks hold it and all write. An
 *  earlier error does not matter: a rank that skipped a collective call would
 *  leave the others waiting. */
void moe_blocks_put(moe_ctx *ctx, const moe_blocks *blocks, moe_field_id id,
                    const moe_h5_block *block, const void *data);

/** Write to the journal what a run that goes on needs besides the blocks, in
 *  the copy that is not in force. Collective, as moe_blocks_write(). */
void moe_blocks_write_journal(moe_ctx *ctx, const moe_blocks *blocks,
                              const moe_ledger *ledger);

/** Put the journal in force, once it and the blocks are on the disk: iterations
 *  [0, done) are in the file. Rank 0 writes; errors go to ctx->err. */
void moe_blocks_mark(moe_ctx *ctx, moe_blocks *blocks, int done);

/** Read back what a run needs to go on: rank 0's true loads and last plans,
 *  every rank's traffic. Collective; errors go to ctx->err, to be agreed on.
 *  @param blocks   open; its copy is set.
 *  @param history  last iterations to read the predicted loads of.
 *  @return iterations in the file, equal on all ranks. */
int moe_blocks_restore(moe_ctx *ctx, moe_blocks *blocks, moe_ledger *ledger,
                       int history);

/** Write what is known at the end: warm-up and traffic. Collective, as
 *  moe_blocks_write(). */
void moe_blocks_write_end(moe_ctx *ctx, const moe_blocks *blocks,
                          const moe_ledger *ledger);

#endif
