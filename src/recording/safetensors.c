/* SPDX-License-Identifier: Apache-2.0 */
#include "safetensors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/jtree.h"
#include "moegps/mem.h"
#include "moegps/trace.h"

enum { LENGTH_BYTES = 8, MAX_HEADER = 100 << 20 };

static const struct {
    const char *name;
    char kind;
    unsigned char size;
} types[] = {{"I8", 'i', 1},   {"U8", 'u', 1},  {"I16", 'i', 2},
             {"U16", 'u', 2},  {"I32", 'i', 4}, {"U32", 'u', 4},
             {"I64", 'i', 8},  {"U64", 'u', 8}, {"F16", 'f', 2},
             {"BF16", 'b', 2}, {"F32", 'f', 4}, {"F64", 'f', 8}};

static uint64_t length_of(const unsigned char *bytes)
{
    uint64_t n = 0;
    for (int b = 0; b < LENGTH_BYTES; b++)
        n |= (uint64_t)bytes[b] << 8 * b;
    return n;
}

/* @return whether it is a list of whole numbers, at most `most` of them. */
static bool take_sizes(const moe_jtree *t, size_t most, uint64_t *out,
                       size_t *n_out)
{
    *n_out = 0;
    if (t != NULL && t->type == MOE_JLIST && t->n == 0)
        return true;
    if (t == NULL || t->type != MOE_JARRAY || t->rank != 1 || t->dims[0] > most)
        return false;
    for (size_t d = 0; d < t->dims[0]; d++) {
        if (!(t->data[d] >= 0 && t->data[d] < 9e15) ||
            t->data[d] != (double)(uint64_t)t->data[d])
            return false;
        out[d] = (uint64_t)t->data[d];
    }
    *n_out = t->dims[0];
    return true;
}

static void take_type(const moe_jtree *t, moe_tensor *out)
{
    for (size_t k = 0;
         t != NULL && t->type == MOE_JTEXT && k < MOE_ARRAY_LEN(types); k++)
        if (strcmp(types[k].name, t->text) == 0) {
            out->kind = types[k].kind;
            out->size = types[k].size;
        }
}

