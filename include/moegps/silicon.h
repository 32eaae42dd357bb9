/** silicon.h: measured GPU times, and what they say about sizes between and
 *  beyond those measured.
 *
 *  Every kernel has a small physical model (launch, weight traffic, tensor
 *  work, rows passed on) with parameters fitted to all its measurements. A
 *  price is the model times the ratio of measurement to model, interpolated
 *  on logarithms: along the tokens within a measured shape, and from the
 *  nearest shapes outside. So between two measured points the price follows
 *  the kernel's structure, and at a measured point it is the measurement.
 *
 *  Nothing here is collective. Tables are read-only after opening.
 */
#ifndef MOEGPS_SILICON_H
#define MOEGPS_SILICON_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/cost.h"
#include "moegps/status.h"

typedef struct moe_silicon moe_silicon;

/** Read the tables and check every number.
 *  @param path  NULL: `tables` among the profiles of kind `silicon`.
 *  @return NULL with MOE_USAGE, MOE_FORMAT (naming table and row), MOE_NOMEM;
 *  release with moe_silicon_close(). */
moe_silicon *moe_silicon_open(const char *path, moe_error *err);
void moe_silicon_close(moe_silicon *s); /* NULL is fine */

/** @return whether there are tables of a GPU for an operation of
 *  `moegps cost`. */
bool moe_silicon_measures(const moe_silicon *s, const char *op,
                          const char *gpu);

/** A fused MoE FFN kernel on one GPU. Texts are borrowed. */
typedef struct moe_ffn_key {
    const char *gpu, *stack;
    const char *kernel;       /* NULL: the one the stack would take */
    const char *dtype;        /* bfloat16 (or bf16), fp8, fp8_block */
    const char *distribution; /* NULL: balanced; power_law_1.2, ... */
    int hidden, inter, top_k, experts;
    int ep;       /* GPUs that share the experts */
    bool grouped; /* rows of an expert lie side by side, as a dispatch leaves
                     them: equally loaded experts are then no slower than
                     unequal ones were, see silicon_ffn.c */
} moe_ffn_key;

/** How a target differs from the GPU and the model that were measured. Of a
 *  measured time, the part f that is traffic changes with bytes and bandwidth,
 *  the rest stays:
 *      time (1 - f + f * bytes ratio / bandwidth ratio)
 *  f is what the bytes of active weights and of rows take at 0.9 of the data
 *  sheet's bandwidth, over the time. Such prices are `scaled`. */
typedef struct moe_ffn_change {
    double weight_bytes; /* of one weight; 0: the dtype's */
    int matrices;        /* of an expert; 0: the kernel's */
    double sheet;        /* memory bandwidth of the GPU that was measured, by
                            its data sheet, B/s > 0 */
    double bandwidth;    /* memory bandwidth over that; 0: 1 */
} moe_ffn_change;

enum {
    MOE_TABLE_POINTS = 64, /* most token counts of one table */
    MOE_CURVE_POINTS = 2 * MOE_TABLE_POINTS, /* with its slow rows */
    MOE_FFN_PARAMETERS = 6
};

/** Latency of one kernel and shape against the tokens of the EP group. A
 *  plain value; it borrows nothing. */
typedef struct moe_curve {
    double parameters[MOE_FFN_PARAMETERS]; /* of the measured GPU */
    double sheet, bandwidth;               /* as moe_ffn_change */
    double weight_bytes, matrices;         /* of an expert, as measured */
    double target_bytes, target_matrices;  /* of an expert, to be priced */
    double hidden, inter, top_k, experts, ep;
    bool balanced;
    bool measured; /* points are of this very shape */
    bool changed;  /* target differs from what was measured */
    double spread; /* guessed relative error where nothing was measured */
    size_t n;
    double tokens[MOE_CURVE_POINTS];   /* rising */
    double log_x[MOE_CURVE_POINTS];    /* log tokens */
    double log_fit[MOE_CURVE_POINTS];  /* log us, of the physical model */
    double residual[MOE_CURVE_POINTS]; /* log(measured / model) */
    double error[MOE_CURVE_POINTS];    /* |relative|, of a point left out */
    bool slow[MOE_CURVE_POINTS]; /* measured, but much slower than more of the
                                    same work: the library took a kernel that
                                    falls to 15-20 % of the memory bandwidth */
} moe_curve;

/** Find or construct the curve of a kernel.
 *  @param change  NULL: none.
 *  @return MOE_OK, or MOE_USAGE naming what there is. */
moe_status moe_silicon_ffn(const moe_silicon *s, const moe_ffn_key *key,
                           const moe_ffn_change *change, moe_curve *out,
                           moe_error *err);

/** A measured point of a gated kernel. */
typedef struct moe_ffn_point {
    moe_ffn_key key; /* distribution, and the shape */
    double weight_bytes, tokens, time_us;
} moe_ffn_point;

