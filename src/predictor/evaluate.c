/* SPDX-License-Identifier: Apache-2.0 */
#include "evaluate_pass.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/clock.h"
#include "moegps/mem.h"

enum {
    MAX_GROUPS = 32,    /* of sequences that follow one another */
    MAX_CLUSTERS = 256, /* more share groups */
    MAX_BATCHES = 1000
};

/* ---- set-up ---- */

static moe_status choose_layers(moe_evaluate_pass *c, moe_error *err)
{
    const moe_evaluate_params *p = c->p;
    c->n_layers = p->layers != NULL ? p->n_layers : p->trace->layers;
    c->layers = moe_array_new((size_t)c->n_layers, sizeof *c->layers, err);
    for (int l = 0; c->layers != NULL && l < c->n_layers; l++)
        c->layers[l] = p->layers != NULL ? p->layers[l] : l;
    return err->status;
}

static bool is_tested(const moe_trace *t, uint64_t seq)
{
    return t->seq_part[seq] == MOE_PART_TEST &&
           t->seq_offset[seq + 1] > t->seq_offset[seq];
}

/* Sequences and tokens of the test part, and its longest sequence. */
static void measure_test_part(moe_evaluate_pass *c)
{
    const moe_trace *t = c->p->trace;
    for (uint64_t s = 0; s < t->n_seqs; s++) {
        const uint64_t n = t->seq_offset[s + 1] - t->seq_offset[s];
        if (!is_tested(t, s))
            continue;
        c->n_seqs++;
        c->n_tokens += n;
        c->longest = n > c->longest ? n : c->longest;
    }
}

