/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/mem.h"
#include "moegps/text.h"
#include "moegps/trace.h"

/* What usually spoils recordings. */

/* More of all tokens than this that are one and the same row are no text: a
 * layer chooses the same k of E experts for neighbouring tokens often, all
 * layers together hardly ever. */
static const double MOST_REPEATS = 0.05;
/* Loads of layers that differ by more were not recorded from the same tokens. */
static const double MOST_DIFFERENCE = 0.01;

/* ---- repeated rows ---- */

/* A token's choices in all layers, as one number. FNV-1a. */
static uint64_t hash_of(const moe_recording *r, uint64_t token)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (int l = 0; l < r->layers; l++)
        for (int j = 0; j < r->top_k; j++)
            h = (h ^ r->experts_of[((uint64_t)l * r->n_tokens + token) *
                                       (uint64_t)r->top_k +
                                   (uint64_t)j]) *
                UINT64_C(1099511628211);
    return h;
}

/* The longest run of equal neighbours. @return its length. */
static uint64_t longest_run(const uint64_t *hash, uint64_t n, uint64_t *first)
{
    uint64_t longest = 0;
    for (uint64_t i = 0, begin = 0; i < n; i++) {
        if (i > 0 && hash[i] != hash[i - 1])
            begin = i;
        if (i - begin + 1 > longest) {
            longest = i - begin + 1;
            *first = begin;
        }
    }
    return longest;
}

static int by_value(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* @return tokens that have the row which most have. Sorts. */
static uint64_t most_equal(uint64_t *hash, uint64_t n)
{
    uint64_t first = 0;
    qsort(hash, n, sizeof *hash, by_value);
    return longest_run(hash, n, &first);
}

static void find_repeats(const moe_recording *r, moe_remarks *out,
                         moe_error *err)
{
    uint64_t *hash = moe_array_new(r->n_tokens, sizeof *hash, err);
    uint64_t first = 0;
    for (uint64_t i = 0; hash != NULL && i < r->n_tokens; i++)
        hash[i] = hash_of(r, i);
    if (hash == NULL)
        return;
    const uint64_t run = longest_run(hash, r->n_tokens, &first);
    const uint64_t equal = most_equal(hash, r->n_tokens);
    if (equal > 1 && (double)equal > MOST_REPEATS * (double)r->n_tokens)
        moe_remark(out,
                   "%" PRIu64 " of %" PRIu64 " tokens (%.0f %%) have one and "
                   "the same experts in all layers, %" PRIu64 " in a row from "
                   "token %" PRIu64 ": dummy or warm-up tokens "
                   "(--drop-repeats %" PRIu64 " drops runs of as many)",
                   equal, r->n_tokens,
                   100 * (double)equal / (double)r->n_tokens, run, first,
                   run > 2 ? run : 2);
    free(hash);
}

moe_status moe_recording_drop_repeats(moe_recording *r, uint64_t length,
                                      moe_error *err)
{
    moe_error local = {0};
    if (r->kind != MOE_RECORDING_TOKENS || length < 2)
        return moe_fail(err, MOE_USAGE,
                        "--drop-repeats: runs of 2 tokens and more of a "
                        "recording of tokens can be dropped");
    uint64_t *hash = moe_array_new(r->n_tokens, sizeof *hash, &local);
    bool *drop = moe_array_new(r->n_tokens, sizeof *drop, &local);
    uint64_t kept = 0;
    for (uint64_t i = 0; local.status == MOE_OK && i < r->n_tokens; i++)
        hash[i] = hash_of(r, i);
    for (uint64_t i = 0, end; local.status == MOE_OK && i < r->n_tokens;
         i = end) {
        for (end = i + 1; end < r->n_tokens && hash[end] == hash[i]; end++)
            ;
        for (uint64_t t = i; t < end; t++)
            drop[t] = end - i >= length;
        kept += end - i >= length ? 0 : end - i;
    }
    if (local.status == MOE_OK && kept == 0)
        moe_fail(&local, MOE_FORMAT,
                 "all tokens are runs of %" PRIu64 " equal ones", length);
    if (local.status == MOE_OK) {
        moe_remark(&r->dropped,
                   "%" PRIu64 " of %" PRIu64 " tokens: runs of %" PRIu64
                   " and more equal ones",
                   r->n_tokens - kept, r->n_tokens, length);
        moe_recording_drop_tokens(r, drop);
    }
    free(drop);
    free(hash);
    return moe_pass(err, &local);
}

/* ---- loads ---- */

/* @return pairs of a layer over all steps. */
static double sum_of(const moe_recording *r, int layer)
{
    double sum = 0;
    for (size_t s = 0; s < r->steps; s++)
        for (int e = 0; e < r->experts; e++)
            sum += r->load[(s * (size_t)r->layers + (size_t)layer) *
                               (size_t)r->experts +
                           (size_t)e];
    return sum;
}

static void compare_layers(const moe_recording *r, moe_remarks *out)
{
    int least = 0, most = 0;
    for (int l = 1; l < r->layers; l++) {
        least = sum_of(r, l) < sum_of(r, least) ? l : least;
        most = sum_of(r, l) > sum_of(r, most) ? l : most;
    }
    const double low = sum_of(r, least), high = sum_of(r, most);
    if (high - low > MOST_DIFFERENCE * high)
        moe_remark(out,
                   "layer %d has %.0f pairs, layer %d has %.0f: not of the "
                   "same tokens (--layers leaves some out)",
                   r->layer_number[least], low, r->layer_number[most], high);
}

/* Every count a multiple of n: the same loads n times over. */
static void find_copies(const moe_recording *r, moe_remarks *out)
{
    const size_t n = r->steps * (size_t)r->layers * (size_t)r->experts;
    uint64_t divisor = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t a = (uint64_t)r->load[i];
        if (r->load[i] != (double)a)
            return;
        while (a != 0) {
            const uint64_t rest = divisor % a;
            divisor = a;
            a = rest;
        }
        if (divisor == 1)
            return;
    }
    if (divisor > 1)
        moe_remark(out,
                   "every load is a multiple of %" PRIu64 ": %" PRIu64
                   " data-parallel ranks that recorded the same?",
                   divisor, divisor);
}

