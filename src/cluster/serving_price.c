/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/serving.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/silicon.h"
#include "silicon_internal.h"

/* Of DeepEP's normal kernels, as its authors run them. Source: DeepEP. */
static const double NORMAL_SMS = 20;
/* Operations that are priced here; others are the cost model's. */
static const unsigned OPS = 1u << MOE_SILICON_EXCHANGE |
                            1u << MOE_SILICON_DECODE | 1u << MOE_SILICON_MLA;
/* Of attention priced from memory bandwidth alone. */
static const double ROOFLINE_ERROR = 0.3;

enum { DISPATCH, COMBINE, DIRECTIONS };

struct moe_serving_cost {
    moe_serving s;
    moe_model model;
    moe_cluster cluster;
    moe_layout layout;
    moe_lines *exchange[DIRECTIONS]; /* of the kernel; NULL: NCCL */
    moe_lines *attention;            /* NULL: roofline */
    bool latent;                     /* MLA */
    double even[2]; /* rows of each GPU per token if all experts were as busy,
                       within the node and across */
    double least_s[DIRECTIONS]; /* of exchange, with one token of a GPU */
};

/* ---- choosing kernels ---- */

/* Stacks by kernel: what was measured across nodes, and inside one. */
static const struct {
    const char *across, *inside;
} stacks[] = {
    [MOE_SERVE_DEEPEP_NORMAL] = {"deepep-normal-sglang-0.5.6.post2",
                                 "deepep-normal-sglang-0.5.12"},
    [MOE_SERVE_DEEPEP_LL] = {"deepep-ll-sglang-0.5.6.post2",
                             "deepep-ll-sglang-0.5.12"},
    [MOE_SERVE_TRTLLM_ONESIDED] = {NULL,
                                   "trtllm-1.3.0rc10-nvlinkonesided-nvfp4"},
    [MOE_SERVE_TRTLLM_TWOSIDED] = {NULL, "trtllm-1.3.0rc10-nvlinktwosided-"},
};

static const char *tables_gpu(const moe_serving_cost *c)
{
    return c->cluster.tables_gpu[0] != '\0' ? c->cluster.tables_gpu
                                            : c->cluster.gpu;
}

static bool sends_fp8(const moe_serving_cost *c)
{
    return c->s.dispatch_dtype == MOE_SERVE_FP8 ||
           (c->s.dispatch_dtype == MOE_SERVE_AUTO &&
            c->model.dtype == MOE_DTYPE_FP8);
}

/* Tables of the GPU itself, else of that which stands in. */
static moe_lines *lines_of(const moe_serving_cost *c, const moe_silicon *t,
                           const char *kind, const char *stack,
                           const char *last, moe_error *err)
{
    const char *own[] = {c->cluster.gpu, stack, last};
    const char *other[] = {tables_gpu(c), stack, last};
    moe_lines *l = moe_lines_new(t, kind, own, NULL);
    return l != NULL ? l : moe_lines_new(t, kind, other, err);
}

static moe_status load_exchange(moe_serving_cost *c, const moe_silicon *t,
                                moe_error *err)
{
    static const char *const directions[] = {"dispatch", "combine"};
    const bool across = moe_layout_nodes(&c->layout) > 1;
    char stack[64];
    const char *first = across ? stacks[c->s.kernel].across : NULL;
    snprintf(stack, sizeof stack, "%s%s", stacks[c->s.kernel].inside,
             c->s.kernel != MOE_SERVE_TRTLLM_TWOSIDED ? ""
             : sends_fp8(c)                           ? "fp8"
             : c->s.dispatch_dtype == MOE_SERVE_NVFP4 ? "nvfp4"
                                                      : "bfloat16");
    for (int d = 0; d < DIRECTIONS; d++) {
        if (first != NULL)
            c->exchange[d] =
                lines_of(c, t, "ep_exchange", first, directions[d], NULL);
        if (c->exchange[d] == NULL)
            c->exchange[d] =
                lines_of(c, t, "ep_exchange", stack, directions[d], err);
        if (c->exchange[d] == NULL)
            return moe_error_prefix(err, "kernel %s",
                                    moe_serve_kernels[c->s.kernel]),
                   err->status;
    }
    return MOE_OK;
}

