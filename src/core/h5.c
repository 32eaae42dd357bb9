/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/h5.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hdf5_hl.h>

#include "moegps/mem.h"

enum {
    DEFLATE_LEVEL = 6,
    MAX_SHOWN = 160, /* bytes of a name in a message */
    MAX_REASON = 256 /* bytes of HDF5's own reason */
};

static bool failed(const moe_error *err)
{
    return err->status != MOE_OK;
}

/* Keep the innermost description: the deepest call knows what went wrong. */
static herr_t innermost(unsigned n, const H5E_error2_t *e, void *arg)
{
    (void)n;
    snprintf(arg, MAX_REASON, "%s", e->desc != NULL ? e->desc : "");
    return 1;
}

/* Why the last HDF5 call failed; any further call forgets it. */
static void reason(char why[MAX_REASON])
{
    snprintf(why, MAX_REASON, "HDF5 gave no reason");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, why);
}

static void fail_with(moe_error *err, moe_status status, const char *what,
                      const char *name, const char *why)
{
    moe_fail(err, status, "%s '%.*s%s': %s", what, MAX_SHOWN, name,
             strlen(name) > MAX_SHOWN ? "..." : "", why);
}

static void fail_h5(moe_error *err, moe_status status, const char *what,
                    const char *name)
{
    char why[MAX_REASON];
    reason(why);
    fail_with(err, status, what, name, why);
}

/* Pass an id on, or record that the call which made it failed. */
static hid_t checked(hid_t id, const char *what, const char *name,
                     moe_error *err)
{
    if (id < 0) {
        fail_h5(err, MOE_LIBRARY, what, name);
        return H5I_INVALID_HID;
    }
    return id;
}

/* The same for an object of a file: then the file is not what it should be. */
static hid_t opened(hid_t id, const char *what, const char *name,
                    moe_error *err)
{
    if (id < 0) {
        fail_h5(err, MOE_FORMAT, what, name);
        return H5I_INVALID_HID;
    }
    return id;
}

static void check(herr_t rc, const char *what, const char *name, moe_error *err)
{
    if (rc < 0)
        fail_h5(err, MOE_IO, what, name);
}

void moe_h5_quiet(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void moe_h5_close(hid_t id)
{
    if (id < 0)
        return;
    switch (H5Iget_type(id)) {
    case H5I_GROUP:
        H5Gclose(id);
        break;
    case H5I_DATASET:
        H5Dclose(id);
        break;
    case H5I_DATASPACE:
        H5Sclose(id);
        break;
    case H5I_DATATYPE:
        H5Tclose(id);
        break;
    case H5I_ATTR:
        H5Aclose(id);
        break;
    case H5I_GENPROP_LST:
        H5Pclose(id);
        break;
    default:
        break;
    }
}

hid_t moe_h5_create(const char *path, moe_error *err)
{
    if (failed(err))
        return H5I_INVALID_HID;
    if (access(path, F_OK) == 0) {
        moe_fail(err, MOE_EXISTS, "%s: exists, and is not overwritten", path);
        return H5I_INVALID_HID;
    }
    const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
    hid_t access_list = H5Pcreate(H5P_FILE_ACCESS);
    hid_t create_list = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_libver_bounds(access_list, H5F_LIBVER_V18, H5F_LIBVER_V18);
    H5Pset_link_creation_order(create_list, order);
    H5Pset_attr_creation_order(create_list, order);
    hid_t file = H5Fcreate(path, H5F_ACC_EXCL, create_list, access_list);
    if (file < 0)
        fail_h5(err, MOE_IO, "cannot create", path);
    moe_h5_close(access_list);
    moe_h5_close(create_list);
    return file;
}

/* Whether the system lets us at the file at all. */
static bool accessible(const char *path, bool writable, moe_error *err)
{
    FILE *f = fopen(path, writable ? "r+b" : "rb");
    if (f == NULL) {
        moe_fail(err, MOE_USAGE, "%s: cannot open: %s", path, strerror(errno));
        return false;
    }
    bool readable = fgetc(f) != EOF || !ferror(f); /* a folder is not */
    if (!readable)
        moe_fail(err, MOE_USAGE, "%s: cannot read: %s", path, strerror(errno));
    fclose(f);
    return readable;
}

hid_t moe_h5_open(const char *path, bool writable, moe_error *err)
{
    if (failed(err) || !accessible(path, writable, err))
        return H5I_INVALID_HID;
    hid_t file =
        H5Fopen(path, writable ? H5F_ACC_RDWR : H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file >= 0)
        return file;
    char why[MAX_REASON];
    reason(why);
    hid_t unchanged =
        writable ? H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT) : H5I_INVALID_HID;
    if (unchanged >= 0) {
        H5Fclose(unchanged);
        moe_fail(err, MOE_USAGE, "%s: cannot be changed: %s", path, why);
    } else if (H5Fis_hdf5(path) > 0)
        fail_with(err, MOE_FORMAT, "truncated or damaged HDF5 file", path, why);
    else
        moe_fail(err, MOE_FORMAT, "%s: is not an HDF5 file", path);
    return H5I_INVALID_HID;
}

