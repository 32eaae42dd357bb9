/** conf_internal.h: how a tree of settings is made of YAML. */
#ifndef MOEGPS_CORE_CONF_INTERNAL_H
#define MOEGPS_CORE_CONF_INTERNAL_H

#include "moegps/conf.h"

enum { MOE_CONF_ORIGIN = 128 }; /* bytes of a file name in a message */

/** Say what is wrong where. @param line  0: the origin is a --set, which has no
 *  lines. @return MOE_USAGE. */
moe_status moe_conf_fail_at(const char *origin, size_t line, moe_error *err,
                            const char *message);

/** @return a node without content; NULL after MOE_NOMEM. */
moe_conf *moe_conf_new_node(moe_conf_kind kind, size_t line, moe_error *err);

/** Append a child, which is owned from now on, also on failure. */
moe_status moe_conf_add_child(moe_conf *parent, moe_conf *child,
                              moe_error *err);

/** Parse any YAML value.
 *  @param from_set  it has no lines.
 *  @param err       without an error before.
 *  @return NULL with an error. */
moe_conf *moe_conf_parse_value(const char *text, const char *origin,
                               bool from_set, moe_error *err);

#endif
