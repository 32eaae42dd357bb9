/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/batch.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "running.h"

const char *const moe_batch_orders[] = {[MOE_BATCH_AUTO] = "auto",
                                        [MOE_BATCH_RECORDED] = "recorded",
                                        [MOE_BATCH_SHUFFLED] = "shuffled",
                                        NULL};

struct moe_batcher {
    moe_batcher_params p;
    int *layers;     /* [p.n_layers] */
    uint32_t *order; /* [n_seqs] test sequences, permuted */
    uint64_t *start; /* [n_seqs + 1] place of each in the stream */
    uint32_t n_seqs;
    bool recorded;
    uint64_t skip; /* sequences or tokens of the stream before batch 0 */
    uint64_t max_tokens;
    double alike; /* as moe_batcher_alike() */
    uint32_t max_own;
    moe_running *running; /* decode of a token trace; else NULL */
    double cached;        /* mean */
    uint16_t *expanded;   /* [longest sequence][top_k] scratch */
    moe_batch batch;
};

bool moe_batch_in_order(const moe_trace *trace, moe_batch_order order)
{
    return order == MOE_BATCH_RECORDED ||
           (order == MOE_BATCH_AUTO && trace->order == MOE_ORDER_TIME);
}

/* A batch as a piece of the endless stream. */
typedef struct {
    uint64_t first, tokens;
} piece;

static piece piece_of(const moe_batcher *b, uint64_t iteration)
{
    if (b->running != NULL) /* no piece of it, but as long */
        return (piece){0, (uint64_t)b->p.batch};
    if (b->p.seq > 0) {
        uint64_t tokens = (uint64_t)b->p.batch * (uint64_t)b->p.seq;
        return (piece){b->skip + iteration * tokens, tokens};
    }
    uint64_t per_pass = b->start[b->n_seqs];
    uint64_t first = b->skip + iteration * (uint64_t)b->p.batch,
             end = first + (uint64_t)b->p.batch;
    uint64_t from = first / b->n_seqs * per_pass + b->start[first % b->n_seqs];
    uint64_t to = end / b->n_seqs * per_pass + b->start[end % b->n_seqs];
    return (piece){from, to - from};
}

/* @return the sequence (index into order) that holds a place of one pass. */
static uint32_t find_sequence(const moe_batcher *b, uint64_t place)
{
    uint32_t low = 0, high = b->n_seqs;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (b->start[mid] <= place)
            low = mid;
        else
            high = mid;
    }
    return low;
}

/* @return the next piece of one sequence. @param place  in the endless stream.
 * @param most  tokens. */
static moe_stretch stretch_at(const moe_batcher *b, uint64_t place,
                              uint64_t most)
{
    place %= b->start[b->n_seqs];
    const uint32_t s = find_sequence(b, place);
    const uint64_t left = b->start[s + 1] - place;
    return (moe_stretch){b->order[s], place - b->start[s],
                         left < most ? left : most};
}

/* Steps are no sequences: a deployment's tokens of one iteration. */
static bool is_whole(const moe_batcher *b)
{
    return b->p.whole && b->running == NULL &&
           (b->p.trace->kind == MOE_TRACE_TOKENS || b->p.seq > 0);
}

/* @return tokens of a batch before its sequence number s. */
static uint64_t before(const moe_batcher *b, uint64_t iteration, uint64_t s)
{
    if (b->p.seq > 0)
        return s * (uint64_t)b->p.seq;
    const uint64_t seq = b->skip + iteration * (uint64_t)b->p.batch + s;
    return seq / b->n_seqs * b->start[b->n_seqs] + b->start[seq % b->n_seqs] -
           piece_of(b, iteration).first;
}

/* @return sequences that the first g of some GPUs have. */
static uint64_t sequences_below(const moe_batcher *b, uint64_t g, int gpus)
{
    return (uint64_t)b->p.batch * g / (uint64_t)gpus;
}

