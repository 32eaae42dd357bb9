/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contents.h"
#include "moegps/mem.h"
#include "moegps/replace.h"

/* A folder is written beside its place under another name and renamed when it
 * is whole. Only where it replaces one that has files in it, which may be the
 * user's, do files move one by one, the page last. */

enum { FOLDER_MODE = 0777 };

static const char PAGE[] = "report.html";

/* What a report consists of, in the order in which it is moved. */
static const char *const parts[] = {"figures", "report.csv", "maps.csv",
                                    "report.json", PAGE};

/* @return a path in heap memory; NULL with MOE_NOMEM. */
static char *joined(const char *dir, const char *name, moe_error *err)
{
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0) {
        moe_fail(err, MOE_NOMEM, "out of memory");
        return NULL;
    }
    return path;
}

static bool is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Call for every entry of a folder, until an error. */
static void each_entry(const char *dir,
                       void (*visit)(const char *dir, const char *name,
                                     void *arg, moe_error *err),
                       void *arg, moe_error *err)
{
    DIR *open = opendir(dir);
    const struct dirent *entry;
    if (open == NULL) {
        moe_fail(err, MOE_IO, "%s: %s", dir, strerror(errno));
        return;
    }
    while (err->status == MOE_OK && (entry = readdir(open)) != NULL)
        if (!is_dot(entry->d_name))
            visit(dir, entry->d_name, arg, err);
    closedir(open);
}

