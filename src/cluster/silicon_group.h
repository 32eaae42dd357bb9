/* silicon_group.h: the tables of a file while they are replaced. */
#ifndef MOEGPS_CLUSTER_SILICON_GROUP_H
#define MOEGPS_CLUSTER_SILICON_GROUP_H

#include <hdf5.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/measured.h"

enum { MOE_SILICON_COLUMNS = MOE_MEASURED_TEXTS + MOE_MEASURED_NUMBERS };

/* A group of the file, in memory: n tables, each a key and points. */
typedef struct moe_silicon_group {
    const moe_measured_group *group;
    int texts, columns;
    size_t n, rows;
    int32_t *column[MOE_SILICON_COLUMNS]; /* [n] */
    int32_t *first;                       /* [n + 1] of the rows of each */
    int32_t *x;                           /* [rows] */
    float *time_us;                       /* [rows] */
} moe_silicon_group;

/* What is changed. */
typedef struct moe_silicon_change {
    hid_t file;
    char **names; /* [n_names] codes of texts; owned */
    size_t n_names, old_names;
    moe_measurements *m; /* sorted by key */
    moe_remarks *said;
    bool bundled; /* it begins with the bundled tables */
    moe_error *err;
} moe_silicon_change;

/* @return the end of the rows of one key that begin at i. */
size_t moe_silicon_key_end(const moe_measurements *m, size_t i);

/* @return the code of a text, a new one where it is not known; -1: with an
 * error. */
int32_t moe_silicon_code_of(moe_silicon_change *u, const char *text);

/* @param key  [columns] of a row. */
void moe_silicon_encode(moe_silicon_change *u, const moe_silicon_group *t,
                        const moe_measurement *row, int32_t *key);

/* Begin without tables, or with those of the file. t->group is set. */
void moe_silicon_group_begin(moe_silicon_group *t);
void moe_silicon_group_read(moe_silicon_change *u, moe_silicon_group *t);
void moe_silicon_group_fini(moe_silicon_group *t);

/* Append a table. @param x, time_us  [rows] */
void moe_silicon_group_append(moe_silicon_change *u, moe_silicon_group *to,
                              const int32_t *key, const int32_t *x,
                              const float *time_us, size_t rows);
void moe_silicon_group_write(moe_silicon_change *u, const moe_silicon_group *t);
void moe_silicon_names_write(moe_silicon_change *u);

/* ---- datasets ---- */

typedef struct moe_silicon_data {
    const char *name;
    hid_t type, memory; /* in the file, in memory */
    const void *data;
    hsize_t dims[2]; /* the second 0: rank 1 */
} moe_silicon_data;

/* Replace a dataset. */
void moe_silicon_put(moe_silicon_change *u, hid_t group,
                     const moe_silicon_data *set);
void moe_silicon_put_ints(moe_silicon_change *u, hid_t group, const char *name,
                          const int32_t *data, size_t n);
int32_t *moe_silicon_read_ints(hid_t group, const char *name, size_t n,
                               moe_error *err);

/* Fit a model to the rows [begin, end) of each kernel that has none. */
void moe_silicon_fit_kernels(moe_silicon_change *u, size_t begin, size_t end);

#endif
