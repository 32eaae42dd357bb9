/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/predictor.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moegps/mem.h"

static const struct {
    unsigned bit;
    const char *what;
} sights[] = {
    {MOE_SEES_PAST, "past iterations"},
    {MOE_SEES_IDS, "token ids"},
    {MOE_SEES_PLACES, "positions"},
    {MOE_SEES_LAYERS, "experts of earlier layers"},
    {MOE_SEES_TOKENS, "experts of earlier tokens"},
    {MOE_SEES_HIDDEN, "hidden states"},
};

const char *moe_horizon_text(unsigned sees, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (size_t i = 0; i < MOE_ARRAY_LEN(sights) && at < size; i++)
        if ((sees & sights[i].bit) != 0)
            at += (size_t)snprintf(text + at, size - at, "%s%s",
                                   at > 0 ? ", " : "", sights[i].what);
    if (at == 0)
        snprintf(text, size, "nothing");
    return text;
}

bool moe_horizon_layers(unsigned sees)
{
    return (sees & (MOE_SEES_LAYERS | MOE_SEES_HIDDEN)) != 0;
}

moe_status moe_lookahead_parse(const char *text, int *lookahead_out,
                               moe_error *err)
{
    char *end = NULL;
    const long d = strtol(text, &end, 10);
    if (strcmp(text, "all") == 0) {
        *lookahead_out = MOE_LOOKAHEAD_ALL;
        return MOE_OK;
    }
    if (!isdigit((unsigned char)*text) || *end != '\0' || d < 1 ||
        d > MOE_MAX_LOOKAHEAD)
        return moe_fail(err, MOE_USAGE,
                        "'%s' is not `all` or a number of layers in 1..%d",
                        text, MOE_MAX_LOOKAHEAD);
    *lookahead_out = (int)d;
    return MOE_OK;
}

moe_status moe_horizon_check(const moe_predictor *p, int lookahead, bool decode,
                             moe_error *err)
{
    if (moe_horizon_layers(p->sees) && lookahead == MOE_LOOKAHEAD_ALL)
        return moe_fail(err, MOE_USAGE,
                        "predictor '%s' looks at earlier layers of the batch: "
                        "say how many layers ahead it foretells, `lookahead: "
                        "1` or more",
                        p->name);
    if ((p->sees & MOE_SEES_TOKENS) != 0 && !decode)
        return moe_fail(err, MOE_USAGE,
                        "predictor '%s' looks at the experts of earlier "
                        "tokens, which a batch of whole sequences does not "
                        "have yet: it is for decoding",
                        p->name);
    return MOE_OK;
}
