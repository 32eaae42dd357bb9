/* SPDX-License-Identifier: Apache-2.0 */
#include "contents.h"

#include <math.h>

#include "moegps/mem.h"
#include "moegps/serving.h"

/* What is said of runs whose ranks kept a GPU's pace. */

static bool any_paced(const moe_view *v)
{
    return v->pace.phase[MOE_PACE_ATTENTION] || v->pace.phase[MOE_PACE_FFN];
}

static void say_dilation(const moe_view *v, FILE *out)
{
    if (v->pace.links[0] != '\0')
        fprintf(out, " %s.", v->pace.links);
    else
        fprintf(out, " Nobody compared these links with the cluster's "
                     "(emulation.links).");
    if (v->pace.dilation > 1)
        fprintf(out,
                " The paced phases took %s times as long, and all that was "
                "measured is divided by that.",
                moe_number_cell(v->pace.dilation).text);
}

void moe_say_paced(moe_document *doc, const moe_run_analysis *run)
{
    const moe_view *v = run->view;
    if (!any_paced(v))
        return;
    moe_doc_say(doc, MOE_DOC_PARAGRAPH,
                "Paced: %s took the time that the cost model gives %s; all "
                "else was measured, on the links of %d node%s here.",
                !v->pace.phase[MOE_PACE_FFN]         ? "attention"
                : !v->pace.phase[MOE_PACE_ATTENTION] ? "FFN"
                                                     : "attention and FFN",
                moe_known(v->cluster), v->nodes, v->nodes == 1 ? "" : "s");
    FILE *out = moe_doc_words(doc);
    say_dilation(v, out);
    if (v->scale > 1)
        fprintf(out,
                " Rows and weights travelled at 1/%g of their width: exchange "
                "is not the full size's, and the wall clock no result.",
                v->scale);
    if (!moe_verdict_is_paced(v))
        fputs(" The other of attention and FFN was not, so the wall clock is "
              "no GPU's.",
              out);
}

/* Paced ranks take two batches in turn; nobody has shared experts beside
 * dispatch. A deployment that is not understood has no overlap known. */
void moe_say_overlap(moe_document *doc, const moe_view *v)
{
    moe_serving s;
    if (moe_serving_read(v->serving, &s, NULL) != MOE_OK ||
        s.overlap == MOE_SERVE_NO_OVERLAP ||
        (s.overlap == MOE_SERVE_TWO_BATCH && any_paced(v)))
        return;
    moe_doc_say(doc, MOE_DOC_ITEM,
                "Overlap %s was priced, not executed: only the gpu clock has "
                "it, and the wall clock is of steps that follow one another.",
                moe_serve_overlaps[s.overlap]);
}

/* @return the strategy that is latest; -1: none was measured. */
static int latest(const moe_view *v)
{
    int most = -1;
    for (int s = 0; s < v->dims.strategies; s++) {
        const double late = v->strategy[s].late.median;
        if (!isnan(late) && (most < 0 || late > v->strategy[most].late.median))
            most = s;
    }
    return most;
}

/* By the clock of the machine whose timer it is, as what is said of that. */
static void say_phases_late(const moe_view *v, const moe_strategy_view *y,
                            FILE *out)
{
    const double by = v->pace.dilation;
    const char *comma = ":";
    for (int k = 0; k < MOE_N_PACES; k++) {
        if (!v->pace.phase[k])
            continue;
        fprintf(out,
                "%s %s by %s in the median and %s in the 99th percentile over "
                "layers and ranks",
                comma, moe_pace_name(k),
                moe_time_cell(y->late_s[k][0] * by).text,
                moe_time_cell(y->late_s[k][1] * by).text);
        comma = ",";
    }
}

/* Lateness comes from sharing cores, and is that of this machine's clock: of
 * longer phases it is a smaller share. */
static void say_too_late(const moe_view *v, FILE *out)
{
    const double by = v->pace.dilation * v->pace.late / MOE_MOST_LATE;
    fprintf(out,
            " Beyond %g %% of a layer the wall clock is not a result: read the "
            "gpu clock, or run fewer ranks a core, or with emulation.dilation "
            "from about %.0f on, where phases as late are within that.",
            100 * MOE_MOST_LATE, ceil(by));
}

