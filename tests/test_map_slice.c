/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/map_slice.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../src/report/contents.h"
#include "../src/figures/plot.h"
#include "harness.h"
#include "moegps/mem.h"

/* ---- on the way between two cells ---- */

static const struct {
    double a[3], b[3];
    int n;
    moe_map_flip flip[2];
} ways[] = {
    {{1, 2, 3}, {1, 2, 3}, 0, {{0, 0, 0}}},
    {{1, 2, 3}, {2, 2.5, 3}, 0, {{0, 0, 0}}},
    {{1, 2, 3}, {2, 1, 3}, 1, {{0.5, 0, 1}}},
    {{1, 4, 3}, {2, 1, 3}, 1, {{0.75, 0, 1}}},
    {{1, 2, 4.5}, {4, 3, 1}, 2, {{0.5, 0, 1}, {5.0 / 9, 1, 2}}},
    {{1, 3, 4}, {4, 3, 1}, 1, {{0.5, 0, 2}}}, /* the middle is never first */
    {{4, 2, 1}, {1, 2, 4}, 2, {{1.0 / 3, 2, 1}, {2.0 / 3, 1, 0}}},
    {{2, 2, 3}, {2, 1, 3}, 1, {{0, 0, 1}}}, /* equal: the lower number wins */
    {{2, 2, 3}, {1, 2, 3}, 0, {{0, 0, 0}}},
    {{1, 2, 3}, {2, 2, 3}, 0, {{0, 0, 0}}}, /* ... at the end, too */
};

START_TEST(flips_are_where_times_are_equal)
{
    moe_map_flip got[2];
    const int n = moe_map_flips(ways[_i].a, ways[_i].b, got);
    ck_assert_int_eq(n, ways[_i].n);
    for (int i = 0; i < n; i++) {
        ck_assert_double_eq_tol(got[i].at, ways[_i].flip[i].at, 1e-12);
        ck_assert_int_eq(got[i].from, ways[_i].flip[i].from);
        ck_assert_int_eq(got[i].to, ways[_i].flip[i].to);
    }
}
END_TEST

/* ---- maps whose times are known everywhere ---- */

/* Straight in skewness and in the reciprocal of bandwidth: tokens win on slow
 * links, the baseline at little skew, the distribution otherwise. */
static void times_at(double skew, double bandwidth, double *t)
{
    const double slow = 1e9 / bandwidth;
    t[MOE_ADVISE_BASELINE] = 1 + 1.0 * (skew - 1) + 40 * slow;
    t[MOE_ADVISE_DISTRIBUTION] = 1.7 + 40 * slow;
    t[MOE_ADVISE_TOKEN] = 2.2 + 0.1 * (skew - 1) + 20 * slow;
    t[MOE_ADVISE_ORACLE] = 0.5;
}

/* Out of order, and a value twice. */
static const double skews[] = {2, 1, 4, 1.5, 3, 2};
static const double links[] = {300e9, 100e9, 16e9, 32e9};

static moe_map example(bool own_links)
{
    moe_map m = {.model = "m",
                 .gpus = 4,
                 .seq = 512,
                 .rebalance_every = 1,
                 .own_links = own_links,
                 .n_cluster = own_links ? MOE_ARRAY_LEN(links) : 1,
                 .n_batch = 1,
                 .n_accuracy = 1,
                 .n_skew = MOE_ARRAY_LEN(skews),
                 .n_bandwidth = own_links ? 1 : MOE_ARRAY_LEN(links)};
    moe_error err = {0};
    ck_assert_int_eq(moe_map_alloc(&m, &err), MOE_OK);
    m.batch[0] = 1;
    m.accuracy[0] = 0.9;
    memcpy(m.skew, skews, sizeof skews);
    memcpy(m.bandwidth, links, sizeof links);
    moe_map_cell x = {0};
    for (x.cluster = 0; x.cluster < m.n_cluster; x.cluster++) {
        snprintf(m.cluster[x.cluster].name, sizeof m.cluster->name, "c%d",
                 x.cluster);
        for (int c = 0; c < MOE_ADVISE_CASES; c++)
            for (x.skew = 0; x.skew < m.n_skew; x.skew++)
                for (x.bandwidth = 0; x.bandwidth < m.n_bandwidth;
                     x.bandwidth++) {
                    x.error = (moe_advise_case)c;
                    const size_t at = moe_map_at(&m, &x);
                    double *t = m.layer_s + at * MOE_ADVISE_STRATEGIES;
                    times_at(m.skew[x.skew],
                             moe_map_bandwidth(&m, x.cluster, x.bandwidth), t);
                    m.winner[at] = (int32_t)moe_map_judge(t, &m.margin[at]);
                }
    }
    return m;
}

static moe_map_slice slice_of(const moe_map *map, int most)
{
    moe_map_slice x;
    ck_assert_int_eq(
        moe_map_slice_init(&x, map, MOE_ADVISE_TYPICAL, 0, most, NULL), MOE_OK);
    return x;
}

