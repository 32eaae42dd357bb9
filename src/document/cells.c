/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/cells.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "moegps/mem.h"

static const moe_cell NOT_AVAILABLE = {"n/a"};

/* Divide by the step of a scale until the value, rounded to three digits,
 * fits below the next unit. */
moe_cell moe_time_cell(double s)
{
    static const char *const units[] = {"ns", "us", "ms", "s"};
    moe_cell c = {"0 s"};
    if (isnan(s))
        return NOT_AVAILABLE;
    if (s == 0)
        return c;
    double value = s * 1e9;
    size_t unit = 0;
    while (fabs(value) >= 999.5 && unit + 1 < MOE_ARRAY_LEN(units)) {
        value /= 1000;
        unit++;
    }
    const int decimals = fabs(value) < 9.995 ? 2 : fabs(value) < 99.95 ? 1 : 0;
    snprintf(c.text, sizeof c.text, "%.*f %s", decimals, value, units[unit]);
    return c;
}

moe_cell moe_bytes_cell(double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    moe_cell c;
    if (isnan(bytes))
        return NOT_AVAILABLE;
    double value = bytes;
    size_t unit = 0;
    while (fabs(value) >= 1023.95 && unit + 1 < MOE_ARRAY_LEN(units)) {
        value /= 1024;
        unit++;
    }
    snprintf(c.text, sizeof c.text, "%.*f %s", unit > 0 ? 1 : 0, value,
             units[unit]);
    return c;
}

moe_cell moe_percent_cell(double share)
{
    moe_cell c = moe_number_cell(100 * share);
    if (!isnan(share))
        strcat(c.text, " %");
    return c;
}

moe_cell moe_number_cell(double x)
{
    return moe_digits_cell(x, 3);
}

moe_cell moe_digits_cell(double x, int digits)
{
    moe_cell c;
    if (isnan(x))
        return NOT_AVAILABLE;
    const double magnitude = x != 0 ? floor(log10(fabs(x))) : 0;
    if (!isfinite(x) || magnitude < -4 || magnitude > 8) {
        snprintf(c.text, sizeof c.text, "%.*g", digits, x);
        return c;
    }
    const int decimals = digits - 1 - (int)magnitude;
    snprintf(c.text, sizeof c.text, "%.*f", decimals > 0 ? decimals : 0, x);
    return c;
}

moe_cell moe_fixed_cell(double x)
{
    moe_cell c;
    if (isnan(x))
        return NOT_AVAILABLE;
    /* no -0.0000 */
    snprintf(c.text, sizeof c.text, "%.4f", fabs(x) < 5e-5 ? 0.0 : x);
    return c;
}

moe_cell moe_value_cell(double x)
{
    moe_cell c;
    if (isnan(x))
        return NOT_AVAILABLE;
    snprintf(c.text, sizeof c.text, "%.4g", x);
    return c;
}

moe_cell moe_name_cell(const char *name, size_t n)
{
    moe_cell c;
    size_t len = strlen(name);
    n = n < sizeof c.text ? n : sizeof c.text - 1;
    const bool cut = len > n;
    if (cut)
        for (len = n - 1; len > 0 && (name[len] & 0xc0) == 0x80;)
            len--;
    snprintf(c.text, sizeof c.text, "%.*s%s", (int)len, name, cut ? "~" : "");
    return c;
}

moe_cell moe_interval_cell(moe_cell low, moe_cell high)
{
    moe_cell c;
    if (strcmp(low.text, NOT_AVAILABLE.text) == 0)
        return low;
    snprintf(c.text, sizeof c.text, "%.28s .. %.28s", low.text, high.text);
    return c;
}
