/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/trace.h"

enum {
    CELLS_OF_ROW = 4096,  /* loads that a row may stand for */
    MOST_SPARSE = 1 << 24 /* loads that are made in any case */
};

/* A table is read twice: once for its steps, layers and experts, once for its
 * numbers. */
typedef struct {
    const char *path;
    const moe_recording_options *options;
    moe_rows *rows;
    moe_columns c;
    moe_axis steps, layers;
    uint64_t experts, tokens, sequences, ids; /* largest number seen, plus 1 */
    uint64_t n_rows, repeated;
    bool ordered; /* a row has said the order */
    moe_recording *out;
    moe_error *err;
} table;

static bool failed(const table *t)
{
    return t->err->status != MOE_OK;
}

/* Say which line and column is wrong. @return 0. */
static uint64_t complain(table *t, int column, const char *wanted)
{
    char name[48], hint[64] = "";
    const char *text = moe_rows_field(t->rows, (size_t)column);
    snprintf(name, sizeof name, "%.40s", t->c.name[column]);
    if (name[0] == '\0')
        snprintf(name, sizeof name, "column %d", column + 1);
    if (moe_rows_separator(t->rows) == ';' && strchr(text, ',') != NULL)
        snprintf(hint, sizeof hint,
                 "; fields are separated by ';', decimals need a point");
    moe_fail(t->err, MOE_FORMAT, "%s:%" PRIu64 ": %s: '%.40s' is not %s%s",
             t->path, moe_rows_line(t->rows), name, text, wanted, hint);
    return 0;
}

/* @return the number in a column, 0 after an error. */
static uint64_t whole(table *t, int column, uint64_t most)
{
    uint64_t x = 0;
    char wanted[64];
    if (moe_text_whole(moe_rows_field(t->rows, (size_t)column), most, &x))
        return x;
    snprintf(wanted, sizeof wanted, "an integer in 0..%" PRIu64, most);
    return complain(t, column, wanted);
}

static double load(table *t, int column)
{
    double x = 0;
    if (moe_text_load(moe_rows_field(t->rows, (size_t)column), &x) &&
        x <= MOE_MOST_LOAD)
        return x;
    complain(t, column, "a load, a number of 0..2^53");
    return 0;
}

static bool is_total_line(const table *t)
{
    const char *first = moe_rows_field(t->rows, 0);
    return t->c.kind == MOE_TABLE_LONG && isalpha((unsigned char)*first) &&
           (strcasecmp(first, "total") == 0 || strcasecmp(first, "sum") == 0);
}

/* Go to the next row of data. */
static bool next_row(table *t)
{
    while (!failed(t) && moe_rows_next(t->rows, t->err)) {
        if (is_total_line(t))
            continue;
        if (moe_rows_width(t->rows) != t->c.width) {
            moe_fail(t->err, MOE_FORMAT,
                     "%s:%" PRIu64 ": %zu fields where the first row has %zu",
                     t->path, moe_rows_line(t->rows), moe_rows_width(t->rows),
                     t->c.width);
            return false;
        }
        return true;
    }
    return false;
}

