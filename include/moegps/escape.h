/** escape.h: text that shows as it is, whatever is in it: the one place per
 *  target. CSV is moe_plain_csv() (plain.h), JSON is jansson's matter (json.h).
 *
 *  Texts of result files, traces and profiles are others'. Markup must not
 *  become part of a page, control characters must not reach a terminal.
 */
#ifndef MOEGPS_ESCAPE_H
#define MOEGPS_ESCAPE_H

#include <stdio.h>

/** Write text for a page, between tags or in a quoted attribute: markup is
 *  escaped, and what is not UTF-8 or not allowed in a page becomes U+FFFD.
 *  NULL writes nothing. */
void moe_html_text(const char *text, FILE *out);

/** Write <tag>escaped text</tag> and a line's end; `tag` may have attributes,
 *  and is not escaped. */
void moe_html_in(FILE *out, const char *tag, const char *text);

/** Write text for a terminal: control characters, line ends and tabs among
 *  them, and bytes that are not UTF-8 become "\x1b". NULL writes nothing. */
void moe_terminal_text(const char *text, FILE *out);

#endif
