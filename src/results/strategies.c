/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/conf.h"
#include "moegps/mem.h"
#include "moegps/text.h"
#include "strategies.h"

static const char GROUP[] = "strategies";

#define AT(member)                        \
    offsetof(moe_strategy_facts, member), \
        sizeof(((moe_strategy_facts *)0)->member)

typedef enum kind { TEXT, COUNT, FLAG } kind;

/* A dataset over strategies. */
typedef struct column {
    const char *name, *long_name;
    kind kind;
    size_t offset, size; /* in moe_strategy_facts */
    bool added;          /* by schema 1.6: 0 in files before it */
} column;

static const column columns[] = {
    {"predictor", "what foretells the load", TEXT, AT(predictor), false},
    {"planner", "what places experts", TEXT, AT(planner), false},
    {"split", "what divides an expert's pairs among its replicas", TEXT,
     AT(split), false},
    {"planning", "every setting but the predictor's", TEXT, AT(planning),
     false},
    {"slots", "slots of a GPU, 0: what the home placement needs", COUNT,
     AT(slots), false},
    {"lookahead", "layers ahead that a plan is made, 0: all before layer 0",
     COUNT, AT(lookahead), true},
    {"sees_layers", "1: it predicts from the routing of earlier layers", FLAG,
     AT(sees_layers), true},
    {"plan_ahead", "1: a plan comes into force one round later", FLAG,
     AT(plan_ahead), false},
    {"direct", "1: rows go ahead to their predicted experts", FLAG, AT(direct),
     false},
    {"foretells_tokens", "1: it predicts every token's experts", FLAG,
     AT(foretells_tokens), false},
    {"knows_future", "1: it predicts with the truth, and cannot be built", FLAG,
     AT(knows_future), false},
};

static void write_texts(hid_t group, const column *c,
                        const moe_strategy_facts *facts, size_t n,
                        moe_error *err)
{
    const moe_h5_spec spec = {.name = c->name,
                              .rank = 1,
                              .dims = {"strategy"},
                              .long_name = c->long_name};
    const char **text = moe_array_new(n, sizeof *text, err);
    for (size_t s = 0; text != NULL && s < n; s++)
        text[s] = (const char *)&facts[s] + c->offset;
    moe_h5_write_strings(group, &spec, text, err);
    free(text);
}

static void write_numbers(hid_t group, const column *c,
                          const moe_strategy_facts *facts, size_t n,
                          moe_error *err)
{
    const moe_h5_spec spec = {.name = c->name,
                              .type = c->kind == FLAG ? H5T_STD_I8LE
                                                      : H5T_STD_I32LE,
                              .rank = 1,
                              .dims = {"strategy"},
                              .units = c->kind == FLAG ? "1" : "count",
                              .long_name = c->long_name};
    int32_t *number = moe_array_new(n, sizeof *number, err);
    for (size_t s = 0; number != NULL && s < n; s++) {
        const char *at = (const char *)&facts[s] + c->offset;
        number[s] = c->kind == FLAG ? *(const bool *)at : *(const int *)at;
    }
    moe_h5_write(group, &spec, H5T_NATIVE_INT32, number, err);
    free(number);
}

void moe_strategies_write(hid_t file, const char *const *names,
                          const moe_strategy_facts *facts, size_t n,
                          moe_error *err)
{
    hid_t group = moe_h5_create_group(file, GROUP, err);
    moe_h5_scale_text(group, "strategy", n, names,
                      "predictor, planner and split", err);
    for (size_t c = 0; c < MOE_ARRAY_LEN(columns); c++)
        if (columns[c].kind == TEXT)
            write_texts(group, &columns[c], facts, n, err);
        else
            write_numbers(group, &columns[c], facts, n, err);
    moe_h5_close(group);
}

/* ---- reading ---- */

