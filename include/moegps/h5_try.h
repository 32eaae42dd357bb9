/** h5_try.h: HDF5 files from elsewhere are tried in a process of their own.
 *
 *  HDF5 1.10 crashes on some damaged files, and spins for ever on others. So
 *  before a process opens a file, a child reads all of it that the library
 *  interprets: links, attributes, texts, filtered chunks. The child has limits
 *  of time and memory, and what ends it is the file's fault.
 */
#ifndef MOEGPS_H5_TRY_H
#define MOEGPS_H5_TRY_H

#include "moegps/status.h"

/* First argument of the program when it is the child; then comes the path. */
#define MOE_H5_TRY_COMMAND "--try-hdf5"

/** Have every file checked by this program from now on, which answers to
 *  MOE_H5_TRY_COMMAND; without, files are opened unchecked. Not collective;
 *  once per process, as HDF5's own state is.
 *  @param program  static storage.
 *  @param known    SHA-256, hex, of a file that is as healthy as the program,
 *  which is not tried; NULL: all are. Static storage. */
void moe_h5_try_with(const char *program, const char *known);

/** Check a file. Not collective; the last file is not checked again unless it
 *  has changed. What the library itself refuses is not told
 *  here: opening it does.
 *  @return MOE_OK, MOE_FORMAT (damaged, or made of other files), MOE_LIBRARY
 *  (no child can be started). */
moe_status moe_h5_try(const char *path, moe_error *err);

/** Be the child. @return the exit code. */
int moe_h5_try_main(const char *path);

#endif
