/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "../src/report/contents.h"
#include "harness.h"
#include "moegps/mem.h"

enum { MAX_STRATEGIES = 12, N_SAMPLES = 20 };

/* Samples of all strategies: they go up and down, and stay around medians. */
static double samples[MAX_STRATEGIES][MOE_N_CLOCKS][N_SAMPLES];

static moe_summary around(double median, size_t n)
{
    return (moe_summary){.n = n,
                         .median = median,
                         .ci_low = n < MOE_STATS_MIN_CI ? NAN : median * 0.9,
                         .ci_high = n < MOE_STATS_MIN_CI ? NAN : median * 1.2,
                         .mean = median,
                         .sd = median / 8,
                         .min = median / 2,
                         .max = median * 2,
                         .p50 = NAN,
                         .p90 = NAN,
                         .p99 = NAN};
}

static void fill_strategy(moe_strategy_view *y, int s, size_t n)
{
    static const char *const names[] = {"baseline", "token-ffn"};
    snprintf(y->name, sizeof y->name, "%s",
             s < 2 ? names[s] : "a-strategy-with-quite-a-long-name");
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        double time = (c + 1) * 1e-3 / (s + 1);
        y->summary[c] = around(time, n);
        y->layer_time[c] = samples[s][c];
        for (int i = 0; i < N_SAMPLES; i++)
            samples[s][c][i] = n > 0 ? time * (12 + i % 8) / 16 : NAN;
        y->speedup[c] = (moe_ratio){n, s + 1, 0.9 * (s + 1), 1.1 * (s + 1)};
        for (int p = 0; p < MOE_N_PHASES; p++)
            y->phase[c][p] = time * p / 45;
        if (c != MOE_CLOCK_GPU)
            y->phase[c][MOE_PHASE_ATTENTION] = NAN;
    }
    y->hidden = s * 1e-6;
    y->wait = 2e-6;
    y->imbalance = around(2.5 - s, n);
    y->skewness = around(1.39, n);
    y->error = s == 0 ? around(NAN, 0) : around(0.018, n);
    y->top1 = s == 0 ? around(NAN, 0) : around(0.5, n);
    y->recall = s == 0 ? around(NAN, 0) : around(0.75, n);
    y->in_place = s == 0 ? around(NAN, 0) : around(0.625, n);
    y->regret_split = around(0.5 - s * 0.25, n);
    y->regret_prediction = s == 0 ? around(0, n) : around(-0.25, n);
    y->regret_planner = around(0.375 - s * 0.25, n);
    y->regret_room = around(0.5 - s * 0.25, n);
    y->bound = around(1.125, n);
    y->moved_bytes = s * 352e6;
    y->wire_bytes = 64 * s;
    y->dispatch_bytes = 1 << 20;
    y->remote_share = 0.75;
    y->ahead_bytes = s << 21;
    y->planner_cpu = around(12.3e-6, n);
    y->late = around(NAN, 0);
}

/* A view as moe_view_read() would make it; its arrays are the caller's. */
static moe_view example(moe_strategy_view *strategies, int n)
{
    moe_view v = {.path = "results/x.h5",
                  .run_id = "01234567-89ab-4def-8123-456789abcdef",
                  .title = "which predictor pays",
                  .status = "complete",
                  .date = "2030-01-02T03:04:05Z",
                  .source = "moe-gps 1.0",
                  .validation = "pass",
                  .validation_text = "pairs conserved, outputs agree",
                  .model = "mixtral-8x7b",
                  .cluster = "a100-nvlink",
                  .serving = "attention data, exchange tokens",
                  .reference = "baseline",
                  .dims = {.strategies = n,
                           .iterations = 20,
                           .warmup = 2,
                           .layers = 32,
                           .experts = 8,
                           .gpus = 4,
                           .ranks = 5,
                           .slots = 4},
                  .nodes = 1,
                  .measured = 20,
                  .period = 1,
                  .valid = true,
                  .strategy = strategies};
    for (int s = 0; s < n; s++)
        fill_strategy(&strategies[s], s, 20);
    return v;
}

/* What is printed; the caller frees it. */
static char *printed_of(const moe_view *view, bool all)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    moe_analysis a;
    ck_assert_int_eq(moe_analysis_init(&a, view, 1, 0, NULL), MOE_OK);
    moe_document *doc = moe_document_new(NULL);
    moe_report_run(doc, &a.run[0], (moe_report_extent){.all = all});
    ck_assert_int_eq(moe_document_say(doc, out, NULL), MOE_OK);
    moe_analysis_fini(&a);
    fclose(out);
    return text;
}

static char *printed(const moe_view *view)
{
    return printed_of(view, true);
}

/* Lines are broken at spaces, and items go on behind some. */
static void unbreak(char *text)
{
    char *to = text;
    for (const char *p = text; *p != '\0'; p++) {
        const char c = *p == '\n' ? ' ' : *p;
        if (c != ' ' || to == text || to[-1] != ' ')
            *to++ = c;
    }
    *to = '\0';
}

