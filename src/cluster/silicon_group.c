/* SPDX-License-Identifier: Apache-2.0 */
#include "silicon_group.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/ctx.h"
#include "moegps/h5.h"
#include "moegps/mem.h"

static const char *column_name(const moe_measured_group *g, int texts, int c)
{
    return c < texts ? g->text[c] : g->number[c - texts];
}

void moe_silicon_group_begin(moe_silicon_group *t)
{
    while (t->group->text[t->texts] != NULL)
        t->texts++;
    while (t->group->number[t->columns] != NULL)
        t->columns++;
    t->columns += t->texts;
}

int32_t *moe_silicon_read_ints(hid_t group, const char *name, size_t n,
                               moe_error *err)
{
    return moe_h5_read(group, name, H5T_NATIVE_INT32, sizeof(int32_t), n, err);
}

void moe_silicon_group_read(moe_silicon_change *u, moe_silicon_group *t)
{
    hsize_t n = 0, rows = 0;
    hid_t group = moe_h5_open_group(u->file, t->group->name, u->err);
    moe_silicon_group_begin(t);
    moe_h5_dims(group, t->group->text[0], 1, &n, u->err);
    moe_h5_dims(group, "x", 1, &rows, u->err);
    t->n = n;
    t->rows = rows;
    for (int c = 0; c < t->columns && u->err->status == MOE_OK; c++)
        t->column[c] = moe_silicon_read_ints(
            group, column_name(t->group, t->texts, c), n, u->err);
    if (u->err->status == MOE_OK) {
        t->first = moe_silicon_read_ints(group, "first", n + 1, u->err);
        t->x = moe_silicon_read_ints(group, "x", rows, u->err);
        t->time_us = moe_h5_read(group, "latency_us", H5T_NATIVE_FLOAT,
                                 sizeof(float), rows, u->err);
    }
    moe_h5_close(group);
}

void moe_silicon_group_fini(moe_silicon_group *t)
{
    for (int c = 0; c < MOE_SILICON_COLUMNS; c++)
        free(t->column[c]);
    free(t->first);
    free(t->x);
    free(t->time_us);
}

/* @return the code of a text, a new one where it is not known; -1: with an
 * error. */
int32_t moe_silicon_code_of(moe_silicon_change *u, const char *text)
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

void moe_silicon_encode(moe_silicon_change *u, const moe_silicon_group *t,
                        const moe_measurement *r, int32_t *key)
{
    for (int c = 0; c < t->columns; c++)
        key[c] = c < t->texts ? moe_silicon_code_of(u, r->text[c])
                              : r->number[c - t->texts];
}

/* Append a table. @param x, time_us  [rows] */
void moe_silicon_group_append(moe_silicon_change *u, moe_silicon_group *to,
                              const int32_t *key, const int32_t *x,
                              const float *time_us, size_t rows)
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
size_t moe_silicon_key_end(const moe_measurements *m, size_t i)
{
    size_t end = i;
    while (end < m->n && moe_measured_order(&m->row[i], &m->row[end]) == 0)
        end++;
    return end;
}

/* ---- writing ---- */

void moe_silicon_put(moe_silicon_change *u, hid_t group,
                     const moe_silicon_data *d)
{
    if (u->err->status != MOE_OK)
        return;
    H5Ldelete(group, d->name, H5P_DEFAULT);
    hid_t space = H5Screate_simple(d->dims[1] > 0 ? 2 : 1, d->dims, NULL);
    hid_t set = H5Dcreate2(group, d->name, d->type, space, H5P_DEFAULT,
                           H5P_DEFAULT, H5P_DEFAULT);
    if (set < 0 ||
        H5Dwrite(set, d->memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, d->data) < 0)
        moe_fail(u->err, MOE_IO, "dataset '%s' cannot be written", d->name);
    H5Dclose(set);
    H5Sclose(space);
}

void moe_silicon_put_ints(moe_silicon_change *u, hid_t group, const char *name,
                          const int32_t *data, size_t n)
{
    const moe_silicon_data ints = {
        name, H5T_STD_I32LE, H5T_NATIVE_INT32, data, {n}};
    moe_silicon_put(u, group, &ints);
}

void moe_silicon_group_write(moe_silicon_change *u, const moe_silicon_group *t)
{
    hid_t group = moe_h5_open_group(u->file, t->group->name, u->err);
    for (int c = 0; c < t->columns; c++)
        moe_silicon_put_ints(u, group, column_name(t->group, t->texts, c),
                             t->column[c], t->n);
    moe_silicon_put_ints(u, group, "first", t->first, t->n + 1);
    moe_silicon_put_ints(u, group, "x", t->x, t->rows);
    const moe_silicon_data times = {
        "latency_us", H5T_IEEE_F32LE, H5T_NATIVE_FLOAT, t->time_us, {t->rows}};
    moe_silicon_put(u, group, &times);
    moe_h5_close(group);
}

void moe_silicon_names_write(moe_silicon_change *u)
{
    if (u->n_names == u->old_names)
        return;
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    const moe_silicon_data names = {
        "names", type, type, u->names, {u->n_names}};
    moe_silicon_put(u, u->file, &names);
    H5Tclose(type);
}
