/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/ledger.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

#define SHAPE(name, ...) \
    static const char *const shape_##name[] = {__VA_ARGS__, NULL};
MOE_LEDGER_SHAPES(SHAPE)

#define FIELD(id, element, member, holder, shape, group, name, unit, meaning) \
    [MOE_FIELD_##id] = {group,                                                \
                        name,                                                 \
                        MOE_ELEMENT_##element,                                \
                        MOE_HELD_##holder,                                    \
                        shape_##shape,                                        \
                        unit,                                                 \
                        meaning,                                              \
                        offsetof(moe_ledger, member)},
#define DERIVED(id, element, shape, group, name, unit, meaning) \
    [MOE_FIELD_##id] = {group,                                  \
                        name,                                   \
                        MOE_ELEMENT_##element,                  \
                        MOE_HELD_BY_NONE,                       \
                        shape_##shape,                          \
                        unit,                                   \
                        meaning,                                \
                        SIZE_MAX},

const moe_field moe_fields[MOE_N_FIELDS] = {MOE_LEDGER_FIELDS(FIELD, DERIVED)};

const char *moe_link_name(int link)
{
    return link == 0 ? "node" : "network";
}

const char *moe_pace_name(int pace)
{
    return moe_phase_name(pace == MOE_PACE_FFN ? MOE_PHASE_FFN
                                               : MOE_PHASE_ATTENTION);
}

const char *moe_beside_name(int beside)
{
    return moe_phase_name((moe_phase)(MOE_BESIDE_FIRST + beside));
}

const char *moe_travel_name(int travel)
{
    return moe_phase_name(travel == MOE_EXCHANGE_COMBINE ? MOE_PHASE_COMBINE
                                                         : MOE_PHASE_DISPATCH);
}

size_t moe_element_size(moe_element element)
{
    static const size_t size[] = {
        [MOE_ELEMENT_F64] = sizeof(double),
        [MOE_ELEMENT_I64] = sizeof(int64_t),
        [MOE_ELEMENT_I32] = sizeof(int32_t),
        [MOE_ELEMENT_I16] = sizeof(int16_t),
    };
    return size[element];
}

size_t moe_dims_extent(const moe_ledger_dims *dims, const char *name)
{
    const struct {
        const char *name;
        int extent;
    } extents[] = {
        {"strategy", dims->strategies},
        {"iteration", dims->iterations},
        {"layer", dims->layers},
        {"phase", MOE_N_PHASES},
        {"rank", dims->ranks},
        {"expert", dims->experts},
        {"warmup", dims->warmup},
        {"gpu", dims->gpus},
        {"slot", dims->slots},
        {"source", dims->gpus},
        {"destination", dims->gpus},
        {"link", MOE_N_LINKS},
        {"candidate", dims->candidates},
        {"pace", dims->paced ? MOE_N_PACES : 0},
        {"beside", dims->paced ? MOE_N_BESIDES : 0},
        {"travel", dims->paced ? MOE_N_TRAVELS : 0},
        {"sender",
         dims->paced && dims->gpus <= MOE_MOST_SENDERS ? dims->gpus : 0},
    };
    for (size_t i = 0; i < MOE_ARRAY_LEN(extents); i++)
        if (strcmp(extents[i].name, name) == 0)
            return (size_t)extents[i].extent;
    assert(false);
    return 0;
}

int moe_field_rank(const moe_field *field)
{
    int rank = 0;
    while (field->dims[rank] != NULL)
        rank++;
    return rank;
}

bool moe_field_present(const moe_field *field, const moe_ledger_dims *dims)
{
    for (int d = 0; d < moe_field_rank(field); d++)
        if (moe_dims_extent(dims, field->dims[d]) == 0)
            return false;
    return true;
}

/* Product of all dimensions except those named; NULL-terminated. */
static size_t extent_without(const moe_field *field,
                             const moe_ledger_dims *dims,
                             const char *const *names)
{
    size_t n = 1;
    for (int d = 0; d < moe_field_rank(field); d++) {
        bool left_out = false;
        for (const char *const *x = names; *x != NULL; x++)
            left_out = left_out || strcmp(field->dims[d], *x) == 0;
        if (!left_out)
            n *= moe_dims_extent(dims, field->dims[d]);
    }
    return n;
}

size_t moe_field_inner(const moe_field *field, const moe_ledger_dims *dims)
{
    static const char *const outer[] = {"strategy", "iteration", "rank", NULL};
    return extent_without(field, dims, outer);
}

bool moe_field_held(const moe_field *field, int rank)
{
    return field->holder == MOE_HELD_BY_RANKS ||
           field->holder == MOE_HELD_TO_END ||
           (field->holder != MOE_HELD_BY_NONE && rank == 0);
}

size_t moe_field_length(const moe_field *field, const moe_ledger_dims *dims)
{
    static const char *const own[] = {"rank", "source", NULL};
    return extent_without(field, dims, own);
}

/* @return where the ledger keeps the pointer to a field's array. */
static void *place(const moe_field *field, const moe_ledger *ledger)
{
    return (char *)ledger + field->offset;
}

void *moe_field_data(const moe_field *field, const moe_ledger *ledger)
{
    void *data = NULL;
    if (field->holder != MOE_HELD_BY_NONE)
        memcpy(&data, place(field, ledger), sizeof data);
    return data;
}

/* What was never measured stays visibly so: NaN, or -1, which is all bits set
 * in every signed integer. Traffic is a sum that begins at 0. */
static void fill(const moe_field *field, void *data, size_t n)
{
    double *x = data;
    if (field->holder == MOE_HELD_TO_END)
        return;
    if (field->element != MOE_ELEMENT_F64)
        memset(data, 0xff, n * moe_element_size(field->element));
    else
        for (size_t j = 0; j < n; j++)
            x[j] = NAN;
}

moe_status moe_ledger_init(moe_ledger *ledger, const moe_ledger_dims *dims,
                           int rank, moe_error *err)
{
    *ledger = (moe_ledger){.dims = *dims};
    moe_error local = {0};
    for (int f = 0; f < MOE_N_FIELDS && local.status == MOE_OK; f++) {
        const moe_field *field = &moe_fields[f];
        if (!moe_field_held(field, rank))
            continue;
        const size_t n = moe_field_length(field, dims);
        void *data = moe_array_new(n, moe_element_size(field->element), &local);
        memcpy(place(field, ledger), &data, sizeof data);
        if (data != NULL)
            fill(field, data, n);
    }
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_ledger_fini(ledger);
    return moe_fail(err, local.status, "ledger: %s", local.text);
}

void moe_ledger_fini(moe_ledger *ledger)
{
    for (int f = 0; f < MOE_N_FIELDS; f++)
        free(moe_field_data(&moe_fields[f], ledger));
    *ledger = (moe_ledger){0};
}

double moe_ledger_bytes(const moe_ledger_dims *dims, int rank)
{
    double bytes = 0;
    for (int f = 0; f < MOE_N_FIELDS; f++)
        if (moe_field_held(&moe_fields[f], rank))
            bytes += (double)moe_field_length(&moe_fields[f], dims) *
                     (double)moe_element_size(moe_fields[f].element);
    return bytes;
}

int32_t *moe_ledger_busiest(const moe_ledger *ledger, moe_level level)
{
    return moe_field_data(&moe_fields[MOE_FIELD_BUSIEST + (int)level], ledger);
}

int64_t *moe_ledger_exchange(const moe_ledger *ledger, moe_exchange_kind kind)
{
    return moe_field_data(&moe_fields[MOE_FIELD_EXCHANGE_DISPATCH + (int)kind],
                          ledger);
}