void moe_h5_close_file(hid_t file, moe_error *err)
{
    if (file < 0)
        return;
    check(H5Fflush(file, H5F_SCOPE_GLOBAL), "cannot write", "file", err);
    check(H5Fclose(file), "cannot close", "file", err);
}

hid_t moe_h5_create_group(hid_t where, const char *name, moe_error *err)
{
    if (failed(err))
        return H5I_INVALID_HID;
    const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
    hid_t list = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_link_creation_order(list, order);
    H5Pset_attr_creation_order(list, order);
    hid_t group =
        checked(H5Gcreate2(where, name, H5P_DEFAULT, list, H5P_DEFAULT),
                "cannot create group", name, err);
    moe_h5_close(list);
    return group;
}

hid_t moe_h5_open_group(hid_t where, const char *name, moe_error *err)
{
    if (failed(err))
        return H5I_INVALID_HID;
    if (!moe_h5_exists(where, name)) {
        moe_fail(err, MOE_FORMAT, "group '%s' is missing", name);
        return H5I_INVALID_HID;
    }
    return opened(H5Gopen2(where, name, H5P_DEFAULT), "cannot open group", name,
                  err);
}

hid_t moe_h5_open_dataset(hid_t where, const char *name, moe_error *err)
{
    if (failed(err))
        return H5I_INVALID_HID;
    if (!moe_h5_exists(where, name)) {
        moe_fail(err, MOE_FORMAT, "dataset '%s' is missing", name);
        return H5I_INVALID_HID;
    }
    return opened(H5Dopen2(where, name, H5P_DEFAULT), "cannot open dataset",
                  name, err);
}

bool moe_h5_exists(hid_t where, const char *name)
{
    return where >= 0 && H5Lexists(where, name, H5P_DEFAULT) > 0;
}

