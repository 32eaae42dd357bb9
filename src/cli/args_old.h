/** args.h: argp with this program's manners: an error is one sentence in a
 *  moe_error, and nothing but main() ends the program.
 */
#ifndef MOEGPS_CLI_ARGS_OLD_H
#define MOEGPS_CLI_ARGS_OLD_H

#include <argp.h>
#include <stdbool.h>

#include "moegps/mem.h"
#include "moegps/options.h"
#include "moegps/status.h"

enum { MOE_ARGS_HELP_KEY = '?' };

/* Row for every option table; the empty row that ends it follows. */
#define MOE_ARGS_HELP                                             \
    {                                                             \
        "help", MOE_ARGS_HELP_KEY, NULL, 0, "print this help", -1 \
    }

typedef struct moe_args_old {
    const char *name; /* as the user types it: "moegps trace info" */
    const char *args; /* "FILE", for the usage line; NULL: none */
    const char *help; /* what the command does, for --help */
    const struct argp_option *options; /* with MOE_ARGS_HELP */
    /** Take an option, or an argument (key ARGP_KEY_ARG).
     *  @return MOE_OK, MOE_USAGE. */
    moe_status (*take)(int key, char *arg, void *input, moe_error *err);
} moe_args_old;

/** Parse argv[1..]; options and arguments are taken in the given order.
 *  @param help_out  true: --help was given and printed on stdout; stop.
 *  @return MOE_OK, MOE_USAGE. */
moe_status moe_args_old_parse(const moe_args_old *args, int argc, char **argv,
                              void *input, bool *help_out, moe_error *err);

/* Rows of an option table (options.h) of a command: AT(member) places a member
 * in its settings. */
#define MOE_ARGS_TEXT(name, member, value, text)                         \
    {                                                                    \
        .key = name, .type = MOE_OPT_TEXT, .initial = value, AT(member), \
        .help = text                                                     \
    }
#define MOE_ARGS_INT(name, member, value, low, high, text)              \
    {                                                                   \
        .key = name, .type = MOE_OPT_INT, .initial = value, .min = low, \
        .max = high, AT(member), .help = text                           \
    }
#define MOE_ARGS_REAL(name, member, value, low, high, text)              \
    {                                                                    \
        .key = name, .type = MOE_OPT_REAL, .initial = value, .min = low, \
        .max = high, AT(member), .help = text                            \
    }
#define MOE_ARGS_FLAG(name, member, text)                                  \
    {                                                                      \
        .key = name, .type = MOE_OPT_BOOL, .initial = "false", AT(member), \
        .help = text                                                       \
    }

enum { MOE_ARGS_MAX_ROWS = 64 };

/** A command whose options are a table of rows and that takes no arguments. */
typedef struct moe_args_rows {
    const char *name, *help; /* as in moe_args_old */
    const moe_opt *rows;     /* at most MOE_ARGS_MAX_ROWS */
} moe_args_rows;

/** Set defaults, then parse argv[1..] into settings.
 *  @return as moe_args_old_parse(). */
moe_status moe_args_rows_parse(const moe_args_rows *args, int argc, char **argv,
                               void *settings, bool *help_out, moe_error *err);

/** Say the error on stderr. @return its exit code. */
int moe_args_fail(const moe_error *err);

#endif
