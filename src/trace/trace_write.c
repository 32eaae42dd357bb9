/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace.h"

#include <stdlib.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/h5.h"
#include "moegps/mem.h"

enum {
    CHUNK_TOKENS = 1 << 20, /* a layer in one chunk deflates best; HDF5 limits
                               a chunk to 4 GiB */
    CHUNK_COUNTS = 1 << 18  /* elements of a chunk of counts, about */
};

static void write_attributes(hid_t file, const moe_trace *t, moe_error *err)
{
    moe_h5_put_text(file, "schema", MOE_TRACE_SCHEMA, err);
    moe_h5_put_text(file, "schema_version", MOE_TRACE_SCHEMA_VERSION, err);
    moe_h5_put_text(file, "kind", moe_trace_kind_name(t->kind), err);
    moe_h5_put_text(file, "model", t->model, err);
    moe_h5_put_int(file, "experts", t->experts, err);
    moe_h5_put_int(file, "top_k", t->top_k, err);
    moe_h5_put_int(file, "layers", t->layers, err);
    moe_h5_put_int(file, "ordered", t->ordered, err);
    moe_h5_put_text(file, "order", moe_trace_order_name(t->order), err);
    if (t->vocab_size > 0)
        moe_h5_put_int(file, "vocab_size", t->vocab_size, err);
    moe_h5_put_text(file, "source", t->source, err);
    moe_h5_put_text(file, "licence", t->licence, err);
    moe_h5_put_text(file, "note", t->note, err);
    moe_h5_put_text(file, "sha256", t->sha256, err);
}

/* The flag attributes of the CF conventions: arrays of the data's own type. */
static void write_split(hid_t file, const moe_trace *t, const char *dim,
                        moe_error *err)
{
    static const int8_t values[] = {MOE_PART_TRAIN, MOE_PART_TEST};
    const hsize_t n = MOE_ARRAY_LEN(values);
    const moe_h5_spec spec = {.name = "split",
                              .type = H5T_STD_I8LE,
                              .rank = 1,
                              .dims = {dim},
                              .long_name = "part that a sequence belongs to",
                              .deflate = true};
    hid_t dataset = moe_h5_create_dataset(file, &spec, err);
    if (dataset < 0)
        return;
    const moe_h5_block all = {.count = {t->n_seqs}};
    moe_h5_write_block(dataset, &all, H5T_NATIVE_UINT8, t->seq_part,
                       H5P_DEFAULT, err);
    hid_t space = H5Screate_simple(1, &n, NULL);
    hid_t attr = H5Acreate2(dataset, "flag_values", H5T_STD_I8LE, space,
                            H5P_DEFAULT, H5P_DEFAULT);
    if (attr < 0 || H5Awrite(attr, H5T_NATIVE_INT8, values) < 0)
        moe_fail(err, MOE_IO, "cannot write attribute 'flag_values'");
    moe_h5_close(attr);
    moe_h5_close(space);
    moe_h5_put_text(dataset, "flag_meanings", "train test", err);
    moe_h5_close(dataset);
}

static void write_choices(hid_t file, const moe_trace *t, moe_error *err)
{
    moe_h5_spec spec = {.name = "experts",
                        .type = t->experts > 256 ? H5T_STD_U16LE : H5T_STD_U8LE,
                        .rank = 3,
                        .dims = {"layer", "token", "k"},
                        .units = "1",
                        .long_name = "experts chosen by a token",
                        .deflate = true,
                        .chunk = {1, CHUNK_TOKENS, 0}};
    moe_h5_write(file, &spec, H5T_NATIVE_UINT16, t->experts_of, err);
    spec.name = "gate";
    spec.type = H5T_IEEE_F32LE;
    spec.long_name = "gate weight of each choice";
    if (t->has_gate)
        moe_h5_write(file, &spec, H5T_NATIVE_FLOAT, t->gate, err);
}

/* One number per item of `dim`. Unsigned, as readers turn signed integers
 * with a _FillValue into floats, which cannot index. */
static moe_h5_spec column(const char *name, hid_t type, const char *dim,
                          const char *units, const char *long_name)
{
    return (moe_h5_spec){.name = name,
                         .type = type,
                         .rank = 1,
                         .dims = {dim},
                         .units = units,
                         .long_name = long_name,
                         .deflate = true,
                         .chunk = {CHUNK_TOKENS}};
}

static void write_layer_numbers(hid_t file, const moe_trace *t, moe_error *err)
{
    const moe_h5_spec number = column("layer_number", H5T_STD_U32LE, "layer",
                                      "1", "MoE layer of the model");
    if (t->has_layer_number)
        moe_h5_write(file, &number, H5T_NATIVE_UINT32, t->layer_number, err);
}

