/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/experiment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/text.h"

/* Settings as text. */

/* @return bytes of the UTF-8 character at c, its number in *code_out. */
static int decode(const unsigned char *c, unsigned long *code_out)
{
    const int n = *c < 0x80 ? 1 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : 4;
    unsigned long code = n == 1 ? *c : *c & (0xffu >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((c[i] & 0xc0) != 0x80) { /* not UTF-8: byte by byte */
            *code_out = *c;
            return 1;
        }
        code = code << 6 | (c[i] & 0x3fu);
    }
    *code_out = code;
    return n;
}

/* Print a YAML scalar in double quotes. What YAML does not allow raw, and the
 * line breaks that it would fold, are escaped. */
static void print_quoted(FILE *out, const char *text)
{
    const unsigned char *c = (const unsigned char *)text;
    fputc('"', out);
    while (*c != '\0') {
        unsigned long code = 0;
        int n = decode(c, &code);
        bool raw = (code >= 0x20 && code < 0x7f) ||
                   (code >= 0xa0 && code < 0xd800) ||
                   (code >= 0xe000 && code < 0xfffe) || code >= 0x10000;
        if (code == '"' || code == '\\')
            fprintf(out, "\\%c", (int)code);
        else if (!raw || code == 0x2028 || code == 0x2029 || code == 0xfeff)
            fprintf(out, "\\u%04lx", code);
        else
            fprintf(out, "%.*s", n, (const char *)c);
        c += n;
    }
    fputc('"', out);
}

static void print_options(FILE *out, const moe_opt *rows, const void *settings,
                          const char *indent, const char *end)
{
    for (; rows != NULL && rows->key != NULL; rows++) {
        char value[1100];
        moe_opt_format(rows, settings, value, sizeof value);
        fprintf(out, "%s%s: ", indent, rows->key);
        if (rows->type != MOE_OPT_TEXT) {
            fprintf(out, "%s%s", value, end);
            continue;
        }
        print_quoted(out, value);
        fputs(end, out);
    }
}

static void print_strategy(FILE *out, const moe_strategy *s)
{
    if (s->n_candidates > 0) {
        fputs("name: ", out);
        print_quoted(out, s->name);
        fputs(", ", out);
        print_options(out, moe_choice_options, s, "", ", ");
        return;
    }
    print_options(out, moe_strategy_options, s, "", ", ");
    print_options(out, s->predictor->opts, s->predictor_params, "", ", ");
    print_options(out, s->planner->opts, s->planner_params, "", ", ");
    print_options(out, s->split->opts, s->split_params, "", ", ");
}

char *moe_experiment_resolved(const moe_experiment *x)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        return NULL;
    print_options(out, moe_experiment_options, x, "", "\n");
    fputs("workload:\n", out);
    print_options(out, moe_workload_options, &x->workload, "  ", "\n");
    fputs("emulation:\n", out);
    print_options(out, moe_emulation_options, &x->emulation, "  ", "\n");
    if (!moe_serving_is_default(&x->serving)) {
        fputs("serving:\n", out);
        print_options(out, moe_serving_options, &x->serving, "  ", "\n");
    }
    fputs("strategies:\n", out);
    for (int i = 0; i < x->n_strategies; i++) {
        fputs("  - {", out);
        print_strategy(out, &x->strategy[i]);
        fputs("}\n", out);
    }
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

/* Append the settings of some rows, "key: value, ". */
static void append_settings(char *text, size_t size, const moe_opt *rows,
                            const void *settings)
{
    for (; rows != NULL && rows->key != NULL; rows++) {
        char value[1100];
        moe_opt_format(rows, settings, value, sizeof value);
        moe_text_add(text, size, "", "%s: %s, ", rows->key, value);
    }
}

void moe_experiment_strategy_facts(const moe_strategy *s,
                                   moe_strategy_facts *out)
{
    const moe_opt *rows = moe_strategy_options;
    const size_t size = sizeof out->planning;
    if (s->n_candidates > 0) {
        *out = (moe_strategy_facts){.predictor = "auto",
                                    .planner = "auto",
                                    .split = "auto",
                                    .slots = s->slots};
        append_settings(out->planning, size, moe_choice_options, s);
        return;
    }
    *out = (moe_strategy_facts){
        .slots = s->slots,
        .lookahead = s->lookahead,
        .sees_layers = moe_horizon_layers(s->predictor->sees),
        .plan_ahead = s->plan_ahead,
        .direct = s->direct,
        .foretells_tokens =
            s->predictor->forecast(s->predictor_params) == MOE_FORECAST_TOKENS,
        .knows_future = s->predictor->knows_future};
    snprintf(out->predictor, sizeof out->predictor, "%s", s->predictor_name);
    snprintf(out->planner, sizeof out->planner, "%s", s->planner_name);
    snprintf(out->split, sizeof out->split, "%s", s->split_name);
    while (rows->offset != offsetof(moe_strategy, planner_name))
        rows++; /* behind those of the predictor */
    append_settings(out->planning, size, rows, s);
    append_settings(out->planning, size, s->planner->opts, s->planner_params);
    append_settings(out->planning, size, s->split->opts, s->split_params);
}
