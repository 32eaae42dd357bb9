/** silicon_lines.h: a kind of kernel that is measured along lines. */
#ifndef MOEGPS_CLUSTER_SILICON_LINES_H
#define MOEGPS_CLUSTER_SILICON_LINES_H

#include "silicon_internal.h"

enum { MOE_LINE_PARAMETERS = 6, MOE_LINE_FACTS = 2 };

/** What differs between kinds. Sizes are in the order of moe_line_names. */
typedef struct moe_line_kind {
    const char *name; /* as `moegps cost --op` spells it */
    int op;
    double nearness[MOE_LINE_SIZES]; /* weights of squared octaves between two
                                        values of a size */
    double octave_error; /* relative, per octave beyond what was measured */
    /** What the texts of a key say to the model. NULL: nothing. */
    void (*read)(const char *const *texts, double *facts_out);
    /** @return us by the physical model.
     *  @param p  fitted by tools/convert_silicon.py with the same formula. */
    double (*model_us)(const double *p, const double *facts,
                       const double *size);
    /** Refuse sizes that the kernel does not take. */
    moe_status (*check)(const double *facts, const double *size,
                        moe_error *err);
} moe_line_kind;

extern const moe_line_kind moe_line_exchange, moe_line_decode, moe_line_mla,
    moe_line_wide;

#endif
