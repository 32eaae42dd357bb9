/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/facts.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void moe_facts_add(moe_facts *facts, const char *key, const char *fmt, ...)
{
    assert(facts->n < MOE_MAX_FACTS);
    moe_fact *fact = &facts->fact[facts->n++];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(fact->text, sizeof fact->text, fmt, ap);
    va_end(ap);
    fact->key = key;
}

const char *moe_facts_get(const moe_facts *facts, const char *key)
{
    for (size_t i = 0; i < facts->n; i++)
        if (strcmp(facts->fact[i].key, key) == 0)
            return facts->fact[i].text;
    return "";
}