/** Fit the physical model of one kernel.
 *  @param parameters_out  [MOE_FFN_PARAMETERS]
 *  @param error_out       [n] |relative difference| of each point. */
void moe_silicon_fit_ffn(const moe_ffn_point *point, size_t n,
                         double *parameters_out, double *error_out);

/** Price of the whole kernel. @param tokens  > 0, of the EP group. */
moe_price moe_curve_price(const moe_curve *curve, double tokens);

/** Time of a launch that does nothing, s. */
double moe_curve_launch(const moe_curve *curve);

/** Kernels on bf16 operands of one GPU and stack. */
typedef struct moe_silicon_dense moe_silicon_dense;

/** Tables of GEMM or prefill attention of one GPU and stack.
 *  @param op     "gemm" or "attention"
 *  @param stack  NULL: the first stack with such tables.
 *  @return NULL with MOE_USAGE (naming what there is), MOE_NOMEM; release
 *  with moe_silicon_dense_free(). Borrows nothing. */
moe_silicon_dense *moe_silicon_dense_new(const moe_silicon *s, const char *op,
                                         const char *gpu, const char *stack,
                                         moe_error *err);
void moe_silicon_dense_free(moe_silicon_dense *d); /* NULL is fine */

/** Make times of a table rise along its rows: noise taken out. */
void moe_silicon_dense_smooth(moe_silicon_dense *d);

/** What is not as in the measurements; ratios are 1 by default. Traffic as
 *  moe_ffn_change. */
typedef struct moe_dense_change {
    double bytes;     /* of an element over 2 */
    double rate;      /* tensor FLOP/s over those of bf16 */
    double sheet;     /* as moe_ffn_change */
    double bandwidth; /* memory bandwidth over that measured */
} moe_dense_change;

/** @param change  NULL: none. */
moe_price moe_silicon_gemm(const moe_silicon_dense *d, const moe_gemm *shape,
                           const moe_dense_change *change);

/** Causal attention over a prompt, without projections. */
typedef struct moe_prefill {
    double batch, seq, heads, kv_heads, head_dim;
} moe_prefill;

moe_price moe_silicon_attention(const moe_silicon_dense *d,
                                const moe_prefill *shape,
                                const moe_dense_change *change);

/** Time of a launch that does nothing, s. */
double moe_silicon_dense_launch(const moe_silicon_dense *d);

/** Kernels that are measured along one size at some values of others:
 *  ep_exchange, decode_attention, mla, wide_ep_moe. */
typedef struct moe_lines moe_lines;

enum { MOE_LINE_SIZES = 8 }; /* most sizes of a kind, without the axis */

/** What a kind is looked up by, as the columns of its CSV are called. */
typedef struct moe_line_names {
    int texts;                     /* gpu, stack, ... come first */
    int sizes;                     /* follow, the axis last */
    int least[MOE_LINE_SIZES + 1]; /* 0 where that means none, else 1 */
    const char *name[5 + MOE_LINE_SIZES];
} moe_line_names;

/** @return whether there is such a kind. The last text of ep_exchange is no
 *  column: `dispatch` or `combine`. */
bool moe_line_names_of(const char *kind, moe_line_names *out);

/** @param texts  as many as the kind has; NULL: the first that goes with
 *  those before it
 *  @return NULL with MOE_USAGE (naming what there is), MOE_NOMEM; release
 *  with moe_lines_free(). Borrows nothing. */
moe_lines *moe_lines_new(const moe_silicon *s, const char *kind,
                         const char *const *texts, moe_error *err);
void moe_lines_free(moe_lines *l); /* NULL is fine */

/** @param size  as many as the kind has, the axis last
 *  @return MOE_OK, or MOE_USAGE for sizes that the kernel does not take. */
moe_status moe_lines_price(const moe_lines *l, const double *size,
                           moe_price *out, moe_error *err);

enum { MOE_LINK_COUNTS = 4 }; /* most GPU counts of one collective */

/** Latency of one collective against bytes and GPUs. A plain value. */
typedef struct moe_link {
    bool of_relative; /* to price another GPU, which has the same links */
    size_t n_counts;
    struct {
        int gpus;
        size_t n;
        double bytes[MOE_TABLE_POINTS], time_us[MOE_TABLE_POINTS];
        double error[MOE_TABLE_POINTS]; /* |relative|, left out */
    } count[MOE_LINK_COUNTS];
} moe_link;

/** @param op    all_reduce, alltoall, all_gather, reduce_scatter
 *  @param nccl  NULL: the first version there is.
 *  @return MOE_OK, or MOE_USAGE naming what there is. */
moe_status moe_silicon_link(const moe_silicon *s, const char *op,
                            const char *gpu, const char *nccl, moe_link *out,
                            moe_error *err);

/** Make a link's times rise with bytes: measurement noise taken out. */
void moe_link_smooth(moe_link *link);

/** @param bytes  the buffer of each GPU, as NCCL's tests count it. */
moe_price moe_link_price(const moe_link *link, double gpus, double bytes);

#endif
