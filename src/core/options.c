/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/options.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/text.h"

/* Of a refused text in a message, so that what is allowed fits behind it. */
enum { MAX_SHOWN = 64 };

static const struct {
    const char *text;
    bool value;
} booleans[] = {{"true", true}, {"false", false}, {"yes", true},
                {"no", false},  {"on", true},     {"off", false}};

static moe_status refuse(const moe_opt *row, const char *text, moe_error *err)
{
    char allowed[256];
    moe_opt_allowed(row, allowed, sizeof allowed);
    bool cut = strlen(text) > MAX_SHOWN;
    return moe_fail(err, MOE_USAGE, "%s: '%.*s%s' is not %s", row->key,
                    MAX_SHOWN, text, cut ? "..." : "", allowed);
}

static bool parse_int(const moe_opt *row, const char *text, void *at)
{
    char *end = NULL;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 ||
        isspace((unsigned char)*text))
        return false;
    if (v < INT_MIN || v > INT_MAX || (double)v < row->min ||
        (double)v > row->max)
        return false;
    *(int *)at = (int)v;
    return true;
}

static bool parse_u64(const moe_opt *row, const char *text, void *at)
{
    char *end = NULL;
    errno = 0;
    if (!isdigit((unsigned char)*text))
        return false;
    unsigned long long v = strtoull(text, &end, 10);
    if (*end != '\0' || errno != 0)
        return false;
    /* As integers: as doubles 2^53 + 1 would not exceed a limit of 2^53. */
    if ((row->min > 0 && v < (uint64_t)row->min) ||
        (row->max < 0x1p64 && v > (uint64_t)row->max))
        return false;
    *(uint64_t *)at = v;
    return true;
}

/* What a number may end in, by the unit of its row. */
static const struct {
    const char *unit, *suffix; /* behind a prefix */
    bool binary;               /* Ki, Mi, ... too */
} suffixes[] = {{"B", "B", true},
                {"B s-1", "B/s", true},
                {"s", "s", false},
                {"s-1", "FLOP/s", false}};

static const struct {
    const char *text;
    double factor;
} prefixes[] = {{"", 1},       {"k", 1e3},     {"M", 1e6},     {"G", 1e9},
                {"T", 1e12},   {"P", 1e15},    {"m", 1e-3},    {"u", 1e-6},
                {"n", 1e-9},   {"Ki", 0x1p10}, {"Mi", 0x1p20}, {"Gi", 0x1p30},
                {"Ti", 0x1p40}};

/* @return what a suffix stands for, in the unit of the row; 0: it is none. */
static double factor_of(const moe_opt *row, const char *suffix)
{
    for (size_t i = 0; row->unit != NULL && i < MOE_ARRAY_LEN(suffixes); i++) {
        const size_t all = strlen(suffix), n = strlen(suffixes[i].suffix);
        if (strcmp(suffixes[i].unit, row->unit) != 0 || all < n ||
            strcmp(suffix + all - n, suffixes[i].suffix) != 0)
            continue;
        for (size_t p = 0; p < MOE_ARRAY_LEN(prefixes); p++) {
            const char *text = prefixes[p].text;
            const bool binary = strchr(text, 'i') != NULL;
            if (strlen(text) == all - n && strncmp(suffix, text, all - n) == 0)
                return (binary && !suffixes[i].binary) ||
                               (prefixes[p].factor < 1 && suffixes[i].binary)
                           ? 0
                           : prefixes[p].factor;
        }
    }
    return *suffix == '\0' ? 1 : 0;
}

static bool parse_real(const moe_opt *row, const char *text, void *at)
{
    char *end = NULL;
    errno = 0;
    double v = strtod(text, &end);
    /* The C library also reports denormal numbers, which are fine. */
    bool overflow = errno == ERANGE && (isinf(v) || v == 0);
    const double factor = end != text ? factor_of(row, end) : 0;
    v *= factor;
    if (end == text || factor == 0 || overflow || isnan(v) ||
        isspace((unsigned char)*text) || v < row->min || v > row->max)
        return false;
    *(double *)at = v;
    return true;
}

static bool parse_bool(const char *text, void *at)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(booleans); i++)
        if (strcmp(text, booleans[i].text) == 0) {
            *(bool *)at = booleans[i].value;
            return true;
        }
    return false;
}

static bool parse_enum(const moe_opt *row, const char *text, void *at)
{
    for (int i = 0; row->choices[i] != NULL; i++)
        if (strcmp(text, row->choices[i]) == 0) {
            *(int *)at = i;
            return true;
        }
    return false;
}

