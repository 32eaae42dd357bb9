/* SPDX-License-Identifier: Apache-2.0 */

/* The analytic model against the paper's simulator, and every cluster's
 * analytic prices against measurements of its GPU. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/csv.h"
#include "moegps/ctx.h"
#include "moegps/mem.h"
#include "../pricing.h"
#include "validate.h"

static void check(const moe_error *err)
{
    if (err->status != MOE_OK)
        give_up(err->text);
}

static void begin_with(pricing *p, const char *cost)
{
    moe_error err = {0};
    pricing_open(p, cost, &err);
    check(&err);
}

static void begin(pricing *p)
{
    begin_with(p, "analytic");
}

static void read_csv(const char *path, moe_csv *csv)
{
    moe_error err = {0};
    *csv = (moe_csv){0};
    moe_csv_read(path, csv, &err);
    check(&err);
}

static double field(const moe_csv *csv, size_t row, const char *name)
{
    moe_error err = {0};
    int column = moe_csv_column(csv, name, &err);
    check(&err);
    const double value = moe_csv_number(csv, row, column, 0, 1e12, &err);
    check(&err);
    return value;
}

static double distance(double price, double truth)
{
    return fabs(price / truth - 1);
}

/* Count an analytic price, of row i of its table. */
static void add(error_table *t, const char *cluster, const char *what,
                moe_price price, double truth_s, size_t i)
{
    char name[128];
    const double e = distance(price.time_s, truth_s);
    table_add(t, cluster, &e);
    snprintf(name, sizeof name, "%s, %s", cluster, what);
    cover(name, NULL, price, 1, e, (int)(i % 8));
}

static void matmuls(void)
{
    error_table t = {.methods = 1};
    moe_csv csv;
    pricing p;
    pricing_read(&p, "mixtral-8x7b", "a100-paper");
    begin(&p);
    read_csv("tests/data/llmcompass/matmul.csv", &csv);
    for (size_t i = 0; i < csv.n_rows; i++) {
        const moe_gemm shape = {field(&csv, i, "m"), field(&csv, i, "n"),
                                field(&csv, i, "k"), false};
        add(&t, "a100-paper", "GEMM", p.cost->gemm(p.state, &shape),
            field(&csv, i, "sim_s"), i);
    }
    moe_csv_free(&csv);
    pricing_close(&p);
    require("analytic: matmul median", table_quantile(&t, -1, 0, 0.5), 0.12);
    table_print(&t, "Analytic: matrix products of the simulator",
                "98 products of LLMCompass on its A100, without launches.",
                (const char *[]){"analytic"});
}

/* Time of an FFN on the busiest of 4 GPUs at `load` times the mean of 256
 * pairs. linear: as the paper scales it; merged: one expert has all of them;
 * two_experts: each has half. */
static double ffn_time(const pricing *p, const char *form, double load)
{
    uint32_t rows[2] = {(uint32_t)lround(256 * load), 0};
    if (strcmp(form, "merged") == 0)
        return p->cost->ffn(p->state, rows, 1).time_s;
    if (strcmp(form, "two_experts") == 0) {
        rows[0] = rows[1] = (uint32_t)lround(128 * load);
        return p->cost->ffn(p->state, rows, 2).time_s;
    }
    /* launches do not scale */
    const double launches_s = 3 * p->cluster.launch_s;
    rows[0] = 256;
    return load * (p->cost->ffn(p->state, rows, 1).time_s - launches_s) +
           launches_s;
}

/* A layer: attention, all-reduce, scatter, FFN and gather, with the loads of
 * the FFN and of both exchanges; 0: none. */
static double layer_time(const pricing *p, const pricing *link,
                         const char *form, const double *load)
{
    const double row_bytes = 4096 * 2;
    const moe_exchange all = {.gpus = 4, .nodes = 1};
    double s =
        p->cost->attention(p->state, 1, 512, 4).time_s +
        link->cost->allreduce(link->state, &all, 512 * row_bytes).time_s +
        ffn_time(p, form, load[0]);
    for (int i = 1; i <= 2; i++) {
        moe_exchange x = all;
        x.node_bytes = load[i] * 256 * 0.75 * row_bytes;
        s += link->cost->alltoall(link->state, &x).time_s;
    }
    return s;
}

