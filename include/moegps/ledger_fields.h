/** ledger_fields.h: what a run records, one row a field.
 *
 *  A row makes the array in the ledger (ledger.h), its memory, its place in
 *  the enumeration and its dataset in the result file. To add a field, add a
 *  row here, at the end of its group, and fill it; results/README.md documents
 *  the file.
 */
#ifndef MOEGPS_LEDGER_FIELDS_H
#define MOEGPS_LEDGER_FIELDS_H

/* X(shape, names of its dimensions in order). Each rank holds its own part of
 * the dimensions rank and source. */
#define MOE_LEDGER_SHAPES(X)                                       \
    X(ITERATIONS, "strategy", "iteration")                         \
    X(LAYERS, "strategy", "iteration", "layer")                    \
    X(TIMES, "strategy", "iteration", "layer", "phase", "rank")    \
    X(RANKS, "strategy", "iteration", "layer", "rank")             \
    X(EXPERTS, "strategy", "iteration", "layer", "expert")         \
    X(SLOTS, "strategy", "iteration", "layer", "gpu", "slot")      \
    X(REPLICAS, "strategy", "iteration", "layer", "slot", "rank")  \
    X(LINKS, "strategy", "iteration", "layer", "link", "rank")     \
    X(PACES, "strategy", "iteration", "layer", "pace", "rank")     \
    X(BESIDES, "strategy", "iteration", "layer", "beside", "rank") \
    X(TRAVELS, "strategy", "iteration", "layer", "travel", "rank") \
    X(SENDERS, "strategy", "iteration", "layer", "sender", "rank") \
    X(TRUE_LOAD, "iteration", "layer", "expert")                   \
    X(CHOICES, "strategy", "iteration", "candidate")               \
    X(WARMUPS, "strategy", "warmup")                               \
    X(TRAFFIC, "strategy", "source", "destination")

/* FIELD(id, element, member of moe_ledger, holder, shape, group, dataset,
 *       unit, meaning); DERIVED(id, element, shape, group, dataset, unit,
 *       meaning) has no array: it is reduced while it is written.
 * The order is that of the datasets in the file. layer_time_*, iteration_time_*
 * follow the order of clocks, regret that of moe_level, dispatch, combine and
 * migrate that of moe_exchange_kind. */
