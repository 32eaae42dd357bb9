/* SPDX-License-Identifier: Apache-2.0 */
/* Predictors that training makes, against the limit of their arithmetic. All
 * of its rates are measured in the same sample:
 *
 *  - products of trunks, the recurrence and the softmax: by oneDNN;
 *  - cache lines of the table rows that a batch looks up, counted row by row:
 *    random lines of tables as large, fetched ahead;
 *  - operations on floats or 32-bit integers, a multiply-add being one: as
 *    multiply-adds in registers, by vectors of MOE_LANES; what makes choices
 *    and probabilities of scores is counted as scores.c does it, with one pass;
 *  - scores that are written, read and written again: streamed where they lie.
 *
 * Left out: finding n-grams, which is done once for all layers, moving scores
 * between layouts, and loops themselves. */
#include "bench.h"

#include <omp.h>
#include <string.h>

#include "../../src/predictor/calibration.h"
#include "../../src/predictor/features.h"
#include "../../src/predictor/lanes.h"
#include "../../src/predictor/neural_recur.h"
#include "../../src/predictor/ngrams.h"
#include "moegps/h5.h"
#include "moegps/profile.h"
#include "moegps/rng.h"
#include "moegps/wide.h"

enum { SAMPLES = 15, SEQS = 8, LEN = 256, MAX_LAYERS = 256 };

static const double TARGET = 0.5; /* of the limit */

static moe_neural_lib lib;

/* bad: a moe_status or dnnl_status_t */
static void must(unsigned bad, const moe_error *err)
{
    if (bad != 0) {
        fprintf(stderr, "bench_neural: %s (%u)\n", err->text, bad);
        exit(1);
    }
}

/* Untrained: speed does not depend on the numbers. */
static void make_part(moe_learned *l, const moe_neural_kind *kind)
{
    moe_error err = {0};
    moe_neural_row rows[MOE_NEURAL_ARRAYS];
    const moe_learned_shape heads =
        moe_neural_heads_shape(l->layers, l->experts);
    moe_learned_part *part = moe_learned_add(l, kind->name, &err);
    const int n = kind->declare(&heads, l->vocab_size, rows);
    for (int a = 0; a < n; a++) {
        float *data = moe_learned_put(part, &rows[a].shape, &err);
        must(err.status, &err);
        moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, 0, 0, (uint64_t)a);
        const uint64_t elements =
            moe_learned_elements(&part->array[part->n_arrays - 1]);
        for (uint64_t i = 0; i < elements; i++)
            data[i] = (float)(0.1 * moe_rng_normal(&rng));
    }
}

/* What is trained in no time. */
static void make_closed(moe_learned *l, const moe_trace *trace,
                        const char *name)
{
    moe_error err = {0};
    const moe_train_env env = {.trace = trace, .kept_bits = 23, .learned = l};
    moe_learned_part *part = moe_learned_add(l, name, &err);
    must(moe_predictor_find(name)->train(&env, part, &err), &err);
}

/* All four with the same weight. */
static void make_ensemble(moe_learned *l)
{
    static const char *const names[] = {"weight_ngram", "weight_linear",
                                        "weight_ffn", "weight_lstm"};
    moe_error err = {0};
    moe_learned_part *part = moe_learned_add(l, "ensemble", &err);
    for (int m = 0; m < 4; m++) {
        const moe_learned_shape shape = {
            names[m], 1, {"layer"}, {(uint64_t)l->layers}};
        float *weight = moe_learned_put(part, &shape, &err);
        for (int i = 0; weight != NULL && i < l->layers; i++)
            weight[i] = 0.25F;
    }
    must(err.status, &err);
}

/* Maps that change nothing cost what any cost. */
static void make_maps(moe_learned *l, const moe_trace *trace)
{
    moe_error err = {0};
    for (int p = 0; p < l->n_parts; p++) {
        moe_calibration maps;
        const moe_predictor_env env = {
            .trace = trace, .self = moe_predictor_find(l->part[p].predictor)};
        must(moe_calibration_put(&env, &l->part[p], &maps, &err), &err);
        for (int j = 0; j < l->layers * MOE_SCORE_KNOTS; j++)
            maps.knot[j] = (float)(j % MOE_SCORE_KNOTS) / MOE_SCORE_KNOTS;
        for (int e = 0; e < l->layers * l->experts; e++)
            maps.times[e] = 1;
    }
}

