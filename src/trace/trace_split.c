/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/trace.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

const moe_trace_split moe_trace_split_default = {
    .tail = true, .test_share = 0.3, .seed = 1};

/* Move on behind a word. @return whether it came next. */
static bool take_word(const char **at, const char *word)
{
    const size_t len = strlen(word);
    if (strncmp(*at, word, len) != 0)
        return false;
    *at += len;
    return true;
}

static bool take_share(const char **at, double *out)
{
    char *end = NULL;
    const double share = strtod(*at, &end);
    if (end == *at || !(share >= 0 && share <= 1))
        return false;
    *at = end;
    *out = share;
    return true;
}

static bool take_seed(const char **at, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    if (!isdigit((unsigned char)**at))
        return false;
    *out = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

moe_status moe_trace_split_parse(const char *text, moe_trace_split *out,
                                 moe_error *err)
{
    moe_trace_split s = *out;
    const char *at = text;
    double train = 0;
    bool ok = true;
    s.tail = take_word(&at, "tail");
    if (s.tail && take_word(&at, "=")) {
        ok = take_share(&at, &s.test_share);
    } else if (!s.tail) {
        ok = take_word(&at, "train=") && take_share(&at, &train);
        s.test_share = 1 - train;
        if (ok && take_word(&at, ",seed="))
            ok = take_seed(&at, &s.seed);
    }
    if (!ok || *at != '\0')
        return moe_fail(err, MOE_USAGE,
                        "'%s' is neither tail=SHARE nor train=SHARE[,seed=N] "
                        "with a share in 0..1",
                        text);
    *out = s;
    return MOE_OK;
}

void moe_trace_divide(moe_trace *trace, const moe_trace_split *split)
{
    const uint64_t n = trace->n_seqs;
    const uint64_t n_test = (uint64_t)llround(split->test_share * (double)n);
    const uint64_t first = split->tail ? n - n_test : 0;
    for (uint64_t s = 0; s < n; s++)
        trace->seq_part[s] =
            s >= first && s < first + n_test ? MOE_PART_TEST : MOE_PART_TRAIN;
    if (split->tail)
        return;
    moe_rng rng = moe_rng_at(split->seed, MOE_RNG_SYNTH, 0, 0, 0);
    moe_rng_shuffle(&rng, trace->seq_part, n, sizeof *trace->seq_part);
}
