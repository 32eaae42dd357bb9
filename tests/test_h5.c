/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/h5.h"

#include <fcntl.h>
#include <hdf5_hl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "harness.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"

/* Tests run in processes of their own: each needs HDF5 quiet and a file. */
typedef struct {
    char path[300];
    hid_t file;
    moe_error err;
} bench;

static void bench_init(bench *b)
{
    moe_h5_quiet();
    memset(b, 0, sizeof *b);
    snprintf(b->path, sizeof b->path, "%s/x.h5", test_dir);
    unlink(b->path);
    b->file = moe_h5_create(b->path, &b->err);
    ck_assert_msg(b->err.status == MOE_OK, "%s", b->err.text);
}

static void bench_reopen(bench *b, bool writable)
{
    moe_h5_close_file(b->file, &b->err);
    b->file = moe_h5_open(b->path, writable, &b->err);
    ck_assert_msg(b->err.status == MOE_OK, "%s", b->err.text);
}

/* Nothing is left open, and the error is this one. */
static void bench_fini(bench *b, moe_status status, const char *says)
{
    ck_assert_int_eq(H5Fget_obj_count(b->file, H5F_OBJ_ALL), 1);
    moe_error err = {0};
    moe_h5_close_file(b->file, &err);
    ck_assert_str_eq(err.text, "");
    ck_assert_str_eq(moe_status_text(b->err.status), moe_status_text(status));
    ck_assert_msg(strstr(b->err.text, says) != NULL, "%s", b->err.text);
}

static void write_bytes(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(data, 1, n, f), n);
    fclose(f);
}

START_TEST(attributes_read_back)
{
    const char *const texts[] = {"word", "", "na\xc3\xafve lines"};
    const int64_t ints[] = {0, -1, INT64_MAX, INT64_MIN};
    const double reals[] = {0, 0.1, -INFINITY, 5e-324};
    bench b;
    bench_init(&b);
    hid_t group = moe_h5_create_group(b.file, "g", &b.err);
    for (size_t i = 0; i < MOE_ARRAY_LEN(ints); i++) {
        const char *text = texts[i % MOE_ARRAY_LEN(texts)];
        char back[64] = "before";
        moe_h5_put_text(group, "text", text, &b.err); /* again: replaced */
        moe_h5_put_int(group, "int", ints[i], &b.err);
        moe_h5_put_real(group, "real", reals[i], &b.err);
        moe_h5_get_text(group, "text", back, sizeof back, &b.err);
        ck_assert_str_eq(back, text);
        ck_assert_int_eq(moe_h5_get_int(group, "int", &b.err), ints[i]);
        ck_assert(moe_h5_get_real(group, "real", &b.err) == reals[i]);
    }
    ck_assert(moe_h5_get_real(group, "int", &b.err) == (double)INT64_MIN);
    ck_assert(moe_h5_has(group, "int") && !moe_h5_has(group, "Int"));
    ck_assert(!moe_h5_has(H5I_INVALID_HID, "int"));
    char cut[4] = "old", line[16] = "";
    moe_h5_put_text(b.file, "lines", "two\nlines\x1b", &b.err);
    moe_h5_get_text(b.file, "lines", line, sizeof line, &b.err);
    ck_assert_str_eq(line, "two?lines?");
    moe_h5_put_text(b.file, "null", NULL, &b.err);
    moe_h5_get_text(b.file, "null", cut, sizeof cut, &b.err);
    ck_assert_str_eq(cut, "");
    moe_h5_get_text(group, "text", cut, sizeof cut, &b.err);
    ck_assert_str_eq(cut, "wor");
    moe_h5_close(group);
    bench_fini(&b, MOE_OK, "");
}
END_TEST

/* What h5py and others write: fixed length, padded, one-element arrays. */
START_TEST(text_of_other_writers_is_read)
{
    const struct {
        H5T_str_t pad;
        size_t size;
        const char *bytes;
    } forms[] = {{H5T_STR_NULLTERM, 5, "word"},
                 {H5T_STR_NULLPAD, 4, "word"},
                 {H5T_STR_NULLPAD, 8, "word\0\0\0"},
                 {H5T_STR_SPACEPAD, 8, "word    "}};
    bench b;
    bench_init(&b);
    hsize_t one = 1;
    hid_t space = H5Screate_simple(1, &one, NULL);
    for (size_t i = 0; i < MOE_ARRAY_LEN(forms); i++) {
        hid_t type = H5Tcopy(H5T_C_S1);
        H5Tset_size(type, forms[i].size);
        H5Tset_strpad(type, forms[i].pad);
        hid_t attr =
            H5Acreate2(b.file, "a", type, space, H5P_DEFAULT, H5P_DEFAULT);
        H5Awrite(attr, type, forms[i].bytes);
        H5Aclose(attr);
        H5Tclose(type);
        char back[64];
        moe_h5_get_text(b.file, "a", back, sizeof back, &b.err);
        ck_assert_str_eq(back, "word");
        H5Adelete(b.file, "a");
    }
    H5Sclose(space);
    bench_fini(&b, MOE_OK, "");
}
END_TEST

