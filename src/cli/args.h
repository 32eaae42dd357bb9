/** args.h: argp with this program's manners: an error is one sentence in a
 *  moe_error, and nothing but main() ends the program.
 */
#ifndef MOEGPS_CLI_ARGS_H
#define MOEGPS_CLI_ARGS_H

#include <argp.h>
#include <stdbool.h>

#include "moegps/status.h"

enum { MOE_ARGS_HELP_KEY = '?' };

/* Row for every option table; the empty row that ends it follows. */
#define MOE_ARGS_HELP                                             \
    {                                                             \
        "help", MOE_ARGS_HELP_KEY, NULL, 0, "print this help", -1 \
    }

typedef struct moe_args {
    const char *name; /* as the user types it: "moegps trace info" */
    const char *args; /* "FILE", for the usage line; NULL: none */
    const char *help; /* what the command does, for --help */
    const struct argp_option *options; /* with MOE_ARGS_HELP */
    /** Take an option, or an argument (key ARGP_KEY_ARG).
     *  @return MOE_OK, MOE_USAGE. */
    moe_status (*take)(int key, char *arg, void *input, moe_error *err);
} moe_args;

/** Parse argv[1..]; options and arguments are taken in the given order.
 *  @param help_out  true: --help was given and printed on stdout; stop.
 *  @return MOE_OK, MOE_USAGE. */
moe_status moe_args_parse(const moe_args *args, int argc, char **argv,
                          void *input, bool *help_out, moe_error *err);

/** Say the error on stderr. @return its exit code. */
int moe_args_fail(const moe_error *err);

#endif
