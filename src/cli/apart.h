/** apart.h: files that a command writes are not those that it reads, and no two
 *  of them are one. */
#ifndef MOEGPS_CLI_APART_H
#define MOEGPS_CLI_APART_H

#include "args.h"

/** Check what rows name. Texts that name no file, as of a bundled profile, are
 *  fine. @return MOE_OK, MOE_USAGE (the options and the file), MOE_NOMEM. */
moe_status moe_apart_check(const moe_args *args, const void *settings,
                           moe_error *err);

#endif
