/** advise.h: what `moegps advise` and `moegps map` share. */
#ifndef MOEGPS_CLI_ADVISE_H
#define MOEGPS_CLI_ADVISE_H

#include <stdio.h>

#include "moegps/advise.h"

/** Print advice for people, or as one JSON object. */
void moe_advise_print(const moe_advise_params *p, const moe_advice *v,
                      FILE *out);
moe_status moe_advise_write_json(const moe_advise_params *p,
                                 const moe_advice *v, const char *path,
                                 bool force, moe_error *err);

#endif
