/* contents.h: what reports say. Functions of a document add to it, those of a
 * stream write a sentence. */
#ifndef MOEGPS_REPORT_CONTENTS_H
#define MOEGPS_REPORT_CONTENTS_H

#include <stdio.h>

#include <jansson.h>

#include "moegps/advise.h"
#include "moegps/analysis.h"
#include "moegps/document.h"
#include "moegps/map_slice.h"
#include "moegps/plots.h"
#include "moegps/search.h"

/* @return "not recorded" for an empty text, else the text. */
static inline const char *moe_known(const char *text)
{
    return text[0] != '\0' ? text : "not recorded";
}

/* ---- of a run ---- */

/* What to mind, for whom a terminal or a page is enough.
 * @param warned  the reader has seen the run's own warnings */
void moe_say_warnings(moe_document *doc, const moe_run_analysis *run, bool page,
                      bool warned);

/* What ran where, and how whole it is. */
void moe_say_run(moe_document *doc, const moe_view *view);

/* Of a paced run: what its times are, on which links; whether deadlines were
 * kept; its phases on both clocks, and what explains the difference. Of others
 * nothing. */
void moe_say_paced(moe_document *doc, const moe_run_analysis *run);
void moe_say_lateness(moe_document *doc, const moe_view *view);
/* Say of a run that did not execute the overlap that it was priced with. */
void moe_say_overlap(moe_document *doc, const moe_view *view);
void moe_say_two_clocks(moe_document *doc, const moe_run_analysis *run);

/* The verdict in one sentence, with its margin and confidence. */
void moe_verdict_say(const moe_run_analysis *run, FILE *out);

/* Why the best is best: in which phases others differ from the reference. */
void moe_say_gaps(moe_document *doc, const moe_run_analysis *run);

/* What perfecting a stage would win, and what would change the verdict, if that
 * was analysed. */
void moe_say_change(moe_document *doc, const moe_run_analysis *run);

/* A list: what would change the verdict, and break-even. */
void moe_say_sensitivity(moe_document *doc, const moe_run_analysis *run);

/* Tables with a row per strategy. Some say nothing of a run without what they
 * are of: regrets, enough predictors of tokens, enough samples. */
void moe_say_times(moe_document *doc, const moe_run_analysis *run,
                   moe_clock clock);
void moe_say_samples(moe_document *doc, const moe_run_analysis *run);
void moe_say_loads(moe_document *doc, const moe_run_analysis *run);
void moe_say_accuracy(moe_document *doc, const moe_run_analysis *run);
void moe_say_regret(moe_document *doc, const moe_run_analysis *run);
void moe_say_costs(moe_document *doc, const moe_run_analysis *run);
void moe_say_stages(moe_document *doc, const moe_run_analysis *run);

/* Of strategies that choose: regret, use of candidates, switches. */
void moe_say_choices(moe_document *doc, const moe_run_analysis *run);

/* And with a column per strategy, or a row per rank. */
void moe_say_phases(moe_document *doc, const moe_run_analysis *run,
                    moe_clock clock);
void moe_say_layers(moe_document *doc, const moe_run_analysis *run);
void moe_say_ranks(moe_document *doc, const moe_run_analysis *run);

/* ---- of advice ---- */

/* @return the split that was priced. */
static inline const char *moe_advice_split(const moe_advise_params *p)
{
    return p->split != NULL ? p->split->name : "quota";
}

/* The whole model, memory, and how many copies pay; and the same as JSON. */
void moe_say_model(moe_document *doc, const moe_advise_params *p,
                   const moe_advise_model *m);
json_t *moe_model_json(const moe_advise_model *m, moe_error *err);

/* ---- of runs of several numbers of GPUs ---- */

/* Which strategy to use on how many GPUs, and where that turns. */
void moe_say_scaling_verdict(moe_document *doc, const moe_analysis *a);

/* How time and efficiency go with their number. */
void moe_say_scaling(moe_document *doc, const moe_analysis *a, bool all);

/* ---- of a map ---- */

/* Case of which figures and the verdict are. */
#define MOE_MAP_CASE MOE_ADVISE_TYPICAL

/* "Map of mixtral-8x7b on 4 GPUs". */
void moe_map_title(const moe_map *map, char *text, size_t size);

/* Who wins how much, and where that flips in the first slice; where it flips in
 * a slice. */
void moe_map_say(const moe_map *map, char *text, size_t size);
void moe_map_slice_say(const moe_map_slice *x, char *text, size_t size);

/* Its settings; shares of its cells by cluster and case. */
void moe_say_map_facts(moe_document *doc, const moe_map *map);
void moe_say_map_shares(moe_document *doc, const moe_map *map);

/* Winner and margin in the cells of a case, slice by slice, and where the
 * verdict flips in each: of the first MOE_MAP_TABLES slices. */
enum { MOE_MAP_TABLES = 12 };
void moe_say_map_tables(moe_document *doc, const moe_map *map,
                        moe_advise_case c, moe_error *err);
void moe_say_map_flips(moe_document *doc, const moe_map *map, moe_advise_case c,
                       moe_error *err);

/* ---- of figures, and of all ---- */

/* What is seen in a figure, for who cannot. */
void moe_plot_say(const moe_plot *plot, const moe_analysis *analysis,
                  FILE *out);

/* What the map around a run assumes of the strategies, and who wins here. */
void moe_regime_map_say(const moe_run_analysis *run, FILE *out);

/* The page of all; its figures, if gnuplot drew any. */
void moe_say_page(moe_document *doc, const moe_analysis *analysis,
                  const moe_plots *plots, moe_error *err);

/* @return what follows a deployment that decodes as a trace's positions say. */
const char *moe_words_cached(const moe_serving *serving);

/* What a search says of copies and of the cache; JSON is the caller's. */
void moe_say_search_rooms(moe_document *doc, const moe_search_params *params,
                          const moe_search *search);
json_t *moe_search_rooms_json(const moe_search_params *params,
                              const moe_search *search, moe_error *err);

/* Say how many layers ahead a layer is planned, if any. */
void moe_say_lookahead(moe_document *doc, int lookahead);

#endif
