/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/measured.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/rng.h"
#include "moegps/silicon.h"
#include "moegps/silicon_update.h"

static void add(moe_measurements *m, const char *library, int ranks, int bytes,
                double time_us)
{
    moe_measurement row = {.group = &moe_measured_collectives,
                           .number = {ranks},
                           .x = bytes,
                           .time_us = time_us,
                           .path = "--mpi"};
    snprintf(row.text[0], sizeof row.text[0], "a100_sxm");
    snprintf(row.text[1], sizeof row.text[1], "%s", library);
    snprintf(row.text[2], sizeof row.text[2], "alltoall");
    moe_error err = {0};
    ck_assert_msg(moe_measured_add(m, &row, &err) == MOE_OK, "%s", err.text);
}

/* Times of 512, 1024, ... bytes, and those that are left; 0: no more. */
static const struct {
    const char *library;
    double time_us[8], left_us[8];
    const char *says; /* of what is left out, or why nothing is */
} cases[] = {
    {"mpi", {1, 2, 3, 4}, {1, 2, 3, 4}, NULL},
    {"mpi",
     {1, 9, 2, 3},
     {1, 2, 3},
     "--mpi: alltoall by MPI among 4 ranks at 1024: 9 us: left out, as it "
     "contradicts both its neighbours"},
    {"mpi", {90, 80, 2, 3}, {2, 3}, "as more work took less than a quarter"},
    /* Where a spike has gone, its neighbours may fall. */
    {"mpi", {20, 30, 100, 4}, {4}, "as more work took less than a quarter"},
    {"mpi", {100, 90, 80, 1}, {1}, "as more work took less than a quarter"},
    {"mpi", {4, 3, 2, 1}, {4, 3, 2, 1}, NULL},
    {"mpi", {0.2, 0.4, 0.6, 2}, {0.6, 2}, "have no time below 0.5 us"},
    {"mpi", {0.2, 0.3}, {0}, "no measured row is left"},
    {"mpi", {7}, {7}, NULL},
    /* A file may be in another unit: the same times are refused. */
    {"nccl", {0.2, 0.4, 0.6, 2}, {0}, "--mpi: 0.2 cannot be microseconds"},
};

static bool is_said(const char *text, const moe_remarks *said,
                    const moe_error *err)
{
    bool any = strstr(err->text, text) != NULL;
    for (size_t i = 0; i < said->n; i++)
        any = any || strstr(said->text[i], text) != NULL;
    return any;
}

START_TEST(rows_that_tables_cannot_have_are_left_out)
{
    moe_measurements m = {0};
    moe_remarks said = {0};
    moe_error err = {0};
    size_t left = 0;
    for (int i = 0; i < 8 && cases[_i].time_us[i] > 0; i++)
        add(&m, cases[_i].library, 4, 512 << i, cases[_i].time_us[i]);
    while (left < 8 && cases[_i].left_us[left] > 0)
        left++;
    const moe_status status = moe_measured_clean(&m, &said, &err);
    ck_assert_int_eq(status, left > 0 ? MOE_OK : MOE_FORMAT);
    for (size_t i = 0; i < left; i++)
        ck_assert_double_eq(m.row[i].time_us, cases[_i].left_us[i]);
    ck_assert(left == 0 || m.n == left);
    if (cases[_i].says == NULL)
        ck_assert_uint_eq(said.n, 0);
    else
        ck_assert_msg(is_said(cases[_i].says, &said, &err), "%s: %s / %s",
                      cases[_i].says, said.n > 0 ? said.text[0] : "", err.text);
    moe_remarks_fini(&said);
    moe_measurements_fini(&m);
}
END_TEST

/* What a machine may measure that others keep busy: a time that grows with the
 * bytes, up to a thousand times as long, and now and then far less. */
static double disturbed_us(int draw, int ranks, int size)
{
    moe_rng rng = moe_rng_at(7, MOE_RNG_TEST, (uint64_t)draw, (uint64_t)ranks,
                             (uint64_t)size);
    const double much = pow(10, 3 * moe_rng_unit(&rng));
    const double rarely = moe_rng_unit(&rng) < 0.1 ? 0.1 : 1;
    return (0.4 + 1e-3 * (double)(1 << size)) * much * rarely;
}

enum { DRAWS = 20, SIZES = 15 };

START_TEST(tables_of_a_busy_machine_can_be_read)
{
    char path[4096];
    moe_measurements m = {0};
    moe_remarks said = {0};
    moe_error err = {0};
    moe_link link;
    snprintf(path, sizeof path, "%s/busy%d.h5", test_dir, _i);
    for (int ranks = 2; ranks <= 8; ranks *= 2)
        for (int size = 0; size < SIZES; size++)
            add(&m, "mpi", ranks, 256 * ranks << size,
                disturbed_us(_i, ranks, size));
    ck_assert_msg(moe_silicon_update(NULL, path, &m, &said, &err) == MOE_OK &&
                      moe_silicon_update_errors(path, &m, &said, &err) ==
                          MOE_OK,
                  "%s", err.text);
    moe_silicon *s = moe_silicon_open(path, &err);
    ck_assert_msg(s != NULL && moe_silicon_link(s, "alltoall", "a100_sxm",
                                                "mpi", &link, &err) == MOE_OK,
                  "%s", err.text);
    ck_assert_uint_eq(link.n_counts, 3);
    moe_link_smooth(&link);
    for (int ranks = 2; ranks <= 8; ranks *= 2) {
        const moe_price p = moe_link_price(&link, ranks, 3000.0 * ranks);
        ck_assert(isfinite(p.time_s) && p.time_s > 0);
    }
    moe_silicon_close(s);
    moe_remarks_fini(&said);
    moe_measurements_fini(&m);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *s = suite_create("measured");
    MOE_TEST_LOOP(s, rows_that_tables_cannot_have_are_left_out,
                  MOE_ARRAY_LEN(cases));
    MOE_TEST_LOOP(s, tables_of_a_busy_machine_can_be_read, DRAWS);
    return s;
}
