/** args.h: a command is a table.
 *
 *  What may be typed behind a command are rows of options.h, which argp reads
 *  with this program's manners: defaults and --help are made of the rows, an
 *  error is one sentence in a moe_error, and nothing but main() ends the
 *  program. Every command has --help (-h) and --version (-V). Two outputs of one
 *  command are never the same file, and no output is a file that it reads.
 */
#ifndef MOEGPS_CLI_ARGS_H
#define MOEGPS_CLI_ARGS_H

#include <stdbool.h>

#include "moegps/batch.h"
#include "moegps/options.h"
#include "moegps/status.h"

typedef struct moe_args {
    const char *name;         /* as the user types it: "moegps trace info" */
    const char *help;         /* what the command does, for --help */
    const char *example;      /* a line that works, for --help; NULL: none */
    const moe_opt *rows;      /* options; '_' in a key is typed as '-'. A row
                            without help works and is not shown */
    const moe_opt *more;      /* further ones; NULL: none */
    const moe_opt *arguments; /* words without a dash, in order: one each, but
                                 STRINGS, which comes last, takes all that
                                 follow; NULL: none */
    bool *given; /* [rows, then more] which were typed; NULL: not asked for */
    bool silent; /* another rank prints --help and --version */
} moe_args;

enum { MOE_ARGS_MAX_ROWS = 64 }; /* of options together */

/** Set defaults, then parse argv[1..] into settings; options and arguments
 *  are taken in the given order. Prints --help and --version on stdout.
 *  @param settings  what rows without a default hold is set before. Release
 *                   with moe_args_end() in any case.
 *  @return true: go on. false: --help or --version was answered and `err` is
 *  MOE_OK, or MOE_USAGE, MOE_NOMEM. */
bool moe_args_parse(const moe_args *args, int argc, char **argv, void *settings,
                    moe_error *err);

/** Refuse an output that is a file which the command reads, where that is known
 *  only later. @param what  what reads it, as the user knows it: "trace".
 *  @return MOE_OK, MOE_USAGE. */
moe_status moe_args_apart(const char *output, const char *what,
                          const char *input, moe_error *err);

/** Say the error, if there is one, on stderr, and release the settings' lists.
 *  @return the exit code of the program. */
int moe_args_end(const moe_args *args, void *settings, const moe_error *err);

/** @return what was typed, "moegps map --seq 8", for the record; owned by the
 *  caller. NULL when out of memory. */
char *moe_args_line(const moe_args *args, int argc, char **argv);

/* Rows of a command's table: AT(member) places a member in its settings. An
 * empty default is none, NULL makes an option a required one. */
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
#define MOE_ARGS_STRING(name, member, value, what, text)                     \
    {                                                                        \
        .key = name, .type = MOE_OPT_STRING, .initial = value, .form = what, \
        AT(member), .help = text                                             \
    }
#define MOE_ARGS_WORD(name, member, value, words, text)                        \
    {                                                                          \
        .key = name, .type = MOE_OPT_ENUM, .initial = value, .choices = words, \
        AT(member), .help = text                                               \
    }
#define MOE_ARGS_CALL(name, member, value, parser, what, text)             \
    {                                                                      \
        .key = name, .type = MOE_OPT_CALL, .initial = value, .form = what, \
        .parse = parser, AT(member), .help = text                          \
    }

/* Options of many commands: name, letter and meaning are the same in all. */
#define MOE_ARGS_OUTPUT(value, what, text)                                  \
    {                                                                       \
        .key = "output", .letter = 'o', .alias = "out", .form = what,       \
        .type = MOE_OPT_STRING, .initial = value, AT(output), .help = text, \
        .writes = true                                                      \
    }
#define MOE_ARGS_FORCE                                                     \
    {                                                                      \
        .key = "force", .letter = 'f', .type = MOE_OPT_BOOL,               \
        .initial = "false", AT(force), .help = "replace what exists there" \
    }
