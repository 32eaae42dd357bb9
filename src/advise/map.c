/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moegps/h5.h"
#include "moegps/mem.h"
#include "version.h"

static int bandwidths(const moe_map_params *p)
{
    return p->n_bandwidth > 0 ? p->n_bandwidth : 1;
}

double moe_map_bandwidth(const moe_map_params *p, int cluster, int bandwidth)
{
    return p->n_bandwidth > 0 ? p->bandwidth[bandwidth]
                              : p->cluster[cluster].link_bandwidth;
}

static size_t cells(const moe_map_params *p)
{
    return (size_t)p->n_cluster * MOE_ADVISE_CASES * (size_t)p->n_batch *
           (size_t)p->n_accuracy * (size_t)p->n_skew * (size_t)bandwidths(p);
}

size_t moe_map_at(const moe_map *map, const moe_map_cell *x)
{
    const moe_map_params *p = &map->p;
    size_t at = (size_t)x->cluster * MOE_ADVISE_CASES + (size_t)x->error;
    at = at * (size_t)p->n_batch + (size_t)x->batch;
    at = at * (size_t)p->n_accuracy + (size_t)x->accuracy;
    at = at * (size_t)p->n_skew + (size_t)x->skew;
    return at * (size_t)bandwidths(p) + (size_t)x->bandwidth;
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

/* All accuracies and cases at one place. What does not depend on the accuracy
 * is priced once. */
static void price_cell(moe_map *map, const moe_advise *a, moe_map_cell x)
{
    moe_advise_dials d = map->p.advise.dials;
    for (int c = 0; c < MOE_ADVISE_CASES; c++) {
        double t[MOE_ADVISE_STRATEGIES];
        x.error = (moe_advise_case)c;
        for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
            if (s != MOE_ADVISE_TOKEN)
                t[s] =
                    moe_advise_layer_s(a, &d, (moe_advise_strategy)s, x.error);
        for (x.accuracy = 0; x.accuracy < map->p.n_accuracy; x.accuracy++) {
            const size_t at = moe_map_at(map, &x);
            d.accuracy = map->p.accuracy[x.accuracy];
            t[MOE_ADVISE_TOKEN] =
                moe_advise_layer_s(a, &d, MOE_ADVISE_TOKEN, x.error);
            memcpy(map->layer_s + at * MOE_ADVISE_STRATEGIES, t, sizeof t);
            judge(map, at);
        }
    }
}

static void sweep_bandwidth(moe_map *map, moe_advise *a, moe_map_cell x)
{
    const moe_cluster *c = &map->p.cluster[x.cluster];
    for (x.bandwidth = 0; x.bandwidth < bandwidths(&map->p); x.bandwidth++) {
        moe_advise_set_links(a,
                             moe_map_bandwidth(&map->p, x.cluster, x.bandwidth),
                             c->network_bandwidth);
        price_cell(map, a, x);
    }
}

/* One cluster: the first load brings the prices of all others. */
static moe_status sweep_cluster(moe_map *map, int cluster, moe_error *err)
{
    moe_advise_params p = map->p.advise;
    moe_map_cell x = {.cluster = cluster};
    moe_advise *first = NULL;
    p.cluster = &map->p.cluster[cluster];
    for (x.batch = 0; x.batch < map->p.n_batch; x.batch++)
        for (x.skew = 0; x.skew < map->p.n_skew; x.skew++) {
            moe_advise *a = NULL;
            p.skew = map->p.skew[x.skew];
            p.batch = map->p.batch[x.batch];
            if (moe_advise_new_like(first, &p, &a, err) != MOE_OK)
                goto out;
            sweep_bandwidth(map, a, x);
            if (first == NULL)
                first = a;
            else
                moe_advise_free(a);
        }
out:
    moe_advise_free(first);
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
    for (int c = 0; c < p->n_cluster && local.status == MOE_OK; c++)
        if (sweep_cluster(map, c, &local) != MOE_OK && p->n_cluster > 1)
            moe_error_prefix(&local, "%s", p->cluster[c].name);
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
                       const double *x, int n, moe_error *err)
{
    moe_h5_scale(group, dim, (size_t)n, NULL, dim, err);
    const moe_h5_spec spec = {.name = name,
                              .type = H5T_IEEE_F64LE,
                              .rank = 1,
                              .dims = {dim},
                              .units = "1"};
    moe_h5_write(group, &spec, H5T_NATIVE_DOUBLE, x, err);
}

static void write_bandwidths(hid_t g, const moe_map_params *p, moe_error *err)
{
    const int n = bandwidths(p);
    const size_t all = (size_t)p->n_cluster * (size_t)n;
    double *x = moe_array_new(all, sizeof *x, err);
    for (size_t i = 0; x != NULL && i < all; i++)
        x[i] = moe_map_bandwidth(p, (int)i / n, (int)i % n);
    moe_h5_scale(g, "bandwidth", (size_t)n, NULL, "bandwidth", err);
    const moe_h5_spec spec = {.name = "bandwidth_value",
                              .type = H5T_IEEE_F64LE,
                              .rank = 2,
                              .dims = {"cluster", "bandwidth"},
                              .units = "B/s"};
    moe_h5_write(g, &spec, H5T_NATIVE_DOUBLE, x, err);
    free(x);
}

static void write_clusters(hid_t g, const moe_map_params *p, moe_error *err)
{
    const char **name = moe_array_new((size_t)p->n_cluster, sizeof *name, err);
    for (int c = 0; name != NULL && c < p->n_cluster; c++)
        name[c] = p->cluster[c].name;
    moe_h5_scale_text(g, "cluster", (size_t)p->n_cluster, name, "profile", err);
    for (int c = 0; name != NULL && c < p->n_cluster; c++)
        name[c] = p->cluster[c].cost;
    moe_h5_write_strings(g, "cost", "cluster", (size_t)p->n_cluster, name,
                         "cost model of the cluster", err);
    free(name);
}

static void write_axes(hid_t g, const moe_map_params *p, moe_error *err)
{
    const char *cases[MOE_ADVISE_CASES], *strategies[MOE_ADVISE_STRATEGIES];
    for (int c = 0; c < MOE_ADVISE_CASES; c++)
        cases[c] = moe_advise_case_name((moe_advise_case)c);
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
        strategies[s] = moe_advise_strategy_name((moe_advise_strategy)s);
    write_clusters(g, p, err);
    moe_h5_scale_text(g, "case", MOE_ADVISE_CASES, cases,
                      "what errors of the prediction do", err);
    moe_h5_scale(g, "batch", (size_t)p->n_batch, p->batch,
                 "sequences in a batch", err);
    write_axis(g, "accuracy", "accuracy_value", p->accuracy, p->n_accuracy,
               err);
    write_axis(g, "skew", "skew_value", p->skew, p->n_skew, err);
    write_bandwidths(g, p, err);
    moe_h5_scale_text(g, "strategy", MOE_ADVISE_STRATEGIES, strategies,
                      "what is compared", err);
}

static void write_cells(hid_t g, const moe_map *map, moe_error *err)
{
    moe_h5_spec spec = {.name = "layer_time",
                        .type = H5T_IEEE_F64LE,
                        .rank = 7,
                        .dims = {"cluster", "case", "batch", "accuracy", "skew",
                                 "bandwidth", "strategy"},
                        .units = "s",
                        .long_name = "modelled time of a layer",
                        .deflate = true};
    moe_h5_write(g, &spec, H5T_NATIVE_DOUBLE, map->layer_s, err);
    spec.rank = 6;
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
    moe_h5_put_int(file, "as_paper", p->dials.paper, err);
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

/* A row of skews, the rest of the cell being given. */
static void print_row(const moe_map *map, moe_map_cell x, FILE *out)
{
    static const char letters[] = "BDTO";
    for (x.skew = 0; x.skew < map->p.n_skew; x.skew++) {
        const size_t at = moe_map_at(map, &x);
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

static void print_scale(const moe_map_params *p, int width, FILE *out)
{
    fprintf(out, "%*s ", width, "skew");
    for (int k = 0; k < p->n_skew && p->n_skew <= 16; k++)
        fprintf(out, " %6.3g", p->skew[k]);
    if (p->n_skew > 16)
        fprintf(out, "%-*.3g%.3g", p->n_skew - 3, p->skew[0],
                p->skew[p->n_skew - 1]);
    fputc('\n', out);
}

static void print_legend(const moe_map *map, const char *cluster,
                         const char *rows, moe_advise_case c, FILE *out)
{
    const moe_map_params *p = &map->p;
    fprintf(out,
            "modelled: %s on %d GPUs%s%s, %s case. Rows: %s.\n"
            "B baseline, D distribution-only, T token-to-expert%s\n",
            p->advise.model->name, p->advise.gpus, *cluster ? " of " : "",
            cluster, moe_advise_case_name(c), rows,
            p->n_skew > 16 ? "; small: by less than 1 %"
                           : ", and its margin in %");
}

/* @param x  case, batch, accuracy and, unless rows are clusters, cluster. */
static void print_rows(const moe_map *map, moe_map_cell x, FILE *out)
{
    const moe_map_params *p = &map->p;
    const bool own = p->n_bandwidth == 0;
    const int width = own ? 14 : 8;
    fprintf(out, "\nbatch %d, accuracy %.3g\n", p->batch[x.batch],
            p->accuracy[x.accuracy]);
    print_scale(p, width, out);
    for (int i = 0; i < (own ? p->n_cluster : p->n_bandwidth); i++) {
        *(own ? &x.cluster : &x.bandwidth) = i;
        if (own)
            fprintf(out, "%*s ", width, p->cluster[i].name);
        else
            fprintf(out, "%*.4g ", width, p->bandwidth[i] * 1e-9);
        print_row(map, x, out);
    }
}

void moe_map_print(const moe_map *map, moe_advise_case c, FILE *out)
{
    const moe_map_params *p = &map->p;
    const bool own = p->n_bandwidth == 0;
    moe_map_cell x = {.error = c};
    for (x.cluster = 0; x.cluster < (own ? 1 : p->n_cluster); x.cluster++) {
        fputs(x.cluster > 0 ? "\n" : "", out);
        print_legend(map, own ? "" : p->cluster[x.cluster].name,
                     own ? "clusters, their own links"
                         : "link bandwidth, GB/s per direction",
                     c, out);
        for (x.batch = 0; x.batch < p->n_batch; x.batch++)
            for (x.accuracy = 0; x.accuracy < p->n_accuracy; x.accuracy++)
                print_rows(map, x, out);
    }
}
