/* SPDX-License-Identifier: Apache-2.0 */
#include "h5_internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include <hdf5_hl.h>

#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/plain.h"

enum { DEFLATE_LEVEL = 6 };
enum {
    CONVERT_LEAST = 64, /* bytes: more than any element */
    CONVERT_MOST = 1 << 20,
    LONG_SCALE = 1 << 20,   /* numbers of a scale that is deflated */
    LARGE_BYTES = 16 << 20, /* of an array that is written chunk by chunk */
    PIECE_BYTES = 16 << 20  /* of an array that are read at once */
};

/* Turn a fresh one-dimensional dataset into a scale of its own name. */
static void make_scale(hid_t dataset, const char *name, const char *long_name,
                       moe_error *err)
{
    moe_h5_check(H5DSset_scale(dataset, name), "cannot make a scale", name,
                 err);
    if (long_name != NULL)
        moe_h5_put_text(dataset, "long_name", long_name, err);
}

/* @param values  [n]; NULL: 0, 1, 2, ... */
static void write_scale(hid_t dataset, size_t n, const int32_t *values,
                        moe_error *err)
{
    const size_t most = n < LONG_SCALE ? n : LONG_SCALE;
    int32_t *some = moe_array_new(most, sizeof *some, err);
    for (size_t at = 0; some != NULL && at < n && !moe_h5_failed(err);
         at += most) {
        const size_t now = n - at < most ? n - at : most;
        const moe_h5_block block = {.start = {at}, .count = {now}};
        for (size_t i = 0; i < now; i++)
            some[i] = values != NULL ? values[at + i] : (int32_t)(at + i);
        moe_h5_write_block(dataset, &block, H5T_NATIVE_INT32, some, H5P_DEFAULT,
                           err);
    }
    free(some);
}

void moe_h5_scale(hid_t group, const char *name, size_t n,
                  const int32_t *values, const char *long_name, moe_error *err)
{
    assert(n >= 1);
    if (moe_h5_failed(err))
        return;
    hsize_t dim = n, chunk = LONG_SCALE;
    hid_t space = H5Screate_simple(1, &dim, NULL);
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    if (n > LONG_SCALE) {
        H5Pset_chunk(list, 1, &chunk);
        H5Pset_shuffle(list);
        H5Pset_deflate(list, DEFLATE_LEVEL);
    }
    hid_t dataset = moe_h5_checked(H5Dcreate2(group, name, H5T_STD_I32LE, space,
                                              H5P_DEFAULT, list, H5P_DEFAULT),
                                   "cannot create scale", name, err);
    H5Pclose(list);
    if (dataset >= 0) {
        write_scale(dataset, n, values, err);
        make_scale(dataset, name, long_name, err);
    }
    moe_h5_close(dataset);
    moe_h5_close(space);
}

/* Create and write a string dataset; n == 0 makes it scalar. */
static hid_t write_text_array(hid_t group, const char *name, size_t n,
                              const char *const *values, moe_error *err)
{
    if (moe_h5_failed(err))
        return H5I_INVALID_HID;
    hsize_t dim = n;
    hid_t type = moe_h5_text_type();
    hid_t space =
        n > 0 ? H5Screate_simple(1, &dim, NULL) : H5Screate(H5S_SCALAR);
    hid_t dataset =
        moe_h5_checked(H5Dcreate2(group, name, type, space, H5P_DEFAULT,
                                  H5P_DEFAULT, H5P_DEFAULT),
                       "cannot create dataset", name, err);
    if (dataset >= 0)
        moe_h5_check(
            H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values),
            "cannot write dataset", name, err);
    moe_h5_close(space);
    moe_h5_close(type);
    return dataset;
}

void moe_h5_scale_text(hid_t group, const char *name, size_t n,
                       const char *const *values, const char *long_name,
                       moe_error *err)
{
    assert(n >= 1);
    hid_t dataset = write_text_array(group, name, n, values, err);
    if (dataset >= 0)
        make_scale(dataset, name, long_name, err);
    moe_h5_close(dataset);
}

/* The value that marks "never written": NaN, -1, or 0 for unsigned types. */
static void set_fill(hid_t list, hid_t type)
{
    if (H5Tget_class(type) == H5T_FLOAT) {
        double nan = NAN;
        H5Pset_fill_value(list, H5T_NATIVE_DOUBLE, &nan);
    } else if (H5Tget_sign(type) == H5T_SGN_2) {
        int64_t minus_one = -1;
        H5Pset_fill_value(list, H5T_NATIVE_INT64, &minus_one);
    }
    H5Pset_fill_time(list, H5D_FILL_TIME_ALLOC);
}

