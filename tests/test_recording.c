/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/recording.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "fixture.h"
#include "harness.h"
#include "moegps/mem.h"

enum { MOST = 16, SAID = 3 };

static const char *const drop_skew[] = {"router_skew"};
static const char *const add_dataset[] = {"dataset"};

/* A file, and what it must give. */
typedef struct {
    const char *file;
    moe_recording_options options;
    size_t steps;
    int first_layer, layers, experts;
    double load[MOST]; /* the first of them */
    int n_loads;
    const char *says[SAID]; /* sentences, understood or dropped */
    const char *refused;    /* part of the error instead */
} file_case;

#define LOADS(...)         \
    .load = {__VA_ARGS__}, \
    .n_loads = (int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double))

static const file_case files[] = {
    {"caps.csv", {0}, 1, 0, 1, 4, LOADS(40, 10, 10, 20)},
    {"quoted-long.csv", {0}, 1, 0, 1, 4, LOADS(40, 10, 10, 20)},
    {"bom-long.csv", {0}, 1, 0, 1, 4, LOADS(40, 10, 10, 20)},
    {"bom-wide.csv", {0}, 1, 0, 1, 4, LOADS(40, 10, 10, 20)},
    {"cr-only.csv", {0}, 1, 0, 2, 4, LOADS(40, 10, 10, 20, 10, 10, 10, 10)},
    {"blank-space.csv", {0}, 1, 0, 2, 4, LOADS(40, 10, 10, 20, 10, 10, 10, 10)},
    {"comment-first.csv", {0}, 1, 0, 1, 4, LOADS(1482, 900, 10, 11)},
    {"comment-header.csv",
     {.experts = 256},
     1,
     3,
     2,
     256,
     LOADS(15, 2.5, 0),
     .says = {"1 row of a step, layer and expert that was there before"}},
    {"total.csv",
     {0},
     1,
     0,
     1,
     3,
     LOADS(5, 7, 8),
     .says = {"column 'total' is the sum of its row"}},
    {"frac.csv",
     {0},
     1,
     0,
     1,
     4,
     LOADS(1482, 900, 10, 11),
     .says = {"column 'frac_of_layer' is not needed"}},
    {"headless.csv",
     {0},
     1,
     0,
     2,
     4,
     LOADS(40, 10, 10, 20, 10, 10, 10, 10),
     .says = {"no names: rows are layers, columns experts"}},
    {"mindie.csv", {0}, 1, 0, 2, 4, LOADS(0, 0, 12, 3, 5, 9, 11, 4)},
    {"layer-wide.csv", {0}, 1, 0, 2, 4, LOADS(40, 10, 10, 20, 10, 10, 10, 10)},
    {"pandas-index.csv",
     {0},
     1,
     0,
     2,
     4,
     LOADS(40, 10, 10, 20, 10, 10, 10, 10),
     .says = {"column '' numbers the rows"}},
    {"harmoeny.csv",
     {.ignore = drop_skew, .n_ignore = 1},
     1,
     0,
     2,
     4,
     LOADS(40, 10, 10, 20, 10, 10, 30, 30)},
    {"iteration.csv", {0}, 2, 0, 1, 2, LOADS(5, 7, 6, 2)},
    {"step500.csv", {0}, 2, 0, 1, 2, LOADS(5, 7, 6, 2)},
    {"dataset.csv",
     {.sum_over = add_dataset, .n_sum_over = 1},
     1,
     0,
     1,
     2,
     LOADS(11, 9)},
    {"layer3.csv",
     {0},
     1,
     3,
     1,
     4,
     LOADS(2500, 3900, 1300, 1400),
     .says = {"1 layer (3), 4 experts, 1 step"}},
    {"seen.csv",
     {.experts = 6},
     1,
     0,
     1,
     6,
     LOADS(40, 10, 10, 20, 0, 0),
     .says = {"6 experts, of which 4 .. 5 were never seen"}},
    {"sglang-rank0.csv",
     {0},
     1,
     3,
     2,
     4,
     LOADS(2500, 3900, 1300, 1400, 2100, 1900, 3000, 2100),
     .says = {"2 layers (3..4), 4 experts, 1 step"}},
    {"llamacpp-trace.csv",
     {0},
     1,
     0,
     1,
     6,
     LOADS(0, 1, 0, 2, 0, 1),
     .says = {"a row is an activation"}},
    {"harmoeny.csv",
     {0},
     .refused = "column 'router_skew' is neither an "
                "expert nor a step or layer (--ignore "
                "'router_skew' drops it)"},
    {"duphead.csv", {0}, .refused = "duphead.csv:1: column 'e0' twice"},
    {"decimalcomma.csv",
     {0},
     .refused = "decimalcomma.csv:2: e0: '0,5' is not "
                "a load, a number of 0..2^53; fields "
                "are separated by ';'"},
    {"dataset.csv",
     {0},
     .refused = "dataset.csv:4: this step, layer and expert "
                "was there before, and column 'dataset' is "
                "not understood (--sum-over 'dataset'"},
    {"seen.csv",
     {.experts = 3},
     .refused = "expert 3 was chosen, but there are "
                "3"},
    {"no-such-file.csv", {0}, .refused = "cannot open: No such file"},
};

static bool says(const moe_recording *r, const char *what)
{
    for (size_t i = 0; i < r->understood.n; i++)
        if (strstr(r->understood.text[i], what) != NULL)
            return true;
    for (size_t i = 0; i < r->dropped.n; i++)
        if (strstr(r->dropped.text[i], what) != NULL)
            return true;
    return false;
}

static void check(const char *name, const char *path, const file_case *c)
{
    moe_recording r = {0};
    moe_error err = {0};
    const moe_status status = moe_recording_read(path, &c->options, &r, &err);
    if (c->refused != NULL) {
        ck_assert_msg(status != MOE_OK, "%s is read", name);
        ck_assert_msg(strstr(err.text, c->refused) != NULL, "%s: %s", name,
                      err.text);
        return;
    }
    ck_assert_msg(status == MOE_OK, "%s", err.text);
    ck_assert_int_eq(r.kind, MOE_RECORDING_LOADS);
    ck_assert_msg(r.steps == c->steps && r.layers == c->layers &&
                      r.experts == c->experts,
                  "%s: [%zu][%d][%d]", name, r.steps, r.layers, r.experts);
    ck_assert_int_eq(r.layer_number[0], c->first_layer);
    for (int i = 0; i < c->n_loads; i++)
        ck_assert_msg(r.load[i] == c->load[i], "%s: load %d is %g, not %g",
                      name, i, r.load[i], c->load[i]);
    for (int i = 0; i < SAID && c->says[i] != NULL; i++)
        ck_assert_msg(says(&r, c->says[i]), "%s does not say: %s", name,
                      c->says[i]);
    moe_recording_fini(&r);
}

