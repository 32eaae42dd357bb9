/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "array.h"
#include "moegps/text.h"

/* Files of several arrays: the recording, and what is beside it. */

/* @return the array's number; m->n with an error. */
static size_t find_array(const moe_members *m, const char *dataset,
                         moe_error *err)
{
    char name[128], known[256] = "";
    size_t found = m->n, n = 0;
    const bool named = dataset != NULL && *dataset != '\0';
    for (size_t i = 0; i < m->n; i++) {
        m->name(m->from, i, name, sizeof name);
        moe_text_add(known, sizeof known, ", ", "%s", name);
        if (named ? strcmp(name, dataset) != 0 : moe_companion_named(name))
            continue;
        found = i;
        n++;
    }
    if (n == 1)
        return found;
    moe_fail(err, MOE_FORMAT, "%s: has %s: --dataset names the array", m->path,
             m->n > 0 ? known : "no array");
    return m->n;
}

moe_status moe_recording_take_members(const moe_members *m,
                                      const moe_recording_options *options,
                                      moe_recording *out, moe_error *err)
{
    char name[128];
    moe_numbers a;
    moe_companions beside = {0};
    const size_t array = find_array(m, options->dataset, err);
    for (size_t i = 0; i < m->n && err->status == MOE_OK; i++)
        if (i != array &&
            moe_companion_named(m->name(m->from, i, name, sizeof name)) &&
            m->open(m->from, i, &a, err) == MOE_OK)
            moe_companions_take(&beside, name, &a, err);
    if (err->status == MOE_OK && m->open(m->from, array, &a, err) == MOE_OK)
        moe_recording_take_array(&a, options, &beside, out, err);
    moe_companions_fini(&beside);
    return err->status;
}
