/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/serving.h"

#include <math.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "pricing.h"

static const struct {
    moe_serving s;
    int gpus, gpus_per_node;
    const char *words;
} refused[] = {
    {{.phase = MOE_SERVE_DECODE},
     8,
     8,
     "kv_len: decode needs the cached tokens"},
    {{.kv_len = 9}, 8, 8, "kv_len: 9 with phase prefill"},
    {{.group_limit = 4}, 8, 8, "group_limit: 4 changes what exchange nodes"},
    {{.kernel = MOE_SERVE_DEEPEP_LL, .exchange = MOE_SERVE_TOKENS},
     8,
     8,
     "kernel: deepep-ll on 1 node exchanges pairs, not tokens"},
    {{.kernel = MOE_SERVE_DEEPEP_NORMAL, .exchange = MOE_SERVE_TOKENS},
     16,
     8,
     "kernel: deepep-normal on 2 nodes exchanges nodes, not tokens"},
    {{.kernel = MOE_SERVE_TRTLLM_TWOSIDED, .exchange = MOE_SERVE_TOKENS},
     16,
     8,
     "stays inside one NVLink domain"},
    {{.kernel = MOE_SERVE_TRTLLM_ONESIDED, .exchange = MOE_SERVE_TOKENS},
     8,
     8,
     "dispatch_dtype: trtllm-onesided is measured with nvfp4"},
    {{.kernel = MOE_SERVE_DEEPEP_LL, .dispatch_dtype = MOE_SERVE_BF16},
     8,
     8,
     "dispatch_dtype: deepep-ll is measured with fp8"},
    {{.kernel = MOE_SERVE_DEEPEP_LL, .combine_dtype = MOE_SERVE_FP8},
     8,
     8,
     "combine_dtype: deepep-ll is measured with bf16"},
};

START_TEST(what_means_nothing_is_refused)
{
    moe_error err = {0};
    const moe_layout layout = {refused[_i].gpus, refused[_i].gpus_per_node};
    ck_assert_int_eq(moe_serving_check(&refused[_i].s, &layout, &err),
                     MOE_USAGE);
    ck_assert_msg(strstr(err.text, refused[_i].words) != NULL, "%s", err.text);
}
END_TEST

/* DeepSeek-V3 on a cluster. */
typedef struct {
    pricing p;
    moe_layout layout;
    moe_serving_cost *c;
} deployment;

static deployment deploy(const char *cluster, int gpus, const moe_serving *s)
{
    deployment d;
    moe_error err = {0};
    pricing_read(&d.p, "deepseek-v3", cluster);
    ck_assert_int_eq(pricing_open(&d.p, NULL, &err), MOE_OK);
    d.layout = (moe_layout){gpus, d.p.cluster.gpus_per_node};
    ck_assert_msg(moe_serving_cost_new(s, &d.p.model, &d.p.cluster, &d.layout,
                                       &d.c, &err) == MOE_OK,
                  "%s", err.text);
    return d;
}

static void leave(deployment *d)
{
    moe_serving_cost_free(d->c);
    pricing_close(&d->p);
}

START_TEST(the_defaults_need_no_prices_of_their_own)
{
    const moe_serving s = {.kv_len = 0};
    deployment d = deploy("h100-nvlink", 32, &s);
    ck_assert_ptr_null(d.c);
    ck_assert(moe_serving_is_default(moe_serving_of(d.c)));
    leave(&d);
}
END_TEST

/* Part of the tokens that visit each GPU, evenly: 1 - C(E - E/G, k) / C(E, k) */
static double even_visit(const deployment *d)
{
    double none = 1;
    const int e = d->p.model.experts, k = d->p.model.top_k;
    for (int i = 0; i < k; i++)
        none *= (double)(e - e / d->layout.gpus - i) / (e - i);
    return 1 - none;
}

/* Bytes of rows that GPU 0 exchanges if all experts are as busy. */
static void even_bytes(const deployment *d, double tokens, double row,
                       double *bytes)
{
    double visit[64], sent[2], received[2];
    for (int g = 0; g < d->layout.gpus; g++)
        visit[g] = even_visit(d);
    moe_serving_rows(d->c, visit, tokens, 0, sent, received);
    for (int far = 0; far < 2; far++)
        bytes[far] = row * fmax(sent[far], received[far]);
}