/* ---- the bare products ---- */

typedef struct {
    dnnl_primitive_t run;
    dnnl_memory_t x, w, y;
} product;

static dnnl_memory_t memory_of(const dnnl_memory_desc_t *md)
{
    const moe_error err = {.text = "memory"};
    dnnl_memory_t m = NULL;
    void *data = NULL;
    must(dnnl_memory_create(&m, md, lib.engine, DNNL_MEMORY_ALLOCATE), &err);
    must(dnnl_memory_get_data_handle(m, &data), &err);
    memset(data, 0, dnnl_memory_desc_get_size(md));
    return m;
}

static product make_product(int64_t rows, int64_t in, int64_t out)
{
    const moe_error err = {.text = "matmul"};
    product p;
    dnnl_dims_t dims = {in, out};
    dnnl_memory_desc_t x = moe_neural_desc(2, (int64_t[]){rows, in});
    dnnl_memory_desc_t y = moe_neural_desc(2, (int64_t[]){rows, out}), w;
    dnnl_matmul_desc_t desc;
    dnnl_primitive_desc_t pd;
    must(dnnl_memory_desc_init_by_tag(&w, 2, dims, dnnl_f32,
                                      dnnl_format_tag_any),
         &err);
    must(dnnl_matmul_desc_init(&desc, &x, &w, NULL, &y), &err);
    must(dnnl_primitive_desc_create(&pd, &desc, NULL, lib.engine, NULL), &err);
    must(dnnl_primitive_create(&p.run, pd), &err);
    p.x = memory_of(&x);
    p.w = memory_of(dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0));
    p.y = memory_of(&y);
    dnnl_primitive_desc_destroy(pd);
    return p;
}

static void free_product(product *p)
{
    dnnl_primitive_destroy(p->run);
    dnnl_memory_destroy(p->x);
    dnnl_memory_destroy(p->w);
    dnnl_memory_destroy(p->y);
}

static double time_products(product *p, int n, int times)
{
    const moe_error err = {.text = "execute"};
    const double start = bench_cpu();
    for (int t = 0; t < times; t++)
        for (int i = 0; i < n; i++) {
            const moe_neural_arg args[] = {{DNNL_ARG_SRC, p[i].x, NULL},
                                           {DNNL_ARG_WEIGHTS, p[i].w, NULL},
                                           {DNNL_ARG_DST, p[i].y, NULL}};
            must(moe_neural_execute(&lib, p[i].run, args, 3), &err);
        }
    return bench_cpu() - start;
}

/* ---- the predictors ---- */

typedef struct {
    const moe_predictor *predictor;
    void *state;
    uint16_t *out;
    int layers;
} predicting;

static predicting make_predictor(const char *name, const moe_predictor_env *env)
{
    moe_error err = {0};
    predicting s = {.predictor = moe_predictor_find(name),
                    .layers = env->n_layers};
    s.out =
        bench_array(env->max_own * (size_t)env->trace->top_k, sizeof *s.out);
    s.state =
        moe_predictor_new(s.predictor, env, &(moe_scorer_params){0}, &err);
    must(err.status, &err);
    return s;
}

static void free_predictor(predicting *s)
{
    moe_predictor_free(s->predictor, s->state);
    free(s->out);
}

static double time_predictor(predicting *s, const moe_batch *batch, int times)
{
    const double start = bench_cpu();
    for (int t = 0; t < times; t++)
        for (int l = 0; l < s->layers; l++)
            s->predictor->tokens(s->state, batch, l, s->out);
    return bench_cpu() - start;
}

/* ---- rates ---- */

/* Seconds of one. */
typedef struct {
    double operation, line, byte;
} rates;

/* Registers that multiply and add, each on its own: enough to fill pipelines. */
typedef float lanes __attribute__((vector_size(MOE_LANES * sizeof(float))));
enum { CHAINS = 12, TURNS = 20000 };

