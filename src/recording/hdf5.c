/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/trace.h"

/* Datasets that are looked for when none is named. */
static const char *const usual[] = {"loads", "counts", "logical_count"};

static const char *name_of(hid_t file, const moe_recording_options *o)
{
    if (o->dataset != NULL && *o->dataset != '\0')
        return o->dataset;
    for (size_t i = 0; i < MOE_ARRAY_LEN(usual); i++)
        if (moe_h5_exists(file, usual[i]))
            return usual[i];
    return usual[0];
}

/* Steps, layers and experts; steps are 1 where the dataset has none.
 * @return false: it has neither 2 nor 3 dimensions. */
static bool sizes_of(hid_t dataset, hsize_t *sizes)
{
    hid_t space = dataset >= 0 ? H5Dget_space(dataset) : H5I_INVALID_HID;
    const int rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : 0;
    sizes[0] = 1;
    if (rank == 2 || rank == 3)
        H5Sget_simple_extent_dims(space, sizes + (3 - rank), NULL);
    moe_h5_close(space);
    return rank == 2 || rank == 3;
}

static void take_dataset(const char *path, hid_t file,
                         const moe_recording_options *o, moe_recording *out,
                         moe_error *err)
{
    const char *name = name_of(file, o);
    hsize_t sizes[3] = {0};
    hid_t dataset = moe_h5_open_dataset(file, name, err);
    if (err->status == MOE_OK && !sizes_of(dataset, sizes))
        moe_fail(err, MOE_FORMAT,
                 "%s: %s is neither [layers, experts] nor [steps, layers, "
                 "experts]",
                 path, name);
    if (err->status == MOE_OK &&
        moe_recording_make_loads(out, path, sizes[0], sizes[1], sizes[2],
                                 err) == MOE_OK &&
        H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                out->load) < 0)
        moe_fail(err, MOE_FORMAT, "%s: %s: cannot be read as numbers", path,
                 name);
    moe_h5_close(dataset);
}

/* ---- a trace of this program ---- */

static void take_layer_numbers(const moe_trace *t, moe_recording *out)
{
    out->numbered = t->has_layer_number;
    out->in_time = t->order == MOE_ORDER_TIME;
    for (int l = 0; out->layer_number != NULL && l < t->layers; l++)
        out->layer_number[l] = moe_trace_layer_number(t, l);
}

static void *copy_of(const void *from, size_t n, size_t size, moe_error *err)
{
    void *to = from != NULL ? moe_array_new(n, size, err) : NULL;
    if (to != NULL)
        memcpy(to, from, n * size);
    return to;
}

static void take_counts(const char *path, const moe_trace *t,
                        moe_recording *out, moe_error *err)
{
    const size_t n = t->n_seqs * (size_t)t->layers * (size_t)t->experts;
    if (moe_recording_make_loads(out, path, t->n_seqs, (size_t)t->layers,
                                 (size_t)t->experts, err) != MOE_OK)
        return;
    for (size_t i = 0; i < n; i++)
        out->load[i] = t->counts[i];
    out->seq_part = copy_of(t->seq_part, t->n_seqs, 1, err);
}

static void take_tokens(const char *path, const moe_trace *t,
                        moe_recording *out, moe_error *err)
{
    const size_t n = t->n_tokens;
    const size_t all = (size_t)t->layers * n * (size_t)t->top_k;
    if (moe_recording_make_tokens(out, path, (size_t)t->layers, n,
                                  (size_t)t->top_k, err) != MOE_OK)
        return;
    out->experts = t->experts;
    out->seen_only = false;
    out->vocab_size = t->vocab_size;
    out->n_seqs = t->n_seqs;
    memcpy(out->experts_of, t->experts_of, all * sizeof *out->experts_of);
    out->gate = copy_of(t->gate, all, sizeof *t->gate, err);
    out->token_id = copy_of(t->token_id, n, sizeof *t->token_id, err);
    if (t->has_position)
        out->position = copy_of(t->position, n, sizeof *t->position, err);
    out->seq_offset =
        copy_of(t->seq_offset, t->n_seqs + 1, sizeof *t->seq_offset, err);
    out->seq_part = copy_of(t->seq_part, t->n_seqs, 1, err);
}

static void take_trace(const char *path, moe_recording *out, moe_error *err)
{
    moe_trace trace = {.shared = MPI_WIN_NULL};
    if (moe_trace_read(path, &trace, err) == MOE_OK) {
        if (trace.kind == MOE_TRACE_LOADS)
            take_counts(path, &trace, out, err);
        else
            take_tokens(path, &trace, out, err);
        take_layer_numbers(&trace, out);
    }
    moe_trace_free(&trace);
}

/* ---- the file ---- */

static bool detect(const char *path, const char *head, size_t n)
{
    static const char magic[] = "\x89HDF\r\n\x1a\n";
    (void)path;
    return n >= 8 && memcmp(head, magic, 8) == 0;
}

static moe_status read(const char *path, const moe_recording_options *options,
                       moe_recording *out, moe_error *err)
{
    char schema[64] = "";
    hid_t file = moe_h5_open(path, false, err);
    if (err->status != MOE_OK)
        return err->status;
    if (moe_h5_has(file, "schema"))
        moe_h5_get_text(file, "schema", schema, sizeof schema, err);
    const bool ours = strcmp(schema, MOE_TRACE_SCHEMA) == 0;
    if (!ours)
        take_dataset(path, file, options, out, err);
    moe_h5_close_file(file, err);
    if (ours && err->status == MOE_OK)
        take_trace(path, out, err);
    return err->status;
}

const moe_recording_format moe_recording_hdf5 = {
    .name = "hdf5",
    .help = "a dataset of loads, or a trace of this program",
    .detect = detect,
    .read = read};
