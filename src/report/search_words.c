/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <string.h>

#include "contents.h"
#include "moegps/json.h"
#include "moegps/mem.h"
#include "moegps/report.h"

typedef struct {
    moe_document *doc;
    const moe_search_params *p;
    const moe_search *s;
} telling;

/* ---- a combination in words ---- */

static int slots_of(const telling *t, const moe_search_point *x)
{
    return t->s->home_slots + t->p->spare[x->spare];
}

/* Experts beyond one of each, of all GPUs. */
static int redundant(const telling *t, const moe_search_point *x)
{
    return slots_of(t, x) * t->p->gpus - t->p->model->experts;
}

/* Forward passes that a step of the recording, or an interval, is of. */
static int passes_of(const telling *t, int steps)
{
    return steps * (t->p->step_passes > 1 ? t->p->step_passes : 1);
}

/* "+36 %", with a digit below 10. */
static moe_cell gain_cell(double gain)
{
    moe_cell c = {"n/a"};
    const double percent = 100 * gain;
    if (!isnan(gain))
        snprintf(c.text, sizeof c.text, "%+.*f %%", fabs(percent) < 10,
                 percent);
    return c;
}

/* ", 95 % 31..41", or why there is none. */
static void say_interval(FILE *out, const moe_search_point *x)
{
    const int digits = fabs(100 * moe_search_gain(x)) < 10;
    if (isnan(x->gain_low))
        fprintf(out, " (too few independent batches for an interval)");
    else
        fprintf(out, ", 95 %% %.*f..%.*f%s", digits, 100 * x->gain_low, digits,
                100 * x->gain_high,
                x->gain_low > 0 ? "" : ", which may be nothing");
}

/* "eep 32 redundant experts (9 slots a GPU), plan every 10 batches with eplb by
 * a window of 8" */
static void say_point(const telling *t, FILE *out, const moe_search_point *x)
{
    const moe_planner *planner = t->p->planner[x->planner];
    const char *label = t->p->predictor[x->predictor].label;
    if (!planner->plans) {
        fprintf(out, "eep experts where they are, send rows ahead by %s",
                label);
        return;
    }
    if (redundant(t, x) == 0)
        fputs("eep no redundant experts", out);
    else
        fprintf(out, "eep %d redundant experts (%d slots a GPU)",
                redundant(t, x), slots_of(t, x));
    const int every = passes_of(t, x->every);
    if (every <= 1)
        fprintf(out, ", plan %s",
                every == MOE_SEARCH_ONCE ? "once" : "for every batch");
    else
        fprintf(out, ", plan every %d batches", every);
    fprintf(out, " with %s by %s", planner->name, label);
}

static void say_headline(const telling *t)
{
    const moe_search *s = t->s;
    const moe_search_point *best = &s->point[s->best];
    moe_doc_begin(t->doc, MOE_DOC_LEAD);
    FILE *out = moe_doc_words(t->doc);
    if (s->simplest < 0) {
        const double gain = moe_search_gain(best);
        fprintf(out,
                gain > 0 ? "Leave experts where they are: of %d combinations "
                           "the best would win %s per MoE layer"
                         : "Leave experts where they are: none of %d "
                           "combinations is faster, the best comes to %s per "
                           "MoE layer",
                s->n_points, gain_cell(gain).text);
        say_interval(out, best);
        fputc('.', out);
        return;
    }
    const moe_search_point *x = &s->point[s->simplest];
    fputc('K', out);
    say_point(t, out, x);
    fprintf(out, ": %s per MoE layer", gain_cell(moe_search_gain(x)).text);
    say_interval(out, x);
    if (s->placement >= 0 && t->p->spare[x->spare] > 0)
        fprintf(out, "; placement alone, without copies: %s",
                gain_cell(moe_search_gain(&s->point[s->placement])).text);
    fputc('.', out);
}