static void sizes_of(const moe_serving_cost *c, double tokens_per_gpu,
                     double *size)
{
    const bool normal = c->s.kernel == MOE_SERVE_DEEPEP_NORMAL;
    const double sizes[] = {moe_layout_nodes(&c->layout),
                            c->layout.gpus,
                            c->model.hidden,
                            c->model.top_k,
                            c->model.experts,
                            normal ? NORMAL_SMS : 0,
                            fmax(1, ceil(tokens_per_gpu))};
    memcpy(size, sizes, sizeof sizes);
}

/* Of one token of a GPU: what does not grow with rows. */
static void price_least(moe_serving_cost *c)
{
    double size[MOE_LINE_SIZES];
    sizes_of(c, 1, size);
    for (int d = 0; d < DIRECTIONS; d++) {
        moe_price least = {.time_s = 0};
        moe_lines_price(c->exchange[d], size, &least, NULL);
        c->least_s[d] = least.time_s;
    }
}

/* Measured attention where there is some; a cluster priced from data sheets
 * has none. */
static void load_attention(moe_serving_cost *c, const moe_silicon *t)
{
    const bool decode = c->s.phase == MOE_SERVE_DECODE;
    if (strcmp(c->cluster.cost, "silicon") != 0)
        return;
    if (c->latent)
        c->attention =
            lines_of(c, t, "mla", NULL, decode ? "decode" : "prefill", NULL);
    else if (decode)
        c->attention = lines_of(c, t, "decode_attention", NULL, NULL, NULL);
}

static void count_even(moe_serving_cost *c, moe_error *err)
{
    const moe_layout *y = &c->layout;
    const int local = y->gpus < y->gpus_per_node ? y->gpus : y->gpus_per_node;
    const double pairs = (double)c->model.top_k / y->gpus / y->gpus;
    double *visit = moe_array_new((size_t)y->gpus, sizeof *visit, err);
    double received[2];
    if (visit == NULL)
        return;
    for (int g = 0; g < y->gpus; g++)
        visit[g] = moe_exchange_destinations(y->gpus, c->model.experts,
                                             c->model.top_k) /
                   y->gpus;
    moe_serving_rows(c, visit, 1, 0, c->even, received);
    for (int far = 0; far < 2; far++)
        c->even[far] = fmax(c->even[far], received[far]);
    if (c->s.exchange == MOE_SERVE_PAIRS) {
        c->even[0] = pairs * (local - 1);
        c->even[1] = pairs * (y->gpus - local);
    }
    free(visit);
}

moe_status moe_serving_cost_new(const moe_serving *s, const moe_model *model,
                                const moe_cluster *cluster,
                                const moe_layout *layout,
                                moe_serving_cost **out, moe_error *err)
{
    moe_error own = {0};
    *out = NULL;
    if (moe_serving_is_default(s))
        return MOE_OK;
    if (moe_serving_check(s, layout, err) != MOE_OK)
        return err->status;
    moe_serving_cost *c = moe_array_new(1, sizeof *c, &own);
    moe_silicon *tables =
        own.status == MOE_OK ? moe_silicon_open_ops(NULL, OPS, &own) : NULL;
    if (own.status == MOE_OK) {
        *c = (moe_serving_cost){
            .s = *s, .model = *model, .cluster = *cluster, .layout = *layout};
        c->latent = model->kv_lora_rank > 0 && (s->phase == MOE_SERVE_DECODE ||
                                                s->attention == MOE_SERVE_DATA);
        load_attention(c, tables);
        count_even(c, &own);
        if (s->kernel != MOE_SERVE_NCCL &&
            load_exchange(c, tables, &own) == MOE_OK)
            price_least(c);
    }
    moe_silicon_close(tables);
    if (own.status == MOE_OK)
        *out = c;
    else
        moe_serving_cost_free(c);
    return moe_pass(err, &own);
}

void moe_serving_cost_free(moe_serving_cost *c)
{
    if (c == NULL)
        return;
    moe_lines_free(c->exchange[DISPATCH]);
    moe_lines_free(c->exchange[COMBINE]);
    moe_lines_free(c->attention);
    free(c);
}

