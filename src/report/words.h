/* words.h: sentences on a terminal. */
#ifndef MOEGPS_REPORT_WORDS_H
#define MOEGPS_REPORT_WORDS_H

#include <stdio.h>

/* Print a label and words, broken before 100 columns and aligned behind it. */
void moe_print_wrapped(const char *label, const char *text, FILE *out);

#endif
