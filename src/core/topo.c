/* SPDX-License-Identifier: Apache-2.0 */
#include "topo_internal.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hwloc.h>

#include "moegps/mem.h"

/* PUs that ranks tell each other about: 4096, twice the largest node. */
enum { MASK_WORDS = 64 };

/* Binding as sent between ranks. */
typedef struct {
    unsigned long word[MASK_WORDS];
} cpu_mask;

/* ---- cores ---- */

/* Objects that count as cores; PUs where hwloc knows no cores. */
static hwloc_obj_type_t core_type(hwloc_topology_t topology)
{
    return hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE) > 0
               ? HWLOC_OBJ_CORE
               : HWLOC_OBJ_PU;
}

/* The cores a set of PUs touches, as a set of core numbers: ranks on two
 * hyperthreads of a core share it. */
static bool cores_of(hwloc_topology_t topology, hwloc_const_bitmap_t pus,
                     hwloc_bitmap_t cores_out)
{
    hwloc_obj_t core = NULL;
    while ((core = hwloc_get_next_obj_by_type(topology, core_type(topology),
                                              core)) != NULL)
        if (hwloc_bitmap_intersects(core->cpuset, pus) &&
            hwloc_bitmap_set(cores_out, core->logical_index) != 0)
            return false;
    return true;
}

/* Ranks looking for a core of their own: a bipartite matching. */
typedef struct {
    hwloc_bitmap_t *cores; /* [n] cores that each rank may use */
    int *owner;            /* [n_cores] rank on each core; -1: free */
    bool *seen;            /* [n_cores] visited in this search */
    int n, n_cores;
} matching;

/* Find rank r a core, moving others where they have a choice (Kuhn 1955). */
static bool place(matching *m, int r)
{
    for (int c = hwloc_bitmap_first(m->cores[r]); c >= 0;
         c = hwloc_bitmap_next(m->cores[r], c)) {
        if (m->seen[c])
            continue;
        m->seen[c] = true;
        if (m->owner[c] < 0 || place(m, m->owner[c])) {
            m->owner[c] = r;
            return true;
        }
    }
    return false;
}

/* The ranks that share cores with self, directly or through others. */
static void find_group(const matching *m, int self, bool *in_group)
{
    in_group[self] = true;
    for (bool grown = true; grown;) {
        grown = false;
        for (int r = 0; r < m->n; r++)
            for (int q = 0; q < m->n && !in_group[r]; q++)
                if (in_group[q] &&
                    hwloc_bitmap_intersects(m->cores[r], m->cores[q]))
                    in_group[r] = grown = true;
    }
}

/* Can the ranks of self's group not have a core each? */
static bool is_crowded(matching *m, int self, bool *in_group)
{
    find_group(m, self, in_group);
    for (int c = 0; c < m->n_cores; c++)
        m->owner[c] = -1;
    for (int r = 0; r < m->n; r++) {
        memset(m->seen, 0, (size_t)m->n_cores * sizeof *m->seen);
        if (in_group[r] && !place(m, r))
            return true;
    }
    return false;
}

/* ---- one rank ---- */

static int numa_node_of(hwloc_topology_t topology, hwloc_const_bitmap_t pus)
{
    hwloc_obj_t node = NULL;
    while ((node = hwloc_get_next_obj_by_type(topology, HWLOC_OBJ_NUMANODE,
                                              node)) != NULL)
        if (!hwloc_bitmap_iszero(pus) &&
            hwloc_bitmap_isincluded(pus, node->cpuset))
            return (int)node->os_index;
    return -1;
}

static const char *cpu_model_of(hwloc_topology_t topology)
{
    hwloc_obj_t package = hwloc_get_obj_by_type(topology, HWLOC_OBJ_PACKAGE, 0);
    const char *model = NULL;
    if (package != NULL)
        model = hwloc_obj_get_info_by_name(package, "CPUModel");
    if (model == NULL)
        model = hwloc_obj_get_info_by_name(hwloc_get_root_obj(topology),
                                           "CPUModel");
    if (model == NULL)
        return "";
    return model + strspn(model, " ");
}

