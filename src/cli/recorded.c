/* SPDX-License-Identifier: Apache-2.0 */
#include "recorded.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/placement.h"
#include "moegps/plain.h"
#include "moegps/trace.h"

enum { MOST_LAYER = 32767 };

const char *const moe_axes_names[] = {
    [MOE_AXES_UNKNOWN] = "auto",
    [MOE_AXES_LAYERS_TOKENS] = "layers,tokens,k",
    [MOE_AXES_TOKENS_LAYERS] = "tokens,layers,k",
    NULL};
const char *const moe_concat_names[] = {[MOE_CONCAT_NONE] = "auto",
                                        [MOE_CONCAT_STEPS] = "steps",
                                        [MOE_CONCAT_TOKENS] = "tokens",
                                        [MOE_CONCAT_EXPERTS] = "experts",
                                        NULL};
const char *const moe_sum_names[] = {"auto", "ranks", NULL};

moe_status moe_parse_pad(const char *text, void *at, moe_error *err)
{
    char *end = NULL;
    errno = 0;
    const long long id = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0)
        return moe_fail(err, MOE_USAGE, "'%s' is not an integer", text);
    *(moe_parsed_pad *)at = (moe_parsed_pad){true, id};
    return MOE_OK;
}

static bool is_apart(const moe_recording *a, const moe_recording *b)
{
    for (int i = 0; i < a->layers; i++)
        for (int j = 0; j < b->layers; j++)
            if (a->layer_number[i] == b->layer_number[j])
                return false;
    return true;
}

/* Loads add up, as do layers of the same tokens; else tokens follow each other,
 * unless the user says. */
static moe_status join(const moe_recorded *in, moe_recording *all,
                       const moe_recording *part, moe_error *err)
{
    const bool loads = all->kind == MOE_RECORDING_LOADS;
    if (in->concat != MOE_CONCAT_NONE && in->sum != 0)
        return moe_fail(err, MOE_USAGE, "--concat or --sum: one of them");
    if (in->concat == MOE_CONCAT_EXPERTS)
        return moe_recording_widen(all, part, err);
    if (in->concat == MOE_CONCAT_NONE && in->sum == 0 && all->by_position)
        return moe_fail(err, MOE_USAGE,
                        "several tables without names: --concat experts where "
                        "each has the experts of a GPU, --sum ranks where each "
                        "has all");
    if (in->concat != MOE_CONCAT_NONE &&
        loads != (in->concat == MOE_CONCAT_STEPS))
        return moe_fail(err, MOE_USAGE, "--concat: these files have %s",
                        loads ? "steps of loads" : "tokens");
    return in->concat != MOE_CONCAT_NONE ||
                   (in->sum == 0 && !loads && !is_apart(all, part))
               ? moe_recording_append(all, part, err)
               : moe_recording_add(all, part, err);
}

/* @param wider  they have more layers than the first. */
static void remark_files(const moe_recorded *in, int n, bool wider,
                         moe_recording *all)
{
    char sizes[256];
    const bool added = in->concat == MOE_CONCAT_NONE &&
                       (all->kind == MOE_RECORDING_LOADS || wider);
    moe_recording_sizes(all, sizes, sizeof sizes);
    moe_remarks_fini(&all->understood);
    moe_remark(&all->understood, "%s", sizes);
    moe_remark(&all->understood, "%d files %s", n,
               added                              ? "added up"
               : in->concat == MOE_CONCAT_EXPERTS ? "side by side"
                                                  : "one after the other");
}

static moe_status read_files(const moe_recorded *in, const moe_strings *files,
                             const moe_recording_options *options,
                             moe_recording *all, moe_error *err)
{
    int layers = 0; /* of the first */
    for (int i = 0; i < files->n && err->status == MOE_OK; i++) {
        moe_recording part = {.kind = MOE_RECORDING_ANY};
        moe_recording *to = i == 0 ? all : &part;
        if (moe_recording_read(files->text[i], options, to, err) != MOE_OK)
            break;
        if (i > 0 && join(in, all, &part, err) != MOE_OK)
            moe_error_prefix(err, "%s", files->text[i]);
        moe_recording_fini(&part);
        layers = i == 0 ? all->layers : layers;
    }
    if (err->status == MOE_OK && files->n > 1)
        remark_files(in, files->n, all->layers > layers, all);
    return err->status;
}

/* All is of one part. */
static void set_part(moe_recording *r, moe_split_part part, moe_error *err)
{
    const size_t n = r->kind == MOE_RECORDING_LOADS ? r->steps
                     : r->seq_offset != NULL        ? r->n_seqs
                                                    : 1;
    free(r->seq_part);
    r->seq_part = moe_array_new(n, 1, err);
    if (r->seq_part != NULL)
        memset(r->seq_part, (int)part, n);
}

/* Recordings of physical experts become ones of logical experts. What files
 * together, or slots, are experts of, is checked when that is known. */
static void to_logical(const moe_placement *map, int experts,
                       moe_recording *all, moe_error *err)
{
    if (map->layers > 0 && moe_recording_to_logical(all, map, err) == MOE_OK &&
        experts > 0 && all->experts != experts)
        moe_fail(err, MOE_MISMATCH,
                 "--physical-map: its slots are %d experts, not %d",
                 all->experts, experts);
    else if (experts > 0 && all->experts != experts)
        moe_fail(err, MOE_MISMATCH, "these files have %d experts, not %d",
                 all->experts, experts);
}

