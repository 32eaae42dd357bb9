/* SPDX-License-Identifier: Apache-2.0 */
#include "dossier.h"

#include <stdio.h>
#include <stdlib.h>

#include "moegps/mem.h"

static void gather(moe_dossier_run *run, moe_error *err)
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
}

moe_status moe_dossier_init(moe_dossier *d, const moe_report_set *set,
                            moe_error *err)
{
    moe_error local = {0};
    *d = (moe_dossier){.n = set->n, .map = set->maps, .n_maps = set->n_maps};
    d->run = moe_array_new(d->n, sizeof *d->run, &local);
    for (size_t i = 0; i < d->n && local.status == MOE_OK; i++) {
        d->run[i].view = &set->views[i];
        gather(&d->run[i], &local);
    }
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_dossier_fini(d);
    return moe_fail(err, local.status, "%s", local.text);
}

void moe_dossier_fini(moe_dossier *d)
{
    for (size_t i = 0; d->run != NULL && i < d->n; i++)
        moe_detail_free(&d->run[i].detail);
    free(d->run);
    *d = (moe_dossier){0};
}
