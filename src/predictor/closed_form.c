/* SPDX-License-Identifier: Apache-2.0 */
#include "closed_form.h"

#include "moegps/clock.h"

void moe_closed_form_begin(const moe_train_env *env, moe_learned_part *part)
{
    moe_learned_drop(part, "");
    part->seed = env->seed;
    part->epochs_limit = 1;
    part->cpu_s = -moe_clock_cpu();
}

moe_status moe_closed_form_end(moe_learned_part *part, moe_error *local,
                               moe_error *err)
{
    if (local->status != MOE_OK) {
        moe_error_prefix(local, "predictor %s", part->predictor);
        return moe_pass(err, local);
    }
    part->epochs = 1;
    part->best_epoch = 0;
    part->complete = true;
    part->cpu_s += moe_clock_cpu();
    return MOE_OK;
}
