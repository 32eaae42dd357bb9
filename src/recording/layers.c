/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/trace.h"

/* Which layers and steps of a recording are kept, and tokens as loads. */

enum { SWEEP = 4096 }; /* choices that are counted between two words of it */

/* Move what is kept of [layers] blocks of `bytes` to the front. */
static void compact(void *data, int layers, size_t bytes, const bool *layer)
{
    char *to = data;
    for (int l = 0; data != NULL && l < layers; l++)
        if (layer[l]) {
            if (to != (char *)data + (size_t)l * bytes)
                moe_bulk_copy(to, (char *)data + (size_t)l * bytes, bytes);
            to += bytes;
        }
}

static void keep_loads(moe_recording *r, const bool *layer, const bool *step)
{
    const size_t row = (size_t)r->experts, n_l = (size_t)r->layers;
    size_t to = 0, steps = 0;
    for (size_t s = 0; s < r->steps; s++) {
        if (step != NULL && !step[s])
            continue;
        for (size_t l = 0; l < n_l; l++)
            if (layer[l])
                memmove(r->load + row * to++, r->load + (s * n_l + l) * row,
                        row * sizeof *r->load);
        moe_bulk_passed(r->load + row * to, 2 * n_l * row * sizeof *r->load);
        if (r->seq_part != NULL)
            r->seq_part[steps] = r->seq_part[s];
        r->step_number[steps++] = r->step_number[s];
    }
    r->steps = steps;
}

/* @param step  [steps]; NULL: all of them. */
static void keep(moe_recording *r, const bool *layer, const bool *step)
{
    const size_t block = r->n_tokens * (size_t)r->top_k;
    int layers = 0;
    if (r->kind == MOE_RECORDING_LOADS)
        keep_loads(r, layer, step);
    compact(r->experts_of, r->layers, block * sizeof *r->experts_of, layer);
    compact(r->gate, r->layers, block * sizeof *r->gate, layer);
    for (int l = 0; l < r->layers; l++)
        if (layer[l])
            r->layer_number[layers++] = r->layer_number[l];
    r->layers = layers;
}

/* ---- chosen ones ---- */

