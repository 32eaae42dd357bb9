/* SPDX-License-Identifier: Apache-2.0 */
#include "args.h"

#include <errno.h>
#include <stdio.h>

/* What the parser needs beside the caller's own input. */
typedef struct {
    const moe_args *args;
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

moe_status moe_args_parse(const moe_args *args, int argc, char **argv,
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

int moe_args_fail(const moe_error *err)
{
    fprintf(stderr, "moegps: %s\n", err->text);
    return moe_status_exit_code(err->status);
}
