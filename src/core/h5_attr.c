/* SPDX-License-Identifier: Apache-2.0 */
#include "h5_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/plain.h"

hid_t moe_h5_text_type(void)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

/* Write a value into an attribute of the same type. HDF5 1.10 does not find all
 * attributes again that others renamed, as h5py does, to delete them.
 * @return false if it has another type, or cannot be written. */
static bool overwrite(hid_t obj, const char *name, hid_t file_type,
                      hid_t mem_type, const void *value)
{
    hid_t attr = H5Aopen(obj, name, H5P_DEFAULT);
    hid_t type = H5Aget_type(attr);
    hid_t space = H5Aget_space(attr);
    const bool done = H5Tequal(type, file_type) > 0 &&
                      H5Sget_simple_extent_type(space) == H5S_SCALAR &&
                      H5Awrite(attr, mem_type, value) >= 0;
    moe_h5_close(space);
    moe_h5_close(type);
    moe_h5_close(attr);
    return done;
}

static void put_attribute(hid_t obj, const char *name, hid_t file_type,
                          hid_t mem_type, const void *value, moe_error *err)
{
    if (moe_h5_failed(err))
        return;
    if (H5Aexists(obj, name) > 0) {
        if (overwrite(obj, name, file_type, mem_type, value))
            return;
        H5Adelete(obj, name);
    }
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attr =
        H5Acreate2(obj, name, file_type, space, H5P_DEFAULT, H5P_DEFAULT);
    moe_h5_check(attr < 0 ? -1 : H5Awrite(attr, mem_type, value),
                 "cannot write attribute", name, err);
    moe_h5_close(attr);
    moe_h5_close(space);
}

void moe_h5_put_text(hid_t obj, const char *name, const char *text,
                     moe_error *err)
{
    hid_t type = moe_h5_text_type();
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

void moe_h5_put_list(hid_t obj, const char *name, const char *const *texts,
                     size_t n, moe_error *err)
{
    if (obj < 0 || err->status != MOE_OK)
        return;
    hsize_t dim = n;
    hid_t type = moe_h5_text_type();
    hid_t space = H5Screate_simple(1, &dim, NULL);
    hid_t attr = H5Acreate2(obj, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (attr < 0 || H5Awrite(attr, type, texts) < 0)
        moe_fail(err, MOE_IO, "cannot write attribute '%s'", name);
    moe_h5_close(attr);
    moe_h5_close(space);
    moe_h5_close(type);
}

void moe_h5_put_flags(hid_t dataset, hid_t type, int n, const char *meanings,
                      moe_error *err)
{
    enum { MOST = 8 };
    int values[MOST];
    hsize_t dim = (hsize_t)n;
    if (dataset < 0 || err->status != MOE_OK)
        return;
    assert(n <= MOST);
    for (int i = 0; i < n; i++)
        values[i] = i;
    hid_t space = H5Screate_simple(1, &dim, NULL);
    hid_t attr = H5Acreate2(dataset, "flag_values", type, space, H5P_DEFAULT,
                            H5P_DEFAULT);
    if (attr < 0 || H5Awrite(attr, H5T_NATIVE_INT, values) < 0)
        moe_fail(err, MOE_IO, "cannot write attribute 'flag_values'");
    moe_h5_close(attr);
    moe_h5_close(space);
    moe_h5_put_text(dataset, "flag_meanings", meanings, err);
}

bool moe_h5_has(hid_t obj, const char *name)
{
    return obj >= 0 && H5Aexists(obj, name) > 0;
}

/* Open an attribute of the given class. */
static hid_t open_attribute(hid_t obj, const char *name, H5T_class_t class,
                            moe_error *err)
{
    if (moe_h5_failed(err))
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
    hid_t mem = moe_h5_text_type();
    H5Tset_cset(mem, H5Tget_cset(type));
    if (H5Aread(attr, mem, &value) < 0)
        moe_h5_fail(err, MOE_IO, "cannot read attribute", name);
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
        moe_h5_fail(err, MOE_IO, "cannot read attribute", name);
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
    moe_plain_clean(value, false);
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
        moe_h5_check(H5Aread(attr, H5T_NATIVE_INT64, &value),
                     "cannot read attribute", name, err);
    moe_h5_close(attr);
    return value;
}

double moe_h5_get_real(hid_t obj, const char *name, moe_error *err)
{
    double value = NAN;
    hid_t attr = open_attribute(obj, name, H5T_FLOAT, err);
    if (attr >= 0)
        moe_h5_check(H5Aread(attr, H5T_NATIVE_DOUBLE, &value),
                     "cannot read attribute", name, err);
    moe_h5_close(attr);
    return value;
}

int moe_h5_get_sized(hid_t obj, const char *name, int64_t low, int64_t high,
                     moe_error *err)
{
    const int64_t value = moe_h5_get_int(obj, name, err);
    if (!moe_h5_failed(err) && (value < low || value > high))
        moe_fail(err, MOE_FORMAT,
                 "attribute '%s' is %" PRId64 ", not in %" PRId64 "..%" PRId64,
                 name, value, low, high);
    return moe_h5_failed(err) ? 0 : (int)value;
}

/* Text of a file that may come from anywhere, as one line. */
static void get_line(hid_t file, const char *name, char *text, size_t size)
{
    moe_error ignored = {0};
    text[0] = '\0';
    if (moe_h5_has(file, name))
        moe_h5_get_text(file, name, text, size, &ignored);
    for (char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
}

bool moe_h5_is(hid_t file, const char *schema)
{
    char found[64];
    get_line(file, "schema", found, sizeof found);
    return strcmp(found, schema) == 0;
}

void moe_h5_check_schema(hid_t file, const moe_h5_schema *schema,
                         moe_error *err)
{
    char found[64], version[32];
    if (moe_h5_failed(err))
        return;
    get_line(file, "schema", found, sizeof found);
    get_line(file, "schema_version", version, sizeof version);
    const long theirs = strtol(version, NULL, 10);
    const long ours = strtol(schema->version, NULL, 10);
    if (found[0] == '\0' || version[0] == '\0')
        moe_fail(err, MOE_FORMAT, "is not %s", schema->noun);
    else if (strcmp(found, schema->name) != 0)
        moe_fail(err, MOE_FORMAT, "is a '%s' file, not %s", found,
                 schema->noun);
    else if (schema->older ? theirs > ours : theirs != ours)
        moe_fail(err, MOE_FORMAT, "has schema %s, this program reads %s%s",
                 version, schema->older ? "up to " : "", schema->version);
}
