/** scorer.h: predictors that give every expert of every token a score: the
 *  share of such tokens that visit it.
 */
#ifndef MOEGPS_PREDICTOR_SCORER_H
#define MOEGPS_PREDICTOR_SCORER_H

#include "calibration.h"
#include "internal.h"
#include "leads.h"
#include "scores.h"

/** The first member of a state, so that the hooks below serve it. */
typedef struct moe_scorer {
    int experts, top_k;
    bool probabilities; /* what the planner sees: sums of them, or choices */
    bool logits;        /* scores are k softmax of what fill says */
    float *score;       /* [max_own][experts] of what was last asked for */
    float *scratch;     /* [experts][MOE_LANES] */
    moe_calibration calibration;
    const int *layers; /* [n_layers] of the run; borrowed */
    moe_leads leads;   /* which of the chosen is named first */
    /** Fill the scores of a batch and layer: any numbers, larger ones for
     *  likelier experts, best as shares. */
    void (*fill)(void *state, const moe_batch *batch, int layer);
} moe_scorer;

typedef struct moe_scorer_params {
    int collects, probabilities;
} moe_scorer_params;

extern const char *const moe_scorer_collects[], *const moe_scorer_makes[];

/* The option rows that fill a moe_scorer_params member of `params_`. */
#define MOE_SCORER_OPTIONS(params_, member)                                  \
    {.key = "collects",                                                      \
     .type = MOE_OPT_ENUM,                                                   \
     .initial = "probabilities",                                             \
     .choices = moe_scorer_collects,                                         \
     MOE_OPT_AT(params_, member.collects),                                   \
     .help = "what the planner sees: counts of the choices, or sums of "     \
             "probabilities"},                                               \
    {                                                                        \
        .key = "probabilities", .type = MOE_OPT_ENUM, .initial = "fitted",   \
        .choices = moe_scorer_makes,                                         \
        MOE_OPT_AT(params_, member.probabilities),                           \
        .help = "made of scores by the map that training fitted, or scores " \
                "as they are (raw)"                                          \
    }

/** Options of those that have no others. */
extern const moe_opt moe_scorer_options[];

/** Take what env->learned has beside the part of env->self: its map, and
 *  leads. Release with moe_scorer_fini() in any case.
 *  @return MOE_OK, MOE_FORMAT, MOE_NOMEM. */
moe_status moe_scorer_init(moe_scorer *s, const moe_predictor_env *env,
                           const moe_scorer_params *params, moe_error *err);
void moe_scorer_fini(moe_scorer *s);

/** Fill the scores and make probabilities of them, without choosing. */
void moe_scorer_fill(moe_scorer *s, const moe_batch *batch, int layer);

/* The hooks of all who foretell tokens by scores. */
#define MOE_SCORER_HOOKS                                             \
    .forecast = moe_forecast_of_tokens, .tokens = moe_scorer_tokens, \
    .expect = moe_scorer_expect, .scores = moe_scorer_scores

void moe_scorer_tokens(void *state, const moe_batch *batch, int layer,
                       uint16_t *experts_out);
bool moe_scorer_expect(void *state, const moe_batch *batch, int layer,
                       uint64_t *load_out);
const float *moe_scorer_scores(const void *state);

#endif
