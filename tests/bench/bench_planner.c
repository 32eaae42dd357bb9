/* SPDX-License-Identifier: Apache-2.0 */
/* Planners and the split minmax: balance, time and what a plan is worth when
 * loads have drifted, beside EPLB, which is here in C and, for orientation,
 * in its authors' Python. */
#include "bench.h"

#include <string.h>

#include "../../src/planner/share_internal.h"
#include "moegps/regret.h"
#include "planner_loads.h"

enum {
    SEEDS = 5,
    REPEATS = 15,
    AGAIN = 4,
    TURNS = 3, /* of which the least counts: others disturb it less */
};

static const double STEP_S = 2.5e-9;           /* planner_step_s of profiles */
static const double DRIFT = 0.5, NOISE = 0.02; /* sigma of the log of a load */

/* Any planner, a layer. */
static const setup largest = {"DeepSeek-V3, 4096 GPUs",
                              "on 4096",
                              "deepseek-v3",
                              1,
                              256,
                              4096,
                              8,
                              8192,
                              "1",
                              0,
                              0,
                              0};
static const double LARGEST_LIMIT_S = 20e-3;

static void drift(double sigma, int seed, int layer, int n, const double *load,
                  double *out)
{
    moe_rng rng =
        moe_rng_at((uint64_t)seed, MOE_RNG_TEST, 1, (uint64_t)layer, 0);
    for (int e = 0; e < n; e++)
        out[e] = floor(load[e] * exp(sigma * moe_rng_normal(&rng)));
}

/* ---- planners at work ---- */

typedef struct {
    const char *name; /* as printed */
    const char *planner;
    const char *option[4]; /* key, value, ...; "groups" "?": the setup's */
} entrant;

static const entrant entrants[] = {
    {"eplb hierarchical", "eplb", {"groups", "?"}},
    {"eplb global", "eplb", {"policy", "global"}},
    {"balance", "balance", {0}},
    {"balance, groups", "balance", {"groups", "?"}},
    {"balance, fill", "balance", {"fill", "yes"}},
    {"balance, groups, fill", "balance", {"groups", "?", "fill", "yes"}},
    {"timed", "timed", {0}},
    {"duplicate", "duplicate", {0}},
    {"relocate", "relocate", {0}},
};
enum {
    HIER,
    GLOBAL,
    OURS,
    GROUPED,
    FILLED,
    GROUPED_FILLED,
    TIMED,
    DUPLICATE,
    RELOCATE,
    N_ENTRANTS
};

typedef struct {
    const moe_planner *planner;
    moe_planner_env env;
    void *params, *state;
    moe_plan home, next, later;
    moe_share *share;
    int64_t load[MAX_EXPERTS];
    past_loads past;
    int n_past;
} desk;

/* @return false where the setup has no such thing. */
static bool open_desk(desk *d, const setup *s, const entrant *n)
{
    moe_error err = {0};
    const moe_planner *p = moe_planner_find(n->planner);
    const int slots = s->slots / s->gpus;
    *d = (desk){.planner = p,
                .env = {.layout = {s->gpus, s->per_node},
                        .experts = s->experts,
                        .slots = slots,
                        .interval = 1000}};
    d->env.pricer = price(s, &d->env.layout);
    d->params = bench_array(1, p->params_size);
    moe_opt_defaults(p->opts, d->params);
    for (int i = 0; i < 4 && n->option[i] != NULL; i += 2) {
        const bool groups = strcmp(n->option[i + 1], "?") == 0;
        const char *value = groups ? s->groups : n->option[i + 1];
        must(moe_opt_parse(moe_opt_find(p->opts, n->option[i]), value,
                           d->params, &err),
             &err);
    }
    must(moe_plan_init(&d->home, 1, s->experts, s->gpus, slots, &err), &err);
    must(moe_plan_init(&d->next, 1, s->experts, s->gpus, slots, &err), &err);
    must(moe_plan_init(&d->later, 1, s->experts, s->gpus, slots, &err), &err);
    d->share = moe_share_new(s->experts, s->gpus, slots, &err);
    must(err.status, &err);
    moe_plan_set_home(&d->home, &d->env.layout);
    d->state = moe_planner_new(p, &d->env, d->params, NULL);
    return d->state != NULL;
}

