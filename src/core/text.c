/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/text.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void moe_text_add(char *text, size_t size, const char *between,
                  const char *format, ...)
{
    size_t used = strlen(text);
    if (used > 0)
        snprintf(text + used, size - used, "%s", between);
    used = strlen(text);
    va_list args;
    va_start(args, format);
    vsnprintf(text + used, size - used, format, args);
    va_end(args);
}

enum { MAX_LETTERS = 40 }; /* of names that are compared */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance, row by row; the last three are kept. */
static size_t count_mistakes(const char *a, size_t n, const char *b, size_t m)
{
    size_t row[3][MAX_LETTERS + 1];
    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3];
        const size_t *last = row[(i + 2) % 3], *before = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const bool same = a[i - 1] == b[j - 1];
            now[j] = least(least(last[j], now[j - 1]) + 1,
                           last[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

void moe_nearest_try(moe_nearest *nearest, const char *name)
{
    const size_t n = nearest->len > 0 ? nearest->len : strlen(nearest->word);
    const size_t m = name != NULL ? strlen(name) : 0;
    if (m == 0 || n > MAX_LETTERS || m > MAX_LETTERS)
        return;
    const size_t mistakes = count_mistakes(nearest->word, n, name, m);
    if (3 * mistakes <= n &&
        (nearest->name == NULL || mistakes < nearest->mistakes)) {
        nearest->name = name;
        nearest->mistakes = mistakes;
    }
}
