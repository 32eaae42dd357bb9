/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
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

/* ---- what a run asks of its output before it begins ---- */

enum { MIB = 1 << 20 };

static const struct {
    const char *name, *is; /* below the folder of tests; what is there */
    bool force;
    uint64_t bytes; /* that the file will have */
    moe_status status;
    const char *text; /* behind the name */
} outputs[] = {
    {"new.h5", "", false, 0, MOE_OK, ""},
    {"there.h5", "file", false, 0, MOE_EXISTS, ": exists"},
    {"there.h5", "file", true, 0, MOE_OK, ""},
    {"folder.h5", "folder", true, 0, MOE_USAGE, ": is a folder"},
    {"link.h5", "nowhere", true, 0, MOE_USAGE, ": is a link to nothing"},
    {"loop.h5", "loop.h5", true, 0, MOE_USAGE, ": is a link to nothing"},
    {"none/a.h5", "", true, 0, MOE_IO, ".partial: cannot create: "},
    {"big.h5", "", true, 8 * MIB, MOE_IO, ".partial: needs "},
};

static void put_output(const char *path, const char *is)
{
    FILE *f = strcmp(is, "file") == 0 ? fopen(path, "w") : NULL;
    if (f != NULL)
        ck_assert_int_eq(fclose(f), 0);
    else if (strcmp(is, "folder") == 0)
        ck_assert_int_eq(mkdir(path, 0755), 0);
    else if (*is != '\0')
        ck_assert_int_eq(symlink(is, path), 0);
}

START_TEST(output_that_cannot_be_made_is_found_out_before)
{
    char path[512], partial[520], text[1024];
    moe_error err = {0};
    struct rlimit limit, most;
    snprintf(path, sizeof path, "%s/%s", test_dir, outputs[_i].name);
    snprintf(partial, sizeof partial, "%s.partial", path);
    snprintf(text, sizeof text, "%s%s", path, outputs[_i].text);
    put_output(path, outputs[_i].is);
    getrlimit(RLIMIT_FSIZE, &limit);
    most = limit;
    most.rlim_cur = 8 * MIB;
    setrlimit(RLIMIT_FSIZE, &most);
    moe_target_check(path, partial, outputs[_i].bytes, outputs[_i].force, &err);
    setrlimit(RLIMIT_FSIZE, &limit);
    const bool left = access(partial, F_OK) == 0;
    remove(path);
    ck_assert_int_eq(err.status, outputs[_i].status);
    if (err.status != MOE_OK)
        ck_assert_msg(strncmp(err.text, text, strlen(text)) == 0, "%s",
                      err.text);
    ck_assert(!left);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("target");
    MOE_TEST(suite, abandoned_file_leaves_nothing_open);
    MOE_TEST(suite, abandoned_file_keeps_what_was_flushed);
    MOE_TEST_LOOP(suite, change_is_whole_or_not_there, MOE_ARRAY_LEN(changes));
    MOE_TEST_LOOP(suite, output_that_cannot_be_made_is_found_out_before,
                  MOE_ARRAY_LEN(outputs));
    return suite;
}
