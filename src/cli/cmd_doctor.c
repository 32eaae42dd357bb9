/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <dnnl.h>
#include <hdf5.h>
#include <mpi.h>

#include "args.h"
#include "moegps/mem.h"
#include "moegps/profile.h"
#include "moegps/topo.h"
#include "version.h"

static const double GIB = 1024.0 * 1024 * 1024;

/* Below these a run is likely to fail: a small trace in shared memory takes
 * tens of megabytes, weights of a rank at scale 8 hundreds. */
static const double LEAST_SHARED_BYTES = 0.5 * 1024 * 1024 * 1024;
static const double LEAST_MEMORY_BYTES = 2.0 * 1024 * 1024 * 1024;

typedef enum { OK, WARN, MISSING } verdict;

/* One line: verdict, what, detail. */
static void say(verdict v, const char *what, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void say(verdict v, const char *what, const char *fmt, ...)
{
    static const char *const words[] = {
        [OK] = "ok", [WARN] = "warn", [MISSING] = "missing"};
    va_list ap;
    va_start(ap, fmt);
    printf("%-8s %-14s ", words[v], what);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
}

/* What to do about the line above. */
static void advise(const char *advice)
{
    printf("%-8s %-14s -> %s\n", "", "", advice);
}

/* ---- libraries ---- */

static void check_build(void)
{
    say(OK, "moegps", "%s, built with %s for %s", MOE_VERSION, MOE_CC,
        MOE_PREFIX);
}

static void check_mpi(void)
{
    char library[MPI_MAX_LIBRARY_VERSION_STRING] = "";
    int len = 0, version = 0, subversion = 0;
    MPI_Get_library_version(library, &len);
    MPI_Get_version(&version, &subversion);
    library[strcspn(library, ",\n")] = '\0';
    say(OK, "MPI", "%s, standard %d.%d", library, version, subversion);
}

static bool check_hdf5(void)
{
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
#ifdef H5_HAVE_PARALLEL
    say(OK, "HDF5", "%u.%u.%u, parallel", major, minor, release);
    return true;
#else
    say(MISSING, "HDF5", "%u.%u.%u without MPI", major, minor, release);
    advise("build with a parallel HDF5 (Debian: libhdf5-openmpi-dev)");
    return false;
#endif
}

/* Best first: an instruction set contains those after it. */
static const struct {
    dnnl_cpu_isa_t isa;
    const char *name;
} isas[] = {
    {dnnl_cpu_isa_avx512_core_amx, "AVX-512 with AMX"},
    {dnnl_cpu_isa_avx512_core_bf16, "AVX-512 with bf16"},
    {dnnl_cpu_isa_avx512_core_vnni, "AVX-512 with VNNI"},
    {dnnl_cpu_isa_avx512_core, "AVX-512"},
    {dnnl_cpu_isa_avx2_vnni, "AVX2 with VNNI"},
    {dnnl_cpu_isa_avx2, "AVX2"},
    {dnnl_cpu_isa_avx, "AVX"},
    {dnnl_cpu_isa_sse41, "SSE 4.1"},
};

static bool has_isa(dnnl_cpu_isa_t wanted)
{
    unsigned have = (unsigned)dnnl_get_effective_cpu_isa();
    return (have & (unsigned)wanted) == (unsigned)wanted;
}

static void check_dnnl(void)
{
    const dnnl_version_t *v = dnnl_version();
    const char *isa = "generic code";
    for (size_t i = MOE_ARRAY_LEN(isas); i-- > 0;)
        if (has_isa(isas[i].isa))
            isa = isas[i].name;
    say(OK, "oneDNN", "%d.%d.%d, uses %s", v->major, v->minor, v->patch, isa);
    if (has_isa(dnnl_cpu_isa_avx512_core_bf16)) {
        say(OK, "bf16", "native");
    } else if (has_isa(dnnl_cpu_isa_avx512_core)) {
        say(WARN, "bf16", "emulated with AVX-512, slower than f32");
        advise("set emulation.dtype: f32 for wall-clock results");
    } else {
        say(WARN, "bf16", "not on this CPU");
        advise("experts run in f32; the gpu clock does not change");
    }
}

/* ---- cores ---- */

static bool check_cores(void)
{
    moe_topo topo;
    char node[128];
    moe_error err = {0};
    if (moe_topo_alone(&topo, node, sizeof node, &err) != MOE_OK) {
        say(MISSING, "topology", "%s", err.text);
        return false;
    }
    say(OK, "CPU", "%s",
        topo.cpu_model[0] != '\0' ? topo.cpu_model : "model unknown");
    say(OK, "topology", "%s", node);
    if (topo.cores > 1) {
        say(OK, "cores", "%d may be used (CPUs %s)", topo.cores, topo.cpuset);
    } else {
        say(WARN, "cores", "only one may be used (CPUs %s)", topo.cpuset);
        advise("ranks will share it; of several, only the gpu clock counts");
    }
    const int more = topo.cores < 8 ? 8 : 2 * topo.cores;
    char line[160];
    moe_topo_launcher(topo.cores, more, line, sizeof line);
    say(OK, "more ranks", "than cores: %s moegps run ...", line);
    if (isinf(topo.cpu_limit)) {
        say(OK, "CPU limit", "none");
    } else if (topo.cpu_limit >= topo.cores - 0.01) {
        say(OK, "CPU limit", "%.2f cores", topo.cpu_limit);
    } else {
        say(WARN, "CPU limit", "%.2f of %d cores", topo.cpu_limit, topo.cores);
        advise("run no more ranks than that, or raise the cgroup's limit");
    }
    return true;
}

/* ---- memory ---- */

static bool check_shared_memory(void)
{
    struct statvfs fs;
    if (statvfs("/dev/shm", &fs) != 0) {
        say(MISSING, "shared memory", "no /dev/shm");
        advise("mount a tmpfs there: ranks of a node share traces and buffers");
        return false;
    }
    double free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
    double all_bytes = (double)fs.f_blocks * (double)fs.f_frsize;
    bool enough = free_bytes >= LEAST_SHARED_BYTES;
    say(enough ? OK : WARN, "shared memory",
        "%.1f of %.1f GiB free in /dev/shm", free_bytes / GIB, all_bytes / GIB);
    if (!enough)
        advise("enlarge it (containers: --shm-size=2g)");
    return true;
}

static void check_memory(void)
{
    const double all = moe_topo_memory_all(), left = moe_topo_memory_left();
    bool enough = left >= LEAST_MEMORY_BYTES;
    say(enough ? OK : WARN, "memory", "%.1f of %.1f GiB may be used",
        left / GIB, all / GIB);
    if (!enough)
        advise("raise emulation.scale: weights shrink with its square");
}

/* ---- programs ---- */

static bool find_program(const char *name, char *path_out, size_t size)
{
    const char *at = getenv("PATH");
    while (at != NULL && *at != '\0') {
        size_t len = strcspn(at, ":");
        snprintf(path_out, size, "%.*s/%s", (int)len, at, name);
        if (access(path_out, X_OK) == 0)
            return true;
        at += len + (at[len] == ':');
    }
    return false;
}

static void check_launcher(void)
{
    char path[1024];
    if (!find_program("mpirun", path, sizeof path)) {
        say(MISSING, "mpirun", "not in PATH");
        advise("fine under srun; else install it (Debian: openmpi-bin)");
    } else if (geteuid() == 0 && getenv("OMPI_ALLOW_RUN_AS_ROOT") == NULL) {
        say(WARN, "mpirun", "%s, and Open MPI refuses to run as root", path);
        advise("export OMPI_ALLOW_RUN_AS_ROOT=1 "
               "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
    } else {
        say(OK, "mpirun", "%s", path);
    }
}

static void check_gnuplot(void)
{
    char path[1024];
    if (find_program("gnuplot", path, sizeof path)) {
        say(OK, "gnuplot", "%s", path);
        return;
    }
    say(MISSING, "gnuplot", "not in PATH: reports have tables but no figures");
    advise("install it (Debian: gnuplot-nox)");
}

static void check_slurm(void)
{
    char path[1024];
    const char *job = getenv("SLURM_JOB_ID");
    if (job != NULL) {
        say(OK, "Slurm", "inside job %s", job);
    } else if (find_program("sbatch", path, sizeof path)) {
        say(OK, "Slurm", "%s", path);
    } else {
        say(MISSING, "Slurm", "no sbatch in PATH");
        advise("not needed on one machine: use mpirun");
    }
}

/* ---- profiles ---- */

static void count(const char *name, const char *path, void *arg)
{
    (void)name;
    (void)path;
    ++*(int *)arg;
}

static void check_profiles(void)
{
    int models = 0, clusters = 0, traces = 0;
    moe_profile_each("models", ".yaml", count, &models);
    moe_profile_each("clusters", ".yaml", count, &clusters);
    moe_profile_each("traces", ".h5", count, &traces);
    bool all = models > 0 && clusters > 0 && traces > 0;
    say(all ? OK : WARN, "profiles", "%d models, %d clusters, %d traces",
        models, clusters, traces);
    if (!all)
        advise("run where ./jobs is, set MOEGPS_JOBS, or `make install`");
}

static const moe_args args = {
    .name = "moegps doctor",
    .example = "moegps doctor",
    .help = "Say what this machine and this build can do; exit 1 when runs "
            "cannot work."};

/* @return whether runs can work. */
static bool examine(void)
{
    check_build();
    check_mpi();
    bool able = check_hdf5();
    check_dnnl();
    able = check_cores() && able;
    able = check_shared_memory() && able;
    check_memory();
    check_launcher();
    check_gnuplot();
    check_slurm();
    check_profiles();
    return able;
}

int moe_cmd_doctor(int argc, char **argv)
{
    moe_error err = {0};
    const bool go_on = moe_args_parse(&args, argc, argv, NULL, &err);
    const int rc = moe_args_end(&args, NULL, &err);
    return go_on && !examine() ? 1 : rc;
}
