/** jtree.h: JSON of any size, with its arrays of numbers as dense arrays.
 *
 *  jansson makes a node of every number, which takes 50 bytes and more of
 *  each; recordings have millions. Here nested arrays of numbers, all of equal
 *  sizes, become one block of doubles, which may be larger than memory; all else
 *  is a tree as usual, of so many nodes at most. Files may hold several values
 *  one after the other (JSON Lines), and what is large without being numbers is
 *  handed out part by part.
 */
#ifndef MOEGPS_JTREE_H
#define MOEGPS_JTREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/status.h"

typedef enum moe_jtype {
    MOE_JNULL,
    MOE_JBOOL,
    MOE_JNUMBER,
    MOE_JTEXT,
    MOE_JLIST, /* of anything but equal arrays of numbers */
    MOE_JOBJECT,
    MOE_JARRAY /* numbers, dense */
} moe_jtype;

enum { MOE_JTREE_MAX_RANK = 8, MOE_JTREE_MAX_DEPTH = 64 };

typedef struct moe_jtree {
    moe_jtype type;
    bool yes;               /* BOOL */
    double number;          /* NUMBER */
    char *text;             /* TEXT; owned */
    char **key;             /* OBJECT: [n], distinct; owned */
    struct moe_jtree *item; /* LIST, OBJECT: [n]; owned */
    size_t n;
    int rank; /* ARRAY: at least 1 */
    size_t dims[MOE_JTREE_MAX_RANK];
    double *data; /* [product of dims], in C order; owned, by bulk.h */
} moe_jtree;

typedef struct moe_jreader moe_jreader;

/** Open a file. @param path  borrowed while it is open.
 *  @param out  close with moe_jreader_close().
 *  @return MOE_OK, MOE_USAGE (cannot open), MOE_NOMEM. */
moe_status moe_jreader_open(const char *path, moe_jreader **out,
                            moe_error *err);
void moe_jreader_close(moe_jreader *reader);

/** Open the part of a file that is JSON.
 *  @param offset  bytes before it.  @param bytes  of it, at most.
 *  @return as moe_jreader_open(). */
moe_status moe_jreader_open_part(const char *path, uint64_t offset,
                                 uint64_t bytes, moe_jreader **out,
                                 moe_error *err);

/** Read the next value. Strict: no comments, no trailing commas, no NaN, no
 *  key twice.
 *  @param out  release with moe_jtree_fini(); untouched on error.
 *  @param more_out  false: there is no further value.
 *  @return MOE_OK, MOE_FORMAT (path:line:column and what is wrong there),
 *  MOE_IO, MOE_NOMEM. */
moe_status moe_jreader_next(moe_jreader *reader, moe_jtree *out, bool *more_out,
                            moe_error *err);

/** What takes the parts of a value, one after the other, which are not kept.
 *  @param key   of a member; NULL: an item of an array.
 *  @param part  borrowed for the call. Errors end the reading. */
typedef void moe_jpart(const char *key, const moe_jtree *part, void *arg,
                       moe_error *err);

/** Hand out the parts of large values: of an array the items that are objects;
 *  of an object the items that are objects of the array of this key, or, for
 *  "", all its members, of which none may be there twice, which is not checked.
 *  @param key  borrowed while the reader is open. */
void moe_jreader_hand_out(moe_jreader *reader, const char *key, moe_jpart *to,
                          void *arg);

void moe_jtree_fini(moe_jtree *tree);

/** @return the member of this key; NULL: no such, no object, or no tree. */
const moe_jtree *moe_jtree_get(const moe_jtree *tree, const char *key);

#endif
