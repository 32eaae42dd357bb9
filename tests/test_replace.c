/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/replace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"
#include "moegps/mem.h"

static char path[300];

static void name(const char *file)
{
    snprintf(path, sizeof path, "%s/%s", test_dir, file);
}

static void put(const char *to, const char *text)
{
    FILE *out = fopen(to, "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    fclose(out);
}

static void check_text(const char *at, const char *want)
{
    char *text = NULL;
    ck_assert_int_eq(moe_read_text(at, &text, NULL), MOE_OK);
    ck_assert_str_eq(text, want);
    free(text);
}

START_TEST(output_appears_when_it_is_whole)
{
    moe_replace r;
    moe_error err = {0};
    name("new.txt");
    FILE *out = moe_replace_open(&r, path, false, &err);
    ck_assert_ptr_nonnull(out);
    fputs("new", out);
    ck_assert_int_ne(access(path, F_OK), 0);
    ck_assert_int_eq(moe_replace_close(&r, out, &err), MOE_OK);
    check_text(path, "new");
    ck_assert_int_ne(access(r.beside, F_OK), 0);
}
END_TEST

START_TEST(what_was_there_stays_until_then)
{
    moe_replace r;
    moe_error err = {0};
    name("old.txt");
    put(path, "old");
    FILE *out = moe_replace_open(&r, path, true, &err);
    fputs("new", out);
    fflush(out);
    check_text(path, "old");
    moe_replace_close(&r, out, &err);
    check_text(path, "new");
}
END_TEST

START_TEST(failed_write_leaves_what_was_there_and_nothing_beside)
{
    moe_replace r;
    moe_error err = {0};
    name("kept.txt");
    put(path, "old");
    FILE *out = moe_replace_open(&r, path, true, &err);
    fputs("half", out);
    moe_fail(&err, MOE_NOMEM, "out of memory");
    ck_assert_int_eq(moe_replace_close(&r, out, &err), MOE_NOMEM);
    ck_assert_str_eq(err.text, "out of memory");
    check_text(path, "old");
    ck_assert_int_ne(access(r.beside, F_OK), 0);
}
END_TEST

START_TEST(existing_output_is_refused_in_one_sentence_without_force)
{
    moe_replace r;
    moe_error err = {0}, again = {0};
    char want[400];
    name("there.txt");
    put(path, "old");
    snprintf(want, sizeof want, "%s: exists (--force replaces it)", path);
    ck_assert_int_eq(moe_replace_check(path, false, &err), MOE_EXISTS);
    ck_assert_str_eq(err.text, want);
    ck_assert_ptr_null(moe_replace_open(&r, path, false, &again));
    ck_assert_str_eq(again.text, want);
    ck_assert_int_eq(moe_replace_check(path, true, NULL), MOE_OK);
    ck_assert_int_eq(moe_replace_check("-", false, NULL), MOE_OK);
    ck_assert_int_eq(moe_replace_check(NULL, false, NULL), MOE_OK);
    name("not_there.txt");
    ck_assert_int_eq(moe_replace_check(path, false, NULL), MOE_OK);
}
END_TEST

START_TEST(output_that_appears_meanwhile_stays)
{
    moe_replace r;
    moe_error err = {0};
    name("meanwhile.txt");
    ck_assert_int_eq(moe_replace_begin(&r, path, false, &err), MOE_OK);
    put(r.beside, "mine");
    put(path, "theirs");
    ck_assert_int_eq(moe_replace_commit(&r, &err), MOE_EXISTS);
    check_text(path, "theirs");
    ck_assert_int_ne(access(r.beside, F_OK), 0);
}
END_TEST

START_TEST(what_an_earlier_write_left_is_removed)
{
    moe_replace r;
    moe_error err = {0};
    char beside[400];
    name("left.txt");
    snprintf(beside, sizeof beside, "%s.new", path);
    put(beside, "half");
    ck_assert_int_eq(moe_replace_begin(&r, path, false, &err), MOE_OK);
    ck_assert_str_eq(r.beside, beside);
    ck_assert_int_ne(access(beside, F_OK), 0);
}
END_TEST

START_TEST(link_is_followed)
{
    moe_replace r;
    moe_error err = {0};
    struct stat info;
    char link[300];
    name("linked.txt");
    put(path, "old");
    snprintf(link, sizeof link, "%s/link.txt", test_dir);
    ck_assert_int_eq(symlink(path, link), 0);
    FILE *out = moe_replace_open(&r, link, true, &err);
    fputs("new", out);
    ck_assert_int_eq(moe_replace_close(&r, out, &err), MOE_OK);
    check_text(path, "new");
    ck_assert_int_eq(lstat(link, &info), 0);
    ck_assert(S_ISLNK(info.st_mode));
}
END_TEST

START_TEST(device_is_written_in_place)
{
    moe_replace r;
    moe_error err = {0};
    struct stat info;
    FILE *out = moe_replace_open(&r, "/dev/null", true, &err);
    ck_assert_ptr_nonnull(out);
    fputs("gone", out);
    ck_assert_int_eq(moe_replace_close(&r, out, &err), MOE_OK);
    ck_assert_int_eq(stat("/dev/null", &info), 0);
    ck_assert(S_ISCHR(info.st_mode));
}
END_TEST

/* Less and more than a buffer holds: the error surfaces late or early. */
static const size_t lengths[] = {1, 100000};

START_TEST(error_of_writing_names_path_and_reason)
{
    moe_replace r;
    moe_error err = {0};
    FILE *out = moe_replace_open(&r, "/dev/full", true, &err);
    ck_assert_ptr_nonnull(out);
    for (size_t i = 0; i < lengths[_i]; i++)
        fputc('x', out);
    ck_assert_int_eq(moe_replace_close(&r, out, &err), MOE_IO);
    ck_assert_str_eq(err.text, "/dev/full: No space left on device");
}
END_TEST

static const struct {
    const char *blamed, *below, *reason;
} unwritable[] = {
    {"folder", "", "Is a directory"},
    {"plain", "/x.txt", "cannot create this folder: Not a directory"},
};

START_TEST(output_that_cannot_be_made_is_told_with_the_reason)
{
    moe_replace r;
    moe_error err = {0};
    char want[400];
    name("plain");
    put(path, "");
    name("folder");
    mkdir(path, 0777);
    name(unwritable[_i].blamed);
    snprintf(want, sizeof want, "%s: %s", path, unwritable[_i].reason);
    strncat(path, unwritable[_i].below, sizeof path - strlen(path) - 1);
    ck_assert_ptr_null(moe_replace_open(&r, path, true, &err));
    ck_assert_str_eq(err.text, want);
}
END_TEST

START_TEST(folders_of_an_output_are_made)
{
    moe_replace r;
    moe_error err = {0};
    name("one/two//three/x.txt");
    FILE *out = moe_replace_open(&r, path, false, &err);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(moe_replace_close(&r, out, &err), MOE_OK);
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(link_to_nothing_is_no_output)
{
    moe_replace r;
    moe_error err = {0};
    name("dangling");
    ck_assert_int_eq(symlink("nowhere", path), 0);
    ck_assert_ptr_null(moe_replace_open(&r, path, true, &err));
    ck_assert_ptr_nonnull(strstr(err.text, "dangling: is a link to nothing"));
}
END_TEST

START_TEST(too_long_a_path_is_refused)
{
    moe_replace r;
    moe_error err = {0};
    char longest[5000];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    ck_assert_int_eq(moe_replace_begin(&r, longest, false, &err), MOE_USAGE);
}
END_TEST

static const struct {
    const char *text;
    mode_t mode, copied;
    bool there; /* already */
} copies[] = {
    {"", 0644, 0644, false},
    {"text", 0640, 0640, false},
    {"of a folder that is read only", 0444, 0644, false},
    {"not over another", 0644, 0, true},
};

START_TEST(copy_has_text_and_permissions)
{
    char copy[320];
    struct stat info;
    name("copied.txt");
    put(path, copies[_i].text);
    ck_assert_int_eq(chmod(path, copies[_i].mode), 0);
    snprintf(copy, sizeof copy, "%s.copy", path);
    if (copies[_i].there) {
        put(copy, "theirs");
        ck_assert_int_eq(moe_replace_copy(path, copy), -1);
        ck_assert_int_eq(errno, EEXIST);
        check_text(copy, "theirs");
    } else {
        ck_assert_int_eq(moe_replace_copy(path, copy), 0);
        check_text(copy, copies[_i].text);
        ck_assert_int_eq(stat(copy, &info), 0);
        ck_assert_int_eq(info.st_mode & 07777, copies[_i].copied);
    }
    unlink(path);
    unlink(copy);
}
END_TEST

START_TEST(copy_of_nothing_says_why)
{
    char copy[320];
    name("nothing.txt");
    snprintf(copy, sizeof copy, "%s.copy", path);
    ck_assert_int_eq(moe_replace_copy(path, copy), -1);
    ck_assert_int_eq(errno, ENOENT);
    ck_assert_int_ne(access(copy, F_OK), 0);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("replace");
    MOE_TEST(suite, output_appears_when_it_is_whole);
    MOE_TEST(suite, what_was_there_stays_until_then);
    MOE_TEST(suite, failed_write_leaves_what_was_there_and_nothing_beside);
    MOE_TEST(suite, existing_output_is_refused_in_one_sentence_without_force);
    MOE_TEST(suite, output_that_appears_meanwhile_stays);
    MOE_TEST(suite, what_an_earlier_write_left_is_removed);
    MOE_TEST(suite, link_is_followed);
    MOE_TEST(suite, device_is_written_in_place);
    MOE_TEST_LOOP(suite, error_of_writing_names_path_and_reason,
                  MOE_ARRAY_LEN(lengths));
    MOE_TEST_LOOP(suite, output_that_cannot_be_made_is_told_with_the_reason,
                  MOE_ARRAY_LEN(unwritable));
    MOE_TEST(suite, folders_of_an_output_are_made);
    MOE_TEST(suite, link_to_nothing_is_no_output);
    MOE_TEST(suite, too_long_a_path_is_refused);
    MOE_TEST_LOOP(suite, copy_has_text_and_permissions, MOE_ARRAY_LEN(copies));
    MOE_TEST(suite, copy_of_nothing_says_why);
    return suite;
}
