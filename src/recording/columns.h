/* columns.h: what the columns of a table mean. */
#ifndef MOEGPS_RECORDING_COLUMNS_H
#define MOEGPS_RECORDING_COLUMNS_H

#include "moegps/recording.h"
#include "moegps/rows.h"

/* What a column may hold. */
typedef enum moe_role {
    MOE_ROLE_STEP,
    MOE_ROLE_LAYER,
    MOE_ROLE_EXPERT,
    MOE_ROLE_COUNT,
    MOE_ROLE_TOKEN,
    MOE_ROLE_SEQUENCE,
    MOE_ROLE_POSITION,
    MOE_ROLE_TOKEN_ID,
    MOE_ROLE_SPLIT,
    MOE_ROLE_ORDER,
    MOE_N_ROLES
} moe_role;

typedef enum moe_layout_kind {
    MOE_TABLE_WIDE,   /* a row per layer (and step), a column per expert */
    MOE_TABLE_LONG,   /* a row per load */
    MOE_TABLE_EVENTS, /* a row per activation: layer and expert alone */
    MOE_TABLE_TOKENS  /* a row per token and layer */
} moe_layout_kind;

enum { MOE_NO_COLUMN = -1 };

typedef struct moe_columns {
    moe_layout_kind kind;
    char **name; /* [width], owned; "" where there is none */
    size_t width;
    bool headless;         /* the first row is data */
    bool in_comment;       /* names stand in the comment before the first row */
    int role[MOE_N_ROLES]; /* column, or MOE_NO_COLUMN */
    int *expert; /* [n_experts] column of each expert or choice; owned */
    int n_experts;
    int *gate; /* [n_gates] column of each gate weight; owned */
    int n_gates;
    int index;  /* column that numbers the rows, or MOE_NO_COLUMN */
    int total;  /* column that may be the row's sum */
    int *extra; /* [n_extra] columns that mean nothing here; owned */
    int n_extra;
} moe_columns;

/* Understand the first row. @param rows  before its first row; is left there.
 * @return MOE_OK, MOE_FORMAT (columns that mean nothing, by name), MOE_NOMEM. */
moe_status moe_columns_find(moe_rows *rows, const char *path,
                            const moe_recording_options *options,
                            moe_columns *out, moe_error *err);
void moe_columns_fini(moe_columns *c);

#endif
