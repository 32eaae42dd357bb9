/* SPDX-License-Identifier: Apache-2.0 */
#include "h5_internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moegps/h5_try.h"

bool moe_h5_failed(const moe_error *err)
{
    return err->status != MOE_OK;
}

/* Keep the innermost description: the deepest call knows what went wrong. Of
 * "file write failed: time = ..., error message = 'File too large', buf = ..."
 * keep what failed, and what the system says of it. */
static herr_t innermost(unsigned n, const H5E_error2_t *e, void *arg)
{
    static const char mark[] = "error message = '";
    const char *what = e->desc != NULL ? e->desc : "";
    const char *detail = strstr(what, ": time = "), *why = strstr(what, mark);
    (void)n;
    if (detail == NULL || why == NULL) {
        snprintf(arg, MOE_H5_MAX_REASON, "%s", what);
        return 1;
    }
    why += sizeof mark - 1;
    snprintf(arg, MOE_H5_MAX_REASON, "%.*s: %.*s", (int)(detail - what), what,
             (int)strcspn(why, "'"), why);
    return 1;
}

void moe_h5_reason(char why[MOE_H5_MAX_REASON])
{
    snprintf(why, MOE_H5_MAX_REASON, "HDF5 gave no reason");
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, innermost, why);
}

void moe_h5_fail_with(moe_error *err, moe_status status, const char *what,
                      const char *name, const char *why)
{
    moe_fail(err, status, "%s '%.*s%s': %s", what, MOE_H5_MAX_SHOWN, name,
             strlen(name) > MOE_H5_MAX_SHOWN ? "..." : "", why);
}

void moe_h5_fail(moe_error *err, moe_status status, const char *what,
                 const char *name)
{
    char why[MOE_H5_MAX_REASON];
    moe_h5_reason(why);
    moe_h5_fail_with(err, status, what, name, why);
}

hid_t moe_h5_checked(hid_t id, const char *what, const char *name,
                     moe_error *err)
{
    if (id < 0) {
        moe_h5_fail(err, MOE_LIBRARY, what, name);
        return H5I_INVALID_HID;
    }
    return id;
}

/* The same for an object of a file: then the file is not what it should be. */
static hid_t moe_h5_opened(hid_t id, const char *what, const char *name,
                           moe_error *err)
{
    if (id < 0) {
        moe_h5_fail(err, MOE_FORMAT, what, name);
        return H5I_INVALID_HID;
    }
    return id;
}

void moe_h5_check(herr_t rc, const char *what, const char *name, moe_error *err)
{
    if (rc < 0)
        moe_h5_fail(err, MOE_IO, what, name);
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
    if (moe_h5_failed(err))
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
        moe_h5_fail(err, MOE_IO, "cannot create", path);
    moe_h5_close(access_list);
    moe_h5_close(create_list);
    return file;
}

/* Whether the system lets us at the file at all. To open a pipe would wait. */
static bool accessible(const char *path, bool writable, moe_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) &&
        !S_ISDIR(info.st_mode)) {
        moe_fail(err, MOE_USAGE, "%s: is no regular file", path);
        return false;
    }
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
    if (moe_h5_failed(err) || !accessible(path, writable, err) ||
        moe_h5_try(path, err) != MOE_OK)
        return H5I_INVALID_HID;
    hid_t file =
        H5Fopen(path, writable ? H5F_ACC_RDWR : H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file >= 0)
        return file;
    char why[MOE_H5_MAX_REASON];
    moe_h5_reason(why);
    hid_t unchanged =
        writable ? H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT) : H5I_INVALID_HID;
    if (strstr(why, "unable to lock file") != NULL) {
        moe_fail(err, MOE_USAGE, "%s: is being written by another run", path);
    } else if (unchanged >= 0) {
        H5Fclose(unchanged);
        moe_fail(err, MOE_USAGE, "%s: cannot be changed: %s", path, why);
    } else if (H5Fis_hdf5(path) > 0)
        moe_h5_fail_with(err, MOE_FORMAT, "truncated or damaged HDF5 file",
                         path, why);
    else
        moe_fail(err, MOE_FORMAT, "%s: is not an HDF5 file", path);
    return H5I_INVALID_HID;
}

hid_t moe_h5_open_image(const moe_h5_image *image, moe_error *err)
{
    if (moe_h5_failed(err))
        return H5I_INVALID_HID;
    if (image->data == NULL || image->bytes == 0) {
        moe_fail(err, MOE_USAGE, "no such file, or an empty one");
        return H5I_INVALID_HID;
    }
    const size_t step = 1 << 20; /* by which the copy could grow, bytes */
    hid_t access_list = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_core(access_list, step, false);
    /* The library copies the bytes and never writes to ours. */
    union {
        const void *ours;
        void *theirs;
    } data = {.ours = image->data};
    hid_t file = H5I_INVALID_HID;
    if (H5Pset_file_image(access_list, data.theirs, image->bytes) >= 0)
        file = H5Fopen("image", H5F_ACC_RDONLY, access_list);
    if (file < 0)
        moe_fail(err, MOE_FORMAT,
                 "is not an HDF5 file, or truncated or damaged");
    moe_h5_close(access_list);
    return file;
}

void moe_h5_close_file(hid_t file, moe_error *err)
{
    if (file < 0)
        return;
    moe_h5_check(H5Fflush(file, H5F_SCOPE_GLOBAL), "cannot write", "file", err);
    moe_h5_check(H5Fclose(file), "cannot close", "file", err);
}

moe_status moe_h5_finish(hid_t file, const char *path, moe_error *err)
{
    moe_h5_close_file(file, err);
    if (err->status == MOE_OK)
        return MOE_OK;
    unlink(path);
    moe_error_prefix(err, "%s", path);
    return err->status;
}

hid_t moe_h5_create_group(hid_t where, const char *name, moe_error *err)
{
    if (moe_h5_failed(err))
        return H5I_INVALID_HID;
    const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
    hid_t list = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_link_creation_order(list, order);
    H5Pset_attr_creation_order(list, order);
    hid_t group =
        moe_h5_checked(H5Gcreate2(where, name, H5P_DEFAULT, list, H5P_DEFAULT),
                       "cannot create group", name, err);
    moe_h5_close(list);
    return group;
}

hid_t moe_h5_open_group(hid_t where, const char *name, moe_error *err)
{
    if (moe_h5_failed(err))
        return H5I_INVALID_HID;
    if (!moe_h5_exists(where, name)) {
        moe_fail(err, MOE_FORMAT, "group '%s' is missing", name);
        return H5I_INVALID_HID;
    }
    return moe_h5_opened(H5Gopen2(where, name, H5P_DEFAULT),
                         "cannot open group", name, err);
}

hid_t moe_h5_open_dataset(hid_t where, const char *name, moe_error *err)
{
    if (moe_h5_failed(err))
        return H5I_INVALID_HID;
    if (!moe_h5_exists(where, name)) {
        moe_fail(err, MOE_FORMAT, "dataset '%s' is missing", name);
        return H5I_INVALID_HID;
    }
    return moe_h5_opened(H5Dopen2(where, name, H5P_DEFAULT),
                         "cannot open dataset", name, err);
}

bool moe_h5_exists(hid_t where, const char *name)
{
    return where >= 0 && H5Lexists(where, name, H5P_DEFAULT) > 0;
}
