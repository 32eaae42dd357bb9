/* SPDX-License-Identifier: Apache-2.0 */
#include "plot_frame.h"

#include <math.h>
#include <string.h>

#include "moegps/mem.h"

enum {
    MARGIN = 10,      /* pixels around a figure */
    LINE_HEIGHT = 19, /* of the legend */
    GLYPH = 24,       /* of what stands before a text of it */
    GAP = 16,         /* behind the text */
    SOLID_SERIES = 5  /* further ones are dashed */
};

/* Of a character, pixels; names are rather of narrow letters. */
static const double CHARACTER = 7.0;

void moe_plot_head_add(moe_plot_head *head, const char *text,
                       moe_plot_look look, int colour, int kind)
{
    if (head->n == MOE_PLOT_ENTRIES)
        return;
    head->entry[head->n++] =
        (moe_plot_entry){moe_plot_label_of(text), look, colour, kind};
}

void moe_plot_head_series(moe_plot_head *head, const moe_plot_scene *scene)
{
    for (int s = 0; s < moe_plot_strategies(scene); s++)
        moe_plot_head_add(head, scene->run->view->strategy[s].name,
                          MOE_LOOK_LINE, moe_plot_series_colour(s),
                          moe_plot_series_dash(s));
}

int moe_plot_series_colour(int series)
{
    return series % 10 + 1;
}

int moe_plot_series_dash(int series)
{
    return series < SOLID_SERIES ? 1 : 4;
}

void moe_plot_series(int series, FILE *out)
{
    fprintf(out, "linewidth 2 dashtype %d linecolor rgb colour[%d]",
            moe_plot_series_dash(series), moe_plot_series_colour(series));
}

int moe_plot_mark(int series)
{
    static const int types[] = {7, 9, 5, 11, 13, 6, 8, 4, 10, 12};
    return types[series % (int)MOE_ARRAY_LEN(types)];
}

/* ---- legend ---- */

static int width_of(const char *text)
{
    int n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return (int)ceil(n * CHARACTER);
}

/* Entries flow like words. @return their lines. */
static int flow(const moe_plot_head *head, int *x, int *line)
{
    int at = MARGIN, lines = 0;
    for (int k = 0; k < head->n; k++) {
        const int width = GLYPH + width_of(head->entry[k].text.text);
        if (k > 0 && at + width > MOE_PLOT_WIDTH - MARGIN) {
            at = MARGIN;
            lines++;
        }
        x[k] = at;
        line[k] = lines;
        at += width + GAP;
    }
    return head->n > 0 ? lines + 1 : 0;
}

int moe_plot_head_height(const moe_plot_head *head)
{
    int x[MOE_PLOT_ENTRIES], line[MOE_PLOT_ENTRIES];
    const int lines = flow(head, x, line) + (head->y_name != NULL);
    return MARGIN + (lines > 0 ? LINE_HEIGHT * lines + MARGIN : 0);
}

static void put_colour(const moe_plot_entry *e, FILE *out)
{
    if (e->colour == MOE_PLOT_GREY)
        fputs("'#bbbbbb'", out);
    else
        fprintf(out, "colour[%d]", e->colour);
}

/* @param x, y  middle of its left end, in parts of the figure. */
static void put_glyph(const moe_plot_entry *e, double x, double y, int height,
                      FILE *out)
{
    const double wide = (GLYPH - 6.0) / MOE_PLOT_WIDTH, half = 5.0 / height;
    switch (e->look) {
    case MOE_LOOK_BOX:
        fprintf(out,
                "set object rectangle from screen %.4f,%.4f to screen "
                "%.4f,%.4f fillstyle solid noborder fillcolor rgb ",
                x, y - half, x + wide, y + half);
        break;
    case MOE_LOOK_LINE:
        fprintf(out,
                "set arrow from screen %.4f,%.4f to screen %.4f,%.4f nohead "
                "linewidth 2 dashtype %d linecolor rgb ",
                x, y, x + wide, y, e->kind);
        break;
    case MOE_LOOK_POINT:
        fprintf(out,
                "set label '' at screen %.4f,%.4f point pointtype %d pointsize "
                "1 linewidth 2 linecolor rgb ",
                x + wide / 2, y, e->kind);
        break;
    }
    put_colour(e, out);
    fputc('\n', out);
}

void moe_plot_head_put(const moe_plot_head *head, int height, FILE *out)
{
    int x[MOE_PLOT_ENTRIES], line[MOE_PLOT_ENTRIES];
    const int lines = flow(head, x, line);
    for (int k = 0; k < head->n; k++) {
        const moe_plot_entry *e = &head->entry[k];
        const double y = 1 - (MARGIN + LINE_HEIGHT * (line[k] + 0.5)) / height;
        put_glyph(e, (double)x[k] / MOE_PLOT_WIDTH, y, height, out);
        fprintf(out,
                "set label '%s' at screen %.4f,%.4f left noenhanced font "
                "',12'\n",
                e->text.text, (double)(x[k] + GLYPH) / MOE_PLOT_WIDTH, y);
    }
    if (head->y_name != NULL)
        fprintf(out, "set label '%s' at screen %.4f,%.4f left noenhanced\n",
                head->y_name, (double)MARGIN / MOE_PLOT_WIDTH,
                1 - (MARGIN + LINE_HEIGHT * (lines + 0.5)) / height);
    fprintf(out, "set tmargin at screen %.4f\n",
            1 - (double)moe_plot_head_height(head) / height);
}
