/* SPDX-License-Identifier: Apache-2.0 */

/* From a layer to the model: what an iteration takes, what memory holds, and
 * how many copies pay. */

#include <math.h>
#include <stdlib.h>

#include "internal.h"
#include "moegps/model_price.h"

/* Copies that win less than this are not worth their memory. */
static const double WORTH = 0.01;

/* Batches drawn for each number of copies; all numbers see the same ones. */
enum { ROOM_SAMPLES = 5 };

static double mean_tokens(const moe_advise *a, double *sequences_out)
{
    const int n = a->samples * a->layers;
    double tokens = 0;
    *sequences_out = 0;
    for (int i = 0; i < n; i++) {
        tokens += a->layer[i].tokens / n;
        *sequences_out += a->layer[i].sequences / n;
    }
    return tokens;
}

static bool decodes(const moe_advise *a)
{
    return a->p.serving.phase == MOE_SERVE_DECODE;
}

/* Tokens of a sequence in the cache. */
static double cached(const moe_advise *a, double tokens, double sequences)
{
    return decodes(a) ? moe_serving_of(a->serving)->kv_len : tokens / sequences;
}

static double rate_of(const moe_advise *a, double layer_s)
{
    const moe_pricer pricer = moe_advise_pricer(a);
    double sequences;
    const double tokens = mean_tokens(a, &sequences);
    moe_model_rest rest;
    moe_model_rest_of(&pricer, tokens, sequences, &rest);
    return moe_model_time_of(&pricer, &rest, layer_s, tokens).rate;
}

static double typical_s(const moe_advise *a, moe_advise_strategy s)
{
    return moe_advise_layer_s(a, NULL, s, MOE_ADVISE_TYPICAL);
}

/* ---- how many copies pay ---- */

/* As many sequences as the cache has room for and kernels take. By hand decode
 * has a batch of any size. @return tokens/s of a GPU; NaN: there is none. */
static double full_rate(const moe_advise *like, const moe_advise_params *asked,
                        moe_advise_room *room)
{
    const moe_pricer pricer = moe_advise_pricer(like);
    const int tp = moe_layer_attention_gpus(&pricer);
    moe_advise_params p = *asked;
    moe_advise *a = NULL;
    const double most = moe_serving_most_tokens(like->serving);
    room->batch = fmin(room->sequences * asked->gpus / tp,
                       fmin(most * asked->gpus, MOE_ADVISE_MAX_BATCH));
    if (!decodes(like) || asked->trace != NULL || !(room->batch >= 1))
        return NAN;
    p.batch = (int)room->batch;
    p.tokens = 0;
    if (moe_advise_new_forecast(like, &p, &a, NULL) != MOE_OK)
        return NAN;
    const double rate = rate_of(a, typical_s(a, MOE_ADVISE_DISTRIBUTION));
    moe_advise_free(a);
    return rate;
}

static moe_status price_room(const moe_advise *like, int slots, int samples,
                             moe_advise_room *out, moe_error *err)
{
    const moe_pricer pricer = moe_advise_pricer(like);
    moe_advise_params p = like->p;
    moe_advise_time now, next;
    moe_advise *a = NULL;
    double sequences;
    p.slots = slots;
    if (samples > 0)
        p.samples = samples;
    if (moe_advise_new_like(like, &p, &a, err) != MOE_OK)
        return err->status;
    a->quick = p.gpus > 16; /* of more GPUs those that stand out do */
    const double tokens = mean_tokens(a, &sequences);
    moe_model_memory m;
    moe_model_memory_of(&pricer, p.cluster, slots, cached(a, tokens, sequences),
                        &m);
    if (moe_advise_price(a, NULL, MOE_ADVISE_ORACLE, MOE_ADVISE_TYPICAL, &now,
                         err) == MOE_OK &&
        moe_advise_price(a, NULL, MOE_ADVISE_DISTRIBUTION, MOE_ADVISE_TYPICAL,
                         &next, err) == MOE_OK)
        *out = (moe_advise_room){.slots = slots,
                                 .now = 1 / now.imbalance,
                                 .next = 1 / next.imbalance,
                                 .copy_bytes = m.copy_bytes,
                                 .layer_s = next.layer_s,
                                 .rate = rate_of(a, next.layer_s),
                                 .room_bytes = m.room_bytes,
                                 .sequences = m.sequences};
    if (err->status == MOE_OK)
        out->full_rate = full_rate(a, &p, out);
    moe_advise_free(a);
    return err->status;
}

