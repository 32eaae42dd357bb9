/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "legend.h"
#include "moegps/cells.h"
#include "moegps/mem.h"
#include "plot.h"
#include "script.h"

/* Heat maps of stragglers and traffic: from a run's details. */

enum {
    POINTED = 600, /* cells: a page is small enough to mail */
    CELLS = 48,    /* either way: more would merge anyway */
    LABELS = 16,   /* along an axis: more would touch */
    NUMBERED = 8,  /* GPUs whose traffic is written, too */
    HEIGHT = 340   /* pixels */
};

/* A map of n_x by n_y numbers in at most CELLS by CELLS, each the mean of what
 * it covers. */
typedef struct heat {
    int n_x, n_y, per_x, per_y;
    double (*number)(const moe_plot_subject *x, int column, int row);
} heat;

static heat heat_of(int n_x, int n_y,
                    double (*number)(const moe_plot_subject *x, int column,
                                     int row))
{
    return (heat){n_x, n_y, (n_x + CELLS - 1) / CELLS,
                  (n_y + CELLS - 1) / CELLS, number};
}

/* @return mean of a cell from its first column and row; NaN: of nothing. */
static double cell_of(const heat *h, const moe_plot_subject *x, int column,
                      int row)
{
    double sum = 0;
    int n = 0;
    for (int j = row; j < row + h->per_y && j < h->n_y; j++)
        for (int i = column; i < column + h->per_x && i < h->n_x; i++)
            if (!isnan(h->number(x, i, j))) {
                sum += h->number(x, i, j);
                n++;
            }
    return n > 0 ? sum / n : (double)NAN;
}

/* What a reader who points at a cell is told: "rank 3, iteration 7: 1.02". */
typedef struct cell_words {
    const char *row, *column;
    moe_cell (*cell)(double x);
} cell_words;

/* @return whether there are few enough cells for that. */
static bool points(const heat *h)
{
    return (h->n_x / h->per_x) * (h->n_y / h->per_y) <= POINTED;
}

static void put_cells(const heat *h, const moe_plot_subject *x,
                      const char *columns, const cell_words *words,
                      moe_plot_data *out)
{
    const bool pointed = points(h);
    moe_data_columns(out, columns);
    for (int row = 0; row < h->n_y; row += h->per_y)
        for (int column = 0; column < h->n_x; column += h->per_x) {
            const double value = cell_of(h, x, column, row);
            moe_data_number(out, column);
            moe_data_number(out, row);
            moe_data_number(out, value);
            if (pointed)
                moe_data_tip(out, "%s %d, %s %d: %s", words->row, row,
                             words->column, column, words->cell(value).text);
        }
}

static double tick(int n)
{
    const moe_axis axis = {0, n};
    return n <= LABELS ? 1 : floor(moe_axis_step(&axis, 8));
}

static void put_axes(const heat *h, FILE *out)
{
    moe_script_number(out, "n_x", h->n_x);
    moe_script_number(out, "n_y", h->n_y);
    moe_script_number(out, "per_x", h->per_x);
    moe_script_number(out, "per_y", h->per_y);
    moe_script_number(out, "pointed", points(h));
    moe_script_number(out, "x_step", tick(h->n_x));
    moe_script_number(out, "y_step", tick(h->n_y));
}

/* ---- stragglers ---- */

static bool stragglers_present(const moe_plot_subject *x)
{
    return x->run->view->dims.gpus > 1 && x->run->verdict.best >= 0;
}

static double straggle(const moe_plot_subject *x, int iteration, int rank)
{
    return moe_detail_straggle(&x->run->detail, &x->run->view->dims, iteration,
                               rank);
}

static heat straggler_heat(const moe_plot_subject *x)
{
    const moe_ledger_dims *d = &x->run->view->dims;
    return heat_of(d->iterations, d->gpus, straggle);
}

static void stragglers_data(const moe_plot_subject *x, moe_plot_data *out)
{
    static const cell_words words = {"rank", "iteration", moe_number_cell};
    const heat h = straggler_heat(x);
    put_cells(&h, x, "iteration,rank,time_over_mean", &words, out);
}

static void stragglers_script(const moe_plot_subject *x,
                              const moe_plot_data *data, FILE *out)
{
    const heat h = straggler_heat(x);
    const moe_legend none = {0};
    const moe_axis span = moe_data_span(data, 3, 3);
    double most = fmax(1 - span.low, span.high - 1);
    most = most > 1e-3 && isfinite(most) ? most : 1e-3;
    const moe_axis around = {1 - most, 1 + most};
    moe_legend_put(&none, "time over the mean of all ranks", HEIGHT, out);
    put_axes(&h, out);
    moe_script_number(out, "cb_low", around.low);
    moe_script_number(out, "cb_high", around.high);
    moe_script_number(out, "cb_step", moe_axis_step(&around, 5));
}

const moe_plot_type moe_plot_stragglers = {
    .name = "stragglers",
    .title = "Stragglers: ranks and iterations",
    .of = MOE_PLOT_OF_RUN,
    .detail = true,
    .template = {"heat", "stragglers"},
    .present = stragglers_present,
    .data = stragglers_data,
    .script = stragglers_script,
};

