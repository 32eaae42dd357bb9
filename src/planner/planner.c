/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner.h"

#include <math.h>

uint64_t moe_planner_steps(const moe_planner *planner, const void *state)
{
    if (planner->steps == NULL)
        return 0;
    return (uint64_t)ceil((double)planner->steps(state) * planner->step_weight);
}

/* Numbers that were rounded are half a unit off at most; before that, they
 * may have been summed up in another way. */
bool moe_planner_same_load(const double *a, const double *b, int n)
{
    static const double FINE = 1e-9;
    double sum_a = 0, sum_b = 0;
    for (int e = 0; e < n; e++) {
        sum_a += a[e];
        sum_b += b[e];
    }
    if (sum_a <= 0 || sum_b <= 0)
        return sum_a <= 0 && sum_b <= 0;
    const double by = sum_a / sum_b;
    bool whole = true;
    for (int e = 0; e < n && whole; e++)
        whole = a[e] == floor(a[e]) && b[e] == floor(b[e]);
    const double off = whole ? 0.5 * (1 + by) : 0;
    for (int e = 0; e < n; e++)
        if (fabs(a[e] - by * b[e]) > off + FINE * a[e])
            return false;
    return true;
}
