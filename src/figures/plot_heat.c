/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <math.h>

#include "../report/cells.h"
#include "moegps/mem.h"
#include "plot_frame.h"

/* Heat maps of stragglers and traffic: from a run's details. */

enum {
    CELLS = 48, /* either way: more would merge anyway */
    LABELS = 16 /* along an axis: more would touch */
};

static const moe_ledger_dims *dims(const moe_plot_scene *scene)
{
    return &scene->run->view->dims;
}

static const char *name_of(const moe_plot_scene *scene, int s)
{
    return scene->run->view->strategy[s].name;
}

/* A map of n_x by n_y numbers in at most CELLS by CELLS, each the mean of what
 * it covers. */
typedef struct heat {
    int n_x, n_y, per_x, per_y;
} heat;

static heat heat_of(int n_x, int n_y)
{
    return (heat){n_x, n_y, (n_x + CELLS - 1) / CELLS,
                  (n_y + CELLS - 1) / CELLS};
}

typedef double heat_number(const moe_plot_scene *scene, int x, int y);

/* @return mean of a cell from its first row and column; NaN: of nothing. */
static double cell_of(const heat *h, const moe_plot_scene *scene,
                      heat_number *at, int x, int y)
{
    double sum = 0;
    int n = 0;
    for (int j = y; j < y + h->per_y && j < h->n_y; j++)
        for (int i = x; i < x + h->per_x && i < h->n_x; i++)
            if (!isnan(at(scene, i, j))) {
                sum += at(scene, i, j);
                n++;
            }
    return n > 0 ? sum / n : (double)NAN;
}

static void put_heat(const heat *h, const moe_plot_scene *scene,
                     heat_number *at, FILE *out)
{
    for (int y = 0; y < h->n_y; y += h->per_y)
        for (int x = 0; x < h->n_x; x += h->per_x) {
            fprintf(out, "%d,%d", x, y);
            moe_plot_number(cell_of(h, scene, at, x, y), out);
            fputc('\n', out);
        }
}

/* Least and largest cell. @param diagonal  whether it counts. */
static moe_axis heat_range(const heat *h, const moe_plot_scene *scene,
                           heat_number *at, bool diagonal)
{
    moe_axis axis = moe_axis_empty;
    for (int y = 0; y < h->n_y; y += h->per_y)
        for (int x = 0; x < h->n_x; x += h->per_x)
            if (x != y || diagonal)
                moe_axis_take(&axis, cell_of(h, scene, at, x, y));
    return axis;
}

static int tick(int n)
{
    const moe_axis axis = {0, n};
    return n <= LABELS ? 1 : (int)moe_axis_step(&axis, 8);
}

/* Cells as rectangles: sharp at any size.
 * @param third  the number of a cell, of the CSV file's columns. */
static void heat_script(const heat *h, const char *third, FILE *out)
{
    fprintf(out,
            "unset grid\nset border 0\nset rmargin at screen 0.75\n"
            "set xtics %d\nset ytics %d\n"
            "set xrange [-0.5:%d.5]\nset yrange [%d.5:-0.5]\n"
            "from(x) = x - 0.5\nto(x, n, end) = x + n > end ? end - 0.5 : x + "
            "n - 0.5\n"
            "plot data every ::1 using 1:2:(from($1)):(to($1, %d, %d)):"
            "(from($2)):(to($2, %d, %d)):%s with boxxyerror fillcolor palette",
            tick(h->n_x), tick(h->n_y), h->n_x - 1, h->n_y - 1, h->per_x,
            h->n_x, h->per_y, h->n_y, third);
}

static int square_height(const moe_plot_scene *scene)
{
    (void)scene;
    return 420;
}

static void no_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    (void)scene, (void)head;
}

/* ---- stragglers ---- */

/* Time of a GPU over the mean of all in the iteration. */
static double straggle(const moe_plot_scene *scene, int i, int g)
{
    const moe_ledger_dims *d = dims(scene);
    const double *busy = scene->run->detail.busy;
    double sum = 0;
    for (int k = 0; k < d->gpus; k++)
        sum += busy[(size_t)k * (size_t)d->iterations + (size_t)i];
    return busy[(size_t)g * (size_t)d->iterations + (size_t)i] * d->gpus / sum;
}

static bool stragglers_present(const moe_plot_scene *scene)
{
    return dims(scene)->gpus > 1 && scene->run->verdict.best >= 0;
}

static heat straggler_heat(const moe_plot_scene *scene)
{
    return heat_of(dims(scene)->iterations, dims(scene)->gpus);
}

static void stragglers_csv(const moe_plot_scene *scene, FILE *out)
{
    const heat h = straggler_heat(scene);
    fputs("iteration,rank,time_over_mean\n", out);
    put_heat(&h, scene, straggle, out);
}

/* Blue is less than the mean, red is more, as far either way. */
static void stragglers_script(const moe_plot_scene *scene, FILE *out)
{
    const heat h = straggler_heat(scene);
    const moe_axis range = heat_range(&h, scene, straggle, true);
    double most = fmax(1 - range.low, range.high - 1);
    most = most > 1e-3 && isfinite(most) ? most : 1e-3;
    const moe_axis around = {1 - most, 1 + most};
    fprintf(out,
            "set xlabel 'iteration'\nset ylabel 'rank'\n"
            "set cblabel 'time over the mean of all ranks'\n"
            "set palette defined (0 '#2166ac', 1 '#92c5de', 2 '#f7f7f7', "
            "3 '#f4a582', 4 '#b2182b')\n"
            "set cbrange [%.9g:%.9g]\nset cbtics %.9g\n",
            around.low, around.high, moe_axis_step(&around, 6));
    heat_script(&h, "3", out);
    fputc('\n', out);
}

