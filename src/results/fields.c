/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

#include <assert.h>
#include <string.h>

#include "moegps/mem.h"

#define DIMS(name, ...) static const char *const name[] = {__VA_ARGS__, NULL}
#define SIL "strategy", "iteration", "layer"

DIMS(ITERATIONS, "strategy", "iteration");
DIMS(LAYERS, SIL);
DIMS(TIMES, SIL, "phase", "rank");
DIMS(RANKS, SIL, "rank");
DIMS(EXPERTS, SIL, "expert");
DIMS(SLOTS, SIL, "gpu", "slot");
DIMS(REPLICAS, SIL, "slot", "rank");
DIMS(HAULS, SIL, "link", "rank");
DIMS(TRUE_LOAD, "iteration", "layer", "expert");
DIMS(WARMUPS, "strategy", "warmup");
DIMS(TRAFFIC, "strategy", "source", "destination");

#define AT(member) offsetof(moe_ledger, member)

static const char *source_name(int value)
{
    return moe_price_source_name((moe_price_source)value);
}

const moe_field moe_fields[MOE_N_FIELDS] = {
    [MOE_FIELD_WALL] = {"timing", "wall", MOE_ELEMENT_F64, MOE_HELD_BY_RANKS,
                        TIMES, "s", "measured time without waiting", AT(wall)},
    [MOE_FIELD_CPU] = {"timing", "cpu", MOE_ELEMENT_F64, MOE_HELD_BY_RANKS,
                       TIMES, "s", "CPU time of the process", AT(cpu)},
    [MOE_FIELD_GPU] = {"timing", "gpu", MOE_ELEMENT_F64, MOE_HELD_BY_RANKS,
                       TIMES, "s",
                       "modelled time of the emulated GPU, hidden or not",
                       AT(gpu)},
    [MOE_FIELD_EXPOSED] = {"timing", "exposed", MOE_ELEMENT_F64,
                           MOE_HELD_BY_RANKS, TIMES, "s",
                           "modelled time that attention does not hide",
                           AT(exposed)},
    [MOE_FIELD_WAIT] = {"timing", "wait", MOE_ELEMENT_F64, MOE_HELD_BY_RANKS,
                        TIMES, "s",
                        "barrier before the collective of the phase", AT(wait)},
    [MOE_FIELD_PRICE_SOURCE] = {"timing", "price_source", MOE_ELEMENT_I16,
                                MOE_HELD_BY_RANKS, TIMES, "1",
                                "where the price of gpu is from",
                                AT(price_source), MOE_N_PRICE_SOURCES,
                                source_name},
    [MOE_FIELD_LAYER_WALL] =
        {"timing", "layer_time_wall", MOE_ELEMENT_F64, MOE_HELD_BY_NONE, LAYERS,
         "s", "slowest rank's time of a layer, waiting included", SIZE_MAX},
    [MOE_FIELD_LAYER_CPU] = {"timing", "layer_time_cpu", MOE_ELEMENT_F64,
                             MOE_HELD_BY_NONE, LAYERS, "s",
                             "busiest rank's CPU time of a layer", SIZE_MAX},
    [MOE_FIELD_LAYER_GPU] =
        {"timing", "layer_time_gpu", MOE_ELEMENT_F64, MOE_HELD_BY_NONE, LAYERS,
         "s", "modelled time of a layer: sum of each phase's slowest GPU",
         SIZE_MAX},
    [MOE_FIELD_ITERATION_WALL] = {"timing", "iteration_time_wall",
                                  MOE_ELEMENT_F64, MOE_HELD_BY_NONE, ITERATIONS,
                                  "s", "sum of layer_time_wall", SIZE_MAX},
    [MOE_FIELD_ITERATION_CPU] = {"timing", "iteration_time_cpu",
                                 MOE_ELEMENT_F64, MOE_HELD_BY_NONE, ITERATIONS,
                                 "s", "sum of layer_time_cpu", SIZE_MAX},
    [MOE_FIELD_ITERATION_GPU] = {"timing", "iteration_time_gpu",
                                 MOE_ELEMENT_F64, MOE_HELD_BY_NONE, ITERATIONS,
                                 "s", "sum of layer_time_gpu", SIZE_MAX},
    [MOE_FIELD_ORDER] = {"timing", "order", MOE_ELEMENT_I32, MOE_HELD_BY_ROOT,
                         ITERATIONS, "1",
                         "position of the strategy within the iteration",
                         AT(order)},
    [MOE_FIELD_WARMUP_TIME] = {"timing", "warmup_time", MOE_ELEMENT_F64,
                               MOE_HELD_TO_END, WARMUPS, "s",
                               "wall time of a warm-up iteration, slowest rank",
                               AT(warmup_wall)},
    [MOE_FIELD_TRUE_PAIRS] = {"load", "true_pairs", MOE_ELEMENT_I32,
                              MOE_HELD_BY_ROOT, TRUE_LOAD, "count",
                              "pairs routed to each expert", AT(true_pairs)},
    [MOE_FIELD_PREDICTED_PAIRS] = {"load", "predicted_pairs", MOE_ELEMENT_F64,
                                   MOE_HELD_BY_ROOT, EXPERTS, "count",
                                   "pairs predicted for each expert",
                                   AT(predicted_pairs)},
    [MOE_FIELD_RANK_PAIRS] = {"load", "rank_pairs", MOE_ELEMENT_I32,
                              MOE_HELD_BY_RANKS, RANKS, "count",
                              "pairs that each rank's replicas computed",
                              AT(rank_pairs)},
    [MOE_FIELD_ERROR] = {"prediction", "error", MOE_ELEMENT_F64,
                         MOE_HELD_BY_ROOT, LAYERS, "1",
                         "mean over experts of |p^ - p| / (1/E)", AT(error)},
    [MOE_FIELD_TOP1] = {"prediction", "top1", MOE_ELEMENT_F64, MOE_HELD_BY_ROOT,
                        LAYERS, "1",
                        "share of tokens whose first expert was predicted",
                        AT(top1)},
    [MOE_FIELD_RECALL] = {"prediction", "recall", MOE_ELEMENT_F64,
                          MOE_HELD_BY_ROOT, LAYERS, "1",
                          "share of a token's experts that were predicted",
                          AT(recall)},
    [MOE_FIELD_IN_PLACE] = {"prediction", "in_place", MOE_ELEMENT_F64,
                            MOE_HELD_BY_ROOT, LAYERS, "1",
                            "share of pairs that direct routing had in place",
                            AT(in_place)},
    [MOE_FIELD_SLOT_EXPERT] = {"plan", "slot_expert", MOE_ELEMENT_I16,
                               MOE_HELD_BY_ROOT, SLOTS, "1",
                               "expert whose weights the slot holds",
                               AT(slot_expert)},
    [MOE_FIELD_SLOT_QUOTA] = {"plan", "slot_quota", MOE_ELEMENT_F64,
                              MOE_HELD_BY_ROOT, SLOTS, "1",
                              "planned share of the expert's pairs",
                              AT(slot_quota)},
    [MOE_FIELD_MOVED_BYTES] = {"plan", "moved_bytes", MOE_ELEMENT_I64,
                               MOE_HELD_BY_ROOT, LAYERS, "B",
                               "full-size weights migrated, all GPUs",
                               AT(moved_bytes)},
    [MOE_FIELD_WIRE_BYTES] = {"plan", "wire_bytes", MOE_ELEMENT_I64,
                              MOE_HELD_BY_ROOT, ITERATIONS, "B",
                              "size of the plan as broadcast", AT(wire_bytes)},
    [MOE_FIELD_PLANNER_TIME] = {"plan", "planner_time", MOE_ELEMENT_F64,
                                MOE_HELD_BY_ROOT, LAYERS, "s",
                                "CPU time of the planner alone",
                                AT(planner_cpu)},
    [MOE_FIELD_BUSIEST] = {"regret", "actual", MOE_ELEMENT_I32,
                           MOE_HELD_BY_ROOT, LAYERS, "count",
                           "pairs that the busiest GPU computed",
                           AT(busiest[MOE_LEVEL_ACTUAL])},
    [MOE_FIELD_BUSIEST_MINMAX] = {"regret", "minmax", MOE_ELEMENT_I32,
                                  MOE_HELD_BY_ROOT, LAYERS, "count",
                                  "had its placement been divided best",
                                  AT(busiest[MOE_LEVEL_MINMAX])},
    [MOE_FIELD_BUSIEST_ORACLE_PLAN] = {"regret", "oracle_plan", MOE_ELEMENT_I32,
                                       MOE_HELD_BY_ROOT, LAYERS, "count",
                                       "had the planner known the true load",
                                       AT(busiest[MOE_LEVEL_ORACLE_PLAN])},
    [MOE_FIELD_BUSIEST_BEST] = {"regret", "best", MOE_ELEMENT_I32,
                                MOE_HELD_BY_ROOT, LAYERS, "count",
                                "under the best plan known for these slots",
                                AT(busiest[MOE_LEVEL_BEST])},
    [MOE_FIELD_BUSIEST_BOUND] = {"regret", "bound", MOE_ELEMENT_I32,
                                 MOE_HELD_BY_ROOT, LAYERS, "count",
                                 "what no plan of these slots can go below",
                                 AT(busiest[MOE_LEVEL_BOUND])},
    [MOE_FIELD_DISPATCH_BYTES] =
        {"traffic", "dispatch_bytes", MOE_ELEMENT_I64, MOE_HELD_TO_END, TRAFFIC,
         "B", "sent in dispatch, all measured iterations and layers",
         AT(dispatch_bytes)},
    [MOE_FIELD_AHEAD_BYTES] =
        {"traffic", "ahead_bytes", MOE_ELEMENT_I64, MOE_HELD_TO_END, TRAFFIC,
         "B", "sent before dispatch by direct routing, likewise",
         AT(ahead_bytes)},
    [MOE_FIELD_SLOT_PAIRS] = {"work", "slot_pairs", MOE_ELEMENT_I32,
                              MOE_HELD_BY_RANKS, REPLICAS, "count",
                              "pairs that each replica computed",
                              AT(slot_pairs)},
    [MOE_FIELD_HAUL_DISPATCH] = {"work", "dispatch", MOE_ELEMENT_I64,
                                 MOE_HELD_BY_RANKS, HAULS, "B",
                                 "rows in dispatch, the larger of sent and "
                                 "received",
                                 AT(haul[MOE_HAUL_DISPATCH])},
    [MOE_FIELD_HAUL_COMBINE] = {"work", "combine", MOE_ELEMENT_I64,
                                MOE_HELD_BY_RANKS, HAULS, "B",
                                "rows in combine, likewise",
                                AT(haul[MOE_HAUL_COMBINE])},
    [MOE_FIELD_HAUL_MIGRATE] = {"work", "migrate", MOE_ELEMENT_I64,
                                MOE_HELD_BY_RANKS, HAULS, "B",
                                "weights migrated, likewise",
                                AT(haul[MOE_HAUL_MIGRATE])},
};

