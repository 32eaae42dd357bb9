/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

#include "moegps/mem.h"

moe_document *moe_document_new(moe_error *err)
{
    moe_document *doc = moe_array_new(1, sizeof *doc, err);
    if (doc == NULL)
        return NULL;
    doc->words = open_memstream(&doc->text, &doc->size);
    if (doc->words != NULL)
        return doc;
    free(doc);
    moe_fail(err, MOE_NOMEM, "out of memory");
    return NULL;
}

void moe_document_free(moe_document *doc)
{
    if (doc == NULL)
        return;
    fclose(doc->words);
    for (size_t i = 0; i < doc->n; i++)
        moe_table_free(doc->node[i].table);
    free(doc->node);
    free(doc->text);
    free(doc);
}

moe_status moe_document_ready(moe_document *doc, moe_error *err)
{
    bool lost = doc->lost;
    for (size_t i = 0; i < doc->n; i++)
        lost = lost || (doc->node[i].table != NULL && doc->node[i].table->lost);
    fputc('\0', doc->words);
    if (fflush(doc->words) != 0 || ferror(doc->words) || lost)
        return moe_fail(err, MOE_NOMEM, "out of memory");
    return MOE_OK;
}

FILE *moe_doc_words(moe_document *doc)
{
    return doc->words;
}

/* End the text before, and begin one. */
static size_t begin(moe_document *doc)
{
    fputc('\0', doc->words);
    return (size_t)ftell(doc->words);
}

/* @return where a copy of the text begins. */
static size_t keep(moe_document *doc, const char *text)
{
    const size_t at = begin(doc);
    fputs(text, doc->words);
    return at;
}

static void add(moe_document *doc, moe_node node)
{
    if (doc->n == doc->room) {
        const size_t room = doc->room > 0 ? 2 * doc->room : 64;
        moe_node *bigger = realloc(doc->node, room * sizeof *bigger);
        if (bigger == NULL) {
            doc->lost = true;
            moe_table_free(node.table);
            return;
        }
        doc->node = bigger;
        doc->room = room;
    }
    doc->node[doc->n++] = node;
}

/* Add a node whose text is formatted by the arguments behind `fmt`. */
#define ADD_FORMATTED(doc, node, fmt)     \
    do {                                  \
        moe_node node_ = node;            \
        va_list ap_;                      \
        node_.text = begin(doc);          \
        va_start(ap_, fmt);               \
        vfprintf((doc)->words, fmt, ap_); \
        va_end(ap_);                      \
        add(doc, node_);                  \
    } while (0)
#define NODE(...) ((moe_node){__VA_ARGS__})

void moe_doc_title(moe_document *doc, const char *fmt, ...)
{
    ADD_FORMATTED(doc, NODE(.kind = MOE_NODE_TITLE), fmt);
}

void moe_doc_section(moe_document *doc)
{
    add(doc, NODE(.kind = MOE_NODE_SECTION));
}

void moe_doc_fold(moe_document *doc, const char *fmt, ...)
{
    ADD_FORMATTED(doc, NODE(.kind = MOE_NODE_FOLD), fmt);
}

void moe_doc_end(moe_document *doc)
{
    for (size_t i = doc->n, depth = 0; i-- > 0;) {
        const moe_node *x = &doc->node[i];
        if (x->kind == MOE_NODE_END)
            depth++;
        else if (x->kind != MOE_NODE_SECTION && x->kind != MOE_NODE_FOLD)
            continue;
        else if (depth-- == 0) {
            add(doc, NODE(.kind = MOE_NODE_END, .name = i));
            return;
        }
    }
}

void moe_doc_heading(moe_document *doc, const char *fmt, ...)
{
    ADD_FORMATTED(doc, NODE(.kind = MOE_NODE_HEADING), fmt);
}

void moe_doc_caption(moe_document *doc, const char *fmt, ...)
{
    ADD_FORMATTED(doc, NODE(.kind = MOE_NODE_CAPTION), fmt);
}

void moe_doc_verdict(moe_document *doc, const char *result, const char *fmt,
                     ...)
{
    const size_t name = keep(doc, result);
    ADD_FORMATTED(doc, NODE(.kind = MOE_NODE_VERDICT, .name = name), fmt);
}

void moe_doc_paragraph(moe_document *doc, moe_say how, const char *fmt, ...)
{
    ADD_FORMATTED(doc, NODE(.kind = MOE_NODE_PARAGRAPH, .how = how), fmt);
}

void moe_doc_code(moe_document *doc, const char *text)
{
    const size_t at = keep(doc, text);
    add(doc, NODE(.kind = MOE_NODE_CODE, .text = at));
}

void moe_doc_list(moe_document *doc, const char *fmt, ...)
{
    ADD_FORMATTED(doc, NODE(.kind = MOE_NODE_LIST), fmt);
}

void moe_doc_warnings(moe_document *doc)
{
    add(doc, NODE(.kind = MOE_NODE_WARNINGS));
}

void moe_doc_item(moe_document *doc, const char *fmt, ...)
{
    ADD_FORMATTED(doc, NODE(.kind = MOE_NODE_ITEM), fmt);
}

void moe_doc_facts(moe_document *doc)
{
    add(doc, NODE(.kind = MOE_NODE_FACTS));
}

void moe_doc_fact(moe_document *doc, const char *name, const char *fmt, ...)
{
    const size_t at = keep(doc, name);
    ADD_FORMATTED(doc, NODE(.kind = MOE_NODE_FACT, .name = at), fmt);
}

moe_table *moe_doc_table(moe_document *doc, const char *caption,
                         const moe_column *columns, size_t n_columns)
{
    moe_table *table = moe_table_new(columns, n_columns);
    if (caption != NULL)
        moe_doc_caption(doc, "%s", caption);
    doc->lost = doc->lost || table == NULL;
    add(doc, NODE(.kind = MOE_NODE_TABLE, .table = table));
    return doc->lost ? NULL : table;
}

void moe_doc_figure(moe_document *doc, const moe_figure *figure,
                    const char *title)
{
    const size_t name = keep(doc, title), text = begin(doc);
    add(doc, NODE(.kind = MOE_NODE_FIGURE, .name = name, .text = text,
                  .figure = *figure));
}

void moe_doc_fom(moe_document *doc, const char *metric, const char *of,
                 double value, const char *unit)
{
    if (!isfinite(value))
        return;
    const size_t at = begin(doc);
    fprintf(doc->words, "FOM %s %s = %.9g %s", metric, of, value, unit);
    add(doc, NODE(.kind = MOE_NODE_FOM, .text = at));
}

void moe_doc_result(moe_document *doc, const char *result)
{
    const size_t at = keep(doc, result);
    add(doc, NODE(.kind = MOE_NODE_RESULT, .text = at));
}

moe_status moe_document_say(moe_document *doc, FILE *out, moe_error *err)
{
    moe_error local = {0};
    if (doc != NULL && (err == NULL || err->status == MOE_OK))
        moe_document_print(doc, out, &local);
    moe_document_free(doc);
    return moe_pass(err, &local);
}