/* What the layer's gain is of the whole model. */
static void say_whole_model(const telling *t)
{
    const moe_search *s = t->s;
    const bool decode = t->p->serving.phase == MOE_SERVE_DECODE;
    char deployment[256];
    moe_serving_text(&t->p->serving, deployment, sizeof deployment);
    moe_doc_begin(t->doc, MOE_DOC_PARAGRAPH);
    FILE *out = moe_doc_words(t->doc);
    if (deployment[0] != '\0')
        fprintf(out, "Deployment: %s%s%s. ", deployment,
                moe_words_cached(&t->p->serving),
                moe_serving_shares_rows(&t->p->serving)
                    ? "; a token's experts as if chosen independently of each "
                      "other"
                    : "");
    fprintf(out,
            "Of the whole model MoE layers are %.0f %% of the time: %s %s "
            "where experts are at home",
            100 * s->base_model.share, moe_time_cell(s->base_model.time_s).text,
            decode ? "per output token" : "to the first token");
    if (s->simplest >= 0)
        fprintf(out, ", %s with this plan, %s",
                moe_time_cell(s->model.time_s).text,
                gain_cell(s->base_model.time_s / s->model.time_s - 1).text);
    fprintf(out, " (%.0f tokens/s of a GPU).", s->model.rate);
}

/* Twice what SGLang gives a GPU of a forward pass by default, at most: 16384,
 * chunked_prefill_size of server_args.py. */
static const double MOST_TOKENS = 32768;

/* What a recorded step is taken for. */
static void say_steps(const telling *t)
{
    const double own = t->s->tokens / t->p->gpus;
    const bool steps = t->p->trace->kind == MOE_TRACE_LOADS;
    if (t->p->step_passes > 1)
        moe_doc_say(t->doc, MOE_DOC_PARAGRAPH,
                    "Each batch is drawn from a recorded step, which has the "
                    "tokens of %d, and stands for all of them; one of them "
                    "pays for a plan.",
                    t->p->step_passes);
    else if (steps && own > MOST_TOKENS)
        moe_doc_say(t->doc, MOE_DOC_PARAGRAPH,
                    "A recorded step is taken for one forward pass, which has "
                    "%.0f tokens a GPU, more than engines put into one. If it "
                    "is many of them, --tokens says how many tokens one has, "
                    "and all numbers change.",
                    own);
    if (!t->s->recorded)
        moe_doc_say(t->doc, MOE_DOC_PARAGRAPH,
                    "The order of these batches is not time: what forecasts "
                    "from the last ones, and how often to plan, cannot be "
                    "tried.");
}

/* What the sentence rests on. */
static void say_base(const telling *t)
{
    const moe_search *s = t->s;
    const moe_search_params *p = t->p;
    moe_doc_say(
        t->doc, MOE_DOC_PARAGRAPH,
        "Modelled, not measured: %s on %d GPUs of %s (%s prices). %d "
        "batches of %.0f tokens, %.0f sequence%s each, %s, after what "
        "the trace has to learn from. Imbalance without plans: %.2f "
        "(busiest GPU over mean). Plans after the first pay for their "
        "making and for the weights that travel. All GPUs have the same mix of "
        "tokens, and deal them over the copies in turn, as engines do.",
        p->model->name, p->gpus, p->cluster->name, p->cluster->cost, s->batches,
        s->tokens, s->sequences, s->sequences < 1.5 ? "" : "s",
        s->recorded ? "in recorded order" : "drawn in any order",
        s->base_imbalance);
    say_steps(t);
    say_whole_model(t);
    const moe_search_point *best = &s->point[s->best];
    if (s->simplest >= 0 && s->simplest != s->best) {
        moe_doc_begin(t->doc, MOE_DOC_PARAGRAPH);
        FILE *out = moe_doc_words(t->doc);
        fprintf(out, "Fastest of %d combinations: k", s->n_points);
        say_point(t, out, best);
        fprintf(out, ", %s", gain_cell(moe_search_gain(best)).text);
        say_interval(out, best);
        fputs(". The first is the simplest within 1 % of it.", out);
    }
}

