/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/conf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "moegps/mem.h"

enum { MAX_DEPTH = 16 }; /* levels of nesting; ours need three */

void moe_conf_free(moe_conf *node)
{
    if (node == NULL)
        return;
    for (size_t i = 0; i < node->n_children; i++)
        moe_conf_free(node->child[i]);
    free(node->child);
    free(node->key);
    free(node->text);
    free(node->origin);
    free(node);
}

static moe_status fail_at(const char *origin, size_t line, moe_error *err,
                          const char *message)
{
    if (line == 0)
        return moe_fail(err, MOE_USAGE, "--set: %s", message);
    return moe_fail(err, MOE_USAGE, "%s:%zu: %s", origin, line, message);
}

moe_status moe_conf_fail(const moe_conf *root, const moe_conf *node,
                         moe_error *err, const char *fmt, ...)
{
    char message[MOE_ERROR_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    return fail_at(root->origin, node != NULL ? node->line : root->line, err,
                   message);
}

static moe_conf *new_node(moe_conf_kind kind, size_t line, moe_error *err)
{
    moe_conf *node = moe_array_new(1, sizeof *node, err);
    if (node != NULL) {
        node->kind = kind;
        node->line = line;
    }
    return node;
}

/* Takes ownership of the child, also on failure. */
static moe_status add_child(moe_conf *parent, moe_conf *child, moe_error *err)
{
    moe_conf **list =
        realloc(parent->child, (parent->n_children + 1) * sizeof *list);
    if (list == NULL) {
        moe_conf_free(child);
        return moe_fail(err, MOE_NOMEM, "out of memory");
    }
    parent->child = list;
    list[parent->n_children++] = child;
    return MOE_OK;
}

/* What a document is built with. */
typedef struct {
    yaml_document_t doc;
    const char *origin;
    bool from_set; /* lines are meaningless: 0 */
    moe_error *err;
} builder;

static moe_conf *build(builder *b, int index, int depth);

static size_t line_of(const builder *b, const yaml_node_t *node)
{
    return b->from_set ? 0 : node->start_mark.line + 1;
}

static bool build_map(builder *b, const yaml_node_t *node, moe_conf *map,
                      int depth)
{
    const yaml_node_pair_t *p = node->data.mapping.pairs.start;
    for (; p < node->data.mapping.pairs.top; p++) {
        const yaml_node_t *k = yaml_document_get_node(&b->doc, p->key);
        if (k->type != YAML_SCALAR_NODE) {
            fail_at(b->origin, line_of(b, k), b->err, "a key must be a word");
            return false;
        }
        const char *key = (const char *)k->data.scalar.value;
        if (moe_conf_get(map, key) != NULL) {
            char message[128];
            snprintf(message, sizeof message, "key '%.64s' is given twice",
                     key);
            fail_at(b->origin, line_of(b, k), b->err, message);
            return false;
        }
        moe_conf *child = build(b, p->value, depth + 1);
        if (child == NULL)
            return false;
        child->line = line_of(b, k);
        child->key = moe_strdup(key, b->err);
        if (add_child(map, child, b->err) != MOE_OK || child->key == NULL)
            return false;
    }
    return true;
}

static bool build_list(builder *b, const yaml_node_t *node, moe_conf *list,
                       int depth)
{
    const yaml_node_item_t *i = node->data.sequence.items.start;
    for (; i < node->data.sequence.items.top; i++) {
        moe_conf *child = build(b, *i, depth + 1);
        if (child == NULL || add_child(list, child, b->err) != MOE_OK)
            return false;
    }
    return true;
}

/* @return the tree below a document node, or NULL with err set. */
static moe_conf *build(builder *b, int index, int depth)
{
    const yaml_node_t *node = yaml_document_get_node(&b->doc, index);
    size_t line = line_of(b, node);
    if (depth > MAX_DEPTH) { /* also ends anchors that contain themselves */
        fail_at(b->origin, line, b->err, "nested too deeply");
        return NULL;
    }
    moe_conf_kind kind = node->type == YAML_MAPPING_NODE    ? MOE_CONF_MAP
                         : node->type == YAML_SEQUENCE_NODE ? MOE_CONF_LIST
                                                            : MOE_CONF_SCALAR;
    moe_conf *out = new_node(kind, line, b->err);
    if (out == NULL)
        return NULL;
    bool ok = true;
    if (kind == MOE_CONF_MAP)
        ok = build_map(b, node, out, depth);
    else if (kind == MOE_CONF_LIST)
        ok = build_list(b, node, out, depth);
    else {
        out->text = moe_strdup((const char *)node->data.scalar.value, b->err);
        ok = out->text != NULL;
    }
    if (!ok) {
        moe_conf_free(out);
        return NULL;
    }
    return out;
}

/* Parse any YAML value. @return NULL with err set on failure. */
static moe_conf *parse_value(const char *text, const char *origin,
                             bool from_set, moe_error *err)
{
    builder b = {.origin = origin, .from_set = from_set, .err = err};
    yaml_parser_t parser;
    moe_conf *root = NULL;
    if (!yaml_parser_initialize(&parser)) {
        moe_fail(err, MOE_NOMEM, "out of memory");
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text,
                                 strlen(text));
    if (!yaml_parser_load(&parser, &b.doc)) {
        char message[256];
        snprintf(message, sizeof message, "not YAML: %s%s%s",
                 parser.problem != NULL ? parser.problem : "unreadable",
                 parser.context != NULL ? " " : "",
                 parser.context != NULL ? parser.context : "");
        fail_at(origin, from_set ? 0 : parser.problem_mark.line + 1, err,
                message);
        goto out;
    }
    if (yaml_document_get_root_node(&b.doc) != NULL)
        root = build(&b, 1, 0);
    else
        fail_at(origin, from_set ? 0 : 1, err, "is empty");
    yaml_document_delete(&b.doc);
out:
    yaml_parser_delete(&parser);
    return root;
}

moe_status moe_conf_parse(const char *text, const char *origin,
                          moe_conf **root_out, moe_error *err)
{
    moe_error local = {0};
    moe_conf *root = parse_value(text, origin, false, &local);
    if (root != NULL && root->kind != MOE_CONF_MAP)
        fail_at(origin, root->line, &local, "expected `key: value` lines");
    if (root != NULL)
        root->origin = moe_strdup(origin, &local);
    if (local.status != MOE_OK) {
        moe_conf_free(root);
        return moe_fail(err, local.status, "%s", local.text);
    }
    *root_out = root;
    return MOE_OK;
}

const moe_conf *moe_conf_get(const moe_conf *map, const char *key)
{
    for (size_t i = 0; map != NULL && i < map->n_children; i++)
        if (map->child[i]->key != NULL && strcmp(map->child[i]->key, key) == 0)
            return map->child[i];
    return NULL;
}

/* A list item by index or by the value of its `name`. */
static moe_conf *find_item(const moe_conf *list, const char *word)
{
    char *end = NULL;
    unsigned long index = strtoul(word, &end, 10);
    if (end != word && *end == '\0')
        return index < list->n_children ? list->child[index] : NULL;
    for (size_t i = 0; i < list->n_children; i++) {
        const moe_conf *name = moe_conf_get(list->child[i], "name");
        if (name != NULL && name->text != NULL && strcmp(name->text, word) == 0)
            return list->child[i];
    }
    return NULL;
}

/* Step from `at` to the child that `word` names; a map grows one. */
static moe_conf *descend(moe_conf *at, const char *word, const char *assignment,
                         moe_error *err)
{
    if (at->kind == MOE_CONF_LIST) {
        moe_conf *item = find_item(at, word);
        if (item == NULL)
            moe_fail(err, MOE_USAGE, "--set %s: no item '%s' in '%s'",
                     assignment, word, at->key != NULL ? at->key : "list");
        return item;
    }
    if (at->kind == MOE_CONF_SCALAR) {
        moe_fail(err, MOE_USAGE, "--set %s: '%s' is a value, not a map",
                 assignment, at->key != NULL ? at->key : "item");
        return NULL;
    }
    for (size_t i = 0; i < at->n_children; i++)
        if (strcmp(at->child[i]->key, word) == 0)
            return at->child[i];
    moe_conf *child = new_node(MOE_CONF_MAP, 0, err);
    if (child == NULL)
        return NULL;
    child->key = moe_strdup(word, err);
    return add_child(at, child, err) == MOE_OK && child->key != NULL ? child
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
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment)
        return moe_fail(err, MOE_USAGE,
                        "--set '%s': expected key=value, as in "
                        "workload.batch=4",
                        assignment);
    char path[256];
    size_t len = (size_t)(equals - assignment);
    if (len >= sizeof path)
        return moe_fail(err, MOE_USAGE, "--set: key of %zu characters", len);
    memcpy(path, assignment, len);
    path[len] = '\0';
    moe_error local = {0};
    moe_conf *at = root, *value = NULL;
    char *rest = path, *word;
    while (at != NULL && (word = strsep(&rest, ".")) != NULL)
        at = descend(at, word, assignment, &local);
    if (at != NULL)
        value = parse_value(equals + 1, "--set", true, &local);
    if (value != NULL)
        replace(at, value);
    if (local.status != MOE_OK)
        return moe_fail(err, local.status, "%s", local.text);
    return MOE_OK;
}

