/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/json.h"

#include <math.h>
#include <stdlib.h>

#include "moegps/mem.h"
#include "moegps/replace.h"

void moe_json_put(json_t *object, const char *key, json_t *value,
                  moe_error *err)
{
    if (json_object_set_new(object, key, value) != 0)
        moe_fail(err, MOE_NOMEM, "out of memory");
}

void moe_json_add(json_t *array, json_t *value, moe_error *err)
{
    if (json_array_append_new(array, value) != 0)
        moe_fail(err, MOE_NOMEM, "out of memory");
}

void moe_json_put_number(json_t *object, const char *key, double x,
                         moe_error *err)
{
    moe_json_put(object, key, moe_json_number(x), err);
}

void moe_json_put_integer(json_t *object, const char *key, int64_t x,
                          moe_error *err)
{
    moe_json_put(object, key, json_integer(x), err);
}

void moe_json_put_text(json_t *object, const char *key, const char *text,
                       moe_error *err)
{
    moe_json_put(object, key, moe_json_text(text), err);
}

static json_t *value_of(const moe_json_member *member, const void *from)
{
    const void *at = (const char *)from + member->offset;
    switch (member->kind) {
    case MOE_JSON_NUMBER:
        return moe_json_number(*(const double *)at);
    case MOE_JSON_INTEGER:
        return json_integer(*(const int *)at);
    case MOE_JSON_COUNT:
        return json_integer((json_int_t) * (const uint64_t *)at);
    case MOE_JSON_FLAG:
        return json_boolean(*(const bool *)at);
    case MOE_JSON_STRING:
        return *(const char *const *)at != NULL
                   ? moe_json_text(*(const char *const *)at)
                   : json_null();
    default:
        return moe_json_text(at);
    }
}

void moe_json_put_members(json_t *object, const moe_json_member *members,
                          size_t n, const void *from, moe_error *err)
{
    for (size_t i = 0; i < n; i++)
        moe_json_put(object, members[i].key, value_of(&members[i], from), err);
}

json_t *moe_json_members(const moe_json_member *members, size_t n,
                         const void *from, moe_error *err)
{
    json_t *object = json_object();
    moe_json_put_members(object, members, n, from, err);
    return object;
}

json_t *moe_json_number(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *moe_json_text(const char *s)
{
    json_t *value = json_string(s);
    char *plain = value == NULL ? moe_strdup(s, NULL) : NULL;
    for (char *p = plain; p != NULL && *p != '\0'; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    if (plain != NULL)
        value = json_string(plain);
    free(plain);
    return value;
}

json_t *moe_json_numbers(const double *x, size_t n, moe_error *err)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        moe_json_add(array, moe_json_number(x[i]), err);
    return array;
}

json_t *moe_json_integers(const int32_t *x, size_t n, moe_error *err)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        moe_json_add(array, json_integer(x[i]), err);
    return array;
}

void moe_json_print(json_t *root, size_t flags, FILE *out, moe_error *err)
{
    if (err->status == MOE_OK && json_dumpf(root, out, flags) != 0 &&
        !ferror(out))
        moe_fail(err, MOE_NOMEM, "out of memory");
    if (err->status == MOE_OK)
        fputc('\n', out);
    json_decref(root);
}

moe_status moe_json_write(json_t *root, size_t flags, const char *path,
                          bool force, moe_error *err)
{
    moe_replace to;
    FILE *out =
        err->status == MOE_OK ? moe_replace_open(&to, path, force, err) : NULL;
    if (out == NULL) {
        json_decref(root);
        return err->status;
    }
    moe_json_print(root, flags, out, err);
    return moe_replace_close(&to, out, err);
}
