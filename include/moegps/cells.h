/** cells.h: numbers as tables and sentences show them; "n/a" for NaN. */
#ifndef MOEGPS_CELLS_H
#define MOEGPS_CELLS_H

#include <stddef.h>

typedef struct moe_cell {
    char text[64];
} moe_cell;

/** With a unit that fits: "12.3 us", "1.20 ms"; "0 s". */
moe_cell moe_time_cell(double s);
/** "1.5 MiB". */
moe_cell moe_bytes_cell(double bytes);
/** A share with three digits: "12.5 %". */
moe_cell moe_percent_cell(double share);

/** Three significant digits, or so many: "12.3", "0.00120"; fixed point from
 *  1e-4 to 1e9. */
moe_cell moe_number_cell(double x);
moe_cell moe_digits_cell(double x, int digits);

/** Four decimals: sums of cells are the cells of sums. */
moe_cell moe_fixed_cell(double x);

/** Four digits without trailing zeros: what was typed in shows as it was. */
moe_cell moe_value_cell(double x);

/** A name in at most `n` bytes; a longer one is cut between characters of
 *  UTF-8 and ends in "~". */
moe_cell moe_name_cell(const char *name, size_t n);

/** "low .. high", or "n/a". */
moe_cell moe_interval_cell(moe_cell low, moe_cell high);

#endif