uint64_t moe_batcher_before(const moe_batcher *b, uint64_t iteration, int gpu,
                            int gpus)
{
    const uint64_t g = (uint64_t)gpu;
    return is_whole(b) ? before(b, iteration, sequences_below(b, g, gpus))
                       : piece_of(b, iteration).tokens * g / (uint64_t)gpus;
}

/* @return tokens of a batch that GPUs below g have. */
static uint64_t cut(const moe_batcher *b, uint64_t iteration, uint64_t g)
{
    return moe_batcher_before(b, iteration, (int)g, b->p.gpus);
}

/* @return tokens of GPU g in the first half of a batch; the larger, as it is
 * priced. */
static uint64_t half(const moe_batcher *b, uint64_t iteration, uint64_t g)
{
    const uint64_t first = cut(b, iteration, g);
    const uint64_t s = sequences_below(b, g, b->p.gpus);
    const uint64_t end = sequences_below(b, g + 1, b->p.gpus);
    return is_whole(b) ? before(b, iteration, s + (end - s + 1) / 2) - first
                       : (cut(b, iteration, g + 1) - first + 1) / 2;
}

static void measure_batches(moe_batcher *b)
{
    for (uint64_t i = 0; i < (uint64_t)b->p.iterations; i++) {
        const uint64_t tokens = piece_of(b, i).tokens;
        uint32_t most = moe_batch_share_max(tokens, b->p.gpus);
        for (uint64_t g = 0; is_whole(b) && g < (uint64_t)b->p.gpus; g++) {
            const uint32_t own = (uint32_t)(cut(b, i, g + 1) - cut(b, i, g));
            most = g == 0 || own > most ? own : most;
        }
        b->max_tokens = tokens > b->max_tokens ? tokens : b->max_tokens;
        b->max_own = most > b->max_own ? most : b->max_own;
    }
}

static moe_status order_sequences(moe_batcher *b, moe_error *err)
{
    const moe_trace *t = b->p.trace;
    const moe_split_part part = b->p.training ? MOE_PART_TRAIN : MOE_PART_TEST;
    b->order = moe_array_new(t->n_seqs, sizeof *b->order, err);
    b->start = moe_array_new(t->n_seqs + 1, sizeof *b->start, err);
    if (b->order == NULL || b->start == NULL)
        return err->status;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        if (t->seq_part[s] == part && t->seq_offset[s + 1] > t->seq_offset[s])
            b->order[b->n_seqs++] = (uint32_t)s;
    if (b->n_seqs == 0)
        return moe_fail(err, MOE_USAGE, "trace: the %s part is empty",
                        b->p.training ? "training" : "test");
    b->recorded = moe_batch_in_order(t, b->p.order);
    moe_rng rng = moe_rng_at(b->p.seed, MOE_RNG_BATCH, 0, 0, 0);
    if (!b->recorded)
        moe_rng_shuffle(&rng, b->order, b->n_seqs, sizeof *b->order);
    for (uint32_t s = 0; s < b->n_seqs; s++)
        b->start[s + 1] = b->start[s] + t->seq_offset[b->order[s] + 1] -
                          t->seq_offset[b->order[s]];
    return MOE_OK;
}

/* Recorded order ends; a stream that starts over after its end is no time. */
static moe_status check_length(moe_batcher *b, moe_error *err)
{
    const uint64_t whole = moe_batcher_whole(b);
    if (b->p.training && whole > 0)
        b->skip = b->p.seq > 0 ? b->start[b->n_seqs] % piece_of(b, 0).tokens
                               : b->n_seqs % (uint64_t)b->p.batch;
    if (!b->recorded || b->p.repeat || moe_batcher_passes(b) <= 1)
        return MOE_OK;
    return moe_fail(err, MOE_USAGE,
                    "trace: recorded order has %" PRIu64 " batch%s of this "
                    "size in the %s part, %d are asked for, warm-up included",
                    whole, whole == 1 ? "" : "es",
                    b->p.training ? "training" : "test", b->p.iterations);
}

