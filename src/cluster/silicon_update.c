/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/silicon_update.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/profile.h"
#include "moegps/replace.h"
#include "moegps/text.h"
#include "silicon_group.h"
#include "silicon_internal.h"

/* ---- merging ---- */

/* Whether a table that is there gives way to a measured one: of a collective
 * all of the GPU's, else those of the very key. */
static bool gives_way(const moe_silicon_group *t, size_t i, const int32_t *key)
{
    const bool link = t->group == &moe_measured_collectives;
    for (int c = 0; c < t->columns; c++)
        if (t->column[c][i] != key[c] &&
            !(link && (c == LINK_NCCL || c == LINK_GPUS)))
            return false;
    return true;
}

/* Tables that stay. */
static void keep_others(moe_silicon_change *u, const moe_silicon_group *old,
                        size_t begin, size_t end, moe_silicon_group *to)
{
    int32_t key[MOE_SILICON_COLUMNS];
    size_t gone = 0;
    for (size_t i = 0; i < old->n && u->err->status == MOE_OK; i++) {
        bool stays = true;
        for (size_t r = begin; r < end && stays;
             r = moe_silicon_key_end(u->m, r)) {
            moe_silicon_encode(u, old, &u->m->row[r], key);
            stays = !gives_way(old, i, key);
        }
        for (int c = 0; c < old->columns; c++)
            key[c] = old->column[c][i];
        if (stays)
            moe_silicon_group_append(
                u, to, key, old->x + old->first[i],
                old->time_us + old->first[i],
                (size_t)(old->first[i + 1] - old->first[i]));
        gone += !stays;
    }
    if (gone > 0)
        moe_remark(u->said, "%s: %zu tables that were there are replaced",
                   old->group->name, gone);
}

static void add_measured(moe_silicon_change *u, size_t begin, size_t end,
                         moe_silicon_group *to)
{
    int32_t key[MOE_SILICON_COLUMNS], x[MOE_TABLE_POINTS];
    float time_us[MOE_TABLE_POINTS];
    for (size_t r = begin, next; r < end && u->err->status == MOE_OK;
         r = next) {
        char text[256];
        next = moe_silicon_key_end(u->m, r);
        moe_measured_key(&u->m->row[r], text, sizeof text);
        if (next - r > MOE_TABLE_POINTS) {
            moe_fail(u->err, MOE_FORMAT,
                     "%s: %zu rows of %s: a table has at most %d",
                     u->m->row[r].path, next - r, text, MOE_TABLE_POINTS);
            return;
        }
        moe_silicon_encode(u, to, &u->m->row[r], key);
        for (size_t i = r; i < next; i++) {
            x[i - r] = (int32_t)u->m->row[i].x;
            time_us[i - r] = (float)u->m->row[i].time_us;
        }
        moe_silicon_group_append(u, to, key, x, time_us, next - r);
    }
}

/* ---- all ---- */

/* Models of dense kernels are bundled, one for each GPU and stack. */
static void check_kernels(moe_silicon_change *u, const moe_silicon_group *old,
                          size_t begin, size_t end)
{
    int32_t key[MOE_SILICON_COLUMNS];
    if (old->group != &moe_measured_attention &&
        old->group != &moe_measured_gemm)
        return;
    for (size_t r = begin; r < end && u->err->status == MOE_OK;
         r = moe_silicon_key_end(u->m, r)) {
        bool there = false;
        moe_silicon_encode(u, old, &u->m->row[r], key);
        for (size_t i = 0; i < old->n && !there; i++)
            there = old->column[0][i] == key[0] && old->column[1][i] == key[1];
        if (!there)
            moe_fail(u->err, MOE_USAGE,
                     "%s:%" PRIu64 ": %s of %s on %s is not among the bundled "
                     "kernels, whose model it needs",
                     u->m->row[r].path, u->m->row[r].line, old->group->name,
                     u->m->row[r].text[1], u->m->row[r].text[0]);
    }
}

