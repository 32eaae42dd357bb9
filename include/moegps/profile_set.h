/** profile_set.h: profiles with some keys set otherwise.
 *
 *  `--set cluster.KEY=VALUE` and `--set model.KEY=VALUE` change the text of a
 *  profile before it is read, so that all who read it later see the change.
 */
#ifndef MOEGPS_PROFILE_SET_H
#define MOEGPS_PROFILE_SET_H

#include <stdbool.h>
#include <stddef.h>

#include "moegps/options.h"
#include "moegps/status.h"

/** What may be set. All borrowed. */
typedef struct moe_profile_keys {
    const char *kind;    /* "cluster", "model" */
    const moe_opt *rows; /* its keys */
    void *scratch;       /* the struct that they fill; overwritten */
} moe_profile_keys;

/** @return whether an assignment is "KIND.KEY=VALUE" of a profile. */
bool moe_profile_is_set(const char *assignment);

/** @param set  assignments; those of other kinds are left alone.
 *  @return the text with the keys of this kind set, to be freed; NULL with
 *  MOE_USAGE (no such key, a value that is not allowed), MOE_NOMEM. */
char *moe_profile_with(const char *text, const moe_profile_keys *keys,
                       const moe_strings *set, moe_error *err);

/** Put "KEY: 'VALUE'" at the end of a text, in place of what it had of the key.
 *  @param text  from the heap; freed.
 *  @return the new text, to be freed; NULL with MOE_NOMEM. */
char *moe_profile_put(char *text, const char *key, const char *value,
                      moe_error *err);

/** @return whether any key of a kind is set. */
bool moe_profile_any_set(const char *kind, const moe_strings *set);

/** @return the value that a key of a kind is set to, the last one; NULL: it is
 *  not set. */
const char *moe_profile_value_set(const char *kind, const char *key,
                                  const moe_strings *set);

/** Add what is set to a profile's name, "a100-nvlink (link_latency_s=1e-5)", or
 *  "(changed)" where that is too long: it is no longer what the name says. */
void moe_profile_name_set(char *name, size_t size, const char *kind,
                          const moe_strings *set);

#endif