/* The new token of a running sequence. */
typedef struct {
    uint64_t seq, from; /* of the trace; which of its tokens */
    double cached;
} new_token;

static new_token next_token(const moe_batcher *b, uint64_t iteration, int slot)
{
    const moe_trace *t = b->p.trace;
    uint32_t seq = 0;
    new_token n;
    n.from = moe_running_token(b->running, iteration, slot, &seq);
    n.seq = b->order[seq];
    n.cached = t->has_position ? t->position[t->seq_offset[n.seq] + n.from]
                               : (double)n.from;
    return n;
}

static uint64_t longest_sequence(const moe_trace *t)
{
    uint64_t longest = 0;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        if (t->seq_offset[s + 1] - t->seq_offset[s] > longest)
            longest = t->seq_offset[s + 1] - t->seq_offset[s];
    return longest;
}

static moe_status allocate(moe_batcher *b, moe_error *err)
{
    const moe_trace *t = b->p.trace;
    moe_batch *x = &b->batch;
    x->layers = b->p.n_layers;
    x->experts = t->experts;
    x->top_k = t->top_k;
    size_t k = (size_t)t->top_k, n_l = (size_t)b->p.n_layers;
    measure_batches(b);
    size_t own = b->p.gpu < 0 ? 1 : b->max_own;
    b->layers = moe_array_new(n_l, sizeof *b->layers, err);
    b->expanded =
        moe_array_new(longest_sequence(t) * k, sizeof *b->expanded, err);
    x->experts_of = moe_array_new(n_l * own * k, sizeof *x->experts_of, err);
    x->id = moe_array_new(own, sizeof *x->id, err);
    x->true_pairs =
        moe_array_new(n_l * (size_t)t->experts, sizeof *x->true_pairs, err);
    if (t->has_gate)
        x->gate = moe_array_new(n_l * own * k, sizeof *x->gate, err);
    if (t->token_id != NULL)
        x->token_id = moe_array_new(own, sizeof *x->token_id, err);
    if (t->has_position)
        x->position = moe_array_new(own, sizeof *x->position, err);
    if (err->status == MOE_OK)
        memcpy(b->layers, b->p.layers, n_l * sizeof *b->layers);
    return err->status;
}

/* ---- batches of one cluster ---- */

/* Of a batch: so much of one cluster, else it mixes them. */
static const double MOSTLY = 0.95;
enum { MOST_MET = 8 }; /* clusters of a batch that are told apart */

/* @param share_out  of its tokens, of the cluster that has most
 *  @return that cluster. */
static uint32_t main_cluster(const moe_batcher *b, uint64_t iteration,
                             double *share_out)
{
    const piece whole = piece_of(b, iteration);
    const uint32_t *cluster =
        b->p.trace->has_cluster ? b->p.trace->cluster : NULL;
    uint32_t met[MOST_MET];
    uint64_t tokens[MOST_MET] = {0};
    int n = 0, most = 0;
    for (uint64_t done = 0; done < whole.tokens;) {
        const moe_stretch s =
            stretch_at(b, whole.first + done, whole.tokens - done);
        const uint32_t c = cluster != NULL ? cluster[s.seq] : (uint32_t)s.seq;
        int at = 0;
        while (at < n && met[at] != c)
            at++;
        if (at < MOST_MET) {
            met[at] = c;
            tokens[at] += s.n;
            n = at == n ? n + 1 : n;
            most = tokens[at] > tokens[most] ? at : most;
        }
        done += s.n;
    }
    *share_out = (double)tokens[most] / (double)whole.tokens;
    return met[most];
}

static int compare_u32(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static moe_status count_alike(moe_batcher *b, moe_error *err)
{
    const int n = b->p.iterations;
    double shares = 0, share, squares = 0;
    b->alike = 1;
    if (b->running != NULL) /* a batch mixes the sequences that run */
        return MOE_OK;
    uint32_t *of = moe_array_new((size_t)n, sizeof *of, err);
    if (of == NULL)
        return err->status;
    for (int i = 0; i < n; i++) {
        of[i] = main_cluster(b, (uint64_t)i, &share);
        shares += share / n;
    }
    qsort(of, (size_t)n, sizeof *of, compare_u32);
    for (int i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && of[end] == of[i]; end++)
            ;
        squares += (double)(end - i) * (end - i);
    }
    b->alike = shares >= MOSTLY ? squares / n : 1;
    free(of);
    return MOE_OK;
}

