/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

#include <math.h>

/* Where the prices of the gpu clock are from: counted over iterations, layers
 * and GPUs, for every phase. */

static void visit_sources(const moe_reader *rd, int s, int i, const double *x,
                          void *arg)
{
    const moe_ledger_dims *d = &rd->view->dims;
    moe_strategy_view *y = &rd->view->strategy[s];
    (void)i, (void)arg;
    for (int l = 0; l < d->layers; l++)
        for (int p = 0; p < MOE_N_PHASES; p++, x += d->ranks)
            for (int g = 0; g < d->gpus; g++)
                if (x[g] >= 0 && x[g] < MOE_N_PRICE_SOURCES)
                    y->source[p][(int)x[g]]++;
}

void moe_prices_read(moe_reader *rd)
{
    const moe_view *v = rd->view;
    if (moe_reader_has(rd, MOE_FIELD_PRICE_SOURCE))
        moe_reader_each(rd, MOE_FIELD_PRICE_SOURCE, visit_sources, NULL);
    for (int s = 0; s < v->dims.strategies && !moe_reader_failed(rd); s++)
        for (int p = 0; p < MOE_N_PHASES; p++) {
            double *count = v->strategy[s].source[p], all = 0;
            for (int k = 0; k < MOE_N_PRICE_SOURCES; k++)
                all += count[k];
            for (int k = 0; k < MOE_N_PRICE_SOURCES; k++)
                count[k] = all > 0 ? count[k] / all : (double)NAN;
        }
}
