/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "args_old.h"
#include "commands.h"
#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/profile.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} words[] = {
    {"info", moe_cmd_trace_info,
     "say what a trace holds, and how skewed it is"},
    {"synth", moe_cmd_trace_synth, "make a trace with chosen skew and drift"},
    {"slice", moe_cmd_trace_slice,
     "keep some sequences and layers, split anew"},
    {"import", moe_cmd_trace_import, "make a trace from CSV or a NumPy array"},
    {"export", moe_cmd_trace_export, "write a trace as CSV or a NumPy array"},
};

moe_status moe_trace_parse_u64(const char *text, const char *what, uint64_t low,
                               uint64_t high, uint64_t *out, moe_error *err)
{
    char *end = NULL;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (!isdigit((unsigned char)*text) || *end != '\0' || errno != 0 ||
        value < low || value > high)
        return moe_fail(err, MOE_USAGE,
                        "%s: '%s' is not an integer in %" PRIu64 "..%" PRIu64,
                        what, text, low, high);
    *out = value;
    return MOE_OK;
}

moe_status moe_trace_parse_split(const char *text, double *test_share,
                                 uint64_t *seed, moe_error *err)
{
    char *end = NULL;
    double train = -1;
    if (strncmp(text, "train=", 6) == 0)
        train = strtod(text + 6, &end);
    const bool share =
        end != NULL && end != text + 6 && train >= 0 && train <= 1;
    if (share && strncmp(end, ",seed=", 6) == 0)
        return moe_trace_parse_u64(end + 6, "--split seed", 0, UINT64_MAX, seed,
                                   err) == MOE_OK
                   ? (*test_share = 1 - train, MOE_OK)
                   : MOE_USAGE;
    if (!share || *end != '\0')
        return moe_fail(err, MOE_USAGE,
                        "--split: '%s' is not train=SHARE[,seed=N] with a "
                        "share in 0..1",
                        text);
    *test_share = 1 - train;
    return MOE_OK;
}

moe_status moe_trace_by_name(const char *name, moe_trace *out, moe_error *err)
{
    char path[PATH_MAX];
    moe_status status =
        moe_profile_find("traces", name, ".h5", path, sizeof path, err);
    return status == MOE_OK ? moe_trace_read(path, out, err) : status;
}

moe_status moe_trace_output_check(const moe_trace_output *out, moe_error *err)
{
    if (out->path == NULL)
        return moe_fail(err, MOE_USAGE, "no output file: -o FILE is missing");
    if (!out->force && access(out->path, F_OK) == 0)
        return moe_fail(err, MOE_EXISTS, "%s: exists; --force replaces it",
                        out->path);
    return MOE_OK;
}

moe_status moe_trace_output_write(const moe_trace_output *out, moe_trace *trace,
                                  moe_error *err)
{
    char partial[PATH_MAX];
    int n = snprintf(partial, sizeof partial, "%s.partial", out->path);
    if (n < 0 || (size_t)n >= sizeof partial)
        return moe_fail(err, MOE_USAGE, "%s: path is too long", out->path);
    if (out->force)
        unlink(partial);
    moe_status status = moe_trace_output_check(out, err);
    if (status == MOE_OK)
        status = moe_trace_write(partial, trace, err);
    if (status == MOE_OK && rename(partial, out->path) != 0) {
        status = moe_fail(err, MOE_IO, "%s: cannot rename: %s", partial,
                          strerror(errno));
        unlink(partial);
    }
    return status;
}

static void print_words(FILE *out)
{
    fputs("Usage: moegps trace WORD ...\n\n", out);
    for (size_t j = 0; j < MOE_ARRAY_LEN(words); j++)
        fprintf(out, "  %-8s %s\n", words[j].name, words[j].help);
    fputs("\n`moegps trace WORD --help` lists its options.\n", out);
}

int moe_cmd_trace(int argc, char **argv)
{
    moe_error err = {0};
    const char *word = argc > 1 ? argv[1] : NULL;
    if (word != NULL && strcmp(word, "--help") == 0) {
        print_words(stdout);
        return 0;
    }
    moe_h5_quiet();
    for (size_t j = 0; word != NULL && j < MOE_ARRAY_LEN(words); j++)
        if (strcmp(word, words[j].name) == 0)
            return words[j].run(argc - 1, argv + 1);
    char known[128] = "";
    for (size_t j = 0; j < MOE_ARRAY_LEN(words); j++) {
        strncat(known, j > 0 ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, words[j].name, sizeof known - strlen(known) - 1);
    }
    if (word == NULL)
        moe_fail(&err, MOE_USAGE, "trace: expected one of %s", known);
    else
        moe_fail(&err, MOE_USAGE, "trace: '%s' is not one of %s", word, known);
    return moe_args_fail(&err);
}
