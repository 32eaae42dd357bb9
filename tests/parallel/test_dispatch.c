/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/engine/dispatch_internal.h"

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "moegps/mem.h"
#include "random_plan.h"

typedef enum { EVEN, RAMP, FIRST_ONLY, LAST_ONLY, NOBODY } crowd;
typedef enum { RANDOM, HOME, ALL_ON_LAST } placing;

static const struct {
    const char *name;
    int experts, top_k, spare; /* slots more than home needs */
    uint32_t tokens;           /* most of a rank */
    crowd crowd;
    placing placing;
    int hot; /* pairs go to experts below this; 0: to all */
} cases[] = {
    {"even", 8, 2, 2, 40, EVEN, RANDOM, 0},
    {"home", 8, 2, 0, 40, EVEN, HOME, 0},
    {"unequal ranks", 8, 3, 4, 50, RAMP, RANDOM, 0},
    {"one rank has all tokens", 6, 2, 3, 64, FIRST_ONLY, RANDOM, 0},
    {"the last rank has all tokens", 6, 1, 3, 64, LAST_ONLY, RANDOM, 0},
    {"no tokens at all", 4, 2, 1, 0, NOBODY, RANDOM, 0},
    {"all pairs to one GPU", 8, 4, 8, 60, EVEN, ALL_ON_LAST, 0},
    {"all pairs to one GPU from one rank", 8, 4, 8, 60, FIRST_ONLY, ALL_ON_LAST,
     0},
    {"hot experts", 16, 2, 4, 100, RAMP, RANDOM, 2},
    {"many slots", 64, 8, 40, 80, EVEN, RANDOM, 0},
    {"one expert", 1, 1, 1, 30, EVEN, RANDOM, 0},
    {"one token", 5, 5, 2, 1, EVEN, RANDOM, 0},
};

/* Share of predictions that are right; below 0: nothing is predicted. */
static const double accuracies[] = {-1, 0, 0.3, 1};

enum { ROW = 40, ROUNDS = 4 };

/* What a row says, before and after its expert. */
typedef struct {
    uint64_t token, answer;
    uint8_t fill[ROW - 2 * sizeof(uint64_t)];
} row_t;

/* Everybody can tell everybody's experts. */
static void experts_of(int c, uint64_t token, uint16_t *out)
{
    const int k = cases[c].top_k;
    moe_rng rng = moe_rng_at(6, MOE_RNG_TEST, (uint64_t)c, 0, token);
    int n = cases[c].hot > 0 ? cases[c].hot : cases[c].experts;
    int first = random_below(&rng, n);
    for (int j = 0; j < k; j++) /* distinct; 1 and 3 in any order */
        out[j] = (uint16_t)((first + (k - j)) % n);
}

static uint64_t answer(uint64_t token, int expert)
{
    return token * 1000 + (uint64_t)expert + 1;
}

static uint32_t tokens_of(int c, int rank)
{
    const uint32_t most = cases[c].tokens;
    switch (cases[c].crowd) {
    case EVEN:
        return most;
    case RAMP:
        return most * (uint32_t)rank / (uint32_t)test_ctx.size;
    case FIRST_ONLY:
        return rank == 0 ? most : 0;
    case LAST_ONLY:
        return rank == test_ctx.size - 1 ? most : 0;
    default:
        return 0;
    }
}

/* GPUs of a node; the last node has what is left. */
static const int per_node[] = {2, 3, 64};

/* How pairs that meet in a sum are weighed; never 0. */
static float gate_of(uint64_t token, int expert)
{
    return (float)(1 + (token * 3 + (uint64_t)expert) % 5);
}

/* One rank's tokens, its dispatch and a plan that all know. */
typedef struct {
    int c;
    moe_layout layout;
    moe_batch batch;
    row_t *rows;
    uint16_t *predicted; /* [own][top_k] */
    const moe_transport *transport;
    moe_dispatch *d; /* by it */
    moe_plan plan;
    moe_replicas replicas;
    moe_status status;
} post;

