/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/loads.h"

#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "harness.h"
#include "moegps/h5.h"

static char path[300];

static void name(const char *file)
{
    snprintf(path, sizeof path, "%s/%s", test_dir, file);
}

static void put(const char *file, const void *bytes, size_t n)
{
    name(file);
    FILE *out = fopen(path, "wb");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(bytes, 1, n, out), n);
    fclose(out);
}

static void put_text(const char *file, const char *text)
{
    put(file, text, strlen(text));
}

/* An array of doubles as NumPy writes it. */
static void put_npy(const char *file, const char *shape, const double *x,
                    size_t n)
{
    char bytes[128 + 64 * sizeof(double)];
    memset(bytes, ' ', 128);
    memcpy(bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    const int len = snprintf(
        bytes + 10, 118,
        "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }", shape);
    bytes[10 + len] = ' ';
    bytes[127] = '\n';
    memcpy(bytes + 128, x, n * sizeof *x);
    put(file, bytes, 128 + n * sizeof *x);
}

static void put_h5(const char *file, const char *dataset, int rank,
                   const hsize_t *dims, const double *x)
{
    name(file);
    remove(path);
    hid_t to = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t space = H5Screate_simple(rank, dims, NULL);
    hid_t set = H5Dcreate2(to, dataset, H5T_IEEE_F32LE, space, H5P_DEFAULT,
                           H5P_DEFAULT, H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, x);
    H5Dclose(set);
    H5Sclose(space);
    H5Fclose(to);
}

/* ---- every form of the same loads ---- */

/* Two steps of two layers of three experts; the first alone, too. */
static const double two[12] = {5, 0, 2, 1, 3, 8, 0.5, 1, 0, 0, 0, 7};

static void check_loads(const char *dataset, size_t steps)
{
    moe_loads l;
    moe_error err = {0};
    ck_assert_msg(moe_loads_read(path, dataset, &l, &err) == MOE_OK, "%s",
                  err.text);
    ck_assert_uint_eq(l.steps, steps);
    ck_assert_int_eq(l.layers, 2);
    ck_assert_int_eq(l.experts, 3);
    ck_assert_mem_eq(l.value, two, steps * 6 * sizeof *two);
    for (size_t s = 0; s < steps; s++)
        for (int layer = 0; layer < 2; layer++)
            ck_assert_double_eq(moe_loads_at(&l, s, layer)[2],
                                two[s * 6 + (size_t)layer * 3 + 2]);
    moe_loads_fini(&l);
    ck_assert_ptr_null(l.value);
}

static const struct {
    const char *file, *text;
    size_t steps;
} texts[] = {
    {"wide.csv", "e0,e1,e2\n5,0,2\n1,3,8\n", 1},
    {"ids.csv", "0,1,2\n5,0,2\n1,3,8\n", 1},
    {"long.csv", "layer,expert,load\n1,2,8\n0,0,5\n0,2,2\n1,0,1\n1,1,3\n", 1},
    {"steps.csv",
     "step,layer,expert,count\n0,0,0,5\n0,0,2,2\n0,1,0,1\n0,1,1,3\n0,1,2,8\n"
     "1,0,0,0.5\n1,0,1,1\n1,1,2,7\n",
     2},
    {"added.csv",
     "layer,expert,tokens,note\n0,0,3,a\n0,0,2,b\n0,2,2,c\n1,0,1,d\n1,1,3,e\n"
     "1,2,8,f\n",
     1},
    {"one.json", "[[5,0,2],[1,3,8]]", 1},
    {"named.json", "{\"loads\": [[5,0,2],[1,3,8]], \"x\": 1}", 1},
    {"two.json", "[[[5,0,2],[1,3,8]],[[0.5,1,0],[0,0,7]]]", 2},
};

START_TEST(text_of_any_form_has_the_same_loads)
{
    put_text(texts[_i].file, texts[_i].text);
    check_loads(NULL, texts[_i].steps);
}
END_TEST

START_TEST(arrays_have_the_same_loads)
{
    put_npy("one.npy", "2, 3", two, 6);
    check_loads(NULL, 1);
    put_npy("two.npy", "2, 2, 3", two, 12);
    check_loads(NULL, 2);
}
END_TEST

START_TEST(datasets_have_the_same_loads)
{
    const hsize_t dims[] = {2, 2, 3};
    put_h5("loads.h5", "loads", 3, dims, two);
    check_loads(NULL, 2);
    put_h5("counts.hdf5", "counts", 2, dims + 1, two);
    check_loads(NULL, 1);
    put_h5("named.h5", "mine", 3, dims, two);
    check_loads("mine", 2);
}
END_TEST

START_TEST(load_trace_has_its_steps_and_token_trace_its_parts)
{
    const moe_model model = fixture_model();
    for (int tokens = 0; tokens < 2; tokens++) {
        moe_trace t = tokens ? fixture_tokens(&model) : fixture_loads(&model);
        moe_loads l;
        moe_error err = {0};
        uint64_t counts[MOE_MAX_EXPERTS];
        name("trace.h5");
        remove(path);
        ck_assert_int_eq(moe_trace_write(path, &t, &err), MOE_OK);
        ck_assert_msg(moe_loads_read(path, NULL, &l, &err) == MOE_OK, "%s",
                      err.text);
        ck_assert_uint_eq(l.steps, tokens ? 2 : t.n_seqs);
        ck_assert_int_eq(l.layers, model.layers);
        ck_assert_int_eq(l.experts, model.experts);
        for (int layer = 0; layer < l.layers; layer++) {
            moe_trace_counts(&t, MOE_PART_TEST, layer, counts);
            for (int e = 0; e < l.experts; e++) {
                const double x = moe_loads_at(&l, 1, layer)[e];
                const size_t at = (size_t)((t.layers + layer) * t.experts + e);
                ck_assert_double_eq(x, tokens ? (double)counts[e]
                                              : (double)t.counts[at]);
            }
        }
        moe_loads_fini(&l);
        moe_trace_free(&t);
    }
}
END_TEST

/* ---- what is refused ---- */

static const struct {
    const char *file, *text, *says;
    moe_status status;
} bad[] = {
    {"x.txt", "1,2\n", "x.txt: does not end in .csv", MOE_USAGE},
    {"none", "", "none: does not end in .csv", MOE_USAGE},
    {"minus.csv", "a,b\n1,-2\n", "minus.csv:2: b: '-2'", MOE_USAGE},
    {"nan.csv", "a,b\n1,nan\n", "nan.csv:2: b: 'nan'", MOE_USAGE},
    {"words.csv", "a,b\n1,x\n", "words.csv:2: b: 'x'", MOE_USAGE},
    {"much.csv", "a,b\n1,99999999999999999999\n", "much.csv:2: b: ", MOE_USAGE},
    {"headless.csv", "5,2\n1,3\n", "line 1 is numbers", MOE_FORMAT},
    {"half.csv", "step,a\n0,1\n", "wants columns layer, expert and load",
     MOE_FORMAT},
    {"zero.csv", "a,b\n0,0\n", "step 0, layer 0: all loads are 0", MOE_FORMAT},
    {"hole.csv", "layer,expert,load\n0,0,1\n2,0,1\n",
     "step 0, layer 1: all loads are 0", MOE_FORMAT},
    {"ragged.json", "[[1,2],[3]]", "layer 1 is not a list of 2 loads",
     MOE_FORMAT},
    {"ragged3.json", "[[[1,2]],[[1,2],[3,4]]]",
     "step 1, layer 0 is not a list of 2 loads", MOE_FORMAT},
    {"text.json", "[[1,\"2\"]]", "layer 0, expert 1 is not a number",
     MOE_FORMAT},
    {"minus.json", "[[1,-2]]", "expert 1: -2 is not a finite load", MOE_FORMAT},
    {"flat.json", "[1,2]", "is neither [layers, experts] nor", MOE_FORMAT},
    {"deep.json", "[[[[1,2]]]]", "is neither [layers, experts] nor",
     MOE_FORMAT},
    {"empty.json", "[]", "is neither", MOE_FORMAT},
    {"empty2.json", "[[]]", "has no step, layer or expert", MOE_FORMAT},
    {"none.json", "{\"load\": [[1]]}", "is neither", MOE_FORMAT},
    {"broken.json", "[[1,", "broken.json: ", MOE_FORMAT},
    {"sum.json", "[[9007199254740992,9007199254740992]]", "above 2^53",
     MOE_FORMAT},
    {"not.h5", "x", "is not an HDF5 file", MOE_FORMAT},
    {"not.npy", "x", "not.npy", MOE_FORMAT},
};

START_TEST(table_that_is_not_understood_is_refused)
{
    moe_loads l;
    moe_error err = {0};
    put_text(bad[_i].file, bad[_i].text);
    ck_assert_int_eq(moe_loads_read(path, NULL, &l, &err), bad[_i].status);
    ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "%s", err.text);
    moe_loads_fini(&l);
}
END_TEST

