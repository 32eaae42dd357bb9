/** json_scan.h: the characters of a JSON file: blanks, words, numbers, texts.
 *
 *  Whoever finds an error says path, line and column, in the reader's `err`;
 *  nothing is taken from there on.
 */
#ifndef MOEGPS_CORE_JSON_SCAN_H
#define MOEGPS_CORE_JSON_SCAN_H

#include <stdio.h>

#include "moegps/jtree.h"

enum {
    MOE_JSCAN_CHUNK = 1 << 16, /* bytes read at once */
    MOE_JSCAN_WHOLE = 15 /* digits of a number that a double has exactly */
};

struct moe_jreader {
    const char *path;
    FILE *file;
    unsigned char buffer[MOE_JSCAN_CHUNK];
    size_t at, n;
    uint64_t left;         /* bytes that may still be read */
    uint64_t line, column; /* of the next character, from 1 */
    char *text;            /* [room] the string being read */
    size_t room;
    size_t nodes;       /* of the value being read */
    const char *wanted; /* whose parts are handed out; NULL: nobody's */
    bool found;         /* the member being read is that */
    moe_jpart *part;
    void *arg;
    moe_error *err;
};

static inline bool moe_jscan_failed(const moe_jreader *r)
{
    return r->err->status != MOE_OK;
}

/** Say what is wrong with the character that was taken last. */
void moe_jscan_complain(moe_jreader *r, const char *what);

/** Read on. @return the next character without taking it; -1 at the end. */
int moe_jscan_fill(moe_jreader *r);

/** @return the next character without taking it; -1 at the end. */
static inline int moe_jscan_peek(moe_jreader *r)
{
    return r->at < r->n ? r->buffer[r->at] : moe_jscan_fill(r);
}

static inline int moe_jscan_take(moe_jreader *r)
{
    const int c = moe_jscan_peek(r);
    if (c < 0)
        return c;
    r->at++;
    r->column++;
    if (c == '\n') {
        r->line++;
        r->column = 1;
    }
    return c;
}

/** @return the first character that is no blank, not taken. */
static inline int moe_jscan_blanks(moe_jreader *r)
{
    int c = moe_jscan_peek(r);
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
        moe_jscan_take(r);
        c = moe_jscan_peek(r);
    }
    return c;
}

static inline bool moe_jscan_is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/** Take a whole number that lies in the buffer with what follows it, as nearly all
 * do. @return false: it is not of that kind, and nothing is taken. */
static inline bool moe_jscan_whole(moe_jreader *r, double *out)
{
    const unsigned char *at = r->buffer + r->at;
    uint64_t digits = 0;
    size_t n = 0;
    if (r->n - r->at <= MOE_JSCAN_WHOLE)
        return false;
    for (; n < MOE_JSCAN_WHOLE && moe_jscan_is_digit(at[n]); n++)
        digits = 10 * digits + (uint64_t)(at[n] - '0');
    if (n == 0 || (at[0] == '0' && n > 1) ||
        (at[n] != ',' && at[n] != ']' && at[n] != ' '))
        return false;
    r->at += n;
    r->column += n;
    *out = (double)digits;
    return true;
}

/** Take a word. @return false: it is another, and that is said. */
bool moe_jscan_word(moe_jreader *r, const char *word);

/** Take a number; 0 after an error. */
double moe_jscan_number(moe_jreader *r);

/** Take a text with its quotes. @return a copy, the caller frees it; NULL after
 *  an error. */
char *moe_jscan_text(moe_jreader *r);

#endif
