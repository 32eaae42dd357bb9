/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/profile.h"
#include "moegps/profile_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "harness.h"
#include "moegps/cluster.h"
#include "moegps/mem.h"
#include "moegps/model.h"

/* Names seen by a visitor, each followed by a space. */
typedef struct {
    char text[2048];
    int n, bad;
} seen_list;

static void see(const char *name, const char *path, void *arg)
{
    seen_list *seen = arg;
    size_t len = strlen(seen->text);
    snprintf(seen->text + len, sizeof seen->text - len, "%s ", name);
    seen->n++;
    seen->bad += strstr(path, name) == NULL;
}

static void see_model(const char *name, const char *path, void *arg)
{
    seen_list *seen = arg;
    moe_model model;
    moe_error err = {0};
    moe_model_read(path, &model, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_str_eq(model.name, name);
    ck_assert_msg(model.origin[0] != '\0', "%s says no origin", name);
    see(name, path, seen);
}

static void see_cluster(const char *name, const char *path, void *arg)
{
    seen_list *seen = arg;
    moe_cluster cluster;
    moe_error err = {0};
    moe_cluster_read(path, &cluster, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_str_eq(cluster.name, name);
    ck_assert_msg(cluster.origin[0] != '\0', "%s says no origin", name);
    see(name, path, seen);
}

START_TEST(every_shipped_profile_is_valid)
{
    seen_list models = {0}, clusters = {0};
    moe_profile_each("models", ".yaml", see_model, &models);
    moe_profile_each("clusters", ".yaml", see_cluster, &clusters);
    ck_assert_int_ge(models.n, 10);
    ck_assert_int_ge(clusters.n, 5);
}
END_TEST

static void put(const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/things", test_dir);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/things/%s", test_dir, name);
    FILE *f = fopen(path, "w");
    ck_assert_ptr_nonnull(f);
    fclose(f);
}

START_TEST(profiles_are_listed_by_name_without_strangers)
{
    seen_list seen = {0};
    setenv("MOEGPS_JOBS", test_dir, 1);
    put("b-3.5.yaml");
    put("a.yaml");
    put("a.yaml~");
    put(".hidden.yaml");
    put("note.txt");
    moe_profile_each("things", ".yaml", see, &seen);
    ck_assert_str_eq(seen.text, "a b-3.5 ");
    ck_assert_int_eq(seen.bad, 0);
}
END_TEST

START_TEST(environment_comes_first)
{
    char path[512], command[600];
    snprintf(command, sizeof command,
             "mkdir -p '%s/models' && cp "
             "jobs/models/olmoe-1b-7b.yaml '%s/models'",
             test_dir, test_dir);
    ck_assert_int_eq(system(command), 0);
    setenv("MOEGPS_JOBS", test_dir, 1);
    ck_assert_int_eq(moe_profile_find("models", "olmoe-1b-7b", ".yaml", path,
                                      sizeof path, NULL),
                     MOE_OK);
    ck_assert_int_eq(strncmp(path, test_dir, strlen(test_dir)), 0);
    ck_assert_int_eq(moe_profile_find("models", "mixtral-8x7b", ".yaml", path,
                                      sizeof path, NULL),
                     MOE_OK);
    ck_assert_str_eq(path, "./jobs/models/mixtral-8x7b.yaml");
    seen_list seen = {0};
    moe_profile_each("models", ".yaml", see, &seen);
    char *first = strstr(seen.text, "olmoe-1b-7b ");
    ck_assert_ptr_nonnull(first);
    ck_assert_ptr_null(strstr(first + 1, "olmoe-1b-7b "));
}
END_TEST

START_TEST(unknown_name_is_answered_with_the_known)
{
    char path[512] = "untouched";
    moe_error err = {0};
    ck_assert_int_eq(
        moe_profile_find("clusters", "h200", ".yaml", path, sizeof path, &err),
        MOE_USAGE);
    ck_assert_str_eq(path, "untouched");
    ck_assert_ptr_nonnull(strstr(err.text, "h200"));
    ck_assert_ptr_nonnull(strstr(err.text, "a100-nvlink"));
}
END_TEST

START_TEST(paths_are_taken_as_they_are)
{
    char path[64];
    const char *file = "jobs/models/mixtral-8x7b.yaml";
    ck_assert_int_eq(
        moe_profile_find("models", file, ".yaml", path, sizeof path, NULL),
        MOE_OK);
    ck_assert_str_eq(path, file);
    moe_error err = {0};
    ck_assert_int_eq(moe_profile_find("models", "./jobs/absent.yaml", ".yaml",
                                      path, sizeof path, &err),
                     MOE_USAGE);
    ck_assert_str_eq(
        err.text, "./jobs/absent.yaml: cannot open: No such file or directory");
    ck_assert_int_eq(moe_profile_find("models", file, ".yaml", path, 8, NULL),
                     MOE_USAGE);
}
END_TEST

/* A profile whose keys are set otherwise, and what it is then called. */
static const struct {
    const char *set[2], *text, *name, *error;
} sets[] = {
    {{"cluster.link_latency_s=5us", "model.top_k=4"},
     "gpu: a\nlink_latency_s: '5us'\n",
     "c (link_latency_s=5us)",
     NULL},
    {{"cluster.gpu=b", "cluster.sms=7"},
     "link_latency_s: 1\n  more\ngpu: 'b'\nsms: '7'\n",
     "c (gpu=b, sms=7)",
     NULL},
    {{"cluster.origin=it's a #1: all", ""},
     "gpu: a\nlink_latency_s: 1\n  more\norigin: 'it''s a #1: all'\n",
     "c (origin=it's a #1: all)",
     NULL},
    {{"cluster.sms=1", "cluster.sms=2"},
     "gpu: a\nlink_latency_s: 1\n  more\nsms: '2'\n",
     "c (sms=1, sms=2)",
     NULL},
    {{"model.top_k=4", "workload.batch=2"},
     "gpu: a\nlink_latency_s: 1\n  more\n",
     "c",
     NULL},
    {{"cluster.nothing=1", ""}, NULL, "", "a cluster has no 'nothing'"},
    {{"cluster.sms=many", ""},
     NULL,
     "",
     "--set: sms: 'many' is not an integer"},
    {{"cluster.sms", ""}, NULL, "", "is not cluster.KEY=VALUE"},
};

START_TEST(keys_of_a_profile_are_set_in_its_text)
{
    moe_cluster scratch = {0};
    const moe_profile_keys keys = {"cluster", moe_cluster_options, &scratch};
    char name[64] = "c";
    moe_error err = {0};
    const char *given[] = {sets[_i].set[0], sets[_i].set[1]};
    const moe_strings set = {given, 2};
    char *text = moe_profile_with("gpu: a\nlink_latency_s: 1\n  more\n", &keys,
                                  &set, &err);
    if (sets[_i].error != NULL) {
        ck_assert_ptr_null(text);
        ck_assert_int_eq(err.status, MOE_USAGE);
        ck_assert_msg(strstr(err.text, sets[_i].error) != NULL, "%s", err.text);
        return;
    }
    ck_assert_str_eq(text, sets[_i].text);
    moe_profile_name_set(name, sizeof name, "cluster", &set);
    ck_assert_str_eq(name, sets[_i].name);
    free(text);
}
END_TEST

START_TEST(a_name_that_would_be_too_long_says_that_it_is_changed)
{
    const char *given[] = {"cluster.origin=0123456789"};
    const moe_strings set = {given, 1};
    char name[32] = "a cluster";
    moe_profile_name_set(name, sizeof name, "cluster", &set);
    ck_assert_str_eq(name, "a cluster (origin=0123456789)");
    char brief[20] = "a cluster";
    moe_profile_name_set(brief, sizeof brief, "cluster", &set);
    ck_assert_str_eq(brief, "a cluster (changed)");
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("profile");
    MOE_TEST(suite, every_shipped_profile_is_valid);
    MOE_TEST(suite, profiles_are_listed_by_name_without_strangers);
    MOE_TEST(suite, environment_comes_first);
    MOE_TEST(suite, unknown_name_is_answered_with_the_known);
    MOE_TEST(suite, paths_are_taken_as_they_are);
    MOE_TEST_LOOP(suite, keys_of_a_profile_are_set_in_its_text,
                  MOE_ARRAY_LEN(sets));
    MOE_TEST(suite, a_name_that_would_be_too_long_says_that_it_is_changed);
    return suite;
}
