/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/map_slice.h"

#include <math.h>

enum { N_BUILT = MOE_ADVISE_ORACLE }; /* strategies that take part */

int moe_map_flips(const double *a, const double *b, moe_map_flip out[2])
{
    double ignored, at = 0.0;
    int now = (int)moe_map_judge(a, &ignored), n = 0;
    while (n < N_BUILT - 1) {
        int next = -1;
        double next_at = 1.0;
        for (int s = 0; s < N_BUILT; s++) {
            const double lead = a[s] - a[now];
            const double fall = lead - (b[s] - b[now]);
            if (s == now || !(b[s] < b[now]) || !(fall > 0))
                continue;
            const double u = fmax(lead / fall, at);
            if (next < 0 || u < next_at || (u == next_at && b[s] < b[next])) {
                next = s;
                next_at = u;
            }
        }
        if (next < 0)
            break;
        out[n++] = (moe_map_flip){next_at, now, next};
        now = next;
        at = next_at;
    }
    return n;
}

/* @return the bandwidth at a share of the way from a to b. */
static double between(double a, double b, double share)
{
    return 1.0 / ((1.0 - share) / a + share / b);
}

/* ---- chains ---- */

/* Go on with a chain over one step; `value` places a flip. */
static void follow(moe_map_chain *chain, const double *a, const double *b,
                   const double ends[2],
                   double (*value)(double a, double b, double share))
{
    moe_map_flip flip[2];
    const int n = moe_map_flips(a, b, flip);
    for (int i = 0; i < n; i++, chain->n++)
        if (chain->n < MOE_MAP_CHAIN) {
            chain->at[chain->n] = value(ends[0], ends[1], flip[i].at);
            chain->winner[chain->n + 1] = flip[i].to;
        }
}

static double straight(double a, double b, double share)
{
    return a + share * (b - a);
}

moe_map_chain moe_map_column_chain(const moe_map_slice *x, int k)
{
    moe_map_chain chain = {
        .winner = {x->map->winner[moe_map_slice_at(x, k, 0)]}};
    for (int j = 0; j + 1 < x->n_row; j++) {
        const double ends[] = {moe_map_slice_bandwidth(x, j),
                               moe_map_slice_bandwidth(x, j + 1)};
        follow(&chain, moe_map_slice_times(x, k, j),
               moe_map_slice_times(x, k, j + 1), ends, between);
    }
    return chain;
}

moe_map_chain moe_map_row_chain(const moe_map_slice *x, int j)
{
    moe_map_chain chain = {
        .winner = {x->map->winner[moe_map_slice_at(x, 0, j)]}};
    for (int k = 0; k + 1 < x->n_skew; k++) {
        const double ends[] = {moe_map_slice_skew(x, k),
                               moe_map_slice_skew(x, k + 1)};
        follow(&chain, moe_map_slice_times(x, k, j),
               moe_map_slice_times(x, k + 1, j), ends, straight);
    }
    return chain;
}

/* ---- lines ---- */

/* A place with its layer times. Within a triangle of such all go straight, so
 * that two strategies are equal on a straight line. */
typedef struct point {
    double skew, slowness; /* s/B: reciprocal of bandwidth */
    double t[N_BUILT];
} point;

typedef struct pen {
    void (*put)(const moe_map_line *line, void *arg);
    void *arg;
} pen;

static point on_the_way(const point *a, const point *b, double share)
{
    point p = {straight(a->skew, b->skew, share),
               straight(a->slowness, b->slowness, share),
               {0}};
    for (int s = 0; s < N_BUILT; s++)
        p.t[s] = straight(a->t[s], b->t[s], share);
    return p;
}

static void put_line(const point *p, const point *q, const pen *to)
{
    const moe_map_line line = {{p->skew, q->skew},
                               {1 / p->slowness, 1 / q->slowness}};
    if (p->skew != q->skew || p->slowness != q->slowness)
        to->put(&line, to->arg);
}

/* Put the part of p..q, on which a strategy equals another, where a third is
 * no faster than both. @param lead  of the third, at p and q. */
