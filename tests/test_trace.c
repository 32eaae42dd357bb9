/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness.h"
#include "moegps/h5.h"
#include "moegps/mem.h"

/* A token trace and a load trace small enough to check by hand. */
enum { LAYERS = 2, TOKENS = 6, TOP_K = 2, EXPERTS = 5, SEQS = 3, VOCAB = 7 };

/* content_hash() of tools/convert_traces.py says this of the same arrays. */
static const char golden_tokens[] =
    "e42aa34b39fc996753be4b7bd29b61a1d814cba6be52d6bb88e2b86a1d0dafb2";
static const char golden_loads[] =
    "3fc4404546e678c4238b88b08a8e65e9acadca5721c75fc70a80fd957452d1e2";

static void *copy_of(const void *data, size_t bytes)
{
    void *copy = moe_array_new(bytes, 1, NULL);
    ck_assert_ptr_nonnull(copy);
    return memcpy(copy, data, bytes);
}

static moe_trace small_tokens(void)
{
    static const uint64_t offset[] = {0, 2, 3, 6};
    static const uint8_t part[] = {0, 1, 0};
    static const int32_t position[] = {4, 5, 0, 0, 1, 2};
    static const char vocab[] = "a\0b\0c\0d\0e\0f\0gg";
    uint16_t experts[LAYERS * TOKENS * TOP_K];
    float gate[LAYERS * TOKENS * TOP_K];
    uint32_t id[TOKENS];
    for (int j = 0; j < LAYERS * TOKENS; j++) {
        int l = j / TOKENS, t = j % TOKENS;
        experts[2 * j] = (uint16_t)((t + l) % EXPERTS);
        experts[2 * j + 1] = (uint16_t)((t + l + 2) % EXPERTS);
        gate[2 * j] = 0.75f;
        gate[2 * j + 1] = 0.25f;
    }
    for (unsigned t = 0; t < TOKENS; t++)
        id[t] = t * 3 % VOCAB;
    return (moe_trace){.kind = MOE_TRACE_TOKENS,
                       .model = "small",
                       .source = "made by hand",
                       .licence = "CC0-1.0",
                       .note = "six tokens \xe2\x82\xac",
                       .layers = LAYERS,
                       .experts = EXPERTS,
                       .top_k = TOP_K,
                       .ordered = true,
                       .has_position = true,
                       .has_gate = true,
                       .n_tokens = TOKENS,
                       .n_seqs = SEQS,
                       .vocab_size = VOCAB,
                       .seq_offset = copy_of(offset, sizeof offset),
                       .seq_part = copy_of(part, sizeof part),
                       .experts_of = copy_of(experts, sizeof experts),
                       .gate = copy_of(gate, sizeof gate),
                       .token_id = copy_of(id, sizeof id),
                       .position = copy_of(position, sizeof position),
                       .vocab = copy_of(vocab, sizeof vocab - 1),
                       .vocab_bytes = sizeof vocab - 1,
                       .shared = MPI_WIN_NULL};
}

static moe_trace small_loads(void)
{
    static const uint64_t offset[] = {0, 3, 5};
    static const uint8_t part[] = {0, 1};
    static const uint32_t counts[] = {3, 2, 1, 0, 3, 3, 2, 1, 1, 2, 2, 0};
    return (moe_trace){.kind = MOE_TRACE_LOADS,
                       .model = "small",
                       .layers = 2,
                       .experts = 3,
                       .top_k = 2,
                       .n_tokens = 5,
                       .n_seqs = 2,
                       .seq_offset = copy_of(offset, sizeof offset),
                       .seq_part = copy_of(part, sizeof part),
                       .counts = copy_of(counts, sizeof counts),
                       .shared = MPI_WIN_NULL};
}

static moe_trace small(int kind)
{
    return kind == MOE_TRACE_TOKENS ? small_tokens() : small_loads();
}

static const char *scratch(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", test_dir, name);
    return path;
}

static void assert_same(const void *a, const void *b, size_t bytes)
{
    ck_assert_int_eq(a == NULL, b == NULL);
    if (a != NULL)
        ck_assert_mem_eq(a, b, bytes);
}

START_TEST(file_gives_back_what_was_written)
{
    moe_error err = {0};
    moe_trace a = small(_i), b = {0};
    a.order = _i == 0 ? MOE_ORDER_NONE : MOE_ORDER_TIME;
    const char *path = scratch(_i == 0 ? "tokens.h5" : "loads.h5");
    ck_assert_msg(moe_trace_write(path, &a, &err) == MOE_OK, "%s", err.text);
    ck_assert_msg(moe_trace_read(path, &b, &err) == MOE_OK, "%s", err.text);
    ck_assert_int_eq(a.kind, b.kind);
    ck_assert_str_eq(a.model, b.model);
    ck_assert_str_eq(a.source, b.source);
    ck_assert_str_eq(a.licence, b.licence);
    ck_assert_str_eq(a.note, b.note);
    ck_assert_str_eq(a.sha256, b.sha256);
    ck_assert_int_eq(a.layers, b.layers);
    ck_assert_int_eq(a.experts, b.experts);
    ck_assert_int_eq(a.top_k, b.top_k);
    ck_assert_int_eq(a.ordered, b.ordered);
    ck_assert_int_eq(a.order, b.order);
    ck_assert_uint_eq(a.n_tokens, b.n_tokens);
    ck_assert_uint_eq(a.n_seqs, b.n_seqs);
    ck_assert_uint_eq(a.vocab_size, b.vocab_size);
    const size_t pairs = LAYERS * TOKENS * TOP_K;
    assert_same(a.seq_offset, b.seq_offset, (a.n_seqs + 1) * 8);
    assert_same(a.seq_part, b.seq_part, a.n_seqs);
    assert_same(a.experts_of, b.experts_of, pairs * 2);
    assert_same(a.gate, b.gate, pairs * 4);
    assert_same(a.token_id, b.token_id, TOKENS * 4);
    assert_same(a.position, b.position, TOKENS * 4);
    assert_same(a.counts, b.counts, 12 * 4);
    ck_assert_uint_eq(a.vocab_bytes, b.vocab_bytes);
    assert_same(a.vocab, b.vocab, a.vocab_bytes);
    moe_trace_free(&a);
    moe_trace_free(&b);
}
END_TEST

