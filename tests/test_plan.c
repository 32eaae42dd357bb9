/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/plan.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "random_plan.h"

/* Shapes that random tests walk through. */
static const struct {
    int layers, experts, gpus, per_node, slots;
} shapes[] = {
    {1, 1, 1, 1, 1},   {2, 8, 4, 2, 2}, {3, 8, 4, 2, 4}, {2, 3, 8, 3, 2},
    {4, 16, 5, 2, 5},  {1, 7, 3, 8, 4}, {2, 2, 2, 1, 2}, {1, 64, 16, 8, 6},
    {5, 60, 10, 4, 8}, {1, 6, 6, 2, 1},
};

typedef struct {
    moe_layout layout;
    moe_plan was, now;
    moe_rng rng;
} pair_of_plans;

static void fill_random(pair_of_plans *p, moe_plan *plan, bool keep_home)
{
    for (int l = 0; l < plan->layers; l++) {
        moe_plan_layer layer = moe_plan_at(plan, l);
        random_layer(&p->rng, &p->layout, keep_home, &layer);
    }
}

static void init_pair(pair_of_plans *p, int shape, int round, bool keep_home)
{
    p->layout = (moe_layout){shapes[shape].gpus, shapes[shape].per_node};
    p->rng = moe_rng_at(1, MOE_RNG_TEST, (uint64_t)shape, 0, (uint64_t)round);
    moe_plan *plans[] = {&p->was, &p->now};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(
            moe_plan_init(plans[i], shapes[shape].layers, shapes[shape].experts,
                          shapes[shape].gpus, shapes[shape].slots, NULL),
            MOE_OK);
        fill_random(p, plans[i], keep_home);
    }
}

static void fini_pair(pair_of_plans *p)
{
    moe_plan_fini(&p->was);
    moe_plan_fini(&p->now);
}

static size_t plan_slots(const moe_plan *p)
{
    return (size_t)p->layers * (size_t)p->gpus * (size_t)p->slots;
}

static bool same(const moe_plan *a, const moe_plan *b)
{
    size_t n = plan_slots(a);
    return memcmp(a->expert, b->expert, n * sizeof *a->expert) == 0 &&
           memcmp(a->quota, b->quota, n * sizeof *a->quota) == 0;
}

START_TEST(a_new_plan_is_empty)
{
    moe_plan p;
    ck_assert_int_eq(moe_plan_init(&p, 2, 4, 3, 2, NULL), MOE_OK);
    for (size_t s = 0; s < plan_slots(&p); s++) {
        ck_assert_int_eq(p.expert[s], -1);
        ck_assert_uint_eq(p.quota[s], 0);
    }
    moe_plan_fini(&p);
    moe_plan_fini(&p);
}
END_TEST

/* Experts at home on each GPU: floor or ceil, larger blocks first. */
static const struct {
    int experts, gpus, need, count[8];
} homes[] = {
    {8, 4, 2, {2, 2, 2, 2}}, {7, 3, 3, {3, 2, 2}}, {1, 1, 1, {1}},
    {3, 8, 1, {1, 1, 1}},    {8, 3, 3, {3, 3, 2}}, {1, 8, 1, {1}},
    {5, 4, 2, {2, 1, 1, 1}}, {8, 1, 8, {8}},
};

START_TEST(home_blocks_are_contiguous_larger_ones_first)
{
    const moe_layout layout = {homes[_i].gpus, 2};
    const int slots = homes[_i].need + _i % 2;
    ck_assert_int_eq(moe_layout_home_slots(&layout, homes[_i].experts),
                     homes[_i].need);
    moe_plan p;
    moe_plan_init(&p, 2, homes[_i].experts, homes[_i].gpus, slots, NULL);
    memset(p.quota, 0xab, plan_slots(&p) * sizeof *p.quota);
    moe_plan_set_home(&p, &layout);
    for (int l = 0; l < 2; l++) {
        moe_plan_layer layer = moe_plan_at(&p, l);
        int e = 0;
        for (int s = 0; s < layer.gpus * slots; s++) {
            bool taken = s % slots < homes[_i].count[s / slots];
            ck_assert_int_eq(layer.expert[s], taken ? e++ : -1);
            ck_assert_uint_eq(layer.quota[s], taken ? MOE_QUOTA_ONE : 0);
        }
        ck_assert_int_eq(e, homes[_i].experts);
        ck_assert_int_eq(moe_plan_layer_check(&layer, NULL), MOE_OK);
    }
    moe_plan_fini(&p);
}
END_TEST

