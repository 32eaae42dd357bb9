/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ledger.h"

#include <math.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

/* Sizes that no two dimensions share, so that none can stand for another. */
static const moe_ledger_dims dims = {.strategies = 2,
                                     .iterations = 3,
                                     .warmup = 5,
                                     .layers = 7,
                                     .experts = 11,
                                     .gpus = 13,
                                     .ranks = 17,
                                     .slots = 19,
                                     .candidates = 23,
                                     .paced = true};

enum {
    S = 2,
    I = 3,
    W = 5,
    L = 7,
    E = 11,
    G = 13,
    K = 19,
    C = 23,
    P = MOE_N_PHASES
};

/* Bytes of every field on a rank that holds it, worked by hand. */
static const struct {
    moe_field_id field;
    size_t bytes;
    bool by_all; /* or by rank 0 alone */
} fields[] = {
    {MOE_FIELD_WALL, S *I *L *P * 8, true},
    {MOE_FIELD_CPU, S *I *L *P * 8, true},
    {MOE_FIELD_GPU, S *I *L *P * 8, true},
    {MOE_FIELD_EXPOSED, S *I *L *P * 8, true},
    {MOE_FIELD_WAIT, S *I *L *P * 8, true},
    {MOE_FIELD_PRICE_SOURCE, S *I *L *P * 2, true},
    {MOE_FIELD_ORDER, S *I * 4, false},
    {MOE_FIELD_WARMUP_TIME, S *W * 8, false},
    {MOE_FIELD_LAYER_BARRIERS, S *I *L * 8, false},
    {MOE_FIELD_TRUE_PAIRS, I *L *E * 4, false},
    {MOE_FIELD_PREDICTED_PAIRS, S *I *L *E * 8, false},
    {MOE_FIELD_RANK_PAIRS, S *I *L * 4, true},
    {MOE_FIELD_ERROR, S *I *L * 8, false},
    {MOE_FIELD_TOP1, S *I *L * 8, false},
    {MOE_FIELD_RECALL, S *I *L * 8, false},
    {MOE_FIELD_IN_PLACE, S *I *L * 8, false},
    {MOE_FIELD_SLOT_EXPERT, S *I *L *G *K * 2, false},
    {MOE_FIELD_SLOT_QUOTA, S *I *L *G *K * 8, false},
    {MOE_FIELD_MOVED_BYTES, S *I *L * 8, false},
    {MOE_FIELD_WIRE_BYTES, S *I * 8, false},
    {MOE_FIELD_PLANNER_TIME, S *I *L * 8, false},
    {MOE_FIELD_PLANNER_STEPS, S *I *L * 8, false},
    {MOE_FIELD_BUSIEST, S *I *L * 4, false},
    {MOE_FIELD_BUSIEST_MINMAX, S *I *L * 4, false},
    {MOE_FIELD_BUSIEST_ORACLE_PLAN, S *I *L * 4, false},
    {MOE_FIELD_BUSIEST_BEST, S *I *L * 4, false},
    {MOE_FIELD_BUSIEST_BOUND, S *I *L * 4, false},
    {MOE_FIELD_DISPATCH_BYTES, S *G * 8, true},
    {MOE_FIELD_AHEAD_BYTES, S *G * 8, true},
    {MOE_FIELD_USED, S *I *C * 2, false},
    {MOE_FIELD_TRIED, S *I *C * 2, false},
    {MOE_FIELD_TRY_STEPS, S *I *C * 8, false},
    {MOE_FIELD_TRY_BYTES, S *I *C * 8, false},
    {MOE_FIELD_CHOSEN, S *I *C * 2, false},
    {MOE_FIELD_ESTIMATE, S *I *C * 8, false},
    {MOE_FIELD_AHEAD_ROWS, S *I *L * 8, false},
    {MOE_FIELD_NUMBERED, S *I *L * 2, false},
    {MOE_FIELD_SLOT_PAIRS, S *I *L *K * 4, true},
    {MOE_FIELD_EXCHANGE_DISPATCH, S *I *L * 2 * 8, true},
    {MOE_FIELD_EXCHANGE_COMBINE, S *I *L * 2 * 8, true},
    {MOE_FIELD_EXCHANGE_MIGRATE, S *I *L * 2 * 8, true},
    {MOE_FIELD_OWN_SEQUENCES, S *I *L * 4, true},
    {MOE_FIELD_OWN_TOKENS, S *I *L * 4, true},
    {MOE_FIELD_CACHED, S *I *L * 8, true},
    {MOE_FIELD_PACE_ASKED, S *I *L * 2 * 8, true},
    {MOE_FIELD_PACE_LATE, S *I *L * 2 * 8, true},
    {MOE_FIELD_BESIDE, S *I *L * 4 * 8, true},
    {MOE_FIELD_TRAVEL, S *I *L * 2 * 8, true},
    {MOE_FIELD_TRAVEL_EXPOSED, S *I *L * 2 * 8, true},
    {MOE_FIELD_SENDER_BYTES, S *I *L *G * 8, true},
    {MOE_FIELD_SENDER_TIME, S *I *L *G * 8, true},
    {MOE_FIELD_SENDER_LATE, S *I *L *G * 8, true},
};

