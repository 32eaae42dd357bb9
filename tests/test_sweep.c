/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "made_view.h"
#include "moegps/h5.h"

enum { RUNS = 3 };

static const char SETTINGS[] = "model: tiny\nworkload:\n  batch: 8\n"
                               "  seed: 1\nemulation:\n  scale: 16\n"
                               "  ffn: \"paced\"\n  attention: paced\n"
                               "  dilation: \"3\"\n"
                               "serving:\n  overlap: two-batch\n";

/* Three runs that belong together: 4, 8 and 16 GPUs, seeds and lengths of
 * their own. */
static moe_view *make_runs(void)
{
    moe_view *v = moe_array_new(RUNS, sizeof *v, NULL);
    for (int r = 0; r < RUNS; r++) {
        v[r] = made_view(2, 12 + r, (const double[]){1.0 / (r + 1), 2});
        v[r].dims.gpus = v[r].dims.ranks = 4 << r;
        v[r].dims.layers = 2;
        v[r].dims.experts = 8;
        v[r].dims.slots = 3;
        v[r].measured = 12 + r;
        v[r].top_k = 2;
        v[r].valid = true;
        v[r].scale = 16;
        v[r].pace = (moe_pace_view){.phase = {true, true},
                                    .dilation = 3,
                                    .late = 0.01 + r,
                                    .links = "slow",
                                    .timer = "late",
                                    .progress = "poll"};
        strcpy(v[r].ffn, "paced");
        strcpy(v[r].serving, "overlap two-batch");
        for (int s = 0; s < 2; s++) /* the second is later */
            v[r].strategy[s].late.median = (0.01 + r) * (s + 1) / 2;
        v[r].passes = 1.5 + r;
        free(v[r].config);
        v[r].config = moe_strdup(SETTINGS, NULL);
        strstr(v[r].config, "seed: 1")[6] = (char)('1' + r);
        snprintf(v[r].path, sizeof v[r].path, "r%d.h5", r);
        snprintf(v[r].run_id, sizeof v[r].run_id, "id%d", r);
        strcpy(v[r].status, "complete");
        strcpy(v[r].validation, "pass");
        strcpy(v[r].reference, "s0");
        strcpy(v[r].trace_sha256, "aa");
        for (int s = 0; s < 2; s++)
            v[r].strategy[s].moved_bytes = 100 * r + s;
        for (int s = 0; s < 2; s++)
            for (int c = 0; c < MOE_N_CLOCKS; c++)
                v[r].strategy[s].speedup[c].n = v[r].strategy[s].summary[c].n;
    }
    return v;
}

/* What is done to the last run, and what is then said. */
typedef enum { NOTHING, FAILS, STOPS, TWICE, MODEL, TRACE, SCALE, MORE } change;
static const struct {
    change what;
    moe_status status;
    const char *says;
} checks[] = {
    {NOTHING, MOE_OK, ""},
    {FAILS, MOE_INVALID, "r2.h5: validation failed: pairs are lost"},
    {STOPS, MOE_MISMATCH, "r2.h5: is not complete (interrupted, 3 of 14"},
    {TWICE, MOE_MISMATCH, "r2.h5: is the same run as r1.h5"},
    {MODEL, MOE_MISMATCH, "its model is other, not tiny"},
    {TRACE, MOE_MISMATCH, "its trace is bb, not aa"},
    {SCALE, MOE_MISMATCH, "'  scale: 16' there, '  scale: 26' here"},
    {MORE, MOE_MISMATCH, "'' there, 'strategies:' here"},
};

static void change_run(moe_view *v, change what)
{
    switch (what) {
    case FAILS:
        strcpy(v->validation, "fail");
        strcpy(v->validation_text, "pairs are lost");
        break;
    case STOPS:
        strcpy(v->status, "interrupted");
        v->measured = 3;
        break;
    case TWICE:
        strcpy(v->run_id, "id1");
        break;
    case MODEL:
        strcpy(v->model, "other");
        break;
    case TRACE:
        strcpy(v->trace_sha256, "bb");
        break;
    case SCALE:
        strstr(v->config, "16")[0] = '2';
        break;
    case MORE:
        v->config = realloc(v->config, sizeof SETTINGS + 20);
        strcat(v->config, "strategies:\n");
        break;
    case NOTHING:
        break;
    }
}

START_TEST(only_runs_that_belong_together_are_taken)
{
    moe_view *v = make_runs();
    moe_error err = {0};
    change_run(&v[RUNS - 1], checks[_i].what);
    ck_assert_int_eq(moe_sweep_check(v, RUNS, &err), checks[_i].status);
    ck_assert_msg(strstr(err.text, checks[_i].says) != NULL, "%s", err.text);
    moe_views_free(v, RUNS);
}
END_TEST

