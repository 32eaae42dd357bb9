/** recorded.h: options of every command that reads recordings. */
#ifndef MOEGPS_CLI_RECORDED_H
#define MOEGPS_CLI_RECORDED_H

#include "args.h"
#include "moegps/recording.h"

/** What the user says of the files. */
typedef struct moe_recorded {
    moe_strings files, ignore, sum_over;
    const char *dataset, *layers;
    int experts; /* 0: as many as the files have */
} moe_recorded;

/* Rows of a command's table; `member` is a moe_recorded. */
#define MOE_ARGS_RECORDED(member)                                             \
    MOE_ARGS_STRING("dataset", member.dataset, "", "NAME",                    \
                    "of HDF5, member of safetensors; default: the usual "     \
                    "names"),                                                 \
        MOE_ARGS_STRING("layers", member.layers, "", "LIST",                  \
                        "layers to keep, by number, as in 3-60; or what the " \
                        "layers of a file without numbers are"),              \
        {.key = "ignore",                                                     \
         .form = "COLUMN",                                                    \
         .type = MOE_OPT_STRINGS,                                             \
         .initial = "",                                                       \
         AT(member.ignore),                                                   \
         .help = "a column of a table that means nothing"},                   \
    {                                                                         \
        .key = "sum_over", .form = "COLUMN", .type = MOE_OPT_STRINGS,         \
        .initial = "", AT(member.sum_over),                                   \
        .help = "a column over which rows of one load add up"                 \
    }

/** Read the files: several are added up.
 *  @param options  kind and what a model says; the rest is filled from
 *  `recorded`.
 *  @param out  release with moe_recording_fini(); untouched on error. */
moe_status moe_recorded_read(const moe_recorded *recorded,
                             const moe_recording_options *options,
                             moe_recording *out, moe_error *err);

/** Say what was understood in one line, and what was left out, in one each.
 *  @param name  of the file, or files. */
void moe_recorded_print(const char *name, const moe_recording *recording);

#endif