#define MOE_ARGS_JSON                                                   \
    {                                                                   \
        .key = "json", .letter = 'j', .form = "FILE|-",                 \
        .type = MOE_OPT_STRING, .initial = "", AT(json),                \
        .help = "write JSON; - is standard output, and then only JSON", \
        .writes = true                                                  \
    }
#define MOE_ARGS_CSV(text)                                                     \
    {                                                                          \
        .key = "csv", .form = "FILE|-", .type = MOE_OPT_STRING, .initial = "", \
        AT(csv), .help = text "; - is standard output, and then only CSV",     \
        .writes = true                                                         \
    }
#define MOE_ARGS_TRACE(value, text)                                       \
    {                                                                     \
        .key = "trace", .letter = 't', .form = "FILE|NAME",               \
        .type = MOE_OPT_STRING, .initial = value, AT(trace), .help = text \
    }
#define MOE_ARGS_PREDICTORS(text)                            \
    {                                                        \
        .key = "predictors", .letter = 'p', .form = "LIST",  \
        .type = MOE_OPT_STRING, AT(predictors), .help = text \
    }
#define MOE_ARGS_SET(text)                                            \
    {                                                                 \
        .key = "set", .letter = 's', .form = "KEY=VALUE",             \
        .type = MOE_OPT_STRINGS, .initial = "", AT(set), .help = text \
    }
#define MOE_ARGS_PROFILE_SET                         \
    MOE_ARGS_SET("change a key of a profile, as in " \
                 "cluster.link_bandwidth=448GB/s or model.top_k=4")
#define MOE_ARGS_STACK(member)                                           \
    MOE_ARGS_STRING("stack", member, "", "NAME",                         \
                    "library whose measured kernels price the experts, " \
                    "instead of the profile's")
#define MOE_ARGS_SLOTS(least) \
    MOE_ARGS_INT("slots", slots, "", 0, 4096, "per GPU and layer; " least)
#define MOE_ARGS_REPLICAS                              \
    MOE_ARGS_INT("replicas", replicas, "", 1, 1 << 20, \
                 "slots of all GPUs in a layer, instead of --slots")
#define MOE_ARGS_INTERVAL(member, most, text)                               \
    {                                                                       \
        .key = "interval", .alias = "rebalance-every", .type = MOE_OPT_INT, \
        .initial = "1", .min = 1, .max = most, AT(member), .help = text     \
    }
#define MOE_ARGS_ORDER(member)                                            \
    MOE_ARGS_WORD("order", member, "auto", moe_batch_orders,              \
                  "of batches: recorded, one after the other as in the "  \
                  "trace, or shuffled by the seed; auto: recorded where " \
                  "the trace's order is time")
#define MOE_ARGS_FOM          \
    MOE_ARGS_FLAG("fom", fom, \
                  "print the lines for programs, FOM, also on a terminal")
#define MOE_ARGS_QUIET                                                    \
    {                                                                     \
        .key = "quiet", .letter = 'q', .type = MOE_OPT_BOOL,              \
        .initial = "false", AT(quiet), .help = "no progress and no notes" \
    }
#define MOE_ARGS_SPLIT(otherwise)                                              \
    MOE_ARGS_CALL("split", split, "", moe_parse_split,                         \
                  "tail=SHARE|train=SHARE[,seed=N]",                           \
                  "test on the last SHARE of sequences or steps, or train on " \
                  "SHARE of them, drawn; " otherwise)
#define MOE_ARGS_LOOKAHEAD(member)                                            \
    MOE_ARGS_CALL("lookahead", member, "all", moe_parse_lookahead, "all|D",   \
                  "all: one plan of all layers before the first; D: layer l " \
                  "is planned during layer l - D")
#define MOE_ARGS_SEED(member, text)                                        \
    {                                                                      \
        .key = "seed", .type = MOE_OPT_U64, .initial = "1", .max = 0x1p64, \
        AT(member), .help = text                                           \
    }

#endif
