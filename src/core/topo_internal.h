/* topo_internal.h: the parts of topo.c and topo_limit.c, for their test. */
#ifndef MOEGPS_CORE_TOPO_INTERNAL_H
#define MOEGPS_CORE_TOPO_INTERNAL_H

#include "moegps/topo.h"

struct hwloc_topology;
struct hwloc_bitmap_s;

/** A node as moe_topo_analyse() sees it. All borrowed. */
typedef struct moe_topo_node {
    struct hwloc_topology *topology;             /* loaded */
    const struct hwloc_bitmap_s *const *cpusets; /* [n_ranks] PUs of each */
    int n_ranks;                                 /* of the node */
    double cpu_limit;                            /* cores; inf: none */
} moe_topo_node;

/** Describe one rank of a node. Not collective, pure: needs no MPI and no
 *  machine but the one in `node`.
 *  @param self  which of the ranks, 0..n_ranks-1.
 *  @return MOE_OK, MOE_LIBRARY, MOE_NOMEM. */
moe_status moe_topo_analyse(const moe_topo_node *node, int self, moe_topo *out,
                            moe_error *err);

/** CPU limit of this process's cgroup and those above it, version 2 or 1.
 *  Not collective.
 *  @param proc_cgroup  normally "/proc/self/cgroup".
 *  @param mount        normally "/sys/fs/cgroup".
 *  @return cores; inf without a limit or where it cannot be read. */
double moe_topo_cpu_limit(const char *proc_cgroup, const char *mount);

/** Memory that this process's cgroup and those above it leave: limit minus use,
 *  without cached files. As above. @return bytes; inf without a limit. */
double moe_topo_memory_limit(const char *proc_cgroup, const char *mount);

#endif
