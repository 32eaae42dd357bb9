/** topo.h: which cores this rank may use, and whether ranks share them.
 *
 *  Wall-clock results mean something only with a core per rank; this module
 *  finds out (hwloc), and everything that prints a time says so.
 */
#ifndef MOEGPS_TOPO_H
#define MOEGPS_TOPO_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/ctx.h"
#include "moegps/status.h"

typedef struct moe_topo {
    char cpuset[256];    /* hwloc list format, "0-3,8": PUs of this rank */
    char cpu_model[128]; /* "AMD EPYC 9354 32-Core Processor"; empty: unknown */
    int cores;           /* physical cores this rank may use */
    int numa_node;       /* that holds them; -1: several or unknown */
    bool bound;          /* may use fewer PUs than the node has */
    int sharers;         /* ranks of this node whose cores overlap, self too */
    int node_cores;      /* physical cores of all ranks of the node together */
    bool oversubscribed; /* the ranks that share cores with this one, directly
                            or through others, cannot each have one; or the
                            CPU limit is below one core per rank of the node */
    int threads;         /* for OpenMP: cores / sharers and the rank's part of
                            the CPU limit, at least 1 */
    double cpu_limit;    /* cgroup CPU limit in cores; inf: none */
} moe_topo;

/** Describe this rank. Collective over ctx (asks the ranks of the node).
 *  @return merged status: MOE_OK, MOE_LIBRARY, MOE_NOMEM. */
moe_status moe_topo_discover(moe_ctx *ctx, moe_topo *out);

/** XML of the node's topology, heap; the caller frees it. Not collective.
 *  @return NULL when hwloc cannot. */
char *moe_topo_xml(void);

/** Warn about oversubscription, missing binding and CPU limits. Collective
 *  (the worst rank is named). @param paced  ranks keep a GPU's pace: they
 *  sleep most of the time, and the run itself says how late they were. */
void moe_topo_warn(moe_ctx *ctx, const moe_topo *topo, bool paced);

/** @return bytes of memory that processes here may still take: the least of what
 *  the node has and what cgroups leave; and all that the node has. Not
 *  collective. inf where the system does not say. */
double moe_topo_memory_left(void);
double moe_topo_memory_all(void);

/** Warn when ranks need more memory than their nodes have left. Collective; the
 *  worst node is named. @param need_bytes  of this rank. */
void moe_topo_warn_memory(moe_ctx *ctx, double need_bytes);

/** Describe this process as if it were alone on its node. Not collective;
 *  MPI need not be initialised.
 *  @param node_out  [size] a line about the node: packages, NUMA nodes, cores
 *  and PUs.
 *  @return MOE_OK, MOE_LIBRARY, MOE_NOMEM. */
moe_status moe_topo_alone(moe_topo *out, char *node_out, size_t size,
                          moe_error *err);

/** Write how as many ranks are started on this machine: with what lets them
 *  share cores, if there are more of them than cores.
 *  @param cores  that may be used */
void moe_topo_launcher(int cores, int ranks, char *text, size_t size);

#endif
