/* plot.h: the kinds of figures. A file of the folder ends by defining some. */
#ifndef MOEGPS_FIGURES_PLOT_H
#define MOEGPS_FIGURES_PLOT_H

#include <stdbool.h>
#include <stdio.h>

#include "data.h"
#include "moegps/analysis.h"
#include "moegps/map_slice.h"
#include "moegps/plots.h"

enum {
    MOE_PLOT_TEMPLATES = 2,
    MOE_PLOT_PLAIN_HEIGHT = 260 /* pixels below the legend, without rows */
};

/* What a figure is drawn of. */
typedef struct moe_plot_subject {
    const moe_analysis *analysis;
    const moe_run_analysis *run; /* NULL: the figure is of a map */
    const moe_map_slice *slice;  /* of the map, or of the one around the run;
                                    else NULL */
    const moe_plot_loads *loads; /* of a figure of loads, and nothing else */
    double skew, bandwidth;      /* where the run is in it; NaN: nowhere */
} moe_plot_subject;

typedef struct moe_plot_type {
    const char *name;  /* of its files */
    const char *title; /* on the page */
    moe_plot_of of;
    bool detail; /* needs details, and is for reports of a single run only */
    const char *template[MOE_PLOT_TEMPLATES]; /* after frame.gp */
    /* Whether there is anything to draw. */
    bool (*present)(const moe_plot_subject *x);
    void (*data)(const moe_plot_subject *x, moe_plot_data *out);
    /* The variables of the templates. @param data  as it was written. */
    void (*script)(const moe_plot_subject *x, const moe_plot_data *data,
                   FILE *out);
} moe_plot_type;

extern const moe_plot_type moe_plot_phases, moe_plot_regret, moe_plot_stages;
extern const moe_plot_type moe_plot_speedup, moe_plot_ecdf, moe_plot_samples;
extern const moe_plot_type moe_plot_layers;
extern const moe_plot_type moe_plot_experts, moe_plot_gpus;
extern const moe_plot_type moe_plot_stragglers, moe_plot_traffic;
extern const moe_plot_type moe_plot_accuracy, moe_plot_overhead;
extern const moe_plot_type moe_plot_scaling, moe_plot_efficiency;
extern const moe_plot_type moe_plot_map, moe_plot_regime;
extern const moe_plot_type moe_plot_uneven, moe_plot_drift;

#endif
