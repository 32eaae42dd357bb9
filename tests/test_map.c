/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/map.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "moegps/h5.h"
#include "moegps/mem.h"

/* Sizes that all differ, so that none passes for another. */
static moe_map example(void)
{
    moe_map m = {.split = "deal",
                 .lookahead = 2,
                 .model = "mixtral-8x7b",
                 .version = "1.0",
                 .gpus = 4,
                 .seq = 512,
                 .slots = 3,
                 .samples = 5,
                 .seed = UINT64_MAX,
                 .rebalance_every = 7,
                 .moving = 0.25,
                 .overhead_s = 1e-6,
                 .overhead_share = 0.1,
                 .paper = true,
                 .error = 0.018,
                 .bottleneck = true,
                 .n_cluster = 2,
                 .n_batch = 1,
                 .n_accuracy = 3,
                 .n_skew = 5,
                 .n_bandwidth = 6};
    moe_error err = {0};
    m.command_line = moe_strdup("moegps map --preset x", &err);
    ck_assert_int_eq(moe_map_alloc(&m, &err), MOE_OK);
    for (int c = 0; c < m.n_cluster; c++) {
        snprintf(m.cluster[c].name, sizeof m.cluster[c].name, "cluster-%d", c);
        snprintf(m.cluster[c].cost, sizeof m.cluster[c].cost, "analytic");
    }
    m.batch[0] = 16;
    for (int i = 0; i < m.n_accuracy; i++)
        m.accuracy[i] = 0.5 + 0.25 * i;
    for (int i = 0; i < m.n_skew; i++)
        m.skew[i] = m.batch_skew[i] = 1 + 0.75 * i;
    for (int i = 0; i < m.n_cluster * m.n_bandwidth; i++)
        m.bandwidth[i] = 1e9 * (1 + i);
    for (size_t i = 0; i < moe_map_cells(&m); i++) {
        double *t = m.layer_s + i * MOE_ADVISE_STRATEGIES;
        for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
            t[s] = 1e-3 * (double)((i * 7 + (size_t)s * 5) % 11 + 1);
        m.winner[i] = (int32_t)moe_map_judge(t, &m.margin[i]);
    }
    return m;
}

static char path[300];

static void write_example(const moe_map *m)
{
    moe_error err = {0};
    snprintf(path, sizeof path, "%s/m.h5", test_dir);
    unlink(path);
    ck_assert_msg(moe_map_write(m, path, &err) == MOE_OK, "%s", err.text);
}

static void same_arrays(const moe_map *a, const moe_map *b)
{
    const size_t n = moe_map_cells(a);
    const size_t links = (size_t)(a->n_cluster * a->n_bandwidth);
    ck_assert_mem_eq(a->cluster, b->cluster,
                     (size_t)a->n_cluster * sizeof *a->cluster);
    ck_assert_mem_eq(a->batch, b->batch, (size_t)a->n_batch * sizeof *a->batch);
    ck_assert_mem_eq(a->accuracy, b->accuracy,
                     (size_t)a->n_accuracy * sizeof *a->accuracy);
    ck_assert_mem_eq(a->skew, b->skew, (size_t)a->n_skew * sizeof *a->skew);
    ck_assert_mem_eq(a->batch_skew, b->batch_skew,
                     (size_t)(a->n_batch * a->n_skew) * sizeof *a->skew);
    ck_assert_mem_eq(a->bandwidth, b->bandwidth, links * sizeof *a->bandwidth);
    ck_assert_mem_eq(a->layer_s, b->layer_s,
                     n * MOE_ADVISE_STRATEGIES * sizeof *a->layer_s);
    ck_assert_mem_eq(a->winner, b->winner, n * sizeof *a->winner);
    ck_assert_mem_eq(a->margin, b->margin, n * sizeof *a->margin);
}

