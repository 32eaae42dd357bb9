/* SPDX-License-Identifier: Apache-2.0 */
#include "axis.h"

#include <math.h>
#include <stdbool.h>

#include "moegps/mem.h"
#include "script.h"

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

void moe_axis_join(moe_axis *axis, moe_axis other)
{
    moe_axis_take(axis, other.low);
    moe_axis_take(axis, other.high);
}

moe_axis moe_axis_scaled(moe_axis axis, double factor)
{
    return (moe_axis){axis.low * factor, axis.high * factor};
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

void moe_axis_put(const moe_axis *axis, const char *name, int ticks, FILE *to)
{
    const moe_axis ends = moe_axis_ends(axis);
    fprintf(to, "%s_low = %.9g\n%s_high = %.9g\n%s_step = %.9g\n", name,
            ends.low, name, ends.high, name, moe_axis_step(&ends, ticks));
}

int moe_axis_log_ticks(const moe_axis *ends, double tick[MOE_LOG_TICKS])
{
    static const int digits[] = {1, 2, 5};
    const int step = ends->high / ends->low > 300 ? 3 : 1;
    const int last = (int)ceil(log10(ends->high));
    int n = 0;
    for (int p = (int)floor(log10(ends->low)); p <= last; p++)
        for (int k = 0; k < 3; k += step) {
            const double x = digits[k] * pow(10, p);
            if (x >= ends->low && x <= ends->high && n < MOE_LOG_TICKS)
                tick[n++] = x;
        }
    return n;
}

void moe_axis_put_log(const moe_axis *axis, FILE *to)
{
    const bool any = axis->low > 0 && axis->low <= axis->high;
    const moe_axis ends =
        any ? (moe_axis){axis->low / 2, axis->high * 2} : (moe_axis){1, 10};
    double tick[MOE_LOG_TICKS];
    const int n = moe_axis_log_ticks(&ends, tick);
    moe_script_number(to, "x_low", ends.low);
    moe_script_number(to, "x_high", ends.high);
    moe_script_number(to, "n_x_ticks", n);
    moe_script_numbers(to, "x_tick", tick, n);
}

/* Digits that ticks of a decade have, from many to few. */
static const double ratio_digits[][10] = {
    {1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8},
    {1, 1.5, 2, 3, 5, 7},
    {1, 2, 5},
    {1, 3},
    {1},
};

/* @return how many ticks of a row of digits are within the ends. */
static int ratio_ticks(const moe_axis *ends, const double *digits,
                       double tick[MOE_LOG_TICKS])
{
    int n = 0;
    const int last = (int)ceil(log10(ends->high));
    for (int p = (int)floor(log10(ends->low)); p <= last; p++)
        for (int k = 0; k < 10 && digits[k] > 0; k++) {
            const double x = digits[k] * pow(10, p);
            if (x >= ends->low && x <= ends->high && n < MOE_LOG_TICKS)
                tick[n++] = x;
        }
    return n;
}

void moe_axis_put_ratios(const moe_axis *axis, int n, FILE *to)
{
    static const double AIR_RATIO = 1.03;
    const double low = axis->low > 0 ? fmin(axis->low, 1) : 1;
    const double high = axis->low > 0 ? fmax(axis->high, 1) : 1;
    const double air = fmax(AIR_RATIO, pow(high / low, AIR));
    const moe_axis ends = {low / air, high * air};
    double tick[MOE_LOG_TICKS];
    const double step = moe_axis_step(&ends, n);
    int found = 0;
    if (ends.high / ends.low < 2) { /* as straight as can be seen */
        for (double x = ceil(ends.low / step) * step;
             x <= ends.high && found < n; x += step)
            tick[found++] = x;
    } else {
        for (size_t i = 0; i < MOE_ARRAY_LEN(ratio_digits); i++)
            if ((found = ratio_ticks(&ends, ratio_digits[i], tick)) <= n)
                break;
    }
    moe_script_number(to, "x_low", ends.low);
    moe_script_number(to, "x_high", ends.high);
    moe_script_number(to, "n_x_ticks", found);
    moe_script_numbers(to, "x_tick", tick, found);
}

moe_plot_unit moe_plot_time_unit(double largest_s)
{
    return largest_s >= 1      ? (moe_plot_unit){"s", 1}
           : largest_s >= 1e-3 ? (moe_plot_unit){"ms", 1e3}
                               : (moe_plot_unit){"us", 1e6};
}