enum { GET_TEXT, GET_INT, GET_REAL };

static const struct {
    int getter;
    const char *name, *says;
} bad_attributes[] = {
    {GET_TEXT, "none", "attribute 'none' is missing"},
    {GET_INT, "none", "attribute 'none' is missing"},
    {GET_REAL, "none", "attribute 'none' is missing"},
    {GET_TEXT, "int", "attribute 'int' has another type"},
    {GET_INT, "text", "attribute 'text' has another type"},
    {GET_INT, "real", "attribute 'real' has another type"},
    {GET_REAL, "text", "attribute 'text' has another type"},
    {GET_INT, "pair", "attribute 'pair' has another type"},
};

START_TEST(attribute_that_does_not_fit_is_refused)
{
    bench b;
    bench_init(&b);
    moe_h5_put_text(b.file, "text", "1", &b.err);
    moe_h5_put_int(b.file, "int", 1, &b.err);
    moe_h5_put_real(b.file, "real", 1, &b.err);
    hsize_t two = 2;
    hid_t space = H5Screate_simple(1, &two, NULL);
    H5Aclose(H5Acreate2(b.file, "pair", H5T_STD_I32LE, space, H5P_DEFAULT,
                        H5P_DEFAULT));
    H5Sclose(space);
    char text[8] = "before";
    const char *name = bad_attributes[_i].name;
    if (bad_attributes[_i].getter == GET_TEXT)
        moe_h5_get_text(b.file, name, text, sizeof text, &b.err);
    else if (bad_attributes[_i].getter == GET_INT)
        ck_assert_int_eq(moe_h5_get_int(b.file, name, &b.err), 0);
    else
        ck_assert(isnan(moe_h5_get_real(b.file, name, &b.err)));
    ck_assert_str_eq(text, "before");
    bench_fini(&b, MOE_FORMAT, bad_attributes[_i].says);
}
END_TEST

START_TEST(scales_are_scales_with_coordinates)
{
    const int32_t coordinates[] = {4, 8, 15};
    const char *const names[] = {"x", "", "\xc3\xa9"};
    bench b;
    bench_init(&b);
    moe_h5_scale(b.file, "counted", 3, NULL, "counted up", &b.err);
    moe_h5_scale(b.file, "given", 3, coordinates, NULL, &b.err);
    moe_h5_scale_text(b.file, "named", 3, names, "by name", &b.err);
    bench_reopen(&b, false);
    for (size_t i = 0; i < 3; i++) {
        const char *const scales[] = {"counted", "given", "named"};
        char text[32] = "";
        hid_t scale = moe_h5_open_dataset(b.file, scales[i], &b.err);
        ck_assert_int_gt(H5DSis_scale(scale), 0);
        moe_h5_get_text(scale, "NAME", text, sizeof text, &b.err);
        ck_assert_str_eq(text, scales[i]);
        ck_assert_int_eq(moe_h5_has(scale, "long_name"), i != 1);
        moe_h5_close(scale);
    }
    int32_t *counted = moe_h5_read(b.file, "counted", H5T_NATIVE_INT32,
                                   sizeof *counted, 3, &b.err);
    int32_t *given = moe_h5_read(b.file, "given", H5T_NATIVE_INT32,
                                 sizeof *given, 3, &b.err);
    size_t n = 0;
    char **named = moe_h5_read_strings(b.file, "named", &n, &b.err);
    ck_assert_msg(b.err.status == MOE_OK, "%s", b.err.text);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(counted[i], i);
        ck_assert_int_eq(given[i], coordinates[i]);
        ck_assert_str_eq(named[i], names[i]);
    }
    free(counted);
    free(given);
    moe_h5_free_strings(named, n);
    bench_fini(&b, MOE_OK, "");
}
END_TEST

static void make_scales(bench *b)
{
    moe_h5_scale(b->file, "y", 3, NULL, NULL, &b->err);
    moe_h5_scale(b->file, "x", 4, NULL, NULL, &b->err);
}

enum { FILL_NAN, FILL_MINUS_ONE, FILL_ZERO };

