/* SPDX-License-Identifier: Apache-2.0 */
#include "columns.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Usual spellings, in small letters with `_` for blanks and dashes. */
static const struct {
    moe_role role;
    const char *name;
} spellings[] = {
    {MOE_ROLE_STEP, "step"},
    {MOE_ROLE_STEP, "iteration"},
    {MOE_ROLE_STEP, "iter"},
    {MOE_ROLE_STEP, "pass"},
    {MOE_ROLE_STEP, "batch"},
    {MOE_ROLE_STEP, "forward_pass_id"},
    {MOE_ROLE_LAYER, "layer"},
    {MOE_ROLE_LAYER, "layer_id"},
    {MOE_ROLE_LAYER, "layer_idx"},
    {MOE_ROLE_LAYER, "layer_index"},
    {MOE_ROLE_EXPERT, "expert"},
    {MOE_ROLE_EXPERT, "expert_id"},
    {MOE_ROLE_EXPERT, "expert_idx"},
    {MOE_ROLE_EXPERT, "expert_index"},
    {MOE_ROLE_COUNT, "count"},
    {MOE_ROLE_COUNT, "counts"},
    {MOE_ROLE_COUNT, "load"},
    {MOE_ROLE_COUNT, "tokens"},
    {MOE_ROLE_COUNT, "num_tokens"},
    {MOE_ROLE_COUNT, "token_count"},
    {MOE_ROLE_TOKEN, "token"},
    {MOE_ROLE_TOKEN, "token_idx"},
    {MOE_ROLE_TOKEN, "token_index"},
    {MOE_ROLE_SEQUENCE, "sequence"},
    {MOE_ROLE_SEQUENCE, "sequence_id"},
    {MOE_ROLE_SEQUENCE, "seq"},
    {MOE_ROLE_SEQUENCE, "seq_id"},
    {MOE_ROLE_SEQUENCE, "request"},
    {MOE_ROLE_SEQUENCE, "request_id"},
    {MOE_ROLE_POSITION, "position"},
    {MOE_ROLE_POSITION, "pos"},
    {MOE_ROLE_TOKEN_ID, "token_id"},
    {MOE_ROLE_TOKEN_ID, "input_id"},
    {MOE_ROLE_SPLIT, "split"},
    {MOE_ROLE_ORDER, "order"},
};

static const char *const totals[] = {"total", "sum"};
static const char *const gates[] = {"gate", "weight", "topk_weight"};

/* What `moegps` calls a role when it asks for one. */
static const char *const role_names[MOE_N_ROLES] = {
    [MOE_ROLE_STEP] = "step",         [MOE_ROLE_LAYER] = "layer",
    [MOE_ROLE_EXPERT] = "expert",     [MOE_ROLE_COUNT] = "count",
    [MOE_ROLE_TOKEN] = "token",       [MOE_ROLE_SEQUENCE] = "sequence",
    [MOE_ROLE_POSITION] = "position", [MOE_ROLE_TOKEN_ID] = "token_id",
    [MOE_ROLE_SPLIT] = "split",       [MOE_ROLE_ORDER] = "order"};

enum { NAME_LEN = MOE_COLUMN_NAME_LEN };

