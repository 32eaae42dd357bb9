/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/map.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moegps/h5.h"
#include "moegps/mem.h"

static const char busiest[] = "busiest GPU", power_law[] = "power law",
                  of_trace[] = "trace";

/* Along these a cell is found; `strategy` follows for layer times. */
static const char *const dims[] = {"cluster",  "case", "batch",
                                   "accuracy", "skew", "bandwidth"};

/* ---- write ---- */

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

static void write_bandwidths(hid_t g, const moe_map *map, moe_error *err)
{
    moe_h5_scale(g, "bandwidth", (size_t)map->n_bandwidth, NULL, "bandwidth",
                 err);
    const moe_h5_spec spec = {.name = "bandwidth_value",
                              .type = H5T_IEEE_F64LE,
                              .rank = 2,
                              .dims = {"cluster", "bandwidth"},
                              .units = "B/s"};
    moe_h5_write(g, &spec, H5T_NATIVE_DOUBLE, map->bandwidth, err);
}

static void write_clusters(hid_t g, const moe_map *map, moe_error *err)
{
    const size_t n = (size_t)map->n_cluster;
    const moe_h5_spec cost = {.name = "cost",
                              .rank = 1,
                              .dims = {"cluster"},
                              .long_name = "cost model of the cluster"};
    const char **name = moe_array_new(n, sizeof *name, err);
    for (size_t c = 0; name != NULL && c < n; c++)
        name[c] = map->cluster[c].name;
    moe_h5_scale_text(g, "cluster", n, name, "profile", err);
    for (size_t c = 0; name != NULL && c < n; c++)
        name[c] = map->cluster[c].cost;
    moe_h5_write_strings(g, &cost, name, err);
    free(name);
}

static void write_batch_skew(hid_t g, const moe_map *map, moe_error *err)
{
    const moe_h5_spec spec = {.name = "batch_skew",
                              .type = H5T_IEEE_F64LE,
                              .rank = 2,
                              .dims = {"batch", "skew"},
                              .units = "1",
                              .long_name = "own skewness of the batches"};
    moe_h5_write(g, &spec, H5T_NATIVE_DOUBLE, map->batch_skew, err);
}

static void write_axes(hid_t g, const moe_map *map, moe_error *err)
{
    const char *cases[MOE_ADVISE_CASES], *strategies[MOE_ADVISE_STRATEGIES];
    for (int c = 0; c < MOE_ADVISE_CASES; c++)
        cases[c] = moe_advise_case_name((moe_advise_case)c);
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
        strategies[s] = moe_advise_strategy_name((moe_advise_strategy)s);
    write_clusters(g, map, err);
    moe_h5_scale_text(g, "case", MOE_ADVISE_CASES, cases,
                      "what errors of the prediction do", err);
    moe_h5_scale(g, "batch", (size_t)map->n_batch, map->batch,
                 "sequences in a batch", err);
    write_axis(g, "accuracy", "accuracy_value", map->accuracy, map->n_accuracy,
               err);
    write_axis(g, "skew", "skew_value", map->skew, map->n_skew, err);
    if (!isnan(map->batch_skew[0]))
        write_batch_skew(g, map, err);
    write_bandwidths(g, map, err);
    moe_h5_scale_text(g, "strategy", MOE_ADVISE_STRATEGIES, strategies,
                      "what is compared", err);
}

static void write_cells(hid_t g, const moe_map *map, moe_error *err)
{
    moe_h5_spec spec = {.name = "layer_time",
                        .type = H5T_IEEE_F64LE,
                        .rank = MOE_ARRAY_LEN(dims) + 1,
                        .units = "s",
                        .long_name = "modelled time of a layer",
                        .deflate = true};
    memcpy(spec.dims, dims, sizeof dims);
    spec.dims[MOE_ARRAY_LEN(dims)] = "strategy";
    moe_h5_write(g, &spec, H5T_NATIVE_DOUBLE, map->layer_s, err);
    spec.rank = MOE_ARRAY_LEN(dims);
    spec.name = "margin";
    spec.units = "1";
    spec.long_name = "second over winner, less 1";
    moe_h5_write(g, &spec, H5T_NATIVE_DOUBLE, map->margin, err);
    spec.name = "winner";
    spec.type = H5T_STD_I32LE;
    spec.long_name = "strategy by number; the oracle does not take part";
    moe_h5_write(g, &spec, H5T_NATIVE_INT32, map->winner, err);
}

