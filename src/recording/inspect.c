/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/bulk.h"
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

enum { CANDIDATES = 24 }; /* more than 1 / MOST_REPEATS */

/* Every token's choices in all layers, as one number. FNV-1a.
 * @return [n_tokens] */
static uint64_t *hash_all(const moe_recording *r, moe_error *err)
{
    const size_t n = r->n_tokens, k = (size_t)r->top_k;
    uint64_t *hash = moe_bulk_new(n, sizeof *hash, err);
    for (size_t i = 0; hash != NULL && i < n; i++) {
        hash[i] = UINT64_C(14695981039346656037);
        moe_bulk_passed(hash + i, sizeof *hash);
    }
    for (size_t l = 0; hash != NULL && l < (size_t)r->layers; l++) {
        const uint16_t *row = r->experts_of + l * n * k;
        for (size_t i = 0; i < n; i++, row += k) {
            for (size_t j = 0; j < k; j++)
                hash[i] = (hash[i] ^ row[j]) * UINT64_C(1099511628211);
            moe_bulk_passed(row, k * sizeof *row);
            moe_bulk_passed(hash + i, sizeof *hash);
        }
    }
    return hash;
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

/* Count a row among those that may be frequent: one of another takes away a
 * turn of each when there is no place. */
static void vote(uint64_t hash, uint64_t *candidate, uint64_t *votes)
{
    int place = -1;
    for (int c = 0; c < CANDIDATES; c++) {
        if (votes[c] > 0 && candidate[c] == hash) {
            votes[c]++;
            return;
        }
        place = votes[c] == 0 ? c : place;
    }
    for (int c = 0; c < CANDIDATES && place < 0; c++)
        votes[c]--;
    if (place >= 0) {
        candidate[place] = hash;
        votes[place] = 1;
    }
}

/* What is more than one in CANDIDATES + 1 of all is among the candidates at the
 * end. Source: Misra and Gries 1982, Finding repeated elements.
 * @return tokens that have the row which most have, where these are so many;
 * else any number that is less. */
static uint64_t most_equal(const uint64_t *hash, uint64_t n)
{
    uint64_t candidate[CANDIDATES] = {0}, votes[CANDIDATES] = {0};
    uint64_t count[CANDIDATES] = {0}, most = 0;
    for (uint64_t i = 0; i < n; i++) {
        vote(hash[i], candidate, votes);
        moe_bulk_passed(hash + i, sizeof *hash);
    }
    for (uint64_t i = 0; i < n; i++) {
        for (int c = 0; c < CANDIDATES; c++)
            count[c] += votes[c] > 0 && candidate[c] == hash[i];
        moe_bulk_passed(hash + i, sizeof *hash);
    }
    for (int c = 0; c < CANDIDATES; c++)
        most = count[c] > most ? count[c] : most;
    return most;
}

static void find_repeats(const moe_recording *r, moe_remarks *out,
                         moe_error *err)
{
    uint64_t *hash = hash_all(r, err);
    uint64_t first = 0;
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
    moe_bulk_free(hash);
}

moe_status moe_recording_drop_repeats(moe_recording *r, uint64_t length,
                                      moe_error *err)
{
    moe_error local = {0};
    if (r->kind != MOE_RECORDING_TOKENS || length < 2)
        return moe_fail(err, MOE_USAGE,
                        "--drop-repeats: runs of 2 tokens and more of a "
                        "recording of tokens can be dropped");
    uint64_t *hash = hash_all(r, &local);
    bool *drop = moe_bulk_new(r->n_tokens, sizeof *drop, &local);
    uint64_t kept = 0;
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
    moe_bulk_free(drop);
    moe_bulk_free(hash);
    return moe_pass(err, &local);
}

/* ---- choices ---- */

static bool is_double(const uint16_t *choice, size_t k)
{
    for (size_t a = 1; a < k; a++)
        for (size_t b = 0; b < a; b++)
            if (choice[a] == choice[b])
                return true;
    return false;
}

/* A token chooses distinct experts; engines' slots, and padding, are not. */
static void find_doubles(const moe_recording *r, moe_remarks *out)
{
    const size_t k = (size_t)r->top_k, n = (size_t)r->layers * r->n_tokens;
    size_t doubles = 0, first = 0;
    for (size_t i = 0; i < n; i++) {
        const uint16_t *choice = r->experts_of + i * k;
        if (is_double(choice, k) && doubles++ == 0)
            first = i;
        moe_bulk_passed(choice, k * sizeof *choice);
    }
    if (doubles > 0)
        moe_remark(out,
                   "%zu of %zu rows of a layer and token have an expert twice, "
                   "the first in layer %d, token %" PRIu64
                   ": no trace is made of them, `plan` counts them (of "
                   "padding: --pad; of slots: --physical-map)",
                   doubles, n, r->layer_number[first / r->n_tokens],
                   first % r->n_tokens);
}

/* ---- loads ---- */

static void compare_layers(const moe_recording *r, moe_remarks *out,
                           moe_error *err)
{
    const size_t n_l = (size_t)r->layers, n_e = (size_t)r->experts;
    int least = 0, most = 0;
    double *sum = moe_array_new(n_l, sizeof *sum, err);
    if (sum == NULL)
        return;
    for (size_t i = 0; i < r->steps * n_l; i++) {
        for (size_t e = 0; e < n_e; e++)
            sum[i % n_l] += r->load[i * n_e + e];
        moe_bulk_passed(r->load + i * n_e, n_e * sizeof *r->load);
    }
    for (int l = 1; l < r->layers; l++) {
        least = sum[l] < sum[least] ? l : least;
        most = sum[l] > sum[most] ? l : most;
    }
    const double low = sum[least], high = sum[most];
    free(sum);
    if (high - low > MOST_DIFFERENCE * high)
        moe_remark(out,
                   "layer %d has %.0f pairs, layer %d has %.0f: not of the "
                   "same tokens (--layers leaves some out)",
                   r->layer_number[least], low, r->layer_number[most], high);
}

enum { LEAST_LOADS = 4 }; /* of fewer the divisor is chance */

/* Every count a multiple of n: the same loads n times over. */
static void find_copies(const moe_recording *r, moe_remarks *out)
{
    const size_t n = r->steps * (size_t)r->layers * (size_t)r->experts;
    uint64_t divisor = 0;
    size_t loads = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t a = (uint64_t)r->load[i];
        if (r->load[i] != (double)a)
            return;
        loads += a != 0;
        while (a != 0) {
            const uint64_t rest = divisor % a;
            divisor = a;
            a = rest;
        }
        if (divisor == 1)
            return;
        if (i % (size_t)r->experts == 0)
            moe_bulk_passed(r->load + i, (size_t)r->experts * sizeof(double));
    }
    if (divisor > 1 && loads >= LEAST_LOADS)
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
        compare_layers(r, out, &local);
        find_copies(r, out);
        if (r->steps == 1)
            moe_remark(out, "one step: nothing is known of change over time");
    } else {
        find_doubles(r, out);
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