static void same_run(const moe_view *a, const moe_view *b)
{
    ck_assert_str_eq(a->run_id, b->run_id);
    ck_assert_str_eq(a->path, b->path);
    ck_assert_str_eq(a->config, b->config);
    ck_assert_int_eq(a->dims.gpus, b->dims.gpus);
    ck_assert_int_eq(a->dims.iterations, b->dims.iterations);
    ck_assert_int_eq(a->measured, b->measured);
    ck_assert_double_eq(a->tokens, b->tokens);
    ck_assert_double_eq(a->scale, b->scale);
    ck_assert_double_eq(a->passes, b->passes);
    ck_assert_str_eq(a->ffn, b->ffn);
    ck_assert_str_eq(a->serving, b->serving);
    ck_assert_double_eq(a->pace.dilation, b->pace.dilation);
    ck_assert_double_eq(a->pace.late, b->pace.late);
    for (int k = 0; k < MOE_N_PACES; k++)
        ck_assert_int_eq(a->pace.phase[k], b->pace.phase[k]);
    ck_assert_int_eq(a->dims.strategies, b->dims.strategies);
    for (int s = 0; s < a->dims.strategies; s++) {
        const moe_strategy_view *x = &a->strategy[s], *y = &b->strategy[s];
        ck_assert_str_eq(x->name, y->name);
        ck_assert_double_eq(x->moved_bytes, y->moved_bytes);
        for (int c = 0; c < MOE_N_CLOCKS; c++) {
            ck_assert_double_eq(x->summary[c].median, y->summary[c].median);
            ck_assert_double_eq(x->summary[c].ci_high, y->summary[c].ci_high);
            ck_assert_uint_eq(x->speedup[c].n, y->speedup[c].n);
            ck_assert_mem_eq(x->layer_time[c], y->layer_time[c],
                             (size_t)a->dims.iterations * sizeof(double));
        }
    }
}

START_TEST(runs_come_back_as_they_were)
{
    char path[300];
    moe_view *v = make_runs(), *back = NULL;
    size_t n = 0;
    moe_error err = {0};
    moe_h5_quiet();
    snprintf(path, sizeof path, "%s/sweep.h5", test_dir);
    ck_assert_msg(moe_sweep_write(path, v, RUNS, &err) == MOE_OK, "%s",
                  err.text);
    ck_assert_int_eq(moe_sweep_write(path, v, RUNS, &err), MOE_EXISTS);
    err = (moe_error){0};
    ck_assert_msg(moe_sweep_read(path, &back, &n, &err) == MOE_OK, "%s",
                  err.text);
    ck_assert_uint_eq(n, RUNS);
    for (int r = 0; r < RUNS; r++)
        same_run(&v[r], &back[r]);
    moe_views_free(back, n);
    moe_views_free(v, RUNS);
}
END_TEST

/* Before 1.3.0, and before 1.2.0, only the settings say how a run was made. */
START_TEST(an_older_sweep_has_it_from_the_settings)
{
    static const char *const later[] = {"runs/serving",  "runs/dilation",
                                        "runs/links",    "runs/timer",
                                        "runs/progress", "runs/scale"};
    char path[300];
    moe_view *v = make_runs(), *back = NULL;
    size_t n = 0;
    moe_error err = {0};
    snprintf(path, sizeof path, "%s/older.h5", test_dir);
    moe_sweep_write(path, v, RUNS, &err);
    hid_t file = moe_h5_open(path, true, &err);
    for (size_t k = 0; k < MOE_ARRAY_LEN(later); k++)
        ck_assert_int_ge(H5Ldelete(file, later[k], H5P_DEFAULT), 0);
    moe_h5_close_file(file, &err);
    ck_assert_msg(moe_sweep_read(path, &back, &n, &err) == MOE_OK, "%s",
                  err.text);
    for (int r = 0; r < RUNS; r++)
        same_run(&v[r], &back[r]);
    moe_views_free(back, n);
    moe_views_free(v, RUNS);
}
END_TEST

START_TEST(a_file_that_is_not_there_is_named)
{
    moe_view *back = NULL;
    size_t n = 7;
    moe_error err = {0};
    moe_h5_quiet();
    ck_assert_int_eq(moe_sweep_read("/none.h5", &back, &n, &err), MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "/none.h5"));
    ck_assert_ptr_null(back);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("sweep");
    MOE_TEST_LOOP(suite, only_runs_that_belong_together_are_taken,
                  sizeof checks / sizeof *checks);
    MOE_TEST(suite, runs_come_back_as_they_were);
    MOE_TEST(suite, an_older_sweep_has_it_from_the_settings);
    MOE_TEST(suite, a_file_that_is_not_there_is_named);
    return suite;
}
