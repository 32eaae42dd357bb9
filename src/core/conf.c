/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf_internal.h"
#include "moegps/mem.h"
#include "moegps/text.h"

moe_status moe_conf_fail(const moe_conf *root, const moe_conf *node,
                         moe_error *err, const char *fmt, ...)
{
    char message[MOE_ERROR_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    size_t line = node != NULL ? node->line : root->line;
    return moe_conf_fail_at(line > 0 ? root->origin : "--set", line, err,
                            message);
}

moe_status moe_conf_parse(const char *text, const char *origin,
                          moe_conf **root_out, moe_error *err)
{
    moe_error local = {0};
    moe_conf *root = moe_conf_parse_value(text, origin, false, &local);
    if (root != NULL && root->kind != MOE_CONF_MAP)
        moe_conf_fail_at(origin, root->line, &local,
                         "expected `key: value` lines");
    if (root != NULL)
        root->origin = moe_strdup(origin, &local);
    if (local.status != MOE_OK) {
        moe_conf_free(root);
        return moe_pass(err, &local);
    }
    *root_out = root;
    return MOE_OK;
}

/* A list item by index or by the value of its `name`. */
static moe_conf *find_item(const moe_conf *list, const char *word)
{
    if (*word != '\0' && word[strspn(word, "0123456789")] == '\0') {
        unsigned long index = strtoul(word, NULL, 10); /* may saturate */
        return index < list->n_children ? list->child[index] : NULL;
    }
    for (size_t i = 0; i < list->n_children; i++) {
        const moe_conf *name = moe_conf_get(list->child[i], "name");
        if (name != NULL && name->text != NULL && strcmp(name->text, word) == 0)
            return list->child[i];
    }
    return NULL;
}

/* Step from `at` to the child that `word` names; a map grows one. */
static moe_conf *descend(moe_conf *at, const char *word, const char *origin,
                         moe_error *err)
{
    if (at->kind == MOE_CONF_LIST) {
        moe_conf *item = find_item(at, word);
        if (item == NULL)
            moe_fail(err, MOE_USAGE, "%s: no item '%.64s' in '%.64s'", origin,
                     word, at->key != NULL ? at->key : "list");
        return item;
    }
    if (at->kind == MOE_CONF_SCALAR) {
        moe_fail(err, MOE_USAGE, "%s: '%.64s' is a value, not a map", origin,
                 at->key != NULL ? at->key : "item");
        return NULL;
    }
    for (size_t i = 0; i < at->n_children; i++)
        if (strcmp(at->child[i]->key, word) == 0)
            return at->child[i];
    moe_conf *child = moe_conf_new_node(MOE_CONF_MAP, 0, err);
    if (child == NULL)
        return NULL;
    child->key = moe_strdup(word, err);
    return moe_conf_add_child(at, child, err) == MOE_OK && child->key != NULL
               ? child
               : NULL;
}

/* Give `at` the kind, value and children of `value`, which is consumed. */
static void replace(moe_conf *at, moe_conf *value)
{
    for (size_t i = 0; i < at->n_children; i++)
        moe_conf_free(at->child[i]);
    free(at->child);
    free(at->text);
    at->kind = value->kind;
    at->text = value->text;
    at->child = value->child;
    at->n_children = value->n_children;
    at->line = 0;
    free(value->key);
    free(value);
}

moe_status moe_conf_set(moe_conf *root, const char *assignment, moe_error *err)
{
    char path[256], origin[MOE_CONF_ORIGIN];
    snprintf(origin, sizeof origin, "--set '%.64s%s'", assignment,
             strlen(assignment) > 64 ? "..." : "");
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment)
        return moe_fail(err, MOE_USAGE,
                        "%s: expected key=value, as in workload.batch=4",
                        origin);
    size_t len = (size_t)(equals - assignment);
    if (len >= sizeof path)
        return moe_fail(err, MOE_USAGE, "%s: key of %zu characters", origin,
                        len);
    memcpy(path, assignment, len);
    path[len] = '\0';
    if (path[0] == '.' || path[len - 1] == '.' || strstr(path, "..") != NULL)
        return moe_fail(err, MOE_USAGE, "%s: a key is empty", origin);
    moe_error local = {0};
    moe_conf *value = moe_conf_parse_value(equals + 1, origin, true, &local);
    moe_conf *at = value != NULL ? root : NULL;
    char *rest = path, *word;
    while (at != NULL && (word = strsep(&rest, ".")) != NULL)
        at = descend(at, word, origin, &local);
    if (local.status != MOE_OK) {
        moe_conf_free(value);
        return moe_pass(err, &local);
    }
    replace(at, value);
    return MOE_OK;
}

