/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/placement.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/conf.h"
#include "moegps/ctx.h"
#include "moegps/jtree.h"
#include "moegps/mem.h"
#include "moegps/trace.h"

enum { MOST_SLOTS = 1 << 20, LONGEST_NUMBER = 9 };

moe_status moe_placement_init(moe_placement *p, int layers, int slots,
                              moe_error *err)
{
    moe_error local = {0};
    if (layers < 1 || layers > MOE_MAX_RECORDED_LAYERS || slots < 1 ||
        slots > MOST_SLOTS)
        return moe_fail(err, MOE_FORMAT,
                        "%d layers of %d slots: 1..%d and 1..%d are wanted",
                        layers, slots, MOE_MAX_RECORDED_LAYERS, MOST_SLOTS);
    const size_t n = (size_t)layers * (size_t)slots;
    *p = (moe_placement){.layers = layers, .slots = slots};
    p->layer_number =
        moe_array_new((size_t)layers, sizeof *p->layer_number, &local);
    p->expert = moe_array_new(n, sizeof *p->expert, &local);
    for (int l = 0; local.status == MOE_OK && l < layers; l++)
        p->layer_number[l] = l;
    for (size_t i = 0; local.status == MOE_OK && i < n; i++)
        p->expert[i] = -1;
    return moe_pass(err, &local);
}

void moe_placement_fini(moe_placement *p)
{
    free(p->layer_number);
    free(p->expert);
    free(p->quota);
    *p = (moe_placement){0};
}

const int16_t *moe_placement_row(const moe_placement *p, int number, int layer,
                                 int n_layers)
{
    int at = -1;
    if (!p->numbered)
        at = p->layers == n_layers ? layer : -1;
    for (int l = 0; p->numbered && l < p->layers; l++)
        at = p->layer_number[l] == number ? l : at;
    return at >= 0 && at < p->layers ? p->expert + (size_t)at * (size_t)p->slots
                                     : NULL;
}

/* What is being read. */
typedef struct {
    const char *path;
    moe_placement *out;
    moe_error *err;
} reading;

static bool failed(const reading *r)
{
    return r->err->status != MOE_OK;
}

static void set_slot(const reading *r, int layer, int slot, double x)
{
    if (!(x >= -1 && x < MOE_MAX_EXPERTS) || x != (double)(int)x) {
        moe_fail(r->err, MOE_FORMAT,
                 "%s: layer %d, slot %d: %g is not an expert of 0..%d, or -1",
                 r->path, r->out->layer_number[layer], slot, x,
                 MOE_MAX_EXPERTS - 1);
        return;
    }
    r->out->expert[(size_t)layer * (size_t)r->out->slots + (size_t)slot] =
        (int16_t)x;
    if ((int)x + 1 > r->out->experts)
        r->out->experts = (int)x + 1;
}

/* ---- JSON ---- */

static void take_map(const reading *r, const moe_jtree *map)
{
    if (map == NULL || map->type != MOE_JARRAY || map->rank != 2 ||
        map->dims[0] > MOE_MAX_RECORDED_LAYERS || map->dims[1] > MOST_SLOTS) {
        moe_fail(r->err, MOE_FORMAT,
                 "%s: the map is not [layers][slots] of experts", r->path);
        return;
    }
    if (moe_placement_init(r->out, (int)map->dims[0], (int)map->dims[1],
                           r->err) != MOE_OK)
        return;
    const size_t n = map->dims[0] * map->dims[1];
    for (size_t i = 0; i < n && !failed(r); i++)
        set_slot(r, (int)(i / map->dims[1]), (int)(i % map->dims[1]),
                 map->data[i]);
}

static int whole_of(const moe_jtree *t, const char *key, int most, int absent)
{
    const moe_jtree *x = moe_jtree_get(t, key);
    return x != NULL && x->type == MOE_JNUMBER && x->number >= 0 &&
                   x->number <= most && x->number == (double)(int)x->number
               ? (int)x->number
               : absent;
}

/* Shares of the replicas of an expert sum to one; they were written with 17
 * digits. */
