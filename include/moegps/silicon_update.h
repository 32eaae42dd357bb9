/** silicon_update.h: the tables of `cost: silicon` with a cluster's own rows.
 *
 *  The bundled tables are copied; what was measured replaces what is there of
 *  the same kernel and shape, or of a collective on the same GPU all of it.
 *  Rows that contradict their neighbours are left out and named. A kernel that
 *  was not there gets a physical model fitted to its rows (silicon.h).
 */
#ifndef MOEGPS_SILICON_UPDATE_H
#define MOEGPS_SILICON_UPDATE_H

#include "moegps/measured.h"

/** Write tables. Not collective.
 *  @param from  tables to start from; NULL: the bundled ones.
 *  @param to    a file that is not there yet.
 *  @param rows  sorted on return.
 *  @param said  what was left out and why, and what stays as bundled.
 *  @return MOE_OK, MOE_USAGE, MOE_FORMAT, MOE_IO, MOE_NOMEM. */
moe_status moe_silicon_update(const char *from, const char *to,
                              moe_measurements *rows, moe_remarks *said,
                              moe_error *err);

/** Say, of every kernel and collective of the rows, how far each inner row is
 *  from the price that the others make: median and 90 % of |relative error|.
 *  @param tables  that were written. */
moe_status moe_silicon_update_errors(const char *tables,
                                     const moe_measurements *rows,
                                     moe_remarks *said, moe_error *err);

#endif
