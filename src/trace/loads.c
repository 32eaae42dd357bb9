/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/loads.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/csv.h"
#include "moegps/h5.h"
#include "moegps/json.h"
#include "moegps/mem.h"
#include "moegps/npy.h"
#include "moegps/trace.h"

/* Sums of whole numbers are exact up to here. */
static const double MOST_LOAD = 9007199254740992.0; /* 2^53 */
enum { MAX_LAYERS = 32768 };

static moe_status refuse(const char *path, const char *why, moe_error *err)
{
    return moe_fail(err, MOE_FORMAT, "%s: %s", path, why);
}

/* Take over sizes of two or three dimensions, and allocate. */
static moe_status take_dims(const char *path, int rank, const size_t *dims,
                            moe_loads *out, moe_error *err)
{
    if (rank != 2 && rank != 3)
        return refuse(path,
                      "is neither [layers, experts] nor [steps, layers, "
                      "experts]",
                      err);
    const size_t steps = rank == 3 ? dims[0] : 1;
    const size_t layers = dims[rank - 2], experts = dims[rank - 1];
    if (steps == 0 || layers == 0 || experts == 0)
        return refuse(path, "has no step, layer or expert", err);
    if (layers > MAX_LAYERS || experts > MOE_MAX_EXPERTS ||
        steps > SIZE_MAX / sizeof(double) / layers / experts)
        return moe_fail(err, MOE_FORMAT,
                        "%s: %zu steps, %zu layers and %zu experts are too "
                        "many (at most %d layers, %d experts)",
                        path, steps, layers, experts, MAX_LAYERS,
                        MOE_MAX_EXPERTS);
    out->steps = steps;
    out->layers = (int)layers;
    out->experts = (int)experts;
    out->value = moe_array_new(steps * layers * experts, sizeof(double), err);
    return out->value != NULL ? MOE_OK : MOE_NOMEM;
}

static size_t n_values(const moe_loads *l)
{
    return l->steps * (size_t)l->layers * (size_t)l->experts;
}

/* ---- .npy ---- */

static moe_status read_npy(const char *path, moe_loads *out, moe_error *err)
{
    moe_npy array = {0};
    moe_status status = moe_npy_open(path, &array, err);
    if (status == MOE_OK)
        status = take_dims(path, array.rank, array.dims, out, err);
    if (status == MOE_OK)
        status = moe_npy_read_real(&array, n_values(out), out->value, err);
    if (status == MOE_OK)
        status = moe_npy_end(&array, err);
    moe_npy_close(&array);
    return status;
}

/* ---- JSON ---- */

static size_t json_length(const json_t *list)
{
    return json_is_array(list) ? json_array_size(list) : 0;
}

static moe_status take_rows(const char *path, const json_t *layers, size_t step,
                            moe_loads *out, moe_error *err)
{
    const size_t n_l = (size_t)out->layers, n_e = (size_t)out->experts;
    for (size_t l = 0; l < n_l; l++) {
        const json_t *row = json_array_get(layers, l);
        if (json_length(layers) != n_l || json_length(row) != n_e)
            return moe_fail(err, MOE_FORMAT,
                            "%s: step %zu, layer %zu is not a list of %zu "
                            "loads as the first one is",
                            path, step, l, n_e);
        for (size_t e = 0; e < n_e; e++) {
            const json_t *x = json_array_get(row, e);
            if (!json_is_number(x))
                return moe_fail(err, MOE_FORMAT,
                                "%s: step %zu, layer %zu, expert %zu is not "
                                "a number",
                                path, step, l, e);
            out->value[(step * n_l + l) * n_e + e] = json_number_value(x);
        }
    }
    return MOE_OK;
}

static moe_status take_json(const char *path, const json_t *root,
                            moe_loads *out, moe_error *err)
{
    const json_t *top =
        json_is_object(root) ? json_object_get(root, "loads") : root;
    size_t dims[4] = {0};
    int rank = 0;
    for (const json_t *at = top; json_is_array(at) && rank < 4;
         at = json_array_get(at, 0))
        dims[rank++] = json_length(at);
    moe_status status = take_dims(path, rank, dims, out, err);
    for (size_t s = 0; status == MOE_OK && s < out->steps; s++)
        status = take_rows(path, rank == 3 ? json_array_get(top, s) : top, s,
                           out, err);
    return status;
}

static moe_status read_json(const char *path, moe_loads *out, moe_error *err)
{
    json_error_t why;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    if (root == NULL)
        return moe_fail(err, why.line < 0 ? MOE_USAGE : MOE_FORMAT, "%s: %s",
                        path, why.text);
    moe_status status = take_json(path, root, out, err);
    json_decref(root);
    return status;
}

