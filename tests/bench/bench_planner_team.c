/* SPDX-License-Identifier: Apache-2.0 */
/* All layers of a model planned by one thread and by two: by the newest loads,
 * and by a window of past ones. A thread's CPU time is what counts, of the one
 * that takes longest: that is the time it takes on cores of their own, on a busy
 * machine as well. */
#include "bench.h"

#include <string.h>

#include "moegps/planner_team.h"
#include "planner_loads.h"

enum { REPEATS = 15, MOST_THREADS = 2 };

/* A round of planning, and who planned what. */
typedef struct {
    const setup *s;
    int seed;
    bool window;
    past_loads past[MOST_THREADS];
    int thread[MAX_LAYERS];
    double steps[MAX_LAYERS], cpu_s[MAX_LAYERS];
    moe_plan home, next;
} planned;

static void ask(void *arg, int layer, int thread, moe_planner_task *task_out)
{
    planned *w = arg;
    past_loads *past = &w->past[thread];
    draw_past(w->s, w->seed, layer, past);
    if (!w->window)
        draw(&kinds[1], w->seed, layer, w->s->experts, past->sample[0]);
    w->thread[layer] = thread;
    *task_out = (moe_planner_task){.load = past->sample[0],
                                   .past = w->window ? past->row : NULL,
                                   .n_past = w->window ? WINDOW : 0};
}

/* @return s of the thread that takes longest. */
static double plan_all(planned *w, const moe_planner_team *team)
{
    double of_thread[MOST_THREADS] = {0};
    moe_error err = {0};
    const moe_planner_round round = {.ask = ask,
                                     .arg = w,
                                     .plan = &w->home,
                                     .next = &w->next,
                                     .steps = w->steps,
                                     .cpu_s = w->cpu_s};
    must(moe_planner_team_plan(team, &round, 0, w->s->layers, &err), &err);
    for (int l = 0; l < w->s->layers; l++)
        of_thread[w->thread[l]] += w->cpu_s[l];
    return fmax(of_thread[0], of_thread[MOST_THREADS - 1]);
}

static void print_team(const setup *s, bool window, int threads)
{
    static bench_series all;
    static planned w;
    char name[80];
    moe_error err = {0};
    moe_planner_team team;
    const moe_planner *balance = moe_planner_find("balance");
    const int slots = s->slots / s->gpus;
    moe_planner_env env = {.layout = {s->gpus, s->per_node},
                           .experts = s->experts,
                           .slots = slots,
                           .interval = 1000};
    void *params = bench_array(1, balance->params_size);
    moe_opt_defaults(balance->opts, params);
    env.pricer = price(s, &env.layout);
    w = (planned){.s = s, .window = window};
    must(moe_plan_init(&w.home, s->layers, s->experts, s->gpus, slots, &err),
         &err);
    must(moe_plan_init(&w.next, s->layers, s->experts, s->gpus, slots, &err),
         &err);
    moe_plan_set_home(&w.home, &env.layout);
    must(moe_planner_team_init(&team, balance, &env, params, threads, &err),
         &err);
    all.n = 0;
    for (int i = 0; i < REPEATS; i++) {
        w.seed = i + 1;
        bench_add(&all, plan_all(&w, &team));
    }
    snprintf(name, sizeof name, "%s, %d thread%s",
             window ? "8 past loads" : "one load", threads,
             threads > 1 ? "s" : "");
    bench_print(name, &all, 0, NULL);
    if (threads == MOST_THREADS)
        bench_limit("  with two threads", 1e3 * bench_summary(&all).median,
                    (window ? 10e3 : 1e3) * s->own_limit_s, "ms");
    moe_planner_team_fini(&team);
    moe_plan_fini(&w.home);
    moe_plan_fini(&w.next);
    free(params);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "planner balance by threads");
    for (size_t i = 0; i < MOE_ARRAY_LEN(setups); i++) {
        const setup *s = &setups[i];
        printf(" %s: %d layers, %d experts, %d slots, from home\n", s->name,
               s->layers, s->experts, s->slots);
        for (int window = 0; window < 2; window++)
            for (int threads = 1; threads <= MOST_THREADS; threads++)
                print_team(s, window > 0, threads);
    }
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