const moe_serving *moe_serving_of(const moe_serving_cost *c)
{
    static const moe_serving defaults = {0};
    return c != NULL ? &c->s : &defaults;
}

/* ---- attention ---- */

static void add(moe_price *sum, moe_price part)
{
    const double time_s = sum->time_s + part.time_s;
    const double old = time_s > 0 ? sum->time_s / time_s : 0;
    sum->relative_error =
        old * sum->relative_error + (1 - old) * part.relative_error;
    sum->error_p90 = old * sum->error_p90 + (1 - old) * part.error_p90;
    sum->time_s = time_s;
    if (part.source > sum->source)
        sum->source = part.source;
}

/* What streams through memory at the rate that the profile says it reaches. */
static moe_price streamed(const moe_serving_cost *c, double bytes)
{
    const double rate =
        c->cluster.memory_bandwidth * c->cluster.memory_efficiency;
    return (moe_price){c->cluster.launch_s + bytes / rate,
                       MOE_PRICE_EXTRAPOLATED, ROOFLINE_ERROR,
                       2 * ROOFLINE_ERROR};
}

/* A measured kernel, on the memory of this GPU. */
static moe_price core(const moe_serving_cost *c, const double *size,
                      double bytes)
{
    moe_price p = {0};
    if (c->attention == NULL ||
        moe_lines_price(c->attention, size, &p, NULL) != MOE_OK)
        return streamed(c, bytes);
    if (c->cluster.tables_bandwidth > 0) {
        p.time_s *= moe_silicon_traffic(
            1e6 * p.time_s, bytes, 1, c->cluster.tables_bandwidth,
            c->cluster.memory_bandwidth / c->cluster.tables_bandwidth);
        p.source = MOE_PRICE_SCALED;
    }
    return p;
}

typedef struct {
    const moe_cost *cost;
    const void *state;
    double rows;
    moe_price sum;
} products;

static void product(products *p, double n, double k)
{
    const moe_gemm shape = {p->rows, n, k, true};
    add(&p->sum, p->cost->gemm(p->state, &shape));
}

/* In decode the products with keys and values of a head are part of the
 * queries' and the output's. Source: DeepSeek-V2, arXiv 2405.04434. */
static void latent_products(const moe_serving_cost *c, products *p,
                            double heads)
{
    const moe_model *m = &c->model;
    const double query = heads * (m->qk_rope_head_dim + m->qk_nope_head_dim);
    if (m->q_lora_rank > 0)
        product(p, m->q_lora_rank, m->hidden);
    product(p, query, m->q_lora_rank > 0 ? m->q_lora_rank : m->hidden);
    product(p, m->kv_lora_rank + m->qk_rope_head_dim, m->hidden);
    if (c->s.phase == MOE_SERVE_DECODE) {
        product(p, heads * m->kv_lora_rank, m->qk_nope_head_dim);
        product(p, heads * m->v_head_dim, m->kv_lora_rank);
    } else {
        product(p, heads * (m->qk_nope_head_dim + m->v_head_dim),
                m->kv_lora_rank);
    }
    product(p, m->hidden, heads * m->v_head_dim);
}

moe_price moe_serving_attention(const moe_serving_cost *c, const moe_cost *cost,
                                const void *state, double batch, double tokens,
                                int tp)
{
    const moe_model *m = &c->model;
    const bool decode = c->s.phase == MOE_SERVE_DECODE;
    const double heads = ceil((double)m->heads / tp);
    const double kv_heads = ceil((double)m->kv_heads / tp);
    const double cached = decode && !(tokens > 0) ? c->s.kv_len : tokens;
    products p = {
        .cost = cost, .state = state, .rows = decode ? batch : batch * tokens};
    if (!decode && !c->latent)
        return cost->attention(state, batch, tokens, tp);
    /* The norm reads and writes every row. */
    add(&p.sum, streamed(c, 2 * p.rows * moe_model_row_bytes(m)));
    if (c->latent) {
        const double size[] = {batch, heads, cached};
        const double width = m->kv_lora_rank + m->qk_rope_head_dim;
        latent_products(c, &p, heads);
        add(&p.sum, core(c, size, 2 * batch * cached * width));
        return p.sum;
    }
    const double size[] = {heads, kv_heads, m->head_dim, batch, 0, cached};
    product(&p, (heads + 2 * kv_heads) * m->head_dim, m->hidden);
    product(&p, m->hidden, heads * m->head_dim);
    add(&p.sum, core(c, size, 4 * batch * cached * kv_heads * m->head_dim));
    return p.sum;
}