static bool parse_text(const moe_opt *row, const char *text, void *at)
{
    size_t len = strlen(text);
    if (len >= row->size)
        return false;
    memset(at, 0, row->size); /* equal values are equal bytes */
    memcpy(at, text, len);
    return true;
}

static bool in_range(const moe_opt *row, const moe_reals *list)
{
    for (int i = 0; i < list->n; i++)
        if (!(list->x[i] >= row->min && list->x[i] <= row->max))
            return false;
    return list->n > 0;
}

/* A number that ends in `mark` or with the text; moves on behind the mark. */
static bool take_real(const char **at, char mark, double *out)
{
    char *end = NULL;
    *out = strtod(*at, &end);
    if (end == *at || !isfinite(*out) || (*end != mark && *end != '\0'))
        return false;
    *at = *end == mark ? end + 1 : end;
    return true;
}

/* from:to:step, both ends included. */
static bool parse_range(const char *text, moe_reals *out)
{
    double from, to, step;
    const char *at = text;
    if (!take_real(&at, ':', &from) || !take_real(&at, ':', &to) ||
        !take_real(&at, '\0', &step))
        return false;
    const double n = floor((to - from) / step + 1e-9) + 1;
    if (!(step > 0 && n >= 1 && n <= MOE_OPT_MAX_REALS))
        return false;
    for (out->n = 0; out->n < (int)n; out->n++)
        out->x[out->n] = from + out->n * step;
    return true;
}

static bool parse_list(const char *text, moe_reals *out)
{
    for (const char *at = text; *at != '\0'; out->n++) {
        const char *comma = strchr(at, ',');
        if (out->n == MOE_OPT_MAX_REALS ||
            (comma != NULL && comma[1] == '\0') ||
            !take_real(&at, ',', &out->x[out->n]))
            return false;
    }
    return true;
}

static bool parse_reals(const moe_opt *row, const char *text, void *at)
{
    moe_reals list = {.n = 0};
    const bool range = strchr(text, ':') != NULL;
    if (!(range ? parse_range(text, &list) : parse_list(text, &list)) ||
        !in_range(row, &list))
        return false;
    *(moe_reals *)at = list;
    return true;
}

static moe_status add_string(const char *text, moe_strings *list,
                             moe_error *err)
{
    const size_t n = (size_t)list->n + 1;
    const char **more = realloc(list->text, n * sizeof *more);
    if (more == NULL)
        return moe_fail(err, MOE_NOMEM, "out of memory");
    more[list->n++] = text;
    list->text = more;
    return MOE_OK;
}

static moe_status call(const moe_opt *row, const char *text, void *at,
                       moe_error *err)
{
    moe_error local = {0};
    if (row->parse(text, at, &local) != MOE_OK)
        moe_error_prefix(&local, "%s", row->key);
    return moe_pass(err, &local);
}

moe_status moe_opt_parse(const moe_opt *row, const char *text, void *settings,
                         moe_error *err)
{
    void *at = (char *)settings + row->offset;
    bool ok = false;
    switch (row->type) {
    case MOE_OPT_INT:
        ok = parse_int(row, text, at);
        break;
    case MOE_OPT_U64:
        ok = parse_u64(row, text, at);
        break;
    case MOE_OPT_REAL:
        ok = parse_real(row, text, at);
        break;
    case MOE_OPT_BOOL:
        ok = parse_bool(text, at);
        break;
    case MOE_OPT_TEXT:
        ok = parse_text(row, text, at);
        break;
    case MOE_OPT_ENUM:
        ok = parse_enum(row, text, at);
        break;
    case MOE_OPT_REALS:
        ok = parse_reals(row, text, at);
        break;
    case MOE_OPT_STRING:
        *(const char **)at = text;
        ok = true;
        break;
    case MOE_OPT_STRINGS:
        return add_string(text, at, err);
    case MOE_OPT_CALL:
        return call(row, text, at, err);
    }
    return ok ? MOE_OK : refuse(row, text, err);
}

void moe_opt_defaults(const moe_opt *rows, void *settings)
{
    for (const moe_opt *row = rows; row != NULL && row->key != NULL; row++) {
        const bool text = row->type == MOE_OPT_TEXT;
        if (row->initial == NULL || (*row->initial == '\0' && !text))
            continue;
        moe_error err = {0};
        moe_opt_parse(row, row->initial, settings, &err);
        assert(err.status == MOE_OK && "a default that does not parse");
    }
}

