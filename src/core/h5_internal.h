/* h5_internal.h: what h5.c (files, groups), h5_attr.c (attributes) and
 * h5_data.c (scales, datasets) share. */
#ifndef MOEGPS_CORE_H5_INTERNAL_H
#define MOEGPS_CORE_H5_INTERNAL_H

#include "moegps/h5.h"

enum {
    MOE_H5_MAX_SHOWN = 160, /* bytes of a name in a message */
    MOE_H5_MAX_REASON = 256 /* bytes of HDF5's own reason */
};

/* Whether an error is recorded already: then nothing is done any more. */
bool moe_h5_failed(const moe_error *err);

/* Why the last HDF5 call failed; any further call forgets it. */
void moe_h5_reason(char why[MOE_H5_MAX_REASON]);

/* Record `what 'name': why`; moe_h5_fail() takes HDF5's reason. */
void moe_h5_fail_with(moe_error *err, moe_status status, const char *what,
                      const char *name, const char *why);
void moe_h5_fail(moe_error *err, moe_status status, const char *what,
                 const char *name);

/* Pass an id on, or record that the call which made it failed. */
hid_t moe_h5_checked(hid_t id, const char *what, const char *name,
                     moe_error *err);

/* Record a failed call that reads or writes. */
void moe_h5_check(herr_t rc, const char *what, const char *name,
                  moe_error *err);

/* A variable-length UTF-8 string; close it. */
hid_t moe_h5_text_type(void);

#endif
