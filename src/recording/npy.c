/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "array.h"

static bool detect(const char *path, const char *head, size_t n)
{
    (void)path;
    return moe_npy_begins(head, n);
}

static moe_status read(const char *path, const moe_recording_options *options,
                       moe_recording *out, moe_error *err)
{
    moe_numbers a = {.rank = 0};
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return moe_fail(err, MOE_USAGE, "%s: cannot open: %s", path,
                        strerror(errno));
    snprintf(a.name, sizeof a.name, "%s", path);
    a.source = moe_source_of_file(file);
    if (moe_npy_header(&a, err) == MOE_OK &&
        moe_recording_take_array(&a, options, NULL, out, err) == MOE_OK &&
        fgetc(file) != EOF)
        moe_fail(err, MOE_FORMAT, "%s: goes on after its last element", path);
    fclose(file);
    return err->status;
}

const moe_recording_format moe_recording_npy = {
    .name = "npy",
    .help = "NumPy array of loads or of the experts of tokens",
    .detect = detect,
    .read = read};
