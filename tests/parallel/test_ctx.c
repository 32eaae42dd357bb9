/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ctx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

/* Agreed by all, so that an assert fails on all of them or on none. */
static bool all_true(bool mine)
{
    int in = mine, out = 0;
    MOE_MPI(MPI_Allreduce(&in, &out, 1, MPI_INT, MPI_MIN, test_ctx.comm));
    return out == 1;
}

static void forget(void)
{
    test_ctx.err = (moe_error){0};
}

START_TEST(nothing_is_agreed_on_when_all_is_well)
{
    forget();
    moe_status s = moe_agree(&test_ctx);
    ck_assert(all_true(s == MOE_OK && test_ctx.err.text[0] == '\0'));
}
END_TEST

/* One rank fails: rank _i of 4, where there are so many. */
START_TEST(error_of_one_rank_reaches_all_with_rank_and_host)
{
    const int who = _i % test_ctx.size;
    char host[sizeof test_ctx.host], expected[128] = "disk full";
    memcpy(host, test_ctx.host, sizeof host);
    MOE_MPI(MPI_Bcast(host, sizeof host, MPI_CHAR, who, test_ctx.comm));
    if (test_ctx.size > 1)
        snprintf(expected, sizeof expected, "rank %d (%s): disk full", who,
                 host);
    forget();
    if (test_ctx.rank == who)
        moe_fail(&test_ctx.err, MOE_IO, "disk full");
    moe_status s = moe_agree(&test_ctx);
    bool ok = s == MOE_IO && test_ctx.err.status == MOE_IO &&
              strcmp(test_ctx.err.text, expected) == 0;
    s = moe_agree(&test_ctx); /* again: nothing is put in front twice */
    ok = ok && s == MOE_IO && strcmp(test_ctx.err.text, expected) == 0;
    char text[MOE_ERROR_LEN];
    memcpy(text, test_ctx.err.text, sizeof text);
    forget();
    ck_assert_msg(all_true(ok), "%s", text);
}
END_TEST

START_TEST(error_of_all_ranks_needs_no_rank)
{
    forget();
    moe_fail(&test_ctx.err, MOE_USAGE, "bad option");
    moe_status s = moe_agree(&test_ctx);
    bool ok = s == MOE_USAGE && strcmp(test_ctx.err.text, "bad option") == 0;
    forget();
    ck_assert(all_true(ok));
}
END_TEST

START_TEST(ranks_that_fail_differently_are_told_apart)
{
    forget();
    moe_fail(&test_ctx.err, MOE_IO, "file %d is missing", test_ctx.rank);
    moe_status s = moe_agree(&test_ctx);
    bool prefixed = strncmp(test_ctx.err.text, "rank 0 (", 8) == 0;
    bool ok = s == MOE_IO && prefixed == (test_ctx.size > 1) &&
              strstr(test_ctx.err.text, "file 0 is missing") != NULL;
    forget();
    ck_assert(all_true(ok));
}
END_TEST

/* Ranks 1 and above of 4 fail, the last two worse: the third explains. */
START_TEST(lowest_of_the_worst_ranks_explains)
{
    const int rank = test_ctx.rank, size = test_ctx.size;
    const int explains = size / 2;
    forget();
    if (rank >= explains)
        moe_fail(&test_ctx.err, MOE_NOMEM, "worst of %d", rank);
    else if (rank > 0)
        moe_fail(&test_ctx.err, MOE_USAGE, "not so bad");
    moe_status s = moe_agree(&test_ctx);
    char sentence[32];
    snprintf(sentence, sizeof sentence, "worst of %d", explains);
    bool ok = s == MOE_NOMEM && test_ctx.err.status == MOE_NOMEM &&
              strstr(test_ctx.err.text, sentence) != NULL;
    forget();
    ck_assert(all_true(ok));
}
END_TEST

START_TEST(longest_error_keeps_its_rank)
{
    char text[MOE_ERROR_LEN];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    forget();
    if (test_ctx.rank == test_ctx.size - 1)
        moe_fail(&test_ctx.err, MOE_INVALID, "%s", text);
    moe_status s = moe_agree(&test_ctx);
    bool ok =
        s == MOE_INVALID && strlen(test_ctx.err.text) < MOE_ERROR_LEN &&
        (test_ctx.size == 1 || strncmp(test_ctx.err.text, "rank ", 5) == 0) &&
        strstr(test_ctx.err.text, "xxxx") != NULL;
    forget();
    ck_assert(all_true(ok));
}
END_TEST

