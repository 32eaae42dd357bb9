/* SPDX-License-Identifier: Apache-2.0 */
#include "array.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"
#include "moegps/mem.h"
#include "moegps/trace.h"

enum { CHUNK = 8192, PADDING = UINT16_MAX, MAX_RANK = 3 };

/* Elements in the order of the file, each with its place in an array in C
 * order whose dimensions are in another order. */
typedef struct {
    int rank;
    size_t dims[MAX_RANK];   /* as in the file */
    size_t stride[MAX_RANK]; /* in the target, of each of them */
    size_t index[MAX_RANK];  /* of the element */
    bool fortran;
    size_t at; /* its place in the target */
} walk;

/* Go to the next element of the file. */
static void step(walk *w)
{
    for (int k = 0; k < w->rank; k++) {
        const int d = w->fortran ? k : w->rank - 1 - k;
        w->at += w->stride[d];
        if (++w->index[d] < w->dims[d])
            return;
        w->at -= w->dims[d] * w->stride[d];
        w->index[d] = 0;
    }
}

static void shape_text(const moe_numbers *a, char *text, size_t size)
{
    size_t n = 0;
    text[0] = '\0';
    for (int d = 0; d < a->rank && n < size; d++)
        n += (size_t)snprintf(text + n, size - n, "%s%zu", d > 0 ? ", " : "",
                              a->dims[d]);
}

static moe_status refuse(const moe_numbers *a, const char *why, moe_error *err)
{
    char shape[128];
    shape_text(a, shape, sizeof shape);
    return moe_fail(err, MOE_FORMAT, "%s: [%s] %s", a->name, shape, why);
}

/* ---- loads ---- */

enum { FEW_ROWS = 3, FEW_COLUMNS = 16 };

static bool is_distinct(const double *row, size_t n)
{
    for (size_t a = 1; a < n; a++)
        for (size_t b = 0; b < a; b++)
            if (row[a] == row[b])
                return false;
    return true;
}

static double sum_of(const double *row, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += row[i];
    return sum;
}

/* Layers of a step have the pairs of the same tokens, and loads are seldom all
 * different and small; experts that a token chose are. */
static bool may_be_choices(const moe_recording *r)
{
    const size_t n_e = (size_t)r->experts, n_l = (size_t)r->layers;
    const size_t rows = r->steps * n_l;
    bool differ = false;
    if (n_e > FEW_COLUMNS || rows < FEW_ROWS)
        return false;
    for (size_t i = 0; i < rows; i++) {
        const double *row = r->load + i * n_e;
        const double sum = sum_of(row, n_e);
        moe_bulk_passed(row, n_e * sizeof *row);
        if (!is_distinct(row, n_e) || sum >= (double)n_e * MOE_MAX_EXPERTS)
            return false;
        differ = differ || sum != sum_of(r->load + i / n_l * n_l * n_e, n_e);
    }
    return differ;
}

static moe_status read_loads(moe_numbers *a, const moe_recording_options *o,
                             moe_recording *out, moe_error *err)
{
    if (a->rank != 2 && a->rank != 3)
        return refuse(a,
                      "is neither [layers, experts] nor [steps, layers, "
                      "experts]",
                      err);
    const size_t experts = a->dims[a->rank - 1], layers = a->dims[a->rank - 2];
    if (o->top_k > 0 && o->experts > 0 && experts == (size_t)o->top_k &&
        o->top_k != o->experts)
        return refuse(a,
                      "has as many columns as experts are chosen, not as there "
                      "are: tokens, not loads (--axes layers,tokens,k or "
                      "tokens,layers,k)",
                      err);
    if (moe_recording_make_loads(out, a->name, a->rank == 3 ? a->dims[0] : 1,
                                 layers, experts, err) != MOE_OK)
        return err->status;
    walk w = {.rank = a->rank, .fortran = a->fortran};
    memcpy(w.dims, a->dims, (size_t)a->rank * sizeof *w.dims);
    w.stride[a->rank - 1] = 1;
    w.stride[a->rank - 2] = experts;
    if (a->rank == 3)
        w.stride[0] = layers * experts;
    const size_t n = moe_numbers_length(a);
    double value[CHUNK];
    for (size_t done = 0; done < n;) {
        const size_t now = n - done < CHUNK ? n - done : CHUNK;
        if (moe_numbers_real(a, now, value, err) != MOE_OK)
            return err->status;
        for (size_t j = 0; j < now; j++, done++) {
            out->load[w.at] = value[j];
            step(&w);
        }
        moe_bulk_passed(out->load, now * sizeof *out->load);
    }
    if ((a->kind == 'i' || a->kind == 'u') && may_be_choices(out))
        moe_remark(&out->understood,
                   "taken for loads of %d experts: if these are experts that "
                   "tokens chose, --axes says so",
                   out->experts);
    return MOE_OK;
}

/* ---- tokens ---- */

/* Which dimension of the file is which. */
typedef struct {
    int layer, token, choice; /* choice -1: the only one */
} axes;

