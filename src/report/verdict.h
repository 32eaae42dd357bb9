/* verdict.h: what the numbers say, in sentences. */
#ifndef MOEGPS_REPORT_VERDICT_H
#define MOEGPS_REPORT_VERDICT_H

#include <stdio.h>

#include "moegps/view.h"

/* A line per strategy: how much faster or slower than the reference it is on
 * the clock that counts, and which two phases make most of that. */
void moe_verdict_print(const moe_view *view, FILE *out);

#endif