static bool is_one_of(const char *name, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* Cut the number off a name's end. @return it, or -1. */
static long number_of(const char *name, char *prefix)
{
    size_t n = strlen(name), digits = n;
    while (digits > 0 && isdigit((unsigned char)name[digits - 1]))
        digits--;
    if (digits == n || n - digits > 6)
        return -1;
    memcpy(prefix, name, digits);
    prefix[digits] = '\0';
    return strtol(name + digits, NULL, 10);
}

static bool is_ignored(const moe_recording_options *o, const char *name)
{
    for (int i = 0; i < o->n_ignore; i++)
        if (strcmp(o->ignore[i], name) == 0)
            return true;
    return false;
}

/* ---- names ---- */

/* @return whether the fields are numbers, and not the names 0, 1, 2 or 1, 2,
 * 3. */
static bool lacks_names(const moe_rows *rows)
{
    bool from_0 = true, from_1 = true;
    for (size_t c = 0; c < moe_rows_width(rows); c++) {
        double x;
        if (!moe_text_load(moe_rows_field(rows, c), &x))
            return false;
        from_0 = from_0 && x == (double)c;
        from_1 = from_1 && x == (double)c + 1;
    }
    return !from_0 && !from_1;
}

/* Take over names from a comment, if there are as many words as fields and
 * one of them is a layer. */
static bool take_comment(const moe_rows *rows, moe_columns *c, moe_error *err)
{
    char text[4096], *rest = NULL;
    const char sep[] = {moe_rows_separator(rows), '\0'};
    bool layer = false;
    size_t n = 0;
    snprintf(text, sizeof text, "%s", moe_rows_comment(rows));
    for (char *word = strtok_r(text, sep, &rest); word != NULL && n < c->width;
         word = strtok_r(NULL, sep, &rest)) {
        char plain[NAME_LEN];
        while (*word == ' ')
            word++;
        moe_column_name(word, plain);
        layer = layer || strncmp(plain, "layer", 5) == 0;
        c->name[n++] = moe_strdup(word, err);
    }
    if (n == c->width && layer && rest != NULL && *rest == '\0')
        return true;
    while (n > 0)
        free(c->name[--n]);
    return false;
}

static void take_names(const moe_rows *rows, moe_columns *c, moe_error *err)
{
    c->headless = lacks_names(rows);
    c->in_comment = c->headless && take_comment(rows, c, err);
    for (size_t i = 0; i < c->width && !c->in_comment; i++)
        c->name[i] =
            moe_strdup(c->headless ? "" : moe_rows_field(rows, i), err);
}

static moe_status check_names(const char *path, uint64_t line,
                              const moe_columns *c, moe_error *err)
{
    for (size_t i = 0; i < c->width; i++)
        for (size_t j = 0; j < i; j++)
            if (c->name[i][0] != '\0' && strcmp(c->name[i], c->name[j]) == 0)
                return moe_fail(err, MOE_FORMAT, "%s:%llu: column '%s' twice",
                                path, (unsigned long long)line, c->name[i]);
    return MOE_OK;
}

/* ---- roles ---- */

static moe_status take_roles(const char *path, moe_columns *c, bool *taken,
                             moe_error *err)
{
    for (int r = 0; r < MOE_N_ROLES; r++)
        c->role[r] = MOE_NO_COLUMN;
    for (size_t i = 0; i < c->width; i++) {
        char plain[NAME_LEN];
        moe_column_name(c->name[i], plain);
        for (size_t k = 0; k < MOE_ARRAY_LEN(spellings) && !taken[i]; k++) {
            if (strcmp(spellings[k].name, plain) != 0)
                continue;
            int *role = &c->role[spellings[k].role];
            if (*role != MOE_NO_COLUMN)
                return moe_fail(err, MOE_FORMAT,
                                "%s: columns '%s' and '%s' both say the %s "
                                "(--ignore one of them)",
                                path, c->name[*role], c->name[i],
                                role_names[spellings[k].role]);
            *role = (int)i;
            taken[i] = true;
        }
    }
    return MOE_OK;
}

/* A group of columns whose names are a prefix and a run of numbers. */
typedef struct {
    char prefix[NAME_LEN];
    int *column; /* [n] by number */
    int n;
} group;

/* Find the columns of a prefix. @return MOE_FORMAT: its numbers are no run
 * from 0 or 1. */
static moe_status find_group(const char *path, const moe_columns *c,
                             const bool *taken, const char *prefix, group *out,
                             moe_error *err)
{
    long least = -1, most = -1;
    int n = 0;
    char own[NAME_LEN], plain[NAME_LEN];
    for (size_t i = 0; i < c->width; i++) {
        moe_column_name(c->name[i], plain);
        const long x = taken[i] ? -1 : number_of(plain, own);
        if (x < 0 || strcmp(own, prefix) != 0)
            continue;
        least = least < 0 || x < least ? x : least;
        most = x > most ? x : most;
        n++;
    }
    snprintf(out->prefix, sizeof out->prefix, "%s", prefix);
    out->n = 0;
    if (n == 0)
        return MOE_OK;
    if (least > 1 || most - least + 1 != n)
        return moe_fail(err, MOE_FORMAT,
                        "%s: columns '%s%ld' .. '%s%ld' are %d: numbers from 0 "
                        "without a gap are wanted",
                        path, prefix, least, prefix, most, n);
    out->column = moe_array_new((size_t)n, sizeof *out->column, err);
    if (out->column == NULL)
        return err->status;
    for (size_t i = 0; i < c->width; i++) {
        moe_column_name(c->name[i], plain);
        const long x = taken[i] ? -1 : number_of(plain, own);
        if (x >= 0 && strcmp(own, prefix) == 0)
            out->column[x - least] = (int)i;
    }
    out->n = n;
    return MOE_OK;
}

/* @return the prefix that most numbered columns have, but for gates; "" and
 * *n_out 0: none. */
static const char *largest_prefix(const moe_columns *c, const bool *taken,
                                  char *prefix, int *n_out)
{
    char own[NAME_LEN], other[NAME_LEN], plain[NAME_LEN];
    *n_out = 0;
    prefix[0] = '\0';
    for (size_t i = 0; i < c->width; i++) {
        int n = 0;
        moe_column_name(c->name[i], plain);
        if (taken[i] || number_of(plain, own) < 0 ||
            is_one_of(own, gates, MOE_ARRAY_LEN(gates)))
            continue;
        for (size_t j = i; j < c->width; j++) {
            moe_column_name(c->name[j], plain);
            n += !taken[j] && number_of(plain, other) >= 0 &&
                 strcmp(own, other) == 0;
        }
        if (n > *n_out) {
            *n_out = n;
            snprintf(prefix, NAME_LEN, "%s", own);
        }
    }
    return prefix;
}

static void mark(const group *g, bool *taken)
{
    for (int k = 0; k < g->n; k++)
        taken[g->column[k]] = true;
}

/* Columns of experts, and of gates. */
static moe_status take_groups(const char *path, moe_columns *c, bool *taken,
                              moe_error *err)
{
    char prefix[NAME_LEN];
    int n = 0;
    group g = {.n = 0};
    largest_prefix(c, taken, prefix, &n);
    const bool tokens = c->role[MOE_ROLE_TOKEN] != MOE_NO_COLUMN;
    if (n > (tokens ? 0 : 1)) {
        if (find_group(path, c, taken, prefix, &g, err) != MOE_OK)
            return err->status;
        mark(&g, taken);
        c->expert = g.column;
        c->n_experts = g.n;
    }
    for (size_t k = 0; tokens && k < MOE_ARRAY_LEN(gates) && c->n_gates == 0;
         k++) {
        g = (group){.n = 0};
        if (find_group(path, c, taken, gates[k], &g, err) != MOE_OK)
            return err->status;
        mark(&g, taken);
        c->gate = g.column;
        c->n_gates = g.n;
    }
    return MOE_OK;
}

static void take_rest(const moe_recording_options *o, moe_columns *c,
                      bool *taken, moe_error *err)
{
    c->index = c->total = MOE_NO_COLUMN;
    c->extra = moe_array_new(c->width, sizeof *c->extra, err);
    for (size_t i = 0; c->extra != NULL && i < c->width; i++) {
        char plain[NAME_LEN];
        moe_column_name(c->name[i], plain);
        if (taken[i] || is_ignored(o, c->name[i]))
            continue;
        if (i == 0 && (plain[0] == '\0' || strcmp(plain, "unnamed:_0") == 0 ||
                       strcmp(plain, "index") == 0))
            c->index = 0;
        else if (is_one_of(plain, totals, MOE_ARRAY_LEN(totals)))
            c->total = (int)i;
        else
            c->extra[c->n_extra++] = (int)i;
    }
}

/* ---- what kind of table ---- */

static void list_names(const moe_columns *c, char *text, size_t size)
{
    size_t n = 0;
    text[0] = '\0';
    for (size_t i = 0; i < c->width && n < size; i++) {
        if (i == 8 && c->width > 9) {
            snprintf(text + n, size - n, ", ... (%zu)", c->width);
            return;
        }
        n += (size_t)snprintf(text + n, size - n, "%s'%.24s'",
                              i > 0 ? ", " : "", c->name[i]);
    }
}

static moe_status refuse(const char *path, const moe_columns *c,
                         const char *what, moe_error *err)
{
    char names[320];
    list_names(c, names, sizeof names);
    return moe_fail(err, MOE_FORMAT, "%s: columns %s: %s", path, names, what);
}

/* Roles that a kind of table has. */
static const bool has_role[][MOE_N_ROLES] = {
    [MOE_TABLE_WIDE] = {[MOE_ROLE_STEP] = true,
                        [MOE_ROLE_LAYER] = true,
                        [MOE_ROLE_SPLIT] = true,
                        [MOE_ROLE_ORDER] = true},
    [MOE_TABLE_LONG] = {[MOE_ROLE_STEP] = true,
                        [MOE_ROLE_LAYER] = true,
                        [MOE_ROLE_EXPERT] = true,
                        [MOE_ROLE_COUNT] = true,
                        [MOE_ROLE_SPLIT] = true,
                        [MOE_ROLE_ORDER] = true},
    [MOE_TABLE_EVENTS] = {[MOE_ROLE_STEP] = true,
                          [MOE_ROLE_LAYER] = true,
                          [MOE_ROLE_EXPERT] = true},
    [MOE_TABLE_TOKENS] = {[MOE_ROLE_LAYER] = true,
                          [MOE_ROLE_TOKEN] = true,
                          [MOE_ROLE_SEQUENCE] = true,
                          [MOE_ROLE_POSITION] = true,
                          [MOE_ROLE_TOKEN_ID] = true,
                          [MOE_ROLE_SPLIT] = true,
                          [MOE_ROLE_ORDER] = true},
};

/* Columns that are something elsewhere are nothing here. */
static void demote(moe_columns *c)
{
    for (int r = 0; r < MOE_N_ROLES; r++)
        if (c->role[r] != MOE_NO_COLUMN && !has_role[c->kind][r]) {
            c->extra[c->n_extra++] = c->role[r];
            c->role[r] = MOE_NO_COLUMN;
        }
}

static bool lacks(const moe_columns *c, moe_role role)
{
    return c->role[role] == MOE_NO_COLUMN;
}

static moe_status check_wide(const char *path, const moe_columns *c,
                             moe_error *err)
{
    if (c->n_experts == 0)
        return refuse(path, c,
                      "wanted are layer, expert and count; or a column per "
                      "expert, as 0, 1, ... or e0, e1, ...",
                      err);
    if (c->n_extra > 0)
        return moe_fail(err, MOE_FORMAT,
                        "%s: column '%s' is neither an expert nor a step or "
                        "layer (--ignore '%s' drops it)",
                        path, c->name[c->extra[0]], c->name[c->extra[0]]);
    if (!lacks(c, MOE_ROLE_STEP) && lacks(c, MOE_ROLE_LAYER))
        return refuse(path, c, "steps need a column 'layer'", err);
    return MOE_OK;
}

static moe_status choose_kind(const char *path, moe_columns *c, moe_error *err)
{
    c->kind = !lacks(c, MOE_ROLE_TOKEN)   ? MOE_TABLE_TOKENS
              : lacks(c, MOE_ROLE_EXPERT) ? MOE_TABLE_WIDE
              : !lacks(c, MOE_ROLE_COUNT) ? MOE_TABLE_LONG
                                          : MOE_TABLE_EVENTS;
    demote(c);
    if (c->kind == MOE_TABLE_WIDE)
        return check_wide(path, c, err);
    if (lacks(c, MOE_ROLE_LAYER))
        return refuse(path, c, "a column 'layer' is missing", err);
    if (c->kind == MOE_TABLE_TOKENS && c->n_experts == 0)
        return refuse(path, c,
                      "a table of tokens has layer, token, expert0, ...", err);
    if (c->kind == MOE_TABLE_EVENTS && c->n_extra > 0)
        return refuse(path, c,
                      "a column of loads ('count', 'load' or 'tokens') is "
                      "missing; a row per activation has layer and expert "
                      "alone",
                      err);
    return MOE_OK;
}

/* Without names every column is an expert. */
static moe_status by_position(moe_columns *c, moe_error *err)
{
    for (int r = 0; r < MOE_N_ROLES; r++)
        c->role[r] = MOE_NO_COLUMN;
    c->index = c->total = MOE_NO_COLUMN;
    c->kind = MOE_TABLE_WIDE;
    c->n_experts = (int)c->width;
    c->expert = moe_array_new(c->width, sizeof *c->expert, err);
    for (int e = 0; c->expert != NULL && e < c->n_experts; e++)
        c->expert[e] = e;
    return err->status;
}

moe_status moe_columns_find(moe_rows *rows, const char *path,
                            const moe_recording_options *options,
                            moe_columns *out, moe_error *err)
{
    moe_error local = {0};
    moe_columns c = {.width = 0};
    bool *taken = NULL;
    if (!moe_rows_next(rows, &local))
        return moe_pass(err, &local);
    c.width = moe_rows_width(rows);
    c.name = moe_array_new(c.width, sizeof *c.name, &local);
    taken = moe_array_new(c.width, sizeof *taken, &local);
    if (local.status == MOE_OK)
        take_names(rows, &c, &local);
    if (local.status == MOE_OK && c.headless && !c.in_comment) {
        by_position(&c, &local);
    } else if (local.status == MOE_OK &&
               check_names(path, moe_rows_line(rows), &c, &local) == MOE_OK &&
               take_roles(path, &c, taken, &local) == MOE_OK &&
               take_groups(path, &c, taken, &local) == MOE_OK) {
        take_rest(options, &c, taken, &local);
        if (local.status == MOE_OK)
            choose_kind(path, &c, &local);
    }
    free(taken);
    if (local.status == MOE_OK)
        moe_rows_rewind(rows, &local);
    if (local.status == MOE_OK) {
        *out = c;
        return MOE_OK;
    }
    moe_columns_fini(&c);
    return moe_pass(err, &local);
}

void moe_columns_fini(moe_columns *c)
{
    for (size_t i = 0; c->name != NULL && i < c->width; i++)
        free(c->name[i]);
    free(c->name);
    free(c->expert);
    free(c->gate);
    free(c->extra);
    *c = (moe_columns){0};
}