/* Rows of silicon/ep_exchange.csv: 4 nodes of H100, 20 SMs; 32 GB200. */
static const struct {
    const char *cluster;
    int gpus;
    moe_serving s;
    double tokens, dispatch_us, combine_us;
} measured[] = {
    {"h100-nvlink",
     32,
     {.kernel = MOE_SERVE_DEEPEP_NORMAL, .exchange = MOE_SERVE_NODES},
     4096,
     1860.47,
     3633.73},
    {"gb200-nvl72",
     32,
     {.kernel = MOE_SERVE_TRTLLM_TWOSIDED, .exchange = MOE_SERVE_TOKENS},
     4096,
     468.0,
     925.1},
};

START_TEST(even_exchanges_take_the_measured_time)
{
    deployment d =
        deploy(measured[_i].cluster, measured[_i].gpus, &measured[_i].s);
    const double all = measured[_i].tokens * measured[_i].gpus;
    double bytes[2];
    even_bytes(&d, all, moe_model_dispatch_bytes(&d.p.model), bytes);
    const moe_price out =
        moe_serving_exchange(d.c, d.p.cost, d.p.state, all, bytes, false);
    ck_assert_double_eq_tol(1e6 * out.time_s / measured[_i].dispatch_us, 1,
                            1e-6);
    ck_assert_int_eq(out.source, MOE_PRICE_TABULATED);
    even_bytes(&d, all, moe_model_row_bytes(&d.p.model), bytes);
    const moe_price back =
        moe_serving_exchange(d.c, d.p.cost, d.p.state, all, bytes, true);
    ck_assert_double_eq_tol(1e6 * back.time_s / measured[_i].combine_us, 1,
                            1e-6);
    bytes[0] *= 2;
    bytes[1] *= 2;
    const double twice_s =
        moe_serving_exchange(d.c, d.p.cost, d.p.state, all, bytes, true).time_s;
    ck_assert_double_gt(twice_s, 1.8 * back.time_s);
    ck_assert_double_lt(twice_s, 2 * back.time_s);
    leave(&d);
}
END_TEST

/* NVLink of an H800 has 200 of the 450 GB/s of an H100, whose kernels were
 * measured; the network between nodes is the same. */
START_TEST(links_of_a_relative_are_slower_inside_a_node)
{
    static const struct {
        int gpus, exchange;
        double least, most; /* over the time of an H100 */
    } of[] = {{8, MOE_SERVE_TOKENS, 2, 2.25}, {16, MOE_SERVE_NODES, 1, 1}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(of); i++) {
        const moe_serving s = {.kernel = MOE_SERVE_DEEPEP_NORMAL,
                               .exchange = of[i].exchange};
        const char *const cluster[] = {"h100-nvlink", "h800-nvlink"};
        double bytes[2], time_s[2];
        moe_price_source source[2];
        for (int k = 0; k < 2; k++) {
            deployment d = deploy(cluster[k], of[i].gpus, &s);
            const double all = 4096.0 * of[i].gpus;
            even_bytes(&d, all, moe_model_row_bytes(&d.p.model), bytes);
            const moe_price p = moe_serving_exchange(d.c, d.p.cost, d.p.state,
                                                     all, bytes, true);
            time_s[k] = p.time_s;
            source[k] = p.source;
            leave(&d);
        }
        ck_assert_double_ge(time_s[1] / time_s[0], of[i].least - 1e-9);
        ck_assert_double_le(time_s[1] / time_s[0], of[i].most + 1e-9);
        ck_assert_int_eq(source[1] == MOE_PRICE_SCALED, of[i].most > 1);
    }
}
END_TEST

START_TEST(more_tokens_than_a_kernel_takes_are_refused)
{
    const moe_serving s = {.kernel = MOE_SERVE_DEEPEP_LL};
    deployment d = deploy("h100-nvlink", 16, &s);
    moe_error err = {0};
    ck_assert_int_eq(moe_serving_cost_fits(d.c, 256, 1, &err), MOE_OK);
    ck_assert_int_eq(moe_serving_cost_fits(d.c, 257, 1, &err), MOE_USAGE);
    ck_assert(strstr(err.text, "at most 256 across nodes") != NULL);
    leave(&d);
}
END_TEST