/* Shares of three replicas and what they become; 2^30 = 3 * 357913941 + 1. */
static const struct {
    double share[3];
    uint32_t quota[3];
} divisions[] = {
    {{0, 0, 0}, {357913942, 357913941, 357913941}},
    {{1, 1, 1}, {357913942, 357913941, 357913941}},
    {{7, 0, 0}, {1 << 30, 0, 0}},
    {{0, 0, .1}, {0, 0, 1 << 30}},
    {{1, 2, 1}, {1 << 28, 1 << 29, 1 << 28}},
    /* remainders .33, .33, .33 of 1/6, 2/6, 3/6: .67, .33, 0 */
    {{1, 2, 3}, {178956971, 357913941, 536870912}},
    {{5, 5, 0}, {1 << 29, 1 << 29, 0}},
    {{1e-310, 1e-310, 2e-310}, {1 << 28, 1 << 28, 1 << 29}},
    {{1e308, 1e308, 0}, {1 << 29, 1 << 29, 0}},
    {{1e15, 1e15, 2e15}, {1 << 28, 1 << 28, 1 << 29}},
    {{1e-300, 1e300, 0}, {0, 1 << 30, 0}},
};

START_TEST(quotas_are_divided_by_largest_remainder)
{
    /* Expert 0 sits in slot 0 of GPU 0, three replicas of expert 1 after. */
    int16_t expert[6] = {0, 1, -1, 1, -1, 1};
    uint32_t quota[6] = {0};
    const double *in = divisions[_i].share;
    const double share[6] = {3, in[0], 9, in[1], 9, in[2]};
    moe_plan_layer layer = {2, 3, 2, expert, quota};
    moe_replicas scratch;
    moe_replicas_init(&scratch, 2, 3, 2, NULL);
    moe_plan_layer_set_quota(&layer, share, &scratch);
    ck_assert_uint_eq(quota[0], MOE_QUOTA_ONE);
    for (int r = 0; r < 3; r++)
        ck_assert_uint_eq(quota[2 * r + 1], divisions[_i].quota[r]);
    ck_assert_uint_eq(quota[2], 0);
    ck_assert_int_eq(moe_plan_layer_check(&layer, NULL), MOE_OK);
    moe_replicas_fini(&scratch);
}
END_TEST

static bool quotas_are_nearest(const moe_plan_layer *layer, const double *share)
{
    for (int e = 0; e < layer->experts; e++) {
        long double total = 0;
        int n = 0;
        for (int s = 0; s < layer->gpus * layer->slots; s++)
            if (layer->expert[s] == e) {
                total += share[s];
                n++;
            }
        for (int s = 0; s < layer->gpus * layer->slots; s++) {
            long double ideal =
                (total > 0 ? share[s] / total : 1.0L / n) * MOE_QUOTA_ONE;
            if (layer->expert[s] == e &&
                fabsl(ideal - layer->quota[s]) > 1.0L + 1e-5L)
                return false;
        }
    }
    return true;
}

START_TEST(quotas_of_any_shares_sum_exactly)
{
    for (int round = 0; round < 100; round++) {
        pair_of_plans p;
        init_pair(&p, _i, round, round % 2 == 0);
        moe_plan_layer layer = moe_plan_at(&p.now, 0);
        const size_t n = (size_t)layer.gpus * (size_t)layer.slots;
        double *share = moe_array_new(n, sizeof *share, NULL);
        for (size_t s = 0; s < n; s++) {
            int kind = random_below(&p.rng, 3);
            share[s] = kind == 0   ? 0
                       : kind == 1 ? random_below(&p.rng, 1000)
                                   : moe_rng_unit(&p.rng) * 1e12;
        }
        moe_replicas scratch;
        moe_replicas_init(&scratch, layer.experts, layer.gpus, layer.slots,
                          NULL);
        moe_plan_layer_set_quota(&layer, share, &scratch);
        ck_assert_int_eq(moe_plan_layer_check(&layer, NULL), MOE_OK);
        ck_assert(quotas_are_nearest(&layer, share));
        moe_replicas_fini(&scratch);
        free(share);
        fini_pair(&p);
    }
}
END_TEST

