/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/table.h"
#include "run_words.h"
#include "sheet.h"
#include "words.h"

const char *moe_report_result(const moe_view *view)
{
    if (strcmp(view->validation, "fail") == 0)
        return "INVALID";
    return view->valid && strcmp(view->status, "complete") == 0 ? "VALID"
                                                                : "INCOMPLETE";
}

/* Print a paragraph in colour. */
static void print_painted(const moe_sheet *to, moe_hue hue, const char *label,
                          const char *text)
{
    fputs(moe_ink_on(&to->ink, hue), to->out);
    moe_print_wrapped(label, text, to->out);
    fputs(moe_ink_off(&to->ink, hue), to->out);
}

static void print_warnings(const moe_sheet *to, const moe_run_analysis *run)
{
    const moe_view *view = run->view;
    if (view->oversubscribed)
        print_painted(to, MOE_HUE_NOTE, "WARNING: ",
                      "wall clock is not a result here: ranks share cores; "
                      "read the gpu clock");
    for (size_t i = 0; i < view->n_warnings; i++)
        print_painted(to, MOE_HUE_NOTE, "WARNING: ", view->warnings[i]);
    char executed[512];
    moe_executed_say(run, executed, sizeof executed);
    if (executed[0] != '\0')
        print_painted(to, MOE_HUE_NOTE, "WARNING: ", executed);
    if (view->oversubscribed || view->n_warnings > 0 || executed[0] != '\0')
        fputc('\n', to->out);
}

static void print_verdict(const moe_sheet *to, const moe_run_analysis *run)
{
    char text[1024] = "";
    moe_verdict_say(run, text, sizeof text);
    print_painted(to, MOE_HUE_BOLD, "", text);
    fputc('\n', to->out);
}

static const char *known(const char *text)
{
    return text[0] != '\0' ? text : "not recorded";
}

static void print_header(const moe_view *view, FILE *out)
{
    const moe_ledger_dims *d = &view->dims;
    fprintf(out, "file        %s\n", view->path);
    fprintf(out, "run         %s, %s, %s\n", view->run_id, view->date,
            view->source);
    fprintf(out, "model       %s: %d layers of %d experts\n",
            known(view->model), d->layers, d->experts);
    fprintf(out, "cluster     %s: %d GPUs, emulated by %d ranks on %d node%s\n",
            known(view->cluster), d->gpus, d->ranks, view->nodes,
            view->nodes == 1 ? "" : "s");
    fprintf(out, "trace       %s\n", known(view->trace));
    fprintf(out, "iterations  n = %d of %d measured, after %d to warm up\n",
            view->measured, d->iterations, d->warmup);
    if (view->period > 1)
        fprintf(out,
                "samples     n / %d: means over the iterations that a plan "
                "serves\n",
                view->period);
    fprintf(out, "status      %s\n",
            strcmp(view->status, "running") == 0
                ? "running, or killed before its end"
                : view->status);
    fprintf(out, "validation  %s\n", view->validation);
    moe_print_wrapped("            ", known(view->validation_text), out);
    if (view->measured < MOE_STATS_MIN_CI * view->period)
        fprintf(out, "intervals   none: they need %d iterations\n",
                MOE_STATS_MIN_CI * view->period);
}

/* Print a heading, and the lines under it as a list; frees them. */
static void print_list(char *lines, FILE *out)
{
    char *rest = NULL;
    const char *line = lines != NULL ? strtok_r(lines, "\n", &rest) : NULL;
    if (line != NULL)
        fprintf(out, "\n%s\n", line);
    while (line != NULL && (line = strtok_r(NULL, "\n", &rest)) != NULL)
        moe_print_wrapped("  ", line, out);
    free(lines);
}

static void print_fom(const char *metric, const char *strategy, double value,
                      const char *unit, FILE *out)
{
    if (isfinite(value))
        fprintf(out, "FOM %s %s = %.9g %s\n", metric, strategy, value, unit);
}

/* Lines for programs: stable names, one value each. */
static void print_foms(const moe_view *view, FILE *out)
{
    char name[64];
    const moe_metric *m;
    for (size_t i = 0; (m = moe_metric_at(i)) != NULL; i++)
        for (int s = 0; s < view->dims.strategies; s++) {
            moe_summary y = moe_metric_summary(m, &view->strategy[s]);
            print_fom(m->name, view->strategy[s].name,
                      m->mean_only ? y.mean : y.median, m->unit, out);
        }
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        for (int s = 0; s < view->dims.strategies; s++) {
            snprintf(name, sizeof name, "speedup_%s",
                     moe_clock_name((moe_clock)c));
            print_fom(name, view->strategy[s].name,
                      view->strategy[s].speedup[c].ratio, "1", out);
        }
}

static void print_result(const moe_sheet *to, const moe_view *view)
{
    const char *result = moe_report_result(view);
    const moe_hue hue = result[0] == 'V'                 ? MOE_HUE_GOOD
                        : strcmp(result, "INVALID") == 0 ? MOE_HUE_BAD
                                                         : MOE_HUE_NOTE;
    fprintf(to->out, "RESULT: %s%s%s\n", moe_ink_on(&to->ink, hue), result,
            moe_ink_off(&to->ink, hue));
}

void moe_report_print(const moe_run_analysis *run, FILE *out)
{
    const moe_view *view = run->view;
    const moe_sheet to = {.out = out, .ink = moe_ink_of(out)};
    print_warnings(&to, run);
    fprintf(out, "%s\n\n", known(view->title));
    print_verdict(&to, run);
    print_header(view, out);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        moe_sheet_times(&to, run, (moe_clock)c);
    moe_sheet_samples(&to, run);
    moe_sheet_loads(&to, view);
    moe_sheet_accuracy(&to, run);
    moe_sheet_regret(&to, view);
    moe_sheet_costs(&to, view);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        moe_sheet_phases(&to, run, (moe_clock)c);
    print_list(moe_verdict_why(run), out);
    if (run->sensitivity.analysed) {
        moe_sheet_stages(&to, run);
        print_list(moe_sensitivity_words(run), out);
    }
    fputc('\n', out);
    print_foms(view, out);
    print_result(&to, view);
}

moe_status moe_report_detail(const moe_run_analysis *run,
                             moe_report_drill drill, FILE *out, moe_error *err)
{
    const moe_sheet to = {.out = out, .ink = moe_ink_of(out)};
    if (!run->detailed)
        return moe_pass(err, &run->no_detail);
    if (drill.layers)
        moe_sheet_layers(&to, run);
    if (drill.ranks)
        moe_sheet_ranks(&to, run);
    return MOE_OK;
}
