/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/work.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/facts.h"
#include "moegps/mem.h"
#include "reader.h"

/* Layers differ more than samples do. */
enum {
    SAMPLES = 64,
    FEW_SAMPLES = 4, /* while not all layers have room */
    ENTRIES = 4,     /* iterations of a sample */
    LAYERS = 64,
    MOST_GPUS = 1 << 20, /* of a node: far from any overflow */
    BUDGET = 6144 /* layers times GPUs, of all strategies: to price each takes
                     about 4 us, and questions about them are asked 40 times */
};

/* A file being read, and buffers for one cell as it lies there. */
typedef struct work_reader {
    moe_reader rd;
    moe_work w;
    int iteration[SAMPLES][ENTRIES]; /* -1: spare */
    int layer[LAYERS];
    hid_t dataset[MOE_N_FIELDS]; /* open where needed, else invalid */
    double *gpu;                 /* [phases][ranks] */
    double *pairs;               /* [slots][ranks] */
    double *exchange_bytes[MOE_N_EXCHANGES]; /* [links][ranks] */
    double *own[3]; /* [ranks] of OWN_SEQUENCES and the fields behind it */
    double *truth;  /* [experts] */
    double *choice; /* [candidates] */
    char *planned;  /* [iterations] a plan was made in it */
} work_reader;

static const moe_field_id fields[] = {
    MOE_FIELD_GPU,
    MOE_FIELD_SLOT_PAIRS,
    MOE_FIELD_EXCHANGE_DISPATCH,
    MOE_FIELD_EXCHANGE_COMBINE,
    MOE_FIELD_EXCHANGE_MIGRATE,
    MOE_FIELD_TRUE_PAIRS,
    MOE_FIELD_AHEAD_ROWS,
    MOE_FIELD_NUMBERED,
    MOE_FIELD_OWN_SEQUENCES,
    MOE_FIELD_OWN_TOKENS,
    MOE_FIELD_CACHED,
    MOE_FIELD_WIRE_BYTES,
    MOE_FIELD_PLANNER_TIME,
    MOE_FIELD_BUSIEST,
    MOE_FIELD_BUSIEST_MINMAX,
    MOE_FIELD_BUSIEST_ORACLE_PLAN,
    MOE_FIELD_BUSIEST_BEST,
    MOE_FIELD_BUSIEST_BOUND,
};

/* ---- which parts ---- */

static void note_planned(const moe_reader *rd, int s, int i, const double *x,
                         void *arg)
{
    char *planned = arg;
    (void)s;
    for (int l = 0; l < rd->view->dims.layers; l++)
        if (x[l] > 0)
            planned[i] = 1;
}

/* @return whether all strategies measured all of a sample. */
static bool is_whole(const moe_view *v, int sample)
{
    for (int s = 0; s < v->dims.strategies; s++)
        for (int j = 0; j < v->period; j++)
            if (isnan(v->strategy[s]
                          .layer_time[MOE_CLOCK_GPU][sample * v->period + j]))
                return false;
    return true;
}

