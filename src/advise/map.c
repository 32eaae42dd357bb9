/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moegps/h5.h"
#include "moegps/mem.h"
#include "version.h"

static size_t cells(const moe_map_params *p)
{
    return (size_t)MOE_ADVISE_CASES * (size_t)p->n_batch *
           (size_t)p->n_accuracy * (size_t)p->n_skew * (size_t)p->n_bandwidth;
}

size_t moe_map_at(const moe_map *map, moe_advise_case c, int batch,
                  int accuracy, int skew, int bandwidth)
{
    const moe_map_params *p = &map->p;
    size_t at = (size_t)c * (size_t)p->n_batch + (size_t)batch;
    at = at * (size_t)p->n_accuracy + (size_t)accuracy;
    at = at * (size_t)p->n_skew + (size_t)skew;
    return at * (size_t)p->n_bandwidth + (size_t)bandwidth;
}

/* Winner among those that can be had, as in advice. */
static void judge(moe_map *map, size_t at)
{
    const double *t = map->layer_s + at * MOE_ADVISE_STRATEGIES;
    int best = 0;
    double second = INFINITY;
    for (int s = 1; s < MOE_ADVISE_ORACLE; s++)
        best = t[s] < t[best] ? s : best;
    for (int s = 0; s < MOE_ADVISE_ORACLE; s++)
        if (s != best && t[s] < second)
            second = t[s];
    map->winner[at] = best;
    map->margin[at] = second / t[best] - 1.0;
}

/* All accuracies and cases of one (batch, skew, bandwidth). What does not
 * depend on the accuracy is priced once. */
static void price_cell(moe_map *map, const moe_advise *a, int b, int k, int w)
{
    moe_advise_dials d = map->p.advise.dials;
    for (int c = 0; c < MOE_ADVISE_CASES; c++) {
        double t[MOE_ADVISE_STRATEGIES];
        for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
            if (s != MOE_ADVISE_TOKEN)
                t[s] = moe_advise_layer_s(a, &d, (moe_advise_strategy)s,
                                          (moe_advise_case)c);
        for (int y = 0; y < map->p.n_accuracy; y++) {
            const size_t at = moe_map_at(map, (moe_advise_case)c, b, y, k, w);
            d.accuracy = map->p.accuracy[y];
            t[MOE_ADVISE_TOKEN] =
                moe_advise_layer_s(a, &d, MOE_ADVISE_TOKEN, (moe_advise_case)c);
            memcpy(map->layer_s + at * MOE_ADVISE_STRATEGIES, t, sizeof t);
            judge(map, at);
        }
    }
}

static moe_status sweep_bandwidth(moe_map *map, int b, int k, moe_error *err)
{
    moe_advise_params p = map->p.advise;
    moe_cluster cluster = *p.cluster;
    moe_advise *a = NULL;
    p.skew = map->p.skew[k];
    p.batch = map->p.batch[b];
    if (moe_advise_new(&p, &a, err) != MOE_OK)
        return err->status;
    for (int w = 0; w < map->p.n_bandwidth && err->status == MOE_OK; w++) {
        cluster.link_bandwidth = map->p.bandwidth[w];
        if (moe_advise_set_cluster(a, &cluster, err) == MOE_OK)
            price_cell(map, a, b, k, w);
    }
    moe_advise_free(a);
    return err->status;
}

moe_status moe_map_init(moe_map *map, const moe_map_params *p, moe_error *err)
{
    moe_error local = {0};
    const size_t n = cells(p);
    *map = (moe_map){.p = *p};
    if (map->p.advise.planner_s < 0)
        map->p.advise.planner_s = 0.0;
    map->layer_s =
        moe_array_new(n * MOE_ADVISE_STRATEGIES, sizeof *map->layer_s, &local);
    map->winner = moe_array_new(n, sizeof *map->winner, &local);
    map->margin = moe_array_new(n, sizeof *map->margin, &local);
    for (int b = 0; b < p->n_batch; b++)
        for (int k = 0; k < p->n_skew && local.status == MOE_OK; k++)
            sweep_bandwidth(map, b, k, &local);
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_map_fini(map);
    return moe_fail(err, local.status, "%s", local.text);
}

void moe_map_fini(moe_map *map)
{
    free(map->layer_s);
    free(map->winner);
    free(map->margin);
    *map = (moe_map){0};
}

/* ---- file ---- */

static void write_axis(hid_t group, const char *dim, const char *name,
                       const char *units, const double *x, int n,
                       moe_error *err)
{
    moe_h5_scale(group, dim, (size_t)n, NULL, dim, err);
    const moe_h5_spec spec = {.name = name,
                              .type = H5T_IEEE_F64LE,
                              .rank = 1,
                              .dims = {dim},
                              .units = units};
    moe_h5_write(group, &spec, H5T_NATIVE_DOUBLE, x, err);
}

static void write_axes(hid_t g, const moe_map_params *p, moe_error *err)
{
    const char *cases[MOE_ADVISE_CASES], *strategies[MOE_ADVISE_STRATEGIES];
    for (int c = 0; c < MOE_ADVISE_CASES; c++)
        cases[c] = moe_advise_case_name((moe_advise_case)c);
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
        strategies[s] = moe_advise_strategy_name((moe_advise_strategy)s);
    moe_h5_scale_text(g, "case", MOE_ADVISE_CASES, cases,
                      "what errors of the prediction do", err);
    moe_h5_scale(g, "batch", (size_t)p->n_batch, p->batch,
                 "sequences in a batch", err);
    write_axis(g, "accuracy", "accuracy_value", "1", p->accuracy, p->n_accuracy,
               err);
    write_axis(g, "skew", "skew_value", "1", p->skew, p->n_skew, err);
    write_axis(g, "bandwidth", "bandwidth_value", "B/s", p->bandwidth,
               p->n_bandwidth, err);
    moe_h5_scale_text(g, "strategy", MOE_ADVISE_STRATEGIES, strategies,
                      "what is compared", err);
}

