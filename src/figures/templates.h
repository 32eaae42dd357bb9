/* templates.h: the gnuplot scripts of this folder, as parts of the program. */
#ifndef MOEGPS_FIGURES_TEMPLATES_H
#define MOEGPS_FIGURES_TEMPLATES_H

/* @return the text of NAME.gp; NULL: there is none. */
const char *moe_template(const char *name);

#endif
