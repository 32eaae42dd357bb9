/* SPDX-License-Identifier: Apache-2.0 */

/* FFNs of unequal experts, which the cost model composes of balanced ones,
 * against measured kernels under skewed loads. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../pricing.h"
#include "moegps/mem.h"
#include "moegps/rng.h"
#include "moegps/stats.h"
#include "validate.h"

enum { DRAWS = 9, MAX_EXPERTS = 512 };

/* Pairs per expert as the measurements drew them: independent samples of a
 * power law on [1, 0.8 tokens], or [0.01, 2] where there is less than a pair
 * for each, scaled to all pairs; at most one pair per token and expert.
 * Source: AIConfigurator, collector/helper.py. */
static void draw(const moe_ffn_key *key, double tokens, double exponent,
                 moe_rng *rng, uint32_t *rows)
{
    const double pairs = tokens * key->top_k, power = 1 - exponent;
    const bool few = pairs <= key->experts;
    const double low = pow(few ? 0.01 : 1, power);
    const double high = pow(few ? 2 : 0.8 * tokens, power);
    double load[MAX_EXPERTS], sum = 0, left = pairs;
    for (int e = 0; e < key->experts; e++)
        sum += load[e] = pow(low + (high - low) * moe_rng_unit(rng), 1 / power);
    for (int e = 0; e < key->experts; e++) {
        rows[e] = (uint32_t)fmin(round(load[e] / sum * pairs), tokens);
        left -= rows[e];
    }
    /* Rounding and the limit leave pairs over, or too many. */
    for (int e = 0; fabs(left) > 0.5; e = (e + 1) % key->experts) {
        const int by = left > 0 ? rows[e] < tokens : -(rows[e] > 0);
        rows[e] += (uint32_t)by;
        left -= by;
    }
}

static int by_time(const void *a, const void *b)
{
    const moe_price *x = a, *y = b;
    return (x->time_s > y->time_s) - (x->time_s < y->time_s);
}

/* @return the median of several draws. */
static moe_price composed(const pricing *p, const moe_ffn_key *key,
                          double tokens, double exponent, moe_rng *rng)
{
    uint32_t rows[MAX_EXPERTS];
    moe_price price[DRAWS];
    for (int i = 0; i < DRAWS; i++) {
        draw(key, tokens, exponent, rng, rows);
        price[i] = p->cost->ffn(p->state, rows, (size_t)key->experts);
    }
    qsort(price, DRAWS, sizeof *price, by_time);
    return price[DRAWS / 2];
}

/* The cost model of the stack, for a model of one layer of this shape. */
static bool open_key(pricing *p, const moe_silicon *s, const moe_ffn_key *key)
{
    moe_error err = {0};
    moe_curve balanced;
    moe_ffn_key whole = *key;
    whole.distribution = "balanced";
    if (moe_silicon_ffn(s, &whole, NULL, &balanced, NULL) != MOE_OK ||
        !balanced.measured)
        return false;
    pricing_read(p, "mixtral-8x7b", "h100-nvlink");
    snprintf(p->cluster.gpu, sizeof p->cluster.gpu, "%s", key->gpu);
    snprintf(p->cluster.stack, sizeof p->cluster.stack, "%s", key->stack);
    p->model.dtype =
        strcmp(key->dtype, "bfloat16") == 0 ? MOE_DTYPE_BF16 : MOE_DTYPE_FP8;
    p->model.hidden = key->hidden;
    p->model.intermediate = key->inter;
    p->model.top_k = key->top_k;
    p->model.experts = key->experts;
    if (pricing_open(p, "silicon", &err) != MOE_OK)
        give_up(err.text);
    return true;
}

/* Prices of measured skewed calls. */
typedef struct {
    char name[128];
    double *ratio; /* price over truth */
    size_t n, room, within[2];
} skewed_line;

static skewed_line lines[80];
static size_t n_lines;

static skewed_line *line_of(const char *name)
{
    size_t i = 0;
    while (i < n_lines && strcmp(lines[i].name, name) != 0)
        i++;
    if (i == MOE_ARRAY_LEN(lines))
        give_up("too many lines");
    if (i == n_lines)
        snprintf(lines[n_lines++].name, sizeof lines->name, "%s", name);
    return &lines[i];
}

static void count(const char *name, moe_price price, double truth_s)
{
    skewed_line *l = line_of(name);
    const double ratio = price.time_s / truth_s, error = fabs(ratio - 1);
    if (l->n == l->room) {
        l->room = l->room > 0 ? 2 * l->room : 256;
        l->ratio = realloc(l->ratio, l->room * sizeof *l->ratio);
        if (l->ratio == NULL)
            give_up("out of memory");
    }
    l->ratio[l->n++] = ratio;
    l->within[0] += error <= price.relative_error;
    l->within[1] += error <= price.error_p90;
}

