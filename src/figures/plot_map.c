/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <math.h>
#include <stdlib.h>

#include "../report/cells.h"
#include "../report/map_words.h"
#include "../report/run_words.h"
#include "moegps/mem.h"

/* The fastest strategy of every cell, by hue; strong where it is far ahead of
 * the second. The line where the verdict flips goes between cells. */

enum {
    N_BUILT = MOE_ADVISE_ORACLE, /* strategies that can win */
    N_SHADES = 4,
    TICKS = 12, /* values of an axis that are all named */
    TOP = 96,   /* pixels of the legend */
    BOTTOM = 76,
    SQUARE = 330, /* height of a map of links */
    ROW = 34,     /* height of a cluster */
    LABEL_LEN = 18
};

static const char letters[] = "BDT";

/* From here on a margin has the next shade, and what each is called. */
static const double shade_from[N_SHADES] = {0, 0.01, 0.05, 0.2};
static const char *const shade_name[N_SHADES] = {"< 1 %", "1 - 5 %", "5 - 20 %",
                                                 "> 20 %"};

/* How much of the page shows through, of 255: pale on white, dim on black. */
static const unsigned shade_clear[N_SHADES] = {205, 160, 105, 25};

/* Source: Okabe & Ito 2008, as in plot.c. */
static const unsigned hues[N_BUILT] = {0x0072b2, 0xe69f00, 0x009e73};

static int shade_of(double margin)
{
    int shade = 0;
    while (shade + 1 < N_SHADES && margin >= shade_from[shade + 1])
        shade++;
    return shade;
}

static int colour_of(const moe_map_slice *x, int k, int j)
{
    const size_t at = moe_map_slice_at(x, k, j);
    return x->map->winner[at] * N_SHADES + shade_of(x->map->margin[at]);
}

/* Axes are in GB/s, or in rows. */
static double axis_unit(const moe_map_slice *x)
{
    return x->map->own_links ? 1 : 1e-9;
}

static bool present(const moe_plot_scene *scene)
{
    return scene->slice != NULL;
}

static int height(const moe_plot_scene *scene)
{
    const moe_map_slice *x = scene->slice;
    return TOP + BOTTOM +
           (!x->map->own_links ? SQUARE
            : x->n_row < 2     ? 2 * ROW
                               : ROW * x->n_row);
}

/* ---- data ---- */

static void put_cell(const moe_map_slice *x, int k, int j, FILE *out)
{
    const moe_map *map = x->map;
    const size_t at = moe_map_slice_at(x, k, j);
    const double *t = moe_map_slice_times(x, k, j);
    const int cluster = map->own_links ? x->row[j] : x->rest.cluster;
    fprintf(out, "%s,%d,%.9g,%.9g,%.9g,%s,%.9g",
            moe_plot_label_of(map->cluster[cluster].name).text,
            map->batch[x->rest.batch], map->accuracy[x->rest.accuracy],
            moe_map_slice_skew(x, k), moe_map_slice_bandwidth(x, j),
            moe_advise_strategy_name((moe_advise_strategy)map->winner[at]),
            map->margin[at]);
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
        moe_plot_number(t[s], out);
}

/* Neighbours of one colour are one box, at the first of them: their seams
 * would show, and maps of many cells stay small. */
static void put_box(const moe_map_slice *x, int k, int j, FILE *out)
{
    const int colour = colour_of(x, k, j);
    if (k > 0 && colour_of(x, k - 1, j) == colour) {
        fputs(",,,,,\n", out);
        return;
    }
    int end = k + 1;
    while (end < x->n_skew && colour_of(x, end, j) == colour)
        end++;
    fprintf(out, ",%d,%.9g,%.9g,%.9g,%.9g\n", colour, moe_map_slice_side(x, k),
            moe_map_slice_side(x, end), moe_map_slice_level(x, j),
            moe_map_slice_level(x, j + 1));
}

