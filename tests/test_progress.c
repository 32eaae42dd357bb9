/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/progress.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"

/* What is said on stderr, a file or a terminal, from here to heard(). */
static int said_fd, kept_fd;

static void listen_on(bool terminal)
{
    char path[300];
    snprintf(path, sizeof path, "%s/said", test_dir);
    said_fd = terminal ? posix_openpt(O_RDWR | O_NOCTTY)
                       : open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    ck_assert_int_ge(said_fd, 0);
    kept_fd = dup(STDERR_FILENO);
    int other = said_fd;
    if (terminal) {
        ck_assert_int_eq(grantpt(said_fd), 0);
        ck_assert_int_eq(unlockpt(said_fd), 0);
        other = open(ptsname(said_fd), O_WRONLY | O_NOCTTY);
        ck_assert_int_ge(other, 0);
    }
    ck_assert_int_eq(dup2(other, STDERR_FILENO), STDERR_FILENO);
    if (terminal)
        close(other);
}

static const char *heard(void)
{
    static char text[1024];
    size_t at = 0;
    ssize_t n;
    fflush(stderr);
    dup2(kept_fd, STDERR_FILENO); /* reading ends behind what was written */
    close(kept_fd);
    lseek(said_fd, 0, SEEK_SET); /* a terminal does not mind */
    while ((n = read(said_fd, text + at, sizeof text - 1 - at)) > 0)
        at += (size_t)n;
    text[at] = '\0';
    close(said_fd);
    return text;
}

static const struct {
    bool terminal, show;
    int done;       /* of 10 */
    double since_s; /* since it began, and since something was said */
    const char *says;
} cases[] = {
    {false, true, 5, 1, ""}, /* nothing in the first half minute */
    {false, true, 5, 40, "moegps: 5 of 10 steps, 40 s to go\n"},
    {false, true, 2, 40, "moegps: 2 of 10 steps, 160 s to go\n"},
    {false, true, 10, 40, ""}, /* the result says it */
    {false, false, 5, 40, ""},
    {true, true, 5, 0, ""}, /* not ten times a second */
    {true, true, 5, 40,
     "\r[###############...............] 5/10 steps, 40 s to go \r\x1b[K"},
    {true, true, 10, 40,
     "\r[##############################] 10/10 steps, 0 s to go \r\x1b[K"},
    {true, false, 5, 40, ""},
};

START_TEST(says_how_far_it_is)
{
    moe_progress p;
    listen_on(cases[_i].terminal);
    moe_progress_begin(&p, "steps", 10, cases[_i].show);
    p.start_s -= cases[_i].since_s;
    p.said_s -= cases[_i].since_s;
    moe_progress_step(&p, cases[_i].done);
    if (*cases[_i].says == '\r')
        moe_progress_end(&p);
    ck_assert_str_eq(heard(), cases[_i].says);
}
END_TEST

START_TEST(is_not_said_twice_at_once)
{
    moe_progress p;
    listen_on(false);
    moe_progress_begin(&p, "steps", 10, true);
    p.start_s -= 40;
    p.said_s -= 40;
    moe_progress_step(&p, 5);
    moe_progress_step(&p, 6);
    moe_progress_end(&p);
    ck_assert_str_eq(heard(), cases[1].says);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("progress");
    MOE_TEST_LOOP(suite, says_how_far_it_is, sizeof cases / sizeof *cases);
    MOE_TEST(suite, is_not_said_twice_at_once);
    return suite;
}
