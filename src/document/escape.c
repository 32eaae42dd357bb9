/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/escape.h"

#include <stdbool.h>
#include <string.h>

#include "moegps/plain.h"

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */

/* @return what a character of one byte is written as; NULL: as it is. */
static const char *escaped(unsigned char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    case '\t':
    case '\n':
        return NULL;
    default:
        return c < 0x20 || c == 0x7f ? REPLACEMENT : NULL;
    }
}

void moe_html_text(const char *text, FILE *out)
{
    const unsigned char *s = (const unsigned char *)text;
    while (s != NULL && *s != '\0') {
        const size_t n = moe_plain_character((const char *)s);
        const bool control = n == 2 && s[0] == 0xc2 && s[1] < 0xa0; /* C1 */
        const char *instead = n == 0 || control ? REPLACEMENT
                              : n == 1          ? escaped(*s)
                                                : NULL;
        if (instead != NULL)
            fputs(instead, out);
        else
            fwrite(s, 1, n, out);
        s += n > 0 ? n : 1;
    }
}

void moe_html_in(FILE *out, const char *tag, const char *text)
{
    fprintf(out, "<%s>", tag);
    moe_html_text(text, out);
    fprintf(out, "</%.*s>\n", (int)strcspn(tag, " "), tag);
}

/* Below space, DEL, and what UTF-8 has of the same kind (C1: U+0080..9F). */
static bool controls(const unsigned char *s, size_t n)
{
    return (n == 1 && (*s < 0x20 || *s == 0x7f)) ||
           (n == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

void moe_terminal_text(const char *text, FILE *out)
{
    const unsigned char *s = (const unsigned char *)text;
    while (s != NULL && *s != '\0') {
        const size_t n = moe_plain_character((const char *)s),
                     len = n > 0 ? n : 1;
        if (n == 0 || controls(s, n))
            for (size_t i = 0; i < len; i++)
                fprintf(out, "\\x%02x", s[i]);
        else
            fwrite(s, 1, n, out);
        s += len;
    }
}
