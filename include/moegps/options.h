/** options.h: an option is one table row.
 *
 *  A struct of settings comes with a table of moe_opt rows. Parsing, defaults,
 *  range checks, `--help`, `moegps list options`, the resolved configuration in
 *  the result file and the error messages are all loops over such tables;
 *  nothing about an option is written twice. Defaults pass through the same
 *  parser as users' text. Settings of an experiment are plain values without
 *  pointers; those of a command may also point into its arguments.
 */
#ifndef MOEGPS_OPTIONS_H
#define MOEGPS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "moegps/status.h"

typedef enum moe_opt_type {
    MOE_OPT_INT,   /* int */
    MOE_OPT_U64,   /* uint64_t */
    MOE_OPT_REAL,  /* double; "600e9" and "inf" are fine, NaN is not */
    MOE_OPT_BOOL,  /* bool; true, false, yes, no, on, off */
    MOE_OPT_TEXT,  /* char[size] */
    MOE_OPT_ENUM,  /* an enumeration: index into choices */
    MOE_OPT_REALS, /* moe_reals: x,y,... or from:to:step */
    /* Of commands alone: the texts must outlive the settings. */
    MOE_OPT_STRING,  /* const char *: the text itself */
    MOE_OPT_STRINGS, /* moe_strings: every text that is given, in order */
    MOE_OPT_CALL     /* what the row's `parse` reads */
} moe_opt_type;

/* More values than this are not read from a list. */
enum { MOE_OPT_MAX_REALS = 256 };

typedef struct moe_reals {
    int n;
    double x[MOE_OPT_MAX_REALS];
} moe_reals;

typedef struct moe_strings {
    const char **text; /* [n] owned; the texts are borrowed */
    int n;
} moe_strings;

/** Read an option's text into its member, `at`.
 *  @return MOE_OK; MOE_USAGE with what is wrong, without the option's name. */
typedef moe_status moe_opt_parser(const char *text, void *at, moe_error *err);

typedef struct moe_opt {
    const char *key; /* NULL ends the table */
    moe_opt_type type;
    const char *unit;    /* UDUNITS short form ("s", "B", "1"); NULL: none */
    const char *initial; /* default as text; NULL: the option is required;
                            "": it has none, the member keeps what it holds */
    double min, max;     /* inclusive; INT, U64, REAL and REALS */
    const char *const *choices; /* ENUM: NULL-terminated spellings */
    size_t offset, size;        /* place in the settings struct, bytes */
    const char *help;           /* one line */
    /* Of commands alone. */
    char letter;           /* short option; 0: none */
    const char *alias;     /* a spelling that works, too; NULL: none */
    const char *form;      /* what is typed, "FILE|-"; NULL: by the type */
    moe_opt_parser *parse; /* CALL */
    bool writes; /* STRING, STRINGS: names a file or folder that is written, or
                    does so behind a '=' */
} moe_opt;

/* Where a member lives, for the `offset, size` columns of a row. */
#define MOE_OPT_AT(type, member) \
    .offset = offsetof(type, member), .size = sizeof(((type *)0)->member)

/** Parse text into one option's member. Not collective.
 *  @param settings  the struct that the row's offset points into.
 *  @return MOE_OK, or MOE_USAGE with `key: 'text' is not ` what is allowed, or
 *  what the row's own parser says; a long text is cut there. MOE_NOMEM. */
moe_status moe_opt_parse(const moe_opt *row, const char *text, void *settings,
                         moe_error *err);

/** Fill all members that have a default. Not collective. Asserts that the
 *  table's own defaults parse. */
void moe_opt_defaults(const moe_opt *rows, void *settings);

/** Release what parsing allocated: lists of strings. `rows` may be NULL. */
void moe_opt_release(const moe_opt *rows, void *settings);

/** @return the row with this key, or NULL. `rows` may be NULL. */
const moe_opt *moe_opt_find(const moe_opt *rows, const char *key);

/** Write a member's value as text that moe_opt_parse() reads back.
 *  Empty for types of commands alone.
 *  @param text  at least `size` bytes; a value longer than that is cut. */
void moe_opt_format(const moe_opt *row, const void *settings, char *text,
                    size_t size);

/** Write what the option allows: "an integer in 1..64", "one of a, b". */
void moe_opt_allowed(const moe_opt *row, char *text, size_t size);

#endif