/* Whether it is known which layers of the model so many are. */
static bool is_listed(size_t layers, const moe_recording_options *o,
                      const moe_companions *beside)
{
    return (o->keep != NULL && layers == o->keep->n) ||
           (beside != NULL && beside->value[MOE_COMPANION_LAYERS] != NULL &&
            layers == beside->n[MOE_COMPANION_LAYERS]);
}

static moe_status choose_axes(const moe_numbers *a,
                              const moe_recording_options *o,
                              const moe_companions *beside, axes *out,
                              moe_error *err)
{
    const bool tokens_first = o->axes == MOE_AXES_TOKENS_LAYERS;
    *out = (axes){.layer = tokens_first ? 1 : 0,
                  .token = tokens_first ? 0 : 1,
                  .choice = a->rank == 3 ? 2 : -1};
    const size_t k = a->rank == 3 ? a->dims[2] : 1;
    const size_t layers = a->dims[out->layer];
    if (o->top_k > 0 && k != (size_t)o->top_k)
        return moe_fail(err, MOE_FORMAT,
                        "%s: the last dimension is %zu, but %d experts are "
                        "chosen per token",
                        a->name, k, o->top_k);
    const bool listed = is_listed(layers, o, beside);
    if (o->layers > 0 && layers != (size_t)o->layers && !listed) {
        const bool other = a->dims[out->token] == (size_t)o->layers;
        char why[160];
        snprintf(
            why, sizeof why, "has %zu layers as %s, the model has %d%s", layers,
            tokens_first ? "tokens, layers, k" : "layers, tokens, k", o->layers,
            !other         ? " (--layers says which were recorded)"
            : tokens_first ? " (--axes layers,tokens,k)"
                           : " (--axes tokens,layers,k)");
        return refuse(a, why, err);
    }
    if (o->layers == 0 && o->axes == MOE_AXES_UNKNOWN && !listed)
        return refuse(a,
                      "may be layers, tokens, k or tokens, layers, k: --axes "
                      "or --model says",
                      err);
    return MOE_OK;
}

/* Where a value is from. */
typedef struct {
    const moe_numbers *a;
    const moe_recording_options *o;
    const axes *x;
    walk w;
} token_walk;

static moe_status take_expert(const token_walk *t, int64_t value, uint16_t *out,
                              moe_error *err)
{
    const moe_recording_options *o = t->o;
    const size_t *index = t->w.index;
    if (value >= 0 && value < MOE_MAX_EXPERTS &&
        (o->experts == 0 || value < o->experts)) {
        *out = (uint16_t)value;
        return MOE_OK;
    }
    if (o->padded && value == o->pad) {
        *out = PADDING;
        return MOE_OK;
    }
    return moe_fail(err, MOE_FORMAT,
                    "%s: layer %zu, token %zu, choice %zu: %" PRId64
                    " is no expert of 0..%d%s",
                    t->a->name, index[t->x->layer], index[t->x->token],
                    t->x->choice >= 0 ? index[t->x->choice] : 0, value,
                    (o->experts > 0 ? o->experts : MOE_MAX_EXPERTS) - 1,
                    value < 0 ? " (--pad drops padding)" : "");
}

/* Tokens of padding have it in every layer and choice; drop them. */
static moe_status drop_padding(moe_recording *r, const char *name,
                               moe_error *err)
{
    const size_t k = (size_t)r->top_k, n = r->n_tokens;
    size_t kept = 0;
    bool *padded = moe_bulk_new(n, sizeof *padded, err);
    for (size_t i = 0; padded != NULL && i < n; i++) {
        size_t found = 0;
        moe_bulk_passed(r->experts_of,
                        k * (size_t)r->layers * sizeof *r->experts_of);
        for (size_t l = 0; l < (size_t)r->layers; l++)
            for (size_t j = 0; j < k; j++)
                found += r->experts_of[(l * n + i) * k + j] == PADDING;
        padded[i] = found > 0;
        kept += found == 0;
        if (found > 0 && found < k * (size_t)r->layers) {
            moe_fail(err, MOE_FORMAT,
                     "%s: token %zu is padding in %zu of its %zu choices", name,
                     i, found, k * (size_t)r->layers);
            break;
        }
    }
    if (err->status == MOE_OK && kept == 0)
        moe_fail(err, MOE_FORMAT, "%s: all tokens are padding", name);
    if (err->status == MOE_OK) {
        moe_remark(&r->dropped, "%zu of %zu tokens are padding", n - kept, n);
        moe_recording_drop_tokens(r, padded);
    }
    moe_bulk_free(padded);
    return err->status;
}

/* Where elements of the file go. */
static walk walk_of(const moe_numbers *a, const axes *x,
                    const moe_recording *out)
{
    const size_t k = (size_t)out->top_k;
    walk w = {.rank = a->rank, .fortran = a->fortran};
    memcpy(w.dims, a->dims, (size_t)a->rank * sizeof *w.dims);
    w.stride[x->layer] = out->n_tokens * k;
    w.stride[x->token] = k;
    if (x->choice >= 0)
        w.stride[x->choice] = 1;
    return w;
}

