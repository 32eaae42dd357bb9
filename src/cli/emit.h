/** emit.h: placements for engines: --emit ENGINE=FILE, of plan and of advise. */
#ifndef MOEGPS_CLI_EMIT_H
#define MOEGPS_CLI_EMIT_H

#include "moegps/model.h"
#include "moegps/options.h"
#include "moegps/placement.h"

/** A placement that a planner made. All borrowed. */
typedef struct moe_emission {
    int layers, experts, gpus, slots; /* slots per GPU */
    const int32_t *layer_number;      /* [layers] of the model */
    const moe_model *model;           /* NULL: not known */
    const int16_t *expert;            /* [layers][gpus][slots], -1: empty */
    const double *load; /* [layers][experts] that it was planned for */
} moe_emission;

/** Rows of a command's table; `member` is a moe_strings. */
#define MOE_ARGS_EMIT(member)                                               \
    {                                                                       \
        .key = "emit", .form = "ENGINE=FILE", .type = MOE_OPT_STRINGS,      \
        .initial = "", AT(member),                                          \
        .help =                                                             \
            "write the placement as sglang, vllm, trtllm or ascend reads "  \
            "it; it is planned and scored with copies that share equally, " \
            "as engines have it, and empty slots are filled with the "      \
            "copies that help most",                                        \
        .writes = true                                                      \
    }

/** Check what was typed, before anything is planned.
 *  @return MOE_OK, MOE_USAGE (no such engine; a file that exists). */
moe_status moe_emit_check(const moe_strings *emit, bool force, moe_error *err);

/** Fill every slot (fill.h).
 *  @param out  release with moe_placement_fini(); untouched on error.
 *  @return MOE_OK, MOE_MISMATCH (a layer that the model has not), MOE_NOMEM. */
moe_status moe_emit_fill(const moe_emission *e, moe_placement *out,
                         moe_error *err);

/** Write the files. With a model they have all its MoE layers, as engines want
 *  them: those that are not in the placement have experts in order, which is
 *  said. @return MOE_OK, as moe_placement_write(). */
moe_status moe_emit_write(const moe_strings *emit, const moe_placement *p,
                          const moe_model *model, bool force, moe_error *err);

#endif
