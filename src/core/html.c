/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/html.h"

#include <stdint.h>
#include <string.h>

static const char REPLACEMENT[] = "\xef\xbf\xbd"; /* U+FFFD */

/* @return bytes of the character that starts here; 0: it is not UTF-8.
 * Source: RFC 3629, section 4: no overlong forms, surrogates, or beyond
 * U+10FFFF. */
static size_t character(const unsigned char *s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const size_t n = s[0] < 0x80             ? 1
                     : (s[0] & 0xe0) == 0xc0 ? 2
                     : (s[0] & 0xf0) == 0xe0 ? 3
                     : (s[0] & 0xf8) == 0xf0 ? 4
                                             : 0;
    if (n < 2)
        return n;
    uint32_t code = s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3fu);
    }
    const int surrogate = code >= 0xd800 && code <= 0xdfff;
    return code >= least[n] && code <= 0x10ffff && !surrogate ? n : 0;
}

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
        const size_t n = character(s);
        const char *instead = n == 0   ? REPLACEMENT
                              : n == 1 ? escaped(*s)
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