static void say_once(const telling *t)
{
    const moe_search *s = t->s;
    if (s->simplest < 0)
        return;
    const moe_search_point *x = &s->point[s->simplest];
    const double gpu = x->first_bytes * t->p->model->layers / t->p->gpus;
    moe_doc_fact(
        t->doc, "the first plan",
        "moves %s a GPU, once, which no time here has; later ones move %s "
        "a batch",
        moe_bytes_cell(gpu).text,
        moe_bytes_cell(x->moved_bytes * t->p->model->layers / t->p->gpus).text);
    if (isnan(x->recall))
        moe_doc_fact(t->doc, "the prediction",
                     "misses the load of a batch by %.1f %% (sum |p^ - p|)",
                     100 * x->error);
    else
        moe_doc_fact(t->doc, "the prediction",
                     "is right for %.1f %% of a token's experts, misses the "
                     "load of a batch by %.1f %%; both measured on the trace",
                     100 * x->recall, 100 * x->error);
    if (!isnan(s->by_quota))
        moe_doc_fact(t->doc, "other splits",
                     "quotas that are planned would change it by %s, the best "
                     "division of every batch over the same copies by %s; "
                     "engines have neither",
                     gain_cell(s->by_quota).text, gain_cell(s->by_minmax).text);
}

/* ---- tables ---- */

static void put_point(const telling *t, moe_table *table,
                      const moe_search_point *x)
{
    moe_table_cell(table, "%s", t->p->predictor[x->predictor].label);
    moe_table_cell(table, "%s", t->p->planner[x->planner]->name);
}

static void put_gain(const telling *t, moe_table *table,
                     const moe_search_point *x)
{
    const moe_search *s = t->s;
    const long at = x - s->point;
    moe_table_put(table, gain_cell(moe_search_gain(x)));
    if (isnan(x->gain_low))
        moe_table_cell(table, "n/a");
    else
        moe_table_interval(table, gain_cell, x->gain_low, x->gain_high);
    moe_table_cell(table, "%s",
                   at == s->simplest ? "recommended"
                   : at == s->best   ? "fastest"
                                     : "");
}

static void put_every(const telling *t, moe_table *table,
                      const moe_search_point *x)
{
    if (x->every == MOE_SEARCH_ONCE)
        moe_table_cell(table, "once");
    else
        moe_table_cell(table, "%d", passes_of(t, x->every));
}

/* Rows of a table: the fastest of each, and beside it what is recommended and
 * the fastest of all, where they are of the same. All walked with all layers. */
static int rows_of(const telling *t, int spare, int every, int rows[3])
{
    const moe_search *s = t->s;
    const int at[] = {moe_search_fastest(s, spare, every), s->simplest,
                      s->best};
    int n = 0;
    for (int i = 0; i < 3; i++) {
        const moe_search_point *x = &s->point[at[i]];
        if (at[i] < 0 || (spare >= 0 && x->spare != spare) ||
            (every >= 0 && x->every != every) || (n > 0 && at[i] == rows[0]) ||
            (n > 1 && at[i] == rows[1]))
            continue;
        rows[n++] = at[i];
    }
    return n;
}

