/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "cells.h"
#include "moegps/html.h"
#include "moegps/mem.h"
#include "moegps/report.h"
#include "scaling.h"
#include "sheet.h"

/* Figures share this much of a page that is to stay below 2 MiB. */
static const size_t FIGURE_BYTES = (size_t)5 << 18;

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--page:#fff;"
    "--card:#f6f8fa;--line:#d0d7de;--good:#1a7f37;--bad:#b42318;"
    "--note:#8a5a00}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b1;"
    "--page:#0d1117;--card:#161b22;--line:#30363d;--good:#3fb950;"
    "--bad:#ff7b72;--note:#e3b341}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:80rem;padding:1rem;color:var(--ink);"
    "background:var(--page);font:1rem/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0}\n"
    "h2{font-size:1.25rem;margin:2rem 0 .5rem;border-bottom:1px solid "
    "var(--line)}\n"
    "h3{font-size:1rem;margin:1.5rem 0 .5rem}\n"
    "p,li,h1,h2,h3,td,th,dd{overflow-wrap:anywhere}\n"
    ".wide{overflow-x:auto;max-width:100%}\n"
    "table{border-collapse:collapse;font-size:.9rem;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid var(--line);overflow-wrap:normal}\n"
    "thead th{vertical-align:bottom}th small{color:var(--soft);"
    "font-weight:normal;display:block}\n"
    "tbody th{font-weight:600}.n{text-align:right;white-space:nowrap}\n"
    ".facts td{overflow-wrap:anywhere}\n"
    /* Numbers that are scrolled to keep the names of their rows. */
    ".wide tbody th{position:sticky;left:0;background:var(--page);"
    "padding-right:.75rem}\n"
    "@media(max-width:40rem){.wide tbody th{min-width:7.5rem;max-width:9rem;"
    "overflow-wrap:anywhere}h1{font-size:1.3rem}.verdict{font-size:1rem;"
    "padding:.75rem}}\n"
    ".verdict{font-size:1.15rem;padding:1rem;background:var(--card);"
    "border-left:.3rem solid var(--good)}\n"
    ".VALID{color:var(--good)}.INVALID{color:var(--bad)}"
    ".INCOMPLETE{color:var(--note)}\n"
    ".badge{font-weight:700}\n"
    ".warnings{padding:.5rem 1rem .5rem 2rem;background:var(--card);"
    "border-left:.3rem solid var(--note)}\n"
    "pre{overflow-x:auto;padding:1rem;background:var(--card);font-size:.85rem;"
    "line-height:1.4}\n"
    "summary{cursor:pointer;margin:.75rem 0}\n"
    ".figures{display:grid;gap:1rem 2rem;grid-template-columns:"
    "repeat(auto-fit,minmax(min(100%,34rem),1fr))}\n"
    "figure{margin:1rem 0;min-width:0}figure svg{display:block;width:100%;"
    "height:auto}\n"
    "figcaption{font-size:.85rem}figcaption summary{margin:.25rem 0}\n"
    ".soft{color:var(--soft)}\n"
    "@media(prefers-color-scheme:dark){figure svg{filter:brightness(1.2)}}\n"
    "@media print{body{max-width:none;padding:0;font-size:10pt}"
    "details::details-content{content-visibility:visible;block-size:auto}"
    "figure,tr,.verdict,.warnings{break-inside:avoid}"
    "h2,h3{break-after:avoid}.wide,pre{overflow:visible}"
    "pre{white-space:pre-wrap}.figures{grid-template-columns:1fr 1fr}}\n";

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

/* <tag>escaped text</tag>; `tag` may have attributes. */
static void put_in(FILE *out, const char *tag, const char *text)
{
    fprintf(out, "<%s>", tag);
    moe_html_text(text, out);
    fprintf(out, "</%.*s>\n", (int)strcspn(tag, " "), tag);
}

static const char *known(const char *text)
{
    return text[0] != '\0' ? text : "not recorded";
}

