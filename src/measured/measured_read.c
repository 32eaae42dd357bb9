/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/measured.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "moegps/ctx.h"
#include "moegps/mem.h"
#include "moegps/text.h"

#define X(name) extern const moe_measured_format moe_measured_##name##_format;
#include "members.h"
#undef X

static const moe_measured_format *const formats[] = {
#define X(name) &moe_measured_##name##_format,
#include "members.h"
#undef X
};

const moe_measured_format *moe_measured_format_at(size_t i)
{
    return i < MOE_ARRAY_LEN(formats) ? formats[i] : NULL;
}

/* ---- the file ---- */

moe_status moe_measured_read(const char *path,
                             const moe_measured_options *options,
                             moe_measurements *out, moe_error *err)
{
    char *text = NULL, known[256] = "";
    const size_t before = out->n;
    if (moe_read_text(path, &text, err) != MOE_OK)
        return err->status;
    const moe_measured_file file = {path, text, options, out};
    size_t i = 0;
    while (i < MOE_ARRAY_LEN(formats) && !formats[i]->detect(text))
        moe_text_add(known, sizeof known, ", ", "%s", formats[i++]->name);
    if (i == MOE_ARRAY_LEN(formats))
        moe_fail(err, MOE_FORMAT, "%s: is none of %s", path, known);
    else if (formats[i]->read(&file, err) == MOE_OK && out->n == before)
        moe_fail(err, MOE_FORMAT, "%s: has no measured row (read as %s)", path,
                 formats[i]->name);
    else if (err->status == MOE_OK)
        moe_remark(&out->said, "%s: %s, %zu rows of %s", path, formats[i]->name,
                   out->n - before, out->row[before].group->name);
    free(text);
    return err->status;
}