static void say_memory(const telling *t)
{
    static const moe_column columns[] = {{"redundant", "experts", MOE_RIGHT},
                                         {"slots", "a GPU", MOE_RIGHT},
                                         {"copies", "a GPU", MOE_RIGHT},
                                         {"predictor", NULL, MOE_LEFT},
                                         {"planner", NULL, MOE_LEFT},
                                         {"every", "batches", MOE_RIGHT},
                                         {"gain", NULL, MOE_RIGHT},
                                         {"95 %", NULL, MOE_RIGHT},
                                         {"", NULL, MOE_LEFT}};
    moe_table *table = moe_doc_table(t->doc, "Gain against memory", columns,
                                     MOE_ARRAY_LEN(columns));
    for (int i = 0, rows[3]; i < t->p->n_spares; i++) {
        const int n = rows_of(t, i, -1, rows);
        for (int r = 0; r < n; r++) {
            const moe_search_point *x = &t->s->point[rows[r]];
            moe_table_cell(table, "%d", redundant(t, x));
            moe_table_cell(table, "%d", slots_of(t, x));
            moe_table_put(table,
                          moe_bytes_cell(t->p->spare[i] * t->s->slot_bytes));
            put_point(t, table, x);
            put_every(t, table, x);
            put_gain(t, table, x);
        }
    }
}

static void put_frequency(const telling *t, moe_table *table,
                          const moe_search_point *x)
{
    put_every(t, table, x);
    moe_table_cell(table, "%d", redundant(t, x));
    put_point(t, table, x);
    moe_table_put(table, moe_bytes_cell(x->moved_bytes * t->p->model->layers /
                                        t->p->gpus));
    put_gain(t, table, x);
}

static void say_frequency(const telling *t)
{
    static const moe_column columns[] = {{"every", "batches", MOE_RIGHT},
                                         {"redundant", "experts", MOE_RIGHT},
                                         {"predictor", NULL, MOE_LEFT},
                                         {"planner", NULL, MOE_LEFT},
                                         {"moved", "a batch, GPU", MOE_RIGHT},
                                         {"gain", NULL, MOE_RIGHT},
                                         {"95 %", NULL, MOE_RIGHT},
                                         {"", NULL, MOE_LEFT}};
    moe_table *table =
        moe_doc_table(t->doc, "Gain against how often is planned anew", columns,
                      MOE_ARRAY_LEN(columns));
    for (int i = -1, rows[3]; i < t->p->n_intervals; i++) {
        const int every = i < 0 ? MOE_SEARCH_ONCE : t->p->interval[i];
        const int n = rows_of(t, -1, every, rows);
        for (int r = 0; r < n; r++)
            put_frequency(t, table, &t->s->point[rows[r]]);
    }
}

static void say_assumed(const telling *t)
{
    const moe_search *s = t->s;
    if (isnan(s->assumed_gain))
        return;
    moe_doc_fact(t->doc, "if a predictor were right",
                 "for %.0f %% of tokens' experts, in no time: %s, with %s and "
                 "%d slots a GPU; nobody is known to have it",
                 100 * t->p->assumed, gain_cell(s->assumed_gain).text,
                 t->p->planner[s->assumed_planner]->name,
                 s->home_slots + t->p->spare[s->assumed_spare]);
}

/* ---- engines ---- */

/* @return the same with another planner, by name, known as well; NULL: it was
 * not tried. */
static const moe_search_point *planned_by(const telling *t, const char *name,
                                          const moe_search_point *like)
{
    for (int i = 0; i < t->s->n_points; i++) {
        const moe_search_point *x = &t->s->point[i];
        if (x->predictor == like->predictor && x->spare == like->spare &&
            x->every == like->every && x->layers == like->layers &&
            strcmp(t->p->planner[x->planner]->name, name) == 0)
            return x;
    }
    return NULL;
}

/* What EPLB does in place of the planner; a walk is ended where it falls too far
 * behind. */
static void say_of_eplb(FILE *out, const moe_search_point *eplb, int batches)
{
    fputs("Engines plan with eplb themselves: ", out);
    if (eplb == NULL) {
        fputs("not tried. ", out);
        return;
    }
    fprintf(out, "%s instead", gain_cell(moe_search_gain(eplb)).text);
    if (eplb->batches < batches)
        fprintf(out, ", in the %d batches after which it was given up",
                eplb->batches);
    fputs(". ", out);
}

