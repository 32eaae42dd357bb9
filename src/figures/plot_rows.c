/* SPDX-License-Identifier: Apache-2.0 */
#include "plot_frame.h"

#include <string.h>

/* Figures with a row per strategy, and heights. */

enum {
    ROW_HEIGHT = 30, /* pixels */
    LONG_ROW_HEIGHT = 42,
    RIGHT = 60,
    TICK = 44,     /* and its label */
    LINE_LEN = 22, /* characters of a name in a line, of which there are */
    LINES = 2,
    FOOT = 62, /* pixels of ticks and what they mean */
    PLAIN_HEIGHT = 310
};

/* Of a character beside a row, and around the names, pixels. */
static const double CHARACTER = 7.0, BESIDE = 26;

/* A name in lines, for double quotes. */
typedef struct broken {
    char text[2 * LINE_LEN * 4 + 8];
    int lines, length; /* characters of the longest */
} broken;

static bool continues(char c)
{
    return ((unsigned char)c & 0xc0) == 0x80;
}

/* @return bytes of the next line: to the last place that may be broken at, or
 * as far as there is room. `*n` is set to its characters. */
static size_t line_of(const char *text, int *n)
{
    size_t at = 0, end = 0;
    int length = 0, length_end = 0;
    while (text[at] != '\0' && length < LINE_LEN) {
        const char c = text[at++];
        while (continues(text[at]))
            at++;
        length++;
        if (strchr("-_ +/.:", c) != NULL || text[at] == '\0') {
            end = at;
            length_end = length;
        }
    }
    if (end == 0 || length_end < LINE_LEN / 3) {
        end = at;
        length_end = length;
    }
    *n = length_end;
    return end;
}

static broken broken_of(const char *name)
{
    const moe_plot_label label = moe_plot_label_of(name);
    const char *rest = label.text;
    broken b = {0};
    char *to = b.text;
    while (*rest != '\0' && b.lines < LINES) {
        int n = 0;
        const size_t bytes = line_of(rest, &n);
        if (b.lines++ > 0) {
            memcpy(to, "\\n", 2);
            to += 2;
        }
        memcpy(to, rest, bytes);
        to += bytes;
        rest += bytes;
        if (*rest != '\0' && b.lines == LINES) {
            *to++ = '~';
            n++;
        }
        b.length = n > b.length ? n : b.length;
    }
    return b;
}

/* @return pixels of the longest name, and of the space around it. */
static double left_of(const moe_plot_scene *scene)
{
    int longest = 0;
    for (int s = 0; s < scene->run->view->dims.strategies; s++) {
        const broken b = broken_of(scene->run->view->strategy[s].name);
        longest = b.length > longest ? b.length : longest;
    }
    return longest * CHARACTER + BESIDE;
}

int moe_plot_rows_ticks(const moe_plot_scene *scene)
{
    return (int)(MOE_PLOT_WIDTH - RIGHT - left_of(scene)) / TICK;
}

void moe_plot_rows(const moe_plot_scene *scene, FILE *out)
{
    const int n = scene->run->view->dims.strategies;
    fprintf(out, "set yrange [%d.5:-0.5]\nset ytics scale 0 font ',12' (",
            n - 1);
    for (int s = 0; s < n; s++)
        fprintf(out, "%s\"%s\" %d", s > 0 ? ", " : "",
                broken_of(scene->run->view->strategy[s].name).text, s);
    fprintf(out,
            ")\nset lmargin at screen %.4f\nunset grid\n"
            "set grid xtics linecolor rgb '#888888' linetype 1 linewidth 0.3\n",
            left_of(scene) / MOE_PLOT_WIDTH);
}

int moe_plot_rows_height(const moe_plot_scene *scene)
{
    const int n = scene->run->view->dims.strategies;
    bool long_names = false;
    for (int s = 0; s < n; s++)
        long_names = long_names ||
                     broken_of(scene->run->view->strategy[s].name).lines > 1;
    return FOOT + n * (long_names ? LONG_ROW_HEIGHT : ROW_HEIGHT);
}

int moe_plot_plain_height(const moe_plot_scene *scene)
{
    (void)scene;
    return PLAIN_HEIGHT;
}
