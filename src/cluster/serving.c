/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/serving.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "moegps/text.h"

const char *const moe_serve_phases[] = {"prefill", "decode", NULL};
const char *const moe_serve_attentions[] = {"tensor", "data", NULL};
const char *const moe_serve_exchanges[] = {"pairs", "tokens", "nodes",
                                           "allgather", NULL};
const char *const moe_serve_kernels[] = {
    "nccl", "deepep-normal", "deepep-ll", "trtllm-onesided", "trtllm-twosided",
    NULL};
const char *const moe_serve_overlaps[] = {"none", "shared", "two-batch", NULL};
const char *const moe_serve_dispatch_dtypes[] = {"auto", "bf16", "fp8", "nvfp4",
                                                 NULL};
const char *const moe_serve_combine_dtypes[] = {"auto", "bf16", "fp8", NULL};

#define AT(member) MOE_OPT_AT(moe_serving, member)
const moe_opt moe_serving_options[] = {MOE_SERVING_ROWS, {.key = NULL}};
#undef AT

const moe_serving_value moe_serving_values[] = {
    {"phase", "prefill", "all tokens of a sequence at once"},
    {"phase", "decode",
     "one new token of each of `batch` sequences over kv_len cached ones, as "
     "if "
     "all had as many"},
    {"attention", "tensor",
     "heads are shared by the GPUs of a node; a reduce-scatter and an "
     "all-gather end it"},
    {"attention", "data",
     "each GPU has its own sequences, the busiest one more where they do not "
     "divide; nothing is reduced, and rows cannot ride ahead"},
    {"exchange", "pairs", "a row per token and expert"},
    {"exchange", "tokens",
     "a row per token and GPU that it visits; of loads without tokens the "
     "experts of a token are taken as independent"},
    {"exchange", "nodes",
     "a row per token and node that it visits, then one per GPU inside the "
     "node; likewise"},
    {"exchange", "allgather",
     "every GPU gets all rows, results are reduce-scattered; NCCL alone"},
    {"kernel", "nccl", "collectives of the cluster profile"},
    {"kernel", "deepep-normal",
     "measured on H100 up to 8 nodes, B200, GB200; on 20 SMs; exchange tokens "
     "inside a node, nodes across"},
    {"kernel", "deepep-ll",
     "measured on H100 up to 8 nodes, B200, GB200; up to 256 tokens of a GPU "
     "across nodes, 1024 inside one; exchange pairs"},
    {"kernel", "trtllm-onesided",
     "measured on GB200 up to 32 GPUs, nvfp4 rows; exchange tokens"},
    {"kernel", "trtllm-twosided",
     "measured on GB200 up to 64 GPUs, bf16, fp8, nvfp4 rows; exchange tokens"},
    {"overlap", "none", "a layer's steps follow one another"},
    {"overlap", "shared",
     "shared experts compute beside dispatch and combine, which do not wait "
     "for them"},
    {"overlap", "two-batch",
     "that, and the halves of a batch in turn: one computes while rows of the "
     "other travel; each half reads all weights that it needs; deepep-normal "
     "keeps its 20 SMs from compute beside it, other kernels none"},
    {NULL, NULL, NULL}};

bool moe_serving_is_default(const moe_serving *s)
{
    static const moe_serving defaults = {0};
    return memcmp(s, &defaults, sizeof defaults) == 0;
}

void moe_serving_text(const moe_serving *s, char *text, size_t size)
{
    static const moe_serving defaults = {0};
    text[0] = '\0';
    for (const moe_opt *r = moe_serving_options; r->key != NULL; r++) {
        char value[64], initial[64];
        moe_opt_format(r, s, value, sizeof value);
        moe_opt_format(r, &defaults, initial, sizeof initial);
        if (strcmp(value, initial) != 0)
            moe_text_add(text, size, ", ", "%s %s", r->key, value);
    }
}

moe_status moe_serving_read(const char *text, moe_serving *out, moe_error *err)
{
    char key[32], value[64];
    int n = 0;
    moe_opt_defaults(moe_serving_options, out);
    for (; *text != '\0'; text += n + (text[n] == ',' ? 2 : 0)) {
        const moe_opt *row = moe_serving_options;
        if (sscanf(text, "%31[a-z_] %63[^,]%n", key, value, &n) != 2)
            return moe_fail(err, MOE_FORMAT, "serving: no setting in '%s'",
                            text);
        while (row->key != NULL && strcmp(row->key, key) != 0)
            row++;
        if (row->key == NULL)
            return moe_fail(err, MOE_FORMAT, "serving: no key '%s'", key);
        const moe_status s = moe_opt_parse(row, value, out, err);
        if (s != MOE_OK)
            return s;
    }
    return MOE_OK;
}