static int rising(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void number(moe_recording *r, const moe_ranges *keep_these)
{
    char text[128];
    memcpy(r->layer_number, keep_these->number,
           keep_these->n * sizeof *r->layer_number);
    qsort(r->layer_number, keep_these->n, sizeof *r->layer_number, rising);
    r->numbered = true;
    moe_ranges_text(r->layer_number, keep_these->n, text, sizeof text);
    moe_remark(&r->understood, "its %d layers are %s by --layers", r->layers,
               text);
}

moe_status moe_recording_keep(moe_recording *r, const char *path,
                              const moe_ranges *keep_these, moe_error *err)
{
    char has[128];
    if (!r->numbered && keep_these->n == (size_t)r->layers) {
        number(r, keep_these);
        return MOE_OK;
    }
    bool *layer = moe_array_new((size_t)r->layers, sizeof *layer, err);
    for (size_t i = 0; err->status == MOE_OK && i < keep_these->n; i++) {
        int l = 0;
        while (l < r->layers && r->layer_number[l] != keep_these->number[i])
            l++;
        if (l < r->layers) {
            layer[l] = true;
            continue;
        }
        moe_ranges_text(r->layer_number, (size_t)r->layers, has, sizeof has);
        moe_fail(err, MOE_USAGE, "--layers: %s has layers %s, not %d", path,
                 has, keep_these->number[i]);
    }
    if (err->status == MOE_OK && keep_these->n < (size_t)r->layers)
        moe_remark(&r->dropped, "%zu of %d layers by --layers",
                   (size_t)r->layers - keep_these->n, r->layers);
    if (err->status == MOE_OK)
        keep(r, layer, NULL);
    free(layer);
    return err->status;
}

/* ---- empty ones ---- */

static void remark_dense(moe_recording *r, const bool *layer, moe_error *err)
{
    char text[128];
    size_t n = 0;
    int32_t *dense = moe_array_new((size_t)r->layers, sizeof *dense, err);
    for (int l = 0; dense != NULL && l < r->layers; l++)
        if (!layer[l])
            dense[n++] = r->layer_number[l];
    moe_ranges_text(dense, n, text, sizeof text);
    if (n == 1)
        moe_remark(&r->dropped, "layer %s has no load: a dense layer", text);
    else if (n > 1)
        moe_remark(&r->dropped, "layers %s have no load: dense layers", text);
    free(dense);
}

moe_status moe_recording_drop_empty(moe_recording *r, const char *path,
                                    moe_error *err)
{
    const size_t n_e = (size_t)r->experts, n_l = (size_t)r->layers;
    bool *layer = moe_array_new(n_l, sizeof *layer, err);
    bool *step = moe_array_new(r->steps, sizeof *step, err);
    size_t empty = 0;
    bool any = false;
    for (size_t i = 0; err->status == MOE_OK && i < r->steps * n_l; i++) {
        for (size_t e = 0; e < n_e; e++)
            if (r->load[i * n_e + e] != 0)
                any = layer[i % n_l] = step[i / n_l] = true;
        moe_bulk_passed(r->load + i * n_e, n_e * sizeof *r->load);
    }
    for (size_t s = 0; err->status == MOE_OK && s < r->steps; s++)
        empty += !step[s];
    if (err->status == MOE_OK && !any)
        moe_fail(err, MOE_FORMAT, "%s: all loads are 0", path);
    if (err->status == MOE_OK) {
        remark_dense(r, layer, err);
        if (empty > 0)
            moe_remark(&r->dropped, "%zu step%s without any load", empty,
                       empty == 1 ? "" : "s");
        const bool dense = memchr(layer, 0, n_l) != NULL;
        if (empty > 0 || dense)
            keep(r, layer, step);
        r->numbered = r->numbered || dense; /* rows were all layers */
    }
    free(step);
    free(layer);
    return err->status;
}

/* ---- tokens as loads ---- */

static bool has_both_parts(const moe_recording *r)
{
    bool part[2] = {false, false};
    for (uint64_t s = 0; r->seq_part != NULL && s < r->n_seqs; s++)
        part[r->seq_part[s] == MOE_PART_TEST] = true;
    return part[0] && part[1];
}

/* Count the tokens [first, end) as a step. */
static void count(const moe_recording *r, uint64_t first, uint64_t end,
                  size_t step, moe_recording *to)
{
    const size_t k = (size_t)r->top_k;
    for (size_t l = 0; l < (size_t)r->layers; l++) {
        const uint16_t *id = r->experts_of + l * r->n_tokens * k;
        double *load =
            to->load + (step * (size_t)r->layers + l) * (size_t)r->experts;
        for (uint64_t i = first * k; i < end * k; i++) {
            if (i % SWEEP == 0)
                moe_bulk_passed(id + i, SWEEP * sizeof *id);
            load[id[i]] += 1;
        }
    }
}

moe_status moe_recording_count(moe_recording *r, moe_error *err)
{
    moe_error local = {0};
    moe_recording to = {.kind = MOE_RECORDING_ANY};
    if (r->kind != MOE_RECORDING_TOKENS)
        return MOE_OK;
    const bool parts = has_both_parts(r);
    if (moe_recording_make_loads(&to, "tokens", parts ? 2 : 1,
                                 (size_t)r->layers, (size_t)r->experts,
                                 &local) != MOE_OK) {
        moe_recording_fini(&to);
        return moe_pass(err, &local);
    }
    for (uint64_t s = 0; parts && s < r->n_seqs; s++)
        count(r, r->seq_offset[s], r->seq_offset[s + 1],
              r->seq_part[s] == MOE_PART_TEST, &to);
    if (!parts)
        count(r, 0, r->n_tokens, 0, &to);
    memcpy(to.layer_number, r->layer_number,
           (size_t)r->layers * sizeof *to.layer_number);
    to.numbered = r->numbered;
    to.in_time = false;
    to.understood = r->understood;
    to.dropped = r->dropped;
    r->understood = r->dropped = (moe_remarks){0};
    moe_remark(&to.understood,
               parts ? "the tokens of the training and of the test part are "
                       "two steps"
                     : "its tokens are one step");
    moe_recording_fini(r);
    *r = to;
    return MOE_OK;
}
