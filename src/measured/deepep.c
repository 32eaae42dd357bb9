/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Logs of DeepEP's tests:
 *   [rank 3] Dispatch bandwidth: 9.0 GB/s, avg_t=78.86 us | Combine bandwidth: ...
 *   [tuning] Best dispatch (FP8): SMs 24, ..., transmit: x us, notify: y us,
 *   BW: a GB/s (RDMA), b GB/s (NVL)
 * Bytes are bandwidth times time. All ranks wait for the slowest. */

static bool detect(const char *text)
{
    return strstr(text, "[tuning] Best dispatch") != NULL ||
           strstr(text, "Dispatch bandwidth:") != NULL;
}

/* @return the number behind a text; NaN: the line has none. */
static double behind(const char *line, const char *text)
{
    const char *at = line != NULL ? strstr(line, text) : NULL;
    return at != NULL ? strtod(at + strlen(text), NULL) : NAN;
}

/* Of the slowest rank. */
typedef struct {
    double time_us, bytes;
    uint64_t line;
} slowest;

static void take_way(const char *line, const char *name, uint64_t number,
                     slowest *out)
{
    const char *at = strstr(line, name);
    const double rate = behind(at, "bandwidth: ");
    const double time_us = behind(at, "avg_t=");
    if (rate > 0 && time_us > out->time_us)
        *out = (slowest){time_us, round(rate * 1e3 * time_us), number};
}

/* @return ranks that speak in a log; 0: they are not numbered. */
static int count_ranks(const char *text)
{
    int ranks = 0;
    while ((text = strstr(text, "[rank ")) != NULL) {
        text += strlen("[rank ");
        const long rank = strtol(text, NULL, 10);
        ranks = rank >= ranks && rank < 1 << 20 ? (int)rank + 1 : ranks;
    }
    return ranks;
}

static moe_status take_best(const moe_measured_file *file, char *line,
                            uint64_t number, int ranks, moe_error *err)
{
    const bool dispatch = strstr(line, "Best dispatch") != NULL;
    const double transmit = behind(line, "transmit: ");
    const double notify = behind(line, "notify: ");
    const char *rate = strstr(line, "BW: ");
    const char *nvl = rate != NULL ? strchr(rate, ',') : NULL;
    char op[32];
    snprintf(op, sizeof op, "deepep_%s%s", dispatch ? "dispatch" : "combine",
             strstr(line, "(FP8)") != NULL ? "_fp8" : "");
    if (isnan(transmit) || rate == NULL)
        return moe_fail(err, MOE_FORMAT,
                        "%s:%llu: has no times (transmit, notify): a log of an "
                        "older DeepEP",
                        file->path, (unsigned long long)number);
    const double most =
        fmax(strtod(rate + 4, NULL), nvl != NULL ? strtod(nvl + 1, NULL) : 0);
    const moe_measured_link link = {number, op, ranks,
                                    round(most * 1e3 * transmit),
                                    transmit + (isnan(notify) ? 0 : notify)};
    return moe_measured_add_link(file, &link, err);
}

static moe_status read(const moe_measured_file *file, moe_error *err)
{
    moe_measured_lines lines = {.rest = file->text};
    slowest way[2] = {{.time_us = 0}};
    const int ranks = count_ranks(file->text);
    for (char *line;
         err->status == MOE_OK && (line = moe_measured_line(&lines)) != NULL;) {
        if (strstr(line, "[tuning] Best ") != NULL)
            take_best(file, line, lines.number, ranks, err);
        if (strstr(line, "Dispatch bandwidth:") == NULL)
            continue;
        take_way(line, "Dispatch bandwidth", lines.number, &way[0]);
        take_way(line, "Combine bandwidth", lines.number, &way[1]);
    }
    for (int i = 0; i < 2 && err->status == MOE_OK; i++) {
        const moe_measured_link link = {
            way[i].line, i == 0 ? "deepep_ll_dispatch" : "deepep_ll_combine",
            ranks, way[i].bytes, way[i].time_us};
        if (link.time_us > 0)
            moe_measured_add_link(file, &link, err);
    }
    return err->status;
}

const moe_measured_format moe_measured_deepep_format = {
    .name = "deepep",
    .help = "logs of DeepEP's tests: rows of their own, which `cost` prices by "
            "op deepep_dispatch, deepep_combine, ...",
    .detect = detect,
    .read = read};
