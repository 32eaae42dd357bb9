/** advise.h: what `moegps advise` and `moegps map` share. */
#ifndef MOEGPS_CLI_ADVISE_H
#define MOEGPS_CLI_ADVISE_H

#include <stdio.h>

#include "moegps/advise.h"

/** Parse an overhead: seconds per layer, or a share of the baseline layer
 *  like 10%. @return MOE_OK, MOE_USAGE. */
moe_status moe_advise_parse_overhead(const char *text, moe_advise_dials *dials,
                                     moe_error *err);

/** Print advice for people, or as one JSON object. */
void moe_advise_print(const moe_advise_params *p, const moe_advice *v,
                      FILE *out);
moe_status moe_advise_write_json(const moe_advise_params *p,
                                 const moe_advice *v, const char *path,
                                 bool force, moe_error *err);

#endif
