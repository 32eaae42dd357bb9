/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/silicon_update.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/ctx.h"
#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/profile.h"
#include "moegps/stats.h"
#include "moegps/text.h"
#include "silicon_internal.h"

enum { MOST_COLUMNS = MOE_MEASURED_TEXTS + MOE_MEASURED_NUMBERS };

/* ---- the file ---- */

/* A group of it, in memory. */
typedef struct {
    const moe_measured_group *group;
    int texts, columns;
    size_t n, rows;
    int32_t *column[MOST_COLUMNS]; /* [n] */
    int32_t *first;                /* [n + 1] */
    int32_t *x;                    /* [rows] */
    float *time_us;                /* [rows] */
} table_group;

/* What is being updated. */
typedef struct {
    hid_t file;
    char **names; /* [n_names] codes of texts; owned */
    size_t n_names, old_names;
    moe_measurements *m;
    moe_remarks *said;
    bool bundled; /* it begins with the bundled tables */
    moe_error *err;
} update;

static const char *column_name(const moe_measured_group *g, int texts, int c)
{
    return c < texts ? g->text[c] : g->number[c - texts];
}

static void count_columns(table_group *t)
{
    while (t->group->text[t->texts] != NULL)
        t->texts++;
    while (t->group->number[t->columns] != NULL)
        t->columns++;
    t->columns += t->texts;
}

static int32_t *read_ints(hid_t group, const char *name, size_t n,
                          moe_error *err)
{
    return moe_h5_read(group, name, H5T_NATIVE_INT32, sizeof(int32_t), n, err);
}

static void read_group(update *u, table_group *t)
{
    hsize_t n = 0, rows = 0;
    hid_t group = moe_h5_open_group(u->file, t->group->name, u->err);
    count_columns(t);
    moe_h5_dims(group, t->group->text[0], 1, &n, u->err);
    moe_h5_dims(group, "x", 1, &rows, u->err);
    t->n = n;
    t->rows = rows;
    for (int c = 0; c < t->columns && u->err->status == MOE_OK; c++)
        t->column[c] =
            read_ints(group, column_name(t->group, t->texts, c), n, u->err);
    if (u->err->status == MOE_OK) {
        t->first = read_ints(group, "first", n + 1, u->err);
        t->x = read_ints(group, "x", rows, u->err);
        t->time_us = moe_h5_read(group, "latency_us", H5T_NATIVE_FLOAT,
                                 sizeof(float), rows, u->err);
    }
    moe_h5_close(group);
}

static void free_group(table_group *t)
{
    for (int c = 0; c < MOST_COLUMNS; c++)
        free(t->column[c]);
    free(t->first);
    free(t->x);
    free(t->time_us);
}

/* @return the code of a text, a new one where it is not known; -1: with an
 * error. */
static int32_t code_of(update *u, const char *text)
{
    for (size_t i = 0; i < u->n_names; i++)
        if (strcmp(u->names[i], text) == 0)
            return (int32_t)i;
    char **more = realloc(u->names, (u->n_names + 1) * sizeof *more);
    char *copy = moe_strdup(text, u->err);
    if (more != NULL)
        u->names = more;
    if (more == NULL || copy == NULL) {
        free(copy);
        moe_fail(u->err, MOE_NOMEM, "out of memory");
        return -1;
    }
    u->names[u->n_names] = copy;
    return (int32_t)u->n_names++;
}

static void encode(update *u, const table_group *t, const moe_measurement *r,
                   int32_t *key)
{
    for (int c = 0; c < t->columns; c++)
        key[c] =
            c < t->texts ? code_of(u, r->text[c]) : r->number[c - t->texts];
}

/* Whether a table that is there gives way to a measured one: of a collective
 * all of the GPU's, else those of the very key. */
static bool gives_way(const table_group *t, size_t i, const int32_t *key)
{
    const bool link = t->group == &moe_measured_collectives;
    for (int c = 0; c < t->columns; c++)
        if (t->column[c][i] != key[c] &&
            !(link && (c == LINK_NCCL || c == LINK_GPUS)))
            return false;
    return true;
}

/* ---- merging ---- */