static void same_settings(const moe_map *a, const moe_map *b)
{
    ck_assert_str_eq(a->model, b->model);
    ck_assert_str_eq(a->version, b->version);
    ck_assert_int_eq(a->gpus, b->gpus);
    ck_assert_int_eq(a->seq, b->seq);
    ck_assert_int_eq(a->slots, b->slots);
    ck_assert_int_eq(a->samples, b->samples);
    ck_assert(a->seed == b->seed);
    ck_assert_int_eq(a->rebalance_every, b->rebalance_every);
    ck_assert_str_eq(a->split, b->split);
    ck_assert_int_eq(a->lookahead, b->lookahead);
    ck_assert_double_eq(a->moving, b->moving);
    ck_assert_double_eq(a->overhead_s, b->overhead_s);
    ck_assert_double_eq(a->overhead_share, b->overhead_share);
    ck_assert_double_eq(a->error, b->error);
    ck_assert(a->planner_s == b->planner_s ||
              (isnan(a->planner_s) && isnan(b->planner_s)));
    ck_assert(a->paper == b->paper && a->bottleneck == b->bottleneck);
    ck_assert(a->own_links == b->own_links);
}

START_TEST(map_reads_back_as_written)
{
    moe_map a = example(), b;
    moe_error err = {0};
    a.planner_s = _i == 0 ? NAN : 1e-5;
    write_example(&a);
    ck_assert(moe_map_is(path));
    ck_assert_msg(moe_map_read(path, &b, &err) == MOE_OK, "%s", err.text);
    ck_assert_str_eq(b.path, path);
    ck_assert_str_eq(b.command_line, a.command_line);
    same_arrays(&a, &b);
    same_settings(&a, &b);
    moe_map_fini(&b);
    moe_map_fini(&a);
}
END_TEST

START_TEST(map_without_later_attributes_reads)
{
    moe_map a = example(), b;
    moe_error err = {0};
    write_example(&a);
    hid_t file = moe_h5_open(path, true, &err);
    H5Adelete(file, "command_line");
    H5Adelete(file, "own_links");
    H5Adelete(file, "samples");
    H5Ldelete(file, "map/batch_skew", H5P_DEFAULT);
    moe_h5_put_text(file, "schema_version", "2.0.0", &err);
    moe_h5_close_file(file, &err);
    ck_assert_msg(moe_map_read(path, &b, &err) == MOE_OK, "%s", err.text);
    ck_assert_ptr_null(b.command_line);
    ck_assert(!b.own_links);
    ck_assert_int_eq(b.samples, 0);
    ck_assert(isnan(b.batch_skew[0]));
    moe_map_fini(&b);
    moe_map_fini(&a);
}
END_TEST

/* ---- damage ---- */

static void set(hid_t file, const char *name, int rank, const void *value,
                hid_t type, moe_error *err)
{
    moe_h5_block first = {.start = {0}};
    hid_t dataset = moe_h5_open_dataset(file, name, err);
    for (int d = 0; d < rank; d++)
        first.count[d] = 1;
    moe_h5_write_block(dataset, &first, type, value, H5P_DEFAULT, err);
    moe_h5_close(dataset);
}

static void set_real(hid_t file, const char *name, int rank, double x,
                     moe_error *err)
{
    set(file, name, rank, &x, H5T_NATIVE_DOUBLE, err);
}

static void newer(hid_t f, moe_error *e)
{
    moe_h5_put_text(f, "schema_version", "3.0.0", e);
}

static void foreign(hid_t f, moe_error *e)
{
    moe_h5_put_text(f, "schema", "moe-gps", e);
}

static void no_model(hid_t f, moe_error *e)
{
    (void)e;
    H5Adelete(f, "model");
}

static void no_gpus(hid_t f, moe_error *e)
{
    moe_h5_put_int(f, "gpus", 0, e);
}

static void many_gpus(hid_t f, moe_error *e)
{
    moe_h5_put_int(f, "gpus", INT64_MAX, e);
}

