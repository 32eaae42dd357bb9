/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "moegps/stats.h"
#include "silicon_internal.h"

/* The physical model of a fused MoE kernel, fitted to its measurements: least
 * sum of squares of log(model / measured) by Levenberg-Marquardt, with a weak
 * pull to usual values, so that few rows still give a kernel.
 * tools/convert_silicon.py fits the bundled ones. */

enum { N = MOE_FFN_PARAMETERS, STEPS = 60 };

/* First guess and limits, as there: us, B/us, FLOP/us, us per element, us,
 * rows. */
static const double start[N] = {20, 1e6, 3e8, 1e-6, 1e-1, 8},
                    low[N] = {1, 1e5, 1e7, 1e-9, 1e-3, .5},
                    high[N] = {300, 1e7, 3e9, 1e-2, 50, 256};
static const double PULL = 0.02;

static double residual(const moe_ffn_point *p, const double *theta)
{
    moe_curve c = {.weight_bytes = p->weight_bytes,
                   .matrices = 3,
                   .hidden = p->key.hidden,
                   .inter = p->key.inter,
                   .top_k = p->key.top_k,
                   .experts = p->key.experts,
                   .ep = p->key.ep,
                   .balanced = strcmp(p->key.distribution, "balanced") == 0};
    for (int i = 0; i < N; i++)
        c.parameters[i] = exp(theta[i]);
    return log(moe_curve_model(&c, p->tokens, false) / p->time_us);
}

static double cost_of(const moe_ffn_point *p, size_t n, const double *theta)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double r = residual(&p[i], theta);
        sum += r * r;
    }
    for (int i = 0; i < N; i++)
        sum += PULL * pow(theta[i] - log(start[i]), 2);
    return sum;
}

/* Sums of J^T J and J^T r, and of the pull. */
static void normal(const moe_ffn_point *p, size_t n, const double *theta,
                   double h[N][N], double g[N])
{
    memset(h, 0, sizeof(double[N][N]));
    for (int i = 0; i < N; i++) {
        h[i][i] = PULL;
        g[i] = PULL * (theta[i] - log(start[i]));
    }
    for (size_t k = 0; k < n; k++) {
        double j[N], moved[N];
        const double r = residual(&p[k], theta), step = 1e-4;
        for (int i = 0; i < N; i++) {
            memcpy(moved, theta, sizeof moved);
            moved[i] += step;
            j[i] = (residual(&p[k], moved) - r) / step;
        }
        for (int a = 0; a < N; a++) {
            g[a] += j[a] * r;
            for (int b = 0; b < N; b++)
                h[a][b] += j[a] * j[b];
        }
    }
}

/* Solve (H + damp diag H) x = -g: Cholesky, as H is positive definite. */
static void solve(double h[N][N], const double *g, double damp, double *x)
{
    double l[N][N] = {{0}};
    for (int i = 0; i < N; i++)
        for (int j = 0; j <= i; j++) {
            double sum = h[i][j] * (i == j ? 1 + damp : 1);
            for (int k = 0; k < j; k++)
                sum -= l[i][k] * l[j][k];
            l[i][j] = i == j ? sqrt(fmax(sum, 1e-12)) : sum / l[j][j];
        }
    for (int i = 0; i < N; i++) {
        x[i] = -g[i];
        for (int k = 0; k < i; k++)
            x[i] -= l[i][k] * x[k];
        x[i] /= l[i][i];
    }
    for (int i = N - 1; i >= 0; i--) {
        for (int k = i + 1; k < N; k++)
            x[i] -= l[k][i] * x[k];
        x[i] /= l[i][i];
    }
}

/* One step that lowers the sum. @return false: there is none. */
static bool improve(const moe_ffn_point *p, size_t n, double *theta,
                    double *damp)
{
    double h[N][N], g[N], move[N], trial[N];
    const double before = cost_of(p, n, theta);
    normal(p, n, theta, h, g);
    for (; *damp < 1e8; *damp *= 4) {
        solve(h, g, *damp, move);
        for (int i = 0; i < N; i++)
            trial[i] =
                fmin(fmax(theta[i] + move[i], log(low[i])), log(high[i]));
        if (cost_of(p, n, trial) < before) {
            memcpy(theta, trial, sizeof trial);
            *damp *= 0.4;
            return true;
        }
    }
    return false;
}

void moe_silicon_fit_ffn(const moe_ffn_point *point, size_t n,
                         double *parameters_out, double *error_out)
{
    double theta[N], damp = 1e-2;
    for (int i = 0; i < N; i++)
        theta[i] = log(start[i]);
    for (int step = 0; step < STEPS && improve(point, n, theta, &damp); step++)
        ;
    for (int i = 0; i < N; i++)
        parameters_out[i] = exp(theta[i]);
    for (size_t i = 0; i < n; i++)
        error_out[i] = fabs(expm1(residual(&point[i], theta)));
}
