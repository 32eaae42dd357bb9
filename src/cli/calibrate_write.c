/* SPDX-License-Identifier: Apache-2.0 */
#include "calibrate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moegps/profile.h"
#include "moegps/replace.h"
#include "moegps/silicon_update.h"

const char *const moe_calibrate_ops[] = {
    "auto", "alltoall", "all_reduce", "all_gather", "reduce_scatter", NULL};

/* ---- the profile ---- */

/* The path of the profile: TABLES.yaml for TABLES.h5. */
static void profile_path(const char *tables, char *path, size_t size)
{
    const char *dot = strrchr(tables, '.'), *slash = strrchr(tables, '/');
    const bool suffix = dot != NULL && (slash == NULL || dot > slash);
    snprintf(path, size, "%.*s.yaml",
             suffix ? (int)(dot - tables) : (int)strlen(tables), tables);
}

/* Keys of the profile that are written anew. */
static bool is_replaced(const char *line)
{
    return strncmp(line, "tables:", 7) == 0 || strncmp(line, "cost:", 5) == 0;
}

static void write_profile(const moe_calibrate_settings *s, const char *text,
                          moe_error *err)
{
    char path[4096];
    moe_replace to;
    const char *slash = strrchr(s->output, '/');
    profile_path(s->output, path, sizeof path);
    FILE *out = moe_replace_open(&to, path, s->force || s->add, err);
    if (out == NULL)
        return;
    for (const char *line = text; *line != '\0';) {
        const size_t n = strcspn(line, "\n");
        if (!is_replaced(line))
            fprintf(out, "%.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
    const char *name = slash != NULL ? slash + 1 : s->output;
    const char *quote = name[strcspn(name, " :#")] != '\0' ? "\"" : "";
    fprintf(out, "cost: silicon\ntables: %s%s%s   # by moegps calibrate\n",
            quote, name, quote);
    if (moe_replace_close(&to, out, err) == MOE_OK)
        printf("written: %s, %s\n", s->output, path);
}

/* ---- tables ---- */

static void print(const char *what, const moe_remarks *lines)
{
    for (size_t i = 0; i < lines->n; i++)
        printf("%s%s\n", what, lines->text[i]);
}

/* Tables of the rows, beside their name until they are whole. */
static void write_tables(const moe_calibrate_settings *s, moe_measurements *m,
                         moe_error *err)
{
    moe_replace to;
    moe_remarks said = {0};
    const bool there = access(s->output, F_OK) == 0;
    if (moe_replace_begin(&to, s->output, s->force || s->add, err) != MOE_OK)
        return;
    moe_silicon_update(s->add ? s->output : NULL, to.beside, m, &said, err);
    if (there && !s->add)
        moe_remark(&said,
                   "%s: what was calibrated there before is gone (--add keeps "
                   "it)",
                   s->output);
    if (err->status == MOE_OK)
        moe_silicon_update_errors(to.beside, m, &said, err);
    moe_replace_commit(&to, err);
    if (err->status == MOE_OK) {
        print("read ", &m->said);
        print("", &said);
    }
    moe_remarks_fini(&said);
}

void moe_calibrate_write(moe_calibrate_settings *s, moe_measurements *m,
                         moe_error *err)
{
    char path[1024];
    char *text =
        moe_profile_read("clusters", s->profile, path, sizeof path, err);
    if (text != NULL && err->status == MOE_OK)
        write_tables(s, m, err);
    if (err->status == MOE_OK)
        write_profile(s, text, err);
    free(text);
}

moe_status moe_calibrate_check(moe_calibrate_settings *s, moe_error *err)
{
    char path[4096];
    profile_path(s->output, path, sizeof path);
    if (s->output[0] == '\0' || strcmp(s->output, "-") == 0 ||
        strcmp(s->output, path) == 0 || strpbrk(s->output, "\"'\n") != NULL)
        return moe_fail(err, MOE_USAGE,
                        "--output: '%.200s' cannot be a file of tables: its "
                        "name ends in .h5, as the profile beside it ends in "
                        ".yaml, and has no quotes",
                        s->output);
    if (s->add && access(s->output, F_OK) != 0)
        return moe_fail(err, MOE_USAGE, "--add: there are no tables %s yet",
                        s->output);
    moe_replace_check(s->output, s->force || s->add, err);
    moe_replace_check(path, s->force || s->add, err);
    if (s->mpi && s->files.n > 0)
        moe_fail(err, MOE_USAGE, "--mpi measures; files go without it");
    if (!s->mpi && s->files.n == 0)
        moe_fail(err, MOE_USAGE, "a FILE of measurements is needed, or --mpi");
    if (err->status != MOE_OK ||
        moe_cluster_read(s->profile, &s->cluster, err) != MOE_OK)
        return err->status;
    const moe_cluster *c = &s->cluster;
    s->measured.gpu = c->tables_gpu[0] != '\0' ? c->tables_gpu : c->gpu;
    s->measured.stack = c->stack;
    s->measured.op = s->op > 0 ? moe_calibrate_ops[s->op] : NULL;
    if (s->model != NULL && moe_model_read(s->model, &s->m, err) == MOE_OK)
        s->measured.model = &s->m;
    return err->status;
}
