/* fuzz.h: HDF5 files under libFuzzer.
 *
 * The library itself crashes on damaged files, which a process of its own
 * bears (h5_try.h). Here files are whole, but what they say is anything: an
 * input is a list of changes to a file of this program.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Take the files of FUZZ_H5, a folder. @param path  where changed ones go. */
void fuzz_h5_begin(const char *path);

/* Change a file and read it by everything that reads such files. */
void fuzz_h5(const uint8_t *data, size_t size);

#endif
