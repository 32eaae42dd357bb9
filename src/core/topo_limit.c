/* SPDX-License-Identifier: Apache-2.0 */
#include "topo_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Limits of control groups: containers and batch systems set them. */

enum { PATH_SIZE = 1024 };

/* First line of a small file. @return false when it cannot be read. */
static bool read_line(const char *path, char *line, size_t size)
{
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return false;
    bool ok = fgets(line, (int)size, f) != NULL;
    fclose(f);
    return ok;
}

/* cpu.max: "QUOTA PERIOD" in us, or "max PERIOD". */
static double limit_v2(const char *folder)
{
    char path[PATH_SIZE + 16], line[64];
    double quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!read_line(path, line, sizeof line) ||
        sscanf(line, "%lf %lf", &quota, &period) != 2 || period <= 0)
        return INFINITY;
    return quota / period;
}

/* cpu.cfs_quota_us and cpu.cfs_period_us; a quota of -1 is none. */
static double limit_v1(const char *folder)
{
    char path[PATH_SIZE + 32], line[64];
    double quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_line(path, line, sizeof line) ||
        sscanf(line, "%lf", &quota) != 1 || quota <= 0)
        return INFINITY;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!read_line(path, line, sizeof line) ||
        sscanf(line, "%lf", &period) != 1 || period <= 0)
        return INFINITY;
    return quota / period;
}

/* A file of one number of bytes. @return false when it has none: "max". */
static bool read_bytes(const char *folder, const char *name, double *out)
{
    char path[PATH_SIZE + 64], line[64], *end;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!read_line(path, line, sizeof line))
        return false;
    *out = strtod(line, &end);
    return end != line && *out >= 0;
}

/* Of memory.stat: cached files, which go when memory is wanted. */
static double read_cached(const char *folder, const char *key)
{
    char path[PATH_SIZE + 64], line[128];
    double bytes = 0;
    snprintf(path, sizeof path, "%s/memory.stat", folder);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ' ')
            bytes = strtod(line + strlen(key), NULL);
    if (f != NULL)
        fclose(f);
    return bytes;
}

static double left_of(double limit, double used, double cached)
{
    const double busy = used > cached ? used - cached : 0;
    return limit > busy ? limit - busy : 0;
}

static double memory_v2(const char *folder)
{
    double limit = 0, used = 0;
    if (!read_bytes(folder, "memory.max", &limit) ||
        !read_bytes(folder, "memory.current", &used))
        return INFINITY;
    return left_of(limit, used, read_cached(folder, "inactive_file"));
}

static double memory_v1(const char *folder)
{
    double limit = 0, used = 0;
    if (!read_bytes(folder, "memory.limit_in_bytes", &limit) ||
        !read_bytes(folder, "memory.usage_in_bytes", &used))
        return INFINITY;
    return left_of(limit, used, read_cached(folder, "total_inactive_file"));
}

/* The least limit of a cgroup and of those that contain it. */
static double limit_upwards(const char *mount, const char *group,
                            double (*limit_of)(const char *folder))
{
    char folder[PATH_SIZE];
    size_t base = strlen(mount);
    int len = snprintf(folder, sizeof folder, "%s%s", mount, group);
    if (len < 0 || (size_t)len >= sizeof folder)
        return INFINITY;
    double limit = limit_of(folder);
    for (char *slash; (slash = strrchr(folder, '/')) != NULL &&
                      (size_t)(slash - folder) >= base;) {
        *slash = '\0';
        limit = fmin(limit, limit_of(folder));
    }
    return limit;
}

/* Does a comma-separated list of controllers hold this one? */
static bool controls(const char *list, const char *controller)
{
    for (const char *at = list; *at != '\0'; at += *at == ',') {
        size_t len = strcspn(at, ",");
        if (len == strlen(controller) && strncmp(at, controller, len) == 0)
            return true;
        at += len;
    }
    return false;
}

/* What is limited, and how both versions say it. */
typedef struct {
    const char *controller; /* of version 1 */
    double (*v1)(const char *folder), (*v2)(const char *folder);
} resource;

static double least_limit(const resource *r, const char *proc_cgroup,
                          const char *mount)
{
    double limit = INFINITY;
    char line[PATH_SIZE], base[2 * PATH_SIZE];
    FILE *f = fopen(proc_cgroup, "r");
    if (f == NULL)
        return limit;
    while (fgets(line, sizeof line, f) != NULL) { /* ID:CONTROLLERS:/PATH */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL)
            continue;
        controllers++;
        *group++ = '\0';
        if (*controllers == '\0') {
            limit = fmin(limit, limit_upwards(mount, group, r->v2));
        } else if (controls(controllers, r->controller)) {
            snprintf(base, sizeof base, "%s/%s", mount, controllers);
            limit = fmin(limit, limit_upwards(base, group, r->v1));
            snprintf(base, sizeof base, "%s/%s", mount, r->controller);
            limit = fmin(limit, limit_upwards(base, group, r->v1));
        }
    }
    fclose(f);
    return limit;
}

double moe_topo_cpu_limit(const char *proc_cgroup, const char *mount)
{
    static const resource cpu = {"cpu", limit_v1, limit_v2};
    return least_limit(&cpu, proc_cgroup, mount);
}

double moe_topo_memory_limit(const char *proc_cgroup, const char *mount)
{
    static const resource memory = {"memory", memory_v1, memory_v2};
    return least_limit(&memory, proc_cgroup, mount);
}

/* A line "KEY: N kB" of /proc/meminfo, in bytes; inf when there is none. */
static double read_meminfo(const char *key)
{
    char line[128];
    double bytes = INFINITY;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
            bytes = 1024 * strtod(line + strlen(key) + 1, NULL);
    if (f != NULL)
        fclose(f);
    return bytes;
}

double moe_topo_memory_left(void)
{
    return fmin(read_meminfo("MemAvailable"),
                moe_topo_memory_limit("/proc/self/cgroup", "/sys/fs/cgroup"));
}

double moe_topo_memory_all(void)
{
    return read_meminfo("MemTotal");
}