START_TEST(new_dataset_holds_its_fill_value)
{
    const struct {
        hid_t type;
        int fill;
    } types[] = {
        {H5T_IEEE_F64LE, FILL_NAN},      {H5T_IEEE_F32LE, FILL_NAN},
        {H5T_STD_I8LE, FILL_MINUS_ONE},  {H5T_STD_I16LE, FILL_MINUS_ONE},
        {H5T_STD_I64LE, FILL_MINUS_ONE}, {H5T_STD_U8LE, FILL_ZERO},
        {H5T_STD_U64LE, FILL_ZERO}};
    bench b;
    bench_init(&b);
    make_scales(&b);
    for (size_t i = 0; i < 2 * MOE_ARRAY_LEN(types); i++) {
        char name[16];
        snprintf(name, sizeof name, "d%zu", i);
        const int fill = types[i / 2].fill;
        const moe_h5_spec spec = {.name = name,
                                  .type = types[i / 2].type,
                                  .rank = 2,
                                  .dims = {"y", "x"},
                                  .units = i % 2 ? "s" : NULL,
                                  .long_name = i % 2 ? NULL : "long",
                                  .deflate = i % 2,
                                  .chunk = {2, 0}};
        hid_t d = moe_h5_create_dataset(b.file, &spec, &b.err);
        ck_assert_msg(b.err.status == MOE_OK, "%s", b.err.text);
        ck_assert_int_eq(moe_h5_has(d, "units"), i % 2);
        ck_assert_int_eq(moe_h5_has(d, "long_name"), !(i % 2));
        ck_assert_int_eq(moe_h5_has(d, "_FillValue"), fill != FILL_ZERO);
        ck_assert_int_eq(H5DSget_num_scales(d, 0), 1);
        ck_assert_int_eq(H5DSget_num_scales(d, 1), 1);
        double marked = 0;
        if (fill != FILL_ZERO) {
            hid_t attr = H5Aopen(d, "_FillValue", H5P_DEFAULT);
            hid_t type = H5Aget_type(attr);
            ck_assert_int_gt(H5Tequal(type, types[i / 2].type), 0);
            H5Aread(attr, H5T_NATIVE_DOUBLE, &marked);
            H5Tclose(type);
            H5Aclose(attr);
        }
        moe_h5_close(d);
        double *x =
            moe_h5_read(b.file, name, H5T_NATIVE_DOUBLE, sizeof *x, 12, &b.err);
        ck_assert_msg(b.err.status == MOE_OK, "%s", b.err.text);
        for (int j = 0; j < 12; j++)
            ck_assert(fill == FILL_NAN         ? isnan(x[j]) && isnan(marked)
                      : fill == FILL_MINUS_ONE ? x[j] == -1 && marked == -1
                                               : x[j] == 0);
        free(x);
    }
    bench_fini(&b, MOE_OK, "");
}
END_TEST

START_TEST(blocks_land_where_they_belong)
{
    bench b;
    bench_init(&b);
    make_scales(&b);
    const moe_h5_spec spec = {.name = "d",
                              .type = H5T_STD_I32LE,
                              .rank = 2,
                              .dims = {"y", "x"},
                              .deflate = _i == 1,
                              .chunk = {1, 3}};
    hid_t d = moe_h5_create_dataset(b.file, &spec, &b.err);
    const int16_t data[2][3] = {{1, 2, 3}, {4, 5, 6}};
    const moe_h5_block part = {{1, 1}, {2, 3}}, none = {{1, 1}, {0, 3}};
    moe_h5_write_block(d, &part, H5T_NATIVE_INT16, data, H5P_DEFAULT, &b.err);
    moe_h5_write_block(d, &none, H5T_NATIVE_INT16, data, H5P_DEFAULT, &b.err);
    int64_t back[2] = {0};
    const moe_h5_block column = {{1, 3}, {2, 1}};
    moe_h5_read_block(d, &column, H5T_NATIVE_INT64, back, &b.err);
    ck_assert(back[0] == 3 && back[1] == 6);
    moe_h5_read_block(d, &none, H5T_NATIVE_INT64, back, &b.err);
    moe_h5_close(d);
    bench_reopen(&b, true);
    int32_t *all =
        moe_h5_read(b.file, "d", H5T_NATIVE_INT32, sizeof *all, 12, &b.err);
    ck_assert_msg(b.err.status == MOE_OK, "%s", b.err.text);
    const int32_t expected[] = {-1, -1, -1, -1, -1, 1, 2, 3, -1, 4, 5, 6};
    ck_assert_mem_eq(all, expected, sizeof expected);
    free(all);
    bench_fini(&b, MOE_OK, "");
}
END_TEST

/* Blocks follow each other and are all of it, keep to chunks where they are
 * larger, and are no larger than asked. */
START_TEST(blocks_go_over_a_dataset_in_order)
{
    static const hsize_t chunk[3] = {2, 2, 2};
    static const struct {
        hsize_t dims[3], most, first[3];
        const hsize_t *chunk;
    } cases[] = {
        {{5, 3, 4}, 60, {5, 3, 4}, NULL},  {{5, 3, 4}, 47, {3, 3, 4}, NULL},
        {{5, 3, 4}, 47, {2, 3, 4}, chunk}, {{5, 3, 4}, 11, {1, 2, 4}, NULL},
        {{5, 3, 4}, 3, {1, 1, 3}, NULL},   {{5, 3, 4}, 3, {1, 1, 2}, chunk},
        {{5, 3, 4}, 1, {1, 1, 1}, chunk},  {{0, 3, 4}, 60, {0}, NULL}};
    moe_h5_pieces p = {
        .rank = 3, .chunk = cases[_i].chunk, .most = cases[_i].most};
    moe_h5_block b = {.start = {0}};
    memcpy(p.dims, cases[_i].dims, sizeof cases[_i].dims);
    hsize_t n = moe_h5_next_block(&b, &p), sum = 0;
    ck_assert_mem_eq(b.count, cases[_i].first, sizeof cases[_i].first);
    for (; n > 0; n = moe_h5_next_block(&b, &p)) {
        ck_assert_uint_eq(n, b.count[0] * b.count[1] * b.count[2]);
        ck_assert_uint_le(n, p.most);
        ck_assert_uint_eq(sum,
                          (b.start[0] * p.dims[1] + b.start[1]) * p.dims[2] +
                              b.start[2]);
        sum += n;
    }
    ck_assert_uint_eq(sum, p.dims[0] * p.dims[1] * p.dims[2]);
}
END_TEST

