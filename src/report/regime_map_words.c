/* SPDX-License-Identifier: Apache-2.0 */
#include "contents.h"

void moe_regime_map_say(const moe_run_analysis *run, FILE *out)
{
    const moe_map *map = &run->regime.map;
    const int strategy = run->break_even.strategy;
    fprintf(out,
            "Who would win at other skewnesses and links within a node with %d "
            "tokens a batch, by the cost model alone: loads follow a power law "
            "and are "
            "not the run's own. Distribution-only errs by %s, token-to-expert "
            "is right for %s of pairs ",
            map->batch[0] * map->seq, moe_percent_cell(map->error).text,
            moe_percent_cell(map->accuracy[0]).text);
    if (strategy >= 0)
        fprintf(out,
                "at %s a layer, as %s, and its errors are taken to gather "
                "on one GPU",
                moe_time_cell(map->overhead_s).text,
                run->view->strategy[strategy].name);
    else
        fprintf(out, "at %s of the baseline, as nothing here foretells tokens",
                moe_percent_cell(map->overhead_share).text);
    fprintf(out,
            ". Copies are placed by planner duplicate and used with split "
            "quota. Where "
            "this run stands %s would win. ",
            moe_advise_strategy_name(run->regime.here));
}