/* _FillValue of the data's own type, as netCDF readers require. */
static void put_fill_attribute(hid_t dataset, hid_t type, const char *name,
                               moe_error *err)
{
    if (H5Tget_class(type) == H5T_INTEGER && H5Tget_sign(type) != H5T_SGN_2)
        return;
    hsize_t one = 1;
    hid_t space = H5Screate_simple(1, &one, NULL);
    hid_t attr = H5Acreate2(dataset, "_FillValue", type, space, H5P_DEFAULT,
                            H5P_DEFAULT);
    double nan = NAN;
    int64_t minus_one = -1;
    herr_t rc = H5Tget_class(type) == H5T_FLOAT
                    ? H5Awrite(attr, H5T_NATIVE_DOUBLE, &nan)
                    : H5Awrite(attr, H5T_NATIVE_INT64, &minus_one);
    moe_h5_check(rc, "cannot write _FillValue of", name, err);
    moe_h5_close(attr);
    moe_h5_close(space);
}

/* Of a dataset that is deflated. @param chunk  [rank] */
static void size_chunk(const moe_h5_spec *spec, const hsize_t *dims,
                       hsize_t *chunk)
{
    for (int d = 0; d < spec->rank; d++)
        chunk[d] = spec->chunk[d] > 0 && spec->chunk[d] < dims[d]
                       ? spec->chunk[d]
                       : dims[d];
}

static hid_t creation_list(const moe_h5_spec *spec, const hsize_t *dims)
{
    hid_t list = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_attr_creation_order(list,
                               H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED);
    set_fill(list, spec->type);
    if (!spec->deflate) {
        H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
        return list;
    }
    hsize_t chunk[MOE_H5_MAX_RANK];
    size_chunk(spec, dims, chunk);
    H5Pset_chunk(list, spec->rank, chunk);
    H5Pset_shuffle(list);
    H5Pset_deflate(list, DEFLATE_LEVEL);
    return list;
}

static void attach_scales(hid_t group, hid_t dataset, const moe_h5_spec *spec,
                          moe_error *err)
{
    for (int d = 0; d < spec->rank && !moe_h5_failed(err); d++) {
        hid_t scale = moe_h5_open_dataset(group, spec->dims[d], err);
        if (scale >= 0)
            moe_h5_check(H5DSattach_scale(dataset, scale, (unsigned)d),
                         "cannot attach scale to", spec->name, err);
        moe_h5_close(scale);
    }
}

hid_t moe_h5_create_dataset(hid_t group, const moe_h5_spec *spec,
                            moe_error *err)
{
    hsize_t dims[MOE_H5_MAX_RANK] = {0};
    for (int d = 0; d < spec->rank; d++)
        moe_h5_dims(group, spec->dims[d], 1, &dims[d], err);
    if (moe_h5_failed(err))
        return H5I_INVALID_HID;
    hid_t list = creation_list(spec, dims);
    hid_t space = H5Screate_simple(spec->rank, dims, NULL);
    hid_t dataset =
        moe_h5_checked(H5Dcreate2(group, spec->name, spec->type, space,
                                  H5P_DEFAULT, list, H5P_DEFAULT),
                       "cannot create dataset", spec->name, err);
    moe_h5_close(list);
    moe_h5_close(space);
    if (dataset < 0)
        return dataset;
    if (spec->units != NULL)
        moe_h5_put_text(dataset, "units", spec->units, err);
    if (spec->long_name != NULL)
        moe_h5_put_text(dataset, "long_name", spec->long_name, err);
    put_fill_attribute(dataset, spec->type, spec->name, err);
    attach_scales(group, dataset, spec, err);
    if (moe_h5_failed(err)) {
        moe_h5_close(dataset);
        return H5I_INVALID_HID;
    }
    return dataset;
}

/* Select a block in the file and make the memory space that matches it. */
static hid_t select_block(hid_t dataset, const moe_h5_block *block,
                          hid_t *memory_out)
{
    hid_t space = H5Dget_space(dataset);
    int rank = H5Sget_simple_extent_ndims(space);
    bool empty = false;
    for (int d = 0; d < rank; d++)
        empty = empty || block->count[d] == 0;
    *memory_out = H5Screate_simple(rank, block->count, NULL);
    if (empty) { /* takes part in a collective call with nothing to say */
        H5Sselect_none(space);
        H5Sselect_none(*memory_out);
    } else {
        H5Sselect_hyperslab(space, H5S_SELECT_SET, block->start, NULL,
                            block->count, NULL);
    }
    return space;
}

