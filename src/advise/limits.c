/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdlib.h>

#include "internal.h"

/* Where verdicts turn, by bisection between a value where the answer is yes
 * and one where it is no. Scans step by a factor, so that of several turns
 * the nearest is found; one that hides between two steps is not. */

static const moe_advise_case CASE = MOE_ADVISE_TYPICAL;

/* What a condition is asked about. */
typedef struct {
    moe_advise *base;
    moe_advise_params p;
    moe_advise_strategy winner;
    double rival_s; /* of distribution-only, which tokens must beat */
    bool network;
    double stride; /* of a scan over skewness, a factor */
    int steps;     /* of a bisection; fewer where a step is slow */
} search;

/* @return whether the answer at x is yes. */
typedef bool (*condition)(search *q, double x);

/* @param yes  where the answer is yes.  @param no  where it is not.
 *  @return the last value still yes. */
static double bisect(search *q, condition ask, double yes, double no,
                     bool ratio)
{
    for (int i = 0; i < q->steps; i++) {
        const double middle = ratio ? sqrt(yes * no) : 0.5 * (yes + no);
        if (ask(q, middle))
            yes = middle;
        else
            no = middle;
    }
    return yes;
}

static double token_s(search *q, double accuracy, double overhead_s)
{
    moe_advise_dials d = q->base->p.dials;
    d.accuracy = accuracy;
    d.overhead_s = overhead_s;
    if (!isnan(overhead_s))
        d.overhead_share = 0.0;
    else
        d.overhead_s = q->base->p.dials.overhead_s;
    return moe_advise_layer_s(q->base, &d, MOE_ADVISE_TOKEN, CASE);
}

static bool accurate_enough(search *q, double accuracy)
{
    return token_s(q, accuracy, NAN) < q->rival_s;
}

static bool cheap_enough(search *q, double overhead_s)
{
    return token_s(q, q->base->p.dials.accuracy, overhead_s) < q->rival_s;
}

static double find_accuracy(search *q)
{
    if (!accurate_enough(q, 1.0))
        return NAN;
    return accurate_enough(q, 0.0)
               ? 0.0
               : bisect(q, accurate_enough, 1.0, 0.0, false);
}

static double find_overhead(search *q)
{
    if (!cheap_enough(q, 0.0))
        return NAN;
    double high = q->rival_s;
    while (cheap_enough(q, high))
        high *= 2;
    return bisect(q, cheap_enough, 0.0, high, false);
}

static bool same_winner_at_bandwidth(search *q, double bandwidth)
{
    const moe_cluster *c = q->base->p.cluster;
    moe_advise_set_links(q->base, q->network ? c->link_bandwidth : bandwidth,
                         q->network ? bandwidth : c->network_bandwidth);
    return moe_advise_winner(q->base, NULL, CASE) == q->winner;
}

/* @return advice for other params, planned again; NULL when that fails. */
static moe_advise *plan_anew(const search *q, const moe_advise_params *p)
{
    moe_advise *a = NULL;
    if (moe_advise_new_forecast(q->base, p, &a, NULL) == MOE_OK)
        a->quick = q->base->quick;
    return a;
}

static bool same_winner_at_skew(search *q, double skew)
{
    moe_advise_params p = q->p;
    p.skew = skew;
    moe_advise *a = plan_anew(q, &p);
    const bool same =
        a == NULL || moe_advise_winner(a, NULL, CASE) == q->winner;
    moe_advise_free(a);
    return same;
}

/* Step away from `from` until the winner is another, then bisect. */
static double find_turn(search *q, condition same, double from, double factor,
                        double end)
{
    double last = from;
    while (factor > 1 ? last < end : last > end) {
        double next = last * factor;
        next = factor > 1 ? fmin(next, end) : fmax(next, end);
        if (!same(q, next))
            return bisect(q, same, last, next, true);
        last = next;
    }
    return NAN;
}

static void find_bandwidth(search *q, moe_advise_limits *out)
{
    static const double STEP = 2.0, SPAN = 256.0;
    const moe_cluster *c = q->base->p.cluster;
    q->network = moe_layout_nodes(&q->base->layout) > 1;
    out->network = q->network;
    const double now = q->network ? c->network_bandwidth : c->link_bandwidth;
    out->bandwidth_low =
        find_turn(q, same_winner_at_bandwidth, now, 1 / STEP, now / SPAN);
    out->bandwidth_high =
        find_turn(q, same_winner_at_bandwidth, now, STEP, now * SPAN);
    moe_advise_set_links(q->base, c->link_bandwidth, c->network_bandwidth);
}

