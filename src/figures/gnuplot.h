/* gnuplot.h: gnuplot, run as a program. */
#ifndef MOEGPS_FIGURES_GNUPLOT_H
#define MOEGPS_FIGURES_GNUPLOT_H

#include <stdbool.h>
#include <stddef.h>

/* Run `gnuplot ARGUMENT` in a folder, without the user's settings and silently.
 * @param reason  [size] why it failed: the last line of its complaint
 * @return whether it ended well. */
bool moe_gnuplot_run(const char *folder, const char *argument, char *reason,
                     size_t size);

#endif
