/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <math.h>

/* A row of skews, the rest of the cell being given. */
static void print_row(const moe_map *map, moe_map_cell x, FILE *out)
{
    static const char letters[] = "BDTO";
    for (x.skew = 0; x.skew < map->n_skew; x.skew++) {
        const size_t at = moe_map_at(map, &x);
        if (map->n_skew > 16) /* a letter alone, small where it is close */
            fputc(letters[map->winner[at]] |
                      (map->margin[at] < 0.01 ? 'a' - 'A' : 0),
                  out);
        else
            fprintf(out, " %c%5.1f", letters[map->winner[at]],
                    fmin(100 * map->margin[at], 999.9));
    }
    fputc('\n', out);
}

static void print_scale(const moe_map *map, int width, FILE *out)
{
    fprintf(out, "%*s ", width, "skew");
    for (int k = 0; k < map->n_skew && map->n_skew <= 16; k++)
        fprintf(out, " %6.3g", map->skew[k]);
    if (map->n_skew > 16)
        fprintf(out, "%-*.3g%.3g", map->n_skew - 3, map->skew[0],
                map->skew[map->n_skew - 1]);
    fputc('\n', out);
}

static void print_legend(const moe_map *map, const char *cluster,
                         const char *rows, moe_advise_case c, FILE *out)
{
    fprintf(out,
            "modelled: %s on %d GPUs%s%s, %s case. Rows: %s.\n"
            "B baseline, D distribution-only, T token-to-expert%s\n",
            map->model, map->gpus, *cluster ? " of " : "", cluster,
            moe_advise_case_name(c), rows,
            map->n_skew > 16 ? "; small: by less than 1 %"
                             : ", and its margin in %");
}

/* @param x  case, batch, accuracy and, unless rows are clusters, cluster. */
static void print_rows(const moe_map *map, moe_map_cell x, FILE *out)
{
    const bool own = map->own_links;
    const int width = own ? 14 : 8;
    fprintf(out, "\nbatch %d, accuracy %.3g\n", map->batch[x.batch],
            map->accuracy[x.accuracy]);
    print_scale(map, width, out);
    for (int i = 0; i < (own ? map->n_cluster : map->n_bandwidth); i++) {
        *(own ? &x.cluster : &x.bandwidth) = i;
        if (own)
            fprintf(out, "%*s ", width, map->cluster[i].name);
        else
            fprintf(out, "%*.4g ", width,
                    moe_map_bandwidth(map, x.cluster, i) * 1e-9);
        print_row(map, x, out);
    }
}

void moe_report_map_cells(const moe_map *map, moe_advise_case c, FILE *out)
{
    const bool own = map->own_links;
    moe_map_cell x = {.error = c};
    for (x.cluster = 0; x.cluster < (own ? 1 : map->n_cluster); x.cluster++) {
        fputs(x.cluster > 0 ? "\n" : "", out);
        print_legend(map, own ? "" : map->cluster[x.cluster].name,
                     own ? "clusters, their own links"
                         : "link bandwidth, GB/s per direction",
                     c, out);
        for (x.batch = 0; x.batch < map->n_batch; x.batch++)
            for (x.accuracy = 0; x.accuracy < map->n_accuracy; x.accuracy++)
                print_rows(map, x, out);
    }
}