/* They have no such attribute. */
START_TEST(older_files_have_no_order)
{
    moe_error err = {0};
    moe_trace a = small_loads(), b = {0};
    a.order = MOE_ORDER_TIME;
    const char *path = scratch("older.h5");
    ck_assert_int_eq(moe_trace_write(path, &a, &err), MOE_OK);
    hid_t file = moe_h5_open(path, true, &err);
    ck_assert_int_ge(H5Adelete(file, "order"), 0);
    moe_h5_close_file(file, &err);
    ck_assert_msg(moe_trace_read(path, &b, &err) == MOE_OK, "%s", err.text);
    ck_assert_int_eq(b.order, MOE_ORDER_NONE);
    moe_trace_free(&a);
    moe_trace_free(&b);
}
END_TEST

START_TEST(hash_equals_that_of_the_converter)
{
    moe_error err = {0};
    moe_trace t = small(_i);
    char hex[65];
    ck_assert_int_eq(moe_trace_hash(&t, hex, &err), MOE_OK);
    ck_assert_str_eq(hex,
                     _i == MOE_TRACE_TOKENS ? golden_tokens : golden_loads);
    moe_trace_free(&t);
}
END_TEST

START_TEST(hash_sees_numbers_and_no_labels)
{
    moe_error err = {0};
    moe_trace t = small_tokens();
    char hex[65];
    t.note[0] = 'X';
    t.vocab[0] = 'X';
    t.order = MOE_ORDER_TIME;
    ck_assert_int_eq(moe_trace_hash(&t, hex, &err), MOE_OK);
    ck_assert_str_eq(hex, golden_tokens);
    t.seq_part[1] = MOE_PART_TRAIN;
    ck_assert_int_eq(moe_trace_hash(&t, hex, &err), MOE_OK);
    ck_assert_str_ne(hex, golden_tokens);
    moe_trace_free(&t);
}
END_TEST

START_TEST(wide_numbers_fit)
{
    /* 300 experts need uint16, 70000 pairs need uint32 in the file */
    moe_error err = {0};
    moe_trace a = small_tokens(), b = {0};
    a.experts = 300;
    a.experts_of[3] = 299;
    ck_assert_int_eq(moe_trace_write(scratch("wide.h5"), &a, &err), MOE_OK);
    ck_assert_int_eq(moe_trace_read(scratch("wide.h5"), &b, &err), MOE_OK);
    ck_assert_int_eq(b.experts_of[3], 299);
    moe_trace_free(&a);
    moe_trace_free(&b);
    a = small_loads();
    a.n_tokens = a.seq_offset[2] = 70003;
    a.counts[6] = a.counts[9] = 70000;
    a.counts[7] = a.counts[10] = 70000;
    a.counts[8] = a.counts[11] = 0;
    ck_assert_int_eq(moe_trace_write(scratch("long.h5"), &a, &err), MOE_OK);
    ck_assert_int_eq(moe_trace_read(scratch("long.h5"), &b, &err), MOE_OK);
    ck_assert_uint_eq(b.counts[6], 70000);
    moe_trace_free(&a);
    moe_trace_free(&b);
}
END_TEST

START_TEST(existing_file_is_kept)
{
    moe_error err = {0};
    moe_trace t = small_loads();
    ck_assert_int_eq(moe_trace_write(scratch("keep.h5"), &t, &err), MOE_OK);
    ck_assert_int_eq(moe_trace_write(scratch("keep.h5"), &t, &err), MOE_EXISTS);
    err = (moe_error){0};
    moe_trace back = {0};
    ck_assert_int_eq(moe_trace_read(scratch("keep.h5"), &back, &err), MOE_OK);
    moe_trace_free(&t);
    moe_trace_free(&back);
}
END_TEST

