/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/plain.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* @return the code of a character of n bytes. */
static uint32_t code_of(const unsigned char *s, size_t n)
{
    uint32_t code = n == 1 ? s[0] : s[0] & (0x7fu >> n);
    for (size_t i = 1; i < n; i++)
        code = code << 6 | (s[i] & 0x3fu);
    return code;
}

size_t moe_plain_character(const char *text)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *s = (const unsigned char *)text;
    const size_t n = s[0] < 0x80             ? 1
                     : (s[0] & 0xe0) == 0xc0 ? 2
                     : (s[0] & 0xf0) == 0xe0 ? 3
                     : (s[0] & 0xf8) == 0xf0 ? 4
                                             : 0;
    if (n < 2)
        return n;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    const uint32_t code = code_of(s, n);
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code >= least[n] && code <= 0x10ffff && !surrogate ? n : 0;
}

static bool is_plain(uint32_t code, bool lines)
{
    if (lines && (code == '\n' || code == '\t'))
        return true;
    return !(code < 0x20 || (code >= 0x7f && code < 0xa0) || /* C0, DEL, C1 */
             (code >= 0x200e && code <= 0x200f) ||           /* directions */
             (code >= 0x2028 && code <= 0x202e) ||           /* and lines */
             (code >= 0x2066 && code <= 0x2069));
}

void moe_plain_clean(char *text, bool lines)
{
    while (text != NULL && *text != '\0') {
        const size_t n = moe_plain_character(text);
        const size_t bytes = n > 0 ? n : 1;
        if (n == 0 || !is_plain(code_of((unsigned char *)text, n), lines))
            memset(text, '?', bytes);
        text += bytes;
    }
}

/* What Excel and LibreOffice take for a formula. Signed numbers, with or without
 * a unit, and a lone dash are none. */
static bool is_formula(const char *text)
{
    char *end = NULL;
    if (*text == '\0' || strchr("=+-@\t\r", *text) == NULL ||
        strcmp(text, "-") == 0)
        return false;
    (void)strtod(text, &end);
    end += *end == ' ';
    while (isalpha((unsigned char)*end) || *end == '%')
        end++;
    return end == text || *end != '\0' || !isdigit((unsigned char)text[1]);
}

void moe_plain_csv(const char *text, FILE *out)
{
    const bool formula = is_formula(text);
    const bool quoted = text[0] == ' ' || strpbrk(text, ",\"\r\n") != NULL;
    fputs(quoted ? "\"" : "", out);
    fputs(formula ? "'" : "", out);
    for (; *text != '\0'; text++) {
        if (*text == '"')
            fputc('"', out);
        fputc(*text, out);
    }
    fputs(quoted ? "\"" : "", out);
}
