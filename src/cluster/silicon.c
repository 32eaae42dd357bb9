/* SPDX-License-Identifier: Apache-2.0 */

/* Prices from measurements. What is not measured (unequal experts, several
 * nodes, other element widths) is put together from what is. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/mem.h"
#include "silicon_internal.h"

enum {
    EXACT = 64,  /* rows up to here have a grid point each */
    OCTAVE = 16, /* grid points per doubling of rows above */
    DOUBLINGS = 18,
    GRID = EXACT + 1 + OCTAVE * DOUBLINGS
};

/* Operations that are priced here; others are a deployment's. */
static const unsigned OPS =
    1u << MOE_SILICON_FFN | 1u << MOE_SILICON_SLOW | 1u << MOE_SILICON_LINK |
    1u << MOE_SILICON_ATTENTION | 1u << MOE_SILICON_GEMM;

/* What composing adds to the errors of shares, of two prices in three and of
 * nine in ten: so that as many measured calls of unequal experts keep to what
 * is stated, see `make validate`. */
static const double COMPOSED_ERROR = 0.06, COMPOSED_P90 = 0.13;
/* Stand-ins: bf16 kernels for another dtype, skewed loads for balanced. */
static const double DTYPE_ERROR = 0.5, LOAD_ERROR = 0.1;
/* Links between nodes, links of a bandwidth that was not measured and
 * element-wise kernels are data sheet numbers. Assumptions. */
static const double SHEET_ERROR = 0.3, SHEET_P90 = 0.6;

typedef struct {
    moe_model model;
    moe_cluster cluster;
    moe_silicon_dense *gemm, *attention;
    moe_dense_change dense, wide; /* from bf16 as measured: to the model's
                                     dtype; to what is kept at least bf16 */
    moe_link allreduce, alltoall, allgather;
    double link_time;      /* time on the links over the time measured */
    double network_rate;   /* B/s of payload, per GPU to other nodes */
    double launch_s;       /* of the FFN kernel, paid once */
    double experts;        /* of a measured call */
    double least_s;        /* of a call, however little it does */
    double rows[GRID];     /* grid_rows() */
    moe_price share[GRID]; /* of one expert by rows: rising, and falling by
                              row, so that no expert gets cheaper when split */
    double slowdown[GRID]; /* of a call by its rows over the experts, >= 1 and
                              rising */
} silicon;

static double grid_rows(size_t i)
{
    if (i <= EXACT)
        return (double)i;
    return EXACT * exp2((double)(i - EXACT) / OCTAVE);
}

/* Large calls take longer by row. That is the whole call's and not an expert's:
 * splitting an expert over two slots does not cure it.
 * @param share_s  [GRID] rising; made to fall by row */
static void part_slowdown(silicon *s, double *share_s)
{
    double least_s = share_s[1]; /* by row, so far */
    s->slowdown[0] = 1;
    for (size_t i = 1; i < GRID; i++) {
        least_s = fmin(least_s, share_s[i] / grid_rows(i));
        s->slowdown[i] = share_s[i] / (least_s * grid_rows(i));
        share_s[i] = least_s * grid_rows(i);
    }
    moe_silicon_rise(s->slowdown, GRID);
}

/* Ranks of the group whose tables price experts: kernels that were measured in
 * wide expert parallelism alone have no others. The contiguous ones walk over
 * all tokens of the group, as many as a rank's pairs are among 8 ranks; of the
 * masked ones a rank of 64 has experts enough to tell them from the launch, and
 * up to 256 rows of each. */
static int ranks_of(const char *stack)
{
    const char *masked = strstr(stack, "-deepep-ll");
    return masked != NULL                            ? 64
           : strstr(stack, "-deepep-normal") != NULL ? 8
                                                     : 1;
}

/* Contiguous kernels are launched by the host one after the other: 390 us with 1
 * expert as with 128, beside which the GPU works. Of a graph launches add up. */
static double least_of(const moe_curve *curve, const char *stack)
{
    double least_s = INFINITY;
    for (size_t i = 0; i < curve->n; i++)
        least_s =
            fmin(least_s, moe_curve_price(curve, curve->tokens[i]).time_s);
    return strstr(stack, "-deepep-normal") != NULL ? least_s : 0;
}

