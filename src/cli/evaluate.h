/** evaluate.h: what `moegps evaluate` found, and how it is told. */
#ifndef MOEGPS_CLI_EVALUATE_H
#define MOEGPS_CLI_EVALUATE_H

#include "moegps/document.h"
#include "moegps/evaluate.h"

typedef struct moe_evaluate_subject {
    char label[128]; /* as typed, options included */
    const moe_predictor *predictor;
    void *params; /* owned */
    moe_evaluation result;
} moe_evaluate_subject;

typedef struct moe_evaluate_report {
    const moe_trace *trace;
    moe_learned learned; /* n_parts 0: no file was asked for */
    const char *trace_name;
    int batch, seq, gpus;
    uint64_t seed;
    bool priced, per_layer;
    moe_model model; /* of the price, as are the next three */
    moe_cluster cluster;
    moe_pricer pricer;
    void *cost_state;              /* owned */
    moe_evaluate_subject *subject; /* [n] owned */
    size_t n;
} moe_evaluate_report;

/** Say all: accuracy, costs and, if asked for, both by layer. */
void moe_evaluate_say(moe_document *doc, const moe_evaluate_report *report);

/** Write a row per predictor and layer; layer is empty for means over
 *  layers. @param path  "-": stdout. @return as moe_replace_close(). */
moe_status moe_evaluate_write_csv(const moe_evaluate_report *report,
                                  const char *path, bool force, moe_error *err);
moe_status moe_evaluate_write_json(const moe_evaluate_report *report,
                                   const char *path, bool force,
                                   moe_error *err);

#endif
