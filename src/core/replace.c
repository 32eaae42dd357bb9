/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "moegps/mem.h"

static bool is_stdout(const char *path)
{
    return strcmp(path, "-") == 0;
}

moe_status moe_replace_check(const char *path, bool force, moe_error *err)
{
    struct stat info;
    if (path == NULL || is_stdout(path))
        return MOE_OK;
    const bool there = access(path, F_OK) == 0;
    if (!there && lstat(path, &info) == 0 && S_ISLNK(info.st_mode))
        return moe_fail(err, MOE_USAGE, "%s: is a link to nothing", path);
    if (force || !there)
        return MOE_OK;
    return moe_fail(err, MOE_EXISTS, "%s: exists (--force replaces it)", path);
}

moe_status moe_replace_folders(const char *path, moe_error *err)
{
    struct stat info;
    char *folder = moe_strdup(path, err);
    for (char *slash = folder; slash != NULL && err->status == MOE_OK;) {
        slash = strchr(slash + (*slash != '\0'), '/');
        if (slash == NULL)
            break;
        *slash = '\0';
        const int why = mkdir(folder, 0777) == 0 ? 0 : errno;
        if (why != 0 && (stat(folder, &info) != 0 || !S_ISDIR(info.st_mode)))
            moe_fail(err, MOE_IO, "%s: cannot create this folder: %s", folder,
                     strerror(why == EEXIST ? ENOTDIR : why));
        *slash = '/';
    }
    free(folder);
    return err->status;
}

static moe_status fail(const moe_replace *r, int why, moe_error *err)
{
    if (why == EEXIST)
        return moe_replace_check(r->name, false, err);
    return moe_fail(err, MOE_IO, "%s: %s", r->name,
                    why != 0 ? strerror(why) : "cannot write");
}

static bool in_place(const moe_replace *r)
{
    return strcmp(r->beside, r->path) == 0;
}

moe_status moe_replace_begin(moe_replace *r, const char *path, bool force,
                             moe_error *err)
{
    struct stat info;
    const bool there = stat(path, &info) == 0;
    char *target = there ? realpath(path, NULL) : NULL;
    const char *to = target != NULL ? target : path;
    *r = (moe_replace){.name = path, .force = force};
    if (strlen(to) >= sizeof r->path) {
        moe_fail(err, MOE_USAGE, "%s: the path is too long", path);
    } else if (moe_replace_check(path, force, err) == MOE_OK &&
               (there || moe_replace_folders(to, err) == MOE_OK)) {
        snprintf(r->path, sizeof r->path, "%s", to);
        snprintf(r->beside, sizeof r->beside, "%s%s", to,
                 there && !S_ISREG(info.st_mode) ? "" : ".new");
        if (!in_place(r))
            unlink(r->beside);
    }
    free(target);
    return err->status;
}

/* Some file systems cannot refuse to replace: there, ask first. */
int moe_replace_rename(const char *from, const char *to, bool force)
{
    if (force)
        return rename(from, to);
    const int rc = renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE);
    if (rc == 0 || (errno != EINVAL && errno != ENOSYS))
        return rc;
    if (access(to, F_OK) == 0) {
        errno = EEXIST;
        return -1;
    }
    return rename(from, to);
}

int moe_replace_copy(const char *from, const char *to)
{
    struct stat info = {0};
    const int in = open(from, O_RDONLY | O_CLOEXEC);
    const int out =
        in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    int why = out < 0 || fstat(in, &info) != 0 ? errno : 0;
    for (off_t left = info.st_size; why == 0 && left > 0;) {
        ssize_t n = copy_file_range(in, NULL, out, NULL, (size_t)left, 0);
        if (n < 0 && errno != ENOSPC && errno != EDQUOT && errno != EFBIG)
            n = sendfile(out, in, NULL, (size_t)left); /* knows all of them */
        why = n > 0 ? 0 : n < 0 ? errno : EIO;
        left -= n;
    }
    if (why == 0 && fchmod(out, (info.st_mode & 07777) | S_IWUSR) != 0)
        why = errno;
    if (in >= 0)
        close(in);
    if (out >= 0 && close(out) != 0 && why == 0)
        why = errno;
    errno = why;
    return why == 0 ? 0 : -1;
}

moe_status moe_replace_commit(moe_replace *r, moe_error *err)
{
    if (in_place(r))
        return err->status;
    if (err->status == MOE_OK &&
        moe_replace_rename(r->beside, r->path, r->force) != 0)
        fail(r, errno, err);
    if (err->status != MOE_OK)
        unlink(r->beside);
    return err->status;
}

FILE *moe_replace_open(moe_replace *r, const char *path, bool force,
                       moe_error *err)
{
    if (is_stdout(path)) {
        *r = (moe_replace){.name = "standard output"};
        return stdout;
    }
    if (moe_replace_begin(r, path, force, err) != MOE_OK)
        return NULL;
    FILE *out = fopen(r->beside, "w");
    if (out == NULL)
        fail(r, errno, err);
    return out;
}

moe_status moe_replace_close(moe_replace *r, FILE *out, moe_error *err)
{
    errno = 0;
    const bool failed = ferror(out) != 0;
    const bool flushed = fflush(out) == 0;
    int why = errno;
    if (out != stdout && fclose(out) != 0 && why == 0)
        why = errno;
    if (failed || !flushed || why != 0)
        fail(r, why, err);
    return moe_replace_commit(r, err);
}
