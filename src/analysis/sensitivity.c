/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/sensitivity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/layout.h"
#include "moegps/mem.h"
#include "moegps/replay.h"
#include "moegps/stats.h"
#include "moegps/verdict.h"

static const double STEP = 2.0;  /* of a scan */
static const double SPAN = 64.0; /* of bandwidths, either way */
/* Of an expert, mean: counts of fewer, rounded, are none. */
static const double LEAST_PAIRS = 8;
static const double TOKENS = 4e6; /* of a batch, at most */
/* Of times: tiles and latencies make closer strategies change places back and
 * forth. */
static const double CLEAR = 0.01;
enum {
    PARTS = 8,     /* of a step, looked at on both sides of a turn */
    BISECTIONS = 5 /* of a part: a part in 256 of a step */
};
static const double MOST_DRIFT = 0.5; /* of the lead, by a part of the run */

/* A way to go from the run. */
typedef struct direction {
    moe_replay *replay;
    const moe_view *view;
    size_t n;      /* samples */
    size_t member; /* of moe_what_if that changes */
    bool anew;     /* a run there would plan anew: medians alone are no claim */
    int winner;    /* of the run */
    double *time_s;  /* [strategies][n] at a place */
    double *scratch; /* [n] */
} direction;

/* By how much a strategy is ahead of the run's winner, of its time: by the
 * ratio of medians, and by pairs, 95 %. */
typedef struct ahead_by {
    double low, median, high;
} ahead_by;

static double median_of(const direction *way, int s)
{
    memcpy(way->scratch, way->time_s + (size_t)s * way->n,
           way->n * sizeof *way->scratch);
    return moe_median_sorting(way->scratch, way->n);
}

static ahead_by lead_of(const direction *way, int s)
{
    const double *of = way->time_s + (size_t)s * way->n;
    const double *winner = way->time_s + (size_t)way->winner * way->n;
    const double x = median_of(way, way->winner) / median_of(way, s) - 1;
    size_t low, high;
    if (!way->anew)
        return (ahead_by){x, x, x};
    if (way->n < MOE_STATS_MIN_WORTH)
        return (ahead_by){-INFINITY, x, INFINITY};
    for (size_t i = 0; i < way->n; i++)
        way->scratch[i] = winner[i] / of[i] - 1;
    moe_median_sorting(way->scratch, way->n);
    moe_median_ci_ranks(way->n, &low, &high);
    return (ahead_by){fmin(x, way->scratch[low]), x,
                      fmax(x, way->scratch[high])};
}

/* What is known of a place. */
typedef struct place {
    int ahead; /* who is clearly ahead of the run's winner, most of all; -1 */
    bool safe; /* nobody is, for sure */
} place;

static bool contends(const direction *way, int s)
{
    return moe_contends(way->view, s, MOE_BUILDABLE) &&
           !isnan(way->view->strategy[s].summary[MOE_CLOCK_GPU].median);
}

static void price(const direction *way, const moe_what_if *what)
{
    for (int s = 0; s < way->view->dims.strategies; s++)
        if (contends(way, s))
            moe_replay_samples_s(way->replay, s, what,
                                 way->time_s + (size_t)s * way->n);
}

static place look(const direction *way, double factor)
{
    moe_what_if what = moe_what_if_init();
    place at = {-1, true};
    double most = 0;
    *(double *)((char *)&what + way->member) = factor;
    price(way, &what);
    for (int s = 0; s < way->view->dims.strategies; s++) {
        if (s == way->winner || !contends(way, s))
            continue;
        const ahead_by x = lead_of(way, s);
        at.safe = at.safe && x.high < CLEAR;
        if (x.low > 0 && x.median >= CLEAR && x.median > most) {
            most = x.median;
            at.ahead = s;
        }
    }
    return at;
}

/* @return the next place of a way, not beyond its end. */
static double go_on(double from, double step, double end)
{
    return step > 1 ? fmin(from * step, end) : fmax(from * step, end);
}

