/* SPDX-License-Identifier: Apache-2.0 */
/* Parsers under libFuzzer: FUZZ=NAME says which; `make fuzz` runs each on its
 * folder of seeds. What they return does not matter, only that they return.
 * Every format of recordings and of measurements is a target of its own. */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "moegps/cluster.h"
#include "moegps/conf.h"
#include "moegps/csv.h"
#include "moegps/experiment.h"
#include "moegps/inject.h"
#include "moegps/jtree.h"
#include "moegps/measured.h"
#include "moegps/mem.h"
#include "moegps/model.h"
#include "moegps/placement.h"
#include "moegps/plan_file.h"
#include "moegps/ranges.h"
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

/* Bytes of an input that say what else is asked for: the same input always asks
 * for the same. */
static uint8_t asked;

static void use(moe_recording *r)
{
    moe_trace t = {.top_k = 2, .shared = MPI_WIN_NULL};
    moe_remarks remarks = {0};
    moe_error err = {0};
    moe_recording_inspect(r, &remarks, &err);
    moe_recording_uses(r, &remarks);
    if ((asked & 64) != 0 && moe_recording_add(r, r, &err) != MOE_OK)
        err = (moe_error){0};
    if ((asked & 32) != 0)
        moe_recording_count(r, &err);
    else if (moe_recording_to_trace(r, 0, &t, &err) == MOE_OK)
        moe_trace_free(&t);
    moe_remarks_fini(&remarks);
}

static void fuzz_recording(const char *path)
{
    static int32_t kept[] = {0, 1};
    static const moe_ranges keep = {kept, 2};
    static const char *const column[] = {"extra"};
    const moe_recording_options options = {
        .kind = (moe_recording_kind)(asked & 3) % 3,
        .axes = (moe_axes)(asked >> 2 & 3) % 3,
        .layers = (asked & 16) != 0 ? 2 : 0,
        .experts = (asked & 32) != 0 ? 4 : 0,
        .top_k = (asked & 16) != 0 ? 2 : 0,
        .keep = (asked & 64) != 0 ? &keep : NULL,
        .padded = (asked & 128) != 0,
        .pad = -1,
        .dataset = (asked & 128) != 0 ? "x" : "",
        .ignore = column,
        .n_ignore = (asked & 8) != 0,
        .sum_over = column,
        .n_sum_over = (asked & 4) != 0};
    moe_recording r = {0};
    moe_error err = {0};
    if (moe_recording_read(path, &options, &r, &err) != MOE_OK)
        return;
    use(&r);
    moe_recording_fini(&r);
}

static void fuzz_measured(const char *path)
{
    static const moe_model model = {
        .hidden = 64, .intermediate = 64, .top_k = 2, .experts = 8};
    const moe_measured_options options = {
        .gpu = "h100_sxm",
        .stack = "vllm",
        .ranks = (asked & 1) != 0 ? 4 : 0,
        .model = (asked & 2) != 0 ? &model : NULL,
        .op = (asked & 4) != 0 ? "alltoall" : NULL,
        .ep = 1};
    moe_measurements m = {0};
    moe_remarks said = {0};
    moe_error err = {0};
    if (moe_measured_read(path, &options, &m, &err) == MOE_OK)
        moe_measured_clean(&m, &said, &err);
    moe_remarks_fini(&said);
    moe_measurements_fini(&m);
}

static void fuzz_csv(const char *path)
{
    moe_csv csv = {0};
    moe_error err = {0};
    moe_csv_read(path, &csv, &err);
    moe_csv_free(&csv);
}