static void make_batch(post *p)
{
    moe_batch *b = &p->batch;
    *b = (moe_batch){.layers = 2,
                     .experts = cases[p->c].experts,
                     .top_k = cases[p->c].top_k,
                     .own = tokens_of(p->c, test_ctx.rank)};
    for (int r = 0; r < test_ctx.size; r++) {
        b->first += r < test_ctx.rank ? tokens_of(p->c, r) : 0;
        b->tokens += tokens_of(p->c, r);
    }
    const size_t k = (size_t)b->top_k;
    b->experts_of = moe_array_new(2 * b->own * k, sizeof(uint16_t), NULL);
    b->gate = moe_array_new(2 * b->own * k, sizeof(float), NULL);
    p->rows = moe_array_new(b->own, sizeof *p->rows, NULL);
    p->predicted = moe_array_new(b->own * k, sizeof *p->predicted, NULL);
    for (uint32_t t = 0; t < b->own; t++) {
        p->rows[t].token = b->first + t;
        memset(p->rows[t].fill, (int)(b->first + t) & 0xff,
               sizeof p->rows[t].fill);
        experts_of(p->c, b->first + t, b->experts_of + (b->own + t) * k);
        for (size_t i = (b->own + t) * k; i < (b->own + t + 1) * k; i++)
            b->gate[i] = gate_of(b->first + t, b->experts_of[i]);
    }
}

static void post_init(post *p, int c, int each, const moe_transport *transport)
{
    *p =
        (post){.c = c, .layout = {test_ctx.size, each}, .transport = transport};
    make_batch(p);
    const int slots =
        moe_layout_home_slots(&p->layout, cases[c].experts) + cases[c].spare;
    const moe_dispatch_params params = {
        .transport = transport,
        .gpu = test_ctx.rank,
        .layout = p->layout,
        .group = each < test_ctx.size ? each : test_ctx.size,
        .experts = cases[c].experts,
        .top_k = cases[c].top_k,
        .max_slots = slots + 3,
        .max_tokens = p->batch.tokens,
        .max_own = p->batch.own,
        .row_bytes = sizeof(row_t)};
    p->status = moe_dispatch_new(&params, &p->d, NULL);
    if (p->status == MOE_OK)
        moe_dispatch_connect(p->d, test_ctx.comm);
    moe_plan_init(&p->plan, 1, cases[c].experts, test_ctx.size, slots, NULL);
    moe_replicas_init(&p->replicas, cases[c].experts, test_ctx.size, slots,
                      NULL);
}

static void post_fini(post *p)
{
    moe_dispatch_free(p->d);
    moe_plan_fini(&p->plan);
    moe_replicas_fini(&p->replicas);
    free(p->batch.experts_of);
    free(p->batch.gate);
    free(p->rows);
    free(p->predicted);
}

static void draw_plan(post *p, int round)
{
    moe_plan_layer layer = moe_plan_at(&p->plan, 0);
    moe_rng rng = moe_rng_at(7, MOE_RNG_TEST, (uint64_t)p->c, 0,
                             (uint64_t)round); /* alike on all ranks */
    const int last = (layer.gpus - 1) * layer.slots;
    switch (cases[p->c].placing) {
    case RANDOM:
        random_layer(&rng, &p->layout, round % 2 == 0, &layer);
        break;
    case HOME:
        moe_plan_layer_set_home(&layer, &p->layout);
        break;
    case ALL_ON_LAST:
        for (int s = 0; s < layer.gpus * layer.slots; s++) {
            bool taken = s >= last && s - last < layer.experts;
            layer.expert[s] = taken ? (int16_t)(s - last) : -1;
            layer.quota[s] = taken ? MOE_QUOTA_ONE : 0;
        }
        break;
    }
    moe_replicas_index(&p->replicas, &layer);
}

/* Every grouped row is of a token that chose the expert of its slot; leaves
 * the expert's answer in it. */
static bool answer_rows(post *p, row_t *row)
{
    const moe_plan_layer layer = moe_plan_at(&p->plan, 0);
    uint64_t n = 0;
    bool right = true;
    for (int s = 0; s < layer.slots; s++) {
        const int e = layer.expert[test_ctx.rank * layer.slots + s];
        right = right && p->d->slot_at[s] == n;
        right = right && (e >= 0 || p->d->slot_rows[s] == 0);
        for (uint32_t r = 0; r < p->d->slot_rows[s]; r++, n++, row++) {
            uint16_t chosen[16];
            bool asked = false;
            right = right && row->token < p->batch.tokens &&
                    row->fill[0] == (row->token & 0xff) &&
                    row->fill[sizeof row->fill - 1] == (row->token & 0xff);
            experts_of(p->c, row->token, chosen);
            for (int j = 0; j < cases[p->c].top_k; j++)
                asked = asked || chosen[j] == e;
            right = right && asked && row->answer == 0;
            row->answer = answer(row->token, e);
        }
    }
    return right && n == p->d->n_rows;
}