static const char *const golden[] = {
    "which predictor pays",
    "",
    "Use token-ffn: a layer takes 500 us, 2.00 times as fast as baseline (95 % "
    "interval 1.80 .. 2.20, n =",
    "20). Times were measured on this machine (wall clock), without "
    "attention.",
    "",
    "file        results/x.h5",
    "run         01234567-89ab-4def-8123-456789abcdef",
    "date        2030-01-02T03:04:05Z",
    "program     moe-gps 1.0",
    "model       mixtral-8x7b: 32 layers of 8 experts",
    "cluster     a100-nvlink: 4 GPUs, emulated by 5 ranks on 1 node",
    "deployment  attention data, exchange tokens",
    "trace       not recorded",
    "SHA-256     not recorded",
    "iterations  n = 20 of 20 measured, after 2 to warm up",
    "status      complete",
    "validation  pass",
    "checked     pairs conserved, outputs agree",
    "",
    "Time of a layer, wall clock (measured, slowest rank)",
    "speed-up over baseline, by pairs of iterations",
    "",
    "strategy    median      95 % interval  speed-up  95 % interval   n  of "
    "slowest",
    "---------  -------  -----------------  --------  -------------  --  "
    "----------",
    "baseline   1.00 ms  900 us .. 1.20 ms      1.00  0.900 .. 1.10  20  "
    "##########",
    "token-ffn   500 us   450 us .. 600 us      2.00   1.80 .. 2.20  20  #####",
    "",
    "Time of a layer, cpu clock (measured CPU time, busiest rank)",
    "speed-up over baseline, by pairs of iterations",
    "",
    "strategy    median       95 % interval  speed-up  95 % interval   n",
    "---------  -------  ------------------  --------  -------------  --",
    "baseline   2.00 ms  1.80 ms .. 2.40 ms      1.00  0.900 .. 1.10  20",
    "token-ffn  1.00 ms   900 us .. 1.20 ms      2.00   1.80 .. 2.20  20",
    "",
    "Time of a layer, gpu clock (modelled, not measured)",
    "speed-up over baseline, by pairs of iterations",
    "",
    "strategy    median       95 % interval  speed-up  95 % interval   n",
    "---------  -------  ------------------  --------  -------------  --",
    "baseline   3.00 ms  2.70 ms .. 3.60 ms      1.00  0.900 .. 1.10  20",
    "token-ffn  1.50 ms  1.35 ms .. 1.80 ms      2.00   1.80 .. 2.20  20",
    "",
    "Samples, wall clock (measured), each line from its least to its largest",
    "",
    "strategy    least  largest  from the first to the last sample",
    "---------  ------  -------  ---------------------------------",
    "baseline   500 us  2.00 ms  _.:-=+*#_.:-=+*#_.:-",
    "token-ffn  250 us  1.00 ms  _.:-=+*#_.:-=+*#_.:-",
    "",
    "Load and prediction, medians over iterations",
    "",
    "strategy      imbalance         skewness            error      top-1      "
    "recall",
    "           max/mean GPU  max/mean expert  of distribution  of tokens  of "
    "experts",
    "---------  ------------  ---------------  ---------------  ---------  "
    "----------",
    "baseline           2.50             1.39              n/a        n/a      "
    "   n/a",
    "token-ffn          1.50             1.39           1.80 %     50.0 %      "
    "75.0 %",
    "",
    "Regret: pairs of the busiest GPU over the mean, beyond the bound, by the "
    "stage that loses them;",
    "means over iterations, which add up",
    "",
    "strategy   imbalance        split  prediction    planner        room   "
    "bound",
    "            max/mean  over minmax  over truth  over best  over bound  of "
    "all",
    "---------  ---------  -----------  ----------  ---------  ----------  "
    "------",
    "baseline      2.5000       0.5000      0.0000     0.3750      0.5000  "
    "1.1250",
    "token-ffn     1.5000       0.2500     -0.2500     0.1250      0.2500  "
    "1.1250",
    "",
    "What balancing costs, means (in place, planner: medians)",
    "",
    "strategy   weights moved  in place  dispatched  remote      plan sent    "
    "planner CPU",
    "               per layer  of pairs   per layer   of it  per iteration  "
    "per iteration",
    "---------  -------------  --------  ----------  ------  -------------  "
    "-------------",
    "baseline             0 B       n/a     1.0 MiB  75.0 %            0 B     "
    "   12.3 us",
    "token-ffn      335.7 MiB    62.5 %     1.0 MiB  75.0 %           64 B     "
    "   12.3 us",
    "",
    "Phases of a layer, wall clock (measured); waiting: mean over ranks",
    "",
    "phase      baseline  token-ffn",
    "---------  --------  ---------",
    "predict         0 s        0 s",
    "collect     22.2 us    11.1 us",
    "plan        44.4 us    22.2 us",
    "broadcast   66.7 us    33.3 us",
    "migrate     88.9 us    44.4 us",
    "attention       n/a        n/a",
    "route        133 us    66.7 us",
    "dispatch     156 us    77.8 us",
    "ffn          178 us    88.9 us",
    "combine      200 us     100 us",
    "(wait)      2.00 us    2.00 us",
    "",
    "Phases of a layer, cpu clock (measured CPU time)",
    "",
    "phase      baseline  token-ffn",
    "---------  --------  ---------",
    "predict         0 s        0 s",
    "collect     44.4 us    22.2 us",
    "plan        88.9 us    44.4 us",
    "broadcast    133 us    66.7 us",
    "migrate      178 us    88.9 us",
    "attention       n/a        n/a",
    "route        267 us     133 us",
    "dispatch     311 us     156 us",
    "ffn          356 us     178 us",
    "combine      400 us     200 us",
    "",
    "Phases of a layer, gpu clock (modelled), what attention does not hide",
    "",
    "phase      baseline  token-ffn",
    "---------  --------  ---------",
    "predict         0 s        0 s",
    "collect     66.7 us    33.3 us",
    "plan         133 us    66.7 us",
    "broadcast    200 us     100 us",
    "migrate      267 us     133 us",
    "attention    333 us     167 us",
    "route        400 us     200 us",
    "dispatch     467 us     233 us",
    "ffn          533 us     267 us",
    "combine      600 us     300 us",
    "(hidden)        0 s    1.00 us",
    "",
    "Against baseline, per layer on the wall clock (measured):",
    "  token-ffn: 2.00 times as fast: combine -100 us, ffn -88.9 us",
    "",
    "Use token-ffn: a layer takes 500 us, 2.00 times as fast as baseline (95 % "
    "interval 1.80 .. 2.20, n =",
    "20). Times were measured on this machine (wall clock), without "
    "attention.",
    "",
    "FOM layer_time_wall baseline = 0.001 s",
    "FOM layer_time_wall token-ffn = 0.0005 s",
    "FOM layer_time_cpu baseline = 0.002 s",
    "FOM layer_time_cpu token-ffn = 0.001 s",
    "FOM layer_time_gpu baseline = 0.003 s",
    "FOM layer_time_gpu token-ffn = 0.0015 s",
    "FOM imbalance baseline = 2.5 1",
    "FOM imbalance token-ffn = 1.5 1",
    "FOM skewness baseline = 1.39 1",
    "FOM skewness token-ffn = 1.39 1",
    "FOM error token-ffn = 0.018 1",
    "FOM top1 token-ffn = 0.5 1",
    "FOM recall token-ffn = 0.75 1",
    "FOM in_place token-ffn = 0.625 1",
    "FOM regret_split baseline = 0.5 1",
    "FOM regret_split token-ffn = 0.25 1",
    "FOM regret_prediction baseline = 0 1",
    "FOM regret_prediction token-ffn = -0.25 1",
    "FOM regret_planner baseline = 0.375 1",
    "FOM regret_planner token-ffn = 0.125 1",
    "FOM regret_room baseline = 0.5 1",
    "FOM regret_room token-ffn = 0.25 1",
    "FOM bound baseline = 1.125 1",
    "FOM bound token-ffn = 1.125 1",
    "FOM planner_time baseline = 1.23e-05 s",
    "FOM planner_time token-ffn = 1.23e-05 s",
    "FOM moved_bytes baseline = 0 B",
    "FOM moved_bytes token-ffn = 352000000 B",
    "FOM wire_bytes baseline = 0 B",
    "FOM wire_bytes token-ffn = 64 B",
    "FOM dispatch_bytes baseline = 1048576 B",
    "FOM dispatch_bytes token-ffn = 1048576 B",
    "FOM remote_share baseline = 0.75 1",
    "FOM remote_share token-ffn = 0.75 1",
    "FOM ahead_bytes baseline = 0 B",
    "FOM ahead_bytes token-ffn = 2097152 B",
    "FOM speedup_wall baseline = 1 1",
    "FOM speedup_wall token-ffn = 2 1",
    "FOM speedup_cpu baseline = 1 1",
    "FOM speedup_cpu token-ffn = 2 1",
    "FOM speedup_gpu baseline = 1 1",
    "FOM speedup_gpu token-ffn = 2 1",
    "RESULT: VALID",
};

