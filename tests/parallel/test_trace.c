/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "moegps/mem.h"
#include "moegps/synth.h"

/* Rank 0 writes a trace of either kind. @return its path on all ranks. */
static const char *write_trace(moe_trace_kind kind)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%d.h5", test_dir, (int)kind);
    if (test_ctx.rank == 0 && access(path, F_OK) != 0) {
        moe_synth_params p;
        moe_trace t = {0};
        moe_opt_defaults(moe_synth_options, &p);
        p.kind = kind;
        moe_synth(&p, &t, &test_ctx.err);
        moe_trace_write(path, &t, &test_ctx.err);
        moe_trace_free(&t);
    }
    moe_agree(&test_ctx);
    return path;
}

static bool same(const void *a, const void *b, size_t bytes)
{
    return a == NULL || b == NULL ? a == b : memcmp(a, b, bytes) == 0;
}

static bool equal(const moe_trace *a, const moe_trace *b)
{
    size_t pairs = (size_t)a->layers * a->n_tokens * (size_t)a->top_k;
    size_t cells = a->n_seqs * (size_t)a->layers * (size_t)a->experts;
    return a->kind == b->kind && strcmp(a->model, b->model) == 0 &&
           strcmp(a->note, b->note) == 0 && strcmp(a->sha256, b->sha256) == 0 &&
           a->layers == b->layers && a->experts == b->experts &&
           a->top_k == b->top_k && a->n_tokens == b->n_tokens &&
           a->n_seqs == b->n_seqs && a->vocab_size == b->vocab_size &&
           same(a->seq_offset, b->seq_offset, (a->n_seqs + 1) * 8) &&
           same(a->seq_part, b->seq_part, a->n_seqs) &&
           same(a->experts_of, b->experts_of, pairs * 2) &&
           same(a->token_id, b->token_id, a->n_tokens * 4) &&
           same(a->position, b->position, a->n_tokens * 4) &&
           same(a->gate, b->gate, pairs * 4) &&
           same(a->counts, b->counts, cells * 4);
}

static bool aligned(const void *p)
{
    return (uintptr_t)p % MOE_ALIGNMENT == 0;
}

START_TEST(load_equals_read_on_every_rank)
{
    moe_trace loaded = {0}, read = {0};
    const char *path = write_trace((moe_trace_kind)_i);
    moe_error mine = {0};
    moe_status status = moe_trace_load(&test_ctx, path, &loaded);
    moe_trace_read(path, &read, &mine);
    char hash[65] = "";
    bool ok = status == MOE_OK && mine.status == MOE_OK;
    ok = ok && equal(&loaded, &read) && loaded.vocab == NULL;
    ok = ok && moe_trace_hash(&loaded, hash, &mine) == MOE_OK &&
         strcmp(hash, loaded.sha256) == 0;
    ok = ok && aligned(loaded.experts_of) && aligned(loaded.counts) &&
         aligned(loaded.seq_part) && aligned(loaded.position);
    moe_trace_free(&read);
    if (status == MOE_OK)
        moe_trace_free(&loaded);
    ck_assert_int_eq(status, MOE_OK);
    ck_assert(ok);
}
END_TEST

START_TEST(node_holds_one_copy)
{
    /* what one rank writes, the others of its node see */
    moe_trace t = {0};
    moe_status status =
        moe_trace_load(&test_ctx, write_trace(MOE_TRACE_LOADS), &t);
    bool seen = false;
    if (status == MOE_OK) {
        if (test_ctx.node_rank == 0)
            t.counts[1] = 4242;
        MPI_Win_fence(0, t.shared);
        seen = t.counts[1] == 4242;
        MPI_Win_fence(0, t.shared);
        moe_trace_free(&t);
    }
    ck_assert_int_eq(status, MOE_OK);
    ck_assert(seen);
}
END_TEST

START_TEST(expansion_does_not_depend_on_the_rank)
{
    moe_trace t = {0};
    uint16_t mine[512 * 2] = {0}, first[512 * 2];
    moe_status status =
        moe_trace_load(&test_ctx, write_trace(MOE_TRACE_LOADS), &t);
    if (status == MOE_OK) {
        moe_trace_expand(&t, 11, 5, 2, mine);
        moe_trace_free(&t);
    }
    memcpy(first, mine, sizeof first);
    MPI_Bcast(first, sizeof first, MPI_BYTE, 0, test_ctx.comm);
    ck_assert_int_eq(status, MOE_OK);
    ck_assert_mem_eq(mine, first, sizeof first);
    ck_assert_int_ne(memcmp(mine, mine + 512, 1024), 0);
}
END_TEST

START_TEST(error_on_rank_0_reaches_all)
{
    moe_trace t = {.layers = 77};
    char path[300];
    snprintf(path, sizeof path, "%s/none.h5", test_dir);
    moe_status status = moe_trace_load(&test_ctx, path, &t);
    moe_error err = test_ctx.err;
    test_ctx.err = (moe_error){0};
    ck_assert_int_eq(status, MOE_USAGE);
    ck_assert_int_eq(err.status, MOE_USAGE);
    ck_assert_msg(strstr(err.text, "none.h5: cannot open") != NULL, "%s",
                  err.text);
    ck_assert_int_eq(t.layers, 77);
}
END_TEST

START_TEST(injected_fault_reaches_all)
{
    moe_trace t = {0};
    const char *path = write_trace(MOE_TRACE_LOADS);
    test_ctx.injection =
        (moe_injection){true, MOE_SITE_TRACE, test_ctx.size - 1};
    moe_status status = moe_trace_load(&test_ctx, path, &t);
    test_ctx.injection = (moe_injection){0};
    test_ctx.err = (moe_error){0};
    ck_assert_int_eq(status, MOE_INJECTED);
}
END_TEST

/* Nodes of one rank each exercise what travels between node leaders. */
START_TEST(load_crosses_nodes)
{
    moe_ctx ctx = test_ctx;
    MPI_Comm_split(test_ctx.comm, test_ctx.rank, 0, &ctx.node_comm);
    MPI_Comm_dup(test_ctx.comm, &ctx.lead_comm);
    ctx.node_rank = 0;
    ctx.node_size = 1;
    const char *path = write_trace(MOE_TRACE_TOKENS);
    moe_trace loaded = {0}, read = {0};
    moe_error mine = {0};
    moe_status status = moe_trace_load(&ctx, path, &loaded);
    moe_trace_read(path, &read, &mine);
    bool ok = status == MOE_OK && equal(&loaded, &read);
    moe_trace_free(&read);
    moe_trace_free(&loaded);
    MPI_Comm_free(&ctx.node_comm);
    MPI_Comm_free(&ctx.lead_comm);
    ck_assert(ok);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("trace");
    MOE_TEST_LOOP(suite, load_equals_read_on_every_rank, 2);
    MOE_TEST(suite, node_holds_one_copy);
    MOE_TEST(suite, expansion_does_not_depend_on_the_rank);
    MOE_TEST(suite, error_on_rank_0_reaches_all);
    MOE_TEST(suite, injected_fault_reaches_all);
    MOE_TEST(suite, load_crosses_nodes);
    return suite;
}