static moe_status start_running(moe_batcher *b, moe_error *err)
{
    if (!b->p.decode || b->p.trace->kind != MOE_TRACE_TOKENS)
        return MOE_OK;
    const uint64_t n = (uint64_t)b->p.iterations;
    double sum = 0;
    if (moe_running_new(b->start, b->n_seqs, b->p.batch, b->p.iterations,
                        &b->running, err) != MOE_OK)
        return err->status;
    for (uint64_t i = 0; i < n; i++)
        for (int s = 0; s < b->p.batch; s++)
            sum += next_token(b, i, s).cached;
    b->cached = sum / (double)n / b->p.batch;
    return MOE_OK;
}

moe_status moe_batcher_new(const moe_batcher_params *params,
                           moe_batcher **batcher_out, moe_error *err)
{
    moe_error local = {0};
    moe_batcher *b = moe_array_new(1, sizeof *b, &local);
    if (b == NULL)
        return moe_pass(err, &local);
    b->p = *params;
    if (order_sequences(b, &local) != MOE_OK ||
        start_running(b, &local) != MOE_OK ||
        check_length(b, &local) != MOE_OK || count_alike(b, &local) != MOE_OK ||
        allocate(b, &local) != MOE_OK) {
        moe_batcher_free(b);
        return moe_pass(err, &local);
    }
    *batcher_out = b;
    return MOE_OK;
}

void moe_batcher_free(moe_batcher *b)
{
    if (b == NULL)
        return;
    moe_running_free(b->running);
    free(b->layers);
    free(b->order);
    free(b->start);
    free(b->expanded);
    free(b->batch.experts_of);
    free(b->batch.gate);
    free(b->batch.id);
    free(b->batch.token_id);
    free(b->batch.position);
    free(b->batch.true_pairs);
    free(b);
}

uint64_t moe_batcher_max_tokens(const moe_batcher *b)
{
    return b->max_tokens;
}

uint32_t moe_batcher_max_own(const moe_batcher *b)
{
    return b->max_own;
}

int moe_batcher_kv_len(const moe_batcher *b, int asked)
{
    if (asked > 0 || b->running == NULL)
        return asked;
    return b->cached > 1 ? (int)rint(b->cached) : 1;
}

moe_status moe_batch_check_decode(const moe_trace *t, int batch, int seq,
                                  int kv_len, moe_error *err)
{
    if (t->kind == MOE_TRACE_TOKENS)
        return seq == 1 ? MOE_OK
                        : moe_fail(err, MOE_USAGE,
                                   "seq: %d, but in decode a sequence has one "
                                   "new token (allowed: 1)",
                                   seq);
    if (batch != 1 || seq != 0)
        return moe_fail(err, MOE_USAGE,
                        "batch: %d, seq: %d, but in decode a step of a load "
                        "trace is one iteration, whatever its tokens (allowed: "
                        "batch 1, seq 0)",
                        batch, seq);
    return kv_len > 0 ? MOE_OK
                      : moe_fail(err, MOE_USAGE,
                                 "kv_len: 0, but a load trace that decodes has "
                                 "no positions (allowed: 1..)");
}

double moe_batcher_passes(const moe_batcher *b)
{
    if (b->running != NULL)
        return (double)moe_running_begun(b->running) / b->n_seqs;
    piece last = piece_of(b, (uint64_t)b->p.iterations - 1);
    return (double)(last.first + last.tokens) / (double)b->start[b->n_seqs];
}

double moe_batcher_alike(const moe_batcher *b)
{
    return b->alike;
}