/* Step away as long as nobody is ahead for sure, then bisect the last step.
 * @return the last such place; NaN: the run itself is none. */
static double safe_until(const direction *way, double step, double end)
{
    double safe = 1, other = 1;
    if (!look(way, 1).safe)
        return NAN;
    for (bool is_safe = true; is_safe && safe != end;) {
        other = go_on(safe, step, end);
        is_safe = look(way, other).safe;
        safe = is_safe ? other : safe;
    }
    for (int i = 0; i < BISECTIONS && safe != end; i++) {
        const double middle = sqrt(safe * other);
        if (look(way, middle).safe)
            safe = middle;
        else
            other = middle;
    }
    return safe;
}

/* Go back from a place where another is ahead, part by part, as long as one
 * is; then bisect the part on which that ends.
 * @param ahead  who is there
 * @param far    in: that place; out: the first of those where one is ahead
 * @return who is ahead there */
static int back_to_turn(const direction *way, double near, int ahead,
                        double *far)
{
    const double part = pow(*far / near, 1.0 / PARTS);
    for (int i = 1; i < PARTS; i++) {
        const int here = look(way, *far / part).ahead;
        if (here < 0) {
            near = *far / part;
            break;
        }
        *far /= part;
        ahead = here;
    }
    for (int i = 0; i < BISECTIONS; i++) {
        const double middle = sqrt(near * *far);
        const int here = look(way, middle).ahead;
        if (here < 0) {
            near = middle;
        } else {
            *far = middle;
            ahead = here;
        }
    }
    return ahead;
}

/* @return how far a strategy stays ahead at all: by parts at first, then by
 * steps. */
static double stays_until(const direction *way, int ahead, double from,
                          double step, double end)
{
    const double part = pow(step, 1.0 / PARTS);
    for (int i = 0; from != end; i++) {
        const double next = go_on(from, i < PARTS ? part : step, end);
        look(way, next);
        if (!(lead_of(way, ahead).median > 0))
            break;
        from = next;
    }
    return from;
}

/* @param unit  value at factor 1 */
static moe_turn find_turn(const direction *way, double end, double unit)
{
    const double step = end > 1 ? STEP : 1 / STEP;
    moe_turn turn = {.safe = safe_until(way, step, end) * unit,
                     .at = NAN,
                     .until = NAN,
                     .end = end * unit,
                     .winner = way->winner};
    double near = 1, far = 1;
    int ahead = -1;
    while (far != end && ahead < 0) {
        near = far;
        far = go_on(near, step, end);
        ahead = look(way, far).ahead;
    }
    if (ahead < 0)
        return turn;
    turn.winner = back_to_turn(way, near, ahead, &far);
    turn.at = far * unit;
    turn.until = stays_until(way, turn.winner, far, step, end) * unit;
    return turn;
}

/* Median over pairs of how much longer the second takes: the batches that the
 * verdict's ratio is of. */
static double lead_of_pairs(const moe_sensitivity *o, const moe_view *v,
                            moe_error *err)
{
    const size_t n = (size_t)v->dims.iterations;
    moe_summary lead = {.median = NAN};
    double *x = moe_array_new(2 * n, sizeof *x, err);
    if (x == NULL)
        return NAN;
    moe_view_samples(v, o->second, MOE_CLOCK_GPU, x);
    moe_view_samples(v, o->winner, MOE_CLOCK_GPU, x + n);
    for (size_t i = 0; i < n; i++)
        x[i] -= x[n + i];
    moe_summarise(x, n, v->passes, &lead, err);
    free(x);
    return lead.median;
}

/* Prices are wrong by phases, whose medians need not add up to the lead: their
 * interval is put about it. */
