/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "cost_ops.h"
#include "moegps/mem.h"
#include "moegps/plain.h"
#include "moegps/replace.h"
#include "moegps/text.h"

typedef struct {
    const moe_cost_op *op;
    const char *csv, *output, *tables;
    bool force;
} settings;

static moe_status parse_op(const char *name, void *at, moe_error *err)
{
    char known[160] = "";
    for (size_t i = 0; moe_cost_op_at(i) != NULL; i++) {
        if (strcmp(moe_cost_op_at(i)->name, name) == 0) {
            *(const moe_cost_op **)at = moe_cost_op_at(i);
            return MOE_OK;
        }
        moe_text_add(known, sizeof known, ", ", "%s", moe_cost_op_at(i)->name);
    }
    return moe_fail(err, MOE_USAGE, "'%s' is not one of %s", name, known);
}

#define AT(member) MOE_OPT_AT(settings, member)
static const moe_opt rows[] = {
    MOE_ARGS_CALL("op", op, NULL, parse_op, "OP",
                  "moe_ffn, alltoall, allreduce, attention, gemm, ep_exchange, "
                  "decode_attention, mla or wide_ep_moe"),
    MOE_ARGS_STRING("csv", csv, NULL, "FILE", "rows to price, with a header"),
    MOE_ARGS_OUTPUT("-", "FILE|-", "write the rows with prices"),
    MOE_ARGS_STRING("tables", tables, "", "FILE",
                    "other tables than those bundled"),
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_args args = {
    .name = "moegps cost",
    .example = "moegps cost --op alltoall --csv sizes.csv -o prices.csv",
    .help =
        "Price rows from the measured tables. Columns, in any order: moe_ffn "
        "gpu, stack, dtype, hidden, inter, top_k, experts, ep, distribution, "
        "tokens (and kernel, to ask for one); alltoall, allreduce gpu, gpus, "
        "buffer_bytes (and op, nccl); attention gpu, stack, batch, seq, "
        "heads, kv_heads, head_dim; gemm gpu, stack, m, n, k; ep_exchange gpu, "
        "stack, nodes, gpus, hidden, top_k, experts, sms, tokens_per_gpu; "
        "decode_attention gpu, stack, batch, kv_len, heads, kv_heads, "
        "head_dim, window (and kv_dtype); mla gpu, stack, phase, batch, "
        "kv_len, heads; wide_ep_moe gpu, stack, dtype, hidden, inter, top_k, "
        "experts, slots, ep, distribution, eplb, tokens. Other columns are "
        "kept. A GPU that was not measured is priced if a cluster profile "
        "names tables for it (not kernels of wide EP). Appended: latency_us "
        "(dispatch_us and combine_us of an exchange), source (tabulated, "
        "interpolated, extrapolated, scaled: from another GPU, slow-kernel: "
        "measured, but the kernel is known to fall to 15-20 % of the memory "
        "bandwidth there), relative_error and error_p90 (two of three prices "
        "are off by no more, and nine of ten; 0.1 is 10 %: the truth is from "
        "price / 1.1 to price / 0.9). A column that has one of these names "
        "already is kept as input_NAME.",
    .rows = rows,
};

static void find_columns(moe_cost_rows *j, const moe_cost_op *which,
                         moe_error *err)
{
    for (int c = 0; c < MOE_COST_COLUMNS && which->columns[c] != NULL; c++) {
        const char *name = which->columns[c];
        j->column[c] = name[0] == '?' ? moe_csv_find(&j->csv, name + 1)
                                      : moe_csv_column(&j->csv, name, err);
    }
}

static const char *const appended[] = {"source", "relative_error", "error_p90"};

static bool reserved(const moe_cost_op *which, const char *column)
{
    for (int i = 0; which->prices[i] != NULL; i++)
        if (strcmp(column, which->prices[i]) == 0)
            return true;
    for (size_t i = 0; i < MOE_ARRAY_LEN(appended); i++)
        if (strcmp(column, appended[i]) == 0)
            return true;
    return false;
}

/* The parts of a sum are taken as wrong together. */
static void write_row(const moe_cost_op *which, const moe_price *price,
                      FILE *out)
{
    moe_price all = {0};
    for (int i = 0; which->prices[i] != NULL; i++) {
        const double time_s = price[i].time_s;
        fprintf(out, "%.3f,", 1e6 * time_s);
        all.time_s += time_s;
        all.relative_error += time_s * price[i].relative_error;
        all.error_p90 += time_s * price[i].error_p90;
        if (price[i].source > all.source)
            all.source = price[i].source;
    }
    fprintf(out, "%s,%.4f,%.4f\n", moe_price_source_name(all.source),
            all.relative_error / all.time_s, all.error_p90 / all.time_s);
}

static void write_rows(const moe_cost_rows *j, const moe_price *prices,
                       const moe_cost_op *which, FILE *out)
{
    const moe_csv *csv = &j->csv;
    for (size_t c = 0; c < csv->n_columns; c++) {
        fputs(reserved(which, csv->field[c]) ? "input_" : "", out);
        moe_plain_csv(csv->field[c], out);
        putc(',', out);
    }
    for (int i = 0; which->prices[i] != NULL; i++)
        fprintf(out, "%s,", which->prices[i]);
    for (size_t i = 0; i < MOE_ARRAY_LEN(appended); i++)
        fprintf(out, "%s%s", i > 0 ? "," : "", appended[i]);
    fputc('\n', out);
    for (size_t r = 0; r < csv->n_rows; r++) {
        for (size_t c = 0; c < csv->n_columns; c++) {
            moe_plain_csv(moe_csv_text(csv, r, (int)c), out);
            putc(',', out);
        }
        write_row(which, prices + r * MOE_COST_PRICES, out);
    }
}

static void write_output(const moe_cost_rows *j, const moe_price *prices,
                         const settings *s, moe_error *err)
{
    moe_replace to;
    FILE *out = moe_replace_open(&to, s->output, s->force, err);
    if (out == NULL)
        return;
    write_rows(j, prices, s->op, out);
    moe_replace_close(&to, out, err);
}

static void price(moe_cost_rows *j, const settings *s, moe_error *err)
{
    moe_price *prices = NULL;
    j->op = s->op->name;
    if (moe_csv_read(s->csv, &j->csv, err) == MOE_OK)
        find_columns(j, s->op, err);
    if (err->status == MOE_OK)
        j->tables = moe_silicon_open(s->tables, err);
    if (err->status == MOE_OK)
        prices =
            moe_array_new(j->csv.n_rows * MOE_COST_PRICES, sizeof *prices, err);
    for (size_t r = 0; r < j->csv.n_rows && err->status == MOE_OK; r++)
        s->op->price(j, r, prices + r * MOE_COST_PRICES, err);
    if (err->status == MOE_OK)
        write_output(j, prices, s, err);
    free(prices);
}

int moe_cmd_cost(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {0};
    moe_cost_rows j = {0};
    if (moe_args_parse(&args, argc, argv, &s, &err))
        price(&j, &s, &err);
    moe_cost_forget(&j);
    moe_csv_free(&j.csv);
    moe_silicon_close(j.tables);
    return moe_args_end(&args, &s, &err);
}
