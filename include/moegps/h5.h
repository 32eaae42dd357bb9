/** h5.h: HDF5 as this project uses it; one place for the rules that make a
 *  file readable by xarray, h5py, ncdump, h5dump and H5Web.
 *
 *  Errors are sticky: every function takes a moe_error, does nothing when it
 *  already holds an error, and records its own otherwise. So a file is
 *  written straight down and the error is looked at once, at the end. A
 *  failed call returns H5I_INVALID_HID, which every function accepts.
 *
 *  Conventions: format bounds V18, creation order tracked, strings are
 *  variable-length UTF-8, every dimension is an H5DS scale of its own name in
 *  the same group, `_FillValue` equals the HDF5 fill value, `units` in
 *  UDUNITS short form, no compound, enum or bitfield types.
 */
#ifndef MOEGPS_H5_H
#define MOEGPS_H5_H

#include <hdf5.h>
#include <stdbool.h>
#include <stdint.h>

#include "moegps/status.h"

enum { MOE_H5_MAX_RANK = 8 };

/** Silence HDF5's own error printing; our messages carry the reason. Call
 *  once, before anything else here. Not collective. */
void moe_h5_quiet(void);

/** Create a file; it must not exist. @return file id, or invalid with
 *  MOE_EXISTS or MOE_IO. Not collective. */
hid_t moe_h5_create(const char *path, moe_error *err);

/** Open a file to read, or to change. @return file id, or invalid with
 *  MOE_USAGE (not there, not readable, not to be changed) or MOE_FORMAT (not
 *  HDF5, truncated).
 *  Not collective. */
hid_t moe_h5_open(const char *path, bool writable, moe_error *err);

/** A file as bytes in memory. */
typedef struct moe_h5_image {
    const char *path; /* for messages */
    const void *data; /* [bytes]; NULL: there is no file */
    size_t bytes;
} moe_h5_image;

/** Open a file that is in memory, to read. HDF5 copies the bytes.
 *  @return file id, or invalid with MOE_USAGE (no bytes), MOE_FORMAT (not
 *  HDF5, truncated). Not collective. */
hid_t moe_h5_open_image(const moe_h5_image *image, moe_error *err);

/** Flush and close a file; a failure (disk full) is MOE_IO. */
void moe_h5_close_file(hid_t file, moe_error *err);

/** Close a file that was created at `path`. After any error in err it is
 *  removed, and err begins with the path. @return err's status. */
moe_status moe_h5_finish(hid_t file, const char *path, moe_error *err);

/** Close a group, dataset, space, ... H5I_INVALID_HID is fine. */
void moe_h5_close(hid_t id);

/* To open what is missing or of another kind is MOE_FORMAT. */
hid_t moe_h5_create_group(hid_t where, const char *name, moe_error *err);
hid_t moe_h5_open_group(hid_t where, const char *name, moe_error *err);
hid_t moe_h5_open_dataset(hid_t where, const char *name, moe_error *err);
bool moe_h5_exists(hid_t where, const char *name);

/* Attributes; to put one again replaces it. A getter without the attribute,
 * or with one of another type: MOE_FORMAT, naming it, `text` untouched. A
 * text is cut to `size`. */
void moe_h5_put_text(hid_t obj, const char *name, const char *text,
                     moe_error *err);
void moe_h5_put_int(hid_t obj, const char *name, int64_t value, moe_error *err);
void moe_h5_put_real(hid_t obj, const char *name, double value, moe_error *err);
void moe_h5_get_text(hid_t obj, const char *name, char *text, size_t size,
                     moe_error *err);
int64_t moe_h5_get_int(hid_t obj, const char *name, moe_error *err);
double moe_h5_get_real(hid_t obj, const char *name, moe_error *err);
bool moe_h5_has(hid_t obj, const char *name);

/** Read a whole number of [low, high]. @return it; 0 after an error. */
int moe_h5_get_sized(hid_t obj, const char *name, int64_t low, int64_t high,
                     moe_error *err);

/** A kind of file, told by its attributes `schema` and `schema_version`. */
typedef struct moe_h5_schema {
    const char *name, *version; /* as this program writes them */
    const char *noun;           /* "a map" */
    bool older;                 /* lower major numbers are read, too */
} moe_h5_schema;

/** @return whether a file, open or not, has this schema. */
bool moe_h5_is(hid_t file, const char *schema);

/** Refuse a file of another schema, or of a version that is not read, with
 *  MOE_FORMAT. */
void moe_h5_check_schema(hid_t file, const moe_h5_schema *schema,
                         moe_error *err);

/** Put an attribute that is a list of texts (NeXus axes). */
void moe_h5_put_list(hid_t obj, const char *name, const char *const *texts,
                     size_t n, moe_error *err);

