/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "legend.h"
#include "moegps/mem.h"
#include "plot.h"
#include "script.h"

/* The fastest strategy of every cell, by hue; strong where it is far ahead of
 * the second. The line where the verdict flips goes between cells. */

enum {
    N_BUILT = MOE_ADVISE_ORACLE, /* strategies that can win */
    N_MARGINS = 4,
    X_TICKS = 8, /* values of an axis that are all named */
    Y_TICKS = 12,
    PARTS = 5, /* of a cell, either way; odd: one has the cell's own times */
    FEW_CELLS = 900,
    TOP = 86, /* pixels above the map: of its own legend */
    BOTTOM = 46,
    SQUARE = 280, /* height of a map of links */
    ROW = 34,     /* height of a cluster */
    LABEL_LEN = 18
};

static const char letters[] = "BDT";

/* From here on a margin has the next shade, and what each is called. */
static const double margin_from[N_MARGINS] = {0, 0.01, 0.05, 0.2};
static const char *const margin_name[N_MARGINS] = {"< 1 %", "1 - 5 %",
                                                   "5 - 20 %", "> 20 %"};

/* @return number of the colour at a place: by winner, then by how far it is
 * ahead of the second. */
static int colour_at(const moe_map_slice *x, double k, double j)
{
    double t[MOE_ADVISE_STRATEGIES], second = INFINITY;
    int winner = 0, margin = 0;
    moe_map_slice_times_at(x, k, j, t);
    for (int s = 1; s < N_BUILT; s++)
        winner = t[s] < t[winner] ? s : winner;
    for (int s = 0; s < N_BUILT; s++)
        if (s != winner)
            second = fmin(second, t[s]);
    while (margin + 1 < N_MARGINS &&
           second / t[winner] - 1 >= margin_from[margin + 1])
        margin++;
    return winner * N_MARGINS + margin;
}

static bool present(const moe_plot_subject *x)
{
    return x->slice != NULL;
}

/* ---- data ---- */

static void put_cell(const moe_map_slice *x, int k, int j, moe_plot_data *out)
{
    const moe_map *map = x->map;
    const size_t at = moe_map_slice_at(x, k, j);
    const int cluster = map->own_links ? x->row[j] : x->rest.cluster;
    moe_data_text(out, map->cluster[cluster].name);
    moe_data_number(out, map->batch[x->rest.batch]);
    moe_data_number(out, map->accuracy[x->rest.accuracy]);
    moe_data_number(out, moe_map_slice_skew(x, k));
    moe_data_number(out, moe_map_slice_bandwidth(x, j));
    moe_data_text(
        out, moe_advise_strategy_name((moe_advise_strategy)map->winner[at]));
    moe_data_number(out, map->margin[at]);
    moe_data_numbers(out, moe_map_slice_times(x, k, j), MOE_ADVISE_STRATEGIES);
}

static void put_data(const moe_plot_subject *subject, moe_plot_data *out)
{
    const moe_map_slice *x = subject->slice;
    moe_data_columns(out,
                     "cluster,batch,accuracy,skew,bandwidth,winner,margin");
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
        char column[64];
        snprintf(column, sizeof column, "%s_s",
                 moe_advise_strategy_name((moe_advise_strategy)s));
        moe_data_column(out, column);
    }
    for (int j = 0; j < x->n_row; j++)
        for (int k = 0; k < x->n_skew; k++)
            put_cell(x, k, j, out);
}

/* ---- letters on regions ---- */

static bool wins(const moe_map_slice *x, int cell, int strategy)
{
    const size_t at = moe_map_slice_at(x, cell % x->n_skew, cell / x->n_skew);
    return x->map->winner[at] == strategy;
}

/* Cells from each one, sideways or up, to the next of another winner or to the
 * border. @param far  [n_row][n_skew] */
static void measure(const moe_map_slice *x, int *far)
{
    const int n = x->n_skew, rows = x->n_row;
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < n * rows; i++) {
            const int step = pass == 0 ? -1 : 1;
            const int at = pass == 0 ? i : n * rows - 1 - i;
            const int k = at % n, j = at / n;
            const int ways[][2] = {{k + step, j}, {k, j + step}};
            int least = pass == 0 ? n + rows : far[at];
            for (int w = 0; w < 2; w++) {
                const int a = ways[w][0], b = ways[w][1];
                const bool in = a >= 0 && a < n && b >= 0 && b < rows;
                const bool same =
                    in && wins(x, b * n + a,
                               x->map->winner[moe_map_slice_at(x, k, j)]);
                const int next = same ? far[b * n + a] + 1 : 1;
                least = next < least ? next : least;
            }
            far[at] = least;
        }
}

