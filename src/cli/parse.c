/* SPDX-License-Identifier: Apache-2.0 */
#include "parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/advise.h"
#include "moegps/mem.h"
#include "moegps/planner.h"
#include "moegps/profile_set.h"
#include "moegps/split.h"

bool moe_parse_digits(const char **at, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    if (!isdigit((unsigned char)**at))
        return false;
    *out = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

static moe_status unknown(const char *name, moe_error *err)
{
    char known[512];
    moe_predictor_names(known, sizeof known);
    return moe_fail(err, MOE_USAGE, "no predictor '%s' (allowed: %s)", name,
                    known);
}

/* @param text  OPTION=VALUE; cut up. */
static moe_status set_option(const moe_predictor *p, void *params, char *text,
                             moe_error *err)
{
    char *value = strchr(text, '=');
    if (value == NULL)
        return moe_fail(err, MOE_USAGE, "%s: '%s' is not OPTION=VALUE", p->name,
                        text);
    *value++ = '\0';
    const moe_opt *row = moe_opt_find(p->opts, text);
    if (row == NULL)
        return moe_fail(err, MOE_USAGE,
                        "%s has no option '%s' (see moegps list predictors)",
                        p->name, text);
    moe_error local = {0};
    if (moe_opt_parse(row, value, params, &local) == MOE_OK)
        return MOE_OK;
    return moe_fail(err, local.status, "%s: %s", p->name, local.text);
}

moe_status moe_parse_predictor(const char *text, void *at, moe_error *err)
{
    moe_parsed_predictor *out = at;
    char *copy = moe_strdup(text, err), *save = NULL;
    const char *name = copy != NULL ? strtok_r(copy, ":", &save) : NULL;
    const moe_predictor *p = moe_predictor_find(name != NULL ? name : "");
    void *params = NULL;
    if (copy != NULL && p == NULL)
        unknown(name != NULL ? name : "", err);
    if (p != NULL)
        params = moe_array_new(1, p->params_size, err);
    if (params != NULL && p->opts != NULL)
        moe_opt_defaults(p->opts, params);
    for (char *o = NULL; params != NULL && err->status == MOE_OK &&
                         (o = strtok_r(NULL, ":", &save)) != NULL;)
        set_option(p, params, o, err);
    free(copy);
    if (err->status != MOE_OK) {
        free(params);
        return err->status;
    }
    free(out->params);
    *out = (moe_parsed_predictor){p, params};
    return MOE_OK;
}

moe_status moe_parse_planner(const char *text, void *at, moe_error *err)
{
    const moe_planner *planner = moe_planner_find(text);
    if (planner == NULL)
        return moe_fail(err, MOE_USAGE,
                        "no planner '%s' (see moegps list planners)", text);
    *(const moe_planner **)at = planner;
    return MOE_OK;
}

moe_status moe_parse_split_name(const char *text, void *at, moe_error *err)
{
    const moe_split *split = moe_split_find(text);
    if (split == NULL)
        return moe_fail(err, MOE_USAGE,
                        "no split '%s' (see moegps list splits)", text);
    *(const moe_split **)at = split;
    return MOE_OK;
}

moe_status moe_parse_lookahead(const char *text, void *at, moe_error *err)
{
    return moe_lookahead_parse(text, at, err);
}

moe_status moe_parse_overhead(const char *text, void *at, moe_error *err)
{
    moe_advise_dials *dials = at;
    char *end = NULL;
    const double value = strtod(text, &end);
    const bool share = strcmp(end, "%") == 0;
    if (end == text || (*end != '\0' && !share) || !(value >= 0 && value < 1e6))
        return moe_fail(err, MOE_USAGE,
                        "'%s' is neither seconds per layer (20e-6) nor a share "
                        "of the baseline layer (10%%)",
                        text);
    dials->overhead_s = share ? 0.0 : value;
    dials->overhead_share = share ? value / 100 : 0.0;
    return MOE_OK;
}

moe_status moe_parsed_slots(int slots, int replicas, int gpus, int *slots_out,
                            moe_error *err)
{
    if (slots > 0 && replicas > 0)
        return moe_fail(err, MOE_USAGE,
                        "--slots is per GPU and --replicas of all GPUs: give "
                        "one of them");
    if (replicas % gpus != 0)
        return moe_fail(err, MOE_USAGE,
                        "--replicas: %d slots do not divide among %d GPUs "
                        "(%d and %d do)",
                        replicas, gpus, replicas / gpus * gpus,
                        (replicas / gpus + 1) * gpus);
    *slots_out = slots > 0 ? slots : replicas / gpus;
    return MOE_OK;
}

moe_status moe_parse_split(const char *text, void *out, moe_error *err)
{
    moe_parsed_split split = {.text = text, .how = moe_trace_split_default};
    const moe_status status = moe_trace_split_parse(text, &split.how, err);
    if (status == MOE_OK)
        *(moe_parsed_split *)out = split;
    return status;
}

/* The paper's error of Mixtral on MMLU: MoE-GPS, arXiv 2506.07366. */
static const double PAPER_ERROR = 0.018;

moe_status moe_parsed_measured(moe_advise_params *p, char *text, size_t size,
                               moe_error *err)
{
    const moe_advise_measured *m = moe_advise_measured_of(p->model->name);
    moe_advise_dials *d = &p->dials;
    const bool told = p->error >= 0 || p->trace != NULL || d->paper;
    if ((!told || d->accuracy < 0) && m == NULL)
        return moe_fail(err, MOE_USAGE,
                        "--%s is needed: nothing was measured of %s "
                        "(results/evaluate.md); moegps evaluate does it on a "
                        "trace",
                        told ? "accuracy" : "error", p->model->name);
    if (p->error < 0)
        p->error = d->paper    ? PAPER_ERROR
                   : m == NULL ? 0
                               : m->distribution_error;
    if (d->accuracy >= 0)
        return MOE_OK;
    d->accuracy = m->recall;
    if (d->token_error < 0)
        d->token_error = m->load_error;
    snprintf(text, size, "%s on %s (results/evaluate.md)", m->predictor,
             m->trace);
    p->measured = text;
    return MOE_OK;
}

moe_status moe_parsed_profile_sets(const moe_strings *set, moe_error *err)
{
    for (int i = 0; i < set->n; i++)
        if (!moe_profile_is_set(set->text[i]))
            return moe_fail(err, MOE_USAGE,
                            "--set: '%.80s' is not cluster.KEY=VALUE or "
                            "model.KEY=VALUE",
                            set->text[i]);
    return MOE_OK;
}

moe_status moe_parsed_sequences(moe_advise_params *p, moe_error *err)
{
    const moe_trace *t = p->trace;
    const bool decodes = p->serving.phase == MOE_SERVE_DECODE;
    const bool batches = t != NULL && t->kind == MOE_TRACE_LOADS &&
                         (t->order == MOE_ORDER_TIME || decodes);
    if (batches && decodes && p->seq > 1)
        return moe_fail(err, MOE_USAGE,
                        "--seq: %d in decode: a step has one new token of each "
                        "sequence (allowed: 1)",
                        p->seq);
    if (batches && decodes)
        p->seq = 1;
    if (batches && p->seq <= 0)
        return moe_fail(err, MOE_USAGE,
                        "--seq is needed: the steps of these loads are batches "
                        "of many sequences, whose length decides the time of "
                        "attention");
    if (batches) {
        p->seq_tokens = p->seq;
        p->seq = 0;
    }
    if (p->seq < 0)
        p->seq = decodes ? 1 : t != NULL ? 0 : 512;
    return MOE_OK;
}
