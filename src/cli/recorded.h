/** recorded.h: options of every command that reads recordings. */
#ifndef MOEGPS_CLI_RECORDED_H
#define MOEGPS_CLI_RECORDED_H

#include "args.h"
#include "moegps/recording.h"

/** What several files are, where the user says so. */
typedef enum moe_concat {
    MOE_CONCAT_NONE, /* loads add up, tokens follow each other */
    MOE_CONCAT_STEPS,
    MOE_CONCAT_TOKENS,
    MOE_CONCAT_EXPERTS /* a file has the experts of one GPU */
} moe_concat;

/** An id that is no expert. */
typedef struct moe_parsed_pad {
    bool given;
    int64_t id;
} moe_parsed_pad;

/** What the user says of the files. */
typedef struct moe_recorded {
    moe_strings files, ignore, sum_over;
    moe_strings test; /* files of the test part */
    const char *dataset, *layers, *physical_map;
    const char *companion[MOE_N_COMPANIONS];
    int experts; /* 0: as many as the files have */
    int axes;    /* moe_axes */
    int concat;  /* moe_concat */
    int sum;     /* 1: files are of ranks and add up */
    moe_parsed_pad pad;
    uint64_t drop_repeats; /* runs of so many tokens; 0: none */
} moe_recorded;

extern const char *const moe_axes_names[];
extern const char *const moe_concat_names[];
extern const char *const moe_sum_names[];
moe_opt_parser moe_parse_pad;

/* Rows of a command's table; `member` is a moe_recorded. */
#define MOE_ARGS_RECORDED(member)                                             \
    MOE_ARGS_STRING(                                                          \
        "dataset", member.dataset, "", "NAME",                                \
        "of HDF5, member of npz or safetensors; default: the usual "          \
        "names"),                                                             \
        MOE_ARGS_STRING("layers", member.layers, "", "LIST",                  \
                        "layers to keep, by number, as in 3-60; or what the " \
                        "layers of a file without numbers are"),              \
        {.key = "axes",                                                       \
         .type = MOE_OPT_ENUM,                                                \
         .initial = "",                                                       \
         .choices = moe_axes_names,                                           \
         AT(member.axes),                                                     \
         .help = "order of an array of tokens; default: as the sizes of the " \
                 "model say"},                                                \
        MOE_ARGS_STRING("physical_map", member.physical_map, "", "FILE",      \
                        "the placement whose slots the recording counts, in " \
                        "any engine's form: they become logical experts"),    \
        MOE_ARGS_STRING(                                                      \
            "sequences", member.companion[MOE_COMPANION_SEQUENCES], "",       \
            "FILE.npy", "beside an array of tokens: the sequence of each"),   \
        MOE_ARGS_STRING("token_ids",                                          \
                        member.companion[MOE_COMPANION_TOKEN_IDS], "",        \
                        "FILE.npy", "the id of each"),                        \
        MOE_ARGS_STRING("positions",                                          \
                        member.companion[MOE_COMPANION_POSITIONS], "",        \
                        "FILE.npy", "the position of each in its sequence"),  \
        MOE_ARGS_STRING("gates", member.companion[MOE_COMPANION_GATES], "",   \
                        "FILE.npy", "the weights of its choices"),            \
        MOE_ARGS_STRING("splits", member.companion[MOE_COMPANION_SPLITS], "", \
                        "FILE.npy",                                           \
                        "0 where it is of the training part, 1 of the test "  \
                        "part"),                                              \
        MOE_ARGS_CALL("pad", member.pad, "", moe_parse_pad, "ID",             \
                      "an id that is no expert: its tokens are dropped"),     \
        {.key = "drop_repeats",                                               \
         .type = MOE_OPT_U64,                                                 \
         .initial = "",                                                       \
         .min = 2,                                                            \
         .max = 1e12,                                                         \
         AT(member.drop_repeats),                                             \
         .help = "drop runs of so many tokens and more that have the same "   \
                 "experts in all layers: dummy and warm-up tokens"},          \
        {.key = "concat",                                                     \
         .type = MOE_OPT_ENUM,                                                \
         .initial = "",                                                       \
         .choices = moe_concat_names,                                         \
         AT(member.concat),                                                   \
         .help = "several files follow each other, or have the experts of a " \
                 "GPU each; default: tokens do"},                             \
        {.key = "sum",                                                        \
         .type = MOE_OPT_ENUM,                                                \
         .initial = "",                                                       \
         .choices = moe_sum_names,                                            \
         AT(member.sum),                                                      \
         .help = "several files add up; default: loads do"},                  \
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

/** Read the files, several as one, drop what is to be dropped.
 *  @param options  kind and what a model says; the rest is filled from
 *  `recorded`.
 *  @param out  release with moe_recording_fini(); untouched on error. */
moe_status moe_recorded_read(const moe_recorded *recorded,
                             const moe_recording_options *options,
                             moe_recording *out, moe_error *err);

/** @return the name of the file, or what several are called. */
const char *moe_recorded_name(const moe_recorded *recorded);

/** Check a recording: a line for each finding of moe_recording_inspect(), then
 *  those of moe_recording_uses().
 *  @param lines  are added; release with moe_remarks_fini(). */
void moe_recorded_check(const moe_recording *recording, moe_remarks *lines,
                        moe_error *err);

/** Say what was understood in one line, and what was left out, in one each.
 *  @param check  by moe_recorded_check(); NULL: nothing. */
void moe_recorded_print(const char *name, const moe_recording *recording,
                        const moe_remarks *check);

/** Read a recording that says all about itself as a trace.
 *  @return as moe_recording_read(), moe_recording_to_trace(); MOE_USAGE (pairs
 *  of how many choices is not known). */
moe_status moe_recorded_trace(const char *path, moe_trace *out, moe_error *err);

#endif
