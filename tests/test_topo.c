/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/core/topo_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <hwloc.h>

#include "harness.h"
#include "moegps/mem.h"

enum { MAX_RANKS = 6 };

/* PUs of "pack:2 numa:2 core:4 pu:2" by index: core c has PUs 2c and 2c+1,
 * NUMA node d has PUs 8d..8d+7; 16 cores, 32 PUs. */
static const char *const MACHINE = "pack:2 numa:2 core:4 pu:2";

static const struct {
    const char *name;
    const char *cpuset[MAX_RANKS];
    int self;
    double limit;
    /* expected */
    int cores, numa, sharers, node_cores, threads;
    bool bound, crowded;
} cases[] = {
    {"alone and unbound", {"0-31"}, 0, INFINITY, 16, -1, 1, 16, 16, 0, 0},
    {"all unbound",
     {"0-31", "0-31", "0-31", "0-31"},
     1,
     INFINITY,
     16,
     -1,
     4,
     16,
     4,
     false,
     false},
    {"one core each", {"0-1", "2-3"}, 1, INFINITY, 1, 0, 1, 2, 1, true, false},
    {"one NUMA node each",
     {"0-7", "8-15", "16-23", "24-31"},
     2,
     INFINITY,
     4,
     2,
     1,
     16,
     4,
     true,
     false},
    {"half of the cores' PUs",
     {"0,2,4,6"},
     0,
     INFINITY,
     4,
     0,
     1,
     4,
     4,
     true,
     false},
    {"hyperthreads of one core",
     {"4", "5"},
     0,
     INFINITY,
     1,
     0,
     2,
     1,
     1,
     true,
     true},
    {"two ranks on one core", {"4-5", "4-5"}, 0, INFINITY, 1, 0, 2, 1, 1, 1, 1},
    {"overlap with room",
     {"0-5", "4-9"},
     0,
     INFINITY,
     3,
     0,
     2,
     5,
     1,
     true,
     false},
    {"overlap with room, across NUMA nodes",
     {"0-5", "4-9"},
     1,
     INFINITY,
     3,
     -1,
     2,
     5,
     1,
     true,
     false},
    {"crowded through others", /* cores 0-1, 1-2, 2, 2: four on three */
     {"0-3", "2-5", "4-5", "4-5"},
     0,
     INFINITY,
     2,
     0,
     2,
     3,
     1,
     true,
     true},
    {"crowded elsewhere only",
     {"0-3", "8-9", "8-9"},
     0,
     INFINITY,
     2,
     0,
     1,
     3,
     2,
     true,
     false},
    {"a chain that fits",
     {"0-1", "0-3", "2-5"},
     1,
     INFINITY,
     2,
     0,
     3,
     3,
     1,
     true,
     false},
    {"limit below the ranks",
     {"0-31", "0-31", "0-31"},
     0,
     2,
     16,
     -1,
     3,
     16,
     1,
     false,
     true},
    {"limit below the cores",
     {"0-31", "0-31"},
     0,
     8,
     16,
     -1,
     2,
     16,
     4,
     false,
     false},
};

