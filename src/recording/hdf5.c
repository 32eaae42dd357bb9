/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "internal.h"
#include "moegps/bulk.h"
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

/* ---- a dataset, as numbers ---- */

enum { BUFFER_BYTES = 64 << 20 };

/* What is read of it, block by block. */
typedef struct {
    hid_t dataset, type; /* type: in memory */
    moe_h5_pieces pieces;
    moe_h5_block block;
    char *buffer;    /* [pieces.most] elements; owned */
    size_t n, at;    /* bytes that are in it, and handed out of it */
    moe_error error; /* why no more are */
} h5_bytes;

static size_t hand_out(void *from, void *to, size_t bytes)
{
    h5_bytes *b = from;
    size_t done = 0;
    while (done < bytes) {
        if (b->at == b->n) {
            b->n =
                moe_h5_next_block(&b->block, &b->pieces) * H5Tget_size(b->type);
            b->at = 0;
            moe_h5_read_block(b->dataset, &b->block, b->type, b->buffer,
                              &b->error);
            if (b->n == 0 || b->error.status != MOE_OK)
                break;
        }
        const size_t left = b->n - b->at;
        const size_t now = bytes - done < left ? bytes - done : left;
        memcpy((char *)to + done, b->buffer + b->at, now);
        b->at += now;
        done += now;
    }
    return done;
}

/* Of which type elements are handed out. @return false: they are no numbers. */
static bool choose_type(hid_t stored, moe_numbers *a, hid_t *out)
{
    const size_t size = H5Tget_size(stored);
    const hid_t integers[2][4] = {
        {H5T_STD_I8LE, H5T_STD_I16LE, H5T_STD_I32LE, H5T_STD_I64LE},
        {H5T_STD_U8LE, H5T_STD_U16LE, H5T_STD_U32LE, H5T_STD_U64LE}};
    if (H5Tget_class(stored) == H5T_FLOAT) {
        a->kind = 'f';
        a->size = size > sizeof(float) ? sizeof(double) : sizeof(float);
        *out = size > sizeof(float) ? H5T_IEEE_F64LE : H5T_IEEE_F32LE;
        return true;
    }
    const int bits = size <= 1 ? 0 : size <= 2 ? 1 : size <= 4 ? 2 : 3;
    const bool is_signed = H5Tget_sign(stored) != H5T_SGN_NONE;
    a->kind = is_signed ? 'i' : 'u';
    a->size = (size_t)1 << bits;
    *out = integers[is_signed ? 0 : 1][bits];
    return H5Tget_class(stored) == H5T_INTEGER;
}

/* @param chunk  [H5S_MAX_RANK] work space */
static void open_bytes(hid_t dataset, const moe_numbers *a, hsize_t *chunk,
                       h5_bytes *b, moe_error *err)
{
    hid_t list = H5Dget_create_plist(dataset);
    const size_t n = moe_numbers_length(a);
    b->dataset = dataset;
    if (H5Pget_layout(list) == H5D_CHUNKED &&
        H5Pget_chunk(list, H5S_MAX_RANK, chunk) == a->rank)
        b->pieces.chunk = chunk;
    moe_h5_close(list);
    b->pieces.rank = a->rank;
    b->pieces.most = BUFFER_BYTES / a->size;
    b->pieces.most = n < b->pieces.most ? n + 1 : b->pieces.most;
    b->buffer = moe_array_new(b->pieces.most, a->size, err);
}

static void take_numbers(hid_t dataset, moe_numbers *a,
                         const moe_recording_options *o, moe_recording *out,
                         moe_error *err)
{
    hsize_t chunk[H5S_MAX_RANK] = {0};
    h5_bytes b = {.n = 0};
    moe_error local = {0};
    hid_t stored = H5Dget_type(dataset), space = H5Dget_space(dataset);
    a->source = (moe_byte_source){&b, hand_out};
    const int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 1 || rank > MOE_NUMBERS_MAX_RANK ||
        !choose_type(stored, a, &b.type)) {
        moe_fail(err, MOE_FORMAT, "%s: is no array of numbers", a->name);
    } else {
        a->rank = H5Sget_simple_extent_dims(space, b.pieces.dims, NULL);
        for (int d = 0; d < rank; d++)
            a->dims[d] = b.pieces.dims[d];
        open_bytes(dataset, a, chunk, &b, err);
    }
    if (err->status == MOE_OK)
        moe_recording_take_array(a, o, NULL, out, &local);
    moe_error_prefix(&b.error, "%s", a->name);
    moe_pass(err, b.error.status != MOE_OK ? &b.error : &local);
    free(b.buffer);
    moe_h5_close(stored);
    moe_h5_close(space);
}

/* Datasets of the usual names are loads. */
static void take_dataset(const char *path, hid_t file,
                         const moe_recording_options *options,
                         moe_recording *out, moe_error *err)
{
    const char *name = name_of(file, options);
    moe_recording_options o = *options;
    moe_numbers a = {.rank = 0};
    for (size_t i = 0; i < MOE_ARRAY_LEN(usual); i++)
        if (o.kind == MOE_RECORDING_ANY && strcmp(name, usual[i]) == 0)
            o.kind = MOE_RECORDING_LOADS;
    snprintf(a.name, sizeof a.name, "%.400s: %.80s", path, name);
    hid_t dataset = moe_h5_open_dataset(file, name, err);
    if (err->status == MOE_OK)
        take_numbers(dataset, &a, &o, out, err);
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

/* Take an array over. */
#define MOVE(to, from) \
    do {               \
        (to) = (from); \
        (from) = NULL; \
    } while (0)

static void take_counts(const char *path, moe_trace *t, moe_recording *out,
                        moe_error *err)
{
    const size_t rows = t->n_seqs * (size_t)t->layers, n_e = (size_t)t->experts;
    if (moe_recording_make_loads(out, path, t->n_seqs, (size_t)t->layers,
                                 (size_t)t->experts, err) != MOE_OK)
        return;
    for (size_t i = 0; i < rows * n_e; i += n_e) {
        for (size_t e = 0; e < n_e; e++)
            out->load[i + e] = t->counts[i + e];
        moe_bulk_passed(t->counts + i, n_e * sizeof *t->counts);
        moe_bulk_passed(out->load + i, n_e * sizeof *out->load);
    }
    MOVE(out->seq_part, t->seq_part);
}

static void take_tokens(const char *path, moe_trace *t, moe_recording *out,
                        moe_error *err)
{
    if (moe_recording_make_tokens(out, path, (size_t)t->layers, t->n_tokens,
                                  (size_t)t->top_k, err) != MOE_OK)
        return;
    out->experts = t->experts;
    out->seen_only = false;
    out->vocab_size = t->vocab_size;
    out->n_seqs = t->n_seqs;
    moe_bulk_free(out->experts_of);
    MOVE(out->experts_of, t->experts_of);
    MOVE(out->gate, t->gate);
    MOVE(out->token_id, t->token_id);
    MOVE(out->position, t->position);
    MOVE(out->seq_offset, t->seq_offset);
    MOVE(out->seq_part, t->seq_part);
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
    .help = "a dataset of loads or tokens, or a trace of this program",
    .detect = detect,
    .read = read};