static void stragglers_say(const moe_plot_scene *scene, FILE *out)
{
    const moe_ledger_dims *d = dims(scene);
    const moe_clock clock = scene->run->verdict.clock;
    double most = NAN;
    int rank = 0, iteration = 0;
    for (int i = 0; i < d->iterations; i++)
        for (int g = 0; g < d->gpus; g++)
            if (!(straggle(scene, i, g) <= most) &&
                !isnan(straggle(scene, i, g))) {
                most = straggle(scene, i, g);
                rank = g;
                iteration = i;
            }
    fprintf(out,
            "Time of every rank in every iteration of %s over the mean of all "
            "ranks, waiting left out, %s clock (%s). The largest is %s: rank "
            "%d in iteration %d.",
            name_of(scene, scene->run->detail.strategy), moe_clock_name(clock),
            moe_clock_origin(clock), moe_number_cell(most).text, rank,
            iteration);
}

const moe_plot moe_plot_stragglers = {
    .name = "stragglers",
    .title = "Stragglers: ranks and iterations",
    .detail = true,
    .present = stragglers_present,
    .csv = stragglers_csv,
    .head = no_head,
    .script = stragglers_script,
    .say = stragglers_say,
    .height = square_height,
};

/* ---- traffic ---- */

static double sent(const moe_plot_scene *scene, int to, int from)
{
    const size_t g = (size_t)dims(scene)->gpus;
    return scene->run->detail.traffic[(size_t)from * g + (size_t)to];
}

static bool traffic_present(const moe_plot_scene *scene)
{
    const int g = dims(scene)->gpus;
    for (int j = 0; g > 1 && j < g * g; j++)
        if (scene->run->detail.traffic[j] > 0)
            return true;
    return false;
}

static void traffic_csv(const moe_plot_scene *scene, FILE *out)
{
    const heat h = heat_of(dims(scene)->gpus, dims(scene)->gpus);
    fputs("destination,source,bytes_per_layer\n", out);
    put_heat(&h, scene, sent, out);
}

static void traffic_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    (void)scene;
    moe_plot_head_add(head, "stays on its GPU", MOE_LOOK_BOX, MOE_PLOT_GREY, 0);
}

/* Bytes in a unit as moe_format_bytes() would choose it. */
static moe_plot_unit byte_unit(double largest)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    moe_plot_unit unit = {names[0], 1};
    for (size_t i = 1; i < MOE_ARRAY_LEN(names); i++)
        if (largest >= 1024 / unit.per_s)
            unit = (moe_plot_unit){names[i], unit.per_s / 1024};
    return unit;
}

/* What never leaves its GPU is grey: it would hide how the rest differs. */
static void traffic_script(const moe_plot_scene *scene, FILE *out)
{
    const heat h = heat_of(dims(scene)->gpus, dims(scene)->gpus);
    moe_axis range = heat_range(&h, scene, sent, false);
    const moe_plot_unit unit = byte_unit(range.high);
    range.low *= unit.per_s;
    range.high *= unit.per_s;
    fprintf(out,
            "set xlabel 'destination'\nset ylabel 'source'\n"
            "set cblabel 'dispatched per layer, %s'\nunit = %.9g\n"
            "set palette defined (0 '#fff7bc', 0.35 '#fec44f', 0.7 '#d95f0e', "
            "1 '#662506')\n",
            unit.name, unit.per_s);
    moe_axis_put(&range, "cb", 6, out);
    heat_script(&h, "($1 == $2 ? NaN : $3 * unit)", out);
    fprintf(out,
            ", \\\n  data every ::1 using ($1 == $2 ? $1 : NaN):2:(from($1)):"
            "(to($1, %d, %d)):(from($2)):(to($2, %d, %d)) with boxxyerror "
            "fillcolor rgb '#bbbbbb'\n",
            h.per_x, h.n_x, h.per_y, h.n_y);
}

static void traffic_say(const moe_plot_scene *scene, FILE *out)
{
    const int g = dims(scene)->gpus;
    double least = INFINITY, most = 0;
    for (int from = 0; from < g; from++)
        for (int to = 0; to < g; to++)
            if (from != to) {
                least = fmin(least, sent(scene, to, from));
                most = fmax(most, sent(scene, to, from));
            }
    fprintf(
        out,
        "Bytes that each GPU dispatches to each other with %s, per layer "
        "and iteration at full size: %s between two GPUs.",
        name_of(scene, scene->run->detail.strategy),
        moe_interval_cell(moe_bytes_cell(least), moe_bytes_cell(most)).text);
}

const moe_plot moe_plot_traffic = {
    .name = "traffic",
    .title = "Traffic between GPUs",
    .detail = true,
    .present = traffic_present,
    .csv = traffic_csv,
    .head = traffic_head,
    .script = traffic_script,
    .say = traffic_say,
    .height = square_height,
};
