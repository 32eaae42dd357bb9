/* strategies.h: what strategies are made of, in the group /strategies of a
 * result file or a sweep; files of earlier versions have it in their settings.
 */
#ifndef MOEGPS_RESULTS_STRATEGIES_H
#define MOEGPS_RESULTS_STRATEGIES_H

#include <stddef.h>

#include "moegps/h5.h"
#include "moegps/status.h"
#include "moegps/strategy_facts.h"
#include "moegps/view.h"

/* Write the group. @param names, facts  [n] */
void moe_strategies_write(hid_t file, const char *const *names,
                          const moe_strategy_facts *facts, size_t n,
                          moe_error *err);

/* Fill the facts of a view's strategies, whose figures are there already. */
void moe_strategies_read(hid_t file, moe_view *view, moe_error *err);

/* The same from the view's settings and from what was measured, as files before
 * schema 1.3 and sweeps before 1.1 need it. Settings that cannot be read leave
 * the facts empty. */
void moe_strategies_infer(moe_view *view, moe_error *err);

#endif
