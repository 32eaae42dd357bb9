/* SPDX-License-Identifier: Apache-2.0 */
#include "hidden_states.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

/* Whoever made it may say which trace it is of. */
static void check_trace(hid_t file, const moe_trace *t, moe_error *err)
{
    char text[128] = "";
    if (!moe_h5_has(file, "trace_sha256"))
        return;
    moe_h5_get_text(file, "trace_sha256", text, sizeof text, err);
    if (err->status == MOE_OK && strcmp(text, t->sha256) != 0)
        moe_fail(err, MOE_MISMATCH,
                 "hidden states are of a trace with sha256 %.12s..., this one "
                 "has %.12s...",
                 text, t->sha256);
}

static void read_states(moe_hidden *h, hid_t file, const moe_trace *t,
                        moe_error *err)
{
    hsize_t dims[3] = {0};
    moe_h5_dims(file, "hidden", 3, dims, err);
    if (err->status != MOE_OK)
        return;
    if (dims[0] != (hsize_t)t->layers || dims[1] != t->n_tokens || dims[2] < 1)
        moe_fail(err, MOE_MISMATCH,
                 "dataset 'hidden': %" PRIuHSIZE " x %" PRIuHSIZE
                 " x %" PRIuHSIZE ", the trace has %d layers, %" PRIu64
                 " tokens",
                 dims[0], dims[1], dims[2], t->layers, t->n_tokens);
    const size_t n = dims[0] * dims[1] * dims[2];
    h->n_tokens = dims[1];
    h->width = dims[2];
    if (err->status == MOE_OK)
        h->state = moe_h5_read(file, "hidden", H5T_NATIVE_FLOAT,
                               sizeof *h->state, n, err);
    for (size_t i = 0; h->state != NULL && i < n; i++)
        if (!isfinite(h->state[i])) {
            moe_fail(err, MOE_FORMAT, "dataset 'hidden': element %zu is %g", i,
                     (double)h->state[i]);
            return;
        }
}

moe_status moe_hidden_read(moe_hidden *h, const moe_h5_image *file,
                           const moe_trace *trace, moe_error *err)
{
    moe_error local = {0};
    *h = (moe_hidden){0};
    if (file->data == NULL)
        return moe_fail(err, MOE_USAGE,
                        "hidden states are needed: name the file that has "
                        "them (train: `--hidden FILE`, else `path: FILE`)");
    hid_t h5 = moe_h5_open_image(file, &local);
    if (h5 >= 0) {
        check_trace(h5, trace, &local);
        read_states(h, h5, trace, &local);
        moe_h5_close_file(h5, &local);
    }
    if (local.status != MOE_OK)
        moe_error_prefix(&local, "%s", file->path);
    return moe_pass(err, &local);
}

void moe_hidden_fini(moe_hidden *h)
{
    free(h->state);
    *h = (moe_hidden){0};
}

float *moe_hidden_put(const moe_hidden *h, int layer, uint64_t token,
                      float *row)
{
    if (layer < 0)
        memset(row, 0, h->width * sizeof *row);
    else
        memcpy(row, h->state + ((size_t)layer * h->n_tokens + token) * h->width,
               h->width * sizeof *row);
    return row + h->width;
}