static hid_t text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static void put_attribute(hid_t obj, const char *name, hid_t file_type,
                          hid_t mem_type, const void *value, moe_error *err)
{
    if (failed(err))
        return;
    if (H5Aexists(obj, name) > 0)
        H5Adelete(obj, name);
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attr =
        H5Acreate2(obj, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    check(attr < 0 ? -1 : H5Awrite(attr, mem_type, value),
          "cannot write attribute", name, err);
    moe_h5_close(attr);
    moe_h5_close(space);
}

void moe_h5_put_text(hid_t obj, const char *name, const char *text,
                     moe_error *err)
{
    hid_t type = text_type();
    put_attribute(obj, name, type, type, &text, err);
    moe_h5_close(type);
}

void moe_h5_put_int(hid_t obj, const char *name, int64_t value, moe_error *err)
{
    put_attribute(obj, name, H5T_STD_I64LE, H5T_NATIVE_INT64, &value, err);
}

void moe_h5_put_real(hid_t obj, const char *name, double value, moe_error *err)
{
    put_attribute(obj, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &value, err);
}

bool moe_h5_has(hid_t obj, const char *name)
{
    return obj >= 0 && H5Aexists(obj, name) > 0;
}

/* Open an attribute of the given class. */
static hid_t open_attribute(hid_t obj, const char *name, H5T_class_t class,
                            moe_error *err)
{
    if (failed(err))
        return H5I_INVALID_HID;
    if (!moe_h5_has(obj, name)) {
        moe_fail(err, MOE_FORMAT, "attribute '%s' is missing", name);
        return H5I_INVALID_HID;
    }
    hid_t attr = H5Aopen(obj, name, H5P_DEFAULT);
    hid_t type = H5Aget_type(attr);
    hid_t space = H5Aget_space(attr);
    H5T_class_t found = H5Tget_class(type);
    bool fits = found == class || (class == H5T_FLOAT && found == H5T_INTEGER);
    if (!fits || H5Sget_simple_extent_npoints(space) != 1) {
        moe_fail(err, MOE_FORMAT, "attribute '%s' has another type", name);
        moe_h5_close(attr);
        attr = H5I_INVALID_HID;
    }
    moe_h5_close(space);
    moe_h5_close(type);
    return attr;
}

/* @return the text of an attribute of variable length; NULL with err set. */
static char *read_variable(hid_t attr, hid_t type, const char *name,
                           moe_error *err)
{
    char *value = NULL, *copy = NULL;
    hid_t mem = text_type();
    H5Tset_cset(mem, H5Tget_cset(type));
    if (H5Aread(attr, mem, &value) < 0)
        fail_h5(err, MOE_IO, "cannot read attribute", name);
    else /* some writers leave an empty text out */
        copy = moe_strdup(value != NULL ? value : "", err);
    H5free_memory(value);
    moe_h5_close(mem);
    return copy;
}

/* The same for fixed length, with or without its padding. */
static char *read_fixed(hid_t attr, hid_t type, const char *name,
                        moe_error *err)
{
    const size_t size = H5Tget_size(type);
    char *value = moe_array_new(size + 1, 1, err);
    if (value == NULL)
        return NULL;
    if (H5Aread(attr, type, value) < 0) {
        fail_h5(err, MOE_IO, "cannot read attribute", name);
        free(value);
        return NULL;
    }
    size_t len = strlen(value);
    while (H5Tget_strpad(type) == H5T_STR_SPACEPAD && len > 0 &&
           value[len - 1] == ' ')
        value[--len] = '\0';
    return value;
}

void moe_h5_get_text(hid_t obj, const char *name, char *text, size_t size,
                     moe_error *err)
{
    hid_t attr = open_attribute(obj, name, H5T_STRING, err);
    if (attr < 0)
        return;
    hid_t type = H5Aget_type(attr);
    char *value = H5Tis_variable_str(type) > 0
                      ? read_variable(attr, type, name, err)
                      : read_fixed(attr, type, name, err);
    if (value != NULL)
        snprintf(text, size, "%s", value);
    free(value);
    moe_h5_close(type);
    moe_h5_close(attr);
}

int64_t moe_h5_get_int(hid_t obj, const char *name, moe_error *err)
{
    int64_t value = 0;
    hid_t attr = open_attribute(obj, name, H5T_INTEGER, err);
    if (attr >= 0)
        check(H5Aread(attr, H5T_NATIVE_INT64, &value), "cannot read attribute",
              name, err);
    moe_h5_close(attr);
    return value;
}

double moe_h5_get_real(hid_t obj, const char *name, moe_error *err)
{
    double value = NAN;
    hid_t attr = open_attribute(obj, name, H5T_FLOAT, err);
    if (attr >= 0)
        check(H5Aread(attr, H5T_NATIVE_DOUBLE, &value), "cannot read attribute",
              name, err);
    moe_h5_close(attr);
    return value;
}

/* Turn a fresh one-dimensional dataset into a scale of its own name. */
static void make_scale(hid_t dataset, const char *name, const char *long_name,
                       moe_error *err)
{
    check(H5DSset_scale(dataset, name), "cannot make a scale", name, err);
    if (long_name != NULL)
        moe_h5_put_text(dataset, "long_name", long_name, err);
}

void moe_h5_scale(hid_t group, const char *name, size_t n,
                  const int32_t *values, const char *long_name, moe_error *err)
{
    assert(n >= 1);
    int32_t *counted = NULL;
    if (values == NULL && !failed(err)) {
        counted = moe_array_new(n, sizeof *counted, err);
        for (size_t i = 0; counted != NULL && i < n; i++)
            counted[i] = (int32_t)i;
        values = counted;
    }
    if (failed(err))
        return;
    hsize_t dim = n;
    hid_t space = H5Screate_simple(1, &dim, NULL);
    hid_t dataset = checked(H5Dcreate2(group, name, H5T_STD_I32LE, space,
                                       H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                            "cannot create scale", name, err);
    if (dataset >= 0) {
        check(H5Dwrite(dataset, H5T_NATIVE_INT32, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                       values),
              "cannot write scale", name, err);
        make_scale(dataset, name, long_name, err);
    }
    moe_h5_close(dataset);
    moe_h5_close(space);
    free(counted);
}

/* Create and write a string dataset; n == 0 makes it scalar. */
static hid_t write_text_array(hid_t group, const char *name, size_t n,
                              const char *const *values, moe_error *err)
{
    if (failed(err))
        return H5I_INVALID_HID;
    hsize_t dim = n;
    hid_t type = text_type();
    hid_t space =
        n > 0 ? H5Screate_simple(1, &dim, NULL) : H5Screate(H5S_SCALAR);
    hid_t dataset = checked(H5Dcreate2(group, name, type, space, H5P_DEFAULT,
                                       H5P_DEFAULT, H5P_DEFAULT),
                            "cannot create dataset", name, err);
    if (dataset >= 0)
        check(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, values),
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
    check(rc, "cannot write _FillValue of", name, err);
    moe_h5_close(attr);
    moe_h5_close(space);
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
    for (int d = 0; d < spec->rank; d++)
        chunk[d] = spec->chunk[d] > 0 && spec->chunk[d] < dims[d]
                       ? spec->chunk[d]
                       : dims[d];
    H5Pset_chunk(list, spec->rank, chunk);
    H5Pset_shuffle(list);
    H5Pset_deflate(list, DEFLATE_LEVEL);
    return list;
}

static void attach_scales(hid_t group, hid_t dataset, const moe_h5_spec *spec,
                          moe_error *err)
{
    for (int d = 0; d < spec->rank && !failed(err); d++) {
        hid_t scale = moe_h5_open_dataset(group, spec->dims[d], err);
        if (scale >= 0)
            check(H5DSattach_scale(dataset, scale, (unsigned)d),
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
    if (failed(err))
        return H5I_INVALID_HID;
    hid_t list = creation_list(spec, dims);
    hid_t space = H5Screate_simple(spec->rank, dims, NULL);
    hid_t dataset = checked(H5Dcreate2(group, spec->name, spec->type, space,
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
    if (failed(err)) {
        moe_h5_close(dataset);
        return H5I_INVALID_HID;
    }
    return dataset;
}

void moe_h5_write(hid_t group, const moe_h5_spec *spec, hid_t mem_type,
                  const void *data, moe_error *err)
{
    hid_t dataset = moe_h5_create_dataset(group, spec, err);
    if (dataset >= 0)
        check(H5Dwrite(dataset, mem_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data),
              "cannot write dataset", spec->name, err);
    moe_h5_close(dataset);
}

/* Select a block in the file and make the memory space that matches it. */
static hid_t select_block(hid_t dataset, const hsize_t *start,
                          const hsize_t *count, hid_t *memory_out)
{
    hid_t space = H5Dget_space(dataset);
    int rank = H5Sget_simple_extent_ndims(space);
    bool empty = false;
    for (int d = 0; d < rank; d++)
        empty = empty || count[d] == 0;
    *memory_out = H5Screate_simple(rank, count, NULL);
    if (empty) { /* takes part in a collective call with nothing to say */
        H5Sselect_none(space);
        H5Sselect_none(*memory_out);
    } else {
        H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, count, NULL);
    }
    return space;
}

/* Looking up the name forgets the reason, so that comes first. */
static void fail_block(moe_error *err, moe_status status, const char *what,
                       hid_t dataset)
{
    char why[MAX_REASON], name[MAX_SHOWN] = "";
    reason(why);
    H5Iget_name(dataset, name, sizeof name);
    fail_with(err, status, what, name, why);
}

void moe_h5_write_block(hid_t dataset, const hsize_t *start,
                        const hsize_t *count, hid_t mem_type, const void *data,
                        hid_t xfer, moe_error *err)
{
    if (failed(err) || dataset < 0)
        return;
    hid_t memory = H5I_INVALID_HID;
    hid_t space = select_block(dataset, start, count, &memory);
    if (H5Dwrite(dataset, mem_type, memory, space, xfer, data) < 0)
        fail_block(err, MOE_IO, "cannot write a block of", dataset);
    moe_h5_close(memory);
    moe_h5_close(space);
}

void moe_h5_read_block(hid_t dataset, const hsize_t *start,
                       const hsize_t *count, hid_t mem_type, void *data,
                       moe_error *err)
{
    if (failed(err) || dataset < 0)
        return;
    hid_t memory = H5I_INVALID_HID;
    hid_t space = select_block(dataset, start, count, &memory);
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

/* Elements of a dataset; 0 with an error. */
static size_t n_elements(hid_t dataset)
{
    hid_t space = H5Dget_space(dataset);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    moe_h5_close(space);
    return n > 0 ? (size_t)n : 0;
}

void *moe_h5_read(hid_t where, const char *name, hid_t mem_type,
                  size_t mem_size, size_t n, moe_error *err)
{
    hid_t dataset = moe_h5_open_dataset(where, name, err);
    if (dataset < 0)
        return NULL;
    void *data = NULL;
    size_t found = n_elements(dataset);
    hid_t type = H5Dget_type(dataset);
    if (H5Tget_class(type) == H5T_STRING)
        moe_fail(err, MOE_FORMAT, "dataset '%s' holds text, not numbers", name);
    else if (found != n)
        moe_fail(err, MOE_FORMAT, "dataset '%s' has %zu elements, not %zu",
                 name, found, n);
    else
        data = moe_array_new(n, mem_size, err);
    if (data != NULL &&
        H5Dread(dataset, mem_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) {
        fail_h5(err, MOE_FORMAT, "cannot read dataset", name);
        free(data);
        data = NULL;
    }
    moe_h5_close(type);
    moe_h5_close(dataset);
    return data;
}

void moe_h5_write_text(hid_t where, const char *name, const char *text,
                       moe_error *err)
{
    moe_h5_close(write_text_array(where, name, 0, &text, err));
}

void moe_h5_write_strings(hid_t group, const char *name, const char *dim,
                          size_t n, const char *const *values,
                          const char *long_name, moe_error *err)
{
    hid_t dataset = write_text_array(group, name, n, values, err);
    if (dataset >= 0) {
        moe_h5_spec spec = {.name = name, .rank = 1, .dims = {dim}};
        if (long_name != NULL)
            moe_h5_put_text(dataset, "long_name", long_name, err);
        attach_scales(group, dataset, &spec, err);
    }
    moe_h5_close(dataset);
}

char **moe_h5_read_strings(hid_t where, const char *name, size_t *n_out,
                           moe_error *err)
{
    hid_t dataset = moe_h5_open_dataset(where, name, err);
    if (dataset < 0)
        return NULL;
    hid_t type = H5Dget_type(dataset);
    size_t n = n_elements(dataset);
    char **raw = moe_array_new(n, sizeof *raw, err);
    char **out = moe_array_new(n, sizeof *out, err);
    bool ok = raw != NULL && out != NULL;
    if (ok &&
        (H5Tget_class(type) != H5T_STRING || H5Tis_variable_str(type) <= 0)) {
        moe_fail(err, MOE_FORMAT, "dataset '%s' does not hold text", name);
        ok = false;
    }
    if (ok && H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, raw) < 0) {
        fail_h5(err, MOE_FORMAT, "cannot read dataset", name);
        ok = false;
    }
    for (size_t i = 0; ok && i < n; i++) {
        out[i] = moe_strdup(raw[i] != NULL ? raw[i] : "", err);
        H5free_memory(raw[i]);
    }
    free(raw);
    moe_h5_close(type);
    moe_h5_close(dataset);
    if (failed(err)) {
        moe_h5_free_strings(out, n);
        return NULL;
    }
    *n_out = n;
    return out;
}

char *moe_h5_read_text(hid_t where, const char *name, moe_error *err)
{
    size_t n = 0;
    char **list = moe_h5_read_strings(where, name, &n, err);
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