uint64_t moe_batcher_whole(const moe_batcher *b)
{
    if (b->running != NULL)
        return moe_running_fresh(b->running);
    return b->p.seq > 0 ? b->start[b->n_seqs] /
                              ((uint64_t)b->p.batch * (uint64_t)b->p.seq)
                        : b->n_seqs / (uint64_t)b->p.batch;
}

bool moe_batcher_is_recorded(const moe_batcher *b)
{
    return b->recorded;
}

uint32_t moe_batch_share_max(uint64_t tokens, int gpus)
{
    return (uint32_t)((tokens + (uint64_t)gpus - 1) / (uint64_t)gpus);
}

/* Copy a stretch to the batch's tokens `at`...
 * @param whole  that the batch has of the step: its tokens are mixed. */
static void take(moe_batcher *b, const moe_stretch *s, const moe_stretch *whole,
                 uint32_t at)
{
    const moe_trace *t = b->p.trace;
    moe_batch *x = &b->batch;
    const uint64_t first = t->seq_offset[s->seq] + s->from, n = s->n;
    const size_t k = (size_t)x->top_k;
    for (uint64_t j = 0; j < n; j++)
        x->id[at + j] = first + j;
    if (x->token_id != NULL)
        memcpy(x->token_id + at, t->token_id + first, n * sizeof *x->token_id);
    if (x->position != NULL)
        memcpy(x->position + at, t->position + first, n * sizeof *x->position);
    for (int l = 0; l < x->layers; l++) {
        const size_t to = ((size_t)l * x->own + at) * k;
        if (t->kind == MOE_TRACE_TOKENS) {
            const size_t row = (size_t)b->layers[l] * t->n_tokens + first;
            memcpy(x->experts_of + to, t->experts_of + row * k,
                   n * k * sizeof *x->experts_of);
            if (x->gate != NULL)
                memcpy(x->gate + to, t->gate + row * k,
                       n * k * sizeof *x->gate);
        } else {
            moe_trace_expand(t, b->p.seed, s->seq, b->layers[l], b->expanded);
            if (b->p.mixed)
                moe_trace_mix(t, b->p.seed, whole, b->layers[l], b->expanded);
            memcpy(x->experts_of + to, b->expanded + s->from * k,
                   n * k * sizeof *x->experts_of);
        }
    }
}

/* @return what the batch has of the step of a stretch, which is at `place`. */
static moe_stretch around(const moe_batcher *b, const piece *batch,
                          uint64_t place, const moe_stretch *s)
{
    const uint64_t *offset = b->p.trace->seq_offset;
    const uint64_t start = place - s->from;
    const uint64_t end = start + offset[s->seq + 1] - offset[s->seq];
    const uint64_t last = batch->first + batch->tokens;
    const uint64_t from = start > batch->first ? start : batch->first;
    const uint64_t to = end < last ? end : last;
    return (moe_stretch){s->seq, from - start, to - from};
}

static void count_pairs(moe_batch *x)
{
    memset(x->true_pairs, 0,
           (size_t)x->layers * (size_t)x->experts * sizeof *x->true_pairs);
    const size_t pairs = (size_t)x->own * (size_t)x->top_k;
    for (int l = 0; l < x->layers; l++)
        for (size_t p = 0; p < pairs; p++)
            x->true_pairs[l * x->experts +
                          x->experts_of[(size_t)l * pairs + p]]++;
}

moe_batch_share moe_batcher_share(const moe_batcher *b, uint64_t iteration,
                                  int gpu, int gpus)
{
    const uint64_t g = (uint64_t)gpu;
    const uint64_t first = moe_batcher_before(b, iteration, gpu, gpus);
    const uint64_t end = moe_batcher_before(b, iteration, gpu + 1, gpus);
    moe_batch_share x = {.tokens = end - first};
    if (b->running != NULL || is_whole(b))
        x.sequences = (uint32_t)(sequences_below(b, g + 1, gpus) -
                                 sequences_below(b, g, gpus));
    for (uint64_t s = first; s < end && b->running != NULL; s++)
        x.cached += next_token(b, iteration, (int)s).cached;
    return x;
}