static const char *band_of(double rows)
{
    return rows < 1    ? "below 1"
           : rows < 8  ? "1 to 8"
           : rows < 64 ? "8 to 64"
                       : "64 and more";
}

/* All rows of a skewed table. */
static void compose(const moe_silicon *s, size_t k, const moe_ffn_key *key)
{
    const double exponent = atof(strrchr(key->distribution, '_') + 1);
    moe_rng rng = moe_rng_at(1, MOE_RNG_TEST, k, 0, 0);
    moe_error err = {0};
    pricing p;
    moe_curve c;
    if (!open_key(&p, s, key))
        return;
    if (moe_silicon_ffn(s, key, NULL, &c, &err) != MOE_OK)
        give_up(err.text);
    for (size_t i = 0; i < c.n; i++) {
        const double truth_s = moe_curve_price(&c, c.tokens[i]).time_s;
        const moe_price price = composed(&p, key, c.tokens[i], exponent, &rng);
        const char *band = band_of(c.tokens[i] * key->top_k / key->experts);
        char name[128];
        count("all", price, truth_s);
        snprintf(name, sizeof name, "%s", key->distribution);
        count(name, price, truth_s);
        snprintf(name, sizeof name, "%s %s %s", key->gpu, key->stack,
                 key->dtype);
        count(name, price, truth_s);
        snprintf(name, sizeof name, "%s %s %s, %s, %s rows", key->gpu,
                 key->stack, key->dtype, key->distribution, band);
        if (band_of(64) == band)
            count(name, price, truth_s);
        snprintf(name, sizeof name, "%s rows", band);
        count(name, price, truth_s);
    }
    pricing_close(&p);
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void print_skewed(skewed_line *l)
{
    char what[200];
    qsort(l->ratio, l->n, sizeof *l->ratio, by_value);
    const double ratio = moe_quantile_sorted(l->ratio, l->n, 0.5);
    for (size_t i = 0; i < l->n; i++)
        l->ratio[i] = fabs(l->ratio[i] - 1);
    qsort(l->ratio, l->n, sizeof *l->ratio, by_value);
    const double n = (double)l->n;
    const double in[] = {(double)l->within[0] / n, (double)l->within[1] / n};
    printf("| %s | %zu | %.3f | %.2f | %.2f | %.1f | %.1f |\n", l->name, l->n,
           ratio, 100 * moe_quantile_sorted(l->ratio, l->n, 0.5),
           100 * moe_quantile_sorted(l->ratio, l->n, 0.9), 100 * in[0],
           100 * in[1]);
    if (strcmp(l->name, "all") == 0) {
        require("composed FFN: median",
                moe_quantile_sorted(l->ratio, l->n, 0.5), 0.06);
        require("composed FFN: rows within, off two thirds",
                fabs(in[0] - 2.0 / 3), 0.05);
        require("composed FFN: rows within, off nine tenths", fabs(in[1] - 0.9),
                0.05);
    }
    if (strstr(l->name, "a100") != NULL && strstr(l->name, "rows") != NULL) {
        snprintf(what, sizeof what, "composed FFN: %.127s, bias", l->name);
        require(what, fabs(ratio - 1), 0.05);
    }
    free(l->ratio);
}

void validate_composition(const moe_silicon *s)
{
    for (size_t k = 0; k < moe_silicon_n_ffn(s); k++) {
        moe_ffn_key key;
        if (moe_silicon_ffn_key(s, k, &key) && key.ep == 1 &&
            strncmp(key.distribution, "power_law", 9) == 0 &&
            strcmp(key.dtype, "fp8") != 0 &&
            strstr(key.kernel, "nongated") == NULL)
            compose(s, k, &key);
    }
    printf("\n## FFN: unequal experts\n\n"
           "Measured calls of one GPU under skewed loads, priced as the cost "
           "model prices unequal experts: each its share of the balanced time "
           "at its own number of rows, then the slow-down of the call by all "
           "its rows. Of tables whose shape was measured balanced, too, the "
           "median of nine draws of loads. Rows are a mean of all experts. Of "
           "a row of 64 and more, balanced times are used up to those of "
           "power_law_1.01 (an expert's rows lie side by side there, as a "
           "dispatch leaves them, and are far apart in balanced "
           "measurements); power_law_1.2 is not used.\n\n"
           "| | n | median price / truth | error median %% | p90 %% | within "
           "2/3 %% | within 9/10 %% |\n|---|---:|---:|---:|---:|---:|---:|\n");
    for (size_t i = 0; i < n_lines; i++)
        print_skewed(&lines[i]);
}
