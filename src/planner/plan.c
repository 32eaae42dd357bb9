/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/plan.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

moe_status moe_plan_init(moe_plan *plan, int layers, int experts, int gpus,
                         int slots, moe_error *err)
{
    size_t n = (size_t)layers * (size_t)gpus * (size_t)slots;
    *plan = (moe_plan){
        .layers = layers, .experts = experts, .gpus = gpus, .slots = slots};
    moe_error local = {0};
    plan->expert = moe_array_new(n, sizeof *plan->expert, &local);
    plan->quota = moe_array_new(n, sizeof *plan->quota, &local);
    if (local.status != MOE_OK) {
        moe_plan_fini(plan);
        return moe_fail(err, local.status, "plan: %s", local.text);
    }
    memset(plan->expert, 0xff, n * sizeof *plan->expert);
    return MOE_OK;
}

void moe_plan_fini(moe_plan *plan)
{
    free(plan->expert);
    free(plan->quota);
    *plan = (moe_plan){0};
}

moe_plan_layer moe_plan_at(const moe_plan *plan, int layer)
{
    size_t at = (size_t)layer * (size_t)plan->gpus * (size_t)plan->slots;
    return (moe_plan_layer){plan->experts, plan->gpus, plan->slots,
                            plan->expert + at, plan->quota + at};
}

static size_t n_slots(const moe_plan_layer *layer)
{
    return (size_t)layer->gpus * (size_t)layer->slots;
}

static size_t slot_of(const moe_plan_layer *layer, const moe_replica *r)
{
    return (size_t)r->gpu * (size_t)layer->slots + (size_t)r->slot;
}

void moe_plan_layer_set_home(moe_plan_layer *layer, const moe_layout *layout)
{
    assert(layer->slots >= moe_layout_home_slots(layout, layer->experts));
    for (size_t s = 0; s < n_slots(layer); s++) {
        layer->expert[s] = -1;
        layer->quota[s] = 0;
    }
    for (int g = 0; g < layer->gpus; g++) {
        int first = moe_layout_home_first(layout, layer->experts, g);
        int count = moe_layout_home_count(layout, layer->experts, g);
        for (int k = 0; k < count; k++) {
            layer->expert[g * layer->slots + k] = (int16_t)(first + k);
            layer->quota[g * layer->slots + k] = MOE_QUOTA_ONE;
        }
    }
}

void moe_plan_set_home(moe_plan *plan, const moe_layout *layout)
{
    for (int l = 0; l < plan->layers; l++) {
        moe_plan_layer layer = moe_plan_at(plan, l);
        moe_plan_layer_set_home(&layer, layout);
    }
}

void moe_plan_copy_layers(moe_plan *to, const moe_plan *from, int first_layer,
                          int end_layer)
{
    const size_t layer = (size_t)from->gpus * (size_t)from->slots;
    const size_t at = (size_t)first_layer * layer;
    const size_t n = (size_t)(end_layer - first_layer) * layer;
    assert(to->layers == from->layers && to->gpus == from->gpus &&
           to->slots == from->slots);
    memcpy(to->expert + at, from->expert + at, n * sizeof *to->expert);
    memcpy(to->quota + at, from->quota + at, n * sizeof *to->quota);
}

void moe_plan_copy(moe_plan *to, const moe_plan *from)
{
    moe_plan_copy_layers(to, from, 0, from->layers);
}

static void swap_slots(moe_plan_layer *layer, int a, int b)
{
    int16_t e = layer->expert[a];
    uint32_t q = layer->quota[a];
    layer->expert[a] = layer->expert[b];
    layer->quota[a] = layer->quota[b];
    layer->expert[b] = e;
    layer->quota[b] = q;
}

void moe_plan_layer_settle(const moe_plan_layer *current, moe_plan_layer *next)
{
    for (int g = 0; g < next->gpus; g++) {
        int base = g * next->slots;
        for (int k = 0; k < next->slots; k++) {
            int16_t want = current->expert[base + k];
            if (want < 0 || next->expert[base + k] == want)
                continue;
            for (int j = 0; j < next->slots; j++)
                if (next->expert[base + j] == want)
                    swap_slots(next, base + j, base + k);
        }
    }
}

/* Shares are seen relative to the largest, so that neither tiny nor huge ones
 * leave the range of a double; all zero means equal parts. */
