/** closed_form.h: what trainings without epochs share.
 */
#ifndef MOEGPS_PREDICTOR_CLOSED_FORM_H
#define MOEGPS_PREDICTOR_CLOSED_FORM_H

#include "moegps/predictor.h"

/** Begin a training that has no checkpoints. */
void moe_closed_form_begin(const moe_train_env *env, moe_learned_part *part);

/** Complete the part, unless it failed; moe_predictor_train() says how good it
 *  is. @return status of `local`, passed to err with the predictor's name. */
moe_status moe_closed_form_end(moe_learned_part *part, moe_error *local,
                               moe_error *err);

#endif
