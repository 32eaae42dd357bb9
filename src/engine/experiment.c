/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/experiment.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/conf.h"
#include "moegps/ledger.h"
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

static moe_status read_strategies(moe_experiment *x, const moe_conf *root,
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

bool moe_emulation_is_paced(const moe_emulation *emulation)
{
    const moe_ffn *ffn = moe_ffn_find(emulation->ffn);
    return emulation->attention == MOE_ATTEND_PACED ||
           (ffn != NULL && ffn->paced);
}

static moe_status read_dilation(moe_emulation *em, const moe_conf *root,
                                const moe_conf *node, moe_error *err)
{
    const moe_opt number = {
        .key = "dilation", .type = MOE_OPT_REAL, .min = 1, .max = 1e6};
    moe_error local = {0};
    if (strcmp(em->dilation_text, "auto") == 0)
        em->dilation = 0;
    else if (moe_opt_parse(&number, em->dilation_text, &em->dilation, &local) !=
             MOE_OK)
        return moe_conf_fail(root, moe_conf_get(node, "dilation"), err,
                             "emulation.dilation: '%s' (allowed: auto, or a "
                             "number from 1 to 1e6)",
                             em->dilation_text);
    if (em->dilation == 1 && em->links[0] == '\0')
        return MOE_OK;
    if (!moe_emulation_is_paced(em))
        return moe_conf_fail(root, node, err,
                             "emulation.%s: only where ffn or attention is "
                             "paced",
                             em->dilation == 1 ? "links" : "dilation");
    if (em->dilation == 0 && em->links[0] == '\0')
        return moe_conf_fail(root, moe_conf_get(node, "dilation"), err,
                             "emulation.dilation: auto needs the speed of this "
                             "machine's links: emulation.links, a file that "
                             "`moegps calibrate --mpi` wrote here");
    return MOE_OK;
}

/* What follows from other settings. */
static moe_status settle(moe_emulation *em, const moe_conf *root,
                         const moe_conf *node, moe_error *err)
{
    const moe_ffn *ffn = moe_ffn_find(em->ffn);
    if (ffn == NULL) {
        char known[128];
        moe_ffn_names(known, sizeof known);
        return moe_conf_fail(root, moe_conf_get(node, "ffn"), err,
                             "emulation.ffn: no back end '%s' (allowed: %s)",
                             em->ffn, known);
    }
    if (em->scale == 0)
        em->scale = ffn->paced ? 1 : 8;
    if (em->sync == MOE_SYNC_AUTO)
        em->sync = moe_emulation_is_paced(em) ? MOE_SYNC_NONE : MOE_SYNC_PHASE;
    return read_dilation(em, root, node, err);
}

/* Where rows cannot ride with attention, `auto` is dispatch. */
static moe_status check_routing(moe_experiment *x, const moe_conf *root,
                                moe_error *err)
{
    const moe_conf *list = moe_conf_get(root, "strategies");
    for (int i = 0; i < x->n_strategies && !moe_serving_rides(&x->serving);
         i++) {
        moe_strategy *s = &x->strategy[i];
        if (s->direct && s->routing == MOE_ROUTING_DIRECT)
            return moe_conf_fail(
                root, moe_conf_get(list->child[i], "routing"), err,
                "strategy %s: routing 'direct' rides with tensor-parallel "
                "attention to pick rows out, serving has attention '%s' and "
                "exchange '%s' (allowed: auto, dispatch)",
                s->name, moe_serve_attentions[x->serving.attention],
                moe_serve_exchanges[x->serving.exchange]);
        s->direct = false;
    }
    return MOE_OK;
}

static moe_status check_overlap(const moe_experiment *x, const moe_conf *root,
                                moe_error *err)
{
    if (moe_emulation_is_paced(&x->emulation) &&
        x->serving.overlap == MOE_SERVE_SHARED)
        return moe_conf_fail(
            root, moe_conf_get(moe_conf_get(root, "serving"), "overlap"), err,
            "serving.overlap: %s is priced, but not what paced ranks do "
            "(allowed with emulation.ffn or attention: paced: none, two-batch)",
            moe_serve_overlaps[x->serving.overlap]);
    return MOE_OK;
}

static moe_status read_all(moe_experiment *x, const moe_conf *root,
                           moe_error *err)
{
    static const char *const groups[] = {"workload", "emulation", "serving",
                                         "strategies", NULL};
    const moe_conf_target top = {moe_experiment_options, x};
    const moe_conf_target load = {moe_workload_options, &x->workload};
    const moe_conf_target emu = {moe_emulation_options, &x->emulation};
    const moe_conf_target dep = {moe_serving_options, &x->serving};
    const moe_conf_schema of_top = {"experiment", &top, 1, groups};
    const moe_conf_schema of_load = {"workload", &load, 1, NULL};
    const moe_conf_schema of_emu = {"emulation", &emu, 1, NULL};
    const moe_conf_schema of_dep = {"serving", &dep, 1, NULL};
    const moe_conf *workload = moe_conf_get(root, "workload");
    const moe_conf *emulation = moe_conf_get(root, "emulation");
    if (moe_conf_read(root, root, &of_top, err) != MOE_OK ||
        moe_conf_read(root, workload, &of_load, err) != MOE_OK ||
        moe_conf_read(root, emulation, &of_emu, err) != MOE_OK ||
        moe_conf_read(root, moe_conf_get(root, "serving"), &of_dep, err) !=
            MOE_OK)
        return err->status;
    if (settle(&x->emulation, root, emulation, err) != MOE_OK ||
        check_overlap(x, root, err) != MOE_OK ||
        read_strategies(x, root, err) != MOE_OK)
        return err->status;
    return check_routing(x, root, err);
}

moe_status moe_experiment_parse(const char *text, const char *origin,
                                const char *const *sets, int n_sets,
                                moe_experiment *out, moe_error *err)
{
    moe_conf *root = NULL;
    moe_experiment x = {0};
    moe_error local = {0};
    if (moe_conf_parse(text, origin, &root, &local) == MOE_OK)
        for (int i = 0; i < n_sets && local.status == MOE_OK; i++)
            moe_conf_set(root, sets[i], &local);
    if (local.status == MOE_OK)
        read_all(&x, root, &local);
    moe_conf_free(root);
    if (local.status != MOE_OK) {
        moe_experiment_fini(&x);
        return moe_pass(err, &local);
    }
    *out = x;
    return MOE_OK;
}

void moe_experiment_fini(moe_experiment *x)
{
    for (int i = 0; i < x->n_strategies; i++) {
        free(x->strategy[i].predictor_params);
        free(x->strategy[i].planner_params);
        free(x->strategy[i].split_params);
    }
    free(x->strategy);
    *x = (moe_experiment){0};
}

/* The last part of a path without its suffix: what a name is called by. */
static void put_stem(FILE *out, const char *name)
{
    const char *slash = strrchr(name, '/');
    const char *base = slash != NULL ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    bool suffix =
        dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".h5") == 0);
    fprintf(out, "%.*s", suffix ? (int)(dot - base) : (int)strlen(base), base);
}

