/** report.h: a result file as people and programs read it.
 *
 *  All forms show the figures of a moe_view and compute nothing themselves.
 *  The gpu clock is always called modelled, and where ranks share cores the
 *  wall clock is said to be no result before anything else is said.
 */
#ifndef MOEGPS_REPORT_H
#define MOEGPS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "moegps/comparison.h"
#include "moegps/map.h"
#include "moegps/status.h"
#include "moegps/view.h"

/* Of the JSON form; as for result files, MAJOR breaks readers, MINOR adds. */
#define MOE_REPORT_SCHEMA "moe-gps-report"
#define MOE_REPORT_SCHEMA_VERSION "1.2.0"

/** @return "VALID" (complete, and its checks passed), "INVALID" (a check
 *  failed) or "INCOMPLETE" (stopped early, or not checked). */
const char *moe_report_result(const moe_view *view);

struct moe_outlook; /* of a run: what would change its verdict */

/** All that a report is of. */
typedef struct moe_report_set {
    const moe_view *views; /* [n], borrowed */
    size_t n;
    const moe_map *maps; /* [n_maps], borrowed */
    size_t n_maps;
    struct moe_outlook *outlook; /* [n], owned; NULL: nobody looked */
} moe_report_set;

/* Runs whose outlook a report has: each takes up to half a second. */
enum { MOE_REPORT_OUTLOOKS = 8 };

/** Read the runs' files again for what would change their verdicts; of more
 *  than MOE_REPORT_OUTLOOKS of them nothing. What cannot be known is no error,
 *  and will be said. Not collective. Release with moe_report_set_fini().
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_report_set_look(moe_report_set *set, moe_error *err);
void moe_report_set_fini(moe_report_set *set);

/** Print tables of at most 100 columns of run i, what would change its verdict
 *  if that was looked for, then `FOM <metric> <strategy> = <value> <unit>`
 *  lines, then `RESULT: ...`. Not collective. */
void moe_report_print(const moe_report_set *set, size_t i, FILE *out);

/** What else to print of a run. */
typedef struct moe_report_drill {
    bool layers; /* the time of every layer, and its skewness */
    bool ranks;  /* how busy every rank was, of the best strategy */
} moe_report_drill;

/** Print tables that need the run's own file. Not collective.
 *  @return MOE_OK, MOE_USAGE (the file is gone), MOE_MISMATCH, MOE_FORMAT,
 *  MOE_NOMEM. */
moe_status moe_report_detail(const moe_view *view, moe_report_drill drill,
                             FILE *out, moe_error *err);

/** Print how time and efficiency go with the number of GPUs; nothing unless
 *  the runs differ in it. Not collective.
 *  @param views  [n]
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_report_scaling(const moe_view *views, size_t n, FILE *out,
                              moe_error *err);

/** Print what a map's file is, the maps of the typical case, where the verdict
 *  flips, `FOM map_share_<strategy> <cluster> = <value> 1` lines and
 *  `RESULT: VALID`: a file that does not agree with itself is not read. Not
 *  collective.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_report_map(const moe_map *map, FILE *out, moe_error *err);

/** Print a row per run, strategy and metric, or, of a set without runs, per
 *  cell of its maps. Not collective.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_report_csv(const moe_report_set *set, FILE *out, moe_error *err);

/** Print one JSON object with an item of `runs` per view and, if there are
 *  any, of `maps` per map; what is not known is null. Not collective.
 *  @return MOE_OK, MOE_NOMEM, MOE_IO. */
moe_status moe_report_json(const moe_report_set *set, FILE *out,
                           moe_error *err);

/** A form that takes all: moe_report_csv or moe_report_json. */
typedef moe_status (*moe_report_form)(const moe_report_set *set, FILE *out,
                                      moe_error *err);

/** Print a comparison as a table and what it means; then FOM lines. */
void moe_report_comparison(const moe_comparison *comparison, FILE *out);

/** Print it as one JSON object. @return MOE_OK, MOE_NOMEM, MOE_IO. */
moe_status moe_report_comparison_json(const moe_comparison *comparison,
                                      FILE *out, moe_error *err);

/** Write one form to a file. Not collective. Does nothing when `path` is NULL
 *  or `err` holds an error already.
 *  @param path   "-" is stdout.
 *  @param force  replace an existing file; a result file given by mistake as
 *  the output survives without it.
 *  @return MOE_OK, MOE_EXISTS, MOE_IO. */
moe_status moe_report_write(const char *path, moe_report_form form,
                            const moe_report_set *set, bool force,
                            moe_error *err);

/** Write a folder with one page (report.html, complete in itself), report.csv
 *  and report.json; maps.csv, if there are maps. Not collective. It appears
 *  when it is whole; after an error there is none.
 *  @param dir    made, unless it is there.
 *  @param force  write into a folder that is not empty; what else is in it
 *                stays.
 *  @return MOE_OK, MOE_EXISTS, MOE_IO, MOE_NOMEM. */
moe_status moe_report_folder(const char *dir, const moe_report_set *set,
                             bool force, moe_error *err);

#endif