MOE_WIDE static float multiply_add(float by)
{
    lanes x[CHAINS], sum = {0};
    const lanes a = (lanes){0} + by, b = (lanes){0} + (1 - by);
    for (int c = 0; c < CHAINS; c++)
        x[c] = (lanes){0} + (float)c;
    for (int t = 0; t < TURNS; t++)
        for (int c = 0; c < CHAINS; c++)
            x[c] = x[c] * a + b;
    for (int c = 0; c < CHAINS; c++)
        sum += x[c];
    return sum[0];
}

/* The fastest of a few: a peak. */
static double time_operation(void)
{
    static volatile float sink;
    double best = 1;
    for (int i = 0; i < 5; i++) {
        const double start = bench_cpu();
        sink = multiply_add(0.5F + sink * 1e-30F);
        best = fmin(best, bench_cpu() - start);
    }
    return best / ((double)TURNS * CHAINS * MOE_LANES);
}

/* Tables as large as those of all layers, looked into layer by layer. */
typedef struct {
    char *table;
    size_t lines; /* of a layer */
    int layers;
    float *scores;
    size_t n_scores;
} places;

static double time_line(const places *p)
{
    enum { LOOKS = 20000, AHEAD = 24 };
    static uint32_t at[LOOKS + AHEAD];
    uint64_t sum = 0;
    double taken = 0;
    for (int l = 0; l < p->layers; l++) {
        const char *from =
            p->table + (size_t)l * p->lines * (size_t)MOE_CACHE_LINE;
        moe_rng rng = moe_rng_at(2, MOE_RNG_TEST, 0, 0, (uint64_t)l);
        for (int i = 0; i < LOOKS + AHEAD; i++)
            at[i] = (uint32_t)moe_rng_below(&rng, p->lines);
        const double start = bench_cpu();
        for (int i = 0; i < LOOKS; i++) {
            __builtin_prefetch(from + (size_t)at[i + AHEAD] * MOE_CACHE_LINE);
            sum += (uint64_t)from[(size_t)at[i] * MOE_CACHE_LINE];
        }
        taken += bench_cpu() - start;
    }
    __asm__ volatile("" : : "r"(sum));
    return taken / ((double)LOOKS * p->layers);
}

static double time_byte(const places *p)
{
    enum { TIMES = 20 };
    const double start = bench_cpu();
    for (int t = 0; t < TIMES; t++) {
        for (size_t i = 0; i < p->n_scores; i++)
            p->scores[i] += 1;
        __asm__ volatile("" : : "r"(p->scores) : "memory");
    }
    return (bench_cpu() - start) /
           (2.0 * TIMES * (double)p->n_scores * sizeof *p->scores);
}

static rates measure_rates(const places *p)
{
    return (rates){time_operation(), time_line(p), time_byte(p)};
}

/* ---- the limit ---- */

enum { MOST_PRODUCTS = 4, BLOCK = 64 };

/* Of a token in a layer. */
typedef struct {
    double operations, lines, bytes;
} load;

/* Of all tokens of the batch, in all layers. */
typedef struct {
    product once[MOST_PRODUCTS]; /* of the trunk */
    dnnl_primitive_t softmax;    /* of BLOCK rows */
    dnnl_memory_t z;
    moe_recur_trunk *recur;
    int n_once, chunks, layers;
    uint32_t own;
    load each;
} limit;

/* From scores to choices and probabilities, an expert: what scores.c does. */
static double settling(int k, bool choices)
{
    const double choose = 5.0 * k; /* a comparison and four selections */
    const double place = 4 + 15 + 1, map = 2 + 2 + 2 + 3; /* root: 15 */
    const double clip = 4 + 1, pass = 6, scale = 8;
    return (choices ? choose : 0) + place + map + clip + pass + scale;
}

static dnnl_primitive_t make_softmax(int64_t experts, dnnl_memory_t *z)
{
    const moe_error err = {.text = "softmax"};
    const dnnl_memory_desc_t md =
        moe_neural_desc(2, (int64_t[]){BLOCK, experts});
    dnnl_softmax_desc_t desc;
    dnnl_primitive_desc_t pd;
    dnnl_primitive_t run;
    must(dnnl_softmax_forward_desc_init(&desc, dnnl_forward_inference, &md, 1),
         &err);
    must(dnnl_primitive_desc_create(&pd, &desc, NULL, lib.engine, NULL), &err);
    must(dnnl_primitive_create(&run, pd), &err);
    dnnl_primitive_desc_destroy(pd);
    *z = memory_of(&md);
    return run;
}