START_TEST(text_is_as_agreed)
{
    moe_strategy_view strategies[2] = {0};
    moe_view v = example(strategies, 2);
    char *text = printed(&v);
    const char *at = text;
    for (size_t i = 0; i < MOE_ARRAY_LEN(golden); i++) {
        size_t n = strcspn(at, "\n");
        ck_assert_msg(n == strlen(golden[i]) && memcmp(at, golden[i], n) == 0,
                      "'%.*s' and not '%s'", (int)n, at, golden[i]);
        at += n + (at[n] != '\0');
    }
    ck_assert_str_eq(at, "");
    free(text);
}
END_TEST

/* @return characters of the longest line. */
static size_t longest_line(const char *text)
{
    size_t most = 0;
    while (*text != '\0') {
        const size_t len = strcspn(text, "\n");
        size_t width = 0;
        for (size_t i = 0; i < len; i++)
            width += ((unsigned char)text[i] & 0xc0) != 0x80;
        most = width > most ? width : most;
        text += len + (text[len] != '\0');
    }
    return most;
}

static const char *const locales[] = {"C", "C.UTF-8"};

START_TEST(lines_fit_a_terminal)
{
    setenv("LC_ALL", locales[_i], 1);
    static moe_strategy_view strategies[MAX_STRATEGIES];
    char *warnings[] = {"rank 3 may use one core of eight, and shares it with "
                        "rank 4, rank 5, rank 6 and others: bind the ranks, "
                        "or read the clock that is modelled"};
    moe_view v = example(strategies, MAX_STRATEGIES);
    v.warnings = warnings;
    v.n_warnings = 1;
    v.oversubscribed = true;
    char *text = printed(&v);
    ck_assert_uint_le(longest_line(text), 100);
    ck_assert_int_eq(strstr(text, "\u2588\u2588") != NULL, _i == 1);
    ck_assert_int_eq(strstr(text, "  ##") != NULL, _i == 0);
    ck_assert_ptr_null(strchr(text, '\033'));
    free(text);
}
END_TEST