/* ---- CSV ---- */

/* Whether the first line is loads, not names: all numbers, and not 0, 1, 2
 * or 1, 2, 3. */
static bool lacks_header(const moe_csv *csv)
{
    bool from_0 = true, from_1 = true;
    for (size_t c = 0; c < csv->n_columns; c++) {
        char *end;
        const double x = strtod(csv->field[c], &end);
        if (end == csv->field[c] || *end != '\0')
            return false;
        from_0 = from_0 && x == (double)c;
        from_1 = from_1 && x == (double)c + 1;
    }
    return !from_0 && !from_1;
}

/* A row per layer, a column per expert. */
static moe_status take_wide(const moe_csv *csv, moe_loads *out, moe_error *err)
{
    if (lacks_header(csv))
        return refuse(csv->path,
                      "line 1 is numbers; names of the columns are wanted "
                      "there, as in 0,1,2 or e0,e1,e2",
                      err);
    const size_t dims[] = {csv->n_rows, csv->n_columns};
    if (take_dims(csv->path, 2, dims, out, err) != MOE_OK)
        return err->status;
    for (size_t l = 0; l < csv->n_rows; l++)
        for (int e = 0; e < out->experts; e++)
            out->value[l * csv->n_columns + (size_t)e] =
                moe_csv_number(csv, l, e, 0, MOST_LOAD, err);
    return err->status;
}

/* Columns of a file with a row per load. */
typedef struct {
    int step, layer, expert, load;
} columns;

static int index_at(const moe_csv *csv, size_t row, int column, moe_error *err)
{
    return column >= 0 ? moe_csv_int(csv, row, column, 0, MAX_LAYERS * 32, err)
                       : 0;
}

/* Loads that have no row are 0. */
static moe_status take_long(const moe_csv *csv, const columns *c,
                            moe_loads *out, moe_error *err)
{
    size_t dims[3] = {0};
    const int column[3] = {c->step, c->layer, c->expert};
    for (size_t r = 0; r < csv->n_rows; r++)
        for (int d = 0; d < 3; d++) {
            const size_t n = (size_t)index_at(csv, r, column[d], err) + 1;
            dims[d] = n > dims[d] ? n : dims[d];
        }
    if (err->status != MOE_OK ||
        take_dims(csv->path, 3, dims, out, err) != MOE_OK)
        return err->status;
    for (size_t r = 0; r < csv->n_rows && err->status == MOE_OK; r++) {
        size_t at = 0;
        for (int d = 0; d < 3; d++)
            at = at * dims[d] + (size_t)index_at(csv, r, column[d], err);
        out->value[at] += moe_csv_number(csv, r, c->load, 0, MOST_LOAD, err);
    }
    return err->status;
}

static int find_any(const moe_csv *csv, const char *const *names)
{
    int found = -1;
    for (; *names != NULL && found < 0; names++)
        found = moe_csv_find(csv, *names);
    return found;
}

static moe_status read_csv(const char *path, moe_loads *out, moe_error *err)
{
    static const char *const loads[] = {"load", "count", "tokens", NULL};
    moe_csv csv = {0};
    if (moe_csv_read(path, &csv, err) == MOE_OK) {
        const columns c = {.step = moe_csv_find(&csv, "step"),
                           .layer = moe_csv_find(&csv, "layer"),
                           .expert = moe_csv_find(&csv, "expert"),
                           .load = find_any(&csv, loads)};
        if (c.layer >= 0 && c.expert >= 0 && c.load >= 0)
            take_long(&csv, &c, out, err);
        else if (c.step >= 0 || c.layer >= 0 || c.expert >= 0)
            refuse(path,
                   "wants columns layer, expert and load (or count, tokens), "
                   "or a column per expert",
                   err);
        else
            take_wide(&csv, out, err);
    }
    moe_csv_free(&csv);
    return err->status;
}

/* ---- HDF5 ---- */

static void take_trace(const moe_trace *t, moe_loads *out, moe_error *err)
{
    const bool loads = t->kind == MOE_TRACE_LOADS;
    const size_t dims[] = {loads ? t->n_seqs : 2, (size_t)t->layers,
                           (size_t)t->experts};
    uint64_t *counts = moe_array_new(dims[2], sizeof *counts, err);
    if (counts == NULL || take_dims("trace", 3, dims, out, err) != MOE_OK) {
        free(counts);
        return;
    }
    for (size_t i = 0; loads && i < n_values(out); i++)
        out->value[i] = t->counts[i];
    for (size_t row = 0; !loads && row < 2 * dims[1]; row++) {
        moe_trace_counts(t, row < dims[1] ? MOE_PART_TRAIN : MOE_PART_TEST,
                         (int)(row % dims[1]), counts);
        for (size_t e = 0; e < dims[2]; e++)
            out->value[row * dims[2] + e] = (double)counts[e];
    }
    free(counts);
}

