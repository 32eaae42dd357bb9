/* SPDX-License-Identifier: Apache-2.0 */
#include "data.h"

#include <assert.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "moegps/plain.h"

/* gnuplot ends a quoted field at any quote, doubled or not. */
static void put_text(const char *text, FILE *out)
{
    char line[256];
    snprintf(line, sizeof line, "%s", text);
    moe_plain_clean(line, false);
    for (char *c = line; *c != '\0'; c++)
        *c = *c == '"' ? '\'' : *c;
    moe_plain_csv(line, out);
}

static void add_column(moe_plot_data *to)
{
    assert(to->n < MOE_DATA_COLUMNS);
    to->span[to->n++] = moe_axis_empty;
    to->at = to->n;
}

void moe_data_columns(moe_plot_data *to, const char *names)
{
    fputs(to->n > 0 ? "," : "", to->out);
    for (const char *c = names; c != NULL; c = strchr(c + 1, ','))
        add_column(to);
    fputs(names, to->out);
}

void moe_data_column(moe_plot_data *to, const char *name)
{
    add_column(to);
    fputc(',', to->out);
    put_text(name, to->out);
}

/* A row is full when there is a field for every column. */
static void separate(moe_plot_data *to)
{
    fputs(to->at == to->n ? "\n" : ",", to->out);
    to->at = to->at == to->n ? 1 : to->at + 1;
}

void moe_data_number(moe_plot_data *to, double x)
{
    separate(to);
    moe_axis_take(&to->span[to->at - 1], x);
    if (isfinite(x))
        fprintf(to->out, "%.9g", x);
}

void moe_data_numbers(moe_plot_data *to, const double *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        moe_data_number(to, x[i]);
}

void moe_data_text(moe_plot_data *to, const char *text)
{
    separate(to);
    put_text(text, to->out);
}

void moe_data_tip(moe_plot_data *to, const char *fmt, ...)
{
    va_list ap;
    if (to->tips == NULL)
        return;
    va_start(ap, fmt);
    vfprintf(to->tips, fmt, ap);
    va_end(ap);
    fputc('\0', to->tips);
    to->n_tips++;
}

moe_axis moe_data_span(const moe_plot_data *data, int first, int last)
{
    moe_axis axis = moe_axis_empty;
    for (int k = first; k <= last && k <= data->n; k++)
        moe_axis_join(&axis, data->span[k - 1]);
    return axis;
}
