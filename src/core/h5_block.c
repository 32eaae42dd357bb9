/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/h5.h"

/* @return elements of dimensions [first, rank). */
static hsize_t product(int first, int rank, const hsize_t *dims)
{
    hsize_t n = 1;
    for (int d = first; d < rank; d++)
        n *= dims[d];
    return n;
}

/* Go to where the next block begins. @return false: nothing is left. */
static bool advance(moe_h5_block *block, int d, const hsize_t *dims)
{
    block->start[d] += block->count[d];
    for (; d > 0 && block->start[d] >= dims[d]; d--) {
        block->start[d] = 0;
        block->start[d - 1]++;
    }
    return block->start[0] < dims[0];
}

hsize_t moe_h5_next_block(moe_h5_block *block, const moe_h5_pieces *pieces)
{
    const int rank = pieces->rank;
    const hsize_t *dims = pieces->dims;
    int d = 0;
    if (product(0, rank, dims) == 0)
        return 0;
    while (d < rank - 1 && product(d + 1, rank, dims) > pieces->most)
        d++;
    if (block->count[0] > 0 && !advance(block, d, dims))
        return 0;
    const hsize_t chunk = pieces->chunk != NULL ? pieces->chunk[d] : 1;
    const hsize_t inner = product(d + 1, rank, dims);
    hsize_t some = pieces->most / inner;
    some = some > chunk ? some - some % chunk : some;
    for (int i = 0; i < rank; i++)
        block->count[i] = i < d ? 1 : dims[i];
    if (block->start[d] + some < dims[d])
        block->count[d] = some;
    else
        block->count[d] = dims[d] - block->start[d];
    return block->count[d] * inner;
}
