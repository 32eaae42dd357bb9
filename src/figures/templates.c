/* SPDX-License-Identifier: Apache-2.0 */
#include "templates.h"

#include <string.h>

#include "moegps/mem.h"

/* Rows {"frame", "its text"}, which the Makefile writes. */
static const struct {
    const char *name, *text;
} templates[] = {
#include "gnuplot_templates.h"
};

const char *moe_template(const char *name)
{
    for (size_t i = 0; i < MOE_ARRAY_LEN(templates); i++)
        if (strcmp(templates[i].name, name) == 0)
            return templates[i].text;
    return NULL;
}
