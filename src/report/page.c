/* SPDX-License-Identifier: Apache-2.0 */
#include "contents.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/report.h"

/* What the page of all is made of. */
typedef struct pages {
    const moe_analysis *analysis;
    const moe_plots *plots;
    bool alone; /* a single run, or map */
    moe_document *doc;
} pages;

/* ---- figures ---- */

/* Figures of one run or map, or of all runs together. */
static void say_figures(const pages *to, moe_plot_of of, size_t number)
{
    for (size_t i = 0; i < to->plots->n; i++) {
        const moe_plot *x = &to->plots->item[i];
        const moe_figure figure = {x->name, x->svg, x->tips, x->n_tips};
        if (x->of != of || x->number != number)
            continue;
        moe_doc_figure(to->doc, &figure, x->title);
        moe_plot_say(x, to->analysis, moe_doc_words(to->doc));
    }
}

/* Why figures are words and numbers only. */
static void say_lack(moe_document *doc, const moe_plots *all)
{
    size_t failed = 0;
    for (size_t i = 0; i < all->n; i++)
        failed += all->item[i].failure != NULL;
    if (!all->gnuplot)
        moe_doc_say(doc, MOE_DOC_WARNING,
                    "Figures are missing: gnuplot was not found. Install it "
                    "(Debian: gnuplot-nox) and make the report again, or run "
                    "gnuplot on the scripts in the folder figures.");
    else if (failed > 0)
        moe_doc_say(
            doc, MOE_DOC_WARNING,
            "gnuplot could not draw %zu of %zu figures whole, in SVG and "
            "PDF; it says why when run on their scripts in the folder "
            "figures.",
            failed, all->n);
}

/* ---- a run ---- */

static void say_verdict(moe_document *doc, const moe_run_analysis *run)
{
    const moe_view *v = run->view;
    const moe_verdict *verdict = &run->verdict;
    moe_say_paced(doc, run);
    moe_doc_verdict(doc, moe_report_result(v), "%s", "");
    moe_verdict_say(run, moe_doc_words(doc));
    if (verdict->oracle < 0 || verdict->best < 0)
        return;
    const moe_strategy_view *y = &v->strategy[verdict->oracle];
    const double ratio = y->speedup[verdict->clock].ratio;
    fprintf(moe_doc_words(doc),
            " With the load known beforehand (%s) a layer is %s times as %s as "
            "with %s.",
            y->name, moe_number_cell(ratio >= 1 ? ratio : 1 / ratio).text,
            ratio >= 1 ? "fast" : "slow", v->strategy[v->reference_index].name);
}

/* The clock that counts stands open, the others are folded. */
static void say_clocks(moe_document *doc, const moe_run_analysis *run,
                       void (*say)(moe_document *doc,
                                   const moe_run_analysis *run,
                                   moe_clock clock))
{
    say(doc, run, run->verdict.clock);
    moe_doc_say(doc, MOE_DOC_FOLD, "Other clocks");
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        if (c != (int)run->verdict.clock)
            say(doc, run, (moe_clock)c);
    moe_doc_end(doc);
}

static void say_folded(moe_document *doc, const char *title, const char *text)
{
    if (text == NULL || text[0] == '\0')
        return;
    moe_doc_say(doc, MOE_DOC_FOLD, "%s", title);
    moe_doc_say(doc, MOE_DOC_CODE, "%s", text);
    moe_doc_end(doc);
}

static void say_provenance(moe_document *doc, const moe_run_analysis *run)
{
    moe_doc_say(doc, MOE_DOC_HEADING, "Provenance");
    moe_say_run(doc, run->view);
    if (run->detail.n_facts == 0)
        return;
    moe_doc_say(doc, MOE_DOC_FOLD, "Machine, libraries and settings");
    moe_doc_begin(doc, MOE_DOC_FACTS);
    for (size_t i = 0; i < run->detail.n_facts; i++)
        moe_doc_fact(doc, run->detail.fact[i].name, "%s",
                     run->detail.fact[i].text);
    moe_doc_end(doc);
}

