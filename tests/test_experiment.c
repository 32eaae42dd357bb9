/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/experiment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"

#define TOP "model: m\ncluster: c\ntrace: t\n"
#define ONE "strategies: [{name: a}]\n"

static void parse(const char *text, const char *const *sets, int n_sets,
                  moe_experiment *x)
{
    moe_error err = {0};
    moe_experiment_parse(text, "x.yaml", sets, n_sets, x, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
}

/* Every '|'-separated part is in the text. */
static void check_parts(const char *text, const char *parts)
{
    char all[512], *rest = all, *part;
    snprintf(all, sizeof all, "%s", parts);
    while ((part = strsep(&rest, "|")) != NULL)
        ck_assert_msg(strstr(text, part) != NULL, "no '%s' in: %s", part, text);
}

/* An option of a family, as text. */
static void check_option(const moe_opt *rows, const void *params,
                         const char *key, const char *expected)
{
    char text[64];
    moe_opt_format(moe_opt_find(rows, key), params, text, sizeof text);
    ck_assert_str_eq(text, expected);
}

static const char *const complete =
    "model: mixtral-8x7b\n"
    "cluster: clusters/mine.yaml\n"
    "trace: /data/t.h5\n"
    "output: 'out/%m-%c.h5'\n"
    "reference: dim\n"
    "workload: {batch: 4, seq: 0, layers: '0,4,8-11', iterations: 7, "
    "warmup: 3, seed: 9007199254740992}\n"
    "emulation: {ffn: exact, scale: 16, dtype: f32, attention: model, "
    "sync: none, coordination: replicated, coordinator: dedicated, "
    "rebalance_every: 5, threads: 2, regret: no}\n"
    "strategies:\n"
    "  - {name: baseline}\n"
    "  - {name: dim, predictor: oracle, accuracy: 0.7, l1: -0.5, "
    "planner: duplicate, max_copies: 3, split: equal, slots: 9}\n"
    "  - name: smooth\n"
    "    predictor: distribution\n"
    "    smoothing: 1e6\n";

START_TEST(complete_file_is_read)
{
    moe_experiment x;
    parse(complete, NULL, 0, &x);
    ck_assert_str_eq(x.model_name, "mixtral-8x7b");
    ck_assert_str_eq(x.cluster_name, "clusters/mine.yaml");
    ck_assert_str_eq(x.trace_name, "/data/t.h5");
    ck_assert_str_eq(x.output, "out/%m-%c.h5");
    ck_assert_int_eq(x.reference_index, 1);
    const moe_workload *w = &x.workload;
    ck_assert(w->batch == 4 && w->seq == 0 && w->iterations == 7);
    ck_assert(w->warmup == 3 && w->seed == UINT64_C(9007199254740992));
    ck_assert_str_eq(w->layers, "0,4,8-11");
    const moe_emulation *e = &x.emulation;
    ck_assert_str_eq(e->ffn, "exact");
    ck_assert(e->scale == 16 && e->dtype == MOE_RUN_DTYPE_F32);
    ck_assert(e->sync == MOE_SYNC_NONE &&
              e->coordination == MOE_COORDINATION_REPLICATED);
    ck_assert(e->coordinator == MOE_COORDINATOR_DEDICATED &&
              e->rebalance_every == 5);
    ck_assert(!e->regret);
    ck_assert_int_eq(e->threads, 2);
    ck_assert_int_eq(x.n_strategies, 3);
    const moe_strategy *s = &x.strategy[1];
    ck_assert_ptr_eq(s->predictor, moe_predictor_find("oracle"));
    ck_assert_ptr_eq(s->planner, moe_planner_find("duplicate"));
    ck_assert_ptr_eq(s->split, moe_split_find("equal"));
    ck_assert_int_eq(s->slots, 9);
    check_option(s->predictor->opts, s->predictor_params, "accuracy", "0.7");
    check_option(s->planner->opts, s->planner_params, "max_copies", "3");
    s++;
    ck_assert_str_eq(s->name, "smooth");
    check_option(s->predictor->opts, s->predictor_params, "smoothing", "1e+06");
    moe_experiment_fini(&x);
    ck_assert_ptr_null(x.strategy);
    moe_experiment_fini(&x);
}
END_TEST

static const struct {
    const char *emulation;
    bool paced;
    int scale;
    moe_sync sync;
    double dilation;
} paced_cases[] = {
    {"{}", false, 8, MOE_SYNC_PHASE, 1},
    {"{ffn: paced}", true, 1, MOE_SYNC_NONE, 1},
    {"{attention: paced}", true, 8, MOE_SYNC_NONE, 1},
    {"{ffn: paced, attention: paced, scale: 4, sync: phase, dilation: 2.5}",
     true, 4, MOE_SYNC_PHASE, 2.5},
    {"{ffn: paced, dilation: auto, links: here.h5}", true, 1, MOE_SYNC_NONE, 0},
};

START_TEST(pacing_settles_what_is_left_open)
{
    char text[512];
    moe_experiment x;
    snprintf(text, sizeof text, "%semulation: %s\n", TOP ONE,
             paced_cases[_i].emulation);
    parse(text, NULL, 0, &x);
    const moe_emulation *e = &x.emulation;
    ck_assert(moe_emulation_is_paced(e) == paced_cases[_i].paced);
    ck_assert_int_eq(e->scale, paced_cases[_i].scale);
    ck_assert_int_eq(e->sync, paced_cases[_i].sync);
    ck_assert_double_eq(e->dilation, paced_cases[_i].dilation);
    moe_experiment_fini(&x);
}
END_TEST

START_TEST(who_predicts_plans)
{
    moe_experiment x;
    parse(TOP "strategies: [{name: a}, {name: b, predictor: distribution}, "
              "{name: c, predictor: oracle, planner: auto}, {name: d, "
              "predictor: oracle, planner: static}]\n",
          NULL, 0, &x);
    static const char *const planners[] = {"static", "balance", "balance",
                                           "static"};
    for (int i = 0; i < 4; i++)
        ck_assert_str_eq(x.strategy[i].planner->name, planners[i]);
    moe_experiment_fini(&x);
}
END_TEST

START_TEST(everything_but_names_has_a_default)
{
    moe_experiment x;
    parse(TOP ONE, NULL, 0, &x);
    ck_assert_str_eq(x.output, "results/%m-%c-%n.h5");
    ck_assert_str_eq(x.reference, "a");
    ck_assert_int_eq(x.reference_index, 0);
    const moe_workload *w = &x.workload;
    ck_assert(w->batch == 1 && w->seq == 512 && w->iterations == 20);
    ck_assert(w->warmup == 2 && w->seed == 1);
    ck_assert_str_eq(w->layers, "all");
    const moe_emulation *e = &x.emulation;
    ck_assert_str_eq(e->ffn, "dnnl");
    ck_assert(e->scale == 8 && e->dtype == MOE_RUN_DTYPE_AUTO);
    ck_assert(e->sync == MOE_SYNC_PHASE &&
              e->coordination == MOE_COORDINATION_CENTRAL);
    ck_assert(e->coordinator == MOE_COORDINATOR_SHARED &&
              e->rebalance_every == 1);
    ck_assert(e->regret);
    ck_assert_int_eq(e->threads, 0);
    const moe_strategy *s = &x.strategy[0];
    ck_assert_str_eq(s->predictor->name, "none");
    ck_assert_str_eq(s->planner->name, "static");
    ck_assert_str_eq(s->split->name, "quota");
    ck_assert_int_eq(s->slots, 0);
    moe_experiment_fini(&x);
}
END_TEST

static const struct {
    const char *strategy;
    bool direct;
} routings[] = {
    {"", false},
    {"predictor: distribution", false},
    {"predictor: oracle, l1: 0.1", false},
    {"predictor: oracle, l1: 0.1, routing: dispatch", false},
    {"predictor: oracle", true},
    {"predictor: oracle, accuracy: 0", true},
    {"predictor: oracle, routing: auto", true},
    {"predictor: oracle, routing: direct", true},
    {"predictor: oracle, routing: dispatch", false},
};

START_TEST(foretold_tokens_are_routed_directly)
{
    char text[512];
    moe_experiment x;
    snprintf(text, sizeof text, TOP "strategies: [{name: a, %s}]\n",
             routings[_i].strategy);
    parse(text, NULL, 0, &x);
    ck_assert_int_eq(x.strategy[0].direct, routings[_i].direct);
    moe_experiment_fini(&x);
}
END_TEST

START_TEST(sets_are_applied_in_order)
{
    const char *const sets[] = {"workload.batch=2",
                                "workload.batch=3",
                                "strategies.a.slots=5",
                                "strategies.0.name=b",
                                "strategies.b.split=equal",
                                "emulation={scale: 2}",
                                "reference=b"};
    moe_experiment x;
    parse(TOP ONE, sets, MOE_ARRAY_LEN(sets), &x);
    ck_assert_int_eq(x.workload.batch, 3);
    ck_assert_int_eq(x.strategy[0].slots, 5);
    ck_assert_str_eq(x.strategy[0].name, "b");
    ck_assert_str_eq(x.strategy[0].split->name, "equal");
    ck_assert_int_eq(x.emulation.scale, 2);
    ck_assert_str_eq(x.reference, "b");
    moe_experiment_fini(&x);
}
END_TEST

static void check_equal_options(const moe_opt *rows, const void *a,
                                const void *b)
{
    for (; rows != NULL && rows->key != NULL; rows++)
        ck_assert_msg(memcmp((const char *)a + rows->offset,
                             (const char *)b + rows->offset, rows->size) == 0,
                      "%s differs", rows->key);
}

/* Texts of `output`, as YAML, that need care when they are written. */
static const char *const spellings[] = {
    "plain",
    "''",
    "'it''s \"quoted\"'",
    "' blanks '",
    "'# no comment'",
    "'a: b, {c}, [d]'",
    "'&x *y !z %d @e `f'",
    "'back\\slash\\n'",
    "\"line\\nbreaks\\n\\ttab\"",
    "'na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80'",
    "~",
    "'null'",
    "'true'",
    "'---'",
    "'1e3'",
};

START_TEST(resolved_text_reads_back)
{
    char text[4096], set[128];
    const char *const sets[] = {set};
    moe_experiment a, b;
    snprintf(text, sizeof text, "%s  - name: it's \"q\" \\ x\n", complete);
    snprintf(set, sizeof set, "output=%s", spellings[_i]);
    parse(text, sets, 1, &a);
    char *resolved = moe_experiment_resolved(&a);
    ck_assert_ptr_nonnull(resolved);
    parse(resolved, NULL, 0, &b);
    char *again = moe_experiment_resolved(&b);
    ck_assert_str_eq(resolved, again);
    check_equal_options(moe_experiment_options, &a, &b);
    check_equal_options(moe_workload_options, &a.workload, &b.workload);
    check_equal_options(moe_emulation_options, &a.emulation, &b.emulation);
    ck_assert_int_eq(a.n_strategies, 4);
    ck_assert_int_eq(b.n_strategies, 4);
    for (int i = 0; i < a.n_strategies; i++) {
        const moe_strategy *s = &a.strategy[i], *t = &b.strategy[i];
        check_equal_options(moe_strategy_options, s, t);
        check_equal_options(s->predictor->opts, s->predictor_params,
                            t->predictor_params);
        check_equal_options(s->planner->opts, s->planner_params,
                            t->planner_params);
        check_equal_options(s->split->opts, s->split_params, t->split_params);
    }
    free(resolved);
    free(again);
    moe_experiment_fini(&a);
    moe_experiment_fini(&b);
}
END_TEST

/* Compared with the first: what differs in the predictor alone plans alike. */
static const struct {
    const char *strategy;
    bool alike, direct, foretells_tokens, knows_future;
} described[] = {
    {"predictor: oracle, planner: balance, slots: 4, fill: true", true, true,
     true, true},
    {"predictor: oracle, accuracy: 0.8, planner: balance, slots: 4, fill: true",
     true, true, true, true},
    {"predictor: token, prior: 2, planner: balance, slots: 4, fill: true", true,
     true, true, false},
    {"predictor: token, planner: balance, slots: 4", false, true, true, false},
    {"predictor: token, planner: balance, slots: 5, fill: true", false, true,
     true, false},
    {"predictor: token, planner: eplb, slots: 4", false, true, true, false},
    {"predictor: token, planner: balance, slots: 4, fill: true, split: minmax",
     false, true, true, false},
    {"predictor: token, planner: balance, slots: 4, fill: true, routing: "
     "dispatch",
     false, false, true, false},
    {"predictor: ema, planner: balance, slots: 4, fill: true", true, false,
     false, false},
};

START_TEST(strategy_is_described_for_its_file)
{
    char text[4096];
    moe_experiment x;
    moe_strategy_facts first, f;
    snprintf(text, sizeof text,
             "model: m\ncluster: c\ntrace: t\nstrategies:\n"
             "  - {name: a, %s}\n  - {name: b, %s}\n",
             described[0].strategy, described[_i].strategy);
    parse(text, NULL, 0, &x);
    moe_experiment_strategy_facts(&x.strategy[0], &first);
    moe_experiment_strategy_facts(&x.strategy[1], &f);
    ck_assert_int_eq(strcmp(first.planning, f.planning) == 0,
                     described[_i].alike);
    ck_assert_str_eq(f.predictor, x.strategy[1].predictor_name);
    ck_assert_str_eq(f.planner, x.strategy[1].planner_name);
    ck_assert_str_eq(f.split, x.strategy[1].split_name);
    ck_assert_int_eq(f.slots, x.strategy[1].slots);
    ck_assert_int_eq(f.direct, described[_i].direct);
    ck_assert_int_eq(f.foretells_tokens, described[_i].foretells_tokens);
    ck_assert_int_eq(f.knows_future, described[_i].knows_future);
    moe_experiment_fini(&x);
}
END_TEST

START_TEST(resolved_text_holds_the_longest_names)
{
    char text[4096], name[1024];
    moe_experiment a, b;
    memset(name, '"', sizeof name);
    name[sizeof name - 1] = '\0';
    snprintf(text, sizeof text,
             "model: m\ncluster: c\ntrace: '%s'\noutput: '%s'\n"
             "strategies: [{name: '%.63s'}]\n",
             name, name, name);
    parse(text, NULL, 0, &a);
    char *resolved = moe_experiment_resolved(&a);
    parse(resolved, NULL, 0, &b);
    ck_assert_str_eq(b.trace_name, name);
    ck_assert_str_eq(b.output, name);
    ck_assert_str_eq(b.strategy[0].name, a.strategy[0].name);
    free(resolved);
    moe_experiment_fini(&a);
    moe_experiment_fini(&b);
}
END_TEST

/* Strategies, the last of which chooses. */
#define CHOICE                                                          \
    TOP "strategies: [{name: a}, {name: b, predictor: ema, slots: 4}, " \
        "{name: oracle, predictor: oracle, slots: 4}, "                 \
        "{name: late, predictor: ema, slots: 4, plan_ahead: true}, "    \
        "{name: wide, predictor: ema, slots: 5}, {name: "

START_TEST(candidates_are_named_or_all_that_can_be_built)
{
    static const char *const text[] = {" b,a ", "all"};
    static const int n[] = {2, 2}, first[] = {1, 0};
    char yaml[1024];
    moe_experiment a, b;
    moe_strategy_facts f;
    snprintf(yaml, sizeof yaml,
             TOP "strategies:\n  - {name: a}\n"
                 "  - {name: b, predictor: ema, slots: 4}\n"
                 "  - {name: o, predictor: oracle, slots: 5}\n"
                 "  - {name: c, candidates: '%s', hysteresis: 0.1}\n",
             text[_i]);
    parse(yaml, NULL, 0, &a);
    const moe_strategy *c = &a.strategy[3];
    ck_assert_int_eq(c->n_candidates, n[_i]);
    ck_assert_int_eq(c->candidate[0], first[_i]);
    ck_assert_int_eq(c->candidate[1], 1 - first[_i]);
    ck_assert_int_eq(c->slots, 4);
    moe_experiment_strategy_facts(c, &f);
    ck_assert_str_eq(f.predictor, "auto");
    char *resolved = moe_experiment_resolved(&a);
    parse(resolved, NULL, 0, &b);
    check_equal_options(moe_choice_options, c, &b.strategy[3]);
    free(resolved);
    moe_experiment_fini(&a);
    moe_experiment_fini(&b);
}
END_TEST

static const struct {
    const char *text, *says;
} bad[] = {
    {"", "x.yaml:1: is empty"},
    {TOP ONE "modle: x\n",
     "x.yaml:5: experiment: unknown key 'modle'|allowed: "
     "workload, emulation, serving, strategies, model, cluster"},
    {"cluster: c\ntrace: t\n" ONE, "experiment: key 'model' is missing"},
    {"model: m\ntrace: t\n" ONE, "experiment: key 'cluster' is missing"},
    {"trace: t\n" ONE, "experiment: keys 'model', 'cluster' are missing"},
    {"model: m\ncluster: c\n" ONE, "experiment: key 'trace' is missing"},
    {TOP, "x.yaml:1: strategies: a list of at least one strategy"},
    {TOP "strategies: []\n", "x.yaml:4: strategies: a list of at least"},
    {TOP "strategies:\n", "x.yaml:4: strategies: a list of at least"},
    {TOP "strategies: {name: a}\n", "x.yaml:4: strategies: a list of at"},
    {TOP "strategies: [a]\n", "x.yaml:4: strategies: expected {name"},
    {TOP "strategies: [[a]]\n", "x.yaml:4: strategies: expected {name"},
    {TOP ONE "workload: 3\n", "x.yaml:5: workload: expected `key: value`"},
    {TOP ONE "workload: [3]\n", "x.yaml:5: workload: expected `key: value`"},
    {TOP ONE "workload: {bacth: 3}\n",
     "x.yaml:5: workload: unknown key 'bacth'|batch, seq, layers, iterations"},
    {TOP ONE "workload: {batch: 0}\n",
     "x.yaml:5: workload.batch: '0' is not an integer in 1..1048576"},
    {TOP ONE "workload:\n  batch: many\n", "x.yaml:6: workload.batch: 'many'"},
    {TOP ONE "workload: {batch: [1]}\n", "workload.batch: a list where an "},
    {TOP ONE "workload: {warmup: 0}\n", "workload.warmup: '0'|1..1000"},
    {TOP ONE "workload: {seed: -1}\n", "workload.seed: '-1'"},
    {TOP ONE "workload: {seed: 9007199254740993}\n", "0..9007199254740992"},
    {TOP ONE "emulation: {ffn: cuda}\n",
     "x.yaml:5: emulation.ffn: no back end 'cuda' (allowed: none, exact, "
     "dnnl"},
    {TOP "strategies: [{name: a, predictor: oracle, routing: direct}]\n"
         "serving: {attention: data}\n",
     "x.yaml:4: strategy a: routing 'direct'|attention 'data' and exchange "
     "'pairs' (allowed: auto, dispatch)"},
    {TOP "strategies: [{name: a, predictor: oracle, routing: direct}]\n"
         "serving: {exchange: allgather}\n",
     "attention 'tensor' and exchange 'allgather' (allowed: auto, dispatch)"},
    {TOP ONE "emulation: {dtype: fp8}\n",
     "x.yaml:5: emulation.dtype: 'fp8' is not one of auto, bf16, f32"},
    {TOP ONE "emulation: {sync: never}\n", "'never' is not one of auto, phase"},
    {TOP ONE "emulation: {scale: 1.5}\n", "emulation.scale: '1.5'|0..4096"},
    {TOP ONE "emulation: {attention: real}\n",
     "'real' is not one of model, paced"},
    {TOP ONE "emulation: {progress: luck}\n",
     "'luck' is not one of poll, thread"},
    {TOP ONE "emulation: {poll_interval: -1}\n", "emulation.poll_interval"},
    {TOP ONE "emulation: {ffn: paced, dilation: 0.5}\n",
     "x.yaml:5: emulation.dilation: '0.5' (allowed: auto, or a number from 1 "
     "to 1e6)"},
    {TOP ONE "emulation: {ffn: paced, dilation: fast}\n",
     "emulation.dilation: 'fast' (allowed: auto"},
    {TOP ONE "emulation: {ffn: paced, dilation: auto}\n",
     "emulation.dilation: auto needs the speed of this machine's links: "
     "emulation.links"},
    {TOP ONE "emulation: {dilation: 2}\n",
     "emulation.dilation: only where ffn or attention is paced"},
    {TOP ONE "emulation: {ffn: paced}\nserving: {overlap: shared}\n",
     "x.yaml:6: serving.overlap: shared is priced, but not what paced ranks "
     "do"},
    {TOP ONE "emulation: {links: x.h5}\n",
     "emulation.links: only where ffn or attention is paced"},
    {TOP "strategies:\n  - {name: a}\n  - {predictor: none}\n",
     "x.yaml:6: strategies: key 'name' is missing"},
    {TOP "strategies: [{name: ''}]\n", "x.yaml:4: strategies: a name is empty"},
    {TOP "strategies: [{name: \"a\\nb\"}]\n",
     "x.yaml:4: strategies: a name has a control character"},
    {TOP "strategies:\n  - {name: a}\n  - {name: a, slots: 3}\n",
     "x.yaml:6: strategies: two are named 'a'"},
    {TOP "strategies: [{name: [a]}]\n", "a list where a text|63 characters"},
    {TOP "strategies:\n  - name: a\n    predictor: crystal\n",
     "x.yaml:6: strategy a: no predictor 'crystal' (allowed: none, oracle, "
     "distribution"},
    {TOP "strategies:\n  - name: a\n    planner: best\n",
     "x.yaml:6: strategy a: no planner 'best' (allowed: static, duplicate"},
    {TOP "strategies:\n  - name: a\n    split: fair\n",
     "x.yaml:6: strategy a: no split 'fair' (allowed: quota, equal, local"},
    {TOP "strategies: [{name: a, planner: [duplicate]}]\n",
     "strategy a.planner: a list where a text"},
    {TOP "strategies: [{name: a, planner: duplicate}]\n",
     "x.yaml:4: strategy a: planner 'duplicate' needs a prediction, predictor "
     "'none' gives none"},
    {TOP "strategies: [{name: a, routing: fast}]\n",
     "strategy a.routing: 'fast' is not one of auto, dispatch, direct"},
    {TOP "strategies: [{name: a, routing: direct}]\n",
     "strategy a: routing 'direct' needs a prediction of every token's "
     "experts, predictor 'none' gives none"},
    {TOP "strategies: [{name: a, routing: direct, predictor: oracle, l1: "
         "0.1}]\n",
     "predictor 'oracle' gives a distribution"},
    {TOP "strategies: [{name: a, predictor: token, lookahead: 0}]\n",
     "x.yaml:4: strategy a: lookahead: '0' is not `all` or a number of layers "
     "in 1..4096"},
    {TOP "strategies: [{name: a, predictor: token, lookahead: 2x}]\n",
     "strategy a: lookahead: '2x' is not `all` or a number"},
    {TOP "strategies: [{name: a, predictor: oracle, plan_ahead: true}]\n",
     "x.yaml:4: strategy a: plan_ahead needs a forecast that holds for later "
     "batches, predictor 'oracle' foretells the tokens of this one"},
    {TOP "strategies: [{name: a, slots: -1}]\n",
     "strategy a.slots: '-1' is not an integer in 0..4096"},
    {TOP "strategies: [{name: a, accuracy: 0.5}]\n",
     "strategy a: unknown key 'accuracy' (allowed: name, predictor, load, "
     "planner, split, slots, lookahead, plan_ahead, routing)"},
    {TOP "strategies: [{name: a, predictor: oracle, load: x.h5}]\n",
     "x.yaml:4: strategy a: predictor 'oracle' loads no file"},
    {TOP "strategies: [{name: a, predictor: distribution, accuracy: 0.5}]\n",
     "strategy a: unknown key 'accuracy'|slots, lookahead, plan_ahead, "
     "routing, "
     "smoothing"},
    {TOP "strategies: [{name: a, predictor: oracle, smoothing: 1}]\n",
     "strategy a: unknown key 'smoothing'|slots, lookahead, plan_ahead, "
     "routing, "
     "accuracy, l1"},
    {TOP "strategies: [{name: a, predictor: oracle, max_copies: 1}]\n",
     "strategy a: unknown key 'max_copies'"},
    {TOP "strategies: [{name: a, predictor: oracle, accuracy: 1.1}]\n",
     "strategy a.accuracy: '1.1' is not a number in 0..1"},
    {CHOICE "c, candidates: 'a, b', slots: 4}]\n",
     "strategy c, which has candidates: unknown key 'slots'|allowed: name, "
     "candidates, try_every, hysteresis"},
    {CHOICE "c, candidates: 'a, d'}]\n",
     "x.yaml:4: strategy c: candidates: no strategy is named 'd'"},
    {CHOICE "c, candidates: ''}]\n", "candidates: nobody is named"},
    {CHOICE "c, candidates: a}]\n", "candidates: a choice needs at least two"},
    {CHOICE "c, candidates: 'a, b, a'}]\n", "candidates: 'a' is named twice"},
    {CHOICE "c, candidates: 'a, c'}]\n", "candidates: 'c' chooses, too"},
    {CHOICE "c, candidates: 'a, oracle'}]\n",
     "candidates: 'oracle' knows the future: it cannot be built"},
    {CHOICE "c, candidates: 'a, late'}]\n", "candidates: 'late' plans ahead"},
    {CHOICE "c, candidates: 'a, b, wide'}]\n",
     "candidates: 'wide' has another number of slots than those before it"},
    {CHOICE "c, candidates: [a, b]}]\n", "candidates: a list where a text"},
    {CHOICE "c, candidates: all, try_every: 2}]\n", "'2' is not an integer"},
    {TOP ONE "reference: b\n", "x.yaml:5: reference: no strategy is named 'b'"},
    {TOP ONE "reference: [a]\n", "experiment.reference: a list where a text"},
};

START_TEST(bad_experiment_is_refused)
{
    moe_experiment x, before;
    memset(&x, 0x5a, sizeof x);
    memcpy(&before, &x, sizeof x);
    moe_error err = {0};
    moe_experiment_parse(bad[_i].text, "x.yaml", NULL, 0, &x, &err);
    ck_assert_int_eq(err.status, MOE_USAGE);
    check_parts(err.text, bad[_i].says);
    ck_assert_mem_eq(&x, &before, sizeof x);
}
END_TEST

START_TEST(bad_set_is_named)
{
    const char *const sets[] = {"workload.batch=2", "workload.seq=x"};
    moe_experiment x;
    moe_error err = {0};
    moe_experiment_parse(TOP ONE, "x.yaml", sets, 2, &x, &err);
    ck_assert_int_eq(err.status, MOE_USAGE);
    check_parts(err.text, "--set: workload.seq: 'x' is not an integer");
    const char *const worse[] = {"workload", "workload.seq=x"};
    err = (moe_error){0};
    moe_experiment_parse(TOP ONE, "x.yaml", worse, 2, &x, &err);
    check_parts(err.text, "--set 'workload': expected key=value");
}
END_TEST

START_TEST(there_may_be_64_strategies_and_no_more)
{
    for (int n = 64; n <= 65; n++) {
        char text[4096] = TOP "strategies:\n";
        for (int i = 0; i < n; i++) {
            size_t len = strlen(text);
            snprintf(text + len, sizeof text - len, "  - {name: s%d}\n", i);
        }
        moe_experiment x;
        moe_error err = {0};
        moe_experiment_parse(text, "x.yaml", NULL, 0, &x, &err);
        if (n == 64) {
            ck_assert_int_eq(err.status, MOE_OK);
            ck_assert_int_eq(x.n_strategies, n);
            moe_experiment_fini(&x);
        } else {
            check_parts(err.text, "strategies: 65 of them, at most 64");
        }
    }
}
END_TEST

static const struct {
    const char *text;
    int n, layers[8];
} layer_lists[] = {
    {"all", 6, {0, 1, 2, 3, 4, 5}},
    {"0", 1, {0}},
    {"5", 1, {5}},
    {"0,5", 2, {0, 5}},
    {"0, 5", 2, {0, 5}},
    {"1-3", 3, {1, 2, 3}},
    {"0-5", 6, {0, 1, 2, 3, 4, 5}},
    {"0,2-3,5", 4, {0, 2, 3, 5}},
    {"2-2", 1, {2}},
    {"00,01", 2, {0, 1}},
};

START_TEST(list_of_layers_is_read)
{
    int layers[6], n = 0;
    moe_error err = {0};
    moe_experiment_layers(layer_lists[_i].text, 6, layers, &n, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_int_eq(n, layer_lists[_i].n);
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(layers[i], layer_lists[_i].layers[i]);
}
END_TEST

static const char *const bad_layers[] = {
    "",
    "none",
    "ALL",
    "all,1",
    "6",
    "0-6",
    "-1",
    "0,-1",
    "0--0",
    "+1",
    "1-",
    "-",
    ",",
    "0,",
    ",0",
    "0,,1",
    "3-1",
    "1.5",
    "0 1",
    "0x1",
    "1,1",
    "2,1",
    "0-3,3",
    "0;1",
    "4294967296",
    "99999999999999999999",
    "0-99999999999999999999",
    "1 ",
};

START_TEST(what_is_no_list_of_layers_is_refused)
{
    int layers[6], n = -7;
    moe_error err = {0};
    moe_experiment_layers(bad_layers[_i], 6, layers, &n, &err);
    ck_assert_msg(err.status == MOE_USAGE, "'%s'", bad_layers[_i]);
    check_parts(err.text, "workload.layers: '");
    check_parts(err.text, bad_layers[_i]);
    ck_assert_int_eq(n, -7);
}
END_TEST

static const struct {
    const char *pattern, *path;
} patterns[] = {
    {"results/%m-%c-%n.h5", "results/mix-a100-16.h5"},
    {"%t", "t.x"},
    {"%m%m", "mixmix"},
    {"100%%", "100%"},
    {"%%m", "%m"},
    {"%%%n", "%16"},
    {"plain", "plain"},
};

static void name_all(moe_experiment *x, const char *pattern)
{
    memset(x, 0, sizeof *x);
    snprintf(x->model_name, sizeof x->model_name, "mix");
    snprintf(x->cluster_name, sizeof x->cluster_name, "my/a100.yaml");
    snprintf(x->trace_name, sizeof x->trace_name, "/data.h5/t.x.h5");
    snprintf(x->output, sizeof x->output, "%s", pattern);
}

START_TEST(output_pattern_is_filled_in)
{
    moe_experiment x;
    moe_error err = {0};
    char path[64];
    name_all(&x, patterns[_i].pattern);
    moe_experiment_output(&x, 16, path, sizeof path, &err);
    ck_assert_msg(err.status == MOE_OK, "%s", err.text);
    ck_assert_str_eq(path, patterns[_i].path);
}
END_TEST

static const char *const bad_patterns[] = {"%",   "a%",  "%x", "%M.h5",
                                           "%%%", "% m", "%5n"};

START_TEST(unknown_field_of_output_is_refused)
{
    moe_experiment x;
    moe_error err = {0};
    char path[64] = "before";
    name_all(&x, bad_patterns[_i]);
    ck_assert_int_eq(moe_experiment_output(&x, 16, path, sizeof path, &err),
                     MOE_USAGE);
    check_parts(err.text, "output: |one of m, c, t, n, % is allowed");
    check_parts(err.text, bad_patterns[_i]);
    ck_assert_str_eq(path, "before");
}
END_TEST

START_TEST(output_path_fills_its_buffer_and_no_more)
{
    moe_experiment x;
    char path[8];
    for (size_t n = 0; n < 1000; n = n < 9 ? n + 1 : n * 7) {
        moe_error err = {0};
        memset(path, 'x', sizeof path);
        name_all(&x, "");
        memset(x.output, 'p', n);
        moe_status s = moe_experiment_output(&x, 1, path, 7, &err);
        ck_assert_int_eq(s, n > 0 && n <= 6 ? MOE_OK : MOE_USAGE);
        ck_assert_int_eq(path[7], 'x');
        if (s == MOE_OK)
            ck_assert_str_eq(path, x.output);
        else
            check_parts(err.text, "output: path of ");
    }
    moe_error err = {0};
    name_all(&x, "%x");
    memset(x.output + 2, 'p', sizeof x.output - 3);
    moe_experiment_output(&x, 1, path, sizeof path, &err);
    check_parts(err.text, "one of m, c, t, n, % is allowed");
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("experiment");
    MOE_TEST(suite, complete_file_is_read);
    MOE_TEST(suite, everything_but_names_has_a_default);
    MOE_TEST_LOOP(suite, pacing_settles_what_is_left_open,
                  sizeof paced_cases / sizeof *paced_cases);
    MOE_TEST(suite, who_predicts_plans);
    MOE_TEST_LOOP(suite, foretold_tokens_are_routed_directly,
                  MOE_ARRAY_LEN(routings));
    MOE_TEST(suite, sets_are_applied_in_order);
    MOE_TEST_LOOP(suite, resolved_text_reads_back, MOE_ARRAY_LEN(spellings));
    MOE_TEST_LOOP(suite, strategy_is_described_for_its_file,
                  MOE_ARRAY_LEN(described));
    MOE_TEST(suite, resolved_text_holds_the_longest_names);
    MOE_TEST_LOOP(suite, candidates_are_named_or_all_that_can_be_built, 2);
    MOE_TEST_LOOP(suite, bad_experiment_is_refused, MOE_ARRAY_LEN(bad));
    MOE_TEST(suite, bad_set_is_named);
    MOE_TEST(suite, there_may_be_64_strategies_and_no_more);
    MOE_TEST_LOOP(suite, list_of_layers_is_read, MOE_ARRAY_LEN(layer_lists));
    MOE_TEST_LOOP(suite, what_is_no_list_of_layers_is_refused,
                  MOE_ARRAY_LEN(bad_layers));
    MOE_TEST_LOOP(suite, output_pattern_is_filled_in, MOE_ARRAY_LEN(patterns));
    MOE_TEST_LOOP(suite, unknown_field_of_output_is_refused,
                  MOE_ARRAY_LEN(bad_patterns));
    MOE_TEST(suite, output_path_fills_its_buffer_and_no_more);
    return suite;
}
