/* SPDX-License-Identifier: Apache-2.0 */
#include "contents.h"

#include <math.h>
#include <string.h>

#include "moegps/mem.h"

enum { SPOKEN = 3 }; /* columns, or rows, of a slice that are put in words */

static const char *name_of(int strategy)
{
    return moe_advise_strategy_name((moe_advise_strategy)strategy);
}

void moe_map_title(const moe_map *map, char *text, size_t size)
{
    snprintf(text, size, "Map of %s on %d GPUs", map->model, map->gpus);
}

/* ---- facts ---- */

/* "1 .. 4, 7 values", or the value. */
static void put_range(const double *x, int n, double factor, const char *unit,
                      FILE *out)
{
    double low = x[0], high = x[0];
    for (int i = 1; i < n; i++) {
        low = fmin(low, x[i]);
        high = fmax(high, x[i]);
    }
    fputs(moe_value_cell(low * factor).text, out);
    if (n > 1)
        fprintf(out, " .. %s", moe_value_cell(high * factor).text);
    fputs(unit, out);
    if (n > 1)
        fprintf(out, ", %d values", n);
}

static void put_clusters(const moe_map *map, FILE *out)
{
    for (int c = 0; c < map->n_cluster; c++) {
        fprintf(out, "%s%s (%s", c > 0 ? ", " : "", map->cluster[c].name,
                map->cluster[c].cost);
        if (map->own_links)
            fprintf(out, ", %s GB/s",
                    moe_value_cell(moe_map_bandwidth(map, c, 0) * 1e-9).text);
        fputc(')', out);
    }
}

static void put_batches(const moe_map *map, FILE *out)
{
    int low = map->batch[0], high = low;
    for (int b = 1; b < map->n_batch; b++) {
        low = map->batch[b] < low ? map->batch[b] : low;
        high = map->batch[b] > high ? map->batch[b] : high;
    }
    fprintf(out, "%d", low);
    if (map->n_batch > 1)
        fprintf(out, " .. %d", high);
    if (map->seq > 0)
        fprintf(out, " of %d tokens", map->seq);
    else
        fputs(" sequences or steps of the trace as they are", out);
    if (map->n_batch > 1)
        fprintf(out, ", %d values", map->n_batch);
}

static void put_costs(const moe_map *map, FILE *out)
{
    if (map->trace[0] != '\0')
        fputs("distribution as the training part has it", out);
    else
        fprintf(out, "distribution off by %s%s",
                moe_percent_cell(map->error).text,
                isnan(map->batch_skew[0]) || map->paper
                    ? ""
                    : ", beside what drawing a batch makes");
    fprintf(out, "; foretelling tokens takes %s of the baseline layer",
            moe_percent_cell(map->overhead_share).text);
    if (map->overhead_s > 0)
        fprintf(out, " and %s", moe_time_cell(map->overhead_s).text);
}

static void put_plans(const moe_map *map, FILE *out)
{
    if (map->rebalance_every == 1)
        fputs("one per iteration", out);
    else
        fprintf(out, "one per %d iterations", map->rebalance_every);
    if (map->lookahead > 0)
        fprintf(out, ", of each layer during the one %d before it",
                map->lookahead);
    fprintf(out, ", by planner duplicate with split %s", map->split);
    if (isnan(map->planner_s))
        fputs(", priced by the steps that the planner counts", out);
    else
        fprintf(out, ", which takes %s", moe_time_cell(map->planner_s).text);
}

/* What MoE-GPS leaves out is said, as it decides. */
static void put_copies(const moe_map *map, FILE *out)
{
    if (map->paper)
        fputs("as MoE-GPS assumes: they neither travel nor cost the reading of "
              "their weights",
              out);
    else
        fprintf(out,
                "cost the reading of their weights; at each plan %s of "
                "token-to-expert's travel",
                moe_percent_cell(map->moving).text);
}

static void put_links(const moe_map *map, FILE *out)
{
    if (map->own_links)
        fputs("each cluster's own", out);
    else
        put_range(map->bandwidth, map->n_bandwidth, 1e-9, " GB/s per direction",
                  out);
}

