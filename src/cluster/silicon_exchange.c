/* SPDX-License-Identifier: Apache-2.0 */

/* Dispatch and combine kernels of expert parallelism. */

#include <math.h>
#include <string.h>

#include "moegps/mem.h"
#include "silicon_lines.h"

enum { LAUNCH, NEAR, PER_SM, FAR, SPREAD, TOKEN };
enum { NODES, GPUS, HIDDEN, TOP_K, EXPERTS, SMS, TOKENS };

/* Facts: bytes of an element, and which kernel. */
enum { WIDTH, FORM };
enum { ON_NVLINK, DEEPEP_NORMAL, DEEPEP_LL };

/* Rows of fp8 with a scale of four bytes per 128 elements go out, of nvfp4
 * with one byte per 16; bf16 comes back. */
static void read(const char *const *texts, double *facts_out)
{
    static const struct {
        const char *suffix;
        double width;
    } dtypes[] = {{"-nvfp4", 0.5625}, {"-fp8", 1}, {"-bfloat16", 2}};
    const char *dtype = strrchr(texts[1], '-');
    facts_out[WIDTH] = 1 + 4.0 / 128;
    for (size_t i = 0; dtype != NULL && i < MOE_ARRAY_LEN(dtypes); i++)
        if (strcmp(dtype, dtypes[i].suffix) == 0)
            facts_out[WIDTH] = dtypes[i].width;
    if (strcmp(texts[2], "combine") == 0)
        facts_out[WIDTH] = 2;
    facts_out[FORM] = strncmp(texts[1], "deepep-ll", 9) == 0 ? DEEPEP_LL
                      : strncmp(texts[1], "deepep", 6) == 0  ? DEEPEP_NORMAL
                                                             : ON_NVLINK;
}

static double log_choose(double n, double k)
{
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1);
}

double moe_exchange_destinations(double gpus, double experts, double top_k)
{
    const double others = experts - experts / gpus;
    if (others < top_k)
        return gpus;
    return gpus *
           -expm1(log_choose(others, top_k) - log_choose(experts, top_k));
}

/* Low latency sends a row for each expert of a token. Others send one to each
 * GPU, and one to each other node of at most 4. */
static double model_us(const double *p, const double *facts, const double *size)
{
    const double nodes = size[NODES], gpus = size[GPUS];
    const double bytes = size[TOKENS] * size[HIDDEN] * facts[WIDTH];
    double near = size[TOP_K] / nodes, far = size[TOP_K] - near;
    if (facts[FORM] < DEEPEP_LL) {
        near = (1 - 1 / gpus) *
               moe_exchange_destinations(gpus, size[EXPERTS], size[TOP_K]);
        far = fmin(nodes, 4) * (nodes - 1) / nodes;
    }
    double rate = p[NEAR];
    if (size[SMS] > 0)
        rate = 1 /
               moe_silicon_smooth_max(1 / p[NEAR], 1 / (p[PER_SM] * size[SMS]));
    const double launch_us =
        p[LAUNCH] * pow(nodes, p[SPREAD]) * pow(gpus / nodes / 8, 0.2);
    return launch_us + p[TOKEN] * size[TOKENS] +
           moe_silicon_smooth_max(bytes * near / rate, bytes * far / p[FAR]);
}

/* Buffers of the low-latency kernels hold so many tokens of a GPU: the most
 * that were measured, across nodes and inside one. */
double moe_exchange_ll_tokens(bool across)
{
    return across ? 256 : 1024;
}

static moe_status check(const double *facts, const double *size, moe_error *err)
{
    const double limit = moe_exchange_ll_tokens(size[NODES] > 1);
    const bool normal = facts[FORM] > ON_NVLINK && facts[FORM] < DEEPEP_LL;
    if (size[TOP_K] > size[EXPERTS])
        return moe_fail(err, MOE_USAGE, "top_k: %g of %g experts", size[TOP_K],
                        size[EXPERTS]);
    if (size[NODES] > size[GPUS])
        return moe_fail(err, MOE_USAGE, "nodes: %g for %g GPUs", size[NODES],
                        size[GPUS]);
    if (facts[FORM] >= DEEPEP_LL && size[TOKENS] > limit)
        return moe_fail(err, MOE_USAGE,
                        "tokens_per_gpu: %g, but low-latency kernels take at "
                        "most %g %s (deepep-normal takes more)",
                        size[TOKENS], limit,
                        size[NODES] > 1 ? "across nodes" : "inside a node");
    if (normal != (size[SMS] > 0))
        return moe_fail(err, MOE_USAGE,
                        normal ? "sms: deepep-normal runs on some SMs, 0 given"
                               : "sms: no parameter of this kernel (allowed: "
                                 "0)");
    return MOE_OK;
}

/* More nodes change a kernel more than other rows do. */
const moe_line_kind moe_line_exchange = {
    .name = "ep_exchange",
    .op = MOE_SILICON_EXCHANGE,
    .nearness = {4, 4, 1, 1, 0.25, 1},
    .octave_error = 0.15,
    .read = read,
    .model_us = model_us,
    .check = check,
};
