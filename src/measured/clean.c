/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/measured.h"
#include "moegps/mem.h"
#include "moegps/text.h"

/* Rows that contradict each other. */

/* Repeats of a point agree within this, or all go: as convert_silicon.py. */
static const double REPEATS = 1.05;
/* A row so far above or below both neighbours contradicts them. */
static const double SPIKE = 1.6;
/* Kernels do get faster with more work, never so much: as silicon_tables.c. */
static const double MOST_FALL = 4;
static const double LEAST_US = 0.5, MOST_US = 1e8;

static bool is_by_mpi(const moe_measurement *r)
{
    return r->group == &moe_measured_collectives &&
           strcmp(r->text[1], MOE_MEASURED_BY_MPI) == 0;
}

void moe_measured_key(const moe_measurement *r, char *text, size_t size)
{
    text[0] = '\0';
    if (is_by_mpi(r)) {
        snprintf(text, size, "%s by MPI among %d ranks", r->text[2],
                 r->number[0]);
        return;
    }
    for (int i = 0; r->group->text[i] != NULL; i++)
        moe_text_add(text, size, " ", "%s", r->text[i]);
    for (int i = 0; r->group->number[i] != NULL; i++)
        moe_text_add(text, size, " ", "%s=%d", r->group->number[i],
                     r->number[i]);
}

int moe_measured_order(const moe_measurement *a, const moe_measurement *b)
{
    int order = strcmp(a->group->name, b->group->name);
    if (order == 0)
        order = memcmp(a->text, b->text, sizeof a->text);
    return order != 0 ? order : memcmp(a->number, b->number, sizeof a->number);
}

static int by_row(const void *a, const void *b)
{
    const moe_measurement *x = a, *y = b;
    const int order = moe_measured_order(x, y);
    return order != 0 ? order : (x->x > y->x) - (x->x < y->x);
}

/* "FILE:LINE"; what was measured just now has no line. */
static void where(const moe_measurement *r, char *text, size_t size)
{
    const int n = snprintf(text, size, "%s", r->path);
    if (r->line > 0 && n >= 0 && (size_t)n < size)
        snprintf(text + n, size - (size_t)n, ":%" PRIu64, r->line);
}

static void leave_out(const moe_measurement *r, const char *why,
                      moe_remarks *said)
{
    char key[256], place[4096];
    moe_measured_key(r, key, sizeof key);
    where(r, place, sizeof place);
    moe_remark(said, "%s: %s at %.0f: %g us: left out, %s", place, key, r->x,
               r->time_us, why);
}

/* Repeats of one point become their mean, or nothing. */
static void merge_repeats(moe_measurements *m, moe_remarks *said)
{
    size_t kept = 0;
    for (size_t i = 0, end; i < m->n; i = end) {
        double sum = 0, least = INFINITY, most = 0;
        for (end = i; end < m->n && by_row(&m->row[i], &m->row[end]) == 0;
             end++) {
            sum += m->row[end].time_us;
            least = fmin(least, m->row[end].time_us);
            most = fmax(most, m->row[end].time_us);
        }
        if (most > REPEATS * least) {
            leave_out(&m->row[i], "as its repeats disagree by more than 5 %",
                      said);
            continue;
        }
        m->row[kept] = m->row[i];
        m->row[kept++].time_us = sum / (double)(end - i);
    }
    m->n = kept;
}

/* Ranks that share memory may take less than any table has: a time in another
 * unit looks alike, but this one was measured in microseconds. */
static void drop_short(moe_measurements *m, moe_remarks *said)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->n; i++) {
        if (is_by_mpi(&m->row[i]) && m->row[i].time_us < LEAST_US)
            leave_out(&m->row[i], "as tables have no time below 0.5 us", said);
        else
            m->row[kept++] = m->row[i];
    }
    m->n = kept;
}

static bool contradicts(const moe_measurement *r)
{
    const double before = r[-1].time_us, after = r[1].time_us;
    return moe_measured_order(&r[-1], r) == 0 &&
           moe_measured_order(r, &r[1]) == 0 &&
           (r->time_us > SPIKE * fmax(before, after) ||
            r->time_us * SPIKE < fmin(before, after));
}

static void drop_spikes(moe_measurements *m, moe_remarks *said)
{
    bool *drop = moe_array_new(m->n, sizeof *drop, NULL);
    size_t kept = 0;
    for (size_t i = 1; drop != NULL && i + 1 < m->n; i++)
        drop[i] = contradicts(&m->row[i]);
    for (size_t i = 0; drop != NULL && i < m->n; i++) {
        if (drop[i])
            leave_out(&m->row[i], "as it contradicts both its neighbours",
                      said);
        else
            m->row[kept++] = m->row[i];
    }
    m->n = drop != NULL ? kept : m->n;
    free(drop);
}

/* Rows that took several times as long as more work of the same kind. */
static void drop_falls(moe_measurements *m, moe_remarks *said)
{
    size_t kept = m->n;
    double least = INFINITY;
    for (size_t i = m->n; i-- > 0;) {
        const moe_measurement row = m->row[i];
        if (i + 1 < m->n && moe_measured_order(&row, &m->row[i + 1]) != 0)
            least = INFINITY;
        if ((float)row.time_us > MOST_FALL * least) { /* as tables keep it */
            leave_out(&row, "as more work took less than a quarter", said);
            memmove(&m->row[i], &m->row[i + 1],
                    (kept - i - 1) * sizeof *m->row);
            kept--;
            m->n = kept;
        }
        least = fmin(least, (float)row.time_us);
    }
}

static moe_status check_times(const moe_measurements *m, moe_error *err)
{
    char place[4096];
    for (size_t i = 0; i < m->n; i++) {
        const double us = m->row[i].time_us;
        where(&m->row[i], place, sizeof place);
        if (us < LEAST_US || us > MOST_US)
            return moe_fail(err, MOE_FORMAT,
                            "%s: %g cannot be microseconds (allowed: %g..%g)",
                            place, us, LEAST_US, MOST_US);
    }
    return m->n > 0 ? MOE_OK
                    : moe_fail(err, MOE_FORMAT, "no measured row is left");
}

moe_status moe_measured_clean(moe_measurements *m, moe_remarks *said,
                              moe_error *err)
{
    qsort(m->row, m->n, sizeof *m->row, by_row);
    merge_repeats(m, said);
    drop_short(m, said);
    drop_spikes(m, said);
    drop_falls(m, said);
    return check_times(m, err);
}
