/* plot_words.h: what is seen in a figure, for who cannot. */
#ifndef MOEGPS_REPORT_PLOT_WORDS_H
#define MOEGPS_REPORT_PLOT_WORDS_H

#include <stdio.h>

#include "moegps/plots.h"

/* @return a sentence or two, in heap memory; NULL when out of it. */
char *moe_plot_words(const moe_plot *plot, const moe_analysis *analysis);

#endif
