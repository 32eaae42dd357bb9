/* SPDX-License-Identifier: Apache-2.0 */

/* What advice says of the whole model and of a GPU's memory. */

#include <math.h>

#include "contents.h"
#include "moegps/json.h"
#include "moegps/mem.h"
#include "moegps/report.h"

static bool decodes(const moe_advise_params *p)
{
    return p->serving.phase == MOE_SERVE_DECODE;
}

static moe_cell ms_cell(double s)
{
    return moe_value_cell(1e3 * s);
}

/* ---- an iteration ---- */

static void say_times(moe_document *doc, const moe_advise_params *p,
                      const moe_advise_model *m)
{
    const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},
        {decodes(p) ? "per output token" : "to first token", "ms", MOE_RIGHT},
        {"tokens/s", "a GPU", MOE_RIGHT},
        {"vs baseline", "1", MOE_RIGHT},
        {"MoE layers", "% of it", MOE_RIGHT}};
    moe_table *t = moe_doc_table(
        doc, "the whole model, typical case: all layers and the head", columns,
        MOE_ARRAY_LEN(columns));
    for (moe_advise_strategy s = 0; s < MOE_ADVISE_STRATEGIES; s++) {
        const moe_model_time *x = &m->time[s];
        if (s == MOE_ADVISE_TOKEN)
            moe_table_cell(t, "if right for %.3g %%", 100 * p->dials.accuracy);
        else
            moe_table_cell(t, "%s", moe_advise_strategy_name(s));
        moe_table_put(t, moe_digits_cell(1e3 * x->time_s, 4));
        moe_table_put(t, moe_digits_cell(x->rate, 4));
        moe_table_put(t, moe_digits_cell(x->rate / m->time[0].rate, 4));
        moe_table_cell(t, "%.1f", 100 * x->share);
    }
}

static void say_parts(moe_document *doc, const moe_advise_params *p,
                      const moe_advise_model *m)
{
    const moe_model_memory *b = &m->memory;
    moe_doc_begin(doc, MOE_DOC_FACTS);
    moe_doc_fact(doc, "beside MoE layers", "%d dense layers %s ms, head %s",
                 p->model->dense_layers, ms_cell(m->rest.dense_s).text,
                 p->model->vocab > 0 ? ms_cell(m->rest.head_s).text
                                     : "not priced");
    fputs(p->model->vocab > 0 ? " ms" : " (no vocab in the model's profile)",
          moe_doc_words(doc));
    moe_doc_fact(doc, "memory of a GPU",
                 "experts %s, of them room for copies %s; other weights %s; "
                 "%s a cached token",
                 moe_bytes_cell(b->expert_bytes).text,
                 moe_bytes_cell(b->copy_bytes).text,
                 moe_bytes_cell(b->other_bytes).text,
                 moe_bytes_cell(b->kv_token_bytes).text);
    if (b->room_bytes < 0)
        moe_doc_fact(doc, "cache", "no room: weights exceed 90 %% of %s by %s",
                     moe_bytes_cell(p->cluster->memory_bytes).text,
                     moe_bytes_cell(-b->room_bytes).text);
    else
        moe_doc_fact(doc, "cache",
                     "%s of 90 %% of %s are left: %.0f sequences of %.0f "
                     "tokens",
                     moe_bytes_cell(b->room_bytes).text,
                     moe_bytes_cell(p->cluster->memory_bytes).text,
                     b->sequences, m->cached);
    if (b->room_bytes >= 0 && m->batch > b->sequences)
        fprintf(moe_doc_words(doc), "; this batch has %.0f, which do not fit",
                m->batch);
}

/* What it takes to place experts anew, and when that has paid. */
static void say_moves(moe_document *doc, const moe_advise_params *p,
                      const moe_advise_model *m)
{
    static const char *const how[] = {
        [MOE_MIGRATION_HIDDEN] = "hidden where links and compute leave room",
        [MOE_MIGRATION_LAYER] = "each layer waits for its own",
        [MOE_MIGRATION_STOP] = "all wait for it"};
    if (!(m->moved_bytes > 0))
        return;
    moe_doc_fact(doc, "placing experts anew",
                 "brings the busiest GPU %s in %s (%s)",
                 moe_bytes_cell(m->moved_bytes).text,
                 moe_time_cell(m->moved_s).text, how[p->cluster->migration]);
    if (isinf(m->moved_pays))
        fputs("; nothing pays for it", moe_doc_words(doc));
    else
        fprintf(moe_doc_words(doc),
                "; if the engine stops for it, the plan has to last %.0f "
                "iteration%s to pay",
                m->moved_pays, m->moved_pays > 1 ? "s" : "");
}

/* ---- how many copies pay ---- */

static void put_room(moe_table *t, const moe_advise_params *p,
                     const moe_advise_room *x, bool full)
{
    moe_table_cell(t, "%d", x->slots * p->gpus - p->model->experts);
    moe_table_cell(t, "%d", x->slots);
    moe_table_cell(t, "%.3f", x->now);
    moe_table_cell(t, "%.3f", x->next);
    moe_table_put(t, moe_bytes_cell(x->copy_bytes));
    moe_table_put(t, moe_digits_cell(1e6 * x->layer_s, 4));
    moe_table_put(t, moe_digits_cell(x->rate, 4));
    if (!full)
        return;
    moe_table_cell(t, "%.0f", x->batch / p->gpus);
    moe_table_put(t, moe_digits_cell(x->full_rate, 4));
}