static void write_cpuset(hwloc_const_bitmap_t pus, char *text, size_t size)
{
    int len = hwloc_bitmap_list_snprintf(text, size, pus);
    if (len >= 0 && (size_t)len >= size)
        memcpy(text + size - 4, "...", 4);
}

static void describe(const moe_topo_node *node, int self, matching *m,
                     bool *in_group, moe_topo *out)
{
    hwloc_const_bitmap_t pus = node->cpusets[self];
    hwloc_const_bitmap_t all = hwloc_get_root_obj(node->topology)->cpuset;
    hwloc_bitmap_t used = m->cores[m->n]; /* scratch: all ranks together */
    moe_topo t = {.cpu_limit = node->cpu_limit};
    for (int r = 0; r < m->n; r++) {
        hwloc_bitmap_or(used, used, m->cores[r]);
        t.sharers +=
            r == self || hwloc_bitmap_intersects(m->cores[r], m->cores[self]);
    }
    write_cpuset(pus, t.cpuset, sizeof t.cpuset);
    snprintf(t.cpu_model, sizeof t.cpu_model, "%s",
             cpu_model_of(node->topology));
    t.cores = hwloc_bitmap_weight(m->cores[self]);
    t.numa_node = numa_node_of(node->topology, pus);
    t.bound = !hwloc_bitmap_isincluded(all, pus);
    t.node_cores = hwloc_bitmap_weight(used);
    /* a quota just below a whole number of cores is meant as that number */
    t.oversubscribed =
        is_crowded(m, self, in_group) || node->cpu_limit < node->n_ranks - 0.01;
    double threads =
        fmin(t.cores / t.sharers, (node->cpu_limit + 0.01) / node->n_ranks);
    t.threads = threads > 1 ? (int)threads : 1;
    *out = t;
}

moe_status moe_topo_analyse(const moe_topo_node *node, int self, moe_topo *out,
                            moe_error *err)
{
    moe_error local = {0};
    size_t n = (size_t)node->n_ranks;
    matching m = {.n = node->n_ranks,
                  .n_cores = hwloc_get_nbobjs_by_type(
                      node->topology, core_type(node->topology))};
    bool *in_group = moe_array_new(n, sizeof *in_group, &local);
    m.cores = moe_array_new(n + 1, sizeof(hwloc_bitmap_t), &local);
    m.owner = moe_array_new((size_t)m.n_cores, sizeof *m.owner, &local);
    m.seen = moe_array_new((size_t)m.n_cores, sizeof *m.seen, &local);
    for (size_t r = 0; m.cores != NULL && r <= n; r++) {
        m.cores[r] = hwloc_bitmap_alloc();
        if (m.cores[r] == NULL ||
            (r < n && !cores_of(node->topology, node->cpusets[r], m.cores[r])))
            moe_fail(&local, MOE_NOMEM, "topology: out of memory");
    }
    if (local.status == MOE_OK)
        describe(node, self, &m, in_group, out);
    for (size_t r = 0; m.cores != NULL && r <= n; r++)
        hwloc_bitmap_free(m.cores[r]);
    free(m.seen);
    free(m.owner);
    free(m.cores);
    free(in_group);
    if (local.status != MOE_OK)
        return moe_pass(err, &local);
    return MOE_OK;
}

/* ---- this machine ---- */

/* Load with the PUs that this rank's cgroup forbids, as other ranks of the
 * node may be confined to just those. @return NULL when hwloc cannot. */
static hwloc_topology_t load_topology(void)
{
    hwloc_topology_t topology = NULL;
    if (hwloc_topology_init(&topology) != 0)
        return NULL;
    if (hwloc_topology_set_flags(topology,
                                 HWLOC_TOPOLOGY_FLAG_INCLUDE_DISALLOWED) != 0 ||
        hwloc_topology_load(topology) != 0) {
        hwloc_topology_destroy(topology);
        return NULL;
    }
    return topology;
}

/* PUs this thread may run on; those of the whole node where the system does
 * not tell. */