static void check_quotas(const reading *r, int layer, double *sum)
{
    const size_t at = (size_t)layer * (size_t)r->out->slots;
    const int16_t *expert = r->out->expert + at;
    memset(sum, 0, (size_t)r->out->experts * sizeof *sum);
    for (int k = 0; k < r->out->slots; k++)
        if (expert[k] >= 0)
            sum[expert[k]] += (double)r->out->quota[at + (size_t)k];
    for (int k = 0; k < r->out->slots && !failed(r); k++)
        if (expert[k] >= 0 && fabs(sum[expert[k]] - 1) > 1e-5)
            moe_fail(r->err, MOE_FORMAT,
                     "%s: layer %d: the quotas of expert %d sum to %g, not 1",
                     r->path, r->out->layer_number[layer], expert[k],
                     sum[expert[k]]);
}

static void take_quotas(const reading *r, const moe_jtree *map)
{
    moe_placement *p = r->out;
    const size_t n = (size_t)p->layers * (size_t)p->slots;
    if (map->type != MOE_JARRAY || map->rank != 2 ||
        map->dims[0] != (size_t)p->layers || map->dims[1] != (size_t)p->slots) {
        moe_fail(r->err, MOE_FORMAT, "%s: quotas are not [%d][%d]", r->path,
                 p->layers, p->slots);
        return;
    }
    double *sum = moe_array_new((size_t)p->experts, sizeof *sum, r->err);
    p->quota = moe_array_new(n, sizeof *p->quota, r->err);
    for (size_t i = 0; i < n && !failed(r); i++) {
        p->quota[i] = (float)map->data[i];
        if (!(map->data[i] >= 0 && map->data[i] <= 1))
            moe_fail(r->err, MOE_FORMAT,
                     "%s: layer %d, slot %d: %g is no quota of 0..1", r->path,
                     p->layer_number[i / map->dims[1]], (int)(i % map->dims[1]),
                     map->data[i]);
    }
    for (int l = 0; l < p->layers && !failed(r); l++)
        check_quotas(r, l, sum);
    free(sum);
}

static void take_numbers(const reading *r, const moe_jtree *numbers)
{
    if (numbers->type != MOE_JARRAY || numbers->rank != 1 ||
        numbers->dims[0] != (size_t)r->out->layers) {
        moe_fail(r->err, MOE_FORMAT, "%s: layer_number is not [%d]", r->path,
                 r->out->layers);
        return;
    }
    r->out->numbered = true;
    for (int l = 0; l < r->out->layers && !failed(r); l++)
        if (numbers->data[l] >= 0 && numbers->data[l] < MOE_MAX_RECORDED_LAYERS)
            r->out->layer_number[l] = (int32_t)numbers->data[l];
        else
            moe_fail(r->err, MOE_FORMAT, "%s: %g is no layer number", r->path,
                     numbers->data[l]);
}

/* A plan of this program. */
static void take_own(const reading *r, const moe_jtree *t)
{
    const moe_jtree *numbers = moe_jtree_get(t, "layer_number");
    const moe_jtree *quotas = moe_jtree_get(t, "quotas");
    take_map(r, moe_jtree_get(t, "physical_to_logical"));
    if (failed(r))
        return;
    const int seen = r->out->experts;
    r->out->experts = whole_of(t, "experts", MOE_MAX_EXPERTS, seen);
    if (r->out->experts < seen) {
        moe_fail(r->err, MOE_FORMAT, "%s: has expert %d, but says %d experts",
                 r->path, seen - 1, r->out->experts);
        return;
    }
    r->out->gpus = whole_of(t, "gpus", MOST_SLOTS, 0);
    if (numbers != NULL)
        take_numbers(r, numbers);
    if (quotas != NULL && !failed(r))
        take_quotas(r, quotas);
}

/* Rows are all layers of the model. */
static void take_sglang(const reading *r, const moe_jtree *t)
{
    take_map(r, moe_jtree_get(t, "physical_to_logical_map"));
    if (!failed(r))
        r->out->numbered = true;
}