START_TEST(axes_ascend_and_have_each_value_once)
{
    moe_map m = example(false);
    moe_map_slice x = slice_of(&m, 0);
    ck_assert_int_eq(x.n_skew, 5);
    ck_assert_int_eq(x.n_row, 4);
    for (int k = 1; k < x.n_skew; k++)
        ck_assert_double_gt(moe_map_slice_skew(&x, k),
                            moe_map_slice_skew(&x, k - 1));
    for (int j = 1; j < x.n_row; j++)
        ck_assert_double_gt(moe_map_slice_bandwidth(&x, j),
                            moe_map_slice_bandwidth(&x, j - 1));
    for (int k = 0; k < x.n_skew; k++) {
        double t[MOE_ADVISE_STRATEGIES];
        times_at(moe_map_slice_skew(&x, k), 100e9, t);
        ck_assert_mem_eq(t, moe_map_slice_times(&x, k, 2), sizeof t);
    }
    moe_map_slice_fini(&x);
    x = slice_of(&m, 3);
    ck_assert_int_eq(x.n_skew, 3);
    ck_assert_int_eq(x.all_skew, 5);
    ck_assert_double_eq(moe_map_slice_skew(&x, 0), 1);
    ck_assert_double_eq(moe_map_slice_skew(&x, 2), 4);
    moe_map_slice_fini(&x);
    moe_map_fini(&m);
}
END_TEST

START_TEST(cells_fill_the_axes)
{
    moe_map m = example(false);
    moe_map_slice x = slice_of(&m, 0);
    for (int k = 0; k < x.n_skew; k++) {
        ck_assert_double_lt(moe_map_slice_side(&x, k),
                            moe_map_slice_skew(&x, k));
        ck_assert_double_gt(moe_map_slice_side(&x, k + 1),
                            moe_map_slice_skew(&x, k));
    }
    for (int j = 0; j < x.n_row; j++) {
        ck_assert_double_lt(moe_map_slice_level(&x, j),
                            moe_map_slice_bandwidth(&x, j));
        ck_assert_double_gt(moe_map_slice_level(&x, j + 1),
                            moe_map_slice_bandwidth(&x, j));
    }
    moe_map_slice_fini(&x);
    moe_map_fini(&m);
}
END_TEST

/* Times that go as a transfer's do are met exactly, however wide the step. */
START_TEST(chains_have_the_true_flips)
{
    moe_map m = example(false);
    moe_map_slice x = slice_of(&m, 0);
    /* Skewness 3: 1.7 + 40 s = 2.4 + 20 s at s = 1 / 28.57 GB/s. */
    moe_map_chain chain = moe_map_column_chain(&x, 3);
    ck_assert_int_eq(chain.n, 1);
    ck_assert_int_eq(chain.winner[0], MOE_ADVISE_TOKEN);
    ck_assert_int_eq(chain.winner[1], MOE_ADVISE_DISTRIBUTION);
    ck_assert_double_eq_tol(chain.at[0] / (20e9 / 0.7), 1, 1e-9);
    /* 300 GB/s: 1 + (skew - 1) = 1.7, between cells at 1.5 and 2. */
    chain = moe_map_row_chain(&x, 3);
    ck_assert_int_eq(chain.n, 1);
    ck_assert_int_eq(chain.winner[0], MOE_ADVISE_BASELINE);
    ck_assert_double_eq_tol(chain.at[0], 1.7, 1e-9);
    moe_map_slice_fini(&x);
    moe_map_fini(&m);
}
END_TEST

/* ---- the line ---- */

typedef struct {
    int n;
    double left, right, low, high; /* reached by the line */
} seen;

/* At its ends two strategies are equal, and the third is no faster; outside of
 * the cells' middles times go on as at the border. */
static void look(const moe_map_line *line, void *arg)
{
    seen *s = arg;
    for (int e = 0; e < 2; e++) {
        double t[MOE_ADVISE_STRATEGIES];
        times_at(fmin(fmax(line->skew[e], 1), 4),
                 fmin(fmax(line->level[e], 16e9), 300e9), t);
        double least = fmin(t[0], fmin(t[1], t[2])), next = INFINITY;
        int best = 0;
        for (int i = 1; i < 3; i++)
            best = t[i] < t[best] ? i : best;
        for (int i = 0; i < 3; i++)
            next = i == best ? next : fmin(next, t[i]);
        ck_assert_double_eq_tol(next, least, 1e-9);
        s->left = fmin(s->left, line->skew[e]);
        s->right = fmax(s->right, line->skew[e]);
        s->low = fmin(s->low, line->level[e]);
        s->high = fmax(s->high, line->level[e]);
    }
    s->n++;
}

START_TEST(line_is_where_the_best_two_are_equal)
{
    moe_map m = example(false);
    moe_map_slice x = slice_of(&m, 0);
    seen s = {0, INFINITY, 0, INFINITY, 0};
    moe_map_lines(&x, look, &s);
    ck_assert_int_gt(s.n, 6);
    /* It meets both sides, and the top. */
    ck_assert_double_eq_tol(s.right, moe_map_slice_side(&x, x.n_skew), 1e-9);
    ck_assert_double_eq_tol(s.high / moe_map_slice_level(&x, x.n_row), 1, 1e-9);
    ck_assert_double_eq_tol(s.left, moe_map_slice_side(&x, 0), 1e-9);
    ck_assert_double_gt(s.low, 16e9);
    moe_map_slice_fini(&x);
    moe_map_fini(&m);
}
END_TEST

