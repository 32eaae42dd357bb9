/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
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
    const char *between, *after;
} changes[] = {
    {false, false, "before", "a longer text, written after"},
    {true, false, "before", "a longer text, written after"},
    {false, true, "before", "before"},
};

/* Who is killed during a change leaves the file as it was. */
START_TEST(change_is_whole_or_not_there)
{
    char partial[512], beside[520], between[64] = "", after[64] = "";
    moe_error err = {0}, failed = {0};
    snprintf(partial, sizeof partial, "%s/%d.partial", test_dir, _i);
    snprintf(beside, sizeof beside, "%s.new", partial);
    write_status(partial, "before", &err);
    if (changes[_i].left)
        ck_assert_int_eq(symlink(partial, beside), 0);
    const char *where = moe_target_change(partial, beside, &err);
    write_status(where, "a longer text, written after", &err);
    read_status(partial, between, sizeof between, &err);
    if (changes[_i].fails)
        moe_fail(&failed, MOE_IO, "no");
    moe_target_changed(where, partial, &failed);
    read_status(partial, after, sizeof after, &err);
    const bool beside_is_left = access(beside, F_OK) == 0;
    unlink(partial);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_str_eq(where, beside);
    ck_assert_str_eq(between, changes[_i].between);
    ck_assert_str_eq(after, changes[_i].after);
    ck_assert(!beside_is_left);
}
END_TEST

/* A disk of its own, which goes with the process. @return whether that is
 * permitted */
static bool mount_disk(const char *at)
{
    return unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("tmpfs", at, "tmpfs", 0, "size=8m") == 0;
}

static bool may_mount(void)
{
    const pid_t pid = fork();
    int status = 1;
    if (pid == 0)
        _exit(mount_disk(test_dir) ? 0 : 1);
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static void leave_free(const char *folder, size_t bytes)
{
    char path[512];
    struct statvfs disk;
    snprintf(path, sizeof path, "%s/ballast", folder);
    ck_assert_int_eq(statvfs(folder, &disk), 0);
    const int fd = open(path, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(
        posix_fallocate(fd, 0, (off_t)(disk.f_bavail * disk.f_frsize - bytes)),
        0);
    close(fd);
}

enum { KIB = 1024, TEXT_KIB = 512 };

/* A file of a bit more than TEXT_KIB may grow by 1 MiB. */
static const struct {
    size_t free_kib;
    bool copied, changed;
} disks[] = {
    {1024 + TEXT_KIB + 64, true, true}, /* room for two */
    {1024 + TEXT_KIB / 2, false, true}, /* room for two that do not grow */
    {TEXT_KIB / 2, false, false},       /* room for one that does not grow */
    {TEXT_KIB + 64, false, false},      /* room for two, but not to grow */
};

START_TEST(change_is_made_where_there_is_room)
{
    char partial[512], beside[520], text[64] = "";
    static char filling[TEXT_KIB * KIB];
    moe_error err = {0}, changed = {0};
    struct stat was, now;
    if (!mount_disk(test_dir))
        ck_abort_msg("no disk");
    memset(filling, 'x', sizeof filling - 1);
    snprintf(partial, sizeof partial, "%s/x.partial", test_dir);
    snprintf(beside, sizeof beside, "%s.new", partial);
    write_status(partial, "before", &err);
    hid_t file = moe_h5_open(partial, true, &err);
    moe_h5_write_text(file, "filling", filling, &err);
    moe_h5_close_file(file, &err);
    ck_assert_int_eq(stat(partial, &was), 0);
    leave_free(test_dir, disks[_i].free_kib * KIB);
    const char *where = moe_target_change(partial, beside, &changed);
    ck_assert_str_eq(where, disks[_i].copied ? beside : partial);
    ck_assert_int_eq(changed.status, disks[_i].changed ? MOE_OK : MOE_IO);
    if (disks[_i].changed) {
        write_status(where, "after", &err);
    } else {
        ck_assert_int_eq(stat(partial, &now), 0);
        ck_assert_int_eq(now.st_size, was.st_size);
        ck_assert_ptr_nonnull(
            strstr(changed.text, "cannot be finished: No space left"));
    }
    moe_target_changed(where, partial, &changed);
    read_status(partial, text, sizeof text, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_str_eq(text, disks[_i].changed ? "after" : "before");
    ck_assert_int_ne(access(beside, F_OK), 0);
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
    if (may_mount())
        MOE_TEST_LOOP(suite, change_is_made_where_there_is_room,
                      MOE_ARRAY_LEN(disks));
    else
        test_skip("change_is_made_where_there_is_room",
                  "mounting is not permitted");
    return suite;
}
