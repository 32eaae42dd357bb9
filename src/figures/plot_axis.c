/* SPDX-License-Identifier: Apache-2.0 */
#include "plot_frame.h"

#include <math.h>

/* Part of what is shown that is left free at either end. */
static const double AIR = 0.04;

const moe_axis moe_axis_empty = {INFINITY, -INFINITY};

void moe_axis_take(moe_axis *axis, double x)
{
    if (!isfinite(x))
        return;
    axis->low = fmin(axis->low, x);
    axis->high = fmax(axis->high, x);
}

moe_axis moe_axis_ends(const moe_axis *axis)
{
    moe_axis ends = *axis;
    if (ends.low > ends.high)
        return (moe_axis){0, 1};
    /* Less than this is rounding, or one value. */
    const double least = 1e-6 * fmax(fabs(ends.low), fabs(ends.high));
    if (ends.high - ends.low <= least) {
        const double half = least > 0 ? 0.05 * fabs(ends.high) : 0.5;
        ends.low -= half;
        ends.high += half;
        return ends;
    }
    const double air = AIR * (ends.high - ends.low);
    ends.low -= ends.low == 0 ? 0 : air;
    ends.high += ends.high == 0 ? 0 : air;
    if (axis->low > 0)
        ends.low = fmax(ends.low, 0);
    return ends;
}

double moe_axis_step(const moe_axis *ends, int n)
{
    /* A little less, so that rounding costs no tick. */
    const double least = (ends->high - ends->low) / n * (1 - 1e-9);
    const double power = pow(10, floor(log10(least)));
    return least <= power       ? power
           : least <= 2 * power ? 2 * power
           : least <= 5 * power ? 5 * power
                                : 10 * power;
}

void moe_axis_put(const moe_axis *axis, const char *name, int ticks, FILE *out)
{
    const moe_axis ends = moe_axis_ends(axis);
    fprintf(out, "set %srange [%.9g:%.9g]\nset %stics %.9g\n", name, ends.low,
            ends.high, name, moe_axis_step(&ends, ticks));
}

/* Labels at 1, 2, 5 of every decade of a short axis, at 1 of a long one. */
void moe_axis_put_log(const moe_axis *axis, const char *name, FILE *out)
{
    static const int digits[] = {1, 2, 5};
    const bool any = axis->low > 0 && axis->low <= axis->high;
    const double low = any ? axis->low / 2 : 1;
    const double high = any ? axis->high * 2 : 10;
    const int step = high / low > 300 ? 3 : 1;
    const char *comma = "";
    fprintf(out, "set logscale %s\nset %srange [%.9g:%.9g]\nset %stics (", name,
            name, low, high, name);
    for (int p = (int)floor(log10(low)); p <= (int)ceil(log10(high)); p++)
        for (int k = 0; k < 3; k += step) {
            const double x = digits[k] * pow(10, p);
            if (x < low || x > high)
                continue;
            fprintf(out, "%s%.9g", comma, x);
            comma = ", ";
        }
    fputs(")\n", out);
}

moe_plot_unit moe_plot_time_unit(double largest_s)
{
    return largest_s >= 1      ? (moe_plot_unit){"s", 1}
           : largest_s >= 1e-3 ? (moe_plot_unit){"ms", 1e3}
                               : (moe_plot_unit){"us", 1e6};
}
