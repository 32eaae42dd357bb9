/** ledger.h: everything that a run measures, in memory, before it is written.
 *
 *  The engine fills it, the results writer empties it. One row of
 *  ledger_fields.h makes a field: its array here, its memory and its dataset
 *  in the result file.
 *  Every rank holds its own column (index [.., rank] of the file's datasets);
 *  what is known globally is held by rank 0 alone. Arrays are dense and
 *  allocated once, filled with NaN (doubles) or -1 (integers), so that what
 *  was never measured stays visibly so.
 */
#ifndef MOEGPS_LEDGER_H
#define MOEGPS_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/ledger_fields.h"
#include "moegps/phase.h"
#include "moegps/status.h"

enum { MOE_MAX_STRATEGIES = 64 }; /* of an experiment, and of a file */

typedef struct moe_ledger_dims {
    int strategies, iterations, warmup, layers, experts;
    int gpus;  /* GPU g is rank g */
    int ranks; /* gpus, or gpus + 1 with a dedicated coordinator (the last) */
    int slots; /* most slots of any strategy */
    int candidates; /* strategies, if one of them chooses among others; else 0 */
    bool paced;     /* ranks kept a GPU's pace */
} moe_ledger_dims;

/** Pairs of a layer's busiest GPU: what it computed, and what it would have
 *  had. From one level to the next a stage of the strategy loses balance. */
typedef enum moe_level {
    MOE_LEVEL_ACTUAL,
    MOE_LEVEL_MINMAX,      /* this placement, divided best */
    MOE_LEVEL_ORACLE_PLAN, /* what the planner would have made of the true
                              load, divided best; may exceed the level before:
                              planners are no optimisers */
    MOE_LEVEL_BEST,        /* the best plan known for these slots */
    MOE_LEVEL_BOUND,       /* less than any plan can have */
    MOE_N_LEVELS
} moe_level;

/** Exchanges that the gpu clock prices by bytes. */
typedef enum moe_exchange_kind {
    MOE_EXCHANGE_DISPATCH, /* rows to experts; with direct routing those that were
                          not in place */
    MOE_EXCHANGE_COMBINE, /* rows home */
    MOE_EXCHANGE_MIGRATE, /* weights of experts */
    MOE_N_EXCHANGES
} moe_exchange_kind;

enum { MOE_N_LINKS = 2 }; /* 0: within the node, 1: between nodes */

/** @return "node", "network". */
const char *moe_link_name(int link);

/** Phases whose time the cost model gives in a paced run. */
typedef enum moe_pace {
    MOE_PACE_ATTENTION, /* with the reduction that ends it, and the router */
    MOE_PACE_FFN,       /* with shared experts */
    MOE_N_PACES
} moe_pace;

/** @return "attention", "ffn". */
const char *moe_pace_name(int pace);

/** Phases that run beside the layers in a paced run: from collect to migrate. */
enum {
    MOE_BESIDE_FIRST = MOE_PHASE_COLLECT,
    MOE_N_BESIDES = MOE_PHASE_MIGRATE - MOE_PHASE_COLLECT + 1
};

/** @return the name of the phase, "collect". */
const char *moe_beside_name(int beside);

/** Exchanges of rows that a paced run times from sent to arrived; the first of
 *  moe_exchange_kind. */
enum { MOE_N_TRAVELS = MOE_EXCHANGE_COMBINE + 1 };

/** @return the name of the phase, "dispatch". */
const char *moe_travel_name(int travel);

/** GPUs of a paced run beyond which it does not record who sent what to whom. */
enum { MOE_MOST_SENDERS = 64 };

/** Element types: of the ledger, of the file and of messages alike. */
typedef enum moe_element {
    MOE_ELEMENT_F64,
    MOE_ELEMENT_I64,
    MOE_ELEMENT_I32,
    MOE_ELEMENT_I16
} moe_element;

/** @return bytes of one. */
size_t moe_element_size(moe_element element);

