/* SPDX-License-Identifier: Apache-2.0 */
#include "export.h"
#include "json.h"

#include <stdbool.h>
#include <string.h>

#include "map_words.h"
#include "moegps/mem.h"

/* ---- CSV ---- */

/* Tables keep all their cells; a map may have millions. */
static void csv_text(const char *text, FILE *out)
{
    fputc('"', out);
    for (; *text != '\0'; text++)
        fprintf(out, "%s%c", *text == '"' ? "\"" : "", *text);
    fputs("\",", out);
}

static void csv_cell(const moe_map *map, const moe_map_cell *x, FILE *out)
{
    const size_t at = moe_map_at(map, x);
    const double *t = map->layer_s + at * MOE_ADVISE_STRATEGIES;
    csv_text(map->model, out);
    fprintf(out, "%d,%d,", map->gpus, map->seq);
    csv_text(map->cluster[x->cluster].name, out);
    fprintf(out, "%s,%d,%.12g,%.12g,%.12g,%s,%.12g",
            moe_advise_case_name(x->error), map->batch[x->batch],
            map->accuracy[x->accuracy], map->skew[x->skew],
            moe_map_bandwidth(map, x->cluster, x->bandwidth),
            moe_advise_strategy_name((moe_advise_strategy)map->winner[at]),
            map->margin[at]);
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
        fprintf(out, ",%.12g", t[s]);
    fputc('\n', out);
}

/* Go to the cell behind, in the order of the file. @return whether there is
 * one. */
static bool next_cell(const moe_map *map, moe_map_cell *x)
{
    int c = (int)x->error;
    int *const at[] = {&x->bandwidth, &x->skew, &x->accuracy,
                       &x->batch,     &c,       &x->cluster};
    const int n[] = {map->n_bandwidth, map->n_skew,      map->n_accuracy,
                     map->n_batch,     MOE_ADVISE_CASES, map->n_cluster};
    bool carry = true;
    for (size_t d = 0; d < MOE_ARRAY_LEN(n) && carry; d++) {
        carry = ++*at[d] == n[d];
        if (carry)
            *at[d] = 0;
    }
    x->error = (moe_advise_case)c;
    return !carry;
}

moe_status moe_maps_csv(const moe_map *maps, size_t n, FILE *out)
{
    fputs("model,gpus,seq,cluster,case,batch,accuracy,skew,bandwidth,winner,"
          "margin",
          out);
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
        fprintf(out, ",%s_s", moe_advise_strategy_name((moe_advise_strategy)s));
    fputc('\n', out);
    for (size_t m = 0; m < n; m++) {
        moe_map_cell x = {0};
        do {
            csv_cell(&maps[m], &x, out);
        } while (next_cell(&maps[m], &x));
    }
    return MOE_OK;
}

/* ---- JSON ---- */

static json_t *reals(const double *x, size_t n, bool *ok)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        moe_json_add(array, json_real(x[i]), ok);
    return array;
}

static json_t *integers(const int32_t *x, size_t n, bool *ok)
{
    json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        moe_json_add(array, json_integer(x[i]), ok);
    return array;
}

static json_t *json_clusters(const moe_map *map, bool *ok)
{
    json_t *array = json_array();
    for (int c = 0; c < map->n_cluster; c++) {
        json_t *object = json_object(), *shares = json_object();
        moe_json_put(object, "name", moe_json_text(map->cluster[c].name), ok);
        moe_json_put(object, "cost", moe_json_text(map->cluster[c].cost), ok);
        moe_json_put(object, "bandwidth",
                     reals(map->bandwidth + c * map->n_bandwidth,
                           (size_t)map->n_bandwidth, ok),
                     ok);
        for (int s = 0; s < MOE_ADVISE_ORACLE; s++)
            moe_json_put(shares,
                         moe_advise_strategy_name((moe_advise_strategy)s),
                         json_real(moe_map_share(map, c, MOE_MAP_CASE,
                                                 (moe_advise_strategy)s)),
                         ok);
        moe_json_put(object, "share", shares, ok);
        moe_json_add(array, object, ok);
    }
    return array;
}