static size_t length(moe_field_id id)
{
    return moe_field_length(&moe_fields[id], &dims) *
           moe_element_size(moe_fields[id].element);
}

START_TEST(field_has_the_bytes_of_its_dimensions)
{
    const moe_field *field = &moe_fields[fields[_i].field];
    ck_assert_msg(length(fields[_i].field) == fields[_i].bytes,
                  "%s: %zu bytes, not %zu", field->name,
                  length(fields[_i].field), fields[_i].bytes);
    ck_assert(moe_field_held(field, 0));
    ck_assert(moe_field_held(field, 1) == fields[_i].by_all);
}
END_TEST

/* The table above leaves nothing out that has memory. */
START_TEST(estimate_is_the_sum_over_all_fields)
{
    double all = 0, columns = 0;
    size_t arrays = 0;
    for (size_t i = 0; i < MOE_ARRAY_LEN(fields); i++) {
        all += (double)fields[i].bytes;
        columns += fields[i].by_all ? (double)fields[i].bytes : 0;
    }
    for (int f = 0; f < MOE_N_FIELDS; f++)
        arrays += moe_fields[f].holder != MOE_HELD_BY_NONE;
    ck_assert_uint_eq(arrays, MOE_ARRAY_LEN(fields));
    ck_assert_double_eq(moe_ledger_bytes(&dims, 0), all);
    ck_assert_double_eq(moe_ledger_bytes(&dims, 3), columns);
}
END_TEST

/* Every array is there to its last byte, and says that nothing is measured:
 * NaN, -1, or sums of 0. */
START_TEST(new_ledger_says_that_nothing_was_measured)
{
    moe_ledger ledger;
    ck_assert_int_eq(moe_ledger_init(&ledger, &dims, _i, NULL), MOE_OK);
    for (int f = 0; f < MOE_N_FIELDS; f++) {
        const moe_field *field = &moe_fields[f];
        const unsigned char *data = moe_field_data(field, &ledger);
        ck_assert((data != NULL) == moe_field_held(field, _i));
        for (size_t b = 0; data != NULL && b < length((moe_field_id)f);
             b += moe_element_size(field->element)) {
            double x = NAN;
            if (field->element == MOE_ELEMENT_F64)
                memcpy(&x, data + b, sizeof x);
            ck_assert(isnan(x));
            ck_assert(field->element == MOE_ELEMENT_F64 ||
                      data[b] == (field->holder == MOE_HELD_TO_END ? 0 : 255));
        }
    }
    moe_ledger_fini(&ledger);
    ck_assert_ptr_null(ledger.wall);
}
END_TEST

START_TEST(levels_and_exchanges_are_found_by_their_number)
{
    moe_ledger ledger;
    ck_assert_int_eq(moe_ledger_init(&ledger, &dims, 0, NULL), MOE_OK);
    ck_assert_ptr_eq(moe_ledger_busiest(&ledger, MOE_LEVEL_ACTUAL),
                     ledger.busiest_actual);
    ck_assert_ptr_eq(moe_ledger_busiest(&ledger, MOE_LEVEL_MINMAX),
                     ledger.busiest_minmax);
    ck_assert_ptr_eq(moe_ledger_busiest(&ledger, MOE_LEVEL_ORACLE_PLAN),
                     ledger.busiest_oracle_plan);
    ck_assert_ptr_eq(moe_ledger_busiest(&ledger, MOE_LEVEL_BEST),
                     ledger.busiest_best);
    ck_assert_ptr_eq(moe_ledger_busiest(&ledger, MOE_LEVEL_BOUND),
                     ledger.busiest_bound);
    ck_assert_ptr_eq(moe_ledger_exchange(&ledger, MOE_EXCHANGE_DISPATCH),
                     ledger.exchange_dispatch);
    ck_assert_ptr_eq(moe_ledger_exchange(&ledger, MOE_EXCHANGE_COMBINE),
                     ledger.exchange_combine);
    ck_assert_ptr_eq(moe_ledger_exchange(&ledger, MOE_EXCHANGE_MIGRATE),
                     ledger.exchange_migrate);
    moe_ledger_fini(&ledger);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("ledger");
    MOE_TEST_LOOP(suite, field_has_the_bytes_of_its_dimensions,
                  MOE_ARRAY_LEN(fields));
    MOE_TEST(suite, estimate_is_the_sum_over_all_fields);
    MOE_TEST_LOOP(suite, new_ledger_says_that_nothing_was_measured, 2);
    MOE_TEST(suite, levels_and_exchanges_are_found_by_their_number);
    return suite;
}