/* Weighted sums of answers; a row is of one token. */
static void add_rows(const moe_ffn_sums *sums, size_t i, const row_t *rows,
                     row_t *out)
{
    *out = (row_t){.token = UINT64_MAX};
    for (size_t j = moe_ffn_sums_first(sums, i);
         j < moe_ffn_sums_first(sums, i + 1); j++) {
        const row_t *row = &rows[sums->row[j]];
        const float weight =
            sums->weight != NULL ? sums->weight[j] : sums->even;
        if (row->token == UINT64_MAX) /* a sum of nothing */
            continue;
        const uint64_t answers = out->answer;
        if (out->token != UINT64_MAX && out->token != row->token)
            out->token = UINT64_MAX - 1; /* of nobody */
        else
            *out = *row;
        out->answer = answers + (uint64_t)weight * row->answer;
    }
}

static void reduce(void *state, const moe_ffn_sums *sums, const void *rows,
                   void *rows_out)
{
    (void)state;
    for (size_t i = 0; i < sums->n; i++)
        add_rows(sums, i, rows, (row_t *)rows_out + i);
}

static const moe_ffn answering = {.name = "answering", .reduce = reduce};

/* Every token has the answers of its experts, weighed. */
static bool got_answers(const post *p, const row_t *home,
                        const moe_ffn_sums *sums)
{
    const size_t k = (size_t)p->batch.top_k;
    bool right = sums->n == p->batch.own;
    for (uint32_t t = 0; t < p->batch.own && right; t++) {
        const uint64_t token = p->batch.first + t;
        uint64_t expected = 0;
        row_t got;
        for (size_t j = 0; j < k; j++) {
            const int e = p->batch.experts_of[(p->batch.own + t) * k + j];
            expected += (uint64_t)gate_of(token, e) * answer(token, e);
        }
        add_rows(sums, t, home, &got);
        right = got.token == token && got.answer == expected &&
                got.fill[3] == (token & 0xff);
    }
    return right;
}

/* No two pairs share a place. */
static bool places_are_distinct(const post *p)
{
    const size_t n = p->batch.own * (size_t)p->batch.top_k;
    bool *taken = moe_array_new(n, sizeof *taken, NULL), right = true;
    for (size_t i = 0; i < n; i++) {
        right = right && p->d->rest.where[i] < n && !taken[p->d->rest.where[i]];
        if (right)
            taken[p->d->rest.where[i]] = true;
    }
    free(taken);
    return right;
}

static bool is_in(const uint16_t *list, int n, int expert)
{
    for (int j = 0; j < n; j++)
        if (list[j] == expert)
            return true;
    return false;
}

/* Some experts right, in another order than the true ones; wrong ones may
 * come twice. @return how many pairs of this rank are right. */
static uint64_t predict(post *p, double accuracy, int round)
{
    const int k = p->batch.top_k, n = p->batch.experts;
    const uint16_t *truth = p->batch.experts_of + p->batch.own * (size_t)k;
    uint16_t *said = p->predicted;
    uint64_t hits = 0;
    for (uint32_t t = 0; t < p->batch.own; t++, truth += k, said += k) {
        moe_rng rng = moe_rng_at(8, MOE_RNG_TEST, (uint64_t)p->c,
                                 (uint64_t)round, p->batch.first + t);
        for (int j = 0; j < k; j++) {
            const bool right = moe_rng_unit(&rng) < accuracy;
            int e = truth[k - 1 - j];
            while (!right && is_in(truth, k, e) && k < n)
                e = random_below(&rng, n);
            said[j] = (uint16_t)e;
        }
        for (int j = 0; j < k; j++)
            hits += is_in(said, k, truth[j]);
    }
    return hits;
}

