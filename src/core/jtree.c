/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/jtree.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/bulk.h"
#include "moegps/mem.h"

enum {
    MOST_KEYS = 10000,
    MOST_NODES = 1 << 20, /* of a tree: 150 MB */
    TEXT_OF_NODE = 128,   /* bytes of text that count as one more */
    SWEEP = 4096,         /* numbers that are added between two words of it */
    CHUNK = 1 << 16,
    LONGEST_TEXT = 1 << 20,
    LONGEST_NUMBER = 64,
    WHOLE_DIGITS = 15 /* of a number that a double has exactly */
};

/* The byte-order mark of UTF-8. */
static const unsigned char MARK[] = {0xef, 0xbb, 0xbf};

struct moe_jreader {
    const char *path;
    FILE *file;
    unsigned char buffer[CHUNK];
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

typedef moe_jreader reader;

static void parse_value(reader *r, int depth, moe_jtree *out);

static bool failed(const reader *r)
{
    return r->err->status != MOE_OK;
}

static void complain(reader *r, const char *what)
{
    moe_fail(r->err, MOE_FORMAT, "%s:%" PRIu64 ":%" PRIu64 ": %s", r->path,
             r->line, r->column, what);
}

/* @return the next character without taking it; -1 at the end. */
static int peek(reader *r)
{
    if (r->at == r->n) {
        r->n = fread(r->buffer, 1,
                     r->left < sizeof r->buffer ? r->left : sizeof r->buffer,
                     r->file);
        r->left -= r->n;
        r->at = 0;
        if (r->n == 0) {
            if (ferror(r->file))
                moe_fail(r->err, MOE_IO, "%s: cannot read on: %s", r->path,
                         strerror(errno));
            return -1;
        }
    }
    return r->buffer[r->at];
}

static int take(reader *r)
{
    const int c = peek(r);
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

static int skip_blanks(reader *r)
{
    int c = peek(r);
    while (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
        take(r);
        c = peek(r);
    }
    return c;
}

static bool expect_word(reader *r, const char *word)
{
    for (; *word != '\0'; word++)
        if (take(r) != *word) {
            complain(r, "is no value");
            return false;
        }
    return true;
}

/* ---- numbers ---- */

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* Whole numbers of up to 15 digits, which most are, need no library. */
static double parse_number(reader *r)
{
    char text[LONGEST_NUMBER + 1];
    size_t n = 0;
    bool whole = true;
    uint64_t digits = 0;
    for (int c = peek(r);
         n < LONGEST_NUMBER && (is_digit(c) || c == '-' || c == '+' ||
                                c == '.' || c == 'e' || c == 'E');
         c = peek(r)) {
        whole = whole && is_digit(c);
        digits = 10 * digits + (uint64_t)(c - '0');
        text[n++] = (char)take(r);
    }
    text[n] = '\0';
    const char *first = text + (text[0] == '-');
    const bool leading_zero = first[0] == '0' && is_digit(first[1]);
    if (whole && n > 0 && n <= WHOLE_DIGITS && !leading_zero)
        return (double)digits;
    char *end = NULL;
    const double x =
        is_digit(first[0]) && !leading_zero ? strtod(text, &end) : 0;
    if (end == NULL || *end != '\0' || end[-1] == '.' || !isfinite(x))
        complain(r, "is no number");
    return x;
}

/* Take a whole number that lies in the buffer with what follows it, as nearly all
 * do. @return false: it is not of that kind, and nothing is taken. */
static bool take_whole(reader *r, double *out)
{
    const unsigned char *at = r->buffer + r->at;
    uint64_t digits = 0;
    size_t n = 0;
    if (r->n - r->at <= WHOLE_DIGITS)
        return false;
    for (; n < WHOLE_DIGITS && is_digit(at[n]); n++)
        digits = 10 * digits + (uint64_t)(at[n] - '0');
    if (n == 0 || (at[0] == '0' && n > 1) ||
        (at[n] != ',' && at[n] != ']' && at[n] != ' '))
        return false;
    r->at += n;
    r->column += n;
    *out = (double)digits;
    return true;
}

/* ---- strings ---- */

static bool put(reader *r, size_t *n, unsigned c)
{
    if (*n + 1 >= LONGEST_TEXT) {
        complain(r, "a text is too long");
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

static bool put_code(reader *r, size_t *n, uint32_t code)
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

static uint32_t take_hex(reader *r)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++) {
        const int c = take(r);
        const int digit = is_digit(c)            ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                          : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                 : -1;
        if (digit < 0) {
            complain(r, "an escape is not closed");
            return 0;
        }
        code = code << 4 | (uint32_t)digit;
    }
    return code;
}

/* \uD83D\uDE00 is one character in two halves. */
static bool put_escape(reader *r, size_t *n)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const int c = take(r);
    const char *at = c > 0 ? strchr(letters, c) : NULL;
    if (at != NULL)
        return put(r, n, (unsigned char)values[at - letters]);
    if (c != 'u') {
        complain(r, "an escape is not known");
        return false;
    }
    uint32_t code = take_hex(r);
    if (code >= 0xd800 && code < 0xdc00 && take(r) == '\\' && take(r) == 'u') {
        const uint32_t low = take_hex(r);
        code = low >= 0xdc00 && low < 0xe000
                   ? 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
                   : 0xd800;
    }
    if (code == 0 || (code >= 0xd800 && code < 0xe000)) {
        complain(r, "an escape is no character");
        return false;
    }
    return put_code(r, n, code);
}

/* @return a copy, the caller frees it; NULL after an error. */
static char *parse_text(reader *r)
{
    size_t n = 0;
    take(r); /* the quote */
    for (;;) {
        const int c = take(r);
        if (c == '"')
            break;
        if (c < 0x20) {
            complain(r, c < 0 ? "a text is not closed"
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

/* ---- arrays ---- */

/* What an array of numbers, or of equal arrays of them, has come to. */
typedef struct {
    double *data; /* [room] */
    size_t n, room;
    size_t rows;
    int rank; /* of a row: 0 for a number */
    size_t dims[MOE_JTREE_MAX_RANK];
} builder;

static bool make_room(reader *r, builder *b, size_t more)
{
    if (b->n + more <= b->room)
        return true;
    const size_t room = 2 * b->room + more + 16;
    double *data = moe_bulk_grow(b->data, b->n * sizeof *data,
                                 room * sizeof *data, r->err);
    if (data == NULL) {
        moe_error_prefix(r->err, "%s", r->path);
        return false;
    }
    b->data = data;
    b->room = room;
    return true;
}

static size_t length_of(const moe_jtree *t)
{
    size_t n = 1;
    for (int d = 0; d < t->rank; d++)
        n *= t->dims[d];
    return n;
}

static bool fits(const builder *b, const moe_jtree *row)
{
    if (row->type == MOE_JNUMBER)
        return b->rank == 0;
    return row->type == MOE_JARRAY && row->rank == b->rank &&
           memcmp(row->dims, b->dims, (size_t)b->rank * sizeof *b->dims) == 0;
}

static void add_number(reader *r, builder *b, double x)
{
    if (!make_room(r, b, 1))
        return;
    if (b->n % SWEEP == 0)
        moe_bulk_passed(b->data + b->n, SWEEP * sizeof *b->data);
    b->data[b->n++] = x;
    b->rows++;
}

static void add_row(reader *r, builder *b, moe_jtree *row)
{
    const size_t n = length_of(row);
    if (row->type == MOE_JNUMBER) {
        add_number(r, b, row->number);
        return;
    }
    if (!make_room(r, b, n))
        return;
    moe_bulk_copy(b->data + b->n, row->data, n * sizeof *b->data);
    b->n += n;
    b->rows++;
    moe_jtree_fini(row);
}

static bool begins_array(const moe_jtree *row)
{
    return row->type == MOE_JNUMBER ||
           (row->type == MOE_JARRAY && row->rank + 1 < MOE_JTREE_MAX_RANK);
}

static void add_item(reader *r, moe_jtree *list, const moe_jtree *item)
{
    if (++r->nodes > MOST_NODES) {
        complain(r, "a value has too many parts that are no equal arrays of "
                    "numbers");
        return;
    }
    if ((list->n & (list->n - 1)) == 0) { /* 0, 1, 2, 4, ... */
        const size_t room = list->n > 0 ? 2 * list->n : 1;
        moe_jtree *more = realloc(list->item, room * sizeof *more);
        if (more == NULL) {
            moe_fail(r->err, MOE_NOMEM, "%s: out of memory", r->path);
            return;
        }
        list->item = more;
    }
    list->item[list->n++] = *item;
}

/* Rows that turn out to be unequal become items of a list. */
static void unbuild(reader *r, builder *b, moe_jtree *list)
{
    const size_t size = b->rows > 0 ? b->n / b->rows : 0;
    for (size_t i = 0; i < b->rows && !failed(r); i++) {
        moe_jtree row = {.type = MOE_JNUMBER, .number = b->data[i * size]};
        if (b->rank > 0) {
            row = (moe_jtree){.type = MOE_JARRAY, .rank = b->rank};
            memcpy(row.dims, b->dims, (size_t)b->rank * sizeof *b->dims);
            row.data = moe_array_new(size, sizeof *row.data, r->err);
            if (row.data != NULL)
                memcpy(row.data, b->data + i * size, size * sizeof *row.data);
        }
        if (failed(r))
            moe_jtree_fini(&row);
        else
            add_item(r, list, &row);
    }
    moe_bulk_free(b->data);
    *b = (builder){0};
}

/* Hand out a part of the value, which is not kept. */
static void hand_out(reader *r, const char *key, moe_jtree *part)
{
    r->nodes = 0;
    r->part(key, part, r->arg, r->err);
    moe_jtree_fini(part);
}

static void take_row(reader *r, builder *b, bool *dense, moe_jtree *list,
                     moe_jtree *row)
{
    if (b->rows == 0 && list->n == 0 && begins_array(row)) {
        b->rank = row->type == MOE_JNUMBER ? 0 : row->rank;
        memcpy(b->dims, row->dims, sizeof b->dims);
        *dense = true;
    }
    if (*dense && fits(b, row)) {
        add_row(r, b, row);
        return;
    }
    if (*dense)
        unbuild(r, b, list);
    *dense = false;
    if (!failed(r))
        add_item(r, list, row);
    if (!failed(r))
        *row = (moe_jtree){0}; /* the list has it now */
    moe_jtree_fini(row);
}

/* @return whether another item of an array follows. */
static bool end_of_item(reader *r)
{
    const int c = skip_blanks(r);
    if (!failed(r) && c != ',' && c != ']')
        complain(r, c < 0 ? "an array is not closed" : "',' or ']' is wanted");
    take(r);
    return c == ',';
}

static void parse_array(reader *r, int depth, moe_jtree *out)
{
    builder b = {0};
    moe_jtree list = {.type = MOE_JLIST};
    bool dense = false;
    const bool parts =
        r->part != NULL && (depth == 0 || (depth == 1 && r->found));
    take(r); /* [ */
    bool more = skip_blanks(r) != ']';
    if (!more)
        take(r);
    while (more && !failed(r)) {
        moe_jtree row = {0};
        double whole;
        skip_blanks(r);
        if (dense && b.rank == 0 && take_whole(r, &whole)) {
            add_number(r, &b, whole);
            more = end_of_item(r);
            continue;
        }
        parse_value(r, depth + 1, &row);
        if (failed(r))
            break;
        if (parts && row.type == MOE_JOBJECT)
            hand_out(r, NULL, &row);
        else
            take_row(r, &b, &dense, &list, &row);
        more = end_of_item(r);
    }
    if (failed(r) || !dense) {
        moe_bulk_free(b.data);
        if (failed(r))
            moe_jtree_fini(&list);
        else
            *out = list;
        return;
    }
    *out = (moe_jtree){.type = MOE_JARRAY, .rank = b.rank + 1, .data = b.data};
    out->dims[0] = b.rows;
    memcpy(out->dims + 1, b.dims, (size_t)b.rank * sizeof *b.dims);
}

/* ---- objects ---- */

static void add_member(reader *r, moe_jtree *o, char *key, moe_jtree *value)
{
    const size_t n = o->n;
    if ((n & (n - 1)) == 0) {
        char **more = realloc(o->key, (n > 0 ? 2 * n : 1) * sizeof *more);
        if (more == NULL)
            moe_fail(r->err, MOE_NOMEM, "%s: out of memory", r->path);
        else
            o->key = more;
    }
    if (!failed(r))
        add_item(r, o, value);
    if (failed(r)) {
        free(key);
        moe_jtree_fini(value);
        return;
    }
    o->key[n] = key;
}

static void parse_member(reader *r, int depth, moe_jtree *o)
{
    moe_jtree value = {0};
    if (skip_blanks(r) != '"') {
        complain(r, "a key is wanted");
        return;
    }
    char *key = parse_text(r);
    if (key == NULL)
        return;
    const bool part = depth == 0 && r->part != NULL && *r->wanted == '\0';
    if (depth == 0 && r->part != NULL)
        r->found = strcmp(key, r->wanted) == 0;
    if (o->n == MOST_KEYS)
        complain(r, "an object has too many keys");
    else if (moe_jtree_get(o, key) != NULL)
        complain(r, "a key is there twice");
    else if (skip_blanks(r) != ':')
        complain(r, "':' is wanted");
    if (!failed(r)) {
        take(r);
        parse_value(r, depth + 1, &value);
    }
    if (!failed(r) && !part) {
        add_member(r, o, key, &value);
        return;
    }
    if (!failed(r))
        hand_out(r, key, &value);
    free(key);
}

static void parse_object(reader *r, int depth, moe_jtree *out)
{
    moe_jtree o = {.type = MOE_JOBJECT};
    take(r); /* { */
    bool more = skip_blanks(r) != '}';
    if (!more)
        take(r);
    while (more && !failed(r)) {
        parse_member(r, depth, &o);
        if (failed(r))
            break;
        const int c = skip_blanks(r);
        more = c == ',';
        if (c != ',' && c != '}')
            complain(r, c < 0 ? "an object is not closed"
                              : "',' or '}' is wanted");
        take(r);
    }
    if (failed(r))
        moe_jtree_fini(&o);
    else
        *out = o;
}

static void parse_value(reader *r, int depth, moe_jtree *out)
{
    const int c = skip_blanks(r);
    if (depth > MOE_JTREE_MAX_DEPTH) {
        complain(r, "is nested too deeply");
    } else if (c == '{') {
        parse_object(r, depth, out);
    } else if (c == '[') {
        parse_array(r, depth, out);
    } else if (c == '"') {
        *out = (moe_jtree){.type = MOE_JTEXT};
        out->text = parse_text(r);
    } else if (c == '-' || is_digit(c)) {
        *out = (moe_jtree){.type = MOE_JNUMBER, .number = parse_number(r)};
    } else if (c == 't' || c == 'f') {
        if (expect_word(r, c == 't' ? "true" : "false"))
            *out = (moe_jtree){.type = MOE_JBOOL, .yes = c == 't'};
    } else if (c == 'n') {
        if (expect_word(r, "null"))
            *out = (moe_jtree){.type = MOE_JNULL};
    } else if (!failed(r)) {
        complain(r, c < 0 ? "ends where a value is wanted" : "is no value");
    }
}

/* ---- the rest ---- */

moe_status moe_jreader_open_part(const char *path, uint64_t offset,
                                 uint64_t bytes, moe_jreader **out,
                                 moe_error *err)
{
    moe_error local = {0};
    moe_jreader *r = moe_array_new(1, sizeof *r, &local);
    if (r != NULL)
        r->text = moe_array_new(r->room = 256, 1, &local);
    if (local.status == MOE_OK) {
        r->path = path;
        r->line = r->column = 1;
        r->err = &local;
        r->file = fopen(path, "rb");
        if (r->file == NULL)
            moe_fail(&local, MOE_USAGE, "%s: cannot open: %s", path,
                     strerror(errno));
        else if (offset > 0 && fseek(r->file, (long)offset, SEEK_SET) != 0)
            moe_fail(&local, MOE_IO, "%s: %s", path, strerror(errno));
        r->left = bytes;
    }
    if (local.status != MOE_OK) {
        moe_jreader_close(r);
        return moe_pass(err, &local);
    }
    if (peek(r) == MARK[0] && r->n >= sizeof MARK &&
        memcmp(r->buffer, MARK, sizeof MARK) == 0)
        r->at = sizeof MARK;
    *out = r;
    return MOE_OK;
}

moe_status moe_jreader_open(const char *path, moe_jreader **out, moe_error *err)
{
    return moe_jreader_open_part(path, 0, UINT64_MAX, out, err);
}

void moe_jreader_close(moe_jreader *r)
{
    if (r == NULL)
        return;
    if (r->file != NULL)
        fclose(r->file);
    free(r->text);
    free(r);
}

moe_status moe_jreader_next(moe_jreader *r, moe_jtree *out, bool *more_out,
                            moe_error *err)
{
    moe_error local = {0};
    moe_jtree value = {0};
    r->err = &local;
    r->nodes = 0;
    r->found = false;
    *more_out = skip_blanks(r) >= 0;
    if (*more_out && !failed(r))
        parse_value(r, 0, &value);
    if (local.status != MOE_OK) {
        moe_jtree_fini(&value);
        return moe_pass(err, &local);
    }
    if (*more_out)
        *out = value;
    return MOE_OK;
}

void moe_jreader_hand_out(moe_jreader *r, const char *key, moe_jpart *to,
                          void *arg)
{
    r->wanted = key;
    r->part = to;
    r->arg = arg;
}

void moe_jtree_fini(moe_jtree *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->key != NULL)
            free(t->key[i]);
        moe_jtree_fini(&t->item[i]);
    }
    free(t->key);
    free(t->item);
    free(t->text);
    moe_bulk_free(t->data);
    *t = (moe_jtree){0};
}

const moe_jtree *moe_jtree_get(const moe_jtree *t, const char *key)
{
    for (size_t i = 0; t != NULL && t->type == MOE_JOBJECT && i < t->n; i++)
        if (strcmp(t->key[i], key) == 0)
            return &t->item[i];
    return NULL;
}