static void close_desk(desk *d)
{
    moe_planner_free(d->planner, d->state);
    free(d->params);
    moe_plan_fini(&d->home);
    moe_plan_fini(&d->next);
    moe_plan_fini(&d->later);
    moe_share_free(d->share);
}

/* @return CPU time of planning and settling. */
static double make_plan(desk *d, const double *load, const moe_plan *from,
                        moe_plan *to)
{
    moe_error err = {0};
    moe_plan_layer current = moe_plan_at(from, 0), next = moe_plan_at(to, 0);
    const moe_planner_task task = {.load = load,
                                   .past = d->n_past > 0 ? d->past.row : NULL,
                                   .n_past = d->n_past,
                                   .current = &current};
    const double start = bench_cpu();
    must(d->planner->plan(d->state, &task, &next, &err), &err);
    moe_plan_layer_settle(&current, &next);
    return bench_cpu() - start;
}

/* ---- balancedness, mean over max load of a GPU ---- */

static double by_quota(const moe_plan *p, const double *load)
{
    double most = 0, sum = 0;
    for (int g = 0; g < p->gpus; g++) {
        double of_g = 0;
        for (int k = g * p->slots; k < (g + 1) * p->slots; k++)
            if (p->expert[k] >= 0)
                of_g += load[p->expert[k]] * p->quota[k] / MOE_QUOTA_ONE;
        most = fmax(most, of_g);
        sum += of_g;
    }
    return sum / p->gpus / most;
}

static double by_minmax(desk *d, const moe_plan *p, const double *load)
{
    double sum = 0;
    for (int e = 0; e < p->experts; e++)
        sum += (double)(d->load[e] = (int64_t)load[e]);
    moe_share_begin(d->share, p->expert, d->load);
    return sum / p->gpus / (double)moe_share_minmax(d->share);
}

static int changed_slots(const moe_plan *a, const moe_plan *b)
{
    int n = 0;
    for (int k = 0; k < a->gpus * a->slots; k++)
        n += b->expert[k] >= 0 && a->expert[k] != b->expert[k];
    return n;
}

static double median(double *x, size_t n)
{
    moe_summary m = {0};
    moe_error err = {0};
    must(moe_summarise(x, n, 1, &m, &err), &err);
    return m.median;
}

/* ---- tables ---- */

/* Balancedness that no plan of so many slots can exceed. */
static void print_bound(const setup *s)
{
    static moe_regret *r;
    static double x[SEEDS * MAX_LAYERS], load[MAX_EXPERTS];
    moe_error err = {0};
    const moe_planner_env env = {.layout = {s->gpus, s->per_node},
                                 .experts = s->experts,
                                 .slots = s->slots / s->gpus};
    r = moe_regret_new(&env, &err);
    must(err.status, &err);
    printf("  %-22s", "bound");
    for (size_t k = 0; k < MOE_ARRAY_LEN(kinds); k++) {
        size_t at = 0;
        for (int i = 0; i < SEEDS * s->layers; i++) {
            double sum = 0;
            draw(&kinds[k], 1 + i / s->layers, i % s->layers, s->experts, load);
            for (int e = 0; e < s->experts; e++)
                sum += load[e];
            x[at++] = sum / s->gpus / moe_regret_bound(r, load);
        }
        printf(" %14.4f", median(x, at));
    }
    printf("\n");
    moe_regret_free(r);
}

static void print_balance(const setup *s)
{
    printf("  balancedness by quota, median over %d layers x %d seeds, from "
           "the home placement\n  %-22s",
           s->layers, SEEDS, "");
    for (size_t k = 0; k < MOE_ARRAY_LEN(kinds); k++)
        printf(" %14s", kinds[k].name);
    printf("  moved slots\n");
    print_bound(s);
    for (int n = 0; n < N_ENTRANTS; n++) {
        static desk d;
        if (!open_desk(&d, s, &entrants[n])) {
            close_desk(&d);
            continue;
        }
        double moved = 0;
        printf("  %-22s", entrants[n].name);
        for (size_t k = 0; k < MOE_ARRAY_LEN(kinds); k++) {
            static double x[SEEDS * MAX_LAYERS], load[MAX_EXPERTS];
            size_t at = 0;
            for (int seed = 1; seed <= SEEDS; seed++)
                for (int l = 0; l < s->layers; l++) {
                    draw(&kinds[k], seed, l, s->experts, load);
                    make_plan(&d, load, &d.home, &d.next);
                    moved += changed_slots(&d.home, &d.next);
                    x[at++] = by_quota(&d.next, load);
                }
            printf(" %14.4f", median(x, at));
        }
        printf("  %.1f a layer\n", moved / (SEEDS * s->layers * 4));
        close_desk(&d);
    }
}

