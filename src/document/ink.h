/* ink.h: colours, bars and sparklines of a terminal.
 *
 * Colour is for terminals only, and not where NO_COLOR (no-color.org) is set
 * or TERM is "dumb": what is piped has no escape byte. Bars are blocks where
 * the locale's characters are UTF-8, else "#".
 */
#ifndef MOEGPS_DOCUMENT_INK_H
#define MOEGPS_DOCUMENT_INK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "moegps/table.h"

typedef struct moe_ink {
    bool terminal;     /* a person reads along. Under mpirun, whose ranks write
                          to terminals of its own, nobody knows: false */
    bool colour, utf8; /* neither: plain text for any reader */
} moe_ink;

enum { MOE_INK_LEN = 64 /* longest bar and sparkline, characters */ };

/* A bar or sparkline: characters of at most 3 bytes. */
typedef struct moe_strokes {
    char text[3 * MOE_INK_LEN + 1];
} moe_strokes;

/* @return what a file's reader can show. */
moe_ink moe_ink_of(FILE *out);

/* What begins and ends a colour; "" without. */
const char *moe_ink_on(const moe_ink *ink, moe_hue hue);
const char *moe_ink_off(const moe_ink *ink, moe_hue hue);

/* A bar of a share (0 to 1) of `length` characters, in eighths of one. */
moe_strokes moe_ink_bar(const moe_ink *ink, double share, int length);

/* A character per number, by its place between the least and the largest;
 * where there are more than `length`, per mean of neighbours. NaN: a space. */
moe_strokes moe_ink_spark(const moe_ink *ink, const double *x, size_t n,
                          int length);

#endif
