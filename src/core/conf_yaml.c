/* SPDX-License-Identifier: Apache-2.0 */
#include "conf_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "moegps/mem.h"
#include "moegps/plain.h"

enum {
    MAX_DEPTH = 16, /* levels of nesting; ours need three */
    MAX_KEYS = 1000 /* of one map: each is compared with all before */
};

/* Of a long path the end is shown, so that the complaint itself fits. */
moe_status moe_conf_fail_at(const char *origin, size_t line, moe_error *err,
                            const char *message)
{
    size_t len = strlen(origin);
    const char *tail =
        len > MOE_CONF_ORIGIN ? origin + len - MOE_CONF_ORIGIN : origin;
    const char *cut = len > MOE_CONF_ORIGIN ? "..." : "";
    if (line == 0)
        return moe_fail(err, MOE_USAGE, "%s: %s", origin, message);
    return moe_fail(err, MOE_USAGE, "%s%s:%zu: %s", cut, tail, line, message);
}

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

const moe_conf *moe_conf_get(const moe_conf *map, const char *key)
{
    for (size_t i = 0; map != NULL && i < map->n_children; i++)
        if (map->child[i]->key != NULL && strcmp(map->child[i]->key, key) == 0)
            return map->child[i];
    return NULL;
}

moe_conf *moe_conf_new_node(moe_conf_kind kind, size_t line, moe_error *err)
{
    moe_conf *node = moe_array_new(1, sizeof *node, err);
    if (node != NULL) {
        node->kind = kind;
        node->line = line;
    }
    return node;
}

moe_status moe_conf_add_child(moe_conf *parent, moe_conf *child, moe_error *err)
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
        moe_conf_fail_at(b->origin, line_of_problem(b), b->err, message);
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
        moe_conf_fail_at(b->origin, line_of(b, event->start_mark), b->err,
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
    moe_conf_fail_at(b->origin, line_of(b, event->start_mark), b->err,
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
        moe_conf_fail_at(b->origin, line, b->err, "a key must be a word");
        return NULL;
    }
    char *key = scalar_text(b, event);
    if (key != NULL && moe_conf_get(map, key) != NULL) {
        char message[128];
        snprintf(message, sizeof message, "key '%.64s' is given twice", key);
        moe_conf_fail_at(b->origin, line, b->err, message);
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
            moe_conf_fail_at(b->origin, line, b->err, "more than 1000 keys");
        moe_conf *child = b->err->status == MOE_OK && next_event(b, &event)
                              ? build(b, &event, depth + 1)
                              : NULL;
        if (child == NULL) {
            free(key);
            return false;
        }
        child->key = key;
        child->line = line;
        if (moe_conf_add_child(map, child, b->err) != MOE_OK)
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
        if (child == NULL || moe_conf_add_child(list, child, b->err) != MOE_OK)
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
        moe_conf_fail_at(b->origin, line, b->err, "nested too deeply");
    else if (!refuse_anchor(b, event))
        out = moe_conf_new_node(kind, line, b->err);
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
            moe_conf_fail_at(b->origin, line, b->err,
                             "a second document begins");
        if (type == YAML_STREAM_END_EVENT && root == NULL)
            moe_conf_fail_at(b->origin, b->from_set ? 0 : 1, b->err,
                             "is empty");
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

moe_conf *moe_conf_parse_value(const char *text, const char *origin,
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
