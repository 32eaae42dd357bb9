/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace_convert.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/mem.h"

enum { MAX_COLUMNS = 256, ABSENT = -1, UNKNOWN_PART = 255 };

/* A CSV file, one line of it at a time. */
typedef struct {
    const char *path;
    FILE *file;
    char *line; /* getline's; fields point into it */
    size_t room;
    uint64_t number; /* of the line, from 1 */
    char *field[MAX_COLUMNS];
    int n_fields;
    int width; /* fields of the heading */
    moe_error *err;
} csv;

/* Columns of the heading, ABSENT where it has none. */
typedef struct {
    int step, layer, token, expert, count, sequence, split, order;
    int token_id, position;
    int experts[MOE_MAX_TOP_K], gates[MOE_MAX_TOP_K];
} columns;

static moe_status complain(csv *in, const char *what, const char *value)
{
    return moe_fail(in->err, MOE_FORMAT, "%s:%" PRIu64 ": %s%s%s%s", in->path,
                    in->number, what, value != NULL ? " '" : "",
                    value != NULL ? value : "", value != NULL ? "'" : "");
}

/* @return false at the end, and after an error. */
static bool next_line(csv *in)
{
    do {
        const ssize_t len = getline(&in->line, &in->room, in->file);
        if (len < 0) {
            if (ferror(in->file))
                complain(in, "cannot read on", NULL);
            return false;
        }
        in->number++;
        if (strlen(in->line) != (size_t)len) { /* the rest would be lost */
            complain(in, "holds a zero byte", NULL);
            return false;
        }
        in->line[strcspn(in->line, "\r\n")] = '\0';
    } while (in->line[0] == '\0');
    in->n_fields = 0;
    char *at = in->line;
    while (at != NULL && in->n_fields < MAX_COLUMNS)
        in->field[in->n_fields++] = strsep(&at, ",");
    if (at != NULL) {
        char what[40];
        snprintf(what, sizeof what, "has more than %d columns", MAX_COLUMNS);
        complain(in, what, NULL);
        return false;
    }
    if (in->width > 0 && in->n_fields != in->width) {
        complain(in, "has another number of columns than the heading", NULL);
        return false;
    }
    return in->err->status == MOE_OK;
}

static int find(const csv *in, const char *name)
{
    for (int c = 0; c < in->n_fields; c++)
        if (strcmp(in->field[c], name) == 0)
            return c;
    return ABSENT;
}

static void find_numbered(const csv *in, const char *name, int *found)
{
    for (int j = 0; j < MOE_MAX_TOP_K; j++) {
        char numbered[32];
        snprintf(numbered, sizeof numbered, "%s%d", name, j);
        found[j] = find(in, numbered);
    }
}

static moe_status open_csv(csv *in, columns *c)
{
    in->file = fopen(in->path, "r");
    if (in->file == NULL)
        return moe_fail(in->err, MOE_USAGE, "%s: cannot open: %s", in->path,
                        strerror(errno));
    if (fseek(in->file, 0, SEEK_SET) != 0) /* it is read twice */
        return moe_fail(in->err, MOE_USAGE, "%s: is no file, but a pipe",
                        in->path);
    if (!next_line(in))
        return moe_fail(in->err, MOE_FORMAT, "%s: is empty", in->path);
    in->width = in->n_fields;
    *c = (columns){.step = find(in, "step"),
                   .layer = find(in, "layer"),
                   .token = find(in, "token"),
                   .expert = find(in, "expert"),
                   .count = find(in, "count"),
                   .sequence = find(in, "sequence"),
                   .split = find(in, "split"),
                   .order = find(in, "order"),
                   .token_id = find(in, "token_id"),
                   .position = find(in, "position")};
    find_numbered(in, "expert", c->experts);
    find_numbered(in, "gate", c->gates);
    return MOE_OK;
}

/* Back to the first row. */
static void rewind_csv(csv *in)
{
    rewind(in->file);
    in->number = 0;
    in->width = 0;
    next_line(in);
    in->width = in->n_fields;
}

static void close_csv(csv *in)
{
    free(in->line);
    if (in->file != NULL)
        fclose(in->file);
}

/* @return the number in a column, 0 after an error. */
static uint64_t number(csv *in, int column, uint64_t most)
{
    const char *text = in->field[column];
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end != '\0' || errno != 0 ||
        value > most) {
        char what[80];
        snprintf(what, sizeof what, "expected an integer in 0..%" PRIu64 ":",
                 most);
        complain(in, what, text);
        return 0;
    }
    return value;
}

static float real(csv *in, int column)
{
    char *end = NULL;
    float value = strtof(in->field[column], &end);
    if (end == in->field[column] || *end != '\0')
        complain(in, "expected a number:", in->field[column]);
    return value;
}