/* 20 MB, whose chunks do not divide what is read at once. */
START_TEST(large_datasets_are_read_block_by_block)
{
    enum { ROWS = 5000, COLUMNS = 1001, N = ROWS * COLUMNS };
    bench b;
    bench_init(&b);
    int32_t *data = moe_array_new(N, sizeof *data, &b.err);
    for (int i = 0; i < N; i++)
        data[i] = i % 65521;
    moe_h5_scale(b.file, "row", ROWS, NULL, NULL, &b.err);
    moe_h5_scale(b.file, "column", COLUMNS, NULL, NULL, &b.err);
    const moe_h5_spec spec = {.name = "d",
                              .type = H5T_STD_U16LE,
                              .rank = 2,
                              .dims = {"row", "column"},
                              .deflate = _i == 1,
                              .chunk = {700, 600}};
    moe_h5_write(b.file, &spec, H5T_NATIVE_INT32, data, &b.err);
    bench_reopen(&b, false);
    int32_t *all =
        moe_h5_read_bulk(b.file, "d", H5T_NATIVE_INT32, sizeof *all, N, &b.err);
    ck_assert_msg(all != NULL, "%s", b.err.text);
    ck_assert_int_eq(memcmp(all, data, N * sizeof *all), 0);
    moe_bulk_free(all);
    ck_assert_ptr_null(moe_h5_read_bulk(b.file, "d", H5T_NATIVE_INT32,
                                        sizeof *all, N - 1, &b.err));
    bench_fini(&b, MOE_FORMAT, "has 5005000 elements, not 5004999");
    free(data);
}
END_TEST

START_TEST(block_beyond_the_dataset_is_refused_by_name)
{
    bench b;
    bench_init(&b);
    make_scales(&b);
    const moe_h5_spec spec = {
        .name = "d", .type = H5T_STD_I32LE, .rank = 2, .dims = {"y", "x"}};
    hid_t d = moe_h5_create_dataset(b.file, &spec, &b.err);
    int32_t data[8] = {0};
    const moe_h5_block beyond = {{2, 0}, {2, 4}};
    if (_i == 0)
        moe_h5_write_block(d, &beyond, H5T_NATIVE_INT32, data, H5P_DEFAULT,
                           &b.err);
    else
        moe_h5_read_block(d, &beyond, H5T_NATIVE_INT32, data, &b.err);
    moe_h5_close(d);
    ck_assert_ptr_null(strstr(b.err.text, "no reason"));
    bench_fini(&b, _i == 0 ? MOE_IO : MOE_FORMAT, " '/d': ");
}
END_TEST

START_TEST(whole_datasets_and_texts_read_back)
{
    const double data[12] = {0.5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, NAN};
    const char *const names[] = {"a", "", "ccc"};
    bench b;
    bench_init(&b);
    make_scales(&b);
    const moe_h5_spec spec = {.name = "d",
                              .type = H5T_IEEE_F32LE,
                              .rank = 2,
                              .dims = {"y", "x"},
                              .deflate = true};
    moe_h5_write(b.file, &spec, H5T_NATIVE_DOUBLE, data, &b.err);
    moe_h5_write_text(b.file, "t", "one\ntext", &b.err);
    moe_h5_write_text(b.file, "e", "", &b.err);
    const moe_h5_spec texts = {
        .name = "s", .rank = 1, .dims = {"y"}, .long_name = "three"};
    moe_h5_write_strings(b.file, &texts, names, &b.err);
    bench_reopen(&b, false);
    hsize_t dims[2] = {0};
    moe_h5_dims(b.file, "d", 2, dims, &b.err);
    ck_assert(dims[0] == 3 && dims[1] == 4);
    float *x =
        moe_h5_read(b.file, "d", H5T_NATIVE_FLOAT, sizeof *x, 12, &b.err);
    char *t = moe_h5_read_text(b.file, "t", &b.err);
    char *e = moe_h5_read_text(b.file, "e", &b.err);
    size_t n = 0;
    char **s = moe_h5_read_strings(b.file, "s", &n, &b.err);
    ck_assert_msg(b.err.status == MOE_OK, "%s", b.err.text);
    for (int i = 0; i < 11; i++)
        ck_assert(x[i] == (float)data[i]);
    ck_assert(isnan(x[11]));
    ck_assert_str_eq(t, "one\ntext");
    ck_assert_str_eq(e, "");
    ck_assert_uint_eq(n, 3);
    for (size_t i = 0; i < n; i++)
        ck_assert_str_eq(s[i], names[i]);
    free(x);
    free(t);
    free(e);
    moe_h5_free_strings(s, n);
    moe_h5_free_strings(NULL, 3);
    bench_fini(&b, MOE_OK, "");
}
END_TEST

