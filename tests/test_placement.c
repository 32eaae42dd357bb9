/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/placement.h"

#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

/* Two layers of four experts in six slots, as every form has them. */
static const int16_t both[] = {0, 1, 2, 3, 0, 1, 3, 2, 1, 0, 3, 2};

static const struct {
    const char *file;
    int gpus;
    bool numbered;
} forms[] = {{"prev-sglang.json", 0, true},
             {"prev-vllm2.json", 0, false},
             {"prev-trtllm.yaml", 0, true},
             {"prev-ascend.json", 2, false}};

START_TEST(placement_is_read_of_every_engine)
{
    char path[256];
    moe_placement p = {0};
    moe_error err = {0};
    snprintf(path, sizeof path, "tests/data/recordings/%s", forms[_i].file);
    ck_assert_msg(moe_placement_read(path, "A", &p, &err) == MOE_OK, "%s",
                  err.text);
    ck_assert_int_eq(p.layers, 2);
    ck_assert_int_eq(p.slots, 6);
    ck_assert_int_eq(p.experts, 4);
    ck_assert_int_eq(p.gpus, forms[_i].gpus);
    ck_assert(p.numbered == forms[_i].numbered);
    ck_assert_mem_eq(p.expert, both, sizeof both);
    moe_placement_fini(&p);
}
END_TEST

/* Layers 3 and 5 on two GPUs. */
static moe_placement made(void)
{
    moe_placement p = {0};
    ck_assert_int_eq(moe_placement_init(&p, 2, 6, NULL), MOE_OK);
    memcpy(p.expert, both, sizeof both);
    p.layer_number[0] = 3;
    p.layer_number[1] = 5;
    p.numbered = true;
    p.gpus = 2;
    p.experts = 4;
    return p;
}

START_TEST(placement_that_was_written_is_read_back)
{
    char path[512];
    moe_error err = {0};
    moe_placement p = made(), back = {0};
    const moe_engine_form form = (moe_engine_form)_i;
    snprintf(path, sizeof path, "%s/%s", test_dir, moe_engine_form_name(form));
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(moe_placement_write(&p, form, "a \"b\"", 8, out, &err),
                     MOE_OK);
    fclose(out);
    ck_assert_msg(moe_placement_read(path, "a \"b\"", &back, &err) == MOE_OK,
                  "%s", err.text);
    ck_assert_int_eq(back.slots, 6);
    ck_assert_int_eq(back.layers, form == MOE_FORM_SGLANG ? 8 : 2);
    for (int l = 0; l < 2; l++) {
        const int16_t *row =
            moe_placement_row(&back, p.layer_number[l], l, p.layers);
        ck_assert_ptr_nonnull(row);
        ck_assert_mem_eq(row, both + 6 * l, 6 * sizeof *row);
    }
    moe_placement_fini(&p);
    moe_placement_fini(&back);
}
END_TEST

START_TEST(empty_slots_are_not_written)
{
    moe_error err = {0};
    moe_placement p = made();
    FILE *out = fopen("/dev/null", "w");
    p.expert[9] = -1;
    ck_assert_int_eq(moe_placement_write(&p, MOE_FORM_TRTLLM, "", 0, out, &err),
                     MOE_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.text, "layer 5, slot 3 is empty"));
    fclose(out);
    moe_placement_fini(&p);
}
END_TEST

static const struct {
    const char *text, *says;
} bad[] = {
    {"{\"model_maps\": [{\"A\": 1}]}", "model_maps is no object"},
    {"{\"experts\": 2, \"physical_to_logical\": [[0, 1, 2, 1]]}",
     "has expert 2, but says 2 experts"},
    {"num_slots: 4\n", "it has no initial_global_assignments"},
    {"initial_global_assignments:\n  0: [0, 1]\n  1: [0]\n",
     "layer 1 is not a list of 2 slots"},
    {"initial_global_assignments:\n  1: [0, 1]\n  0: [0, 1]\n",
     "or does not rise"},
    {"initial_global_assignments:\n  0: [0, x]\n", "-2 is not an expert"},
    {"{\"model_maps\": {\"A\": {}, \"B\": {}}}", "has the maps of 2 models"},
    {"{\"physical_to_logical_map\": [[0, 5000]]}", "5000 is not an expert"},
    {"{\"physical_to_logical_map\": [0, 1]}", "the map is not"},
    {"{\"layer_list\": [{\"layer_id\": 0}]}", "has no devices with experts"},
    {"{\"layer_list\": [{\"layer_id\": 0, \"device_list\": [{\"device_id\": 0, "
     "\"device_expert\": [0]}]}, {\"layer_id\": 0, \"device_list\": "
     "[{\"device_id\": 0, \"device_expert\": [0]}]}]}",
     "layer_id does not rise"},
};

START_TEST(what_is_no_placement_is_refused)
{
    char path[512];
    moe_placement p = {0};
    moe_error err = {0};
    snprintf(path, sizeof path, "%s/bad", test_dir);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(bad[_i].text, out);
    fclose(out);
    ck_assert_int_eq(moe_placement_read(path, NULL, &p, &err), MOE_FORMAT);
    ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "%s", err.text);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("placement");
    MOE_TEST_LOOP(suite, placement_is_read_of_every_engine,
                  MOE_ARRAY_LEN(forms));
    MOE_TEST_LOOP(suite, placement_that_was_written_is_read_back, MOE_N_FORMS);
    MOE_TEST(suite, empty_slots_are_not_written);
    MOE_TEST_LOOP(suite, what_is_no_placement_is_refused, MOE_ARRAY_LEN(bad));
    return suite;
}
