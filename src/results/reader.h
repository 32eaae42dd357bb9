/** reader.h: a result file being read: block by block, into samples.
 */
#ifndef MOEGPS_RESULTS_READER_H
#define MOEGPS_RESULTS_READER_H

#include "internal.h"

/** What reading needs: the file, its sizes, and one buffer for a block. */
typedef struct moe_reader {
    hid_t file;
    moe_view *view;
    moe_error *err; /* sticky: after an error nothing is read */
    void *buffer;
    size_t room; /* bytes of buffer */
} moe_reader;

static inline bool moe_reader_failed(const moe_reader *rd)
{
    return rd->err->status != MOE_OK;
}

/** Check that the file is the view's: one of that name may have been replaced
 *  since a sweep was made. MOE_MISMATCH. */
void moe_reader_check_run(moe_reader *rd);

/** @return whether the file has the field: those of earlier minor versions of
 *  the schema lack some. */
bool moe_reader_has(const moe_reader *rd, moe_field_id id);

/** Open a dataset and check that its shape is the run's. @return its id, or
 *  invalid with MOE_FORMAT. */
hid_t moe_reader_open(moe_reader *rd, moe_field_id id, hsize_t *dims);

/** @return room for n doubles until the next call; NULL with MOE_NOMEM. */
double *moe_reader_buffer(moe_reader *rd, size_t n);

/** What a reduction is told about one iteration of one strategy.
 *  @param x  [elements of an iteration] as in the file, NaN where missing. */
typedef void (*moe_visit)(const moe_reader *rd, int s, int i, const double *x,
                          void *arg);

/** Read a field block by block, and visit every iteration of it. Fields
 *  without a strategy dimension are visited as strategy 0. */
void moe_reader_each(moe_reader *rd, moe_field_id id, moe_visit visit,
                     void *arg);

/** The same of strategy s alone. */
void moe_reader_one(moe_reader *rd, moe_field_id id, int s, moe_visit visit,
                    void *arg);

/** @return whether the field's first dimension is strategy. */
bool moe_reader_by_strategy(moe_field_id id);

/** Make missing integers, the fill value -1, NaN; refuse numbers that no run
 *  has. */
void moe_reader_mark(moe_reader *rd, moe_field_id id, double *x, size_t n);

/** @return a size as an int; -1, which no size is, for what is none. */
static inline int moe_size_of(int64_t n)
{
    return n < 0 || n > INT32_MAX ? -1 : (int)n;
}

/** Refuse sizes that no run has, before anything is made of them: MOE_FORMAT,
 *  naming what is possible. */
void moe_sizes_check(const moe_view *view, moe_error *err);

/** Refuse numbers below `min` and those too large to be measured, infinity
 *  with them: MOE_FORMAT. NaN is what was not measured. */
void moe_numbers_check(const char *name, const double *x, size_t n, double min,
                       moe_error *err);

/** Refuse a layer's time that is no time; NaN is one that was not measured. */
void moe_layer_time_check(double time_s, int clock, moe_error *err);

/** Turn iterations into samples, in place: a plan serves the view's `period`
 *  iterations and is paid for in one of them, so that a median of iterations
 *  would not see its price. What is left over at the end is no sample: NaN. */
void moe_reader_merge_periods(const moe_view *view, double *x,
                              double (*mean)(const double *x, size_t n));

/** @return whether an iteration of a strategy was measured. */
bool moe_reader_measured(const moe_reader *rd, int strategy, int iteration);

/** Reduce what is no time; after the times, which say what was measured. */
void moe_reader_reduce_loads(moe_reader *rd);

/** Reduce fields to the view's samples and summaries; its sizes and names are there already. */
void moe_reader_reduce(moe_reader *rd);

/** Fill how late the view's paced phases were; NaN: none was paced. After
 *  moe_reader_reduce(). */
void moe_pace_read(moe_reader *rd);

/** Fill where the view's prices are from; NaN: not recorded. */
void moe_prices_read(moe_reader *rd);

#endif
