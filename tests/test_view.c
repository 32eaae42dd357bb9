/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/view.h"

#include <string.h>

#include "harness.h"
#include "made_view.h"
#include "moegps/h5.h"
#include "moegps/results.h"

enum { N = 7 };

/* One strategy whose layers took 1, 2, ... s on the wall clock. */
static moe_view counted(int period)
{
    moe_view v = made_view(1, N, (const double[]){1});
    for (int i = 0; i < N; i++)
        v.strategy[0].layer_time[MOE_CLOCK_WALL][i] = i + 1;
    v.period = period;
    return v;
}

/* What a plan costs is in one iteration of those that it serves: their mean is
 * a sample, and an interval that was cut off is none. */
static const struct {
    int period, lost; /* lost: an iteration that was not measured; -1: none */
    size_t n;
    double x[N];
} sampled[] = {
    {1, -1, 7, {1, 2, 3, 4, 5, 6, 7}},
    {1, 2, 6, {1, 2, 4, 5, 6, 7}},
    {2, -1, 3, {1.5, 3.5, 5.5}},
    {3, -1, 2, {2, 5}},
    {3, 4, 1, {2}},
    {7, -1, 1, {4}},
};

START_TEST(samples_are_means_over_what_a_plan_serves)
{
    double x[N];
    moe_view v = counted(sampled[_i].period);
    if (sampled[_i].lost >= 0)
        v.strategy[0].layer_time[MOE_CLOCK_WALL][sampled[_i].lost] = NAN;
    ck_assert_uint_eq(moe_view_measured(&v, 0, MOE_CLOCK_WALL, x),
                      sampled[_i].n);
    for (size_t i = 0; i < sampled[_i].n; i++)
        ck_assert_double_eq_tol(x[i], sampled[_i].x[i], 1e-12);
    moe_view_samples(&v, 0, MOE_CLOCK_WALL, x);
    size_t n = 0;
    for (size_t i = 0; i < N; i++)
        n += isnan(x[i]) ? 0 : 1;
    ck_assert_uint_eq(n, sampled[_i].n);
    moe_view_free(&v);
}
END_TEST

START_TEST(strategies_are_found_by_name)
{
    moe_view v = made_view(2, 1, (const double[]){1, 2});
    ck_assert_int_eq(moe_view_strategy(&v, "s1"), 1);
    ck_assert_int_eq(moe_view_strategy(&v, "s"), -1);
    ck_assert_int_eq(moe_view_strategy(&v, ""), -1);
    moe_view_free(&v);
}
END_TEST

/* Each number of each metric has a place of its own. */
START_TEST(statistics_are_read_where_they_were_set)
{
    moe_strategy_view s = {.recall.n = 0};
    double next = 1;
    for (const moe_metric *m; (m = moe_metric_at((size_t)next - 1)) != NULL;
         next++)
        for (int k = 0; k < MOE_N_STATISTICS; k++)
            moe_statistic_set(&moe_statistics[k], m, &s, 100 * next + k);
    next = 1;
    for (const moe_metric *m; (m = moe_metric_at((size_t)next - 1)) != NULL;
         next++) {
        int has = 0;
        for (int k = 0; k < MOE_N_STATISTICS; k++) {
            const double x = moe_statistic_get(&moe_statistics[k], m, &s);
            has += !isnan(x);
            if (!isnan(x))
                ck_assert_double_eq(x, 100 * next + k);
        }
        ck_assert_msg(has > 0, "%s", m->name);
        if (m->mean_only)
            ck_assert_int_eq(has, 1);
        if (m->ratio == MOE_NO_RATIO)
            ck_assert_double_nan(moe_metric_ratio(m, &s).ratio);
    }
    ck_assert_double_gt(next, 10);
}
END_TEST

START_TEST(clocks_say_where_their_times_are_from)
{
    static const char *const texts[MOE_N_CLOCKS][2] = {
        {"wall", "measured"}, {"cpu", "measured"}, {"gpu", "modelled"}};
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        ck_assert_str_eq(moe_clock_name((moe_clock)c), texts[c][0]);
        ck_assert_str_eq(moe_clock_origin((moe_clock)c), texts[c][1]);
    }
}
END_TEST

/* 0: no file; 1: not HDF5; 2: of something else; 3: of a later major schema. */
START_TEST(what_is_no_result_file_is_refused)
{
    static const struct {
        const char *schema, *version, *says;
        moe_status status;
    } files[] = {{NULL, NULL, "No such file", MOE_USAGE},
                 {"", NULL, "", MOE_FORMAT},
                 {"moe-gps-trace", "1.0.0", "moe-gps-trace", MOE_FORMAT},
                 {MOE_RESULTS_SCHEMA, "99.0.0", "99.0.0", MOE_FORMAT}};
    char path[300];
    moe_error err = {0};
    moe_view view = {.nodes = 5};
    moe_view *views = NULL;
    size_t n = 0;
    moe_h5_quiet();
    snprintf(path, sizeof path, "%s/f%d.h5", test_dir, _i);
    if (_i == 1) {
        FILE *f = fopen(path, "w");
        fputs("model: text\n", f);
        fclose(f);
    } else if (_i > 1) {
        hid_t file = moe_h5_create(path, &err);
        moe_h5_put_text(file, "schema", files[_i].schema, &err);
        moe_h5_put_text(file, "schema_version", files[_i].version, &err);
        ck_assert_int_eq(moe_h5_finish(file, path, &err), MOE_OK);
    }
    ck_assert_int_eq(moe_view_read(path, &view, &err), files[_i].status);
    ck_assert_msg(strstr(err.text, files[_i].says) != NULL, "%s", err.text);
    err = (moe_error){0};
    ck_assert_int_eq(moe_views_append(path, &views, &n, &err),
                     files[_i].status);
    ck_assert_ptr_null(views);
    ck_assert_uint_eq(n, 0);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("view");
    MOE_TEST_LOOP(suite, samples_are_means_over_what_a_plan_serves,
                  sizeof sampled / sizeof *sampled);
    MOE_TEST(suite, strategies_are_found_by_name);
    MOE_TEST(suite, statistics_are_read_where_they_were_set);
    MOE_TEST(suite, clocks_say_where_their_times_are_from);
    MOE_TEST_LOOP(suite, what_is_no_result_file_is_refused, 4);
    return suite;
}
