/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "moegps/h5.h"
#include "moegps/sweep.h"
#include "moegps/view.h"

static bool is_sweep(const char *path)
{
    moe_error ignored = {0};
    hid_t file = moe_h5_open(path, false, &ignored);
    const bool sweep = moe_h5_is(file, MOE_SWEEP_SCHEMA);
    moe_h5_close_file(file, &ignored);
    return sweep;
}

moe_status moe_views_append(const char *path, moe_view **views, size_t *n,
                            moe_error *err)
{
    moe_error local = {0};
    moe_view one, *some = &one;
    size_t m = 1;
    const bool sweep = is_sweep(path);
    if (sweep)
        moe_sweep_read(path, &some, &m, &local);
    else
        moe_view_read(path, &one, &local);
    if (local.status != MOE_OK)
        return moe_pass(err, &local);
    moe_view *all = realloc(*views, (*n + m) * sizeof *all);
    if (all == NULL) {
        for (size_t i = 0; i < m; i++)
            moe_view_free(&some[i]);
        moe_fail(&local, MOE_NOMEM, "out of memory");
    } else {
        memcpy(all + *n, some, m * sizeof *all);
        *views = all;
        *n += m;
    }
    if (sweep)
        free(some);
    return moe_pass(err, &local);
}
