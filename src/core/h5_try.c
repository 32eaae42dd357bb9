/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/h5_try.h"

#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "moegps/h5.h"
#include "moegps/mem.h"

enum {
    CPU_S = 4,               /* a healthy file takes 0.02 s */
    BLOCK_BYTES = 16 << 20,  /* of a dataset, read at a time */
    CHUNK_BYTES = 256 << 20, /* of all chunks */
    CHUNKS_S = 1,            /* ... or what this CPU time inflates */
    MOST_ELEMENT_BYTES = 512 << 20,
    MOST_TEXTS = 1 << 24,  /* of a dataset: more takes all CPU_S */
    KNOWN_BYTES = 4 << 20, /* of a file that may be known: 2 ms */
    EXIT_DAMAGED = 10,
    EXIT_ELSEWHERE = 11
};

/* The address sanitizer reserves all addresses there are. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
static const bool takes_all = true;
#else
static const bool takes_all = false;
#endif

static const rlim_t MEMORY = (rlim_t)3 << 30; /* most of it libraries' */

/* What a visit of all objects carries. */
typedef struct {
    int code;    /* EXIT_...; 0: well so far */
    size_t read; /* bytes of chunks */
} trial;

/* ---- the child ---- */

/* Elements of a dataspace, read as they are stored. @return bytes, 0: none, or
 * too many to be right. */
static size_t bytes_of(hid_t space, hid_t type)
{
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    const size_t size = H5Tget_size(type);
    return n > 0 && size > 0 && (size_t)n <= (size_t)MEMORY / size
               ? (size_t)n * size
               : 0;
}

static herr_t read_attribute(hid_t obj, const char *name,
                             const H5A_info_t *info, void *damaged)
{
    (void)info;
    hid_t attr = H5Aopen(obj, name, H5P_DEFAULT);
    hid_t type = H5Aget_type(attr), space = H5Aget_space(attr);
    const size_t bytes = attr >= 0 ? bytes_of(space, type) : 0;
    void *data = calloc(bytes > 0 ? bytes : 1, 1);
    if (bytes > 0 && (data == NULL || H5Aread(attr, type, data) < 0))
        *(bool *)damaged = true;
    else if (bytes > 0)
        H5Dvlen_reclaim(type, space, H5P_DEFAULT, data);
    free(data);
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attr);
    return 0;
}

/* Read a block of a dataset, or all of what is no array. @param n  elements. */
static bool read_some(hid_t set, hid_t type, const moe_h5_block *block,
                      hsize_t n, void *data)
{
    hid_t space = H5Dget_space(set);
    const int rank = H5Sget_simple_extent_ndims(space);
    hid_t memory = rank > 0 ? H5Screate_simple(rank, block->count, NULL)
                            : H5Screate_simple(1, &n, NULL);
    if (rank > 0)
        H5Sselect_hyperslab(space, H5S_SELECT_SET, block->start, NULL,
                            block->count, NULL);
    const bool ok = H5Dread(set, type, memory, space, H5P_DEFAULT, data) >= 0;
    if (ok)
        H5Dvlen_reclaim(type, memory, H5P_DEFAULT, data);
    H5Sclose(space);
    H5Sclose(memory);
    return ok;
}

/* @return elements of the chunks that hold a block, as if it began with one. */
static size_t inflated(const moe_h5_block *block, const moe_h5_pieces *p)
{
    size_t n = 1;
    for (int d = 0; d < p->rank; d++) {
        const hsize_t chunk = p->chunk != NULL ? p->chunk[d] : 1;
        n *= (size_t)((block->count[d] + chunk - 1) / chunk * chunk);
    }
    return n;
}

/* Read a dataset in blocks; of chunks of numbers only as much as fits the
 * budget: their index was followed when the object was opened.
 * @param chunk  their sizes; NULL: there are none
 * @return whether that was possible. */
static bool read_all(hid_t set, hid_t type, const hsize_t *chunk,
                     size_t *budget)
{
    hid_t space = H5Dget_space(set);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    const size_t size = H5Tget_size(type);
    moe_h5_pieces pieces = {.chunk = chunk};
    moe_h5_block block = {.count = {0}};
    pieces.rank = H5Sget_simple_extent_dims(space, pieces.dims, NULL);
    H5Sclose(space);
    if (n <= 0)
        return n == 0;
    if (size == 0 || size > MOST_ELEMENT_BYTES)
        return false;
    pieces.most = size < BLOCK_BYTES ? BLOCK_BYTES / size : 1;
    pieces.most = pieces.most < (hsize_t)n ? pieces.most : (hsize_t)n;
    void *data = calloc(pieces.most, size);
    bool ok = data != NULL;
    if (ok && pieces.rank == 0)
        ok = read_some(set, type, &block, 1, data);
    while (ok && pieces.rank > 0 && *budget > 0 &&
           (chunk == NULL || clock() < CHUNKS_S * CLOCKS_PER_SEC)) {
        const hsize_t some = moe_h5_next_block(&block, &pieces);
        if (some == 0)
            break;
        ok = read_some(set, type, &block, some, data);
        const size_t bytes = inflated(&block, &pieces) * size;
        *budget -= *budget < bytes ? *budget : bytes;
    }
    free(data);
    return ok;
}

