/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/experiment.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiment_strategies.h"
#include "moegps/conf.h"
#include "moegps/profile_set.h"

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
        moe_strategies_parse(x, root, err) != MOE_OK)
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
            if (!moe_profile_is_set(sets[i]))
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
