/** html.h: text that becomes part of an HTML page, whatever is in it. */
#ifndef MOEGPS_HTML_H
#define MOEGPS_HTML_H

#include <stdio.h>

/** Write text that shows as it is, between tags or in a quoted attribute:
 *  markup is escaped, and what is not UTF-8 or not allowed in a page becomes
 *  U+FFFD. NULL writes nothing. */
void moe_html_text(const char *text, FILE *out);

/** Write <tag>escaped text</tag> and a line's end; `tag` may have attributes,
 *  and is not escaped. */
void moe_html_in(FILE *out, const char *tag, const char *text);

#endif
