/* script.h: the variables of a template, in gnuplot's language.
 *
 * Text from files is written here and nowhere else: in single quotes, where
 * gnuplot substitutes nothing.
 */
#ifndef MOEGPS_FIGURES_SCRIPT_H
#define MOEGPS_FIGURES_SCRIPT_H

#include <stddef.h>
#include <stdio.h>

typedef struct moe_script {
    FILE *out;
    int items; /* of the array that is being written */
} moe_script;

/* NAME = number. */
void moe_script_number(moe_script *to, const char *name, double x);

/* NAME = 'text'. Control characters become spaces. */
void moe_script_text(moe_script *to, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* array NAME[n] = [items]: as many items, then the end. gnuplot has no empty
 * arrays: that of none has a 0. */
void moe_script_array(moe_script *to, const char *name, int n);
void moe_script_item(moe_script *to, double x);
void moe_script_item_text(moe_script *to, const char *text);
/* A label of a tick, which may have lines, and which gnuplot takes as a
 * format: per cent signs are doubled. What is longer than `most` bytes is cut and ends in "~". */
void moe_script_item_tick(moe_script *to, const char *text, size_t most);
void moe_script_end(moe_script *to);

/* Whole arrays. */
void moe_script_integers(moe_script *to, const char *name, const int *x, int n);
void moe_script_texts(moe_script *to, const char *name, const char *const *text,
                      int n);

#endif
