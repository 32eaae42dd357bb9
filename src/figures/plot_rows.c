/* SPDX-License-Identifier: Apache-2.0 */
#include "plot_rows.h"

#include <stdbool.h>
#include <string.h>

#include "legend.h"
#include "script.h"

enum {
    ROW_HEIGHT = 30, /* pixels */
    LONG_ROW_HEIGHT = 42,
    RIGHT = 60,
    TICK = 44,     /* and its label */
    LINE_LEN = 22, /* characters of a name in a line, of which there are */
    LINES = 2,
    FOOT = 62 /* pixels of ticks and what they mean */
};

/* Of a character beside a row, and around the names, pixels. */
static const double CHARACTER = 7.0, BESIDE = 26;

/* A name in lines. */
typedef struct label {
    char text[LINES * (LINE_LEN + 1) * 4 + 1];
    int lines, length; /* characters of the longest */
} label;

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

static label label_of(const char *name)
{
    const char *rest = name;
    label x = {0};
    char *to = x.text;
    while (*rest != '\0' && x.lines < LINES) {
        int n = 0;
        const size_t bytes = line_of(rest, &n);
        if (x.lines++ > 0)
            *to++ = '\n';
        for (size_t i = 0; i < bytes; i++, rest++)
            *to++ = (unsigned char)*rest < ' ' ? ' ' : *rest;
        if (*rest != '\0' && x.lines == LINES) {
            *to++ = '~';
            n++;
        }
        x.length = n > x.length ? n : x.length;
    }
    return x;
}

/* @return pixels of the longest name, and of the space around it. */
static double left_of(const moe_view *view)
{
    int longest = 0;
    for (int s = 0; s < view->dims.strategies; s++) {
        const label x = label_of(view->strategy[s].name);
        longest = x.length > longest ? x.length : longest;
    }
    return longest * CHARACTER + BESIDE;
}

int moe_plot_rows_ticks(const moe_view *view)
{
    return (int)(MOE_PLOT_WIDTH - RIGHT - left_of(view)) / TICK;
}

void moe_plot_rows_put(const moe_view *view, FILE *to)
{
    const int n = view->dims.strategies;
    label row[MOE_MAX_STRATEGIES];
    const char *text[MOE_MAX_STRATEGIES];
    moe_script_number(to, "n_rows", n);
    for (int s = 0; s < n; s++) {
        row[s] = label_of(view->strategy[s].name);
        text[s] = row[s].text;
    }
    moe_script_ticks(to, "row", text, n, sizeof row[0].text);
    moe_script_number(to, "left", left_of(view));
}

int moe_plot_rows_height(const moe_view *view)
{
    const int n = view->dims.strategies;
    bool long_names = false;
    for (int s = 0; s < n; s++)
        long_names = long_names || label_of(view->strategy[s].name).lines > 1;
    return FOOT + n * (long_names ? LONG_ROW_HEIGHT : ROW_HEIGHT);
}
