/** report.h: what results, maps, comparisons and advice say, to people and to
 *  programs.
 *
 *  All forms show an analysis of runs, and maps, and compute nothing
 *  themselves.
 *  The gpu clock is always called modelled, and where ranks share cores the
 *  wall clock is said to be no result before anything else is said.
 */
#ifndef MOEGPS_REPORT_H
#define MOEGPS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "moegps/advise.h"
#include "moegps/analysis.h"
#include "moegps/comparison.h"
#include "moegps/document.h"
#include "moegps/map.h"
#include "moegps/search.h"
#include "moegps/status.h"
#include "moegps/view.h"

/* Of the JSON form; as for result files, MAJOR breaks readers, MINOR adds. */
#define MOE_REPORT_SCHEMA "moe-gps-report"
#define MOE_REPORT_SCHEMA_VERSION "1.2.0"

/** @return "VALID" (complete, and its checks passed), "INVALID" (a check
 *  failed) or "INCOMPLETE" (stopped early, or not checked). */
const char *moe_report_result(const moe_view *view);

/* What a report of a run has or leaves out. */
typedef struct moe_report_extent {
    bool all;    /* clocks, too, that are no result */
    bool warned; /* its reader has just seen the run's own warnings */
} moe_report_extent;

/** Say all of a run: the verdict, what to mind, tables, why, what would change
 *  it if that was analysed, then a line per metric and strategy for programs,
 *  and the result. Tables have at most 100 columns. */
void moe_report_run(moe_document *doc, const moe_run_analysis *run,
                    moe_report_extent extent);

/** What else to say of a run. */
typedef struct moe_report_drill {
    bool layers; /* the time of every layer, and its skewness */
    bool ranks;  /* how busy every rank was, of the best strategy */
} moe_report_drill;

/** Say tables that need the run's details, and the result.
 *  @return MOE_OK, or why there are none: MOE_USAGE (the file is gone),
 *  MOE_MISMATCH. */
moe_status moe_report_detail(moe_document *doc, const moe_run_analysis *run,
                             moe_report_drill drill, moe_error *err);

/** Say which strategy to use on how many GPUs, and how time and efficiency go
 *  with their number; nothing unless the runs differ in it.
 *  @param all  clocks, too, that are no result */
void moe_report_scaling(moe_document *doc, const moe_analysis *analysis,
                        bool all);

/** Say what a map is, the winner and margin in its cells in one case, and
 *  where the verdict flips; then the shares of cells by strategy and cluster
 *  for programs, and `VALID`: a file that does not agree with itself is not
 *  read.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_report_map(moe_document *doc, const moe_map *map,
                          moe_advise_case c, moe_error *err);

/** Print a row per run, strategy and metric, or, without runs, per cell of the
 *  maps. Not collective.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_report_csv(const moe_analysis *analysis, FILE *out,
                          moe_error *err);

/** Print one JSON object with an item of `runs` per view and, if there are
 *  any, of `maps` per map; what is not known is null. Not collective.
 *  @return MOE_OK, MOE_NOMEM, MOE_IO. */
moe_status moe_report_json(const moe_analysis *analysis, FILE *out,
                           moe_error *err);

/** A form that takes all: moe_report_csv or moe_report_json. */
typedef moe_status (*moe_report_form)(const moe_analysis *analysis, FILE *out,
                                      moe_error *err);

/** Say a comparison: a table and what it means, then ratios for programs. */
void moe_report_comparison(moe_document *doc, const moe_comparison *comparison);

/** Print it as one JSON object. @return MOE_OK, MOE_NOMEM, MOE_IO. */
moe_status moe_report_comparison_json(const moe_comparison *comparison,
                                      FILE *out, moe_error *err);

/** Say advice: its load, times by case and phase, what to use, why, how sure
 *  that is, and, unless left out, where it turns. */
void moe_report_advice(moe_document *doc, const moe_advise_params *params,
                       const moe_advice *advice);

/** Write it as one JSON object. @param path, force  as moe_json_write(). */
moe_status moe_report_advice_json(const moe_advise_params *params,
                                  const moe_advice *advice, const char *path,
                                  bool force, moe_error *err);

/** Say what a search found: which combination to take, what it wins, how sure
 *  that is and what it assumes; gain against memory and against the interval;
 *  and how engines are told. */
void moe_report_search(moe_document *doc, const moe_search_params *params,
                       const moe_search *search);

/** Write it as one JSON object. @param path, force  as moe_json_write(). */
moe_status moe_report_search_json(const moe_search_params *params,
                                  const moe_search *search, const char *path,
                                  bool force, moe_error *err);

/** Write one form to a file. Not collective. Does nothing when `path` is NULL
 *  or `err` holds an error already.
 *  @param path   "-" is stdout.
 *  @param force  replace an existing file; a result file given by mistake as
 *  the output survives without it.
 *  @return MOE_OK, MOE_EXISTS, MOE_IO. */
moe_status moe_report_write(const char *path, moe_report_form form,
                            const moe_analysis *analysis, bool force,
                            moe_error *err);

/** Write a folder with one page (report.html, complete in itself), report.csv
 *  and report.json; maps.csv, if there are maps. Not collective. It appears
 *  when it is whole; after an error there is none.
 *  @param dir    made, unless it is there.
 *  @param force  write into a folder that is not empty; what else is in it
 *                stays.
 *  @return MOE_OK, MOE_EXISTS, MOE_IO, MOE_NOMEM. */
moe_status moe_report_folder(const char *dir, const moe_analysis *analysis,
                             bool force, moe_error *err);

#endif