START_TEST(shared_cores_are_said_before_any_table)
{
    moe_strategy_view strategies[2] = {0};
    moe_view v = example(strategies, 2);
    v.oversubscribed = true;
    char *text = printed(&v);
    const char *said =
        strstr(text, "WARNING: wall clock is not a result here: ranks share "
                     "cores; read the gpu clock\n");
    const char *table = strstr(
        text, "wall clock (measured, slowest rank): not a result, ranks");
    ck_assert(said != NULL && table != NULL && said < table);
    free(text);
}
END_TEST

/* How late paced phases were, in share of a layer, and what is said and not
 * said of that. By the 50 of the dilation, 12.9 % would be 2 % at 322.5. */
static const struct {
    double late;
    const char *says[4], *never;
} lateness[] = {
    {0.0199,
     {"Paced phases ended late, in token-ffn by most, 1.99 % of a layer: "
      "attention by 50.0 us in the median and 500 us in the 99th percentile "
      "over layers and ranks, ffn by",
      "attention and FFN kept the pace of the cost model."},
     "not a result"},
    {0.129,
     {"12.9 % of a layer",
      "Beyond 2 % of a layer the wall clock is not a result: read the gpu "
      "clock, or run fewer ranks a core, or with emulation.dilation from about "
      "323 on",
      "Times are modelled (gpu clock)"},
     "kept the pace of the cost model"},
};

START_TEST(deadlines_that_were_missed_are_said_and_end_the_wall_clock)
{
    moe_strategy_view strategies[2] = {0};
    moe_view v = example(strategies, 2);
    v.pace.phase[MOE_PACE_ATTENTION] = v.pace.phase[MOE_PACE_FFN] = true;
    v.pace.dilation = 50;
    v.oversubscribed = true;
    v.pace.late = lateness[_i].late;
    for (int s = 0; s < 2; s++) {
        moe_strategy_view *y = &strategies[s];
        y->late = around(lateness[_i].late * (s + 1) / 2, 20);
        y->late_share = 0.5;
        for (int k = 0; k < MOE_N_PACES; k++) {
            y->late_s[k][0] = 1e-6;
            y->late_s[k][1] = 10e-6;
        }
    }
    char *text = printed_of(&v, false);
    unbreak(text);
    for (int i = 0; i < 4 && lateness[_i].says[i] != NULL; i++)
        ck_assert_msg(strstr(text, lateness[_i].says[i]) != NULL, "%s\n%s",
                      lateness[_i].says[i], text);
    ck_assert_msg(strstr(text, lateness[_i].never) == NULL, "%s", text);
    free(text);
}
END_TEST

/* What was priced side by side, by whom it ran, and whether the wall clock has
 * it. */
static const struct {
    const char *serving;
    bool paced;
    const char *not_executed;
} overlaps[] = {
    {"", false, NULL},
    {"exchange tokens", false, NULL},
    {"attention data, overlap two-batch", false, "two-batch"},
    {"attention data, overlap two-batch", true, NULL},
    {"overlap shared", false, "shared"},
};

START_TEST(overlap_that_was_not_executed_is_said)
{
    char says[64];
    moe_strategy_view strategies[2] = {0};
    moe_view v = example(strategies, 2);
    snprintf(v.serving, sizeof v.serving, "%s", overlaps[_i].serving);
    v.pace.phase[MOE_PACE_ATTENTION] = overlaps[_i].paced;
    v.pace.phase[MOE_PACE_FFN] = overlaps[_i].paced;
    v.pace.dilation = 1;
    char *text = printed_of(&v, false);
    unbreak(text);
    snprintf(says, sizeof says, "Overlap %s was priced, not executed",
             overlaps[_i].not_executed == NULL ? ""
                                               : overlaps[_i].not_executed);
    if (overlaps[_i].not_executed != NULL)
        ck_assert_msg(strstr(text, says) != NULL, "%s", text);
    else
        ck_assert_ptr_null(strstr(text, "not executed"));
    free(text);
}
END_TEST

/* Of the clocks: whether ranks shared cores, one that is asked for, 1 + clock;
 * those that are shown. */
static const struct {
    bool shared, all;
    int asked;
    bool shown[MOE_N_CLOCKS];
} shown_clocks[] = {
    {false, false, 0, {true, false, true}},
    {true, false, 0, {false, false, true}},
    {true, true, 0, {true, true, true}},
    {true, false, 1 + MOE_CLOCK_CPU, {false, true, true}},
    {true, false, 1 + MOE_CLOCK_WALL, {true, false, true}},
};