/* Before the first row of data. */
static void restart(table *t)
{
    if (moe_rows_rewind(t->rows, t->err) == MOE_OK && !t->c.headless)
        moe_rows_next(t->rows, t->err);
    t->n_rows = 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Rows of a step where rows are not named: all, or the model's layers. */
static uint64_t rows_of_step(const table *t)
{
    return t->c.headless && !t->c.in_comment && t->options->layers > 0
               ? (uint64_t)t->options->layers
               : UINT64_MAX;
}

static int64_t step_of(table *t)
{
    const int column = t->c.role[MOE_ROLE_STEP];
    return column == MOE_NO_COLUMN ? (int64_t)(t->n_rows / rows_of_step(t))
                                   : (int64_t)whole(t, column, INT64_MAX / 2);
}

/* A wide table without layer numbers has its layers in order. */
static int64_t layer_of(table *t)
{
    const int column = t->c.role[MOE_ROLE_LAYER];
    return column == MOE_NO_COLUMN
               ? (int64_t)(t->n_rows % rows_of_step(t))
               : (int64_t)whole(t, column, MOE_MAX_RECORDED_LAYERS - 1);
}

static void size_row(table *t)
{
    const moe_columns *c = &t->c;
    moe_axis_add(&t->layers, layer_of(t), t->err);
    if (c->kind != MOE_TABLE_TOKENS)
        moe_axis_add(&t->steps, step_of(t), t->err);
    if (c->kind == MOE_TABLE_LONG || c->kind == MOE_TABLE_EVENTS)
        t->experts =
            larger(t->experts,
                   whole(t, c->role[MOE_ROLE_EXPERT], MOE_MAX_EXPERTS - 1) + 1);
    if (c->role[MOE_ROLE_TOKEN] != MOE_NO_COLUMN)
        t->tokens = larger(
            t->tokens, whole(t, c->role[MOE_ROLE_TOKEN], UINT32_MAX - 1) + 1);
    if (c->role[MOE_ROLE_SEQUENCE] != MOE_NO_COLUMN)
        t->sequences =
            larger(t->sequences,
                   whole(t, c->role[MOE_ROLE_SEQUENCE], UINT32_MAX - 1) + 1);
    if (c->role[MOE_ROLE_TOKEN_ID] != MOE_NO_COLUMN)
        t->ids = larger(
            t->ids, whole(t, c->role[MOE_ROLE_TOKEN_ID], UINT32_MAX - 1) + 1);
}

/* ---- parts and order ---- */

enum { UNKNOWN = 255 };

static void take_part(table *t, uint8_t *part)
{
    const int column = t->c.role[MOE_ROLE_SPLIT];
    if (column == MOE_NO_COLUMN)
        return;
    const char *text = moe_rows_field(t->rows, (size_t)column);
    const bool test = strcasecmp(text, "test") == 0;
    const uint8_t found = test ? MOE_PART_TEST : MOE_PART_TRAIN;
    if (!test && strcasecmp(text, "train") != 0)
        complain(t, column, "train or test");
    else if (*part != UNKNOWN && *part != found)
        complain(t, column, "what earlier rows of this sequence or step say");
    *part = found;
}

/* Every row says the same. */
static void take_order(table *t)
{
    const int column = t->c.role[MOE_ROLE_ORDER];
    if (column == MOE_NO_COLUMN)
        return;
    const char *text = moe_rows_field(t->rows, (size_t)column);
    const bool time = strcasecmp(text, "time") == 0;
    if (!time && strcasecmp(text, "none") != 0)
        complain(t, column, "time or none");
    else if (t->ordered && t->out->in_time != time)
        complain(t, column, "what earlier rows say");
    t->ordered = true;
    t->out->in_time = time;
}

/* ---- loads ---- */

/* A few rows may claim any number of loads: they are not made of nothing. */
static bool is_sparse(const table *t)
{
    const double cells =
        (double)t->steps.n * (double)t->layers.n * (double)t->experts;
    return t->c.kind != MOE_TABLE_WIDE && cells > MOST_SPARSE &&
           cells > (double)t->n_rows * CELLS_OF_ROW;
}

static moe_status make_loads(table *t)
{
    const bool wide = t->c.kind == MOE_TABLE_WIDE;
    moe_recording *r = t->out;
    if (is_sparse(t))
        return moe_fail(t->err, MOE_FORMAT,
                        "%s: %" PRIu64 " rows are nearly none of the loads of "
                        "%zu steps, %zu layers and %" PRIu64 " experts",
                        t->path, t->n_rows, t->steps.n, t->layers.n,
                        t->experts);
    if (rows_of_step(t) != UINT64_MAX && t->n_rows % rows_of_step(t) != 0)
        return moe_fail(t->err, MOE_FORMAT,
                        "%s: %" PRIu64 " rows are no whole steps of the "
                        "model's %d layers",
                        t->path, t->n_rows, t->options->layers);
    if (moe_recording_make_loads(r, t->path, t->steps.n, t->layers.n,
                                 wide ? (size_t)t->c.n_experts
                                      : (size_t)t->experts,
                                 t->err) != MOE_OK)
        return t->err->status;
    r->numbered = t->c.role[MOE_ROLE_LAYER] != MOE_NO_COLUMN;
    r->by_position = t->c.headless && !t->c.in_comment;
    r->seen_only = !wide;
    for (size_t s = 0; s < r->steps; s++)
        r->step_number[s] = t->steps.value[s];
    for (size_t l = 0; l < t->layers.n; l++)
        r->layer_number[l] = (int32_t)t->layers.value[l];
    if (t->c.role[MOE_ROLE_SPLIT] != MOE_NO_COLUMN)
        r->seq_part = moe_array_new(r->steps, 1, t->err);
    if (r->seq_part != NULL)
        memset(r->seq_part, UNKNOWN, r->steps);
    return t->err->status;
}

/* A total that is the row's sum says nothing new; another one is not
 * understood. */
static void check_total(table *t, double sum)
{
    const int column = t->c.total;
    double x = 0;
    if (column == MOE_NO_COLUMN)
        return;
    x = load(t, column);
    if (!failed(t) && x != sum)
        moe_fail(t->err, MOE_FORMAT,
                 "%s:%" PRIu64 ": %s is %.40s, the loads sum to %g (--ignore "
                 "'%s' drops the column)",
                 t->path, moe_rows_line(t->rows), t->c.name[column],
                 moe_rows_field(t->rows, (size_t)column), sum,
                 t->c.name[column]);
}

/* A column without a name is left out only if it numbers the rows. */
static void check_index(table *t)
{
    if (t->c.index != MOE_NO_COLUMN)
        (void)whole(t, t->c.index, INT64_MAX / 2);
}

static void repeated_row(table *t, const char *what)
{
    const moe_columns *c = &t->c;
    const moe_recording_options *o = t->options;
    t->repeated++;
    for (int k = 0; k < c->n_extra; k++) {
        const char *name = c->name[c->extra[k]];
        bool summed = false;
        for (int j = 0; j < o->n_sum_over; j++)
            summed = summed || strcmp(o->sum_over[j], name) == 0;
        if (!summed) {
            moe_fail(t->err, MOE_FORMAT,
                     "%s:%" PRIu64 ": %s was there before, and column '%s' "
                     "is not understood (--sum-over '%s' adds its rows up)",
                     t->path, moe_rows_line(t->rows), what, name, name);
            return;
        }
    }
}

/* @return a bit for each of n places, all 0. */
static uint64_t *new_seen(size_t n, moe_error *err)
{
    return moe_bulk_new(n / 64 + 1, sizeof(uint64_t), err);
}

/* Note a place as seen. @return whether it was before. */
static bool see(uint64_t *seen, size_t at)
{
    const uint64_t bit = (uint64_t)1 << at % 64;
    const bool before = (seen[at / 64] & bit) != 0;
    seen[at / 64] |= bit;
    moe_bulk_passed(seen + at / 64, 1);
    return before;
}

static void take_wide(table *t, size_t s, size_t l, uint64_t *seen)
{
    const size_t n_e = (size_t)t->out->experts;
    const size_t row = s * (size_t)t->out->layers + l;
    double sum = 0;
    if (see(seen, row))
        repeated_row(t, "this step and layer");
    for (size_t e = 0; e < n_e; e++) {
        const double x = load(t, t->c.expert[e]);
        t->out->load[row * n_e + e] += x;
        sum += x;
    }
    moe_bulk_passed(t->out->load + row * n_e, n_e * sizeof(double));
    check_total(t, sum);
}

static void take_long(table *t, size_t s, size_t l, uint64_t *seen)
{
    const moe_columns *c = &t->c;
    const size_t n_e = (size_t)t->out->experts;
    const size_t e = whole(t, c->role[MOE_ROLE_EXPERT], n_e - 1);
    const size_t at = (s * (size_t)t->out->layers + l) * n_e + e;
    if (failed(t))
        return;
    moe_bulk_passed(t->out->load + at, sizeof(double));
    if (c->kind == MOE_TABLE_EVENTS) {
        t->out->load[at] += 1;
        return;
    }
    if (see(seen, at))
        repeated_row(t, "this step, layer and expert");
    t->out->load[at] += load(t, c->role[MOE_ROLE_COUNT]);
}

static void take_load(table *t, size_t s, size_t l, uint64_t *seen)
{
    if (t->c.kind == MOE_TABLE_WIDE)
        take_wide(t, s, l, seen);
    else
        take_long(t, s, l, seen);
    take_order(t);
    if (t->out->seq_part != NULL)
        take_part(t, &t->out->seq_part[s]);
}

static void read_loads(table *t)
{
    uint64_t *seen = NULL;
    if (make_loads(t) != MOE_OK)
        return;
    const size_t rows = t->out->steps * (size_t)t->out->layers;
    seen = new_seen(
        t->c.kind == MOE_TABLE_WIDE ? rows : rows * (size_t)t->out->experts,
        t->err);
    restart(t);
    for (; !failed(t) && next_row(t); t->n_rows++) {
        const size_t s = moe_axis_find(&t->steps, step_of(t));
        const size_t l = moe_axis_find(&t->layers, layer_of(t));
        check_index(t);
        if (failed(t))
            break;
        if (s == SIZE_MAX || l == SIZE_MAX)
            moe_fail(t->err, MOE_FORMAT, "%s: changes while it is read",
                     t->path);
        else
            take_load(t, s, l, seen);
    }
    moe_bulk_free(seen);
}

/* ---- tokens ---- */

static moe_status make_tokens(table *t)
{
    moe_recording *r = t->out;
    const moe_columns *c = &t->c;
    if (t->n_rows != t->layers.n * t->tokens)
        return moe_fail(t->err, MOE_FORMAT,
                        "%s: %" PRIu64 " rows are not %zu layers x %" PRIu64
                        " tokens",
                        t->path, t->n_rows, t->layers.n, t->tokens);
    if (c->n_gates > 0 && c->n_gates != c->n_experts)
        return moe_fail(t->err, MOE_FORMAT,
                        "%s: %d columns of gates for %d of experts", t->path,
                        c->n_gates, c->n_experts);
    if (moe_recording_make_tokens(r, t->path, t->layers.n, t->tokens,
                                  (size_t)c->n_experts, t->err) != MOE_OK)
        return t->err->status;
    r->numbered = true;
    r->in_time = c->role[MOE_ROLE_SEQUENCE] != MOE_NO_COLUMN;
    for (size_t l = 0; l < t->layers.n; l++)
        r->layer_number[l] = (int32_t)t->layers.value[l];
    const size_t n = t->tokens, all = t->layers.n * n * (size_t)r->top_k;
    if (c->n_gates > 0)
        r->gate = moe_bulk_new(all, sizeof *r->gate, t->err);
    if (c->role[MOE_ROLE_TOKEN_ID] != MOE_NO_COLUMN) {
        r->token_id = moe_bulk_new(n, sizeof *r->token_id, t->err);
        r->vocab_size = (uint32_t)t->ids;
    }
    if (c->role[MOE_ROLE_POSITION] != MOE_NO_COLUMN)
        r->position = moe_bulk_new(n, sizeof *r->position, t->err);
    return t->err->status;
}

/* What is the same in all layers of a token. */
typedef struct {
    uint64_t *seen;     /* [layers][tokens] a bit each */
    uint32_t *sequence; /* [tokens] */
    uint8_t *part;      /* [sequences] moe_split_part; UNKNOWN */
} token_facts;

static void take_choices(table *t, size_t at)
{
    const moe_columns *c = &t->c;
    const size_t k = (size_t)t->out->top_k;
    for (size_t j = 0; j < k; j++) {
        const uint64_t e = whole(t, c->expert[j], MOE_MAX_EXPERTS - 1);
        t->out->experts_of[at * k + j] = (uint16_t)e;
        t->experts = larger(t->experts, e + 1);
        if (t->out->gate != NULL)
            t->out->gate[at * k + j] = (float)load(t, c->gate[j]);
        if (t->out->gate != NULL)
            moe_bulk_passed(t->out->gate + at * k + j, sizeof(float));
    }
}

static void take_token(table *t, token_facts *f)
{
    const moe_columns *c = &t->c;
    moe_recording *r = t->out;
    const size_t l = moe_axis_find(&t->layers, layer_of(t));
    const size_t i = whole(t, c->role[MOE_ROLE_TOKEN], r->n_tokens - 1);
    if (failed(t) || l == SIZE_MAX)
        return;
    if (see(f->seen, l * r->n_tokens + i)) {
        moe_fail(t->err, MOE_FORMAT,
                 "%s:%" PRIu64 ": layer %" PRId32 ", token %zu was there "
                 "before",
                 t->path, moe_rows_line(t->rows), r->layer_number[l], i);
        return;
    }
    take_choices(t, l * r->n_tokens + i);
    moe_bulk_passed(r->experts_of + (l * r->n_tokens + i) * (size_t)r->top_k,
                    (size_t)r->top_k * sizeof *r->experts_of);
    take_order(t);
    if (r->token_id != NULL)
        r->token_id[i] =
            (uint32_t)whole(t, c->role[MOE_ROLE_TOKEN_ID], r->vocab_size - 1);
    if (r->position != NULL)
        r->position[i] =
            (int32_t)whole(t, c->role[MOE_ROLE_POSITION], INT32_MAX);
    if (c->role[MOE_ROLE_SEQUENCE] != MOE_NO_COLUMN)
        f->sequence[i] =
            (uint32_t)whole(t, c->role[MOE_ROLE_SEQUENCE], t->sequences - 1);
    if (!failed(t))
        take_part(t, &f->part[f->sequence[i]]);
}

/* Tokens of a sequence stand together, sequences in order. */
static void find_starts(table *t, const token_facts *f)
{
    moe_recording *r = t->out;
    uint64_t s = 0;
    r->n_seqs = t->sequences;
    r->seq_offset = moe_array_new(r->n_seqs + 1, sizeof *r->seq_offset, t->err);
    for (uint64_t i = 0; !failed(t) && i < r->n_tokens; i++) {
        if (f->sequence[i] == s + 1 && i > 0)
            r->seq_offset[++s] = i;
        if (f->sequence[i] != s)
            moe_fail(t->err, MOE_FORMAT,
                     "%s: token %" PRIu64 ": sequence %" PRIu32
                     " is neither %" PRIu64 " nor the next one",
                     t->path, i, f->sequence[i], s);
    }
    if (!failed(t))
        r->seq_offset[r->n_seqs] = r->n_tokens;
}

static void take_parts(table *t, token_facts *f)
{
    moe_recording *r = t->out;
    if (t->c.role[MOE_ROLE_SPLIT] == MOE_NO_COLUMN || failed(t))
        return;
    r->seq_part = f->part;
    f->part = NULL;
}

static void read_tokens(table *t)
{
    token_facts f = {0};
    if (t->sequences == 0)
        t->sequences = 1;
    if (t->sequences > t->tokens)
        moe_fail(t->err, MOE_FORMAT,
                 "%s: %" PRIu64 " sequences of only %" PRIu64 " tokens",
                 t->path, t->sequences, t->tokens);
    if (failed(t) || make_tokens(t) != MOE_OK)
        return;
    f.seen = new_seen(t->layers.n * t->tokens, t->err);
    f.sequence = moe_bulk_new(t->tokens, sizeof *f.sequence, t->err);
    f.part = moe_array_new(t->sequences, 1, t->err);
    if (f.part != NULL)
        memset(f.part, UNKNOWN, t->sequences);
    restart(t);
    t->experts = 0;
    while (!failed(t) && next_row(t))
        take_token(t, &f);
    t->out->experts = (int)t->experts;
    if (!failed(t))
        find_starts(t, &f);
    take_parts(t, &f);
    free(f.part);
    moe_bulk_free(f.sequence);
    moe_bulk_free(f.seen);
}

/* ---- what was understood ---- */

/* @return whether columns of experts count from 1. */
static bool counts_from_1(const moe_columns *c)
{
    const char *name = c->n_experts > 0 ? c->name[c->expert[0]] : "";
    size_t n = strlen(name);
    while (n > 0 && isdigit((unsigned char)name[n - 1]))
        n--;
    return c->kind == MOE_TABLE_WIDE && !c->headless &&
           strtol(name + n, NULL, 10) == 1;
}

static void remark_columns(table *t)
{
    const moe_columns *c = &t->c;
    moe_remarks *dropped = &t->out->dropped;
    if (moe_rows_separator(t->rows) != ',')
        moe_remark(&t->out->understood, "fields are separated by %s",
                   moe_rows_separator(t->rows) == '\t' ? "tabs" : "semicolons");
    if (c->headless && !c->in_comment)
        moe_remark(&t->out->understood,
                   "no names: rows are layers, columns experts, by position");
    if (c->kind == MOE_TABLE_WIDE && !c->headless && c->n_experts > 0 &&
        isdigit((unsigned char)c->name[c->expert[0]][0]))
        moe_remark(&t->out->understood,
                   "the first row has the names of the experts, %s, ...",
                   c->name[c->expert[0]]);
    if (counts_from_1(c))
        moe_remark(&t->out->understood,
                   "columns of experts count from 1: '%s' is expert 0",
                   c->name[c->expert[0]]);
    if (c->index != MOE_NO_COLUMN)
        moe_remark(dropped, "column '%s' numbers the rows", c->name[c->index]);
    if (c->total != MOE_NO_COLUMN)
        moe_remark(dropped, "column '%s' is the sum of its row",
                   c->name[c->total]);
    for (int k = 0; k < c->n_extra; k++)
        moe_remark(dropped, "column '%s' is not needed", c->name[c->extra[k]]);
    if (t->repeated > 0)
        moe_remark(dropped,
                   "%" PRIu64 " row%s of a step, layer and expert that was "
                   "there before: added up",
                   t->repeated, t->repeated == 1 ? "" : "s");
    if (c->kind == MOE_TABLE_EVENTS)
        moe_remark(&t->out->understood, "a row is an activation");
}

static bool detect(const char *path, const char *head, size_t n)
{
    (void)path;
    return memchr(head, 0, n) == NULL;
}

static moe_status read(const char *path, const moe_recording_options *options,
                       moe_recording *out, moe_error *err)
{
    table t = {.path = path, .options = options, .out = out, .err = err};
    if (moe_rows_open(path, &t.rows, err) != MOE_OK)
        return err->status;
    if (moe_columns_find(t.rows, path, options, &t.c, err) == MOE_OK)
        restart(&t);
    for (; !failed(&t) && next_row(&t); t.n_rows++)
        size_row(&t);
    moe_axis_end(&t.steps);
    moe_axis_end(&t.layers);
    if (!failed(&t) && t.n_rows == 0)
        moe_fail(err, MOE_FORMAT, "%s: has no rows", path);
    if (!failed(&t) && t.c.kind == MOE_TABLE_TOKENS)
        read_tokens(&t);
    else if (!failed(&t))
        read_loads(&t);
    if (!failed(&t))
        remark_columns(&t);
    moe_columns_fini(&t.c);
    moe_axis_fini(&t.steps);
    moe_axis_fini(&t.layers);
    moe_rows_close(t.rows);
    return err->status;
}

const moe_recording_format moe_recording_table = {
    .name = "table",
    .help = "text: a column per expert, a row per load, or a row per token",
    .detect = detect,
    .read = read};