static void run_softmax(const limit *b)
{
    const moe_error err = {.text = "softmax"};
    const moe_neural_arg args[] = {{DNNL_ARG_SRC, b->z, NULL},
                                   {DNNL_ARG_DST, b->z, NULL}};
    must(moe_neural_execute(&lib, b->softmax, args, 2), &err);
}

static double time_limit(limit *b, const rates *r, const float *const *value)
{
    moe_error err = {.text = "LSTM"};
    const int blocks = (int)(b->own / BLOCK);
    const double start = bench_cpu();
    for (int c = 0; c < b->chunks; c++)
        must(moe_recur_lstm_forward(&b->recur->lstm, &lib, b->recur->x,
                                    value[MOE_TRUNK_BIAS], b->recur->h),
             &err);
    time_products(b->once, b->n_once, blocks);
    for (int i = 0; i < b->layers * blocks && b->softmax != NULL; i++)
        run_softmax(b);
    return bench_cpu() - start +
           (double)b->own * b->layers *
               (b->each.operations * r->operation + b->each.lines * r->line +
                b->each.bytes * r->byte);
}

/* @param each  before scores are settled */
static limit limit_new(const moe_predictor_env *env, const moe_batch *batch,
                       bool softmax, load each)
{
    const double n_e = env->trace->experts;
    limit b = {.layers = env->n_layers, .own = batch->own, .each = each};
    if (softmax)
        b.softmax = make_softmax(env->trace->experts, &b.z);
    b.each.lines++; /* who leads */
    b.each.operations += n_e * settling(env->trace->top_k, true);
    b.each.bytes += 3 * n_e * sizeof(float);
    return b;
}

static void limit_free(limit *b)
{
    for (int i = 0; i < b->n_once; i++)
        free_product(&b->once[i]);
    if (b->softmax != NULL)
        dnnl_primitive_destroy(b->softmax);
    dnnl_memory_destroy(b->z);
}

static double lines_of(size_t at, size_t end)
{
    const size_t per = MOE_CACHE_LINE / sizeof(float);
    return end > at ? (double)((end - 1) / per - at / per + 1) : 0;
}

/* A token's rows of n-grams in a layer, the mean: lines of where they begin, of
 * how often they were seen, of experts and of counts; and what scales and adds
 * them. @param table_out  bytes of a layer */
static load gram_load(const moe_predictor_env *env, const moe_batch *batch,
                      size_t *table_out)
{
    moe_error err = {0};
    moe_ngrams g;
    load sum = {0, 0, 0};
    must(moe_ngrams_open(&g, env, moe_learned_find(env->learned, "ngram")->seed,
                         &err),
         &err);
    for (uint32_t t = 0; t < batch->own; t++) {
        uint32_t rows[MOE_NGRAM_ORDERS];
        const uint64_t first = batch->id[t] - t % LEN;
        moe_ngram_index_find(&g.index, env->trace, first, batch->id[t], rows);
        for (int o = 0; o < MOE_NGRAM_ORDERS; o++)
            for (int l = 0; rows[o] != MOE_NGRAM_NONE && l < env->n_layers;
                 l++) {
                const size_t at = g.start[l][rows[o]];
                const size_t end = g.start[l][rows[o] + 1];
                sum.lines += 2 + 2 * lines_of(at, end);
                sum.operations += g.experts + 2 * (double)(end - at);
            }
    }
    *table_out =
        (g.start[0][g.index.rows] - g.start[0][0]) * 2 * sizeof(float) +
        g.index.rows * (sizeof **g.start + sizeof *g.seen) +
        (size_t)env->trace->vocab_size * (size_t)g.experts;
    moe_ngrams_fini(&g);
    const double n = (double)batch->own * env->n_layers;
    return (load){sum.operations / n, sum.lines / n, 0};
}