/* Looking up the name forgets the reason, so that comes first. */
static void fail_block(moe_error *err, moe_status status, const char *what,
                       hid_t dataset)
{
    char why[MOE_H5_MAX_REASON], name[MOE_H5_MAX_SHOWN] = "";
    moe_h5_reason(why);
    H5Iget_name(dataset, name, sizeof name);
    moe_h5_fail_with(err, status, what, name, why);
}

void moe_h5_write_block(hid_t dataset, const moe_h5_block *block,
                        hid_t mem_type, const void *data, hid_t xfer,
                        moe_error *err)
{
    if (moe_h5_failed(err) || dataset < 0)
        return;
    hid_t memory = H5I_INVALID_HID;
    hid_t space = select_block(dataset, block, &memory);
    if (H5Dwrite(dataset, mem_type, memory, space, xfer, data) < 0)
        fail_block(err, MOE_IO, "cannot write a block of", dataset);
    moe_h5_close(memory);
    moe_h5_close(space);
}

/* Go to the next chunk, which the array's end cuts. @return false: that was
 * the last one. */
static bool next_chunk(moe_h5_block *block, int rank, const hsize_t *dims,
                       const hsize_t *chunk)
{
    int d = rank - 1;
    while (d >= 0 && (block->start[d] += chunk[d]) >= dims[d])
        block->start[d--] = 0;
    for (int i = 0; i < rank; i++) {
        const hsize_t left = dims[i] - block->start[i];
        block->count[i] = left < chunk[i] ? left : chunk[i];
    }
    return d >= 0;
}

/* @return whether the elements of a chunk follow each other in the array. */
static bool is_contiguous(int rank, const hsize_t *dims, const hsize_t *chunk)
{
    int d = 0;
    while (d < rank && chunk[d] == 1)
        d++;
    for (d++; d < rank; d++)
        if (chunk[d] != dims[d])
            return false;
    return true;
}

/* Write a large array chunk by chunk, so that it need not be in memory. */
static void write_chunks(hid_t dataset, const moe_h5_spec *spec, hid_t mem_type,
                         const char *data, const hsize_t *dims, moe_error *err)
{
    hsize_t chunk[MOE_H5_MAX_RANK];
    moe_h5_block block = {.start = {0}};
    const size_t size = H5Tget_size(mem_type);
    size_chunk(spec, dims, chunk);
    for (int d = 0; d < spec->rank; d++)
        block.count[d] = chunk[d];
    do {
        size_t at = 0, n = size;
        for (int d = 0; d < spec->rank; d++) {
            at = at * dims[d] + block.start[d];
            n *= block.count[d];
        }
        moe_h5_write_block(dataset, &block, mem_type, data + at * size,
                           H5P_DEFAULT, err);
        moe_bulk_passed(data + at * size, n);
    } while (!moe_h5_failed(err) &&
             next_chunk(&block, spec->rank, dims, chunk));
}

void moe_h5_write(hid_t group, const moe_h5_spec *spec, hid_t mem_type,
                  const void *data, moe_error *err)
{
    hid_t dataset = moe_h5_create_dataset(group, spec, err);
    hsize_t dims[MOE_H5_MAX_RANK] = {0}, chunk[MOE_H5_MAX_RANK];
    size_t bytes = H5Tget_size(mem_type);
    for (int d = 0; d < spec->rank && dataset >= 0; d++) {
        moe_h5_dims(group, spec->dims[d], 1, &dims[d], err);
        bytes *= dims[d];
    }
    size_chunk(spec, dims, chunk);
    if (dataset >= 0 && spec->deflate && bytes > LARGE_BYTES &&
        is_contiguous(spec->rank, dims, chunk))
        write_chunks(dataset, spec, mem_type, data, dims, err);
    else if (dataset >= 0)
        moe_h5_check(
            H5Dwrite(dataset, mem_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data),
            "cannot write dataset", spec->name, err);
    moe_h5_close(dataset);
}