/* Ways to spoil a trace in memory, and what the complaint names. */
static void bad_expert(moe_trace *t)
{
    t->experts_of[(1 * TOKENS + 4) * TOP_K] = EXPERTS;
}
static void twice(moe_trace *t)
{
    t->experts_of[7] = t->experts_of[6];
}
static void no_tokens(moe_trace *t)
{
    t->n_tokens = 0;
}
static void empty_sequence(moe_trace *t)
{
    t->seq_offset[1] = t->seq_offset[2];
}
static void late_start(moe_trace *t)
{
    t->seq_offset[0] = 1;
}
static void early_end(moe_trace *t)
{
    t->seq_offset[3] = 5;
}
static void bad_part(moe_trace *t)
{
    t->seq_part[1] = 2;
}
static void bad_id(moe_trace *t)
{
    t->token_id[5] = VOCAB;
}
static void bad_position(moe_trace *t)
{
    t->position[1] = -3;
}
static void nan_gate(moe_trace *t)
{
    t->gate[5] = 0.0f / 0.0f;
}
static void rising_gate(moe_trace *t)
{
    t->gate[5] = 0.9f;
}
static void bad_vocabulary(moe_trace *t)
{
    t->vocab_bytes -= 3;
}
static void too_many_experts(moe_trace *t)
{
    t->experts = MOE_MAX_EXPERTS + 1;
}
static void bad_top_k(moe_trace *t)
{
    t->top_k = t->experts + 1;
}
static void undeclared_gate(moe_trace *t)
{
    t->has_gate = false;
}
static void wrong_sum(moe_trace *t)
{
    t->counts[4]--;
}
static void count_above_tokens(moe_trace *t)
{
    t->counts[9] = 3;
    t->counts[10] = 1;
}

static const struct {
    moe_trace_kind kind;
    void (*spoil)(moe_trace *t);
    const char *says;
} spoilers[] = {
    {MOE_TRACE_TOKENS, bad_expert,
     "dataset 'experts': layer 1, token 4: expert 5 is not in 0..4"},
    {MOE_TRACE_TOKENS, twice,
     "dataset 'experts': layer 0, token 3: expert 3 is there twice"},
    {MOE_TRACE_TOKENS, no_tokens, "trace is empty"},
    {MOE_TRACE_TOKENS, empty_sequence,
     "dataset 'seq_offset': sequence 1 has no tokens"},
    {MOE_TRACE_TOKENS, late_start, "dataset 'seq_offset': starts at 1"},
    {MOE_TRACE_TOKENS, early_end, "dataset 'seq_offset': ends at 5 of 6"},
    {MOE_TRACE_TOKENS, bad_part, "dataset 'split': sequence 1: 2 is neither"},
    {MOE_TRACE_TOKENS, bad_id,
     "dataset 'token_id': token 5: id 7 is not below 7"},
    {MOE_TRACE_TOKENS, bad_position,
     "dataset 'position': token 1: -3 is negative"},
    {MOE_TRACE_TOKENS, nan_gate, "dataset 'gate': layer 0, token 2: "},
    {MOE_TRACE_TOKENS, rising_gate,
     "dataset 'gate': layer 0, token 2: weights rise"},
    {MOE_TRACE_TOKENS, bad_vocabulary, "dataset 'vocabulary': 6 pieces for 7"},
    {MOE_TRACE_TOKENS, too_many_experts, "experts is 4097, not in 1..4096"},
    {MOE_TRACE_TOKENS, bad_top_k, "top_k is 6, not in 1..5"},
    {MOE_TRACE_TOKENS, undeclared_gate, "array 3 is there, but not declared"},
    {MOE_TRACE_LOADS, no_tokens, "trace is empty"},
    {MOE_TRACE_LOADS, wrong_sum,
     "dataset 'counts': step 0, layer 1: 5 pairs, not 6 (3 tokens x 2)"},
    {MOE_TRACE_LOADS, count_above_tokens,
     "dataset 'counts': step 1, layer 1, expert 0: 3 pairs of only 2 tokens"},
    {MOE_TRACE_LOADS, bad_part, "dataset 'split': step 1: 2 is neither"},
};

START_TEST(spoiled_trace_is_refused_and_not_written)
{
    moe_error err = {0};
    moe_trace t = small((int)spoilers[_i].kind);
    spoilers[_i].spoil(&t);
    ck_assert_int_eq(moe_trace_validate(&t, &err), MOE_FORMAT);
    ck_assert_msg(strstr(err.text, spoilers[_i].says) != NULL, "%s", err.text);
    err = (moe_error){0};
    const char *path = scratch("spoiled.h5");
    ck_assert_int_eq(moe_trace_write(path, &t, &err), MOE_FORMAT);
    ck_assert_int_ne(access(path, F_OK), 0);
    moe_trace_free(&t);
}
END_TEST

/* Ways to spoil a file. */
static hid_t reopen(void)
{
    moe_error err = {0};
    hid_t file = moe_h5_open(scratch("bad.h5"), true, &err);
    ck_assert_msg(file >= 0, "%s", err.text);
    return file;
}

