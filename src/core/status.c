/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int exit_code;
    const char *text;
} statuses[MOE_N_STATUS] = {
#define MOE_STATUS_ROW(name, code, text) [MOE_##name] = {code, text},
    MOE_STATUS_MAP(MOE_STATUS_ROW)
#undef MOE_STATUS_ROW
};

moe_status moe_fail(moe_error *err, moe_status status, const char *fmt, ...)
{
    if (err == NULL)
        return status;
    if (err->status != MOE_OK)
        return err->status;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    err->status = status;
    return status;
}

void moe_error_prefix(moe_error *err, const char *fmt, ...)
{
    if (err == NULL || err->status == MOE_OK)
        return;
    char text[MOE_ERROR_LEN];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n + 2 >= sizeof text)
        return;
    snprintf(text + n, sizeof text - (size_t)n, ": %.*s",
             (int)(sizeof text - (size_t)n - 3), err->text);
    memcpy(err->text, text, sizeof text);
}

const char *moe_status_text(moe_status status)
{
    return status < MOE_N_STATUS ? statuses[status].text : "unknown status";
}

int moe_status_exit_code(moe_status status)
{
    return status < MOE_N_STATUS ? statuses[status].exit_code : 1;
}