/* Print what the character after a % stands for. @return whether it does. */
static bool put_field(FILE *out, const moe_experiment *x, char field, int gpus)
{
    switch (field) {
    case 'm':
        put_stem(out, x->model_name);
        return true;
    case 'c':
        put_stem(out, x->cluster_name);
        return true;
    case 't':
        put_stem(out, x->trace_name);
        return true;
    case 'n':
        fprintf(out, "%d", gpus);
        return true;
    case '%':
        fputc('%', out);
        return true;
    default:
        return false;
    }
}

moe_status moe_experiment_output(const moe_experiment *x, int gpus, char *path,
                                 size_t size, moe_error *err)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return moe_fail(err, MOE_NOMEM, "out of memory");
    bool known = true;
    for (const char *c = x->output; known && *c != '\0'; c++) {
        if (*c != '%')
            fputc(*c, out);
        else
            known = put_field(out, x, *++c, gpus);
    }
    moe_status s = MOE_OK;
    if (fclose(out) != 0)
        s = moe_fail(err, MOE_NOMEM, "out of memory");
    else if (!known)
        s = moe_fail(err, MOE_USAGE,
                     "output: after %% one of m, c, t, n, %% is allowed: '%s'",
                     x->output);
    else if (len == 0 || len >= size)
        s = moe_fail(err, MOE_USAGE,
                     "output: path of %zu characters, 1 to %zu are allowed",
                     len, size - 1);
    else
        memcpy(path, text, len + 1);
    free(text);
    return s;
}

/* Step over blanks and a number without a sign. */
static bool read_number(const char **at, long *value_out)
{
    const char *start = *at + strspn(*at, " ");
    char *end = NULL;
    errno = 0;
    *value_out = strtol(start, &end, 10);
    *at = end;
    return isdigit((unsigned char)*start) && errno == 0;
}

moe_status moe_experiment_layers(const char *text, int n_model_layers,
                                 int *layers_out, int *n_out, moe_error *err)
{
    int n = 0;
    if (strcmp(text, "all") == 0) {
        for (; n < n_model_layers; n++)
            layers_out[n] = n;
        *n_out = n;
        return MOE_OK;
    }
    for (const char *at = text;; at++) {
        long first = 0, last = 0;
        bool ok = read_number(&at, &first);
        last = first;
        if (ok && *at == '-') {
            at++;
            ok = read_number(&at, &last);
        }
        if (!ok || last < first || last >= n_model_layers ||
            (*at != ',' && *at != '\0'))
            return moe_fail(err, MOE_USAGE,
                            "workload.layers: '%s' is not `all` or a list of "
                            "numbers and ranges in 0..%d",
                            text, n_model_layers - 1);
        for (long l = first; l <= last; l++) {
            if (n > 0 && layers_out[n - 1] >= l)
                return moe_fail(err, MOE_USAGE,
                                "workload.layers: '%s': numbers must rise",
                                text);
            layers_out[n++] = (int)l;
        }
        if (*at == '\0')
            break;
    }
    *n_out = n;
    return MOE_OK;
}