#define MOE_LEDGER_FIELDS(FIELD, DERIVED)                                      \
    FIELD(WALL, F64, wall, BY_RANKS, TIMES, "timing", "wall", "s",             \
          "measured time without waiting")                                     \
    FIELD(CPU, F64, cpu, BY_RANKS, TIMES, "timing", "cpu", "s",                \
          "CPU time of the process")                                           \
    FIELD(GPU, F64, gpu, BY_RANKS, TIMES, "timing", "gpu", "s",                \
          "modelled time of the emulated GPU, hidden or not")                  \
    FIELD(EXPOSED, F64, exposed, BY_RANKS, TIMES, "timing", "exposed", "s",    \
          "part of the layer's modelled time that nothing hides")              \
    FIELD(WAIT, F64, wait, BY_RANKS, TIMES, "timing", "wait", "s",             \
          "barrier before the collective of the phase")                        \
    FIELD(PRICE_SOURCE, I16, price_source, BY_RANKS, TIMES, "timing",          \
          "price_source", "1", "where the price of gpu is from")               \
    DERIVED(LAYER_WALL, F64, LAYERS, "timing", "layer_time_wall", "s",         \
            "slowest rank's time of a layer, waiting included")                \
    DERIVED(LAYER_CPU, F64, LAYERS, "timing", "layer_time_cpu", "s",           \
            "busiest rank's CPU time of a layer")                              \
    DERIVED(LAYER_GPU, F64, LAYERS, "timing", "layer_time_gpu", "s",           \
            "modelled time of a layer: exposed, slowest GPU of each phase")    \
    DERIVED(ITERATION_WALL, F64, ITERATIONS, "timing", "iteration_time_wall",  \
            "s", "sum of layer_time_wall")                                     \
    DERIVED(ITERATION_CPU, F64, ITERATIONS, "timing", "iteration_time_cpu",    \
            "s", "sum of layer_time_cpu")                                      \
    DERIVED(ITERATION_GPU, F64, ITERATIONS, "timing", "iteration_time_gpu",    \
            "s", "sum of layer_time_gpu")                                      \
    FIELD(ORDER, I32, order, BY_ROOT, ITERATIONS, "timing", "order", "1",      \
          "position of the strategy within the iteration")                     \
    FIELD(WARMUP_TIME, F64, warmup_time, BY_ROOT_TO_END, WARMUPS, "timing",    \
          "warmup_time", "s",                                                  \
          "wall time of a warm-up iteration, slowest rank")                    \
    FIELD(LAYER_BARRIERS, F64, layer_barriers, BY_ROOT, LAYERS, "timing",      \
          "layer_time_gpu_barriers", "s",                                      \
          "layer_time_gpu if every phase waited for its own slowest GPU")      \
    FIELD(TRUE_PAIRS, I32, true_pairs, BY_ROOT, TRUE_LOAD, "load",             \
          "true_pairs", "count", "pairs routed to each expert")                \
    FIELD(PREDICTED_PAIRS, F64, predicted_pairs, BY_ROOT, EXPERTS, "load",     \
          "predicted_pairs", "count", "pairs predicted for each expert")       \
    FIELD(RANK_PAIRS, I32, rank_pairs, BY_RANKS, RANKS, "load", "rank_pairs",  \
          "count", "pairs that each rank's replicas computed")                 \
    FIELD(ERROR, F64, error, BY_ROOT, LAYERS, "prediction", "error", "1",      \
          "mean over experts of |p^ - p| / (1/E)")                             \
    FIELD(TOP1, F64, top1, BY_ROOT, LAYERS, "prediction", "top1", "1",         \
          "share of tokens whose first expert was predicted")                  \
    FIELD(RECALL, F64, recall, BY_ROOT, LAYERS, "prediction", "recall", "1",   \
          "share of a token's experts that were predicted")                    \
    FIELD(IN_PLACE, F64, in_place, BY_ROOT, LAYERS, "prediction", "in_place",  \
          "1", "share of pairs that direct routing had in place")              \
    FIELD(SLOT_EXPERT, I16, slot_expert, BY_ROOT, SLOTS, "plan",               \
          "slot_expert", "1", "expert whose weights the slot holds")           \
    FIELD(SLOT_QUOTA, F64, slot_quota, BY_ROOT, SLOTS, "plan", "slot_quota",   \
          "1", "planned share of the expert's pairs")                          \
    FIELD(MOVED_BYTES, I64, moved_bytes, BY_ROOT, LAYERS, "plan",              \
          "moved_bytes", "B", "full-size weights migrated, all GPUs")          \
    FIELD(WIRE_BYTES, I64, wire_bytes, BY_ROOT, ITERATIONS, "plan",            \
          "wire_bytes", "B", "size of the plan as broadcast")                  \
    FIELD(PLANNER_TIME, F64, planner_time, BY_ROOT, LAYERS, "plan",            \
          "planner_time", "s", "CPU time of the planner alone")                \
    FIELD(PLANNER_STEPS, I64, planner_steps, BY_ROOT, LAYERS, "plan",          \
          "planner_steps", "count",                                            \
          "steps of the planner, which the gpu clock prices")                  \
    FIELD(BUSIEST, I32, busiest_actual, BY_ROOT, LAYERS, "regret", "actual",   \
          "count", "pairs that the busiest GPU computed")                      \
    FIELD(BUSIEST_MINMAX, I32, busiest_minmax, BY_ROOT, LAYERS, "regret",      \
          "minmax", "count",                                                   \
          "busiest GPU's pairs with the same placement and an optimal split")  \
    FIELD(BUSIEST_ORACLE_PLAN, I32, busiest_oracle_plan, BY_ROOT, LAYERS,      \
          "regret", "oracle_plan", "count",                                    \
          "busiest GPU's pairs under the plan made of the true load")          \
    FIELD(BUSIEST_BEST, I32, busiest_best, BY_ROOT, LAYERS, "regret", "best",  \
          "count",                                                             \
          "busiest GPU's pairs under the best plan known for these slots")     \
    FIELD(BUSIEST_BOUND, I32, busiest_bound, BY_ROOT, LAYERS, "regret",        \
          "bound", "count",                                                    \
          "bound: no plan of these slots gives the busiest GPU fewer pairs")   \
    FIELD(DISPATCH_BYTES, I64, dispatch_bytes, TO_END, TRAFFIC, "traffic",     \
          "dispatch_bytes", "B",                                               \
          "sent in dispatch, all measured iterations and layers")              \
    FIELD(AHEAD_BYTES, I64, ahead_bytes, TO_END, TRAFFIC, "traffic",           \
          "ahead_bytes", "B",                                                  \
          "sent before dispatch by direct routing, all measured iterations "   \
          "and layers")                                                        \
    FIELD(USED, I16, used, BY_ROOT, CHOICES, "choice", "used", "1",            \
          "the candidate was in use (1), and told the planner (2)")            \
    FIELD(TRIED, I16, tried, BY_ROOT, CHOICES, "choice", "tried", "1",         \
          "without being in use the candidate predicted (1), and told the "    \
          "planner (2)")                                                       \
    FIELD(TRY_STEPS, I64, try_steps, BY_ROOT, CHOICES, "choice", "try_steps",  \
          "count", "steps of the planner in the try")                          \
    FIELD(TRY_BYTES, I64, try_bytes, BY_ROOT, CHOICES, "choice", "try_bytes",  \
          "B", "size of the plan of the try as broadcast")                     \
    FIELD(CHOSEN, I16, chosen, BY_ROOT, CHOICES, "choice", "chosen", "1",      \
          "1: the candidate is to be used from the next iteration on")         \
    FIELD(ESTIMATE, F64, estimate, BY_ROOT, CHOICES, "choice", "estimate",     \
          "s",                                                                 \
          "modelled time of the iteration under the candidate, as "            \
          "iteration_time_gpu; NaN where it was not priced")                   \
    FIELD(AHEAD_ROWS, F64, ahead_rows, BY_ROOT, LAYERS, "work", "ahead_rows",  \
          "1", "GPUs per token, beside its home, that rows went ahead to")     \
    FIELD(NUMBERED, I16, numbered, BY_ROOT, LAYERS, "work", "numbered", "1",   \
          "times that pairs were numbered over all GPUs")                      \
    FIELD(SLOT_PAIRS, I32, slot_pairs, BY_RANKS, REPLICAS, "work",             \
          "slot_pairs", "count", "pairs that each replica computed")           \
    FIELD(EXCHANGE_DISPATCH, I64, exchange_dispatch, BY_RANKS, LINKS, "work",  \
          "dispatch", "B",                                                     \
          "rows in dispatch, the larger of sent and received")                 \
    FIELD(EXCHANGE_COMBINE, I64, exchange_combine, BY_RANKS, LINKS, "work",    \
          "combine", "B", "rows in combine, the larger of sent and received")  \
    FIELD(EXCHANGE_MIGRATE, I64, exchange_migrate, BY_RANKS, LINKS, "work",    \
          "migrate", "B", "weights migrated, the larger of sent and received") \
    FIELD(OWN_SEQUENCES, I32, own_sequences, BY_RANKS, RANKS, "work",          \
          "sequences", "count",                                                \
          "sequences whose attention is this GPU's alone")                     \
    FIELD(OWN_TOKENS, I32, own_tokens, BY_RANKS, RANKS, "work", "tokens",      \
          "count", "tokens of the batch that are at home on the GPU")          \
    FIELD(CACHED, F64, cached, BY_RANKS, RANKS, "work", "cached", "count",     \
          "decode: cached tokens of a sequence by positions, mean; 0: kv_len") \
    FIELD(PACE_ASKED, F64, pace_asked, BY_RANKS, PACES, "paced", "asked", "s", \
          "modelled time that the phase was to take")                          \
    FIELD(PACE_LATE, F64, pace_late, BY_RANKS, PACES, "paced", "late", "s",    \
          "by which it ended after its deadline")                              \
    FIELD(BESIDE, F64, beside, BY_RANKS, BESIDES, "paced", "beside_time", "s", \
          "from begin to end of what ran beside the layers, hidden or not")    \
    FIELD(SENDER_BYTES, I64, sender_bytes, BY_RANKS, SENDERS, "paced",         \
          "received", "B", "rows received of each GPU")                        \
    FIELD(SENDER_TIME, F64, sender_time, BY_RANKS, SENDERS, "paced",           \
          "transfer", "s",                                                     \
          "from announced, or posted where that was later , to arrived, sum "  \
          "over exchanges")                                                    \
    FIELD(SENDER_LATE, F64, sender_late, BY_RANKS, SENDERS, "paced",           \
          "sender_late", "s",                                                  \
          "by which the GPU announced its rows after they were wanted, sum "   \
          "over exchanges")                                                    \
    FIELD(TRAVEL, F64, travel, BY_RANKS, TRAVELS, "paced", "travel_time", "s", \
          "from rows being sent to all having arrived, hidden or not")         \
    FIELD(TRAVEL_EXPOSED, F64, travel_exposed, BY_RANKS, TRAVELS, "paced",     \
          "travel_exposed", "s", "part of that which the layer waited for")

#endif
