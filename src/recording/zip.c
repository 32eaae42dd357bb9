/* SPDX-License-Identifier: Apache-2.0 */
#include "zip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "moegps/mem.h"

enum {
    END_BYTES = 22, /* of the end of the list of members */
    MOST_COMMENT = 65535,
    LOCATOR_BYTES = 20, /* of where the end with 64 bits is */
    END64_BYTES = 56,
    ENTRY_BYTES = 46, /* of a member's entry, before its name */
    HEADER_BYTES = 30,
    MOST_MEMBERS = 4096,
    STORED = 0,
    DEFLATED = 8,
    CHUNK = 1 << 16
};

/* Of the member being read. */
typedef struct {
    z_stream stream;
    unsigned char packed[CHUNK];
} inflating;

/* @return a number of n bytes, least first. */
static uint64_t number(const unsigned char *at, int n)
{
    uint64_t x = 0;
    for (int b = 0; b < n; b++)
        x |= (uint64_t)at[b] << 8 * b;
    return x;
}

static bool begins(const unsigned char *at, const char *magic)
{
    return memcmp(at, magic, 4) == 0;
}

static bool read_at(const moe_zip *z, uint64_t at, void *to, size_t bytes)
{
    return at <= INT64_MAX && fseek(z->file, (long)at, SEEK_SET) == 0 &&
           fread(to, 1, bytes, z->file) == bytes;
}

static moe_status broken(const moe_zip *z, moe_error *err)
{
    return moe_fail(err, MOE_FORMAT, "%s: is truncated, or no zip archive",
                    z->path);
}

/* ---- the list of members ---- */

/* Find the list: its offset and its entries stand at the archive's end, before
 * a comment; sizes of 64 bits in a further record. */
static moe_status find_list(const moe_zip *z, uint64_t *at_out, uint64_t *n_out,
                            moe_error *err)
{
    unsigned char tail[END_BYTES + MOST_COMMENT + LOCATOR_BYTES] = {0};
    unsigned char end64[END64_BYTES];
    if (fseek(z->file, 0, SEEK_END) != 0)
        return broken(z, err);
    const uint64_t all = (uint64_t)ftell(z->file);
    const size_t n = all < sizeof tail ? (size_t)all : sizeof tail;
    if (n < END_BYTES || !read_at(z, all - n, tail, n))
        return broken(z, err);
    size_t end = n - END_BYTES;
    while (end > 0 && !begins(tail + end, "PK\5\6"))
        end--;
    if (!begins(tail + end, "PK\5\6"))
        return broken(z, err);
    *n_out = number(tail + end + 10, 2);
    *at_out = number(tail + end + 16, 4);
    if (end < LOCATOR_BYTES || !begins(tail + end - LOCATOR_BYTES, "PK\6\7"))
        return MOE_OK;
    if (!read_at(z, number(tail + end - LOCATOR_BYTES + 8, 8), end64,
                 sizeof end64) ||
        !begins(end64, "PK\6\6"))
        return broken(z, err);
    *n_out = number(end64 + 32, 8);
    *at_out = number(end64 + 48, 8);
    return MOE_OK;
}

/* Sizes that do not fit in 32 bits follow each other in a field of type 1. */
static void take_sizes64(moe_zip_member *m, const unsigned char *extra,
                         size_t bytes)
{
    uint64_t *const sizes[] = {&m->size, &m->packed, &m->at};
    for (size_t i = 0; i + 4 <= bytes;) {
        const size_t n = (size_t)number(extra + i + 2, 2), from = i + 4;
        const bool is_sizes = number(extra + i, 2) == 1;
        size_t at = from;
        i = from + n;
        for (size_t k = 0; is_sizes && i <= bytes && k < 3; k++)
            if (*sizes[k] == UINT32_MAX && at + 8 <= i) {
                *sizes[k] = number(extra + at, 8);
                at += 8;
            }
    }
}

/* @return where the next entry is; 0: it cannot be read. */
static uint64_t take_member(const moe_zip *z, uint64_t at, moe_zip_member *m)
{
    unsigned char e[ENTRY_BYTES], extra[UINT16_MAX];
    if (!read_at(z, at, e, sizeof e) || !begins(e, "PK\1\2"))
        return 0;
    const size_t name = (size_t)number(e + 28, 2);
    const size_t more = (size_t)number(e + 30, 2);
    m->method = (int)number(e + 10, 2);
    m->crc = (uint32_t)number(e + 16, 4);
    m->packed = number(e + 20, 4);
    m->size = number(e + 24, 4);
    m->at = number(e + 42, 4);
    if (name >= sizeof m->name ||
        !read_at(z, at + ENTRY_BYTES, m->name, name) ||
        !read_at(z, at + ENTRY_BYTES + name, extra, more))
        return 0;
    take_sizes64(m, extra, more);
    return at + ENTRY_BYTES + name + more + number(e + 32, 2);
}