static void compare(const moe_predictor_env *env, const moe_batch *batch,
                    const char *name, limit *bare, int n_bare,
                    const places *where, const float *const *value)
{
    static bench_series own, other;
    predicting s = make_predictor(name, env);
    own.n = other.n = 0;
    for (int i = -1; i < SAMPLES; i++) {
        const rates r = measure_rates(where);
        const double t = time_predictor(&s, batch, 1);
        double u = 0;
        for (int b = 0; b < n_bare; b++)
            u += time_limit(&bare[b], &r, value);
        if (i < 0) /* warm-up */
            continue;
        bench_add(&own, t);
        bench_add(&other, u);
    }
    const double tokens = (double)batch->own * env->n_layers * 1e-6;
    bench_print(name, &own, tokens, "M tokens and layers/s");
    bench_print("its limit", &other, tokens, "M tokens and layers/s");
    for (int b = 0; b < n_bare; b++)
        printf("  %-40s %9.0f operations, %.1f lines, %.0f B a token and "
               "layer\n",
               "", bare[b].each.operations, bare[b].each.lines,
               bare[b].each.bytes);
    const double ratio = bench_ratio(&own, &other);
    printf("  %-40s %9.3f of it  target >= %g  %s\n", "", ratio, TARGET,
           ratio >= TARGET ? "ok" : "below");
    free_predictor(&s);
}

enum { NGRAM, LINEAR, FFN, LSTM, N_MEMBERS, GROUP = 4 };

static void make_limits(const moe_predictor_env *env, const moe_batch *batch,
                        moe_recur_trunk *trunk, load grams, limit *bare)
{
    const double n_e = env->trace->experts;
    const double width = (2 + MOE_FEATURE_MEANS) * n_e + 1;
    const load linear = {grams.operations + 2 * MOE_FEATURE_MEANS * n_e +
                             width * n_e,
                         grams.lines, 0};
    const load head = {(MOE_NEURAL_WIDTH + 1) * n_e,
                       n_e * sizeof(float) / MOE_CACHE_LINE, 0};
    bare[NGRAM] = limit_new(env, batch, false, grams);
    bare[LINEAR] = limit_new(env, batch, false, linear);
    bare[FFN] = limit_new(env, batch, true, head);
    bare[LSTM] = limit_new(env, batch, true, head);
    bare[FFN].n_once = 2;
    bare[FFN].once[0] = make_product(BLOCK, MOE_NEURAL_WIDTH, 128);
    bare[FFN].once[1] = make_product(BLOCK, 128, MOE_NEURAL_WIDTH);
    bare[LSTM].recur = trunk;
    bare[LSTM].chunks = SEQS * (int)(recur_chunk_of(LEN - 1) + 1) / GROUP;
    bare[LSTM].n_once = 3; /* attention's: to keys and values */
    bare[LSTM].once[0] = make_product(BLOCK, MOE_NEURAL_WIDTH, MOE_RECUR_QKV);
    bare[LSTM].once[1] = make_product(BLOCK, MOE_NEURAL_WIDTH, MOE_RECUR_REACH);
    bare[LSTM].once[2] = make_product(BLOCK, MOE_RECUR_REACH, MOE_NEURAL_WIDTH);
}

/* The mixture's members choose nothing; it settles their sum once more. */
static void mix_limits(const moe_predictor_env *env, limit *bare)
{
    const double n_e = env->trace->experts;
    const int k = env->trace->top_k;
    for (int m = 0; m < N_MEMBERS; m++) {
        bare[m].each.operations +=
            n_e * (settling(k, false) - settling(k, true) + 1);
        bare[m].each.lines--;
    }
    bare[0].each.operations += n_e * settling(k, true);
    bare[0].each.bytes += 3 * n_e * sizeof(float);
    bare[0].each.lines++;
}

