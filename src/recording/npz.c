/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "array.h"
#include "moegps/text.h"
#include "zip.h"

/* @return the member's name without ".npy". */
static const char *name_of(const moe_zip *z, size_t i, char *name, size_t size)
{
    const char *all = z->member[i].name;
    const size_t n = strlen(all);
    const bool npy = n > 4 && strcmp(all + n - 4, ".npy") == 0;
    snprintf(name, size, "%.*s", (int)(npy ? n - 4 : n), all);
    return name;
}

static moe_status open_member(moe_zip *z, size_t i, moe_numbers *out,
                              moe_error *err)
{
    *out = (moe_numbers){.rank = 0};
    snprintf(out->name, sizeof out->name, "%.380s: %.120s", z->path,
             z->member[i].name);
    return moe_zip_seek(z, i, &out->source, err) == MOE_OK
               ? moe_npy_header(out, err)
               : err->status;
}

/* The array itself: the one that --dataset names, or the only one that is no
 * list beside it. @return its number; z->n with an error. */
static size_t find_array(const moe_zip *z, const char *dataset, moe_error *err)
{
    char name[128], known[256] = "";
    size_t found = z->n, n = 0;
    const bool named = dataset != NULL && *dataset != '\0';
    for (size_t i = 0; i < z->n; i++) {
        name_of(z, i, name, sizeof name);
        moe_text_add(known, sizeof known, ", ", "%s", name);
        if (named ? strcmp(name, dataset) != 0 : moe_companion_named(name))
            continue;
        found = i;
        n++;
    }
    if (n == 1)
        return found;
    moe_fail(err, MOE_FORMAT, "%s: has %s: --dataset names the array", z->path,
             known);
    return z->n;
}

static void read_members(moe_zip *z, const moe_recording_options *options,
                         moe_recording *out, moe_error *err)
{
    char name[128];
    moe_numbers a;
    moe_companions beside = {0};
    const size_t array = find_array(z, options->dataset, err);
    for (size_t i = 0; i < z->n && err->status == MOE_OK; i++)
        if (i != array &&
            moe_companion_named(name_of(z, i, name, sizeof name)) &&
            open_member(z, i, &a, err) == MOE_OK)
            moe_companions_take(&beside, name, &a, err);
    if (err->status == MOE_OK && open_member(z, array, &a, err) == MOE_OK)
        moe_recording_take_array(&a, options, &beside, out, err);
    moe_companions_fini(&beside);
}

static bool detect(const char *path, const char *head, size_t n)
{
    const char *dot = strrchr(path, '.');
    return n > 4 && memcmp(head, "PK\3\4", 4) == 0 && dot != NULL &&
           strcasecmp(dot, ".npz") == 0;
}

static moe_status read(const char *path, const moe_recording_options *options,
                       moe_recording *out, moe_error *err)
{
    moe_zip z;
    if (moe_zip_open(path, &z, err) == MOE_OK)
        read_members(&z, options, out, err);
    moe_zip_close(&z);
    return err->status;
}

const moe_recording_format moe_recording_npz = {
    .name = "npz",
    .help = "an array as in npy, and what is beside it by name: sequences, "
            "token_ids, positions, layers, gates, splits",
    .detect = detect,
    .read = read};