/* @return quota of an expert on a GPU, or -1 if it is not there. */
static int64_t quota_on(const moe_plan_layer *layer, int gpu, int e)
{
    for (int k = 0; k < layer->slots; k++)
        if (layer->expert[gpu * layer->slots + k] == e)
            return layer->quota[gpu * layer->slots + k];
    return -1;
}

/* Every GPU holds what was asked, and in its old slot what it had. */
static bool is_settled(const moe_plan_layer *was, const moe_plan_layer *asked,
                       const moe_plan_layer *now)
{
    bool right = true;
    for (int g = 0; g < now->gpus; g++)
        for (int e = 0; e < now->experts; e++)
            right = right && quota_on(now, g, e) == quota_on(asked, g, e);
    for (int s = 0; s < now->gpus * now->slots; s++)
        if (was->expert[s] >= 0 &&
            quota_on(asked, s / now->slots, was->expert[s]) >= 0)
            right = right && now->expert[s] == was->expert[s];
    return right;
}

START_TEST(settled_experts_keep_their_slots)
{
    for (int round = 0; round < 100; round++) {
        pair_of_plans p;
        init_pair(&p, _i, round, round % 2 == 0);
        moe_plan asked;
        moe_plan_init(&asked, p.now.layers, p.now.experts, p.now.gpus,
                      p.now.slots, NULL);
        moe_plan_copy(&asked, &p.now);
        ck_assert(same(&asked, &p.now));
        for (int l = 0; l < p.now.layers; l++) {
            moe_plan_layer was = moe_plan_at(&p.was, l),
                           now = moe_plan_at(&p.now, l),
                           want = moe_plan_at(&asked, l);
            moe_plan_layer_settle(&was, &now);
            ck_assert(is_settled(&was, &want, &now));
        }
        moe_plan_fini(&asked);
        fini_pair(&p);
    }
}
END_TEST

/* New (GPU, expert) pairs: no plan can do with fewer moves. */
static size_t fewest_moves(const moe_plan *was, const moe_plan *now)
{
    size_t n = 0;
    for (int l = 0; l < now->layers; l++) {
        moe_plan_layer a = moe_plan_at(was, l), b = moe_plan_at(now, l);
        for (int g = 0; g < b.gpus; g++)
            for (int e = 0; e < b.experts; e++)
                n += quota_on(&b, g, e) >= 0 && quota_on(&a, g, e) < 0;
    }
    return n;
}

/* Fitness of a slot as the source of an expert: 0 does not hold it, 1 will be
 * overwritten, 3 stays as it is; one more on the receiver's node. */
static int fitness(const pair_of_plans *p, int layer, int slot, int expert,
                   int gpu)
{
    moe_plan_layer was = moe_plan_at(&p->was, layer);
    moe_plan_layer now = moe_plan_at(&p->now, layer);
    if (was.expert[slot] != expert)
        return 0;
    bool stays = now.expert[slot] == expert || now.expert[slot] < 0;
    bool near = moe_layout_node(&p->layout, slot / was.slots) ==
                moe_layout_node(&p->layout, gpu);
    return (stays ? 3 : 1) + near;
}

static bool is_best_source(const pair_of_plans *p, const moe_move *m)
{
    const int slots = p->now.slots;
    int best = 0;
    for (int s = 0; s < p->now.gpus * slots; s++) {
        int f = fitness(p, m->layer, s, m->expert, m->to_gpu);
        best = f > best ? f : best;
    }
    return best > 0 && fitness(p, m->layer, m->from_gpu * slots + m->from_slot,
                               m->expert, m->to_gpu) == best;
}