/* Each expert contributes its share of the balanced latency of all experts
 * at its own number of rows. Measured times may fall where a library changes
 * kernels; a planner must not be paid for adding rows, so shares rise. */
static void fill_shares(silicon *s, const moe_curve *curve, double error)
{
    const double experts = s->model.experts, top_k = s->model.top_k;
    /* TF32 has half the rate of bf16; traffic is doubled as well. */
    const double slower_by = s->model.dtype == MOE_DTYPE_F32 ? 2 : 1;
    double share_s[GRID] = {0};
    s->launch_s = moe_curve_launch(curve);
    s->experts = experts / curve->ep;
    s->least_s = least_of(curve, s->cluster.stack);
    for (size_t i = 0; i < GRID; i++)
        s->rows[i] = grid_rows(i);
    for (size_t i = 1; i < GRID; i++) {
        moe_price price =
            moe_curve_price(curve, grid_rows(i) * experts / top_k);
        share_s[i] = slower_by * (price.time_s - s->launch_s) / s->experts;
        price.relative_error += COMPOSED_ERROR + error;
        price.error_p90 += COMPOSED_P90 + 2 * error;
        if (price.source < MOE_PRICE_EXTRAPOLATED)
            price.source =
                error > 0 ? MOE_PRICE_EXTRAPOLATED : MOE_PRICE_INTERPOLATED;
        s->share[i] = price;
    }
    moe_silicon_rise(share_s, GRID);
    part_slowdown(s, share_s);
    for (size_t i = 1; i < GRID; i++)
        s->share[i].time_s = share_s[i];
}

/* ---- choosing tables ---- */

typedef struct {
    const char *dtype, *distribution;
    double error;
} choice;

static const choice bf16_choices[] = {
    {"bfloat16", "balanced", 0},
    {"bfloat16", "power_law_1.01", LOAD_ERROR},
};
/* Without fp8 kernels, fp8 weights are widened and computed as bf16. */
static const choice fp8_choices[] = {
    {"fp8_block", "balanced", 0},
    {"fp8", "balanced", 0},
    {"bfloat16", "balanced", DTYPE_ERROR},
    {"bfloat16", "power_law_1.01", DTYPE_ERROR},
};
static const choice f32_choices[] = {
    {"bfloat16", "balanced", DTYPE_ERROR},
    {"bfloat16", "power_law_1.01", DTYPE_ERROR},
};

static const char *tables_gpu(const moe_cluster *c)
{
    return c->tables_gpu[0] != '\0' ? c->tables_gpu : c->gpu;
}

/* The first choice with the very shape, else the first there is at all. */
static moe_status choose_curve(const silicon *s, const moe_silicon *tables,
                               moe_curve *out, double *error_out,
                               moe_error *err)
{
    const moe_model *m = &s->model;
    const choice *choices = bf16_choices;
    size_t n = MOE_ARRAY_LEN(bf16_choices);
    if (m->dtype == MOE_DTYPE_FP8) {
        choices = fp8_choices;
        n = MOE_ARRAY_LEN(fp8_choices);
    } else if (m->dtype == MOE_DTYPE_F32) {
        choices = f32_choices;
        n = MOE_ARRAY_LEN(f32_choices);
    }
    const moe_ffn_change change = {
        .weight_bytes =
            m->dtype == MOE_DTYPE_F32 ? 0 : moe_model_weight_bytes(m),
        .matrices = m->form == MOE_FFN_SWIGLU ? 3 : 2,
        .sheet = s->dense.sheet,
        .bandwidth = s->dense.bandwidth,
    };
    bool found = false;
    for (size_t i = 0; i < n; i++) {
        const moe_ffn_key key = {
            .gpu = tables_gpu(&s->cluster),
            .stack = s->cluster.stack,
            .dtype = choices[i].dtype,
            .distribution = choices[i].distribution,
            .hidden = m->hidden,
            .inter = m->intermediate,
            .top_k = m->top_k,
            .experts = m->experts,
            .ep = ranks_of(s->cluster.stack),
            .grouped = true,
        };
        moe_curve curve;
        moe_error why = {0};
        if (moe_silicon_ffn(tables, &key, &change, &curve, &why) != MOE_OK) {
            if (i == 0)
                moe_fail(err, why.status, "silicon: %s", why.text);
            continue;
        }
        if (found && !curve.measured)
            continue;
        *out = curve;
        *error_out = choices[i].error;
        found = true;
        if (curve.measured)
            break;
    }
    if (!found)
        return MOE_USAGE;
    if (err != NULL)
        *err = (moe_error){0};
    return MOE_OK;
}