START_TEST(halves_have_whole_sequences_and_half_the_tokens)
{
    const moe_serving s = {.kernel = MOE_SERVE_DEEPEP_LL,
                           .overlap = MOE_SERVE_TWO_BATCH};
    deployment d = deploy("h100-nvlink", 16, &s);
    moe_error err = {0};
    ck_assert_int_eq(moe_serving_cost_fits(d.c, 512, 2, &err), MOE_OK);
    ck_assert_int_eq(moe_serving_cost_fits(d.c, 513, 2, &err), MOE_USAGE);
    moe_error few = {0};
    ck_assert_int_eq(moe_serving_cost_fits(d.c, 16, 1, &few), MOE_USAGE);
    ck_assert(strstr(few.text, "here 1 (allowed: 2 and more") != NULL);
    ck_assert_double_eq(moe_serving_takes(d.c), 0);
    leave(&d);
}
END_TEST

START_TEST(kernels_take_the_sms_that_they_were_measured_with)
{
    deployment d = deploy("h100-nvlink", 32, &measured[0].s);
    ck_assert_double_eq(moe_serving_takes(d.c), 20.0 / 132);
    ck_assert_double_eq(moe_serving_takes(NULL), 0);
    leave(&d);
}
END_TEST

/* A row per GPU is at most one per pair; once per node, at most one per GPU;
 * on one node both are the same. */
START_TEST(rows_are_at_most_those_of_pairs)
{
    const moe_serving by_gpu = {.exchange = MOE_SERVE_TOKENS};
    const moe_serving by_node = {.exchange = MOE_SERVE_NODES};
    const moe_serving few = {.exchange = MOE_SERVE_NODES, .group_limit = 1};
    const double tokens = 3200;
    for (int gpus = 8; gpus <= 32; gpus *= 4) {
        deployment d = deploy("h100-nvlink", gpus, &by_gpu);
        deployment n = deploy("h100-nvlink", gpus, &by_node);
        deployment l = deploy("h100-nvlink", gpus, &few);
        double visit[64], sent[3][2], received[3][2], share[64];
        for (int g = 0; g < gpus; g++) {
            share[g] = (1.0 + g) * 2 / gpus / (gpus + 1);
            visit[g] = 1 - pow(1 - share[g], 8);
        }
        for (int g = 0; g < gpus; g++) {
            moe_serving_rows(d.c, visit, tokens, g, sent[0], received[0]);
            moe_serving_rows(n.c, visit, tokens, g, sent[1], received[1]);
            moe_serving_rows(l.c, visit, tokens, g, sent[2], received[2]);
            const double pairs = tokens * 8 * share[g] * (gpus - 1) / gpus;
            ck_assert_double_le(received[0][0] + received[0][1], pairs);
            ck_assert_double_le(sent[1][1], sent[0][1]);
            ck_assert_double_le(sent[2][1], sent[1][1]);
            if (gpus == 8)
                ck_assert_double_eq(sent[0][0], sent[1][0]);
            if (gpus > 8)
                ck_assert_double_lt(sent[1][1], 0.8 * sent[0][1]);
        }
        leave(&d);
        leave(&n);
        leave(&l);
    }
}
END_TEST

/* Of 4 nodes of 8, where GPU g gets (1 + g % 8) / 8 of all rows: 3 rows of each
 * place come from other nodes, and those of its own place are not passed on. */
START_TEST(a_forwarder_passes_on_what_is_for_others)
{
    const moe_serving by_node = {.exchange = MOE_SERVE_NODES};
    deployment n = deploy("h100-nvlink", 32, &by_node);
    double visit[32], sent[2], received[2], all_sent = 0, all_received = 0;
    for (int g = 0; g < 32; g++)
        visit[g] = (1 + g % 8) / 8.0;
    for (int g = 0; g < 32; g++) {
        moe_serving_rows(n.c, visit, 32, g, sent, received);
        const double others = 4.5 - visit[g]; /* of 1 + .. + 8 eighths */
        ck_assert_double_eq_tol(received[0], 7 * visit[g] * (1 + 3), 1e-12);
        ck_assert_double_eq_tol(sent[0], others * (1 + 3), 1e-12);
        all_sent += sent[0];
        all_received += received[0];
    }
    ck_assert_double_eq_tol(all_sent, all_received, 1e-9);
    leave(&n);
}
END_TEST

/* MLA of 128 sequences, 128 heads over 4096 cached tokens: a measured kernel
 * and six products. */
