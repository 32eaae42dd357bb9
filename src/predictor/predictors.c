/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include "moegps/registry.h"

#define X(name) extern const moe_predictor moe_predictor_##name;
#include "members.h"
#undef X

static const moe_predictor *const members[] = {
#define X(name) &moe_predictor_##name,
#include "members.h"
#undef X
};

MOE_REGISTRY(moe_predictor)

void *moe_predictor_new(const moe_predictor *predictor,
                        const moe_predictor_env *env, const void *params,
                        moe_error *err)
{
    moe_predictor_env own = *env;
    void *state = moe_array_new(1, predictor->state_size, err);
    if (state == NULL)
        return NULL;
    own.self = predictor;
    if ((predictor->init == NULL ||
         predictor->init(state, &own, params, err) == MOE_OK) &&
        moe_predictor_remember(predictor, state, &own, params, err) == MOE_OK)
        return state;
    moe_predictor_free(predictor, state);
    return NULL;
}