/* ---- what to mind ---- */

static void warn_of_clocks(const moe_dossier_run *run, FILE *out)
{
    const moe_view *v = run->view;
    if (v->oversubscribed)
        put_in(out, "li",
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

static const char *fact(const moe_dossier_run *run, const char *name)
{
    for (size_t i = 0; i < run->detail.n_facts; i++)
        if (strcmp(run->detail.fact[i].name, name) == 0)
            return run->detail.fact[i].text;
    return "";
}

static void put_warnings(const moe_dossier_run *run, FILE *out)
{
    const moe_view *v = run->view;
    fputs("<ul class=\"warnings\">\n", out);
    warn_of_clocks(run, out);
    warn_of_samples(v, out);
    for (size_t i = 0; i < v->n_warnings; i++)
        put_in(out, "li", v->warnings[i]);
    if (!run->detailed)
        put_in(out, "li", run->why);
    fputs("<li>", out);
    put(out,
        "Times of the gpu clock are modelled for cluster %s%s%s; a result file "
        "does not say which prices were extrapolated, `moegps cost` does.",
        known(v->cluster),
        fact(run, "cost_model")[0] != '\0' ? " by cost model " : "",
        fact(run, "cost_model"));
    fputs("</li>\n</ul>\n", out);
}

/* ---- sections of a run ---- */

static void put_verdict(const moe_dossier_run *run, FILE *out)
{
    const moe_view *v = run->view;
    const moe_verdict *verdict = &run->verdict;
    const char *result = moe_report_result(v);
    char text[1024] = "";
    moe_verdict_say(v, verdict, text, sizeof text);
    fprintf(out, "<p class=\"verdict\"><span class=\"badge %s\">%s</span> ",
            result, result);
    moe_html_text(text, out);
    if (verdict->bound >= 0 && verdict->best >= 0) {
        const moe_strategy_view *y = &v->strategy[verdict->bound];
        put(out,
            " With the load known beforehand (%s) it would be %s times as "
            "fast as %s.",
            y->name, moe_number_cell(y->speedup[verdict->clock].ratio).text,
            v->strategy[v->reference_index].name);
    }
    fputs("</p>\n", out);
}

/* The clock that counts stands open, the others are folded. */
static void put_clocks(const moe_sheet *to, const moe_dossier_run *run,
                       void (*table)(const moe_sheet *to, const moe_view *view,
                                     moe_clock clock))
{
    table(to, run->view, run->verdict.clock);
    fputs("<details><summary>Other clocks</summary>\n", to->out);
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        if (c != (int)run->verdict.clock)
            table(to, run->view, (moe_clock)c);
    fputs("</details>\n", to->out);
}

static void put_row(FILE *out, const char *name, const char *text)
{
    fputs("<tr>", out);
    put_in(out, "th scope=\"row\"", name);
    put_in(out, "td", text);
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

static void put_provenance(const moe_dossier_run *run, FILE *out)
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
    put_in(out, "summary", title);
    put_in(out, "pre", text);
    fputs("</details>\n", out);
}

/* Settings as they were resolved serve where the file is gone. */
static void put_experiment(const moe_dossier_run *run, FILE *out)
{
    const moe_detail *x = &run->detail;
    const bool given = x->input != NULL && x->input[0] != '\0';
    fputs("<h2>Experiment file</h2>\n", out);
    put_in(out, "pre",
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

static void put_figure(const moe_drawing *x, size_t *budget, FILE *out)
{
    const size_t bytes = x->svg != NULL ? strlen(x->svg) : 0;
    const bool fits = bytes > 0 && bytes <= *budget;
    fprintf(out, "<figure id=\"%s\">\n", x->name);
    put_in(out, "h3", x->title);
    if (fits) {
        moe_drawing_inline(x, out);
        *budget -= bytes;
    }
    fputs("<figcaption>", out);
    put_words(x->words, fits, out);
    fprintf(out, " <span class=\"soft\">figures/%s.%s%s</span>", x->name,
            x->svg != NULL ? "svg, .pdf, .gp, .csv" : "csv, .gp",
            bytes > 0 && !fits ? ": too large for this page" : "");
    fputs("</figcaption>\n</figure>\n", out);
}

/* Figures of one run, or of all runs together. */
static void put_figures(const moe_drawings *all, size_t run, bool overall,
                        size_t *budget, FILE *out)
{
    bool any = false;
    for (size_t i = 0; i < all->n; i++) {
        if (all->run[i] != run || all->item[i].overall != overall)
            continue;
        fputs(any ? "" : "<div class=\"figures\">\n", out);
        any = true;
        put_figure(&all->item[i], budget, out);
    }
    fputs(any ? "</div>\n" : "", out);
}

/* Why figures are words and numbers only. */
static void put_lack(const moe_drawings *all, FILE *out)
{
    if (all->gnuplot && all->failed == 0)
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
            all->failed, all->n);
    fputs("</p>\n", out);
}

/* What the page of all runs is made of. */
typedef struct pages {
    const moe_drawings *drawings;
    size_t budget; /* bytes that figures may still take */
    bool alone;    /* a single run */
    FILE *out;
} pages;

static void put_run(const moe_dossier_run *run, size_t number, pages *to_page)
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
    put_figures(to_page->drawings, number, false, &to_page->budget, out);
    fputs("<h2>Times</h2>\n", out);
    put_clocks(&to, run, moe_sheet_times);
    fputs("<h2>Loads, predictions and costs</h2>\n", out);
    moe_sheet_loads(&to, run->view);
    moe_sheet_accuracy(&to, run->view);
    moe_sheet_regret(&to, run->view);
    moe_sheet_costs(&to, run->view);
    fputs("<h2>Phases</h2>\n", out);
    put_clocks(&to, run, moe_sheet_phases);
    put_provenance(run, out);
    put_experiment(run, out);
    fputs("</section>\n", out);
}

static void put_head(const moe_dossier *d, FILE *out)
{
    const moe_view *v = d->run[0].view;
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
          "<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
          "'none'; style-src 'unsafe-inline'; img-src data:\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, "
          "initial-scale=1\">\n<title>",
          out);
    put(out, "moe-gps: %s", known(v->title));
    fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n",
            style);
    fputs("<h1>", out);
    bool same = true;
    for (size_t i = 1; i < d->n; i++)
        same = same && strcmp(d->run[i].view->model, v->model) == 0;
    if (d->n > 1)
        put(out, same ? "%zu runs of %s" : "%zu runs", d->n, known(v->model));
    else
        put(out, "%s", known(v->title));
    fputs("</h1>\n</header>\n<main>\n", out);
}

moe_status moe_page_write(const moe_dossier *d, const moe_drawings *drawings,
                          FILE *out, moe_error *err)
{
    pages page = {drawings, FIGURE_BYTES, d->n == 1, out};
    const moe_sheet to = {.out = out, .html = true};
    put_head(d, out);
    put_lack(drawings, out);
    put_figures(drawings, 0, true, &page.budget, out);
    if (moe_scaling_present(d->run[0].view, d->n)) { /* views are an array */
        fputs("<h2>Scaling</h2>\n<p>Efficiency: tokens per second and GPU, "
              "over that of the fewest GPUs.</p>\n",
              out);
        moe_sheet_scaling(&to, d->run[0].view, d->n, err);
    }
    for (size_t i = 0; i < d->n; i++)
        put_run(&d->run[i], i, &page);
    fputs("</main>\n<footer class=\"soft\"><p>The same numbers: report.csv, "
          "report.json. The figures, their data and scripts: the folder "
          "figures. Times of the gpu clock are modelled, all others "
          "measured; intervals are of medians, 95 %.</p></footer>\n"
          "</body>\n</html>\n",
          out);
    return ferror(out) ? moe_fail(err, MOE_IO, "cannot write HTML") : MOE_OK;
}
