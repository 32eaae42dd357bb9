/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/map_slice.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/text.h"

/* Half a cell where there is one only: of skewness, and of bandwidth as a
 * factor. */
static const double LONE_SKEW = 0.25, LONE_FACTOR = 1.5;

size_t moe_map_slices(const moe_map *map)
{
    return (map->own_links ? 1 : (size_t)map->n_cluster) *
           (size_t)map->n_batch * (size_t)map->n_accuracy;
}

typedef struct {
    double value;
    int number;
} ranked;

static int by_value(const void *a, const void *b)
{
    const ranked *x = a, *y = b;
    return x->value != y->value ? (x->value > y->value) - (x->value < y->value)
                                : x->number - y->number;
}

/* @return numbers of the values, ascending, each value once, thinned to `most`;
 * NULL with MOE_NOMEM. */
static int *order(const double *value, int n, int most, int *n_out,
                  int *all_out, moe_error *err)
{
    ranked *r = moe_array_new((size_t)n, sizeof *r, err);
    int *out = moe_array_new((size_t)n, sizeof *out, err);
    int kept = 0;
    if (r == NULL || out == NULL) {
        free(r);
        free(out);
        return NULL;
    }
    for (int i = 0; i < n; i++)
        r[i] = (ranked){value[i], i};
    qsort(r, (size_t)n, sizeof *r, by_value);
    for (int i = 0; i < n; i++)
        if (i == 0 || r[i].value > r[i - 1].value)
            out[kept++] = r[i].number;
    *all_out = kept;
    if (most > 1 && kept > most) {
        for (long i = 0; i < most; i++)
            out[i] = out[i * (kept - 1) / (most - 1)];
        kept = most;
    }
    *n_out = kept;
    free(r);
    return out;
}

/* Rows are bandwidths of one cluster, or clusters as they are numbered. */
static int *order_rows(moe_map_slice *x, int most, moe_error *err)
{
    const moe_map *map = x->map;
    const int n = map->own_links ? map->n_cluster : map->n_bandwidth;
    double *value = moe_array_new((size_t)n, sizeof *value, err);
    int *out = NULL;
    for (int j = 0; value != NULL && j < n; j++)
        value[j] =
            map->own_links ? j : moe_map_bandwidth(map, x->rest.cluster, j);
    if (value != NULL)
        out = order(value, n, most, &x->n_row, &x->all_row, err);
    free(value);
    return out;
}

moe_status moe_map_slice_init(moe_map_slice *x, const moe_map *map,
                              moe_advise_case c, size_t i, int most,
                              moe_error *err)
{
    moe_error local = {0};
    *x = (moe_map_slice){.map = map, .rest.error = c};
    x->rest.accuracy = (int)(i % (size_t)map->n_accuracy);
    i /= (size_t)map->n_accuracy;
    x->rest.batch = (int)(i % (size_t)map->n_batch);
    x->rest.cluster = (int)(i / (size_t)map->n_batch);
    x->skew =
        order(map->skew, map->n_skew, most, &x->n_skew, &x->all_skew, &local);
    x->row = order_rows(x, most, &local);
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_map_slice_fini(x);
    return moe_pass(err, &local);
}

void moe_map_slice_fini(moe_map_slice *x)
{
    free(x->skew);
    free(x->row);
    *x = (moe_map_slice){0};
}

/* ---- cells ---- */

size_t moe_map_slice_at(const moe_map_slice *x, int k, int j)
{
    moe_map_cell cell = x->rest;
    cell.skew = x->skew[k];
    *(x->map->own_links ? &cell.cluster : &cell.bandwidth) = x->row[j];
    return moe_map_at(x->map, &cell);
}

const double *moe_map_slice_times(const moe_map_slice *x, int k, int j)
{
    return x->map->layer_s + moe_map_slice_at(x, k, j) * MOE_ADVISE_STRATEGIES;
}

double moe_map_slice_skew(const moe_map_slice *x, int k)
{
    return x->map->skew[x->skew[k]];
}

double moe_map_slice_bandwidth(const moe_map_slice *x, int j)
{
    return x->map->own_links
               ? moe_map_bandwidth(x->map, x->row[j], 0)
               : moe_map_bandwidth(x->map, x->rest.cluster, x->row[j]);
}

double moe_map_slice_side(const moe_map_slice *x, int k)
{
    const int n = x->n_skew;
    if (n == 1)
        return moe_map_slice_skew(x, 0) + (k == 0 ? -LONE_SKEW : LONE_SKEW);
    const int at = k < 1 ? 1 : k > n - 1 ? n - 1 : k;
    const double a = moe_map_slice_skew(x, at - 1);
    const double b = moe_map_slice_skew(x, at), middle = (a + b) / 2;
    return k < 1 ? 2 * a - middle : k > n - 1 ? 2 * b - middle : middle;
}