/* All layers of a model: plan and settle, each from the plan before. */
static void print_time(const setup *s)
{
    static bench_series all[N_ENTRANTS];
    printf("  all %d layers planned and settled, lognormal 1.0, CPU time of "
           "one core\n",
           s->layers);
    for (int n = 0; n < N_ENTRANTS; n++) {
        static desk d;
        static double load[MAX_LAYERS][MAX_EXPERTS];
        all[n].n = 0;
        const bool there = open_desk(&d, s, &entrants[n]);
        for (int i = 0; there && i < REPEATS; i++) {
            double time_s = 0;
            for (int l = 0; l < s->layers; l++)
                draw(&kinds[1], i + 1, l, s->experts, load[l]);
            const double start = bench_cpu();
            for (int l = 0; l < s->layers; l++)
                make_plan(&d, load[l], &d.home, &d.next);
            time_s = bench_cpu() - start;
            bench_add(&all[n], time_s);
        }
        if (there)
            bench_print(entrants[n].name, &all[n], 0, NULL);
        close_desk(&d);
    }
    if (s->eplb_limit_s > 0)
        bench_limit("eplb, slower policy",
                    1e3 * fmax(bench_summary(&all[HIER]).median,
                               bench_summary(&all[GLOBAL]).median),
                    1e3 * s->eplb_limit_s, "ms");
    bench_limit("balance", 1e3 * bench_summary(&all[OURS]).median,
                1e3 * s->own_limit_s, "ms");
    if (s->timed_limit_s > 0)
        bench_limit("timed", 1e3 * bench_summary(&all[TIMED]).median,
                    1e3 * s->timed_limit_s, "ms");
}

static void print_largest(void)
{
    const setup *s = &largest;
    static bench_series all;
    double load[MAX_EXPERTS];
    printf(" %s: a layer, %d experts, %d slots, lognormal 1.0; from home, and "
           "from a plan\n",
           s->name, s->experts, s->slots);
    for (int n = 0; n < N_ENTRANTS; n++)
        for (int again = 0; again < 2; again++) {
            static desk d;
            char name[80];
            const bool there = open_desk(&d, s, &entrants[n]);
            all.n = 0;
            for (int i = 0; there && i < 5; i++) {
                draw(&kinds[1], i + 1, 0, s->experts, load);
                make_plan(&d, load, &d.home, &d.next);
                draw(&kinds[1], i + 2, 0, s->experts, load);
                bench_add(&all, again ? make_plan(&d, load, &d.next, &d.later)
                                      : make_plan(&d, load, &d.home, &d.later));
            }
            snprintf(name, sizeof name, "%s%s, %.4f balanced, %d moved",
                     entrants[n].name, again ? ", from a plan" : "",
                     there ? by_quota(&d.later, load) : NAN,
                     there ? changed_slots(again ? &d.next : &d.home, &d.later)
                           : 0);
            if (there)
                bench_limit(name, 1e3 * bench_summary(&all).median,
                            1e3 * LARGEST_LIMIT_S, "ms");
            close_desk(&d);
        }
}

/* What is left of a plan when loads have drifted, and what noise moves. */
static void print_stale(const setup *s)
{
    printf("  lognormal 1.0, loads drifted by %g: balancedness, median over "
           "layers\n  %-22s %10s %10s %10s | %g noise: slots changed\n",
           DRIFT, "", "its quota", "minmax", "replanned", NOISE);
    for (int n = 0; n < N_ENTRANTS; n++) {
        static desk d;
        static double x[3][SEEDS * MAX_LAYERS];
        double load[MAX_EXPERTS], later[MAX_EXPERTS], noisy = 0;
        size_t at = 0;
        const bool there = open_desk(&d, s, &entrants[n]);
        for (int i = 0; there && i < SEEDS * s->layers; i++) {
            const int seed = 1 + i / s->layers, l = i % s->layers;
            draw(&kinds[1], seed, l, s->experts, load);
            make_plan(&d, load, &d.home, &d.next);
            drift(NOISE, seed, l, s->experts, load, later);
            make_plan(&d, later, &d.next, &d.later);
            noisy += changed_slots(&d.next, &d.later);
            drift(DRIFT, seed, l, s->experts, load, later);
            x[0][at] = by_quota(&d.next, later);
            x[1][at] = by_minmax(&d, &d.next, later);
            make_plan(&d, later, &d.next, &d.later);
            x[2][at++] = by_quota(&d.later, later);
        }
        if (there)
            printf("  %-22s %10.3f %10.3f %10.3f | %.2f %%\n", entrants[n].name,
                   median(x[0], at), median(x[1], at), median(x[2], at),
                   100 * noisy / (SEEDS * s->layers * s->slots));
        close_desk(&d);
    }
}

