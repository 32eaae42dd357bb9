/* SPDX-License-Identifier: Apache-2.0 */
#include "moegps/report.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "moegps/mem.h"
#include "moegps/table.h"

enum { DIGITS = 4, PHASE_COLUMNS = 4 };

static const double US = 1e6, MIB = 1.0 / (1 << 20);

static const char *const clock_labels[MOE_N_CLOCKS] = {
    "wall clock, measured", "cpu clock, measured", "gpu clock, MODELLED"};

const char *moe_report_result(const moe_view *view)
{
    if (strcmp(view->status, "complete") != 0)
        return strcmp(view->validation, "fail") == 0 ? "INVALID" : "INCOMPLETE";
    return view->valid ? "VALID" : "INVALID";
}

static void print_head(const moe_view *v, FILE *out)
{
    const moe_ledger_dims *d = &v->dims;
    fprintf(out, "%s\n", v->title);
    fprintf(out,
            "%d GPUs, one MPI rank each, on %d %s; %d of %d iterations of %d "
            "layers, %d experts\n",
            d->gpus, v->nodes, v->nodes == 1 ? "host" : "hosts", v->measured,
            d->iterations, d->layers, d->experts);
    fprintf(out, "run %s, %s, %s\n", v->run_id, v->date, v->source);
    if (v->oversubscribed)
        fputs("\nWARNING: ranks share cores, so the wall clock is not a "
              "result here; read the gpu clock.\n",
              out);
    for (size_t i = 0; i < v->n_warnings; i++)
        fprintf(out, "warning: %s\n", v->warnings[i]);
}

static void interval_cell(moe_table *t, double low, double high)
{
    char a[32], b[32];
    moe_format_number(low, DIGITS, a, sizeof a);
    moe_format_number(high, DIGITS, b, sizeof b);
    moe_table_cell(t, isnan(low) ? "n/a" : "%s..%s", a, b);
}

static void print_times(const moe_view *v, FILE *out)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT}, {"wall", "us", MOE_RIGHT},
        {"95 % CI", NULL, MOE_RIGHT}, {"cpu", "us", MOE_RIGHT},
        {"95 % CI", NULL, MOE_RIGHT}, {"gpu (model)", "us", MOE_RIGHT},
        {"95 % CI", NULL, MOE_RIGHT}};
    fprintf(out,
            "\nTime of a layer: median over %d iterations of the mean over "
            "layers\n",
            v->measured);
    moe_table *t = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < v->dims.strategies; s++) {
        const moe_strategy_view *x = &v->strategy[s];
        moe_table_cell(t, "%s", x->name);
        for (int c = 0; c < MOE_N_CLOCKS; c++) {
            const moe_summary *m = &x->summary[c];
            moe_table_number(t, m->median * US, DIGITS);
            interval_cell(t, m->ci_low * US, m->ci_high * US);
        }
    }
    moe_table_print(t, out);
    moe_table_free(t);
}

static void print_speedups(const moe_view *v, FILE *out)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT}, {"wall", "1", MOE_RIGHT},
        {"95 % CI", NULL, MOE_RIGHT}, {"cpu", "1", MOE_RIGHT},
        {"95 % CI", NULL, MOE_RIGHT}, {"gpu (model)", "1", MOE_RIGHT},
        {"95 % CI", NULL, MOE_RIGHT}};
    fprintf(out,
            "\nSpeed-up against %s: median of the ratios on the same batch\n",
            v->reference);
    moe_table *t = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < v->dims.strategies; s++) {
        const moe_strategy_view *x = &v->strategy[s];
        if (s == v->reference_index)
            continue;
        moe_table_cell(t, "%s", x->name);
        for (int c = 0; c < MOE_N_CLOCKS; c++) {
            moe_table_number(t, x->speedup[c].ratio, DIGITS);
            interval_cell(t, x->speedup[c].ci_low, x->speedup[c].ci_high);
        }
    }
    moe_table_print(t, out);
    moe_table_free(t);
}

static void print_load(const moe_view *v, FILE *out)
{
    static const moe_column columns[] = {
        {"strategy", NULL, MOE_LEFT},    {"imbalance", "max/mean", MOE_RIGHT},
        {"error", "%", MOE_RIGHT},       {"top-1", "%", MOE_RIGHT},
        {"recall@k", "%", MOE_RIGHT},    {"planner", "us", MOE_RIGHT},
        {"plan sent", "B", MOE_RIGHT},   {"weights moved", "MiB", MOE_RIGHT},
        {"rows sent", "MiB", MOE_RIGHT}, {"to others", "%", MOE_RIGHT}};
    fprintf(out,
            "\nLoad, prediction and traffic per layer (planner and plan: per "
            "iteration); skewness of the load %.3g\n",
            v->dims.strategies > 0 ? v->strategy[0].skewness.median : NAN);
    moe_table *t = moe_table_new(columns, MOE_ARRAY_LEN(columns));
    for (int s = 0; s < v->dims.strategies; s++) {
        const moe_strategy_view *x = &v->strategy[s];
        moe_table_cell(t, "%s", x->name);
        moe_table_number(t, x->imbalance.median, DIGITS);
        moe_table_number(t, x->error.median * 100, 3);
        moe_table_number(t, x->top1.median * 100, 3);
        moe_table_number(t, x->recall.median * 100, 3);
        moe_table_number(t, x->planner_cpu.median * US, 3);
        moe_table_number(t, x->wire_bytes, 3);
        moe_table_number(t, x->moved_bytes * MIB, 3);
        moe_table_number(t, x->dispatch_bytes * MIB, 3);
        moe_table_number(t, x->remote_share * 100, 3);
    }
    moe_table_print(t, out);
    moe_table_free(t);
}

