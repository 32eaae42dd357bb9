/* SPDX-License-Identifier: Apache-2.0 */
#include "../../src/engine/flow.h"
#include "../../src/engine/watch.h"

#include <math.h>
#include <string.h>

#include "engine_bench.h"
#include "harness.h"
#include "moegps/mem.h"
#include "moegps/rng.h"

/* ---- weights that flow ---- */

static const struct {
    const char *name;
    size_t bytes;
    int layers, slots, moves; /* of all GPUs together */
    bool whole;
} flows[] = {
    {"less than a chunk", 1000, 2, 3, 6, true},
    {"just a chunk", MOE_FLOW_CHUNK, 1, 2, 3, true},
    {"chunks and a rest", 5 * MOE_FLOW_CHUNK / 2 + 1, 3, 4, 12, false},
    {"many at once", MOE_FLOW_CHUNK + 1, 4, 8, 64, false},
    {"none", 1000, 2, 2, 0, true},
};

/* Moves that all ranks make alike; a slot gets one expert at most. */
static size_t make_moves(int c, moe_move *moves)
{
    size_t n = 0;
    for (int l = 0; l < flows[c].layers; l++)
        for (int k = 0; k < flows[c].slots; k++) {
            moe_rng rng = moe_rng_at(5, MOE_RNG_TEST, (uint64_t)c, (uint64_t)l,
                                     (uint64_t)k);
            const int to = (int)(moe_rng_u64(&rng) % (uint64_t)test_ctx.size);
            const int by =
                1 + (int)(moe_rng_u64(&rng) % (uint64_t)test_ctx.size);
            const int from = (to + by) % test_ctx.size;
            if (from != to && (int)n < flows[c].moves)
                moves[n++] = (moe_move){.layer = (int16_t)l,
                                        .from_gpu = from,
                                        .to_gpu = to,
                                        .to_slot = k};
        }
    return n;
}

static bool expects_any(const moe_flow *f, int layers)
{
    bool any = false;
    for (int l = 0; l < layers; l++)
        any = any || moe_flow_expects(f, l);
    return any;
}

START_TEST(weights_flow_to_where_they_go)
{
    moe_error err = {0};
    moe_flow *f = NULL;
    moe_move moves[64];
    const size_t n = make_moves(_i, moves);
    const moe_flow_params p = {.gpu = test_ctx.rank,
                               .layers = flows[_i].layers,
                               .slots = flows[_i].slots,
                               .bytes = flows[_i].bytes,
                               .max_moves = 64};
    bool due[4] = {false}, right = true;
    for (size_t m = 0; m < n; m++)
        if (moves[m].to_gpu == test_ctx.rank)
            due[moves[m].layer] = true;
    moe_flow_new(&p, &f, &err);
    moe_flow_connect(f, test_ctx.comm);
    for (int round = 0; round < 2 && err.status == MOE_OK; round++) {
        moe_flow_add(f, moves, n);
        for (int l = 0; l < flows[_i].layers; l++)
            right = right && moe_flow_expects(f, l) == due[l];
        while (!moe_flow_advance(f, flows[_i].whole, &err))
            continue;
        right = right && !expects_any(f, flows[_i].layers);
        for (int l = 0; l < flows[_i].layers; l++)
            right = right && (moe_flow_arrived_s(f, l) > 0) == due[l];
    }
    if (f != NULL)
        moe_flow_free(f);
    test_ctx.err = err;
    const moe_status s = moe_agree(&test_ctx);
    ck_assert_msg(s == MOE_OK, "%s", test_ctx.err.text);
    ck_assert(right);
}
END_TEST

/* Two experts for one slot, one after the other: the receiver may have the first
 * before it knows of the second, while the sender has both to send. */
START_TEST(weights_that_follow_others_into_a_slot_are_told_apart)
{
    moe_error err = {0};
    moe_flow *f = NULL;
    const moe_flow_params p = {.gpu = test_ctx.rank,
                               .layers = 1,
                               .slots = 1,
                               .bytes = 11 * (size_t)MOE_FLOW_CHUNK / 2,
                               .max_moves = 2};
    const moe_move move = {.from_gpu = 0, .to_gpu = 1};
    if (test_ctx.size < 2)
        return;
    moe_flow_new(&p, &f, &err);
    moe_flow_connect(f, test_ctx.comm);
    for (int i = 0; i < 2; i++) {
        moe_flow_add(f, &move, 1);
        while (test_ctx.rank == 1 && moe_flow_expects(f, 0))
            moe_flow_advance(f, true, &err);
    }
    while (!moe_flow_advance(f, true, &err))
        continue;
    moe_flow_free(f);
    test_ctx.err = err;
    ck_assert_msg(moe_agree(&test_ctx) == MOE_OK, "%s", test_ctx.err.text);
}
END_TEST

/* Somebody sends other bytes, or too few, in place of weights. */
static void send_wrong(int size_bytes, const moe_flow_params *p, MPI_Comm comm)
{
    char *wrong = calloc(1, p->bytes);
    MPI_Send(wrong, size_bytes, MPI_BYTE, 0, 1, comm);
    free(wrong);
}

