/* SPDX-License-Identifier: Apache-2.0 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "moegps/choices.h"
#include "moegps/ctx.h"
#include "moegps/detail.h"
#include "moegps/h5.h"
#include "moegps/learned.h"
#include "moegps/map.h"
#include "moegps/mem.h"
#include "moegps/recording.h"
#include "moegps/trace.h"
#include "moegps/view.h"
#include "moegps/work.h"

enum { MOST_CHANGES = 16, MOST_BYTES = 1 << 20, LONGEST_NAME = 256 };

/* ---- readers ---- */

static void read_trace(const char *path)
{
    const moe_recording_options any = {.dataset = ""};
    moe_trace t = {.shared = MPI_WIN_NULL};
    moe_recording r = {0};
    moe_error err = {0};
    if (moe_trace_read(path, &t, &err) == MOE_OK)
        moe_trace_free(&t);
    err = (moe_error){0};
    if (moe_recording_read(path, &any, &r, &err) == MOE_OK)
        moe_recording_fini(&r);
}

static void read_result(const char *path)
{
    moe_view *views = NULL;
    size_t n = 0;
    moe_error err = {0};
    if (moe_views_append(path, &views, &n, &err) != MOE_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        moe_detail detail = {0};
        moe_choices *choices = NULL;
        moe_work work = {0};
        int chosen = 0;
        err = (moe_error){0};
        if (moe_detail_read(&views[i], 0, MOE_CLOCK_GPU, &detail, &err) ==
            MOE_OK)
            moe_detail_free(&detail);
        err = (moe_error){0};
        if (moe_choices_read(&views[i], &choices, &chosen, &err) == MOE_OK)
            moe_choices_free(choices, chosen);
        err = (moe_error){0};
        if (moe_work_read(&views[i], &work, &err) == MOE_OK)
            moe_work_fini(&work);
    }
    moe_views_free(views, n);
}

static void read_map(const char *path)
{
    moe_map map = {0};
    moe_error err = {0};
    if (moe_map_read(path, &map, &err) == MOE_OK)
        moe_map_fini(&map);
}

static void read_predictors(const char *path)
{
    moe_learned learned = {0};
    moe_error err = {0};
    if (moe_learned_read(path, &learned, &err) == MOE_OK)
        moe_learned_free(&learned);
}

/* ---- files ---- */

static struct {
    const char *name;
    void (*read)(const char *path);
    char *data; /* NULL: there is none */
    size_t bytes;
} files[] = {{"token.h5", read_trace, NULL, 0},
             {"load.h5", read_trace, NULL, 0},
             {"loads.h5", read_trace, NULL, 0},
             {"run.h5", read_result, NULL, 0},
             {"sweep.h5", read_result, NULL, 0},
             {"map.h5", read_map, NULL, 0},
             {"predictors.h5", read_predictors, NULL, 0}};

static const char *changed; /* where they go */

static void finish(void)
{
    MPI_Finalize();
}

/* Loads as another program has them. */
static void write_loads(const char *path)
{
    static const double loads[2][2][4] = {{{1, 2, 3, 4}, {4, 3, 2, 1}},
                                          {{2, 2, 3, 3}, {5, 3, 1, 1}}};
    static const hsize_t dims[] = {2, 2, 4};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(3, dims, NULL);
    hid_t set = H5Dcreate2(file, "loads", H5T_NATIVE_DOUBLE, space, H5P_DEFAULT,
                           H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, loads);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(file);
}

void fuzz_h5_begin(const char *path)
{
    char from[1024];
    const char *folder = getenv("FUZZ_H5");
    int ranks = 0, there = 0;
    MPI_Initialized(&ranks);
    if (!ranks)
        MPI_Init(NULL, NULL); /* HDF5 is parallel */
    if (!ranks)
        atexit(finish);
    moe_h5_quiet();
    changed = path;
    for (size_t i = 0; folder != NULL && i < MOE_ARRAY_LEN(files); i++) {
        moe_error err = {0};
        snprintf(from, sizeof from, "%s/%s", folder, files[i].name);
        if (strcmp(files[i].name, "loads.h5") == 0)
            write_loads(from);
        if (moe_read_bytes(from, &files[i].data, &files[i].bytes, &err) ==
            MOE_OK)
            there++;
        else
            fprintf(stderr, "%s\n", err.text);
    }
    if (there < (int)MOE_ARRAY_LEN(files)) {
        fprintf(stderr, "FUZZ_H5 has %d of %zu files\n", there,
                MOE_ARRAY_LEN(files));
        exit(1);
    }
}

/* ---- changes ---- */

/* What an input says of one change, 14 bytes. */
typedef struct {
    uint8_t what, where; /* which object, attribute */
    uint32_t at;         /* byte of its data */
    uint8_t byte[8];     /* that come there */
} change;

/* The object to be changed, found by counting. */
typedef struct {
    int left;
    char name[LONGEST_NAME];
} search;