static void write_settings(hid_t file, const moe_map *map, moe_error *err)
{
    moe_h5_put_text(file, "schema", MOE_MAP_SCHEMA, err);
    moe_h5_put_text(file, "schema_version", MOE_MAP_SCHEMA_VERSION, err);
    moe_h5_put_text(file, "version", map->version, err);
    if (map->command_line != NULL)
        moe_h5_put_text(file, "command_line", map->command_line, err);
    if (map->deployment[0] != '\0')
        moe_h5_put_text(file, "deployment", map->deployment, err);
    moe_h5_put_text(file, "clock", "modelled", err);
    moe_h5_put_text(file, "model", map->model, err);
    moe_h5_put_text(file, "load",
                    map->trace[0] != '\0' ? of_trace
                    : map->bottleneck     ? busiest
                                          : power_law,
                    err);
    if (map->trace[0] != '\0') {
        moe_h5_put_text(file, "trace", map->trace, err);
        moe_h5_put_text(file, "order", map->order, err);
    }
    moe_h5_put_int(file, "gpus", map->gpus, err);
    moe_h5_put_int(file, "seq", map->seq, err);
    moe_h5_put_int(file, "slots", map->slots, err);
    moe_h5_put_int(file, "samples", map->samples, err);
    moe_h5_put_int(file, "seed", (int64_t)map->seed, err);
    moe_h5_put_text(file, "split", map->split, err);
    moe_h5_put_int(file, "lookahead", map->lookahead, err);
    moe_h5_put_int(file, "rebalance_every", map->rebalance_every, err);
    moe_h5_put_real(file, "moving", map->moving, err);
    moe_h5_put_int(file, "as_paper", map->paper, err);
    moe_h5_put_int(file, "own_links", map->own_links, err);
    moe_h5_put_real(file, "error", map->error, err);
    moe_h5_put_real(file, "overhead_s", map->overhead_s, err);
    moe_h5_put_real(file, "overhead_share", map->overhead_share, err);
    moe_h5_put_real(file, "planner_s", map->planner_s, err);
}

moe_status moe_map_write(const moe_map *map, const char *path, moe_error *err)
{
    moe_error local = {0};
    hid_t file = moe_h5_create(path, &local);
    if (local.status != MOE_OK)
        return moe_pass(err, &local);
    write_settings(file, map, &local);
    hid_t group = moe_h5_create_group(file, "map", &local);
    write_axes(group, map, &local);
    write_cells(group, map, &local);
    moe_h5_close(group);
    moe_h5_close_file(file, &local);
    if (local.status == MOE_OK)
        return MOE_OK;
    unlink(path);
    return moe_pass(err, &local);
}

/* ---- read ---- */

enum { LINE_LEN = 1 << 14 }; /* bytes kept of a command line */

typedef struct {
    hid_t file, group;
    moe_map *map;
    moe_error *err;
} reader;

static bool failed(const reader *r)
{
    return r->err->status != MOE_OK;
}

static int extent(const reader *r, const char *scale)
{
    hsize_t n = 0;
    moe_h5_dims(r->group, scale, 1, &n, r->err);
    if (!failed(r) && (n == 0 || n > MOE_MAP_MAX_CELLS))
        moe_fail(r->err, MOE_FORMAT, "dimension '%s' has %llu values", scale,
                 (unsigned long long)n);
    return (int)n;
}

static void get_text(const reader *r, const char *name, char *text, size_t size)
{
    moe_h5_get_text(r->file, name, text, size, r->err);
}

static int get_int(const reader *r, const char *name, int min)
{
    const int64_t x = moe_h5_get_int(r->file, name, r->err);
    if (!failed(r) && (x < min || x > INT32_MAX))
        moe_fail(r->err, MOE_FORMAT, "attribute '%s' is %lld", name,
                 (long long)x);
    return failed(r) ? min : (int)x;
}

static double get_real(const reader *r, const char *name)
{
    const double x = moe_h5_get_real(r->file, name, r->err);
    if (!failed(r) && !(isfinite(x) && x >= 0))
        moe_fail(r->err, MOE_FORMAT, "attribute '%s' is %g", name, x);
    return x;
}

static const moe_h5_schema schema = {
    .name = MOE_MAP_SCHEMA, .version = MOE_MAP_SCHEMA_VERSION, .noun = "a map"};

/* NaN: as the planner's steps say. */
static double get_planner_s(const reader *r)
{
    const double x = moe_h5_get_real(r->file, "planner_s", r->err);
    return isnan(x) ? x : get_real(r, "planner_s");
}

