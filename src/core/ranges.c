/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ranges.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* More than any list of layers or GPUs has; a guard for memory. */
enum { MOST_NUMBERS = 1 << 20, LONGEST_RANGE_TEXT = 32 };

/* @return whether there were digits; a number too large becomes INT64_MAX. */
static bool digits(const char **at, int64_t *out)
{
    char *end = NULL;
    if (!isdigit((unsigned char)**at))
        return false;
    *out = strtoll(*at, &end, 10);
    *at = end;
    return true;
}

/* Read `3` or `8-11`. @return whether it is one of these. */
static bool take_range(const char **at, int64_t *first, int64_t *last)
{
    if (!digits(at, first))
        return false;
    *last = *first;
    if (**at != '-')
        return true;
    ++*at;
    return digits(at, last);
}

static moe_status add(moe_ranges *r, const char *text, int64_t first,
                      int64_t last, int32_t most, moe_error *err)
{
    if (first > last || last > most)
        return moe_fail(err, MOE_USAGE, "'%.80s': not all are in 0..%" PRId32,
                        text, most);
    const size_t n = (size_t)(last - first + 1);
    if (n > MOST_NUMBERS || r->n + n > MOST_NUMBERS)
        return moe_fail(err, MOE_USAGE, "'%.80s': more than %d numbers", text,
                        MOST_NUMBERS);
    int32_t *more = realloc(r->number, (r->n + n) * sizeof *more);
    if (more == NULL)
        return moe_fail(err, MOE_NOMEM, "out of memory");
    r->number = more;
    for (int64_t x = first; x <= last; x++)
        r->number[r->n++] = (int32_t)x;
    return MOE_OK;
}

static int rising(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void refuse_twice(const moe_ranges *r, const char *text, moe_error *err)
{
    int32_t *sorted = moe_array_new(r->n, sizeof *sorted, err);
    if (sorted == NULL)
        return;
    memcpy(sorted, r->number, r->n * sizeof *sorted);
    qsort(sorted, r->n, sizeof *sorted, rising);
    for (size_t i = 1; i < r->n; i++)
        if (sorted[i] == sorted[i - 1]) {
            moe_fail(err, MOE_USAGE, "'%.80s' has %" PRId32 " twice", text,
                     sorted[i]);
            break;
        }
    free(sorted);
}

moe_status moe_ranges_parse(const char *text, int32_t most, moe_ranges *out,
                            moe_error *err)
{
    moe_error local = {0};
    moe_ranges r = {.n = 0};
    const char *at = text;
    bool more = true;
    while (more && local.status == MOE_OK) {
        int64_t first = 0, last = 0;
        if (!take_range(&at, &first, &last) || (*at != ',' && *at != '\0'))
            moe_fail(&local, MOE_USAGE, "'%.80s' is not a list as in 0,3,8-11",
                     text);
        else
            add(&r, text, first, last, most, &local);
        more = *at == ',';
        at += more;
    }
    if (local.status == MOE_OK)
        refuse_twice(&r, text, &local);
    if (local.status == MOE_OK) {
        *out = r;
        return MOE_OK;
    }
    moe_ranges_fini(&r);
    return moe_pass(err, &local);
}

void moe_ranges_fini(moe_ranges *r)
{
    free(r->number);
    *r = (moe_ranges){0};
}

void moe_ranges_text(const int32_t *number, size_t n, char *text, size_t size)
{
    size_t len = 0, end;
    text[0] = '\0';
    for (size_t i = 0; i < n; i = end) {
        for (end = i + 1; end < n && number[end] == number[end - 1] + 1; end++)
            ;
        if (len + LONGEST_RANGE_TEXT > size) {
            snprintf(text + len, size - len, ", ...");
            return;
        }
        len += (size_t)snprintf(text + len, size - len, "%s%" PRId32,
                                i > 0 ? ", " : "", number[i]);
        if (end - i > 1)
            len += (size_t)snprintf(text + len, size - len, "..%" PRId32,
                                    number[end - 1]);
    }
}
