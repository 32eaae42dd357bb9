/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/launched.h"

#include <stdlib.h>

#include "moegps/mem.h"

static int number_of(const char *const *names, size_t n, int absent)
{
    for (size_t i = 0; i < n; i++) {
        const char *text = getenv(names[i]);
        if (text != NULL)
            return atoi(text);
    }
    return absent;
}

int moe_launched_rank(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK",
                                        "PMIX_RANK", "SLURM_PROCID"};
    return number_of(names, MOE_ARRAY_LEN(names), 0);
}

int moe_launched_ranks(void)
{
    static const char *const names[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE",
                                        "SLURM_STEP_NUM_TASKS"};
    return number_of(names, MOE_ARRAY_LEN(names), 1);
}