/* Rows are as far apart as their logarithms. */
double moe_map_slice_level(const moe_map_slice *x, int j)
{
    const int n = x->n_row;
    if (x->map->own_links)
        return j - 0.5;
    if (n == 1)
        return moe_map_slice_bandwidth(x, 0) *
               (j == 0 ? 1 / LONE_FACTOR : LONE_FACTOR);
    const int at = j < 1 ? 1 : j > n - 1 ? n - 1 : j;
    const double a = moe_map_slice_bandwidth(x, at - 1);
    const double b = moe_map_slice_bandwidth(x, at), middle = sqrt(a * b);
    return j < 1 ? a * a / middle : j > n - 1 ? b * b / middle : middle;
}

/* @return the cell before a place, or at it; and how far it is to the next. */
static int cell_before(double place, int n, double *share_out)
{
    const double at = fmin(fmax(place, 0), n - 1);
    const int cell = at >= n - 1 && n > 1 ? n - 2 : (int)at;
    *share_out = at - cell;
    return cell;
}

/* Border cells go on beyond their middle, to the outer side. */
double moe_map_slice_skew_at(const moe_map_slice *x, double k)
{
    const int n = x->n_skew;
    if (k < 0 || k > n - 1) {
        const int cell = k < 0 ? 0 : n - 1;
        const double middle = moe_map_slice_skew(x, cell);
        const double side = moe_map_slice_side(x, k < 0 ? 0 : n);
        return middle + 2 * fabs(k - cell) * (side - middle);
    }
    double share;
    const int cell = cell_before(k, n, &share);
    const double a = moe_map_slice_skew(x, cell);
    return share > 0 ? a + share * (moe_map_slice_skew(x, cell + 1) - a) : a;
}

double moe_map_slice_level_at(const moe_map_slice *x, double j)
{
    const int n = x->n_row;
    if (x->map->own_links)
        return j;
    if (j < 0 || j > n - 1) {
        const int cell = j < 0 ? 0 : n - 1;
        const double middle = moe_map_slice_bandwidth(x, cell);
        const double side = moe_map_slice_level(x, j < 0 ? 0 : n);
        return middle * pow(side / middle, 2 * fabs(j - cell));
    }
    double share;
    const int cell = cell_before(j, n, &share);
    const double a = moe_map_slice_bandwidth(x, cell);
    return share > 0 ? a * pow(moe_map_slice_bandwidth(x, cell + 1) / a, share)
                     : a;
}

/* @return the share of the way between two rows, of the reciprocal of their
 * bandwidths. */
static double share_of_row(const moe_map_slice *x, int cell, double j,
                           double share)
{
    if (share <= 0 || x->map->own_links)
        return share;
    const double a = 1 / moe_map_slice_bandwidth(x, cell);
    const double b = 1 / moe_map_slice_bandwidth(x, cell + 1);
    return (1 / moe_map_slice_level_at(x, fmin(j, x->n_row - 1)) - a) / (b - a);
}

void moe_map_slice_times_at(const moe_map_slice *x, double k, double j,
                            double out[MOE_ADVISE_STRATEGIES])
{
    double right, up;
    const int column = cell_before(k, x->n_skew, &right);
    const int row = cell_before(j, x->n_row, &up);
    up = share_of_row(x, row, j, up);
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
        out[s] = 0;
    for (int corner = 0; corner < 4; corner++) {
        const int dk = corner % 2, dj = corner / 2;
        const double share = (dk ? right : 1 - right) * (dj ? up : 1 - up);
        if (share == 0)
            continue;
        const double *t = moe_map_slice_times(x, column + dk, row + dj);
        for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
            out[s] += share * t[s];
    }
}

void moe_map_slice_name(const moe_map_slice *x, char *text, size_t size)
{
    const moe_map *map = x->map;
    text[0] = '\0';
    if (!map->own_links)
        snprintf(text, size, "on %s", map->cluster[x->rest.cluster].name);
    if (map->n_batch > 1)
        moe_text_add(text, size, ", ", "batch %d", map->batch[x->rest.batch]);
    if (map->n_accuracy > 1)
        moe_text_add(text, size, ", ", "accuracy %.3g",
                     map->accuracy[x->rest.accuracy]);
}

double moe_map_share(const moe_map *map, int cluster, moe_advise_case c,
                     moe_advise_strategy s)
{
    const size_t n =
        moe_map_cells(map) / (size_t)map->n_cluster / MOE_ADVISE_CASES;
    const moe_map_cell first = {.cluster = cluster, .error = c};
    const int32_t *winner = map->winner + moe_map_at(map, &first);
    size_t won = 0;
    for (size_t i = 0; i < n; i++)
        won += winner[i] == (int32_t)s;
    return (double)won / (double)n;
}

double moe_map_share_of_all(const moe_map *map, moe_advise_case c,
                            moe_advise_strategy s)
{
    double sum = 0;
    for (int k = 0; k < map->n_cluster; k++)
        sum += moe_map_share(map, k, c, s);
    return sum / map->n_cluster;
}