/* A sequence has one part, whichever of its rows says so. */
static void take_part(csv *in, const columns *c, uint8_t *part)
{
    const char *text = c->split != ABSENT ? in->field[c->split] : "train";
    const bool test = strcmp(text, "test") == 0;
    const uint8_t found = test ? MOE_PART_TEST : MOE_PART_TRAIN;
    if (!test && strcmp(text, "train") != 0)
        complain(in, "expected train or test:", text);
    else if (*part != UNKNOWN_PART && *part != found)
        complain(in, "earlier rows of this sequence say otherwise:", text);
    *part = found;
}

/* Every row says the same, or the first does not count. */
static void take_order(csv *in, const columns *c, moe_trace *t, bool first)
{
    if (c->order == ABSENT)
        return;
    const char *text = in->field[c->order];
    const bool time = strcmp(text, moe_trace_order_name(MOE_ORDER_TIME)) == 0;
    const moe_trace_order found = time ? MOE_ORDER_TIME : MOE_ORDER_NONE;
    if (!time && strcmp(text, moe_trace_order_name(MOE_ORDER_NONE)) != 0)
        complain(in, "expected time or none:", text);
    else if (!first && t->order != found)
        complain(in, "earlier rows say another order:", text);
    t->order = found;
}

/* Space for the trace, its parts unknown. */
static moe_status allocate(const csv *in, moe_trace *t)
{
    if (in->err->status == MOE_OK && moe_trace_allocate(t, in->err) == MOE_OK)
        memset(t->seq_part, UNKNOWN_PART, t->n_seqs);
    return in->err->status;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* What a first pass over a token file finds out. */
static void size_tokens(csv *in, const columns *c, moe_trace *t)
{
    uint64_t layers = 0, rows = 0;
    t->kind = MOE_TRACE_TOKENS;
    t->has_position = c->position != ABSENT;
    t->has_gate = c->gates[0] != ABSENT;
    t->order = c->sequence != ABSENT ? MOE_ORDER_TIME : MOE_ORDER_NONE;
    for (; next_line(in); rows++) {
        take_order(in, c, t, rows == 0);
        layers = larger(layers, number(in, c->layer, INT32_MAX - 1) + 1);
        t->n_tokens =
            larger(t->n_tokens, number(in, c->token, INT32_MAX - 1) + 1);
        if (c->token_id != ABSENT)
            t->vocab_size = (uint32_t)larger(
                t->vocab_size, number(in, c->token_id, INT32_MAX - 1) + 1);
        if (c->sequence != ABSENT)
            t->n_seqs =
                larger(t->n_seqs, number(in, c->sequence, INT32_MAX - 1) + 1);
    }
    if (c->sequence == ABSENT)
        t->n_seqs = 1;
    t->layers = (int)layers;
    if (in->err->status == MOE_OK &&
        (rows == 0 || rows != layers * t->n_tokens))
        moe_fail(in->err, MOE_FORMAT,
                 "%s: %" PRIu64 " rows are not %" PRIu64 " layers x %" PRIu64
                 " tokens",
                 in->path, rows, layers, t->n_tokens);
    if (in->err->status == MOE_OK && t->n_seqs > t->n_tokens)
        moe_fail(in->err, MOE_FORMAT,
                 "%s: %" PRIu64 " sequences of only %" PRIu64 " tokens",
                 in->path, t->n_seqs, t->n_tokens);
}

/* The row's part of the trace.
 * @param sequence  [n_tokens] as given in the rows */
static void take_token(csv *in, const columns *c, moe_trace *t, uint8_t *seen,
                       uint32_t *sequence)
{
    const size_t k = (size_t)t->top_k;
    /* bounds again: the file may have changed since it was sized */
    const size_t i = number(in, c->token, t->n_tokens - 1);
    const size_t at =
        number(in, c->layer, (uint64_t)t->layers - 1) * t->n_tokens + i;
    if (seen[at]++) {
        complain(in, "layer and token were there before", NULL);
        return;
    }
    for (size_t j = 0; j < k; j++) {
        t->experts_of[at * k + j] =
            (uint16_t)number(in, c->experts[j], (uint64_t)t->experts - 1);
        if (t->has_gate)
            t->gate[at * k + j] = real(in, c->gates[j]);
    }
    if (c->token_id != ABSENT)
        t->token_id[i] = (uint32_t)number(in, c->token_id, t->vocab_size - 1);
    if (c->position != ABSENT)
        t->position[i] = (int32_t)number(in, c->position, INT32_MAX);
    sequence[i] = c->sequence != ABSENT
                      ? (uint32_t)number(in, c->sequence, t->n_seqs - 1)
                      : 0;
    take_part(in, c, &t->seq_part[sequence[i]]);
}

static void find_starts(csv *in, const uint32_t *sequence, moe_trace *t)
{
    uint64_t s = 0;
    for (uint64_t i = 0; i < t->n_tokens; i++) {
        if (sequence[i] == s + 1 && i > 0)
            t->seq_offset[++s] = i;
        if (sequence[i] != s) {
            moe_fail(in->err, MOE_FORMAT,
                     "%s: token %" PRIu64 ": sequence %" PRIu32
                     " is neither %" PRIu64 " nor the next one",
                     in->path, i, sequence[i], s);
            return;
        }
    }
    t->seq_offset[t->n_seqs] = t->n_tokens;
}

static void read_tokens(csv *in, const columns *c, moe_trace *t)
{
    for (int j = 0; j < t->top_k; j++)
        if (c->experts[j] == ABSENT ||
            (c->gates[0] != ABSENT && c->gates[j] == ABSENT))
            complain(in, "fewer expert or gate columns than top_k", NULL);
    if (t->top_k < MOE_MAX_TOP_K && c->experts[t->top_k] != ABSENT)
        complain(in, "more expert columns than top_k", NULL);
    if (in->err->status == MOE_OK)
        size_tokens(in, c, t);
    if (allocate(in, t) != MOE_OK)
        return;
    uint8_t *seen =
        moe_array_new((size_t)t->layers * t->n_tokens, sizeof *seen, in->err);
    uint32_t *sequence = moe_array_new(t->n_tokens, sizeof *sequence, in->err);
    rewind_csv(in);
    while (in->err->status == MOE_OK && next_line(in))
        take_token(in, c, t, seen, sequence);
    if (in->err->status == MOE_OK)
        find_starts(in, sequence, t);
    free(seen);
    free(sequence);
}

static void size_loads(csv *in, const columns *c, moe_trace *t)
{
    uint64_t layers = 0, rows = 0;
    t->kind = MOE_TRACE_LOADS;
    t->ordered = false;
    t->order = MOE_ORDER_TIME;
    for (; next_line(in); rows++) {
        take_order(in, c, t, rows == 0);
        t->n_seqs = larger(t->n_seqs, number(in, c->step, INT32_MAX - 1) + 1);
        layers = larger(layers, number(in, c->layer, INT32_MAX - 1) + 1);
    }
    t->layers = (int)layers;
    if (in->err->status == MOE_OK && (rows == 0 || rows < layers * t->n_seqs))
        moe_fail(in->err, MOE_FORMAT,
                 "%s: %" PRIu64 " rows are too few for %" PRIu64
                 " steps x %" PRIu64 " layers",
                 in->path, rows, t->n_seqs, layers);
}

static void take_count(csv *in, const columns *c, moe_trace *t, uint8_t *seen)
{
    const size_t s = number(in, c->step, t->n_seqs - 1);
    const size_t l = number(in, c->layer, (uint64_t)t->layers - 1);
    const size_t e = number(in, c->expert, (uint64_t)t->experts - 1);
    const size_t at = (s * (size_t)t->layers + l) * (size_t)t->experts + e;
    if (seen[at]++)
        complain(in, "step, layer and expert were there before", NULL);
    t->counts[at] = (uint32_t)number(in, c->count, UINT32_MAX);
    take_part(in, c, &t->seq_part[s]);
}

static void read_loads(csv *in, const columns *c, moe_trace *t)
{
    if (c->step == ABSENT || c->expert == ABSENT || c->count == ABSENT) {
        complain(in,
                 "the heading has neither layer,token,expert0,... nor "
                 "step,layer,expert,count",
                 NULL);
        return;
    }
    size_loads(in, c, t);
    if (allocate(in, t) != MOE_OK)
        return;
    size_t n = 0;
    (void)moe_trace_elements(t, MOE_ARRAY_COUNTS, &n);
    uint8_t *seen = moe_array_new(n, sizeof *seen, in->err);
    rewind_csv(in);
    while (in->err->status == MOE_OK && next_line(in))
        take_count(in, c, t, seen);
    if (in->err->status == MOE_OK)
        moe_trace_count_tokens(t, in->err);
    free(seen);
}

moe_status moe_trace_from_csv(const char *path, moe_trace *trace,
                              bool *split_out, moe_error *err)
{
    moe_error local = {0};
    csv in = {.path = path, .err = &local};
    moe_trace t = *trace;
    columns c;
    if (moe_trace_check_choice(&t, &local) == MOE_OK &&
        open_csv(&in, &c) == MOE_OK && c.layer == ABSENT)
        complain(&in, "the heading has no column 'layer'", NULL);
    if (local.status == MOE_OK && c.token != ABSENT)
        read_tokens(&in, &c, &t);
    else if (local.status == MOE_OK)
        read_loads(&in, &c, &t);
    if (local.status == MOE_OK && moe_trace_validate(&t, &local) != MOE_OK)
        moe_error_prefix(&local, "%s", path);
    close_csv(&in);
    if (local.status == MOE_OK) {
        *trace = t;
        *split_out = c.split != ABSENT;
        return MOE_OK;
    }
    moe_trace_free(&t);
    return moe_pass(err, &local);
}
