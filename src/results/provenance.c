/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include <hwloc.h>
#include <oneapi/dnnl/dnnl.h>

#include "moegps/mem.h"
#include "version.h"

extern char **environ;

/* Variables that change how a run behaves; all others stay private. */
static const char *const env_prefixes[] = {"SLURM_",  "OMPI_", "PMIX_", "OMP_",
                                           "MOEGPS_", "HDF5_", "DNNL_", "UCX_"};

static const struct {
    const char *variable, *attribute;
} slurm_ids[] = {
    {"SLURM_JOB_ID", "slurm_job_id"},
    {"SLURM_ARRAY_JOB_ID", "slurm_array_job_id"},
    {"SLURM_ARRAY_TASK_ID", "slurm_array_task_id"},
    {"SLURM_CLUSTER_NAME", "slurm_cluster"},
    {"SLURM_JOB_NODELIST", "slurm_nodelist"},
    {"SLURM_JOB_PARTITION", "slurm_partition"},
    {"SLURM_RESTART_COUNT", "slurm_restart_count"},
};

void moe_rank_facts_fill(moe_rank_facts *facts, const moe_ctx *ctx,
                         const moe_results_meta *meta)
{
    const moe_topo *topo = meta->topo;
    memset(facts, 0, sizeof *facts);
    snprintf(facts->host, sizeof facts->host, "%s", ctx->host);
    snprintf(facts->cpuset, sizeof facts->cpuset, "%s", topo->cpuset);
    snprintf(facts->cpu_model, sizeof facts->cpu_model, "%s", topo->cpu_model);
    facts->node = ctx->node;
    facts->gpu = meta->gpu;
    facts->numa_node = topo->numa_node;
    facts->cores = topo->cores;
    facts->threads = topo->threads;
    facts->bound = topo->bound;
    facts->oversubscribed = topo->oversubscribed;
}

/* A number stays a number, so that readers need not convert. Digests and
 * versions are text; "inf" and "nan" are too. */
static void put_fact(hid_t group, const char *name, const char *text,
                     moe_error *err)
{
    char *end = NULL;
    bool number =
        isdigit((unsigned char)text[text[0] == '-']) != 0 && strlen(text) <= 18;
    long long integer = number ? strtoll(text, &end, 10) : 0;
    if (number && *end == '\0') {
        moe_h5_put_int(group, name, integer, err);
        return;
    }
    double real = number ? strtod(text, &end) : 0;
    if (number && *end == '\0')
        moe_h5_put_real(group, name, real, err);
    else
        moe_h5_put_text(group, name, text, err);
}

static void write_config(hid_t file, const moe_results_meta *meta,
                         moe_error *err)
{
    hid_t group = moe_h5_create_group(file, "config", err);
    for (int f = 0; f < MOE_N_FACTS; f++)
        if (meta->facts->text[f][0] != '\0')
            put_fact(group, moe_fact_name((moe_fact)f), meta->facts->text[f],
                     err);
    moe_h5_write_text(group, "input", meta->config_input, err);
    moe_h5_write_text(group, "resolved", meta->config_resolved, err);
    moe_h5_write_text(group, "model_profile", meta->model_profile, err);
    moe_h5_write_text(group, "cluster_profile", meta->cluster_profile, err);
    moe_h5_write_text(group, "command_line", meta->command_line, err);
    moe_h5_close(group);
}

/* What a clock can resolve, and what asking it costs. */
static void put_clock(hid_t group, const char *name, clockid_t clock,
                      moe_error *err)
{
    enum { READS = 2000 };
    char key[64];
    struct timespec t[3];
    clock_getres(clock, &t[0]);
    snprintf(key, sizeof key, "%s_clock_resolution_s", name);
    moe_h5_put_real(group, key,
                    (double)t[0].tv_sec + 1e-9 * (double)t[0].tv_nsec, err);
    clock_gettime(CLOCK_MONOTONIC, &t[0]);
    for (int i = 0; i < READS; i++)
        clock_gettime(clock, &t[2]);
    clock_gettime(CLOCK_MONOTONIC, &t[1]);
    double elapsed = (double)(t[1].tv_sec - t[0].tv_sec) +
                     1e-9 * (double)(t[1].tv_nsec - t[0].tv_nsec);
    snprintf(key, sizeof key, "%s_clock_overhead_s", name);
    moe_h5_put_real(group, key, elapsed / READS, err);
}

static void put_libraries(hid_t group, moe_error *err)
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int len = 0;
    unsigned v[3];
    MOE_MPI(MPI_Get_library_version(text, &len));
    moe_h5_put_text(group, "mpi_library", text, err);
    H5get_libversion(&v[0], &v[1], &v[2]);
    snprintf(text, sizeof text, "%u.%u.%u", v[0], v[1], v[2]);
    moe_h5_put_text(group, "hdf5_version", text, err);
    moe_h5_put_text(group, "hwloc_version", HWLOC_VERSION, err);
    const dnnl_version_t *dnnl = dnnl_version();
    snprintf(text, sizeof text, "%d.%d.%d", dnnl->major, dnnl->minor,
             dnnl->patch);
    moe_h5_put_text(group, "onednn_version", text, err);
    moe_h5_put_text(group, "compiler", MOE_CC " " __VERSION__, err);
    moe_h5_put_text(group, "cflags", MOE_CFLAGS, err);
    struct utsname os;
    if (uname(&os) == 0) {
        snprintf(text, sizeof text, "%s %s %s", os.sysname, os.release,
                 os.machine);
        moe_h5_put_text(group, "os", text, err);
    }
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool allowed(const char *variable)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(env_prefixes); i++)
        if (strncmp(variable, env_prefixes[i], strlen(env_prefixes[i])) == 0)
            return true;
    return false;
}

