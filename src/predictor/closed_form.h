/** closed_form.h: what trainings without epochs share: one pass, then a look
 *  at the sequences that were kept back.
 */
#ifndef MOEGPS_PREDICTOR_CLOSED_FORM_H
#define MOEGPS_PREDICTOR_CLOSED_FORM_H

#include "neural.h"

/** Begin a training that has no checkpoints. @return CPU time so far, s. */
double moe_closed_form_begin(const moe_train_env *env, moe_learned_part *part);

/** How well shares foretold tokens. */
typedef struct moe_closed_form_score {
    const moe_neural_task *task;
    double loss, hits, firsts, n; /* n: tokens times layers */
} moe_closed_form_score;

/** Add a token. @param share  [experts], overwritten. */
void moe_closed_form_add(moe_closed_form_score *s, int layer, uint64_t token,
                         float *share);

/** Write the one point of the validation curve, and complete the part.
 *  Loss: - sum_j w_j log(p(e_j) / k), w the weights of the networks' loss,
 *  shares below 1e-4 counting as that.
 *  @param start  what moe_closed_form_begin() said.
 *  @return MOE_OK, MOE_NOMEM. */
moe_status moe_closed_form_end(const moe_closed_form_score *s, double start,
                               moe_learned_part *part, moe_error *err);

#endif
