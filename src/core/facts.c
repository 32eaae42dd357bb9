/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/facts.h"

#include <stdarg.h>
#include <stdio.h>

const char *moe_fact_name(moe_fact fact)
{
    static const char *const names[MOE_N_FACTS] = {
#define MOE_FACT_TEXT(name, text) [MOE_FACT_##name] = text,
        MOE_FACT_MAP(MOE_FACT_TEXT)
#undef MOE_FACT_TEXT
    };
    return names[fact];
}

void moe_facts_set(moe_facts *facts, moe_fact fact, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(facts->text[fact], sizeof facts->text[fact], fmt, ap);
    va_end(ap);
}