static void nan_error(hid_t f, moe_error *e)
{
    moe_h5_put_real(f, "error", NAN, e);
}

static void no_winners(hid_t f, moe_error *e)
{
    (void)e;
    H5Ldelete(f, "map/winner", H5P_DEFAULT);
}

static void no_group(hid_t f, moe_error *e)
{
    (void)e;
    H5Ldelete(f, "map", H5P_DEFAULT);
}

static void oracle_wins(hid_t f, moe_error *e)
{
    const int32_t x = MOE_ADVISE_ORACLE;
    set(f, "map/winner", 6, &x, H5T_NATIVE_INT32, e);
}

static void none_wins(hid_t f, moe_error *e)
{
    const int32_t x = -1;
    set(f, "map/winner", 6, &x, H5T_NATIVE_INT32, e);
}

static void wrong_wins(hid_t f, moe_error *e)
{
    const int32_t x = MOE_ADVISE_TOKEN;
    set(f, "map/winner", 6, &x, H5T_NATIVE_INT32, e);
}

static void wrong_margin(hid_t f, moe_error *e)
{
    set_real(f, "map/margin", 6, 0.5, e);
}

static void nan_time(hid_t f, moe_error *e)
{
    set_real(f, "map/layer_time", 7, NAN, e);
}

static void no_time(hid_t f, moe_error *e)
{
    set_real(f, "map/layer_time", 7, 0, e);
}

static void endless_time(hid_t f, moe_error *e)
{
    set_real(f, "map/layer_time", 7, INFINITY, e);
}

static void nan_skew(hid_t f, moe_error *e)
{
    set_real(f, "map/skew_value", 1, NAN, e);
}

static void backward_link(hid_t f, moe_error *e)
{
    set_real(f, "map/bandwidth_value", 2, -1, e);
}

static void empty_batch(hid_t f, moe_error *e)
{
    const int32_t x = 0;
    set(f, "map/batch", 1, &x, H5T_NATIVE_INT32, e);
}

/* Put a scale in the place of another, chunked, so that it takes no room. */
static void resize(hid_t f, const char *name, hsize_t n, moe_error *e)
{
    const hsize_t chunk = 1;
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    hid_t space = H5Screate_simple(1, &n, NULL);
    H5Pset_chunk(list, 1, &chunk);
    H5Ldelete(f, name, H5P_DEFAULT);
    hid_t d = H5Dcreate2(f, name, H5T_STD_I32LE, space, H5P_DEFAULT, list,
                         H5P_DEFAULT);
    if (d < 0)
        moe_fail(e, MOE_IO, "cannot resize %s", name);
    moe_h5_close(d);
    moe_h5_close(space);
    moe_h5_close(list);
}

static void huge_skew(hid_t f, moe_error *e)
{
    resize(f, "map/skew", (hsize_t)1 << 40, e);
}

static void large_skew(hid_t f, moe_error *e)
{
    resize(f, "map/skew", MOE_MAP_MAX_CELLS, e);
}

static void other_skew(hid_t f, moe_error *e)
{
    resize(f, "map/skew", 4, e);
}

static void numbered_clusters(hid_t f, moe_error *e)
{
    resize(f, "map/cluster", 2, e);
}

static void flat_cells(hid_t f, moe_error *e)
{
    resize(f, "map/layer_time", 4, e);
}

static void few_cases(hid_t f, moe_error *e)
{
    resize(f, "map/case", 2, e);
}

static void other_strategies(hid_t f, moe_error *e)
{
    const char *other[MOE_ADVISE_STRATEGIES] = {"token-to-expert", "baseline",
                                                "distribution-only", "oracle"};
    hid_t group = moe_h5_open_group(f, "map", e);
    H5Ldelete(group, "strategy", H5P_DEFAULT);
    moe_h5_scale_text(group, "strategy", MOE_ARRAY_LEN(other), other, "", e);
    moe_h5_close(group);
}

