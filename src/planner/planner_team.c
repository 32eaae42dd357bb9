/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/planner_team.h"

#include <omp.h>
#include <stdlib.h>

#include "moegps/clock.h"
#include "moegps/mem.h"

moe_status moe_planner_team_init(moe_planner_team *team,
                                 const moe_planner *planner,
                                 const moe_planner_env *env, const void *params,
                                 int threads, moe_error *err)
{
    moe_error local = {0};
    *team = (moe_planner_team){.planner = planner, .threads = threads};
    team->state = moe_array_new((size_t)threads, sizeof *team->state, &local);
    for (int i = 0; i < threads && local.status == MOE_OK; i++)
        team->state[i] = moe_planner_new(planner, env, params, &local);
    return moe_pass(err, &local);
}

void moe_planner_team_fini(moe_planner_team *team)
{
    for (int i = 0; team->state != NULL && i < team->threads; i++)
        moe_planner_free(team->planner, team->state[i]);
    free(team->state);
    *team = (moe_planner_team){.threads = 0};
}

static moe_status plan_layer(const moe_planner_team *team,
                             const moe_planner_round *round, int layer,
                             int thread, moe_error *err)
{
    void *state = team->state[thread];
    const moe_plan_layer current = moe_plan_at(round->plan, layer);
    moe_plan_layer next = moe_plan_at(round->next, layer);
    moe_planner_task task = {.load = NULL};
    round->ask(round->arg, layer, thread, &task);
    task.current = &current;
    const double start_s = moe_clock_thread_cpu();
    const moe_status status = team->planner->plan(state, &task, &next, err);
    if (status == MOE_OK)
        moe_plan_layer_settle(&current, &next);
    round->cpu_s[layer] = moe_clock_thread_cpu() - start_s;
    round->steps[layer] = (double)moe_planner_steps(team->planner, state);
    return status;
}

moe_status moe_planner_team_plan(const moe_planner_team *team,
                                 const moe_planner_round *round, int first,
                                 int end, moe_error *err)
{
    const int n = end - first;
    moe_error worst = {0};
    int failed = end;
#pragma omp parallel for schedule(dynamic) \
    num_threads(team->threads < n ? team->threads : n)
    for (int l = first; l < end; l++) {
        moe_error own = {0};
        if (plan_layer(team, round, l, omp_get_thread_num(), &own) == MOE_OK)
            continue;
#pragma omp critical
        if (l < failed) {
            failed = l;
            worst = own;
        }
    }
    return moe_pass(err, &worst);
}