/* Files of 2.0 lack some; there, one bandwidth is taken for the links' own. */
static void read_settings(const reader *r)
{
    moe_map *m = r->map;
    char load[32] = "", line[LINE_LEN] = "";
    get_text(r, "model", m->model, sizeof m->model);
    get_text(r, "version", m->version, sizeof m->version);
    get_text(r, "load", load, sizeof load);
    m->bottleneck = strcmp(load, busiest) == 0;
    m->gpus = get_int(r, "gpus", 1);
    if (moe_h5_has(r->file, "trace")) {
        get_text(r, "trace", m->trace, sizeof m->trace);
        get_text(r, "order", m->order, sizeof m->order);
    }
    m->seq = get_int(r, "seq", m->trace[0] == '\0');
    m->slots = get_int(r, "slots", 0);
    m->seed = (uint64_t)moe_h5_get_int(r->file, "seed", r->err);
    m->rebalance_every = get_int(r, "rebalance_every", 1);
    m->moving = get_real(r, "moving");
    m->paper = get_int(r, "as_paper", 0) != 0;
    m->error = get_real(r, "error");
    m->overhead_s = get_real(r, "overhead_s");
    m->overhead_share = get_real(r, "overhead_share");
    m->planner_s = get_planner_s(r);
    m->own_links = m->n_bandwidth == 1;
    if (moe_h5_has(r->file, "own_links"))
        m->own_links = get_int(r, "own_links", 0) != 0 && m->own_links;
    snprintf(m->split, sizeof m->split, "quota");
    if (moe_h5_has(r->file, "split"))
        get_text(r, "split", m->split, sizeof m->split);
    if (moe_h5_has(r->file, "lookahead"))
        m->lookahead = get_int(r, "lookahead", 0);
    if (moe_h5_has(r->file, "samples"))
        m->samples = get_int(r, "samples", 0);
    if (moe_h5_has(r->file, "deployment"))
        get_text(r, "deployment", m->deployment, sizeof m->deployment);
    if (moe_h5_has(r->file, "command_line")) {
        get_text(r, "command_line", line, sizeof line);
        m->command_line = moe_strdup(line, r->err);
    }
}

/* Read names into `to`, `size` bytes each and `step` apart. */
static void read_names(const reader *r, const char *name, int n, char *to,
                       size_t size, size_t step)
{
    size_t found = 0;
    if (extent(r, name) != n)
        moe_fail(r->err, MOE_FORMAT, "dataset '%s' does not fit", name);
    char **all = moe_h5_read_strings(r->group, name, &found, r->err);
    for (size_t i = 0; all != NULL && i < found; i++)
        snprintf(to + i * step, size, "%s", all[i]);
    moe_h5_free_strings(all, found);
}

/* Check that a dimension has these names, in this order. */
static void check_names(const reader *r, const char *name,
                        const char *(*name_of)(int i), int n)
{
    char names[8][32] = {{0}};
    read_names(r, name, n, names[0], sizeof names[0], sizeof names[0]);
    for (int i = 0; i < n && !failed(r); i++)
        if (strcmp(names[i], name_of(i)) != 0)
            moe_fail(r->err, MOE_FORMAT, "%s %d is '%s', not '%s'", name, i,
                     names[i], name_of(i));
}

static const char *case_name(int i)
{
    return moe_advise_case_name((moe_advise_case)i);
}

static const char *strategy_name(int i)
{
    return moe_advise_strategy_name((moe_advise_strategy)i);
}

/* A dataset and what its sizes must be. */
typedef struct {
    const char *name;
    int n_dims;
    const int *sizes; /* [n_dims] */
} shape;

/* Read numbers into the caller's array. @return how many. */
static size_t read_into(const reader *r, const shape *of, hid_t type,
                        size_t size, void *to)
{
    hsize_t found[MOE_H5_MAX_RANK] = {0};
    size_t n = 1;
    moe_h5_dims(r->group, of->name, of->n_dims, found, r->err);
    for (int d = 0; d < of->n_dims && !failed(r); d++) {
        n *= (size_t)of->sizes[d];
        if (found[d] != (hsize_t)of->sizes[d])
            moe_fail(r->err, MOE_FORMAT,
                     "dataset '%s' has %llu values along dimension %d, not %d",
                     of->name, (unsigned long long)found[d], d, of->sizes[d]);
    }
    void *data = moe_h5_read(r->group, of->name, type, size, n, r->err);
    if (data != NULL)
        memcpy(to, data, n * size);
    free(data);
    return n;
}

static void read_reals(const reader *r, const shape *of, double min, double max,
                       double *to)
{
    const size_t n = read_into(r, of, H5T_NATIVE_DOUBLE, sizeof *to, to);
    for (size_t i = 0; i < n && !failed(r); i++)
        if (!(to[i] >= min && to[i] <= max))
            moe_fail(r->err, MOE_FORMAT, "value %zu of '%s' is %g", i, of->name,
                     to[i]);
}

