/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/recording.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/plain.h"
#include "moegps/trace.h"

#define X(name) extern const moe_recording_format moe_recording_##name;
#include "members.h"
#undef X

static const moe_recording_format *const formats[] = {
#define X(name) &moe_recording_##name,
#include "members.h"
#undef X
};

const moe_recording_format *moe_recording_format_at(size_t i)
{
    return i < MOE_ARRAY_LEN(formats) ? formats[i] : NULL;
}

/* Complete experts that were never chosen. */
static void complete_experts(moe_recording *r, const char *path, int experts,
                             moe_error *err)
{
    if (experts == 0 || experts == r->experts)
        return;
    if (experts < r->experts) {
        moe_fail(err, MOE_FORMAT,
                 "%s: expert %d was chosen, but there are %d (physical ids? "
                 "--physical-map makes them logical)",
                 path, r->experts - 1, experts);
        return;
    }
    if (!r->seen_only) {
        moe_fail(err, MOE_MISMATCH, "%s: has %d experts, not %d", path,
                 r->experts, experts);
        return;
    }
    if (r->experts == experts - 1)
        moe_remark(&r->understood, "%d experts, of which %d was never seen",
                   experts, r->experts);
    else
        moe_remark(&r->understood,
                   "%d experts, of which %d .. %d were never seen", experts,
                   r->experts, experts - 1);
    if (r->kind == MOE_RECORDING_LOADS) {
        const size_t rows = r->steps * (size_t)r->layers;
        double *wide = moe_bulk_new(rows * (size_t)experts, sizeof *wide, err);
        for (size_t i = 0; wide != NULL && i < rows; i++)
            moe_bulk_copy(wide + i * (size_t)experts,
                          r->load + i * (size_t)r->experts,
                          (size_t)r->experts * sizeof *wide);
        if (wide == NULL)
            return;
        moe_bulk_free(r->load);
        r->load = wide;
    }
    r->experts = experts;
}

/* A file of as many layers as the model has of experts has those. */
static void number_as_model(moe_recording *r, const moe_recording_options *o)
{
    if (r->numbered || o->layer_step == 0 || r->layers != o->layers)
        return;
    for (int l = 0; l < r->layers; l++)
        r->layer_number[l] = (int32_t)(o->first_layer + l * o->layer_step);
    r->numbered = true;
}

static moe_status check_loads(const moe_recording *r, const char *path,
                              moe_error *err)
{
    const size_t n_e = (size_t)r->experts, n_l = (size_t)r->layers;
    for (size_t i = 0; i < r->steps * n_l; i++) {
        const long long step = r->step_number[i / n_l];
        const int layer = r->layer_number[i % n_l];
        double sum = 0;
        for (size_t e = 0; e < n_e; e++) {
            const double x = r->load[i * n_e + e];
            if (!isfinite(x) || x < 0)
                return moe_fail(err, MOE_FORMAT,
                                "%s: step %lld, layer %d, expert %zu: %g is "
                                "not a finite load >= 0",
                                path, step, layer, e, x);
            sum += x;
        }
        if (!(sum > 0))
            return moe_fail(err, MOE_FORMAT,
                            "%s: step %lld, layer %d: all loads are 0, but not "
                            "in other steps",
                            path, step, layer);
        if (sum > MOE_MOST_LOAD)
            return moe_fail(err, MOE_FORMAT,
                            "%s: step %lld, layer %d: loads sum to %g, above "
                            "2^53",
                            path, step, layer, sum);
        moe_bulk_passed(r->load + i * n_e, n_e * sizeof *r->load);
    }
    return MOE_OK;
}