/** Who has the numbers of a field. */
typedef enum moe_holder {
    MOE_HELD_BY_RANKS, /* each rank its column: the last dimension is rank */
    MOE_HELD_BY_ROOT,  /* rank 0 alone; NULL elsewhere */
    MOE_HELD_BY_NONE,  /* reduced over ranks while it is written: no array */
    MOE_HELD_TO_END,   /* each rank its row, written once at the end */
    MOE_HELD_BY_ROOT_TO_END /* rank 0 alone, written once at the end */
} moe_holder;

typedef enum moe_field_id {
#define MOE_FIELD_ENUM(id, ...) MOE_FIELD_##id,
    MOE_LEDGER_FIELDS(MOE_FIELD_ENUM, MOE_FIELD_ENUM)
#undef MOE_FIELD_ENUM
        MOE_N_FIELDS
} moe_field_id;

/** A field: an array of the ledger and a dataset of the result file. */
typedef struct moe_field {
    const char *group, *name; /* of the dataset */
    moe_element element;
    moe_holder holder;
    const char *const *dims; /* names, NULL-terminated */
    const char *units, *long_name;
    size_t offset; /* of the array's pointer in moe_ledger; SIZE_MAX: none */
} moe_field;

extern const moe_field moe_fields[MOE_N_FIELDS];

/** Arrays are dense, in the order of their dimensions without rank (and
 *  source), as each rank holds its own part. */
typedef struct moe_ledger {
    moe_ledger_dims dims;
#define MOE_TYPE_F64 double
#define MOE_TYPE_I64 int64_t
#define MOE_TYPE_I32 int32_t
#define MOE_TYPE_I16 int16_t
#define MOE_FIELD_MEMBER(id, element, member, ...) MOE_TYPE_##element *member;
#define MOE_FIELD_NONE(...)
    MOE_LEDGER_FIELDS(MOE_FIELD_MEMBER, MOE_FIELD_NONE)
#undef MOE_FIELD_MEMBER
} moe_ledger;

/** Size of a dimension by name; 0: a run has none of it (no warm-up). */
size_t moe_dims_extent(const moe_ledger_dims *dims, const char *name);

/** Number of dimensions of a field. */
int moe_field_rank(const moe_field *field);

/** Whether a run of these sizes has the field: no dimension is empty. */
bool moe_field_present(const moe_field *field, const moe_ledger_dims *dims);

/** Elements per iteration of one rank and strategy: the product of the
 *  dimensions other than strategy, iteration and rank. */
size_t moe_field_inner(const moe_field *field, const moe_ledger_dims *dims);

/** @return whether a rank has an array of the field. */
bool moe_field_held(const moe_field *field, int rank);

/** @return elements of a rank's array of the field, held or not. */
size_t moe_field_length(const moe_field *field, const moe_ledger_dims *dims);

/** @return the array of a field in the ledger; NULL where this rank has none. */
void *moe_field_data(const moe_field *field, const moe_ledger *ledger);

/** Allocate for this rank. Not collective. Release with moe_ledger_fini().
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_ledger_init(moe_ledger *ledger, const moe_ledger_dims *dims,
                           int rank, moe_error *err);

void moe_ledger_fini(moe_ledger *ledger);

/** @return bytes that a ledger of these sizes takes on a rank. */
double moe_ledger_bytes(const moe_ledger_dims *dims, int rank);

/** @return [s][i][l] pairs of the busiest GPU at a level; NULL but on rank 0. */
int32_t *moe_ledger_busiest(const moe_ledger *ledger, moe_level level);

/** @return [s][i][l][link] B of an exchange at full size, the larger of sent
 *  and received. */
int64_t *moe_ledger_exchange(const moe_ledger *ledger, moe_exchange_kind kind);

/** Index of [s][i][l] in the per-layer arrays. */
static inline size_t moe_ledger_at(const moe_ledger *ledger, int s, int i,
                                   int l)
{
    const moe_ledger_dims *d = &ledger->dims;
    return ((size_t)s * (size_t)d->iterations + (size_t)i) * (size_t)d->layers +
           (size_t)l;
}

#endif
