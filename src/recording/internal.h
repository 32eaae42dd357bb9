/* internal.h: what the formats share.
 *
 *   recording_read.c  which format a file is in; the common end of all of them
 *   recording.c    memory of a recording, numbers of its layers and steps
 *   layers.c       which layers and steps are kept
 *   companions.c   lists beside an array of tokens
 *   arrays.c       files of several arrays
 *   zip.c          archives of files, for npz.c
 *   torch.c        what torch.save writes, by a script, torch.py
 *   physical.c     physical experts to logical ones
 *   placement_read.c  placements of engines, which placement_write.c writes
 *   to_trace.c     a trace of a recording
 *   json_items.c   JSON of many values: a step or some tokens each
 *   column_meanings.c  what the columns of a table mean
 *   text_table.c   tables of text
 *   ...            one file a format
 */
#ifndef MOEGPS_RECORDING_INTERNAL_H
#define MOEGPS_RECORDING_INTERNAL_H

#include "moegps/recording.h"

/* Distinct numbers of steps or layers. */
typedef struct moe_axis {
    int64_t *value; /* [n] rising, then [loose] that are not sorted in; owned */
    size_t n, loose, room;
    size_t last; /* found last: files come in order */
} moe_axis;

/* Add a number, unless it is there. When all are, moe_axis_end() follows. */
void moe_axis_add(moe_axis *axis, int64_t value, moe_error *err);
void moe_axis_end(moe_axis *axis);

/* @return the place of a number; SIZE_MAX: it is not there. */
size_t moe_axis_find(moe_axis *axis, int64_t value);
void moe_axis_fini(moe_axis *axis);

/* Most of what a file may have of each, checked before memory is taken. */
enum { MOE_MAX_RECORDED_LAYERS = 32768, MOE_MAX_RECORDED_STEPS = 1 << 26 };

/* Sums of whole numbers are exact up to here: 2^53. */
extern const double MOE_MOST_LOAD;

/* Take over sizes and allocate loads of 0. Layers and steps are numbered from
 * 0 until the caller says otherwise.
 * @return MOE_OK, MOE_FORMAT (too many of anything, or none), MOE_NOMEM. */
moe_status moe_recording_make_loads(moe_recording *r, const char *path,
                                    size_t steps, size_t layers, size_t experts,
                                    moe_error *err);

/* The same of tokens; gates, ids and positions are left to the caller. */
moe_status moe_recording_make_tokens(moe_recording *r, const char *path,
                                     size_t layers, uint64_t tokens,
                                     size_t top_k, moe_error *err);

/* Drop the tokens that are marked; some must be left.
 * @param drop  [n_tokens] */
void moe_recording_drop_tokens(moe_recording *r, const bool *drop);

/* Keep the layers of a list, or number those of a file that does not.
 * @return MOE_OK, MOE_USAGE (a layer that is not there), MOE_NOMEM. */
moe_status moe_recording_keep(moe_recording *r, const char *path,
                              const moe_ranges *keep, moe_error *err);

/* Leave out layers without any load, which are dense ones, and steps without
 * any, which were not filled; all are named.
 * @return MOE_OK, MOE_FORMAT (all loads are 0), MOE_NOMEM. */
moe_status moe_recording_drop_empty(moe_recording *r, const char *path,
                                    moe_error *err);

#endif