/* The allowed part of the environment, sorted, one variable per line. */
static void write_env(hid_t group, moe_error *err)
{
    size_t n = 0, kept = 0, len = 0, used = 0;
    while (environ[n] != NULL)
        len += strlen(environ[n++]) + 1;
    const char **list = moe_array_new(n, sizeof *list, err);
    char *text = moe_array_new(len + 1, 1, err);
    if (list != NULL && text != NULL) {
        for (size_t i = 0; i < n; i++)
            if (allowed(environ[i]))
                list[kept++] = environ[i];
        qsort(list, kept, sizeof *list, compare_texts);
        for (size_t i = 0; i < kept; i++)
            used +=
                (size_t)snprintf(text + used, len + 1 - used, "%s\n", list[i]);
        moe_h5_write_text(group, "env", text, err);
    }
    free(text);
    free(list);
}

/* One column of the ranks' facts. */
typedef struct rank_column {
    const char *name, *long_name;
    size_t offset;
    enum { TEXT, NUMBER, FLAG } kind;
} rank_column;

#define AT(member) offsetof(moe_rank_facts, member)

static const rank_column fact_table[] = {
    {"host", "host name", AT(host), TEXT},
    {"node", "shared-memory node", AT(node), NUMBER},
    {"gpu", "emulated GPU, -1: coordinator", AT(gpu), NUMBER},
    {"cpuset", "processing units the rank may use", AT(cpuset), TEXT},
    {"numa_node", "NUMA node, -1: several", AT(numa_node), NUMBER},
    {"cores", "physical cores the rank may use", AT(cores), NUMBER},
    {"threads", "OpenMP threads", AT(threads), NUMBER},
    {"cpu_model", "processor", AT(cpu_model), TEXT},
    {"bound", "may use a part of the node only", AT(bound), FLAG},
    {"oversubscribed", "ranks share cores", AT(oversubscribed), FLAG},
};

static void write_texts(hid_t group, const rank_column *fact,
                        const moe_rank_facts *facts, size_t n, moe_error *err)
{
    const moe_h5_spec spec = {.name = fact->name,
                              .rank = 1,
                              .dims = {"rank"},
                              .long_name = fact->long_name};
    const char **texts = moe_array_new(n, sizeof *texts, err);
    for (size_t r = 0; texts != NULL && r < n; r++)
        texts[r] = (const char *)&facts[r] + fact->offset;
    if (texts != NULL)
        moe_h5_write_strings(group, &spec, texts, err);
    free(texts);
}

static void write_numbers(hid_t group, const rank_column *fact,
                          const moe_rank_facts *facts, size_t n, moe_error *err)
{
    moe_h5_spec spec = {.name = fact->name,
                        .type =
                            fact->kind == FLAG ? H5T_STD_I8LE : H5T_STD_I32LE,
                        .rank = 1,
                        .dims = {"rank"},
                        .long_name = fact->long_name};
    const moe_h5_block all = {.count = {n}};
    int32_t *values = moe_array_new(n, sizeof *values, err);
    for (size_t r = 0; values != NULL && r < n; r++) {
        const char *at = (const char *)&facts[r] + fact->offset;
        if (fact->kind == FLAG)
            values[r] = *(const int8_t *)at;
        else
            memcpy(&values[r], at, sizeof values[r]);
    }
    hid_t dataset = moe_h5_create_dataset(group, &spec, err);
    if (fact->kind == FLAG)
        moe_h5_put_flags(dataset, spec.type, 2, "no yes", err);
    moe_h5_write_block(dataset, &all, H5T_NATIVE_INT32, values, H5P_DEFAULT,
                       err);
    moe_h5_close(dataset);
    free(values);
}

static void write_topology(hid_t group, moe_error *err)
{
    char *xml = err->status == MOE_OK ? moe_topo_xml() : NULL;
    if (xml != NULL)
        moe_h5_write_text(group, "topology_xml", xml, err);
    free(xml);
}

void moe_provenance_write(hid_t file, const moe_ctx *ctx,
                          const moe_skeleton *skeleton, moe_error *err)
{
    const moe_rank_facts *facts = skeleton->facts;
    const bool mpio = skeleton->mpio;
    write_config(file, skeleton->meta, err);
    hid_t group = moe_h5_create_group(file, "provenance", err);
    size_t n = (size_t)ctx->size;
    moe_h5_put_int(group, "ranks", ctx->size, err);
    moe_h5_put_int(group, "nodes", ctx->n_nodes, err);
    moe_h5_put_text(group, "writer", mpio ? "mpio" : "serial", err);
    moe_h5_put_text(group, "mpi_io_component", mpio ? "unknown" : "unused",
                    err);
    put_libraries(group, err);
    put_clock(group, "wall", CLOCK_MONOTONIC, err);
    put_clock(group, "cpu", CLOCK_PROCESS_CPUTIME_ID, err);
    for (size_t i = 0; i < MOE_ARRAY_LEN(slurm_ids); i++)
        if (getenv(slurm_ids[i].variable) != NULL)
            moe_h5_put_text(group, slurm_ids[i].attribute,
                            getenv(slurm_ids[i].variable), err);
    moe_h5_scale(group, "rank", n, NULL, "MPI rank", err);
    for (size_t i = 0; i < MOE_ARRAY_LEN(fact_table); i++)
        if (fact_table[i].kind == TEXT)
            write_texts(group, &fact_table[i], facts, n, err);
        else
            write_numbers(group, &fact_table[i], facts, n, err);
    write_env(group, err);
    write_topology(group, err);
    moe_h5_close(group);
}