START_TEST(decode_attention_is_kernel_and_products)
{
    moe_serving s = {
        .phase = MOE_SERVE_DECODE, .attention = MOE_SERVE_DATA, .kv_len = 4096};
    deployment d = deploy("h100-nvlink", 32, &s);
    const moe_price p =
        moe_serving_attention(d.c, d.p.cost, d.p.state, 128, 0, 1);
    ck_assert_double_gt(p.time_s,
                        273e-6); /* the kernel alone takes 272.32 us */
    ck_assert_double_lt(p.time_s, 600e-6);
    leave(&d);
    s.kv_len = 32768;
    deployment more = deploy("h100-nvlink", 32, &s);
    ck_assert_double_gt(
        moe_serving_attention(more.c, more.p.cost, more.p.state, 128, 0, 1)
            .time_s,
        3 * p.time_s);
    leave(&more);
}
END_TEST

/* Without measured kernels memory bandwidth prices it. */
START_TEST(clusters_without_measurements_are_priced_by_bandwidth)
{
    const moe_serving s = {.phase = MOE_SERVE_DECODE, .kv_len = 4096};
    deployment d = deploy("mi300x", 8, &s);
    const moe_price p =
        moe_serving_attention(d.c, d.p.cost, d.p.state, 64, 0, 8);
    const double kv_bytes = 2.0 * 64 * 4096 * 576;
    ck_assert_double_gt(p.time_s, kv_bytes / 5.3e12);
    ck_assert_int_ge(p.source, MOE_PRICE_EXTRAPOLATED);
    leave(&d);
}
END_TEST

START_TEST(text_tells_what_is_not_the_default)
{
    char text[256];
    const moe_serving s = {.phase = MOE_SERVE_DECODE,
                           .kv_len = 128,
                           .kernel = MOE_SERVE_DEEPEP_LL};
    moe_serving_text(&s, text, sizeof text);
    ck_assert_str_eq(text, "phase decode, kv_len 128, kernel deepep-ll");
    moe_serving_text(&(moe_serving){.kv_len = 0}, text, sizeof text);
    ck_assert_str_eq(text, "");
}
END_TEST

START_TEST(a_deployment_reads_back)
{
    static const moe_serving some[] = {{.phase = MOE_SERVE_PREFILL},
                                       {.phase = MOE_SERVE_DECODE,
                                        .kv_len = 4096,
                                        .exchange = MOE_SERVE_NODES},
                                       {.attention = MOE_SERVE_DATA,
                                        .kernel = MOE_SERVE_DEEPEP_LL,
                                        .dispatch_dtype = MOE_SERVE_FP8,
                                        .group_limit = 4}};
    char text[512];
    moe_serving read;
    for (size_t i = 0; i < MOE_ARRAY_LEN(some); i++) {
        moe_serving_text(&some[i], text, sizeof text);
        ck_assert_int_eq(moe_serving_read(text, &read, NULL), MOE_OK);
        ck_assert_mem_eq(&read, &some[i], sizeof read);
    }
    ck_assert_int_eq(moe_serving_read("phase", &read, NULL), MOE_FORMAT);
    ck_assert_int_eq(moe_serving_read("phrase decode", &read, NULL),
                     MOE_FORMAT);
    ck_assert_int_ne(moe_serving_read("phase decoding", &read, NULL), MOE_OK);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("serving");
    MOE_TEST_LOOP(suite, what_means_nothing_is_refused, MOE_ARRAY_LEN(refused));
    MOE_TEST(suite, the_defaults_need_no_prices_of_their_own);
    MOE_TEST_LOOP(suite, even_exchanges_take_the_measured_time,
                  MOE_ARRAY_LEN(measured));
    MOE_TEST(suite, links_of_a_relative_are_slower_inside_a_node);
    MOE_TEST(suite, more_tokens_than_a_kernel_takes_are_refused);
    MOE_TEST(suite, halves_have_whole_sequences_and_half_the_tokens);
    MOE_TEST(suite, kernels_take_the_sms_that_they_were_measured_with);
    MOE_TEST(suite, rows_are_at_most_those_of_pairs);
    MOE_TEST(suite, a_forwarder_passes_on_what_is_for_others);
    MOE_TEST(suite, decode_attention_is_kernel_and_products);
    MOE_TEST(suite, clusters_without_measurements_are_priced_by_bandwidth);
    MOE_TEST(suite, text_tells_what_is_not_the_default);
    MOE_TEST(suite, a_deployment_reads_back);
    return suite;
}