START_TEST(file_is_read_as_what_it_is)
{
    char path[256];
    snprintf(path, sizeof path, "tests/data/recordings/%s", files[_i].file);
    check(files[_i].file, path, &files[_i]);
}
END_TEST

/* Tables as text, and what each must give. */
static const struct {
    const char *text;
    file_case expected;
} texts[] = {
    {"e0\te1\n1\t2\n",
     {"tabs",
      {0},
      1,
      0,
      1,
      2,
      LOADS(1, 2),
      .says = {"fields are separated by tabs"}}},
    {"e0;e1\n1.5;2\n", {"semicolons", {0}, 1, 0, 1, 2, LOADS(1.5, 2)}},
    {"1,2\n3,4\n",
     {"names 1, 2",
      {0},
      1,
      0,
      1,
      2,
      LOADS(3, 4),
      .says = {"the first row has the names of the experts, 1, ..."}}},
    {"Expert-1,Expert-0\n3,4\n", {"any order", {0}, 1, 0, 1, 2, LOADS(4, 3)}},
    {"step,layer,e0,e1\n7,1,1,2\n7,2,3,4\n9,1,5,6\n9,2,7,8\n",
     {"steps", {0}, 2, 1, 2, 2, LOADS(1, 2, 3, 4, 5, 6, 7, 8)}},
    {"layer,expert,count\n0,0,0\n0,1,0\n3,0,1\n3,1,2\n",
     {"dense layer",
      {0},
      1,
      3,
      1,
      2,
      LOADS(1, 2),
      .says = {"layer 0 has no load: a dense layer"}}},
    {"step,layer,expert,count\n0,0,0,0\n1,0,0,5\n1,0,1,6\n",
     {"empty step",
      {0},
      1,
      0,
      1,
      2,
      LOADS(5, 6),
      .says = {"1 step without any load"}}},
    {"layer,expert,count\n0,0,4.0\n0,1,2\ntotal,,6\n",
     {"total line", {0}, 1, 0, 1, 2, LOADS(4, 2)}},
    {"layer,expert,count\n# a comment\n0,0,4\n\n0,1,2\n# total,6\n",
     {"comments", {0}, 1, 0, 1, 2, LOADS(4, 2)}},
    {"layer,expert,count,a\033[2J\n0,0,4,1\n0,1,2,1\n",
     {"a name that clears the screen",
      {0},
      1,
      0,
      1,
      2,
      LOADS(4, 2),
      .says = {"column 'a?[2J' is not needed"}}},
    {"e0,e2\n1,2\n", {"gap", .refused = "numbers from 0 without a gap"}},
    {"e5,e6\n1,2\n", {"from 5", .refused = "numbers from 0 without a gap"}},
    {"a,b\n1,2\n",
     {"words", .refused = "columns 'a', 'b': wanted are layer, "
                          "expert and count"}},
    {"expert,count\n0,1\n",
     {"no layer", .refused = "a column 'layer' is "
                             "missing"}},
    {"layer,expert,weight\n0,0,1\n",
     {"no count", .refused = "a column of loads ('count', 'load' or 'tokens') "
                             "is missing"}},
    {"[[1, 2.5], [3e0, 4]]", {"JSON", {0}, 1, 0, 2, 2, LOADS(1, 2.5, 3, 4)}},
    {"\n{\"7\": [1, 2], \"3\": [3, 4]}",
     {"JSON by layer", {0}, 1, 3, 2, 2, LOADS(3, 4, 1, 2)}},
    {"{\"step\": 9, \"expert_load\": [[5, 6]]}\n{\"step\": 4, "
     "\"expert_load\": [[7, 8]]}\n",
     {"JSON Lines by step", {0}, 2, 0, 1, 2, LOADS(7, 8, 5, 6)}},
    {"{\"expert_load\": [[7, 8]]}\n{\"expert_load\": [[5, 6]]}\n",
     {"JSON Lines in order", {0}, 2, 0, 1, 2, LOADS(7, 8, 5, 6)}},
    {"{\"load_history\": [{\"logical_expert_load\": [[7, 8]]}, "
     "{\"logical_expert_load\": [[5, 6]]}]}",
     {"a history", {0}, 2, 0, 1, 2, LOADS(7, 8, 5, 6)}},
    {"[{\"step\": 9, \"expert_load\": [[7, 8]]}]",
     {"a list of steps", {0}, 1, 0, 1, 2, LOADS(7, 8)}},
    {"{\"load_history\": [{\"logical_expert_load\": [[7, 8]]}, 3]}",
     {"a history of more", .refused = "its list has not only objects"}},
    {"{\"load_history\": [{\"logical_expert_load\": [[7, 8]]}, "
     "{\"logical_expert_load\": [[5, 6, 7]]}]}",
     {"a history of other sizes",
      .refused = "load_history: item 1 has no loads [layers][experts] as the "
                 "first"}},
    {"{\"load_history\": [{\"logical_expert_load\": [[7, 8]]}]}\n{}",
     {"a history and more", .refused = "and more behind it"}},
    {"{\"step\": 1, \"expert_load\": [[1]]}\n{\"expert_load\": [[2]]}\n",
     {"a step without number", .refused = "value 2: step 1 is there twice"}},
    {"{\"step\": 1e300, \"expert_load\": [[1]]}\n"
     "{\"step\": 2, \"expert_load\": [[2]]}\n",
     {"a step too large", .refused = "value 1 has a step that is no number"}},
    {"[[[1, 2]], [[3]]] 2",
     {"values", .refused = "is neither one value nor lines of objects"}},
    {"layer,v2 e1,v2 e2\n3,5,6\n",
     {"columns from 1",
      {0},
      1,
      3,
      1,
      2,
      LOADS(5, 6),
      .says = {"columns of experts count from 1: 'v2 e1' is expert 0"}}},
    {"{\"load_history\": 1}",
     {"no history", .refused = "load_history is no list of"}},
    {"{\"7\": [1, 2], \"07\": [3, 4]}",
     {"a layer twice", .refused = "a layer is there twice"}},
    {"step,layer,expert,count\n9,0,0,1\n4,0,0,2\n6,0,0,3\n4,0,1,1\n",
     {"steps in any order", {0}, 3, 0, 1, 2, LOADS(2, 1, 3, 0, 1, 0)}},
    {"PAR1 and more",
     {"Parquet", .refused = "is Parquet: pandas' read_parquet"}},
    {"\x1f\x8b and more", {"gzip", .refused = "is compressed by gzip"}},
    {"\x80\x04 and more", {"pickle", .refused = "is a pickle, which is not"}},
    {"{\"a\": 1, \"b\": 2}",
     {"keys", .refused = "has the keys a, b; wanted "
                         "are loads, logical_count"}},
    {"{\"physical_to_logical_map\": [[0, 1]]}",
     {"placement", .refused = "is a placement, not a recording"}},
    {"[[1, 2], [3]]",
     {"ragged", .refused = "is no list of rows as long as each other"}},
    {"[1, 2]",
     {"one row", .refused = "loads are neither [layers][experts] nor"}},
    {"{\"loads\": [[1]], \"loads\": [[2]]}",
     {"twice", .refused = "text.csv:1:25: a key is there twice"}},
    {"[[1, 2],\n [3, x]]", {"a word", .refused = "text.csv:2:6: is no value"}},
    {"[[1, 02]]", {"leading zero", .refused = ":1:8: is no number"}},
    {"[[1, 2]", {"open", .refused = ":1:8: an array is not closed"}},
    {"step,e0,e1\n0,1,2\n", {"steps alone", .refused = "steps need a column"}},
    {"layer,layer_id,expert,count\n0,0,0,1\n",
     {"two layers", .refused = "columns 'layer' and 'layer_id' both say the "
                               "layer"}},
    {"e0,e1,tokens\n1,2,3\n",
     {"a count beside experts", .refused = "column 'tokens' is neither an "
                                           "expert"}},
    {"e0,e1,total\n1,2,4\n",
     {"wrong total", .refused = "total is 4, the loads "
                                "sum to 3"}},
    {"e0,e1\n1,-2\n", {"negative", .refused = ":2: e1: '-2' is not a load"}},
    {"e0,e1\n1,0x10\n", {"hexadecimal", .refused = "'0x10' is not a load"}},
    {"e0,e1\n1,+2\n", {"a sign", .refused = "'+2' is not a load"}},
    {"e0,e1\n1,inf\n", {"infinite", .refused = "'inf' is not a load"}},
    {"e0,e1\n1,nan\n", {"no number", .refused = "'nan' is not a load"}},
    {"e0,e1\n1,9007199254740993\n", {"too large", .refused = "is not a load"}},
    {"e0,e1\n1\n",
     {"short row", .refused = ":2: 1 fields where the first row "
                              "has 2"}},
    {"e0,e1\n1,\"2\n", {"open quote", .refused = ":2: a quote is not closed"}},
    {"e0,e1\n1,\"2\"x\n",
     {"text behind a quote", .refused = ":2: text follows "
                                        "a quoted field"}},
    {"e0,e1\n", {"no rows", .refused = "has no rows"}},
    {"# nothing\n\n", {"no table", .refused = "is empty"}},
    {"e0,e1\n0,0\n", {"all 0", .refused = "all loads are 0"}},
    {"layer,expert,count\n1.5,0,1\n",
     {"half a layer", .refused = ":2: layer: '1.5' is not an integer in "
                                 "0..32767"}},
    {"layer,expert,count\n0,5000,1\n",
     {"many experts", .refused = "expert: '5000' is not an integer in "
                                 "0..4095"}},
    {"layer,e0,e1\n0,1,2\n0,3,4\n",
     {"a layer twice",
      {0},
      1,
      0,
      1,
      2,
      LOADS(4, 6),
      .says = {"1 row of a step, layer and expert that was there before"}}},
    {",e0,e1\nx,1,2\n",
     {"no index", .refused = "column 1: 'x' is not an "
                             "integer"}},
};

