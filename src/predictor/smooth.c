/* SPDX-License-Identifier: Apache-2.0 */
#include "smooth.h"

#include <stdint.h>
#include <string.h>

#include "lanes.h"
#include "moegps/wide.h"

/* Polynomials: Cephes (Moshier 1992), logf and expf. */

MOE_WITHIN float log_of(float x)
{
    int32_t word;
    float m;
    memcpy(&word, &x, sizeof word);
    /* x = 2^e m, with m in sqrt(1/2)..sqrt(2) */
    const int32_t e = (word - 0x3f3504f3) >> 23;
    word -= e * (1 << 23);
    memcpy(&m, &word, sizeof m);
    m -= 1;
    const float z = m * m;
    float p = 7.0376836292e-2F;
    p = p * m - 1.1514610310e-1F;
    p = p * m + 1.1676998740e-1F;
    p = p * m - 1.2420140846e-1F;
    p = p * m + 1.4249322787e-1F;
    p = p * m - 1.6668057665e-1F;
    p = p * m + 2.0000714765e-1F;
    p = p * m - 2.4999993993e-1F;
    p = p * m + 3.3333331174e-1F;
    return m + (m * z * p - 0.5F * z) + (float)e * 0.69314718F;
}

/* @param x  -87..0 */
MOE_WITHIN float exp_of(float x)
{
    const int32_t e = (int32_t)(x * 1.44269504F - 0.5F);
    const float r = (x - (float)e * 0.693359375F) + (float)e * 2.12194440e-4F;
    float p = 1.9875691500e-4F;
    p = p * r + 1.3981999507e-3F;
    p = p * r + 8.3334519073e-3F;
    p = p * r + 4.1665795894e-2F;
    p = p * r + 1.6666665459e-1F;
    p = p * r + 5.0000001201e-1F;
    p = p * r * r + r + 1;
    const int32_t word = (e + 127) * (1 << 23);
    float two;
    memcpy(&two, &word, sizeof two);
    return p * two;
}

MOE_WIDE void moe_smooth_log(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = log_of(x[i]);
}

MOE_WIDE void moe_smooth_softmax(float *x, size_t n, float scale)
{
    float most[MOE_LANES], sum[MOE_LANES];
    MOE_EACH_LANE(l) most[l] = x[l];
    for (size_t i = 0; i < n; i++)
        MOE_EACH_LANE(l)
        {
            const float at = x[i * MOE_LANES + (size_t)l];
            most[l] = at > most[l] ? at : most[l];
        }
    MOE_EACH_LANE(l) sum[l] = 0;
    for (size_t i = 0; i < n; i++) {
        float below[MOE_LANES];
        MOE_EACH_LANE(l)
        {
            const float at = x[i * MOE_LANES + (size_t)l] - most[l];
            below[l] = at > -87 ? at : -87;
        }
        MOE_EACH_LANE(l)
        {
            const float power = exp_of(below[l]);
            x[i * MOE_LANES + (size_t)l] = power;
            sum[l] += power;
        }
    }
    MOE_EACH_LANE(l) sum[l] = scale / sum[l];
    for (size_t i = 0; i < n; i++)
        MOE_EACH_LANE(l) x[i * MOE_LANES + (size_t)l] *= sum[l];
}
