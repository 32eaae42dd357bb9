/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/conf.h"
#include "moegps/cost.h"
#include "moegps/ctx.h"
#include "moegps/mem.h"
#include "moegps/profile.h"

static const char *const topologies[] = {[MOE_LINK_SWITCH] = "switch",
                                         [MOE_LINK_RING] = "ring",
                                         [MOE_LINK_MESH] = "mesh",
                                         NULL};

/* Limits are wide; they catch units that slipped: GB/s for B/s, us for s. */
#define ERROR_OF(name, member, share, what)                             \
    {                                                                   \
        .key = name, .type = MOE_OPT_REAL, .unit = "1", .initial = "0", \
        .min = 0, .max = 10, MOE_OPT_AT(moe_cluster, member),           \
        .help = "relative error of " what ", analytic, that " share     \
                " prices do not exceed; 0: unknown"                     \
    }
#define ERRORS(name, what)                                  \
    ERROR_OF(#name, name.two_thirds, "two of three", what), \
        ERROR_OF(#name "_p90", name.p90, "nine of ten", what)

static const char *const migrations[] = {[MOE_MIGRATION_HIDDEN] = "hidden",
                                         [MOE_MIGRATION_LAYER] = "layer",
                                         [MOE_MIGRATION_STOP] = "stop",
                                         NULL};

const moe_opt moe_cluster_options[] = {
    {.key = "name",
     .type = MOE_OPT_TEXT,
     .initial = "",
     MOE_OPT_AT(moe_cluster, name),
     .help = "name of the cluster; empty: the file's"},
    {.key = "gpu",
     .type = MOE_OPT_TEXT,
     MOE_OPT_AT(moe_cluster, gpu),
     .help = "GPU, spelled as in the measured tables: a100_sxm"},
    {.key = "cost",
     .type = MOE_OPT_TEXT,
     .initial = "analytic",
     MOE_OPT_AT(moe_cluster, cost),
     .help = "cost model that prices this cluster"},
    {.key = "stack",
     .type = MOE_OPT_TEXT,
     .initial = "",
     MOE_OPT_AT(moe_cluster, stack),
     .help = "kernel library whose measured tables are used"},
    {.key = "tables_gpu",
     .type = MOE_OPT_TEXT,
     .initial = "",
     MOE_OPT_AT(moe_cluster, tables_gpu),
     .help = "GPU whose measured tables stand in; empty: gpu"},
    {.key = "tables",
     .type = MOE_OPT_TEXT,
     .initial = "",
     MOE_OPT_AT(moe_cluster, tables),
     .help = "file of measured tables, by `moegps calibrate`, from the folder "
             "of the profile; empty: the bundled ones"},
    {.key = "tables_bandwidth",
     .type = MOE_OPT_REAL,
     .unit = "B s-1",
     .initial = "0",
     .min = 0,
     .max = 1e15,
     MOE_OPT_AT(moe_cluster, tables_bandwidth),
     .help = "memory bandwidth of tables_gpu, to scale by; 0: not scaled"},
    {.key = "tables_link_bandwidth",
     .type = MOE_OPT_REAL,
     .unit = "B s-1",
     .initial = "0",
     .min = 0,
     .max = 1e15,
     MOE_OPT_AT(moe_cluster, tables_link_bandwidth),
     .help = "link bandwidth of tables_gpu, to scale by; 0: not scaled"},
    ERRORS(error_gemm, "matrix products"),
    ERRORS(error_attention, "attention"),
    ERRORS(error_ffn, "expert FFNs"),
    ERRORS(error_link, "collectives"),
    {.key = "gpus_per_node",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = 1024,
     MOE_OPT_AT(moe_cluster, gpus_per_node),
     .help = "GPUs that share the links of a node"},
    {.key = "memory_bytes",
     .type = MOE_OPT_REAL,
     .unit = "B",
     .min = 1e9,
     .max = 1e13,
     MOE_OPT_AT(moe_cluster, memory_bytes),
     .help = "memory of one GPU"},
    {.key = "memory_bandwidth",
     .type = MOE_OPT_REAL,
     .unit = "B s-1",
     .min = 1e9,
     .max = 1e15,
     MOE_OPT_AT(moe_cluster, memory_bandwidth),
     .help = "of one GPU's memory"},
    {.key = "peak_flops",
     .type = MOE_OPT_REAL,
     .unit = "s-1",
     .min = 1e11,
     .max = 1e17,
     MOE_OPT_AT(moe_cluster, peak_flops),
     .help = "dense bf16 FLOP/s of the tensor cores"},
    {.key = "fp8_flops",
     .type = MOE_OPT_REAL,
     .unit = "s-1",
     .initial = "0",
     .min = 0,
     .max = 1e17,
     MOE_OPT_AT(moe_cluster, fp8_flops),
     .help = "dense fp8 FLOP/s of the tensor cores; 0: as peak_flops"},
    {.key = "vector_flops",
     .type = MOE_OPT_REAL,
     .unit = "s-1",
     .min = 1e10,
     .max = 1e16,
     MOE_OPT_AT(moe_cluster, vector_flops),
     .help = "FLOP/s outside the tensor cores"},
    {.key = "compute_efficiency",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "1",
     .min = 0.01,
     .max = 1,
     MOE_OPT_AT(moe_cluster, compute_efficiency),
     .help = "share of peak_flops that a large GEMM reaches"},
    {.key = "memory_efficiency",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "1",
     .min = 0.01,
     .max = 1,
     MOE_OPT_AT(moe_cluster, memory_efficiency),
     .help = "share of memory_bandwidth that a large copy reaches"},
    {.key = "sms",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = 10000,
     MOE_OPT_AT(moe_cluster, sms),
     .help = "streaming multiprocessors: tiles of one wave"},
    {.key = "tile_m",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = 1024,
     MOE_OPT_AT(moe_cluster, tile_m),
     .help = "rows of a GEMM's output tile"},
    {.key = "tile_n",
     .type = MOE_OPT_INT,
     .unit = "1",
     .min = 1,
     .max = 1024,
     MOE_OPT_AT(moe_cluster, tile_n),
     .help = "columns of a GEMM's output tile"},
    {.key = "tile_fill",
     .type = MOE_OPT_INT,
     .unit = "1",
     .initial = "0",
     .min = 0,
     .max = 4096,
     MOE_OPT_AT(moe_cluster, tile_fill),
     .help = "inner steps lost to filling and draining a tile"},
    {.key = "fused_attention",
     .type = MOE_OPT_BOOL,
     .initial = "true",
     MOE_OPT_AT(moe_cluster, fused_attention),
     .help = "attention scores stay on the chip, the masked half is skipped"},
    {.key = "launch_s",
     .type = MOE_OPT_REAL,
     .unit = "s",
     .initial = "0",
     .min = 0,
     .max = 1e-2,
     MOE_OPT_AT(moe_cluster, launch_s),
     .help = "what every kernel costs besides its work"},
    {.key = "link_bandwidth",
     .type = MOE_OPT_REAL,
     .unit = "B s-1",
     .min = 1e6,
     .max = 1e14,
     MOE_OPT_AT(moe_cluster, link_bandwidth),
     .help = "of one GPU to its node, per direction"},
    {.key = "link_efficiency",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "1",
     .min = 0.01,
     .max = 1,
     MOE_OPT_AT(moe_cluster, link_efficiency),
     .help = "share of link_bandwidth that is payload"},
    {.key = "link_latency_s",
     .type = MOE_OPT_REAL,
     .unit = "s",
     .min = 0,
     .max = 1,
     MOE_OPT_AT(moe_cluster, link_latency_s),
     .help = "of one message inside a node"},
    {.key = "link_topology",
     .type = MOE_OPT_ENUM,
     .initial = "switch",
     .choices = topologies,
     MOE_OPT_AT(moe_cluster, link_topology),
     .help = "how the GPUs of a node are connected"},
    {.key = "network_bandwidth",
     .type = MOE_OPT_REAL,
     .unit = "B s-1",
     .min = 1e6,
     .max = 1e14,
     MOE_OPT_AT(moe_cluster, network_bandwidth),
     .help = "of one GPU to other nodes, per direction"},
    {.key = "network_efficiency",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "1",
     .min = 0.01,
     .max = 1,
     MOE_OPT_AT(moe_cluster, network_efficiency),
     .help = "share of network_bandwidth that is payload"},
    {.key = "network_latency_s",
     .type = MOE_OPT_REAL,
     .unit = "s",
     .min = 0,
     .max = 1,
     MOE_OPT_AT(moe_cluster, network_latency_s),
     .help = "of one message between nodes"},
    {.key = "migration_rate",
     .type = MOE_OPT_REAL,
     .unit = "B s-1",
     .initial = "0",
     .min = 0,
     .max = 1e15,
     MOE_OPT_AT(moe_cluster, migration_rate),
     .help = "at which weights of a GPU travel; 0: that of its links "
             "(deployments say 14e9)"},
    {.key = "migration",
     .type = MOE_OPT_ENUM,
     .initial = "hidden",
     .choices = migrations,
     MOE_OPT_AT(moe_cluster, migration),
     .help = "hidden: weights travel beside compute; layer: each layer waits "
             "for its own; stop: all wait for those of all layers"},
    {.key = "overlap_slowdown",
     .type = MOE_OPT_REAL,
     .unit = "1",
     .initial = "0.245",
     .min = 0,
     .max = 0.9,
     MOE_OPT_AT(moe_cluster, overlap_slowdown),
     .help = "seconds by which a second of hidden transfer lengthens compute"},
    {.key = "planner_step_s",
     .type = MOE_OPT_REAL,
     .unit = "s",
     .initial = "2.5e-9",
     .min = 0,
     .max = 1e-3,
     MOE_OPT_AT(moe_cluster, planner_step_s),
     .help = "of the host, for each step that a planner counts"},
    {.key = "split_solver_s",
     .type = MOE_OPT_REAL,
     .unit = "s",
     .initial = "100e-6",
     .min = 0,
     .max = 1,
     MOE_OPT_AT(moe_cluster, split_solver_s),
     .help = "that a split takes to solve for how to divide a layer's pairs"},
    {.key = "origin",
     .type = MOE_OPT_TEXT,
     .initial = "",
     MOE_OPT_AT(moe_cluster, origin),
     .help = "where the numbers come from"},
    {.key = NULL}};

static moe_status check_cost(const moe_conf *root, const moe_cluster *cluster,
                             moe_error *err)
{
    if (moe_cost_find(cluster->cost) != NULL)
        return MOE_OK;
    char known[128];
    moe_cost_names(known, sizeof known);
    return moe_conf_fail(root, moe_conf_get(root, "cost"), err,
                         "cluster.cost: no cost model '%s' (there are: %s)",
                         cluster->cost, known);
}

/* A file beside the profile. @param origin  of the profile's text */
static moe_status find_tables(const char *origin, moe_cluster *cluster,
                              moe_error *err)
{
    char name[sizeof cluster->tables];
    const char *slash = strrchr(origin, '/');
    if (cluster->tables[0] == '\0' || cluster->tables[0] == '/' ||
        slash == NULL)
        return MOE_OK;
    snprintf(name, sizeof name, "%s", cluster->tables);
    const int n = snprintf(cluster->tables, sizeof cluster->tables, "%.*s/%s",
                           (int)(slash - origin), origin, name);
    return n >= 0 && (size_t)n < sizeof cluster->tables
               ? MOE_OK
               : moe_fail(err, MOE_USAGE, "%s: tables: the path is too long",
                          origin);
}

moe_status moe_cluster_parse(const char *text, const char *origin,
                             moe_cluster *out, moe_error *err)
{
    moe_conf *root = NULL;
    moe_cluster cluster = {0};
    const moe_conf_target target = {moe_cluster_options, &cluster};
    const moe_conf_schema schema = {"cluster", &target, 1, NULL};
    moe_status status = moe_conf_parse(text, origin, &root, err);
    if (status == MOE_OK)
        status = moe_conf_read(root, root, &schema, err);
    if (status == MOE_OK)
        status = check_cost(root, &cluster, err);
    if (status == MOE_OK)
        status = find_tables(origin, &cluster, err);
    moe_conf_free(root);
    if (status != MOE_OK)
        return status;
    moe_profile_name(origin, cluster.name, sizeof cluster.name);
    *out = cluster;
    return MOE_OK;
}

char *moe_cluster_text(const char *text, const moe_cluster *cluster,
                       moe_error *err)
{
    static const char key[] = "tables:";
    char *out = NULL;
    size_t size = 0;
    if (cluster->tables[0] == '\0')
        return moe_strdup(text, err);
    char *whole = realpath(cluster->tables, NULL);
    FILE *to = whole != NULL ? open_memstream(&out, &size) : NULL;
    if (to == NULL) {
        moe_fail(err, MOE_USAGE, "%s: tables: %s", cluster->tables,
                 strerror(errno));
        free(whole);
        return NULL;
    }
    for (const char *line = text; *line != '\0';) {
        const size_t n = strcspn(line, "\n");
        if (strncmp(line, key, strlen(key)) == 0)
            fprintf(to, "%s %s\n", key, whole);
        else
            fprintf(to, "%.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    free(whole);
    if (fclose(to) == 0)
        return out;
    free(out);
    moe_fail(err, MOE_NOMEM, "out of memory");
    return NULL;
}

moe_status moe_cluster_set_stack(moe_cluster *cluster, const char *stack,
                                 moe_error *err)
{
    if (stack == NULL)
        return MOE_OK;
    if (strcmp(cluster->cost, "silicon") != 0)
        return moe_fail(err, MOE_USAGE,
                        "stack: %s, but %s is priced by %s, not from measured "
                        "kernels",
                        stack, cluster->name, cluster->cost);
    if (strlen(stack) >= sizeof cluster->stack)
        return moe_fail(err, MOE_USAGE, "stack: '%s' is no name of one", stack);
    snprintf(cluster->stack, sizeof cluster->stack, "%s", stack);
    return MOE_OK;
}

typedef struct {
    const char *gpu;
    moe_cluster *out;
    bool found;
} relative;

static void match_relative(const char *name, const char *path, void *arg)
{
    relative *r = arg;
    moe_cluster c;
    char *text;
    (void)name;
    if (r->found || moe_read_text(path, &text, NULL) != MOE_OK)
        return;
    r->found = moe_cluster_parse(text, path, &c, NULL) == MOE_OK &&
               c.tables_gpu[0] != '\0' && strcmp(c.gpu, r->gpu) == 0;
    if (r->found)
        *r->out = c;
    free(text);
}

bool moe_cluster_find_relative(const char *gpu, moe_cluster *out)
{
    relative r = {gpu, out, false};
    moe_profile_each("clusters", ".yaml", match_relative, &r);
    return r.found;
}
