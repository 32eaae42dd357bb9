/* SPDX-License-Identifier: Apache-2.0 */
#include "cost_ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/hash.h"
#include "moegps/mem.h"

enum { KEY_GPU }; /* first column of every operation */

enum { MAX_SIZE = 1 << 20, MAX_KEY = 512 };

/* Largest token counts and buffers that make sense. */
static const double MAX_TOKENS = 1e9, MAX_BYTES = 1e13;

struct moe_cost_entry {
    uint64_t hash;
    char *key;
    moe_curve *curve;
    moe_link *link;
    moe_silicon_dense *dense;
    moe_lines *lines[MOE_COST_PRICES];
};

/* ---- keys ---- */

static const char *text_at(const moe_cost_rows *j, size_t row, int column)
{
    return j->column[column] >= 0
               ? moe_csv_text(&j->csv, row, j->column[column])
               : NULL;
}

static void int_at(const moe_cost_rows *j, size_t row, int column, int *out,
                   moe_error *err)
{
    *out = moe_csv_int(&j->csv, row, j->column[column], 1, MAX_SIZE, err);
}

/* Fields of the first n columns, joined. */
static void key_of(const moe_cost_rows *j, size_t row, int n, char *key,
                   moe_error *err)
{
    size_t len = 0;
    key[0] = '\0';
    for (int c = 0; c < n; c++) {
        const char *text = text_at(j, row, c);
        int more =
            snprintf(key + len, MAX_KEY - len, "%s,", text != NULL ? text : "");
        if (more < 0 || (size_t)more >= MAX_KEY - len) {
            moe_fail(err, MOE_USAGE, "fields too long");
            moe_csv_blame(&j->csv, row, err);
            return;
        }
        len += (size_t)more;
    }
}

/* The entry of a row's key, new and empty if it is not known yet; NULL with
 * an error. */
static moe_cost_entry *find_entry(moe_cost_rows *j, size_t row, int n_columns,
                                  moe_error *err)
{
    char key[MAX_KEY];
    key_of(j, row, n_columns, key, err);
    if (err->status != MOE_OK)
        return NULL;
    const uint64_t hash = moe_hash_text(key);
    for (size_t i = 0; i < j->n_entries; i++)
        if (j->entries[i].hash == hash && strcmp(j->entries[i].key, key) == 0)
            return &j->entries[i];
    if (j->n_entries == j->room) {
        size_t room = j->room > 0 ? 2 * j->room : 64;
        moe_cost_entry *entries = realloc(j->entries, room * sizeof *entries);
        if (entries == NULL) {
            moe_fail(err, MOE_NOMEM, "out of memory");
            return NULL;
        }
        j->entries = entries;
        j->room = room;
    }
    moe_cost_entry *e = &j->entries[j->n_entries];
    *e = (moe_cost_entry){.hash = hash, .key = moe_strdup(key, err)};
    if (e->key == NULL)
        return NULL;
    j->n_entries++;
    return e;
}

/* ---- operations ---- */

/* Whose tables price a row, and how their bandwidth differs. */
typedef struct {
    const char *gpu;
    bool other;
    double sheet, bandwidth;
    double link_time; /* on its links over that of the tables */
} tables_of;

static tables_of find_tables(moe_cost_rows *j, size_t row)
{
    const char *gpu = text_at(j, row, KEY_GPU);
    const moe_cluster *r = &j->relative;
    if (strcmp(gpu, j->gpu) != 0) {
        j->relative = (moe_cluster){0};
        snprintf(j->gpu, sizeof j->gpu, "%s", gpu);
        if (!moe_silicon_measures(j->tables, j->op, gpu))
            moe_cluster_find_relative(gpu, &j->relative);
    }
    tables_of t = {gpu, r->tables_gpu[0] != '\0', 0, 1, 1};
    if (t.other)
        t.gpu = r->tables_gpu;
    if (r->tables_bandwidth > 0) {
        t.sheet = r->tables_bandwidth;
        t.bandwidth = r->memory_bandwidth / t.sheet;
    }
    if (r->tables_link_bandwidth > 0)
        t.link_time = r->tables_link_bandwidth / r->link_bandwidth;
    return t;
}

enum {
    F_GPU = KEY_GPU,
    F_STACK,
    F_DTYPE,
    F_HIDDEN,
    F_INTER,
    F_TOP_K,
    F_EXPERTS,
    F_EP,
    F_DISTRIBUTION,
    F_KERNEL,
    F_TOKENS
};