static moe_status load_links(silicon *s, const moe_silicon *tables,
                             moe_error *err)
{
    const struct {
        const char *op;
        moe_link *link;
    } ops[] = {{"all_reduce", &s->allreduce},
               {"alltoall", &s->alltoall},
               {"all_gather", &s->allgather}};
    for (size_t i = 0; i < MOE_ARRAY_LEN(ops); i++) {
        if (moe_silicon_link(tables, ops[i].op, tables_gpu(&s->cluster), NULL,
                             ops[i].link, err) != MOE_OK)
            return MOE_USAGE;
        moe_link_smooth(ops[i].link);
        ops[i].link->of_relative = s->cluster.tables_gpu[0] != '\0';
    }
    return MOE_OK;
}

/* GEMM and attention of the same stack, else of any: they are measured for
 * one stack per GPU, and libraries differ less there than in MoE kernels. */
static moe_silicon_dense *load_dense(const silicon *s,
                                     const moe_silicon *tables, const char *op,
                                     moe_error *err)
{
    const char *gpu = tables_gpu(&s->cluster);
    moe_silicon_dense *d =
        moe_silicon_dense_new(tables, op, gpu, s->cluster.stack, NULL);
    return d != NULL ? d : moe_silicon_dense_new(tables, op, gpu, NULL, err);
}

static moe_status load(silicon *s, const moe_silicon *tables, moe_error *err)
{
    moe_curve curve;
    double error = 0;
    if (choose_curve(s, tables, &curve, &error, err) != MOE_OK)
        return MOE_USAGE;
    fill_shares(s, &curve, error);
    s->gemm = load_dense(s, tables, "gemm", err);
    s->attention = load_dense(s, tables, "attention", err);
    if (s->gemm == NULL || s->attention == NULL)
        return err->status;
    moe_silicon_dense_smooth(s->gemm);
    moe_silicon_dense_smooth(s->attention);
    return load_links(s, tables, err);
}

static void set_links(void *state, double node_rate, double network_rate)
{
    silicon *s = state;
    const double measured = s->cluster.tables_link_bandwidth > 0
                                ? s->cluster.tables_link_bandwidth
                                : s->cluster.link_bandwidth;
    s->link_time = measured / node_rate;
    s->network_rate = network_rate * s->cluster.network_efficiency;
}

static moe_status init(void *state, const moe_model *model,
                       const moe_cluster *cluster, moe_error *err)
{
    silicon *s = state;
    moe_error own = {0};
    const double sheet = cluster->tables_bandwidth > 0
                             ? cluster->tables_bandwidth
                             : cluster->memory_bandwidth;
    s->model = *model;
    s->cluster = *cluster;
    set_links(s, cluster->link_bandwidth, cluster->network_bandwidth);
    s->wide = (moe_dense_change){
        .bytes = model->dtype == MOE_DTYPE_F32 ? 2 : 1,
        .rate = model->dtype == MOE_DTYPE_F32 ? 0.5 : 1,
        .sheet = sheet,
        .bandwidth = cluster->memory_bandwidth / sheet,
    };
    s->dense = s->wide;
    if (model->dtype == MOE_DTYPE_FP8)
        s->dense.bytes = 0.5;
    if (model->dtype == MOE_DTYPE_FP8 && cluster->fp8_flops > 0)
        s->dense.rate = cluster->fp8_flops / cluster->peak_flops;
    moe_silicon *tables = moe_silicon_open_ops(
        cluster->tables[0] != '\0' ? cluster->tables : NULL, OPS, &own);
    if (tables != NULL)
        load(s, tables, &own);
    moe_silicon_close(tables);
    if (own.status != MOE_OK)
        moe_pass(err, &own);
    return own.status;
}

static void fini(void *state)
{
    silicon *s = state;
    moe_silicon_dense_free(s->gemm);
    moe_silicon_dense_free(s->attention);
    s->gemm = s->attention = NULL;
}

