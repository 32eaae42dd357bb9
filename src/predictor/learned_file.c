/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/learned.h"

#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/h5.h"
#include "moegps/mem.h"
#include "moegps/text.h"

enum { MAX_LAYERS = 65536 };
static const uint64_t MAX_ELEMENTS = UINT64_C(1) << 30;

static bool is_history(const moe_learned_array *a)
{
    return strcmp(a->dim_name[0], MOE_LEARNED_EPOCH) == 0;
}

/* A predictor's own names, the rest of its group's attributes. */
static void write_part_attributes(hid_t group, const moe_learned_part *p,
                                  moe_error *err)
{
    char list[MOE_LEARNED_ARRAYS * 50] = "";
    for (int a = 0; a < p->n_arrays; a++)
        moe_text_add(list, sizeof list, " ", "%s", p->array[a].name);
    moe_h5_put_text(group, "arrays", list, err);
    moe_h5_put_int(group, "seed", (int64_t)p->seed, err);
    moe_h5_put_int(group, "epochs", p->epochs, err);
    moe_h5_put_int(group, "epochs_limit", p->epochs_limit, err);
    moe_h5_put_int(group, "best_epoch", p->best_epoch, err);
    moe_h5_put_int(group, "complete", p->complete, err);
    moe_h5_put_real(group, "cpu_s", p->cpu_s, err);
    moe_h5_put_real(group, "final_loss", p->final_loss, err);
}

/* Counts and numbers of things take a third of the space as integers. Those up
 * to 2^24 are floats, too. */
static hid_t type_of(const moe_learned_array *a)
{
    const uint64_t n = is_history(a) ? 0 : moe_learned_elements(a);
    float least = 0, most = 0;
    for (uint64_t i = 0; i < n; i++) {
        if (!(fabsf(a->data[i]) <= 0x1p24F) || truncf(a->data[i]) != a->data[i])
            return H5T_IEEE_F32LE;
        least = fminf(least, a->data[i]);
        most = fmaxf(most, a->data[i]);
    }
    if (n == 0 || !(most > 0))
        return H5T_IEEE_F32LE;
    return least < 0      ? H5T_STD_I32LE
           : most < 256   ? H5T_STD_U8LE
           : most < 65536 ? H5T_STD_U16LE
                          : H5T_STD_I32LE;
}

static void write_array(hid_t group, const moe_learned_array *a, bool deflate,
                        moe_error *err)
{
    moe_h5_spec spec = {.name = a->name,
                        .type = deflate ? type_of(a) : H5T_IEEE_F32LE,
                        .rank = a->rank,
                        .units = "1",
                        .deflate = deflate};
    char dims[128] = "";
    for (int d = 0; d < a->rank; d++) {
        moe_text_add(dims, sizeof dims, " ", "%s", a->dim_name[d]);
        spec.dims[d] = a->dim_name[d];
        if (!moe_h5_exists(group, a->dim_name[d]))
            moe_h5_scale(group, a->dim_name[d], a->dim[d], NULL, a->dim_name[d],
                         err);
    }
    moe_h5_write(group, &spec, H5T_NATIVE_FLOAT, a->data, err);
    hid_t set = moe_h5_open_dataset(group, a->name, err);
    moe_h5_put_text(set, "dimensions", dims, err);
    moe_h5_close(set);
}

static void write_part(hid_t file, const moe_learned_part *p, moe_error *err)
{
    hid_t group = moe_h5_create_group(file, p->predictor, err);
    write_part_attributes(group, p, err);
    for (int a = 0; a < p->n_arrays; a++)
        write_array(group, &p->array[a], p->complete, err);
    moe_h5_close(group);
}

