/* SPDX-License-Identifier: Apache-2.0 */
#include "load_page.h"

#include <math.h>
#include <stdio.h>

#include "moegps/cells.h"
#include "moegps/mem.h"
#include "moegps/replace.h"

/* What is seen in a figure, for who cannot. */
static void say_uneven(const moe_plot_loads *l, FILE *out)
{
    const size_t n = (size_t)l->steps * (size_t)l->layers;
    double most = 0, sum = 0;
    for (size_t i = 0; i < n; i++) {
        most = fmax(most, l->uneven[i]);
        sum += l->uneven[i];
    }
    fprintf(out,
            "The largest load over the mean, of %d layers in %d steps: "
            "mean %s, largest %s.",
            l->layers, l->steps, moe_fixed_cell(sum / (double)n).text,
            moe_fixed_cell(most).text);
}

static void say_drift(const moe_plot_loads *l, FILE *out)
{
    const int last = l->lags - 1;
    fprintf(out,
            "Distance of the shares of experts (0: the same, 1: disjoint): "
            "%s a step later, %s after %d steps.",
            moe_fixed_cell(l->drift[0]).text,
            moe_fixed_cell(l->drift[last]).text, l->lags);
    if (l->good != NULL)
        fprintf(out,
                " Mean / max load of a GPU under the plan of a step: %s on "
                "the next one, %s after %d steps.",
                moe_fixed_cell(l->good[0]).text,
                moe_fixed_cell(l->good[last]).text, l->lags);
}

static void add_figures(moe_document *doc, const moe_plots *plots,
                        const moe_plot_loads *loads)
{
    for (size_t i = 0; i < plots->n; i++) {
        const moe_plot *p = &plots->item[i];
        const moe_figure figure = {p->name, p->svg, p->tips, p->n_tips};
        moe_doc_figure(doc, &figure, p->title);
        if (p->kind == MOE_PLOT_UNEVEN)
            say_uneven(loads, moe_doc_words(doc));
        else
            say_drift(loads, moe_doc_words(doc));
    }
}

moe_status moe_load_page_check(const char *dir, const char *name, bool force,
                               moe_error *err)
{
    static const char *const files[] = {"uneven.csv", "uneven.gp", "uneven.svg",
                                        "drift.csv",  "drift.gp",  "drift.svg"};
    char path[4200];
    snprintf(path, sizeof path, "%s/%s.html", dir, name);
    moe_replace_check(path, force, err);
    for (size_t i = 0; i < MOE_ARRAY_LEN(files); i++) {
        snprintf(path, sizeof path, "%s/figures/%s", dir, files[i]);
        moe_replace_check(path, force, err);
    }
    return err->status;
}

moe_status moe_load_page(const char *dir, const char *name, bool force,
                         moe_document *doc, const moe_plot_loads *loads,
                         moe_error *err)
{
    char path[4096], folder[4096], first[4200] = "";
    moe_plots plots = {0};
    moe_replace to;
    snprintf(path, sizeof path, "%s/%s.html", dir, name);
    snprintf(folder, sizeof folder, "%s/figures", dir);
    snprintf(first, sizeof first, "%s/.", folder);
    if (moe_load_page_check(dir, name, force, err) != MOE_OK ||
        moe_replace_folders(first, err) != MOE_OK ||
        moe_plots_draw_loads(loads, folder, &plots, err) != MOE_OK)
        return err->status;
    add_figures(doc, &plots, loads);
    FILE *out = moe_replace_open(&to, path, force, err);
    if (out != NULL) {
        moe_document_page(doc, "moe-gps",
                          "The figures, their data and scripts: the folder "
                          "figures.",
                          out, err);
        moe_replace_close(&to, out, err);
    }
    if (err->status == MOE_OK)
        fprintf(stderr, "moegps: the page is %s\n", path);
    moe_plots_fini(&plots);
    return err->status;
}