static void look_at_rows(const moe_map_line *line, void *arg)
{
    seen *s = arg;
    ck_assert_double_eq(line->skew[0], line->skew[1]);
    ck_assert_double_eq(line->level[1] - line->level[0], 1);
    if (line->level[0] == -0.5) /* 300 GB/s */
        ck_assert_double_eq_tol(line->skew[0], 1.7, 1e-9);
    s->n++;
}

START_TEST(clusters_have_marks_of_their_own)
{
    moe_map m = example(true);
    moe_map_slice x = slice_of(&m, 0);
    seen s = {0};
    ck_assert_uint_eq(moe_map_slices(&m), 1);
    moe_map_lines(&x, look_at_rows, &s);
    ck_assert_int_ge(s.n, 3);
    moe_map_slice_fini(&x);
    moe_map_fini(&m);
}
END_TEST

/* Counted cell by cell; in the second map links are clusters. */
START_TEST(shares_are_of_all_cells)
{
    moe_map m = example(_i == 1);
    double all[MOE_ADVISE_ORACLE] = {0}, sum = 0;
    for (int c = 0; c < m.n_cluster; c++)
        for (int s = 0; s < MOE_ADVISE_ORACLE; s++) {
            moe_map_cell x = {.cluster = c, .error = MOE_ADVISE_TYPICAL};
            double won = 0;
            for (x.skew = 0; x.skew < m.n_skew; x.skew++)
                for (x.bandwidth = 0; x.bandwidth < m.n_bandwidth;
                     x.bandwidth++)
                    won += m.winner[moe_map_at(&m, &x)] == s;
            const double share = won / (m.n_skew * m.n_bandwidth);
            ck_assert_double_eq_tol(moe_map_share(&m, c, MOE_ADVISE_TYPICAL,
                                                  (moe_advise_strategy)s),
                                    share, 1e-12);
            all[s] += share / m.n_cluster;
        }
    for (int s = 0; s < MOE_ADVISE_ORACLE; s++) {
        const double share = moe_map_share_of_all(&m, MOE_ADVISE_TYPICAL,
                                                  (moe_advise_strategy)s);
        ck_assert_double_eq_tol(share, all[s], 1e-12);
        ck_assert_double_lt(share, 1);
        sum += share;
    }
    ck_assert_double_eq_tol(sum, 1, 1e-12);
    moe_map_fini(&m);
}
END_TEST

/* ---- words ---- */

START_TEST(sentences_have_the_flips)
{
    moe_map m = example(_i == 1);
    char text[1024] = "";
    moe_map_say(&m, text, sizeof text);
    const char *const said[] = {
        "at skewness 2 token-to-expert below 33.3 GB/s, distribution-only "
        "above",
        "on c0 baseline below 1.70, distribution-only above"};
    for (char *c = text; *c != '\0'; c++)
        if (*c == 'O')
            *c = 'o';
    ck_assert_msg(strstr(text, said[_i]) != NULL, "%s", text);
    ck_assert_msg(strstr(text, "interpolated between cells") != NULL, "%s",
                  text);
    moe_map_fini(&m);
}
END_TEST

/* @return the figure's variables; the caller frees them. */
static char *script_of(const moe_map_slice *x, double skew, double bandwidth)
{
    const moe_plot_subject subject = {
        .slice = x, .skew = skew, .bandwidth = bandwidth};
    const moe_plot_data data = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    moe_plot_map.script(&subject, &data, out);
    fclose(out);
    return text;
}

START_TEST(point_is_marked_if_there_is_one)
{
    moe_map m = example(_i == 1);
    moe_map_slice x = slice_of(&m, 0);
    char *text = script_of(&x, 2.5, 100e9);
    ck_assert_ptr_nonnull(
        strstr(text, _i == 1 ? "$run << EOD\n2.5,1\nEOD\nn_run = 1\n"
                             : "$run << EOD\n2.5,100\nEOD\nn_run = 1\n"));
    free(text);
    text = script_of(&x, NAN, NAN);
    ck_assert_ptr_nonnull(strstr(text, "$run << EOD\nEOD\nn_run = 0\n"));
    free(text);
    moe_map_slice_fini(&x);
    moe_map_fini(&m);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *s = suite_create("map_slice");
    MOE_TEST_LOOP(s, flips_are_where_times_are_equal, MOE_ARRAY_LEN(ways));
    MOE_TEST(s, axes_ascend_and_have_each_value_once);
    MOE_TEST(s, cells_fill_the_axes);
    MOE_TEST(s, chains_have_the_true_flips);
    MOE_TEST(s, line_is_where_the_best_two_are_equal);
    MOE_TEST(s, clusters_have_marks_of_their_own);
    MOE_TEST_LOOP(s, shares_are_of_all_cells, 2);
    MOE_TEST_LOOP(s, sentences_have_the_flips, 2);
    MOE_TEST_LOOP(s, point_is_marked_if_there_is_one, 2);
    return s;
}
