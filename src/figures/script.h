/* script.h: the variables of a template, in gnuplot's language.
 *
 * Text from files is written here and nowhere else: in single quotes, where
 * gnuplot substitutes nothing. Control characters become spaces. gnuplot has no
 * empty arrays: that of none has one item.
 */
#ifndef MOEGPS_FIGURES_SCRIPT_H
#define MOEGPS_FIGURES_SCRIPT_H

#include <stddef.h>
#include <stdio.h>

/* NAME = number. */
void moe_script_number(FILE *out, const char *name, double x);

/* NAME = 'text'. */
void moe_script_text(FILE *out, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* array NAME[n] = [x, ...]. */
void moe_script_numbers(FILE *out, const char *name, const double *x, int n);
void moe_script_integers(FILE *out, const char *name, const int *x, int n);
void moe_script_texts(FILE *out, const char *name, const char *const *text,
                      int n);

/* The same of labels of ticks: they may have lines, and gnuplot takes them as
 * formats, so that per cent signs are doubled. What is longer than `most` bytes
 * is cut and ends in "~". */
void moe_script_ticks(FILE *out, const char *name, const char *const *text,
                      int n, size_t most);

#endif
