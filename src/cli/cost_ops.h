/** cost_ops.h: what `moegps cost` prices. */
#ifndef MOEGPS_CLI_COST_OPS_H
#define MOEGPS_CLI_COST_OPS_H

#include "moegps/cluster.h"
#include "moegps/csv.h"
#include "moegps/silicon.h"

enum { MOE_COST_COLUMNS = 13, MOE_COST_PRICES = 2 };

/** What a key (a shape, a link, ...) was looked up as. */
typedef struct moe_cost_entry moe_cost_entry;

/** Rows of a file and the tables that price them. */
typedef struct moe_cost_rows {
    moe_silicon *tables; /* not owned */
    moe_csv csv;
    const char *op;
    int column[MOE_COST_COLUMNS]; /* of the operation's; -1: not there */
    char gpu[64];                 /* of the row before */
    moe_cluster relative;         /* a profile of it with tables_gpu, if it is
                                     not measured; else empty */
    moe_cost_entry *entries;      /* rows of a file share few keys */
    size_t n_entries, room;
} moe_cost_rows;

typedef struct moe_cost_op {
    const char *name;
    const char *columns[MOE_COST_COLUMNS + 1]; /* '?': may be missing */
    /** Price a row. @param out  [MOE_COST_PRICES]; as many as there are names
     *  are filled. */
    void (*price)(moe_cost_rows *j, size_t row, moe_price *out, moe_error *err);
    const char *const *prices; /* names, then NULL */
} moe_cost_op;

/** @return operation i, or NULL past the last. */
const moe_cost_op *moe_cost_op_at(size_t i);

/** Release what was looked up. */
void moe_cost_forget(moe_cost_rows *j);

#endif