/* In every second round exchanges are posted and completed by polling. */
static void send(moe_dispatch *d, moe_way way, int round)
{
    if (round % 2 == 0) {
        moe_dispatch_send(d, way);
        return;
    }
    moe_dispatch_post(d, way);
    while (!moe_dispatch_test(d))
        ;
}

static void send_leg(post *p, const moe_split *split, void *state, int round)
{
    moe_dispatch *d = p->d;
    moe_dispatch_number(d);
    moe_dispatch_address(d, &p->batch, &p->replicas, p->plan.slots, split,
                         state);
    moe_dispatch_tell(d);
    moe_dispatch_pack(d, &p->batch, p->rows);
    send(d, MOE_WAY_OUT, round);
}

/* What goes ahead reaches the own group only. */
static bool all_are_reached(const post *p)
{
    return p->d->p.group >= test_ctx.size;
}

/* Without shared rows only what was foretold wrong travels in the second
 * exchange; with them a pair is in place, too, where another's row is. */
static bool counts_are_right(const post *p, uint64_t hits)
{
    const moe_dispatch *d = p->d;
    const bool exact = !p->transport->shares && all_are_reached(p);
    const uint64_t pairs = p->batch.own * (uint64_t)p->batch.top_k;
    const moe_dispatch_rows n = moe_dispatch_get_rows(d);
    uint64_t here[4] = {hits, n.in_place, n.all, pairs};
    MPI_Allreduce(MPI_IN_PLACE, here, 4, MPI_UINT64_T, MPI_SUM, test_ctx.comm);
    const bool gathers = strcmp(p->transport->name, "allgather") == 0;
    if (here[2] != here[3] || (!d->direct && here[1] > 0))
        return false;
    if (gathers || !all_are_reached(p))
        return p->transport->shares || here[1] <= here[0];
    return exact ? here[1] == here[0] && d->rest.n_send == pairs - hits
                 : here[1] >= here[0];
}

/* There and back again; the trace of layer 0 is not looked at. */
static bool travel(post *p, const moe_split *split, void *state,
                   double accuracy, int round)
{
    moe_dispatch *d = p->d;
    const uint64_t hits = accuracy < 0 ? 0 : predict(p, accuracy, round);
    if (accuracy < 0) {
        moe_dispatch_count(d, &p->batch, 1);
    } else {
        moe_dispatch_expect(d, &p->batch, p->predicted);
        send_leg(p, split, state, round);
        moe_dispatch_compare(d, &p->batch, 1);
    }
    send_leg(p, split, state, round);
    bool right = counts_are_right(p, hits);
    right = places_are_distinct(p) && right;
    right = answer_rows(p, moe_dispatch_group(d)) && right;
    moe_dispatch_ungroup(d, &answering, NULL);
    send(d, MOE_WAY_HOME, round);
    moe_ffn_sums sums;
    const row_t *home = moe_dispatch_get_home(d, &p->batch, &sums);
    return right && got_answers(p, home, &sums);
}

/* Rows over links to GPUs of the own node and of others, of all ranks. */
typedef struct {
    uint64_t out[2], home[2];
} traffic;

static traffic count_traffic(const post *p)
{
    const moe_dispatch_rows n = moe_dispatch_get_rows(p->d);
    const int node = moe_layout_node(&p->layout, test_ctx.rank);
    traffic sum = {{0, 0}, {0, 0}};
    for (int g = 0; g < test_ctx.size; g++) {
        const int far = moe_layout_node(&p->layout, g) != node;
        if (g == test_ctx.rank)
            continue;
        sum.out[far] += (uint64_t)n.sent[g];
        sum.home[far] += (uint64_t)n.home[g];
    }
    MPI_Allreduce(MPI_IN_PLACE, &sum, 4, MPI_UINT64_T, MPI_SUM, test_ctx.comm);
    return sum;
}

enum { TRANSPORTS = 8, TRIPS = ROUNDS * (int)MOE_ARRAY_LEN(accuracies) };