/* Settings as they were resolved serve where the file is gone. */
static void say_experiment(moe_document *doc, const moe_run_analysis *run)
{
    const moe_detail *x = &run->detail;
    const char *config = run->view->config;
    const bool given = x->input != NULL && x->input[0] != '\0';
    moe_doc_say(doc, MOE_DOC_HEADING, "Experiment file");
    moe_doc_say(doc, MOE_DOC_CODE, "%s",
                given            ? x->input
                : config != NULL ? config
                                 : "not recorded");
    if (given)
        say_folded(doc, "Every setting", config);
    say_folded(doc, "Model profile", x->model_profile);
    say_folded(doc, "Cluster profile", x->cluster_profile);
}

static void say_again(moe_document *doc, const moe_run_analysis *run)
{
    char line[4096];
    const char *command = run->detail.command_line;
    moe_doc_say(doc, MOE_DOC_HEADING, "How to reproduce");
    moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                "Build %s, save the experiment file, and run it with as "
                "many ranks; the trace must have the digest above.",
                moe_known(run->view->source));
    snprintf(line, sizeof line, "mpirun -n %d %s", run->view->dims.ranks,
             command != NULL && command[0] != '\0'
                 ? command
                 : "moegps run EXPERIMENT.yaml");
    moe_doc_say(doc, MOE_DOC_CODE, "%s", line);
}

static void say_run(const pages *to, size_t number)
{
    moe_document *doc = to->doc;
    const moe_run_analysis *run = &to->analysis->run[number];
    moe_doc_begin(doc, MOE_DOC_SECTION);
    if (!to->alone)
        moe_doc_say(doc, MOE_DOC_HEADING, "Run %zu: %s", number + 1,
                    moe_known(run->view->title));
    say_verdict(doc, run);
    moe_say_warnings(doc, run, true, false);
    moe_doc_say(doc, MOE_DOC_HEADING, "Why");
    moe_say_gaps(doc, run);
    say_figures(to, MOE_PLOT_OF_RUN, number);
    if (run->sensitivity.analysed)
        moe_doc_say(doc, MOE_DOC_HEADING, "What would change it");
    moe_say_change(doc, run);
    moe_doc_say(doc, MOE_DOC_HEADING, "Times");
    say_clocks(doc, run, moe_say_times);
    moe_doc_say(doc, MOE_DOC_HEADING, "Loads, predictions and costs");
    moe_say_loads(doc, run);
    moe_say_accuracy(doc, run);
    moe_say_choices(doc, run);
    moe_say_regret(doc, run);
    moe_say_costs(doc, run);
    moe_doc_say(doc, MOE_DOC_HEADING, "Phases");
    say_clocks(doc, run, moe_say_phases);
    moe_say_two_clocks(doc, run);
    if (run->detailed && run->verdict.best >= 0) {
        moe_doc_say(doc, MOE_DOC_FOLD, "Every layer");
        moe_say_layers(doc, run);
        moe_doc_end(doc);
    }
    say_provenance(doc, run);
    say_experiment(doc, run);
    say_again(doc, run);
    moe_doc_end(doc);
}

/* ---- a map ---- */

static void say_map_warnings(moe_document *doc, const moe_map *map)
{
    moe_doc_begin(doc, MOE_DOC_WARNINGS);
    moe_doc_say(doc, MOE_DOC_ITEM,
                "Everything here is modelled, nothing was measured. "
                "VALID says that the file was read whole and agrees with "
                "itself.");
    if (map->paper)
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "Copies are as MoE-GPS assumes: they neither travel "
                    "nor cost the reading of their weights.");
    if (!map->own_links)
        moe_doc_say(doc, MOE_DOC_ITEM,
                    "Links other than a cluster's own are its prices "
                    "scaled, not links that somebody measured.");
}

