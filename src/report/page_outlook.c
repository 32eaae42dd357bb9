/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <stdlib.h>
#include <string.h>

#include "moegps/html.h"
#include "outlook.h"
#include "sheet.h"

/* Put lines as the items of a list, under a sentence; nothing of no lines. */
static void put_list(const char *title, char *lines, FILE *out)
{
    char *rest = NULL, *line = strtok_r(lines, "\n", &rest);
    if (line == NULL)
        return;
    moe_html_in(out, "p", title);
    fputs("<ul>\n", out);
    for (; line != NULL; line = strtok_r(NULL, "\n", &rest))
        moe_html_in(out, "li", line);
    fputs("</ul>\n", out);
}

static void put_why(const moe_dossier_run *run, FILE *out)
{
    const moe_view *v = run->view;
    const moe_clock clock = run->verdict.clock;
    char title[256], *text = NULL;
    size_t size = 0;
    FILE *words = open_memstream(&text, &size);
    if (words == NULL)
        return;
    moe_verdict_say_why(v, words);
    fclose(words);
    snprintf(title, sizeof title, "Against %s, per layer on the %s clock (%s):",
             v->strategy[v->reference_index].name, moe_clock_name(clock),
             clock == MOE_CLOCK_GPU ? "modelled" : "measured");
    put_list(title, text, out);
    free(text);
}

void moe_page_outlook(const moe_dossier_run *run, FILE *out)
{
    const moe_sheet to = {.out = out, .html = true};
    char *text = NULL;
    size_t size = 0;
    fputs(run->outlook != NULL ? "<h2>Why, and what would change it</h2>\n"
                               : "<h2>Why</h2>\n",
          out);
    put_why(run, out);
    if (run->outlook == NULL)
        return;
    FILE *words = open_memstream(&text, &size);
    if (words != NULL) {
        moe_outlook_say(run->outlook, run->view, words);
        fclose(words);
    }
    put_list("What would change it, gpu clock (modelled):", text, out);
    free(text);
    moe_sheet_stages(&to, run->view, run->outlook);
}