/* Each makes one call that cannot succeed. */
static void no_group(bench *b)
{
    ck_assert(moe_h5_open_group(b->file, "none", &b->err) < 0);
}
static void group_is_dataset(bench *b)
{
    ck_assert(moe_h5_open_group(b->file, "x", &b->err) < 0);
}
static void group_twice(bench *b)
{
    ck_assert(moe_h5_create_group(b->file, "x", &b->err) < 0);
}
static void no_dataset(bench *b)
{
    ck_assert(moe_h5_open_dataset(b->file, "g/none", &b->err) < 0);
}
static void dataset_is_group(bench *b)
{
    ck_assert(moe_h5_open_dataset(b->file, "g", &b->err) < 0);
}
static void no_scale(bench *b)
{
    const moe_h5_spec spec = {
        .name = "d", .type = H5T_STD_I8LE, .rank = 1, .dims = {"none"}};
    ck_assert(moe_h5_create_dataset(b->file, &spec, &b->err) < 0);
}
static void dataset_twice(bench *b)
{
    const moe_h5_spec spec = {
        .name = "text", .type = H5T_STD_I8LE, .rank = 1, .dims = {"x"}};
    ck_assert(moe_h5_create_dataset(b->file, &spec, &b->err) < 0);
}
static void dataset_is_its_own_scale(bench *b)
{
    const moe_h5_spec spec = {
        .name = "d", .type = H5T_STD_I8LE, .rank = 1, .dims = {"x"}};
    const moe_h5_spec on_it = {
        .name = "e", .type = H5T_STD_I8LE, .rank = 1, .dims = {"d"}};
    moe_h5_close(moe_h5_create_dataset(b->file, &spec, &b->err));
    ck_assert_str_eq(b->err.text, ""); /* d has a scale: it cannot be one */
    ck_assert(moe_h5_create_dataset(b->file, &on_it, &b->err) < 0);
}
static void scale_twice(bench *b)
{
    moe_h5_scale(b->file, "x", 4, NULL, NULL, &b->err);
}
static void strings_twice(bench *b)
{
    moe_h5_write_text(b->file, "x", "", &b->err);
}
static void other_rank(bench *b)
{
    hsize_t dims[2] = {7, 7};
    moe_h5_dims(b->file, "x", 2, dims, &b->err);
    ck_assert(dims[0] == 7 && dims[1] == 7);
}
static void other_size(bench *b)
{
    ck_assert_ptr_null(
        moe_h5_read(b->file, "x", H5T_NATIVE_INT32, 4, 5, &b->err));
}
static void text_as_numbers(bench *b)
{
    ck_assert_ptr_null(
        moe_h5_read(b->file, "text", H5T_NATIVE_INT32, 4, 1, &b->err));
}
static void numbers_as_text(bench *b)
{
    ck_assert_ptr_null(moe_h5_read_text(b->file, "x", &b->err));
}
static void list_as_text(bench *b)
{
    const char *const names[] = {"a", "b"};
    moe_h5_scale_text(b->file, "list", 2, names, NULL, &b->err);
    ck_assert_ptr_null(moe_h5_read_text(b->file, "list", &b->err));
}
static void no_text(bench *b)
{
    size_t n = 7;
    ck_assert_ptr_null(moe_h5_read_strings(b->file, "none", &n, &b->err));
    ck_assert_uint_eq(n, 7);
}

static const struct {
    void (*call)(bench *b);
    moe_status status;
    const char *says;
} mistakes[] = {
    {no_group, MOE_FORMAT, "group 'none' is missing"},
    {group_is_dataset, MOE_FORMAT, "cannot open group 'x': "},
    {group_twice, MOE_LIBRARY, "cannot create group 'x': "},
    {no_dataset, MOE_FORMAT, "dataset 'g/none' is missing"},
    {dataset_is_group, MOE_FORMAT, "cannot open dataset 'g': "},
    {no_scale, MOE_FORMAT, "dataset 'none' is missing"},
    {dataset_twice, MOE_LIBRARY, "cannot create dataset 'text': "},
    {dataset_is_its_own_scale, MOE_IO, "'e': HDF5 gave no reason"},
    {scale_twice, MOE_LIBRARY, "cannot create scale 'x': "},
    {strings_twice, MOE_LIBRARY, "cannot create dataset 'x': "},
    {other_rank, MOE_FORMAT, "dataset 'x' has 1 dimensions, not 2"},
    {other_size, MOE_FORMAT, "dataset 'x' has 4 elements, not 5"},
    {text_as_numbers, MOE_FORMAT, "dataset 'text' holds text, not numbers"},
    {numbers_as_text, MOE_FORMAT, "dataset 'x' does not hold text"},
    {list_as_text, MOE_FORMAT, "dataset 'list' is not one text"},
    {no_text, MOE_FORMAT, "dataset 'none' is missing"},
};