/* Append a table. @param x, time_us  [rows] */
static void append(update *u, table_group *to, const int32_t *key,
                   const int32_t *x, const float *time_us, size_t rows)
{
    const size_t n = to->n + 1, all = to->rows + rows;
    bool ok = true;
    for (int c = 0; c < to->columns && ok; c++) {
        int32_t *more = realloc(to->column[c], n * sizeof *more);
        ok = more != NULL;
        if (ok)
            (to->column[c] = more)[to->n] = key[c];
    }
    int32_t *first = realloc(to->first, (n + 1) * sizeof *first);
    int32_t *xs = realloc(to->x, all * sizeof *xs);
    float *times = realloc(to->time_us, all * sizeof *times);
    to->first = first != NULL ? first : to->first;
    to->x = xs != NULL ? xs : to->x;
    to->time_us = times != NULL ? times : to->time_us;
    if (!ok || first == NULL || xs == NULL || times == NULL) {
        moe_fail(u->err, MOE_NOMEM, "out of memory");
        return;
    }
    memcpy(to->x + to->rows, x, rows * sizeof *x);
    memcpy(to->time_us + to->rows, time_us, rows * sizeof *time_us);
    to->first[to->n] = (int32_t)to->rows;
    to->first[n] = (int32_t)all;
    to->n = n;
    to->rows = all;
}

/* @return the end of the rows of one key that begin at i. */
static size_t end_of(const moe_measurements *m, size_t i)
{
    size_t end = i;
    while (end < m->n && moe_measured_order(&m->row[i], &m->row[end]) == 0)
        end++;
    return end;
}

/* Tables that stay. */
static void keep_others(update *u, const table_group *old, size_t begin,
                        size_t end, table_group *to)
{
    int32_t key[MOST_COLUMNS];
    size_t gone = 0;
    for (size_t i = 0; i < old->n && u->err->status == MOE_OK; i++) {
        bool stays = true;
        for (size_t r = begin; r < end && stays; r = end_of(u->m, r)) {
            encode(u, old, &u->m->row[r], key);
            stays = !gives_way(old, i, key);
        }
        for (int c = 0; c < old->columns; c++)
            key[c] = old->column[c][i];
        if (stays)
            append(u, to, key, old->x + old->first[i],
                   old->time_us + old->first[i],
                   (size_t)(old->first[i + 1] - old->first[i]));
        gone += !stays;
    }
    if (gone > 0)
        moe_remark(u->said, "%s: %zu tables that were there are replaced",
                   old->group->name, gone);
}

static void add_measured(update *u, size_t begin, size_t end, table_group *to)
{
    int32_t key[MOST_COLUMNS], x[MOE_TABLE_POINTS];
    float time_us[MOE_TABLE_POINTS];
    for (size_t r = begin, next; r < end && u->err->status == MOE_OK;
         r = next) {
        char text[256];
        next = end_of(u->m, r);
        moe_measured_key(&u->m->row[r], text, sizeof text);
        if (next - r > MOE_TABLE_POINTS) {
            moe_fail(u->err, MOE_FORMAT,
                     "%s: %zu rows of %s: a table has at most %d",
                     u->m->row[r].path, next - r, text, MOE_TABLE_POINTS);
            return;
        }
        encode(u, to, &u->m->row[r], key);
        for (size_t i = r; i < next; i++) {
            x[i - r] = (int32_t)u->m->row[i].x;
            time_us[i - r] = (float)u->m->row[i].time_us;
        }
        append(u, to, key, x, time_us, next - r);
    }
}

/* ---- writing ---- */

/* Replace a dataset. */
static void put(update *u, hid_t group, const char *name, hid_t type,
                hid_t memory, const void *data, int rank, const hsize_t *dims)
{
    if (u->err->status != MOE_OK)
        return;
    H5Ldelete(group, name, H5P_DEFAULT);
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t set = H5Dcreate2(group, name, type, space, H5P_DEFAULT, H5P_DEFAULT,
                           H5P_DEFAULT);
    if (set < 0 ||
        H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0)
        moe_fail(u->err, MOE_IO, "dataset '%s' cannot be written", name);
    H5Dclose(set);
    H5Sclose(space);
}

static void put_ints(update *u, hid_t group, const char *name,
                     const int32_t *data, size_t n)
{
    put(u, group, name, H5T_STD_I32LE, H5T_NATIVE_INT32, data, 1,
        &(hsize_t){n});
}

static void write_group(update *u, const table_group *t)
{
    hid_t group = moe_h5_open_group(u->file, t->group->name, u->err);
    for (int c = 0; c < t->columns; c++)
        put_ints(u, group, column_name(t->group, t->texts, c), t->column[c],
                 t->n);
    put_ints(u, group, "first", t->first, t->n + 1);
    put_ints(u, group, "x", t->x, t->rows);
    put(u, group, "latency_us", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, t->time_us, 1,
        &(hsize_t){t->rows});
    moe_h5_close(group);
}