/* The simulator's kernels take 21, 12 or 45 us to launch, 291 us a layer;
 * collectives take none. 26 us each comes to that (a100-paper.yaml). */
static const double LAUNCH_S = 26e-6;

static void layer(const moe_csv *csv, size_t row, error_table *t)
{
    static const char *const totals[] = {
        "base_s",  "distribution_s", "distribution_1.8_s", "distribution_16_s",
        "token_s", "token_skewed_s"};
    const char *form = moe_csv_text(csv, row, moe_csv_find(csv, "ffn"));
    const double skew = field(csv, row, "skew");
    const double loads[][3] = {{skew, skew, skew},  {1, skew, skew},
                               {1.018, skew, skew}, {1.16, skew, skew},
                               {1, 0, 1},           {1, 0, skew}};
    pricing p, link;
    pricing_read(&p, "mixtral-8x7b", "a100-paper");
    p.cluster.link_bandwidth = 1e9 * field(csv, row, "link_GBps");
    link = p;
    p.cluster.launch_s = field(csv, row, "launches") > 0 ? LAUNCH_S : 0;
    begin(&p);
    begin(&link);
    for (size_t i = 0; i < MOE_ARRAY_LEN(totals); i++) {
        double e = distance(layer_time(&p, &link, form, loads[i]),
                            field(csv, row, totals[i]));
        char name[128];
        snprintf(name, sizeof name, "%s, launches %s", form,
                 p.cluster.launch_s > 0 ? "charged" : "free");
        table_add(t, name, &e);
    }
    pricing_close(&p);
    pricing_close(&link);
}

static void layers(void)
{
    error_table t = {.methods = 1};
    moe_csv csv;
    read_csv("tests/data/llmcompass/layers.csv", &csv);
    for (size_t i = 0; i < csv.n_rows; i++)
        layer(&csv, i, &t);
    moe_csv_free(&csv);
    require("analytic: layer median", table_quantile(&t, -1, 0, 0.5), 0.05);
    require("analytic: layer p90", table_quantile(&t, -1, 0, 0.9), 0.12);
    table_print(&t, "Analytic: layers of the simulator",
                "Mixtral 8x7B, 512 tokens on 4 A100: baseline, "
                "distribution-only (error 0, 1.8, 16 %) and perfect "
                "token-to-expert, at 9 skews and links of 32 to 600 GB/s in "
                "both or each direction, by the form of the FFN.",
                (const char *[]){"analytic"});
}

void validate_analytic(void)
{
    matmuls();
    layers();
}

/* ---- clusters against measurements of their GPU ---- */

static const struct {
    const char *cluster, *gpu, *stack;
} machines[] = {{"a100-nvlink", "a100_sxm", "sglang-0.5.10"},
                {"h100-nvlink", "h100_sxm", "vllm-0.24.0"},
                {"b200-nvlink", "b200_sxm", "sglang-0.5.14"},
                {"l40s-pcie", "l40s", "vllm-0.24.0"}};

/* Balanced loads on all experts of a GPU, as far as a hook's price needs. */
static void compare_ffn(size_t machine, const moe_silicon *s, error_table *t)
{
    uint32_t rows[512];
    for (size_t i = 0; i < moe_silicon_n_ffn(s); i++) {
        moe_ffn_key key;
        moe_curve curve;
        moe_error err = {0};
        pricing p;
        if (!moe_silicon_ffn_key(s, i, &key) ||
            strcmp(key.gpu, machines[machine].gpu) != 0 ||
            strcmp(key.stack, machines[machine].stack) != 0 ||
            strcmp(key.dtype, "bfloat16") != 0 || key.ep != 1 ||
            strcmp(key.distribution, "balanced") != 0 || key.experts > 512)
            continue;
        pricing_read(&p, "mixtral-8x7b", machines[machine].cluster);
        p.model.hidden = key.hidden;
        p.model.intermediate = key.inter;
        moe_silicon_ffn(s, &key, NULL, &curve, &err);
        check(&err);
        begin(&p);
        for (size_t k = 0; k < curve.n; k++) {
            double n = curve.tokens[k] * key.top_k / key.experts;
            if (n < 1)
                continue;
            for (int e = 0; e < key.experts; e++)
                rows[e] = (uint32_t)lround(n);
            add(t, machines[machine].cluster, "FFN",
                p.cost->ffn(p.state, rows, (size_t)key.experts),
                moe_curve_price(&curve, curve.tokens[k]).time_s, i);
        }
        pricing_close(&p);
    }
}

