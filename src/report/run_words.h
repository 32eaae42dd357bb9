/* run_words.h: what the analysis of a run says, in sentences. */
#ifndef MOEGPS_REPORT_RUN_WORDS_H
#define MOEGPS_REPORT_RUN_WORDS_H

#include <stddef.h>
#include <stdio.h>

#include "moegps/analysis.h"

/* The verdict in one sentence, with its margin and confidence. */
void moe_verdict_say(const moe_run_analysis *run, char *text, size_t size);

/* A heading, then a line per strategy: how much faster or slower than the
 * reference it is on the clock that counts, and which two phases make most of
 * that. @return heap memory, the caller frees it; NULL: nothing to compare. */
char *moe_verdict_why(const moe_run_analysis *run);

/* What was executed on this machine, if measured times depend on it: nothing
 * where the FFN was computed at full size, or the gpu clock counts. */
void moe_executed_say(const moe_run_analysis *run, char *text, size_t size);

/* A sentence about where the prices of the gpu clock are from. */
void moe_prices_say(const moe_view *view, char *text, size_t size);

/* A heading, then sentences about what would change the verdict and about
 * break-even, one a line.
 * @return heap memory, the caller frees it; NULL when out of it. */
char *moe_sensitivity_words(const moe_run_analysis *run);

/* What the map around a run assumes of the strategies, and who wins here. */
void moe_regime_map_say(const moe_run_analysis *run, FILE *out);

#endif