static void write_names(update *u)
{
    if (u->n_names == u->old_names)
        return;
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    put(u, u->file, "names", type, type, u->names, 1, &(hsize_t){u->n_names});
    H5Tclose(type);
}

/* ---- kernels that were not there ---- */

enum { FIT_TEXTS = 4, FIT_SHAPE = 4 };

static const char *const without[FIT_SHAPE] = {
    "without_hidden", "without_inter", "without_top_k", "without_experts"};

/* Of the file. */
typedef struct {
    size_t n;
    int32_t *column[FIT_TEXTS + FIT_SHAPE]; /* [n] */
    double *parameters;                     /* [n][MOE_FFN_PARAMETERS] */
    double *error;                          /* [n] */
} fits;

static const char *fit_column(int c)
{
    return c < FIT_TEXTS ? moe_measured_moe.text[c] : without[c - FIT_TEXTS];
}

static void read_fits(update *u, fits *f)
{
    hsize_t n = 0;
    hid_t group = moe_h5_open_group(u->file, "moe_fit", u->err);
    moe_h5_dims(group, "gpu", 1, &n, u->err);
    f->n = n;
    for (int c = 0; c < FIT_TEXTS + FIT_SHAPE && u->err->status == MOE_OK; c++)
        f->column[c] = read_ints(group, fit_column(c), n, u->err);
    if (u->err->status == MOE_OK) {
        f->parameters =
            moe_h5_read(group, "parameters", H5T_NATIVE_DOUBLE, sizeof(double),
                        n * MOE_FFN_PARAMETERS, u->err);
        f->error = moe_h5_read(group, "median_error", H5T_NATIVE_DOUBLE,
                               sizeof(double), n, u->err);
    }
    moe_h5_close(group);
}

static bool has_fit(const fits *f, const int32_t *kernel)
{
    for (size_t i = 0; i < f->n; i++) {
        bool same = true;
        for (int c = 0; c < FIT_TEXTS; c++)
            same = same && f->column[c][i] == kernel[c];
        if (same)
            return true;
    }
    return false;
}

static bool same_kernel(const moe_measurement *a, const moe_measurement *b)
{
    for (int c = 0; c < FIT_TEXTS; c++)
        if (strcmp(a->text[c], b->text[c]) != 0)
            return false;
    return true;
}

/* Fit to all rows [begin, end) of the kernel of row `of`. */
static void add_fit(update *u, fits *f, const int32_t *kernel, size_t of,
                    size_t begin, size_t end)
{
    const size_t more = f->n + 1;
    moe_ffn_point *point = moe_array_new(end - begin, sizeof *point, u->err);
    double *error = moe_array_new(end - begin, sizeof *error, u->err);
    size_t n = 0;
    for (size_t i = begin; point != NULL && i < end; i++) {
        const moe_measurement *r = &u->m->row[i];
        if (!same_kernel(r, &u->m->row[of]))
            continue;
        point[n++] = (moe_ffn_point){
            .key = {.distribution = r->text[4],
                    .hidden = r->number[0],
                    .inter = r->number[1],
                    .top_k = r->number[2],
                    .experts = r->number[3],
                    .ep = r->number[4]},
            .weight_bytes = strcmp(r->text[3], "bfloat16") == 0 ? 2 : 1,
            .tokens = r->x,
            .time_us = r->time_us};
    }
    for (int c = 0; c < FIT_TEXTS + FIT_SHAPE && error != NULL; c++) {
        int32_t *column = realloc(f->column[c], more * sizeof *column);
        if (column == NULL) {
            moe_fail(u->err, MOE_NOMEM, "out of memory");
            break;
        }
        f->column[c] = column;
        column[f->n] = c < FIT_TEXTS ? kernel[c] : 0;
    }
    double *parameters =
        realloc(f->parameters, more * MOE_FFN_PARAMETERS * sizeof *parameters);
    f->parameters = parameters != NULL ? parameters : f->parameters;
    double *errors = realloc(f->error, more * sizeof *errors);
    f->error = errors != NULL ? errors : f->error;
    if (u->err->status == MOE_OK && parameters != NULL && errors != NULL) {
        moe_silicon_fit_ffn(point, n, parameters + f->n * MOE_FFN_PARAMETERS,
                            error);
        errors[f->n] = moe_median_sorting(error, n);
        moe_remark(u->said,
                   "%s %s %s %s: a model is fitted to %zu rows: median "
                   "difference %.1f %%",
                   u->m->row[of].text[0], u->m->row[of].text[1],
                   u->m->row[of].text[2], u->m->row[of].text[3], n,
                   100 * errors[f->n]);
        f->n = more;
    }
    free(error);
    free(point);
}