static void compare_links(size_t machine, const moe_silicon *s, error_table *t)
{
    static const char *const ops[] = {"all_reduce", "alltoall"};
    pricing p;
    moe_error err = {0};
    moe_link link;
    pricing_read(&p, "mixtral-8x7b", machines[machine].cluster);
    begin(&p);
    for (size_t op = 0; op < 2; op++) {
        moe_silicon_link(s, ops[op], machines[machine].gpu, NULL, &link, &err);
        check(&err);
        for (size_t c = 0; c < link.n_counts; c++)
            for (size_t i = 0; i < link.count[c].n; i++) {
                const double g = link.count[c].gpus;
                const double bytes = link.count[c].bytes[i];
                moe_exchange x = {.gpus = link.count[c].gpus, .nodes = 1};
                x.node_bytes = bytes * (g - 1) / g;
                add(t, machines[machine].cluster, "collectives",
                    op == 0 ? p.cost->allreduce(p.state, &x, bytes)
                            : p.cost->alltoall(p.state, &x),
                    1e-6 * link.count[c].time_us[i], c + op);
            }
    }
    pricing_close(&p);
}

/* Attention blocks as the silicon model puts them together. */
static void compare_attention(size_t machine, error_table *t)
{
    pricing p, q;
    pricing_read(&p, "mixtral-8x7b", machines[machine].cluster);
    q = p;
    begin(&p);
    begin_with(&q, "silicon");
    for (double batch = 1; batch <= 16; batch *= 4)
        for (double seq = 128; seq <= 8192; seq *= 2)
            for (int tp = 1; tp <= 8; tp *= 2) {
                add(t, machines[machine].cluster, "attention",
                    p.cost->attention(p.state, batch, seq, tp),
                    q.cost->attention(q.state, batch, seq, tp).time_s,
                    (size_t)log2(seq));
            }
    pricing_close(&p);
    pricing_close(&q);
}

static void compare_gemm(size_t machine, error_table *t)
{
    pricing p, q;
    pricing_read(&p, "mixtral-8x7b", machines[machine].cluster);
    q = p;
    begin(&p);
    begin_with(&q, "silicon");
    for (double m = 1; m <= 16384; m *= 2)
        for (double n = 512; n <= 8192; n *= 2)
            for (double k = 1024; k <= 8192; k *= 2) {
                const moe_gemm shape = {m, n, k, false};
                add(t, machines[machine].cluster, "GEMM",
                    p.cost->gemm(p.state, &shape),
                    q.cost->gemm(q.state, &shape).time_s, (size_t)log2(n));
            }
    pricing_close(&p);
    pricing_close(&q);
}

void validate_clusters(const moe_silicon *s)
{
    error_table ffn = {.methods = 1}, link = {.methods = 1};
    error_table attention = {.methods = 1}, gemm = {.methods = 1};
    for (size_t m = 0; m < MOE_ARRAY_LEN(machines); m++) {
        compare_ffn(m, s, &ffn);
        compare_links(m, s, &link);
        compare_attention(m, &attention);
        compare_gemm(m, &gemm);
    }
    table_print(&gemm, "Analytic: GEMM against measurements",
                "bf16, 1 to 16384 rows, 512 to 8192 columns.",
                (const char *[]){"analytic"});
    table_print(&attention, "Analytic: attention against measurements",
                "Mixtral 8x7B, 1 to 16 sequences of 128 to 8192 tokens on 1 "
                "to 8 GPUs; measured GEMMs and attention put together.",
                (const char *[]){"analytic"});
    table_print(&ffn, "Analytic: FFN against measured kernels",
                "bf16, balanced, one GPU with all experts. What the data "
                "sheets promise and the kernels keep.",
                (const char *[]){"analytic"});
    table_print(&link, "Analytic: collectives against measurements",
                "All-reduce and all-to-all of 512 B to 512 MiB on 2, 4 and 8 "
                "GPUs.",
                (const char *[]){"analytic"});
}
