/** serving.h: the deployment that is priced: how attention is shared, how rows
 *  are exchanged, and whose measured kernels do it.
 *
 *  The same options are the `serving` block of an experiment and options of
 *  `advise` and `map`. Their defaults are the paper's deployment: prefill,
 *  tensor-parallel attention, a row per token and expert by NCCL.
 */
#ifndef MOEGPS_SERVING_H
#define MOEGPS_SERVING_H

#include <stdbool.h>

#include "moegps/cost.h"
#include "moegps/layout.h"
#include "moegps/model.h"
#include "moegps/options.h"
#include "moegps/status.h"

typedef enum moe_serve_phase {
    MOE_SERVE_PREFILL,
    MOE_SERVE_DECODE
} moe_serve_phase;

typedef enum moe_serve_attention {
    MOE_SERVE_TENSOR, /* heads of a node's GPUs, ends in an all-reduce */
    MOE_SERVE_DATA    /* each GPU its own sequences */
} moe_serve_attention;

/** What is sent. */
typedef enum moe_serve_exchange {
    MOE_SERVE_PAIRS,    /* a row per token and expert */
    MOE_SERVE_TOKENS,   /* once per GPU */
    MOE_SERVE_NODES,    /* once per node, then inside the node */
    MOE_SERVE_ALLGATHER /* all rows to all; results are reduce-scattered */
} moe_serve_exchange;

typedef enum moe_serve_kernel {
    MOE_SERVE_NCCL, /* the cluster's own collectives */
    MOE_SERVE_DEEPEP_NORMAL,
    MOE_SERVE_DEEPEP_LL,
    MOE_SERVE_TRTLLM_ONESIDED,
    MOE_SERVE_TRTLLM_TWOSIDED
} moe_serve_kernel;

typedef enum moe_serve_overlap {
    MOE_SERVE_NO_OVERLAP,
    MOE_SERVE_SHARED,   /* shared experts beside dispatch and combine */
    MOE_SERVE_TWO_BATCH /* that, and two halves of the batch in turn */
} moe_serve_overlap;

/** Of rows on the wire. */
typedef enum moe_serve_dtype {
    MOE_SERVE_AUTO, /* dispatch: the model's; combine: bf16 */
    MOE_SERVE_BF16,
    MOE_SERVE_FP8,  /* with a scale of 4 bytes per 128 elements */
    MOE_SERVE_NVFP4 /* with a scale of a byte per 16 elements */
} moe_serve_dtype;

/** All zero: the defaults. */
typedef struct moe_serving {
    int phase;     /* moe_serve_phase */
    int kv_len;    /* decode: cached tokens of a sequence, mean */
    int attention; /* moe_serve_attention */
    int exchange;  /* moe_serve_exchange */
    int kernel;    /* moe_serve_kernel */
    int overlap;   /* moe_serve_overlap */
    int dispatch_dtype, combine_dtype; /* moe_serve_dtype */
    int group_limit; /* nodes that a token may visit; 0: no limit */
} moe_serving;

extern const char *const moe_serve_phases[],
    *const moe_serve_attentions[],
        *const moe_serve_exchanges[],
            *const moe_serve_kernels[],
                *const moe_serve_overlaps[],
                    *const moe_serve_dispatch_dtypes[],
                        *const moe_serve_combine_dtypes[];

/* Rows of a table of options; AT(member) places a member of moe_serving. */
#define MOE_SERVING_WORD(name, member, value, words, text)                     \
    {                                                                          \
        .key = name, .type = MOE_OPT_ENUM, .initial = value, .choices = words, \
        AT(member), .help = text                                               \
    }
#define MOE_SERVING_INT(name, member, high, text)                      \
    {                                                                  \
        .key = name, .type = MOE_OPT_INT, .unit = "1", .initial = "0", \
        .min = 0, .max = high, AT(member), .help = text                \
    }
#define MOE_SERVING_ROWS                                                       \
    MOE_SERVING_WORD("phase", phase, "prefill", moe_serve_phases,              \
                     "decode: one new token a sequence, batch counts "         \
                     "sequences"),                                             \
        MOE_SERVING_INT("kv_len", kv_len, 1 << 24,                             \
                        "decode: cached tokens of a sequence, mean"),          \
        MOE_SERVING_WORD("attention", attention, "tensor",                     \
                         moe_serve_attentions,                                 \
                         "tensor: shared by a node's GPUs; data: each its "    \
                         "own sequences"),                                     \
        MOE_SERVING_WORD("exchange", exchange, "pairs", moe_serve_exchanges,   \
                         "a row per token and expert, GPU or node, or all to " \
                         "all"),                                               \
        MOE_SERVING_WORD("kernel", kernel, "nccl", moe_serve_kernels,          \
                         "whose measured exchange"),                           \
        MOE_SERVING_WORD("overlap", overlap, "none", moe_serve_overlaps,       \
                         "of compute and exchange"),                           \
        MOE_SERVING_WORD("dispatch_dtype", dispatch_dtype, "auto",             \
                         moe_serve_dispatch_dtypes,                            \
                         "of rows sent; auto: fp8 for fp8 models, else bf16"), \
        MOE_SERVING_WORD("combine_dtype", combine_dtype, "auto",               \
                         moe_serve_combine_dtypes,                             \
                         "of rows that return; auto: bf16, f32 for f32 "       \
                         "models"),                                            \
        MOE_SERVING_INT("group_limit", group_limit, 1024,                      \
                        "nodes that a token may visit; 0: no limit")

