/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <string.h>

#include "moegps/escape.h"
#include "moegps/mem.h"

/* What gnuplot writes into every SVG alike: its identifiers would be there
 * once per figure, and its black would vanish in the dark. "%" stands for the
 * figure's name. */
static const struct {
    const char *from, *to;
} changes[] = {
    {" id=\"gnuplot_canvas\"", ""},
    {"id='gp", "id='%-gp"},
    {"'#gp", "'#%-gp"},
    {"url(#gp", "url(#%-gp"},
    {"id='textbox'", "id='%-textbox'"},
    {"id='greybox'", "id='%-greybox'"},
    {"#textbox", "#%-textbox"},
    {"#greybox", "#%-greybox"},
    {"color=\"black\"", "color=\"inherit\""},
    {"fill=\"black\"", "fill=\"currentColor\""},
    {"fill=\"rgb(0,0,0)\"", "fill=\"currentColor\""},
    {"stroke='black'", "stroke='currentColor'"},
    {"stroke='rgb(  0,   0,   0)'", "stroke='currentColor'"},
    {"fill = 'rgb(  0,   0,   0)'", "fill='currentColor'"},
    {"stroke='white'", "stroke='var(--page)'"},
    {"color=\"white\"", "color=\"var(--page)\""},
    {"stroke='rgb(255, 255, 255)'", "stroke='var(--page)'"},
    {"fill = 'rgb(255, 255, 255)'", "fill='var(--page)'"},
};

static void put_named(const char *text, const char *name, FILE *out)
{
    for (; *text != '\0'; text++)
        if (*text == '%')
            fputs(name, out);
        else
            fputc(*text, out);
}

/* @return bytes of `at` that were written otherwise, or are left out. */
static size_t change(const char *at, const char *name, FILE *out)
{
    static const char title[] = "<title>", end[] = "</title>";
    for (size_t i = 0; i < MOE_ARRAY_LEN(changes); i++) {
        const size_t n = strlen(changes[i].from);
        if (strncmp(at, changes[i].from, n) == 0) {
            put_named(changes[i].to, name, out);
            return n;
        }
    }
    if (strncmp(at, title, sizeof title - 1) != 0)
        return 0;
    const char *after = strstr(at, end); /* "plot_1": nothing for a reader */
    return after != NULL ? (size_t)(after - at) + sizeof end - 1 : 0;
}

void moe_svg_inline(const moe_figure *figure, const char *title,
                    const char *words, FILE *out)
{
    const char *name = figure->name;
    if (figure->svg == NULL)
        return;
    const char *box = strstr(figure->svg, "viewBox=\"");
    const char *body = strstr(figure->svg, "<g id=\"gnuplot_canvas\"");
    const char *end = strstr(figure->svg, "</svg>");
    if (box == NULL || body == NULL || end == NULL || body > end)
        return;
    const size_t box_len = strcspn(box + 9, "\"") + 10;
    fprintf(out,
            "<svg %.*s role=\"img\" aria-labelledby=\"%s-title %s-desc\">\n"
            "<title id=\"%s-title\">",
            (int)box_len, box, name, name, name);
    moe_html_text(title, out);
    fprintf(out, "</title>\n<desc id=\"%s-desc\">", name);
    moe_html_text(words, out);
    fputs("</desc>\n", out);
    while (body < end) {
        const size_t n = change(body, name, out);
        if (n == 0)
            fputc(*body, out);
        body += n > 0 ? n : 1;
    }
    fputs("</svg>\n", out);
}
