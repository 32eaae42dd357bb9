/* SPDX-License-Identifier: Apache-2.0 */
#include "linear_model.h"

/* As linear, and the hidden state that was recorded in an earlier layer. */

typedef struct {
    moe_scorer_params scorer; /* the first member */
    char path[1024];
} hidden_params;

static const moe_opt options[] = {
    {.key = "path",
     .type = MOE_OPT_TEXT,
     .initial = "",
     MOE_OPT_AT(hidden_params, path),
     .help = "HDF5 file with `hidden` (layer, token, width) for the trace"},
    MOE_SCORER_OPTIONS(hidden_params, scorer),
    {.key = NULL}};

static const char *file(const void *params)
{
    return ((const hidden_params *)params)->path;
}

const moe_predictor moe_predictor_hidden = {
    .name = "hidden",
    .help = "linear, and on hidden states that were recorded beside the trace",
    .sees = MOE_SEES_IDS | MOE_SEES_HIDDEN,
    .opts = options,
    .params_size = sizeof(hidden_params),
    .file = file,
    MOE_LINEAR_HOOKS};