static void look_up_ffn(moe_cost_rows *j, size_t row, moe_cost_entry *e,
                        moe_error *err)
{
    const tables_of t = find_tables(j, row);
    moe_ffn_key key = {
        .gpu = t.gpu,
        .stack = text_at(j, row, F_STACK),
        .dtype = text_at(j, row, F_DTYPE),
        .kernel = text_at(j, row, F_KERNEL),
        .distribution = text_at(j, row, F_DISTRIBUTION),
    };
    if (key.kernel != NULL && *key.kernel == '\0')
        key.kernel = NULL;
    int_at(j, row, F_HIDDEN, &key.hidden, err);
    int_at(j, row, F_INTER, &key.inter, err);
    int_at(j, row, F_TOP_K, &key.top_k, err);
    int_at(j, row, F_EXPERTS, &key.experts, err);
    int_at(j, row, F_EP, &key.ep, err);
    if (err->status != MOE_OK)
        return;
    e->curve = moe_array_new(1, sizeof *e->curve, err);
    const moe_ffn_change change = {.sheet = t.sheet, .bandwidth = t.bandwidth};
    if (e->curve != NULL &&
        moe_silicon_ffn(j->tables, &key, &change, e->curve, err) != MOE_OK)
        moe_csv_blame(&j->csv, row, err);
}

static void price_ffn(moe_cost_rows *j, size_t row, moe_price *out,
                      moe_error *err)
{
    moe_cost_entry *e = find_entry(j, row, F_TOKENS, err);
    const double tokens =
        moe_csv_number(&j->csv, row, j->column[F_TOKENS], 1, MAX_TOKENS, err);
    if (err->status == MOE_OK && e->curve == NULL)
        look_up_ffn(j, row, e, err);
    if (err->status == MOE_OK)
        *out = moe_curve_price(e->curve, tokens);
}

enum { L_GPU = KEY_GPU, L_NCCL, L_OP, L_GPUS, L_BYTES };

static void price_link(moe_cost_rows *j, size_t row, moe_price *out,
                       moe_error *err)
{
    int gpus = 0;
    moe_cost_entry *e = find_entry(j, row, L_GPUS, err);
    int_at(j, row, L_GPUS, &gpus, err);
    const double bytes =
        moe_csv_number(&j->csv, row, j->column[L_BYTES], 1, MAX_BYTES, err);
    if (err->status == MOE_OK && e->link == NULL) {
        const tables_of t = find_tables(j, row);
        const char *which = text_at(j, row, L_OP);
        if (which == NULL)
            which = strcmp(j->op, "allreduce") == 0 ? "all_reduce" : "alltoall";
        e->link = moe_array_new(1, sizeof *e->link, err);
        if (e->link != NULL &&
            moe_silicon_link(j->tables, which, t.gpu, text_at(j, row, L_NCCL),
                             e->link, err) != MOE_OK)
            moe_csv_blame(&j->csv, row, err);
        if (e->link != NULL)
            e->link->of_relative = t.other;
    }
    if (err->status != MOE_OK)
        return;
    *out = moe_link_price(e->link, gpus, bytes);
    /* What exceeds the time of the smallest buffer is time on the links. */
    const double least_s =
        moe_link_price(e->link, gpus, e->link->count[0].bytes[0]).time_s;
    out->time_s +=
        (find_tables(j, row).link_time - 1) * fmax(0, out->time_s - least_s);
}

enum { D_GPU = KEY_GPU, D_STACK, D_SIZES };

/* The sizes that follow gpu and stack. */
static moe_cost_entry *look_up_dense(moe_cost_rows *j, size_t row, int n,
                                     double *size, moe_error *err)
{
    moe_cost_entry *e = find_entry(j, row, D_SIZES, err);
    for (int i = 0; i < n; i++)
        size[i] = moe_csv_number(&j->csv, row, j->column[D_SIZES + i], 1,
                                 MAX_TOKENS, err);
    if (err->status != MOE_OK || e->dense != NULL)
        return e;
    e->dense = moe_silicon_dense_new(j->tables, j->op, find_tables(j, row).gpu,
                                     text_at(j, row, D_STACK), err);
    if (e->dense == NULL)
        moe_csv_blame(&j->csv, row, err);
    return e;
}

static moe_dense_change change_of(moe_cost_rows *j, size_t row)
{
    const tables_of t = find_tables(j, row);
    return (moe_dense_change){1, 1, t.sheet, t.bandwidth};
}

static void price_attention(moe_cost_rows *j, size_t row, moe_price *out,
                            moe_error *err)
{
    double size[5];
    const moe_cost_entry *e = look_up_dense(j, row, 5, size, err);
    if (err->status == MOE_OK && size[3] > size[2]) {
        moe_fail(err, MOE_USAGE, "kv_heads: %g is more than heads, %g", size[3],
                 size[2]);
        moe_csv_blame(&j->csv, row, err);
    }
    if (err->status != MOE_OK)
        return;
    const moe_prefill shape = {size[0], size[1], size[2], size[3], size[4]};
    const moe_dense_change change = change_of(j, row);
    *out = moe_silicon_attention(e->dense, &shape, &change);
}

static void price_gemm(moe_cost_rows *j, size_t row, moe_price *out,
                       moe_error *err)
{
    double size[3];
    const moe_cost_entry *e = look_up_dense(j, row, 3, size, err);
    if (err->status != MOE_OK)
        return;
    const moe_gemm shape = {.m = size[0], .n = size[1], .k = size[2]};
    const moe_dense_change change = change_of(j, row);
    *out = moe_silicon_gemm(e->dense, &shape, &change);
}