static double relative(const double *share, size_t s, double most)
{
    return most > 0 ? share[s] / most : 1.0;
}

/* What truncation took from the replica in a slot. */
struct moe_plan_gap {
    double lost;
    size_t slot;
};

static bool is_short(const moe_plan_gap *a, const moe_plan_gap *b)
{
    return a->lost > b->lost || (a->lost == b->lost && a->slot < b->slot);
}

static void sift(moe_plan_gap *gap, uint32_t at, uint32_t n)
{
    const moe_plan_gap moved = gap[at];
    for (uint32_t child; (child = 2 * at + 1) < n; at = child) {
        if (child + 1 < n && is_short(&gap[child + 1], &gap[child]))
            child++;
        if (!is_short(&gap[child], &moved))
            break;
        gap[at] = gap[child];
    }
    gap[at] = moved;
}

/* Truncate, then hand out what is left over, one unit each, to those that
 * lost most. */
static void divide(moe_plan_layer *layer, const moe_replica *replica,
                   uint32_t copies, const double *share, moe_plan_gap *gap)
{
    double total = 0.0, most = 0.0;
    uint32_t rest = MOE_QUOTA_ONE;
    for (uint32_t r = 0; r < copies; r++) {
        gap[r].slot = slot_of(layer, &replica[r]);
        most = fmax(most, share[gap[r].slot]);
    }
    for (uint32_t r = 0; r < copies; r++)
        total += gap[r].lost = relative(share, gap[r].slot, most);
    const double scale = MOE_QUOTA_ONE / total;
    for (uint32_t r = 0; r < copies; r++) {
        const double all = gap[r].lost * scale;
        layer->quota[gap[r].slot] = (uint32_t)all;
        rest -= layer->quota[gap[r].slot];
        gap[r].lost = all - layer->quota[gap[r].slot];
    }
    for (uint32_t i = copies / 2; rest > 0 && i-- > 0;)
        sift(gap, i, copies);
    for (; rest > 0; rest--) {
        layer->quota[gap[0].slot]++;
        gap[0].lost--;
        sift(gap, 0, copies);
    }
}

bool moe_replicas_copies(const moe_replicas *r)
{
    return r->first[r->experts] > (uint32_t)r->experts;
}

void moe_plan_layer_set_quota(moe_plan_layer *layer, const double *share,
                              moe_replicas *scratch)
{
    moe_replicas_index(scratch, layer);
    for (int e = 0; e < layer->experts; e++) {
        const moe_replica *replica = &scratch->replica[scratch->first[e]];
        uint32_t copies = scratch->first[e + 1] - scratch->first[e];
        if (copies == 1)
            layer->quota[slot_of(layer, replica)] = MOE_QUOTA_ONE;
        else if (copies > 1)
            divide(layer, replica, copies, share, scratch->gap);
    }
}

moe_status moe_plan_layer_check(const moe_plan_layer *layer, moe_error *err)
{
    for (size_t s = 0; s < n_slots(layer); s++)
        if (layer->expert[s] < -1 || layer->expert[s] >= layer->experts)
            return moe_fail(err, MOE_INVALID, "plan: there is no expert %d",
                            layer->expert[s]);
    for (int e = 0; e < layer->experts; e++) {
        uint64_t sum = 0;
        int copies = 0, last_gpu = -1;
        for (size_t s = 0; s < n_slots(layer); s++) {
            if (layer->expert[s] != e)
                continue;
            int gpu = (int)s / layer->slots;
            if (gpu == last_gpu)
                return moe_fail(err, MOE_INVALID,
                                "plan: expert %d is twice on GPU %d", e, gpu);
            last_gpu = gpu;
            copies++;
            sum += layer->quota[s];
        }
        if (copies == 0)
            return moe_fail(err, MOE_INVALID, "plan: expert %d is nowhere", e);
        if (sum != MOE_QUOTA_ONE)
            return moe_fail(err, MOE_INVALID,
                            "plan: quotas of expert %d sum to %.9f, not 1", e,
                            (double)sum / MOE_QUOTA_ONE);
    }
    return MOE_OK;
}

/* How well a slot serves its expert to a GPU. Its contents travel while others
 * arrive, so one that is overwritten serves only when there is no other; an
 * emptied one keeps what it holds. Then the own node comes first. */