START_TEST(clocks_that_are_no_result_are_left_out)
{
    moe_strategy_view strategies[2] = {0};
    moe_view v = example(strategies, 2);
    v.oversubscribed = shown_clocks[_i].shared;
    v.clock_asked = shown_clocks[_i].asked;
    char *text = printed_of(&v, shown_clocks[_i].all), name[64];
    bool left_out = false;
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        snprintf(name, sizeof name, "Time of a layer, %s clock",
                 moe_clock_name((moe_clock)c));
        ck_assert_int_eq(strstr(text, name) != NULL, shown_clocks[_i].shown[c]);
        left_out |= !shown_clocks[_i].shown[c];
    }
    ck_assert_int_eq(strstr(text, "report --all") != NULL, left_out);
    ck_assert_ptr_nonnull(strstr(text, "FOM layer_time_cpu"));
    free(text);
}
END_TEST

/* Whom the verdict is for, and whether checks and prices allow it. */
static const struct {
    const char *validation;
    double low_s;
    bool says_use;
    const char *says;
} trusted[] = {
    {"pass", 1e-6, true,
     "The lead is more than two of three prices are wrong by."},
    {"pass", -1e-6, true, "Prices may be wrong by as much as the lead."},
    {"pass", NAN, true,
     "prices of cluster a100-nvlink for what every GPU did "
     "on 20 batches."},
    {"fail", 1e-6, false,
     "Do not use these numbers: the run failed its checks. token-ffn "
     "(predictor ffn, planner balance, split deal, 3 slots a GPU) has the "
     "lowest median: a layer takes"},
};

START_TEST(verdict_says_whom_and_what_it_rests_on)
{
    moe_strategy_view strategies[2] = {0};
    moe_view v = example(strategies, 2);
    char text[1024];
    snprintf(v.validation, sizeof v.validation, "%s", trusted[_i].validation);
    strategies[1].facts = (moe_strategy_facts){
        .predictor = "ffn", .planner = "balance", .split = "deal", .slots = 3};
    const moe_run_analysis run = {
        .view = &v,
        .verdict = {.clock = MOE_CLOCK_GPU, .best = 1, .second = -1},
        .sensitivity = {.analysed = true,
                        .winner = 1,
                        .lead = {.low_s = trusted[_i].low_s}}};
    FILE *out = fmemopen(text, sizeof text, "w");
    moe_verdict_say(&run, out);
    fclose(out);
    ck_assert_msg(strstr(text, trusted[_i].says) != NULL, "%s", text);
    ck_assert_int_eq(strncmp(text, "Use token-ffn (predictor ffn, ", 30) == 0,
                     trusted[_i].says_use);
}
END_TEST

/* Winners by number of GPUs, and what a sweep's verdict says of them. */
static const struct {
    moe_scaling_winner winner[4];
    size_t n;
    const char *says;
} sweeps[] = {
    {{{4, 1, .best = "a"}, {8, 2, .best = "a"}},
     2,
     "Use a on 4 to 8 GPUs (1 to 2 nodes), by the gpu clock (modelled)."},
    {{{1, 1, .doubt = MOE_DOUBT_ONE_GPU},
      {4, 1, .best = "a"},
      {8, 2, .doubt = MOE_DOUBT_OVERLAP},
      {16, 4, .best = "b"}},
     4,
     "Use a on 4 GPUs, b on 16 GPUs (4 nodes), by the gpu clock (modelled). "
     "No verdict on 1 GPU: nothing to balance. No verdict on 8 GPUs "
     "(2 nodes): too close to call. It turns from a to b between 4 and 16 "
     "GPUs."},
    {{{2, 1, .best = "a"}, {4, 1, .best = "b"}, {8, 1, .best = "a"}},
     3,
     "Use a on 2 GPUs, b on 4 GPUs, a on 8 GPUs, by the gpu clock (modelled). "
     "It turns from a to b between 2 and 4 GPUs. It turns from "
     "b to a between 4 and 8 GPUs."},
    {{{4, 1, .differ = true}}, 1, "No verdict on 4 GPUs: runs differ."}};

START_TEST(verdict_of_a_sweep_says_where_it_turns)
{
    char *text = NULL;
    size_t size = 0;
    moe_scaling_winner winner[4];
    memcpy(winner, sweeps[_i].winner, sizeof winner);
    const moe_analysis a = {.scaling = {.strategies = 2,
                                        .clock = MOE_CLOCK_GPU,
                                        .winner = winner,
                                        .n_winners = sweeps[_i].n}};
    FILE *out = open_memstream(&text, &size);
    moe_document *doc = moe_document_new(NULL);
    moe_say_scaling_verdict(doc, &a);
    ck_assert_int_eq(moe_document_say(doc, out, NULL), MOE_OK);
    fclose(out);
    for (char *p = text; *p != '\0'; p++) /* lines are broken at spaces */
        *p = *p == '\n' ? ' ' : *p;
    ck_assert_msg(strstr(text, sweeps[_i].says) != NULL, "%s", text);
    free(text);
}
END_TEST

/* Every mention of the gpu clock's times says where they come from. */
START_TEST(gpu_clock_is_called_modelled)
{
    moe_strategy_view strategies[2] = {0};
    moe_view v = example(strategies, 2);
    char *text = printed(&v);
    int n = 0;
    for (const char *at = text; (at = strstr(at, ", gpu clock")) != NULL; n++) {
        ck_assert_int_eq(strncmp(at, ", gpu clock (modelled", 21), 0);
        at++;
    }
    ck_assert_int_eq(n, 2);
    free(text);
}
END_TEST

