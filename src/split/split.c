/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/split.h"

#include <assert.h>

void moe_split_by_weight(const uint32_t *weight, uint32_t n_replicas,
                         uint64_t n, uint64_t first, uint32_t own,
                         uint32_t *pairs_out)
{
    uint64_t sum = 0, before = 0, at = first;
    const uint64_t end = first + own;
    for (uint32_t r = 0; r < n_replicas; r++)
        sum += weight != NULL ? weight[r] : 1;
    assert(sum > 0 && sum < (UINT64_C(1) << 31) && n < (UINT64_C(1) << 32));
    for (uint32_t r = 0; r < n_replicas; r++) {
        before += weight != NULL ? weight[r] : 1;
        uint64_t bound = n * before / sum; /* end of r's interval */
        uint64_t stop = bound < end ? bound : end;
        pairs_out[r] = stop > at ? (uint32_t)(stop - at) : 0;
        at += pairs_out[r];
    }
}
