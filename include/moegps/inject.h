/** inject.h: named places where a run can be made to fail, for tests.
 *
 *  `moegps run --inject SITE:RANK` makes one call on one rank fail there.
 */
#ifndef MOEGPS_INJECT_H
#define MOEGPS_INJECT_H

#include "moegps/status.h"

/* X(enumerator, spelling, where) */
#define MOE_SITE_MAP(X)                                                    \
    X(CONFIG, "config", "after the experiment file was parsed")            \
    X(TRACE, "trace", "after the trace was read")                          \
    X(SETUP, "setup", "while buffers and weights are allocated")           \
    X(PREDICTOR, "predictor", "while a predictor is set up")               \
    X(BATCH, "batch", "while the batch of an iteration is prepared")       \
    X(PREDICT, "predict", "inside the timed predict phase")                \
    X(PLAN, "plan", "inside the timed plan phase")                         \
    X(DIFFER, "differ",                                                    \
      "makes a plan another one, where every rank plans for itself")       \
    X(FFN, "ffn", "inside the timed ffn phase")                            \
    X(CHECK, "check", "corrupts one row before combine: validation fails") \
    X(CREATE, "create", "while the result file is created")                \
    X(WRITE, "write", "while results are written")                         \
    X(FINISH, "finish", "while the result file is finished")

typedef enum moe_site {
#define MOE_SITE_ENUM(name, text, where) MOE_SITE_##name,
    MOE_SITE_MAP(MOE_SITE_ENUM)
#undef MOE_SITE_ENUM
        MOE_N_SITES
} moe_site;

typedef struct moe_injection {
    bool armed;
    moe_site site;
    int rank;
} moe_injection;

/** @return spelling of a site, static storage. */
const char *moe_site_name(moe_site site);

/** @return where the site is, static storage. */
const char *moe_site_help(moe_site site);

/** Parse SITE:RANK, as a moe_opt_parser. Not collective.
 *  @param injection  moe_injection to fill. @return MOE_OK, MOE_USAGE. */
moe_status moe_injection_parse(const char *text, void *injection,
                               moe_error *err);

#endif