static const char *const absent[] = {"no.csv", "no.npy", "no.json", "no.h5"};

START_TEST(file_that_is_not_there_is_named)
{
    moe_loads l;
    moe_error err = {0};
    name(absent[_i]);
    ck_assert_int_eq(moe_loads_read(path, NULL, &l, &err), MOE_USAGE);
    ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
    moe_loads_fini(&l);
}
END_TEST

START_TEST(array_or_dataset_of_another_shape_is_refused)
{
    moe_loads l;
    moe_error err = {0}, other = {0}, third = {0};
    const hsize_t dims[] = {12};
    put_npy("flat.npy", "12,", two, 12);
    ck_assert_int_eq(moe_loads_read(path, NULL, &l, &err), MOE_FORMAT);
    moe_loads_fini(&l);
    put_npy("short.npy", "2, 2, 3", two, 11);
    ck_assert_int_eq(moe_loads_read(path, NULL, &l, &other), MOE_FORMAT);
    moe_loads_fini(&l);
    put_h5("flat.h5", "loads", 1, dims, two);
    ck_assert_int_eq(moe_loads_read(path, NULL, &l, &third), MOE_FORMAT);
    ck_assert_msg(strstr(third.text, "is neither") != NULL, "%s", third.text);
    moe_loads_fini(&l);
}
END_TEST

