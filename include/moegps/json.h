/** json.h: JSON that is written.
 *
 *  jansson takes a NULL value for an error wherever it is put, and says so
 *  only there; here every put records it. A value belongs to what it was put
 *  into, also when that fails. Not collective.
 */
#ifndef MOEGPS_JSON_H
#define MOEGPS_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "moegps/status.h"

/** Put a value under a key, or at the end of an array; MOE_NOMEM in `err` when
 *  it, or what it is put into, is NULL. */
void moe_json_put(json_t *object, const char *key, json_t *value,
                  moe_error *err);
void moe_json_add(json_t *array, json_t *value, moe_error *err);

/** The same of a number, an integer, a text. */
void moe_json_put_number(json_t *object, const char *key, double x,
                         moe_error *err);
void moe_json_put_integer(json_t *object, const char *key, int64_t x,
                          moe_error *err);
void moe_json_put_text(json_t *object, const char *key, const char *text,
                       moe_error *err);

/** How a member of a struct becomes a value. */
typedef enum moe_json_kind {
    MOE_JSON_NUMBER,  /* double; null where it is not finite */
    MOE_JSON_INTEGER, /* int */
    MOE_JSON_COUNT,   /* size_t, uint64_t */
    MOE_JSON_FLAG,    /* bool */
    MOE_JSON_STRING,  /* char *; null where it is NULL */
    MOE_JSON_CHARS    /* char[] */
} moe_json_kind;

/** A member of a struct and its key: structs are written by tables of these. */
typedef struct moe_json_member {
    const char *key;
    moe_json_kind kind;
    size_t offset;
} moe_json_member;

/** A row of such a table; the kind is that of the member's type.
 *  @param type  of the struct */
#define MOE_JSON_MEMBER(key, type, member)                     \
    {                                                          \
        key,                                                 \
            _Generic(&((type *)0)->member,                   \
                double *: MOE_JSON_NUMBER,                   \
                int *: MOE_JSON_INTEGER,                     \
                uint64_t *: MOE_JSON_COUNT,                  \
                bool *: MOE_JSON_FLAG,                       \
                char **: MOE_JSON_STRING,                    \
                const char **: MOE_JSON_STRING,              \
                default: MOE_JSON_CHARS),                    \
            offsetof(type, member) \
    }

/** Put the members of a struct in their order.
 *  @param members  [n]
 *  @param from     the struct */
void moe_json_put_members(json_t *object, const moe_json_member *members,
                          size_t n, const void *from, moe_error *err);

/** @return an object of them; NULL with MOE_NOMEM. */
json_t *moe_json_members(const moe_json_member *members, size_t n,
                         const void *from, moe_error *err);

/** @return a number; JSON has no NaN and no infinity: null. */
json_t *moe_json_number(double x);

/** @return a text; beyond ASCII '?' where it is not UTF-8, as of a text cut
 *  within a character. */
json_t *moe_json_text(const char *text);

/** @return an array of n values. */
json_t *moe_json_numbers(const double *x, size_t n, moe_error *err);
json_t *moe_json_integers(const int32_t *x, size_t n, moe_error *err);

/** Print a document and a line end, and release it; nothing is printed when
 *  `err` has an error already. That the stream cannot be written is for who
 *  closes it to see.
 *  @param flags  jansson's: JSON_INDENT(2), JSON_REAL_PRECISION(12), ... */
void moe_json_print(json_t *root, size_t flags, FILE *out, moe_error *err);

/** The same into a file, by moe_replace_open(). @param path  "-": stdout.
 *  @return as moe_replace_close(). */
moe_status moe_json_write(json_t *root, size_t flags, const char *path,
                          bool force, moe_error *err);

#endif
