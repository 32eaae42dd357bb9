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

void moe_script_number(moe_script *to, const char *name, double x)
{
    fprintf(to->out, "%s = ", name);
    put_number(x, to->out);
    fputc('\n', to->out);
}

void moe_script_text(moe_script *to, const char *name, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    fprintf(to->out, "%s = ", name);
    put_text(text, false, to->out);
    fputc('\n', to->out);
}

void moe_script_array(moe_script *to, const char *name, int n)
{
    to->items = 0;
    fprintf(to->out, "array %s[%d] = [", name, n > 0 ? n : 1);
}

static void separate(moe_script *to)
{
    fputs(to->items++ > 0 ? ", " : "", to->out);
}

void moe_script_item(moe_script *to, double x)
{
    separate(to);
    put_number(x, to->out);
}

void moe_script_item_text(moe_script *to, const char *text)
{
    separate(to);
    put_text(text, false, to->out);
}

/* Where gnuplot formats a label, it cuts it, maybe within a character. */
void moe_script_item_tick(moe_script *to, const char *text, size_t most)
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
    separate(to);
    put_text(text, true, to->out);
}

void moe_script_end(moe_script *to)
{
    fputs(to->items > 0 ? "]\n" : "0]\n", to->out);
}

void moe_script_integers(moe_script *to, const char *name, const int *x, int n)
{
    moe_script_array(to, name, n);
    for (int i = 0; i < n; i++)
        moe_script_item(to, x[i]);
    moe_script_end(to);
}

void moe_script_texts(moe_script *to, const char *name, const char *const *text,
                      int n)
{
    moe_script_array(to, name, n);
    for (int i = 0; i < n; i++)
        moe_script_item_text(to, text[i]);
    moe_script_end(to);
}