/* Whether elements lie elsewhere in the file, or may. */
static bool is_indirect(hid_t type)
{
    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
    case H5T_FLOAT:
    case H5T_ENUM:
    case H5T_BITFIELD:
        return false;
    case H5T_STRING:
        return H5Tis_variable_str(type) != 0;
    default:
        return true;
    }
}

/* Elements that refer to others are all read: not where there are none, however
 * many there may be. */
static bool can_read_texts(hid_t set, hid_t type, hid_t space)
{
    size_t all = SIZE_MAX;
    return H5Dget_storage_size(set) == 0 ||
           (H5Sget_simple_extent_npoints(space) <= MOST_TEXTS &&
            read_all(set, type, NULL, &all));
}

static bool can_read_chunks(hid_t set, hid_t type, hid_t list, size_t *budget)
{
    hsize_t chunk[H5S_MAX_RANK];
    return H5Pget_chunk(list, H5S_MAX_RANK, chunk) > 0 &&
           read_all(set, type, chunk, budget);
}

/* Plain numbers in one piece need no interpretation. */
static void try_dataset(hid_t set, trial *t)
{
    hid_t list = H5Dget_create_plist(set), type = H5Dget_type(set);
    hid_t space = H5Dget_space(set);
    const H5D_layout_t layout = H5Pget_layout(list);
    size_t left = CHUNK_BYTES - t->read;
    if (layout == H5D_VIRTUAL || H5Pget_external_count(list) > 0)
        t->code = EXIT_ELSEWHERE;
    else if (list < 0 || type < 0 || space < 0 || layout < 0)
        t->code = EXIT_DAMAGED;
    else if (is_indirect(type) ? !can_read_texts(set, type, space)
                               : layout == H5D_CHUNKED &&
                                     !can_read_chunks(set, type, list, &left))
        t->code = EXIT_DAMAGED;
    t->read = CHUNK_BYTES - left;
    H5Sclose(space);
    H5Tclose(type);
    H5Pclose(list);
}

static herr_t visit(hid_t root, const char *name, const H5O_info_t *info,
                    void *arg)
{
    bool damaged = false;
    trial *t = arg;
    hid_t obj = H5Oopen(root, name, H5P_DEFAULT);
    if (obj < 0 || H5Aiterate2(obj, H5_INDEX_NAME, H5_ITER_NATIVE, NULL,
                               read_attribute, &damaged) < 0)
        damaged = true;
    if (damaged)
        t->code = EXIT_DAMAGED;
    else if (info->type == H5O_TYPE_DATASET)
        try_dataset(obj, t);
    H5Oclose(obj);
    return t->code;
}

static herr_t visit_link(hid_t group, const char *name, const H5L_info_t *info,
                         void *arg)
{
    trial *t = arg;
    (void)group, (void)name;
    if (info->type != H5L_TYPE_HARD && info->type != H5L_TYPE_SOFT)
        t->code = EXIT_ELSEWHERE;
    return t->code;
}

static void limit(__rlimit_resource_t what, rlim_t most)
{
    struct rlimit now;
    if (getrlimit(what, &now) != 0)
        return;
    now.rlim_cur = now.rlim_cur < most ? now.rlim_cur : most;
    setrlimit(what, &now);
}

static void limit_all(void)
{
    limit(RLIMIT_CPU, CPU_S);
    limit(RLIMIT_CORE, 0);
    if (!takes_all)
        limit(RLIMIT_AS, MEMORY);
    alarm(20 * CPU_S); /* a file system that does not answer */
}

void moe_h5_quiet(void)
{
    /* All files are closed by their users. One that cannot be, on a full disk,
     * stays open, and 1.10.8 crashes when it closes it once more at exit. */
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

int moe_h5_try_main(const char *path)
{
    trial t = {.code = 0};
    limit_all();
    moe_h5_quiet();
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0) /* it will not open elsewhere either, and says why there */
        return 0;
    if ((H5Lvisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, visit_link, &t) < 0 ||
         H5Ovisit(file, H5_INDEX_NAME, H5_ITER_NATIVE, visit, &t) < 0) &&
        t.code == 0)
        t.code = EXIT_DAMAGED;
    H5Fclose(file);
    return t.code;
}

