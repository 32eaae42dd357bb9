/** report.h: a result file as a person or a program reads it.
 *
 *  Everything here is made from a moe_view, so from the file alone; `run`
 *  prints its own result the same way as `report` does later.
 */
#ifndef MOEGPS_REPORT_H
#define MOEGPS_REPORT_H

#include <stdio.h>

#include "moegps/status.h"
#include "moegps/view.h"

/* Version of the JSON layout; readers ignore what they do not know. */
#define MOE_REPORT_JSON_VERSION "1.0.0"

/** Print tables, the verdict in a sentence, then lines that programs grep:
 *  `FOM <metric> <strategy> = <value> <unit>` and, last,
 *  `RESULT: VALID|INVALID|INCOMPLETE`. Not collective. */
void moe_report_print(const moe_view *view, FILE *out);

/** Write all metrics of all strategies as JSON; NaN becomes null.
 *  @param path  a file, which is replaced, or "-" for stdout.
 *  @return MOE_OK, MOE_IO, MOE_NOMEM. */
moe_status moe_report_json(const moe_view *const *views, size_t n,
                           const char *path, moe_error *err);

/** Write all metrics as CSV, a row per run, strategy and metric.
 *  @return MOE_OK, MOE_IO, MOE_NOMEM. */
moe_status moe_report_csv(const moe_view *const *views, size_t n,
                          const char *path, moe_error *err);

/** @return "VALID", "INVALID" or "INCOMPLETE". */
const char *moe_report_result(const moe_view *view);

#endif
