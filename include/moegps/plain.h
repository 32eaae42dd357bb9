/** plain.h: text that comes from files and arguments, before it is shown.
 *
 *  A terminal obeys control characters, scripts read lines, pages and JSON want
 *  UTF-8. So text loses all that is no plain character where it enters: as it
 *  is read from a file (h5.h), and as it becomes part of an error (status.h).
 *  What is syntax in a page, a table or a script is escaped where that is
 *  written: html.h, moe_plain_csv(), the figures' scripts.
 */
#ifndef MOEGPS_PLAIN_H
#define MOEGPS_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/** @return bytes of the UTF-8 character that starts here, 0: it is none.
 *  Source: RFC 3629, section 4: no overlong forms, surrogates, or beyond
 *  U+10FFFF. */
size_t moe_plain_character(const char *text);

/** Put a question mark for each byte that is no printable UTF-8: control
 *  characters (C0, DEL, C1), those that turn the direction of text, and what is
 *  not UTF-8. NULL is fine. @param lines  line ends and tabs stay. */
void moe_plain_clean(char *text, bool lines);

/** Write a field of a CSV line (RFC 4180): quoted where it must be; a text that
 *  a spreadsheet would take for a formula gets a ' in front, numbers do not. */
void moe_plain_csv(const char *text, FILE *out);

#endif