static void fuzz_jtree(const char *path)
{
    moe_jreader *reader = NULL;
    moe_error err = {0};
    bool more = moe_jreader_open(path, &reader, &err) == MOE_OK;
    while (more) {
        moe_jtree t = {0};
        if (moe_jreader_next(reader, &t, &more, &err) != MOE_OK)
            break;
        moe_jtree_fini(&t);
    }
    moe_jreader_close(reader);
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

/* Loads of slots by a map that may be of anything. */
static void fuzz_placement(const char *path)
{
    moe_placement map = {0};
    moe_error err = {0};
    if (moe_placement_read(path, NULL, &map, &err) != MOE_OK)
        return;
    moe_recording r = {.kind = MOE_RECORDING_LOADS,
                       .layers = 2,
                       .experts = map.slots <= 12 ? map.slots : 12,
                       .layer_number = moe_array_new(2, sizeof(int32_t), &err),
                       .steps = 1,
                       .load = moe_array_new(24, sizeof(double), &err)};
    if (err.status == MOE_OK) {
        r.layer_number[1] = 3;
        r.load[0] = r.load[5] = 1;
        moe_recording_to_logical(&r, &map, &err);
    }
    moe_recording_fini(&r);
    moe_placement_fini(&map);
}

static void fuzz_config(const char *text)
{
    moe_model m = {0};
    moe_error err = {0};
    if (text[strspn(text, " \n\r\t")] == '{')
        moe_model_parse(text, "a/config.json", &m, &err);
}

static void fuzz_words(const char *text)
{
    moe_ranges ranges = {0};
    moe_trace_split split = moe_trace_split_default;
    moe_error err = {0};
    if (moe_ranges_parse(text, 1000, &ranges, &err) == MOE_OK)
        moe_ranges_fini(&ranges);
    err = (moe_error){0};
    moe_trace_split_parse(text, &split, &err);
    fuzz_inject(text);
}

typedef struct {
    const char *name;
    void (*text)(const char *text);
    void (*file)(const char *path);
    const char *suffix;                    /* of the file */
    const moe_recording_format *recording; /* that alone; NULL: any */
    const moe_measured_format *measured;
} target;

static const target parsers[] = {
    {"experiment", .text = fuzz_experiment},
    {"set", .text = fuzz_set},
    {"model", .text = fuzz_model},
    {"cluster", .text = fuzz_cluster},
    {"words", .text = fuzz_words},
    {"config", .text = fuzz_config},
    {"csv", .file = fuzz_csv},
    {"jtree", .file = fuzz_jtree},
    {"plan", .file = fuzz_plan},
    {"placement", .file = fuzz_placement},
    {.name = "h5"},
};

/* @return target i: those above, then the formats; .name NULL past the last.
 * torch starts a process for each file, hdf5 is part of h5. */
static target target_at(size_t i)
{
    if (i < MOE_ARRAY_LEN(parsers))
        return parsers[i];
    i -= MOE_ARRAY_LEN(parsers);
    for (size_t j = 0; moe_recording_format_at(j) != NULL; j++) {
        const moe_recording_format *f = moe_recording_format_at(j);
        if (strcmp(f->name, "torch") != 0 && strcmp(f->name, "hdf5") != 0 &&
            i-- == 0)
            return (target){f->name, .file = fuzz_recording,
                            .suffix = strcmp(f->name, "npz") == 0 ? ".npz" : "",
                            .recording = f};
    }
    const moe_measured_format *f = moe_measured_format_at(i);
    return (target){f != NULL ? f->name : NULL, .file = fuzz_measured,
                    .measured = f};
}

static target chosen;
static char path[LONGEST_PATH];

static void remove_file(void)
{
    unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    const char *name = getenv("FUZZ");
    (void)argc, (void)argv;
    for (size_t i = 0; target_at(i).name != NULL; i++) {
        chosen = target_at(i);
        if (name == NULL)
            puts(chosen.name);
        else if (strcmp(name, chosen.name) == 0)
            break;
    }
    if (name == NULL || strcmp(name, chosen.name) != 0)
        exit(name != NULL);
    snprintf(path, sizeof path, "/dev/shm/moegps-fuzz-%ld%s", (long)getpid(),
             chosen.suffix != NULL ? chosen.suffix : "");
    atexit(remove_file);
    if (strcmp(name, "h5") == 0)
        fuzz_h5_begin(path);
    return 0;
}

/* A text of its own, so that reading beyond it is found. */
static char *text_of(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    if (text != NULL) {
        memcpy(text, data, size);
        text[size] = '\0';
    }
    return text;
}

/* Whether it is read as the format that is fuzzed. */
static bool is_wanted(const uint8_t *data, size_t size)
{
    size_t i = 0;
    const char *head = (const char *)data;
    while (chosen.recording != NULL && moe_recording_format_at(i) != NULL &&
           !moe_recording_format_at(i)->detect(path, head, size))
        i++;
    if (chosen.measured == NULL)
        return chosen.recording == NULL ||
               moe_recording_format_at(i) == chosen.recording;
    char *text = text_of(data, size);
    while (text != NULL && moe_measured_format_at(i) != NULL &&
           !moe_measured_format_at(i)->detect(text))
        i++;
    free(text);
    return moe_measured_format_at(i) == chosen.measured;
}

static void parse_file(const uint8_t *data, size_t size)
{
    FILE *f = is_wanted(data, size) ? fopen(path, "wb") : NULL;
    if (f == NULL)
        return;
    fwrite(data, 1, size, f);
    fclose(f);
    chosen.file(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > LONGEST_TEXT)
        return 0;
    asked = 0;
    for (size_t i = 0; i < size; i++)
        asked = (uint8_t)(31 * asked + data[i]);
    if (chosen.text != NULL) {
        char *text = text_of(data, size);
        if (text != NULL)
            chosen.text(text);
        free(text);
    } else if (chosen.file != NULL) {
        parse_file(data, size);
    } else {
        fuzz_h5(data, size);
    }
    return 0;
}
