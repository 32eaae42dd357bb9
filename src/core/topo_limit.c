/* SPDX-License-Identifier: Apache-2.0 */
#include "topo_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* CPU limits of control groups: containers and batch systems set them. */

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

/* Does a comma-separated list of controllers hold "cpu"? */
static bool controls_cpu(const char *list)
{
    for (const char *at = list; *at != '\0'; at += *at == ',') {
        size_t len = strcspn(at, ",");
        if (len == 3 && strncmp(at, "cpu", 3) == 0)
            return true;
        at += len;
    }
    return false;
}

double moe_topo_cpu_limit(const char *proc_cgroup, const char *mount)
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
            limit = fmin(limit, limit_upwards(mount, group, limit_v2));
        } else if (controls_cpu(controllers)) {
            snprintf(base, sizeof base, "%s/%s", mount, controllers);
            limit = fmin(limit, limit_upwards(base, group, limit_v1));
            snprintf(base, sizeof base, "%s/cpu", mount);
            limit = fmin(limit, limit_upwards(base, group, limit_v1));
        }
    }
    fclose(f);
    return limit;
}
