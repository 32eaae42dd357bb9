/** peak.h: which of some numbers is the largest, while they change.
 *
 *  A tournament over each of equally large groups of numbers: a change costs
 *  the logarithm of the group, the largest is at hand. Of equal numbers the
 *  first one counts. Local; only init allocates.
 */
#ifndef MOEGPS_PLANNER_PEAK_H
#define MOEGPS_PLANNER_PEAK_H

#include <stdint.h>

#include "moegps/status.h"

typedef struct moe_peak_match {
    int64_t key; /* of the winner */
    int32_t winner;
} moe_peak_match;

typedef struct moe_peak {
    int groups, size, leaves; /* leaves: a power of two, size at least */
    int64_t *key;             /* [groups * size] */
    moe_peak_match *match;    /* [groups][2 * leaves]; [1]: the final */
} moe_peak;

/** Allocate. Release with moe_peak_fini(). @return MOE_OK, MOE_NOMEM. */
moe_status moe_peak_init(moe_peak *p, int groups, int size, moe_error *err);
void moe_peak_fini(moe_peak *p);

/** Play all matches, after keys were written. */
void moe_peak_begin(moe_peak *p);

/** Change one number, of groups * size. */
void moe_peak_set(moe_peak *p, int i, int64_t key);

/** @return the number that is the largest of a group. */
static inline int moe_peak_first(const moe_peak *p, int group)
{
    return p->match[group * 2 * p->leaves + 1].winner;
}

#endif