/* Phases down, at most PHASE_COLUMNS strategies across. */
static void print_phase_block(const moe_view *v, moe_clock c, int first,
                              FILE *out)
{
    int n = v->dims.strategies - first;
    n = n < PHASE_COLUMNS ? n : PHASE_COLUMNS;
    moe_column columns[PHASE_COLUMNS + 1] = {{"phase", NULL, MOE_LEFT}};
    for (int s = 0; s < n; s++)
        columns[s + 1] =
            (moe_column){v->strategy[first + s].name, "us", MOE_RIGHT};
    moe_table *t = moe_table_new(columns, (size_t)n + 1);
    for (int p = 0; p < MOE_N_PHASES; p++) {
        if (p == MOE_PHASE_ATTENTION && c != MOE_CLOCK_GPU)
            continue; /* not executed */
        moe_table_cell(t, "%s", moe_phase_name((moe_phase)p));
        for (int s = 0; s < n; s++)
            moe_table_number(t, v->strategy[first + s].phase[c][p] * US,
                             DIGITS);
    }
    if (c != MOE_CLOCK_CPU) {
        moe_table_cell(t, c == MOE_CLOCK_GPU ? "(hidden)" : "(wait)");
        for (int s = 0; s < n; s++) {
            const moe_strategy_view *x = &v->strategy[first + s];
            moe_table_number(t, (c == MOE_CLOCK_GPU ? x->hidden : x->wait) * US,
                             DIGITS);
        }
    }
    moe_table_print(t, out);
    moe_table_free(t);
}

static void print_phases(const moe_view *v, FILE *out)
{
    static const char *const remarks[MOE_N_CLOCKS] = {
        "slowest rank; (wait) is the barriers before collectives, mean over "
        "ranks",
        "slowest rank; waiting inside MPI counts",
        "what attention does not hide; (hidden) is what it does"};
    for (int c = 0; c < MOE_N_CLOCKS; c++) {
        fprintf(out, "\nPhases of a layer, %s: %s\n", clock_labels[c],
                remarks[c]);
        for (int s = 0; s < v->dims.strategies; s += PHASE_COLUMNS)
            print_phase_block(v, (moe_clock)c, s, out);
    }
}

/* The two phases that differ most from the reference's. */
static void print_why(const moe_view *v, const moe_strategy_view *x,
                      moe_clock c, FILE *out)
{
    const moe_strategy_view *ref = &v->strategy[v->reference_index];
    int taken = -1;
    for (int round = 0; round < 2; round++) {
        int most = -1;
        double gap = 0.0;
        for (int p = 0; p < MOE_N_PHASES; p++) {
            double d = x->phase[c][p] - ref->phase[c][p];
            if (p != taken && fabs(d) > fabs(gap)) {
                most = p;
                gap = d;
            }
        }
        if (most < 0)
            break;
        fprintf(out, "%s %s %+.1f us", round > 0 ? "," : ":",
                moe_phase_name((moe_phase)most), gap * US);
        taken = most;
    }
    fputc('\n', out);
}

static void print_verdict(const moe_view *v, FILE *out)
{
    const moe_clock c = v->oversubscribed ? MOE_CLOCK_GPU : MOE_CLOCK_WALL;
    fprintf(out, "\nOn the %s, per layer, against %s:\n", clock_labels[c],
            v->reference);
    for (int s = 0; s < v->dims.strategies; s++) {
        const moe_strategy_view *x = &v->strategy[s];
        const moe_ratio *r = &x->speedup[c];
        if (s == v->reference_index || isnan(r->ratio))
            continue;
        const bool sure = r->ci_low > 1.0 || r->ci_high < 1.0;
        fprintf(out, "  %s is %.1f %% %s%s", x->name,
                fabs(r->ratio - 1.0) * 100, r->ratio >= 1 ? "faster" : "slower",
                sure ? "" : " (within noise)");
        print_why(v, x, c, out);
    }
}

static void print_foms(const moe_view *v, FILE *out)
{
    fputc('\n', out);
    for (size_t i = 0; moe_metric_at(i) != NULL; i++) {
        const moe_metric *m = moe_metric_at(i);
        for (int s = 0; s < v->dims.strategies; s++) {
            const moe_strategy_view *x = &v->strategy[s];
            const moe_summary f = moe_metric_summary(m, x);
            const double value = m->mean_only ? f.mean : f.median;
            if (isnan(value))
                continue;
            fprintf(out, "FOM %s %s = %.6g %s\n", m->name, x->name, value,
                    m->unit);
            if (m->ratio != MOE_NO_RATIO && s != v->reference_index)
                fprintf(out, "FOM %s_speedup %s = %.6g 1\n", m->name, x->name,
                        moe_metric_ratio(m, x).ratio);
        }
    }
}

void moe_report_print(const moe_view *v, FILE *out)
{
    print_head(v, out);
    if (v->measured > 0) {
        print_times(v, out);
        print_speedups(v, out);
        print_load(v, out);
        print_phases(v, out);
        print_verdict(v, out);
        print_foms(v, out);
    }
    if (strcmp(v->status, "complete") != 0)
        fprintf(out, "status: %s\n", v->status);
    fprintf(out, "checks: %s\n",
            v->validation_text[0] != '\0' ? v->validation_text : v->validation);
    fprintf(out, "RESULT: %s\n", moe_report_result(v));
}
