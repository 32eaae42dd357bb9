/* run_words.h: what the analysis of a run says, in sentences. */
#ifndef MOEGPS_REPORT_RUN_WORDS_H
#define MOEGPS_REPORT_RUN_WORDS_H

#include "contents.h"

/* The verdict in one sentence, with its margin and confidence. */
void moe_verdict_say(const moe_run_analysis *run, FILE *out);

/* A sentence about where the prices of the gpu clock are from. */
void moe_prices_say(const moe_view *view, FILE *out);

/* A list: what would change the verdict, and break-even. */
void moe_say_sensitivity(moe_document *doc, const moe_run_analysis *run);

/* What the map around a run assumes of the strategies, and who wins here. */
void moe_regime_map_say(const moe_run_analysis *run, FILE *out);

#endif
