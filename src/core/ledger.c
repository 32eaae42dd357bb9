/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ledger.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

static double *new_reals(size_t n, moe_error *err)
{
    double *x = moe_array_new(n, sizeof *x, err);
    for (size_t j = 0; x != NULL && j < n; j++)
        x[j] = NAN;
    return x;
}

/* All bytes 0xff is -1 in every signed integer type. */
static void *new_counts(size_t n, size_t size, moe_error *err)
{
    void *x = moe_array_new(n, size, err);
    if (x != NULL)
        memset(x, 0xff, n * size);
    return x;
}

const char *moe_link_name(int link)
{
    return link == 0 ? "node" : "network";
}

static void init_global(moe_ledger *ledger, size_t si, size_t sil,
                        moe_error *err)
{
    const moe_ledger_dims *d = &ledger->dims;
    size_t il = (size_t)d->iterations * (size_t)d->layers;
    size_t e = (size_t)d->experts, gk = (size_t)d->gpus * (size_t)d->slots;
    size_t warm = (size_t)d->strategies * (size_t)d->warmup;
    ledger->order = new_counts(si, sizeof *ledger->order, err);
    ledger->warmup_wall = new_reals(warm, err);
    ledger->true_pairs = new_counts(il * e, sizeof *ledger->true_pairs, err);
    ledger->predicted_pairs = new_reals(sil * e, err);
    ledger->error = new_reals(sil, err);
    ledger->top1 = new_reals(sil, err);
    ledger->recall = new_reals(sil, err);
    ledger->in_place = new_reals(sil, err);
    ledger->slot_expert =
        new_counts(sil * gk, sizeof *ledger->slot_expert, err);
    ledger->slot_quota =
        moe_array_new(sil * gk, sizeof *ledger->slot_quota, err);
    ledger->moved_bytes = new_counts(sil, sizeof *ledger->moved_bytes, err);
    ledger->wire_bytes = new_counts(si, sizeof *ledger->wire_bytes, err);
    ledger->planner_cpu = new_reals(sil, err);
    for (int v = 0; v < MOE_N_LEVELS; v++)
        ledger->busiest[v] = new_counts(sil, sizeof *ledger->busiest[v], err);
    for (size_t j = 0; ledger->slot_quota != NULL && j < sil * gk; j++)
        ledger->slot_quota[j] = NAN;
}

moe_status moe_ledger_init(moe_ledger *ledger, const moe_ledger_dims *dims,
                           int rank, moe_error *err)
{
    *ledger = (moe_ledger){.dims = *dims};
    moe_error local = {0};
    size_t si = (size_t)dims->strategies * (size_t)dims->iterations;
    size_t sil = si * (size_t)dims->layers;
    size_t silp = sil * MOE_N_PHASES;
    ledger->wall = new_reals(silp, &local);
    ledger->cpu = new_reals(silp, &local);
    ledger->gpu = new_reals(silp, &local);
    ledger->exposed = new_reals(silp, &local);
    ledger->wait = new_reals(silp, &local);
    ledger->price_source =
        new_counts(silp, sizeof *ledger->price_source, &local);
    ledger->rank_pairs = new_counts(sil, sizeof *ledger->rank_pairs, &local);
    ledger->slot_pairs = new_counts(sil * (size_t)dims->slots,
                                    sizeof *ledger->slot_pairs, &local);
    for (int h = 0; h < MOE_N_HAULS; h++)
        ledger->haul[h] =
            new_counts(sil * MOE_N_LINKS, sizeof *ledger->haul[h], &local);
    ledger->dispatch_bytes =
        moe_array_new((size_t)dims->strategies * (size_t)dims->gpus,
                      sizeof *ledger->dispatch_bytes, &local);
    ledger->ahead_bytes =
        moe_array_new((size_t)dims->strategies * (size_t)dims->gpus,
                      sizeof *ledger->ahead_bytes, &local);
    if (rank == 0)
        init_global(ledger, si, sil, &local);
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_ledger_fini(ledger);
    return moe_fail(err, local.status, "ledger: %s", local.text);
}

void moe_ledger_fini(moe_ledger *ledger)
{
    void *arrays[] = {
        ledger->wall,           ledger->cpu,         ledger->gpu,
        ledger->exposed,        ledger->wait,        ledger->rank_pairs,
        ledger->dispatch_bytes, ledger->ahead_bytes, ledger->order,
        ledger->warmup_wall,    ledger->true_pairs,  ledger->predicted_pairs,
        ledger->error,          ledger->top1,        ledger->recall,
        ledger->in_place,       ledger->slot_expert, ledger->slot_quota,
        ledger->moved_bytes,    ledger->wire_bytes,  ledger->planner_cpu,
        ledger->price_source,   ledger->slot_pairs};
    for (size_t j = 0; j < MOE_ARRAY_LEN(arrays); j++)
        free(arrays[j]);
    for (int v = 0; v < MOE_N_LEVELS; v++)
        free(ledger->busiest[v]);
    for (int h = 0; h < MOE_N_HAULS; h++)
        free(ledger->haul[h]);
    *ledger = (moe_ledger){0};
}

double moe_ledger_bytes(const moe_ledger_dims *d, int rank)
{
    const double si = (double)d->strategies * d->iterations;
    const double sil = si * d->layers;
    double bytes =
        sil * (MOE_N_PHASES * (5.0 * sizeof(double) + sizeof(int16_t)) +
               (1.0 + d->slots) * sizeof(int32_t) +
               MOE_N_HAULS * MOE_N_LINKS * sizeof(int64_t));
    if (rank != 0)
        return bytes;
    const double slot = sizeof(int16_t) + sizeof(double);
    bytes += (double)d->iterations * d->layers * d->experts * sizeof(int32_t);
    bytes += sil * (d->experts + 5.0) * sizeof(double);
    bytes += sil * MOE_N_LEVELS * sizeof(int32_t);
    return bytes + sil * d->gpus * d->slots * slot;
}
