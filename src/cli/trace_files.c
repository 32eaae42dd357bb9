/* SPDX-License-Identifier: Apache-2.0 */
#include "trace.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "moegps/profile.h"
#include "moegps/replace.h"
#include "recorded.h"

/* By its first bytes, as all formats are told apart. */
static bool is_hdf5(const char *path)
{
    char head[4] = "";
    FILE *file = fopen(path, "rb");
    const bool read = file != NULL && fread(head, 1, 4, file) == 4;
    if (file != NULL)
        fclose(file);
    return !read || memcmp(head, "\x89HDF", 4) == 0;
}

moe_status moe_trace_path(const char *name, char *path, size_t size,
                          moe_error *err)
{
    return moe_profile_find("traces", name, ".h5", path, size, err);
}

moe_status moe_trace_by_name(const char *name, moe_trace *out, moe_error *err)
{
    char path[PATH_MAX];
    if (moe_trace_path(name, path, sizeof path, err) != MOE_OK)
        return err->status;
    return is_hdf5(path) ? moe_trace_read(path, out, err)
                         : moe_recorded_trace(path, out, err);
}

moe_status moe_trace_save(const char *path, bool force, moe_trace *trace,
                          moe_error *err)
{
    moe_replace to;
    if (moe_replace_begin(&to, path, force, err) != MOE_OK)
        return err->status;
    moe_trace_write(to.beside, trace, err);
    return moe_replace_commit(&to, err);
}