static const moe_opt *find_row(const moe_conf_schema *schema, const char *key,
                               void **settings)
{
    for (size_t t = 0; t < schema->n_targets; t++) {
        const moe_opt *row = moe_opt_find(schema->targets[t].rows, key);
        if (row != NULL) {
            *settings = schema->targets[t].settings;
            return row;
        }
    }
    return NULL;
}

static bool in_list(const char *const *list, const char *key)
{
    for (; list != NULL && *list != NULL; list++)
        if (strcmp(*list, key) == 0)
            return true;
    return false;
}

static moe_status unknown_key(const moe_conf *root, const moe_conf *node,
                              const moe_conf_schema *schema, moe_error *err)
{
    char known[320] = "", hint[64] = "";
    moe_nearest meant = {.word = node->key};
    for (const char *const *k = schema->also; k != NULL && *k != NULL; k++) {
        moe_text_add(known, sizeof known, ", ", "%s", *k);
        moe_nearest_try(&meant, *k);
    }
    for (size_t t = 0; t < schema->n_targets; t++)
        for (const moe_opt *r = schema->targets[t].rows;
             r != NULL && r->key != NULL; r++) {
            moe_text_add(known, sizeof known, ", ", "%s", r->key);
            moe_nearest_try(&meant, r->key);
        }
    if (meant.name != NULL)
        snprintf(hint, sizeof hint, "; did you mean %s?", meant.name);
    return moe_conf_fail(root, node, err,
                         "%s: unknown key '%.64s'%s (allowed: %s)",
                         schema->where, node->key, hint, known);
}

static moe_status read_key(const moe_conf *root, const moe_conf *node,
                           const char *where, const moe_opt *row,
                           void *settings, moe_error *err)
{
    char allowed[256];
    moe_opt_allowed(row, allowed, sizeof allowed);
    if (node->kind != MOE_CONF_SCALAR)
        return moe_conf_fail(
            root, node, err, "%s.%s: a %s where %s belongs", where, row->key,
            node->kind == MOE_CONF_MAP ? "map" : "list", allowed);
    moe_error local = {0};
    if (moe_opt_parse(row, node->text, settings, &local) == MOE_OK)
        return MOE_OK;
    return moe_conf_fail(root, node, err, "%s.%s", where, local.text);
}

/* Every required option is there; else all that are missing are named: one with
 * what it may be. */
static moe_status check_required(const moe_conf *root, const moe_conf *map,
                                 const moe_conf_schema *schema, moe_error *err)
{
    char missing[400] = "", allowed[256] = "";
    int n = 0;
    for (size_t t = 0; t < schema->n_targets; t++)
        for (const moe_opt *r = schema->targets[t].rows;
             r != NULL && r->key != NULL; r++)
            if (r->initial == NULL && moe_conf_get(map, r->key) == NULL) {
                moe_opt_allowed(r, allowed, sizeof allowed);
                moe_text_add(missing, sizeof missing, ", ", "'%s'", r->key);
                n++;
            }
    if (n == 0)
        return MOE_OK;
    if (n > 1)
        return moe_conf_fail(root, map, err, "%s: keys %s are missing",
                             schema->where, missing);
    return moe_conf_fail(root, map, err, "%s: key %s is missing (%s)",
                         schema->where, missing, allowed);
}

moe_status moe_conf_read(const moe_conf *root, const moe_conf *map,
                         const moe_conf_schema *schema, moe_error *err)
{
    for (size_t t = 0; t < schema->n_targets; t++)
        moe_opt_defaults(schema->targets[t].rows, schema->targets[t].settings);
    if (map != NULL && map->kind != MOE_CONF_MAP)
        return moe_conf_fail(root, map, err, "%s: expected `key: value` lines",
                             schema->where);
    for (size_t i = 0; map != NULL && i < map->n_children; i++) {
        const moe_conf *node = map->child[i];
        void *settings = NULL;
        const moe_opt *row = find_row(schema, node->key, &settings);
        moe_status s = MOE_OK;
        if (row != NULL)
            s = read_key(root, node, schema->where, row, settings, err);
        else if (!in_list(schema->also, node->key))
            s = unknown_key(root, node, schema, err);
        if (s != MOE_OK)
            return s;
    }
    return check_required(root, map, schema, err);
}
