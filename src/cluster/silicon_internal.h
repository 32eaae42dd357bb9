/** silicon_internal.h: the measured tables in memory. */
#ifndef MOEGPS_CLUSTER_SILICON_INTERNAL_H
#define MOEGPS_CLUSTER_SILICON_INTERNAL_H

#include <stdint.h>

#include "moegps/silicon.h"

enum {
    MOE_SILICON_FFN,
    MOE_SILICON_LINK,
    MOE_SILICON_ATTENTION,
    MOE_SILICON_GEMM,
    MOE_SILICON_OPS
};

/* Columns of a table's key, in the file's order; texts are codes of names. */
enum {
    MOE_FFN_GPU,
    MOE_FFN_STACK,
    MOE_FFN_KERNEL,
    MOE_FFN_DTYPE,
    MOE_FFN_DISTRIBUTION,
    MOE_FFN_HIDDEN,
    MOE_FFN_INTER,
    MOE_FFN_TOP_K,
    MOE_FFN_EXPERTS,
    MOE_FFN_EP,
    MOE_FFN_COLUMNS
};
enum { LINK_GPU, LINK_NCCL, LINK_OP, LINK_GPUS, LINK_COLUMNS };
enum {
    MOE_ATTENTION_GPU,
    MOE_ATTENTION_STACK,
    MOE_ATTENTION_HEADS,
    MOE_ATTENTION_KV_HEADS,
    MOE_ATTENTION_DIM,
    MOE_ATTENTION_BATCH,
    MOE_ATTENTION_COLUMNS
};
enum { GEMM_GPU, GEMM_STACK, GEMM_N, GEMM_K, GEMM_COLUMNS };
enum {
    SILICON_COLUMNS = MOE_FFN_COLUMNS,
    MOE_SILICON_ROWS =
        2 * MOE_CURVE_POINTS /* most of a table that is no curve */
};

/* All tables of one operation. */
typedef struct {
    size_t n, rows;
    int32_t *column[SILICON_COLUMNS]; /* [n] each */
    int32_t *first;                   /* [n + 1] first row of each table */
    int32_t *x;                       /* [rows] tokens, bytes, ... */
    float *time_us;                   /* [rows] */
} moe_silicon_op;

/* Fitted parameters of kernels. */
typedef struct {
    size_t n;
    int32_t *column[4];  /* [n]: gpu, stack (, kernel, dtype) */
    int32_t *without[4]; /* [n]: hidden, inter, top_k, experts left out */
    double *parameters;  /* [n][width] */
    double *error;       /* [n] median of |relative error| */
    size_t width;
} moe_silicon_fit;

struct moe_silicon {
    char **names;
    size_t n_names;
    moe_silicon_op op[MOE_SILICON_OPS];
    moe_silicon_fit ffn_fit, attention_fit, gemm_fit;
};

/** @return code of a text, or -1. */
int moe_silicon_code(const moe_silicon *s, const char *text);

/** Append the different values of column `want` among tables that agree with
 *  `codes` in the columns before it, as "a, b". */
void moe_silicon_known(const moe_silicon *s, int op, const int *codes, int want,
                       char *text, size_t size);

/** Place of x between sorted values: index of the left one and the weight of
 *  the right one, both within the values. @param n  >= 1. */
void moe_silicon_bracket(const double *sorted, size_t n, double x,
                         size_t *left_out, double *weight_out);

/** us of a curve's kernel by its physical model.
 *  @param target  experts have the matrices of what is to be priced, else of
 *  what was measured. */
double moe_curve_model(const moe_curve *c, double tokens, bool target);

/** @return seconds over those measured, of a kernel that took `time_us`.
 *  @param bytes      that it moved.
 *  @param by         bytes of the target over these.
 *  @param sheet      B/s of the GPU that was measured, by its data sheet.
 *  @param bandwidth  of the target over that. */
double moe_silicon_traffic(double time_us, double bytes, double by,
                           double sheet, double bandwidth);

/** Append a point; tokens rise.
 *  @param residual  log of measured over modelled time. */
void moe_curve_add(moe_curve *c, double tokens, double residual);

/** Fill the errors of all points, each left out. */
void moe_curve_leave_out(moe_curve *c);

/** Replace values by the rising ones nearest to them in squares, as means of
 *  neighbours (isotonic regression).   Source: Barlow et al. 1972, pool
 *  adjacent violators. */
void moe_silicon_rise(double *y, size_t n);

/* ---- for tests and validation ---- */

/** As moe_silicon_ffn(), as if this shape had never been measured. */
moe_status moe_silicon_ffn_unseen(const moe_silicon *s, const moe_ffn_key *key,
                                  moe_curve *out, moe_error *err);

/** @return the curve without one of its points. */
moe_curve moe_curve_without(const moe_curve *curve, size_t point);

/** Price every inner row of every table from its neighbours.
 *  @param visit  gets |relative error| of a line on logarithms, and ours. */
void moe_silicon_dense_leave_out(const moe_silicon_dense *d,
                                 void (*visit)(void *arg, const double *error),
                                 void *arg);

/** Tables of the FFN: how many, and the key of one. */
size_t moe_silicon_n_ffn(const moe_silicon *s);
void moe_silicon_ffn_key(const moe_silicon *s, size_t i, moe_ffn_key *out);

#endif