static moe_status read_binding(hwloc_topology_t topology, cpu_mask *mask_out,
                               moe_error *err)
{
    moe_status status = MOE_OK;
    hwloc_const_bitmap_t all = hwloc_get_root_obj(topology)->cpuset;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    if (set == NULL)
        return moe_fail(err, MOE_NOMEM, "topology: out of memory");
    if (hwloc_get_cpubind(topology, set, HWLOC_CPUBIND_THREAD) != 0)
        hwloc_bitmap_copy(set, all);
    hwloc_bitmap_and(set, set, all);
    if (hwloc_bitmap_iszero(set) ||
        hwloc_bitmap_last(set) >= MASK_WORDS * (int)sizeof(long) * CHAR_BIT)
        status = moe_fail(err, MOE_LIBRARY,
                          "topology: hwloc reports no usable binding");
    else
        hwloc_bitmap_to_ulongs(set, MASK_WORDS, mask_out->word);
    hwloc_bitmap_free(set);
    return status;
}

/* Analyse with the masks of all ranks of the node. */
static moe_status analyse_masks(hwloc_topology_t topology,
                                const cpu_mask *masks, int n, int self,
                                moe_topo *out, moe_error *err)
{
    moe_status status = MOE_OK;
    hwloc_bitmap_t *sets = moe_array_new((size_t)n, sizeof(*sets), err);
    if (sets == NULL)
        return MOE_NOMEM;
    for (int r = 0; r < n; r++) {
        sets[r] = hwloc_bitmap_alloc();
        if (sets[r] == NULL ||
            hwloc_bitmap_from_ulongs(sets[r], MASK_WORDS, masks[r].word) != 0)
            status = moe_fail(err, MOE_NOMEM, "topology: out of memory");
    }
    if (status == MOE_OK) {
        moe_topo_node node = {
            .topology = topology,
            .cpusets = (const struct hwloc_bitmap_s *const *)sets,
            .n_ranks = n,
            .cpu_limit =
                moe_topo_cpu_limit("/proc/self/cgroup", "/sys/fs/cgroup")};
        status = moe_topo_analyse(&node, self, out, err);
    }
    for (int r = 0; r < n; r++)
        hwloc_bitmap_free(sets[r]);
    free(sets);
    return status;
}

moe_status moe_topo_discover(moe_ctx *ctx, moe_topo *out)
{
    cpu_mask mine = {{0}};
    size_t n = (size_t)ctx->node_size;
    cpu_mask *masks = moe_array_new(n, sizeof *masks, &ctx->err);
    hwloc_topology_t topology = load_topology();
    if (topology == NULL)
        moe_fail(&ctx->err, MOE_LIBRARY, "topology: hwloc cannot load it");
    else
        read_binding(topology, &mine, &ctx->err);
    if (moe_agree(ctx) != MOE_OK)
        goto out;
    MOE_MPI(MPI_Allgather(&mine, MASK_WORDS, MPI_UNSIGNED_LONG, masks,
                          MASK_WORDS, MPI_UNSIGNED_LONG, ctx->node_comm));
    analyse_masks(topology, masks, ctx->node_size, ctx->node_rank, out,
                  &ctx->err);
    moe_agree(ctx);
out:
    if (topology != NULL)
        hwloc_topology_destroy(topology);
    free(masks);
    return ctx->err.status;
}

moe_status moe_topo_alone(moe_topo *out, char *node_out, size_t size,
                          moe_error *err)
{
    cpu_mask mine = {{0}};
    hwloc_topology_t t = load_topology();
    if (t == NULL)
        return moe_fail(err, MOE_LIBRARY, "topology: hwloc cannot load it");
    moe_status status = read_binding(t, &mine, err);
    if (status == MOE_OK)
        status = analyse_masks(t, &mine, 1, 0, out, err);
    if (status == MOE_OK)
        snprintf(node_out, size,
                 "packages %d, NUMA nodes %d, cores %d, hardware threads %d",
                 hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_PACKAGE),
                 hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_NUMANODE),
                 hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_CORE),
                 hwloc_get_nbobjs_by_type(t, HWLOC_OBJ_PU));
    hwloc_topology_destroy(t);
    return status;
}