static void write_fits(update *u, const fits *f)
{
    hid_t group = moe_h5_open_group(u->file, "moe_fit", u->err);
    const hsize_t dims[] = {f->n, MOE_FFN_PARAMETERS};
    for (int c = 0; c < FIT_TEXTS + FIT_SHAPE; c++)
        put_ints(u, group, fit_column(c), f->column[c], f->n);
    put(u, group, "parameters", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE,
        f->parameters, 2, dims);
    put(u, group, "median_error", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, f->error,
        1, dims);
    moe_h5_close(group);
}

static void fit_kernels(update *u, size_t begin, size_t end)
{
    fits f = {.n = 0};
    read_fits(u, &f);
    const size_t before = f.n;
    for (size_t i = begin; i < end && u->err->status == MOE_OK;
         i = end_of(u->m, i)) {
        int32_t kernel[FIT_TEXTS];
        for (int c = 0; c < FIT_TEXTS; c++)
            kernel[c] = code_of(u, u->m->row[i].text[c]);
        if (!has_fit(&f, kernel))
            add_fit(u, &f, kernel, i, begin, end);
    }
    if (u->err->status == MOE_OK && f.n > before)
        write_fits(u, &f);
    for (int c = 0; c < FIT_TEXTS + FIT_SHAPE; c++)
        free(f.column[c]);
    free(f.parameters);
    free(f.error);
}

/* ---- all ---- */

/* Models of dense kernels are bundled, one for each GPU and stack. */
static void check_kernels(update *u, const table_group *old, size_t begin,
                          size_t end)
{
    int32_t key[MOST_COLUMNS];
    if (old->group != &moe_measured_attention &&
        old->group != &moe_measured_gemm)
        return;
    for (size_t r = begin; r < end && u->err->status == MOE_OK;
         r = end_of(u->m, r)) {
        bool there = false;
        encode(u, old, &u->m->row[r], key);
        for (size_t i = 0; i < old->n && !there; i++)
            there = old->column[0][i] == key[0] && old->column[1][i] == key[1];
        if (!there)
            moe_fail(u->err, MOE_USAGE,
                     "%s:%" PRIu64 ": %s of %s on %s is not among the bundled "
                     "kernels, whose model it needs",
                     u->m->row[r].path, u->m->row[r].line, old->group->name,
                     u->m->row[r].text[1], u->m->row[r].text[0]);
    }
}

/* Rows of slow kernels stay where nothing was measured. */
static void update_slow(update *u, size_t begin, size_t end)
{
    moe_measured_group slow = moe_measured_moe;
    slow.name = "moe_slow";
    table_group old = {.group = &slow}, made = {.group = &slow};
    if (!moe_h5_exists(u->file, slow.name))
        return;
    read_group(u, &old);
    count_columns(&made);
    keep_others(u, &old, begin, end, &made);
    if (u->err->status == MOE_OK && made.n > 0)
        write_group(u, &made);
    else if (u->err->status == MOE_OK)
        H5Ldelete(u->file, slow.name, H5P_DEFAULT);
    free_group(&old);
    free_group(&made);
}

static void update_group(update *u, size_t begin, size_t end)
{
    const moe_measured_group *group = u->m->row[begin].group;
    table_group old = {.group = group}, made = {.group = group};
    read_group(u, &old);
    if (u->err->status == MOE_OK) {
        count_columns(&made);
        check_kernels(u, &old, begin, end);
        add_measured(u, begin, end, &made); /* of equals the first is taken */
        keep_others(u, &old, begin, end, &made);
        write_group(u, &made);
    }
    free_group(&old);
    free_group(&made);
    if (u->err->status == MOE_OK && group == &moe_measured_moe) {
        update_slow(u, begin, end);
        fit_kernels(u, begin, end);
    }
}

static moe_status copy_file(const char *from, const char *to, moe_error *err)
{
    char *data = NULL;
    size_t bytes = 0;
    if (moe_read_bytes(from, &data, &bytes, err) != MOE_OK)
        return err->status;
    FILE *out = fopen(to, "wb");
    if (out == NULL || fwrite(data, 1, bytes, out) != bytes)
        moe_fail(err, MOE_IO, "%s: %s", to, strerror(errno));
    if (out != NULL && fclose(out) != 0)
        moe_fail(err, MOE_IO, "%s: %s", to, strerror(errno));
    free(data);
    return err->status;
}

