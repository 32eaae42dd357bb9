/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/engine/weights.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "random_plan.h"

static const int model_layers[] = {4, 1, 7};

typedef enum {
    RANDOM,   /* any plan */
    EVERYONE, /* expert 0 of GPU 0 goes everywhere, then home again */
    ROTATE    /* slot s of GPU g gets what slot s of GPU g + 1 had */
} change;

static const struct {
    const char *name;
    int layers, experts, spare; /* slots more than home needs */
    int hidden, inter;
    bool share_home, settle;
    change change;
} cases[] = {
    {"home kept", 2, 8, 3, 8, 16, true, true, RANDOM},
    {"home kept, few experts", 3, 2, 2, 8, 16, true, true, RANDOM},
    {"home kept, all weights own", 2, 8, 3, 8, 16, false, true, RANDOM},
    {"anything moves", 3, 8, 2, 8, 16, false, true, RANDOM},
    {"anything moves, unsettled", 2, 6, 4, 8, 16, false, false, RANDOM},
    {"anything moves, large", 1, 8, 2, 96, 160, false, true, RANDOM},
    {"no room to spare", 2, 8, 0, 8, 16, false, false, RANDOM},
    {"one GPU serves all", 3, 1, 0, 64, 64, true, true, EVERYONE},
    {"one GPU serves all, own weights", 3, 1, 0, 64, 64, false, true, EVERYONE},
    {"all rotate", 2, 8, 0, 8, 16, false, true, ROTATE},
    {"all rotate, large", 2, 8, 1, 96, 160, false, true, ROTATE},
};

/* One strategy's slots and the plan in force. */
typedef struct {
    int c, slots;
    moe_layout layout;
    moe_ffn_shape shape;
    const moe_ffn *ffn;
    void *state;
    moe_home_weights home;
    moe_slots weights;
    moe_plan plan, next;
    moe_move *moves;
    char *expected; /* one expert */
    moe_error err;
} store;

static moe_status store_init(store *s, int c)
{
    *s = (store){
        .c = c, .layout = {test_ctx.size, 2}, .ffn = moe_ffn_find("dnnl")};
    s->shape = (moe_ffn_shape){.hidden = cases[c].hidden,
                               .inter = cases[c].inter,
                               .top_k = 1,
                               .dtype = MOE_DTYPE_F32,
                               .seed = 5,
                               .layers = model_layers};
    const int l = cases[c].layers, e = cases[c].experts, g = test_ctx.size;
    const size_t bytes = moe_ffn_weight_bytes(&s->shape);
    s->slots = moe_layout_home_slots(&s->layout, e) + cases[c].spare;
    s->state = moe_array_new(1, s->ffn->state_size, &s->err);
    s->expected = moe_array_new(1, bytes, &s->err);
    s->moves =
        moe_array_new((size_t)(l * g * s->slots), sizeof *s->moves, &s->err);
    s->ffn->init(s->state, &s->shape, &s->err);
    const moe_home_weights_params home = {.layout = &s->layout,
                                          .gpu = test_ctx.rank,
                                          .layers = l,
                                          .experts = e,
                                          .bytes = bytes,
                                          .ffn = s->ffn,
                                          .ffn_state = s->state};
    moe_home_weights_init(&s->home, &home, &s->err);
    moe_slots_init(&s->weights, &s->home, s->slots, cases[c].share_home,
                   &s->err);
    moe_plan_init(&s->plan, l, e, g, s->slots, &s->err);
    moe_plan_init(&s->next, l, e, g, s->slots, &s->err);
    moe_plan_set_home(&s->plan, &s->layout);
    return s->err.status;
}

static void store_fini(store *s)
{
    moe_slots_fini(&s->weights);
    moe_home_weights_fini(&s->home);
    moe_plan_fini(&s->plan);
    moe_plan_fini(&s->next);
    moe_ffn_free(s->ffn, s->state);
    free(s->expected);
    free(s->moves);
}

