/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/measured.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/ctx.h"
#include "moegps/mem.h"
#include "moegps/text.h"

const moe_measured_group
    moe_measured_moe = {"moe",
                        {"gpu", "stack", "kernel", "dtype", "distribution"},
                        {"hidden", "inter", "top_k", "experts", "ep"},
                        "tokens"},
    moe_measured_collectives = {"collectives",
                                {"gpu", "nccl", "op"},
                                {"gpus"},
                                "buffer_bytes"},
    moe_measured_attention = {"attention",
                              {"gpu", "stack"},
                              {"heads", "kv_heads", "head_dim", "batch"},
                              "seq"},
    moe_measured_gemm = {"gemm", {"gpu", "stack"}, {"n", "k"}, "m"};

void moe_measurements_fini(moe_measurements *m)
{
    free(m->row);
    moe_remarks_fini(&m->said);
    *m = (moe_measurements){0};
}

/* ---- rows ---- */

static moe_status place(const moe_measurement *row, const char *what, double x,
                        moe_error *err)
{
    return moe_fail(err, MOE_FORMAT, "%s:%" PRIu64 ": %s: %g is none",
                    row->path, row->line, what, x);
}

moe_status moe_measured_add(moe_measurements *m, const moe_measurement *row,
                            moe_error *err)
{
    if (!(row->x >= 1 && row->x <= INT32_MAX) || row->x != floor(row->x))
        return place(row, row->group->axis, row->x, err);
    if (!(row->time_us > 0) || !isfinite(row->time_us))
        return place(row, "microseconds", row->time_us, err);
    if (m->n == m->room) {
        const size_t room = 2 * m->room + 64;
        moe_measurement *more = realloc(m->row, room * sizeof *more);
        if (more == NULL)
            return moe_fail(err, MOE_NOMEM, "out of memory");
        m->row = more;
        m->room = room;
    }
    m->row[m->n++] = *row;
    return MOE_OK;
}

static void set(moe_measurement *row, int i, const char *text)
{
    snprintf(row->text[i], sizeof row->text[i], "%s", text);
}

moe_status moe_measured_json(const moe_measured_file *file,
                             void (*take)(const moe_measured_file *file,
                                          const moe_jtree *root,
                                          moe_error *err),
                             moe_error *err)
{
    moe_jreader *reader = NULL;
    moe_jtree root = {0};
    bool more = false;
    if (moe_jreader_open(file->path, &reader, err) == MOE_OK &&
        moe_jreader_next(reader, &root, &more, err) == MOE_OK)
        take(file, &root, err);
    moe_jreader_close(reader);
    moe_jtree_fini(&root);
    return err->status;
}

moe_status moe_measured_add_link(const moe_measured_file *file,
                                 const moe_measured_link *link, moe_error *err)
{
    const moe_measured_options *options = file->options;
    const char *op = link->op != NULL ? link->op : options->op;
    moe_measurement row = {
        .group = &moe_measured_collectives,
        .number = {link->ranks > 0 ? link->ranks : options->ranks},
        .x = link->bytes,
        .time_us = link->time_us,
        .path = file->path,
        .line = link->line};
    if (op == NULL)
        return moe_fail(err, MOE_USAGE,
                        "%s: does not say which collective it is (--op "
                        "alltoall, all_reduce, all_gather or reduce_scatter)",
                        file->path);
    if (row.number[0] < 1)
        return moe_fail(err, MOE_USAGE,
                        "%s: does not say how many GPUs took part (--ranks)",
                        file->path);
    if (link->bytes > INT32_MAX) {
        moe_remark(&file->out->said,
                   "%s:%" PRIu64 ": %.0f bytes: left out, as above 2 GiB",
                   file->path, link->line, link->bytes);
        return MOE_OK;
    }
    set(&row, 0, options->gpu);
    set(&row, 1, "measured");
    set(&row, 2, op);
    return moe_measured_add(file->out, &row, err);
}

moe_status moe_measured_add_ffn(const moe_measured_file *file, uint64_t line,
                                double tokens, double time_us, moe_error *err)
{
    const moe_measured_options *options = file->options;
    const moe_model *m = options->model;
    if (m == NULL)
        return moe_fail(err, MOE_USAGE,
                        "%s: does not say what experts were computed (--model, "
                        "and --ep for GPUs that share them)",
                        file->path);
    moe_measurement row = {.group = &moe_measured_moe,
                           .number = {m->hidden, m->intermediate, m->top_k,
                                      m->experts, options->ep},
                           .x = tokens,
                           .time_us = time_us,
                           .path = file->path,
                           .line = line};
    set(&row, 0, options->gpu);
    set(&row, 1, options->stack);
    set(&row, 2, "measured");
    set(&row, 3, m->dtype == MOE_DTYPE_FP8 ? "fp8" : "bfloat16");
    set(&row, 4, "balanced");
    return moe_measured_add(file->out, &row, err);
}

const char *moe_measured_collective(const char *text)
{
    /* as programs call them; reduce_scatter has the letters of no other */
    static const struct {
        const char *said, *name;
    } names[] = {{"alltoall", "alltoall"},
                 {"all-to-all", "alltoall"},
                 {"reduce_scatter", "reduce_scatter"},
                 {"reducescatter", "reduce_scatter"},
                 {"all_reduce", "all_reduce"},
                 {"allreduce", "all_reduce"},
                 {"all_gather", "all_gather"},
                 {"allgather", "all_gather"}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(names); i++)
        if (strcasestr(text, names[i].said) != NULL)
            return names[i].name;
    return NULL;
}

/* Launchers put `[1,0]<stdout>:` before what ranks print. */
char *moe_measured_line(moe_measured_lines *l)
{
    char *line = l->rest;
    if (line == NULL || *line == '\0')
        return NULL;
    l->rest = line + strcspn(line, "\n");
    if (*l->rest == '\n')
        *l->rest++ = '\0';
    l->number++;
    char *tag = *line == '[' ? strstr(line, ">:") : NULL;
    return tag != NULL ? tag + 2 : line;
}