/* ---- exchange ---- */

static double row_bytes(const moe_serving_cost *c, int dtype, double otherwise)
{
    const double hidden = c->model.hidden;
    return dtype == MOE_SERVE_BF16    ? 2 * hidden
           : dtype == MOE_SERVE_FP8   ? hidden + 4 * ceil(hidden / 128)
           : dtype == MOE_SERVE_NVFP4 ? hidden / 2 + ceil(hidden / 16)
                                      : otherwise;
}

/* Part of the tokens that visit a node. */
static double node_visit(const moe_serving_cost *c, const double *visit,
                         int node)
{
    const int each = c->layout.gpus_per_node;
    const int end =
        (node + 1) * each < c->layout.gpus ? (node + 1) * each : c->layout.gpus;
    double none = 1;
    for (int g = node * each; g < end; g++)
        none *= 1 - visit[g];
    return 1 - none;
}

/* Factor by which a limit lowers the nodes that tokens visit. */
static double limited(const moe_serving_cost *c, const double *visit)
{
    const int nodes = moe_layout_nodes(&c->layout);
    double sum = 0;
    if (c->s.group_limit == 0)
        return 1;
    for (int n = 0; n < nodes; n++)
        sum += node_visit(c, visit, n);
    return sum > c->s.group_limit ? c->s.group_limit / sum : 1;
}

void moe_serving_rows(const moe_serving_cost *c, const double *visit,
                      double tokens, int gpu, double *sent_out,
                      double *received_out)
{
    const moe_layout *y = &c->layout;
    const int each = y->gpus_per_node, here = gpu / each;
    const double own = tokens / y->gpus;
    double sent[2] = {0, 0}, received[2] = {0, 0};
    for (int g = 0; g < y->gpus; g++) {
        const int far = g / each != here;
        if (g == gpu)
            continue;
        sent[far] += own * visit[g];
        received[far] += own * visit[gpu];
    }
    if (c->s.exchange == MOE_SERVE_NODES) {
        const double by = limited(c, visit);
        sent[1] = 0;
        for (int n = 0; n < moe_layout_nodes(y); n++)
            if (n != here)
                sent[1] += own * by * node_visit(c, visit, n);
        const int n_here =
            here * each + each < y->gpus ? each : y->gpus - here * each;
        received[1] =
            (tokens - own * n_here) * by * node_visit(c, visit, here) / n_here;
        /* A forwarder has the rows of its place on the other nodes; those that
         * are for it have arrived. */
        const double of = own * (y->gpus - n_here) / n_here;
        received[0] += of * (n_here - 1) * visit[gpu];
        for (int g = here * each; g < here * each + n_here; g++)
            sent[0] += g != gpu ? of * visit[g] : 0;
    }
    memcpy(sent_out, sent, sizeof sent);
    memcpy(received_out, received, sizeof received);
}

moe_status moe_serving_cost_fits(const moe_serving_cost *c,
                                 double tokens_per_gpu, double sequences,
                                 moe_error *err)
{
    double size[MOE_LINE_SIZES];
    moe_price price;
    const bool split = moe_serving_of(c)->overlap == MOE_SERVE_TWO_BATCH;
    if (split && sequences < 2)
        return moe_fail(err, MOE_USAGE,
                        "overlap: two-batch splits the sequences of a GPU, or "
                        "of GPUs that share attention, here %g (allowed: 2 and "
                        "more, or overlap none, shared)",
                        sequences);
    if (c == NULL || c->exchange[DISPATCH] == NULL)
        return MOE_OK;
    sizes_of(c, split ? tokens_per_gpu / 2 : tokens_per_gpu, size);
    return moe_lines_price(c->exchange[DISPATCH], size, &price, err);
}

