/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "internal.h"

/* Rows that GPUs exchange: a row a pair, or, as deployments have it, one for each
 * GPU or node that a token visits. */

/* ---- of tokens that are known ---- */

/* The row of a token to a GPU of its node, or of another one. */
static void count_row(const moe_advise_planning *w, int from, int to,
                      moe_advise_placement *placement)
{
    const int far =
        moe_layout_node(&w->layout, from) != moe_layout_node(&w->layout, to);
    if (from == to)
        return;
    placement->sent[from][far]++;
    placement->received[to][far]++;
}

/* The GPU of `to`'s node that forwards what `from` sends there. */
static int forwarder(const moe_layout *y, int from, int to)
{
    const int node = moe_layout_node(y, to), first = node * y->gpus_per_node;
    const int n =
        y->gpus - first < y->gpus_per_node ? y->gpus - first : y->gpus_per_node;
    return first + from % y->gpus_per_node % n;
}

/* @return whether a GPU, or a node, is among the first n of a token. */
static bool is_among(const int *gpu, int n, int one, int each)
{
    int i = 0;
    while (i < n && gpu[i] / each != one / each)
        i++;
    return i < n;
}

/* @param to  [n] GPU of each of its experts */
static void count_token(const moe_advise_planning *w, int gpu, const int *to,
                        int n, moe_advise_placement *placement)
{
    const moe_layout *y = &w->layout;
    for (int i = 0; i < n; i++) {
        const bool far = moe_layout_node(y, gpu) != moe_layout_node(y, to[i]);
        const int via = far && w->serving->exchange == MOE_SERVE_NODES
                            ? forwarder(y, gpu, to[i])
                            : gpu;
        if (via != gpu && !is_among(to, i, to[i], y->gpus_per_node))
            count_row(w, gpu, via, placement);
        if (!is_among(to, i, to[i], 1))
            count_row(w, via, to[i], placement);
    }
}

/* @return the GPU of the replica that takes an expert's next pair. */
static int next_gpu(moe_advise_planning *w, int expert)
{
    uint32_t r = w->own[expert];
    while (w->pairs[r] == 0)
        r++;
    w->pairs[r]--;
    w->own[expert] = r;
    return w->replicas.replica[r].gpu;
}

void moe_advise_count_tokens(moe_advise_planning *w,
                             const moe_advise_load *load, int first, int end,
                             moe_advise_placement *placement)
{
    memcpy(w->own, w->replicas.first, (size_t)w->experts * sizeof *w->own);
    for (int g = first; g < end; g++)
        for (uint64_t t = load->first[g]; t < load->first[g + 1]; t++) {
            const uint16_t *expert =
                load->experts_of + t * (uint64_t)load->top_k;
            int to[MOE_MAX_TOP_K];
            for (int i = 0; i < load->top_k; i++)
                to[i] = next_gpu(w, expert[i]);
            count_token(w, g, to, load->top_k, placement);
        }
}

/* ---- of tokens that are not ---- */

double moe_advise_missing(const moe_model *model, double share)
{
    double missing = 1;
    for (int i = 0; i < model->top_k; i++)
        missing *=
            fmax(1 - share * model->experts / (double)(model->experts - i), 0);
    return missing;
}

double moe_advise_visited(const moe_model *model,
                          const moe_advise_placement *placement, int gpus,
                          double all)
{
    double sum = 0;
    for (int g = 0; g < gpus; g++)
        sum += 1 - moe_advise_missing(model, (double)placement->pairs[g] / all);
    return sum;
}

/* Whether rows are of GPUs that tokens are expected to visit. */
static bool are_expected(const moe_pricer *pricer,
                         const moe_advise_placement *placement)
{
    return !placement->of_tokens &&
           moe_serving_shares_rows(moe_serving_of(pricer->serving));
}

void moe_advise_visits(const moe_pricer *pricer,
                       const moe_advise_placement *placement, double all,
                       double *visit_out)
{
    if (!are_expected(pricer, placement))
        return;
    for (int g = 0; g < pricer->layout.gpus; g++)
        visit_out[g] =
            1 - moe_advise_missing(pricer->model,
                                   (double)placement->pairs[g] / all);
}

moe_advise_traffic moe_advise_rows(const moe_pricer *pricer,
                                   const moe_advise_placement *placement,
                                   const double *visit, double tokens, int gpu)
{
    moe_advise_traffic rows;
    if (are_expected(pricer, placement)) {
        moe_serving_rows(pricer->serving, visit, tokens, gpu, rows.sent,
                         rows.received);
        return rows;
    }
    memcpy(rows.sent, placement->sent[gpu], sizeof rows.sent);
    memcpy(rows.received, placement->received[gpu], sizeof rows.received);
    return rows;
}