/* Exactly the slots whose expert is new, in order, each well served. */
static bool moves_are_right(const pair_of_plans *p, const moe_move *moves,
                            size_t n_moves)
{
    size_t n = 0;
    for (int l = 0; l < p->now.layers; l++) {
        moe_plan_layer was = moe_plan_at(&p->was, l);
        moe_plan_layer now = moe_plan_at(&p->now, l);
        for (int s = 0; s < now.gpus * now.slots; s++) {
            if (now.expert[s] < 0 || now.expert[s] == was.expert[s])
                continue;
            const moe_move *m = &moves[n++];
            if (n > n_moves || m->layer != l || m->expert != now.expert[s] ||
                m->to_gpu * now.slots + m->to_slot != s ||
                !is_best_source(p, m))
                return false;
        }
    }
    return n == n_moves;
}

START_TEST(every_new_replica_comes_once_from_the_best_holder)
{
    for (int round = 0; round < 100; round++) {
        pair_of_plans p;
        init_pair(&p, _i, round, round % 2 == 0);
        moe_move *moves =
            moe_array_new(plan_slots(&p.now), sizeof *moves, NULL);
        size_t n =
            moe_plan_moves(&p.was, &p.now, 0, p.now.layers, &p.layout, moves);
        ck_assert(moves_are_right(&p, moves, n));
        for (int l = 0; l < p.now.layers; l++) {
            moe_plan_layer was = moe_plan_at(&p.was, l),
                           now = moe_plan_at(&p.now, l);
            moe_plan_layer_settle(&was, &now);
        }
        n = moe_plan_moves(&p.was, &p.now, 0, p.now.layers, &p.layout, moves);
        ck_assert(moves_are_right(&p, moves, n));
        ck_assert_uint_eq(n, fewest_moves(&p.was, &p.now));
        ck_assert_uint_eq(
            moe_plan_moves(&p.now, &p.now, 0, p.now.layers, &p.layout, moves),
            0);
        free(moves);
        fini_pair(&p);
    }
}
END_TEST

START_TEST(moves_of_a_range_of_layers_are_its_own)
{
    pair_of_plans p;
    init_pair(&p, 4, 0, true); /* four layers */
    moe_move *all = moe_array_new(plan_slots(&p.now), sizeof *all, NULL);
    moe_move *part = moe_array_new(plan_slots(&p.now), sizeof *part, NULL);
    size_t n = moe_plan_moves(&p.was, &p.now, 0, 4, &p.layout, all), at = 0;
    for (int l = 0; l < 4; l++) {
        size_t k = moe_plan_moves(&p.was, &p.now, l, l + 1, &p.layout, part);
        ck_assert_int_eq(memcmp(part, all + at, k * sizeof *part), 0);
        at += k;
    }
    ck_assert_uint_eq(at, n);
    free(all);
    free(part);
    fini_pair(&p);
}
END_TEST

/* One layer before and after, and the GPU each new replica comes from. */
static const struct {
    const char *name;
    int experts, gpus, per_node, slots;
    int16_t was[12], now[12];
    size_t n_moves;
    int from[8];
} journeys[] = {
    {"two holders share four receivers",
     1,
     6,
     6,
     1,
     {0, 0, -1, -1, -1, -1},
     {0, 0, 0, 0, 0, 0},
     4,
     {0, 1, 0, 1}},
    {"turns are not spoilt by other experts in between",
     2,
     6,
     6,
     2,
     {0, -1, 0, -1, 1, -1, -1, -1, -1, -1, -1, -1},
     {0, -1, 0, -1, 1, -1, 0, 1, 0, 1, 0, 1},
     6,
     {0, 2, 1, 2, 0, 2}},
    {"each node's receivers are shared by its holders",
     1,
     6,
     3,
     1,
     {0, 0, -1, 0, -1, -1},
     {0, 0, 0, 0, 0, 0},
     3,
     {0, 3, 3}},
    {"an emptied slot serves before an overwritten one",
     2,
     3,
     3,
     1,
     {0, 0, 1},
     {1, -1, 0},
     2,
     {2, 1}},
    {"a far stable holder serves before a near overwritten one",
     2,
     4,
     2,
     1,
     {0, -1, 0, 1},
     {1, 0, 0, 1},
     2,
     {3, 2}},
    {"experts may change places", 2, 2, 1, 1, {0, 1}, {1, 0}, 2, {1, 0}},
};

