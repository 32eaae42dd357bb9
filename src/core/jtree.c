/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/jtree.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json_scan.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"

enum {
    MOST_KEYS = 10000,
    MOST_NODES = 1 << 20, /* of a tree: 150 MB */
    SWEEP = 4096          /* numbers that are added between two words of it */
};

/* The byte-order mark of UTF-8. */
static const unsigned char MARK[] = {0xef, 0xbb, 0xbf};

static void parse_value(moe_jreader *r, int depth, moe_jtree *out);

/* ---- arrays ---- */

/* What an array of numbers, or of equal arrays of them, has come to. */
typedef struct {
    double *data; /* [room] */
    size_t n, room;
    size_t rows;
    int rank; /* of a row: 0 for a number */
    size_t dims[MOE_JTREE_MAX_RANK];
} builder;

static bool make_room(moe_jreader *r, builder *b, size_t more)
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

static void add_number(moe_jreader *r, builder *b, double x)
{
    if (!make_room(r, b, 1))
        return;
    if (b->n % SWEEP == 0)
        moe_bulk_passed(b->data + b->n, SWEEP * sizeof *b->data);
    b->data[b->n++] = x;
    b->rows++;
}

static void add_row(moe_jreader *r, builder *b, moe_jtree *row)
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

static void add_item(moe_jreader *r, moe_jtree *list, const moe_jtree *item)
{
    if (++r->nodes > MOST_NODES) {
        moe_jscan_complain(
            r, "a value has too many parts that are no equal arrays of "
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
static void unbuild(moe_jreader *r, builder *b, moe_jtree *list)
{
    const size_t size = b->rows > 0 ? b->n / b->rows : 0;
    for (size_t i = 0; i < b->rows && !moe_jscan_failed(r); i++) {
        moe_jtree row = {.type = MOE_JNUMBER, .number = b->data[i * size]};
        if (b->rank > 0) {
            row = (moe_jtree){.type = MOE_JARRAY, .rank = b->rank};
            memcpy(row.dims, b->dims, (size_t)b->rank * sizeof *b->dims);
            row.data = moe_array_new(size, sizeof *row.data, r->err);
            if (row.data != NULL)
                memcpy(row.data, b->data + i * size, size * sizeof *row.data);
        }
        if (moe_jscan_failed(r))
            moe_jtree_fini(&row);
        else
            add_item(r, list, &row);
    }
    moe_bulk_free(b->data);
    *b = (builder){0};
}

/* Hand out a part of the value, which is not kept. */
static void hand_out(moe_jreader *r, const char *key, moe_jtree *part)
{
    r->nodes = 0;
    r->part(key, part, r->arg, r->err);
    moe_jtree_fini(part);
}

static void take_row(moe_jreader *r, builder *b, bool *dense, moe_jtree *list,
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
    if (!moe_jscan_failed(r))
        add_item(r, list, row);
    if (!moe_jscan_failed(r))
        *row = (moe_jtree){0}; /* the list has it now */
    moe_jtree_fini(row);
}

/* @return whether another item of an array follows. */
static bool end_of_item(moe_jreader *r)
{
    const int c = moe_jscan_blanks(r);
    if (!moe_jscan_failed(r) && c != ',' && c != ']')
        moe_jscan_complain(r, c < 0 ? "an array is not closed"
                                    : "',' or ']' is wanted");
    moe_jscan_take(r);
    return c == ',';
}

static void parse_array(moe_jreader *r, int depth, moe_jtree *out)
{
    builder b = {0};
    moe_jtree list = {.type = MOE_JLIST};
    bool dense = false;
    const bool parts =
        r->part != NULL && (depth == 0 || (depth == 1 && r->found));
    moe_jscan_take(r); /* [ */
    bool more = moe_jscan_blanks(r) != ']';
    if (!more)
        moe_jscan_take(r);
    while (more && !moe_jscan_failed(r)) {
        moe_jtree row = {0};
        double whole;
        moe_jscan_blanks(r);
        if (dense && b.rank == 0 && moe_jscan_whole(r, &whole)) {
            add_number(r, &b, whole);
            more = end_of_item(r);
            continue;
        }
        parse_value(r, depth + 1, &row);
        if (moe_jscan_failed(r))
            break;
        if (parts && row.type == MOE_JOBJECT)
            hand_out(r, NULL, &row);
        else
            take_row(r, &b, &dense, &list, &row);
        more = end_of_item(r);
    }
    if (moe_jscan_failed(r) || !dense) {
        moe_bulk_free(b.data);
        if (moe_jscan_failed(r))
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

static void add_member(moe_jreader *r, moe_jtree *o, char *key,
                       moe_jtree *value)
{
    const size_t n = o->n;
    if ((n & (n - 1)) == 0) {
        char **more = realloc(o->key, (n > 0 ? 2 * n : 1) * sizeof *more);
        if (more == NULL)
            moe_fail(r->err, MOE_NOMEM, "%s: out of memory", r->path);
        else
            o->key = more;
    }
    if (!moe_jscan_failed(r))
        add_item(r, o, value);
    if (moe_jscan_failed(r)) {
        free(key);
        moe_jtree_fini(value);
        return;
    }
    o->key[n] = key;
}

static void parse_member(moe_jreader *r, int depth, moe_jtree *o)
{
    moe_jtree value = {0};
    if (moe_jscan_blanks(r) != '"') {
        moe_jscan_complain(r, "a key is wanted");
        return;
    }
    char *key = moe_jscan_text(r);
    if (key == NULL)
        return;
    const bool part = depth == 0 && r->part != NULL && *r->wanted == '\0';
    if (depth == 0 && r->part != NULL)
        r->found = strcmp(key, r->wanted) == 0;
    if (o->n == MOST_KEYS)
        moe_jscan_complain(r, "an object has too many keys");
    else if (moe_jtree_get(o, key) != NULL)
        moe_jscan_complain(r, "a key is there twice");
    else if (moe_jscan_blanks(r) != ':')
        moe_jscan_complain(r, "':' is wanted");
    if (!moe_jscan_failed(r)) {
        moe_jscan_take(r);
        parse_value(r, depth + 1, &value);
    }
    if (!moe_jscan_failed(r) && !part) {
        add_member(r, o, key, &value);
        return;
    }
    if (!moe_jscan_failed(r))
        hand_out(r, key, &value);
    free(key);
}

static void parse_object(moe_jreader *r, int depth, moe_jtree *out)
{
    moe_jtree o = {.type = MOE_JOBJECT};
    moe_jscan_take(r); /* { */
    bool more = moe_jscan_blanks(r) != '}';
    if (!more)
        moe_jscan_take(r);
    while (more && !moe_jscan_failed(r)) {
        parse_member(r, depth, &o);
        if (moe_jscan_failed(r))
            break;
        const int c = moe_jscan_blanks(r);
        more = c == ',';
        if (c != ',' && c != '}')
            moe_jscan_complain(r, c < 0 ? "an object is not closed"
                                        : "',' or '}' is wanted");
        moe_jscan_take(r);
    }
    if (moe_jscan_failed(r))
        moe_jtree_fini(&o);
    else
        *out = o;
}

static void parse_value(moe_jreader *r, int depth, moe_jtree *out)
{
    const int c = moe_jscan_blanks(r);
    if (depth > MOE_JTREE_MAX_DEPTH) {
        moe_jscan_complain(r, "is nested too deeply");
    } else if (c == '{') {
        parse_object(r, depth, out);
    } else if (c == '[') {
        parse_array(r, depth, out);
    } else if (c == '"') {
        *out = (moe_jtree){.type = MOE_JTEXT};
        out->text = moe_jscan_text(r);
    } else if (c == '-' || moe_jscan_is_digit(c)) {
        *out = (moe_jtree){.type = MOE_JNUMBER, .number = moe_jscan_number(r)};
    } else if (c == 't' || c == 'f') {
        if (moe_jscan_word(r, c == 't' ? "true" : "false"))
            *out = (moe_jtree){.type = MOE_JBOOL, .yes = c == 't'};
    } else if (c == 'n') {
        if (moe_jscan_word(r, "null"))
            *out = (moe_jtree){.type = MOE_JNULL};
    } else if (!moe_jscan_failed(r)) {
        moe_jscan_complain(r, c < 0 ? "ends where a value is wanted"
                                    : "is no value");
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
    if (moe_jscan_peek(r) == MARK[0] && r->n >= sizeof MARK &&
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
    *more_out = moe_jscan_blanks(r) >= 0;
    if (*more_out && !moe_jscan_failed(r))
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
