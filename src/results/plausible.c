/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

#include <math.h>
#include <string.h>

#include "moegps/mem.h"

/* No run has more: 2^20 GPUs are 16 times the largest machines, and products
 * of sizes still fit 64 bits. */
enum { MANY = 1 << 20, SOME = 1 << 16 };

static const struct {
    const char *name;
    size_t offset; /* of an int of moe_view */
    int min, max;
} sizes[] = {
    {"GPUs", offsetof(moe_view, dims.gpus), 1, MANY},
    {"ranks", offsetof(moe_view, dims.ranks), 1, MANY + 1},
    {"nodes", offsetof(moe_view, nodes), 1, MANY + 1},
    {"layers", offsetof(moe_view, dims.layers), 1, SOME},
    {"experts", offsetof(moe_view, dims.experts), 1, SOME},
    {"slots", offsetof(moe_view, dims.slots), 0, SOME},
    {"warm-up iterations", offsetof(moe_view, dims.warmup), 0, MANY},
    {"iterations", offsetof(moe_view, dims.iterations), 1, MANY},
    {"measured iterations", offsetof(moe_view, measured), 0, MANY},
    {"iterations of a sample", offsetof(moe_view, period), 1, MANY},
    {"experts of a token", offsetof(moe_view, top_k), 0, SOME},
};

void moe_sizes_check(const moe_view *view, moe_error *err)
{
    const moe_ledger_dims *d = &view->dims;
    for (size_t i = 0; i < MOE_ARRAY_LEN(sizes); i++) {
        int n;
        memcpy(&n, (const char *)view + sizes[i].offset, sizeof n);
        if (n < sizes[i].min || n > sizes[i].max)
            moe_fail(err, MOE_FORMAT,
                     "has impossible sizes: %d %s, %d to %d are possible", n,
                     sizes[i].name, sizes[i].min, sizes[i].max);
    }
    if (d->gpus > d->ranks || d->ranks > d->gpus + 1)
        moe_fail(err, MOE_FORMAT, "has impossible sizes: %d GPUs on %d ranks",
                 d->gpus, d->ranks);
    if (view->measured > d->iterations || view->period > d->iterations)
        moe_fail(err, MOE_FORMAT,
                 "has impossible sizes: %d measured iterations and samples of "
                 "%d, of %d iterations",
                 view->measured, view->period, d->iterations);
    if (view->top_k > d->experts)
        moe_fail(err, MOE_FORMAT,
                 "has impossible sizes: %d experts of a token, of %d",
                 view->top_k, d->experts);
}

void moe_numbers_check(const char *name, const double *x, size_t n, double min,
                       moe_error *err)
{
    static const double MOST = 1e30; /* of any unit; sums of it stay finite */
    for (size_t i = 0; i < n && err->status == MOE_OK; i++)
        if (!isnan(x[i]) && !(x[i] >= min && x[i] <= MOST))
            moe_fail(err, MOE_FORMAT, "has an impossible value of '%s': %g",
                     name, x[i]);
}

void moe_layer_time_check(double time_s, int clock, moe_error *err)
{
    moe_numbers_check("layer_time", &time_s, 1, 0, err);
    if (clock != MOE_CLOCK_CPU && time_s <= 0) /* that clock may be coarse */
        moe_fail(err, MOE_FORMAT, "has a layer that took no time");
}
