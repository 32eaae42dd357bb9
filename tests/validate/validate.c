/* SPDX-License-Identifier: Apache-2.0 */

/* How far the cost models are from what they describe: prints Markdown, ends
 * with 1 if a requirement is missed. `make validate` runs it. */

#include "validate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/h5.h"
#include "moegps/stats.h"

enum { MAX_REQUIREMENTS = 128 };

static struct {
    char what[160];
    double value, limit;
} required[MAX_REQUIREMENTS];
static size_t n_required;

_Noreturn void give_up(const char *message)
{
    fprintf(stderr, "validate: %s\n", message);
    exit(1);
}

void require(const char *what, double value, double limit)
{
    if (n_required == MAX_REQUIREMENTS)
        give_up("too many requirements");
    snprintf(required[n_required].what, sizeof required->what, "%s", what);
    required[n_required].value = value;
    required[n_required++].limit = limit;
}

void table_add(error_table *t, const char *name, const double *e)
{
    size_t i = 0;
    while (i < t->n_lines && strcmp(t->line[i].name, name) != 0)
        i++;
    if (i == MAX_LINES)
        give_up("too many lines");
    error_line *l = &t->line[i];
    if (i == t->n_lines) {
        snprintf(l->name, sizeof l->name, "%s", name);
        t->n_lines++;
    }
    const size_t width = (size_t)t->methods;
    if (l->n == l->room) {
        l->room = l->room > 0 ? 2 * l->room : 64;
        l->e = realloc(l->e, l->room * width * sizeof *l->e);
        if (l->e == NULL)
            give_up("out of memory");
    }
    memcpy(l->e + width * l->n++, e, width * sizeof *e);
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

double table_quantile(const error_table *t, int line, int method, double q)
{
    size_t n = 0, width = (size_t)t->methods;
    for (size_t i = 0; i < t->n_lines; i++)
        n += line < 0 || (int)i == line ? t->line[i].n : 0;
    double *e = malloc((n > 0 ? n : 1) * sizeof *e), value;
    if (e == NULL)
        give_up("out of memory");
    n = 0;
    for (size_t i = 0; i < t->n_lines; i++)
        for (size_t k = 0; k < t->line[i].n && (line < 0 || (int)i == line);
             k++)
            e[n++] = t->line[i].e[k * width + (size_t)method];
    qsort(e, n, sizeof *e, by_value);
    value = n > 0 ? moe_quantile_sorted(e, n, q) : 0;
    free(e);
    return value;
}

static void print_line(const error_table *t, int line, const char *name,
                       size_t n)
{
    printf("| %s | %zu |", name, n);
    for (int m = 0; m < t->methods; m++)
        printf(" %.2f | %.2f |", 100 * table_quantile(t, line, m, 0.5),
               100 * table_quantile(t, line, m, 0.9));
    putchar('\n');
}

void table_print(error_table *t, const char *title, const char *text,
                 const char *const *methods)
{
    size_t all = 0;
    printf("\n## %s\n\n%s\n\n| | n |", title, text);
    for (int m = 0; m < t->methods; m++)
        printf(" %s median %% | p90 %% |", methods[m]);
    printf("\n|---|---:|");
    for (int m = 0; m < t->methods; m++)
        printf("---:|---:|");
    putchar('\n');
    for (size_t i = 0; i < t->n_lines; i++) {
        print_line(t, (int)i, t->line[i].name, t->line[i].n);
        all += t->line[i].n;
    }
    if (t->n_lines > 1)
        print_line(t, -1, "all", all);
    for (size_t i = 0; i < t->n_lines; i++)
        free(t->line[i].e);
}

int main(void)
{
    moe_error err = {0};
    int missed = 0;
    moe_h5_quiet();
    moe_silicon *s = moe_silicon_open(NULL, &err);
    if (s == NULL)
        give_up(err.text);
    printf("# Errors of the cost models\n\n"
           "Made by `make validate`. Errors are |price / truth - 1|; median "
           "and 90th percentile in percent.\n");
    validate_analytic();
    validate_ffn(s);
    validate_composition(s);
    validate_rest(s);
    validate_clusters(s);
    validate_wide(s);
    print_coverage();
    moe_silicon_close(s);
    printf("\n## Requirements\n\n| | found | limit | |\n|---|---:|---:|---|\n");
    for (size_t i = 0; i < n_required; i++) {
        bool met = required[i].value <= required[i].limit;
        missed += !met;
        printf("| %s | %.2f %% | %.2f %% | %s |\n", required[i].what,
               100 * required[i].value, 100 * required[i].limit,
               met ? "met" : "MISSED");
    }
    return missed > 0;
}