START_TEST(sources_are_near_stable_and_take_turns)
{
    const int slots = journeys[_i].slots, n = journeys[_i].gpus * slots;
    const moe_layout layout = {journeys[_i].gpus, journeys[_i].per_node};
    moe_plan was, now;
    moe_plan_init(&was, 1, journeys[_i].experts, layout.gpus, slots, NULL);
    moe_plan_init(&now, 1, journeys[_i].experts, layout.gpus, slots, NULL);
    memcpy(was.expert, journeys[_i].was, (size_t)n * sizeof *was.expert);
    memcpy(now.expert, journeys[_i].now, (size_t)n * sizeof *now.expert);
    moe_move moves[12];
    size_t n_moves = moe_plan_moves(&was, &now, 0, 1, &layout, moves);
    ck_assert_msg(n_moves == journeys[_i].n_moves, "%s", journeys[_i].name);
    int sent[6] = {0}, expected[6] = {0};
    for (size_t m = 0; m < n_moves; m++) {
        sent[moves[m].from_gpu]++;
        expected[journeys[_i].from[m]]++;
    }
    for (int g = 0; g < layout.gpus; g++)
        ck_assert_msg(sent[g] == expected[g], "%s: GPU %d serves %d, not %d",
                      journeys[_i].name, g, sent[g], expected[g]);
    moe_plan_fini(&was);
    moe_plan_fini(&now);
}
END_TEST

START_TEST(decoding_an_encoded_plan_gives_it_back)
{
    for (int round = 0; round < 100; round++) {
        pair_of_plans p;
        init_pair(&p, _i, round, round % 2 == 0);
        size_t room = moe_plan_wire_max(&p.now);
        uint8_t *wire = moe_array_new(room, 1, NULL);
        ck_assert_uint_eq(
            moe_plan_encode(&p.was, &p.was, 0, p.was.layers, wire), 0);
        int quiet = random_below(&p.rng, p.now.layers); /* one may not change */
        if (round % 3 == 0) {
            moe_plan_layer from = moe_plan_at(&p.was, quiet),
                           to = moe_plan_at(&p.now, quiet);
            size_t n = (size_t)to.gpus * (size_t)to.slots;
            memcpy(to.expert, from.expert, n * sizeof *to.expert);
            memcpy(to.quota, from.quota, n * sizeof *to.quota);
        }
        size_t bytes = moe_plan_encode(&p.was, &p.now, 0, p.now.layers, wire);
        ck_assert_uint_le(bytes, room);
        ck_assert_int_eq(moe_plan_decode(&p.was, wire, bytes, NULL), MOE_OK);
        ck_assert(same(&p.was, &p.now));
        free(wire);
        fini_pair(&p);
    }
}
END_TEST

START_TEST(the_largest_change_fits_the_wire)
{
    moe_plan a, b;
    moe_plan_init(&a, 3, 4, 2, 3, NULL);
    moe_plan_init(&b, 3, 4, 2, 3, NULL);
    for (size_t s = 0; s < plan_slots(&b); s++) {
        b.expert[s] = (int16_t)(s % 4);
        b.quota[s] = (uint32_t)s + 1;
    }
    size_t room = moe_plan_wire_max(&a);
    uint8_t *wire = moe_array_new(room, 1, NULL);
    ck_assert_uint_eq(moe_plan_encode(&a, &b, 0, 3, wire), room);
    free(wire);
    moe_plan_fini(&a);
    moe_plan_fini(&b);
}
END_TEST

START_TEST(encoding_some_layers_leaves_the_others_alone)
{
    pair_of_plans p;
    init_pair(&p, 8, 0, false); /* five layers */
    moe_plan got;
    moe_plan_init(&got, 5, p.now.experts, p.now.gpus, p.now.slots, NULL);
    moe_plan_copy(&got, &p.was);
    uint8_t *wire = moe_array_new(moe_plan_wire_max(&p.now), 1, NULL);
    size_t bytes = moe_plan_encode(&p.was, &p.now, 1, 3, wire);
    ck_assert_int_eq(moe_plan_decode(&got, wire, bytes, NULL), MOE_OK);
    const size_t n = plan_slots(&got) / 5;
    for (size_t l = 0; l < 5; l++) {
        const moe_plan *from = l == 1 || l == 2 ? &p.now : &p.was;
        ck_assert_int_eq(memcmp(got.expert + l * n, from->expert + l * n,
                                n * sizeof *got.expert),
                         0);
    }
    free(wire);
    moe_plan_fini(&got);
    fini_pair(&p);
}
END_TEST