/* The letter of a strategy, where it has most room; of equal cells, that in the
 * middle. */
static void put_letter(const moe_map_slice *x, const int *far, int s, FILE *out)
{
    const int n = x->n_skew, all = n * x->n_row;
    int most = 0, ties = 0, best = -1;
    double k = 0, j = 0, least = INFINITY;
    for (int i = 0; i < all; i++)
        if (wins(x, i, s) && far[i] >= most) {
            ties = far[i] > most ? 1 : ties + 1;
            k = (far[i] > most ? 0 : k) + i % n;
            j = (far[i] > most ? 0 : j) + i / n;
            most = far[i];
        }
    for (int i = 0; i < all; i++) {
        const double away = hypot(i % n - k / ties, i / n - j / ties);
        if (wins(x, i, s) && far[i] == most && away < least) {
            least = away;
            best = i;
        }
    }
    if (best >= 0)
        fprintf(out, "%.9g,%.9g,%c\n", moe_map_slice_skew(x, best % n),
                x->map->own_links ? best / n
                                  : moe_map_slice_bandwidth(x, best / n) * 1e-9,
                letters[s]);
}

static void put_letters(const moe_map_slice *x, FILE *out)
{
    const size_t n = (size_t)x->n_skew * (size_t)x->n_row;
    int *far = moe_array_new(n, sizeof *far, NULL);
    fputs("$letters << EOD\n", out);
    if (far != NULL)
        measure(x, far);
    for (int s = 0; s < N_BUILT && far != NULL; s++)
        put_letter(x, far, s, out);
    fputs("EOD\n", out);
    free(far);
}

/* ---- colours ---- */

/* A box for neighbours of one colour in a row: their seams would show. */
/* In cells, from the first one's middle. */
typedef struct {
    double left, right, low, high;
} box;

static void put_box(const moe_map_slice *x, const box *b, int colour, FILE *out)
{
    fprintf(
        out, "%d,%.9g,%.9g,%.9g,%.9g\n", colour,
        moe_map_slice_skew_at(x, b->left), moe_map_slice_skew_at(x, b->right),
        moe_map_slice_level_at(x, b->low), moe_map_slice_level_at(x, b->high));
}

/* Between cells colours turn where the line is: of few cells each is drawn in
 * parts. Clusters have nothing between them. */
static void put_boxes(const moe_map_slice *x, FILE *out)
{
    const int parts = x->n_skew * x->n_row <= FEW_CELLS ? PARTS : 1;
    const int rows = x->map->own_links ? 1 : parts;
    fputs("$boxes << EOD\n", out);
    for (int j = 0; j < x->n_row * rows; j++) {
        box b = {-0.5, 0, (double)j / rows - 0.5, (double)(j + 1) / rows - 0.5};
        int last = -1;
        for (int k = 0; k < x->n_skew * parts; k++) {
            b.right = (double)k / parts - 0.5;
            const int colour =
                colour_at(x, b.right + 0.5 / parts, b.low + 0.5 / rows);
            if (last >= 0 && colour != last) {
                put_box(x, &b, last, out);
                b.left = b.right;
            }
            last = colour;
        }
        b.right = x->n_skew - 0.5;
        put_box(x, &b, last, out);
    }
    fputs("EOD\n", out);
}

/* ---- script ---- */

static void put_line(const moe_map_line *line, void *arg)
{
    fprintf(arg, "%.9g,%.9g\n%.9g,%.9g\n\n", line->skew[0], line->level[0],
            line->skew[1], line->level[1]);
}

static void count_line(const moe_map_line *line, void *arg)
{
    (void)line;
    ++*(double *)arg;
}

static void put_flips(const moe_map_slice *x, FILE *out)
{
    double n = 0;
    fputs("$flips << EOD\n", out);
    moe_map_lines(x, put_line, out);
    fputs("EOD\n", out);
    moe_map_lines(x, count_line, &n);
    moe_script_number(out, "n_flips", n);
}

/* Where the run is on the y axis; NaN: not in this map. */
static double run_level(const moe_plot_subject *subject)
{
    const moe_map_slice *x = subject->slice;
    if (!x->map->own_links)
        return subject->bandwidth * 1e-9;
    for (int j = 0; j < x->n_row; j++)
        if (fabs(moe_map_slice_bandwidth(x, j) / subject->bandwidth - 1) < 1e-6)
            return j;
    return NAN;
}

