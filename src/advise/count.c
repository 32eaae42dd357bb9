/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "internal.h"

/* Pairs [from, to) of an expert. */
typedef struct {
    uint64_t from, to;
} interval;

static double overlap(interval a, interval b)
{
    const uint64_t from = a.from > b.from ? a.from : b.from;
    const uint64_t to = a.to < b.to ? a.to : b.to;
    return to > from ? (double)(to - from) : 0.0;
}

/* Who of the replica's node sends it which of its own pairs? The rest
 * comes from other nodes. What a GPU keeps costs nothing. */
static void count_replica(const moe_advise_planning *w,
                          const moe_advise_load *load, int e, int gpu,
                          interval own, moe_advise_placement *placement)
{
    const int node = moe_layout_node(&w->layout, gpu);
    const int first = node * w->layout.gpus_per_node;
    int end = first + w->layout.gpus_per_node;
    end = end < w->layout.gpus ? end : w->layout.gpus;
    double near = 0.0, kept = 0.0;
    moe_advise_bound bound = moe_advise_bound_of(load, first, e);
    for (int g = first; g < end && own.to > bound.at; g++) {
        const uint64_t at = bound.at, stop = moe_advise_bound_next(&bound);
        const double n = overlap(own, (interval){at, stop});
        if (g == gpu)
            kept = n;
        else
            placement->sent[g][0] += n;
        /* Far pairs of g: all of them, less those that stay on the node. */
        placement->sent[g][1] -= n;
        near += n;
    }
    placement->received[gpu][0] += near - kept;
    placement->received[gpu][1] += (double)(own.to - own.from) - near;
}

static void clear_counts(const moe_advise_planning *w,
                         const moe_advise_load *load,
                         moe_advise_placement *placement)
{
    const size_t g_n = (size_t)w->layout.gpus;
    placement->of_tokens =
        load->experts_of != NULL && moe_serving_shares_rows(w->serving);
    memset(placement->rows, 0,
           g_n * (size_t)w->slots * sizeof *placement->rows);
    memset(placement->pairs, 0, g_n * sizeof *placement->pairs);
    memset(placement->received, 0, g_n * sizeof *placement->received);
    for (int g = 0; g < w->layout.gpus; g++) {
        placement->sent[g][0] = 0.0;
        placement->sent[g][1] = placement->of_tokens ? 0 : (double)load->own[g];
    }
}

static void stand_out(moe_advise_placement *placement, int gpu)
{
    for (int i = 0; i < placement->n_standouts; i++)
        if (placement->standout[i] == gpu)
            return;
    placement->standout[placement->n_standouts++] = gpu;
}

static int replicas_of(const moe_advise_placement *placement, int gpu,
                       int slots)
{
    int n = 0;
    for (int s = 0; s < slots; s++)
        n += placement->rows[gpu * slots + s] > 0;
    return n;
}

/* Which GPUs compute, read, send, receive or give most? */
static void find_standouts(const moe_advise_planning *w,
                           moe_advise_placement *s)
{
    int most[ADVISE_STANDOUTS] = {0}, replicas = 0;
    for (int g = 0; g < w->layout.gpus; g++) {
        const int n = replicas_of(s, g, w->slots);
        most[0] = s->pairs[g] > s->pairs[most[0]] ? g : most[0];
        most[1] = n > replicas ? g : most[1];
        replicas = n > replicas ? n : replicas;
        for (int far = 0; far < 2; far++) {
            int *at = most + 2 + 4 * far;
            at[0] = s->sent[g][far] > s->sent[at[0]][far] ? g : at[0];
            at[1] = s->received[g][far] > s->received[at[1]][far] ? g : at[1];
            at[2] = s->move_sent[g][far] > s->move_sent[at[2]][far] ? g : at[2];
            at[3] = s->move_received[g][far] > s->move_received[at[3]][far]
                        ? g
                        : at[3];
        }
    }
    s->busiest = most[0];
    s->n_standouts = 0;
    for (int i = 0; i < ADVISE_STANDOUTS; i++)
        stand_out(s, most[i]);
}

/* Splits that look at no other rank's pairs divide those of each. */
static void count_each(moe_advise_planning *w, const moe_advise_load *load,
                       moe_advise_placement *placement)
{
    const moe_replicas *r = &w->replicas;
    memset(placement->sent, 0,
           (size_t)w->layout.gpus * sizeof *placement->sent);
    for (int g = 0; g < w->layout.gpus; g++) {
        const moe_split_input in = {
            .replicas = r, .layout = &w->layout, .gpu = g, .own = w->own};
        for (int e = 0; e < w->experts; e++)
            w->own[e] = (uint32_t)(moe_advise_load_before(load, g + 1, e) -
                                   moe_advise_load_before(load, g, e));
        w->split->divide(w->split_state, &in, w->pairs);
        for (uint32_t j = 0; j < r->first[w->experts]; j++) {
            const moe_replica *to = &r->replica[j];
            const int far = moe_layout_node(&w->layout, g) !=
                            moe_layout_node(&w->layout, to->gpu);
            placement->rows[to->gpu * w->slots + to->slot] += w->pairs[j];
            placement->pairs[to->gpu] += w->pairs[j];
            if (to->gpu == g || placement->of_tokens)
                continue;
            placement->sent[g][far] += w->pairs[j];
            placement->received[to->gpu][far] += w->pairs[j];
        }
        if (placement->of_tokens)
            moe_advise_count_tokens(w, load, g, g + 1, placement);
    }
}