/* Weights of the choices lie as these do. */
static moe_status take_gates(const moe_numbers *a, const axes *x,
                             const moe_companions *beside, moe_recording *out,
                             moe_error *err)
{
    const moe_numbers *g = &beside->gates;
    const size_t n = moe_numbers_length(a);
    if (g->rank != a->rank ||
        memcmp(g->dims, a->dims, (size_t)a->rank * sizeof *a->dims) != 0)
        return refuse(g, "gates are not as many as the experts of tokens", err);
    walk w = walk_of(g, x, out);
    out->gate = moe_bulk_new(n, sizeof *out->gate, err);
    for (size_t i = 0; out->gate != NULL && i < n; i++, step(&w)) {
        if (i % CHUNK == 0) {
            moe_bulk_passed(out->gate, CHUNK * sizeof *out->gate);
            moe_bulk_passed(beside->gate, CHUNK * sizeof *beside->gate);
        }
        if (beside->gate[i] >= 0 && isfinite(beside->gate[i]))
            out->gate[w.at] = (float)beside->gate[i];
        else
            return moe_fail(err, MOE_FORMAT,
                            "%s: layer %zu, token %zu, choice %zu: %g is no "
                            "weight of a choice",
                            g->name, w.index[x->layer], w.index[x->token],
                            x->choice >= 0 ? w.index[x->choice] : 0,
                            beside->gate[i]);
    }
    return err->status;
}

static moe_status take_beside(const moe_numbers *a,
                              const moe_recording_options *o, const axes *x,
                              moe_companions *beside, moe_recording *out,
                              moe_error *err)
{
    if (moe_companions_open(beside, o, err) == MOE_OK &&
        moe_companions_attach(beside, out, err) == MOE_OK &&
        beside->gate != NULL)
        take_gates(a, x, beside, out, err);
    return err->status;
}

static moe_status read_tokens(moe_numbers *a, const moe_recording_options *o,
                              moe_companions *beside, moe_recording *out,
                              moe_error *err)
{
    axes x;
    bool any = false;
    if (a->kind == 'f' || a->kind == 'b')
        return refuse(a, "are real numbers, not experts", err);
    if (a->rank != 2 && a->rank != 3)
        return refuse(a, "is not [layers, tokens, k]", err);
    if (choose_axes(a, o, beside, &x, err) != MOE_OK ||
        moe_recording_make_tokens(
            out, a->name, a->dims[x.layer], a->dims[x.token],
            x.choice >= 0 ? a->dims[x.choice] : 1, err) != MOE_OK)
        return err->status;
    token_walk t = {a, o, &x, walk_of(a, &x, out)};
    const size_t n = moe_numbers_length(a);
    int64_t value[CHUNK];
    for (size_t done = 0; done < n;) {
        const size_t now = n - done < CHUNK ? n - done : CHUNK;
        if (moe_numbers_int(a, now, value, err) != MOE_OK)
            return err->status;
        for (size_t j = 0; j < now; j++, done++) {
            uint16_t *to = &out->experts_of[t.w.at];
            if (take_expert(&t, value[j], to, err) != MOE_OK)
                return err->status;
            if (*to == PADDING)
                any = true;
            else if (*to >= out->experts)
                out->experts = *to + 1;
            step(&t.w);
        }
        moe_bulk_passed(out->experts_of, now * sizeof *out->experts_of);
    }
    moe_companions own = {0};
    take_beside(a, o, &x, beside != NULL ? beside : &own, out, err);
    moe_companions_fini(&own);
    return any && err->status == MOE_OK ? drop_padding(out, a->name, err)
                                        : err->status;
}

/* Real numbers are loads. Integers in as many columns as experts are chosen
 * are tokens, in as many as there are experts loads. */
static moe_recording_kind kind_of(const moe_numbers *a,
                                  const moe_recording_options *o)
{
    const size_t last = a->rank > 0 ? a->dims[a->rank - 1] : 0;
    if (o->kind != MOE_RECORDING_ANY)
        return o->kind;
    if (a->kind == 'f' || a->kind == 'b' ||
        (o->experts > 0 && last == (size_t)o->experts &&
         o->experts != o->top_k))
        return MOE_RECORDING_LOADS;
    if (o->top_k > 0 && last == (size_t)o->top_k)
        return MOE_RECORDING_TOKENS;
    return MOE_RECORDING_ANY;
}

moe_status moe_recording_take_array(moe_numbers *a,
                                    const moe_recording_options *options,
                                    moe_companions *beside, moe_recording *out,
                                    moe_error *err)
{
    if (moe_numbers_length(a) == SIZE_MAX)
        return refuse(a, "is too large", err);
    switch (kind_of(a, options)) {
    case MOE_RECORDING_LOADS:
        return read_loads(a, options, out, err);
    case MOE_RECORDING_TOKENS:
        return read_tokens(a, options, beside, out, err);
    case MOE_RECORDING_ANY:
        break;
    }
    return refuse(a,
                  options->experts > 0
                      ? "fits neither loads (experts last) nor experts of "
                        "tokens (choices last) of this model"
                      : "may be loads or experts of tokens: --kind=load|token "
                        "or --model says",
                  err);
}