static int worth(const moe_plan_layer *was, const moe_plan_layer *now, size_t s,
                 int expert, int gpu, const moe_layout *layout)
{
    bool stays = now->expert[s] == expert || now->expert[s] < 0;
    bool near = moe_layout_node(layout, (int)s / was->slots) ==
                moe_layout_node(layout, gpu);
    return 1 + 2 * stays + near;
}

static size_t count_served(const moe_move *moves, size_t n, int gpu)
{
    size_t served = 0;
    for (size_t m = 0; m < n; m++)
        served += moves[m].from_gpu == gpu;
    return served;
}

enum { BLOCK = 64 }; /* slots that are looked at together */

/* Of thousands of slots few hold an expert: blocks without one are passed by
 * vector instructions. @return the first slot from s on with the expert, or n. */
static size_t next_holder(const int16_t *held, size_t s, size_t n, int expert)
{
    const int16_t wanted = (int16_t)expert;
    while (s < n) {
        if (n - s >= BLOCK) {
            int16_t any = 0;
            for (size_t k = 0; k < BLOCK; k++)
                any |= (int16_t)(held[s + k] == wanted);
            if (!any) {
                s += BLOCK;
                continue;
            }
        }
        const size_t end = n - s < BLOCK ? n : s + BLOCK;
        for (; s < end; s++)
            if (held[s] == wanted)
                return s;
    }
    return n;
}

/* Who gives the expert of a slot of `now`? @return of the holders worth most,
 * the slot of the GPU that served least of this layer's n moves so far; -1
 * without a holder. */
static int find_holder(const moe_plan_layer *was, const moe_plan_layer *now,
                       int slot, const moe_layout *layout,
                       const moe_move *moves, size_t n)
{
    const int expert = now->expert[slot], gpu = slot / now->slots;
    int best = -1, most = 0;
    size_t least = 0;
    const size_t all = n_slots(was);
    for (size_t s = next_holder(was->expert, 0, all, expert); s < all;
         s = next_holder(was->expert, s + 1, all, expert)) {
        int w = worth(was, now, s, expert, gpu, layout);
        if (w < most)
            continue;
        size_t served = count_served(moves, n, (int)s / was->slots);
        if (w > most || served < least) {
            best = (int)s;
            most = w;
            least = served;
        }
    }
    return best;
}

size_t moe_plan_moves(const moe_plan *current, const moe_plan *next,
                      int first_layer, int end_layer, const moe_layout *layout,
                      moe_move *moves_out)
{
    size_t n = 0;
    for (int l = first_layer; l < end_layer; l++) {
        moe_plan_layer was = moe_plan_at(current, l);
        moe_plan_layer now = moe_plan_at(next, l);
        const size_t start = n;
        for (int s = 0; s < (int)n_slots(&now); s++) {
            int16_t e = now.expert[s];
            if (e < 0 || was.expert[s] == e)
                continue;
            int gpu = s / now.slots;
            int from = find_holder(&was, &now, s, layout, moves_out + start,
                                   n - start);
            assert(from >= 0 && "an expert without a holder");
            moves_out[n++] = (moe_move){(int16_t)l,       e,   from / was.slots,
                                        from % was.slots, gpu, s % now.slots};
        }
    }
    return n;
}

/* Wire format: records of 2 + 4 bytes per changed layer (layer, changes) and
 * 4 + 2 + 4 per change (slot index, expert, quota). The top bit of a layer's
 * number says that another record follows, or a wire cut between two would
 * look whole. */
enum { LAYER_BYTES = 6, CHANGE_BYTES = 10, MORE = 0x8000 };

size_t moe_plan_wire_max(const moe_plan *plan)
{
    return (size_t)plan->layers *
           (LAYER_BYTES +
            CHANGE_BYTES * (size_t)plan->gpus * (size_t)plan->slots);
}

static uint8_t *put(uint8_t *at, uint32_t value, int bytes)
{
    for (int b = 0; b < bytes; b++)
        *at++ = (uint8_t)(value >> (8 * b));
    return at;
}

static uint32_t get(const uint8_t *at, int bytes)
{
    uint32_t value = 0;
    for (int b = 0; b < bytes; b++)
        value |= (uint32_t)at[b] << (8 * b);
    return value;
}