/* ---- kinds of moe_lines; their columns are those of the tables ---- */

static const char *const exchange_prices[] = {"dispatch", "combine"};

/* Prices of a row: of each of n tables, that differ in the last text. */
static void price_lines(moe_cost_rows *j, size_t row, const char *const *last,
                        int n, moe_price *out, moe_error *err)
{
    moe_line_names names;
    const char *texts[MOE_COST_COLUMNS];
    double size[MOE_COST_COLUMNS];
    moe_line_names_of(j->op, &names);
    const int columns = last != NULL ? names.texts - 1 : names.texts;
    moe_cost_entry *e = find_entry(j, row, columns, err);
    for (int c = 0; c < columns; c++)
        texts[c] = text_at(j, row, c);
    for (int c = 0; c < names.sizes; c++)
        size[c] = moe_csv_int(&j->csv, row, j->column[columns + c],
                              names.least[c], MAX_SIZE, err);
    for (int i = 0; i < n && err->status == MOE_OK; i++) {
        if (last != NULL)
            texts[columns] = last[i];
        if (e->lines[i] == NULL)
            e->lines[i] = moe_lines_new(j->tables, j->op, texts, err);
        if (e->lines[i] == NULL ||
            moe_lines_price(e->lines[i], size, &out[i], err) != MOE_OK)
            moe_csv_blame(&j->csv, row, err);
    }
}

static void price_exchange(moe_cost_rows *j, size_t row, moe_price *out,
                           moe_error *err)
{
    price_lines(j, row, exchange_prices, MOE_COST_PRICES, out, err);
}

static void price_kernel(moe_cost_rows *j, size_t row, moe_price *out,
                         moe_error *err)
{
    price_lines(j, row, NULL, 1, out, err);
}

/* Prefill was measured on an empty cache. */
static void price_mla(moe_cost_rows *j, size_t row, moe_price *out,
                      moe_error *err)
{
    const int at = moe_csv_find(&j->csv, "seq");
    const bool prefill = strcmp(text_at(j, row, 2), "prefill") == 0;
    price_kernel(j, row, out, err);
    if (err->status != MOE_OK || at < 0)
        return;
    const int seq = moe_csv_int(&j->csv, row, at, 1, MAX_SIZE, err);
    const int kv_len =
        moe_csv_int(&j->csv, row, j->column[5], 1, MAX_SIZE, err);
    if (err->status != MOE_OK || seq == (prefill ? kv_len : 1))
        return;
    moe_fail(err, MOE_USAGE, "seq: %d with kv_len %d (measured: %s)", seq,
             kv_len, prefill ? "seq = kv_len in prefill" : "1 in decode");
    moe_csv_blame(&j->csv, row, err);
}

static const char *const latency[] = {"latency_us", NULL};
static const char *const exchange[] = {"dispatch_us", "combine_us", NULL};

static const moe_cost_op ops[] = {
    {"moe_ffn",
     {"gpu", "stack", "dtype", "hidden", "inter", "top_k", "experts", "ep",
      "distribution", "?kernel", "tokens"},
     price_ffn,
     latency},
    {"alltoall",
     {"gpu", "?nccl", "?op", "gpus", "buffer_bytes"},
     price_link,
     latency},
    {"allreduce",
     {"gpu", "?nccl", "?op", "gpus", "buffer_bytes"},
     price_link,
     latency},
    {"attention",
     {"gpu", "stack", "batch", "seq", "heads", "kv_heads", "head_dim"},
     price_attention,
     latency},
    {"gemm", {"gpu", "stack", "m", "n", "k"}, price_gemm, latency},
    {"ep_exchange",
     {"gpu", "stack", "nodes", "gpus", "hidden", "top_k", "experts", "sms",
      "tokens_per_gpu"},
     price_exchange,
     exchange},
    {"decode_attention",
     {"gpu", "stack", "?kv_dtype", "heads", "kv_heads", "head_dim", "batch",
      "window", "kv_len"},
     price_kernel,
     latency},
    {"mla",
     {"gpu", "stack", "phase", "batch", "heads", "kv_len"},
     price_mla,
     latency},
    {"wide_ep_moe",
     {"gpu", "stack", "dtype", "distribution", "hidden", "inter", "top_k",
      "experts", "slots", "ep", "eplb", "tokens"},
     price_kernel,
     latency},
};

const moe_cost_op *moe_cost_op_at(size_t i)
{
    return i < MOE_ARRAY_LEN(ops) ? &ops[i] : NULL;
}

void moe_cost_forget(moe_cost_rows *j)
{
    for (size_t i = 0; i < j->n_entries; i++) {
        free(j->entries[i].key);
        free(j->entries[i].curve);
        free(j->entries[i].link);
        moe_silicon_dense_free(j->entries[i].dense);
        for (int p = 0; p < MOE_COST_PRICES; p++)
            moe_lines_free(j->entries[i].lines[p]);
    }
    free(j->entries);
}
