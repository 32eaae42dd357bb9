/** document.h: what a command says: built once, then written for a terminal or
 *  as a page.
 *
 *      moe_document *doc = moe_document_new(&err);
 *      moe_doc_say(doc, MOE_HEADING, "Times of %s", name);
 *      moe_table *t = moe_doc_table(doc, "Time of a layer", columns, 2);
 *      moe_table_cell(t, "baseline");
 *      moe_table_put(t, moe_time_cell(1.2e-3));
 *      moe_document_print(doc, stdout, &err);
 *      moe_document_free(doc);
 *
 *  Texts are escaped where they are written (escape.h), never before. Lack of
 *  memory is sticky, and said by the writers. Not collective.
 */
#ifndef MOEGPS_DOCUMENT_H
#define MOEGPS_DOCUMENT_H

#include <stdbool.h>
#include <stdio.h>

#include "moegps/status.h"
#include "moegps/table.h"

typedef struct moe_document moe_document;

/** @return an empty document; NULL with MOE_NOMEM. */
moe_document *moe_document_new(moe_error *err);
void moe_document_free(moe_document *doc);

/** What a document is made of. */
typedef enum moe_doc_block {
    MOE_DOC_TITLE,     /* of all: one, at the begin */
    MOE_DOC_HEADING,   /* of what follows up to the next */
    MOE_DOC_CAPTION,   /* of a table */
    MOE_DOC_LEAD,      /* the paragraph that answers what was asked */
    MOE_DOC_PARAGRAPH, /* as are the next three */
    MOE_DOC_UNDER,     /* one that goes on with what is above it */
    MOE_DOC_ASIDE,
    MOE_DOC_WARNING,
    MOE_DOC_CODE,     /* text as it is, line by line */
    MOE_DOC_LIST,     /* the sentence above items */
    MOE_DOC_WARNINGS, /* above items of what to mind: no text */
    MOE_DOC_ITEM,
    MOE_DOC_FOLD,    /* summary of what a page shows only when asked to, and */
    MOE_DOC_SECTION, /* (no text) each up to a moe_doc_end() */
    MOE_DOC_FACTS,   /* begins names and what they stand for: no text */
    /* These have functions of their own. */
    MOE_DOC_FACT,
    MOE_DOC_VERDICT,
    MOE_DOC_TABLE,
    MOE_DOC_FIGURE,
    MOE_DOC_FOM,
    MOE_DOC_RESULT,
    MOE_DOC_END
} moe_doc_block;

/** Add a text. */
void moe_doc_say(moe_document *doc, moe_doc_block block, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** Add a block that has no text, or one that only moe_doc_words() has. */
void moe_doc_begin(moe_document *doc, moe_doc_block block);

/** End the fold or section that is open. */
void moe_doc_end(moe_document *doc);

/** A fact without a name goes on with the one before. */
void moe_doc_fact(moe_document *doc, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** The answer in a few sentences; behind it, on a page, what checks said.
 *  @param result  "VALID", "INVALID" or "INCOMPLETE" */
void moe_doc_verdict(moe_document *doc, const char *result, const char *fmt,
                     ...) __attribute__((format(printf, 3, 4)));

/** Continue the text that was added last. Valid until the next call. */
FILE *moe_doc_words(moe_document *doc);

/** A table, whose cells the caller appends.
 *  @param caption  above it; NULL: none
 *  @return owned by the document; NULL when out of memory, which functions of
 *  tables accept. */
moe_table *moe_doc_table(moe_document *doc, const char *caption,
                         const moe_column *columns, size_t n_columns);

typedef struct moe_figure {
    const char *name; /* of its files, without folder and ending; its anchor */
    const char *svg;  /* as gnuplot wrote it; NULL: there is none */
    const char *tips; /* [n_tips] what its invisible points tell, each with a
                         zero at its end; shown if there are as many points */
    size_t n_tips;
} moe_figure;

/** A figure of files in the folder `figures`; what is seen in it follows by
 *  moe_doc_words().
 *  @param figure  what it points to is borrowed until the document is freed */
void moe_doc_figure(moe_document *doc, const moe_figure *figure,
                    const char *title);

/** Lines for programs that read what is printed; a page has none. `FOM metric of
 *  = value unit`, nothing unless the value is finite, and not on a terminal
 *  unless moe_doc_show_foms() asks; and `RESULT: result`. */
void moe_doc_fom(moe_document *doc, const char *metric, const char *of,
                 double value, const char *unit);
void moe_doc_show_foms(moe_document *doc, bool show);
void moe_doc_result(moe_document *doc, const char *result);

/** Print for a terminal: lines of at most 100 columns but for tables, code and
 *  long words. Colours and blocks as the stream's reader can show.
 *  @return MOE_OK, MOE_NOMEM. That the stream cannot be written is for who
 *  closes it to see. */
moe_status moe_document_print(moe_document *doc, FILE *out, moe_error *err);

/** Print one and free it; nothing, if it is NULL or `err` holds an error. */
moe_status moe_document_say(moe_document *doc, FILE *out, moe_error *err);

/** Write one HTML page, complete in itself: nothing from outside, one script,
 *  without which all can be read, too, and a policy that forbids others. Figures beyond some 1.3 MB are references.
 *  @param name  of what the page is a part, before its title
 *  @param foot  a line at its end
 *  @return MOE_OK, MOE_NOMEM, MOE_IO. */
moe_status moe_document_page(moe_document *doc, const char *name,
                             const char *foot, FILE *out, moe_error *err);

#endif
