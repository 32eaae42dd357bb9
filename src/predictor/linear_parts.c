/* SPDX-License-Identifier: Apache-2.0 */
#include "linear_parts.h"

#include <stdio.h>
#include <string.h>

static moe_learned_shape shape_of(const moe_trace *t, size_t width,
                                  int lookahead, char *name, size_t size)
{
    snprintf(name, size, "weight_%d", lookahead);
    return (moe_learned_shape){
        name,
        3,
        {"layer", "feature", "expert"},
        {(uint64_t)t->layers, width, (uint64_t)t->experts}};
}

static const moe_learned_shape gated = {"gated", 1, {"one"}, {1}};

/* The lookaheads that a part has, "1, 2". */
static void list_lookaheads(const moe_learned_part *part, char *text,
                            size_t size)
{
    size_t at = 0;
    *text = '\0';
    for (int a = 0; a < part->n_arrays && at < size; a++)
        if (strncmp(part->array[a].name, "weight_", 7) == 0)
            at += (size_t)snprintf(text + at, size - at, "%s%s",
                                   at > 0 ? ", " : "", part->array[a].name + 7);
}

const float *moe_linear_weights(const moe_learned_part *part,
                                const moe_trace *trace, size_t width,
                                int lookahead, moe_error *err)
{
    char name[48], there[256];
    moe_learned_shape s = shape_of(trace, width, lookahead, name, sizeof name);
    const float *with = moe_learned_get(part, &gated, err);
    if (with == NULL)
        return NULL;
    if ((*with > 0) != (trace->gate != NULL)) {
        moe_fail(err, MOE_MISMATCH,
                 "predictor %s: was trained %s gate weights, the trace is %s "
                 "them",
                 part->predictor, *with > 0 ? "with" : "without",
                 trace->gate != NULL ? "with" : "without");
        return NULL;
    }
    list_lookaheads(part, there, sizeof there);
    if (moe_learned_has(part, name))
        return moe_learned_get(part, &s, err);
    moe_fail(err, MOE_USAGE,
             "predictor %s: was not trained for lookahead %d, only for %s",
             part->predictor, lookahead, there);
    return NULL;
}

float *moe_linear_put_weights(moe_learned_part *part, const moe_trace *trace,
                              size_t width, int lookahead, moe_error *err)
{
    char name[48];
    const moe_learned_shape s =
        shape_of(trace, width, lookahead, name, sizeof name);
    return moe_learned_put(part, &s, err);
}

moe_status moe_linear_note_gates(moe_learned_part *part, const moe_trace *trace,
                                 moe_error *err)
{
    float *with = moe_learned_put(part, &gated, err);
    if (with != NULL)
        *with = trace->gate != NULL;
    return err->status;
}