static herr_t count(hid_t root, const char *name, const H5O_info_t *info,
                    void *arg)
{
    search *s = arg;
    (void)root, (void)info;
    snprintf(s->name, sizeof s->name, "%s", name);
    return s->left-- == 0;
}

static hid_t number_type(hid_t type)
{
    const H5T_class_t kind = H5Tget_class(type);
    return kind == H5T_INTEGER || kind == H5T_FLOAT
               ? H5Tget_native_type(type, H5T_DIR_DEFAULT)
               : H5I_INVALID_HID;
}

static void put_bytes(void *data, size_t bytes, const change *c)
{
    for (size_t i = 0; i < sizeof c->byte; i++)
        ((uint8_t *)data)[(c->at + i) % bytes] = c->byte[i];
}

static void change_data(hid_t set, const change *c)
{
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    hid_t native = number_type(type);
    const hssize_t n = H5Sget_simple_extent_npoints(space);
    const size_t bytes =
        native >= 0 && n > 0 ? (size_t)n * H5Tget_size(native) : 0;
    void *data = bytes > 0 && bytes <= MOST_BYTES ? malloc(bytes) : NULL;
    if (data != NULL &&
        H5Dread(set, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0) {
        put_bytes(data, bytes, c);
        H5Dwrite(set, native, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    }
    free(data);
    moe_h5_close(native);
    moe_h5_close(type);
    moe_h5_close(space);
}

/* A text becomes another one, a number other bytes. */
static void change_attribute(hid_t object, const change *c)
{
    const int n = H5Aget_num_attrs(object);
    hid_t attr = n > 0 ? H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC,
                                        (hsize_t)(c->where % n), H5P_DEFAULT,
                                        H5P_DEFAULT)
                       : H5I_INVALID_HID;
    if (attr < 0)
        return;
    char name[LONGEST_NAME], text[sizeof c->byte + 1] = "";
    char *new_text = text;
    uint8_t data[4096];
    hid_t type = H5Aget_type(attr), native = number_type(type);
    hid_t space = H5Aget_space(attr);
    H5Aget_name(attr, sizeof name, name);
    memcpy(text, c->byte, sizeof c->byte);
    if ((c->what & 64) != 0)
        H5Adelete(object, name);
    else if (native >= 0 && H5Aget_storage_size(attr) <= sizeof data / 8 &&
             H5Aread(attr, native, data) >= 0) {
        put_bytes(data, H5Tget_size(native), c);
        H5Awrite(attr, native, data);
    } else if (H5Tis_variable_str(type) > 0 &&
               H5Sget_simple_extent_npoints(space) == 1) {
        H5Awrite(attr, type, &new_text);
    }
    moe_h5_close(space);
    moe_h5_close(native);
    moe_h5_close(type);
    H5Aclose(attr);
}

/* A dataset of other sizes, or another type, in its place. */
static void change_shape(hid_t file, const char *name, const change *c)
{
    const hsize_t dims[] = {c->byte[0] % 5u, c->byte[1] % 5u, c->byte[2] % 5u};
    hid_t space = H5Screate_simple(c->byte[3] % 4, dims, NULL);
    H5Ldelete(file, name, H5P_DEFAULT);
    hid_t set = H5Dcreate2(file, name,
                           c->byte[4] % 2 != 0 ? H5T_STD_I32LE : H5T_IEEE_F64LE,
                           space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    if (set >= 0)
        change_data(set, c);
    moe_h5_close(set);
    moe_h5_close(space);
}

static void apply(hid_t file, const change *c)
{
    search s = {.left = c->where};
    H5Ovisit(file, H5_INDEX_NAME, H5_ITER_INC, count, &s);
    const bool root = strcmp(s.name, ".") == 0;
    hid_t object = H5Oopen(file, s.name, H5P_DEFAULT);
    if (object < 0)
        return;
    const bool set = H5Iget_type(object) == H5I_DATASET;
    const int what = c->what % 8;
    if (what < 4 && set)
        change_data(object, c);
    else if (what < 6)
        change_attribute(object, c);
    H5Oclose(object);
    if (what == 6 && !root && set)
        change_shape(file, s.name, c);
    else if (what == 7 && !root)
        H5Ldelete(file, s.name, H5P_DEFAULT);
}

void fuzz_h5(const uint8_t *data, size_t size)
{
    change c;
    if (size < 1)
        return;
    const size_t which = *data++ % MOE_ARRAY_LEN(files);
    FILE *f = fopen(changed, "wb");
    if (f == NULL)
        return;
    fwrite(files[which].data, 1, files[which].bytes, f);
    fclose(f);
    size--;
    hid_t file = H5Fopen(changed, H5F_ACC_RDWR, H5P_DEFAULT);
    for (int i = 0; i < MOST_CHANGES && size >= 14;
         i++, data += 14, size -= 14) {
        c.what = data[0];
        c.where = data[1];
        memcpy(&c.at, data + 2, sizeof c.at);
        memcpy(c.byte, data + 6, sizeof c.byte);
        apply(file, &c);
    }
    H5Fclose(file);
    files[which].read(changed);
}