static const moe_measured_group *const all_groups[] = {
    &moe_measured_moe, &moe_measured_collectives, &moe_measured_attention,
    &moe_measured_gemm};

static void say_bundled(const update *u)
{
    char names[96] = "";
    for (size_t g = 0; g < MOE_ARRAY_LEN(all_groups); g++) {
        bool there = false;
        for (size_t i = 0; i < u->m->n && !there; i++)
            there = u->m->row[i].group == all_groups[g];
        if (!there)
            moe_text_add(names, sizeof names, ", ", "%s", all_groups[g]->name);
    }
    if (names[0] != '\0')
        moe_remark(u->said, "not measured, so as %s: %s",
                   u->bundled ? "bundled" : "they were", names);
}

moe_status moe_silicon_update(const char *from, const char *to,
                              moe_measurements *rows, moe_remarks *said,
                              moe_error *err)
{
    char found[4096];
    moe_error local = {0};
    update u = {
        .m = rows, .said = said, .err = &local, .bundled = from == NULL};
    if (from == NULL)
        moe_profile_find("silicon", "tables", ".h5", found, sizeof found,
                         &local);
    if (moe_measured_clean(rows, said, &local) != MOE_OK ||
        copy_file(from != NULL ? from : found, to, &local) != MOE_OK)
        return moe_pass(err, &local);
    u.file = moe_h5_open(to, true, &local);
    if (local.status == MOE_OK)
        u.names = moe_h5_read_strings(u.file, "names", &u.n_names, &local);
    u.old_names = u.n_names;
    for (size_t i = 0, end; i < rows->n && local.status == MOE_OK; i = end) {
        for (end = i;
             end < rows->n && rows->row[end].group == rows->row[i].group; end++)
            ;
        update_group(&u, i, end);
    }
    if (local.status == MOE_OK) {
        write_names(&u);
        say_bundled(&u);
    }
    moe_h5_free_strings(u.names, u.n_names);
    if (u.file >= 0)
        moe_h5_close_file(u.file, &local);
    return moe_pass(err, &local);
}

/* ---- left out one by one ---- */

/* Add the errors of a curve's or a collective's inner rows.
 * @return how many. */
static size_t errors_of(const moe_silicon *s, const moe_measurement *r,
                        double *out, moe_error *err)
{
    size_t n = 0;
    if (r->group == &moe_measured_collectives) {
        moe_link link;
        if (moe_silicon_link(s, r->text[2], r->text[0], r->text[1], &link,
                             err) != MOE_OK)
            return 0;
        for (size_t c = 0; c < link.n_counts; c++)
            for (size_t i = 1;
                 link.count[c].gpus == r->number[0] && i + 1 < link.count[c].n;
                 i++)
                out[n++] = link.count[c].error[i];
        return n;
    }
    const moe_ffn_key key = {.gpu = r->text[0],
                             .stack = r->text[1],
                             .kernel = r->text[2],
                             .dtype = r->text[3],
                             .distribution = r->text[4],
                             .hidden = r->number[0],
                             .inter = r->number[1],
                             .top_k = r->number[2],
                             .experts = r->number[3],
                             .ep = r->number[4]};
    moe_curve curve;
    if (r->group != &moe_measured_moe ||
        moe_silicon_ffn(s, &key, NULL, &curve, err) != MOE_OK)
        return 0;
    for (size_t i = 1; i + 1 < curve.n; i++)
        out[n++] = curve.error[i];
    return n;
}

moe_status moe_silicon_update_errors(const char *tables,
                                     const moe_measurements *rows,
                                     moe_remarks *said, moe_error *err)
{
    double error[MOE_CURVE_POINTS * MOE_LINK_COUNTS];
    moe_error local = {0};
    moe_silicon *s = moe_silicon_open(tables, &local);
    for (size_t i = 0; i < rows->n && local.status == MOE_OK;
         i = end_of(rows, i)) {
        char key[256];
        const size_t n = errors_of(s, &rows->row[i], error, &local);
        moe_measured_key(&rows->row[i], key, sizeof key);
        if (n == 0)
            continue;
        const double median = moe_median_sorting(error, n);
        moe_remark(said,
                   "%s: each of %zu inner rows left out: median error %.1f %%, "
                   "90 %% %.1f %%",
                   key, n, 100 * median,
                   100 * moe_quantile_sorted(error, n, 0.9));
    }
    moe_silicon_close(s);
    return moe_pass(err, &local);
}
