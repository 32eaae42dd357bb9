/** strategy_facts.h: what a strategy is made of, as the engine tells it and
 *  result files keep it.
 */
#ifndef MOEGPS_STRATEGY_FACTS_H
#define MOEGPS_STRATEGY_FACTS_H

#include <stdbool.h>

typedef struct moe_strategy_facts {
    char predictor[32], planner[32], split[32]; /* "": not recorded */
    char planning[512];    /* its settings but the predictor's: strategies with
                              equal ones differ in nothing but what is
                              predicted */
    int slots;             /* per GPU and layer, as asked for; 0: what the home
                              placement needs */
    int lookahead;         /* layers ahead that a plan is made, or
                              MOE_LOOKAHEAD_ALL (iteration_price.h) */
    bool sees_layers;      /* it predicts from the routing of earlier layers */
    bool plan_ahead;       /* a plan comes into force one round later */
    bool direct;           /* rows go ahead to their predicted experts */
    bool foretells_tokens; /* it predicts every token's experts */
    bool knows_future;     /* it predicts with the truth: an oracle */
} moe_strategy_facts;

#endif