static int compare_u32(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Number clusters from 0, and say which each sequence is of.
 * @param met  [n_seqs] scratch @return how many there are. */
static int number_clusters(const moe_evaluate_pass *c, uint32_t *met,
                           int *group)
{
    const moe_trace *t = c->p->trace;
    uint64_t i = 0;
    size_t n = 0;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        if (is_tested(t, s))
            met[i++] = t->cluster[s];
    qsort(met, c->n_seqs, sizeof *met, compare_u32);
    for (uint64_t j = 0; j < c->n_seqs; j++)
        if (n == 0 || met[j] != met[n - 1])
            met[n++] = met[j];
    i = 0;
    for (uint64_t s = 0; s < t->n_seqs; s++)
        if (is_tested(t, s)) {
            const uint32_t *at =
                bsearch(&t->cluster[s], met, n, sizeof *met, compare_u32);
            group[i++] = (int)(at - met);
        }
    return (int)n;
}

/* Sequences of one cluster are in one group: they are alike. Of too few
 * clusters nothing could be said. */
static moe_status group_sequences(moe_evaluate_pass *c, moe_error *err)
{
    uint32_t *met = moe_array_new(c->n_seqs, sizeof *met, err);
    c->group = moe_array_new(c->n_seqs, sizeof *c->group, err);
    if (err->status == MOE_OK && c->p->trace->has_cluster)
        c->clusters = number_clusters(c, met, c->group);
    free(met);
    if (c->clusters < MOE_EVALUATE_CLUSTERS)
        c->clusters = 0;
    const uint64_t most = c->clusters > 0 ? (uint64_t)c->clusters : c->n_seqs;
    const uint64_t room = c->clusters > 0 ? MAX_CLUSTERS : MAX_GROUPS;
    c->sums.n = (int)(most < room ? most : room);
    for (uint64_t i = 0; c->group != NULL && i < c->n_seqs; i++) {
        const uint64_t at = c->clusters > 0 ? (uint64_t)c->group[i] : i;
        c->group[i] = (int)(at * (uint64_t)c->sums.n / most);
    }
    return err->status;
}

static moe_status count_batches(moe_evaluate_pass *c, moe_error *err)
{
    const moe_evaluate_params *p = c->p;
    const uint64_t batch = (uint64_t)p->batch, seq = (uint64_t)p->seq;
    if (c->n_seqs == 0)
        return moe_fail(err, MOE_USAGE, "trace: the test part is empty");
    c->n_batches = seq > 0 ? c->n_tokens / (batch * seq) : c->n_seqs / batch;
    if (c->n_batches == 0 && seq > 0)
        return moe_fail(err, MOE_USAGE,
                        "a batch of %d x %d tokens is more than the test "
                        "part's %" PRIu64,
                        p->batch, p->seq, c->n_tokens);
    if (c->n_batches == 0)
        return moe_fail(err, MOE_USAGE,
                        "a batch of %d sequences is more than the test "
                        "part's %" PRIu64,
                        p->batch, c->n_seqs);
    if (c->n_batches > MAX_BATCHES)
        c->n_batches = MAX_BATCHES;
    return MOE_OK;
}

/* @param iterations  to prepare for */
static moe_batcher *open_batches(const moe_evaluate_pass *c, int batch, int seq,
                                 uint64_t iterations, moe_batch_order order,
                                 moe_error *err)
{
    const moe_batcher_params params = {.trace = c->p->trace,
                                       .seed = c->p->seed,
                                       .batch = batch,
                                       .seq = seq,
                                       .layers = c->layers,
                                       .n_layers = c->n_layers,
                                       .iterations = (int)iterations,
                                       .gpu = 0,
                                       .gpus = 1,
                                       .order = order};
    moe_batcher *batcher = NULL;
    moe_batcher_new(&params, &batcher, err);
    return batcher;
}

static moe_status allocate(moe_evaluate_pass *c, moe_error *err)
{
    const moe_trace *t = c->p->trace;
    moe_evaluate_sums *s = &c->sums;
    if (group_sequences(c, err) != MOE_OK)
        return err->status;
    const size_t gl = (size_t)s->n * (size_t)c->n_layers;
    const size_t n_e = (size_t)t->experts, k = (size_t)t->top_k;
    s->truth = moe_array_new(gl * n_e, sizeof *s->truth, err);
    s->predicted = moe_array_new(gl * n_e, sizeof *s->predicted, err);
    s->first = moe_array_new(gl, sizeof *s->first, err);
    s->hits = moe_array_new(gl, sizeof *s->hits, err);
    s->tokens = moe_array_new((size_t)s->n, sizeof *s->tokens, err);
    s->promised =
        moe_array_new(gl * MOE_CALIBRATION_BINS, sizeof *s->promised, err);
    s->kept = moe_array_new(gl * MOE_CALIBRATION_BINS, sizeof *s->kept, err);
    c->choice = moe_array_new(c->max_tokens * k, sizeof *c->choice, err);
    c->share = moe_array_new(n_e, sizeof *c->share, err);
    c->load = moe_array_new(n_e, sizeof *c->load, err);
    c->batch_error =
        moe_array_new((size_t)(c->n_layers + 1) * (size_t)c->n_batches,
                      sizeof *c->batch_error, err);
    return err->status;
}

/* A fresh predictor, which has seen the training part and no iteration. */
static moe_status renew(moe_evaluate_pass *c, moe_evaluation *out,
                        moe_error *err)
{
    const moe_evaluate_params *p = c->p;
    const moe_predictor_env env = {.trace = p->trace,
                                   .layers = c->layers,
                                   .n_layers = c->n_layers,
                                   .seed = p->seed,
                                   .lookahead = out->lookahead,
                                   .batch = p->batch,
                                   .seq = p->seq,
                                   .order = p->order,
                                   .max_own = (uint32_t)c->max_tokens,
                                   .file = p->file,
                                   .learned = p->learned};
    moe_predictor_free(p->predictor, c->state);
    const double start = moe_clock_cpu();
    c->state = moe_predictor_new(p->predictor, &env, p->params, err);
    out->train_cpu_s = moe_clock_cpu() - start;
    return err->status;
}

/* ---- accuracy, sequence by sequence ---- */

static void predict(moe_evaluate_pass *c, const moe_batch *b, int l)
{
    const moe_predicted out = {c->choice, c->share, c->load};
    moe_predictor_load(c->p->predictor, c->forecast, c->state, b, l, &out);
}

static size_t bin_of(float probability)
{
    const float at = probability * MOE_CALIBRATION_BINS;
    return at < 0                      ? 0
           : at < MOE_CALIBRATION_BINS ? (size_t)at
                                       : MOE_CALIBRATION_BINS - 1;
}

static void count_hits(const moe_evaluate_pass *c, const moe_batch *b, int l,
                       size_t at)
{
    const size_t k = (size_t)b->top_k;
    const uint16_t *truth = b->experts_of + (size_t)l * b->own * k;
    uint64_t first = 0, hits = 0;
    for (uint32_t t = 0; t < b->own; t++, truth += k) {
        const uint16_t *said = c->choice + t * k;
        first += truth[0] == said[0];
        for (size_t i = 0; i < k; i++)
            for (size_t j = 0; j < k; j++)
                hits += said[i] == truth[j];
    }
    c->sums.first[at] += (double)first;
    c->sums.hits[at] += (double)hits;
}

/* Probabilities by how large they are, and what came of them. */
static void count_promises(const moe_evaluate_pass *c, const moe_batch *b,
                           int l, size_t at)
{
    const size_t k = (size_t)b->top_k, n_e = (size_t)b->experts;
    const uint16_t *truth = b->experts_of + (size_t)l * b->own * k;
    const float *score = c->p->predictor->scores(c->state);
    double *promised = c->sums.promised + at * MOE_CALIBRATION_BINS;
    double *kept = c->sums.kept + at * MOE_CALIBRATION_BINS;
    for (uint32_t t = 0; t < b->own; t++, truth += k, score += n_e) {
        for (size_t e = 0; e < n_e; e++)
            promised[bin_of(score[e])] += (double)score[e];
        for (size_t j = 0; j < k; j++)
            kept[bin_of(score[truth[j]])]++;
    }
}

static void add_sequence(moe_evaluate_pass *c, const moe_batch *b, int group)
{
    const size_t n_e = (size_t)b->experts;
    c->sums.tokens[group] += (double)b->tokens;
    for (int l = 0; l < c->n_layers; l++) {
        const size_t at = (size_t)group * (size_t)c->n_layers + (size_t)l;
        predict(c, b, l);
        for (size_t e = 0; e < n_e; e++) {
            c->sums.predicted[at * n_e + e] +=
                (double)c->load[e] / MOE_LOAD_ONE;
            c->sums.truth[at * n_e + e] +=
                (double)b->true_pairs[(size_t)l * n_e + e];
        }
        if (c->forecast == MOE_FORECAST_TOKENS)
            count_hits(c, b, l, at);
        if (c->p->predictor->scores != NULL)
            count_promises(c, b, l, at);
    }
}

static void observe(moe_evaluate_pass *c, const moe_batch *b)
{
    if (c->p->predictor->observe != NULL)
        c->p->predictor->observe(c->state, b);
}

/* Both passes ask about the test part, so each counts as a half. */
static void say_done(const moe_evaluate_pass *c, int half, uint64_t done,
                     uint64_t of)
{
    if (c->p->step != NULL)
        c->p->step(c->p->arg, (half + (double)done / (double)of) / 2);
}

static moe_status pass_sequences(moe_evaluate_pass *c, moe_error *err)
{
    moe_batcher *batcher =
        open_batches(c, 1, 0, c->n_seqs, MOE_BATCH_RECORDED, err);
    for (uint64_t i = 0; batcher != NULL && i < c->n_seqs; i++) {
        const moe_batch *b = moe_batcher_load(batcher, i);
        add_sequence(c, b, c->group[i]);
        observe(c, b);
        say_done(c, 0, i + 1, c->n_seqs);
    }
    moe_batcher_free(batcher);
    return err->status;
}

/* ---- batch by batch ---- */

static double error_of_batch(moe_evaluate_pass *c, const moe_batch *b, int l)
{
    const int64_t *pairs = b->true_pairs + l * b->experts;
    const double total = (double)b->tokens * b->top_k;
    double sum = 0, error = 0;
    predict(c, b, l);
    for (int e = 0; e < b->experts; e++)
        sum += (double)c->load[e];
    for (int e = 0; e < b->experts; e++)
        error += fabs((double)c->load[e] / sum - (double)pairs[e] / total);
    return error;
}

/* CPU time of a prediction, per token and layer. */
static moe_status time_batch(moe_evaluate_pass *c, const moe_batch *b,
                             moe_evaluation *out, moe_error *err)
{
    const int n = c->p->repeats;
    double *sample = moe_array_new((size_t)n, sizeof *sample, err);
    for (int r = 0; sample != NULL && r < n; r++) {
        const double start = moe_clock_cpu();
        for (int l = 0; l < c->n_layers; l++)
            predict(c, b, l);
        sample[r] =
            (moe_clock_cpu() - start) / ((double)b->tokens * c->n_layers);
    }
    if (sample != NULL)
        moe_summarise(sample, (size_t)n, 1, &out->cpu_s, err);
    free(sample);
    return err->status;
}

static moe_status pass_batches(moe_evaluate_pass *c, moe_evaluation *out,
                               moe_error *err)
{
    const size_t n = c->n_batches;
    double *mean = c->batch_error + (size_t)c->n_layers * n, tokens = 0;
    moe_batcher *batcher =
        open_batches(c, c->p->batch, c->p->seq, c->n_batches, c->p->order, err);
    for (uint64_t i = 0; batcher != NULL && i < n; i++) {
        const moe_batch *b = moe_batcher_load(batcher, i);
        tokens += (double)b->tokens;
        for (int l = 0; l < c->n_layers; l++) {
            const double error = error_of_batch(c, b, l);
            c->batch_error[(size_t)l * n + i] = error;
            mean[i] += error / c->n_layers;
        }
        observe(c, b);
        say_done(c, 1, i + 1, n);
    }
    if (batcher != NULL)
        out->recorded = moe_batcher_is_recorded(batcher);
    if (batcher != NULL)
        time_batch(c, moe_batcher_load(batcher, 0), out, err);
    out->batch_tokens = tokens / (double)n;
    moe_batcher_free(batcher);
    return err->status;
}

static moe_status run(moe_evaluate_pass *c, moe_evaluation *v, moe_error *err)
{
    const moe_evaluate_params *p = c->p;
    c->forecast = v->forecast = p->predictor->forecast(p->params);
    if (c->forecast == MOE_FORECAST_NONE)
        return moe_fail(err, MOE_USAGE,
                        "predictor %s: foretells nothing to evaluate",
                        p->predictor->name);
    v->lookahead = moe_horizon_layers(p->predictor->sees) ? p->lookahead
                                                          : MOE_LOOKAHEAD_ALL;
    if (moe_horizon_check(p->predictor, v->lookahead, true, err) != MOE_OK)
        return err->status;
    measure_test_part(c);
    if (choose_layers(c, err) != MOE_OK || count_batches(c, err) != MOE_OK)
        return err->status;
    const uint64_t batch =
        (uint64_t)p->batch * (p->seq > 0 ? (uint64_t)p->seq : c->longest);
    c->max_tokens = batch > c->longest ? batch : c->longest;
    if (c->max_tokens > UINT32_MAX)
        return moe_fail(err, MOE_USAGE,
                        "a batch of %" PRIu64 " tokens is more "
                        "than %" PRIu32,
                        c->max_tokens, UINT32_MAX);
    if (allocate(c, err) != MOE_OK || renew(c, v, err) != MOE_OK ||
        pass_sequences(c, err) != MOE_OK)
        return err->status;
    if (p->predictor->observe != NULL && renew(c, v, err) != MOE_OK)
        return err->status;
    if (pass_batches(c, v, err) != MOE_OK ||
        moe_evaluate_metrics(c, v, err) != MOE_OK)
        return err->status;
    v->tokens = c->n_tokens;
    v->sequences = c->n_seqs;
    v->clusters = c->clusters;
    v->batches = c->n_batches;
    if (p->predictor->parameters != NULL)
        v->parameters = p->predictor->parameters(c->state);
    moe_evaluate_price(c, v);
    return MOE_OK;
}

moe_status moe_evaluate(const moe_evaluate_params *params, moe_evaluation *out,
                        moe_error *err)
{
    moe_evaluate_pass c = {.p = params};
    moe_evaluation v = {0};
    moe_error local = {0};
    run(&c, &v, &local);
    moe_predictor_free(params->predictor, c.state);
    v.layers = c.layers;
    v.n_layers = c.n_layers;
    void *arrays[] = {c.choice,        c.share,      c.load,
                      c.batch_error,   c.sums.truth, c.sums.predicted,
                      c.sums.first,    c.sums.hits,  c.sums.tokens,
                      c.sums.promised, c.sums.kept,  c.group};
    for (size_t i = 0; i < MOE_ARRAY_LEN(arrays); i++)
        free(arrays[i]);
    if (local.status == MOE_OK) {
        *out = v;
        return MOE_OK;
    }
    moe_evaluation_fini(&v);
    return moe_pass(err, &local);
}

void moe_evaluation_fini(moe_evaluation *evaluation)
{
    free(evaluation->layers);
    free(evaluation->layer);
    *evaluation = (moe_evaluation){0};
}
