/** leads.h: which of a token's chosen experts is the first, the one of the
 *  largest gate weight. Scores say who is among the k, not who leads.
 *
 *  A chosen expert e leads in proportion to
 *
 *      p(e) (f + F) / (n + 1)
 *
 *  where p is its probability, and of n visits of the token's own id to e, f
 *  were first choices; F is the share of first choices in all visits to e.
 */
#ifndef MOEGPS_PREDICTOR_LEADS_H
#define MOEGPS_PREDICTOR_LEADS_H

#include "internal.h"

typedef struct moe_leads {
    int n_layers, experts, top_k;
    uint8_t **share; /* [n_layers] -> [vocabulary][experts] (f + F) / (n + 1),
                        of 255; NULL: not known */
} moe_leads;

/** Take them from the part "ngram" of env->learned. Without it, in a file that
 *  does not have first choices, and where a trace's experts have no order,
 *  there are none. Release with moe_leads_fini() in any case.
 *  @return MOE_OK, MOE_MISMATCH, MOE_FORMAT, MOE_NOMEM. */
moe_status moe_leads_init(moe_leads *leads, const moe_predictor_env *env,
                          moe_error *err);
void moe_leads_fini(moe_leads *leads);

/** Move the likeliest leader of each token to the front of its choices.
 *  @param layer        of the run
 *  @param probability  [own][experts]
 *  @param choice       [own][top_k] */
void moe_leads_put_first(const moe_leads *leads, int layer,
                         const uint32_t *token_id, const float *probability,
                         size_t own, uint16_t *choice);

#endif
