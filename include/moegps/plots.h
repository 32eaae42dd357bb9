/** plots.h: figures of a report.
 *
 *  A figure is data, NAME.csv, and a gnuplot script, NAME.gp: variables, then
 *  templates that are the same for all figures of a kind (src/figures/...gp).
 *  gnuplot, run as a program, turns them into NAME.svg and NAME.pdf; anyone
 *  can do that again by hand, or with another script.
 */
#ifndef MOEGPS_PLOTS_H
#define MOEGPS_PLOTS_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/analysis.h"

enum {
    MOE_PLOT_SERIES = 10, /* strategies whose curves one figure tells apart:
                             the first ones */
    MOE_PLOT_SLICES = 6,  /* figures of one map */
    MOE_PLOT_CELLS = 101  /* along a side of a map; of more some are shown */
};

/** In the order of a page. */
typedef enum moe_plot_kind {
    MOE_PLOT_SCALING, /* of all runs together, as is ... */
    MOE_PLOT_EFFICIENCY,
    MOE_PLOT_SPEEDUP, /* of a run, as are those that follow */
    MOE_PLOT_PHASES,
    MOE_PLOT_ECDF,
    MOE_PLOT_SAMPLES, /* instead, of few samples */
    MOE_PLOT_ACCURACY,
    MOE_PLOT_OVERHEAD,
    MOE_PLOT_EXPERTS,
    MOE_PLOT_REGRET,
    MOE_PLOT_STAGES,
    MOE_PLOT_LAYERS,
    MOE_PLOT_GPUS,
    MOE_PLOT_STRAGGLERS,
    MOE_PLOT_TRAFFIC,
    MOE_PLOT_REGIME,
    MOE_PLOT_MAP,    /* of a slice of a map */
    MOE_PLOT_UNEVEN, /* of loads, as is the next */
    MOE_PLOT_DRIFT,
    MOE_N_PLOTS
} moe_plot_kind;

/** What a figure is of. */
typedef enum moe_plot_of {
    MOE_PLOT_OF_ALL, /* runs */
    MOE_PLOT_OF_RUN,
    MOE_PLOT_OF_MAP,
    MOE_PLOT_OF_LOADS
} moe_plot_of;

typedef struct moe_plot {
    moe_plot_kind kind;
    moe_plot_of of;
    size_t number;   /* of the run or map in the analysis */
    size_t slice;    /* of the map */
    char name[64];   /* of its files, without ending */
    char title[192]; /* on the page */
    char *svg;       /* as gnuplot wrote it; owned; NULL: there is none */
    char *tips;      /* [n_tips] what its points tell, each with a zero at its
                        end; owned */
    size_t n_tips;
    char *failure; /* why gnuplot could not draw it whole; owned; NULL: it
                        could, or there is no gnuplot */
} moe_plot;

typedef struct moe_plots {
    moe_plot *item; /* [n], of runs, then maps, in their order; owned */
    size_t n;
    bool gnuplot; /* it was found */
} moe_plots;

/** Write all figures into an existing folder. A figure that gnuplot cannot
 *  draw is no error. Not collective. Release with moe_plots_fini().
 *  @return MOE_OK, MOE_IO, MOE_NOMEM. */
moe_status moe_plots_draw(const moe_analysis *analysis, const char *folder,
                          moe_plots *out, moe_error *err);
void moe_plots_fini(moe_plots *plots);

/** Loads over time, without a run. All borrowed. */
typedef struct moe_plot_loads {
    int steps, layers;
    const double *uneven; /* [steps][layers] largest load over the mean */
    int lags;
    const double *drift; /* [lags] mean over steps and layers of the total
                            variation distance to the step `lag` + 1 later */
    const double *good;  /* [lags] mean / max load of GPUs under a plan made
                            `lag` + 1 steps earlier; NULL: not planned */
} moe_plot_loads;

/** Write the figures of loads, as moe_plots_draw(). */
moe_status moe_plots_draw_loads(const moe_plot_loads *loads, const char *folder,
                                moe_plots *out, moe_error *err);

/** @return how many strategies, of the first, have a curve. */
int moe_plot_series(const moe_view *view);

#endif
