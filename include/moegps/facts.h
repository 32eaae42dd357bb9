/** facts.h: what is known of a run beside its numbers, as texts.
 *
 *  The engine tells them; /config of a result file has each as an attribute of
 *  its name, by which readers find it. results/README.md says what they mean.
 */
#ifndef MOEGPS_FACTS_H
#define MOEGPS_FACTS_H

/* X(enumerator, name), in the order in which they are written */
#define MOE_FACT_MAP(X)                               \
    X(MODEL, "model")                                 \
    X(CLUSTER, "cluster")                             \
    X(COST_MODEL, "cost_model")                       \
    X(TRACE, "trace")                                 \
    X(TRACE_SHA256, "trace_sha256")                   \
    X(EXPERTS, "experts")                             \
    X(TOP_K, "top_k")                                 \
    X(BATCH, "batch")                                 \
    X(SEQ, "seq")                                     \
    X(MAX_TOKENS, "max_tokens")                       \
    X(SEED, "seed")                                   \
    X(ORDER, "order")                                 \
    X(PASSES, "passes")                               \
    X(ALIKE, "alike")                                 \
    X(FFN, "ffn")                                     \
    X(SCALE, "scale")                                 \
    X(EXECUTED_DTYPE, "executed_dtype")               \
    X(EXECUTED_HIDDEN, "executed_hidden")             \
    X(EXECUTED_INTERMEDIATE, "executed_intermediate") \
    X(FULL_HIDDEN, "full_hidden")                     \
    X(FULL_INTERMEDIATE, "full_intermediate")         \
    X(EXECUTED_ROW_BYTES, "executed_row_bytes")       \
    X(FULL_ROW_BYTES, "full_row_bytes")               \
    X(THREADS, "threads")                             \
    X(COORDINATION, "coordination")                   \
    X(ROUTING, "routing")                             \
    X(REBALANCE_EVERY, "rebalance_every")             \
    X(GPUS_PER_NODE, "gpus_per_node")                 \
    X(PACED, "paced")                                 \
    X(DILATION, "dilation")                           \
    X(LINKS, "links")                                 \
    X(TIMER, "timer")                                 \
    X(PROGRESS, "progress")                           \
    X(SERVING, "serving")

typedef enum moe_fact {
#define MOE_FACT_ENUM(name, text) MOE_FACT_##name,
    MOE_FACT_MAP(MOE_FACT_ENUM)
#undef MOE_FACT_ENUM
        MOE_N_FACTS
} moe_fact;

/** @return its name, static storage. */
const char *moe_fact_name(moe_fact fact);

enum { MOE_FACT_LEN = 1024 }; /* bytes of a text, with its NUL */

typedef struct moe_facts {
    char text[MOE_N_FACTS][MOE_FACT_LEN]; /* "": not told */
} moe_facts;

/** Tell a fact; a longer text than has room is cut. */
void moe_facts_set(moe_facts *facts, moe_fact fact, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
