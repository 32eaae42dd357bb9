/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/topo.h"

#include <stdio.h>
#include <string.h>

#include "harness.h"

START_TEST(ranks_describe_one_node_alike)
{
    moe_topo topo;
    moe_status status = moe_topo_discover(&test_ctx, &topo);
    int mine[2] = {topo.node_cores, -topo.node_cores}, worst[2];
    MPI_Allreduce(mine, worst, 2, MPI_INT, MPI_MAX, test_ctx.node_comm);
    ck_assert_int_eq(status, MOE_OK);
    ck_assert_int_eq(worst[0], -worst[1]);
    ck_assert_int_ge(topo.cores, 1);
    ck_assert_int_ge(topo.node_cores, topo.cores);
    ck_assert_int_ge(topo.sharers, 1);
    ck_assert_int_le(topo.sharers, test_ctx.node_size);
    ck_assert_int_ge(topo.threads, 1);
    ck_assert_uint_gt(strlen(topo.cpuset), 0);
    if (test_ctx.node_size > topo.node_cores)
        ck_assert(topo.oversubscribed);
}
END_TEST

START_TEST(sharing_ranks_are_warned_about_once)
{
    moe_topo topo = {.cores = 1, .sharers = 1, .cpu_limit = 1e9};
    moe_topo_warn(&test_ctx, &topo, false);
    size_t quiet = test_ctx.n_warnings;
    /* the last rank is the crowded one, and the one to be named */
    topo.sharers = test_ctx.rank == test_ctx.size - 1 ? 3 : 1;
    topo.oversubscribed = topo.sharers > 1;
    moe_topo_warn(&test_ctx, &topo, false);
    moe_topo_warn(&test_ctx, &topo, false);
    ck_assert_uint_eq(quiet, 0);
    if (test_ctx.rank != 0)
        return;
    char rank[32];
    snprintf(rank, sizeof rank, "rank %d (", test_ctx.size - 1);
    ck_assert_uint_eq(test_ctx.n_warnings, 1);
    ck_assert_ptr_nonnull(strstr(test_ctx.warnings[0], "oversubscribed"));
    ck_assert_ptr_nonnull(strstr(test_ctx.warnings[0], rank));
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("topo");
    MOE_TEST(suite, ranks_describe_one_node_alike);
    MOE_TEST(suite, sharing_ranks_are_warned_about_once);
    return suite;
}
