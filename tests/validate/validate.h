/** validate.h: tables of errors, in Markdown. */
#ifndef MOEGPS_TESTS_VALIDATE_H
#define MOEGPS_TESTS_VALIDATE_H

#include <stddef.h>

#include "../../src/cluster/silicon_internal.h"

enum { MAX_LINES = 64 };

/* Errors of one line of a table, by several methods. */
typedef struct {
    char name[128];
    double *e; /* [n][methods], |relative error| */
    size_t n, room;
} error_line;

typedef struct {
    int methods;
    error_line line[MAX_LINES];
    size_t n_lines;
} error_table;

/** Append errors of one sample, one per method, to the line of this name. */
void table_add(error_table *t, const char *name, const double *e);

/** Print a heading and, per line and over all, n and for each method median
 *  and 90th percentile in percent. Frees what the table holds. */
void table_print(error_table *t, const char *title, const char *text,
                 const char *const *methods);

/** Quantile of |errors| of one method of one line, or of all (line < 0). */
double table_quantile(const error_table *t, int line, int method, double q);

/** Record a requirement: printed at the end, and the exit code. */
void require(const char *what, double value, double limit);

/** Count a price of a left-out row.
 *  @param what    operation
 *  @param kernel  to count it there as well; NULL: not
 *  @param guess   that the stated errors are multiples of; 1: of no guess
 *  @param error   |price / truth - 1|
 *  @param fold    0..31: prices of a fold are judged by the others */
void cover(const char *what, const char *kernel, moe_price stated, double guess,
           double error, int fold);

/** Print and require how far stated errors are kept to. Frees what was
 *  counted. */
void print_coverage(void);

/** Exit with a message. */
_Noreturn void give_up(const char *message);

void validate_analytic(void);
void validate_ffn(const moe_silicon *s);
void validate_rest(const moe_silicon *s);
void validate_clusters(const moe_silicon *s);
void validate_wide(const moe_silicon *s);
void validate_composition(const moe_silicon *s);

#endif