char *moe_topo_xml(void)
{
    char *xml = NULL, *copy = NULL;
    int len = 0;
    hwloc_topology_t topology = load_topology();
    if (topology == NULL)
        return NULL;
    if (hwloc_topology_export_xmlbuffer(topology, &xml, &len, 0) == 0) {
        copy = moe_strdup(xml, NULL);
        hwloc_free_xmlbuffer(topology, xml);
    }
    hwloc_topology_destroy(topology);
    return copy;
}

/* ---- warnings ---- */

/* Say the sentence of the rank with the largest severity, if any is above
 * zero. Collective. */
static void warn_worst(moe_ctx *ctx, double severity, const char *sentence)
{
    struct {
        double severity;
        int rank;
    } mine = {severity, ctx->rank}, worst;
    char text[MOE_ERROR_LEN];
    MOE_MPI(
        MPI_Allreduce(&mine, &worst, 1, MPI_DOUBLE_INT, MPI_MAXLOC, ctx->comm));
    if (!(worst.severity > 0))
        return;
    snprintf(text, sizeof text, "%s", sentence);
    MOE_MPI(MPI_Bcast(text, sizeof text, MPI_CHAR, worst.rank, ctx->comm));
    moe_warn(ctx, "%s", text);
}

void moe_topo_warn(moe_ctx *ctx, const moe_topo *topo, bool paced)
{
    char text[MOE_ERROR_LEN];
    bool limited = topo->cpu_limit < ctx->node_size - 0.01;
    bool crowded = topo->oversubscribed && !limited;
    double share = (double)topo->sharers / (topo->cores > 0 ? topo->cores : 1);
    const char *so = paced ? "paced phases will end late"
                           : "wall-clock times are no result, the gpu clock is";
    snprintf(text, sizeof text,
             "oversubscribed: rank %d (%s) shares CPUs %.64s with %d more, "
             "less than a core each; %s",
             ctx->rank, ctx->host, topo->cpuset, topo->sharers - 1, so);
    warn_worst(ctx, crowded ? share : 0, text);
    snprintf(text, sizeof text,
             "not bound: rank %d (%s) shares CPUs %.64s with %d more; bind "
             "ranks (mpirun --bind-to core, srun --cpu-bind=cores)",
             ctx->rank, ctx->host, topo->cpuset, topo->sharers - 1);
    warn_worst(ctx, topo->sharers > 1 && !topo->oversubscribed ? share : 0,
               text);
    snprintf(text, sizeof text,
             "CPU limit: the cgroup of rank %d (%s) allows %.2f cores to %d "
             "ranks; %s",
             ctx->rank, ctx->host, topo->cpu_limit, ctx->node_size, so);
    warn_worst(ctx, limited ? ctx->node_size / topo->cpu_limit : 0, text);
}

void moe_topo_warn_memory(moe_ctx *ctx, double need_bytes)
{
    static const double GIB = 1024.0 * 1024 * 1024;
    char text[MOE_ERROR_LEN];
    const double left = moe_topo_memory_left();
    double need = need_bytes;
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, &need, 1, MPI_DOUBLE, MPI_SUM,
                          ctx->node_comm));
    snprintf(text, sizeof text,
             "memory: the ranks of %s need about %.2f GiB, %.2f GiB are left "
             "there (by its memory and the limits of cgroups); raise "
             "emulation.scale, or they may be killed",
             ctx->host, need / GIB, left / GIB);
    warn_worst(ctx, need > left ? need / fmax(left, 1) : 0, text);
}

void moe_topo_launcher(int cores, int ranks, char *text, size_t size)
{
#ifdef OPEN_MPI
    static const char share[] = " --oversubscribe --bind-to none"
                                " --mca mpi_yield_when_idle 1";
#else
    static const char share[] = "";
#endif
    snprintf(text, size, "mpirun -n %d%s", ranks, ranks > cores ? share : "");
}
