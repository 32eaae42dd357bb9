/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/text.h"

#include <stdarg.h>
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