static const struct {
    const char *status, *validation, *result;
} results[] = {
    {"complete", "pass", "VALID"},
    {"complete", "fail", "INVALID"},
    {"complete", "not_run", "INCOMPLETE"},
    {"interrupted", "pass", "INCOMPLETE"},
    {"interrupted", "fail", "INVALID"},
    {"running", "not_run", "INCOMPLETE"},
    {"failed", "not_run", "INCOMPLETE"},
    {"failed", "fail", "INVALID"},
};

START_TEST(result_needs_an_end_and_a_check)
{
    moe_strategy_view strategies[1] = {0};
    moe_view v = example(strategies, 1);
    strcpy(v.status, results[_i].status);
    strcpy(v.validation, results[_i].validation);
    v.valid = strcmp(v.validation, "pass") == 0;
    ck_assert_str_eq(moe_report_result(&v), results[_i].result);
}
END_TEST

START_TEST(name_is_cut_between_characters)
{
    moe_strategy_view strategies[2] = {0};
    moe_view v = example(strategies, 2); /* it sets the names */
    strcpy(strategies[1].name,
           "x\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac");
    char *text = printed(&v);
    ck_assert_ptr_nonnull(
        strstr(text, "\nx\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac\u20ac~ "));
    ck_assert_ptr_nonnull(strstr(text, "  x\u20ac\u20ac\u20ac\u20ac\u20ac~\n"));
    free(text);
}
END_TEST

START_TEST(samples_of_several_iterations_are_told)
{
    moe_strategy_view strategies[2] = {0};
    moe_view v = example(strategies, 2);
    v.period = 4; /* 20 iterations are 5 samples, intervals need 12 */
    char *text = printed(&v);
    ck_assert_ptr_nonnull(strstr(text, "samples     n / 4: means over"));
    ck_assert_ptr_nonnull(strstr(text, "none: they need 48 iterations"));
    free(text);
}
END_TEST

START_TEST(nothing_measured_is_not_a_number)
{
    moe_strategy_view strategies[1] = {0};
    moe_view v = example(strategies, 1);
    moe_strategy_view *y = &strategies[0];
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        y->summary[c] = around(NAN, 0);
        for (int i = 0; i < N_SAMPLES; i++)
            y->layer_time[c][i] = NAN;
        y->speedup[c] = (moe_ratio){0, NAN, NAN, NAN};
    }
    v.measured = 0;
    char *text = printed(&v);
    ck_assert_ptr_null(strstr(text, "nan"));
    ck_assert_ptr_null(strstr(text, "FOM layer_time"));
    ck_assert_ptr_nonnull(strstr(text, "intervals   none"));
    free(text);
}
END_TEST

/* ---- what verdicts rest on ---- */

static const struct {
    double x[4];
    int n, least, most;
} extremes[] = {
    {{3, 1, 2, 5}, 4, 1, 3},
    {{NAN, 1, NAN, 0}, 4, 3, 1},
    {{2, 2, 1, 1}, 4, 2, 0},
    {{NAN, NAN}, 2, -1, -1},
    {{-1, -INFINITY, NAN}, 3, 1, 0},
    {{7}, 1, 0, 0},
    {{0}, 0, -1, -1},
};

START_TEST(first_of_equals_is_least_and_most)
{
    ck_assert_int_eq(moe_least(extremes[_i].x, extremes[_i].n),
                     extremes[_i].least);
    ck_assert_int_eq(moe_most(extremes[_i].x, extremes[_i].n),
                     extremes[_i].most);
}
END_TEST

/* Strategies: an oracle, one that foretells no tokens, two that do. */
static moe_view mixed(moe_strategy_view y[4])
{
    static const double recall[] = {1, NAN, 0.75, 0.5};
    for (int s = 0; s < 4; s++) {
        y[s] = (moe_strategy_view){
            .recall = {.median = recall[s]},
            .facts = {.knows_future = s == 0, .foretells_tokens = s != 1}};
        for (int p = 0; p < MOE_N_PHASES; p++)
            for (int k = 0; k < MOE_N_PRICE_SOURCES; k++)
                y[s].source[p][k] = s == 1 ? NAN : s * 0.125 + k * 0.01;
    }
    return (moe_view){.strategy = y, .dims = {.strategies = 4}};
}

static const struct {
    moe_contenders who;
    int n, at[4];
} orders[] = {
    {MOE_EVERYONE, 3, {3, 2, 0}},
    {MOE_BUILDABLE, 2, {3, 2}},
    {MOE_ORACLES_TOKENS, 1, {0}},
    {MOE_BUILDABLE_NO_TOKENS, 0, {0}},
};

START_TEST(strategies_go_by_rising_recall)
{
    moe_strategy_view y[4];
    const moe_view v = mixed(y);
    const moe_strategies got = moe_by_recall(&v, orders[_i].who);
    ck_assert_int_eq(got.n, orders[_i].n);
    for (int i = 0; i < got.n; i++)
        ck_assert_int_eq(got.at[i], orders[_i].at[i]);
}
END_TEST

