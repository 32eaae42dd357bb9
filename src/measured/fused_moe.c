/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "fused_moe.h"
#include "moegps/jtree.h"
#include "moegps/mem.h"

/* Times of fused MoE kernels by tokens, as vLLM's and SGLang's benchmarks give
 * them: `Batch size: 8, config: {...}` and `Kernel time: 59.86 us`; or JSON
 * {batch: {time_us}} or [{batch_size, time_us}]. */

static const char *const batch_names[] = {"batch_size", "num_tokens", "batch",
                                          "tokens", "m"};

/* Names of times, by their unit. */
static const struct {
    const char *name;
    double us;
} time_names[] = {
    {"kernel_time_us", 1}, {"latency_us", 1}, {"time_us", 1},
    {"kernel_time", 1},    {"us", 1},         {"kernel_time_ms", 1e3},
    {"latency_ms", 1e3},   {"time_ms", 1e3},  {"ms", 1e3}};

static bool detect(const char *text)
{
    return strstr(text, "Batch size: ") != NULL &&
           strcasestr(text, "kernel time: ") != NULL;
}

static moe_status read(const moe_measured_file *file, moe_error *err)
{
    moe_measured_lines lines = {.rest = file->text};
    double batch = 0;
    for (char *line;
         err->status == MOE_OK && (line = moe_measured_line(&lines)) != NULL;) {
        const char *size = strstr(line, "Batch size: ");
        const char *time = strcasestr(line, "kernel time: ");
        if (size != NULL)
            batch = strtod(size + strlen("Batch size: "), NULL);
        if (time == NULL || batch <= 0)
            continue;
        moe_measured_add_ffn(file, lines.number, batch,
                             strtod(time + strlen("kernel time: "), NULL), err);
        batch = 0;
    }
    return err->status;
}

const moe_measured_format moe_measured_fused_moe_format = {
    .name = "fused-moe",
    .help = "what vLLM's benchmark_moe prints; --model says what experts",
    .detect = detect,
    .read = read};

/* ---- JSON ---- */

static bool detect_json(const char *text)
{
    const char first = text[strspn(text, " \t\r\n")];
    return first == '{' || first == '[';
}

/* @return microseconds; NaN: it has none. */
static double time_of(const moe_jtree *t)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(time_names); i++) {
        const moe_jtree *x = moe_jtree_get(t, time_names[i].name);
        if (x != NULL && x->type == MOE_JNUMBER)
            return x->number * time_names[i].us;
    }
    return NAN;
}

static double batch_of(const moe_jtree *t)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(batch_names); i++) {
        const moe_jtree *x = moe_jtree_get(t, batch_names[i]);
        if (x != NULL && x->type == MOE_JNUMBER)
            return x->number;
    }
    return NAN;
}

static void take_items(const moe_measured_file *file, const moe_jtree *root,
                       moe_error *err)
{
    const bool keyed = root->type == MOE_JOBJECT;
    for (size_t i = 0; i < root->n && err->status == MOE_OK; i++) {
        const moe_jtree *t = &root->item[i];
        const double batch = keyed ? strtod(root->key[i], NULL) : batch_of(t);
        const double time_us = time_of(t);
        if (moe_jtree_get(t, "BLOCK_SIZE_M") != NULL && isnan(time_us))
            moe_fail(err, MOE_FORMAT,
                     "%s: are tuned configurations, without times: the "
                     "benchmark's output has them",
                     file->path);
        else if (!(batch >= 1) || isnan(time_us))
            moe_fail(err, MOE_FORMAT,
                     "%s: item %zu has no tokens (batch_size, num_tokens) or "
                     "no time (time_us, time_ms)",
                     file->path, i);
        else
            moe_measured_add_ffn(file, i + 1, batch, time_us, err);
    }
}

static moe_status read_json(const moe_measured_file *file, moe_error *err)
{
    return moe_measured_json(file, take_items, err);
}

const moe_measured_format moe_measured_fused_moe_json_format = {
    .name = "fused-moe-json",
    .help = "times of a fused MoE kernel by tokens, as JSON",
    .detect = detect_json,
    .read = read_json};

/* ---- tables ---- */

/* A column of tokens and one of times. @return false: it has none. */
bool moe_measured_batches(const moe_csv *csv, int *batch_out, int *time_out,
                          double *us_out)
{
    *batch_out = *time_out = -1;
    for (size_t i = 0; i < MOE_ARRAY_LEN(batch_names) && *batch_out < 0; i++)
        *batch_out = moe_csv_find(csv, batch_names[i]);
    for (size_t i = 0; i < MOE_ARRAY_LEN(time_names) && *time_out < 0; i++) {
        *time_out = moe_csv_find(csv, time_names[i].name);
        *us_out = time_names[i].us;
    }
    return *batch_out >= 0 && *time_out >= 0;
}