static void put_skews(const moe_map *map, FILE *out)
{
    if (map->trace[0] != '\0') {
        put_range(map->batch_skew, map->n_batch, 1,
                  " of the busiest expert, as the batches have it", out);
        return;
    }
    put_range(map->skew, map->n_skew, 1,
              map->bottleneck ? " of the busiest GPU"
                              : " of the busiest expert",
              out);
    if (isnan(map->batch_skew[0]))
        return;
    fputs(map->paper ? "; of each batch " : "; of batches drawn from it ", out);
    put_range(map->batch_skew, map->n_batch * map->n_skew, 1, "", out);
}

static void put_accuracies(const moe_map *map, FILE *out)
{
    put_range(map->accuracy, map->n_accuracy, 100, " %", out);
    fputs(": what token-to-expert would win if a predictor were so right", out);
}

static void put_placements(const moe_map *map, FILE *out)
{
    if (map->trace[0] != '\0')
        fprintf(out, "the homes; %d batches of trace %s, %s, seed %llu",
                map->samples, map->trace,
                strcmp(map->order, "recorded") == 0 ? "in recorded order"
                                                    : "drawn in any order",
                (unsigned long long)map->seed);
    else if (map->samples > 0)
        fprintf(out, "%d, seed %llu", map->samples,
                (unsigned long long)map->seed);
    else
        fputs("not recorded", out);
}

void moe_say_map_facts(moe_document *doc, const moe_map *map)
{
    static const struct {
        const char *name;
        void (*put)(const moe_map *map, FILE *out);
    } facts[] = {
        {"clusters", put_clusters},     {"links", put_links},
        {"skewness", put_skews},        {"batches", put_batches},
        {"accuracy", put_accuracies},   {"prediction", put_costs},
        {"plans", put_plans},           {"copies", put_copies},
        {"placements", put_placements},
    };
    moe_doc_begin(doc, MOE_DOC_FACTS);
    moe_doc_fact(doc, "file", "%s", map->path[0] != '\0' ? map->path : "none");
    moe_doc_fact(doc, "program", "%s", map->version);
    moe_doc_fact(doc, "clock", "modelled: nothing of it was measured");
    moe_doc_fact(doc, "model", "%s on %d GPUs, %d slots each", map->model,
                 map->gpus, map->slots);
    if (map->deployment[0] != '\0')
        moe_doc_fact(doc, "deployment", "%s", map->deployment);
    for (size_t i = 0; i < MOE_ARRAY_LEN(facts); i++) {
        moe_doc_fact(doc, facts[i].name, "%s", "");
        facts[i].put(map, moe_doc_words(doc));
    }
}

/* ---- sentences ---- */

typedef struct chain_words {
    const char *unit;
    double factor;
} chain_words;

/* "token-to-expert below 41.2 GB/s, distribution-only above". */
static void put_chain(const moe_map_chain *chain, const chain_words *w,
                      FILE *out)
{
    const int kept = chain->n < MOE_MAP_CHAIN ? chain->n : MOE_MAP_CHAIN;
    for (int i = 0; i < kept; i++)
        fprintf(out, "%s %s %s%s, ", name_of(chain->winner[i]),
                i == 0 ? "below" : "up to",
                moe_number_cell(chain->at[i] * w->factor).text, w->unit);
    fprintf(out, "%s%s", name_of(chain->winner[kept]),
            kept > 0 ? " above" : " throughout");
    if (chain->n > kept)
        fprintf(out, " at first (%d more flips)", chain->n - kept);
}

/* Numbers of the first, middle and last of those that flip. */
static int choose(const moe_map_slice *x, int n,
                  moe_map_chain (*chain)(const moe_map_slice *x, int i),
                  int chosen[SPOKEN])
{
    int found = 0, seen = 0, n_chosen = 0;
    for (int i = 0; i < n; i++)
        found += chain(x, i).n > 0;
    for (int i = 0; i < n; i++) {
        if (chain(x, i).n == 0)
            continue;
        if (found <= SPOKEN || seen == 0 || seen == found / 2 ||
            seen == found - 1)
            chosen[n_chosen++] = i;
        seen++;
    }
    return n_chosen;
}

