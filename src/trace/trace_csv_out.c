/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace_convert.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "moegps/bulk.h"

static const char *const parts[] = {
    [MOE_PART_TRAIN] = "train", [MOE_PART_TEST] = "test"};

/* Numbered sequences and steps are in time's order for a reader, unless a
 * column says that they are not. */
static const char *order_column(const moe_trace *t, const char *text)
{
    return t->order == MOE_ORDER_NONE ? text : "";
}

static void write_token(const moe_trace *t, int layer, uint64_t seq, uint64_t i,
                        FILE *out)
{
    const size_t k = (size_t)t->top_k;
    const size_t at = ((size_t)layer * t->n_tokens + i) * k;
    fprintf(out, "%d,%" PRIu64 ",%" PRIu64 ",%s%s",
            moe_trace_layer_number(t, layer), i, seq, parts[t->seq_part[seq]],
            order_column(t, ",none"));
    if (t->vocab_size > 0)
        fprintf(out, ",%" PRIu32, t->token_id[i]);
    if (t->has_position)
        fprintf(out, ",%" PRId32, t->position[i]);
    for (size_t j = 0; j < k; j++)
        fprintf(out, ",%d", t->experts_of[at + j]);
    for (size_t j = 0; t->has_gate && j < k; j++)
        fprintf(out, ",%.9g", (double)t->gate[at + j]);
    fputc('\n', out);
    moe_bulk_passed(t->experts_of + at, k * sizeof *t->experts_of);
    if (t->has_gate)
        moe_bulk_passed(t->gate + at, k * sizeof *t->gate);
}

static void write_tokens(const moe_trace *t, FILE *out)
{
    fprintf(out, "layer,token,sequence,split%s%s%s", order_column(t, ",order"),
            t->vocab_size > 0 ? ",token_id" : "",
            t->has_position ? ",position" : "");
    for (int j = 0; j < t->top_k; j++)
        fprintf(out, ",expert%d", j);
    for (int j = 0; t->has_gate && j < t->top_k; j++)
        fprintf(out, ",gate%d", j);
    fputc('\n', out);
    for (int l = 0; l < t->layers; l++)
        for (uint64_t s = 0; s < t->n_seqs; s++)
            for (uint64_t i = t->seq_offset[s]; i < t->seq_offset[s + 1]; i++)
                write_token(t, l, s, i, out);
}

static void write_loads(const moe_trace *t, FILE *out)
{
    const uint32_t *count = t->counts;
    fprintf(out, "step,layer,expert,count,split%s\n",
            order_column(t, ",order"));
    for (uint64_t s = 0; s < t->n_seqs; s++)
        for (int l = 0; l < t->layers; l++, count += t->experts) {
            for (int e = 0; e < t->experts; e++)
                fprintf(out, "%" PRIu64 ",%d,%d,%" PRIu32 ",%s%s\n", s,
                        moe_trace_layer_number(t, l), e, count[e],
                        parts[t->seq_part[s]], order_column(t, ",none"));
            moe_bulk_passed(count, (size_t)t->experts * sizeof *count);
        }
}

moe_status moe_trace_to_csv(const moe_trace *trace, FILE *out, moe_error *err)
{
    if (trace->kind == MOE_TRACE_TOKENS)
        write_tokens(trace, out);
    else
        write_loads(trace, out);
    if (fflush(out) != 0 || ferror(out))
        return moe_fail(err, MOE_IO, "cannot write CSV: %s", strerror(errno));
    return MOE_OK;
}

/* ---- JSON ---- */

/* Counts of a layer; NULL: it has none. */
static void write_counts(const uint32_t *row, int n, FILE *out)
{
    for (int e = 0; e < n; e++)
        fprintf(out, "%s%" PRIu32, e > 0 ? "," : "[", row != NULL ? row[e] : 0);
    fputc(']', out);
    if (row != NULL)
        moe_bulk_passed(row, (size_t)n * sizeof *row);
}

static void write_step(const moe_trace *t, uint64_t step, FILE *out)
{
    const int last = moe_trace_layer_number(t, t->layers - 1);
    for (int number = 0; number <= last; number++) {
        const int l = moe_trace_find_layer(t, number);
        fputc(number > 0 ? ',' : '[', out);
        write_counts(l >= 0 ? t->counts +
                                  (step * (uint64_t)t->layers + (uint64_t)l) *
                                      (uint64_t)t->experts
                            : NULL,
                     t->experts, out);
    }
    fputc(']', out);
}

moe_status moe_trace_to_json(const moe_trace *trace, FILE *out, moe_error *err)
{
    if (trace->kind != MOE_TRACE_LOADS)
        return moe_fail(err, MOE_USAGE,
                        "--logical-count is of loads; a token trace is "
                        "exported as --npy or --csv");
    fputs("{\"logical_count\": ", out);
    for (uint64_t s = 0; s < trace->n_seqs; s++) {
        fputs(s > 0 ? ",\n " : "[", out);
        write_step(trace, s, out);
    }
    fputs("]}\n", out);
    if (fflush(out) != 0 || ferror(out))
        return moe_fail(err, MOE_IO, "cannot write JSON: %s", strerror(errno));
    return MOE_OK;
}