moe_status moe_zip_open(const char *path, moe_zip *out, moe_error *err)
{
    uint64_t at = 0, n = 0;
    *out = (moe_zip){.path = path, .file = fopen(path, "rb")};
    if (out->file == NULL)
        return moe_fail(err, MOE_USAGE, "%s: cannot open: %s", path,
                        strerror(errno));
    if (find_list(out, &at, &n, err) != MOE_OK)
        return err->status;
    if (n == 0 || n > MOST_MEMBERS)
        return moe_fail(err, MOE_FORMAT, "%s: has %llu members, not 1..%d",
                        path, (unsigned long long)n, MOST_MEMBERS);
    out->member = moe_array_new((size_t)n, sizeof *out->member, err);
    for (; out->member != NULL && out->n < n; out->n++)
        if ((at = take_member(out, at, &out->member[out->n])) == 0)
            return broken(out, err);
    return err->status;
}

/* ---- a member ---- */

static void end_member(moe_zip *z)
{
    inflating *i = z->inflating;
    if (i != NULL)
        inflateEnd(&i->stream);
    free(i);
    z->inflating = NULL;
}

void moe_zip_close(moe_zip *z)
{
    end_member(z);
    if (z->file != NULL)
        fclose(z->file);
    free(z->member);
    *z = (moe_zip){0};
}

static size_t read_stored(void *from, void *to, size_t bytes)
{
    moe_zip *z = from;
    const size_t n =
        fread(to, 1, bytes < z->left ? bytes : (size_t)z->left, z->file);
    z->left -= n;
    return n;
}

static size_t read_deflated(void *from, void *to, size_t bytes)
{
    moe_zip *z = from;
    inflating *i = z->inflating;
    size_t n = 0;
    int rc = Z_OK;
    while (n < bytes && rc == Z_OK) {
        const size_t most = bytes - n < UINT32_MAX ? bytes - n : UINT32_MAX;
        if (i->stream.avail_in == 0) {
            i->stream.next_in = i->packed;
            i->stream.avail_in =
                (uInt)read_stored(z, i->packed, sizeof i->packed);
        }
        i->stream.next_out = (unsigned char *)to + n;
        i->stream.avail_out = (uInt)most;
        rc = inflate(&i->stream, Z_NO_FLUSH);
        n += most - i->stream.avail_out;
    }
    return n;
}

/* Bytes that are not what was packed count as missing: the last of them are
 * never handed out. */
static size_t read_checked(void *from, void *to, size_t bytes)
{
    moe_zip *z = from;
    const size_t n = z->inflating != NULL ? read_deflated(z, to, bytes)
                                          : read_stored(z, to, bytes);
    z->crc = (uint32_t)crc32_z(z->crc, to, n);
    z->given += n;
    return z->given == z->reading->size && z->crc != z->reading->crc ? 0 : n;
}

moe_status moe_zip_seek(moe_zip *z, size_t i, moe_byte_source *out,
                        moe_error *err)
{
    const moe_zip_member *m = &z->member[i];
    unsigned char h[HEADER_BYTES];
    end_member(z);
    if (m->method != STORED && m->method != DEFLATED)
        return moe_fail(err, MOE_FORMAT,
                        "%s: %s: packed by method %d; stored or deflated is "
                        "wanted",
                        z->path, m->name, m->method);
    if (!read_at(z, m->at, h, sizeof h) || !begins(h, "PK\3\4") ||
        fseek(z->file, (long)(number(h + 26, 2) + number(h + 28, 2)),
              SEEK_CUR) != 0)
        return broken(z, err);
    z->left = m->packed;
    z->reading = m;
    z->given = z->crc = 0;
    *out = (moe_byte_source){z, read_checked};
    if (m->method == STORED)
        return MOE_OK;
    inflating *in = moe_array_new(1, sizeof *in, err);
    if (in != NULL && inflateInit2(&in->stream, -MAX_WBITS) != Z_OK) {
        free(in);
        return moe_fail(err, MOE_NOMEM, "out of memory");
    }
    z->inflating = in;
    return err->status;
}
