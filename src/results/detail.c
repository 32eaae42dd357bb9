/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/detail.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/layout.h"
#include "moegps/mem.h"
#include "reader.h"

/* A mean that grows: of values in [0, n), each added `count` times. */
typedef struct mean {
    double *sum; /* borrowed */
    size_t count;
} mean;

typedef struct load_pass {
    moe_detail *to;
    double *loads; /* [gpus] scratch */
    mean *after;   /* [strategies] */
    mean home, share, *predicted;
} load_pass;

static void finish(const mean *m, size_t n)
{
    for (size_t j = 0; j < n; j++)
        m->sum[j] = m->count > 0 ? m->sum[j] / (double)m->count : (double)NAN;
}

static int falling(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* Add loads of a layer, busiest first and relative to their mean. */
static void add_sorted(mean *m, double *loads, size_t n)
{
    double sum = 0;
    for (size_t j = 0; j < n; j++)
        sum += loads[j];
    if (!(sum > 0)) /* nothing there, or NaN: never measured */
        return;
    qsort(loads, n, sizeof *loads, falling);
    for (size_t j = 0; j < n; j++)
        m->sum[j] += loads[j] * (double)n / sum;
    m->count++;
}

static void visit_home(const moe_reader *rd, int s, int i, const double *x,
                       void *arg)
{
    load_pass *p = arg;
    const moe_ledger_dims *d = &rd->view->dims;
    const moe_layout layout = {.gpus = d->gpus, .gpus_per_node = 1};
    (void)s, (void)i;
    for (int l = 0; l < d->layers; l++, x += d->experts) {
        double sum = 0, most = 0;
        for (int g = 0; g < d->gpus; g++) {
            const int first = moe_layout_home_first(&layout, d->experts, g);
            const int n = moe_layout_home_count(&layout, d->experts, g);
            p->loads[g] = 0;
            for (int e = first; e < first + n; e++) {
                p->loads[g] += x[e];
                most = fmax(most, x[e]);
            }
            sum += p->loads[g];
        }
        if (sum > 0)
            p->to->skew[l] += most / sum * d->experts;
        add_sorted(&p->home, p->loads, (size_t)d->gpus);
    }
}

static void visit_after(const moe_reader *rd, int s, int i, const double *x,
                        void *arg)
{
    load_pass *p = arg;
    const moe_ledger_dims *d = &rd->view->dims;
    (void)i;
    for (int l = 0; l < d->layers; l++, x += d->ranks) {
        memcpy(p->loads, x, (size_t)d->gpus * sizeof *x);
        add_sorted(&p->after[s], p->loads, (size_t)d->gpus);
    }
}

/* Add the chosen layer's shares of all pairs. */
static void add_shares(const moe_reader *rd, const moe_detail *to, mean *m,
                       const double *x)
{
    const size_t n = (size_t)rd->view->dims.experts;
    double sum = 0;
    x += (size_t)to->layer * n;
    for (size_t e = 0; e < n; e++)
        sum += x[e];
    if (!(sum > 0))
        return;
    for (size_t e = 0; e < n; e++)
        m->sum[e] += x[e] / sum;
    m->count++;
}

static void visit_true(const moe_reader *rd, int s, int i, const double *x,
                       void *arg)
{
    load_pass *p = arg;
    (void)s, (void)i;
    add_shares(rd, p->to, &p->share, x);
}

static void visit_predicted(const moe_reader *rd, int s, int i, const double *x,
                            void *arg)
{
    load_pass *p = arg;
    (void)i;
    add_shares(rd, p->to, &p->predicted[s], x);
}

static int largest_at(const double *x, int n)
{
    int at = 0;
    for (int j = 1; j < n; j++)
        if (x[j] > x[at])
            at = j;
    return at;
}

static void read_loads(moe_reader *rd, moe_detail *to)
{
    const moe_ledger_dims *d = &rd->view->dims;
    const size_t strategies = (size_t)d->strategies, gpus = (size_t)d->gpus;
    const size_t experts = (size_t)d->experts;
    load_pass p = {.to = to};
    to->skew = moe_array_new((size_t)d->layers, sizeof *to->skew, rd->err);
    p.loads = moe_array_new(gpus, sizeof *p.loads, rd->err);
    p.after = moe_array_new(strategies, sizeof *p.after, rd->err);
    p.predicted = moe_array_new(strategies, sizeof *p.predicted, rd->err);
    p.home.sum = to->home = moe_array_new(gpus, sizeof(double), rd->err);
    to->load = moe_array_new(strategies * gpus, sizeof(double), rd->err);
    p.share.sum = to->true_share =
        moe_array_new(experts, sizeof(double), rd->err);
    to->predicted =
        moe_array_new(strategies * experts, sizeof(double), rd->err);
    for (size_t s = 0; s < strategies && !moe_reader_failed(rd); s++) {
        p.after[s].sum = to->load + s * gpus;
        p.predicted[s].sum = to->predicted + s * experts;
    }
    if (!moe_reader_failed(rd)) {
        moe_reader_each(rd, MOE_FIELD_TRUE_PAIRS, visit_home, &p);
        moe_reader_each(rd, MOE_FIELD_RANK_PAIRS, visit_after, &p);
        to->layer = largest_at(to->skew, d->layers);
        moe_reader_each(rd, MOE_FIELD_TRUE_PAIRS, visit_true, &p);
        moe_reader_each(rd, MOE_FIELD_PREDICTED_PAIRS, visit_predicted, &p);
    }
    if (!moe_reader_failed(rd)) {
        const size_t n = p.home.count / (size_t)d->layers; /* iterations */
        finish(&(mean){.sum = to->skew, .count = n}, (size_t)d->layers);
        finish(&p.home, gpus);
        finish(&p.share, experts);
    }
    for (size_t s = 0; s < strategies && !moe_reader_failed(rd); s++) {
        finish(&p.after[s], gpus);
        finish(&p.predicted[s], experts);
    }
    free(p.predicted);
    free(p.after);
    free(p.loads);
}

/* Times of every GPU: sums over phases, means over layers. */
static void visit_busy(const moe_reader *rd, int s, int i, const double *x,
                       void *arg)
{
    double *busy = arg;
    const moe_ledger_dims *d = &rd->view->dims;
    const size_t ranks = (size_t)d->ranks;
    const size_t rows = (size_t)d->layers * MOE_N_PHASES;
    (void)s;
    for (size_t g = 0; g < (size_t)d->gpus; g++) {
        double sum = 0;
        bool any = false;
        for (size_t j = 0; j < rows; j++)
            if (!isnan(x[j * ranks + g])) {
                sum += x[j * ranks + g];
                any = true;
            }
        busy[g * (size_t)d->iterations + (size_t)i] =
            any ? sum / d->layers : (double)NAN;
    }
}

static void read_busy(moe_reader *rd, moe_clock clock, moe_detail *to)
{
    const moe_ledger_dims *d = &rd->view->dims;
    to->busy = moe_array_new((size_t)d->gpus * (size_t)d->iterations,
                             sizeof *to->busy, rd->err);
    if (to->busy != NULL)
        moe_reader_one(
            rd, clock == MOE_CLOCK_GPU ? MOE_FIELD_EXPOSED : MOE_FIELD_WALL,
            to->strategy, visit_busy, to->busy);
}

typedef struct layer_times {
    double *sum; /* [strategies][layers] */
    size_t *n;   /* [strategies] */
} layer_times;

static void visit_layers(const moe_reader *rd, int s, int i, const double *x,
                         void *arg)
{
    layer_times *to = arg;
    const size_t layers = (size_t)rd->view->dims.layers;
    (void)i;
    for (size_t l = 0; l < layers; l++)
        if (isnan(x[l])) /* the iteration was cut short */
            return;
    for (size_t l = 0; l < layers; l++)
        to->sum[(size_t)s * layers + l] += x[l];
    to->n[s]++;
}

static void read_layers(moe_reader *rd, moe_clock clock, moe_detail *to)
{
    const size_t layers = (size_t)rd->view->dims.layers;
    const size_t strategies = (size_t)rd->view->dims.strategies;
    to->layer_time =
        moe_array_new(strategies * layers, sizeof *to->layer_time, rd->err);
    layer_times times = {to->layer_time, NULL};
    times.n = moe_array_new(strategies, sizeof *times.n, rd->err);
    if (!moe_reader_failed(rd))
        moe_reader_each(rd, MOE_FIELD_LAYER_WALL + (moe_field_id)clock,
                        visit_layers, &times);
    for (size_t s = 0; s < strategies && !moe_reader_failed(rd); s++)
        finish(&(mean){.sum = times.sum + s * layers, .count = times.n[s]},
               layers);
    free(times.n);
}

static void read_traffic(moe_reader *rd, moe_detail *to)
{
    const moe_ledger_dims *d = &rd->view->dims;
    const hsize_t g = (hsize_t)d->gpus;
    const moe_h5_block block = {.start = {(hsize_t)to->strategy},
                                .count = {1, g, g}};
    const double *wall = rd->view->strategy[to->strategy].layer_time[0];
    hsize_t dims[MOE_H5_MAX_RANK];
    int measured = 0;
    for (int i = 0; i < d->iterations; i++)
        measured += !isnan(wall[i]);
    to->traffic = moe_array_new(g * g, sizeof *to->traffic, rd->err);
    hid_t dataset = moe_reader_open(rd, MOE_FIELD_DISPATCH_BYTES, dims);
    moe_h5_read_block(dataset, &block, H5T_NATIVE_DOUBLE, to->traffic, rd->err);
    moe_h5_close(dataset);
    if (moe_reader_failed(rd))
        return;
    moe_reader_mark(rd, MOE_FIELD_DISPATCH_BYTES, to->traffic, g * g);
    for (size_t j = 0; j < g * g; j++)
        to->traffic[j] /= measured > 0 ? (double)measured * d->layers : NAN;
}

/* ---- how it was made ---- */

/* Lists (one word per strategy) and what else is no scalar are left out. */
static herr_t add_fact(hid_t group, const char *name, const H5A_info_t *info,
                       void *arg)
{
    moe_detail *to = arg;
    moe_error no_text = {0}, no_number = {0};
    char text[256] = "";
    (void)info;
    moe_h5_get_text(group, name, text, sizeof text, &no_text);
    if (no_text.status != MOE_OK) {
        const double x = moe_h5_get_real(group, name, &no_number);
        snprintf(text, sizeof text, "%.9g", x);
    }
    if (no_number.status != MOE_OK)
        return 0;
    moe_fact_text *more =
        realloc(to->fact, (to->n_facts + 1) * sizeof *to->fact);
    if (more == NULL)
        return -1;
    to->fact = more;
    moe_fact_text *fact = &to->fact[to->n_facts++];
    snprintf(fact->name, sizeof fact->name, "%s", name);
    snprintf(fact->text, sizeof fact->text, "%s", text);
    return 0;
}

static void read_facts(moe_reader *rd, const char *name, moe_detail *to)
{
    hid_t group = moe_h5_open_group(rd->file, name, rd->err);
    if (!moe_reader_failed(rd) &&
        H5Aiterate2(group, H5_INDEX_NAME, H5_ITER_INC, NULL, add_fact, to) < 0)
        moe_fail(rd->err, MOE_NOMEM, "out of memory");
    moe_h5_close(group);
}

/* A text that files of earlier versions lack. */
static char *read_optional(moe_reader *rd, const char *path)
{
    return !moe_reader_failed(rd) && moe_h5_exists(rd->file, path)
               ? moe_h5_read_text(rd->file, path, rd->err)
               : NULL;
}

static void read_origin(moe_reader *rd, moe_detail *to)
{
    read_facts(rd, "config", to);
    read_facts(rd, "provenance", to);
    to->input = moe_h5_read_text(rd->file, "config/input", rd->err);
    to->command_line =
        moe_h5_read_text(rd->file, "config/command_line", rd->err);
    to->model_profile = read_optional(rd, "config/model_profile");
    to->cluster_profile = read_optional(rd, "config/cluster_profile");
    const size_t n = (size_t)rd->view->dims.ranks;
    int32_t *bound = moe_h5_read(rd->file, "provenance/bound", H5T_NATIVE_INT32,
                                 sizeof *bound, n, rd->err);
    for (size_t r = 0; bound != NULL && r < n; r++)
        to->unbound += bound[r] == 0;
    free(bound);
    to->layers =
        moe_h5_read(rd->file, "timing/layer", H5T_NATIVE_INT32,
                    sizeof *to->layers, (size_t)rd->view->dims.layers, rd->err);
    if (to->layers != NULL)
        to->layer_number = to->layers[to->layer];
}

moe_status moe_detail_read(const moe_view *view, int strategy, moe_clock clock,
                           moe_detail *out, moe_error *err)
{
    moe_view shape = *view; /* borrowed */
    moe_detail detail = {.strategy = strategy, .ranks = view->dims.ranks};
    moe_error local = {0};
    moe_reader rd = {.view = &shape, .err = &local};
    rd.file = moe_h5_open(view->path, false, &local);
    if (moe_reader_failed(&rd))
        return moe_pass(err, &local);
    moe_reader_check_run(&rd);
    if (!moe_reader_failed(&rd))
        read_loads(&rd, &detail);
    if (!moe_reader_failed(&rd))
        read_busy(&rd, clock, &detail);
    if (!moe_reader_failed(&rd))
        read_layers(&rd, clock, &detail);
    if (!moe_reader_failed(&rd))
        read_traffic(&rd, &detail);
    if (!moe_reader_failed(&rd))
        read_origin(&rd, &detail);
    H5Fclose(rd.file);
    free(rd.buffer);
    if (moe_reader_failed(&rd)) {
        moe_detail_free(&detail);
        return moe_fail(err, local.status, "%s: %s", view->path, local.text);
    }
    *out = detail;
    return MOE_OK;
}

double moe_detail_straggle(const moe_detail *detail,
                           const moe_ledger_dims *dims, int iteration, int rank)
{
    const size_t stride = (size_t)dims->iterations;
    const double *busy = detail->busy + iteration;
    double sum = 0;
    for (int g = 0; g < dims->gpus; g++)
        sum += busy[(size_t)g * stride];
    return busy[(size_t)rank * stride] * dims->gpus / sum;
}

double moe_detail_busy(const moe_detail *detail, const moe_ledger_dims *dims,
                       int rank)
{
    const double *busy = detail->busy + (size_t)rank * (size_t)dims->iterations;
    double sum = 0;
    int n = 0;
    for (int i = 0; i < dims->iterations; i++)
        if (!isnan(busy[i])) {
            sum += busy[i];
            n++;
        }
    return n > 0 ? sum / n : (double)NAN;
}

const char *moe_detail_fact(const moe_detail *detail, moe_fact fact)
{
    const char *name = moe_fact_name(fact);
    for (size_t i = 0; i < detail->n_facts; i++)
        if (strcmp(detail->fact[i].name, name) == 0)
            return detail->fact[i].text;
    return "";
}

void moe_detail_free(moe_detail *detail)
{
    free(detail->traffic);
    free(detail->busy);
    free(detail->skew);
    free(detail->layer_time);
    free(detail->layers);
    free(detail->load);
    free(detail->home);
    free(detail->predicted);
    free(detail->true_share);
    free(detail->fact);
    free(detail->cluster_profile);
    free(detail->model_profile);
    free(detail->command_line);
    free(detail->input);
    *detail = (moe_detail){0};
}
