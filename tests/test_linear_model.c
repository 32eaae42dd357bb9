/* SPDX-License-Identifier: Apache-2.0 */
#include "../src/predictor/linear_model.h"

#include "directly.h"

/* Linear members from the trace to their scores, in doubles: shares of n-grams
 * by counting, rows by their definition, weights by elimination. */

typedef struct {
    double (*share)[2 * E];   /* [tokens] by one id, by three */
    double (*trained)[2 * E]; /* the same without the token's own sequence */
    double w[MOST_WIDTH][E];
} model;

static void look_up(const void *arg, uint64_t first, uint64_t token,
                    double *one, double *all)
{
    const double *share = (const double *)arg + token * 2 * E;
    (void)first;
    memcpy(one, share, E * sizeof *one);
    memcpy(all, share + E, E * sizeof *all);
}

static void count_shares(const stage *s, const moe_neural_task *task, int layer,
                         model *m)
{
    const moe_trace *t = &s->trace;
    const moe_learned_shape shape = {
        "discount", 2, {"layer", "order"}, {L, MOE_NGRAM_ORDERS}};
    const float *discount =
        moe_learned_get(moe_learned_find(&s->learned, "ngram"), &shape, NULL);
    ck_assert_ptr_nonnull(discount);
    counting q = {.trace = t,
                  .part = task->part,
                  .discount = discount + layer * MOE_NGRAM_ORDERS,
                  .layer = layer};
    for (uint64_t seq = 0; seq < SEQS; seq++)
        for (uint64_t i = t->seq_offset[seq]; i < t->seq_offset[seq + 1]; i++) {
            q.left = UINT64_MAX;
            share_directly(&q, t->seq_offset[seq], i, m->share[i],
                           m->share[i] + E);
            q.left = seq;
            share_directly(&q, t->seq_offset[seq], i, m->trained[i],
                           m->trained[i] + E);
        }
}

/* ---- least squares ---- */

typedef struct {
    double sum[MOST_WIDTH][MOST_WIDTH + E]; /* of products with x, then y */
    double n;
    int width;
} squares;

static void add_row(squares *q, const double *x, const uint16_t *truth)
{
    for (int i = 0; i < q->width; i++) {
        for (int j = 0; j < q->width; j++)
            q->sum[i][j] += x[i] * x[j];
        for (int j = 0; j < K; j++)
            q->sum[i][q->width + truth[j]] += x[i];
    }
    q->n++;
}

/* Gauss, with pivots. Features that never vary get a penalty of their own. */
static void eliminate(squares *q, double ridge, double (*w)[E])
{
    const int n = q->width;
    for (int i = 0; i < n - 1; i++) {
        const double mean = q->sum[i][n - 1] / q->n;
        const double var = q->sum[i][i] / q->n - mean * mean;
        q->sum[i][i] += q->n * ridge * fmax(var, 1e-9);
    }
    for (int p = 0; p < n; p++) {
        double swap[MOST_WIDTH + E];
        int best = p;
        for (int i = p; i < n; i++)
            best = fabs(q->sum[i][p]) > fabs(q->sum[best][p]) ? i : best;
        memcpy(swap, q->sum[p], sizeof swap);
        memcpy(q->sum[p], q->sum[best], sizeof swap);
        memcpy(q->sum[best], swap, sizeof swap);
        for (int i = 0; i < n; i++)
            for (int j = n + E - 1; i != p && j >= p; j--)
                q->sum[i][j] -= q->sum[i][p] / q->sum[p][p] * q->sum[p][j];
    }
    for (int i = 0; i < n; i++)
        for (int e = 0; e < E; e++)
            w[i][e] = q->sum[i][n + e] / q->sum[i][i];
}

static void solve(const stage *s, const moe_neural_task *task,
                  const moe_features *f, const float *hidden, model *m)
{
    static squares q;
    const moe_trace *t = &s->trace;
    double x[MOST_WIDTH];
    memset(&q, 0, sizeof q);
    for (uint64_t seq = 0; seq < SEQS; seq++)
        for (uint64_t i = t->seq_offset[seq];
             task->part[seq] == NEURAL_FIT && i < t->seq_offset[seq + 1]; i++) {
            q.width = row_directly(f, hidden, look_up, m->trained,
                                   t->seq_offset[seq], i, x);
            add_row(&q, x,
                    t->experts_of + ((size_t)f->layer * t->n_tokens + i) * K);
        }
    eliminate(&q, 1e-3, m->w);
}

/* ---- scores ---- */

/* Sums of float products are right to about 1e-7 of them, and features that hardly
 * vary are penalised by 1e-3 of their small variance. */
static const double TOLERANCE = 5e-3;