static void read_axes(const reader *r)
{
    moe_map *m = r->map;
    const int links[] = {m->n_cluster, m->n_bandwidth};
    const int batches[] = {m->n_batch, m->n_skew};
    moe_map_cluster *to = m->cluster;
    read_names(r, "cluster", m->n_cluster, to->name, sizeof to->name,
               sizeof *to);
    read_names(r, "cost", m->n_cluster, to->cost, sizeof to->cost, sizeof *to);
    check_names(r, "case", case_name, MOE_ADVISE_CASES);
    check_names(r, "strategy", strategy_name, MOE_ADVISE_STRATEGIES);
    read_into(r, &(shape){"batch", 1, &m->n_batch}, H5T_NATIVE_INT32,
              sizeof *m->batch, m->batch);
    for (int b = 0; b < m->n_batch && !failed(r); b++)
        if (m->batch[b] < 1)
            moe_fail(r->err, MOE_FORMAT, "batch %d is %d", b, m->batch[b]);
    read_reals(r, &(shape){"accuracy_value", 1, &m->n_accuracy}, 0, 1,
               m->accuracy);
    read_reals(r, &(shape){"skew_value", 1, &m->n_skew}, 1, 1e9, m->skew);
    read_reals(r, &(shape){"bandwidth_value", 2, links}, 1, 1e18, m->bandwidth);
    if (moe_h5_exists(r->group, "batch_skew"))
        read_reals(r, &(shape){"batch_skew", 2, batches}, 1, 1e9,
                   m->batch_skew);
}

/* Layer times say who wins; what the file says must agree. */
static void read_cells(const reader *r)
{
    moe_map *m = r->map;
    const int sizes[] = {m->n_cluster,         MOE_ADVISE_CASES, m->n_batch,
                         m->n_accuracy,        m->n_skew,        m->n_bandwidth,
                         MOE_ADVISE_STRATEGIES};
    enum { RANK = MOE_ARRAY_LEN(dims) };
    read_reals(r, &(shape){"layer_time", RANK + 1, sizes}, 1e-12, 1e9,
               m->layer_s);
    read_reals(r, &(shape){"margin", RANK, sizes}, 0, 1e30, m->margin);
    read_into(r, &(shape){"winner", RANK, sizes}, H5T_NATIVE_INT32,
              sizeof *m->winner, m->winner);
    for (size_t i = 0; i < moe_map_cells(m) && !failed(r); i++) {
        double margin = NAN;
        const int winner =
            (int)moe_map_judge(m->layer_s + i * MOE_ADVISE_STRATEGIES, &margin);
        if (m->winner[i] != winner ||
            fabs(m->margin[i] - margin) > 1e-9 * (1 + margin))
            moe_fail(r->err, MOE_FORMAT,
                     "cell %zu: winner %d by %g is not that of its layer times",
                     i, m->winner[i], m->margin[i]);
    }
}

bool moe_map_is(const char *path)
{
    moe_error ignored = {0};
    hid_t file = moe_h5_open(path, false, &ignored);
    const bool map = moe_h5_is(file, MOE_MAP_SCHEMA);
    moe_h5_close_file(file, &ignored);
    return map;
}

moe_status moe_map_read(const char *path, moe_map *map, moe_error *err)
{
    moe_error local = {0};
    reader r = {.map = map, .err = &local};
    *map = (moe_map){0};
    snprintf(map->path, sizeof map->path, "%s", path);
    r.file = moe_h5_open(path, false, &local);
    if (r.file < 0) /* the sentence names the file already */
        return moe_pass(err, &local);
    moe_h5_check_schema(r.file, &schema, &local);
    r.group = moe_h5_open_group(r.file, "map", &local);
    map->n_cluster = extent(&r, "cluster");
    map->n_batch = extent(&r, "batch");
    map->n_accuracy = extent(&r, "accuracy");
    map->n_skew = extent(&r, "skew");
    map->n_bandwidth = extent(&r, "bandwidth");
    if (!failed(&r) && moe_map_alloc(map, &local) == MOE_USAGE)
        local.status = MOE_FORMAT;
    if (!failed(&r)) {
        read_settings(&r);
        read_axes(&r);
        read_cells(&r);
    }
    moe_h5_close(r.group);
    moe_h5_close_file(r.file, &(moe_error){0});
    if (!failed(&r))
        return MOE_OK;
    moe_map_fini(map);
    return moe_fail(err, local.status, "%s: %s", path, local.text);
}
