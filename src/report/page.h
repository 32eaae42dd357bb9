/* page.h: one HTML page of a report, complete in itself. */
#ifndef MOEGPS_REPORT_PAGE_H
#define MOEGPS_REPORT_PAGE_H

#include <stdio.h>

#include "dossier.h"
#include "plot.h"

/* Write the page: no scripts, nothing from outside, and a policy that forbids
 * both. Texts of result files are escaped. */
moe_status moe_page_write(const moe_dossier *d, const moe_drawings *drawings,
                          FILE *out, moe_error *err);

#endif
