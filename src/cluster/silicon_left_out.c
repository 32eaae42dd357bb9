/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/silicon_update.h"

#include "moegps/stats.h"
#include "silicon_group.h"
#include "silicon_internal.h"

/* Measured rows left out one by one. */

/* Add the errors of a curve's or a collective's inner rows.
 * @return how many. */
static size_t errors_of(const moe_silicon *s, const moe_measurement *r,
                        double *out, moe_error *err)
{
    size_t n = 0;
    if (r->group == &moe_measured_collectives) {
        moe_link link;
        if (moe_silicon_link(s, r->text[2], r->text[0], r->text[1], &link,
                             err) != MOE_OK)
            return 0;
        for (size_t c = 0; c < link.n_counts; c++)
            for (size_t i = 1;
                 link.count[c].gpus == r->number[0] && i + 1 < link.count[c].n;
                 i++)
                out[n++] = link.count[c].error[i];
        return n;
    }
    const moe_ffn_key key = {.gpu = r->text[0],
                             .stack = r->text[1],
                             .kernel = r->text[2],
                             .dtype = r->text[3],
                             .distribution = r->text[4],
                             .hidden = r->number[0],
                             .inter = r->number[1],
                             .top_k = r->number[2],
                             .experts = r->number[3],
                             .ep = r->number[4]};
    moe_curve curve;
    if (r->group != &moe_measured_moe ||
        moe_silicon_ffn(s, &key, NULL, &curve, err) != MOE_OK)
        return 0;
    for (size_t i = 1; i + 1 < curve.n; i++)
        out[n++] = curve.error[i];
    return n;
}

moe_status moe_silicon_update_errors(const char *tables,
                                     const moe_measurements *rows,
                                     moe_remarks *said, moe_error *err)
{
    double error[MOE_CURVE_POINTS * MOE_LINK_COUNTS];
    moe_error local = {0};
    moe_silicon *s = moe_silicon_open(tables, &local);
    for (size_t i = 0; i < rows->n && local.status == MOE_OK;
         i = moe_silicon_key_end(rows, i)) {
        char key[256];
        const size_t n = errors_of(s, &rows->row[i], error, &local);
        moe_measured_key(&rows->row[i], key, sizeof key);
        if (n == 0)
            continue;
        const double median = moe_median_sorting(error, n);
        moe_remark(said,
                   "%s: each of %zu inner rows left out: median error %.1f %%, "
                   "90 %% %.1f %%",
                   key, n, 100 * median,
                   100 * moe_quantile_sorted(error, n, 0.9));
    }
    moe_silicon_close(s);
    return moe_pass(err, &local);
}
