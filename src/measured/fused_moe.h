/* fused_moe.h: tables of tokens and times. */
#ifndef MOEGPS_MEASURED_FUSED_MOE_H
#define MOEGPS_MEASURED_FUSED_MOE_H

#include "moegps/csv.h"
#include <stdbool.h>

/* @return whether a table has a column of tokens and one of times.
 * @param us_out  microseconds of its unit. */
bool moe_measured_batches(const moe_csv *csv, int *batch_out, int *time_out,
                          double *us_out);

#endif
