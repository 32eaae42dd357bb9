/** phase.h: the phases of one (iteration, layer), in order. */
#ifndef MOEGPS_PHASE_H
#define MOEGPS_PHASE_H

/* X(enumerator, spelling, what happens) */
#define MOE_PHASE_MAP(X)                                                   \
    X(PREDICT, "predict", "each rank predicts the load of its own tokens") \
    X(COLLECT, "collect", "predicted counts are reduced to the planner")   \
    X(PLAN, "plan", "the planner turns load and placement into a plan")    \
    X(BROADCAST, "broadcast", "the plan reaches every rank")               \
    X(MIGRATE, "migrate", "weights of new replicas travel to their slots") \
    X(ATTENTION, "attention",                                              \
      "not executed, but for the rows that direct routing sends ahead")    \
    X(ROUTE, "route", "true experts become destinations of pairs")         \
    X(DISPATCH, "dispatch",                                                \
      "rows that are not there yet travel to replicas of their experts")   \
    X(FFN, "ffn", "every replica runs its expert on its rows")             \
    X(COMBINE, "combine", "results travel home and are summed by gate")

typedef enum moe_phase {
#define MOE_PHASE_ENUM(name, text, help) MOE_PHASE_##name,
    MOE_PHASE_MAP(MOE_PHASE_ENUM)
#undef MOE_PHASE_ENUM
        MOE_N_PHASES
} moe_phase;

/** @return spelling, static storage. */
const char *moe_phase_name(moe_phase phase);

/** @return what happens in it, static storage. */
const char *moe_phase_help(moe_phase phase);

#endif