START_TEST(synthetic_node_is_described)
{
    hwloc_topology_t topology;
    hwloc_bitmap_t sets[MAX_RANKS] = {NULL};
    int n = 0;
    ck_assert_int_eq(hwloc_topology_init(&topology), 0);
    ck_assert_int_eq(hwloc_topology_set_synthetic(topology, MACHINE), 0);
    ck_assert_int_eq(hwloc_topology_load(topology), 0);
    for (; n < MAX_RANKS && cases[_i].cpuset[n] != NULL; n++) {
        sets[n] = hwloc_bitmap_alloc();
        hwloc_bitmap_list_sscanf(sets[n], cases[_i].cpuset[n]);
    }
    const moe_topo_node node = {topology,
                                (const struct hwloc_bitmap_s *const *)sets, n,
                                cases[_i].limit};
    moe_topo t;
    ck_assert_int_eq(moe_topo_analyse(&node, cases[_i].self, &t, NULL), MOE_OK);
    const char *name = cases[_i].name;
    ck_assert_msg(t.cores == cases[_i].cores, "%s: %d cores", name, t.cores);
    ck_assert_msg(t.numa_node == cases[_i].numa, "%s: NUMA %d", name,
                  t.numa_node);
    ck_assert_msg(t.sharers == cases[_i].sharers, "%s: %d sharers", name,
                  t.sharers);
    ck_assert_msg(t.node_cores == cases[_i].node_cores, "%s: %d node cores",
                  name, t.node_cores);
    ck_assert_msg(t.threads == cases[_i].threads, "%s: %d threads", name,
                  t.threads);
    ck_assert_msg(t.bound == cases[_i].bound, "%s: bound %d", name, t.bound);
    ck_assert_msg(t.oversubscribed == cases[_i].crowded, "%s: crowded %d", name,
                  t.oversubscribed);
    ck_assert_str_eq(t.cpuset, cases[_i].cpuset[cases[_i].self]);
    for (int r = 0; r < n; r++)
        hwloc_bitmap_free(sets[r]);
    hwloc_topology_destroy(topology);
}
END_TEST

START_TEST(long_cpuset_is_cut_visibly)
{
    hwloc_topology_t topology;
    hwloc_bitmap_t set = hwloc_bitmap_alloc();
    for (unsigned pu = 0; pu < 512; pu += 2)
        hwloc_bitmap_set(set, pu);
    hwloc_topology_init(&topology);
    hwloc_topology_set_synthetic(topology, "core:256 pu:2");
    hwloc_topology_load(topology);
    const struct hwloc_bitmap_s *const sets[] = {set};
    const moe_topo_node node = {topology, sets, 1, INFINITY};
    moe_topo t;
    ck_assert_int_eq(moe_topo_analyse(&node, 0, &t, NULL), MOE_OK);
    ck_assert_int_eq(t.cores, 256);
    ck_assert_uint_eq(strlen(t.cpuset), sizeof t.cpuset - 1);
    ck_assert_str_eq(t.cpuset + sizeof t.cpuset - 4, "...");
    hwloc_bitmap_free(set);
    hwloc_topology_destroy(topology);
}
END_TEST

static void put(const char *name, const char *text)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", test_dir, name);
    for (char *p = path + strlen(test_dir) + 1; (p = strchr(p, '/')); p++) {
        *p = '\0';
        mkdir(path, 0700);
        *p = '/';
    }
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static const struct {
    const char *proc, *file, *text, *file2, *text2;
    double cores;
} limits[] = {
    {"0::/a/b\n", "a/b/cpu.max", "250000 100000\n", NULL, NULL, 2.5},
    {"0::/a/b\n", "a/cpu.max", "50000 100000\n", "a/b/cpu.max", "max 100000\n",
     0.5},
    {"0::/\n", "cpu.max", "max 100000\n", NULL, NULL, INFINITY},
    {"0::/\n", "cpu.max", "400000 100000\n", NULL, NULL, 4},
    {"3:cpu,cpuacct:/job\n0::/\n", "cpu,cpuacct/job/cpu.cfs_quota_us",
     "150000\n", "cpu,cpuacct/job/cpu.cfs_period_us", "100000\n", 1.5},
    {"3:cpuacct,cpu:/\n", "cpu/cpu.cfs_quota_us", "-1\n", NULL, NULL, INFINITY},
    {"3:cpuset:/\n", "cpuset/cpu.cfs_quota_us", "1000\n",
     "cpuset/cpu.cfs_period_us", "1000\n", INFINITY},
    {"nonsense\n", "cpu.max", "rubbish\n", NULL, NULL, INFINITY},
};

START_TEST(cpu_limit_is_the_least_of_the_cgroups)
{
    char proc[400], mount[400], name[200];
    snprintf(mount, sizeof mount, "%s/%d", test_dir, _i);
    snprintf(proc, sizeof proc, "%s/%d/proc", test_dir, _i);
    snprintf(name, sizeof name, "%d/proc", _i);
    put(name, limits[_i].proc);
    snprintf(name, sizeof name, "%d/%s", _i, limits[_i].file);
    put(name, limits[_i].text);
    if (limits[_i].file2 != NULL) {
        snprintf(name, sizeof name, "%d/%s", _i, limits[_i].file2);
        put(name, limits[_i].text2);
    }
    ck_assert_double_eq(moe_topo_cpu_limit(proc, mount), limits[_i].cores);
}
END_TEST