void moe_opt_release(const moe_opt *rows, void *settings)
{
    for (const moe_opt *row = rows; row != NULL && row->key != NULL; row++) {
        if (row->type != MOE_OPT_STRINGS)
            continue;
        moe_strings *list = (void *)((char *)settings + row->offset);
        free(list->text);
        *list = (moe_strings){0};
    }
}

const moe_opt *moe_opt_find(const moe_opt *rows, const char *key)
{
    for (const moe_opt *row = rows; row != NULL && row->key != NULL; row++)
        if (strcmp(row->key, key) == 0)
            return row;
    return NULL;
}

/* The shortest of %.6g to %.17g that reads back to the same double. */
static void format_real(double v, char *text, size_t size)
{
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            return;
    }
}

static void format_reals(const moe_reals *list, char *text, size_t size)
{
    text[0] = '\0';
    for (int i = 0; i < list->n; i++) {
        char x[32];
        format_real(list->x[i], x, sizeof x);
        moe_text_add(text, size, ",", "%s", x);
    }
}

void moe_opt_format(const moe_opt *row, const void *settings, char *text,
                    size_t size)
{
    const void *at = (const char *)settings + row->offset;
    switch (row->type) {
    case MOE_OPT_INT:
        snprintf(text, size, "%d", *(const int *)at);
        break;
    case MOE_OPT_U64:
        snprintf(text, size, "%" PRIu64, *(const uint64_t *)at);
        break;
    case MOE_OPT_REAL:
        format_real(*(const double *)at, text, size);
        break;
    case MOE_OPT_BOOL:
        snprintf(text, size, "%s", *(const bool *)at ? "true" : "false");
        break;
    case MOE_OPT_TEXT:
        snprintf(text, size, "%s", (const char *)at);
        break;
    case MOE_OPT_ENUM:
        snprintf(text, size, "%s", row->choices[*(const int *)at]);
        break;
    case MOE_OPT_REALS:
        format_reals(at, text, size);
        break;
    case MOE_OPT_STRING:
    case MOE_OPT_STRINGS:
    case MOE_OPT_CALL:
        text[0] = '\0';
        break;
    }
}

static void allowed_enum(const moe_opt *row, char *text, size_t size)
{
    snprintf(text, size, "one of ");
    for (int i = 0; row->choices[i] != NULL; i++)
        moe_text_add(text, size, i > 0 ? ", " : "", "%s", row->choices[i]);
}

static const char *example_of(const moe_opt *row)
{
    static const char *const examples[] = {", as in 80GiB", ", as in 448GB/s",
                                           ", as in 5us", ", as in 312TFLOP/s"};
    _Static_assert(MOE_ARRAY_LEN(examples) == MOE_ARRAY_LEN(suffixes), "");
    for (size_t i = 0; row->unit != NULL && i < MOE_ARRAY_LEN(suffixes); i++)
        if (strcmp(suffixes[i].unit, row->unit) == 0)
            return examples[i];
    return "";
}

void moe_opt_allowed(const moe_opt *row, char *text, size_t size)
{
    const char *unit =
        row->unit != NULL && strcmp(row->unit, "1") != 0 ? row->unit : "";
    const char *gap = *unit != '\0' ? " " : "";
    switch (row->type) {
    case MOE_OPT_INT:
    case MOE_OPT_U64:
        snprintf(text, size, "an integer in %.0f..%.0f%s%s", row->min, row->max,
                 gap, unit);
        break;
    case MOE_OPT_REAL:
        snprintf(text, size, "a number in %g..%g%s%s%s", row->min, row->max,
                 gap, unit, example_of(row));
        break;
    case MOE_OPT_BOOL:
        snprintf(text, size, "true or false");
        break;
    case MOE_OPT_TEXT:
        snprintf(text, size, "a text of at most %zu characters", row->size - 1);
        break;
    case MOE_OPT_ENUM:
        allowed_enum(row, text, size);
        break;
    case MOE_OPT_REALS:
        snprintf(text, size,
                 "a list x,y,... or from:to:step of at most %d numbers in "
                 "%g..%g%s%s",
                 MOE_OPT_MAX_REALS, row->min, row->max, gap, unit);
        break;
    case MOE_OPT_STRING:
    case MOE_OPT_STRINGS:
    case MOE_OPT_CALL:
        snprintf(text, size, "%s", row->form != NULL ? row->form : "a text");
        break;
    }
}