static void read_texts(hid_t group, const column *c, moe_view *view,
                       moe_error *err)
{
    size_t n = 0;
    hsize_t there = 0;
    moe_h5_dims(group, c->name, 1, &there, err);
    if (err->status == MOE_OK && there != (hsize_t)view->dims.strategies)
        moe_fail(err, MOE_FORMAT, "dataset '%s' does not fit", c->name);
    char **all = moe_h5_read_strings(group, c->name, &n, err);
    for (size_t s = 0; err->status == MOE_OK && s < n; s++)
        snprintf((char *)&view->strategy[s].facts + c->offset, c->size, "%s",
                 all[s]);
    moe_h5_free_strings(all, n);
}

static void read_numbers(hid_t group, const column *c, moe_view *view,
                         moe_error *err)
{
    const size_t n = (size_t)view->dims.strategies;
    if (c->added && !moe_h5_exists(group, c->name))
        return;
    int32_t *number =
        moe_h5_read(group, c->name, H5T_NATIVE_INT32, sizeof *number, n, err);
    for (size_t s = 0; number != NULL && s < n; s++) {
        char *at = (char *)&view->strategy[s].facts + c->offset;
        if (c->kind == FLAG)
            *(bool *)at = number[s] > 0;
        else
            *(int *)at = number[s];
    }
    free(number);
}

static void read_group(hid_t file, moe_view *view, moe_error *err)
{
    hid_t group = moe_h5_open_group(file, GROUP, err);
    for (size_t c = 0; c < MOE_ARRAY_LEN(columns); c++)
        if (columns[c].kind == TEXT)
            read_texts(group, &columns[c], view, err);
        else
            read_numbers(group, &columns[c], view, err);
    moe_h5_close(group);
}

/* ---- files before /strategies: their settings, and what was measured ---- */

/* What such files can say of planning; all else is the predictor's. */
static const char *const planning_keys[] = {
    "planner", "split", "slots",      "plan_ahead", "routing", "tolerance",
    "groups",  "fill",  "max_copies", "policy",     "gate"};

static const char *setting(const moe_conf *strategy, const char *key)
{
    const moe_conf *value = moe_conf_get(strategy, key);
    return value != NULL && value->text != NULL ? value->text : "";
}

static void infer(const moe_conf *strategy, moe_strategy_view *y)
{
    moe_strategy_facts *f = &y->facts;
    for (size_t k = 0; k < MOE_ARRAY_LEN(planning_keys); k++)
        if (moe_conf_get(strategy, planning_keys[k]) != NULL)
            moe_text_add(f->planning, sizeof f->planning, "", "%s: %s, ",
                         planning_keys[k], setting(strategy, planning_keys[k]));
    snprintf(f->predictor, sizeof f->predictor, "%s",
             setting(strategy, "predictor"));
    snprintf(f->planner, sizeof f->planner, "%s", setting(strategy, "planner"));
    snprintf(f->split, sizeof f->split, "%s", setting(strategy, "split"));
    f->slots = (int)strtol(setting(strategy, "slots"), NULL, 10);
    f->plan_ahead = strcmp(setting(strategy, "plan_ahead"), "true") == 0;
    f->direct = y->in_place.n > 0;
    f->foretells_tokens = y->recall.n > 0;
    /* The only predictor of its kind in those versions. */
    f->knows_future = strcmp(f->predictor, "oracle") == 0;
}

void moe_strategies_infer(moe_view *view, moe_error *err)
{
    moe_error local = {0};
    moe_conf *root = NULL;
    if (view->config == NULL ||
        moe_conf_parse(view->config, view->path, &root, &local) != MOE_OK) {
        if (local.status == MOE_NOMEM)
            moe_pass(err, &local);
        return; /* settings that cannot be read are not recorded ones */
    }
    const moe_conf *list = moe_conf_get(root, "strategies");
    for (int s = 0; list != NULL && s < view->dims.strategies; s++)
        if ((size_t)s < list->n_children)
            infer(list->child[s], &view->strategy[s]);
    moe_conf_free(root);
}

void moe_strategies_read(hid_t file, moe_view *view, moe_error *err)
{
    if (err->status != MOE_OK)
        return;
    if (moe_h5_exists(file, GROUP))
        read_group(file, view, err);
    else
        moe_strategies_infer(view, err);
}
