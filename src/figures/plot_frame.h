/* plot_frame.h: what stands around the data of a figure: a legend above it,
 * axes with few and round ticks, names beside rows.
 *
 * gnuplot would give a legend room by guess, and ticks without regard to how
 * long their labels are; here both are laid out in pixels of the SVG, of which
 * the PDF is a copy.
 */
#ifndef MOEGPS_FIGURES_PLOT_FRAME_H
#define MOEGPS_FIGURES_PLOT_FRAME_H

#include "plot.h"

enum { MOE_PLOT_ENTRIES = 16, MOE_PLOT_GREY = 0 /* instead of a colour */ };

typedef enum moe_plot_look {
    MOE_LOOK_BOX,
    MOE_LOOK_LINE,
    MOE_LOOK_POINT
} moe_plot_look;

typedef struct moe_plot_entry {
    moe_plot_label text;
    moe_plot_look look;
    int colour; /* of the script's array `colour`, or MOE_PLOT_GREY */
    int kind;   /* a line's dashtype, a point's pointtype */
} moe_plot_entry;

/* What stands above a figure: the legend, and the name of the y axis, which
 * would be longer than a low figure is high. */
struct moe_plot_head {
    moe_plot_entry entry[MOE_PLOT_ENTRIES];
    int n;
    const char *y_name; /* NULL: none */
};

/* Add to a legend, with text as moe_plot_label_of() leaves it; what it has no
 * room for is left out. */
void moe_plot_head_add(moe_plot_head *head, const char *text,
                       moe_plot_look look, int colour, int kind);

/* A line per strategy that has a curve. */
void moe_plot_head_series(moe_plot_head *head, const moe_plot_scene *scene);

/* @return pixels that it takes. */
int moe_plot_head_height(const moe_plot_head *head);

/* Settings that draw it. @param height  of the figure, pixels. */
void moe_plot_head_put(const moe_plot_head *head, int height, FILE *out);

/* "linewidth .. dashtype .. linecolor ..": of a strategy's curve; alike in
 * the legend. Colours repeat as dashes. */
void moe_plot_series(int series, FILE *out);
int moe_plot_series_colour(int series);
int moe_plot_series_dash(int series);

/* A pointtype for each of a few series. */
int moe_plot_mark(int series);

/* @return how many tick labels fit below rows. */
int moe_plot_rows_ticks(const moe_plot_scene *scene);

/* ---- axes ---- */

/* What an axis must show. */
typedef struct moe_axis {
    double low, high;
} moe_axis;

extern const moe_axis moe_axis_empty;

/* Make it show a number, too; NaN changes nothing. */
void moe_axis_take(moe_axis *axis, double x);

/* Where the axis ends: with some air, but not beyond 0; with room for one
 * value, or none. */
moe_axis moe_axis_ends(const moe_axis *axis);

/* @return distance of ticks: 1, 2 or 5 times a power of ten, for at most
 * `n` + 1 ticks. */
double moe_axis_step(const moe_axis *ends, int n);

/* Settings of an axis, "x", "y" or "cb". */
void moe_axis_put(const moe_axis *axis, const char *name, int ticks, FILE *out);

/* Of a logarithmic axis; takes numbers above 0. */
void moe_axis_put_log(const moe_axis *axis, const char *name, FILE *out);

/* A unit for times, the largest of which is given. */
typedef struct moe_plot_unit {
    const char *name;
    double per_s;
} moe_plot_unit;

moe_plot_unit moe_plot_time_unit(double largest_s);

#endif