/* One call of the split as if a single rank held all pairs gives the interval
 * of every replica; splits by share number pairs over all ranks, so a rank's
 * part of it is where its own interval meets that one. */
static void count_numbered(moe_advise_planning *w, const moe_advise_load *load,
                           moe_advise_placement *placement)
{
    memset(w->first, 0, (size_t)w->experts * sizeof *w->first);
    for (int e = 0; e < w->experts; e++)
        w->own[e] = (uint32_t)load->total[e];
    const moe_split_input in = {.replicas = &w->replicas,
                                .layout = &w->layout,
                                .gpu = 0,
                                .total = load->total,
                                .first = w->first,
                                .own = w->own};
    w->split->divide(w->split_state, &in, w->pairs);
    const moe_replicas *r = &w->replicas;
    for (int e = 0; e < w->experts; e++) {
        uint64_t at = 0;
        for (uint32_t j = r->first[e]; j < r->first[e + 1]; j++) {
            const int gpu = r->replica[j].gpu;
            placement->rows[gpu * w->slots + r->replica[j].slot] = w->pairs[j];
            placement->pairs[gpu] += w->pairs[j];
            const interval own = {at, at + w->pairs[j]};
            if (!placement->of_tokens)
                count_replica(w, load, e, gpu, own, placement);
            at += w->pairs[j];
        }
    }
    if (placement->of_tokens)
        moe_advise_count_tokens(w, load, 0, w->layout.gpus, placement);
}

void moe_advise_count(moe_advise_planning *w, const moe_advise_load *load,
                      const moe_plan *plan, moe_advise_placement *placement)
{
    const moe_plan_layer layer = moe_plan_at(plan, 0);
    moe_replicas_index(&w->replicas, &layer);
    clear_counts(w, load, placement);
    if (w->split->needs_counts)
        count_numbered(w, load, placement);
    else
        count_each(w, load, placement);
    placement->copies = (double)w->replicas.first[w->experts] - w->experts;
    find_standouts(w, placement);
}

/* Rows of GPU g's pairs come from all GPUs alike. */
static void exchange_alike(const moe_advise_planning *w,
                           moe_advise_placement *placement)
{
    const moe_layout *y = &w->layout;
    double all = 0;
    for (int g = 0; g < y->gpus; g++)
        all += (double)placement->pairs[g];
    for (int first = 0; first < y->gpus; first += y->gpus_per_node) {
        const int more = first + y->gpus_per_node;
        const int end = more < y->gpus ? more : y->gpus;
        double node = 0;
        for (int g = first; g < end; g++)
            node += (double)placement->pairs[g];
        for (int g = first; g < end; g++) {
            const double own = (double)placement->pairs[g];
            placement->sent[g][0] = (node - own) / y->gpus;
            placement->sent[g][1] = (all - node) / y->gpus;
            placement->received[g][0] = own * (end - first - 1) / y->gpus;
            placement->received[g][1] =
                own * (y->gpus - (end - first)) / y->gpus;
        }
    }
}

void moe_advise_deal(moe_advise_planning *w, const double *pairs,
                     const moe_plan *plan, moe_advise_placement *placement)
{
    const size_t n = (size_t)w->layout.gpus * (size_t)w->slots;
    uint32_t *copies = w->copies, *dealt = w->own;
    memset(copies, 0, (size_t)w->experts * sizeof *copies);
    memset(dealt, 0, (size_t)w->experts * sizeof *dealt);
    memset(placement->pairs, 0,
           (size_t)w->layout.gpus * sizeof *placement->pairs);
    for (size_t s = 0; s < n; s++)
        if (plan->expert[s] >= 0)
            copies[plan->expert[s]]++;
    placement->copies = -w->experts;
    for (size_t s = 0; s < n; s++) {
        const int e = plan->expert[s];
        placement->rows[s] = 0;
        if (e < 0)
            continue;
        const uint32_t all = (uint32_t)pairs[e];
        placement->rows[s] = all / copies[e] + (dealt[e]++ < all % copies[e]);
        placement->pairs[s / (size_t)w->slots] += placement->rows[s];
        placement->copies++;
    }
    exchange_alike(w, placement);
    find_standouts(w, placement);
}
