/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args_old.h"
#include "moegps/replace.h"
#include "moegps/report.h"

enum {
    KEY_REFERENCE = 'r',
    KEY_CLOCK = 'c',
    KEY_JSON = 256,
    KEY_FAIL,
    KEY_FORCE
};

typedef struct {
    const char *file[2], *reference, *json;
    int n_files, clock; /* clock -1: the one that counts */
    double threshold;   /* share; NaN: none */
    bool force;
} settings;

static const struct argp_option options[] = {
    {"reference", KEY_REFERENCE, "STRATEGY", 0,
     "compare times relative to this strategy's on the same batch, which takes "
     "the speed of the machine out",
     0},
    {"clock", KEY_CLOCK, "CLOCK", 0,
     "wall, cpu or gpu; default: wall, or gpu where ranks shared cores", 0},
    {"fail-if", KEY_FAIL, "PERCENT", 0,
     "exit with 4 if B is slower than A in some strategy by more than this, "
     "with 95 % confidence",
     0},
    {"json", KEY_JSON, "FILE|-", 0,
     "write one JSON object; - prints it and nothing else", 0},
    {"force", KEY_FORCE, NULL, 0, "replace FILE if it exists", 0},
    MOE_ARGS_HELP,
    {0},
};

static moe_status take_clock(settings *s, const char *arg, moe_error *err)
{
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        if (strcmp(arg, moe_clock_name((moe_clock)c)) == 0) {
            s->clock = c;
            return MOE_OK;
        }
    return moe_fail(err, MOE_USAGE, "--clock '%s': wall, cpu or gpu", arg);
}

static moe_status take_threshold(settings *s, const char *arg, moe_error *err)
{
    char *end;
    errno = 0;
    const double percent = strtod(arg, &end);
    if (end == arg || !(percent >= 0 && percent <= 1e6) ||
        (*end != '\0' && strcmp(end, "%") != 0))
        return moe_fail(err, MOE_USAGE,
                        "--fail-if '%s': percent from 0 to 1e6, as in 5 or 5%%",
                        arg);
    s->threshold = percent / 100;
    return MOE_OK;
}

static moe_status take(int key, char *arg, void *input, moe_error *err)
{
    settings *s = input;
    switch (key) {
    case KEY_REFERENCE:
        s->reference = arg;
        break;
    case KEY_CLOCK:
        return take_clock(s, arg, err);
    case KEY_FAIL:
        return take_threshold(s, arg, err);
    case KEY_JSON:
        s->json = arg;
        break;
    case KEY_FORCE:
        s->force = true;
        break;
    default:
        if (s->n_files == 2)
            return moe_fail(err, MOE_USAGE, "'%s': two files are compared",
                            arg);
        s->file[s->n_files++] = arg;
    }
    return MOE_OK;
}

static const moe_args_old args = {
    .name = "moegps compare",
    .args = "A.h5 B.h5",
    .help =
        "Compare two result files strategy by strategy: pair by pair where "
        "both ran the same batches, else by medians; always with intervals.",
    .options = options,
    .take = take,
};

static void write_json(const settings *s, const moe_comparison *c,
                       moe_error *err)
{
    moe_replace to;
    FILE *out = moe_replace_open(&to, s->json, s->force, err);
    if (out == NULL)
        return;
    moe_report_comparison_json(c, out, err);
    moe_replace_close(&to, out, err);
}

static void judge(const settings *s, const moe_comparison *c, moe_error *err)
{
    const int worst =
        isnan(s->threshold) ? -1 : moe_comparison_worst(c, s->threshold);
    for (int i = 0; i < c->n_rows && !isnan(s->threshold); i++)
        if (isnan(c->row[i].ratio.ci_low))
            fprintf(stderr,
                    "moegps: warning: %s: too few samples for --fail-if\n",
                    c->a->strategy[c->row[i].a].name);
    if (worst >= 0)
        moe_fail(err, MOE_THRESHOLD,
                 "%s is slower in B by %.3g %% (at least %.3g %%, allowed: "
                 "%.3g %%)",
                 c->a->strategy[c->row[worst].a].name,
                 100 * (c->row[worst].ratio.ratio - 1),
                 100 * (c->row[worst].ratio.ci_low - 1), 100 * s->threshold);
}

static void compare(const settings *s, const moe_view *views, moe_error *err)
{
    moe_comparison c;
    const moe_clock clock = s->clock >= 0
                                ? (moe_clock)s->clock
                                : moe_comparison_clock(&views[0], &views[1]);
    if (moe_compare(&views[0], &views[1], clock, s->reference, &c, err) !=
        MOE_OK)
        return;
    if (s->json == NULL || strcmp(s->json, "-") != 0)
        moe_report_comparison(&c, stdout);
    if (s->json != NULL)
        write_json(s, &c, err);
    if (err->status == MOE_OK)
        judge(s, &c, err);
    moe_comparison_fini(&c);
}

int moe_cmd_compare(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {.clock = -1, .threshold = NAN};
    moe_view views[2] = {{.n_warnings = 0}};
    bool help = false;
    moe_args_old_parse(&args, argc, argv, &s, &help, &err);
    if (!help && s.n_files != 2)
        moe_fail(&err, MOE_USAGE,
                 "two result files are needed (see moegps compare --help)");
    for (int i = 0; i < 2 && !help && err.status == MOE_OK; i++) {
        if (moe_view_read(s.file[i], &views[i], &err) == MOE_OK &&
            strcmp(views[i].validation, "fail") == 0)
            moe_fail(&err, MOE_INVALID, "%s: validation failed: %s", s.file[i],
                     views[i].validation_text);
    }
    if (!help && err.status == MOE_OK)
        compare(&s, views, &err);
    for (int i = 0; i < 2; i++)
        moe_view_free(&views[i]);
    return err.status == MOE_OK ? 0 : moe_args_fail(&err);
}
