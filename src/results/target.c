/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "moegps/mem.h"
#include "moegps/replace.h"

enum {
    METADATA_BYTES = 4 << 20, /* generous: groups, texts, topology */
    FLUSH_BYTES = 256 << 10,  /* that a flush may add: places for metadata */
    CLOSING_BYTES = 1 << 20   /* that a change may add: warnings, a summary */
};

static const double MIB = 1 << 20;

/* HDF5 would find out too, but late and in its own words. */
static void check_space(const char *partial, int fd, uint64_t bytes,
                        moe_error *err)
{
    struct statvfs disk;
    struct rlimit limit;
    if (fstatvfs(fd, &disk) == 0 &&
        (uint64_t)disk.f_bavail * disk.f_frsize < bytes)
        moe_fail(err, MOE_IO, "%s: disk full: needs %.1f MiB, %.1f are free",
                 partial, (double)bytes / MIB,
                 (double)disk.f_bavail * (double)disk.f_frsize / MIB);
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 &&
        limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < bytes)
        moe_fail(err, MOE_IO,
                 "%s: needs %.1f MiB, the limit of a file (ulimit -f) is %.1f",
                 partial, (double)bytes / MIB, (double)limit.rlim_cur / MIB);
}

/* Whether a file can be made there, asked by making one. */
static void probe(const char *partial, uint64_t bytes, moe_error *err)
{
    int fd = open(partial, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0666);
    if (fd < 0) {
        moe_fail(err, errno == EEXIST ? MOE_EXISTS : MOE_IO,
                 "%s: cannot create: %s", partial, strerror(errno));
        return;
    }
    check_space(partial, fd, bytes + METADATA_BYTES, err);
    close(fd);
    unlink(partial);
}

void moe_target_check(const char *path, const char *partial, uint64_t bytes,
                      bool force, moe_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
        moe_fail(err, MOE_USAGE, "%s: is a folder", path);
    } else if (moe_replace_check(path, force, err) != MOE_OK) {
        return;
    } else if (!force && access(partial, F_OK) == 0) {
        moe_fail(err, MOE_EXISTS,
                 "%s: of a run that did not end, or has not yet (--force "
                 "replaces it)",
                 partial);
    } else if (unlink(partial) != 0 && errno != ENOENT && errno != ENOTDIR) {
        moe_fail(err, MOE_IO, "%s: cannot remove: %s", partial,
                 strerror(errno));
    } else {
        probe(partial, bytes, err);
    }
}

/* Descriptor of a file that was opened serially; -1 if there is none. */
static int *descriptor(hid_t file)
{
    static int none = -1;
    int *fd = NULL;
    if (H5Fget_vfd_handle(file, H5P_DEFAULT, (void **)&fd) < 0 || fd == NULL)
        return &none;
    return fd;
}

static bool no_room(int rc)
{
    return rc == ENOSPC || rc == EDQUOT || rc == EFBIG;
}

/* HDF5 1.10 does not survive a flush of metadata that fails: every later one
 * fails too, and so does the close. So space is asked for before. */
void moe_target_flush(hid_t file, const char *partial, moe_error *err)
{
    haddr_t size = 0; /* used of the file, which may be longer */
    if (err->status != MOE_OK)
        return;
    if (H5Fget_eoa(file, &size) >= 0 && size > 0 &&
        fallocate(*descriptor(file), 0, 0, (off_t)size + FLUSH_BYTES) != 0 &&
        no_room(errno))
        moe_fail(err, MOE_IO, "%s: cannot write: %s", partial, strerror(errno));
    else if (H5Fflush(file, H5F_SCOPE_GLOBAL) < 0)
        moe_fail(err, MOE_IO, "%s: cannot write", partial);
}

