/* cells.h: numbers as the cells of reports show them; "n/a" for NaN. */
#ifndef MOEGPS_REPORT_CELLS_H
#define MOEGPS_REPORT_CELLS_H

#include <stddef.h>

typedef struct moe_cell {
    char text[64];
} moe_cell;

moe_cell moe_time_cell(double s);
moe_cell moe_bytes_cell(double bytes);
moe_cell moe_percent_cell(double share);
moe_cell moe_number_cell(double x);

/* With 4 decimals: sums of cells are the cells of sums. */
moe_cell moe_fixed_cell(double x);

/* A name in at most `n` bytes; a longer one is cut between characters of
 * UTF-8 and ends in "~". */
moe_cell moe_name_cell(const char *name, size_t n);

/* "low .. high", or "n/a". */
moe_cell moe_interval_cell(moe_cell low, moe_cell high);

#endif
