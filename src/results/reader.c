/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Bytes of one dataset that are in memory at a time. */
static const size_t BLOCK_BYTES = (size_t)16 << 20;

/* Iterations of one strategy per read, so that a block stays small. */
static size_t block_iterations(const moe_reader *rd, moe_field_id id)
{
    const moe_field *field = &moe_fields[id];
    size_t one =
        moe_element_size(field->element) *
        moe_field_inner(field, &rd->view->dims) *
        (field->holder == MOE_HELD_BY_RANKS ? (size_t)rd->view->dims.ranks : 1);
    size_t n = BLOCK_BYTES / one;
    return n > 0 ? n : 1;
}

double *moe_reader_buffer(moe_reader *rd, size_t n)
{
    if (n * sizeof(double) > rd->room) {
        free(rd->buffer);
        rd->buffer = moe_array_new(n, sizeof(double), rd->err);
        rd->room = rd->buffer != NULL ? n * sizeof(double) : 0;
    }
    return rd->buffer;
}

bool moe_reader_has(const moe_reader *rd, moe_field_id id)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", moe_fields[id].group,
             moe_fields[id].name);
    return moe_h5_exists(rd->file, path);
}

hid_t moe_reader_open(moe_reader *rd, moe_field_id id, hsize_t *dims)
{
    const moe_field *field = &moe_fields[id];
    char path[128];
    snprintf(path, sizeof path, "%s/%s", field->group, field->name);
    moe_h5_dims(rd->file, path, moe_field_rank(field), dims, rd->err);
    for (int d = 0; field->dims[d] != NULL && !moe_reader_failed(rd); d++)
        if (dims[d] != moe_dims_extent(&rd->view->dims, field->dims[d]))
            moe_fail(rd->err, MOE_FORMAT,
                     "dataset '%s' does not fit the file's dimensions", path);
    return moe_h5_open_dataset(rd->file, path, rd->err);
}

void moe_reader_mark(moe_reader *rd, moe_field_id id, double *x, size_t n)
{
    const moe_field *field = &moe_fields[id];
    for (size_t j = 0; j < n && field->element != MOE_ELEMENT_F64; j++)
        if (x[j] < 0)
            x[j] = NAN;
    if (field->element == MOE_ELEMENT_F64)
        moe_numbers_check(field->name, x, n, 0, rd->err);
}

/* A field while it is visited. */
typedef struct pass {
    moe_field_id id;
    hid_t dataset;
    hsize_t extent[MOE_H5_MAX_RANK];
    moe_visit visit;
    void *arg;
} pass;

bool moe_reader_by_strategy(moe_field_id id)
{
    return strcmp(moe_fields[id].dims[0], "strategy") == 0;
}

static void visit_strategy(moe_reader *rd, const pass *p, size_t s)
{
    const moe_field *field = &moe_fields[p->id];
    const int at = moe_reader_by_strategy(p->id); /* of iteration */
    moe_h5_block block = {.start = {s}};
    size_t inner = 1;
    memcpy(block.count, p->extent, sizeof p->extent);
    for (int d = at + 1; field->dims[d] != NULL; d++)
        inner *= (size_t)block.count[d];
    size_t all = (size_t)block.count[at], step = block_iterations(rd, p->id);
    step = step < all ? step : all;
    double *x = moe_reader_buffer(rd, step * inner);
    block.count[0] = 1;
    for (size_t i = 0; i < all; i += step) {
        const size_t n = all - i < step ? all - i : step;
        block.start[at] = i;
        block.count[at] = n;
        moe_h5_read_block(p->dataset, &block, H5T_NATIVE_DOUBLE, x, rd->err);
        if (moe_reader_failed(rd))
            return;
        moe_reader_mark(rd, p->id, x, n * inner);
        if (moe_reader_failed(rd))
            return;
        for (size_t j = 0; j < n; j++)
            p->visit(rd, (int)s, (int)(i + j), x + j * inner, p->arg);
    }
}

void moe_reader_each(moe_reader *rd, moe_field_id id, moe_visit visit,
                     void *arg)
{
    pass p = {.id = id, .visit = visit, .arg = arg};
    p.dataset = moe_reader_open(rd, id, p.extent);
    const size_t n = moe_reader_by_strategy(id) ? (size_t)p.extent[0] : 1;
    for (size_t s = 0; s < n && !moe_reader_failed(rd); s++)
        visit_strategy(rd, &p, s);
    moe_h5_close(p.dataset);
}

void moe_reader_one(moe_reader *rd, moe_field_id id, int s, moe_visit visit,
                    void *arg)
{
    pass p = {.id = id, .visit = visit, .arg = arg};
    p.dataset = moe_reader_open(rd, id, p.extent);
    if (!moe_reader_failed(rd))
        visit_strategy(rd, &p, (size_t)s);
    moe_h5_close(p.dataset);
}

void moe_reader_check_run(moe_reader *rd)
{
    char run_id[sizeof rd->view->run_id] = "";
    moe_h5_get_text(rd->file, "run_id", run_id, sizeof run_id, rd->err);
    if (!moe_reader_failed(rd) && strcmp(run_id, rd->view->run_id) != 0)
        moe_fail(rd->err, MOE_MISMATCH, "is of another run by now");
}

void moe_reader_merge_periods(const moe_view *view, double *x,
                              double (*mean)(const double *x, size_t n))
{
    const size_t n = (size_t)view->dims.iterations;
    const size_t period = (size_t)view->period;
    for (size_t j = 0; j < n && period > 1; j++)
        x[j] = j < n / period ? mean(x + j * period, period) : (double)NAN;
}

bool moe_reader_measured(const moe_reader *rd, int s, int i)
{
    return !isnan(rd->view->strategy[s].layer_time[MOE_CLOCK_WALL][i]);
}