static void say_rooms(moe_document *doc, const moe_advise_params *p,
                      const moe_advise_model *m)
{
    const moe_column columns[] = {{"redundant", "experts", MOE_RIGHT},
                                  {"slots", "a GPU", MOE_RIGHT},
                                  {"balancedness", "now", MOE_RIGHT},
                                  {"balancedness", "next", MOE_RIGHT},
                                  {"copies", "a GPU", MOE_RIGHT},
                                  {"layer", "us", MOE_RIGHT},
                                  {"tokens/s", "a GPU", MOE_RIGHT},
                                  {"largest batch", "a GPU", MOE_RIGHT},
                                  {"tokens/s", "with it", MOE_RIGHT}};
    const moe_advise_room *x = &m->room[m->pays], *none = &m->room[0];
    const bool full = !isnan(none->full_rate);
    const double gain =
        full ? x->full_rate / none->full_rate : x->rate / none->rate;
    if (m->n_rooms == 0)
        return;
    moe_doc_begin(doc, MOE_DOC_PARAGRAPH);
    FILE *out = moe_doc_words(doc);
    const int left = none->slots * p->gpus - p->model->experts;
    if (m->pays == 0 && left > 0)
        fprintf(
            out,
            "The slots of the homes have room for %d redundant experts; more "
            "slots win less than 1 %%",
            left);
    else if (m->pays == 0)
        fputs("Redundant experts do not pay: more slots win less than 1 %",
              out);
    else
        fprintf(out,
                "%d redundant experts (%d slots a GPU) pay: %.1f %% more "
                "tokens/s than placement alone",
                x->slots * p->gpus - p->model->experts, x->slots,
                100 * (gain - 1));
    fputs(full ? ", each with the largest batch that its cache has room for."
               : ".",
          out);
    if (m->room_samples > 0)
        fprintf(out,
                " Rows are of %d samples only: compare them with each other, "
                "not with the times above.",
                m->room_samples);
    moe_table *t = moe_doc_table(doc, NULL, columns,
                                 MOE_ARRAY_LEN(columns) - (full ? 0 : 2));
    for (int i = 0; i < m->n_rooms; i++)
        put_room(t, p, &m->room[i], full);
}

void moe_say_model(moe_document *doc, const moe_advise_params *p,
                   const moe_advise_model *m)
{
    say_times(doc, p, m);
    say_parts(doc, p, m);
    say_moves(doc, p, m);
    say_rooms(doc, p, m);
}

/* ---- JSON ---- */

#define AT(type, key, member) MOE_JSON_MEMBER(key, type, member)
static json_t *rooms_json(const moe_advise_model *m, moe_error *err)
{
    static const moe_json_member members[] = {
        AT(moe_advise_room, "slots", slots),
        AT(moe_advise_room, "balancedness_now", now),
        AT(moe_advise_room, "balancedness_next", next),
        AT(moe_advise_room, "copy_bytes", copy_bytes),
        AT(moe_advise_room, "layer_s", layer_s),
        AT(moe_advise_room, "tokens_per_s", rate),
        AT(moe_advise_room, "room_bytes", room_bytes),
        AT(moe_advise_room, "sequences", sequences),
        AT(moe_advise_room, "largest_batch", batch),
        AT(moe_advise_room, "largest_batch_tokens_per_s", full_rate)};
    json_t *all = json_array();
    for (int i = 0; i < m->n_rooms; i++)
        moe_json_add(
            all,
            moe_json_members(members, MOE_ARRAY_LEN(members), &m->room[i], err),
            err);
    return all;
}

json_t *moe_model_json(const moe_advise_model *m, moe_error *err)
{
    static const moe_json_member members[] = {
        AT(moe_advise_model, "dense_s", rest.dense_s),
        AT(moe_advise_model, "head_s", rest.head_s),
        AT(moe_advise_model, "expert_bytes", memory.expert_bytes),
        AT(moe_advise_model, "other_bytes", memory.other_bytes),
        AT(moe_advise_model, "cached_token_bytes", memory.kv_token_bytes),
        AT(moe_advise_model, "room_bytes", memory.room_bytes),
        AT(moe_advise_model, "sequences", memory.sequences),
        AT(moe_advise_model, "batch", batch),
        AT(moe_advise_model, "moved_bytes", moved_bytes),
        AT(moe_advise_model, "moved_s", moved_s),
        AT(moe_advise_model, "moved_pays_iterations", moved_pays)};
    static const moe_json_member times[] = {
        AT(moe_model_time, "time_s", time_s),
        AT(moe_model_time, "tokens_per_s", rate),
        AT(moe_model_time, "moe_share", share)};
    json_t *o = moe_json_members(members, MOE_ARRAY_LEN(members), m, err);
    json_t *strategies = json_object();
    for (moe_advise_strategy s = 0; s < MOE_ADVISE_STRATEGIES; s++)
        moe_json_put(
            strategies, moe_advise_strategy_name(s),
            moe_json_members(times, MOE_ARRAY_LEN(times), &m->time[s], err),
            err);
    moe_json_put(o, "strategies", strategies, err);
    moe_json_put(o, "slots", rooms_json(m, err), err);
    moe_json_put(o, "slots_that_pay",
                 m->n_rooms > 0 ? json_integer(m->room[m->pays].slots)
                                : json_null(),
                 err);
    return o;
}
#undef AT
