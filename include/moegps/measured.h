/** measured.h: times that a cluster's own benchmarks printed.
 *
 *  Every format is read into rows of the tables that `cost: silicon` prices by
 *  (silicon.h): the key of a table, what its rows are measured along, and
 *  microseconds. What a file does not say, options do; what neither says is
 *  refused by name.
 */
#ifndef MOEGPS_MEASURED_H
#define MOEGPS_MEASURED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/model.h"
#include "moegps/recording.h"

enum { MOE_MEASURED_TEXTS = 5, MOE_MEASURED_NUMBERS = 5 };

/** A group of the tables and the columns of its key; texts first. */
typedef struct moe_measured_group {
    const char *name; /* "moe", "collectives", "attention", "gemm" */
    const char *text[MOE_MEASURED_TEXTS + 1];
    const char *number[MOE_MEASURED_NUMBERS + 1];
    const char *axis; /* tokens, buffer_bytes, seq, m */
} moe_measured_group;

extern const moe_measured_group moe_measured_moe, moe_measured_collectives,
    moe_measured_attention, moe_measured_gemm;

typedef struct moe_measurement {
    const moe_measured_group *group;
    char text[MOE_MEASURED_TEXTS][48];
    int number[MOE_MEASURED_NUMBERS];
    double x, time_us;
    const char *path; /* borrowed */
    uint64_t line;    /* 0: not known */
} moe_measurement;

typedef struct moe_measurements {
    moe_measurement *row; /* [n] owned */
    size_t n, room;
    moe_remarks said; /* what was read */
} moe_measurements;

/** What files leave open. Texts are borrowed. */
typedef struct moe_measured_options {
    const char *gpu, *stack; /* of the cluster's profile */
    const char *op;          /* of a collective; NULL: the file says */
    int ranks;               /* of a collective; 0: the file says */
    const moe_model *model; /* whose experts a kernel computed; NULL: unknown */
    int ep;                 /* GPUs that share them */
} moe_measured_options;

/** Read a file of any known format; its content decides. Rows are appended.
 *  @param path  must outlive `out`.
 *  @return MOE_OK, MOE_USAGE (no such file; what an option must say),
 *  MOE_FORMAT (where, what it is, what would do), MOE_NOMEM. */
moe_status moe_measured_read(const char *path,
                             const moe_measured_options *options,
                             moe_measurements *out, moe_error *err);
void moe_measurements_fini(moe_measurements *m);

/** Append a row. @return MOE_OK, MOE_NOMEM, MOE_FORMAT (a time or a size that is
 *  none). */
moe_status moe_measured_add(moe_measurements *m, const moe_measurement *row,
                            moe_error *err);

/** The library of collectives that ranks made by MPI, on whatever machine:
 *  tables keep them under the name of the profile's GPU, which was not there. */
#define MOE_MEASURED_BY_MPI "mpi"

/** Write a row's key: "h100_sxm measured alltoall gpus=8"; by MPI without a GPU:
 *  "alltoall by MPI among 4 ranks". */
void moe_measured_key(const moe_measurement *row, char *text, size_t size);

/** @return 0: the rows are of one table; else which comes first. */
int moe_measured_order(const moe_measurement *a, const moe_measurement *b);

/** Sort rows by table and size, make one of repeats, and leave out those that
 *  contradict their neighbours, and those by MPI that are too short for tables.
 *  The largest size of each table stays but for that.
 *  @param said  each that is left out, with file and line, is added.
 *  @return MOE_OK, MOE_FORMAT (no microseconds; nothing is left). */
moe_status moe_measured_clean(moe_measurements *m, moe_remarks *said,
                              moe_error *err);

/** A file that is read, and where its rows go. All borrowed. */
typedef struct moe_measured_file {
    const char *path;
    char *text; /* all of it; readers may cut it up */
    const moe_measured_options *options;
    moe_measurements *out;
} moe_measured_file;

/** A format: a member of a family, one file each. */
typedef struct moe_measured_format {
    const char *name, *help;
    bool (*detect)(const char *text);
    moe_status (*read)(const moe_measured_file *file, moe_error *err);
} moe_measured_format;

/** @return member i, or NULL past the last; the first that detects reads. */
const moe_measured_format *moe_measured_format_at(size_t i);

#endif