/* What the page leaves out, and where it is. */
static void say_left_out(moe_document *doc, const moe_map *map)
{
    const size_t n = moe_map_slices(map);
    moe_doc_begin(doc, MOE_DOC_ASIDE);
    if (n > MOE_PLOT_SLICES)
        fprintf(moe_doc_words(doc), "Figures: %d of %zu. ", MOE_PLOT_SLICES, n);
    if (n > MOE_MAP_TABLES)
        fprintf(moe_doc_words(doc), "Tables: %d of %zu. ", MOE_MAP_TABLES, n);
    fputs("Every cell of every case: maps.csv, report.json.",
          moe_doc_words(doc));
}

static void say_map(const pages *to, size_t number, moe_error *err)
{
    moe_document *doc = to->doc;
    const moe_map *map = &to->analysis->map[number];
    char title[160], verdict[2048] = "";
    moe_map_title(map, title, sizeof title);
    moe_map_say(map, verdict, sizeof verdict);
    moe_doc_begin(doc, MOE_DOC_SECTION);
    if (!to->alone)
        moe_doc_say(doc, MOE_DOC_HEADING, "%s", title);
    moe_doc_verdict(doc, "VALID", "%s", verdict);
    say_map_warnings(doc, map);
    say_figures(to, MOE_PLOT_OF_MAP, number);
    moe_doc_say(doc, MOE_DOC_HEADING, "Who wins how much");
    moe_say_map_shares(doc, map);
    moe_say_map_tables(doc, map, MOE_MAP_CASE, err);
    say_left_out(doc, map);
    moe_doc_say(doc, MOE_DOC_HEADING, "Provenance");
    moe_say_map_facts(doc, map);
    moe_doc_say(doc, MOE_DOC_HEADING, "How to reproduce");
    if (map->command_line != NULL) {
        moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                    "Build %s and sweep again; the numbers repeat.",
                    map->version);
        moe_doc_say(doc, MOE_DOC_CODE, "%s", map->command_line);
    } else {
        moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                    "The file does not say how it was made.");
    }
    moe_doc_end(doc);
}

/* ---- the page ---- */

/* What the page is of, in a few words. */
static void say_title(moe_document *doc, const moe_analysis *a)
{
    const moe_view *v = a->n > 0 ? a->run[0].view : NULL;
    char map[160];
    bool same = true;
    for (size_t i = 1; i < a->n; i++)
        same = same && strcmp(a->run[i].view->model, v->model) == 0;
    moe_doc_begin(doc, MOE_DOC_TITLE);
    FILE *out = moe_doc_words(doc);
    if (a->n == 1 && a->n_maps == 0) {
        fputs(moe_known(v->title), out);
        return;
    }
    if (a->n == 0 && a->n_maps == 1) {
        moe_map_title(a->map, map, sizeof map);
        fputs(map, out);
        return;
    }
    if (a->n > 0)
        fprintf(out, "%zu run%s%s%s%s", a->n, a->n == 1 ? "" : "s",
                same ? " of " : "", same ? moe_known(v->model) : "",
                a->n_maps > 0 ? " and " : "");
    if (a->n_maps > 0)
        fprintf(out, "%zu map%s", a->n_maps, a->n_maps == 1 ? "" : "s");
}

void moe_say_page(moe_document *doc, const moe_analysis *a,
                  const moe_plots *plots, moe_error *err)
{
    const pages page = {a, plots, a->n + a->n_maps == 1, doc};
    say_title(doc, a);
    say_lack(doc, plots);
    moe_say_scaling_verdict(doc, a);
    say_figures(&page, MOE_PLOT_OF_ALL, 0);
    moe_say_scaling(doc, a, false);
    for (size_t i = 0; i < a->n; i++)
        say_run(&page, i);
    for (size_t i = 0; i < a->n_maps; i++)
        say_map(&page, i, err);
}