START_TEST(text_is_read_as_what_it_is)
{
    char path[512];
    snprintf(path, sizeof path, "%s/text.csv", test_dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(texts[_i].text, file);
    fclose(file);
    check(texts[_i].expected.file, path, &texts[_i].expected);
}
END_TEST

/* ---- tokens ---- */

static moe_status read_text(const char *text, moe_recording *r, moe_error *err)
{
    static const moe_recording_options none = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/tokens.csv", test_dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
    return moe_recording_read(path, &none, r, err);
}

START_TEST(table_of_tokens_has_all_that_it_says)
{
    moe_recording r = {0};
    moe_error err = {0};
    const moe_status status =
        read_text("sequence,position,token_id,layer,token,split,expert0,"
                  "expert1,gate0,gate1\n"
                  "0,4,7,2,0,train,1,0,0.75,0.25\n"
                  "1,0,9,2,1,test,2,1,0.5,0.5\n"
                  "0,4,7,5,0,train,0,2,0.5,0.5\n"
                  "1,0,9,5,1,test,1,0,1,0\n",
                  &r, &err);
    ck_assert_msg(status == MOE_OK, "%s", err.text);
    ck_assert_int_eq(r.kind, MOE_RECORDING_TOKENS);
    ck_assert_int_eq(r.layers, 2);
    ck_assert_int_eq(r.layer_number[0], 2);
    ck_assert_int_eq(r.layer_number[1], 5);
    ck_assert_int_eq(r.experts, 3);
    ck_assert_int_eq(r.top_k, 2);
    ck_assert_uint_eq(r.n_tokens, 2);
    ck_assert_uint_eq(r.n_seqs, 2);
    static const uint16_t experts[] = {1, 0, 2, 1, 0, 2, 1, 0};
    static const float gates[] = {0.75F, 0.25F, 0.5F, 0.5F, 0.5F, 0.5F, 1, 0};
    for (size_t i = 0; i < MOE_ARRAY_LEN(experts); i++) {
        ck_assert_uint_eq(r.experts_of[i], experts[i]);
        ck_assert_float_eq(r.gate[i], gates[i]);
    }
    ck_assert_uint_eq(r.token_id[0], 7);
    ck_assert_uint_eq(r.vocab_size, 10);
    ck_assert_int_eq(r.position[0], 4);
    ck_assert_uint_eq(r.seq_offset[1], 1);
    ck_assert_uint_eq(r.seq_part[0], 0);
    ck_assert_uint_eq(r.seq_part[1], 1);
    moe_recording_fini(&r);
}
END_TEST

/* An array of tokens in either order, and lines of JSON, say the same. */
START_TEST(array_of_tokens_is_read_by_its_axes)
{
    static const uint16_t expected[] = {0, 1, 1, 2, 2, 0, 2, 3, 3, 0, 1, 3};
    const moe_recording_options options = {
        .layers = 2, .top_k = 2, .axes = MOE_AXES_TOKENS_LAYERS};
    moe_recording r = {0};
    moe_error err = {0};
    const moe_status status = moe_recording_read(
        "tests/data/recordings/routed_experts.npy", &options, &r, &err);
    ck_assert_msg(status == MOE_OK, "%s", err.text);
    ck_assert_int_eq(r.layers, 2);
    ck_assert_uint_eq(r.n_tokens, 3);
    ck_assert_int_eq(r.experts, 4);
    ck_assert_mem_eq(r.experts_of, expected, sizeof expected);
    moe_recording_fini(&r);
}
END_TEST

START_TEST(padding_is_dropped_and_counted)
{
    const moe_recording_options options = {
        .layers = 4, .top_k = 2, .padded = true, .pad = -1};
    moe_recording r = {0};
    moe_error err = {0};
    const moe_status status = moe_recording_read(
        "tests/data/recordings/tok_pad.npy", &options, &r, &err);
    ck_assert_msg(status == MOE_OK, "%s", err.text);
    ck_assert_uint_eq(r.n_tokens, 17);
    ck_assert(says(&r, "3 of 20 tokens are padding"));
    for (uint64_t i = 0; i < 4 * 17 * 2; i++)
        ck_assert_uint_lt(r.experts_of[i], 8);
    moe_recording_fini(&r);
}
END_TEST

START_TEST(lines_of_layers_are_tokens)
{
    static const uint16_t experts[] = {1, 2, 3, 0, 1, 0, 2, 3};
    moe_recording r = {0};
    moe_error err = {0};
    const moe_status status = read_text(
        "{\"layer\": 3, \"topk_ids\": [1, 2], \"topk_weights\": [0.5, 0.25]}\n"
        "{\"layer\": 8, \"topk_ids\": [[1, 0], [2, 3]], \"topk_weights\": "
        "[[1, 0], [0.5, 0.5]]}\n"
        "{\"layer\": 3, \"topk_ids\": [3, 0], \"topk_weights\": [1, 0]}\n",
        &r, &err);
    ck_assert_msg(status == MOE_OK, "%s", err.text);
    ck_assert_int_eq(r.layers, 2);
    ck_assert_int_eq(r.layer_number[1], 8);
    ck_assert_uint_eq(r.n_tokens, 2);
    ck_assert_mem_eq(r.experts_of, experts, sizeof experts);
    ck_assert_float_eq(r.gate[1], 0.25F);
    ck_assert_float_eq(r.gate[6], 0.5F);
    moe_recording_fini(&r);
}
END_TEST

/* Lines of one layer, each of a request, and the sequences they make. */
static const struct {
    const char *requests; /* a letter a line, of two tokens; space: not said */
    uint64_t n, first[4];
    bool mixed;
} request_cases[] = {{"aab", 2, {0, 4}, false}, {"abc", 3, {0, 2, 4}, false},
                     {"a", 1, {0}, false},      {"aba", 0, {0}, true},
                     {"a b", 0, {0}, false},    {" bb", 0, {0}, false}};

START_TEST(lines_of_requests_are_sequences)
{
    char text[1024] = "";
    moe_recording r = {0};
    moe_error err = {0};
    for (const char *c = request_cases[_i].requests; *c != '\0'; c++) {
        char line[128], of[32] = "";
        if (*c != ' ')
            snprintf(of, sizeof of, "\"request_id\": \"%c\", ", *c);
        for (int l = 0; l < 2; l++) {
            snprintf(line, sizeof line,
                     "{\"layer\": %d, %s\"topk_ids\": [[1, 2], [3, 4]]}\n", l,
                     of);
            strcat(text, line);
        }
    }
    ck_assert_msg(read_text(text, &r, &err) == MOE_OK, "%s", err.text);
    ck_assert_uint_eq(r.seq_offset != NULL ? r.n_seqs : 0, request_cases[_i].n);
    for (uint64_t s = 0; s < request_cases[_i].n; s++)
        ck_assert_uint_eq(r.seq_offset[s], request_cases[_i].first[s]);
    if (r.seq_offset != NULL)
        ck_assert_uint_eq(r.seq_offset[r.n_seqs], r.n_tokens);
    ck_assert(says(&r, "tokens of others lie between") ==
              request_cases[_i].mixed);
    moe_recording_fini(&r);
}
END_TEST

/* Two files, with layers and tokens of their own. */
static const struct {
    const char *part, *refused;
} layer_cases[] = {
    {"layer,token,sequence,expert0\n1,0,0,7\n1,1,1,6\n1,2,1,5\n"
     "4,0,0,5\n4,1,1,4\n4,2,1,3\n",
     NULL},
    {"layer,token,expert0\n1,0,7\n1,1,6\n1,2,5\n4,0,5\n4,1,4\n4,2,3\n", NULL},
    {"layer,token,expert0\n0,0,7\n0,1,6\n0,2,5\n",
     "of one layer cannot be added"},
    {"layer,token,expert0\n1,0,7\n1,1,6\n",
     "other tokens, choices or sequences"},
    {"layer,token,expert0,expert1\n1,0,7,6\n1,1,6,5\n1,2,6,5\n",
     "other tokens, choices or sequences"},
    {"layer,token,sequence,expert0\n1,0,0,7\n1,1,0,6\n1,2,1,5\n",
     "other tokens, choices or sequences"}};

START_TEST(other_layers_of_the_same_tokens_add_up)
{
    static const uint16_t all[] = {0, 1, 2, 7, 6, 5, 2, 3, 4, 5, 4, 3};
    static const int32_t number[] = {0, 1, 3, 4};
    moe_recording r = {0}, part = {0};
    moe_error err = {0};
    ck_assert_int_eq(
        read_text("layer,token,sequence,expert0\n0,0,0,0\n0,1,1,1\n0,2,1,2\n"
                  "3,0,0,2\n3,1,1,3\n3,2,1,4\n",
                  &r, &err),
        MOE_OK);
    ck_assert_msg(read_text(layer_cases[_i].part, &part, &err) == MOE_OK, "%s",
                  err.text);
    const moe_status status = moe_recording_add(&r, &part, &err);
    if (layer_cases[_i].refused != NULL) {
        ck_assert_int_eq(status, MOE_MISMATCH);
        ck_assert_msg(strstr(err.text, layer_cases[_i].refused) != NULL, "%s",
                      err.text);
        ck_assert_int_eq(r.layers, 2);
    } else {
        ck_assert_msg(status == MOE_OK, "%s", err.text);
        ck_assert_int_eq(r.layers, 4);
        ck_assert_int_eq(r.experts, 8);
        ck_assert_mem_eq(r.layer_number, number, sizeof number);
        ck_assert_mem_eq(r.experts_of, all, sizeof all);
        ck_assert_uint_eq(r.n_seqs, 2);
    }
    moe_recording_fini(&part);
    moe_recording_fini(&r);
}
END_TEST

static const struct {
    const char *text, *says;
} bad_tokens[] = {
    {"layer,token,expert0\n0,0,1\n0,2,1\n",
     "2 rows are not 1 layers x 3 tokens"},
    {"layer,token,expert0\n0,0,1\n0,0,1\n1,1,1\n1,0,1\n",
     "layer 0, token 0 was there before"},
    {"layer,token\n0,0\n", "a table of tokens has layer, token, expert0"},
    {"layer,token,expert0\n0,0,-1\n", "expert0: '-1' is not an integer"},
    {"layer,token,expert0,expert1,gate0\n0,0,1,2,0.5\n",
     "1 columns of gates for 2 of experts"},
    {"layer,token,sequence,expert0\n0,0,1,1\n0,1,0,1\n",
     "token 0: sequence 1 is neither 0 nor the next one"},
    {"layer,token,split,expert0\n0,0,valid,1\n",
     "split: 'valid' is not train or test"},
    {"{\"layer\": 0, \"topk_ids\": [1, 2]}\n{\"layer\": 0, \"topk_ids\": [1]}",
     "value 2 has no layer, or its topk_ids are not as many"},
    {"{\"layer\": 0, \"topk_ids\": [1, 2]}\n{\"layer\": 1, \"topk_ids\": [[1, "
     "2], "
     "[3, 4]]}",
     "layer 1 has 2 tokens, layer 0 has 1"},
    {"{\"layer\": 0, \"token\": 0, \"topk_ids\": [1]}\n"
     "{\"layer\": 0, \"token\": 1, \"topk_ids\": [2]}\n"
     "{\"layer\": 1, \"token\": 1, \"topk_ids\": [3]}\n"
     "{\"layer\": 1, \"token\": 0, \"topk_ids\": [4]}",
     "layer 1 has other tokens than layer 0, or in another order"},
    {"{\"layer_id\": 0, \"request\": \"a\", \"topk_ids\": [1]}\n"
     "{\"layer_id\": 1, \"request\": \"b\", \"topk_ids\": [3]}",
     "layer 1 has other tokens than layer 0, or in another order"},
    {"{\"layer\": 0, \"topk_ids\": [1, 1.5]}", "1.5 is no expert of 0..4095"},
    {"{\"layer\": 0, \"topk_ids\": [1, -1]}", "-1 is no expert of 0..4095"},
    {"{\"layer\": 0, \"topk_ids\": [1, 2], \"topk_weights\": [1]}",
     "value 1: topk_weights are not as topk_ids"},
};

START_TEST(bad_tables_of_tokens_are_refused)
{
    moe_recording r = {0};
    moe_error err = {0};
    ck_assert_int_ne(read_text(bad_tokens[_i].text, &r, &err), MOE_OK);
    ck_assert_msg(strstr(err.text, bad_tokens[_i].says) != NULL, "%s",
                  err.text);
}
END_TEST

/* ---- files of tensors ---- */

/* Write a header of safetensors and 16-bit elements behind it. */
static const char *put_tensors(const char *header, const uint16_t *data,
                               size_t n)
{
    static char path[512];
    const uint64_t len = strlen(header);
    unsigned char start[8];
    snprintf(path, sizeof path, "%s/x.safetensors", test_dir);
    for (int b = 0; b < 8; b++)
        start[b] = (unsigned char)(len >> 8 * b);
    FILE *file = fopen(path, "wb");
    ck_assert_ptr_nonnull(file);
    fwrite(start, 1, sizeof start, file);
    fwrite(header, 1, len, file);
    fwrite(data, sizeof *data, n, file);
    fclose(file);
    return path;
}

static const struct {
    const char *header;
    file_case expected;
} tensors[] = {
    {"{\"x\":{\"dtype\":\"U16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
     "\"__metadata__\":{\"a\":\"b\"}}",
     {"one tensor",
      {.kind = MOE_RECORDING_LOADS},
      1,
      0,
      2,
      2,
      LOADS(1, 2, 3, 4)}},
    {"{\"7_3\":{\"dtype\":\"U16\",\"shape\":[2],\"data_offsets\":[4,8]},"
     "\"5_3\":{\"dtype\":\"U16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
     {"steps", {0}, 2, 3, 1, 2, LOADS(1, 2, 3, 4)}},
    {"{\"a\":{\"dtype\":\"U16\",\"shape\":[1,2],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"U16\",\"shape\":[1,2],\"data_offsets\":[4,8]}}",
     {"by name",
      {.kind = MOE_RECORDING_LOADS, .dataset = "b"},
      1,
      0,
      1,
      2,
      LOADS(3, 4)}},
    {"{\"a\":{\"dtype\":\"U16\",\"shape\":[1,2],\"data_offsets\":[0,4]},"
     "\"b\":{\"dtype\":\"U16\",\"shape\":[1,2],\"data_offsets\":[4,8]}}",
     {"unnamed", .refused = "has a, b: --dataset names the array"}},
    {"{\"x\":{\"dtype\":\"U16\",\"shape\":[2,3],\"data_offsets\":[0,8]}}",
     {"sizes", .refused = "its shape, its data_offsets and the file do not"}},
    {"{\"x\":{\"dtype\":\"U16\",\"shape\":[2,3],\"data_offsets\":[0,12]}}",
     {"end", .refused = "its shape, its data_offsets and the file do not"}},
    {"{\"x\":{\"dtype\":\"BOOL\",\"shape\":[2],\"data_offsets\":[0,8]}}",
     {"type", .refused = "its dtype is no number"}},
    {"{\"x\":{\"dtype\":\"U16\",\"shape\":[-2],\"data_offsets\":[0,8]}}",
     {"shape", .refused = "has no shape or data_offsets"}},
    {"{\"x\":{\"dtype\":\"U16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
     "\"x\":{\"dtype\":\"U16\",\"shape\":[2,2],\"data_offsets\":[0,8]}}",
     {"a name twice", .refused = "tensor 'x' is there twice"}},
    {"{\"7_3\":{\"dtype\":\"U16\",\"shape\":[2],\"data_offsets\":[4,8]},"
     "\"07_3\":{\"dtype\":\"U16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
     {"a step twice",
      .refused =
          "2 tensors are not one for each of 1 iterations and 1 layers"}},
    {"{}", {"none", .refused = "has no array: --dataset"}},
};

START_TEST(tensors_are_read_by_their_header)
{
    static const uint16_t data[] = {1, 2, 3, 4};
    check(tensors[_i].expected.file,
          put_tensors(tensors[_i].header, data, MOE_ARRAY_LEN(data)),
          &tensors[_i].expected);
}
END_TEST

/* Rows on a diagonal claim a cube. */
START_TEST(few_rows_do_not_claim_everything)
{
    enum { ROWS = 300 };
    static const moe_recording_options none = {0};
    char path[512];
    moe_recording r = {0};
    moe_error err = {0};
    snprintf(path, sizeof path, "%s/sparse.csv", test_dir);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs("step,layer,expert,count\n", out);
    for (int i = 0; i < ROWS; i++)
        fprintf(out, "%d,%d,%d,1\n", i, i, i);
    fclose(out);
    ck_assert_int_eq(moe_recording_read(path, &none, &r, &err), MOE_FORMAT);
    ck_assert_ptr_nonnull(
        strstr(err.text, "300 rows are nearly none of the loads of 300 steps"));
}
END_TEST

/* More tensors than any object of JSON may otherwise have. */
START_TEST(many_tensors_are_read)
{
    enum { STEPS = 15000 };
    static const moe_recording_options none = {0};
    char *header = NULL;
    size_t bytes = 0;
    static uint16_t data[STEPS];
    moe_recording r = {0};
    moe_error err = {0};
    FILE *out = open_memstream(&header, &bytes);
    for (int i = 0; i < STEPS; i++) {
        fprintf(out,
                "%s\"%d_0\":{\"dtype\":\"U16\",\"shape\":[1],"
                "\"data_offsets\":[%d,%d]}",
                i == 0 ? "{" : ",", i, 2 * i, 2 * i + 2);
        data[i] = (uint16_t)(i + 1);
    }
    fputc('}', out);
    fclose(out);
    const char *path = put_tensors(header, data, STEPS);
    ck_assert_msg(moe_recording_read(path, &none, &r, &err) == MOE_OK, "%s",
                  err.text);
    ck_assert_uint_eq(r.steps, STEPS);
    for (int i = 0; i < STEPS; i++)
        ck_assert_double_eq(r.load[i], i + 1);
    moe_recording_fini(&r);
    free(header);
}
END_TEST

/* A trace of this program comes back as it was written. */
START_TEST(trace_is_a_recording)
{
    moe_model model = fixture_model();
    moe_trace trace = _i == 0 ? fixture_tokens(&model) : fixture_loads(&model);
    static const moe_recording_options none = {0};
    moe_recording r = {0};
    moe_error err = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/trace%d.h5", test_dir, _i);
    ck_assert_int_eq(moe_trace_write(path, &trace, &err), MOE_OK);
    const moe_status status = moe_recording_read(path, &none, &r, &err);
    ck_assert_msg(status == MOE_OK, "%s", err.text);
    ck_assert_int_eq(r.layers, trace.layers);
    ck_assert_int_eq(r.experts, trace.experts);
    const size_t rows = (size_t)trace.layers * trace.n_tokens;
    if (_i == 0)
        ck_assert_mem_eq(r.experts_of, trace.experts_of,
                         rows * (size_t)trace.top_k * sizeof(uint16_t));
    for (size_t i = 0; _i == 1 && i < r.steps * (size_t)(r.layers * r.experts);
         i++)
        ck_assert_double_eq(r.load[i], trace.counts[i]);
    moe_recording_fini(&r);
    moe_trace_free(&trace);
}
END_TEST

/* ---- several files ---- */

static moe_recording text_of(const char *text)
{
    moe_recording r = {0};
    moe_error err = {0};
    const moe_status status = read_text(text, &r, &err);
    ck_assert_msg(status == MOE_OK, "%s", err.text);
    return r;
}

START_TEST(parts_of_ranks_add_up)
{
    /* [steps 4, 9][layers 1, 2][experts 0..2] */
    static const double sum[] = {1, 12, 3, 0, 5, 0, 7, 0, 0, 0, 8, 0};
    moe_recording a = text_of("step,layer,expert,count\n4,1,0,1\n4,1,1,2\n"
                              "4,2,1,5\n9,2,1,8\n9,1,0,7\n9,1,1,0\n");
    moe_recording b = text_of("step,layer,expert,count\n4,1,1,10\n4,1,2,3\n");
    ck_assert_int_eq(moe_recording_add(&a, &b, NULL), MOE_OK);
    ck_assert_int_eq(a.experts, 3);
    ck_assert_uint_eq(a.steps, 2);
    ck_assert_int_eq(a.layers, 2);
    ck_assert_int_eq((int)a.step_number[1], 9);
    for (size_t i = 0; i < MOE_ARRAY_LEN(sum); i++)
        ck_assert_msg(a.load[i] == sum[i], "load %zu is %g", i, a.load[i]);
    moe_recording_fini(&a);
    moe_recording_fini(&b);
}
END_TEST

START_TEST(steps_follow_each_other)
{
    static const double all[] = {1, 2, 3, 4, 5, 6};
    moe_recording a = text_of("e0,e1\n1,2\n");
    moe_recording b = text_of("step,layer,e0,e1\n0,0,3,4\n1,0,5,6\n");
    ck_assert_int_eq(moe_recording_append(&a, &b, NULL), MOE_OK);
    ck_assert_uint_eq(a.steps, 3);
    ck_assert_mem_eq(a.load, all, sizeof all);
    moe_recording_fini(&b);
    b = text_of("step,layer,e0,e1\n0,7,3,4\n");
    moe_error err = {0};
    ck_assert_int_eq(moe_recording_append(&a, &b, &err), MOE_MISMATCH);
    ck_assert_ptr_nonnull(strstr(err.text, "their layers differ"));
    ck_assert_uint_eq(a.steps, 3);
    moe_recording_fini(&a);
    moe_recording_fini(&b);
}
END_TEST

START_TEST(tokens_follow_each_other_as_sequences)
{
    static const uint16_t experts[] = {0, 1, 2, 3, 4, 5};
    moe_recording a = text_of("layer,token,token_id,expert0\n0,0,7,0\n0,1,8,1\n"
                              "1,0,7,3\n1,1,8,4\n");
    moe_recording b =
        text_of("layer,token,token_id,expert0\n0,0,9,2\n1,0,9,5\n");
    ck_assert_int_eq(moe_recording_append(&a, &b, NULL), MOE_OK);
    ck_assert_uint_eq(a.n_tokens, 3);
    ck_assert_int_eq(a.experts, 6);
    ck_assert_mem_eq(a.experts_of, experts, sizeof experts);
    ck_assert_uint_eq(a.token_id[2], 9);
    ck_assert_uint_eq(a.vocab_size, 10);
    ck_assert_uint_eq(a.n_seqs, 2);
    ck_assert_uint_eq(a.seq_offset[1], 2);
    ck_assert_uint_eq(a.seq_offset[2], 3);
    moe_recording_fini(&a);
    moe_recording_fini(&b);
}
END_TEST

/* ---- what spoils recordings ---- */

static bool found(const moe_recording *r, const char *what)
{
    moe_remarks out = {0};
    bool there = false;
    ck_assert_int_eq(moe_recording_inspect(r, &out, NULL), MOE_OK);
    for (size_t i = 0; i < out.n; i++)
        there = there || strstr(out.text[i], what) != NULL;
    moe_remarks_fini(&out);
    return there;
}

START_TEST(dummy_tokens_are_found_and_dropped)
{
    static const moe_recording_options none = {0};
    moe_recording r = {0};
    moe_error err = {0};
    ck_assert_int_eq(
        moe_recording_read("tests/data/recordings/dummy-tokens.csv", &none, &r,
                           NULL),
        MOE_OK);
    ck_assert(
        found(&r, "16 of 20 tokens (80 %) have one and the same experts"));
    ck_assert(found(&r, "--drop-repeats"));
    ck_assert_int_eq(moe_recording_drop_repeats(&r, 1, &err), MOE_USAGE);
    err = (moe_error){0};
    ck_assert_int_eq(moe_recording_drop_repeats(&r, 8, &err), MOE_OK);
    ck_assert_uint_eq(r.n_tokens, 4);
    ck_assert_uint_eq(r.seq_offset[1], 4);
    ck_assert(!found(&r, "one and the same experts"));
    ck_assert(found(&r, "one sequence"));
    ck_assert(found(&r, "no token ids"));
    moe_recording_fini(&r);
}
END_TEST

START_TEST(an_expert_twice_in_a_token_is_found)
{
    moe_recording r = {0};
    moe_error err = {0};
    ck_assert_int_eq(read_text("layer,token,expert0,expert1\n0,0,1,2\n0,1,2,2\n"
                               "1,0,1,2\n1,1,3,2\n",
                               &r, &err),
                     MOE_OK);
    ck_assert(found(&r, "1 of 4 rows of a layer and token have an expert "
                        "twice, the first in layer 0, token 1"));
    r.experts_of[3] = 0;
    ck_assert(!found(&r, "an expert twice"));
    moe_recording_fini(&r);
}
END_TEST

/* Loads as text, and what must be said of them; NULL: not `other`. */
static const struct {
    const char *text, *says, *other;
} spoiled[] = {
    {"step,layer,e0,e1\n0,0,5,7\n0,1,6,6\n1,0,3,4\n1,1,3,4\n", NULL,
     "not of the same tokens"},
    {"step,layer,e0,e1\n0,0,5,7\n0,1,6,9\n",
     "layer 0 has 12 pairs, layer 1 "
     "has 15",
     NULL},
    {"e0,e1\n8,16\n12,12\n", "every load is a multiple of 4", NULL},
    {"e0,e1\n8,16\n13,11\n", NULL, "is a multiple"},
    {"e0,e1\n8,16\n", "one step", "is a multiple"},
};

START_TEST(spoiled_loads_are_found)
{
    moe_recording r = text_of(spoiled[_i].text);
    if (spoiled[_i].says != NULL)
        ck_assert(found(&r, spoiled[_i].says));
    if (spoiled[_i].other != NULL)
        ck_assert(!found(&r, spoiled[_i].other));
    moe_recording_fini(&r);
}
END_TEST

/* ---- which layers are kept ---- */

/* A table of layers, the layers that are asked for, and what is then there. */
static const struct {
    const char *text, *keep;
    int n;
    int32_t number[2];
    double first; /* load */
    const char *refused;
} kept[] = {
    {"layer,e0,e1\n3,1,2\n5,3,4\n9,5,6\n", "5", 1, {5}, 3, NULL},
    {"layer,e0,e1\n3,1,2\n5,3,4\n9,5,6\n", "9,3", 2, {3, 9}, 1, NULL},
    {"e0,e1\n1,2\n3,4\n", "8,12", 2, {8, 12}, 1, NULL},
    {"e0,e1\n1,2\n3,4\n5,6\n", "1-2", 2, {1, 2}, 3, NULL},
    {"layer,token,expert0\n2,0,7\n4,0,5\n", "4", 1, {4}, 0, NULL},
    {"layer,e0,e1\n3,1,2\n5,3,4\n", "3,4", 0, {0}, 0, "has layers 3, 5, not 4"},
};

START_TEST(layers_are_kept_by_number)
{
    moe_ranges keep = {0};
    moe_recording r = {0};
    moe_error err = {0};
    char path[512];
    snprintf(path, sizeof path, "%s/keep.csv", test_dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(kept[_i].text, file);
    fclose(file);
    ck_assert_int_eq(moe_ranges_parse(kept[_i].keep, 99, &keep, NULL), MOE_OK);
    const moe_recording_options options = {.keep = &keep};
    const moe_status status = moe_recording_read(path, &options, &r, &err);
    moe_ranges_fini(&keep);
    if (kept[_i].refused != NULL) {
        ck_assert_int_eq(status, MOE_USAGE);
        ck_assert_ptr_nonnull(strstr(err.text, kept[_i].refused));
        return;
    }
    ck_assert_msg(status == MOE_OK, "%s", err.text);
    ck_assert_int_eq(r.layers, kept[_i].n);
    for (int l = 0; l < r.layers; l++)
        ck_assert_int_eq(r.layer_number[l], kept[_i].number[l]);
    if (r.kind == MOE_RECORDING_LOADS)
        ck_assert_double_eq(r.load[0], kept[_i].first);
    else
        ck_assert_uint_eq(r.experts_of[0], 5);
    moe_recording_fini(&r);
}
END_TEST

START_TEST(tokens_are_counted_by_part)
{
    static const double whole[] = {1, 2, 2, 1},
                        parts[] = {1, 1, 1, 1, 0, 1, 1, 0};
    static const char *const texts_of[] = {
        "layer,token,expert0\n0,0,0\n0,1,1\n0,2,1\n1,0,0\n1,1,1\n1,2,0\n",
        "layer,token,sequence,split,expert0\n0,0,0,train,0\n0,1,0,train,1\n"
        "0,2,1,test,1\n1,0,0,train,0\n1,1,0,train,1\n1,2,1,test,0\n"};
    moe_recording r = text_of(texts_of[_i]);
    ck_assert_int_eq(moe_recording_count(&r, NULL), MOE_OK);
    ck_assert_int_eq(r.kind, MOE_RECORDING_LOADS);
    ck_assert_uint_eq(r.steps, _i == 0 ? 1 : 2);
    for (int i = 0; i < (_i == 0 ? 4 : 8); i++)
        ck_assert_double_eq(r.load[i], _i == 0 ? whole[i] : parts[i]);
    moe_recording_fini(&r);
}
END_TEST

/* A batch of 1000 tokens, top-2, of steps of so many pairs per expert. */
static const struct {
    double load[4];
    double variance; /* of the first expert's pairs, over a binomial's */
} drawn[] = {{{4000, 2000, 1000, 1000}, 3000. / 3999},
             {{400000, 200000, 100000, 100000}, 399000. / 399999},
             {{.5, .25, .125, .125}, 1},
             {{1000, 500, 250, 250}, 0}};

START_TEST(drawn_batches_have_the_noise_of_their_tokens)
{
    enum { SEEDS = 600, TOKENS = 1000 };
    /* three experts of a quarter of the pairs each, and two of an eighth */
    double sum = 0, square = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        char text[128];
        snprintf(text, sizeof text, "e0,e1,e2,e3,e4\n%g,%g,%g,%g,%g\n",
                 drawn[_i].load[1], drawn[_i].load[1], drawn[_i].load[1],
                 drawn[_i].load[2], drawn[_i].load[3]);
        moe_recording r = text_of(text);
        ck_assert_int_eq(moe_recording_draw(&r, 2, TOKENS, seed, NULL), MOE_OK);
        double pairs = 0;
        for (int e = 0; e < 5; e++) {
            ck_assert(r.load[e] == floor(r.load[e]));
            ck_assert(r.load[e] <= TOKENS);
            pairs += r.load[e];
        }
        ck_assert_double_eq(pairs, 2 * TOKENS);
        sum += r.load[0];
        square += r.load[0] * r.load[0];
        moe_recording_fini(&r);
    }
    const double mean = sum / SEEDS;
    const double spread = square / SEEDS - mean * mean;
    ck_assert_double_eq_tol(mean, 500, 3);
    /* five experts whose pairs sum up: a little below a binomial's */
    const double least = drawn[_i].variance * 250 * 0.6;
    const double most = drawn[_i].variance * 250 * 1.2;
    ck_assert_msg(spread >= least && spread <= most, "%g", spread);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("recording");
    MOE_TEST_LOOP(suite, file_is_read_as_what_it_is, MOE_ARRAY_LEN(files));
    MOE_TEST_LOOP(suite, text_is_read_as_what_it_is, MOE_ARRAY_LEN(texts));
    MOE_TEST(suite, table_of_tokens_has_all_that_it_says);
    MOE_TEST(suite, array_of_tokens_is_read_by_its_axes);
    MOE_TEST(suite, padding_is_dropped_and_counted);
    MOE_TEST(suite, lines_of_layers_are_tokens);
    MOE_TEST_LOOP(suite, lines_of_requests_are_sequences,
                  MOE_ARRAY_LEN(request_cases));
    MOE_TEST_LOOP(suite, other_layers_of_the_same_tokens_add_up,
                  MOE_ARRAY_LEN(layer_cases));
    MOE_TEST_LOOP(suite, bad_tables_of_tokens_are_refused,
                  MOE_ARRAY_LEN(bad_tokens));
    MOE_TEST_LOOP(suite, tensors_are_read_by_their_header,
                  MOE_ARRAY_LEN(tensors));
    MOE_TEST(suite, many_tensors_are_read);
    MOE_TEST(suite, an_expert_twice_in_a_token_is_found);
    MOE_TEST(suite, few_rows_do_not_claim_everything);
    MOE_TEST_LOOP(suite, trace_is_a_recording, 2);
    MOE_TEST(suite, parts_of_ranks_add_up);
    MOE_TEST(suite, dummy_tokens_are_found_and_dropped);
    MOE_TEST_LOOP(suite, spoiled_loads_are_found, MOE_ARRAY_LEN(spoiled));
    MOE_TEST_LOOP(suite, layers_are_kept_by_number, MOE_ARRAY_LEN(kept));
    MOE_TEST_LOOP(suite, tokens_are_counted_by_part, 2);
    MOE_TEST_LOOP(suite, drawn_batches_have_the_noise_of_their_tokens,
                  MOE_ARRAY_LEN(drawn));
    MOE_TEST(suite, steps_follow_each_other);
    MOE_TEST(suite, tokens_follow_each_other_as_sequences);
    return suite;
}
