/* plot.h: figures of a report: their data, a gnuplot script, and words for who
 * cannot see them.
 *
 * A plot leaves NAME.csv and NAME.gp in a folder; gnuplot, run as a program,
 * turns them into NAME.svg and NAME.pdf. Names from files reach gnuplot as
 * labels only: moe_plot_label() takes out what it could take for syntax.
 */
#ifndef MOEGPS_FIGURES_PLOT_H
#define MOEGPS_FIGURES_PLOT_H

#include <stdbool.h>
#include <stdio.h>

#include "moegps/analysis.h"
#include "moegps/map_slice.h"

enum {
    MOE_PLOT_WIDTH = 520, /* pixels of SVG: legible on a telephone, too */
    MOE_PLOT_SERIES = 10, /* strategies that one figure tells apart */
    MOE_PLOT_SLICES = 6,  /* figures of one map */
    MOE_PLOT_CELLS = 101  /* along a side of a map; of more some are shown */
};

/* A point to be marked in a map. NaN: none. */
typedef struct moe_plot_spot {
    double skew, bandwidth; /* B/s per direction */
} moe_plot_spot;

typedef struct moe_plot_scene {
    const moe_analysis *analysis;
    const moe_run_analysis *run; /* of the analysis; NULL: the figure is of a
                                   map */
    const moe_map_slice *slice;  /* which part of the map; else NULL */
    moe_plot_spot mark;          /* in the map */
    const char *name;            /* of the files, without folder and ending */
} moe_plot_scene;

typedef struct moe_plot_head moe_plot_head; /* plot_frame.h */

/* A kind of figure; a file of the folder ends by defining some. */
typedef struct moe_plot {
    const char *name;  /* of its files */
    const char *title; /* on the page */
    bool overall;      /* one of all runs, not one of each */
    bool detail;       /* for reports of a single run only */
    /* Whether there is anything to draw. */
    bool (*present)(const moe_plot_scene *scene);
    void (*csv)(const moe_plot_scene *scene, FILE *out);
    /* Settings, and one plot command: all that is this figure's own. */
    void (*script)(const moe_plot_scene *scene, FILE *out);
    /* What is seen in it, in a sentence or two. */
    void (*say)(const moe_plot_scene *scene, FILE *out);
    /* Fill the legend; NULL: the script draws its own. */
    void (*head)(const moe_plot_scene *scene, moe_plot_head *head);
    /* @return height in pixels, without the head. */
    int (*height)(const moe_plot_scene *scene);
} moe_plot;

extern const moe_plot moe_plot_phases, moe_plot_speedup, moe_plot_ecdf;
extern const moe_plot moe_plot_experts, moe_plot_gpus, moe_plot_stragglers;
extern const moe_plot moe_plot_traffic, moe_plot_accuracy, moe_plot_overhead;
extern const moe_plot moe_plot_scaling, moe_plot_efficiency, moe_plot_regret;
extern const moe_plot moe_plot_stages;
extern const moe_plot moe_plot_map;   /* of a slice */
extern const moe_plot moe_plot_guide; /* of a run, and of its slice */

typedef struct moe_plot_label {
    char text[80];
} moe_plot_label;

/* A name as gnuplot may have it, within single quotes and as a CSV field. */
moe_plot_label moe_plot_label_of(const char *name);

/* Number of strategies that figures show, and their place from the top. */
int moe_plot_strategies(const moe_plot_scene *scene);

/* ",%.9g", or an empty field for NaN. */
void moe_plot_number(double x, FILE *out);

/* Settings of a figure with a row per strategy, named, from the top. */
void moe_plot_rows(const moe_plot_scene *scene, FILE *out);

/* Height of a figure with a row per strategy, and of one without. */
int moe_plot_rows_height(const moe_plot_scene *scene);
int moe_plot_plain_height(const moe_plot_scene *scene);

/* What a figure is of. */
typedef enum moe_drawn {
    MOE_DRAWN_ALL,
    MOE_DRAWN_RUN,
    MOE_DRAWN_MAP
} moe_drawn;

/* A figure that was written. */
typedef struct moe_drawing {
    char name[64];
    char title[192];
    moe_drawn of;  /* all runs, or ... */
    size_t number; /* ... this one, or this map */
    char *words;   /* owned */
    char *svg;     /* as gnuplot wrote it; owned; NULL: there is none */
} moe_drawing;

typedef struct moe_drawings {
    moe_drawing *item; /* [n], of runs, then maps, in their order; owned */
    size_t n, failed;  /* figures that gnuplot could not draw */
    bool gnuplot;      /* it was found */
} moe_drawings;

/* Write all figures into an existing folder. Release with
 * moe_drawings_fini(). @return MOE_OK, MOE_IO, MOE_NOMEM. */
moe_status moe_drawings_make(const moe_analysis *a, const char *folder,
                             moe_drawings *out, moe_error *err);
void moe_drawings_fini(moe_drawings *drawings);

/* Put an SVG of gnuplot into a page: named and described, of the page's
 * colours, and with identifiers of its own. */
void moe_drawing_inline(const moe_drawing *drawing, FILE *out);

#endif
