/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../src/results/internal.h"
#include "harness.h"
#include "moegps/mem.h"

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

/* ---- changes ---- */

static void write_status(const char *path, const char *text, moe_error *err)
{
    hid_t file = access(path, F_OK) == 0 ? moe_h5_open(path, true, err)
                                         : moe_h5_create(path, err);
    moe_h5_put_text(file, "status", text, err);
    moe_target_flush(file, path, err);
    moe_h5_close_file(file, err);
}

static void read_status(const char *path, char *text, size_t size,
                        moe_error *err)
{
    hid_t file = moe_h5_open(path, false, err);
    moe_h5_get_text(file, "status", text, size, err);
    moe_h5_close_file(file, err);
}

static const struct {
    bool left;  /* by a process that was killed */
    bool fails; /* after the change was written */
    bool full;  /* no room for a copy */
    const char *between, *after;
} changes[] = {
    {false, false, false, "before", "a longer text, written after"},
    {true, false, false, "before", "a longer text, written after"},
    {false, true, false, "before", "before"},
    {false, false, true, "a longer text, written after",
     "a longer text, written after"},
};

/* Who is killed during a change leaves the file as it was. */
START_TEST(change_is_whole_or_not_there)
{
    char partial[512], beside[520], between[64] = "", after[64] = "";
    moe_error err = {0}, failed = {0};
    struct rlimit limit, none;
    snprintf(partial, sizeof partial, "%s/%d.partial", test_dir, _i);
    snprintf(beside, sizeof beside, "%s.new", partial);
    write_status(partial, "before", &err);
    if (changes[_i].left)
        ck_assert_int_eq(symlink(partial, beside), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &limit);
    none = limit;
    none.rlim_cur = changes[_i].full ? 16 : limit.rlim_cur;
    setrlimit(RLIMIT_FSIZE, &none);
    const char *where = moe_target_change(partial, beside, &err);
    setrlimit(RLIMIT_FSIZE, &limit);
    write_status(where, "a longer text, written after", &err);
    read_status(partial, between, sizeof between, &err);
    if (changes[_i].fails)
        moe_fail(&failed, MOE_IO, "no");
    moe_target_changed(where, partial, &failed);
    read_status(partial, after, sizeof after, &err);
    const bool beside_is_left = access(beside, F_OK) == 0;
    unlink(partial);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_str_eq(where, changes[_i].full ? partial : beside);
    ck_assert_str_eq(between, changes[_i].between);
    ck_assert_str_eq(after, changes[_i].after);
    ck_assert(!beside_is_left);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("target");
    MOE_TEST(suite, abandoned_file_leaves_nothing_open);
    MOE_TEST(suite, abandoned_file_keeps_what_was_flushed);
    MOE_TEST_LOOP(suite, change_is_whole_or_not_there, MOE_ARRAY_LEN(changes));
    return suite;
}