static void write_root(hid_t file, const moe_learned *l, moe_error *err)
{
    moe_h5_put_text(file, "schema", MOE_LEARNED_SCHEMA, err);
    moe_h5_put_text(file, "schema_version", MOE_LEARNED_SCHEMA_VERSION, err);
    moe_h5_put_text(file, "model", l->model, err);
    moe_h5_put_int(file, "layers", l->layers, err);
    moe_h5_put_int(file, "experts", l->experts, err);
    moe_h5_put_int(file, "top_k", l->top_k, err);
    moe_h5_put_int(file, "vocab_size", l->vocab_size, err);
    moe_h5_put_text(file, "trace_sha256", l->trace_sha256, err);
    moe_h5_put_text(file, "command", l->command, err);
    moe_h5_put_int(file, "kept_bits", l->kept_bits, err);
    const moe_h5_spec seen = {
        .name = "seen",
        .type = H5T_STD_U64LE,
        .rank = 1,
        .dims = {"sequence"},
        .long_name = "hashes of the sequences of the training part",
        .deflate = true};
    moe_h5_scale(file, "sequence", l->n_seen, NULL, "sequence", err);
    moe_h5_write(file, &seen, H5T_NATIVE_UINT64, l->seen, err);
}

moe_status moe_learned_write(const char *path, const moe_learned *l,
                             moe_error *err)
{
    moe_error local = {0};
    char list[1024] = "";
    hid_t file = moe_h5_create(path, &local);
    if (file < 0)
        return moe_pass(err, &local);
    write_root(file, l, &local);
    for (int p = 0; p < l->n_parts; p++) {
        moe_text_add(list, sizeof list, " ", "%s", l->part[p].predictor);
        write_part(file, &l->part[p], &local);
    }
    moe_h5_put_text(file, "predictors", list, &local);
    moe_h5_finish(file, path, &local);
    return moe_pass(err, &local);
}

static const moe_h5_schema schema = {.name = MOE_LEARNED_SCHEMA,
                                     .version = MOE_LEARNED_SCHEMA_VERSION,
                                     .noun = "a predictor file"};

static void read_root(hid_t file, moe_learned *l, moe_error *err)
{
    hsize_t n = 0;
    moe_h5_check_schema(file, &schema, err);
    moe_h5_get_text(file, "model", l->model, sizeof l->model, err);
    l->layers = moe_h5_get_sized(file, "layers", 1, MAX_LAYERS, err);
    l->experts = moe_h5_get_sized(file, "experts", 1, MOE_MAX_EXPERTS, err);
    l->top_k = moe_h5_get_sized(file, "top_k", 1, MOE_MAX_TOP_K, err);
    l->vocab_size =
        (uint32_t)moe_h5_get_sized(file, "vocab_size", 1, INT_MAX, err);
    moe_h5_get_text(file, "trace_sha256", l->trace_sha256,
                    sizeof l->trace_sha256, err);
    moe_h5_get_text(file, "command", l->command, sizeof l->command, err);
    l->kept_bits = moe_h5_get_sized(file, "kept_bits", 1, 23, err);
    moe_h5_dims(file, "seen", 1, &n, err);
    l->seen =
        moe_h5_read(file, "seen", H5T_NATIVE_UINT64, sizeof *l->seen, n, err);
    l->n_seen = l->seen != NULL ? n : 0;
}

static moe_status check_numbers(const moe_learned_array *a, moe_error *err)
{
    const uint64_t n = is_history(a) ? 0 : moe_learned_elements(a);
    for (uint64_t j = 0; j < n; j++)
        if (!isfinite(a->data[j]))
            return moe_fail(err, MOE_FORMAT,
                            "array '%s': element %" PRIu64 " is not finite",
                            a->name, j);
    return MOE_OK;
}

/* Sizes of one dataset. @return elements, 0 on error. */
static uint64_t read_sizes(hid_t set, moe_learned_array *a, moe_error *err)
{
    hsize_t dims[H5S_MAX_RANK] = {0};
    hid_t space = H5Dget_space(set), type = H5Dget_type(set);
    a->rank = H5Sget_simple_extent_ndims(space);
    bool sound =
        a->rank >= 1 && a->rank <= MOE_LEARNED_RANK &&
        (H5Tget_class(type) == H5T_FLOAT || H5Tget_class(type) == H5T_INTEGER);
    if (sound)
        H5Sget_simple_extent_dims(space, dims, NULL);
    uint64_t n = 1;
    for (int d = 0; d < a->rank && sound; d++) {
        sound = dims[d] >= 1 && dims[d] <= MAX_ELEMENTS / n;
        a->dim[d] = dims[d];
        n *= dims[d];
    }
    moe_h5_close(space);
    moe_h5_close(type);
    if (sound)
        return n;
    moe_fail(err, MOE_FORMAT, "array '%s' is not an array of numbers", a->name);
    return 0;
}

