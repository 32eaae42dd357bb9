/* SPDX-License-Identifier: Apache-2.0 */
#include "forms.h"

#include <stdbool.h>
#include <string.h>

#include "contents.h"
#include "moegps/mem.h"
#include "moegps/plain.h"

/* ---- CSV ---- */

/* Tables keep all their cells; a map may have millions. */
static void csv_cell(const moe_map *map, const moe_map_cell *x, FILE *out)
{
    const size_t at = moe_map_at(map, x);
    const double *t = map->layer_s + at * MOE_ADVISE_STRATEGIES;
    moe_plain_csv(map->model, out);
    fprintf(out, ",%d,%d,", map->gpus, map->seq);
    moe_plain_csv(map->cluster[x->cluster].name, out);
    fprintf(out, ",%s,%d,%.12g,%.12g,%.12g,%s,%.12g",
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

static json_t *json_clusters(const moe_map *map, moe_error *err)
{
    json_t *array = json_array();
    for (int c = 0; c < map->n_cluster; c++) {
        json_t *object = json_object(), *shares = json_object();
        moe_json_put_text(object, "name", map->cluster[c].name, err);
        moe_json_put_text(object, "cost", map->cluster[c].cost, err);
        moe_json_put(object, "bandwidth",
                     moe_json_numbers(map->bandwidth + c * map->n_bandwidth,
                                      (size_t)map->n_bandwidth, err),
                     err);
        for (int s = 0; s < MOE_ADVISE_ORACLE; s++)
            moe_json_put_number(
                shares, moe_advise_strategy_name((moe_advise_strategy)s),
                moe_map_share(map, c, MOE_MAP_CASE, (moe_advise_strategy)s),
                err);
        moe_json_put(object, "share", shares, err);
        moe_json_add(array, object, err);
    }
    return array;
}

#define AT(key, member) MOE_JSON_MEMBER(key, moe_map, member)
static const moe_json_member file_members[] = {
    AT("path", path), AT("source", version), AT("command_line", command_line)};

static const moe_json_member model_members[] = {
    AT("model", model), AT("gpus", gpus), AT("seq", seq), AT("slots", slots)};

static const moe_json_member dial_members[] = {
    AT("own_links", own_links),
    AT("as_paper", paper),
    AT("error", error),
    AT("overhead_s", overhead_s),
    AT("overhead_share", overhead_share),
    AT("moving", moving),
    AT("lookahead", lookahead),
    AT("rebalance_every", rebalance_every),
    AT("planner_s", planner_s)};
#undef AT

static void put_settings(json_t *object, const moe_map *m, moe_error *err)
{
    char verdict[2048] = "";
    moe_map_say(m, verdict, sizeof verdict);
    moe_json_put_members(object, file_members, MOE_ARRAY_LEN(file_members), m,
                         err);
    moe_json_put_text(object, "clock", "modelled", err);
    moe_json_put_text(object, "split", m->split, err);
    moe_json_put_text(object, "result", "VALID", err);
    moe_json_put_text(object, "verdict", verdict, err);
    moe_json_put_members(object, model_members, MOE_ARRAY_LEN(model_members), m,
                         err);
    if (m->deployment[0] != '\0')
        moe_json_put_text(object, "deployment", m->deployment, err);
    moe_json_put_text(object, "load",
                      m->trace[0] != '\0' ? "trace"
                      : m->bottleneck     ? "busiest GPU"
                                          : "power law",
                      err);
    if (m->trace[0] != '\0') {
        moe_json_put_text(object, "trace", m->trace, err);
        moe_json_put_text(object, "order", m->order, err);
    }
    moe_json_put_members(object, dial_members, MOE_ARRAY_LEN(dial_members), m,
                         err);
}

/* Names of a dimension whose values are numbered. */
static json_t *names(const char *(*name_of)(int i), int n, moe_error *err)
{
    json_t *array = json_array();
    for (int i = 0; i < n; i++)
        moe_json_add(array, json_string(name_of(i)), err);
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

static json_t *json_map(const moe_map *m, moe_error *err)
{
    static const char *const dims[] = {"cluster",  "case", "batch",
                                       "accuracy", "skew", "bandwidth"};
    const size_t n = moe_map_cells(m);
    json_t *object = json_object(), *order = json_array();
    put_settings(object, m, err);
    for (size_t d = 0; d < MOE_ARRAY_LEN(dims); d++)
        moe_json_add(order, json_string(dims[d]), err);
    moe_json_put(object, "dims", order, err);
    moe_json_put(object, "cluster", json_clusters(m, err), err);
    moe_json_put(object, "case", names(case_name, MOE_ADVISE_CASES, err), err);
    moe_json_put(object, "batch",
                 moe_json_integers(m->batch, (size_t)m->n_batch, err), err);
    moe_json_put(object, "accuracy",
                 moe_json_numbers(m->accuracy, (size_t)m->n_accuracy, err),
                 err);
    moe_json_put(object, "skew",
                 moe_json_numbers(m->skew, (size_t)m->n_skew, err), err);
    moe_json_put(object, "batch_skew",
                 moe_json_numbers(m->batch_skew,
                                  (size_t)m->n_batch * (size_t)m->n_skew, err),
                 err);
    moe_json_put(object, "strategy",
                 names(strategy_name, MOE_ADVISE_STRATEGIES, err), err);
    moe_json_put(object, "winner", moe_json_integers(m->winner, n, err), err);
    moe_json_put(object, "margin", moe_json_numbers(m->margin, n, err), err);
    moe_json_put(object, "layer_time_s",
                 moe_json_numbers(m->layer_s, n * MOE_ADVISE_STRATEGIES, err),
                 err);
    return object;
}

json_t *moe_maps_json(const moe_map *maps, size_t n, moe_error *err)
{
    json_t *array = json_array();
    for (size_t m = 0; m < n; m++)
        moe_json_add(array, json_map(&maps[m], err), err);
    return array;
}