/* As many as anybody may claim; they are not allocated. */
static const struct {
    const char *shape;
} huge[] = {{"1, 32769, 1"}, {"1, 1, 4097"}, {"4611686018427387904, 2, 3"}};

START_TEST(sizes_that_cannot_be_are_refused_before_memory_is_asked_for)
{
    moe_loads l;
    moe_error err = {0};
    put_npy("huge.npy", huge[_i].shape, two, 12);
    ck_assert_int_eq(moe_loads_read(path, NULL, &l, &err), MOE_FORMAT);
    ck_assert_msg(strstr(err.text, "too") != NULL, "%s", err.text);
    moe_loads_fini(&l);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("loads");
    moe_h5_quiet();
    MOE_TEST_LOOP(suite, text_of_any_form_has_the_same_loads,
                  MOE_ARRAY_LEN(texts));
    MOE_TEST(suite, arrays_have_the_same_loads);
    MOE_TEST(suite, datasets_have_the_same_loads);
    MOE_TEST(suite, load_trace_has_its_steps_and_token_trace_its_parts);
    MOE_TEST_LOOP(suite, table_that_is_not_understood_is_refused,
                  MOE_ARRAY_LEN(bad));
    MOE_TEST_LOOP(suite, file_that_is_not_there_is_named,
                  MOE_ARRAY_LEN(absent));
    MOE_TEST(suite, array_or_dataset_of_another_shape_is_refused);
    MOE_TEST_LOOP(suite,
                  sizes_that_cannot_be_are_refused_before_memory_is_asked_for,
                  MOE_ARRAY_LEN(huge));
    return suite;
}
