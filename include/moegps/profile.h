/** profile.h: where named models, clusters and traces are found.
 *
 *  A name with a '/' or a suffix is a path. Otherwise it is looked up as
 *  KIND/NAME.SUFFIX below, in this order: $MOEGPS_JOBS, ./jobs, the `jobs`
 *  folder beside the program or one folder above, and PREFIX/share/moegps/jobs of the build.
 */
#ifndef MOEGPS_PROFILE_H
#define MOEGPS_PROFILE_H

#include <stddef.h>

#include "moegps/status.h"

/** Find a file. Not collective.
 *  @param kind   "models", "clusters" or "traces"
 *  @param suffix ".yaml" or ".h5"
 *  @param path_out  [size] bytes.
 *  @return MOE_OK, or MOE_USAGE naming what there is. */
moe_status moe_profile_find(const char *kind, const char *name,
                            const char *suffix, char *path_out, size_t size,
                            moe_error *err);

/** Find a YAML profile and read it. Not collective.
 *  @param path_out  [size] bytes: where it was found.
 *  @return its text, to be freed; or NULL, as moe_profile_find() and
 *  moe_read_text() say. */
char *moe_profile_read(const char *kind, const char *name, char *path_out,
                       size_t size, moe_error *err);

/** Call visit(name, path, arg) for every profile of a kind, by name, which is
 *  plain text (plain.h); the first folder that has a name wins. Not
 *  collective. */
void moe_profile_each(const char *kind, const char *suffix,
                      void (*visit)(const char *name, const char *path,
                                    void *arg),
                      void *arg);

#endif