bool moe_serving_rides(const moe_serving *s)
{
    return s->attention == MOE_SERVE_TENSOR &&
           s->exchange != MOE_SERVE_ALLGATHER;
}

bool moe_serving_shares_rows(const moe_serving *s)
{
    return s->exchange == MOE_SERVE_TOKENS || s->exchange == MOE_SERVE_NODES;
}

static moe_status check_kernel(const moe_serving *s, int nodes, moe_error *err)
{
    const moe_serve_exchange wide =
        nodes > 1 ? MOE_SERVE_NODES : MOE_SERVE_TOKENS;
    const moe_serve_exchange needs =
        s->kernel == MOE_SERVE_DEEPEP_LL       ? MOE_SERVE_PAIRS
        : s->kernel == MOE_SERVE_DEEPEP_NORMAL ? wide
                                               : MOE_SERVE_TOKENS;
    const char *name = moe_serve_kernels[s->kernel];
    if (s->kernel == MOE_SERVE_NCCL)
        return MOE_OK;
    if (s->exchange != (int)needs)
        return moe_fail(err, MOE_USAGE,
                        "kernel: %s on %d node%s exchanges %s, not %s", name,
                        nodes, nodes > 1 ? "s" : "", moe_serve_exchanges[needs],
                        moe_serve_exchanges[s->exchange]);
    if (s->kernel >= MOE_SERVE_TRTLLM_ONESIDED && nodes > 1)
        return moe_fail(err, MOE_USAGE,
                        "kernel: %s stays inside one NVLink domain, here are "
                        "%d nodes (deepep-normal crosses them)",
                        name, nodes);
    return MOE_OK;
}

static moe_status check_dtypes(const moe_serving *s, moe_error *err)
{
    const bool deepep = s->kernel == MOE_SERVE_DEEPEP_NORMAL ||
                        s->kernel == MOE_SERVE_DEEPEP_LL;
    const char *name = moe_serve_kernels[s->kernel];
    if (s->kernel == MOE_SERVE_NCCL)
        return MOE_OK;
    if (deepep && s->dispatch_dtype != MOE_SERVE_AUTO &&
        s->dispatch_dtype != MOE_SERVE_FP8)
        return moe_fail(err, MOE_USAGE,
                        "dispatch_dtype: %s is measured with "
                        "fp8 (auto, fp8)",
                        name);
    if (s->kernel == MOE_SERVE_TRTLLM_ONESIDED &&
        s->dispatch_dtype != MOE_SERVE_NVFP4)
        return moe_fail(err, MOE_USAGE,
                        "dispatch_dtype: %s is measured with nvfp4", name);
    if (s->combine_dtype == MOE_SERVE_FP8)
        return moe_fail(err, MOE_USAGE,
                        "combine_dtype: %s is measured with "
                        "bf16 (auto, bf16)",
                        name);
    return MOE_OK;
}

moe_status moe_serving_check(const moe_serving *s, const moe_layout *layout,
                             moe_error *err)
{
    const int nodes = moe_layout_nodes(layout);
    if (s->phase == MOE_SERVE_DECODE && s->kv_len < 1)
        return moe_fail(err, MOE_USAGE,
                        "kv_len: decode needs the cached tokens of a sequence "
                        "(1..)");
    if (s->phase == MOE_SERVE_PREFILL && s->kv_len > 0)
        return moe_fail(err, MOE_USAGE,
                        "kv_len: %d with phase prefill, whose cache is empty "
                        "(0, or phase decode)",
                        s->kv_len);
    if (s->group_limit > 0 && s->exchange != MOE_SERVE_NODES)
        return moe_fail(err, MOE_USAGE,
                        "group_limit: %d changes what exchange nodes sends, "
                        "not %s",
                        s->group_limit, moe_serve_exchanges[s->exchange]);
    if (check_kernel(s, nodes, err) != MOE_OK)
        return err->status;
    return check_dtypes(s, err);
}