/* Every member alone, then the mixture against all limits together. */
static void compare_all(const moe_predictor_env *env, const moe_batch *batch)
{
    static const char *const names[] = {"ngram", "linear", "ffn", "lstm"};
    moe_error err = {.text = "LSTM"};
    moe_recur_trunk trunk;
    limit bare[N_MEMBERS];
    const moe_learned_part *part = moe_learned_find(env->learned, "lstm");
    const float *value[MOE_TRUNK_ARRAYS];
    for (int a = 0; a < MOE_TRUNK_ARRAYS; a++)
        value[a] = part->array[a].data;
    must(moe_recur_trunk_init(&trunk, &lib, GROUP, false, &err), &err);
    must(moe_recur_lstm_load(&trunk.lstm, &lib, value[MOE_TRUNK_INPUT],
                             value[MOE_TRUNK_STATE]),
         &err);
    size_t bytes = 0;
    const load grams = gram_load(env, batch, &bytes);
    places where = {.lines = bytes / MOE_CACHE_LINE,
                    .layers = env->n_layers,
                    .n_scores = batch->own * (size_t)env->trace->experts};
    where.table =
        bench_array(where.lines * (size_t)where.layers, MOE_CACHE_LINE);
    memset(where.table, 1, where.lines * (size_t)where.layers * MOE_CACHE_LINE);
    where.scores = bench_array(where.n_scores, sizeof *where.scores);
    const rates r = measure_rates(&where);
    printf("   %.1f G operations/s; lines of %.1f MB: %.2f ns; scores of %.0f "
           "KB: %.1f GB/s\n",
           1e-9 / r.operation, 1e-6 * (double)bytes * where.layers,
           1e9 * r.line, 4e-3 * (double)where.n_scores, 1e-9 / r.byte);
    printf("   the limit: operations, lines and bytes at these rates, measured "
           "anew in each sample; trunks, recurrence and softmax by oneDNN\n");
    make_limits(env, batch, &trunk, grams, bare);
    for (int m = 0; m < N_MEMBERS; m++)
        compare(env, batch, names[m], &bare[m], 1, &where, value);
    mix_limits(env, bare);
    compare(env, batch, "ensemble", bare, N_MEMBERS, &where, value);
    for (int m = 0; m < N_MEMBERS; m++)
        limit_free(&bare[m]);
    free(where.table);
    free(where.scores);
    moe_recur_trunk_fini(&trunk);
}

/* A batch in which sequences begin at their beginning. */
static moe_batch make_batch(const moe_trace *trace)
{
    moe_batch b = {.own = SEQS * LEN,
                   .tokens = SEQS * LEN,
                   .layers = trace->layers,
                   .experts = trace->experts,
                   .top_k = trace->top_k};
    b.id = bench_array(b.own, sizeof *b.id);
    b.token_id = bench_array(b.own, sizeof *b.token_id);
    uint32_t n = 0;
    for (uint64_t s = 0; s < trace->n_seqs && n < b.own; s++) {
        if (trace->seq_offset[s + 1] - trace->seq_offset[s] < LEN)
            continue;
        for (uint64_t i = 0; i < LEN; i++, n++) {
            b.id[n] = trace->seq_offset[s] + i;
            b.token_id[n] = trace->token_id[b.id[n]];
        }
    }
    return b;
}

int main(int argc, char **argv)
{
    moe_error err = {0};
    moe_trace trace = {.shared = MPI_WIN_NULL};
    moe_learned learned;
    char path[1024];
    int layers[MAX_LAYERS];
    MPI_Init(&argc, &argv);
    moe_ctx ctx;
    moe_ctx_init(&ctx, MPI_COMM_WORLD);
    moe_h5_quiet();
    omp_set_num_threads(1);
    must(moe_profile_find("traces", "gpt-oss-20b-mmlu", ".h5", path,
                          sizeof path, &err),
         &err);
    must(moe_trace_read(path, &trace, &err), &err);
    must(moe_learned_new(&trace, &learned, &err), &err);
    must(moe_neural_lib_init(&lib), &err);
    make_closed(&learned, &trace, "ngram");
    make_closed(&learned, &trace, "linear");
    make_part(&learned, &moe_neural_ffn);
    make_part(&learned, &moe_neural_lstm);
    make_ensemble(&learned);
    make_maps(&learned, &trace);
    for (int l = 0; l < trace.layers; l++)
        layers[l] = l;
    moe_batch batch = make_batch(&trace);
    const moe_predictor_env env = {.trace = &trace,
                                   .layers = layers,
                                   .n_layers = trace.layers,
                                   .max_own = batch.own,
                                   .learned = &learned};
    bench_header(&ctx, "trained predictors against the limit of their "
                       "arithmetic, one core");
    printf("   %d layers, %d experts, top %d; %u tokens; CPU time\n",
           trace.layers, trace.experts, trace.top_k, batch.own);
    compare_all(&env, &batch);
    free(batch.id);
    free(batch.token_id);
    moe_neural_lib_fini(&lib);
    moe_learned_free(&learned);
    moe_trace_free(&trace);
    moe_ctx_fini(&ctx);
    MPI_Finalize();
    return 0;
}
