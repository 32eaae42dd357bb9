/* SPDX-License-Identifier: Apache-2.0 */
#include "apart.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "moegps/mem.h"

/* A file that an option names. */
typedef struct {
    char option[40]; /* as typed */
    const char *text;
    char *place; /* whole path, links followed; owned */
    bool writes;
} named;

typedef struct {
    named *at; /* [n] owned */
    size_t n;
    moe_error *err;
} list;

/* @return where a file is, or would be; the text itself where that cannot be
 * said. To be freed. */
static char *place_of(const char *text, moe_error *err)
{
    char folder[PATH_MAX], real[PATH_MAX], *out = NULL;
    const char *slash = strrchr(text, '/');
    const char *name = slash != NULL ? slash + 1 : text;
    if (realpath(text, real) != NULL)
        return moe_strdup(real, err);
    snprintf(folder, sizeof folder, "%.*s",
             slash != NULL ? (int)(slash - text) + 1 : 1,
             slash != NULL ? text : ".");
    if (*name == '\0' || realpath(folder, real) == NULL)
        return moe_strdup(text, err);
    if (asprintf(&out, "%s/%s", strcmp(real, "/") == 0 ? "" : real, name) < 0)
        return NULL;
    return out;
}

static void add(list *l, const moe_opt *row, bool argument, const char *text)
{
    struct stat info;
    const char *equals =
        row->writes && row->type == MOE_OPT_STRINGS ? strchr(text, '=') : NULL;
    const char *path = equals != NULL ? equals + 1 : text;
    if (!row->writes && (stat(path, &info) != 0 || !S_ISREG(info.st_mode)))
        return;
    named *more = realloc(l->at, (l->n + 1) * sizeof *more);
    if (more == NULL) {
        moe_fail(l->err, MOE_NOMEM, "out of memory");
        return;
    }
    l->at = more;
    named *to = &l->at[l->n++];
    *to = (named){.text = path, .writes = row->writes};
    snprintf(to->option, sizeof to->option, "%s%s", argument ? "" : "--",
             row->key);
    for (char *c = to->option; !argument && *c != '\0'; c++)
        *c = *c == '_' ? '-' : *c;
    to->place = strcmp(path, "-") == 0 ? moe_strdup(path, l->err)
                                       : place_of(path, l->err);
}

static void add_rows(list *l, const moe_opt *rows, bool arguments,
                     const void *settings)
{
    for (const moe_opt *row = rows; row != NULL && row->key != NULL; row++) {
        const char *at = (const char *)settings + row->offset;
        if (row->type == MOE_OPT_STRING) {
            const char *const *text = (const void *)at;
            if (*text != NULL)
                add(l, row, arguments, *text);
        } else if (row->type == MOE_OPT_STRINGS) {
            const moe_strings *texts = (const void *)at;
            for (int i = 0; i < texts->n; i++)
                add(l, row, arguments, texts->text[i]);
        }
    }
}

static bool is_one_file(const char *a, const char *b)
{
    struct stat x, y;
    if (a == NULL || b == NULL)
        return false;
    return strcmp(a, b) == 0 ||
           (stat(a, &x) == 0 && stat(b, &y) == 0 && S_ISREG(x.st_mode) &&
            x.st_dev == y.st_dev && x.st_ino == y.st_ino);
}

static void compare(const named *a, const named *b, moe_error *err)
{
    if (!is_one_file(a->place, b->place))
        return;
    if (a->writes && b->writes)
        moe_fail(err, MOE_USAGE, "%s and %s: both write %s", a->option,
                 b->option,
                 strcmp(a->place, "-") == 0 ? "standard output" : a->text);
    else if (a->writes != b->writes)
        moe_fail(err, MOE_USAGE, "%s: %s is what %s reads",
                 a->writes ? a->option : b->option,
                 a->writes ? a->text : b->text,
                 a->writes ? b->option : a->option);
}

moe_status moe_apart_check(const moe_args *args, const void *settings,
                           moe_error *err)
{
    list l = {.err = err};
    add_rows(&l, args->rows, false, settings);
    add_rows(&l, args->more, false, settings);
    add_rows(&l, args->arguments, true, settings);
    for (size_t i = 0; i < l.n; i++)
        for (size_t j = 0; j < i && err->status == MOE_OK; j++)
            compare(&l.at[j], &l.at[i], err);
    for (size_t i = 0; i < l.n; i++)
        free(l.at[i].place);
    free(l.at);
    return err->status;
}

moe_status moe_args_apart(const char *output, const char *what,
                          const char *input, moe_error *err)
{
    if (output != NULL && input != NULL && is_one_file(output, input))
        moe_fail(err, MOE_USAGE, "--output: %s is the %s that is read", output,
                 what);
    return err->status;
}