static void take_dataset(hid_t file, const char *path, const char *dataset,
                         moe_loads *out, moe_error *err)
{
    const char *name = dataset != NULL                ? dataset
                       : moe_h5_exists(file, "loads") ? "loads"
                                                      : "counts";
    hsize_t dims[MOE_H5_MAX_RANK] = {0};
    size_t sizes[MOE_H5_MAX_RANK] = {0};
    hid_t set = moe_h5_open_dataset(file, name, err);
    hid_t space = set >= 0 ? H5Dget_space(set) : H5I_INVALID_HID;
    const int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : 0;
    if (err->status == MOE_OK && rank >= 1 && rank <= MOE_H5_MAX_RANK) {
        H5Sget_simple_extent_dims(space, dims, NULL);
        for (int d = 0; d < rank; d++)
            sizes[d] = dims[d];
    }
    if (err->status == MOE_OK &&
        take_dims(path, rank, sizes, out, err) == MOE_OK &&
        H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                out->value) < 0)
        moe_fail(err, MOE_FORMAT, "%s: %s: cannot be read as numbers", path,
                 name);
    moe_h5_close(space);
    moe_h5_close(set);
}

static moe_status read_h5(const char *path, const char *dataset, moe_loads *out,
                          moe_error *err)
{
    char schema[64] = "";
    hid_t file = moe_h5_open(path, false, err);
    if (err->status != MOE_OK)
        return err->status;
    if (moe_h5_has(file, "schema"))
        moe_h5_get_text(file, "schema", schema, sizeof schema, err);
    const bool ours = strcmp(schema, MOE_TRACE_SCHEMA) == 0;
    if (!ours)
        take_dataset(file, path, dataset, out, err);
    moe_h5_close_file(file, err);
    moe_trace trace = {.shared = MPI_WIN_NULL};
    if (ours && moe_trace_read(path, &trace, err) == MOE_OK)
        take_trace(&trace, out, err);
    moe_trace_free(&trace);
    return err->status;
}

/* ---- all ---- */

static moe_status check(const char *path, const moe_loads *l, moe_error *err)
{
    const size_t n_e = (size_t)l->experts, n_l = (size_t)l->layers;
    for (size_t row = 0; row < l->steps * n_l; row++) {
        double sum = 0;
        for (size_t e = 0; e < n_e; e++) {
            const double x = l->value[row * n_e + e];
            if (!isfinite(x) || x < 0)
                return moe_fail(err, MOE_FORMAT,
                                "%s: step %zu, layer %zu, expert %zu: %g is "
                                "not a finite load >= 0",
                                path, row / n_l, row % n_l, e, x);
            sum += x;
        }
        if (!(sum > 0))
            return moe_fail(err, MOE_FORMAT,
                            "%s: step %zu, layer %zu: all loads are 0", path,
                            row / n_l, row % n_l);
        if (sum > MOST_LOAD)
            return moe_fail(err, MOE_FORMAT,
                            "%s: step %zu, layer %zu: loads sum to %g, above "
                            "2^53",
                            path, row / n_l, row % n_l, sum);
    }
    return MOE_OK;
}

moe_status moe_loads_read(const char *path, const char *dataset, moe_loads *out,
                          moe_error *err)
{
    const char *dot = strrchr(path, '.');
    moe_error local = {0};
    *out = (moe_loads){0};
    if (dot != NULL && strcmp(dot, ".npy") == 0)
        read_npy(path, out, &local);
    else if (dot != NULL && strcmp(dot, ".json") == 0)
        read_json(path, out, &local);
    else if (dot != NULL && strcmp(dot, ".csv") == 0)
        read_csv(path, out, &local);
    else if (dot != NULL &&
             (strcmp(dot, ".h5") == 0 || strcmp(dot, ".hdf5") == 0))
        read_h5(path, dataset, out, &local);
    else
        moe_fail(&local, MOE_USAGE,
                 "%s: does not end in .csv, .npy, .json, .h5 or .hdf5", path);
    if (local.status == MOE_OK)
        check(path, out, &local);
    return moe_pass(err, &local);
}

void moe_loads_fini(moe_loads *loads)
{
    free(loads->value);
    *loads = (moe_loads){0};
}

const double *moe_loads_at(const moe_loads *loads, size_t step, int layer)
{
    return loads->value + (step * (size_t)loads->layers + (size_t)layer) *
                              (size_t)loads->experts;
}
