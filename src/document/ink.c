/* SPDX-License-Identifier: Apache-2.0 */
#include "ink.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "moegps/launched.h"
#include "moegps/stats.h"

enum { EIGHTHS = 8 };

/* Lower eighths of a block, and left ones: U+2581.., U+258F.. */
static const char *const lower[EIGHTHS] = {"\u2581", "\u2582", "\u2583",
                                           "\u2584", "\u2585", "\u2586",
                                           "\u2587", "\u2588"};
static const char *const left[EIGHTHS] = {"\u258f", "\u258e", "\u258d",
                                          "\u258c", "\u258b", "\u258a",
                                          "\u2589", "\u2588"};
static const char *const ascii[EIGHTHS] = {"_", ".", ":", "-",
                                           "=", "+", "*", "#"};

static const char *setting(const char *name)
{
    const char *text = getenv(name);
    return text != NULL ? text : "";
}

static bool is_utf8(void)
{
    locale_t users = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (users == (locale_t)0)
        return false;
    const bool utf8 = strcmp(nl_langinfo_l(CODESET, users), "UTF-8") == 0;
    freelocale(users);
    return utf8;
}

moe_ink moe_ink_of(FILE *out)
{
    const char *terminal = setting("TERM");
    const int fd = fileno(out); /* -1: memory */
    const bool is_terminal = fd >= 0 && moe_launched_on_terminal(fd);
    return (moe_ink){.terminal = is_terminal,
                     .colour = is_terminal && setting("NO_COLOR")[0] == '\0' &&
                               terminal[0] != '\0' &&
                               strcmp(terminal, "dumb") != 0,
                     .utf8 = is_utf8()};
}

const char *moe_ink_on(const moe_ink *ink, moe_hue hue)
{
    static const char *const begin[] = {
        [MOE_HUE_NONE] = "",         [MOE_HUE_BOLD] = "\033[1m",
        [MOE_HUE_GOOD] = "\033[32m", [MOE_HUE_BAD] = "\033[31m",
        [MOE_HUE_NOTE] = "\033[33m",
    };
    return ink->colour ? begin[hue] : "";
}

const char *moe_ink_off(const moe_ink *ink, moe_hue hue)
{
    return ink->colour && hue != MOE_HUE_NONE ? "\033[0m" : "";
}

static void add(moe_strokes *to, const char *character)
{
    strcat(to->text, character);
}

moe_strokes moe_ink_bar(const moe_ink *ink, double share, int length)
{
    moe_strokes bar = {""};
    length = length < MOE_INK_LEN ? length : MOE_INK_LEN;
    if (!(share > 0))
        return bar;
    share = fmin(share, 1);
    const int parts = ink->utf8 ? EIGHTHS : 1;
    const int n = (int)lround(share * length * parts);
    for (int i = 0; i < n / parts; i++)
        add(&bar, ink->utf8 ? left[EIGHTHS - 1] : "#");
    if (n % parts > 0)
        add(&bar, left[n % parts - 1]);
    return bar;
}

moe_strokes moe_ink_spark(const moe_ink *ink, const double *x, size_t n,
                          int length)
{
    moe_strokes line = {""};
    double y[MOE_INK_LEN], low = INFINITY, high = -INFINITY;
    const size_t room = (size_t)(length < MOE_INK_LEN ? length : MOE_INK_LEN);
    const size_t m = n < room ? n : room;
    for (size_t j = 0; j < m; j++) {
        const size_t first = j * n / m, end = (j + 1) * n / m;
        y[j] = moe_mean_known(x + first, end - first);
        low = fmin(low, y[j]);
        high = fmax(high, y[j]);
    }
    for (size_t j = 0; j < m; j++) {
        const double at = high > low ? (y[j] - low) / (high - low) : 0.5;
        const int level = isnan(y[j]) ? 0 : (int)lround(at * (EIGHTHS - 1));
        add(&line, isnan(y[j]) ? " " : (ink->utf8 ? lower : ascii)[level]);
    }
    return line;
}
