/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cells.h"
#include "map_words.h"
#include "plot_words.h"
#include "moegps/html.h"
#include "moegps/mem.h"
#include "moegps/report.h"
#include "run_words.h"
#include "sheet.h"

/* Figures share this much of a page that is to stay below 2 MiB. */
static const size_t FIGURE_BYTES = (size_t)5 << 18;

/* Write formatted text, escaped. */
static void put(FILE *out, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void put(FILE *out, const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    moe_html_text(text, out);
}

static const char *known(const char *text)
{
    return text[0] != '\0' ? text : "not recorded";
}

/* ---- what to mind ---- */

static void warn_of_clocks(const moe_run_analysis *run, FILE *out)
{
    const moe_view *v = run->view;
    if (v->oversubscribed)
        moe_html_in(
            out, "li",
            "Wall clock is not a result here: ranks shared cores. Read the "
            "gpu clock, which is modelled.");
    if (run->detailed && run->detail.unbound > 0 && v->dims.ranks > 1) {
        fputs("<li>", out);
        put(out,
            "%d of %d ranks were not bound: each could use all cores of its "
            "node, and may have moved between them.",
            run->detail.unbound, run->detail.ranks);
        fputs("</li>\n", out);
    }
}

static void warn_of_samples(const moe_view *v, FILE *out)
{
    const int needed = MOE_STATS_MIN_CI * v->period;
    if (v->measured < needed) {
        fputs("<li>", out);
        put(out,
            "Few samples: %d iterations were measured by all strategies, and "
            "intervals need %d.",
            v->measured, needed);
        fputs("</li>\n", out);
    }
    if (strcmp(v->status, "complete") != 0) {
        fputs("<li>", out);
        put(out, "The run is not complete: %d of %d iterations, status %s.",
            v->measured, v->dims.iterations,
            strcmp(v->status, "running") == 0 ? "running, or killed"
                                              : v->status);
        fputs("</li>\n", out);
    }
    if (!v->valid) {
        fputs("<li>", out);
        put(out, "Validation %s: %s.", v->validation,
            known(v->validation_text));
        fputs("</li>\n", out);
    }
}

/* What measured and what modelled times rest on. */
static void put_grounds(const moe_run_analysis *run, FILE *out)
{
    const char *cost = moe_detail_fact(&run->detail, MOE_FACT_COST_MODEL);
    char text[1024] = "";
    moe_executed_say(run, text, sizeof text);
    if (text[0] != '\0')
        moe_html_in(out, "li", text);
    moe_prices_say(run->view, text, sizeof text);
    fputs("<li>", out);
    put(out, "Times of the gpu clock are modelled for cluster %s%s%s. %s",
        known(run->view->cluster), cost[0] != '\0' ? " by cost model " : "",
        cost, text);
    fputs("</li>\n", out);
}

static void put_warnings(const moe_run_analysis *run, FILE *out)
{
    const moe_view *v = run->view;
    fputs("<ul class=\"warnings\">\n", out);
    warn_of_clocks(run, out);
    warn_of_samples(v, out);
    for (size_t i = 0; i < v->n_warnings; i++)
        moe_html_in(out, "li", v->warnings[i]);
    if (!run->detailed)
        moe_html_in(out, "li", run->no_detail.text);
    put_grounds(run, out);
    fputs("</ul>\n", out);
}

/* ---- sections of a run ---- */

static void put_verdict(const moe_run_analysis *run, FILE *out)
{
    const moe_view *v = run->view;
    const moe_verdict *verdict = &run->verdict;
    const char *result = moe_report_result(v);
    char text[1024] = "";
    moe_verdict_say(run, text, sizeof text);
    fprintf(out, "<p class=\"verdict\"><span class=\"badge %s\">%s</span> ",
            result, result);
    moe_html_text(text, out);
    if (verdict->oracle >= 0 && verdict->best >= 0) {
        const moe_strategy_view *y = &v->strategy[verdict->oracle];
        const double ratio = y->speedup[verdict->clock].ratio;
        put(out,
            " With the load known beforehand (%s) a layer is %s times as %s as "
            "with %s.",
            y->name, moe_number_cell(ratio >= 1 ? ratio : 1 / ratio).text,
            ratio >= 1 ? "fast" : "slow", v->strategy[v->reference_index].name);
    }
    fputs("</p>\n", out);
}

/* The clock that counts stands open, the others are folded. */
static void put_clocks(const moe_sheet *to, const moe_run_analysis *run,
                       void (*table)(const moe_sheet *to,
                                     const moe_run_analysis *run,
                                     moe_clock clock))
{
    table(to, run, run->verdict.clock);
    fputs("<details><summary>Other clocks</summary>\n", to->out);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        if (c != (int)run->verdict.clock)
            table(to, run, (moe_clock)c);
    fputs("</details>\n", to->out);
}

static void put_row(FILE *out, const char *name, const char *text)
{
    fputs("<tr>", out);
    moe_html_in(out, "th scope=\"row\"", name);
    moe_html_in(out, "td", text);
    fputs("</tr>\n", out);
}

static void put_sizes(const moe_view *v, FILE *out)
{
    const moe_ledger_dims *d = &v->dims;
    char text[512];
    snprintf(text, sizeof text, "%s: %d layers of %d experts", known(v->model),
             d->layers, d->experts);
    put_row(out, "model", text);
    snprintf(text, sizeof text,
             "%s: %d GPUs, emulated by %d ranks on %d node%s",
             known(v->cluster), d->gpus, d->ranks, v->nodes,
             v->nodes == 1 ? "" : "s");
    put_row(out, "cluster", text);
    snprintf(text, sizeof text, "%d of %d measured, after %d to warm up%s",
             v->measured, d->iterations, d->warmup,
             v->period > 1 ? "; a sample is the mean over those that a plan "
                             "serves"
                           : "");
    put_row(out, "iterations", text);
}

static void put_provenance(const moe_run_analysis *run, FILE *out)
{
    const moe_view *v = run->view;
    fputs("<h2>Provenance</h2>\n<div class=\"wide\" tabindex=\"0\">"
          "<table class=\"facts\"><tbody>\n",
          out);
    put_row(out, "file", v->path);
    put_row(out, "run", v->run_id);
    put_row(out, "date", v->date);
    put_row(out, "program", v->source);
    put_sizes(v, out);
    put_row(out, "trace", known(v->trace));
    put_row(out, "trace SHA-256", known(v->trace_sha256));
    put_row(out, "status", v->status);
    put_row(out, "validation", v->validation);
    put_row(out, "what was checked", known(v->validation_text));
    fputs("</tbody></table></div>\n", out);
    if (run->detail.n_facts == 0)
        return;
    fputs("<details><summary>Machine, libraries and settings</summary>\n"
          "<div class=\"wide\" tabindex=\"0\"><table class=\"facts\">"
          "<tbody>\n",
          out);
    for (size_t i = 0; i < run->detail.n_facts; i++)
        put_row(out, run->detail.fact[i].name, run->detail.fact[i].text);
    fputs("</tbody></table></div></details>\n", out);
}

static void put_folded(FILE *out, const char *title, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    fputs("<details>", out);
    moe_html_in(out, "summary", title);
    moe_html_in(out, "pre", text);
    fputs("</details>\n", out);
}

/* Settings as they were resolved serve where the file is gone. */
static void put_experiment(const moe_run_analysis *run, FILE *out)
{
    const moe_detail *x = &run->detail;
    const bool given = x->input != NULL && x->input[0] != '\0';
    fputs("<h2>Experiment file</h2>\n", out);
    moe_html_in(out, "pre",
                given                       ? x->input
                : run->view->config != NULL ? run->view->config
                                            : "not recorded");
    if (given)
        put_folded(out, "Every setting", run->view->config);
    put_folded(out, "Model profile", x->model_profile);
    put_folded(out, "Cluster profile", x->cluster_profile);
    fputs("<h2>How to reproduce</h2>\n<p>Build ", out);
    put(out, "%s", known(run->view->source));
    fputs(", save the experiment file, and run it with as many ranks; the "
          "trace must have the digest above.</p>\n<pre>",
          out);
    put(out, "mpirun -n %d %s", run->view->dims.ranks,
        x->command_line != NULL && x->command_line[0] != '\0'
            ? x->command_line
            : "moegps run EXPERIMENT.yaml");
    fputs("</pre>\n", out);
}

/* ---- figures ---- */

/* Many words are folded, where there is something else to see. */
static void put_words(const char *words, bool seen, FILE *out)
{
    enum { FEW = 280 };
    const bool fold = seen && strlen(words) > FEW;
    fputs(fold ? "<details><summary>In words</summary>" : "", out);
    moe_html_text(words, out);
    fputs(fold ? "</details>" : "", out);
}

/* What the page of all runs is made of. */
typedef struct pages {
    const moe_analysis *analysis;
    const moe_plots *plots;
    size_t budget; /* bytes that figures may still take */
    bool alone;    /* a single run, or map */
    FILE *out;
} pages;

static void put_figure(const moe_plot *x, pages *to_page)
{
    FILE *out = to_page->out;
    const size_t bytes = x->svg != NULL ? strlen(x->svg) : 0;
    const bool fits = bytes > 0 && bytes <= to_page->budget;
    char *text = moe_plot_words(x, to_page->analysis);
    const char *words = text != NULL ? text : "";
    fprintf(out, "<figure id=\"%s\">\n", x->name);
    moe_html_in(out, "h3", x->title);
    if (fits) {
        moe_plot_inline(x, words, out);
        to_page->budget -= bytes;
    }
    fputs("<figcaption>", out);
    put_words(words, fits, out);
    fprintf(out, " <span class=\"soft\">figures/%s.%s%s</span>", x->name,
            x->svg != NULL ? "svg, .pdf, .gp, .csv" : "csv, .gp",
            bytes > 0 && !fits ? ": too large for this page" : "");
    fputs("</figcaption>\n</figure>\n", out);
    free(text);
}

/* Figures of one run or map, or of all runs together. */
static void put_figures(pages *to_page, moe_plot_of of, size_t number)
{
    const moe_plots *all = to_page->plots;
    bool any = false;
    for (size_t i = 0; i < all->n; i++) {
        if (all->item[i].of != of || all->item[i].number != number)
            continue;
        fputs(any ? "" : "<div class=\"figures\">\n", to_page->out);
        any = true;
        put_figure(&all->item[i], to_page);
    }
    fputs(any ? "</div>\n" : "", to_page->out);
}

/* Why figures are words and numbers only. */
static void put_lack(const moe_plots *all, FILE *out)
{
    size_t failed = 0;
    for (size_t i = 0; i < all->n; i++)
        failed += all->item[i].failure != NULL;
    if (all->gnuplot && failed == 0)
        return;
    fputs("<p class=\"warnings\">", out);
    if (!all->gnuplot)
        put(out, "Figures are missing: gnuplot was not found. Install it "
                 "(Debian: gnuplot-nox) and make the report again, or run "
                 "gnuplot on the scripts in the folder figures.");
    else
        put(out,
            "gnuplot could not draw %zu of %zu figures whole, in SVG and "
            "PDF; it says why when run on their scripts in the folder "
            "figures.",
            failed, all->n);
    fputs("</p>\n", out);
}

static void put_run(const moe_run_analysis *run, size_t number, pages *to_page)
{
    FILE *out = to_page->out;
    const bool alone = to_page->alone;
    const moe_sheet to = {.out = out, .html = true};
    fputs("<section>\n", out);
    if (!alone) {
        fputs("<h2>", out);
        put(out, "Run %zu: %s", number + 1, known(run->view->title));
        fputs("</h2>\n", out);
    }
    put_verdict(run, out);
    put_warnings(run, out);
    moe_page_sensitivity(run, out);
    put_figures(to_page, MOE_PLOT_OF_RUN, number);
    fputs("<h2>Times</h2>\n", out);
    put_clocks(&to, run, moe_sheet_times);
    fputs("<h2>Loads, predictions and costs</h2>\n", out);
    moe_sheet_loads(&to, run->view);
    moe_sheet_accuracy(&to, run);
    moe_sheet_regret(&to, run->view);
    moe_sheet_costs(&to, run->view);
    fputs("<h2>Phases</h2>\n", out);
    put_clocks(&to, run, moe_sheet_phases);
    put_provenance(run, out);
    put_experiment(run, out);
    fputs("</section>\n", out);
}

static void put_map(const moe_map *map, size_t number, pages *to_page,
                    moe_error *err)
{
    FILE *out = to_page->out;
    char title[160];
    fputs("<section>\n", out);
    moe_map_title(map, title, sizeof title);
    if (!to_page->alone)
        moe_html_in(out, "h2", title);
    moe_page_map_top(map, out);
    put_figures(to_page, MOE_PLOT_OF_MAP, number);
    moe_page_map_rest(map, out, err);
    fputs("</section>\n", out);
}

moe_status moe_page_write(const moe_analysis *a, const moe_plots *plots,
                          FILE *out, moe_error *err)
{
    pages page = {a, plots, FIGURE_BYTES, a->n + a->n_maps == 1, out};
    const moe_sheet to = {.out = out, .html = true};
    moe_page_head(a, out);
    put_lack(plots, out);
    put_figures(&page, MOE_PLOT_OF_ALL, 0);
    if (a->scaling.strategies > 0) {
        fputs("<h2>Scaling</h2>\n<p>Efficiency: tokens per second and GPU, "
              "over that of the fewest GPUs.</p>\n",
              out);
        moe_sheet_scaling(&to, a);
    }
    for (size_t i = 0; i < a->n; i++)
        put_run(&a->run[i], i, &page);
    for (size_t i = 0; i < a->n_maps; i++)
        put_map(&a->map[i], i, &page, err);
    moe_page_foot(a, out);
    if (ferror(out))
        moe_fail(err, MOE_IO, "cannot write HTML");
    return err->status;
}
