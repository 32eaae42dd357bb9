/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <string.h>

#include "contents.h"

const char *moe_report_result(const moe_view *view)
{
    if (strcmp(view->validation, "fail") == 0)
        return "INVALID";
    return view->valid && strcmp(view->status, "complete") == 0 ? "VALID"
                                                                : "INCOMPLETE";
}

/* Lines for programs: stable names, one value each. */
static void say_foms(moe_document *doc, const moe_view *view)
{
    char name[64];
    const moe_metric *m;
    for (size_t i = 0; (m = moe_metric_at(i)) != NULL; i++)
        for (int s = 0; s < view->dims.strategies; s++) {
            const moe_summary y = moe_metric_summary(m, &view->strategy[s]);
            moe_doc_fom(doc, m->name, view->strategy[s].name,
                        m->mean_only ? y.mean : y.median, m->unit);
        }
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        for (int s = 0; s < view->dims.strategies; s++) {
            snprintf(name, sizeof name, "speedup_%s",
                     moe_clock_name((moe_clock)c));
            moe_doc_fom(doc, name, view->strategy[s].name,
                        view->strategy[s].speedup[c].ratio, "1");
        }
}

static bool is_shown(const moe_run_analysis *run, moe_clock clock, bool all)
{
    return all || clock == run->verdict.clock ||
           moe_clock_is_result(run->view, clock);
}

/* Say tables of each clock that is shown. */
static void say_clocks(moe_document *doc, const moe_run_analysis *run, bool all,
                       void (*say)(moe_document *doc,
                                   const moe_run_analysis *run,
                                   moe_clock clock))
{
    for (int c = 0; c < MOE_N_CLOCKS; c++)
        if (is_shown(run, (moe_clock)c, all))
            say(doc, run, (moe_clock)c);
}

static void say_not_shown(moe_document *doc, const moe_run_analysis *run,
                          bool all)
{
    const bool wall = !is_shown(run, MOE_CLOCK_WALL, all),
               cpu = !is_shown(run, MOE_CLOCK_CPU, all);
    if (wall || cpu)
        moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                    "Not shown: the %s%s%s clock, no result here (report "
                    "--all).",
                    wall ? "wall" : "", wall && cpu ? " and the " : "",
                    cpu ? "cpu" : "");
}

/* First and last, as a report is longer than a screen. */
static void say_verdict(moe_document *doc, const moe_run_analysis *run,
                        const char *result)
{
    moe_doc_verdict(doc, result, "%s", "");
    moe_verdict_say(run, moe_doc_words(doc));
}

void moe_report_run(moe_document *doc, const moe_run_analysis *run,
                    moe_report_extent extent)
{
    const moe_view *view = run->view;
    const char *result = moe_report_result(view);
    moe_doc_say(doc, MOE_DOC_PARAGRAPH, "%s", moe_known(view->title));
    moe_say_paced(doc, run);
    say_verdict(doc, run, result);
    moe_say_warnings(doc, run, false, extent.warned);
    moe_say_run(doc, view);
    say_clocks(doc, run, extent.all, moe_say_times);
    say_not_shown(doc, run, extent.all);
    moe_say_samples(doc, run);
    moe_say_loads(doc, run);
    moe_say_accuracy(doc, run);
    moe_say_choices(doc, run);
    moe_say_regret(doc, run);
    moe_say_costs(doc, run);
    say_clocks(doc, run, extent.all, moe_say_phases);
    moe_say_two_clocks(doc, run);
    moe_say_gaps(doc, run);
    moe_say_change(doc, run);
    say_verdict(doc, run, result);
    say_foms(doc, view);
    moe_doc_result(doc, result);
}

moe_status moe_report_detail(moe_document *doc, const moe_run_analysis *run,
                             moe_report_drill drill, moe_error *err)
{
    if (!run->detailed)
        return moe_pass(err, &run->no_detail);
    moe_doc_say(doc, MOE_DOC_PARAGRAPH, "%s", run->view->path);
    if (drill.layers)
        moe_say_layers(doc, run);
    if (drill.ranks)
        moe_say_ranks(doc, run);
    moe_doc_result(doc, moe_report_result(run->view));
    return MOE_OK;
}

moe_status moe_report_map(moe_document *doc, const moe_map *map,
                          moe_advise_case c, moe_error *err)
{
    moe_error local = {0};
    char title[160];
    moe_map_title(map, title, sizeof title);
    moe_doc_say(doc, MOE_DOC_PARAGRAPH, "%s", title);
    moe_say_map_facts(doc, map);
    moe_say_map_tables(doc, map, c, &local);
    moe_say_map_shares(doc, map);
    moe_say_map_flips(doc, map, c, &local);
    for (int s = 0; s < MOE_ADVISE_ORACLE; s++)
        for (int k = 0; k < map->n_cluster; k++) {
            char metric[64];
            const moe_advise_strategy by = (moe_advise_strategy)s;
            snprintf(metric, sizeof metric, "map_share_%s",
                     moe_advise_strategy_name(by));
            moe_doc_fom(doc, metric, map->cluster[k].name,
                        moe_map_share(map, k, MOE_MAP_CASE, by), "1");
        }
    moe_doc_result(doc, "VALID");
    return moe_pass(err, &local);
}