size_t moe_plan_encode(const moe_plan *current, const moe_plan *next,
                       int first_layer, int end_layer, uint8_t *wire)
{
    uint8_t *at = wire, *last = NULL;
    assert(end_layer <= MORE);
    for (int l = first_layer; l < end_layer; l++) {
        moe_plan_layer was = moe_plan_at(current, l);
        moe_plan_layer now = moe_plan_at(next, l);
        uint8_t *head = at;
        uint32_t changes = 0;
        at += LAYER_BYTES;
        for (size_t s = 0; s < n_slots(&now); s++) {
            if (was.expert[s] == now.expert[s] && was.quota[s] == now.quota[s])
                continue;
            at = put(at, (uint32_t)s, 4);
            at = put(at, (uint16_t)now.expert[s], 2);
            at = put(at, now.quota[s], 4);
            changes++;
        }
        if (changes == 0) {
            at = head;
            continue;
        }
        if (last != NULL)
            put(last, get(last, 2) | MORE, 2);
        put(put(head, (uint32_t)l, 2), changes, 4);
        last = head;
    }
    return (size_t)(at - wire);
}

/* @return whether the wire is whole and all it says lies in the plan. */
static bool read_wire(const moe_plan *plan, const uint8_t *at, size_t bytes,
                      bool apply)
{
    const uint8_t *end = at + bytes;
    for (bool more = bytes > 0; more;) {
        if (end - at < LAYER_BYTES)
            return false;
        int l = (int)(get(at, 2) & (MORE - 1));
        more = (get(at, 2) & MORE) != 0;
        uint32_t changes = get(at + 2, 4);
        at += LAYER_BYTES;
        if (l >= plan->layers || (size_t)(end - at) / CHANGE_BYTES < changes)
            return false;
        moe_plan_layer layer = moe_plan_at(plan, l);
        for (; changes > 0; changes--, at += CHANGE_BYTES) {
            uint32_t s = get(at, 4), quota = get(at + 6, 4);
            int16_t e = (int16_t)get(at + 4, 2);
            if (s >= n_slots(&layer) || e < -1 || e >= plan->experts ||
                quota > MOE_QUOTA_ONE)
                return false;
            if (apply) {
                layer.expert[s] = e;
                layer.quota[s] = quota;
            }
        }
    }
    return at == end;
}

/* Read twice, so that either all changes are made or none. */
moe_status moe_plan_decode(moe_plan *plan, const uint8_t *wire, size_t bytes,
                           moe_error *err)
{
    if (!read_wire(plan, wire, bytes, false))
        return moe_fail(err, MOE_FORMAT, "plan on the wire is damaged");
    read_wire(plan, wire, bytes, true);
    return MOE_OK;
}

moe_status moe_replicas_init(moe_replicas *r, int experts, int gpus, int slots,
                             moe_error *err)
{
    *r = (moe_replicas){.experts = experts};
    moe_error local = {0};
    r->first = moe_array_new((size_t)experts + 1, sizeof *r->first, &local);
    r->replica =
        moe_array_new((size_t)gpus * (size_t)slots, sizeof *r->replica, &local);
    r->gap =
        moe_array_new((size_t)gpus * (size_t)slots, sizeof *r->gap, &local);
    if (local.status == MOE_OK)
        return MOE_OK;
    moe_replicas_fini(r);
    return moe_pass(err, &local);
}

void moe_replicas_fini(moe_replicas *r)
{
    free(r->first);
    free(r->replica);
    free(r->gap);
    *r = (moe_replicas){0};
}

/* A counting sort of slots by expert; slot order within an expert. */
void moe_replicas_index(moe_replicas *r, const moe_plan_layer *layer)
{
    memset(r->first, 0, ((size_t)r->experts + 1) * sizeof *r->first);
    for (size_t s = 0; s < n_slots(layer); s++)
        if (layer->expert[s] >= 0)
            r->first[layer->expert[s] + 1]++;
    for (int e = 0; e < r->experts; e++)
        r->first[e + 1] += r->first[e];
    size_t s = 0;
    for (int g = 0; g < layer->gpus; g++)
        for (int k = 0; k < layer->slots; k++, s++)
            if (layer->expert[s] >= 0)
                r->replica[r->first[layer->expert[s]]++] =
                    (moe_replica){g, k, layer->quota[s]};
    for (int e = r->experts; e > 0; e--) /* each start moved to its end */
        r->first[e] = r->first[e - 1];
    r->first[0] = 0;
}
