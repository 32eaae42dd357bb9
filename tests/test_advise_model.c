/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/advise.h"

#include <math.h>

#include "harness.h"
#include "moegps/mem.h"

/* DeepSeek-V3 as it is served: 64 sequences a GPU over 2000 cached tokens, and
 * four prompts of 4096. */
static const struct {
    const char *stack;
    moe_serving serving;
    int gpus, batch, seq;
} of[] = {{"sglang-0.5.10-deepep-ll",
           {.phase = MOE_SERVE_DECODE,
            .kv_len = 2000,
            .attention = MOE_SERVE_DATA,
            .kernel = MOE_SERVE_DEEPEP_LL},
           32,
           2048,
           1},
          {"sglang-0.5.10-deepep-normal",
           {.attention = MOE_SERVE_DATA,
            .exchange = MOE_SERVE_NODES,
            .kernel = MOE_SERVE_DEEPEP_NORMAL,
            .overlap = MOE_SERVE_TWO_BATCH},
           32,
           128,
           4096}};
enum { DECODE, PREFILL };

static moe_advice advice_of(int i)
{
    static moe_model model;
    static moe_cluster cluster;
    moe_error err = {0};
    moe_advise_params p;
    moe_advice v;
    moe_model_read("deepseek-v3", &model, &err);
    moe_cluster_read("h100-nvlink", &cluster, &err);
    moe_cluster_set_stack(&cluster, of[i].stack, &err);
    moe_advise_params_init(&p);
    p.model = &model;
    p.cluster = &cluster;
    p.serving = of[i].serving;
    p.gpus = of[i].gpus;
    p.batch = of[i].batch;
    p.seq = of[i].seq;
    p.skew = 4;
    p.samples = 3;
    p.error = 0;
    p.dials.direct = false;
    moe_advise_run(&p, &v, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    return v;
}

START_TEST(an_iteration_is_its_layers_and_the_rest)
{
    const moe_advice v = advice_of(_i);
    const moe_advise_model *m = &v.model;
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
        const double moe_s = 58 * v.time[s][MOE_ADVISE_TYPICAL].layer_s;
        const double all_s = moe_s + m->rest.dense_s + m->rest.head_s;
        ck_assert_double_eq_tol(m->time[s].time_s, all_s, 1e-9);
        ck_assert_double_eq_tol(m->time[s].share, moe_s / all_s, 1e-9);
        ck_assert_double_eq_tol(m->time[s].rate * all_s,
                                (double)of[_i].batch * of[_i].seq / of[_i].gpus,
                                1e-6);
    }
    ck_assert_double_eq(m->cached, _i == DECODE ? 2000 : 4096);
    ck_assert_double_eq(m->batch, (double)of[_i].batch / of[_i].gpus);
    /* A GPU brings its copies, or sends those of others, as fast as links are. */
    ck_assert_double_gt(m->moved_bytes, 0);
    ck_assert_double_ge(m->moved_s, m->moved_bytes / 500e9);
    const double saved_s = m->time[MOE_ADVISE_BASELINE].time_s -
                           m->time[MOE_ADVISE_DISTRIBUTION].time_s;
    if (saved_s > 0)
        ck_assert_double_eq(m->moved_pays, ceil(m->moved_s / saved_s));
    else
        ck_assert(isinf(m->moved_pays));
    ck_assert_double_gt(m->rest.dense_s, 0);
}
END_TEST

/* More slots balance no worse now, and leave less to the cache; what they win is
 * weighed against that where the cache limits the batch. */
START_TEST(copies_are_weighed_against_the_cache)
{
    const moe_advice v = advice_of(_i);
    const moe_advise_model *m = &v.model;
    double best = 0;
    ck_assert_int_gt(m->n_rooms, 2);
    for (int i = 0; i < m->n_rooms; i++) {
        const moe_advise_room *x = &m->room[i];
        ck_assert_int_eq(x->slots, 8 + (i == 0 ? 0 : 1 << (i - 1)));
        ck_assert_int_eq(isnan(x->full_rate), _i == PREFILL);
        ck_assert_double_le(x->next, 1);
        best = fmax(best, _i == PREFILL ? x->rate : x->full_rate);
        if (i == 0)
            continue;
        ck_assert_double_ge(x->now, x[-1].now - 1e-9);
        ck_assert_double_lt(x->sequences, x[-1].sequences);
        ck_assert_double_gt(x->copy_bytes, x[-1].copy_bytes);
        if (_i == DECODE)
            ck_assert_double_le(x->batch, 256 * 32);
    }
    const moe_advise_room *pays = &m->room[m->pays];
    ck_assert_double_ge(_i == PREFILL ? pays->rate : pays->full_rate,
                        0.99 * best);
    if (_i == DECODE)
        ck_assert_double_lt(m->room[m->n_rooms - 1].full_rate, 0.99 * best);
    /* Links of a measured kernel are its own. */
    ck_assert(isnan(v.limits.bandwidth_low) && isnan(v.limits.bandwidth_high));
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("advise_model");
    MOE_TEST_LOOP(suite, an_iteration_is_its_layers_and_the_rest, 2);
    MOE_TEST_LOOP(suite, copies_are_weighed_against_the_cache, 2);
    return suite;
}