moe_field_id moe_traffic_field(int t)
{
    static const moe_field_id ids[MOE_N_TRAFFIC] = {MOE_FIELD_DISPATCH_BYTES,
                                                    MOE_FIELD_AHEAD_BYTES};
    return ids[t];
}

hid_t moe_element_file_type(moe_element element)
{
    switch (element) {
    case MOE_ELEMENT_F64:
        return H5T_IEEE_F64LE;
    case MOE_ELEMENT_I64:
        return H5T_STD_I64LE;
    case MOE_ELEMENT_I32:
        return H5T_STD_I32LE;
    case MOE_ELEMENT_I16:
        return H5T_STD_I16LE;
    }
    assert(false);
    return H5I_INVALID_HID;
}

hid_t moe_element_mem_type(moe_element element)
{
    switch (element) {
    case MOE_ELEMENT_F64:
        return H5T_NATIVE_DOUBLE;
    case MOE_ELEMENT_I64:
        return H5T_NATIVE_INT64;
    case MOE_ELEMENT_I32:
        return H5T_NATIVE_INT32;
    case MOE_ELEMENT_I16:
        return H5T_NATIVE_INT16;
    }
    assert(false);
    return H5I_INVALID_HID;
}

MPI_Datatype moe_element_mpi_type(moe_element element)
{
    switch (element) {
    case MOE_ELEMENT_F64:
        return MPI_DOUBLE;
    case MOE_ELEMENT_I64:
        return MPI_INT64_T;
    case MOE_ELEMENT_I32:
        return MPI_INT32_T;
    case MOE_ELEMENT_I16:
        return MPI_INT16_T;
    }
    assert(false);
    return MPI_DATATYPE_NULL;
}

