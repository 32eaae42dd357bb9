/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/predictor/neural.h"
#include "trained.h"

static const char *const mixed[] = {"ngram", "linear"};
enum { N_MIXED = 2 };

static const float *weights_of(const stage *s, const char *member)
{
    char name[48];
    snprintf(name, sizeof name, "weight_%s", member);
    const moe_learned_shape shape = {name, 1, {"layer"}, {L}};
    return moe_learned_get(moe_learned_find(&s->learned, "ensemble"), &shape,
                           NULL);
}

/* Turn to another member of the same file and batch. */
static void turn_to(stage *s, const char *name)
{
    moe_error err = {0};
    moe_predictor_free(s->predictor, s->state);
    s->state = NULL;
    s->predictor = moe_predictor_find(name);
    if (set_up(s, MOE_LOOKAHEAD_ALL, &err) != MOE_OK)
        ck_abort_msg("%s", err.text);
}

START_TEST(a_mixture_is_the_weighted_sum_of_its_members)
{
    stage s;
    float *mix = moe_array_new(MAX_OWN * E, sizeof *mix, NULL);
    float *part = moe_array_new(MAX_OWN * E, sizeof *part, NULL);
    float *sum = moe_array_new(MAX_OWN * E, sizeof *sum, NULL);
    begin(&s, "ensemble");
    for (int l = 0; l < L; l++) {
        float total = 0;
        turn_to(&s, "ensemble");
        moe_scorer *scorer = s.state;
        scorer->fill(scorer, s.batch, l);
        memcpy(mix, scorer->score,
               (size_t)s.batch->own * E * sizeof *scorer->score);
        memset(sum, 0, MAX_OWN * E * sizeof *sum);
        for (int m = 0; m < N_MIXED; m++) {
            const float w = weights_of(&s, mixed[m])[l];
            ck_assert(w >= 0);
            total += w;
            turn_to(&s, mixed[m]);
            ask(&s, l, part);
            for (size_t i = 0; i < s.batch->own * (size_t)E; i++)
                sum[i] += w * part[i];
        }
        ck_assert_float_eq_tol(total, 1, 1e-5F);
        for (size_t i = 0; i < s.batch->own * (size_t)E; i++)
            ck_assert_float_eq_tol(mix[i], sum[i], 1e-4F);
    }
    free(mix);
    free(part);
    free(sum);
    end(&s);
}
END_TEST

/* The tokens that were kept back, as the training's own list has them. */
static void list_kept_back(stage *s, moe_batch *b)
{
    moe_neural_task task;
    const moe_trace *t = &s->trace;
    *b = (moe_batch){.experts = E, .top_k = K};
    b->id = moe_array_new(t->n_tokens, sizeof *b->id, NULL);
    b->token_id = moe_array_new(t->n_tokens, sizeof *b->token_id, NULL);
    ck_assert_int_eq(moe_neural_task_init(&task, t, 7, 0, &(moe_error){0}),
                     MOE_OK);
    for (uint64_t q = 0; q < SEQS; q++)
        for (uint64_t i = t->seq_offset[q];
             task.part[q] == NEURAL_VALID && i < t->seq_offset[q + 1]; i++) {
            b->id[b->own] = i;
            b->token_id[b->own++] = t->token_id[i];
        }
    ck_assert_uint_gt(b->own, 0);
    moe_neural_task_fini(&task);
}

static double squared_error(const stage *s, const moe_batch *b, int l,
                            float *const *share, double w)
{
    double sum = 0;
    for (uint32_t i = 0; i < b->own; i++) {
        const uint16_t *truth = s->trace.experts_of +
                                ((size_t)l * s->trace.n_tokens + b->id[i]) * K;
        for (int e = 0; e < E; e++) {
            const double p = w * (double)share[0][i * E + (uint32_t)e] +
                             (1 - w) * (double)share[1][i * E + (uint32_t)e];
            const double miss = (truth[0] == e || truth[1] == e) - p;
            sum += miss * miss;
        }
    }
    return sum;
}

/* No other weights of two members have a smaller squared error on what was kept
 * back, but for those that are dropped as hardly any. */
START_TEST(weights_are_those_of_the_least_squared_error)
{
    stage s;
    moe_batch b;
    float *share[N_MIXED];
    uint16_t experts[MAX_OWN * K];
    begin(&s, "ensemble");
    list_kept_back(&s, &b);
    for (int l = 0; l < L; l++) {
        for (int m = 0; m < N_MIXED; m++) {
            share[m] = moe_array_new(MAX_OWN * E, sizeof(float), NULL);
            turn_to(&s, mixed[m]);
            s.predictor->tokens(s.state, &b, l, experts);
            memcpy(share[m], s.predictor->scores(s.state),
                   (size_t)b.own * E * sizeof(float));
        }
        const double w = (double)weights_of(&s, mixed[0])[l];
        const double least = squared_error(&s, &b, l, share, w);
        for (double other = 0; other < 1.01; other += 0.05)
            ck_assert_double_le(least,
                                1.001 * squared_error(&s, &b, l, share, other));
        for (int m = 0; m < N_MIXED; m++)
            free(share[m]);
    }
    free(b.id);
    free(b.token_id);
    end(&s);
}
END_TEST

START_TEST(one_member_is_no_ensemble)
{
    stage s;
    moe_error err = {0};
    begin(&s, "ngram");
    const moe_train_env env = {
        .trace = &s.trace, .seed = 7, .learned = &s.learned, .kept_bits = 23};
    moe_learned_part *part = moe_learned_add(&s.learned, "ensemble", NULL);
    ck_assert_int_eq(moe_predictor_find("ensemble")->train(&env, part, &err),
                     MOE_USAGE);
    ck_assert_msg(strstr(err.text, "predictor ensemble: mixes two or more") !=
                      NULL,
                  "%s", err.text);
    end(&s);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("ensemble");
    MOE_TEST(suite, a_mixture_is_the_weighted_sum_of_its_members);
    MOE_TEST(suite, weights_are_those_of_the_least_squared_error);
    MOE_TEST(suite, one_member_is_no_ensemble);
    return suite;
}
