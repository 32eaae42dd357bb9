/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "moegps/plain.h"

/* What a prefix may always have, however long the sentence: a file name. */
enum { MIN_PREFIX = MOE_ERROR_LEN / 4 };

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
    moe_plain_clean(err->text, false);
    err->status = status;
    return status;
}

moe_status moe_pass(moe_error *err, const moe_error *local)
{
    return local->status == MOE_OK
               ? MOE_OK
               : moe_fail(err, local->status, "%s", local->text);
}

void moe_error_prefix(moe_error *err, const char *fmt, ...)
{
    if (err == NULL || err->status == MOE_OK)
        return;
    char prefix[MOE_ERROR_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(prefix, sizeof prefix, fmt, ap);
    va_end(ap);
    moe_plain_clean(prefix, false);
    const size_t all = MOE_ERROR_LEN - sizeof ": ";
    size_t old = strlen(err->text), len = strlen(prefix);
    size_t room = old + MIN_PREFIX < all ? all - old : MIN_PREFIX;
    len = len < room ? len : room;
    old = old < all - len ? old : all - len;
    memmove(err->text + len + 2, err->text, old);
    memcpy(err->text, prefix, len);
    memcpy(err->text + len, ": ", 2);
    err->text[len + 2 + old] = '\0';
}

const char *moe_status_text(moe_status status)
{
    return status < MOE_N_STATUS ? statuses[status].text : "unknown status";
}

int moe_status_exit_code(moe_status status)
{
    return status < MOE_N_STATUS ? statuses[status].exit_code : 1;
}
