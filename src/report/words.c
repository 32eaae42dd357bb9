/* SPDX-License-Identifier: Apache-2.0 */
#include "words.h"

#include <string.h>

enum { WIDTH = 100 /* columns of a terminal that is not narrow */ };

void moe_print_wrapped(const char *label, const char *text, FILE *out)
{
    int indent = (int)strlen(label), column = indent;
    fputs(label, out);
    while (*text != '\0') {
        size_t len = strcspn(text, " \n");
        if (column > indent && column + 1 + (int)len > WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', out);
            column++;
        }
        fprintf(out, "%.*s", (int)len, text);
        column += (int)len;
        text += len + (text[len] != '\0');
    }
    fputc('\n', out);
}