/* All trips of one transport and split. @return whether all was right. */
static bool travel_all(post *p, const moe_split *split, traffic *out)
{
    const moe_split_env env = {p->layout, p->batch.experts, p->plan.slots};
    void *state = moe_split_new(split, &env, NULL, NULL);
    bool right = p->status == MOE_OK;
    for (int round = 0; round < ROUNDS; round++) {
        draw_plan(p, round);
        for (size_t a = 0; a < MOE_ARRAY_LEN(accuracies); a++) {
            right = travel(p, split, state, accuracies[a], round) && right;
            *out++ = count_traffic(p);
        }
    }
    moe_split_free(split, state);
    return right;
}

/* No way of sharing rows moves more of them than pairs do, but that rows which
 * are handed on travel twice, once within the node. */
static bool shares_rows(const post *p, const traffic *pairs,
                        const traffic *tokens, const traffic *own)
{
    const char *name = p->transport->name;
    const bool equal = memcmp(own, tokens, sizeof *own) == 0;
    const bool one_node = p->layout.gpus_per_node >= test_ctx.size;
    const uint64_t n = p->batch.tokens;
    if (strcmp(name, "tokens") == 0)
        return own->out[0] <= pairs->out[0] && own->out[1] <= pairs->out[1] &&
               own->home[0] <= pairs->home[0] && own->home[1] <= pairs->home[1];
    if (strcmp(name, "nodes") == 0)
        return one_node ? equal
                        : own->out[1] <= tokens->out[1] &&
                              own->home[1] <= tokens->home[1];
    /* all rows, to all others */
    return own->out[0] + own->out[1] == (uint64_t)(test_ctx.size - 1) * n &&
           own->home[0] + own->home[1] == (uint64_t)(test_ctx.size - 1) * n;
}

/* A row per pair under all splits on one layout; else one split for each case,
 * in turn. */
static bool is_taken(int test, size_t split, size_t transport)
{
    const bool first = test % (int)MOE_ARRAY_LEN(per_node) == 0;
    size_t splits = 0;
    while (moe_split_at(splits) != NULL)
        splits++;
    return (first && transport == 0) || split == (size_t)test % splits;
}

START_TEST(every_row_meets_its_expert_and_comes_home)
{
    const int c = _i / (int)MOE_ARRAY_LEN(per_node);
    const int each = per_node[_i % (int)MOE_ARRAY_LEN(per_node)];
    static traffic all[TRANSPORTS][TRIPS];
    const char *wrong = NULL, *of = "";
    for (size_t i = 0; moe_split_at(i) != NULL; i++)
        for (size_t t = 0; moe_transport_at(t) != NULL; t++) {
            const char *name = moe_transport_at(t)->name;
            post p;
            if (!is_taken(_i, i, t))
                continue;
            post_init(&p, c, each, moe_transport_at(t));
            bool right = travel_all(&p, moe_split_at(i), all[t]);
            for (int j = 0; j < TRIPS && t > 0; j++)
                right = right &&
                        shares_rows(&p, &all[0][j], &all[1][j], &all[t][j]);
            post_fini(&p);
            if (!right) {
                wrong = moe_split_at(i)->name;
                of = name;
            }
        }
    ck_assert_msg(wrong == NULL, "%s: %s, %s, %d a node", cases[c].name, of,
                  wrong, each);
}
END_TEST

START_TEST(more_pairs_than_an_int_are_refused)
{
    const moe_dispatch_params params = {.transport =
                                            moe_transport_find("pairs"),
                                        .layout = {test_ctx.size, 1},
                                        .group = 1,
                                        .experts = 2,
                                        .top_k = 2,
                                        .max_slots = 2,
                                        .max_tokens = UINT64_C(1) << 30,
                                        .max_own = 1,
                                        .row_bytes = 8};
    moe_dispatch *d = NULL;
    moe_error err = {0};
    moe_status s = moe_dispatch_new(&params, &d, &err);
    moe_dispatch_free(d);
    ck_assert_int_eq(s, MOE_USAGE);
    ck_assert_ptr_nonnull(strstr(err.text, "pairs of a batch"));
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *suite = suite_create("dispatch");
    MOE_TEST_LOOP(suite, every_row_meets_its_expert_and_comes_home,
                  MOE_ARRAY_LEN(cases) * MOE_ARRAY_LEN(per_node));
    MOE_TEST_ONCE(suite, more_pairs_than_an_int_are_refused);
    return suite;
}
