/* SPDX-License-Identifier: Apache-2.0 */
#include "experiment_strategies.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* The names of a family, for messages. */
static moe_status find_members(moe_strategy *s, const moe_conf *root,
                               const moe_conf *node, moe_error *err)
{
    char known[256];
    s->predictor = moe_predictor_find(s->predictor_name);
    if (s->predictor == NULL) {
        moe_predictor_names(known, sizeof known);
        return moe_conf_fail(root, moe_conf_get(node, "predictor"), err,
                             "strategy %s: no predictor '%s' (allowed: %s)",
                             s->name, s->predictor_name, known);
    }
    if (strcmp(s->planner_name, "auto") == 0)
        snprintf(s->planner_name, sizeof s->planner_name, "%s",
                 strcmp(s->predictor_name, "none") == 0 ? "static" : "balance");
    s->planner = moe_planner_find(s->planner_name);
    if (s->planner == NULL) {
        moe_planner_names(known, sizeof known);
        return moe_conf_fail(root, moe_conf_get(node, "planner"), err,
                             "strategy %s: no planner '%s' (allowed: %s)",
                             s->name, s->planner_name, known);
    }
    s->split = moe_split_find(s->split_name);
    if (s->split == NULL) {
        moe_split_names(known, sizeof known);
        return moe_conf_fail(root, moe_conf_get(node, "split"), err,
                             "strategy %s: no split '%s' (allowed: %s)",
                             s->name, s->split_name, known);
    }
    return MOE_OK;
}

/* The common keys alone, to learn which members' options are legal. */
static moe_status read_names(moe_strategy *s, const moe_conf *root,
                             const moe_conf *node, moe_error *err)
{
    moe_opt_defaults(moe_strategy_options, s);
    for (const moe_opt *row = moe_strategy_options; row->key != NULL; row++) {
        const moe_conf *value = moe_conf_get(node, row->key);
        if (value != NULL && value->kind == MOE_CONF_SCALAR &&
            row->type == MOE_OPT_TEXT) {
            moe_error local = {0};
            if (moe_opt_parse(row, value->text, s, &local) != MOE_OK)
                return moe_conf_fail(root, value, err, "strategies.%s",
                                     local.text);
        }
    }
    return find_members(s, root, node, err);
}

/* What the predictor foretells, with these parameters, must be what the rest
 * of the strategy lives on. */
static moe_status check_forecast(moe_strategy *s, const moe_conf *root,
                                 const moe_conf *node, moe_error *err)
{
    const moe_forecast f = s->predictor->forecast(s->predictor_params);
    if (s->planner->plans && f == MOE_FORECAST_NONE)
        return moe_conf_fail(root, node, err,
                             "strategy %s: planner '%s' needs a prediction, "
                             "predictor '%s' gives none",
                             s->name, s->planner_name, s->predictor_name);
    if (s->routing == MOE_ROUTING_DIRECT && f != MOE_FORECAST_TOKENS)
        return moe_conf_fail(root, moe_conf_get(node, "routing"), err,
                             "strategy %s: routing 'direct' needs a prediction "
                             "of every token's experts, predictor '%s' gives "
                             "%s",
                             s->name, s->predictor_name,
                             f == MOE_FORECAST_LOAD ? "a distribution"
                                                    : "none");
    if (s->plan_ahead && f == MOE_FORECAST_TOKENS)
        return moe_conf_fail(root, moe_conf_get(node, "plan_ahead"), err,
                             "strategy %s: plan_ahead needs a forecast that "
                             "holds for later batches, predictor '%s' "
                             "foretells the tokens of this one",
                             s->name, s->predictor_name);
    s->direct = s->routing != MOE_ROUTING_DISPATCH && f == MOE_FORECAST_TOKENS;
    return MOE_OK;
}

/* `lookahead`: all, or layers. The predictor must have what it looks at. */
static moe_status check_lookahead(moe_strategy *s, const moe_conf *root,
                                  const moe_conf *node, moe_error *err)
{
    const moe_conf *at = moe_conf_get(node, "lookahead");
    moe_error local = {0};
    if (moe_lookahead_parse(s->lookahead_text, &s->lookahead, &local) != MOE_OK)
        return moe_conf_fail(root, at, err, "strategy %s: lookahead: %s",
                             s->name, local.text);
    if (moe_horizon_check(s->predictor, s->lookahead, false, &local) != MOE_OK)
        return moe_conf_fail(root, moe_conf_get(node, "predictor"), err,
                             "strategy %s: %s", s->name, local.text);
    return MOE_OK;
}

