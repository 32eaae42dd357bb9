/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* OSU micro-benchmarks: `# OSU MPI All-to-All ... Latency Test`, then size and
 * average microseconds, and more with -f. Sizes are what a rank sends to each
 * other one; the tables, as NCCL's tests, count a GPU's whole buffer. */

static bool detect(const char *text)
{
    return strstr(text, "# OSU ") != NULL;
}

/* The title says which test it is, the head of the columns what they are.
 * Point-to-point tests and other collectives have no price, and nonblocking ones
 * time what they hide behind, too. */
static moe_status check_line(const char *path, uint64_t number,
                             const char *line, const char **op, moe_error *err)
{
    const char *title = strstr(line, "# OSU ");
    const bool columns = strncmp(line, "# Size", 6) == 0;
    if (title != NULL) {
        *op = moe_measured_collective(title);
        if (*op == NULL || strcasestr(title, "non-blocking") != NULL ||
            strcasestr(title, "nonblocking") != NULL)
            return moe_fail(err, MOE_FORMAT,
                            "%s:%llu: '%.60s' is no collective that is priced: "
                            "alltoall, all_reduce, all_gather or "
                            "reduce_scatter, blocking",
                            path, (unsigned long long)number, title + 2);
    }
    if (columns && strstr(line, "Latency") == NULL)
        return moe_fail(err, MOE_FORMAT, "%s:%llu: '%.60s' has no latency",
                        path, (unsigned long long)number, line + 2);
    return MOE_OK;
}

static moe_status read(const moe_measured_file *file, moe_error *err)
{
    const int ranks = file->options->ranks;
    moe_measured_lines lines = {.rest = file->text};
    const char *op = NULL;
    for (char *line;
         err->status == MOE_OK && (line = moe_measured_line(&lines)) != NULL;) {
        char *end = NULL;
        if (*line == '#') {
            check_line(file->path, lines.number, line, &op, err);
            continue;
        }
        const double size = strtod(line, &end);
        if (end == line)
            continue;
        const double time_us = strtod(end, &end);
        const bool each = op != NULL && (strcmp(op, "alltoall") == 0 ||
                                         strcmp(op, "all_gather") == 0);
        if (ranks == 0)
            return moe_fail(err, MOE_USAGE,
                            "%s: does not say how many GPUs took part "
                            "(--ranks)",
                            file->path);
        const moe_measured_link link = {lines.number, op, ranks,
                                        each ? size * ranks : size, time_us};
        moe_measured_add_link(file, &link, err);
    }
    return err->status;
}

const moe_measured_format moe_measured_osu_format = {
    .name = "osu",
    .help = "collective latency of the OSU micro-benchmarks; --ranks says how "
            "many took part",
    .detect = detect,
    .read = read};
