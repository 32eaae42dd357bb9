/* SPDX-License-Identifier: Apache-2.0 */
#include "args_old.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

/* What the parser needs beside the caller's own input. */
typedef struct {
    const moe_args_old *args;
    void *input;
    moe_error *err;
    int next; /* argv index behind the last word that was understood */
    bool help;
} session;

/* argp's `int` says error_t. A non-zero value ends the parsing. */
static error_t take(int key, char *arg, struct argp_state *state)
{
    session *s = state->input;
    if (key != ARGP_KEY_ARG && (key < 0 || key >= ARGP_KEY_END))
        return ARGP_ERR_UNKNOWN;
    s->next = state->next;
    if (key == MOE_ARGS_HELP_KEY) {
        char name[64]; /* argp_help() wants it writable */
        snprintf(name, sizeof name, "%s", s->args->name);
        argp_help(state->root_argp, stdout,
                  ARGP_HELP_SHORT_USAGE | ARGP_HELP_LONG | ARGP_HELP_DOC, name);
        s->help = true;
        return ECANCELED;
    }
    return s->args->take(key, arg, s->input, s->err) == MOE_OK ? 0 : EINVAL;
}

moe_status moe_args_old_parse(const moe_args_old *args, int argc, char **argv,
                              void *input, bool *help_out, moe_error *err)
{
    moe_error local = {0};
    session s = {.args = args, .input = input, .err = &local, .next = 1};
    const struct argp argp = {.options = args->options,
                              .parser = take,
                              .args_doc = args->args,
                              .doc = args->help};
    /* argp would print several lines and exit; its own --help likewise. */
    const unsigned flags = ARGP_NO_ERRS | ARGP_NO_HELP | ARGP_IN_ORDER;
    error_t rc = argp_parse(&argp, argc, argv, flags, NULL, &s);
    *help_out = s.help;
    if (s.help || (rc == 0 && local.status == MOE_OK))
        return MOE_OK;
    if (local.status == MOE_OK)
        moe_fail(&local, MOE_USAGE,
                 "'%s': no such option, or its value is missing or not wanted",
                 s.next < argc ? argv[s.next] : "");
    return moe_fail(err, local.status, "%s (see %s --help)", local.text,
                    args->name);
}

/* Keys of rows begin above the characters of short options. */
enum { FIRST_KEY = 256 };

/* What a table's options are parsed into. */
typedef struct {
    const moe_opt *rows;
    void *settings;
} target;

static moe_status take_row(int key, char *arg, void *input, moe_error *err)
{
    const target *to = input;
    if (key == ARGP_KEY_ARG)
        return moe_fail(err, MOE_USAGE, "'%s': no argument is wanted", arg);
    return moe_opt_parse(&to->rows[key - FIRST_KEY], arg != NULL ? arg : "true",
                         to->settings, err);
}

moe_status moe_args_rows_parse(const moe_args_rows *args, int argc, char **argv,
                               void *settings, bool *help_out, moe_error *err)
{
    static const char *const kinds[] = {[MOE_OPT_INT] = "N",
                                        [MOE_OPT_U64] = "N",
                                        [MOE_OPT_REAL] = "X",
                                        [MOE_OPT_BOOL] = NULL,
                                        [MOE_OPT_TEXT] = "TEXT"};
    struct argp_option options[MOE_ARGS_MAX_ROWS + 2] = {{0}};
    int n = 0;
    for (; args->rows[n].key != NULL; n++) {
        assert(n < MOE_ARGS_MAX_ROWS);
        options[n] = (struct argp_option){.name = args->rows[n].key,
                                          .key = FIRST_KEY + n,
                                          .arg = kinds[args->rows[n].type],
                                          .doc = args->rows[n].help};
    }
    options[n] = (struct argp_option)MOE_ARGS_HELP;
    const moe_args_old all = {.name = args->name,
                              .help = args->help,
                              .options = options,
                              .take = take_row};
    target to = {args->rows, settings};
    moe_opt_defaults(args->rows, settings);
    return moe_args_old_parse(&all, argc, argv, &to, help_out, err);
}

int moe_args_fail(const moe_error *err)
{
    fprintf(stderr, "moegps: %s\n", err->text);
    return moe_status_exit_code(err->status);
}
