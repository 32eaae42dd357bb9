/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/numbers.h"

#include <math.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

/* A source in memory. */
typedef struct {
    const char *at;
    size_t left;
} memory;

static size_t read_memory(void *from, void *to, size_t bytes)
{
    memory *m = from;
    const size_t n = bytes < m->left ? bytes : m->left;
    memcpy(to, m->at, n);
    m->at += n;
    m->left -= n;
    return n;
}

/* One element as it stands in a file, and what it is. */
static const struct {
    char kind;
    size_t size;
    bool big_endian;
    const char *bytes;
    double value;
} elements[] = {
    {'u', 1, false, "\xff", 255},
    {'i', 1, false, "\xff", -1},
    {'i', 2, false, "\xfe\xff", -2},
    {'i', 2, true, "\x01\x02", 258},
    {'u', 4, true, "\x00\x00\x01\x00", 256},
    {'i', 4, false, "\x00\x00\x00\x80", -2147483648.0},
    {'i', 8, true, "\xff\xff\xff\xff\xff\xff\xff\xfe", -2},
    {'u', 8, false, "\x00\x00\x00\x00\x01\x00\x00\x00", 4294967296.0},
    {'f', 4, false, "\x00\x00\xc0\x3f", 1.5},
    {'f', 4, true, "\x3f\xc0\x00\x00", 1.5},
    {'f', 8, false, "\x00\x00\x00\x00\x00\x00\xf8\xbf", -1.5},
    {'f', 2, false, "\x00\x3c", 1},
    {'f', 2, false, "\x00\xc1", -2.5},
    {'f', 2, false, "\xff\x7b", 65504},
    {'f', 2, false, "\x01\x00", 0x1p-24},
    {'f', 2, false, "\x00\x7c", INFINITY},
    {'f', 2, true, "\x3c\x00", 1},
    {'b', 2, false, "\xc0\x3f", 1.5},
};

START_TEST(element_is_the_number_it_stands_for)
{
    memory m = {elements[_i].bytes, elements[_i].size};
    moe_numbers a = {.name = "x",
                     .source = {&m, read_memory},
                     .kind = elements[_i].kind,
                     .size = elements[_i].size,
                     .big_endian = elements[_i].big_endian};
    double x = 0;
    int64_t whole = 0;
    ck_assert_int_eq(moe_numbers_real(&a, 1, &x, NULL), MOE_OK);
    ck_assert_double_eq(x, elements[_i].value);
    if (a.kind == 'i' || a.kind == 'u') {
        m = (memory){elements[_i].bytes, elements[_i].size};
        ck_assert_int_eq(moe_numbers_int(&a, 1, &whole, NULL), MOE_OK);
        ck_assert_double_eq((double)whole, elements[_i].value);
    }
    ck_assert_int_eq(moe_numbers_real(&a, 1, &x, NULL), MOE_FORMAT);
}
END_TEST

/* A header, and what it says; rank -1: refused. */
static const struct {
    const char *header;
    int rank;
    size_t dims[3];
    char kind;
    size_t size;
    bool big_endian, fortran;
} headers[] = {
    {"{'descr': '<i8', 'fortran_order': False, 'shape': (3, 4), }",
     2,
     {3, 4},
     'i',
     8,
     false,
     false},
    {"{'descr': '>f4', 'fortran_order': True, 'shape': (2,), }",
     1,
     {2},
     'f',
     4,
     true,
     true},
    {"{'descr': '|u1', 'fortran_order': False, 'shape': (1, 2, 3), }",
     3,
     {1, 2, 3},
     'u',
     1,
     false,
     false},
    {"{'descr': '<f2', 'fortran_order': False, 'shape': (), }",
     0,
     {0},
     'f',
     2,
     false,
     false},
    {"{'descr': '|i8', 'fortran_order': False, 'shape': (2,), }", .rank = -1},
    {"{'descr': '<f1', 'fortran_order': False, 'shape': (2,), }", .rank = -1},
    {"{'descr': '<U4', 'fortran_order': False, 'shape': (2,), }", .rank = -1},
    {"{'descr': [('a', '<i4')], 'fortran_order': False, 'shape': (2,), }",
     .rank = -1},
    {"{'descr': '<i8', 'fortran_order': Maybe, 'shape': (2,), }", .rank = -1},
    {"{'descr': '<i8', 'fortran_order': False, 'shape': (2, -1), }",
     .rank = -1},
    {"{'descr': '<i8', 'fortran_order': False, 'shape': (2, 3", .rank = -1},
    {"{'descr': '<i8', 'fortran_order': False}", .rank = -1},
    {"{'descr': '<i8', 'fortran_order': False, 'shape': "
     "(1,1,1,1,1,1,1,1,1,), }",
     .rank = -1},
};

START_TEST(header_says_what_the_array_is)
{
    char file[256] = "\x93NUMPY\x01\x00";
    const size_t n = strlen(headers[_i].header);
    file[8] = (char)n;
    memcpy(file + 10, headers[_i].header, n);
    memory m = {file, 10 + n};
    moe_numbers a = {.name = "x", .source = {&m, read_memory}};
    const moe_status status = moe_npy_header(&a, NULL);
    if (headers[_i].rank < 0) {
        ck_assert_int_eq(status, MOE_FORMAT);
        return;
    }
    ck_assert_int_eq(status, MOE_OK);
    ck_assert_int_eq(a.rank, headers[_i].rank);
    for (int d = 0; d < a.rank; d++)
        ck_assert_uint_eq(a.dims[d], headers[_i].dims[d]);
    ck_assert_int_eq(a.kind, headers[_i].kind);
    ck_assert_uint_eq(a.size, headers[_i].size);
    ck_assert(a.big_endian == headers[_i].big_endian);
    ck_assert(a.fortran == headers[_i].fortran);
}
END_TEST

/* A zero byte is no byte order, and no end of a header. */
START_TEST(header_with_a_zero_byte_is_refused)
{
    static const char header[] =
        "{'descr': '\0f8', 'fortran_order': False, 'shape': (2,), }";
    char file[256] = "\x93NUMPY\x01\x00";
    file[8] = (char)(sizeof header - 1);
    memcpy(file + 10, header, sizeof header - 1);
    memory m = {file, 10 + sizeof header - 1};
    moe_numbers a = {.name = "x", .source = {&m, read_memory}};
    ck_assert_int_eq(moe_npy_header(&a, NULL), MOE_FORMAT);
}
END_TEST

START_TEST(array_beyond_memory_has_no_length)
{
    moe_numbers a = {.rank = 2, .dims = {SIZE_MAX / 4, 3}, .size = 1};
    ck_assert_uint_eq(moe_numbers_length(&a), SIZE_MAX);
    a.dims[0] = SIZE_MAX / 2;
    ck_assert_uint_eq(moe_numbers_length(&a), SIZE_MAX);
    a.dims[0] = 5;
    ck_assert_uint_eq(moe_numbers_length(&a), 15);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("numbers");
    MOE_TEST_LOOP(suite, element_is_the_number_it_stands_for,
                  MOE_ARRAY_LEN(elements));
    MOE_TEST_LOOP(suite, header_says_what_the_array_is, MOE_ARRAY_LEN(headers));
    MOE_TEST(suite, header_with_a_zero_byte_is_refused);
    MOE_TEST(suite, array_beyond_memory_has_no_length);
    return suite;
}
