/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/rows.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

enum {
    CHUNK = 1 << 17,         /* bytes read at a time */
    LONGEST_LINE = 64 << 20, /* more is no table */
    COMMENT_LEN = 4096       /* what is kept of a comment */
};

struct moe_rows {
    const char *path;
    FILE *file;
    char *buffer;  /* [room + 1] */
    size_t room;   /* bytes that the buffer can hold */
    size_t begin;  /* of what has not been taken yet */
    size_t end;    /* of what was read */
    bool at_end;   /* of the file */
    bool returns;  /* what was read has carriage returns */
    uint64_t line; /* of the last one taken */
    char separator;
    char **field; /* [field_room] into the buffer */
    size_t n_fields, field_room;
    char comment[COMMENT_LEN];
};

static const char MARK[] = "\xef\xbb\xbf"; /* byte-order mark of UTF-8 */
static const char ZERO[] = "holds a zero byte";

/* @return false. */
static bool complain(const moe_rows *r, const char *what, moe_error *err)
{
    moe_fail(err, MOE_FORMAT, "%s:%" PRIu64 ": %s", r->path, r->line, what);
    return false;
}

/* Read on, moving what is left to the front, and growing for a long line.
 * @return whether there is more than before. */
static bool read_on(moe_rows *r, moe_error *err)
{
    const size_t left = r->end - r->begin;
    if (r->at_end)
        return false;
    memmove(r->buffer, r->buffer + r->begin, left);
    r->begin = 0;
    r->end = left;
    if (r->room - left < CHUNK) {
        if (left > LONGEST_LINE) {
            r->line++;
            return complain(r, "the line is too long for a table", err);
        }
        char *more = realloc(r->buffer, 2 * r->room + 1);
        if (more == NULL) {
            moe_fail(err, MOE_NOMEM, "%s: out of memory", r->path);
            return false;
        }
        r->buffer = more;
        r->room *= 2;
    }
    const size_t got = fread(r->buffer + left, 1, CHUNK, r->file);
    r->end += got;
    r->returns = r->returns || memchr(r->buffer + left, '\r', got) != NULL;
    r->at_end = got < CHUNK;
    if (ferror(r->file))
        moe_fail(err, MOE_IO, "%s: cannot read on: %s", r->path,
                 strerror(errno));
    return got > 0 && err->status == MOE_OK;
}

/* @return the first line end at or behind `from`, or NULL. */
static char *find_end(const moe_rows *r, size_t from)
{
    char *at = r->buffer + from;
    const size_t n = r->end - from;
    char *lf = memchr(at, '\n', n);
    if (!r->returns)
        return lf;
    char *cr = memchr(at, '\r', lf != NULL ? (size_t)(lf - at) : n);
    return cr != NULL ? cr : lf;
}

/* Take the next line, ending it with a NUL; `*bytes` without its end.
 * @return NULL at the end of the file and after an error. */