/* @param dim  "sequence" or "step" */
static void write_clusters(hid_t file, const moe_trace *t, const char *dim,
                           moe_error *err)
{
    const moe_h5_spec cluster = column("cluster", H5T_STD_U32LE, dim, "1",
                                       "what it is of: those of one are alike");
    if (t->has_cluster)
        moe_h5_write(file, &cluster, H5T_NATIVE_UINT32, t->cluster, err);
}

static void write_vocabulary(hid_t file, const moe_trace *t, moe_error *err)
{
    const moe_h5_spec bytes =
        column("vocabulary", H5T_STD_U8LE, "vocabulary_byte", NULL,
               "token pieces, UTF-8, joined by NUL");
    moe_h5_scale(file, "vocabulary_byte", t->vocab_bytes, NULL, "byte", err);
    moe_h5_write(file, &bytes, H5T_NATIVE_UINT8, t->vocab, err);
}

static void write_tokens(hid_t file, const moe_trace *t, moe_error *err)
{
    const moe_h5_spec id = column("token_id", H5T_STD_U32LE, "token", "1",
                                  "index into the vocabulary");
    const moe_h5_spec position = column("position", H5T_STD_U32LE, "token", "1",
                                        "place of the token in its text");
    const moe_h5_spec offset = column("seq_offset", H5T_STD_U64LE, "sequence",
                                      "1", "first token of a sequence");
    moe_h5_scale(file, "layer", (size_t)t->layers, NULL, "MoE layer", err);
    moe_h5_scale(file, "token", t->n_tokens, NULL, "token", err);
    moe_h5_scale(file, "k", (size_t)t->top_k, NULL, "choice", err);
    moe_h5_scale(file, "sequence", t->n_seqs, NULL, "sequence", err);
    write_choices(file, t, err);
    write_layer_numbers(file, t, err);
    if (t->vocab_size > 0)
        moe_h5_write(file, &id, H5T_NATIVE_UINT32, t->token_id, err);
    if (t->has_position)
        moe_h5_write(file, &position, H5T_NATIVE_UINT32, t->position, err);
    moe_h5_write(file, &offset, H5T_NATIVE_UINT64, t->seq_offset, err);
    write_split(file, t, "sequence", err);
    write_clusters(file, t, "sequence", err);
    if (t->vocab != NULL)
        write_vocabulary(file, t, err);
}

static void write_loads(hid_t file, const moe_trace *t, moe_error *err)
{
    const size_t layers = (size_t)t->layers, experts = (size_t)t->experts;
    uint32_t *tokens = moe_array_new(t->n_seqs, sizeof *tokens, err);
    uint32_t most = 0;
    for (uint64_t s = 0; tokens != NULL && s < t->n_seqs; s++)
        tokens[s] = (uint32_t)(t->seq_offset[s + 1] - t->seq_offset[s]);
    for (size_t j = 0; j < t->n_seqs * layers * experts; j++) {
        if (j % experts == 0)
            moe_bulk_passed(t->counts + j, experts * sizeof *t->counts);
        most = t->counts[j] > most ? t->counts[j] : most;
    }
    const size_t rows = CHUNK_COUNTS / (layers * experts);
    moe_h5_scale(file, "step", t->n_seqs, NULL, "step", err);
    moe_h5_scale(file, "layer", layers, NULL, "MoE layer", err);
    moe_h5_scale(file, "expert", experts, NULL, "expert", err);
    const moe_h5_spec counts = {
        .name = "counts",
        .type = most > UINT16_MAX ? H5T_STD_U32LE : H5T_STD_U16LE,
        .rank = 3,
        .dims = {"step", "layer", "expert"},
        .units = "count",
        .long_name = "pairs of a token and an expert it chose",
        .deflate = true,
        .chunk = {rows > 0 ? rows : 1, 0, 0}};
    moe_h5_write(file, &counts, H5T_NATIVE_UINT32, t->counts, err);
    write_layer_numbers(file, t, err);
    const moe_h5_spec flat =
        column("tokens", H5T_STD_U32LE, "step", "count", "tokens of a step");
    moe_h5_write(file, &flat, H5T_NATIVE_UINT32, tokens, err);
    write_clusters(file, t, "step", err);
    write_split(file, t, "step", err);
    free(tokens);
}

moe_status moe_trace_write(const char *path, moe_trace *trace, moe_error *err)
{
    moe_error local = {0};
    if (moe_trace_validate(trace, &local) == MOE_OK)
        moe_trace_hash(trace, trace->sha256, &local);
    hid_t file = moe_h5_create(path, &local);
    if (file < 0) {
        if (local.status != MOE_EXISTS)
            moe_error_prefix(&local, "%s", path);
        return moe_pass(err, &local);
    }
    write_attributes(file, trace, &local);
    if (trace->kind == MOE_TRACE_TOKENS)
        write_tokens(file, trace, &local);
    else
        write_loads(file, trace, &local);
    moe_h5_finish(file, path, &local);
    return moe_pass(err, &local);
}