static void compare_layer(const stage *s, const moe_features *f,
                          const float *hidden, const model *m)
{
    const moe_trace *t = &s->trace;
    moe_scorer *scorer = s->state;
    double x[MOST_WIDTH], furthest = 0;
    scorer->fill(scorer, s->batch, f->layer);
    for (uint32_t i = 0; i < s->batch->own; i++) {
        const uint64_t id = s->batch->id[i];
        uint64_t seq = 0;
        while (t->seq_offset[seq + 1] <= id)
            seq++;
        const int width = row_directly(f, hidden, look_up, m->share,
                                       t->seq_offset[seq], id, x);
        for (int e = 0; e < E; e++) {
            double sum = 0;
            for (int j = 0; j < width; j++)
                sum += x[j] * m->w[j][e];
            furthest =
                fmax(furthest,
                     fabs((double)scorer->score[i * E + (uint32_t)e] - sum));
        }
    }
    ck_assert_double_le(furthest, TOLERANCE);
}

static const char *const members[] = {"linear", "cross", "recent", "hidden"};

START_TEST(scores_are_those_of_a_dense_solver)
{
    stage s;
    model m;
    moe_neural_task task;
    begin(&s, members[_i]);
    const moe_linear *state = s.state;
    const size_t n = s.trace.n_tokens;
    m.share = moe_array_new(n, sizeof *m.share, NULL);
    m.trained = moe_array_new(n, sizeof *m.trained, NULL);
    ck_assert_int_eq(
        moe_neural_task_init(&task, &s.trace, 7, 0, &(moe_error){0}), MOE_OK);
    for (int l = 0; l < L; l++) {
        const moe_features f = {.trace = &s.trace,
                                .sees = s.predictor->sees,
                                .lookahead = s.lookahead,
                                .layer = l};
        count_shares(&s, &task, l, &m);
        solve(&s, &task, &f, state->hidden.state, &m);
        compare_layer(&s, &f, state->hidden.state, &m);
    }
    moe_neural_task_fini(&task);
    free(m.share);
    free(m.trained);
    end(&s);
}
END_TEST

/* ---- rows ---- */

/* Shares that nobody else has. */
static void draw_shares(const void *arg, uint64_t first, uint64_t token,
                        double *one, double *all)
{
    moe_rng rng = moe_rng_at(4, MOE_RNG_TEST, first, 0, token);
    (void)arg;
    for (int e = 0; e < E; e++) {
        one[e] = moe_rng_unit(&rng);
        all[e] = moe_rng_unit(&rng);
    }
}

static void share_drawn(void *arg, uint64_t first, uint64_t token, float *one,
                        float *all)
{
    double a[E], b[E];
    draw_shares(arg, first, token, a, b);
    for (int e = 0; e < E; e++) {
        one[e] = (float)a[e];
        all[e] = (float)b[e];
    }
}

/* One sequence longer than the means look back, asked for token by token and
 * in leaps, forwards and backwards. */
START_TEST(rows_are_as_they_are_defined)
{
    static const uint64_t asked[] = {0,    1,    2,    3,   511, 512,  513,
                                     1023, 1024, 1025, 700, 10,  1535, 1536,
                                     1537, 1700, 30,   0,   5};
    moe_rng rng;
    moe_trace t = small_trace(
        &(small_trace_sizes){L, E, K, 2, 100, 1700, VOCAB, VOCAB}, &rng);
    for (size_t i = 0; i < L * t.n_tokens; i++) {
        t.experts_of[i * K] = (uint16_t)moe_rng_below(&rng, E);
        t.experts_of[i * K + 1] =
            (uint16_t)((t.experts_of[i * K] + 1 + moe_rng_below(&rng, E - 1)) %
                       E);
    }
    moe_features f = {.trace = &t,
                      .sees = moe_predictor_find(members[_i])->sees &
                              ~(unsigned)MOE_SEES_HIDDEN,
                      .lookahead = 1,
                      .share = share_drawn};
    float row[MOST_WIDTH];
    double expected[MOST_WIDTH];
    ck_assert_int_eq(moe_features_init(&f, &(moe_error){0}), MOE_OK);
    for (int l = 0; l < L; l++) {
        moe_features_layer(&f, l);
        for (size_t i = 0; i < MOE_ARRAY_LEN(asked); i++) {
            const uint64_t first = t.seq_offset[1];
            moe_features_row(&f, first, first + asked[i], row);
            const int width = row_directly(&f, NULL, draw_shares, NULL, first,
                                           first + asked[i], expected);
            ck_assert_uint_eq(f.width, (size_t)width);
            for (int j = 0; j < width; j++)
                ck_assert_double_eq_tol((double)row[j], expected[j], 2e-5);
        }
    }
    moe_features_fini(&f);
    moe_trace_free(&t);
}
END_TEST

Suite *moe_test_suite(void)
{
    const int n = (int)MOE_ARRAY_LEN(members);
    Suite *suite = suite_create("linear_model");
    MOE_TEST_LOOP(suite, scores_are_those_of_a_dense_solver, n);
    MOE_TEST_LOOP(suite, rows_are_as_they_are_defined, n);
    return suite;
}