START_TEST(prices_are_of_who_has_most_from_there)
{
    moe_strategy_view y[4];
    const moe_view v = mixed(y);
    ck_assert_double_eq_tol(
        moe_most_priced(&v, MOE_PHASE_FFN, MOE_PRICE_EXTRAPOLATED),
        0.375 + MOE_PRICE_EXTRAPOLATED * 0.01, 1e-12);
    for (int s = 0; s < 4; s++)
        y[s].source[MOE_PHASE_FFN][MOE_PRICE_ANALYTIC] = NAN;
    ck_assert_double_nan(
        moe_most_priced(&v, MOE_PHASE_FFN, MOE_PRICE_ANALYTIC));
}
END_TEST

/* ---- one sentence ---- */

enum { VERDICT_N = 12 };

/* Strategies of baseline, a, b; times in us, the same in all iterations but
 * for `noise` in every other one. */
static const struct {
    double time[3], noise;
    int n, best, second, bound;
    bool oracle[3];
    const char *says;
} verdicts[] = {
    {{100, 50, 80},
     0,
     12,
     1,
     2,
     -1,
     {false, false, false},
     "Use a: a layer takes 50.0 us, 2.00 times as fast as baseline (95 % "
     "interval 2.00 .. 2.00, n = 12) and 1.60 times as fast as b (95 % "
     "interval 1.60 .. 1.60, n = 12). Times were measured on this machine "
     "(wall clock), without attention."},
    {{100, 50, 80},
     0,
     12,
     2,
     0,
     1,
     {false, true, false},
     "Use b: a layer takes 80.0 us, 1.25 times as fast as baseline (95 % "
     "interval 1.25 .. 1.25, n = 12). Times were measured on this machine "
     "(wall clock), without attention."},
    {{100, 200, 400},
     0,
     12,
     0,
     1,
     -1,
     {false, false, false},
     "Use baseline: a layer takes 100 us, 2.00 times as fast as a (95 % "
     "interval 2.00 .. 2.00, n = 12). Times were measured on this machine "
     "(wall clock), without attention."},
    {{100, 97, 300},
     4,
     12,
     1,
     0,
     -1,
     {false, false, false},
     "No verdict: the lead is within noise. a has the lowest median: a "
     "layer takes 99.0 us, 1.01 times as fast as baseline (95 % interval "
     "0.990 .. 1.03, n = 12). Times were measured on this machine (wall "
     "clock), without attention."},
    {{100, 50, 80},
     0,
     11,
     1,
     2,
     -1,
     {false, false, false},
     "No verdict, of too few independent batches. a has the lowest "
     "median: a layer takes 50.0 us, 2.00 times as fast as baseline (n = "
     "11: too few independent batches for an interval) and 1.60 times as "
     "fast as b (n = 11: too few independent batches for an interval). "
     "Times were measured on this machine (wall clock), without attention."},
    {{100, NAN, 80},
     0,
     12,
     -1,
     -1,
     2,
     {true, false, true},
     "Only oracles were measured, which cannot be built: with b a layer "
     "takes 80.0 us. Times were measured on this machine (wall clock), "
     "without attention."},
    {{NAN, NAN, NAN},
     0,
     12,
     -1,
     -1,
     -1,
     {false, false, false},
     "Nothing was measured that could be compared."},
};

START_TEST(verdict_is_one_sentence)
{
    moe_strategy_view strategies[3] = {0};
    moe_view v = example(strategies, 3);
    double times[3][VERDICT_N];
    char text[512];
    v.dims.iterations = verdicts[_i].n;
    for (int s = 0; s < 3; s++)
        strategies[s].facts.knows_future = verdicts[_i].oracle[s];
    strcpy(strategies[1].name, "a");
    strcpy(strategies[2].name, "b");
    const size_t n = (size_t)verdicts[_i].n;
    for (int s = 0; s < 3; s++) {
        strategies[s].layer_time[MOE_CLOCK_WALL] = times[s];
        for (size_t i = 0; i < n; i++)
            times[s][i] = 1e-6 * (verdicts[_i].time[s] +
                                  (s == 1 && i % 2 ? verdicts[_i].noise : 0));
        moe_summarise(times[s], n, 1, &strategies[s].summary[MOE_CLOCK_WALL],
                      NULL);
        moe_paired_ratio(times[0], times[s], n, 1,
                         &strategies[s].speedup[MOE_CLOCK_WALL], NULL);
    }
    moe_run_analysis run = {.view = &v};
    const moe_verdict *verdict = &run.verdict;
    ck_assert_int_eq(moe_verdict_find(&v, &run.verdict, NULL), MOE_OK);
    FILE *out = fmemopen(text, sizeof text, "w");
    moe_verdict_say(&run, out);
    fclose(out);
    ck_assert_int_eq(verdict->best, verdicts[_i].best);
    ck_assert_int_eq(verdict->second, verdicts[_i].second);
    ck_assert_int_eq(verdict->oracle, verdicts[_i].bound);
    ck_assert_str_eq(text, verdicts[_i].says);
}
END_TEST

static char *exported(moe_report_form write, const moe_view *views, size_t n)
{
    moe_analysis a;
    moe_error err = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ck_assert_int_eq(moe_analysis_init(&a, views, n, 0, NULL), MOE_OK);
    ck_assert_int_eq(write(&a, out, &err), MOE_OK);
    moe_analysis_fini(&a);
    fclose(out);
    return text;
}