static void draw(store *s, int round, int l)
{
    moe_plan_layer was = moe_plan_at(&s->plan, l),
                   now = moe_plan_at(&s->next, l);
    moe_rng rng = moe_rng_at(8, MOE_RNG_TEST, (uint64_t)s->c, (uint64_t)l,
                             (uint64_t)round); /* alike on all ranks */
    const bool keep_home = cases[s->c].share_home || s->c == 2;
    const int n = now.gpus * now.slots;
    switch (cases[s->c].change) {
    case RANDOM:
        random_layer(&rng, &s->layout, keep_home, &now);
        break;
    case EVERYONE:
        moe_plan_layer_set_home(&now, &s->layout);
        for (int i = 0; i < n && round % 2 == 0; i++)
            now.expert[i] = 0;
        break;
    case ROTATE:
        for (int i = 0; i < n; i++)
            now.expert[i] = was.expert[(i + now.slots) % n];
        break;
    }
    if (cases[s->c].settle)
        moe_plan_layer_settle(&was, &now);
}

/* Every slot of this GPU holds, to the byte, the expert that the plan says. */
static bool holds_its_plan(store *s)
{
    bool right = true;
    for (int l = 0; l < s->plan.layers; l++) {
        moe_plan_layer layer = moe_plan_at(&s->plan, l);
        for (int k = 0; k < s->slots; k++) {
            const int e = layer.expert[test_ctx.rank * s->slots + k];
            if (e < 0)
                continue;
            memset(s->expected, 0, s->home.bytes);
            moe_ffn_tag(s->expected, l, e);
            s->ffn->fill_weights(s->state, l, e, s->expected);
            right = right && memcmp(s->weights.weights[l * s->slots + k],
                                    s->expected, s->home.bytes) == 0;
        }
    }
    return right;
}

/* Carry out one change of plan. @return whether all is in its place. */
static bool follow(store *s, int round)
{
    for (int l = 0; l < s->plan.layers; l++)
        draw(s, round, l);
    size_t n = moe_plan_moves(&s->plan, &s->next, 0, s->plan.layers, &s->layout,
                              s->moves);
    size_t expected = 0;
    for (size_t m = 0; m < n; m++)
        expected += s->moves[m].to_gpu == test_ctx.rank ? s->home.bytes : 0;
    size_t received =
        moe_slots_migrate(&s->weights, s->moves, n, test_ctx.comm);
    moe_plan_copy(&s->plan, &s->next);
    return received == expected && holds_its_plan(s);
}

START_TEST(slots_hold_what_the_plan_says_after_any_change)
{
    store s;
    moe_status status = store_init(&s, _i);
    int wrong = status == MOE_OK && holds_its_plan(&s) ? -1 : 0;
    for (int round = 0; round < 25; round++)
        if (!follow(&s, round) && wrong < 0)
            wrong = round + 1;
    char *home = moe_array_new(1, s.home.bytes, NULL);
    bool intact = true; /* what strategies share */
    for (int i = 0; i < s.home.layers * s.home.count; i++) {
        int l = i / s.home.count, k = i % s.home.count;
        int e =
            moe_layout_home_first(&s.layout, cases[_i].experts, test_ctx.rank) +
            k;
        memset(home, 0, s.home.bytes);
        moe_ffn_tag(home, l, e);
        s.ffn->fill_weights(s.state, l, e, home);
        intact = intact && memcmp(home, s.home.data + (size_t)i * s.home.bytes,
                                  s.home.bytes) == 0;
    }
    free(home);
    store_fini(&s);
    ck_assert_msg(wrong < 0, "%s: wrong after change %d", cases[_i].name,
                  wrong);
    ck_assert_msg(intact, "%s: home weights changed", cases[_i].name);
}
END_TEST

START_TEST(a_rank_without_a_gpu_holds_nothing)
{
    const moe_layout layout = {2, 2};
    moe_home_weights home;
    moe_slots slots;
    const moe_home_weights_params params = {.layout = &layout,
                                            .gpu = -1,
                                            .layers = 2,
                                            .experts = 4,
                                            .bytes = 128,
                                            .ffn = moe_ffn_find("none")};
    moe_status a = moe_home_weights_init(&home, &params, NULL);
    moe_status b = moe_slots_init(&slots, &home, 3, _i == 1, NULL);
    const bool empty = home.data == NULL && slots.data == NULL;
    moe_slots_fini(&slots);
    moe_home_weights_fini(&home);
    ck_assert_int_eq(a, MOE_OK);
    ck_assert_int_eq(b, MOE_OK);
    ck_assert(empty);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("weights");
    MOE_TEST_LOOP(suite, slots_hold_what_the_plan_says_after_any_change,
                  MOE_ARRAY_LEN(cases));
    MOE_TEST_LOOP(suite, a_rank_without_a_gpu_holds_nothing, 2);
    return suite;
}