static void print_minmax(const setup *s)
{
    static desk d;
    static bench_series one;
    double load[MAX_EXPERTS], later[MAX_EXPERTS];
    one.n = 0;
    open_desk(&d, s, &entrants[OURS]);
    for (int l = 0; l < 31; l++) {
        draw(&kinds[1], 1, l, s->experts, load);
        drift(DRIFT, 1, l, s->experts, load, later);
        make_plan(&d, load, &d.home, &d.next);
        const double start = bench_cpu();
        by_minmax(&d, &d.next, later);
        bench_add(&one, bench_cpu() - start);
    }
    bench_print("split minmax, one layer, drifted", &one, 0, NULL);
    if (s->gpus == 32)
        bench_limit("split minmax", 1e6 * bench_summary(&one).median, 200,
                    "us");
    close_desk(&d);
}

/* What a run pays between iterations, on rank 0: the best plan known and the
 * bound, once for as many slots. */
static void print_regret(const setup *s)
{
    static bench_series all;
    static moe_regret *r;
    moe_error err = {0};
    double load[MAX_EXPERTS];
    const moe_planner_env env = {.layout = {s->gpus, s->per_node},
                                 .experts = s->experts,
                                 .slots = s->slots / s->gpus};
    r = moe_regret_new(&env, &err);
    must(err.status, &err);
    all.n = 0;
    for (int i = 0; i < REPEATS; i++) {
        double time_s = 0;
        for (int l = 0; l < s->layers; l++) {
            draw(&kinds[1], i + 1, l, s->experts, load);
            const double start = bench_cpu();
            moe_regret_best(r, load);
            moe_regret_bound(r, load);
            time_s += bench_cpu() - start;
        }
        bench_add(&all, time_s);
    }
    bench_print("regret: best plan and bound, all layers", &all, 0, NULL);
    moe_regret_free(r);
}

/* Seconds and steps of all layers, planned from home and from another plan. */
typedef struct {
    double s[BENCH_MAX], steps[BENCH_MAX];
    size_t n;
} work_series;

/* The clock takes long beside a small plan. @return steps of one. */
static double plan_often(desk *d, const double *load, const moe_plan *from,
                         moe_plan *to, double *time_s)
{
    moe_error err = {0};
    moe_plan_layer current = moe_plan_at(from, 0), next = moe_plan_at(to, 0);
    const moe_planner_task task = {.load = load,
                                   .past = d->n_past > 0 ? d->past.row : NULL,
                                   .n_past = d->n_past,
                                   .current = &current};
    double least_s = INFINITY;
    for (int turn = 0; turn < TURNS; turn++) {
        const double start = bench_cpu();
        for (int i = 0; i < AGAIN; i++) {
            must(d->planner->plan(d->state, &task, &next, &err), &err);
            moe_plan_layer_settle(&current, &next);
        }
        least_s = fmin(least_s, (bench_cpu() - start) / AGAIN);
    }
    *time_s += least_s;
    return (double)moe_planner_steps(d->planner, d->state);
}

static void add_work(work_series *w, desk *d, const setup *s, const kind *k,
                     int seed, bool window)
{
    static double load[MAX_LAYERS][MAX_EXPERTS];
    double time_s[2] = {0}, steps[2] = {0};
    for (int l = 0; l < s->layers; l++)
        draw(k, seed, l, s->experts, load[l]);
    for (int l = 0; l < s->layers; l++) {
        if (window)
            draw_past(s, seed, l, &d->past);
        d->n_past = window ? WINDOW : 0;
        steps[0] += plan_often(d, load[l], &d->home, &d->next, &time_s[0]);
        steps[1] += plan_often(d, load[(l + 1) % s->layers], &d->next,
                               &d->later, &time_s[1]);
    }
    for (int i = 0; i < 2 && w->n < BENCH_MAX; i++) {
        w->s[w->n] = time_s[i];
        w->steps[w->n++] = steps[i];
    }
}