/* Parameters of the members, not read yet. */
static moe_status make_params(moe_strategy *s, moe_error *err)
{
    s->predictor_params = moe_array_new(1, s->predictor->params_size, err);
    s->planner_params = moe_array_new(1, s->planner->params_size, err);
    s->split_params = moe_array_new(1, s->split->params_size, err);
    return err->status;
}

/* A name is a word in tables and FOM lines. */
static moe_status check_name(const moe_strategy *s, const moe_conf *root,
                             const moe_conf *node, moe_error *err)
{
    if (s->name[0] == '\0') /* as a reference that means the first */
        return moe_conf_fail(root, moe_conf_get(node, "name"), err,
                             "strategies: a name is empty");
    for (const char *c = s->name; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c)) /* they have one line */
            return moe_conf_fail(root, moe_conf_get(node, "name"), err,
                                 "strategies: a name has a control character");
    return MOE_OK;
}

/* It is made of its candidates: beside its name it has the keys of a choice
 * and no others. */
static moe_status read_choice(moe_strategy *s, const moe_conf *root,
                              const moe_conf *node, moe_error *err)
{
    static const char *const also[] = {"name", NULL};
    const moe_conf_target target = {moe_choice_options, s};
    char where[160];
    moe_opt_defaults(moe_strategy_options, s);
    if (moe_opt_parse(moe_strategy_options, moe_conf_get(node, "name")->text, s,
                      err) != MOE_OK ||
        find_members(s, root, node, err) != MOE_OK ||
        make_params(s, err) != MOE_OK)
        return err->status;
    snprintf(where, sizeof where, "strategy %s, which has candidates", s->name);
    const moe_conf_schema schema = {where, &target, 1, also};
    if (moe_conf_read(root, node, &schema, err) != MOE_OK)
        return err->status;
    if (s->candidates[0] == '\0')
        return moe_conf_fail(root, moe_conf_get(node, "candidates"), err,
                             "strategy %s: candidates: nobody is named",
                             s->name);
    return check_name(s, root, node, err);
}

static moe_status read_strategy(moe_strategy *s, const moe_conf *root,
                                const moe_conf *node, moe_error *err)
{
    if (node->kind != MOE_CONF_MAP)
        return moe_conf_fail(root, node, err,
                             "strategies: expected {name: ..., ...}");
    if (moe_conf_get(node, "name") == NULL)
        return moe_conf_fail(root, node, err,
                             "strategies: key 'name' is missing");
    if (moe_conf_get(node, "candidates") != NULL)
        return read_choice(s, root, node, err);
    if (read_names(s, root, node, err) != MOE_OK ||
        make_params(s, err) != MOE_OK)
        return err->status;
    const moe_conf_target targets[] = {
        {moe_strategy_options, s},
        {s->predictor->opts, s->predictor_params},
        {s->planner->opts, s->planner_params},
        {s->split->opts, s->split_params}};
    char where[96];
    snprintf(where, sizeof where, "strategy %s", s->name);
    const moe_conf_schema schema = {where, targets, MOE_ARRAY_LEN(targets),
                                    NULL};
    if (moe_conf_read(root, node, &schema, err) != MOE_OK)
        return err->status;
    if (check_name(s, root, node, err) != MOE_OK)
        return err->status;
    if (s->load[0] != '\0' && s->predictor->train == NULL)
        return moe_conf_fail(root, moe_conf_get(node, "load"), err,
                             "strategy %s: predictor '%s' loads no file",
                             s->name, s->predictor_name);
    if (check_lookahead(s, root, node, err) != MOE_OK)
        return err->status;
    return check_forecast(s, root, node, err);
}

static int find_strategy(const moe_experiment *x, const char *name, size_t n)
{
    for (int i = 0; i < x->n_strategies; i++)
        if (strlen(x->strategy[i].name) == n &&
            memcmp(x->strategy[i].name, name, n) == 0)
            return i;
    return -1;
}

/* Why a strategy is no candidate beside another, which is one; NULL: it may
 * be. They share memory for weights. */
static const char *unfit_beside(const moe_strategy *c, const moe_strategy *one)
{
    if (c == one)
        return "is named twice";
    if (c->planner->plans && one->planner->plans && c->slots != one->slots)
        return "has another number of slots than those before it";
    return NULL;
}

