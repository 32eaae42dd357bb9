/** registry.h: what every family has.
 *
 *  A family is a struct of hooks, a member fills one. Every member has a
 *  `name`, a `state_size`, and a `fini` hook, which is NULL where there is
 *  nothing to release. After a const table of pointers called `members`,
 *    MOE_REGISTRY(moe_planner) defines
 *      moe_planner_at(i)        member i, or NULL past the last
 *      moe_planner_find(name)   the member of this name, or NULL
 *      moe_planner_names(text, size)  all names, "A, B, C"
 *      moe_planner_free(member, state)
 *  and, for families whose init hook (NULL: nothing to do) takes an
 *  environment and parameters,
 *    MOE_REGISTRY_NEW(moe_planner, moe_planner_env, void) defines
 *      moe_planner_new(member, env, params, err)
 *  which gives a state that is allocated, zeroed and set up, or NULL with the
 *  hook's error. The family's header declares what it has. */
#ifndef MOEGPS_REGISTRY_H
#define MOEGPS_REGISTRY_H

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/text.h"

#define MOE_REGISTRY(family)                                        \
    const family *family##_at(size_t i)                             \
    {                                                               \
        return i < MOE_ARRAY_LEN(members) ? members[i] : NULL;      \
    }                                                               \
                                                                    \
    const family *family##_find(const char *name)                   \
    {                                                               \
        for (size_t i = 0; i < MOE_ARRAY_LEN(members); i++)         \
            if (strcmp(members[i]->name, name) == 0)                \
                return members[i];                                  \
        return NULL;                                                \
    }                                                               \
                                                                    \
    void family##_names(char *text, size_t size)                    \
    {                                                               \
        text[0] = '\0';                                             \
        for (size_t i = 0; i < MOE_ARRAY_LEN(members); i++)         \
            moe_text_add(text, size, ", ", "%s", members[i]->name); \
    }                                                               \
                                                                    \
    void family##_free(const family *member, void *state)           \
    {                                                               \
        if (state != NULL && member->fini != NULL)                  \
            member->fini(state);                                    \
        free(state);                                                \
    }

#define MOE_REGISTRY_NEW(family, env_type, params_type)           \
    void *family##_new(const family *member, const env_type *env, \
                       const params_type *params, moe_error *err) \
    {                                                             \
        void *state = moe_array_new(1, member->state_size, err);  \
        if (state == NULL || member->init == NULL ||              \
            member->init(state, env, params, err) == MOE_OK)      \
            return state;                                         \
        family##_free(member, state);                             \
        return NULL;                                              \
    }

#endif
