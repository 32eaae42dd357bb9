/** palette.h: colours that stand for strategies, in figures and on pages.
 *
 *  They differ for colour-blind eyes. Source: Okabe & Ito 2008,
 *  jfly.uni-koeln.de/color, and five more. On a dark page each has a lighter
 *  one of its hue.
 */
#ifndef MOEGPS_PALETTE_H
#define MOEGPS_PALETTE_H

enum { MOE_PALETTE_GREY = 0, MOE_PALETTE_FAINT = 11, MOE_N_COLOURS = 12 };

typedef struct moe_colour {
    int light, dark; /* 0xRRGGBB, on a white page and on a black one */
} moe_colour;

/** Grey for what is no strategy, ten for strategies, and what is faint. */
extern const moe_colour moe_palette[MOE_N_COLOURS];

#endif
