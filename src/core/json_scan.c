/* SPDX-License-Identifier: Apache-2.0 */
#include "json_scan.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

enum {
    TEXT_OF_NODE = 128, /* bytes of text that count as one more node */
    LONGEST_TEXT = 1 << 20,
    LONGEST_NUMBER = 64
};

void moe_jscan_complain(moe_jreader *r, const char *what)
{
    moe_fail(r->err, MOE_FORMAT, "%s:%" PRIu64 ":%" PRIu64 ": %s", r->path,
             r->line, r->column, what);
}

int moe_jscan_fill(moe_jreader *r)
{
    r->n =
        fread(r->buffer, 1,
              r->left < sizeof r->buffer ? r->left : sizeof r->buffer, r->file);
    r->left -= r->n;
    r->at = 0;
    if (r->n > 0)
        return r->buffer[0];
    if (ferror(r->file))
        moe_fail(r->err, MOE_IO, "%s: cannot read on: %s", r->path,
                 strerror(errno));
    return -1;
}

bool moe_jscan_word(moe_jreader *r, const char *word)
{
    for (; *word != '\0'; word++)
        if (moe_jscan_take(r) != *word) {
            moe_jscan_complain(r, "is no value");
            return false;
        }
    return true;
}

/* ---- numbers ---- */

/* Whole numbers of up to 15 digits, which most are, need no library. */
double moe_jscan_number(moe_jreader *r)
{
    char text[LONGEST_NUMBER + 1];
    size_t n = 0;
    bool whole = true;
    uint64_t digits = 0;
    for (int c = moe_jscan_peek(r);
         n < LONGEST_NUMBER && (moe_jscan_is_digit(c) || c == '-' || c == '+' ||
                                c == '.' || c == 'e' || c == 'E');
         c = moe_jscan_peek(r)) {
        whole = whole && moe_jscan_is_digit(c);
        digits = 10 * digits + (uint64_t)(c - '0');
        text[n++] = (char)moe_jscan_take(r);
    }
    text[n] = '\0';
    const char *first = text + (text[0] == '-');
    const bool leading_zero = first[0] == '0' && moe_jscan_is_digit(first[1]);
    if (whole && n > 0 && n <= MOE_JSCAN_WHOLE && !leading_zero)
        return (double)digits;
    char *end = NULL;
    const double x =
        moe_jscan_is_digit(first[0]) && !leading_zero ? strtod(text, &end) : 0;
    if (end == NULL || *end != '\0' || end[-1] == '.' || !isfinite(x))
        moe_jscan_complain(r, "is no number");
    return x;
}

/* ---- strings ---- */

static bool put(moe_jreader *r, size_t *n, unsigned c)
{
    if (*n + 1 >= LONGEST_TEXT) {
        moe_jscan_complain(r, "a text is too long");
        return false;
    }
    if (*n + 2 > r->room) {
        char *more = realloc(r->text, 2 * r->room);
        if (more == NULL) {
            moe_fail(r->err, MOE_NOMEM, "%s: out of memory", r->path);
            return false;
        }
        r->text = more;
        r->room *= 2;
    }
    r->text[(*n)++] = (char)c;
    return true;
}

static bool put_code(moe_jreader *r, size_t *n, uint32_t code)
{
    if (code < 0x80)
        return put(r, n, code);
    if (code < 0x800)
        return put(r, n, 0xc0 | code >> 6) && put(r, n, 0x80 | (code & 63));
    if (code < 0x10000)
        return put(r, n, 0xe0 | code >> 12) &&
               put(r, n, 0x80 | (code >> 6 & 63)) &&
               put(r, n, 0x80 | (code & 63));
    return put(r, n, 0xf0 | code >> 18) &&
           put(r, n, 0x80 | (code >> 12 & 63)) &&
           put(r, n, 0x80 | (code >> 6 & 63)) && put(r, n, 0x80 | (code & 63));
}

static uint32_t take_hex(moe_jreader *r)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        const int c = moe_jscan_take(r);
        const int digit = moe_jscan_is_digit(c)  ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) {
            moe_jscan_complain(r, "an escape is not closed");
            return 0;
        }
        code = code << 4 | (uint32_t)digit;
    }
    return code;
}

/* \uD83D\uDE00 is one character in two halves. */
static bool put_escape(moe_jreader *r, size_t *n)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const int c = moe_jscan_take(r);
    const char *at = c > 0 ? strchr(letters, c) : NULL;
    if (at != NULL)
        return put(r, n, (unsigned char)values[at - letters]);
    if (c != 'u') {
        moe_jscan_complain(r, "an escape is not known");
        return false;
    }
    uint32_t code = take_hex(r);
    if (code >= 0xd800 && code < 0xdc00 && moe_jscan_take(r) == '\\' &&
        moe_jscan_take(r) == 'u') {
        const uint32_t low = take_hex(r);
        code = low >= 0xdc00 && low < 0xe000
                   ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
                   : 0xd800;
    }
    if (code == 0 || (code >= 0xd800 && code < 0xe000)) {
        moe_jscan_complain(r, "an escape is no character");
        return false;
    }
    return put_code(r, n, code);
}

char *moe_jscan_text(moe_jreader *r)
{
    size_t n = 0;
    moe_jscan_take(r); /* the quote */
    for (;;) {
        const int c = moe_jscan_take(r);
        if (c == '"')
            break;
        if (c < 0x20) {
            moe_jscan_complain(r, c < 0 ? "a text is not closed"
                                        : "a control character in a text");
            return NULL;
        }
        if (!(c == '\\' ? put_escape(r, &n) : put(r, &n, (unsigned)c)))
            return NULL;
    }
    r->text[n] = '\0';
    r->nodes += n / TEXT_OF_NODE;
    return moe_strdup(r->text, r->err);
}
