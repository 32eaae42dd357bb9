/** facts.h: what is known of a run beside its numbers, as names and texts.
 *
 *  The engine tells them, /config of a result file has them as attributes.
 */
#ifndef MOEGPS_FACTS_H
#define MOEGPS_FACTS_H

#include <stddef.h>

enum {
    MOE_MAX_FACTS = 48,
    MOE_FACT_LEN = 1024 /* bytes of a text, with its NUL; longer ones are cut */
};

typedef struct moe_fact {
    const char *key; /* static storage */
    char text[MOE_FACT_LEN];
} moe_fact;

typedef struct moe_facts {
    moe_fact fact[MOE_MAX_FACTS];
    size_t n;
} moe_facts;

/** Add a fact. Asserts that there is room. */
void moe_facts_add(moe_facts *facts, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/** @return the text of a fact, borrowed; "" where there is none. */
const char *moe_facts_get(const moe_facts *facts, const char *key);

#endif
