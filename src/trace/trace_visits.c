/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace_visits.h"

#include <math.h>
#include <stdlib.h>

#include "moegps/mem.h"

/* @return whether a token's experts are at home in more nodes than that.
 * @param node_of  [experts] */
static bool goes_beyond(const uint16_t *experts, int top_k, const int *node_of,
                        int limit)
{
    int seen[MOE_MAX_TOP_K], n = 0;
    for (int i = 0; i < top_k && n <= limit; i++) {
        const int node = node_of[experts[i]];
        int at = 0;
        while (at < n && seen[at] != node)
            at++;
        seen[at] = node;
        n += at == n;
    }
    return n > limit;
}

double moe_trace_over_limit(const moe_trace *trace, const moe_layout *layout,
                            int limit)
{
    const size_t n = (size_t)trace->layers * (size_t)trace->n_tokens;
    int *node_of = moe_array_new((size_t)trace->experts, sizeof *node_of, NULL);
    size_t beyond = 0;
    if (trace->kind != MOE_TRACE_TOKENS || node_of == NULL || n == 0) {
        free(node_of);
        return NAN;
    }
    for (int g = 0; g < layout->gpus; g++)
        for (int i = 0; i < moe_layout_home_count(layout, trace->experts, g);
             i++)
            node_of[moe_layout_home_first(layout, trace->experts, g) + i] =
                moe_layout_node(layout, g);
    for (size_t t = 0; t < n; t++)
        beyond += goes_beyond(trace->experts_of + t * (size_t)trace->top_k,
                              trace->top_k, node_of, limit);
    free(node_of);
    return (double)beyond / (double)n;
}
