/** load_page.h: a page of loads: what was said, and figures over time. */
#ifndef MOEGPS_CLI_LOAD_PAGE_H
#define MOEGPS_CLI_LOAD_PAGE_H

#include "moegps/document.h"
#include "moegps/plots.h"

/** Write DIR/NAME.html, complete in itself, and its figures, with data and
 *  scripts, in DIR/figures.
 *  @param doc  what the page says above the figures; they are appended.
 *  @return MOE_OK, MOE_EXISTS, MOE_IO, MOE_NOMEM. */
moe_status moe_load_page(const char *dir, const char *name, bool force,
                         moe_document *doc, const moe_plot_loads *loads,
                         moe_error *err);

/** Refuse what would replace a page, or figures of another, before work begins.
 *  @return MOE_OK, MOE_EXISTS. */
moe_status moe_load_page_check(const char *dir, const char *name, bool force,
                               moe_error *err);

#endif