START_TEST(mistake_is_refused_with_a_reason)
{
    bench b;
    bench_init(&b);
    make_scales(&b);
    moe_h5_close(moe_h5_create_group(b.file, "g", &b.err));
    moe_h5_write_text(b.file, "text", "t", &b.err);
    ck_assert_msg(b.err.status == MOE_OK, "%s", b.err.text);
    mistakes[_i].call(&b);
    if (strstr(mistakes[_i].says, "no reason") == NULL)
        ck_assert_ptr_null(strstr(b.err.text, "no reason"));
    bench_fini(&b, mistakes[_i].status, mistakes[_i].says);
}
END_TEST

START_TEST(error_is_sticky)
{
    bench b;
    bench_init(&b);
    make_scales(&b);
    const moe_h5_block block = {.start = {0}};
    size_t n = 0;
    const moe_h5_spec spec = {
        .name = "d", .type = H5T_STD_I8LE, .rank = 1, .dims = {"x"}};
    moe_fail(&b.err, MOE_USAGE, "first");
    ck_assert(moe_h5_create("never.h5", &b.err) < 0);
    ck_assert(moe_h5_open(b.path, false, &b.err) < 0);
    ck_assert(moe_h5_create_group(b.file, "g", &b.err) < 0);
    ck_assert(moe_h5_open_dataset(b.file, "x", &b.err) < 0);
    ck_assert(moe_h5_create_dataset(b.file, &spec, &b.err) < 0);
    moe_h5_write(b.file, &spec, H5T_NATIVE_INT8, "0123", &b.err);
    moe_h5_scale(b.file, "g", 1, NULL, NULL, &b.err);
    moe_h5_scale_text(b.file, "g", 1, &(const char *){"a"}, NULL, &b.err);
    moe_h5_write_text(b.file, "g", "a", &b.err);
    moe_h5_put_int(b.file, "g", 1, &b.err);
    moe_h5_put_text(b.file, "g", "a", &b.err);
    moe_h5_write_block(H5I_INVALID_HID, &block, H5T_NATIVE_INT8, "",
                       H5P_DEFAULT, &b.err);
    ck_assert_int_eq(moe_h5_get_int(b.file, "g", &b.err), 0);
    ck_assert_ptr_null(
        moe_h5_read(b.file, "x", H5T_NATIVE_INT32, 4, 4, &b.err));
    ck_assert_ptr_null(moe_h5_read_strings(b.file, "x", &n, &b.err));
    ck_assert(!moe_h5_exists(b.file, "g") && !moe_h5_has(b.file, "g"));
    ck_assert_int_ne(access("never.h5", F_OK), 0);
    ck_assert_str_eq(b.err.text, "first");
    bench_fini(&b, MOE_USAGE, "first");
}
END_TEST

START_TEST(invalid_ids_are_accepted)
{
    moe_h5_quiet();
    moe_error err = {0};
    const hid_t none = H5I_INVALID_HID;
    moe_h5_close(none);
    moe_h5_close_file(none, &err);
    ck_assert(!moe_h5_exists(none, "x") && !moe_h5_has(none, "x"));
    ck_assert_str_eq(err.text, "");
    ck_assert(moe_h5_create_group(none, "g", &err) < 0);
    ck_assert_int_eq(err.status, MOE_LIBRARY);
    err = (moe_error){0};
    ck_assert(moe_h5_open_group(none, "g", &err) < 0);
    ck_assert_int_eq(err.status, MOE_FORMAT);
    err = (moe_error){0};
    moe_h5_put_int(none, "a", 1, &err);
    ck_assert_int_eq(err.status, MOE_IO);
    err = (moe_error){0};
    moe_h5_write_text(none, "a", "1", &err);
    ck_assert_int_eq(err.status, MOE_LIBRARY);
}
END_TEST

START_TEST(existence_is_told)
{
    bench b;
    bench_init(&b);
    hid_t group = moe_h5_create_group(b.file, "g", &b.err);
    moe_h5_scale(group, "x", 1, NULL, NULL, &b.err);
    ck_assert(moe_h5_exists(b.file, "g") && moe_h5_exists(group, "x"));
    ck_assert(moe_h5_exists(b.file, "g/x"));
    ck_assert(!moe_h5_exists(b.file, "h") && !moe_h5_exists(b.file, "h/x"));
    ck_assert(!moe_h5_exists(b.file, "g/x/y") && !moe_h5_exists(b.file, ""));
    moe_h5_close(group);
    bench_fini(&b, MOE_OK, "");
}
END_TEST

START_TEST(file_is_never_overwritten)
{
    bench b;
    bench_init(&b);
    moe_error err = {0};
    ck_assert(moe_h5_create(b.path, &err) < 0);
    ck_assert_int_eq(err.status, MOE_EXISTS);
    ck_assert_ptr_nonnull(strstr(err.text, b.path));
    err = (moe_error){0};
    char path[400];
    snprintf(path, sizeof path, "%s/none/x.h5", test_dir);
    ck_assert(moe_h5_create(path, &err) < 0);
    ck_assert_int_eq(err.status, MOE_IO);
    ck_assert_msg(strstr(err.text, "cannot create '") != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "No such file") != NULL, "%s", err.text);
    bench_fini(&b, MOE_OK, "");
}
END_TEST

