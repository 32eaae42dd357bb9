/* SPDX-License-Identifier: Apache-2.0 */
/* The duplicate planner on lognormal loads, one layer; beside it the settling
 * of slots that follows, and the writing of a plan that nobody thought about,
 * which every planner has to do. */
#include "bench.h"

#include "moegps/planner.h"
#include "moegps/rng.h"

enum { SAMPLES = 31, MOST_EXPERTS = 256 };

static const double SIGMA = 1.0, PAIRS = 32768;

static const struct {
    int experts, gpus, slots; /* slots of all GPUs */
} shapes[] = {{8, 4, 16}, {256, 32, 288}, {256, 144, 432}};

typedef struct {
    moe_planner_env env;
    void *params, *state;
    moe_plan current, next;
    double load[MOST_EXPERTS];
} bench;

static void must(moe_status status, const moe_error *err)
{
    if (status == MOE_OK)
        return;
    fprintf(stderr, "bench_planner: %s\n", err->text);
    exit(1);
}

static void make(bench *b, const moe_planner *p, int i)
{
    moe_error err = {0};
    b->env = (moe_planner_env){
        .layout = {.gpus = shapes[i].gpus, .gpus_per_node = 8},
        .experts = shapes[i].experts,
        .slots = shapes[i].slots / shapes[i].gpus};
    b->params = bench_array(1, p->params_size);
    b->state = bench_array(1, p->state_size);
    moe_opt_defaults(p->opts, b->params);
    must(p->init(b->state, &b->env, b->params, &err), &err);
    must(moe_plan_init(&b->current, 1, b->env.experts, b->env.layout.gpus,
                       b->env.slots, &err),
         &err);
    must(moe_plan_init(&b->next, 1, b->env.experts, b->env.layout.gpus,
                       b->env.slots, &err),
         &err);
    moe_plan_set_home(&b->current, &b->env.layout);
}

static void end(bench *b, const moe_planner *p)
{
    p->fini(b->state);
    free(b->params);
    free(b->state);
    moe_plan_fini(&b->current);
    moe_plan_fini(&b->next);
}

static void draw_load(bench *b, int sample)
{
    moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, (uint64_t)sample, 0, 0);
    double sum = 0.0;
    for (int e = 0; e < b->env.experts; e++)
        sum += b->load[e] = exp(SIGMA * moe_rng_normal(&rng));
    for (int e = 0; e < b->env.experts; e++)
        b->load[e] = floor(PAIRS * b->load[e] / sum);
}

/* @return max / mean pairs of a GPU. */
static double imbalance(const bench *b, const moe_plan *plan)
{
    double most = 0.0, sum = 0.0;
    for (int g = 0; g < plan->gpus; g++) {
        double load = 0.0;
        for (int k = g * plan->slots; k < (g + 1) * plan->slots; k++)
            if (plan->expert[k] >= 0)
                load +=
                    b->load[plan->expert[k]] * plan->quota[k] / MOE_QUOTA_ONE;
        most = load > most ? load : most;
        sum += load;
    }
    return most / (sum / plan->gpus);
}

static void one_shape(const moe_planner *p, int i)
{
    static bench_series planned, settled, copied;
    bench b;
    moe_error err = {0};
    double before[SAMPLES], after[SAMPLES];
    make(&b, p, i);
    planned.n = settled.n = copied.n = 0;
    for (int s = 0; s < SAMPLES; s++) {
        moe_plan_layer current = moe_plan_at(&b.current, 0);
        moe_plan_layer next = moe_plan_at(&b.next, 0);
        draw_load(&b, s);
        before[s] = imbalance(&b, &b.current);
        const double t0 = bench_cpu();
        moe_plan_layer_set_home(&next, &b.env.layout);
        const double t1 = bench_cpu();
        must(p->plan(b.state, b.load, &current, &next, &err), &err);
        const double t2 = bench_cpu();
        moe_plan_layer_settle(&current, &next);
        const double t3 = bench_cpu();
        bench_add(&copied, t1 - t0);
        bench_add(&planned, t2 - t1);
        bench_add(&settled, t3 - t2);
        after[s] = imbalance(&b, &b.next);
        moe_plan_copy(&b.current, &b.next);
    }
    moe_summary from, to;
    moe_summarise(before, SAMPLES, &from, &err);
    moe_summarise(after, SAMPLES, &to, &err);
    printf(" %d experts, %d GPUs, %d slots: imbalance %.2f -> %.2f\n",
           shapes[i].experts, shapes[i].gpus, shapes[i].slots, from.median,
           to.median);
    bench_print("plan", &planned, 0, NULL);
    bench_print("settle", &settled, 0, NULL);
    bench_print("write the home placement", &copied, 0, NULL);
    end(&b, p);
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "planner `duplicate`, one layer");
    printf("   lognormal(%g) loads of %g pairs, CPU time, median of %d; the\n"
           "   plan before is the one of other loads\n",
           SIGMA, PAIRS, SAMPLES);
    for (size_t i = 0; i < MOE_ARRAY_LEN(shapes); i++)
        one_shape(moe_planner_find("duplicate"), (int)i);
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
