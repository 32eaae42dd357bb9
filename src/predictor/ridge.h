/** ridge.h: least squares with a penalty, in closed form.
 *
 *  The weights minimise sum (y - W x)^2 + ridge * n * sum_j var(x_j) W_j^2,
 *  which is the plain penalty on features of equal variance. The last feature
 *  must be 1; its weight is not penalised. Sums are of doubles over products of
 *  floats, of parts of the rows; they are the same to the bit for any number of
 *  threads. Where they are of so few rows that rounding leaves them singular,
 *  the penalty grows by tens until they are not.   Source: Hoerl & Kennard, Technometrics 12(1), 1970.
 */
#ifndef MOEGPS_PREDICTOR_RIDGE_H
#define MOEGPS_PREDICTOR_RIDGE_H

#include <stddef.h>

#include "moegps/status.h"

enum { MOE_RIDGE_BLOCK = 8192 }; /* most rows that are added at once */

typedef struct moe_ridge {
    size_t n_x, n_y;
    double n;       /* rows added */
    double *gram;   /* [n_x][n_x] */
    double *own;    /* [n_x] its diagonal */
    double *cross;  /* [n_x][n_y] */
    float *product; /* of parts of the rows, each [n_x][max(n_x, n_y)] */
} moe_ridge;

/** Start with no rows. Release with moe_ridge_fini() in any case.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_ridge_init(moe_ridge *r, size_t n_x, size_t n_y, moe_error *err);
void moe_ridge_fini(moe_ridge *r);

/** Forget all rows. */
void moe_ridge_clear(moe_ridge *r);

/** Add rows. @param x  [n][n_x] @param y  [n][n_y] @param n  at most
 *  MOE_RIDGE_BLOCK. @return MOE_OK, MOE_LIBRARY. */
moe_status moe_ridge_add(moe_ridge *r, const float *x, const float *y, size_t n,
                         moe_error *err);

/** Solve; uses the sums up. @param weight_out  [n_x][n_y].
 *  @return MOE_OK, MOE_INVALID (rows that are not finite). */
moe_status moe_ridge_solve(moe_ridge *r, double ridge, float *weight_out,
                           moe_error *err);

#endif