static moe_status read_test(const moe_recorded *in,
                            const moe_recording_options *options,
                            moe_recording *all, moe_error *err)
{
    char sizes[256];
    moe_recording test = {.kind = MOE_RECORDING_ANY};
    if (in->test.n == 0 ||
        read_files(in, &in->test, options, &test, err) != MOE_OK)
        return err->status;
    set_part(all, MOE_PART_TRAIN, err);
    set_part(&test, MOE_PART_TEST, err);
    moe_recording_sizes(&test, sizes, sizeof sizes);
    if (err->status == MOE_OK &&
        moe_recording_append(all, &test, err) == MOE_OK)
        moe_remark(&all->understood, "then the test part: %s", sizes);
    moe_recording_fini(&test);
    return err->status;
}

moe_status moe_recorded_read(const moe_recorded *recorded,
                             const moe_recording_options *options,
                             moe_recording *out, moe_error *err)
{
    moe_error local = {0};
    moe_ranges keep = {0};
    moe_recording_options o = *options;
    moe_placement map = {0};
    moe_recording all = {.kind = MOE_RECORDING_ANY};
    o.dataset = recorded->dataset;
    o.ignore = recorded->ignore.text;
    o.n_ignore = recorded->ignore.n;
    o.sum_over = recorded->sum_over.text;
    o.n_sum_over = recorded->sum_over.n;
    memcpy(o.companion, recorded->companion, sizeof o.companion);
    o.axes = (moe_axes)recorded->axes;
    o.padded = recorded->pad.given;
    o.pad = recorded->pad.id;
    if (recorded->axes != MOE_AXES_UNKNOWN)
        o.kind = MOE_RECORDING_TOKENS;
    if (recorded->experts > 0)
        o.experts = recorded->experts;
    if (recorded->layers != NULL) {
        if (moe_ranges_parse(recorded->layers, MOST_LAYER, &keep, &local) !=
            MOE_OK)
            moe_error_prefix(&local, "--layers");
        o.keep = &keep;
    }
    const int experts = o.experts;
    if (recorded->physical_map != NULL)
        moe_placement_read(recorded->physical_map, NULL, &map, &local);
    if (recorded->physical_map != NULL ||
        recorded->concat == MOE_CONCAT_EXPERTS)
        o.experts = 0; /* a file has slots, or some of the experts */
    if (local.status == MOE_OK)
        read_files(recorded, &recorded->files, &o, &all, &local);
    if (local.status == MOE_OK)
        read_test(recorded, &o, &all, &local);
    if (local.status == MOE_OK)
        to_logical(&map, experts, &all, &local);
    moe_placement_fini(&map);
    if (local.status == MOE_OK && recorded->drop_repeats > 0)
        moe_recording_drop_repeats(&all, recorded->drop_repeats, &local);
    moe_ranges_fini(&keep);
    if (local.status == MOE_OK) {
        *out = all;
        return MOE_OK;
    }
    moe_recording_fini(&all);
    return moe_pass(err, &local);
}

const char *moe_recorded_name(const moe_recorded *recorded)
{
    return recorded->files.n == 1 ? recorded->files.text[0] : "the recordings";
}

void moe_recorded_check(const moe_recording *r, moe_remarks *lines,
                        moe_error *err)
{
    moe_remarks found = {0};
    moe_recording_inspect(r, &found, err);
    for (size_t i = 0; i < found.n; i++)
        moe_remark(lines, "check: %s", found.text[i]);
    if (found.n == 0)
        moe_remark(lines, "check: nothing is wrong");
    moe_remarks_fini(&found);
    moe_recording_uses(r, lines);
}

/* Defaults are those of `trace import`. */
moe_status moe_recorded_trace(const char *path, moe_trace *out, moe_error *err)
{
    const moe_recording_options options = {.kind = MOE_RECORDING_ANY};
    moe_error local = {0};
    moe_recording r = {.kind = MOE_RECORDING_ANY};
    moe_trace t = {.shared = MPI_WIN_NULL};
    if (moe_recording_read(path, &options, &r, &local) != MOE_OK)
        return moe_pass(err, &local);
    const bool has_split = r.seq_part != NULL;
    t.top_k = r.top_k;
    snprintf(t.model, sizeof t.model, "unknown");
    snprintf(t.source, sizeof t.source, "%s", path);
    if (r.top_k == 0)
        moe_fail(&local, MOE_USAGE,
                 "%s: does not say how many experts a token chooses (`trace "
                 "import --top-k` makes a trace)",
                 path);
    else if (moe_recording_to_trace(&r, 0, &t, &local) != MOE_OK)
        moe_error_prefix(&local, "%s", path);
    moe_recording_fini(&r);
    if (local.status != MOE_OK)
        return moe_pass(err, &local);
    if (!has_split && t.order == MOE_ORDER_TIME)
        moe_trace_divide(&t, &moe_trace_split_default);
    moe_trace_hash(&t, t.sha256, &local);
    *out = t;
    return moe_pass(err, &local);
}

void moe_recorded_print(const char *name, const moe_recording *r,
                        const moe_remarks *check)
{
    char shown[1024];
    snprintf(shown, sizeof shown, "%s", name);
    moe_plain_clean(shown, false);
    printf("read %s: ", shown);
    for (size_t i = 0; i < r->understood.n; i++)
        printf("%s%s", i > 0 ? "; " : "", r->understood.text[i]);
    putchar('\n');
    for (size_t i = 0; i < r->dropped.n; i++)
        printf("left out: %s\n", r->dropped.text[i]);
    for (size_t i = 0; check != NULL && i < check->n; i++)
        puts(check->text[i]);
}
