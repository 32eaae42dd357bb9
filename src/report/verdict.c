/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict.h"

#include <math.h>
#include <stdbool.h>

#include "moegps/table.h"

enum { N_REASONS = 2 };

/* @return the phase that differs most from the reference's, not counting
 * `taken`; -1: none differs. */
static int next_reason(const moe_strategy_view *x, const moe_strategy_view *ref,
                       moe_clock clock, int taken, double *gap_s)
{
    int most = -1;
    *gap_s = 0.0;
    for (int p = 0; p < MOE_N_PHASES; p++) {
        double gap = x->phase[clock][p] - ref->phase[clock][p];
        if (p != taken && fabs(gap) > fabs(*gap_s)) {
            most = p;
            *gap_s = gap;
        }
    }
    return most;
}

static void print_reasons(const moe_strategy_view *x,
                          const moe_strategy_view *ref, moe_clock clock,
                          FILE *out)
{
    int taken = -1;
    for (int i = 0; i < N_REASONS; i++) {
        double gap_s = 0.0;
        char text[32];
        int phase = next_reason(x, ref, clock, taken, &gap_s);
        if (phase < 0)
            break;
        moe_format_time(fabs(gap_s), text, sizeof text);
        fprintf(out, "%s %s %c%s", i == 0 ? ":" : ",",
                moe_phase_name((moe_phase)phase), gap_s < 0 ? '-' : '+', text);
        taken = phase;
    }
    fputc('\n', out);
}

static void print_comparison(const moe_strategy_view *x,
                             const moe_strategy_view *ref, moe_clock clock,
                             FILE *out)
{
    const moe_ratio *r = &x->speedup[clock];
    const char *sure = isnan(r->ci_low) ? " (too few iterations to be sure)"
                       : r->ci_low > 1.0 || r->ci_high < 1.0
                           ? ""
                           : " (within noise)";
    char factor[32];
    moe_format_number(r->ratio >= 1 ? r->ratio : 1 / r->ratio, 3, factor,
                      sizeof factor);
    fprintf(out, "  %s: %s times as %s%s", x->name, factor,
            r->ratio >= 1 ? "fast" : "slow", sure);
    print_reasons(x, ref, clock, out);
}

void moe_verdict_print(const moe_view *view, FILE *out)
{
    const moe_clock clock =
        view->oversubscribed ? MOE_CLOCK_GPU : MOE_CLOCK_WALL;
    const moe_strategy_view *ref = &view->strategy[view->reference_index];
    if (view->measured == 0 || view->dims.strategies < 2)
        return;
    fprintf(out, "\nAgainst %s, per layer on the %s clock (%s):\n", ref->name,
            moe_clock_name(clock),
            clock == MOE_CLOCK_GPU ? "modelled" : "measured");
    for (int s = 0; s < view->dims.strategies; s++)
        if (s != view->reference_index &&
            !isnan(view->strategy[s].speedup[clock].ratio))
            print_comparison(&view->strategy[s], ref, clock, out);
}
