/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/h5.h"
#include "moegps/mem.h"

enum { MAX_LAYERS = 65536 };

static void read_schema(hid_t file, moe_trace *t, moe_error *err)
{
    static const moe_h5_schema schema = {.name = MOE_TRACE_SCHEMA,
                                         .version = MOE_TRACE_SCHEMA_VERSION,
                                         .noun = "a trace"};
    char kind[32] = "";
    moe_h5_check_schema(file, &schema, err);
    moe_h5_get_text(file, "kind", kind, sizeof kind, err);
    if (err->status != MOE_OK)
        return;
    if (strcmp(kind, moe_trace_kind_name(MOE_TRACE_TOKENS)) == 0)
        t->kind = MOE_TRACE_TOKENS;
    else if (strcmp(kind, moe_trace_kind_name(MOE_TRACE_LOADS)) == 0)
        t->kind = MOE_TRACE_LOADS;
    else
        moe_fail(err, MOE_FORMAT, "kind is '%s', not 'token' or 'load'", kind);
}

/* Files from before 1.2 say nothing. */
static void read_order(hid_t file, moe_trace *t, moe_error *err)
{
    char order[32] = "none";
    if (err->status == MOE_OK && moe_h5_has(file, "order"))
        moe_h5_get_text(file, "order", order, sizeof order, err);
    if (strcmp(order, moe_trace_order_name(MOE_ORDER_TIME)) == 0)
        t->order = MOE_ORDER_TIME;
    else if (strcmp(order, moe_trace_order_name(MOE_ORDER_NONE)) != 0)
        moe_fail(err, MOE_FORMAT, "order is '%s', not 'time' or 'none'", order);
}

static void read_attributes(hid_t file, moe_trace *t, moe_error *err)
{
    read_schema(file, t, err);
    moe_h5_get_text(file, "model", t->model, sizeof t->model, err);
    moe_h5_get_text(file, "source", t->source, sizeof t->source, err);
    moe_h5_get_text(file, "licence", t->licence, sizeof t->licence, err);
    moe_h5_get_text(file, "note", t->note, sizeof t->note, err);
    moe_h5_get_text(file, "sha256", t->sha256, sizeof t->sha256, err);
    t->layers = moe_h5_get_sized(file, "layers", 1, MAX_LAYERS, err);
    t->experts = moe_h5_get_sized(file, "experts", 1, MOE_MAX_EXPERTS, err);
    t->top_k = moe_h5_get_sized(file, "top_k", 1, MOE_MAX_TOP_K, err);
    t->ordered = moe_h5_get_sized(file, "ordered", 0, 1, err) != 0;
    read_order(file, t, err);
}

static void expect_dim(const char *name, int d, hsize_t found, int expected,
                       const char *attribute, moe_error *err)
{
    if (err->status == MOE_OK && found != (hsize_t)expected)
        moe_fail(err, MOE_FORMAT,
                 "dataset '%s': dimension %d is %" PRIuHSIZE
                 ", but attribute '%s' is %d",
                 name, d, found, attribute, expected);
}

/* HDF5 clips what does not fit its destination: -1 would become expert 0. So
 * numbers must be of the class and sign that the format says. */
static bool has_numbers(hid_t file, const char *name, hid_t mem_type,
                        moe_error *err)
{
    hid_t dataset = moe_h5_open_dataset(file, name, err);
    if (dataset < 0)
        return false;
    hid_t type = H5Dget_type(dataset);
    const H5T_class_t class = H5Tget_class(mem_type);
    bool fits = H5Tget_class(type) == class && H5Tget_size(type) <= 8;
    if (class == H5T_INTEGER)
        fits = fits && H5Tget_sign(type) == H5Tget_sign(mem_type);
    moe_h5_close(type);
    moe_h5_close(dataset);
    if (!fits)
        moe_fail(err, MOE_FORMAT, "dataset '%s' does not hold %s", name,
                 class != H5T_INTEGER                    ? "floats"
                 : H5Tget_sign(mem_type) == H5T_SGN_NONE ? "unsigned integers"
                                                         : "signed integers");
    return fits;
}

static void *read_array(hid_t file, const char *name, hid_t mem_type,
                        size_t size, size_t n, moe_error *err)
{
    return has_numbers(file, name, mem_type, err)
               ? moe_h5_read(file, name, mem_type, size, n, err)
               : NULL;
}

static void read_array_of(hid_t file, const char *name, hid_t mem_type,
                          moe_trace *t, moe_trace_array which, moe_error *err)
{
    size_t n = 0;
    if (err->status != MOE_OK)
        return;
    if (!moe_trace_elements(t, which, &n)) {
        moe_fail(err, MOE_FORMAT, "dataset '%s': sizes overflow", name);
        return;
    }
    if (has_numbers(file, name, mem_type, err))
        moe_trace_set(t, which,
                      moe_h5_read_bulk(file, name, mem_type,
                                       moe_trace_element_size(which), n, err));
}

static void read_split(hid_t file, moe_trace *t, moe_error *err)
{
    int8_t *split = read_array(file, "split", H5T_NATIVE_INT8, sizeof *split,
                               t->n_seqs, err);
    if (split == NULL)
        return;
    t->seq_part = moe_array_new(t->n_seqs, sizeof *t->seq_part, err);
    for (uint64_t s = 0; t->seq_part != NULL && s < t->n_seqs; s++)
        t->seq_part[s] = (uint8_t)split[s];
    free(split);
}

/* Which of the model's layers these are, if not all. */
static void read_layer_numbers(hid_t file, moe_trace *t, moe_error *err)
{
    t->has_layer_number = moe_h5_exists(file, "layer_number");
    if (t->has_layer_number) /* above INT32_MAX it turns negative: refused */
        read_array_of(file, "layer_number", H5T_NATIVE_UINT32, t,
                      MOE_ARRAY_LAYER_NUMBER, err);
}