/* ---- prices ---- */

static const moe_price FREE = {.source = MOE_PRICE_TABULATED};

static moe_price from_sheet(double time_s)
{
    return (moe_price){time_s, MOE_PRICE_EXTRAPOLATED, SHEET_ERROR, SHEET_P90};
}

/* One after the other: times add up, and so do what they may be wrong by. */
static moe_price then(moe_price a, moe_price b)
{
    const double time_s = a.time_s + b.time_s;
    const double share = time_s > 0 ? a.time_s / time_s : 0;
    return (moe_price){
        .time_s = time_s,
        .source = a.source > b.source ? a.source : b.source,
        .relative_error =
            share * a.relative_error + (1 - share) * b.relative_error,
        .error_p90 = share * a.error_p90 + (1 - share) * b.error_p90,
    };
}

static moe_price slower(moe_price a, moe_price b)
{
    return a.time_s >= b.time_s ? a : b;
}

static void grid_place(const silicon *s, double rows, size_t *left,
                       double *weight)
{
    double place = rows;
    if (rows > EXACT)
        place = EXACT + OCTAVE * log2(rows / EXACT);
    if (place > GRID - 2)
        place = GRID - 2;
    *left = (size_t)place;
    const double from = s->rows[*left], to = s->rows[*left + 1];
    *weight = (rows - from) / (to - from); /* above 1 beyond the grid */
}

static double on_grid(const silicon *s, const double *value, double rows)
{
    size_t at;
    double w;
    grid_place(s, rows, &at, &w);
    return value[at] + w * (value[at + 1] - value[at]);
}

static moe_price ffn(const void *state, const uint32_t *rows, size_t n)
{
    const silicon *s = state;
    moe_price sum = {.source = MOE_PRICE_TABULATED}; /* errors in s */
    double all = 0;
    for (size_t i = 0; i < n; i++) {
        size_t at = rows[i];
        if (at == 0)
            continue;
        all += rows[i];
        double share_s, w;
        if (at <= EXACT) {
            share_s = s->share[at].time_s;
        } else {
            grid_place(s, rows[i], &at, &w);
            share_s = s->share[at].time_s +
                      w * (s->share[at + 1].time_s - s->share[at].time_s);
        }
        const moe_price *share = &s->share[at];
        sum.time_s += share_s;
        sum.relative_error += share_s * share->relative_error;
        sum.error_p90 += share_s * share->error_p90;
        if (share->source > sum.source)
            sum.source = share->source;
    }
    if (!(sum.time_s > 0))
        return FREE;
    const double slowdown = on_grid(s, s->slowdown, all / s->experts);
    const double time_s = fmax(s->least_s, s->launch_s + slowdown * sum.time_s);
    const double shares = slowdown / time_s;
    const double launch = 1 - shares * sum.time_s;
    return (moe_price){time_s, sum.source,
                       shares * sum.relative_error + launch * COMPOSED_ERROR,
                       shares * sum.error_p90 + launch * COMPOSED_P90};
}

static moe_price norm(const silicon *s, double elements)
{
    const double launch_s = moe_silicon_dense_launch(s->gemm);
    const double bytes =
        2 * elements * moe_model_row_bytes(&s->model) / s->model.hidden;
    const double reach =
        s->cluster.memory_bandwidth * s->cluster.memory_efficiency;
    return from_sheet(launch_s + bytes / reach);
}

static moe_price attention(const void *state, double batch, double seq, int tp)
{
    const silicon *s = state;
    const moe_model *m = &s->model;
    const double tokens = batch * seq, dim = m->head_dim;
    if (!(tokens > 0) || tp < 1)
        return FREE;
    /* Heads that do not divide leave the busiest GPU with one more; keys and
     * values are repeated where there are fewer of them than GPUs. */
    const double heads = ceil((double)m->heads / tp);
    const double kv_heads = ceil((double)m->kv_heads / tp);
    const moe_gemm qkv = {tokens, (heads + 2 * kv_heads) * dim, m->hidden,
                          true};
    const moe_gemm out = {tokens, m->hidden, heads * dim, true};
    const moe_prefill core = {batch, seq, heads, kv_heads, dim};
    moe_price price = norm(s, tokens * m->hidden);
    price = then(price, moe_silicon_gemm(s->gemm, &qkv, &s->dense));
    price = then(price, moe_silicon_gemm(s->gemm, &out, &s->dense));
    return then(price, moe_silicon_attention(s->attention, &core, &s->wide));
}

