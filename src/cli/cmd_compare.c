/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "moegps/replace.h"
#include "moegps/report.h"

typedef struct {
    const char *file[2], *reference, *json;
    int clock;        /* moe_clock; -1: the one that counts */
    double threshold; /* share; NaN: none */
    bool force, fom;
} settings;

static moe_status parse_percent(const char *text, void *at, moe_error *err)
{
    char *end;
    const double percent = strtod(text, &end);
    if (end == text || !(percent >= 0 && percent <= 1e6) ||
        (*end != '\0' && strcmp(end, "%") != 0))
        return moe_fail(err, MOE_USAGE,
                        "'%s' is not a percentage in 0..1e6, as in 5 or 5%%",
                        text);
    *(double *)at = percent / 100;
    return MOE_OK;
}

#define AT(member) MOE_OPT_AT(settings, member)
static const moe_opt rows[] = {
    {.key = "reference",
     .letter = 'r',
     .type = MOE_OPT_STRING,
     .initial = "",
     .form = "STRATEGY",
     AT(reference),
     .help = "compare times relative to this strategy's on the same batch, "
             "which takes the speed of the machine out; empty: times; default: "
             "on measured clocks A's reference"},
    {.key = "clock",
     .letter = 'c',
     .type = MOE_OPT_ENUM,
     .initial = "",
     .choices = moe_clock_names,
     AT(clock),
     .help = "whose times; default: wall, or gpu where ranks shared cores"},
    MOE_ARGS_CALL("fail-if", threshold, "", parse_percent, "PERCENT",
                  "exit with 4 if B is slower than A in some strategy by more "
                  "than this, with 95 % confidence; on measured clocks that "
                  "takes 3 runs a side"),
    MOE_ARGS_JSON,
    MOE_ARGS_FOM,
    MOE_ARGS_FORCE,
    {.key = NULL}};

static const moe_opt arguments[] = {
    {.key = "A.h5", .type = MOE_OPT_STRING, AT(file[0])},
    {.key = "B.h5", .type = MOE_OPT_STRING, AT(file[1])},
    {.key = NULL}};

static const moe_args args = {
    .name = "moegps compare",
    .example = "moegps compare run.h5 again.h5",
    .help =
        "Compare two result files strategy by strategy: pair by pair where "
        "both ran the same batches, else by medians; always with intervals. "
        "Either may be a sweep of repetitions (moegps merge): one run a side "
        "cannot know how measured times vary between runs.",
    .rows = rows,
    .arguments = arguments};

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

static void print(const settings *s, const moe_comparison *c, moe_error *err)
{
    moe_document *doc = moe_document_new(err);
    moe_doc_show_foms(doc, s->fom);
    if (doc != NULL)
        moe_report_comparison(doc, c);
    moe_document_say(doc, stdout, err);
}

static void judge(const settings *s, const moe_comparison *c, moe_error *err)
{
    const int worst =
        isnan(s->threshold) ? -1 : moe_comparison_worst(c, s->threshold);
    if (!isnan(s->threshold) && !c->sure)
        fprintf(stderr,
                "moegps: warning: --fail-if: measured times of %zu and %zu "
                "runs show nothing beyond doubt, %d a side do (moegps merge); "
                "or compare the gpu clock\n",
                c->side[0].n, c->side[1].n, MOE_STATS_MIN_RUNS);
    for (int i = 0; i < c->n_rows && !isnan(s->threshold) && c->sure; i++)
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

static void compare(const settings *s, const moe_comparison_side *side,
                    moe_error *err)
{
    moe_comparison c;
    const moe_clock clock =
        s->clock >= 0 ? (moe_clock)s->clock : moe_comparison_clock(side);
    if (moe_compare(side, clock, s->reference, &c, err) != MOE_OK)
        return;
    if (s->json == NULL || strcmp(s->json, "-") != 0)
        print(s, &c, err);
    if (s->json != NULL)
        write_json(s, &c, err);
    if (err->status == MOE_OK)
        judge(s, &c, err);
    moe_comparison_fini(&c);
}

/* A file is a run, or a sweep of repetitions. */
static void read_side(const char *path, moe_view **views, size_t *n,
                      moe_error *err)
{
    if (moe_views_append(path, views, n, err) != MOE_OK)
        return;
    if (*n == 0)
        moe_fail(err, MOE_USAGE, "%s: has no runs", path);
    for (size_t r = 0; r < *n; r++)
        if (strcmp((*views)[r].validation, "fail") == 0)
            moe_fail(err, MOE_INVALID, "%s: validation failed: %s",
                     (*views)[r].path, (*views)[r].validation_text);
}

static void read_and_compare(const settings *s, moe_error *err)
{
    moe_view *views[2] = {NULL};
    size_t n[2] = {0};
    for (int i = 0; i < 2 && err->status == MOE_OK; i++)
        read_side(s->file[i], &views[i], &n[i], err);
    if (err->status == MOE_OK)
        compare(s, (moe_comparison_side[]){{views[0], n[0]}, {views[1], n[1]}},
                err);
    for (int i = 0; i < 2; i++)
        moe_views_free(views[i], n[i]);
}

int moe_cmd_compare(int argc, char **argv)
{
    moe_error err = {0};
    settings s = {.clock = -1, .threshold = NAN};
    if (moe_args_parse(&args, argc, argv, &s, &err))
        read_and_compare(&s, &err);
    return moe_args_end(&args, &s, &err);
}
