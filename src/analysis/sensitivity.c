/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/sensitivity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "moegps/layout.h"
#include "moegps/mem.h"
#include "moegps/replay.h"
#include "moegps/verdict.h"

static const double STEP = 2.0;  /* of a scan */
static const double SPAN = 64.0; /* of bandwidths, either way */
/* Of an expert, mean: counts of fewer, rounded, are none. */
static const double LEAST_PAIRS = 8;
static const double TOKENS = 4e6; /* of a batch, at most */
enum {
    PARTS = 8,     /* of a step, looked at where it ends at another winner */
    BISECTIONS = 7 /* of a part: a part in 1024 of a step */
};
static const double MOST_DRIFT = 0.5; /* of the lead, by a part of the run */

/* A way to go from the run. */
typedef struct direction {
    moe_replay *replay;
    const moe_view *view;
    size_t member; /* of moe_what_if that changes */
    int winner;    /* of the run */
} direction;

/* @return the fastest that can be built, under a question; -1. */
static int fastest(moe_replay *r, const moe_view *v, const moe_what_if *what)
{
    double time_s[MOE_MAX_STRATEGIES];
    for (int s = 0; s < v->dims.strategies; s++)
        time_s[s] = moe_contends(v, s, MOE_BUILDABLE)
                        ? moe_replay_layer_s(r, s, what)
                        : (double)NAN;
    return moe_least(time_s, v->dims.strategies);
}

static int winner_at(const direction *way, double factor)
{
    moe_what_if what = moe_what_if_init();
    *(double *)((char *)&what + way->member) = factor;
    return fastest(way->replay, way->view, &what);
}

/* Narrow a step, on which the winner changes, to its first part on which it
 * does: tiles and latencies make close strategies change places several times. */
static int first_part(const direction *way, double *same, double *next)
{
    const double part = pow(*next / *same, 1.0 / PARTS), end = *next;
    int other = way->winner;
    for (int i = 1; i <= PARTS && other == way->winner; i++) {
        *next = i < PARTS ? *same * part : end;
        other = winner_at(way, *next);
        if (other == way->winner)
            *same = *next;
    }
    return other;
}

/* Step away from the run until another is fastest, then bisect. Of several
 * turns it is the nearest, unless two hide within a step, or within a part of
 * the last one.
 * @param unit  value at factor 1 */
static moe_turn find_turn(const direction *way, double end, double unit)
{
    const double step = end > 1 ? STEP : 1 / STEP;
    moe_turn turn = {.at = NAN, .end = end * unit, .winner = way->winner};
    double same = 1;
    while (end > 1 ? same < end : same > end) {
        double next = same * step;
        next = end > 1 ? fmin(next, end) : fmax(next, end);
        int other = winner_at(way, next);
        if (other == way->winner) {
            same = next;
            continue;
        }
        other = first_part(way, &same, &next);
        for (int i = 0; i < BISECTIONS; i++) {
            const double middle = sqrt(same * next);
            const int here = winner_at(way, middle);
            if (here == way->winner) {
                same = middle;
            } else {
                next = middle;
                other = here;
            }
        }
        turn.at = next * unit;
        turn.winner = other;
        break;
    }
    return turn;
}

/* Median over pairs of how much longer the second takes: the batches that the
 * verdict's ratio is of. */
static double lead_of(const moe_sensitivity *o, const moe_view *v,
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
    o->lead_s = lead_of(o, v, err);
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
static bool is_undecided(const moe_sensitivity *o, const moe_view *v,
                         moe_replay *replay)
{
    const moe_what_if itself = moe_what_if_init();
    const double run = v->strategy[o->second].summary[MOE_CLOCK_GPU].median /
                       v->strategy[o->winner].summary[MOE_CLOCK_GPU].median;
    const double part = moe_replay_layer_s(replay, o->second, &itself) /
                        moe_replay_layer_s(replay, o->winner, &itself);
    return fastest(replay, v, &itself) != o->winner ||
           !(fabs(part - run) <= MOST_DRIFT * (run - 1));
}

static void find_turns(moe_sensitivity *o, direction *way)
{
    const double few = LEAST_PAIRS * (double)way->view->dims.experts /
                       way->view->top_k / o->tokens;
    way->member = offsetof(moe_what_if, tokens);
    o->fewer = find_turn(way, fmin(1, few), o->tokens);
    o->more = find_turn(way, fmax(1, TOKENS / o->tokens), o->tokens);
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
    direction way = {.replay = replay, .view = v, .winner = o->winner};
    o->sample_error = moe_replay_sample_error(replay);
    o->tokens = v->tokens;
    o->network = moe_layout_nodes(&layout) > 1;
    o->link_bandwidth = c->link_bandwidth;
    o->bandwidth = o->network ? c->network_bandwidth : c->link_bandwidth;
    if (o->second >= 0) {
        judge_error(o, v, replay, err);
        o->undecided = is_undecided(o, v, replay);
        if (!o->undecided)
            find_turns(o, &way);
    }
    find_all_stages(o, v, replay, (size_t)work->samples, err);
    o->known = err->status == MOE_OK;
    moe_replay_free(replay);
}

static const moe_turn nowhere = {NAN, NAN, -1};

static void start(moe_sensitivity *o, const moe_view *v, moe_error *err)
{
    const size_t n = (size_t)v->dims.strategies;
    *o = (moe_sensitivity){.analysed = true,
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
                                moe_error *err)
{
    moe_error local = {0};
    moe_work work = {0};
    start(o, v, &local);
    if (local.status == MOE_OK && moe_work_read(v, &work, &local) == MOE_OK)
        analyse(o, v, &work, &local);
    moe_work_fini(&work);
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