static char *take_line(moe_rows *r, size_t *bytes, moe_error *err)
{
    char *end = find_end(r, r->begin);
    size_t searched = r->end - r->begin;
    /* A carriage return at the end of the buffer may have a line feed behind
     * it. */
    while (end == NULL || end + 1 == r->buffer + r->end) {
        if (!read_on(r, err))
            break;
        end = find_end(r, r->begin + (end == NULL ? searched : 0));
        searched = r->end - r->begin;
    }
    if (err->status != MOE_OK || r->begin == r->end)
        return NULL;
    char *line = r->buffer + r->begin;
    size_t taken = r->end - r->begin;
    *bytes = taken;
    if (end != NULL) {
        *bytes = (size_t)(end - line);
        taken = *bytes + 1;
        if (*end == '\r' && end + 1 < r->buffer + r->end && end[1] == '\n')
            taken++;
    }
    line[*bytes] = '\0';
    r->begin += taken;
    r->line++;
    return line;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static void keep_comment(moe_rows *r, const char *text)
{
    while (is_blank(*text) || *text == '#')
        text++;
    snprintf(r->comment, sizeof r->comment, "%s", text);
    for (size_t n = strlen(r->comment); n > 0 && is_blank(r->comment[n - 1]);)
        r->comment[--n] = '\0';
}

/* Whichever there is most of; commas where nothing is. */
static void choose_separator(moe_rows *r, const char *line)
{
    static const char separators[] = ",\t;";
    size_t most = 0;
    r->separator = ',';
    for (const char *sep = separators; *sep != '\0'; sep++) {
        bool quoted = false;
        size_t n = 0;
        for (const char *at = line; *at != '\0'; at++) {
            quoted = quoted != (*at == '"');
            n += !quoted && *at == *sep;
        }
        if (n > most) {
            most = n;
            r->separator = *sep;
        }
    }
}

static bool add_field(moe_rows *r, char *at, moe_error *err)
{
    if (r->n_fields == r->field_room) {
        const size_t room = 2 * r->field_room + 16;
        char **more = realloc(r->field, room * sizeof *more);
        if (more == NULL) {
            moe_fail(err, MOE_NOMEM, "%s: out of memory", r->path);
            return false;
        }
        r->field = more;
        r->field_room = room;
    }
    r->field[r->n_fields++] = at;
    return true;
}

/* Take a quoted field, its quotes removed in place.
 * @return what follows it; NULL: the quote is never closed. */
static char *unquote(char *at, char **field)
{
    char *to = *field = at;
    for (at++; *at != '\0'; at++) {
        if (*at == '"' && at[1] != '"') {
            *to = '\0';
            return at + 1;
        }
        at += *at == '"';
        *to++ = *at;
    }
    return NULL;
}

static void trim_end(char *field, const char *end)
{
    size_t n = (size_t)(end - field);
    while (n > 0 && (field[n - 1] == ' ' || field[n - 1] == '\t'))
        n--;
    field[n] = '\0';
}

/* Cut a line into fields. @param end  of it, where a NUL is */
static bool split(moe_rows *r, char *at, const char *end, moe_error *err)
{
    const char sep = r->separator;
    r->n_fields = 0;
    for (bool more = true; more;) {
        char *field;
        while (*at == ' ' || (*at == '\t' && sep != '\t'))
            at++;
        field = at;
        if (*at == '"') {
            at = unquote(at, &field);
            if (at == NULL)
                return complain(r,
                                strlen(field) < (size_t)(end - field)
                                    ? ZERO
                                    : "a quote is not closed",
                                err);
            while (is_blank(*at) && *at != sep)
                at++;
            if (*at != sep && *at != '\0')
                return complain(r, "text follows a quoted field", err);
            more = *at == sep;
            at++;
        } else {
            while (*at != sep && *at != '\0')
                at++;
            more = *at == sep;
            trim_end(field, at);
            at++;
        }
        if (!add_field(r, field, err))
            return false;
    }
    return at - 1 == end || complain(r, ZERO, err);
}

bool moe_rows_next(moe_rows *r, moe_error *err)
{
    size_t bytes;
    char *line;
    r->comment[0] = '\0';
    while (err->status == MOE_OK &&
           (line = take_line(r, &bytes, err)) != NULL) {
        const char *end = line + bytes;
        if (r->line == 1 && strncmp(line, MARK, strlen(MARK)) == 0)
            line += strlen(MARK);
        const char *text = line;
        while (is_blank(*text))
            text++;
        if (*text == '\0' || *text == '#') {
            if (memchr(text, 0, (size_t)(end - text)) != NULL)
                return complain(r, ZERO, err);
            if (*text == '#')
                keep_comment(r, text);
            continue;
        }
        if (r->separator == '\0')
            choose_separator(r, line);
        return split(r, line, end, err);
    }
    return false;
}

moe_status moe_rows_rewind(moe_rows *r, moe_error *err)
{
    if (fseek(r->file, 0, SEEK_SET) != 0)
        return moe_fail(err, MOE_USAGE, "%s: is no file, but a pipe", r->path);
    r->begin = r->end = 0;
    r->at_end = false;
    r->line = 0;
    r->n_fields = 0;
    return MOE_OK;
}

moe_status moe_rows_open(const char *path, moe_rows **out, moe_error *err)
{
    moe_error local = {0};
    moe_rows *r = moe_array_new(1, sizeof *r, &local);
    if (r == NULL)
        return moe_pass(err, &local);
    r->path = path;
    r->room = 2 * CHUNK;
    r->buffer = moe_array_new(r->room + 1, 1, &local);
    r->file = fopen(path, "rb");
    if (r->file == NULL)
        moe_fail(&local, MOE_USAGE, "%s: cannot open: %s", path,
                 strerror(errno));
    if (local.status == MOE_OK && moe_rows_rewind(r, &local) == MOE_OK &&
        !moe_rows_next(r, &local))
        moe_fail(&local, MOE_FORMAT, "%s: is empty", path);
    if (local.status == MOE_OK)
        moe_rows_rewind(r, &local);
    if (local.status == MOE_OK) {
        *out = r;
        return MOE_OK;
    }
    moe_rows_close(r);
    return moe_pass(err, &local);
}

void moe_rows_close(moe_rows *r)
{
    if (r == NULL)
        return;
    if (r->file != NULL)
        fclose(r->file);
    free(r->field);
    free(r->buffer);
    free(r);
}

size_t moe_rows_width(const moe_rows *r)
{
    return r->n_fields;
}

const char *moe_rows_field(const moe_rows *r, size_t column)
{
    return r->field[column];
}

uint64_t moe_rows_line(const moe_rows *r)
{
    return r->line;
}

char moe_rows_separator(const moe_rows *r)
{
    return r->separator;
}

const char *moe_rows_comment(const moe_rows *r)
{
    return r->comment;
}

char *moe_column_name(const char *name, char *out)
{
    size_t n = 0;
    for (; name[n] != '\0' && n + 1 < MOE_COLUMN_NAME_LEN; n++) {
        const unsigned char c = (unsigned char)name[n];
        out[n] = c == ' ' || c == '-' ? '_' : (char)tolower(c);
    }
    out[n] = '\0';
    return out;
}

bool moe_text_whole(const char *text, uint64_t most, uint64_t *out)
{
    uint64_t x = 0;
    const char *at = text;
    for (; *at >= '0' && *at <= '9'; at++) {
        const uint64_t digit = (uint64_t)(*at - '0');
        if (x > (UINT64_MAX - digit) / 10)
            return false;
        x = 10 * x + digit;
    }
    if (at == text)
        return false;
    if (*at == '.')
        for (at++; *at == '0'; at++)
            ;
    if (*at != '\0' || x > most)
        return false;
    *out = x;
    return true;
}

bool moe_text_load(const char *text, double *out)
{
    uint64_t whole;
    char *end;
    if (moe_text_whole(text, (uint64_t)1 << 53, &whole)) {
        *out = (double)whole;
        return true;
    }
    if (!isdigit((unsigned char)*text) && *text != '.')
        return false; /* no blank, sign, inf or nan */
    if (text[strspn(text, "0123456789")] == '\0')
        return false; /* a whole number that a double cannot have */
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        return false;
    const double x = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(x))
        return false;
    *out = x;
    return true;
}