/* ---- the parent ---- */

/* HDF5 is one per process, and so is this. */
static struct {
    const char *program; /* NULL: nothing is checked */
    const char *known;   /* SHA-256 of a file that is not tried; or NULL */
    struct stat last;    /* of the file that was checked last */
    moe_error verdict;   /* on that */
} state;

void moe_h5_try_with(const char *program, const char *known)
{
    state.program = program;
    state.known = known;
}

/* Whether it is, bit by bit, the file that is known. */
static bool is_known(const char *path, const struct stat *info)
{
    const size_t bytes = (size_t)info->st_size;
    unsigned char digest[EVP_MAX_MD_SIZE];
    char hex[2 * EVP_MAX_MD_SIZE + 1] = "";
    unsigned len = 0;
    if (state.known == NULL || bytes == 0 || bytes > KNOWN_BYTES)
        return false;
    unsigned char *data = moe_array_new(bytes, 1, NULL);
    FILE *f = fopen(path, "rb");
    if (data != NULL && f != NULL && fread(data, 1, bytes, f) == bytes &&
        EVP_Digest(data, bytes, digest, &len, EVP_sha256(), NULL) == 1)
        for (unsigned b = 0; b < len; b++)
            snprintf(hex + 2 * (size_t)b, 3, "%02x", digest[b]);
    if (f != NULL)
        fclose(f);
    free(data);
    return strcmp(hex, state.known) == 0;
}

static bool is_unchanged(const struct stat *info)
{
    const struct stat *last = &state.last;
    return info->st_dev == last->st_dev && info->st_ino == last->st_ino &&
           info->st_size == last->st_size &&
           info->st_mtim.tv_sec == last->st_mtim.tv_sec &&
           info->st_mtim.tv_nsec == last->st_mtim.tv_nsec;
}

/* @return how the child ended, as of waitpid(); -1 with errno. */
static int run_child(const char *path)
{
    char *argv[] = {moe_strdup(state.program, NULL),
                    moe_strdup(MOE_H5_TRY_COMMAND, NULL),
                    moe_strdup(path, NULL), NULL};
    posix_spawn_file_actions_t files;
    pid_t pid = -1;
    int how = -1, rc = ENOMEM;
    posix_spawn_file_actions_init(&files);
    for (int fd = 0; fd <= 2; fd++)
        posix_spawn_file_actions_addopen(&files, fd, "/dev/null", 2, 0);
    if (argv[0] != NULL && argv[1] != NULL && argv[2] != NULL)
        rc = posix_spawn(&pid, state.program, &files, NULL, argv, environ);
    posix_spawn_file_actions_destroy(&files);
    for (int i = 0; i < 3; i++)
        free(argv[i]);
    while (rc == 0 && waitpid(pid, &how, 0) < 0)
        if (errno != EINTR)
            rc = errno;
    errno = rc;
    return rc == 0 ? how : -1;
}

/* Judge by how the child ended. */
static moe_status judge(const char *path, moe_error *err)
{
    const int how = run_child(path);
    const int code = how >= 0 && WIFEXITED(how) ? WEXITSTATUS(how) : -1;
    if (how < 0 || code == 127) /* what the loader says */
        return moe_fail(err, MOE_LIBRARY, "%s: cannot be checked: %s", path,
                        how < 0 ? strerror(errno)
                                : "the program did not start");
    if (WIFSIGNALED(how) &&
        (WTERMSIG(how) == SIGXCPU || WTERMSIG(how) == SIGALRM ||
         WTERMSIG(how) == SIGKILL))
        return moe_fail(err, MOE_FORMAT,
                        "%s: damaged HDF5 file: the library does not come to "
                        "an end of it",
                        path);
    if (WIFSIGNALED(how))
        return moe_fail(err, MOE_FORMAT,
                        "%s: damaged HDF5 file: the library crashes on it",
                        path);
    if (code == EXIT_ELSEWHERE)
        return moe_fail(err, MOE_FORMAT,
                        "%s: refers to other files, which are not followed",
                        path);
    if (code != 0)
        return moe_fail(err, MOE_FORMAT, "%s: truncated or damaged HDF5 file",
                        path);
    return MOE_OK;
}

moe_status moe_h5_try(const char *path, moe_error *err)
{
    struct stat info;
    if (state.program == NULL || stat(path, &info) != 0)
        return MOE_OK;
    if (!is_unchanged(&info)) {
        state.verdict = (moe_error){0};
        if (!is_known(path, &info))
            judge(path, &state.verdict);
        state.last = info;
    }
    return moe_pass(err, &state.verdict);
}