static const struct {
    void (*damage)(hid_t file, moe_error *err);
    const char *said;
} damages[] = {
    {newer, "has schema 3.0.0"},
    {foreign, "is a 'moe-gps' file, not a map"},
    {no_model, "'model' is missing"},
    {no_gpus, "'gpus' is 0"},
    {many_gpus, "'gpus' is 9223372036854775807"},
    {nan_error, "'error' is nan"},
    {no_winners, "winner"},
    {no_group, "map"},
    {oracle_wins, "cell 0: winner 3"},
    {none_wins, "cell 0: winner -1"},
    {wrong_wins, "cell 0: winner 2"},
    {wrong_margin, "cell 0: winner 0 by 0.5"},
    {nan_time, "value 0 of 'layer_time' is nan"},
    {no_time, "value 0 of 'layer_time' is 0"},
    {endless_time, "value 0 of 'layer_time' is inf"},
    {nan_skew, "value 0 of 'skew_value' is nan"},
    {backward_link, "value 0 of 'bandwidth_value' is -1"},
    {empty_batch, "batch 0 is 0"},
    {huge_skew, "dimension 'skew' has 1099511627776 values"},
    {large_skew, "a map has 1 to 16777216 cells"},
    {other_skew, "'skew_value' has 5 values along dimension 0, not 4"},
    {numbered_clusters, "dataset 'cluster' does not hold text"},
    {flat_cells, "dataset 'layer_time' has 1 dimensions, not 7"},
    {few_cases, "dataset 'case' does not fit"},
    {other_strategies, "strategy 0 is 'token-to-expert', not 'baseline'"},
};

START_TEST(damaged_map_is_refused_in_one_line)
{
    moe_map a = example(), b;
    moe_error err = {0};
    write_example(&a);
    ck_assert_int_eq(a.winner[0], MOE_ADVISE_BASELINE);
    hid_t file = moe_h5_open(path, true, &err);
    damages[_i].damage(file, &err);
    moe_h5_close_file(file, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_int_eq(moe_map_read(path, &b, &err), MOE_FORMAT);
    ck_assert_msg(strstr(err.text, damages[_i].said) != NULL, "%s", err.text);
    ck_assert_msg(strncmp(err.text, path, strlen(path)) == 0, "%s", err.text);
    ck_assert_ptr_null(strchr(err.text, '\n'));
    moe_map_fini(&a);
}
END_TEST

/* Cut anywhere, a file is refused or, behind its last byte of use, read. */
START_TEST(cut_map_is_refused)
{
    moe_map a = example(), b;
    write_example(&a);
    for (off_t n = 20000; n >= 0; n -= 997) {
        moe_error err = {0};
        ck_assert_int_eq(truncate(path, n), 0);
        if (moe_map_read(path, &b, &err) == MOE_OK)
            moe_map_fini(&b);
        else
            ck_assert_int_eq(err.status, MOE_FORMAT);
    }
    ck_assert(!moe_map_is(path));
    moe_map_fini(&a);
}
END_TEST

START_TEST(names_are_lines)
{
    moe_map a = example(), b;
    moe_error err = {0};
    snprintf(a.cluster[1].name, sizeof a.cluster[1].name, "a\nRESULT: \033[1m");
    write_example(&a);
    ck_assert_msg(moe_map_read(path, &b, &err) == MOE_OK, "%s", err.text);
    ck_assert_str_eq(b.cluster[1].name, "a?RESULT: ?[1m");
    moe_map_fini(&b);
    moe_map_fini(&a);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *s = suite_create("map");
    moe_h5_quiet();
    MOE_TEST_LOOP(s, map_reads_back_as_written, 2);
    MOE_TEST(s, map_without_later_attributes_reads);
    MOE_TEST_LOOP(s, damaged_map_is_refused_in_one_line,
                  MOE_ARRAY_LEN(damages));
    MOE_TEST(s, cut_map_is_refused);
    MOE_TEST(s, names_are_lines);
    return s;
}
