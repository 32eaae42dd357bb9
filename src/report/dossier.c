/* SPDX-License-Identifier: Apache-2.0 */
#include "dossier.h"

#include <stdio.h>
#include <stdlib.h>

#include "moegps/regime_map.h"
#include "moegps/mem.h"

/* What cannot be priced here has no guide; the outlook says why. */
static void guide(moe_dossier_run *run, moe_error *err)
{
    moe_error local = {0};
    if (!run->detailed || run->outlook == NULL || !run->outlook->known ||
        run->view->dims.gpus < 2)
        return;
    moe_guide_init(&run->guide, run->view, &run->detail, &local);
    if (local.status == MOE_OK) {
        run->guided =
            moe_map_slice_init(&run->slice, &run->guide, MOE_ADVISE_TYPICAL, 0,
                               0, &local) == MOE_OK;
        if (!run->guided)
            moe_map_fini(&run->guide);
    }
    if (local.status == MOE_NOMEM)
        moe_pass(err, &local);
}

static void gather(moe_dossier_run *run, size_t runs, moe_error *err)
{
    moe_error local = {0};
    if (moe_verdict_find(run->view, &run->verdict, err) != MOE_OK)
        return;
    const int of =
        run->verdict.best >= 0 ? run->verdict.best : run->view->reference_index;
    const moe_status status = moe_detail_read(run->view, of, run->verdict.clock,
                                              &run->detail, &local);
    run->detailed = status == MOE_OK;
    snprintf(run->why, sizeof run->why, "%s", local.text);
    if (status != MOE_OK && status != MOE_USAGE && status != MOE_MISMATCH)
        moe_fail(err, status, "%s", local.text);
    if (err->status == MOE_OK && runs == 1)
        guide(run, err);
}

moe_status moe_dossier_init(moe_dossier *d, const moe_report_set *set,
                            moe_error *err)
{
    moe_error local = {0};
    *d = (moe_dossier){.n = set->n, .map = set->maps, .n_maps = set->n_maps};
    d->run = moe_array_new(d->n, sizeof *d->run, &local);
    for (size_t i = 0; i < d->n && local.status == MOE_OK; i++) {
        d->run[i].view = &set->views[i];
        if (set->outlook != NULL)
            d->run[i].outlook = &set->outlook[i];
        gather(&d->run[i], d->n, &local);
    }
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_dossier_fini(d);
    return moe_pass(err, &local);
}

void moe_dossier_fini(moe_dossier *d)
{
    for (size_t i = 0; d->run != NULL && i < d->n; i++) {
        moe_detail_free(&d->run[i].detail);
        if (!d->run[i].guided)
            continue;
        moe_map_slice_fini(&d->run[i].slice);
        moe_map_fini(&d->run[i].guide);
    }
    free(d->run);
    *d = (moe_dossier){0};
}
