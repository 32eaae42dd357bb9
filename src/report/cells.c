/* SPDX-License-Identifier: Apache-2.0 */
#include "cells.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "moegps/table.h"

moe_cell moe_time_cell(double s)
{
    moe_cell c;
    moe_format_time(s, c.text, sizeof c.text);
    return c;
}

moe_cell moe_bytes_cell(double bytes)
{
    moe_cell c;
    moe_format_bytes(bytes, c.text, sizeof c.text);
    return c;
}

moe_cell moe_percent_cell(double share)
{
    moe_cell c;
    moe_format_number(100 * share, 3, c.text, sizeof c.text);
    if (!isnan(share))
        strcat(c.text, " %");
    return c;
}

moe_cell moe_number_cell(double x)
{
    moe_cell c;
    moe_format_number(x, 3, c.text, sizeof c.text);
    return c;
}

moe_cell moe_fixed_cell(double x)
{
    moe_cell c = {"n/a"};
    if (!isnan(x)) /* no -0.0000 */
        snprintf(c.text, sizeof c.text, "%.4f", fabs(x) < 5e-5 ? 0.0 : x);
    return c;
}

moe_cell moe_name_cell(const char *name, size_t n)
{
    moe_cell c;
    size_t len = strlen(name);
    bool cut = len > n;
    if (cut)
        for (len = n - 1; len > 0 && (name[len] & 0xc0) == 0x80;)
            len--;
    snprintf(c.text, sizeof c.text, "%.*s%s", (int)len, name, cut ? "~" : "");
    return c;
}

moe_cell moe_interval_cell(moe_cell low, moe_cell high)
{
    moe_cell c;
    if (strcmp(low.text, "n/a") == 0)
        return low;
    snprintf(c.text, sizeof c.text, "%.28s .. %.28s", low.text, high.text);
    return c;
}