enum { STEP_SETUPS = MOE_ARRAY_LEN(setups) + 1 };

static const setup *step_setup(size_t i)
{
    return i < MOE_ARRAY_LEN(setups) ? &setups[i] : &largest;
}

static bool within(double x, double least, double most)
{
    return x >= least && x <= most;
}

/* What one step takes: of all samples, and the median of each setup.
 * @param window   with past loads, of the second kind
 * @param timed    median of `timed`, on whose steps the price is based: how fast
 *  the machine is cancels out; 0: this is `timed`
 * @return the median. */
static double print_step(const entrant *n, bool window, double timed)
{
    static work_series w;
    static double each[BENCH_MAX];
    double of_setup[STEP_SETUPS];
    size_t first = 0;
    w.n = 0;
    for (size_t i = 0; i < STEP_SETUPS; i++) {
        static desk d;
        const bool there = open_desk(&d, step_setup(i), n);
        for (size_t k = 0; there && k < MOE_ARRAY_LEN(kinds); k++)
            for (int seed = 1; seed <= 3 && (!window || k == 1); seed++)
                add_work(&w, &d, step_setup(i), &kinds[k], seed, window);
        close_desk(&d);
        for (size_t x = first; x < w.n; x++)
            each[x] = w.s[x] / w.steps[x] / STEP_S;
        of_setup[i] = w.n > first ? median(each + first, w.n - first) : NAN;
        first = w.n;
    }
    moe_summary m = {0};
    moe_error err = {0};
    must(moe_summarise(each, w.n, 1, &m, &err), &err);
    const double beside = timed > 0 ? m.median / timed : 1;
    printf("  %-22s %8.2f %8.2f %8.2f",
           window ? "balance, 8 past loads" : n->name, m.median, m.min, m.max);
    for (size_t i = 0; i < STEP_SETUPS; i++)
        printf(" %8.2f", of_setup[i]);
    printf(" %8.2f %5zu  %s\n", beside, w.n,
           within(beside, 0.7, 1.4) && within(m.median, 0.5, 2) ? "ok"
                                                                : "MISSED");
    return m.median;
}

static void print_steps(void)
{
    printf(" time of a plan over its price, its steps times %g ns: all kinds "
           "of load and 3 seeds,\n   from home and from a plan; limits of the "
           "median: 0.5 to 2,\n   and beside that of timed 0.7 to 1.4\n  %-22s "
           "%8s %8s %8s",
           1e9 * STEP_S, "", "median", "least", "most");
    for (size_t i = 0; i < STEP_SETUPS; i++)
        printf(" %8s", step_setup(i)->brief);
    printf(" %8s %5s\n", "beside", "n");
    const double timed = print_step(&entrants[TIMED], false, 0);
    for (int n = 0; n < N_ENTRANTS; n++)
        if (n != TIMED)
            print_step(&entrants[n], false, timed);
    print_step(&entrants[OURS], true, timed);
}

static void print_setup(const setup *s)
{
    printf(" %s: %d layers, %d experts, %d slots on %d GPUs\n", s->name,
           s->layers, s->experts, s->slots, s->gpus);
    print_balance(s);
    print_time(s);
    print_stale(s);
    print_minmax(s);
    print_regret(s);
}

static bool is_wanted(int argc, char **argv, const char *part)
{
    return argc < 2 || strcmp(argv[1], part) == 0;
}

int main(int argc, char **argv)
{
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    bench_header(&ctx, "planners and splits");
    printf(
        "   DeepSeek's EPLB in Python (torch 1.13), on another EPYC: 207-217 "
        "ms hierarchical,\n   563-570 ms global for the first setup, "
        "4.8-5.0 ms for Mixtral; balancedness\n   (lognormal 1.0 / zipf "
        "1.2) .947 / .531, .995 / .981 and .967 / .969\n");
    /* All, or the part that is named. */
    for (size_t i = 0;
         is_wanted(argc, argv, "setups") && i < MOE_ARRAY_LEN(setups); i++)
        print_setup(&setups[i]);
    if (is_wanted(argc, argv, "largest"))
        print_largest();
    if (is_wanted(argc, argv, "steps"))
        print_steps();
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