static void put_run(const moe_plot_subject *subject, FILE *out)
{
    const double level = run_level(subject);
    const bool any = isfinite(subject->skew) && isfinite(level);
    fputs("$run << EOD\n", out);
    if (any)
        fprintf(out, "%.9g,%.9g\n", subject->skew, level);
    fputs("EOD\n", out);
    moe_script_number(out, "n_run", any);
}

/* Write what strategies and margins are called. */
static void put_names(FILE *out)
{
    const char *name[N_BUILT];
    moe_script_number(out, "n_strategies", N_BUILT);
    moe_script_text(out, "letters", "%s", letters);
    for (int s = 0; s < N_BUILT; s++)
        name[s] = moe_advise_strategy_name((moe_advise_strategy)s);
    moe_script_texts(out, "strategy", name, N_BUILT);
    moe_script_number(out, "n_margins", N_MARGINS);
    moe_script_texts(out, "margin", margin_name, N_MARGINS);
}

/* @return a number with the digits that it is shown with. */
static double rounded(double x)
{
    char text[32];
    snprintf(text, sizeof text, "%.4g", x);
    return strtod(text, NULL);
}

static void put_x_axis(const moe_map_slice *x, FILE *out)
{
    double tick[X_TICKS];
    const int n = x->n_skew <= X_TICKS ? x->n_skew : 0;
    for (int k = 0; k < n; k++)
        tick[k] = rounded(moe_map_slice_skew(x, k));
    moe_script_text(out, "x_title", "skewness: busiest %s over the mean",
                    x->map->bottleneck ? "GPU" : "expert");
    moe_script_number(out, "x_low", moe_map_slice_side(x, 0));
    moe_script_number(out, "x_high", moe_map_slice_side(x, x->n_skew));
    moe_script_number(out, "n_x_ticks", n);
    moe_script_numbers(out, "x_tick", tick, n);
}

static void put_bandwidths(const moe_map_slice *x, FILE *out)
{
    const double unit = 1e-9; /* GB/s */
    const moe_axis ends = {moe_map_slice_level(x, 0) * unit,
                           moe_map_slice_level(x, x->n_row) * unit};
    double tick[MOE_LOG_TICKS];
    int n = x->n_row;
    for (int j = 0; j < n && n <= Y_TICKS; j++)
        tick[j] = rounded(moe_map_slice_bandwidth(x, j) * unit);
    if (n > Y_TICKS)
        n = moe_axis_log_ticks(&ends, tick);
    moe_script_number(out, "unit", unit);
    moe_script_number(out, "y_low", ends.low);
    moe_script_number(out, "y_high", ends.high);
    moe_script_number(out, "n_y_ticks", n);
    moe_script_numbers(out, "y_tick", tick, n);
}

static void put_clusters(const moe_map_slice *x, FILE *out)
{
    const size_t n = (size_t)x->n_row;
    const char **name = moe_array_new(n, sizeof *name, NULL);
    for (int j = 0; name != NULL && j < x->n_row; j++)
        name[j] = x->map->cluster[x->row[j]].name;
    moe_script_number(out, "unit", 1);
    moe_script_number(out, "y_low", x->n_row - 0.5);
    moe_script_number(out, "y_high", -0.5);
    moe_script_number(out, "n_y_ticks", name != NULL ? x->n_row : 0);
    if (name != NULL)
        moe_script_ticks(out, "y_label", name, x->n_row, LABEL_LEN);
    free(name);
}

static void put_script(const moe_plot_subject *subject,
                       const moe_plot_data *data, FILE *out)
{
    const moe_map_slice *x = subject->slice;
    const int map_height = !x->map->own_links ? SQUARE
                           : x->n_row < 2     ? 2 * ROW
                                              : ROW * x->n_row;
    const moe_legend none = {0};
    (void)data;
    moe_legend_put(&none, "", TOP + map_height + BOTTOM, out);
    put_names(out);
    moe_script_number(out, "own_links", x->map->own_links);
    put_x_axis(x, out);
    if (x->map->own_links)
        put_clusters(x, out);
    else
        put_bandwidths(x, out);
    put_boxes(x, out);
    put_letters(x, out);
    put_flips(x, out);
    put_run(subject, out);
}

/* Who would win around a run. */
const moe_plot_type moe_plot_regime = {
    .name = "guide",
    .title = "Where this run stands",
    .of = MOE_PLOT_OF_RUN,
    .detail = true,
    .template = {"map"},
    .present = present,
    .data = put_data,
    .script = put_script,
};

const moe_plot_type moe_plot_map = {
    .name = "map",
    .title = "Who wins where",
    .of = MOE_PLOT_OF_MAP,
    .template = {"map"},
    .present = present,
    .data = put_data,
    .script = put_script,
};