void moe_h5_read_block(hid_t dataset, const moe_h5_block *block, hid_t mem_type,
                       void *data, moe_error *err)
{
    if (moe_h5_failed(err) || dataset < 0)
        return;
    hid_t memory = H5I_INVALID_HID;
    hid_t space = select_block(dataset, block, &memory);
    if (H5Dread(dataset, mem_type, memory, space, H5P_DEFAULT, data) < 0)
        fail_block(err, MOE_FORMAT, "cannot read a block of", dataset);
    moe_h5_close(memory);
    moe_h5_close(space);
}

void moe_h5_dims(hid_t where, const char *name, int rank, hsize_t *dims,
                 moe_error *err)
{
    hid_t dataset = moe_h5_open_dataset(where, name, err);
    if (dataset < 0)
        return;
    hid_t space = H5Dget_space(dataset);
    if (H5Sget_simple_extent_ndims(space) != rank)
        moe_fail(err, MOE_FORMAT, "dataset '%s' has %d dimensions, not %d",
                 name, H5Sget_simple_extent_ndims(space), rank);
    else
        H5Sget_simple_extent_dims(space, dims, NULL);
    moe_h5_close(space);
    moe_h5_close(dataset);
}

/* Elements of a dataset; 0 with an error. What would take much memory must be
 * in the file: a few bytes can claim any extent. Deflate makes at most 1032
 * bytes of one (zlib's technical details). */
static size_t n_elements(hid_t dataset, const char *name, size_t element_bytes,
                         moe_error *err)
{
    const double much = 64 << 20, most_ratio = 1100;
    hid_t space = H5Dget_space(dataset);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    const double stored = (double)H5Dget_storage_size(dataset);
    hid_t type = H5Dget_type(dataset); /* its own, not that in memory */
    const double packed = (double)n * (double)H5Tget_size(type);
    moe_h5_close(type);
    moe_h5_close(space);
    if (n > 0 && ((double)n * (double)element_bytes <= much ||
                  packed <= most_ratio * stored))
        return (size_t)n;
    if (n > 0)
        moe_fail(err, MOE_FORMAT,
                 "dataset '%s' says %lld elements, and %.0f bytes are stored",
                 name, (long long)n, stored);
    return 0;
}

/* Numbers of another width are converted in a buffer, all of which the library
 * zeroes for every call: 1 MiB, unless it is told to take less. */
static bool read_numbers(hid_t dataset, hid_t mem_type, size_t bytes,
                         void *data)
{
    hid_t list = H5Pcreate(H5P_DATASET_XFER);
    if (bytes >= CONVERT_LEAST && bytes < CONVERT_MOST)
        H5Pset_buffer(list, bytes, NULL, NULL);
    const bool ok =
        H5Dread(dataset, mem_type, H5S_ALL, H5S_ALL, list, data) >= 0;
    moe_h5_close(list);
    return ok;
}

/* Open a dataset of n numbers. @return H5I_INVALID_HID with an error. */
static hid_t open_numbers(hid_t where, const char *name, size_t mem_size,
                          size_t n, moe_error *err)
{
    hid_t dataset = moe_h5_open_dataset(where, name, err);
    if (dataset < 0)
        return dataset;
    const size_t found = n_elements(dataset, name, mem_size, err);
    hid_t type = H5Dget_type(dataset);
    if (H5Tget_class(type) == H5T_STRING)
        moe_fail(err, MOE_FORMAT, "dataset '%s' holds text, not numbers", name);
    else if (found != n)
        moe_fail(err, MOE_FORMAT, "dataset '%s' has %zu elements, not %zu",
                 name, found, n);
    moe_h5_close(type);
    if (!moe_h5_failed(err))
        return dataset;
    moe_h5_close(dataset);
    return H5I_INVALID_HID;
}

void *moe_h5_read(hid_t where, const char *name, hid_t mem_type,
                  size_t mem_size, size_t n, moe_error *err)
{
    hid_t dataset = open_numbers(where, name, mem_size, n, err);
    if (dataset < 0)
        return NULL;
    void *data = moe_array_new(n, mem_size, err);
    if (data != NULL && !read_numbers(dataset, mem_type, n * mem_size, data)) {
        moe_h5_fail(err, MOE_FORMAT, "cannot read dataset", name);
        free(data);
        data = NULL;
    }
    moe_h5_close(dataset);
    return data;
}

