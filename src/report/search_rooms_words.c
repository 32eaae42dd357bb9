/* SPDX-License-Identifier: Apache-2.0 */

/* What a search says of the memory that copies take from cached sequences. */

#include <math.h>

#include "contents.h"
#include "moegps/json.h"
#include "moegps/mem.h"

/* How many copies pay, by what the whole model does. */
static void say_pays(moe_document *doc, const moe_search_params *p,
                     const moe_search *s, bool full)
{
    const moe_search_room *x = &s->room[s->pays], *none = &s->room[0];
    const double gain =
        full ? x->full_rate / none->full_rate : x->rate / none->rate;
    moe_doc_begin(doc, MOE_DOC_PARAGRAPH);
    FILE *out = moe_doc_words(doc);
    const char *with =
        full ? ", each with its fastest plan and the largest batch that its "
               "cache has room for"
             : ", each with its fastest plan";
    if (s->pays == 0)
        fprintf(out,
                "Of the whole model more slots than %d a GPU win less than 1 "
                "%% of tokens/s%s.",
                s->home_slots + p->spare[0], with);
    else
        fprintf(
            out,
            "Of the whole model %d slots a GPU win %.1f %% more tokens/s than "
            "%d%s.",
            s->home_slots + p->spare[s->pays], 100 * (gain - 1),
            s->home_slots + p->spare[0], with);
    if (full)
        fprintf(out,
                " Such batches are the recorded ones with as many more tokens, "
                "whose experts have the same shares; %d layer%s.",
                s->room_layers, s->room_layers == 1 ? "" : "s");
    const int at = s->simplest >= 0 ? s->point[s->simplest].spare : 0;
    if (s->room[at].sequences < s->own_batch)
        fprintf(out,
                " The recorded batch does not fit: it has %.0f sequence%s for "
                "a cache with room for %.0f.",
                s->own_batch, s->own_batch == 1 ? "" : "s",
                s->room[at].sequences);
}

/* Slots against the cache of sequences. */
void moe_say_search_rooms(moe_document *doc, const moe_search_params *p,
                          const moe_search *s)
{
    static const moe_column columns[] = {{"slots", "a GPU", MOE_RIGHT},
                                         {"copies", "a GPU", MOE_RIGHT},
                                         {"left for", "the cache", MOE_RIGHT},
                                         {"room for", "sequences", MOE_RIGHT},
                                         {"tokens/s", "a GPU", MOE_RIGHT},
                                         {"largest batch", "a GPU", MOE_RIGHT},
                                         {"tokens/s", "with it", MOE_RIGHT}};
    bool full = false;
    for (int i = 0; i < p->n_spares; i++)
        full = full || !isnan(s->room[i].full_rate);
    say_pays(doc, p, s, full);
    moe_table *table =
        moe_doc_table(doc, "What copies leave of a GPU's memory", columns,
                      MOE_ARRAY_LEN(columns) - (full ? 0 : 2));
    for (int i = 0; i < p->n_spares; i++) {
        const moe_search_room *x = &s->room[i];
        moe_table_cell(table, "%d", s->home_slots + p->spare[i]);
        moe_table_put(table, moe_bytes_cell(p->spare[i] * s->slot_bytes));
        if (x->room_bytes < 0)
            moe_table_cell(table, "none");
        else
            moe_table_put(table, moe_bytes_cell(x->room_bytes));
        moe_table_cell(table, "%.0f", x->sequences);
        moe_table_put(table, moe_digits_cell(x->rate, 4));
        if (!full)
            continue;
        moe_table_cell(table, "%.0f", x->batch / p->gpus);
        moe_table_put(table, moe_digits_cell(x->full_rate, 4));
    }
}

#define AT(key, member) MOE_JSON_MEMBER(key, moe_search_room, member)
json_t *moe_search_rooms_json(const moe_search_params *p, const moe_search *s,
                              moe_error *err)
{
    static const moe_json_member members[] = {
        AT("cache_bytes", room_bytes), AT("cache_sequences", sequences),
        AT("tokens_per_s", rate), AT("largest_batch", batch),
        AT("largest_batch_tokens_per_s", full_rate)};
    json_t *all = json_array();
    for (int i = 0; i < p->n_spares; i++) {
        json_t *o = json_object();
        moe_json_put_integer(o, "slots", s->home_slots + p->spare[i], err);
        moe_json_put_members(o, members, MOE_ARRAY_LEN(members), &s->room[i],
                             err);
        moe_json_add(all, o, err);
    }
    return all;
}
#undef AT