/* Engines plan by EPLB on a sum of past loads. */
static void say_differences(const telling *t, const moe_search_point *x)
{
    const char *planner = t->p->planner[x->planner]->name;
    const moe_search_predictor *p = &t->p->predictor[x->predictor];
    const moe_search_point *eplb = planned_by(t, "eplb", x);
    moe_doc_begin(t->doc, MOE_DOC_UNDER);
    FILE *out = moe_doc_words(t->doc);
    if (x->every != MOE_SEARCH_ONCE && p->window == 0)
        fputs("Engines have no such predictor: they sum up a window. ", out);
    if (x->every != MOE_SEARCH_ONCE && p->window > x->every)
        fputs("SGLang does not look back further than one interval. ", out);
    if (x->every != MOE_SEARCH_ONCE && strcmp(planner, "eplb") != 0)
        say_of_eplb(out, eplb, t->s->batches);
    fputs("A batch here is an iteration, or step, of theirs.", out);
}

static void say_once_planned(const telling *t, FILE *out,
                             const moe_search_point *x)
{
    const int slots = slots_of(t, x) * t->p->gpus;
    fprintf(out,
            "SGLang        --ep-num-redundant-experts %d "
            "--init-expert-location FILE\n"
            "TensorRT-LLM  num_slots: %d, initial_global_assignments: as in "
            "FILE, layer_updates_per_iter: 0\n"
            "vLLM          --enable-eplb --eplb-config "
            "'{\"num_redundant_experts\": %d}', FILE as offline EPLB takes it\n"
            "FILE          moegps plan --loads ... --gpus %d --replicas %d "
            "--planner %s --split deal --emit ENGINE=FILE",
            redundant(t, x), slots, redundant(t, x), t->p->gpus, slots,
            t->p->planner[x->planner]->name);
}

static void say_often_planned(const telling *t, FILE *out,
                              const moe_search_point *x)
{
    const int n = redundant(t, x), layers = t->p->model->layers;
    const int window = t->p->predictor[x->predictor].window;
    const int every = passes_of(t, x->every);
    const int past = passes_of(t, window > 0 ? window : x->every);
    fprintf(out,
            "vLLM          --enable-eplb --eplb-config '{\"window_size\": %d, "
            "\"step_interval\": %d, \"num_redundant_experts\": %d}'\n"
            "SGLang        --enable-eplb --ep-num-redundant-experts %d "
            "--eplb-rebalance-num-iterations %d "
            "--expert-distribution-recorder-buffer-size %d\n"
            "TensorRT-LLM  num_slots: %d, layer_updates_per_iter: %d",
            past, every, n, n, every, past < every ? past : every,
            slots_of(t, x) * t->p->gpus, (layers + every - 1) / every);
}

/* Options: docs.vllm.ai, vllm.config.parallel.EPLBConfig (v0.19.0); SGLang,
 * python/sglang/srt/server_args.py; TensorRT-LLM, examples/wide_ep. */
static void say_engines(const telling *t)
{
    const moe_search *s = t->s;
    if (s->simplest < 0)
        return;
    const moe_search_point *x = &s->point[s->simplest];
    if (!isnan(x->recall)) {
        moe_doc_say(t->doc, MOE_DOC_PARAGRAPH,
                    "Engines have no options for predicted tokens.");
        return;
    }
    moe_doc_say(t->doc, MOE_DOC_CAPTION, "The same in the words of engines");
    moe_doc_begin(t->doc, MOE_DOC_CODE);
    FILE *out = moe_doc_words(t->doc);
    if (x->every == MOE_SEARCH_ONCE)
        say_once_planned(t, out, x);
    else
        say_often_planned(t, out, x);
    say_differences(t, x);
}

void moe_report_search(moe_document *doc, const moe_search_params *params,
                       const moe_search *search)
{
    const telling t = {doc, params, search};
    say_headline(&t);
    say_base(&t);
    moe_doc_begin(doc, MOE_DOC_FACTS);
    moe_say_lookahead(doc, params->lookahead);
    say_once(&t);
    say_assumed(&t);
    say_memory(&t);
    moe_say_search_rooms(doc, params, search);
    say_frequency(&t);
    say_engines(&t);
}

