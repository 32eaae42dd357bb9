/* dossier.h: all that a report of several runs knows, gathered once. */
#ifndef MOEGPS_REPORT_DOSSIER_H
#define MOEGPS_REPORT_DOSSIER_H

#include <stdbool.h>

#include "moegps/detail.h"
#include "moegps/report.h"
#include "moegps/view.h"
#include "moegps/map_slice.h"
#include "moegps/sensitivity.h"
#include "moegps/verdict.h"

typedef struct moe_dossier_run {
    const moe_view *view; /* borrowed */
    moe_verdict verdict;
    bool detailed;     /* its file is here; else `detail` is empty */
    moe_detail detail; /* stragglers and traffic are of the verdict's best, or
                          of the reference where nothing was measured */
    char why[MOE_ERROR_LEN];    /* not detailed */
    const moe_outlook *outlook; /* borrowed; NULL: nobody looked */
    bool guided;                /* a single run whose prices are known here: */
    moe_map guide;              /* who wins around it */
    moe_map_slice slice;        /* all of that */
} moe_dossier_run;

typedef struct moe_dossier {
    moe_dossier_run *run; /* [n], owned */
    size_t n;
    const moe_map *map; /* [n_maps], borrowed */
    size_t n_maps;
} moe_dossier;

/* Gather. A run whose file is gone or of another run has no details; other
 * failures are errors.
 * @return MOE_OK, MOE_FORMAT, MOE_NOMEM, MOE_IO. */
moe_status moe_dossier_init(moe_dossier *d, const moe_report_set *set,
                            moe_error *err);
void moe_dossier_fini(moe_dossier *d);

#endif