START_TEST(an_image_reads_as_its_file)
{
    moe_error err = {0};
    char path[300], *data = NULL, text[16] = "";
    size_t bytes = 0;
    snprintf(path, sizeof path, "%s/image.h5", test_dir);
    hid_t file = moe_h5_create(path, &err);
    moe_h5_put_text(file, "said", "so", &err);
    moe_h5_close_file(file, &err);
    ck_assert_int_eq(moe_read_bytes(path, &data, &bytes, &err), MOE_OK);
    moe_h5_image image = {path, data, bytes};
    file = moe_h5_open_image(&image, &err);
    moe_h5_get_text(file, "said", text, sizeof text, &err);
    moe_h5_close_file(file, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_str_eq(text, "so");
    image.bytes /= 2;
    ck_assert_int_lt(moe_h5_open_image(&image, &err), 0);
    ck_assert_int_eq(err.status, MOE_FORMAT);
    err = (moe_error){0};
    image.data = NULL;
    ck_assert_int_lt(moe_h5_open_image(&image, &err), 0);
    ck_assert_int_eq(err.status, MOE_USAGE);
    free(data);
}
END_TEST

START_TEST(what_is_no_readable_file_is_refused)
{
    bench b;
    bench_init(&b);
    make_scales(&b);
    const double data[12] = {0};
    const moe_h5_spec spec = {
        .name = "d", .type = H5T_IEEE_F64LE, .rank = 2, .dims = {"y", "x"}};
    moe_h5_write(b.file, &spec, H5T_NATIVE_DOUBLE, data, &b.err);
    moe_h5_close_file(b.file, &b.err);
    ck_assert_msg(b.err.status == MOE_OK, "%s", b.err.text);
    char path[400];
    moe_error err = {0};
    snprintf(path, sizeof path, "%s/none.h5", test_dir);
    ck_assert(moe_h5_open(path, false, &err) < 0);
    ck_assert_int_eq(err.status, MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "No such file"));
    const char *const others[] = {"", "model: x\n", "\x89HDF"};
    for (size_t i = 0; i < MOE_ARRAY_LEN(others); i++) {
        err = (moe_error){0};
        write_bytes(path, others[i], strlen(others[i]));
        ck_assert(moe_h5_open(path, false, &err) < 0);
        ck_assert_int_eq(err.status, MOE_FORMAT);
        ck_assert_ptr_nonnull(strstr(err.text, "is not an HDF5 file"));
    }
    err = (moe_error){0};
    ck_assert(moe_h5_open(test_dir, false, &err) < 0);
    ck_assert_int_eq(err.status, MOE_USAGE);
    ck_assert_msg(strstr(err.text, "Is a directory") != NULL, "%s", err.text);
    ck_assert_int_eq(truncate(b.path, 600), 0);
    err = (moe_error){0};
    ck_assert(moe_h5_open(b.path, false, &err) < 0);
    ck_assert_int_eq(err.status, MOE_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "truncated or damaged"));
    ck_assert_msg(strstr(err.text, "eof") != NULL, "%s", err.text);
}
END_TEST

START_TEST(file_that_may_not_be_changed_is_not_called_damaged)
{
    bench b;
    bench_init(&b);
    bench_reopen(&b, false);
    moe_error err = {0};
    ck_assert(moe_h5_open(b.path, true, &err) < 0); /* open as read-only */
    ck_assert_int_eq(err.status, MOE_USAGE);
    ck_assert_msg(strstr(err.text, "cannot be changed") != NULL, "%s",
                  err.text);
    bench_fini(&b, MOE_OK, "");
}
END_TEST

/* A writer of another process holds HDF5's lock. */
START_TEST(file_that_is_written_is_not_called_damaged)
{
    bench b;
    bench_init(&b);
    moe_error err = {0};
    setenv("HDF5_USE_FILE_LOCKING", "TRUE", 1);
    moe_h5_close_file(b.file, &b.err);
    const int fd = open(b.path, O_RDONLY);
    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    ck_assert(moe_h5_open(b.path, _i == 1, &err) < 0);
    close(fd);
    ck_assert_int_eq(err.status, MOE_USAGE);
    ck_assert_msg(strstr(err.text, "x.h5: is being written by another run"),
                  "%s", err.text);
    b.file = moe_h5_open(b.path, _i == 1, &b.err);
    bench_fini(&b, MOE_OK, "");
}
END_TEST

START_TEST(long_names_leave_room_for_the_reason)
{
    char name[2000];
    bench b;
    bench_init(&b);
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    moe_h5_close(moe_h5_create_group(b.file, name, &b.err));
    ck_assert(moe_h5_create_group(b.file, name, &b.err) < 0);
    ck_assert_ptr_nonnull(strstr(b.err.text, "n...': "));
    bench_fini(&b, MOE_LIBRARY, "exists");
}
END_TEST