/* Lengths around the steps in which a file is read. */
static const size_t lengths[] = {0,    1,    4095, 4096,  4097,
                                 8190, 8191, 8192, 16383, 100000};

static void path_of(const char *name, char *path, size_t size)
{
    snprintf(path, size, "%s/%s", test_dir, name);
}

static void write_file(const char *path, const void *data, size_t n)
{
    FILE *f = test_ctx.rank == 0 ? fopen(path, "wb") : NULL;
    if (f != NULL) {
        fwrite(data, 1, n, f);
        fclose(f);
    }
}

START_TEST(text_reaches_all_ranks_whole)
{
    const size_t n = lengths[_i];
    char path[300], *text = NULL, *written = malloc(n + 1);
    memset(written, 'a' + _i, n);
    written[n] = '\0';
    path_of("whole.txt", path, sizeof path);
    write_file(path, written, n);
    forget();
    moe_status s = moe_ctx_read_text(&test_ctx, path, &text);
    bool ok = s == MOE_OK && strcmp(text, written) == 0;
    free(text);
    free(written);
    forget();
    ck_assert(all_true(ok));
}
END_TEST

static const struct {
    const char *name; /* below the scratch folder */
    const char *says;
} unreadable[] = {
    {"none.txt", "none.txt: cannot open: No such file"},
    {"none/none.txt", "none.txt: cannot open: No such file"},
    {".", "cannot read: Is a directory"},
    {"zero.txt", "zero.txt: is not a text"},
};

START_TEST(what_cannot_be_read_is_known_to_all_ranks)
{
    char path[300], *text = NULL;
    path_of("zero.txt", path, sizeof path);
    write_file(path, "a\0b", 3);
    path_of(unreadable[_i].name, path, sizeof path);
    forget();
    moe_status s = moe_ctx_read_text(&test_ctx, path, &text);
    bool ok = s == MOE_USAGE && text == NULL &&
              strstr(test_ctx.err.text, unreadable[_i].says) != NULL;
    char said[MOE_ERROR_LEN];
    memcpy(said, test_ctx.err.text, sizeof said);
    /* An error is one, too, where nobody listens. */
    MOE_MPI(MPI_Barrier(test_ctx.comm));
    ok = ok && moe_read_text(path, &text, NULL) == MOE_USAGE && text == NULL;
    forget();
    ck_assert_msg(all_true(ok), "%s", said);
}
END_TEST

START_TEST(text_is_read_whatever_went_wrong_before)
{
    char path[300], *text = NULL;
    moe_error err = {0};
    path_of("before.txt", path, sizeof path);
    write_file(path, "fine", 4);
    MOE_MPI(MPI_Barrier(test_ctx.comm));
    moe_fail(&err, MOE_IO, "before");
    bool ok = moe_read_text(path, &text, &err) == MOE_OK &&
              strcmp(text, "fine") == 0 && strcmp(err.text, "before") == 0;
    free(text);
    text = NULL;
    forget();
    if (test_ctx.rank == test_ctx.size - 1)
        moe_fail(&test_ctx.err, MOE_IO, "before");
    ok = ok && moe_ctx_read_text(&test_ctx, path, &text) == MOE_IO &&
         text == NULL;
    forget();
    ck_assert(all_true(ok));
}
END_TEST

START_TEST(warning_is_kept_once_and_on_rank_0)
{
    moe_ctx ctx;
    moe_ctx_init(&ctx, test_ctx.comm);
    moe_warn(&ctx, "unit test: ranks share %s", "cores");
    moe_warn(&ctx, "unit test: %d", 2);
    moe_warn(&ctx, "unit test: ranks share cores");
    bool ok = ctx.n_warnings == (ctx.rank == 0 ? 2 : 0);
    if (ctx.rank == 0)
        ok = ok &&
             strcmp(ctx.warnings[0], "unit test: ranks share cores") == 0 &&
             strcmp(ctx.warnings[1], "unit test: 2") == 0;
    moe_ctx_fini(&ctx);
    ck_assert(all_true(ok));
}
END_TEST

