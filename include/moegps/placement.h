/** placement.h: which expert is in which slot, in the files of engines.
 *
 *  Engines number physical slots over all GPUs, GPU after GPU, and load a map
 *  from them to logical experts. The forms, by the engines' own sources:
 *
 *    moegps  {"physical_to_logical": [layers][slots], "layer_number", ...}
 *    sglang  {"physical_to_logical_map": [all layers of the model][slots]}
 *    vllm    {"version": 2, "format":
 *             "vllm_offline_eplb_physical_to_logical_by_model", "model_maps":
 *             {MODEL: {"physical_to_logical_map": [MoE layers][slots]}}}
 *    trtllm  YAML: num_slots, initial_global_assignments {layer: [slots]}
 *    ascend  {"moe_layer_count", "layer_list": [{"layer_id", "device_count",
 *             "device_list": [{"device_id", "device_expert": [experts]}]}]}
 */
#ifndef MOEGPS_PLACEMENT_H
#define MOEGPS_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "moegps/status.h"

typedef struct moe_placement {
    int layers, slots;     /* slots of all GPUs together */
    int experts;           /* largest expert + 1, or what the file says */
    int gpus;              /* 0: the file does not say */
    bool numbered;         /* the file says which layers it has */
    int32_t *layer_number; /* [layers] rising; owned */
    int16_t *expert;       /* [layers][slots], -1: empty; owned */
    float *quota; /* [layers][slots] share of its expert; NULL: as in engines,
                     copies share equally; owned */
} moe_placement;

/** Read a placement of any form; the content decides.
 *  @param model  whose map is wanted where a file has several; NULL or "": the
 *  only one.
 *  @param out  release with moe_placement_fini(); untouched on error.
 *  @return MOE_OK, MOE_USAGE (no such file), MOE_FORMAT, MOE_NOMEM. */
moe_status moe_placement_read(const char *path, const char *model,
                              moe_placement *out, moe_error *err);
void moe_placement_fini(moe_placement *placement);

/** Allocate, every slot empty, layers numbered from 0.
 *  @return MOE_OK, MOE_FORMAT (no or too many layers or slots), MOE_NOMEM. */
moe_status moe_placement_init(moe_placement *placement, int layers, int slots,
                              moe_error *err);

/** @return the row of the layer with this number; NULL: there is none.
 *  Where the file numbers no layers, and has `n_layers`, these are meant in
 *  order, and `layer` counts among them. */
const int16_t *moe_placement_row(const moe_placement *placement, int number,
                                 int layer, int n_layers);

typedef enum moe_engine_form {
    MOE_FORM_SGLANG,
    MOE_FORM_VLLM,
    MOE_FORM_TRTLLM,
    MOE_FORM_ASCEND,
    MOE_N_FORMS
} moe_engine_form;

/** @return "sglang", "vllm", "trtllm", "ascend". */
const char *moe_engine_form_name(moe_engine_form form);

/** Write a placement without empty slots as an engine reads it.
 *  @param placement  gpus > 0; slots divide among them.
 *  @param model   name in vLLM's file.
 *  @param n_layers  rows that SGLang's file has: those of the whole model;
 *  rows of layers that are not here place experts in order. 0: up to the last.
 *  @return MOE_OK, MOE_FORMAT (an empty slot), MOE_IO, MOE_NOMEM. */
moe_status moe_placement_write(const moe_placement *placement,
                               moe_engine_form form, const char *model,
                               int n_layers, FILE *out, moe_error *err);

#endif