static void put_clipped(const point *p, const point *q, const double lead[2],
                        const pen *to)
{
    point a = *p, b = *q;
    if (lead[0] < 0 && lead[1] < 0)
        return;
    if (lead[0] < 0)
        a = on_the_way(p, q, lead[0] / (lead[0] - lead[1]));
    else if (lead[1] < 0)
        b = on_the_way(p, q, lead[0] / (lead[0] - lead[1]));
    put_line(&a, &b, to);
}

/* The line in a triangle along which strategies s and o are equal. */
static void put_pair(const point *corner[3], int s, int o, const pen *to)
{
    const int third = N_BUILT - s - o; /* 0 + 1 + 2 = N_BUILT */
    point found[2];
    double lead[2];
    int n = 0;
    for (int i = 0; i < 3 && n < 2; i++) {
        const point *a = corner[i], *b = corner[(i + 1) % 3];
        const double da = a->t[s] - a->t[o], db = b->t[s] - b->t[o];
        if ((da > 0) == (db > 0))
            continue;
        found[n] = on_the_way(a, b, da / (da - db));
        lead[n] = found[n].t[third] - found[n].t[s];
        n++;
    }
    if (n == 2)
        put_clipped(&found[0], &found[1], lead, to);
}

/* Column k and row j of the cells, with one more at every side. */
static point place(const moe_map_slice *x, int k, int j)
{
    const int i = k < 0 ? 0 : k > x->n_skew - 1 ? x->n_skew - 1 : k;
    const int l = j < 0 ? 0 : j > x->n_row - 1 ? x->n_row - 1 : j;
    const double *t = moe_map_slice_times(x, i, l);
    point p = {.skew = i == k ? moe_map_slice_skew(x, k)
                              : moe_map_slice_side(x, k < 0 ? 0 : k),
               .slowness =
                   1 / (l == j ? moe_map_slice_bandwidth(x, j)
                               : moe_map_slice_level(x, j < 0 ? 0 : j))};
    for (int s = 0; s < N_BUILT; s++)
        p.t[s] = t[s];
    return p;
}

/* Four triangles about the middle treat all directions alike. */
static void put_field(const moe_map_slice *x, int k, int j, const pen *to)
{
    const point corners[] = {place(x, k, j), place(x, k + 1, j),
                             place(x, k + 1, j + 1), place(x, k, j + 1)};
    const point a = on_the_way(&corners[0], &corners[2], 0.5);
    const point b = on_the_way(&corners[1], &corners[3], 0.5);
    const point middle = on_the_way(&a, &b, 0.5);
    for (int i = 0; i < 4; i++) {
        const point *triangle[] = {&corners[i], &corners[(i + 1) % 4], &middle};
        for (int s = 0; s < N_BUILT; s++)
            for (int o = s + 1; o < N_BUILT; o++)
                put_pair(triangle, s, o, to);
    }
}

/* Clusters are no scale: each has marks of its own. */
static void put_marks(const moe_map_slice *x, int j, const pen *to)
{
    for (int k = 0; k + 1 < x->n_skew; k++) {
        moe_map_flip flip[2];
        const int n = moe_map_flips(moe_map_slice_times(x, k, j),
                                    moe_map_slice_times(x, k + 1, j), flip);
        for (int i = 0; i < n; i++) {
            const double at =
                straight(moe_map_slice_skew(x, k), moe_map_slice_skew(x, k + 1),
                         flip[i].at);
            const moe_map_line line = {{at, at}, {j - 0.5, j + 0.5}};
            to->put(&line, to->arg);
        }
    }
}

void moe_map_lines(const moe_map_slice *x,
                   void (*put)(const moe_map_line *line, void *arg), void *arg)
{
    const pen to = {put, arg};
    for (int j = 0; j < x->n_row && x->map->own_links; j++)
        put_marks(x, j, &to);
    for (int j = -1; j < x->n_row && !x->map->own_links; j++)
        for (int k = -1; k < x->n_skew; k++)
            put_field(x, k, j, &to);
}