static void put_about_lead(moe_sensitivity *o, const double *slow_s,
                           const double *fast_s)
{
    double by_phases_s = 0;
    for (int p = 0; p < MOE_N_PHASES; p++) {
        const double gap_s = slow_s[p] - fast_s[p];
        by_phases_s += isnan(gap_s) ? 0 : gap_s;
    }
    o->lead.low_s += o->lead_s - by_phases_s;
    o->lead.high_s += o->lead_s - by_phases_s;
}

static void judge_error(moe_sensitivity *o, const moe_view *v,
                        const moe_replay *replay, moe_error *err)
{
    const moe_strategy_view *a = &v->strategy[o->winner];
    const moe_strategy_view *b = &v->strategy[o->second];
    o->lead_s = lead_of_pairs(o, v, err);
    o->error =
        (moe_replay_error_s(replay, o->winner) +
         moe_replay_error_s(replay, o->second)) /
        (a->summary[MOE_CLOCK_GPU].median + b->summary[MOE_CLOCK_GPU].median);
    o->lead =
        moe_price_lead_of(b->phase[MOE_CLOCK_GPU], a->phase[MOE_CLOCK_GPU],
                          MOE_N_PHASES, o->error);
    put_about_lead(o, b->phase[MOE_CLOCK_GPU], a->phase[MOE_CLOCK_GPU]);
}

/* A part of the run, and a close race: may it stand for the whole? */
static bool is_undecided(const moe_sensitivity *o, const direction *way)
{
    const moe_what_if itself = moe_what_if_init();
    const moe_strategy_view *of = way->view->strategy;
    const double run = of[o->second].summary[MOE_CLOCK_GPU].median /
                       of[o->winner].summary[MOE_CLOCK_GPU].median;
    price(way, &itself);
    const double winner_s = median_of(way, o->winner);
    const double part = median_of(way, o->second) / winner_s;
    for (int s = 0; s < way->view->dims.strategies; s++)
        if (contends(way, s) && median_of(way, s) < winner_s)
            return true;
    return !(fabs(part - run) <= MOST_DRIFT * (run - 1));
}

static void find_turns(moe_sensitivity *o, direction *way)
{
    const double few = LEAST_PAIRS * (double)way->view->dims.experts /
                       way->view->top_k / o->tokens;
    way->member = offsetof(moe_what_if, tokens);
    way->anew = true;
    o->fewer = find_turn(way, fmin(1, few), o->tokens);
    o->more = find_turn(way, fmax(1, TOKENS / o->tokens), o->tokens);
    way->anew = false;
    way->member = o->network ? offsetof(moe_what_if, network)
                             : offsetof(moe_what_if, link);
    o->slower = find_turn(way, 1 / SPAN, o->bandwidth);
    o->faster = find_turn(way, SPAN, o->bandwidth);
}

const char *moe_perfect_name(moe_perfect stage)
{
    static const char *const names[MOE_N_PERFECTS] = {
        "none", "split", "prediction", "planner", "room", "exchange"};
    return names[stage];
}

/* Ask for all stages of a strategy. The first are the levels of the busiest
 * GPU. @param x  [2][n] scratch */
static void find_stages(moe_sensitivity *o, moe_replay *replay, int s,
                        double *x, size_t n, moe_error *err)
{
    double *first = x, *last = x + n;
    for (int k = 0; k < MOE_N_PERFECTS; k++) {
        moe_what_if what = moe_what_if_init();
        double *mean_s = &o->stage_s[s * MOE_N_PERFECTS + k];
        what.placed = k == MOE_PERFECT_EXCHANGE;
        what.level = what.placed ? MOE_LEVEL_BOUND : (moe_level)k;
        moe_replay_samples_s(replay, s, &what, k == 0 ? first : last);
        *mean_s = 0;
        for (size_t i = 0; i < n; i++)
            *mean_s += (k == 0 ? first : last)[i] / (double)n;
    }
    for (size_t i = 0; i < n; i++)
        last[i] = 1 - last[i] / first[i];
    moe_summarise(last, n, 1, &o->joint_share[s], err);
}

