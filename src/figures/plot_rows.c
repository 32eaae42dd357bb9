/* SPDX-License-Identifier: Apache-2.0 */
#include "plot_rows.h"

#include <math.h>

#include "legend.h"
#include "script.h"

enum {
    FOOT = 46,    /* pixels of ticks and what they mean */
    NAME_LEN = 40 /* bytes of a name beside its number */
};

static double time_of(const moe_run_analysis *run, int s)
{
    return run->view->strategy[s].summary[run->verdict.clock].median;
}

/* @return the row of a strategy: how many are faster, those without a time
 * last. */
static int place_of(const moe_run_analysis *run, int s)
{
    const double mine = time_of(run, s);
    int place = 0;
    for (int i = 0; i < run->view->dims.strategies; i++) {
        const double other = time_of(run, i);
        const bool alike = other == mine || (isnan(other) && isnan(mine));
        place +=
            other < mine || (isnan(mine) && !isnan(other)) || (alike && i < s);
    }
    return place;
}

moe_cell moe_plot_row_time(const moe_run_analysis *run, int s)
{
    return moe_time_cell(time_of(run, s));
}

void moe_plot_rows_put(const moe_run_analysis *run, int row_px,
                       moe_cell (*value)(const moe_run_analysis *run, int s),
                       FILE *to)
{
    const int n = run->view->dims.strategies;
    int place[MOE_MAX_STRATEGIES], colour[MOE_MAX_STRATEGIES];
    moe_cell name[MOE_MAX_STRATEGIES], number[MOE_MAX_STRATEGIES];
    const char *names[MOE_MAX_STRATEGIES], *numbers[MOE_MAX_STRATEGIES];
    moe_strategy_colours(run->view, colour);
    for (int s = 0; s < n; s++) {
        place[s] = place_of(run, s);
        name[s] = moe_name_cell(run->view->strategy[s].name, NAME_LEN);
        number[s] = value(run, s);
        names[s] = name[s].text;
        numbers[s] = number[s].text;
    }
    moe_script_number(to, "n_rows", n);
    moe_script_number(to, "row_px", row_px);
    moe_script_integers(to, "place", place, n);
    moe_script_integers(to, "row_colour", colour, n);
    moe_script_texts(to, "row", names, n);
    moe_script_texts(to, "value", numbers, n);
}

int moe_plot_rows_height(const moe_run_analysis *run, int row_px)
{
    return FOOT + run->view->dims.strategies * row_px;
}