static void find_skew(search *q, moe_advise_limits *out)
{
    const moe_advise_params *p = &q->base->p;
    const moe_model *m = p->model;
    const double most = p->bottleneck ? p->gpus : (double)m->experts / m->top_k;
    q->p = *p;
    out->skew_low =
        find_turn(q, same_winner_at_skew, p->skew, 1 / q->stride, 1.0);
    out->skew_high =
        find_turn(q, same_winner_at_skew, p->skew, q->stride, most);
}

static bool amortised(search *q, double every)
{
    moe_advise_dials d = q->base->p.dials;
    d.rebalance_every = (int)every;
    return moe_advise_layer_s(q->base, &d, MOE_ADVISE_TOKEN, CASE) <
           moe_advise_layer_s(q->base, &d, MOE_ADVISE_BASELINE, CASE);
}

/* Smallest whole number from which on, at every doubling up to 2^most, the
 * answer is yes; NaN if it is no at the end. Few tokens may say yes by chance. */
static double find_from(search *q, condition ask, int most)
{
    double high = exp2(most);
    if (!ask(q, high))
        return NAN;
    while (high > 1 && ask(q, high / 2))
        high /= 2;
    double low = high / 2; /* no there, or below 1 */
    while (high - low > 1 && low >= 1) {
        const double middle = floor(0.5 * (low + high));
        if (ask(q, middle))
            high = middle;
        else
            low = middle;
    }
    return high;
}

static bool pays_at_tokens(search *q, double tokens)
{
    moe_advise_params p = q->p;
    p.tokens = tokens;
    if (p.serving.phase == MOE_SERVE_DECODE) {
        p.batch = (int)tokens;
        p.tokens = 0;
    }
    moe_advise *a = plan_anew(q, &p);
    const bool pays =
        a != NULL &&
        moe_advise_layer_s(a, NULL, MOE_ADVISE_DISTRIBUTION, CASE) <
            moe_advise_layer_s(a, NULL, MOE_ADVISE_BASELINE, CASE);
    moe_advise_free(a);
    return pays;
}

/* Beyond a few GPUs a price of all of them for each condition would take
 * seconds: then some samples and the GPUs that stand out must do. */
static moe_advise few_of(const moe_advise *a)
{
    moe_advise few = *a;
    few.quick = a->p.gpus > 16;
    const int most = a->p.trace == NULL ? 3 : 8;
    if (few.quick && few.samples > most)
        few.samples = most;
    if (a->p.gpus > 64)
        few.samples = 1;
    const int period = moe_advise_period(a);
    few.samples = (few.samples + period - 1) / period * period;
    few.p.samples = few.samples;
    return few;
}

static const moe_advise_limits nothing = {.accuracy = NAN,
                                          .overhead_s = NAN,
                                          .bandwidth_low = NAN,
                                          .bandwidth_high = NAN,
                                          .skew_low = NAN,
                                          .skew_high = NAN,
                                          .rebalance = NAN,
                                          .tokens = NAN};

void moe_advise_find_limits(moe_advise *a, const moe_advice *advice,
                            moe_advise_limits *out)
{
    *out = nothing;
    if (a->p.no_limits)
        return;
    moe_advise few = few_of(a);
    search q = {.base = &few,
                .winner = few.quick ? moe_advise_winner(&few, NULL, CASE)
                                    : advice->winner[CASE],

                .stride = few.quick ? 2.0 : 1.25,
                .steps = few.quick ? 8 : 20};
    q.rival_s = moe_advise_layer_s(&few, NULL, MOE_ADVISE_DISTRIBUTION, CASE);
    out->accuracy = find_accuracy(&q);
    out->overhead_s = find_overhead(&q);
    /* Measured exchanges are of their own links. */
    if (a->p.serving.kernel == MOE_SERVE_NCCL)
        find_bandwidth(&q, out);
    out->rebalance = NAN; /* a trace is walked with one interval */
    if (a->p.trace != NULL)
        return;
    out->rebalance = find_from(&q, amortised, 24);
    q.steps = few.quick ? 5 : 20; /* each needs a plan */
    find_skew(&q, out);
    q.p.skew = a->p.skew;
    const double most = moe_serving_most_tokens(a->serving) * a->p.gpus;
    const int octaves = (int)fmin(20, floor(log2(most)));
    out->tokens_most = exp2(octaves);
    out->tokens = find_from(&q, pays_at_tokens, octaves);
}
