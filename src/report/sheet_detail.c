/* SPDX-License-Identifier: Apache-2.0 */
#include "sheet.h"

#include <math.h>

#include "cells.h"
#include "moegps/mem.h"

enum {
    PER_TABLE = 4,    /* strategies beside each other */
    HEADING_LEN = 18, /* characters of their names */
    BAR_LEN = 24      /* characters of a bar that is full */
};

static void put_layers(const moe_sheet *to, const char *title,
                       const moe_view *view, const moe_detail *detail,
                       int first, int n)
{
    moe_cell heading[PER_TABLE];
    moe_column columns[PER_TABLE + 2] = {
        {"layer", NULL, MOE_RIGHT}, {"skewness", "max/mean expert", MOE_RIGHT}};
    for (int j = 0; j < n; j++) {
        heading[j] = moe_name_cell(view->strategy[first + j].name, HEADING_LEN);
        columns[j + 2] = (moe_column){heading[j].text, NULL, MOE_RIGHT};
    }
    moe_table *table = moe_table_new(columns, (size_t)n + 2);
    for (int l = 0; l < view->dims.layers; l++) {
        moe_table_cell(table, "%d", detail->layers[l]);
        moe_table_number(table, detail->skew[l], 3);
        for (int s = first; s < first + n; s++)
            moe_table_cell(
                table, "%s",
                moe_time_cell(detail->layer_time[s * view->dims.layers + l])
                    .text);
    }
    moe_sheet_table(to, title, NULL, table);
}

void moe_sheet_layers(const moe_sheet *to, const moe_run_analysis *run)
{
    const moe_view *view = run->view;
    const moe_detail *detail = &run->detail;
    const moe_clock clock = run->verdict.clock;
    char title[128];
    snprintf(title, sizeof title,
             "Time of every layer, %s clock (%s), means over iterations",
             moe_clock_name(clock), moe_clock_origin(clock));
    for (int s = 0; s < view->dims.strategies; s += PER_TABLE) {
        const int left = view->dims.strategies - s;
        put_layers(to, s == 0 ? title : NULL, view, detail, s,
                   left < PER_TABLE ? left : PER_TABLE);
    }
}

/* Mean time of a rank over the iterations that it measured. */
static double mean_busy(const moe_view *view, const moe_detail *detail, int g)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < view->dims.iterations; i++) {
        const double x =
            detail->busy[(size_t)g * (size_t)view->dims.iterations + (size_t)i];
        if (!isnan(x)) {
            sum += x;
            n++;
        }
    }
    return n > 0 ? sum / n : (double)NAN;
}

void moe_sheet_ranks(const moe_sheet *to, const moe_run_analysis *run)
{
    const moe_view *view = run->view;
    const moe_detail *detail = &run->detail;
    const moe_clock clock = run->verdict.clock;
    static const moe_column columns[] = {
        {"rank", NULL, MOE_RIGHT},
        {"busy", "per layer", MOE_RIGHT},
        {"over mean", NULL, MOE_RIGHT},
        {"", NULL, MOE_LEFT},
    };
    const int n = view->dims.gpus;
    double mean = 0, most = 0;
    for (int g = 0; g < n; g++) {
        const double busy = mean_busy(view, detail, g);
        mean += busy / n;
        most = fmax(most, busy);
    }
    moe_table *table = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int g = 0; g < n; g++) {
        const double busy = mean_busy(view, detail, g);
        const double share = most > 0 && !isnan(busy) ? busy / most : 0;
        moe_table_cell(table, "%d", g);
        moe_table_cell(table, "%s", moe_time_cell(busy).text);
        moe_table_number(table, busy / mean, 3);
        moe_table_cell(table, "%s", moe_ink_bar(&to->ink, share, BAR_LEN).text);
    }
    char title[192];
    snprintf(title, sizeof title,
             "Ranks of %s, waiting left out, %s clock (%s), means over "
             "iterations",
             view->strategy[detail->strategy].name, moe_clock_name(clock),
             moe_clock_origin(clock));
    moe_sheet_table(to, title, NULL, table);
}