static void put_settings(json_t *object, const moe_map *m, bool *ok)
{
    char verdict[2048] = "";
    moe_map_say(m, verdict, sizeof verdict);
    moe_json_put(object, "path", moe_json_text(m->path), ok);
    moe_json_put(object, "source", moe_json_text(m->version), ok);
    moe_json_put(object, "command_line",
                 m->command_line != NULL ? moe_json_text(m->command_line)
                                         : json_null(),
                 ok);
    moe_json_put(object, "clock", json_string("modelled"), ok);
    moe_json_put(object, "result", json_string("VALID"), ok);
    moe_json_put(object, "verdict", moe_json_text(verdict), ok);
    moe_json_put(object, "model", moe_json_text(m->model), ok);
    moe_json_put(object, "gpus", json_integer(m->gpus), ok);
    moe_json_put(object, "seq", json_integer(m->seq), ok);
    moe_json_put(object, "slots", json_integer(m->slots), ok);
    moe_json_put(object, "load",
                 json_string(m->bottleneck ? "busiest GPU" : "power law"), ok);
    moe_json_put(object, "own_links", json_boolean(m->own_links), ok);
    moe_json_put(object, "as_paper", json_boolean(m->paper), ok);
    moe_json_put(object, "error", json_real(m->error), ok);
    moe_json_put(object, "overhead_s", json_real(m->overhead_s), ok);
    moe_json_put(object, "overhead_share", json_real(m->overhead_share), ok);
    moe_json_put(object, "moving", json_real(m->moving), ok);
    moe_json_put(object, "rebalance_every", json_integer(m->rebalance_every),
                 ok);
    moe_json_put(object, "planner_s", json_real(m->planner_s), ok);
}

/* Names of a dimension whose values are numbered. */
static json_t *names(const char *(*name_of)(int i), int n, bool *ok)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++)
        moe_json_add(array, json_string(name_of(i)), ok);
    return array;
}

static const char *case_name(int i)
{
    return moe_advise_case_name((moe_advise_case)i);
}

static const char *strategy_name(int i)
{
    return moe_advise_strategy_name((moe_advise_strategy)i);
}

static json_t *json_map(const moe_map *m, bool *ok)
{
    static const char *const dims[] = {"cluster",  "case", "batch",
                                       "accuracy", "skew", "bandwidth"};
    const size_t n = moe_map_cells(m);
    json_t *object = json_object(), *order = json_array();
    put_settings(object, m, ok);
    for (size_t d = 0; d < MOE_ARRAY_LEN(dims); d++)
        moe_json_add(order, json_string(dims[d]), ok);
    moe_json_put(object, "dims", order, ok);
    moe_json_put(object, "cluster", json_clusters(m, ok), ok);
    moe_json_put(object, "case", names(case_name, MOE_ADVISE_CASES, ok), ok);
    moe_json_put(object, "batch", integers(m->batch, (size_t)m->n_batch, ok),
                 ok);
    moe_json_put(object, "accuracy",
                 reals(m->accuracy, (size_t)m->n_accuracy, ok), ok);
    moe_json_put(object, "skew", reals(m->skew, (size_t)m->n_skew, ok), ok);
    moe_json_put(object, "strategy",
                 names(strategy_name, MOE_ADVISE_STRATEGIES, ok), ok);
    moe_json_put(object, "winner", integers(m->winner, n, ok), ok);
    moe_json_put(object, "margin", reals(m->margin, n, ok), ok);
    moe_json_put(object, "layer_time_s",
                 reals(m->layer_s, n * MOE_ADVISE_STRATEGIES, ok), ok);
    return object;
}

json_t *moe_maps_json(const moe_map *maps, size_t n, bool *ok)
{
    json_t *array = json_array();
    for (size_t m = 0; m < n; m++)
        moe_json_add(array, json_map(&maps[m], ok), ok);
    return array;
}