void moe_say_lateness(moe_document *doc, const moe_view *v)
{
    const int s = latest(v);
    if (!any_paced(v) || s < 0)
        return;
    const moe_strategy_view *y = &v->strategy[s];
    moe_doc_say(doc, MOE_DOC_ITEM,
                "Paced phases ended late, in %s by most, %s of a layer",
                y->name, moe_percent_cell(y->late.median).text);
    FILE *out = moe_doc_words(doc);
    say_phases_late(v, y, out);
    fprintf(out, "%s; %s of them by more than %g %% of a layer.",
            v->pace.dilation > 1 ? ", by the clock of this machine" : "",
            moe_percent_cell(y->late_share).text, 100 * MOE_MOST_LATE);
    if (!(v->pace.late <= MOE_MOST_LATE))
        say_too_late(v, out);
    if (v->pace.timer[0] != '\0')
        fprintf(out, " %s.", v->pace.timer);
}

/* ---- both clocks ---- */

/* Phases that are compared together, and why they may differ. */
static const struct {
    const char *name;
    int first, last; /* moe_phase */
    const char *why;
} rows[] = {
    {"predict", MOE_PHASE_PREDICT, MOE_PHASE_PREDICT,
     "predictors run on this machine's CPUs here, on the GPU there"},
    {"coordinate, exposed", MOE_PHASE_COLLECT, MOE_PHASE_BROADCAST,
     "collectives and planner of this machine, and how far layers hid them"},
    {"migrate, exposed", MOE_PHASE_MIGRATE, MOE_PHASE_MIGRATE,
     "what the layers did not hide of weights, on links of other speed"},
    {"attention, router", MOE_PHASE_ATTENTION, MOE_PHASE_ROUTE,
     "lateness, the counting of pairs, and rows that go ahead"},
    {"dispatch", MOE_PHASE_DISPATCH, MOE_PHASE_DISPATCH,
     "links of other speed, and rows copied into place by the CPU"},
    {"ffn", MOE_PHASE_FFN, MOE_PHASE_FFN,
     "lateness; the slowest of each layer here, of each stage there"},
    {"combine", MOE_PHASE_COMBINE, MOE_PHASE_COMBINE, "links of other speed"},
};

static double sum_of(const double *phase_s, size_t row)
{
    double sum = 0;
    for (int p = rows[row].first; p <= rows[row].last; p++)
        sum += isnan(phase_s[p]) ? 0 : phase_s[p];
    return sum;
}

/* @return s from begin to end of what may run beside layers; NaN: nothing of
 * the row does, or the file does not say. */
static double span_of(const moe_strategy_view *y, size_t row)
{
    double sum = NAN;
    for (int p = rows[row].first; p <= rows[row].last; p++) {
        const int k = p - MOE_BESIDE_FIRST;
        if (k >= 0 && k < MOE_N_BESIDES)
            sum = (isnan(sum) ? 0 : sum) + y->beside_s[k];
        else if (p == MOE_PHASE_DISPATCH || p == MOE_PHASE_COMBINE)
            sum = y->travel_s[p == MOE_PHASE_COMBINE ? MOE_EXCHANGE_COMBINE
                                                     : MOE_EXCHANGE_DISPATCH];
    }
    return sum;
}

static void put_row(moe_table *t, const char *name, double span_s, double gpu_s,
                    double wall_s)
{
    moe_table_cell(t, "%s", name);
    moe_table_put(t, moe_time_cell(span_s));
    moe_table_put(t, moe_time_cell(gpu_s));
    moe_table_put(t, moe_time_cell(wall_s));
    moe_table_put(t, moe_number_cell(gpu_s > 0 ? wall_s / gpu_s : (double)NAN));
}

/* The row in which the clocks differ most. */
static void say_reason(moe_document *doc, const moe_strategy_view *y)
{
    size_t most = 0;
    double gap_s = 0;
    for (size_t i = 0; i < MOE_ARRAY_LEN(rows); i++) {
        const double here = sum_of(y->phase[MOE_CLOCK_WALL], i) -
                            sum_of(y->phase[MOE_CLOCK_GPU], i);
        if (fabs(here) > fabs(gap_s)) {
            gap_s = here;
            most = i;
        }
    }
    moe_doc_say(doc, MOE_DOC_UNDER,
                "The largest difference, %c%s, is in %s: %s.",
                gap_s < 0 ? '-' : '+', moe_time_cell(fabs(gap_s)).text,
                rows[most].name, rows[most].why);
}

