/* plot_words.h: what is seen in a figure, for who cannot. */
#ifndef MOEGPS_REPORT_PLOT_WORDS_H
#define MOEGPS_REPORT_PLOT_WORDS_H

#include <stdio.h>

#include "moegps/plots.h"

/* Write a sentence or two. */
void moe_plot_say(const moe_plot *plot, const moe_analysis *analysis,
                  FILE *out);

#endif