START_TEST(cpu_limit_without_cgroups_is_none)
{
    ck_assert(isinf(moe_topo_cpu_limit("/nonexistent", "/nonexistent")));
}
END_TEST

static const struct {
    const char *proc, *folder, *version; /* files are below folder */
    const char *limit, *used, *stat;
    double left;
} memory[] = {
    {"0::/a/b\n", "a", "2", "1000\n", "400\n", "", 600},
    {"0::/a/b\n", "a/b", "2", "1000\n", "400\n", "anon 1\ninactive_file 150\n",
     750},
    {"0::/a\n", "a", "2", "1000\n", "4000\n", "", 0},
    {"0::/a\n", "a", "2", "max\n", "4000\n", "", INFINITY},
    {"5:memory:/job\n", "memory/job", "1", "397284474\n", "284474\n", "",
     397000000},
    {"5:memory:/\n", "memory", "1", "1000\n", "700\n",
     "total_inactive_file 700\n", 1000},
};

/* A file of a mount of cgroups. */
static void put_in(int i, const char *folder, const char *name,
                   const char *text)
{
    char path[200];
    snprintf(path, sizeof path, "m%d/%s/%s", i, folder, name);
    put(path, text);
}

START_TEST(memory_left_is_the_least_of_the_cgroups)
{
    char proc[400], mount[400], name[32];
    const bool v2 = memory[_i].version[0] == '2';
    snprintf(mount, sizeof mount, "%s/m%d", test_dir, _i);
    snprintf(name, sizeof name, "m%d.proc", _i);
    snprintf(proc, sizeof proc, "%s/%s", test_dir, name);
    put(name, memory[_i].proc);
    put_in(_i, memory[_i].folder, v2 ? "memory.max" : "memory.limit_in_bytes",
           memory[_i].limit);
    put_in(_i, memory[_i].folder,
           v2 ? "memory.current" : "memory.usage_in_bytes", memory[_i].used);
    put_in(_i, memory[_i].folder, "memory.stat", memory[_i].stat);
    const double left = moe_topo_memory_limit(proc, mount);
    if (isinf(memory[_i].left))
        ck_assert(isinf(left));
    else
        ck_assert_double_eq(left, memory[_i].left);
}
END_TEST

START_TEST(xml_describes_this_machine)
{
    char *xml = moe_topo_xml();
    ck_assert_ptr_nonnull(xml);
    ck_assert_ptr_nonnull(strstr(xml, "<topology"));
    ck_assert_ptr_nonnull(strstr(xml, "type=\"PU\""));
    free(xml);
}
END_TEST

START_TEST(alone_nobody_shares)
{
    moe_topo t;
    char node[128] = "";
    ck_assert_int_eq(moe_topo_alone(&t, node, sizeof node, NULL), MOE_OK);
    ck_assert_int_eq(t.sharers, 1);
    ck_assert_int_ge(t.cores, 1);
    ck_assert_int_eq(t.node_cores, t.cores);
    ck_assert_uint_gt(strlen(t.cpuset), 0);
    ck_assert_ptr_nonnull(strstr(node, "cores"));
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("topo");
    MOE_TEST_LOOP(suite, synthetic_node_is_described, MOE_ARRAY_LEN(cases));
    MOE_TEST(suite, long_cpuset_is_cut_visibly);
    MOE_TEST_LOOP(suite, cpu_limit_is_the_least_of_the_cgroups,
                  MOE_ARRAY_LEN(limits));
    MOE_TEST(suite, cpu_limit_without_cgroups_is_none);
    MOE_TEST_LOOP(suite, memory_left_is_the_least_of_the_cgroups,
                  MOE_ARRAY_LEN(memory));
    MOE_TEST(suite, alone_nobody_shares);
    MOE_TEST(suite, xml_describes_this_machine);
    return suite;
}