/* Rows are the MoE layers of the model. */
static void take_vllm(const reading *r, const moe_jtree *t, const char *model)
{
    const moe_jtree *maps = moe_jtree_get(t, "model_maps");
    const moe_jtree *found = model != NULL ? moe_jtree_get(maps, model) : NULL;
    if (maps->type != MOE_JOBJECT) {
        moe_fail(r->err, MOE_FORMAT, "%s: model_maps is no object", r->path);
        return;
    }
    if (found == NULL && maps->n == 1)
        found = &maps->item[0];
    if (found == NULL) {
        moe_fail(r->err, MOE_FORMAT, "%s: has the maps of %zu models%s%.60s",
                 r->path, maps->n, maps->n > 0 ? ", the first is " : "",
                 maps->n > 0 ? maps->key[0] : "");
        return;
    }
    take_map(r, moe_jtree_get(found, "physical_to_logical_map"));
}

static const moe_jtree *list_of(const moe_jtree *t, const char *key)
{
    const moe_jtree *x = moe_jtree_get(t, key);
    return x != NULL && x->type == MOE_JLIST && x->n > 0 ? x : NULL;
}

/* Experts of a GPU. */
static const moe_jtree *experts_of(const moe_jtree *device)
{
    const moe_jtree *x = moe_jtree_get(device, "device_expert");
    return x != NULL && x->type == MOE_JARRAY && x->rank == 1 ? x : NULL;
}

static void take_ascend_layer(const reading *r, const moe_jtree *layer, int l)
{
    const moe_jtree *devices = list_of(layer, "device_list");
    const int per = r->out->slots / r->out->gpus;
    r->out->layer_number[l] =
        whole_of(layer, "layer_id", MOE_MAX_RECORDED_LAYERS - 1, -1);
    if (devices == NULL || devices->n != (size_t)r->out->gpus ||
        r->out->layer_number[l] < 0 ||
        (l > 0 && r->out->layer_number[l] <= r->out->layer_number[l - 1])) {
        moe_fail(r->err, MOE_FORMAT,
                 "%s: layer %d of the list has not %d devices, or its layer_id "
                 "does not rise",
                 r->path, l, r->out->gpus);
        return;
    }
    for (int i = 0; i < r->out->gpus && !failed(r); i++) {
        const moe_jtree *held = experts_of(&devices->item[i]);
        const int gpu =
            whole_of(&devices->item[i], "device_id", r->out->gpus - 1, -1);
        if (held == NULL || held->dims[0] != (size_t)per || gpu < 0) {
            moe_fail(r->err, MOE_FORMAT,
                     "%s: layer_id %d: device %d has not %d experts", r->path,
                     r->out->layer_number[l], i, per);
            return;
        }
        for (int k = 0; k < per; k++)
            set_slot(r, l, gpu * per + k, held->data[k]);
    }
}

/* Layers are numbered among the MoE layers. */
static void take_ascend(const reading *r, const moe_jtree *t)
{
    const moe_jtree *layers = list_of(t, "layer_list");
    const moe_jtree *devices =
        layers != NULL ? list_of(&layers->item[0], "device_list") : NULL;
    const moe_jtree *held =
        devices != NULL ? experts_of(&devices->item[0]) : NULL;
    if (held == NULL || layers->n > MOE_MAX_RECORDED_LAYERS ||
        held->dims[0] > MOST_SLOTS || devices->n > MOST_SLOTS / held->dims[0]) {
        moe_fail(r->err, MOE_FORMAT,
                 "%s: layer_list has no devices with experts", r->path);
        return;
    }
    if (moe_placement_init(r->out, (int)layers->n,
                           (int)(devices->n * held->dims[0]), r->err) != MOE_OK)
        return;
    r->out->gpus = (int)devices->n;
    for (int l = 0; l < r->out->layers && !failed(r); l++)
        take_ascend_layer(r, &layers->item[l], l);
}

