/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/learned.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "harness.h"
#include "moegps/h5.h"

static const moe_learned_shape weight = {
    "weight", 2, {"row", "column"}, {3, 2}};
static const moe_learned_shape history = {
    "train_loss", 1, {MOE_LEARNED_EPOCH}, {4}};

/* Arrays of whole numbers, which a file stores as integers, and of such that
 * it must not. */
static const struct {
    moe_learned_shape shape;
    float value[3];
} whole[] = {{{"byte", 1, {"n"}, {3}}, {0, 7, 255}},
             {{"word", 1, {"n"}, {3}}, {0, 7, 256}},
             {{"long", 1, {"n"}, {3}}, {0, 7, 0x1p24F}},
             {{"signed", 1, {"n"}, {3}}, {-2, 7, 255}},
             {{"large", 1, {"n"}, {3}}, {0, 7, 0x1p60F}},
             {{"mixed", 1, {"n"}, {3}}, {7, -1.5F, 255}}};
enum { N_WHOLE = sizeof whole / sizeof whole[0] };

static moe_trace make_trace(void)
{
    const moe_model model = fixture_model();
    moe_trace t = fixture_tokens(&model);
    memset(t.sha256, 'a', sizeof t.sha256 - 1);
    for (uint64_t i = 0; i < t.n_tokens; i++)
        t.token_id[i] = (uint32_t)(i * i % 89); /* no sequence twice */
    return t;
}

/* Two parts of six weights and a history with a NaN. */
static moe_learned make_learned(const moe_trace *trace)
{
    moe_learned l;
    ck_assert_int_eq(moe_learned_new(trace, &l, NULL), MOE_OK);
    strcpy(l.command, "moegps train ...");
    for (int p = 0; p < 2; p++) {
        moe_learned_part *part =
            moe_learned_add(&l, p == 0 ? "ffn" : "lstm", NULL);
        part->seed = 7 + (unsigned)p;
        part->epochs = 3;
        part->epochs_limit = 4;
        part->best_epoch = 1;
        part->complete = true;
        part->cpu_s = 1.5;
        part->final_loss = 0.25;
        float *w = moe_learned_put(part, &weight, NULL);
        for (int i = 0; i < 6; i++)
            w[i] = (float)(p + 1) / (float)(i + 3);
        for (int k = 0; k < N_WHOLE; k++) {
            float *n = moe_learned_put(part, &whole[k].shape, NULL);
            memcpy(n, whole[k].value, sizeof whole[k].value);
        }
        moe_learned_put(part, &history, NULL)[3] = NAN;
    }
    return l;
}

static char *path_of(const char *name)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", test_dir, name);
    unlink(path);
    return path;
}

static void check_equal(const moe_learned *a, const moe_learned *b)
{
    ck_assert_str_eq(a->model, b->model);
    ck_assert_str_eq(a->trace_sha256, b->trace_sha256);
    ck_assert_str_eq(a->command, b->command);
    ck_assert(a->layers == b->layers && a->experts == b->experts &&
              a->top_k == b->top_k && a->vocab_size == b->vocab_size &&
              a->n_parts == b->n_parts && a->n_seen == b->n_seen);
    ck_assert_mem_eq(a->seen, b->seen, a->n_seen * sizeof *a->seen);
    for (int p = 0; p < a->n_parts; p++) {
        const moe_learned_part *x = &a->part[p], *y = &b->part[p];
        ck_assert_str_eq(x->predictor, y->predictor);
        ck_assert(x->seed == y->seed && x->epochs == y->epochs &&
                  x->epochs_limit == y->epochs_limit &&
                  x->best_epoch == y->best_epoch &&
                  x->complete == y->complete && x->n_arrays == y->n_arrays);
        ck_assert_double_eq(x->cpu_s, y->cpu_s);
        ck_assert_double_eq(x->final_loss, y->final_loss);
        ck_assert_mem_eq(moe_learned_get(x, &weight, NULL),
                         moe_learned_get(y, &weight, NULL), 6 * sizeof(float));
        ck_assert(isnan(moe_learned_get(y, &history, NULL)[3]));
        for (int k = 0; k < N_WHOLE; k++)
            ck_assert_mem_eq(moe_learned_get(y, &whole[k].shape, NULL),
                             whole[k].value, sizeof whole[k].value);
    }
}

START_TEST(a_file_gives_back_what_was_written)
{
    moe_trace trace = make_trace();
    moe_learned a = make_learned(&trace), b;
    const char *path = path_of("round.h5");
    a.part[1].complete = _i == 1;
    ck_assert_int_eq(moe_learned_write(path, &a, NULL), MOE_OK);
    ck_assert_int_eq(moe_learned_write(path, &a, &(moe_error){0}), MOE_EXISTS);
    ck_assert_int_eq(moe_learned_read(path, &b, NULL), MOE_OK);
    check_equal(&a, &b);
    ck_assert_ptr_nonnull(moe_learned_find(&b, "lstm"));
    ck_assert_ptr_null(moe_learned_find(&b, "token"));
    moe_learned_free(&a);
    moe_learned_free(&b);
    moe_trace_free(&trace);
}
END_TEST

