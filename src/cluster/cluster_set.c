/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/cluster.h"
#include "moegps/mem.h"
#include "moegps/profile.h"
#include "moegps/profile_set.h"

/* Clusters with keys that --set sets. */

/* What measured tables are scaled by: a key, and that of the tables' own GPU. */
static const struct {
    const char *key, *of_tables;
    size_t at, of_tables_at;
} scales[] = {{"link_bandwidth", "tables_link_bandwidth",
               offsetof(moe_cluster, link_bandwidth),
               offsetof(moe_cluster, tables_link_bandwidth)},
              {"memory_bandwidth", "tables_bandwidth",
               offsetof(moe_cluster, memory_bandwidth),
               offsetof(moe_cluster, tables_bandwidth)}};

/* Keys of the analytic model: measured kernels are as they were measured. */
static const char *const analytic_keys[] = {
    "peak_flops",     "vector_flops",    "compute_efficiency",
    "tile_m",         "tile_n",          "tile_fill",
    "launch_s",       "fused_attention", "link_efficiency",
    "link_latency_s", "link_topology"};

static bool is_set(const moe_strings *set, const char *key)
{
    return moe_profile_value_set("cluster", key, set) != NULL;
}

static void refuse_analytic(const moe_strings *set, const moe_cluster *c,
                            moe_error *err)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(analytic_keys); i++)
        if (is_set(set, analytic_keys[i])) {
            moe_fail(err, MOE_USAGE,
                     "--set: cluster.%s is of the analytic model, and the "
                     "kernels of %s are measured (cluster.cost=analytic prices "
                     "by it)",
                     analytic_keys[i], c->name);
            return;
        }
}

/* Tables were measured at the profile's own bandwidths, unless it says of which
 * GPU they are, or --set does. @return the text, which may be another one. */
static char *scaled(char *text, const moe_strings *set, const moe_cluster *was,
                    const moe_cluster *now, moe_error *err)
{
    bool any = false;
    if (is_set(set, "gpu") || is_set(set, "tables"))
        return text;
    for (size_t i = 0; i < MOE_ARRAY_LEN(scales) && text != NULL; i++) {
        double old, of_tables;
        char value[32];
        memcpy(&old, (const char *)was + scales[i].at, sizeof old);
        memcpy(&of_tables, (const char *)now + scales[i].of_tables_at,
               sizeof of_tables);
        if (!is_set(set, scales[i].key) || of_tables > 0)
            continue;
        snprintf(value, sizeof value, "%.17g", old);
        text = moe_profile_put(text, scales[i].of_tables, value, err);
        any = true;
    }
    return any && text != NULL && now->tables_gpu[0] == '\0'
               ? moe_profile_put(text, "tables_gpu", now->gpu, err)
               : text;
}

moe_status moe_cluster_parse_set(const char *text, const char *origin,
                                 const moe_strings *set, moe_cluster *out,
                                 char **text_out, moe_error *err)
{
    moe_cluster was, now;
    moe_error local = {0};
    const moe_profile_keys keys = {"cluster", moe_cluster_options, &now};
    char *changed = moe_profile_with(text, &keys, set, &local);
    if (changed != NULL &&
        moe_cluster_parse(text, origin, &was, &local) == MOE_OK &&
        moe_cluster_parse(changed, origin, &now, &local) == MOE_OK &&
        strcmp(now.cost, "silicon") == 0) {
        refuse_analytic(set, &now, &local);
        if (local.status == MOE_OK)
            changed = scaled(changed, set, &was, &now, &local);
    }
    if (local.status == MOE_OK &&
        moe_cluster_parse(changed, origin, out, &local) == MOE_OK)
        moe_profile_name_set(out->name, sizeof out->name, "cluster", set);
    if (text_out != NULL && local.status == MOE_OK) {
        *text_out = changed;
        changed = NULL;
    }
    free(changed);
    return moe_pass(err, &local);
}

moe_status moe_cluster_read_set(const char *name, const moe_strings *set,
                                moe_cluster *out, moe_error *err)
{
    char path[1024];
    moe_error local = {0};
    char *text = moe_profile_read("clusters", name, path, sizeof path, &local);
    if (text != NULL)
        moe_cluster_parse_set(text, path, set, out, NULL, &local);
    free(text);
    return moe_pass(err, &local);
}

moe_status moe_cluster_read(const char *name, moe_cluster *out, moe_error *err)
{
    return moe_cluster_read_set(name, &(moe_strings){.n = 0}, out, err);
}
