/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "fused_moe.h"
#include "internal.h"
#include "moegps/mem.h"

/* Tables in the columns of `cost` with latency_us beside them; or, of a fused
 * MoE kernel, tokens and times alone. */

static const moe_measured_group *const groups[] = {
    &moe_measured_moe, &moe_measured_collectives, &moe_measured_attention,
    &moe_measured_gemm};

/* Columns that may be missing, and what they then are. */
static const struct {
    const char *name, *value;
} missing[] = {
    {"stack", NULL}, /* the profile's, as gpu */
    {"gpu", NULL},          {"nccl", "measured"},        {"op", "alltoall"},
    {"kernel", "measured"}, {"distribution", "balanced"}};

static bool detect(const char *text)
{
    return memchr(text, ',', strcspn(text, "\n")) != NULL ||
           memchr(text, ';', strcspn(text, "\n")) != NULL ||
           memchr(text, '\t', strcspn(text, "\n")) != NULL || *text == '#';
}

/* @return the group whose numbers and axis are columns; NULL: none. */
static const moe_measured_group *group_of(const moe_csv *csv)
{
    for (size_t g = 0; g < MOE_ARRAY_LEN(groups); g++) {
        bool all = moe_csv_find(csv, groups[g]->axis) >= 0;
        for (int i = 0; groups[g]->number[i] != NULL; i++)
            all = all && moe_csv_find(csv, groups[g]->number[i]) >= 0;
        if (all)
            return groups[g];
    }
    return NULL;
}

static const char *otherwise(const char *name, const moe_measured_options *o)
{
    if (strcmp(name, "gpu") == 0)
        return o->gpu;
    if (strcmp(name, "stack") == 0)
        return o->stack;
    if (strcmp(name, "op") == 0 && o->op != NULL)
        return o->op;
    for (size_t i = 0; i < MOE_ARRAY_LEN(missing); i++)
        if (strcmp(missing[i].name, name) == 0)
            return missing[i].value;
    return NULL;
}

/* Collectives are called as the tables call them, or as programs do; those of
 * DeepEP have rows of their own. */
static void take_op(const char *path, uint64_t line, moe_measurement *row,
                    int i, moe_error *err)
{
    char *op = row->text[i];
    const char *known = moe_measured_collective(op);
    if (strncmp(op, "deepep_", 7) == 0)
        return;
    if (known == NULL)
        moe_fail(
            err, MOE_FORMAT,
            "%s:%llu: op: '%.40s' is not alltoall, all_reduce, all_gather, "
            "reduce_scatter or deepep_...",
            path, (unsigned long long)line, op);
    else
        snprintf(op, sizeof row->text[i], "%s", known);
}

static void take_row(const moe_measured_file *file, const moe_csv *csv,
                     size_t r, const moe_measured_group *group, moe_error *err)
{
    moe_measurement row = {
        .group = group, .path = file->path, .line = csv->line[r + 1]};
    for (int i = 0; group->text[i] != NULL && err->status == MOE_OK; i++) {
        const char *name = group->text[i];
        const int c = moe_csv_find(csv, name);
        const char *text =
            c >= 0 ? moe_csv_text(csv, r, c) : otherwise(name, file->options);
        if (text == NULL)
            moe_csv_column(csv, name, err);
        else
            snprintf(row.text[i], sizeof row.text[i], "%s",
                     strcmp(text, "bf16") == 0 ? "bfloat16" : text);
        if (err->status == MOE_OK && strcmp(name, "op") == 0)
            take_op(file->path, row.line, &row, i, err);
    }
    for (int i = 0; group->number[i] != NULL && err->status == MOE_OK; i++)
        row.number[i] =
            moe_csv_int(csv, r, moe_csv_column(csv, group->number[i], err), 1,
                        1 << 20, err);
    if (err->status != MOE_OK)
        return;
    row.x = moe_csv_number(csv, r, moe_csv_column(csv, group->axis, err), 1,
                           INT32_MAX, err);
    const int time = moe_csv_column(csv, "latency_us", err);
    if (err->status == MOE_OK)
        row.time_us = moe_csv_number(csv, r, time, 0.5, 1e8, err);
    if (err->status == MOE_OK)
        moe_measured_add(file->out, &row, err);
}

static void take_all(const moe_measured_file *file, const moe_csv *csv,
                     moe_error *err)
{
    const moe_measured_group *group = group_of(csv);
    int batch, time;
    double us = 1;
    const bool batches =
        group == NULL && moe_measured_batches(csv, &batch, &time, &us);
    if (group == NULL && !batches)
        moe_fail(err, MOE_FORMAT,
                 "%s: its columns are those of no table: wanted are those of "
                 "`cost` and latency_us, or batch_size and time_us of a fused "
                 "MoE kernel",
                 file->path);
    for (size_t r = 0; r < csv->n_rows && err->status == MOE_OK; r++)
        if (group != NULL)
            take_row(file, csv, r, group, err);
        else
            moe_measured_add_ffn(
                file, csv->line[r + 1],
                moe_csv_number(csv, r, batch, 1, INT32_MAX, err),
                us * moe_csv_number(csv, r, time, 1e-4, 1e8, err), err);
}

static moe_status read(const moe_measured_file *file, moe_error *err)
{
    moe_csv csv = {0};
    if (moe_csv_read(file->path, &csv, err) == MOE_OK)
        take_all(file, &csv, err);
    moe_csv_free(&csv);
    return err->status;
}

const moe_measured_format moe_measured_columns_format = {
    .name = "columns",
    .help = "a table in the columns of `cost` with latency_us, or of tokens "
            "and times of a fused MoE kernel",
    .detect = detect,
    .read = read};
