/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "moegps/cluster.h"
#include "moegps/csv.h"
#include "moegps/hash.h"
#include "moegps/mem.h"
#include "moegps/plain.h"
#include "moegps/replace.h"
#include "moegps/silicon.h"
#include "moegps/text.h"

enum { KEY_GPU }; /* first column of every operation */

enum { MAX_COLUMNS = 11, MAX_SIZE = 1 << 20, MAX_KEY = 512 };

/* Largest token counts and buffers that make sense. */
static const double MAX_TOKENS = 1e9, MAX_BYTES = 1e13;

/* What one key (a shape, a link, ...) was looked up as. Rows of a file share
 * few keys. */
typedef struct {
    uint64_t hash;
    char *key;
    moe_curve *curve;
    moe_link *link;
    moe_silicon_dense *dense;
} entry;

typedef struct {
    moe_silicon *tables;
    moe_csv csv;
    const char *op;
    int column[MAX_COLUMNS]; /* of the operation's columns; -1: not there */
    char gpu[64];            /* of the row before */
    moe_cluster relative;    /* a profile of it with tables_gpu; else empty */
    entry *entries;
    size_t n_entries, room;
    moe_price *prices; /* [n_rows] */
} lookup;

typedef struct op {
    const char *name;
    const char *columns[MAX_COLUMNS + 1]; /* a leading '?': may be missing */
    moe_price (*price)(lookup *j, size_t row, moe_error *err);
} op;

/* ---- keys ---- */

static const char *text_at(const lookup *j, size_t row, int column)
{
    return j->column[column] >= 0
               ? moe_csv_text(&j->csv, row, j->column[column])
               : NULL;
}

static void int_at(const lookup *j, size_t row, int column, int *out,
                   moe_error *err)
{
    *out = moe_csv_int(&j->csv, row, j->column[column], 1, MAX_SIZE, err);
}

/* Fields of the first n columns, joined. */
static void key_of(const lookup *j, size_t row, int n, char *key,
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
static entry *find_entry(lookup *j, size_t row, int n_columns, moe_error *err)
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
        entry *entries = realloc(j->entries, room * sizeof *entries);
        if (entries == NULL) {
            moe_fail(err, MOE_NOMEM, "out of memory");
            return NULL;
        }
        j->entries = entries;
        j->room = room;
    }
    entry *e = &j->entries[j->n_entries];
    *e = (entry){.hash = hash, .key = moe_strdup(key, err)};
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
} tables_of;