static void poke(const char *dataset, size_t at, uint8_t value)
{
    moe_error err = {0};
    hid_t file = reopen();
    hid_t d = moe_h5_open_dataset(file, dataset, &err);
    moe_h5_block one = {.count = {1, 1, 1}};
    hid_t space = H5Dget_space(d);
    one.start[H5Sget_simple_extent_ndims(space) - 1] = at;
    moe_h5_write_block(d, &one, H5T_NATIVE_UINT8, &value, H5P_DEFAULT, &err);
    moe_h5_close(space);
    moe_h5_close(d);
    moe_h5_close_file(file, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
}

static void put_int(const char *name, int64_t value)
{
    moe_error err = {0};
    hid_t file = reopen();
    moe_h5_put_int(file, name, value, &err);
    moe_h5_close_file(file, &err);
}

static void put_text(const char *name, const char *value)
{
    moe_error err = {0};
    hid_t file = reopen();
    moe_h5_put_text(file, name, value, &err);
    moe_h5_close_file(file, &err);
}

static void delete_link(const char *name)
{
    moe_error err = {0};
    hid_t file = reopen();
    H5Ldelete(file, name, H5P_DEFAULT);
    moe_h5_close_file(file, &err);
}

static void file_truncated(void)
{
    ck_assert_int_eq(truncate(scratch("bad.h5"), 5000), 0);
}
static void file_empty(void)
{
    ck_assert_int_eq(truncate(scratch("bad.h5"), 0), 0);
}
static void file_other(void)
{
    FILE *f = fopen(scratch("bad.h5"), "wb");
    fputs("layer,token,expert0\n", f);
    fclose(f);
}
static void file_gone(void)
{
    unlink(scratch("bad.h5"));
}
static void file_schema(void)
{
    put_text("schema", "moe-gps");
}
static void file_newer(void)
{
    put_text("schema_version", "2.0.0");
}
static void file_order(void)
{
    put_text("order", "noon");
}
static void file_kind(void)
{
    put_text("kind", "gate");
}
static void file_layers(void)
{
    put_int("layers", 3);
}
static void file_experts(void)
{
    put_int("experts", 5000);
}
static void file_top_k(void)
{
    put_int("top_k", 3);
}
static void file_no_experts(void)
{
    delete_link("experts");
}
static void file_no_split(void)
{
    delete_link("split");
}
static void file_expert_range(void)
{
    poke("experts", 1, 9);
}
static void file_expert_tampered(void)
{
    poke("experts", 1, 4);
}
static void file_split_tampered(void)
{
    poke("split", 1, 0);
}
static void file_split_other(void)
{
    poke("split", 1, 7);
}
static void file_id_range(void)
{
    poke("token_id", 3, 77);
}
static void file_signed(void)
{
    moe_error err = {0};
    int32_t ids[TOKENS] = {0, -1};
    delete_link("token_id");
    hid_t file = reopen();
    moe_h5_spec spec = {.name = "token_id",
                        .type = H5T_STD_I32LE,
                        .rank = 1,
                        .dims = {"token"}};
    moe_h5_write(file, &spec, H5T_NATIVE_INT32, ids, &err);
    moe_h5_close_file(file, &err);
}
static void file_flat(void)
{
    moe_error err = {0};
    delete_link("experts");
    hid_t file = reopen();
    moe_h5_spec spec = {
        .name = "experts", .type = H5T_STD_U8LE, .rank = 1, .dims = {"token"}};
    moe_h5_write(file, &spec, H5T_NATIVE_UINT8, "abcdef", &err);
    moe_h5_close_file(file, &err);
}

static const struct {
    void (*spoil)(void);
    moe_status status;
    const char *says;
} files[] = {
    {file_truncated, MOE_FORMAT, "truncated"},
    {file_empty, MOE_FORMAT, "is not an HDF5 file"},
    {file_other, MOE_FORMAT, "is not an HDF5 file"},
    {file_gone, MOE_USAGE, "cannot open"},
    {file_schema, MOE_FORMAT, "is a 'moe-gps' file, not a trace"},
    {file_newer, MOE_FORMAT, "has schema 2.0.0, this program reads 1."},
    {file_order, MOE_FORMAT, "order is 'noon'"},
    {file_kind, MOE_FORMAT, "kind is 'gate'"},
    {file_layers, MOE_FORMAT,
     "dataset 'experts': dimension 0 is 2, but attribute 'layers' is 3"},
    {file_experts, MOE_FORMAT, "attribute 'experts' is 5000, not in 1..4096"},
    {file_top_k, MOE_FORMAT, "dimension 2 is 2, but attribute 'top_k' is 3"},
    {file_no_experts, MOE_FORMAT, "dataset 'experts' is missing"},
    {file_no_split, MOE_FORMAT, "dataset 'split' is missing"},
    {file_expert_range, MOE_FORMAT,
     "dataset 'experts': layer 0, token 0: expert 9 is not in 0..4"},
    {file_expert_tampered, MOE_FORMAT, "content was changed"},
    {file_split_tampered, MOE_FORMAT, "content was changed"},
    {file_split_other, MOE_FORMAT, "dataset 'split': sequence 1: 7 is neither"},
    {file_id_range, MOE_FORMAT, "dataset 'token_id': token 3: id 77"},
    {file_signed, MOE_FORMAT,
     "dataset 'token_id' does not hold unsigned integers"},
    {file_flat, MOE_FORMAT, "dataset 'experts' has 1 dimensions, not 3"},
};

START_TEST(bad_file_is_refused)
{
    moe_error err = {0};
    moe_trace t = small_tokens();
    const char *path = scratch("bad.h5");
    unlink(path);
    ck_assert_int_eq(moe_trace_write(path, &t, &err), MOE_OK);
    moe_trace_free(&t);
    files[_i].spoil();
    moe_trace out = {.layers = 77};
    ck_assert_int_eq(moe_trace_read(scratch("bad.h5"), &out, &err),
                     files[_i].status);
    ck_assert_msg(strstr(err.text, files[_i].says) != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, "bad.h5") != NULL, "%s", err.text);
    ck_assert_int_eq(out.layers, 77);
}
END_TEST