START_TEST(every_cut_of_a_wire_is_refused)
{
    pair_of_plans p;
    init_pair(&p, _i, 0, false);
    moe_plan before;
    moe_plan_init(&before, p.was.layers, p.was.experts, p.was.gpus, p.was.slots,
                  NULL);
    moe_plan_copy(&before, &p.was);
    uint8_t *wire = moe_array_new(moe_plan_wire_max(&p.now), 1, NULL);
    size_t bytes = moe_plan_encode(&p.was, &p.now, 0, p.now.layers, wire);
    for (size_t cut = 1; cut < bytes; cut++) {
        moe_error err = {0};
        uint8_t *exact = malloc(cut); /* its end is watched by sanitizers */
        memcpy(exact, wire, cut);
        bool refused = moe_plan_decode(&p.was, exact, cut, &err) == MOE_FORMAT;
        ck_assert(refused && same(&p.was, &before));
        free(exact);
    }
    free(wire);
    moe_plan_fini(&before);
    fini_pair(&p);
}
END_TEST

/* What a decoded plan may hold whatever came in. */
static bool is_in_bounds(const moe_plan *plan)
{
    bool in = true;
    for (size_t s = 0; s < plan_slots(plan); s++)
        in = in && plan->expert[s] >= -1 && plan->expert[s] < plan->experts &&
             plan->quota[s] <= MOE_QUOTA_ONE;
    return in;
}

START_TEST(a_damaged_wire_never_harms)
{
    pair_of_plans p;
    init_pair(&p, _i, 1, false);
    moe_plan before;
    moe_plan_init(&before, p.was.layers, p.was.experts, p.was.gpus, p.was.slots,
                  NULL);
    moe_plan_copy(&before, &p.was);
    uint8_t *wire = moe_array_new(moe_plan_wire_max(&p.now), 1, NULL);
    uint8_t *copy = moe_array_new(moe_plan_wire_max(&p.now), 1, NULL);
    size_t bytes = moe_plan_encode(&p.was, &p.now, 0, p.now.layers, wire);
    for (int round = 0; round < 1000 && bytes > 0; round++) {
        memcpy(copy, wire, bytes);
        bool noise = round % 4 == 0;
        int hits = noise ? (int)bytes : 1 + random_below(&p.rng, 3);
        for (int h = 0; h < hits; h++) {
            int at = noise ? h : random_below(&p.rng, (int)bytes);
            copy[at] = (uint8_t)moe_rng_u64(&p.rng);
        }
        moe_status s = moe_plan_decode(&p.was, copy, bytes, NULL);
        ck_assert(s == MOE_OK || s == MOE_FORMAT);
        ck_assert(is_in_bounds(&p.was) &&
                  (s == MOE_OK || same(&p.was, &before)));
        moe_plan_copy(&p.was, &before);
    }
    free(wire);
    free(copy);
    moe_plan_fini(&before);
    fini_pair(&p);
}
END_TEST

/* Two experts on two GPUs of two slots. */
static const struct {
    int16_t expert[4];
    uint32_t quota[4];
    const char *says;
} faults[] = {
    {{0, -1, 1, -1}, {1 << 30, 0, 1 << 30, 0}, NULL},
    {{0, 1, 1, 0}, {1, 1 << 30, 0, (1 << 30) - 1}, NULL},
    {{0, -1, 0, -1}, {1 << 29, 0, 1 << 29, 0}, "expert 1 is nowhere"},
    {{0, 0, 1, -1}, {1 << 29, 1 << 29, 1 << 30, 0}, "expert 0 is twice"},
    {{0, -1, 1, 1}, {1 << 30, 0, 1 << 30, 0}, "expert 1 is twice on GPU 1"},
    {{0, -1, 1, -1}, {1 << 30, 0, 1 << 29, 0}, "quotas of expert 1"},
    {{0, 1, 1, 0},
     {UINT32_C(1) << 31, 1 << 30, 0, UINT32_C(1) << 31},
     "quotas of expert 0"},
    {{0, 2, 1, -1}, {1 << 30, 0, 1 << 30, 0}, "no expert 2"},
    {{0, -3, 1, -1}, {1 << 30, 0, 1 << 30, 0}, "no expert -3"},
};