void moe_recording_sizes(const moe_recording *r, char *text, size_t size)
{
    char layers[128];
    moe_ranges_text(r->layer_number, (size_t)r->layers, layers, sizeof layers);
    const int n =
        snprintf(text, size, "%d layer%s (%s), %d experts, ", r->layers,
                 r->layers == 1 ? "" : "s", layers, r->experts);
    if (n < 0 || (size_t)n >= size)
        return;
    if (r->kind == MOE_RECORDING_LOADS)
        snprintf(text + n, size - (size_t)n, "%zu step%s", r->steps,
                 r->steps == 1 ? "" : "s");
    else
        snprintf(text + n, size - (size_t)n, "%llu tokens of %d choice%s each",
                 (unsigned long long)r->n_tokens, r->top_k,
                 r->top_k == 1 ? "" : "s");
}

/* Sizes come first of what was understood. */
static void remark_sizes(moe_recording *r)
{
    char text[256];
    moe_remarks *said = &r->understood;
    const size_t before = said->n;
    moe_recording_sizes(r, text, sizeof text);
    moe_remark(said, "%s", text);
    if (said->n == before)
        return;
    char *last = said->text[before];
    memmove(&said->text[1], &said->text[0], before * sizeof *said->text);
    said->text[0] = last;
}

/* What cannot be read, and what would do. */
static const struct {
    const char *begins;
    size_t n;
    const char *what;
} others[] = {
    {"\x1f\x8b", 2, "is compressed by gzip: unpack it first (gunzip)"},
    {"\x28\xb5\x2f\xfd", 4, "is compressed by zstd: unpack it first (unzstd)"},
    {"BZh", 3, "is compressed by bzip2: unpack it first (bunzip2)"},
    {"\xfd"
     "7zX",
     4, "is compressed by xz: unpack it first (unxz)"},
    {"PAR1", 4, "is Parquet: pandas' read_parquet() and to_csv() make a table"},
    {"\x80\x04", 2,
     "is a pickle, which is not executed: numpy.save() or "
     "torch.save() write arrays"},
    {"\x80\x05", 2,
     "is a pickle, which is not executed: numpy.save() or "
     "torch.save() write arrays"}};

static moe_status choose_format(const char *path,
                                const moe_recording_format **out,
                                moe_error *err)
{
    char head[4096];
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return moe_fail(err, MOE_USAGE, "%s: cannot open: %s", path,
                        strerror(errno));
    const size_t n = fread(head, 1, sizeof head, file);
    fclose(file);
    if (n == 0)
        return moe_fail(err, MOE_FORMAT, "%s: is empty", path);
    for (size_t i = 0; i < MOE_ARRAY_LEN(others); i++)
        if (n >= 4 && memcmp(head, others[i].begins, others[i].n) == 0)
            return moe_fail(err, MOE_FORMAT, "%s: %s", path, others[i].what);
    for (size_t i = 0; i < MOE_ARRAY_LEN(formats); i++)
        if (formats[i]->detect(path, head, n)) {
            *out = formats[i];
            return MOE_OK;
        }
    return moe_fail(err, MOE_FORMAT, "%s: is of no known format", path);
}

moe_status moe_recording_read(const char *path,
                              const moe_recording_options *options,
                              moe_recording *out, moe_error *err)
{
    const moe_recording_format *format = NULL;
    moe_error local = {0};
    moe_recording r = {.kind = MOE_RECORDING_ANY};
    if (choose_format(path, &format, &local) == MOE_OK &&
        format->read(path, options, &r, &local) == MOE_OK)
        complete_experts(&r, path, options->experts, &local);
    if (local.status == MOE_OK && options->keep == NULL)
        number_as_model(&r, options);
    if (local.status == MOE_OK && options->keep != NULL)
        moe_recording_keep(&r, path, options->keep, &local);
    if (local.status == MOE_OK && r.kind == MOE_RECORDING_LOADS)
        moe_recording_drop_empty(&r, path, &local);
    if (local.status == MOE_OK && r.kind == MOE_RECORDING_LOADS)
        check_loads(&r, path, &local);
    if (local.status == MOE_OK) {
        remark_sizes(&r);
        *out = r;
        return MOE_OK;
    }
    moe_recording_fini(&r);
    return moe_pass(err, &local);
}