static const moe_opt *find_row(const moe_conf_target *targets, size_t n,
                               const char *key, void **settings)
{
    for (size_t t = 0; t < n; t++) {
        const moe_opt *row = moe_opt_find(targets[t].rows, key);
        if (row != NULL) {
            *settings = targets[t].settings;
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

static void append(char *text, size_t size, const char *word)
{
    size_t len = strlen(text);
    snprintf(text + len, size - len, "%s%s", len > 0 ? ", " : "", word);
}

static moe_status unknown_key(const moe_conf *root, const moe_conf *node,
                              const char *where, const moe_conf_target *targets,
                              size_t n_targets, const char *const *also,
                              moe_error *err)
{
    char known[384] = "";
    for (; also != NULL && *also != NULL; also++)
        append(known, sizeof known, *also);
    for (size_t t = 0; t < n_targets; t++)
        for (const moe_opt *r = targets[t].rows; r != NULL && r->key != NULL;
             r++)
            append(known, sizeof known, r->key);
    return moe_conf_fail(root, node, err, "%s: unknown key '%s' (allowed: %s)",
                         where, node->key, known);
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

moe_status moe_conf_read(const moe_conf *root, const moe_conf *map,
                         const char *where, const moe_conf_target *targets,
                         size_t n_targets, const char *const *also,
                         moe_error *err)
{
    for (size_t t = 0; t < n_targets; t++)
        moe_opt_defaults(targets[t].rows, targets[t].settings);
    if (map != NULL && map->kind != MOE_CONF_MAP)
        return moe_conf_fail(root, map, err, "%s: expected `key: value` lines",
                             where);
    for (size_t i = 0; map != NULL && i < map->n_children; i++) {
        const moe_conf *node = map->child[i];
        void *settings = NULL;
        const moe_opt *row = find_row(targets, n_targets, node->key, &settings);
        moe_status s = MOE_OK;
        if (row != NULL)
            s = read_key(root, node, where, row, settings, err);
        else if (!in_list(also, node->key))
            s = unknown_key(root, node, where, targets, n_targets, also, err);
        if (s != MOE_OK)
            return s;
    }
    for (size_t t = 0; t < n_targets; t++)
        for (const moe_opt *r = targets[t].rows; r != NULL && r->key != NULL;
             r++)
            if (r->initial == NULL && moe_conf_get(map, r->key) == NULL) {
                char allowed[256];
                moe_opt_allowed(r, allowed, sizeof allowed);
                return moe_conf_fail(root, map, err,
                                     "%s: key '%s' is missing (%s)", where,
                                     r->key, allowed);
            }
    return MOE_OK;
}