static void write_cells(hid_t g, const moe_map *map, moe_error *err)
{
    moe_h5_spec spec = {
        .name = "layer_time",
        .type = H5T_IEEE_F64LE,
        .rank = 6,
        .dims = {"case", "batch", "accuracy", "skew", "bandwidth", "strategy"},
        .units = "s",
        .long_name = "modelled time of a layer",
        .deflate = true};
    moe_h5_write(g, &spec, H5T_NATIVE_DOUBLE, map->layer_s, err);
    spec.rank = 5;
    spec.name = "margin";
    spec.units = "1";
    spec.long_name = "second over winner, less 1";
    moe_h5_write(g, &spec, H5T_NATIVE_DOUBLE, map->margin, err);
    spec.name = "winner";
    spec.type = H5T_STD_I32LE;
    spec.long_name = "strategy by number; the oracle does not take part";
    moe_h5_write(g, &spec, H5T_NATIVE_INT32, map->winner, err);
}

static void write_settings(hid_t file, const moe_advise_params *p,
                           moe_error *err)
{
    moe_h5_put_text(file, "schema", MOE_MAP_SCHEMA, err);
    moe_h5_put_text(file, "schema_version", MOE_MAP_SCHEMA_VERSION, err);
    moe_h5_put_text(file, "version", MOE_VERSION, err);
    moe_h5_put_text(file, "clock", "modelled", err);
    moe_h5_put_text(file, "model", p->model->name, err);
    moe_h5_put_text(file, "cluster", p->cluster->name, err);
    moe_h5_put_text(file, "cost", p->cluster->cost, err);
    moe_h5_put_text(file, "load", p->bottleneck ? "busiest GPU" : "power law",
                    err);
    moe_h5_put_int(file, "gpus", p->gpus, err);
    moe_h5_put_int(file, "seq", p->seq, err);
    moe_h5_put_int(file, "slots",
                   p->slots > 0 ? p->slots
                                : moe_advise_slots(p->model->experts, p->gpus),
                   err);
    moe_h5_put_int(file, "seed", (int64_t)p->seed, err);
    moe_h5_put_int(file, "rebalance_every", p->dials.rebalance_every, err);
    moe_h5_put_real(file, "moving", p->dials.moving, err);
    moe_h5_put_real(file, "error", p->error, err);
    moe_h5_put_real(file, "overhead_s", p->dials.overhead_s, err);
    moe_h5_put_real(file, "overhead_share", p->dials.overhead_share, err);
    moe_h5_put_real(file, "planner_s", p->planner_s, err);
}

moe_status moe_map_write(const moe_map *map, const char *path, moe_error *err)
{
    moe_error local = {0};
    hid_t file = moe_h5_create(path, &local);
    if (local.status != MOE_OK)
        return moe_fail(err, local.status, "%s", local.text);
    write_settings(file, &map->p.advise, &local);
    hid_t group = moe_h5_create_group(file, "map", &local);
    write_axes(group, &map->p, &local);
    write_cells(group, map, &local);
    moe_h5_close(group);
    moe_h5_close_file(file, &local);
    if (local.status == MOE_OK)
        return MOE_OK;
    unlink(path);
    return moe_fail(err, local.status, "%s", local.text);
}

/* ---- terminal ---- */

static void print_row(const moe_map *map, moe_advise_case c, int b, int y,
                      int w, FILE *out)
{
    static const char letters[] = "BDTO";
    fprintf(out, "%8.4g ", map->p.bandwidth[w] * 1e-9);
    for (int k = 0; k < map->p.n_skew; k++) {
        const size_t at = moe_map_at(map, c, b, y, k, w);
        if (map->p.n_skew > 16) /* a letter alone, small where it is close */
            fputc(letters[map->winner[at]] |
                      (map->margin[at] < 0.01 ? 'a' - 'A' : 0),
                  out);
        else
            fprintf(out, " %c%5.1f", letters[map->winner[at]],
                    fmin(100 * map->margin[at], 999.9));
    }
    fputc('\n', out);
}

static void print_scale(const moe_map_params *p, FILE *out)
{
    fprintf(out, "%8s ", "skew");
    for (int k = 0; k < p->n_skew && p->n_skew <= 16; k++)
        fprintf(out, " %6.3g", p->skew[k]);
    if (p->n_skew > 16)
        fprintf(out, "%-*.3g%.3g", p->n_skew - 3, p->skew[0],
                p->skew[p->n_skew - 1]);
    fputc('\n', out);
}

void moe_map_print(const moe_map *map, moe_advise_case c, FILE *out)
{
    const moe_map_params *p = &map->p;
    fprintf(out,
            "modelled: %s on %d GPUs of %s, %s case. Rows: link bandwidth, "
            "GB/s per direction.\n"
            "B baseline, D distribution-only, T token-to-expert%s\n",
            p->advise.model->name, p->advise.gpus, p->advise.cluster->name,
            moe_advise_case_name(c),
            p->n_skew > 16 ? "; small: by less than 1 %"
                           : ", and its margin in %");
    for (int b = 0; b < p->n_batch; b++)
        for (int y = 0; y < p->n_accuracy; y++) {
            fprintf(out, "\nbatch %d, accuracy %.3g\n", p->batch[b],
                    p->accuracy[y]);
            print_scale(p, out);
            for (int w = 0; w < p->n_bandwidth; w++)
                print_row(map, c, b, y, w, out);
        }
}
