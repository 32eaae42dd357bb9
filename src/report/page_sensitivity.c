/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/html.h"
#include "run_words.h"
#include "sheet.h"

/* Put a heading, and the lines under it as a list; frees them. */
static void put_list(char *lines, FILE *out)
{
    char *rest = NULL;
    const char *line = lines != NULL ? strtok_r(lines, "\n", &rest) : NULL;
    if (line == NULL)
        goto out;
    moe_html_in(out, "p", line);
    fputs("<ul>\n", out);
    while ((line = strtok_r(NULL, "\n", &rest)) != NULL)
        moe_html_in(out, "li", line);
    fputs("</ul>\n", out);
out:
    free(lines);
}

void moe_page_sensitivity(const moe_run_analysis *run, FILE *out)
{
    const moe_sheet to = {.out = out, .html = true};
    fputs(run->sensitivity.analysed ? "<h2>Why, and what would change it</h2>\n"
                                    : "<h2>Why</h2>\n",
          out);
    put_list(moe_verdict_why(run), out);
    if (!run->sensitivity.analysed)
        return;
    put_list(moe_sensitivity_words(run), out);
    moe_sheet_stages(&to, run);
}
