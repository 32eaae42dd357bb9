/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "array.h"
#include "zip.h"

/* @return the member's name without ".npy". */
static const char *name_of(const void *from, size_t i, char *name, size_t size)
{
    const moe_zip *z = from;
    const char *all = z->member[i].name;
    const size_t n = strlen(all);
    const bool npy = n > 4 && strcmp(all + n - 4, ".npy") == 0;
    snprintf(name, size, "%.*s", (int)(npy ? n - 4 : n), all);
    return name;
}

static moe_status open_member(void *from, size_t i, moe_numbers *out,
                              moe_error *err)
{
    moe_zip *z = from;
    *out = (moe_numbers){.rank = 0};
    snprintf(out->name, sizeof out->name, "%.380s: %.120s", z->path,
             z->member[i].name);
    return moe_zip_seek(z, i, &out->source, err) == MOE_OK
               ? moe_npy_header(out, err)
               : err->status;
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
        moe_recording_take_members(
            &(moe_members){path, z.n, &z, name_of, open_member}, options, out,
            err);
    moe_zip_close(&z);
    return err->status;
}

const moe_recording_format moe_recording_npz = {
    .name = "npz",
    .help = "an array as in npy, and what is beside it by name: sequences, "
            "token_ids, positions, layers, gates, splits",
    .detect = detect,
    .read = read};
