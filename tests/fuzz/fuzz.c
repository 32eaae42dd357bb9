/* SPDX-License-Identifier: Apache-2.0 */
/* Parsers under libFuzzer: FUZZ=NAME says which; `make fuzz` runs each on its
 * folder of seeds. What they return does not matter, only that they return. */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moegps/cluster.h"
#include "moegps/conf.h"
#include "moegps/csv.h"
#include "moegps/experiment.h"
#include "moegps/inject.h"
#include "moegps/jtree.h"
#include "moegps/measured.h"
#include "moegps/mem.h"
#include "moegps/model.h"
#include "moegps/plan_file.h"
#include "moegps/recording.h"
#include "moegps/trace.h"

enum { LONGEST_PATH = 64, LONGEST_TEXT = 1 << 16 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- texts ---- */

static void fuzz_experiment(const char *text)
{
    moe_experiment x = {0};
    moe_error err = {0};
    if (moe_experiment_parse(text, "x.yaml", NULL, 0, &x, &err) == MOE_OK)
        free(moe_experiment_resolved(&x));
    moe_experiment_fini(&x);
}

static void fuzz_set(const char *text)
{
    static const char base[] =
        "model: a\ncluster: b\ntrace: c\nstrategies:\n"
        "  - {name: x, predictor: none, planner: static}\n";
    moe_experiment x = {0};
    moe_error err = {0};
    moe_experiment_parse(base, "x.yaml", &text, 1, &x, &err);
    moe_experiment_fini(&x);
}

static void fuzz_model(const char *text)
{
    moe_model m = {0};
    moe_error err = {0};
    moe_model_parse(text, "model.yaml", &m, &err);
}

static void fuzz_cluster(const char *text)
{
    moe_cluster c = {0};
    moe_error err = {0};
    moe_cluster_parse(text, "cluster.yaml", &c, &err);
}

static void fuzz_inject(const char *text)
{
    moe_injection i = {0};
    moe_error err = {0};
    moe_injection_parse(text, &i, &err);
}

/* ---- files ---- */

static void fuzz_recording(const char *path)
{
    const moe_recording_options options = {.dataset = "", .layers = 2};
    moe_recording r = {0};
    moe_remarks remarks = {0};
    moe_error err = {0};
    if (moe_recording_read(path, &options, &r, &err) == MOE_OK) {
        moe_trace t = {.top_k = 2, .shared = MPI_WIN_NULL};
        moe_recording_inspect(&r, &remarks, &err);
        moe_remarks_fini(&remarks);
        if (moe_recording_to_trace(&r, 0, &t, &err) == MOE_OK)
            moe_trace_free(&t);
        moe_recording_fini(&r);
    }
}

static void fuzz_measured(const char *path)
{
    static const moe_model model = {
        .hidden = 64, .intermediate = 64, .top_k = 2, .experts = 8};
    const moe_measured_options options = {.gpu = "h100_sxm",
                                          .stack = "vllm",
                                          .ranks = 4,
                                          .model = &model,
                                          .ep = 1};
    moe_measurements m = {0};
    moe_error err = {0};
    moe_measured_read(path, &options, &m, &err);
    moe_measurements_fini(&m);
}

static void fuzz_csv(const char *path)
{
    moe_csv csv = {0};
    moe_error err = {0};
    moe_csv_read(path, &csv, &err);
    moe_csv_free(&csv);
}

static void fuzz_plan(const char *path)
{
    const moe_plan_file_params any = {.model = NULL};
    moe_plan plan;
    moe_error err = {0};
    if (moe_plan_init(&plan, 2, 4, 2, 3, &err) != MOE_OK)
        return;
    moe_plan_file_read(path, &any, &plan, NULL, &err);
    moe_plan_fini(&plan);
}

static void fuzz_config(const char *text)
{
    moe_model m = {0};
    moe_error err = {0};
    if (text[strspn(text, " \n\r\t")] == '{')
        moe_model_parse(text, "a/config.json", &m, &err);
}

static const struct {
    const char *name;
    void (*text)(const char *text);
    void (*file)(const char *path);
    const char *suffix; /* of the file */
} parsers[] = {
    {"experiment", fuzz_experiment, NULL, NULL},
    {"set", fuzz_set, NULL, NULL},
    {"model", fuzz_model, NULL, NULL},
    {"cluster", fuzz_cluster, NULL, NULL},
    {"inject", fuzz_inject, NULL, NULL},
    {"recording", NULL, fuzz_recording, ""},
    {"npz", NULL, fuzz_recording, ".npz"},
    {"measured", NULL, fuzz_measured, ""},
    {"csv", NULL, fuzz_csv, ""},
    {"plan", NULL, fuzz_plan, ""},
    {"config", fuzz_config, NULL, NULL},
};

static size_t chosen;
static char path[LONGEST_PATH];

static void remove_file(void)
{
    unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name = getenv("FUZZ");
    (void)argc, (void)argv;
    while (chosen < MOE_ARRAY_LEN(parsers) &&
           (name == NULL || strcmp(name, parsers[chosen].name) != 0))
        chosen++;
    if (chosen < MOE_ARRAY_LEN(parsers)) {
        snprintf(path, sizeof path, "/dev/shm/moegps-fuzz-%ld%s",
                 (long)getpid(),
                 parsers[chosen].suffix != NULL ? parsers[chosen].suffix : "");
        atexit(remove_file);
        return 0;
    }
    for (size_t i = 0; i < MOE_ARRAY_LEN(parsers); i++)
        puts(parsers[i].name);
    exit(name != NULL);
}

static void parse_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text == NULL)
        return;
    memcpy(text, data, size);
    text[size] = '\0';
    parsers[chosen].text(text);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > LONGEST_TEXT)
        return 0;
    if (parsers[chosen].text != NULL) {
        parse_text(data, size);
        return 0;
    }
    FILE *f = fopen(path, "wb");
    if (f == NULL)
        return 0;
    fwrite(data, 1, size, f);
    fclose(f);
    parsers[chosen].file(path);
    return 0;
}