START_TEST(counts_are_of_one_part)
{
    uint64_t n[EXPERTS];
    moe_trace t = small_tokens();
    moe_trace_counts(&t, MOE_PART_TEST, 0, n); /* token 2: experts 2, 4 */
    ck_assert_mem_eq(n, ((uint64_t[]){0, 0, 1, 0, 1}), sizeof n);
    moe_trace_counts(&t, MOE_PART_TRAIN, 0, n); /* 0 2, 1 3, 3 0, 4 1, 0 2 */
    ck_assert_mem_eq(n, ((uint64_t[]){3, 2, 2, 2, 1}), sizeof n);
    ck_assert_uint_eq(moe_trace_part_tokens(&t, MOE_PART_TRAIN), 5);
    ck_assert_uint_eq(moe_trace_part_tokens(&t, MOE_PART_TEST), 1);
    moe_trace_free(&t);
    t = small_loads();
    moe_trace_counts(&t, MOE_PART_TEST, 1, n);
    ck_assert_mem_eq(n, ((uint64_t[]){2, 2, 0}), 3 * sizeof n[0]);
    moe_trace_free(&t);
}
END_TEST

START_TEST(expansion_of_tokens_is_a_copy)
{
    moe_trace t = small_tokens();
    uint16_t out[3 * TOP_K];
    moe_trace_expand(&t, 9, 2, 1, out);
    ck_assert_mem_eq(out, t.experts_of + (TOKENS + 3) * TOP_K, sizeof out);
    moe_trace_free(&t);
}
END_TEST

/* tokens, top_k, counts of 6 experts: from level to as skewed as can be */
static const struct {
    uint32_t tokens;
    int top_k;
    uint32_t counts[6];
} steps[] = {
    {1, 1, {0, 0, 1, 0, 0, 0}},
    {1, 6, {1, 1, 1, 1, 1, 1}},
    {100, 2, {33, 34, 33, 33, 34, 33}},
    {100, 2, {100, 100, 0, 0, 0, 0}},
    {100, 3, {100, 99, 1, 50, 0, 50}},
    {7, 4, {0, 7, 7, 7, 0, 7}},
    {511, 5, {511, 511, 511, 511, 511, 0}},
};

START_TEST(expansion_has_the_counts_and_distinct_experts)
{
    const uint32_t n = steps[_i].tokens;
    const size_t k = (size_t)steps[_i].top_k;
    uint64_t offset[] = {0, n};
    uint8_t part = MOE_PART_TEST;
    uint32_t counts[6];
    memcpy(counts, steps[_i].counts, sizeof counts);
    moe_trace t = {.kind = MOE_TRACE_LOADS,
                   .layers = 1,
                   .experts = 6,
                   .top_k = (int)k,
                   .n_tokens = n,
                   .n_seqs = 1,
                   .seq_offset = offset,
                   .seq_part = &part,
                   .counts = counts,
                   .shared = MPI_WIN_NULL};
    ck_assert_int_eq(moe_trace_validate(&t, NULL), MOE_OK);
    uint16_t *out = copy_of((uint16_t[512 * 6]){0}, n * k * sizeof *out);
    uint16_t *again = copy_of(out, n * k * sizeof *out);
    moe_trace_expand(&t, 5, 0, 0, out);
    moe_trace_expand(&t, 5, 0, 0, again);
    ck_assert_mem_eq(out, again, n * k * sizeof *out);
    uint32_t found[6] = {0};
    for (size_t i = 0; i < n; i++) {
        unsigned seen = 0;
        for (size_t j = 0; j < k; j++) {
            ck_assert_uint_eq(seen & 1u << out[i * k + j], 0);
            seen |= 1u << out[i * k + j];
            found[out[i * k + j]]++;
        }
    }
    ck_assert_mem_eq(found, counts, sizeof found);
    free(out);
    free(again);
}
END_TEST

START_TEST(expansion_depends_on_seed_step_and_layer)
{
    enum { N = 64, K = 2, E = 4, S = 2, L = 2 };
    uint64_t offset[] = {0, N, 2 * N};
    uint8_t part[S] = {0};
    uint32_t counts[S * L * E];
    for (int j = 0; j < S * L * E; j++)
        counts[j] = N * K / E;
    moe_trace t = {.kind = MOE_TRACE_LOADS,
                   .layers = L,
                   .experts = E,
                   .top_k = K,
                   .n_tokens = S * N,
                   .n_seqs = S,
                   .seq_offset = offset,
                   .seq_part = part,
                   .counts = counts,
                   .shared = MPI_WIN_NULL};
    uint16_t a[4][N * K];
    moe_trace_expand(&t, 1, 0, 0, a[0]);
    moe_trace_expand(&t, 2, 0, 0, a[1]);
    moe_trace_expand(&t, 1, 1, 0, a[2]);
    moe_trace_expand(&t, 1, 0, 1, a[3]);
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < i; j++)
            ck_assert_mem_ne(a[i], a[j], sizeof a[0]);
}
END_TEST

