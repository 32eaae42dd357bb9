/** replace.h: an output appears under its name when it is whole.
 *
 *  What a command makes is written to a file beside its output, PATH.new, and
 *  then renamed: what was there before stays until then, and stays for good
 *  when writing fails. "-" is standard output. What is there and is no regular
 *  file - a device, a pipe - is written in place. Not collective.
 */
#ifndef MOEGPS_REPLACE_H
#define MOEGPS_REPLACE_H

#include <stdbool.h>
#include <stdio.h>

#include "moegps/status.h"

typedef struct moe_replace {
    const char *name;  /* of the output, as it is told; borrowed */
    char path[4096];   /* where the output belongs; links are followed */
    char beside[4104]; /* what is to be written; `path` if that is in place */
    bool force;        /* a file that exists may be replaced */
} moe_replace;

/** Refuse an output that exists and may not be replaced. Call it before
 *  work begins. @param path  NULL: no output is wanted.
 *  @return MOE_OK, MOE_EXISTS. */
moe_status moe_replace_check(const char *path, bool force, moe_error *err);

/** Make the folders above an output that are not there yet. @return MOE_OK,
 *  MOE_IO naming the one that cannot be made. */
moe_status moe_replace_folders(const char *path, moe_error *err);

/** Choose the file to write, `beside`, make its folder and remove what an
 *  earlier write left there. @return MOE_OK, MOE_EXISTS, MOE_USAGE (the path is
 *  too long, a link to nothing), MOE_IO (no folder). */
moe_status moe_replace_begin(moe_replace *r, const char *path, bool force,
                             moe_error *err);

/** Give the written file its name; with an error in `err`, remove it instead.
 *  @return MOE_OK, MOE_EXISTS (without force, what appeared meanwhile stays),
 *  MOE_IO with path and reason, or the error that was there. */
moe_status moe_replace_commit(moe_replace *r, moe_error *err);

/** Begin, and open the file for a text. @return NULL with an error. */
FILE *moe_replace_open(moe_replace *r, const char *path, bool force,
                       moe_error *err);

/** Close what moe_replace_open() returned, and commit.
 *  @return as moe_replace_commit(); MOE_IO when anything was not written. */
moe_status moe_replace_close(moe_replace *r, FILE *out, moe_error *err);

/** Rename a file; without force never over another.
 *  @return 0, or -1 with errno. */
int moe_replace_rename(const char *from, const char *to, bool force);

/** Copy a regular file, as the file system does it fastest, and its permissions;
 *  the owner may write it.
 *  @param to  is not there yet; what is there after an error is the caller's
 *             to remove.
 *  @return 0, or -1 with errno. */
int moe_replace_copy(const char *from, const char *to);

#endif
