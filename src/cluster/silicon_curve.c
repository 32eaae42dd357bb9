/* SPDX-License-Identifier: Apache-2.0 */

/* Curves of fused MoE kernels: a physical model times an interpolated ratio.
 * The model's parameters come from the tables file; tools/convert_silicon.py
 * fits them with the same formula. */

#include <math.h>

#include "silicon_internal.h"

/* Parameters of the model: us of a launch, B/us, FLOP/us, us per element of
 * the rows passed on, us per expert, rows that an expert's tiles waste. */
enum { LAUNCH, BANDWIDTH, RATE, ROW, EXPERT, PAD };

/* Runs of skewed loads drew their loads at random: with less than this many
 * pairs per expert, which experts are active is luck, and the model's count
 * of them misleads. Found on the power_law tables of all stacks. */
static const double MIN_SKEWED_ROWS = 4;

/* Guesses of errors, see silicon_error.c. Of a measured point. */
static const double REPEAT_ERROR = 0.01;
/* Of a point in between, over what its neighbours were missed by when each was
 * left out: their own neighbours lie twice as far. */
static const double GAP_FACTOR = 0.5;
/* Growth per octave beyond the last token count. */
static const double OCTAVE_ERROR = 0.05;

/* Of the data sheet's memory bandwidth, what kernels reach at best. With it,
 * 12,771 measured rows of an H200 were priced from an H100's with a median error
 * of 3.4 %, by a fitted bandwidth with 22 %; those rows are not part of this. */
static const double REACHED = 0.9;

double moe_silicon_smooth_max(double a, double b)
{
    double a2 = a * a, b2 = b * b;
    return sqrt(sqrt(a2 * a2 + b2 * b2));
}

/* Experts with pairs on the GPU. Balanced loads go round the experts; others
 * are taken as drawn uniformly. */
static double active_experts(const moe_curve *c, double pairs)
{
    const double local = c->experts / c->ep;
    if (c->balanced)
        return fmax(fmin(local, pairs), fmin(1, local));
    return fmax(-local * expm1(-pairs / local), fmin(c->top_k, local));
}

double moe_curve_model(const moe_curve *c, double tokens, bool target)
{
    const double *p = c->parameters;
    const double pairs = tokens * c->top_k / c->ep;
    const double active = active_experts(c, pairs), rows = pairs / active;
    const double weights =
        c->hidden * c->inter * (target ? c->target_matrices : c->matrices);
    const double memory_us = weights * c->weight_bytes / p[BANDWIDTH];
    const double compute_us = 2 * weights * (rows + p[PAD]) / p[RATE];
    const double elements = tokens * c->top_k * (2 * c->hidden + 3 * c->inter);
    return p[LAUNCH] + p[EXPERT] * active + p[ROW] * elements +
           active * moe_silicon_smooth_max(memory_us, compute_us);
}

double moe_silicon_traffic(double time_us, double bytes, double by,
                           double sheet, double bandwidth)
{
    const double least_us = 1e6 * bytes / (REACHED * sheet);
    const double f = fmin(1, least_us / time_us);
    return 1 - f + f * by / bandwidth;
}

/* us of the target, from us of what was measured. Rows are of two bytes an
 * element; each is read, and written, by both products. */
static double changed_us(const moe_curve *c, double tokens, double us)
{
    const double pairs = tokens * c->top_k / c->ep;
    const double weights =
        active_experts(c, pairs) * c->hidden * c->inter * c->target_matrices;
    const double rows = 2 * pairs * (2 * c->hidden + 3 * c->inter);
    const double bytes = weights * c->weight_bytes + rows;
    us *= moe_curve_model(c, tokens, true) / moe_curve_model(c, tokens, false);
    return us * moe_silicon_traffic(us, bytes,
                                    (weights * c->target_bytes + rows) / bytes,
                                    c->sheet, c->bandwidth);
}

static double rows_per_expert(const moe_curve *c, double tokens)
{
    return tokens * c->top_k / c->experts;
}

void moe_curve_add(moe_curve *c, double tokens, double residual, bool slow)
{
    const size_t i = c->n++;
    c->slow[i] = slow;
    c->tokens[i] = tokens;
    c->log_x[i] = log(tokens);
    c->log_fit[i] = log(moe_curve_model(c, tokens, false));
    c->residual[i] = residual;
    c->error[i] = 0;
}

