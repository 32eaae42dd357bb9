/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/plan_file.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/placement.h"
#include "moegps/mem.h"

/* Two layers of four experts on two GPUs of three slots. */
enum { LAYERS = 2, EXPERTS = 4, GPUS = 2, SLOTS = 3 };

static const moe_plan_file_params any = {.model = NULL};
static char path[300];

static void put(const char *text)
{
    snprintf(path, sizeof path, "%s/plan.json", test_dir);
    FILE *out = fopen(path, "w");
    ck_assert_ptr_nonnull(out);
    fputs(text, out);
    fclose(out);
}

static moe_plan empty(void)
{
    moe_plan plan;
    moe_error err = {0};
    ck_assert_int_eq(moe_plan_init(&plan, LAYERS, EXPERTS, GPUS, SLOTS, &err),
                     MOE_OK);
    return plan;
}

static void set_layer(moe_plan *plan, int l, const int16_t *expert,
                      const double *quota)
{
    const moe_plan_layer layer = moe_plan_at(plan, l);
    for (int k = 0; k < GPUS * SLOTS; k++) {
        layer.expert[k] = expert[k];
        layer.quota[k] = (uint32_t)(quota[k] * MOE_QUOTA_ONE);
    }
}

/* Expert 2 has replicas on both GPUs; a slot of layer 1 is empty. */
static moe_plan made(void)
{
    moe_plan plan = empty();
    set_layer(&plan, 0, (const int16_t[]){0, 1, 2, 2, 3, 0},
              (const double[]){0.5, 1, 0.25, 0.75, 1, 0.5});
    set_layer(&plan, 1, (const int16_t[]){3, 2, -1, 1, 0, 2},
              (const double[]){1, 1, 0, 1, 1, 0});
    return plan;
}