extern const moe_opt moe_serving_options[];

/** What a value assumes; a NULL key ends the table. */
typedef struct moe_serving_value {
    const char *key, *value, *help;
} moe_serving_value;
extern const moe_serving_value moe_serving_values[];

/** Write what differs from the defaults: "phase decode, kv_len 4096, ...". */
void moe_serving_text(const moe_serving *s, char *text, size_t size);

/** Read such a text; an empty one is the defaults.
 *  @return MOE_OK, MOE_FORMAT. */
moe_status moe_serving_read(const char *text, moe_serving *out, moe_error *err);

/** @return whether all is as by default. */
bool moe_serving_is_default(const moe_serving *s);

/** @return whether rows can ride with the reduce-scatter that ends attention:
 *  there is one, and not all rows go everywhere anyway. */
bool moe_serving_rides(const moe_serving *s);

/** @return whether the pairs of a token share rows: one for each GPU, or node,
 *  that it visits. */
bool moe_serving_shares_rows(const moe_serving *s);

/** Refuse what means nothing together.
 *  @return MOE_OK, or MOE_USAGE with one line: what, and what would do. */
moe_status moe_serving_check(const moe_serving *s, const moe_layout *layout,
                             moe_error *err);

/** Prices of a deployment; read-only between new and free. */
typedef struct moe_serving_cost moe_serving_cost;

/** @param out  NULL for the defaults, which the cost model prices by itself;
 *              release with moe_serving_cost_free().
 *  @return MOE_OK; MOE_USAGE: as moe_serving_check(), or no kernel is measured
 *  on this GPU, saying which are; MOE_NOMEM. */
moe_status moe_serving_cost_new(const moe_serving *s, const moe_model *model,
                                const moe_cluster *cluster,
                                const moe_layout *layout,
                                moe_serving_cost **out, moe_error *err);
void moe_serving_cost_free(moe_serving_cost *c); /* NULL is fine */

/** Refuse a batch that the deployment has no room for, or that it cannot split.
 *  @param tokens_per_gpu  of the whole batch
 *  @param sequences       of the GPU, or of those that share attention
 *  @return MOE_OK, MOE_USAGE saying what would do. */
moe_status moe_serving_cost_fits(const moe_serving_cost *c,
                                 double tokens_per_gpu, double sequences,
                                 moe_error *err);

/** @return tokens of a GPU that the exchange's kernel takes; infinite: any. */
double moe_serving_most_tokens(const moe_serving_cost *c);

/** @return share of the GPU's SMs that the exchange's kernels keep busy, where
 *  that was measured with them; else 0. */
double moe_serving_takes(const moe_serving_cost *c);

/** @return the deployment; the defaults of NULL. */
const moe_serving *moe_serving_of(const moe_serving_cost *c);

/** Attention of one GPU: projections, scores, norm.
 *  @param batch  sequences of the GPU, or of those that share it
 *  @param tokens prefill: of each; decode: cached ones of each, 0: kv_len
 *  @param tp     GPUs that share the heads */
moe_price moe_serving_attention(const moe_serving_cost *c, const moe_cost *cost,
                                const void *state, double batch, double tokens,
                                int tp);

/** @return bytes of a row on the wire, in dispatch or combine.
 *  @param c  NULL: the default deployment */
double moe_serving_row_bytes(const moe_serving_cost *c, const moe_model *model,
                             bool combine);

/** Dispatch or combine.
 *  @param tokens  of the whole batch
 *  @param bytes   [2] of the busiest GPU within the node and across nodes, of
 *                 rows as moe_model_dispatch_bytes() and _row_bytes() count */
moe_price moe_serving_exchange(const moe_serving_cost *c, const moe_cost *cost,
                               const void *state, double tokens,
                               const double *bytes, bool combine);

/** Rows that one GPU exchanges, where a token's choices are independent.
 *  @param visit  [gpus] part of the tokens that visit each GPU
 *  @param sent_out, received_out  [2] within the node, across nodes */
void moe_serving_rows(const moe_serving_cost *c, const double *visit,
                      double tokens, int gpu, double *sent_out,
                      double *received_out);

#endif