static moe_status add_candidate(moe_strategy *s, const moe_experiment *x,
                                int of, moe_error *err)
{
    const moe_strategy *c = &x->strategy[of];
    const char *why = NULL;
    if (c->candidates[0] != '\0')
        why = "chooses, too";
    else if (c->predictor->knows_future)
        why = "knows the future: it cannot be built";
    else if (c->plan_ahead)
        why = "plans ahead: a try cannot wait for its plan";
    for (int k = 0; k < s->n_candidates && why == NULL; k++)
        why = unfit_beside(c, &x->strategy[s->candidate[k]]);
    if (why != NULL)
        return moe_fail(err, MOE_USAGE, "'%s' %s", c->name, why);
    s->candidate[s->n_candidates++] = of;
    if (c->planner->plans)
        s->slots = c->slots;
    return MOE_OK;
}

/* "a, b". */
static moe_status add_named(moe_strategy *s, const moe_experiment *x,
                            moe_error *err)
{
    for (const char *at = s->candidates; err->status == MOE_OK;) {
        at += strspn(at, " ");
        const size_t n = strcspn(at, ",");
        size_t end = n;
        while (end > 0 && at[end - 1] == ' ')
            end--;
        const int of = find_strategy(x, at, end);
        if (of < 0)
            return moe_fail(err, MOE_USAGE, "no strategy is named '%.*s'",
                            (int)end, at);
        add_candidate(s, x, of, err);
        at += n;
        if (*at++ == '\0')
            break;
    }
    return err->status;
}

/* All rows are known by now. */
static moe_status find_candidates(moe_experiment *x, moe_strategy *s,
                                  const moe_conf *root, const moe_conf *node,
                                  moe_error *err)
{
    moe_error local = {0};
    if (strcmp(s->candidates, "all") != 0)
        add_named(s, x, &local);
    else
        for (int i = 0; i < x->n_strategies && local.status == MOE_OK; i++)
            if (x->strategy[i].candidates[0] == '\0' &&
                !x->strategy[i].predictor->knows_future)
                add_candidate(s, x, i, &local);
    if (local.status == MOE_OK && s->n_candidates < 2)
        moe_fail(&local, MOE_USAGE, "a choice needs at least two");
    return local.status == MOE_OK
               ? MOE_OK
               : moe_conf_fail(root, moe_conf_get(node, "candidates"), err,
                               "strategy %s: candidates: %s", s->name,
                               local.text);
}

moe_status moe_strategies_parse(moe_experiment *x, const moe_conf *root,
                                moe_error *err)
{
    const moe_conf *list = moe_conf_get(root, "strategies");
    if (list == NULL || list->kind != MOE_CONF_LIST || list->n_children == 0)
        return moe_conf_fail(root, list, err,
                             "strategies: a list of at least one strategy is "
                             "missing");
    if (list->n_children > MOE_MAX_STRATEGIES)
        return moe_conf_fail(root, list, err,
                             "strategies: %zu of them, at "
                             "most %d are allowed",
                             list->n_children, MOE_MAX_STRATEGIES);
    x->strategy = moe_array_new(list->n_children, sizeof *x->strategy, err);
    if (x->strategy == NULL)
        return err->status;
    for (size_t i = 0; i < list->n_children; i++) {
        x->n_strategies++;
        if (read_strategy(&x->strategy[i], root, list->child[i], err) != MOE_OK)
            return err->status;
        for (size_t j = 0; j < i; j++)
            if (strcmp(x->strategy[i].name, x->strategy[j].name) == 0)
                return moe_conf_fail(root, list->child[i], err,
                                     "strategies: two are named '%s'",
                                     x->strategy[i].name);
    }
    for (int i = 0; i < x->n_strategies; i++)
        if (x->strategy[i].candidates[0] != '\0' &&
            find_candidates(x, &x->strategy[i], root, list->child[i], err) !=
                MOE_OK)
            return err->status;
    for (int i = 0; i < x->n_strategies; i++)
        if (strcmp(x->strategy[i].name, x->reference) == 0)
            x->reference_index = i;
    if (x->reference[0] == '\0')
        x->reference_index = 0;
    else if (strcmp(x->strategy[x->reference_index].name, x->reference) != 0)
        return moe_conf_fail(root, moe_conf_get(root, "reference"), err,
                             "reference: no strategy is named '%s'",
                             x->reference);
    snprintf(x->reference, sizeof x->reference, "%s",
             x->strategy[x->reference_index].name);
    return MOE_OK;
}