START_TEST(slice_keeps_sequences_and_layers)
{
    moe_error err = {0};
    moe_trace t = small_tokens(), s = {0};
    const int layers[] = {1};
    moe_trace_range range = {
        .first_seq = 1, .end_seq = 3, .layers = layers, .n_layers = 1};
    ck_assert_int_eq(moe_trace_slice(&t, &range, &s, &err), MOE_OK);
    ck_assert_int_eq(moe_trace_validate(&s, &err), MOE_OK);
    ck_assert_uint_eq(s.n_tokens, 4);
    ck_assert_mem_eq(s.seq_offset, ((uint64_t[]){0, 1, 4}), 24);
    ck_assert_mem_eq(s.seq_part, ((uint8_t[]){1, 0}), 2);
    ck_assert_mem_eq(s.experts_of, t.experts_of + (TOKENS + 2) * TOP_K,
                     4 * TOP_K * sizeof *s.experts_of);
    ck_assert_mem_eq(s.token_id, t.token_id + 2, 4 * sizeof *s.token_id);
    moe_trace_free(&s);
    moe_trace_free(&t);
    t = small_loads();
    range = (moe_trace_range){
        .first_seq = 1, .end_seq = 2, .layers = layers, .n_layers = 1};
    ck_assert_int_eq(moe_trace_slice(&t, &range, &s, &err), MOE_OK);
    ck_assert_int_eq(moe_trace_validate(&s, &err), MOE_OK);
    ck_assert_mem_eq(s.counts, ((uint32_t[]){2, 2, 0}), 12);
    moe_trace_free(&s);
    moe_trace_free(&t);
}
END_TEST

/* A trace of the layers 3 and 8 of a model with 10. */
static moe_trace partial(int kind)
{
    static const int32_t numbers[] = {3, 8};
    moe_trace t = small(kind);
    t.has_layer_number = true;
    t.layer_number = copy_of(numbers, sizeof numbers);
    return t;
}

START_TEST(layers_keep_their_numbers)
{
    moe_error err = {0};
    moe_trace a = partial(_i), b = {0}, s = {0}, bare = small(_i);
    const char *path = scratch(_i == 0 ? "part.h5" : "part-loads.h5");
    const int second[] = {1};
    const moe_trace_range range = {
        .end_seq = a.n_seqs, .layers = second, .n_layers = 1};
    char with[65], without[65];
    ck_assert_msg(moe_trace_write(path, &a, &err) == MOE_OK, "%s", err.text);
    ck_assert_msg(moe_trace_read(path, &b, &err) == MOE_OK, "%s", err.text);
    ck_assert(b.has_layer_number);
    ck_assert_int_eq(moe_trace_layer_number(&b, 0), 3);
    ck_assert_int_eq(moe_trace_layer_number(&b, 1), 8);
    ck_assert_int_eq(moe_trace_find_layer(&b, 8), 1);
    ck_assert_int_eq(moe_trace_find_layer(&b, 1), -1);
    ck_assert_int_eq(moe_trace_find_layer(&bare, 1), 1);
    ck_assert_int_eq(moe_trace_find_layer(&bare, 2), -1);
    moe_trace_hash(&b, with, &err); /* a label: old readers agree */
    moe_trace_hash(&bare, without, &err);
    ck_assert_str_eq(with, without);
    ck_assert_int_eq(moe_trace_slice(&b, &range, &s, &err), MOE_OK);
    ck_assert_int_eq(moe_trace_layer_number(&s, 0), 8);
    moe_trace_free(&s);
    ck_assert_int_eq(moe_trace_slice(&bare, &range, &s, &err), MOE_OK);
    ck_assert_int_eq(moe_trace_layer_number(&s, 0), 1);
    moe_trace_free(&s);
    moe_trace_free(&a);
    moe_trace_free(&b);
    moe_trace_free(&bare);
}
END_TEST

/* Through a file, a slice and a join. */
START_TEST(clusters_stay_with_their_sequences)
{
    moe_error err = {0};
    moe_trace a = small(_i), b = {0}, s = {0}, j = {0};
    const char *path = scratch(_i == 0 ? "cluster.h5" : "cluster-loads.h5");
    const moe_trace_range last = {.first_seq = a.n_seqs - 1,
                                  .end_seq = a.n_seqs};
    char with[65], without[65];
    moe_trace_hash(&a, without, &err);
    a.has_cluster = true;
    a.cluster = moe_array_new(a.n_seqs, sizeof *a.cluster, &err);
    for (uint64_t q = 0; q < a.n_seqs; q++)
        a.cluster[q] = 7 + (uint32_t)q;
    ck_assert_msg(moe_trace_write(path, &a, &err) == MOE_OK, "%s", err.text);
    ck_assert_msg(moe_trace_read(path, &b, &err) == MOE_OK, "%s", err.text);
    ck_assert(b.has_cluster);
    ck_assert_mem_eq(a.cluster, b.cluster, a.n_seqs * sizeof *a.cluster);
    moe_trace_hash(&b, with, &err); /* a label */
    ck_assert_str_eq(with, without);
    ck_assert_int_eq(moe_trace_slice(&b, &last, &s, &err), MOE_OK);
    ck_assert_uint_eq(s.cluster[0], 7 + a.n_seqs - 1);
    ck_assert_int_eq(moe_trace_join(&a, &b, &j, &err), MOE_OK);
    for (uint64_t q = 0; q < j.n_seqs; q++)
        ck_assert_uint_ge(j.cluster[q], 7);
    moe_trace_free(&a);
    moe_trace_free(&b);
    moe_trace_free(&s);
    moe_trace_free(&j);
}
END_TEST