/* ---- uses ---- */

void moe_recording_uses(const moe_recording *r, moe_remarks *out)
{
    const bool tokens = r->kind == MOE_RECORDING_TOKENS;
    const bool several =
        tokens ? r->seq_offset != NULL && r->n_seqs > 1 : r->steps > 1;
    char can[256] = "planners and splits", cannot[256] = "";
    const struct {
        bool yes;
        const char *what;
    } uses[] = {
        {several, "training and test parts"},
        {several && r->in_time, "online predictors (window, ema), intervals"},
        {tokens, "the exchange of tokens as it was"},
        {tokens && r->token_id != NULL, "predictors by token id"},
        {tokens && r->position != NULL, "predictors by position"},
        {tokens && r->gate != NULL, "weights of the choices"}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(uses); i++)
        if (uses[i].yes)
            moe_text_add(can, sizeof can, ", ", "%s", uses[i].what);
        else
            moe_text_add(cannot, sizeof cannot, ", ", "%s", uses[i].what);
    moe_remark(out, "can: benchmark %s", can);
    if (cannot[0] != '\0')
        moe_remark(out, "cannot: %s", cannot);
}

moe_status moe_recording_inspect(const moe_recording *r, moe_remarks *out,
                                 moe_error *err)
{
    moe_error local = {0};
    if (r->kind == MOE_RECORDING_LOADS) {
        compare_layers(r, out);
        find_copies(r, out);
        if (r->steps == 1)
            moe_remark(out, "one step: nothing is known of change over time");
    } else {
        find_repeats(r, out, &local);
        if (r->seq_offset == NULL || r->n_seqs == 1)
            moe_remark(out, "one sequence: it cannot be split into a training "
                            "and a test part (--sequences says where they "
                            "begin, slice --tokens A:B cuts)");
        if (r->token_id == NULL)
            moe_remark(out, "no token ids: predictors by token cannot learn "
                            "(--token-ids adds them)");
    }
    return moe_pass(err, &local);
}
