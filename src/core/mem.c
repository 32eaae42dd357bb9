/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/mem.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void *moe_array_new(size_t n, size_t size, moe_error *err)
{
    size_t bytes = 0;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2) {
        moe_fail(err, MOE_NOMEM, "out of memory: %zu x %zu bytes overflow", n,
                 size);
        return NULL;
    }
    bytes = (bytes + MOE_ALIGNMENT - 1) / MOE_ALIGNMENT * MOE_ALIGNMENT;
    void *p = aligned_alloc(MOE_ALIGNMENT, bytes > 0 ? bytes : MOE_ALIGNMENT);
    if (p == NULL) {
        moe_fail(err, MOE_NOMEM, "out of memory: needed %.1f MiB",
                 (double)bytes / (1 << 20));
        return NULL;
    }
    memset(p, 0, bytes > 0 ? bytes : MOE_ALIGNMENT);
    return p;
}

char *moe_strdup(const char *text, moe_error *err)
{
    if (text == NULL)
        return NULL;
    size_t len = strlen(text) + 1;
    char *copy = malloc(len);
    if (copy == NULL) {
        moe_fail(err, MOE_NOMEM, "out of memory: needed %zu bytes", len);
        return NULL;
    }
    return memcpy(copy, text, len);
}

int moe_to_int(uint64_t value, const char *what, moe_error *err)
{
    if (value > INT_MAX) {
        moe_fail(err, MOE_USAGE, "%s: %" PRIu64 " exceeds %d, MPI's limit",
                 what, value, INT_MAX);
        return 0;
    }
    return (int)value;
}
