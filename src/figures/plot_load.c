/* SPDX-License-Identifier: Apache-2.0 */
#include "plot.h"

#include <math.h>
#include <stdlib.h>

#include "../report/cells.h"
#include "moegps/mem.h"
#include "plot_frame.h"

/* Loads of experts and GPUs: from a run's details. */

enum {
    LABELS = 16, /* along an axis: more would touch */
    MARKS = 80   /* in a figure: more would be a cloud */
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

/* @return how many strategies predict; `all` is set to them. */
static int predicting(const moe_plot_scene *scene, int all[MOE_PLOT_SERIES])
{
    int n = 0;
    for (int s = 0; s < moe_plot_strategies(scene); s++)
        if (!isnan(predicted(scene, s, 0)))
            all[n++] = s;
    return n;
}

/* Few predictions are marks side by side, many are curves. */
static bool marked(const moe_plot_scene *scene)
{
    int all[MOE_PLOT_SERIES];
    return dims(scene)->experts <= LABELS &&
           dims(scene)->experts * predicting(scene, all) <= MARKS;
}

static void experts_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    int all[MOE_PLOT_SERIES];
    const int n = predicting(scene, all);
    const bool marks = marked(scene);
    moe_plot_head_add(head, "true", MOE_LOOK_BOX, MOE_PLOT_GREY, 0);
    for (int i = 0; i < n; i++)
        moe_plot_head_add(head, name_of(scene, all[i]),
                          marks ? MOE_LOOK_POINT : MOE_LOOK_LINE,
                          moe_plot_series_colour(all[i]),
                          marks ? moe_plot_mark(i)
                                : moe_plot_series_dash(all[i]));
    head->y_name = "share of pairs, %";
}

static moe_axis experts_axis(const moe_plot_scene *scene)
{
    moe_axis axis = {0, 0};
    for (int e = 0; e < dims(scene)->experts; e++) {
        moe_axis_take(&axis, 100 * scene->run->detail.true_share[e]);
        for (int s = 0; s < moe_plot_strategies(scene); s++)
            moe_axis_take(&axis, 100 * predicted(scene, s, e));
    }
    return axis;
}

static void put_predictions(const moe_plot_scene *scene, FILE *out)
{
    int all[MOE_PLOT_SERIES];
    const int n = predicting(scene, all);
    const bool marks = marked(scene);
    for (int i = 0; i < n; i++) {
        fprintf(out, ", \\\n  data every ::1 using ($1 + %.3g):($%d * 100) ",
                marks ? (i - (n - 1) / 2.0) * fmin(0.14, 0.8 / n) + 1 : 1,
                all[i] + 4);
        if (marks) {
            fprintf(out,
                    "with points pointtype %d pointsize 0.9 linewidth 1.5 "
                    "linecolor rgb colour[%d]",
                    moe_plot_mark(i), moe_plot_series_colour(all[i]));
        } else {
            fputs("with lines ", out);
            moe_plot_series(all[i], out);
        }
    }
    fputc('\n', out);
}

static void experts_script(const moe_plot_scene *scene, FILE *out)
{
    const int n = dims(scene)->experts;
    const bool few = n <= LABELS;
    const moe_axis x = {1, n > 1 ? n : 2}, y = experts_axis(scene);
    moe_axis_put(&y, "y", 6, out);
    fprintf(out,
            "set xlabel 'expert%s of layer %d, busiest first'\n"
            "set xtics %.9g\nset xrange [0.3:%d.7]\nset boxwidth %s\n"
            "plot data every ::1 using ($1 + 1):($3 * 100)%s with boxes "
            "linecolor rgb '#bbbbbb'",
            few ? "" : "s", scene->run->detail.layer_number,
            moe_axis_step(&x, 8), n, few ? "0.85" : "1",
            few ? ":xticlabels(2)" : "");
    put_predictions(scene, out);
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
    .head = experts_head,
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

static void gpus_head(const moe_plot_scene *scene, moe_plot_head *head)
{
    moe_plot_head_add(head, "before: experts at home", MOE_LOOK_LINE,
                      MOE_PLOT_GREY, 1);
    moe_plot_head_series(head, scene);
    head->y_name = "pairs over the mean of all GPUs";
}

/* @return least and largest load; loads fall with the position. */
static moe_axis gpus_axis(const moe_plot_scene *scene)
{
    moe_axis axis = {1, 1};
    for (int i = 0; i < 2; i++) {
        const int g = i * (dims(scene)->gpus - 1);
        moe_axis_take(&axis, scene->run->detail.home[g]);
        for (int s = 0; s < moe_plot_strategies(scene); s++)
            moe_axis_take(&axis, load(scene, s, g));
    }
    return axis;
}

static void gpus_script(const moe_plot_scene *scene, FILE *out)
{
    const int n = dims(scene)->gpus;
    const char *style =
        n <= 32 ? "linespoints pointtype 7 pointsize 0.5" : "lines";
    const moe_axis x = {1, n}, y = gpus_axis(scene);
    moe_axis_put(&y, "y", 6, out);
    fprintf(out,
            "set xlabel 'GPU of a layer, busiest first'\n"
            "set xrange [%g:%g]\nset xtics %.9g\n"
            "plot 1 with lines dashtype 2 linecolor rgb '#888888', \\\n"
            "  data every ::1 using 1:2 with %s linewidth 5 linecolor rgb "
            "'#bbbbbb'",
            1 - 0.02 * (n - 1), n + 0.02 * (n - 1),
            n <= LABELS ? 1 : moe_axis_step(&x, 8), style);
    for (int s = 0; s < moe_plot_strategies(scene); s++) {
        fprintf(out, ", \\\n  data every ::1 using 1:%d with %s ", s + 3,
                style);
        moe_plot_series(s, out);
    }
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
    .head = gpus_head,
    .script = gpus_script,
    .say = gpus_say,
    .height = moe_plot_plain_height,
};