static const struct {
    const char *model;
    int layers, last_layer, experts, top_k;
    const char *says; /* NULL: fits */
} fits[] = {
    {"small", 10, 9, 5, 2, NULL},
    {"small", 9, 8, 5, 2, NULL},
    {"small", 8, 8, 5, 2, NULL},
    {"small", 8, 7, 5, 2, "trace has layer 8; those of model small are 0..7"},
    {"small", 2, 1, 5, 2, "trace has layer 8; those of model small are 0..1"},
    {"large", 10, 9, 5, 2, "trace is of model 'small', not of 'large'"},
    {"small", 10, 9, 6, 2, "trace has 2 layers, 5 experts, top 2"},
    {"small", 10, 9, 5, 1, "trace has 2 layers, 5 experts, top 2"},
};

START_TEST(a_part_of_the_layers_fits_a_model_that_has_them)
{
    moe_error err = {0};
    moe_trace t = partial(MOE_TRACE_TOKENS);
    memcpy(t.model, "small", 6);
    const moe_trace_model of = {fits[_i].model, fits[_i].layers,
                                fits[_i].last_layer, fits[_i].experts,
                                fits[_i].top_k};
    const moe_status s = moe_trace_fits(&t, &of, &err);
    ck_assert_int_eq(s, fits[_i].says != NULL ? MOE_MISMATCH : MOE_OK);
    if (fits[_i].says != NULL)
        ck_assert_msg(strstr(err.text, fits[_i].says) != NULL, "%s", err.text);
    moe_trace_free(&t);
}
END_TEST

static const int32_t bad_numbers[][2] = {{-1, 8}, {3, 3}, {8, 3}};

START_TEST(layer_numbers_must_rise)
{
    moe_error err = {0};
    moe_trace t = partial(MOE_TRACE_LOADS);
    memcpy(t.layer_number, bad_numbers[_i], 8);
    ck_assert_int_eq(moe_trace_validate(&t, &err), MOE_FORMAT);
    ck_assert_msg(strstr(err.text, "negative or does not rise") != NULL, "%s",
                  err.text);
    moe_trace_free(&t);
}
END_TEST

static const int dup_layers[] = {1, 1}, far_layers[] = {2};
static const struct {
    moe_trace_range range;
    const char *says;
} ranges[] = {
    {{.first_seq = 2, .end_seq = 2, .layers = NULL, .n_layers = 0},
     "sequences 2:2 are not a range within 0:3"},
    {{.first_seq = 0, .end_seq = 4, .layers = NULL, .n_layers = 0},
     "sequences 0:4 are not a range within 0:3"},
    {{.first_seq = 0, .end_seq = 3, .layers = far_layers, .n_layers = 1},
     "layer 2 is not in 0..1"},
    {{.first_seq = 0, .end_seq = 3, .layers = dup_layers, .n_layers = 2},
     "layer 1 is given twice"},
    {{.first_seq = 0, .end_seq = 3, .layers = dup_layers, .n_layers = 0},
     "no layers to keep"},
};

START_TEST(slice_outside_the_trace_is_refused)
{
    moe_error err = {0};
    moe_trace t = small_tokens(), s = {.layers = 77};
    ck_assert_int_eq(moe_trace_slice(&t, &ranges[_i].range, &s, &err),
                     MOE_USAGE);
    ck_assert_msg(strstr(err.text, ranges[_i].says) != NULL, "%s", err.text);
    ck_assert_int_eq(s.layers, 77);
    moe_trace_free(&t);
}
END_TEST

START_TEST(split_has_the_share_and_follows_the_seed)
{
    enum { N = 1000 };
    static uint8_t a[N], b[N], c[N];
    moe_trace t = {.n_seqs = N, .seq_part = a};
    moe_trace_split drawn = {.test_share = 0.3, .seed = 1};
    moe_trace_divide(&t, &drawn);
    t.seq_part = b;
    moe_trace_divide(&t, &drawn);
    t.seq_part = c;
    drawn.seed = 2;
    moe_trace_divide(&t, &drawn);
    int n = 0;
    for (int j = 0; j < N; j++)
        n += a[j] == MOE_PART_TEST;
    ck_assert_int_eq(n, 300);
    ck_assert_mem_eq(a, b, N);
    ck_assert_mem_ne(a, c, N);
}
END_TEST

START_TEST(tail_is_the_last_share)
{
    uint8_t part[10];
    moe_trace t = {.n_seqs = 10, .seq_part = part};
    moe_trace_divide(&t, &moe_trace_split_default);
    for (int s = 0; s < 10; s++)
        ck_assert_int_eq(part[s], s >= 7 ? MOE_PART_TEST : MOE_PART_TRAIN);
}
END_TEST

static const struct {
    const char *text;
    moe_trace_split split;
} splits[] = {
    {"tail", {true, 0.5, 9}},          {"tail=0.25", {true, 0.25, 9}},
    {"tail=1", {true, 1, 9}},          {"train=0.75", {false, 0.25, 9}},
    {"train=1,seed=3", {false, 0, 3}},
};