/* ---- what is wrong with a file ---- */

static moe_error spoil_err; /* stays empty */

static void put_int(hid_t where, const char *name, int value)
{
    moe_h5_put_int(where, name, value, &spoil_err);
}

static void put_weight(hid_t file, float value)
{
    hid_t group = moe_h5_open_group(file, "lstm", &spoil_err);
    hid_t set = moe_h5_open_dataset(group, "weight", &spoil_err);
    const moe_h5_block one = {{1, 1}, {1, 1}};
    moe_h5_write_block(set, &one, H5T_NATIVE_FLOAT, &value, H5P_DEFAULT,
                       &spoil_err);
    moe_h5_close(set);
    moe_h5_close(group);
}

static void break_nan(hid_t file)
{
    put_weight(file, NAN);
}
static void break_inf(hid_t file)
{
    put_weight(file, -INFINITY);
}
static void break_schema(hid_t file)
{
    moe_h5_put_text(file, "schema", "moe-gps-trace", &spoil_err);
}
static void break_version(hid_t file)
{
    moe_h5_put_text(file, "schema_version", "3.0.0", &spoil_err);
}
/* Networks of that did not start from the token table. */
static void make_old(hid_t file)
{
    moe_h5_put_text(file, "schema_version", "1.0.0", &spoil_err);
}
static void break_layers(hid_t file)
{
    put_int(file, "layers", 0);
}
static void break_list(hid_t file)
{
    moe_h5_put_text(file, "predictors", "ffn gru", &spoil_err);
}
static void break_missing(hid_t file)
{
    H5Ldelete(file, "lstm/weight", H5P_DEFAULT);
}
static void break_dims(hid_t file)
{
    hid_t group = moe_h5_open_group(file, "lstm", &spoil_err);
    hid_t set = moe_h5_open_dataset(group, "weight", &spoil_err);
    moe_h5_put_text(set, "dimensions", "row", &spoil_err);
    moe_h5_close(set);
    moe_h5_close(group);
}

static const struct {
    void (*spoil)(hid_t file);
    const char *says;
} faults[] = {
    {break_nan, "predictor lstm: array 'weight': element 3 is not finite"},
    {break_inf, "predictor lstm: array 'weight': element 3 is not finite"},
    {break_schema, "is a 'moe-gps-trace' file, not a predictor file"},
    {break_version, "has schema 3.0.0, this program reads 2.1.0"},
    {make_old, "has schema 1.0.0, this program reads 2.1.0"},
    {break_layers, "attribute 'layers' is 0, not in 1..65536"},
    {break_list, "gru"},
    {break_missing, "predictor lstm: "},
    {break_dims, "array 'weight': dimensions are 'row'"},
};

