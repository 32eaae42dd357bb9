/** document.h: what a command says: built once, then written for a terminal or
 *  as a page.
 *
 *      moe_document *doc = moe_document_new(&err);
 *      moe_doc_heading(doc, "Times");
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

#include <stdio.h>

#include "moegps/status.h"
#include "moegps/table.h"

typedef struct moe_document moe_document;

/** @return an empty document; NULL with MOE_NOMEM. */
moe_document *moe_document_new(moe_error *err);
void moe_document_free(moe_document *doc);

#define MOE_DOC_FORMAT(at) __attribute__((format(printf, at, at + 1)))

/** Continue the text that was added last: of a title, heading, verdict,
 *  paragraph, item, list, warning or fact. Valid until the next call. */
FILE *moe_doc_words(moe_document *doc);

/** What the document is of: one, at its begin. */
void moe_doc_title(moe_document *doc, const char *fmt, ...) MOE_DOC_FORMAT(2);

/** Begin a section, or one that a page shows only when asked to: a fold has a
 *  summary. Each ends with moe_doc_end(). */
void moe_doc_section(moe_document *doc);
void moe_doc_fold(moe_document *doc, const char *fmt, ...) MOE_DOC_FORMAT(2);
void moe_doc_end(moe_document *doc);

void moe_doc_heading(moe_document *doc, const char *fmt, ...) MOE_DOC_FORMAT(2);

/** Whether to trust what follows, then the answer in a sentence.
 *  @param result  "VALID", "INVALID" or "INCOMPLETE" */
void moe_doc_verdict(moe_document *doc, const char *result, const char *fmt,
                     ...) MOE_DOC_FORMAT(3);

typedef enum moe_say {
    MOE_SAY,       /* a paragraph */
    MOE_SAY_UNDER, /* one that belongs to the heading or paragraph above it */
    MOE_SAY_SOFT,  /* an aside */
    MOE_SAY_WARNING
} moe_say;

void moe_doc_paragraph(moe_document *doc, moe_say how, const char *fmt, ...)
    MOE_DOC_FORMAT(3);

/** Text as it is, line by line. */
void moe_doc_code(moe_document *doc, const char *text);

/** A list under a sentence, or of warnings; then its items. */
void moe_doc_list(moe_document *doc, const char *fmt, ...) MOE_DOC_FORMAT(2);
void moe_doc_warnings(moe_document *doc);
void moe_doc_item(moe_document *doc, const char *fmt, ...) MOE_DOC_FORMAT(2);

/** Names and what they stand for, row by row. A fact without a name goes on
 *  with the one before. */
void moe_doc_facts(moe_document *doc);
void moe_doc_fact(moe_document *doc, const char *name, const char *fmt, ...)
    MOE_DOC_FORMAT(3);

/** A table under a caption, whose cells the caller appends.
 *  @param caption  NULL: none
 *  @return owned by the document; NULL when out of memory, which functions of
 *  tables accept. */
moe_table *moe_doc_table(moe_document *doc, const char *caption,
                         const moe_column *columns, size_t n_columns);

/** A heading of a table or figure, for what moe_doc_table() cannot say. */
void moe_doc_caption(moe_document *doc, const char *fmt, ...) MOE_DOC_FORMAT(2);

typedef struct moe_figure {
    const char *name; /* of its files, without folder and ending; its anchor */
    const char *svg;  /* as gnuplot wrote it; NULL: there is none */
} moe_figure;

/** A figure of files in the folder `figures`; what is seen in it follows by
 *  moe_doc_words().
 *  @param figure  what it points to is borrowed until the document is freed */
void moe_doc_figure(moe_document *doc, const moe_figure *figure,
                    const char *title);

/** Lines for programs that read what a terminal shows; a page has none.
 *  `FOM metric of = value unit`, nothing unless the value is finite, and
 *  `RESULT: result`. */
void moe_doc_fom(moe_document *doc, const char *metric, const char *of,
                 double value, const char *unit);
void moe_doc_result(moe_document *doc, const char *result);

/** Print for a terminal: lines of at most 100 columns but for tables, code and
 *  long words. Colours and blocks as the stream's reader can show.
 *  @return MOE_OK, MOE_NOMEM. That the stream cannot be written is for who
 *  closes it to see. */
moe_status moe_document_print(moe_document *doc, FILE *out, moe_error *err);

/** Print one and free it; nothing, if it is NULL or `err` holds an error. */
moe_status moe_document_say(moe_document *doc, FILE *out, moe_error *err);

/** Write one HTML page, complete in itself: no scripts, nothing from outside,
 *  and a policy that forbids both. Figures beyond some 1.3 MB are references.
 *  @param name  of what the page is a part, before its title
 *  @param foot  a line at its end
 *  @return MOE_OK, MOE_NOMEM, MOE_IO. */
moe_status moe_document_page(moe_document *doc, const char *name,
                             const char *foot, FILE *out, moe_error *err);

#endif