static void take_json(const reading *r, const moe_jtree *t, const char *model)
{
    if (moe_jtree_get(t, "physical_to_logical") != NULL)
        take_own(r, t);
    else if (moe_jtree_get(t, "physical_to_logical_map") != NULL)
        take_sglang(r, t);
    else if (moe_jtree_get(t, "model_maps") != NULL)
        take_vllm(r, t, model);
    else if (moe_jtree_get(t, "layer_list") != NULL)
        take_ascend(r, t);
    else
        moe_fail(r->err, MOE_FORMAT,
                 "%s: is no placement: it has none of physical_to_logical, "
                 "physical_to_logical_map, model_maps and layer_list",
                 r->path);
}

static void read_json(const reading *r, const char *model)
{
    moe_jreader *reader = NULL;
    moe_jtree t = {0};
    bool more = false;
    if (moe_jreader_open(r->path, &reader, r->err) == MOE_OK &&
        moe_jreader_next(reader, &t, &more, r->err) == MOE_OK)
        take_json(r, &t, model);
    moe_jtree_fini(&t);
    moe_jreader_close(reader);
}

/* ---- YAML ---- */

/* @return a whole number; -2: the text is none. */
static int number_of(const char *text)
{
    if (text == NULL)
        return -2;
    if (strcmp(text, "-1") == 0)
        return -1;
    size_t n = strspn(text, "0123456789");
    return n == 0 || n > LONGEST_NUMBER || text[n] != '\0'
               ? -2
               : (int)strtol(text, NULL, 10);
}

static void take_trtllm_layer(const reading *r, const moe_conf *list, int l)
{
    r->out->layer_number[l] = number_of(list->key);
    if (list->kind != MOE_CONF_LIST ||
        list->n_children != (size_t)r->out->slots ||
        r->out->layer_number[l] < 0 ||
        (l > 0 && r->out->layer_number[l] <= r->out->layer_number[l - 1])) {
        moe_fail(r->err, MOE_FORMAT,
                 "%s:%zu: layer %.40s is not a list of %d slots, or does not "
                 "rise",
                 r->path, list->line, list->key, r->out->slots);
        return;
    }
    for (int k = 0; k < r->out->slots && !failed(r); k++)
        set_slot(r, l, k, number_of(list->child[k]->text));
}

static void read_yaml(const reading *r)
{
    char *text = NULL;
    moe_conf *root = NULL;
    if (moe_read_text(r->path, &text, r->err) == MOE_OK)
        moe_conf_parse(text, r->path, &root, r->err);
    const moe_conf *map = moe_conf_get(root, "initial_global_assignments");
    if (!failed(r) &&
        (map == NULL || map->kind != MOE_CONF_MAP || map->n_children == 0 ||
         map->n_children > MOE_MAX_RECORDED_LAYERS))
        moe_fail(r->err, MOE_FORMAT,
                 "%s: is no placement: it has no initial_global_assignments",
                 r->path);
    if (!failed(r) &&
        moe_placement_init(r->out, (int)map->n_children,
                           (int)map->child[0]->n_children, r->err) == MOE_OK) {
        r->out->numbered = true;
        for (int l = 0; l < r->out->layers && !failed(r); l++)
            take_trtllm_layer(r, map->child[l], l);
    }
    moe_conf_free(root);
    free(text);
}

/* ---- the file ---- */

static bool is_json(const char *path)
{
    int c = EOF;
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return true; /* the reader says why */
    do
        c = fgetc(file);
    while (c == 0xef || c == 0xbb || c == 0xbf || (c != EOF && isspace(c)));
    fclose(file);
    return c == '{' || c == '[';
}

moe_status moe_placement_read(const char *path, const char *model,
                              moe_placement *out, moe_error *err)
{
    moe_error local = {0};
    moe_placement p = {0};
    const reading r = {path, &p, &local};
    if (is_json(path))
        read_json(&r, model);
    else
        read_yaml(&r);
    if (local.status == MOE_OK) {
        *out = p;
        return MOE_OK;
    }
    moe_placement_fini(&p);
    return moe_pass(err, &local);
}
