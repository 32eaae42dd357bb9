/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <stdio.h>
#include <string.h>

#include "moegps/escape.h"
#include "moegps/mem.h"
#include "moegps/palette.h"

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

/* Colours of the palette become the page's, which are lighter in the dark.
 * @return bytes that were replaced. */
static size_t change_colour(const char *at, FILE *out)
{
    int r, g, b, n = 0;
    if (sscanf(at, "'rgb(%3d,%4d,%4d)'%n", &r, &g, &b, &n) != 3 || n == 0)
        return 0;
    for (int i = 0; i < MOE_N_COLOURS; i++)
        if (moe_palette[i].light == (r << 16 | g << 8 | b)) {
            fprintf(out, "'var(--c%d)'", i);
            return (size_t)n;
        }
    return 0;
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
    if (strncmp(at, "'rgb(", 5) == 0)
        return change_colour(at, out);
    if (strncmp(at, title, sizeof title - 1) != 0)
        return 0;
    const char *after = strstr(at, end); /* "plot_1": nothing for a reader */
    return after != NULL ? (size_t)(after - at) + sizeof end - 1 : 0;
}

/* ---- what points tell ---- */

/* @return where an invisible point ends that begins here; NULL: none does. */
static const char *point_at(const char *at)
{
    static const char begin[] = "<use ", clear[] = "opacity='0.00'/>";
    if (strncmp(at, begin, sizeof begin - 1) != 0)
        return NULL;
    const char *end = strstr(at, "/>"), *mark = strstr(at, clear);
    const bool invisible = mark != NULL && mark + sizeof clear - 3 == end;
    return invisible ? end + 2 : NULL;
}

static size_t count_points(const char *body, const char *end)
{
    size_t n = 0;
    for (; body < end; body++)
        n += point_at(body) != NULL;
    return n;
}

/* Write text, changed as a page needs it. */
static void put_changed(const char *body, const char *end, const char *name,
                        FILE *out)
{
    while (body < end) {
        const size_t n = change(body, name, out);
        if (n == 0)
            fputc(*body, out);
        body += n > 0 ? n : 1;
    }
}

/* Points tell their texts, where they are as many. */
static void put_body(const moe_figure *figure, const char *body,
                     const char *end, FILE *out)
{
    const char *tip = figure->tips, *from = body;
    const bool told = tip != NULL && figure->n_tips == count_points(body, end);
    for (; body < end; body++) {
        const char *after = point_at(body);
        if (after == NULL)
            continue;
        put_changed(from, body, figure->name, out);
        if (told) {
            fputs("<g class=\"tip\">", out);
            moe_html_in(out, "title", tip);
            put_changed(body, after, figure->name, out);
            fputs("</g>", out);
            tip += strlen(tip) + 1;
        }
        from = after;
        body = after - 1;
    }
    put_changed(from, end, figure->name, out);
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
    put_body(figure, body, end, out);
    fputs("</svg>\n", out);
}
