/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/conf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "moegps/mem.h"
#include "moegps/plain.h"
#include "moegps/text.h"

enum {
    MAX_DEPTH = 16,  /* levels of nesting; ours need three */
    MAX_KEYS = 1000, /* of one map: each is compared with all before */
    MAX_ORIGIN = 128 /* bytes of a file name in a message */
};

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

/* Line 0: the origin is a --set, which has no lines. Of a long path the end is
 * shown, so that the complaint itself fits. */
static moe_status fail_at(const char *origin, size_t line, moe_error *err,
                          const char *message)
{
    size_t len = strlen(origin);
    const char *tail = len > MAX_ORIGIN ? origin + len - MAX_ORIGIN : origin;
    const char *cut = len > MAX_ORIGIN ? "..." : "";
    if (line == 0)
        return moe_fail(err, MOE_USAGE, "%s: %s", origin, message);
    return moe_fail(err, MOE_USAGE, "%s%s:%zu: %s", cut, tail, line, message);
}

moe_status moe_conf_fail(const moe_conf *root, const moe_conf *node,
                         moe_error *err, const char *fmt, ...)
{
    char message[MOE_ERROR_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    size_t line = node != NULL ? node->line : root->line;
    return fail_at(line > 0 ? root->origin : "--set", line, err, message);
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

/* What a tree is built with. It is built from events, not from libyaml's
 * document: that hides anchors, and an alias of an alias of an alias would
 * grow without end. */
typedef struct {
    yaml_parser_t parser;
    const char *text, *origin;
    bool from_set; /* lines are meaningless: 0 */
    moe_error *err;
} builder;

static moe_conf *build(builder *b, yaml_event_t *event, int depth);

static size_t line_of(const builder *b, yaml_mark_t mark)
{
    return b->from_set ? 0 : mark.line + 1;
}

/* Where the parser stopped. Of bytes that are not text it tells the offset. */
static size_t line_of_problem(const builder *b)
{
    const yaml_parser_t *p = &b->parser;
    if (p->error != YAML_READER_ERROR)
        return line_of(b, p->problem_mark);
    yaml_mark_t mark = {0, 0, 0};
    for (size_t i = 0; i < p->problem_offset && b->text[i] != '\0'; i++)
        mark.line += b->text[i] == '\n';
    return line_of(b, mark);
}

/* @return the next event, to be deleted; false with err set. */
static bool next_event(builder *b, yaml_event_t *event)
{
    const yaml_parser_t *p = &b->parser;
    if (yaml_parser_parse(&b->parser, event))
        return true;
    char message[256];
    snprintf(message, sizeof message, "not YAML: %s%s%s",
             p->problem != NULL ? p->problem : "unreadable",
             p->context != NULL ? " " : "",
             p->context != NULL ? p->context : "");
    if (p->error == YAML_MEMORY_ERROR)
        moe_fail(b->err, MOE_NOMEM, "out of memory");
    else
        fail_at(b->origin, line_of_problem(b), b->err, message);
    return false;
}

/* @return true, with err set, for a node that has or is a reference. */
static bool refuse_anchor(const builder *b, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    if (event->type == YAML_SCALAR_EVENT)
        anchor = event->data.scalar.anchor;
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        anchor = event->data.sequence_start.anchor;
    else if (event->type == YAML_MAPPING_START_EVENT)
        anchor = event->data.mapping_start.anchor;
    else if (event->type == YAML_ALIAS_EVENT)
        anchor = event->data.alias.anchor;
    if (anchor != NULL)
        fail_at(b->origin, line_of(b, event->start_mark), b->err,
                "anchors and aliases are not allowed");
    return anchor != NULL;
}

/* The text of a scalar. YAML can spell control characters: a C string ends at
 * "\0", and a terminal obeys "\e". */
static char *scalar_text(const builder *b, const yaml_event_t *event)
{
    const char *text = (const char *)event->data.scalar.value;
    char *copy = moe_strdup(text, b->err);
    moe_plain_clean(copy, true);
    if (copy != NULL && strlen(text) == event->data.scalar.length &&
        strcmp(copy, text) == 0)
        return copy;
    free(copy);
    fail_at(b->origin, line_of(b, event->start_mark), b->err,
            strlen(text) == event->data.scalar.length
                ? "a control character in a text"
                : "a zero character in a text");
    return NULL;
}

/* @return the key that an event holds, on the heap; NULL with err set. */
static char *new_key(const builder *b, const yaml_event_t *event,
                     const moe_conf *map)
{
    const size_t line = line_of(b, event->start_mark);
    if (refuse_anchor(b, event))
        return NULL;
    if (event->type != YAML_SCALAR_EVENT) {
        fail_at(b->origin, line, b->err, "a key must be a word");
        return NULL;
    }
    char *key = scalar_text(b, event);
    if (key != NULL && moe_conf_get(map, key) != NULL) {
        char message[128];
        snprintf(message, sizeof message, "key '%.64s' is given twice", key);
        fail_at(b->origin, line, b->err, message);
        free(key);
        return NULL;
    }
    return key;
}

static bool build_map(builder *b, moe_conf *map, int depth)
{
    yaml_event_t event;
    while (next_event(b, &event)) {
        const bool end = event.type == YAML_MAPPING_END_EVENT;
        const size_t line = line_of(b, event.start_mark);
        char *key = end ? NULL : new_key(b, &event, map);
        yaml_event_delete(&event);
        if (key == NULL)
            return end;
        if (map->n_children == MAX_KEYS)
            fail_at(b->origin, line, b->err, "more than 1000 keys");
        moe_conf *child = b->err->status == MOE_OK && next_event(b, &event)
                              ? build(b, &event, depth + 1)
                              : NULL;
        if (child == NULL) {
            free(key);
            return false;
        }
        child->key = key;
        child->line = line;
        if (add_child(map, child, b->err) != MOE_OK)
            return false;
    }
    return false;
}

static bool build_list(builder *b, moe_conf *list, int depth)
{
    yaml_event_t event;
    while (next_event(b, &event)) {
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return true;
        }
        moe_conf *child = build(b, &event, depth + 1);
        if (child == NULL || add_child(list, child, b->err) != MOE_OK)
            return false;
    }
    return false;
}

/* @return the tree that starts with this event, which is consumed; NULL with
 * err set. */
static moe_conf *build(builder *b, yaml_event_t *event, int depth)
{
    const size_t line = line_of(b, event->start_mark);
    const yaml_event_type_t type = event->type;
    const moe_conf_kind kind = type == YAML_MAPPING_START_EVENT ? MOE_CONF_MAP
                               : type == YAML_SEQUENCE_START_EVENT
                                   ? MOE_CONF_LIST
                                   : MOE_CONF_SCALAR;
    moe_conf *out = NULL;
    bool ok = false;
    if (depth > MAX_DEPTH)
        fail_at(b->origin, line, b->err, "nested too deeply");
    else if (!refuse_anchor(b, event))
        out = new_node(kind, line, b->err);
    if (out != NULL && kind == MOE_CONF_SCALAR) {
        out->text = scalar_text(b, event);
        ok = out->text != NULL;
    }
    yaml_event_delete(event);
    if (out != NULL && kind == MOE_CONF_MAP)
        ok = build_map(b, out, depth);
    else if (out != NULL && kind == MOE_CONF_LIST)
        ok = build_list(b, out, depth);
    if (!ok) {
        moe_conf_free(out);
        return NULL;
    }
    return out;
}

/* The one document of a stream; what follows it must not be lost. */
static moe_conf *build_stream(builder *b)
{
    yaml_event_t event;
    moe_conf *root = NULL;
    int documents = 0;
    while (next_event(b, &event)) {
        const size_t line = line_of(b, event.start_mark);
        const yaml_event_type_t type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
            fail_at(b->origin, line, b->err, "a second document begins");
        if (type == YAML_STREAM_END_EVENT && root == NULL)
            fail_at(b->origin, b->from_set ? 0 : 1, b->err, "is empty");
        if (type == YAML_STREAM_START_EVENT || type == YAML_STREAM_END_EVENT ||
            type == YAML_DOCUMENT_START_EVENT ||
            type == YAML_DOCUMENT_END_EVENT)
            yaml_event_delete(&event);
        else
            root = build(b, &event, 0);
        if (b->err->status != MOE_OK || type == YAML_STREAM_END_EVENT)
            break;
    }
    if (b->err->status != MOE_OK) {
        moe_conf_free(root);
        return NULL;
    }
    return root;
}

/* Parse any YAML value. @return NULL with err, free of errors before, set. */
static moe_conf *parse_value(const char *text, const char *origin,
                             bool from_set, moe_error *err)
{
    builder b = {
        .text = text, .origin = origin, .from_set = from_set, .err = err};
    if (!yaml_parser_initialize(&b.parser)) {
        moe_fail(err, MOE_NOMEM, "out of memory");
        return NULL;
    }
    yaml_parser_set_input_string(&b.parser, (const unsigned char *)text,
                                 strlen(text));
    moe_conf *root = build_stream(&b);
    yaml_parser_delete(&b.parser);
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
        return moe_pass(err, &local);
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
    char path[256], origin[MAX_ORIGIN];
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
    moe_conf *value = parse_value(equals + 1, origin, true, &local);
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