static void read_array(hid_t group, const char *name, moe_learned_part *p,
                       moe_error *err)
{
    moe_learned_array a = {.rank = 0};
    char dims[128] = "";
    snprintf(a.name, sizeof a.name, "%.47s", name);
    hid_t set = moe_h5_open_dataset(group, name, err);
    if (set < 0)
        return;
    const uint64_t n = read_sizes(set, &a, err);
    moe_h5_get_text(set, "dimensions", dims, sizeof dims, err);
    moe_h5_close(set);
    if (n == 0 || err->status != MOE_OK)
        return;
    if (sscanf(dims, "%23s %23s %23s", a.dim_name[0], a.dim_name[1],
               a.dim_name[2]) != a.rank)
        moe_fail(err, MOE_FORMAT, "array '%s': dimensions are '%s'", name,
                 dims);
    if (p->n_arrays == MOE_LEARNED_ARRAYS)
        moe_fail(err, MOE_FORMAT, "more than %d arrays", MOE_LEARNED_ARRAYS);
    a.data = moe_h5_read(group, name, H5T_NATIVE_FLOAT, sizeof *a.data, n, err);
    if (a.data == NULL)
        return;
    p->array[p->n_arrays++] = a;
    check_numbers(&a, err);
}

static void read_part(hid_t file, const char *name, moe_learned *l,
                      moe_error *err)
{
    char list[MOE_LEARNED_ARRAYS * 50] = "", *rest = NULL;
    hid_t group = moe_h5_open_group(file, name, err);
    moe_learned_part *p = group >= 0 ? moe_learned_add(l, name, err) : NULL;
    if (p == NULL) {
        moe_h5_close(group);
        return;
    }
    p->seed = (uint64_t)moe_h5_get_int(group, "seed", err);
    p->epochs = moe_h5_get_sized(group, "epochs", 0, INT_MAX, err);
    p->epochs_limit = moe_h5_get_sized(group, "epochs_limit", 1, INT_MAX, err);
    p->best_epoch = moe_h5_get_sized(group, "best_epoch", -1, INT_MAX, err);
    p->complete = moe_h5_get_sized(group, "complete", 0, 1, err) != 0;
    p->cpu_s = moe_h5_get_real(group, "cpu_s", err);
    p->final_loss = moe_h5_get_real(group, "final_loss", err);
    moe_h5_get_text(group, "arrays", list, sizeof list, err);
    for (char *w = strtok_r(list, " ", &rest); w != NULL && err->status == 0;
         w = strtok_r(NULL, " ", &rest))
        read_array(group, w, p, err);
    if (err->status != MOE_OK)
        moe_error_prefix(err, "predictor %s", name);
    moe_h5_close(group);
}

moe_status moe_learned_read(const char *path, moe_learned *out, moe_error *err)
{
    char list[1024] = "", *rest = NULL;
    moe_error local = {0};
    moe_learned l = {.shared = MPI_WIN_NULL};
    hid_t file = moe_h5_open(path, false, &local);
    if (file < 0)
        return moe_pass(err, &local);
    read_root(file, &l, &local);
    moe_h5_get_text(file, "predictors", list, sizeof list, &local);
    for (char *w = strtok_r(list, " ", &rest); w != NULL && local.status == 0;
         w = strtok_r(NULL, " ", &rest))
        read_part(file, w, &l, &local);
    moe_h5_close_file(file, &local);
    if (local.status == MOE_OK) {
        *out = l;
        return MOE_OK;
    }
    moe_learned_free(&l);
    moe_error_prefix(&local, "%s", path);
    return moe_pass(err, &local);
}
