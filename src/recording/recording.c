/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/recording.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/plain.h"
#include "moegps/trace.h"

const double MOE_MOST_LOAD = 9007199254740992.0;

enum { SWEEP = 4096 }; /* elements that are moved between two words of it */
enum { MOST_LOOSE = 1024 };

/* ---- remarks ---- */

void moe_remark(moe_remarks *remarks, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, fmt);
    const int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    char **more = n < 0 ? NULL
                        : realloc(remarks->text,
                                  (remarks->n + 1) * sizeof *remarks->text);
    if (more == NULL) {
        if (n >= 0)
            free(text);
        return;
    }
    moe_plain_clean(text, false); /* names of columns are in it */
    remarks->text = more;
    remarks->text[remarks->n++] = text;
}

void moe_remarks_fini(moe_remarks *remarks)
{
    for (size_t i = 0; i < remarks->n; i++)
        free(remarks->text[i]);
    free(remarks->text);
    *remarks = (moe_remarks){0};
}

/* ---- steps and layers ---- */

/* @return where a number is, or belongs. */
static size_t place_of(const moe_axis *a, int64_t value)
{
    size_t low = 0, high = a->n;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (a->value[middle] < value)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t moe_axis_find(moe_axis *a, int64_t value)
{
    if (a->last < a->n && a->value[a->last] == value)
        return a->last;
    const size_t at = place_of(a, value);
    if (at == a->n || a->value[at] != value)
        return SIZE_MAX;
    a->last = at;
    return at;
}

static int rising(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Sort in what came out of order. */
static void settle(moe_axis *a)
{
    size_t n = 0;
    qsort(a->value, a->n + a->loose, sizeof *a->value, rising);
    for (size_t i = 0; i < a->n + a->loose; i++)
        if (n == 0 || a->value[i] != a->value[n - 1])
            a->value[n++] = a->value[i];
    a->n = n;
    a->loose = 0;
}

void moe_axis_add(moe_axis *a, int64_t value, moe_error *err)
{
    const bool new_last = a->n == 0 || value > a->value[a->n - 1];
    if (!new_last && moe_axis_find(a, value) != SIZE_MAX)
        return;
    if (a->n + a->loose == a->room) {
        const size_t room = 2 * a->room + 64;
        int64_t *more = realloc(a->value, room * sizeof *more);
        if (more == NULL) {
            moe_fail(err, MOE_NOMEM, "out of memory");
            return;
        }
        a->value = more;
        a->room = room;
    }
    a->value[a->n + a->loose] = value;
    if (new_last && a->loose == 0)
        a->last = a->n++;
    else if (++a->loose > MOST_LOOSE + a->n / 2)
        settle(a);
}

void moe_axis_end(moe_axis *a)
{
    if (a->loose > 0)
        settle(a);
}

void moe_axis_fini(moe_axis *a)
{
    free(a->value);
    *a = (moe_axis){0};
}

/* ---- memory ---- */

static moe_status number_layers(moe_recording *r, moe_error *err)
{
    r->layer_number =
        moe_array_new((size_t)r->layers, sizeof *r->layer_number, err);
    for (int l = 0; r->layer_number != NULL && l < r->layers; l++)
        r->layer_number[l] = l;
    return err->status;
}

moe_status moe_recording_make_loads(moe_recording *r, const char *path,
                                    size_t steps, size_t layers, size_t experts,
                                    moe_error *err)
{
    if (steps == 0 || layers == 0 || experts == 0)
        return moe_fail(err, MOE_FORMAT, "%s: has no step, layer or expert",
                        path);
    if (layers > MOE_MAX_RECORDED_LAYERS || experts > MOE_MAX_EXPERTS ||
        steps > MOE_MAX_RECORDED_STEPS ||
        steps > SIZE_MAX / sizeof(double) / layers / experts)
        return moe_fail(err, MOE_FORMAT,
                        "%s: %zu steps, %zu layers and %zu experts are too "
                        "many (at most %d layers, %d experts)",
                        path, steps, layers, experts, MOE_MAX_RECORDED_LAYERS,
                        MOE_MAX_EXPERTS);
    r->kind = MOE_RECORDING_LOADS;
    r->in_time = true;
    r->steps = steps;
    r->layers = (int)layers;
    r->experts = (int)experts;
    r->load = moe_bulk_new(steps * layers * experts, sizeof *r->load, err);
    r->step_number = moe_array_new(steps, sizeof *r->step_number, err);
    for (size_t s = 0; r->step_number != NULL && s < steps; s++)
        r->step_number[s] = (int64_t)s;
    return number_layers(r, err);
}

moe_status moe_recording_make_tokens(moe_recording *r, const char *path,
                                     size_t layers, uint64_t tokens,
                                     size_t top_k, moe_error *err)
{
    if (layers == 0 || tokens == 0 || top_k == 0)
        return moe_fail(err, MOE_FORMAT, "%s: has no layer, token or choice",
                        path);
    if (layers > MOE_MAX_RECORDED_LAYERS || tokens > UINT32_MAX ||
        top_k > MOE_MAX_TOP_K)
        return moe_fail(err, MOE_FORMAT,
                        "%s: %zu layers, %llu tokens and %zu choices are too "
                        "many (at most %d layers, %d choices)",
                        path, layers, (unsigned long long)tokens, top_k,
                        MOE_MAX_RECORDED_LAYERS, MOE_MAX_TOP_K);
    r->kind = MOE_RECORDING_TOKENS;
    r->seen_only = true;
    r->layers = (int)layers;
    r->n_tokens = tokens;
    r->top_k = (int)top_k;
    r->experts_of =
        moe_bulk_new(layers * tokens * top_k, sizeof *r->experts_of, err);
    return number_layers(r, err);
}

void moe_recording_fini(moe_recording *r)
{
    free(r->layer_number);
    free(r->step_number);
    moe_bulk_free(r->load);
    moe_bulk_free(r->experts_of);
    moe_bulk_free(r->gate);
    moe_bulk_free(r->token_id);
    moe_bulk_free(r->position);
    free(r->seq_offset);
    free(r->seq_part);
    moe_remarks_fini(&r->understood);
    moe_remarks_fini(&r->dropped);
    *r = (moe_recording){0};
}

/* Move what is kept of [rows][n] elements of `size` bytes to the front. */
static void compact(void *data, size_t rows, uint64_t n, size_t size,
                    const bool *drop)
{
    char *to = data;
    for (uint64_t i = 0; data != NULL && i < rows * n; i++) {
        if (i % SWEEP == 0)
            moe_bulk_passed(to, SWEEP * size);
        if (drop[i % n])
            continue;
        memmove(to, (char *)data + i * size, size);
        to += size;
    }
}

/* Sequences that lose all their tokens go. */
static void compact_sequences(moe_recording *r, const bool *drop)
{
    uint64_t kept = 0, seqs = 0;
    for (uint64_t s = 0; r->seq_offset != NULL && s < r->n_seqs; s++) {
        const uint64_t first = kept;
        for (uint64_t i = r->seq_offset[s]; i < r->seq_offset[s + 1]; i++)
            kept += !drop[i];
        if (kept == first)
            continue;
        if (r->seq_part != NULL)
            r->seq_part[seqs] = r->seq_part[s];
        r->seq_offset[seqs++] = first;
    }
    if (r->seq_offset == NULL)
        return;
    r->seq_offset[seqs] = kept;
    r->n_seqs = seqs;
}

void moe_recording_drop_tokens(moe_recording *r, const bool *drop)
{
    const size_t l = (size_t)r->layers, k = (size_t)r->top_k;
    const uint64_t n = r->n_tokens;
    uint64_t kept = 0;
    for (uint64_t i = 0; i < n; i++)
        kept += !drop[i];
    compact_sequences(r, drop);
    compact(r->experts_of, l, n, k * sizeof *r->experts_of, drop);
    compact(r->gate, l, n, k * sizeof *r->gate, drop);
    compact(r->token_id, 1, n, sizeof *r->token_id, drop);
    compact(r->position, 1, n, sizeof *r->position, drop);
    r->n_tokens = kept;
}