/* What decides between numbers of copies. */
static double worth(const moe_advise_room *room)
{
    return isnan(room->full_rate) ? room->rate : room->full_rate;
}

/* @return the row with fewest copies whose rate is within 1 % of the best. */
static int that_pays(const moe_advise_model *m)
{
    double best = 0;
    int i = 0;
    for (int k = 0; k < m->n_rooms; k++)
        best = fmax(best, worth(&m->room[k]));
    while (i + 1 < m->n_rooms && !(worth(&m->room[i]) >= (1 - WORTH) * best))
        i++;
    return i;
}

moe_status moe_advise_find_rooms(const moe_advise *a, moe_advise_model *out,
                                 moe_error *err)
{
    const int home = moe_layout_home_slots(&a->layout, a->p.model->experts);
    const int most = a->p.model->experts;
    out->n_rooms = 0;
    out->room_samples =
        a->p.trace == NULL && a->samples > ROOM_SAMPLES ? ROOM_SAMPLES : 0;
    for (int spare = 0;
         home + spare <= most && out->n_rooms<MOE_ADVISE_ROOMS; spare = spare> 0
             ? 2 * spare
             : 1) {
        moe_advise_room *room = &out->room[out->n_rooms];
        if (price_room(a, home + spare, out->room_samples, room, err) != MOE_OK)
            return err->status;
        if (spare > 0 && room->room_bytes < 0)
            break;
        out->n_rooms++;
    }
    out->pays = that_pays(out);
    return MOE_OK;
}

/* ---- placing experts anew ---- */

/* @return seconds of a layer's copies that come from the homes; of the GPU that
 * takes longest. @param bytes  becomes those of the busiest GPU, if they are
 * more */
static double move_s(const moe_advise *a, const moe_advise_placement *p,
                     double *bytes)
{
    const moe_pricer pricer = moe_advise_pricer(a);
    double most_s = 0;
    for (int g = 0; g < a->p.gpus; g++) {
        moe_exchange x = moe_pricer_everyone(&pricer);
        x.node_bytes = fmax(p->move_sent[g][0], p->move_received[g][0]);
        x.network_bytes = fmax(p->move_sent[g][1], p->move_received[g][1]);
        const double all = x.node_bytes + x.network_bytes;
        if (!(all > 0))
            continue;
        double s = pricer.cost->transfer(pricer.state, &x).time_s;
        if (pricer.migration_rate > 0)
            s = fmax(s, all / pricer.migration_rate);
        *bytes = fmax(*bytes, all);
        most_s = fmax(most_s, s);
    }
    return most_s;
}

/* By hand every sample plans from the homes; the mean of samples. */
static void find_moves(const moe_advise *a, moe_advise_model *out)
{
    const int layers = a->p.model->layers;
    const double saved_s = out->time[MOE_ADVISE_BASELINE].time_s -
                           out->time[MOE_ADVISE_DISTRIBUTION].time_s;
    for (int i = 0; i < a->samples; i++) {
        double bytes = 0;
        out->moved_s +=
            layers *
            move_s(a, &a->layer[i].placement[PLACEMENT_PREDICTED], &bytes) /
            a->samples;
        out->moved_bytes += layers * bytes / a->samples;
    }
    out->moved_pays = saved_s > 0 ? ceil(out->moved_s / saved_s) : INFINITY;
}

/* ---- the model ---- */

void moe_advise_model_of(const moe_advise *a, const double *layer_s,
                         moe_advise_model *out)
{
    const moe_pricer pricer = moe_advise_pricer(a);
    double sequences;
    const double tokens = mean_tokens(a, &sequences);
    *out = (moe_advise_model){
        .cached = cached(a, tokens, sequences),
        .batch =
            ceil(sequences * moe_layer_attention_gpus(&pricer) / a->p.gpus)};
    moe_model_rest_of(&pricer, tokens, sequences, &out->rest);
    moe_model_memory_of(&pricer, a->p.cluster, a->slots, out->cached,
                        &out->memory);
    for (int s = 0; s < MOE_ADVISE_STRATEGIES; s++)
        out->time[s] =
            moe_model_time_of(&pricer, &out->rest, layer_s[s], tokens);
    if (a->p.trace == NULL && !moe_advise_is_exact(a))
        find_moves(a, out);
}
