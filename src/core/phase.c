/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/phase.h"

static const struct {
    const char *name, *help;
} phases[MOE_N_PHASES] = {
#define MOE_PHASE_ROW(id, name, help) [MOE_PHASE_##id] = {name, help},
    MOE_PHASE_MAP(MOE_PHASE_ROW)
#undef MOE_PHASE_ROW
};

const char *moe_phase_name(moe_phase phase)
{
    return phases[phase].name;
}

const char *moe_phase_help(moe_phase phase)
{
    return phases[phase].help;
}
