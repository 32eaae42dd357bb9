/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/numbers.h"

static const char magic[] = "\x93NUMPY";
enum { MAGIC_LEN = 6, MAX_HEADER = 4096 };

bool moe_npy_begins(const char *head, size_t n)
{
    return n >= MAGIC_LEN && memcmp(head, magic, MAGIC_LEN) == 0;
}

static moe_status refuse(const moe_numbers *a, const char *why, moe_error *err)
{
    return moe_fail(err, MOE_FORMAT, "%s: %s", a->name, why);
}

/* @return what follows `'key':` in a header, or NULL. */
static const char *value_of(const char *header, const char *key)
{
    const char *at = strstr(header, key);
    at = at != NULL ? strchr(at, ':') : NULL;
    return at != NULL ? at + 1 + strspn(at + 1, " ") : NULL;
}

/* "(3, 4)", "(3,)", "()". */
static bool parse_shape(moe_numbers *a, const char *at)
{
    for (at++;;) {
        at += strspn(at, " ,");
        if (*at == ')')
            return true;
        char *end = NULL;
        if (!isdigit((unsigned char)*at) || a->rank == MOE_NUMBERS_MAX_RANK)
            return false;
        a->dims[a->rank++] = strtoull(at, &end, 10);
        at = end;
        if (*at != ',' && *at != ')')
            return false;
    }
}

/* '<i8', '>f4' and the like; one byte has no order: '|u1'. */
static bool parse_type(moe_numbers *a, const char *type)
{
    if (type[0] != '\'' || type[1] == '\0' || strchr("<>|=", type[1]) == NULL ||
        type[2] == '\0' || strchr("iuf", type[2]) == NULL || type[3] == '\0' ||
        strchr(type[2] == 'f' ? "248" : "1248", type[3]) == NULL ||
        type[4] != '\'')
        return false;
    a->big_endian = type[1] == '>';
    a->kind = type[2];
    a->size = (size_t)(type[3] - '0');
    return type[1] != '|' || a->size == 1;
}

static moe_status parse_header(moe_numbers *a, const char *header,
                               moe_error *err)
{
    const char *type = value_of(header, "'descr'");
    const char *order = value_of(header, "'fortran_order'");
    const char *shape = value_of(header, "'shape'");
    if (type == NULL || order == NULL || shape == NULL || *shape != '(')
        return refuse(a, "has a header that cannot be read", err);
    if (!parse_type(a, type))
        return refuse(a, "is not an array of integers or real numbers", err);
    a->fortran = strncmp(order, "True", 4) == 0;
    if ((!a->fortran && strncmp(order, "False", 5) != 0) ||
        !parse_shape(a, shape))
        return refuse(a, "has a header that cannot be read", err);
    return MOE_OK;
}

moe_status moe_npy_header(moe_numbers *out, moe_error *err)
{
    unsigned char start[MAGIC_LEN + 2], len[4] = {0};
    char header[MAX_HEADER + 1] = "";
    const moe_byte_source *s = &out->source;
    out->rank = 0;
    if (s->read(s->from, start, sizeof start) != sizeof start ||
        !moe_npy_begins((const char *)start, sizeof start))
        return refuse(out, "is not a .npy file", err);
    const size_t len_bytes = start[MAGIC_LEN] == 1 ? 2 : 4;
    if (s->read(s->from, len, len_bytes) != len_bytes)
        return refuse(out, "is truncated", err);
    const size_t n = len[0] | (size_t)len[1] << 8 | (size_t)len[2] << 16 |
                     (size_t)len[3] << 24;
    if (n > MAX_HEADER || s->read(s->from, header, n) != n ||
        memchr(header, 0, n) != NULL)
        return refuse(out, "has a header that cannot be read", err);
    return parse_header(out, header, err);
}