/* "__metadata__" may stand among the tensors. */
static void take_tensor(const char *key, const moe_jtree *t, void *arg,
                        moe_error *err)
{
    moe_safetensors *s = arg;
    uint64_t offset[2] = {0};
    size_t rank = 0, n = 0;
    if (key == NULL || strcmp(key, "__metadata__") == 0)
        return;
    if (s->n == s->room) {
        const size_t room = 2 * s->room + 64;
        moe_tensor *more = realloc(s->tensor, room * sizeof *more);
        if (more == NULL) {
            moe_fail(err, MOE_NOMEM, "%s: out of memory", s->path);
            return;
        }
        s->tensor = more;
        s->room = room;
    }
    moe_tensor *to = &s->tensor[s->n++];
    *to = (moe_tensor){.name = moe_strdup(key, err)};
    take_type(moe_jtree_get(t, "dtype"), to);
    const bool sized =
        take_sizes(moe_jtree_get(t, "shape"), MOE_NUMBERS_MAX_RANK, to->dims,
                   &rank) &&
        take_sizes(moe_jtree_get(t, "data_offsets"), 2, offset, &n) && n == 2;
    to->rank = sized ? (signed char)rank : -1;
    to->begin = offset[0];
    to->end = offset[1];
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void check_names(const moe_safetensors *s, moe_error *err)
{
    const char **name = moe_array_new(s->n, sizeof *name, err);
    for (size_t i = 0; name != NULL && i < s->n; i++)
        name[i] = s->tensor[i].name;
    if (name != NULL)
        qsort(name, s->n, sizeof *name, by_name);
    for (size_t i = 1; name != NULL && i < s->n && err->status == MOE_OK; i++)
        if (strcmp(name[i - 1], name[i]) == 0)
            moe_fail(err, MOE_FORMAT, "%s: tensor '%.120s' is there twice",
                     s->path, name[i]);
    free(name);
}

static moe_status read_header(moe_safetensors *s, uint64_t n, moe_error *err)
{
    moe_jreader *reader = NULL;
    moe_jtree left = {0};
    bool more = false;
    if (moe_jreader_open_part(s->path, LENGTH_BYTES, n, &reader, err) != MOE_OK)
        return err->status;
    moe_jreader_hand_out(reader, "", take_tensor, s);
    if (moe_jreader_next(reader, &left, &more, err) == MOE_OK &&
        (!more || left.type != MOE_JOBJECT))
        moe_fail(err, MOE_FORMAT, "%s: its header is no JSON object", s->path);
    moe_jtree_fini(&left);
    moe_jreader_close(reader);
    if (err->status == MOE_OK)
        check_names(s, err);
    return err->status;
}

moe_status moe_safetensors_open(const char *path, moe_safetensors *out,
                                moe_error *err)
{
    unsigned char start[LENGTH_BYTES];
    *out = (moe_safetensors){.path = path, .file = fopen(path, "rb")};
    if (out->file == NULL)
        return moe_fail(err, MOE_USAGE, "%s: cannot open: %s", path,
                        strerror(errno));
    if (fread(start, 1, sizeof start, out->file) != sizeof start ||
        fseek(out->file, 0, SEEK_END) != 0)
        return moe_fail(err, MOE_FORMAT, "%s: is truncated", path);
    out->bytes = (uint64_t)ftell(out->file);
    const uint64_t n = length_of(start);
    if (n > MAX_HEADER || n > out->bytes - LENGTH_BYTES)
        return moe_fail(err, MOE_FORMAT, "%s: is truncated", path);
    out->data = LENGTH_BYTES + n;
    return read_header(out, n, err);
}

void moe_safetensors_close(moe_safetensors *s)
{
    if (s->file != NULL)
        fclose(s->file);
    for (size_t i = 0; i < s->n; i++)
        free(s->tensor[i].name);
    free(s->tensor);
    *s = (moe_safetensors){0};
}

moe_status moe_safetensors_seek(moe_safetensors *s, size_t i, moe_numbers *out,
                                moe_error *err)
{
    const moe_tensor *t = &s->tensor[i];
    *out = (moe_numbers){.source = moe_source_of_file(s->file),
                         .kind = t->kind,
                         .size = t->size,
                         .rank = t->rank > 0 ? t->rank : 0};
    for (int d = 0; d < out->rank; d++)
        out->dims[d] = t->dims[d];
    snprintf(out->name, sizeof out->name, "%.380s: %.120s", s->path, t->name);
    if (t->kind == 0)
        return moe_fail(err, MOE_FORMAT, "%s: its dtype is no number",
                        out->name);
    if (t->rank < 0)
        return moe_fail(err, MOE_FORMAT, "%s: has no shape or data_offsets",
                        out->name);
    const size_t length = moe_numbers_length(out);
    if (length == SIZE_MAX || t->end < t->begin ||
        t->end - t->begin != length * out->size || t->end > s->bytes - s->data)
        return moe_fail(err, MOE_FORMAT,
                        "%s: its shape, its data_offsets and the file do not "
                        "agree",
                        out->name);
    if (fseek(s->file, (long)(s->data + t->begin), SEEK_SET) != 0)
        return moe_fail(err, MOE_IO, "%s: %s", s->path, strerror(errno));
    return MOE_OK;
}

/* ---- as a recording ---- */

/* @return the number that a text begins with, of at most 15 digits; -1: it does
 * not. */
static int64_t take_number(const char **text)
{
    const size_t n = strspn(*text, "0123456789");
    if (n == 0 || n > 15)
        return -1;
    return strtoll(*text, (char **)text, 10);
}

/* "12_3": iteration 12, layer 3. */
static bool step_and_layer(const char *name, int64_t *step, int64_t *layer)
{
    *step = take_number(&name);
    if (*step < 0 || *name++ != '_')
        return false;
    *layer = take_number(&name);
    return *layer >= 0 && *layer < MOE_MAX_RECORDED_LAYERS && *name == '\0';
}

static bool has_steps(const moe_safetensors *s)
{
    int64_t step, layer;
    for (size_t i = 0; i < s->n; i++)
        if (!step_and_layer(s->tensor[i].name, &step, &layer))
            return false;
    return s->n > 0;
}

/* What stands beside rank files of TensorRT-LLM: meta_info.json. */
static moe_status take_meta_info(const char *path, moe_recording *out,
                                 moe_error *err)
{
    char beside[4096];
    const char *slash = strrchr(path, '/');
    moe_jreader *reader = NULL;
    moe_error none = {0};
    moe_jtree t = {0};
    bool more = false;
    snprintf(beside, sizeof beside, "%.*smeta_info.json",
             slash != NULL ? (int)(slash - path + 1) : 0, path);
    if (moe_jreader_open(beside, &reader, &none) != MOE_OK)
        return MOE_OK;
    if (moe_jreader_next(reader, &t, &more, err) == MOE_OK) {
        const moe_jtree *n = moe_jtree_get(&t, "num_experts");
        const moe_jtree *k = moe_jtree_get(&t, "num_experts_per_token");
        if (n == NULL || n->number != out->experts)
            moe_fail(err, MOE_MISMATCH,
                     "%s: has loads of %d experts; meta_info.json beside it "
                     "does not say as many (num_experts)",
                     path, out->experts);
        else if (k != NULL && k->number >= 1 && k->number <= MOE_MAX_TOP_K)
            out->top_k = (int)k->number;
    }
    moe_jtree_fini(&t);
    moe_jreader_close(reader);
    return err->status;
}

/* The iterations and layers that there are, and loads of each. */
static size_t size_steps(moe_safetensors *s, moe_axis *steps, moe_axis *layers,
                         moe_error *err)
{
    moe_numbers a = {.rank = 0};
    size_t experts = 0;
    for (size_t i = 0; i < s->n && err->status == MOE_OK; i++) {
        int64_t step = 0, layer = 0;
        step_and_layer(s->tensor[i].name, &step, &layer);
        moe_axis_add(steps, step, err);
        moe_axis_add(layers, layer, err);
        if (moe_safetensors_seek(s, i, &a, err) != MOE_OK)
            break;
        experts = i == 0 ? a.dims[0] : experts;
        if (a.rank != 1 || a.dims[0] != experts)
            moe_fail(err, MOE_FORMAT,
                     "%s: is no list of as many loads as the first", a.name);
    }
    moe_axis_end(steps);
    moe_axis_end(layers);
    if (err->status == MOE_OK && steps->n * layers->n != s->n)
        moe_fail(err, MOE_FORMAT,
                 "%s: %zu tensors are not one for each of %zu iterations and "
                 "%zu layers",
                 s->path, s->n, steps->n, layers->n);
    return experts;
}

/* Loads of the experts: a tensor per iteration and layer. */
static moe_status read_steps(moe_safetensors *s, moe_recording *out,
                             moe_error *err)
{
    moe_axis steps = {0}, layers = {0};
    moe_numbers a;
    const size_t experts = size_steps(s, &steps, &layers, err);
    if (err->status == MOE_OK &&
        moe_recording_make_loads(out, s->path, steps.n, layers.n, experts,
                                 err) == MOE_OK)
        for (size_t i = 0; i < s->n && err->status == MOE_OK; i++) {
            int64_t step = 0, layer = 0;
            step_and_layer(s->tensor[i].name, &step, &layer);
            const size_t at = moe_axis_find(&steps, step) * layers.n +
                              moe_axis_find(&layers, layer);
            if (moe_safetensors_seek(s, i, &a, err) == MOE_OK)
                moe_numbers_real(&a, experts, out->load + at * experts, err);
            moe_bulk_passed(out->load + at * experts,
                            experts * sizeof *out->load);
        }
    out->numbered = true;
    for (size_t k = 0; err->status == MOE_OK && k < steps.n; k++)
        out->step_number[k] = steps.value[k];
    for (size_t l = 0; err->status == MOE_OK && l < layers.n; l++)
        out->layer_number[l] = (int32_t)layers.value[l];
    moe_axis_fini(&steps);
    moe_axis_fini(&layers);
    return err->status == MOE_OK ? take_meta_info(s->path, out, err)
                                 : err->status;
}

static const char *name_of(const void *from, size_t i, char *name, size_t size)
{
    snprintf(name, size, "%s", ((const moe_safetensors *)from)->tensor[i].name);
    return name;
}

static moe_status open_tensor(void *from, size_t i, moe_numbers *out,
                              moe_error *err)
{
    return moe_safetensors_seek(from, i, out, err);
}

static bool detect(const char *path, const char *head, size_t n)
{
    (void)path;
    return n > LENGTH_BYTES && head[LENGTH_BYTES] == '{' &&
           length_of((const unsigned char *)head) < MAX_HEADER;
}

static moe_status read(const char *path, const moe_recording_options *options,
                       moe_recording *out, moe_error *err)
{
    moe_safetensors s;
    if (moe_safetensors_open(path, &s, err) == MOE_OK) {
        if (has_steps(&s))
            read_steps(&s, out, err);
        else
            moe_recording_take_members(
                &(moe_members){path, s.n, &s, name_of, open_tensor}, options,
                out, err);
    }
    moe_safetensors_close(&s);
    return err->status;
}

const moe_recording_format moe_recording_safetensors = {
    .name = "safetensors",
    .help = "an array, and what is beside it by name as in npz, or loads as "
            "ITERATION_LAYER tensors of TensorRT-LLM",
    .detect = detect,
    .read = read};