static void find_all_stages(moe_sensitivity *o, const moe_view *v,
                            moe_replay *replay, size_t n, moe_error *err)
{
    double *x = moe_array_new(2 * n, sizeof *x, err);
    for (int s = 0; s < v->dims.strategies && err->status == MOE_OK; s++)
        if (v->strategy[s].bound.n > 0)
            find_stages(o, replay, s, x, n, err);
    free(x);
}

static void analyse(moe_sensitivity *o, const moe_view *v, const moe_work *work,
                    moe_error *err)
{
    moe_replay *replay = NULL;
    if (moe_replay_new(v, work, &replay, err) != MOE_OK)
        return;
    const moe_cluster *c = moe_replay_cluster(replay);
    const moe_layout layout = {v->dims.gpus, work->gpus_per_node};
    direction way = {.replay = replay,
                     .view = v,
                     .winner = o->winner,
                     .n = (size_t)work->samples};
    way.scratch = moe_array_new(way.n, sizeof *way.scratch, err);
    way.time_s = moe_array_new((size_t)v->dims.strategies * way.n,
                               sizeof *way.time_s, err);
    o->sample_error = moe_replay_sample_error(replay);
    o->tokens = v->tokens;
    o->network = moe_layout_nodes(&layout) > 1;
    o->link_bandwidth = c->link_bandwidth;
    o->bandwidth = o->network ? c->network_bandwidth : c->link_bandwidth;
    if (o->second >= 0 && err->status == MOE_OK) {
        judge_error(o, v, replay, err);
        o->undecided = is_undecided(o, &way);
        if (!o->undecided)
            find_turns(o, &way);
    }
    find_all_stages(o, v, replay, (size_t)work->samples, err);
    o->known = err->status == MOE_OK;
    free(way.scratch);
    free(way.time_s);
    moe_replay_free(replay);
}

static const moe_turn nowhere = {NAN, NAN, NAN, NAN, -1};

static void start(moe_sensitivity *o, const moe_view *v, moe_error *err)
{
    const size_t n = (size_t)v->dims.strategies;
    *o = (moe_sensitivity){.analysed = true,
                           .clear = CLEAR,
                           .lead_s = NAN,
                           .error = NAN,
                           .lead = {NAN, NAN, NAN},
                           .fewer = nowhere,
                           .more = nowhere,
                           .slower = nowhere,
                           .faster = nowhere};
    o->winner = moe_fastest(v, MOE_CLOCK_GPU, MOE_BUILDABLE, -1);
    o->second = o->winner < 0
                    ? -1
                    : moe_fastest(v, MOE_CLOCK_GPU, MOE_BUILDABLE, o->winner);
    o->stage_s = moe_array_new(n * MOE_N_PERFECTS, sizeof *o->stage_s, err);
    o->joint_share = moe_array_new(n, sizeof *o->joint_share, err);
    for (size_t j = 0; o->stage_s != NULL && j < n * MOE_N_PERFECTS; j++)
        o->stage_s[j] = NAN;
}

moe_status moe_sensitivity_init(moe_sensitivity *o, const moe_view *v,
                                const moe_work *work, moe_error *err)
{
    moe_error local = {0};
    moe_work read = {0};
    start(o, v, &local);
    if (local.status == MOE_OK && work == NULL)
        moe_work_read(v, &read, &local);
    if (local.status == MOE_OK)
        analyse(o, v, work != NULL ? work : &read, &local);
    moe_work_fini(&read);
    if (local.status == MOE_OK)
        return MOE_OK;
    snprintf(o->why_not, sizeof o->why_not, "%s", local.text);
    if (local.status != MOE_NOMEM)
        return MOE_OK;
    moe_sensitivity_fini(o);
    return moe_pass(err, &local);
}

void moe_sensitivity_fini(moe_sensitivity *o)
{
    free(o->joint_share);
    free(o->stage_s);
    *o = (moe_sensitivity){0};
}
