/* SPDX-License-Identifier: Apache-2.0 */
#include "page.h"

#include <string.h>

#include "map_words.h"
#include "moegps/html.h"

static const char style[] =
    ":root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--page:#fff;"
    "--card:#f6f8fa;--line:#d0d7de;--good:#1a7f37;--bad:#b42318;"
    "--note:#8a5a00}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9da7b1;"
    "--page:#0d1117;--card:#161b22;--line:#30363d;--good:#3fb950;"
    "--bad:#ff7b72;--note:#e3b341}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;max-width:80rem;padding:1rem;color:var(--ink);"
    "background:var(--page);font:1rem/1.5 system-ui,sans-serif}\n"
    "h1{font-size:1.6rem;line-height:1.25;margin:.5rem 0}\n"
    "h2{font-size:1.25rem;margin:2rem 0 .5rem;border-bottom:1px solid "
    "var(--line)}\n"
    "h3{font-size:1rem;margin:1.5rem 0 .5rem}\n"
    "p,li,h1,h2,h3,td,th,dd{overflow-wrap:anywhere}\n"
    ".wide{overflow-x:auto;max-width:100%}\n"
    "table{border-collapse:collapse;font-size:.9rem;"
    "font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid var(--line);overflow-wrap:normal}\n"
    "thead th{vertical-align:bottom}th small{color:var(--soft);"
    "font-weight:normal;display:block}\n"
    "tbody th{font-weight:600}.n{text-align:right;white-space:nowrap}\n"
    ".facts td{overflow-wrap:anywhere}\n"
    /* Numbers that are scrolled to keep the names of their rows. */
    ".wide tbody th{position:sticky;left:0;background:var(--page);"
    "padding-right:.75rem}\n"
    "@media(max-width:40rem){.wide tbody th{min-width:7.5rem;max-width:9rem;"
    "overflow-wrap:anywhere}h1{font-size:1.3rem}.verdict{font-size:1rem;"
    "padding:.75rem}}\n"
    ".verdict{font-size:1.15rem;padding:1rem;background:var(--card);"
    "border-left:.3rem solid var(--good)}\n"
    ".VALID{color:var(--good)}.INVALID{color:var(--bad)}"
    ".INCOMPLETE{color:var(--note)}\n"
    ".badge{font-weight:700}\n"
    ".warnings{padding:.5rem 1rem .5rem 2rem;background:var(--card);"
    "border-left:.3rem solid var(--note)}\n"
    "pre{overflow-x:auto;padding:1rem;background:var(--card);font-size:.85rem;"
    "line-height:1.4}\n"
    "summary{cursor:pointer;margin:.75rem 0}\n"
    ".figures{display:grid;gap:1rem 2rem;grid-template-columns:"
    "repeat(auto-fit,minmax(min(100%,34rem),1fr))}\n"
    "figure{margin:1rem 0;min-width:0;max-width:44rem}figure "
    "svg{display:block;width:100%;height:auto}\n"
    "figcaption{font-size:.85rem}figcaption summary{margin:.25rem 0}\n"
    ".soft{color:var(--soft)}\n"
    "@media(prefers-color-scheme:dark){figure svg{filter:brightness(1.2)}}\n"
    "@media print{body{max-width:none;padding:0;font-size:10pt}"
    "details::details-content{content-visibility:visible;block-size:auto}"
    "figure,tr,.verdict,.warnings{break-inside:avoid}"
    "h2,h3{break-after:avoid}.wide,pre{overflow:visible}"
    "pre{white-space:pre-wrap}.figures{grid-template-columns:1fr 1fr}}\n";

static const char *known(const char *text)
{
    return text[0] != '\0' ? text : "not recorded";
}

/* What the page is of, in a few words. */
static void name_page(const moe_analysis *a, char *text, size_t size)
{
    const moe_view *v = a->n > 0 ? a->run[0].view : NULL;
    char maps[32] = "";
    bool same = true;
    for (size_t i = 1; i < a->n; i++)
        same = same && strcmp(a->run[i].view->model, v->model) == 0;
    if (a->n_maps > 0)
        snprintf(maps, sizeof maps, "%zu map%s", a->n_maps,
                 a->n_maps == 1 ? "" : "s");
    if (a->n == 0 && a->n_maps == 1)
        moe_map_title(a->map, text, size);
    else if (a->n == 1 && a->n_maps == 0)
        snprintf(text, size, "%s", known(v->title));
    else if (a->n == 0)
        snprintf(text, size, "%s", maps);
    else
        snprintf(text, size, "%zu run%s%s%s%s%s", a->n, a->n == 1 ? "" : "s",
                 same ? " of " : "", same ? known(v->model) : "",
                 maps[0] != '\0' ? " and " : "", maps);
}

void moe_page_head(const moe_analysis *a, FILE *out)
{
    char name[320];
    name_page(a, name, sizeof name);
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
          "<meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src "
          "'none'; style-src 'unsafe-inline'; img-src data:\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, "
          "initial-scale=1\">\n<title>",
          out);
    fputs("moe-gps: ", out);
    moe_html_text(a->n > 0 ? known(a->run[0].view->title) : name, out);
    fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n<header>\n",
            style);
    moe_html_in(out, "h1", name);
    fputs("</header>\n<main>\n", out);
}

void moe_page_foot(const moe_analysis *a, FILE *out)
{
    fprintf(out,
            "</main>\n<footer class=\"soft\"><p>The same numbers: %s%s"
            "report.json. The figures, their data and scripts: the folder "
            "figures. %s%s</p></footer>\n</body>\n</html>\n",
            a->n > 0 ? "report.csv, " : "", a->n_maps > 0 ? "maps.csv, " : "",
            a->n_maps > 0 ? "All of a map is modelled. " : "",
            a->n > 0 ? "Times of the gpu clock are modelled, all others "
                       "measured; intervals are of medians, 95 %."
                     : "");
}
