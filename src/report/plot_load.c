/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <math.h>
#include <stdlib.h>

#include "cells.h"
#include "moegps/mem.h"

/* Loads of experts and GPUs, stragglers and traffic: from a run's details. */

enum {
    CELLS = 48, /* of a heat map, either way: more would merge anyway */
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

static void put_header(const moe_plot_scene *scene, const char *first,
                       FILE *out)
{
    fputs(first, out);
    for (int s = 0; s < moe_plot_strategies(scene); s++)
        fprintf(out, ",%s", moe_plot_label_of(name_of(scene, s)).text);
    fputc('\n', out);
}

/* ---- experts ---- */

static double predicted(const moe_plot_scene *scene, int s, int e)
{
    return scene->run->detail.predicted[s * dims(scene)->experts + e];
}

static bool experts_present(const moe_plot_scene *scene)
{
    return !isnan(scene->run->detail.true_share[0]);
}

typedef struct ranked {
    double share;
    int expert;
} ranked;

static int by_share(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    if (x->share != y->share)
        return x->share < y->share ? 1 : -1;
    return x->expert - y->expert;
}

static void experts_csv(const moe_plot_scene *scene, FILE *out)
{
    const int n = dims(scene)->experts;
    ranked *order = moe_array_new((size_t)n, sizeof *order, NULL);
    put_header(scene, "position,expert,true", out);
    for (int e = 0; order != NULL && e < n; e++)
        order[e] = (ranked){scene->run->detail.true_share[e], e};
    if (order != NULL)
        qsort(order, (size_t)n, sizeof *order, by_share);
    for (int k = 0; order != NULL && k < n; k++) {
        fprintf(out, "%d,%d", k, order[k].expert);
        moe_plot_number(order[k].share, out);
        for (int s = 0; s < moe_plot_strategies(scene); s++)
            moe_plot_number(predicted(scene, s, order[k].expert), out);
        fputc('\n', out);
    }
    free(order);
}

static void experts_script(const moe_plot_scene *scene, FILE *out)
{
    const int n = dims(scene)->experts;
    fprintf(out,
            "set xlabel 'expert of layer %d, busiest first'\n"
            "set ylabel 'share of pairs, %%'\nset yrange [0:*]\n"
            "set xrange [-0.7:%d.7]\n%s"
            "plot data every ::1 using 1:($3 * 100)%s with boxes linecolor rgb "
            "'#bbbbbb' title 'true'",
            scene->run->detail.layer_number, n - 1,
            n <= LABELS ? "set boxwidth 0.8\n" : "set format x ''\n",
            n <= LABELS ? ":xticlabels(2)" : "");
    for (int s = 0; s < moe_plot_strategies(scene); s++)
        if (!isnan(predicted(scene, s, 0)))
            fprintf(out,
                    ", \\\n  data every ::1 using 1:($%d * 100) with points "
                    "pointtype %d pointsize 0.9 linewidth 2 linecolor rgb "
                    "colour[%d] title '%s'",
                    s + 4, s % 2 == 0 ? 2 : 6, s + 1,
                    moe_plot_label_of(name_of(scene, s)).text);
    fputc('\n', out);
}

static void experts_say(const moe_plot_scene *scene, FILE *out)
{
    const double *share = scene->run->detail.true_share;
    const int n = dims(scene)->experts;
    int most = 0;
    for (int e = 1; e < n; e++)
        if (share[e] > share[most])
            most = e;
    fprintf(out,
            "True and predicted load of the %d experts of layer %d, the most "
            "skewed, means over iterations. Expert %d takes %s of the pairs;",
            n, scene->run->detail.layer_number, most,
            moe_percent_cell(share[most]).text);
    const char *comma = " predicted";
    for (int s = 0; s < moe_plot_strategies(scene); s++)
        if (!isnan(predicted(scene, s, most))) {
            fprintf(out, "%s %s: %s", comma, name_of(scene, s),
                    moe_percent_cell(predicted(scene, s, most)).text);
            comma = ",";
        }
    fputs(comma[0] == ',' ? "." : " nothing predicts.", out);
}

const moe_plot moe_plot_experts = {
    .name = "experts",
    .title = "Predicted against true load per expert",
    .detail = true,
    .present = experts_present,
    .csv = experts_csv,
    .script = experts_script,
    .say = experts_say,
    .height = moe_plot_plain_height,
};

/* ---- GPUs ---- */

static double load(const moe_plot_scene *scene, int s, int g)
{
    return scene->run->detail.load[s * dims(scene)->gpus + g];
}

static bool gpus_present(const moe_plot_scene *scene)
{
    return dims(scene)->gpus > 1 && !isnan(scene->run->detail.home[0]);
}

static void gpus_csv(const moe_plot_scene *scene, FILE *out)
{
    put_header(scene, "position,home", out);
    for (int g = 0; g < dims(scene)->gpus; g++) {
        fprintf(out, "%d", g + 1);
        moe_plot_number(scene->run->detail.home[g], out);
        for (int s = 0; s < moe_plot_strategies(scene); s++)
            moe_plot_number(load(scene, s, g), out);
        fputc('\n', out);
    }
}

static void gpus_script(const moe_plot_scene *scene, FILE *out)
{
    const char *style = dims(scene)->gpus <= 32 ? "linespoints pointtype 7 "
                                                  "pointsize 0.5"
                                                : "lines";
    fprintf(out,
            "set xlabel 'GPU of a layer, busiest first'\n"
            "set ylabel 'pairs over the mean of all GPUs'\n%s"
            "plot 1 with lines dashtype 2 linecolor rgb '#888888' notitle, \\\n"
            "  data every ::1 using 1:2 with %s linewidth 4 linecolor rgb "
            "'#bbbbbb' title 'before: experts at home'",
            dims(scene)->gpus <= LABELS ? "set xtics 1\n" : "", style);
    for (int s = 0; s < moe_plot_strategies(scene); s++)
        fprintf(out,
                ", \\\n  data every ::1 using 1:%d with %s linewidth 1.5 "
                "linecolor rgb colour[%d] title '%s'",
                s + 3, style, s + 1, moe_plot_label_of(name_of(scene, s)).text);
    fputc('\n', out);
}

static void gpus_say(const moe_plot_scene *scene, FILE *out)
{
    fprintf(out,
            "Load of the busiest, second, ... GPU of a layer over the mean, "
            "means over iterations and layers. The busiest has %s with every "
            "expert at home,",
            moe_number_cell(scene->run->detail.home[0]).text);
    for (int s = 0; s < moe_plot_strategies(scene); s++)
        fprintf(out, "%s %s with %s", s > 0 ? "," : "",
                moe_number_cell(load(scene, s, 0)).text, name_of(scene, s));
    fputc('.', out);
}

const moe_plot moe_plot_gpus = {
    .name = "gpus",
    .title = "Load of GPUs before and after duplication",
    .detail = true,
    .present = gpus_present,
    .csv = gpus_csv,
    .script = gpus_script,
    .say = gpus_say,
    .height = moe_plot_plain_height,
};

/* ---- heat maps ---- */

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

static void put_heat(const heat *h, const moe_plot_scene *scene,
                     double (*at)(const moe_plot_scene *scene, int x, int y),
                     FILE *out)
{
    for (int y = 0; y < h->n_y; y += h->per_y)
        for (int x = 0; x < h->n_x; x += h->per_x) {
            double sum = 0;
            int n = 0;
            for (int j = y; j < y + h->per_y && j < h->n_y; j++)
                for (int i = x; i < x + h->per_x && i < h->n_x; i++)
                    if (!isnan(at(scene, i, j))) {
                        sum += at(scene, i, j);
                        n++;
                    }
            fprintf(out, "%d,%d", x, y);
            moe_plot_number(n > 0 ? sum / n : (double)NAN, out);
            fputc('\n', out);
        }
}

/* Pixels of a map, as rectangles: sharp at any size. Dark is little. */
static void heat_script(const heat *h, const char *label, FILE *out)
{
    fprintf(out,
            "unset key\nunset grid\nset border 0\n"
            "set palette defined (0 '#fff7bc', 0.35 '#fec44f', 0.7 '#d95f0e', "
            "1 '#662506')\n"
            "set cblabel '%s'\nset rmargin at screen 0.76\n"
            "set xrange [-0.5:%d.5]\nset yrange [%d.5:-0.5]\n%s%s"
            "plot data every ::1 using ($1 + %g):($2 + %g):($1 - 0.5):($1 + %g)"
            ":($2 - 0.5):($2 + %g):3 with boxxyerror fillcolor palette\n",
            label, h->n_x - 1, h->n_y - 1,
            h->n_x <= LABELS ? "set xtics 1\n" : "",
            h->n_y <= LABELS ? "set ytics 1\n" : "", (h->per_x - 1) / 2.0,
            (h->per_y - 1) / 2.0, h->per_x - 0.5, h->per_y - 0.5);
}

static int square_height(const moe_plot_scene *scene)
{
    (void)scene;
    return 420;
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

static void stragglers_script(const moe_plot_scene *scene, FILE *out)
{
    const heat h = straggler_heat(scene);
    fputs("set xlabel 'iteration'\nset ylabel 'rank'\n", out);
    heat_script(&h, "time over the mean of all ranks", out);
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
            clock == MOE_CLOCK_GPU ? "modelled" : "measured",
            moe_number_cell(most).text, rank, iteration);
}

const moe_plot moe_plot_stragglers = {
    .name = "stragglers",
    .title = "Stragglers: ranks and iterations",
    .detail = true,
    .present = stragglers_present,
    .csv = stragglers_csv,
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

static void traffic_script(const moe_plot_scene *scene, FILE *out)
{
    const heat h = heat_of(dims(scene)->gpus, dims(scene)->gpus);
    fputs("set xlabel 'destination'\nset ylabel 'source'\n"
          "set format cb '%.0s %cB'\nset cbrange [0:*]\n",
          out);
    heat_script(&h, "dispatched per layer", out);
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
    .script = traffic_script,
    .say = traffic_say,
    .height = square_height,
};
