/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <unistd.h>

#include "../src/results/internal.h"
#include "harness.h"

/* More objects than a file of results has, so that no fixed number will do. */
enum { GROUPS = 500 };

START_TEST(abandoned_file_leaves_nothing_open)
{
    char path[512], name[16];
    moe_error err = {0};
    snprintf(path, sizeof path, "%s/abandoned.h5", test_dir);
    hid_t file = moe_h5_create(path, &err);
    for (int g = 0; g < GROUPS; g++) {
        snprintf(name, sizeof name, "g%d", g);
        moe_h5_create_group(file, name, &err);
    }
    const ssize_t before = H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL);
    moe_target_abandon(file);
    const ssize_t after = H5Fget_obj_count((hid_t)H5F_OBJ_ALL, H5F_OBJ_ALL);
    unlink(path);
    ck_assert_int_eq(err.status, MOE_OK);
    ck_assert_int_eq(before, GROUPS + 1);
    ck_assert_int_eq(after, 0);
}
END_TEST

/* What is on the disk stays as it was when it was flushed last. */
START_TEST(abandoned_file_keeps_what_was_flushed)
{
    char path[512], text[16] = "";
    moe_error err = {0};
    snprintf(path, sizeof path, "%s/kept.h5", test_dir);
    hid_t file = moe_h5_create(path, &err);
    moe_h5_put_text(file, "status", "running", &err);
    moe_target_flush(file, path, &err);
    moe_h5_put_text(file, "status", "lost", &err);
    moe_target_abandon(file);
    file = moe_h5_open(path, false, &err);
    moe_h5_get_text(file, "status", text, sizeof text, &err);
    moe_h5_close_file(file, &err);
    unlink(path);
    ck_assert_int_eq(err.status, MOE_OK);
    ck_assert_str_eq(text, "running");
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("target");
    MOE_TEST(suite, abandoned_file_leaves_nothing_open);
    MOE_TEST(suite, abandoned_file_keeps_what_was_flushed);
    return suite;
}