/* Log of the measured GPU's time: model plus interpolated ratio; beyond the
 * points the ratio stays. */
static double log_time(const moe_curve *c, double tokens)
{
    double x = log(tokens), w;
    size_t i;
    moe_silicon_bracket(c->log_x, c->n, x, &i, &w);
    const size_t j = c->n > 1 ? i + 1 : i;
    bool inside = x >= c->log_x[0] && x <= c->log_x[c->n - 1];
    double r = c->residual[i] + w * (c->residual[j] - c->residual[i]);
    if (inside && !c->balanced &&
        rows_per_expert(c, c->tokens[i]) < MIN_SKEWED_ROWS)
        return r + c->log_fit[i] + w * (c->log_fit[j] - c->log_fit[i]);
    return r + log(moe_curve_model(c, tokens, false));
}

moe_curve moe_curve_without(const moe_curve *curve, size_t point)
{
    moe_curve c = *curve;
    c.n--;
    for (size_t i = point; i < c.n; i++) {
        c.tokens[i] = c.tokens[i + 1];
        c.log_x[i] = c.log_x[i + 1];
        c.log_fit[i] = c.log_fit[i + 1];
        c.residual[i] = c.residual[i + 1];
        c.error[i] = c.error[i + 1];
        c.slow[i] = c.slow[i + 1];
    }
    return c;
}

/* What each point would have been priced without it. The ends have no
 * neighbour on one side and take over the error of the next point. */
void moe_curve_leave_out(moe_curve *c)
{
    for (size_t i = 1; i + 1 < c->n; i++) {
        const moe_curve rest = moe_curve_without(c, i);
        double truth = c->log_fit[i] + c->residual[i];
        c->error[i] = fabs(expm1(log_time(&rest, c->tokens[i]) - truth));
    }
    if (c->n > 2) {
        c->error[0] = c->error[1];
        c->error[c->n - 1] = c->error[c->n - 2];
    }
}

static double mean_error(const moe_curve *c, size_t from, size_t to)
{
    double sum = 0;
    for (size_t i = from; i <= to; i++)
        sum += c->error[i];
    return sum / (double)(to - from + 1);
}

moe_price moe_curve_price(const moe_curve *c, double tokens)
{
    moe_price_source source = MOE_PRICE_INTERPOLATED;
    const size_t last = c->n - 1;
    double us = exp(log_time(c, tokens)), w;
    size_t i;
    if (c->changed)
        us = changed_us(c, tokens, us);
    moe_silicon_bracket(c->tokens, c->n, tokens, &i, &w);
    const size_t from = i > 0 ? i - 1 : 0, to = i + 2 < last ? i + 2 : last;
    double guess = REPEAT_ERROR;
    double beyond =
        fmax(log2(tokens / c->tokens[last]), log2(c->tokens[0] / tokens));
    if (w == 0 || w == 1)
        source = MOE_PRICE_TABULATED;
    else
        guess += GAP_FACTOR * mean_error(c, from, to);
    if (beyond > 0)
        guess = REPEAT_ERROR + mean_error(c, from, to) + OCTAVE_ERROR * beyond;
    if (beyond > 0 || !c->measured)
        source = MOE_PRICE_EXTRAPOLATED;
    if (c->measured && ((w < 1 && c->slow[i]) || (w > 0 && c->slow[i + 1])))
        source = MOE_PRICE_SLOW_KERNEL;
    if (c->changed && source != MOE_PRICE_SLOW_KERNEL)
        source = MOE_PRICE_SCALED;
    if (c->changed)
        guess += moe_silicon_scaled_guess(c->target_bytes * c->target_matrices /
                                              (c->weight_bytes * c->matrices),
                                          c->bandwidth);
    guess += c->spread;
    return moe_silicon_price(MOE_SILICON_FFN, us * 1e-6, source, guess);
}

double moe_curve_launch(const moe_curve *c)
{
    /* The fit may put more into the launch than a small kernel takes. */
    double least = exp(log_time(c, c->tokens[0]));
    return 1e-6 * fmin(c->parameters[LAUNCH], 0.5 * least);
}