double moe_serving_most_tokens(const moe_serving_cost *c)
{
    const moe_serving *s = moe_serving_of(c);
    const double halves = s->overlap == MOE_SERVE_TWO_BATCH ? 2 : 1;
    return s->kernel == MOE_SERVE_DEEPEP_LL
               ? halves *
                     moe_exchange_ll_tokens(moe_layout_nodes(&c->layout) > 1)
               : INFINITY;
}

double moe_serving_takes(const moe_serving_cost *c)
{
    return moe_serving_of(c)->kernel == MOE_SERVE_DEEPEP_NORMAL
               ? NORMAL_SMS / c->cluster.sms
               : 0;
}

/* Seconds on the links by data sheet: what the slower kind takes. */
static double on_links_s(const moe_serving_cost *c, const double *bytes)
{
    return fmax(bytes[0] / c->cluster.link_bandwidth,
                bytes[1] / c->cluster.network_bandwidth);
}

/* @return time on the links of a node over that of the GPU whose kernels were
 * measured; between nodes the network decides. */
static double slower_links(const moe_serving_cost *c)
{
    const double measured = c->cluster.tables_link_bandwidth;
    return measured > 0 && moe_layout_nodes(&c->layout) == 1
               ? measured / c->cluster.link_bandwidth
               : 1;
}

/* The busiest GPU of an uneven exchange takes what more tokens would take an
 * even one: in proportion to its time on the links, beside the launch. */
static moe_price measured(const moe_serving_cost *c, double tokens,
                          const double *bytes, double row, int direction)
{
    const double even[] = {tokens * c->even[0] * row,
                           tokens * c->even[1] * row};
    const double even_s = on_links_s(c, even);
    const double load = even_s > 0 ? on_links_s(c, bytes) / even_s : 1;
    double size[MOE_LINE_SIZES];
    moe_price price = {.time_s = 0};
    sizes_of(c, tokens / c->layout.gpus, size);
    moe_lines_price(c->exchange[direction], size, &price, NULL);
    const double slower = slower_links(c);
    price.time_s +=
        (load * slower - 1) * fmax(0, price.time_s - c->least_s[direction]);
    if (slower > 1 || slower < 1) {
        price.source = MOE_PRICE_SCALED;
        price.relative_error += moe_silicon_scaled_guess(1, 1 / slower);
        price.error_p90 += 2 * moe_silicon_scaled_guess(1, 1 / slower);
    }
    if (fabs(load - 1) > 1e-3 && price.source < MOE_PRICE_INTERPOLATED)
        price.source = MOE_PRICE_INTERPOLATED;
    return price;
}

double moe_serving_row_bytes(const moe_serving_cost *c, const moe_model *model,
                             bool combine)
{
    const double otherwise =
        combine ? moe_model_row_bytes(model) : moe_model_dispatch_bytes(model);
    return c == NULL
               ? otherwise
               : row_bytes(c,
                           combine ? c->s.combine_dtype : c->s.dispatch_dtype,
                           otherwise);
}

moe_price moe_serving_exchange(const moe_serving_cost *c, const moe_cost *cost,
                               const void *state, double tokens,
                               const double *bytes, bool combine)
{
    const double row = combine ? moe_model_row_bytes(&c->model)
                               : moe_model_dispatch_bytes(&c->model);
    const double by = moe_serving_row_bytes(c, &c->model, combine) / row;
    moe_exchange x = {.gpus = c->layout.gpus,
                      .nodes = moe_layout_nodes(&c->layout),
                      .node_bytes = by * bytes[0],
                      .network_bytes = by * bytes[1]};
    if (c->exchange[DISPATCH] != NULL)
        return measured(c, tokens, bytes, row, combine ? COMBINE : DISPATCH);
    if (c->s.exchange != MOE_SERVE_ALLGATHER)
        return cost->alltoall(state, &x);
    moe_price all = cost->allreduce(state, &x, tokens * by * row);
    all.time_s /= 2;
    return all;
}
