/* SPDX-License-Identifier: Apache-2.0 */
#include "script.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

static void put_number(double x, FILE *out)
{
    fprintf(out, isnan(x) ? "NaN" : "%.9g", x);
}

/* Two single quotes stand for one, but not where a string begins: there gnuplot
 * (5.4) takes them for an empty one. A single quote within double quotes would
 * mislead its search for macros, @NAME.
 * @param tick  a label, which may have lines, and is taken as a format */
static void put_text(const char *text, bool tick, FILE *out)
{
    const char *begin = text; /* of what is between single quotes */
    fputc('\'', out);
    for (; *text != '\0'; text++)
        if (*text == '\n' && tick) {
            fputs("'.\"\\n\".'", out);
            begin = text + 1;
        } else if (*text == '\'' && text == begin) {
            fputs("'.\"\\047\".'", out);
            begin = text + 1;
        } else if ((unsigned char)*text < ' ' || *text == '\x7f') {
            fputc(' ', out);
        } else if (*text == '\'' || (*text == '%' && tick)) {
            fprintf(out, "%c%c", *text, *text);
        } else {
            fputc(*text, out);
        }
    fputc('\'', out);
}

/* Where gnuplot formats a label, it cuts it, maybe within a character. */
static void put_tick(const char *text, size_t most, FILE *out)
{
    enum { MOST_FORMATTED = 48 };
    char cut[256];
    if (strchr(text, '%') != NULL && most > MOST_FORMATTED)
        most = MOST_FORMATTED;
    if (strlen(text) > most) {
        size_t n = most - 1;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
        snprintf(cut, sizeof cut, "%.*s~", (int)n, text);
        text = cut;
    }
    put_text(text, true, out);
}

void moe_script_number(FILE *out, const char *name, double x)
{
    fprintf(out, "%s = ", name);
    put_number(x, out);
    fputc('\n', out);
}

void moe_script_text(FILE *out, const char *name, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(out, "%s = ", name);
    put_text(text, false, out);
    fputc('\n', out);
}

static void begin(FILE *out, const char *name, int n)
{
    fprintf(out, n > 0 ? "array %s[%d] = [" : "array %s[1] = [0", name, n);
}

/* What is between items, and behind the last one. */
static void separate(FILE *out, int i, int n)
{
    fputs(i + 1 < n ? ", " : "", out);
}

void moe_script_numbers(FILE *out, const char *name, const double *x, int n)
{
    begin(out, name, n);
    for (int i = 0; i < n; separate(out, i++, n))
        put_number(x[i], out);
    fputs("]\n", out);
}

void moe_script_integers(FILE *out, const char *name, const int *x, int n)
{
    begin(out, name, n);
    for (int i = 0; i < n; separate(out, i++, n))
        fprintf(out, "%d", x[i]);
    fputs("]\n", out);
}

void moe_script_texts(FILE *out, const char *name, const char *const *text,
                      int n)
{
    begin(out, name, n);
    for (int i = 0; i < n; separate(out, i++, n))
        put_text(text[i], false, out);
    fputs("]\n", out);
}

void moe_script_ticks(FILE *out, const char *name, const char *const *text,
                      int n, size_t most)
{
    begin(out, name, n);
    for (int i = 0; i < n; separate(out, i++, n))
        put_tick(text[i], most, out);
    fputs("]\n", out);
}