/* Of rows that travel while something is computed. */
static void say_hidden(moe_document *doc, const moe_strategy_view *y)
{
    double travel_s = 0, exposed_s = 0;
    for (size_t x = 0; x < MOE_N_TRAVELS; x++) {
        travel_s += y->travel_s[x];
        exposed_s += y->travel_exposed_s[x];
    }
    if (exposed_s < travel_s)
        moe_doc_say(doc, MOE_DOC_UNDER,
                    "Rows travelled for %s; the layer waited for %s of that "
                    "and computed the other half of the batch in the rest.",
                    moe_time_cell(travel_s).text,
                    moe_time_cell(exposed_s).text);
}

static void say_strategy(moe_document *doc, const moe_view *v, int s)
{
    static const moe_column columns[] = {
        {"phase", NULL, MOE_LEFT},
        {"begin to end", "hidden or not", MOE_RIGHT},
        {"gpu", "modelled", MOE_RIGHT},
        {"wall", "paced", MOE_RIGHT},
        {"wall / gpu", NULL, MOE_RIGHT},
    };
    const moe_strategy_view *y = &v->strategy[s];
    const double *gpu = y->phase[MOE_CLOCK_GPU];
    const double *wall = y->phase[MOE_CLOCK_WALL];
    if (isnan(y->summary[MOE_CLOCK_WALL].median))
        return;
    moe_doc_say(doc, MOE_DOC_CAPTION, "%s on both clocks, per layer%s", y->name,
                moe_verdict_wall_counts(v) ? ""
                                           : "; the wall clock is no result");
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (size_t i = 0; i < MOE_ARRAY_LEN(rows); i++)
        put_row(t, rows[i].name, span_of(y, i), sum_of(gpu, i),
                sum_of(wall, i));
    put_row(t, "(wait for others)", NAN, NAN, y->wait);
    put_row(t, "layer", NAN, y->summary[MOE_CLOCK_GPU].median,
            y->summary[MOE_CLOCK_WALL].median);
    say_reason(doc, y);
    say_hidden(doc, y);
}

/* ---- links ---- */

enum { MOST_ROUTES = 64 };

static void say_routes(moe_document *doc, const moe_pace_view *pace)
{
    static const moe_column columns[] = {
        {"from node", NULL, MOE_RIGHT},
        {"to node", NULL, MOE_RIGHT},
        {"rows", "MB", MOE_RIGHT},
        {"bandwidth", "GB/s a message", MOE_RIGHT},
        {"sender late", "per time of messages", MOE_RIGHT},
    };
    if (pace->n_routes == 0 || pace->n_routes > MOST_ROUTES)
        return;
    moe_doc_say(doc, MOE_DOC_CAPTION,
                "Rows between nodes, all strategies and measured iterations");
    moe_doc_say(doc, MOE_DOC_UNDER,
                "by the receivers' clocks, not divided by the dilation; a "
                "message shares its link with those beside it");
    moe_table *t = moe_doc_table(doc, NULL, columns, MOE_ARRAY_LEN(columns));
    for (size_t i = 0; i < pace->n_routes; i++) {
        const moe_route *r = &pace->route[i];
        moe_table_cell(t, "%d", r->from);
        moe_table_cell(t, "%d", r->to);
        moe_table_put(t, moe_number_cell(1e-6 * r->bytes));
        moe_table_put(t, moe_number_cell(1e-9 * r->bytes /
                                         (r->transfer_s * pace->dilation)));
        moe_table_put(t, moe_number_cell(r->late_s / r->transfer_s));
    }
}

void moe_say_two_clocks(moe_document *doc, const moe_run_analysis *run)
{
    for (int s = 0; s < run->view->dims.strategies; s++)
        if (moe_verdict_is_paced(run->view))
            say_strategy(doc, run->view, s);
    say_routes(doc, &run->view->pace);
}
