/** search_internal.h: what the files of the search share.
 *
 *  search_series.c  what came batch by batch, and what was foretold of it
 *  search_walk.c    one combination walking through it
 *  search_rooms.c   what copies leave for the cache
 *  search.c         which combinations walk, and which is recommended
 */
#ifndef MOEGPS_ADVISE_SEARCH_INTERNAL_H
#define MOEGPS_ADVISE_SEARCH_INTERNAL_H

#include "internal.h"
#include "moegps/search.h"

/** What one predictor foretells of every batch. */
typedef struct search_forecast {
    double *load;   /* [batches][layers][experts] pairs; owned, as all here */
    double *recall; /* [batches][layers] of tokens' experts; NULL: of loads */
    int *past;      /* [batches][layers] loads before it that it is made of */
    moe_gemm_run work[MOE_PREDICT_GEMMS]; /* [n_work] of one layer, a GPU */
    int n_work;
    double error; /* sum |p^ - p|, mean over batches and layers */
    bool constant, tokens;
} search_forecast;

/** Batches in order, those of the warm-up first, and a past before them. */
typedef struct search_series {
    int batches, layers, experts, top_k;
    int past;          /* loads before batch 0 */
    bool recorded;     /* they follow one another as recorded */
    double passes;     /* over the trace's test part */
    double alike;      /* batches that share what is independent */
    double *pairs;     /* [past + batches][layers][experts] true ones; owned */
    double *tokens;    /* [batches]; owned */
    double *sequences; /* [batches]; owned */
    double *cached;    /* [batches] as in moe_layer_work; owned */
    search_forecast *forecast; /* [n_forecasts]; owned */
    int n_forecasts;
} search_series;

/** @return [experts] true pairs of a batch; of -1, -2, ... before the first. */
static inline const double *search_pairs(const search_series *s, int batch,
                                         int layer)
{
    return s->pairs +
           ((size_t)(s->past + batch) * (size_t)s->layers + (size_t)layer) *
               (size_t)s->experts;
}

/** Read all batches of the trace and have every predictor foretell them; the
 *  last forecast is that of the assumed predictor, if there is one.
 *  Release with moe_search_series_fini() in any case. */
moe_status moe_search_series_init(search_series *s, const moe_search_params *p,
                                  moe_error *err);
void moe_search_series_fini(search_series *s);

/** @return batches of the trace, not of any GPU. */
moe_batcher_params moe_search_batches(const moe_search_params *p,
                                      const int *layers, int n_layers,
                                      int iterations);

/** Who walks. */
typedef struct search_walk {
    const search_series *series;
    const moe_search_params *params;
    const moe_pricer *pricer;
    int forecast; /* of the series; -1: the homes, nothing is planned */
    const moe_planner *planner;
    const moe_split *split, *planned; /* that divides; that is planned for */
    int slots, every;
    int early;         /* batches by which plans after the first are sooner */
    bool dispatched;   /* no rows go ahead */
    double scale;      /* of every batch, whose experts keep their shares, and
                          whose plans stay; 0: as it is */
    const int *layers; /* [n_layers] of the trace */
    int n_layers;
    const double *base_s; /* [batches after the warm-up] of the homes: give up
                             what is far slower; NULL: walk to the end */
} search_walk;

/** What it took. */
typedef struct search_walked {
    double layer_s; /* mean */
    int batches;    /* that it is of; fewer than all: given up */
    double first_bytes, moved_bytes, imbalance;
} search_walked;

/** Walk through all batches. @param layer_s_out  [batches after the warm-up] of
 *  each the mean over layers; NULL: not wanted. */
moe_status moe_search_walk_run(const search_walk *walk, search_walked *out,
                               double *layer_s_out, moe_error *err);

/** Say what the slots of a walk leave of memory, and walk with as many sequences
 *  as that is for, where they decode.
 *  @param point  that walks, for its layer_s
 *  @param s      its tokens, sequences and cached */
moe_status moe_search_price_room(const search_walk *walk,
                                 const moe_search_point *point,
                                 const moe_search *s, moe_search_room *out,
                                 moe_error *err);

/** @return the room with fewest copies that is as good as the best. */
int moe_search_room_that_pays(const moe_search_room *room, int n);

#endif