START_TEST(weights_that_arrive_changed_are_found)
{
    if (test_ctx.size < 2)
        return;
    moe_error err = {0};
    moe_flow *f = NULL;
    MPI_Comm comm;
    const moe_flow_params p = {.gpu = test_ctx.rank,
                               .layers = 1,
                               .slots = 2,
                               .bytes = 4096,
                               .max_moves = 2};
    const moe_move move = {.from_gpu = 1, .to_gpu = 0, .to_slot = 1};
    moe_flow_new(&p, &f, &err);
    moe_flow_connect(f, test_ctx.comm);
    moe_flow_comm(f, &comm);
    if (test_ctx.rank == 1) {
        send_wrong(_i == 0 ? 4096 : 4000, &p, comm);
    } else if (test_ctx.rank == 0) {
        moe_flow_add(f, &move, 1);
        while (!moe_flow_advance(f, _i == 0, &err))
            continue;
    }
    moe_flow_free(f);
    if (test_ctx.rank == 0)
        ck_assert_msg(err.status == MOE_INVALID &&
                          strstr(err.text, _i == 0 ? "changed"
                                                   : "4000 bytes came, 4096") !=
                              NULL,
                      "%s", err.text);
}
END_TEST

/* ---- an exchange that is watched ---- */

enum { MOST_ROWS = 40, ROW = 24, EXCHANGES = 6 };

typedef struct {
    int send[64], send_at[64], recv[64], recv_at[64];
    char from[64 * MOST_ROWS * ROW], to[64 * MOST_ROWS * ROW];
} rows;

/* Rows from one rank to another in an exchange; some have none. */
static int rows_of(int exchange, int from, int to)
{
    moe_rng rng = moe_rng_at(6, MOE_RNG_TEST, (uint64_t)exchange,
                             (uint64_t)from, (uint64_t)to);
    return (int)(moe_rng_u64(&rng) % MOST_ROWS) *
           (int)(moe_rng_u64(&rng) % 3 > 0);
}

static void fill(rows *r, int exchange)
{
    int out = 0, in = 0;
    memset(r->to, 0, sizeof r->to);
    for (int g = 0; g < test_ctx.size; g++) {
        r->send[g] = rows_of(exchange, test_ctx.rank, g);
        r->recv[g] = rows_of(exchange, g, test_ctx.rank);
        r->send_at[g] = out;
        r->recv_at[g] = in;
        memset(r->from + out * ROW, 1 + (test_ctx.rank * 7 + g) % 100,
               (size_t)r->send[g] * ROW);
        out += r->send[g];
        in += r->recv[g];
    }
}

static bool came(const rows *r, const moe_watch *w)
{
    bool right = true;
    for (int g = 0; g < test_ctx.size; g++) {
        const moe_watched *of = &moe_watch_of(w)[g];
        for (int b = 0; b < r->recv[g] * ROW; b++)
            right = right && r->to[r->recv_at[g] * ROW + b] ==
                                 1 + (g * 7 + test_ctx.rank) % 100;
        if (g == test_ctx.rank)
            continue;
        right = right && of->bytes == r->recv[g] * ROW;
        right = right && (of->arrived_s > 0) == (r->recv[g] > 0);
        right = right && of->arrived_s >= of->announced_s;
    }
    return right;
}

/* One after the other without a barrier: the fast may be one ahead. */
START_TEST(rows_that_are_watched_arrive)
{
    static rows r;
    moe_watch *w = NULL;
    MPI_Datatype row;
    bool right = true;
    MPI_Type_contiguous(ROW, MPI_BYTE, &row);
    MPI_Type_commit(&row);
    moe_watch_new(test_ctx.size, &w, &test_ctx.err);
    const moe_status s = moe_agree(&test_ctx);
    for (int x = 0; x < EXCHANGES && s == MOE_OK; x++) {
        fill(&r, x);
        const moe_watch_exchange what = {
            test_ctx.comm, 0,         row,  ROW,    r.from,
            r.send,        r.send_at, r.to, r.recv, r.recv_at};
        right = right && moe_watch_test(w);
        moe_watch_post(w, &what);
        while (!moe_watch_test(w))
            continue;
        right = right && came(&r, w) && moe_watch_late_s(w) >= 0;
    }
    moe_watch_free(w);
    MPI_Type_free(&row);
    ck_assert_int_eq(s, MOE_OK);
    ck_assert(right);
}
END_TEST

Suite *moe_test_suite(void)
{
    Suite *s = suite_create("paced");
    MOE_TEST_LOOP(s, weights_flow_to_where_they_go, MOE_ARRAY_LEN(flows));
    MOE_TEST(s, weights_that_follow_others_into_a_slot_are_told_apart);
    MOE_TEST_LOOP(s, weights_that_arrive_changed_are_found, 2);
    MOE_TEST(s, rows_that_are_watched_arrive);
    return s;
}