/* The finest label of sequences that there is. */
static void read_clusters(hid_t file, moe_trace *t, moe_error *err)
{
    static const char *const names[] = {"cluster", "category", "subject"};
    for (size_t i = 0; i < MOE_ARRAY_LEN(names) && !t->has_cluster; i++)
        if (moe_h5_exists(file, names[i])) {
            t->has_cluster = true;
            read_array_of(file, names[i], H5T_NATIVE_UINT32, t,
                          MOE_ARRAY_CLUSTER, err);
        }
}

static void read_vocabulary(hid_t file, moe_trace *t, moe_error *err)
{
    hsize_t bytes = 0;
    if (!moe_h5_exists(file, "vocabulary"))
        return;
    moe_h5_dims(file, "vocabulary", 1, &bytes, err);
    t->vocab = read_array(file, "vocabulary", H5T_NATIVE_UINT8, 1, bytes, err);
    t->vocab_bytes = t->vocab != NULL ? bytes : 0;
}

static void read_tokens(hid_t file, moe_trace *t, moe_error *err)
{
    hsize_t dims[3] = {0}, n_seqs = 0;
    moe_h5_dims(file, "experts", 3, dims, err);
    moe_h5_dims(file, "seq_offset", 1, &n_seqs, err);
    expect_dim("experts", 0, dims[0], t->layers, "layers", err);
    expect_dim("experts", 2, dims[2], t->top_k, "top_k", err);
    t->n_tokens = dims[1];
    t->n_seqs = n_seqs;
    t->has_position = moe_h5_exists(file, "position");
    t->has_gate = moe_h5_exists(file, "gate");
    if (moe_h5_exists(file, "token_id"))
        t->vocab_size =
            (uint32_t)moe_h5_get_sized(file, "vocab_size", 1, INT_MAX, err);
    read_array_of(file, "experts", H5T_NATIVE_UINT16, t, MOE_ARRAY_EXPERTS_OF,
                  err);
    if (t->vocab_size > 0)
        read_array_of(file, "token_id", H5T_NATIVE_UINT32, t,
                      MOE_ARRAY_TOKEN_ID, err);
    if (t->has_position) /* above INT32_MAX it turns negative: refused */
        read_array_of(file, "position", H5T_NATIVE_UINT32, t,
                      MOE_ARRAY_POSITION, err);
    if (t->has_gate)
        read_array_of(file, "gate", H5T_NATIVE_FLOAT, t, MOE_ARRAY_GATE, err);
    if (err->status != MOE_OK)
        return;
    uint64_t *starts = read_array(file, "seq_offset", H5T_NATIVE_UINT64,
                                  sizeof *starts, n_seqs, err);
    t->seq_offset = moe_array_new(n_seqs + 1, sizeof *t->seq_offset, err);
    if (err->status == MOE_OK) {
        memcpy(t->seq_offset, starts, n_seqs * sizeof *starts);
        t->seq_offset[n_seqs] = t->n_tokens;
    }
    free(starts);
    read_vocabulary(file, t, err);
}

static void read_loads(hid_t file, moe_trace *t, moe_error *err)
{
    hsize_t dims[3] = {0};
    moe_h5_dims(file, "counts", 3, dims, err);
    expect_dim("counts", 1, dims[1], t->layers, "layers", err);
    expect_dim("counts", 2, dims[2], t->experts, "experts", err);
    t->n_seqs = dims[0];
    read_array_of(file, "counts", H5T_NATIVE_UINT32, t, MOE_ARRAY_COUNTS, err);
    if (err->status != MOE_OK)
        return;
    uint32_t *tokens = read_array(file, "tokens", H5T_NATIVE_UINT32,
                                  sizeof *tokens, t->n_seqs, err);
    t->seq_offset = moe_array_new(t->n_seqs + 1, sizeof *t->seq_offset, err);
    if (err->status == MOE_OK) {
        for (uint64_t s = 0; s < t->n_seqs; s++)
            t->seq_offset[s + 1] = t->seq_offset[s] + tokens[s];
        t->n_tokens = t->seq_offset[t->n_seqs];
    }
    free(tokens);
}

static void compare_hash(moe_trace *t, moe_error *err)
{
    char found[65] = "";
    if (moe_trace_hash(t, found, err) == MOE_OK &&
        strcmp(found, t->sha256) != 0)
        moe_fail(err, MOE_FORMAT,
                 "content was changed: sha256 is %.12s..., recorded %.12s...",
                 found, t->sha256);
}

moe_status moe_trace_read(const char *path, moe_trace *trace_out,
                          moe_error *err)
{
    moe_error local = {0};
    moe_trace t = {.shared = MPI_WIN_NULL};
    hid_t file = moe_h5_open(path, false, &local);
    if (file < 0)
        return moe_pass(err, &local);
    read_attributes(file, &t, &local);
    if (local.status == MOE_OK && t.kind == MOE_TRACE_TOKENS)
        read_tokens(file, &t, &local);
    else if (local.status == MOE_OK)
        read_loads(file, &t, &local);
    read_split(file, &t, &local);
    if (local.status == MOE_OK)
        read_layer_numbers(file, &t, &local);
    if (local.status == MOE_OK)
        read_clusters(file, &t, &local);
    if (local.status == MOE_OK)
        moe_trace_validate(&t, &local);
    if (local.status == MOE_OK)
        compare_hash(&t, &local);
    moe_h5_close_file(file, &local);
    if (local.status == MOE_OK) {
        *trace_out = t;
        return MOE_OK;
    }
    moe_trace_free(&t);
    moe_error_prefix(&local, "%s", path);
    return moe_pass(err, &local);
}