size_t moe_element_size(moe_element element)
{
    static const size_t size[] = {
        [MOE_ELEMENT_F64] = 8,
        [MOE_ELEMENT_I64] = 8,
        [MOE_ELEMENT_I32] = 4,
        [MOE_ELEMENT_I16] = 2,
    };
    return size[element];
}

size_t moe_dims_extent(const moe_ledger_dims *dims, const char *name)
{
    const struct {
        const char *name;
        int extent;
    } extents[] = {
        {"strategy", dims->strategies}, {"iteration", dims->iterations},
        {"layer", dims->layers},        {"phase", MOE_N_PHASES},
        {"rank", dims->ranks},          {"expert", dims->experts},
        {"warmup", dims->warmup},       {"gpu", dims->gpus},
        {"slot", dims->slots},          {"source", dims->gpus},
        {"destination", dims->gpus},    {"link", MOE_N_LINKS},
    };
    for (size_t i = 0; i < MOE_ARRAY_LEN(extents); i++)
        if (strcmp(extents[i].name, name) == 0)
            return (size_t)extents[i].extent;
    assert(false);
    return 0;
}

int moe_field_rank(const moe_field *field)
{
    int rank = 0;
    while (field->dims[rank] != NULL)
        rank++;
    return rank;
}

bool moe_field_present(const moe_field *field, const moe_ledger_dims *dims)
{
    for (int d = 0; d < moe_field_rank(field); d++)
        if (moe_dims_extent(dims, field->dims[d]) == 0)
            return false;
    return true;
}

size_t moe_field_inner(const moe_field *field, const moe_ledger_dims *dims)
{
    size_t inner = 1;
    for (int d = 0; d < moe_field_rank(field); d++) {
        const char *dim = field->dims[d];
        if (strcmp(dim, "strategy") != 0 && strcmp(dim, "iteration") != 0 &&
            strcmp(dim, "rank") != 0)
            inner *= moe_dims_extent(dims, dim);
    }
    return inner;
}

char *moe_field_room(const moe_field *field, const moe_ledger *ledger)
{
    char *data = NULL;
    assert(field->holder != MOE_HELD_BY_NONE);
    memcpy(&data, (const char *)ledger + field->offset, sizeof data);
    return data;
}

const void *moe_field_data(const moe_field *field, const moe_ledger *ledger)
{
    return moe_field_room(field, ledger);
}
