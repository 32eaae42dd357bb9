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
    MOE_SILICON_SLOW, /* tables as MOE_SILICON_FFN's, of rows that contradict
                         them: see moe_curve.slow */
    MOE_SILICON_EXCHANGE,
    MOE_SILICON_DECODE,
    MOE_SILICON_MLA,
    MOE_SILICON_WIDE,
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
    SILICON_COLUMNS = 11, /* most of one table's key */
    MOE_SILICON_ROWS =
        2 * MOE_TABLE_POINTS /* most of a table that is no curve */
};

/* A group of the file: the columns of a table's key, texts first. */
typedef struct {
    const char *group;
    int texts;
    const char *columns[SILICON_COLUMNS + 1];
    const char *may_be_zero; /* a column where 0 means none; NULL: no such */
    const char *axis;        /* what the rows of a table are measured along */
    int fit_texts;           /* texts that name a fitted kernel */
    size_t parameters;       /* of its model; 0: no fit */
    bool optional;           /* files before version 1.1 do not have it */
} moe_silicon_layout;

extern const moe_silicon_layout moe_silicon_layouts[MOE_SILICON_OPS];

/** @return the least value of a column of numbers, or of the axis: 0 or 1. */
int moe_silicon_least(const moe_silicon_layout *layout, int column);

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
    moe_silicon_fit fit[MOE_SILICON_OPS];
};

/** As moe_silicon_open(), but tables of other operations are as if there were
 *  none, unread and unchecked. @param ops  bit op: of MOE_SILICON_op */
moe_silicon *moe_silicon_open_ops(const char *path, unsigned ops,
                                  moe_error *err);

/** @return code of a text, or -1. */
int moe_silicon_code(const moe_silicon *s, const char *text);

/** Append the different values of column `want` among tables that agree with
 *  `codes` in the columns before it, as "a, b". */
void moe_silicon_known(const moe_silicon *s, int op, const int *codes, int want,
                       char *text, size_t size);

/** Codes of the first n texts of a key.
 *  @param texts  [n]; NULL: the first that goes with those before it.
 *  @return MOE_OK, or MOE_USAGE naming the column, the text and what there
 *  is. */
moe_status moe_silicon_find(const moe_silicon *s, int op,
                            const char *const *texts, int n, int *codes_out,
                            moe_error *err);

/** Place of x between sorted values: index of the left one and the weight of
 *  the right one, both within the values. @param n  >= 1. */
void moe_silicon_bracket(const double *sorted, size_t n, double x,
                         size_t *left_out, double *weight_out);

/** us of a curve's kernel by its physical model.
 *  @param target  experts have the matrices of what is to be priced, else of
 *  what was measured. */
double moe_curve_model(const moe_curve *c, double tokens, bool target);

/** State the errors of a price.
 *  @param op     MOE_SILICON_FFN, ...
 *  @param guess  of |price / truth - 1|, which may be off by a factor that is
 *  known for the operation and the source. */
moe_price moe_silicon_price(int op, double time_s, moe_price_source source,
                            double guess);

/** @return what moe_silicon_price() multiplies a guess by, for two prices of
 *  three (0) or nine of ten (1). */
double moe_silicon_factor(int op, moe_price_source source, int which);

/** @return what scaling adds to a guess.
 *  @param by         bytes over those measured, of the same work.
 *  @param bandwidth  over that of the GPU that was measured. */
double moe_silicon_scaled_guess(double by, double bandwidth);

/** @return seconds over those measured, of a kernel that took `time_us`.
 *  @param bytes      that it moved.
 *  @param by         bytes of the target over these.
 *  @param sheet      B/s of the GPU that was measured, by its data sheet.
 *  @param bandwidth  of the target over that. */
double moe_silicon_traffic(double time_us, double bytes, double by,
                           double sheet, double bandwidth);

/** (a^4 + b^4)^(1/4): two that overlap take about as long as the longer. */
double moe_silicon_smooth_max(double a, double b);

/** Append a point; tokens rise.
 *  @param residual  log of measured over modelled time.
 *  @param slow      as moe_curve.slow. */
void moe_curve_add(moe_curve *c, double tokens, double residual, bool slow);

/** Fill the errors of all points, each left out. */
void moe_curve_leave_out(moe_curve *c);

/** Replace values by the rising ones nearest to them in squares, as means of
 *  neighbours (isotonic regression).   Source: Barlow et al. 1972, pool
 *  adjacent violators. */
void moe_silicon_rise(double *y, size_t n);

/** GPUs that hold the experts of a token, drawn at random. */
double moe_exchange_destinations(double gpus, double experts, double top_k);

/** @return tokens of a GPU that low-latency kernels take: the most that were
 *  measured. @param across  nodes */
double moe_exchange_ll_tokens(bool across);

/* ---- for tests and validation ---- */

/* What moe_lines_leave_out() prices without: an inner row, the first or last
 * row, the whole line, or (0, 1, ...) all lines with its value of that size. */
enum { MOE_LEFT_END = -3, MOE_LEFT_ROW = -2, MOE_LEFT_LINE = -1 };

/** |relative error| of rows that are priced without themselves, as far as that can be.
 *  @param most_lines  take about so many of the lines; 0: all
 *  @param error_out   [moe_lines_rows()]
 *  @return how many. */
size_t moe_lines_leave_out(const moe_lines *l, int level, size_t most_lines,
                           double *error_out);
size_t moe_lines_rows(const moe_lines *l);

/** Texts of the i-th different key of a kind. @return whether there is one. */
bool moe_lines_key(const moe_silicon *s, const char *kind, size_t i,
                   const char **texts_out);

/** As moe_silicon_ffn(), as if this shape had never been measured. */
moe_status moe_silicon_ffn_unseen(const moe_silicon *s, const moe_ffn_key *key,
                                  moe_curve *out, moe_error *err);

/** @return the curve without one of its points. */
moe_curve moe_curve_without(const moe_curve *curve, size_t point);

/** A row that was priced without it. */
typedef struct moe_left_out {
    double error[2];  /* |relative|, of a line on logarithms, and ours */
    double octaves;   /* from its left to its right neighbour */
    double size;      /* rows of a GEMM, tokens of a sequence */
    size_t table;     /* that it is of */
    moe_price stated; /* with ours */
    moe_price itself; /* what the row is priced with it */
} moe_left_out;

/** Price every inner row of every table from its neighbours, and the last row
 *  from the one before it: extrapolated, without a line. */
void moe_silicon_dense_leave_out(const moe_silicon_dense *d,
                                 void (*visit)(void *arg,
                                               const moe_left_out *row),
                                 void *arg);

/** Tables of the FFN, those of slow rows last. */
size_t moe_silicon_n_ffn(const moe_silicon *s);

/** The key of table i. @return false: slow rows of a key that has another
 *  table, too. */
bool moe_silicon_ffn_key(const moe_silicon *s, size_t i, moe_ffn_key *out);

#endif