/* ---- JSON ---- */

#define AT(key, member) MOE_JSON_MEMBER(key, moe_search_point, member)
static json_t *point_json(const telling *t, const moe_search_point *x,
                          moe_error *err)
{
    static const moe_json_member members[] = {
        AT("layers", layers),          AT("layer_s", layer_s),
        AT("baseline_s", base_s),      AT("gain_ci_low", gain_low),
        AT("gain_ci_high", gain_high), AT("distribution_error", error),
        AT("recall", recall),          AT("first_bytes", first_bytes),
        AT("moved_bytes", moved_bytes)};
    json_t *o = json_object();
    moe_json_put_text(o, "predictor", t->p->predictor[x->predictor].label, err);
    moe_json_put_text(o, "planner", t->p->planner[x->planner]->name, err);
    moe_json_put_integer(o, "slots", slots_of(t, x), err);
    moe_json_put_integer(o, "redundant_experts", redundant(t, x), err);
    if (x->every == MOE_SEARCH_ONCE)
        moe_json_put(o, "interval", json_null(), err);
    else
        moe_json_put_integer(o, "interval", passes_of(t, x->every), err);
    moe_json_put_number(o, "gain", moe_search_gain(x), err);
    moe_json_put_members(o, members, MOE_ARRAY_LEN(members), x, err);
    return o;
}
#undef AT

static void put_point_json(const telling *t, json_t *root, const char *key,
                           int at, moe_error *err)
{
    moe_json_put(root, key,
                 at < 0 ? json_null() : point_json(t, &t->s->point[at], err),
                 err);
}

#define AT(key, member) MOE_JSON_MEMBER(key, moe_search, member)
moe_status moe_report_search_json(const moe_search_params *p,
                                  const moe_search *s, const char *path,
                                  bool force, moe_error *err)
{
    static const moe_json_member members[] = {
        AT("batches", batches),
        AT("layers", layers),
        AT("tokens", tokens),
        AT("sequences", sequences),
        AT("recorded_order", recorded),
        AT("passes", passes),
        AT("baseline_imbalance", base_imbalance),
        AT("model_s", model.time_s),
        AT("model_tokens_per_s", model.rate),
        AT("model_moe_share", model.share),
        AT("baseline_model_s", base_model.time_s),
        AT("baseline_model_tokens_per_s", base_model.rate),
        AT("quota_adds", by_quota),
        AT("minmax_adds", by_minmax),
        AT("assumed_gain", assumed_gain)};
    const telling t = {NULL, p, s};
    json_t *root = json_object(), *all = json_array();
    moe_json_put(root, "modelled", json_true(), err);
    moe_json_put_text(root, "model", p->model->name, err);
    moe_json_put_text(root, "cluster", p->cluster->name, err);
    moe_json_put_integer(root, "gpus", p->gpus, err);
    moe_json_put_members(root, members, MOE_ARRAY_LEN(members), s, err);
    moe_json_put_integer(root, "lookahead", p->lookahead, err);
    moe_json_put_integer(root, "step_batches", passes_of(&t, 1), err);
    moe_json_put_number(root, "assumed_accuracy", p->assumed, err);
    put_point_json(&t, root, "recommended", s->simplest, err);
    put_point_json(&t, root, "fastest", s->best, err);
    put_point_json(&t, root, "without_copies", s->placement, err);
    for (int i = 0; i < s->n_points; i++)
        moe_json_add(all, point_json(&t, &s->point[i], err), err);
    moe_json_put(root, "rooms", moe_search_rooms_json(p, s, err), err);
    moe_json_put(root, "combinations", all, err);
    return moe_json_write(root, JSON_INDENT(2) | JSON_REAL_PRECISION(15), path,
                          force, err);
}
#undef AT