static tables_of find_tables(lookup *j, size_t row)
{
    const char *gpu = text_at(j, row, KEY_GPU);
    const moe_cluster *r = &j->relative;
    if (strcmp(gpu, j->gpu) != 0) {
        j->relative = (moe_cluster){0};
        snprintf(j->gpu, sizeof j->gpu, "%s", gpu);
        moe_cluster_find_relative(gpu, &j->relative);
    }
    tables_of t = {gpu, r->tables_gpu[0] != '\0', 0, 1};
    if (t.other)
        t.gpu = r->tables_gpu;
    if (r->tables_bandwidth > 0) {
        t.sheet = r->tables_bandwidth;
        t.bandwidth = r->memory_bandwidth / t.sheet;
    }
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

static void look_up_ffn(lookup *j, size_t row, entry *e, moe_error *err)
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

static moe_price price_ffn(lookup *j, size_t row, moe_error *err)
{
    entry *e = find_entry(j, row, F_TOKENS, err);
    const double tokens =
        moe_csv_number(&j->csv, row, j->column[F_TOKENS], 1, MAX_TOKENS, err);
    if (err->status == MOE_OK && e->curve == NULL)
        look_up_ffn(j, row, e, err);
    return err->status == MOE_OK ? moe_curve_price(e->curve, tokens)
                                 : (moe_price){0};
}

enum { L_GPU = KEY_GPU, L_NCCL, L_OP, L_GPUS, L_BYTES };

static moe_price price_link(lookup *j, size_t row, moe_error *err)
{
    int gpus = 0;
    entry *e = find_entry(j, row, L_GPUS, err);
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
        return (moe_price){0};
    return moe_link_price(e->link, gpus, bytes);
}

enum { D_GPU = KEY_GPU, D_STACK, D_SIZES };

/* The sizes that follow gpu and stack. */
static entry *look_up_dense(lookup *j, size_t row, int n, double *size,
                            moe_error *err)
{
    entry *e = find_entry(j, row, D_SIZES, err);
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

static moe_dense_change change_of(lookup *j, size_t row)
{
    const tables_of t = find_tables(j, row);
    return (moe_dense_change){1, 1, t.sheet, t.bandwidth};
}

static moe_price price_attention(lookup *j, size_t row, moe_error *err)
{
    double size[5];
    const entry *e = look_up_dense(j, row, 5, size, err);
    if (err->status == MOE_OK && size[3] > size[2]) {
        moe_fail(err, MOE_USAGE, "kv_heads: %g is more than heads, %g", size[3],
                 size[2]);
        moe_csv_blame(&j->csv, row, err);
    }
    if (err->status != MOE_OK)
        return (moe_price){0};
    const moe_prefill shape = {size[0], size[1], size[2], size[3], size[4]};
    const moe_dense_change change = change_of(j, row);
    return moe_silicon_attention(e->dense, &shape, &change);
}

static moe_price price_gemm(lookup *j, size_t row, moe_error *err)
{
    double size[3];
    const entry *e = look_up_dense(j, row, 3, size, err);
    if (err->status != MOE_OK)
        return (moe_price){0};
    const moe_gemm shape = {.m = size[0], .n = size[1], .k = size[2]};
    const moe_dense_change change = change_of(j, row);
    return moe_silicon_gemm(e->dense, &shape, &change);
}

static const op ops[] = {
    {"moe_ffn",
     {"gpu", "stack", "dtype", "hidden", "inter", "top_k", "experts", "ep",
      "distribution", "?kernel", "tokens"},
     price_ffn},
    {"alltoall", {"gpu", "?nccl", "?op", "gpus", "buffer_bytes"}, price_link},
    {"allreduce", {"gpu", "?nccl", "?op", "gpus", "buffer_bytes"}, price_link},
    {"attention",
     {"gpu", "stack", "batch", "seq", "heads", "kv_heads", "head_dim"},
     price_attention},
    {"gemm", {"gpu", "stack", "m", "n", "k"}, price_gemm},
};

/* ---- the command ---- */

typedef struct {
    const op *op;
    const char *csv, *output, *tables;
    bool force;
} settings;

static moe_status parse_op(const char *name, void *at, moe_error *err)
{
    char known[128] = "";
    for (size_t i = 0; i < MOE_ARRAY_LEN(ops); i++) {
        if (strcmp(ops[i].name, name) == 0) {
            *(const op **)at = &ops[i];
            return MOE_OK;
        }
        moe_text_add(known, sizeof known, ", ", "%s", ops[i].name);
    }
    return moe_fail(err, MOE_USAGE, "'%s' is not one of %s", name, known);
}

#define AT(member) MOE_OPT_AT(settings, member)
static const moe_opt rows[] = {
    MOE_ARGS_CALL("op", op, NULL, parse_op, "OP",
                  "moe_ffn, alltoall, allreduce, attention or gemm"),
    MOE_ARGS_STRING("csv", csv, NULL, "FILE", "rows to price, with a header"),
    MOE_ARGS_OUTPUT("-", "FILE|-", "write the rows with prices"),
    MOE_ARGS_STRING("tables", tables, "", "FILE",
                    "other tables than those bundled"),
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_args args = {
    .name = "moegps cost",
    .help =
        "Price rows from the measured tables. Columns, in any order: moe_ffn "
        "gpu, stack, dtype, hidden, inter, top_k, experts, ep, distribution, "
        "tokens (and kernel, to ask for one); alltoall, allreduce gpu, gpus, "
        "buffer_bytes (and op, nccl); attention gpu, stack, batch, seq, "
        "heads, kv_heads, head_dim; gemm gpu, stack, m, n, k. Other columns "
        "are kept. A GPU that was not measured is priced if a cluster profile "
        "names tables for it. Appended: latency_us, source (tabulated, "
        "interpolated, extrapolated, scaled: from another GPU, slow-kernel: "
        "measured, but the kernel is known to fall to 15-20 % of the memory "
        "bandwidth there), relative_error and error_p90 (two of three prices "
        "are off by no more, and nine of ten; 0.1 is 10 %: the truth is from "
        "price / 1.1 to price / 0.9). A column that has one of these names "
        "already is kept as input_NAME.",
    .rows = rows,
};

static void find_columns(lookup *j, const op *which, moe_error *err)
{
    for (int c = 0; c < MAX_COLUMNS && which->columns[c] != NULL; c++) {
        const char *name = which->columns[c];
        j->column[c] = name[0] == '?' ? moe_csv_find(&j->csv, name + 1)
                                      : moe_csv_column(&j->csv, name, err);
    }
}

static const char *const appended[] = {"latency_us", "source", "relative_error",
                                       "error_p90"};

static bool reserved(const char *column)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(appended); i++)
        if (strcmp(column, appended[i]) == 0)
            return true;
    return false;
}

static void write_rows(const lookup *j, FILE *out)
{
    const moe_csv *csv = &j->csv;
    for (size_t c = 0; c < csv->n_columns; c++) {
        fputs(reserved(csv->field[c]) ? "input_" : "", out);
        moe_plain_csv(csv->field[c], out);
        putc(',', out);
    }
    for (size_t i = 0; i < MOE_ARRAY_LEN(appended); i++)
        fprintf(out, "%s%s", i > 0 ? "," : "", appended[i]);
    fputc('\n', out);
    for (size_t r = 0; r < csv->n_rows; r++) {
        for (size_t c = 0; c < csv->n_columns; c++) {
            moe_plain_csv(moe_csv_text(csv, r, (int)c), out);
            putc(',', out);
        }
        fprintf(out, "%.3f,%s,%.4f,%.4f\n", 1e6 * j->prices[r].time_s,
                moe_price_source_name(j->prices[r].source),
                j->prices[r].relative_error, j->prices[r].error_p90);
    }
}

static void write_output(const lookup *j, const settings *s, moe_error *err)
{
    moe_replace to;
    FILE *out = moe_replace_open(&to, s->output, s->force, err);
    if (out == NULL)
        return;
    write_rows(j, out);
    moe_replace_close(&to, out, err);
}

static void price(lookup *j, const settings *s, moe_error *err)
{
    j->op = s->op->name;
    if (moe_csv_read(s->csv, &j->csv, err) == MOE_OK)
        find_columns(j, s->op, err);
    if (err->status == MOE_OK)
        j->tables = moe_silicon_open(s->tables, err);
    if (err->status == MOE_OK)
        j->prices = moe_array_new(j->csv.n_rows, sizeof *j->prices, err);
    for (size_t r = 0; r < j->csv.n_rows && err->status == MOE_OK; r++)
        j->prices[r] = s->op->price(j, r, err);
    if (err->status == MOE_OK)
        write_output(j, s, err);
}

static void release(lookup *j)
{
    for (size_t i = 0; i < j->n_entries; i++) {
        free(j->entries[i].key);
        free(j->entries[i].curve);
        free(j->entries[i].link);
        moe_silicon_dense_free(j->entries[i].dense);
    }
    free(j->entries);
    free(j->prices);
    moe_csv_free(&j->csv);
    moe_silicon_close(j->tables);
}

int moe_cmd_cost(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {0};
    lookup j = {0};
    if (moe_args_parse(&args, argc, argv, &s, &err))
        price(&j, &s, &err);
    release(&j);
    return moe_args_end(&args, &s, &err);
}