static void count_shares(moe_batcher *b, uint64_t iteration)
{
    moe_batch *x = &b->batch;
    x->all = moe_batcher_share(b, iteration, 0, 1);
    x->mine = (moe_batch_share){0};
    if (b->p.gpu >= 0)
        x->mine = moe_batcher_share(b, iteration, b->p.gpu, b->p.gpus);
}

moe_batch *moe_batcher_load(moe_batcher *b, uint64_t iteration)
{
    moe_batch *x = &b->batch;
    const piece whole = piece_of(b, iteration);
    const uint64_t g = (uint64_t)b->p.gpu;
    x->iteration = iteration;
    x->tokens = whole.tokens;
    x->first = b->p.gpu < 0 ? 0 : cut(b, iteration, g);
    x->own = b->p.gpu < 0 ? 0 : (uint32_t)(cut(b, iteration, g + 1) - x->first);
    x->half = b->p.gpu < 0 ? 0 : (uint32_t)half(b, iteration, g);
    count_shares(b, iteration);
    for (uint32_t done = 0; done < x->own && b->running != NULL; done++) {
        const new_token n = next_token(b, iteration, (int)(x->first + done));
        const moe_stretch s = {n.seq, n.from, 1};
        take(b, &s, &s, done);
    }
    for (uint32_t done = 0; done < x->own && b->running == NULL;) {
        const uint64_t place = whole.first + x->first + done;
        const moe_stretch s = stretch_at(b, place, x->own - done);
        const moe_stretch all = around(b, &whole, place, &s);
        take(b, &s, &all, done);
        done += (uint32_t)s.n;
    }
    count_pairs(x);
    return x;
}

/* Steps that are taken whole need not be expanded to tokens. */
static void count_stretch(moe_batcher *b, const moe_stretch *s)
{
    const moe_trace *t = b->p.trace;
    moe_batch *x = &b->batch;
    const size_t k = (size_t)t->top_k, n_e = (size_t)t->experts;
    const uint64_t first = t->seq_offset[s->seq];
    const bool whole = s->n == t->seq_offset[s->seq + 1] - first;
    for (int l = 0; l < x->layers; l++) {
        const size_t layer = (size_t)b->layers[l];
        int64_t *pairs = x->true_pairs + (size_t)l * n_e;
        if (t->kind == MOE_TRACE_LOADS && whole) {
            const uint32_t *counts =
                t->counts + (s->seq * (size_t)t->layers + layer) * n_e;
            for (size_t e = 0; e < n_e; e++)
                pairs[e] += counts[e];
            continue;
        }
        const uint16_t *chosen = b->expanded;
        if (t->kind == MOE_TRACE_LOADS)
            moe_trace_expand(t, b->p.seed, s->seq, b->layers[l], b->expanded);
        if (t->kind == MOE_TRACE_TOKENS)
            chosen = t->experts_of + (layer * t->n_tokens + first) * k;
        for (size_t p = s->from * k; p < (s->from + s->n) * k; p++)
            pairs[chosen[p]]++;
    }
}

moe_batch *moe_batcher_count(moe_batcher *b, uint64_t iteration)
{
    moe_batch *x = &b->batch;
    const piece whole = piece_of(b, iteration);
    x->iteration = iteration;
    x->tokens = whole.tokens;
    x->first = 0;
    x->own = x->half = 0;
    count_pairs(x); /* of no tokens: zero */
    count_shares(b, iteration);
    for (int j = 0; b->running != NULL && j < b->p.batch; j++) {
        const new_token n = next_token(b, iteration, j);
        const moe_stretch s = {n.seq, n.from, 1};
        count_stretch(b, &s);
    }
    for (uint64_t done = b->running != NULL ? whole.tokens : 0;
         done < whole.tokens;) {
        const moe_stretch s =
            stretch_at(b, whole.first + done, whole.tokens - done);
        count_stretch(b, &s);
        done += s.n;
    }
    return x;
}
