/* axis.h: where an axis ends, and few and round ticks along it.
 *
 * gnuplot would choose ticks without regard to how long their labels are.
 */
#ifndef MOEGPS_FIGURES_AXIS_H
#define MOEGPS_FIGURES_AXIS_H

#include <stdio.h>

/* What an axis must show. */
typedef struct moe_axis {
    double low, high;
} moe_axis;

extern const moe_axis moe_axis_empty;

/* Make it show a number, too; NaN changes nothing. */
void moe_axis_take(moe_axis *axis, double x);

/* Make it show all that another one shows. */
void moe_axis_join(moe_axis *axis, moe_axis other);

/* @return the axis in a unit of which there are `factor` in the old one. */
moe_axis moe_axis_scaled(moe_axis axis, double factor);

/* Where the axis ends: with some air, but not beyond 0; with room for one
 * value, or none. */
moe_axis moe_axis_ends(const moe_axis *axis);

/* @return distance of ticks: 1, 2 or 5 times a power of ten, for at most
 * `n` + 1 ticks. */
double moe_axis_step(const moe_axis *ends, int n);

/* Write NAME_low, NAME_high and NAME_step, for `ticks` as above. */
void moe_axis_put(const moe_axis *axis, const char *name, int ticks, FILE *to);

enum { MOE_LOG_TICKS = 32 };

/* Find ticks of a logarithmic axis: at 1, 2, 5 of every decade of a short one,
 * at 1 of a long one. @return how many. */
int moe_axis_log_ticks(const moe_axis *ends, double tick[MOE_LOG_TICKS]);

/* Write x_low, x_high and x_tick[n_x_ticks] of a logarithmic x axis of ratios
 * around 1: ticks that people would choose, at most `n`. */
void moe_axis_put_ratios(const moe_axis *axis, int n, FILE *to);

/* Write x_low, x_high and x_tick[n_x_ticks] of a logarithmic x axis, which shows
 * what is above 0. */
void moe_axis_put_log(const moe_axis *axis, FILE *to);

/* A unit for times, the largest of which is given. */
typedef struct moe_plot_unit {
    const char *name;
    double factor; /* of them in a second, or byte */
} moe_plot_unit;

moe_plot_unit moe_plot_time_unit(double largest_s);

#endif
