/** cluster.h: the machine that the gpu clock prices: GPU, links, and which
 *  cost model speaks for it.
 *
 *  Profiles are jobs/clusters/NAME.yaml; every number there says where it
 *  comes from. Bandwidths are per direction and GPU, in B/s.
 */
#ifndef MOEGPS_CLUSTER_H
#define MOEGPS_CLUSTER_H

#include <stdbool.h>

#include "moegps/options.h"
#include "moegps/status.h"

typedef enum moe_link_topology {
    MOE_LINK_SWITCH, /* every GPU reaches every other at full speed */
    MOE_LINK_RING,   /* neighbours only; collectives go round */
    MOE_LINK_MESH    /* a link to each other GPU of the node, which share the
                        GPU's bandwidth evenly */
} moe_link_topology;

/** What waits for weights that travel. */
typedef enum moe_migration {
    MOE_MIGRATION_HIDDEN, /* who needs them: they travel in the background */
    MOE_MIGRATION_LAYER,  /* their layer, which begins when they are there */
    MOE_MIGRATION_STOP /* all: no layer begins before those of all are there */
} moe_migration;

/* Errors of analytic prices by validation, as moe_price states them; 0:
 * unknown. */
typedef struct moe_cluster_error {
    double two_thirds, p90;
} moe_cluster_error;

typedef struct moe_cluster {
    char name[64];
    char gpu[32];        /* a100_sxm, h100_sxm, l40s, ... */
    char cost[32];       /* name of the cost model: see cost.h */
    char stack[32];      /* silicon: kernel library; else empty */
    char tables_gpu[32]; /* silicon: GPU whose tables are used; empty: gpu */
    char tables[512];    /* silicon: file of measured tables; empty: the
                                bundled ones */
    double tables_bandwidth; /* silicon: memory bandwidth of that GPU, B/s, to
                                scale memory-bound time by; 0: not scaled */
    double tables_link_bandwidth; /* likewise of its links, B/s */
    moe_cluster_error error_gemm, error_attention, error_ffn, error_link;
    int gpus_per_node;
    double memory_bytes;       /* of one GPU */
    double memory_bandwidth;   /* B/s */
    double peak_flops;         /* dense bf16 tensor FLOP/s */
    double fp8_flops;          /* dense fp8 tensor FLOP/s; 0: as peak_flops */
    double vector_flops;       /* FLOP/s outside the tensor cores */
    double compute_efficiency; /* share of peak a large GEMM reaches */
    double memory_efficiency;  /* share of bandwidth a large copy reaches */
    int sms;                   /* streaming multiprocessors: a wave */
    int tile_m, tile_n;        /* output tile of one SM, rows and columns: the
                                  granularity that GEMM times show */
    int tile_fill;             /* inner steps lost to filling and draining the
                                  pipeline of a tile */
    bool fused_attention;      /* scores stay on chip, masked half skipped */
    double launch_s;           /* of one kernel */
    double link_bandwidth;     /* inside a node, B/s */
    double link_efficiency;    /* share of it that is payload */
    double link_latency_s;     /* inside a node, one message */
    moe_link_topology link_topology;
    double network_bandwidth;  /* between nodes, B/s per GPU */
    double network_efficiency; /* share of it that is payload */
    double network_latency_s;
    double migration_rate;   /* B/s at which a GPU's weights travel; 0: at that
                                of the links */
    moe_migration migration; /* what waits for them */
    double overlap_slowdown; /* s of compute lost per s of transfer beside it;
                                default: 105 us per 429 us hidden, published
                                for weights that travel beside attention */
    double planner_step_s;   /* s of host time per step that a planner counts
                                (moe_planner_steps()); default: of `timed` on one
                                core, as bench_planner.c prints it */
    double split_solver_s;   /* s by which a split that solves for the best
                                division delays dispatch; default: what LPLB
                                says of its solver on a GPU inside a node
                                (github.com/deepseek-ai/LPLB, README) */
    char origin[512];        /* where the numbers come from */
} moe_cluster;

extern const moe_opt moe_cluster_options[];

/** Read a profile from YAML text. Not collective.
 *  @param origin  file name for messages; without a `name` key its last part,
 *  less the suffix, becomes the cluster's name.
 *  @return MOE_OK, MOE_USAGE (unknown key, out of range, no such cost
 *  model). */
moe_status moe_cluster_parse(const char *text, const char *origin,
                             moe_cluster *out, moe_error *err);

/** @return the text of a profile for files that lie elsewhere: its tables, if
 *  any, by their whole path; to be freed. NULL with MOE_USAGE (they are not
 *  there), MOE_NOMEM. */
char *moe_cluster_text(const char *text, const moe_cluster *cluster,
                       moe_error *err);

/** Find a profile by name or path (profile.h), read and parse it. Not
 *  collective. @return as moe_profile_read() and moe_cluster_parse(). */
moe_status moe_cluster_read(const char *name, moe_cluster *out, moe_error *err);

/** The same with keys set by "cluster.KEY=VALUE"; assignments of other kinds are
 *  left alone. Measured prices are scaled from the profile's own bandwidths to
 *  those that are set; keys of the analytic model alone are refused there. */
moe_status moe_cluster_read_set(const char *name, const moe_strings *set,
                                moe_cluster *out, moe_error *err);

/** The same of a profile's text.
 *  @param text_out  the text as it was read, to be freed; NULL: not wanted. */
moe_status moe_cluster_parse_set(const char *text, const char *origin,
                                 const moe_strings *set, moe_cluster *out,
                                 char **text_out, moe_error *err);

/** Take another library's kernels for the experts; NULL: those of the profile.
 *  @return MOE_OK, MOE_USAGE (the cluster is not priced from measurements). That
 *  no such stack was measured is found by moe_cost_new(). */
moe_status moe_cluster_set_stack(moe_cluster *cluster, const char *stack,
                                 moe_error *err);

/** Find the first profile, by name, of a GPU that is priced with the tables of
 *  another (tables_gpu). Not collective. @return whether there is one. */
bool moe_cluster_find_relative(const char *gpu, moe_cluster *out);

#endif