static void put_place(const moe_map_slice *x, bool column, int i, FILE *out)
{
    if (column)
        fprintf(out, "at skewness %s ",
                moe_value_cell(moe_map_slice_skew(x, i)).text);
    else if (x->map->own_links)
        fprintf(out, "on %s ", x->map->cluster[x->row[i]].name);
    else
        fprintf(out, "at %s GB/s ",
                moe_value_cell(moe_map_slice_bandwidth(x, i) * 1e-9).text);
}

/* @return whether there was anything to say. */
static bool put_chains(const moe_map_slice *x, bool column, FILE *out)
{
    static const chain_words links = {" GB/s", 1e-9}, skews = {"", 1};
    moe_map_chain (*chain)(const moe_map_slice *x, int i) =
        column ? moe_map_column_chain : moe_map_row_chain;
    int chosen[SPOKEN];
    const int n = choose(x, column ? x->n_skew : x->n_row, chain, chosen);
    for (int i = 0; i < n; i++) {
        const moe_map_chain c = chain(x, chosen[i]);
        fputs(i > 0 ? "; " : "", out);
        put_place(x, column, chosen[i], out);
        put_chain(&c, column ? &links : &skews, out);
    }
    return n > 0;
}

static void put_slice(const moe_map_slice *x, FILE *out)
{
    char name[160];
    moe_map_slice_name(x, name, sizeof name);
    fprintf(out, "%s%s", name, name[0] != '\0' ? ": " : "");
    if ((!x->map->own_links && put_chains(x, true, out)) ||
        put_chains(x, false, out))
        fputs(x->map->own_links ? " (skewness, interpolated between cells)."
                                : " (interpolated between cells).",
              out);
    else if (x->n_skew == 1 && x->map->own_links)
        fputs("a single skewness shows no flip.", out);
    else
        fprintf(out, "%s wins every cell, and the verdict flips nowhere.",
                name_of(x->map->winner[moe_map_slice_at(x, 0, 0)]));
}

/* Capitals begin sentences. */
static void begin_large(char *text)
{
    if (text[0] >= 'a' && text[0] <= 'z')
        text[0] = (char)(text[0] - 'a' + 'A');
}

void moe_map_slice_say(const moe_map_slice *x, char *text, size_t size)
{
    FILE *out = fmemopen(text, size, "w");
    if (out == NULL)
        return;
    put_slice(x, out);
    fclose(out);
    begin_large(text);
}

/* Strategies by the share of cells they win, those without any left out. */
static void put_shares(const moe_map *map, FILE *out)
{
    double share[MOE_ADVISE_ORACLE];
    int left = MOE_ADVISE_ORACLE;
    for (int s = 0; s < MOE_ADVISE_ORACLE; s++)
        share[s] =
            moe_map_share_of_all(map, MOE_MAP_CASE, (moe_advise_strategy)s);
    const size_t n = moe_map_cells(map) / MOE_ADVISE_CASES;
    for (; left > 0; left--) {
        int most = 0;
        for (int s = 1; s < MOE_ADVISE_ORACLE; s++)
            most = share[s] > share[most] ? s : most;
        if (share[most] <= 0)
            break;
        if (left == MOE_ADVISE_ORACLE)
            fprintf(out, "%s wins %s of %zu cell%s in the typical case",
                    name_of(most), moe_percent_cell(share[most]).text, n,
                    n == 1 ? "" : "s");
        else
            fprintf(out, ", %s %s", name_of(most),
                    moe_percent_cell(share[most]).text);
        share[most] = 0;
    }
    fputs(" (modelled).", out);
}

void moe_map_say(const moe_map *map, char *text, size_t size)
{
    moe_map_slice first;
    char flips[1024] = "";
    const size_t n = moe_map_slices(map);
    if (moe_map_slice_init(&first, map, MOE_MAP_CASE, 0, 0, NULL) == MOE_OK) {
        moe_map_slice_say(&first, flips, sizeof flips);
        moe_map_slice_fini(&first);
    }
    FILE *out = fmemopen(text, size, "w");
    if (out == NULL)
        return;
    put_shares(map, out);
    fprintf(out, " %s", flips);
    if (n > 1)
        fprintf(out,
                " %zu more, of other clusters, batches or accuracies: below.",
                n - 1);
    fclose(out);
}