/* Close everything that is open in a file, except the file. */
static void close_objects(hid_t file)
{
    const unsigned types = H5F_OBJ_ALL & ~(unsigned)H5F_OBJ_FILE;
    const ssize_t n = H5Fget_obj_count(file, types);
    hid_t *open = moe_array_new(n > 0 ? (size_t)n : 0, sizeof *open, NULL);
    const ssize_t found =
        open != NULL ? H5Fget_obj_ids(file, types, (size_t)n, open) : 0;
    for (ssize_t i = 0; i < found; i++)
        moe_h5_close(open[i]);
    free(open);
}

/* HDF5 1.10 cannot drop what it did not write: a close that fails leaves the
 * file's id, and the exit handler crashes on it. So the descriptor is turned
 * to anonymous memory first, where everything can be written, and what is on
 * the disk stays as it was. */
void moe_target_abandon(hid_t file)
{
    if (file < 0)
        return;
    int fd = *descriptor(file);
    struct rlimit limit, most;
    bool limited = getrlimit(RLIMIT_FSIZE, &limit) == 0;
    most = (struct rlimit){limit.rlim_max, limit.rlim_max};
    if (limited) /* anonymous memory counts as a file */
        setrlimit(RLIMIT_FSIZE, &most);
    int memory = memfd_create("moegps-abandoned", MFD_CLOEXEC);
    if (memory >= 0 && fd >= 0)
        dup2(memory, fd);
    if (memory >= 0)
        close(memory);
    close_objects(file);
    H5Fclose(file);
    if (limited)
        setrlimit(RLIMIT_FSIZE, &limit);
}

static int sync_path(const char *path, int flags)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | flags);
    int rc = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* ---- a change that is whole or not there ---- */

/* Let a file grow a little. @return 0; or errno, and the file is as it was */
static int reserve(const char *path)
{
    struct stat info;
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    int rc = fd < 0 || fstat(fd, &info) != 0
                 ? errno
                 : posix_fallocate(fd, info.st_size, CLOSING_BYTES);
    if (rc != 0 && fd >= 0 && ftruncate(fd, info.st_size) != 0)
        rc = errno;
    if (fd >= 0)
        close(fd);
    return rc;
}

const char *moe_target_change(const char *partial, const char *beside,
                              moe_error *err)
{
    if (err->status != MOE_OK)
        return partial;
    unlink(beside); /* of a process that was killed */
    int rc = moe_replace_copy(partial, beside) != 0 ? errno : reserve(beside);
    if (rc == 0)
        return beside;
    unlink(beside);
    if (!no_room(rc))
        moe_fail(err, MOE_IO, "%s: cannot be copied to %s: %s", partial, beside,
                 strerror(rc));
    else if ((rc = reserve(partial)) != 0)
        moe_fail(err, MOE_IO, "%s: cannot be finished: %s", partial,
                 strerror(rc));
    return partial;
}

void moe_target_changed(const char *where, const char *partial, moe_error *err)
{
    if (where == partial)
        return;
    if (err->status == MOE_OK &&
        (sync_path(where, 0) != 0 || rename(where, partial) != 0))
        moe_fail(err, MOE_IO, "%s: cannot be renamed to %s: %s", where, partial,
                 strerror(errno));
    if (err->status != MOE_OK)
        unlink(where);
}

void moe_target_publish(const char *path, const char *partial, bool force,
                        moe_error *err)
{
    if (err->status != MOE_OK)
        return;
    if (sync_path(partial, 0) != 0) {
        moe_fail(err, MOE_IO, "%s: cannot write: %s", partial, strerror(errno));
        return;
    }
    if (moe_replace_rename(partial, path, force) != 0) {
        moe_fail(err, errno == EEXIST ? MOE_EXISTS : MOE_IO,
                 "%s: cannot be renamed to %s: %s", partial, path,
                 strerror(errno));
        return;
    }
    char *folder = moe_strdup(path, NULL);
    if (folder != NULL) /* a lost rename is a nuisance, not a loss of data */
        sync_path(dirname(folder), O_DIRECTORY);
    free(folder);
}
