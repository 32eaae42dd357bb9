/** calibrate.h: what the parts of `moegps calibrate` share. */
#ifndef MOEGPS_CLI_CALIBRATE_H
#define MOEGPS_CLI_CALIBRATE_H

#include "moegps/cluster.h"
#include "moegps/ctx.h"
#include "moegps/measured.h"
#include "moegps/options.h"

typedef struct moe_calibrate_settings {
    moe_strings files;
    const char *output, *profile, *model;
    bool mpi, add, force;
    int op; /* 0: files say */
    moe_measured_options measured;
    moe_cluster cluster;
    moe_model m; /* with model */
} moe_calibrate_settings;

/** Choices of --op, NULL behind them; 0 is auto. */
extern const char *const moe_calibrate_ops[];

/** Write tables and the profile, and say what came of it. */
void moe_calibrate_write(moe_calibrate_settings *s, moe_measurements *m,
                         moe_error *err);

/** Check what was asked for, and read the profiles. @return MOE_OK, MOE_USAGE,
 *  MOE_EXISTS. */
moe_status moe_calibrate_check(moe_calibrate_settings *s, moe_error *err);

/** Measure this machine: --mpi. Collective; rank 0 checks and writes.
 *  @return the merged status. */
moe_status moe_calibrate_mpi(moe_ctx *ctx, moe_calibrate_settings *s);

#endif