void *moe_h5_read_bulk(hid_t where, const char *name, hid_t mem_type,
                       size_t mem_size, size_t n, moe_error *err)
{
    hsize_t chunk[H5S_MAX_RANK] = {0}, some = 0;
    moe_h5_pieces pieces = {.most = PIECE_BYTES / mem_size};
    moe_h5_block block = {.count = {0}};
    hid_t dataset = open_numbers(where, name, mem_size, n, err);
    if (dataset < 0)
        return NULL;
    hid_t list = H5Dget_create_plist(dataset), space = H5Dget_space(dataset);
    pieces.rank = H5Sget_simple_extent_dims(space, pieces.dims, NULL);
    if (H5Pget_layout(list) == H5D_CHUNKED &&
        H5Pget_chunk(list, H5S_MAX_RANK, chunk) == pieces.rank)
        pieces.chunk = chunk;
    char *data = pieces.rank > 0 ? moe_bulk_new(n, mem_size, err) : NULL;
    for (char *to = data; to != NULL && !moe_h5_failed(err);
         to += some * mem_size) {
        some = moe_h5_next_block(&block, &pieces);
        if (some == 0)
            break;
        moe_h5_read_block(dataset, &block, mem_type, to, err);
        moe_bulk_passed(to, some * mem_size);
    }
    moe_h5_close(space);
    moe_h5_close(list);
    moe_h5_close(dataset);
    if (data == NULL || !moe_h5_failed(err))
        return data;
    moe_bulk_free(data);
    return NULL;
}

void moe_h5_write_text(hid_t where, const char *name, const char *text,
                       moe_error *err)
{
    moe_h5_close(write_text_array(where, name, 0, &text, err));
}

void moe_h5_write_strings(hid_t group, const moe_h5_spec *spec,
                          const char *const *values, moe_error *err)
{
    hsize_t n = 0;
    moe_h5_dims(group, spec->dims[0], 1, &n, err);
    hid_t dataset = write_text_array(group, spec->name, (size_t)n, values, err);
    if (dataset >= 0) {
        if (spec->long_name != NULL)
            moe_h5_put_text(dataset, "long_name", spec->long_name, err);
        attach_scales(group, dataset, spec, err);
    }
    moe_h5_close(dataset);
}

/* @param lines  of each text are kept */
static char **read_list(hid_t where, const char *name, bool lines,
                        size_t *n_out, moe_error *err)
{
    hid_t dataset = moe_h5_open_dataset(where, name, err);
    if (dataset < 0)
        return NULL;
    hid_t type = H5Dget_type(dataset);
    const size_t n = n_elements(dataset, name, sizeof(char *), err);
    char **raw = moe_array_new(n, sizeof *raw, err);
    char **out = moe_array_new(n, sizeof *out, err);
    bool ok = raw != NULL && out != NULL && !moe_h5_failed(err);
    if (ok &&
        (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) <= 0)) {
        moe_fail(err, MOE_FORMAT, "dataset '%s' does not hold text", name);
        ok = false;
    }
    if (ok && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) < 0) {
        moe_h5_fail(err, MOE_FORMAT, "cannot read dataset", name);
        ok = false;
    }
    for (size_t i = 0; ok && i < n; i++) {
        out[i] = moe_strdup(raw[i] != NULL ? raw[i] : "", err);
        moe_plain_clean(out[i], lines);
        H5free_memory(raw[i]);
    }
    free(raw);
    moe_h5_close(type);
    moe_h5_close(dataset);
    if (moe_h5_failed(err)) {
        moe_h5_free_strings(out, n);
        return NULL;
    }
    *n_out = n;
    return out;
}

char **moe_h5_read_strings(hid_t where, const char *name, size_t *n_out,
                           moe_error *err)
{
    return read_list(where, name, false, n_out, err);
}

char **moe_h5_read_texts(hid_t where, const char *name, size_t *n_out,
                         moe_error *err)
{
    return read_list(where, name, true, n_out, err);
}

char *moe_h5_read_text(hid_t where, const char *name, moe_error *err)
{
    size_t n = 0;
    char **list = moe_h5_read_texts(where, name, &n, err);
    char *text = NULL;
    if (list != NULL && n == 1) {
        text = list[0];
        list[0] = NULL;
    }
    moe_h5_free_strings(list, n);
    if (text == NULL)
        moe_fail(err, MOE_FORMAT, "dataset '%s' is not one text", name);
    return text;
}

void moe_h5_free_strings(char **strings, size_t n)
{
    for (size_t i = 0; strings != NULL && i < n; i++)
        free(strings[i]);
    free(strings);
}
