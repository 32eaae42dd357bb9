/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Outputs of two strategies come from the same weights and rows; only the
 * number of rows per call differs, and with it the order of summation. bf16
 * has 8 significant bits: two roundings of intermediates differ by at most
 * 2^-7 of the largest element; f32 sums of some thousand terms by 1e-4. */
static const double TOLERANCE_BF16 = 0x1p-6, TOLERANCE_F32 = 1e-4;

moe_status moe_engine_check_init(moe_engine *e, moe_error *err)
{
    const size_t l = (size_t)e->p.n_layers, h = (size_t)e->shape.hidden;
    moe_checks *c = &e->checks;
    c->reference =
        moe_array_new(l * MOE_CHECK_TOKENS * h, sizeof *c->reference, err);
    c->pairs = moe_array_new(l, sizeof *c->pairs, err);
    return err->status;
}

void moe_engine_check_fini(moe_engine *e)
{
    free(e->checks.pairs);
    free(e->checks.reference);
}

/* The exact back end on one layer. */
void moe_engine_check_layer(moe_engine *e, moe_runner *r, int layer)
{
    const bool failed = e->ctx->err.status != MOE_OK; /* the first is told */
    if (e->gpu >= 0)
        e->checks.corrupt = moe_inject_here(e->ctx, MOE_SITE_CHECK);
    moe_engine_layer(e, r, layer, e->exact, e->exact_state, e->exact_rows);
    moe_engine_end_layers(e);
    if (e->gpu < 0)
        return;
    e->exact->check(e->exact_state, e->it.batch, layer, e->out, &e->ctx->err);
    if (!failed && e->ctx->err.status == MOE_INVALID)
        moe_error_prefix(&e->ctx->err, "strategy %s", r->spec->name);
}

static size_t n_compared(const moe_engine *e)
{
    return e->it.batch->own < MOE_CHECK_TOKENS ? e->it.batch->own
                                               : MOE_CHECK_TOKENS;
}

/* @return the largest |a - b| in units of the largest |a| of the row. */
static double row_difference(const float *a, const float *b, size_t n)
{
    double worst = 0.0, size = 0.0;
    for (size_t j = 0; j < n; j++) {
        double d = fabs((double)a[j] - (double)b[j]);
        worst = d > worst || isnan(d) ? d : worst;
        size = fabs((double)a[j]) > size ? fabs((double)a[j]) : size;
    }
    return size > 0 ? worst / size : worst;
}

void moe_engine_check_output(moe_engine *e, const moe_runner *r, int layer)
{
    if (e->gpu < 0 || !e->ffn->comparable)
        return;
    const size_t h = (size_t)e->shape.hidden;
    const size_t stride = moe_ffn_out_bytes(&e->shape);
    float *reference =
        e->checks.reference + (size_t)layer * MOE_CHECK_TOKENS * h;
    const double limit =
        e->shape.dtype == MOE_DTYPE_BF16 ? TOLERANCE_BF16 : TOLERANCE_F32;
    for (size_t t = 0; t < n_compared(e); t++) {
        const float *out = (const float *)(const void *)(e->out + t * stride);
        if (r->index == e->p.experiment->reference_index) {
            memcpy(reference + t * h, out, h * sizeof *out);
            continue;
        }
        double d = row_difference(reference + t * h, out, h);
        if (d > e->checks.validation.max_output_error ||
            isnan(e->checks.validation.max_output_error) || isnan(d))
            e->checks.validation.max_output_error = d;
        if (!(d <= limit)) {
            moe_fail(&e->ctx->err, MOE_INVALID,
                     "strategy %s: output of token %" PRIu64
                     " in layer %d differs by %.3g of its size from strategy "
                     "%s (allowed: %.3g)",
                     r->spec->name, e->it.batch->first + t, e->p.layers[layer],
                     d, e->p.experiment->reference, limit);
            return;
        }
    }
}

/* Every pair was computed exactly once, in every layer. */
void moe_engine_check_pairs(moe_engine *e, const moe_runner *r)
{
    const uint64_t pairs = e->it.batch->tokens * (uint64_t)e->it.batch->top_k;
    for (int l = 0; l < e->p.n_layers; l++)
        e->checks.pairs[l] = e->gpu >= 0 ? e->it.facts[l].rows : 0;
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, e->checks.pairs, e->p.n_layers,
                          MPI_UINT64_T, MPI_SUM, e->ctx->comm));
    for (int l = 0; l < e->p.n_layers; l++)
        if (e->checks.pairs[l] != pairs)
            moe_fail(&e->ctx->err, MOE_INVALID,
                     "strategy %s: layer %d: %" PRIu64 " pairs were computed, "
                     "the batch has %" PRIu64,
                     r->spec->name, e->p.layers[l], e->checks.pairs[l], pairs);
}

moe_status moe_engine_check_done(moe_engine *e)
{
    moe_validation *v = &e->checks.validation;
    double worst = isnan(v->max_output_error) ? -1.0 : v->max_output_error;
    MOE_MPI(MPI_Allreduce(MPI_IN_PLACE, &worst, 1, MPI_DOUBLE, MPI_MAX,
                          e->ctx->comm));
    v->max_output_error = worst >= 0 ? worst : NAN;
    moe_status status = moe_agree(e->ctx);
    v->run = true;
    v->passed = status != MOE_INVALID;
    if (status == MOE_OK)
        snprintf(v->text, sizeof v->text,
                 "pairs conserved, exact routing of %d strategies%s",
                 e->p.experiment->n_strategies,
                 worst >= 0 ? ", outputs agree" : "");
    else
        snprintf(v->text, sizeof v->text, "%.255s", e->ctx->err.text);
    return status;
}