static void put_csv(const moe_plot_scene *scene, FILE *out)
{
    const moe_map_slice *x = scene->slice;
    fputs("cluster,batch,accuracy,skew,bandwidth,winner,margin", out);
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
        fprintf(out, ",%s_s", moe_advise_strategy_name((moe_advise_strategy)s));
    fputs(",colour,left,right,low,high\n", out);
    for (int j = 0; j < x->n_row; j++)
        for (int k = 0; k < x->n_skew; k++) {
            put_cell(x, k, j, out);
            put_box(x, k, j, out);
        }
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

/* ---- script ---- */

static void put_line(const moe_map_line *line, void *arg)
{
    fprintf(arg, "%.9g,%.9g\n%.9g,%.9g\n\n", line->skew[0], line->level[0],
            line->skew[1], line->level[1]);
}

static void count_line(const moe_map_line *line, void *arg)
{
    (void)line;
    ++*(size_t *)arg;
}

/* A row per strategy, a column per shade: all colours of the map. */
static void put_legend(int total, FILE *out)
{
    const double w = MOE_PLOT_WIDTH, h = total;
    fprintf(out,
            "set label 'ahead of second by' at screen %.4f,"
            "%.4f left font ',14'\n",
            12 / w, 1 - 12 / h);
    for (int s = 0; s < N_BUILT; s++) {
        const double y = 30 + 19 * s;
        fprintf(out, "set label '%c  %s' at screen %.4f,%.4f left font ',14'\n",
                letters[s], moe_advise_strategy_name((moe_advise_strategy)s),
                12 / w, 1 - (y + 8) / h);
        for (int i = 0; i < N_SHADES; i++) {
            const double left = 156 + 88 * i;
            fprintf(out,
                    "set object rectangle from screen %.4f,%.4f to screen "
                    "%.4f,%.4f fillcolor rgb '#%02x%06x' fillstyle solid 1 "
                    "noborder\n",
                    left / w, 1 - y / h, (left + 84) / w, 1 - (y + 16) / h,
                    shade_clear[i], hues[s]);
        }
    }
    for (int i = 0; i < N_SHADES; i++)
        fprintf(out, "set label '%s' at screen %.4f,%.4f center font ',14'\n",
                shade_name[i], (156 + 88 * i + 42) / w, 1 - 12 / h);
}

static void put_bandwidth_axis(const moe_map_slice *x, FILE *out)
{
    const double low = moe_map_slice_level(x, 0) * 1e-9;
    const double high = moe_map_slice_level(x, x->n_row) * 1e-9;
    fprintf(out,
            "set ylabel 'link bandwidth, GB/s per direction'\n"
            "set logscale y\nset yrange [%.9g:%.9g]\nset ytics (",
            low, high);
    const char *comma = "";
    for (int j = 0; j < x->n_row && x->n_row <= TICKS; j++, comma = ", ")
        fprintf(out, "%s%.4g", comma, moe_map_slice_bandwidth(x, j) * 1e-9);
    const double digits[] = {1, 2, 5};
    for (int e = (int)floor(log10(low)); x->n_row > TICKS && e < log10(high);
         e++)
        for (int i = 0; i < 3; i++, comma = ", ")
            fprintf(out, "%s%.4g", comma, digits[i] * pow(10, e));
    fputs(")\n", out);
}

static void put_cluster_axis(const moe_map_slice *x, FILE *out)
{
    fprintf(out, "set yrange [%d.5:-0.5]\nset ytics (", x->n_row - 1);
    for (int j = 0; j < x->n_row; j++) {
        const moe_cell name =
            moe_name_cell(x->map->cluster[x->row[j]].name, LABEL_LEN);
        fprintf(out, "%s'%s' %d", j > 0 ? ", " : "",
                moe_plot_label_of(name.text).text, j);
    }
    fputs(")\n", out);
}

static void put_axes(const moe_map_slice *x, FILE *out)
{
    fprintf(out,
            "unset grid\nset xlabel 'skewness: busiest %s over the "
            "mean'\nset xrange [%.9g:%.9g]\n",
            x->map->bottleneck ? "GPU" : "expert", moe_map_slice_side(x, 0),
            moe_map_slice_side(x, x->n_skew));
    for (int k = 0; k < x->n_skew && x->n_skew <= TICKS; k++)
        fprintf(out, "%s%.4g%s", k == 0 ? "set xtics (" : ", ",
                moe_map_slice_skew(x, k), k + 1 == x->n_skew ? ")\n" : "");
    if (x->map->own_links)
        put_cluster_axis(x, out);
    else
        put_bandwidth_axis(x, out);
}

/* Where the mark is on the y axis; NaN: not in this map. */
static double mark_level(const moe_plot_scene *scene)
{
    const moe_map_slice *x = scene->slice;
    if (!x->map->own_links)
        return scene->mark.bandwidth * 1e-9;
    for (int j = 0; j < x->n_row; j++)
        if (fabs(moe_map_slice_bandwidth(x, j) / scene->mark.bandwidth - 1) <
            1e-6)
            return j;
    return NAN;
}

static bool marked(const moe_plot_scene *scene)
{
    return isfinite(scene->mark.skew) && isfinite(mark_level(scene));
}

static void put_plots(const moe_plot_scene *scene, bool flips, FILE *out)
{
    const double unit = axis_unit(scene->slice);
    /* Boxes cover whole cells; the line has a rim of the page's colour. */
    fprintf(out,
            "plot data every ::1 using 13:($15 * %g):13:14:($15 * %g):"
            "($16 * %g):(argb[$12 + 1]) with boxxyerror linecolor rgb variable "
            "fillstyle solid 1 noborder",
            unit, unit, unit);
    if (flips)
        fprintf(out,
                ", \\\n  $flips using 1:($2 * %g) with lines linewidth 4.5 "
                "linecolor rgb 'white', \\\n  $flips using 1:($2 * %g) with "
                "lines linewidth 2 linecolor rgb 'black'",
                unit, unit);
    fputs(", \\\n  $letters using 1:2:3 with labels font ',15'", out);
    if (marked(scene))
        fputs(", \\\n  $mark using 1:2 with points pointtype 7 pointsize 1.6 "
              "linecolor rgb 'white', \\\n  $mark using 1:2 with points "
              "pointtype 7 pointsize 1 linecolor rgb 'black', \\\n  $mark "
              "using 1:2:(\"this run\") with labels offset 0,1 font ',12'",
              out);
    fputc('\n', out);
}

static void put_script(const moe_plot_scene *scene, FILE *out)
{
    const moe_map_slice *x = scene->slice;
    const int h = height(scene);
    size_t lines = 0;
    fprintf(out, "array argb[%d] = [", N_BUILT * N_SHADES);
    for (int i = 0; i < N_BUILT * N_SHADES; i++)
        fprintf(out, "%s0x%02x%06x", i > 0 ? ", " : "",
                shade_clear[i % N_SHADES], hues[i / N_SHADES]);
    fputs("]\n", out);
    put_legend(h, out);
    fprintf(out, "set tmargin at screen %.4f\nset bmargin at screen %.4f\n",
            1 - (double)TOP / h, (double)BOTTOM / h);
    put_axes(x, out);
    put_letters(x, out);
    moe_map_lines(x, count_line, &lines);
    fputs("$flips << EOD\n", out);
    moe_map_lines(x, put_line, out);
    fputs("EOD\n", out);
    if (marked(scene))
        fprintf(out, "$mark << EOD\n%.9g,%.9g\nEOD\n", scene->mark.skew,
                mark_level(scene));
    put_plots(scene, lines > 0, out);
}

static void say(const moe_plot_scene *scene, FILE *out)
{
    const moe_map_slice *x = scene->slice;
    moe_map_slice all;
    char text[1024] = "";
    fputs("The fastest strategy at every skewness and link, strong where it is "
          "far ahead of the second; the line is where the verdict flips, "
          "interpolated between cells. All of it is modelled, errors having "
          "their typical effect. ",
          out);
    if (x->n_skew < x->all_skew || x->n_row < x->all_row)
        fprintf(out, "Shown are %d of %d columns and %d of %d rows. ",
                x->n_skew, x->all_skew, x->n_row, x->all_row);
    const moe_map *map = x->map;
    const size_t i = ((size_t)x->rest.cluster * (size_t)map->n_batch +
                      (size_t)x->rest.batch) *
                         (size_t)map->n_accuracy +
                     (size_t)x->rest.accuracy;
    if (moe_map_slice_init(&all, map, x->rest.error, i, 0, NULL) != MOE_OK)
        return;
    moe_map_slice_say(&all, text, sizeof text);
    fputs(text, out);
    moe_map_slice_fini(&all);
}

/* ---- around a run ---- */

static void say_guide(const moe_plot_scene *scene, FILE *out)
{
    char text[1024] = "";
    moe_regime_map_say(scene->run, out);
    moe_map_slice_say(scene->slice, text, sizeof text);
    fputs(text, out);
}

const moe_plot moe_plot_guide = {
    .name = "guide",
    .title = "Where this run stands",
    .detail = true,
    .present = present,
    .csv = put_csv,
    .script = put_script,
    .say = say_guide,
    .height = height,
};

const moe_plot moe_plot_map = {
    .name = "map",
    .title = "Who wins where",
    .present = present,
    .csv = put_csv,
    .script = put_script,
    .say = say,
    .height = height,
};