START_TEST(injection_fails_one_site_on_one_rank)
{
    const int last = test_ctx.size - 1;
    const bool here = test_ctx.rank == last;
    forget();
    test_ctx.injection = (moe_injection){false, MOE_SITE_PLAN, last};
    bool ok = !moe_inject(&test_ctx, MOE_SITE_PLAN);
    test_ctx.injection.armed = true;
    ok = ok && !moe_inject(&test_ctx, MOE_SITE_FFN);
    ok = ok && moe_inject_here(&test_ctx, MOE_SITE_PLAN) == here;
    ok = ok && test_ctx.err.status == MOE_OK;
    ok = ok && moe_inject(&test_ctx, MOE_SITE_PLAN) == here;
    ok = ok && test_ctx.err.status == (here ? MOE_INJECTED : MOE_OK);
    moe_status s = moe_agree(&test_ctx);
    ok = ok && s == MOE_INJECTED &&
         strstr(test_ctx.err.text, "plan: injected fault") != NULL;
    test_ctx.injection = (moe_injection){0};
    forget();
    ck_assert(all_true(ok));
}
END_TEST

/* Ranks of a test share one host, so they are one node. */
START_TEST(node_is_what_shares_memory)
{
    const moe_ctx *c = &test_ctx;
    bool ok = c->n_nodes == 1 && c->node == 0 && c->node_rank == c->rank &&
              c->node_size == c->size &&
              (c->lead_comm != MPI_COMM_NULL) == (c->rank == 0);
    ck_assert(all_true(ok && c->host[0] != '\0'));
}
END_TEST

START_TEST(context_of_part_of_the_ranks_counts_its_own)
{
    MPI_Comm part = MPI_COMM_NULL;
    moe_ctx ctx;
    const int color = test_ctx.rank % 2;
    MOE_MPI(MPI_Comm_split(test_ctx.comm, color, -test_ctx.rank, &part));
    moe_ctx_init(&ctx, part);
    const int size = (test_ctx.size + 1 - color) / 2;
    bool ok = ctx.size == size && ctx.rank == size - 1 - test_ctx.rank / 2 &&
              ctx.node_size == size && ctx.n_nodes == 1;
    if (ctx.rank == 0 && color == 1) /* the other part knows nothing of it */
        moe_fail(&ctx.err, MOE_IO, "odd");
    ok = moe_agree(&ctx) == (color == 1 ? MOE_IO : MOE_OK) && ok;
    moe_ctx_fini(&ctx);
    MOE_MPI(MPI_Comm_free(&part));
    ck_assert(all_true(ok));
}
END_TEST

START_TEST(host_is_what_slurm_calls_it)
{
    const char *before = getenv("SLURMD_NODENAME");
    char *kept = moe_strdup(before, NULL);
    char longest[200];
    memset(longest, 'n', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    bool ok = true;
    const char *const names[] = {"node12", longest};
    for (size_t i = 0; i < MOE_ARRAY_LEN(names); i++) {
        moe_ctx ctx;
        setenv("SLURMD_NODENAME", names[i], 1);
        moe_ctx_init(&ctx, test_ctx.comm);
        ok = ok && strncmp(ctx.host, names[i], sizeof ctx.host - 1) == 0 &&
             strlen(ctx.host) < sizeof ctx.host;
        moe_ctx_fini(&ctx);
    }
    if (kept != NULL)
        setenv("SLURMD_NODENAME", kept, 1);
    else
        unsetenv("SLURMD_NODENAME");
    free(kept);
    ck_assert(all_true(ok));
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("ctx");
    MOE_TEST(suite, nothing_is_agreed_on_when_all_is_well);
    MOE_TEST_LOOP(suite, error_of_one_rank_reaches_all_with_rank_and_host, 4);
    MOE_TEST(suite, error_of_all_ranks_needs_no_rank);
    MOE_TEST(suite, ranks_that_fail_differently_are_told_apart);
    MOE_TEST(suite, lowest_of_the_worst_ranks_explains);
    MOE_TEST(suite, longest_error_keeps_its_rank);
    MOE_TEST_LOOP(suite, text_reaches_all_ranks_whole, MOE_ARRAY_LEN(lengths));
    MOE_TEST_LOOP(suite, what_cannot_be_read_is_known_to_all_ranks,
                  MOE_ARRAY_LEN(unreadable));
    MOE_TEST(suite, text_is_read_whatever_went_wrong_before);
    MOE_TEST(suite, warning_is_kept_once_and_on_rank_0);
    MOE_TEST(suite, injection_fails_one_site_on_one_rank);
    MOE_TEST(suite, node_is_what_shares_memory);
    MOE_TEST(suite, context_of_part_of_the_ranks_counts_its_own);
    MOE_TEST_ONCE(suite, host_is_what_slurm_calls_it);
    return suite;
}
