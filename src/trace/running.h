/** running.h: decode: which sequences run in which iteration.
 *
 *  `slots` sequences run at a time; in each iteration each of them has one new
 *  token. One that has ended is replaced by the next in order, and behind the
 *  last by the first. As in a deployment that has run for long, those that run
 *  at the start are not at theirs: the one of slot b of n begins b / n of its
 *  length in.
 */
#ifndef MOEGPS_TRACE_RUNNING_H
#define MOEGPS_TRACE_RUNNING_H

#include <stdint.h>

#include "moegps/status.h"

typedef struct moe_running moe_running;

/** @param start  [n_seqs + 1] first token of each sequence; none is empty. Not
 *  kept.
 *  @param iterations  to prepare for.
 *  @return MOE_OK, MOE_NOMEM. Release with moe_running_free(). */
moe_status moe_running_new(const uint64_t *start, uint32_t n_seqs, int slots,
                           int iterations, moe_running **out, moe_error *err);
void moe_running_free(moe_running *r); /* NULL is fine */

/** @param seq_out  number of the sequence that a slot has in an iteration.
 *  @return which token of it is new, from 0. */
uint64_t moe_running_token(const moe_running *r, uint64_t iteration, int slot,
                           uint32_t *seq_out);

/** @return sequences that began, those begun again counted again. */
uint64_t moe_running_begun(const moe_running *r);

/** @return iterations before a sequence begins again, of those prepared. */
uint64_t moe_running_fresh(const moe_running *r);

#endif