static bool is_folder(const char *path)
{
    struct stat info;
    return lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static void remove_entry(const char *dir, const char *name, void *arg,
                         moe_error *err)
{
    char *path = joined(dir, name, err);
    if (path != NULL && is_folder(path))
        each_entry(path, remove_entry, arg, err);
    if (path != NULL)
        remove(path);
    free(path);
}

/* What cannot be removed stays; there is nothing more to be done about it. */
static void remove_folder(const char *dir)
{
    moe_error ignored = {0};
    each_entry(dir, remove_entry, NULL, &ignored);
    rmdir(dir);
}

static void move_entry(const char *dir, const char *name, void *arg,
                       moe_error *err)
{
    char *from = joined(dir, name, err), *target = joined(arg, name, err);
    if (from == NULL || target == NULL)
        goto out;
    if (!is_folder(from)) {
        if (rename(from, target) != 0)
            moe_fail(err, MOE_IO, "%s: %s", target, strerror(errno));
        goto out;
    }
    if (mkdir(target, FOLDER_MODE) != 0 && errno != EEXIST)
        moe_fail(err, MOE_IO, "%s: %s", target, strerror(errno));
    else
        each_entry(from, move_entry, target, err);
out:
    free(target);
    free(from);
}

static void refuse_entry(const char *dir, const char *name, void *arg,
                         moe_error *err)
{
    (void)name, (void)arg;
    moe_fail(err, MOE_EXISTS, "%s: is not empty (--force writes into it)", dir);
}

/* Check the place before any work is done for it. */
static void check_place(const char *dir, bool force, moe_error *err)
{
    struct stat info;
    if (stat(dir, &info) != 0) {
        if (dir[0] == '\0')
            moe_fail(err, MOE_USAGE, "-o: '' is no folder");
        else if (errno != ENOENT)
            moe_fail(err, MOE_IO, "%s: %s", dir, strerror(errno));
        else if (lstat(dir, &info) == 0)
            moe_fail(err, MOE_EXISTS, "%s: is a link to nothing", dir);
    } else if (!S_ISDIR(info.st_mode)) {
        moe_fail(err, MOE_EXISTS, "%s: is a file, not a folder", dir);
    } else if (!force) {
        each_entry(dir, refuse_entry, NULL, err);
    }
}

static void publish(const char *made, const char *dir, moe_error *err)
{
    if (rename(made, dir) == 0)
        return;
    if (!is_folder(dir) && errno == ENOENT) {
        moe_fail(err, MOE_IO, "%s: %s", dir, strerror(errno));
        return;
    }
    for (size_t i = 0; i < MOE_ARRAY_LEN(parts); i++) {
        char *from = joined(made, parts[i], err);
        if (from != NULL && access(from, F_OK) == 0)
            move_entry(made, parts[i], (void *)dir, err);
        free(from);
    }
}

/* @return a file to write; NULL with MOE_IO. */
static FILE *create(const char *path, moe_error *err)
{
    FILE *out = fopen(path, "wx");
    if (out == NULL)
        moe_fail(err, MOE_IO, "%s: %s", path, strerror(errno));
    return out;
}

static void write_page(const char *path, const moe_analysis *a,
                       const moe_plots *plots, moe_error *err)
{
    char foot[512];
    moe_document *doc = moe_document_new(err);
    FILE *out = doc != NULL ? create(path, err) : NULL;
    snprintf(foot, sizeof foot,
             "The same numbers: %s%sreport.json. The figures, their data and "
             "scripts: the folder figures. %s%s",
             a->n > 0 ? "report.csv, " : "", a->n_maps > 0 ? "maps.csv, " : "",
             a->n_maps > 0 ? "All of a map is modelled. " : "",
             a->n > 0 ? "Times of the gpu clock are modelled, all others "
                        "measured; intervals are of medians, 95 %."
                      : "");
    if (out != NULL) {
        moe_say_page(doc, a, plots, err);
        if (err->status == MOE_OK)
            moe_document_page(doc, "moe-gps", foot, out, err);
        if (fclose(out) != 0)
            moe_fail(err, MOE_IO, "%s: %s", path, strerror(errno));
    }
    moe_document_free(doc);
}

static void warn_of_failures(const moe_plots *plots)
{
    for (size_t i = 0; i < plots->n; i++)
        if (plots->item[i].failure != NULL)
            fprintf(stderr,
                    "moegps: warning: figure %s is not drawn whole: %s\n",
                    plots->item[i].name, plots->item[i].failure);
}

static void write_figures(const char *dir, const moe_analysis *analysis,
                          moe_error *err)
{
    moe_plots plots = {0};
    char *folder = joined(dir, parts[0], err), *page = joined(dir, PAGE, err);
    if (err->status == MOE_OK && mkdir(folder, FOLDER_MODE) != 0)
        moe_fail(err, MOE_IO, "%s: %s", folder, strerror(errno));
    if (err->status == MOE_OK)
        moe_plots_draw(analysis, folder, &plots, err);
    if (err->status == MOE_OK)
        write_page(page, analysis, &plots, err);
    warn_of_failures(&plots);
    moe_plots_fini(&plots);
    free(page);
    free(folder);
}

/* Rows of runs and of maps have other columns: a file each. */
static void write_parts(const char *dir, const moe_analysis *analysis,
                        moe_error *err)
{
    const moe_analysis maps = {.map = analysis->map,
                               .n_maps = analysis->n_maps};
    const struct {
        const char *name;
        moe_report_form form;
        const moe_analysis *of;
        bool wanted;
    } forms[] = {
        {"report.csv", moe_report_csv, analysis, analysis->n > 0},
        {"maps.csv", moe_report_csv, &maps, analysis->n_maps > 0},
        {"report.json", moe_report_json, analysis, true},
    };
    for (size_t i = 0; i < MOE_ARRAY_LEN(forms); i++) {
        char *path = joined(dir, forms[i].name, err);
        if (forms[i].wanted)
            moe_report_write(path, forms[i].form, forms[i].of, false, err);
        free(path);
    }
    if (err->status == MOE_OK)
        write_figures(dir, analysis, err);
}

/* A new folder beside the place, as readable as any other. */
static char *make_beside(const char *dir, moe_error *err)
{
    char *made = NULL;
    const mode_t mask = umask(0);
    umask(mask);
    if (asprintf(&made, "%s.XXXXXX", dir) < 0) {
        moe_fail(err, MOE_NOMEM, "out of memory");
        return NULL;
    }
    if (moe_replace_folders(dir, err) != MOE_OK) {
        free(made);
        return NULL;
    }
    if (mkdtemp(made) == NULL || chmod(made, FOLDER_MODE & ~mask) != 0) {
        moe_fail(err, MOE_IO, "%s: %s", dir, strerror(errno));
        free(made);
        return NULL;
    }
    return made;
}

moe_status moe_report_folder(const char *dir, const moe_analysis *analysis,
                             bool force, moe_error *err)
{
    moe_error local = {0};
    char *made = NULL, *place = moe_strdup(dir, &local);
    for (size_t len = strlen(dir);
         place != NULL && len > 1 && place[len - 1] == '/';)
        place[--len] = '\0';
    if (place != NULL)
        check_place(place, force, &local);
    if (local.status == MOE_OK)
        made = make_beside(place, &local);
    if (made != NULL)
        write_parts(made, analysis, &local);
    if (local.status == MOE_OK)
        publish(made, place, &local);
    if (made != NULL && is_folder(made))
        remove_folder(made);
    free(made);
    free(place);
    return moe_pass(err, &local);
}