START_TEST(a_spoilt_file_is_refused_with_its_fault)
{
    moe_trace trace = make_trace();
    moe_learned a = make_learned(&trace), b;
    moe_error err = {0};
    const char *path = path_of("spoilt.h5");
    ck_assert_int_eq(moe_learned_write(path, &a, NULL), MOE_OK);
    hid_t file = moe_h5_open(path, true, &spoil_err);
    faults[_i].spoil(file);
    moe_h5_close_file(file, &spoil_err);
    ck_assert_int_eq(spoil_err.status, MOE_OK);
    ck_assert_int_eq(moe_learned_read(path, &b, &err), MOE_FORMAT);
    ck_assert_msg(strstr(err.text, faults[_i].says) != NULL &&
                      strncmp(err.text, path, strlen(path)) == 0,
                  "said: %s", err.text);
    moe_learned_free(&a);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(a_truncated_or_missing_file_is_refused)
{
    moe_trace trace = make_trace();
    moe_learned a = make_learned(&trace), b;
    moe_error err = {0};
    const char *path = path_of("cut.h5");
    ck_assert_int_eq(moe_learned_write(path, &a, NULL), MOE_OK);
    ck_assert_int_eq(truncate(path, 3000), 0);
    ck_assert_int_eq(moe_learned_read(path, &b, &err), MOE_FORMAT);
    unlink(path);
    err = (moe_error){0};
    ck_assert_int_eq(moe_learned_read(path, &b, &err), MOE_USAGE);
    moe_learned_free(&a);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(an_array_of_another_shape_is_refused)
{
    moe_trace trace = make_trace();
    moe_learned a = make_learned(&trace);
    moe_learned_shape s = weight;
    moe_error err = {0};
    s.dim[1] = 3;
    ck_assert_ptr_null(moe_learned_get(&a.part[0], &s, &err));
    ck_assert_str_eq(err.text, "predictor ffn: array 'weight' has 2 of "
                               "dimension 'column', expected 3");
    s.rank = 1;
    err = (moe_error){0};
    ck_assert_ptr_null(moe_learned_get(&a.part[0], &s, &err));
    ck_assert_str_eq(err.text, "predictor ffn: array 'weight' has 2 "
                               "dimensions, expected 1");
    s.name = "none";
    err = (moe_error){0};
    ck_assert_ptr_null(moe_learned_get(&a.part[0], &s, &err));
    ck_assert_str_eq(err.text, "predictor ffn: array 'none' is missing");
    moe_learned_free(&a);
    moe_trace_free(&trace);
}
END_TEST

/* ---- what does not go with a trace ---- */

static void other_model(moe_trace *t)
{
    strcpy(t->model, "other");
}
static void other_layers(moe_trace *t)
{
    t->layers--;
}
static void larger_vocabulary(moe_trace *t)
{
    t->vocab_size++;
}
static void no_ids(moe_trace *t)
{
    free(t->token_id);
    t->token_id = NULL;
}
static void other_split(moe_trace *t)
{
    t->sha256[0] = 'b';
    t->seq_part[2] = MOE_PART_TEST; /* trained on */
}
static void same_split(moe_trace *t)
{
    t->sha256[0] = 'b'; /* say, other gate weights */
}
static void smaller_test(moe_trace *t)
{
    t->sha256[0] = 'b';
    t->seq_part[7] = MOE_PART_TRAIN;
    t->vocab_size--;
}

static const struct {
    void (*change)(moe_trace *t);
    const char *says; /* NULL: fits */
} traces[] = {
    {other_model, "trained on model 'tiny', the trace is of 'other'"},
    {other_layers, "trained for 3 layers, 8 experts, top 2; the trace has 2, "
                   "8, 2"},
    {larger_vocabulary, "trained for token ids below 100, the trace has 101"},
    {no_ids, "the trace has no token ids, from which experts are predicted: a "
             "token trace with ids is needed"},
    {other_split, "training saw sequence 2 of the trace's test part"},
    {same_split, NULL},
    {smaller_test, NULL},
};

START_TEST(what_does_not_go_with_a_trace_is_refused)
{
    moe_trace trace = make_trace();
    moe_learned a = make_learned(&trace);
    moe_error err = {0};
    ck_assert_int_eq(moe_learned_check(&a, &trace, &err), MOE_OK);
    traces[_i].change(&trace);
    const moe_status s = moe_learned_check(&a, &trace, &err);
    ck_assert_int_eq(s, traces[_i].says == NULL ? MOE_OK : MOE_MISMATCH);
    if (traces[_i].says != NULL)
        ck_assert_str_eq(err.text, traces[_i].says);
    moe_learned_free(&a);
    moe_trace_free(&trace);
}
END_TEST

START_TEST(nothing_is_learned_from_nothing)
{
    const moe_model model = fixture_model();
    moe_trace tokens = make_trace(), loads = fixture_loads(&model);
    moe_learned l;
    moe_error err = {0};
    ck_assert_int_eq(moe_learned_new(&loads, &l, &err), MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "a token trace is needed"));
    memset(tokens.seq_part, MOE_PART_TEST, tokens.n_seqs);
    err = (moe_error){0};
    ck_assert_int_eq(moe_learned_new(&tokens, &l, &err), MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "training part is empty"));
    no_ids(&tokens);
    err = (moe_error){0};
    ck_assert_int_eq(moe_learned_new(&tokens, &l, &err), MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "no token ids"));
    moe_trace_free(&tokens);
    moe_trace_free(&loads);
}
END_TEST

START_TEST(rounding_keeps_the_bits_asked_for)
{
    static const float given[] = {1.0F, 1.25F, 1.1F, -1.9F, 3.99F, 0.0F};
    static const float kept[] = {1.0F, 1.25F, 1.0F, -2.0F, 4.0F, 0.0F};
    moe_trace trace = make_trace();
    moe_learned a = make_learned(&trace);
    float *w = moe_learned_get(&a.part[0], &weight, NULL);
    memcpy(w, given, sizeof given);
    moe_learned_round(&a.part[0], 23);
    ck_assert_mem_eq(w, given, sizeof given);
    moe_learned_round(&a.part[0], 2);
    ck_assert_mem_eq(w, kept, sizeof kept);
    ck_assert(isnan(moe_learned_get(&a.part[0], &history, NULL)[3]));
    moe_learned_free(&a);
    moe_trace_free(&trace);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("learned");
    MOE_TEST_LOOP(suite, a_file_gives_back_what_was_written, 2);
    MOE_TEST_LOOP(suite, a_spoilt_file_is_refused_with_its_fault,
                  MOE_ARRAY_LEN(faults));
    MOE_TEST(suite, a_truncated_or_missing_file_is_refused);
    MOE_TEST(suite, an_array_of_another_shape_is_refused);
    MOE_TEST_LOOP(suite, what_does_not_go_with_a_trace_is_refused,
                  MOE_ARRAY_LEN(traces));
    MOE_TEST(suite, nothing_is_learned_from_nothing);
    MOE_TEST(suite, rounding_keeps_the_bits_asked_for);
    return suite;
}
