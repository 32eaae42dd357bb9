/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/bulk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "moegps/mem.h"

enum {
    LEAST = 16 << 20, /* bytes of an array that is mapped */
    WINDOW = 8 << 20, /* bytes that a sweep goes over before pages are let go */
    PIECE = 4 << 20   /* bytes that are copied at once */
};

/* An array in a file. */
typedef struct {
    char *base;
    size_t bytes, passed; /* of it, since pages were let go */
    int fd;
} mapping;

/* What is mapped is the process's, as the heap is. */
static struct {
    mapping *at; /* [n] */
    size_t n;
} maps;

/* @return the mapping that holds an address; NULL: it is on the heap. */
static mapping *find(const void *p)
{
    for (size_t i = 0; i < maps.n; i++)
        if ((const char *)p >= maps.at[i].base &&
            (const char *)p < maps.at[i].base + maps.at[i].bytes)
            return &maps.at[i];
    return NULL;
}

/* @return a file that is gone when it is closed; -1: there is none. */
static int open_nameless(void)
{
    char path[4096];
    const char *folder = getenv("TMPDIR");
    folder = folder != NULL && *folder != '\0' ? folder : "/var/tmp";
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    const int n = snprintf(path, sizeof path, "%s/moegps-XXXXXX", folder);
    if (n < 0 || (size_t)n >= sizeof path)
        return -1;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

/* Whether there is room for it. Without asking, posix_fallocate() would fill the
 * disk before it gives up, for everybody. */
static bool has_space(int fd, size_t bytes)
{
    struct statvfs disk;
    return fstatvfs(fd, &disk) == 0 && bytes / disk.f_frsize < disk.f_bavail;
}

/* Space is taken at once: writing to a page without any kills. @return NULL:
 * it cannot be had. */
static void *map(size_t bytes)
{
    mapping *more = realloc(maps.at, (maps.n + 1) * sizeof *more);
    if (more == NULL)
        return NULL;
    maps.at = more;
    const int fd = open_nameless();
    void *base = MAP_FAILED;
    if (fd >= 0 && has_space(fd, bytes) &&
        posix_fallocate(fd, 0, (off_t)bytes) == 0)
        base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    maps.at[maps.n++] = (mapping){.base = base, .bytes = bytes, .fd = fd};
    return base;
}

void *moe_bulk_new(size_t n, size_t size, moe_error *err)
{
    size_t bytes = 0;
    void *p = NULL;
    if (!__builtin_mul_overflow(n, size, &bytes) && bytes >= LEAST &&
        bytes <= SIZE_MAX / 2)
        p = map(bytes);
    return p != NULL ? p : moe_array_new(n, size, err);
}

/* A mapped array stays mapped. @return NULL: there is no space. */
static void *grow_mapped(mapping *m, size_t bytes)
{
    if (bytes <= m->bytes)
        return m->base;
    if (!has_space(m->fd, bytes - m->bytes) ||
        posix_fallocate(m->fd, 0, (off_t)bytes) != 0)
        return NULL;
    void *base = mremap(m->base, m->bytes, bytes, MREMAP_MAYMOVE);
    if (base == MAP_FAILED)
        return NULL;
    m->base = base;
    m->bytes = bytes;
    return base;
}

void *moe_bulk_grow(void *array, size_t bytes, size_t new_bytes, moe_error *err)
{
    mapping *m = array != NULL ? find(array) : NULL;
    void *p = NULL;
    if (m != NULL) {
        p = grow_mapped(m, new_bytes);
    } else if (new_bytes >= LEAST && (p = map(new_bytes)) != NULL) {
        moe_bulk_copy(p, array, bytes);
        free(array);
    } else {
        p = realloc(array, new_bytes);
    }
    if (p == NULL)
        moe_fail(err, MOE_NOMEM, "out of memory: needed %.1f MiB",
                 (double)new_bytes / (1 << 20));
    return p;
}

void moe_bulk_free(void *array)
{
    mapping *m = array != NULL ? find(array) : NULL;
    if (m == NULL) {
        free(array);
        return;
    }
    munmap(m->base, m->bytes);
    close(m->fd);
    *m = maps.at[--maps.n];
    if (maps.n > 0)
        return;
    free(maps.at);
    maps.at = NULL;
}

void moe_bulk_passed(const void *at, size_t bytes)
{
    mapping *m = find(at);
    if (m == NULL)
        return;
    m->passed += bytes;
    if (m->passed < WINDOW)
        return;
    madvise(m->base, m->bytes, MADV_DONTNEED); /* of a file: nothing is lost */
    m->passed = 0;
}

void moe_bulk_copy(void *to, const void *from, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += PIECE) {
        const size_t now = bytes - at < PIECE ? bytes - at : PIECE;
        memmove((char *)to + at, (const char *)from + at, now);
        moe_bulk_passed((const char *)from + at, now);
        moe_bulk_passed((char *)to + at, now);
    }
}