START_TEST(a_faulty_layer_is_told_by_its_fault)
{
    int16_t expert[4];
    uint32_t quota[4];
    memcpy(expert, faults[_i].expert, sizeof expert);
    memcpy(quota, faults[_i].quota, sizeof quota);
    moe_plan_layer layer = {2, 2, 2, expert, quota};
    moe_error err = {0};
    moe_status s = moe_plan_layer_check(&layer, &err);
    ck_assert_int_eq(s, faults[_i].says != NULL ? MOE_INVALID : MOE_OK);
    if (faults[_i].says != NULL)
        ck_assert_msg(strstr(err.text, faults[_i].says) != NULL, "%s",
                      err.text);
}
END_TEST

static bool index_is_right(const moe_replicas *r, const moe_plan_layer *layer)
{
    uint32_t at = 0;
    for (int e = 0; e < layer->experts; e++) {
        if (r->first[e] != at)
            return false;
        for (int s = 0; s < layer->gpus * layer->slots; s++) {
            if (layer->expert[s] != e)
                continue;
            const moe_replica *x = &r->replica[at++];
            if (x->gpu != s / layer->slots || x->slot != s % layer->slots ||
                x->quota != layer->quota[s])
                return false;
        }
    }
    return r->first[layer->experts] == at;
}

START_TEST(replicas_are_the_slots_sorted_by_expert)
{
    for (int round = 0; round < 50; round++) {
        pair_of_plans p;
        init_pair(&p, _i, round, false);
        moe_replicas r;
        moe_replicas_init(&r, p.now.experts, p.now.gpus, p.now.slots, NULL);
        for (int l = 0; l < p.now.layers; l++) { /* the index is reused */
            moe_plan_layer layer = moe_plan_at(&p.now, l);
            moe_replicas_index(&r, &layer);
            ck_assert(index_is_right(&r, &layer));
        }
        moe_replicas_fini(&r);
        fini_pair(&p);
    }
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("plan");
    const size_t n = MOE_ARRAY_LEN(shapes);
    MOE_TEST(suite, a_new_plan_is_empty);
    MOE_TEST_LOOP(suite, home_blocks_are_contiguous_larger_ones_first,
                  MOE_ARRAY_LEN(homes));
    MOE_TEST_LOOP(suite, quotas_are_divided_by_largest_remainder,
                  MOE_ARRAY_LEN(divisions));
    MOE_TEST_LOOP(suite, quotas_of_any_shares_sum_exactly, n);
    MOE_TEST_LOOP(suite, settled_experts_keep_their_slots, n);
    MOE_TEST_LOOP(suite, every_new_replica_comes_once_from_the_best_holder, n);
    MOE_TEST(suite, moves_of_a_range_of_layers_are_its_own);
    MOE_TEST_LOOP(suite, sources_are_near_stable_and_take_turns,
                  MOE_ARRAY_LEN(journeys));
    MOE_TEST_LOOP(suite, decoding_an_encoded_plan_gives_it_back, n);
    MOE_TEST(suite, the_largest_change_fits_the_wire);
    MOE_TEST(suite, encoding_some_layers_leaves_the_others_alone);
    MOE_TEST_LOOP(suite, every_cut_of_a_wire_is_refused, n);
    MOE_TEST_LOOP(suite, a_damaged_wire_never_harms, n);
    MOE_TEST_LOOP(suite, a_faulty_layer_is_told_by_its_fault,
                  MOE_ARRAY_LEN(faults));
    MOE_TEST_LOOP(suite, replicas_are_the_slots_sorted_by_expert, n);
    return suite;
}