START_TEST(json_holds_the_same_figures)
{
    moe_strategy_view strategies[2] = {0};
    moe_view v = example(strategies, 2);
    strcpy(v.title, "cut within a character: \xc3");
    char *text = exported(moe_report_json, &v, 1);
    ck_assert_ptr_null(strstr(text, "nan"));
    json_error_t why;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    ck_assert_msg(root != NULL, "%s", why.text);
    ck_assert_str_eq(json_string_value(json_object_get(root, "schema_version")),
                     "1.2.0");
    json_t *run = json_array_get(json_object_get(root, "runs"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(run, "title")),
                     "cut within a character: ?");
    ck_assert_str_eq(json_string_value(json_object_get(run, "result")),
                     "VALID");
    json_t *y = json_array_get(json_object_get(run, "strategies"), 1);
    json_t *metrics = json_object_get(y, "metrics");
    json_t *gpu = json_object_get(metrics, "layer_time_gpu");
    ck_assert_double_eq(json_real_value(json_object_get(gpu, "median")),
                        1.5e-3);
    ck_assert_double_eq(json_real_value(json_object_get(gpu, "ratio")), 2);
    ck_assert(json_is_null(json_object_get(gpu, "p99")));
    json_t *imbalance = json_object_get(metrics, "imbalance");
    ck_assert_ptr_null(json_object_get(imbalance, "ratio"));
    json_t *wall = json_object_get(json_object_get(y, "phases_s"), "wall");
    ck_assert_uint_eq(json_object_size(wall), MOE_N_PHASES);
    ck_assert(json_is_null(json_object_get(wall, "attention")));
    json_decref(root);
    free(text);
}
END_TEST

START_TEST(csv_has_a_row_per_strategy_and_metric)
{
    moe_strategy_view strategies[2] = {0};
    moe_view v[2] = {example(strategies, 2), example(strategies, 2)};
    char *text = exported(moe_report_csv, v, 2);
    static const char head[] =
        "run_id,strategy,metric,unit,n,median,ci_low,ci_high,mean,sd,min,p50,"
        "p90,p99,max,ratio,ratio_ci_low,ratio_ci_high\n";
    ck_assert_int_eq(strncmp(text, head, sizeof head - 1), 0);
    ck_assert_ptr_nonnull(
        strstr(text, "01234567-89ab-4def-8123-456789abcdef,token-ffn,"
                     "layer_time_gpu,s,20,0.0015,0.00135,0.0018,0.0015,"
                     "0.0001875,0.00075,,,,0.003,2,1.8,2.2\n"));
    ck_assert_ptr_nonnull(
        strstr(text, ",baseline,phase_wall_attention,s,0,,,,,,,,,,,,,\n"));
    size_t lines = 0, metrics = 0;
    for (const char *p = text; *p != '\0'; p++)
        lines += *p == '\n';
    while (moe_metric_at(metrics) != NULL)
        metrics++;
    ck_assert_uint_eq(lines, 1 + 2 * 2 * (metrics + 3 * MOE_N_PHASES + 2));
    free(text);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("report");
    setenv("LC_ALL", "C", 1);
    MOE_TEST(suite, text_is_as_agreed);
    MOE_TEST_LOOP(suite, lines_fit_a_terminal, MOE_ARRAY_LEN(locales));
    MOE_TEST(suite, shared_cores_are_said_before_any_table);
    MOE_TEST_LOOP(suite, overlap_that_was_not_executed_is_said,
                  MOE_ARRAY_LEN(overlaps));
    MOE_TEST_LOOP(suite,
                  deadlines_that_were_missed_are_said_and_end_the_wall_clock,
                  MOE_ARRAY_LEN(lateness));
    MOE_TEST_LOOP(suite, clocks_that_are_no_result_are_left_out,
                  MOE_ARRAY_LEN(shown_clocks));
    MOE_TEST_LOOP(suite, verdict_says_whom_and_what_it_rests_on,
                  MOE_ARRAY_LEN(trusted));
    MOE_TEST_LOOP(suite, verdict_of_a_sweep_says_where_it_turns,
                  MOE_ARRAY_LEN(sweeps));
    MOE_TEST(suite, gpu_clock_is_called_modelled);
    MOE_TEST_LOOP(suite, result_needs_an_end_and_a_check,
                  MOE_ARRAY_LEN(results));
    MOE_TEST(suite, name_is_cut_between_characters);
    MOE_TEST(suite, samples_of_several_iterations_are_told);
    MOE_TEST(suite, nothing_measured_is_not_a_number);
    MOE_TEST_LOOP(suite, first_of_equals_is_least_and_most,
                  MOE_ARRAY_LEN(extremes));
    MOE_TEST_LOOP(suite, strategies_go_by_rising_recall, MOE_ARRAY_LEN(orders));
    MOE_TEST(suite, prices_are_of_who_has_most_from_there);
    MOE_TEST_LOOP(suite, verdict_is_one_sentence, MOE_ARRAY_LEN(verdicts));
    MOE_TEST(suite, json_holds_the_same_figures);
    MOE_TEST(suite, csv_has_a_row_per_strategy_and_metric);
    return suite;
}