/** Say what the values 0, 1, ... of a dataset mean (CF conventions).
 *  @param type      of the dataset in the file.
 *  @param n         values, at most 8.
 *  @param meanings  words, one for each. */
void moe_h5_put_flags(hid_t dataset, hid_t type, int n, const char *meanings,
                      moe_error *err);

/** A numeric dataset to be created. */
typedef struct moe_h5_spec {
    const char *name;
    hid_t type; /* file type: H5T_IEEE_F64LE, H5T_STD_I32LE, ... */
    int rank;
    const char *dims[MOE_H5_MAX_RANK]; /* names of scales in the same group */
    const char *units;                 /* NULL: none */
    const char *long_name;             /* NULL: none */
    bool deflate; /* chunked, shuffled, deflated; else contiguous,
                               allocated early, so that a killed run keeps
                               what was written */
    hsize_t chunk[MOE_H5_MAX_RANK]; /* with deflate; 0: the whole dimension */
} moe_h5_spec;

/** Create a dimension scale with integer coordinates.
 *  @param values  [n], or NULL for 0, 1, ... n-1. n >= 1. */
void moe_h5_scale(hid_t group, const char *name, size_t n,
                  const int32_t *values, const char *long_name, moe_error *err);

/** Create a dimension scale whose coordinates are names. */
void moe_h5_scale_text(hid_t group, const char *name, size_t n,
                       const char *const *values, const char *long_name,
                       moe_error *err);

/** Create a dataset on existing scales, filled with NaN or -1 (0 for
 *  unsigned types). @return its id; close with moe_h5_close(). */
hid_t moe_h5_create_dataset(hid_t group, const moe_h5_spec *spec,
                            moe_error *err);

/** Create a dataset and write all of it. */
void moe_h5_write(hid_t group, const moe_h5_spec *spec, hid_t mem_type,
                  const void *data, moe_error *err);

/** A part of a dataset: of each of its dimensions, `count` from `start` on. */
typedef struct moe_h5_block {
    hsize_t start[H5S_MAX_RANK], count[H5S_MAX_RANK];
} moe_h5_block;

/** How a dataset is gone over. */
typedef struct moe_h5_pieces {
    int rank; /* at least 1 */
    hsize_t dims[H5S_MAX_RANK];
    const hsize_t *chunk; /* [rank] whose borders blocks keep to where they are
                             larger; NULL: it has none */
    hsize_t most;         /* elements of a block, at least 1 */
} moe_h5_pieces;

/** Go to the next block in C order, whose elements follow each other in it.
 *  @param block  of zeros before the first.
 *  @return its elements; 0: there is none. */
hsize_t moe_h5_next_block(moe_h5_block *block, const moe_h5_pieces *pieces);

/** Write or read a block. The buffer is dense and in the dataset's order.
 *  `xfer` is H5P_DEFAULT or a collective transfer list (then: collective, and
 *  count may hold zeros). */
void moe_h5_write_block(hid_t dataset, const moe_h5_block *block,
                        hid_t mem_type, const void *data, hid_t xfer,
                        moe_error *err);
void moe_h5_read_block(hid_t dataset, const moe_h5_block *block, hid_t mem_type,
                       void *data, moe_error *err);

/** Sizes of a dataset's dimensions; MOE_FORMAT unless it has `rank` of them. */
void moe_h5_dims(hid_t where, const char *name, int rank, hsize_t *dims,
                 moe_error *err);

/** Read a whole numeric dataset into heap memory; the caller frees it.
 *  @param n  expected number of elements, else MOE_FORMAT. */
void *moe_h5_read(hid_t where, const char *name, hid_t mem_type,
                  size_t mem_size, size_t n, moe_error *err);

/** The same, block by block, into memory of bulk.h; moe_bulk_free() it. */
void *moe_h5_read_bulk(hid_t where, const char *name, hid_t mem_type,
                       size_t mem_size, size_t n, moe_error *err);

/** Write a text for each place of a scale.
 *  @param spec    of one dimension; its type says nothing.
 *  @param values  as many as the scale has places. */
void moe_h5_write_strings(hid_t group, const moe_h5_spec *spec,
                          const char *const *values, moe_error *err);

/** Texts. Readers return heap memory: free() one, moe_h5_free_strings() a list
 *  from a one-dimensional dataset. Strings are names, of one line each; texts
 *  keep their lines. What else is no plain character becomes a question mark
 *  (plain.h), as in attributes. */
void moe_h5_write_text(hid_t where, const char *name, const char *text,
                       moe_error *err);
char *moe_h5_read_text(hid_t where, const char *name, moe_error *err);
char **moe_h5_read_strings(hid_t where, const char *name, size_t *n_out,
                           moe_error *err);
char **moe_h5_read_texts(hid_t where, const char *name, size_t *n_out,
                         moe_error *err);
void moe_h5_free_strings(char **strings, size_t n);

#endif
