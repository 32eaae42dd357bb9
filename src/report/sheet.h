/* sheet.h: where the tables of a report go: text for a terminal, or a page. */
#ifndef MOEGPS_REPORT_SHEET_H
#define MOEGPS_REPORT_SHEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "ink.h"
#include "moegps/analysis.h"
#include "moegps/table.h"
#include "moegps/view.h"

typedef struct moe_sheet {
    FILE *out;
    bool html;
    moe_ink ink; /* of text */
} moe_sheet;

/* Bytes of a strategy's name in a row: lines of text end, pages scroll. */
size_t moe_sheet_name_len(const moe_sheet *to);

/* Put a table and free it.
 * @param note  a second line under the title; NULL: none. */
void moe_sheet_table(const moe_sheet *to, const char *title, const char *note,
                     moe_table *table);

/* The tables of a run, each with its title. */
void moe_sheet_times(const moe_sheet *to, const moe_run_analysis *run,
                     moe_clock clock);
/* Text only: a line per strategy, how samples went over iterations, on the
 * clock that counts. */
void moe_sheet_samples(const moe_sheet *to, const moe_run_analysis *run);
void moe_sheet_loads(const moe_sheet *to, const moe_view *view);
void moe_sheet_costs(const moe_sheet *to, const moe_view *view);
/* Nothing unless enough strategies foretell tokens. */
void moe_sheet_accuracy(const moe_sheet *to, const moe_run_analysis *run);
/* Nothing of a run without regrets. */
void moe_sheet_regret(const moe_sheet *to, const moe_view *view);
/* What perfecting each stage would win in time. Nothing where that is not
 * known. */
void moe_sheet_stages(const moe_sheet *to, const moe_run_analysis *run);
void moe_sheet_phases(const moe_sheet *to, const moe_run_analysis *run,
                      moe_clock clock);

/* Tables of a run's details, on the clock that counts; means over iterations:
 * a row per layer with every strategy, or per rank, of one strategy. */
void moe_sheet_layers(const moe_sheet *to, const moe_run_analysis *run);
void moe_sheet_ranks(const moe_sheet *to, const moe_run_analysis *run);

/* How runs of different numbers of GPUs compare. */
void moe_sheet_scaling(const moe_sheet *to, const moe_analysis *analysis);

#endif