/* ---- traffic ---- */

static double sent(const moe_plot_subject *x, int to, int from)
{
    const size_t g = (size_t)x->run->view->dims.gpus;
    return x->run->detail.traffic[(size_t)from * g + (size_t)to];
}

static bool traffic_present(const moe_plot_subject *x)
{
    const int g = x->run->view->dims.gpus;
    for (int j = 0; g > 1 && j < g * g; j++)
        if (x->run->detail.traffic[j] > 0)
            return true;
    return false;
}

static heat traffic_heat(const moe_plot_subject *x)
{
    const int g = x->run->view->dims.gpus;
    return heat_of(g, g, sent);
}

static void traffic_data(const moe_plot_subject *x, moe_plot_data *out)
{
    static const cell_words words = {"from GPU", "to GPU", moe_bytes_cell};
    const heat h = traffic_heat(x);
    put_cells(&h, x, "destination,source,bytes_per_layer", &words, out);
}

/* Bytes in a unit as moe_bytes_cell() would choose it. */
static moe_plot_unit byte_unit(double largest)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    moe_plot_unit unit = {names[0], 1};
    for (size_t i = 1; i < MOE_ARRAY_LEN(names); i++)
        if (largest >= 1024 / unit.factor)
            unit = (moe_plot_unit){names[i], unit.factor / 1024};
    return unit;
}

/* @return GPUs of a node: as emulated, else as the ranks ran. */
static int per_node(const moe_run_analysis *run)
{
    const int gpus = run->view->dims.gpus, nodes = run->view->nodes;
    const int emulated =
        atoi(moe_detail_fact(&run->detail, MOE_FACT_GPUS_PER_NODE));
    return emulated > 0 ? emulated
           : nodes > 1  ? (gpus + nodes - 1) / nodes
                        : gpus;
}

/* Colours are for what leaves its GPU, from nothing on: what differs little
 * looks alike. Lines are between nodes. */
static void traffic_script(const moe_plot_subject *x, const moe_plot_data *data,
                           FILE *out)
{
    const heat h = traffic_heat(x);
    moe_axis range = {0, 0};
    char title[80];
    moe_legend legend = {0};
    const int group = per_node(x->run);
    (void)data;
    for (int row = 0; row < h.n_y; row += h.per_y)
        for (int column = 0; column < h.n_x; column += h.per_x)
            if (column != row)
                moe_axis_take(&range, cell_of(&h, x, column, row));
    const moe_plot_unit unit = byte_unit(range.high);
    range = moe_axis_scaled(range, unit.factor);
    moe_legend_add(&legend, "stays on its GPU", MOE_LEGEND_BOX, MOE_PLOT_GREY,
                   0);
    snprintf(title, sizeof title, "dispatched per layer, %s%s", unit.name,
             group < h.n_x ? "; lines between nodes" : "");
    moe_legend_put(&legend, title, HEIGHT, out);
    put_axes(&h, out);
    moe_axis_put(&range, "cb", 5, out);
    moe_script_number(out, "unit", unit.factor);
    moe_script_number(out, "group", group);
    moe_script_number(out, "numbered", h.n_x <= NUMBERED);
}

const moe_plot_type moe_plot_traffic = {
    .name = "traffic",
    .title = "Traffic between GPUs",
    .of = MOE_PLOT_OF_RUN,
    .detail = true,
    .template = {"heat", "traffic"},
    .present = traffic_present,
    .data = traffic_data,
    .script = traffic_script,
};

/* ---- loads ---- */

static bool uneven_present(const moe_plot_subject *x)
{
    return x->loads != NULL;
}

static double unevenness(const moe_plot_subject *x, int step, int layer)
{
    return x->loads
        ->uneven[(size_t)step * (size_t)x->loads->layers + (size_t)layer];
}

static heat uneven_heat(const moe_plot_subject *x)
{
    return heat_of(x->loads->steps, x->loads->layers, unevenness);
}

static void uneven_data(const moe_plot_subject *x, moe_plot_data *out)
{
    static const cell_words words = {"layer", "step", moe_number_cell};
    const heat h = uneven_heat(x);
    put_cells(&h, x, "step,layer,largest_over_mean", &words, out);
}

static void uneven_script(const moe_plot_subject *x, const moe_plot_data *data,
                          FILE *out)
{
    const heat h = uneven_heat(x);
    const moe_legend none = {0};
    const moe_axis span = {1, fmax(moe_data_span(data, 3, 3).high, 1.01)};
    moe_legend_put(&none, "largest load over the mean", HEIGHT, out);
    put_axes(&h, out);
    moe_script_number(out, "cb_low", span.low);
    moe_script_number(out, "cb_high", span.high);
    moe_script_number(out, "cb_step", moe_axis_step(&span, 6));
}

const moe_plot_type moe_plot_uneven = {
    .name = "uneven",
    .title = "How uneven loads are",
    .of = MOE_PLOT_OF_LOADS,
    .template = {"heat", "uneven"},
    .present = uneven_present,
    .data = uneven_data,
    .script = uneven_script,
};