static moe_price gemm(const void *state, const moe_gemm *shape)
{
    const silicon *s = state;
    return moe_silicon_gemm(s->gemm, shape,
                            shape->quantised ? &s->dense : &s->wide);
}

static double node_count(const moe_exchange *x)
{
    return x->nodes > 1 ? x->nodes : 1;
}

/* GPUs that take part on the fullest node. */
static double local_count(const moe_exchange *x)
{
    return ceil((x->gpus > 1 ? x->gpus : 1) / node_count(x));
}

static moe_price network(const silicon *s, double steps, double bytes)
{
    if (!(steps > 0))
        return FREE;
    double time_s =
        steps * s->cluster.network_latency_s + bytes / s->network_rate;
    return from_sheet(time_s);
}

/* What exceeds the time of the smallest buffer is time on the links. */
static moe_price link_price(const silicon *s, const moe_link *link, double gpus,
                            double bytes)
{
    moe_price price = moe_link_price(link, gpus, bytes);
    if (fabs(s->link_time - 1) < 1e-9)
        return price;
    const double least_s =
        moe_link_price(link, gpus, link->count[0].bytes[0]).time_s;
    price.time_s += (s->link_time - 1) * fmax(price.time_s - least_s, 0);
    price.source = MOE_PRICE_SCALED;
    price.relative_error = fmax(price.relative_error, SHEET_ERROR);
    price.error_p90 = fmax(price.error_p90, SHEET_P90);
    return price;
}

/* Hierarchical: the node's part as measured, the rest by latency and
 * bandwidth across nodes; transfers overlap, latencies add up. */
static moe_price allreduce(const void *state, const moe_exchange *x,
                           double bytes)
{
    const silicon *s = state;
    const double nodes = node_count(x), local = local_count(x);
    if (x->gpus < 2)
        return FREE;
    moe_price node = FREE;
    if (local > 1)
        node = link_price(s, &s->allreduce, local, bytes);
    if (nodes < 2)
        return node;
    moe_price far = network(s, 2 * ceil(log2(nodes)),
                            2 * (nodes - 1) / nodes * bytes / local);
    double steps_s = 2 * ceil(log2(nodes)) * s->cluster.network_latency_s;
    far.time_s -= steps_s;
    return then(slower(node, far), from_sheet(steps_s));
}

/* The busiest GPU's bytes on the table of balanced exchanges, where each of
 * g GPUs keeps 1/g of its buffer; both kinds of link work at once. A transfer
 * is priced as if every GPU of the node sent as much: replicas move together,
 * and on PCIe they share the host. */
static moe_price exchange(const void *state, const moe_exchange *x)
{
    const silicon *s = state;
    const double local = fmax(local_count(x), 2);
    moe_price node = FREE, far = FREE;
    if (x->node_bytes > 0)
        node = link_price(s, &s->alltoall, local,
                          x->node_bytes * local / (local - 1));
    if (x->network_bytes > 0)
        far = network(s, 1, x->network_bytes);
    return slower(node, far);
}

/* NCCL's broadcast is not in the tables; an all-gather brings as many bytes
 * to every GPU. */
static moe_price tree(const void *state, const moe_exchange *x, double bytes)
{
    const silicon *s = state;
    const double nodes = node_count(x), local = local_count(x);
    if (x->gpus < 2)
        return FREE;
    moe_price price = FREE;
    if (local > 1)
        price =
            link_price(s, &s->allgather, local, bytes * local / (local - 1));
    double steps = ceil(log2(nodes));
    return then(price, network(s, steps, steps * bytes));
}

const moe_cost moe_cost_silicon = {
    .name = "silicon",
    .help = "measured kernels and collectives of a GPU and stack",
    .state_size = sizeof(silicon),
    .init = init,
    .set_links = set_links,
    .ffn = ffn,
    .attention = attention,
    .gemm = gemm,
    .allreduce = allreduce,
    .alltoall = exchange,
    .transfer = exchange,
    .tree = tree,
    .fini = fini,
};
