/* SPDX-License-Identifier: Apache-2.0 */
#include "recorded.h"

#include <stdio.h>

enum { MOST_LAYER = 32767 };

static moe_status read_files(const moe_recorded *in,
                             const moe_recording_options *options,
                             moe_recording *all, moe_error *err)
{
    for (int i = 0; i < in->files.n && err->status == MOE_OK; i++) {
        moe_recording part = {.kind = MOE_RECORDING_ANY};
        moe_recording *to = i == 0 ? all : &part;
        if (moe_recording_read(in->files.text[i], options, to, err) != MOE_OK)
            break;
        if (i > 0 && moe_recording_add(all, &part, err) != MOE_OK)
            moe_error_prefix(err, "%s", in->files.text[i]);
        moe_recording_fini(&part);
    }
    return err->status;
}

static void remark_files(int n, moe_recording *all)
{
    char sizes[256];
    moe_recording_sizes(all, sizes, sizeof sizes);
    moe_remarks_fini(&all->understood);
    moe_remark(&all->understood, "%s", sizes);
    moe_remark(&all->understood, "%d files added up", n);
}

moe_status moe_recorded_read(const moe_recorded *recorded,
                             const moe_recording_options *options,
                             moe_recording *out, moe_error *err)
{
    moe_error local = {0};
    moe_ranges keep = {0};
    moe_recording_options o = *options;
    moe_recording all = {.kind = MOE_RECORDING_ANY};
    o.dataset = recorded->dataset;
    o.ignore = recorded->ignore.text;
    o.n_ignore = recorded->ignore.n;
    o.sum_over = recorded->sum_over.text;
    o.n_sum_over = recorded->sum_over.n;
    if (recorded->experts > 0)
        o.experts = recorded->experts;
    if (recorded->layers != NULL) {
        if (moe_ranges_parse(recorded->layers, MOST_LAYER, &keep, &local) !=
            MOE_OK)
            moe_error_prefix(&local, "--layers");
        o.keep = &keep;
    }
    if (local.status == MOE_OK)
        read_files(recorded, &o, &all, &local);
    if (local.status == MOE_OK && recorded->files.n > 1)
        remark_files(recorded->files.n, &all);
    moe_ranges_fini(&keep);
    if (local.status == MOE_OK) {
        *out = all;
        return MOE_OK;
    }
    moe_recording_fini(&all);
    return moe_pass(err, &local);
}

void moe_recorded_print(const char *name, const moe_recording *r)
{
    printf("read %s: ", name);
    for (size_t i = 0; i < r->understood.n; i++)
        printf("%s%s", i > 0 ? "; " : "", r->understood.text[i]);
    putchar('\n');
    for (size_t i = 0; i < r->dropped.n; i++)
        printf("left out: %s\n", r->dropped.text[i]);
}