/* Iterations that plan, and of the others as many as there is room for. */
static void choose_entries(work_reader *r, int sample, int row)
{
    const int n = r->rd.view->period, first = sample * n;
    int plans = 0, other = 0, taken = 0;
    for (int j = 0; j < n; j++)
        plans += r->planned[first + j];
    if (plans >= r->w.entries)
        plans = 0; /* then they are as good as others */
    const int others = n - plans, room = r->w.entries - plans;
    const int kept = others < room ? others : room;
    double *weight = r->w.weight + row * r->w.entries;
    for (int j = 0; j < n; j++) {
        const bool plan = plans > 0 && r->planned[first + j];
        const int before = plan ? 0 : other++ * kept / others;
        if (!plan && before == other * kept / others)
            continue;
        r->iteration[row][taken] = first + j;
        weight[taken++] = plan ? 1.0 / n : (double)others / kept / n;
    }
    while (taken < r->w.entries)
        r->iteration[row][taken++] = -1;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

static void choose(work_reader *r)
{
    const moe_view *v = r->rd.view;
    const int all = v->dims.iterations / v->period;
    const int each = v->dims.strategies * least(v->dims.gpus, MOE_WORK_GPUS);
    const int room = BUDGET / each > 1 ? BUDGET / each : 1;
    moe_work *w = &r->w;
    int whole = 0, seen = 0;
    for (int k = 0; k < all; k++)
        whole += is_whole(v, k);
    w->entries = least(least(v->period, ENTRIES), room);
    w->samples = least(whole, room / w->entries / v->dims.layers);
    w->samples =
        least(whole, w->samples < FEW_SAMPLES ? FEW_SAMPLES : w->samples);
    w->samples = least(least(w->samples, SAMPLES), room / w->entries);
    w->strategies = v->dims.strategies;
    w->slots = v->dims.slots;
    if (whole == 0) {
        moe_fail(r->rd.err, MOE_USAGE, "nothing was measured");
        return;
    }
    w->layers =
        least(least(v->dims.layers, LAYERS), room / (w->samples * w->entries));
    w->weight = moe_array_new((size_t)w->samples * (size_t)w->entries,
                              sizeof *w->weight, r->rd.err);
    for (int l = 0; l < w->layers; l++)
        r->layer[l] = l * v->dims.layers / w->layers;
    for (int k = 0, row = 0; k < all && w->weight != NULL; k++) {
        if (!is_whole(v, k))
            continue;
        if (seen++ == row * whole / w->samples && row < w->samples)
            choose_entries(r, k, row++);
    }
}

/* ---- cells ---- */

/* The block of a cell in a field: dimensions that are not given are whole. */
static moe_h5_block locate(const work_reader *r, moe_field_id id, int s, int i,
                           int l)
{
    const moe_field *field = &moe_fields[id];
    moe_h5_block block = {.start = {0}};
    for (int k = 0; field->dims[k] != NULL; k++) {
        const char *dim = field->dims[k];
        const int at = strcmp(dim, "strategy") == 0    ? s
                       : strcmp(dim, "iteration") == 0 ? i
                       : strcmp(dim, "layer") == 0     ? l
                                                       : -1;
        block.start[k] = at >= 0 ? (hsize_t)at : 0;
        block.count[k] = at >= 0 ? 1 : moe_dims_extent(&r->rd.view->dims, dim);
    }
    return block;
}

/* Read a cell's numbers of one field; what is missing is NaN. */
static void fetch(work_reader *r, moe_field_id id, int s, int i, int l,
                  double *x)
{
    const moe_h5_block block = locate(r, id, s, i, l);
    size_t n = 1;
    for (int k = 0; k < moe_field_rank(&moe_fields[id]); k++)
        n *= (size_t)block.count[k];
    if (!moe_reader_failed(&r->rd))
        moe_h5_read_block(r->dataset[id], &block, H5T_NATIVE_DOUBLE, x,
                          r->rd.err);
    if (!moe_reader_failed(&r->rd))
        moe_reader_mark(&r->rd, id, x, n);
}

static double present(double x)
{
    return isnan(x) ? 0 : x;
}

static void note_gpu(int *kept, int *n, int gpu)
{
    for (int j = 0; j < *n; j++)
        if (kept[j] == gpu)
            return;
    if (*n < MOE_WORK_GPUS)
        kept[(*n)++] = gpu;
}

/* @return the GPU with the largest value of a row, in which -1 and NaN are
 * none. */
static int largest_of(const double *x, int gpus)
{
    int most = 0;
    for (int g = 1; g < gpus; g++)
        if (present(x[g]) > present(x[most]))
            most = g;
    return most;
}

/* GPUs that are first in something; all of a few. @return how many. */
static int choose_gpus(const work_reader *r, int *kept)
{
    const moe_ledger_dims *dims = &r->rd.view->dims;
    const size_t ranks = (size_t)dims->ranks;
    int n = 0;
    if (dims->gpus <= MOE_WORK_GPUS) {
        for (int g = 0; g < dims->gpus; g++)
            kept[n++] = g;
        return n;
    }
    for (size_t p = 0; p < MOE_N_PHASES; p++)
        note_gpu(kept, &n, largest_of(r->gpu + p * ranks, dims->gpus));
    for (size_t h = 0; h < MOE_N_EXCHANGES; h++)
        for (size_t k = 0; k < MOE_N_LINKS; k++)
            note_gpu(kept, &n,
                     largest_of(r->exchange_bytes[h] + k * ranks, dims->gpus));
    return n;
}

static void keep_gpu(const work_reader *r, int g, uint32_t *pairs,
                     moe_work_gpu *to)
{
    const size_t ranks = (size_t)r->rd.view->dims.ranks;
    *to = (moe_work_gpu){.pairs = pairs};
    for (size_t k = 0; k < (size_t)r->w.slots; k++) {
        /* 32 bits, unless the file was tampered with. */
        const double n = present(r->pairs[k * ranks + (size_t)g]);
        pairs[k] = (uint32_t)fmin(n, INT32_MAX);
        to->total += pairs[k];
    }
    for (size_t h = 0; h < MOE_N_EXCHANGES; h++)
        for (size_t k = 0; k < MOE_N_LINKS; k++)
            to->exchange_bytes[h][k] =
                present(r->exchange_bytes[h][k * ranks + (size_t)g]);
    to->own_sequences = present(r->own[0][g]);
    to->own_tokens = present(r->own[1][g]);
    to->cached = present(r->own[2][g]);
    for (size_t p = 0; p < MOE_N_PHASES; p++)
        to->gpu_s[p] = present(r->gpu[p * ranks + (size_t)g]);
}

static void read_cell(work_reader *r, int s, int i, int l, uint32_t *pairs,
                      moe_work_cell *to)
{
    const moe_view *v = r->rd.view;
    int kept[MOE_WORK_GPUS];
    double sum = 0;
    fetch(r, MOE_FIELD_GPU, s, i, l, r->gpu);
    fetch(r, MOE_FIELD_SLOT_PAIRS, s, i, l, r->pairs);
    for (int h = 0; h < MOE_N_EXCHANGES; h++)
        fetch(r, MOE_FIELD_EXCHANGE_DISPATCH + (moe_field_id)h, s, i, l,
              r->exchange_bytes[h]);
    for (int f = 0; f < 3; f++)
        if (r->dataset[MOE_FIELD_OWN_SEQUENCES + f] >= 0)
            fetch(r, MOE_FIELD_OWN_SEQUENCES + (moe_field_id)f, s, i, l,
                  r->own[f]);
    fetch(r, MOE_FIELD_TRUE_PAIRS, s, i, l, r->truth);
    fetch(r, MOE_FIELD_WIRE_BYTES, s, i, l, &to->wire_bytes);
    fetch(r, MOE_FIELD_AHEAD_ROWS, s, i, l, &to->ahead_rows);
    fetch(r, MOE_FIELD_NUMBERED, s, i, l, &to->numbered);
    for (int b = 0; b < MOE_N_LEVELS; b++)
        fetch(r, MOE_FIELD_BUSIEST + (moe_field_id)b, s, i, l, &to->busiest[b]);
    if (moe_reader_failed(&r->rd))
        return;
    for (int e = 0; e < v->dims.experts; e++)
        sum += present(r->truth[e]);
    to->tokens = v->top_k > 0 ? sum / v->top_k : (double)NAN;
    to->wire_bytes = present(to->wire_bytes);
    to->ahead_rows = present(to->ahead_rows);
    to->numbered = present(to->numbered);
    to->own = r->w.serving.attention == MOE_SERVE_DATA &&
              present(r->own[0][largest_of(r->own[0], v->dims.gpus)]) > 0;
    to->n = choose_gpus(r, kept);
    for (int j = 0; j < to->n; j++)
        keep_gpu(r, kept[j], pairs + j * r->w.slots, &to->gpu[j]);
}

/* Who ran, where the strategy chooses. */
static void read_choice(work_reader *r, int s, int i, moe_work_cell *to)
{
    const int n = r->rd.view->dims.candidates;
    double *x = r->choice;
    to->used = s;
    to->told = true;
    if (n == 0)
        return;
    fetch(r, MOE_FIELD_USED, s, i, 0, x);
    for (int c = 0; c < n; c++)
        if (x[c] > 0) {
            to->used = c;
            to->told = x[c] == 2;
        }
    fetch(r, MOE_FIELD_TRIED, s, i, 0, x);
    for (int c = 0; c < n; c++)
        to->tried += x[c] == 2;
    fetch(r, MOE_FIELD_TRY_STEPS, s, i, 0, x);
    for (int c = 0; c < n; c++)
        to->try_steps += present(x[c]);
    fetch(r, MOE_FIELD_TRY_BYTES, s, i, 0, x);
    for (int c = 0; c < n; c++)
        to->try_bytes += present(x[c]);
}

static void read_cells(work_reader *r)
{
    moe_work *w = &r->w;
    const size_t n = (size_t)w->strategies * (size_t)w->samples *
                     (size_t)w->entries * (size_t)w->layers;
    const size_t room = (size_t)MOE_WORK_GPUS * (size_t)w->slots;
    w->cell = moe_array_new(n, sizeof *w->cell, r->rd.err);
    w->pairs = moe_array_new(n * room, sizeof *w->pairs, r->rd.err);
    size_t at = 0;
    for (int s = 0; s < w->strategies; s++)
        for (int k = 0; k < w->samples; k++)
            for (int j = 0; j < w->entries; j++)
                for (int l = 0; l < w->layers; l++, at++)
                    if (!moe_reader_failed(&r->rd) && r->iteration[k][j] >= 0) {
                        read_choice(r, s, r->iteration[k][j], &w->cell[at]);
                        read_cell(r, s, r->iteration[k][j], r->layer[l],
                                  w->pairs + at * room, &w->cell[at]);
                    }
}

/* ---- the file ---- */

/* Files of earlier versions lack it: of deployments that are the default. */
static bool is_optional(moe_field_id id)
{
    return id >= MOE_FIELD_OWN_SEQUENCES && id <= MOE_FIELD_CACHED;
}

static void open_fields(work_reader *r)
{
    hsize_t dims[MOE_H5_MAX_RANK];
    if (!moe_reader_failed(&r->rd) &&
        !moe_reader_has(&r->rd, MOE_FIELD_NUMBERED))
        moe_fail(r->rd.err, MOE_USAGE,
                 "was priced by other rules: it was made by a version before "
                 "schema 1.4");
    for (size_t f = 0; f < MOE_ARRAY_LEN(fields); f++)
        if (!moe_reader_failed(&r->rd) &&
            (!is_optional(fields[f]) || moe_reader_has(&r->rd, fields[f])))
            r->dataset[fields[f]] = moe_reader_open(&r->rd, fields[f], dims);
    for (int f = MOE_FIELD_USED; f <= MOE_FIELD_TRY_BYTES; f++)
        if (!moe_reader_failed(&r->rd) && r->rd.view->dims.candidates > 0)
            r->dataset[f] = moe_reader_open(&r->rd, (moe_field_id)f, dims);
}

/* What prices need beside the counts. */
static void read_settings(work_reader *r)
{
    char coordination[32] = "", serving[MOE_FACT_LEN] = "";
    const char *served = moe_fact_name(MOE_FACT_SERVING);
    moe_error *err = r->rd.err;
    if (moe_reader_failed(&r->rd))
        return;
    hid_t config = moe_h5_open_group(r->rd.file, "config", err);
    const int64_t per_node =
        moe_h5_get_int(config, moe_fact_name(MOE_FACT_GPUS_PER_NODE), err);
    const int64_t batch =
        moe_h5_get_int(config, moe_fact_name(MOE_FACT_BATCH), err);
    moe_h5_get_text(config, moe_fact_name(MOE_FACT_COORDINATION), coordination,
                    sizeof coordination, err);
    if (!moe_reader_failed(&r->rd) && moe_h5_has(config, served))
        moe_h5_get_text(config, served, serving, sizeof serving, err);
    if (!moe_reader_failed(&r->rd))
        moe_serving_read(serving, &r->w.serving, err);
    r->w.central = strcmp(coordination, "central") == 0;
    r->w.model_profile = moe_h5_read_text(config, "model_profile", err);
    r->w.cluster_profile = moe_h5_read_text(config, "cluster_profile", err);
    moe_h5_close(config);
    if (!moe_reader_failed(&r->rd) &&
        (per_node < 1 || per_node > MOST_GPUS || batch < 1))
        moe_fail(err, MOE_FORMAT,
                 "has %lld GPUs per node and batches of %lld sequences",
                 (long long)per_node, (long long)batch);
    r->w.gpus_per_node = (int)per_node;
    r->w.sequences = (double)batch;
}

static void reader_init(work_reader *r)
{
    const moe_ledger_dims *dims = &r->rd.view->dims;
    const size_t ranks = (size_t)dims->ranks;
    moe_error *err = r->rd.err;
    r->gpu = moe_array_new(MOE_N_PHASES * ranks, sizeof *r->gpu, err);
    r->pairs =
        moe_array_new((size_t)dims->slots * ranks, sizeof *r->pairs, err);
    for (int h = 0; h < MOE_N_EXCHANGES; h++)
        r->exchange_bytes[h] = moe_array_new(MOE_N_LINKS * ranks,
                                             sizeof *r->exchange_bytes[h], err);
    for (int f = 0; f < 3; f++)
        r->own[f] = moe_array_new(ranks, sizeof *r->own[f], err);
    r->choice = moe_array_new((size_t)dims->candidates, sizeof *r->choice, err);
    r->truth = moe_array_new((size_t)dims->experts, sizeof *r->truth, err);
    r->planned =
        moe_array_new((size_t)dims->iterations, sizeof *r->planned, err);
    open_fields(r);
}

static void reader_fini(work_reader *r)
{
    for (size_t f = 0; f < MOE_ARRAY_LEN(fields); f++)
        moe_h5_close(r->dataset[fields[f]]);
    for (int f = MOE_FIELD_USED; f <= MOE_FIELD_TRY_BYTES; f++)
        moe_h5_close(r->dataset[f]);
    if (r->rd.file >= 0)
        H5Fclose(r->rd.file);
    free(r->rd.buffer);
    free(r->planned);
    free(r->truth);
    free(r->choice);
    for (int f = 0; f < 3; f++)
        free(r->own[f]);
    for (int h = 0; h < MOE_N_EXCHANGES; h++)
        free(r->exchange_bytes[h]);
    free(r->pairs);
    free(r->gpu);
}

moe_status moe_work_read(const moe_view *view, moe_work *out, moe_error *err)
{
    moe_view shape = *view; /* borrowed */
    moe_error local = {0};
    work_reader r = {.rd = {.view = &shape, .err = &local}};
    for (int f = 0; f < MOE_N_FIELDS; f++)
        r.dataset[f] = H5I_INVALID_HID;
    r.rd.file = moe_h5_open(view->path, false, &local);
    if (moe_reader_failed(&r.rd)) /* the sentence names the file already */
        return moe_pass(err, &local);
    moe_reader_check_run(&r.rd);
    reader_init(&r);
    read_settings(&r);
    if (!moe_reader_failed(&r.rd))
        moe_reader_each(&r.rd, MOE_FIELD_PLANNER_TIME, note_planned, r.planned);
    if (!moe_reader_failed(&r.rd))
        choose(&r);
    if (!moe_reader_failed(&r.rd))
        read_cells(&r);
    reader_fini(&r);
    if (local.status == MOE_OK) {
        *out = r.w;
        return MOE_OK;
    }
    moe_work_fini(&r.w);
    return moe_fail(err, local.status, "%s: %s", view->path, local.text);
}

void moe_work_fini(moe_work *work)
{
    free(work->cluster_profile);
    free(work->model_profile);
    free(work->pairs);
    free(work->cell);
    free(work->weight);
    *work = (moe_work){0};
}