static const struct {
    const char *schema, *version; /* of the file; NULL: it does not say */
    bool older;                   /* lower versions are read */
    const char *says;             /* "": it is read */
} schemas[] = {
    {"mine", "2.1.0", false, ""},
    {"mine", "2.9.0", false, ""},
    {"mine", "1.1.0", false, "has schema 1.1.0, this program reads 2.1.0"},
    {"mine", "1.1.0", true, ""},
    {"mine", "3.0.0", true, "has schema 3.0.0, this program reads up to 2.1.0"},
    {"yours", "2.1.0", true, "is a 'yours' file, not a box"},
    {"a\nb", "2.1.0", true, "is a 'a?b' file, not a box"},
    {NULL, "2.1.0", true, "is not a box"},
    {"mine", NULL, true, "is not a box"},
};

START_TEST(schemas_are_told_apart)
{
    const moe_h5_schema box = {"mine", "2.1.0", "a box", schemas[_i].older};
    const char *name = schemas[_i].schema;
    const bool fine = schemas[_i].says[0] == '\0';
    bench b;
    bench_init(&b);
    if (name != NULL)
        moe_h5_put_text(b.file, "schema", name, &b.err);
    if (schemas[_i].version != NULL)
        moe_h5_put_text(b.file, "schema_version", schemas[_i].version, &b.err);
    ck_assert_int_eq(moe_h5_is(b.file, "mine"),
                     name != NULL && strcmp(name, "mine") == 0);
    moe_h5_check_schema(b.file, &box, &b.err);
    bench_fini(&b, fine ? MOE_OK : MOE_FORMAT, schemas[_i].says);
}
END_TEST

static const struct {
    int64_t value;
    int sized; /* of 1..10 */
} sizes[] = {{1, 1}, {10, 10}, {0, 0}, {11, 0}, {INT64_C(1) << 33, 0}};

START_TEST(sizes_out_of_range_are_refused)
{
    bench b;
    bench_init(&b);
    moe_h5_put_int(b.file, "n", sizes[_i].value, &b.err);
    ck_assert_int_eq(moe_h5_get_sized(b.file, "n", 1, 10, &b.err),
                     sizes[_i].sized);
    bench_fini(&b, sizes[_i].sized > 0 ? MOE_OK : MOE_FORMAT,
               sizes[_i].sized > 0 ? "" : "attribute 'n' is ");
}
END_TEST

/* What was not written whole is not there. */
START_TEST(unfinished_file_is_removed)
{
    bench b;
    bench_init(&b);
    if (_i == 1)
        moe_fail(&b.err, MOE_IO, "why");
    ck_assert_int_eq(moe_h5_finish(b.file, b.path, &b.err),
                     _i == 1 ? MOE_IO : MOE_OK);
    ck_assert_int_eq(access(b.path, F_OK), _i == 1 ? -1 : 0);
    if (_i == 1)
        ck_assert_msg(strstr(b.err.text, "x.h5: why") != NULL, "%s",
                      b.err.text);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("h5");
    MOE_TEST(suite, attributes_read_back);
    MOE_TEST(suite, text_of_other_writers_is_read);
    MOE_TEST_LOOP(suite, attribute_that_does_not_fit_is_refused,
                  MOE_ARRAY_LEN(bad_attributes));
    MOE_TEST(suite, scales_are_scales_with_coordinates);
    MOE_TEST(suite, new_dataset_holds_its_fill_value);
    MOE_TEST_LOOP(suite, blocks_land_where_they_belong, 2);
    MOE_TEST_LOOP(suite, blocks_go_over_a_dataset_in_order, 8);
    MOE_TEST_LOOP(suite, large_datasets_are_read_block_by_block, 2);
    MOE_TEST_LOOP(suite, block_beyond_the_dataset_is_refused_by_name, 2);
    MOE_TEST(suite, whole_datasets_and_texts_read_back);
    MOE_TEST_LOOP(suite, mistake_is_refused_with_a_reason,
                  MOE_ARRAY_LEN(mistakes));
    MOE_TEST(suite, error_is_sticky);
    MOE_TEST(suite, invalid_ids_are_accepted);
    MOE_TEST(suite, existence_is_told);
    MOE_TEST(suite, file_is_never_overwritten);
    MOE_TEST(suite, an_image_reads_as_its_file);
    MOE_TEST(suite, what_is_no_readable_file_is_refused);
    MOE_TEST(suite, file_that_may_not_be_changed_is_not_called_damaged);
    MOE_TEST_LOOP(suite, file_that_is_written_is_not_called_damaged, 2);
    MOE_TEST(suite, long_names_leave_room_for_the_reason);
    MOE_TEST_LOOP(suite, schemas_are_told_apart, MOE_ARRAY_LEN(schemas));
    MOE_TEST_LOOP(suite, sizes_out_of_range_are_refused, MOE_ARRAY_LEN(sizes));
    MOE_TEST_LOOP(suite, unfinished_file_is_removed, 2);
    return suite;
}
