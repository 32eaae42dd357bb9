/** conf.h: YAML text as a tree, and trees read into settings structs.
 *
 *  The tree holds the line of every node, so that each complaint names file,
 *  line, key, value and what is allowed. `--set` edits the tree before it is
 *  read; there is one way in for every setting.
 */
#ifndef MOEGPS_CONF_H
#define MOEGPS_CONF_H

#include <stddef.h>

#include "moegps/options.h"
#include "moegps/status.h"

typedef enum moe_conf_kind {
    MOE_CONF_SCALAR,
    MOE_CONF_MAP,
    MOE_CONF_LIST
} moe_conf_kind;

typedef struct moe_conf {
    moe_conf_kind kind;
    char *key;               /* name in the parent map; NULL in lists, root */
    char *text;              /* scalars: the value; else NULL */
    char *origin;            /* root only: file name, or "--set" */
    size_t line;             /* 1-based; 0 when it came from --set */
    struct moe_conf **child; /* [n_children], owned */
    size_t n_children;
} moe_conf;

/** Parse YAML text of one document. Anchors, aliases and duplicate keys are
 *  refused, and more than 16 levels of nesting. Not collective.
 *  @param origin    file name for messages; copied.
 *  @param root_out  a map; release with moe_conf_free().
 *  @return MOE_OK, MOE_USAGE with origin:line, MOE_NOMEM. */
moe_status moe_conf_parse(const char *text, const char *origin,
                          moe_conf **root_out, moe_error *err);

/** Apply one `a.b=value`; list items are addressed by index or by the value
 *  of their `name` (strategies.oracle.slots=5). The value is YAML.
 *  Maps on the way that are not there are made; the tree stays as it is when
 *  the assignment is refused.
 *  @return MOE_OK, MOE_USAGE, MOE_NOMEM. */
moe_status moe_conf_set(moe_conf *root, const char *assignment, moe_error *err);

/** @return the child with this key, or NULL. `map` may be NULL. */
const moe_conf *moe_conf_get(const moe_conf *map, const char *key);

/** Record a complaint about a node: `origin:line: fmt...`, or `--set: fmt...`
 *  for a node that came from there. Of a long origin the end is shown.
 *  @param node  NULL: the whole of root. */
moe_status moe_conf_fail(const moe_conf *root, const moe_conf *node,
                         moe_error *err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/** A settings struct and its rows. */
typedef struct moe_conf_target {
    const moe_opt *rows; /* may be NULL: no rows */
    void *settings;
} moe_conf_target;

/** What a map may hold. */
typedef struct moe_conf_schema {
    const char *where;              /* what the map describes, for messages:
                                       "workload" */
    const moe_conf_target *targets; /* [n_targets] */
    size_t n_targets;
    const char *const *also; /* further keys that are legal and read elsewhere,
                                NULL-terminated, or NULL */
} moe_conf_schema;

/** Fill settings from a map: defaults first, then every key of the map, which
 *  must be a row of one of the targets or one of `also`.
 *  @param map  NULL reads as an empty map (required options then fail).
 *  @return MOE_OK, MOE_USAGE. */
moe_status moe_conf_read(const moe_conf *root, const moe_conf *map,
                         const moe_conf_schema *schema, moe_error *err);

void moe_conf_free(moe_conf *root);

#endif
