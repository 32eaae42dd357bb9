/* json_items.h: JSON of many values, each a step of loads or some tokens of a
 * layer: lines of a file, or the items of a list. It may be larger than memory,
 * so the file is read twice: once for its sizes, once for its numbers. */
#ifndef MOEGPS_RECORDING_JSON_ITEMS_H
#define MOEGPS_RECORDING_JSON_ITEMS_H

#include "internal.h"
#include "moegps/jtree.h"

#define MOE_JSON_HISTORY "load_history"

typedef struct moe_json_items {
    const char *path; /* borrowed */
    bool history;     /* items of a list; else values of the file */
    size_t n;         /* so far */
    bool tokens;      /* of them; else loads */
    size_t layers;    /* of a step */
    size_t experts;   /* loads of a layer, or choices of a token */
    moe_axis step;    /* numbers of steps */
    uint64_t *count;  /* [MOE_MAX_RECORDED_LAYERS] tokens; owned */
    uint64_t *order;  /* [MOE_MAX_RECORDED_LAYERS] which tokens they are, as one
                        number; owned */
    bool gates;       /* the first has weights of the choices */
    uint64_t *seen;   /* steps that were filled, a bit each; owned */
    moe_axis layer;   /* numbers of the layers of tokens */
    bool requests;    /* all tokens so far say which request they are of */
    uint64_t request; /* of the last token, as a number to compare */
    moe_axis request_of; /* all of them */
    uint64_t *start;     /* [n_starts] first tokens of runs of one; owned */
    size_t n_starts, room;
    moe_recording *out; /* being filled; borrowed */
} moe_json_items;

/* Take the sizes of one more. @param key  not used. */
moe_jpart moe_json_size;

/* Read the file again, for its numbers, when all are sized.
 * @return MOE_OK, MOE_FORMAT, MOE_NOMEM. */
moe_status moe_json_fill(moe_json_items *items, moe_recording *out,
                         moe_error *err);
void moe_json_items_fini(moe_json_items *items);

/* @return the loads of an object; NULL: it has none. */
const moe_jtree *moe_json_loads(const moe_jtree *t);

/* @return the choices of an object; NULL: it has none. */
const moe_jtree *moe_json_choices(const moe_jtree *t);

/* Say which keys an object has, and which would do. @return MOE_FORMAT. */
moe_status moe_json_refuse_keys(const char *path, const moe_jtree *t,
                                moe_error *err);

#endif