/* Rows of slow kernels stay where nothing was measured. */
static void update_slow(moe_silicon_change *u, size_t begin, size_t end)
{
    moe_measured_group slow = moe_measured_moe;
    slow.name = "moe_slow";
    moe_silicon_group old = {.group = &slow}, made = {.group = &slow};
    if (!moe_h5_exists(u->file, slow.name))
        return;
    moe_silicon_group_read(u, &old);
    moe_silicon_group_begin(&made);
    keep_others(u, &old, begin, end, &made);
    if (u->err->status == MOE_OK && made.n > 0)
        moe_silicon_group_write(u, &made);
    else if (u->err->status == MOE_OK)
        H5Ldelete(u->file, slow.name, H5P_DEFAULT);
    moe_silicon_group_fini(&old);
    moe_silicon_group_fini(&made);
}

static void update_group(moe_silicon_change *u, size_t begin, size_t end)
{
    const moe_measured_group *group = u->m->row[begin].group;
    moe_silicon_group old = {.group = group}, made = {.group = group};
    moe_silicon_group_read(u, &old);
    if (u->err->status == MOE_OK) {
        moe_silicon_group_begin(&made);
        check_kernels(u, &old, begin, end);
        add_measured(u, begin, end, &made); /* of equals the first is taken */
        keep_others(u, &old, begin, end, &made);
        moe_silicon_group_write(u, &made);
    }
    moe_silicon_group_fini(&old);
    moe_silicon_group_fini(&made);
    if (u->err->status == MOE_OK && group == &moe_measured_moe) {
        update_slow(u, begin, end);
        moe_silicon_fit_kernels(u, begin, end);
    }
}

static const moe_measured_group *const all_groups[] = {
    &moe_measured_moe, &moe_measured_collectives, &moe_measured_attention,
    &moe_measured_gemm};

static void say_bundled(const moe_silicon_change *u)
{
    char names[96] = "";
    for (size_t g = 0; g < MOE_ARRAY_LEN(all_groups); g++) {
        bool there = false;
        for (size_t i = 0; i < u->m->n && !there; i++)
            there = u->m->row[i].group == all_groups[g];
        if (!there)
            moe_text_add(names, sizeof names, ", ", "%s", all_groups[g]->name);
    }
    if (names[0] != '\0')
        moe_remark(u->said, "not measured, so as %s: %s",
                   u->bundled ? "bundled" : "they were", names);
}

moe_status moe_silicon_update(const char *from, const char *to,
                              moe_measurements *rows, moe_remarks *said,
                              moe_error *err)
{
    char found[4096];
    moe_error local = {0};
    moe_silicon_change u = {
        .m = rows, .said = said, .err = &local, .bundled = from == NULL};
    if (u.bundled) {
        moe_profile_find("silicon", "tables", ".h5", found, sizeof found,
                         &local);
        from = found;
    }
    if (local.status != MOE_OK ||
        moe_measured_clean(rows, said, &local) != MOE_OK)
        return moe_pass(err, &local);
    if (moe_replace_copy(from, to) != 0)
        return moe_fail(err, MOE_IO, "%s: cannot be copied to %s: %s", from, to,
                        strerror(errno));
    u.file = moe_h5_open(to, true, &local);
    if (local.status == MOE_OK)
        u.names = moe_h5_read_strings(u.file, "names", &u.n_names, &local);
    u.old_names = u.n_names;
    for (size_t i = 0, end; i < rows->n && local.status == MOE_OK; i = end) {
        for (end = i;
             end < rows->n && rows->row[end].group == rows->row[i].group; end++)
            ;
        update_group(&u, i, end);
    }
    if (local.status == MOE_OK) {
        moe_silicon_names_write(&u);
        say_bundled(&u);
    }
    moe_h5_free_strings(u.names, u.n_names);
    if (u.file >= 0)
        moe_h5_close_file(u.file, &local);
    return moe_pass(err, &local);
}
