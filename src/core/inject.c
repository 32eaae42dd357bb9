/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/inject.h"

#include <ctype.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/text.h"

static const struct {
    const char *name, *help;
} sites[MOE_N_SITES] = {
#define MOE_SITE_ROW(id, name, help) [MOE_SITE_##id] = {name, help},
    MOE_SITE_MAP(MOE_SITE_ROW)
#undef MOE_SITE_ROW
};

const char *moe_site_name(moe_site site)
{
    return sites[site].name;
}

const char *moe_site_help(moe_site site)
{
    return sites[site].help;
}

moe_status moe_injection_parse(const char *text, void *injection,
                               moe_error *err)
{
    moe_injection *out = injection;
    const char *colon = strchr(text, ':');
    char *end = NULL;
    bool digit = colon != NULL && isdigit((unsigned char)colon[1]);
    long rank = digit ? strtol(colon + 1, &end, 10) : -1;
    if (rank < 0 || rank > INT_MAX || *end != '\0')
        return moe_fail(err, MOE_USAGE,
                        "'%.64s' is not SITE:RANK, as in plan:0", text);
    size_t len = (size_t)(colon - text);
    char known[256] = "";
    for (int s = 0; s < MOE_N_SITES; s++) {
        if (strlen(sites[s].name) == len &&
            memcmp(sites[s].name, text, len) == 0) {
            *out = (moe_injection){true, (moe_site)s, (int)rank};
            return MOE_OK;
        }
        moe_text_add(known, sizeof known, ", ", "%s", sites[s].name);
    }
    return moe_fail(err, MOE_USAGE, "'%.64s': no such site (sites: %s)", text,
                    known);
}