static char *text_of(json_t *root)
{
    char *text = json_dumps(root, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(root);
    ck_assert_ptr_nonnull(text);
    return text;
}

START_TEST(plan_is_written_as_its_header_says)
{
    moe_plan plan = made();
    moe_error err = {0};
    char *text = text_of(moe_plan_file_json(&plan, NULL, NULL, &err));
    ck_assert_str_eq(
        text, "{\"schema\":\"moe-gps-plan\",\"schema_version\":\"1.1.0\","
              "\"layers\":2,\"experts\":4,\"gpus\":2,\"slots_per_gpu\":3,"
              "\"physical_to_logical\":[[0,1,2,2,3,0],[3,2,-1,1,0,2]],"
              "\"replica_counts\":[[2,1,2,1],[1,1,2,1]],"
              "\"quotas\":[[0.5,1.0,0.25,0.75,1.0,0.5],"
              "[1.0,1.0,0.0,1.0,1.0,0.0]]}");
    ck_assert_int_eq(err.status, MOE_OK);
    free(text);
    moe_plan_fini(&plan);
}
END_TEST

/* A planner's source may hold an expert twice on a GPU, where the plan has
 * one slot for both: its quota is shared among them. */
START_TEST(replicas_of_one_gpu_share_the_quota_of_their_slot)
{
    static const int16_t raw[] = {0, 1, 1, 2, 3, 0, 3, 2, 2, 1, 0, 2};
    moe_plan plan = empty();
    moe_error err = {0};
    set_layer(&plan, 0, (const int16_t[]){0, 1, -1, 2, 3, 0},
              (const double[]){0.5, 1, 0, 1, 1, 0.5});
    set_layer(&plan, 1, (const int16_t[]){3, 2, -1, 1, 0, 2},
              (const double[]){1, 0.5, 0, 1, 1, 0.5});
    json_t *root = moe_plan_file_json(&plan, raw, NULL, &err);
    const json_t *quotas = json_object_get(root, "quotas");
    static const double want[LAYERS][GPUS * SLOTS] = {
        {0.5, 0.5, 0.5, 1, 1, 0.5}, {1, 0.25, 0.25, 1, 1, 0.5}};
    for (size_t l = 0; l < LAYERS; l++)
        for (size_t k = 0; k < GPUS * SLOTS; k++)
            ck_assert_double_eq_tol(
                json_real_value(json_array_get(json_array_get(quotas, l), k)),
                want[l][k], 1e-9);
    char *text = text_of(root);
    ck_assert_ptr_nonnull(strstr(text, "[[2,2,1,1],[1,1,3,1]]"));
    free(text);
    moe_plan_fini(&plan);
}
END_TEST

START_TEST(placement_that_was_written_is_read_back)
{
    moe_plan plan = made(), back = empty();
    moe_error err = {0};
    char *text = text_of(moe_plan_file_json(&plan, NULL, NULL, &err));
    put(text);
    ck_assert_msg(moe_plan_file_read(path, &any, &back, NULL, &err) == MOE_OK,
                  "%s", err.text);
    const size_t n = LAYERS * GPUS * SLOTS;
    ck_assert_mem_eq(back.expert, plan.expert, n * sizeof *plan.expert);
    for (size_t k = 0; k < n; k++)
        ck_assert_double_eq_tol((double)back.quota[k], (double)plan.quota[k],
                                1e-6 * MOE_QUOTA_ONE);
    free(text);
    moe_plan_fini(&plan);
    moe_plan_fini(&back);
}
END_TEST

/* An engine sends to slots in turn: a GPU with two of three takes two thirds. */
START_TEST(without_quotas_the_slots_of_an_expert_share_it_equally)
{
    moe_plan plan = empty();
    moe_error err = {0};
    put("{\"physical_to_logical\": [[0,1,1,2,3,1],[-1,2,3,1,0,2]]}");
    ck_assert_int_eq(moe_plan_file_read(path, &any, &plan, NULL, &err), MOE_OK);
    static const int16_t expert[] = {0, 1, -1, 2, 3, 1, -1, 2, 3, 1, 0, 2};
    static const double quota[] = {1, 2. / 3, 0, 1, 1, 1. / 3,
                                   0, .5,     1, 1, 1, .5};
    for (size_t k = 0; k < MOE_ARRAY_LEN(expert); k++) {
        ck_assert_int_eq(plan.expert[k], expert[k]);
        ck_assert_double_eq_tol((double)plan.quota[k], quota[k] * MOE_QUOTA_ONE,
                                1);
    }
    moe_plan_fini(&plan);
}
END_TEST

static const struct {
    const char *json, *says;
    moe_status status;
} bad[] = {
    {"{", "plan.json:1:", MOE_FORMAT},
    {"[]", "is no placement: it has none of", MOE_FORMAT},
    {"{}", "is no placement: it has none of", MOE_FORMAT},
    {"{\"physical_to_logical\": 3}", "the map is not [layers][slots]",
     MOE_FORMAT},
    {"{\"physical_to_logical\": [[0,1,2,2,3,0]]}",
     "has rows of 1 layers without numbers, not 2", MOE_MISMATCH},
    {"{\"physical_to_logical\": [[0,1,2,2,3,0],[0,1,2,3,0]]}",
     "the map is not [layers][slots]", MOE_FORMAT},
    {"{\"physical_to_logical\": [[0,1,2,2,3,0],[0,1,2,3,0,4]]}",
     "has 5 experts, not 4", MOE_MISMATCH},
    {"{\"physical_to_logical\": [[-2,1,2,2,3,0],[0,1,2,3,0,1]]}",
     "layer 0, slot 0: -2 is not an expert", MOE_FORMAT},
    {"{\"physical_to_logical\": [[0,1,2,2,3.5,0],[0,1,2,3,0,1]]}",
     "layer 0, slot 4: 3.5 is not an expert", MOE_FORMAT},
    {"{\"physical_to_logical\": [[0,1,2,2,3,0],[0,1,2,0,1,-1]]}",
     "layer 1 has only 3 of 4 experts", MOE_FORMAT},
    {"{\"gpus\": 4, \"experts\": 4, \"physical_to_logical\": [[0],[0]]}",
     "has 1 slots in a layer, which do not divide among 4 GPUs", MOE_MISMATCH},
    {"{\"experts\": 4, \"physical_to_logical\": [[0],[0]]}",
     "has 1 slots in a layer, which do not divide among 2 GPUs", MOE_MISMATCH},
    {"{\"layer_number\": [3], \"experts\": 4, \"physical_to_logical\": "
     "[[0,1,2,3,0,1],[0,1,2,3,0,1]]}",
     "layer_number is not [2]", MOE_FORMAT},
    {"{\"physical_to_logical\": [[0,1,2,2,3,0],[3,2,1,1,0,2]], "
     "\"quotas\": [[1,1,1,1,1]]}",
     "quotas are not [2][6]", MOE_FORMAT},
    {"{\"physical_to_logical\": [[0,1,2,2,3,0],[3,2,1,1,0,2]], "
     "\"quotas\": [[0.5,1,0,1,1,0.5],[1,0,1,-1,1,1]]}",
     "layer 1, slot 3: -1 is no quota of 0..1", MOE_FORMAT},
    {"{\"physical_to_logical\": [[0,1,2,2,3,0],[3,2,1,1,0,2]], "
     "\"quotas\": [[0.5,1,0,1,1,0.5],[1,0,0.5,0,1,1]]}",
     "layer 1: the quotas of expert 1 sum to 0.5, not 1", MOE_FORMAT},
};

START_TEST(file_of_another_shape_is_refused)
{
    moe_plan plan = empty();
    moe_error err = {0};
    put(bad[_i].json);
    ck_assert_int_eq(moe_plan_file_read(path, &any, &plan, NULL, &err),
                     bad[_i].status);
    ck_assert_msg(strstr(err.text, bad[_i].says) != NULL, "%s", err.text);
    ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
    moe_plan_fini(&plan);
}
END_TEST

/* GPUs 0 and 2 of a file of two: 1 is gone, 2 is new. What GPU 1 alone had is
 * nowhere, and thought into empty slots. */
START_TEST(gpus_that_are_gone_leave_experts_that_nobody_has)
{
    static const int32_t active[] = {0, 2};
    const moe_plan_file_params params = {.active = active, .gpus = 3};
    moe_plan plan = empty(), present = empty();
    moe_error err = {0};
    put("{\"gpus\": 2, \"experts\": 4, \"physical_to_logical\": "
        "[[0,1,2,3],[1,0,2,3]]}");
    ck_assert_msg(moe_plan_file_read(path, &params, &plan, &present, &err) ==
                      MOE_OK,
                  "%s", err.text);
    static const int16_t there[] = {0, 1, -1, -1, -1, -1},
                         all[] = {0, 1, 2, 3, -1, -1};
    ck_assert_mem_eq(present.expert, there, sizeof there);
    ck_assert_mem_eq(plan.expert, all, sizeof all);
    moe_plan_fini(&plan);
    moe_plan_fini(&present);
}
END_TEST

/* Rows of a model's three MoE layers, 1, 3 and 5: the plan is of two of them. */
START_TEST(rows_without_numbers_are_of_the_models_layers)
{
    static const int32_t numbers[] = {3, 5};
    const moe_model model = {.layers = 3, .first_layer = 1, .layer_step = 2};
    const moe_plan_file_params params = {.model = &model,
                                         .layer_number = numbers};
    moe_plan plan = empty();
    moe_error err = {0};
    put(_i == 0 ? "{\"physical_to_logical\": "
                  "[[0,1,0,2,3,1],[1,0,2,2,3,0],[3,2,1,1,0,2]]}"
                : "{\"layer_number\": [0, 1, 2], \"physical_to_logical\": "
                  "[[0,1,0,2,3,1],[1,0,2,2,3,0],[3,2,1,1,0,2]]}");
    ck_assert_msg(moe_plan_file_read(path, &params, &plan, NULL, &err) ==
                      MOE_OK,
                  "%s", err.text);
    static const int16_t want[] = {1, 0, 2, 2, 3, 0, 3, 2, 1, 1, 0, 2};
    ck_assert_mem_eq(plan.expert, want, sizeof want);
    moe_plan_fini(&plan);
}
END_TEST

START_TEST(file_that_is_not_there_is_named)
{
    moe_plan plan = empty();
    moe_error err = {0};
    snprintf(path, sizeof path, "%s/none.json", test_dir);
    ck_assert_int_eq(moe_plan_file_read(path, &any, &plan, NULL, &err),
                     MOE_USAGE);
    ck_assert_msg(strstr(err.text, path) != NULL, "%s", err.text);
    moe_plan_fini(&plan);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("plan_file");
    MOE_TEST(suite, plan_is_written_as_its_header_says);
    MOE_TEST(suite, replicas_of_one_gpu_share_the_quota_of_their_slot);
    MOE_TEST(suite, placement_that_was_written_is_read_back);
    MOE_TEST(suite, without_quotas_the_slots_of_an_expert_share_it_equally);
    MOE_TEST_LOOP(suite, file_of_another_shape_is_refused, MOE_ARRAY_LEN(bad));
    MOE_TEST(suite, gpus_that_are_gone_leave_experts_that_nobody_has);
    MOE_TEST_LOOP(suite, rows_without_numbers_are_of_the_models_layers, 2);
    MOE_TEST(suite, file_that_is_not_there_is_named);
    return suite;
}
