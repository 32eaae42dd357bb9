/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/analysis.h"

#include <stdlib.h>

#include "moegps/mem.h"

static void find_gaps(moe_run_analysis *run, moe_error *err)
{
    const moe_view *v = run->view;
    const moe_clock clock = run->verdict.clock;
    const moe_strategy_view *reference = &v->strategy[v->reference_index];
    run->gap = moe_array_new((size_t)v->dims.strategies, sizeof *run->gap, err);
    for (int s = 0; run->gap != NULL && s < v->dims.strategies; s++)
        moe_phase_gaps(v->strategy[s].phase[clock], reference->phase[clock],
                       run->gap[s], MOE_ANALYSIS_GAPS);
}

static void read_detail(moe_run_analysis *run, moe_error *err)
{
    const moe_verdict *verdict = &run->verdict;
    const int of =
        verdict->best >= 0 ? verdict->best : run->view->reference_index;
    const moe_status status = moe_detail_read(run->view, of, verdict->clock,
                                              &run->detail, &run->no_detail);
    run->detailed = status == MOE_OK;
    if (status != MOE_OK && status != MOE_USAGE && status != MOE_MISMATCH)
        moe_pass(err, &run->no_detail);
}

/* A file that is gone has no more of them, as it has no details. */
static void read_choices(moe_run_analysis *run, moe_error *err)
{
    moe_error local = {0};
    const moe_status status =
        moe_choices_read(run->view, &run->choices, &run->n_choices, &local);
    if (status != MOE_OK && status != MOE_USAGE && status != MOE_MISMATCH)
        moe_pass(err, &local);
}

static void map_regimes(moe_run_analysis *run, moe_error *err)
{
    moe_error local = {0};
    if (!run->detailed || !run->sensitivity.known || run->view->dims.gpus < 2)
        return;
    moe_regime_map_init(&run->regime, run->view, &run->detail, &run->break_even,
                        &local);
    if (local.status == MOE_NOMEM)
        moe_pass(err, &local);
}

static void analyse(moe_run_analysis *run, int wanted, moe_error *err)
{
    moe_verdict_find(run->view, &run->verdict, err);
    if (err->status == MOE_OK)
        find_gaps(run, err);
    run->break_even = moe_break_even_of(run->view);
    if (err->status == MOE_OK)
        read_choices(run, err);
    if ((wanted & MOE_WANT_SENSITIVITY) != 0 && err->status == MOE_OK)
        moe_sensitivity_init(&run->sensitivity, run->view, NULL, err);
    if ((wanted & MOE_WANT_DETAIL) != 0 && err->status == MOE_OK)
        read_detail(run, err);
    if ((wanted & MOE_WANT_REGIME_MAP) != 0 && err->status == MOE_OK)
        map_regimes(run, err);
}

/* Runs are judged together by one clock, whatever that of each is. */
static void judge_again(moe_scaling *scaling, const moe_run_analysis *run,
                        moe_error *err)
{
    moe_verdict verdict = run->verdict;
    moe_view view = *run->view;
    view.clock_asked = 1 + (int)scaling->clock;
    if (verdict.clock == scaling->clock ||
        moe_verdict_find(&view, &verdict, err) == MOE_OK)
        moe_scaling_judge(scaling, run->view, &verdict, err);
}

moe_status moe_analysis_init(moe_analysis *out, const moe_view *views, size_t n,
                             int wanted, moe_error *err)
{
    moe_error local = {0};
    moe_analysis a = {.n = n};
    if (n > MOE_ANALYSIS_SENSITIVITIES)
        wanted &= ~MOE_WANT_SENSITIVITY;
    if (n > 1)
        wanted &= ~MOE_WANT_REGIME_MAP;
    a.run = moe_array_new(n, sizeof *a.run, &local);
    for (size_t i = 0; i < n && local.status == MOE_OK; i++) {
        a.run[i].view = &views[i];
        analyse(&a.run[i], wanted, &local);
    }
    if (local.status == MOE_OK)
        moe_scaling_init(&a.scaling, views, n, &local);
    for (size_t i = 0; i < n && local.status == MOE_OK; i++)
        judge_again(&a.scaling, &a.run[i], &local);
    if (local.status == MOE_OK) {
        *out = a;
        return MOE_OK;
    }
    moe_analysis_fini(&a);
    return moe_pass(err, &local);
}

void moe_analysis_fini(moe_analysis *analysis)
{
    for (size_t i = 0; analysis->run != NULL && i < analysis->n; i++) {
        moe_run_analysis *run = &analysis->run[i];
        moe_regime_map_fini(&run->regime);
        moe_detail_free(&run->detail);
        moe_sensitivity_fini(&run->sensitivity);
        moe_choices_free(run->choices, run->n_choices);
        free(run->gap);
    }
    free(analysis->run);
    moe_scaling_fini(&analysis->scaling);
    *analysis = (moe_analysis){0};
}
