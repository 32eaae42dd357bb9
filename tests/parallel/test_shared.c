/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/shared.h"

#include <stdint.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

static const size_t sizes[] = {1, 63, 64, 4097, 1 << 20};

START_TEST(what_rank_0_has_is_seen_on_every_rank)
{
    const size_t n = sizes[_i];
    MPI_Win win = MPI_WIN_NULL;
    char *data = moe_shared_open(&test_ctx, n, "bytes", &win);
    int right = data != NULL && (uintptr_t)data % MOE_ALIGNMENT == 0;
    if (right == 1) {
        MOE_MPI(MPI_Win_fence(0, win));
        for (size_t i = 0; i < n && test_ctx.rank == 0; i++)
            data[i] = (char)(i * 7 % 101);
        if (test_ctx.lead_comm != MPI_COMM_NULL)
            moe_shared_bcast(&test_ctx, data, n);
        MOE_MPI(MPI_Win_fence(0, win));
        for (size_t i = 0; i < n; i++)
            right = right == 1 && data[i] == (char)(i * 7 % 101);
        MOE_MPI(MPI_Win_free(&win));
    }
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, &right, 1, MPI_INT, MPI_MIN,
                          test_ctx.comm));
    ck_assert_int_eq(right, 1);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("shared");
    MOE_TEST_LOOP(suite, what_rank_0_has_is_seen_on_every_rank,
                  MOE_ARRAY_LEN(sizes));
    return suite;
}