START_TEST(splits_are_read)
{
    moe_trace_split s = {.test_share = 0.5, .seed = 9};
    ck_assert_int_eq(moe_trace_split_parse(splits[_i].text, &s, NULL), MOE_OK);
    ck_assert_int_eq(s.tail, splits[_i].split.tail);
    ck_assert_double_eq(s.test_share, splits[_i].split.test_share);
    ck_assert_uint_eq(s.seed, splits[_i].split.seed);
}
END_TEST

static const char *const no_splits[] = {
    "",         "0.3",        "test=0.3",       "tail=",
    "tail=1.5", "tail=0.3,",  "tail=nan",       "train",
    "train=-1", "train=0.5,", "train=1,seed=x", "tail=0.3,seed=1"};

START_TEST(other_splits_are_refused)
{
    moe_trace_split s = {.test_share = 0.5, .seed = 9};
    moe_error err = {0};
    ck_assert_int_eq(moe_trace_split_parse(no_splits[_i], &s, &err), MOE_USAGE);
    ck_assert_msg(strstr(err.text, "tail=SHARE") != NULL, "%s", err.text);
    ck_assert_double_eq(s.test_share, 0.5);
}
END_TEST

/* The traces that come with the program. */
static const struct {
    const char *path, *model;
    moe_trace_kind kind;
    int layers, experts, top_k;
    uint64_t n_seqs, n_tokens, n_test;
} bundled[] = {
    {"jobs/traces/mixtral-8x7b-mmlu.h5", "mixtral-8x7b", MOE_TRACE_LOADS, 32, 8,
     2, 11298, 7384447, 2803293},
    {"jobs/traces/gpt-oss-20b-mmlu.h5", "gpt-oss-20b", MOE_TRACE_TOKENS, 24, 32,
     4, 524, 152445, 61020},
    {"jobs/traces/mixtral-8x7b-tokens.h5", "mixtral-8x7b", MOE_TRACE_TOKENS, 3,
     8, 2, 256, 131072, 43520},
};

START_TEST(bundled_trace_is_valid)
{
    moe_error err = {0};
    moe_trace t = {0};
    ck_assert_msg(moe_trace_read(bundled[_i].path, &t, &err) == MOE_OK, "%s",
                  err.text);
    ck_assert_str_eq(t.model, bundled[_i].model);
    ck_assert_int_eq(t.kind, bundled[_i].kind);
    ck_assert_int_eq(t.layers, bundled[_i].layers);
    ck_assert_int_eq(t.experts, bundled[_i].experts);
    ck_assert_int_eq(t.top_k, bundled[_i].top_k);
    ck_assert_uint_eq(t.n_seqs, bundled[_i].n_seqs);
    ck_assert_uint_eq(t.n_tokens, bundled[_i].n_tokens);
    ck_assert_uint_eq(moe_trace_part_tokens(&t, MOE_PART_TEST),
                      bundled[_i].n_test);
    moe_trace_free(&t);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("trace");
    MOE_TEST_LOOP(suite, file_gives_back_what_was_written, 2);
    MOE_TEST(suite, older_files_have_no_order);
    MOE_TEST_LOOP(suite, hash_equals_that_of_the_converter, 2);
    MOE_TEST(suite, hash_sees_numbers_and_no_labels);
    MOE_TEST(suite, wide_numbers_fit);
    MOE_TEST(suite, existing_file_is_kept);
    MOE_TEST_LOOP(suite, spoiled_trace_is_refused_and_not_written,
                  MOE_ARRAY_LEN(spoilers));
    MOE_TEST_LOOP(suite, bad_file_is_refused, MOE_ARRAY_LEN(files));
    MOE_TEST(suite, counts_are_of_one_part);
    MOE_TEST(suite, expansion_of_tokens_is_a_copy);
    MOE_TEST_LOOP(suite, expansion_has_the_counts_and_distinct_experts,
                  MOE_ARRAY_LEN(steps));
    MOE_TEST(suite, expansion_depends_on_seed_step_and_layer);
    MOE_TEST(suite, slice_keeps_sequences_and_layers);
    MOE_TEST_LOOP(suite, layers_keep_their_numbers, 2);
    MOE_TEST_LOOP(suite, a_part_of_the_layers_fits_a_model_that_has_them,
                  MOE_ARRAY_LEN(fits));
    MOE_TEST_LOOP(suite, clusters_stay_with_their_sequences, 2);
    MOE_TEST_LOOP(suite, layer_numbers_must_rise, MOE_ARRAY_LEN(bad_numbers));
    MOE_TEST_LOOP(suite, slice_outside_the_trace_is_refused,
                  MOE_ARRAY_LEN(ranges));
    MOE_TEST(suite, split_has_the_share_and_follows_the_seed);
    MOE_TEST(suite, tail_is_the_last_share);
    MOE_TEST_LOOP(suite, splits_are_read, MOE_ARRAY_LEN(splits));
    MOE_TEST_LOOP(suite, other_splits_are_refused, MOE_ARRAY_LEN(no_splits));
    MOE_TEST_LOOP(suite, bundled_trace_is_valid, MOE_ARRAY_LEN(bundled));
    return suite;
}
