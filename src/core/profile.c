/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/profile.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moegps/ctx.h"
#include "moegps/mem.h"
#include "moegps/plain.h"
#include "moegps/text.h"
#include "version.h"

enum { MAX_FOLDERS = 5 };

/* Folders that hold profiles, first to last. */
typedef struct {
    char path[MAX_FOLDERS][PATH_MAX];
    size_t n;
} folders;

static void add_folder(folders *f, const char *base, const char *rest,
                       const char *kind)
{
    int len = snprintf(f->path[f->n], PATH_MAX, "%s%s/%s", base, rest, kind);
    if (len > 0 && len < PATH_MAX)
        f->n++;
}

static void find_folders(const char *kind, folders *f)
{
    f->n = 0;
    const char *jobs = getenv("MOEGPS_JOBS");
    if (jobs != NULL && *jobs != '\0')
        add_folder(f, jobs, "", kind);
    add_folder(f, ".", "/jobs", kind);
    char program[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", program, sizeof program - 1);
    if (len > 0)
        program[len] = '\0';
    for (int up = 0; len > 0 && up < 2; up++) { /* build/moegps: one more up */
        char *slash = strrchr(program, '/');
        if (slash == NULL)
            break;
        *slash = '\0';
        add_folder(f, program, "/jobs", kind);
    }
    add_folder(f, MOE_PREFIX, "/share/moegps/jobs", kind);
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t len = strlen(text), tail = strlen(suffix);
    return len > tail && strcmp(text + len - tail, suffix) == 0;
}

static bool readable(const char *path)
{
    return access(path, R_OK) == 0;
}

/* What a visitor needs to write a list of names. */
typedef struct {
    char *text;
    size_t size;
} name_list;

static void append_name(const char *name, const char *path, void *arg)
{
    (void)path;
    name_list *list = arg;
    moe_text_add(list->text, list->size, ", ", "%s", name);
}

static moe_status not_found(const char *kind, const char *name,
                            const char *suffix, moe_error *err)
{
    char known[320] = "";
    moe_profile_each(kind, suffix, append_name,
                     &(name_list){known, sizeof known});
    return moe_fail(err, MOE_USAGE,
                    "%s: no '%.64s' (there are: %s); looked in $MOEGPS_JOBS, "
                    "./jobs, beside the program and " MOE_PREFIX
                    "/share/moegps/jobs",
                    kind, name, *known != '\0' ? known : "none");
}

moe_status moe_profile_find(const char *kind, const char *name,
                            const char *suffix, char *path_out, size_t size,
                            moe_error *err)
{
    if (strchr(name, '/') != NULL || ends_with(name, suffix)) {
        if (strlen(name) >= size)
            return moe_fail(err, MOE_USAGE, "%s: path of %zu characters", kind,
                            strlen(name));
        if (!readable(name))
            return moe_fail(err, MOE_USAGE, "%s: cannot open: %s", name,
                            strerror(errno));
        snprintf(path_out, size, "%s", name);
        return MOE_OK;
    }
    folders f;
    find_folders(kind, &f);
    for (size_t i = 0; i < f.n; i++) {
        char path[2 * PATH_MAX];
        int len =
            snprintf(path, sizeof path, "%s/%s%s", f.path[i], name, suffix);
        if (len < 0 || (size_t)len >= size || !readable(path))
            continue;
        snprintf(path_out, size, "%s", path);
        return MOE_OK;
    }
    return not_found(kind, name, suffix, err);
}

char *moe_profile_read(const char *kind, const char *name, char *path_out,
                       size_t size, moe_error *err)
{
    char *text = NULL;
    if (moe_profile_find(kind, name, ".yaml", path_out, size, err) == MOE_OK)
        moe_read_text(path_out, &text, err);
    return text;
}

/* One profile found while folders are listed. */
typedef struct {
    char *name; /* without suffix; owned */
    size_t folder;
} entry;

typedef struct {
    entry *item; /* [n], owned */
    size_t n;
} entries;

static int by_name(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order != 0 ? order
                      : (x->folder > y->folder) - (x->folder < y->folder);
}

static bool add_entry(entries *list, const char *file, size_t stem,
                      size_t folder)
{
    entry *grown = realloc(list->item, (list->n + 1) * sizeof *grown);
    if (grown == NULL)
        return false;
    list->item = grown;
    grown[list->n].name = strndup(file, stem);
    grown[list->n].folder = folder;
    if (grown[list->n].name == NULL)
        return false;
    list->n++;
    return true;
}

static void list_folder(const char *path, const char *suffix, size_t folder,
                        entries *list)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return;
    const struct dirent *d;
    while ((d = readdir(dir)) != NULL) {
        if (d->d_name[0] == '.' || !ends_with(d->d_name, suffix))
            continue;
        if (!add_entry(list, d->d_name, strlen(d->d_name) - strlen(suffix),
                       folder))
            break;
    }
    closedir(dir);
}

void moe_profile_each(const char *kind, const char *suffix,
                      void (*visit)(const char *name, const char *path,
                                    void *arg),
                      void *arg)
{
    folders f;
    entries list = {NULL, 0};
    find_folders(kind, &f);
    for (size_t i = 0; i < f.n; i++)
        list_folder(f.path[i], suffix, i, &list);
    if (list.n > 0)
        qsort(list.item, list.n, sizeof *list.item, by_name);
    for (size_t i = 0; i < list.n; i++) {
        const entry *e = &list.item[i];
        if (i > 0 && strcmp(e->name, e[-1].name) == 0)
            continue;
        char path[2 * PATH_MAX];
        snprintf(path, sizeof path, "%s/%s%s", f.path[e->folder], e->name,
                 suffix);
        moe_plain_clean(e->name, false);
        visit(e->name, path, arg);
    }
    for (size_t i = 0; i < list.n; i++)
        free(list.item[i].name);
    free(list.item);
}
